"""What tests of several commands start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dsr.experiments.config.presets import PRESETS
from tests.experiments import studies


@pytest.fixture(scope="module")
def small_preset() -> Iterator[None]:
    """Commands that name no preset are about the study of the tests, whatever the demonstration is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "demo", studies.small)
        yield
