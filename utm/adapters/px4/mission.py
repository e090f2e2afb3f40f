"""A sky road in the words of PX4: mission items, fence items and failsafe parameters. Pure; nothing is sent here.

Command, frame and parameter numbers are those of the MAVLink common message set.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from utm.adapters.px4 import fence
from utm.errors import VehicleRefused
from utm.model import Datum, SkyRoad, Waypoint

NAV_WAYPOINT, NAV_LAND, NAV_TAKEOFF = 16, 21, 22
DO_CHANGE_SPEED, DO_LAND_START = 178, 189
FENCE_INCLUSION = 5001
FRAME_GLOBAL, FRAME_MISSION, FRAME_GLOBAL_INT = 0, 2, 5
MISSION, FENCE = 0, 1

#: PX4 lifts off at MPC_TKO_SPEED (1.5 m/s), but climbs to a waypoint at MPC_Z_V_AUTO_UP (3 m/s). So the take-off item
#: ends this high above the pad, and a waypoint straight above takes it from there.
LIFT_OFF_M = 5.0

#: How close the drone must come to a corner before it turns to the next leg; planned trajectories assume the same.
#: PX4's own default for multicopters in simulation. With 2 m a drone that swings in height as it turns flies past the
#: corner, is not counted as there, and comes back for it at walking pace (seen on 1.18).
CORNER_RADIUS_M = 10.0

#: And how close in height (PX4: NAV_MC_ALT_RAD, 0.8 m by default). A drone that passed a corner 3 m too high was never
#: counted as there and flew on along the leg, past the fence. Corridors have room for this.
HEIGHT_RADIUS_M = 5.0

#: A stop before and after a change of height: without it PX4 1.18 flies 12 m past a step, with it 2 m.
STOP_S = 2.0

#: The drone must stand on the pad that was cleared: a home further off means another place, or a bad position.
HOME_WITHIN_M = 10.0
HOME_WITHIN_HEIGHT_M = 5.0

_EARTH_M = 6371000.0
_SAME_PLACE_M = 0.05
_NAN = math.nan


class Item(NamedTuple):
    """One MISSION_ITEM_INT."""

    command: int
    frame: int
    params: tuple[float, float, float, float]
    x: int
    """Latitude, 1e-7 degree."""
    y: int
    """Longitude, 1e-7 degree."""
    z: float
    """Height AMSL in metres."""
    mission_type: int


def mission_items(road: SkyRoad) -> tuple[Item, ...]:
    """The mission: lift off, climb, fly the legs at their speeds, land.

    DO_LAND_START marks the landing as planned, so that a return (RTL_TYPE 4) goes on to it, along the road, once it is
    nearer than home.
    """
    pad_height_m = road.pad.height_m
    lift_off_m = min(pad_height_m + LIFT_OFF_M, road.takeoff_amsl_m)
    items = [_at(NAV_TAKEOFF, road.pad, lift_off_m)]
    if lift_off_m < road.takeoff_amsl_m:
        items.append(_at(NAV_WAYPOINT, road.pad, road.takeoff_amsl_m, stop_s=STOP_S))
    speed_m_s = None
    turns = _turns(road)
    for leg, stop in zip(road.legs, turns, strict=True):
        if leg.speed_m_s != speed_m_s:
            speed_m_s = leg.speed_m_s
            items.append(_do(DO_CHANGE_SPEED, (1.0, speed_m_s, -1.0, 0.0)))
        items.append(_at(NAV_WAYPOINT, leg.to, leg.to.height_m, stop_s=STOP_S if stop else 0.0))
    items.append(_do(DO_LAND_START, (0.0, 0.0, 0.0, 0.0)))
    items.append(_at(NAV_LAND, road.land, road.land.height_m))
    return tuple(items)


def _turns(road: SkyRoad) -> list[bool]:
    """For each leg, whether it ends where the way goes on straight up or down, or has just done so."""
    places = [road.pad, *(leg.to for leg in road.legs), road.land]
    upright = [distance_m(a, b) < _SAME_PLACE_M for a, b in itertools.pairwise(places)]
    return [before or after for before, after in itertools.pairwise(upright)]


def fence_items(road: SkyRoad) -> tuple[Item, ...]:
    """The fence: one inclusion polygon. PX4 ANDs several fences, so a road is never a chain of them."""
    corners = [fence.to_e7(lon, lat) for lon, lat in road.fence_deg]
    params = (float(len(corners)), 0.0, 0.0, 0.0)
    return tuple(Item(FENCE_INCLUSION, FRAME_GLOBAL, params, lat, lon, 0.0, FENCE) for lon, lat in corners)


def failsafe_parameters(road: SkyRoad, home: Waypoint) -> dict[str, int | float]:
    """What decides how PX4 flies when it acts alone. Every path it may choose is one that was cleared.

    A breach holds. A lost link goes on along the approved road, in its time. A return, and a low battery, follow the
    road to its nearer end (never the straight line of RTL_TYPE 0, which nobody cleared); where no mission is valid
    any more, the straight line home is flown no lower than the road's highest point.
    """
    highest_m = max(road.takeoff_amsl_m, *(leg.to.height_m for leg in road.legs))
    return {
        "GF_ACTION": 2,
        "GF_PREDICT": 0,  # experimental in PX4, with a warning of fly-aways
        "GF_MAX_VER_DIST": float(math.ceil(road.ceiling_amsl_m - home.height_m)),
        "RTL_TYPE": 4,
        "RTL_CONE_ANG": 0,  # no cone: climb to the return height wherever the return starts
        "RTL_RETURN_ALT": float(math.ceil(highest_m - home.height_m)),
        "NAV_DLL_ACT": 0,
        "COM_LOW_BAT_ACT": 3,
        "NAV_MC_ALT_RAD": HEIGHT_RADIUS_M,
    }


#: Parameters that some builds of PX4 lack, and with them what they would switch off.
NOT_EVERYWHERE = frozenset({"GF_PREDICT", "RTL_CONE_ANG", "NAV_MC_ALT_RAD"})


def check_road(road: SkyRoad, home: Waypoint) -> None:
    """Refuse a road that the vehicle would accept and not keep.

    Args:
        road: heights AMSL.
        home: where the vehicle says it stands; height AMSL.

    Raises:
        VehicleRefused: in words; nothing needs to be sent to find out.
    """
    if not road.legs:
        raise VehicleRefused(f"{road.intent_id}: a sky road without legs cannot be flown")
    places = (road.pad, road.land, home, *(leg.to for leg in road.legs))
    if any(place.datum is not Datum.AMSL for place in places):
        raise VehicleRefused(f"{road.intent_id}: PX4 takes heights above mean sea level (AMSL) only")
    numbers = (road.takeoff_amsl_m, road.ceiling_amsl_m, *(leg.speed_m_s for leg in road.legs))
    numbers += tuple(n for place in places for n in (place.lon_deg, place.lat_deg, place.height_m))
    numbers += tuple(n for corner in road.fence_deg for n in corner)
    if not all(map(math.isfinite, numbers)):
        raise VehicleRefused(f"{road.intent_id}: a height, speed or place of the road is not a finite number")
    if any(leg.speed_m_s <= 0 for leg in road.legs):
        raise VehicleRefused(f"{road.intent_id}: a leg's speed must be greater than 0")
    away_m = distance_m(home, road.pad)
    if away_m > HOME_WITHIN_M or abs(home.height_m - road.pad.height_m) > HOME_WITHIN_HEIGHT_M:
        raise VehicleRefused(
            f"{road.intent_id}: the vehicle stands {away_m:.1f} m from its pad and"
            f" {home.height_m - road.pad.height_m:+.1f} m above it (at most {HOME_WITHIN_M:g} m and"
            f" {HOME_WITHIN_HEIGHT_M:g} m): home is lon {home.lon_deg:.7f}, lat {home.lat_deg:.7f},"
            f" {home.height_m:.1f} m AMSL; the pad is lon {road.pad.lon_deg:.7f}, lat {road.pad.lat_deg:.7f},"
            f" {road.pad.height_m:.1f} m AMSL. Carry it to the pad, or plan from where it stands"
        )
    top_m = max(road.takeoff_amsl_m, *(leg.to.height_m for leg in road.legs))
    if road.ceiling_amsl_m < top_m:
        raise VehicleRefused(f"{road.intent_id}: the road climbs to {top_m:.1f} m, above its ceiling")
    corners = [fence.to_e7(lon, lat) for lon, lat in road.fence_deg]
    if fault := fence.shape_fault(corners):
        raise VehicleRefused(f"{road.intent_id}: {fault}")
    if not fence.contains(corners, _e7(home)):
        raise VehicleRefused(
            f"{road.intent_id}: the fence does not contain home (lon {home.lon_deg:.7f}, lat {home.lat_deg:.7f});"
            " PX4 would store it and not put it in force"
        )
    stops = [home, road.pad, *(leg.to for leg in road.legs), road.land]
    for number, (a, b) in enumerate(itertools.pairwise(stops)):
        if not fence.contains_leg(corners, _e7(a), _e7(b)):
            raise VehicleRefused(
                f"{road.intent_id}: the fence does not contain leg {number}, from lon {a.lon_deg:.7f},"
                f" lat {a.lat_deg:.7f} to lon {b.lon_deg:.7f}, lat {b.lat_deg:.7f}"
            )


def difference(sent: Sequence[Item], read: Sequence[Item]) -> str | None:
    """Where what the vehicle holds is not what it was sent, in words, or None.

    Places are compared to 1e-7 degree and heights to 1 cm. PX4 gives FRAME_GLOBAL back as FRAME_GLOBAL_INT, and does
    not store the parameters that a command has no use for.
    """
    if len(sent) != len(read):
        return f"{len(sent)} items were sent and {len(read)} came back"
    for number, (a, b) in enumerate(zip(sent, read, strict=True)):
        if a.command != b.command:
            return f"item {number}: command {a.command} was sent and {b.command} came back"
        if _frame(a) != _frame(b):
            return f"item {number}: frame {a.frame} was sent and {b.frame} came back"
        if a.frame != FRAME_MISSION and (max(abs(a.x - b.x), abs(a.y - b.y)) > 1 or not abs(a.z - b.z) <= 0.01):
            return (
                f"item {number}: lat {a.x / 1e7:.7f}, lon {a.y / 1e7:.7f}, {a.z:.2f} m was sent and"
                f" lat {b.x / 1e7:.7f}, lon {b.y / 1e7:.7f}, {b.z:.2f} m came back"
            )
        for param in _STORED.get(a.command, ()):
            if not math.isclose(a.params[param], b.params[param], abs_tol=1e-3):
                return f"item {number}: parameter {param + 1} {a.params[param]:g} came back as {b.params[param]:g}"
    return None


#: Which parameters of a command (from 0) must come back as they were sent.
_STORED = {NAV_WAYPOINT: (0, 1), DO_CHANGE_SPEED: (0, 1), FENCE_INCLUSION: (0,)}

#: What PX4 says (STATUSTEXT) when something that it acknowledged is not in force: "Geofence invalid, doesn't contain
#: Home position"; "Geofence violation for waypoint 3"; "Geofence requires valid home position"; "Mission rejected:
#: ..."; "First waypoint far away from home: 1200m. Correct mission loaded?"; "Mission storage: Unable to read ...".
_REFUSAL = re.compile(
    r"geofence (invalid|violation|requires)|geofence: import error|mission rejected|mission storage"
    r"|first waypoint far away|unable to (read|write)|no valid mission",
    re.IGNORECASE,
)


def refusals(said: Iterable[str]) -> tuple[str, ...]:
    """Those of the vehicle's words that mean: acknowledged, but not in force."""
    return tuple(text for text in said if _REFUSAL.search(text))


