"""Two guesses at a short way between points that do not see each other, for `utm.core.anyangle` to verify and relax.

Both know nothing of touching: they walk along the columns under a line, in the bit table of `utm.core._walls` or in
one word per column. What they return must be tested by lines of sight before it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel
from utm.core._walls import SPAN

_SPAN = SPAN
_FULL = ~np.uint64(0)

#: A roof counts as wider and higher than it is by this (voxels): more than `utm.core.sight.KEEP_OFF`.
_OFF = 1.5e-3
#: Rounds in which the way over the roofs is lifted over what it meets higher up (bridges, slabs).
_LIFTS = 4

#: The lattice: stations this far apart (voxels) along the line, but never more than so many; lanes beside it this far
#: apart, or more, so that there are never more than so many on a side; heights this far apart (levels). From one
#: station to the next a way changes by at most so many lanes and heights, but at the ends, where a way may have to
#: leave a street, by any. Half of these distances find nothing shorter in three times the time; twice find ways that
#: are 0.05 % longer in a third of it (city M of the benchmarks).
_STATION, _STATIONS = 12.0, 64
_LANE, _LANES = 2.0, 10
_HEIGHT = 2
_LANE_STEPS, _HEIGHT_STEPS = 3, 2
#: Ways through the lattice are stairs. What they are longer than the line by is multiplied by this: about what is left
#: of it when the stairs have been pulled straight.
_STRAIGHTENED = 0.6
#: Nodes of a station whose way is worse than that of the best by this share of what the bound allows are left out:
#: half the time for ways that are 0.003 % longer.
_BEAM = 0.3


@kernel
def _bit(walls: Any, i: int, j: int, k: int) -> bool:
    return ((walls[i + 1, j + 1, k // _SPAN] >> (k % _SPAN + 1)) & 1) != 0


@kernel
def _roof(walls: Any, i: int, j: int, low: int, high: int, nz: int) -> int:
    """The top of the highest blocked voxel of a column between two heights, and of all that is stacked upon it; -1 when
    all of them are free."""
    k = high
    while k >= low and not _bit(walls, i, j, k):
        k -= 1
    if k < low:
        return -1
    while k < nz and _bit(walls, i, j, k):
        k += 1
    return k


@kernel
def over_roofs(walls: Any, nz: int, a: Any, b: Any) -> Any:
    """The taut string (m, 3) from a to b in the vertical plane of both, over the roofs that it meets; empty when the
    string would leave the volume or an end is under a roof.

    In the plane it is the upper convex hull of the ends and of both ends of each roof. It begins as the straight line;
    whatever the string still meets (the upper of two storeys) lifts it again.
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    crossings = abs(int(b[0]) - int(a[0])) + abs(int(b[1]) - int(a[1]))
    none = np.empty((0, 3))
    hull = np.empty((2 * crossings + 4, 2))  # share of the way, height
    hull[0, 0], hull[0, 1], hull[1, 0], hull[1, 1] = 0.0, a[2], 1.0, b[2]
    corners = 2
    met = np.empty((2 * crossings + 4, 2))
    merged = np.empty((2 * len(met), 2))
    flat = np.hypot(dx, dy)
    if flat < 1.0:
        return none
    off = _OFF / flat
    for _ in range(_LIFTS):
        found = 0
        i, j = int(a[0]), int(a[1])
        east, north = dx > 0, dy > 0
        ix = abs(1.0 / dx) if abs(dx) > 1e-12 else 1e300
        iy = abs(1.0 / dy) if abs(dy) > 1e-12 else 1e300
        tx, ty = abs(i + east - a[0]) * ix, abs(j + north - a[1]) * iy
        t, at = 0.0, 0
        for step in range(crossings + 1):
            leave = 1.0 if step == crossings else min(tx, ty, 1.0)
            t0, t1 = max(t - off, 0.0), min(leave + off, 1.0)
            while at < corners - 2 and hull[at + 1, 0] <= t0:
                at += 1
            to = at
            while to < corners - 2 and hull[to + 1, 0] < t1:
                to += 1
            z0 = _height(hull, at, t0)
            z1 = _height(hull, to, t1)
            low, high = max(int(min(z0, z1)), 0), min(int(max(z0, z1)), nz - 1)
            roof = _roof(walls, i, j, low, high, nz)
            if roof >= 0:
                if roof >= nz or step == 0 or step == crossings:
                    return none
                met[found, 0], met[found, 1] = t0, roof + _OFF
                met[found + 1, 0], met[found + 1, 1] = t1, roof + _OFF
                found += 2
            t = leave
            if tx < ty:
                i += 1 if east else -1
                tx += ix
            else:
                j += 1 if north else -1
                ty += iy
        if found == 0:
            break
        corners = _hull(hull, corners, met, found, merged)
    way = np.empty((corners, 3))
    for n in range(corners):
        way[n, 0], way[n, 1], way[n, 2] = a[0] + hull[n, 0] * dx, a[1] + hull[n, 0] * dy, hull[n, 1]
    way[0], way[corners - 1] = a, b
    return way


