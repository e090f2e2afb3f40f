"""How far what is flown is from the straight pieces that are checked.

What is meant to be flown differs from the trajectory of `time_path` in two ways.

1. Along a leg the speed changes with limited jerk, and the trajectory has straight pieces between knots on that very
   motion. With an acceleration of at most A between knots dt apart they are off by at most ``A dt^2 / 8``, along the
   leg (`PlannedLeg.knots`).
2. A corner that is passed at speed is rounded by the arc of a circle tangent to both legs, at most d from the corner,
   d being the acceptance radius of 10 m or half the shorter leg. Over the arc the drone keeps the place that is nearest
   to the planned one, where the ray from the circle's centre to it meets the arc: so it keeps the plan's time, and its
   velocity has no jump.

Proof for 2. Let theta be the turn and t <= d the distance of the tangent points from the corner, so that the radius is
``r = t / tan(theta / 2)``. A planned place x behind the first tangent point, x <= t, lies on a tangent, hypot(r, x)
from the centre, hence hypot(r, x) - r from the arc. That grows with x up to the corner itself, where it is
``r / cos(theta / 2) - r = t tan(theta / 4) <= d tan(theta / 4)``; behind the corner the same holds backwards. Two other
ways of flying the turn keep the same bound. Evenly by angle: at the angle f the drone lags
``t f / (theta / 2) - r sin(f)`` along the leg and is ``r (1 - cos(f))`` off it; both grow up to the corner. With
constant acceleration, a parabola with the same tangents: at a share u <= 1/2 of it the distance is
``2 t u^2 sin(theta / 2) <= t sin(theta / 2) / 2 <= t tan(theta / 4)``. All of them lie in the triangle of the corner
and the tangent points, which bounds the change of height, too.

Both together: the arc against the planned place (2), the planned place against the straight piece (1), at the same
moment; the bounds of a corner and of the worse of its two legs are added. The turns of one leg do not overlap, as
each takes half of it at most.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.trajectory import ACCEPTANCE_M, PlannedLeg, planned_legs
from utm.model import CALM, Aircraft, Tube, Wind

#: A float64 holds Unix time to a quarter of a microsecond, in which 30 m/s are 7 micrometres.
_ROUNDING_M = 1e-5
#: Turns of no more than this are none: rounding them moves nothing by 3 micrometres.
_STRAIGHT = 1e-6
#: Points of `rounded` lie on the way; straight lines between them are at most this far off it.
_CHORD_M = 0.05


def tube_of(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> Tube:
    """How far the flight of `time_path` is from its trajectory, at most, at every moment.

    Args:
        points_m: (n, 3) metres east, north, up, as for `time_path`.
        aircraft: what flies.
        wind: the forecast.

    Raises:
        CannotFly: the wind is too strong for a leg.
        ValueError: as `time_path`.
    """
    legs = planned_legs(points_m, aircraft, wind)
    across, up = [], []
    for leg in legs:
        error = leg.knots()[2]
        across.append(error * float(np.hypot(*leg.direction[:2])))
        up.append(error * abs(float(leg.direction[2])))
    horizontal, vertical = max(across), max(up)
    for n, turn, triangle in _turns(legs):
        rounding = float(np.linalg.norm(triangle[1] - triangle[0])) * math.tan(turn / 4)
        horizontal = max(horizontal, rounding + max(across[n : n + 2]))
        vertical = max(vertical, min(rounding, float(np.ptp(triangle[:, 2]))) + max(up[n : n + 2]))
    return Tube(horizontal + _ROUNDING_M, vertical + _ROUNDING_M)


def corner_triangles(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> NDArray[np.float64]:
    """(k, 3, 3) tangent point, corner, tangent point of each corner that is rounded, metres east, north, up.

    The way that is flown lies on the legs and in these triangles: where all of them are clear, so is the flight.

    Raises:
        CannotFly, ValueError: as `tube_of`.
    """
    triangles = [triangle for _, _, triangle in _turns(planned_legs(points_m, aircraft, wind))]
    return np.array(triangles).reshape(-1, 3, 3)


def rounded(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> NDArray[np.float64]:
    """(m, 3) the way that is flown, arcs as chords at most 5 cm inside of them: to measure clearances along.

    Points at which it goes straight on are left out, so that the first and the last piece are the whole columns.

    Raises:
        CannotFly, ValueError: as `tube_of`.
    """
    legs = planned_legs(points_m, aircraft, wind)
    arcs = {n: _arc(turn, triangle) for n, turn, triangle in _turns(legs)}
    way = [legs[0].start_m]
    for n, leg in enumerate(legs):
        if n in arcs:
            way.extend(arcs[n])
        elif leg.final_m_s == 0:
            way.append(leg.end_m)
    return np.array(way)


def _turns(legs: tuple[PlannedLeg, ...]) -> Iterator[tuple[int, float, NDArray[np.float64]]]:
    """Of each rounded corner: which leg it ends, its turn (radians), and its triangle (3, 3)."""
    for n, (before, after) in enumerate(itertools.pairwise(legs)):
        into, out = before.direction, after.direction
        turn = math.atan2(float(np.linalg.norm(np.cross(into, out))), float(into @ out))
        if before.final_m_s == 0 or turn <= _STRAIGHT:
            continue
        reach = min(ACCEPTANCE_M, before.length_m / 2, after.length_m / 2)
        corner = before.end_m
        yield n, turn, np.array([corner - reach * into, corner, corner + reach * out])


def _arc(turn: float, triangle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, 3) points on the arc in a corner's triangle, tangent points included."""
    enter, corner, leave = triangle
    reach = float(np.linalg.norm(corner - enter))
    radius = reach / math.tan(turn / 2)
    if radius <= _CHORD_M:  # a hairpin: it turns on the spot
        return np.array([enter, leave])
    into, out = (corner - enter) / reach, (leave - corner) / reach
    inwards = (out - math.cos(turn) * into) / math.sin(turn)
    # An arc rises r (1 - cos(step / 2)) over its chord.
    steps = math.ceil(turn / (2 * math.acos(1 - _CHORD_M / radius)))
    angle = np.linspace(0.0, turn, steps + 1)[:, None]
    return enter + radius * (np.sin(angle) * into + (1 - np.cos(angle)) * inwards)
