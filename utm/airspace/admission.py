"""Grant or refuse: a pure function of (map, zones, live intents, rules, plan, now).

The wish is granted as asked when its way, flown at its earliest departure, keeps every rule and meets nobody. When it
would meet somebody, three kinds of change are worked out and the one that costs the least time of arrival is granted:
a later start, another height, another way. When nothing helps, the refusal carries the nearest plan that would be
granted, and that plan has been decided in full, not guessed.
"""

from __future__ import annotations

import dataclasses
import datetime
import math

from utm.airspace.case import Case, Option
from utm.airspace.changes import elsewhere, higher, later
from utm.airspace.granting import intent_of
from utm.airspace.places import Refusal, resolve
from utm.airspace.refusing import refused
from utm.airspace.situation import Situation
from utm.airspace.zones import DAY_S
from utm.errors import CannotFly, PlanError
from utm.model import Change, Decision, FlightPlan, OperationalIntent, Reason

#: A wish may have begun this long ago: an operator who files at five past for five past.
_PAST_S = 300.0


def decide(situation: Situation, plan: FlightPlan) -> Decision:
    """The decision on a plan.

    Raises:
        PlanError: the plan cannot be judged: off the map, departing in the past, inside a building.
    """
    _check_time(situation, plan)
    # A wish that begins in the past but is open into the future begins now: at the next full second, so that an
    # alternative, which is published to the millisecond, is the very time that was decided on.
    plan_from = max(plan.earliest_departure_s, min(math.ceil(situation.now_s), plan.latest_departure_s))
    places = resolve(situation.skies.city_map, plan)
    case = Case(situation, plan, places)
    try:
        asked = case.free_flight(plan_from)
    except (Refusal, CannotFly) as error:
        return refused(case, error, plan_from)
    met = case.met(asked)
    if plan_from == plan.earliest_departure_s and not met:
        return Decision(plan, intent_of(case, asked))
    return _changed(case, asked, met)


def _check_time(situation: Situation, plan: FlightPlan) -> None:
    ends = (
        ("latest_departure", plan.latest_departure_s, 0.0),
        ("earliest_departure", plan.earliest_departure_s, _PAST_S),
    )
    for name, departure_s, late_by in ends:
        if departure_s < situation.now_s - late_by:
            raise PlanError(
                f"departure lies in the past, by {situation.now_s - departure_s:.0f} s",
                field=name,
                mend="Ask for a time that is still to come.",
            )


def _changed(case: Case, asked: Option, met: tuple[OperationalIntent, ...]) -> Decision:
    """The wish meets somebody: the least change that separates it, or a refusal with the next free time."""
    plan = case.plan
    arrival = asked.line.end_s - asked.departure_s + plan.earliest_departure_s
    found: list[tuple[Change, Option]] = []
    if (option := later(case, asked, plan.latest_departure_s)) is not None:
        late = option.departure_s - plan.earliest_departure_s
        found.append((Change("delay", f"Departs {late:.0f} s later.", option.line.end_s - arrival), option))
    if met:
        for kind, option, sentence in (*higher(case, asked), *elsewhere(case, asked, met)):
            found.append((Change(kind, sentence, option.line.end_s - arrival), option))
    reasons = tuple(_meets(case, asked, other) for other in met)
    if not reasons and plan.earliest_departure_s < case.situation.now_s:
        late = case.situation.now_s - plan.earliest_departure_s
        reasons = (Reason("EARLIEST_PAST", f"The earliest departure passed {late:.0f} s ago."),)
    if found:
        change, option = min(found, key=lambda pair: pair[0].cost_s)
        others = [dataclasses.asdict(other) for other, _ in found if other is not change]
        return Decision(plan, intent_of(case, option), reasons, change, details={"other_changes": others})
    return _with_later_alternative(case, asked, reasons)


def _meets(case: Case, asked: Option, other: OperationalIntent) -> Reason:
    distance, when = case.meeting(asked, other)
    apart = case.apart(asked, other)[0]
    clock = datetime.datetime.fromtimestamp(when, datetime.UTC)
    return Reason(
        "CONFLICT",
        f"Would meet {other.plan.operator}'s {other.id} at {clock:%H:%M:%S} UTC: {distance:.0f} m apart at the same "
        f"height, {apart:.0f} m are needed.",
    )


def _with_later_alternative(case: Case, asked: Option, reasons: tuple[Reason, ...]) -> Decision:
    plan = case.plan
    option = later(case, asked, plan.latest_departure_s + DAY_S)
    if option is None:
        return Decision(plan, None, reasons)
    wait = option.departure_s - plan.earliest_departure_s
    alternative = dataclasses.replace(
        plan,
        earliest_departure_s=option.departure_s,
        latest_departure_s=max(option.departure_s, plan.latest_departure_s),
    )
    change = Change("delay", f"Would be granted {wait:.0f} s later.", wait)
    return Decision(plan, None, reasons, alternative=alternative, alternative_change=change)
