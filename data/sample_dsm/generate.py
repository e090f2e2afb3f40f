"""Makes the sample survey: a town that exists nowhere, of the size and shape of Kaga.

    python data/sample_dsm/generate.py --seed 7 --out DIR

The bones of the town (where the river, the hospital, the zones lie) are fixed to within a few metres, so that the
three flights of the demo make sense on every seed; everything else is drawn from the seed. The same seed gives the
same bytes: the noise uses only additions and multiplications, whose results do not depend on the machine.

Coordinates inside are metres from the south-west corner; rasters have row 0 in the north, as GeoTIFF wants them.
Heights are multiples of 1/8 m, which binary fractions hold exactly.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import laspy
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize

CRS_NAME = "EPSG:6675+6695"
WEST, SOUTH = -79000.0, 32600.0
WIDTH, HEIGHT = 4000, 2000
NODATA = -9999.0
CLOUD_BOX = (1200.0, 750.0, 1800.0, 1250.0)  # west, south, east, north of survey_centre.laz
CLOUD_POINTS = 600_000
CENTRE = (1500.0, 1000.0)
LAKE_LEVEL = 4.0
PAD_RADIUS = 16.0  # flat and empty around every pad

Array = NDArray[np.float32]
X = (np.arange(WIDTH, dtype=np.float32) + 0.5)[None, :]
Y = (HEIGHT - np.arange(HEIGHT, dtype=np.float32) - 0.5)[:, None]


@dataclass
class Town:
    """What the generator knows before it writes: rasters, pads, zones, wires."""

    seed: int
    terrain: Array
    surface: Array
    """DSM without wires and pylons: what a photogrammetric cloud sees as area."""
    raised: Array
    """DSM with the cells that a surveyor raises for wires and pylons."""
    dsm_holes: NDArray[np.bool_]
    pads: dict[str, dict] = field(default_factory=dict)
    wires: list[NDArray[np.float64]] = field(default_factory=list)
    """Points (n, 3) along every wire and pylon, half a metre apart."""
    pylons: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    """Rows of (x, y, height of the top)."""
    zones: list[dict] = field(default_factory=list)
    water: list[tuple[str, NDArray[np.float64]]] = field(default_factory=list)


def smoothstep(edge0: float, edge1: float, x: Array) -> Array:
    t = np.clip((x - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def quantised(heights: Array, step: float = 0.125) -> Array:
    return (np.round(heights / step) * step).astype(np.float32)


def noise(rng: np.random.Generator, spacing: float) -> Array:
    """Smooth noise over the whole area, roughly -1 to 1: a cubic B-spline over random knots ``spacing`` apart."""
    knots = rng.uniform(-1.7, 1.7, (int(HEIGHT / spacing) + 4, int(WIDTH / spacing) + 4)).astype(np.float32)

    def along(values: Array, places: Array, axis: int) -> Array:
        cell = (places / spacing).astype(np.int64)
        t = (places / spacing - cell).astype(np.float32)
        shape = [1, 1]
        shape[axis] = -1
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        return sum(values.take(cell + k, axis) * (w / 6).reshape(shape) for k, w in enumerate(weights))

    return along(along(knots, X.ravel(), 1), Y.ravel(), 0)


def river_x(y: NDArray, phase: float) -> NDArray:
    """Easting of the river's middle; slow bends, made of parabolas so that it is the same on every machine."""
    t = (y / 900.0 + phase) % 2.0
    return 2600.0 + 65.0 * np.where(t < 1, 4 * t * (1 - t), -4 * (t - 1) * (2 - t))


def around(x0: float, y0: float, x1: float, y1: float, margin: float) -> tuple[slice, slice]:
    """Rows and columns of the box that holds two places and a margin."""
    return (
        slice(max(0, int(HEIGHT - max(y0, y1) - margin)), max(0, int(HEIGHT - min(y0, y1) + margin) + 1)),
        slice(max(0, int(min(x0, x1) - margin)), max(0, int(max(x0, x1) + margin) + 1)),
    )


