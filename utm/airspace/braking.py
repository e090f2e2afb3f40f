"""Where a flight stops that brakes along its granted line, and when the line is where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.airspace.underway import part, travelled_m
from utm.core.ramps import ramp_m
from utm.core.trajectory import PlannedLeg
from utm.model import Trajectory

#: Shorter ways than this are none (metres).
_SAME_M = 1e-3
#: Rest of no length: a trajectory's times must increase (seconds).
_REST_S = 0.01


def first_at(line: Trajectory, place_m: NDArray[np.float64], after_s: float) -> float:
    """When a line is nearest to a place, from a time on; the first such time."""
    rest = part(line, after_s, line.end_s) if after_s < line.end_s - 1e-3 else line
    begin, way = rest.enu_m[:-1], np.diff(rest.enu_m, axis=0)
    square = np.maximum((way**2).sum(axis=1), 1e-12)
    share = np.clip(((place_m - begin) * way).sum(axis=1) / square, 0.0, 1.0)
    away = np.linalg.norm(begin + share[:, None] * way - place_m, axis=1).round(3)
    first = int(away.argmin())
    return float(rest.t_s[first] + share[first] * (rest.t_s[first + 1] - rest.t_s[first]))


def braking(line: Trajectory, brake_s: float, acceleration: float) -> tuple[Trajectory, float]:
    """From the motion of a line to rest on it, and how far straight pieces are off that motion (metres).

    Raises:
        ValueError: the line ends before a drone could stop.
    """
    piece = min(int(np.searchsorted(line.t_s, brake_s, side="right")) - 1, len(line.t_s) - 2)
    took = line.t_s[piece + 1] - line.t_s[piece]
    speed = float(np.linalg.norm(line.enu_m[piece + 1] - line.enu_m[piece]) / took)
    way = travelled_m(line.enu_m)
    here, needed = float(np.interp(brake_s, line.t_s, way)), ramp_m(speed, 0.0, acceleration)
    if here + needed > way[-1]:
        raise ValueError("the line ends before the drone could stop")
    if needed <= _SAME_M:
        rest = line.at(brake_s)
        return Trajectory([brake_s, brake_s + _REST_S], [rest, rest]), 0.0
    leg = PlannedLeg(np.zeros(3), np.array([needed, 0.0, 0.0]), speed, speed, 0.0, acceleration)
    times, gone, off = leg.knots()
    corners = way[(way > here + _SAME_M) & (way < here + needed - _SAME_M)] - here
    at = np.unique(np.concatenate([[0.0], gone, corners]).round(6))
    along = np.interp(at, np.concatenate([[0.0], gone]), np.concatenate([[0.0], times]))
    places = np.column_stack([np.interp(here + at, way, line.enu_m[:, axis]) for axis in range(3)])
    return Trajectory(brake_s + along, places), off
