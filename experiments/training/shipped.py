"""Restorers that come trained with dsr, as artefacts: a work folder holds all that its results came from."""

from __future__ import annotations

import shutil
from pathlib import Path

from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.models.restorers.folder import GENERATOR, description_file, weights_file
from dsr.models.restorers.saved import read_config
from dsr.tfrecords.building import building


def build_shipped(folder: Path, artefact: Artefact, progress: Progress) -> None:
    """Copy the network that restores from the package into the work folder.

    Args:
      folder: of the trained restorer.

    Raises:
      ArtefactError: another process makes the same.
      RestorerError: the package is damaged.
    """
    with building(artefact.folder, artefact.identity) as build:
        for path in (description_file(folder, GENERATOR), weights_file(folder, GENERATOR)):
            shutil.copyfile(path, build.path / path.name)
        build.summary.update(parameters=read_config(folder).parameters)
