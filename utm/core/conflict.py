"""When two flights are too near to each other: exact for piecewise-linear motion, without sampling.

Take a piece of flight a, at its own time s, and a piece of flight b, at its own time q. While both move evenly, their
difference in position is affine in (s, q). So the pairs of times at which they are less than H apart horizontally
form a convex region (the inside of an ellipse; a strip where the velocities are parallel; all or nothing where both
rest), those less than V apart vertically a strip, and the two spans of time a rectangle. If b flies d later than it
was planned, a at s meets b at s - d: the forbidden delays of this pair of pieces are the values of s - q over a convex
region, hence one interval. Its ends lie at a corner of the polygon (rectangle and vertical strip), where an edge of
the polygon crosses the ellipse, or where the line s - q = d touches the ellipse inside the polygon; each has a closed
form. The forbidden delays of two flights are the union over all pairs of pieces.

Rounding is turned to the safe side. Limits of distance are taken larger by `MARGIN_M`, and forbidden delays are widened
by `MARGIN_S`, hundreds of times what rounding can do to flights of a day and a thousand kilometres. So nothing is
missed, two flights that keep a limit exactly count as in conflict, and a delay from `least_delay` passes `in_conflict`.
Unix time has a quarter of a microsecond in float64; every flight is counted from its own start before anything else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel
from utm.model import Trajectory

#: Metres by which both limits of distance are taken larger.
MARGIN_M = 1e-6
#: Seconds by which forbidden delays are widened at both ends.
MARGIN_S = 2e-6

#: Seconds by which a tolerance is taken larger, so that a tolerance of zero leaves a polygon and not only a line.
_HAIR_S = 1e-9
_CORNERS = 16  # a rectangle cut by four half-planes has at most eight


def forbidden_delays(a: Trajectory, b: Trajectory, horizontal_m: float, vertical_m: float) -> NDArray[np.float64]:
    """All delays of b at which the two flights would be too near at some moment.

    A delay d is forbidden when at some moment t both ``a(t)`` and ``b(t - d)`` are on their way (between the first and
    the last time of each) and less than ``horizontal_m`` apart horizontally and less than ``vertical_m`` vertically.
    Where a pad stays taken before and after, hand in `Trajectory.held` ones.

    Args:
        a: a flight that stays as it is.
        b: the flight that could be delayed (or, with a negative delay, leave earlier).
        horizontal_m: least horizontal distance, above 0.
        vertical_m: least vertical distance, above 0.

    Returns:
        (k, 2) seconds: intervals [from, to], sorted, disjoint, each at most 1e-5 s wider than exact unless the flights
        graze each other within a micrometre.

    Raises:
        ValueError: a limit that is not a finite number above zero.
    """
    limits = _limits(horizontal_m, vertical_m)
    offset = a.start_s - b.start_s
    found = _run(a, b, limits, -np.inf, np.inf, False)
    return _merged(found + np.array([offset - MARGIN_S, offset + MARGIN_S]))


def in_conflict(
    a: Trajectory, b: Trajectory, horizontal_m: float, vertical_m: float, time_tolerance_s: float = 0.0
) -> bool:
    """Whether the two flights are too near at some pair of times at most ``time_tolerance_s`` apart.

    The same as asking whether a delay of b between minus and plus the tolerance is forbidden.

    Raises:
        ValueError: limits that are not finite numbers above zero, or a tolerance that is negative or not finite.
    """
    limits = _limits(horizontal_m, vertical_m)
    tolerance = _tolerance(time_tolerance_s)
    offset = a.start_s - b.start_s
    return len(_run(a, b, limits, -tolerance - offset, tolerance - offset, True)) > 0


def least_delay(forbidden: ArrayLike, tolerance_s: float) -> float:
    """The least delay of 0 or more that keeps ``tolerance_s`` from every forbidden one.

    Args:
        forbidden: (k, 2) intervals of seconds, as `forbidden_delays` returns them; those of several neighbours may be
            stacked in any order.
        tolerance_s: how far both flights together may be off their times.

    Raises:
        ValueError: intervals that are not (k, 2) numbers with from <= to, or a negative tolerance.
    """
    intervals = (
        np.array(forbidden, np.float64).reshape(-1, 2) if np.size(forbidden) == 0 else np.array(forbidden, np.float64)
    )
    if intervals.ndim != 2 or intervals.shape[1] != 2 or not (intervals[:, 0] <= intervals[:, 1]).all():
        raise ValueError(f"forbidden must be intervals (k, 2) with from <= to, got shape {intervals.shape}")
    tolerance = _tolerance(tolerance_s)
    delay = 0.0
    for begin, end in intervals[np.argsort(intervals[:, 0])]:
        if begin - tolerance < delay < end + tolerance:
            delay = end + tolerance
    return float(delay)


def closest_approach(a: Trajectory, b: Trajectory, vertical_m: float, time_tolerance_s: float) -> tuple[float, float]:
    """The least horizontal distance while the flights share a height band.

    Taken over all pairs of times, each within its flight and at most ``time_tolerance_s`` apart, at which the two are
    less than ``vertical_m`` apart vertically.

    Returns:
        The distance in metres, and a's time at it in Unix seconds; ``(inf, nan)`` when there is no such pair.

    Raises:
        ValueError: a limit that is not a finite number above zero, a tolerance that is negative or not finite.
    """
    _, vertical = _limits(1.0, vertical_m)
    tolerance = _tolerance(time_tolerance_s) + _HAIR_S
    offset = a.start_s - b.start_s
    squared, at = _nearest(*_local(a), *_local(b), vertical, -tolerance - offset, tolerance - offset, np.inf)
    return math.sqrt(squared), a.start_s + at


def closest_approaches(
    a: Trajectory,
    others: Sequence[Trajectory],
    vertical_m: Sequence[float],
    time_tolerance_s: Sequence[float],
    within_m: Sequence[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`closest_approach` to many at once, looked for only where it is nearer than a distance.

    Args:
        vertical_m, time_tolerance_s, within_m: (k,) for each of the others.

    Returns:
        (k,) metres and (k,) Unix seconds; ``inf`` and ``nan`` where none is nearer than ``within_m``.

    Raises:
        ValueError: limits that are not finite numbers above zero, tolerances that are negative or not finite.
    """
    limits = list(zip(vertical_m, time_tolerance_s, within_m, strict=True))
    for vertical, tolerance, within in limits:
        if not (0 < vertical < math.inf and 0 <= tolerance < math.inf and 0 < within < math.inf):
            raise ValueError("limits must be finite numbers above zero, tolerances 0 or more")
    if len(limits) != len(others):
        raise ValueError(f"{len(others)} others need as many limits, got {len(limits)}")
    if not others:
        return np.empty(0), np.empty(0)
    first = np.array([0, *itertools.accumulate([len(other.t_s) for other in others])])
    times = np.concatenate([other.t_s for other in others])
    points = np.concatenate([other.enu_m for other in others])
    squared, at = _nearest_of_many(*_local(a), a.start_s, times, points, first, np.array(limits, np.float64))
    return np.sqrt(squared), a.start_s + at


