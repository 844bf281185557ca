"""The dsr commands that a text shows, and whether each would begin as it is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from unittest import mock

import click

from dsr.app.cli import cli


def commands_in(text: str) -> list[list[str]]:
    """The arguments of each `dsr ...` line of the `sh` blocks of a Markdown text, without comments and redirections."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("dsr "):
                found.append(list(_before_redirection(shlex.split(line, comments=True)[1:])))
    return found


def _before_redirection(words: list[str]) -> Iterator[str]:
    for word in words:
        if word in (">", "2>", "|", "&&"):
            return
        yield word


def check_parses(arguments: list[str]) -> None:
    """Parse a command line to the end, without running it; what it reads need not be there.

    Raises click.ClickException as the command would.
    """
    context = click.Context(cli, info_name="dsr")
    command: click.Command | None = cli
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    assert command is not None
    with mock.patch.object(click.Path, "convert", lambda self, value, param, ctx: value):
        command.make_context(command.name, arguments, parent=context)
