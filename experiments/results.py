"""From a study's artefacts to the numbers and pictures of its report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from dsr.data_pipelines.codecs import Codec, make_codec
from dsr.experiments.analysis.report import write_report
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import CONFIGURATIONS, ROLES
from dsr.experiments.domain import DOMAINS, needs_restorer
from dsr.experiments.graph.artefacts import CURVES, Artefact, closure
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.measurements.kept import kept
from dsr.experiments.measurements.shift import perceptual_results, shift_results
from dsr.experiments.study import Study
from dsr.tfrecords.converter import STATISTICS
from dsr.tfrecords.manifest import records

FIDELITY = ("bpp", "bpp_min", "bpp_max", "psnr", "ms_ssim", "ms_ssim_db")


def collect(study: Study) -> dict[str, Any]:
    """What the existing artefacts of a study say, as one JSON-able dictionary (its schema: `dsr.experiments.analysis`).

    Raises:
      ConfigError: not one evaluation of the study exists yet.
    """
    evaluations = [e for e in study.evaluations() if e.exists]
    if not evaluations:
        raise ConfigError(f"study {study.config.name} has no evaluation in {study.work} yet: run dsr run first")
    artefacts = [a for a in closure([*evaluations, *measurements(study)]) if a.exists]
    table = study.source.table
    original = study.original("test").manifest.summary
    return {
        "study": {
            "name": study.config.name,
            "created": max(a.manifest.created for a in artefacts),
            "seconds": sum(a.seconds for a in artefacts),
            "command": "dsr " + shlex.join(sys.argv[1:]),
            "config": study.config.to_json(),
            "seed": study.config.seed,
        },
        "versions": max(artefacts, key=lambda a: a.manifest.created).manifest.versions,
        "dataset": {
            "name": study.source.name,
            "teaching": study.source.name == "streets",
            "classes": [{"name": c.name, "color": list(c.color), "small": c.small} for c in table.classes],
            "images": {role: study.images(role) for role in ROLES},
            "height": original["height"],
            "width": original["width"],
        },
        "original_bpp": original["bpp"],
        "points": [_point(study, codec) for codec in study.codecs if study.compressed("test", codec).exists],
        "evaluations": [_evaluation(e) for e in evaluations],
        "perceptual": perceptual_results(study),
        "shift": shift_results(study),
        "restorer_images": kept(study, "restorer_images"),
        "inference_times": kept(study, "inference_times"),
        "trainings": [_training(a) for a in artefacts if a.group in ("restorers", "segmenters")],
        "samples": [sample for codec in study.codecs for sample in _samples(study, codec)],
        "timings": [_timing(a) for a in artefacts],
        "artefacts": [
            {
                "kind": a.identity.kind,
                "name": a.name,
                "folder": str(a.folder.relative_to(study.work)),
                "fingerprint": a.fingerprint,
                "created": a.manifest.created,
                "seconds": a.seconds,
                "inputs": a.identity.inputs,
            }
            for a in artefacts
        ],
    }


def report_of(study: Study, results: dict[str, Any]) -> Path:
    """Write the report page and its tables to the study's folder; returns the page."""
    return write_report(results, study.folder)


def _point(study: Study, codec: Codec) -> dict[str, Any]:
    compressed = study.compressed("test", codec).manifest.summary
    restored = {name: study.restored("test", codec, name) for name in study.config.restorers}
    train = study.compressed("train", codec)
    return {
        "point": codec.point,
        "codec": codec.name,
        "quality": codec.quality,
        "compressed": {key: compressed[key] for key in FIDELITY}
        | {"train_bpp": train.manifest.summary["bpp"] if train.exists else None},
        "restored": {
            name: {key: shards.manifest.summary[key] for key in FIDELITY[3:]}
            for name, shards in restored.items()
            if shards.exists
        },
    }


def _evaluation(artefact: Artefact) -> dict[str, Any]:
    summary = artefact.manifest.summary
    segmenter = artefact.inputs["segmenter"]
    shards = (artefact.inputs["shards"], segmenter.inputs["shards"])
    return {
        "configuration": artefact.name.rpartition("/")[2].partition("-")[0],
        "point": next(filter(None, map(_point_of, shards)), None),
        "restorer": next(filter(None, map(_restorer_of, shards)), None),
        "seed": segmenter.identity.config["seed"],
        **{key: summary[key] for key in ("miou", "pixel_accuracy", "per_class")},
    }


