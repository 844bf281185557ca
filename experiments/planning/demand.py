"""What there is room for: bytes, images, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from dsr.experiments.planning.units import Size

MOST_IMAGES = 10**15


@dataclass(frozen=True)
class Demand:
    """What a fleet may send or keep in all, and of what.

    Attributes:
      bytes: For all images together.
      size: Of an image, which the rates of the study are taken to hold for.
      images: How many there are to record; None for as many as fit.
      labels: How many of them can be labelled; None for all. Images without a label train nothing.
      max_loss: Points of mIoU that a plan may be expected to lose against training on originals; None for any.
    """

    bytes: float
    size: Size
    images: Optional[int] = None
    labels: Optional[int] = None
    max_loss: Optional[float] = None

    @classmethod
    def of_channel(cls, bytes_a_second: float, fps: Optional[float], hours: float, size: Size) -> Demand:
        """What a channel carries in so many hours, and the images that a camera takes meanwhile."""
        seconds = 3600 * hours
        images = None if fps is None else max(1, round(min(fps * seconds, MOST_IMAGES)))
        return cls(bytes_a_second * seconds, size, images)

    @property
    def bpp(self) -> Optional[float]:
        """Bits a pixel that are left if all images are kept; None if their number is not given."""
        return None if self.images is None else 8 * self.bytes / (self.images * self.size.pixels)

    def kept(self, bpp: float) -> int:
        """How many images fit at a rate."""
        fit = int(min(self.bytes / self.bytes_of(bpp), MOST_IMAGES))
        return fit if self.images is None else min(fit, self.images)

    def labelled(self, kept: int) -> int:
        """How many of those train."""
        return kept if self.labels is None else min(kept, self.labels)

    def bytes_of(self, bpp: float) -> float:
        """Of an image at a rate."""
        return bpp * self.size.pixels / 8
