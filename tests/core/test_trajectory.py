"""Timed trajectories: limits, passage through every point, and figures worked by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.motion import flown
from utm.core import flight_time_s, time_path
from utm.core.trajectory import _KNOT_ERROR_M, planned_legs
from utm.errors import CannotFly
from utm.model import AIRCRAFT_CLASSES, Aircraft

QUAD = dataclasses.replace(AIRCRAFT_CLASSES["quad"], cruise_m_s=10.0)
TIRELESS = dataclasses.replace(QUAD, endurance_s=1e9)
START = 1.8e9
TICK_S = 5e-7  # twice the spacing of float64 at Unix time


def speeds(flight):
    """Horizontal and vertical speed of each piece, as low as rounded times allow."""
    dt = np.diff(flight.t_s) + TICK_S
    step = np.diff(flight.enu_m, axis=0)
    return np.hypot(step[:, 0], step[:, 1]) / dt, step[:, 2] / dt


speed = st.floats(0.2, 30)
aircraft = st.builds(
    Aircraft,
    name=st.just("any"),
    radius_m=st.just(1.0),
    cruise_m_s=speed,
    climb_m_s=speed,
    descent_m_s=speed,
    landing_m_s=speed,
    slow_below_m=st.floats(0, 40),
    acceleration_m_s2=st.floats(0.2, 9),
    endurance_s=st.just(1e12),
)
coordinate = st.one_of(st.floats(-300, 300), st.sampled_from([0.0, 1e-4, 1e-2, 50.0, 50.0005]))
points = st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=2, max_size=9)


@settings(max_examples=300, deadline=None)
@given(points=points, craft=aircraft)
def test_no_limit_is_exceeded_and_every_point_is_passed(points, craft):
    points = np.array(points)
    if not (np.linalg.norm(points - points[0], axis=1) > 1e-2).any():
        return
    flight = time_path(points, craft, START)
    assert flight.start_s == START
    assert flight.end_s == pytest.approx(START + flight_time_s(points, craft), abs=1e-6)
    across, up = speeds(flight)
    assert (across <= craft.cruise_m_s * (1 + 1e-9)).all()
    assert (up <= craft.climb_m_s * (1 + 1e-9)).all()
    assert (-up <= craft.descent_m_s * (1 + 1e-9)).all()
    np.testing.assert_array_equal(flight.enu_m[-1], points[-1])
    at = 0
    for place in points:  # in order, but for points a millimetre from the one before
        away = np.linalg.norm(flight.enu_m[at:] - place, axis=1)
        near = np.flatnonzero(away <= 2e-3)
        assert len(near), f"{place} is not passed"
        at += near[0]
    if points[-2, 2] > points[-1, 2] + 2e-3 and craft.slow_below_m > 2e-3:
        assert -up[-1] <= craft.landing_m_s * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(points=points, craft=aircraft)
def test_speed_changes_within_the_acceleration(points, craft):
    """The mean speeds of two pieces in a row differ by no more than the acceleration allows between their middles,
    but where the knots of a corner lie less than the rounding of Unix time apart."""
    points = np.array(points)
    if not (np.linalg.norm(points - points[0], axis=1) > 1e-2).any():
        return
    flight = time_path(points, craft, 0.0)
    dt = np.diff(flight.t_s)
    along = np.linalg.norm(np.diff(flight.enu_m, axis=0), axis=1) / dt
    allowed = craft.acceleration_m_s2 * (dt[1:] + dt[:-1]) / 2
    slack = 1e-6 + 5e-3 * craft.acceleration_m_s2  # knots within a millisecond are merged
    assert (np.abs(np.diff(along)) <= allowed + slack).all()
    # It starts and ends at rest.
    assert along[0] <= craft.acceleration_m_s2 * dt[0] / 2 + slack
    assert along[-1] <= craft.acceleration_m_s2 * dt[-1] / 2 + slack


def ramp_s(change):
    """The time of a change of speed at 2 m/s2 and 4 m/s3, worked by hand: 1 m/s is the least that reaches 2 m/s2."""
    return change / 2 + 0.5 if change >= 1 else math.sqrt(change)


def lost_s(fast, slow):
    """What a ramp between two speeds costs against going on at the faster one."""
    return ramp_s(fast - slow) * (1 - (fast + slow) / 2 / fast)


def test_a_flight_worked_by_hand():
    flight = time_path([(0, 0, 0), (0, 0, 60), (0, 500, 60), (0, 500, 0)], QUAD, START)
    climb = 60 / 3 + 2 * lost_s(3, 0)
    leg = 500 / 10 + 2 * lost_s(10, 0)
    # Down to 10 m at 1.5 m/s, braking to 0.7 m/s, and the rest at that.
    descent = 50 / 1.5 + lost_s(1.5, 0) + lost_s(1.5, 0.7)
    landing = 10 / 0.7 + lost_s(0.7, 0)
    assert flight.end_s - flight.start_s == pytest.approx(climb + leg + descent + landing, abs=1e-6)
    gate = flight.t_s[np.flatnonzero(np.abs(flight.enu_m[:, 2] - 10) < 1e-9)[-1]] - START
    assert gate == pytest.approx(climb + leg + descent, abs=1e-6)


def test_short_legs_never_reach_the_cruise_speed():
    """10 m from rest to rest: up to 4 m/s in 2.5 s, and down again. 0.5 m: up to 0.63 m/s without reaching 2 m/s2."""
    for length, took in ((10.0, 5.0), (0.5, 2 * (0.5 ** (2 / 3)) ** 0.5)):
        flight = time_path([(0, 0, 0), (0, 0, 30), (length, 0, 30), (length, 0, 0)], QUAD, START)
        level = np.flatnonzero(flight.enu_m[:, 2] == 30)
        assert flight.t_s[level[-1]] - flight.t_s[level[0]] == pytest.approx(took, abs=1e-6)


@pytest.mark.parametrize(
    ("turn_deg", "corner_m_s"),
    [(0.0, 10.0), (1.0, 10.0), (45.0, math.sqrt(10 / math.tan(math.pi / 8))), (90.0, math.sqrt(10)), (180.0, 0.0)],
)
def test_corners_slow_the_flight(turn_deg, corner_m_s):
    """Two level legs of 200 m: the time lost is that of braking and of speeding up again."""
    turn = math.radians(turn_deg)
    path = [(0, 0, 0), (0, 0, 30), (200, 0, 30)]
    end = (200 + 200 * math.cos(turn), 200 * math.sin(turn))
    path += [(*end, 30), (*end, 0)]
    straight = flight_time_s([(0, 0, 0), (0, 0, 30), (400, 0, 30), (400, 0, 0)], QUAD)
    assert flight_time_s(path, QUAD) == pytest.approx(straight + 2 * lost_s(10, corner_m_s), abs=1e-6)


def test_a_change_of_height_alone_does_not_slow():
    level = [(0, 0, 0), (0, 0, 30), (200, 0, 30), (400, 0, 30), (400, 0, 0)]
    sloping = [(0, 0, 0), (0, 0, 30), (200, 0, 30), (400, 0, 40), (400, 0, 0)]
    assert flight_time_s(sloping, QUAD) == pytest.approx(flight_time_s(level, QUAD) + 10 / 1.5, abs=0.05)


def test_it_stops_at_a_column_on_the_way():
    """Up 20 m in the middle of a leg: from rest to rest on either side of it."""
    level = flight_time_s([(0, 0, 0), (0, 0, 30), (200, 0, 30), (400, 0, 30), (400, 0, 0)], QUAD)
    column = [(0, 0, 0), (0, 0, 30), (200, 0, 30), (200, 0, 50), (400, 0, 50), (400, 0, 0)]
    assert flight_time_s(column, QUAD) == pytest.approx(
        level + 2 * (lost_s(10, 0) + lost_s(3, 0)) + 20 / 3 + 20 / 1.5, abs=1e-6
    )


def test_no_corner_is_passed_faster_than_it_could_stop_by_the_next():
    """Legs of 10 m straight on: PX4 looks one leg ahead. From v it plans to stop within v^2 / 4 + v = 10 m, so
    v = 4.633 m/s; in 5 m it gets to 5.56 m/s, where (4.633 + 5.56) / 2 * sqrt(5.56 - 4.633) is nearly 5."""
    path = [(0, 0, 0), (0, 0, 30), *[(50 + 10 * n, 0, 30) for n in range(20)], (400, 0, 30), (400, 0, 0)]
    flight = time_path(path, QUAD, START)
    across, _ = speeds(flight)
    middle = (flight.enu_m[:-1, 0] > 79) & (flight.enu_m[:-1, 0] < 220)
    assert across[middle].min() > 4.633
    assert across[middle].max() < 5.6


def test_steep_legs_keep_the_climb_speed():
    flight = time_path([(0, 0, 0), (0, 0, 10), (30, 0, 110), (30, 0, 0)], QUAD, START)
    _, up = speeds(flight)
    assert up.max() == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize(("cruise", "acceleration"), [(30.0, 1.0), (8.0, 2.0), (3.0, 8.0)])
def test_knots_are_on_the_motion_with_limited_jerk(cruise, acceleration):
    """And between them the pieces are off it by no more than they may."""
    fast = dataclasses.replace(
        TIRELESS, cruise_m_s=cruise, max_airspeed_m_s=40.0, acceleration_m_s2=acceleration, slow_below_m=0.0
    )
    way = [(0, 0, 0), (0, 0, 9), (2000, 0, 9), (2000, 0, 0)]
    flight = time_path(way, fast, 0.0)
    times, places = flown(planned_legs(way, fast), samples=60)
    off = [np.interp(times, flight.t_s, flight.enu_m[:, axis]) - places[:, axis] for axis in range(3)]
    assert np.abs(off).max() <= _KNOT_ERROR_M
    steps = [np.interp(flight.t_s, times, places[:, axis]) - flight.enu_m[:, axis] for axis in range(3)]
    assert np.abs(steps).max() < 0.05  # the oracle is sampled every half second


def test_endurance():
    path = [(0, 0, 0), (0, 0, 50), (20_000, 0, 50), (20_000, 0, 0)]
    needs = flight_time_s(path, QUAD)
    with pytest.raises(
        CannotFly, match=rf"takes {needs:.0f} s, {needs - 1500:.0f} s more than the endurance of 1500 s"
    ):
        time_path(path, QUAD, START)
    assert time_path(path, TIRELESS, START).end_s == pytest.approx(START + needs)


def test_repeated_points_are_one():
    path = [(0, 0, 0), (0, 0, 30), (0, 0, 30), (100, 0, 30), (100, 0.0004, 30), (100, 0, 0), (100, 0, 0.0003)]
    assert flight_time_s(path, QUAD) == pytest.approx(
        flight_time_s([(0, 0, 0), (0, 0, 30), (100, 0, 30), (100, 0, 0.0003)], QUAD), abs=1e-3
    )


@pytest.mark.parametrize(
    ("path", "start", "words"),
    [
        ([], START, "shape"),
        ([(0, 0, 0)], START, "two different points"),
        ([(0, 0, 0), (0, 0, 1e-5)], START, "two different points"),
        ([(0, 0, 0), (0, 0, math.nan)], START, "finite"),
        ([(0, 0), (1, 1)], START, "shape"),
        ([(0, 0, 0), (0, 0, 9)], math.nan, "start_s"),
    ],
)
def test_ways_that_cannot_be_flown(path, start, words):
    with pytest.raises(ValueError, match=words):
        time_path(path, QUAD, start)


@pytest.mark.parametrize("field", ["cruise_m_s", "climb_m_s", "descent_m_s", "landing_m_s", "acceleration_m_s2"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_speeds_that_are_none(field, value):
    with pytest.raises(ValueError, match=field):
        flight_time_s([(0, 0, 0), (0, 0, 9)], dataclasses.replace(QUAD, **{field: value}))
