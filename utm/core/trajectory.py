"""When an aircraft is where along a way: a timed trajectory from its speeds.

The model is what a PX4 multicopter does in a mission:

- On a straight leg the speed along the leg is the highest that exceeds neither the cruise speed horizontally nor the
  climb or descent speed vertically. The last leg descends at the landing speed below ``slow_below_m`` over its end.
- It stands still at both pads and at the tops of the take-off and the landing column (the second and the last but
  one point).
- At every other corner it rolls through a waypoint of 10 m acceptance radius (what the PX4 adapter asks for). The
  speed there is that of a circle tangent to both legs 10 m from the corner, in the plane, flown with half the
  acceleration (PX4: ``computeMaxSpeedInWaypoint`` with MPC_XY_TRAJ_P = 0.5)::

      v = sqrt(acceleration / 2 * 10 m / tan(turn / 2))

  which is 3.2 m/s for a right angle at 2 m/s2. It stops where a leg before or after the corner is shorter than 10 m
  in the plane, and it never passes a corner faster than it can stop by the next one: PX4 looks no further ahead.
- Between these speeds it changes along the leg with ``acceleration_m_s2`` and a jerk of 4 m/s3 (PX4: MPC_JERK_AUTO),
  on vertical legs too. A change by dv takes ``dv / a + a / j``, or ``2 sqrt(dv / j)`` where it never reaches ``a``.
- A change of slope at a corner costs no time. Wind is not known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.errors import CannotFly
from utm.model import Aircraft, Trajectory

_ACCEPTANCE_M = 10.0
_LATERAL_SHARE = 0.5
_JERK_M_S3 = 4.0

#: Points nearer than this to the one before are one point. A millimetre at 30 m/s takes 33 us, far more than the
#: quarter of a microsecond to which a float64 holds Unix time.
_SAME_M = 1e-3

#: Halvings of the search for a speed: to the last bits of float64.
_HALVINGS = 50

#: A knot nearer than this to another says nothing.
_SAME_S = 1e-3

#: Linear interpolation between knots is off by at most this along the track while the speed changes.
_KNOT_ERROR_M = 3.0


def time_path(points_m: ArrayLike, aircraft: Aircraft, start_s: float) -> Trajectory:
    """Fly a way as fast as the aircraft may: from rest on the first point to rest on the last.

    Args:
        points_m: (n, 3) metres east, north, up: pad, top of the take-off column, ..., top of the landing column, pad.
            Points within a millimetre of the one before are dropped.
        aircraft: its speeds, acceleration and endurance.
        start_s: Unix seconds at which it leaves the pad.

    Returns:
        A trajectory that passes through every point. Its pieces never exceed a speed limit; while the speed changes
        it is at most 3 m along the track from constant acceleration.

    Raises:
        CannotFly: it takes longer than the aircraft's endurance; says by how much.
        ValueError: fewer than two different points, numbers that are not finite, speeds that are not positive.
    """
    if not math.isfinite(start_s):
        raise ValueError(f"start_s must be finite, got {start_s!r}")
    times, knots = _knots(points_m, aircraft)
    if times[-1] > aircraft.endurance_s:
        raise CannotFly(
            f"the flight takes {times[-1]:.0f} s, {times[-1] - aircraft.endurance_s:.0f} s more than the endurance "
            f"of {aircraft.endurance_s:.0f} s of a {aircraft.name}"
        )
    return Trajectory(start_s + times, knots)


def flight_time_s(points_m: ArrayLike, aircraft: Aircraft) -> float:
    """How long the flight of `time_path` takes from pad to pad, seconds, whatever the endurance.

    Raises:
        ValueError: as `time_path`.
    """
    times, _ = _knots(points_m, aircraft)
    return float(times[-1])


def _knots(points_m: ArrayLike, aircraft: Aircraft) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (k,) from 0 and points (k, 3) of the flight."""
    for name in ("cruise_m_s", "climb_m_s", "descent_m_s", "landing_m_s", "acceleration_m_s2", "endurance_s"):
        value = getattr(aircraft, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} of aircraft {aircraft.name} must be a finite number above zero, got {value!r}")
    points = _distinct(points_m)
    legs = np.diff(points, axis=0)
    limits = [_leg_speed(leg, aircraft, aircraft.descent_m_s) for leg in legs]
    through = _corner_speeds(legs, limits, aircraft)
    points, limits, through = _with_slow_landing(points, limits, through, aircraft)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    acceleration = aircraft.acceleration_m_s2
    # Speeding up and braking must be possible: forwards for the one, backwards for the other.
    for n, length in enumerate(lengths):
        through[n + 1] = _at_most_reachable(through[n + 1], through[n], length, acceleration)
    for n in range(len(lengths) - 1, -1, -1):
        through[n] = _at_most_reachable(through[n], through[n + 1], lengths[n], acceleration)

    times, places = [0.0], [points[0]]
    for n, length in enumerate(lengths):
        took, gone = _leg_profile(length, through[n], through[n + 1], limits[n], acceleration)
        times.extend(times[-1] + took)
        places.extend(points[n] + np.outer(gone[:-1] / length, points[n + 1] - points[n]))
        places.append(points[n + 1])  # not from the sum: a corner is passed to the last bit
    return np.array(times), np.array(places)


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


def _leg_speed(leg: NDArray[np.float64], aircraft: Aircraft, descent_m_s: float) -> float:
    """Highest speed along a leg."""
    length = float(np.linalg.norm(leg))
    across, up = math.hypot(leg[0], leg[1]), float(leg[2])
    speeds = []
    if across > 0:
        speeds.append(aircraft.cruise_m_s * length / across)
    if up != 0:
        speeds.append((aircraft.climb_m_s if up > 0 else descent_m_s) * length / abs(up))
    return min(speeds)


