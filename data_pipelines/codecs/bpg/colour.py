"""Colour conversion and chroma resampling, to the bit as libbpg 0.9.8 does them.

All arithmetic is fixed point with rounded coefficients, so a decoded picture is the same everywhere. Work goes through
the picture in tiles whose intermediates stay in the processor's cache: that is two to three times faster than whole
planes, and bounds the memory. Chroma is interpolated by matrix products in float32, three times as fast as sums over
shifted int32 arrays; they are exact, because every product and sum is a multiple of a power of two that fits into
24 bits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

TILE_PIXELS = 1 << 16
TILE_WIDTH = 1 << 13
"""Wider products would be spread over threads by the linear algebra library."""

BLOCK = 8
"""Chroma samples that one matrix product doubles: larger ones multiply more zeros, smaller ones are more calls."""

LUMA_WEIGHTS = {"ycbcr_bt601": (0.299, 0.114), "ycbcr_bt709": (0.2126, 0.0722), "ycbcr_bt2020": (0.2627, 0.0593)}
"""Weights of red and blue in luma."""

DOWN_TAPS = (2, -4, -8, 17, 57, 57, 17, -8, -4, 2)
"""Decimation by two with chroma between two luma samples (JPEG siting), from sample 2i - 4; the sum is 128."""

CENTRED_UP_TAPS = (-1, 4, -10, 57, 18, -6, 2)
"""Interpolation to odd samples with chroma between luma samples, from sample i - 3, mirrored for even ones; sum 64."""

COSITED_UP_TAPS = (-1, 4, -11, 40, 40, -11, 4, -1)
"""Interpolation to odd samples with chroma on the even ones (video siting), from sample i - 3; the sum is 64."""

_MARGIN = ((0, 0), (3, 4 + BLOCK), (3, 4 + BLOCK))
"""Edge samples around stacked chroma planes: what the interpolation filters reach for, and a block begun at the end."""


def rgb_to_ycbcr(pixels: np.ndarray, depth: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Converts to BT.601, full range.

    Args:
        pixels: RGB, uint8 of shape (height, width, 3).
        depth: Bits a sample of the result, 8 to 12.

    Returns:
        Luma of shape (height, width), and Cb and Cr of shape (2, height, width); uint8, or uint16 for more than 8 bits.
    """
    k_r, k_b = LUMA_WEIGHTS["ycbcr_bt601"]
    k_g = 1 - k_r - k_b
    matrix = (
        (k_r, k_g, k_b),
        (-0.5 * k_r / (1 - k_b), -0.5 * k_g / (1 - k_b), 0.5),
        (0.5, -0.5 * k_g / (1 - k_r), -0.5 * k_b / (1 - k_r)),
    )
    shift, largest = 31 - depth, (1 << depth) - 1
    fixed = [[round(weight * largest * (1 << shift) / 255) for weight in row] for row in matrix]
    height, width, _ = pixels.shape
    planes = np.empty((3, height, width), np.uint8 if depth == 8 else np.uint16)
    for rows, columns in _tiles(height, width):
        red, green, blue = (pixels[rows, columns, channel].astype(np.int32) for channel in range(3))
        for plane, (c_r, c_g, c_b), centre in zip(planes, fixed, (0, 1 << depth - 1, 1 << depth - 1)):
            value = red * c_r
            value += green * c_g
            value += blue * c_b
            value += 1 << shift - 1
            value >>= shift
            value += centre
            np.clip(value, 0, largest, out=plane[rows, columns], casting="unsafe")
    return planes[0], planes[1:]


