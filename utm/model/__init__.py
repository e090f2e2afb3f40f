"""The words of the field, as frozen dataclasses. No room's logic lives here, and nothing here imports one."""

from utm.model.aircraft import AIRCRAFT_CLASSES, Aircraft
from utm.model.airspace import (
    Actor,
    Change,
    Decision,
    GeoZone,
    IntentState,
    Limit,
    LimitKind,
    OperationalIntent,
    Reason,
    Receipt,
    Restriction,
    Role,
    RuleSet,
    WayOut,
    WayOutKind,
    WeeklyPeriod,
)
from utm.model.budget import Budget, BudgetLine, budget_of, budget_rows, rules_for
from utm.model.conditions import PLAIN, Conditions, CostLayer, LayerKind
from utm.model.mission import Leg, SkyRoad, VehicleState
from utm.model.motion import Corridor, Trajectory, Tube, Volume4D
from utm.model.plan import Datum, FlightPlan, Objective, TimedWaypoint, Waypoint
from utm.model.wind import CALM, Wind

__all__ = [
    "AIRCRAFT_CLASSES",
    "CALM",
    "PLAIN",
    "Actor",
    "Aircraft",
    "Budget",
    "BudgetLine",
    "Change",
    "Conditions",
    "Corridor",
    "CostLayer",
    "Datum",
    "Decision",
    "FlightPlan",
    "GeoZone",
    "IntentState",
    "LayerKind",
    "Leg",
    "Limit",
    "LimitKind",
    "Objective",
    "OperationalIntent",
    "Reason",
    "Receipt",
    "Restriction",
    "Role",
    "RuleSet",
    "SkyRoad",
    "TimedWaypoint",
    "Trajectory",
    "Tube",
    "VehicleState",
    "Volume4D",
    "WayOut",
    "WayOutKind",
    "Waypoint",
    "WeeklyPeriod",
    "Wind",
    "budget_of",
    "budget_rows",
    "rules_for",
]
