"""Is a drone inside the corridor that it was granted?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from utm.core._jit import kernel, point
from utm.model import Corridor

#: A position this far (metres) beyond a limit still counts as on it: rounding, not flight.
_HAIR_M = 1e-6

#: Steps of the search for the points to which a stray drone is nearest: they cut a piece of an hour to nanoseconds.
_STEPS = 64


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one position at one time compares with a corridor."""

    inside: bool
    """Whether the drone conforms, as `Corridor` defines it."""
    cross_track_m: float
    """Horizontal distance to the centre line at the point that is compared with."""
    height_error_m: float
    """Height above (positive) or below (negative) that point."""
    outside_m: float
    """How far outside the corridor's room; 0 when inside. Where the drone is too early or too late for any of the
    corridor, its distance from the room around the nearer end, which may be 0."""
    late_s: float
    """The time less the point's own time: positive when the drone is behind its corridor."""


def judge(corridor: Corridor, t_s: float, enu_m: ArrayLike) -> Judgement:
    """Compare a position with a corridor.

    The drone is inside when some point of the occupied line whose own time is within ``time_tolerance_s`` of ``t_s``
    is at most ``half_width_m`` away horizontally, with the drone at most ``below_m`` below and ``above_m`` above that
    point. Among all such points the nearest in space is reported. Outside, it is that point from whose room the drone
    is the least distance away (where several are, the one at the least horizontal distance).
    Its pads belong to the corridor for ``pad_hold_s`` before and after its flight. Before and after that the drone is
    outside, and compared with the nearer end.

    Args:
        corridor: what was granted.
        t_s: Unix seconds.
        enu_m: (3,) position, metres east, north, up.

    Raises:
        ValueError: numbers that are not finite.
    """
    if not math.isfinite(t_s):
        raise ValueError(f"t_s must be finite, got {t_s!r}")
    position = point(enu_m, "enu_m")
    line = corridor.occupied
    times, now = line.t_s - line.t_s[0], t_s - line.start_s
    room = (corridor.half_width_m, corridor.below_m, corridor.above_m)
    tolerance = corridor.time_tolerance_s
    if now + tolerance < 0 or now - tolerance > times[-1]:
        end = 0 if now < 0 else -1
        east, north, height = position - line.enu_m[end]
        cross = math.hypot(east, north)
        away = math.hypot(max(cross - room[0], 0), max(height - room[2], -height - room[1], 0))
        return Judgement(False, cross, float(height), away, float(now - times[end]))
    inside, cross, height, away, at = _compare(times, np.array(line.enu_m), position, now, tolerance, *room)
    return Judgement(bool(inside), float(cross), float(height), float(away), float(now - at))


@kernel
def _compare(
    times: Any, points: Any, place: Any, now: float, tolerance: float, half_width: float, below: float, above: float
) -> Any:
    """(inside, horizontal distance m, height error m, distance outside m, time s of the point compared with).

    times (n,) seconds, points (n, 3) and place (3,) metres, now and tolerance seconds.
    """
    found = False
    cross, height, away, at = np.inf, np.nan, np.inf, np.nan
    for i in range(len(times) - 1):
        begin, end = max(times[i], now - tolerance), min(times[i + 1], now + tolerance)
        if begin > end:
            continue
        span = times[i + 1] - times[i]
        vx, vy = (points[i + 1, 0] - points[i, 0]) / span, (points[i + 1, 1] - points[i, 1]) / span
        vz = (points[i + 1, 2] - points[i, 2]) / span
        # The drone, seen from the point of the centre line: it moves by -v from here.
        x, y, z = place[0] - points[i, 0], place[1] - points[i, 1], place[2] - points[i, 2]
        begin, end = begin - times[i], end - times[i]

        # Where the height is right: z - vz t within [-below, above].
        low, high = begin, end
        if vz != 0.0:
            one, other = (z - above - _HAIR_M) / vz, (z + below + _HAIR_M) / vz
            low, high = max(low, min(one, other)), min(high, max(one, other))
        elif z > above + _HAIR_M or z < -below - _HAIR_M:
            high = low - 1.0
        low, high = _beside(x, y, vx, vy, half_width + _HAIR_M, low, high)
        if low <= high:
            square = vx * vx + vy * vy + vz * vz
            t = (x * vx + y * vy + z * vz) / square if square > 1e-18 else now - times[i]
            t = max(min(t, high), low)
            h, d = math.hypot(x - vx * t, y - vy * t), z - vz * t
            if not found or math.hypot(h, d) < math.hypot(cross, height):
                found, cross, height, away, at = True, h, d, 0.0, times[i] + t
        if not found:
            low, high = _least_outside(x, y, z, vx, vy, vz, begin, end, half_width, below, above)
            t = _least(x, y, z, vx, vy, vz, low, high, now - times[i])
            h, d = math.hypot(x - vx * t, y - vy * t), z - vz * t
            beyond = _beyond(x - vx * t, y - vy * t, d, half_width, below, above)
            if beyond < away - _HAIR_M or (beyond <= away + _HAIR_M and h < cross):
                cross, height, away, at = h, d, beyond, times[i] + t
    return found, cross, height, away, at


