"""The places of a plan on ground that is held: what `utm.airspace.places.resolve` says, without the map's files.

A plan that is checked has its trajectory with it, and the ground along that is in memory. Where anything about a place
is unusual, it is `resolve` that says what.
"""

from __future__ import annotations

import math

from utm.airspace.places import PAD_TOLERANCE_M, Place, resolve
from utm.core.beneath import Pad, pad_at
from utm.core.tiles import Ground
from utm.mapping import CityMap
from utm.model import Datum, FlightPlan


def places_of(city_map: CityMap, ground: Ground, plan: FlightPlan) -> tuple[Place, ...]:
    """The plan's places on the map: origin, way points, destination.

    Raises:
        PlanError: as `resolve`.
    """
    points = (plan.origin, *plan.waypoints, plan.destination)
    if not all(-180.0 <= point.lon_deg <= 180.0 and -90.0 <= point.lat_deg <= 90.0 for point in points):
        return resolve(city_map, plan)
    frame = city_map.frame
    easts, norths = frame.to_map([point.lon_deg for point in points], [point.lat_deg for point in points])
    places = []
    for n, (point, east, north) in enumerate(zip(points, easts.tolist(), norths.tolist(), strict=True)):
        try:
            pad = pad_at(ground, east, north, 0.0)
        except ValueError:  # off the map, or far from the trajectory
            return resolve(city_map, plan)
        up = point.height_m
        if point.datum is Datum.AGL:
            up += pad.terrain_m
        elif point.datum is not frame.vertical:
            up = float(frame.up(up, point.datum, point.lon_deg, point.lat_deg))
        if n in (0, len(points) - 1) and not _stands(pad, up):
            return resolve(city_map, plan)
        name = "origin" if n == 0 else "destination" if n == len(points) - 1 else f"waypoints.{n - 1}"
        places.append(Place(name, east, north, up))
    if all(math.hypot(p.east_m - places[0].east_m, p.north_m - places[0].north_m) < 1.0 for p in places):
        return resolve(city_map, plan)
    return tuple(places)


def _stands(pad: Pad, up_m: float) -> bool:
    """Whether a pad stands on a surface that was seen."""
    return not pad.unknown and abs(up_m - pad.surface_m) <= PAD_TOLERANCE_M
