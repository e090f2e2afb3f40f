"""Intents made by hand, for tests: straight columns and legs, timed as the planner times them."""

from __future__ import annotations

import dataclasses

import numpy as np

from utm.core.trajectory import time_path
from utm.frames import LocalFrame
from utm.model import (
    AIRCRAFT_CLASSES,
    Aircraft,
    Corridor,
    Datum,
    FlightPlan,
    IntentState,
    OperationalIntent,
)

#: Kaga: the south-west corner of a map in zone VII, heights by GSIGEO2011.
KAGA = LocalFrame("EPSG:6675", -80000.0, 34000.0, Datum.JGD2011)
QUAD = dataclasses.replace(AIRCRAFT_CLASSES["quad"], cruise_m_s=10.0)
#: 1 January 2030, 00:00 UTC.
START_S = 1893456000.0


def intent(
    points: object,
    *,
    id: str = "medicine",
    frame: LocalFrame = KAGA,
    aircraft: Aircraft = QUAD,
    start_s: float = START_S,
    half_width_m: float = 25.0,
    half_height_m: float = 10.0,
    time_tolerance_s: float = 10.0,
) -> OperationalIntent:
    """An accepted intent along points (n, 3), the first and last of which stand on pads."""
    path = np.asarray(points, float)
    line = time_path(path, aircraft, start_s)
    plan = FlightPlan(
        id=id,
        operator="test",
        aircraft=aircraft,
        origin=frame.waypoint(path[0], Datum.AMSL),
        destination=frame.waypoint(path[-1], Datum.AMSL),
        earliest_departure_s=start_s,
        latest_departure_s=start_s + 600,
    )
    return OperationalIntent(
        id=id,
        plan=plan,
        state=IntentState.ACCEPTED,
        version=1,
        ovn="ovn",
        corridor=Corridor(line, half_width_m, half_height_m, half_height_m, time_tolerance_s),
        map_version="none",
        zones=(),
        neighbours=(),
        clearances={},
    )
