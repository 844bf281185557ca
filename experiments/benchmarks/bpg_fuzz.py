"""Feeds damaged BPG files to the decoder and checks that each is decoded or refused, nothing else.

    python -m dsr.experiments.benchmarks.bpg_fuzz --seconds 60 FILE.bpg...

Without files it damages pictures that it encodes itself. Batches run in a child process with limited memory, so that a
crash of a library is caught and told with the seed that repeats it: `--seed N --cases 1`. Exit status 1 if anything but
a picture or a CodecError came out. One core does about 600 cases a second.
"""

from __future__ import annotations

import multiprocessing
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from dsr.data_pipelines.codecs import CodecError
from dsr.data_pipelines.codecs.bpg import read_bpg, write_bpg

MAX_PIXELS = 1 << 20
"""Bound given to the decoder: a damaged size is either refused or affordable."""

MEMORY = 2 << 30
"""Bytes of address space that a child may take beyond what it starts with."""

BATCH = 500


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with one to four random faults: flipped bits, bytes lost, doubled or replaced, a cut, a start code."""
    for _ in range(rng.integers(1, 5)):
        # Half of the faults go to the first bytes, where the headers are: picture data would get nearly all of them.
        reach = len(data) if rng.integers(2) else min(len(data), 40)
        start = int(rng.integers(reach))
        length = int(rng.integers(1, 9))
        end = start + length
        fault = rng.integers(7)
        if fault == 0:
            data = data[:start] + bytes([data[start] ^ 1 << rng.integers(8)]) + data[start + 1 :]
        elif fault == 1:
            data = data[:start] + rng.bytes(length) + data[end:]
        elif fault == 2:
            data = data[:start] + data[end:]
        elif fault == 3:
            data = data[:end] + data[start:]
        elif fault == 4:
            data = data[: max(start, 1)]
        elif fault == 5:
            data = data[:start] + bytes([rng.choice([0, 0x7F, 0x80, 0xFF])]) * length + data[end:]
        else:
            data = data[:start] + b"\0\0\1" + bytes([rng.integers(64) << 1, 1]) + data[start:]
        if not data:
            return b"\0"
    return data


def samples() -> list[bytes]:
    """Small BPG files of each chroma format, with and without the length of their data."""
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(48), np.arange(72))[..., None] * [1, 2, 3] + rng.integers(0, 40, (48, 72, 3))
    return [write_bpg(ramp.astype(np.uint8), 30, chroma, "fast") for chroma in ("4:2:0", "4:2:2", "4:4:4", "gray")]


def run_case(data: bytes, seed: int) -> str:
    """Decodes `data` damaged by `seed`; returns what came of it, for counting."""
    try:
        picture = read_bpg(damaged(data, np.random.default_rng(seed)), MAX_PIXELS)
    except CodecError as error:
        return "refused: " + re.sub(r"\d+|b'.*'", "#", str(error))
    assert picture.rgb.shape == (picture.header.height, picture.header.width, 3)
    return "decoded"


def _batch(files: Sequence[bytes], first: int, cases: int, results: multiprocessing.Queue) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    counts: Counter[str] = Counter()
    for seed in range(first, first + cases):
        try:
            counts[run_case(files[seed % len(files)], seed)] += 1
        except BaseException as error:
            results.put((counts, f"seed {seed}: {type(error).__name__}: {error}"))
            raise
    results.put((counts, None))


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seconds", default=60.0, show_default=True, help="Stop after this time.")
@click.option("--cases", type=int, help="Stop after so many cases.")
@click.option("--seed", default=0, show_default=True, help="First seed.")
def main(paths: tuple[Path, ...], seconds: float, cases: int | None, seed: int) -> None:
    """Decode damaged BPG files."""
    files = [path.read_bytes() for path in paths] or samples()
    context = multiprocessing.get_context("spawn")
    counts: Counter[str] = Counter()
    first, deadline = seed, time.monotonic() + seconds
    while time.monotonic() < deadline and (cases is None or seed < first + cases):
        size = BATCH if cases is None else min(BATCH, first + cases - seed)
        results = context.Queue()
        child = context.Process(target=_batch, args=(files, seed, size, results))
        child.start()
        child.join(timeout=300)
        if child.exitcode != 0:
            reason = results.get()[1] if not results.empty() else f"exit code {child.exitcode} (None: it hangs)"
            child.kill()
            click.echo(f"FAILED in seeds {seed} to {seed + size - 1}: {reason}")
            sys.exit(1)
        counts += results.get()[0]
        seed += size
    for outcome, count in counts.most_common():
        click.echo(f"{count:8}  {outcome}")
    click.echo(f"{seed - first} cases, each decoded or refused")


if __name__ == "__main__":
    main()
