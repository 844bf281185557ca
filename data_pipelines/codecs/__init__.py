"""Codecs: pixels to a bitstream and back.

`make_codec("bpg", 40).encode(pixels)` gives the bytes whose length is the rate; `decode` gives the pixels. The names
are in `CODECS`; `parse_point` reads what a codec is called with its quality and options, `identify` finds the codec of
a bitstream, and `find_quality` (in `search`) the quality that reaches a given rate.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from dsr.data_pipelines.codecs.base import Codec, CodecError, Inspection, QualityScale, shown
from dsr.data_pipelines.names import did_you_mean

CODECS: dict[str, str] = {
    "none": "dsr.data_pipelines.codecs.png:NoneCodec",
    "bpg": "dsr.data_pipelines.codecs.bpg:BpgCodec",
    "msh": "dsr.data_pipelines.codecs.msh:MshCodec",
    "jpeg": "dsr.data_pipelines.codecs.jpeg:JpegCodec",
    "jpeg2000": "dsr.data_pipelines.codecs.jpeg2000:Jpeg2000Codec",
    "webp": "dsr.data_pipelines.codecs.webp:WebPCodec",
    "avif": "dsr.data_pipelines.codecs.avif:AvifCodec",
}
"""Codec name -> `module:class`, imported on use."""

__all__ = [
    "CODECS",
    "Codec",
    "CodecError",
    "Inspection",
    "Point",
    "QualityScale",
    "codec_class",
    "describe_options",
    "identify",
    "make_codec",
    "parse_options",
    "parse_point",
]


class Point(NamedTuple):
    """An operating point: what `make_codec` takes."""

    codec: str
    quality: float | None
    options: dict[str, Any]


def codec_class(name: str) -> type[Codec]:
    """The class of the codec called `name`; raises CodecError, with the nearest name, if there is none."""
    if name not in CODECS:
        raise CodecError(f"no codec is called {shown(name)}{did_you_mean(name, CODECS)}; there are {', '.join(CODECS)}")
    module, attribute = CODECS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def make_codec(name: str, quality: float | None = None, **options: Any) -> Codec:
    """Makes a codec.

    Args:
        name: A name in `CODECS`.
        quality: A number on the codec's `scale`; its default if None.
        **options: The codec's other fields, such as `chroma="4:4:4"`.

    Raises:
        CodecError: Unknown codec or option (the nearest name is given), or a value out of range.
    """
    cls = codec_class(name)
    for option, value in options.items():
        if isinstance(_find_option(cls, option).default, str) and not isinstance(value, (str, os.PathLike)):
            raise CodecError(f"codec {name}: {option} must be text, not {shown(value)}")
    return cls(quality=quality, **options)


def parse_point(text: str) -> Point:
    """Reads an operating point: codec, quality and options.

    Args:
        text: As `Codec.point` writes it (`bpg-qp40`, `bpg-qp40+chroma=4:4:4`, `none`), or shorter with a colon
            (`bpg:40`), or without a quality for the default. Odd characters of values may be percent-encoded.

    Raises:
        CodecError: No such codec or option, or not of this form. Whether there is such a quality `make_codec` says.
    """
    head, *rest = text.split("+")
    given = [part.partition("=") for part in rest]
    name, number = head, ""
    if head not in CODECS:
        name, separator, number = head.partition(":") if ":" in head else head.rpartition("-")
        name = name if separator else head
    scale = codec_class(name).scale
    quality = None
    if name != head:
        prefix = "" if scale is None or ":" in head else scale.name
        match = re.fullmatch(rf"{prefix}(\d+(?:\.\d+)?)", number)
        if scale is None or match is None:
            right = name if scale is None else f"{name}-{scale.name}{scale.default:g}"
            raise CodecError(f"{shown(head)} is no operating point of codec {name}: write it as {right}")
        quality = float(match[1])
    if not all(separator for _, separator, _ in given) or len({key for key, _, _ in given}) < len(given):
        raise CodecError(f"{shown(text)}: options stand behind the quality as +KEY=VALUE, each key once")
    return Point(name, quality, parse_options(name, {key: unquote(value) for key, _, value in given}))


def parse_options(name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Options of codec `name`, given as text, as the types that it takes.

    Raises CodecError if it has no such option.
    """
    cls = codec_class(name)
    return {key: _parse_option(cls, key, text) for key, text in texts.items()}


def describe_options(name: str) -> dict[str, str]:
    """Option of codec `name` -> what it is, its values and its default."""
    return {field.name: _describe(field) for field in codec_class(name).options()}


def identify(bitstream: bytes) -> type[Codec] | None:
    """The class of the codec whose bitstreams start like this one, or None if there is none."""
    return next((cls for cls in map(codec_class, CODECS) if cls.recognises(bitstream)), None)


def _parse_option(cls: type[Codec], key: str, text: str) -> Any:
    kind = type(_find_option(cls, key).default)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is int:
        try:
            return int(text)
        except ValueError:
            return text  # the codec says what it takes
    return text


def _find_option(cls: type[Codec], name: str) -> Any:
    fields = {field.name: field for field in cls.options()}
    if name not in fields:
        raise CodecError(
            f"codec {cls.name} has no option {shown(name)}{did_you_mean(name, fields)}; it has {', '.join(fields)}"
        )
    return fields[name]


def _describe(field: Any) -> str:
    says, choices, between = (field.metadata.get(key) for key in ("says", "choices", "between"))
    values = ", ".join(choices or ()) or ("{} to {}".format(*between) if between else "")
    default = f"default {field.default}" if field.default != "" else ""
    notes = "; ".join(filter(None, (values, default)))
    return f"{says or 'text'}{notes and f' ({notes})'}"
