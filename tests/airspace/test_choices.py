"""What an operator can choose between where the wish cannot be met, and what each choice costs."""

from __future__ import annotations

import dataclasses

import pytest

from tests.airspace.conftest import PADS, T0, plan, zone
from utm.airspace.admission import decide
from utm.airspace.situation import OfIntents, Overlay, Situation
from utm.airspace.space import Skies
from utm.core import in_conflict
from utm.errors import PlanError
from utm.model import OperationalIntent, Restriction, RuleSet

KINDS = {"delay", "height", "route"}


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


@pytest.fixture(scope="module")
def first(town, skies) -> OperationalIntent:
    """Who flies from west to east already."""
    return decide(Situation(skies, (), T0 - 600.0), plan(town, "one", ("west", "east"))).intent


def situation(skies: Skies, *intents: OperationalIntent, **changes) -> Situation:
    return dataclasses.replace(Situation(skies, (), T0 - 600.0, traffic=OfIntents(intents)), **changes)


def apart(one: OperationalIntent, two: OperationalIntent, rules: RuleSet) -> bool:
    """By the exact test, with all the room that both have."""
    a, b = one.corridor, two.corridor
    across, up = a.tube.horizontal_m + b.tube.horizontal_m, a.tube.vertical_m + b.tube.vertical_m
    return not in_conflict(
        a.occupied,
        b.occupied,
        a.half_width_m + b.half_width_m + across + rules.separation_horizontal_m,
        max(a.below_m + b.above_m, b.below_m + a.above_m) + up + rules.separation_vertical_m,
        a.time_tolerance_s + b.time_tolerance_s,
    )


def offered(decision) -> dict[str, dict]:
    """Every change that was found, by kind."""
    changes = [dataclasses.asdict(decision.change)] if decision.change else []
    return {change["kind"]: change for change in (*changes, *decision.details["other_changes"])}


def test_every_kind_is_offered_with_what_it_costs(town, skies, first):
    decision = decide(situation(skies, first), plan(town, "two", ("east", "west")))
    found = offered(decision)
    assert set(found) == KINDS
    assert decision.change.cost_s == min(change["cost_s"] for change in found.values())
    assert found["delay"]["energy_wh"] == found["delay"]["length_m"] == 0.0
    assert found["delay"]["cost_s"] > 0.0
    # Higher is longer: up and down again. And whatever is longer takes more energy.
    assert found["height"]["length_m"] > 0.0
    assert found["height"]["energy_wh"] > 0.0
    assert found["route"]["length_m"] != 0.0


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_only_the_chosen_kind_is_granted(town, skies, first, kind):
    wish = plan(town, "two", ("east", "west"))
    any_ = decide(situation(skies, first), wish)
    decision = decide(situation(skies, first), wish, choose=kind)
    assert decision.approved
    assert decision.change.kind == kind
    assert offered(decision) == offered(any_)
    assert apart(first, decision.intent, skies.rules)
    assert decision.intent.neighbours == (f"one@{first.ovn}",)


def test_a_figure_of_a_change_is_that_of_what_is_granted(town, skies, first):
    wish = plan(town, "two", ("east", "west"))
    asked = decide(situation(skies), wish).intent
    decision = decide(situation(skies, first), wish, choose="height")
    late = decision.intent.corridor.centre_line.end_s - asked.corridor.centre_line.end_s
    assert decision.change.cost_s == pytest.approx(late)


def test_a_choice_that_does_not_help_is_refused_with_what_would(town, skies, first):
    """From the pad on which the other lands, no other height and no other way leads: it is taken."""
    wish = plan(town, "two", ("east", "south"), first.corridor.centre_line.end_s)
    assert decide(situation(skies, first), wish).change.kind == "delay"
    refused = decide(situation(skies, first), wish, choose="route")
    assert not refused.approved
    assert set(offered(refused)) == {"delay"}
    assert refused.alternative_change.kind == "delay"
    assert refused.alternative_change.energy_wh == 0.0
    granted = decide(situation(skies, first), refused.alternative, choose="route")
    assert granted.approved
    assert granted.change is None


