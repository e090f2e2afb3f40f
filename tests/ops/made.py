"""Intents made by hand, for tests: straight columns, straight legs, a stop at every corner."""

from __future__ import annotations

import numpy as np

from utm.frames import LocalFrame
from utm.model import (
    AIRCRAFT_CLASSES,
    Aircraft,
    Corridor,
    Datum,
    FlightPlan,
    IntentState,
    OperationalIntent,
    Trajectory,
)

#: Kaga: the south-west corner of a map in zone VII, heights by GSIGEO2011.
KAGA = LocalFrame("EPSG:6675", -80000.0, 34000.0, Datum.JGD2011)
QUAD = AIRCRAFT_CLASSES["quad"]
#: 1 January 2030, 00:00 UTC.
NOON_S = 1893456000.0


def timed(points: np.ndarray, aircraft: Aircraft, start_s: float) -> Trajectory:
    """Rest to rest along each piece, with knots on the ramps, as a planner would put them."""
    times, knots = [start_s], [np.asarray(points[0], float)]
    for a, b in zip(points[:-1], points[1:], strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        length = float(np.linalg.norm(b - a))
        horizontal = float(np.hypot(*(b - a)[:2]))
        rise = abs(float((b - a)[2]))
        vertical_limit = aircraft.climb_m_s if b[2] > a[2] else aircraft.descent_m_s
        speed = min(
            aircraft.cruise_m_s * length / horizontal if horizontal else np.inf,
            vertical_limit * length / rise if rise else np.inf,
        )
        ramp = min(speed / aircraft.acceleration_m_s2, (length / aircraft.acceleration_m_s2) ** 0.5)
        top = ramp * aircraft.acceleration_m_s2
        cruise = (length - top * ramp) / top
        for u in (0.25, 0.5, 0.75, 1.0):
            times.append(times[-1] + ramp / 4)
            knots.append(a + (b - a) * (0.5 * top * ramp * u * u) / length)
        if cruise > 1e-9:
            times.append(times[-1] + cruise)
            knots.append(b - (b - a) * (0.5 * top * ramp) / length)
        for u in (0.75, 0.5, 0.25, 0.0):
            times.append(times[-1] + ramp / 4)
            knots.append(b - (b - a) * (0.5 * top * ramp * u * u) / length)
    return Trajectory(np.array(times), np.array(knots))


def intent(
    points: object,
    *,
    id: str = "medicine",
    frame: LocalFrame = KAGA,
    aircraft: Aircraft = QUAD,
    start_s: float = NOON_S,
    half_width_m: float = 25.0,
    half_height_m: float = 10.0,
    time_tolerance_s: float = 10.0,
) -> OperationalIntent:
    """An accepted intent along points (n, 3), the first and last of which stand on pads."""
    path = np.asarray(points, float)
    line = timed(path, aircraft, start_s)
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
        volumes=(),
        map_version="none",
        zones=(),
        neighbours=(),
        clearances={},
    )
