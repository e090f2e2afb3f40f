"""Following flights: what a report says of one, and what becomes of those that nobody keeps up with the clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utm.airspace.moving import Move, give_way, renewed
from utm.airspace.pads import is_no_show, overdue
from utm.airspace.picture import Effects, View
from utm.airspace.situation import Overlay, Situation
from utm.airspace.states import ASTRAY, next_version, state_effect
from utm.core import Judgement, judge
from utm.core.conforming import (
    Conformity,
    News,
    Report,
    conformity_document,
    conformity_from,
    observe,
    settled,
    silence,
)
from utm.model import IntentState, OperationalIntent

FLYING = frozenset({IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.CONTINGENT})


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A flight after a report, or after a time without one."""

    judged: Judgement | None
    """The reported position against the granted corridor; None without a report."""
    conformity: Conformity
    news: tuple[News, ...]
    document: Mapping[str, Any]
    """What is kept of it until the next report."""


def conformity_of(intent: OperationalIntent, kept: Mapping[str, Any] | None) -> Conformity:
    """The history of a flight: what was kept of it, or its beginning."""
    if kept is None or "conformity" not in kept:
        aircraft = intent.plan.aircraft
        fastest = aircraft.max_airspeed_m_s + max(aircraft.cruise_m_s, aircraft.climb_m_s)
        return Conformity(fastest_m_s=fastest, due_s=intent.corridor.centre_line.start_s, state=intent.state)
    found = conformity_from(kept["conformity"])
    # Its road changed meanwhile: what was reported before is not held against the new one.
    return found if kept.get("version_of_road") == _road(intent) else settled(found)


def reported(intent: OperationalIntent, kept: Mapping[str, Any] | None, report: Report, received_s: float) -> Followed:
    """One more report of a flight.

    Args:
        kept: the document of the last one; None for the first.
        received_s: Unix seconds by the clock of whoever judges.
    """
    conformity, news = observe(conformity_of(intent, kept), intent.corridor, report, received_s)
    judged = judge(intent.corridor, report.t_s, report.enu_m)
    document = {
        "t_s": report.t_s,
        "enu_m": list(report.enu_m),
        "landed": report.landed,
        "inside": judged.inside,
        "cross_track_m": judged.cross_track_m,
        "height_error_m": judged.height_error_m,
        "conformity": conformity_document(conformity),
        "version_of_road": _road(intent),
    }
    return Followed(judged, conformity, news, document)


def unheard(intent: OperationalIntent, kept: Mapping[str, Any] | None, now_s: float) -> Followed:
    """A flight at a moment, with nothing more heard of it."""
    conformity, news = silence(conformity_of(intent, kept), now_s)
    document = dict(kept or {}) | {"conformity": conformity_document(conformity), "version_of_road": _road(intent)}
    return Followed(None, conformity, news, document)


def _road(intent: OperationalIntent) -> list[float]:
    """What tells one road of a flight from the next."""
    line = intent.corridor.centre_line
    return [line.start_s, line.end_s, float(len(line.t_s))]


def last_report(kept: Mapping[str, Any] | None) -> Report | None:
    """The newest report of a flight; None where it was never heard."""
    if kept is None or "enu_m" not in kept:
        return None
    return Report(kept["t_s"], tuple(kept["enu_m"]), kept.get("landed", False))


@dataclass(frozen=True, slots=True, eq=False)
class Upkeep:
    """What the clock asks for: no-shows to end, overruns to hold on, and who gives way to those."""

    ended: tuple[OperationalIntent, ...] = ()
    extended: tuple[OperationalIntent, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def effects(self) -> Effects:
        """For the log."""
        return Effects(
            intents=(*self.extended, *(move.intent for move in self.moves if move.intent is not None)),
            states=(
                *(state_effect(one) for one in self.ended),
                *(move.state for move in self.moves if move.state is not None),
            ),
        )


def upkeep(situation: Situation, view: View, reports: Mapping[str, Report]) -> Upkeep:
    """Hold the live intents against the clock.

    Args:
        view: whose intents they are; the traffic of the situation.
        reports: the newest of each flight that was ever heard.
    """
    now_s = situation.now_s
    ended, extended = [], []
    for intent in view.live():
        if is_no_show(intent, now_s):
            ended.append(next_version(intent, IntentState.ENDED))
        elif intent.state in FLYING:
            corridor = overdue(intent, now_s, reports.get(intent.id))
            if corridor is not None:
                extended.append(renewed(situation, intent, corridor))
    if not ended and not extended:
        return Upkeep()
    over = {one.id for one in extended}
    gone = {one.id for one in ended} | over
    met = {
        other.id: other
        for intent in extended
        for other in view.conflicts(intent.corridor)
        if other.id not in gone and other.state not in ASTRAY
    }
    traffic = Overlay(situation.traffic, without=gone | set(met), with_=extended)
    moves = give_way(dataclasses.replace(situation, traffic=traffic), met.values())
    return Upkeep(tuple(ended), tuple(extended), moves)
