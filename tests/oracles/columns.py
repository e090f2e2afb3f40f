"""Clearance and flight space, slow and obvious: one pair of columns after the other, one voxel after the other."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray


def lowest_clear(surface_m: NDArray[np.float32], cell_m: float, clearance_m: float) -> NDArray[np.float64]:
    """By the definition: the nearest points of two squares, and the height that makes up for what they lack."""
    nx, ny = surface_m.shape
    lowest = np.full((nx, ny), -np.inf)
    for i, j in np.ndindex(nx, ny):
        to_border = cell_m * min(i, j, nx - 1 - i, ny - 1 - j)
        if to_border < clearance_m:
            lowest[i, j] = np.inf
            continue
        for a, b in np.ndindex(nx, ny):
            gap = cell_m * math.hypot(max(abs(a - i) - 1, 0), max(abs(b - j) - 1, 0))
            if gap < clearance_m:
                rise = math.sqrt(clearance_m**2 - gap**2)
                lowest[i, j] = max(lowest[i, j], float(surface_m[a, b]) + rise)
    return lowest


def blocked_voxel(columns, lowest_m, highest_m, keep_outs, cell_m, low_corner_m) -> bool:
    """Whether the voxel at a corner (east, north, up) holds a point that no rule allows."""
    east, north, up = low_corner_m
    factor = round(cell_m / columns.cell_m)
    i0 = round((east - columns.origin_m[0]) / columns.cell_m)
    j0 = round((north - columns.origin_m[1]) / columns.cell_m)
    for i, j in itertools.product(range(i0, i0 + factor), range(j0, j0 + factor)):
        if up < lowest_m[i, j] or up + cell_m > highest_m[i, j]:
            return True
        for keep_out in keep_outs:
            lower = np.broadcast_to(keep_out.lower_m, columns.shape)[i, j]
            upper = np.broadcast_to(keep_out.upper_m, columns.shape)[i, j]
            if keep_out.mask[i, j] and up < upper and up + cell_m > lower:
                return True
    return False
