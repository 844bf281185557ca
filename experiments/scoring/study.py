"""A network that was trained elsewhere on a dataset's test images, original, compressed and restored, as artefacts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE
from dsr.data_pipelines.degradations import Degradation
from dsr.experiments.config.schema import StudyConfig
from dsr.experiments.conversion import Converting
from dsr.experiments.domain import Case
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.samples import spread
from dsr.experiments.scoring.collecting import evaluation_result
from dsr.experiments.scoring.counts import Counts, ImageCounts
from dsr.experiments.scoring.errors import ScoreError
from dsr.experiments.scoring.labelling import Labeller
from dsr.experiments.study import FOLDER_NAME, ORIGINAL, Study
from dsr.tfrecords.building import Build, building
from dsr.tfrecords.errors import one_sentence
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.manifest import Identity, check, records, release
from dsr.tfrecords.png import encode_png
from dsr.tfrecords.schema import Record, canonical_json

COUNTS = "counts.jsonl"
"""Of an evaluation: a line for each image, its key and what it adds to the scores."""

SECONDS_PER_IMAGE = 0.5


class ScoringStudy(Study):
    """Scores what was trained elsewhere; the dataset needs test images alone.

    what: That is scored, as part of the report's folder.
    restorers: Folders of trained restorers by name.
    labeller: The network; None where there are predictions instead.
    """

    def __init__(
        self,
        config: StudyConfig,
        work: Path,
        converting: Converting,
        what: str,
        restorers: Optional[Mapping[str, Path]] = None,
        labeller: Optional[Labeller] = None,
    ) -> None:
        for name in (what, *(restorers or {})):
            if not FOLDER_NAME.fullmatch(name):
                raise ScoreError(f"{name!r} cannot be a folder's name: rename the file or folder that is called so")
        self.what = what
        self.restorers = dict(restorers or {})
        self.labeller = labeller
        super().__init__(dataclasses.replace(config, restorers=tuple(self.restorers)), work, converting, ("test",))

    @property
    def folder(self) -> Path:
        return self.work / "scores" / self.config.name / self.what

    def restorer(self, degradation: Degradation, name: str) -> Artefact:
        """The trained network of that name, whatever it restores."""
        return self._shipped(name, self.restorers[name])

    def cases(self, *configurations: str) -> list[Case]:
        """On originals first, then at each operating point on compressed and restored images."""
        return [Case(ORIGINAL, domain, self.config.seed) for domain in self.domains()]

    def images_to_score(self) -> list[Artefact]:
        """The test shards of all domains."""
        return [self.shards(domain, "test") for domain in self.domains()]

    @cached_property
    def described(self) -> dict[str, Any]:
        """What the network is: its files, and what it gives for the first test image, as files need not tell all.

        A function may read weights from anywhere, and an ONNX file have them beside it. The original test shards must
        exist.
        """
        assert self.labeller is not None
        first = next(records(self.shards(ORIGINAL, "test").folder))
        answer = hashlib.sha256(self.labeller(first.pixels()).tobytes()).hexdigest()
        return {**self.labeller.describe(), "first": answer}

    def evaluation(self, case: Case) -> Artefact:
        """The network on test shards. The original ones must exist."""
        self._check_labelled("test")
        assert self.labeller is not None
        inputs = {"shards": self.shards(case.test, "test")}
        shown = min(self.config.samples, self.images("test"))
        config = {"model": self.described, "samples": shown, "dsr": release()}
        name = f"{self.source.name}/{self.labeller.network.name}-{case.name}"
        return Artefact(
            group="evaluations",
            root=self.work,
            identity=Identity("evaluation", name, config, {"shards": inputs["shards"].fingerprint}),
            of=case,
            inputs=inputs,
            build=self._build,
            units=self.images("test"),
            seconds_per_unit=SECONDS_PER_IMAGE,
        )

    def counts(self) -> dict[Case, Counts]:
        """Of all evaluations, which must exist."""
        return {
            case: self._joined(self.evaluation(case).file(COUNTS).read_bytes().splitlines()) for case in self.cases()
        }

    @cached_property
    def _labelled(self) -> dict[str, NDArray[np.int64]]:
        """Pixels of each class in the label of each original test image, by key."""
        classes = self.source.table.num_classes
        found = {}
        for record in records(self.shards(ORIGINAL, "test").folder):
            truth = _truth(record)
            found[record.key] = ImageCounts.of(truth, truth, classes).labelled
        return found

    def _joined(self, lines: Sequence[bytes]) -> Counts:
        """The counts in lines of COUNTS; those of releases before 0.4.5 have the sum of `labelled` over the classes."""
        images = {}
        for found in map(json.loads, lines):
            key, labelled = found["key"], found["labelled"]
            if not isinstance(labelled, list):
                labelled = self._labelled[key]
            images[key] = ImageCounts(*map(np.asarray, (found["intersection"], found["union"], labelled)))
        return Counts.joined(images)

    def _build(self, artefact: Artefact, progress: Progress) -> None:
        """Score image by image; after a kill it goes on with the next one."""
        classes = self.source.table.classes
        with (
            one_sentence(artefact.folder),
            building(artefact.folder, artefact.identity) as build,
            progress.meter(artefact.label, artefact.units) as meter,
        ):
            folder = artefact.inputs["shards"].folder
            total = check(folder).summary["images"]
            shown = spread(self.config.samples, total)
            path = build.path / COUNTS
            lines = _whole_lines(path)
            write_atomically(path, b"".join(lines))
            with path.open("ab") as file:
                for number, record in enumerate(records(folder)):
                    if number >= len(lines):
                        line = self._score(record, shown.get(number), build)
                        file.write(line)
                        file.flush()
                        lines.append(line)
                    meter.update(number + 1)
            case, counts = artefact.of, self._joined(lines)
            assert isinstance(case, Case)
            found = evaluation_result(case, counts, [label.name for label in classes])
            if found.miou is None:
                raise ScoreError(f"{folder}: no pixel of its {total} images has a class, so nothing can be scored")
            build.summary.update(
                images=total,
                miou=found.miou,
                pixel_accuracy=found.pixel_accuracy,
                per_class=found.per_class,
                samples=[json.loads(lines[number])["key"] for number in sorted(shown)],
            )

    def _score(self, record: Record, shown: Optional[int], build: Build) -> bytes:
        """The line of an image; its prediction is written first if it is one of those shown."""
        assert self.labeller is not None
        try:
            predicted = self.labeller(record.pixels())
        except ScoreError as error:
            raise ScoreError(f"{record.key}: {error}") from error
        if shown is not None:
            write_atomically(build.path / f"prediction-{shown}.png", encode_png(predicted))
        counts = ImageCounts.of(_truth(record), predicted, self.source.table.num_classes)
        line = {name: getattr(counts, name).tolist() for name in ("intersection", "union", "labelled")}
        return canonical_json({"key": record.key, **line}).encode() + b"\n"


def _truth(record: Record) -> NDArray[np.uint8]:
    """Its train ids, (height, width); nothing is labelled in an image without a label map."""
    truth = record.train_ids()
    return np.full((record.height, record.width), IGNORE, np.uint8) if truth is None else truth


def _whole_lines(path: Path) -> list[bytes]:
    """What an earlier, killed process wrote, but for a line that it did not end."""
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
