"""The part of a map that one aircraft may use under the rules, as voxels that are free or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, point, read_only
from utm.core.columns import Columns


@dataclass(frozen=True, slots=True, eq=False)
class KeepOut:
    """A part of the air that must not be entered: some columns, between two heights.

    Raises:
        ValueError: shapes that differ, NaN, or an upper limit below the lower one where the mask is set.
    """

    mask: NDArray[np.bool_]
    """(nx, ny) over the columns of the map window: where it applies."""
    lower_m: NDArray[np.float64] | float
    """Lower limit, ``up``: one number, or (nx, ny). ``-inf`` means from the ground."""
    upper_m: NDArray[np.float64] | float
    """Upper limit, ``up``: one number, or (nx, ny). ``inf`` means without limit."""

    def __post_init__(self) -> None:
        mask = np.array(self.mask, np.bool_)
        if mask.ndim != 2:
            raise ValueError(f"the mask of a keep-out must have shape (nx, ny), got {mask.shape}")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        for name in ("lower_m", "upper_m"):
            limit = np.array(getattr(self, name), np.float64)
            if limit.shape not in ((), mask.shape):
                raise ValueError(f"{name} must be one number or have the mask's shape {mask.shape}, got {limit.shape}")
            if np.isnan(limit).any():
                raise ValueError(f"{name} of a keep-out must not be NaN")
            limit.setflags(write=False)
            object.__setattr__(self, name, limit if limit.ndim else float(limit))
        if (np.greater(self.lower_m, self.upper_m) & mask).any():
            raise ValueError("the upper limit of a keep-out lies below its lower limit")


@dataclass(frozen=True, slots=True, eq=False)
class FlightSpace:
    """Cubic voxels over a rectangle of ground, free or blocked.

    Voxel ``(i, j, k)`` covers ``origin_m + cell_m * [i, i + 1] x [j, j + 1] x [k, k + 1]``. Grid coordinates are
    metres from the origin divided by the cell, so the voxel of a point is the floor of its grid coordinates.
    """

    origin_m: NDArray[np.float64]
    """(3,) metres east, north, up of the lowest south-west corner."""
    cell_m: float
    """Side of a voxel."""
    blocked: NDArray[np.bool_]
    """(nx, ny, nz), read-only; every point of a voxel that is not blocked may be used."""

    def __post_init__(self) -> None:
        origin = point(self.origin_m, "origin_m")
        origin.setflags(write=False)
        blocked = np.asarray(self.blocked)
        if blocked.ndim != 3 or blocked.dtype != np.bool_ or blocked.size == 0:
            raise ValueError(
                f"blocked must be a boolean array (nx, ny, nz), got {blocked.dtype} of shape {blocked.shape}"
            )
        if not (math.isfinite(self.cell_m) and self.cell_m > 0):
            raise ValueError(f"cell_m must be a finite number above zero, got {self.cell_m!r}")
        object.__setattr__(self, "origin_m", origin)
        object.__setattr__(self, "cell_m", float(self.cell_m))
        object.__setattr__(self, "blocked", read_only(blocked))

    def to_grid(self, enu_m: ArrayLike) -> NDArray[np.float64]:
        """Metres (..., 3) in the map's frame as grid coordinates (..., 3)."""
        return (np.asarray(enu_m, np.float64) - self.origin_m) / self.cell_m

    def to_enu(self, grid: ArrayLike) -> NDArray[np.float64]:
        """Grid coordinates (..., 3) as metres (..., 3) in the map's frame; the reverse of :meth:`to_grid`."""
        return self.origin_m + self.cell_m * np.asarray(grid, np.float64)

    def contains(self, enu_m: ArrayLike) -> bool:
        """Whether a point (3,) lies in the rectangle and between its lowest and highest layer."""
        grid = self.to_grid(enu_m)
        return bool(((grid >= 0) & (grid < self.blocked.shape)).all())

    def voxel(self, enu_m: ArrayLike) -> NDArray[np.int64]:
        """The voxel (3,) that holds a point (3,).

        Raises:
            ValueError: the point lies outside.
        """
        if not self.contains(enu_m):
            far = self.to_enu(self.blocked.shape)
            raise ValueError(f"{np.asarray(enu_m)} m lies outside the flight space from {self.origin_m} to {far} m")
        return np.floor(self.to_grid(enu_m)).astype(np.int64)

    def centre(self, cells: ArrayLike) -> NDArray[np.float64]:
        """Centres (..., 3) in metres of voxels (..., 3)."""
        return self.to_enu(np.asarray(cells, np.float64) + 0.5)


