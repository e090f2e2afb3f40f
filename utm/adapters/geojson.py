"""Sky roads as GeoJSON (RFC 7946), for QGIS and the web.

RFC 7946 measures the third coordinate from the WGS84 ellipsoid, so that is what stands there; the heights above mean
sea level, by which a drone flies, are among the properties, named.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from utm.errors import DatumError
from utm.frames import geoid_m
from utm.model import Datum, SkyRoad, Waypoint


def dumps(roads: Sequence[SkyRoad]) -> str:
    """A FeatureCollection: for each road its centre line and its fence. Ends with a newline.

    Raises:
        DatumError: a height that is not AMSL, or no geoid on this machine.
    """
    features = [feature for road in roads for feature in (_centre_line(road), _fence(road))]
    return (
        json.dumps({"type": "FeatureCollection", "features": features}, indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def _centre_line(road: SkyRoad) -> dict[str, Any]:
    top = Waypoint(road.pad.lon_deg, road.pad.lat_deg, road.takeoff_amsl_m, road.pad.datum)
    places = (road.pad, top, *(leg.to for leg in road.legs), road.land)
    return {
        "type": "Feature",
        "id": f"{road.intent_id}/centre-line",
        "geometry": {"type": "LineString", "coordinates": [_ellipsoid(place) for place in places]},
        "properties": {
            "intent": road.intent_id,
            "part": "centre line",
            "depart_s": road.depart_s,
            "amsl_m": [round(place.height_m, 3) for place in places],
            "speed_m_s": [round(leg.speed_m_s, 3) for leg in road.legs],
        },
    }


def _fence(road: SkyRoad) -> dict[str, Any]:
    ring = [[round(lon, 7), round(lat, 7)] for lon, lat in (*road.fence_deg, road.fence_deg[0])]
    return {
        "type": "Feature",
        "id": f"{road.intent_id}/fence",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "intent": road.intent_id,
            "part": "fence",
            "ceiling_amsl_m": round(road.ceiling_amsl_m, 3),
        },
    }


def _ellipsoid(place: Waypoint) -> list[float]:
    if place.datum is not Datum.AMSL:
        raise DatumError("a sky road's heights are above mean sea level", value=str(place.datum))
    height_m = place.height_m + float(geoid_m(Datum.AMSL, place.lon_deg, place.lat_deg))
    return [round(place.lon_deg, 7), round(place.lat_deg, 7), round(height_m, 3)]
