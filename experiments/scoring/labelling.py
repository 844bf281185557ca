"""What a network gives for an image, as train ids of the dataset."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dsr.data_pipelines.codecs.base import shown
from dsr.data_pipelines.datasets import IGNORE, DatasetError, LabelTable
from dsr.data_pipelines.datasets.files import read_bytes
from dsr.experiments.scoring.errors import ScoreError
from dsr.experiments.scoring.networks import Layout, Network
from dsr.models.errors import ReadError

MAX_OUTPUT = 1 << 31
"""Values that a network may give for one image."""

NO_SCORES = "biuOSUcmM"
"""Kinds of NumPy's types that are none: whole numbers, objects, text, complex numbers, times."""

_MAX_MAPPING = 1 << 20


@dataclass(frozen=True)
class Mapping:
    """Which class of the dataset each output of a network stands for: train ids, 255 for none of them."""

    train_ids: tuple[int, ...]

    @classmethod
    def same(cls, table: LabelTable) -> Mapping:
        """Output n is class n."""
        return cls(tuple(range(table.num_classes)))

    @classmethod
    def read(cls, path: Path, table: LabelTable) -> Mapping:
        """A CSV file with the columns output and class: outputs 0, 1, ... each once, and the dataset's class names.

        An empty class is none of the dataset's: where it is predicted, the prediction is wrong.

        Raises:
          ScoreError: it is no such file; the line is named.
        """
        try:
            text = read_bytes(path, _MAX_MAPPING).decode("utf-8-sig")
        except (DatasetError, ReadError, UnicodeDecodeError) as error:
            raise ScoreError(f"{path}: the class mapping cannot be read ({error})") from None
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        known = {label.name: label.train_id for label in table.classes}
        found: dict[int, int] = {}
        try:
            if sorted(rows.fieldnames or ()) != ["class", "output"]:
                raise ScoreError(f"{path}: the first line must be output,class, not {shown(rows.fieldnames)}")
            for row in rows:
                output, train_id = _mapped(row, known)
                if output in found:
                    raise ValueError(f"output {output} is there twice")
                found[output] = train_id
        except (ValueError, csv.Error) as error:
            raise ScoreError(f"{path}, line {rows.line_num}: {error}") from None
        if not found or sorted(found) != list(range(len(found))):
            raise ScoreError(
                f"{path}: outputs must be 0, 1, 2, ... without a hole; give an empty class to those unused"
            )
        return cls(tuple(found[output] for output in range(len(found))))

    def __call__(self, outputs: NDArray[Any]) -> NDArray[np.uint8]:
        """Numbers of outputs to train ids. Raises ScoreError for one that there is not."""
        low, high = int(outputs.min()), int(outputs.max())
        if low < 0 or high >= len(self.train_ids):
            raise ScoreError(
                f"the network gives the class {low if low < 0 else high}, and there are {len(self.train_ids)}: "
                "say which of its outputs is which class with --classes FILE"
            )
        return np.array(self.train_ids, np.uint8)[outputs]


def _mapped(row: dict[str, str], known: dict[str, int]) -> tuple[int, int]:
    """The output and the train id of a row; ValueError says what is wrong with it."""
    if None in row or None in row.values():
        raise ValueError("has more or fewer cells than output,class; a name with a comma needs quotes around it")
    output, name = row["output"].strip(), row["class"].strip()
    if not (output.isascii() and output.isdigit() and len(output) < 6):
        raise ValueError(f"output {shown(output)} is no whole number")
    if len(name.splitlines()) > 1:
        raise ValueError("has a line break in its class; a quote may not be closed")
    if name and name not in known:
        raise ValueError(f"{shown(name)} is no class of the dataset, which has {', '.join(known)}")
    return int(output), known.get(name, IGNORE)


@dataclass(frozen=True)
class Labeller:
    """Pixels to train ids by a network, its layout and the meaning of its outputs."""

    network: Network
    layout: Layout
    mapping: Mapping

    def describe(self) -> dict[str, Any]:
        return {"network": self.network.describe(), "layout": self.layout, "mapping": list(self.mapping.train_ids)}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Train ids, uint8 (H, W), of an image, uint8 (H, W, 3). Raises ScoreError."""
        height, width = pixels.shape[:2]
        given = np.asarray(self.network(pixels))
        if given.size > MAX_OUTPUT or not given.size:
            raise ScoreError(f"the network gives {given.shape} for an image of {width}x{height}")
        whole = np.issubdtype(given.dtype, np.integer) or given.dtype == bool
        if whole and given.ndim == 3 and 1 in given.shape:
            given = given.squeeze(given.shape.index(1))
        if whole and given.ndim == 2:
            outputs = given.astype(np.int64)
            if outputs.shape != (height, width):
                low = Image.fromarray(outputs.astype(np.int32))
                outputs = np.asarray(low.resize((width, height), Image.Resampling.NEAREST)).astype(np.int64)
            return self.mapping(outputs)
        if given.ndim != 3 or given.dtype.kind in NO_SCORES:
            raise ScoreError(
                f"the network gives {given.dtype} {given.shape}: give a label map, integers (H, W), or scores of each "
                "class, as --layout says; of several outputs name one with --output"
            )
        scores = given if self.layout == "nchw" else given.transpose(2, 0, 1)
        if len(scores) != len(self.mapping.train_ids):
            raise ScoreError(
                f"the network gives {len(scores)} scores a pixel ({self.layout}, {given.shape}), and there are "
                f"{len(self.mapping.train_ids)} classes: check --layout, or say which is which with --classes FILE"
            )
        if np.isnan(scores).any():
            raise ScoreError("the network gives scores that are no numbers: its training has diverged")
        return self.mapping(_likeliest(scores, (height, width)))


def _likeliest(scores: NDArray[Any], size: tuple[int, int]) -> NDArray[np.int64]:
    """The class of the highest score, (H, W), of scores (classes, h, w) that Pillow's bilinear filter resizes.

    Pixels are areas. Where a side grows, that is PyTorch's align_corners=False, and where it shrinks, the same with
    antialias=True. The first of equal scores counts.
    """
    if scores.shape[1:] == size:
        return scores.argmax(0)
    best = np.full(size, -np.inf, np.float32)
    found = np.zeros(size, np.int64)
    for number, plane in enumerate(scores):
        image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        large = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
        better = large > best
        best[better], found[better] = large[better], number
    return found
