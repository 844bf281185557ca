"""Pictures of any size and detail for benchmarks, made of a folder's images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAMES = 24  # so many images of the folder are read


def tiled(folder: Path, count: int, size: tuple[int, int], scale: float) -> list[NDArray[np.uint8]]:
    """`count` mosaics, uint8 (H, W, 3), of the folder's images enlarged by `scale`; size is (width, height).

    Scale 1 keeps the detail of the images, with their own size the pictures are the images; larger ones smooth it.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".webp"))
    if not paths:
        raise SystemExit(f"{folder} holds no images")
    frames = [Image.open(path).convert("RGB") for path in paths[:: -(-len(paths) // FRAMES)]]
    tile = round(frames[0].width * scale), round(frames[0].height * scale)
    supply = itertools.cycle([frame.resize(tile, Image.Resampling.BICUBIC) for frame in frames])
    pictures = []
    for _ in range(count):
        picture = Image.new("RGB", size)
        for corner in itertools.product(range(0, size[0], tile[0]), range(0, size[1], tile[1])):
            picture.paste(next(supply), corner)
        pictures.append(np.array(picture))
    return pictures


@dataclass(frozen=True)
class PictureSample:
    """See `dsr.data_pipelines.datasets.Sample`."""

    key: str
    image: str
    part: int = 0


@dataclass(frozen=True)
class Pictures:
    """A source, see `dsr.data_pipelines.datasets.Source`, of pictures in .npy files, which take no time to read."""

    folder: Path
    name: ClassVar[str] = "pictures"

    @classmethod
    def save(cls, pictures: list[NDArray[np.uint8]], folder: Path) -> Pictures:
        for number, picture in enumerate(pictures):
            np.save(folder / f"{number:04d}.npy", picture)
        return cls(folder)

    def samples(self, split: str) -> list[PictureSample]:
        return [PictureSample(path.stem, path.name) for path in sorted(self.folder.glob("*.npy"))]

    def read(self, sample: PictureSample) -> tuple[NDArray[np.uint8], None]:
        return np.load(self.folder / sample.image), None

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def fingerprint(self, split: str) -> str:
        return str(len(self.samples(split)))
