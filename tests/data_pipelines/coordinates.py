"""A dataset whose pixels say where they are, and a codec that inverts them: importable, as worker processes need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dsr.models.errors import UserError

HEIGHT, WIDTH = 40, 50


@dataclass(frozen=True)
class Sample:
    key: str
    image: str
    label: str | None
    part: int = 0


@dataclass(frozen=True)
class Coordinates:
    """Image number n is (n, y, x) at pixel (y, x), and its label is x."""

    images: int
    name: str = "coordinates"

    def samples(self, split: str) -> list[Sample]:
        return [Sample(f"{n:03d}", f"{n}", f"{n}") for n in range(self.images)]

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        return np.stack([np.full_like(y, int(sample.image)), y, x], axis=-1).astype(np.uint8), x.astype(np.uint8)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "images": self.images}

    def fingerprint(self, split: str) -> str:
        return f"{self.images:064d}"


@dataclass(frozen=True)
class Inverter:
    """A codec for the tests: what comes back is the negative. It refuses the image of one number."""

    refuses: int = -1
    point: ClassVar[str] = "inverted"

    kind: ClassVar[str] = "codec"

    def degrade(self, pixels: NDArray[np.uint8], key: str) -> tuple[NDArray[np.uint8], bytes]:
        bitstream = self.encode(pixels)
        return self.decode(bitstream), bitstream

    def encode(self, pixels: NDArray[np.uint8]) -> bytes:
        if pixels[0, 0, 0] == self.refuses:
            raise UserError("refused")
        return bytes(pixels.shape) + pixels.tobytes()

    def decode(self, bitstream: bytes) -> NDArray[np.uint8]:
        return ~np.frombuffer(bitstream[3:], np.uint8).reshape(tuple(bitstream[:3]))

    def describe(self) -> dict[str, Any]:
        return {"name": "inverter", "refuses": self.refuses}
