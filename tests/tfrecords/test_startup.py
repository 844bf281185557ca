"""What a converter's worker process imports before its first image."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from dsr.data_pipelines.codecs import Codec, make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.data_pipelines.degradations import Degraded
from dsr.models.errors import UserError
from tests.tfrecords.writing import write_compressed, write_originals

HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "scipy")


def refuse_heavy_imports() -> None:
    heavy = [name for name in HEAVY if name in sys.modules]
    if heavy:
        raise UserError(f"the process has imported {', '.join(heavy)}")


@dataclass(frozen=True)
class Guarded:
    """A codec that fails where its process has imported something heavy."""

    codec: Codec
    kind: ClassVar[str] = "codec"

    @property
    def point(self) -> str:
        return self.codec.point

    def degrade(self, pixels: np.ndarray, key: str) -> Degraded:
        refuse_heavy_imports()
        degraded = self.codec.degrade(pixels, key)
        refuse_heavy_imports()
        return degraded

    def describe(self) -> dict[str, Any]:
        return self.codec.describe()


def test_workers_that_need_no_tensorflow_do_not_import_it(tmp_path: Path) -> None:
    source = open_source("streets", height=64, width=64, train=2, test=1, restore=1)
    codec = Guarded(make_codec("bpg"))
    write_originals(source, "train", tmp_path / "originals", workers=1)
    assert write_compressed(tmp_path / "originals", codec, tmp_path / "compressed", workers=1).summary["images"] == 2


def test_the_guard_sees_what_is_imported() -> None:
    import tensorflow  # noqa: F401

    with pytest.raises(UserError, match="tensorflow"):
        Guarded(make_codec("jpeg")).degrade(np.zeros((8, 8, 3), np.uint8), "key")
