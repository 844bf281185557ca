"""How long work tells what it does, without knowing a console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Meter(Protocol):
    """One piece of work under way."""

    def update(self, done: int, note: str = "") -> None:
        """`done` of the announced total; `note` is a short state such as "loss 0.41"."""


class Progress:
    """Receives what happens; this one is silent, the console's draws bars."""

    def say(self, text: str) -> None:
        """One line for the reader."""

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        """Announce a piece of work of `total` units (images, steps)."""
        yield Silent()


class Silent:
    """A meter that nobody sees."""

    def update(self, done: int, note: str = "") -> None:
        pass
