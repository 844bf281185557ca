"""Quantities are read as they are written in norms, and what is not one is refused with an example."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.experiments.planning.units import PREFIXES, parse_bytes, parse_fraction, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [("200GB", 200e9), ("1.5 TB", 1.5e12), ("8Gbit", 1e9), ("1GiB", 2**30), ("3kB", 3000), ("3KB", 3000), ("7B", 7)],
)
def test_amounts_are_in_bytes(text: str, count: float) -> None:
    assert parse_bytes(text) == count


def test_rates_are_in_bytes_a_second() -> None:
    assert parse_rate("2Mbit/s") == 250_000 == parse_rate("250kB/s")


@pytest.mark.parametrize(
    "text",
    [
        "200",
        "GB",
        "-1GB",
        "200Gb",
        "200mB",
        "0GB",
        "1e9GB",
        "inf B",
        "200GB/s",
        "nan",
        "",
        "9" * 30 + "GB",
        "2 0GB",
        "1kiB",
    ],
)
def test_what_is_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="200GB"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["2Mbit", "2Mbps", "2", "Mbit/s", "0bit/s"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="2Mbit/s"):
        parse_rate(text)


def test_sizes_are_width_by_height() -> None:
    size = parse_size("2048x1024")
    assert (size.width, size.height, size.pixels, str(size)) == (2048, 1024, 2_097_152, "2048x1024")


@pytest.mark.parametrize("text", ["2048", "0x5", "2048x", "x", "-2x3", "2048*1024", "9999999x1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2048x1024"):
        parse_size(text)


@pytest.mark.parametrize(("text", "share"), [("1/8", Fraction(1, 8)), ("0.25", Fraction(1, 4)), ("1", Fraction(1))])
def test_shares_are_exact(text: str, share: Fraction) -> None:
    assert parse_fraction(text) == share


@pytest.mark.parametrize("text", ["0", "9/8", "1/0", "-1/2", "1.5", "half", "1/2/3", "1/2.5"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1/8"):
        parse_fraction(text)


@given(st.integers(1, 10**6), st.sampled_from(sorted(PREFIXES)), st.sampled_from(["B", "bit"]))
def test_bytes_are_eight_bits_and_prefixes_are_thousands(number: int, prefix: str, unit: str) -> None:
    bits = number * PREFIXES[prefix] * (8 if unit == "B" else 1)
    assert parse_bytes(f"{number}{prefix}{unit}") * 8 == pytest.approx(bits, rel=1e-15)
