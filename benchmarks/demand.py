"""A town on disk and random trajectories over it, for what is measured through the whole engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from utm.mapping import CityMap
from utm.model import AIRCRAFT_CLASSES, Datum, FlightPlan, Trajectory, Waypoint

CELL_M = 4.0
WEST, SOUTH = -77_000.0, 33_500.0
QUAD = AIRCRAFT_CLASSES["quad"]
#: Of a trajectory between its pads: corners on the level part.
CORNERS = 14
#: How far pads are from the edge of the map, and things from pads, at least (metres).
_EDGE_M, _OPEN_M = 400.0, 10.0
#: Between which heights above a pad, metres, a flight cruises.
_CRUISE_M = (75.0, 110.0)


def town(folder: Path, side_m: float, *, seed: int = 5) -> CityMap:
    """A flat town of ``side_m`` squared with blocks of up to 35 m on 15 % of its ground, built as any map is."""
    from utm.mapping.ingest import build_map  # takes as long to load as all the rest, and only who builds needs it

    rng = np.random.default_rng(seed)
    cells = int(side_m / CELL_M)
    terrain = np.full((cells, cells), 10.0, np.float32)
    surface = terrain.copy()
    while (surface > terrain).mean() < 0.15:
        i, j = rng.integers(0, cells - 15, 2)
        a, b = rng.integers(3, 12, 2)
        surface[i : i + a, j : j + b] = 10.0 + rng.uniform(6.0, 35.0)
    files = [_raster(folder / f"{name}.tif", values) for name, values in (("dsm", surface), ("dtm", terrain))]
    return build_map([files[0]], folder / "map", terrain=[files[1]], resolution_m=CELL_M)


def _raster(path: Path, values: NDArray[np.float32]) -> Path:
    transform = from_origin(WEST, SOUTH + values.shape[1] * CELL_M, CELL_M, CELL_M)
    options = {"driver": "GTiff", "width": values.shape[0], "height": values.shape[1], "count": 1, "nodata": -9999.0}
    with rasterio.open(path, "w", dtype="float32", crs="EPSG:6675+6695", transform=transform, **options) as file:
        file.write(np.flipud(values.T), 1)
    return path


def pads(city_map: CityMap, count: int, rng: np.random.Generator, within_m: float | None = None) -> NDArray[np.float64]:
    """(count, 3) open places: in the middle ``within_m`` squared of the map, or all over it."""
    nx, ny = city_map.size
    side = np.array([nx, ny]) * city_map.resolution_m
    low = np.full(2, _EDGE_M) if within_m is None else (side - within_m) / 2
    found = []
    while len(found) < count:
        east, north = low + rng.random(2) * (side - 2 * low)
        around = city_map.window(east - _OPEN_M, north - _OPEN_M, east + _OPEN_M, north + _OPEN_M)
        if (around.surface_m > around.terrain_m + 0.5).any() or around.unknown.any():
            continue
        found.append((east, north, float(city_map.surface_up(east, north))))
    return np.array(found)


def asked(
    city_map: CityMap,
    places: NDArray[np.float64],
    rng: np.random.Generator,
    name: str,
    at_s: float,
    length_m: tuple[float, float],
    *,
    operator: str = "load",
) -> tuple[FlightPlan, Trajectory]:
    """A plan between two pads, and its trajectory of 20 pieces at even speeds."""
    while True:
        a, b = places[rng.integers(0, len(places), 2)]
        if length_m[0] <= np.hypot(*(b - a)[:2]) <= length_m[1]:
            break
    up = a[2] + rng.uniform(*_CRUISE_M)
    share = np.linspace(0.0, 1.0, CORNERS + 2)[:, None]
    aside = np.concatenate([[0.0], rng.normal(0.0, 10.0, CORNERS), [0.0]])[:, None]
    ahead = (b - a)[:2] / np.hypot(*(b - a)[:2])
    level = a[:2] + share * (b - a)[:2] + aside * np.array([-ahead[1], ahead[0]])
    cruise = np.column_stack([level, np.full(len(level), up)])
    points = np.vstack([a, a + (0.0, 0.0, 10.0), cruise, b + (0.0, 0.0, QUAD.slow_below_m), b])
    steps = np.diff(points, axis=0)
    seconds = np.hypot(steps[:, 0], steps[:, 1]) / (0.95 * QUAD.cruise_m_s)
    seconds[:2] = steps[:2, 2] / (0.9 * QUAD.climb_m_s)
    seconds[-2] = -steps[-2, 2] / (0.9 * QUAD.descent_m_s)
    seconds[-1] = -steps[-1, 2] / (0.9 * QUAD.landing_m_s)
    line = Trajectory(at_s + np.concatenate([[0.0], np.cumsum(seconds)]), points)
    frame = city_map.frame
    ends = [
        Waypoint(*(float(v) for v in frame.to_lonlat(p[0], p[1])), float(p[2]), Datum(frame.vertical)) for p in (a, b)
    ]
    return FlightPlan(name, operator, QUAD, *ends, at_s, at_s + 600.0), line
