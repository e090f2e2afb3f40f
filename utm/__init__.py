"""Skyroad: roads in the sky, from a drone survey to a flown, proven flight.

    from utm import Airspace, CityMap, FlightPlan

The names below are loaded when they are first used, so that ``import utm`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utm.airspace import Airspace
    from utm.mapping import CityMap
    from utm.model import Aircraft, Decision, FlightPlan, GeoZone, OperationalIntent, RuleSet, Waypoint

__all__ = [
    "Aircraft",
    "Airspace",
    "CityMap",
    "Decision",
    "FlightPlan",
    "GeoZone",
    "OperationalIntent",
    "RuleSet",
    "Waypoint",
]
__version__ = "0.4.0"

_HOMES = {"Airspace": "utm.airspace", "CityMap": "utm.mapping"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'utm' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "utm.model")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
