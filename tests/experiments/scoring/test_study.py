"""What compression and restoring of the test images do to a network that was trained elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.experiments.scoring.counts import Counts, ImageCounts
from dsr.experiments.scoring.study import ScoringStudy
from dsr.tfrecords.schema import canonical_json

FUNCTION = """
import numpy as np
from pathlib import Path

HERE = Path(__file__).parent


def label(pixels):
    with (HERE / "calls").open("a") as file:
        file.write("x")
    if (HERE / "stop").exists() and len((HERE / "calls").read_text()) > 4:
        raise RuntimeError("stopped")
    bright = pixels.astype(int).sum(2) + int((HERE / "bias").read_text())
    return np.clip(bright // 70, 0, 11)
"""

SETTINGS = ["height=32", "width=48", "zoom=1", "test=5", "train=1", "restore=1"]


def label(pixels: np.ndarray, bias: int = 0) -> np.ndarray:
    return np.clip((pixels.astype(int).sum(2) + bias) // 70, 0, 11).astype(np.uint8)


def write_model(tmp_path: Path) -> str:
    """A function that classes by brightness, tells how often it was called, and reads a file that nobody knows of."""
    (tmp_path / "mine.py").write_text(FUNCTION)
    (tmp_path / "bias").write_text("0")
    return f"{tmp_path / 'mine.py'}:label"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_model(tmp_path)


def score(model: str, *options: str) -> object:
    work = Path(model.rpartition(":")[0]).parent / "work"
    settings = [word for setting in SETTINGS for word in ("--set", f"dataset.options.{setting}")]
    given = ["--points", "bpg-qp45,jpeg-quality5", "--work", str(work), "--workers", "1"]
    return CliRunner().invoke(cli, ["score", "--model", model, "--json", *given, *settings, *options])


def calls(model: str) -> int:
    return len((Path(model.rpartition(":")[0]).parent / "calls").read_text())


def mious(run: object) -> dict[tuple[str, str], float]:
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    scores = json.loads(run.stdout)["scores"]  # type: ignore[attr-defined]
    return {(e["configuration"], e["point"]): e["miou"]["value"] for e in scores if not e["minus"]}


def expected(bias: int = 0) -> dict[tuple[str, str | None], float]:
    """Without shards: the codec on the dataset's images, the function, the counts."""
    options = {name: int(value) for name, _, value in (setting.partition("=") for setting in SETTINGS)}
    source = open_source("streets", **options)
    found = {}
    codecs = {None: None, "bpg-qp45": make_codec("bpg", 45), "jpeg-quality5": make_codec("jpeg", 5)}
    for point, codec in codecs.items():
        images = {}
        for sample in source.samples("test"):
            pixels, truth = source.read(sample)
            seen = pixels if codec is None else codec.decode(codec.encode(pixels))
            images[sample.key] = ImageCounts.of(truth, label(seen, bias), source.table.num_classes)
        found["OC" if codec else "OO", point] = Counts.joined(images).miou
    return found


@pytest.mark.slow
def test_more_samples_than_images_are_all_images(model: str) -> None:
    run = score(model, "--set", "samples=9", "--points", "jpeg-quality5")
    assert len(mious(run)) == 2
    folders = [path for path in (Path(model.rpartition(":")[0]).parent / "work" / "evaluations").rglob("manifest.json")]
    assert len(folders) == 2
    for folder in (path.parent for path in folders):
        assert sorted(path.name for path in folder.glob("prediction-*")) == [f"prediction-{n}.png" for n in range(5)]


@pytest.mark.slow
def test_scores_are_those_of_the_network_on_what_the_codec_leaves(model: str) -> None:
    run = score(model)
    assert mious(run) == pytest.approx(expected(), abs=1e-12)
    assert calls(model) == 1 + 3 * 5  # one to know the network by, then each image of each domain
    page = Path(json.loads(run.stdout)["report"])
    assert page.parent.name == "mine-label"
    text = " ".join(page.read_text().split())
    assert "compressing the test images" in text and "Rate and distortion" in text
    minus = {(e["configuration"], e["minus"]) for e in json.loads(run.stdout)["scores"]}
    assert ("OC", "OO") in minus


@pytest.mark.slow
def test_what_is_scored_is_not_scored_again_unless_the_network_answers_differently(model: str) -> None:
    first = mious(score(model))
    before = calls(model)
    assert mious(score(model)) == first
    assert calls(model) == before + 1
    (Path(model.rpartition(":")[0]).parent / "bias").write_text("100")  # a file that nobody told dsr of
    assert mious(score(model)) == pytest.approx(expected(100), abs=1e-12)


@pytest.mark.slow
def test_it_goes_on_with_the_image_it_stopped_at(model: str) -> None:
    here = Path(model.rpartition(":")[0]).parent
    (here / "stop").touch()
    run = score(model)
    assert run.exit_code == 1 and "stopped" in str(run.exception)
    (here / "stop").unlink()
    before = calls(model)
    (partial,) = (here / "work" / "evaluations").rglob("*.partial")
    lines = (partial / "counts.jsonl").read_bytes()
    assert lines.count(b"\n") == 3
    (partial / "counts.jsonl").write_bytes(lines + b'{"key": "cut')  # as a kill may leave it
    assert mious(score(model)) == pytest.approx(expected(), abs=1e-12)
    assert calls(model) == before + 1 + (3 * 5 - 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mean", "1,2"], "three numbers"),
        (["--size", "big"], "height and width"),
        (["--predictions", "x"], "either --predictions"),
        (["--restorer", "nowhere"], "no folder of a trained restorer"),
    ],
)
def test_wrong_options_are_explained(options: list[str], said: str, model: str) -> None:
    run = score(model, *options)
    assert run.exit_code != 0
    assert said in run.output + str(run.exception)