def _training(artefact: Artefact) -> dict[str, Any]:
    """A restorer's or segmenter's size, time and curves."""
    words = artefact.name.rpartition("/")[2]
    domain = next((letter for letter, word in DOMAINS.items() if f"-{word}" in words), None)
    point = next(filter(None, map(_point_of, artefact.inputs.values())), None)
    restorer = _restorer_of(artefact) or next(filter(None, map(_restorer_of, artefact.inputs.values())), None)
    return {
        "kind": artefact.identity.kind,
        "name": f"{artefact.identity.kind} {words}",
        "point": point,
        "domain": domain,
        "restorer": restorer,
        "seed": artefact.identity.config["seed"],
        "steps": artefact.manifest.summary["steps"],
        "seconds": artefact.seconds,
        "parameters": artefact.manifest.summary["parameters"],
        "curves": json.loads(artefact.file(CURVES).read_text()),
    }


def _point_of(shards: Artefact) -> str | None:
    """The operating point behind shards: their own codec, or that of what they were restored from."""
    if "compressed" in shards.inputs:
        return _point_of(shards.inputs["compressed"])
    codec = shards.identity.config.get("codec")
    return make_codec(codec["name"], codec["quality"], **codec["options"]).point if codec else None


def _restorer_of(artefact: Artefact) -> str | None:
    """The name of the restorer that an artefact is, or that shards were restored by."""
    if "restorer" in artefact.inputs:
        return _restorer_of(artefact.inputs["restorer"])
    if artefact.group != "restorers":
        return None
    return artefact.name.rpartition("/")[2].removesuffix(f"-{_point_of(artefact.inputs['compressed'])}")


def _samples(study: Study, codec: Codec) -> list[dict[str, Any]]:
    """The test images that the evaluations kept, in every domain and with every configuration's prediction, of the first seed."""
    unrestored = {c: study.evaluation(c, codec) for c in CONFIGURATIONS if not needs_restorer(c)}
    restored = {
        name: {c: study.evaluation(c, codec, name) for c in CONFIGURATIONS if needs_restorer(c)}
        for name in study.config.restorers
    }
    existing = [e for group in (unrestored, *restored.values()) for e in group.values() if e.exists]
    if not existing or not study.compressed("test", codec).exists:
        return []
    keys = existing[0].manifest.summary["samples"]
    folder = study.folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    originals = _pictures(study.original("test"), set(keys), folder)
    compressed = _pictures(study.compressed("test", codec), set(keys), folder)
    pictures = {name: _pictures(study.restored("test", codec, name), set(keys), folder) for name in restored}
    return [
        {
            "key": key,
            "point": codec.point,
            "images": {
                "original": originals[key][0],
                "compressed": compressed[key][0],
                "label": originals[key][1],
                **_predictions(unrestored, number),
            },
            "restored": {
                name: {"restored": pictures[name][key][0], **_predictions(restored[name], number)}
                for name in restored
                if key in pictures[name]
            },
            **_measured(study.compressed("test", codec), key),
        }
        for number, key in enumerate(keys)
    ]


def _predictions(evaluations: dict[str, Artefact], number: int) -> dict[str, str]:
    """Where the existing evaluations of {configuration: evaluation} put the label map of a sample."""
    return {c: str(e.folder / f"prediction-{number}.png") for c, e in evaluations.items() if e.exists}


def _pictures(shards: Artefact, keys: set[str], folder: Path) -> dict[str, tuple[str, str]]:
    """Image and label PNGs of some records, taken out of existing shards: {key: (image path, label path)}."""
    if not shards.exists:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for record in records(shards.folder):
        if record.key in keys:
            stem = f"{shards.fingerprint[:8]}-{len(found)}"
            image, label = folder / f"{stem}.png", folder / f"{stem}-label.png"
            image.write_bytes(record.image)
            label.write_bytes(record.label)
            found[record.key] = str(image), str(label)
    return found


def _measured(compressed: Artefact, key: str) -> dict[str, Any]:
    rows = json.loads(compressed.file(STATISTICS).read_text())
    row = next(row for row in rows if row["key"] == key)
    return {"bytes": row["bytes"], "psnr": row["psnr"]}


def _timing(artefact: Artefact) -> dict[str, Any]:
    """Wall time of an artefact; per unit: an image, or a step of training."""
    images = artefact.manifest.summary["images"]
    units = artefact.manifest.summary.get("steps", images)
    return {
        "stage": artefact.label,
        "images": images,
        "seconds": artefact.seconds,
        "per_image_ms": 1000 * artefact.seconds / units,
    }
