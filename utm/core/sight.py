"""Straight lines through voxels: is the line clear, and which lines shorten a way through the grid.

Everything is in grid coordinates: voxel (i, j, k) is the closed box [i, i + 1] x [j, j + 1] x [k, k + 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, point, read_only

#: By this much (voxels) every box is larger than it is. Rounding moves a crossing by less than a millionth of it at
#: a thousand voxels, so a voxel that the line touches is never missed; one that it misses by less may be counted.
_MARGIN = 1e-9

#: Rounds of moving the corners of a pulled way. Each round costs a few lines of sight per corner; on city maps the
#: length settles within three or four.
_ROUNDS = 8


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
    return bool(_clear(_volume(blocked), point(a, "a"), point(b, "b")))


def pull_string(blocked: NDArray[np.bool_], cells: ArrayLike, start: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """A way through the grid as few straight segments, shorter and just as clear.

    The string is pulled from both ends; the shorter result has its corners moved towards the chord of their
    neighbours, and dropped where the neighbours see each other, until nothing moves. Every segment that is kept was
    tested by the rule of `segment_clear`.

    Args:
        blocked: (nx, ny, nz) booleans.
        cells: (n, 3) the voxels of a path, each a neighbour of the one before.
        start: (3,) a point in the first voxel, grid coordinates.
        goal: (3,) a point in the last voxel.

    Returns:
        (m, 3) corners in grid coordinates from ``start`` to ``goal``, m >= 2 (also when both are one point).

    Raises:
        ValueError: start or goal is not in the first or last voxel or touches a blocked one, or the path itself is
            not clear (a path that cuts corners cannot be).
    """
    volume = _volume(blocked)
    first, last = point(start, "start"), point(goal, "goal")
    path = np.asarray(cells)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) == 0 or path.dtype.kind not in "iu":
        raise ValueError(f"cells must be integers (n, 3) with n >= 1, got {path.dtype} of shape {path.shape}")
    for name, end, cell in (("start", first, path[0]), ("goal", last, path[-1])):
        if ((end < cell) | (end > cell + 1)).any():
            raise ValueError(f"the {name} {end.tolist()} does not lie in voxel {cell.tolist()} of the path")
    corners = path.astype(np.float64) + 0.5
    if len(path) == 1:
        corners = np.stack([first, last])
    else:
        corners[0], corners[-1] = first, last
    broken = _first_blocked(volume, corners)
    if broken >= 0:
        # The end points need not be the centres of their voxels; the way from an end by its own centre may be clear.
        corners = np.vstack([first, path + 0.5, last])
        broken = _first_blocked(volume, corners)
    if broken >= 0:
        raise ValueError(f"the path is not clear between {corners[broken].tolist()} and {corners[broken + 1].tolist()}")
    forth = corners[_pulled(volume, corners)]
    back = corners[::-1][_pulled(volume, np.ascontiguousarray(corners[::-1]))][::-1]
    shorter = min((forth, back), key=_length)
    return _tightened(volume, np.ascontiguousarray(shorter), _ROUNDS)


def _volume(blocked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    volume = np.asarray(blocked)
    if volume.ndim != 3 or volume.dtype != np.bool_:
        raise ValueError(f"blocked must be a boolean array (nx, ny, nz), got {volume.dtype} of shape {volume.shape}")
    return read_only(volume)


def _length(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


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
def _clear(blocked: Any, a: Any, b: Any) -> bool:
    """Test every voxel whose box, larger by the margin, meets the segment: slab by slab of one axis, strip by strip of
    the next, so that a corner that is only grazed is found by the same arithmetic as any other voxel."""
    nx, ny, nz = blocked.shape
    ax, ay, az = a[0], a[1], a[2]
    dx, dy, dz = b[0] - ax, b[1] - ay, b[2] - az
    i0, i1 = np.floor(min(ax, b[0]) - _MARGIN), np.floor(max(ax, b[0]) + _MARGIN)
    j0, j1 = np.floor(min(ay, b[1]) - _MARGIN), np.floor(max(ay, b[1]) + _MARGIN)
    k0, k1 = np.floor(min(az, b[2]) - _MARGIN), np.floor(max(az, b[2]) + _MARGIN)
    # Being outside is being blocked, and a box is convex: the ends decide.
    if i0 < 0 or j0 < 0 or k0 < 0 or i1 >= nx or j1 >= ny or k1 >= nz:
        return False
    for i in range(int(i0), int(i1) + 1):
        s0, s1 = _span(ax, dx, i - _MARGIN, i + 1 + _MARGIN, 0.0, 1.0)
        if s0 > s1:
            continue
        y0, y1 = ay + s0 * dy, ay + s1 * dy
        for j in range(
            int(max(np.floor(min(y0, y1) - _MARGIN), j0)), int(min(np.floor(max(y0, y1) + _MARGIN), j1)) + 1
        ):
            t0, t1 = _span(ay, dy, j - _MARGIN, j + 1 + _MARGIN, s0, s1)
            if t0 > t1:
                continue
            z0, z1 = az + t0 * dz, az + t1 * dz
            for k in range(
                int(max(np.floor(min(z0, z1) - _MARGIN), k0)), int(min(np.floor(max(z0, z1) + _MARGIN), k1)) + 1
            ):
                if blocked[i, j, k]:
                    return False
    return True


@kernel
def _first_blocked(blocked: Any, corners: Any) -> int:
    """Index of the first segment between consecutive corners that is not clear; -1 when all are."""
    for n in range(len(corners) - 1):
        if not _clear(blocked, corners[n], corners[n + 1]):
            return n
    return -1


@kernel
def _pulled(blocked: Any, corners: Any) -> Any:
    """Indices of the corners that remain when each is joined to a far one that it sees: first by steps that double,
    then by halving between the last that was seen and the first that was not."""
    count = len(corners)
    kept = np.empty(count, np.int64)
    kept[0] = 0
    used, at = 1, 0
    while at < count - 1:
        seen, hidden, stride = at + 1, count, 1
        while seen < count - 1 and hidden == count:
            trial = min(at + 2 * stride, count - 1)
            if _clear(blocked, corners[at], corners[trial]):
                seen, stride = trial, 2 * stride
            else:
                hidden = trial
        while hidden - seen > 1 and hidden < count:
            middle = (seen + hidden) // 2
            if _clear(blocked, corners[at], corners[middle]):
                seen = middle
            else:
                hidden = middle
        at = seen
        kept[used] = at
        used += 1
    return kept[:used].copy()


@kernel
def _tightened(blocked: Any, corners: Any, rounds: int) -> Any:
    """Drop corners whose neighbours see each other, and move the others towards the chord of their neighbours, by
    1, 1/2, ... 1/32 of the way, while both segments stay clear."""
    points = corners.copy()
    count = len(points)
    trial = np.empty(3)
    foot = np.empty(3)
    for _ in range(rounds):
        moved = False
        n = 1
        while n < count - 1:
            before, after = points[n - 1], points[n + 1]
            if _clear(blocked, before, after):
                for m in range(n, count - 1):
                    points[m] = points[m + 1]
                count -= 1
                moved = True
                continue
            chord, along = 0.0, 0.0
            for c in range(3):
                chord += (after[c] - before[c]) ** 2
                along += (after[c] - before[c]) * (points[n, c] - before[c])
            share = min(max(along / chord, 0.0), 1.0) if chord > 0 else 0.0
            for c in range(3):
                foot[c] = before[c] + share * (after[c] - before[c])
            fraction = 1.0
            for _halving in range(6):
                for c in range(3):
                    trial[c] = points[n, c] + fraction * (foot[c] - points[n, c])
                if _clear(blocked, before, trial) and _clear(blocked, trial, after):
                    gain = 0.0
                    for c in range(3):
                        gain += (trial[c] - points[n, c]) ** 2
                        points[n, c] = trial[c]
                    # A tenth of a voxel is worth another round; less is not.
                    moved = moved or gain > 0.01
                    break
                fraction *= 0.5
            n += 1
        if not moved:
            break
    return points[:count].copy()
