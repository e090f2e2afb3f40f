"""Whether an aircraft is as fast as its trajectory says, and what it draws: piece by piece."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import flight_energy, ground_speed_m_s, power_w, time_path
from utm.core.conflict import closest_approach, closest_approaches
from utm.core.flown import flown
from utm.core.pace import drawn_wh, too_fast, too_windy
from utm.errors import CannotFly
from utm.model import AIRCRAFT_CLASSES, CALM, Trajectory, Wind

pytestmark = pytest.mark.nojit

QUAD = AIRCRAFT_CLASSES["quad"]
T0 = 1.79e9
POINTS = np.array([(0, 0, 0), (0, 0, 40), (200, 0, 40), (200, 90, 60), (200, 90, 12), (200, 90, 2)], float)
#: Seconds at which each piece is flown as fast as the quad may: 3 m/s up, 8 over the ground, 1.5 down, 0.7 at the end.
FASTEST = np.array([40 / 3, 25.0, 11.25, 38 / 1.5, 10 / 0.7])


def line(seconds) -> Trajectory:
    return Trajectory(T0 + np.concatenate([[0.0], np.cumsum(seconds)]), POINTS)


def found(seconds, aircraft=QUAD, wind=CALM):
    made = line(seconds)
    return {one.direction: one for one in too_fast(made, flown(made), aircraft, wind)}


def test_as_fast_as_it_may_be_is_not_too_fast():
    calm = np.maximum(FASTEST, [0, 0, 20 / 3 + 1e-3, 48 / 1.5, 10 / 0.7])
    assert found(calm) == {}


@pytest.mark.parametrize(
    ("piece", "direction", "allowed"),
    [
        (0, "upwards", 3.0),
        (1, "over the ground", 8.0),
        (3, "downwards", 1.5),
        (4, "downwards, landing", 0.7),
    ],
)
def test_a_hundredth_faster_is(piece, direction, allowed):
    seconds = np.maximum(FASTEST, [0, 0, 20 / 3 + 1e-3, 48 / 1.5, 10 / 0.7])
    seconds[piece] /= 1.01
    told = found(seconds)
    assert list(told) == [direction]
    assert told[direction].piece == piece
    assert told[direction].allowed_m_s == allowed
    assert told[direction].speed_m_s == pytest.approx(1.01 * allowed, rel=1e-6)


def test_a_wind_slows_it_down():
    seconds = np.maximum(FASTEST, [0, 0, 20 / 3 + 1e-3, 48 / 1.5, 10 / 0.7])
    against = Wind.uniform(-10.0, 0.0)
    told = found(seconds, wind=against)
    assert told["over the ground"].allowed_m_s == pytest.approx(5.0)
    assert told["over the ground"].piece == 1
    # Strong only aloft: what counts is the worst height of a piece.
    aloft = Wind(np.array([0.0, 45.0, 50.0]), np.array([(0.0, 0.0), (0.0, 0.0), (0.0, -10.0)]))
    told = found(seconds, wind=aloft)
    assert told["over the ground"].piece == 2
    assert told["over the ground"].allowed_m_s == pytest.approx(float(ground_speed_m_s(QUAD, (0.0, 1.0), (0.0, -10.0))))


def test_a_storm_on_the_way():
    storm = Wind(np.array([0.0, 52.0, 53.0]), np.array([(0.0, 0.0), (20.0, 0.0), (0.0, 0.0)]))
    strength, piece = too_windy(line(FASTEST), QUAD, storm)
    assert (strength, piece) == (20.0, 2)
    assert too_windy(line(FASTEST), QUAD, Wind.uniform(14.0, 0.0)) is None
    assert too_windy(line(FASTEST), QUAD, CALM) is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_planned_is_never_too_fast(seed):
    rng = np.random.default_rng(seed)
    cruise = np.column_stack([rng.uniform(0, 900, (4, 2)), rng.uniform(40, 80, 4)])
    points = np.vstack([cruise[0] - (0, 0, 30), cruise, cruise[-1] - (0, 0, rng.uniform(5, 39))])
    wind = CALM if seed % 3 else Wind(np.array([0.0, 60.0]), rng.uniform(-6, 6, (2, 2)))
    try:
        made = time_path(points, QUAD, T0, wind)
    except CannotFly:
        return
    assert too_fast(made, flown(made), QUAD, wind) == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_energy_is_power_times_time(seed):
    rng = np.random.default_rng(seed)
    wind = Wind.uniform(*rng.uniform(-8, 8, 2))
    seconds = FASTEST * rng.uniform(1.1, 2.0, 5)
    made, used = line(seconds), 0.0
    for (a, b), took in zip(itertools.pairwise(POINTS), seconds, strict=True):
        air = (b - a) / took - [*wind.velocity_m_s[0], 0.0]
        used += float(power_w(QUAD, np.hypot(*air[:2]), air[2])) * took / 3600
    assert drawn_wh(made, QUAD, wind) == pytest.approx(used, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_bound_on_what_it_draws_is_one(seed):
    rng = np.random.default_rng(seed)
    heavy = dataclasses.replace(
        QUAD,
        mass_kg=float(rng.uniform(1, 10)),
        climb_m_s=float(rng.uniform(1, 6)),
        cruise_m_s=float(rng.uniform(3, 15)),
    )
    points = np.vstack([POINTS[:-2], POINTS[-1:]])
    made = time_path(points, dataclasses.replace(heavy, endurance_s=1e6), T0)
    exact = drawn_wh(made, heavy)
    bound = drawn_wh(made, heavy, enough_wh=1e9)
    assert exact <= bound
    # Even flight between the knots draws about what the planner reckons with its ramps.
    assert exact == pytest.approx(flight_energy(points, heavy).used_wh, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_many_closest_approaches_are_each_of_them(seed):
    rng = np.random.default_rng(seed)

    def some() -> Trajectory:
        n = int(rng.integers(2, 7))
        return Trajectory(
            T0 + rng.uniform(0, 60) + np.cumsum(rng.uniform(1, 20, n)), rng.uniform(0, 300, (n, 3)) * (1, 1, 0.2)
        )

    a, others = some(), [some() for _ in range(int(rng.integers(0, 4)))]
    vertical, tolerance, within = (rng.uniform(low, high, len(others)) for low, high in ((5, 60), (0, 20), (30, 300)))
    distances, at = closest_approaches(a, others, vertical, tolerance, within)
    for n, other in enumerate(others):
        one, when = closest_approach(a, other, vertical[n], tolerance[n])
        if one < within[n]:
            assert distances[n] == pytest.approx(one, abs=1e-9)
            assert when == pytest.approx(at[n], abs=1e-6) or one == 0.0
        else:
            assert np.isinf(distances[n])
            assert np.isnan(at[n])


def test_limits_that_are_none_are_refused():
    with pytest.raises(ValueError, match="limits must be"):
        closest_approaches(line(FASTEST), [line(FASTEST)], [np.nan], [1.0], [10.0])
    with pytest.raises(ValueError, match="limits must be"):
        closest_approaches(line(FASTEST), [line(FASTEST)], [10.0], [-1.0], [10.0])
    with pytest.raises(ValueError, match="as many limits"):
        closest_approaches(line(FASTEST), [], [10.0], [1.0], [10.0])
