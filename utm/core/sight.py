"""Straight lines through voxels: is the line clear, what is the least of a field along it, and which lines shorten a
way through the grid.

Everything is in grid coordinates: voxel (i, j, k) is the closed box [i, i + 1] x [j, j + 1] x [k, k + 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, point, read_only
from utm.core._sight_kernels import first_hidden, overlaid, pulled, relaxed, sees
from utm.core._walls import walls

#: By this much (voxels) every box is larger than it is. Rounding moves a crossing by less than a thousandth of it at
#: a thousand voxels, so a voxel that the line touches is never missed; one that it misses by less may be counted.
_MARGIN = 1e-9

#: Ways that are made here keep this far (voxels) from what is blocked, but at ends that are nearer. A way may bend at a
#: corner of a voxel, and without it would pass on so narrowly that no two level or vertical pieces can follow it.
KEEP_OFF = 1e-3

#: How many rounds the corners of a way are moved at most, how many halvings find the end of a movement, and which gain
#: of a round (voxels) is worth another one.
RELAXATION = (4, 4, 0.02)

#: What `utm.core._sight_kernels` calls a scene.
Scene = tuple[NDArray[np.int64], NDArray[np.int64], int, float]


def scene(table: NDArray[np.int64], layers: int) -> Scene:
    """What lines of sight are asked of, by the rule of `segment_clear`: a table of walls and what follows from it."""
    return read_only(table), read_only(overlaid(table)), layers, _MARGIN


def narrower(sight: Scene) -> Scene:
    """The same for ways that keep off what is blocked by ``KEEP_OFF``."""
    table, blocks, layers, _ = sight
    return table, blocks, layers, KEEP_OFF


def segment_clear(blocked: NDArray[np.bool_], a: ArrayLike, b: ArrayLike) -> bool:
    """Whether every voxel that a closed segment touches is free.

    Touching counts at faces, edges and corners: a segment along the edge of four voxels needs all four, and what
    lies outside the grid is blocked. The answer is exact but for a margin of 1e-9 voxel towards "not clear".

    Args:
        blocked: (nx, ny, nz) booleans.
        a: (3,) one end, grid coordinates.
        b: (3,) the other end; may equal ``a``.

    Raises:
        ValueError: not finite numbers, or not a boolean volume.
    """
    volume = _volume(blocked)
    ends = np.stack([point(a, "a"), point(b, "b")])
    if not _inside(volume.shape, ends):
        return False
    return bool(_least(read_only(volume), ends, -1.0, -1.0) > -1.0)


def segments_clear(blocked: NDArray[np.bool_], starts: ArrayLike, ends: ArrayLike) -> NDArray[np.bool_]:
    """The same of many segments at once (n,), from ``starts`` (n, 3) to ``ends`` (n, 3).

    Raises:
        ValueError: not finite numbers (n, 3) of the same shape, or not a boolean volume.
    """
    volume = _volume(blocked)
    first, last = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
    if first.ndim != 2 or first.shape[1:] != (3,) or first.shape != last.shape:
        raise ValueError(f"starts and ends must be (n, 3) alike, got {first.shape} and {last.shape}")
    segments = np.stack([first, last], axis=1)
    if not np.isfinite(segments).all():
        raise ValueError("starts and ends must be finite numbers")
    inside = ((segments > _MARGIN) & (segments < np.array(volume.shape) - _MARGIN)).all(axis=(1, 2))
    _keep_clear(read_only(volume), segments, inside)
    return inside


def least_along(values: ArrayLike, points: ArrayLike) -> float:
    """The least value that a field of voxels has along a way, over every voxel that the way touches.

    The voxels are those of `segment_clear`, so of a field that holds for the whole of every voxel (as
    `clearance_field` does) this is a bound for the whole way, between its corners too.

    Args:
        values: (nx, ny, nz) numbers.
        points: (m, 3) corners of the way, m >= 1, grid coordinates.

    Returns:
        The least value; NaN if any of the values is.

    Raises:
        ValueError: other shapes, not finite points, or a way that leaves or touches the border of the volume, for of
            what lies beyond it the field says nothing.
    """
    field, way = np.asarray(values), np.array(points, np.float64)
    if field.ndim != 3 or field.dtype.kind not in "fiu":
        raise ValueError(f"values must be numbers (nx, ny, nz), got {field.dtype} of shape {field.shape}")
    if way.ndim != 2 or way.shape[1] != 3 or len(way) == 0 or not np.isfinite(way).all():
        raise ValueError(f"points must be finite numbers (m, 3) with m >= 1, got shape {way.shape}")
    if not _inside(field.shape, way):
        raise ValueError(f"the way leaves the volume of {field.shape} voxels or touches its border")
    return float(_least(read_only(field), way, 1.0, -np.inf))


def pull_string(blocked: NDArray[np.bool_], cells: ArrayLike, start: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """A way through the grid as few straight segments, shorter and just as clear.

    The string is pulled from both ends; the shorter result is relaxed: its corners move and slide until each is
    where it is best between its neighbours, and go where the neighbours see each other. Every segment that is kept
    was tested by the rule of `segment_clear`. For many questions about one volume `AnyAnglePlanner` prepares once,
    and knows better ways than those near the cells.

    Args:
        blocked: (nx, ny, nz) booleans.
        cells: (n, 3) the voxels of a path, each a neighbour of the one before.
        start: (3,) a point in the first voxel, grid coordinates.
        goal: (3,) a point in the last voxel.

    Returns:
        (m, 3) corners in grid coordinates from ``start`` to ``goal``, m >= 2 (also when both are one point).

    Raises:
        ValueError: start or goal is not in the first or last voxel or touches a blocked one, or they do not see each
            other and the path itself is not clear (one that cuts corners cannot be).
    """
    volume = _volume(blocked)
    sight = scene(walls(volume), volume.shape[2])
    corners = corners_of(sight, cells, point(start, "start"), point(goal, "goal"))
    return string(sight, corners)


def string(sight: Scene, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners (n, 3), each of which sees the next, pulled and relaxed."""
    narrow = narrower(sight)
    way: NDArray[np.float64] = relaxed(narrow, pulled(narrow, corners), *RELAXATION)
    return way


