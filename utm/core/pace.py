"""Whether an aircraft can be as fast as a trajectory that somebody timed says it is, and what it draws on the way.

The pieces are held against what `utm.core.time_path` never exceeds: the cruise speed over the ground (in a wind what
`ground_speed_m_s` leaves of it at the worst height of the piece), the climb and the descent speed, and the landing
speed at the end of the column over the last pad. How quickly it changes its speed between two pieces is not asked: that
is what the corridor's time tolerance is for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel
from utm.core.energy import ground_speed_m_s, power_w
from utm.core.flown import Flown
from utm.model import CALM, Aircraft, Trajectory, Wind

#: Unix time in float64 is off by a quarter of a microsecond at each end of a piece.
_CLOCK_S = 1e-6
#: Metres that a piece may be longer than its speed allows: what rounding moves.
_ROUNDING_M = 1e-6
#: A piece that ends less than this (metres) below the height at which a landing slows down ends above it.
_GATE_M = 1e-3
_WH_PER_J = 1.0 / 3600.0

#: What is too fast, in the order of `too_fast`.
DIRECTIONS = ("over the ground", "upwards", "downwards", "downwards, landing")


@dataclass(frozen=True, slots=True)
class TooFast:
    """The worst piece of a trajectory in one direction."""

    direction: str
    """One of `DIRECTIONS`."""
    speed_m_s: float
    allowed_m_s: float
    piece: int
    """Between this point and the next."""


def too_fast(line: Trajectory, way: Flown, aircraft: Aircraft, wind: Wind = CALM) -> list[TooFast]:
    """Where a trajectory is faster than its aircraft: in each direction the piece that is so by most."""
    level = np.array([aircraft.cruise_m_s]) if wind is CALM else _level_m_s(line, aircraft, wind)
    gate = float(line.enu_m[-1, 2]) + aircraft.slow_below_m
    landing = min(aircraft.landing_m_s, aircraft.descent_m_s)
    limits = np.array([aircraft.climb_m_s, aircraft.descent_m_s, landing], np.float64)
    found = _too_fast(line.t_s, line.enu_m, way.descent, level, limits, gate)
    if found is None:
        return []
    return [
        TooFast(direction, float(speed), float(allowed), int(piece))
        for direction, (speed, allowed, piece) in zip(DIRECTIONS, found.tolist(), strict=True)
        if piece >= 0
    ]


def too_windy(line: Trajectory, aircraft: Aircraft, wind: Wind) -> tuple[float, int] | None:
    """Where it blows harder than the aircraft is fast: the strength (m/s), and from which point of the trajectory on.
    The strength of a wind that is linear in height is convex, so the ends of a piece and the heights of the forecast
    tell."""
    if wind is CALM:
        return None
    strength = np.hypot(*np.moveaxis(_winds(line, wind), -1, 0)).max(axis=1)
    worst = int(strength.argmax())
    return (float(strength[worst]), worst) if strength[worst] > aircraft.max_airspeed_m_s else None


def drawn_wh(line: Trajectory, aircraft: Aircraft, wind: Wind = CALM, *, enough_wh: float = 0.0) -> float:
    """What a trajectory draws from the battery: the power of steady flight on each piece (`power_w`), watt-hours.

    Args:
        enough_wh: where even a bound on it is no more than this, the bound is returned.
    """
    if wind is CALM:
        bound = (line.end_s - line.start_s) * _most_w(aircraft) * _WH_PER_J
        if bound <= enough_wh:
            return bound
    took = np.diff(line.t_s)
    steps = np.diff(line.enu_m, axis=0)
    speed = steps / took[:, None]
    air = speed[:, None, :2] - _winds(line, wind)
    steady = power_w(aircraft, np.hypot(air[..., 0], air[..., 1]), np.broadcast_to(speed[:, None, 2], air.shape[:2]))
    return float((steady.max(axis=1) * took).sum()) * _WH_PER_J


@functools.lru_cache(maxsize=4096)
def _most_w(aircraft: Aircraft) -> float:
    """What no steady flight in calm air within the speeds of an aircraft draws more than (watts): the induced power is
    highest in hover, and the rest grows with speed and climb."""
    hover, fast = power_w(aircraft, 0.0, 0.0), power_w(aircraft, aircraft.cruise_m_s, aircraft.climb_m_s)
    return float(hover + fast) - aircraft.avionics_w


def _winds(line: Trajectory, wind: Wind) -> NDArray[np.float64]:
    """(n - 1, k, 2) the wind at both ends of each piece and at the heights of the forecast between them, for which the
    wind at the piece's start stands where a height is not between them."""
    up = line.enu_m[:, 2]
    low, high = np.minimum(up[:-1], up[1:]), np.maximum(up[:-1], up[1:])
    ends = [wind.at(up[:-1])[:, None], wind.at(up[1:])[:, None]]
    inside = (wind.up_m > low[:, None]) & (wind.up_m < high[:, None])
    return np.concatenate([*ends, np.where(inside[..., None], wind.velocity_m_s[None], ends[0])], axis=1)


def _level_m_s(line: Trajectory, aircraft: Aircraft, wind: Wind) -> NDArray[np.float64]:
    """(n - 1,) highest ground speed on each piece that can be held at every height of it."""
    steps = np.diff(line.enu_m[:, :2], axis=0)
    across = np.hypot(steps[:, 0], steps[:, 1])
    track = np.where(across[:, None] > 0, steps / np.where(across > 0, across, 1.0)[:, None], 0.0)
    speeds = ground_speed_m_s(aircraft, track[:, None, :], _winds(line, wind)).min(axis=1)
    return np.where(across > 0, speeds, aircraft.cruise_m_s)


@kernel
def _too_fast(times, points, descent, level, limits, gate):
    """(4, 3) speed, allowed speed (m/s) and number of the worst piece in each of the `DIRECTIONS`, -1 where none is too
    fast; None where none is at all."""
    found, excess = np.full((4, 3), -1.0), np.zeros(4)
    any_found = False
    for n in range(len(times) - 1):
        took = times[n + 1] - times[n] + _CLOCK_S
        rise = points[n + 1, 2] - points[n, 2]
        flat = np.sqrt((points[n + 1, 0] - points[n, 0]) ** 2 + (points[n + 1, 1] - points[n, 1]) ** 2)
        landing = n >= descent and (points[n, 2] <= gate + _ROUNDING_M or points[n + 1, 2] < gate - _GATE_M)
        for k in range(3):
            if k == 0:
                metres, allowed, row = flat, level[min(n, len(level) - 1)], 0
            elif k == 1:
                metres, allowed, row = rise, limits[0], 1
            elif landing:
                metres, allowed, row = -rise, limits[2], 3
            else:
                metres, allowed, row = -rise, limits[1], 2
            if metres > allowed * took + _ROUNDING_M and metres / took - allowed > excess[row]:
                any_found = True
                excess[row] = metres / took - allowed
                found[row, 0], found[row, 1], found[row, 2] = metres / (took - _CLOCK_S), allowed, n
    if any_found:
        return found
    return None
