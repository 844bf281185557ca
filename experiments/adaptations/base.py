"""What every adaptation is."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from dsr.experiments.graph.artefacts import Artefact, fingerprints
from dsr.tfrecords.manifest import Identity

if TYPE_CHECKING:
    from dsr.experiments.study import Study


class Adaptation(ABC):
    """What one can do for a segmenter of original images beside restoring what it is trained on.

    A frozen dataclass: its fields are its settings, and part of the identity of each segmenter that it makes.

    Attributes:
      name: as users write it and artefacts bear it.
      label: what it is, for people.
      needs: what it takes beside the compressed training images and their labels, and what it costs, for people.
      trained_on: letters of the domains whose segmenters it is for.
      crops: that a step of it goes over for each one of a plain training.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    needs: ClassVar[str]
    trained_on: ClassVar[str] = "C"
    crops: ClassVar[int] = 1
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @abstractmethod
    def adapt(self, study: Study, trained: Artefact) -> Artefact:
        """The segmenter that is made of what a plain one of a domain and seed, `trained`, is or is made of.

        Raises:
          ConfigError: it cannot be had for this study.
        """

    def derived(
        self, trained: Artefact, config: dict[str, Any], inputs: dict[str, Artefact], **changes: Any
    ) -> Artefact:
        """`trained` with an identity of its own, which follows from its configuration, the settings and the inputs."""
        config = {**config, "adaptation": {"name": self.name, **dataclasses.asdict(self)}}
        identity = Identity(trained.identity.kind, f"{trained.name}-{self.name}", config, fingerprints(inputs))
        return dataclasses.replace(trained, identity=identity, inputs=inputs, by=self.name, **changes)


def seed_of(trained: Artefact) -> int:
    """The seed that a segmenter is trained with."""
    return trained.identity.config["seed"]


def numbered(images: Optional[int], name: str) -> dict[str, Any]:
    """What of a configuration says, by this name, that the first so many of the images set apart are taken.

    Nothing for all. A configuration that has the trained segmenter's in it has `images` already: those with labels.
    """
    return {} if images is None else {name: images}
