"""Label maps of any program are found by case and image, checked at once, and scored as Cityscapes scores them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dsr.app.cli import cli
from dsr.data_pipelines.datasets import DatasetError, Label, LabelTable, open_source
from dsr.data_pipelines.datasets.base import Source
from dsr.experiments.domain import Case
from dsr.experiments.graph.progress import Progress
from dsr.experiments.scoring.collecting import points_of
from dsr.experiments.scoring.counts import Counts
from dsr.experiments.scoring.errors import ScoreError
from dsr.experiments.scoring.predictions import find_cases, parse_case, read_cases, read_label_map
from tests.experiments.analysis.page import Page

NAMES = ["a/0001", "a/0002", "b/0001"]


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def draw_images(root: Path, names: list[str]) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        save(rng.integers(0, 256, (8, 10, 3), np.uint8), root / "images" / "test" / f"{name}.png")
        save(rng.choice([10, 20, 30], (8, 10)).astype(np.uint8), root / "labels" / "test" / f"{name}.png")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three test images in two folders, classes of ids 10 and 20, and 30 that is ignored; nothing to train on."""
    root = tmp_path / "data"
    draw_images(root, NAMES)
    (root / "classes.csv").write_text("id,name,train_id\n10,road,0\n20,car,1\n30,void,255\n")
    return root


def truth(dataset: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(dataset / "labels" / "test" / f"{name}.png"))


def predict(dataset: Path, folder: Path, names: list[str] = NAMES) -> None:
    """The truth, with its first row wrong."""
    for name in names:
        predicted = truth(dataset, name).copy()
        predicted[0] = np.where(predicted[0] == 10, 20, 10)
        save(predicted, folder / f"{name}.png")


def score(dataset: Path, *predictions: str, work: Path, options: tuple[str, ...] = ()) -> object:
    given = [word for text in predictions for word in ("--predictions", text)]
    where = ["--dataset", "folder", "--root", str(dataset), "--work", str(work)]
    return CliRunner().invoke(cli, ["score", *given, *where, *options])


@pytest.mark.parametrize(
    ("text", "configuration", "point", "restorer", "seed"),
    [
        ("OO", "OO", None, None, 0),
        ("OO-seed3", "OO", None, None, 3),
        ("CO", "CO", "received", None, 0),
        ("RO", "RO", "received", "restorer", 0),
        ("CO-bpg-qp36", "CO", "bpg-qp36", None, 0),
        ("RO-bpg-qp36", "RO", "bpg-qp36", "restorer", 0),
        ("RO-bpg-qp36-rdn-psnr-seed2", "RO", "bpg-qp36", "rdn-psnr", 2),
        ("OR-msh-quality2.5-esrgan", "OR", "msh-quality2.5", "esrgan", 0),
        ("CC-bpg-qp36+chroma=4:4:4", "CC", "bpg-qp36+chroma=4:4:4", None, 0),
        ("CO-mycodec", "CO", "mycodec", None, 0),
        ("RO-mycodec-esrgan", "RO", "mycodec", "esrgan", 0),
    ],
)
def test_a_folders_name_says_the_case(text, configuration, point, restorer, seed) -> None:
    case = parse_case(text)
    assert case.configuration == configuration
    assert (case.changed.point, case.changed.restorer, case.seed) == (point, restorer, seed)


def test_names_that_dsr_gives_its_own_evaluations_are_read() -> None:
    degradation = parse_case("CO-bpg-qp36").changed.degradation
    assert degradation is not None
    case = Case.of("RO", degradation, "rdn-psnr", 1)
    assert case.name == "RO-bpg-qp36-rdn-psnr-seed1"
    assert parse_case(case.name) == case


def test_only_points_that_differ_in_the_level_alone_stand_on_one_curve() -> None:
    names = [
        "bpg-qp36",
        "bpg-qp43",
        "bpg-qp36+chroma=4:4:4",
        "downsample2+bpg-qp36",
        "downsample2+jpeg-quality36",
        "own",
    ]
    curves = [point.curve for point in points_of([parse_case(f"CO-{name}") for name in names])]
    assert curves == ["bpg", "bpg", "bpg+chroma=4:4:4", "downsample2+bpg", "downsample2+jpeg", "own"]


