"""How values are written on a page; a dash stands for what was not measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dsr.experiments.results import LeftOut


def percent(score: float | None) -> str:
    """A fraction in percent; a dash for None."""
    return "–" if score is None else f"{100 * score:.1f}"


def signed(points: float | None) -> str:
    """Points with their sign; a dash for None."""
    return "–" if points is None else f"{points:+.1f}".replace("-", "−")


def decimal(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def significant(value: float | None, signed: bool = False) -> str:
    """A number to three significant digits, with its sign if asked for."""
    if value is None:
        return "–"
    sign = "+" if signed and value else ""
    text = format(value, f"{sign}#.3g") if 1e-4 <= abs(value) < 1000 else format(value, f"{sign}.3g")
    return text.rstrip(".").replace("-", "−")


def count(value: float | None) -> str:
    """A whole number in groups of three digits; a dash for None."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def left_out(identical: int) -> str:
    """What stands beside a mean PSNR, which images identical to their originals have none for; "" without any."""
    return f"without {identical} identical" if identical else ""


def on_common(done: str, common: int, images: str, left_out: Sequence[LeftOut]) -> str:
    """On which `images` nothing is `done`, and why, where so many are common to all; "" if none is left out."""
    keys = {key for one in left_out for key in one.keys}
    if not keys:
        return ""
    lacking = [
        f"{one.point}{f' restored by {one.restorer}' if one.restorer else ''} lacks {len(one.keys)}" for one in left_out
    ]
    return (
        f"Nothing is {done} on {len(keys)} of {common + len(keys)} {images}, so that all is compared on the same: "
        f"{'; '.join(lacking)}."
    )


def filesize(size: int) -> str:
    """A size in bytes as kB or MB (powers of ten)."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def pretty(value: Any) -> str:
    """JSON to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def compact(value: Any) -> str:
    """JSON for the page's script, to stand in an attribute."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


FILTERS = {
    function.__name__: function
    for function in (percent, signed, decimal, significant, count, left_out, duration, pretty, compact)
}
