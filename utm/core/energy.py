"""What a multicopter draws from its battery, and how fast it gets on, in a wind.

Momentum theory with one lumped rotor disc and thrust equal to weight: induced power by Glauert's equation, parasite
power by the cube of the airspeed, climbing power by the height gained, all through one efficiency (figure of merit,
motors, controllers), and the avionics beside it. Sources: J. G. Leishman, "Principles of Helicopter Aerodynamics", 2nd
ed. 2006, 2.13 (climb and descent), 2.14 (forward flight), 5.4 (power); J. K. Stolaroff et al., "Energy use and life
cycle greenhouse gas emissions of drones for commercial package delivery", Nature Communications 9, 409 (2018), which
finds this form within a fifth of what small multicopters were measured to draw.

Descent earns nothing: it draws what level flight at the same airspeed does. Between hover and -2 v_h momentum theory
does not hold (vortex ring, Leishman 2.13.4); his fit to measurements has the power of a vertical descent rise by 0.3 %
over that of hovering at most, and at the 1.5 m/s of PX4 fall 3 % below it, so what is given away is small, and a
descent is never a source of energy.

PX4 holds ground speed, so in a wind the airspeed is what differs. It flies level legs and vertical steps apart
(docs/px4.md): a slope is priced as its level part flown level and its vertical part flown vertically, the position
held against the wind meanwhile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import point
from utm.model import CALM, Aircraft, Wind

#: Sea level of the standard atmosphere, kilograms per cubic metre. A tenth less (1000 m up) costs hovering a
#: twentieth more.
AIR_DENSITY = 1.225
#: Metres per second squared.
GRAVITY = 9.80665

#: Newton's method for the induced velocity comes from above, on a convex increasing function, so it falls to the root
#: without passing it; up to 500 m/s along and 100 m/s up it is reached, to the last bit but one, within 5 steps.
_NEWTON_STEPS = 6
#: Slower over the ground than this share of its cruise speed, an aircraft is standing.
_STANDING = 1e-3
_WH_PER_J = 1.0 / 3600.0
#: Abscissae and weights on [0, 1] for the mean over a layer of air in which the wind is linear (Gauss-Legendre).
_GAUSS_AT, _GAUSS_WEIGHT = (np.polynomial.legendre.leggauss(8) + np.array([[1.0], [0.0]])) / 2


def power_w(aircraft: Aircraft, airspeed_m_s: ArrayLike, climb_m_s: ArrayLike) -> NDArray[np.float64]:
    """Watts drawn from the battery in steady flight.

    Args:
        aircraft: its mass, disc and drag areas, efficiency and avionics.
        airspeed_m_s: horizontal speed through the air, >= 0.
        climb_m_s: vertical speed through the air; below zero it descends, which earns nothing.

    Returns:
        as the two arguments broadcast; never below that of level flight at the same airspeed.

    Raises:
        ValueError: a speed that is not finite, or an airspeed below zero.
    """
    speed, climb = np.broadcast_arrays(np.asarray(airspeed_m_s, np.float64), np.asarray(climb_m_s, np.float64))
    if not (np.isfinite(speed).all() and np.isfinite(climb).all() and (speed >= 0).all()):
        raise ValueError("speeds must be finite, and airspeed_m_s not below zero")
    rising = np.maximum(climb, 0.0)
    thrust_n = aircraft.mass_kg * GRAVITY
    induced_w = thrust_n * _induced_velocity(aircraft, speed, rising)
    parasite_w = 0.5 * AIR_DENSITY * aircraft.drag_area_m2 * np.hypot(speed, rising) ** 3
    return (induced_w + parasite_w + thrust_n * rising) / aircraft.efficiency + aircraft.avionics_w


def ground_speed_m_s(aircraft: Aircraft, track: ArrayLike, wind_m_s: ArrayLike) -> NDArray[np.float64]:
    """Speed over the ground on a level leg: cruise speed, or what the highest airspeed leaves of it.

    The cross wind is held off by crabbing, so ``sqrt(max_airspeed^2 - across^2) + along`` is the most there is. It is
    0 where the track cannot be held (less than a thousandth of cruise speed is left), or where the wind is stronger
    than the highest airspeed (also from behind: it could neither stop nor hold above a way point).

    Args:
        aircraft: ``cruise_m_s`` and ``max_airspeed_m_s``.
        track: (..., 2) unit vector east, north.
        wind_m_s: (..., 2) where the air goes to, east and north.

    Returns:
        (...) metres per second, >= 0.
    """
    direction, wind = np.asarray(track, np.float64), np.asarray(wind_m_s, np.float64)
    along = (direction * wind).sum(-1)
    across = direction[..., 0] * wind[..., 1] - direction[..., 1] * wind[..., 0]
    forward = np.sqrt(np.maximum(aircraft.max_airspeed_m_s**2 - across**2, 0.0))
    speed = np.clip(forward + along, 0.0, aircraft.cruise_m_s)
    held = np.hypot(wind[..., 0], wind[..., 1]) <= aircraft.max_airspeed_m_s
    return np.where(held & (speed >= _STANDING * aircraft.cruise_m_s), speed, 0.0)


def level_rates(
    aircraft: Aircraft, track: ArrayLike, wind_m_s: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds and watt-hours per metre of a level leg; both infinite where the track cannot be held.

    Args:
        aircraft: what flies.
        track: (..., 2) unit vector east, north.
        wind_m_s: (..., 2) where the air goes to, east and north.
    """
    direction, wind = np.broadcast_arrays(np.asarray(track, np.float64), np.asarray(wind_m_s, np.float64))
    speed = ground_speed_m_s(aircraft, direction, wind)
    through_air = speed[..., None] * direction - wind
    power = power_w(aircraft, np.hypot(through_air[..., 0], through_air[..., 1]), 0.0)
    return _per_metre(speed, power)


