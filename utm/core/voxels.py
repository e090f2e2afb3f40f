"""Space as cubes: which of them something solid touches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, read_only


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """A box of space as cubes."""

    origin_m: NDArray[np.float64]
    """(3,) metres east, north, up of the lower south-west corner of voxel (0, 0, 0)."""
    cell_m: float
    """Edge of a voxel."""
    blocked: NDArray[np.bool_]
    """(nx, ny, nz): whether anything solid, or unknown, touches the voxel."""


def voxelise(
    surface_m: ArrayLike,
    runs: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    *,
    origin_m: ArrayLike,
    column_m: float,
    columns_per_voxel: int,
    levels: int,
) -> Voxels:
    """The voxels that anything solid touches.

    A voxel holds ``columns_per_voxel`` squared columns; it is blocked if a run in one of them has a height in common
    with it, ends included. Voxels that reach beyond the columns that are given are blocked there.

    Args:
        surface_m: (nx, ny) ``up`` to where a column is solid.
        runs: ix, iy, from_m, to_m, each (n,): ALL solid runs of the columns that hold air, in any order.
        origin_m: (3,) lower south-west corner of column (0, 0) and of the lowest voxel.
        column_m: side of a column.
        levels: number of voxels above each other.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite (``from_m`` may be -inf).
    """
    surface = np.ascontiguousarray(surface_m, np.float32)
    ix, iy = (np.ascontiguousarray(part, np.int64) for part in runs[:2])
    low, high = (np.ascontiguousarray(part, np.float32) for part in runs[2:])
    origin = np.array(origin_m, np.float64)
    if surface.ndim != 2 or surface.size == 0 or origin.shape != (3,) or columns_per_voxel < 1 or levels < 1:
        raise ValueError("needs columns (nx, ny), an origin (3,), and at least one column and one level to a voxel")
    if not (math.isfinite(column_m) and column_m > 0 and np.isfinite(origin).all()):
        raise ValueError("origin and column must be finite, the column above zero")
    if not (np.isfinite(surface).all() and np.isfinite(high).all() and (low <= high).all()):
        raise ValueError("surfaces and upper ends must be finite, lower ends below them")
    if not (ix.shape == iy.shape == low.shape == high.shape and ix.ndim == 1):
        raise ValueError("ix, iy, from_m and to_m must have one length")
    if len(ix) and (ix.min() < 0 or iy.min() < 0 or ix.max() >= surface.shape[0] or iy.max() >= surface.shape[1]):
        raise ValueError("a run lies outside the columns")
    cell = column_m * columns_per_voxel
    listed = np.zeros(surface.shape, np.bool_)
    listed[ix, iy] = True
    blocked = _fill(
        read_only(surface), read_only(listed), read_only(ix), read_only(iy), read_only(low), read_only(high),
        int(columns_per_voxel), float(origin[2]), float(cell), int(levels),
    )  # fmt: skip
    return Voxels(origin, cell, blocked)


@kernel
def _fill(
    surface: Any, listed: Any, ix: Any, iy: Any, low: Any, high: Any, ratio: int, base: float, cell: float, levels: int
) -> Any:
    """Blocked voxels (ceil(nx / ratio), ceil(ny / ratio), levels).

    surface (nx, ny) f32 metres; listed (nx, ny) bool: columns that the runs describe instead; ix, iy (n,) i64; low,
    high (n,) f32 metres; base, cell metres: level k reaches from base + k * cell to base + (k + 1) * cell, as float64
    says it. Every number of steps is bounded by the arrays.
    """
    nx, ny = surface.shape
    across, along = (nx + ratio - 1) // ratio, (ny + ratio - 1) // ratio
    blocked = np.zeros((across, along, levels), np.bool_)
    # All columns of a voxel that are solid from below: only the highest counts
    for vx in range(across):
        for vy in range(along):
            top = -np.inf
            if (vx + 1) * ratio > nx or (vy + 1) * ratio > ny:
                top = np.inf
            for i in range(vx * ratio, min((vx + 1) * ratio, nx)):
                for j in range(vy * ratio, min((vy + 1) * ratio, ny)):
                    if not listed[i, j] and surface[i, j] > top:
                        top = surface[i, j]
            for k in range(levels):
                if base + k * cell > top:
                    break
                blocked[vx, vy, k] = True
    for n in range(ix.size):
        vx, vy = ix[n] // ratio, iy[n] // ratio
        first = 0
        if low[n] > base:
            # one lower than the quotient says: division rounds, and a run that ends on a face touches both sides
            first = max(0, int(min((low[n] - base) / cell, float(levels))) - 2)
        for k in range(first, levels):
            if base + k * cell > high[n]:
                break
            if base + (k + 1) * cell >= low[n]:
                blocked[vx, vy, k] = True
    return blocked
