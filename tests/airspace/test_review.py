"""What a second pair of eyes found: entries in which several flights move, and what comes from outside twice."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tests.airspace.conftest import PADS, T0, plan, zone
from tests.airspace.intents import straight
from tests.airspace.test_choices import apart
from tests.airspace.test_making_way import RESCUE, assert_nobody_meets, at
from utm.airspace import Airspace
from utm.airspace.admission import decide
from utm.airspace.emergency import closed
from utm.airspace.fleet import _decided
from utm.airspace.moving import give_way
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.errors import InputError, StateError
from utm.model import IntentState, RuleSet


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def sees(skies, now_s, *intents):
    return Situation(skies, (), now_s, traffic=OfIntents(intents))


def after(moves, *others):
    """The live flights after some moves, by id."""
    found = {one.id: one for one in others}
    for move in moves:
        if move.intent is not None:
            found[move.before.id] = move.intent
        elif move.state is not None and move.state["state"] == "Ended":
            found.pop(move.before.id, None)
    return found


def assert_apart(skies, intents):
    for one, two in itertools.combinations(intents, 2):
        assert apart(one, two, skies.rules), (one.id, two.id)


def test_who_makes_way_displaces_nobody_in_turn(town, skies):
    low = decide(sees(skies, T0 - 600.0), plan(town, "low", ("west", "east"))).intent
    mid = decide(sees(skies, T0 - 600.0), plan(town, "mid", ("east", "west"), priority=40)).intent
    moves = give_way(sees(skies, T0 - 600.0, low), [mid])
    assert [(move.before.id, move.kind) for move in moves] == [("mid", "replanned")]
    assert_apart(skies, after(moves, low, mid).values())


def test_nobody_is_led_through_who_still_flies_as_granted(town, skies):
    flying = decide(sees(skies, T0 - 600.0), plan(town, "b", ("west", "east"))).intent
    waiting = decide(sees(skies, T0 - 600.0, flying), plan(town, "a", ("west", "south")), choose="delay").intent
    flying = dataclasses.replace(flying, state=IntentState.ACTIVATED)
    now_s = T0 + 5.0
    assert waiting.corridor.centre_line.start_s > now_s + 15.0
    moves = give_way(sees(skies, now_s), [waiting, flying])
    assert [move.before.id for move in moves] == ["a", "b"]
    assert_apart(skies, after(moves, flying, waiting).values())
    named = {name for move in moves if move.intent for name in move.intent.neighbours}
    known = {f"{one.id}@{one.ovn}" for one in after(moves, flying, waiting).values()}
    assert named <= known


def test_nobody_is_granted_the_room_of_who_can_not_make_way_any_more(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    ends = airspace.intent("one").corridor.centre_line.end_s
    at(airspace, ends - T0 - 5.0)
    airspace.submit(plan(town, "doctor", ("east", "west"), ends + 12.0, priority=80), actor=RESCUE)
    assert airspace.intent("one").state is IntentState.ACTIVATED
    assert_nobody_meets(airspace)


def test_a_plan_of_a_fleet_displaces_no_other_of_it(town, skies):
    plans = [plan(town, "low", ("west", "east")), plan(town, "high", ("east", "west"), priority=40)]
    given = {0: decide(sees(skies, T0 - 600.0), plans[0])}
    found = _decided(sees(skies, T0 - 600.0), plans, given, [1], "any")
    assert_apart(skies, [one.intent for one in found.values()])


def test_an_intent_named_twice_moves_once(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    moves = airspace.make_way(["one", "one"])
    assert [move.before.id for move in moves] == ["one"]
    assert airspace.intent("one").version == 2


def test_two_who_keep_the_clock_do_not_trip_over_each_other(airspace, town, monkeypatch):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    conform = airspace._conform

    def other_first(intent, followed, now_s):
        monkeypatch.setattr(airspace, "_conform", conform)
        conform(intent, followed, now_s)
        conform(intent, followed, now_s)

    monkeypatch.setattr(airspace, "_conform", other_first)
    airspace.upkeep(T0 + 30.0)
    assert airspace.intent("one").state is IntentState.NONCONFORMING


def test_a_failure_while_others_news_is_read_is_forgotten(airspace, town, monkeypatch):
    with Airspace.open(airspace.path, clock=airspace.clock) as other:
        other.submit(plan(town, "one", ("west", "east")))
        other.submit(plan(town, "two", ("north", "south"), T0 + 3000.0))
    stream = airspace._database.stream

    def broken(*args, **kwargs):
        yield from itertools.islice(stream(*args, **kwargs), 1)
        raise StateError("the database is gone")

    monkeypatch.setattr(airspace._database, "stream", broken)
    with pytest.raises(StateError, match="is gone"):
        airspace.look_ahead()
    monkeypatch.setattr(airspace._database, "stream", stream)
    with airspace._journal.picture.view() as view:
        assert view.live() == ()
    airspace.look_ahead()
    with airspace._journal.picture.view() as view:
        assert [one.id for one in view.live()] == ["one", "two"]


def test_what_can_not_be_written_fails_alone(airspace, town, monkeypatch):
    journal = airspace._journal
    real = journal._settle

    def with_a_bad_one(writing, asked):
        question, proposal = asked[0]
        bad = dataclasses.replace(question, subject="\ud800", fresh=())
        draft = dataclasses.replace(proposal.draft, subject="\ud800")
        spoilt = dataclasses.replace(proposal, draft=draft)
        found = real(writing, [(bad, spoilt), *asked])
        assert isinstance(found[0], ValueError)
        return found[1:]

    monkeypatch.setattr(journal._commit, "_settle", with_a_bad_one)
    assert airspace.submit(plan(town, "one", ("west", "east"))).approved


def test_who_would_meet_a_flight_that_an_emergency_stops_needs_another_way_too(town, skies):
    flying = decide(sees(skies, T0 - 600.0), plan(town, "one", ("west", "east"))).intent
    flying = dataclasses.replace(flying, state=IntentState.ACTIVATED)
    zones, now_s = (zone(town, "fire", PADS["east"], 60.0),), T0 + 60.0
    (hold,) = closed(sees(skies, now_s, flying), zones).holds
    east, north, up = hold.corridor.centre_line.enu_m[-1]
    stop_s = float(hold.corridor.centre_line.t_s[-2])
    crossing = straight("two", (east, north - 300.0, up), (east, north + 300.0, up), stop_s + 20.0)
    found = closed(sees(skies, now_s, flying, crossing), zones)
    assert [one.id for one in found.touched] == ["one", "two"]
    assert [one.id for one in found.holds] == ["one"]


def test_what_is_asked_with_more_digits_than_are_written_is_decided_the_same_again(airspace, town):
    odd = plan(town, "one", ("west", "east"))
    aircraft = dataclasses.replace(odd.aircraft, name="mine", cruise_m_s=8, mass_kg=2)
    airspace.submit(dataclasses.replace(odd, aircraft=aircraft))
    line = airspace.intent("one").corridor.centre_line
    until_s = line.start_s + 0.000437
    airspace.add_zones([zone(town, "works", PADS["west"], 60.0, valid_to_s=until_s)])
    assert [one.difference for one in airspace.replay() if not one.same] == []
    with Airspace.open(airspace.path) as other:
        assert other.zones() == airspace.zones()


def test_a_trajectory_of_a_plan_in_whole_numbers_is_checked_the_same_again(airspace, town):
    asked = plan(town, "one", ("west", "east"))
    asked = dataclasses.replace(asked, aircraft=dataclasses.replace(asked.aircraft, name="mine", mass_kg=2))
    line = decide(sees(Skies(town, airspace.rules), T0 - 600.0), asked).intent.corridor.centre_line
    assert airspace.check(asked, line).approved
    assert [one.difference for one in airspace.replay() if not one.same] == []


def test_nothing_is_no_request(airspace):
    for ask in (airspace.submit_fleet, airspace.add_zones, airspace.close_volume, airspace.make_way):
        with pytest.raises(InputError, match="were handed in"):
            ask([])
    assert list(airspace.events()) == []