def _limits(horizontal_m: float, vertical_m: float) -> tuple[float, float]:
    for name, value in (("horizontal_m", horizontal_m), ("vertical_m", vertical_m)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
    return horizontal_m + MARGIN_M, vertical_m + MARGIN_M


def _tolerance(value: float, name: str = "the time tolerance") -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number of 0 or more, got {value!r}")
    return float(value)


def _local(flight: Trajectory) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times from its own start, exact in float64 for any flight of our day, and a writable copy of its points."""
    return flight.t_s - flight.t_s[0], np.array(flight.enu_m)


def _run(
    a: Trajectory, b: Trajectory, limits: tuple[float, float], lowest: float, highest: float, first_only: bool
) -> NDArray[np.float64]:
    room = np.empty((256, 2))
    while True:
        count = _intervals(*_local(a), *_local(b), *limits, lowest, highest, first_only, room)
        if count <= len(room):
            return room[:count]
        room = np.empty((count, 2))


def _merged(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The union of closed intervals (k, 2), sorted and disjoint."""
    if len(intervals) == 0:
        return intervals.reshape(0, 2)
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    fresh = np.flatnonzero(np.concatenate([[True], ordered[1:, 0] > reach[:-1]]))
    return np.column_stack([ordered[fresh, 0], reach[np.concatenate([fresh[1:], [len(ordered)]]) - 1]])


@kernel
def _apart(p0: Any, p1: Any, q0: Any, q1: Any, horizontal: float, vertical: float) -> bool:
    """Whether the boxes around two pieces are so far apart that no points of them can be too near (metres)."""
    gap = 0.0
    for c in range(2):
        d = max(min(p0[c], p1[c]) - max(q0[c], q1[c]), min(q0[c], q1[c]) - max(p0[c], p1[c]), 0.0)
        gap += d * d
    if gap > horizontal * horizontal:
        return True
    return max(min(p0[2], p1[2]) - max(q0[2], q1[2]), min(q0[2], q1[2]) - max(p0[2], p1[2])) > vertical


@kernel
def _intervals(
    ta: Any,
    pa: Any,
    tb: Any,
    pb: Any,
    horizontal: float,
    vertical: float,
    lowest: float,
    highest: float,
    first_only: bool,
    out: Any,
) -> int:
    """The shifts s - q at which pieces of a and b are within the limits, one interval for each pair of pieces.

    ta (n,), tb (m,) seconds; pa (n, 3), pb (m, 3) metres; only intervals that touch [lowest, highest] seconds.
    out (capacity, 2) is filled as far as it reaches. Returns how many there are.
    """
    count = 0
    begin = 0
    corners, scratch = np.empty((_CORNERS, 2)), np.empty((_CORNERS, 2))
    for i in range(len(ta) - 1):
        # Pieces of b that end too early for this piece of a end too early for all later ones.
        while begin < len(tb) - 1 and ta[i] - tb[begin + 1] > highest:
            begin += 1
        for j in range(begin, len(tb) - 1):
            if ta[i + 1] - tb[j] < lowest:
                break
            if _apart(pa[i], pa[i + 1], pb[j], pb[j + 1], horizontal, vertical):
                continue
            low, high = _shifts(
                pa[i],
                pa[i + 1],
                ta[i + 1] - ta[i],
                pb[j],
                pb[j + 1],
                tb[j + 1] - tb[j],
                horizontal,
                vertical,
                corners,
                scratch,
            )
            low, high = low + (ta[i] - tb[j]), high + (ta[i] - tb[j])
            if low > high or low > highest or high < lowest:
                continue
            if count < len(out):
                out[count, 0], out[count, 1] = low, high
            count += 1
            if first_only:
                return count
    return count


@kernel
def _cut(corners: Any, count: int, value: Any, scratch: Any) -> int:
    """Keep the part of a convex polygon where value <= 0 (Sutherland and Hodgman).

    corners (16, 2) seconds (s, q), the first count used; value (3,): value[0] + value[1] s + value[2] q.
    """
    kept = 0
    for n in range(count):
        s0, q0 = corners[n, 0], corners[n, 1]
        s1, q1 = corners[(n + 1) % count, 0], corners[(n + 1) % count, 1]
        v0 = value[0] + value[1] * s0 + value[2] * q0
        v1 = value[0] + value[1] * s1 + value[2] * q1
        if v0 <= 0 and kept < _CORNERS:
            scratch[kept, 0], scratch[kept, 1] = s0, q0
            kept += 1
        if ((v0 < 0 and v1 > 0) or (v0 > 0 and v1 < 0)) and kept < _CORNERS:
            share = v0 / (v0 - v1)
            scratch[kept, 0], scratch[kept, 1] = s0 + share * (s1 - s0), q0 + share * (q1 - q0)
            kept += 1
    for n in range(kept):
        corners[n, 0], corners[n, 1] = scratch[n, 0], scratch[n, 1]
    return kept


@kernel
def _polygon(
    span_a: float, span_b: float, z: float, climb_a: float, climb_b: float, vertical: float, corners: Any, scratch: Any
) -> int:
    """The pairs of times (s, q) in [0, span_a] x [0, span_b] with |z + climb_a s - climb_b q| <= vertical.

    corners, scratch (16, 2) are written over; returns how many corners there are.
    """
    corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1] = 0.0, 0.0, span_a, 0.0
    corners[2, 0], corners[2, 1], corners[3, 0], corners[3, 1] = span_a, span_b, 0.0, span_b
    count = _cut(corners, 4, (z - vertical, climb_a, -climb_b), scratch)
    return _cut(corners, count, (-z - vertical, -climb_a, climb_b), scratch)


