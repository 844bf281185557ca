"""`dsr decode`: bitstreams to images."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from dsr.app.help import Command, dry_run_option, json_option
from dsr.app.made import make_folder, write_one
from dsr.app.options import LOCAL, format_option, workers_option
from dsr.data_pipelines.codecs import CodecError
from dsr.experiments.fleet.pictures import Format


@click.command("decode", cls=Command)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=LOCAL)
@format_option
@workers_option
@dry_run_option
@json_option
def command(source: Path, target: Path, format: Format, workers: Optional[int]) -> None:
    """Decode a bitstream, or all in a folder and below it (.bpg .msh .jpg .jp2 .webp .avif .png), under the same names.

    Which codec decodes is told by the file's first bytes, and its suffix must agree. As for dsr encode, a folder is
    made whole or goes on after a stop, with rates.csv, errors.jsonl, sources.jsonl and manifest.json. Nothing that
    exists is overwritten.

    \b
    Examples:
      dsr decode photo.bpg photo.png
      dsr decode fleet/ images/
      dsr decode fleet/ images/ --format jpeg:95
    """
    from dsr.data_pipelines import received
    from dsr.experiments.fleet import folders
    from dsr.experiments.fleet.encoding import decoded_folder

    if source.is_dir():
        folders.check_apart(source, target)
        make_folder(decoded_folder(source, format), target, workers)
        return
    bitstream = received.read_bitstream(source)
    header = received.read_header(source.name, bitstream)
    try:
        pixels = received.decode(header, bitstream)
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error
    write_one(target, format.encode(pixels), format.suffixes)
