"""The examples run as they stand, and what they print is right."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsr import CODECS, DATASETS, CodecError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def examples() -> Iterator[Any]:
    """The modules, whose datasets and codecs are registered for the time of these tests alone."""
    registries = [(registry, dict(registry)) for registry in (CODECS, DATASETS)]
    yield {path.stem: importlib.import_module(f"examples.{path.stem}") for path in EXAMPLES}
    for registry, before in registries:
        registry.clear()
        registry.update(before)


def run(example: str, work: Path) -> str:
    command = [sys.executable, str(ROOT / "examples" / example), str(work)]
    return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_an_own_codec_converts_beside_the_others(tmp_path: Path) -> None:
    printed = run("own_codec.py", tmp_path)
    points = dict(re.findall(r"streets/test/([\w-]+): (\d+\.\d+) bpp", printed))
    assert list(points) == ["posterise-bits2", "posterise-bits4", "bpg-qp30"]
    assert float(points["posterise-bits2"]) < float(points["posterise-bits4"])


@pytest.mark.slow
def test_an_own_dataset_becomes_shards(tmp_path: Path, examples: Any) -> None:
    printed = run("own_dataset.py", tmp_path)
    assert re.search(r"discs/test/original: 4 images", printed) and re.search(r"discs/test/bpg-qp34: 4 images", printed)
    (percent,) = re.findall(r"cover (\d+) %", printed)
    source = examples["own_dataset"].Discs()
    labels = [source.read(sample)[1] for sample in source.samples("test")]
    assert int(percent) == round(100 * np.mean([label == 1 for label in labels]))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_the_own_codec_keeps_each_value_to_half_a_step(bits: int, examples: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    codec = examples["own_codec"].Posterise(bits)
    decoded = codec.decode(codec.encode(pixels)).astype(int)
    assert np.abs(decoded - pixels).max() <= (1 << (8 - bits)) >> 1


def test_the_own_codec_refuses_what_it_did_not_write(examples: Any) -> None:
    codec, header = examples["own_codec"].Posterise(4), examples["own_codec"].HEADER
    whole = codec.encode(np.zeros((5, 7, 3), np.uint8))
    for damaged in (b"", whole[:-1], whole + b"x", header.pack(6, 7, 4) + whole[header.size :], whole[: header.size]):
        with pytest.raises(CodecError):
            codec.decode(damaged)


def test_every_example_is_tested_here() -> None:
    assert [path.name for path in EXAMPLES] == ["own_codec.py", "own_dataset.py"]