@kernel
def _height(hull: Any, n: int, t: float) -> float:
    """Of the string between its corners n and n + 1."""
    return hull[n, 1] + (t - hull[n, 0]) * (hull[n + 1, 1] - hull[n, 1]) / (hull[n + 1, 0] - hull[n, 0])


@kernel
def _hull(hull: Any, corners: int, met: Any, found: int, merged: Any) -> int:
    """The upper convex hull of what was one and of what was met, left in ``hull``; how many corners it has."""
    # What was met overlaps by the width that roofs are given: put in order by insertion, for it nearly is.
    for n in range(1, found):
        t, z = met[n, 0], met[n, 1]
        m = n
        while m > 0 and met[m - 1, 0] > t:
            met[m] = met[m - 1]
            m -= 1
        met[m, 0], met[m, 1] = t, z
    old, new, count = 0, 0, 0
    while old < corners or new < found:
        if new == found or (old < corners and hull[old, 0] <= met[new, 0]):
            merged[count] = hull[old]
            old += 1
        else:
            merged[count] = met[new]
            new += 1
        count += 1
    kept = 0
    for n in range(count):
        t, z = merged[n, 0], merged[n, 1]
        while kept >= 2 and (hull[kept - 1, 1] - hull[kept - 2, 1]) * (t - hull[kept - 2, 0]) <= (
            z - hull[kept - 2, 1]
        ) * (hull[kept - 1, 0] - hull[kept - 2, 0]):
            kept -= 1
        if kept == 0 or t > hull[kept - 1, 0]:
            hull[kept, 0], hull[kept, 1] = t, z
            kept += 1
        elif z > hull[kept - 1, 1] and kept > 1:
            hull[kept - 1, 1] = z
    return kept


