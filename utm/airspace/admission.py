"""Grant or refuse: a pure function of (map, zones, live intents, rules, plan, now).

The wish is granted as asked when its way, flown at its earliest departure, keeps every rule and meets nobody. When it
would meet somebody, three kinds of change are worked out: a later start, another height, another way. The one that
costs the least time of arrival is granted, or the one of the kind that was chosen. When nothing helps, the refusal
carries the nearest plan that would be granted, and that plan has been decided in full, not guessed.

Priority (ASTM F3548-21: never planned over a higher one, which may pre-empt): a plan is held against neighbours of the
same or a higher priority. Meeting only lower ones it is granted as asked. Meeting others too, the changes are sought
both around everybody and through the lower ones, and of two that cost the same the one that displaces fewer is taken.
Whoever is displaced is named in ``details["displaces"]``, and moved by the engine.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Literal

from utm.airspace.answer import energy_document
from utm.airspace.case import Case, Option
from utm.airspace.changes import Found, changes, later
from utm.airspace.granting import intent_of
from utm.airspace.places import Refusal, resolve
from utm.airspace.refusing import refused
from utm.airspace.situation import Situation
from utm.airspace.zones import DAY_S
from utm.errors import CannotFly, PlanError
from utm.model import Change, Decision, FlightPlan, OperationalIntent, Reason

#: The kind of change that an operator would have where the wish cannot be met.
Choice = Literal["any", "delay", "height", "route"]
CHOICES: tuple[Choice, ...] = ("any", "delay", "height", "route")
#: A wish may have begun this long ago: an operator who files at five past for five past.
_PAST_S = 300.0
#: Nobody plans farther ahead (ASTM F3548-21: 30 days).
MOST_AHEAD_S = 30 * 86400.0


def decide(situation: Situation, plan: FlightPlan, *, choose: Choice = "any", again: bool = False) -> Decision:
    """The decision on a plan.

    Args:
        choose: the only kind of change that may be granted; the cheapest of all where it is ``any``. The others that
            were found are told in ``details["other_changes"]`` either way.
        again: the plan was granted before and must make way: its earliest departure may be long past, and zones that
            it was authorised for gone.

    Raises:
        PlanError: the plan cannot be judged: off the map, departing in the past, inside a building, authorised for a
            zone that there is none of; or there is no such choice.
    """
    if choose not in CHOICES:
        raise PlanError("is no kind of change", field="choose", value=choose, mend=f"Known: {', '.join(CHOICES)}.")
    _check_time(situation, "latest_departure", plan.latest_departure_s)
    if not again:
        _check_time(situation, "earliest_departure", plan.earliest_departure_s + _PAST_S, _PAST_S)
        _check_ahead(situation, plan)
        _check_authorisations(situation, plan)
    # A wish that begins in the past but is open into the future begins now: at the next full second, so that an
    # alternative, which is published to the millisecond, is the very time that was decided on.
    plan_from = max(plan.earliest_departure_s, min(math.ceil(situation.now_s), plan.latest_departure_s))
    case = Case(situation, plan, resolve(situation.skies.city_map, plan))
    try:
        asked = case.free_flight(plan_from)
    except (Refusal, CannotFly) as error:
        return refused(case, error, plan_from, wait=choose in ("any", "delay"))
    met = case.met(asked)
    if plan_from == plan.earliest_departure_s:
        if not met:
            return Decision(plan, intent_of(case, asked), details=_granted(case, asked))
        taking = case.taking()
        if any(case.yields(other) for other in met) and not taking.met(asked):
            return Decision(plan, intent_of(taking, asked), details=_granted(taking, asked))
    return _changed(case, asked, met, choose)


def _check_time(situation: Situation, name: str, until_s: float, grace_s: float = 0.0) -> None:
    """Raise PlanError where a departure, which was good until a time, is past."""
    if until_s < situation.now_s:
        raise PlanError(
            f"departure lies in the past, by {situation.now_s - until_s + grace_s:.0f} s",
            field=name,
            mend="Ask for a time that is still to come.",
        )


def _check_ahead(situation: Situation, plan: FlightPlan) -> None:
    ahead_s = plan.latest_departure_s + plan.aircraft.endurance_s - situation.now_s
    if ahead_s > MOST_AHEAD_S:
        raise PlanError(
            f"a flight then may last until {ahead_s / 86400:.1f} days from now; 30 are the most",
            field="latest_departure",
            mend="File it nearer to its day, or now with --depart.",
        )


def _check_authorisations(situation: Situation, plan: FlightPlan) -> None:
    known = sorted(zone.id for zone in situation.zones)
    for number, zone_id in enumerate(plan.authorisations):
        if zone_id not in known:
            there = f"There are: {', '.join(known)}." if known else "There are none."
            raise PlanError("there is no zone of this id", field=f"authorisations.{number}", value=zone_id, mend=there)


def _changed(case: Case, asked: Option, met: tuple[OperationalIntent, ...], choose: Choice) -> Decision:
    """The wish meets somebody: the least change that separates it, or a refusal with the next free time."""
    plan = case.plan
    found = [(case, one) for one in changes(case, asked, met)]
    if plan.priority > 0:
        taking = case.taking()
        found += [(taking, one) for one in changes(taking, asked, taking.met(asked))]
    reasons = tuple(_meets(case, asked, other) for other in met)
    if not reasons and plan.earliest_departure_s < case.situation.now_s:
        late = case.situation.now_s - plan.earliest_departure_s
        reasons = (Reason("EARLIEST_PAST", f"The earliest departure passed {late:.0f} s ago."),)
    chosen = [pair for pair in found if choose in ("any", pair[1].change.kind)]
    if chosen:
        # The first of the cheapest: sought around everybody before through others.
        by, best = min(chosen, key=lambda pair: pair[1].change.cost_s)
        others = {one.change: None for _, one in found if one.change != best.change}
        details = {"other_changes": [dataclasses.asdict(change) for change in others]}
        details |= _granted(by, best.option)
        return Decision(plan, intent_of(by, best.option), reasons, best.change, details=details)
    return _with_later_alternative(case, asked, reasons, [one for _, one in found])


def _granted(case: Case, option: Option) -> dict[str, object]:
    """The details of a grant: its energy, and whom it displaces."""
    ids = [other.id for other in case.displaced(option)]
    return {"energy": energy_document(option.route.energy)} | ({"displaces": ids} if ids else {})


def _meets(case: Case, asked: Option, other: OperationalIntent) -> Reason:
    distance, when = case.meeting(asked, other)
    apart = case.apart(asked, other)[0]
    clock = datetime.datetime.fromtimestamp(when, datetime.UTC)
    return Reason(
        "CONFLICT",
        f"Would meet {other.plan.operator}'s {other.id} at {clock:%H:%M:%S} UTC: {distance:.0f} m apart at the same "
        f"height, {apart:.0f} m are needed.",
    )


def _with_later_alternative(case: Case, asked: Option, reasons: tuple[Reason, ...], found: list[Found]) -> Decision:
    plan = case.plan
    details = {"other_changes": [dataclasses.asdict(one.change) for one in found]} if found else {}
    option = later(case, asked, plan.latest_departure_s + DAY_S)
    if option is None:
        return Decision(plan, None, reasons, details=details)
    wait = option.departure_s - plan.earliest_departure_s
    alternative = dataclasses.replace(
        plan,
        earliest_departure_s=option.departure_s,
        latest_departure_s=max(option.departure_s, plan.latest_departure_s),
    )
    change = Change("delay", f"Would be granted {wait:.0f} s later.", wait, *asked.more(option))
    return Decision(plan, None, reasons, alternative=alternative, alternative_change=change, details=details)
