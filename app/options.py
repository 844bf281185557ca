"""Options that several commands share, and the study that they describe."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import click

from dsr.app.console import Console, duration
from dsr.data_pipelines.datasets import DATASETS
from dsr.experiments.config.overrides import apply_overrides
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.config.schema import DatasetConfig, OperatingPoint, StudyConfig
from dsr.experiments.conversion import Converting
from dsr.experiments.graph.artefacts import Artefact, Step, plan
from dsr.experiments.graph.making import make
from dsr.experiments.last_conversion import last_conversion
from dsr.experiments.study import Study
from dsr.models.restorers.registry import RESTORERS, RestorerName
from dsr.tfrecords import files
from dsr.tfrecords.engine import How

Function = Callable[..., Any]

RESTORER_LABELS = ", ".join(f"{restorer.name} ({restorer.label})" for restorer in RESTORERS.values())

work_option = click.option(
    "--work",
    type=files.location,
    metavar="FOLDER",
    default="dsr-work",
    show_default=True,
    envvar="DSR_WORK",
    help="Folder for all that is made; for conversions it may be a URL such as gs://bucket/folder. Also $DSR_WORK.",
)


SMALLEST = "demo"
"""The preset that is taken if none is named."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the shared options say."""

    work: Path
    config: StudyConfig
    converting: Converting
    hint: str = ""  # that the user sees once the study is known to be one

    def at(self, *points: OperatingPoint) -> Request:
        """The same request at these operating points."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, points=points))

    def restored_by(self, *restorers: RestorerName) -> Request:
        """The same request with these restorers."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, restorers=restorers))

    def repeated(self, seeds: int) -> Request:
        """The same request with so many seeds."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, seeds=seeds))

    def overridden(self, *overrides: str) -> Request:
        """The same request with more KEY=VALUE."""
        return dataclasses.replace(self, config=apply_overrides(self.config, overrides))

    def study(self) -> Study:
        study = Study(self.config, self.work, self.converting)
        if self.hint:
            _say_once(self.hint)
        return study


@functools.cache
def _say_once(text: str) -> None:
    Console().say(text)


def study_options(command: Function) -> Function:
    """Add the options that describe a study; the command receives a `Request` as `request`."""

    @functools.wraps(command)
    def wrapped(
        preset_name: str,
        dataset: Optional[str],
        root: Optional[str],
        skip_others: bool,
        name: Optional[str],
        weights: Optional[str],
        vgg: Optional[str],
        overrides: Sequence[str],
        work: Path,
        workers: Optional[int],
        max_errors: int,
        **arguments: Any,
    ) -> Any:
        config = preset(preset_name)
        if dataset is not None and dataset != config.dataset.name:
            config = dataclasses.replace(config, dataset=DatasetConfig.of(dataset), name=_own_name(dataset, root))
        shortcuts = {"dataset.root": root, "segmenter.network.weights": weights, "restorer.gan.vgg": vgg, "name": name}
        given = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
        if skip_others:
            given.append("dataset.options.skip_others=true")
        config = apply_overrides(config, [*given, *overrides])
        own = config.dataset.name != preset(preset_name).dataset.name
        hint = f"preset {SMALLEST} trains tiny networks, which learn drawn streets; for photographs: --preset camvid"
        request = Request(
            work,
            config,
            Converting(How(workers, max_errors=max_errors)),
            hint if own and preset_name == SMALLEST else "",
        )
        return command(request=request, **arguments)

    for option in reversed(
        [
            click.option(
                "--preset", "preset_name", default=SMALLEST, show_default=True, help=f"One of {', '.join(PRESETS)}."
            ),
            click.option(
                "--dataset",
                help=f"Instead of the preset's: {', '.join(DATASETS)}.",
            ),
            click.option("--root", type=click.Path(), help="The dataset's folder, in its own layout."),
            click.option(
                "--skip-others", is_flag=True, help="Leave out what lies in the dataset's folders and is not read."
            ),
            click.option(
                "--name", help="Of the study, and of its report's folder.  [default: the preset's, or the root's]"
            ),
            click.option("--weights", metavar="FILE", help="Segmenter backbone weights: a file, imagenet or none."),
            click.option("--vgg", metavar="FILE", help="VGG-16 weights of the loss of gan: a file, imagenet or none."),
            click.option(
                "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a configuration value."
            ),
            work_option,
            click.option("--workers", type=click.IntRange(min=1), help="Converter processes  [default: all cores]"),
            click.option(
                "--max-errors",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="Images of a folder of shards that may be left out because they cannot be converted.",
            ),
        ]
    ):
        option(wrapped)
    return wrapped


def _own_name(dataset: str, root: Optional[str]) -> str:
    """What the study of another dataset than the preset's is called: two of them share no report and no measurement."""
    return Path(root).expanduser().resolve().name or dataset if root else dataset


