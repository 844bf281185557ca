"""Datasets: each a `Source` of images and label maps, opened by name."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable
from typing import Any

from dsr.data_pipelines.datasets.base import IGNORE, DatasetError, Label, LabelTable, Sample, Source
from dsr.data_pipelines.datasets.camvid import CamVid
from dsr.data_pipelines.datasets.cityscapes import Cityscapes
from dsr.data_pipelines.datasets.folder import Folder
from dsr.data_pipelines.datasets.inria_aerial import InriaAerial
from dsr.data_pipelines.datasets.photos import Photos
from dsr.data_pipelines.datasets.semantic_drone import SemanticDrone
from dsr.data_pipelines.datasets.streets.dataset import Streets

__all__ = ["DATASETS", "IGNORE", "DatasetError", "Label", "LabelTable", "Sample", "Source", "open_source"]

_SOURCES: dict[str, type[Source]] = {
    source.name: source for source in (Streets, CamVid, Cityscapes, InriaAerial, SemanticDrone, Folder, Photos)
}
DATASETS: dict[str, str] = {
    "streets": "built-in teaching set: drawn street scenes with exact labels; nothing to download",
    "camvid": "CamVid in SegNet's layout: 701 driving images, 11 classes",
    "cityscapes": "Cityscapes: 2975 + 500 labelled street images, 19 classes",
    "inria_aerial": "INRIA Aerial Image Labeling: 360 aerial images of 10 cities, buildings or not",
    "semantic_drone": "Semantic Drone Dataset: 400 drone images, 20 classes",
    "folder": "your own: a folder of images, a folder of label maps, a list of classes",
    "photos": "your own photographs without labels, to train a learned codec on",
}
"""Name of each dataset -> one line about it."""


def open_source(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> Source:
    """Open a dataset by name; `root` is the folder it lies in, `options` are those of its class.

    Reads no images. Raises DatasetError for an unknown name or option, naming the nearest, or a value out of range.
    """
    if name not in _SOURCES:
        raise DatasetError(f"No dataset is called '{name}'{_nearest(name, _SOURCES)}; there are {', '.join(_SOURCES)}.")
    known = [option for option in inspect.signature(_SOURCES[name]).parameters if option != "root"]
    for option in options:
        if option not in known:
            raise DatasetError(
                f"Dataset {name} has no option '{option}'{_nearest(option, known)}; its options are {', '.join(known)}."
            )
    return _SOURCES[name](root, **options)  # type: ignore[call-arg]  # each source takes its root first


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
