"""What stands in a drawn street: trees, hedges, fences, poles, signs, cars, people. Sizes in metres."""

from __future__ import annotations

import numpy as np

from dsr.data_pipelines.datasets.streets.canvas import (
    BICYCLIST,
    CAR,
    FENCE,
    PEDESTRIAN,
    POLE,
    SIGN,
    TREE,
    Canvas,
    Color,
    Light,
    rgb,
)
from dsr.data_pipelines.datasets.streets.textures import tiles


def paint_tree(
    canvas: Canvas,
    light: Light,
    x: float,
    z: float,
    height: float,
    radius: float,
    green: Color,
    rng: np.random.Generator,
) -> None:
    """A trunk, and a crown of overlapping round clumps whose edge and surface are leaves."""
    tile, seed = tiles(), rng.uniform(0, 50)
    footprint = canvas.pixel * z
    trunk = 0.05 * height * rng.uniform(0.5, 0.9)
    found = canvas.upright(x, z, -trunk, trunk, 0, height * 0.75)
    if found is not None:
        window, dx, y = found
        mask = np.abs(dx) < trunk * (1 - 0.5 * y / height)
        color = tile["bark"](dx + seed, y, footprint)[..., None] * rgb(0.30, 0.25, 0.20)
        canvas.paint(window, mask, TREE, color * light.across(dx / trunk)[..., None], z)
    found = canvas.upright(x, z, -1.3 * radius, 1.3 * radius, height - 2.6 * radius, height)
    angles = rng.uniform(0, 2 * np.pi, 13)
    reach = radius * np.sqrt(rng.uniform(0.05, 1, 13)) * 0.75
    sizes = radius * rng.uniform(0.28, 0.5, 13)
    if found is None:
        return
    window, dx, y = found
    rim = np.full(np.broadcast_shapes(dx.shape, y.shape), -1, np.float32)
    tone = np.zeros(rim.shape, np.float32)
    for cx, cy, size in zip(reach * np.cos(angles), height - 1.25 * radius + reach * np.sin(angles), sizes):
        u, v = (dx - np.float32(cx)) / np.float32(size), (y - np.float32(cy)) / np.float32(size)
        inside = 1 - u * u - v * v
        nearer = inside > rim
        rim = np.where(nearer, inside, rim)
        tone = np.where(nearer, 0.35 * v + 0.25 * np.sign(light.x) * u, tone)
    leaves = tile["foliage"](dx + seed, y, footprint)
    mask = rim + 0.55 * tile["ruffle"](dx + seed, y + seed, footprint) > 0.62
    depth = np.clip(0.45 + 0.6 * np.sqrt(np.clip(rim, 0, 1)), 0, 1)
    brightness = leaves * (0.95 + tone) * depth * (0.5 + 0.6 * light.on_front)
    canvas.paint(window, mask, TREE, brightness[..., None] * green * 1.25, z)


def paint_hedge(
    canvas: Canvas,
    light: Light,
    x: float,
    near: float,
    far: float,
    height: float,
    green: Color,
    rng: np.random.Generator,
) -> None:
    """A clipped hedge along the street."""
    found, seed = canvas.along(x, near, far, height + 0.3), rng.uniform(0, 50)
    if found is None:
        return
    window, z, y = found
    footprint = canvas.pixel * z
    top = height + 0.2 * (tiles()["ruffle"](z + seed, y, footprint) - 1)
    leaves = tiles()["hedge"](z + seed, y, footprint) * (0.6 + 0.4 * np.clip(y / height, 0, 1))
    brightness = leaves * light.on_side(1 if x > 0 else -1) * 1.15
    canvas.paint(window, (y > 0) & (y < top), TREE, brightness[..., None] * green, z)


def paint_fence(canvas: Canvas, light: Light, x: float, near: float, far: float, height: float, color: Color) -> None:
    """A fence of upright boards along the street."""
    found = canvas.along(x, near, far, height)
    if found is None:
        return
    window, z, y = found
    boards = tiles()["boards"](np.broadcast_to(z, y.shape), y + 0.3, canvas.pixel * z)
    rail = np.abs(y - 0.8 * height) < 0.05
    brightness = np.where(rail, 0.8, boards) * light.on_side(1 if x > 0 else -1)
    canvas.paint(window, (y > 0) & (y < height), FENCE, brightness[..., None] * color, z)


