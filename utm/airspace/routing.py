"""From a wish to a way: the pads resolved on the map, the flight space around them, and the path through it.

Everything here is a pure function of (map, rules, zones, plan); ``Skies`` only remembers what it has computed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.airspace.zones import keep_out
from utm.core import (
    Columns,
    FlightSpace,
    GridPlanner,
    KeepOut,
    corners_only,
    flight_space,
    flight_time_s,
    height_profile,
    least_distance,
    level_legs,
    lowest_clear,
    pull_string,
    time_path,
)
from utm.errors import InputError, NoPath, PlanError, UtmError
from utm.frames import check_lonlat
from utm.mapping import CityMap
from utm.model import FlightPlan, GeoZone, RuleSet, Trajectory, Waypoint

#: Voxels of about this size: fine enough for streets of 60 m, small enough that a town fits in memory.
_VOXEL_M = 4.0
#: How far beyond the box around all places a way may lead.
_MARGIN_M = 600.0
#: In voxels: a place this near to a face lies on it.
_ON_FACE = 1e-6
#: A pad's stated height and the surface of the map may differ by this much: survey noise, and roofs drawn by the
#: highest return in a cell.
PAD_TOLERANCE_M = 2.0


class Refusal(UtmError):
    """The plan cannot be granted as it stands; becomes the reason of a decision."""

    def __init__(self, code: str, sentence: str):
        self.code, self.sentence = code, sentence
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a plan on the map: metres east, north, up, and what the plan calls it."""

    name: str
    east_m: float
    north_m: float
    up_m: float

    @property
    def enu_m(self) -> NDArray[np.float64]:
        """(3,) metres."""
        return np.array([self.east_m, self.north_m, self.up_m])


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


@dataclass(eq=False)
class Skies:
    """The clear heights of one map under one rule set, computed once for each window that is asked for."""

    city_map: CityMap
    rules: RuleSet
    _windows: dict[tuple[float, ...], tuple[Columns, NDArray, NDArray]] = field(default_factory=dict, repr=False)

    @cached_property
    def cell_m(self) -> float:
        """Edge of a planning voxel: the multiple of the map's cell nearest above 4 m."""
        return self.city_map.resolution_m * max(1, math.ceil(_VOXEL_M / self.city_map.resolution_m - 1e-9))

    def around(self, places: Sequence[Place]) -> tuple[Columns, NDArray[np.float64], NDArray[np.float64]]:
        """Columns, lowest and highest centre-line height (up, metres) around some places.

        The window is snapped to planning voxels and to steps of 256 m, so that similar flights share it.
        """
        snap = max(256.0 // self.cell_m, 1.0) * self.cell_m
        low = [min(p.east_m for p in places), min(p.north_m for p in places)]
        high = [max(p.east_m for p in places), max(p.north_m for p in places)]
        nx, ny = self.city_map.size
        edge = (nx * self.city_map.resolution_m, ny * self.city_map.resolution_m)
        box = (
            *(max(0.0, math.floor((value - _MARGIN_M) / snap) * snap) for value in low),
            *(min(end, math.ceil((value + _MARGIN_M) / snap) * snap) for value, end in zip(high, edge, strict=True)),
        )
        if box not in self._windows:
            columns = self.city_map.window(*box)
            lowest = lowest_clear(columns.surface_m, columns.cell_m, self.rules.clearance_m)
            highest = columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)
            self._windows[box] = (columns, lowest, highest)
        return self._windows[box]


def resolve(city_map: CityMap, plan: FlightPlan) -> tuple[Place, ...]:
    """The plan's places on the map: origin, way points, destination.

    Raises:
        PlanError: off the map, inside a building, hanging in the air, on ground that the survey did not see.
    """
    named = [("origin", plan.origin)]
    named += [(f"waypoints.{index}", point) for index, point in enumerate(plan.waypoints)]
    named += [("destination", plan.destination)]
    places = tuple(_on_map(city_map, name, point) for name, point in named)
    for place in (places[0], places[-1]):
        _check_pad(city_map, place)
    if all(math.hypot(p.east_m - places[0].east_m, p.north_m - places[0].north_m) < 1.0 for p in places):
        raise PlanError(
            "is the origin: the flight leads nowhere", field="destination", mend="Name another place, or a way point."
        )
    return places


def _on_map(city_map: CityMap, name: str, point: Waypoint) -> Place:
    try:
        check_lonlat(point.lon_deg, point.lat_deg)
    except InputError as error:
        raise PlanError(error.problem, field=f"{name}.{error.field}", value=error.value) from error
    east, north = (float(value) for value in city_map.frame.to_map(point.lon_deg, point.lat_deg))
    if not city_map.contains(east, north):
        raise PlanError(
            "lies off the map",
            field=name,
            value=(round(point.lon_deg, 6), round(point.lat_deg, 6)),
            mend="`utm map info` prints the map's bounds.",
        )
    terrain = float(city_map.terrain_up(east, north))
    up = float(city_map.frame.up(point.height_m, point.datum, point.lon_deg, point.lat_deg, terrain))
    return Place(name, east, north, up)


