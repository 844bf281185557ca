"""The formats that trained networks are written in, and how far from Keras each may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """How far a written network may be from Keras's: what is beyond is refused.

    agreement: Of a segmenter, the least share of pixels with the same class.
    miou: The most that its mIoU may differ.
    psnr: Of a restorer, the least PSNR between the two restored images in dB, over all pixels.
    """

    agreement: float
    miou: float
    psnr: float


EXACT = Bound(agreement=0.999, miou=0.001, psnr=50.0)
"""Of formats that keep the weights and compute in float32: what remains is the order of sums."""

BOUNDS = {
    "savedmodel": EXACT,
    "onnx": EXACT,
    "tflite": EXACT,
    "tflite-dynamic": Bound(agreement=0.97, miou=0.01, psnr=35.0),
    "tflite-int8": Bound(agreement=0.90, miou=0.03, psnr=25.0),
}
"""By format. `dynamic` has weights of 8 bits, `int8` activations too."""