def paint_post(canvas: Canvas, light: Light, x: float, z: float, height: float, radius: float, color: Color) -> None:
    """A round upright post, never thinner than a pixel."""
    radius = max(radius, float(0.55 * canvas.pixel * z))
    found = canvas.upright(x, z, -radius, radius, 0, height)
    if found is not None:
        window, dx, y = found
        mask = np.broadcast_to(np.abs(dx) < radius, (y.shape[0], dx.shape[1]))
        canvas.paint(window, mask, POLE, light.across(dx / radius)[..., None] * color, z)


def paint_lamp(canvas: Canvas, light: Light, x: float, z: float, height: float, color: Color) -> None:
    """A street lamp: post, arm towards the road, lamp head."""
    paint_post(canvas, light, x, z, height, 0.08, color)
    thin, inwards, arm = max(0.04, 0.55 * canvas.pixel * z), -np.sign(x), 1.6
    found = canvas.upright(x, z, -arm - 0.5, arm + 0.5, height - 0.4, height + 0.2)
    if found is not None:
        window, dx, y = found
        dx = dx * inwards
        head = (np.abs(dx - arm) < 0.4) & (np.abs(y - height + thin) < max(0.08, thin))
        mask = head | ((dx > 0) & (dx < arm) & (np.abs(y - height) < thin))
        canvas.paint(window, mask, POLE, np.where(head[..., None], color * 1.5, color * light.on_front), z)


def paint_sign(canvas: Canvas, light: Light, x: float, z: float, height: float, kind: str) -> None:
    """A sign on its post: `limit` (ring, digits), `warning` (triangle), `parking` (letter) or `signal` (lights)."""
    paint_post(canvas, light, x, z - 0.01, height + 0.2, 0.045, rgb(0.45, 0.46, 0.47))
    size = 0.42
    found = canvas.upright(x, z - 0.02, -size, size, height - 1.2 * size, height + 1.2 * size)
    if found is None:
        return
    window, dx, y = found
    u, v = np.broadcast_arrays(dx / size, (y - height) / size)
    red, white, black, blue = rgb(0.75, 0.08, 0.10), rgb(0.9, 0.9, 0.9), rgb(0.05, 0.05, 0.05), rgb(0.1, 0.25, 0.7)
    if kind == "limit":
        radius = u * u + v * v
        mask = radius < 0.9
        digits = (
            (np.abs(v) < 0.36)
            & (np.abs(np.abs(u) - 0.27) < 0.19)
            & ~((np.abs(np.abs(u) - 0.27) < 0.06) & (np.abs(v) < 0.2))
        )
        color = _layers(red, (radius < 0.5, white), (digits & (radius < 0.5), black))
    elif kind == "warning":
        edge = np.maximum(-v - 0.6, np.abs(u) * 0.87 + v * 0.5 - 0.45)
        mask = edge < 0
        color = _layers(
            red, (edge < -0.17, white), ((edge < -0.17) & (np.abs(u) < 0.09) & (np.abs(v + 0.2) > 0.06), black)
        )
    elif kind == "parking":
        mask = (np.abs(u) < 0.75) & (np.abs(v) < 0.85)
        bow = np.hypot(u - 0.02, v - 0.2)
        letter = ((np.abs(u + 0.2) < 0.1) & (np.abs(v) < 0.6)) | ((np.abs(bow - 0.3) < 0.1) & (u > -0.2))
        color = _layers(blue, ((np.abs(u) > 0.66) | (np.abs(v) > 0.77), white), (letter, white))
    else:
        mask = (np.abs(u) < 0.36) & (np.abs(v) < 1.0)
        lit = {0.62: rgb(0.95, 0.15, 0.1), 0.0: rgb(0.25, 0.18, 0.03), -0.62: rgb(0.03, 0.2, 0.1)}
        color = _layers(black, *((u * u + (v - at) ** 2 < 0.06, shade) for at, shade in lit.items()))
    canvas.paint(window, mask, SIGN, color * max(light.on_front, 0.75), z)


