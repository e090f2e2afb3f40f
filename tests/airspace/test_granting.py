"""What an intent is granted: room for its aircraft's error budget, and the names of whoever is near."""

from __future__ import annotations

import dataclasses

import pytest

from tests.airspace.conftest import T0, plan, zone
from tests.airspace.test_choices import apart, situation
from utm.airspace.admission import decide
from utm.airspace.space import Skies
from utm.core import corners_only, flight_energy
from utm.model import AIRCRAFT_CLASSES, RuleSet, budget_of, rules_for

CARGO = AIRCRAFT_CLASSES["quad-cargo"]


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def test_a_corridor_is_as_wide_and_high_as_the_budget_asks(town, skies):
    rules = rules_for(skies.rules, CARGO)
    intent = decide(situation(skies), plan(town, "one", ("west", "east"), aircraft=CARGO)).intent
    corridor, budget = intent.corridor, budget_of(CARGO, skies.rules)
    assert corridor.half_width_m == rules.half_width_m >= budget.horizontal_m
    assert corridor.below_m == corridor.above_m == rules.half_height_m >= budget.vertical_m
    assert intent.clearances["obstacle_m"] >= rules.clearance_m > skies.rules.clearance_m
    assert intent.clearances["ceiling_m"] >= 0.0


def test_two_widths_are_apart_by_both(town, skies):
    first = decide(situation(skies), plan(town, "one", ("west", "east"), aircraft=CARGO)).intent
    second = decide(situation(skies, first), plan(town, "two", ("east", "west")))
    third = decide(situation(skies, first, second.intent), plan(town, "three", ("south", "north"), aircraft=CARGO))
    assert second.intent.corridor.half_width_m < first.corridor.half_width_m
    assert apart(first, second.intent, skies.rules)
    assert apart(first, third.intent, skies.rules)
    assert apart(second.intent, third.intent, skies.rules)


def test_a_zone_is_given_a_wider_berth_by_a_wider_corridor(town, skies):
    """A gap between two zones that a quad may fly through, and a cargo quad may not."""
    rules = rules_for(skies.rules, CARGO)
    half = (skies.rules.half_width_m + rules.half_width_m) / 2 + 4.0
    walls = [
        zone(town, "north", (350.0, 600.0 + half + 300.0), 300.0),
        zone(town, "south", (350.0, 600.0 - half - 300.0), 300.0),
    ]
    closed = situation(skies, zones=tuple(walls))
    through = decide(closed, plan(town, "one", ("west", "east")))
    assert through.approved
    refused = decide(closed, plan(town, "two", ("west", "east"), aircraft=CARGO))
    assert refused.reasons[0].code == "ORIGIN_IN_ZONE"


def test_the_ground_is_held_once_for_all_rule_sets(town, skies):
    assert skies.for_aircraft(AIRCRAFT_CLASSES["quad"]) is skies
    wide = skies.for_aircraft(CARGO)
    assert wide is skies.for_aircraft(CARGO)
    assert wide.rules == rules_for(skies.rules, CARGO)
    for number in range(10):
        other = skies.for_aircraft(dataclasses.replace(CARGO, navigation_error_m=10.0 + number))
        assert other._windows is skies._windows
    assert len(skies._others) <= 4


def test_neighbours_are_those_near_and_what_was_judged_is_named(town, skies):
    first = decide(situation(skies), plan(town, "one", ("west", "east"))).intent
    later = decide(situation(skies, first), plan(town, "two", ("west", "east"), T0 + 3600.0)).intent
    assert later.neighbours == ()
    third = decide(situation(skies, first, later), plan(town, "three", ("south", "north"))).intent
    assert third.neighbours == (f"one@{first.ovn}",)
    assert third.judged == (0, "")


def test_a_grant_says_what_the_flight_takes_of_the_battery(town, skies, airspace):
    decision = decide(situation(skies), plan(town, "one", ("west", "east")))
    energy, line = decision.details["energy"], decision.intent.corridor.centre_line
    used = flight_energy(corners_only(line.enu_m), decision.plan.aircraft).used_wh
    assert energy["used_wh"] == pytest.approx(used, abs=0.1)
    assert energy["usable_wh"] + energy["reserve_wh"] == energy["battery_wh"] == 120.0
    assert energy["left_share"] == pytest.approx(1.0 - used / 120.0, abs=1e-3)
    # It is published, now and later.
    airspace.submit(decision.plan)
    assert airspace.decision("one")["energy"] == energy