@kernel
def _shifts(
    p0: Any,
    p1: Any,
    span_a: float,
    q0: Any,
    q1: Any,
    span_b: float,
    horizontal: float,
    vertical: float,
    corners: Any,
    scratch: Any,
) -> Any:
    """The interval of s - q (seconds, each from the start of its piece) within the limits; (1, -1) where there is none.

    p0, p1 (3,): ends of the piece of a, metres, flown in span_a seconds; q0, q1, span_b: of b. corners, scratch
    (16, 2) are written over.
    """
    ux, uy, uz = (p1[0] - p0[0]) / span_a, (p1[1] - p0[1]) / span_a, (p1[2] - p0[2]) / span_a
    wx, wy, wz = (q1[0] - q0[0]) / span_b, (q1[1] - q0[1]) / span_b, (q1[2] - q0[2]) / span_b
    x, y, z = p0[0] - q0[0], p0[1] - q0[1], p0[2] - q0[2]
    limit = horizontal * horizontal
    low, high = np.inf, -np.inf

    # Along the polygon: each edge is a straight motion of the difference, whose part within the limit is an interval.
    count = _polygon(span_a, span_b, z, uz, wz, vertical, corners, scratch)
    for n in range(count):
        s0, t0 = corners[n, 0], corners[n, 1]
        ds, dt = corners[(n + 1) % count, 0] - s0, corners[(n + 1) % count, 1] - t0
        ex, ey = x + ux * s0 - wx * t0, y + uy * s0 - wy * t0
        fx, fy = ux * ds - wx * dt, uy * ds - wy * dt
        square, along, across = fx * fx + fy * fy, ex * fx + ey * fy, ex * fy - ey * fx
        enter, leave = 0.0, 1.0
        if square > 1e-24:  # it moves by more than a picometre
            root = square * limit - across * across
            if root < 0:
                continue
            root = math.sqrt(root)
            enter, leave = max((-along - root) / square, 0.0), min((-along + root) / square, 1.0)
            if enter > leave:
                continue
        elif ex * ex + ey * ey > limit:
            continue
        first, last = s0 - t0 + enter * (ds - dt), s0 - t0 + leave * (ds - dt)
        low, high = min(low, first, last), max(high, first, last)

    # Where s - q = d touches the ellipse. At a shift of d the flights pass each other at the velocity r, and their
    # least distance |(x, y) + u d crossed with r| / |r| is linear in d. With parallel velocities nothing touches.
    rx, ry = ux - wx, uy - wy
    speed = math.sqrt(rx * rx + ry * ry)
    turn = ux * ry - uy * rx
    if turn != 0.0:
        offset = x * ry - y * rx
        for side in (-1.0, 1.0):
            d = (side * horizontal * speed - offset) / turn
            if not (low <= d <= high) and _possible(
                x + ux * d,
                y + uy * d,
                z + uz * d,
                rx,
                ry,
                uz - wz,
                max(0.0, -d),
                min(span_b, span_a - d),
                horizontal + MARGIN_M,
                vertical + MARGIN_M,
            ):
                low, high = min(low, d), max(high, d)
    return (low, high) if low <= high else (1.0, -1.0)


