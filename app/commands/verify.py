"""`dsr verify`: is everything still what was written?"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Optional

import click

from dsr.app.console import Console, show
from dsr.app.help import JSON, Command, is_asked, json_option
from dsr.app.options import work_option, workers_option
from dsr.experiments.conversion import stored_codec, trained_codecs
from dsr.experiments.graph.places import below, misplaced
from dsr.experiments.graph.progress import Meter
from dsr.tfrecords import files
from dsr.tfrecords.verify import findings


@click.command("verify", cls=Command)
@click.argument("paths", nargs=-1, type=files.location)
@work_option
@click.option("--deep", is_flag=True, help="Decode every bitstream too, and compare with the pixels that are stored.")
@workers_option
@json_option
def command(paths: tuple[Path, ...], work: Path, deep: bool, workers: Optional[int]) -> None:
    """Read artefacts again: those named, or all of a work folder, which is the default.

    Compares each file with the size and SHA-256 in its manifest and each shard's records with their checksums and
    number, and decodes every image. Prints one line for each finding, changes nothing, and ends with status 1 if there
    is any. What repairs shards is the `dsr convert` that made them: run again, it makes just the damaged ones anew.

    \b
    Examples:
      dsr verify
      dsr verify dsr-work/shards/streets --deep
    """
    console = Console()
    folders, sentences = [], []
    for path in paths or (work,):
        artefacts = below(path)
        folders += artefacts
        if not artefacts:
            sentences.append(f"{path}: there is nothing here that dsr made")
    sentences += filter(None, (misplaced(folder, (work, *paths)) for folder in folders))
    with ExitStack() as stack:
        meter: Optional[Meter] = None

        def update(done: int, total: int) -> None:
            nonlocal meter
            meter = meter or stack.enter_context(console.meter("verify", total))
            meter.update(done)

        decoder_of = partial(stored_codec, trained=trained_codecs(folders)) if deep else lambda _: None
        found = []
        for sentence in chain(sentences, findings(folders, decoder_of=decoder_of, workers=workers, progress=update)):
            found.append(sentence)
            if not is_asked(JSON):
                click.echo(sentence)
    console.say(f"{len(folders)} artefacts, {len(found)} findings")
    show({"artefacts": len(folders), "findings": found}, lambda: None)
    sys.exit(1 if found else 0)