@kernel
def _beside(x: float, y: float, vx: float, vy: float, radius: float, low: float, high: float) -> Any:
    """The part of [low, high] in which (x, y) - (vx, vy) t is at most ``radius`` long; empty when the first exceeds
    the second."""
    square = vx * vx + vy * vy
    if square <= 1e-18:
        return (low, high) if math.hypot(x, y) <= radius else (1.0, 0.0)
    middle = (x * vx + y * vy) / square
    least = math.hypot(x - vx * middle, y - vy * middle)
    if least > radius:
        return 1.0, 0.0
    half = math.sqrt((radius * radius - least * least) / square)
    return max(low, middle - half), min(high, middle + half)


@kernel
def _beyond(x: float, y: float, z: float, half_width: float, below: float, above: float) -> float:
    """How far (x, y, z) metres from a point of the centre line is outside the room around it."""
    return math.hypot(max(math.hypot(x, y) - half_width, 0.0), max(z - above, -z - below, 0.0))


@kernel
def _least(x: float, y: float, z: float, vx: float, vy: float, vz: float, low: float, high: float, now: float) -> float:
    """The time in [low, high] of least horizontal distance; vertically, of least height error; at rest, now."""
    square = vx * vx + vy * vy
    if square > 1e-18:
        t = (x * vx + y * vy) / square
    elif vz != 0.0:
        t = z / vz
    else:
        t = now
    return max(min(t, high), low)


@kernel
def _least_outside(
    x: float,
    y: float,
    z: float,
    vx: float,
    vy: float,
    vz: float,
    low: float,
    high: float,
    half_width: float,
    below: float,
    above: float,
) -> Any:
    """The span of times in [low, high] at which the drone is the least distance outside, to a hair. That distance is
    convex in time: its least value is found by thirds, and the ends of the span by halves."""
    begin, end = low, high
    for _ in range(_STEPS):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if _beyond(x - vx * one, y - vy * one, z - vz * one, half_width, below, above) <= _beyond(
            x - vx * other, y - vy * other, z - vz * other, half_width, below, above
        ):
            high = other
        else:
            low = one
    best = (low + high) / 2
    enough = _beyond(x - vx * best, y - vy * best, z - vz * best, half_width, below, above) + _HAIR_M
    first, last = begin, end
    inner_first, inner_last = best, best
    for _ in range(_STEPS):
        t = (first + inner_first) / 2
        if _beyond(x - vx * t, y - vy * t, z - vz * t, half_width, below, above) <= enough:
            inner_first = t
        else:
            first = t
        t = (last + inner_last) / 2
        if _beyond(x - vx * t, y - vy * t, z - vz * t, half_width, below, above) <= enough:
            inner_last = t
        else:
            last = t
    return inner_first, inner_last
