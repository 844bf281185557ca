"""Two studies side by side: their scores, what these differ by, and which settings do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from dsr.experiments.analysis.headline import Effect
from dsr.experiments.analysis.seeds import BySeed
from dsr.experiments.analysis.tables import Variant, hardest_first, miou, variants
from dsr.experiments.results import Results


@dataclass(frozen=True)
class Row:
    """A case that both studies evaluated; `apart` is ours minus theirs, None where that says nothing."""

    label: str
    point: str
    ours: BySeed
    theirs: BySeed
    apart: Optional[Effect]


@dataclass(frozen=True)
class Setting:
    """A setting or version that differs; None where a study has none."""

    key: str
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class AgainstView:
    """What the page shows of another study.

    name: of the other; comparable: whether both were tested on the same images, without which scores are not
    subtracted; rows: cases of both; alone: how many cases only one of them has; settings: what differs.
    """

    name: str
    created: str
    comparable: bool
    rows: list[Row]
    alone: tuple[int, int]
    settings: list[Setting]


def against_view(ours: Results, theirs: Results) -> AgainstView:
    """`ours` beside `theirs`: differences are ours minus theirs, in points, paired by seed."""
    same = _test_images(ours) == _test_images(theirs)
    mine, other = _scores(ours), _scores(theirs)
    rows = [
        Row(variant.label, point, score, other[variant, point], _apart(score, other[variant, point]) if same else None)
        for (variant, point), score in mine.items()
        if (variant, point) in other
    ]
    shared = len(rows)
    return AgainstView(
        theirs.study.name,
        theirs.study.created,
        same,
        rows,
        (len(mine) - shared, len(other) - shared),
        _differing(ours, theirs),
    )


def _apart(ours: BySeed, theirs: BySeed) -> Optional[Effect]:
    return Effect.of(ours.minus(theirs))


def _test_images(results: Results) -> tuple[Any, ...]:
    """What tells test images apart as far as results say: two sets of equal rate as PNG are the same to all digits."""
    dataset = results.dataset
    classes = [label.name for label in dataset.classes]
    return dataset.name, dataset.images["test"], dataset.height, dataset.width, classes, results.original_bpp


def _scores(results: Results) -> dict[tuple[Variant, str], BySeed]:
    """What was evaluated; OO once, at no point."""
    cases = [
        (Variant(variant.configuration, variant.restorer, _label(variant)), point)
        for point in ("", *(point.point for point in hardest_first(results)))
        for variant in variants(results)
        if (variant.configuration == "OO") == (not point)
    ]
    scored = {(one, point): miou(results, one.configuration, point, one.restorer) for one, point in cases}
    return {case: score for case, score in scored.items() if score}


def _label(variant: Variant) -> str:
    """With its restorer in any case: the other study may have another one."""
    return " ".join(filter(None, (variant.configuration, variant.restorer if "R" in variant.configuration else None)))


def _differing(ours: Results, theirs: Results) -> list[Setting]:
    first, second = ({**dict(_leaves(one.study.config)), **one.versions} for one in (ours, theirs))
    return [
        Setting(key, first.get(key), second.get(key))
        for key in dict.fromkeys((*first, *second))
        if first.get(key) != second.get(key)
    ]


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of all that is no group, with the keys of `--set`."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
