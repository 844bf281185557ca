"""Values in JSON files: dataclasses written and read back, of files that may hold anything."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import dacite

from dsr.models.errors import UserError

Stored = TypeVar("Stored")

MAX_BYTES = 1 << 28
"""Of a JSON file; larger ones are not read."""


def to_json(value: Any) -> Any:
    """Dataclasses, and lists of them, as plain JSON values.

    Numbers that JSON cannot say (nan, infinity) become None.
    """
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return finite(asdict(value))


def finite(value: Any) -> Any:
    """A JSON value with every number that is not finite replaced by None."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(kind: type[Stored], value: Any, strict: bool = True) -> Stored:
    """The dataclass that `to_json` made `value` of; unless `strict`, there may be more in it.

    Raises ValueError if it is none: an unknown or missing field, or a value of another type.
    """
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, not {type(value).__name__}")  # noqa: TRY004 (it is the content of a file)
    try:
        return dacite.from_dict(kind, value, dacite.Config(strict=strict))  # type: ignore[type-var]  # a dataclass
    except dacite.DaciteError as error:
        raise ValueError(str(error)[:200]) from None


def load(path: Path) -> Any:
    """The content of a JSON file; finite numbers only.

    Raises:
      FileNotFoundError: there is none.
      UserError: it cannot be read, has more than `MAX_BYTES`, or is no JSON.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"holds {constant}")

    def read(number: str) -> float:
        value = float(number)  # infinite for 1e999
        return value if math.isfinite(value) else refuse(number)

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        return json.loads(path.read_bytes(), parse_constant=refuse, parse_float=read)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error})") from None
