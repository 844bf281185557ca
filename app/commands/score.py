"""`dsr score`: predictions of any program, or a network of any framework, on the test images of a dataset."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from dsr.app.console import Console, show
from dsr.app.help import DRY_RUN, Command, dry_run_option, is_asked, is_given, json_option
from dsr.app.plans import plan_and_make
from dsr.app.request import Request, study_options_without
from dsr.experiments.analysis.headline import unlabelled
from dsr.experiments.analysis.over_images import few_classes, not_scored, why_no_interval
from dsr.experiments.analysis.report import write_report
from dsr.experiments.results import Results
from dsr.experiments.stored_study import claim_folder
from dsr.experiments.study import ORIGINAL
from dsr.models.restorers.folder import SHIPPED

if TYPE_CHECKING:
    from dsr.experiments.scoring.labelling import Labeller
    from dsr.experiments.scoring.networks import Layout
    from dsr.experiments.scoring.predictions import Ids

MAX_SIDE = 1 << 14
"""Pixels that images may be resized to."""


@click.command("score", cls=Command)
@study_options_without("weights", "vgg")
@click.option(
    "--predictions",
    multiple=True,
    metavar="DIR | CASE=DIR",
    help="Label maps as PNG: a folder with folders OO, CO, RO, ... in it, or one folder of a case.",
)
@click.option(
    "--ids",
    type=click.Choice(["dataset", "train"]),
    default="dataset",
    show_default=True,
    help="What the label maps hold: the dataset's own ids, or classes from 0 on with 255 for none.",
)
@click.option(
    "--model",
    metavar="FILE.onnx | FOLDER | FILE.py:function",
    help="A network: for ONNX Runtime, of a SavedModel, or a function of yours. What is in FILE.py is run.",
)
@click.option("--points", help="What compresses the test images for --model: bpg-qp36,jpeg-quality20,...")
@click.option(
    "--restorer",
    "restorers",
    multiple=True,
    metavar="FOLDER",
    help=f"Of a trained restorer, or {SHIPPED}: the one that comes with dsr. Again for several.",
)
@click.option("--mean", default="0,0,0", show_default=True, help="Subtracted from R,G,B in [0, 1].")
@click.option("--std", default="1,1,1", show_default=True, help="What R,G,B are divided by then.")
@click.option(
    "--size",
    metavar="HxW",
    help="Resize images to this for the network, by Pillow's bilinear filter.  [default: as they are]",
)
@click.option(
    "--layout",
    type=click.Choice(["nchw", "nhwc"]),
    help="Of input and scores.  [default: nhwc for a SavedModel, else nchw]",
)
@click.option("--output", metavar="NAME", help="Of a network's several outputs, the one that counts.")
@click.option(
    "--classes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns output,class: which of the dataset's classes each output is.  [default: in order]",
)
@dry_run_option
@json_option
def command(
    request: Request,
    predictions: tuple[str, ...],
    ids: Ids,
    model: Optional[str],
    points: Optional[str],
    restorers: tuple[str, ...],
    mean: str,
    std: str,
    size: Optional[str],
    layout: Optional[Layout],
    output: Optional[str],
    classes: Optional[Path],
) -> None:
    """Score what was trained elsewhere on the test images of a dataset: label maps, or a network. Nothing is trained.

    --predictions: a folder of label maps is called by its case: OO, CO, RO, CC, OC or OR (trained on, tested on:
    original, compressed, restored images), then, where there are several, the operating point, the restorer and the
    seed, as in RO-bpg-qp36-esrgan-seed1. In it, a file has the name of its image, with the folders above it or without.
    Whatever is missing, too much, of another size, or holds other ids is named, and then nothing is scored.

    --model: the test images are compressed at each of --points, and restored by each --restorer: OO, OC and OR. The
    network gets one image at a time and gives a label map, or scores that are brought to the image's size. A function
    gets uint8 RGB (H, W, 3); its file is a program of yours, and is run as such. Stopped, it goes on where it was.

    IoU of each class and their mean come with 95 % intervals by bootstrap over the images. All cases are scored, and
    all rates measured, on the images that all of them have: what cannot be compressed at one of --points, and is left
    out by --max-errors, is left out of all. The report's folder has them in scores.csv.

    \b
    Examples:
      dsr score --predictions predictions/ --dataset cityscapes --root ~/cityscapes
      dsr score --predictions CO=mine/received --predictions RO=mine/restored --dataset folder --root data
      dsr score --model net.onnx --points bpg-qp36,bpg-qp43 --restorer shipped --dataset camvid --root ~/CamVid \\
          --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
      dsr score --model mine.py:label --points jpeg-quality20 --classes classes.csv --dataset folder --root data
    """
    if bool(predictions) == bool(model):
        raise click.UsageError("give either --predictions, folders of label maps, or --model, a network")
    if model and is_given("ids"):
        raise click.UsageError("--ids goes with --predictions: --classes says what the outputs of a network are")
    if predictions:
        given = [points, size, layout, output, classes, *restorers]
        if any(option is not None for option in given) or (mean, std) != ("0,0,0", "1,1,1"):
            raise click.UsageError(
                "--predictions are scored as they are: all other options of networks go with --model"
            )
        results, page = score_predictions(request, predictions, ids)
    else:
        assert model is not None
        from dsr.experiments.scoring.labelling import Labeller, Mapping
        from dsr.experiments.scoring.networks import Preprocessing, open_network

        saved = (Path(model) / "saved_model.pb").is_file()
        how = Preprocessing(
            _three("--mean", mean), _three("--std", std), _size(size), layout or ("nhwc" if saved else "nchw")
        )
        network = open_network(model, how, output)
        table = request.config.dataset.open().table
        mapping = Mapping.same(table) if classes is None else Mapping.read(classes, table)
        if points is not None:
            request = request.overridden(f"points={points}")
        results, page = score_network(request, Labeller(network, how.layout, mapping), restorers)
    say_scores(results, page)


def score_predictions(request: Request, predictions: tuple[str, ...], ids: Ids) -> tuple[Results, Path]:
    """The results and where their report is."""
    from dsr.experiments.scoring.collecting import points_of, predicted_samples, scored_results
    from dsr.experiments.scoring.counts import over_common
    from dsr.experiments.scoring.predictions import find_cases, read_cases
    from dsr.experiments.scoring.study import ScoringStudy
    from dsr.tfrecords.plan import select_samples

    started = time.monotonic()
    found = find_cases(predictions)
    study = ScoringStudy(request.config, request.work, request.converting, "predictions")
    samples = select_samples(study.source.samples(study.split("test")), study.config.dataset.limit("test"))
    if is_asked(DRY_RUN):
        _show_cases({one.case.name: one.folder for one in found}, len(samples))
        raise click.exceptions.Exit(0)
    counts = over_common(read_cases(found, study.source, samples, ids, Console()))
    height, width, _ = study.source.read(samples[0])[0].shape
    folder = claim_folder(study)
    pictures = predicted_samples(found, study.source, samples, ids, study.config.samples, folder / "samples")
    results = scored_results(
        study,
        counts,
        {"ids": ids, "predictions": [str(one.folder) for one in found]},
        size=(height, width),
        points=points_of(list(counts)),
        samples=pictures,
        seconds=time.monotonic() - started,
    )
    return results, write_report(results, folder)


def _show_cases(folders: dict[str, Path], images: int) -> None:
    """What would be scored."""

    def text() -> None:
        for case, folder in folders.items():
            click.echo(f"{case}: {folder}, {images} images")

    show({"images": images, "cases": folders}, text)


def score_network(request: Request, labeller: Labeller, restorers: tuple[str, ...]) -> tuple[Results, Path]:
    """The results and where their report is."""
    from dsr.experiments.collecting import artefact_facts, point_result, sample_images
    from dsr.experiments.common_images import left_out, summary_of_images
    from dsr.experiments.fleet.restorers import check_restorer, find_restorer
    from dsr.experiments.graph.artefacts import closure
    from dsr.experiments.scoring.collecting import scored_results
    from dsr.experiments.scoring.counts import over_common
    from dsr.experiments.scoring.study import ScoringStudy

    folders = {}
    for text in restorers:
        folder = find_restorer(text)
        check_restorer(folder)
        name = text if text == SHIPPED else folder.resolve().name
        if name in folders:
            raise click.UsageError(f"two restorers are called {name}; give their folders other names")
        folders[name] = folder
    study = ScoringStudy(request.config, request.work, request.converting, labeller.network.name, folders, labeller)
    console = Console()
    plan_and_make(study.images_to_score(), console)
    evaluations = [study.evaluation(case) for case in study.cases()]
    plan_and_make(evaluations, console)
    made = closure(evaluations)
    counts = study.counts()
    common = over_common(counts)
    keys = next(iter(common.values())).keys
    original = summary_of_images(study.shards(ORIGINAL, "test"), keys)
    results = scored_results(
        study,
        common,
        {"model": study.described, "restorers": {name: str(folder) for name, folder in folders.items()}},
        size=(original.height, original.width),
        points=[point_result(study, degradation, keys) for degradation in study.degradations],
        samples=[sample for degradation in study.degradations for sample in sample_images(study, degradation)],
        seconds=sum(artefact.seconds for artefact in made),
        original_bpp=original.bpp,
        left_out=left_out({(case.changed.point, case.changed.restorer): one.keys for case, one in counts.items()}),
        artefacts=[artefact_facts(artefact) for artefact in made],
    )
    return results, write_report(results, claim_folder(study))


def say_scores(results: Results, page: Path) -> None:
    """Print every case with its interval, and where the report is."""
    value = {
        "images": results.dataset.images["test"],
        "left_out": results.left_out,
        "unlabelled": results.dataset.unlabelled,
        "scores": results.over_images,
        "report": page.resolve(),
    }
    show(value, lambda: _print_scores(results, page))


def _print_scores(results: Results, page: Path) -> None:
    click.echo(f"{'case':<10}{'point':<20}{'restorer':<14}{'seed':>4}{'mIoU, %':>9}  95 % over images")
    for entry in results.over_images:
        case = f"{entry.configuration}-{entry.minus}" if entry.minus else entry.configuration
        cells = f"{case:<10}{entry.point or '':<20}{entry.restorer or '':<14}{entry.seed:>4}"
        sign = "+" if entry.minus else ""
        found, interval = entry.miou, ""
        score = "-" if found is None else f"{100 * found.value:{sign}.2f}"
        if found is not None and found.low is not None and found.high is not None:
            interval = f"{100 * found.low:{sign}.2f} to {100 * found.high:{sign}.2f}"
        elif found is not None:
            interval = why_no_interval(results)
        click.echo(f"{cells}{score:>9}  {interval}".rstrip())
    for words in filter(None, (few_classes(results), not_scored(results), unlabelled(results))):
        click.echo(words)
    click.echo(f"report: {page.resolve().as_uri()}")


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"{option} is {text!r}: give three numbers, as 0.485,0.456,0.406") from None
    return red, green, blue


def _size(text: Optional[str]) -> Optional[tuple[int, int]]:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII | re.IGNORECASE)
    height, width = map(int, found.groups()) if found else (0, 0)
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise click.UsageError(f"--size is {text[:80]!r}: give height and width, each up to {MAX_SIDE}, as 512x1024")
    return height, width
