"""Draws one street: lays it out at random, then paints sky, ground, buildings and things from far to near."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsr.data_pipelines.datasets.streets import things
from dsr.data_pipelines.datasets.streets.canvas import (
    BUILDING,
    GRASS,
    PAVEMENT,
    ROAD,
    SKY,
    TREE,
    Canvas,
    Color,
    Light,
    rgb,
)
from dsr.data_pipelines.datasets.streets.textures import tiles

FAR = 160.0  # depth of the backdrop in metres


@dataclass(frozen=True)
class Building:
    """One house of a row: on which side (-1 left), from depth near to far, its heights and its windows' grid in metres.

    color is the wall's, trim that of frames and eaves; seed varies what is drawn on the wall.
    """

    side: int
    near: float
    far: float
    eaves: float
    roof: float
    bay: float
    floor: float
    material: str
    color: Color
    trim: Color
    seed: int


@dataclass(frozen=True)
class Street:
    """The lay of the street: half widths in metres and the colours that several materials share."""

    road: float
    kerb: float
    facade: float
    grey: Color
    green: Color
    light: Light
    buildings: tuple[Building, ...]


class Scene:
    """One scene, drawn from a generator. `render` is the whole of it."""

    def __init__(self, height: int, width: int, rng: np.random.Generator, zoom: float = 1.0) -> None:
        self.rng = rng
        self.tiles = tiles()
        self.canvas = Canvas(height, width, rng, zoom)
        self.offset = rng.uniform(0, 100, 2).astype(np.float32)
        self.street = self._draw_street()
        self.canvas.x = self.street.road * rng.uniform(0.2, 0.6)
        self.things: list[tuple[int, float, Callable[[], None]]] = []  # ring, depth, what paints it
        self.shadows: list[tuple[float, float, float, float]] = []  # foot (X, Z), length on the ground, half width
        self.contacts: list[tuple[float, float, float, float]] = []  # dark below a car: centre (X, Z), half axes

    # ---- what is there ----

    def _draw_street(self) -> Street:
        rng = self.rng
        road = rng.uniform(3.2, 5.2)
        kerb = road + rng.uniform(1.8, 3.2)
        facade = kerb + rng.choice([0.0, 2.5, 3.5, 4.5])
        angle = rng.uniform(0.25, np.pi - 0.25) * rng.choice([-1, 1])
        sunny = rng.random() < 0.7
        warmth = rng.normal(0, 0.05)
        light = Light(
            x=float(np.sin(angle)),
            z=float(np.cos(angle)),
            slope=rng.uniform(0.7, 1.8),
            shade=rng.uniform(0.5, 0.66) if sunny else 0.92,
            tint=rgb(1 + warmth, 1, 1 - warmth),
        )
        grey = rng.uniform(0.36, 0.52) * (1 + rng.normal(0, 0.025, 3)).astype(np.float32)
        green = rgb(0.27, 0.38, 0.17) * rng.uniform(0.8, 1.2) * (1 + rng.normal(0, 0.08, 3)).astype(np.float32)
        buildings = tuple(b for side in (-1, 1) for b in self._draw_row(side, grey, green))
        return Street(road, kerb, facade, grey, green.astype(np.float32), light, buildings)

    def _draw_row(self, side: int, grey: Color, green: Color) -> list[Building]:
        rng = self.rng
        row, z = [], rng.uniform(-12, 6)
        while z < FAR * 0.85:
            length = rng.uniform(8, 22)
            floors = int(rng.integers(1, 5))
            material = rng.choice(["brick", "brick", "plaster", "plaster", "painted", "concrete"])
            color = {
                "brick": rgb(0.52, 0.29, 0.22) * rng.uniform(0.75, 1.25),
                "plaster": rgb(*rng.uniform(0.55, 0.8, 3)) * rgb(1.05, 1.0, 0.88),
                "painted": green * rng.uniform(0.9, 1.3),
                "concrete": grey * rng.uniform(0.9, 1.2),
            }[material]
            floor = rng.uniform(2.8, 3.4)
            eaves = floors * floor + 0.5
            row.append(
                Building(
                    side=side,
                    near=z,
                    far=z + length,
                    eaves=eaves,
                    roof=rng.choice([0.0, 2.2, 3.2]),
                    bay=length / max(2, round(length / rng.uniform(2.2, 3.4))),
                    floor=floor,
                    material=material,
                    color=color.astype(np.float32),
                    trim=rgb(1, 1, 1) * rng.choice([0.85, 0.75, 0.2]),
                    seed=int(rng.integers(1 << 30)),
                )
            )
            z += length + (rng.uniform(4, 14) if rng.random() < 0.55 else 0)
        return row

    def _add(self, ring: int, z: float, paint: Callable[..., None], *args: Any) -> None:
        """Plan to paint a thing at depth z: outer rings first (facades, fences, the rest), in each from far to near."""
        self.things.append((ring, z, functools.partial(paint, *args)))

    def _place_gaps(self) -> None:
        """Buildings, and what stands in the gaps between them: trees behind fences and hedges."""
        rng, street = self.rng, self.street
        for side in (-1, 1):
            row = [b for b in street.buildings if b.side == side]
            for b in row:
                self._add(0, b.near, self._paint_building, b)
            for b, following in zip(row, row[1:]):
                if following.near - b.far < 3:
                    continue
                for _ in range(int(rng.integers(1, 4))):
                    z, height = rng.uniform(b.far + 1, following.near - 0.5), rng.uniform(5, 10)
                    x = side * (street.facade + rng.uniform(1.5, 6))
                    self._add_tree(0, x, z, height)
                self._add_border(side * (street.facade + 0.1), b.far, following.near)
            if street.facade - street.kerb > 2:
                for b in row:
                    if rng.random() < 0.65:
                        self._add_border(side * (street.kerb + 0.15), b.near + 1, b.far - 1)

    def _add_border(self, x: float, near: float, far: float) -> None:
        rng, canvas, light, green = self.rng, self.canvas, self.street.light, self.street.green
        if rng.random() < 0.4:
            self._add(1, near, things.paint_hedge, canvas, light, x, near, far, rng.uniform(0.9, 1.9), green, rng)
        else:
            color = rgb(0.42, 0.31, 0.21) if rng.random() < 0.5 else green * rng.uniform(0.8, 1.2)
            self._add(1, near, things.paint_fence, canvas, light, x, near, far, rng.uniform(0.9, 1.8), color)

    def _add_tree(self, ring: int, x: float, z: float, height: float) -> None:
        rng, light = self.rng, self.street.light
        radius = height * rng.uniform(0.24, 0.34)
        green = self.street.green * (1 + rng.normal(0, 0.08, 3)).astype(np.float32)
        self._add(ring, z, things.paint_tree, self.canvas, light, x, z, height, radius, green, rng)
        self._add_shadow(x, z, height * 0.4, 0.2)
        reach = (height - 2.4 * radius) / light.slope
        self.shadows.append((x - light.x * reach, z - light.z * reach, 2.4 * radius / light.slope, radius))

    def _add_shadow(self, x: float, z: float, height: float, half_width: float) -> None:
        self.shadows.append((x, z, height / self.street.light.slope, half_width))

    def _place_kerbs(self) -> None:
        """Lamps, signs and trees along the kerbs."""
        rng, street, canvas, light = self.rng, self.street, self.canvas, self.street.light
        metal = rgb(0.30, 0.32, 0.33) * rng.uniform(0.6, 1.3)
        planted = rng.random(2) < 0.35
        for side in (-1, 1):
            x, z = side * (street.road + 0.55), rng.uniform(4, 9)
            while z < 90:
                draw = rng.random()
                if draw < 0.28:
                    height = rng.uniform(4.5, 7.5)
                    self._add(2, z, things.paint_lamp, canvas, light, x, z, height, metal)
                    self._add_shadow(x, z, height, 0.09)
                elif draw < 0.62:
                    kind, height = rng.choice(["limit", "warning", "parking", "signal"]), rng.uniform(2.2, 3.0)
                    self._add(2, z, things.paint_sign, canvas, light, x, z, height, kind)
                    self._add_shadow(x, z, height, 0.06)
                elif planted[(side + 1) // 2]:
                    self._add_tree(2, x + 0.3 * side, z, rng.uniform(4.5, 7.5))
                z += rng.uniform(3.5, 11)

    def _place_traffic(self) -> None:
        """Parked and moving cars, and bicyclists."""
        rng, street, canvas = self.rng, self.street, self.canvas
        for side in (-1, 1):
            if street.road > 3.9 and rng.random() < 0.7:
                z = rng.uniform(6, 14)
                while z < 80:
                    if rng.random() < 0.6:
                        self._add_car(side * (street.road - 1.0), z, oncoming=side < 0)
                    z += rng.uniform(5.3, 8)
            lane = side * (street.road * 0.5 - (0.6 if street.road > 3.9 else 0))
            z = rng.uniform(9, 40) if side > 0 else rng.uniform(7, 40)
            while z < 100:
                if rng.random() < 0.55:
                    self._add_car(lane, z, oncoming=side < 0)
                z += rng.uniform(9, 40)
        for _ in range(int(rng.integers(0, 3))):
            crossing = int(rng.integers(-1, 2))
            x, z = rng.uniform(-1, 1) * street.road * 0.85, rng.uniform(6, 26)
            self._add(2, z, things.paint_bicyclist, canvas, street.light, x, z, crossing, self._draw_clothes())
            self._add_shadow(x, z, 1.7, 0.3)

    def _add_car(self, x: float, z: float, oncoming: bool) -> None:
        rng = self.rng
        length = rng.uniform(3.7, 4.7)
        paints = [
            rgb(0.7, 0.7, 0.72),
            rgb(0.12, 0.13, 0.15),
            self.street.grey,
            rgb(0.45, 0.08, 0.08),
            rgb(0.1, 0.18, 0.38),
        ]
        color = paints[int(rng.integers(len(paints)))] * rng.uniform(0.8, 1.2)
        self._add(2, z, things.paint_car, self.canvas, self.street.light, x, z, length, color, oncoming)
        self.contacts.append((x, z + length / 2, 1.15, length / 2 + 0.35))
        light = self.street.light
        self._add_shadow(x, z + length / 2, 1.3 + 0.8 * light.slope, abs(light.x) * length * 0.45 + abs(light.z) * 0.8)

    def _place_people(self) -> None:
        rng, street = self.rng, self.street
        for _ in range(int(rng.integers(1, 8))):
            crossing = rng.random() < 0.15
            x = rng.choice([-1, 1]) * rng.uniform(street.road + 0.4, street.kerb - 0.2)
            x, z = (x * rng.uniform(-1, 1) if crossing else x), rng.uniform(5, 40)
            height, stride = rng.uniform(1.5, 1.9), rng.uniform(-1, 1)
            person = self.canvas, street.light, x, z, height, stride, self._draw_clothes()
            self._add(2, z, things.paint_pedestrian, *person)
            self._add_shadow(x, z, height, 0.25)

    def _draw_clothes(self) -> tuple[Color, Color, Color]:
        """Colours of skin, top and trousers."""
        rng = self.rng
        skin = rgb(0.78, 0.58, 0.47) * rng.uniform(0.4, 1.1)
        return skin, rng.uniform(0.08, 0.75, 3).astype(np.float32), rgb(0.22, 0.24, 0.3) * rng.uniform(0.4, 1.6)

    # ---- rendering ----

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Paint it: image uint8 (H, W, 3), classes uint8 (H, W)."""
        self._paint_sky()
        self._paint_backdrop()
        self._place_gaps()
        self._place_kerbs()
        self._place_traffic()
        self._place_people()
        self._paint_ground()
        for *_, paint in sorted(self.things, key=lambda thing: (thing[0], -thing[1])):
            paint()
        return self._develop(), self.canvas.labels

    def _paint_sky(self) -> None:
        rng, canvas = self.rng, self.canvas
        rows = slice(0, int(np.searchsorted(canvas.down, 0.02)))
        up = np.maximum(0.02 - canvas.down[rows, None], 0)
        blue, pale = rgb(0.42, 0.58, 0.84), rgb(0.80, 0.86, 0.92)
        cover = rng.uniform(-0.6, 1.2) if self.street.light.shade < 0.9 else rng.uniform(1.5, 2.5)
        height = 1 / (up + 0.12)
        clouds = self.tiles["clouds"](
            canvas.across[None] * height * 24 + self.offset[0],
            height * 48 + self.offset[1],
            24 * canvas.pixel * height**2,
        )
        amount = np.clip(clouds * 0.6 + cover - 0.55, 0, 1)[..., None] * 0.9
        sky = pale + (blue - pale) * np.clip(up * 2.2, 0, 1)[..., None]
        white = rgb(0.93, 0.93, 0.95) * (0.9 + 0.12 * np.clip(clouds, -1.5, 1.5))[..., None]
        canvas.rgb[rows] = sky + (white - sky) * amount
        self.haze = pale * rng.uniform(0.85, 1.0)

    def _paint_backdrop(self) -> None:
        """What closes the street far away: trees and roofs along the horizon."""
        canvas, rng = self.canvas, self.rng
        found = canvas.upright(0.0, FAR, -400, 400, 0, 30)
        if found is None:
            return
        window, x, y = found
        block = np.floor(x / rng.uniform(9, 15) + 500).astype(int) % 64
        heights, kinds = rng.uniform(4, 13, 64).astype(np.float32)[block], (rng.random(64) < 0.6)[block]
        ruffle = self.tiles["ruffle"](x / 6, y / 6, 0.02)
        footprint = canvas.pixel * FAR / 5
        leaves = self.tiles["foliage"](x / 5, y / 5, footprint) * 0.85
        trees = y < heights + 2.5 * ruffle - 2
        canvas.paint(window, trees & kinds, TREE, self.street.green * leaves[..., None], FAR)
        wall = rgb(0.6, 0.55, 0.5) * rng.uniform(0.7, 1.1, (64, 1)).astype(np.float32)[block]
        canvas.paint(window, (y < heights) & ~kinds, BUILDING, np.broadcast_to(wall, (*ruffle.shape, 3)), FAR)

    # ---- ground ----

    def _paint_ground(self) -> None:
        street, canvas, tile = self.street, self.canvas, self.tiles
        found = canvas.ground(0.5, 900)
        if found is None:
            return
        window, x, z = found
        footprint = canvas.pixel * z * np.sqrt(np.clip(z / canvas.eye, 1, 6))
        ax, az = x + self.offset[0], z + self.offset[1]
        side = np.abs(x)
        lit = self._sunlight(x, z)[..., None]
        stains = tile["stains"](ax, az, footprint)

        asphalt = tile["asphalt"](ax, az, footprint) * stains
        asphalt = asphalt[..., None] * street.grey
        paint, wear = self._markings(x, z), np.clip(asphalt[..., :1] * 2.4, 0.5, 1.1)
        asphalt = np.where(paint[..., None], rgb(0.82, 0.82, 0.80) * wear, asphalt)
        everywhere = np.ones(x.shape, bool)
        canvas.paint(window, everywhere, ROAD, asphalt * lit, z)

        slabs = tile["slabs"](ax, az, footprint) * stains**0.5
        kerb = (side < street.road + 0.18)[..., None]
        slabs = np.where(kerb, rgb(0.62, 0.62, 0.60), slabs[..., None] * street.grey * 1.12)
        canvas.paint(window, side >= street.road, PAVEMENT, slabs * lit, z)

        blades = tile["grass"](ax, az, footprint) * stains
        canvas.paint(window, side >= street.kerb, GRASS, blades[..., None] * street.green * lit, z)

    def _markings(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        road, rng = self.street.road, self.rng
        period, start, crossing = rng.uniform(5, 9), rng.uniform(0, 9), rng.uniform(9, 30)
        paint = (np.abs(x) < 0.08) & ((z + start) % period < 0.45 * period)
        if rng.random() < 0.6:
            paint |= np.abs(np.abs(x) - road + 0.35) < 0.07
        if rng.random() < 0.4:
            paint |= (np.abs(z - crossing) < 1.6) & (x % 1.0 < 0.5) & (np.abs(x) < road - 0.3)
        return paint & (np.abs(x) < road)

    def _sunlight(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Light that reaches the ground at (x, z): 1 in the sun, `shade` behind buildings and things."""
        light, street = self.street.light, self.street
        side = np.sign(light.x)
        skyline = np.zeros(int(FAR) + 160, np.float32)  # height of the row on the sun's side, a sample a metre
        for b in street.buildings:
            if b.side == side:
                skyline[max(0, int(b.near + 40)) : int(b.far + 40)] = b.eaves + b.roof * 0.5
        way = np.maximum(street.facade - side * x, 0) / abs(light.x)
        place = np.clip(z + light.z * way + 40, 0, len(skyline) - 1).astype(np.intp)
        shadow = (way * light.slope < skyline[place]) & (side * x < street.facade)
        for sx, sz, length, width in self.shadows:
            rows = _rows_between(z, sz - max(light.z * length, 0) - width, sz - min(light.z * length, 0) + width)
            dx, dz = x[rows] - sx, z[rows] - sz
            middle = np.abs(-(dx * light.x + dz * light.z) / (length * 0.5) - 1)
            across = np.abs(dx * light.z - dz * light.x) / width
            shadow[rows] |= across**2 + middle**4 < 1
        lit = np.where(shadow, np.float32(light.shade), np.float32(1.04))
        for cx, cz, rx, rz in self.contacts:
            rows = _rows_between(z, cz - rz, cz + rz)
            edge = np.maximum(np.abs(x[rows] - cx) / rx, np.abs(z[rows] - cz) / rz)
            lit[rows] *= 1 - 0.65 * np.clip(1.5 - 1.5 * edge * edge, 0, 1)
        return lit

    # ---- buildings ----

    def _wall(self, b: Building, s: np.ndarray, y: np.ndarray, footprint: np.ndarray | float) -> np.ndarray:
        """Colour (..., 3) of a wall without windows at s metres along it, y up."""
        tile = self.tiles
        if b.material == "brick":
            bricks = tile["brick"](s, y, footprint)[..., None] * b.color
            mortar = tile["mortar"](s, y, footprint)[..., None]
            return bricks + (rgb(0.62, 0.60, 0.56) - bricks) * mortar
        fine = tile["boards" if b.material == "painted" and b.seed % 2 else "plaster"]
        stains = np.sqrt(tile["stains"](s + b.seed % 97, y, footprint))
        return (fine(s, y, footprint) * stains)[..., None] * b.color

    def _windows(
        self, b: Building, s: np.ndarray, y: np.ndarray, footprint: np.ndarray, wall: np.ndarray
    ) -> np.ndarray:
        """The wall with its windows and a door; s and y as in `_wall`."""
        random = np.random.default_rng(b.seed)
        bays, floors = max(1, round((b.far - b.near) / b.bay)), max(1, int(b.eaves // b.floor))
        column = np.clip((s / b.bay).astype(int), 0, bays - 1)
        row = np.clip((y / b.floor).astype(int), 0, floors - 1)
        u, v = s / b.bay - column, y / b.floor - row
        width, parapet, high = random.uniform(0.2, 0.33), random.uniform(0.22, 0.34), random.uniform(0.74, 0.86)
        dark = random.uniform(0.12, 0.3, (floors, bays)).astype(np.float32)
        dark[random.random((floors, bays)) < 0.2] = 0.55  # curtains
        door = (row == 0) & (column == random.integers(bays))
        low = np.where(door, 0.0, parapet)
        x = np.abs(u - 0.5)
        opening = (x < width) & (v > low) & (v < high) & (y < floors * b.floor)
        frame = opening & (
            (x > width - 0.035) | (x < 0.012) | (v < low + 0.03) | (v > high - 0.03) | (np.abs(v - 0.62) < 0.012)
        )
        sill = (x < width + 0.03) & (v > low - 0.04) & (v <= low)
        glass = (
            dark[row, column][..., None] * rgb(0.85, 0.95, 1.1) * (0.7 + 0.9 * np.clip(v - u * 0.4, 0, 1))[..., None]
        )
        glass = np.where(door[..., None], b.color * 0.35 + 0.05, glass)
        detailed = np.where(opening[..., None], glass, wall)
        detailed = np.where((frame | sill)[..., None], b.trim * 0.9, detailed)
        detailed = np.where((y < 0.45)[..., None], wall * 0.6, detailed)
        # Frames finer than a pixel fade into the wall, or they would flicker from column to column.
        clarity = np.clip(1.6 - footprint / (0.12 * b.bay), 0, 1)[..., None]
        return wall * 0.85 + (detailed - wall * 0.85) * clarity

    def _paint_building(self, b: Building) -> None:
        canvas, street, light = self.canvas, self.street, self.street.light
        pixel = canvas.pixel
        top = b.eaves + b.roof
        # The gable, seen through a gap in front of it.
        edge = b.side * street.facade
        left, right = sorted((0.0, b.side * 12.0))
        found = canvas.upright(edge, b.near, left, right, 0, top)
        if found is not None:
            window, x, y = found
            depth = np.abs(x)
            shape = np.broadcast_shapes(x.shape, y.shape)
            color = self._wall(b, depth, y, pixel * b.near)
            color = np.broadcast_to(color, (*shape, 3)) * light.on_front
            canvas.paint(window, y < b.eaves + b.roof * (1 - np.abs(depth - 6) / 6), BUILDING, color, b.near)
        found = canvas.along(edge, b.near, b.far, top)
        if found is None:
            return
        window, z, y = found
        s = np.broadcast_to(z - b.near, y.shape)
        footprint = np.broadcast_to(pixel * z * np.sqrt(np.clip(z / abs(edge - canvas.x), 1, 4)), y.shape)
        wall = self._wall(b, s, y, footprint)
        color = self._windows(b, s, y, footprint, wall)
        roof = (y > b.eaves)[..., None]
        shingles = self.tiles["shingles"](s, y * 1.5, footprint)[..., None] * rgb(0.42, 0.27, 0.23)
        color = np.where(roof, shingles if b.seed % 3 else shingles.mean(-1, keepdims=True), color)
        color = np.where((np.abs(y - b.eaves) < 0.14)[..., None], b.trim * 0.8, color)
        inset = np.clip(y - b.eaves, 0, None) * 0.5
        mask = (y > 0) & (y < top) & (s >= inset) & (s <= b.far - b.near - inset)
        canvas.paint(window, mask, BUILDING, color * light.on_side(b.side), z)

    # ---- camera ----

    def _develop(self) -> np.ndarray:
        """Haze, exposure, vignette, the lens's blur and the sensor's noise; uint8 (H, W, 3)."""
        rng, canvas = self.rng, self.canvas
        clear = np.exp(-canvas.depth / np.float32(rng.uniform(120, 500)))
        clear[canvas.labels == SKY] = 1
        image = self.haze + (canvas.rgb - self.haze) * clear[..., None]
        corner = canvas.across[None] ** 2 + canvas.down[:, None] ** 2
        exposure = (rng.uniform(0.9, 1.15) * (1 - rng.uniform(0, 0.25) * corner))[..., None]
        image = np.clip(image * exposure * self.street.light.tint, 0, 1)
        weight = np.float32(rng.uniform(0.08, 0.16))
        for axis in (0, 1):
            padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
            before, after = (padded[2:], padded[:-2]) if axis == 0 else (padded[:, 2:], padded[:, :-2])
            image = image * (1 - 2 * weight) + (before + after) * weight
        deviation = rng.uniform(0.8, 2.2) * np.sqrt(0.4 + image)
        noise = rng.standard_normal(image.shape, np.float32)
        return np.clip(image * 255 + noise * deviation + 0.5, 0, 255).astype(np.uint8)


def _rows_between(z: np.ndarray, near: float, far: float) -> slice:
    """The rows of a ground window, whose depths z (h, 1) fall from row to row, that lie between two depths."""
    first, last = np.searchsorted(-z[:, 0], [-far, -near])
    return slice(int(first), int(last))
