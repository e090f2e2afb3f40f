"""Which cells polygons, wires and discs touch, and between which heights: kernels, to the blocking side.

All coordinates are float64 metres east, north, up from the grid's south-west corner. A cell is closed and grown by
``SLACK_M``, so that a wall on the edge between two cells stands in both and no rounding loses a cell. Every kernel
writes rows (item, ix, iy, low, high), is capped at ``MAX_ROWS`` and returns a status; the function around it raises.

A polygon may have holes, any slope (upright walls included), and vertices that lie a little off its plane. The extreme
heights of its part over a cell lie on an edge, clipped to the cell, or at a corner of the cell that lies inside it: so
nothing is triangulated and nothing is sampled. At corners the height comes from the polygon's plane (Newell's normal),
widened by what its vertices lie off that plane and held within the heights of its vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from utm.errors import SurveyError
from utm.mapping.ingest.grid import Grid

#: By how much a cell is grown on every side. A metre at 100 km has rounding errors of 1e-11 m.
SLACK_M = 1e-6
MAX_ROWS = 100_000_000

# No fastmath: infinities carry meaning here.
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Rows:
    """Heights over cells, one row for each item and cell that it touches; cells lie on the grid."""

    item: NDArray[np.int64]
    ix: NDArray[np.int64]
    iy: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def polygons_to_cells(
    points: NDArray[np.float64], ring_starts: NDArray[np.int64], polygon_starts: NDArray[np.int64], grid: Grid
) -> Rows:
    """Lowest and highest height of each polygon within each cell that its plan view touches.

    Args:
        points: (n, 3), finite; ring r is ``points[ring_starts[r]:ring_starts[r + 1]]``, closed or not.
        ring_starts: (rings + 1,).
        polygon_starts: (polygons + 1,) into the rings; the first ring of a polygon is its outline, the others holes.

    Raises:
        SurveyError: more than MAX_ROWS rows.
    """
    points = np.ascontiguousarray(points, np.float64)
    rings, polygons = np.asarray(ring_starts, np.int64), np.asarray(polygon_starts, np.int64)
    return _rows(_polygons(points, rings, polygons, grid.cell_m, grid.nx, grid.ny, MAX_ROWS))


def spans_to_cells(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    radius_m: NDArray[np.float64],
    sag_m: NDArray[np.float64],
    grid: Grid,
) -> Rows:
    """Lowest and highest height of hanging spans within each cell that lies within their radius, in plan.

    The highest is that of the chord, the lowest that of a parabola ``sag_m`` below the chord in its middle: a wire
    hangs between, however warm it is. A span whose ends are one place is a disc.

    Args:
        starts: (n, 3) one end of each.
        ends: (n, 3) the other.
        radius_m: (n,) >= 0.
        sag_m: (n,) >= 0.

    Raises:
        SurveyError: more than MAX_ROWS rows.
    """
    arrays = [np.ascontiguousarray(values, np.float64) for values in (starts, ends, radius_m, sag_m)]
    return _rows(_spans(*arrays, grid.cell_m, grid.nx, grid.ny, MAX_ROWS))


def _rows(result: tuple[int, NDArray[np.int64], NDArray[np.float64]]) -> Rows:
    count, where, heights = result
    if count < 0:
        raise SurveyError(
            f"its solids touch more than {MAX_ROWS:,} cells", mend="Split the file, or give a coarser --resolution."
        )
    return Rows(where[:count, 0], where[:count, 1], where[:count, 2], heights[:count, 0], heights[:count, 1])


@_kernel
def _first_cell(low, cell_m):  # type: ignore[no-untyped-def]
    """The first of the grown cells that a place touches."""
    return int(np.floor((low - SLACK_M) / cell_m))


@_kernel
def _last_cell(high, cell_m):  # type: ignore[no-untyped-def]
    return int(np.floor((high + SLACK_M) / cell_m))


@_kernel
def _clip(a, b, low, high, t0, t1):  # type: ignore[no-untyped-def]
    """The part of [t0, t1] in which a + (b - a) t lies within [low, high]; empty when the first is larger."""
    d = b - a
    if d == 0.0:
        return (t0, t1) if low <= a <= high else (1.0, 0.0)
    u, v = (low - a) / d, (high - a) / d
    return max(t0, min(u, v)), min(t1, max(u, v))


@_kernel
def _grown(where, heights):  # type: ignore[no-untyped-def]
    """The tables with room for twice as many rows."""
    count = len(where)
    more_where, more_heights = np.empty((2 * count, 3), np.int64), np.empty((2 * count, 2), np.float64)
    more_where[:count], more_heights[:count] = where, heights
    return more_where, more_heights


@_kernel
def _plane(points, begin, end):  # type: ignore[no-untyped-def]
    """Newell's plane of a ring as (x0, y0, z0, slope east, slope north, is one)."""
    nx, ny, nz, x0, y0, z0 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    ox, oy, oz = points[begin]
    for i in range(begin, end):
        j = i + 1 if i + 1 < end else begin
        ax, ay, az = points[i, 0] - ox, points[i, 1] - oy, points[i, 2] - oz
        bx, by, bz = points[j, 0] - ox, points[j, 1] - oy, points[j, 2] - oz
        nx += (ay - by) * (az + bz)
        ny += (az - bz) * (ax + bx)
        nz += (ax - bx) * (ay + by)
        x0, y0, z0 = x0 + ax, y0 + ay, z0 + az
    n = end - begin
    is_one = abs(nz) > 1e-9 * (abs(nx) + abs(ny) + abs(nz))
    if not is_one:
        return 0.0, 0.0, 0.0, 0.0, 0.0, False
    return ox + x0 / n, oy + y0 / n, oz + z0 / n, -nx / nz, -ny / nz, True