def subsample(chroma: np.ndarray, vertically: bool, depth: int = 8) -> np.ndarray:
    """Decimates by two along the width, and along the height if `vertically`, with JPEG siting.

    Args:
        chroma: uint8 of shape (planes, height, width), uint16 for more than 8 bits.
        depth: Bits a sample, 8 to 12.

    Returns:
        The same type, of shape (planes, (height + 1) // 2 or height, (width + 1) // 2).
    """
    planes, height, width = chroma.shape
    step, margin = (2, (4, 5 + height % 2)) if vertically else (1, (0, 0))
    padded = np.pad(chroma, ((0, 0), margin, (4, 5 + width % 2)), mode="edge")
    halved = np.empty((planes, -(-height // step), -(-width // 2)), chroma.dtype)
    for rows, columns in _tiles(halved.shape[1], halved.shape[2]):
        band = padded[:, step * rows.start : step * rows.stop + (9 if vertically else 0)]
        band = band[:, :, 2 * columns.start : 2 * columns.stop + 9]
        value = _filter(band.astype(np.int32), DOWN_TAPS, axis=2)
        shift = 7
        if vertically:  # 14 bits are kept between the two directions
            value = _filter(_round_shift(value, depth - 7), DOWN_TAPS, axis=1)
            shift = 21 - depth
        np.clip(_round_shift(value, shift), 0, (1 << depth) - 1, out=halved[:, rows, columns], casting="unsafe")
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
        for tile in _tiles(height, width):
            luma = planes[0][tile].astype(np.int32)
            rgb[tile] = np.clip(luma * y_factor + y_offset >> 22, 0, 255)[..., None]
        return rgb

    chroma = np.stack(planes[1:])
    if pixel_format != "4:4:4":
        chroma = np.pad(chroma, _MARGIN, mode="edge")
    centre = 1 << depth - 1
    for rows, columns in _tiles(height, width):
        luma = planes[0][rows, columns].astype(np.int32)
        cb, cr = _interpolate(chroma, rows, columns, pixel_format, depth)
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
            np.clip(channel, 0, 255, out=rgb[rows, columns, index], casting="unsafe")
    return rgb


def deepen(plane: np.ndarray, depth: int) -> np.ndarray:
    """Converts a full-range plane of 8 bits, such as gray or alpha, to `depth` bits; the inverse of `to_gray`."""
    if depth == 8:
        return plane
    shift = 31 - depth
    factor = round(((1 << depth) - 1) * (1 << shift) / 255)
    return (plane.astype(np.int32) * factor + (1 << shift - 1) >> shift).astype(np.uint16)


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


def _interpolate(chroma: np.ndarray, rows: slice, columns: slice, pixel_format: str, depth: int) -> np.ndarray:
    """Chroma at luma resolution for a tile of luma samples that starts at even ones.

    Args:
        chroma: Both planes, with `_MARGIN` around them unless the format is 4:4:4.
        rows, columns: The tile.

    Returns:
        int32 of shape (2, rows, columns).
    """
    if pixel_format == "4:4:4":
        return chroma[:, rows, columns].astype(np.int32)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    siting = "cosited" if pixel_format.endswith("video") else "centred"
    left, needed = columns.start // 2, _samples(width, siting)
    if pixel_format.startswith("4:2:2"):
        samples = chroma[:, 3 + rows.start : 3 + rows.stop, left : left + needed].astype(np.float32)
        shift = 6
    else:
        top = rows.start // 2
        samples = chroma[:, top : top + _samples(height, "centred"), left : left + needed].astype(np.float32)
        samples = _double_rows(samples, depth - 8)
        shift = 20 - depth
    doubled = _double_columns(samples, siting, shift)[:, :height, :width].astype(np.int32)
    # Casting cuts off instead of rounding down, which differs for negative numbers only: they become 0 here anyway.
    return np.clip(doubled, 0, (1 << depth) - 1, out=doubled)


def _samples(length: int, siting: str) -> int:
    """Chroma samples from which whole blocks give `length` luma samples or more."""
    return -(-length // (2 * BLOCK)) * BLOCK + len(_doubling(siting)) - BLOCK


@functools.cache
def _doubling(siting: str, shift: int = 0) -> np.ndarray:
    """The matrix that interpolates a row of samples by two and divides by 2**shift.

    Returns:
        float32 of shape (BLOCK + 6, 2 * BLOCK) for chroma centred between luma samples, (BLOCK + 7, 2 * BLOCK) for
        cosited.
    """
    even, odd = {
        "centred": (CENTRED_UP_TAPS[::-1], CENTRED_UP_TAPS),
        "cosited": ((0, 0, 0, 64), COSITED_UP_TAPS),
    }[siting]
    matrix = np.zeros((BLOCK + len(odd) - 1, 2 * BLOCK), np.float32)
    for index in range(BLOCK):
        matrix[index : index + len(even), 2 * index] = even
        matrix[index : index + len(odd), 2 * index + 1] = odd
    return matrix / 2**shift


def _half(shift: int) -> float:
    """What the filters, whose taps sum to 64, turn into half of the last digit that a division by 2**shift keeps."""
    return 2.0**shift / 128 if shift else 0.0


def _double_rows(samples: np.ndarray, shift: int) -> np.ndarray:
    """Interpolates float32 samples (planes, rows, columns), centred, along the rows; rounds `shift` bits off."""
    planes, rows, columns = samples.shape
    matrix = _doubling("centred", shift)
    blocks = (rows - len(matrix)) // BLOCK + 1
    samples += _half(shift)
    plane, row, column = samples.strides
    windows: np.ndarray = np.ndarray(
        (planes, blocks, len(matrix), columns), np.float32, samples, strides=(plane, BLOCK * row, row, column)
    )
    doubled = (matrix.T @ windows).reshape(planes, 2 * BLOCK * blocks, columns)
    return np.floor(doubled, out=doubled) if shift else doubled


def _double_columns(samples: np.ndarray, siting: str, shift: int) -> np.ndarray:
    """Interpolates float32 samples (planes, rows, columns) along the columns; divides by 2**shift, and adds half."""
    planes, rows, columns = samples.shape
    matrix = _doubling(siting, shift)
    blocks = (columns - len(matrix)) // BLOCK + 1
    samples += _half(shift)
    plane, row, column = samples.strides
    windows: np.ndarray = np.ndarray(
        (planes, blocks, rows, len(matrix)), np.float32, samples, strides=(plane, BLOCK * column, row, column)
    )
    doubled = np.empty((planes, rows, blocks, 2 * BLOCK), np.float32)
    np.matmul(windows, matrix, out=doubled.transpose(0, 2, 1, 3))
    return doubled.reshape(planes, rows, -1)


def _filter(samples: np.ndarray, taps: Sequence[int], axis: int) -> np.ndarray:
    """Correlates int32 samples (planes, rows, columns) with `taps` along an axis, at every second position."""
    length = samples.shape[axis] - len(taps) + 1
    index: list[slice] = [slice(None)] * 3
    index[axis] = slice(0, length, 2)
    total = samples[tuple(index)] * taps[0]
    term = np.empty_like(total)
    for start, tap in enumerate(taps[1:], 1):
        index[axis] = slice(start, start + length, 2)
        total += np.multiply(samples[tuple(index)], tap, out=term)
    return total


def _round_shift(values: np.ndarray, shift: int) -> np.ndarray:
    """Divides by 2**shift, in place, halves rounding up."""
    values += 1 << shift - 1
    values >>= shift
    return values


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of tiles of about `TILE_PIXELS`, of whole blocks but for the last ones, that cover a picture."""
    block = 2 * BLOCK
    columns = block * -(-width // (block * -(-width // TILE_WIDTH)))
    rows = block * max(1, TILE_PIXELS // (block * columns))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
