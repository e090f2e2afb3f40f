"""What is flown never leaves the tube around what is checked, and the tube is no wider than it must be."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from tests.oracles.motion import bend, flown
from utm.core import corner_triangles, rounded, time_path, tube_of
from utm.core.trajectory import planned_legs
from utm.errors import CannotFly
from utm.model import AIRCRAFT_CLASSES, CALM, Wind

QUAD = AIRCRAFT_CLASSES["quad"]
#: Every way begins with a climb.
COLUMNS = ((0, 0, 0), (0, 0, 60))

speed = st.floats(0.5, 20)
craft = st.builds(
    lambda **figures: dataclasses.replace(QUAD, endurance_s=1e9, max_airspeed_m_s=30.0, **figures),
    cruise_m_s=speed,
    climb_m_s=speed,
    descent_m_s=speed,
    landing_m_s=speed,
    acceleration_m_s2=st.floats(0.3, 8),
)
wind = st.one_of(
    st.just(CALM),
    st.builds(
        lambda velocity: Wind(np.array([0.0, 40.0, 90.0]), np.array(velocity)),
        st.lists(st.tuples(st.floats(-15, 15), st.floats(-15, 15)), min_size=3, max_size=3),
    ),
)
#: Steps of a way: legs of any length, vertical ones, and straight back (a hairpin).
level_step = st.one_of(
    st.tuples(st.floats(-120, 120), st.floats(-120, 120), st.just(0.0)),
    st.tuples(st.just(0.0), st.just(0.0), st.floats(-40, 40)),
    st.sampled_from([(60.0, 0.0, 0.0), (-60.0, 0.0, 0.0), (-60.0, 1.0, 0.0), (0.0, 60.0, 0.0), (12.0, 0.0, 0.0)]),
)
step = st.one_of(level_step, st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(-30, 30)))


def way_of(steps):
    way = np.vstack([COLUMNS, COLUMNS[1] + np.cumsum(steps, axis=0)])
    return np.vstack([way, way[-1] * (1, 1, 0) - (0, 0, 100)])


def away(way, aircraft, in_wind, how="ray", share=1.0):
    """Horizontal and vertical distance (n,) of what is flown from the trajectory at the same moments."""
    line = time_path(way, aircraft, 0.0, in_wind)
    times, places = flown(planned_legs(way, aircraft, in_wind), how, share)
    off = places - np.array([np.interp(times, line.t_s, line.enu_m[:, axis]) for axis in range(3)]).T
    return np.hypot(off[:, 0], off[:, 1]), np.abs(off[:, 2])


@settings(max_examples=120, deadline=None)
@given(
    steps=st.lists(step, min_size=1, max_size=6),
    aircraft=craft,
    in_wind=wind,
    how=st.sampled_from(["ray", "evenly", "parabola"]),
    share=st.sampled_from([1.0, 0.4]),
)
def test_what_is_flown_stays_in_the_tube(steps, aircraft, in_wind, how, share):
    way = way_of(steps)
    tube = tube_of(way, aircraft, in_wind)
    across, up = away(way, aircraft, in_wind, how, share)
    assert across.max() <= tube.horizontal_m
    assert up.max() <= tube.vertical_m


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(level_step, min_size=1, max_size=6), aircraft=craft)
def test_the_tube_is_no_wider_than_three_times_what_is_seen(steps, aircraft):
    """On level legs and vertical steps, which is how ways are granted. On slopes a turn counts in full both ways."""
    way = way_of(steps)
    tube = tube_of(way, aircraft)
    across, up = away(way, aircraft, CALM)
    assert tube.horizontal_m <= 3 * across.max() + 1e-3
    assert tube.vertical_m <= 3 * up.max() + 1e-3
    assert tube.horizontal_m <= 10 + 2 + 1e-3


@pytest.mark.parametrize("turn_deg", [10, 45, 90, 135])
def test_a_corner_worked_by_hand(turn_deg):
    """t tan(turn / 4) with t = 10 m, and beside it the pieces of the change of speed."""
    turn = math.radians(turn_deg)
    way = way_of([(200, 0, 0), (200 * math.cos(turn), -200 * math.sin(turn), 0)])
    across, _ = away(way, QUAD, CALM)
    corner = 10 * math.tan(turn / 4)
    tube = tube_of(way, QUAD)
    straight = tube_of(way_of([(400, 0, 0)]), QUAD)
    assert across.max() >= corner - 0.02
    assert max(corner, straight.horizontal_m) <= tube.horizontal_m <= corner + straight.horizontal_m


def test_a_way_without_corners_has_only_the_changes_of_speed():
    """From rest to 8 m/s in 4.5 s in two pieces, to 3 m/s in 2 s in one: 2 m/s2 times dt squared over 8."""
    tube = tube_of([(0, 0, 0), (0, 0, 60), (400, 0, 60), (400, 0, 0)], QUAD)
    assert tube.horizontal_m == pytest.approx(2 * 2.25**2 / 8, abs=2e-5)
    assert tube.vertical_m == pytest.approx(2 * 2.0**2 / 8, abs=2e-5)


def test_short_legs_turn_in_half_their_length():
    """Legs of 12 m leave 6 m for each turn."""
    side = [(60, 0, 0), (0, 12, 0), (60, 0, 0)]
    triangles = corner_triangles(way_of(side), QUAD)
    assert len(triangles) == 2
    for enter, corner, leave in triangles:
        assert np.linalg.norm(corner - enter) == pytest.approx(6)
        assert np.linalg.norm(corner - leave) == pytest.approx(6)


def test_stops_are_not_rounded():
    assert corner_triangles(way_of([(60, 0, 0), (0, 0, 20), (0, 60, 0)]), QUAD).shape == (0, 3, 3)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, min_size=2, max_size=5), aircraft=craft)
@example(
    steps=[(0.0, -10.0, 0.0), (6.103515625e-05, -11.0, 0.0)],
    aircraft=dataclasses.replace(
        QUAD,
        endurance_s=1e9,
        max_airspeed_m_s=30.0,
        **dict.fromkeys(("cruise_m_s", "climb_m_s", "descent_m_s", "landing_m_s", "acceleration_m_s2"), 1.0),
    ),
)
def test_the_rounded_way_is_the_one_flown(steps, aircraft):
    """Every place flown is within 5 cm of the rounded way, and every rounded corner lies in its triangle."""
    way = way_of(steps)
    line = rounded(way, aircraft)
    _, places = flown(planned_legs(way, aircraft))
    a, b = line[:-1], np.diff(line, axis=0)
    square = np.maximum((b * b).sum(1), 1e-12)
    for place in places:
        share = np.clip(((place - a) * b).sum(1) / square, 0, 1)
        assert np.linalg.norm(a + share[:, None] * b - place, axis=1).min() <= 0.05 + 1e-6
    triangles = corner_triangles(way, aircraft)
    for enter, corner, leave in triangles:
        for how in ("evenly", "parabola"):
            for done in np.linspace(0, 1, 11):
                # Metres from the triangle, not weights in it: those of a turn of a millionth mean nothing.
                mixed = np.vstack([np.array([enter, corner, leave]).T, np.ones(3)])
                assert nnls(mixed, np.append(bend(enter, corner, leave, done, how), 1.0))[1] <= 1e-6


def test_too_much_wind_has_no_tube():
    with pytest.raises(CannotFly, match="17 m/s across leg 2"):
        tube_of([(0, 0, 0), (0, 0, 60), (400, 0, 60), (400, 0, 0)], QUAD, Wind.uniform(0, 17))
