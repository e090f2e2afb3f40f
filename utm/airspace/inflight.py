"""A flight that must make way while it is in the air: another way, a landing nearby, or a hold.

It flies on as granted until it can react. From where it then stops three things are tried, in this order:

1. another way to its destination: the best there is, or over or around those whom that would meet, whichever arrives
   first;
2. the nearest open ground to which a way leads;
3. a hold somewhere on its granted line, for as long as it takes until a way to its destination is free.

Whatever is returned meets nobody: its whole rest, from the moment at which it can be changed, is apart from everybody's
corridor by the exact test, and clear of ground, things, ceiling and zones in force. A flight that a new zone has closed
in leaves it by the shortest straight way.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass

from utm.airspace.airborne import AirborneCase, AirborneOption
from utm.airspace.case import MOST_DELAYS
from utm.airspace.changes import elsewhere, higher
from utm.airspace.granting import granted, ovn_of
from utm.airspace.holding import waits_in_the_air
from utm.airspace.landings import landings, written
from utm.airspace.limits import certificate_of
from utm.airspace.places import Place, Refusal
from utm.airspace.situation import Situation
from utm.airspace.zones import in_the_way
from utm.errors import CannotFly
from utm.model import OperationalIntent

#: Bounds of what is tried: counts, never clocks, so that a decision can be replayed.
_MOST_LANDINGS = 12
_MOST_HOLDS = 8
#: From one place on the line at which a hold is tried to the next.
_HOLD_EVERY_S = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Replanned:
    """What becomes of a flight in the air."""

    intent: OperationalIntent
    """The same intent with its new corridor, which begins as the old one; same state and version."""
    kind: str
    """``rerouted``, ``landing`` or ``holding``."""
    sentence: str


def replan_airborne(situation: Situation, intent: OperationalIntent, from_s: float) -> Replanned | None:
    """Another rest for a flight in the air; None where there is none.

    Args:
        situation: its traffic without the intent itself, with whatever it makes way for.
        intent: what was granted.
        from_s: Unix seconds: the first moment at which the flight can do anything else.

    Returns:
        None also where the flight has all but landed by then.

    Raises:
        ValueError: it has not begun by then.
    """
    line = intent.corridor.centre_line
    if from_s < line.start_s:
        raise ValueError(f"{intent.id} has not taken off at {from_s}")
    if waits_in_the_air(intent, situation.skies.city_map):
        from_s = max(from_s, float(line.t_s[-2]))  # it stops where it was told to, and goes on from there
    try:
        case = AirborneCase(situation, intent, from_s)
    except ValueError:
        return None  # it cannot stop any more before it is on its pad
    return _rerouted(case) or _landed(case) or _held(situation, intent, from_s)


def _rerouted(case: AirborneCase) -> Replanned | None:
    asked = _option(case, case.stop_s)
    if asked is None:
        return None
    met = case.met(asked)
    options = [asked] if not met else []
    if met:
        raised = higher(case, asked)
        options += [] if raised is None else [raised[1]]
        beside = elsewhere(case, asked, met)
        options += [] if beside is None else [beside]
    if not options:
        return None
    best = min(options, key=lambda option: option.line.end_s)
    left = case.intent.corridor.centre_line.end_s - best.line.end_s + case.rules.pad_hold_s
    when = f"{-left:.0f} s later" if left < 0 else f"{left:.0f} s sooner"
    sentence = f"Flies another way from {_clock(case.from_s)} on, {best.route.length_m:.0f} m; arrives {when}."
    return _replanned(case, best, "rerouted", sentence)


def _landed(case: AirborneCase) -> Replanned | None:
    stop, situation = case.places[0], case.situation
    zones = in_the_way(situation.zones, case.plan, case.from_s, case.from_s + case.plan.aircraft.endurance_s)
    sites = landings(case.skies, stop, zones)
    for number, site in enumerate(sites):
        if number == _MOST_LANDINGS:
            break
        to = AirborneCase(situation, case.intent, case.from_s, goal=Place("landing", *site))
        option = _option(to, to.stop_s)
        if option is None or to.met(option):
            continue
        place = written(to.skies, site)
        away = math.dist(site[:2], stop.enu_m[:2])
        sentence = f"Lands on open ground {away:.0f} m from where it stops, at {place.lon_deg}, {place.lat_deg}."
        found = _replanned(to, option, "landing", sentence)
        plan = dataclasses.replace(found.intent.plan, destination=place, waypoints=())
        return dataclasses.replace(found, intent=_numbered(dataclasses.replace(found.intent, plan=plan)))
    return None


def _held(situation: Situation, intent: OperationalIntent, from_s: float) -> Replanned | None:
    for case in _holds(situation, intent, from_s):
        option = _waited(case)
        if option is not None:
            wait = option.leaves_s - case.stop_s
            late = option.line.end_s - case.rules.pad_hold_s - intent.corridor.centre_line.end_s
            sentence = (
                f"Holds for {wait:.0f} s from {_clock(case.stop_s)} on, then flies on; arrives {late:.0f} s later."
            )
            return _replanned(case, option, "holding", sentence)
    return None


def _holds(situation: Situation, intent: OperationalIntent, from_s: float) -> Iterator[AirborneCase]:
    """The flight with stops at one place of its granted line after another."""
    for number in range(_MOST_HOLDS):
        brake_s = from_s + number * _HOLD_EVERY_S
        try:
            yield AirborneCase(situation, intent, from_s, brake_s=brake_s)
        except ValueError:
            return  # by then it is on its pad


def _waited(case: AirborneCase) -> AirborneOption | None:
    """The first whole second of a wait after which the rest meets nobody, if nothing is met before that."""
    line = case.intent.corridor.centre_line
    longest = line.start_s + case.plan.aircraft.endurance_s - case.stop_s
    leaves_s = case.stop_s
    for _ in range(MOST_DELAYS):
        option = _option(case, leaves_s)
        if option is None or (case.in_zone and leaves_s > case.stop_s):
            return None
        wait = case.wait(case.moving(option), longest)
        if wait == 0.0:
            return None if case.met(option) else option
        leaves_s += wait
        if leaves_s - case.stop_s > longest:
            return None
    return None


def _option(case: AirborneCase, leaves_s: float) -> AirborneOption | None:
    try:
        option = case.free_flight(leaves_s)
    except (Refusal, CannotFly):
        return None
    assert isinstance(option, AirborneOption)
    return option


def _replanned(case: AirborneCase, option, kind: str, sentence: str) -> Replanned:  # type: ignore[no-untyped-def]
    corridor, situation, before = case.whole(option), case.situation, case.intent
    near = situation.traffic.near(corridor)
    certificate = certificate_of(case.skies, case.plan, corridor, situation.zones, near)
    after = granted(situation, case.plan, corridor, near, certificate)
    after = dataclasses.replace(after, state=before.state, version=before.version)
    return Replanned(_numbered(after), kind, sentence)


def _numbered(intent: OperationalIntent) -> OperationalIntent:
    return dataclasses.replace(intent, ovn=ovn_of(intent))


def _clock(when_s: float) -> str:
    return f"{datetime.datetime.fromtimestamp(when_s, datetime.UTC):%H:%M:%S} UTC"
