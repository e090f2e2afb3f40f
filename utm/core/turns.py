"""Whether the inside of a turn is clear: the arc that an aircraft flies at a corner lies in a triangle beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.flightspace import FlightSpace

#: By this much (voxels) every voxel is larger than it is, so that one that is only touched counts.
_MARGIN = 1e-9


def turns_clear(space: FlightSpace, triangles_m: ArrayLike) -> NDArray[np.bool_]:
    """Of each triangle, whether every voxel that it touches is free.

    Never says clear where it is not; a triangle that is not level is taken for as thick as it is high, and so may be
    called blocked where it is clear.

    Args:
        triangles_m: (k, 3, 3) corners, metres east, north, up, as `utm.core.tube.corner_triangles` gives them.

    Returns:
        (k,) booleans. What lies outside the flight space is blocked.
    """
    grid = space.to_grid(np.asarray(triangles_m, np.float64).reshape(-1, 3, 3))
    return np.array([_clear(space.blocked, triangle) for triangle in grid], np.bool_)


def _clear(blocked: NDArray[np.bool_], triangle: NDArray[np.float64]) -> bool:
    low = np.floor(triangle.min(axis=0) - _MARGIN).astype(int)
    high = np.floor(triangle.max(axis=0) + _MARGIN).astype(int) + 1
    if (low < 0).any() or (high > blocked.shape).any():
        return False
    i, j = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij")
    columns = np.stack([i.ravel(), j.ravel()], axis=1)
    near = columns[_touched(columns, triangle[:, :2])]
    return not blocked[near[:, 0], near[:, 1], low[2] : high[2]].any()


def _touched(columns: NDArray[np.int64], triangle: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which unit squares (n, 2) meet a triangle (3, 2): those that no normal of an edge tells apart from it (separating
    axes; those of the squares are met by the bounding box)."""
    met = np.ones(len(columns), np.bool_)
    for edge in triangle - np.roll(triangle, 1, axis=0):
        normal = np.array([-edge[1], edge[0]])
        reach = triangle @ normal
        # The middle of a square, and how far its corners are from it along the normal.
        middle = (columns + 0.5) @ normal
        half = (0.5 + _MARGIN) * np.abs(normal).sum()
        met &= (middle + half >= reach.min()) & (middle - half <= reach.max())
    return met
