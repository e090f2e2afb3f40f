"""Conformance against sampling, and on cases that can be read off."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.conformance import tried
from utm.core import Judgement, judge
from utm.model import Corridor, Trajectory

pytestmark = pytest.mark.nojit

EPOCH = 1.8e9

#: Up to 50 m in 10 s, on to 1000 m at 10 m/s, a pause of 20 s, and down.
LINE = Trajectory(
    EPOCH + np.array([0.0, 10.0, 110.0, 130.0, 150.0]),
    [(0, 0, 0), (0, 0, 50), (1000, 0, 50), (1000, 0, 50), (1000, 0, 0)],
)
CORRIDOR = Corridor(LINE, half_width_m=25.0, below_m=10.0, above_m=12.0, time_tolerance_s=5.0)


def at(seconds, place):
    return judge(CORRIDOR, EPOCH + seconds, place)


def test_on_the_line():
    assert at(60.0, (500, 0, 50)) == Judgement(True, 0.0, 0.0, 0.0, 0.0)


def test_beside_and_above_within_the_room():
    found = at(60.0, (500, 24, 61))
    assert found.inside
    assert found.cross_track_m == pytest.approx(24)
    assert found.height_error_m == pytest.approx(11)
    assert found.late_s == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("place", "outside"),
    [((500, 28, 50), 3), ((500, -28, 50), 3), ((500, 0, 66), 4), ((500, 0, 36), 4), ((500, 28, 66), 5)],
)
def test_how_far_outside(place, outside):
    found = at(60.0, place)
    assert not found.inside
    assert found.outside_m == pytest.approx(outside, abs=1e-6)
    assert found.cross_track_m == pytest.approx(abs(place[1]), abs=1e-3)
    assert found.height_error_m == pytest.approx(place[2] - 50, abs=1e-3)


def test_late_and_early_within_the_tolerance():
    late, early = at(60.0, (460, 0, 50)), at(60.0, (540, 0, 50))
    assert late.inside
    assert early.inside
    assert late.late_s == pytest.approx(4.0, abs=1e-6)
    assert early.late_s == pytest.approx(-4.0, abs=1e-6)


def test_too_late_is_measured_from_the_nearest_point_of_its_time():
    found = at(60.0, (420, 0, 50))  # 80 m behind: 50 m are forgiven, 25 m are the room
    assert not found.inside
    assert found.cross_track_m == pytest.approx(30.0, abs=1e-4)
    assert found.outside_m == pytest.approx(5.0, abs=1e-4)
    assert found.late_s == pytest.approx(5.0, abs=1e-4)


def test_the_limits_belong_to_the_room():
    for place in ((500, 25, 50), (500, 0, 62), (500, 0, 40), (500, 25, 62), (500, -25, 40)):
        assert at(60.0, place).inside
    for place in ((500, 25.001, 50), (500, 0, 62.001), (500, 0, 39.999)):
        assert not at(60.0, place).inside


def test_in_the_columns_the_height_decides():
    rising = at(5.0, (3, 0, 30))
    assert rising.inside
    assert rising.height_error_m == pytest.approx(0.0, abs=1e-6)
    assert rising.late_s == pytest.approx(-1.0, abs=1e-6)
    found = at(0.0, (0, 0, 45))  # after 5 s of the corridor it is at 25 m
    assert not found.inside
    assert found.outside_m == pytest.approx(45 - 25 - 12)


def test_while_it_rests_the_drone_is_neither_early_nor_late():
    assert at(120.0, (1000, 4, 50)).late_s == 0.0


def test_before_and_after_its_time():
    before = at(-8.0, (3, 4, 2))
    assert before == Judgement(False, 5.0, 2.0, 0.0, -8.0)
    after = at(160.0, (1000, 40, -30))
    assert not after.inside
    assert after.cross_track_m == 40.0
    assert after.height_error_m == -30.0
    assert after.outside_m == pytest.approx(math.hypot(15, 20))
    assert after.late_s == pytest.approx(10.0)
    assert at(-5.0, (0, 0, 0)).inside
    assert at(155.0, (1000, 0, 0)).inside


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), near=st.booleans())
def test_agrees_with_trying_many_points(seed, near):
    rng = np.random.default_rng(seed)
    count = rng.integers(2, 7)
    places = rng.uniform(-60, 60, (count, 3))
    for n in range(1, count):  # vertical and resting pieces too
        kind = rng.integers(4)
        if kind == 0:
            places[n, :2] = places[n - 1, :2]
        elif kind == 1:
            places[n] = places[n - 1]
    line = Trajectory(EPOCH + rng.uniform(0, 5) + np.cumsum(rng.uniform(0.5, 15, count)), places)
    tolerance, hold = rng.choice([0.0, 2.0, 10.0]), rng.choice([0.0, 0.0, 20.0])
    corridor = Corridor(line, *rng.uniform(1, 30, 3), time_tolerance_s=tolerance, pad_hold_s=hold)
    t = rng.uniform(line.start_s - hold - 3, line.end_s + hold + 3)
    drone = line.at(t) + rng.normal(0, 15 if near else 60, 3)
    found = judge(corridor, t, drone)
    inside, nearest, outside = tried(corridor, t, drone)
    if math.isinf(outside):
        assert not found.inside
        return
    # Trying misses the best point by at most one step of the line.
    step = 1e-3 + 2 * corridor.time_tolerance_s / 4000 * 60 * 2
    if inside:
        assert found.inside
    if found.inside:
        assert found.outside_m == 0.0
        assert found.cross_track_m <= corridor.half_width_m + 1e-5
        assert -corridor.below_m - 1e-5 <= found.height_error_m <= corridor.above_m + 1e-5
        assert abs(found.late_s) <= corridor.time_tolerance_s + 1e-6
        assert math.hypot(found.cross_track_m, found.height_error_m) <= nearest + 1e-5
        assert outside <= step
    else:
        assert outside - step <= found.outside_m <= outside + 1e-5
    # What is reported is a point of the centre line.
    point = corridor.occupied.at(t - found.late_s)
    assert math.hypot(*(drone - point)[:2]) == pytest.approx(found.cross_track_m, abs=1e-4)
    assert drone[2] - point[2] == pytest.approx(found.height_error_m, abs=1e-4)


def test_the_pads_belong_to_it_for_a_while():
    held = Corridor(LINE, 25.0, 10.0, 12.0, 5.0, pad_hold_s=60.0)
    assert judge(held, EPOCH - 60.0, (1, 0, 0)).inside
    assert judge(held, EPOCH + 215.0, (1000, 0, 1)).inside
    assert not judge(held, EPOCH + 215.5, (1000, 0, 1)).inside
    # The pad, not the air above it.
    assert not judge(held, EPOCH - 30.0, (0, 0, 20)).inside


def test_a_breath_of_wind_at_the_top_of_a_column_is_no_height_error():
    found = at(10.0, (-0.3, 0, 50))
    assert found.height_error_m == pytest.approx(0.0, abs=1e-6)
    assert found.cross_track_m == pytest.approx(0.3)


def test_what_is_no_position():
    with pytest.raises(ValueError, match="t_s"):
        judge(CORRIDOR, math.nan, (0, 0, 0))
    with pytest.raises(ValueError, match="enu_m"):
        judge(CORRIDOR, EPOCH, (0, 0, math.inf))
