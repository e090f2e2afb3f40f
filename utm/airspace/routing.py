"""From a wish to a way: the flight space around the places of a plan, and the path through it.

Everything here is a pure function of (map, rules, zones, conditions, plan).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.longroutes import LongAir, columns_along
from utm.airspace.places import Place, Refusal, check_room, check_zone, column_top, in_flight
from utm.airspace.space import Skies, Sky
from utm.airspace.ways import ways_through
from utm.core import (
    FlightSpace,
    KeepOut,
    corners_only,
    flight_space,
    flight_time_s,
    height_profile,
    least_distance,
    time_path,
)
from utm.core.flightspace import without
from utm.core.flyable import Energy, flyable
from utm.core.tube import corner_triangles, rounded, tube_of
from utm.core.turns import turns_clear
from utm.errors import CannotFly, NoPath
from utm.model import PLAIN, Conditions, FlightPlan, GeoZone, Objective, Trajectory, Tube, Wind

#: How often a way is sought again, farther from everything, because a turn would leave the clear air.
_MOST_GROWTHS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A way through the flight space, from pad to pad."""

    points_m: NDArray[np.float64]
    """(n, 3) corners: pad, top of the take-off column, ..., top of the landing column, pad."""
    flight_s: float
    expansions: int
    zones: tuple[str, ...]
    """Ids of the zones it was led around."""
    objective: Objective
    cost: float
    """What was made least: metres, seconds or watt-hours, each voxel weighed by the cost layers. Between the columns,
    without stops."""
    straight_m: float
    """From pad to pad by the way points, as the crow flies, level."""
    energy: Energy
    tube: Tube
    """How far what is flown is from the straight lines between the points, at most."""
    wind: Wind
    voxel_m: float

    @property
    def length_m(self) -> float:
        """Length in space, columns included."""
        return float(np.linalg.norm(np.diff(self.points_m, axis=0), axis=1).sum())

    def timed(self, plan: FlightPlan, departure_s: float) -> Trajectory:
        """The way flown by the plan's aircraft from a departure time on."""
        return time_path(self.points_m, plan.aircraft, departure_s, self.wind)


def find_route(
    skies: Skies,
    plan: FlightPlan,
    places: tuple[Place, ...],
    zones: Sequence[GeoZone],
    conditions: Conditions = PLAIN,
    *,
    raise_m: float = 0.0,
    around: Sequence[KeepOut] = (),
) -> Route:
    """The best way over the map and around the zones, with every rule kept along all that is flown of it.

    Best is what the plan's objective says, in the wind and over the cost layers of the conditions. Turns are rounded,
    and the inside of a turn must be clear, too. A way that bends around an obstacle is sought again with so much more
    clearance that its turns are.

    Args:
        zones: those that the flight must stay out of.
        raise_m: fly at least this much higher than the rules ask.
        around: further parts of the space to keep out of (over ``skies.columns(places)``).

    Raises:
        Refusal: a pad or way point from which no legal flight starts, or no way at all.
        CannotFly: the way is too long for the aircraft, or the wind too strong.
    """
    kind = LongAir if skies.is_long(places) else _TownAir
    air = kind(skies, plan, places, zones, conditions, around, raise_m)
    grown_m, expansions = 0.0, 0
    for _ in range(_MOST_GROWTHS):
        try:
            corners, tried, cost = air.way(grown_m)
        except Refusal as refusal:
            if grown_m == 0.0:
                raise
            raise _no_room(plan) from refusal
        expansions += tried
        turns = corner_triangles(corners, plan.aircraft, conditions.wind)
        broken = turns[~air.turns_clear(turns)]
        if len(broken) == 0:
            energy = flyable(corners, plan.aircraft, conditions.wind)
            return Route(
                points_m=corners,
                flight_s=flight_time_s(corners, plan.aircraft, conditions.wind),
                expansions=expansions,
                zones=tuple(zone.id for zone in zones),
                objective=plan.objective,
                cost=cost,
                straight_m=float(np.linalg.norm(np.diff([p.enu_m[:2] for p in places], axis=0), axis=1).sum()),
                energy=energy,
                tube=tube_of(corners, plan.aircraft, conditions.wind),
                wind=conditions.wind,
                voxel_m=skies.cell_m,
            )
        grown_m = max(grown_m + 1.0, math.ceil(_depth_m(broken)))
    raise _no_room(plan)


def _no_room(plan: FlightPlan) -> Refusal:
    return Refusal(
        "NO_ROOM_TO_TURN",
        f"A way leads there, but beside it there is not the room that a {plan.aircraft.name} needs for its turns.",
    )


class _TownAir:
    """The air of a window that fits into one dense flight space; the arguments are those of `find_route`."""

    def __init__(self, skies, plan, places, zones, conditions, around, raise_m) -> None:  # type: ignore[no-untyped-def]
        self.skies, self.plan, self.places, self.zones = skies, plan, places, zones
        self.conditions, self.around, self.raise_m = conditions, around, raise_m
        # A turn leaves the straight lines, not the corridor: it need not keep farther from zones and neighbours.
        self._objects = skies.sky(places).space

    def turns_clear(self, triangles_m: NDArray[np.float64]) -> NDArray[np.bool_]:
        return turns_clear(self._objects, triangles_m)

    def way(self, grown_m: float) -> tuple[NDArray[np.float64], int, float]:
        """(corners, voxels tried, cost between the columns), with so much more clearance than the rules ask."""
        sky = self.skies.sky(self.places, self.zones, grown_m)
        if self.raise_m > 0.0 or self.around:
            sky = raised(self.skies, self.places, self.zones, grown_m, self.raise_m, self.around)
        if grown_m == 0.0:
            outs = [self.skies.kept_out(zone, self.places) for zone in self.zones]
            _check_pads(self.skies, self.places, self.zones, outs, sky.space)
        return _way(self.skies, sky, self.places, self.plan, self.conditions)


