"""The page of all commands, made from their help: `python -m dsr.app.manual` writes docs/commands.md."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from dsr.app.cli import GROUPS, cli
from dsr.app.help import Shared

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"

HEAD = """\
# Commands

This page is made from the commands' own help by `python -m dsr.app.manual`.

`dsr COMMAND --help` shows a command's own options and names those that it shares; `--help-all` explains them all.
A wrong use, as an option or a codec that there is not, ends with status 2;
what else goes wrong with status 1 and one sentence.

A shell completes commands, options and names of presets, codecs, datasets, restorers and studies.
For bash, put this into `~/.bashrc` (zsh: `zsh_source` in `~/.zshrc`; fish: `fish_source`):

```sh
eval "$(_DSR_COMPLETE=bash_source dsr)"
```
"""


def manual() -> str:
    """The page as Markdown."""
    shared: dict[str, tuple[str, str]] = {}
    chapters = []
    with click.Context(cli, info_name="dsr") as context:
        for title, names in GROUPS.items():
            chapters.append(f"## {title}\n")
            for name in names:
                command = cli.get_command(context, name)
                assert command is not None
                chapters += _sections(command, name, context, shared)
    rows = "".join(f"| {_code(names)} | {_cell(says)} |\n" for names, says in sorted(shared.values()))
    table = f"## Options that many commands have\n\n| | |\n| --- | --- |\n{rows}"
    return "\n".join([HEAD, *chapters, table])


def _sections(
    command: click.Command, name: str, above: click.Context, shared: dict[str, tuple[str, str]]
) -> Iterator[str]:
    """A command's section, and those of its commands; what it shares goes into `shared`."""
    with click.Context(command, info_name=name, parent=above) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        text = _help(command)
        yield f"### {context.command_path}\n\n`{context.command_path} {usage}`\n\n{text}\n"
        own, names = [], []
        for option in sorted(command.get_params(context), key=lambda option: not option.required):
            record = option.get_help_record(context) if isinstance(option, click.Option) else None
            if record is None or "--help" in option.opts:
                continue
            if isinstance(option, Shared):
                shared.setdefault(option.opts[0], record)
                names.append(f"`{option.opts[0]}`")
            else:
                own.append(f"| {_code(record[0])} | {_cell(record[1])} |")
        if own:
            yield "\n".join(["| | |", "| --- | --- |", *own]) + "\n"
        if names:
            yield f"Also {', '.join(names)}.\n"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                inner = command.get_command(context, child)
                assert inner is not None
                yield from _sections(inner, child, context, shared)


def _help(command: click.Command) -> str:
    """The text of a command, one paragraph a line, its examples as a block."""
    parts = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            lines = paragraph.removeprefix("\b").strip("\n").splitlines()[1:]  # the first is a heading
            parts.append("```sh\n" + textwrap.dedent("\n".join(lines)) + "\n```")
        else:
            parts.append(" ".join(paragraph.split()).replace(". ", ".\n"))
    return "\n\n".join(parts)


def _code(names: str) -> str:
    return f"`{names}`".replace("|", "\\|")


def _cell(says: str) -> str:
    return " ".join(says.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(manual(), encoding="utf-8")
