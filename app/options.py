"""Options that several commands share, each as it is called."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import click
from click.shell_completion import CompletionItem

from dsr.app.help import Names, Shared
from dsr.data_pipelines.codecs import CODECS, codec_class, describe_options, parse_options
from dsr.data_pipelines.degradations import DEGRADATIONS
from dsr.experiments.fleet.errors import FleetError
from dsr.tfrecords import files

if TYPE_CHECKING:
    from dsr.experiments.fleet.pictures import Format

Function = Callable[..., Any]
QualityOf = Callable[[str], Optional[float]]

work_option = click.option(
    "--work",
    cls=Shared,
    type=files.location,
    metavar="FOLDER",
    default="dsr-work",
    show_default=True,
    envvar="DSR_WORK",
    help="Folder for all that is made; for conversions it may be a URL such as gs://bucket/folder. Also $DSR_WORK.",
)


class _Local(click.Path):
    """A file or folder to be made on this machine: URLs of object stores are refused."""

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> Any:
        if files.is_url(value):
            self.fail(f"{value}: files are made on this machine only; give a folder here and copy it", param, ctx)
        return super().convert(value, param, ctx)


LOCAL = _Local(path_type=Path)

workers_option = click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: all cores]"
)


def _parse_format(context: click.Context, option: click.Parameter, text: str) -> Format:
    from dsr.experiments.fleet.pictures import Format

    try:
        return Format.parse(text)
    except FleetError as error:
        raise click.BadParameter(str(error)) from None


format_option = click.option(
    "--format",
    callback=_parse_format,
    default="png",
    show_default=True,
    help="png, or jpeg with a quality: jpeg:95.",
    shell_complete=lambda context, option, start: [
        CompletionItem(n) for n in ("png", "jpeg:95") if n.startswith(start)
    ],
)

CODEC = Names("codec", CODECS)
POINT = Names("codec", lambda: (*CODECS, *DEGRADATIONS))
"""A codec, or another degradation, which stands wherever a codec does."""

codec_option = click.option(
    "--codec-option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the codec, as chroma=4:4:4."
)
"""What it gives goes through `codec_options`."""


def codec_options(codec: str, options: tuple[str, ...], **shortcuts: Optional[str]) -> dict[str, Any]:
    """KEY=VALUE of --codec-option, and options that have a shortcut of their own, as the codec takes them."""
    parsed = dict(option.partition("=")[::2] for option in options if "=" in option)
    if len(parsed) < len(options):
        known = "".join(f"\n  {key}: {says}" for key, says in describe_options(codec).items())
        raise click.UsageError(f"--codec-option takes KEY=VALUE, each key once; {codec} has{known}")
    given = {key: value for key, value in shortcuts.items() if value is not None}
    return parse_options(codec, {**parsed, **given}) if parsed or given else {}


def with_quality(command: Function) -> Function:
    """Add --quality and --qp; the command receives a function from the codec's name to the quality as `quality_of`."""

    @functools.wraps(command)
    def wrapped(quality: Optional[float], qp: Optional[float], **arguments: Any) -> Any:
        if quality is not None and qp is not None:
            raise click.UsageError("give --quality or --qp, not both")

        def quality_of(codec: str) -> Optional[float]:
            if qp is not None:
                check_qp(codec)
            return quality if qp is None else qp

        return command(quality_of=quality_of, **arguments)

    click.option("--qp", type=float, help="The same, of a codec that calls it so: bpg.")(wrapped)
    click.option(
        "--quality",
        type=float,
        help="On the codec's own scale: quality for jpeg, webp, avif and msh, rate for jpeg2000.",
    )(wrapped)
    return wrapped


def check_qp(codec: str) -> None:
    """Raise UsageError if a codec has no QP."""
    scale = codec_class(codec).scale if codec in CODECS else None
    if scale is None or scale.name != "qp":
        raise click.UsageError(f"{codec} has no QP: leave --qp out, or give --{'quality' if scale else 'codec bpg'}")
