"""All keys of a configuration with their types and meanings, and configurations as TOML files.

What a key means stands in the docstring of the dataclass that has it, under `Attributes:`, and nowhere else. A file has
one key a line, spelled as `--set` takes it; tables are read too.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from dsr.data_pipelines.datasets.files import expanded
from dsr.experiments.config.overrides import ConfigError, apply_overrides
from dsr.experiments.config.presets import PRESETS, preset
from dsr.experiments.config.schema import DatasetConfig, OperatingPoint, StudyConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20
"""Of a file of settings."""

PRESET = "preset"
"""The key of a file that names the preset which its other keys change."""

_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", OperatingPoint: "operating point"}


@dataclass(frozen=True)
class Setting:
    """A leaf of a configuration.

    Attributes:
      key: as `--set` takes it: segmenter.steps.
      kind: the type of its value in words.
      value: what it is set to.
      meaning: what it is.
    """

    key: str
    kind: str
    value: Any
    meaning: str

    @property
    def text(self) -> str:
        """The value as TOML writes it; what is none is the text none."""
        return _toml(self.value)


def settings(config: Any, prefix: str = "") -> Iterator[Setting]:
    """The leaves of a nested configuration, in the order of its fields; keys of its own as one leaf each."""
    kinds, says = typing.get_type_hints(type(config)), meanings(type(config))
    for field in dataclasses.fields(config):
        key, value = prefix + field.name, getattr(config, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, OperatingPoint):
            yield from settings(value, f"{key}.")
        elif isinstance(value, dict):
            yield from (Setting(f"{key}.{name}", _WORDS[type(v)], v, says[field.name]) for name, v in value.items())
        else:
            yield Setting(key, _kind(kinds[field.name]), value, says[field.name])


def meanings(kind: type) -> dict[str, str]:
    """Field -> what it is, as the docstring of a dataclass says it under `Attributes:`."""
    _, _, block = (kind.__doc__ or "").partition("Attributes:\n")
    lines = textwrap.dedent(block.split("\n\n")[0]).splitlines()
    found: dict[str, str] = {}
    for line in lines:
        named = re.match(r"(\w+): (.*)", line)
        if named:
            name = named[1]
            found[name] = named[2]
        elif line.startswith(" ") and found:
            found[name] += f" {line.strip()}"
    return {name: says.rstrip(".") for name, says in found.items()}


def to_toml(config: StudyConfig, preset: str) -> str:
    """A file that says all of a configuration; `overrides_of` reads it back."""
    lines = [f"{PRESET} = {_toml(preset)}  # what the keys below change: {' or '.join(PRESETS)}", ""]
    group = ""
    for setting in settings(config):
        if setting.key.rpartition(".")[0] != group:
            group = setting.key.rpartition(".")[0]
            lines.append("")
        key = ".".join(
            part if re.fullmatch(r"[\w-]+", part, re.ASCII) else _toml(part) for part in setting.key.split(".")
        )
        lines.append(f"{key} = {setting.text}  # ({setting.kind}) {setting.meaning}")
    return "\n".join(lines) + "\n"


def configured(preset_name: str, overrides: Sequence[str]) -> StudyConfig:
    """A preset with overrides.

    One that names another dataset also takes the splits that the dataset gives to the three roles, and its folder's
    name as that of the study: two of them share no report and no measurement.

    Raises:
      ConfigError: see `apply_overrides`. DatasetError: there is no such dataset.
    """
    config, said = preset(preset_name), dict(override.partition("=")[::2] for override in overrides)
    dataset, root = said.get("dataset.name", config.dataset.name), said.get("dataset.root", "none")
    if dataset != config.dataset.name:
        name = dataset if root == "none" else expanded(root).resolve().name or dataset
        config = dataclasses.replace(config, dataset=DatasetConfig.of(dataset), name=name)
    return apply_overrides(config, overrides)


def read_settings(path: Path) -> tuple[Optional[str], list[str]]:
    """The preset that a file names, if it does, and its other keys as `--set` takes them: `segmenter.steps=200`.

    Raises:
      ConfigError: it cannot be read, is no TOML, or larger than MAX_BYTES.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path} has more than {MAX_BYTES} bytes: give a file of settings, as dsr config prints")
        content = tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): give a file of settings") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no TOML file ({error}): dsr config prints one") from None
    preset = content.pop(PRESET, None)
    if preset is not None and not isinstance(preset, str):
        raise ConfigError(f"{path}: {PRESET} must be a name in quotes: {', '.join(PRESETS)}")
    return preset, list(_flat(content))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={_set(value)}"


def _set(value: Any) -> str:
    """A value of a file as `--set` takes it."""
    if isinstance(value, list):
        return ",".join(map(_set, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    text = value.text if isinstance(value, OperatingPoint) else "none" if value is None else value
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _kind(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return f"{_kind(arguments[0])} or none"
    if origin is tuple:
        return f"list of {_kind(arguments[0])}{'s' if arguments[0] in _WORDS else ''}"
    if origin is not None:  # the names of a Literal
        return " or ".join(map(str, arguments))
    return _WORDS[hint]
