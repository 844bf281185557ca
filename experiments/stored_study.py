"""A study's folder: of whose images it is, and the configuration that is kept there, so that its name says all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Optional

from dsr.data_pipelines.datasets.files import expanded
from dsr.experiments.config.overrides import ConfigError, apply_overrides, flatten, nearest
from dsr.experiments.config.presets import PRESETS
from dsr.experiments.config.schema import OperatingPoint, StudyConfig
from dsr.experiments.config.settings import configured, read_settings, to_toml
from dsr.experiments.stored_json import load
from dsr.experiments.study import Study
from dsr.experiments.trained_codec import is_trained
from dsr.models.restorers.folder import SHIPPED
from dsr.tfrecords.errors import cannot_write
from dsr.tfrecords.files import write_atomically

OWNER = "dataset.json"
"""In the study's folder: whose images it is about."""

STORED = "study.toml"
"""In the study's folder; `dsr config` prints the same."""

PATHS = ("dataset.root", "segmenter.network.weights", "restorer.gan.vgg", "restorer.gan.start", "codec.start")
"""Keys that may name files; they are kept in full, for use from any folder."""

NO_PATHS = (None, "none", "imagenet", SHIPPED)
"""What may stand in place of one."""


def claim_folder(study: Study, folder: Optional[Path] = None) -> Path:
    """The folder of a study, made if need be, where it is of the study's dataset.

    Args:
      study: Whose images it is about.
      folder: Instead of the study's own.

    Raises:
      ConfigError: it is that of another dataset under the same name.
      ArtefactError: it cannot be written.
    """
    folder = folder or study.folder
    root = study.config.dataset.root
    mine = {"dataset": study.source.name, "root": root and str(Path(root).expanduser().resolve())}
    note = folder / OWNER
    try:
        theirs = load(note)
    except FileNotFoundError:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(note, json.dumps(mine).encode())
        except OSError as error:
            raise cannot_write(folder, error) from None
    else:
        if theirs != mine:
            raise ConfigError(f"{folder} is of other images ({note} names them): give this study a --name")
    return folder


def store(study: Study, preset: str) -> Path:
    """Keep the configuration of a study in its folder; returns the file.

    Raises:
      ConfigError: the folder is that of other images, or a path is no text. ArtefactError: it cannot be written.
    """
    values = flatten(study.config)
    files = {key: expanded(values[key]) for key in PATHS if values[key] not in NO_PATHS}
    full = apply_overrides(study.config, [f"{key}={path.resolve()}" for key, path in files.items() if path.exists()])
    full = dataclasses.replace(full, points=tuple(map(located, full.points)))
    path = claim_folder(study) / STORED
    try:
        write_atomically(path, to_toml(full, preset).encode())
    except UnicodeEncodeError:
        raise ConfigError(
            f"{path} cannot say which files it takes: a file or folder among the settings has a name of bytes that are "
            "no UTF-8 text; rename it"
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from None
    return path


def located(point: OperatingPoint) -> OperatingPoint:
    """The point, its codec's model named in full if it is a file or folder: for use from any folder."""
    model = point.options.get("model")
    if not model or is_trained(point) or not (path := expanded(model)).exists():
        return point
    return dataclasses.replace(point, options={**point.options, "model": str(path.resolve())})


def stored(work: Path, name: str) -> tuple[Optional[str], list[str]]:
    """The preset and the settings that the study of this name was run with last.

    Raises:
      ConfigError: there is none, with the names that there are; or its file is damaged.
    """
    if name not in (names := stored_names(work)):
        there = nearest(name, names) if names else "; run one first: dsr run"
        raise ConfigError(f"no study {name!r} was run in {work}{there}")
    return read_settings(work / "studies" / name / STORED)


def stored_config(work: Path, name: str) -> StudyConfig:
    """The same as a configuration."""
    preset_name, overrides = stored(work, name)
    return configured(preset_name or next(iter(PRESETS)), overrides)


def stored_names(work: Path) -> list[str]:
    """Of the studies that a work folder has the configurations of."""
    return sorted(path.parent.name for path in (work / "studies").glob(f"*/{STORED}"))
