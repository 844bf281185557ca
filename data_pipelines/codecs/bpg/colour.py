"""Colour conversion and chroma resampling, to the bit as libbpg 0.9.8 does them.

All arithmetic is fixed point with rounded coefficients, so a decoded picture is the same everywhere. Work goes through
the picture in bands of rows whose int32 intermediates stay in the processor's cache: that is two to three times faster
than whole planes, and bounds the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

BAND_PIXELS = 1 << 16

LUMA_WEIGHTS = {"ycbcr_bt601": (0.299, 0.114), "ycbcr_bt709": (0.2126, 0.0722), "ycbcr_bt2020": (0.2627, 0.0593)}
"""Weights of red and blue in luma."""

DOWN_TAPS = (2, -4, -8, 17, 57, 57, 17, -8, -4, 2)
"""Decimation by two with chroma between two luma samples (JPEG siting), from sample 2i - 4; the sum is 128."""

CENTRED_UP_TAPS = (-1, 4, -10, 57, 18, -6, 2)
"""Interpolation to odd samples with chroma between luma samples, from sample i - 3, mirrored for even ones; sum 64."""

COSITED_UP_TAPS = (-1, 4, -11, 40, 40, -11, 4, -1)
"""Interpolation to odd samples with chroma on the even ones (video siting), from sample i - 3; the sum is 64."""

_MARGIN = ((0, 0), (3, 3), (3, 4))
"""Edge samples that the interpolation filters reach for, around stacked chroma planes."""


def rgb_to_ycbcr(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Converts to BT.601, full range, 8 bits.

    Args:
        pixels: RGB, uint8 of shape (height, width, 3).

    Returns:
        Luma, uint8 of shape (height, width), and Cb and Cr, uint8 of shape (2, height, width).
    """
    k_r, k_b = LUMA_WEIGHTS["ycbcr_bt601"]
    k_g = 1 - k_r - k_b
    matrix = (
        (k_r, k_g, k_b),
        (-0.5 * k_r / (1 - k_b), -0.5 * k_g / (1 - k_b), 0.5),
        (0.5, -0.5 * k_g / (1 - k_r), -0.5 * k_b / (1 - k_r)),
    )
    fixed = [[round(weight * (1 << 23)) for weight in row] for row in matrix]
    height, width, _ = pixels.shape
    planes = np.empty((3, height, width), np.uint8)
    for rows in _bands(height, width):
        red, green, blue = (pixels[rows, :, channel].astype(np.int32) for channel in range(3))
        for plane, (c_r, c_g, c_b), centre in zip(planes, fixed, (0, 128, 128)):
            value = red * c_r
            value += green * c_g
            value += blue * c_b
            value += 1 << 22
            value >>= 23
            value += centre
            np.clip(value, 0, 255, out=plane[rows], casting="unsafe")
    return planes[0], planes[1:]


