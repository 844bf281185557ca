from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsr.data_pipelines.datasets.listing import Found, list_files
from dsr.models.errors import ReadError


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    for name in ("data/a.png", "data/b/c.JPG", "store/d.png", "store/deep/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "data"


def listed(folder: Path, recursive: bool = True, **options: tuple[str, ...]) -> Found:
    return list_files(folder, (".png", ".jpg"), recursive, **options)


def others(found: Found) -> dict[str, str]:
    return {str(other.path.relative_to(found.folder)): other.why for other in found.others}


def test_folders_behind_links_are_entered(root):
    (root / "far").symlink_to("../store")
    (root / "z.png").symlink_to("../store/d.png")
    found = listed(root)
    assert found.files == {
        "a": ["a.png"],
        "b/c": ["b/c.JPG"],
        "far/d": ["far/d.png"],
        "far/deep/e": ["far/deep/e.png"],
        "z": ["z.png"],
    }
    assert found.others == []


def test_a_web_of_links_has_an_end_and_is_named(root):
    (root / "loop").symlink_to(".")
    (root / "b" / "up").symlink_to(root.parent)
    (root / "self").symlink_to("self")
    (root / "one").symlink_to("../store")
    (root / "two").symlink_to("../store/deep")
    for level in range(12):  # 8 ** 12 ways, if each were gone
        place = root.parent / f"level{level}"
        place.mkdir()
        for way in range(8):
            (place / f"way{way}").symlink_to(root.parent / f"level{level + 1}")
    (root.parent / "level12").mkdir()
    (root / "web").symlink_to("../level0")
    found = listed(root)
    assert set(found.files) == {"a", "b/c", "one/d", "one/deep/e"}
    named = others(found)
    assert named.pop("loop") == named.pop("b/up") == "a link to a folder that it lies in"
    assert named.pop("two") == "a link to a folder that is listed already"
    assert "symbolic links" in named.pop("self")
    assert all(name.startswith("web/") for name in named) and len(named) == 12 * 7


def test_all_that_is_not_read_is_named_but_what_can_be_no_image(root):
    for name in (
        "x.heic",
        "b/y.avif",
        "IMG_0001",
        "list.txt",
        "Thumbs.db",
        "README",
        ".hidden.png",
        ".git/z.png",
        "a.tfw",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(root / "pipe.png")
    (root / "zero.png").symlink_to("/dev/zero")
    found = listed(root)
    assert set(found.files) == {"a", "b/c"}
    assert others(found) == {
        "x.heic": "its suffix is not read",
        "b/y.avif": "its suffix is not read",
        "IMG_0001": "its suffix is not read",
        "gone.png": "a dangling link",
        "pipe.png": "a pipe",
        "zero.png": "a device",
    }


def test_companions_belong_there_and_are_not_read(root):
    (root / "a_color.PNG").touch()
    (root / "a_polygons.webp").touch()
    assert others(listed(root, companions=("_polygons.webp",))) == {}


def test_folders_inside_are_named_where_none_is_looked_into(root):
    (root / "empty").mkdir()
    found = listed(root, recursive=False)
    assert set(found.files) == {"a"}
    assert others(found) == {"b": "a folder that is not looked into"}


def test_a_folder_that_cannot_be_listed_is_named(root, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert others(listed(root)) == {"b": "permission denied"}
    with pytest.raises(ReadError, match=r"data/b: cannot be read \(Permission denied\)"):
        listed(root / "b")