@_kernel
def _windings(points, begin, end, x, cell_m, iy0, around):  # type: ignore[no-untyped-def]
    """Add to ``around`` (m,), for each lattice point (x, (iy0 + k) cell_m), how often a ring winds around it."""
    around[:] = 0
    for i in range(begin, end):
        j = i + 1 if i + 1 < end else begin
        ax, ay, bx, by = points[i, 0], points[i, 1], points[j, 0], points[j, 1]
        if (ax <= x) == (bx <= x):
            continue
        k = int(np.ceil((ay + (by - ay) * ((x - ax) / (bx - ax))) / cell_m)) - iy0
        if k < len(around):
            around[max(k, 0)] += 1 if ax <= x else -1
    for k in range(1, len(around)):
        around[k] += around[k - 1]


@_kernel
def _inside(points, rings, first, past, x, cell_m, iy0, around, inside):  # type: ignore[no-untyped-def]
    """Which lattice points on the line at x lie in the outline (wound around at all) and in no hole."""
    _windings(points, rings[first], rings[first + 1], x, cell_m, iy0, around)
    for k in range(len(inside)):
        inside[k] = around[k] != 0
    for r in range(first + 1, past):
        _windings(points, rings[r], rings[r + 1], x, cell_m, iy0, around)
        for k in range(len(inside)):
            inside[k] = inside[k] and around[k] == 0


@_kernel
def _edges(points, rings, first, past, x0, cell_m, iy0, low, high):  # type: ignore[no-untyped-def]
    """Widen ``low`` and ``high`` (rows from iy0 on) by every edge within the column that begins at x0."""
    for r in range(first, past):
        for i in range(rings[r], rings[r + 1]):
            j = i + 1 if i + 1 < rings[r + 1] else rings[r]
            ax, ay, az = points[i]
            bx, by, bz = points[j]
            t0, t1 = _clip(ax, bx, x0 - SLACK_M, x0 + cell_m + SLACK_M, 0.0, 1.0)
            if t0 > t1:
                continue
            y0, y1 = ay + (by - ay) * t0, ay + (by - ay) * t1
            for row in range(
                max(0, _first_cell(min(y0, y1), cell_m) - iy0),
                min(len(low) - 1, _last_cell(max(y0, y1), cell_m) - iy0) + 1,
            ):
                y = (iy0 + row) * cell_m
                u0, u1 = _clip(ay, by, y - SLACK_M, y + cell_m + SLACK_M, t0, t1)
                if u0 <= u1:
                    z0, z1 = az + (bz - az) * u0, az + (bz - az) * u1
                    low[row] = min(low[row], z0, z1)
                    high[row] = max(high[row], z0, z1)


