"""A codec of your own in dsr: `python examples/own_codec.py [FOLDER]`.

A codec is a frozen dataclass below `dsr.Codec`: a name, a scale of qualities, pixels to bytes and back. Registered, it
can do what the others do: convert datasets on all cores, be verified, and stand in a study beside BPG.
"""

from __future__ import annotations

import dataclasses
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsr import CODECS, Codec, CodecError, DatasetConfig, OperatingPoint, Progress, QualityScale, Study, make, preset

HEADER = struct.Struct(">HHB")  # height, width, bits


@dataclass(frozen=True)
class Posterise(Codec):
    """Keeps the highest bits of each value, as differences along rows, deflated."""

    name = "posterise"
    scale = QualityScale("bits", low=1, high=8, default=4, higher_is_better=True)

    def _encode(self, pixels: np.ndarray) -> bytes:
        kept = pixels >> (8 - self.quality)
        differences = np.diff(kept, axis=1, prepend=np.uint8(0))  # modulo 256
        return HEADER.pack(*pixels.shape[:2], self.quality) + zlib.compress(differences.tobytes(), 9)

    def _decode(self, bitstream: bytes) -> np.ndarray:
        try:
            height, width, bits = HEADER.unpack_from(bitstream)
            self.check_pixels(width, height)  # before anything of that size is made
            unpacker, size = zlib.decompressobj(), 3 * height * width
            values = unpacker.decompress(bitstream[HEADER.size :], size)
            if len(values) != size or not unpacker.eof or unpacker.unused_data or not 1 <= bits <= 8:
                raise ValueError("its data are not those of its size")
        except (struct.error, zlib.error, ValueError) as error:
            raise CodecError(f"not a bitstream of {self.name}: {error}") from error
        kept = np.cumsum(np.frombuffer(values, np.uint8).reshape(height, width, 3), axis=1, dtype=np.uint8)
        middle = (1 << (8 - bits)) >> 1
        return (kept << (8 - bits)) + np.uint8(middle)


CODECS[Posterise.name] = f"{__name__}:{Posterise.__name__}"


def main(work: Path) -> None:
    """Converts six test images at three operating points, and prints what they take and how near they come."""
    config = dataclasses.replace(
        preset("demo"),
        name="posterise",
        dataset=DatasetConfig("streets", options={"height": 64, "width": 96, "train": 2, "restore": 2, "test": 6}),
        points=(OperatingPoint("posterise", 2), OperatingPoint("posterise", 4), OperatingPoint("bpg", 30)),
    )
    study = Study(config, work)
    shards = [study.shards(domain, "test") for domain in study.domains() if domain.letter == "C"]
    make(shards, Progress())
    for artefact in shards:
        summary = artefact.manifest.summary
        print(f"{artefact.name}: {summary['bpp']:.2f} bpp, {summary['psnr']:.1f} dB")


if __name__ == "__main__":  # the processes that convert import this file again
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dsr-work"))