def distance_m(a: Waypoint, b: Waypoint) -> float:
    """Horizontal distance over the sphere; good to 0.5 %, for places near each other."""
    north = math.radians(b.lat_deg - a.lat_deg)
    east = math.radians((b.lon_deg - a.lon_deg + 180.0) % 360.0 - 180.0) * math.cos(math.radians(a.lat_deg))
    return _EARTH_M * math.hypot(north, east)


def _at(command: int, place: Waypoint, amsl_m: float, stop_s: float = 0.0) -> Item:
    lon, lat = _e7(place)
    radius_m = CORNER_RADIUS_M if command == NAV_WAYPOINT else 0.0
    # Yaw NaN: the nose follows MPC_YAW_MODE.
    return Item(command, FRAME_GLOBAL_INT, (stop_s, radius_m, 0.0, _NAN), lat, lon, amsl_m, MISSION)


def _do(command: int, params: tuple[float, float, float, float]) -> Item:
    return Item(command, FRAME_MISSION, params, 0, 0, 0.0, MISSION)


def _e7(place: Waypoint) -> fence.Point:
    return fence.to_e7(place.lon_deg, place.lat_deg)


def _frame(item: Item) -> int:
    return FRAME_GLOBAL_INT if item.frame == FRAME_GLOBAL else item.frame
