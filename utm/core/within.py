"""During which part of a straight motion is a drone inside its corridor? Exact, without sampling.

Inside at t means: for some q within the time tolerance of t, the centre line's place at q is near enough (`judge`).
While drone and centre line both move evenly, the pairs (t, q) that are near enough form a convex region: a rectangle
(the motion's time, the piece's time) cut by two strips (the tolerance, the height) and by the inside of an ellipse (the
width). The times inside are its shadow on the axis of t, one interval for each piece of the centre line, and its ends
lie at a corner of the polygon, where an edge of the polygon crosses the ellipse, or where a line of constant t touches
the ellipse inside the polygon; each has a closed form. Several pieces: the union.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, point
from utm.model import Corridor

#: As in `judge`: a position this far (metres) beyond a limit still counts as on it.
_HAIR_M = 1e-6
#: A tolerance is taken larger by this much (seconds), so that one of zero leaves a polygon and not only a line.
_HAIR_S = 1e-9
#: Spans of time that are apart by no more than this are one, and shorter ones none: Unix time is a float64.
_INSTANT_S = 1e-6
_CORNERS = 16  # a rectangle cut by four half-planes has at most eight


def spans_inside(
    corridor: Corridor, start_s: float, start_m: ArrayLike, end_s: float, end_m: ArrayLike
) -> NDArray[np.float64]:
    """When a drone that flies straight and evenly from one place to another conforms, in the sense of `judge`.

    Args:
        corridor: what was granted.
        start_s: Unix seconds at the first place.
        start_m: (3,) metres east, north, up.
        end_s: at the second place; later than ``start_s``.
        end_m: (3,) likewise.

    Returns:
        (k, 2) Unix seconds: closed spans within [start_s, end_s], sorted and disjoint, to a microsecond.

    Raises:
        ValueError: numbers that are not finite, or an end that is not later than the start.
    """
    if not (math.isfinite(start_s) and math.isfinite(end_s) and end_s > start_s):
        raise ValueError(f"the motion must end later than it starts, got {start_s!r} to {end_s!r}")
    here, there = point(start_m, "start_m"), point(end_m, "end_m")
    line = corridor.occupied
    out = np.empty((len(line.t_s), 2))
    count = _spans(
        line.t_s - start_s,
        np.array(line.enu_m),
        here,
        there,
        end_s - start_s,
        corridor.time_tolerance_s + _HAIR_S,
        corridor.half_width_m + _HAIR_M,
        corridor.below_m + _HAIR_M,
        corridor.above_m + _HAIR_M,
        out,
    )
    return np.clip(out[:count] + start_s, start_s, end_s)


@kernel
def _spans(
    times: Any,
    points: Any,
    here: Any,
    there: Any,
    span: float,
    tolerance: float,
    half_width: float,
    below: float,
    above: float,
    out: Any,
) -> int:
    """Spans (s, from 0 to span) at which the motion from here to there is inside; returns how many.

    times (n,) seconds from the start of the motion, points (n, 3), here and there (3,) metres; out (n or more, 2).
    """
    count = 0
    for j in range(len(times) - 1):
        if times[j + 1] + tolerance < 0.0:
            continue
        if times[j] - tolerance > span:
            break
        low, high = _shadow(
            here, there, span, points[j], points[j + 1], times[j], times[j + 1], tolerance, half_width, below, above
        )
        if low <= high:
            out[count, 0], out[count, 1] = low, high
            count += 1
    # By insertion: they are nearly in order, and few.
    for i in range(1, count):
        low, high = out[i, 0], out[i, 1]
        j = i
        while j > 0 and out[j - 1, 0] > low:
            out[j, 0], out[j, 1] = out[j - 1, 0], out[j - 1, 1]
            j -= 1
        out[j, 0], out[j, 1] = low, high
    kept = 0
    for i in range(count):
        if kept > 0 and out[i, 0] <= out[kept - 1, 1] + _INSTANT_S:
            out[kept - 1, 1] = max(out[kept - 1, 1], out[i, 1])
        else:
            if kept > 0 and out[kept - 1, 1] - out[kept - 1, 0] < _INSTANT_S:
                kept -= 1
            out[kept, 0], out[kept, 1] = out[i, 0], out[i, 1]
            kept += 1
    if kept > 0 and out[kept - 1, 1] - out[kept - 1, 0] < _INSTANT_S:
        kept -= 1
    return kept


@kernel
def _cut(corners: Any, count: int, value: float, by_t: float, by_q: float, scratch: Any) -> int:
    """Keep the part of a convex polygon (16, 2), the first ``count`` used, where value + by_t t + by_q q <= 0
    (Sutherland and Hodgman, 1974)."""
    kept = 0
    for n in range(count):
        t0, q0 = corners[n, 0], corners[n, 1]
        t1, q1 = corners[(n + 1) % count, 0], corners[(n + 1) % count, 1]
        v0 = value + by_t * t0 + by_q * q0
        v1 = value + by_t * t1 + by_q * q1
        if v0 <= 0 and kept < _CORNERS:
            scratch[kept, 0], scratch[kept, 1] = t0, q0
            kept += 1
        if ((v0 < 0 and v1 > 0) or (v0 > 0 and v1 < 0)) and kept < _CORNERS:
            share = v0 / (v0 - v1)
            scratch[kept, 0], scratch[kept, 1] = t0 + share * (t1 - t0), q0 + share * (q1 - q0)
            kept += 1
    for n in range(kept):
        corners[n, 0], corners[n, 1] = scratch[n, 0], scratch[n, 1]
    return kept


@kernel
def _shadow(
    here: Any,
    there: Any,
    span: float,
    p0: Any,
    p1: Any,
    begin: float,
    end: float,
    tolerance: float,
    half_width: float,
    below: float,
    above: float,
) -> Any:
    """The times (s) in [0, span] at which the motion is inside the room around one piece, flown from p0 at ``begin``
    to p1 at ``end``; (1, -1) where there are none. q counts from ``begin``."""
    ux, uy, uz = (there[0] - here[0]) / span, (there[1] - here[1]) / span, (there[2] - here[2]) / span
    length = end - begin
    wx, wy, wz = (p1[0] - p0[0]) / length, (p1[1] - p0[1]) / length, (p1[2] - p0[2]) / length
    x, y, z = here[0] - p0[0], here[1] - p0[1], here[2] - p0[2]
    corners, scratch = np.zeros((_CORNERS, 2)), np.empty((_CORNERS, 2))
    corners[1, 0], corners[2, 0], corners[2, 1], corners[3, 1] = span, span, length, length
    count = _cut(corners, 4, -begin - tolerance, 1.0, -1.0, scratch)
    count = _cut(corners, count, begin - tolerance, -1.0, 1.0, scratch)
    count = _cut(corners, count, z - above, uz, -wz, scratch)
    count = _cut(corners, count, -z - below, -uz, wz, scratch)
    low, high = np.inf, -np.inf
    limit = half_width * half_width
    for n in range(count):
        t0, q0 = corners[n, 0], corners[n, 1]
        dt, dq = corners[(n + 1) % count, 0] - t0, corners[(n + 1) % count, 1] - q0
        ex, ey = x + ux * t0 - wx * q0, y + uy * t0 - wy * q0
        fx, fy = ux * dt - wx * dq, uy * dt - wy * dq
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
        first, last = t0 + enter * dt, t0 + leave * dt
        low, high = min(low, first, last), max(high, first, last)
    # Where a line of constant t touches the ellipse: at t the drone is |cross| / |w| beside the line of the piece, and
    # that is linear in t. A piece at rest, or along which the drone flies, has no such place but in a corner.
    speed = math.sqrt(wx * wx + wy * wy)
    drift = ux * wy - uy * wx
    if speed > 1e-12 and drift != 0.0:
        for side in (-1.0, 1.0):
            t = (side * half_width * speed - (x * wy - y * wx)) / drift
            if t < 0.0 or t > span or low <= t <= high:
                continue
            q = ((x + ux * t) * wx + (y + uy * t) * wy) / (speed * speed)
            height = z + uz * t - wz * q
            if 0.0 <= q <= length and abs(t - begin - q) <= tolerance and -below <= height <= above:
                low, high = min(low, t), max(high, t)
    return (low, high) if low <= high else (1.0, -1.0)
