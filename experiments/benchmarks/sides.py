"""Two programs that take turns at the same work, each in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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


def take_turns(turns: Sequence[tuple[Side, tuple[str, int, int]]], repetitions: int) -> list[dict[str, float]]:
    """Of each call the medians of its numbers, without those of the first round, which traces graphs and allocates."""
    answers: list[list[dict[str, float]]] = [[] for _ in turns]
    for _ in range(repetitions + 1):
        for given, (side, call) in zip(answers, turns):
            given.append(side(*call))
    return [{key: float(np.median([one[key] for one in given[1:]])) for key in given[0]} for given in answers]


def row(what: str, side: Side, taken: dict[str, float], ours: dict[str, float], share: str = "") -> str:
    """What a side took, and which share of its CPU seconds this project takes."""
    return (
        f"{what}  {side.name:<24} wall {taken['wall']:7.3f} s  CPU {taken['cpu']:7.3f} s  "
        f"dsr takes {ours['cpu'] / taken['cpu']:5.2f} of it{share}  at most {taken['memory'] / 1000:.2f} GB so far"
    )


def serve(prepare: Callable[[str, int, int], Callable[[], object]], parameters: int | None = None) -> None:
    """This project's side: time what `prepare` returns for each request, until the standard input ends.

    The request `matrix` is answered here: a product of `MATRIX` x `MATRIX`.
    """
    import tensorflow as tf

    matrix = tf.random.normal((MATRIX, MATRIX))
    print(json.dumps({"name": f"dsr, TensorFlow {tf.__version__}", "parameters": parameters}), flush=True)
    for line in sys.stdin:
        action, *numbers = line.split()
        first, second = map(int, numbers)
        work = (lambda: tf.matmul(matrix, matrix).numpy()) if action == "matrix" else prepare(action, first, second)
        start, cpu = time.perf_counter(), time.process_time()
        work()
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({**seconds, "memory": memory}), flush=True)
