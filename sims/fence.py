"""Geofences as PX4 keeps them: what is stored, what of it comes into force, and whether a point is inside.

Each polygon or circle is checked by itself when a fence comes into force; the ones that fail are dropped without a
word to the uploader but a STATUSTEXT. Inclusions are ANDed. The vertical limit is GF_MAX_VER_DIST alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pymavlink.dialects.v20 import common as mavlink

from sims.mission import Item

INCLUDE_POLYGON = mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
EXCLUDE_POLYGON = mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_EXCLUSION
INCLUDE_CIRCLE = mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION
EXCLUDE_CIRCLE = mavlink.MAV_CMD_NAV_FENCE_CIRCLE_EXCLUSION
COMMANDS = (INCLUDE_POLYGON, EXCLUDE_POLYGON, INCLUDE_CIRCLE, EXCLUDE_CIRCLE)

HOME_OUTSIDE = "Geofence invalid, doesn't contain Home position"
VEHICLE_OUTSIDE = "Geofence invalid, doesn't contain current vehicle position"

Place = tuple[float, float]
"""Longitude and latitude, degrees."""


@dataclass(frozen=True, slots=True)
class Area:
    """One polygon (three or more corners) or circle (one corner and a radius)."""

    corners: tuple[Place, ...]
    inclusion: bool
    radius_m: float = 0.0

    def allows(self, place: Place) -> bool:
        """Whether this area alone lets a vehicle be at a place."""
        inside = self._in_circle(place) if self.radius_m > 0.0 else self._in_polygon(place)
        return inside == self.inclusion

    def _in_polygon(self, place: Place) -> bool:
        # W. R. Franklin's PNPOLY with PX4's comparisons, so that points on an edge fall as they do there. A polygon
        # that crosses itself is neither noticed nor mended.
        lon, lat = place
        inside = False
        before_lon, before_lat = self.corners[-1]
        for corner_lon, corner_lat in self.corners:
            if (corner_lon >= lon) != (before_lon >= lon) and lat <= (before_lat - corner_lat) * (lon - corner_lon) / (
                before_lon - corner_lon
            ) + corner_lat:
                inside = not inside
            before_lon, before_lat = corner_lon, corner_lat
        return inside

    def _in_circle(self, place: Place) -> bool:
        return distance_m(place, self.corners[0]) < self.radius_m


def distance_m(a: Place, b: Place) -> float:
    """Great-circle distance, metres, on PX4's sphere of 6,371,000 m."""
    lat_a, lat_b = math.radians(a[1]), math.radians(b[1])
    half_lat, half_lon = (lat_b - lat_a) / 2.0, math.radians(b[0] - a[0]) / 2.0
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2.0 * 6371000.0 * math.asin(min(1.0, math.sqrt(chord)))


def areas_of(items: list[Item]) -> list[Area]:
    """The areas that PX4 makes of stored fence items.

    A circle before a polygon garbles the polygon, as in PX4: once a circle has been read, every later item is taken
    for a circle, and a polygon's vertex count becomes its radius.
    """
    areas: list[Area] = []
    seen_circle = False
    index = 0
    while index < len(items):
        item = items[index]
        seen_circle = seen_circle or item.command in (INCLUDE_CIRCLE, EXCLUDE_CIRCLE)
        inclusion = item.command in (INCLUDE_POLYGON, INCLUDE_CIRCLE)
        count = 1 if seen_circle else int(item.param1 + 0.5)
        corners = tuple((corner.lon_deg, corner.lat_deg) for corner in items[index : index + count])
        areas.append(Area(corners, inclusion, item.param1 if seen_circle else 0.0))
        index += count
    return areas


def into_force(areas: list[Area], home: Place, vehicle: Place | None, say: Callable[[str], None]) -> tuple[Area, ...]:
    """The areas that come into force; ``vehicle`` is its place when it flies, None on the ground.

    Everything that was in force before is gone, whatever becomes of the new areas.
    """
    kept = []
    for area in areas:
        good = area.allows(home)
        if not good:
            say(HOME_OUTSIDE)
        if vehicle is not None and not area.allows(vehicle):
            say(VEHICLE_OUTSIDE)
            good = False
        if good:
            kept.append(area)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Fence:
    """What is in force: areas, and the two parameters that bound the flight around home (0: no bound)."""

    areas: tuple[Area, ...]
    home: Place
    home_amsl_m: float
    max_horizontal_m: float
    max_vertical_m: float

    def allows(self, place: Place, amsl_m: float) -> bool:
        """Whether a place and a height lie inside everything that is in force."""
        if self.max_horizontal_m > 0.0 and distance_m(place, self.home) >= self.max_horizontal_m:
            return False
        if self.max_vertical_m > 0.0 and amsl_m - self.home_amsl_m >= self.max_vertical_m:
            return False
        return all(area.allows(place) for area in self.areas)