@kernel
def _possible(
    x: float,
    y: float,
    z: float,
    rx: float,
    ry: float,
    rz: float,
    begin: float,
    end: float,
    horizontal: float,
    vertical: float,
) -> bool:
    """Whether a difference that starts at (x, y, z) metres and moves by (rx, ry, rz) metres per second is within both
    limits at a time in [begin, end] seconds."""
    if rz != 0.0:
        one, other = (-vertical - z) / rz, (vertical - z) / rz
        begin, end = max(begin, min(one, other)), min(end, max(one, other))
    elif abs(z) > vertical:
        return False
    if begin > end + _HAIR_S:
        return False
    square = rx * rx + ry * ry
    t = -(x * rx + y * ry) / square if square > 0.0 else begin
    t = max(min(t, end), begin)
    x, y = x + rx * t, y + ry * t
    return x * x + y * y <= horizontal * horizontal


@kernel
def _nearest_of_many(ta: Any, pa: Any, start: float, times: Any, points: Any, first: Any, limits: Any) -> Any:
    """`_nearest` to each of k flights: (k,) m2 and (k,) s.

    ta (n,) seconds from ``start``, pa (n, 3) metres; times, points: of all flights after each other, that of flight m
    from first[m] on, Unix seconds; limits (k, 3): vertical distance, tolerance, and the distance from which on nothing
    is looked for.
    """
    count = len(first) - 1
    squared, at = np.empty(count), np.empty(count)
    for m in range(count):
        begin, end = first[m], first[m + 1]
        offset, tolerance = start - times[begin], limits[m, 1] + _HAIR_S
        within = limits[m, 2] * limits[m, 2]
        squared[m], at[m] = _nearest(
            ta, pa, times[begin:end] - times[begin], points[begin:end], limits[m, 0] + MARGIN_M,
            -tolerance - offset, tolerance - offset, within,
        )  # fmt: skip
        if not squared[m] < within:
            squared[m] = np.inf
    return squared, at


