"""What ``utm route`` answers: the way with every figure that was worked out for it, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from utm.airspace.conditions import wind_rows
from utm.airspace.documents import iso
from utm.airspace.places import Refusal
from utm.airspace.publish import route_document
from utm.model import Conditions, FlightPlan, Trajectory, Wind

if TYPE_CHECKING:
    from utm.airspace.relaxation import Relaxation
    from utm.airspace.routing import Route
    from utm.core.flyable import Energy
    from utm.mapping import CityMap


@dataclass(frozen=True, slots=True, eq=False)
class RouteAnswer:
    """A way that a plan could fly if nobody else were there."""

    plan: FlightPlan
    route: Route
    line: Trajectory
    """The way, timed."""
    clearances: Mapping[str, float]
    """``obstacle_m``, ``floor_m``, ``ceiling_m``, as in `OperationalIntent`."""
    conditions: Conditions
    """The wind and the cost layers that it was planned in."""


def answer_document(city_map: CityMap, answer: RouteAnswer) -> dict[str, Any]:
    """The answer to ``utm route --json``. Metres, seconds, watt-hours; ``cost`` is in the unit of its objective.

    ``length_m`` is what is flown in space, climbing and descending included; ``over_ground_m`` is what compares with
    ``straight_m``, from pad to pad by the way points as the crow flies.
    """
    route, line = answer.route, answer.line
    tube = route.tube
    return {
        "status": "found",
        "length_m": round(route.length_m, 1),
        "over_ground_m": round(float(np.hypot(*np.diff(route.points_m[:, :2], axis=0).T).sum()), 1),
        "straight_m": round(route.straight_m, 1),
        "flight_s": round(line.end_s - line.start_s, 1),
        "departure": iso(line.start_s),
        "arrival": iso(line.end_s),
        "objective": str(route.objective),
        "cost": round(route.cost, 2),
        "energy": energy_document(route.energy),
        "clearances": {name: round(value, 2) for name, value in answer.clearances.items()},
        "tube": {
            "horizontal_m": round(tube.horizontal_m, 3),
            "vertical_m": round(tube.vertical_m, 3),
        },
        "search": {"expansions": route.expansions, "voxel_m": route.voxel_m},
        "zones_avoided": list(route.zones),
        "wind": wind_document(answer.conditions.wind, line),
        "layers": [
            {"name": layer.name, "kind": str(layer.kind), "weight": layer.weight} for layer in answer.conditions.layers
        ],
        "route": route_document(city_map, line),
    }


def energy_document(energy: Energy) -> dict[str, float]:
    """What a flight draws, beside what there is; ``left_share`` is that of the whole battery."""
    return {
        "used_wh": round(energy.used_wh, 2),
        "usable_wh": round(energy.usable_wh, 2),
        "battery_wh": round(energy.battery_wh, 2),
        "reserve_wh": round(energy.reserve_wh, 2),
        "left_share": round(energy.left_share, 4),
    }


def no_way_document(error: Refusal) -> dict[str, Any]:
    """The answer to ``utm route --json`` where the rules, or the aircraft, leave no way."""
    return {
        "status": "no way",
        "reason": {"code": error.code, "sentence": error.sentence},
        "relaxation": None if error.relaxation is None else relaxation_document(error.relaxation),
    }


def relaxation_document(opens: Relaxation) -> dict[str, Any]:
    """The one constraint whose relaxation would open a way."""
    return {
        "constraint": opens.constraint,
        "sentence": opens.sentence,
        "amount": opens.amount,
        "unit": opens.unit,
        "until": None if opens.until_s is None else iso(opens.until_s),
    }


def wind_document(wind: Wind, line: Trajectory) -> dict[str, Any] | None:
    """A wind in a forecaster's words: where it comes *from*, degrees clockwise from north; None for still air.

    The first two figures are those at the highest point of the way; ``levels`` holds the whole forecast, ``up_m`` in
    the map's datum.
    """
    if not wind.velocity_m_s.any():
        return None
    there = wind_rows(Wind.uniform(*wind.at(line.enu_m[:, 2].max())))[0]
    return {"from_deg": there["from_deg"], "speed_m_s": there["speed_m_s"], "levels": wind_rows(wind)}
