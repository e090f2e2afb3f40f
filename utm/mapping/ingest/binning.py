"""Sorting heights into the cells of a map, always to the safe side.

Kernels; arrays over the ground are ``[ix, iy]``, heights float32 metres in the map's datum, -inf or +inf where nothing
is known. Each has a slow twin in ``tests/mapping/oracles.py``.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

Heights = NDArray[np.float32]

# No fastmath: -inf and NaN carry meaning here.
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


def rounded_up(heights: ArrayLike) -> Heights:
    """Float64 heights as float32 that are never lower."""
    exact = np.asarray(heights, np.float64)
    near = exact.astype(np.float32)
    return np.where(near < exact, np.nextafter(near, np.float32(np.inf)), near)


def rounded_down(heights: ArrayLike) -> Heights:
    """Float64 heights as float32 that are never higher."""
    return -rounded_up(-np.asarray(heights, np.float64))


def spans(start_m: float, step_m: float, count: int, cell_m: float, cells: int) -> NDArray[np.int64]:
    """Which map cells each raster row or column touches along one axis.

    Args:
        start_m: the lower edge of the first one, metres from the map's edge.
        step_m: width of each, > 0.

    Returns:
        (count, 2) first cell and one past the last, clipped to the map. Touching at an edge is not touching; an edge
        within 1e-6 of a cell counts as on it, since bounds in files are rounded.
    """
    low = (start_m + step_m * np.arange(count)) / cell_m
    high = low + step_m / cell_m
    first = np.floor(low + 1e-6).astype(np.int64)
    past = np.ceil(high - 1e-6).astype(np.int64)
    return np.clip(np.stack([first, np.maximum(past, first + 1)], axis=1), 0, cells)


@_kernel
def bin_raster(values, valid, x_spans, y_spans, highest, lowest):  # type: ignore[no-untyped-def]
    """Raise ``highest`` and lower ``lowest`` by every valid raster cell, in each map cell that it touches.

    values (rows, columns) f32; valid likewise bool; x_spans (columns, 2), y_spans (rows, 2); highest, lowest (nx, ny).
    """
    for r in range(values.shape[0]):
        for c in range(values.shape[1]):
            if valid[r, c]:
                v = values[r, c]
                for ix in range(x_spans[c, 0], x_spans[c, 1]):
                    for iy in range(y_spans[r, 0], y_spans[r, 1]):
                        if v > highest[ix, iy]:
                            highest[ix, iy] = v
                        if v < lowest[ix, iy]:
                            lowest[ix, iy] = v


@_kernel
def bin_points(ix, iy, z, highest, count):  # type: ignore[no-untyped-def]
    """Raise ``highest`` to the highest point of each cell and count the points; ix, iy (n,) int, z (n,) f32."""
    for k in range(z.shape[0]):
        if z[k] > highest[ix[k], iy[k]]:
            highest[ix[k], iy[k]] = z[k]
        count[ix[k], iy[k]] += 1


@_kernel
def judge_suspects(ix, iy, z, ground, highest, below_m, gap_m, radius):  # type: ignore[no-untyped-def]
    """Which rejected returns are discarded: 0 kept as suspect, 1 below the ground, 2 alone far in the air.

    The returns come sorted by height, lowest first, and each that is kept raises ``highest`` for those after it, so
    that a chain of returns going up (a mast, a crane) is never cut. A return is alone when everything seen or kept
    before it, in the square of ``radius`` cells around, lies more than ``gap_m`` below it; ground counts as seen.

    ix, iy (n,) int; z (n,) f32 ascending; ground, highest (nx, ny) f32, highest is -inf where nothing was seen and is
    raised in place.
    """
    verdict = np.zeros(z.shape[0], np.uint8)
    for k in range(z.shape[0]):
        if z[k] < ground[ix[k], iy[k]] - below_m:
            verdict[k] = 1
            continue
        nearest = max(highest[ix[k], iy[k]], ground[ix[k], iy[k]])
        if z[k] > nearest + gap_m:
            for a in range(max(0, ix[k] - radius), min(highest.shape[0], ix[k] + radius + 1)):
                for b in range(max(0, iy[k] - radius), min(highest.shape[1], iy[k] + radius + 1)):
                    nearest = max(nearest, highest[a, b], ground[a, b])
            if z[k] > nearest + gap_m:
                verdict[k] = 2
                continue
        highest[ix[k], iy[k]] = max(highest[ix[k], iy[k]], z[k])
    return verdict


@_kernel
def _sliding_max(rows, radius):  # type: ignore[no-untyped-def]
    """Maximum over ``radius`` cells to either side along the second axis, by a monotone queue."""
    n, m = rows.shape
    out = np.empty_like(rows)
    queue = np.empty(m, np.int64)
    for i in range(n):
        head = tail = 0
        entered = 0
        for j in range(m):
            while entered < m and entered <= j + radius:
                while tail > head and rows[i, queue[tail - 1]] <= rows[i, entered]:
                    tail -= 1
                queue[tail] = entered
                tail += 1
                entered += 1
            if queue[head] < j - radius:
                head += 1
            out[i, j] = rows[i, queue[head]]
    return out


def square_max(heights: Heights, radius: int) -> Heights:
    """Highest value in the square of ``radius`` cells around each cell; (nx, ny)."""
    along = _sliding_max(np.ascontiguousarray(heights), radius)
    return np.ascontiguousarray(_sliding_max(np.ascontiguousarray(along.T), radius).T)


def highest_nearby(known: Heights, radius: int) -> Heights:
    """For each cell that is -inf: the highest known one within ``radius`` cells, twice that if none, and so on.

    Cells that are known are returned as they are. At least one must be.
    """
    filled = known.copy()
    missing = np.isneginf(filled)
    while missing.any():
        around = square_max(known, radius)
        filled[missing] = around[missing]
        missing = np.isneginf(filled)
        radius *= 2
    return filled
