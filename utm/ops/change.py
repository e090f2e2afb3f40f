"""What the airspace's log says of a flight that is being flown: read from its entries. Pure."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from utm.airspace.records import intent_from
from utm.model import Corridor, IntentState, OperationalIntent, Trajectory

#: Two ways this near to each other are one (metres).
_SAME_M = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A new version of an intent."""

    intent_id: str
    version: int
    """Grows with every change: one that is not above what is known is no news."""
    state: IntentState
    why: str
    """What changed, and for whom or what: one sentence."""
    intent: OperationalIntent | None = None
    """The whole of it where it was given another corridor; None where only its state changed."""
    longer: bool = False
    """It has its road for longer than before, because it is late, and nothing else changed."""


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """What has happened up to an entry of the log."""

    seq: int
    changes: tuple[Change, ...] = ()
    """In the order of the log."""


def as_it_stands(intent: OperationalIntent) -> Change:
    """An intent as it is now, whatever led to it."""
    return Change(intent.id, intent.version, intent.state, f"it is {intent.state} in version {intent.version}", intent)


def changes_in(entry: Any, intent_ids: Collection[str]) -> Iterator[Change]:
    """What an entry of the log (`utm.airspace.ledger.Entry`) changes in some intents.

    Raises:
        StoreError: an intent in it cannot be read.
    """
    # An id stands in the text of every entry that concerns it; most entries concern none and need not be parsed.
    if not any(json.dumps(name) in entry.text for name in intent_ids):
        return
    body = entry.body
    for document in body.get("intents", ()):
        if document["id"] in intent_ids:
            intent = intent_from(document)
            longer = intent.id in body["answer"].get("extended", ())
            yield Change(intent.id, intent.version, intent.state, why(entry, intent.id), intent, longer)
    for state in body.get("states", ()):
        if state["id"] in intent_ids:
            yield Change(state["id"], state["version"], IntentState(state["state"]), why(entry, state["id"]))


def why(entry: Any, intent_id: str) -> str:
    """Who or what an entry is about, and what that means for one intent."""
    answer, request = entry.body["answer"], entry.body["request"]
    moves = [
        move
        for key in ("displaced", "touched", "moved")
        for move in answer.get(key, ())
        if isinstance(move, Mapping) and move["id"] == intent_id
    ]
    said = moves[0]["sentence"] if moves else _said(entry.kind, answer, request, intent_id)
    return f"{_cause(entry.kind, entry.subject, answer, request)}: {said[:1].lower()}{said[1:]}".rstrip(".")


def _cause(kind: str, subject: str, answer: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    by = request.get("actor", {}).get("name", "the airspace")
    match kind:
        case "plan" | "check":
            return f"makes way for {subject}"
        case "fleet":
            return f"makes way for flights of {by}"
        case "zones":
            return f"{by} entered {', '.join(answer['zones'])}"
        case "emergency":
            return f"{by} closed {', '.join(answer['zones'])}"
        case "way":
            return f"{by} gave it another way"
        case "map":
            return "the map has a new version"
        case "upkeep":
            return "the clock"
        case _:
            return f"by {by}"


def _said(kind: str, answer: Mapping[str, Any], request: Mapping[str, Any], intent_id: str) -> str:
    """What an entry means for an intent that it says no sentence about."""
    if kind == "emergency":
        hold = next((one for one in answer["holds"] if one["id"] == intent_id), None)
        if hold is not None:
            until = datetime.datetime.fromtimestamp(hold["from_s"], datetime.UTC)
            return f"it is to hold before that, where it is at {until:%H:%M:%S} UTC"
    if intent_id in answer.get("no_shows", ()):
        return "it did not take off in its time"
    if intent_id in answer.get("extended", ()):
        return "it is late, and has its road for longer"
    said = f"it is {request['to']} now" if "to" in request else "it was changed"
    if way := answer.get("way_out"):
        return f"{said}, and the room that it has is that of its way out ({way['kind']})"
    return said


def is_another(given: Corridor, known: Corridor) -> bool:
    """Whether a corridor's room differs from another's."""
    same = np.array_equal(given.centre_line.t_s, known.centre_line.t_s)
    same = same and np.array_equal(given.centre_line.enu_m, known.centre_line.enu_m)
    return not same or given.time_tolerance_s != known.time_tolerance_s


def leaves_s(flown: Trajectory, given: Trajectory) -> float:
    """When a new way leaves the one that is flown: the last knot of either at which both are at one place.

    Returns:
        Unix seconds; infinity where it never does, minus infinity where the two never were one.
    """
    times = np.union1d(flown.t_s, given.t_s)
    apart = np.linalg.norm([given.at(t_s) - flown.at(t_s) for t_s in times], axis=1) > _SAME_M
    if not apart.any():
        return math.inf
    first = int(apart.argmax())
    return float(times[first - 1]) if first > 0 else -math.inf
