"""What images went through, and what is trained on which of them and tested on which, as values.

Domain("O")                    originals
Domain("C", bpg40)             what the codec bpg40 left of them
Domain("R", bpg40, "gan")      what the restorer `gan` made of that
Case(train, test, seed)        a segmenter trained on one domain and tested on another: OO CO RO CC OC OR
Case(..., "recalibrated")      the same, adapted to originals
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from dsr.data_pipelines.degradations import Degradation
from dsr.models.restorers.registry import RestorerName

DOMAINS = {"O": "original", "C": "compressed", "R": "restored"}
"""Letter -> word of each domain."""


@dataclass(frozen=True)
class Domain:
    """What images went through: nothing (O), a degradation (C), a degradation and a restorer (R)."""

    letter: str
    degradation: Optional[Degradation] = None
    restorer: Optional[RestorerName] = None

    def __post_init__(self) -> None:
        given = (self.degradation is not None, self.restorer is not None)
        if given != {"O": (False, False), "C": (True, False), "R": (True, True)}[self.letter]:
            raise ValueError(
                f"domain {self.letter} cannot have degradation {self.degradation} and restorer {self.restorer}"
            )

    @classmethod
    def of(cls, letter: str, degradation: Degradation, restorer: RestorerName) -> Domain:
        """The domain of a letter where these are in use; those that it does not depend on are left out."""
        return cls(letter, None if letter == "O" else degradation, restorer if letter == "R" else None)

    @property
    def word(self) -> str:
        """`original`, `compressed` or `restored`."""
        return DOMAINS[self.letter]

    @property
    def point(self) -> Optional[str]:
        """The operating point; None for originals."""
        return self.degradation.point if self.degradation else None

    @property
    def suffix(self) -> str:
        """What names end in: `-bpg-qp40`, `-bpg-qp40-rdn-psnr`.

        The paper's own restorer, `gan`, goes without saying.
        """
        by = "" if self.restorer in (None, "gan") else f"-{self.restorer}"
        return f"-{self.point}{by}" if self.degradation else ""


def seeded(seed: int) -> str:
    """What the name of a segmenter, and of what it scored, says of its seed: nothing if it is 0."""
    return f"-seed{seed}" if seed else ""


@dataclass(frozen=True)
class Case:
    """A segmenter trained on a domain, with a seed, and tested on a domain; `adaptation` says how it was adapted."""

    train: Domain
    test: Domain
    seed: int
    adaptation: Optional[str] = None

    @classmethod
    def of(cls, configuration: str, degradation: Degradation, restorer: RestorerName, seed: int) -> Case:
        """One of the six configurations, as "RO", where these are in use."""
        train, test = (Domain.of(letter, degradation, restorer) for letter in configuration)
        return cls(train, test, seed)

    @property
    def configuration(self) -> str:
        """Train domain, then test domain: `RO`."""
        return self.train.letter + self.test.letter

    @property
    def name(self) -> str:
        """`RO-bpg-qp40-seed1`; a seed of 0 goes without saying."""
        adapted = f"-{self.adaptation}" if self.adaptation else ""
        return f"{self.configuration}{self.changed.suffix}{seeded(self.seed)}{adapted}"

    @property
    def changed(self) -> Domain:
        """The domain of its two that went through most; originals in OO.

        A case has one degradation and one restorer at most.
        """
        return max(self.train, self.test, key=lambda domain: "OCR".index(domain.letter))
