"""The tutorial runs from its first cell to its last, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "tutorial.ipynb"

SMALL = {"HEIGHT": 64, "WIDTH": 96, "IMAGES": 10, "STEPS": 2}


@pytest.mark.tensorflow
def test_the_tutorial_ends_with_a_report_of_six_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in code_cells():
        run(cell, names)
        if "parameters" in cell["metadata"].get("tags", []):
            assert names.keys() >= SMALL.keys()
            names.update(SMALL)
    found = names["found"]
    assert [one["configuration"] for one in found["evaluations"]] == ["OO", "CO", "RO", "CC", "OC", "OR"]
    assert Path(found["report"]).is_file()


def test_the_cells_go_on_without_the_one_that_draws_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first cell says to whoever has images; up to the restorer, which needs TensorFlow."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)
    for folder in ("images", "labels"):
        (tmp_path / "tutorial-data" / folder).mkdir(parents=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"tutorial-data/images/{number}.jpg")
        Image.fromarray(image[..., 0] % 2).save(tmp_path / f"tutorial-data/labels/{number}.png")
    (tmp_path / "tutorial-data/classes.csv").write_text("id,name\n0,road\n1,car\n")
    parameters, _, *others = code_cells()
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in (parameters, *others):
        if "SavedRestorer" in "".join(cell["source"]):
            break
        run(cell, names)
    assert names["decoded"].shape == (48, 64, 3)


def code_cells() -> list[dict[str, Any]]:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells), "clear its outputs"
    return cells


def run(cell: dict[str, Any], names: dict[str, Any]) -> None:
    exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)  # noqa: S102 (our own)
