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
