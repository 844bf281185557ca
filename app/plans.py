"""What a command is about to make, shown before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

import click

from dsr.app.console import Console, duration, show
from dsr.app.help import DRY_RUN, is_asked
from dsr.experiments.graph.artefacts import Artefact, Step, plan
from dsr.experiments.graph.making import make


def plan_and_make(targets: list[Artefact], console: Console, known: Iterable[Artefact] = ()) -> None:
    """Show the plan, then make what is missing; with --dry-run the command ends between the two.

    What exists of `known` tells beside the targets how long things take here.
    """
    steps = plan(targets, known)
    if is_asked(DRY_RUN):
        show_plan(steps)
        raise click.exceptions.Exit(0)
    _say_plan(steps, console.say)
    make(targets, console)


def show_plan(steps: list[Step]) -> None:
    """Print a plan as the result of a command."""
    told = [
        {"state": step.state, "artefact": step.artefact.label, "seconds": step.seconds, "notes": step.artefact.notes}
        for step in steps
    ]
    show({"steps": told, "seconds": sum(step.seconds for step in steps)}, lambda: _say_plan(steps, click.echo))


def _say_plan(steps: list[Step], say: Callable[[str], None]) -> None:
    """What exists, what will be made, and about how long that takes."""
    width = max((len(step.artefact.label) for step in steps), default=0)
    for step in steps:
        cost = "" if step.artefact.exists else f"about {duration(step.seconds)}"
        say(f"  {step.state:<8} {step.artefact.label:<{width}} {cost}".rstrip())
        for note in step.artefact.notes:
            say(f"           {note}")
    total = sum(step.seconds for step in steps)
    say(f"  {'nothing to make' if not total else 'in all about ' + duration(total)}")
