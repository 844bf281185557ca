"""`dsr check` tells all faults of a dataset at once, and counts what is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.models.errors import UserError

pytestmark = pytest.mark.slow  # processes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two splits with one of each fault, and sound images whose ids are known."""
    ids = np.repeat(np.array([[0] * 6 + [1] * 2], np.uint8), 4, axis=0)
    rng = np.random.default_rng(0)
    for split, names in {"train": "abcdefg", "test": "xy"}.items():
        for folder in ("images", "labels"):
            (tmp_path / folder / split).mkdir(parents=True)
        for name in names:
            pixels = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"images/{split}/{name}.png")
            Image.fromarray(ids).save(tmp_path / f"labels/{split}/{name}.png")
    images, labels = tmp_path / "images/train", tmp_path / "labels/train"
    (images / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    Image.fromarray(np.full((4, 8), 77, np.uint8)).save(labels / "c.png")
    Image.fromarray(ids[:3]).save(labels / "d.png")
    (labels / "e.png").unlink()
    (images / "f.heic").touch()
    (images / "f.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)).save(images / "g.png", exif=exif)
    Image.fromarray(ids).save(labels / "g.png", exif=exif)
    (tmp_path / "images/test/y.png").write_bytes((images / "a.png").read_bytes())
    (tmp_path / "classes.csv").write_text("id,name\n0,road\n1,car\n2,pole\n")
    return tmp_path


def checked(*arguments: str, status: int) -> Any:
    result = CliRunner().invoke(cli, ["check", *arguments, "--workers", "1", "--json", "--quiet"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_a_page_that_cannot_be_written_costs_nothing_else_that_was_found(root: Path) -> None:
    asked = ["check", str(root), "--workers", "1", "--json", "--quiet", "--page", str(root / "nowhere" / "check.html")]
    result = CliRunner().invoke(cli, asked)
    assert isinstance(result.exception, UserError) and "check.html cannot be written" in str(result.exception)
    assert json.loads(result.stdout)["faults"] == 7


def test_every_fault_is_told_in_one_run_and_what_is_right_is_counted(root: Path) -> None:
    found = checked(str(root), status=1)
    train, test = found["splits"]
    wanted = ["b.png", "pixels hold ids.*77", "d.png.*8x3", "e.png.*no label", "f.heic", "f.png.*no image"]
    for what in wanted:
        assert sum(bool(re.search(what, fault)) for fault in train["faults"]) == 1, what
    assert len(train["faults"]) == len(wanted)
    assert len(test["faults"]) == 1 and "y.png in split test has the content of" in test["faults"][0]
    assert found["faults"] == 7
    assert (train["images"], train["labelled"], train["sizes"]) == (7, 2, {"8x4": 1, "4x8": 1})
    assert train["turned"] == {"6": 1}
    assert [(c["name"], c["pixels"], c["share"], c["images"]) for c in test["classes"]] == [
        ("road", 48, 0.75, 2),
        ("car", 16, 0.25, 2),
        ("pole", 0, 0.0, 0),
    ]


def test_a_class_that_no_label_of_a_split_has_is_a_note_and_no_fault(tmp_path: Path) -> None:
    for folder, values in {"images": 100, "labels": 1}.items():
        for split in ("train", "test"):
            (tmp_path / "data" / folder / split).mkdir(parents=True)
            drawn = np.full((4, 8), values, np.uint8)
            drawn[0, 0], drawn[1, 1] = (0, 2) if split == "train" else (0, 0)
            Image.fromarray(drawn).save(tmp_path / "data" / folder / split / f"{split}.png")
    (tmp_path / "data" / "classes.csv").write_text("id,name\n0,road\n1,car\n2,pole\n")
    page, data = tmp_path / "page.html", str(tmp_path / "data")
    train, test = checked(data, "--page", str(page), status=0)["splits"]
    assert train["notes"] == []
    (note,) = test["notes"]
    assert note.startswith("no label has pole: ")
    assert note in page.read_text()
    assert note in CliRunner().invoke(cli, ["check", data, "--workers", "1", "--quiet"]).stdout


def test_a_split_whose_labels_are_all_ignored_is_noted(tmp_path: Path) -> None:
    for folder, value in {"images": 100, "labels": 1}.items():
        (tmp_path / folder / "test").mkdir(parents=True)
        Image.fromarray(np.full((4, 8), value, np.uint8)).save(tmp_path / folder / "test" / "a.png")
    (tmp_path / "classes.csv").write_text("id,name,train_id\n0,road,0\n1,void,255\n")
    (test,) = checked(str(tmp_path), status=0)["splits"]
    (note,) = test["notes"]
    assert note.startswith("no pixel of its 1 label has a class: ")


def test_a_sound_dataset_ends_with_status_0_and_its_page_needs_no_other_file(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    small = [f"{key}=2" for key in ("train", "test", "restore")] + ["height=32", "width=48"]
    options = [word for option in small for word in ("--option", option)]
    found = checked("--dataset", "streets", *options, "--page", str(page), status=0)
    assert found["faults"] == 0 and found["splits"][0]["sizes"] == {"48x32": 2}
    text = page.read_text()
    assert text.count("data:image/webp;base64,") == 2 * 3 * 2
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_names_of_files_cannot_write_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "data/<script>alert(1)<.png")
    checked(str(tmp_path / "data"), "--dataset", "photos", "--page", str(tmp_path / "page.html"), status=0)
    assert "<script" not in (tmp_path / "page.html").read_text()