def raised(
    skies: Skies,
    places: Sequence[Place],
    zones: Sequence[GeoZone],
    grown_m: float,
    raise_m: float,
    around: Sequence[KeepOut],
) -> Sky:
    """The air of `Skies.sky`, so much higher, and without some further parts."""
    columns, lowest, highest = skies.around(places, grown_m)
    if raise_m == 0.0:
        return Sky(without(skies.sky(places, zones, grown_m).space, columns, around))
    above = flight_space(columns, lowest + raise_m, highest, [], skies.cell_m)
    return Sky(without(above, columns, [*(skies.kept_out(zone, places) for zone in zones), *around]))


def _check_pads(
    skies: Skies,
    places: tuple[Place, ...],
    zones: Sequence[GeoZone],
    outs: Sequence[KeepOut],
    space: FlightSpace,
) -> None:
    """Raise Refusal where the rules of themselves forbid a pad or a way point."""
    rules = skies.rules
    columns = skies.columns(places)
    for place in places:
        for zone, out in zip(zones, outs, strict=True):
            check_zone(columns, place, place.up_m, zone, out)
    for place in (places[0], places[-1]):
        check_room(columns, place, rules.pad_radius_m)
    # The columns are led through blocked voxels, which is right for roofs and trees nearby and wrong for a zone.
    for place in (places[0], places[-1]):
        top = column_top(space, place)
        for zone, out in zip(zones, outs, strict=True):
            check_zone(columns, place, top[2], zone, out)


def _way(
    skies: Skies, sky: Sky, places: tuple[Place, ...], plan: FlightPlan, conditions: Conditions
) -> tuple[NDArray[np.float64], int, float]:
    """(corners, voxels tried, cost between the columns) of the best way by all places in order."""
    columns, space = skies.columns(places), sky.space
    between = [in_flight(space, place) for place in places[1:-1]]
    stations = [column_top(space, places[0]), *between, column_top(space, places[-1])]
    ways = ways_through(sky, columns, skies, plan, conditions)
    legs, expansions = [places[0].enu_m[None]], 0
    for start, goal in itertools.pairwise(stations):
        try:
            leg, tried = ways.leg(start, goal)
        except NoPath as error:
            if error.limit == "wind":
                raise _too_windy(plan, conditions.wind) from error
            raise Refusal(
                "NO_ROUTE", "No way leads there: terrain, buildings, ceiling and zones close it off."
            ) from error
        legs.append(leg)
        expansions += tried
    legs.append(places[-1].enu_m[None])
    corners = corners_only(np.vstack(legs))
    return corners, expansions, ways.cost(np.vstack(legs[1:-1]))


def _too_windy(plan: FlightPlan, wind: Wind) -> CannotFly:
    strongest, allowed = wind.strongest_m_s, plan.aircraft.max_airspeed_m_s
    return CannotFly(
        f"it blows at up to {strongest:.1f} m/s, against which a {plan.aircraft.name} with {allowed:g} m/s through the "
        "air can hold no way",
        limit="wind",
        needed=strongest + 1e-3 * plan.aircraft.cruise_m_s,  # slower than that over the ground is standing
        allowed=allowed,
    )


def _depth_m(triangles: NDArray[np.float64]) -> float:
    """The farthest that the flown arc comes from the corners of some turns (k, 3, 3): t tan(turn / 4)."""
    into, out = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 1]
    reach = np.linalg.norm(into, axis=1)
    turn = np.arctan2(np.linalg.norm(np.cross(into, out), axis=1), (into * out).sum(axis=1))
    return float((reach * np.tan(turn / 4)).max())


def clearances_of(skies: Skies, plan: FlightPlan, places: Sequence[Place], route: Route) -> dict[str, float]:
    """What a way keeps clear of between its columns, by other means than the search that found it (metres).

    ``obstacle_m``: least distance in space to any object; ``floor_m``: least height of the corridor's underside over
    the surface below; ``ceiling_m``: least room between the corridor's top and the ceiling over the terrain.
    """
    rules = skies.rules
    cruise = rounded(route.points_m, plan.aircraft, route.wind)[1:-1]
    reach = 4 * rules.clearance_m
    parts = columns_along(skies, cruise, reach) if skies.is_long(places) else [(skies.columns(places), cruise)]
    found = []
    for columns, part in parts:
        under = height_profile(part, columns)
        room = under.terrain_m + rules.ceiling_above_terrain_m - under.high_m
        floor = under.low_m - under.surface_m
        found.append((least_distance(part, columns, reach), float(floor.min()), float(room.min())))
    obstacle, floor, room = np.min(found, axis=0).tolist()
    return {
        "obstacle_m": obstacle,
        "floor_m": floor - rules.half_height_m,
        "ceiling_m": room - rules.half_height_m,
    }
