"""Progress on a terminal: a bar with time left; where output is no terminal, a line now and then."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

import click

from dsr.app.help import JSON, QUIET, is_asked
from dsr.experiments.graph.progress import Meter, Progress, Silent
from dsr.experiments.stored_json import finite

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


class Pace:
    """How long the rest of a piece of work takes, by its own pace.

    What an earlier process did says nothing about it, nor does what comes first: that loads, compiles and traces.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._resumed: Optional[int] = None
        self._first: Optional[tuple[int, float]] = None

    def left(self, done: int) -> Optional[float]:
        """Seconds; None as long as it cannot be told."""
        now = time.monotonic()
        if self._resumed is None:
            self._resumed = done
        elif self._first is None and done > self._resumed:
            self._first = done, now
        if self._first is None or done <= self._first[0] or now <= self._first[1]:
            return None
        return (self.total - done) * (now - self._first[1]) / (done - self._first[0])


class _Bar:
    def __init__(self, label: str, total: int) -> None:
        self.note, self.done, self.pace = "", 0, Pace(total)
        self.bar: Any = click.progressbar(
            length=total,
            label=label,
            file=sys.stderr,
            show_pos=True,
            show_eta=False,
            width=24,
            item_show_func=lambda shown: shown,
        )
        self.bar.__enter__()

    def update(self, done: int, note: str = "") -> None:
        self.note = note or self.note
        left = self.pace.left(done)
        shown = (f"{duration(left)} left" if left else "", self.note)
        self.bar.update(done - self.done, current_item="  ".join(filter(None, shown)))
        self.done = done

    def close(self) -> None:
        self.bar.render_finish()


class _Lines:
    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.told, self.pace = time.monotonic(), Pace(total)

    def update(self, done: int, note: str = "") -> None:
        seconds, now = self.pace.left(done), time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES and done < self.total:
            return
        self.told = now
        left = f", {duration(seconds)} left" if seconds else ""
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
        click.echo(json.dumps(_plain(value), indent=1))  # in ASCII, which is JSON in every encoding of the stream
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
