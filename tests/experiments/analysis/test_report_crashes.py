"""The report's writer can be killed at any operation, writes through no link, and says why it cannot write."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.experiments.analysis.report import write_report
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.files import TEMPORARY
from tests.crashes import put, states, tree
from tests.experiments.analysis.example import study


@pytest.mark.slow
def test_a_kill_at_any_operation_leaves_each_file_as_before_or_as_now(tmp_path: Path) -> None:
    folder, other = tmp_path / "report", tmp_path / "other"
    before, results = study(), study(seeds=(7, 8))
    write_report(before, folder)
    old = tree(folder)
    left = states(folder, lambda: write_report(results, folder))
    new = tree(folder)
    assert old.keys() == new.keys() and len(left) > 3 * len(new)
    for state in left:
        assert all(data in (old[name], new[name]) for name, data in state.items() if name in new)
        put(state, other)
        write_report(results, other)
        whole = {name: data for name, data in tree(other).items() if not name.endswith(TEMPORARY)}
        assert whole == new, "beside at most a temporary file, which has a name of its own"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    folder, precious = tmp_path / "report", tmp_path / "precious"
    write_report(study(), folder)
    written = tree(folder)
    precious.write_bytes(b"precious")
    for name in written:
        (folder / name).unlink()
        (folder / name).symlink_to(precious)
    write_report(study(), folder)
    assert tree(folder) == written and not any(path.is_symlink() for path in folder.iterdir())
    assert precious.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtefactError, match="file/report cannot be written: Not a directory"):
        write_report(study(), tmp_path / "file" / "report")
