"""Way points of which only the place was said: the height that suits them."""

from __future__ import annotations

import numpy as np

from utm.core import lowest_clear
from utm.errors import PlanError
from utm.frames import check_lonlat
from utm.mapping import CityMap
from utm.model import Datum, RuleSet, Waypoint

#: The planner's voxels hold a place and some of what lies beside it; all of that must be free.
_BESIDE_M = 8.0
#: Above the lowest height that the rules allow: two voxels, so that the place lies in a free one.
_ABOVE_LOWEST_M = 10.0


def way_point_at(city_map: CityMap, rules: RuleSet, lon_deg: float, lat_deg: float) -> Waypoint:
    """A place in the air as low as the rules allow there and a little higher, for it costs least to fly low.

    Zones are not looked at; the planner says so when the place lies in one.

    Raises:
        InputError: off the globe.
        MapError: off the map.
        PlanError: the rules leave no height there.
    """
    check_lonlat(lon_deg, lat_deg)
    east, north = (float(value) for value in city_map.frame.to_map(lon_deg, lat_deg))
    terrain = float(city_map.terrain_up(east, north))
    reach = rules.clearance_m + _BESIDE_M + 2 * city_map.resolution_m
    columns = city_map.window(east - reach, north - reach, east + reach, north + reach)
    lowest = lowest_clear(columns.surface_m, columns.cell_m, rules.clearance_m)
    beside = city_map.window(east - _BESIDE_M, north - _BESIDE_M, east + _BESIDE_M, north + _BESIDE_M)
    i, j = ((beside.origin_m - columns.origin_m) / columns.cell_m).round().astype(int)
    nx, ny = beside.terrain_m.shape
    floor = float(lowest[i : i + nx, j : j + ny].max())
    ceiling = float(beside.terrain_m.min()) + rules.ceiling_above_terrain_m - rules.half_height_m
    if not np.isfinite(floor):
        raise PlanError(
            f"the map ends within {rules.clearance_m:g} m: what stands beyond is not known",
            field="--via",
            value=(round(lon_deg, 6), round(lat_deg, 6)),
            mend="Name a place farther inside the map.",
        )
    if not floor < ceiling:
        raise PlanError(
            "there is no height at which the rules allow flight",
            field="--via",
            value=(round(lon_deg, 6), round(lat_deg, 6)),
            mend="Buildings or trees nearby need more height than the ceiling leaves; name a place away from them.",
        )
    up = min(floor + _ABOVE_LOWEST_M, (floor + ceiling) / 2)
    return Waypoint(lon_deg, lat_deg, up - terrain, Datum.AGL)
