"""What a study takes of a GPU and of a disk, before anything of it exists: multiplication, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dsr.experiments.config.schema import ROLES
from dsr.experiments.conversion import sample_pixels
from dsr.experiments.domain import Domain
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.restorers.registry import RESTORERS

GPU_RATE = 8.2e12
"""Multiply-adds a second: what one H100 did in training the restorer that comes with dsr, in PyTorch and bfloat16
(docs/restorer.md: 4162 steps of 12 patches of 256x256 in 690 s)."""

GPU_BASIS = "at the rate of an H100 in bfloat16, training the restorer that comes with dsr: docs/restorer.md"

BYTES_PER_PIXEL = {"O": 1.16, "C": 0.68, "R": 1.16}
"""Of shards by domain, on CamVid enlarged to 2048x1024, BPG at QP 40 (docs/scale.md); what is restored is taken to need
what originals need."""

BYTES_BASIS = "bytes a pixel of CamVid's, docs/scale.md"

SAMPLE = 2
"""Images of a role whose size is looked at."""


@dataclass(frozen=True)
class Costs:
    """Of what is still to be made.

    Attributes:
        gpu_seconds: Of training, restoring, testing and looking at features and losses.
        bytes: Of shards.
    """

    gpu_seconds: float
    bytes: float


def costs(study: Study, artefacts: Iterable[Artefact]) -> Costs:
    """What making these artefacts takes; of several kinds of image sizes, the mean of a few images stands for all."""
    pixels = {role: _pixels(study, role) for role in ROLES}
    roles = {study.shards(domain, role).folder: role for domain in study.domains() for role in _roles(study, domain)}
    multiply_adds, stored = 0.0, 0.0
    for artefact in artefacts:
        if artefact.group == "shards" and isinstance(artefact.of, Domain):
            size = artefact.units * pixels[roles.get(artefact.folder, "train")]
            stored += size * BYTES_PER_PIXEL[artefact.of.letter]
            if artefact.of.restorer is not None:
                multiply_adds += size * study.config.restorer.network(artefact.of.restorer).multiply_adds
        elif artefact.group in ("evaluations", "features", "losses"):
            multiply_adds += artefact.units * pixels["test"] * study.config.segmenter.network.multiply_adds
        elif artefact.batch is not None:
            multiply_adds += artefact.units * artefact.batch * _of_training(study, artefact)
    return Costs(multiply_adds / GPU_RATE, stored)


def _roles(study: Study, domain: Domain) -> tuple[str, ...]:
    """The roles whose images there are in a domain."""
    return tuple(role for role in ROLES if not (role == "train" and domain == ORIGINAL and study.came_compressed))


def _of_training(study: Study, artefact: Artefact) -> float:
    """Multiply-adds of a training for each image of a step."""
    config = study.config
    if artefact.group == "segmenters":
        crop = config.segmenter.crop_height * config.segmenter.crop_width
        crops = config.adaptation.of(artefact.by).crops if artefact.by else 1
        return 3 * crops * crop * config.segmenter.network.multiply_adds
    if artefact.group == "codecs":
        return config.codec.patch**2 * config.codec.multiply_adds
    assert isinstance(artefact.of, Domain) and artefact.of.restorer is not None
    assert RESTORERS[artefact.of.restorer].folder is None, "one that comes trained is no training"
    training = config.restorer.training(artefact.of.restorer)
    return training.patch**2 * training.multiply_adds


def _pixels(study: Study, role: str) -> float:
    """Of an image of a role; 0 if none can be read."""
    found = [math.prod(pixels.shape[:2]) for pixels in sample_pixels(study.source, study.split(role), SAMPLE)]
    return sum(found) / max(len(found), 1)
