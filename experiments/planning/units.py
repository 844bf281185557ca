"""Quantities as people write them: `200GB`, `2Mbit/s`, `2048x1024`, `1/8`; read once, where they come in."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

PREFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
"""SI prefixes; `K` is what many write for `k`."""

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}

MOST_BYTES = 10**21

_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s?(k|[KMGTP]i?)?(B|bit)(/s)?")


class Size(NamedTuple):
    """Of an image, in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse_bytes(text: str) -> float:
    """`200GB`, `1.5TiB` or `8Gbit` as bytes. Raises ValueError, which says how to write it."""
    return _parse(text, per_second=False, example="200GB")


def parse_rate(text: str) -> float:
    """`2Mbit/s` or `250kB/s` as bytes a second. Raises ValueError, which says how to write it."""
    return _parse(text, per_second=True, example="2Mbit/s")


def parse_size(text: str) -> Size:
    """`2048x1024` as width and height. Raises ValueError."""
    match = re.fullmatch(r"([1-9]\d{0,5})[x×]([1-9]\d{0,5})", text)
    if not match:
        raise ValueError(f'"{text}" is no size: write width and height in pixels, as 2048x1024')
    return Size(int(match[1]), int(match[2]))


def parse_fraction(text: str) -> Fraction:
    """`1/8`, `0.25` or `1` as a share above 0 and up to 1. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,6})(?:/(\d{1,6})|(\.\d{1,6}))?", text)
    share = Fraction(0)
    if match and not (match[2] and int(match[2]) == 0):
        share = Fraction(int(match[1]), int(match[2])) if match[2] else Fraction(text)
    if not 0 < share <= 1:
        raise ValueError(f'"{text}" is no share: write one above 0 and up to 1, as 1/8')
    return share


def _parse(text: str, per_second: bool, example: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if not match or bool(match[4]) != per_second:
        kind = "a rate" if per_second else "an amount of data"
        raise ValueError(
            f'"{text}" is not {kind}: write a number and its unit (B or bit, with k, M, G, T), as {example}'
        )
    prefix = match[2] or ""
    bits = 8 if match[3] == "B" else 1
    amount = float(match[1]) * (BINARY[prefix] if prefix in BINARY else PREFIXES[prefix]) * bits / 8
    if not 0 < amount <= MOST_BYTES:
        raise ValueError(f'"{text}" is out of all proportion: write an amount above 0, as {example}')
    return amount
