"""What a drone is sent, and what it says back."""

from __future__ import annotations

from dataclasses import dataclass

from utm.model.plan import Waypoint


@dataclass(frozen=True, slots=True)
class Leg:
    """Fly straight to a place at a speed."""

    to: Waypoint
    """Height in AMSL (EGM96)."""
    speed_m_s: float
    """Horizontal ground speed on the way there."""


@dataclass(frozen=True, slots=True)
class SkyRoad:
    """An approved corridor in the words of an autopilot. All heights are AMSL (EGM96)."""

    intent_id: str
    depart_s: float
    """Unix seconds at which the drone leaves the pad."""
    pad: Waypoint
    """Where it must stand before take-off."""
    takeoff_amsl_m: float
    """Height to which it climbs straight up from the pad."""
    legs: tuple[Leg, ...]
    """In order; the last one ends above the landing pad."""
    land: Waypoint
    """The landing pad's surface."""
    fence_deg: tuple[tuple[float, float], ...]
    """Corners (lon, lat) of the one inclusion polygon that holds pad, legs and landing; not closed, at most 64."""
    ceiling_amsl_m: float
    """No part of the corridor is higher than this."""


@dataclass(frozen=True, slots=True)
class VehicleState:
    """One look at a flying drone, stamped with the drone's own clock."""

    t_s: float
    """Unix seconds by the vehicle's clock at which the position was measured."""
    lon_deg: float
    lat_deg: float
    amsl_m: float
    """Height above mean sea level by EGM96, as MAVLink reports it."""
    velocity_m_s: tuple[float, float, float]
    """East, north, up."""
    mode: str
    """PX4's flight mode in words: ``MISSION``, ``HOLD``, ``RTL``, ``LAND``, ``TAKEOFF``, ``READY`` or ``OTHER``."""
    armed: bool
    landed: bool
    """Whether the vehicle itself says that it stands on the ground."""
    battery_fraction: float
    """0 to 1; NaN where the vehicle does not say."""
