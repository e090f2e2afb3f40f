"""The ground as columns, and the lowest height that keeps a clearance from all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, read_only


def _ground(values: ArrayLike, name: str) -> NDArray[np.float32]:
    array = np.array(values, np.float32)  # a copy: a frozen object must not share its memory
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (nx, ny), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite everywhere; give unknown ground an assumed height")
    array.setflags(write=False)
    return array


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
    return float(value)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A rectangle of ground as square columns: each is solid from below up to its surface.

    Raises:
        ValueError: shapes that differ, numbers that are not finite, or a surface below the terrain.
    """

    origin_m: NDArray[np.float64]
    """(2,) metres east, north of the south-west corner of column (0, 0)."""
    cell_m: float
    """Side of a column."""
    terrain_m: NDArray[np.float32]
    """(nx, ny) ``up`` of the bare ground."""
    surface_m: NDArray[np.float32]
    """(nx, ny) ``up`` of the highest thing in the column; over unknown ground the height that is assumed there."""
    unknown: NDArray[np.bool_]
    """(nx, ny) where the survey saw nothing."""

    def __post_init__(self) -> None:
        origin = np.array(self.origin_m, np.float64)
        if origin.shape != (2,) or not np.isfinite(origin).all():
            raise ValueError(f"origin_m must be two finite numbers, got {self.origin_m!r}")
        origin.setflags(write=False)
        unknown = np.array(self.unknown, np.bool_)
        unknown.setflags(write=False)
        terrain, surface = _ground(self.terrain_m, "terrain_m"), _ground(self.surface_m, "surface_m")
        if not terrain.shape == surface.shape == unknown.shape:
            raise ValueError(
                f"terrain_m, surface_m and unknown must have one shape, got {terrain.shape}, {surface.shape} and "
                f"{unknown.shape}"
            )
        if (surface < terrain).any():
            ix, iy = np.argwhere(surface < terrain)[0]
            raise ValueError(
                f"the surface lies below the terrain in column ({ix}, {iy}): {surface[ix, iy]} < {terrain[ix, iy]}"
            )
        object.__setattr__(self, "origin_m", origin)
        object.__setattr__(self, "cell_m", _positive(self.cell_m, "cell_m"))
        object.__setattr__(self, "terrain_m", terrain)
        object.__setattr__(self, "surface_m", surface)
        object.__setattr__(self, "unknown", unknown)

    @property
    def shape(self) -> tuple[int, int]:
        """(nx, ny)."""
        return self.surface_m.shape  # type: ignore[return-value]


def lowest_clear(surface_m: ArrayLike, cell_m: float, clearance_m: float) -> NDArray[np.float32]:
    """The lowest ``up`` at which every point of a column's square keeps a clearance from every column.

    The distance is three-dimensional and from box to box: between the nearest points of the two squares and, above
    the surface, vertically too. So every point of column ``i`` at or above the result is at least ``clearance_m``
    from every point of every column ``j``::

        lowest[i] = max over j with d(i, j) < clearance of  surface[j] + sqrt(clearance^2 - d(i, j)^2)

    What lies outside the array is not known: a column nearer than the clearance to the border of the array gets
    ``inf``, so the window that is handed in must reach a clearance beyond the columns that are needed.

    Args:
        surface_m: (nx, ny) ``up`` of the surface, finite.
        cell_m: side of a column.
        clearance_m: distance to keep, above zero.

    Returns:
        (nx, ny) float32 ``up``, rounded upwards where float32 does not hold it exactly; ``inf`` near the border.

    Raises:
        ValueError: numbers that are not finite, a cell or a clearance that is not above zero.

    The method is a greyscale dilation by a spherical cap. Between squares of ``n`` and ``n + 1`` columns apart lie
    ``n`` cells, so it is done as a 3 x 3 maximum followed by the cap between points; the cap's symmetry then halves
    the work in each axis.
    """
    surface = _ground(surface_m, "surface_m")
    cell = _positive(cell_m, "cell_m")
    _positive(clearance_m, "clearance_m")
    # Gaps of 0, 1, ... cells between two squares; only those below the clearance matter.
    gaps = cell * np.arange(math.ceil(clearance_m / cell) + 1, dtype=np.float64)
    squared = clearance_m * clearance_m - (gaps[:, None] ** 2 + gaps[None, :] ** 2)
    rise = np.where(squared > 0, np.sqrt(np.maximum(squared, 0)), -np.inf)
    rise[0, 0] = clearance_m
    border = math.ceil(clearance_m / cell)
    return _dilate(read_only(surface), rise, border)


@kernel
def _dilate(surface: Any, rise: Any, border: int) -> Any:
    """``out[i, j] = max surface[i + a, j + b] + rise[gap(a), gap(b)]``, with gap(a) = max(|a| - 1, 0).

    surface (nx, ny) f32 metres; rise (n, n) f64 metres, -inf where a gap is too wide; border: columns that get inf.
    """
    nx, ny = surface.shape
    reach = rise.shape[0]
    out = np.full((nx, ny), np.float32(np.inf), np.float32)
    if nx <= 2 * border or ny <= 2 * border:
        return out
    widened = np.empty((nx, ny), np.float64)
    for i in range(nx):
        low, high = max(i - 1, 0), min(i + 1, nx - 1)
        for j in range(ny):
            left, right = max(j - 1, 0), min(j + 1, ny - 1)
            top = surface[i, j]
            for a in range(low, high + 1):
                for b in range(left, right + 1):
                    top = max(top, surface[a, b])
            widened[i, j] = top
    inner = ny - 2 * border
    pair = np.empty(ny, np.float64)
    best = np.empty(inner, np.float64)
    for i in range(border, nx - border):
        best[:] = -np.inf
        for a in range(reach):
            if rise[a, 0] == -np.inf:
                break
            one, other = widened[i - a], widened[i + a]
            for j in range(ny):
                pair[j] = max(one[j], other[j])
            for b in range(reach):
                lift = rise[a, b]
                if lift == -np.inf:
                    break
                back, ahead = pair[border - b : ny - border - b], pair[border + b : ny - border + b]
                for j in range(inner):
                    best[j] = max(best[j], max(back[j], ahead[j]) + lift)
        for j in range(inner):
            rounded = np.float32(best[j])
            if rounded < best[j]:
                rounded = np.nextafter(rounded, np.float32(np.inf))
            out[i, border + j] = rounded
    return out
