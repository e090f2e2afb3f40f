"""Another way and another time at once, beside the delays, heights and detours that there are without."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tests.airspace.conftest import PADS, T0, plan, zone
from tests.airspace.intents import straight
from utm.airspace.admission import decide
from utm.airspace.case import Case, Option
from utm.airspace.changes import elsewhere, higher, later
from utm.airspace.places import resolve
from utm.airspace.routing import clearances_of
from utm.airspace.safeways import safe_way
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.core import apart, in_conflict, segment_clear
from utm.model import FlightPlan, OperationalIntent, RuleSet


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def case_of(skies: Skies, wish: FlightPlan, others: list[OperationalIntent], zones=()) -> Case:
    situation = Situation(skies, tuple(zones), T0 - 600.0, traffic=OfIntents(others))
    return Case(situation, wish, resolve(skies.city_map, wish))


def hovering(name: str, place_m, start_s: float, end_s: float) -> OperationalIntent:
    """Somebody who moves by a metre in all that time."""
    end_m = np.asarray(place_m, float) + (1.0, 0.0, 0.0)
    return straight(name, place_m, end_m, start_s, speed_m_s=1.0 / (end_s - start_s))


def check(case: Case, option: Option, others: list[OperationalIntent]) -> None:
    """Every rule, asked without the search: apart from everybody, clear of things, in the air that there is."""
    rules = case.rules
    for other in others:
        a, b = option.corridor, other.corridor
        limits = apart(a, b, rules.separation_horizontal_m, rules.separation_vertical_m)
        assert not in_conflict(a.occupied, b.occupied, *limits)
    found = clearances_of(case.skies, case.plan, case.places, option.route)
    assert found["obstacle_m"] >= rules.clearance_m
    assert found["floor_m"] >= 0.0
    assert found["ceiling_m"] >= 0.0
    space = case.skies.sky(case.places, tuple(z for z in case.situation.zones if z.id in option.route.zones)).space
    points = option.route.points_m
    for a, b in itertools.pairwise(points[1:-1]):
        assert segment_clear(space.blocked, space.to_grid(a), space.to_grid(b))
        assert a[2] == b[2] or (a[:2] == b[:2]).all()  # level legs and vertical steps
    for pad, top, place in ((points[0], points[1], case.places[0]), (points[-1], points[-2], case.places[-1])):
        assert (pad == place.enu_m).all()
        assert (pad[:2] == top[:2]).all()
        assert top[2] > pad[2]
    assert case.plan.earliest_departure_s <= option.departure_s <= case.plan.latest_departure_s
    assert option.route.energy.used_wh > 0.0


def closed_street(town, skies) -> tuple[FlightPlan, list[OperationalIntent]]:
    """Somebody over the pad for two minutes, and one above the other on the way for as long as the plan is open."""
    wish = plan(town, "late", ("west", "east"))
    free = case_of(skies, wish, []).free_flight(T0)
    over = hovering("over", (*PADS["west"], 60.0), T0 - 300.0, T0 + 100.0)
    middle = free.line.at(T0 + 60.0)
    wall = [
        hovering(f"in-the-way-{up}", (*middle[:2], float(up)), T0 - 300.0, T0 + 1800.0) for up in range(30, 160, 30)
    ]
    return wish, [over, *wall]


def test_a_delay_and_a_detour_together_where_neither_alone_helps(town, skies):
    wish, others = closed_street(town, skies)
    case = case_of(skies, wish, others)
    asked = case.free_flight(T0)
    met = case.met(asked)
    assert later(case, asked, wish.latest_departure_s) is None
    assert higher(case, asked) is None
    assert elsewhere(case, asked, met) is None
    option = safe_way(case, asked, math.inf)
    assert option is not None
    assert option.departure_s > T0 + 60.0
    assert option.route.length_m > asked.route.length_m
    check(case, option, others)
    decision = decide(case.situation, wish)
    assert decision.change.kind == "route"
    late = option.departure_s - T0
    assert decision.change.sentence.startswith(f"Flies another way, departs {late:.0f} s later: ")
    assert decision.intent.corridor.centre_line.start_s == option.departure_s


def test_the_same_question_has_the_same_answer(town, skies):
    wish, others = closed_street(town, skies)
    found = []
    for intents in (others, others[::-1]):
        case = case_of(skies, wish, intents)
        found.append(safe_way(case, case.free_flight(T0), math.inf))
    assert (found[0].line.t_s == found[1].line.t_s).all()
    assert (found[0].line.enu_m == found[1].line.enu_m).all()


def test_nothing_is_found_that_is_no_sooner(town, skies):
    wish, others = closed_street(town, skies)
    case = case_of(skies, wish, others)
    asked = case.free_flight(T0)
    first = safe_way(case, asked, math.inf)
    assert safe_way(case, asked, first.line.end_s - 60.0) is None
    closed = dataclasses.replace(wish, latest_departure_s=T0 + 50.0)
    assert safe_way(case_of(skies, closed, others), asked, math.inf) is None


def test_zones_in_force_at_any_time_of_it_are_kept_out_of(town, skies):
    wish, others = closed_street(town, skies)
    free = case_of(skies, wish, others)
    way = safe_way(free, free.free_flight(T0), math.inf).route.points_m
    shut = zone(town, "works", tuple(way[len(way) // 2][:2].tolist()), 60.0)
    case = case_of(skies, wish, others, [shut])
    option = safe_way(case, case.free_flight(T0), math.inf)
    assert option is not None
    assert option.route.zones == ("works",)
    check(case, option, others)


def test_plans_with_way_points_are_left_to_the_others(town, skies):
    wish, others = closed_street(town, skies)
    through = dataclasses.replace(wish, waypoints=(dataclasses.replace(wish.origin, height_m=60.0),))
    case = case_of(skies, through, others)
    assert safe_way(case, case_of(skies, wish, others).free_flight(T0), math.inf) is None


def pictures(town, seeds: range):
    """Plans between the pads, each among eight who fly straight on at some time, half of them along the way."""
    names = sorted(PADS)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ends = rng.permutation(names)[:2].tolist()
        a, b = (np.array(PADS[end]) for end in ends)
        others = []
        for number in range(8):
            if number % 2:
                middle, toward = a + (b - a) * rng.uniform(0.2, 0.8), rng.normal(size=2)
            else:
                middle, toward = rng.uniform(200.0, 1000.0, 2), rng.normal(size=2)
            toward *= rng.uniform(150.0, 600.0) / np.linalg.norm(toward)
            up = float(rng.choice([45.0, 60.0, 90.0]))
            begin = T0 + float(rng.uniform(-60.0, 400.0))
            line = (*(middle - toward), up), (*(middle + toward), up)
            others.append(straight(f"other-{number}", *line, begin, speed_m_s=float(rng.uniform(1.0, 8.0))))
        yield seed, plan(town, "mine", tuple(ends)), others


def test_no_worse_than_ways_around_the_meeting(town, skies):
    """Forty pictures: whatever is found keeps every rule, and what is granted arrives no later than it did without."""
    sooner = found = 0
    for seed, wish, others in pictures(town, range(40)):
        case = case_of(skies, wish, others)
        asked = case.free_flight(T0)
        met = case.met(asked)
        if not met:
            continue
        option = safe_way(case, asked, math.inf)
        if option is not None:
            found += 1
            check(case, option, others)
        raised = higher(case, asked)
        before = [later(case, asked, wish.latest_departure_s), raised and raised[1], elsewhere(case, asked, met)]
        least_s = min((one.line.end_s for one in before if one is not None), default=math.inf)
        decision = decide(case.situation, wish)
        now_s = decision.intent.corridor.centre_line.end_s if decision.approved else math.inf
        assert now_s <= least_s + 1e-6, seed
        sooner += now_s < least_s - 2.0
    assert found >= 10
    assert sooner >= 3