@pytest.mark.parametrize("text", ["", "XX", "ROO", "co", "OO-bpg-qp36", "CO-bpg-qp36-esrgan", "CO-a b", "CO-../x"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ScoreError, match=repr(text).replace(".", r"\.")):
        parse_case(text)


def test_scores_are_in_the_table_the_json_the_csv_and_the_page(dataset: Path, tmp_path: Path) -> None:
    names = [*NAMES, *(f"b/{number:04}" for number in range(2, 10))]
    draw_images(dataset, names)
    predict(dataset, tmp_path / "pred" / "CO", names)
    for name in names:
        save(truth(dataset, name), tmp_path / "pred" / "RO" / f"{name}.png")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--json",))
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    by_case = {(entry["configuration"], entry["minus"]): entry["miou"] for entry in said["scores"]}
    right = np.concatenate([truth(dataset, name).ravel() for name in names])
    wrong = np.concatenate([np.arange(80) < 10 for _ in names])
    ious = []
    for label, other in ((10, 20), (20, 10)):
        union = (right == label).sum() + ((right == other) & wrong).sum()
        ious.append(((right == label) & ~wrong).sum() / union)
    assert by_case["RO", None]["value"] == 1
    # What is void in the truth is not looked at, and wrong in the prediction only there.
    assert by_case["CO", None]["value"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert by_case["RO", "CO"]["value"] == pytest.approx(1 - np.mean(ious), abs=1e-12)
    assert by_case["CO", None]["low"] <= by_case["CO", None]["value"] <= by_case["CO", None]["high"]
    page = Path(said["report"])
    rows = (page.parent / "scores.csv").read_text().splitlines()
    assert rows[0] == "configuration,minus,point,restorer,seed,class,value,low,high"
    assert len(rows) == 1 + 3 * 3
    text = "".join(Page(page.read_text()).text)
    assert "restoring them before training adds" in " ".join(text.split())
    assert "Training" not in text and "Rate and distortion" not in text


def test_what_another_process_is_writing_is_left_to_it(dataset: Path, tmp_path: Path) -> None:
    predict(dataset, tmp_path / "pred" / "CO")
    assert score(dataset, str(tmp_path / "pred"), work=tmp_path / "work").exit_code == 0
    written = sorted((tmp_path / "work" / "scores" / "data" / "predictions" / "samples").iterdir())
    theirs = [path.with_name(f"{path.name}.tmp") for path in written]
    for file in theirs:
        file.write_bytes(b"theirs")
    assert score(dataset, str(tmp_path / "pred"), work=tmp_path / "work").exit_code == 0
    assert theirs and all(file.exists() and file.read_bytes() == b"theirs" for file in theirs)


def test_few_images_have_scores_and_no_interval(dataset: Path, tmp_path: Path) -> None:
    predict(dataset, tmp_path / "pred" / "CO")
    predict(dataset, tmp_path / "pred" / "RO")
    save(truth(dataset, NAMES[0]), tmp_path / "pred" / "RO" / f"{NAMES[0]}.png")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--json",))
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    estimates = [e for entry in said["scores"] for e in (entry["miou"], *entry["per_class"].values())]
    assert all(e["value"] is not None and e["low"] is e["high"] is None for e in estimates)
    page = Page(Path(said["report"]).read_text())
    text = " ".join("".join(page.text).split())
    assert "restoring them before training scored +" in text
    assert "mIoU has no interval: 3 of 3 test images have a label, an interval takes 10." in text
    assert "would move with other images" not in text
    assert 'class="number best"' not in Path(said["report"]).read_text()
    rows = (Path(said["report"]).parent / "scores.csv").read_text().splitlines()
    assert all(row.endswith(",,") for row in rows[1:])
    table = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work").output
    assert table.count("3 of 3 test images have a label, an interval takes 10") == 3


def label_all(dataset: Path, names: list[str], label: int) -> None:
    for name in names:
        save(np.full((8, 10), label, np.uint8), dataset / "labels" / "test" / f"{name}.png")


def test_images_without_a_label_are_not_said_to_be_too_few_images(dataset: Path, tmp_path: Path) -> None:
    names = [*NAMES, *(f"b/{number:04}" for number in range(2, 13))]
    draw_images(dataset, names)
    label_all(dataset, names[8:], 30)
    predict(dataset, tmp_path / "pred" / "OO", names)
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert run.exit_code == 0, run.output
    assert "8 of 14 test images have a label, an interval takes 10" in run.output


def test_classes_of_few_images_are_named_with_how_many_have_them(dataset: Path, tmp_path: Path) -> None:
    """With one image of a class, most draws have it; with one of each of two, they have not both."""
    names = [*NAMES, *(f"b/{number:04}" for number in range(2, 14))]
    draw_images(dataset, names)
    label_all(dataset, names[1:], 10)
    save(np.full((8, 10), 20, np.uint8), dataset / "labels" / "test" / f"{names[0]}.png")
    predict(dataset, tmp_path / "pred" / "OO", names)
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert run.exit_code == 0, run.output
    words = "How car (1 image) would move with other images, so few do not say."
    assert words in run.output and "most draws" not in run.output
    (page,) = (tmp_path / "work" / "scores").rglob("report.html")
    text = " ".join("".join(Page(page.read_text()).text).split())
    assert words in text and "Intervals are 95 % of the bootstrap over 15 test images" in text
    (dataset / "classes.csv").write_text("id,name,train_id\n10,road,0\n20,car,1\n30,sky,2\n")
    label_all(dataset, names[1:2], 10)
    label_all(dataset, names[2:], 30)
    predict(dataset, tmp_path / "pred" / "OO", names)
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert "most draws of test images lack a class" in run.output
    assert "How road (1 image), car (1 image) would move with other images" in run.output


def test_labels_that_are_all_ignored_are_refused(dataset: Path, tmp_path: Path) -> None:
    label_all(dataset, NAMES, 30)
    predict(dataset, tmp_path / "pred" / "OO")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert run.exit_code == 1
    assert "no pixel of the 3 test images to be scored has a class" in str(run.exception)
    assert not (tmp_path / "work").exists()


def test_files_may_lie_flat_where_names_are_unique(dataset: Path, tmp_path: Path) -> None:
    for part in ("images", "labels"):
        (dataset / part / "test" / "b" / "0001.png").rename(dataset / part / "test" / "b" / "0003.png")
    for name in ("a/0001", "a/0002", "b/0003"):
        save(truth(dataset, name), tmp_path / "flat" / f"{name.partition('/')[2]}.png")
    run = score(dataset, f"OO={tmp_path / 'flat'}", work=tmp_path / "work")
    assert run.exit_code == 0, run.output
    assert "100.00" in run.output


def test_a_file_with_the_very_name_of_an_image_is_of_no_other_in_a_folder(dataset: Path, tmp_path: Path) -> None:
    draw_images(dataset, ["0001"])
    for name in (*NAMES, "0001"):
        save(truth(dataset, name), tmp_path / "pred" / f"{name}.png")
    run = score(dataset, f"OO={tmp_path / 'pred'}", work=tmp_path / "work")
    assert run.exit_code == 0, run.output
    assert "100.00" in run.output


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_written_in_two_ways_is_one_name(forms: tuple[str, str], dataset: Path, tmp_path: Path) -> None:
    image, predicted = (unicodedata.normalize(form, "b/caf\u00e9") for form in forms)
    draw_images(dataset, [image])
    for name in (*NAMES, image):
        save(truth(dataset, name), tmp_path / "pred" / f"{predicted if name == image else name}.png")
    run = score(dataset, f"OO={tmp_path / 'pred'}", work=tmp_path / "work")
    assert run.exit_code == 0, run.output
    assert "100.00" in run.output


def test_every_fault_is_named_at_once(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pred" / "CO"
    predict(dataset, folder, ["a/0001", "a/0002"])
    predict(dataset, tmp_path / "pred" / "RO")
    save(np.zeros((4, 5), np.uint8) + 10, tmp_path / "pred" / "RO" / "a" / "0001.png")
    save(np.zeros((8, 10), np.uint8) + 77, tmp_path / "pred" / "RO" / "a" / "0002.png")
    (folder / "a" / "0002.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    save(truth(dataset, "a/0001"), folder / "other.png")
    save(truth(dataset, "a/0001"), folder / "0001.png")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert run.exit_code == 1
    sentences = str(run.exception)
    for part in (
        "CO: has no b/0001.png",
        "CO/a/0002.png",
        "CO/other.png: other is none of the ",
        "CO/0001.png: 0001 is the name of 2 test images",
        "RO/a/0001.png: has 5x4 pixels, its ground truth 10x8",
        "RO/a/0002.png: 80 pixels hold ids that the class list does not have, such as 77",
    ):
        assert part in sentences
    assert not (tmp_path / "work").exists()


def test_train_ids_are_read_as_such_and_others_refused(dataset: Path, tmp_path: Path) -> None:
    for name in NAMES:
        lookup = np.full(256, 255, np.uint8)
        lookup[[10, 20]] = 0, 1
        save(lookup[truth(dataset, name)], tmp_path / "pred" / "OO" / f"{name}.png")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--ids", "train"))
    assert run.exit_code == 0 and "100.00" in run.output
    predict(dataset, tmp_path / "pred" / "OO")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--ids", "train"))
    assert run.exit_code == 1 and "train ids go from 0 to 1" in str(run.exception)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "is no folder"),
        (lambda root: save(np.zeros((8, 10), np.uint8), root / "0001.png"), "--predictions OO="),
        (lambda root: (root / "XX").mkdir(parents=True), "'XX' names no case"),
        (lambda root: root.mkdir(), "holds no folder"),
    ],
)
def test_a_folder_of_another_layout_is_explained(make, said: str, dataset: Path, tmp_path: Path) -> None:
    make(tmp_path / "pred")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work")
    assert run.exit_code == 1 and said in str(run.exception)


def test_train_ids_in_a_palette_are_the_same_and_in_one_bit_refused_whatever_the_datasets_ids_are(
    tmp_path: Path,
) -> None:
    """Of a dataset of the ids 0 and 255, one bit would be read as these: class 1 as no class."""
    table = LabelTable((Label(0, 0, "ground", (9, 9, 9)), Label(255, 1, "house", (200, 0, 0))))
    predicted = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), (8, 10))
    colours = Image.fromarray(predicted, mode="P")
    colours.putpalette([*(9, 9, 9), *(200, 0, 0), *[7] * (3 * 254)])
    colours.save(tmp_path / "palette.png")
    assert np.array_equal(read_label_map(tmp_path / "palette.png", table, "train"), predicted)
    Image.fromarray(predicted == 1).save(tmp_path / "bit.png")
    with pytest.raises(DatasetError, match="few bits has two meanings"):
        read_label_map(tmp_path / "bit.png", table, "train")


