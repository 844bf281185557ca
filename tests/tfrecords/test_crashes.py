"""A conversion killed at any operation on a file goes on, and what comes out is the same: every moment, not some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import MANIFEST, Manifest
from dsr.tfrecords.plan import Part
from tests.crashes import Tree, put, states, tree
from tests.tfrecords.fakes import FakeCodec, FakeSource, convert_everything, inline
from tests.tfrecords.writing import write_compressed, write_originals

pytestmark = pytest.mark.slow

SOURCE = FakeSource(4, broken=(3,))
HOW = How(engine=inline, max_errors=1)


def convert(work: Path) -> None:
    convert_everything(work, images=5)


def in_parts(work: Path) -> None:
    originals = to_originals(SOURCE, "test", images_per_shard=2)
    for number in (1, 2):
        originals.write_part(work / "o", Part(number, 2), HOW)
    originals.finish(work / "o", HOW)
    compressed = to_compressed(work / "o", FakeCodec(8))
    for number in (2, 1):
        compressed.write_part(work / "c", Part(number, 2), HOW)
    compressed.finish(work / "c", HOW)


def repair(work: Path) -> None:
    how = {"engine": inline, "thorough": True}
    write_originals(SOURCE, "test", work / "o", images_per_shard=2, max_errors=1, **how)
    write_compressed(work / "o", FakeCodec(8), work / "c", **how)


def damaged(work: Path) -> None:
    """What `repair` finds: of each kind of file one that is missing, cut or flipped."""
    repair(work)
    (work / "o" / "shard-00000-of-00002.tfrecord").unlink()
    (work / "o" / "errors.jsonl").write_bytes(b"")
    (work / "c" / "images.json").write_bytes(b"[")
    shard = work / "c" / "shard-00001-of-00002.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)


def content(work: Path) -> Tree:
    """All but what tells the time."""
    found: Tree = {}
    for name, data in tree(work).items():
        if name.endswith(MANIFEST):
            manifest = Manifest.load((work / name).parent)
            data = repr((manifest.identity, manifest.files, manifest.summary["images"])).encode()
        found[name] = data
    return found


@pytest.mark.parametrize(
    ("begin", "action", "at_least"),
    [(lambda _: None, convert, 150), (lambda _: None, in_parts, 120), (damaged, repair, 30)],
    ids=["convert", "parts", "repair"],
)
def test_a_kill_at_any_operation_changes_nothing(
    tmp_path: Path, begin: Callable[[Path], None], action: Callable[[Path], None], at_least: int
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    begin(work)
    left = states(work, lambda: action(work))
    whole = content(work)
    assert len(left) >= at_least, "there are so many moments"
    for state in left:
        put(state, work)
        action(work)
        assert content(work) == whole, sorted(state)
