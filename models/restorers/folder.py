"""The folder of a trained restorer: which files it has, and the one that comes with dsr.

A part NAME is two files, plain data, so that reading a folder from elsewhere runs nothing: `NAME.json` says which
network it is, `NAME.npz` holds its weights by the variables' names, in float32 or float16.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from dsr.models.restorers.errors import RestorerError

GENERATOR = "generator"
"""The part that restores."""

DISCRIMINATORS = "discriminators"
"""What an adversarial restorer needs besides to go on training."""

SHIPPED = "shipped"
"""The name of the restorer that comes with dsr, and where a training can start; of the codec likewise."""

SHIPPED_FOLDER = Path(__file__).parent / "weights"

MAX_BYTES = 1 << 16
"""Of a description; those that dsr writes have some hundred."""

START_FROM = "start from shipped, or from the folder of an adversarial restorer that was trained by this version of dsr"


def description_file(folder: Path, part: str) -> Path:
    """Where a part says what it is."""
    return folder / f"{part}.json"


def weights_file(folder: Path, part: str) -> Path:
    """Where a part has its weights."""
    return folder / f"{part}.npz"


def start_folder(start: str) -> Path:
    """The folder that a training starts from: `shipped`, or the path of a trained restorer's folder."""
    return SHIPPED_FOLDER if start == SHIPPED else Path(start)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises OSError or ValueError where there is none."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        fields = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 (what is wrong is the file's content)
    return fields


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises RestorerError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RestorerError(f"{path}: no file of a trained restorer ({error.strerror}): give another folder") from None


def check_described(folder: Path, part: str, wanted: dict[str, Any]) -> None:
    """Raise RestorerError unless a part of a saved folder is described by `wanted`."""
    path = description_file(folder, part)
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise RestorerError(f"{path}: no description of {part} ({error}): {START_FROM}") from None
    if found.get("network") != wanted.get("network"):
        raise RestorerError(f"{path}: network is {found.get('network')}: {START_FROM}")
    for key, value in json.loads(json.dumps(wanted)).items():
        if found.get(key) != value:
            raise RestorerError(
                f"{path}: {key} is {found.get(key)} there and {value} in restorer.gan.{part.removesuffix('s')}: "
                "set it to the same, or let dsr train-restorer --start do it"
            )
