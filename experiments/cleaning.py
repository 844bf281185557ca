"""What of a work folder may go: unfinished artefacts that nobody goes on with, and artefacts of no stored study."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dsr.data_pipelines.datasets.files import expanded
from dsr.experiments.config.overrides import ConfigError, flatten
from dsr.experiments.config.schema import StudyConfig
from dsr.experiments.graph.artefacts import closure
from dsr.experiments.graph.places import GROUPS, below
from dsr.experiments.measurements.artefacts import measurements
from dsr.experiments.stored_json import load
from dsr.experiments.stored_study import NO_PATHS, PATHS, stored_config, stored_names
from dsr.experiments.study import Study
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.building import repairing
from dsr.tfrecords.errors import ArtefactError, one_sentence
from dsr.tfrecords.layout import MANIFEST, partial_of
from dsr.tfrecords.locks import locked

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Candidate:
    """A folder that may go.

    Attributes:
      folder: below the work folder.
      bytes: what it takes.
      why: in words.
    """

    folder: Path
    bytes: int
    why: str


def candidates(work: Path, days: float) -> Iterator[Candidate]:
    """What may go, with the reason; nothing is touched.

    Args:
      work: the work folder, on a disk.
      days: unfinished artefacts that changed since so many days stay, whoever makes them.

    Raises:
      ConfigError: the artefacts of a stored study cannot be told, so that nothing is known to be of none.
    """
    if files.is_url(work):
        raise ConfigError(f"{work}: cleaning needs a work folder on a disk")
    kept = _of_studies(work)
    for group in GROUPS:
        for folder in below(work / group) if (work / group).is_dir() else ():
            if not _is_ours(folder, work) or folder in kept or not (folder / MANIFEST).is_file():
                continue
            yield Candidate(folder, size(folder), "of no study that was run")
        for partial in sorted((work / group).rglob("*.partial")):
            if not partial.is_dir() or not _is_ours(partial, work):
                continue
            age = (time.time() - _newest(partial)) / DAY
            if age >= days and partial not in map(partial_of, kept):
                yield Candidate(partial, size(partial), f"not finished, unchanged for {age:.0f} days")


def remove(candidate: Candidate) -> None:
    """Remove a folder that nobody uses.

    Raises:
      ArtefactError: another process makes or repairs it, and it stays; or it cannot be removed, or not all of it.
    """
    with one_sentence(candidate.folder), _alone(candidate.folder):
        files.remove(candidate.folder)
    if os.path.lexists(candidate.folder):
        raise ArtefactError(f"{candidate.folder} cannot be removed whole: see who owns what is in it, and clean again")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if folder.name.endswith(".partial"):
        with locked(folder.with_name(folder.name[: -len(".partial")]), folder, ""):
            yield
    else:
        with repairing(folder):
            yield


def _of_studies(work: Path) -> set[Path]:
    """The folders of all artefacts that the stored studies have, name or would make, and on which reports stand."""
    kept: set[Path] = set()
    for name in stored_names(work):
        try:
            config = stored_config(work, name)
            study = Study(config, work)
            kept |= {artefact.folder for artefact in closure([*study.evaluations(), *measurements(study)])}
        except UserError as error:
            raise ConfigError(f"what study {name} needs cannot be told, so nothing is removed: {error}") from None
        for path in _named_files(config):
            inside = Path(os.path.relpath(os.path.realpath(path), os.path.realpath(work)))
            kept |= {work / place for place in (inside, *inside.parents)}
    for pattern in ("studies/*/results.json", "scores/*/*/results.json"):
        for path in sorted(work.glob(pattern)):
            try:
                kept |= {work / artefact["folder"] for artefact in load(path)["artefacts"]}
            except (UserError, TypeError, KeyError) as error:
                raise ConfigError(f"what {path} stands on cannot be told, so nothing is removed: {error}") from None
    return kept


def _named_files(config: StudyConfig) -> list[Path]:
    """What a configuration starts from by its path: weights, a restorer, a codec of one's own."""
    values = flatten(config)
    texts = [values[key] for key in PATHS if values[key] not in NO_PATHS]
    stages = [stage for point in config.points for stage in (*point.stages_before, point)]
    texts += [value for stage in stages for value in stage.options.values() if isinstance(value, str) and value]
    return [path for path in map(expanded, texts) if path.exists()]


def _is_ours(folder: Path, work: Path) -> bool:
    """Whether a folder lies in the work folder itself, not behind a link."""
    return Path(os.path.realpath(folder)) == Path(os.path.realpath(work)) / os.path.relpath(folder, work)


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(status.st_size for status in _statuses(folder))


def _newest(folder: Path) -> float:
    return max([folder.lstat().st_mtime, *(status.st_mtime for status in _statuses(folder))])


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """Of all files below a folder; one that is gone meanwhile was another process's."""
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield os.lstat(os.path.join(place, name))
