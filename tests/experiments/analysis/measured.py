"""Made-up measurements of images for the tests of their charts and tables, to be put into the results of `example`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from dsr.experiments.loss_differences import ADAPTED, DIFFERENCES, SUMS
from dsr.experiments.results import (
    CrossEntropy,
    Estimate,
    ImageLosses,
    ImageScores,
    Information,
    LossDifference,
    Results,
    Shift,
)
from dsr.experiments.stored_json import from_json
from dsr.models.metrics.distances import DISTANCES, Sampled, between_halves, correlate, resamples
from dsr.models.metrics.information import Losses, differ

IMAGES = 60
# How much a domain is changed: compressed images, then what restorers leave of it
CHANGES = {None: 1.0, "gan": 0.3, "rdn-psnr": 0.9, "rdn-msssim": 0.85}


def measure(results: Results) -> Results:
    """Give `results` perceptual scores and a shift of each of its domains."""
    domains = [
        ({"point": point.point, "domain": "restored" if restorer else "compressed", "restorer": restorer}, strength)
        for strength, point in zip((1.0, 0.4, 0.7), results.points)
        for restorer in (None, *point.restored)
    ]
    random = np.random.default_rng(0)
    niqe, hosa = 4 + random.gamma(4, 0.2, IMAGES), 25 + 6 * random.normal(size=IMAGES)
    results.perceptual = [_scores({"point": None, "domain": "original", "restorer": None}, niqe, hosa)]
    features = random.normal(size=(IMAGES, 12))
    originals = random.gamma(1.5, 0.6, 48)
    described = []
    counts = resamples(IMAGES)
    compressed: dict[str, Sampled] = {}
    for words, strength in domains:
        change = strength * CHANGES[words["restorer"]]
        own = np.random.default_rng(len(described))
        worse = change * own.normal(1, 0.3, (2, IMAGES))
        results.perceptual.append(_scores(words, niqe + 1.5 * worse[0], hosa + 22 * worse[1]))
        moved = features * (1 - 0.2 * change) + change * (0.3 + 0.1 * own.normal(size=features.shape))
        sampled = {name: Sampled.of(distance, features, moved, counts) for name, distance in DISTANCES.items()}
        if words["restorer"] is None:
            compressed = sampled
        activations = originals * (1 - change * own.uniform(0, 0.4, 48)) + 0.02 * own.normal(size=48)
        correlation = correlate(originals, activations)
        described.append(
            {
                **words,
                **{name: _estimate(one) for name, one in sampled.items()},
                "change": {name: _estimate(one - compressed[name]) for name, one in sampled.items()}
                if words["restorer"]
                else None,
                "correlation": {
                    "slope": correlation.slope,
                    "r2": correlation.r2,
                    "rms": correlation.rms,
                    "activations": activations.tolist(),
                },
            }
        )
    shift = {
        "features": "deeplab-mobilenet_v2, trained on originals with seed 7",
        "images": IMAGES,
        "channels": 12,
        "halves": {name: between_halves(distance, features) for name, distance in DISTANCES.items()},
        "domains": described,
        "original": originals.tolist(),
    }
    results.shift = from_json(Shift, shift)
    return results


def _scores(words: dict[str, Any], niqe: np.ndarray, hosa: np.ndarray) -> ImageScores:
    return ImageScores(**words, niqe=niqe.tolist(), hosa=hosa.tolist())


def _estimate(sampled: Sampled) -> dict[str, float]:
    low, high = sampled.interval
    return {"value": sampled.value, "low": low, "high": high}


# Bits a labelled pixel that a configuration loses more than OO, at the strength of a point
LOST = {"OO": 0.0, "CC": 0.06, "OC": 0.2, "CO": 0.09, "RO": 0.05, "RR": 0.04, "OR": 0.07}


def lose(results: Results, noise: float = 0.004, pictures: Mapping[str, str] | None = None) -> Results:
    """Give `results` the losses of each of its cases, the first point's the largest."""
    names = [label.name for label in results.dataset.classes]
    random = np.random.default_rng(3)
    keys = [f"test/{number:02}" for number in range(IMAGES)]
    pixels = random.integers(0, 200, (IMAGES, len(names)))
    surprise = random.gamma(2, 0.1, (IMAGES, len(names)))
    hard = random.gamma(2, 0.5, (IMAGES, len(names)))
    seeds = sorted({entry.seed for entry in results.evaluations})
    names_of_restorers = list(dict.fromkeys(name for point in results.points for name in point.restored)) or [None]

    def losses(configuration: str, strength: float, seed: int) -> Losses:
        drawn = np.random.default_rng([seed, *map(ord, configuration), round(1000 * strength)])
        own = noise * drawn.normal(size=(IMAGES, 1)) + noise * drawn.normal()
        bits = surprise + strength * LOST[configuration] * hard + own
        return Losses(bits * math.log(2) * pixels, pixels)

    information = Information(keys, dict(zip(names, pixels.sum(axis=0).tolist())), [], [], [])
    for strength, point in zip((1.0, 0.4, 0.7), results.points):
        for pair in (pair for pair in DIFFERENCES if not set(pair) & {*ADAPTED, *SUMS}):
            for name in names_of_restorers if "R" in "".join(pair) else [None]:
                pairs = [tuple(losses(one, strength * (one != "OO"), seed) for one in pair) for seed in seeds]
                total, classes = differ(pairs, resamples(IMAGES))
                information.differences.append(
                    LossDifference(
                        *pair,
                        point.point,
                        name,
                        len(seeds),
                        Estimate(*astuple(total)),
                        {label: one and Estimate(*astuple(one)) for label, one in zip(names, classes)},
                    )
                )
        apart = [losses("CC", strength, seed).by_image - losses("OO", 0, seed).by_image for seed in seeds]
        information.images.append(ImageLosses(point.point, np.mean(apart, axis=0).tolist(), dict(pictures or {})))
        for configuration in LOST:
            for seed in seeds:
                one = losses(configuration, strength, seed)
                by_class = dict(zip(names, one.by_class.tolist()))
                name = names_of_restorers[0] if "R" in configuration else None
                information.losses.append(
                    CrossEntropy(configuration, point.point, name, seed, 1.2, one.bits, 0.5, by_class)
                )
    results.information = information
    return results