def vertical_rates(
    aircraft: Aircraft, upwards: bool, wind_m_s: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds and watt-hours per metre of a vertical step; both infinite where the position cannot be held.

    Args:
        aircraft: what flies.
        upwards: at ``climb_m_s``; otherwise down at ``descent_m_s``.
        wind_m_s: (..., 2) where the air goes to, east and north.
    """
    wind = np.asarray(wind_m_s, np.float64)
    strength = np.hypot(wind[..., 0], wind[..., 1])
    vertical = aircraft.climb_m_s if upwards else -aircraft.descent_m_s
    speed = np.where(strength <= aircraft.max_airspeed_m_s, abs(vertical), 0.0)
    return _per_metre(speed, power_w(aircraft, strength, vertical))


def leg_time_energy(aircraft: Aircraft, a_m: ArrayLike, b_m: ArrayLike, wind: Wind = CALM) -> tuple[float, float]:
    """Seconds and watt-hours from one point to another, without stops, turns and acceleration.

    The level part is flown level and the vertical part vertically. Of a slope both are spread evenly over the heights
    between its ends (each layer of linear wind by an eight-point rule: good to a thousandth where the wind begins to
    hold the aircraft back, to rounding elsewhere); a leg at one height is exact.

    Args:
        aircraft: what flies.
        a_m: (3,) metres east, north, up.
        b_m: (3,) the same.
        wind: the forecast.

    Returns:
        (seconds, watt-hours), both infinite where the wind is too strong for some part of the leg.

    Raises:
        ValueError: points that are not three finite numbers.
    """
    a, b = point(a_m, "a_m"), point(b_m, "b_m")
    level, rise = float(np.hypot(*(b - a)[:2])), float(b[2] - a[2])
    if level == 0.0 and rise == 0.0:
        return 0.0, 0.0
    up, weight, ends = _layers(float(a[2]), float(b[2]), wind)
    # The strength of a linear wind is convex: where the ends of a layer can be flown, all of it can.
    if (np.hypot(*wind.at(ends).T) > aircraft.max_airspeed_m_s).any():
        return np.inf, np.inf
    seconds = watt_hours = 0.0
    if level > 0.0:
        time, energy = level_rates(aircraft, (b - a)[:2] / level, wind.at(up))
        seconds, watt_hours = level * float(weight @ time), level * float(weight @ energy)
    if rise != 0.0:
        time, energy = vertical_rates(aircraft, rise > 0, wind.at(up))
        seconds += abs(rise) * float(weight @ time)
        watt_hours += abs(rise) * float(weight @ energy)
    return seconds, watt_hours


def usable_wh(aircraft: Aircraft) -> float:
    """Watt-hours that a planned flight may use: the battery less the reserve."""
    return aircraft.battery_wh * (1.0 - aircraft.reserve_share)


def _induced_velocity(aircraft: Aircraft, speed: NDArray[np.float64], rising: NDArray[np.float64]):
    """v with v sqrt(speed^2 + (rising + v)^2) = v_h^2 (Glauert 1926; Leishman 2.14), metres per second."""
    hover_squared = aircraft.mass_kg * GRAVITY / (2.0 * AIR_DENSITY * aircraft.rotor_disc_m2)
    v = np.full(speed.shape, np.sqrt(hover_squared))
    for _ in range(_NEWTON_STEPS):
        flow = np.hypot(speed, rising + v)
        v = v - (v * flow - hover_squared) / (flow + v * (rising + v) / flow)
    return v


def _per_metre(speed: NDArray[np.float64], power: NDArray[np.float64]):
    """Seconds and watt-hours per metre at a speed (m/s) and power (W); infinite at no speed."""
    seconds = np.divide(1.0, speed, out=np.full(speed.shape, np.inf), where=speed > 0)
    return seconds, seconds * power * _WH_PER_J


def _layers(low: float, high: float, wind: Wind):
    """Heights (n,) and their weights (n,), sum 1, for a mean over [low, high]; and the ends (k,) of the layers."""
    if low == high:
        return np.array([low]), np.ones(1), np.array([low])
    low, high = min(low, high), max(low, high)
    ends = np.array([low, *wind.up_m[(wind.up_m > low) & (wind.up_m < high)], high])
    depth = np.diff(ends)
    up = (ends[:-1, None] + depth[:, None] * _GAUSS_AT).ravel()
    return up, (depth[:, None] * _GAUSS_WEIGHT / (high - low)).ravel(), ends
