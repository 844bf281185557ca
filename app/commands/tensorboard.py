"""`dsr tensorboard`: curves and pictures of all trainings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from dsr.app.help import Command
from dsr.app.options import work_option
from dsr.models.errors import UserError

# As `python -m tensorboard.main`, which would take modules from the current folder before the library's own.
TENSORBOARD = "import sys; sys.path[:] = filter(None, sys.path); from tensorboard.main import run_main; run_main()"


@click.command("tensorboard", cls=Command)
@work_option
@click.option("--port", type=click.IntRange(1, 65535), default=6006, show_default=True)
@click.option("--host", default="localhost", show_default=True, help="0.0.0.0 lets other machines see it.")
def command(work: Path, port: int, host: str) -> None:
    """Open TensorBoard on the trainings of the work folder, finished and running.

    \b
    Examples:
      dsr tensorboard
      dsr tensorboard --work /data/dsr-work --port 6007
    """
    if not any("events.out.tfevents." in name for _, _, names in os.walk(work, followlinks=True) for name in names):
        raise UserError(f"{work} holds no training curves yet: run dsr train or dsr run first, or give --work")
    arguments = ["--logdir", str(work), "--port", str(port), "--host", host]
    raise click.exceptions.Exit(subprocess.call([sys.executable, "-c", TENSORBOARD, *arguments]))
