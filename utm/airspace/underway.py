"""A granted flight as a failsafe finds it: where the plan is when, where it stands still, how soon a drone stops."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.core import corners_only
from utm.core.ramps import JERK_M_S3, ramp_m, ramp_s
from utm.core.trajectory import PlannedLeg, planned_legs
from utm.model import Aircraft, Corridor, Trajectory, Wind

#: Knots nearer than this to an end of a part are left out (seconds): a trajectory's times must increase.
_SAME_S = 1e-3


@dataclass(frozen=True, eq=False)
class Flight:
    """A granted flight as its failsafes find it."""

    corridor: Corridor
    aircraft: Aircraft
    wind: Wind

    @property
    def line(self) -> Trajectory:
        """What it was granted."""
        return self.corridor.centre_line

    @cached_property
    def corners_m(self) -> NDArray[np.float64]:
        """(n, 3) corners: pad, top of the column, ..., top of the column, pad."""
        return corners_only(self.line.enu_m)

    @cached_property
    def corner_s(self) -> NDArray[np.float64]:
        """(n,) when the plan is at each corner."""
        return self._when(travelled_m(self.corners_m))

    @cached_property
    def legs(self) -> tuple[PlannedLeg, ...]:
        """The speeds on the way."""
        return planned_legs(self.corners_m, self.aircraft, self.wind)

    @cached_property
    def stops_s(self) -> NDArray[np.float64]:
        """When the plan stands still, the end of the flight included."""
        ends = np.cumsum([leg.length_m for leg in self.legs])
        return self._when(ends[[leg.final_m_s == 0.0 for leg in self.legs]])

    @cached_property
    def top_m_s(self) -> float:
        """The highest speed."""
        return max(leg.peak_m_s for leg in self.legs)

    @cached_property
    def ramp_s(self) -> float:
        """R: how long it takes from rest to the highest speed."""
        return ramp_s(self.top_m_s, self.aircraft.acceleration_m_s2)

    @cached_property
    def brake_s(self) -> float:
        """B: how long it takes from the highest speed to rest, at the end of speeding up."""
        return self.ramp_s + self.aircraft.acceleration_m_s2 / JERK_M_S3

    @cached_property
    def overshoot_m(self) -> float:
        """How far beside the road a drone stops at most that brakes before a corner."""
        found = 0.0
        for leg, after in itertools.pairwise(self.legs):
            into, out = leg.direction, after.direction
            turn = math.atan2(float(np.linalg.norm(np.cross(into, out))), float(into @ out))
            past = ramp_m(leg.final_m_s, 0.0, leg.acceleration_m_s2)
            found = max(found, past * math.sin(min(turn, math.pi / 2)))
        return found

    @property
    def in_columns_s(self) -> tuple[float, float]:
        """When the plan leaves the column over its first pad, and when it enters that over its last."""
        straight_up = np.hypot(*np.diff(self.corners_m[:, :2], axis=0).T) < 1e-6
        first = self.corner_s[1] if straight_up[0] else self.line.start_s
        last = self.corner_s[-2] if straight_up[-1] else self.line.end_s
        return float(first), float(last)

    def reach_s(self, until_s: float) -> float:
        """The plan's time at the farthest place where a drone may stop that begins to brake by a moment."""
        return float(min(until_s + self.brake_s, self.stops_s[np.searchsorted(self.stops_s, until_s - 1e-6)]))

    @cached_property
    def back(self) -> Trajectory:
        """The nominal flight all the way back along the road; its times count from its own beginning.

        Raises:
            CannotFly: the wind is too strong for it.
        """
        legs = planned_legs(self.corners_m[::-1], self.aircraft, self.wind)
        times, places = [np.zeros(1)], [legs[0].start_m[None]]
        for leg in legs:
            took, gone, _ = leg.knots()
            times.append(times[-1][-1] + took)
            places.append(leg.start_m + gone[:, None] * leg.direction)
        return Trajectory(np.concatenate(times), np.concatenate(places))

    def back_at(self, t_s: float) -> float:
        """When the nominal flight back is where the plan is at a moment; seconds from its beginning."""
        gone = travelled_m(self.line.enu_m)
        here = gone[-1] - np.interp(t_s, self.line.t_s, gone)
        return float(np.interp(here, travelled_m(self.back.enu_m), self.back.t_s))

    def part(self, from_s: float, until_s: float) -> Trajectory:
        """The plan between two moments."""
        return part(self.line, from_s, until_s)

    def _when(self, gone_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """When the plan has come so far (n,)."""
        return np.interp(gone_m, travelled_m(self.line.enu_m), self.line.t_s)


def part(line: Trajectory, from_s: float, until_s: float) -> Trajectory:
    """A trajectory between two moments."""
    inner = (line.t_s > from_s + _SAME_S) & (line.t_s < until_s - _SAME_S)
    times = np.concatenate([[from_s], line.t_s[inner], [until_s]])
    return Trajectory(times, np.column_stack([np.interp(times, line.t_s, line.enu_m[:, axis]) for axis in range(3)]))


def travelled_m(points_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) metres along a line up to each of its points."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
