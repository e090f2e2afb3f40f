"""The way that is flown along a timed trajectory: its columns, its corners, and how they are rounded.

`utm.core.tube` says how a way of corners is flown and proves its bounds; here the corners are found again in a
trajectory that somebody timed. Points that lie on the straight line between others, to a micrometre, are no corners:
they only say when the flight is where. At a corner the flight stands where it rests, at the tops of its columns, and
where a leg beside it is shorter than the acceptance radius in the plane; every other one is rounded as in
`utm.core.tube`, its arc drawn by chords at most 5 cm inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel
from utm.core.trajectory import ACCEPTANCE_M
from utm.model import Trajectory, Tube

#: A column is a way whose points lie no farther than this from over the pad, horizontally.
COLUMN_M = 1e-3
#: Points this near to a straight line lie on it: hundreds of times what rounding moves.
_SAME_M = 1e-6
#: Points of a leg that are looked back at, at most: a leg of more is cut, which only makes a corner of no turn.
_MOST_BACK = 100
#: As in `utm.core.tube`.
_STRAIGHT = 1e-6
_CHORD_M = 0.05
_ROUNDING_M = 1e-5
#: Chords of one arc: 9 is the most there are, at a turn of a right angle or so.
_MOST_CHORDS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Flown:
    """What is flown of a trajectory between its columns."""

    climb: int
    """Index of the trajectory's point at the top of the column over its first pad."""
    descent: int
    """Index of the point at the top of the column over its last pad."""
    way_m: NDArray[np.float64]
    """(m, 3) metres east, north, up, from top to top."""
    parts: NDArray[np.int64]
    """(k + 1,) first point of each part of the way, a straight leg or an arc, and the last point of all."""
    pieces: NDArray[np.int64]
    """(k, 2) between which points of the trajectory the flight is on each part."""
    turns_m: NDArray[np.float64]
    """(j, 3, 3) tangent point, corner and tangent point of every corner that is rounded."""
    tube: Tube
    """How far the arcs are from the trajectory, at most."""
    box_m: tuple[float, float, float, float]
    """West, south, east and north end of the trajectory."""
    bend_m: float
    """How far points of the trajectory are from the straight legs that they lie on, at most."""


def flown(line: Trajectory) -> Flown | None:
    """The way that is flown of a trajectory, or None where it never leaves the column over its first pad."""
    climb, descent, way, parts, pieces, turns, box, across, up, bend = _flown(line.enu_m)
    if climb >= descent:
        return None
    tube = Tube(across + _ROUNDING_M, up + _ROUNDING_M)
    return Flown(climb, descent, way, parts, pieces, turns, tube, box, bend)


@kernel
def _apart(a: Any, b: Any) -> float:
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@kernel
def _off(a: Any, b: Any, p: Any) -> float:
    """Metres from a point to a segment."""
    square, along = 0.0, 0.0
    for c in range(3):
        square += (b[c] - a[c]) ** 2
        along += (b[c] - a[c]) * (p[c] - a[c])
    share = min(max(along / square, 0.0), 1.0) if square > 0.0 else 0.0
    off = 0.0
    for c in range(3):
        off += (p[c] - a[c] - share * (b[c] - a[c])) ** 2
    return np.sqrt(off)


@kernel
def _corners(points: Any, climb: int, descent: int) -> Any:
    """Indices of the corners of points[climb ... descent], the ends among them, and how far (metres) others are from
    the straight lines between them, on which they lie in order. A point that repeats the one before is a corner."""
    corners = np.empty(descent - climb + 1, np.int64)
    corners[0] = climb
    count = 1
    bend = 0.0
    for n in range(climb + 1, descent):
        first, after = points[corners[count - 1]], points[n + 1]
        straight = n - corners[count - 1] < _MOST_BACK and _apart(points[n - 1], points[n]) > 0.0
        straight = straight and _apart(points[n], after) > 0.0
        worst = 0.0
        for m in range(corners[count - 1] + 1, n + 1):
            if not straight:
                break
            ahead = 0.0
            for c in range(3):
                ahead += (after[c] - first[c]) * (points[m + 1][c] - points[m][c])
            worst = max(worst, _off(first, after, points[m]))
            straight = ahead > 0.0 and worst <= _SAME_M
        if straight:
            bend = max(bend, worst)
        else:
            corners[count] = n
            count += 1
    corners[count] = descent
    return corners[: count + 1].copy(), bend


@kernel
def _arc(enter: Any, corner: Any, leave: Any, turn: float, way: Any, at: int) -> int:
    """Write points on the arc of a corner into ``way`` from row ``at`` on, tangent points included; returns the row
    after the last."""
    reach = _apart(enter, corner)
    radius = reach / np.tan(turn / 2)
    way[at] = enter
    steps = 1
    if radius > _CHORD_M:  # otherwise a hairpin: it turns on the spot
        # An arc rises r (1 - cos(step / 2)) over its chord.
        steps = min(int(np.ceil(turn / (2 * np.arccos(1 - _CHORD_M / radius)))), _MOST_CHORDS)
    for n in range(1, steps):
        angle = turn * n / steps
        for c in range(3):
            into, out = (corner[c] - enter[c]) / reach, (leave[c] - corner[c]) / reach
            inwards = (out - np.cos(turn) * into) / np.sin(turn)
            way[at + n, c] = enter[c] + radius * (np.sin(angle) * into + (1 - np.cos(angle)) * inwards)
    way[at + steps] = leave
    return at + steps + 1


