"""A higher priority takes what it needs, and no more; nobody takes anything from the same priority or a higher one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.airspace.conftest import T0, plan
from tests.airspace.test_choices import apart, situation
from utm.airspace.admission import decide
from utm.airspace.case import until
from utm.airspace.situation import REACTION_S, OfIntents, Overlay
from utm.airspace.space import Skies
from utm.errors import PlanError
from utm.model import IntentState, RuleSet


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def granted(town, skies, name, way, *intents, at_s=T0, **changes):
    decision = decide(situation(skies, *intents), plan(town, name, way, at_s, **changes))
    assert decision.approved
    return decision.intent


def test_a_higher_priority_takes_what_it_needs(town, skies):
    first = granted(town, skies, "one", ("west", "east"))
    decision = decide(situation(skies, first), plan(town, "rescue", ("east", "west"), priority=10))
    assert decision.change is None
    assert decision.reasons == ()
    assert decision.details["displaces"] == ["one"]
    assert decision.intent.neighbours == ()
    assert "separation_m" not in decision.intent.clearances
    assert not apart(first, decision.intent, skies.rules)


@pytest.mark.parametrize("priority", [10, 11])
def test_the_same_or_a_higher_one_is_respected(town, skies, priority):
    first = granted(town, skies, "one", ("west", "east"), priority=priority)
    decision = decide(situation(skies, first), plan(town, "two", ("east", "west"), priority=10))
    assert decision.change is not None
    assert "displaces" not in decision.details
    assert apart(first, decision.intent, skies.rules)


@pytest.mark.parametrize("state", [IntentState.NONCONFORMING, IntentState.CONTINGENT])
def test_who_left_what_it_was_granted_cannot_make_way(town, skies, state):
    first = dataclasses.replace(granted(town, skies, "one", ("west", "east")), state=state)
    decision = decide(situation(skies, first), plan(town, "rescue", ("east", "west"), priority=10))
    assert decision.change is not None
    assert "displaces" not in decision.details


def test_only_those_in_the_way_are_displaced(town, skies):
    first = granted(town, skies, "b", ("west", "east"))
    later = granted(town, skies, "a", ("west", "east"), first, at_s=T0 + 1200.0)
    decision = decide(situation(skies, later, first), plan(town, "rescue", ("east", "west"), priority=1))
    assert decision.details["displaces"] == ["b"]


def test_between_two_priorities_it_goes_around_the_one_and_through_the_other(town, skies):
    high = granted(town, skies, "high", ("west", "east"), priority=20)
    decision = decide(situation(skies, high), plan(town, "asked", ("east", "west"), priority=10), choose="delay")
    free = decision.intent.corridor.centre_line.start_s
    # Somebody ordinary from the same pad, just when the higher one lets it go.
    low = granted(town, skies, "low", ("east", "south"), high, at_s=free)
    decision = decide(situation(skies, high, low), plan(town, "asked", ("east", "west"), priority=10), choose="delay")
    assert decision.intent.corridor.centre_line.start_s == free
    assert decision.details["displaces"] == ["low"]
    assert apart(high, decision.intent, skies.rules)
    assert decision.intent.neighbours == (f"high@{high.ovn}",)
    assert [reason.code for reason in decision.reasons] == ["CONFLICT"]
    assert "high" in decision.reasons[0].sentence
    # Around everybody it costs more, and is offered for that.
    around = [change for change in decision.details["other_changes"] if change["kind"] == "delay"]
    assert len(around) == 1
    assert around[0]["cost_s"] > decision.change.cost_s


def test_at_equal_cost_nobody_is_displaced(town, skies):
    high = granted(town, skies, "high", ("west", "east"), priority=20)
    wish = plan(town, "asked", ("east", "west"), priority=10)
    alone = decide(situation(skies, high), wish)
    low = granted(town, skies, "low", ("south", "north"), high, at_s=T0 + 3600.0)
    decision = decide(situation(skies, high, low), wish)
    assert decision.change == alone.change
    assert "displaces" not in decision.details


def test_what_is_flown_before_anybody_can_react_is_not_taken(town, skies):
    """A rescue flight that would cross the line of a drone in the air a few seconds from now."""
    line = granted(town, skies, "one", ("west", "east")).corridor.centre_line
    half = (line.start_s + line.end_s) / 2
    flying = dataclasses.replace(granted(town, skies, "one", ("west", "east")), state=IntentState.ACTIVATED)
    wish = plan(town, "rescue", ("east", "west"), half, priority=10)
    over = decide(dataclasses.replace(situation(skies, flying), now_s=half), wish)
    kept = until(flying.corridor, half + REACTION_S)
    assert over.details["displaces"] == ["one"]
    assert apart(dataclasses.replace(flying, corridor=kept), over.intent, skies.rules)
    # From the pad that the drone is about to land on nobody takes off, whatever its priority.
    soon = line.end_s - 5.0
    wish = plan(town, "rescue", ("east", "west"), soon, priority=10)
    waits = decide(dataclasses.replace(situation(skies, flying), now_s=soon), wish)
    assert waits.change.kind == "delay"
    assert waits.intent.corridor.centre_line.start_s > line.end_s + skies.rules.pad_hold_s


def test_a_displaced_flight_is_decided_again_against_whoever_took_its_room(town, skies):
    first = granted(town, skies, "one", ("west", "east"))
    traffic = OfIntents([first])
    rescue = decide(situation(skies, traffic=traffic), plan(town, "rescue", ("east", "west"), priority=10))
    after = Overlay(traffic, without=rescue.details["displaces"], with_=(rescue.intent,))
    again = decide(situation(skies, traffic=after), first.plan)
    assert again.approved
    assert again.change is not None
    assert apart(again.intent, rescue.intent, skies.rules)


def test_a_displaced_flight_may_have_been_open_for_long(town, skies):
    """Its earliest departure is two hours ago, and a zone that it was authorised for is gone."""
    wish = plan(town, "one", ("west", "east"), T0 - 7200.0, latest_departure_s=T0 + 600.0, authorisations=("gone",))
    with pytest.raises(PlanError, match=r"earliest_departure: departure lies in the past, by 6600 s"):
        decide(situation(skies), wish)
    decision = decide(situation(skies), wish, again=True)
    assert decision.change.kind == "delay"
    assert decision.intent.corridor.centre_line.start_s == T0 - 600.0
    with pytest.raises(PlanError, match="latest_departure"):
        decide(situation(skies), dataclasses.replace(wish, latest_departure_s=T0 - 601.0), again=True)


def test_a_corridor_until_a_time_is_the_same_before_and_nothing_after(town, skies):
    corridor = granted(town, skies, "one", ("west", "east")).corridor
    line = corridor.occupied
    for end in (line.start_s + 1.0, corridor.centre_line.start_s + 20.0, corridor.centre_line.end_s + 1.0):
        kept = until(corridor, end).occupied
        assert (kept.start_s, kept.end_s) == (line.start_s, end)
        for t in np.linspace(line.start_s, end, 50):
            np.testing.assert_allclose(kept.at(t), line.at(t), atol=1e-6)
    assert until(corridor, line.end_s) is corridor