@kernel
def levels_of(walls: Any, nz: int, thick: int) -> Any:
    """One word (nx, ny) per column: bit n is set when any of the voxels n * thick ... (n + 1) * thick - 1 is blocked
    or outside."""
    nx, ny = walls.shape[0] - 2, walls.shape[1] - 2
    words = np.zeros((nx, ny), np.uint64)
    one = np.uint64(1)
    above = ~((one << np.uint64(nz)) - one) if nz < 64 else np.uint64(0)
    inner = (one << np.uint64(_SPAN)) - one
    for i in range(nx):
        for j in range(ny):
            if thick == 1:  # the words of the walls, put together
                word = above
                for w in range(walls.shape[2]):
                    part = (np.uint64(walls[i + 1, j + 1, w]) >> one) & inner
                    word |= part << np.uint64(_SPAN * w)
                words[i, j] = word
                continue
            word = np.uint64(0)
            for k in range(64 * thick):
                if k >= nz or _bit(walls, i, j, k):
                    word |= one << np.uint64(k // thick)
            words[i, j] = word
    return words


@kernel
def _met(levels: Any, ax: float, ay: float, bx: float, by: float) -> Any:
    """The levels that are not free somewhere in the columns under a line."""
    nx, ny = levels.shape
    if not (0.0 <= ax < nx and 0.0 <= bx < nx and 0.0 <= ay < ny and 0.0 <= by < ny):
        return _FULL
    dx, dy = bx - ax, by - ay
    i, j = int(ax), int(ay)
    steps = abs(int(bx) - i) + abs(int(by) - j)
    east, north = dx > 0, dy > 0
    ix = abs(1.0 / dx) if abs(dx) > 1e-12 else 1e300
    iy = abs(1.0 / dy) if abs(dy) > 1e-12 else 1e300
    tx, ty = abs(i + east - ax) * ix, abs(j + north - ay) * iy
    word = levels[i, j]
    for _ in range(steps):
        if tx < ty:
            i += 1 if east else -1
            tx += ix
        else:
            j += 1 if north else -1
            ty += iy
        if not (0 <= i < nx and 0 <= j < ny):
            return _FULL
        word |= levels[i, j]
    return word


@kernel
def _between(a: int, b: int) -> Any:
    """The bits from one level to another, both included."""
    low, high = min(a, b), max(a, b)
    return (_FULL >> np.uint64(63 - high)) & (_FULL << np.uint64(low))


@kernel
def through_lattice(levels: Any, thick: int, nz: int, a: Any, b: Any, bound: float) -> Any:
    """A way (m, 3) from a to b through a lattice of stations along the line, lanes beside it and heights, that promises
    to be shorter than ``bound`` once it is pulled and relaxed; empty when there is none.

    From station to station by dynamic programming: the columns under the line from lane to lane, laid over each other,
    say in one word at which heights one can fly there, so roofs, bridges and tunnels are all the same to it. Costs are
    what a way is longer than the line on the ground. Nodes that cannot be within the bound are left out: what remains
    is an ellipsoid.
    """
    none = np.empty((0, 3))
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    flat = np.hypot(dx, dy)
    straight = np.sqrt(flat * flat + dz * dz)
    stations = min(int(flat / _STATION + 0.5), _STATIONS)
    if stations < 2 or bound <= straight:
        return none
    step = flat / stations
    half = np.sqrt(bound * bound - straight * straight) / 2  # of the ellipsoid's width
    lane = max(_LANE, half / _LANES)
    lanes = int(half / lane)
    ox, oy = -dy / flat * lane, dx / flat * lane
    rise = float(_HEIGHT * thick)
    bottom = max(int((min(a[2], b[2]) - half) / thick), 0)
    top = min(int((max(a[2], b[2]) + half) / thick), (nz - 1) // thick)
    heights = (top - bottom) // _HEIGHT + 1
    lowest = (bottom + 0.5) * thick
    first_level, last_level = int(a[2]) // thick, int(b[2]) // thick
    allowed = bound - flat
    steps = np.empty((2 * lanes + 1, _HEIGHT_STEPS + 1))
    for p in range(2 * lanes + 1):
        for m in range(_HEIGHT_STEPS + 1):
            steps[p, m] = _longer(step, p * lane, m * rise)
    # Of this station and the next: what the way so far costs, the same with the straight rest, and the least of that.
    cost = np.full((2, 2 * lanes + 1, heights), np.inf)
    guess = np.full((2, 2 * lanes + 1, heights), np.inf)
    least = np.zeros(2)
    came = np.empty((stations, 2 * lanes + 1, heights), np.int32)
    best, last = np.inf, 0
    for s in range(stations):
        old, new = s & 1, 1 - (s & 1)
        cost[new] = np.inf
        guess[new] = np.inf
        least[new] = np.inf
        limit = least[old] + _BEAM * allowed
        x0, y0 = a[0] + s / stations * dx, a[1] + s / stations * dy
        x1, y1 = a[0] + (s + 1) / stations * dx, a[1] + (s + 1) / stations * dy
        rest = flat - (s + 1) * step
        at_start, at_end = s == 0, s == stations - 1
        for p in range(-lanes, lanes + 1):
            if at_start and p != 0:
                continue
            so_far, ahead = cost[old, p + lanes], guess[old, p + lanes]
            promising = at_start
            for m in range(heights):
                promising = promising or ahead[m] <= limit
            if not promising:
                continue
            q0, q1 = max(p - _LANE_STEPS, -lanes), min(p + _LANE_STEPS, lanes)
            if at_start:
                q0, q1 = -lanes, lanes
            if at_end:
                q0, q1 = 0, 0
            for q in range(q0, q1 + 1):
                met = _met(levels, x0 + p * ox, y0 + p * oy, x1 + q * ox, y1 + q * oy)
                if met == _FULL:
                    continue
                to = cost[new, q + lanes]
                for m in range(1 if at_start else heights):
                    here = first_level if at_start else bottom + m * _HEIGHT
                    if not at_start and not ahead[m] <= limit:
                        continue
                    if met & _between(here, here):
                        continue
                    z = a[2] if at_start else lowest + m * rise
                    if at_end:
                        total = so_far[m] + _longer(step, p * lane, b[2] - z)
                        if total < best and not met & _between(here, last_level):
                            best, last = total, (p + lanes) * heights + m
                        continue
                    n0, n1 = max(m - _HEIGHT_STEPS, 0), min(m + _HEIGHT_STEPS, heights - 1)
                    if at_start:
                        n0, n1 = 0, heights - 1
                    for n in range(n0, n1 + 1):
                        if at_start:
                            total = _longer(step, q * lane, lowest + n * rise - z)
                        else:
                            total = so_far[m] + steps[abs(q - p), abs(n - m)]
                        if total >= to[n] or met & _between(here, bottom + n * _HEIGHT):
                            continue
                        whole = total + _longer(rest, q * lane, lowest + n * rise - b[2])
                        if whole < allowed:
                            to[n] = total
                            guess[new, q + lanes, n] = whole
                            least[new] = min(least[new], whole)
                            came[s, q + lanes, n] = (p + lanes) * heights + m
    if best == np.inf:
        return none
    way = np.empty((stations + 1, 3))
    way[0], way[stations] = a, b
    for s in range(stations - 1, 0, -1):
        p, m = last // heights - lanes, last % heights
        way[s, 0], way[s, 1] = a[0] + s / stations * dx + p * ox, a[1] + s / stations * dy + p * oy
        way[s, 2] = lowest + m * rise
        last = came[s - 1, p + lanes, m]
    return way


@kernel
def _longer(along: float, beside: float, up: float) -> float:
    """By how much a step of the lattice makes a way longer that will be pulled straight."""
    return _STRAIGHTENED * (np.sqrt(along * along + beside * beside + up * up) - along)
