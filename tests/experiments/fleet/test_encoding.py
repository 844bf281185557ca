"""A folder of images becomes a folder of bitstreams, whole, whatever happens on the way."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.codecs import make_codec, msh
from dsr.data_pipelines.codecs.msh import MshCodec
from dsr.experiments.fleet.encoding import decoded_folder, encoded_folder
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.folders import BatchWriter, check_apart
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import AtMost, Fixed
from dsr.experiments.graph.progress import Progress
from dsr.models.metrics.fidelity import psnr
from dsr.tfrecords.building import building
from dsr.tfrecords.errors import ArtefactError
from tests.experiments.fleet.conftest import contents, make, picture

JPEG = Fixed(make_codec("jpeg", 30))


def errors(folder: Path) -> dict[str, str]:
    lines = (folder / "errors.jsonl").read_text().splitlines()
    return {error["file"]: error["reason"] for error in map(json.loads, lines)}


def test_every_file_is_the_codec_s_and_the_table_tells_its_cost(camera: Path, tmp_path: Path) -> None:
    make(encoded_folder(camera, JPEG, True), tmp_path / "fleet")
    rows = list(csv.DictReader((tmp_path / "fleet" / "rates.csv").open()))
    assert [row["name"] for row in rows] == sorted(
        f"{path.relative_to(camera).with_suffix('.jpg').as_posix()}" for path in camera.rglob("*.png")
    )
    for row in rows:
        pixels = np.asarray(Image.open((camera / row["name"]).with_suffix(".png")))
        bitstream = (tmp_path / "fleet" / row["name"]).read_bytes()
        assert bitstream == JPEG.codec.encode(pixels)
        assert int(row["bytes"]) == len(bitstream)
        assert float(row["bpp"]) == pytest.approx(8 * len(bitstream) / pixels[..., 0].size, abs=1e-6)
        assert float(row["psnr"]) == pytest.approx(psnr(JPEG.codec.decode(bitstream), pixels), abs=1e-4)
        assert float(row["ms"]) > 0


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_files(camera: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        encoded_folder(camera, JPEG, False).make(tmp_path / str(workers), workers, Progress())
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_decoding_gives_what_the_codec_decodes_to(camera: Path, tmp_path: Path) -> None:
    make(encoded_folder(camera, JPEG, False), tmp_path / "fleet")
    for text, suffix in (("png", ".png"), ("jpeg:95", ".jpg")):
        out = tmp_path / suffix
        make(decoded_folder(tmp_path / "fleet", Format.parse(text)), out)
        sent = sorted((tmp_path / "fleet").rglob("*.jpg"))
        assert len(sent) == 20
        for path in sent:
            decoded = JPEG.codec.decode(path.read_bytes())
            back = np.asarray(Image.open((out / path.relative_to(tmp_path / "fleet")).with_suffix(suffix)))
            assert np.array_equal(back, decoded) if suffix == ".png" else psnr(back, decoded) > 35


def test_an_orientation_is_applied_before_encoding(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "camera").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "camera" / "a.jpg", exif=exif, quality=95)
    make(encoded_folder(tmp_path / "camera", Fixed(make_codec("none")), False), tmp_path / "out")
    assert Image.open(tmp_path / "out" / "a.png").size == (32, 48)


def test_a_bad_file_is_named_and_costs_no_other(camera: Path, tmp_path: Path) -> None:
    (camera / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (camera / "day0" / "front00.jpg").write_bytes((camera / "day1" / "front01.png").read_bytes())
    summary = make(encoded_folder(camera, JPEG, False), tmp_path / "fleet")
    found = errors(tmp_path / "fleet")
    assert set(found) == {"broken.png", "day0/front00.png", "day0/front00.jpg"}
    assert "one image by name" in found["day0/front00.png"]
    assert (summary["files_made"], summary["errors"]) == (19, 3)
    assert len(list((tmp_path / "fleet").rglob("*.jpg"))) == 19


def test_bad_bitstreams_are_named_and_cost_no_other(camera: Path, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet"
    make(encoded_folder(camera, JPEG, False), fleet)
    sent = (fleet / "day0" / "front00.jpg").read_bytes()
    (fleet / "cut.jpg").write_bytes(sent[: len(sent) // 2])
    (fleet / "other.bpg").write_bytes(sent)
    (fleet / "nothing.webp").write_bytes(b"")
    size = sent.index(b"\xff\xc0") + 5
    (fleet / "liar.jpg").write_bytes(sent[:size] + b"\xff\xf0\xff\xf0" + sent[size + 4 :])
    summary = make(decoded_folder(fleet, Format()), tmp_path / "out")
    found = errors(tmp_path / "out")
    assert set(found) == {"cut.jpg", "other.bpg", "nothing.webp", "liar.jpg"}
    assert found["other.bpg"].startswith("holds a jpeg bitstream"), "its name is said once"
    assert "65520x65520" in found["liar.jpg"]
    assert summary["files_made"] == 20


def test_what_exists_is_not_overwritten(camera: Path, tmp_path: Path) -> None:
    make(encoded_folder(camera, JPEG, False), tmp_path / "fleet")
    before = contents(tmp_path / "fleet")
    with pytest.raises(ArtefactError, match="quality is 30 there and 31 here"):
        make(encoded_folder(camera, Fixed(make_codec("jpeg", 31)), False), tmp_path / "fleet")
    more = shutil.copytree(camera, tmp_path / "more")
    shutil.copy(next(more.rglob("*.png")), more / "another.png")
    with pytest.raises(ArtefactError, match=r"made differently \(its input has other files or classes now\)"):
        make(encoded_folder(more, JPEG, False), tmp_path / "fleet")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtefactError, match="is no finished artefact"):
        make(encoded_folder(camera, JPEG, False), tmp_path / "mine")
    assert contents(tmp_path / "fleet") == before
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def test_a_damaged_file_is_made_anew(camera: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    make(encoded_folder(camera, JPEG, False), folder)
    before = contents(folder)
    (folder / "day1" / "front01.jpg").write_bytes(b"x" * len(before["day1/front01.jpg"]))
    (folder / "day2" / "front02.jpg").unlink()
    make(encoded_folder(camera, JPEG, False), folder)
    assert contents(folder) == before


def test_finished_batches_are_not_done_again(camera: Path, tmp_path: Path) -> None:
    made = encoded_folder(camera, JPEG, False)
    done = made.batches[1]
    with pytest.raises(KeyboardInterrupt), building(tmp_path / "fleet", made.identity) as build:
        list(BatchWriter(made.roots, made.change, build.path, build.scratch)(done))
        raise KeyboardInterrupt
    names = {item.stem + ".jpg" for item in done.items}
    written = {name: (tmp_path / "fleet.partial" / name).stat().st_ino for name in names}
    make(made, tmp_path / "fleet")
    assert {name: (tmp_path / "fleet" / name).stat().st_ino for name in names} == written
    make(made, tmp_path / "whole")
    assert contents(tmp_path / "fleet") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(camera: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dsr.app.cli", "encode", str(camera), str(tmp_path / "fleet")]
    command += ["--codec", "jpeg", "--quality", "30", "--workers", "2"]
    for _ in range(2):
        before = len(list((tmp_path / "fleet.partial").rglob("*.jpg")))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while len(list((tmp_path / "fleet.partial").rglob("*.jpg"))) <= before and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    make(encoded_folder(camera, JPEG, False), tmp_path / "fleet")
    make(encoded_folder(camera, JPEG, False), tmp_path / "undisturbed")
    assert contents(tmp_path / "fleet") == contents(tmp_path / "undisturbed")
    assert not (tmp_path / "fleet.partial").exists()


@pytest.mark.parametrize("codec", ["jpeg", "webp", "jpeg2000"])
def test_no_finer_quality_would_be_as_short_as_was_asked_for(codec: str) -> None:
    for most in (400, 600, 100_000):
        used, bitstream = AtMost(codec, most).encode(picture(2))
        assert len(bitstream) <= most
        assert used.decode(bitstream).shape == (32, 48, 3)
        if used.quality < used.scale.high:
            finer = used.quality + 1 if used.scale.integer else used.quality * 1.1
            assert len(make_codec(codec, finer).encode(picture(2))) > most


def test_a_budget_that_no_quality_keeps_is_told() -> None:
    with pytest.raises(FleetError, match="take .* bytes at jpeg-quality1, more than 10"):
        AtMost("jpeg", 10).encode(picture(2))


def test_a_budget_is_kept_among_the_qualities_that_a_learned_codec_s_model_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MshCodec, "_encode", lambda self, pixels: bytes(round(100 * self.quality)))
    monkeypatch.setattr(msh.codec, "read_hyperprior", functools.cache(msh.codec.read_hyperprior))
    for most, quality in ((100_000, 6), (350, 3.5), (100, 1)):
        used, bitstream = AtMost("msh", most).encode(picture(2))
        assert used.quality == pytest.approx(quality, abs=0.01) and len(bitstream) <= most
    with pytest.raises(FleetError, match="take 100 bytes at msh-quality1, more than 99"):
        AtMost("msh", 99).encode(picture(2))


def test_what_is_made_may_not_lie_in_what_it_is_made_of(camera: Path) -> None:
    for target in (camera, camera / "out", camera.parent):
        with pytest.raises(FleetError, match="lie in each other"):
            check_apart(camera, target)


@pytest.mark.slow
def test_encoding_needs_no_tensorflow() -> None:
    code = (
        "import sys, dsr.app.commands.encode, dsr.app.commands.decode, dsr.app.commands.restore\n"
        "import dsr.experiments.fleet.encoding, dsr.experiments.fleet.rates\n"
        "import numpy as np\n"
        "from dsr.data_pipelines.codecs import CODECS, make_codec\n"
        "from dsr.data_pipelines.received import decode, read_header, suffixes\n"
        "for codec in set(CODECS) - {'msh'}:\n"
        "    bitstream = make_codec(codec).encode(np.zeros((16, 16, 3), np.uint8))\n"
        "    decode(read_header('a' + suffixes(codec)[0], bitstream), bitstream)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
