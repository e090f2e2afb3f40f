"""Seeded cities for benchmarks: the same voxels on every machine, so that figures compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Sides of a voxel, of a block between streets, and of a lot in a block, metres; heights of buildings, metres.
CELL_M = 2.0
_STREET_M = (12.0, 20.0)
_BLOCK_M = (50.0, 110.0)
_LOT_M = 24.0
_HEIGHT_M = (6.0, 60.0)
_BUILT = 0.30


@dataclass(frozen=True)
class City:
    """Voxels and the questions that are asked of them."""

    blocked: NDArray[np.bool_]
    """(nx, ny, nz)."""
    starts: NDArray[np.int64]
    """(n, 3) free voxels 16 to 50 m up."""
    goals: NDArray[np.int64]
    """(n, 3) likewise, each at least half the map from its start."""


def city(shape: tuple[int, int, int], *, seed: int, pairs: int = 50) -> City:
    """A town of boxes: 30 % of the ground built, heights 6 to 60 m uniform, streets 12 to 20 m wide."""
    rng = np.random.default_rng(seed)
    heights = _heights(shape[:2], rng)
    blocked = np.arange(shape[2])[None, None, :] * CELL_M < heights[:, :, None]
    starts, goals = _questions(blocked, pairs, rng)
    return City(blocked, starts, goals)


def city_heights(shape: tuple[int, int], *, seed: int) -> NDArray[np.float64]:
    """(nx, ny) metres: the heights of the buildings of such a town; 0 on its open ground."""
    return _heights(shape, np.random.default_rng(seed))


def under_ceiling(town: City, ceiling_m: float, *, seed: int, pairs: int = 50) -> City:
    """The same town below a ceiling, with everything grown by one voxel in every direction."""
    layers = int(ceiling_m / CELL_M)
    blocked = town.blocked[:, :, :layers]
    for axis in range(3):
        grown = blocked.copy()
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        grown[tuple(lower)] |= blocked[tuple(upper)]
        grown[tuple(upper)] |= blocked[tuple(lower)]
        blocked = grown
    starts, goals = _questions(blocked, pairs, np.random.default_rng(seed))
    return City(np.ascontiguousarray(blocked), starts, goals)


def with_overhangs(town: City, *, seed: int, pairs: int = 50) -> City:
    """The same town with 150 decks across its streets and above its roofs, air below them: 40 to 120 m long, 10 to
    20 m wide, 4 m thick, at 10 to 60 m."""
    rng = np.random.default_rng(seed)
    blocked = town.blocked.copy()
    for _ in range(150):
        sides = rng.uniform((40.0, 10.0), (120.0, 20.0))[:: rng.choice([-1, 1])]
        nx, ny = (round(side / CELL_M) for side in sides)
        x, y = rng.integers(0, (max(blocked.shape[0] - nx, 1), max(blocked.shape[1] - ny, 1)))
        z = round(rng.uniform(10.0, 60.0) / CELL_M)
        blocked[x : x + nx, y : y + ny, z : z + 2] = True
    starts, goals = _questions(blocked, pairs, rng)
    return City(blocked, starts, goals)


def _stripes(cells: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Blocks along one axis, as (first, end) cells; between them are streets."""
    blocks, at = [], 0
    while at < cells:
        end = at + round(rng.uniform(*_BLOCK_M) / CELL_M)
        blocks.append((at, min(end, cells)))
        at = end + round(rng.uniform(*_STREET_M) / CELL_M)
    return blocks


def _heights(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(nx, ny) metres: lots of the blocks are built in random order until the share is reached."""
    lot = round(_LOT_M / CELL_M)
    lots = [
        (x, min(x + lot, x1), y, min(y + lot, y1))
        for x0, x1 in _stripes(shape[0], rng)
        for y0, y1 in _stripes(shape[1], rng)
        for x in range(x0, x1, lot)
        for y in range(y0, y1, lot)
    ]
    heights, built = np.zeros(shape), 0
    for n in rng.permutation(len(lots)):
        x0, x1, y0, y1 = lots[n]
        if built >= _BUILT * heights.size:
            break
        heights[x0:x1, y0:y1] = rng.uniform(*_HEIGHT_M)
        built += (x1 - x0) * (y1 - y0)
    return heights


def _questions(
    blocked: NDArray[np.bool_], pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    low, high = round(16 / CELL_M), min(round(50 / CELL_M), blocked.shape[2])
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    while len(found) < pairs:
        ends = rng.integers((0, 0, low), (*blocked.shape[:2], high), (2, 3))
        apart = np.hypot(*(ends[1] - ends[0])[:2])
        if apart >= max(blocked.shape[:2]) / 2 and not blocked[tuple(ends.T)].any():
            found.append((ends[0], ends[1]))
    starts, goals = zip(*found, strict=True)
    return np.array(starts), np.array(goals)
