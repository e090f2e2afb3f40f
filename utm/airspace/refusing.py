"""A wish that breaks a rule of its own accord: why, what would open a way, the nearest plan that would be granted."""

from __future__ import annotations

import dataclasses
import math

from utm.airspace.answer import energy_document, relaxation_document
from utm.airspace.case import Case, Option
from utm.airspace.changes import later
from utm.airspace.granting import intent_of
from utm.airspace.landings import landings, written
from utm.airspace.places import Refusal, resolve
from utm.airspace.why import why_not
from utm.airspace.zones import DAY_S, active_intervals, in_the_way
from utm.errors import CannotFly, PlanError
from utm.model import Change, Decision, FlightPlan, GeoZone, Reason

#: How long an alternative after a zone stays open, where the wish itself would be over by then.
_OPEN_FOR_S = 600.0


def refused(case: Case, error: Refusal | CannotFly, departure_s: float, *, wait: bool) -> Decision:
    """The wish breaks a rule of its own accord: the reason, what would open a way, and the nearest plan that would be
    granted.

    Args:
        wait: whether a departure after the end of a zone, within the plan's window, may be granted instead.
    """
    plan, situation = case.plan, case.situation
    found = why_not(
        case.skies,
        plan,
        case.places,
        case.closed,
        situation.conditions,
        error,
        departure_s=departure_s,
        later=in_the_way(situation.zones, plan, departure_s, plan.latest_departure_s + DAY_S),
    )
    reason = Reason(found.code, found.sentence)
    if "_IN_ZONE" in found.code or found.code == "ZONES_CLOSE":
        waited = _when_open(case) if wait else None
        if waited is not None:
            late = waited.departure_s - plan.earliest_departure_s
            change = Change("delay", f"Departs {late:.0f} s later, when the zone is over.", late)
            energy = energy_document(waited.route.energy)
            return Decision(plan, intent_of(case, waited), (reason,), change, details={"energy": energy})
    nearest = None
    if found.code.startswith("DESTINATION_"):
        nearest = _other_landing(case)
    if nearest is None and ("_IN_ZONE" in found.code or found.code == "ZONES_CLOSE"):
        nearest = _after_the_zone(case)
    alternative, change = nearest or (None, None)
    return Decision(
        plan,
        None,
        (reason,),
        alternative=alternative,
        alternative_change=change,
        details={} if found.relaxation is None else {"relaxation": relaxation_document(found.relaxation)},
    )


def _zone_ends(case: Case) -> list[tuple[float, GeoZone]]:
    """When, within a day, zones that stand in the plan's way end or pause: (Unix seconds, zone), earliest first."""
    start = max(case.plan.earliest_departure_s, case.situation.now_s)
    ends = [
        (finish, zone)
        for zone in in_the_way(case.situation.zones, case.plan, start, start + DAY_S)
        for begin, finish in active_intervals(zone, start, start + DAY_S)
        if finish < start + DAY_S
    ]
    return sorted(ends, key=lambda pair: pair[0])


def _when_open(case: Case) -> Option | None:
    """The first departure within the plan's window at which the zones that forbid it are over and it meets nobody."""
    latest = case.plan.latest_departure_s
    for finish, _zone in _zone_ends(case):
        departure = float(math.ceil(finish + case.rules.time_tolerance_s))
        if departure > latest:
            return None
        try:
            asked = case.free_flight(departure)
        except (Refusal, CannotFly):
            continue
        if (option := later(case, asked, latest)) is not None:
            return option
    return None


def _after_the_zone(case: Case) -> tuple[FlightPlan, Change] | None:
    """The same flight, departing as soon as the zones that forbid it have ended, within a day."""
    for finish, _zone in _zone_ends(case):
        departure = float(math.ceil(finish + case.rules.time_tolerance_s))
        latest = max(departure + _OPEN_FOR_S, case.plan.latest_departure_s)
        moved = dataclasses.replace(case.plan, earliest_departure_s=departure, latest_departure_s=latest)
        if (granted := _as_asked(case, moved)) is not None:
            wait = granted.earliest_departure_s - case.plan.earliest_departure_s
            return granted, Change("delay", f"Would be granted {wait:.0f} s later, when the zone is over.", wait)
    return None


def _as_asked(case: Case, candidate: FlightPlan) -> FlightPlan | None:
    """The candidate, at the first time within its window at which it is granted as it stands; None if there is none."""
    try:
        fresh = Case(case.situation, candidate, resolve(case.skies.city_map, candidate))
        asked = fresh.free_flight(max(candidate.earliest_departure_s, math.ceil(case.situation.now_s)))
    except (PlanError, Refusal, CannotFly):
        return None
    option = later(fresh, asked, candidate.latest_departure_s)
    return None if option is None else dataclasses.replace(candidate, earliest_departure_s=option.departure_s)


def _other_landing(case: Case) -> tuple[FlightPlan, Change] | None:
    """The nearest open ground, outside every zone in force, where the same flight would be granted."""
    plan, goal = case.plan, case.places[-1]
    start = max(plan.earliest_departure_s, case.situation.now_s)
    until = plan.latest_departure_s + plan.aircraft.endurance_s
    for site in landings(case.skies, goal, in_the_way(case.situation.zones, plan, start, until)):
        place = written(case.skies, site)
        granted = _as_asked(case, dataclasses.replace(plan, destination=place))
        if granted is not None:
            away = math.hypot(site[0] - goal.east_m, site[1] - goal.north_m)
            wait = granted.earliest_departure_s - plan.earliest_departure_s
            after = f", {wait:.0f} s later" if wait > 0 else ""
            sentence = f"Would be granted to open ground {away:.0f} m away, at {place.lon_deg}, {place.lat_deg}{after}."
            return granted, Change("destination", sentence, wait)
    return None
