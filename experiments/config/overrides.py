"""Typed overrides of nested frozen dataclasses: `--set segmenter.steps=200`.

A wrong key or value fails before any work and names the nearest valid key; nothing is evaluated as code.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeVar

from dsr.models.errors import UserError

Config = TypeVar("Config")


MOST = 1e15
"""What a number may be: beyond it some arithmetic overflows, or is no longer exact."""


class ConfigError(UserError):
    """A configuration key or value that does not exist or does not fit."""


class FreeKeys(ABC):
    """A dataclass with a dictionary whose keys are nowhere declared: it says itself what their values are."""

    @abstractmethod
    def read_option(self, key: str, text: str) -> Any:
        """The value of a free key; ValueError if the text is none."""


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean "segmenter.steps"?` for the closest of `words`, or the list of all when none is close."""
    words = sorted(words)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else f"; there are: {', '.join(words)}"


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """All leaves of a nested dataclass as {"segmenter.steps": 600, ...}, in field order."""
    leaves: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            leaves.update(flatten(value, f"{prefix}{field.name}."))
        else:
            leaves[prefix + field.name] = value
    return leaves


def apply_overrides(config: Config, overrides: Iterable[str]) -> Config:
    """A copy of `config` with each "a.b=value" set, the value converted to the field's declared type.

    Dictionaries take free keys below their name (`dataset.options.height=128`), which their dataclass reads: it is one
    of `FreeKeys`.

    Raises:
      ConfigError: no "=", unknown key (the nearest is named), or a value that is not of the field's type.
      UserError: as `read_option` of such a dataclass has it.
    """
    given = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f'"{override}" is no override: write key=value, for example segmenter.steps=200')
        given.append((key.strip(), text.strip()))
    # What a free key means follows from the other overrides, as a dataset's options from its name.
    for free in (False, True):
        changes: dict[str, Any] = {}
        for key, text in given:
            if _is_free(config, key) is free:
                _place(config, key, text, changes)
        config = _rebuild(config, changes)
    return config


def _is_free(config: Any, key: str) -> bool:
    """Whether a key lies in a dictionary."""
    for name in key.split(".")[:-1]:
        config = getattr(config, name, None)
        if isinstance(config, dict):
            return True
    return False


def _place(config: Any, key: str, text: str, changes: dict[str, Any]) -> None:
    """Check one override against the configuration and put its value into the nested `changes`."""
    valid = list(flatten(config))
    path = key.split(".")
    owner = value = config
    for depth, name in enumerate(path):
        if isinstance(value, dict):
            option = ".".join(path[depth:])
            try:
                changes[option] = owner.read_option(option, text)
            except ValueError as error:
                raise ConfigError(f'"{text}" does not fit {key}: {error}') from None
            return
        if not dataclasses.is_dataclass(value) or name not in {f.name for f in dataclasses.fields(value)}:
            raise ConfigError(f'no configuration key "{key}"{nearest(key, valid)}')
        owner, value = value, getattr(value, name)
        if depth < len(path) - 1:
            changes = changes.setdefault(name, {})
    if dataclasses.is_dataclass(value):
        raise ConfigError(f'"{key}" is a group of keys{nearest(key, (v for v in valid if v.startswith(key + ".")))}')
    try:
        kind = typing.get_type_hints(type(owner))[name]
        if typing.get_origin(kind) is dict:
            raise ValueError(f"it holds keys of its own: write {key}.NAME=VALUE")
        changes[name] = convert(text, kind)
    except ValueError as error:
        raise ConfigError(f'"{text}" does not fit {key}: {error}') from None


def _rebuild(config: Any, changes: dict[str, Any]) -> Any:
    """One `replace` for each dataclass, so that values which only make sense together are checked together."""
    new = {}
    for name, change in changes.items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            new[name] = _rebuild(value, change)
        elif isinstance(value, dict):
            new[name] = {**value, **change}
        else:
            new[name] = change
    try:
        return dataclasses.replace(config, **new)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{', '.join(new)} do not fit together: {error}") from None


def convert(text: str, kind: Any) -> Any:
    """`text` as a value of the annotated type `kind`.

    Bool, int, float, str, Optional of these, tuple of one of these, or a class with a `parse` class method.

    Raises:
      ValueError: the text is not of that type; says what is expected.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        if text.lower() in ("none", "null", ""):
            return None
        return convert(text, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        return tuple(convert(part.strip(), arguments[0]) for part in text.split(",") if part.strip())
    if origin is typing.get_origin(typing.Literal["x"]):
        if text not in arguments:
            raise ValueError(f"expected one of {', '.join(map(str, arguments))}")
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("expected true or false")
        return text.lower() == "true"
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            raise ValueError(f"expected {'a whole number' if kind is int else 'a number'}") from None
        if not abs(number) <= MOST:
            raise ValueError(f"expected a number up to {MOST:g}")
        return number
    if hasattr(kind, "parse"):
        return kind.parse(text)
    return text


def guess(text: str) -> Any:
    """`text` as int, float, bool, or itself: for free keys, which have no declared type.

    Raises ValueError for numbers that are not finite, or huge.
    """
    for kind in (int, float):
        try:
            kind(text)
        except ValueError:
            continue
        return convert(text, kind)
    return text.lower() == "true" if text.lower() in ("true", "false") else text
