"""Write drawn street scenes as image files: what a car's cameras see, label maps, and originals of the team's own.

    python make_streets.py FOLDER [--images N] [--originals N] [--test N] [--height PIXELS] [--width PIXELS]

FOLDER then holds camera/front, camera/rear, labels/front, labels/rear, labels/classes.csv and originals; and test, what
the device sees by itself: images/test, labels/test and classes.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from PIL import Image

from dsr.data_pipelines.datasets import open_source


def main() -> None:
    """Draw and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=60, help="of each camera")
    parser.add_argument("--originals", type=int, default=40)
    parser.add_argument("--test", type=int, default=30)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    arguments = parser.parse_args()
    streets = open_source(
        "streets",
        height=arguments.height,
        width=arguments.width,
        train=2 * arguments.images,
        restore=arguments.originals,
        test=arguments.test,
    )
    for number, sample in enumerate(streets.samples("train")):
        pixels, label = streets.read(sample)
        name = f"{'rear' if number % 2 else 'front'}/{number:05d}.png"
        save(pixels, arguments.folder / "camera" / name)
        save(label, arguments.folder / "labels" / name)
    for number, sample in enumerate(streets.samples("restore")):
        save(streets.read(sample)[0], arguments.folder / "originals" / f"{number:05d}.png")
    for number, sample in enumerate(streets.samples("test")):
        pixels, label = streets.read(sample)
        save(pixels, arguments.folder / "test" / "images" / "test" / f"{number:05d}.png")
        save(label, arguments.folder / "test" / "labels" / "test" / f"{number:05d}.png")
    for folder in ("labels", "test"):
        with (arguments.folder / folder / "classes.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "name", "r", "g", "b", "small"))
            for label in streets.table.classes:
                writer.writerow((label.train_id, label.name, *label.color, int(label.small)))


def save(pixels, path: Path) -> None:
    """Write an array as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main()
