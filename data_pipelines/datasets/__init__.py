"""Datasets: each a `Source` of images and label maps, opened by name."""

from __future__ import annotations

import inspect
import os
from typing import Any

from dsr.data_pipelines.datasets.base import IGNORE, DatasetError, Label, LabelTable, Sample, Source
from dsr.data_pipelines.datasets.camvid import CamVid
from dsr.data_pipelines.datasets.cityscapes import Cityscapes
from dsr.data_pipelines.datasets.folder import Folder
from dsr.data_pipelines.datasets.inria_aerial import InriaAerial
from dsr.data_pipelines.datasets.originals import Originals
from dsr.data_pipelines.datasets.photos import Photos
from dsr.data_pipelines.datasets.semantic_drone import SemanticDrone
from dsr.data_pipelines.datasets.streets.dataset import Streets
from dsr.data_pipelines.names import did_you_mean

__all__ = [
    "DATASETS",
    "IGNORE",
    "DatasetError",
    "Label",
    "LabelTable",
    "Sample",
    "Source",
    "dataset_class",
    "open_source",
    "text_options",
]

DATASETS: dict[str, type[Source]] = {
    source.name: source
    for source in (Streets, CamVid, Cityscapes, InriaAerial, SemanticDrone, Folder, Photos, Originals)
}
"""Name of each dataset -> its class; a new one is a file and its place in this list."""


def dataset_class(name: str) -> type[Source]:
    """The class of the dataset called `name`; raises DatasetError, with the nearest name, if there is none."""
    if name not in DATASETS:
        raise DatasetError(
            f"No dataset is called '{name}'{did_you_mean(name, DATASETS)}; there are {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def open_source(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> Source:
    """Open a dataset by name; `root` is the folder it lies in, `options` are those of its class.

    Reads no images. Raises DatasetError for an unknown name or option, naming the nearest, or a value out of range.
    """
    source = dataset_class(name)
    known = [option for option in inspect.signature(source).parameters if option != "root"]
    for option in options:
        if option not in known:
            raise DatasetError(
                f"Dataset {name} has no option '{option}'{did_you_mean(option, known)}; its options are "
                f"{', '.join(known)}."
            )
    return source(root, **options)  # type: ignore[call-arg]  # each source takes its root first


def text_options(name: str) -> frozenset[str]:
    """The options of a dataset that hold text, by their defaults, as a folder's name that may look like a number.

    Raises DatasetError for an unknown name.
    """
    parameters = inspect.signature(dataset_class(name)).parameters.values()
    return frozenset(parameter.name for parameter in parameters if isinstance(parameter.default, str))
