"""What the airspace answers to each kind of request: pure functions of a view, the request and the time.

Every request is JSON, and so is what is said to it: `question` makes a question of what stands in the log, too, which
is how a log is replayed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from utm.airspace import rejudging
from utm.airspace.admission import decide
from utm.airspace.checking import check
from utm.airspace.documents import parse_plan, parse_zones, plan_document
from utm.airspace.emergency import closed
from utm.airspace.fleet import decide_fleet
from utm.airspace.following import upkeep
from utm.airspace.granting import ovn_of
from utm.airspace.journal import Answer, Question, error_said
from utm.airspace.moving import Move, displaced, give_way, renewed, stays
from utm.airspace.picture import Effects, View
from utm.airspace.reserves import keeping_off, way_taken, with_ways_out
from utm.airspace.saying import decision_said
from utm.airspace.situation import Overlay, Situation, Standing
from utm.airspace.states import ASTRAY, moved_to, state_effect
from utm.airspace.world import World
from utm.airspace.zones import check_zone
from utm.core import Report
from utm.errors import InputError, PlanError, StateError, ZoneError
from utm.model import (
    AIRCRAFT_CLASSES,
    Actor,
    Aircraft,
    Decision,
    FlightPlan,
    IntentState,
    OperationalIntent,
    Role,
    Trajectory,
    WayOut,
    Waypoint,
)

T = TypeVar("T")

# --- who asks ------------------------------------------------------------------------------------------------


def actor_document(actor: Actor) -> dict[str, str]:
    """Who asks, as JSON."""
    return {"name": actor.name, "role": str(actor.role)}


def actor_from(document: Mapping[str, Any]) -> Actor:
    """The reverse."""
    return Actor(document["name"], Role(document["role"]))


def _check_owner(actor: Actor, operator: str, subject: str) -> None:
    if actor.role is Role.OPERATOR and actor.name != operator:
        raise StateError(f"{subject} is {operator}'s; {actor.name} may not change it")


def _check_city(actor: Actor, what: str) -> None:
    if actor.role is Role.OPERATOR:
        raise StateError(f"{what} is for the city or rescue services; {actor.name} asks as an operator")


# --- plans ---------------------------------------------------------------------------------------------------


def plan_request(plan: FlightPlan, choose: str, actor: Actor) -> dict[str, Any]:
    """A plan as it is asked for."""
    times = [plan.earliest_departure_s, plan.latest_departure_s]
    return {"plan": plan_document(plan), "times_s": times, "choose": choose, "actor": actor_document(actor)}


def plan_from(document: Mapping[str, Any], times_s: list[float]) -> FlightPlan:
    """A plan with its times to the last bit, which the written form rounds."""
    plan = parse_plan(document)
    return dataclasses.replace(plan, earliest_departure_s=times_s[0], latest_departure_s=times_s[1])


@functools.lru_cache(maxsize=1024)
def _aircraft_as_read(aircraft: Aircraft) -> Aircraft:
    figures = {
        one.name: float(getattr(aircraft, one.name)) for one in dataclasses.fields(aircraft) if one.name != "name"
    }
    return Aircraft(name=aircraft.name if aircraft.name in AIRCRAFT_CLASSES else "custom", **figures)


def _place_as_read(place: Waypoint) -> Waypoint:
    return Waypoint(float(place.lon_deg), float(place.lat_deg), float(place.height_m), place.datum)


def plan_as_read(plan: FlightPlan) -> FlightPlan:
    """A plan as it is read from the log again, where numbers are floats and an aircraft of no class is ``custom``."""
    return dataclasses.replace(
        plan,
        aircraft=_aircraft_as_read(plan.aircraft),
        origin=_place_as_read(plan.origin),
        destination=_place_as_read(plan.destination),
        waypoints=tuple([_place_as_read(place) for place in plan.waypoints]),
        earliest_departure_s=float(plan.earliest_departure_s),
        latest_departure_s=float(plan.latest_departure_s),
    )


def answer_plan(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Grant or refuse; whoever of lower priority stands in the way gives way."""
    plan = plan_from(request["plan"], request["times_s"])
    _check_filed(actor_from(request["actor"]), plan, view)
    choose = request["choose"]

    def decided(situation: Situation) -> Decision:
        decision = keeping_off(situation, view, decide(situation, plan, choose=choose), choose)
        if decision.intent is None:
            return decision
        return dataclasses.replace(decision, intent=with_ways_out(situation, decision.intent))

    return _granted(world.situation(view, now_s), decided)