def test_of_several_trainings_the_answer_is_over_their_seeds(dataset: Path, tmp_path: Path) -> None:
    for case in ("CO", "CO-seed1"):
        predict(dataset, tmp_path / "pred" / case)
    for case in ("RO", "RO-seed1"):
        for name in NAMES:
            save(truth(dataset, name), tmp_path / "pred" / case / f"{name}.png")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--json",))
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    pairs = [entry["seed"] for entry in said["scores"] if entry["minus"] == "CO"]
    assert pairs == [0, 1]
    text = " ".join("".join(Page(Path(said["report"]).read_text()).text).split())
    assert "95 % t-intervals over the seeds" in text


def test_a_dry_run_says_what_would_be_scored(dataset: Path, tmp_path: Path) -> None:
    predict(dataset, tmp_path / "pred" / "CO-bpg-qp36")
    run = score(dataset, str(tmp_path / "pred"), work=tmp_path / "work", options=("--dry-run",))
    assert run.exit_code == 0 and run.output.startswith("CO-bpg-qp36: ") and "3 images" in run.output
    assert not (tmp_path / "work").exists()


def test_two_folders_of_one_case_are_refused(dataset: Path, tmp_path: Path) -> None:
    predict(dataset, tmp_path / "pred" / "CO")
    run = score(dataset, str(tmp_path / "pred"), f"CO={tmp_path / 'pred' / 'CO'}", work=tmp_path / "work")
    assert run.exit_code == 1 and "are of one case" in str(run.exception)


