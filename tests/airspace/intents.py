"""Granted intents out of thin air: straight flights, for tests of what looks at corridors only."""

from __future__ import annotations

import dataclasses

import numpy as np

from utm.airspace.granting import ovn_of
from utm.model import (
    AIRCRAFT_CLASSES,
    Corridor,
    Datum,
    FlightPlan,
    IntentState,
    OperationalIntent,
    Trajectory,
    Tube,
    Waypoint,
)


def straight(
    intent_id: str, start_m, end_m, start_s: float, *, speed_m_s: float = 10.0, priority: int = 0, version: int = 1
) -> OperationalIntent:
    """An accepted flight on a straight line."""
    start, end = np.asarray(start_m, float), np.asarray(end_m, float)
    line = Trajectory([start_s, start_s + float(np.linalg.norm(end - start)) / speed_m_s], [start, end])
    corridor = Corridor(line, 25.0, 10.0, 10.0, 10.0, 60.0, Tube(1.0, 1.0))
    place = Waypoint(136.0, 36.0, 0.0, Datum.AGL)
    plan = FlightPlan(
        intent_id,
        f"{intent_id} co",
        AIRCRAFT_CLASSES["quad"],
        place,
        place,
        start_s,
        start_s + 600.0,
        priority=priority,
    )
    made = OperationalIntent(
        intent_id, plan, IntentState.ACCEPTED, version, "", corridor, "map", (), (), {"obstacle_m": 30.0}
    )
    return dataclasses.replace(made, ovn=ovn_of(made))