def check_request(plan: FlightPlan, line: Trajectory, actor: Actor) -> dict[str, Any]:
    """A trajectory as it is asked for."""
    return {
        "plan": plan_document(plan),
        "times_s": [plan.earliest_departure_s, plan.latest_departure_s],
        "line": {"t_s": line.t_s.tolist(), "enu_m": line.enu_m.tolist()},
        "actor": actor_document(actor),
    }


def check_question(world: World, plan: FlightPlan, line: Trajectory, actor: Actor, now_s: float) -> Question:
    """A trajectory as a question of the journal."""
    plan = plan_as_read(plan)
    return Question(
        "check",
        plan.id,
        lambda: check_request(plan, line, actor),
        now_s,
        lambda view: _checked(world, plan, line, actor, now_s, view),
        fresh=(plan.id,),
    )


def answer_check(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Grant a trajectory as it stands, or refuse it; nothing is searched."""
    plan, line = plan_from(request["plan"], request["times_s"]), Trajectory(**request["line"])
    return _checked(world, plan, line, actor_from(request["actor"]), now_s, view)


def _checked(world: World, plan: FlightPlan, line: Trajectory, actor: Actor, now_s: float, view: View) -> Answer:
    _check_filed(actor, plan, view)
    situation = world.situation(view, now_s)
    answer = _granted(situation, lambda held: check(held, plan, line))
    granted = answer.result.intent
    if granted is not None and granted.plan is plan and granted.corridor.centre_line is line:
        # Plan and trajectory stand in what was granted, to the bit: half of the entry would say them again
        return dataclasses.replace(answer, request={"granted": plan.id, "actor": actor_document(actor)})
    return answer


def request_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request of an entry of the log, as it was handed in."""
    request = body["request"]
    if "granted" not in request:
        return request
    intent = next(document for document in body["intents"] if document["id"] == request["granted"])
    corridor = intent["corridor"]
    line = {"t_s": corridor["t_s"], "enu_m": corridor["enu_m"]}
    return {"plan": intent["plan"], "times_s": intent["plan_times_s"], "line": line, "actor": request["actor"]}


def _granted(situation: Situation, decided: Callable[[Situation], Decision]) -> Answer:
    """The answer of a decision on one plan, with what becomes of those that it displaces."""
    decision, moves = _with_moves(situation, decided, lambda one: [one])
    if decision.intent is None:
        return Answer(decision_said(decision), result=decision)
    said = decision_said(decision) | ({"displaced": [move.document() for move in moves]} if moves else {})
    result = dataclasses.replace(decision, details={**decision.details, "displaced": moves}) if moves else decision
    return Answer(said, _granting([decision.intent], moves), result=result)


def _with_moves(
    situation: Situation, decided: Callable[[Situation], T], decisions: Callable[[T], Sequence[Decision]]
) -> tuple[T, tuple[Move, ...]]:
    """What is decided, and what becomes of those that it displaces.

    Who turns out to be unable to make way, as it is landing or no way is left to it, keeps its room, and everything is
    decided again. Each time there is one more of them, so this ends.
    """
    fixed: set[str] = set()
    while True:
        traffic = Standing(situation.traffic, frozenset(fixed)) if fixed else situation.traffic
        found = decided(dataclasses.replace(situation, traffic=traffic))
        granted = [one for one in decisions(found) if one.intent is not None]
        lower = {name for one in granted for name in one.details.get("displaces", ())}
        moves = displaced(situation, [one.intent for one in granted], sorted(lower))
        if not (unable := {move.before.id for move in moves if stays(move)}):
            return found, moves
        fixed |= unable


def _check_filed(actor: Actor, plan: FlightPlan, view: View) -> None:
    _check_owner(actor, plan.operator, plan.id)
    if plan.priority > 0 and actor.role is Role.OPERATOR:
        raise PlanError(
            "is for rescue services and the city",
            field="priority",
            value=plan.priority,
            mend="File it in that role, or with priority 0.",
        )
    if view.get(plan.id) is not None:
        raise StateError(f"{plan.id} was granted already; file under another id (and cancel the old one)")


def _granting(granted: Sequence[OperationalIntent], moves: Sequence[Move]) -> Effects:
    """The effects of granting some intents and moving others out of their way."""
    return Effects(
        intents=(*granted, *(move.intent for move in moves if move.intent is not None)),
        states=tuple(move.state for move in moves if move.state is not None),
    )


# --- states --------------------------------------------------------------------------------------------------


def answer_state(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Move an intent to another state."""
    intent_id, state, actor = request["intent"], IntentState(request["to"]), actor_from(request["actor"])
    intent = view.get(intent_id)
    if intent is None:
        raise StateError(f"{intent_id} is not live: it has ended, or was never granted")
    _check_owner(actor, intent.plan.operator, intent_id)
    if request.get("ovn") not in (None, intent.ovn):
        raise StateError(f"{intent_id} has changed since: its OVN is {intent.ovn}, not {request['ovn']}; look again")
    if request.get("cancel") and intent.state is not IntentState.ACCEPTED:
        raise StateError(f"{intent_id} is {intent.state}; a flight that began is ended, not cancelled")
    changed = moved_to(intent, state, now_s, view.conflicts)
    if state is IntentState.CONTINGENT and (way := way_taken(intent, now_s)) is not None:
        return _taking(world.situation(view, now_s), view, changed, way)
    said = {"from": str(intent.state), "to": str(state), "version": changed.version, "ovn": changed.ovn}
    return Answer(said, Effects(states=(state_effect(changed),)), result=changed)


def _taking(situation: Situation, view: View, intent: OperationalIntent, way: WayOut) -> Answer:
    """A Contingent flight takes its way out: that is its corridor now, and whoever is in it makes way."""
    taken = dataclasses.replace(renewed(situation, intent, way.corridor), version=intent.version)
    taken = dataclasses.replace(taken, ovn=ovn_of(taken))
    met = [one for one in view.conflicts(way.corridor) if one.id != intent.id and one.state not in ASTRAY]
    moves = displaced(situation, [taken], [one.id for one in met])
    said = {
        "to": str(intent.state),
        "version": taken.version,
        "ovn": taken.ovn,
        "way_out": {"kind": str(way.kind), "site_m": list(way.site_m), "settings": dict(way.settings)},
        "displaced": [move.document() for move in moves],
    }
    return Answer(said, _granting([taken], moves), result=taken)


# --- zones and conditions ------------------------------------------------------------------------------------


def answer_zones(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Enter zones, replacing those of the same id, and judge the intents that they touch again."""
    _check_city(actor_from(request["actor"]), "entering a zone")
    zones = parse_zones({"type": "FeatureCollection", "features": request["zones"]})
    for zone in zones:
        check_zone(zone)
    if twice := [zone.id for index, zone in enumerate(zones) if zone.id in {one.id for one in zones[:index]}]:
        raise ZoneError("two zones have this id", field=twice[0], mend="Give each its own; a later one replaces.")
    moves = rejudging.by_zones(world.situation(view, now_s), zones)
    said = {"zones": [zone.id for zone in zones], "touched": [move.document() for move in moves]}
    return Answer(said, dataclasses.replace(_granting((), moves), zones=zones), result=moves)


def answer_zone_removed(_world: World, request: Mapping[str, Any], _now_s: float, view: View) -> Answer:
    """Take a zone out."""
    _check_city(actor_from(request["actor"]), "removing a zone")
    zone_id = request["zone"]
    if zone_id not in {zone.id for zone in view.zones}:
        raise StateError(f"there is no zone {zone_id}; `utm zone list` shows those there are")
    return Answer({"zone": zone_id}, Effects(zones_removed=(zone_id,)))


def answer_conditions(_world: World, request: Mapping[str, Any], _now_s: float, view: View) -> Answer:
    """Replace the forecast, or put or remove a cost layer. What was granted stays granted."""
    _check_city(actor_from(request["actor"]), "the forecast and its layers")
    document = {"wind": None, "layers": [], **(view.conditions or {})}
    if "wind" in request:
        document["wind"] = request["wind"]
    if "layer" in request:
        kept = [layer for layer in document["layers"] if layer["name"] != request["layer"]["name"]]
        document["layers"] = [*kept, request["layer"]]
    if "layer_removed" in request:
        kept = [layer for layer in document["layers"] if layer["name"] != request["layer_removed"]]
        if len(kept) == len(document["layers"]):
            raise StateError(
                f"there is no cost layer {request['layer_removed']}; `utm layer list` shows those there are"
            )
        document["layers"] = kept
    return Answer(document, Effects(conditions=document))


# --- emergencies ---------------------------------------------------------------------------------------------


def answer_emergency(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Close zones at once: whoever would fly into them holds."""
    _check_city(actor_from(request["actor"]), "closing a volume")
    zones = parse_zones({"type": "FeatureCollection", "features": request["zones"]})
    for zone in zones:
        check_zone(zone)
    found = closed(world.situation(view, now_s), zones)
    said = {"zones": [zone.id for zone in zones], **found.document()}
    return Answer(said, Effects(zones=zones, intents=found.holds), result=found)


def answer_way(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Give live flights another way, one after the other: those that an emergency has stopped, or keeps down."""
    _check_city(actor_from(request["actor"]), "giving flights of others another way")
    intents = [intent for intent in map(view.get, dict.fromkeys(request["intents"])) if intent is not None]
    situation = world.situation(view, now_s)
    traffic = Overlay(situation.traffic, without=[one.id for one in intents if one.state not in ASTRAY])
    moves = give_way(dataclasses.replace(situation, traffic=traffic), intents)
    return Answer({"moved": [move.document() for move in moves]}, _granting((), moves), result=moves)


# --- the map -------------------------------------------------------------------------------------------------


def answer_map(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Go on over another version of the map, and judge the intents that it touches again."""
    _check_city(actor_from(request["actor"]), "another version of the map")
    version = request["map_version"]
    if version == view.map_version:
        raise StateError(f"the airspace stands on version {version[:12]} of its map already")
    before, skies = world.city_map(view.map_version), world.skies(version)
    moves = rejudging.by_map(dataclasses.replace(world.situation(view, now_s), skies=skies), before)
    said = {"before": view.map_version, "after": version, "touched": [move.document() for move in moves]}
    return Answer(said, dataclasses.replace(_granting((), moves), map_version=version), result=moves)


# --- the clock -----------------------------------------------------------------------------------------------


def answer_upkeep(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """End no-shows, hold on for overruns, and move whoever is in their way."""
    reports = {name: Report(t_s, tuple(enu_m), landed) for name, (t_s, enu_m, landed) in request["reports"].items()}
    found = upkeep(world.situation(view, now_s), view, reports)
    said = {
        "no_shows": [one.id for one in found.ended],
        "extended": [one.id for one in found.extended],
        "displaced": [move.document() for move in found.moves],
    }
    return Answer(said, found.effects, result=found)


# --- fleets --------------------------------------------------------------------------------------------------


def fleet_request(plans: Sequence[FlightPlan], choose: str, seed: int, rounds: int, actor: Actor) -> dict[str, Any]:
    """Several plans, asked for together."""
    return {
        "plans": [plan_document(plan) for plan in plans],
        "times_s": [[plan.earliest_departure_s, plan.latest_departure_s] for plan in plans],
        "choose": choose,
        "seed": seed,
        "rounds": rounds,
        "actor": actor_document(actor),
    }


def answer_fleet(world: World, request: Mapping[str, Any], now_s: float, view: View) -> Answer:
    """Decide several plans together; those that cannot be judged are told, and do not keep the others."""
    actor = actor_from(request["actor"])
    plans = [plan_from(*pair) for pair in zip(request["plans"], request["times_s"], strict=True)]
    for plan in plans:
        _check_filed(actor, plan, view)
    if twice := [plan.id for n, plan in enumerate(plans) if plan.id in {one.id for one in plans[:n]}]:
        raise PlanError("two plans have this id", field="id", value=twice[0], mend="Give each its own.")
    situation = world.situation(view, now_s)
    how = {name: request[name] for name in ("seed", "rounds", "choose")}
    fleet, moves = _with_moves(
        situation,
        lambda held: decide_fleet(held, plans, **how),
        lambda made: [one for one in made.outcomes if isinstance(one, Decision)],
    )
    granted = [one.intent for one in fleet.outcomes if isinstance(one, Decision) and one.intent is not None]
    said = {
        "plans": [_outcome_said(plan, one) for plan, one in zip(plans, fleet.outcomes, strict=True)],
        "delay_s": fleet.delay_s,
        "delay_in_turn_s": fleet.delay_in_turn_s,
        "refused": fleet.refused,
        "refused_in_turn": fleet.refused_in_turn,
        "rounds": fleet.rounds,
        "better_rounds": fleet.better_rounds,
        "displaced": [move.document() for move in moves],
    }
    return Answer(said, _granting(granted, moves), result=fleet)


def _outcome_said(plan: FlightPlan, outcome: Decision | PlanError) -> dict[str, Any]:
    if isinstance(outcome, Decision):
        return decision_said(outcome)
    return {"plan": plan.id, "operator": plan.operator, "status": "error", "error": error_said(outcome)}


# --- all of them ---------------------------------------------------------------------------------------------


def state_request(intent_id: str, to: IntentState, actor: Actor, *, cancel: bool = False) -> dict[str, Any]:
    """A change of state as it is asked for."""
    request = {"intent": intent_id, "to": str(to), "actor": actor_document(actor)}
    return request | ({"cancel": True} if cancel else {})


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    answer: Callable[..., Answer]
    at_once: bool = True
    """So quick that it is worked out under the lock."""
    fresh: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda _request: ()
    """Ids of what it asks to be granted."""


def _of_one(request: Mapping[str, Any]) -> tuple[str, ...]:
    return (request["plan"]["id"],)


def _of_fleet(request: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(plan["id"] for plan in request["plans"])


_KINDS = {
    "plan": _Kind(answer_plan, at_once=False, fresh=_of_one),
    "check": _Kind(answer_check, at_once=False, fresh=_of_one),
    "state": _Kind(answer_state),
    "zones": _Kind(answer_zones, at_once=False),
    "zone-removed": _Kind(answer_zone_removed),
    "conditions": _Kind(answer_conditions),
    "map": _Kind(answer_map, at_once=False),
    "emergency": _Kind(answer_emergency),
    "way": _Kind(answer_way, at_once=False),
    "upkeep": _Kind(answer_upkeep),
    "fleet": _Kind(answer_fleet, at_once=False, fresh=_of_fleet),
}


def question(world: World, kind: str, subject: str, request: Mapping[str, Any], now_s: float) -> Question:
    """A request as a question of the journal. It is read from the request, so that nothing counts that is not written.

    Args:
        kind: as it stands in the log.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in _KINDS:
        raise InputError("is no kind of request", field="kind", value=kind, mend=f"Known: {', '.join(_KINDS)}.")
    how = _KINDS[kind]
    return Question(
        kind,
        subject,
        lambda: request,
        now_s,
        lambda view: how.answer(world, request, now_s, view),
        how.at_once,
        how.fresh(request),
    )
