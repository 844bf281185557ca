"""Conversions killed again and again, at random moments, until they are whole: what comes out, and what is done twice?

    python -m dsr.experiments.benchmarks.kill_converter --kills 200

Drawn street scenes become original and JPEG shards, with two worker processes. SIGKILL ends the process that runs them;
the next starts at once, while those workers may still be about, until one lives to the end. Then the folders must hold
the same bytes as after a run that nobody disturbed, and nothing else; and every shard that was finished when a kill
came must be the same file afterwards, so that only shards in flight are done again.

203 kills in 41 conversions: none with other files or bytes, no finished shard made again. Four minutes on two cores,
the folders in memory (`TMPDIR=/dev/shm`), where no fsync waits. On cores that did other work at the same time: 200
kills in 237 conversions, the same.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from pathlib import Path

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.experiments.benchmarks.kills import survives
from dsr.tfrecords.conversions import to_compressed, to_originals
from dsr.tfrecords.engine import How

IMAGES, IMAGES_PER_SHARD, WORKERS = 48, 3, 2
STAGES = ("original", "compressed")


def convert(work: Path) -> None:
    """Both stages, or what is missing of them."""
    source = open_source("streets", height=96, width=128, test=IMAGES)
    original, compressed = (work / stage for stage in STAGES)
    to_originals(source, "test", images_per_shard=IMAGES_PER_SHARD).write(original, How(WORKERS))
    to_compressed(original, make_codec("jpeg", 20)).write(compressed, How(WORKERS))


def contents(work: Path) -> dict[str, bytes]:
    """All files by name, without the manifests, in which the time is."""
    return {
        path.relative_to(work).as_posix(): b"" if path.name == "manifest.json" else path.read_bytes()
        for path in work.rglob("*")
        if path.is_file()
    }


def finished(work: Path) -> dict[str, tuple[int, int]]:
    """Each shard that is done with, and what changes if it is written again."""
    found = {}
    for folder in work.glob("*"):
        for path in folder.glob("*.tfrecord"):
            if folder.suffix != ".partial" or (folder / ".building" / f"{path.name}.json").exists():
                stat = path.stat()
                found[f"{folder.stem}/{path.name}"] = stat.st_ino, stat.st_mtime_ns
    return found


def main() -> None:
    """Run until there were so many kills, and say how often something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dsr.data_pipelines.datasets", "dsr.data_pipelines.codecs.pillow", "dsr.tfrecords.converter"]
    )
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder, "reference")
        started = time.monotonic()
        convert(reference)
        seconds = time.monotonic() - started
        kills = conversions = other = again = 0
        while kills < arguments.kills:
            work = Path(folder, "killed")
            first: dict[str, tuple[int, int]] = {}
            while not survives(context.Process(target=convert, args=(work,)), moments.uniform(0, seconds)):
                kills += 1
                first = {**finished(work), **first}
            last = finished(work)
            again += sum(last[shard] != written for shard, written in first.items())
            other += contents(work) != contents(reference)
            conversions += 1
            shutil.rmtree(work)
    print(
        f"{kills} kills in {conversions} conversions: {other} with other files or bytes, {again} finished "
        "shards made again"
    )


if __name__ == "__main__":
    main()
