"""Ways over the made town, with figures that were made up, for the tests of their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core import time_path
from utm.mapping import CityMap
from utm.model import AIRCRAFT_CLASSES, CALM, Datum, FlightPlan, GeoZone, Restriction, RuleSet, Waypoint, Wind
from utm.report.way import Way

START_S = 1_800_000_000.0
#: Up, along, up to another height on the way, along, down; the tower of the town stands beside it.
CORNERS = ((120, 300, 10), (120, 300, 80), (450, 320, 80), (450, 320, 100), (780, 300, 100), (780, 300, 10))


def zone(town: CityMap, name: str, west: float, south: float, *, upper_m: float = 60.0) -> GeoZone:
    """A square of 100 m, from the ground up."""
    square = [(west, south), (west + 100, south), (west + 100, south + 100), (west, south + 100)]
    corners = tuple((float(lon), float(lat)) for lon, lat in (town.frame.to_lonlat(*corner) for corner in square))
    return GeoZone(name.lower(), name, Restriction.PROHIBITED, corners, 0.0, Datum.AGL, upper_m, Datum.AGL)


def document(length_m: float, flight_s: float, **changes: Any) -> dict[str, Any]:
    """What ``utm route --json`` prints, with figures of nobody's flight."""
    return {
        "status": "found",
        "length_m": length_m,
        "over_ground_m": round(0.9 * length_m, 1),
        "straight_m": round(0.9 * length_m / 1.04, 1),
        "flight_s": flight_s,
        "departure": "2027-01-15T08:00:00.000Z",
        "arrival": "2027-01-15T08:03:00.000Z",
        "objective": "length",
        "cost": length_m,
        "energy": {"used_wh": 12.3, "usable_wh": 96.0, "battery_wh": 120.0, "reserve_wh": 24.0, "left_share": 0.8975},
        "clearances": {"obstacle_m": 31.4, "floor_m": 20.2, "ceiling_m": 40.8},
        "tube": {"horizontal_m": 1.2, "vertical_m": 0.6},
        "search": {"expansions": 1234, "voxel_m": 4.0},
        "zones_avoided": ["school"],
        "wind": None,
        "layers": [],
        "route": [],
    } | changes


def made_way(
    town: CityMap,
    *,
    corners=CORNERS,
    zones: tuple[GeoZone, ...] | None = None,
    wind: Wind = CALM,
    via: tuple[tuple[float, float], ...] = (),
    title: str = "Way over the town",
) -> Way:
    """A way along some corners (n, 3), metres."""
    line = time_path(np.asarray(corners, float), AIRCRAFT_CLASSES["quad"], START_S)
    plan = FlightPlan(
        id="route",
        operator="route",
        aircraft=AIRCRAFT_CLASSES["quad"],
        origin=town.frame.waypoint(line.enu_m[0], Datum.JGD2011),
        destination=town.frame.waypoint(line.enu_m[-1], Datum.JGD2011),
        earliest_departure_s=START_S,
        latest_departure_s=START_S,
        waypoints=tuple(Waypoint(*(float(v) for v in town.frame.to_lonlat(*place)), 70.0, Datum.AGL) for place in via),
    )
    lon, lat = town.frame.to_lonlat(line.enu_m[:, 0], line.enu_m[:, 1])
    points = [
        {"lon": float(a), "lat": float(b), "ellipsoid_m": float(up) + 37, "amsl_m": float(up), "agl_m": float(up) - 10,
         "time": f"2027-01-15T08:{k // 60:02d}:{k % 60:02d}.000Z"}
        for k, (a, b, up) in enumerate(zip(lon, lat, line.enu_m[:, 2], strict=True))
    ]  # fmt: skip
    told = None
    if wind is not CALM:
        east, north = wind.velocity_m_s[0]
        told = {"from_deg": round(float(np.degrees(np.arctan2(-east, -north)) % 360), 1)}
        told |= {"speed_m_s": round(float(np.hypot(east, north)), 2), "levels": []}
    length = round(float(np.linalg.norm(np.diff(line.enu_m, axis=0), axis=1).sum()), 1)
    flight_s = round(line.end_s - line.start_s, 1)
    return Way(
        city_map=town,
        rules=RuleSet(),
        plan=plan,
        line=line,
        zones=(zone(town, "School", 650.0, 100.0), zone(town, "Works", 240.0, 260.0)) if zones is None else zones,
        wind=wind,
        document=document(length, flight_s, wind=told, route=points),
        words={"length": f"{length:,.0f} m", "keeps": "31 m from every object"},
        title=title,
    )
