"""What an image went through, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from dsr.data_pipelines.codecs import Codec
from dsr.experiments.config.schema import RestorerName


@dataclass(frozen=True)
class Domain:
    """The test images as O, C or R; C and R of a codec, R by a restorer."""

    letter: str
    codec: Codec | None = None
    restorer: RestorerName | None = None

    @property
    def words(self) -> dict[str, str | None]:
        """How results name it."""
        point = self.codec.point if self.codec else None
        return {"point": point, "domain": DOMAINS[self.letter], "restorer": self.restorer}


DOMAINS = {"O": "original", "C": "compressed", "R": "restored"}


def needs_point(domains: str) -> bool:
    """Whether a domain, or a configuration of two, involves compression at all."""
    return set(domains) != {"O"}


def needs_restorer(domains: str) -> bool:
    """Whether one of these domains is that of restored images."""
    return "R" in domains
