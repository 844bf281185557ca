"""Images that are restored in tiles come out as if they had been restored whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.models.restorers import tiling
from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.gan_config import GeneratorConfig
from dsr.models.restorers.rdn_config import RdnConfig
from dsr.models.restorers.registry import NetworkConfig
from dsr.models.restorers.tiling import restore

CONFIGS = [
    RdnConfig(blocks=2, layers=3, growth=4, features=4),
    GeneratorConfig(width=4, downsamplings=1, blocks=1),
    GeneratorConfig(width=4, downsamplings=2, blocks=2, upsampling="resize"),
    GeneratorConfig(width=4, downsamplings=3, blocks=2, upsampling="transposed"),
]


def image(height: int, width: int) -> np.ndarray:
    """Dark and smooth at the left, bright and rough at the right: no tile has the moments of the whole."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(20, 220, width)[None, :, None] * np.ones((height, 1, 3))
    noise = rng.standard_normal((height, width, 3)) * np.linspace(0, 40, width)[None, :, None]
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def network(config: NetworkConfig) -> tf.keras.Model:
    """One that changes its input by tens of levels."""
    tf.keras.utils.set_random_seed(1)
    made = config.build()
    out = made.get_layer("out" if isinstance(config, RdnConfig) else "o")
    out.kernel.assign(tf.random.normal(out.kernel.shape, stddev=0.1))
    return made


def memory_for(side: int, config: NetworkConfig) -> int:
    """So much that tiles, with their margins, have this side in pixels."""
    return 4 * tiling.MAPS * config.widest * side**2


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heights of all the tiles that networks are given from now on."""
    seen: list[int] = []
    original = tiling._tiles

    def counted(*arguments, **options):
        for rows, values in original(*arguments, **options):
            seen.append(rows.seen.stop - rows.seen.start)
            yield rows, values

    monkeypatch.setattr(tiling, "_tiles", counted)
    return seen


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("size", [(97, 130), (64, 211)])
def test_tiles_give_the_pixels_of_the_whole_image(config, size, monkeypatch):
    made, pixels, heights = network(config), image(*size), calls(monkeypatch)
    whole = restore(made, config, pixels)
    assert not heights and np.abs(whole.astype(int) - pixels).mean() > 5
    tiled = restore(made, config, pixels, memory=memory_for(70, config))
    assert len(heights) > 3 and max(heights) < 97 + config.multiple
    difference = np.abs(tiled.astype(int) - whole)
    assert difference.max() <= 1 and difference.mean() < 0.02  # the rounding of values that differ by 1e-5


def test_a_tile_by_itself_would_come_out_otherwise():
    """What the sweeps for the moments are good for."""
    config, pixels = CONFIGS[2], image(96, 128)
    made = network(config)
    whole, left = restore(made, config, pixels), restore(made, config, pixels[:, :64])
    assert np.abs(whole[:, :32].astype(int) - left[:, :32]).mean() > 5


@pytest.mark.parametrize("config", CONFIGS[:2], ids=str)
def test_tiling_twice_gives_the_same_pixels(config):
    made, pixels, memory = network(config), image(80, 150), memory_for(70, config)
    np.testing.assert_array_equal(
        restore(made, config, pixels, memory=memory), restore(made, config, pixels, memory=memory)
    )


@settings(max_examples=200, deadline=None)
@given(
    cells=st.integers(1, 500),
    multiple=st.sampled_from([1, 2, 8]),
    margin=st.integers(1, 12),
    most=st.integers(1, 10**5),
)
def test_spans_cover_an_axis_once_with_margins_up_to_its_ends(cells, multiple, margin, most):
    length, margin = cells * multiple, margin * multiple
    spans = tiling._spans(length, most, margin, multiple)
    kept = [position for span in spans for position in range(span.start, span.end)]
    assert kept == list(range(length))
    for span in spans:
        assert span.start < span.end
        assert span.seen_start == max(span.start - margin, 0) and span.seen_end == min(span.end + margin, length)
        assert all(bound % multiple == 0 for bound in (span.start, span.end, span.seen_start, span.seen_end))


def test_the_papers_networks_restore_full_hd_within_the_memory_of_a_worker():
    sides = {}
    for config in (GeneratorConfig.paper(), RdnConfig.paper()):
        sides[config.NETWORK] = (tiling.MEMORY / (4 * tiling.MAPS * config.widest)) ** 0.5
    assert sides["gan"] ** 2 > 2048 * 1024  # whole
    assert sides["rdn"] > 4 * RdnConfig.paper().margin  # in tiles that are mostly kept


@pytest.mark.parametrize("config", CONFIGS[:2])
@pytest.mark.parametrize("side", [32, 4096])
def test_values_that_are_no_numbers_do_not_become_pixels(config: NetworkConfig, side: int) -> None:
    made = network(config)
    made.trainable_variables[0].assign(made.trainable_variables[0] * np.nan)
    with pytest.raises(RestorerError, match="values that are no numbers"):
        restore(made, config, image(70, 90), memory_for(side, config))
