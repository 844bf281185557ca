"""What every command's help and options have in common: groups, folded options, names that complete.

A command is `@click.command("name", cls=Command)`. Its own options come first in its help; those that are `Shared` with
other commands are named in one line, and `--help-all` explains them. `Command` adds --quiet and --verbose.
"""

from __future__ import annotations

import difflib
import importlib
import os
import textwrap
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from dsr.models.errors import UserError

FEW = 4
"""So many shared options are not worth folding."""

QUIET, VERBOSE, DRY_RUN, JSON = "dsr.quiet", "dsr.verbose", "dsr.dry_run", "dsr.json"
"""Where a command's context keeps what was asked for."""


def is_asked(what: str) -> bool:
    """Whether the command that runs was asked for something that its options keep in the context."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(what))


def is_given(name: str) -> bool:
    """Whether the command line gives an option of the command that runs, by the name of its value."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def asks(what: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    """The callback of a flag that `is_asked` tells of."""

    def keep(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            context.meta[what] = True

    return keep


class Shared(click.Option):
    """An option of many commands, which a command's help names and does not explain."""


dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    expose_value=False,
    callback=asks(DRY_RUN),
    help="Show what would be made, and make nothing.",
)
"""Of every command that makes something; `is_asked(DRY_RUN)` tells."""

json_option = click.option(
    "--json",
    cls=Shared,
    is_flag=True,
    expose_value=False,
    callback=asks(JSON),
    help="Print the result as JSON.",
)
"""Of every command that prints a result, which it gives to `dsr.app.console.show`."""


class Command(click.Command):
    """A command whose help has its own options first, and those that it shares with others folded."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += [
            Shared(
                ["--quiet", "-q"],
                is_flag=True,
                expose_value=False,
                callback=asks(QUIET),
                help="Print results and errors, and nothing on the way.",
            ),
            Shared(
                ["--verbose"],
                is_flag=True,
                expose_value=False,
                callback=asks(VERBOSE),
                help="Print what libraries log too, and of an error where it arose.",
            ),
            click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                hidden=True,
                callback=_help_all,
                help="Explain all options.",
            ),
        ]

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[click.Parameter, tuple[str, str]]] = []
        shared: list[tuple[click.Parameter, tuple[str, str]]] = []
        for option in sorted(self.get_params(context), key=lambda option: not option.required):
            record = option.get_help_record(context) if isinstance(option, click.Option) else None
            if record is not None:
                (shared if isinstance(option, Shared) else own).append((option, record))
        folded = len(shared) > FEW and not context.meta.get("dsr.help_all")
        if not folded:
            own[-1:-1] = shared  # --help comes last
        with formatter.section("Options"):
            formatter.write_dl([record for _, record in own])
        if folded:
            with formatter.section(f"Shared options, which {context.command_path} --help-all explains"):
                indent, names = " " * formatter.current_indent, ", ".join(option.opts[0] for option, _ in shared)
                lines = textwrap.wrap(names, formatter.width - len(indent), break_on_hyphens=False)
                formatter.write("".join(f"{indent}{line}\n" for line in lines))

    def invoke(self, context: click.Context) -> Any:
        if is_asked(VERBOSE):
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # read where TensorFlow is imported
        try:
            return super().invoke(context)
        except UserError:
            if is_asked(VERBOSE):
                traceback.print_exc()
            raise


class Group(click.Group):
    """A command that has commands."""

    command_class = Command


class LazyGroup(click.Group):
    """Commands in named groups.

    It knows their names and one-line helps, and imports a command only when it is called.

    groups: Title of a group -> command -> what it does.
    package: Where the commands' modules are.
    """

    def __init__(self, *arguments: Any, groups: Mapping[str, Mapping[str, str]], package: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.groups, self.package = groups, package

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for group in self.groups.values() for name in group]

    def get_command(self, context: click.Context, name: str) -> Optional[click.Command]:
        if name not in self.list_commands(context):
            return None
        return importlib.import_module(f"{self.package}.{name.replace('-', '_')}").command

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            raise click.UsageError(error.message + _meant(args[0], self.list_commands(context)), context) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(context)))
        for title, group in self.groups.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", says) for name, says in group.items()])

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [(name, says) for group in self.groups.values() for name, says in group.items()]
        items = [CompletionItem(name, help=says) for name, says in found if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, context, incomplete)


class Names(click.ParamType):
    """One of some names, which a shell completes.

    They may be registered after this is made; those of a registry that is expensive to import are looked up when they
    are needed.

    Args:
      what: a name is called in errors: "codec".
      known: the names, or what gives them.
    """

    def __init__(self, what: str, known: Iterable[str] | Callable[[], Iterable[str]]) -> None:
        self.name, self.known = what, known

    def names(self) -> list[str]:
        """All of them, in order."""
        return list(self.known() if callable(self.known) else self.known)

    def get_metavar(self, param: click.Parameter, ctx: Optional[click.Context] = None) -> str:
        return self.name.upper()

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> str:
        names = self.names()
        if value not in names:
            self.fail(f'no {self.name} "{value}".{_meant(value, names)} There are {", ".join(names)}.', param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


def _help_all(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        context.meta["dsr.help_all"] = True
        click.echo(context.get_help(), color=context.color)
        context.exit()


def _meant(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(words), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""
