"""Reachability and bottlenecks over voxels, slow and obvious: one flood after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.core import Columns

_SIDES = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def flood(free: NDArray[np.bool_], start: tuple[int, int, int]) -> NDArray[np.bool_]:
    """All voxels that are reached from one over sides."""
    found = np.zeros(free.shape, np.bool_)
    waiting = [start] if free[start] else []
    while waiting:
        here = waiting.pop()
        if found[here]:
            continue
        found[here] = True
        for step in _SIDES:
            there = tuple(a + b for a, b in zip(here, step, strict=True))
            inside = all(0 <= a < n for a, n in zip(there, free.shape, strict=True))
            if inside and free[there] and not found[there]:
                waiting.append(there)
    return found


def bottleneck(lack: NDArray[np.float64], a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """The least threshold at which voxels that lack no more than it join two of them; inf where none does."""
    for threshold in np.unique(lack[np.isfinite(lack)]):
        if flood(lack <= threshold, a)[b]:
            return float(threshold)
    return np.inf


def clearances(columns: Columns, factor: int, base: int, layers: int, limit_m: float) -> NDArray[np.float64]:
    """Metres from every voxel to the nearest of all columns, at most a limit, and no more than to the border."""
    nx, ny = (n // factor for n in columns.shape)
    cell, out = columns.cell_m, np.empty((nx, ny, layers))
    for x, y, k in np.ndindex(out.shape):
        bottom = (base + k) * cell * factor
        best = limit_m
        for i, j in np.ndindex(columns.shape):
            east = max(i - (x + 1) * factor, x * factor - i - 1, 0) * cell
            north = max(j - (y + 1) * factor, y * factor - j - 1, 0) * cell
            above = max(bottom - float(columns.surface_m[i, j]), 0.0)
            best = min(best, float(np.sqrt(east**2 + north**2 + above**2)))
        for first, n in ((x * factor, columns.shape[0]), (y * factor, columns.shape[1])):
            best = min(best, first * cell, (n - first - factor) * cell)
        out[x, y, k] = best
    return out
