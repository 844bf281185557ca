"""The study that a command is asked for, and the options that say which."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import click
from click.shell_completion import CompletionItem

from dsr.app.console import Console
from dsr.app.help import Names, Shared
from dsr.app.options import POINT, Function, QualityOf, with_quality, work_option
from dsr.data_pipelines.datasets import DATASETS
from dsr.experiments.adaptations import ADAPTATIONS, AdaptationName
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.config.schema import OperatingPoint, StudyConfig
from dsr.experiments.config.settings import configured, read_settings
from dsr.experiments.conversion import Converting
from dsr.experiments.last_conversion import last_conversion
from dsr.experiments.stored_study import stored, stored_names
from dsr.experiments.study import NO_POINTS, Study
from dsr.models.restorers.registry import RESTORERS, RestorerName
from dsr.tfrecords.engine import How

RESTORER_LABELS = ", ".join(f"{restorer.name} ({restorer.label})" for restorer in RESTORERS.values())

ADAPTATION_LABELS = ", ".join(f"{name} ({adaptation.label})" for name, adaptation in ADAPTATIONS.items())

SMALLEST = "demo"
"""The preset that is taken if none is named."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the shared options say."""

    work: Path
    config: StudyConfig
    converting: Converting
    hint: str = ""  # that the user sees once the study is known to be one
    preset: str = SMALLEST  # what the configuration is a change of
    arguments: tuple[str, ...] = ()  # that tell another command of the same study

    def at(self, *points: OperatingPoint) -> Request:
        """The same request at these operating points."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, points=points))

    def restored_by(self, *restorers: RestorerName) -> Request:
        """The same request with these restorers."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, restorers=restorers))

    def adapted_by(self, *adaptations: AdaptationName) -> Request:
        """The same request with these rivals of restoring."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, adaptations=adaptations))

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


STUDY_OPTIONS: dict[str, Function] = {
    "preset_name": click.option(
        "--preset",
        "preset_name",
        cls=Shared,
        type=Names("preset", PRESETS),
        help=f"One of {', '.join(PRESETS)}.  [default: {SMALLEST}]",
    ),
    "settings": click.option(
        "--config",
        "settings",
        cls=Shared,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A TOML file of settings, as dsr config prints one; options of the command line win.",
    ),
    "dataset": click.option(
        "--dataset",
        cls=Shared,
        type=Names("dataset", DATASETS),
        help=f"Instead of the preset's: {', '.join(DATASETS)}.",
    ),
    "root": click.option("--root", cls=Shared, type=click.Path(), help="The dataset's folder, in its own layout."),
    "skip_others": click.option(
        "--skip-others", cls=Shared, is_flag=True, help="Leave out what lies in the dataset's folders and is not read."
    ),
    "name": click.option(
        "--name",
        cls=Shared,
        help="Of the study, and of its report's folder.  [default: the preset's, or the root's]",
    ),
    "weights": click.option(
        "--weights", cls=Shared, metavar="FILE", help="Segmenter backbone weights: a file, imagenet or none."
    ),
    "vgg": click.option(
        "--vgg", cls=Shared, metavar="FILE", help="VGG-16 weights of the loss of gan: a file, imagenet or none."
    ),
    "overrides": click.option(
        "--set", "overrides", cls=Shared, multiple=True, metavar="KEY=VALUE", help="Override a configuration value."
    ),
    "work": work_option,
    "workers": click.option(
        "--workers", cls=Shared, type=click.IntRange(min=1), help="Converter processes.  [default: all cores]"
    ),
    "max_errors": click.option(
        "--max-errors",
        cls=Shared,
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Images of a folder of shards that may be left out because they cannot be converted.",
    ),
}
"""By the name of their value."""


def complete_study(context: click.Context, option: click.Parameter, start: str) -> list[CompletionItem]:
    """Names of the studies that were run."""
    work = context.params.get("work") or Path(os.environ.get("DSR_WORK", "dsr-work"))
    return [CompletionItem(name) for name in stored_names(work) if name.startswith(start)]


study_argument = click.argument("study", required=False, metavar="[STUDY]", shell_complete=complete_study)
"""The name of a study that was run, instead of the options that say which; stands below `@study_options`."""


def study_options_without(*unused: str) -> Callable[[Function], Function]:
    """Add the options that describe a study, less those that a command has no use for, by the name of their value.

    The command receives a `Request` as `request`.
    """

    def add(command: Function) -> Function:
        @functools.wraps(command)
        def wrapped(**arguments: Any) -> Any:
            given = {name: arguments.pop(name, None) for name in ("study", *STUDY_OPTIONS)}
            given["overrides"] = given["overrides"] or ()
            return command(request=_request(**given), **arguments)

        for name in reversed(STUDY_OPTIONS):
            if name not in unused:
                STUDY_OPTIONS[name](wrapped)
        return wrapped

    return add


study_options = study_options_without()
"""All of them, for commands that make shards, restorers and segmenters."""


def _request(
    study: Optional[str],
    preset_name: Optional[str],
    settings: Optional[Path],
    dataset: Optional[str],
    root: Optional[str],
    skip_others: bool,
    name: Optional[str],
    weights: Optional[str],
    vgg: Optional[str],
    overrides: Sequence[str],
    work: Path,
    workers: Optional[int],
    max_errors: Optional[int],
) -> Request:
    """Of what was given; where several say the same, the stored study comes first, then a file, then options."""
    which = {"--preset": preset_name, "--config": settings, "--dataset": dataset, "--root": root, "--name": name}
    if study is not None and any(which.values()):
        also = next(option for option, value in which.items() if value)
        raise click.UsageError(f"{also} says which study it is, and so does {study}: leave one of them out")
    named, given = (None, []) if settings is None else read_settings(settings)
    if study is not None:
        named, given = stored(work, study)
    if dataset is not None:  # what is said of another is not of this one
        given = [setting for setting in given if not setting.startswith("dataset.")]
    kept = list(given)
    shortcuts = {
        "dataset.name": dataset,
        "dataset.root": root,
        "segmenter.network.weights": weights,
        "restorer.gan.vgg": vgg,
        "name": name,
    }
    given += [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    if skip_others:
        given.append("dataset.options.skip_others=true")
    base = preset_name or named or SMALLEST
    config = configured(base, [*given, *overrides])
    own = config.dataset.name != preset(base).dataset.name
    hint = f"preset {SMALLEST} trains tiny networks, which learn drawn streets; for photographs: --preset camvid"
    return Request(
        work,
        config,
        Converting(How(workers, max_errors=max_errors or 0)),
        hint if own and base == SMALLEST else "",
        base,
        _told(
            [
                ("--preset", preset_name or named),
                ("--dataset", dataset),
                ("--root", root),
                ("--name", name),
                ("--weights", weights),
                ("--vgg", vgg),
                *(("--set", setting) for setting in (*kept, *overrides)),
                ("--work", str(work)),
            ],
            skip_others,
        ),
    )


def _told(options: Sequence[tuple[str, Optional[str]]], skip_others: bool) -> tuple[str, ...]:
    given = ((name, value) for name, value in options if value is not None)
    return (*(part for pair in given for part in pair), *(["--skip-others"] * skip_others))


def at_point(command: Function) -> Function:
    """Add --codec, --quality and --qp.

    The command's `request` is then at that one operating point, by default the last conversion's.
    """

    @functools.wraps(command)
    def wrapped(request: Request, codec: Optional[str], quality_of: QualityOf, **arguments: Any) -> Any:
        point = point_of(codec, quality_of, request) or last_conversion(request.study())
        return command(request=request.at(point), **arguments)

    named = click.option("--codec", type=POINT, help="Codec of C and R.  [default: that of the last conversion]")
    return named(with_quality(wrapped))


def point_of(codec: Optional[str], quality_of: QualityOf, request: Request) -> Optional[OperatingPoint]:
    """The operating point that --codec and --quality name; None if neither is given.

    A quality alone is one of the study's first point, with its options and what comes before it.
    """
    if not request.config.points:
        raise ConfigError(NO_POINTS)
    first = request.config.points[0]
    quality = quality_of(codec or first.codec)
    if codec is not None or quality is not None:
        refuse_if_received(request)
    if codec is not None:
        return OperatingPoint(codec, quality)
    return None if quality is None else dataclasses.replace(first, quality=quality)


def refuse_if_received(request: Request) -> None:
    """Raise ConfigError if the images to train on came compressed, so that no other codec and quality can be asked for.

    All other images of such a study are compressed as those were.
    """
    dataset = request.config.dataset
    if dataset.split("train") in dataset.open().received:
        raise ConfigError(
            f"split {dataset.split('train')} of {dataset.name} came compressed, and other images are compressed as it "
            "is: leave codec, quality and rate out"
        )


def _changed_by(option: str, change: Callable[[Request, Any], Request], **how: Any) -> Callable[[Function], Function]:
    """A decorator that adds an option; the command's `request` is then what `change` makes of it and a given value."""

    def add(command: Function) -> Function:
        @functools.wraps(command)
        def wrapped(request: Request, **arguments: Any) -> Any:
            given = arguments.pop(option.removeprefix("--"))
            return command(request=change(request, given) if given else request, **arguments)

        return click.option(option, **how)(wrapped)

    return add


