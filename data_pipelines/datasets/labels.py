"""Label tables: which ids a dataset's files hold, which classes they become, and how a class is drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from dsr.data_pipelines.datasets.errors import DatasetError
from dsr.models.segmenter.labels import IGNORE

ADD_TO_THE_LIST = "add them to the class list (with train_id 255 to ignore them), or repair the file"
"""What to do about labels that a list does not have, where the list is the user's own."""

_SHOWN = 4  # of the values that are not known


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
    """All labels of a dataset; train ids must be 0..C-1 without a hole, or 255.

    coloured: whether label files may hold the labels' colours; if not, those are for display alone.
    remedy: what to do about ids or colours that are not in the table.
    """

    labels: tuple[Label, ...]
    coloured: bool = True
    remedy: str = ADD_TO_THE_LIST

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

    def resolve(self, written: np.ndarray, shown: np.ndarray, path: object) -> np.ndarray:
        """What is meant in a file whose numbers stand for something else, as the index of a palette does.

        PNG optimisers pack ids and colours into palettes, whose indexes then mean nothing; other programs write ids as
        indexes, and add any colours to look at. So a palette of greys, and one of this table's colours, are looked
        through; in one of other colours the index is the id. Where index and colour are both in the table as different
        classes, nobody can tell; and so with grey of few bits, which some write with ids and some with parts of 255.

        Args:
          written: the numbers in the file, uint8 (H, W).
          shown: what each number stands for, uint8: a grey value (N,), or a colour (N, 3).

        Returns:
          `written` itself, or the greys (H, W) or colours (H, W, 3) that are shown, for `to_train_ids`.

        Raises:
          DatasetError naming `path`: it cannot be told, or a number stands for nothing.
        """
        used = np.flatnonzero(np.bincount(written.ravel()))
        if used[-1] >= len(shown):
            raise DatasetError(
                f"{path}: holds the palette index {used[-1]}, but its palette ends at {len(shown) - 1}; export it anew."
            )
        if shown.ndim == 2 and (shown == shown[:, :1]).all():  # all of it: entries of VOC's are grey too
            shown = shown[:, 0]
            if np.array_equal(shown[used], used):
                return written
            if len(shown) not in (2, 4, 16) or not np.array_equal(shown, np.linspace(0, 255, len(shown))):
                return shown[written]
        if shown.ndim == 2 and not self.coloured:
            self._refuse_moved(used, shown[used], path)
            return written
        numbers, looks = self._train_ids_of(used), self._train_ids_of(shown[used])
        differing = [entry for entry in zip(used, numbers, looks) if None not in entry and entry[1] != entry[2]]
        if not differing:
            return shown[written] if None in numbers and None not in looks else written
        if shown.ndim == 2 and None not in self._train_ids_of(_without_padding(shown, used[-1] + 1)):
            return shown[written]
        if shown.ndim == 2 and None in looks and _is_voc(shown):
            return written
        number, here, there = differing[0]
        what = "palette index and palette colour disagree" if shown.ndim == 2 else "grey of few bits has two meanings"
        raise DatasetError(
            f"{path}: its {what}: {number} as an id is {self._name(here)}, and what it is shown as, "
            f"{shown[number].tolist()}, is {self._name(there)}; save the ids as 8-bit grey PNG."
        )

    def to_train_ids(self, raw: np.ndarray, path: object) -> np.ndarray:
        """Map ids as in the files (H, W), or colours (H, W, 3), to train ids, uint8 (H, W).

        Raises DatasetError naming `path` if a pixel holds an id or colour that the table does not have.
        """
        if raw.ndim == 3:
            if not self.coloured:
                other_way = ", or add the columns r,g,b to the list" if self.remedy == ADD_TO_THE_LIST else ""
                raise DatasetError(
                    f"{path}: holds colours, such as {raw[0, 0].tolist()}, but the class list gives none; save the ids "
                    f"as 8-bit grey PNG{other_way}."
                )
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
            found = np.unique(raw[unknown], axis=0)[:_SHOWN].tolist()
            kind, remedy = "colours" if raw.ndim == 3 else "ids", self.remedy
            if raw.ndim == 3 and (raw[..., :1] == raw[..., 1:]).all():
                kind, remedy = (
                    "three equal channels, grey ids saved as RGB,",
                    "save them as one channel (8-bit grey PNG)",
                )
            raise DatasetError(
                f"{path}: {int(unknown.sum())} pixels hold {kind} that the class list does not have, such as "
                f"{', '.join(map(str, found))}; {remedy}."
            )
        return train_ids[place]

    def _refuse_moved(self, used: np.ndarray, shown: np.ndarray, path: object) -> None:
        """Raise DatasetError if all colours are PASCAL VOC's, and one stands where the color of another id belongs."""
        known, _ = self._ids
        meant = [_VOC_NUMBERS.get(tuple(color)) for color in shown.tolist()]
        moved = [
            pair for pair in zip(used.tolist(), meant) if pair[0] != pair[1] and pair[1] is not None and known[pair[1]]
        ]
        if moved and None not in meant:
            raise DatasetError(
                f"{path}: its palette gives index {moved[0][0]} the colour that PASCAL VOC gives to {moved[0][1]}, as "
                "PNG optimisers leave it, so that nobody can tell which class is meant; save the ids as 8-bit grey PNG."
            )

    def _train_ids_of(self, values: np.ndarray) -> list[int | None]:
        """Of ids (N,) or colours (N, 3); None for those that the table does not have."""
        if values.ndim == 1:
            known, train_ids = self._ids
            return [int(train_ids[value]) if known[value] else None for value in values]
        keys, train_ids = self._colors
        by_color = dict(zip(keys.tolist(), train_ids.tolist()))
        return [by_color.get(red << 16 | green << 8 | blue) for red, green, blue in values.tolist()]

    def _name(self, train_id: int | None) -> str:
        return "ignored" if train_id in (None, IGNORE) else self.classes[train_id].name

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

    def to_ids(self, train_ids: np.ndarray) -> np.ndarray:
        """Train ids, uint8 (H, W), as ids of the table: of several that share a train id the first.

        Returns:
          uint8, or uint16 where the table has ids above 255.

        Raises:
          DatasetError: a pixel is of no class (255) that the table has an id for.
        """
        ids = np.full(256, -1)
        for label in reversed(self.labels):
            ids[label.train_id] = label.id
        found = ids[train_ids]
        if (found < 0).any():
            raise DatasetError(
                f"{int((found < 0).sum())} pixels have a train id, {int(train_ids[found < 0][0])}, that no id of the "
                "class list stands for; write train ids"
            )
        return found.astype(np.uint8 if ids.max() < 256 else np.uint16)

    def of_train_ids(self) -> LabelTable:
        """The table of label files that hold train ids: each class under its train id, and 255 for what is ignored."""
        classes = [replace(label, id=label.train_id) for label in self.classes]
        names, colors = ({getattr(label, key) for label in classes} for key in ("name", "color"))
        name = next(word for word in ("ignored" + "_" * n for n in range(len(names) + 1)) if word not in names)
        color = next(color for color in map(voc_color, range(257)) if color not in colors)
        return LabelTable((*classes, Label(IGNORE, IGNORE, name, color)))

    def to_json(self) -> list[dict[str, Any]]:
        return [{**asdict(label), "color": list(label.color)} for label in self.labels]

    @classmethod
    def from_json(cls, labels: Any) -> LabelTable:
        """The inverse of `to_json`. Raises DatasetError if it is none."""
        try:
            return cls(tuple(Label(**{**label, "color": tuple(label["color"])}) for label in labels))
        except (TypeError, KeyError) as error:
            raise DatasetError(f"it is no class list: {error}") from None


def built_in(dataset: str, what: str) -> str:
    """The remedy of a dataset whose class list is part of the program; `what` says what its label files must be."""
    return (
        f"the class list of {dataset} is built in: {what}, or read these with --dataset folder and a class "
        "list of your own"
    )


def voc_color(number: int) -> tuple[int, int, int]:
    """The colour that PASCAL VOC's palette gives to an index, by the index's bits; index 0 is black."""
    r, g, b = (sum((number >> 3 * i + channel & 1) << 7 - i for i in range(8)) for channel in range(3))
    return r, g, b


_VOC_NUMBERS = {voc_color(number): number for number in range(256)}


def _is_voc(palette: np.ndarray) -> bool:
    """Whether all entries are PASCAL VOC's, but for those left black: the palette that says nothing but "index"."""
    voc = np.array([voc_color(number) for number in range(len(palette))])
    black = (palette == 0).all(axis=1)
    return bool(((palette == voc).all(axis=1) | black).all()) and int((~black).sum()) >= 8


def _without_padding(palette: np.ndarray, used: int) -> np.ndarray:
    """The palette without black entries at its end, which some formats fill it up with."""
    return palette if palette[used:].any() else palette[:used]
