"""A sky road as a QGroundControl ``.plan`` file (plan file format, version 1), for operators who fly with their own
ground station.

Every height is above mean sea level and every item says so (AltitudeMode 2, MAV_FRAME_GLOBAL). A plan file has no
place for the road's ceiling and failsafe parameters: set GF_MAX_VER_DIST, GF_ACTION and RTL_TYPE on the vehicle.
"""

from __future__ import annotations

import json
from typing import Any

from utm.errors import DatumError
from utm.model import Datum, SkyRoad, Waypoint

_PX4, _MULTICOPTER = 12, 2
_ABSOLUTE = 2
_FRAME_GLOBAL, _FRAME_MISSION = 0, 2
_TAKEOFF, _WAYPOINT, _LAND, _CHANGE_SPEED, _LAND_START = 22, 16, 21, 178, 189


def dumps(road: SkyRoad) -> str:
    """The text of the file, the same for the same road, with a newline at its end.

    Raises:
        DatumError: a height that is not AMSL.
    """
    items = [_place(_TAKEOFF, road.pad, road.takeoff_amsl_m)]
    speed_m_s = None
    for leg in road.legs:
        if leg.speed_m_s != speed_m_s:
            speed_m_s = leg.speed_m_s
            items.append(_do(_CHANGE_SPEED, 1, speed_m_s, -1))
        items.append(_place(_WAYPOINT, leg.to, leg.to.height_m))
    items.append(_do(_LAND_START))
    items.append(_place(_LAND, road.land, road.land.height_m))
    for number, item in enumerate(items, start=1):
        item["doJumpId"] = number
    speed_m_s = max((leg.speed_m_s for leg in road.legs), default=5.0)
    document = {
        "fileType": "Plan",
        "geoFence": {
            "circles": [],
            "polygons": [
                {"inclusion": True, "polygon": [[_deg(lat), _deg(lon)] for lon, lat in road.fence_deg], "version": 1}
            ],
            "version": 2,
        },
        "groundStation": "QGroundControl",
        "mission": {
            "cruiseSpeed": speed_m_s,
            "firmwareType": _PX4,
            "globalPlanAltitudeMode": _ABSOLUTE,
            "hoverSpeed": speed_m_s,
            "items": items,
            "plannedHomePosition": [*_lat_lon(road.pad), _metres(road.pad.height_m)],
            "vehicleType": _MULTICOPTER,
            "version": 2,
        },
        "rallyPoints": {"points": [], "version": 2},
        "version": 1,
    }
    return json.dumps(document, indent=4, sort_keys=True, allow_nan=False) + "\n"


def _place(command: int, place: Waypoint, amsl_m: float) -> dict[str, Any]:
    height_m = _metres(amsl_m)
    return {
        "AMSLAltAboveTerrain": None,
        "Altitude": height_m,
        "AltitudeMode": _ABSOLUTE,
        "autoContinue": True,
        "command": command,
        "frame": _FRAME_GLOBAL,
        # The fourth is the heading; null leaves it to the vehicle.
        "params": [0, 0, 0, None, *_lat_lon(place), height_m],
        "type": "SimpleItem",
    }


def _do(command: int, *params: float) -> dict[str, Any]:
    return {
        "autoContinue": True,
        "command": command,
        "frame": _FRAME_MISSION,
        "params": [*params, *[0] * (7 - len(params))],
        "type": "SimpleItem",
    }


def _lat_lon(place: Waypoint) -> list[float]:
    if place.datum is not Datum.AMSL:
        raise DatumError("a .plan file is written with heights above mean sea level", value=str(place.datum))
    return [_deg(place.lat_deg), _deg(place.lon_deg)]


def _deg(value: float) -> float:
    return round(value, 7)  # 1 cm, what MAVLink carries


def _metres(value: float) -> float:
    return round(value, 3)
