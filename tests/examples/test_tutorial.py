"""The tutorial runs from its first cell to its last, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "tutorial.ipynb"

SMALL = {"HEIGHT": 64, "WIDTH": 96, "IMAGES": 10, "STEPS": 2}


@pytest.mark.tensorflow
def test_the_tutorial_ends_with_a_report_of_six_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells), "clear its outputs"
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)  # noqa: S102 (our own)
        if "parameters" in cell["metadata"].get("tags", []):
            assert names.keys() >= SMALL.keys()
            names.update(SMALL)
    found = names["found"]
    assert [one["configuration"] for one in found["evaluations"]] == ["OO", "CO", "RO", "CC", "OC", "OR"]
    assert Path(found["report"]).is_file()
