"""Kernels of `utm.core.encounters`: where drones will be, and which of them come near to each other.

Everything is counted from now, in slots of ``step`` seconds. In a slot every drone flies straight and evenly, and how
far it may be from there is one number horizontally and one vertically, taken at the end of the slot, for it only grows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from utm.core._jit import kernel

#: Slots that are swept together: boxes of that much flight are what is sorted.
_CHUNK = 5
#: Nearer by less than this (shares of the limits) is not nearer: of equally near moments the first counts.
_SAME = 1e-9


@kernel
def _on_line(times: Any, points: Any, first: int, end: int, t: float, axis: int) -> float:
    """The place (metres along one axis) on a line at t (s): knots [first, end); at rest before and after."""
    if t <= times[first]:
        return points[first, axis]
    if t >= times[end - 1]:
        return points[end - 1, axis]
    low, high = first, end - 1
    while high - low > 1:
        middle = (low + high) // 2
        if times[middle] <= t:
            low = middle
        else:
            high = middle
    share = (t - times[low]) / (times[high] - times[low])
    return points[low, axis] + share * (points[high, axis] - points[low, axis])


@kernel
def predict(
    seen: Any,
    place: Any,
    velocity: Any,
    first: Any,
    times: Any,
    points: Any,
    late: Any,
    error: Any,
    drift: Any,
    most: Any,
    step: float,
    back: float,
    path: Any,
    bend: Any,
    reach: Any,
) -> None:
    """Fill in where n drones will be in m slots.

    seen (n,) s of the report from now, place, velocity (n, 3); first (n + 1,) where the knots of each drone's granted
    line begin in times (k,) s from now and points (k, 3), none for those that fly straight on; late (n,) s; error,
    drift (m/s2), most (n, 2) horizontally and vertically. A drone is back on its line ``back`` s after its report.
    path (n, m + 1, 3): places at the ends of the slots. bend (n, m, 2): how far the motion is from straight in a slot,
    at most. reach (n, m, 2): bend and uncertainty together.
    """
    slots = path.shape[1] - 1
    for i in range(len(seen)):
        begin, end = first[i], first[i + 1]
        on_line = end > begin
        for axis in range(3):
            off = place[i, axis] - _on_line(times, points, begin, end, seen[i] - late[i], axis) if on_line else 0.0
            for k in range(slots + 1):
                t = k * step
                if on_line:
                    left = min(max(1.0 - (t - seen[i]) / back, 0.0), 1.0)
                    path[i, k, axis] = _on_line(times, points, begin, end, t - late[i], axis) + left * off
                else:
                    path[i, k, axis] = place[i, axis] + velocity[i, axis] * (t - seen[i])
        for k in range(slots):
            bend[i, k, 0], bend[i, k, 1] = 0.0, 0.0
        if on_line:
            # Where the motion has a corner in a slot: at knots of the line, and where the drone is back on it.
            for knot in range(begin - 2, end):
                t = times[knot] + late[i] if knot >= begin else seen[i] + (back if knot == begin - 1 else 0.0)
                k = math.floor(t / step)
                if k < 0 or k >= slots:
                    continue
                share = t / step - k
                left = min(max(1.0 - (t - seen[i]) / back, 0.0), 1.0)
                gap = np.empty(3)
                for axis in range(3):
                    off = place[i, axis] - _on_line(times, points, begin, end, seen[i] - late[i], axis)
                    there = _on_line(times, points, begin, end, t - late[i], axis) + left * off
                    gap[axis] = there - (path[i, k, axis] + share * (path[i, k + 1, axis] - path[i, k, axis]))
                bend[i, k, 0] = max(bend[i, k, 0], math.hypot(gap[0], gap[1]))
                bend[i, k, 1] = max(bend[i, k, 1], abs(gap[2]))
        for k in range(slots):
            age = max((k + 1) * step - seen[i], 0.0)
            for way in range(2):
                grown = min(error[i, way] + 0.5 * drift[i, way] * age * age, max(most[i, way], error[i, way]))
                reach[i, k, way] = grown + bend[i, k, way]


@kernel
def _measure(x: float, y: float, z: float, horizontal: float, vertical: float) -> float:
    """How near: the distances as shares of their limits, the larger of them. Below 1 is too near."""
    return max(math.sqrt(x * x + y * y) / horizontal, abs(z) / vertical)


@kernel
def _least(a0: Any, a1: Any, b0: Any, b1: Any, horizontal: float, vertical: float) -> Any:
    """(least measure, share of the slot at which) of two drones that fly from a0 to a1 and from b0 to b1 (metres).

    The larger of two convex functions is least where one of them is, where they are equal, or at an end.
    """
    x, y, z = a0[0] - b0[0], a0[1] - b0[1], a0[2] - b0[2]
    dx, dy, dz = a1[0] - b1[0] - x, a1[1] - b1[1] - y, a1[2] - b1[2] - z
    best, at = _measure(x, y, z, horizontal, vertical), 0.0
    square = dx * dx + dy * dy
    tries = np.empty(7)
    count = 0
    if square > 0.0:
        tries[count] = -(x * dx + y * dy) / square
        count += 1
    if dz != 0.0:
        tries[count] = -z / dz
        count += 1
    # |(x, y)| / horizontal = |z| / vertical: a quadratic.
    h2, v2 = horizontal * horizontal, vertical * vertical
    two = square / h2 - dz * dz / v2
    one = (x * dx + y * dy) / h2 - z * dz / v2
    none = (x * x + y * y) / h2 - z * z / v2
    root = one * one - two * none
    if root >= 0.0:
        # The stable form: the root of larger size first, the other from their product.
        large = -(one + math.copysign(math.sqrt(root), one))
        if two != 0.0:
            tries[count] = large / two
            count += 1
        if large != 0.0:
            tries[count] = none / large
            count += 1
    tries[count] = 1.0
    count += 1
    for n in range(count):
        s = tries[n]
        if 0.0 < s <= 1.0:
            near = _measure(x + s * dx, y + s * dy, z + s * dz, horizontal, vertical)
            if near < best - _SAME or (near < best and s < at):
                best, at = near, s
    return best, at


@kernel
def _beside(p: Any, q: Any, k: int, limit: float, axis: int) -> bool:
    """Whether two drones are farther apart than a limit along one axis for all of slot k."""
    low, high = p[k, axis] - q[k, axis], p[k + 1, axis] - q[k + 1, axis]
    return min(low, high) > limit or max(low, high) < -limit


@kernel
def _slot(p: Any, q: Any, ep: Any, eq: Any, k: int, horizontal: float, vertical: float) -> float:
    """The least measure in slot k, with the uncertainty of both; 2 where it is certainly above 1."""
    wide, tall = horizontal + (ep[k, 0] + eq[k, 0]), vertical + (ep[k, 1] + eq[k, 1])
    if _beside(p, q, k, wide, 0) or _beside(p, q, k, wide, 1) or _beside(p, q, k, tall, 2):
        return 2.0
    return _least(p[k], p[k + 1], q[k], q[k + 1], wide, tall)[0]


@kernel
def pairs(path: Any, reach: Any, slots: int, horizontal: float, vertical: float, out: Any) -> int:
    """Pairs (i, j), i < j, that may come too near in the first ``slots`` slots, with the uncertainty of both.

    path (n, m + 1, 3), reach (n, m, 2), metres. out (capacity, 2) is filled as far as it reaches; a pair may come
    several times. Returns how many there are. Sort and sweep (Baraff, 1992) over boxes of a few slots of flight.
    """
    n = len(path)
    count = 0
    low, high = np.empty((3, n)), np.empty((3, n))
    for begin in range(0, slots, _CHUNK):
        end = min(begin + _CHUNK, slots)
        for i in range(n):
            # It only grows, but for the bends.
            wide, tall = 0.0, 0.0
            for k in range(begin, end):
                wide, tall = max(wide, reach[i, k, 0]), max(tall, reach[i, k, 1])
            for axis in range(3):
                room = horizontal / 2 + wide if axis < 2 else vertical / 2 + tall
                least, most = path[i, begin, axis], path[i, begin, axis]
                for k in range(begin + 1, end + 1):
                    least, most = min(least, path[i, k, axis]), max(most, path[i, k, axis])
                low[axis, i], high[axis, i] = least - room, most + room
        # Along the axis over which they are spread the most, seen from the boxes' size.
        across = 0
        if low[1].max() - low[1].min() > low[0].max() - low[0].min():
            across = 1
        beside = 1 - across
        order = np.argsort(low[across])
        for a in range(n):
            i = order[a]
            for b in range(a + 1, n):
                j = order[b]
                if low[across, j] > high[across, i]:
                    break
                if low[beside, j] > high[beside, i] or low[beside, i] > high[beside, j]:
                    continue
                if low[2, j] > high[2, i] or low[2, i] > high[2, j]:
                    continue
                for k in range(begin, end):
                    if _slot(path[i], path[j], reach[i], reach[j], k, horizontal, vertical) < 1.0:
                        if count < len(out):
                            out[count, 0], out[count, 1] = min(i, j), max(i, j)
                        count += 1
                        break
    return count


@kernel
def details(
    path: Any, reach: Any, slots: int, step: float, horizontal: float, vertical: float, found: Any, out: Any
) -> None:
    """Of pairs found (k, 2): out (k, 5): time (s) of the closest approach without uncertainty, horizontal and vertical
    distance then (m), the measure then, and the least measure with the uncertainty of both."""
    for n in range(len(found)):
        p, q, ep, eq = path[found[n, 0]], path[found[n, 1]], reach[found[n, 0]], reach[found[n, 1]]
        best, at, unsure = np.inf, 0.0, np.inf
        for k in range(slots):
            near, share = _least(p[k], p[k + 1], q[k], q[k + 1], horizontal, vertical)
            if near < best - _SAME:
                best, at = near, k + share
            wide, tall = horizontal + (ep[k, 0] + eq[k, 0]), vertical + (ep[k, 1] + eq[k, 1])
            unsure = min(unsure, _least(p[k], p[k + 1], q[k], q[k + 1], wide, tall)[0])
        k = min(int(at), slots - 1)
        share = at - k
        gap = np.empty(3)
        for axis in range(3):
            gap[axis] = (1.0 - share) * (p[k, axis] - q[k, axis]) + share * (p[k + 1, axis] - q[k + 1, axis])
        out[n, 0], out[n, 1], out[n, 2] = at * step, math.hypot(gap[0], gap[1]), abs(gap[2])
        out[n, 3], out[n, 4] = best, unsure


@kernel
def crowd(p: Any, ep: Any, path: Any, reach: Any, slots: int, horizontal: float, vertical: float) -> bool:
    """Whether one way p (m + 1, 3) with its reach ep (m, 2) comes too near to any of n drones."""
    for i in range(len(path)):
        for k in range(slots):
            if _slot(p, path[i], ep, reach[i], k, horizontal, vertical) < 1.0:
                return True
    return False


@kernel
def too_near(p: Any, ep: Any, q: Any, eq: Any, slots: int, horizontal: float, vertical: float) -> bool:
    """Whether two ways (m + 1, 3) with their reaches (m, 2) come too near to each other."""
    met = False
    for k in range(slots):
        if _slot(p, q, ep, eq, k, horizontal, vertical) < 1.0:
            met = True
            break
    return met