def test_scores_agree_with_cityscapes_own_script(tmp_path: Path) -> None:
    """All ids are predicted, those that count for nothing too."""
    script = pytest.importorskip(
        "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling",
        reason="needs cityscapesScripts: pip install --no-deps cityscapesscripts pyquaternion (it asks for `typing`, "
        "which Python has)",
    )
    rng = np.random.default_rng(0)
    pairs: list[tuple[str, str]] = []
    for number, city in enumerate(("aachen", "bonn", "bonn", "ulm")):
        name = f"{city}/{city}_{number:06d}_000019"
        label = np.kron(rng.integers(0, 34, (8, 16)), np.ones((4, 4))).astype(np.uint8)
        predicted = np.where(rng.random(label.shape) < 0.3, rng.integers(0, 34, label.shape), label).astype(np.uint8)
        save(rng.integers(0, 256, (32, 64, 3), np.uint8), tmp_path / "leftImg8bit" / "val" / f"{name}_leftImg8bit.png")
        paths = tmp_path / "gtFine" / "val" / f"{name}_gtFine_labelIds.png", tmp_path / "p" / f"{name}_leftImg8bit.png"
        save(label, paths[0])
        save(predicted, paths[1])
        pairs.append((str(paths[1]), str(paths[0])))
    script.args.evalInstLevelScore, script.args.JSONOutput, script.args.quiet = False, False, True
    theirs = script.evaluateImgLists(*map(list, zip(*pairs)), script.args)
    source = open_source("cityscapes", str(tmp_path))
    ours = counts_of(source, f"OO={tmp_path / 'p'}")
    assert ours.miou == pytest.approx(theirs["averageScoreClasses"], abs=1e-6)
    names = [label.name for label in source.table.classes]
    assert dict(zip(names, ours.iou)) == pytest.approx({name: theirs["classScores"][name] for name in names}, abs=1e-6)


def counts_of(source: Source, given: str) -> Counts:
    found = find_cases([given])
    (counts,) = read_cases(found, source, source.samples("val"), "dataset", Progress()).values()
    return counts
