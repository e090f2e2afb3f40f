"""The main job, whole: a survey becomes a map, three operators ask, two drones fly, and it is all judged and shown.

Nothing here is special to the demo but the story: it calls what the command line calls, on the sample city.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import importlib.util
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sims.scene import on_their_pads
from sims.vehicle import Fleet
from utm import Airspace
from utm.adapters.px4 import Px4Vehicle
from utm.airspace import decision_document, read_plan, read_zones
from utm.airspace.proof import papers_of
from utm.core import judge
from utm.errors import InputError
from utm.mapping.ingest import build_map
from utm.model import Decision, GeoZone, LimitKind, OperationalIntent, Trajectory
from utm.ops.authority import Authority
from utm.ops.fly import Flight, Update, fly
from utm.ops.log import FlightLog
from utm.report import (
    Flown,
    FlownFlight,
    Refused,
    height_profile,
    least_separation,
    plan_view,
    report_html,
    separation_plot,
)
from utm.verify import verify

_SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample_dsm"
#: A Tuesday morning: the school is in.
_MORNING_S = datetime.datetime.fromisoformat("2026-10-20T10:00:00+09:00").timestamp()
#: Plans are filed this long before.
_FILED_BEFORE_S = 1800.0
#: Wall time for two drones to be found, loaded and confirmed before the first departs.
_PREPARATION_WALL_S = 10.0
#: A light breeze from the north-west, east and north.
_WIND_M_S = (2.0, -1.0)
#: Lies in every folder that the demo made, so that it clears away no other.
_MARK = ".made-by-utm-demo"
#: What `make demo` writes into its folder; anything else in there is somebody's own.
_OURS = {_MARK, "survey", "map", "airspace", "plans", "pictures", "report.html", "result.json"}

Tell = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def run(out: Path, *, seed: int | None, speed: float, tell: Tell, progress: Progress | None = None) -> dict[str, Any]:
    """Run the demo; returns what ``result.json`` holds.

    Args:
        out: folder to make anew.
        seed: another town of the sample's generator; None for the sample itself.
        speed: simulated seconds per wall second in flight.
        tell: takes a line for a person.
        progress: takes (stage, done, total) while the map is built.
    """
    began = time.monotonic()
    stages: dict[str, float] = {}

    def staged(name: str, since: float) -> float:
        stages[name] = round(time.monotonic() - since, 2)
        return time.monotonic()

    _make_anew(out)
    survey = _SAMPLE if seed is None else _generate(seed, out / "survey")
    mark = staged("survey", began)
    city_map = build_map(
        [survey / "dsm.tif", survey / "survey_centre.laz"],
        out / "map",
        terrain=[survey / "dtm.tif"],
        resolution_m=2.0,
        progress=progress,
    )
    tell(f"map: {city_map.size[0]} x {city_map.size[1]} cells of {city_map.resolution_m:g} m, {city_map.version[:12]}")
    mark = staged("map", mark)

    zones, places = read_zones(survey / "zones.geojson"), _places(survey)
    filed_s = _MORNING_S - _FILED_BEFORE_S
    with Airspace.create(out / "airspace", city_map, clock=lambda: filed_s) as airspace:
        airspace.add_zones(zones)
        decisions = _ask(airspace, places, out / "plans", tell)
        mark = staged("admission", mark)
        granted = [decision.intent for decision in decisions if decision.intent is not None]
        proofs = [_prove(airspace, intent, tell) for intent in granted]
        mark = staged("proof", mark)
        logs = _fly(airspace, granted, speed, tell)
        mark = staged("flight", mark)

        title = "First flight over the sample town" if seed is None else f"First flight over town {seed}"
        flown = _flown(airspace, survey, zones, decisions, logs, places, title)
        document = _result(airspace, decisions, proofs, logs, flown)
    document |= {"seed": seed, "speed": speed, "reproduce": [_command(seed)], "stages_s": stages}
    _show(flown, document, out)
    staged("report", mark)
    document["wall_s"] = round(time.monotonic() - began, 1)
    (out / "result.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return document


def _make_anew(out: Path) -> None:
    if out.exists():
        strange = sorted({entry.name for entry in out.iterdir()} - _OURS) if out.is_dir() else [out.name]
        if not strange and any(out.iterdir()) and not {_MARK, "result.json"} & {entry.name for entry in out.iterdir()}:
            strange = sorted(entry.name for entry in out.iterdir())  # `survey` and `map` are names that others use too
        if strange:
            raise InputError(
                f"holds {', '.join(strange[:3])}, which the demo did not write", file=out, mend="Choose another --out."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / _MARK).touch()


def _generate(seed: int, folder: Path) -> Path:
    specification = importlib.util.spec_from_file_location("sample_generator", _SAMPLE / "generate.py")
    if specification is None or specification.loader is None:
        raise InputError("is not a Python module", file=_SAMPLE / "generate.py")
    generator = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = generator  # its dataclasses look themselves up there
    specification.loader.exec_module(generator)
    generator.generate(seed, folder)
    return folder


def _places(survey: Path) -> dict[str, dict[str, Any]]:
    """Vertiports by id, in the words of a flight plan file."""
    features = json.loads((survey / "vertiports.geojson").read_text(encoding="utf-8"))["features"]
    return {
        feature["properties"]["id"]: {
            "lon": feature["geometry"]["coordinates"][0],
            "lat": feature["geometry"]["coordinates"][1],
            "height": {"value_m": feature["properties"]["height_m"], "datum": feature["properties"]["datum"]},
        }
        for feature in features
    }


def _ask(airspace: Airspace, places: dict[str, Any], folder: Path, tell: Tell) -> list[Decision]:
    """Three operators file their plans, one after the other."""
    folder.mkdir()

    def file(name: str, operator: str, aircraft: str, way: tuple[str, str], at_s: float, zones: Sequence[str] = ()):
        moment = datetime.datetime.fromtimestamp(at_s, datetime.timezone(datetime.timedelta(hours=9)))
        document = {
            "id": name,
            "operator": operator,
            "aircraft": {"class": aircraft},
            "origin": places[way[0]],
            "destination": places[way[1]],
            "earliest_departure": moment.isoformat(),
            "latest_departure": (moment + datetime.timedelta(minutes=20)).isoformat(),
            "authorisations": list(zones),
        }
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return read_plan(path)

    def submit(plan) -> Decision:
        decision = airspace.submit(plan)
        tell(f"{plan.id}: {_sentence(decision)}")
        return decision

    town = ("did-centre",)
    medicine = file("medicine", "Kaga medical centre", "quad-cargo", ("hospital", "culture-hall"), _MORNING_S, town)
    first = submit(medicine)
    if first.intent is None:
        raise InputError(f"the first plan was refused: {_sentence(first)}", file=folder / "medicine.json")
    # The inspection is filed for the minute at which it would cross the medicine's way just when the medicine is there.
    wish = file("inspection", "Power company", "quad", ("depot", "waterworks"), _MORNING_S, town)
    line = airspace.route_answer(wish).line
    start_s = _MORNING_S + _head_on(first.intent.corridor.centre_line, line)
    second = submit(file("inspection", "Power company", "quad", ("depot", "waterworks"), start_s, town))
    third = submit(file("delivery", "Shop delivery", "quad", ("station", "school-gate"), _MORNING_S, town))
    return [first, second, third]


def _head_on(granted: Trajectory, wish: Trajectory) -> float:
    """The delay (whole seconds) of ``wish`` that brings both to where their ways cross at the same time."""
    own, other = (np.arange(line.start_s, line.end_s, 1.0) for line in (wish, granted))
    here, there = (np.array([line.at(t) for t in times]) for line, times in ((wish, own), (granted, other)))
    apart = np.hypot(here[:, None, 0] - there[None, :, 0], here[:, None, 1] - there[None, :, 1])
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return float(round(other[j] - own[i]))


def _sentence(decision: Decision) -> str:
    if decision.intent is None:
        instead = f" Instead: {decision.alternative_change.sentence}" if decision.alternative_change else ""
        return f"refused. {' '.join(reason.sentence for reason in decision.reasons)}{instead}"
    return "approved as asked." if decision.change is None else f"approved. {decision.change.sentence}"


def _prove(airspace: Airspace, intent: OperationalIntent, tell: Tell) -> dict[str, Any]:
    """A grant before those who shared no code in making it: what `utm verify` says of it."""
    papers = papers_of(airspace, intent.id)
    report = verify(papers.intent, **papers.rest)
    asked = [
        line for line in report.lines if line.kind is not LimitKind.PAD
    ]  # whose margin is what a survey may be off
    least = min(asked, key=lambda line: line.margin_low_m, default=None)
    if report.holds and least is not None:
        subject = f" {least.subject.rpartition('@')[0] or least.subject}" if least.subject else ""
        found = f"{len(report.lines)} limits hold, the least ({least.kind}{subject}) by {least.margin_low_m:.2f} m"
        sentence = f"{intent.id} was proven again by the independent verifier: {found}"
    else:
        sentence = f"{intent.id} could not be proven by the independent verifier: {' '.join(report.faults)}"
    tell(sentence)
    return {**report.document(), "sentence": sentence}


def _fly(airspace: Airspace, intents: Sequence[OperationalIntent], speed: float, tell: Tell) -> list[FlightLog]:
    """Both drones at once, as simulated vehicles on loopback."""
    city_map = airspace.city_map
    ports = [_free_port() for _ in intents]
    configs = on_their_pads(
        city_map,
        intents,
        start_utc_s=min(intent.corridor.centre_line.start_s for intent in intents) - _PREPARATION_WALL_S * speed,
        wind_m_s=_WIND_M_S,
        ports=[(0, port) for port in ports],
    )
    flights = [
        Flight(intent, city_map.frame, Px4Vehicle(f"udpin://127.0.0.1:{port}"))
        for intent, port in zip(intents, ports, strict=True)
    ]

    def show(update: Update) -> None:
        if update.sentence:
            tell(f"{update.intent_id}: {update.sentence}")

    # Compiled before the clocks of the vehicles run: on a cold cache that takes seconds, each worth `speed` of theirs.
    for intent in intents:
        judge(intent.corridor, intent.corridor.centre_line.start_s, intent.corridor.centre_line.enu_m[0])
    with Fleet(configs, speed=speed):
        return asyncio.run(fly(flights, Authority(airspace), on_update=show))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _result(
    airspace: Airspace,
    decisions: Sequence[Decision],
    proofs: Sequence[dict[str, Any]],
    logs: Sequence[FlightLog],
    flown: Flown,
) -> dict[str, Any]:
    rules = airspace.rules
    nearest = least_separation(flown.flights[0], flown.flights[1], rules) if len(flown.flights) == 2 else None
    kept = nearest is None or nearest.margin >= 1.0
    as_told = decisions[0].approved and decisions[0].change is None
    as_told = as_told and decisions[1].change is not None and not decisions[2].approved
    flights = [_flight_row(airspace, log) for log in logs]
    proven = all(proof["holds"] for proof in proofs)
    return {
        "conforming": bool(as_told and proven and kept and len(logs) == 2 and all(log.conformed for log in logs)),
        "decisions": [
            {
                "plan": decision.plan.id,
                "operator": decision.plan.operator,
                "status": "approved" if decision.approved else "refused",
                "sentence": _sentence(decision).split(". ", 1)[-1]
                if decision.change or not decision.approved
                else "as asked",
                "document": decision_document(airspace.city_map, decision),
            }
            for decision in decisions
        ],
        "proofs": list(proofs),
        "flights": flights,
        "separation": {
            "horizontal_m": None if nearest is None else round(nearest.horizontal_m, 2),
            "vertical_m": None if nearest is None else round(nearest.vertical_m, 2),
            "time_s": None if nearest is None else round(nearest.t_s, 2),
            "required_horizontal_m": rules.separation_horizontal_m,
            "required_vertical_m": rules.separation_vertical_m,
            "kept": kept,
        },
        "map": {"version": airspace.city_map.version, "cells": list(airspace.city_map.size)},
        "rules": dataclasses.asdict(rules),
    }


def _flight_row(airspace: Airspace, log: FlightLog) -> dict[str, Any]:
    rules = airspace.rules
    seen = len(log.t_s) > 0
    return {
        "id": log.intent_id,
        "conformed": log.conformed,
        "landed": log.landed,
        "positions": len(log.t_s),
        "inside": int(log.inside.sum()),
        "airborne_s": round(float(log.t_s[-1] - log.t_s[0]), 1) if seen else 0.0,
        "worst_cross_track_m": round(float(log.cross_track_m.max()), 2) if seen else 0.0,
        "worst_height_error_m": round(float(np.abs(log.height_error_m).max()), 2) if seen else 0.0,
        "half_width_m": rules.half_width_m,
        "half_height_m": rules.half_height_m,
        "error": None if log.error is None else str(log.error),
        "vehicle_said": list(log.said),
    }


def _command(seed: int | None) -> str:
    return "make demo" if seed is None else f"utm demo --seed {seed}"


def _water(survey: Path) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Outlines (lon, lat) of lake and river, for drawing only."""
    features = json.loads((survey / "water.geojson").read_text(encoding="utf-8"))["features"]
    return tuple(
        tuple((lon, lat) for lon, lat in ring) for feature in features for ring in feature["geometry"]["coordinates"]
    )


