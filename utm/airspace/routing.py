"""From a wish to a way: the flight space around the places of a plan, and the path through it.

Everything here is a pure function of (map, rules, zones, plan).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import PAD_TOLERANCE_M, Place, Refusal, check_zone, column_top, in_flight, pad_obstacle_m
from utm.airspace.space import Skies
from utm.airspace.zones import keep_out
from utm.core import (
    GridPlanner,
    KeepOut,
    corners_only,
    flight_space,
    flight_time_s,
    height_profile,
    least_distance,
    level_legs,
    pull_string,
    time_path,
)
from utm.errors import NoPath
from utm.model import FlightPlan, GeoZone, Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A way through the flight space, from pad to pad."""

    points_m: NDArray[np.float64]
    """(n, 3) corners: pad, top of the take-off column, ..., top of the landing column, pad."""
    flight_s: float
    expansions: int
    zones: tuple[str, ...] = ()
    """Ids of the zones it was led around."""

    @property
    def length_m(self) -> float:
        """Length in space, columns included."""
        return float(np.linalg.norm(np.diff(self.points_m, axis=0), axis=1).sum())

    def timed(self, plan: FlightPlan, departure_s: float) -> Trajectory:
        """The way flown by the plan's aircraft from a departure time on."""
        return time_path(self.points_m, plan.aircraft, departure_s)


def find_route(
    skies: Skies,
    plan: FlightPlan,
    places: tuple[Place, ...],
    zones: Sequence[GeoZone],
    *,
    raise_m: float = 0.0,
    around: Sequence[KeepOut] = (),
) -> Route:
    """The shortest way over the map and around the zones, straightened, with every rule kept along all of it.

    Args:
        zones: those that the flight must stay out of.
        raise_m: fly at least this much higher than the rules ask.
        around: further parts of the space to keep out of (over the columns of ``skies.around(places)``).

    Raises:
        Refusal: a pad or way point from which no legal flight starts, or no way at all.
    """
    rules, frame = skies.rules, skies.city_map.frame
    columns, lowest, highest = skies.around(places)
    outs = [keep_out(zone, columns, frame, rules) for zone in zones]
    for place in places:
        for zone, out in zip(zones, outs, strict=True):
            check_zone(columns, place, place.up_m, zone, out)
    space = flight_space(columns, lowest + raise_m, highest, [*outs, *around], skies.cell_m)
    for place in (places[0], places[-1]):
        obstacle = pad_obstacle_m(columns, place, rules.pad_radius_m)
        if obstacle > PAD_TOLERANCE_M:
            if math.isinf(obstacle):
                raise Refusal(
                    f"{place.name.upper()}_OBSTRUCTED",
                    f"The map ends within {rules.pad_radius_m:g} m of the {place.name}.",
                )
            raise Refusal(
                f"{place.name.upper()}_OBSTRUCTED",
                f"Within {rules.pad_radius_m:g} m of the {place.name} something stands {obstacle:.1f} m above the pad.",
            )
    stations = [
        column_top(space, place) if place is places[0] or place is places[-1] else in_flight(space, place)
        for place in places
    ]
    # The columns are led through blocked voxels, which is right for roofs and trees nearby and wrong for a zone.
    for place, top in ((places[0], stations[0]), (places[-1], stations[-1])):
        for zone, out in zip(zones, outs, strict=True):
            check_zone(columns, place, top[2], zone, out)
    planner = GridPlanner(space.blocked)
    points = [places[0].enu_m]
    expansions = 0
    for start, goal in itertools.pairwise(stations):
        try:
            path = planner.path(space.voxel(start), space.voxel(goal))
        except NoPath as error:
            raise Refusal(
                "NO_ROUTE", "No way leads there: terrain, buildings, ceiling and zones close it off."
            ) from error
        expansions += path.expansions
        pulled = pull_string(space.blocked, path.cells, space.to_grid(start), space.to_grid(goal))
        leg = space.to_enu(pulled)
        leg[0], leg[-1] = start, goal  # the very floats: the columns below them stay exactly vertical
        points.extend(level_legs(space, leg, plan.aircraft))
    points.append(places[-1].enu_m)
    corners = corners_only(np.array(points))
    return Route(corners, flight_time_s(corners, plan.aircraft), expansions, tuple(zone.id for zone in zones))


def clearances_of(skies: Skies, places: Sequence[Place], route: Route) -> dict[str, float]:
    """What a way keeps clear of between its columns, by other means than the search that found it (metres).

    ``obstacle_m``: least distance in space to any object; ``floor_m``: least height of the corridor's underside over
    the surface below; ``ceiling_m``: least room between the corridor's top and the ceiling over the terrain.
    """
    rules = skies.rules
    columns, _, _ = skies.around(places)
    cruise = route.points_m[1:-1]
    under = height_profile(cruise, columns)
    room = under.terrain_m + rules.ceiling_above_terrain_m - under.high_m
    return {
        "obstacle_m": least_distance(cruise, columns, 4 * rules.clearance_m),
        "floor_m": float((under.low_m - under.surface_m).min()) - rules.half_height_m,
        "ceiling_m": float(room.min()) - rules.half_height_m,
    }
