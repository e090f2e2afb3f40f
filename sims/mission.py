"""Mission items: what PX4 takes in, what it stores, and what it finds wrong with a mission afterwards.

Taking in and finding fit to fly are two steps. An item that PX4 cannot read is refused during the upload; a mission
that it can read is acknowledged, and judged later (:func:`fault`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

MISSION, FENCE, RALLY, ALL = (
    mavlink.MAV_MISSION_TYPE_MISSION,
    mavlink.MAV_MISSION_TYPE_FENCE,
    mavlink.MAV_MISSION_TYPE_RALLY,
    mavlink.MAV_MISSION_TYPE_ALL,
)
#: Most items of each type that the vehicle stores.
CAPACITY = {MISSION: 500, FENCE: 64, RALLY: 8}

TAKEOFF = mavlink.MAV_CMD_NAV_TAKEOFF
WAYPOINT = mavlink.MAV_CMD_NAV_WAYPOINT
LAND = mavlink.MAV_CMD_NAV_LAND
RETURN = mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH
LOITER_TIME = mavlink.MAV_CMD_NAV_LOITER_TIME
DELAY = mavlink.MAV_CMD_NAV_DELAY
CHANGE_SPEED = mavlink.MAV_CMD_DO_CHANGE_SPEED
LAND_START = mavlink.MAV_CMD_DO_LAND_START
"""Marks where a landing begins; PX4 reads it when it returns and passes over it otherwise."""

_WITH_PLACE = (TAKEOFF, WAYPOINT, LAND, LOITER_TIME)
_WITHOUT_PLACE = (RETURN, DELAY, CHANGE_SPEED, LAND_START)
_FENCE_POLYGON = (
    mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION,
    mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_EXCLUSION,
)
_FENCE_CIRCLE = (mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION, mavlink.MAV_CMD_NAV_FENCE_CIRCLE_EXCLUSION)
_COMMANDS = {
    MISSION: (*_WITH_PLACE, *_WITHOUT_PLACE),
    FENCE: (*_FENCE_POLYGON, *_FENCE_CIRCLE),
    RALLY: (mavlink.MAV_CMD_NAV_RALLY_POINT,),
}
_AMSL_FRAMES = (mavlink.MAV_FRAME_GLOBAL, mavlink.MAV_FRAME_GLOBAL_INT)
_RELATIVE_FRAMES = (mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT)


@dataclass(frozen=True, slots=True)
class Item:
    """One stored item. Coordinates keep the integers that were sent, so that they are read back unchanged."""

    command: int
    frame: int
    x: int
    """Latitude in 1e-7 degree where the command has a place."""
    y: int
    """Longitude in 1e-7 degree where the command has a place."""
    z: float
    """Height in metres, AMSL or above home as ``frame`` says."""
    param1: float
    param2: float
    param3: float
    param4: float
    autocontinue: int

    @property
    def lat_deg(self) -> float:
        return self.x * 1e-7

    @property
    def lon_deg(self) -> float:
        return self.y * 1e-7

    @property
    def has_place(self) -> bool:
        """Whether the item says where to be."""
        return self.frame != mavlink.MAV_FRAME_MISSION

    def amsl_m(self, home_amsl_m: float) -> float:
        """The item's height above mean sea level."""
        return self.z + home_amsl_m if self.frame in _RELATIVE_FRAMES else self.z


def take_in(message: Any, kind: int) -> tuple[Item | None, int]:
    """A received MISSION_ITEM or MISSION_ITEM_INT as (item, MAV_MISSION_RESULT); the item is None when refused."""
    placeless = message.frame == mavlink.MAV_FRAME_MISSION
    if not placeless and message.frame not in (*_AMSL_FRAMES, *_RELATIVE_FRAMES):
        return None, mavlink.MAV_MISSION_UNSUPPORTED_FRAME
    if message.command not in _COMMANDS[kind] or placeless != (message.command in _WITHOUT_PLACE):
        return None, mavlink.MAV_MISSION_UNSUPPORTED
    x, y, frame = message.x, message.y, message.frame
    if message.get_type() == "MISSION_ITEM":  # the old form with float32 degrees
        if not (math.isfinite(x) and math.isfinite(y)):
            return None, mavlink.MAV_MISSION_INVALID_PARAM5_X
        x, y = round(x * 1e7), round(y * 1e7)
    if not placeless:
        if abs(x) > 900000000:
            return None, mavlink.MAV_MISSION_INVALID_PARAM5_X
        if abs(y) > 1800000000:
            return None, mavlink.MAV_MISSION_INVALID_PARAM6_Y
        if not math.isfinite(message.z):
            return None, mavlink.MAV_MISSION_INVALID_PARAM7
    if message.command in _FENCE_POLYGON and not message.param1 >= 3:
        return None, mavlink.MAV_MISSION_ERROR
    if not placeless:
        relative = (
            frame in _RELATIVE_FRAMES and kind != FENCE
        )  # a fence's heights mean nothing, so its frame is not kept
        frame = mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT if relative else mavlink.MAV_FRAME_GLOBAL_INT
    return (
        Item(message.command, frame, x, y, message.z, *_kept_params(message), message.autocontinue),
        mavlink.MAV_MISSION_ACCEPTED,
    )


def _kept_params(message: Any) -> tuple[float, float, float, float]:
    """The four parameters as PX4 stores them: what a command does not use is read back as zero."""
    first, second, third, fourth = message.param1, message.param2, message.param3, message.param4
    yaw = fourth % 360.0 if math.isfinite(fourth) else math.nan
    if message.command in _WITHOUT_PLACE:
        return first, second, third, fourth
    if message.command == WAYPOINT:
        return first, second, 0.0, yaw
    if message.command == LAND:
        return first, second, 0.0, yaw
    if message.command == LOITER_TIME:
        return first, float(second > 0), third, float(fourth > 0)
    if message.command == TAKEOFF:
        return 0.0, 0.0, 0.0, yaw
    if message.command in _FENCE_POLYGON:
        return float(int(first + 0.5)), 0.0, 0.0, 0.0
    return first, 0.0, 0.0, 0.0


def identity(items: Sequence[Item]) -> int:
    """A checksum by which the vehicle tells one list from another; 0 for the empty list."""
    checksum = 0
    for item in items:
        checksum = zlib.crc32(repr(item).encode(), checksum)
    return checksum


def fault(
    items: Sequence[Item],
    home_amsl_m: float,
    on_ground: bool,
    allowed: Callable[[tuple[float, float], float], bool],
) -> str | None:
    """What makes a stored mission unfit to fly, in PX4's words; None when nothing does.

    Way points are checked against the fence, the legs between them are not.

    Args:
        allowed: whether a (lon, lat) and an AMSL height lie inside the fence in force.
    """
    if on_ground and items[0].command == LAND:
        return "Mission rejected: starts with landing"
    found_place = False
    for item in items:
        if item.command == TAKEOFF:
            if item.amsl_m(home_amsl_m) - home_amsl_m < 1e-6:
                return "Mission rejected: Takeoff altitude below home altitude!"
            if found_place:
                return "Mission rejected: takeoff not first waypoint item"
        found_place = found_place or item.has_place
    for number, item in enumerate(items, start=1):
        if item.has_place and not allowed((item.lon_deg, item.lat_deg), item.amsl_m(home_amsl_m)):
            return f"Geofence violation for waypoint {number}"
    return None