def subsample(chroma: np.ndarray, vertically: bool) -> np.ndarray:
    """Decimates by two along the width, and along the height if `vertically`, with JPEG siting.

    Args:
        chroma: uint8 of shape (planes, height, width).

    Returns:
        uint8 of shape (planes, (height + 1) // 2 or height, (width + 1) // 2).
    """
    planes, height, width = chroma.shape
    step, margin = (2, (4, 5 + height % 2)) if vertically else (1, (0, 0))
    padded = np.pad(chroma, ((0, 0), margin, (4, 5 + width % 2)), mode="edge")
    halved = np.empty((planes, -(-height // step), -(-width // 2)), np.uint8)
    for rows in _bands(halved.shape[1], step * width):
        band = padded[:, step * rows.start : step * rows.stop + (9 if vertically else 0)]
        value = _filter(band.astype(np.int32), DOWN_TAPS, axis=2, step=2)
        if vertically:  # 14 bits are kept between the two directions
            value += 1
            value >>= 1
            value = _filter(value, DOWN_TAPS, axis=1, step=2)
        shift = 13 if vertically else 7
        value += 1 << shift - 1
        value >>= shift
        np.clip(value, 0, 255, out=halved[:, rows], casting="unsafe")
    return halved


def to_rgb(
    planes: Sequence[np.ndarray], pixel_format: str, colour_space: str, depth: int, limited_range: bool
) -> np.ndarray:
    """Converts a decoded picture to 8-bit RGB.

    Args:
        planes: Luma, and Cb and Cr unless gray, of the picture's exact size; uint8, or uint16 for more than 8 bits.
        pixel_format, colour_space, depth, limited_range: As in the header of the file (`container.Header`).

    Returns:
        uint8 of shape (height, width, 3).
    """
    height, width = planes[0].shape
    full = 255 * (1 << 22)
    if limited_range:
        y_one, c_one = full / (219 << depth - 8), full / (224 << depth - 8)
        y_zero = 16 << depth - 8
    else:
        y_one = c_one = full / ((1 << depth) - 1)
        y_zero = 0
    y_factor = round(y_one)
    y_offset = (1 << 21) - y_zero * y_factor
    rgb = np.empty((height, width, 3), np.uint8)
    if pixel_format == "gray":
        for rows in _bands(height, width):
            luma = planes[0][rows].astype(np.int32)
            rgb[rows] = np.clip(luma * y_factor + y_offset >> 22, 0, 255)[..., None]
        return rgb

    chroma = np.stack(planes[1:])
    if pixel_format != "4:4:4":
        chroma = np.pad(chroma, _MARGIN, mode="edge")
    centre = 1 << depth - 1
    for rows in _bands(height, width):
        luma = planes[0][rows].astype(np.int32)
        cb, cr = _interpolate(chroma, rows, pixel_format, depth)[:, : len(luma), :width]
        if colour_space == "rgb":
            channels = [plane * y_factor + y_offset for plane in (cr, luma, cb)]
        elif colour_space == "ycgco":
            cb -= centre
            cr -= centre
            channels = [value * y_factor + y_offset for value in (luma - cb + cr, luma + cb, luma - cb - cr)]
        else:
            k_r, k_b = LUMA_WEIGHTS[colour_space]
            k_g = 1 - k_b - k_r
            cb -= centre
            cr -= centre
            luma *= y_factor
            luma += y_offset
            red = cr * round(2 * (1 - k_r) * c_one)
            red += luma
            blue = cb * round(2 * (1 - k_b) * c_one)
            blue += luma
            cb *= round(2 * k_b * (1 - k_b) / k_g * c_one)
            cr *= round(2 * k_r * (1 - k_r) / k_g * c_one)
            luma -= cb
            luma -= cr
            channels = [red, luma, blue]
        for index, channel in enumerate(channels):
            channel >>= 22
            np.clip(channel, 0, 255, out=rgb[rows, :, index], casting="unsafe")
    return rgb


def to_gray(plane: np.ndarray, depth: int) -> np.ndarray:
    """Converts a full-range plane, such as alpha, to 8 bits."""
    if depth == 8:
        return plane.copy()
    factor = round(255 * (1 << 22) / ((1 << depth) - 1))
    return (plane.astype(np.int32) * factor + (1 << 21) >> 22).astype(np.uint8)


def unmultiply(rgb: np.ndarray, alpha: np.ndarray) -> None:
    """Divides `rgb` by `alpha`, in place; both uint8. Where alpha is 0 the colour becomes white."""
    values = np.arange(256, dtype=np.int64)
    inverses = ((255 << 16) + values // 2 + 128) // np.maximum(values, 1)
    table = values * inverses[:, None] + (1 << 15) >> 16
    table[values >= values[:, None]] = 255
    rgb[:] = table.astype(np.uint8)[alpha[..., None], rgb]


def _interpolate(chroma: np.ndarray, rows: slice, pixel_format: str, depth: int) -> np.ndarray:
    """Chroma at luma resolution for a band of luma rows that starts at an even one.

    Args:
        chroma: Both planes, with `_MARGIN` around them unless the format is 4:4:4.

    Returns:
        int32 of shape (2, rows, columns), at least as large as the band.
    """
    if pixel_format == "4:4:4":
        return chroma[:, rows].astype(np.int32)
    if pixel_format.startswith("4:2:2"):
        band = chroma[:, 3 + rows.start : 3 + rows.stop].astype(np.int32)
        shift = 6
    else:
        band = chroma[:, rows.start // 2 : (rows.stop + 1) // 2 + 6].astype(np.int32)
        band = _double(band, axis=1, shift=depth - 8)
        shift = 20 - depth
    if pixel_format.endswith("video"):
        even = band[:, :, 3:-4]
        odd = _filter(band, COSITED_UP_TAPS, axis=2)
        doubled = _interleave(_round_shift(even, shift - 6), _round_shift(odd, shift), axis=2)
    else:
        doubled = _double(band[:, :, :-1], axis=2, shift=shift)
    return np.clip(doubled, 0, (1 << depth) - 1, out=doubled)


def _double(band: np.ndarray, axis: int, shift: int) -> np.ndarray:
    """Interpolates by two between the margins, chroma centred between luma samples, and rounds `shift` bits off."""
    even = _filter(band, CENTRED_UP_TAPS[::-1], axis)
    odd = _filter(band, CENTRED_UP_TAPS, axis)
    return _interleave(_round_shift(even, shift), _round_shift(odd, shift), axis)


def _filter(samples: np.ndarray, taps: Sequence[int], axis: int, step: int = 1) -> np.ndarray:
    """Correlates int32 samples (planes, rows, columns) with `taps` along an axis, at every `step`-th position."""
    length = samples.shape[axis] - len(taps) + 1
    index: list[slice] = [slice(None)] * 3
    index[axis] = slice(0, length, step)
    total = samples[tuple(index)] * taps[0]
    term = np.empty_like(total)
    for start, tap in enumerate(taps[1:], 1):
        index[axis] = slice(start, start + length, step)
        total += np.multiply(samples[tuple(index)], tap, out=term)
    return total


def _round_shift(values: np.ndarray, shift: int) -> np.ndarray:
    """Divides by 2**shift, in place, halves rounding up."""
    if shift:
        values += 1 << shift - 1
        values >>= shift
    return values


def _interleave(even: np.ndarray, odd: np.ndarray, axis: int) -> np.ndarray:
    planes, rows, columns = even.shape
    both = np.stack((even, odd), axis=axis + 1)
    return both.reshape(planes, 2 * rows, columns) if axis == 1 else both.reshape(planes, rows, 2 * columns)


def _bands(height: int, width: int) -> Iterator[slice]:
    """Slices of an even number of rows, of about `BAND_PIXELS`, that cover `height`."""
    step = 2 * max(1, BAND_PIXELS // (2 * width))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))