def _check_pad(city_map: CityMap, place: Place) -> None:
    cell = city_map.resolution_m / 2
    columns = city_map.window(
        place.east_m - cell / 2, place.north_m - cell / 2, place.east_m + cell / 2, place.north_m + cell / 2
    )
    surface = float(columns.surface_m.min())
    if columns.unknown.any():
        raise PlanError(
            "stands where the survey saw nothing",
            field=place.name,
            mend="Choose a surveyed place, or update the map.",
        )
    if place.up_m < surface - PAD_TOLERANCE_M:
        raise PlanError(
            f"lies {surface - place.up_m:.1f} m below the surface: inside a building, or under the ground",
            field=f"{place.name}.height",
            value=round(place.up_m, 2),
            mend=f"The surface there is at {surface:.1f} m ({city_map.frame.vertical}).",
        )
    if place.up_m > surface + PAD_TOLERANCE_M:
        raise PlanError(
            f"hangs {place.up_m - surface:.1f} m above the surface",
            field=f"{place.name}.height",
            value=round(place.up_m, 2),
            mend=f"A pad stands on the surface, there at {surface:.1f} m ({city_map.frame.vertical}).",
        )


def pad_obstacle_m(columns: Columns, place: Place, radius_m: float) -> float:
    """How far the highest thing within ``radius_m`` of a pad stands above it (metres; negative: below)."""
    i0, j0 = np.floor((place.enu_m[:2] - radius_m - columns.origin_m) / columns.cell_m).astype(int)
    i1, j1 = np.floor((place.enu_m[:2] + radius_m - columns.origin_m) / columns.cell_m).astype(int) + 1
    nx, ny = columns.surface_m.shape
    if i0 < 0 or j0 < 0 or i1 > nx or j1 > ny:
        return math.inf
    i, j = np.meshgrid(np.arange(i0, i1), np.arange(j0, j1), indexing="ij")
    corner_e, corner_n = columns.origin_m[0] + i * columns.cell_m, columns.origin_m[1] + j * columns.cell_m
    away_e = np.maximum(np.maximum(corner_e - place.east_m, place.east_m - corner_e - columns.cell_m), 0.0)
    away_n = np.maximum(np.maximum(corner_n - place.north_m, place.north_m - corner_n - columns.cell_m), 0.0)
    near = np.hypot(away_e, away_n) <= radius_m
    return float(columns.surface_m[i0:i1, j0:j1][near].max()) - place.up_m


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
            _check_zone(columns, place, place.up_m, zone, out)
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
        _column_top(space, place) if place is places[0] or place is places[-1] else _in_flight(space, place)
        for place in places
    ]
    # The columns are led through blocked voxels, which is right for roofs and trees nearby and wrong for a zone.
    for place, top in ((places[0], stations[0]), (places[-1], stations[-1])):
        for zone, out in zip(zones, outs, strict=True):
            _check_zone(columns, place, top[2], zone, out)
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


def _check_zone(columns: Columns, place: Place, top_m: float, zone: GeoZone, out: KeepOut) -> None:
    """Raise Refusal when a zone holds any of the column from a place up to ``top_m``."""
    cell = tuple(np.floor((place.enu_m[:2] - columns.origin_m) / columns.cell_m).astype(int))
    if not out.mask[cell]:
        return
    lower, upper = (float(np.broadcast_to(limit, out.mask.shape)[cell]) for limit in (out.lower_m, out.upper_m))
    # A pad below a zone that begins high up may still be used, under it.
    if place.up_m <= upper and top_m >= lower:
        kind = "way point" if place.name.startswith("waypoints.") else "pad"
        lies = "lies" if place.up_m >= lower else f"has its only way up, {top_m - place.up_m:.0f} m high,"
        raise Refusal(
            f"{place.name.split('.')[0].upper().removesuffix('S')}_IN_ZONE",
            f"The {place.name} ({kind}) {lies} in {zone.name} ({zone.id}, {zone.restriction}), in force at that time.",
        )


def _touched(space: FlightSpace, place: Place) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The voxels (first, one past the last) that a place lies in: several where it lies on a face between them, for
    then every one of them must be free."""
    grid = space.to_grid(place.enu_m)
    return np.floor(grid - _ON_FACE).astype(int), np.floor(grid + _ON_FACE).astype(int) + 1


def _column_top(space: FlightSpace, place: Place) -> NDArray[np.float64]:
    """Where the column over a pad enters the flight space: the centre height of the lowest free voxel above it."""
    low, high = _touched(space, place)
    if (low[:2] >= 0).all() and (high[:2] <= space.blocked.shape[:2]).all():
        above = max(int(high[2]), 0)
        blocked = space.blocked[low[0] : high[0], low[1] : high[1], above:].any(axis=(0, 1))
        free = np.flatnonzero(~blocked)
        if len(free):
            level = above + int(free[0])
            return np.array([place.east_m, place.north_m, space.origin_m[2] + (level + 0.5) * space.cell_m])
    raise Refusal(
        f"{place.name.upper()}_CLOSED",
        f"Above the {place.name} there is no height at which the rules allow flight: buildings or trees nearby need "
        "more height than the ceiling leaves.",
    )


def _in_flight(space: FlightSpace, place: Place) -> NDArray[np.float64]:
    low, high = _touched(space, place)
    inside = (low >= 0).all() and (high <= space.blocked.shape).all()
    if not inside or space.blocked[tuple(slice(*ends) for ends in zip(low, high, strict=True))].any():
        raise Refusal(
            "WAYPOINT_CLOSED",
            f"At {place.name} ({place.up_m:.0f} m) the rules do not allow flight: too near to an object, above the "
            "ceiling, or in a zone.",
        )
    return place.enu_m
