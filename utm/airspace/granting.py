"""What is granted: the intent of a flight that meets nobody, and the number that proves who saw which version."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import operator
from collections.abc import Sequence

import numpy as np

from utm.airspace.case import Case, Option
from utm.airspace.conditions import conditions_hash
from utm.airspace.limits import Certificate, certificate_of
from utm.airspace.situation import Situation
from utm.model import Aircraft, Corridor, FlightPlan, IntentState, OperationalIntent, Waypoint

#: By the object, which never changes: an airspace has one forecast for thousands of plans.
_conditions_hash = functools.lru_cache(maxsize=16)(conditions_hash)

_AIRCRAFT_FIGURES = operator.attrgetter(*(one.name for one in dataclasses.fields(Aircraft) if one.name != "name"))


def intent_of(case: Case, option: Option) -> OperationalIntent:
    """The intent that grants an option of a case, with its certificate.

    Its neighbours are the live intents that are near its corridor as the situation's traffic says it (`TrafficView`):
    whoever might come too near, flown exactly as granted; whoever it displaces is none.
    """
    near = case.beside(option)
    certificate = certificate_of(case.skies, case.plan, option.corridor, case.situation.zones, near)
    return granted(case.situation, case.plan, option.corridor, near, certificate)


def granted(
    situation: Situation,
    plan: FlightPlan,
    corridor: Corridor,
    near: Sequence[OperationalIntent],
    certificate: Certificate,
) -> OperationalIntent:
    """The intent of a corridor that was found good: Accepted, version 1.

    Args:
        near: the neighbours that it was held against.
    """
    intent = OperationalIntent(
        id=plan.id,
        plan=plan,
        state=IntentState.ACCEPTED,
        version=1,
        ovn="",
        corridor=corridor,
        map_version=situation.skies.city_map.version,
        zones=situation.skies.outlines.labels(situation.zones),
        neighbours=tuple(f"{other.id}@{other.ovn}" for other in near),
        clearances=certificate.clearances,
        conditions=_conditions_hash(situation.conditions),
        limits=certificate.limits,
        judged=(situation.traffic.seq, situation.traffic.digest),
    )
    return dataclasses.replace(intent, ovn=ovn_of(intent))


def ovn_of(intent: OperationalIntent) -> str:
    """The opaque version number: a hash of everything that another operator must have seen."""
    return _ovn(intent.plan, intent.state, intent.version, intent.map_version, intent.corridor)


def _ovn(plan: FlightPlan, state: IntentState, version: int, map_version: str, corridor: Corridor) -> str:
    """Of texts, and of numbers as float64: a plan that was written and read again has 10.0 where it had 10."""
    places = (plan.origin, *plan.waypoints, plan.destination)
    texts = (
        [plan.id, plan.operator, plan.aircraft.name, plan.objective.value, state.value, map_version],
        [place.datum.value for place in places],
        list(plan.authorisations),
    )
    numbers = [
        version, plan.priority, plan.earliest_departure_s, plan.latest_departure_s,
        corridor.half_width_m, corridor.below_m, corridor.above_m, corridor.time_tolerance_s, corridor.pad_hold_s,
        corridor.tube.horizontal_m, corridor.tube.vertical_m, *_AIRCRAFT_FIGURES(plan.aircraft),
        *(figure for place in places for figure in _figures(place)),
    ]  # fmt: skip
    line = corridor.centre_line
    content = hashlib.sha256(repr(texts).encode())
    for part in (np.array(numbers), line.t_s, line.enu_m):
        content.update(part.astype("<f8", copy=False).tobytes())
    return content.hexdigest()[:32]


def _figures(place: Waypoint) -> tuple[float, float, float]:
    return place.lon_deg, place.lat_deg, place.height_m
