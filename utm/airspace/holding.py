"""Flights that were told to wait in the air: their granted line ends where they wait, not on their pad."""

from __future__ import annotations

import math

from utm.mapping import CityMap
from utm.model import OperationalIntent

#: A line that ends nearer than this to its pad, level and upright, ends on it (metres): maps differ by less.
_ON_PAD_M = 3.0


def waits_in_the_air(intent: OperationalIntent, city_map: CityMap) -> bool:
    """Whether a granted line ends in a wait away from the destination of its plan.

    One that overran stands at its end, too, but on its pad.

    Args:
        city_map: whose frame the line is in.
    """
    line, pad = intent.corridor.centre_line, intent.plan.destination
    if not (line.enu_m[-1] == line.enu_m[-2]).all():
        return False
    east, north = (float(value) for value in city_map.frame.to_map(pad.lon_deg, pad.lat_deg))
    at = (east, north, float(city_map.surface_up(east, north)))
    return math.dist(line.enu_m[-1], at) > _ON_PAD_M
