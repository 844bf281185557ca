"""One of several hosts, as a process of its own: trains restorers of a tiny study in a work folder that the others
share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Meter, Progress
from dsr.experiments.study import Study
from dsr.models.errors import UserError
from dsr.models.restorers.registry import RestorerName
from tests.experiments import studies
from tests.experiments.studies import HERE
from tests.experiments.training.tiny import TINY

DENSE = [
    f"restorer.rdn.{value}" for value in ("batch=2", "steps=6", "patch=32", "network.blocks=1", "network.layers=1")
]


class KilledAt(Progress):
    """Says on standard output what it is told, and kills its process in the middle of a training."""

    def __init__(self, step: int) -> None:
        self.step = step

    def say(self, text: str) -> None:
        print(text, flush=True)

    @contextmanager
    def meter(self, label: str, total: int) -> Iterator[Meter]:
        print(f"begins {label}", flush=True)
        yield self

    def update(self, done: int, note: str = "") -> None:
        if done == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def tiny_study(work: Path, gan_batch: int) -> Study:
    return Study(apply_overrides(studies.small(), [*TINY, *DENSE, f"restorer.gan.batch={gan_batch}"]), work, HERE)


def main(work: str, gan_batch: str, killed_at: str, *restorers: RestorerName) -> None:
    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(work) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            print(f"writes {arguments[0]}", flush=True)

    sys.addaudithook(watch)
    study = tiny_study(Path(work), int(gan_batch))
    try:
        make([study.restorer(study.degradations[0], name) for name in restorers], KilledAt(int(killed_at)))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
