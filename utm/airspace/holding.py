"""Flights that were told to wait in the air: their granted line ends where they wait, not on their pad."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from utm.airspace.braking import braking
from utm.mapping import CityMap
from utm.model import Corridor, OperationalIntent, Trajectory

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


def stopped(intent: OperationalIntent, from_s: float, wait_s: float) -> Corridor:
    """The corridor of a flight that brakes at a moment (Unix seconds) and waits where it stops.

    Raises:
        ValueError: its line ends before it could stop.
    """
    corridor = intent.corridor
    line = corridor.centre_line
    stopping, off_m = braking(line, from_s, intent.plan.aircraft.acceleration_m_s2)
    before = line.t_s < from_s - 1e-3
    times = np.concatenate([line.t_s[before], stopping.t_s, [stopping.end_s + wait_s]])
    places = np.vstack([line.enu_m[before], stopping.enu_m, stopping.enu_m[-1:]])
    tube = dataclasses.replace(
        corridor.tube,
        horizontal_m=max(corridor.tube.horizontal_m, off_m),
        vertical_m=max(corridor.tube.vertical_m, off_m),
    )
    return dataclasses.replace(corridor, centre_line=Trajectory(times, places), tube=tube)