@_kernel
def _polygons(points, rings, polygons, cell_m, nx, ny, max_rows):  # type: ignore[no-untyped-def]
    where, heights, count = np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float64), 0
    for p in range(len(polygons) - 1):
        first, past = polygons[p], polygons[p + 1]
        mine = points[rings[first] : rings[past]]
        if len(mine) == 0:
            continue
        ix0 = max(0, _first_cell(mine[:, 0].min(), cell_m))
        ix1 = min(nx - 1, _last_cell(mine[:, 0].max(), cell_m))
        iy0 = max(0, _first_cell(mine[:, 1].min(), cell_m))
        iy1 = min(ny - 1, _last_cell(mine[:, 1].max(), cell_m))
        if ix0 > ix1 or iy0 > iy1:
            continue
        lowest, highest = mine[:, 2].min(), mine[:, 2].max()
        x0, y0, z0, slope_east, slope_north, is_plane = _plane(points, rings[first], rings[first + 1])
        off = 0.0
        for k in range(len(mine)):
            off = max(off, abs(z0 + slope_east * (mine[k, 0] - x0) + slope_north * (mine[k, 1] - y0) - mine[k, 2]))
        m = iy1 - iy0 + 1
        low, high = np.empty(m, np.float64), np.empty(m, np.float64)
        around, left, right = np.empty(m + 1, np.int64), np.empty(m + 1, np.bool_), np.empty(m + 1, np.bool_)
        _inside(points, rings, first, past, ix0 * cell_m, cell_m, iy0, around, left)
        for ix in range(ix0, ix1 + 1):
            low[:], high[:] = np.inf, -np.inf
            _edges(points, rings, first, past, ix * cell_m, cell_m, iy0, low, high)
            _inside(points, rings, first, past, (ix + 1) * cell_m, cell_m, iy0, around, right)
            for side in range(2):
                inside = right if side else left
                for k in range(m + 1):
                    if not inside[k]:
                        continue
                    bottom, top = lowest, highest
                    if is_plane:
                        z = z0 + slope_east * ((ix + side) * cell_m - x0) + slope_north * ((iy0 + k) * cell_m - y0)
                        bottom, top = max(lowest, min(highest, z - off)), min(highest, max(lowest, z + off))
                    for row in range(max(0, k - 1), min(m - 1, k) + 1):
                        low[row], high[row] = min(low[row], bottom), max(high[row], top)
            left, right = right, left
            for row in range(m):
                if high[row] == -np.inf:
                    continue
                if count == len(where):
                    if count >= max_rows:
                        return -1, where, heights
                    where, heights = _grown(where, heights)
                where[count, 0], where[count, 1], where[count, 2] = p, ix, iy0 + row
                heights[count, 0], heights[count, 1] = low[row], high[row]
                count += 1
    return count, where, heights


@_kernel
def _gap_squared(px, py, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """Squared distance of a point from a rectangle."""
    dx, dy = max(x0 - px, 0.0, px - x1), max(y0 - py, 0.0, py - y1)
    return dx * dx + dy * dy


@_kernel
def _within(ax, ay, bx, by, x0, y0, x1, y1, reach):  # type: ignore[no-untyped-def]
    """Whether a segment comes within ``reach`` of a rectangle."""
    t0, t1 = _clip(ax, bx, x0, x1, 0.0, 1.0)
    t0, t1 = _clip(ay, by, y0, y1, t0, t1)
    if t0 <= t1:
        return True
    nearest = min(_gap_squared(ax, ay, x0, y0, x1, y1), _gap_squared(bx, by, x0, y0, x1, y1))
    dx, dy = bx - ax, by - ay
    length_squared = dx * dx + dy * dy
    if length_squared > 0.0:
        for corner in range(4):
            cx, cy = x0 if corner % 2 == 0 else x1, y0 if corner < 2 else y1
            t = min(1.0, max(0.0, ((cx - ax) * dx + (cy - ay) * dy) / length_squared))
            nearest = min(nearest, (ax + t * dx - cx) ** 2 + (ay + t * dy - cy) ** 2)
    return nearest <= reach * reach


@_kernel
def _spans(starts, ends, radii, sags, cell_m, nx, ny, max_rows):  # type: ignore[no-untyped-def]
    where, heights, count = np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float64), 0
    for s in range(len(starts)):
        ax, ay, az = starts[s]
        bx, by, bz = ends[s]
        reach, sag = radii[s] + SLACK_M, sags[s]
        # where the lower parabola is lowest: at the middle if the ends are level
        turn = 0.5 - (bz - az) / (8 * sag) if sag > 0 else 0.0
        for ix in range(
            max(0, _first_cell(min(ax, bx) - reach, cell_m)), min(nx - 1, _last_cell(max(ax, bx) + reach, cell_m)) + 1
        ):
            x0, x1 = ix * cell_m, (ix + 1) * cell_m
            c0, c1 = _clip(ax, bx, x0 - reach, x1 + reach, 0.0, 1.0)
            if c0 > c1:
                continue
            ya, yb = ay + (by - ay) * c0, ay + (by - ay) * c1
            for iy in range(
                max(0, _first_cell(min(ya, yb) - reach, cell_m)),
                min(ny - 1, _last_cell(max(ya, yb) + reach, cell_m)) + 1,
            ):
                y0, y1 = iy * cell_m, (iy + 1) * cell_m
                # the part of the span from which the cell lies within reach, or a little more
                t0, t1 = _clip(ay, by, y0 - reach, y1 + reach, c0, c1)
                if t0 > t1 or not _within(ax, ay, bx, by, x0, y0, x1, y1, reach):
                    continue
                low = min(az + (bz - az) * t0 - 4 * sag * t0 * (1 - t0), az + (bz - az) * t1 - 4 * sag * t1 * (1 - t1))
                if t0 < turn < t1:
                    low = min(low, az + (bz - az) * turn - 4 * sag * turn * (1 - turn))
                if count == len(where):
                    if count >= max_rows:
                        return -1, where, heights
                    where, heights = _grown(where, heights)
                where[count, 0], where[count, 1], where[count, 2] = s, ix, iy
                heights[count, 0] = low
                heights[count, 1] = max(az + (bz - az) * t0, az + (bz - az) * t1)
                count += 1
    return count, where, heights
