"""Overrides are typed, checked before any work, and name the nearest valid key."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsr.data_pipelines.datasets import DatasetError
from dsr.experiments.config.overrides import ConfigError, FreeKeys, apply_overrides, flatten, guess
from dsr.experiments.config.schema import DatasetConfig


@dataclass(frozen=True)
class Inner:
    steps: int = 10
    rate: float = 0.5
    weights: Optional[str] = None
    scales: tuple[int, ...] = (1, 4)
    kind: Literal["sgd", "adam"] = "sgd"
    flip: bool = True


@dataclass(frozen=True)
class Pair:
    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low above high")


@dataclass(frozen=True)
class Outer(FreeKeys):
    name: str = "x"
    inner: Inner = field(default_factory=Inner)
    pair: Pair = field(default_factory=Pair)
    options: dict[str, Any] = field(default_factory=dict)

    def read_option(self, key: str, text: str) -> Any:
        return guess(text)


@given(st.integers(-(10**15), 10**15), st.floats(-1e15, 1e15), st.booleans())
def test_numbers_and_switches_round_trip(steps: int, rate: float, flip: bool) -> None:
    changed = apply_overrides(Outer(), [f"inner.steps={steps}", f"inner.rate={rate!r}", f"inner.flip={flip}"])
    assert changed.inner == dataclasses.replace(Inner(), steps=steps, rate=rate, flip=flip)


def test_every_leaf_can_be_set_to_what_it_is() -> None:
    plain = {k: v for k, v in flatten(Outer()).items() if not isinstance(v, (dict, tuple))}
    assert apply_overrides(Outer(), [f"{key}={value}" for key, value in plain.items()]) == Outer()


def test_tuples_options_and_none_are_read() -> None:
    changed = apply_overrides(
        Outer(), ["inner.scales=1,2,8", "inner.weights=a.h5", "options.height=128", "options.mode=fast"]
    )
    assert changed.inner.scales == (1, 2, 8)
    assert changed.inner.weights == "a.h5"
    assert changed.options == {"height": 128, "mode": "fast"}
    assert apply_overrides(changed, ["inner.weights=none"]).inner.weights is None


@pytest.mark.parametrize("order", [1, -1])
def test_free_keys_are_read_as_the_other_overrides_make_them_whatever_the_order(order: int) -> None:
    named = ["name=folder", "options.ignore_ids=007", "options.seed=3"][::order]
    there = apply_overrides(DatasetConfig.of("streets"), named)
    assert there.options == {"ignore_ids": "007", "seed": 3}  # of streets 007 would be a number
    back = apply_overrides(there, ["name=streets", "options.ignore_ids=007"][::order])
    assert back.options["ignore_ids"] == 7


def test_a_free_key_of_what_there_is_not_is_refused_as_that() -> None:
    with pytest.raises(DatasetError, match="foldr.*folder"):
        apply_overrides(DatasetConfig.of("streets"), ["options.seed=3", "name=foldr"])


def test_values_that_only_fit_together_are_checked_together() -> None:
    assert apply_overrides(Outer(), ["pair.low=20", "pair.high=30"]).pair == Pair(20, 30)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("inner.step=3", 'did you mean "inner.steps"'),
        ("iner.steps=3", 'did you mean "inner.steps"'),
        ("inner=3", "group of keys"),
        ("inner.steps.more=3", "no configuration key"),
        ("inner.steps", "key=value"),
        ("inner.steps=2.5", "a whole number"),
        ("inner.rate=fast", "a number"),
        ("inner.flip=1", "true or false"),
        ("inner.kind=rmsprop", "sgd, adam"),
        ("inner.rate=nan", "a number up to"),
        ("inner.rate=-inf", "a number up to"),
        ("inner.rate=1e300", "a number up to"),
        ("inner.steps=99999999999999999999", "a number up to"),
        ("options.height=nan", "a number up to"),
        ("options=3", "options.NAME=VALUE"),
    ],
)
def test_a_wrong_override_says_what_is_right(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        apply_overrides(Outer(), [override])
