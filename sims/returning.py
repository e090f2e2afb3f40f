"""The way home: the points over which a return flies, as PX4's RTL_TYPE decides."""

from __future__ import annotations

import itertools
import math

from sims.fence import distance_m
from sims.mission import LAND, Item
from sims.params import Parameters
from sims.state import Home, State
from sims.trajectory import Vector


def return_way(
    state: State, home: Home, mission: list[Item], current: int, rally: list[Item]
) -> tuple[list[Vector], float]:
    """The points of a return in order, the last above the landing place; and the height AMSL of the destination.

    RTL_TYPE 0 climbs and flies straight to home or the nearest rally point; 1 and 3 may choose the mission's landing;
    2 and 4 follow the mission, on to its landing or back along it, and ignore rally points.
    """
    kind = state.params["RTL_TYPE"]
    if kind in (2, 4):
        way = _along_mission(state, home, mission, current, shorter=kind == 4)
        if way is not None:
            return way, state.home_amsl_m
    return _direct(state, home, mission if kind in (1, 3) else [], rally)


def _direct(state: State, home: Home, mission: list[Item], rally: list[Item]) -> tuple[list[Vector], float]:
    goals = [(home.lon_deg, home.lat_deg, home.amsl_m)]
    goals += [
        (item.lon_deg, item.lat_deg, item.amsl_m(home.amsl_m))
        for item in (*rally, *(item for item in mission if item.command == LAND))
    ]
    here = state.place
    lon, lat, amsl_m = min(goals, key=lambda goal: distance_m(here, goal[:2]))
    x, y = state.plane.to_metres(lon, lat)
    ground_m = amsl_m - state.plane.amsl_m
    up_m = max(ground_m + return_height_m(state.params, distance_m(here, (lon, lat))), state.up_m)
    here_x, here_y, _ = state.copter.body.position
    climb = [(here_x, here_y, up_m)] if up_m - state.up_m > 0.1 else []
    return [*climb, (x, y, up_m)], amsl_m


def return_height_m(params: Parameters, distance: float) -> float:
    """Height above the destination at which to return: RTL_RETURN_ALT, less inside the cone of RTL_CONE_ANG."""
    acceptance, height = params["NAV_ACC_RAD"], params["RTL_RETURN_ALT"]
    if params["RTL_CONE_ANG"] <= 0:
        return height
    if distance <= acceptance:
        return 2.0 * distance
    if distance <= params["RTL_MIN_DIST"]:
        half_angle = math.radians(max(1.0, min(89.0, params["RTL_CONE_ANG"])))
        height = min(height, distance / math.tan(half_angle))
    return max(height, 2.0 * acceptance)


def _along_mission(state: State, home: Home, mission: list[Item], current: int, shorter: bool) -> list[Vector] | None:
    places = [(index, item) for index, item in enumerate(mission) if item.has_place]
    if not places:
        return None
    onward = [state.position_of(item) for index, item in places if index >= current]
    back = [state.position_of(item) for index, item in reversed(places) if index < current]
    x, y = state.plane.to_metres(home.lon_deg, home.lat_deg)
    back.append((x, y, back[-1][2] if back else state.up_m))
    if places[-1][1].command != LAND or not onward:
        return back
    # Over the landing place at the height of the way there; the descent comes after it.
    level = onward[-2][2] if len(onward) > 1 else state.up_m
    onward[-1] = (onward[-1][0], onward[-1][1], level)
    start = state.copter.body.position
    return back if shorter and _length(start, back) < _length(start, onward) else onward


def _length(start: Vector, way: list[Vector]) -> float:
    return sum(math.dist(a, b) for a, b in itertools.pairwise([start, *way]))