@kernel
def _turn_at(before: Any, corner: Any, after: Any) -> Any:
    """The turn at a corner (radians; 0 where the flight stands or goes straight on) and how far from it the arc begins
    and ends (metres)."""
    flat_in = np.sqrt((corner[0] - before[0]) ** 2 + (corner[1] - before[1]) ** 2)
    flat_out = np.sqrt((after[0] - corner[0]) ** 2 + (after[1] - corner[1]) ** 2)
    if min(flat_in, flat_out) < ACCEPTANCE_M - _SAME_M:
        return 0.0, 0.0
    ax, ay, az = corner[0] - before[0], corner[1] - before[1], corner[2] - before[2]
    bx, by, bz = after[0] - corner[0], after[1] - corner[1], after[2] - corner[2]
    cross = np.sqrt((ay * bz - az * by) ** 2 + (az * bx - ax * bz) ** 2 + (ax * by - ay * bx) ** 2)
    turn = np.arctan2(cross, ax * bx + ay * by + az * bz)
    if turn <= _STRAIGHT:
        return 0.0, 0.0
    return turn, min(ACCEPTANCE_M, _apart(before, corner) / 2, _apart(corner, after) / 2)


@kernel
def _flown(points: Any) -> Any:
    """(climb, descent, way, parts, pieces, turns, box, horizontal, vertical, bend) of `Flown` for the points (n, 3)
    of a trajectory, metres; ``climb >= descent`` where there is nothing between the columns."""
    last = len(points) - 1
    climb, descent = 0, last
    while (
        climb < last and np.hypot(points[climb + 1, 0] - points[0, 0], points[climb + 1, 1] - points[0, 1]) <= COLUMN_M
    ):
        climb += 1
    while descent > 0 and (
        np.hypot(points[descent - 1, 0] - points[last, 0], points[descent - 1, 1] - points[last, 1]) <= COLUMN_M
    ):
        descent -= 1
    west, south, east, north = np.inf, np.inf, -np.inf, -np.inf
    for n in range(last + 1):
        west, east = min(west, points[n, 0]), max(east, points[n, 0])
        south, north = min(south, points[n, 1]), max(north, points[n, 1])
    box = (west, south, east, north)
    if climb >= descent:
        none = np.empty((0, 3))
        return (
            climb,
            descent,
            none,
            np.empty(0, np.int64),
            np.empty((0, 2), np.int64),
            np.empty((0, 3, 3)),
            box,
            0.0,
            0.0,
            0.0,
        )
    corners, bend = _corners(points, climb, descent)
    count = len(corners)
    way = np.empty((count * (_MOST_CHORDS + 1), 3))
    parts, pieces = np.empty(2 * count, np.int64), np.empty((2 * count, 2), np.int64)
    turns = np.empty((count, 3, 3))
    across, up = 0.0, 0.0
    way[0] = points[climb]
    rows, made, turned = 1, 0, 0
    for n in range(1, count):
        here = points[corners[n]]
        before = points[corners[n - 1]]
        turn, reach = 0.0, 0.0
        if n < count - 1:
            turn, reach = _turn_at(before, here, points[corners[n + 1]])
        parts[made], pieces[made, 0], pieces[made, 1] = rows - 1, corners[n - 1], corners[n]
        made += 1
        if turn == 0.0:
            way[rows] = here
            rows += 1
            continue
        after = points[corners[n + 1]]
        into, out = reach / _apart(before, here), reach / _apart(here, after)
        for c in range(3):
            turns[turned, 0, c] = here[c] + into * (before[c] - here[c])
            turns[turned, 1, c] = here[c]
            turns[turned, 2, c] = here[c] + out * (after[c] - here[c])
        parts[made], pieces[made, 0], pieces[made, 1] = rows, corners[n - 1], corners[n + 1]
        rows = _arc(turns[turned, 0], turns[turned, 1], turns[turned, 2], turn, way, rows)
        made += 1
        rounding = reach * np.tan(turn / 4)
        low = min(turns[turned, 0, 2], turns[turned, 1, 2], turns[turned, 2, 2])
        high = max(turns[turned, 0, 2], turns[turned, 1, 2], turns[turned, 2, 2])
        across, up = max(across, rounding), max(up, min(rounding, high - low))
        turned += 1
    parts[made] = rows - 1
    return (
        climb, descent, way[:rows].copy(), parts[: made + 1].copy(), pieces[:made].copy(), turns[:turned].copy(),
        box, across, up, bend,
    )  # fmt: skip
