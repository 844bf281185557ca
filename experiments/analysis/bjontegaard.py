"""Bjontegaard's averages over rate curves: how many more bits for equal quality, how much more quality for equal bits.

Curves are interpolated by monotone piecewise cubics (PCHIP; Fritsch and Butland 1984) over the logarithm of the rate,
as JVET's common test conditions do. Of a curve that rises from point to point, such an interpolation rises everywhere,
so that it can be read in both directions; an Akima spline follows smooth dense curves a little better, but it may
overshoot between points, and a curve of mean IoU over a handful of trained networks is neither smooth nor dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEAST_POINTS = 4
"""Of a curve that an average is to be taken over (VCEG-M33 has four)."""

LEAST_SHARED = 0.5
"""Of what the narrower of two curves spans, so much at least must be shared: an average over less speaks of neither.

Not of what the wider one spans: that would refuse a learned codec, whose few rates lie all within those of BPG.
"""


@dataclass(frozen=True)
class RateCurve:
    """Qualities (dB, mIoU; more is better) at rates in bits a pixel; the same number of both, in any order."""

    name: str
    bpp: Sequence[float]
    quality: Sequence[float]


def bd_rate(anchor: RateCurve, curve: RateCurve) -> float:
    """Average rate difference against an anchor at equal quality, in percent; below 0 is better.

    Over the qualities that both curves share; nan if they share none. Qualities of a curve must differ.
    """
    (low, high), areas = _areas(*((one.quality, np.log(one.bpp)) for one in (curve, anchor)))
    return 100 * float(np.expm1((areas[0] - areas[1]) / (high - low))) if low < high else float("nan")


def bd_quality(anchor: RateCurve, curve: RateCurve) -> float:
    """Average quality difference against an anchor at equal rate, in units of the quality; above 0 is better.

    Over the rates that both curves share, by their logarithms; nan if they share none. Rates of a curve must differ.
    """
    (low, high), areas = _areas(*((np.log(one.bpp), one.quality) for one in (curve, anchor)))
    return float((areas[0] - areas[1]) / (high - low)) if low < high else float("nan")


def why_no_rate(anchor: RateCurve, curve: RateCurve) -> str:
    """Why there is no `bd_rate` worth a number; "" if there is."""
    refused = why_no_quality(anchor, curve)
    if refused:
        return refused
    for one in (anchor, curve):
        if np.any(np.diff(np.asarray(one.quality)[np.argsort(one.bpp)]) <= 0):
            return f"{one.name} does not rise from each rate to the next"
    return _apart("quality", anchor.quality, curve.quality)


def why_no_quality(anchor: RateCurve, curve: RateCurve) -> str:
    """Why there is no `bd_quality` worth a number; "" if there is."""
    for one in (anchor, curve):
        if len(set(np.log(one.bpp))) < len(one.bpp):  # the logarithms are what is interpolated over
            return f"{one.name} has two points of one rate"
    fewest = min(len(one.bpp) for one in (anchor, curve))
    if fewest < LEAST_POINTS:
        return f"{fewest} of the {LEAST_POINTS} rates that it takes"
    return _apart("rates", *(np.log(one.bpp) for one in (anchor, curve)))


def _apart(what: str, *ranges: ArrayLike) -> str:
    ends = [(float(np.min(values)), float(np.max(values))) for values in ranges]
    shared = min(high for _, high in ends) - max(low for low, _ in ends)
    narrowest = min(high - low for low, high in ends)
    if shared >= LEAST_SHARED * narrowest:
        return ""
    return f"the curves share {100 * max(shared, 0) / narrowest:.0f} % of their {what}"


def _areas(*curves: tuple[ArrayLike, ArrayLike]) -> tuple[tuple[float, float], list[float]]:
    """The range of x that curves (x, y) share, and the integral of each y over it; no integrals if it is empty."""
    from scipy.interpolate import PchipInterpolator  # half a second, for which no --help should wait

    sorted_by_x = [np.array([x, y], np.float64)[:, np.argsort(x)] for x, y in curves]
    low, high = max(float(x[0]) for x, _ in sorted_by_x), min(float(x[-1]) for x, _ in sorted_by_x)
    if low >= high:
        return (low, high), []
    return (low, high), [float(PchipInterpolator(x, y).integrate(low, high)) for x, y in sorted_by_x]
