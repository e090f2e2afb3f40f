"""The places of a plan on the map: pads, way points, and the columns that lead up from a pad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utm.core import Columns, FlightSpace, KeepOut
from utm.errors import InputError, PlanError, UtmError
from utm.frames import check_lonlat
from utm.mapping import CityMap
from utm.model import FlightPlan, GeoZone, Waypoint

if TYPE_CHECKING:
    from utm.airspace.relaxation import Relaxation

#: In voxels: a place this near to a face lies on it.
_ON_FACE = 1e-6
#: A pad's stated height and the surface of the map may differ by this much: survey noise, and roofs drawn by the
#: highest return in a cell.
PAD_TOLERANCE_M = 2.0


class Refusal(UtmError):
    """The plan cannot be granted as it stands; becomes the reason of a decision."""

    def __init__(self, code: str, sentence: str, relaxation: Relaxation | None = None):
        self.code, self.sentence = code, sentence
        #: The one constraint whose relaxation would open a way; None where none alone would, or nobody asked.
        self.relaxation = relaxation
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


def check_room(columns: Columns, place: Place, radius_m: float) -> None:
    """Raise Refusal when something stands over a pad within ``radius_m`` of it, or the map ends there."""
    obstacle = pad_obstacle_m(columns, place, radius_m)
    if math.isinf(obstacle):
        raise Refusal(f"{place.name.upper()}_OBSTRUCTED", f"The map ends within {radius_m:g} m of the {place.name}.")
    if obstacle > PAD_TOLERANCE_M:
        raise Refusal(
            f"{place.name.upper()}_OBSTRUCTED",
            f"Within {radius_m:g} m of the {place.name} something stands {obstacle:.1f} m above the pad.",
        )


def check_zone(columns: Columns, place: Place, top_m: float, zone: GeoZone, out: KeepOut) -> None:
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


def column_top(space: FlightSpace, place: Place) -> NDArray[np.float64]:
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


def in_flight(space: FlightSpace, place: Place) -> NDArray[np.float64]:
    low, high = _touched(space, place)
    inside = (low >= 0).all() and (high <= space.blocked.shape).all()
    if not inside or space.blocked[tuple(slice(*ends) for ends in zip(low, high, strict=True))].any():
        raise Refusal(
            "WAYPOINT_CLOSED",
            f"At {place.name} ({place.up_m:.0f} m) the rules do not allow flight: too near to an object, above the "
            "ceiling, or in a zone.",
        )
    return place.enu_m
