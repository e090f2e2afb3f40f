"""Which corridors of many come near to one, in space and time: a 4-D index."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from utm.core.conflict import in_conflict
from utm.model import Corridor

#: Boxes are taken larger by this (metres, seconds): more than the margins of `utm.core.conflict` and any rounding.
_SLACK = 1e-3


def apart(a: Corridor, b: Corridor, horizontal_m: float, vertical_m: float) -> tuple[float, float, float]:
    """How far two centre lines must be from each other, and how much both together may be off their times.

    Returns:
        The horizontal and the vertical distance, metres: the room of both corridors, the tubes of what is flown
        around both lines, and the separation. The sum of the time tolerances, seconds.
    """
    across, up = a.tube.horizontal_m + b.tube.horizontal_m, a.tube.vertical_m + b.tube.vertical_m
    room = max(a.below_m + b.above_m, a.above_m + b.below_m)
    return (
        a.half_width_m + b.half_width_m + across + horizontal_m,
        room + up + vertical_m,
        a.time_tolerance_s + b.time_tolerance_s,
    )


class Traffic:
    """A 4-D index of corridors, each under a number that the caller chose."""

    def __init__(self) -> None:
        self._corridors: dict[int, Corridor] = {}
        self._boxes: dict[int, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self._corridors)

    def __contains__(self, number: object) -> bool:
        return number in self._corridors

    def add(self, number: int, corridor: Corridor) -> None:
        """Take in a corridor.

        Raises:
            ValueError: a number below 0 or one that is there already.
        """
        if number < 0 or number in self._corridors:
            raise ValueError(f"the number {number!r} is below 0 or in the index already")
        self._corridors[number] = corridor
        self._boxes[number] = _box(corridor)

    def remove(self, number: int) -> None:
        """Forget a corridor.

        Raises:
            KeyError: no corridor has this number.
        """
        if number not in self._corridors:
            raise KeyError(f"no corridor has the number {number!r}")
        del self._corridors[number], self._boxes[number]

    def near(
        self, corridor: Corridor, horizontal_m: float, vertical_m: float, *, later_s: float = 0.0
    ) -> NDArray[np.int64]:
        """Sorted numbers of all corridors that might come too near if ``corridor`` flew 0 to ``later_s`` later."""
        mine = _box(corridor)
        mine[1, 0] += later_s
        mine += np.array([[-1], [1]]) * np.array([_SLACK, horizontal_m, horizontal_m, vertical_m])
        found = [
            number for number, box in self._boxes.items() if (box[0] <= mine[1]).all() and (mine[0] <= box[1]).all()
        ]
        return np.array(sorted(found), np.int64)

    def conflicts(self, corridor: Corridor, horizontal_m: float, vertical_m: float) -> NDArray[np.int64]:
        """Sorted numbers of exactly those corridors that `in_conflict` finds too near."""
        line = corridor.occupied
        found = []
        for number in self.near(corridor, horizontal_m, vertical_m).tolist():
            other = self._corridors[number]
            if in_conflict(line, other.occupied, *apart(corridor, other, horizontal_m, vertical_m)):
                found.append(number)
        return np.array(found, np.int64)


def _box(corridor: Corridor) -> NDArray[np.float64]:
    """(2, 4) least and greatest t, east, north, up of the occupied line with its own room and tolerance around it."""
    line = corridor.occupied
    room = np.array(
        [
            corridor.time_tolerance_s,
            corridor.half_width_m + corridor.tube.horizontal_m,
            corridor.half_width_m + corridor.tube.horizontal_m,
            max(corridor.below_m, corridor.above_m) + corridor.tube.vertical_m,
        ]
    )
    low = np.array([line.start_s, *line.enu_m.min(axis=0)]) - room - _SLACK
    high = np.array([line.end_s, *line.enu_m.max(axis=0)]) + room + _SLACK
    if not math.isfinite(float(low.sum() + high.sum())):
        raise ValueError("a corridor's room and tolerance must be finite")
    return np.array([low, high])
