"""`dsr doctor`: can this machine do the work?"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
import sys
from pathlib import Path

import click

from dsr.app.console import size
from dsr.app.help import Command
from dsr.app.options import work_option
from dsr.app.packages import BEYOND_CORE, CORE, INSTALL, PackageError, required


@click.command("doctor", cls=Command)
@work_option
def command(work: Path) -> None:
    """Check versions, devices, codecs and disk; exit status 1 if something needed is broken.

    An installation without TensorFlow is a light core, which converts and verifies: that is not broken.

    \b
    Example:
      dsr doctor
    """
    click.echo(f"python      {platform.python_version()} at {sys.executable}")
    healthy = _installed("dsr", *CORE)
    if _has("tensorflow"):
        healthy &= _installed(*BEYOND_CORE)
        healthy &= _devices()
    else:
        click.echo("light core  converts and verifies; training, restoring, the learned codec and reports need more:")
        click.echo(f"            {INSTALL}")
    healthy &= _codecs()

    existing = next(folder for folder in (work.resolve(), *work.resolve().parents) if folder.exists())
    usage = shutil.disk_usage(existing)
    writable = os.access(existing, os.W_OK)
    click.echo(
        f"work folder {work}: {size(usage.free)} free of {size(usage.total)}{'' if writable else ', NOT writable'}"
    )
    if not (healthy and writable):
        raise click.exceptions.Exit(1)


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installed(*packages: str) -> bool:
    """Print the version of each; False if one is missing."""
    for package in packages:
        if _has(package):
            click.echo(f"{package:<24}{importlib.metadata.version(package)}")
        else:
            click.secho(f"{package:<24}missing: run {INSTALL}", fg="red")
    return all(map(_has, packages))


def _devices() -> bool:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf
        import tensorflow_compression  # noqa: F401 (that it imports is the check)
        import tensorflow_datasets  # noqa: F401

        import dsr.models.restorers.normalization  # (tensorflow-addons)
        import dsr.models.segmenter.backbones.kerascv  # noqa: F401 (keras-cv)
    except Exception as error:  # noqa: BLE001 (whatever breaks here is what the doctor is asked for)
        click.secho(f"TensorFlow stack does not import: {error}", fg="red")
        return False
    gpus = tf.config.list_physical_devices("GPU")
    click.echo(
        f"devices     {os.cpu_count()} CPU cores, {len(gpus)} GPUs{'' if gpus else ' (trainings run on the CPU)'}"
    )
    return True


def _codecs() -> bool:
    import numpy as np

    from dsr.data_pipelines.codecs import CODECS, make_codec
    from dsr.models.errors import UserError
    from dsr.models.metrics.fidelity import psnr

    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(128)), axis=-1)
    healthy = True
    for name in CODECS:
        try:
            with required():
                codec = make_codec(name)
                bitstream = codec.encode(pixels)
                decibel = psnr(pixels, codec.decode(bitstream))
            fidelity = "lossless" if math.isinf(decibel) else f"{decibel:.1f} dB"
            click.echo(f"codec       {codec.point:<20} works: 64x64 test image in {len(bitstream)} bytes, {fidelity}")
        except PackageError as error:  # whether it should be there is said above
            click.echo(f"codec       {name}: {error}")
        except UserError as error:
            click.secho(f"codec       {name}: {error}", fg="red")
            healthy = False
    return healthy
