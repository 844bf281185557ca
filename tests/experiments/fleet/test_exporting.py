"""What is exported is what the shards hold, under the dataset's own names, whole, and the same bytes every time."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import Source, open_source
from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.fleet.errors import FleetError
from dsr.experiments.fleet.exporting import exported_folder, file_stem, find_shards
from dsr.experiments.fleet.folders import Folder
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.graph.artefacts import place_of
from dsr.experiments.graph.progress import Meter, Progress
from dsr.models.errors import ReadError, UserError
from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.framing import frame
from dsr.tfrecords.manifest import records
from dsr.tfrecords.schema import encode_record, read_shard
from tests.experiments.fleet.conftest import contents, picture
from tests.tfrecords.fakes import INLINE, FakeSample, FakeSource, inline
from tests.tfrecords.writing import resign, write_originals

NAMES = ("a", "day.1/b.c", "day.1/ü ~", "n" * 120, *(f"x/{number}" for number in range(8)))
IDS = (3, 7, 9, 300, 255)
SPLITS = ("train", "test")
BITSTREAMS, PNG = None, Format()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset in nested folders; 7 and 9 are one class, 255 is ignored, and ids of 16 bits are there."""
    root = tmp_path_factory.mktemp("dataset")
    for number, (split, name) in enumerate(itertools.product(SPLITS, NAMES)):
        for kind, pixels in (
            ("images", picture(number, 48 + number % 3)),
            ("labels", np.array(IDS, np.uint16)[picture(number, 48 + number % 3)[..., 0] // 52]),
        ):
            path = root / kind / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (root / "classes.csv").write_text("id,name,train_id\n3,road,1\n7,car,0\n9,van,0\n300,tree,2\n255,void,255\n")
    return root


@pytest.fixture(scope="module")
def work(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with its original shards and what BPG left of them, five images a shard."""
    work = tmp_path_factory.mktemp("work")
    source = open_source("folder", str(root))
    for split in SPLITS:
        originals = to_originals(source, split, images_per_shard=5)
        folder = place_of("shards", work, originals.identity)
        originals.write(folder, INLINE)
        compressed = to_compressed(folder, make_codec("bpg", 38))
        compressed.write(place_of("shards", work, compressed.identity), INLINE)
    return work


def shards(work: Path, *names: str) -> list[Path]:
    return [find_shards(f"folder/{name}", work) for name in names]


def export(
    work: Path,
    out: Path,
    *names: str,
    layout: str = "folder",
    ids: str = "original",
    format: Format | None = PNG,
    tar_size: float = 0.02,
) -> Folder:
    made = exported_folder(shards(work, *names), layout, ids, format, tar_size)
    made.make(out, None, Progress(), inline)
    return made


def read(source: Source, split: str) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    return {sample.key: source.read(sample) for sample in source.samples(split)}


@pytest.mark.parametrize("ids", ["original", "train"])
def test_an_exported_dataset_is_read_as_the_one_that_it_was_made_of(
    ids: str, root: Path, work: Path, tmp_path: Path
) -> None:
    export(work, tmp_path / "out", "train/original", "test/original", ids=ids)
    before, after = open_source("folder", str(root)), open_source("folder", str(tmp_path / "out"))
    assert [(label.name, label.color, label.small) for label in after.table.classes] == [
        (label.name, label.color, label.small) for label in before.table.classes
    ]
    assert set(after.splits) == set(SPLITS)
    for split in SPLITS:
        pairs, expected = read(after, split), read(before, split)
        assert len(pairs) == len(NAMES) and set(pairs) == set(expected)
        for key, (pixels, label) in expected.items():
            assert np.array_equal(pairs[key][0], pixels)
            assert np.array_equal(pairs[key][1], label)
    written = np.asarray(Image.open(tmp_path / "out" / "labels" / "train" / "a.png"))
    assert set(np.unique(written)) <= ({3, 7, 300, 255} if ids == "original" else {0, 1, 2, 255})


def test_files_have_the_names_that_they_have_in_the_dataset(root: Path, work: Path, tmp_path: Path) -> None:
    export(work, tmp_path / "out", "train/bpg-qp38")
    for kind in ("images", "labels"):
        names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / kind).rglob("*.png")}
        assert names == {f"{kind}/train/{name}.png" for name in NAMES}
    rows = list(csv.DictReader((tmp_path / "out" / "images.csv").open(encoding="utf-8")))
    assert {row["source"] for row in rows} == {f"train/{name}.png" for name in NAMES}
    for row in rows:
        assert int(row["bytes"]) == (tmp_path / "out" / row["name"]).stat().st_size


def test_each_image_is_what_its_record_holds(work: Path, tmp_path: Path) -> None:
    (folder,) = shards(work, "train/bpg-qp38")
    export(work, tmp_path / "png", "train/bpg-qp38")
    export(work, tmp_path / "jpeg", "train/bpg-qp38", format=Format(95))
    export(work, tmp_path / "bits", "train/bpg-qp38", format=BITSTREAMS)
    for record in records(folder):
        name = f"images/train/{file_stem(record.key)}"
        assert np.array_equal(np.asarray(Image.open(tmp_path / "png" / f"{name}.png")), record.pixels())
        assert (tmp_path / "bits" / f"{name}.bpg").read_bytes() == record.bitstream
        jpeg = np.asarray(Image.open(tmp_path / "jpeg" / f"{name}.jpg")).astype(int)
        assert 0 < np.abs(jpeg - record.pixels()).mean() < 3


def test_exported_bitstreams_are_a_dataset_that_came_compressed(work: Path, tmp_path: Path) -> None:
    export(work, tmp_path / "out", "train/bpg-qp38", format=BITSTREAMS)
    pairs = read(open_source("folder", str(tmp_path / "out"), received="train"), "train")
    for record in records(*shards(work, "train/bpg-qp38")):
        assert np.array_equal(pairs[record.key][0], record.pixels())
        assert np.array_equal(pairs[record.key][1], record.train_ids())


def test_bitstreams_of_smaller_pictures_are_exported_with_their_own_size_and_without_label_maps_that_do_not_fit(
    work: Path, tmp_path: Path
) -> None:
    halved = to_compressed(*shards(work, "train/original"), OperatingPoint.parse("downsample2+jpeg-quality50").make())
    folder = place_of("shards", tmp_path / "work", halved.identity)
    halved.write(folder, INLINE)
    shutil.copytree(*shards(work, "train/original"), folder.parent / shards(work, "train/original")[0].name)
    with pytest.raises(ArtefactError, match=r"picture of 24x16 pixels.*label map has 48x32.*--labels none"):
        exported_folder([folder], "folder", "train", BITSTREAMS, 1).make(tmp_path / "out", None, Progress(), inline)
    exported_folder([folder], "folder", "none", BITSTREAMS, 1).make(tmp_path / "bare", None, Progress(), inline)
    for row in csv.DictReader((tmp_path / "bare" / "images.csv").read_text().splitlines()):
        with Image.open(tmp_path / "bare" / row["name"]) as image:
            assert image.size == (int(row["width"]), int(row["height"]))


def test_tar_files_hold_whole_samples_as_webdataset_groups_them(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = export(work, out, "train/bpg-qp38", "test/bpg-qp38", layout="webdataset", ids="train")
    rows = list(csv.DictReader((out / "images.csv").open(encoding="utf-8")))
    for split in SPLITS:
        samples: dict[str, dict[str, bytes]] = {}
        tars = sorted(out.glob(f"{split}-*.tar"))
        assert [tar.name for tar in tars] == [f"{split}-{n:06d}.tar" for n in range(len(tars))] and len(tars) > 2
        for path in tars:
            assert path.stat().st_size <= 20000 + tarfile.RECORDSIZE  # its end is filled up
            with tarfile.open(path) as tar:
                for entry in tar.getmembers():
                    assert (entry.mtime, entry.uid, entry.gid, entry.uname) == (0, 0, 0, "")
                    # As the WebDataset library splits names, see base_plus_ext in its tariterators.
                    key, suffix = re.fullmatch(r"((?:.*/|)[^.]+)[.]([^/]*)", entry.name).groups()  # type: ignore[union-attr]
                    assert key not in samples or list(samples)[-1] == key
                    samples.setdefault(key, {})[suffix] = tar.extractfile(entry).read()  # type: ignore[union-attr]
        found = list(records(*shards(work, f"{split}/bpg-qp38")))
        assert len(samples) == len(found) == len(NAMES)
        for record, (key, files) in zip(found, samples.items()):
            assert set(files) == {"png", "json", "label.png"}
            assert key.replace("%2E", ".") == file_stem(record.key)
            assert json.loads(files["json"])["split"] == split
            assert json.loads(files["json"])["key"] == record.key
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["png"]))), record.pixels())
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["label.png"]))), record.train_ids())
            (row,) = (row for row in rows if (row["key"], row["tar"][: len(split)]) == (record.key, split))
            with tarfile.open(out / row["tar"]) as tar:
                assert tar.getmember(row["name"]).size == int(row["bytes"])
    assert sum(len(batch.items) for batch in made.batches) == 2 * len(NAMES)


class Dotted(FakeSource):
    """Two images whose names differ in nothing but how a dot is written."""

    def samples(self, split: str) -> list[FakeSample]:
        return [FakeSample("a.b", "a.b.png"), FakeSample("a%252Eb", "a%2Eb.png")]

    def read(self, sample: FakeSample) -> tuple[np.ndarray, np.ndarray | None]:
        return super().read(FakeSample("image 000", sample.image))


def test_images_that_would_be_one_sample_of_a_tar_file_are_refused(tmp_path: Path) -> None:
    shards = tmp_path / "o"
    write_originals(Dotted(), "train", shards, engine=inline)
    with pytest.raises(FleetError, match=r"'a%252Eb' and 'a\.b' would be one sample; rename one of them"):
        exported_folder([shards], "webdataset", "none", PNG, 1)
    exported_folder([shards], "folder", "none", PNG, 1).make(tmp_path / "out", None, Progress(), inline)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2


@contextmanager
def stopped_after(count: int) -> Iterator[Progress]:
    """Something to tell progress to that interrupts after so many images."""

    class Stopping(Progress, Meter):
        @contextmanager
        def meter(self, label: str, total: int) -> Iterator[Meter]:
            yield self

        def update(self, done: int, note: str = "") -> None:
            if done >= count:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        yield Stopping()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["folder", "webdataset"])
def test_an_interrupted_export_goes_on_to_the_same_bytes_with_any_number_of_workers(
    layout: str, work: Path, tmp_path: Path
) -> None:
    made = exported_folder(shards(work, "train/bpg-qp38"), layout, "original", PNG, 0.02)
    with stopped_after(10) as progress:
        made.make(tmp_path / "a", 1, progress)
    assert not (tmp_path / "a").exists()
    done = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "a.partial").rglob("*.*")
        if path.suffix in (".png", ".tar")
    }
    assert done
    made.make(tmp_path / "a", 2, Progress())
    made.make(tmp_path / "b", None, Progress(), inline)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    kept = [(tmp_path / "a" / p.relative_to(tmp_path / "a.partial")).stat().st_mtime_ns == t for p, t in done.items()]
    assert any(kept)


@pytest.mark.parametrize("layout", ["folder", "webdataset"])
def test_a_finished_export_is_compared_and_damaged_files_are_made_anew(layout: str, work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = export(work, out, "train/bpg-qp38", layout=layout)
    before = contents(out)
    victim = next(iter(sorted(out.rglob("*.tar" if layout == "webdataset" else "*.png"))))
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    (out / "classes.csv").unlink()
    made.make(out, None, Progress(), inline)
    assert contents(out) == before
    with pytest.raises(ArtefactError, match="made differently"):
        export(work, out, "test/bpg-qp38", layout=layout)


def test_what_does_not_go_together_is_refused(work: Path, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="several splits"):
        export(work, tmp_path / "out", "train/original", "train/bpg-qp38")
    with pytest.raises(FleetError, match="holds no bitstreams"):
        export(work, tmp_path / "out", "train/original", format=BITSTREAMS)
    with pytest.raises(FleetError, match="folder/train/no is no folder of shards"):
        export(work, tmp_path / "out", "train/no")
    assert not list(tmp_path.iterdir())


def copied(folder: Path, work: Path) -> Path:
    """The same shards in another work folder, without those that they were made of."""
    place = work / "shards" / "folder" / "train" / folder.name
    shutil.copytree(folder, place)
    return place


def test_without_the_shards_that_tell_the_classes_only_images_can_be_had(work: Path, tmp_path: Path) -> None:
    place = copied(*shards(work, "train/bpg-qp38"), tmp_path)
    with pytest.raises(FleetError, match="--labels none"):
        exported_folder([place], "folder", "train", PNG, 1)
    exported_folder([place], "folder", "none", PNG, 1).make(tmp_path / "out", None, Progress(), inline)
    assert not (tmp_path / "out" / "labels").exists() and not (tmp_path / "out" / "classes.csv").exists()
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == len(NAMES)


def test_damaged_shards_end_the_export_and_nothing_looks_finished(work: Path, tmp_path: Path) -> None:
    place = copied(*shards(work, "train/bpg-qp38"), tmp_path)
    shard = sorted(place.glob("*.tfrecord"))[1]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    made = exported_folder([place], "folder", "none", PNG, 1)
    with pytest.raises(ReadError, match=rf"{shard.name}.* is damaged.*run dsr convert again"):
        made.make(tmp_path / "out", None, Progress(), inline)
    assert not (tmp_path / "out").exists()


def test_a_shard_whose_images_were_all_left_out_is_no_obstacle(tmp_path: Path) -> None:
    write_originals(
        FakeSource(4, broken=(0, 1)), "a b", tmp_path / "o", images_per_shard=2, max_errors=2, engine=inline
    )
    exported_folder([tmp_path / "o"], "folder", "none", PNG, 1).make(tmp_path / "out", None, Progress(), inline)
    names = [path.relative_to(tmp_path / "out").as_posix() for path in sorted((tmp_path / "out").rglob("*.png"))]
    assert names == ["images/a b/a b/image 002.png", "images/a b/a b/image 003.png"]


@pytest.mark.parametrize("key", ["../x", "/x", "a//b", "a/..", "%2E%2E/x", "a%2F..%2Fb", "", "."])
def test_a_key_that_leads_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(ArtefactError, match="is no name of a file"):
        file_stem(key)


def test_a_name_that_cannot_be_printed_stays_as_urls_have_it() -> None:
    assert file_stem("a%0Ab") == "a%0Ab"
    assert file_stem("%C3%BC%20b/100%25") == "ü b/100%"


def test_records_that_are_not_those_of_the_table_are_refused(work: Path, tmp_path: Path) -> None:
    place = copied(*shards(work, "train/bpg-qp38"), tmp_path)
    shard = min(place.glob("*.tfrecord"))
    first, *rest = read_shard(shard, 4)
    data = b"".join(frame(encode_record(record)) for record in (replace(first, key="../../x"), *rest))
    shard.write_bytes(data)
    with resign(place) as manifest:
        manifest["files"][shard.name].update(bytes=len(data))
    with pytest.raises(ReadError, match=r"holds '\.\./\.\./x' where images.json has"):
        exported_folder([place], "folder", "none", PNG, 1).make(tmp_path / "out", None, Progress(), inline)


def dsr(*words: str) -> Result:
    return CliRunner().invoke(cli, ["export", *words])


@pytest.mark.slow
def test_the_command_finds_shards_by_name_place_and_path_and_tells_what_it_made(work: Path, tmp_path: Path) -> None:
    (folder,) = shards(work, "train/bpg-qp38")
    for number, what in enumerate(("folder/train/bpg-qp38", f"folder/train/{folder.name}", str(folder))):
        run = dsr(what, str(tmp_path / str(number)), "--work", str(work), "--workers", "1", "--json")
        assert run.exit_code == 0, run.output
        told = json.loads(run.output[run.output.index("{") :])
        assert (told["files_made"], told["errors"], told["folder"]) == (len(NAMES), 0, str(tmp_path / str(number)))
    assert contents(tmp_path / "0") == contents(tmp_path / "2")
    refused = dsr("folder/train/bpg-qp38", str(folder / "out"), "--work", str(work))
    assert isinstance(refused.exception, UserError) and not (folder / "out").exists()


@pytest.mark.slow
def test_exporting_needs_no_tensorflow(work: Path, tmp_path: Path) -> None:
    words = ["export", "folder/test/bpg-qp38", str(tmp_path / "out"), "--work", str(work), "--workers", "1"]
    code = f"import sys; sys.modules['tensorflow'] = None; from dsr.app.cli import cli; cli({words!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{len(NAMES)} images, \d+\.\d [kM]?B, ", done.stdout), "PNGs of what was compressed have no rate"
