"""A dataset of your own in dsr: `python examples/own_dataset.py [FOLDER]`.

Images and labels in two folders need no code: `--dataset folder`. A dataset in a format of its own is a class below
`dsr.Source`: it lists samples and reads one, and says all that its pixels depend on. Registered, it can be converted,
trained and tested on.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dsr import (
    DATASETS,
    DatasetConfig,
    Label,
    LabelTable,
    OperatingPoint,
    Progress,
    Sample,
    Source,
    Study,
    make,
    preset,
)

SIZES = {"train": 8, "test": 4, "restore": 4}


class Discs(Source):
    """Grey discs on a lawn: 64x96 pixels, drawn from the sample's key alone.

    radius: of the discs, in pixels.
    """

    name = "discs"
    about = "grey discs on a lawn"
    table = LabelTable((Label(0, 0, "lawn", (40, 120, 40)), Label(1, 1, "disc", (200, 200, 200), small=True)))
    splits = tuple(SIZES)

    def __init__(self, root: None = None, *, radius: int = 8) -> None:
        self.radius = radius

    def options(self) -> dict[str, Any]:
        return {"radius": self.radius}

    def samples(self, split: str) -> list[Sample]:
        keys = [f"{split}{number:02d}" for number in range(SIZES[split])]
        return [Sample(key, image=key, label=key) for key in keys]

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(list(sample.key.encode()))
        rows, columns = np.mgrid[:64, :96]
        label = np.zeros((64, 96), np.uint8)
        pixels = rng.integers(20, 60, (64, 96, 3), np.uint8) + np.array([0, 80, 0], np.uint8)
        for row, column in rng.uniform((0, 0), (64, 96), (5, 2)):
            inside = (rows - row) ** 2 + (columns - column) ** 2 < self.radius**2
            label[inside] = 1
            pixels[inside] = rng.integers(120, 220)
        return pixels, label


DATASETS[Discs.name] = Discs


def main(work: Path) -> None:
    """Converts the dataset with BPG, and prints what it takes and how much of it is discs."""
    config = dataclasses.replace(
        preset("demo"), name="discs", dataset=DatasetConfig("discs"), points=(OperatingPoint("bpg", 34),)
    )
    study = Study(config, work)
    shards = [study.shards(domain, "test") for domain in study.domains() if domain.letter != "R"]
    make(shards, Progress())
    for artefact in shards:
        print(
            f"{artefact.name}: {artefact.manifest.summary['images']} images, {artefact.manifest.summary['bpp']:.2f} bpp"
        )
    source = study.source
    discs = np.mean([source.read(sample)[1] == 1 for sample in source.samples("test")])
    print(f"discs cover {100 * discs:.0f} % of the test images; make(study.evaluations(), Progress()) trains on them")


if __name__ == "__main__":  # the processes that convert import this file again
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dsr-work"))
