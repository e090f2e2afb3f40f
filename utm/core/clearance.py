"""What a finished path really keeps clear of: exact distances over the columns of a map, for the answer to a plan.

The search proves that a path obeys the rules; the figures here say by how much. They are computed from the path and
the columns alone, by other means than the search's, so that one checks the other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel, read_only
from utm.core.columns import Columns


@dataclass(frozen=True, slots=True, eq=False)
class HeightProfile:
    """The ground under a path, piece by piece: one piece for each column that the path crosses."""

    start_m: NDArray[np.float64]
    """(k,) distance along the ground at which the piece begins."""
    end_m: NDArray[np.float64]
    """(k,) distance at which it ends."""
    terrain_m: NDArray[np.float64]
    """(k,) terrain of the column, up."""
    surface_m: NDArray[np.float64]
    """(k,) surface of the column, up."""
    low_m: NDArray[np.float64]
    """(k,) lowest point of the path within the piece, up."""
    high_m: NDArray[np.float64]
    """(k,) highest point of the path within the piece, up."""


def height_profile(points_m: NDArray[np.float64], columns: Columns) -> HeightProfile:
    """The columns under a path, exactly: cut at every line between two columns.

    Args:
        points_m: (n, 3) corners, metres east, north, up.
        columns: must lie under all of the path.

    Raises:
        ValueError: a part of the path is not over the columns.
    """
    origin = np.array([columns.origin_m[0], columns.origin_m[1]])
    rows: list[NDArray[np.float64]] = []
    travelled = 0.0
    for a, b in itertools.pairwise(points_m):
        length = float(np.hypot(*(b - a)[:2]))
        cuts = [np.array([0.0, 1.0])]
        for axis in range(2):
            step = b[axis] - a[axis]
            if step != 0.0:
                first, last = np.sort((np.array([a[axis], b[axis]]) - origin[axis]) / columns.cell_m)
                lines = origin[axis] + np.arange(np.ceil(first), np.floor(last) + 1) * columns.cell_m
                cuts.append((lines - a[axis]) / step)
        share = np.unique(np.clip(np.concatenate(cuts), 0.0, 1.0))
        middle = a + np.outer((share[:-1] + share[1:]) / 2, b - a)
        ix, iy = np.floor((middle[:, :2] - origin) / columns.cell_m).astype(np.int64).T
        nx, ny = columns.terrain_m.shape
        if (ix < 0).any() or (iy < 0).any() or (ix >= nx).any() or (iy >= ny).any():
            raise ValueError("a part of the path does not lie over the columns")
        up = a[2] + share * (b[2] - a[2])
        rows.append(
            np.column_stack(
                [
                    travelled + share[:-1] * length,
                    travelled + share[1:] * length,
                    columns.terrain_m[ix, iy],
                    columns.surface_m[ix, iy],
                    np.minimum(up[:-1], up[1:]),
                    np.maximum(up[:-1], up[1:]),
                ]
            )
        )
        travelled += length
    return HeightProfile(*np.ascontiguousarray(np.concatenate(rows).T))


def least_distance(points_m: NDArray[np.float64], columns: Columns, within_m: float) -> float:
    """Least distance in space from a path to any column of the surface; ``within_m`` when none is nearer.

    A column is the box over its square from far below up to its surface. The squared distance from a point moving on a
    segment to a convex box is convex in the motion, so its minimum is bracketed by golden section to a micrometre.

    Args:
        points_m: (n, 3) corners, metres.
        columns: the surface around the path; what is not there counts as absent.
        within_m: where to stop looking, metres.
    """
    return float(
        _least_distance(
            read_only(np.ascontiguousarray(points_m, np.float64)),
            read_only(columns.surface_m),
            float(columns.origin_m[0]),
            float(columns.origin_m[1]),
            float(columns.cell_m),
            float(within_m),
        )
    )


@kernel
def _box_distance(e, n, u, east, north, cell, top):
    """Metres from a point to the box [east, east + cell] x [north, north + cell] x (-inf, top]."""
    de = max(max(east - e, e - east - cell), 0.0)
    dn = max(max(north - n, n - north - cell), 0.0)
    du = max(u - top, 0.0)
    return np.sqrt(de * de + dn * dn + du * du)


@kernel
def _least_distance(points, surface, east0, north0, cell, within):
    nx, ny = surface.shape
    best = within
    for s in range(points.shape[0] - 1):
        ae, an, au = points[s, 0], points[s, 1], points[s, 2]
        be, bn, bu = points[s + 1, 0], points[s + 1, 1], points[s + 1, 2]
        length = np.sqrt((be - ae) ** 2 + (bn - an) ** 2 + (bu - au) ** 2)
        horizontal = np.sqrt((be - ae) ** 2 + (bn - an) ** 2)
        i0 = max(int(np.floor((min(ae, be) - within - east0) / cell)), 0)
        i1 = min(int(np.floor((max(ae, be) + within - east0) / cell)), nx - 1)
        j0 = max(int(np.floor((min(an, bn) - within - north0) / cell)), 0)
        j1 = min(int(np.floor((max(an, bn) + within - north0) / cell)), ny - 1)
        low = min(au, bu)
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                if low - surface[i, j] >= best:
                    continue
                east, north = east0 + i * cell, north0 + j * cell
                if horizontal > 0.0:
                    # Cheap lower bound: the cell's centre to the segment's line, less half a diagonal.
                    ce, cn = east + 0.5 * cell - ae, north + 0.5 * cell - an
                    off = abs(ce * (bn - an) - cn * (be - ae)) / horizontal - 0.7072 * cell
                    if off >= best:
                        continue
                best = min(best, _column_distance(ae, an, au, be, bn, bu, length, east, north, cell, surface[i, j]))
    return best


@kernel
def _column_distance(ae, an, au, be, bn, bu, length, east, north, cell, top):
    """Metres from the segment a-b (``length`` metres long) to the box of a column, by golden section."""
    ratio = 0.6180339887498949
    lo, hi = 0.0, 1.0
    x1, x2 = 1.0 - ratio, ratio
    f1 = _distance_at(x1, ae, an, au, be, bn, bu, east, north, cell, top)
    f2 = _distance_at(x2, ae, an, au, be, bn, bu, east, north, cell, top)
    for _ in range(100):
        if (hi - lo) * length < 1e-6:
            break
        if f1 <= f2:
            hi, x2, f2 = x2, x1, f1
            x1 = hi - ratio * (hi - lo)
            f1 = _distance_at(x1, ae, an, au, be, bn, bu, east, north, cell, top)
        else:
            lo, x1, f1 = x1, x2, f2
            x2 = lo + ratio * (hi - lo)
            f2 = _distance_at(x2, ae, an, au, be, bn, bu, east, north, cell, top)
    least = _distance_at(lo, ae, an, au, be, bn, bu, east, north, cell, top)
    for x in (hi, 0.0, 1.0):
        least = min(least, _distance_at(x, ae, an, au, be, bn, bu, east, north, cell, top))
    return least


@kernel
def _distance_at(x, ae, an, au, be, bn, bu, east, north, cell, top):
    """Metres to the box from the point at share ``x`` of the segment a-b."""
    return _box_distance(ae + x * (be - ae), an + x * (bn - an), au + x * (bu - au), east, north, cell, top)
