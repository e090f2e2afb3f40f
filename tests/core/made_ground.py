"""Small ground for tests of what is measured over tiles: columns from (0, 0) on, and the same as ground."""

from __future__ import annotations

import numba
import numpy as np

from utm.core import Columns, lowest_clear
from utm.core.tiles import Ground, Tiles

CLEARANCE_M = 15.0
CEILING_M = 100.0


def examples(count: int) -> int:
    """How many examples a property is tried on: fewer where the compiler is off."""
    return max(count // 10, 3) if numba.config.DISABLE_JIT else count


def columns(rng: np.random.Generator, shape=(70, 40), cell_m: float = 8.0) -> Columns:
    """Uneven terrain, some houses, some parts that nobody saw."""
    terrain = rng.uniform(0.0, 3.0, shape).astype(np.float32)
    standing = rng.choice([0.0, 0.0, 0.0, 4.0, 15.0, 40.0], shape).astype(np.float32)
    unknown = rng.random(shape) < 0.05
    return Columns(np.zeros(2), cell_m, terrain, terrain + standing + 10.0 * unknown.astype(np.float32), unknown)


def bare(shape=(70, 40), cell_m: float = 8.0) -> Columns:
    """Level ground at 0 with nothing on it."""
    level = np.zeros(shape, np.float32)
    return Columns(np.zeros(2), cell_m, level, level, np.zeros(shape, bool))


def heights(made: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest usable height over columns."""
    return lowest_clear(made.surface_m, made.cell_m, CLEARANCE_M), made.terrain_m + CEILING_M


def ground_of(made: Columns, factor: int = 1) -> Ground:
    """All of some columns as ground."""
    tiles = Tiles(made.shape, made.cell_m, factor)
    lowest, highest = heights(made)
    side, (east, north) = tiles.side, np.array(made.shape) * made.cell_m
    for i, j in tiles.missing(np.array([[0.0, 0.0, 0.0], [east, north, 0.0]]), max(east, north)):
        cut = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
        part = Columns(
            np.array([i, j]) * tiles.side_m,
            made.cell_m,
            *(values[cut] for values in (made.terrain_m, made.surface_m, made.unknown)),
        )
        tiles.put((i, j), part, lowest[cut], highest[cut])
    return tiles.ground