def paint_car(canvas: Canvas, light: Light, x: float, z: float, length: float, color: Color, oncoming: bool) -> None:
    """A car as a box in perspective: the side that the camera sees, then its rear (front, if oncoming) at depth z."""
    black, glass = rgb(0.05, 0.05, 0.06), rgb(0.16, 0.20, 0.24)
    side = 1 if x < canvas.x else -1
    found = canvas.along(x + 0.86 * side, z, z + length, 1.5)
    if found is not None:
        window, depth, y = found
        along = (depth - z) / length
        t = 1 - along if oncoming else along  # 0 rear, 1 front
        top = np.interp(t, [0, 0.03, 0.07, 0.2, 0.58, 0.74, 0.97, 1], [0.6, 0.9, 0.95, 1.42, 1.44, 0.96, 0.8, 0.6])
        pane = (y > 0.95) & (y < top - 0.07) & (np.abs(t - 0.42) > 0.012) & (t > 0.13)
        wheel = np.minimum((t - 0.19) ** 2, (t - 0.81) ** 2) * length**2 + (y - 0.32) ** 2
        mask = (y < top) & ((y > 0.24) | (wheel < 0.1)) & (y > 0)
        body = color * (0.75 + 0.3 * np.clip(y - 0.3, 0, 1))[..., None]
        seams = (np.abs(np.abs(t - 0.42) - 0.14) < 0.004) & (y < 0.95)
        paint = _layers(
            body,
            (seams, black),
            (pane, glass),
            (wheel < 0.13, black * 0.5),
            (wheel < 0.1, black),
            (wheel < 0.035, rgb(0.5, 0.5, 0.52)),
        )
        canvas.paint(window, mask, CAR, paint * light.on_side(-side), depth)

    lamp = rgb(0.9, 0.9, 0.82) if oncoming else rgb(0.62, 0.05, 0.06)
    front = 0.95 if not oncoming else 0.84
    inset = 0.1 * length if not oncoming else 0.3 * length  # the cabin stands back from the bumper
    bonnet = canvas.eye - (canvas.eye - front) * (z + inset) / z - 0.02  # where the bumper's top edge hides the rest
    found = canvas.upright(x, z + inset, -0.86, 0.86, bonnet, 1.45)
    if found is not None:
        window, dx, y = found
        reach = 0.86 - 0.36 * np.clip(y - 0.9, 0, 1)
        mask = (np.abs(dx) < reach) & (y < 1.43)
        pane = (np.abs(dx) < reach - 0.08) & (y < 1.36) & (y > 0.9)
        reflection = glass * (1 + 1.4 * np.clip(y - 1.0 + 0.25 * dx, 0, 1))[..., None]
        canvas.paint(window, mask, CAR, _layers(color * 0.95, (pane, reflection)) * light.on_front, z + inset)
    found = canvas.upright(x, z, -0.9, 0.9, 0, front)
    if found is not None:
        window, dx, y = found
        u = np.abs(dx) + 0 * y
        body = color * (0.65 + 0.45 * np.clip(y, 0, 1))[..., None]
        plate = (u < 0.27) & (np.abs(y - (0.42 if oncoming else 0.62)) < 0.07)
        lamps = (u > 0.6) & (u < 0.83) & (np.abs(y - 0.7) < 0.07)
        grille = (u < 0.5) & (np.abs(y - 0.62) < 0.08) if oncoming else (np.abs(y - 0.36) < 0.06)
        tyre = (y < 0.3) & (np.abs(u - 0.7) < 0.12)
        mask = ((y > 0.22) & (u < 0.87) & (u + np.clip(0.3 - y, 0, 1) < 0.88)) | tyre
        paint = _layers(body, (grille, black), (lamps, lamp), (plate, rgb(0.85, 0.85, 0.8)), (tyre & (y < 0.22), black))
        canvas.paint(window, mask, CAR, paint * light.on_front, z)


