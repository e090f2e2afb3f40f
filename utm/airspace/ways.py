"""The search of one leg: the shortest way at any angle, or the cheapest where the wind or the air has a price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from utm.airspace.conditions import factor_for, wind_for
from utm.airspace.space import Skies, Sky
from utm.core import (
    AnyAnglePlanner,
    Columns,
    CostPlanner,
    FlightSpace,
    flight_energy,
    flight_time_s,
    level_legs,
    power_w,
    shorten_by_cost,
)
from utm.core.levels import STOP_S
from utm.errors import CannotFly
from utm.model import Aircraft, Conditions, FlightPlan, Objective, Wind


class Ways(Protocol):
    """Finds ways through one flight space."""

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        """Level legs and vertical steps (n, 3) in metres from one point to another, and how many voxels were tried.

        Raises:
            NoPath: there is no way.
        """

    def cost(self, points_m: NDArray[np.float64]) -> float:
        """What a way (n, 3) costs: metres, seconds or watt-hours, weighed."""


def ways_through(sky: Sky, columns: Columns, skies: Skies, plan: FlightPlan, conditions: Conditions) -> Ways:
    """The search that the plan's objective and the conditions ask for."""
    space = sky.space
    factor, wind = factor_for(conditions, skies, columns, space), wind_for(conditions, space)
    strongest = 0.0 if wind is None else float(np.hypot(wind[..., 0], wind[..., 1]).max())
    # In less wind than that every track can be held, and the length of a way has nothing to do with the wind.
    if factor is None and plan.objective is Objective.LENGTH and strongest < plan.aircraft.max_airspeed_m_s:
        return _Shortest(space, plan.aircraft, sky.planner)
    planner = CostPlanner(
        space.blocked,
        factor=factor,
        aircraft=plan.aircraft,
        objective=plan.objective,
        wind_m_s=wind,
        cell_m=space.cell_m,
    )
    shortest = None
    if strongest < plan.aircraft.max_airspeed_m_s:
        shortest = _Shortest(space, plan.aircraft, sky.planner)
    return _Cheapest(
        space, plan.aircraft, plan.objective, conditions.wind, planner, shortest, weighed=factor is not None
    )


@dataclass(frozen=True, slots=True)
class _Shortest:
    space: FlightSpace
    aircraft: Aircraft
    planner: AnyAnglePlanner

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        way, tried = self.slopes(start_m, goal_m)
        return level_legs(self.space, way, self.aircraft), tried

    def slopes(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        """The same before it is made level."""
        path = self.planner.path(self.space.to_grid(start_m), self.space.to_grid(goal_m))
        way = self.space.to_enu(path.points)
        way[0], way[-1] = start_m, goal_m  # the very floats: the columns below them stay exactly vertical
        return way, path.expansions

    def cost(self, points_m: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True)
class _Cheapest:
    """The cheapest way of voxels, or the shortest one where that is flown for less, each levelled in two ways: a search
    over voxels knows nothing of stops and corners, and slopes are flown as legs and steps."""

    space: FlightSpace
    aircraft: Aircraft
    objective: Objective
    wind: Wind
    planner: CostPlanner
    shortest: _Shortest | None
    weighed: bool
    """Whether the air has a price."""

    def leg(self, start_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        path = self.planner.path(self.space.voxel(start_m), self.space.voxel(goal_m))
        ends = self.space.to_grid(start_m), self.space.to_grid(goal_m)
        way = self.space.to_enu(shorten_by_cost(self.planner, path.cells, *ends))
        way[0], way[-1] = start_m, goal_m
        slopes, tried = [way], path.expansions
        if self.shortest is not None:
            straight, more = self.shortest.slopes(start_m, goal_m)
            slopes.append(straight)
            tried += more
        stop = _stop(self.aircraft, self.objective)
        found = []
        for way in slopes:
            found.append(level_legs(self.space, way, self.aircraft, price=self._price, stop=stop))
            found.append(level_legs(self.space, way, self.aircraft))
        return min(found, key=self._flown), tried

    def cost(self, points_m: NDArray[np.float64]) -> float:
        return self.planner.segment_cost(self.space.to_grid(points_m))

    def _price(self, a_m: NDArray[np.float64], b_m: NDArray[np.float64]) -> float:
        return self.cost(np.array([a_m, b_m]))

    def _flown(self, points_m: NDArray[np.float64]) -> float:
        """What the flight of level legs and steps costs; infinite where the wind does not let it be flown."""
        if self.weighed:
            stops = np.count_nonzero(np.diff(points_m[1:-1, 2]))
            return self.cost(points_m) + float(stops) * _stop(self.aircraft, self.objective)
        if self.objective is Objective.LENGTH:
            return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())
        pads = points_m[[0, -1]] - (0.0, 0.0, 20.0)
        flight = np.vstack([pads[0], points_m, pads[1]])
        try:
            if self.objective is Objective.TIME:
                return flight_time_s(flight, self.aircraft, self.wind)
            return flight_energy(flight, self.aircraft, self.wind).used_wh
        except CannotFly:
            return math.inf


def _stop(aircraft: Aircraft, objective: Objective) -> float:
    """What a stop costs: the seconds, the watt-hours of hovering so long, or the metres it would have flown."""
    match objective:
        case Objective.TIME:
            return STOP_S
        case Objective.ENERGY:
            return STOP_S * float(power_w(aircraft, 0.0, 0.0)) / 3600.0
        case Objective.LENGTH:
            return STOP_S * aircraft.cruise_m_s
