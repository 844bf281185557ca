"""The reference programs `bpgenc` and `bpgdec` of libbpg, where they are installed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from dsr.data_pipelines.codecs.base import CodecError

LEVELS = tuple("123456789")
"""Compression levels of `bpgenc -m`, fastest first."""

TIMEOUT = 600
"""Seconds that one picture may take."""


def find(program: str) -> str:
    """Path of `program`; raises CodecError if it is not on PATH."""
    path = shutil.which(program)
    if path is None:
        raise CodecError(f"{program} is not on PATH: install libbpg, or leave the option encoder=libbpg out")
    return path


def encode(pixels: np.ndarray, qp: int, chroma: str, level: str) -> bytes:
    """Encodes uint8 pixels, RGB (height, width, 3) or gray (height, width), with `bpgenc`."""
    with tempfile.TemporaryDirectory(prefix="bpg-") as folder:
        source, target = Path(folder, "in.png"), Path(folder, "out.bpg")
        Image.fromarray(pixels).save(source, compress_level=1)
        subsampling = [] if pixels.ndim == 2 else ["-f", chroma.replace(":", "")]
        return _make(target, "bpgenc", "-q", str(qp), "-m", level, *subsampling, str(source))


def decode(bitstream: bytes) -> np.ndarray:
    """Decodes with `bpgdec` to uint8 RGB (height, width, 3)."""
    with tempfile.TemporaryDirectory(prefix="bpg-") as folder:
        source, target = Path(folder, "in.bpg"), Path(folder, "out.png")
        source.write_bytes(bitstream)
        png = _make(target, "bpgdec", str(source))
    try:
        # Not through `Image.open`, whose bound on the size is another than the codec's.
        return np.array(PngImagePlugin.PngImageFile(io.BytesIO(png)).convert("RGB"))
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise CodecError(f"bpgdec wrote no PNG file ({error})") from error


def version() -> str:
    """Version that `bpgenc` gives for itself, such as `0.9.8`."""
    shown = _run("bpgenc", "-h")  # its help ends with status 1
    match = re.search(rb"version (\S+)", shown.stdout + shown.stderr)
    return match[1].decode("ascii", "replace") if match else "unknown"


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [find(program), *arguments], check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise CodecError(f"{program} did not finish one picture within {TIMEOUT} seconds") from error


def _make(target: Path, program: str, *arguments: str) -> bytes:
    """Runs `program`, which writes the file `target`; returns what it wrote."""
    done = _run(program, "-o", str(target), *arguments)
    if done.returncode:
        reason = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
        raise CodecError(f"{program} failed with exit status {done.returncode}: {reason or 'it gave no reason'}")
    if not target.is_file():
        raise CodecError(f"{program} reported success but wrote no file")
    return target.read_bytes()
