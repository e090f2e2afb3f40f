"""Where returns prove air below a thing: a wire, a jib, a bridge.

A column of returns is solid up to its highest return. Air is claimed only where

* the returns of the column leave a stretch of levels (`LAYER_M`) empty under the upper ones and above the raster and
  the ground;
* the same levels are free in all eight columns around by the same evidence: above everything that was seen there, or
  between two of its returns. Where nothing was seen, or only a thing above, nothing is free: so the foot of a wall that
  no return shows, with the roof beside it, stays solid;
* the overhang is extended: the head of a lamp hangs in the air only because its pole was not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.binning import rounded_down, rounded_up
from utm.mapping.ingest.nearby import Heights
from utm.mapping.ingest.parameters import Parameters
from utm.mapping.ingest.state import LAYER_M, TileState

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")

#: A level bit stands for every 64th level, so a column is read only where all it saw fits below this many.
_LEVELS = 64


@dataclass(frozen=True, eq=False)
class Air:
    """Air in columns: (nx, ny), the widest stretch of each."""

    found: NDArray[np.bool_]
    below: Heights
    """Top of what stands below the air, the survey error added; -inf where there is no air."""
    above: Heights
    """Underside of what hangs above it, the survey error taken off; +inf where there is no air."""


def air_below(state: TileState, p: Parameters) -> Air:
    """Air under things in a tile with its halo. Exact but for ``overhang_reach`` + 1 cells along the edges."""
    shape = state.base.shape
    nothing = Air(np.zeros(shape, bool), np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32))
    if not (state.returns >= 2).any():
        return nothing
    first, last = seen_levels(state.base, state.low, state.levels, state.returns, state.error_m)
    solid = np.maximum(state.solid, state.ground_high)
    start, stop = free_stretches(state.base, solid, state.levels, state.returns, first, last, p.overhang_levels)
    found = extended(start, stop, p.overhang_reach, p.overhang_cells)
    error = state.error_m[found].astype(np.float64)
    nothing.below[found] = np.maximum(rounded_up(start[found] * LAYER_M + error), solid[found])
    nothing.above[found] = rounded_down(stop[found] * LAYER_M - error)
    found &= nothing.below < nothing.above  # a large error leaves no air
    nothing.below[~found], nothing.above[~found] = -np.inf, np.inf
    return Air(found, nothing.below, nothing.above)


@_kernel
def seen_levels(base, low, levels, returns, error_m):  # type: ignore[no-untyped-def]
    """Lowest and highest level of each column in which a return lies; 1 and 0 where the bits cannot say it.

    All (nx, ny). Every return lies between ``low`` and ``base``; where that is more than 64 levels, or no bit is set,
    nothing can be said.
    """
    first = np.ones(base.shape, np.int32)
    last = np.zeros(base.shape, np.int32)
    for ix in range(base.shape[0]):
        for iy in range(base.shape[1]):
            if returns[ix, iy] < 1 or levels[ix, iy] == 0 or not np.isfinite(low[ix, iy]):
                continue
            bottom = int(np.floor((np.float64(low[ix, iy]) - error_m[ix, iy]) / LAYER_M))
            top = int(np.floor(np.float64(base[ix, iy]) / LAYER_M))
            if top - bottom >= _LEVELS:
                continue
            while bottom <= top and not _bit(levels[ix, iy], bottom):
                bottom += 1
            while top >= bottom and not _bit(levels[ix, iy], top):
                top -= 1
            if bottom <= top:
                first[ix, iy] = bottom
                last[ix, iy] = top
    return first, last


@_kernel
def _bit(levels, level):  # type: ignore[no-untyped-def]
    return (levels >> np.uint64(level & 63)) & np.uint64(1) != np.uint64(0)


@_kernel
def _between(ix, iy, level, solid, levels, first, last):  # type: ignore[no-untyped-def]
    """Whether a level lies empty between returns of a column, above what is solid."""
    return first[ix, iy] < level < last[ix, iy] and level * LAYER_M >= solid[ix, iy] and not _bit(levels[ix, iy], level)


@_kernel
def _free_around(ix, iy, level, base, solid, levels, first, last):  # type: ignore[no-untyped-def]
    """Whether a level is free in the eight columns around one that is not on the edge."""
    for a in range(ix - 1, ix + 2):
        for b in range(iy - 1, iy + 2):
            if a == ix and b == iy:
                continue
            above_all = np.isfinite(base[a, b]) and level * LAYER_M >= max(base[a, b], solid[a, b])
            if not above_all and not _between(a, b, level, solid, levels, first, last):
                return False
    return True


@_kernel
def free_stretches(base, solid, levels, returns, first, last, least):  # type: ignore[no-untyped-def]
    """The widest stretch of levels of each column that is empty in it and free in the eight columns around.

    base, solid, levels, returns, first, last (nx, ny): solid is the higher of raster and ground, -inf for neither;
    first and last as `seen_levels`. A stretch has at least ``least`` levels; of equal ones the lowest is taken.

    Returns start, stop (nx, ny) i4: its first level and one past its last; both 0 where there is none.
    """
    nx, ny = base.shape
    start = np.zeros((nx, ny), np.int32)
    stop = np.zeros((nx, ny), np.int32)
    for ix in range(1, nx - 1):
        for iy in range(1, ny - 1):
            if returns[ix, iy] < 2 or last[ix, iy] - first[ix, iy] <= least:
                continue
            began = first[ix, iy] + 1
            for level in range(first[ix, iy] + 1, last[ix, iy] + 1):
                free = _between(ix, iy, level, solid, levels, first, last)
                free = free and _free_around(ix, iy, level, base, solid, levels, first, last)
                if not free:
                    if level - began >= least and level - began > stop[ix, iy] - start[ix, iy]:
                        start[ix, iy] = began
                        stop[ix, iy] = level
                    began = level + 1
    return start, stop


@_kernel
def extended(start, stop, reach, cells):  # type: ignore[no-untyped-def]
    """Which stretches belong to an overhang: at least ``cells`` columns (itself one) in the square of ``reach`` cells
    around have a stretch that overlaps it. start, stop (nx, ny) as `free_stretches`; returns (nx, ny) bool."""
    nx, ny = start.shape
    found = np.zeros((nx, ny), np.bool_)
    for ix in range(nx):
        for iy in range(ny):
            if stop[ix, iy] == start[ix, iy]:
                continue
            count = 0
            for a in range(max(0, ix - reach), min(nx, ix + reach + 1)):
                for b in range(max(0, iy - reach), min(ny, iy + reach + 1)):
                    if min(stop[a, b], stop[ix, iy]) > max(start[a, b], start[ix, iy]):
                        count += 1
                if count >= cells:
                    break
            found[ix, iy] = count >= cells
    return found