def write_folder(root: Path, sizes: list[tuple[int, int]]) -> None:
    """A dataset of test images, dark and bright in halves; the error of `by_brightness` is the noise of each."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (root / part / "test").mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        truth = np.zeros((height, width), np.uint8)
        truth[:, width // 2 :] = 1
        wrong = rng.random((1, width)) < (0.3 if width > WEBP_SIDE else 0.05 + 0.1 * rng.random())
        pixels = np.where((truth == 1) ^ wrong, 200, 50).astype(np.uint8)
        Image.fromarray(np.repeat(pixels[..., None], 3, 2)).save(root / "images" / "test" / f"{number:02}.png")
        Image.fromarray(truth).save(root / "labels" / "test" / f"{number:02}.png")
    (root / "classes.csv").write_text("id,name,r,g,b\n0,dark,0,0,0\n1,bright,255,255,255\n2,tram,1,1,1\n")


WEBP_SIDE = 16383
"""WebP can be no wider."""

BRIGHTNESS = "import numpy as np\n\n\ndef label(pixels):\n    return (pixels.astype(int).sum(2) > 375).astype(int)\n"


def score_folder(tmp_path: Path, points: str, *options: str) -> object:
    (tmp_path / "mine.py").write_text(BRIGHTNESS)
    given = ["--dataset", "folder", "--root", str(tmp_path / "data"), "--work", str(tmp_path / "work")]
    given += ["--model", f"{tmp_path / 'mine.py'}:label", "--points", points, "--workers", "1"]
    return CliRunner().invoke(cli, ["score", *given, *options], catch_exceptions=True)


@pytest.mark.slow
def test_cases_are_compared_on_the_images_that_all_of_them_have(tmp_path: Path) -> None:
    """WebP cannot encode the images that are hardest to label: on those that it can, it changes nothing."""
    write_folder(tmp_path / "data", [(16, 48)] * 11 + [(1, WEBP_SIDE + 2)] * 3)
    points = "webp-quality100,none"
    run = score_folder(tmp_path, points, "--json", "--max-errors", "3")
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    said = json.loads(run.stdout)  # type: ignore[attr-defined]
    assert said["images"] == 11
    (gone,) = said["left_out"]
    assert (gone["point"], gone["restorer"], len(gone["keys"])) == ("webp-quality100", None, 3)
    scores = [entry["miou"] for entry in said["scores"]]
    assert len(scores) == 5 and len({score["value"] for score in scores[:3]}) == 1
    assert all((score["value"], score["low"], score["high"]) == (0, 0, 0) for score in scores[3:])
    words = "Nothing is scored on 3 of 14 test images, so that all is compared on the same: webp-quality100 lacks 3."
    assert words in " ".join(Path(said["report"]).read_text().split())
    assert words in score_folder(tmp_path, points, "--max-errors", "3").output  # type: ignore[attr-defined]


@pytest.mark.slow
def test_rates_and_fidelity_are_of_the_images_that_are_scored(tmp_path: Path) -> None:
    """They are those of the same images without the one that WebP cannot encode, which compresses unlike them."""
    small = [(16, 48), (20, 40)] * 5
    points = "webp-quality50,jpeg-quality20"
    found = []
    for name, sizes in (("some", [*small, (16, WEBP_SIDE + 2)]), ("small", small)):
        write_folder(tmp_path / name / "data", sizes)
        run = score_folder(tmp_path / name, points, "--json", "--max-errors", "1")
        assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
        report = Path(json.loads(run.stdout)["report"])  # type: ignore[attr-defined]
        found.append(json.loads((report.parent / "results.json").read_text()))
    some, alone = found
    assert len(some["left_out"]) == 1 and not alone["left_out"]
    assert some["points"] == alone["points"] and some["original_bpp"] == alone["original_bpp"]
    assert {**some["dataset"], "name": ""} == {**alone["dataset"], "name": ""}


@pytest.mark.slow
def test_a_class_that_no_test_label_has_is_named_and_not_scored(tmp_path: Path) -> None:
    """A pixel of it that is predicted neither lowers the mean nor counts in a difference."""
    write_folder(tmp_path / "data", [(16, 48)] * 11)
    before = json.loads(score_folder(tmp_path, "jpeg-quality90", "--json").stdout)  # type: ignore[attr-defined]
    (tmp_path / "mine.py").write_text(
        BRIGHTNESS.replace("return (", "return np.where(np.isin(pixels.sum(2), (150, 600)), 0, 2) + (")
    )
    run = score_folder(tmp_path, "jpeg-quality90", "--json")
    assert run.exit_code == 0, run.output  # type: ignore[attr-defined]
    said = json.loads(run.stdout)  # type: ignore[attr-defined]
    assert said["unlabelled"] == before["unlabelled"] == ["tram"]
    assert all(entry["per_class"]["tram"] is None for entry in said["scores"])
    for entry in said["scores"]:
        ious = [entry["per_class"][name]["value"] for name in ("dark", "bright")]
        assert entry["miou"]["value"] == pytest.approx(np.mean(ious))
    words = "No test label has tram: it is not scored, and does not count in mIoU."
    assert words in " ".join(Path(said["report"]).read_text().split())


@pytest.mark.slow
def test_counts_that_an_earlier_release_wrote_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have how many pixels are labelled, not of which class."""
    score_image = ScoringStudy._score

    def earlier(*given: Any) -> bytes:
        line = json.loads(score_image(*given))
        return canonical_json({**line, "labelled": sum(line["labelled"])}).encode() + b"\n"

    write_folder(tmp_path / "data", [(16, 48)] * 11)
    expected = score_folder(tmp_path, "jpeg-quality90", "--json")
    assert expected.exit_code == 0, expected.output  # type: ignore[attr-defined]
    shutil.rmtree(tmp_path / "work" / "evaluations")
    monkeypatch.setattr(ScoringStudy, "_score", earlier)
    found = score_folder(tmp_path, "jpeg-quality90", "--json")
    assert found.exit_code == 0, str(found.exception)  # type: ignore[attr-defined]
    assert json.loads(found.stdout)["scores"] == json.loads(expected.stdout)["scores"]  # type: ignore[attr-defined]
