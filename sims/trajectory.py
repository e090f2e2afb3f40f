"""Where the autopilot wants to go, and how fast: the rules of PX4's trajectory generator.

Frame: metres east, north, up of the place where the vehicle was switched on. Speeds are ground speeds. The speed
limits are PX4's (``TrajMath.hpp``, ``TrajectoryConstraints.hpp`` and ``PositionSmoothing.cpp``): the speed from which
one can still stop with limited jerk, and the speed at which a corner can be rounded inside the acceptance radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

Vector = tuple[float, float, float]
"""Metres, or metres per second: east, north, up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the controller may ask for, SI units; PX4's parameters of the same meaning in brackets."""

    cruise_m_s: float
    """Horizontal speed on the way (MPC_XY_CRUISE or a commanded speed, at most MPC_XY_VEL_MAX)."""
    up_m_s: float
    """MPC_Z_V_AUTO_UP, or MPC_TKO_SPEED while a take-off is low."""
    down_m_s: float
    """MPC_Z_V_AUTO_DN, or what the landing asks for near the ground."""
    horizontal_m_s2: float
    """MPC_ACC_HOR."""
    up_m_s2: float
    """MPC_ACC_UP_MAX."""
    down_m_s2: float
    """MPC_ACC_DOWN_MAX."""
    jerk_m_s3: float
    """MPC_JERK_AUTO."""
    corner_gain: float
    """MPC_XY_TRAJ_P: the share of the horizontal acceleration that a corner may use."""
    acceptance_m: float
    """NAV_ACC_RAD or the way point's own radius."""
    height_acceptance_m: float = 0.8
    """NAV_MC_ALT_RAD."""
    straight_slopes: bool = True
    """True: a sloping leg is flown as a straight line, as earlier PX4 flew it. False: as the beta of PX4 1.18 flies
    it, faults included (seen in its simulation). Horizontally and vertically it goes as fast as it may, so that it is
    at the end's height long before the end; where the height changes again after the way point it does not settle
    there but swings by 2 m; and where it so passes a way point too high or too low to count, it flies on along the
    leg's prolongation, climbing or sinking with it, until something else stops it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go. ``previous`` is where the leg began, ``following`` where the way goes on; None means stop there."""

    to: Vector
    previous: Vector | None = None
    following: Vector | None = None
    descend_m_s: float | None = None
    """Set for a landing: sink at this speed, whatever the height of ``to``."""


@dataclass(slots=True)
class Body:
    """The moving state. ``position`` and ``velocity`` are the truth, errors included."""

    path: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Where the controller's smooth trajectory is."""
    speed: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    acceleration: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    error: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Tracking error that wind and control leave."""
    error_rate: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    corner_speed_m_s: float = 0.0

    @property
    def position(self) -> Vector:
        """Metres east, north, up."""
        p, e = self.path, self.error
        return (p[0] + e[0], p[1] + e[1], p[2] + e[2])

    @property
    def velocity(self) -> Vector:
        """Metres per second east, north, up."""
        v, r = self.speed, self.error_rate
        return (v[0] + r[0], v[1] + r[1], v[2] + r[2])

    def rest_at(self, position: Vector) -> None:
        """Stand still at a place."""
        self.path = list(position)
        for part in (self.speed, self.acceleration, self.error, self.error_rate):
            part[:] = [0.0, 0.0, 0.0]


def stopping_speed(jerk: float, acceleration: float, distance: float, final: float = 0.0) -> float:
    """Highest speed from which ``final`` can be reached within ``distance`` (PX4: computeMaxSpeedFromDistance)."""
    b = 4.0 * acceleration * acceleration / jerk
    c = -2.0 * acceleration * distance - final * final
    return max(0.5 * (math.sqrt(b * b - 4.0 * c) - b), final)


def stopping_distance(speed: float, jerk: float, acceleration: float) -> float:
    """Distance in which PX4 plans to stop (computeBrakingDistanceFromVelocity): 8 m at 5 m/s, 24 m at 10 m/s."""
    return speed * (speed / (2.0 * acceleration) + acceleration / jerk)


def corner_speed(a: Vector, b: Vector, c: Vector, limits: Limits) -> float:
    """Speed at which the corner at ``b`` is rounded inside the acceptance radius; 0 where the way ends."""
    out_x, out_y = c[0] - b[0], c[1] - b[1]
    in_x, in_y = b[0] - a[0], b[1] - a[1]
    out_length, in_length = math.hypot(out_x, out_y), math.hypot(in_x, in_y)
    if out_length < max(0.001, limits.acceptance_m) or in_length < 1e-6:
        return 0.0
    cosine = -(in_x * out_x + in_y * out_y) / (in_length * out_length)
    opening = min(math.acos(max(-1.0, min(1.0, cosine))), math.pi - 1e-7)
    lateral = limits.corner_gain * limits.horizontal_m_s2
    return math.sqrt(lateral * limits.acceptance_m * math.tan(opening / 2.0))


def wanted_velocity(body: Body, target: Target, limits: Limits) -> Vector:
    """Velocity that PX4's PositionSmoothing asks for on the way to a target."""
    x, y, z = body.path
    to = target.to
    dx, dy = to[0] - x, to[1] - y
    distance = math.hypot(dx, dy)
    turning = False
    speed = math.hypot(body.speed[0], body.speed[1])
    if target.previous is not None and speed > 0.2 and distance > limits.acceptance_m:
        turning = (body.speed[0] * dx + body.speed[1] * dy) < 0.98 * speed * distance
    at_target = 0.0
    if target.following is not None:
        at_target = corner_speed((x, y, z), to, target.following, limits)
        # After the next way point PX4 looks no further: the vehicle must be able to stop at the one behind it.
        beyond = math.hypot(target.following[0] - to[0], target.following[1] - to[1])
        leave = stopping_speed(limits.jerk_m_s3, limits.horizontal_m_s2, beyond)
        at_target = min(at_target, leave, limits.cruise_m_s)
    allowed = min(limits.cruise_m_s, stopping_speed(limits.jerk_m_s3, limits.horizontal_m_s2, distance, at_target))
    aim_x, aim_y, aim_z = dx, dy, to[2] - z
    if turning and target.previous is not None:
        allowed = min(allowed, body.corner_speed_m_s)
        l1 = max(limits.acceptance_m, 5.0)
        if limits.straight_slopes:
            aim_x, aim_y = _onto_leg(x, y, target.previous, to, l1)
        else:
            aim_x, aim_y, aim_z = _along_prolonged_leg((x, y, z), target.previous, to, l1)
    else:
        body.corner_speed_m_s = allowed
    reach = math.hypot(aim_x, aim_y)
    vx, vy = (aim_x / reach * allowed, aim_y / reach * allowed) if reach > 1e-6 else (0.0, 0.0)
    if target.descend_m_s is not None:
        return (vx, vy, -target.descend_m_s)
    dz = to[2] - z
    most, rise = (limits.up_m_s, limits.up_m_s2) if aim_z >= 0.0 else (limits.down_m_s, limits.down_m_s2)
    if limits.straight_slopes:
        vz = math.copysign(min(most, stopping_speed(limits.jerk_m_s3, rise, abs(dz))), aim_z)
        return _along_slope((vx, vy, vz), speed, allowed, distance, dz)
    passing = min(most, _passing_vertical_speed((x, y, z), target, limits, rise))
    vz = math.copysign(min(most, stopping_speed(limits.jerk_m_s3, rise, abs(dz), passing)), aim_z)
    return (vx, vy, vz)


