"""The authority: states, times, zones entered later, several processes at once, damage."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import shutil
import sqlite3

import numpy as np
import pytest

from tests.airspace.conftest import PADS, T0, plan, sqlite_only, zone
from tests.airspace.test_admission import sampled_conflict
from utm.airspace import Airspace, decision_document, intent_detail
from utm.airspace.records import intent_document, intent_from
from utm.airspace.volumes import volumes_of
from utm.core import in_conflict
from utm.errors import InputError, MapError, StateError, StoreError, ZoneError
from utm.mapping import CityMap
from utm.model import IntentState, RuleSet


@pytest.fixture
def granted(airspace, town):
    decision = airspace.submit(plan(town, "one", ("west", "east")))
    assert decision.approved
    return decision.intent


def test_an_intent_survives_the_database(airspace, granted):
    read = airspace.intent("one")
    assert intent_document(read) == intent_document(granted)
    assert read.plan == granted.plan
    np.testing.assert_array_equal(read.corridor.centre_line.t_s, granted.corridor.centre_line.t_s)
    assert intent_document(intent_from(json.loads(json.dumps(intent_document(granted))))) == intent_document(granted)


def test_what_it_was_judged_against_is_named(airspace, town, granted):
    airspace.add_zones([zone(town, "far", (1500.0, 1100.0), 30.0)])
    second = airspace.submit(plan(town, "two", ("north", "south"))).intent
    assert second.map_version == town.version
    assert second.neighbours == (f"one@{granted.ovn}",)
    assert [name.split("@")[0] for name in second.zones] == ["far"]


def test_an_id_is_granted_once(airspace, town, granted):
    with pytest.raises(StateError, match="one was granted already"):
        airspace.submit(plan(town, "one", ("north", "south")))


def test_a_refused_plan_may_be_filed_again(airspace, town):
    airspace.add_zones([zone(town, "works", PADS["east"], 60.0)])
    assert not airspace.submit(plan(town, "one", ("west", "east"))).approved
    airspace.remove_zone("works")
    assert airspace.submit(plan(town, "one", ("west", "east"))).approved
    assert airspace.decision("one")["status"] == "approved"


def test_the_course_of_a_flight(airspace, granted):
    line = granted.corridor.centre_line
    activated = airspace.activate("one", T0 - 60.0)
    assert (activated.state, activated.version) == (IntentState.ACTIVATED, 2)
    assert activated.ovn != granted.ovn
    half = (line.start_s + line.end_s) / 2
    for seen_s in np.arange(line.start_s + 2.0, half, 8.0):
        assert airspace.position("one", seen_s, line.at(seen_s)).inside
    assert airspace.position("one", half, line.at(half)).inside
    stray = line.at(half + 1.0) + [0.0, 0.0, 11.0]
    assert not airspace.position("one", half + 1.0, stray).inside
    assert airspace.intent("one").state is IntentState.NONCONFORMING
    assert airspace.position("one", half + 2.0, line.at(half + 2.0)).inside
    assert airspace.intent("one").state is IntentState.ACTIVATED
    for seconds in (3.0, 40.0, 63.5):
        airspace.position("one", half + seconds, line.at(half + seconds) + [0.0, 0.0, 15.0])
    assert airspace.intent("one").state is IntentState.CONTINGENT
    # Contingent has no way back.
    airspace.position("one", half + 65.0, line.at(half + 65.0))
    assert airspace.intent("one").state is IntentState.CONTINGENT
    assert airspace.end("one").state is IntentState.ENDED
    kinds = [(event.kind, event.body["answer"].get("to")) for event in airspace.events()]
    assert kinds == [
        ("plan", None),
        ("state", "Activated"),
        ("state", "Nonconforming"),
        ("state", "Activated"),
        ("state", "Nonconforming"),
        ("state", "Contingent"),
        ("state", "Ended"),
    ]


def test_on_its_pad_a_drone_conforms(airspace, granted):
    airspace.activate("one", T0 - 60.0)
    line = granted.corridor.centre_line
    assert airspace.position("one", line.start_s - 30.0, line.enu_m[0]).inside
    assert airspace.position("one", line.end_s + 30.0, line.enu_m[-1]).inside
    assert not airspace.position("one", line.end_s + 90.0, line.enu_m[-1]).inside


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (["end", "end"], "is Ended and cannot become Ended"),
        (["activate", "cancel"], "a flight that began is ended, not cancelled"),
        (["position"], "is Accepted, not in flight"),
        (["cancel", "activate"], "is Ended and cannot become Activated"),
    ],
)
def test_steps_out_of_order(airspace, granted, steps, words):
    def do(step: str) -> None:
        if step == "position":
            airspace.position("one", T0, granted.corridor.centre_line.enu_m[0])
        elif step == "activate":
            airspace.activate("one", T0)
        else:
            getattr(airspace, step)("one")

    for step in steps[:-1]:
        do(step)
    with pytest.raises(StateError, match=words):
        do(steps[-1])


def test_activation_has_its_time(airspace, granted):
    with pytest.raises(StateError, match="activate it within 15 minutes"):
        airspace.activate("one", T0 - 3600.0)
    with pytest.raises(StateError, match="should have landed"):
        airspace.activate("one", T0 + 7200.0)


def test_nan_positions_are_refused(airspace, granted):
    airspace.activate("one", T0)
    with pytest.raises(InputError, match="finite numbers"):
        airspace.position("one", T0, [float("nan"), 0.0, 0.0])
    assert airspace.positions() == {}


def test_an_ended_flight_frees_its_room(airspace, town, granted):
    taken = airspace.submit(plan(town, "two", ("west", "east")))
    assert taken.change is not None
    for name in ("one", "two"):
        airspace.end(name)
    assert airspace.submit(plan(town, "three", ("west", "east"))).change is None


def test_a_new_zone_names_the_flights_it_stands_in_the_way_of(airspace, town, granted):
    middle = granted.corridor.centre_line.at((T0 + granted.corridor.centre_line.end_s) / 2)[:2]
    (move,) = airspace.add_zones([zone(town, "works", tuple(middle), 20.0)])
    assert (move.before.id, move.kind) == ("one", "replanned")
    assert airspace.intent("one").version == 2
    later = zone(town, "later", tuple(middle), 20.0, valid_from_s=T0 + 7200.0)
    assert airspace.add_zones([later]) == ()
    assert airspace.add_zones([zone(town, "corner", (1550.0, 50.0), 20.0)]) == ()
    assert [entry.id for entry in airspace.zones()] == ["corner", "later", "works"]


def test_two_zones_of_one_id_are_not_made_one(airspace, town):
    pair = [zone(town, "works", PADS["east"], 60.0), zone(town, "works", PADS["west"], 60.0)]
    with pytest.raises(ZoneError, match="works: two zones have this id"):
        airspace.add_zones(pair)
    assert airspace.zones() == ()


def test_a_flight_that_begins_while_it_is_cancelled_stays(airspace, granted, monkeypatch):
    ask = airspace._journal.ask

    def activated_meanwhile(question):
        monkeypatch.setattr(airspace._journal, "ask", ask)
        airspace.activate("one", T0)
        return ask(question)

    monkeypatch.setattr(airspace._journal, "ask", activated_meanwhile)
    with pytest.raises(StateError, match="ended, not cancelled"):
        airspace.cancel("one")
    assert airspace.intent("one").state is IntentState.ACTIVATED


def test_a_zone_file_is_entered_whole_or_not_at_all(airspace, town):
    good, bad = zone(town, "good", (300, 300), 20), zone(town, "bad", (600, 300), 20, lower_m=300.0)
    with pytest.raises(ZoneError, match="not below"):
        airspace.add_zones([good, bad])
    assert airspace.zones() == ()
    with pytest.raises(StateError, match="there is no zone good"):
        airspace.remove_zone("good")


def _file(folder: str, number: int) -> bool:
    with Airspace.open(folder, clock=lambda: T0 - 600.0) as airspace:
        ways = list(itertools.permutations(sorted(PADS), 2))
        return airspace.submit(plan(airspace.city_map, f"p{number}", ways[number % len(ways)])).approved


def test_several_processes_never_grant_the_same_room(airspace, town):
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        answers = list(pool.map(_file, itertools.repeat(str(airspace.path)), range(4)))
    intents = airspace.intents()
    assert len(intents) == sum(answers) > 1
    rules = RuleSet()
    for one, two in itertools.combinations(intents, 2):
        assert not in_conflict(
            one.corridor.centre_line,
            two.corridor.centre_line,
            2 * rules.half_width_m + rules.separation_horizontal_m,
            2 * rules.half_height_m + rules.separation_vertical_m,
            2 * rules.time_tolerance_s,
        )
    # And by the eye of somebody who knows nothing of the engine.
    assert not sampled_conflict([_Seen(intent) for intent in intents], rules, 1.0)


class _Seen:
    def __init__(self, intent):
        self.intent = intent


def test_an_airspace_is_opened_again(airspace, town, granted):
    with Airspace.open(airspace.path) as again:
        assert [intent.id for intent in again.intents()] == ["one"]
        assert again.city_map.version == town.version
        assert again.rules == RuleSet()


def test_a_map_that_changed_is_noticed(airspace, town, tmp_path):
    other = tmp_path / "map"
    shutil.copytree(town.path, other)
    (other / "versions" / f"{town.version[:16]}.json").unlink()
    file = airspace.path / "airspace.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(document | {"map": str(other)}), encoding="utf-8")
    with pytest.raises(MapError, match=f"stands on version {town.version[:12]} of its map, which does not open"):
        Airspace.open(airspace.path)


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda path: shutil.rmtree(path), InputError, "there is no airspace here"),
        (lambda path: (path / "airspace.json").write_text("{"), InputError, "is damaged"),
        (lambda path: (path / "airspace.json").write_text("{}"), InputError, "is damaged"),
        (lambda path: (path / "airspace.db").unlink(), StoreError, "is gone"),
        (lambda path: (path / "airspace.db").write_bytes(b"not a database at all" * 100), StoreError, "not a database"),
    ],
)
@sqlite_only
def test_a_damaged_airspace_is_named(airspace, damage, error, words):
    airspace.close()
    for extra in airspace.path.glob("airspace.db-*"):
        extra.unlink()
    damage(airspace.path)
    with pytest.raises(error, match=words):
        Airspace.open(airspace.path)


def test_a_database_of_somebody_else_is_refused(tmp_path, town):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()
    with Airspace.create(tmp_path / "a", town) as made:
        file = made.path / "airspace.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(document | {"database": f"sqlite:///{other}"}), encoding="utf-8")
    with pytest.raises(StoreError, match="holds no airspace"):
        Airspace.open(file.parent)


@sqlite_only
def test_the_database_of_another_map_is_refused(airspace):
    with contextlib.closing(sqlite3.connect(airspace.path / "airspace.db")) as connection:
        connection.execute("UPDATE meta SET value = 'other' WHERE key = 'map_version'")
        connection.commit()
    with pytest.raises(MapError, match="stands on version other of its map"):
        Airspace.open(airspace.path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"map": 5}, "is damaged"),
        ({"format": 1, "rules": {"birds": 1}}, "has format 1"),
        ({"rules": {"clearance_m": "30"}}, "is damaged"),
        ({"rules": {"clearance_m": -30.0}}, "0 or more"),
    ],
)
@sqlite_only
def test_settings_that_make_no_sense_are_named(airspace, change, words):
    file = airspace.path / "airspace.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        Airspace.open(airspace.path)


def test_a_second_airspace_does_not_overwrite_the_first(airspace, town):
    with pytest.raises(InputError, match="exists already"):
        Airspace.create(airspace.path, town)


def test_what_is_published(airspace, town, granted):
    document = decision_document(town, airspace.submit(plan(town, "two", ("east", "west"))))
    assert document["status"] == "approved"
    assert document["change"]["kind"] in ("delay", "height", "route")
    detail = intent_detail(town, granted)
    first = detail["route"][0]
    # The plain lies at 10 m in JGD2011; at Kaga the ellipsoid is 37.28 m lower, EGM96's sea level 0.58 m.
    assert first["agl_m"] == pytest.approx(0.0, abs=0.01)
    assert first["ellipsoid_m"] == pytest.approx(47.28, abs=0.1)
    assert first["amsl_m"] == pytest.approx(10.58, abs=0.1)
    assert first["time"] == "2026-10-20T01:00:00.000Z"
    for volume, published in zip(volumes_of(granted.corridor), detail["volumes"], strict=True):
        shape = published["volume"]
        assert shape["altitude_upper"]["value"] - shape["altitude_lower"]["value"] >= volume.ceiling_m - volume.floor_m
        assert len(shape["outline_polygon"]["vertices"]) == len(volume.outline_m)
    json.dumps(document, allow_nan=False)


def test_the_map_is_the_one_that_was_named(airspace, town):
    assert CityMap.open(airspace.path / json.loads((airspace.path / "airspace.json").read_text())["map"]).version == (
        town.version
    )
