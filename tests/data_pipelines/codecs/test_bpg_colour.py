"""Colour conversion, against the same arithmetic written sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsr.data_pipelines.codecs.bpg import colour, hevc

WEIGHTS = {"ycbcr_bt601": (0.299, 0.114), "ycbcr_bt709": (0.2126, 0.0722), "ycbcr_bt2020": (0.2627, 0.0593)}


def clip(value, top):
    return min(max(value, 0), top)


def wrap(value):
    """A C int: the reference decoder overflows at the extremes of limited range."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def naive_ycbcr(red, green, blue, depth):
    k_r, k_b = 0.299, 0.114
    k_g = 1 - k_r - k_b
    rows = [
        (k_r, k_g, k_b, 0),
        (-0.5 * k_r / (1 - k_b), -0.5 * k_g / (1 - k_b), 0.5, 2 ** (depth - 1)),
        (0.5, -0.5 * k_g / (1 - k_r), -0.5 * k_b / (1 - k_r), 2 ** (depth - 1)),
    ]
    top, shift = 2**depth - 1, 31 - depth
    one = top * 2**shift / 255
    return [
        clip(
            (round(a * one) * red + round(b * one) * green + round(c * one) * blue + 2 ** (shift - 1) >> shift) + d, top
        )
        for a, b, c, d in rows
    ]


