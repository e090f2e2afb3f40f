"""Making granted flights give way: to a flight of higher priority, to a new zone, to an emergency, to a new map.

On the ground the plan is decided again, in its own window. In the air a new way begins where the flight will be after a
reaction time. What finds no way any more is withdrawn (on the ground) or told to hold (in the air). Every new corridor
is decided in full, against everybody else and against those that moved before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from utm.airspace.admission import decide
from utm.airspace.case import until
from utm.airspace.granting import granted
from utm.airspace.holding import stopped, waits_in_the_air
from utm.airspace.inflight import replan_airborne
from utm.airspace.limits import Certificate, certificate_of
from utm.airspace.saying import decision_said
from utm.airspace.situation import REACTION_S, Overlay, Situation, Standing
from utm.airspace.states import ASTRAY, next_version, state_effect
from utm.airspace.waysout import ways_out
from utm.core.flown import flown
from utm.errors import PlanError
from utm.model import Corridor, IntentState, OperationalIntent

#: How long a flight that has stopped is at rest at least before it does anything else (seconds).
_REST_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """What becomes of a granted flight that must give way."""

    before: OperationalIntent
    kind: str
    """``kept``, ``replanned`` on the ground, ``rerouted`` in the air, ``landing`` or ``holding`` there, ``withdrawn``
    on the ground."""
    sentence: str
    intent: OperationalIntent | None = None
    """Its new version, where its corridor changed."""
    state: Mapping[str, Any] | None = None
    """Where only its state changed."""
    alternative: Mapping[str, Any] | None = None
    """Of a flight that was withdrawn: the nearest plan that would be granted."""

    def document(self) -> dict[str, Any]:
        """As JSON, for the log and for whoever is told."""
        said = {"id": self.before.id, "operator": self.before.plan.operator, "kind": self.kind}
        said["sentence"] = self.sentence
        return said | ({"alternative": self.alternative} if self.alternative else {})


def renewed(situation: Situation, intent: OperationalIntent, corridor: Corridor) -> OperationalIntent:
    """The next version of an intent, in another corridor, with the certificate of that.

    A corridor that never leaves its pad, as that of a drone that overran on the ground, has no certificate.
    """
    near = tuple(other for other in situation.traffic.near(corridor) if other.id != intent.id)
    if flown(corridor.centre_line) is None:
        certificate = Certificate((), {})
    else:
        skies = situation.skies.for_aircraft(intent.plan.aircraft)
        certificate = certificate_of(skies, intent.plan, corridor, situation.zones, near)
    changed = granted(situation, intent.plan, corridor, near, certificate)
    return next_version(dataclasses.replace(changed, version=intent.version), intent.state)


def give_way(situation: Situation, intents: Iterable[OperationalIntent]) -> tuple[Move, ...]:
    """Move some intents out of the way of what the situation holds, the more urgent first, then by id.

    They displace nobody in turn. Until its own turn comes each one in the air stands in the way of the others with what
    it flies as granted, and until it has stopped: that cannot be changed any more.

    Args:
        situation: with whatever they give way to, and without themselves.
    """
    turn = sorted(intents, key=lambda one: (-one.plan.priority, one.id))
    moves: list[Move] = []
    there: list[OperationalIntent] = []
    for number, intent in enumerate(turn):
        traffic = Overlay(situation.traffic, with_=there) if there else situation.traffic
        then = dataclasses.replace(situation, traffic=traffic)
        bound = [found for later in turn[number + 1 :] if (found := _bound(situation, later)) is not None]
        held = dataclasses.replace(situation, traffic=Standing(Overlay(traffic, with_=bound)))
        move = _moved(held, intent)
        if move.intent is not None and bound:  # a certificate names flights, not what they fly until they stop
            renumbered = dataclasses.replace(move.intent, version=intent.version)
            again = renewed(then, renumbered, move.intent.corridor)
            move = dataclasses.replace(move, intent=dataclasses.replace(again, ways_out=move.intent.ways_out))
        moves.append(move)
        if move.kind != "withdrawn":
            there.append(move.intent or intent)
    return tuple(moves)


def stays(move: Move) -> bool:
    """Whether a flight that was to make way is where it was: it can do nothing else any more."""
    return move.intent is None and move.kind != "withdrawn"


def _bound(situation: Situation, intent: OperationalIntent) -> OperationalIntent | None:
    """A flight in the air that is to make way, with what it flies until it has stopped; None on the ground."""
    now_s, line = situation.now_s, intent.corridor.centre_line
    if now_s < line.start_s or intent.state is IntentState.ACCEPTED or intent.state in ASTRAY:
        return None
    if _is_landing(situation, intent):
        return intent
    from_s = now_s + REACTION_S
    if waits_in_the_air(intent, situation.skies.city_map):
        from_s = max(from_s, float(line.t_s[-2]))
    try:
        corridor = stopped(intent, from_s, _REST_S)
    except ValueError:
        return intent
    return dataclasses.replace(intent, corridor=until(corridor, corridor.centre_line.end_s))


def _is_landing(situation: Situation, intent: OperationalIntent) -> bool:
    """Whether it is over its pad by the time that it can be told anything else."""
    line = intent.corridor.centre_line
    over = (line.at(situation.now_s + REACTION_S)[:2] == line.enu_m[-1, :2]).all()
    return bool(over) and not waits_in_the_air(intent, situation.skies.city_map)


def displaced(situation: Situation, granted: Sequence[OperationalIntent], ids: Collection[str]) -> tuple[Move, ...]:
    """What becomes of the live intents that some granted plans of higher priority displace.

    Args:
        situation: that the plans were granted in, with everybody.
        ids: of the displaced.
    """
    if not ids:
        return ()
    lower = [intent for intent in map(situation.traffic.get, ids) if intent is not None]
    without = Overlay(situation.traffic, without=ids, with_=granted)
    return give_way(dataclasses.replace(situation, traffic=without), lower)


def _moved(situation: Situation, intent: OperationalIntent) -> Move:
    line, now_s = intent.corridor.centre_line, situation.now_s
    if intent.state in ASTRAY:
        return Move(intent, "kept", "It has left what was granted; nothing new can be granted to it in the air.")
    if now_s + REACTION_S < line.start_s:
        return _on_the_ground(situation, intent)
    if now_s < line.start_s or intent.state is IntentState.ACCEPTED:
        # About to lift off, or never activated: too late to plan again, early enough to stay
        withdrawn = next_version(intent, IntentState.ENDED)
        return Move(
            intent, "withdrawn", "It departs in a moment and must stay on its pad.", state=state_effect(withdrawn)
        )
    return _in_the_air(situation, intent)


def _on_the_ground(situation: Situation, intent: OperationalIntent) -> Move:
    try:
        decision = decide(situation, intent.plan, again=True)
    except PlanError as error:
        decision = None
        said: Mapping[str, Any] = {}
        why = str(error)
    else:
        said = decision_said(decision)
        why = " ".join(reason.sentence for reason in decision.reasons)
    if decision is None or decision.intent is None:
        withdrawn = next_version(intent, IntentState.ENDED)
        return Move(
            intent,
            "withdrawn",
            f"Nothing within its window can be granted any more. {why}".strip(),
            state=state_effect(withdrawn),
            alternative=said.get("alternative"),
        )
    granted_anew = dataclasses.replace(decision.intent, version=intent.version)
    changed = next_version(granted_anew, intent.state, ways_out=ways_out(situation, granted_anew).ways)
    what = decision.change.sentence if decision.change else "Flies another way at the same time."
    return Move(intent, "replanned", what, intent=changed)


def _in_the_air(situation: Situation, intent: OperationalIntent) -> Move:
    if _is_landing(situation, intent):
        return Move(intent, "kept", "It is landing; there is no time left to change that.")
    found = replan_airborne(situation, intent, situation.now_s + REACTION_S)
    if found is None:
        contingent = next_version(intent, IntentState.CONTINGENT)
        return Move(
            intent, "holding", "No way is left to it; it is to hold where it is.", state=state_effect(contingent)
        )
    changed = next_version(dataclasses.replace(found.intent, version=intent.version), intent.state)
    return Move(intent, found.kind, found.sentence, intent=changed)