def _corner_speeds(legs: NDArray[np.float64], limits: list[float], aircraft: Aircraft) -> list[float]:
    """Highest speed at each point: 0 at the pads and at the tops of the columns."""
    lateral = _LATERAL_SHARE * aircraft.acceleration_m_s2 * _ACCEPTANCE_M
    speeds = [0.0] * (len(legs) + 1)
    for n in range(2, len(legs) - 1):
        (east, north, _), (onward_east, onward_north, _) = legs[n - 1], legs[n]
        if min(math.hypot(east, north), math.hypot(onward_east, onward_north)) < _ACCEPTANCE_M:
            continue
        turn = math.atan2(east * onward_north - north * onward_east, east * onward_east + north * onward_north)
        rounding = math.sqrt(lateral / math.tan(abs(turn) / 2)) if turn != 0 else math.inf
        stopping = _stopping_speed(float(np.linalg.norm(legs[n])), aircraft.acceleration_m_s2)
        speeds[n] = min(limits[n - 1], limits[n], rounding, stopping)
    return speeds


def _with_slow_landing(
    points: NDArray[np.float64], limits: list[float], through: list[float], aircraft: Aircraft
) -> tuple[NDArray[np.float64], list[float], list[float]]:
    """Points, leg speeds and corner speeds with the last leg cut where the landing slows down."""
    last = points[-1] - points[-2]
    drop = -float(last[2])
    if drop <= 0 or aircraft.slow_below_m <= _SAME_M:
        return points, limits, through
    landing = _leg_speed(last, aircraft, min(aircraft.landing_m_s, aircraft.descent_m_s))
    if drop <= aircraft.slow_below_m + _SAME_M:
        return points, [*limits[:-1], landing], through
    gate = points[-1] - last * (aircraft.slow_below_m / drop)
    return np.vstack([points[:-1], gate, points[-1]]), [*limits, landing], [*through[:-1], landing, through[-1]]


def _stopping_speed(length: float, acceleration: float) -> float:
    """Highest speed from which PX4 plans to stop within a length, the delay of its jerk included (PX4:
    ``computeMaxSpeedFromDistance``): v^2 / (2 a) + v * 2 a / j is the length."""
    delay = 4 * acceleration**2 / _JERK_M_S3
    return (math.sqrt(delay**2 + 8 * acceleration * length) - delay) / 2


def _ramp_s(change_m_s: float, acceleration: float) -> float:
    """How long a change of speed takes with limited acceleration and jerk."""
    if change_m_s * _JERK_M_S3 >= acceleration**2:
        return change_m_s / acceleration + acceleration / _JERK_M_S3
    return 2 * math.sqrt(max(change_m_s, 0.0) / _JERK_M_S3)


def _ramp_m(one_m_s: float, other_m_s: float, acceleration: float) -> float:
    """How far a change of speed takes, either way: a ramp is symmetric, so it goes at the mean speed on average."""
    return (one_m_s + other_m_s) / 2 * _ramp_s(abs(other_m_s - one_m_s), acceleration)


def _at_most_reachable(wanted_m_s: float, from_m_s: float, length: float, acceleration: float) -> float:
    """The wanted speed, or less where it is too fast to be reached within a length, or for the given one to be."""
    if wanted_m_s <= from_m_s or _ramp_m(from_m_s, wanted_m_s, acceleration) <= length:
        return wanted_m_s
    low, high = from_m_s, wanted_m_s
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _ramp_m(from_m_s, middle, acceleration) <= length else (low, middle)
    return low


def _peak(length: float, begin: float, end: float, limit: float, acceleration: float) -> float:
    """Highest speed that can be reached and left again on a leg."""
    if _ramp_m(begin, limit, acceleration) + _ramp_m(end, limit, acceleration) <= length:
        return limit
    low, high = max(begin, end), limit
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ramps = _ramp_m(begin, middle, acceleration) + _ramp_m(end, middle, acceleration)
        low, high = (middle, high) if ramps <= length else (low, middle)
    return low


def _leg_profile(
    length: float, begin: float, end: float, limit: float, acceleration: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A trapezoid of speed over a leg, or a triangle where it is short.

    Returns:
        Seconds (k,) and metres (k,) from the leg's beginning, the last of them at its end.
    """
    peak = _peak(length, begin, end, limit, acceleration)
    rise, fall = _ramp_s(peak - begin, acceleration), _ramp_s(peak - end, acceleration)
    risen, fallen = (begin + peak) / 2 * rise, (peak + end) / 2 * fall
    level = max(length - risen - fallen, 0.0) / peak
    # Within a ramp the mean acceleration stands for the S of the jerk: the same time, the same distance.
    # A chord over dt of constant acceleration is off by acceleration * dt^2 / 8 at most.
    step = math.sqrt(8 * _KNOT_ERROR_M / acceleration)
    took, gone = [], []
    for k in range(1, pieces := max(math.ceil(rise / step), 1)):
        t = rise * k / pieces
        took.append(t)
        gone.append(begin * t + (peak - begin) / rise * t * t / 2)
    took += [rise, rise + level]
    gone += [risen, length - fallen]
    for k in range(1, pieces := max(math.ceil(fall / step), 1)):
        t = fall * (1 - k / pieces)
        took.append(rise + level + fall - t)
        gone.append(length - (end * t + (peak - end) / fall * t * t / 2))
    total = rise + level + fall
    kept_took, kept_gone = [], []
    for t, s in zip(took, gone, strict=True):
        if t - (kept_took[-1] if kept_took else 0.0) > _SAME_S and total - t > _SAME_S:
            kept_took.append(t)
            kept_gone.append(s)
    return np.array([*kept_took, total]), np.array([*kept_gone, length])