def test_the_end_of_a_zone_is_waited_for_only_by_choice(town, skies):
    closed = (zone(town, "school", PADS["east"], 80.0, valid_to_s=T0 + 300.0),)
    wish = plan(town, "one", ("west", "east"))
    waited = decide(situation(skies, zones=closed), wish, choose="delay")
    assert waited.approved
    assert waited.change.energy_wh is None  # as asked, there was no way to compare with
    refused = decide(situation(skies, zones=closed), wish, choose="height")
    assert not refused.approved
    assert refused.alternative is not None


def test_as_asked_needs_no_choice(town, skies):
    decision = decide(situation(skies), plan(town, "one", ("west", "east")), choose="height")
    assert decision.approved
    assert decision.change is None


def test_an_unknown_choice_is_refused(town, skies):
    with pytest.raises(PlanError, match="Known: any, delay, height, route"):
        decide(situation(skies), plan(town, "one", ("west", "east")), choose="faster")


def test_an_authorisation_for_no_zone_is_refused_with_those_there_are(town, skies):
    zones = tuple(zone(town, name, (100.0, 100.0), 50.0) for name in ("b", "a"))
    wish = plan(town, "one", ("west", "east"), authorisations=("a", "c"))
    with pytest.raises(PlanError, match=r"authorisations.1: there is no zone of this id .*There are: a, b\."):
        decide(situation(skies, zones=zones), wish)
    with pytest.raises(PlanError, match="There are none"):
        decide(situation(skies), wish)
    opened = tuple(dataclasses.replace(one, restriction=Restriction.REQ_AUTHORISATION) for one in zones)
    assert decide(situation(skies, zones=opened), dataclasses.replace(wish, authorisations=("a",))).approved


class Counting(OfIntents):
    """Remembers how far ahead it was asked."""

    def __init__(self, intents):
        super().__init__(intents)
        self.asked: list[float] = []

    def near(self, corridor, *, later_s=0.0):
        self.asked.append(later_s)
        return super().near(corridor, later_s=later_s)


def test_who_flies_much_later_is_not_even_looked_at(town, skies, first):
    """The least delay is short: the windows that neighbours are looked for in need not grow."""
    traffic = Counting([first])
    decide(situation(skies, traffic=traffic), plan(town, "two", ("east", "west")))
    assert max(traffic.asked) <= 600.0


def test_a_long_wait_is_as_exact_as_a_short_one(town, skies, first):
    """A queue of flights from one pad, each as soon as the pad is free again: the last must wait for longer than the
    first window of neighbours reaches."""
    intents, line = [first], first.corridor.centre_line
    rules, took = skies.rules, line.end_s - line.start_s
    gap = 2 * rules.pad_hold_s + 2 * rules.time_tolerance_s
    for number in range(8):
        begin = intents[-1].corridor.centre_line.start_s + gap + 1.0
        wish = plan(town, f"more-{number}", ("west", "east"), begin)
        decision = decide(situation(skies, *intents), wish, choose="delay")
        intents.append(decision.intent)
    wish = plan(town, "last", ("west", "east"), latest_departure_s=T0 + 86400.0)
    traffic = Counting(intents)
    late = decide(situation(skies, traffic=traffic), wish, choose="delay")
    assert took > 0
    assert max(traffic.asked) > 600.0
    assert late.change.cost_s > 600.0
    assert all(apart(other, late.intent, rules) for other in intents)
    sooner = dataclasses.replace(late.intent.corridor, centre_line=late.intent.corridor.centre_line.delayed(-1.0))
    assert not all(apart(other, dataclasses.replace(late.intent, corridor=sooner), rules) for other in intents)


def test_an_overlay_leaves_out_and_adds(skies, town, first):
    other = decide(situation(skies, first), plan(town, "two", ("north", "south"), T0 + 3600.0)).intent
    moved = dataclasses.replace(first, ovn="moved")
    under = OfIntents([first, other], seq=7, digest="d")
    assert [one.id for one in under.near(first.corridor)] == ["one"]
    assert [one.id for one in under.near(first.corridor, later_s=7200.0)] == ["one", "two"]
    over = Overlay(under, without={"two"}, with_=(moved,))
    assert (over.seq, over.digest) == (7, "d")
    assert over.near(first.corridor, later_s=7200.0) == (moved,)
    assert over.get("two") is None
    assert over.get("one") is moved
    assert Overlay(over, without={"one"}).near(first.corridor) == ()
