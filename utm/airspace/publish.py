"""What the airspace tells the world of a decision: plain JSON, degrees, every height in every datum."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from utm.airspace.documents import iso
from utm.airspace.ledger import Entry
from utm.airspace.records import intent_from
from utm.airspace.saying import decision_said
from utm.airspace.volumes import volumes_of
from utm.mapping import CityMap
from utm.model import Datum, Decision, Limit, OperationalIntent, Trajectory, Volume4D, WayOut


def route_document(city_map: CityMap, line: Trajectory) -> list[dict[str, Any]]:
    """The points of a trajectory: longitude, latitude, ellipsoid, AMSL and AGL height, time."""
    frame = city_map.frame
    east, north, up = line.enu_m.T
    lon, lat = frame.to_lonlat(east, north)
    heights = {
        "ellipsoid_m": frame.height(up, Datum.WGS84, lon, lat),
        "amsl_m": frame.height(up, Datum.AMSL, lon, lat),
        "agl_m": up - city_map.terrain_up(east, north),
    }
    return [
        {
            "lon": round(float(lon[i]), 8),
            "lat": round(float(lat[i]), 8),
            **{name: round(float(values[i]), 3) for name, values in heights.items()},
            "time": iso(float(line.t_s[i])),
        }
        for i in range(len(up))
    ]


def volume_document(city_map: CityMap, volume: Volume4D) -> dict[str, Any]:
    """One Volume4D in the shape and datum of ASTM F3548-21: WGS84 degrees and ellipsoid metres.

    Over one volume the geoid is not quite level: the lowest ellipsoid height of its floor and the highest of its
    ceiling count, so that what is published contains what was granted.
    """
    frame = city_map.frame
    lon, lat = frame.to_lonlat(*volume.outline_m.T)
    floor = float(np.min(frame.height(volume.floor_m, Datum.WGS84, lon, lat)))
    ceiling = float(np.max(frame.height(volume.ceiling_m, Datum.WGS84, lon, lat)))
    return {
        "volume": {
            "outline_polygon": {
                "vertices": [
                    {"lng": round(float(x), 8), "lat": round(float(y), 8)} for x, y in zip(lon, lat, strict=True)
                ]
            },
            "altitude_lower": {"value": round(floor - 0.005, 2), "reference": "W84", "units": "M"},
            "altitude_upper": {"value": round(ceiling + 0.005, 2), "reference": "W84", "units": "M"},
        },
        "time_start": {"value": iso(volume.start_s), "format": "RFC3339"},
        "time_end": {"value": iso(volume.end_s), "format": "RFC3339"},
    }


def intent_summary(intent: OperationalIntent) -> dict[str, Any]:
    """One line of `utm plan list`."""
    line = intent.corridor.centre_line
    return {
        "id": intent.id,
        "operator": intent.plan.operator,
        "state": str(intent.state),
        "version": intent.version,
        "ovn": intent.ovn,
        "departure": iso(line.start_s),
        "arrival": iso(line.end_s),
    }


def intent_detail(city_map: CityMap, intent: OperationalIntent) -> dict[str, Any]:
    """Everything about an intent."""
    corridor = intent.corridor
    return intent_summary(intent) | {
        "aircraft": intent.plan.aircraft.name,
        "corridor": {
            "half_width_m": corridor.half_width_m,
            "below_m": corridor.below_m,
            "above_m": corridor.above_m,
            "time_tolerance_s": corridor.time_tolerance_s,
            "pad_hold_s": corridor.pad_hold_s,
        },
        "route": route_document(city_map, corridor.centre_line),
        "volumes": [volume_document(city_map, volume) for volume in volumes_of(intent.corridor)],
        "clearances": {name: round(value, 2) for name, value in intent.clearances.items()},
        "judged_against": {
            "map": intent.map_version,
            "zones": list(intent.zones),
            "intents": list(intent.neighbours),
            "conditions": intent.conditions,
            "entry": list(intent.judged),
        },
        "ways_out": [way_document(city_map, way) for way in intent.ways_out],
        "limits": [limit_document(limit) for limit in intent.limits],
    }


def way_document(city_map: CityMap, way: WayOut) -> dict[str, Any]:
    """One way out, for people and for whoever flies it."""
    east, north, up = way.site_m
    lon, lat = (float(value) for value in city_map.frame.to_lonlat(east, north))
    return {
        "kind": str(way.kind),
        "from": iso(way.from_s),
        "until": iso(way.until_s),
        "lon": round(lon, 8),
        "lat": round(lat, 8),
        "ellipsoid_m": round(float(city_map.frame.height(up, Datum.WGS84, lon, lat)), 3),
        "wait_s": way.wait_s,
        "settings": dict(way.settings),
    }


def limit_document(limit: Limit) -> dict[str, Any]:
    """One line of a certificate."""
    return {
        "kind": str(limit.kind),
        "subject": limit.subject,
        "found_m": round(limit.found_m, 3),
        "needed_m": round(limit.needed_m, 3),
        "margin_m": round(limit.margin_m, 3),
        "time": iso(limit.at_s),
        "at_m": [round(value, 2) for value in limit.at_m],
    }


def decision_document(city_map: CityMap, decision: Decision) -> dict[str, Any]:
    """The answer to ``plan submit --json``."""
    receipt = decision.receipt
    return decision_said(decision) | {
        "intent": intent_detail(city_map, decision.intent) if decision.intent else None,
        "displaced": [move.document() for move in decision.details.get("displaced", ())],
        "receipt": None if receipt is None else dataclasses.asdict(receipt),
    }


def decision_published(city_map: CityMap, entry: Entry, plan_id: str) -> dict[str, Any]:
    """The same from the log: of one plan, also where several were decided together or it could not be judged."""
    body = entry.body
    receipt = {"receipt": {"seq": entry.seq, "digest": entry.digest, "signature": entry.signature}}
    said = dict(body["answer"])
    if said.get("status") != "error" and "plans" in said:
        moves = said["displaced"]
        said = next(dict(one) for one in said["plans"] if one["plan"] == plan_id)
        said["displaced"] = [move for move in moves if move["id"] != plan_id]
    if said["status"] == "error":
        error = {"kind": said["error"]["kind"], "message": said["error"]["sentence"]}
        return {"plan": plan_id, "status": "error", "error": error} | receipt
    intents = [document for document in body.get("intents", ()) if document["id"] == plan_id]
    intent = intent_detail(city_map, intent_from(intents[0])) if intents else None
    return {"displaced": []} | said | {"intent": intent} | receipt


def since_document(entries: Iterable[Entry], plan_id: str) -> list[dict[str, Any]]:
    """What became of a granted flight after its decision: each change, when, by which entry, on whose behalf."""
    quoted, found = json.dumps(plan_id), []
    for entry in entries:
        if quoted in entry.text:  # most entries speak of others, and are not worth reading
            actor = entry.body["request"].get("actor")
            for kind, sentence in _became(entry, plan_id):
                found.append(
                    {
                        "entry": entry.seq,
                        "time": iso(entry.at_s),
                        "kind": kind,
                        "sentence": sentence,
                        "for": {"kind": entry.kind, "subject": entry.subject, "actor": actor},
                    }
                )
    return found


def _became(entry: Entry, plan_id: str) -> Iterator[tuple[str, str]]:
    said = entry.body["answer"]
    if said.get("status") == "error":
        return
    if entry.kind == "state" and entry.subject == plan_id:
        way = f" Its drone takes its way out: {said['way_out']['kind']}." if "way_out" in said else ""
        yield str(said["to"]), f"Is {said['to']} from now on.{way}"
    for name in ("touched", "moved", "displaced"):
        for move in said.get(name, ()):
            if isinstance(move, dict) and move["id"] == plan_id:
                yield move["kind"], move["sentence"]
    if any(hold["id"] == plan_id for hold in said.get("holds", ())):
        yield "hold", "Is to hold before a closed volume."
    if plan_id in said.get("no_shows", ()):
        yield "no-show", "Did not depart; its slots are free."
    if plan_id in said.get("extended", ()):
        yield "overrun", "Keeps its room until it is told to have ended."
