"""Quantities on the command line: `200GB`, `2Mbit/s`, `2048x1024`; what is none of these is a wrong use, exit 2."""

from __future__ import annotations

from typing import Any, Callable, Optional

import click

from dsr.experiments.config.schema import OperatingPoint
from dsr.experiments.planning.units import parse_bytes, parse_fraction, parse_rate, parse_size


class Quantity(click.ParamType):
    """What a parser reads that raises ValueError."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Several(Quantity):
    """The same, several times with commas between."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        super().__init__(name, lambda text: tuple(parse(part.strip()) for part in text.split(",")))


BYTES = Quantity("bytes", parse_bytes)
RATE = Quantity("rate", parse_rate)
SIZE = Quantity("size", parse_size)
POINTS = Several("points", OperatingPoint.parse)
SHARES = Several("shares", parse_fraction)