def at_point(command: Function) -> Function:
    """Add --codec and --quality.

    The command's `request` is then at that one operating point, by default the last conversion's.
    """

    @functools.wraps(command)
    def wrapped(request: Request, codec: Optional[str], quality: Optional[float], **arguments: Any) -> Any:
        point = point_of(codec, quality, request) or last_conversion(request.study())
        return command(request=request.at(point), **arguments)

    click.option("--quality", "--qp", type=float, help="Its quality.")(wrapped)
    click.option("--codec", help="Codec of C and R.  [default: that of the last conversion]")(wrapped)
    return wrapped


def with_restorer(command: Function) -> Function:
    """Add --restorer; the command's `request` is then with that one restorer."""

    @functools.wraps(command)
    def wrapped(request: Request, restorer: Optional[RestorerName], **arguments: Any) -> Any:
        return command(request=request.restored_by(restorer) if restorer else request, **arguments)

    click.option(
        "--restorer",
        type=click.Choice(list(RESTORERS)),
        help=f"What restores: {RESTORER_LABELS}.  [default: the preset's]",
    )(wrapped)
    return wrapped


def with_restorers(command: Function) -> Function:
    """Add a --restorer that may be given several times; the command's `request` is then with these restorers."""

    @functools.wraps(command)
    def wrapped(request: Request, restorers: tuple[RestorerName, ...], **arguments: Any) -> Any:
        return command(request=request.restored_by(*restorers) if restorers else request, **arguments)

    click.option(
        "--restorer",
        "restorers",
        type=click.Choice(list(RESTORERS)),
        multiple=True,
        help=f"What restores: {RESTORER_LABELS}; again for a comparison.  [default: the preset's]",
    )(wrapped)
    return wrapped


def with_seeds(command: Function) -> Function:
    """Add --seeds; the command's `request` is then with so many segmenters for each training domain."""

    @functools.wraps(command)
    def wrapped(request: Request, seeds: Optional[int], **arguments: Any) -> Any:
        return command(request=request.repeated(seeds) if seeds else request, **arguments)

    click.option(
        "--seeds",
        type=click.IntRange(min=1),
        metavar="N",
        help="Segmenters for each training domain, which differ in nothing but the seed; 3 give error bars.  "
        "[default: 1]",
    )(wrapped)
    return wrapped


def show_plan(steps: list[Step], console: Console) -> None:
    """Print what exists, what will be made, and about how long that takes."""
    width = max((len(step.artefact.label) for step in steps), default=0)
    for step in steps:
        cost = "" if step.artefact.exists else f"about {duration(step.seconds)}"
        console.say(f"  {step.state:<8} {step.artefact.label:<{width}} {cost}".rstrip())
        for note in step.artefact.notes:
            console.say(f"           {note}")
    total = sum(step.seconds for step in steps)
    console.say(f"  {'nothing to make' if not total else 'in all about ' + duration(total)}")


def plan_and_make(targets: list[Artefact], console: Console) -> None:
    """Show the plan, then make what is missing."""
    show_plan(plan(targets), console)
    make(targets, console)


def point_of(codec: Optional[str], quality: Optional[float], request: Request) -> Optional[OperatingPoint]:
    """The operating point that --codec and --quality name; None if neither is given."""
    if codec is None and quality is None:
        return None
    return OperatingPoint(codec or request.config.points[0].codec, quality)
