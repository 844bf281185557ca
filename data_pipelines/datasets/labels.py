"""Label tables: which ids a dataset's files hold, which classes they become, and how a class is drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dsr.data_pipelines.datasets.errors import DatasetError

IGNORE = 255
"""Train id of pixels that neither the loss nor the metric looks at."""


@dataclass(frozen=True)
class Label:
    """One id of a dataset.

    id: the value in the dataset's label files.
    train_id: class 0..C-1 that the segmenter learns, or 255 (ignore); several ids may share a class.
    color: (r, g, b) for display, and for label files that hold colours instead of ids.
    small: belongs to the small objects of the paper's section V-B, whose accuracy is reported apart.
    """

    id: int
    train_id: int
    name: str
    color: tuple[int, int, int]
    small: bool = False


@dataclass(frozen=True)
class LabelTable:
    """All labels of a dataset; train ids must be 0..C-1 without a hole, or 255."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        if len(set(ids)) != len(ids) or any(not 0 <= i <= 65535 for i in ids):
            raise DatasetError(
                f"The class list has ids that repeat or lie outside 0..65535: {sorted(ids)}; fix the ids."
            )
        train_ids = {label.train_id for label in self.labels} - {IGNORE}
        if not train_ids or len(train_ids) > IGNORE or train_ids != set(range(len(train_ids))):
            raise DatasetError(
                f"The class list has train ids {sorted(train_ids)}; they must be 0, 1, 2, ... without a hole, or 255."
            )

    @property
    def classes(self) -> tuple[Label, ...]:
        """One label per class, in the order of train ids: the first in the table with that train id."""
        first: dict[int, Label] = {}
        for label in self.labels:
            first.setdefault(label.train_id, label)
        return tuple(first[train_id] for train_id in sorted(first) if train_id != IGNORE)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def to_train_ids(self, raw: np.ndarray, path: object) -> np.ndarray:
        """Map ids as in the files (H, W), or colours (H, W, 3), to train ids, uint8 (H, W).

        Raises DatasetError naming `path` if a pixel holds an id or colour that the table does not have.
        """
        if raw.ndim == 3:
            red, green, blue = (raw[..., channel].astype(np.int32) for channel in range(3))
            packed = red << 16 | green << 8 | blue
            keys, train_ids = self._colors
            place = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
            unknown = keys[place] != packed
        else:
            known, train_ids = self._ids
            place = raw if raw.dtype == np.uint8 else np.clip(raw.astype(np.int64), 0, len(known) - 1)
            unknown = ~known[place] | (raw != place)
        if unknown.any():
            found = np.unique(raw[unknown], axis=0)[:4].tolist()
            kind = "colours" if raw.ndim == 3 else "ids"
            raise DatasetError(
                f"{path}: {int(unknown.sum())} pixels hold {kind} that the class list does not have, such as "
                f"{', '.join(map(str, found))}; add them to the class list (train id 255: ignored) or repair the file."
            )
        return train_ids[place]

    @cached_property
    def _ids(self) -> tuple[np.ndarray, np.ndarray]:
        size = max(256, *(label.id + 1 for label in self.labels))  # every uint8 is an index
        known, lookup = np.zeros(size, bool), np.full(size, IGNORE, np.uint8)
        for label in self.labels:
            known[label.id], lookup[label.id] = True, label.train_id
        return known, lookup

    @cached_property
    def _colors(self) -> tuple[np.ndarray, np.ndarray]:
        first: dict[int, int] = {}
        for label in self.labels:
            r, g, b = label.color
            first.setdefault(r << 16 | g << 8 | b, label.train_id)
        keys = np.array(sorted(first))
        return keys, np.array([first[key] for key in keys.tolist()], np.uint8)

    def colorize(self, train_ids: np.ndarray) -> np.ndarray:
        """Train ids, integer (...), to display colours, uint8 (..., 3); 255 and unknown classes are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: self.num_classes] = [label.color for label in self.classes]
        return palette[train_ids]

    def to_json(self) -> list[dict[str, Any]]:
        return [{**asdict(label), "color": list(label.color)} for label in self.labels]
