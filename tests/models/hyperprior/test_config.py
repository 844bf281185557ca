"""What a codec may be, and what its file may say, without TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from dsr.models.hyperprior.config import MAX_CHANNELS, HyperpriorConfig, HyperpriorError
from dsr.models.hyperprior.saved import PRECISION, Tables


@pytest.mark.parametrize("sizes", [{"filters": 0}, {"latents": 191}, {"filters": 1025}, {"latents": 2000}])
def test_a_network_whose_file_would_not_be_read_is_not_trained(sizes: dict[str, int]) -> None:
    with pytest.raises(HyperpriorError, match=f"{next(iter(sizes))} is .* at most {MAX_CHANNELS}"):
        HyperpriorConfig(**sizes)
    HyperpriorConfig(MAX_CHANNELS, MAX_CHANNELS)


def test_a_table_that_only_rises_where_32_bits_overflow_is_refused() -> None:
    whole = 1 << PRECISION
    Tables(np.array([-PRECISION, 0, 7, 9, whole], np.int32), np.zeros(1, np.int32)).check(1)
    falls = np.array([-PRECISION, 0, 2**31 - 1, -(2**31), -1, whole], np.int32)
    with pytest.raises(ValueError, match="cumulative"):
        Tables(falls, np.zeros(1, np.int32)).check(1)
