"""Changes of speed with limited acceleration and jerk: how long, how far, and what a leg of a given length allows.

A change from one speed to another raises its acceleration with the jerk up to ``a`` (or, where it is too small for
that, as far as half of it), holds it, and lowers it the same way: the S of seven-segment profiles (L. Biagiotti and
C. Melchiorri, "Trajectory Planning for Automatic Machines and Robots", 2008, 3.4). It is symmetric about its middle,
so it takes its mean speed on average, and braking is speeding up run backwards. Plain floats, SI.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: PX4: MPC_JERK_AUTO.
JERK_M_S3 = 4.0

#: Halvings of the search for a speed: to the last bits of float64.
_HALVINGS = 50


def ramp_s(change_m_s: float, acceleration: float) -> float:
    """How long a change of speed takes: ``dv / a + a / j``, or ``2 sqrt(dv / j)`` where it never reaches ``a``."""
    if change_m_s * JERK_M_S3 >= acceleration**2:
        return change_m_s / acceleration + acceleration / JERK_M_S3
    return 2 * math.sqrt(max(change_m_s, 0.0) / JERK_M_S3)


def ramp_m(one_m_s: float, other_m_s: float, acceleration: float) -> float:
    """How far a change of speed takes, either way."""
    return (one_m_s + other_m_s) / 2 * ramp_s(abs(other_m_s - one_m_s), acceleration)


def steepest(change_m_s: float, acceleration: float) -> float:
    """The highest acceleration within a change of speed."""
    return min(acceleration, math.sqrt(max(change_m_s, 0.0) * JERK_M_S3))


def ramp_at(
    t_s: ArrayLike, slow_m_s: float, fast_m_s: float, acceleration: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Metres gone, speed and acceleration (...) at times (...) into a change from a lower speed to a higher one."""
    t = np.asarray(t_s, np.float64)
    change = fast_m_s - slow_m_s
    most, whole = steepest(change, acceleration), ramp_s(change, acceleration)
    bend = most / JERK_M_S3
    # The jerk is +j, 0, -j: a sum of three switches and so of three powers of the time since each.
    begun, bent, unbent, over = (np.maximum(t - when, 0.0) for when in (0.0, bend, whole - bend, whole))
    gone = JERK_M_S3 / 6 * (begun**3 - bent**3 - unbent**3 + over**3)
    gained = JERK_M_S3 / 2 * (begun**2 - bent**2 - unbent**2 + over**2)
    steep = JERK_M_S3 * (begun - bent - unbent + over)
    return slow_m_s * t + gone, slow_m_s + gained, steep


def at_most_reachable(wanted_m_s: float, from_m_s: float, length: float, acceleration: float) -> float:
    """The wanted speed, or less where it is too fast to be reached within a length, or for the given one to be."""
    if wanted_m_s <= from_m_s or ramp_m(from_m_s, wanted_m_s, acceleration) <= length:
        return wanted_m_s
    low, high = from_m_s, wanted_m_s
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ramp_m(from_m_s, middle, acceleration) <= length else (low, middle)
    return low


def peak_speed(length: float, begin: float, end: float, limit: float, acceleration: float) -> float:
    """Highest speed, up to a limit, that can be reached and left again on a leg."""
    if ramp_m(begin, limit, acceleration) + ramp_m(end, limit, acceleration) <= length:
        return limit
    low, high = max(begin, end), limit
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ramps = ramp_m(begin, middle, acceleration) + ramp_m(end, middle, acceleration)
        low, high = (middle, high) if ramps <= length else (low, middle)
    return low


def stopping_speed(length: float, acceleration: float) -> float:
    """Highest speed from which PX4 plans to stop within a length, the delay of its jerk included (PX4:
    ``computeMaxSpeedFromDistance``): v^2 / (2 a) + v * 2 a / j is the length."""
    delay = 4 * acceleration**2 / JERK_M_S3
    return (math.sqrt(delay**2 + 8 * acceleration * length) - delay) / 2