def corners_of(
    sight: Scene, cells: ArrayLike, first: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The centres of the cells of a path (m, 3) with its ends, each of which sees the next; only the ends, if they see
    each other. Errors as `pull_string`."""
    path = path_of(cells, first, last)
    if sees(sight, first, last):
        return np.stack([first, last])
    corners = path.astype(np.float64) + 0.5
    if len(path) == 1:
        corners = np.stack([first, last])
    else:
        corners[0], corners[-1] = first, last
    broken = first_hidden(sight, corners)
    if broken >= 0:
        # The end points need not be the centres of their voxels; the way from an end by its own centre may be clear.
        corners = np.vstack([first, path + 0.5, last])
        broken = first_hidden(sight, corners)
    if broken >= 0:
        raise ValueError(f"the path is not clear between {corners[broken].tolist()} and {corners[broken + 1].tolist()}")
    return corners


def path_of(cells: ArrayLike, first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.integer]:
    """The cells of a path (n, 3) with a point in its first and one in its last cell, or ValueError."""
    path = np.asarray(cells)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) == 0 or path.dtype.kind not in "iu":
        raise ValueError(f"cells must be integers (n, 3) with n >= 1, got {path.dtype} of shape {path.shape}")
    for name, end, cell in (("start", first, path[0]), ("goal", last, path[-1])):
        if ((end < cell) | (end > cell + 1)).any():
            raise ValueError(f"the {name} {end.tolist()} does not lie in voxel {cell.tolist()} of the path")
    return path


def _volume(blocked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    volume = np.asarray(blocked)
    if volume.ndim != 3 or volume.dtype != np.bool_:
        raise ValueError(f"blocked must be a boolean array (nx, ny, nz), got {volume.dtype} of shape {volume.shape}")
    return volume


def _inside(shape: tuple[int, ...], points: NDArray[np.float64]) -> bool:
    """Whether no point is nearer to the outside than the margin; a volume is convex, so the corners decide."""
    return bool((points > _MARGIN).all() and (points < np.array(shape) - _MARGIN).all())


@kernel
def _span(p: float, d: float, low: float, high: float, t0: float, t1: float) -> Any:
    """The part of [t0, t1] in which p + t d lies in [low, high]; empty when the first exceeds the second."""
    if d == 0.0:
        return (t0, t1) if low <= p <= high else (1.0, 0.0)
    enter, leave = (low - p) / d, (high - p) / d
    if enter > leave:
        enter, leave = leave, enter
    return max(t0, enter), min(t1, leave)


@kernel
def _least(values: Any, points: Any, sign: float, enough: float) -> float:
    """The least of ``sign`` times the values of all voxels whose box, larger by the margin, meets a segment between
    consecutive points inside the volume; at ``enough`` or NaN the walk ends. Slab by slab of one axis, strip by strip
    of the next, so that a corner that is only grazed is found by the same arithmetic as any other voxel."""
    nx, ny, nz = values.shape
    least = np.inf
    for n in range(max(len(points) - 1, 1)):
        a, b = points[n], points[min(n + 1, len(points) - 1)]
        ax, ay, az = a[0], a[1], a[2]
        dx, dy, dz = b[0] - ax, b[1] - ay, b[2] - az
        i0, i1 = int(min(ax, b[0]) - _MARGIN), int(max(ax, b[0]) + _MARGIN)
        j0, j1 = int(min(ay, b[1]) - _MARGIN), int(max(ay, b[1]) + _MARGIN)
        k0, k1 = int(min(az, b[2]) - _MARGIN), int(max(az, b[2]) + _MARGIN)
        for i in range(i0, min(i1, nx - 1) + 1):
            s0, s1 = _span(ax, dx, i - _MARGIN, i + 1 + _MARGIN, 0.0, 1.0)
            if s0 > s1:
                continue
            y0, y1 = ay + s0 * dy, ay + s1 * dy
            for j in range(
                max(int(np.floor(min(y0, y1) - _MARGIN)), j0), min(int(max(y0, y1) + _MARGIN), j1, ny - 1) + 1
            ):
                t0, t1 = _span(ay, dy, j - _MARGIN, j + 1 + _MARGIN, s0, s1)
                if t0 > t1:
                    continue
                z0, z1 = az + t0 * dz, az + t1 * dz
                for k in range(
                    max(int(np.floor(min(z0, z1) - _MARGIN)), k0), min(int(max(z0, z1) + _MARGIN), k1, nz - 1) + 1
                ):
                    value = sign * values[i, j, k]
                    if not value >= least:
                        least = value
                        if not value > enough:
                            return least
    return least


@kernel
def _keep_clear(blocked: Any, segments: Any, clear: Any) -> None:
    """Of segments (n, 2, 3), grid coordinates, those marked in ``clear`` (n,) stay so where they touch only free
    voxels."""
    for n in range(len(segments)):
        if clear[n]:
            clear[n] = _least(blocked, segments[n], -1.0, -1.0) > -1.0
