"""Two programs that take turns at the same work, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import click
import numpy as np

MATRIX = 2048
"""Side of the matrices whose product shows what the machine can do."""


class Side:
    """A process that does what it is told and says how long it took."""

    def __init__(self, command: list[str]) -> None:
        self._command = " ".join(command)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        greeting = self._answer()
        self.name = str(greeting["name"])
        self.parameters = greeting.get("parameters")  # of those that have a network

    def __call__(self, action: str, first: int, second: int) -> dict[str, float]:
        """Seconds and memory of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{action} {first} {second}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException(f"{self._command} has ended: see what it says above")
        return json.loads(line)


def median(answers: list[dict[str, float]]) -> dict[str, float]:
    """Of each number, without the first call, which traces graphs and allocates."""
    return {key: float(np.median([answer[key] for answer in answers[1:]])) for key in answers[0]}
