"""Flights make way: for priority, zones, an emergency, a new map, the clock. And nobody meets anybody."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.airspace.conftest import PADS, T0, plan, zone
from utm.airspace import Airspace
from utm.airspace.rejudging import touched
from utm.airspace.situation import REACTION_S
from utm.core import in_conflict
from utm.core.traffic import apart
from utm.errors import PlanError, StateError
from utm.model import Actor, IntentState, Role

RESCUE = Actor("119", Role.RESCUE)


def live(airspace):
    return [one for one in airspace.intents() if one.state is not IntentState.ENDED]


def assert_nobody_meets(airspace):
    rules = airspace.rules
    for one, two in itertools.combinations(live(airspace), 2):
        a, b = one.corridor, two.corridor
        limits = apart(a, b, rules.separation_horizontal_m, rules.separation_vertical_m)
        assert not in_conflict(a.occupied, b.occupied, *limits), (one.id, two.id)


def at(airspace, seconds):
    airspace.clock = lambda: T0 + seconds
    return airspace


def test_rescue_takes_what_it_needs_and_the_others_are_told(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "far", ("north", "south"), T0 + 3000.0))
    decision = airspace.submit(plan(town, "doctor", ("west", "east"), priority=80), actor=RESCUE)
    assert decision.change is None
    (move,) = decision.details["displaced"]
    assert (move.before.id, move.kind) == ("one", "replanned")
    assert airspace.intent("one").version == 2
    assert airspace.intent("far").version == 1
    assert_nobody_meets(airspace)
    assert airspace.decision("doctor")["displaced"][0]["id"] == "one"


def test_whoever_has_no_window_left_is_withdrawn_and_told_what_else(airspace, town):
    tight = plan(town, "one", ("west", "east"), latest_departure_s=T0 + 5.0)
    airspace.submit(tight)
    decision = airspace.submit(plan(town, "doctor", ("west", "east"), priority=80), actor=RESCUE, choose="delay")
    (move,) = decision.details["displaced"]
    assert decision.approved
    if move.kind == "withdrawn":
        assert airspace.intent("one").state is IntentState.ENDED
    assert_nobody_meets(airspace)


def test_in_the_air_a_flight_makes_way_from_where_it_is(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    line = airspace.intent("one").corridor.centre_line
    at(airspace, 40.0)
    decision = airspace.submit(plan(town, "doctor", ("south", "north"), T0 + 60.0, priority=80), actor=RESCUE)
    assert decision.approved
    assert decision.change is None
    for move in decision.details.get("displaced", ()):
        assert move.before.id == "one"
        assert move.kind in ("rerouted", "landing", "holding")
        new = airspace.intent("one").corridor.centre_line
        for t_s in np.arange(line.start_s, T0 + 40.0 + REACTION_S - 0.01, 3.0):
            assert np.allclose(new.at(t_s), line.at(t_s), atol=1e-6)
    assert_nobody_meets(airspace)


def test_priority_is_for_rescue_and_the_city(airspace, town):
    with pytest.raises(PlanError, match="rescue services and the city"):
        airspace.submit(plan(town, "vip", ("west", "east"), priority=1))
    with pytest.raises(StateError, match="for the city or rescue"):
        airspace.add_zones([zone(town, "mine", PADS["east"], 50.0)], actor=Actor("me", Role.OPERATOR))
    airspace.submit(plan(town, "one", ("west", "east")))
    with pytest.raises(StateError, match="one is one co's"):
        airspace.cancel("one", actor=Actor("me", Role.OPERATOR))
    airspace.cancel("one", actor=Actor("city", Role.CITY))


def test_a_zone_moves_only_whom_it_touches(airspace, town):
    granted = airspace.submit(plan(town, "one", ("west", "east"))).intent
    airspace.submit(plan(town, "two", ("north", "south"), T0 + 3000.0))
    line = granted.corridor.centre_line
    middle = line.at((line.start_s + line.end_s) / 2)[:2]
    moves = airspace.add_zones([zone(town, "works", tuple(middle), 30.0, valid_to_s=T0 + 2000.0)])
    assert [(move.before.id, move.kind) for move in moves] == [("one", "replanned")]
    with airspace._journal.picture.view() as view:
        assert touched(airspace._world.situation(view, airspace.clock()), airspace.zones()) == ()
    assert_nobody_meets(airspace)
    moves = airspace.add_zones([zone(town, "closed", PADS["east"], 60.0)])
    assert [(move.before.id, move.kind) for move in moves] == [("one", "withdrawn")]
    assert airspace.intent("one").state is IntentState.ENDED


def test_a_flight_that_is_granted_while_a_zone_is_entered_is_judged_by_it(airspace, town, monkeypatch):
    journal, commit = airspace._journal, airspace._journal._commit

    def meanwhile(item):
        monkeypatch.setattr(journal, "_commit", commit)
        assert airspace.submit(plan(town, "one", ("west", "east"))).approved
        return commit(item)

    monkeypatch.setattr(journal, "_commit", meanwhile)
    moves = airspace.add_zones([zone(town, "closed", PADS["east"], 60.0)])
    assert [(move.before.id, move.kind) for move in moves] == [("one", "withdrawn")]


def test_a_zone_in_another_town_is_in_nobodys_way(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    assert airspace.add_zones([zone(town, "elsewhere", (40_000.0, 40_000.0), 100.0)]) == ()
    assert airspace.submit(plan(town, "two", ("west", "east"), T0 + 3000.0)).approved


def test_an_emergency_stops_whoever_would_fly_into_it(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("east", "west"), T0 + 1200.0))
    airspace.activate("one", T0)
    line = airspace.intent("one").corridor.centre_line
    at(airspace, 30.0)
    ahead = line.at(T0 + 140.0)[:2]
    found = airspace.close_volume([zone(town, "fire", tuple(ahead), 80.0)], actor=RESCUE)
    assert found.touched[0].id == "one"
    assert [one.id for one in found.holds] == ["one"]
    assert found.leaving_s == {}
    assert found.empty_s == T0 + 30.0
    held = airspace.intent("one").corridor.centre_line
    assert np.hypot(*(held.enu_m[-1, :2] - ahead)) > 80.0 + 25.0
    at(airspace, 32.0)
    moves = airspace.make_way([one.id for one in found.touched], actor=RESCUE)
    assert {move.before.id for move in moves} == {one.id for one in found.touched}
    assert moves[0].kind == "rerouted"
    # Not to where it was told to wait, but to its pad.
    assert np.allclose(airspace.intent("one").corridor.centre_line.enu_m[-1, :2], PADS["east"], atol=0.01)
    assert_nobody_meets(airspace)
    with airspace._journal.picture.view() as view:
        assert touched(airspace._world.situation(view, airspace.clock()), airspace.zones()) == ()


def test_whoever_is_in_the_volume_flies_out_of_it(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    line = airspace.intent("one").corridor.centre_line
    at(airspace, 60.0)
    here = line.at(T0 + 62.0)[:2]
    found = airspace.close_volume([zone(town, "fire", tuple(here), 60.0)], actor=RESCUE)
    assert found.holds == ()
    out = found.leaving_s["one"]
    tolerance = airspace.rules.time_tolerance_s
    distance = np.abs(line.at(out - tolerance)[:2] - here).max()
    assert distance == pytest.approx(60.0 + 25.0, abs=1.0)
    assert found.empty_s == out


def test_the_clock_ends_no_shows_and_holds_on_for_overruns(airspace, town):
    airspace.submit(plan(town, "none", ("north", "south")))
    airspace.submit(plan(town, "late", ("west", "east")))
    airspace.activate("late", T0)
    assert airspace.upkeep().effects.ids == frozenset()
    line = airspace.intent("late").corridor.centre_line
    at(airspace, 30.0)
    found = airspace.upkeep()
    assert [one.id for one in found.ended] == ["none"]
    assert airspace.intent("none").state is IntentState.ENDED
    landed = line.end_s
    for t_s in np.arange(line.start_s + 2.0, landed, 8.0):
        airspace.position("late", t_s, line.at(t_s))
    airspace.position("late", landed, line.enu_m[-1], landed=True)
    at(airspace, landed - T0 + 50.0)
    found = airspace.upkeep()
    assert [one.id for one in found.extended] == ["late"]
    assert airspace.intent("late").corridor.centre_line.end_s > landed + 50.0
    # Its pad is taken until somebody says that it is free.
    waiting = airspace.submit(plan(town, "next", ("north", "east"), landed + 60.0, latest_departure_s=landed + 90.0))
    assert not waiting.approved or waiting.change is not None
    airspace.end("late")
    assert airspace.submit(plan(town, "then", ("north", "east"), landed + 60.0)).approved
    assert_nobody_meets(airspace)


def test_a_silent_drone_is_nonconforming_and_then_contingent(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    at(airspace, 15.0).upkeep()
    assert airspace.intent("one").state is IntentState.NONCONFORMING
    at(airspace, 60.0).upkeep()
    assert airspace.intent("one").state is IntentState.NONCONFORMING
    at(airspace, 75.0).upkeep()
    assert airspace.intent("one").state is IntentState.CONTINGENT


def test_everything_can_be_decided_again(airspace: Airspace, town):
    from tests.airspace.test_replay import log_of, replayed

    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    at(airspace, 40.0)
    airspace.submit(plan(town, "doctor", ("south", "north"), T0 + 60.0, priority=80), actor=RESCUE)
    line = airspace.intent("one").corridor.centre_line
    found = airspace.close_volume([zone(town, "fire", tuple(line.at(T0 + 140.0)[:2]), 50.0)], actor=RESCUE)
    airspace.make_way([one.id for one in found.touched] or ["one"], actor=RESCUE)
    at(airspace, 500.0).upkeep()
    for again in replayed(airspace, log_of(airspace)):
        assert again.same, (again.entry.kind, again.difference)


def test_who_is_contingent_takes_its_way_out_and_others_make_way(airspace, town):
    """A drone that falls silent: its way out is its corridor from then on, and nobody is granted a flight into it."""
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    assert {way.kind for way in airspace.intent("one").ways_out} >= {"return", "land"}
    line = airspace.intent("one").corridor.centre_line
    # Crosses the way back of the first, when that is long past.
    airspace.submit(plan(town, "two", ("south", "north"), T0 + 100.0))
    for seconds in np.arange(2.0, 60.0, 8.0):
        airspace.position("one", T0 + seconds, line.at(T0 + seconds))
    at(airspace, 140.0).upkeep()
    taken = airspace.intent("one")
    assert taken.state is IntentState.CONTINGENT
    assert taken.version > 2
    ways = {tuple(way.corridor.centre_line.t_s.tolist()) for way in taken.ways_out}
    assert ways == set()  # it is on it
    (told,) = [entry.body["answer"] for entry in airspace.events() if entry.body["answer"].get("to") == "Contingent"]
    assert told["way_out"]["kind"] in ("return", "land", "hold")
    assert_nobody_meets(airspace)