def paint_pedestrian(
    canvas: Canvas, light: Light, x: float, z: float, height: float, stride: float, colors: tuple[Color, Color, Color]
) -> None:
    """A walking person; stride -1..1; colours of skin, top and trousers."""
    found = canvas.upright(x, z, -0.45 * height, 0.45 * height, 0, height)
    if found is None:
        return
    window, dx, y = found
    u, v = np.broadcast_arrays(dx * (1.75 / height), y * (1.75 / height))
    skin, top, trousers = colors
    thin = 0.6 * canvas.pixel * z
    legs = [(np.abs(u - s * (0.07 + 0.32 * abs(stride) * (0.88 - v))) < max(0.075, thin)) & (v < 0.9) for s in (-1, 1)]
    arms = [(np.abs(u - s * (0.23 + 0.14 * abs(stride) * (1.4 - v))) < 0.05) & (v > 0.8) & (v < 1.42) for s in (-1, 1)]
    torso = (np.abs(u) < np.maximum(0.16 + 0.05 * (v - 0.85), thin)) & (v > 0.82) & (v < 1.47)
    head = (u / 0.105) ** 2 + ((v - 1.6) / 0.14) ** 2 < 1
    cloth = tiles()["cloth"](u + x, v + z, canvas.pixel * z)[..., None]
    color = _layers(
        trousers * cloth,
        (torso | arms[0] | arms[1], top * cloth),
        (v < 0.07, rgb(0.08, 0.07, 0.07)),
        (head | ((arms[0] | arms[1]) & (v < 0.9)), skin),
        (head & (v > 1.63), rgb(0.12, 0.09, 0.07)),
    )
    mask = legs[0] | legs[1] | arms[0] | arms[1] | torso | head
    canvas.paint(window, mask, PEDESTRIAN, color * light.across(u / 0.25)[..., None], z)


def paint_bicyclist(
    canvas: Canvas, light: Light, x: float, z: float, crossing: int, colors: tuple[Color, Color, Color]
) -> None:
    """A bicycle and its rider: from behind (crossing 0), or from the side on the way to the left (-1) or right (1)."""
    found = canvas.upright(x, z, -1.0, 1.0, 0, 1.8)
    if found is None:
        return
    window, dx, y = found
    u, v = np.broadcast_arrays(dx * (crossing or 1), y)
    skin, top, trousers = colors
    thin = max(0.03, float(0.55 * canvas.pixel * z))

    def rod(ax: float, ay: float, bx: float, by: float, half: float) -> np.ndarray:
        ex, ey = bx - ax, by - ay
        t = np.clip(((u - ax) * ex + (v - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        return (u - ax - t * ex) ** 2 + (v - ay - t * ey) ** 2 < half * half

    if crossing:
        wheels = (
            np.minimum(np.abs(np.hypot(u - 0.52, v - 0.34) - 0.31), np.abs(np.hypot(u + 0.52, v - 0.34) - 0.31)) < thin
        )
        bars = [
            (-0.52, 0.34, -0.2, 0.85),
            (-0.52, 0.34, 0.02, 0.32),
            (0.02, 0.32, 0.4, 0.85),
            (-0.2, 0.8, 0.4, 0.8),
            (0.52, 0.34, 0.38, 1.0),
        ]
        cycle = wheels | np.logical_or.reduce([rod(*bar, thin) for bar in bars])
        legs = rod(-0.15, 0.95, 0.14, 0.62, 0.09) | rod(0.14, 0.62, 0.02, 0.25, 0.07)
        body = rod(-0.15, 0.95, 0.12, 1.4, 0.16) | rod(0.1, 1.38, 0.4, 1.02, 0.06)
        head = np.hypot(u - 0.2, v - 1.62) < 0.13
    else:
        cycle = ((np.abs(u) < thin + 0.01) & (v < 0.8)) | ((np.abs(u) < 0.32) & (np.abs(v - 1.02) < thin))
        legs = (np.abs(np.abs(u) - 0.13) < 0.07) & (v > 0.28) & (v < 0.95)
        body = (np.abs(u) < 0.14 + 0.12 * np.clip(v - 0.9, 0, 0.5)) & (v > 0.85) & (v < 1.48)
        head = np.hypot(u, v - 1.62) < 0.13
    cloth = tiles()["cloth"](u + x, v + z, canvas.pixel * z)[..., None]
    color = _layers(rgb(0.07, 0.07, 0.08), (legs, trousers * cloth), (body, top * cloth), (head, skin))
    color = _layers(color, (head & (v > 1.63), top * 0.8))
    canvas.paint(window, cycle | legs | body | head, BICYCLIST, color * light.across(u / 0.3)[..., None], z)


def _layers(base: np.ndarray, *layers: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """`base` colour, covered by (mask, colour) one after the other."""
    for mask, color in layers:
        base = np.where(mask[..., None], color, base)
    return base
