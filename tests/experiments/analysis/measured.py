"""Made-up measurements of images for the tests of their charts and tables, to be put into the results of `example`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsr.experiments.results import ImageScores, Results, Shift, from_json
from dsr.models.metrics.distances import DISTANCES, Sampled, between_halves, correlate, resamples

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