@kernel
def _nearest(ta: Any, pa: Any, tb: Any, pb: Any, vertical: float, lowest: float, highest: float, within: float) -> Any:
    """The least squared horizontal distance (m2) and the time of a (s) at it, over pairs of times with s - q in
    [lowest, highest] at which the vertical distance is within the limit; (within, nan) where none is less than that.

    A convex quadratic over a polygon: its least value is where its gradient vanishes, if that is inside, or on an edge.
    """
    best, at = within, np.nan
    corners, scratch = np.empty((_CORNERS, 2)), np.empty((_CORNERS, 2))
    begin = 0
    for i in range(len(ta) - 1):
        while begin < len(tb) - 1 and ta[i] - tb[begin + 1] > highest:
            begin += 1
        for j in range(begin, len(tb) - 1):
            if ta[i + 1] - tb[j] < lowest:
                break
            if _apart(pa[i], pa[i + 1], pb[j], pb[j + 1], math.sqrt(best), vertical):
                continue
            span_a, span_b = ta[i + 1] - ta[i], tb[j + 1] - tb[j]
            ux, uy, uz = (pa[i + 1] - pa[i]) / span_a
            wx, wy, wz = (pb[j + 1] - pb[j]) / span_b
            x, y, z = pa[i] - pb[j]
            base = ta[i] - tb[j]
            count = _polygon(span_a, span_b, z, uz, wz, vertical, corners, scratch)
            count = _cut(corners, count, (base - highest, 1.0, -1.0), scratch)
            count = _cut(corners, count, (lowest - base, -1.0, 1.0), scratch)
            if count == 0:
                continue
            turn = ux * wy - uy * wx
            if turn != 0.0:
                # (x, y) + u s - w q = 0
                s, q = (wx * y - wy * x) / turn, (ux * y - uy * x) / turn
                shift = base + s - q
                if (
                    0 <= s <= span_a
                    and 0 <= q <= span_b
                    and lowest <= shift <= highest
                    and abs(z + uz * s - wz * q) <= vertical
                ):
                    ex, ey = x + ux * s - wx * q, y + uy * s - wy * q
                    if ex * ex + ey * ey < best:
                        best, at = ex * ex + ey * ey, ta[i] + s
            for n in range(count):
                s0, t0 = corners[n, 0], corners[n, 1]
                ds, dt = corners[(n + 1) % count, 0] - s0, corners[(n + 1) % count, 1] - t0
                ex, ey = x + ux * s0 - wx * t0, y + uy * s0 - wy * t0
                fx, fy = ux * ds - wx * dt, uy * ds - wy * dt
                square = fx * fx + fy * fy
                share = max(min(-(ex * fx + ey * fy) / square, 1.0), 0.0) if square > 1e-24 else 0.0
                ex, ey = ex + share * fx, ey + share * fy
                if ex * ex + ey * ey < best:
                    best, at = ex * ex + ey * ey, ta[i] + s0 + share * ds
    return best, at


