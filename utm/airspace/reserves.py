"""Ways out as reservations below every flight: given with a grant, kept off where that is cheap, taken when needed.

A new flight is decided as if ways out were not there. Where it would cross some of them, it is decided once more with
these ways out as neighbours; that is granted if it costs no more than `MOST_COST_S`. Otherwise it crosses them, and its
decision says whose and when: ``details["crosses"]``. Once a drone is Contingent, the way out that covers the moment is
its corridor, and whoever is in that makes way.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from utm.airspace.admission import decide
from utm.airspace.moving import renewed
from utm.airspace.situation import Overlay, Situation, TrafficView
from utm.airspace.until import listed
from utm.airspace.waysout import ways_out
from utm.model import Corridor, Decision, OperationalIntent, Reason, WayOut, WayOutKind

#: Seconds of later arrival that keeping off the ways out of others may cost.
MOST_COST_S = 60.0
#: What a drone does first when something fails: what its autopilot does of its own accord on a lost link (docs/px4.md).
_FIRST = (WayOutKind.RETURN, WayOutKind.LAND, WayOutKind.HOLD)


class WithWaysOut(TrafficView, Protocol):
    """A view of the traffic that knows the ways out of everybody."""

    def crossed(self, corridor: Corridor) -> tuple[tuple[OperationalIntent, WayOut], ...]:
        """Whose ways out a corridor comes too near to, by id and in their order."""


def keeping_off(situation: Situation, traffic: WithWaysOut, decision: Decision, choose: str) -> Decision:
    """A decision that keeps off the ways out of others where that costs little.

    Args:
        situation: that the decision was made in; its traffic is that of ``traffic``.
    """
    if decision.intent is None:
        return decision
    crossed = _crossed(traffic, decision)
    if not crossed:
        return decision
    reserved = [_as_neighbour(intent, way, number) for number, (intent, way) in enumerate(crossed)]
    aside = Overlay(situation.traffic, with_=reserved)
    other = decide(dataclasses.replace(situation, traffic=aside), decision.plan, choose=choose)
    if other.intent is not None and _cost_s(other) - _cost_s(decision) <= MOST_COST_S:
        still = _crossed(traffic, other)
        if len(still) < len(crossed):
            # Its certificate names flights, not ways out.
            clear = renewed(situation, dataclasses.replace(other.intent, version=0), other.intent.corridor)
            reasons = (*decision.reasons, _why(crossed))
            return _saying(dataclasses.replace(other, intent=clear, reasons=reasons), still)
    return _saying(decision, crossed)


def with_ways_out(situation: Situation, intent: OperationalIntent) -> OperationalIntent:
    """An intent that is about to be granted, with its own ways out."""
    return dataclasses.replace(intent, ways_out=ways_out(situation, intent).ways)


def way_taken(intent: OperationalIntent, now_s: float) -> WayOut | None:
    """The way out that a flight takes that fails now; None where it has none for this moment."""
    there = [way for way in intent.ways_out if way.from_s <= now_s <= way.until_s]
    return min(there, key=lambda way: _FIRST.index(way.kind), default=None)


def _crossed(traffic: WithWaysOut, decision: Decision) -> list[tuple[OperationalIntent, WayOut]]:
    """The ways out of flights of the same or a higher priority that a decision crosses."""
    return [
        pair for pair in traffic.crossed(decision.intent.corridor) if pair[0].plan.priority >= decision.plan.priority
    ]


def _why(crossed: list[tuple[OperationalIntent, WayOut]]) -> Reason:
    names = sorted({intent.id for intent, _ in crossed})
    return Reason("WAYS_OUT", f"Would cross the ways out of {listed(names)}, where it would go if something failed.")


def _cost_s(decision: Decision) -> float:
    return decision.change.cost_s if decision.change else 0.0


def _as_neighbour(intent: OperationalIntent, way: WayOut, number: int) -> OperationalIntent:
    """A way out as if it were a flight that nobody displaces."""
    plan = dataclasses.replace(intent.plan, priority=10**9)
    return dataclasses.replace(
        intent, id=f"{intent.id}'s way out {number}", plan=plan, corridor=way.corridor, ways_out=()
    )


def _saying(decision: Decision, crossed: list[tuple[OperationalIntent, WayOut]]) -> Decision:
    if not crossed:
        return decision
    said: list[dict[str, Any]] = [
        {"id": intent.id, "kind": str(way.kind), "from_s": way.from_s, "until_s": way.until_s}
        for intent, way in crossed
    ]
    return dataclasses.replace(decision, details={**decision.details, "crosses": said})
