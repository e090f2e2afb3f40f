"""When an aircraft is where along a way: a timed trajectory from its speeds.

The model is what a PX4 multicopter does in a mission:

- On a straight leg the speed along the leg is the highest that exceeds neither the cruise speed horizontally nor the
  climb or descent speed vertically. The last leg descends at the landing speed below ``slow_below_m`` over its end.
  In a wind the horizontal part is what `ground_speed_m_s` leaves of the cruise speed at the worst height of the leg.
- It stands still at both pads and at the tops of the take-off and the landing column (the second and the last but
  one point).
- At every other corner it rolls through a waypoint of 10 m acceptance radius (what the PX4 adapter asks for). The
  speed there is that of a circle tangent to both legs 10 m from the corner, in the plane, flown with half the
  acceleration (PX4: ``computeMaxSpeedInWaypoint`` with MPC_XY_TRAJ_P = 0.5)::

      v = sqrt(acceleration / 2 * 10 m / tan(turn / 2))

  which is 3.2 m/s for a right angle at 2 m/s2. It stops where a leg before or after the corner is shorter than 10 m
  in the plane, and it never passes a corner faster than it can stop by the next one: PX4 looks no further ahead.
- Between these speeds it changes along the leg with ``acceleration_m_s2`` and a jerk of 4 m/s3 (PX4: MPC_JERK_AUTO),
  on vertical legs too.
- A change of slope at a corner costs no time.

The trajectory goes through the corners themselves, and straight between its knots. How far what is flown is from that
is said by `utm.core.tube`.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.energy import ground_speed_m_s
from utm.core.ramps import at_most_reachable, peak_speed, ramp_at, ramp_m, ramp_s, steepest, stopping_speed
from utm.errors import CannotFly
from utm.model import CALM, Aircraft, Trajectory, Wind

#: Acceptance radius of a way point: the turn begins this far before a corner, and ends as far behind it.
ACCEPTANCE_M = 10.0
_LATERAL_SHARE = 0.5

_ABOVE_ZERO = (
    "cruise_m_s",
    "climb_m_s",
    "descent_m_s",
    "landing_m_s",
    "acceleration_m_s2",
    "endurance_s",
    "max_airspeed_m_s",
)

#: Points nearer than this to the one before are one point. A millimetre at 30 m/s takes 33 us, far more than the
#: quarter of a microsecond to which a float64 holds Unix time.
_SAME_M = 1e-3

#: A knot nearer than this to another says nothing.
_SAME_S = 1e-3

#: Linear interpolation between knots is off by at most this along the track while the speed changes. A quad needs two
#: pieces for a change from rest to 8 m/s, and is then off by 1.3 m; with 1 m it would be three pieces and 0.6 m, small
#: beside a rounded corner, for two more pieces a leg in every comparison of two flights.
_KNOT_ERROR_M = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class PlannedLeg:
    """A straight leg and the speeds on it: a rise, a level part and a fall, any of them possibly empty."""

    start_m: NDArray[np.float64]
    """(3,) metres east, north, up."""
    end_m: NDArray[np.float64]
    """(3,) likewise."""
    begin_m_s: float
    """Speed along the leg at its start."""
    peak_m_s: float
    """Highest speed on it."""
    final_m_s: float
    """Speed at its end; 0 is a stop."""
    acceleration_m_s2: float

    @property
    def length_m(self) -> float:
        """Length in space."""
        return float(np.linalg.norm(self.end_m - self.start_m))

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3,) unit vector."""
        return (self.end_m - self.start_m) / self.length_m

    @property
    def phases_s(self) -> tuple[float, float, float]:
        """How long it speeds up, keeps its speed, and brakes."""
        a, length = self.acceleration_m_s2, self.length_m
        ramps = ramp_m(self.begin_m_s, self.peak_m_s, a) + ramp_m(self.final_m_s, self.peak_m_s, a)
        return (
            ramp_s(self.peak_m_s - self.begin_m_s, a),
            max(length - ramps, 0.0) / self.peak_m_s,
            ramp_s(self.peak_m_s - self.final_m_s, a),
        )

    def along(self, t_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Metres from the leg's start, speed and acceleration along it (...) at seconds (...) from its start."""
        t = np.asarray(t_s, np.float64)
        rise, level, fall = self.phases_s
        a, length = self.acceleration_m_s2, self.length_m
        risen, fallen = ramp_m(self.begin_m_s, self.peak_m_s, a), ramp_m(self.final_m_s, self.peak_m_s, a)
        up = ramp_at(np.minimum(t, rise), self.begin_m_s, self.peak_m_s, a)
        left = np.maximum(rise + level + fall - t, 0.0)
        down = ramp_at(np.minimum(left, fall), self.final_m_s, self.peak_m_s, a)
        rising, falling = t <= rise, left < fall
        level_gone = risen + (length - fallen - risen) * (t - rise) / (level if level > 0 else 1.0)
        return (
            np.where(rising, up[0], np.where(falling, length - down[0], level_gone)),
            np.where(rising, up[1], np.where(falling, down[1], self.peak_m_s)),
            np.where(rising, up[2], np.where(falling, -down[2], 0.0)),
        )

    def knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Seconds (k,) and metres (k,) from the leg's start, the last of them at its end, on the very profile; and by
        how much straight lines between them (and the start) are off it at most, in metres along the leg.

        Proof of the bound: the speed is continuous over the leg, so where the acceleration is at most A between two
        knots dt apart, the chord is off by at most A dt^2 / 8 (error of linear interpolation).
        """
        rise, level, fall = self.phases_s
        total = rise + level + fall
        rise_top = steepest(self.peak_m_s - self.begin_m_s, self.acceleration_m_s2)
        fall_top = steepest(self.peak_m_s - self.final_m_s, self.acceleration_m_s2)
        wanted = np.concatenate(
            [
                rise * np.arange(1, pieces := _pieces(rise, rise_top)) / pieces,
                [rise, rise + level],
                rise + level + fall * np.arange(1, pieces := _pieces(fall, fall_top)) / pieces,
            ]
        )
        kept = [0.0]
        for t in wanted:
            if t - kept[-1] > _SAME_S and total - t > _SAME_S:
                kept.append(float(t))
        times = np.array([*kept, total])
        top = np.maximum(np.where(times[:-1] < rise, rise_top, 0.0), np.where(times[1:] > rise + level, fall_top, 0.0))
        gone = self.along(times[1:])[0]
        gone[-1] = self.length_m  # not from the sum: a corner is passed to the last bit
        return times[1:], gone, float((top * np.diff(times) ** 2).max() / 8)


def time_path(points_m: ArrayLike, aircraft: Aircraft, start_s: float, wind: Wind = CALM) -> Trajectory:
    """Fly a way as fast as the aircraft may: from rest on the first point to rest on the last.

    Args:
        points_m: (n, 3) metres east, north, up: pad, top of the take-off column, ..., top of the landing column, pad.
            Points within a millimetre of the one before are dropped.
        aircraft: its speeds, acceleration and endurance.
        start_s: Unix seconds at which it leaves the pad.
        wind: the forecast.

    Returns:
        A trajectory that passes through every point. Its pieces never exceed a speed limit. Its knots lie on the
        motion with limited jerk; straight lines between them are at most 2 m off it, along the track.

    Raises:
        CannotFly: it takes longer than the aircraft's endurance, or the wind is too strong for a leg; says by how
            much.
        ValueError: fewer than two different points, numbers that are not finite, speeds that are not positive.
    """
    if not math.isfinite(start_s):
        raise ValueError(f"start_s must be finite, got {start_s!r}")
    legs = planned_legs(points_m, aircraft, wind)
    times, places = [0.0], [legs[0].start_m]
    for leg in legs:
        took, gone, _ = leg.knots()
        times.extend(times[-1] + took)
        places.extend(leg.start_m + np.outer(gone[:-1] / leg.length_m, leg.end_m - leg.start_m))
        places.append(leg.end_m)
    check_endurance(times[-1], aircraft)
    return Trajectory(start_s + np.array(times), np.array(places))


def flight_time_s(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> float:
    """How long the flight of `time_path` takes from pad to pad, seconds, whatever the endurance.

    Raises:
        CannotFly: the wind is too strong for a leg.
        ValueError: as `time_path`.
    """
    return float(sum(sum(leg.phases_s) for leg in planned_legs(points_m, aircraft, wind)))


def check_endurance(flight_s: float, aircraft: Aircraft) -> None:
    """Raises CannotFly where a flight takes longer than the aircraft's endurance."""
    if flight_s > aircraft.endurance_s:
        raise CannotFly(
            f"the flight takes {flight_s:.0f} s, {flight_s - aircraft.endurance_s:.0f} s more than the endurance "
            f"of {aircraft.endurance_s:.0f} s of a {aircraft.name}",
            limit="endurance",
            needed=float(flight_s),
            allowed=aircraft.endurance_s,
        )


def planned_legs(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> tuple[PlannedLeg, ...]:
    """The legs of `time_path` with the speeds on them; where the landing slows down a leg is cut in two.

    Raises:
        CannotFly: the wind is too strong for a leg.
        ValueError: as `time_path`.
    """
    for name in _ABOVE_ZERO:
        value = getattr(aircraft, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} of aircraft {aircraft.name} must be a finite number above zero, got {value!r}")
    points = _distinct(points_m)
    return _legs(points.tobytes(), aircraft, wind)


@functools.lru_cache(maxsize=64)
def _legs(content: bytes, aircraft: Aircraft, wind: Wind) -> tuple[PlannedLeg, ...]:
    """Of points as bytes: time, energy, turns and tube of one way all ask for its legs, one after the other."""
    points = np.frombuffer(content, np.float64).reshape(-1, 3)
    legs = np.diff(points, axis=0)
    level_m_s = _level_speeds(points, aircraft, wind)
    limits = [
        _leg_speed(leg, aircraft, level, aircraft.descent_m_s) for leg, level in zip(legs, level_m_s, strict=True)
    ]
    through = _corner_speeds(legs, limits, aircraft)
    points, limits, through = _with_slow_landing(points, limits, through, aircraft, level_m_s[-1])
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    acceleration = aircraft.acceleration_m_s2
    # Speeding up and braking must be possible: forwards for the one, backwards for the other.
    for n, length in enumerate(lengths):
        through[n + 1] = at_most_reachable(through[n + 1], through[n], length, acceleration)
    for n in range(len(lengths) - 1, -1, -1):
        through[n] = at_most_reachable(through[n], through[n + 1], lengths[n], acceleration)
    return tuple(
        PlannedLeg(
            points[n],
            points[n + 1],
            through[n],
            peak_speed(float(length), through[n], through[n + 1], limits[n], acceleration),
            through[n + 1],
            acceleration,
        )
        for n, length in enumerate(lengths)
    )


def _distinct(points_m: ArrayLike) -> NDArray[np.float64]:
    points = np.array(points_m, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"points_m must be finite numbers (n, 3), got shape {points.shape}")
    kept = [points[0]] if len(points) else []
    for place in points[1:]:
        if np.linalg.norm(place - kept[-1]) > _SAME_M:
            kept.append(place)
    if len(kept) > 1:
        kept[-1] = points[-1]  # the pad itself, not a point a hair away
    if len(kept) < 2:
        raise ValueError("a flight needs at least two different points")
    return np.array(kept)


def _level_speeds(points: NDArray[np.float64], aircraft: Aircraft, wind: Wind) -> list[float]:
    """Highest ground speed of each leg that can be held at every height of it.

    Between two heights of the forecast the wind is linear in height. The ground speed is concave in the wind (a sum of
    a linear part and the root of a concave one, cut off by the cruise speed), its strength is convex: both are worst
    at an end of the leg or at a height of the forecast.

    Raises:
        CannotFly: for the leg with the strongest wind.
    """
    speeds, too_windy = [], []
    for n, (a, b) in enumerate(itertools.pairwise(points)):
        low, high = sorted((float(a[2]), float(b[2])))
        winds = wind.at(np.array([low, *wind.up_m[(wind.up_m > low) & (wind.up_m < high)], high]))
        across = math.hypot(*(b - a)[:2])
        track = (b - a)[:2] / across if across > 0 else None
        speeds.append(aircraft.cruise_m_s if track is None else float(ground_speed_m_s(aircraft, track, winds).min()))
        worst = max(winds, key=lambda velocity: math.hypot(*velocity))
        if math.hypot(*worst) > aircraft.max_airspeed_m_s or not speeds[-1] > 0:
            # Of a climb and the leg at its top, in the same wind, the level leg says more.
            too_windy.append((math.hypot(*worst), track is not None, -n, track, worst))
    if too_windy:
        _, _, number, track, worst = max(too_windy, key=lambda leg: leg[:3])
        raise _too_windy(1 - number, track, worst, aircraft)
    return speeds


def _too_windy(number: int, track, wind_m_s: NDArray[np.float64], aircraft: Aircraft) -> CannotFly:
    strength, most = math.hypot(*wind_m_s), aircraft.max_airspeed_m_s
    where = "at"  # a climb or a descent on the spot
    if track is not None:
        along = float(track @ wind_m_s) / strength
        where = "across" if abs(along) < math.sqrt(0.5) else "along" if along > 0 else "against"
    shown = math.ceil(strength * 10 - 1e-6) / 10
    by = f"exceeds the {most:g} m/s that a {aircraft.name} makes through the air, by {percent(strength / most - 1)}"
    if strength <= most:
        by = f"leaves nothing of the {most:g} m/s that a {aircraft.name} makes through the air"
    return CannotFly(
        f"the wind of {shown:g} m/s {where} leg {number} {by}", limit="wind", needed=strength, allowed=most
    )


def percent(share: float) -> str:
    """An excess as a person says it: never nothing."""
    return f"{max(round(100 * share), 1)} %"


def _leg_speed(leg: NDArray[np.float64], aircraft: Aircraft, level_m_s: float, descent_m_s: float) -> float:
    """Highest speed along a leg."""
    length = float(np.linalg.norm(leg))
    across, up = math.hypot(leg[0], leg[1]), float(leg[2])
    speeds = []
    if across > 0:
        speeds.append(level_m_s * length / across)
    if up != 0:
        speeds.append((aircraft.climb_m_s if up > 0 else descent_m_s) * length / abs(up))
    return min(speeds)


def _corner_speeds(legs: NDArray[np.float64], limits: list[float], aircraft: Aircraft) -> list[float]:
    """Highest speed at each point: 0 at the pads and at the tops of the columns."""
    lateral = _LATERAL_SHARE * aircraft.acceleration_m_s2 * ACCEPTANCE_M
    speeds = [0.0] * (len(legs) + 1)
    for n in range(2, len(legs) - 1):
        (east, north, _), (onward_east, onward_north, _) = legs[n - 1], legs[n]
        if min(math.hypot(east, north), math.hypot(onward_east, onward_north)) < ACCEPTANCE_M:
            continue
        turn = math.atan2(east * onward_north - north * onward_east, east * onward_east + north * onward_north)
        rounding = math.sqrt(lateral / math.tan(abs(turn) / 2)) if turn != 0 else math.inf
        stopping = stopping_speed(float(np.linalg.norm(legs[n])), aircraft.acceleration_m_s2)
        speeds[n] = min(limits[n - 1], limits[n], rounding, stopping)
    return speeds


def _with_slow_landing(
    points: NDArray[np.float64], limits: list[float], through: list[float], aircraft: Aircraft, level_m_s: float
) -> tuple[NDArray[np.float64], list[float], list[float]]:
    """Points, leg speeds and corner speeds with the last leg cut where the landing slows down."""
    last = points[-1] - points[-2]
    drop = -float(last[2])
    if drop <= 0 or aircraft.slow_below_m <= _SAME_M:
        return points, limits, through
    landing = _leg_speed(last, aircraft, level_m_s, min(aircraft.landing_m_s, aircraft.descent_m_s))
    if drop <= aircraft.slow_below_m + _SAME_M:
        return points, [*limits[:-1], landing], through
    gate = points[-1] - last * (aircraft.slow_below_m / drop)
    return np.vstack([points[:-1], gate, points[-1]]), [*limits, landing], [*through[:-1], landing, through[-1]]


def _pieces(ramp_s: float, steepest_m_s2: float) -> int:
    """Into how many pieces a ramp is cut, to keep the error of straight lines."""
    return max(math.ceil(ramp_s / math.sqrt(8 * _KNOT_ERROR_M / steepest_m_s2)), 1) if ramp_s > 0 else 1
