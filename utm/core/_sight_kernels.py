"""Lines of sight on the bit table of walls, and what shortens a way with nothing but lines of sight.

Points are grid coordinates: voxel (i, j, k) is the closed box [i, i + 1] x [j, j + 1] x [k, k + 1]. A *scene* is the
tuple (walls, blocks, nz, margin): the table of `utm.core._walls`; the same table with 8 x 8 columns laid over each
other (what is free there is free in all 64); the number of layers; and by how much every box is taken larger. Asking
the blocks first makes a long line of sight in a city six times faster, and the bits make it four times faster than
booleans.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel
from utm.core._walls import SPAN

_SHIFT = 3  # a block is 8 x 8 columns; 4 x 4 and 16 x 16 were up to 1.7 times slower
_BLOCK = 1 << _SHIFT
_SPAN = SPAN

#: Movements of less than this (voxels) are not tried.
_STILL = 1e-4
#: Halving goes on, but not for ever, until a corner moves or could move by less than this (voxels).
_LITTLE = 0.02
_MOST_HALVINGS = 12
#: A corner that would lie on the face of a blocked voxel lies this many margins beside it.
_BESIDE = 1.5


@kernel
def overlaid(walls: Any) -> Any:
    """Bits (blocks along x, along y, words): what is blocked in any column of a block of 8 x 8."""
    nx, ny, words = walls.shape[0] - 2, walls.shape[1] - 2, walls.shape[2]
    blocks = np.zeros(((nx >> _SHIFT) + 1, (ny >> _SHIFT) + 1, words), np.int64)
    for i in range(nx):
        for j in range(ny):
            for w in range(words):
                blocks[i >> _SHIFT, j >> _SHIFT, w] |= walls[i + 1, j + 1, w]
    return blocks


@kernel
def _any(table: Any, i: int, j: int, k0: int, k1: int) -> bool:
    """Whether any of the voxels k0 ... k1 of a column of bits is set."""
    if k1 < _SPAN:
        return ((table[i, j, 0] >> (k0 + 1)) & ((np.int64(1) << (k1 - k0 + 1)) - 1)) != 0
    for w in range(k0 // _SPAN, k1 // _SPAN + 1):
        low, high = max(k0 - _SPAN * w, 0), min(k1 - _SPAN * w, _SPAN - 1)
        if (table[i, j, w] >> (low + 1)) & ((np.int64(1) << (high - low + 1)) - 1):
            return True
    return False


@kernel
def sees(scene: Any, a: Any, b: Any) -> bool:
    """Whether every voxel that the closed segment touches is free: slab by slab of one axis, strip by strip of the
    next, so that a corner that is only grazed is found by the same arithmetic as any other voxel; first for blocks of
    columns, then, where one is not free, for its columns."""
    walls, blocks, nz, margin = scene
    wider = 2 * margin  # for blocks, so that none is passed over whose columns would be asked
    nx, ny = walls.shape[0] - 2, walls.shape[1] - 2
    ax, ay, az = a[0], a[1], a[2]
    dx, dy, dz = b[0] - ax, b[1] - ay, b[2] - az
    x0, x1 = min(ax, b[0]), max(ax, b[0])
    y0, y1 = min(ay, b[1]), max(ay, b[1])
    z0, z1 = min(az, b[2]), max(az, b[2])
    # Being outside is being blocked, and a box is convex: the ends decide.
    if not (x0 > margin and y0 > margin and z0 > margin and x1 < nx - margin and y1 < ny - margin and z1 < nz - margin):
        return False
    # What hardly moves along an axis counts as still: far less than the margin.
    ix = 0.0 if abs(dx) < 1e-12 else 1.0 / dx
    iy = 0.0 if abs(dy) < 1e-12 else 1.0 / dy
    for u in range(int(x0 - wider) >> _SHIFT, (int(x1 + wider) >> _SHIFT) + 1):
        s0, s1 = 0.0, 1.0
        if ix != 0.0:
            p, q = (u * _BLOCK - wider - ax) * ix, (u * _BLOCK + _BLOCK + wider - ax) * ix
            s0, s1 = max(s0, min(p, q)), min(s1, max(p, q))
        if s0 > s1:
            continue
        p, q = ay + s0 * dy, ay + s1 * dy
        v0, v1 = int(max(min(p, q), y0) - wider) >> _SHIFT, int(min(max(p, q), y1) + wider) >> _SHIFT
        for v in range(v0, v1 + 1):
            t0, t1 = s0, s1
            if iy != 0.0:
                p, q = (v * _BLOCK - wider - ay) * iy, (v * _BLOCK + _BLOCK + wider - ay) * iy
                t0, t1 = max(t0, min(p, q)), min(t1, max(p, q))
            if t0 > t1:
                continue
            p, q = az + t0 * dz, az + t1 * dz
            k0, k1 = int(max(min(p, q), z0) - wider), min(int(min(max(p, q), z1) + wider), nz - 1)
            if not _any(blocks, u, v, k0, k1):
                continue
            p, q = ax + t0 * dx, ax + t1 * dx
            i0 = max(int(max(min(p, q), x0) - wider), u * _BLOCK)
            i1 = min(int(min(max(p, q), x1) + wider), u * _BLOCK + _BLOCK - 1)
            for i in range(i0, i1 + 1):
                r0, r1 = t0, t1
                if ix != 0.0:
                    p, q = (i - margin - ax) * ix, (i + 1 + margin - ax) * ix
                    r0, r1 = max(r0, min(p, q)), min(r1, max(p, q))
                if r0 > r1:
                    continue
                p, q = ay + r0 * dy, ay + r1 * dy
                j0 = max(int(max(min(p, q), y0) - margin), v * _BLOCK)
                j1 = min(int(min(max(p, q), y1) + margin), v * _BLOCK + _BLOCK - 1)
                for j in range(j0, j1 + 1):
                    q0, q1 = r0, r1
                    if iy != 0.0:
                        p, q = (j - margin - ay) * iy, (j + 1 + margin - ay) * iy
                        q0, q1 = max(q0, min(p, q)), min(q1, max(p, q))
                    if q0 > q1:
                        continue
                    p, q = az + q0 * dz, az + q1 * dz
                    k0, k1 = int(max(min(p, q), z0) - margin), min(int(min(max(p, q), z1) + margin), nz - 1)
                    if _any(walls, i + 1, j + 1, k0, k1):
                        return False
    return True


@kernel
def first_hidden(scene: Any, points: Any) -> int:
    """Index of the first point (n, 3) that does not see the next one; -1 when all do."""
    for n in range(len(points) - 1):
        if not sees(scene, points[n], points[n + 1]):
            return n
    return -1


@kernel
def length(points: Any, count: int) -> float:
    """Of the way through the first ``count`` points (n, 3)."""
    total = 0.0
    for n in range(count - 1):
        total += _apart(points[n], points[n + 1])
    return total


@kernel
def _apart(a: Any, b: Any) -> float:
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@kernel
def _pulled(scene: Any, points: Any) -> Any:
    """The points that remain when each is joined to a far one that it sees: first by steps that double, then by
    halving between the last that was seen and the first that was not."""
    count = len(points)
    kept = np.empty_like(points)
    kept[0] = points[0]
    used, at = 1, 0
    while at < count - 1:
        seen, hidden, stride = at + 1, count, 1
        while seen < count - 1 and hidden == count:
            trial = min(at + 2 * stride, count - 1)
            if sees(scene, points[at], points[trial]):
                seen, stride = trial, 2 * stride
            else:
                hidden = trial
        while hidden - seen > 1 and hidden < count:
            middle = (seen + hidden) // 2
            if sees(scene, points[at], points[middle]):
                seen = middle
            else:
                hidden = middle
        at = seen
        kept[used] = points[at]
        used += 1
    return kept[:used].copy()


@kernel
def pulled(scene: Any, points: Any) -> Any:
    """The string through points (n, 3), each of which sees the next, pulled from both ends: the shorter result."""
    forth = _pulled(scene, points)
    back = _pulled(scene, points[::-1].copy())
    return forth if length(forth, len(forth)) <= length(back, len(back)) else back[::-1].copy()


@kernel
def relaxed(scene: Any, points: Any, rounds: int, halvings: int, enough: float) -> Any:
    """A way (n, 3) made shorter without losing sight of the neighbours: the local optimum, nearly.

    A shortest way bends only at edges of what is blocked, and an edge of voxels runs along x, y or z. So a corner goes
    where its neighbours see each other; else it is cut back to the tangents from both, moves towards their chord until
    something is touched, and slides along the axes: the best place on a line is known (unfold the two half planes:
    similar triangles), and where it cannot be reached, halving finds how far one can go. This is repeated until a round
    gains less than ``enough`` (voxels).

    Tried without gain: corners put into the middle of long edges.
    """
    way = points.copy()
    count = len(way)
    aim = np.empty(3)
    for _ in range(rounds):
        before = length(way, count)
        n = 1
        while n < count - 1:
            a, here, b = way[n - 1], way[n], way[n + 1]
            if sees(scene, a, b):
                for m in range(n, count - 1):
                    way[m] = way[m + 1]
                count -= 1
                n = max(n - 1, 1)
                continue
            _cut(scene, a, here, b, halvings)
            _cut(scene, b, here, a, halvings)
            _towards_chord(a, here, b, aim)
            _move(scene, a, here, b, aim, halvings, -1)
            for axis in range(3):
                if _along_axis(a, here, b, axis, aim) and not _move_all(scene, a, here, b, aim):
                    _move(scene, a, here, b, aim, halvings, axis)
            n += 1
        if before - length(way, count) < enough:
            break
    return way[:count].copy()


@kernel
def _towards_chord(a: Any, here: Any, b: Any, aim: Any) -> None:
    """Into ``aim``: the point of the segment from a to b that is nearest to ``here``."""
    chord, along = 0.0, 0.0
    for c in range(3):
        chord += (b[c] - a[c]) ** 2
        along += (b[c] - a[c]) * (here[c] - a[c])
    share = min(max(along / chord, 0.0), 1.0) if chord > 0.0 else 0.0
    for c in range(3):
        aim[c] = a[c] + share * (b[c] - a[c])


@kernel
def _along_axis(a: Any, here: Any, b: Any, axis: int, aim: Any) -> bool:
    """Into ``aim``: the best corner between a and b on the line through ``here`` along an axis; whether it is
    elsewhere."""
    to_a, to_b = 0.0, 0.0
    for c in range(3):
        aim[c] = here[c]
        if c != axis:
            to_a += (here[c] - a[c]) ** 2
            to_b += (here[c] - b[c]) ** 2
    to_a, to_b = np.sqrt(to_a), np.sqrt(to_b)
    if to_a + to_b < _STILL:
        return False
    aim[axis] = (a[axis] * to_b + b[axis] * to_a) / (to_a + to_b)
    return abs(aim[axis] - here[axis]) > _STILL


@kernel
def _cut(scene: Any, a: Any, here: Any, b: Any, halvings: int) -> None:
    """Move the corner ``here`` back towards a on the segment that joins them, as far as b still sees it: what remains
    is a tangent to what hides the rest. It costs one line of sight a trial, for the segment to a was clear before."""
    trial = np.empty(3)
    low, high = 0.0, 1.0
    far = _apart(here, a)
    for n in range(_MOST_HALVINGS):
        # Where all of the first halvings fail a little may still be gained, and little by little much.
        if n >= halvings and (low > 0.0 or high * far < _LITTLE):
            break
        middle = (low + high) / 2
        for c in range(3):
            trial[c] = here[c] + middle * (a[c] - here[c])
        if sees(scene, trial, b):
            low = middle
        else:
            high = middle
    if low > 0.0:
        for c in range(3):
            trial[c] = here[c] + low * (a[c] - here[c])
        # The shorter segment differs from the old one by rounding, which the margin must still allow.
        if sees(scene, a, trial) and sees(scene, trial, b):
            here[:] = trial


@kernel
def _move_all(scene: Any, a: Any, here: Any, b: Any, aim: Any) -> bool:
    """Move the corner ``here`` to ``aim`` if that sees both neighbours."""
    if not (sees(scene, a, aim) and sees(scene, aim, b)):
        return False
    here[:] = aim
    return True


@kernel
def _move(scene: Any, a: Any, here: Any, b: Any, aim: Any, halvings: int, axis: int) -> None:
    """Move the corner ``here`` towards ``aim``, which cannot be reached, as far as halving finds; along an axis, up to
    the face of a voxel when that is where it ends."""
    if _apart(here, aim) < _STILL:
        return
    trial = np.empty(3)
    low, high = 0.0, 1.0
    for _ in range(halvings):
        middle = (low + high) / 2
        for c in range(3):
            trial[c] = here[c] + middle * (aim[c] - here[c])
        if sees(scene, a, trial) and sees(scene, trial, b):
            low = middle
        else:
            high = middle
    if axis >= 0:
        near, far = here[axis] + low * (aim[axis] - here[axis]), here[axis] + high * (aim[axis] - here[axis])
        face = np.floor(max(near, far))
        snapped = face + _BESIDE * scene[3] if near > far else face - _BESIDE * scene[3]
        # Between the two, so that it is nearer to where it is best
        if face > min(near, far) and (near - snapped if near > far else snapped - near) > _STILL:
            trial[:] = here
            trial[axis] = snapped
            if _move_all(scene, a, here, b, trial):
                return
    if low > 0.0:
        for c in range(3):
            here[c] += low * (aim[c] - here[c])
