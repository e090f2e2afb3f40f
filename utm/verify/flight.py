"""What a centre line says of the flight along it: its corners, the turns that are rounded there, its speeds.

An autopilot stops at both pads, at the tops of the columns over them, and at every corner beside a leg of less than
10 m over the ground. Every other corner it cuts inside the triangle of the corner and two points at most 10 m from it,
half of the shorter leg at most (`utm.core.trajectory` says so of PX4; here it is reckoned from the knots alone). The
arc that touches both legs at those points, `reach` from the corner, comes within ``reach * tan(turn / 4)`` of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utm.model import Aircraft
from utm.verify.geometry import Floats
from utm.verify.reading import Room

#: An autopilot begins to turn this far before a corner.
_ACCEPTANCE_M = 10.0
#: A knot this near to the straight line between two others does not bend it: hundreds of times what rounding moves.
_STRAIGHT_M = 1e-6
#: What is no farther from a pad, over the ground, is straight over it.
_UPRIGHT_M = 1e-3
#: Unix time in float64 is off by a quarter of a microsecond at each end of a piece.
_CLOCK_S = 1e-6
#: A certificate speaks of arcs as chords that are at most this far inside of them.
_SAGITTA_M = 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """A corner that is passed without stopping."""

    at: int
    """Number of its knot."""
    triangle: Floats
    """(3, 3) where the turn begins at the earliest, the corner, where it ends at the latest; metres."""
    angle: float
    """Radians."""

    @property
    def reach_m(self) -> float:
        """From the corner to where the turn begins."""
        return float(np.linalg.norm(self.triangle[1] - self.triangle[0]))

    def arc(self) -> Floats:
        """(k, 3) points on the arc that touches both legs; chords between them are at most 5 cm inside of it."""
        begin, corner, end = self.triangle
        radius = self.reach_m / math.tan(self.angle / 2)
        if radius <= _SAGITTA_M:
            return np.array([begin, end])
        pieces = math.ceil(self.angle / (2 * math.acos(1 - _SAGITTA_M / radius)))
        # The middle of the circle lies beyond the chord, on the line from the corner through the chord's middle.
        middle = corner + ((begin + end) / 2 - corner) / math.sin(self.angle / 2) ** 2
        share = np.linspace(0.0, self.angle, pieces + 1)[:, None]
        return middle + (np.sin(self.angle - share) * (begin - middle) + np.sin(share) * (end - middle)) / math.sin(
            self.angle
        )


def corners(line: Floats) -> list[int]:
    """The knots (n, 3) at which a way bends or rests, between the tops of its columns; before them the first knot,
    after them the last. The columns are what lies straight over each pad.

    A knot is none when it and all knots since the last corner lie on the straight line to the next knot, in order.
    """
    climb = _over(line)
    descent = len(line) - 1 - _over(line[::-1])
    found, first = [0, climb], climb
    for n in range(climb + 1, descent):
        along = line[n + 1] - line[first]
        length = float(np.linalg.norm(along))
        bends = (line[n] == line[n - 1]).all() or (line[n] == line[n + 1]).all() or length == 0.0
        if not bends:
            share = (line[first : n + 2] - line[first]) @ along / length
            off = np.linalg.norm(line[first : n + 2] - line[first] - share[:, None] * along / length, axis=1)
            bends = off.max() > _STRAIGHT_M or (np.diff(share) <= 0.0).any()
        if bends:
            found.append(n)
            first = n
    return [*found, descent, len(line) - 1]


def _over(line: Floats) -> int:
    """How many knots after the first are straight over it."""
    beside = np.hypot(*(line - line[0])[:, :2].T) > _UPRIGHT_M
    return int(beside.argmax()) - 1 if beside.any() else len(line) - 1


def turns(line: Floats, at: list[int]) -> tuple[Turn, ...]:
    """The corners of a way that are passed without stopping."""
    found = []
    for before, here, after in zip(at[1:-3], at[2:-2], at[3:-1], strict=True):
        into, out = line[here] - line[before], line[after] - line[here]
        if min(math.hypot(*into[:2]), math.hypot(*out[:2])) < _ACCEPTANCE_M - _STRAIGHT_M:
            continue
        lengths = float(np.linalg.norm(into)), float(np.linalg.norm(out))
        angle = math.atan2(float(np.linalg.norm(np.cross(into, out))), float(into @ out))
        reach = min(_ACCEPTANCE_M, lengths[0] / 2, lengths[1] / 2)
        corner = line[here]
        triangle = np.array([corner - reach * into / lengths[0], corner, corner + reach * out / lengths[1]])
        found.append(Turn(here, triangle, angle))
    return tuple(found)


def faults_of_columns(line: Floats, at: list[int]) -> Iterator[str]:
    """What is wrong with how a flight leaves the ground and comes back."""
    if at[1] >= at[-2]:
        yield "The flight never leaves the column over its pad."
        return
    for name, pad, column in (("take-off", line[0], line[: at[1] + 1]), ("landing", line[-1], line[at[-2] :])):
        if (under := float(pad[2] - column[:, 2].min())) > _UPRIGHT_M:
            yield f"The {name} column leads {under:.3f} m below its pad."


def faults_of_tube(room: Room, found: tuple[Turn, ...]) -> Iterator[str]:
    """Turns that leave the tube that the document states."""
    for turn in found:
        cut = turn.reach_m * math.tan(turn.angle / 4)
        rise = min(cut, float(np.ptp(turn.triangle[:, 2])))
        where = "at {:.1f} m east, {:.1f} m north".format(*turn.triangle[1])
        for name, needed, stated in (
            ("horizontally", cut, room.tube_horizontal_m),
            ("vertically", rise, room.tube_vertical_m),
        ):
            if stated < needed - _STRAIGHT_M:
                yield f"The turn {where} leaves the line by {needed:.2f} m {name}, the tube allows {stated:.2f} m."


def faults_of_speed(room: Room, aircraft: Aircraft) -> Iterator[str]:
    """Pieces on which the aircraft would have to be faster than it is, and flights longer than it lasts."""
    cruise, climb, descent = aircraft.cruise_m_s, aircraft.climb_m_s, aircraft.descent_m_s
    took = np.diff(room.t_s) + _CLOCK_S
    steps = np.diff(room.enu_m, axis=0)
    slow = room.enu_m[:-1, 2] <= room.enu_m[-1, 2] + aircraft.slow_below_m + _STRAIGHT_M
    last = np.arange(len(steps)) >= corners(room.enu_m)[-2]
    allowed = np.where(slow & last, min(aircraft.landing_m_s, descent), descent)
    checks = (
        ("over the ground", np.hypot(steps[:, 0], steps[:, 1]), np.full(len(steps), cruise)),
        ("upwards", steps[:, 2], np.full(len(steps), climb)),
        ("downwards", -steps[:, 2], allowed),
    )
    for name, metres, limit in checks:
        for n in np.flatnonzero(metres > limit * took + _STRAIGHT_M):
            yield (
                f"Between its points {n} and {n + 1} it makes {metres[n] / (took[n] - _CLOCK_S):.2f} m/s {name}, "
                f"the aircraft {limit[n]:g} m/s."
            )
    if (lasted := float(room.t_s[-1] - room.t_s[0])) > aircraft.endurance_s + _CLOCK_S:
        yield f"The flight lasts {lasted:.1f} s, the aircraft {aircraft.endurance_s:g} s."


def faults_of_order(room: Room) -> Iterator[str]:
    """Points that do not come after the one before."""
    for n, (before, after) in enumerate(itertools.pairwise(room.t_s.tolist())):
        if not after > before:
            yield f"The times of the centre line do not increase: point {n + 1} comes {before - after:g} s before {n}."
