"""The error budget: every term counted once, every volume and every gap large enough for it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utm.core.trajectory import planned_legs
from utm.model import AIRCRAFT_CLASSES, Aircraft, RuleSet, budget_of, budget_rows, rules_for
from utm.model.budget import missed_turn_m, stop_m

RULES = RuleSet()
QUAD, CARGO = AIRCRAFT_CLASSES["quad"], AIRCRAFT_CLASSES["quad-cargo"]
TERMS = [
    "navigation",
    "receiver geoid",
    "barometer drift",
    "survey",
    "flight technical error",
    "latency",
    "overshoot",
]


def aircraft(cruise: float, acceleration: float, navigation: float, height: float) -> Aircraft:
    return dataclasses.replace(
        QUAD,
        cruise_m_s=cruise,
        max_airspeed_m_s=2 * cruise,
        acceleration_m_s2=acceleration,
        navigation_error_m=navigation,
        height_error_m=height,
    )


AIRCRAFT = st.builds(aircraft, st.floats(0.5, 30), st.floats(0.5, 8), st.floats(0.01, 40), st.floats(0.01, 20))


def test_stopping_is_what_was_measured():
    assert stop_m(5.0) == pytest.approx(8.0)
    assert stop_m(10.0) == pytest.approx(24.0)
    assert stop_m(0.0) == 0.0


def test_the_quad_fits_into_what_the_rules_ask_for_and_the_cargo_quad_does_not():
    quad = budget_of(QUAD, RULES)
    assert rules_for(RULES, QUAD) is RULES
    assert (quad.half_width_m, quad.half_height_m) == (25.0, 10.0)
    assert quad.breach_m == pytest.approx(24.0)  # a quarter faster than its 8 m/s
    cargo, wide = budget_of(CARGO, RULES), rules_for(RULES, CARGO)
    assert wide.half_width_m == cargo.half_width_m == pytest.approx(29.5)
    assert wide.half_height_m == cargo.half_height_m == pytest.approx(10.3)
    assert wide.clearance_m > RULES.clearance_m
    same = dataclasses.replace(
        wide,
        half_width_m=RULES.half_width_m,
        half_height_m=RULES.half_height_m,
        clearance_m=RULES.clearance_m,
    )
    assert same == RULES
    assert rules_for(wide, CARGO) is wide


@given(AIRCRAFT)
def test_the_sum_is_of_all_terms(craft):
    budget = budget_of(craft, RULES)
    assert [line.name for line in budget.lines] == TERMS
    assert all(line.source for line in budget.lines)
    for axis in ("horizontal_m", "vertical_m"):
        values = np.array([getattr(line, axis) for line in budget.lines])
        random = np.array([line.random for line in budget.lines])
        assert (values >= 0).all()
        assert getattr(budget, axis) == pytest.approx(np.linalg.norm(values[random]) + values[~random].sum())


@given(AIRCRAFT, st.floats(1, 60), st.floats(1, 30), st.floats(0, 60))
def test_volume_and_gap_are_large_enough(craft, half_width, half_height, gap):
    asked = dataclasses.replace(RULES, half_width_m=half_width, half_height_m=half_height, separation_horizontal_m=gap)
    budget, rules = budget_of(craft, asked), rules_for(asked, craft)
    assert rules.half_width_m == budget.half_width_m >= max(half_width, budget.horizontal_m - 1e-6)
    assert rules.half_height_m == budget.half_height_m >= max(half_height, budget.vertical_m - 1e-6)
    # A fence at its farthest never stops a drone that does what it was told, and one that breaks out ends in the gap.
    assert budget.horizontal_m - 1e-6 <= budget.fence_m <= budget.half_width_m
    assert budget.fence_m + budget.breach_m <= budget.half_width_m + gap + 1e-6
    # What stands beside a wider corridor stands as far from its far corner as before.
    corner, before = math.hypot(rules.half_width_m, rules.half_height_m), math.hypot(half_width, half_height)
    assert rules.clearance_m - corner >= asked.clearance_m - before - 1e-6
    assert rules_for(rules, craft).half_width_m == rules.half_width_m


@given(AIRCRAFT, st.floats(1.0, 3.0))
def test_worse_is_never_narrower(craft, factor):
    worse = dataclasses.replace(
        craft,
        navigation_error_m=craft.navigation_error_m * factor,
        height_error_m=craft.height_error_m * factor,
        cruise_m_s=craft.cruise_m_s * factor,
        max_airspeed_m_s=craft.max_airspeed_m_s * factor,
    )
    here, there = budget_of(craft, RULES), budget_of(worse, RULES)
    assert there.horizontal_m >= here.horizontal_m
    assert there.vertical_m >= here.vertical_m
    assert there.breach_m >= here.breach_m


@given(AIRCRAFT, st.floats(1.0, 179.0))
def test_who_misses_a_turn_of_a_planned_flight_stops_within_the_overshoot(craft, degrees):
    """Straight on from a corner of `planned_legs`, at the speed planned there: how far that is from the next leg."""
    turn, far = math.radians(degrees), 2000.0
    corner = np.array([far, 0.0, 50.0])
    end = corner + far * np.array([math.cos(turn), math.sin(turn), 0.0])
    points = np.array([[0, 0, 0], [0, 0, 50], corner, end, [end[0], end[1], 0]])
    speed = planned_legs(points, craft)[1].final_m_s
    stop = stop_m(speed)
    away = stop * math.sin(turn) if degrees < 90 else stop
    # Whole degrees are looked at: between two of them it is a little more.
    assert away <= missed_turn_m(craft, craft.cruise_m_s) * 1.01 + 0.01


def test_a_figure_that_is_none_is_refused():
    with pytest.raises(ValueError, match="navigation_error_m must be a finite number above zero, got 0"):
        budget_of(dataclasses.replace(QUAD, navigation_error_m=0.0), RULES)
    with pytest.raises(ValueError, match="speed_m_s must be"):
        budget_of(QUAD, RULES, math.nan)


def test_the_table_says_every_term_and_the_sums():
    rows = budget_rows(budget_of(CARGO, RULES))
    assert [row[0] for row in rows] == [*TERMS, "sum", "breach", "volume"]
    assert rows[-3][1:3] == ("14.5 m", "10.3 m")
    assert rows[-2][4] == "at 12.5 m/s"
    assert rows[-1][1:3] == ("29.5 m", "10.3 m")
    assert rows[-1][-1] == "fence at most 14.5 m from the line"
