"""Ground to land on, and room for straight level ways over it: what the ways out of a flight ask of the map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, read_only
from utm.core.columns import Columns
from utm.core.flightspace import KeepOut

#: By this much (columns) every column is larger than it is, so that one that is only touched counts.
_MARGIN = 1e-9


def open_ground(columns: Columns, radius_m: float, rough_m: float, cover_m: float) -> NDArray[np.bool_]:
    """Columns in whose middle something may come down: known, bare and level for ``radius_m`` around.

    Args:
        columns: the ground.
        radius_m: all that is asked holds of every column that is partly within this of the middle.
        rough_m: the surface differs by at most this.
        cover_m: the surface is less than this above the terrain.

    Returns:
        (nx, ny) booleans; False where the circle leaves the columns.

    Raises:
        ValueError: a length that is not a finite number above zero.
    """
    for name, value in (("radius_m", radius_m), ("rough_m", rough_m), ("cover_m", cover_m)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
    # A column whose middle is n columns away along one axis begins n - 1/2 columns away.
    reach = math.floor(radius_m / columns.cell_m + 0.5)
    offset = np.maximum(np.abs(np.arange(-reach, reach + 1)) - 0.5, 0.0) * columns.cell_m
    near = np.hypot(offset[:, None], offset[None, :]) <= radius_m
    usable = ~columns.unknown & (columns.surface_m - columns.terrain_m < cover_m)
    return _open(read_only(usable), read_only(columns.surface_m), read_only(np.argwhere(near) - reach), rough_m)


def triangle_clear(
    columns: Columns,
    lowest_m: NDArray[np.float32],
    highest_m: NDArray[np.float64],
    triangle_m: ArrayLike,
    low_m: float,
    high_m: float,
) -> bool:
    """Whether every height from ``low_m`` to ``high_m`` may be used over every column that a triangle touches.

    Args:
        columns: the ground.
        lowest_m: (nx, ny) lowest usable height, ``up``, as `lowest_clear` gives it.
        highest_m: (nx, ny) highest usable height, ``up``.
        triangle_m: (3, 2) corners, metres east and north; two or three of them may be one point.
        low_m: ``up``.
        high_m: ``up``, not below ``low_m``.

    Returns:
        False, too, where a part of the triangle lies beside the columns.
    """
    grid = _grid(columns, triangle_m)
    return bool(_clear(read_only(lowest_m), read_only(highest_m), grid, float(low_m), float(high_m), False))


def triangle_kept_out(columns: Columns, out: KeepOut, triangle_m: ArrayLike, low_m: float, high_m: float) -> bool:
    """Whether a keep-out takes a height between ``low_m`` and ``high_m`` over a column that a triangle touches.

    Args and errors as `triangle_clear`; ``out`` is over the same columns. What lies beside them is not looked at.
    """
    if out.mask.shape != columns.shape:
        raise ValueError(f"a keep-out must cover the columns {columns.shape}, got {out.mask.shape}")
    grid = _grid(columns, triangle_m)
    i, j = _box(grid, columns.shape)
    if i.start >= i.stop or j.start >= j.stop or not out.mask[i, j].any():
        return False
    lower, upper = (np.broadcast_to(limit, columns.shape) for limit in (out.lower_m, out.upper_m))
    # Where it takes a height nothing may be used: as if the lowest usable height there were infinite.
    taken = out.mask[i, j] & (lower[i, j] <= high_m) & (upper[i, j] >= low_m)
    lowest = np.where(taken, np.float32(np.inf), np.float32(-np.inf))
    highest = np.full(taken.shape, np.inf)
    inside = grid - (i.start, j.start)
    return not bool(_clear(read_only(lowest), read_only(highest), inside, 0.0, 0.0, True))


def _grid(columns: Columns, triangle_m: ArrayLike) -> NDArray[np.float64]:
    triangle = np.array(triangle_m, np.float64)
    if triangle.shape != (3, 2) or not np.isfinite(triangle).all():
        raise ValueError(f"a triangle must be finite numbers (3, 2), got shape {triangle.shape}")
    return (triangle - columns.origin_m) / columns.cell_m


def _box(grid: NDArray[np.float64], shape: tuple[int, int]) -> tuple[slice, slice]:
    low = np.maximum(np.floor(grid.min(axis=0) - _MARGIN).astype(int), 0)
    high = np.minimum(np.floor(grid.max(axis=0) + _MARGIN).astype(int) + 1, shape)
    return slice(low[0], high[0]), slice(low[1], high[1])


@kernel
def _open(usable: Any, surface: Any, around: Any, rough: float) -> Any:
    """Where all columns at the offsets ``around`` (n, 2) are usable and their surface (metres) spans at most rough."""
    nx, ny = surface.shape
    out = np.zeros((nx, ny), np.bool_)
    for i in range(nx):
        for j in range(ny):
            if not usable[i, j]:
                continue
            low = high = np.float64(surface[i, j])
            fits = True
            for n in range(len(around)):
                a, b = i + around[n, 0], j + around[n, 1]
                if a < 0 or b < 0 or a >= nx or b >= ny or not usable[a, b]:
                    fits = False
                    break
                low, high = min(low, np.float64(surface[a, b])), max(high, np.float64(surface[a, b]))
                if high - low > rough:
                    fits = False
                    break
            out[i, j] = fits
    return out


@kernel
def _clear(lowest: Any, highest: Any, triangle: Any, low: float, high: float, beside: bool) -> bool:
    """Whether lowest <= low and high <= highest (metres) in every unit square that meets a triangle (3, 2) in grid
    coordinates, and, unless ``beside``, the triangle does not leave the grid.

    A square meets the triangle unless an edge's normal, or an axis, tells the two apart (separating axes).
    """
    nx, ny = lowest.shape
    i0, i1 = triangle[:, 0].min() - _MARGIN, triangle[:, 0].max() + _MARGIN
    j0, j1 = triangle[:, 1].min() - _MARGIN, triangle[:, 1].max() + _MARGIN
    if not beside and (i0 < 0 or j0 < 0 or i1 >= nx or j1 >= ny):
        return False
    for i in range(max(int(np.floor(i0)), 0), min(int(np.floor(i1)) + 1, nx)):
        for j in range(max(int(np.floor(j0)), 0), min(int(np.floor(j1)) + 1, ny)):
            if lowest[i, j] <= low and high <= highest[i, j]:
                continue
            meets = True
            for n in range(3):
                m = (n + 1) % 3
                e, f = triangle[n, 1] - triangle[m, 1], triangle[m, 0] - triangle[n, 0]
                middle = (i + 0.5) * e + (j + 0.5) * f
                half = (0.5 + _MARGIN) * (abs(e) + abs(f))
                least, most = np.inf, -np.inf
                for k in range(3):
                    at = triangle[k, 0] * e + triangle[k, 1] * f
                    least, most = min(least, at), max(most, at)
                if middle + half < least or middle - half > most:
                    meets = False
                    break
            if meets:
                return False
    return True
