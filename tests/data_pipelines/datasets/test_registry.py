from __future__ import annotations

import inspect
import subprocess
import sys
from contextlib import suppress

import pytest

from dsr.data_pipelines.codecs.base import shown
from dsr.data_pipelines.datasets import DATASETS, DatasetError, open_source


def test_every_dataset_has_its_line():
    assert all(name == source.name and source.about for name, source in DATASETS.items())


def test_unknown_names_and_options_are_refused_with_the_nearest():
    with pytest.raises(DatasetError, match=r"'city_scapes' \(did you mean 'cityscapes'\?\)"):
        open_source("city_scapes")
    with pytest.raises(DatasetError, match=r"'heigth' \(did you mean 'height'\?\)"):
        open_source("streets", heigth=100)
    with pytest.raises(DatasetError, match=r"no option 'zzz'; its options are"):
        open_source("camvid", "root", zzz=1)


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "inria_aerial", "semantic_drone", "folder"])
def test_a_dataset_in_files_asks_for_its_root_and_says_what_it_should_hold(name, tmp_path):
    with pytest.raises(DatasetError, match="give its root, a folder with"):
        open_source(name)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        source = open_source(name, tmp_path)
        source.samples(source.splits[0])


@pytest.mark.parametrize("value", [0, -1, 1.5, "12", True, None])
def test_options_out_of_range_are_refused(value):
    with pytest.raises(DatasetError, match="height must be a whole number"):
        open_source("streets", height=value)
    with pytest.raises(DatasetError, match="max_pixels must be a whole number"):
        open_source("camvid", "root", max_pixels=value)


VALUES = (None, "abc", "", 0, 1, -1, 2.5, float("nan"), True, [], "9" * 5000, 10**400)


@pytest.mark.parametrize("value", VALUES, ids=shown)
@pytest.mark.parametrize("name", DATASETS)
def test_no_value_of_an_option_ends_in_another_error(name, value, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "classes.csv").write_text("id,name\n0,road\n")
    for option in set(inspect.signature(DATASETS[name]).parameters) - {"root"}:
        with suppress(DatasetError, OSError):  # the command line makes a sentence of either
            open_source(name, None if name == "streets" else tmp_path, **{option: value})


@pytest.mark.parametrize(
    "name, options",
    [
        ("streets", {"train": 999999999999}),
        ("streets", {"height": 1 << 40}),
        ("semantic_drone", {"columns": 999999999999}),
        ("semantic_drone", {"width": 1 << 40}),
        ("photos", {"skip_others": "yes"}),
    ],
)
def test_what_would_not_fit_into_memory_is_refused_before_it_is_made(name, options, tmp_path):
    with pytest.raises(DatasetError, match=f"Dataset {name}: "):
        open_source(name, *([] if name == "streets" else [tmp_path]), **options)


def test_the_home_folder_is_expanded_and_a_folder_called_tilde_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_source("photos", "~/photos").root == tmp_path / "photos"
    assert str(open_source("photos", "./~/photos").root) == "~/photos"


def test_an_unknown_split_is_refused():
    with pytest.raises(DatasetError, match="no split 'val'; it has train, test, restore"):
        open_source("streets").samples("val")


def test_datasets_work_without_importing_tensorflow():
    code = "import sys, dsr.data_pipelines.datasets as d; s = d.open_source('streets', height=32, width=32); "
    code += "s.read(s.samples('test')[0]); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=600).returncode == 0
