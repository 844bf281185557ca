"""The examples run as they stand, and what they print is right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.own_codec import HEADER, Posterise
from examples.own_dataset import Discs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(example: str, work: Path) -> str:
    command = [sys.executable, str(ROOT / "examples" / example), str(work)]
    return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout


def test_an_own_codec_converts_beside_the_others(tmp_path: Path) -> None:
    printed = run("own_codec.py", tmp_path)
    points = dict(re.findall(r"streets/test/([\w-]+): (\d+\.\d+) bpp", printed))
    assert list(points) == ["posterise-bits2", "posterise-bits4", "bpg-qp30"]
    assert float(points["posterise-bits2"]) < float(points["posterise-bits4"])


def test_an_own_dataset_becomes_shards(tmp_path: Path) -> None:
    printed = run("own_dataset.py", tmp_path)
    assert re.search(r"discs/test/original: 4 images", printed) and re.search(r"discs/test/bpg-qp34: 4 images", printed)
    (percent,) = re.findall(r"cover (\d+) %", printed)
    source = Discs()
    labels = [source.read(sample)[1] for sample in source.samples("test")]
    assert int(percent) == round(100 * np.mean([label == 1 for label in labels]))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_the_own_codec_keeps_each_value_to_half_a_step(bits: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    codec = Posterise(bits)
    decoded = codec.decode(codec.encode(pixels)).astype(int)
    assert np.abs(decoded - pixels).max() <= (1 << (8 - bits)) >> 1


def test_the_own_codec_refuses_what_it_did_not_write() -> None:
    from dsr import CodecError

    codec = Posterise(4)
    whole = codec.encode(np.zeros((5, 7, 3), np.uint8))
    for damaged in (b"", whole[:-1], whole + b"x", HEADER.pack(6, 7, 4) + whole[HEADER.size :], whole[: HEADER.size]):
        with pytest.raises(CodecError):
            codec.decode(damaged)


def test_every_example_is_tested_here() -> None:
    assert [path.name for path in EXAMPLES] == ["own_codec.py", "own_dataset.py"]