with_restorer = _changed_by(
    "--restorer",
    Request.restored_by,
    type=Names("restorer", RESTORERS),
    help=f"What restores: {RESTORER_LABELS}.  [default: the preset's]",
)
"""Add --restorer; the command's `request` is then with that one restorer."""

with_restorer_to_train = _changed_by(
    "--restorer",
    Request.restored_by,
    type=Names("restorer", RESTORERS),
    default="gan",
    help=f"What restores: {RESTORER_LABELS}.  [default: gan, the paper's own]",
)
"""Add --restorer as `with_restorer` does; by default the paper's own, whatever the preset compares."""

with_restorers = _changed_by(
    "--restorer",
    lambda request, restorers: request.restored_by(*restorers),
    type=Names("restorer", RESTORERS),
    multiple=True,
    help=f"What restores: {RESTORER_LABELS}; again for a comparison.  [default: the preset's]",
)
"""Add a --restorer that may be given several times; the command's `request` is then with these restorers."""

with_adaptations = _changed_by(
    "--adapt",
    lambda request, adaptations: request.adapted_by(*adaptations),
    type=Names("adaptation", ADAPTATIONS),
    multiple=True,
    help=f"A rival of restoring, tested on originals: {ADAPTATION_LABELS}; again for several.",
)
"""Add --adapt, which may be given several times; the command's `request` is then with these adaptations."""

with_seeds = _changed_by(
    "--seeds",
    Request.repeated,
    type=click.IntRange(min=1),
    metavar="N",
    help="Segmenters for each training domain, which differ in nothing but the seed; 3 give error bars.  "
    "[default: the preset's]",
)
"""Add --seeds; the command's `request` is then with so many segmenters for each training domain."""