def flight_space(
    columns: Columns, lowest_m: ArrayLike, highest_m: ArrayLike, keep_outs: Sequence[KeepOut], cell_m: float
) -> FlightSpace:
    """Voxels of which every point may be used.

    A voxel is free only when it lies between ``lowest_m`` and ``highest_m`` of every column that it covers and
    overlaps no keep-out. So whatever stays within free voxels needs no further proof. Layers are cut at multiples
    of ``cell_m`` in the map's datum, so that two windows of one map agree. Columns at the eastern and northern
    border that do not fill a voxel are left out.

    Args:
        columns: the ground.
        lowest_m: (nx, ny) lowest usable ``up``; ``inf`` where nothing is (as `lowest_clear` says near a border).
        highest_m: (nx, ny) highest usable ``up``; ``-inf`` where nothing is.
        keep_outs: each over the same columns.
        cell_m: side of a voxel, an integer multiple of ``columns.cell_m``.

    Raises:
        ValueError: shapes that differ, NaN, a height without limit, or a cell that is not a multiple.
    """
    shape = columns.shape
    lowest = np.ascontiguousarray(lowest_m, np.float64)
    highest = np.ascontiguousarray(highest_m, np.float64)
    for name, heights, endless in (("lowest_m", lowest, -np.inf), ("highest_m", highest, np.inf)):
        if heights.shape != shape:
            raise ValueError(f"{name} must have the shape of the columns {shape}, got {heights.shape}")
        if np.isnan(heights).any() or (heights == endless).any():
            raise ValueError(f"{name} must not hold NaN or {endless}")
    factor = round(cell_m / columns.cell_m) if math.isfinite(cell_m) else 0
    if factor < 1 or not math.isclose(factor * columns.cell_m, cell_m, rel_tol=1e-9):
        raise ValueError(f"cell_m must be a multiple of the columns' {columns.cell_m} m, got {cell_m!r}")
    nx, ny = shape[0] // factor, shape[1] // factor
    if nx == 0 or ny == 0:
        raise ValueError(f"voxels of {cell_m} m do not fit into {shape} columns of {columns.cell_m} m")

    usable = lowest < highest
    base = math.floor(lowest[usable].min() / cell_m) if usable.any() else 0
    layers = max(math.ceil(highest[usable].max() / cell_m) - base, 1) if usable.any() else 1
    bottom_m = base * float(cell_m)
    blocked = np.empty((nx, ny, layers), np.bool_)
    _between(blocked, read_only(lowest), read_only(highest), factor, bottom_m, float(cell_m))
    return without(FlightSpace(np.array([*columns.origin_m, bottom_m]), cell_m, blocked), columns, keep_outs)


def without(space: FlightSpace, columns: Columns, keep_outs: Sequence[KeepOut]) -> FlightSpace:
    """A flight space less the voxels that overlap some keep-outs; the space itself where there are none.

    Args:
        columns: those that the space was made from.
        keep_outs: each over these columns.

    Raises:
        ValueError: a keep-out over other columns.
    """
    for keep_out in keep_outs:
        if keep_out.mask.shape != columns.shape:
            raise ValueError(f"a keep-out must cover the columns {columns.shape}, got {keep_out.mask.shape}")
    if not keep_outs:
        return space
    blocked, shape, factor = space.blocked.copy(), columns.shape, round(space.cell_m / columns.cell_m)
    for keep_out in keep_outs:
        # Only the part that holds something: most are small beside the window.
        rows, across = (np.flatnonzero(keep_out.mask.any(axis=axis)) for axis in (1, 0))
        if len(rows) == 0:
            continue
        low = [int(found[0]) // factor * factor for found in (rows, across)]
        part = slice(low[0], int(rows[-1]) + 1), slice(low[1], int(across[-1]) + 1)
        lower, upper = (np.array(np.broadcast_to(limit, shape)[part]) for limit in (keep_out.lower_m, keep_out.upper_m))
        mask, bottom = read_only(np.ascontiguousarray(keep_out.mask[part])), float(space.origin_m[2])
        _close(blocked, mask, lower, upper, factor, low[0] // factor, low[1] // factor, bottom, space.cell_m)
    return FlightSpace(space.origin_m, space.cell_m, blocked)


@kernel
def _between(blocked: Any, lowest: Any, highest: Any, factor: int, bottom: float, cell: float) -> None:
    """Block every voxel that does not lie between lowest and highest (metres) of all its factor x factor columns."""
    nx, ny, nz = blocked.shape
    for i in range(nx):
        for j in range(ny):
            low, high = lowest[i * factor, j * factor], highest[i * factor, j * factor]
            for a in range(i * factor, (i + 1) * factor):
                for b in range(j * factor, (j + 1) * factor):
                    low, high = max(low, lowest[a, b]), min(high, highest[a, b])
            for k in range(nz):
                blocked[i, j, k] = not (bottom + k * cell >= low and bottom + (k + 1) * cell <= high)


@kernel
def _close(
    blocked: Any, mask: Any, lower: Any, upper: Any, factor: int, i0: int, j0: int, bottom: float, cell: float
) -> None:
    """Block every voxel that overlaps the keep-out (metres) in one of its columns; the first column of the mask lies
    at the corner of voxel (i0, j0)."""
    nx, ny, nz = blocked.shape
    for a in range(min((nx - i0) * factor, mask.shape[0])):
        for b in range(min((ny - j0) * factor, mask.shape[1])):
            if mask[a, b]:
                low, high = max(lower[a, b], bottom), min(upper[a, b], bottom + nz * cell)
                # A voxel more on either side: which of them overlap is asked of the heights themselves.
                first, last = int((low - bottom) / cell) - 1, int((high - bottom) / cell) + 1
                for k in range(max(first, 0), min(last, nz - 1) + 1):
                    if bottom + k * cell < upper[a, b] and bottom + (k + 1) * cell > lower[a, b]:
                        blocked[i0 + a // factor, j0 + b // factor, k] = True
