"""Progress on a terminal: a bar with time left; where output is no terminal, a line now and then."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

import click

from dsr.app.help import JSON, QUIET, is_asked
from dsr.experiments.graph.progress import Meter, Progress, Silent
from dsr.experiments.results import finite

if TYPE_CHECKING:
    from dsr.experiments.graph.artefacts import Artefact

SECONDS_BETWEEN_LINES = 30.0


class Console(Progress):
    """Draws on standard error, so that standard output holds results only."""

    def say(self, text: str) -> None:
        if not is_asked(QUIET):
            click.echo(text, err=True)

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        if is_asked(QUIET):
            yield Silent()
            return
        meter = _Bar(label, total) if sys.stderr.isatty() else _Lines(label, total)
        try:
            yield meter
        finally:
            meter.close()


class _Bar:
    def __init__(self, label: str, total: int) -> None:
        self.note, self.done = "", 0
        self.bar: Any = click.progressbar(
            length=total, label=label, file=sys.stderr, show_pos=True, width=24, item_show_func=lambda _: self.note
        )
        self.bar.__enter__()

    def update(self, done: int, note: str = "") -> None:
        self.note = note or self.note
        self.bar.update(done - self.done, current_item=self.note)
        self.done = done

    def close(self) -> None:
        self.bar.render_finish()


class _Lines:
    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.started = self.told = time.monotonic()
        self.first: int | None = None

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self.first is None:  # a resumed piece starts beyond zero: its earlier part says nothing about speed
            self.first = done
        if now - self.told < SECONDS_BETWEEN_LINES and done < self.total:
            return
        self.told = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        left = f", {duration((self.total - done) / rate)} left" if rate > 0 and done < self.total else ""
        click.echo(f"{self.label}: {done}/{self.total}{left}{'  ' + note if note else ''}", err=True)

    def close(self) -> None:
        pass


def show(value: Any, text: Callable[[], object]) -> None:
    """Print a result: with --json its value, else what `text` prints.

    Args:
      value: dataclasses, dictionaries, lists, paths, numbers and text; numbers that are not finite become null.
      text: prints it for people.
    """
    if is_asked(JSON):
        click.echo(json.dumps(_plain(value), indent=1, ensure_ascii=False))
    else:
        text()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, os.PathLike) else finite(value)


def made_of(artefact: Artefact) -> dict[str, Any]:
    """What there is to say of an artefact that exists, for `show`."""
    manifest = artefact.manifest
    return {"kind": manifest.kind, "name": artefact.name, "folder": artefact.folder, "summary": manifest.summary}


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes with a decimal unit: `3.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
