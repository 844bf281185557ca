"""A trained segmenter says what it is made of, also one that was made of another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.deploy.segmenters import CLASSES, find_trained, read_config, read_table
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.study import ORIGINAL, Study
from dsr.tfrecords.building import building
from dsr.tfrecords.schema import canonical_json
from tests.experiments import studies


def finish(artefact: Artefact, **files: str) -> Path:
    with building(artefact.folder, artefact.identity) as build:
        for name, content in files.items():
            (build.path / name).write_text(content)
    return artefact.folder


def test_a_recalibrated_segmenter_is_what_the_one_is_that_it_was_made_of(tmp_path: Path) -> None:
    study = Study(apply_overrides(studies.small(), ["segmenter.steps=7", "restorer.images=3"]), tmp_path)
    plain, adapted = study.segmenter(ORIGINAL, 0), study.adapted(ORIGINAL, 0, "recalibrated")
    table = study.source.table
    trained = finish(plain, **{CLASSES: canonical_json(table.to_json())})
    folder = finish(adapted)
    assert read_config(folder) == read_config(trained)
    assert read_config(folder).network == study.config.segmenter.network
    assert read_table(folder).labels == read_table(trained).labels == table.labels
    shutil.rmtree(trained)
    with pytest.raises(
        DeployError,
        match="recalibrated-[0-9a-f]{8} was made of another segmenter, which is not in .*segmenters: put it back",
    ):
        read_config(folder)


@pytest.mark.parametrize("called", ["best", "-12345678"])
def test_a_segmenter_that_a_user_named_hides_no_other_and_is_found_by_its_name(called: str, tmp_path: Path) -> None:
    study = Study(studies.small(), tmp_path)
    trained = finish(study.segmenter(ORIGINAL, 0))
    copied = Path(shutil.copytree(trained, tmp_path / "segmenters" / called))
    assert find_trained(study.segmenter(ORIGINAL, 0).name, "segmenter", tmp_path) == trained
    assert find_trained(called, "segmenter", tmp_path) == copied
