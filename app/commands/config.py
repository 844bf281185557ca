"""`dsr config`: all settings of a study."""

from __future__ import annotations

import click

from dsr.app.console import show
from dsr.app.help import Command, json_option
from dsr.app.request import Request, study_argument, study_options_without
from dsr.experiments.config.settings import settings, to_toml


@click.command("config", cls=Command)
@study_options_without("workers", "max_errors")
@study_argument
@json_option
def command(request: Request) -> None:
    """Print all settings of a preset, with options of a changed one, or of the study STUDY that was run.

    A line is the key as --set takes it, its value, its type and what it means. The output is a file for --config: keep
    the lines that are to differ from the preset. A list stands in brackets, and none in quotes.

    \b
    Examples:
      dsr config
      dsr config --preset camvid --set segmenter.steps=8640 > study.toml
      dsr run --config study.toml --root ~/CamVid --dry-run
    """
    show(
        list(settings(request.config)),
        lambda: click.echo(to_toml(request.config, request.preset), nl=False),
    )