def naive_decimated(plane, vertically, depth):
    taps = (2, -4, -8, 17, 57, 57, 17, -8, -4, 2)
    height, width = len(plane), len(plane[0])

    def row(y):
        values = plane[clip(y, height - 1)]
        return [
            sum(tap * values[clip(2 * x - 4 + index, width - 1)] for index, tap in enumerate(taps))
            for x in range((width + 1) // 2)
        ]

    if not vertically:
        return [[clip(value + 64 >> 7, 2**depth - 1) for value in row(y)] for y in range(height)]
    first, second = depth - 7, 21 - depth
    rows = {y: [value + 2 ** (first - 1) >> first for value in row(y)] for y in range(-4, height + 7)}
    sums = [
        [sum(tap * rows[2 * y - 4 + index][x] for index, tap in enumerate(taps)) for x in range((width + 1) // 2)]
        for y in range((height + 1) // 2)
    ]
    return [[clip(value + 2 ** (second - 1) >> second, 2**depth - 1) for value in line] for line in sums]


def naive_doubled(plane, pixel_format, height, width, depth):
    if pixel_format == "4:4:4":
        return plane
    centred = {0: (2, -6, 18, 57, -10, 4, -1), 1: (-1, 4, -10, 57, 18, -6, 2)}
    top = 2**depth - 1

    def vertical(y, x):
        column = [plane[clip(y // 2 - 3 + index, len(plane) - 1)][x] for index in range(7)]
        shift = depth - 8
        return sum(a * b for a, b in zip(column, centred[y % 2])) + (2**shift >> 1) >> shift

    halved = pixel_format.startswith("4:2:0")
    extra = 14 - depth if halved else 0
    result = []
    for y in range(height):
        half = [vertical(y, x) for x in range(len(plane[0]))] if halved else plane[y]
        line = []
        for x in range(width):
            if pixel_format.endswith("video"):
                taps = (0, 0, 0, 64, 0, 0, 0, 0) if x % 2 == 0 else (-1, 4, -11, 40, 40, -11, 4, -1)
            else:
                taps = centred[x % 2]
            total = sum(tap * half[clip(x // 2 - 3 + index, len(half) - 1)] for index, tap in enumerate(taps))
            line.append(clip(total + (2 ** (6 + extra) >> 1) >> 6 + extra, top))
        result.append(line)
    return result


def naive_rgb(y, cb, cr, space, depth, limited):
    luma_range, chroma_range = (219 << depth - 8, 224 << depth - 8) if limited else 2 * (2**depth - 1,)
    one = round(255 * 2**22 / luma_range)
    offset = 2**21 - (16 << depth - 8) * one * limited
    cb, cr = (cb, cr) if space == "rgb" else (cb - 2 ** (depth - 1), cr - 2 ** (depth - 1))
    if space == "rgb":
        values = [cr * one, y * one, cb * one]
    elif space == "ycgco":
        values = [(y - cb + cr) * one, (y + cb) * one, (y - cb - cr) * one]
    else:
        k_r, k_b = WEIGHTS[space]
        factors = [
            2 * (1 - k_r),
            2 * k_b * (1 - k_b) / (1 - k_b - k_r),
            2 * k_r * (1 - k_r) / (1 - k_b - k_r),
            2 * (1 - k_b),
        ]
        r_cr, g_cb, g_cr, b_cb = (round(factor * (255 * 2**22 / chroma_range)) for factor in factors)
        values = [y * one + r_cr * cr, y * one - g_cb * cb - g_cr * cr, y * one + b_cb * cb]
    return [clip(wrap(value + offset) >> 22, 255) for value in values]


def random_plane(rng, height, width, top=255):
    # Half of the samples at the ends of the range, where clipping and overflow happen.
    return np.where(
        rng.random((height, width)) < 0.5,
        rng.integers(0, top + 1, (height, width)),
        top * rng.integers(0, 2, (height, width)),
    )


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_ycbcr_is_that_of_the_formula(depth):
    rng = np.random.default_rng(depth)
    pixels = np.dstack([random_plane(rng, 15, 17) for _ in range(3)]).astype(np.uint8)
    luma, chroma = colour.rgb_to_ycbcr(pixels, depth)
    for y in range(15):
        for x in range(17):
            assert [luma[y, x], *chroma[:, y, x]] == naive_ycbcr(*map(int, pixels[y, x]), depth)


def test_ycbcr_of_gray_is_gray():
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    luma, chroma = colour.rgb_to_ycbcr(pixels)
    assert np.array_equal(luma, pixels[..., 0])
    assert (chroma == 128).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 14), st.integers(1, 14), st.booleans(), st.sampled_from([8, 10, 12]), st.integers(0, 999))
def test_decimation_is_that_of_the_formula(height, width, vertically, depth, seed):
    rng = np.random.default_rng(seed)
    chroma = np.stack([random_plane(rng, height, width, 2**depth - 1) for _ in range(2)])
    halved = colour.subsample(chroma.astype(hevc.sample_type(depth)), vertically, depth)
    for plane, half in zip(chroma, halved):
        assert half.tolist() == naive_decimated(plane.tolist(), vertically, depth)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["4:2:0", "4:2:2", "4:4:4", "4:2:0 video", "4:2:2 video"]),
    st.sampled_from([*WEIGHTS, "rgb", "ycgco"]),
    st.sampled_from([8, 9, 10, 12]),
    st.booleans(),
    st.integers(0, 999),
)
def test_rgb_is_that_of_the_formula(height, width, pixel_format, space, depth, limited, seed):
    rng = np.random.default_rng(seed)
    top = 2**depth - 1
    rows = (height + 1) // 2 if pixel_format.startswith("4:2:0") else height
    columns = width if pixel_format == "4:4:4" else (width + 1) // 2
    planes = [random_plane(rng, *size, top) for size in ((height, width), (rows, columns), (rows, columns))]
    sample = np.uint8 if depth == 8 else np.uint16
    rgb = colour.to_rgb([plane.astype(sample) for plane in planes], pixel_format, space, depth, limited)
    cb, cr = (naive_doubled(plane.tolist(), pixel_format, height, width, depth) for plane in planes[1:])
    for y in range(height):
        for x in range(width):
            assert rgb[y, x].tolist() == naive_rgb(int(planes[0][y, x]), cb[y][x], cr[y][x], space, depth, limited)


@pytest.mark.parametrize("depth", [8, 9, 10, 12])
@pytest.mark.parametrize("limited", [False, True])
def test_gray_is_luma_in_all_channels(depth, limited):
    plane = np.arange(1 << depth).reshape(4, -1)
    rgb = colour.to_rgb([plane.astype(np.uint8 if depth == 8 else np.uint16)], "gray", "ycbcr_bt601", depth, limited)
    middle = 2 ** (depth - 1)
    for value in np.linspace(0, (1 << depth) - 1, 40).astype(int):
        y, x = divmod(int(value), plane.shape[1])
        assert rgb[y, x].tolist() == naive_rgb(int(value), middle, middle, "ycbcr_bt601", depth, limited)


@pytest.mark.parametrize("depth", [8, 9, 10, 12])
@pytest.mark.parametrize("pixel_format", ["4:2:0", "4:2:2", "4:2:0 video", "4:2:2 video"])
def test_interpolation_is_exact_where_its_sums_are_largest(pixel_format, depth):
    # Samples at the ends of the range that follow the signs of the taps, so that most of them add up.
    signs = np.array([0, 1, 0, 1, 1, 0, 1])
    plane = (2**depth - 1) * np.abs(np.tile(signs, 6)[:40] - np.tile(signs, 6)[:40, None])
    plane[20:] = 2**depth - 1 - plane[20:]
    height, width = 80 if pixel_format.startswith("4:2:0") else 40, 79
    luma = np.full((height, width), 1 << depth - 1, np.uint16)
    planes = [plane.astype(hevc.sample_type(depth)) for plane in (luma, plane, plane[::-1])]
    rgb = colour.to_rgb(planes, pixel_format, "rgb", depth, False)
    green, blue, red = planes[0], plane, plane[::-1]
    for channel, samples in enumerate((red, green, blue)):
        full = samples.tolist() if channel == 1 else naive_doubled(samples.tolist(), pixel_format, height, width, depth)
        expected = [[naive_rgb(value, 0, 0, "rgb", depth, False)[1] for value in line[:width]] for line in full]
        assert rgb[:, :, channel].tolist() == expected


@pytest.mark.parametrize("pixel_format", ["4:2:0", "4:2:2", "4:4:4", "4:2:0 video", "4:2:2 video"])
def test_tiles_leave_no_seams(pixel_format, monkeypatch):
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (53, 70, 3), dtype=np.uint8)

    def there_and_back():
        luma, chroma = colour.rgb_to_ycbcr(pixels)
        if pixel_format != "4:4:4":
            chroma = colour.subsample(chroma, vertically=pixel_format.startswith("4:2:0"))
        return chroma, colour.to_rgb([luma, *chroma], pixel_format, "ycbcr_bt601", 8, False)

    monkeypatch.setattr(colour, "TILE_PIXELS", 1 << 30)
    whole = there_and_back()
    for size, width in ((1, 2048), (1, 1), (1000, 40)):
        monkeypatch.setattr(colour, "TILE_PIXELS", size)
        monkeypatch.setattr(colour, "TILE_WIDTH", width)
        for tiled, expected in zip(there_and_back(), whole):
            assert np.array_equal(tiled, expected)


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_eight_bits_come_back_from_more(depth):
    plane = np.arange(256, dtype=np.uint8)[None]
    deep = colour.deepen(plane, depth)
    assert (deep[0, 0], deep[0, -1]) == (0, 2**depth - 1)
    assert np.abs(deep / (2**depth - 1) - plane / 255).max() <= 0.5 / (2**depth - 1)
    assert np.array_equal(colour.to_gray(deep, depth), plane)


def test_dividing_by_alpha_is_that_of_the_formula():
    values = np.arange(256, dtype=np.uint8)
    alpha = np.repeat(values[:, None], 256, axis=1)
    rgb = np.repeat(np.tile(values, (256, 1))[..., None], 3, axis=2)
    colour.unmultiply(rgb, alpha)
    for a in range(256):
        inverse = ((255 << 16) + a // 2 + 128) // a if a else 0
        assert rgb[a, :, 1].tolist() == [255 if v >= a else v * inverse + 32768 >> 16 for v in range(256)]
