"""The example that a newcomer runs, in small."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import open_source

pytestmark = pytest.mark.slow

TORCH = os.environ.get("TORCH", sys.executable)
"""A Python that may have PyTorch."""

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fleet" / "run.sh"

TINY = ["restorer.rdn.network.blocks=1", "restorer.rdn.network.layers=1", "restorer.rdn.network.growth=2"]
TINY += ["restorer.rdn.network.features=4", "restorer.rdn.patch=32", "restorer.rdn.steps=2"]


def test_the_fleet_example_ends_with_a_dataset_that_is_read(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "DSR": f"{sys.executable} -m dsr.app.cli",
        "IMAGES": "5",
        "ORIGINALS": "4",
        "TEST": "3",
        "STEPS": "2",
        "TORCH": TORCH,
        "HEIGHT": "32",
        "WIDTH": "48",
    }
    settings = [word for setting in TINY for word in ("--set", setting)]
    command = [str(EXAMPLE), str(tmp_path), "--restorer", "rdn-psnr", "--workers", "1", *settings]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    if subprocess.run([TORCH, "-c", "import torch"], capture_output=True, check=False).returncode:
        assert "has no PyTorch, so no segmenter is trained" in run.stdout
    else:
        scores = list(csv.DictReader((tmp_path / "work/scores/test/predictions/scores.csv").open()))
        pairs = [(row["configuration"], row["minus"]) for row in scores if row["class"] == "mean"]
        assert pairs == [("CO", ""), ("RO", ""), ("RO", "CO")]
        assert (tmp_path / "work/scores/test/predictions/report.html").is_file()
    assert not (tmp_path / "camera").exists()
    trained_on = json.loads((tmp_path / "restorer" / "manifest.json").read_text())["summary"]["trained_on"]
    assert [(point["codec"], point["quality"]) for point in trained_on] == [("bpg", 40), ("jpeg", 12)]
    rows = list(csv.DictReader((tmp_path / "restored" / "received.csv").open()))
    assert len(rows) == 10
    assert (tmp_path / "restored" / "errors.jsonl").read_bytes() == b""
    dataset = open_source("folder", str(tmp_path / "restored"))
    read = {sample.image: dataset.read(sample) for split in dataset.splits for sample in dataset.samples(split)}
    assert set(read) == {row["name"] for row in rows}
    for name, (pixels, label) in read.items():
        assert pixels.shape == (32, 48, 3)
        assert label is not None
        assert np.array_equal(label, np.asarray(Image.open(tmp_path / "labels" / name)))