def mark_disc(mask: NDArray[np.bool_], x: float, y: float, radius: float) -> None:
    rows, columns = around(x, y, x, y, radius)
    mask[rows, columns] |= (X[:, columns] - x) ** 2 + (Y[rows] - y) ** 2 <= radius**2


def burn(shapes: list[tuple[NDArray, float]]) -> Array:
    """Polygons with heights as a raster; -inf where there is none, the highest where several overlap."""
    ordered = sorted(shapes, key=lambda item: item[1])
    geometry = [
        ({"type": "Polygon", "coordinates": [[*outline.tolist(), outline[0].tolist()]]}, h) for outline, h in ordered
    ]
    if not geometry:
        return np.full((HEIGHT, WIDTH), -np.inf, np.float32)
    transform = rasterio.Affine(1, 0, 0, 0, -1, HEIGHT)
    return rasterize(geometry, (HEIGHT, WIDTH), fill=-np.inf, transform=transform, dtype="float32")


def places(rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Where the named places stand. Station and culture hall are 3 km apart to the metre."""
    jitter = {
        name: rng.uniform(-12, 12, 2) for name in ("station", "hospital", "depot", "waterworks", "school", "hall")
    }
    at = {
        "station": np.array([600.0, 1010.0]) + jitter["station"],
        "hospital": np.array([850.0, 790.0]) + jitter["hospital"],
        "depot": np.array([2140.0, 1740.0]) + jitter["depot"],
        "waterworks": np.array([2330.0, 250.0]) + jitter["waterworks"],
        "school": np.array([2920.0, 1450.0]) + jitter["school"],
        "heliport": np.array([3000.0, 860.0]),
    }
    hall_y = 1050.0 + jitter["hall"][1]
    at["culture-hall"] = np.array([at["station"][0] + np.sqrt(3000.0**2 - (hall_y - at["station"][1]) ** 2), hall_y])
    return {name: (float(round(x)), float(round(y))) for name, (x, y) in at.items()}


def make_terrain(rng: np.random.Generator, phase: float) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Terrain with the water cut in; and where the lake and the river are."""
    plain = 5.5 + 10.5 * (0.75 * (HEIGHT - Y) / HEIGHT + 0.25 * X / WIDTH) + 1.2 * noise(rng, 420.0)
    ragged = 70.0 * noise(rng, 300.0)
    south = smoothstep(560.0, -60.0, Y + ragged + 0 * X) * smoothstep(2450.0, 900.0, X)
    south_east = smoothstep(900.0, 60.0, np.hypot(X - 4080.0, 1.35 * (Y + 150.0)) + ragged)
    north_east = smoothstep(780.0, 40.0, np.hypot(0.9 * (X - 4080.0), Y - 2120.0) + ragged)
    hills = 88.0 * south + 104.0 * south_east + 96.0 * north_east
    terrain = np.maximum(plain + hills * (1 + 0.16 * noise(rng, 260.0)), 5.0)

    shore = ((X - 1010.0) / 400.0) ** 2 + ((Y - 1640.0) / 205.0) ** 2 + 0.16 * noise(rng, 170.0)
    lake = shore < 1
    terrain = LAKE_LEVEL + (terrain - LAKE_LEVEL) * smoothstep(0.95, 1.5, shore)
    aside = np.abs(X - river_x(Y, phase).astype(np.float32))
    river = aside < 27
    level = 4.5 + 4.5 * (HEIGHT - Y) / HEIGHT
    bank = level + 3.2  # levees on both sides
    beside = bank + (np.maximum(terrain, level + 1) - bank) * smoothstep(46, 110, aside)
    terrain = np.where(aside < 110, level + (beside - level) * smoothstep(27, 42, aside), terrain)
    terrain = np.minimum(terrain, 119.0).astype(np.float32)
    return terrain, lake, river


def flatten(terrain: Array, x: float, y: float, radius: float) -> float:
    """Level a disc to its mean height, with a ramp around it; returns the height."""
    box = rows, columns = around(x, y, x, y, 3 * radius)
    distance = np.hypot(X[:, columns] - x, Y[rows] - y)
    level = float(quantised(terrain[box][distance <= radius].mean(dtype=np.float64)))
    terrain[box] = level + (terrain[box] - level) * smoothstep(radius + 2, 2.6 * radius, distance)
    return level


class Blocks:
    """The rotated street grid: (u, v) along and across the main streets, metres from the town's centre."""

    def __init__(self, angle: float):
        self.c, self.s = 1 - angle**2 / 2, angle - angle**3 / 6
        norm = np.sqrt(self.c**2 + self.s**2)
        self.c, self.s = self.c / norm, self.s / norm

    def xy(self, u: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
        return CENTRE[0] + u * self.c - v * self.s, CENTRE[1] + u * self.s + v * self.c

    def box(self, x: float, y: float, du: float, dv: float, length: float, depth: float) -> NDArray:
        """Corners (4, 2) of a rectangle along the grid whose middle lies (du, dv) from a place."""
        u = du + np.array([-1, 1, 1, -1]) * length / 2
        v = dv + np.array([-1, -1, 1, 1]) * depth / 2
        return np.stack([x + u * self.c - v * self.s, y + u * self.s + v * self.c], axis=1)


#: Buildings of the named places: offset along and across the grid, length, depth, height (metres).
SITES: dict[str, list[tuple[float, float, float, float, float]]] = {
    "hospital": [(0, 0, 72, 44, 24), (-62, -4, 40, 30, 14), (8, -48, 50, 24, 11)],
    "station": [(0, 55, 110, 20, 10), (95, -15, 96, 62, 17)],
    "culture-hall": [(62, 10, 72, 52, 18), (62, -34, 40, 22, 9)],
    "depot": [(38, 6, 34, 18, 8), (-36, -20, 22, 14, 6)],
    "waterworks": [(34, 8, 26, 20, 7)],
    "school": [(-10, 36, 92, 15, 13), (62, -8, 36, 26, 12)],
    "heliport": [(44, 10, 26, 18, 9)],
}
SCHOOL_GATE = (-78.0, -52.0)  # a shop's pad, from the school, inside its zone


def houses(
    rng: np.random.Generator, blocks: Blocks, built: Array, reserved: NDArray[np.bool_]
) -> list[tuple[NDArray, float]]:
    """Buildings of the town: (corners (4, 2), height above ground), none on reserved ground.

    Blocks of 96 x 66 m between streets; along the edge of a block two rows of lots. Near the centre a block holds
    few large buildings instead. ``built`` is the share of lots that carry a house.
    """
    reach_u = np.arange(-1750, 2650, 96.0)
    reach_v = np.arange(-1150, 1150, 66.0)
    found: list[tuple[NDArray, float]] = []

    def place(u: float, v: float, length: float, depth: float, height: float) -> None:
        x, y = blocks.xy(np.float64(u), np.float64(v))
        outline = blocks.box(float(x), float(y), 0, 0, length, depth)
        around = blocks.box(float(x), float(y), 0, 0, length + 3, depth + 3)
        probe = np.concatenate([around, (around + np.roll(around, 1, 0)) / 2, [[x, y]]])
        column, row = probe[:, 0].astype(int), (HEIGHT - probe[:, 1]).astype(int)
        inside = (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
        if inside.all() and not reserved[row, column].any():
            found.append((outline, height))

    for u0 in reach_u:
        for v0 in reach_v:
            x, y = blocks.xy(u0 + 48, v0 + 33)
            if not (0 < x < WIDTH and 0 < y < HEIGHT):
                continue
            share = float(built[int(HEIGHT - y), int(x)])
            nearness = max(0.0, 1 - np.hypot(x - CENTRE[0], y - CENTRE[1]) / 430.0)
            if nearness > 0 and rng.random() < 0.35 + nearness:
                parts = int(rng.integers(1, 4))
                width = 84.0 / parts
                for k in range(parts):
                    tall = 10 + 50 * min(1.0, 1.25 * nearness) * rng.random() ** 0.8
                    place(
                        u0 + 6 + width * (k + 0.5),
                        v0 + 33,
                        width - rng.uniform(5, 14),
                        rng.uniform(26, 46),
                        tall,
                    )
                continue
            for row in range(2):
                at = u0 + 7.0
                while at < u0 + 78:
                    lot = rng.uniform(13, 21)
                    if rng.random() < share:
                        length, depth = rng.uniform(8.5, lot - 3), rng.uniform(8.5, 14)
                        setback = rng.uniform(7, 10) + depth / 2
                        v = v0 + setback if row == 0 else v0 + 66 - setback
                        place(
                            at + lot / 2,
                            v,
                            length,
                            depth,
                            rng.uniform(6, 8.5) if rng.random() < 0.8 else rng.uniform(8.5, 12),
                        )
                    at += lot
    return found


def power_line(rng: np.random.Generator) -> NDArray[np.float64]:
    """Pylons as rows of (x, y, height above ground)."""
    corners = np.array([[1050.0, 20.0], [1330.0, 740.0], [1720.0, 1190.0], [2250.0, 1500.0], [3330.0, 1960.0]])
    corners[1:-1] += rng.uniform(-10, 10, (3, 2))
    pylons = [corners[0]]
    for a, b in itertools.pairwise(corners):
        spans = int(np.ceil(np.hypot(*(b - a)) / 290.0))
        pylons += [a + (b - a) * k / spans for k in range(1, spans + 1)]
    return np.column_stack([pylons, rng.uniform(32, 45, len(pylons))])


def string_wires(pylons: NDArray[np.float64], terrain: Array) -> list[NDArray[np.float64]]:
    """Six wires, three abreast at two heights, each sagging as a parabola; and the pylons as upright lines."""
    ground = terrain[(HEIGHT - pylons[:, 1]).astype(int), pylons[:, 0].astype(int)].astype(np.float64)
    tops = ground + pylons[:, 2]
    lines = []
    for k in range(len(pylons) - 1):
        a, b = pylons[k, :2], pylons[k + 1, :2]
        length = np.hypot(*(b - a))
        t = np.arange(0, 1, 0.5 / length)[:, None]
        aside = np.array([-(b - a)[1], (b - a)[0]]) / length
        for drop in (2.0, 8.0):
            for offset in (-5.0, 0.0, 5.0):
                z = tops[k] + (tops[k + 1] - tops[k]) * t - drop - 4 * 0.024 * length * t * (1 - t)
                lines.append(np.hstack([a + (b - a) * t + offset * aside, z]))
    for (x, y, height), base in zip(pylons, ground, strict=True):
        z = np.arange(1.0, height, 0.5)
        arm = np.where(z > height - 9, 5.0, 2.5)
        for sx, sy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            lines.append(np.column_stack([x + sx * arm * 0.5, y + sy * arm * 0.5, base + z]))
        lines.append(np.array([[x, y, base + height]]))
    return lines


def make_town(seed: int) -> Town:
    """Everything but the files. About 4 s."""
    rng = np.random.default_rng(seed)
    phase = float(rng.uniform(0, 0.5))
    at = places(rng)
    blocks = Blocks(float(rng.uniform(0.05, 0.2)))
    terrain, lake, river = make_terrain(rng, phase)
    pylons = power_line(rng)

    gate = blocks.box(*at["school"], *SCHOOL_GATE, 0, 0)[0]
    pad_at = {name: at[name] for name in ("hospital", "station", "culture-hall", "depot", "waterworks")}
    pad_at["school-gate"] = (float(round(gate[0])), float(round(gate[1])))
    for name, (x, y) in (at | pad_at).items():
        flatten(terrain, x, y, 60.0 if name == "hospital" else PAD_RADIUS + 4)
    terrain = quantised(terrain)

    # What must stay free of houses and trees
    reserved = lake | river
    aside = np.abs(X - river_x(Y, phase).astype(np.float32))
    reserved |= (aside < 62) | (terrain > 27)
    for (x0, y0, _), (x1, y1, _) in itertools.pairwise(pylons.tolist()):
        rows, columns = around(x0, y0, x1, y1, 17)
        dx, dy = x1 - x0, y1 - y0
        x, y = X[:, columns] - x0, Y[rows] - y0
        t = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
        reserved[rows, columns] |= np.hypot(x - t * dx, y - t * dy) < 17
    empty = np.zeros_like(reserved)
    for x, y in (*at.values(), *pad_at.values()):
        mark_disc(reserved, x, y, 34)
        mark_disc(empty, x, y, PAD_RADIUS + 4)
    rail = np.abs((X - at["station"][0]) * -blocks.s + (Y - at["station"][1] - 80) * blocks.c) < 9
    reserved |= rail
    sites = [(blocks.box(*at[name], *part[:4]), part[4]) for name, parts in SITES.items() for part in parts]
    reserved |= (
        burn([(blocks.box(*at[n], p[0], p[1], p[2] + 16, p[3] + 16), 1.0) for n, ps in SITES.items() for p in ps]) > 0
    )

    # Houses: dense around the centre and along the railway, thin out in the fields
    far = np.hypot(X - CENTRE[0], 1.3 * (Y - CENTRE[1]))
    built = np.clip(1.05 - far / 1500.0 + 0.55 * noise(rng, 340.0), 0, 0.93)
    built = np.maximum(built, 0.8 * smoothstep(420, 120, np.hypot(X - 3450.0, Y - 1120.0)))
    built = np.maximum(built, 0.75 * smoothstep(460, 160, np.hypot(X - 2880.0, Y - 1500.0)))
    buildings = sites + houses(rng, blocks, built, reserved)
    roofs = []
    for outline, height in buildings:
        middle = outline.mean(axis=0)
        ground = terrain[int(HEIGHT - middle[1]), int(middle[0])]
        roofs.append((outline, float(quantised(np.float32(ground + height)))))
    roof = burn(roofs)

    # Woods: all over the hills, some groves on the plain; crowns a few metres wide, in steps of half a metre
    thick = noise(rng, 130.0) + 0.22 * noise(rng, 22.0)
    woods = (
        ((terrain > 24 + 7 * np.minimum(thick, 0.4)) | ((thick > 1.0) & ~reserved))
        & ~lake
        & ~river
        & ~empty
        & (aside > 48)
    )
    woods &= ~(reserved & (terrain < 24)) & ~np.isfinite(roof)
    crowns = np.clip(12.5 + 3.2 * noise(rng, 4.5) + 2.0 * noise(rng, 40.0), 8, 18)
    canopy = np.where(woods, np.round(crowns * 2) / 2, 0).astype(np.float32)

    # Bridges carry the main streets over the river
    decks = []
    for y in (430.0, 1010.0, 1530.0):
        x = float(river_x(np.float64(y), phase))
        level = 4.5 + 4.5 * (HEIGHT - y) / HEIGHT
        decks.append((blocks.box(x, y, 0, 0, 124, 14), float(quantised(np.float32(level + 5.0)))))
    surface = np.maximum.reduce([terrain + canopy, roof, burn(decks)])

    pads = {}
    for name, (x, y) in pad_at.items():
        pads[name] = {"xy": (x, y), "height_m": float(surface[int(HEIGHT - y), int(x)])}
    wires = string_wires(pylons, terrain)
    raised = surface.copy()
    strung = np.concatenate(wires)
    inside = (strung[:, 0] >= 0) & (strung[:, 0] < WIDTH) & (strung[:, 1] >= 0) & (strung[:, 1] < HEIGHT)
    strung = strung[inside]
    cell = ((HEIGHT - strung[:, 1]).astype(int), strung[:, 0].astype(int))
    np.maximum.at(raised, cell, quantised((np.ceil(strung[:, 2] * 8) / 8).astype(np.float32)))

    holes = ((X - 985.0) / 210.0) ** 2 + ((Y - 1655.0) / 100.0) ** 2 + 0.25 * noise(rng, 90.0) < 1  # open water
    holes &= lake
    hole_x, hole_y = 1560.0 + float(rng.uniform(-20, 20)), 830.0 + float(rng.uniform(-20, 20))
    mark_disc(holes, hole_x, hole_y, 13)  # a courtyard that no camera saw, in the cloud neither
    town = Town(seed, terrain, surface, raised, holes, pads, wires)
    feet = terrain[(HEIGHT - pylons[:, 1]).astype(int), pylons[:, 0].astype(int)]
    town.pylons = np.column_stack([pylons[:, :2], feet + pylons[:, 2]])
    town.zones = make_zones(at, blocks)
    shore_y = np.arange(0.0, HEIGHT + 1, 10.0)
    middle = river_x(shore_y, phase)
    band = np.concatenate([np.column_stack([middle - 27, shore_y]), np.column_stack([middle + 27, shore_y])[::-1]])
    town.water = [("lake", outline_of(lake)), ("river", band)]
    return town


def outline_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Corners of the largest connected part of a mask, thinned to every fifth."""
    from rasterio.features import shapes

    transform = rasterio.Affine(1, 0, 0, 0, -1, HEIGHT)
    rings = [shape["coordinates"][0] for shape, _ in shapes(mask.astype(np.uint8), mask=mask, transform=transform)]
    return np.array(max(rings, key=len)[:-1:5], dtype=np.float64)


def make_zones(at: dict[str, tuple[float, float]], blocks: Blocks) -> list[dict]:
    """School by day, densely inhabited district, heliport; outlines in metres under ``xy``."""
    turn = np.arange(48) * (2 * np.pi / 48)
    helix, heliy = at["heliport"]
    district = np.array(
        [
            [700, 560], [1180, 430], [1900, 560], [2180, 760], [2230, 1180],
            [1850, 1420], [1450, 1380], [1300, 1290], [420, 1250], [380, 820],
        ],
        dtype=np.float64,
    )  # fmt: skip
    school_days = {"days": ["MON", "TUE", "WED", "THU", "FRI"], "start": "07:30", "end": "17:00"}
    return [
        {
            "id": "school", "name": "Katayama primary school", "restriction": "PROHIBITED",
            "lower": {"value_m": 0.0, "datum": "AGL"}, "upper": {"value_m": 150.0, "datum": "AGL"},
            "periods": [school_days], "xy": blocks.box(*at["school"], 0, 0, 260, 190),
        },
        {
            "id": "did-centre", "name": "Densely inhabited district", "restriction": "REQ_AUTHORISATION",
            "lower": {"value_m": 0.0, "datum": "AGL"}, "upper": {"value_m": 150.0, "datum": "AGL"},
            "periods": [], "xy": district,
        },
        {
            "id": "heliport", "name": "Rescue heliport", "restriction": "PROHIBITED",
            "lower": {"value_m": 0.0, "datum": "AMSL"}, "upper": {"value_m": 300.0, "datum": "AMSL"},
            "periods": [], "xy": np.column_stack([helix + 200 * np.cos(turn), heliy + 200 * np.sin(turn)]),
        },
    ]  # fmt: skip


def make_cloud(town: Town) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points (n, 3) of the centre as photogrammetry would give them, and their classes.

    Height noise of 5 cm and more at edges, holes (the courtyard, dark roofs, water), wires as thin broken lines,
    and 0.6 % gross outliers: most a few metres around the truth, some far below the ground, some hundreds of metres
    up, and a few birds at flying height.
    """
    rng = np.random.default_rng([town.seed, 1])
    west, south, east, north = CLOUD_BOX
    x, y = rng.uniform(west, east, CLOUD_POINTS), rng.uniform(south, north, CLOUD_POINTS)
    row, column = (HEIGHT - y).astype(int), x.astype(int)
    z = town.surface[row, column].astype(np.float64)
    roof_edge = np.abs(town.surface[row, np.minimum(column + 1, WIDTH - 1)] - z) > 2
    z += rng.normal(0, 1, len(z)) * np.where(roof_edge, 0.25, 0.05)
    ground = town.surface[row, column] <= town.terrain[row, column]
    classes = np.where(ground & (rng.random(len(z)) < 0.6), 2, 1).astype(np.uint8)

    keep = ~town.dsm_holes[row, column]
    for _ in range(14):
        hx, hy = rng.uniform((west, south), (east, north))
        keep &= ((x - hx) / rng.uniform(6, 22)) ** 2 + ((y - hy) / rng.uniform(6, 16)) ** 2 > 1
    cloud = np.column_stack([x, y, z])[keep]
    classes = classes[keep]

    gross = rng.choice(len(cloud), int(0.006 * len(cloud)), replace=False)
    kind = rng.random(len(gross))
    shift = np.where(kind < 0.5, rng.uniform(1.0, 9.0, len(gross)), -rng.uniform(1.5, 45.0, len(gross)))
    shift = np.where(kind > 0.85, rng.uniform(320.0, 650.0, len(gross)), shift)
    cloud[gross, 2] += shift
    birds = rng.choice(len(cloud), 3, replace=False)
    cloud[birds, 2] = np.maximum(cloud[birds, 2], 15.0) + rng.uniform(12.0, 40.0, 3)

    strung = np.concatenate(town.wires)
    strung = strung[(rng.random(len(strung)) < 0.45)]
    inside = (strung[:, 0] > west) & (strung[:, 0] < east) & (strung[:, 1] > south) & (strung[:, 1] < north)
    strung = strung[inside] + rng.normal(0, 0.06, (int(inside.sum()), 3))
    cloud = np.concatenate([cloud, strung])
    classes = np.concatenate([classes, np.ones(len(strung), np.uint8)])
    # Neighbours beside one another: LAZ stores differences, and this halves the file
    order = np.lexsort((cloud[:, 0], (cloud[:, 1] / 2).astype(int)))
    return cloud[order], classes[order]


def write_raster(path: Path, heights: Array, holes: NDArray[np.bool_] | None = None) -> None:
    data = heights if holes is None else np.where(holes, np.float32(NODATA), heights)
    profile = {
        "driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 1, "dtype": "float32", "nodata": NODATA,
        "crs": CRS.from_string(CRS_NAME), "transform": rasterio.Affine(1, 0, WEST, 0, -1, SOUTH + HEIGHT),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 7, "predictor": 3,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(data.astype(np.float32), 1)


def write_cloud(path: Path, points: NDArray[np.float64], classes: NDArray[np.uint8]) -> None:
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.add_crs(pyproj.CRS.from_user_input(CRS_NAME))
    header.scales, header.offsets = [0.02, 0.02, 0.02], [WEST, SOUTH, 0.0]
    header.creation_date = datetime.date(2024, 5, 14)
    header.generating_software = "skyroad sample generator"
    record = laspy.ScaleAwarePointRecord.zeros(len(points), header=header)
    record.x, record.y, record.z = points[:, 0] + WEST, points[:, 1] + SOUTH, points[:, 2]
    record.classification = classes
    record.return_number[:] = 1
    record.number_of_returns[:] = 1
    las = laspy.LasData(header, record)
    las.write(str(path))


def write_geojson(path: Path, features: list[dict]) -> None:
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    path.write_text(f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n', encoding="utf-8")


def lonlat(xy: NDArray[np.float64]) -> list[list[float]]:
    to_globe = pyproj.Transformer.from_crs("EPSG:6675", "EPSG:4326", always_xy=True, allow_ballpark=False)
    lon, lat = to_globe.transform(np.asarray(xy)[:, 0] + WEST, np.asarray(xy)[:, 1] + SOUTH)
    return [[round(float(a), 8), round(float(b), 8)] for a, b in zip(lon, lat, strict=True)]


def obstacles(town: Town) -> list[dict]:
    """The power line as its owner would enter it (docs/obstacles.md): wires at two heights, three abreast; pylons."""
    line = {
        "kind": "power_line", "datum": "JGD2011", "sag_ratio": 0.024, "conductor_half_width_m": 5.2,
        "uncertainty_m": 0.5, "supports": False,
    }  # fmt: skip
    places = lonlat(town.pylons[:, :2])
    wires = [
        {
            "type": "Feature",
            "properties": {
                "id": f"line-{name}", "name": f"Power line, {name} wires", **line,
                "heights_m": [round(float(top) - drop, 2) for top in town.pylons[:, 2]],
            },
            "geometry": {"type": "LineString", "coordinates": places},
        }
        for name, drop in (("upper", 2.0), ("lower", 8.0))
    ]  # fmt: skip
    pylons = [
        {
            "type": "Feature",
            "properties": {
                "id": f"pylon-{number + 1:02d}", "kind": "mast", "height_m": round(float(top), 2), "datum": "JGD2011",
                "radius_m": 3.6, "uncertainty_m": 0.5,
            },
            "geometry": {"type": "Point", "coordinates": place},
        }
        for number, (place, top) in enumerate(zip(places, town.pylons[:, 2], strict=True))
    ]  # fmt: skip
    return wires + pylons


PAD_NAMES = {
    "hospital": "Kaga medical centre, roof",
    "station": "Station shopping centre",
    "culture-hall": "Culture hall",
    "depot": "Power company depot",
    "waterworks": "Waterworks",
    "school-gate": "Shop at the school gate",
}


def generate(seed: int, out_dir: str | os.PathLike[str]) -> Path:
    """Write the sample for a seed into a directory (made if absent); returns the directory.

    Files: ``dsm.tif``, ``dtm.tif``, ``survey_centre.laz`` and the GeoJSON files ``zones``, ``vertiports``, ``water``,
    ``obstacles``.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    town = make_town(seed)
    write_raster(out / "dsm.tif", town.raised, town.dsm_holes)
    write_raster(out / "dtm.tif", town.terrain)
    write_cloud(out / "survey_centre.laz", *make_cloud(town))

    def polygon(xy: NDArray, properties: dict) -> dict:
        ring = lonlat(xy)
        return {
            "type": "Feature",
            "properties": properties,
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }

    common = {"timezone": "Asia/Tokyo", "valid_from": None, "valid_to": None}
    zones = [polygon(z["xy"], {**{k: v for k, v in z.items() if k != "xy"}, **common}) for z in town.zones]
    write_geojson(out / "zones.geojson", zones)
    write_geojson(out / "water.geojson", [polygon(xy, {"name": name}) for name, xy in town.water])
    pads = [
        {
            "type": "Feature",
            "properties": {
                "id": name,
                "name": PAD_NAMES[name],
                "height_m": pad["height_m"],
                "datum": "JGD2011",
            },
            "geometry": {"type": "Point", "coordinates": lonlat(np.array([pad["xy"]]))[0]},
        }
        for name, pad in town.pads.items()
    ]
    write_geojson(out / "vertiports.geojson", pads)
    write_geojson(out / "obstacles.geojson", obstacles(town))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample survey of a town.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()
    out = generate(options.seed, options.out)
    for path in sorted(p for p in out.iterdir() if p.suffix in (".tif", ".laz", ".geojson")):
        print(f"{path.stat().st_size / 1e6:7.3f} MB  {path}")


if __name__ == "__main__":
    main()
