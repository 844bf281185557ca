"""`dsr doctor`: can this machine do the work?"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from dsr.app.console import show, size
from dsr.app.help import Command, json_option
from dsr.app.options import work_option
from dsr.app.packages import BEYOND_CORE, CORE, INSTALL, PackageError, required


@click.command("doctor", cls=Command)
@work_option
@json_option
def command(work: Path) -> None:
    """Check versions, devices, codecs and disk; exit status 1 if something needed is broken.

    An installation without TensorFlow is a light core, which converts and verifies: that is not broken.

    \b
    Example:
      dsr doctor
    """
    checks = [Check("python", True, f"{platform.python_version()} at {sys.executable}")]
    checks += _installed("dsr", *CORE)
    if _has("tensorflow"):
        checks += [*_installed(*BEYOND_CORE), _devices()]
    else:
        says = f"converts and verifies; training, restoring, the learned codec and reports need more: {INSTALL}"
        checks.append(Check("light core", True, says))
    checks += [*_codecs(), _disk(work)]
    show({"healthy": all(check.healthy for check in checks), "checks": checks}, lambda: _print(checks))
    if not all(check.healthy for check in checks):
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be, and what was found."""

    name: str
    healthy: bool
    found: str


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        click.secho(f"{check.name:<26}{check.found}", fg=None if check.healthy else "red")


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installed(*packages: str) -> list[Check]:
    """The version of each."""
    return [
        Check(
            package, _has(package), importlib.metadata.version(package) if _has(package) else f"missing: run {INSTALL}"
        )
        for package in packages
    ]


def _disk(work: Path) -> Check:
    existing = next(folder for folder in (work.resolve(), *work.resolve().parents) if folder.exists())
    usage, writable = shutil.disk_usage(existing), os.access(existing, os.W_OK)
    said = f"{work}: {size(usage.free)} free of {size(usage.total)}{'' if writable else ', NOT writable'}"
    return Check("work folder", writable, said)


def _devices() -> Check:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf
        import tensorflow_compression  # noqa: F401 (that it imports is the check)
        import tensorflow_datasets  # noqa: F401

        import dsr.models.restorers.normalization  # (tensorflow-addons)
        import dsr.models.segmenter.backbones.kerascv  # noqa: F401 (keras-cv)
    except Exception as error:  # noqa: BLE001 (whatever breaks here is what the doctor is asked for)
        return Check("devices", False, f"TensorFlow stack does not import: {error}")
    gpus = tf.config.list_physical_devices("GPU")
    idle = "" if gpus else " (trainings run on the CPU)"
    return Check("devices", True, f"{os.cpu_count()} CPU cores, {len(gpus)} GPUs{idle}")


def _codecs() -> list[Check]:
    import numpy as np

    from dsr.data_pipelines.codecs import CODECS, make_codec
    from dsr.models.errors import UserError
    from dsr.models.metrics.fidelity import psnr

    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(128)), axis=-1)
    checks = []
    for name in CODECS:
        try:
            with required():
                codec = make_codec(name)
                bitstream = codec.encode(pixels)
                decibel = psnr(pixels, codec.decode(bitstream))
            fidelity = "lossless" if math.isinf(decibel) else f"{decibel:.1f} dB"
            found = f"works: 64x64 test image in {len(bitstream)} bytes, {fidelity}"
            checks.append(Check(f"codec {codec.point}", True, found))
        except PackageError as error:  # whether it should be there is said above
            checks.append(Check(f"codec {name}", True, str(error)))
        except UserError as error:
            checks.append(Check(f"codec {name}", False, str(error)))
    return checks
