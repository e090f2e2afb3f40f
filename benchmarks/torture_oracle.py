"""What must hold of an airspace's database after anything: read with plain SQL and JSON, judged without the engine.

Shares no code with what grants: the pairs are judged by the verifier's own geometry (`utm.verify`), the chain is hashed
again here, and the tables are compared with what follows from the log by the few lines below.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sql

from utm.verify.apart import nearest
from utm.verify.reading import Room

#: Two flights that keep the limit to rounding keep it.
_HAIR_M = 1e-6


def read(url: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The log and the table of intents, as they stand in the database."""
    engine = sql.create_engine(url)
    with engine.connect() as connection:
        log = [dict(row._mapping) for row in connection.execute(sql.text("SELECT * FROM log ORDER BY seq"))]
        intents = [dict(row._mapping) for row in connection.execute(sql.text("SELECT * FROM intents ORDER BY id"))]
    engine.dispose()
    return log, intents


def faults(
    log: list[dict[str, Any]],
    intents: list[dict[str, Any]],
    acknowledged: Iterable[Mapping[str, Any]],
    rules: Mapping[str, float],
) -> tuple[list[str], dict[str, int]]:
    """Everything that is wrong, in sentences; and what was looked at, in numbers.

    Args:
        acknowledged: what clients were told: ``seq``, ``digest``, and of grants ``id``.
        rules: of the airspace.
    """
    found = list(_chain(log))
    spans = _granted(log)
    found += _tables(log, intents, spans)
    digests = {row["seq"]: row["digest"] for row in log}
    told = list(acknowledged)
    for one in told:
        if digests.get(one["seq"]) != one["digest"]:
            found.append(f"entry {one['seq']} was acknowledged ({one['digest'][:12]}) and is lost")
        if one.get("id") is not None and one["id"] not in {span[0] for span in spans}:
            found.append(f"{one['id']} was granted, by what a client was told, and is not in the log")
    pairs, near, met = _pairs(spans, rules)
    found += met
    return found, {"entries": len(log), "grants": len(spans), "told": len(told), "pairs": pairs, "judged": near}


def _chain(log: list[dict[str, Any]]) -> Iterable[str]:
    previous = "0" * 64
    for number, row in enumerate(log, 1):
        head = json.dumps([row["seq"], row["at_s"], row["kind"], row["subject"]], separators=(",", ":"))
        text = f"{head[:-1]},{row['body']},{json.dumps(row['previous'])}]"
        if row["seq"] != number:
            yield f"entry {row['seq']} stands at place {number}"
        if row["previous"] != previous or hashlib.sha256(text.encode()).hexdigest() != row["digest"]:
            yield f"entry {row['seq']} is not as its digest says, or does not follow the one before"
        previous = row["digest"]


def _granted(log: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], int, float]]:
    """(id, document, from, until) of every corridor: between which entries of the log it was reserved."""
    open_: dict[str, tuple[dict[str, Any], int]] = {}
    spans = []

    def close(name: str, seq: float) -> None:
        if name in open_:
            document, begin = open_.pop(name)
            spans.append((name, document, begin, seq))

    for row in log:
        body = json.loads(row["body"])
        for document in body.get("intents", ()):
            close(document["id"], row["seq"])
            if document["state"] != "Ended":
                open_[document["id"]] = (document, row["seq"])
        for state in body.get("states", ()):
            if state["state"] == "Ended":
                close(state["id"], row["seq"])
    for name in list(open_):
        close(name, float("inf"))
    return spans


def _tables(log, intents, spans) -> Iterable[str]:  # type: ignore[no-untyped-def]
    """Whether the table of intents says what the log says: nothing half-granted."""
    expected: dict[str, dict[str, Any]] = {}
    for row in log:
        body = json.loads(row["body"])
        for document in body.get("intents", ()):
            expected[document["id"]] = {name: document[name] for name in ("state", "version", "ovn")}
            expected[document["id"]]["entry"] = row["seq"]
        for state in body.get("states", ()):
            expected[state["id"]] |= {name: state[name] for name in ("state", "version", "ovn")}
    there = {row["id"]: {name: row[name] for name in ("state", "version", "ovn", "entry")} for row in intents}
    for name in sorted(expected.keys() | there.keys()):
        if expected.get(name) != there.get(name):
            yield f"{name}: the log says {expected.get(name)}, the table {there.get(name)}"


def _room(document: Mapping[str, Any]) -> Room:
    corridor = dict(document["corridor"])
    tube = corridor.pop("tube")
    arrays = {name: np.array(corridor.pop(name), np.float64) for name in ("t_s", "enu_m")}
    return Room(**arrays, **corridor, tube_horizontal_m=tube["horizontal_m"], tube_vertical_m=tube["vertical_m"])


def _pairs(spans, rules) -> tuple[int, int, list[str]]:  # type: ignore[no-untyped-def]
    """How many pairs were reserved at once, how many of them came near in time, and which came too near."""
    rooms = [_room(document) for _, document, _, _ in spans]
    margins = np.array([room.pad_hold_s + room.time_tolerance_s for room in rooms])
    begins = np.array([room.t_s[0] for room in rooms]) - margins
    ends = np.array([room.t_s[-1] for room in rooms]) + margins
    order = np.argsort(begins, kind="stable")
    pairs = near = 0
    found = []
    active: list[int] = []
    for n in order.tolist():
        active = [m for m in active if ends[m] >= begins[n]]
        for m in active:
            (name, _, since, until), (other, _, from_, to) = spans[n], spans[m]
            if since >= to or from_ >= until:
                continue  # never reserved at the same time
            pairs += 1
            a, b = rooms[n], rooms[m]
            apart = a.half_width_m + b.half_width_m + a.tube_horizontal_m + b.tube_horizontal_m
            apart += rules["separation_horizontal_m"]
            room = max(a.below_m + b.above_m, a.above_m + b.below_m)
            up = room + a.tube_vertical_m + b.tube_vertical_m + rules["separation_vertical_m"]
            closest = nearest(a, b, up - 1e-9, a.time_tolerance_s + b.time_tolerance_s, within_m=apart)
            near += 1
            if closest is not None and closest.high_m < apart - _HAIR_M:
                found.append(f"{name} and {other} come within {closest.high_m:.3f} m; {apart:.3f} m are needed")
        active.append(n)
    return pairs, near, found
