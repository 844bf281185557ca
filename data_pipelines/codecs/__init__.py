"""Codecs: pixels to a bitstream and back.

`make_codec("bpg", 40).encode(pixels)` gives the bytes whose length is the rate; `decode` gives the pixels. The names
are in `CODECS`; `find_quality` (in `search`) finds the quality that reaches a given rate.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from typing import Any

from dsr.data_pipelines.codecs.base import Codec, CodecError, QualityScale

CODECS: dict[str, str] = {
    "none": "dsr.data_pipelines.codecs.pillow:NoneCodec",
    "bpg": "dsr.data_pipelines.codecs.bpg:BpgCodec",
    "msh": "dsr.data_pipelines.codecs.msh:MshCodec",
    "jpeg": "dsr.data_pipelines.codecs.pillow:JpegCodec",
    "jpeg2000": "dsr.data_pipelines.codecs.pillow:Jpeg2000Codec",
    "webp": "dsr.data_pipelines.codecs.pillow:WebPCodec",
    "avif": "dsr.data_pipelines.codecs.pillow:AvifCodec",
}
"""Codec name -> `module:class`, imported on use."""

__all__ = ["CODECS", "Codec", "CodecError", "QualityScale", "codec_class", "make_codec"]


def codec_class(name: str) -> type[Codec]:
    """The class of the codec called `name`; raises CodecError, with the nearest name, if there is none."""
    if name not in CODECS:
        raise CodecError(f"no codec is called {name!r}{_nearest(name, CODECS)}; there are {', '.join(CODECS)}")
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
    known = [field.name for field in dataclasses.fields(cls) if field.init and field.name != "quality"]
    for option in options:
        if option not in known:
            raise CodecError(
                f"codec {name} has no option {option!r}{_nearest(option, known)}; it has {', '.join(known)}"
            )
    return cls(quality=quality, **options)


def _nearest(word: str, known: Any) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