@kernel
def sifted(
    start: float,
    ta: Any,
    pa: Any,
    found: Any,
    half_width: float,
    below: float,
    above: float,
    across: float,
    up: float,
    tolerance: float,
    horizontal: float,
    vertical: float,
    knots: Any,
    rows: Any,
    rooms: Any,
    numbers: Any,
) -> Any:
    """Of stored corridors that may meet corridor a, the numbers of those that do: `in_conflict` for
    `utm.core.traffic.Traffic`, to the bit.

    start, ta (n,), pa (n, 3): the line that a occupies, Unix seconds and from then on, metres; its room, its tube
    (across, up), its tolerance; the separations. found (k, 5): a row of knots, first and last piece of a, first and
    last piece of the row. The others are the arrays of the index.
    """
    corners, scratch = np.empty((_CORNERS, 2)), np.empty((_CORNERS, 2))
    size = 4
    while size < 2 * len(found):
        size *= 2
    taken = np.full(size, -1, np.int64)  # slots of corridors that met a, by open addressing
    out, count = np.empty(len(found), np.int64), 0
    # What is needed of each corridor is asked for before the first is needed: memory answers ten at once.
    slots, asked = np.empty(len(found), np.int64), 0.0
    for f in range(len(found)):
        slots[f] = rows[found[f, 0], 0]
        asked += knots[found[f, 0], found[f, 3], 0] + knots[found[f, 0], found[f, 4] + 1, 3]
    for f in range(len(found)):
        asked += rooms[slots[f], 0] + rooms[slots[f], 6] + numbers[slots[f], 0]
    corners[0, 0] = asked
    for f in range(len(found)):
        row, slot = found[f, 0], slots[f]
        at = slot & (size - 1)
        while taken[at] >= 0 and taken[at] != slot:
            at = (at + 1) & (size - 1)
        if taken[at] == slot:
            continue
        # The sums of `apart`, in its order, and the limits of `in_conflict`.
        wide = half_width + rooms[slot, 1] + (across + rooms[slot, 4]) + horizontal + MARGIN_M
        room = max(below + rooms[slot, 3], above + rooms[slot, 2])
        high = room + (up + rooms[slot, 5]) + vertical + MARGIN_M
        both, offset = tolerance + rooms[slot, 6], start - rooms[slot, 0]
        lowest, highest = -both - offset, both - offset
        if _row_meets(ta, pa, found[f], knots[row], wide, high, lowest, highest, corners, scratch):
            taken[at] = slot
            out[count] = numbers[slot, 0]
            count += 1
    return out[:count]


@kernel
def _row_meets(
    ta: Any,
    pa: Any,
    pieces: Any,
    knots: Any,
    horizontal: float,
    vertical: float,
    lowest: float,
    highest: float,
    corners: Any,
    scratch: Any,
) -> bool:
    """Whether one of some pieces of a meets one of some pieces of a row of knots (n, 4): seconds, metres. The same
    questions as in `_intervals`, in the same arithmetic."""
    for i in range(pieces[1], pieces[2] + 1):
        for j in range(pieces[3], pieces[4] + 1):
            if ta[i] - knots[j + 1, 0] > highest or ta[i + 1] - knots[j, 0] < lowest:
                continue
            q0, q1 = knots[j, 1:], knots[j + 1, 1:]
            if _apart(pa[i], pa[i + 1], q0, q1, horizontal, vertical):
                continue
            low, high = _shifts(
                pa[i],
                pa[i + 1],
                ta[i + 1] - ta[i],
                q0,
                q1,
                knots[j + 1, 0] - knots[j, 0],
                horizontal,
                vertical,
                corners,
                scratch,
            )
            low, high = low + (ta[i] - knots[j, 0]), high + (ta[i] - knots[j, 0])
            if not (low > high or low > highest or high < lowest):
                return True
    return False