def _along_slope(velocity: Vector, speed: float, allowed: float, distance: float, dz: float) -> Vector:
    """Slow the faster of the horizontal and the vertical motion, so that a sloping leg is flown as a straight line.

    The height follows the horizontal speed that there is, not the one that is wanted.
    """
    vx, vy, vz = velocity
    if distance < 1.0 or abs(dz) < 0.3 or abs(vz) < 1e-6:  # nothing left to share out: each settles by itself
        return velocity
    steepness = abs(dz) / distance
    ratio = min(1.0, abs(vz) / (steepness * max(allowed, 1e-6)))
    return (vx * ratio, vy * ratio, math.copysign(min(abs(vz), steepness * speed), vz))


def _onto_leg(x: float, y: float, start: Vector, end: Vector, l1: float) -> tuple[float, float]:
    """From (x, y) to the point of the leg's line at distance ``l1`` ahead (PX4: L1 guidance)."""
    leg_x, leg_y = end[0] - start[0], end[1] - start[1]
    length = math.hypot(leg_x, leg_y)
    if length < 1e-6:
        return end[0] - x, end[1] - y
    ux, uy = leg_x / length, leg_y / length
    along = (x - start[0]) * ux + (y - start[1]) * uy
    across = abs((x - start[0]) * uy - (y - start[1]) * ux)
    ahead = math.sqrt(l1 * l1 - across * across) if l1 > across else 0.0
    place = min(along + ahead, length)
    return start[0] + ux * place - x, start[1] + uy * place - y


def _along_prolonged_leg(here: Vector, start: Vector, end: Vector, l1: float) -> Vector:
    """From ``here`` to PX4 1.18's L1 point: in three dimensions, and beyond the leg's end if the vehicle is there."""
    length = math.dist(start, end)
    if length < 1e-6:
        return (end[0] - here[0], end[1] - here[1], end[2] - here[2])
    ux, uy, uz = ((b - a) / length for a, b in zip(start, end, strict=True))
    along = (here[0] - start[0]) * ux + (here[1] - start[1]) * uy + (here[2] - start[2]) * uz
    closest = (start[0] + along * ux, start[1] + along * uy, start[2] + along * uz)
    across = math.dist(closest, here)
    ahead = math.sqrt(l1 * l1 - across * across) if l1 > across else 0.0
    return (
        closest[0] + ahead * ux - here[0],
        closest[1] + ahead * uy - here[1],
        closest[2] + ahead * uz - here[2],
    )


def _passing_vertical_speed(here: Vector, target: Target, limits: Limits, acceleration: float) -> float:
    """Vertical speed that PX4 1.18 allows itself at a way point after which the height changes (_getMaxZSpeed).

    It reckons the corner in the plane of height and distance from the local origin, as written there.
    """
    following = target.following
    if following is None or abs(target.to[2] - following[2]) <= 0.001:
        return 0.0
    a, b, c = ((math.hypot(x, y), z) for x, y, z in (here, target.to, following))
    before, after = math.dist(a, b), math.dist(b, c)
    if before < 1e-6 or after < 1e-6:
        return 0.0
    cosine = ((b[0] - a[0]) * (b[0] - c[0]) + (b[1] - a[1]) * (b[1] - c[1])) / (before * after)
    opening = min(math.acos(max(-1.0, min(1.0, cosine))), math.pi - 1e-7)
    return math.sqrt(acceleration * limits.height_acceptance_m * math.tan(opening / 2.0))
