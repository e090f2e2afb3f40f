"""A point-mass multicopter that follows what the trajectory generator wants, as far as air and inertia let it.

The motion is limited in acceleration and jerk. Wind acts in two ways: the vehicle leans against it and holds its
ground track with an error that grows with the wind, and where the way asks for more airspeed than the vehicle has, it
goes slower.
"""

from __future__ import annotations

import math
import random

from sims.trajectory import Body, Limits, Target, Vector, wanted_velocity


class Multicopter:
    """Moves a :class:`Body`. All chance comes from the generator handed in."""

    def __init__(
        self,
        rng: random.Random,
        wind_m_s: tuple[float, float] = (0.0, 0.0),
        gust_m_s: float = 0.3,
        airspeed_max_m_s: float = 18.0,
        speeding_up_m_s2: float = 2.0,
    ):
        """Args:
        wind_m_s: steady wind, the velocity of the air: east, north.
        gust_m_s: standard deviation of the wind's changes.
        airspeed_max_m_s: more than this the vehicle cannot fly through the air.
        speeding_up_m_s2: horizontal acceleration that the airframe reaches, measured on PX4's simulated quadrotor;
            braking reaches what PX4 asks for.
        """
        self.body = Body()
        self.wind_m_s = wind_m_s
        self.gust_m_s = gust_m_s
        self.airspeed_max_m_s = airspeed_max_m_s
        self.speeding_up_m_s2 = speeding_up_m_s2
        self._rng = rng

    def fly(self, target: Target, limits: Limits, dt: float) -> None:
        """Move on by ``dt`` seconds towards a target."""
        body = self.body
        wanted = self._within_airspeed(wanted_velocity(body, target, limits))
        self._approach_horizontal(wanted, limits, dt)
        vertical = limits.up_m_s2 if wanted[2] > body.speed[2] else limits.down_m_s2
        step = _jerk_limited(body.acceleration[2], wanted[2] - body.speed[2], vertical, limits.jerk_m_s3, dt)
        body.acceleration[2] = step
        body.speed[2] += step * dt
        for axis in range(3):
            body.path[axis] += body.speed[axis] * dt
        self._disturb(dt)

    def drift(self, down_m_s: float, dt: float) -> None:
        """Sink without knowing where: the wind carries the vehicle along (no position estimate)."""
        body = self.body
        for axis, wind in enumerate(self.wind_m_s):
            body.speed[axis] += (wind - body.speed[axis]) * min(1.0, dt / 5.0)
        body.speed[2] += max(-3.0 * dt, min(3.0 * dt, -down_m_s - body.speed[2]))
        for axis in range(3):
            body.path[axis] += body.speed[axis] * dt

    def _within_airspeed(self, ground: Vector) -> Vector:
        air_x, air_y = ground[0] - self.wind_m_s[0], ground[1] - self.wind_m_s[1]
        airspeed = math.hypot(air_x, air_y)
        if airspeed <= self.airspeed_max_m_s:
            return ground
        scale = self.airspeed_max_m_s / airspeed
        return (self.wind_m_s[0] + air_x * scale, self.wind_m_s[1] + air_y * scale, ground[2])

    def _approach_horizontal(self, wanted: Vector, limits: Limits, dt: float) -> None:
        body = self.body
        dvx, dvy = wanted[0] - body.speed[0], wanted[1] - body.speed[1]
        change = math.hypot(dvx, dvy)
        faster = dvx * body.speed[0] + dvy * body.speed[1] >= 0.0
        most = min(limits.horizontal_m_s2, self.speeding_up_m_s2) if faster else limits.horizontal_m_s2
        # sqrt(2 j dv): the acceleration that can still be taken back in time when the speed is reached.
        size = min(most, math.sqrt(2.0 * limits.jerk_m_s3 * change), change / dt)
        ax, ay = (dvx / change * size, dvy / change * size) if change > 1e-9 else (0.0, 0.0)
        jx, jy = ax - body.acceleration[0], ay - body.acceleration[1]
        jerk, jerk_max = math.hypot(jx, jy), limits.jerk_m_s3 * dt
        if jerk > jerk_max and size < change / dt:
            ax = body.acceleration[0] + jx / jerk * jerk_max
            ay = body.acceleration[1] + jy / jerk * jerk_max
        body.acceleration[0], body.acceleration[1] = ax, ay
        body.speed[0] += ax * dt
        body.speed[1] += ay * dt

    def _disturb(self, dt: float) -> None:
        """Ornstein-Uhlenbeck tracking error: correlated over 4 s, its size grows with wind and gusts."""
        body, gauss = self.body, self._rng.gauss
        strength = math.hypot(*self.wind_m_s)
        spread = (0.08 + 0.01 * strength + 0.1 * self.gust_m_s,) * 2 + (0.15,)
        mean = (0.02 * self.wind_m_s[0], 0.02 * self.wind_m_s[1], 0.0)
        keep = math.exp(-dt / 4.0)
        kick = math.sqrt(1.0 - keep * keep)
        for axis in range(3):
            before = body.error[axis]
            body.error[axis] = mean[axis] + (before - mean[axis]) * keep + spread[axis] * kick * gauss(0.0, 1.0)
            rate = (body.error[axis] - before) / dt
            body.error_rate[axis] += (rate - body.error_rate[axis]) * min(1.0, dt / 1.0)


def _jerk_limited(acceleration: float, change: float, most: float, jerk: float, dt: float) -> float:
    size = min(most, math.sqrt(2.0 * jerk * abs(change)), abs(change) / dt)
    wanted = math.copysign(size, change)
    if size >= abs(change) / dt:
        return wanted
    return acceleration + max(-jerk * dt, min(jerk * dt, wanted - acceleration))
