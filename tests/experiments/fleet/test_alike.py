"""Originals are compressed as a fleet's files are, each kind as often as the fleet has it."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from dsr.data_pipelines.codecs import codec_class, make_codec
from dsr.data_pipelines.codecs.base import Inspection
from dsr.experiments.fleet.alike import File, alike
from dsr.experiments.fleet.errors import FleetError
from tests.experiments.fleet.conftest import picture


def received(codec: str, quality: float, count: int, **options: str) -> list[File]:
    files = []
    for number in range(count):
        bitstream = make_codec(codec, quality, **options).encode(picture(number))
        files.append(File(codec_class(codec).inspect(bitstream), len(bitstream)))
    return files


def test_codecs_are_drawn_as_often_as_the_fleet_has_them() -> None:
    files = received("bpg", 36, 6) + received("bpg", 40, 2) + received("jpeg", 20, 2, chroma="4:4:4")
    found = alike(files, [])
    drawn = Counter(found.codec_of(f"image{n}") for n in range(4000))
    shares = {(codec.point, codec.chroma): count / 4000 for codec, count in drawn.items()}
    expected = {("bpg-qp36", "4:2:0"): 0.6, ("bpg-qp40", "4:2:0"): 0.2, ("jpeg-quality20+chroma=4:4:4", "4:4:4"): 0.2}
    assert shares == pytest.approx(expected, abs=0.03)


def test_what_an_image_is_compressed_with_follows_from_its_key_alone() -> None:
    files = received("jpeg", 20, 3) + received("jpeg", 50, 3)
    found, again = alike(files, []), pickle.loads(pickle.dumps(alike(files[::-1], [])))
    assert found == again
    assert found.describe() == again.describe()
    for key in map(str, range(20)):
        pixels, bitstream = found.degrade(picture(1), key)
        assert bitstream == found.codec_of(key).encode(picture(1)) == again.degrade(picture(1), key).bitstream
        assert (pixels == found.codec_of(key).decode(bitstream)).all()


@pytest.mark.parametrize("codec", ["webp", "jpeg2000"])
def test_where_files_do_not_tell_their_quality_the_rate_does(codec: str) -> None:
    quality = 30 if codec == "webp" else 1.5
    found = alike(received(codec, quality, 5), [picture(number) for number in range(5)])
    (made,) = found.codecs
    assert made.quality == pytest.approx(quality, rel=0.1)


def test_a_kind_that_cannot_be_made_is_told() -> None:
    with pytest.raises(FleetError, match="1 files of the fleet are jpeg quality 50 gray, which cannot be made"):
        alike([File(Inspection("jpeg", 8, 8, 50, "gray"), 100)], [])
    with pytest.raises(FleetError, match="no file of the fleet can be read"):
        alike([], [])