def _flown(
    airspace: Airspace,
    survey: Path,
    zones: Sequence[GeoZone],
    decisions: Sequence[Decision],
    logs: Sequence[FlightLog],
    places: dict[str, Any],
    title: str,
) -> Flown:
    granted = {decision.intent.id: decision for decision in decisions if decision.intent is not None}
    return Flown(
        city_map=airspace.city_map,
        zones=tuple(zones),
        flights=tuple(
            FlownFlight(
                intent=airspace.intent(log.intent_id),
                t_s=log.t_s,
                enu_m=log.enu_m,
                cross_track_m=log.cross_track_m,
                height_error_m=log.height_error_m,
                inside=log.inside,
                decision_line=_sentence(granted[log.intent_id]),
                trouble="" if log.error is None else str(log.error),
            )
            for log in logs
        ),
        rules=airspace.rules,
        refused=tuple(
            Refused(
                decision.plan,
                " ".join(reason.sentence for reason in decision.reasons),
                decision.alternative,
                decision.alternative_change.sentence if decision.alternative_change else "",
            )
            for decision in decisions
            if not decision.approved
        ),
        places=tuple((name, place["lon"], place["lat"]) for name, place in places.items()),
        title=title,
        water=_water(survey),
    )


def _show(flown: Flown, document: dict[str, Any], out: Path) -> None:
    folder = out / "pictures"
    folder.mkdir()
    pictures = {"plan": folder / "plan.png"}
    plan_view(flown, pictures["plan"])
    if len(flown.flights) > 1:
        pictures["separation"] = folder / "separation.png"
        separation_plot(flown, pictures["separation"])
    for flight in flown.flights:
        name = f"profile:{flight.intent.plan.id}"
        pictures[name] = folder / f"profile-{flight.intent.plan.id}.png"
        height_profile(flown, flight, pictures[name])
    report_html(flown, pictures, document, out / "report.html")
