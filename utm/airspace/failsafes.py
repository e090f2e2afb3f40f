"""The room of each failsafe of a multicopter, for every moment of a stretch of its flight at which it may begin.

A failsafe that begins at a moment s in [a, b] finds the drone at x(s), where the plan has it then. PX4 (docs/px4.md)
may go at once, or first brake and stand for up to 5 s (COM_FAIL_ACT_T). Three paths follow:

- along its own road, *onward* to its end (RTL_TYPE 2) or *back* to its beginning (RTL_TYPE 4 before the middle);
- *straight*: level to a site, and down (RTL_TYPE 0 home, or a commanded landing), after a climb where one is set;
- *hold* where it stopped.

One corridor holds the paths of all s. What is proven is that whoever flies one of them by the aircraft's speeds
(`utm.core.time_path`) is, at every moment t, within ``half_width_m`` and the tube of a point of the centre line whose
own time is within ``time_tolerance_s`` of t. Let e(p) be the earliest and l(p) the latest time at which any of them is
at the place p of the path: then a centre line that is at p at (e + l) / 2 with a tolerance of (l - e) / 2 does it.
A drone that was o seconds off its plan flies all this o seconds off: the plan's own tolerance is added. So what remains
is e and l. Four lengths of time are used, with v the highest speed of the flight:

- B, to stop from v, with limited jerk, and to end speeding up before. A drone that brakes lags the plan, so it stops at
  or before the plan's place at s + B, and before the next stop of the plan, if that comes first.
- W = 5 s, the longest stand before it goes.
- R, to get from rest to v. To begin at rest instead of at speed costs less than R, and so does one stop between: while
  it speeds up it gets on by half of what it would have.

*Onward.* Where the plan is at p at time u(p), e(p) = u(p). It stops at z, where the plan is not before s, by s + B,
stands for W, begins at rest, and stops at the first corner (as `time_path` has it behind any start): l(p) <= s + B + W
+ u(p) - u(z) + 2 R <= u(p) + B + W + 2 R. It does not depend on s: one corridor serves all.

*Back.* Let N be a nominal flight all the way back along the road, from rest, and T(p) its time to p. Who begins at rest
at z gets to p within T(p) - T(z) + 2 R: it begins at rest, and stops at the first corner. All have stopped at b + B at
the latest, at z(b) or nearer home, so l(p) = b + B + W + 2 R + T(p) - T(z(b)). Who begins at x(s) is, at rest, no
faster than N, which has been flying, but for one stop of N's own: it is at p after s + T(p) - T(x(s)) - R, and that is
not before e(p) = a + T(p) - T(x(a)) - R, as s >= a and x(s) is farther out than x(a). Between x(a) and z(b) drones are
found from s on, which is later than e(p), for T(p) <= T(x(a)) there.

*Straight.* Let c be the middle of where it may begin, and r the farthest such place from it. A drone that has flown a
share f of its level way to the site g is at z + f (g - z), and so within (1 - f) r of c + f (g - c): the tube grows by
r. The time to a share f grows with the distance and falls with the speed: e(f) is a - R (who is under way need not
speed up) and the time over the least distance at cruise speed, l(f) is b + B + W, the climb, and the time over the
greatest distance at the speed that the strongest wind leaves against it. Down from there all take the same time, but
that who was lower stays as much lower, or less: the room below grows by the difference in height.

*Hold.* It is at p between u(p) and u(p) + B + H, for a wait of H.

Along a corner that is not a stop, who brakes goes straight on past it, by the stopping distance at the corner's speed:
the tube grows by what that is sideways.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from utm.airspace.landingsites import Site
from utm.airspace.underway import Flight, part, travelled_m
from utm.core import time_path, tube_of
from utm.core.ramps import peak_speed
from utm.core.trajectory import PlannedLeg
from utm.errors import CannotFly
from utm.model import Aircraft, Corridor, Trajectory, Tube

#: PX4 stands for so long before a return or a landing that it began itself (COM_FAIL_ACT_T, its default).
STAND_S = 5.0
#: Slower than this share of its cruise speed, no straight way is planned on against a wind.
_LEAST_SPEED = 0.25
#: Knots are so far apart in time at least (seconds): a trajectory's times must increase.
_REST_S = 1e-3
#: Shorter than this, a straight piece is none; and by so much two knots that are one may be apart.
_SAME_M = 0.02

#: Metres (n,), seconds (n,), and how far straight lines between them are off at most.
_Motion = tuple[NDArray[np.float64], NDArray[np.float64], float]


def onward(flight: Flight, from_s: float) -> Corridor:
    """Along the road to its end, begun at any moment from ``from_s`` on."""
    late = flight.brake_s + STAND_S + 2.0 * flight.ramp_s
    plan = flight.part(from_s, flight.line.end_s)
    return _corridor(flight, plan.delayed(late / 2), late / 2, pad=True)


def back(flight: Flight, from_s: float, until_s: float) -> Corridor:
    """Along the road to its beginning, begun at any moment from ``from_s`` to ``until_s``.

    Raises:
        CannotFly: the wind is too strong, or the endurance does not suffice.
    """
    nominal = flight.back
    begun, passed = (flight.back_at(t) for t in (flight.reach_s(until_s), from_s))
    earliest = from_s - passed - flight.ramp_s
    latest = until_s + flight.brake_s + STAND_S + 2.0 * flight.ramp_s - begun
    check_endurance(flight, latest + nominal.end_s)
    way = part(nominal, begun, nominal.end_s)
    return _corridor(flight, way.delayed((earliest + latest) / 2), (latest - earliest) / 2, pad=True)


def hold(flight: Flight, from_s: float, until_s: float, wait_s: float) -> Corridor:
    """Where it stopped, begun at any moment from ``from_s`` to ``until_s``."""
    late = flight.brake_s + wait_s
    return _corridor(flight, holding(flight, from_s, until_s).delayed(late / 2), late / 2, pad=False)


def holding(flight: Flight, from_s: float, until_s: float) -> Trajectory:
    """The plan over the places where a drone may hold that begins to in [from_s, until_s]."""
    return flight.part(from_s, max(flight.reach_s(until_s), from_s + 2 * _REST_S))


@dataclass(frozen=True, slots=True, eq=False)
class Straight:
    """A straight way from a stretch to a site, and what must be clear for it."""

    corridor: Corridor
    from_m: NDArray[np.float64]
    """(n, 2) over which ground it may begin."""
    low_m: float
    """The lowest height at which it may begin."""
    level_m: float
    """The greatest height of the way: with ``climbs`` that of all its level part."""
    climbs: bool


def straight(flight: Flight, from_s: float, until_s: float, site: Site, climb_to_m: float | None = None) -> Straight:
    """Level to a site and down, begun at any moment from ``from_s`` to ``until_s``.

    Args:
        climb_to_m: first climb to this height (``up``), or stay where it is higher; without it, it stays at its own.

    Raises:
        CannotFly: the wind is too strong, or the endurance does not suffice.
    """
    begin = flight.part(from_s, flight.reach_s(until_s)).enu_m
    low = float(begin[:, 2].min())
    level = max(float(begin[:, 2].max()), climb_to_m if climb_to_m is not None else -math.inf)
    gone = travelled_m(begin)
    middle = np.array([np.interp(gone[-1] / 2, gone, begin[:, axis]) for axis in range(2)])
    aside = float(np.hypot(*(begin[:, :2] - middle).T).max())
    goal = np.array(site)

    aircraft, strongest = flight.aircraft, flight.wind.strongest_m_s
    slow = min(aircraft.cruise_m_s, aircraft.max_airspeed_m_s - strongest)
    if slow < _LEAST_SPEED * aircraft.cruise_m_s:
        raise CannotFly(
            f"it blows at up to {strongest:.1f} m/s: a {aircraft.name} may not get on straight to a site",
            limit="wind",
            needed=strongest,
            allowed=aircraft.max_airspeed_m_s - _LEAST_SPEED * aircraft.cruise_m_s,
        )
    nearest, farthest = _distances(begin[:, :2], goal[:2])
    early_f, early_s, early_off = _level(nearest, aircraft)
    late_f, late_s, late_off = _level(farthest, dataclasses.replace(aircraft, cruise_m_s=slow))
    shares = np.union1d(early_f, late_f)
    climb = (
        0.0 if climb_to_m is None or level == low else _rest_to_rest(level - low, aircraft.climb_m_s, aircraft)[1][-1]
    )
    earliest = from_s - flight.ramp_s + np.interp(shares, early_f, early_s)
    latest = until_s + flight.brake_s + STAND_S + climb + np.interp(shares, late_f, late_s)
    way = np.column_stack([middle + shares[:, None] * (goal[:2] - middle), np.full(len(shares), level)])
    height, took, down_off = _descent(level - float(goal[2]), aircraft)
    down = np.column_stack([np.full(len(height), goal[0]), np.full(len(height), goal[1]), goal[2] + height])
    times, off = (earliest + latest) / 2, float((latest - earliest).max()) / 2
    apart = np.append(times[:-1] < times[-1] - _REST_S, True)
    apart[1:-1] &= np.diff(times)[:-1] > _REST_S
    way, times = way[apart], times[apart]
    line = Trajectory(np.concatenate([times, times[-1] + took]), np.vstack([way, down]))
    check_endurance(flight, line.end_s + off)
    own = flight.corridor.tube
    made = _corridor(flight, line, off, pad=True)
    wide = Tube(
        own.horizontal_m + flight.overshoot_m + aside + max(early_off, late_off) + _SAME_M, own.vertical_m + down_off
    )
    made = dataclasses.replace(made, tube=wide, below_m=made.below_m + level - low)
    return Straight(made, begin[:, :2], low, level, climb_to_m is not None)


def _corridor(flight: Flight, line: Trajectory, off_s: float, *, pad: bool) -> Corridor:
    """The room of the flight around another line; the pad at its end stays taken as long as that of the flight."""
    own = flight.corridor
    return Corridor(
        line.held(0.0, own.pad_hold_s if pad else 0.0),
        own.half_width_m,
        own.below_m,
        own.above_m,
        own.time_tolerance_s + off_s,
        0.0,
        Tube(own.tube.horizontal_m + flight.overshoot_m, own.tube.vertical_m),
    )


def check_endurance(flight: Flight, down_s: float) -> None:
    """Raise CannotFly where a drone comes down later (Unix seconds) than its endurance lasts."""
    took, most = down_s - flight.line.start_s, flight.aircraft.endurance_s
    if took > most:
        raise CannotFly(
            f"it would be down {took:.0f} s after departure, {took - most:.0f} s past the endurance of a "
            f"{flight.aircraft.name}",
            limit="endurance",
            needed=took,
            allowed=most,
        )


@lru_cache(maxsize=1024)
def _rest_to_rest(length_m: float, speed_m_s: float, aircraft: Aircraft) -> _Motion:
    """Metres gone (n,) and seconds (n,) of a straight leg from rest to rest; how far lines between them are off."""
    if length_m < _SAME_M:
        return np.array([0.0, length_m]), np.array([0.0, _REST_S]), length_m
    top = peak_speed(length_m, 0.0, 0.0, speed_m_s, aircraft.acceleration_m_s2)
    end = np.array([length_m, 0.0, 0.0])
    took, gone, error = PlannedLeg(np.zeros(3), end, 0.0, top, 0.0, aircraft.acceleration_m_s2).knots()
    return np.concatenate([[0.0], gone]), np.concatenate([[0.0], took]), error


def _level(distance_m: float, aircraft: Aircraft) -> _Motion:
    """The same of a level leg, with shares (n,) of it instead of metres."""
    gone, took, error = _rest_to_rest(distance_m, aircraft.cruise_m_s, aircraft)
    return gone / gone[-1] if gone[-1] > 0.0 else np.array([0.0, 1.0]), took, error


@lru_cache(maxsize=1024)
def _descent(drop_m: float, aircraft: Aircraft) -> _Motion:
    """Heights over the ground (n,) and seconds (n,) of a landing, its beginning left out; how far lines between them
    are off."""
    way = np.array([[0.0, 0.0, drop_m], [0.0, 0.0, 0.0]])
    down = time_path(way, aircraft, 0.0)
    return down.enu_m[1:, 2], down.t_s[1:], tube_of(way, aircraft).vertical_m


def _distances(points_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[float, float]:
    """The least and the greatest distance (metres) of a line over the ground (n, 2) from a point."""
    nearest = math.inf
    for a, b in itertools.pairwise(points_m):
        square = float((b - a) @ (b - a))
        share = min(max(float((goal_m - a) @ (b - a)) / square, 0.0), 1.0) if square > 0 else 0.0
        nearest = min(nearest, float(np.hypot(*(a + share * (b - a) - goal_m))))
    return nearest, float(np.hypot(*(points_m - goal_m).T).max())
