"""The search of one leg: the shortest way at any angle, or the cheapest where the wind or the air has a price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from utm.airspace.conditions import factor_for, wind_for
from utm.airspace.space import Skies
from utm.core import (
    AnyAnglePlanner,
    Columns,
    CostPlanner,
    FlightSpace,
    level_legs,
    power_w,
    shorten_by_cost,
)
from utm.model import Aircraft, Conditions, FlightPlan, Objective

#: What stopping for a change of height costs beyond the climb, seconds.
_STOP_S = 6.0


class Ways(Protocol):
    """Finds ways through one flight space."""

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        """Level legs and vertical steps (n, 3) in metres from one point to another, and how many voxels were tried.

        Raises:
            NoPath: there is no way.
        """

    def cost(self, points_m: NDArray[np.float64]) -> float:
        """What a way (n, 3) costs: metres, seconds or watt-hours, weighed."""


def ways_through(space: FlightSpace, columns: Columns, skies: Skies, plan: FlightPlan, conditions: Conditions) -> Ways:
    """The search that the plan's objective and the conditions ask for."""
    factor, wind = factor_for(conditions, skies, columns, space), wind_for(conditions, space)
    strongest = 0.0 if wind is None else float(np.hypot(wind[..., 0], wind[..., 1]).max())
    # In less wind than that every track can be held, and the length of a way has nothing to do with the wind.
    if factor is None and plan.objective is Objective.LENGTH and strongest < plan.aircraft.max_airspeed_m_s:
        return _Shortest(space, plan.aircraft, AnyAnglePlanner(space.blocked))
    planner = CostPlanner(
        space.blocked,
        factor=factor,
        aircraft=plan.aircraft,
        objective=plan.objective,
        wind_m_s=wind,
        cell_m=space.cell_m,
    )
    return _Cheapest(space, plan.aircraft, planner, _stop(plan.aircraft, plan.objective))


@dataclass(frozen=True, slots=True)
class _Shortest:
    space: FlightSpace
    aircraft: Aircraft
    planner: AnyAnglePlanner

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        path = self.planner.path(self.space.to_grid(start_m), self.space.to_grid(goal_m))
        way = self.space.to_enu(path.points)
        way[0], way[-1] = start_m, goal_m  # the very floats: the columns below them stay exactly vertical
        return level_legs(self.space, way, self.aircraft), path.expansions

    def cost(self, points_m: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True)
class _Cheapest:
    space: FlightSpace
    aircraft: Aircraft
    planner: CostPlanner
    stop: float

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        path = self.planner.path(self.space.voxel(start_m), self.space.voxel(goal_m))
        ends = self.space.to_grid(start_m), self.space.to_grid(goal_m)
        way = self.space.to_enu(shorten_by_cost(self.planner, path.cells, *ends))
        way[0], way[-1] = start_m, goal_m
        return level_legs(self.space, way, self.aircraft, price=self._price, stop=self.stop), path.expansions

    def cost(self, points_m: NDArray[np.float64]) -> float:
        return self.planner.segment_cost(self.space.to_grid(points_m))

    def _price(self, a_m: NDArray[np.float64], b_m: NDArray[np.float64]) -> float:
        return self.cost(np.array([a_m, b_m]))


def _stop(aircraft: Aircraft, objective: Objective) -> float:
    """What a stop costs: the seconds, the watt-hours of hovering so long, or the metres it would have flown."""
    match objective:
        case Objective.TIME:
            return _STOP_S
        case Objective.ENERGY:
            return _STOP_S * float(power_w(aircraft, 0.0, 0.0)) / 3600.0
        case Objective.LENGTH:
            return _STOP_S * aircraft.cruise_m_s
