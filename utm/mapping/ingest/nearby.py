"""The highest (or lowest) known thing around each cell, near and far.

Near is a square of cells. Where nothing is known so near, a coarse summary of the whole map answers: blocks of
``FAR_BLOCK`` x ``FAR_BLOCK`` cells, looked through in squares of twice the distance, four times, ... until something
is found. The coarse answer covers whole blocks, so it is never on the open side of the exact one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.grid import Box
from utm.mapping.ingest.state import GROUND_CLASSIFIED, TileState

Heights = NDArray[np.float32]

#: Edge of a block in cells; a tile holds a whole number of them.
FAR_BLOCK = 16


def square_max(heights: Heights, radius: int) -> Heights:
    """Highest value in the square of ``radius`` cells around each cell; (nx, ny), -inf counts as nothing."""
    return _line_max(_line_max(heights, radius, 0), radius, 1)


def square_min(heights: Heights, radius: int) -> Heights:
    """Lowest value likewise; +inf counts as nothing."""
    return -square_max(-heights, radius)


def _line_max(heights: Heights, radius: int, axis: int) -> Heights:
    """Maxima of 1, 2, 4, ... cells, then of two that overlap: numpy alone, and three times as fast as a kernel with a
    monotone queue."""
    length = heights.shape[axis]
    radius = min(radius, length - 1)
    width = 2 * radius + 1
    edges = [(0, 0), (0, 0)]
    edges[axis] = (radius, radius)
    best = np.pad(heights, edges, constant_values=-np.inf)

    def part(array: Heights, start: int, stop: int) -> Heights:
        return array[start:stop] if axis == 0 else array[:, start:stop]

    span = 1
    while 2 * span <= width:
        many = best.shape[axis]
        best = np.maximum(part(best, 0, many - span), part(best, span, many))
        span *= 2
    return np.maximum(part(best, 0, length), part(best, width - span, width - span + length))


def summary(state: TileState, inner: Box) -> tuple[Heights, Heights]:
    """What a tile adds to `Far`: the highest seen thing and the lowest ground of each of its blocks.

    Where no surveyor gave ground, the lowest heights that were seen stand in: the ground will be filtered from them.

    Returns:
        high, low: (blocks along x, blocks along y), -inf and +inf where nothing is known.
    """
    state = state.cut(inner)
    seen = seen_heights(state)
    ground = state.ground_low
    if not (state.ground_rank >= GROUND_CLASSIFIED).any():
        ground = np.minimum(ground, state.low)
    return _blocks(seen), -_blocks(-ground)


def seen_heights(state: TileState) -> Heights:
    """Highest thing that a survey or a model of the surface knows in each cell, its ground counted in; -inf where
    there is neither.

    Wires and other things that are entered without a surface do not count, nor do suspects: they would lift half a
    city. Ground alone does not count either: it says nothing of what stands on it.
    """
    seen = np.maximum(state.base, model_heights(state))
    return np.where(np.isneginf(seen), seen, np.maximum(seen, state.ground_high))


def model_heights(state: TileState) -> Heights:
    """Highest entered thing that describes the surface of each cell; -inf where there is none."""
    top = np.full(state.base.shape, -np.inf, np.float32)
    table = state.entered[state.entered["surface"]]
    np.maximum.at(top, (table["ix"] - state.box[0], table["iy"] - state.box[1]), table["to_m"])
    return top


def _blocks(heights: Heights) -> Heights:
    nx, ny = (-(-n // FAR_BLOCK) for n in heights.shape)
    edges = [(0, nx * FAR_BLOCK - heights.shape[0]), (0, ny * FAR_BLOCK - heights.shape[1])]
    whole = np.pad(heights, edges, constant_values=-np.inf) if any(b for _, b in edges) else heights
    return np.ascontiguousarray(whole.reshape(nx, FAR_BLOCK, ny, FAR_BLOCK).max(axis=(1, 3)))


@dataclass(frozen=True, eq=False)
class Far:
    """`summary` of every tile of a map, put together: (blocks along x, blocks along y)."""

    high: Heights
    low: Heights
    _filled: dict[tuple[str, float], Heights] = field(default_factory=dict, repr=False)

    def highest(self, box: Box, near_cells: float) -> Heights:
        """Highest seen thing around each cell of a box where nothing was seen within ``near_cells``; -inf where
        nothing was seen on the whole map."""
        return self._at("high", box, near_cells)

    def lowest(self, box: Box, near_cells: float) -> Heights:
        """Lowest ground likewise; +inf where none is known on the whole map."""
        return -self._at("low", box, near_cells)

    def _at(self, name: str, box: Box, near_cells: float) -> Heights:
        key = name, near_cells
        if key not in self._filled:  # two threads may both fill it, with the same
            self._filled[key] = _spread(self.high if name == "high" else -self.low, 2 * near_cells)
        bx0, by0 = box[0] // FAR_BLOCK, box[1] // FAR_BLOCK
        blocks = self._filled[key][bx0 : -(-box[2] // FAR_BLOCK), by0 : -(-box[3] // FAR_BLOCK)]
        cells = np.repeat(np.repeat(blocks, FAR_BLOCK, axis=0), FAR_BLOCK, axis=1)
        x0, y0 = box[0] - bx0 * FAR_BLOCK, box[1] - by0 * FAR_BLOCK
        return cells[x0 : x0 + box[2] - box[0], y0 : y0 + box[3] - box[1]]


def _spread(blocks: Heights, reach: float) -> Heights:
    """For each block the highest value in a square around it, the square doubled until something lies in it.

    A cell looks at ``reach`` cells around it first. A block takes its answer only once something lies so near that
    every cell of it has found something, and takes it from all blocks at which any of them may have looked: so it
    looks at least as far as each of its cells, and finds at least as much.
    """
    filled = np.full(blocks.shape, -np.inf, np.float32)
    if np.isneginf(blocks).all():
        return filled
    missing = np.ones(blocks.shape, bool)
    while missing.any():
        surely, maybe = math.floor((reach - FAR_BLOCK + 1) / FAR_BLOCK), math.ceil(reach / FAR_BLOCK)
        if surely >= 0:
            here = missing & ~np.isneginf(square_max(blocks, surely))
            filled[here] = square_max(blocks, maybe)[here]
            missing &= ~here
        reach *= 2
    return filled
