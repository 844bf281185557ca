"""What arrives is read from sizes and headers alone, and an alarm means a change."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.received import suffixes
from dsr.experiments.planning import arrivals
from dsr.experiments.planning.arrivals import ALPHA, Arrival, Arrivals, read_arrivals
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.trained_codec import TRAINED
from dsr.models.errors import UserError
from dsr.tfrecords.building import building
from dsr.tfrecords.ledger import STATISTICS
from dsr.tfrecords.manifest import Identity
from tests.experiments.fleet.conftest import picture

SPREAD = 0.55  # standard deviation of log bpp over photographs at one QP


def drawn(rng: np.random.Generator, count: int, finer: float = 0.0, quality: float | None = 36) -> list[Arrival]:
    """Images whose sizes are log-normal; `finer` in QP, of which six double a size."""
    sizes = 2e4 * 2 ** (finer / 6) * np.exp(SPREAD * rng.standard_normal(count))
    return [Arrival(10**5, int(size), "bpg", "4:2:0", quality and quality - finer) for size in sizes]


def compare(reference: list[Arrival], arrived: list[Arrival], spoilt: tuple[int, int] = (0, 0)):
    """Where beside them so many cannot be read."""
    sides = zip((reference, arrived), spoilt)
    return arrivals.compare(*(Arrivals(images, len(images) + bad, bad) for images, bad in sides))


def alarms(found: list[arrivals.Comparison]) -> list[str]:
    return [one.what for one in found if one.alarm]


def test_images_that_have_not_changed_raise_an_alarm_in_one_look_of_a_hundred_at_most() -> None:
    rng = np.random.default_rng(0)
    looks = 400
    wrong = sum(bool(alarms(compare(drawn(rng, 300), drawn(rng, 200)))) for _ in range(looks))
    assert wrong <= looks * ALPHA + 3 * (looks * ALPHA * (1 - ALPHA)) ** 0.5  # three standard deviations of chance


@pytest.mark.parametrize("finer", [3, -3])
def test_three_qp_are_seen_from_two_hundred_images_by_their_sizes_alone(finer: int) -> None:
    rng = np.random.default_rng(1)
    seen = [alarms(compare(drawn(rng, 300, quality=None), drawn(rng, 200, finer, None))) for _ in range(40)]
    assert sum(found == ["bpp"] for found in seen) >= 38
    told = compare(drawn(rng, 300), drawn(rng, 200, finer))
    assert "quality" in alarms(told)


def test_a_constant_quality_and_a_constant_size_raise_no_alarm() -> None:
    same = [Arrival(100, 50, "bpg", "4:2:0", 36)] * 50
    assert [(one.p, one.alarm) for one in compare(same, same)] == [(1.0, False)] * 5


@pytest.mark.parametrize(("n", "m", "new"), [(50, 40, 0), (50, 40, 3), (200, 200, 9), (30, 500, 500)])
def test_new_kinds_are_counted_by_fisher_s_exact_test(n: int, m: int, new: int) -> None:
    before = [Arrival(100, 50, "bpg")] * n
    now = [Arrival(100, 50, "jpeg")] * new + [Arrival(100, 50, "bpg")] * (m - new)
    (codec, *_) = compare(before, now)
    expected = fisher_exact([[new, m - new], [0, n]], alternative="greater").pvalue
    assert codec.what == "codec" and codec.p == pytest.approx(expected)
    assert codec.alarm == (expected < ALPHA / 3)  # codec, bpp, pixels


def test_more_files_that_cannot_be_read_are_a_change_and_a_few_are_none() -> None:
    same = [Arrival(100, 50, "bpg", "4:2:0", 36)] * 200
    assert alarms(compare(same, same[:20], (0, 180))) == ["unreadable"]
    assert alarms(compare(same, same, (3, 5))) == [] == alarms(compare(same, same, (90, 3)))
    (first, *_) = compare(same, same[:150], (10, 40))
    assert (first.before, first.now) == ("10 of 210", "40 of 190")
    assert first.p == pytest.approx(fisher_exact([[40, 150], [10, 200]], alternative="greater").pvalue)


def test_what_headers_do_not_tell_is_not_compared() -> None:
    webp = [Arrival(100, 50, "webp")] * 30
    assert [one.what for one in compare(webp, [dataclasses.replace(webp[0], quality=30)] * 30)] == [
        "codec",
        "bpp",
        "pixels",
    ]


def fleet(folder: Path, codec: str, quality: float, count: int) -> Path:
    made = make_codec(codec, quality)
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03d}{suffixes(codec)[0]}").write_bytes(made.encode(picture(number)))
    return folder


def test_files_are_read_by_their_headers_evenly_and_spoilt_ones_counted(tmp_path: Path) -> None:
    folder = fleet(tmp_path / "fleet", "jpeg", 40, 60)
    (folder / "000.jpg").write_bytes(b"no image")
    found = read_arrivals(folder, 30)
    assert (found.there, len(found.images), found.unreadable) == (60, 29, 1)
    size = (folder / "002.jpg").stat().st_size
    assert found.images[0] == Arrival(32 * 48, size, "jpeg", "4:2:0", 40)
    assert found.images[0].bpp == 8 * size / (32 * 48)
    with pytest.raises(PlanningError, match="fewer than 20"):
        read_arrivals(fleet(tmp_path / "few", "jpeg", 40, 19), 30)


def shards(folder: Path, count: int, measured: dict[str, object] | None = None, **config: object) -> Path:
    """The manifest and the statistics of compressed shards, `measured` of each image."""
    rows = [{"key": f"{i}", "height": 32, "width": 48, "bytes": 100 + i, **(measured or {})} for i in range(count)]
    with building(folder, Identity("shards", "set/train/x", {"domain": "compressed", **config})) as build:
        text = "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n"
        (build.path / STATISTICS).write_text(text)
        (build.path / "shard-00000-of-00001.tfrecord").write_bytes(b"")
        entry = {"bytes": 0, "sha256": "0", "records": count, "errors": 0}
        build.files["shard-00000-of-00001.tfrecord"] = entry
    return folder


def test_shards_are_read_by_their_statistics_alone(tmp_path: Path) -> None:
    codec = {"codec": make_codec("bpg", 36).describe()}
    folder = shards(tmp_path / "shards", 50, **codec)
    for path in (folder, folder / "manifest.json"):
        found = read_arrivals(path, 25)
        assert (found.there, len(found.images)) == (50, 25)
        assert [image.bytes for image in found.images] == list(range(100, 150, 2))
        assert found.images[3] == Arrival(32 * 48, 106, "bpg", "4:2:0", 36)


def test_shards_of_a_codec_that_a_study_trained_are_read_without_it(tmp_path: Path) -> None:
    codec = {"name": "msh", "quality": 2.5, "options": {"model": TRAINED}}
    folder = shards(tmp_path / "shards", 50, codec=codec)
    found = read_arrivals(folder, 25)
    assert found.images[3] == Arrival(32 * 48, 106, "msh", None, 2.5)


def test_shards_of_files_that_came_compressed_tell_what_their_headers_said(tmp_path: Path) -> None:
    header = {"codec": "bpg", "quality": 36, "chroma": "4:2:0"}
    came = shards(tmp_path / "came", 50, header)
    made = shards(tmp_path / "made", 50, codec=make_codec("bpg", 36).describe())
    assert read_arrivals(came, 25) == read_arrivals(made, 25)
    others = shards(tmp_path / "others", 50, {**header, "codec": "jpeg"})
    assert alarms(arrivals.compare(read_arrivals(came, 25), read_arrivals(others, 25))) == ["codec"]


def test_shards_of_originals_or_of_chains_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanningError, match="no bitstreams"):
        read_arrivals(shards(tmp_path / "originals", 50, domain="original"), 25)
    with pytest.raises(PlanningError, match="several degradations"):
        read_arrivals(shards(tmp_path / "chain", 50, codec={"name": "chain", "quality": 36, "options": {}}), 25)
    with pytest.raises(UserError, match="no such|is no folder"):
        read_arrivals(tmp_path / "nowhere", 25)
