"""A made-up but complete study for the tests of the report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = [
    {"name": "road", "color": [128, 64, 128], "small": False},
    {"name": "sky", "color": [70, 130, 180], "small": False},
    {"name": "person", "color": [220, 20, 60], "small": True},
    {"name": "traffic sign", "color": [220, 220, 0], "small": True},
]
POINTS = {"bpg-qp45": ("bpg", 45, 0.0571), "bpg-qp37": ("bpg", 37, 0.2443), "msh-quality3": ("msh", 3, 0.1279)}
# mIoU per configuration, in the order of POINTS
SCORES = {
    "CO": (0.5612, 0.6191, 0.5901),
    "RO": (0.6004, 0.6251, 0.6102),
    "CC": (0.5523, 0.6177, 0.5857),
    "OC": (0.4411, 0.5891, 0.5333),
    "OR": (0.5018, 0.5943, 0.5512),
}
OO = 0.6317


def study(images: Path | None = None) -> dict[str, Any]:
    """The results of a study with two codecs and three operating points; with samples if a folder for them is given."""
    points, evaluations = [], [_evaluation("OO", None, OO)]
    for column, (name, (codec, quality, bpp)) in enumerate(POINTS.items()):
        compressed = {"bpp": bpp, "bpp_min": bpp / 2, "bpp_max": bpp * 2, "train_bpp": bpp * 1.1}
        compressed.update(psnr=31.25 + column, ms_ssim=0.9512, ms_ssim_db=13.12)
        restored = {"psnr": 30.5 + column, "ms_ssim": 0.9433, "ms_ssim_db": 12.46}
        points.append(
            {"point": name, "codec": codec, "quality": quality, "compressed": compressed, "restored": restored}
        )
        evaluations += [_evaluation(configuration, name, scores[column]) for configuration, scores in SCORES.items()]
    return {
        "study": {
            "name": "streets-first",
            "created": "2025-05-01T10:00:00+00:00",
            "seconds": 3725.0,
            "command": "dsr study --seed 7",
            "config": {"segmenter": {"steps": 300}},
            "seed": 7,
        },
        "versions": {"dsr": "0.1.0", "tensorflow": "2.14.1"},
        "dataset": {
            "name": "streets",
            "teaching": True,
            "classes": copy.deepcopy(CLASSES),
            "images": {"restore": 40, "train": 120, "test": 60},
            "height": 24,
            "width": 32,
        },
        "points": points,
        "original_bpp": 9.02,
        "evaluations": evaluations,
        "trainings": [
            _training("restorer", "restorer bpg-qp45", {"l1": [0.2, 0.1], "d_real": [0.5, 0.7], "d_fake": [0.5, 0.3]}),
            _training("segmenter", "segmenter O", {"loss": [2.0, 0.5], "miou": [0.1, 0.63]}),
            _training("segmenter", "segmenter C bpg-qp45", {"loss": [2.0, 0.7], "miou": [0.1, 0.56]}),
        ],
        "samples": [] if images is None else [_sample(images, "test/a", name) for name in POINTS],
        "timings": [
            {"stage": "convert bpg-qp45", "images": 60, "seconds": 12.5, "per_image_ms": 208.333},
            {"stage": "evaluate OO", "images": 60, "seconds": 3.0, "per_image_ms": 50.0},
        ],
        "artefacts": [
            _artefact("shards", "test original", "a" * 64, {}),
            _artefact("shards", "test bpg-qp45", "b" * 64, {"originals": "a" * 64, "model": "c" * 64}),
        ],
    }


def single_point() -> dict[str, Any]:
    """One operating point, no restorer."""
    results = study()
    results["points"] = results["points"][:1]
    results["points"][0]["restored"] = None
    kept = {("OO", None), *((name, "bpg-qp45") for name in ("CO", "CC", "OC"))}
    results["evaluations"] = [e for e in results["evaluations"] if (e["configuration"], e["point"]) in kept]
    return results


def set_miou(results: dict[str, Any], **scores: float) -> dict[str, Any]:
    """Give the configurations of `single_point` other scores, adding RO if named."""
    results["evaluations"] = [e for e in results["evaluations"] if e["configuration"] not in scores]
    for configuration, score in scores.items():
        results["evaluations"].append(_evaluation(configuration, None if configuration == "OO" else "bpg-qp45", score))
    return results


def _evaluation(configuration: str, point: str | None, miou: float) -> dict[str, Any]:
    per_class = {"road": miou + 0.25, "sky": miou + 0.15, "person": miou - 0.12, "traffic sign": miou - 0.28}
    entry = {"configuration": configuration, "point": point, "miou": miou, "pixel_accuracy": min(1, miou + 0.3)}
    return {**entry, "per_class": per_class}


def _training(kind: str, name: str, curves: dict[str, list[float]]) -> dict[str, Any]:
    points = {curve: [[100 * step, value] for step, value in enumerate(values)] for curve, values in curves.items()}
    return {
        "kind": kind,
        "name": name,
        "point": None,
        "domain": None,
        "steps": 100,
        "seconds": 61.0,
        "parameters": 123456,
        "curves": points,
    }


def _artefact(kind: str, name: str, fingerprint: str, inputs: dict[str, str]) -> dict[str, Any]:
    folder, created = f"dsr-work/{fingerprint[:8]}", "2025-05-01T09:00:00+00:00"
    common = {"kind": kind, "name": name, "folder": folder, "fingerprint": fingerprint, "created": created}
    return {**common, "seconds": 12.5, "inputs": inputs}


def _sample(folder: Path, key: str, point: str) -> dict[str, Any]:
    """PNG files of noise: photographs as RGB, maps as gray train ids with some 255 in the labels."""
    pixels = np.random.default_rng(sum(map(ord, point)))
    images: dict[str, str] = {}
    for role in ("original", "compressed", "restored"):
        images[role] = str(folder / f"{point}-{role}.png")
        Image.fromarray(pixels.integers(0, 256, (24, 32, 3), np.uint8)).save(images[role])
    for role in ("label", "OO", *SCORES):
        images[role] = str(folder / f"{point}-{role}.png")
        ids = pixels.integers(0, len(CLASSES), (24, 32)).astype(np.uint8)
        if role == "label":
            ids[:4] = 255
        Image.fromarray(ids).save(images[role])
    return {"key": key, "point": point, "images": images, "bytes": 1234, "psnr": 29.876}
