"""Level legs: level, vertical, clear, through the same corners, and at the heights that cost least."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import FlightSpace, GridPlanner, corners_only, level_legs, pull_string, segment_clear
from utm.core.levels import STOP_S
from utm.errors import NoPath
from utm.model import AIRCRAFT_CLASSES

QUAD = AIRCRAFT_CLASSES["quad"]
CELL_M = 4.0


def space(blocked) -> FlightSpace:
    return FlightSpace(np.array([100.0, 200.0, 20.0]), CELL_M, np.asarray(blocked, bool))


def way_through(sky: FlightSpace, start, goal) -> np.ndarray:
    path = GridPlanner(sky.blocked).path(start, goal)
    ends = np.asarray(start) + 0.5, np.asarray(goal) + 0.5
    return sky.to_enu(pull_string(sky.blocked, path.cells, *ends))


def climbing_s(points) -> float:
    """Time of all changes of height, with the stops that they cost on the way."""
    total = 0.0
    for index, (a, b) in enumerate(itertools.pairwise(points)):
        if a[2] != b[2]:
            at_an_end = index in (0, len(points) - 2)
            total += abs(b[2] - a[2]) / (QUAD.climb_m_s if b[2] > a[2] else QUAD.descent_m_s)
            total += 0.0 if at_an_end else STOP_S
    return total


def test_a_slope_becomes_a_step_and_a_level_leg():
    sky = space(np.zeros((30, 5, 10)))
    a, b = sky.centre((0, 2, 2)), sky.centre((29, 2, 5))
    # Up first or up last costs the same; one height all along it is.
    points = level_legs(sky, [a, b], QUAD)
    assert len(points) == 3
    np.testing.assert_allclose(points[[0, -1]], [a, b])


def test_it_stays_high_where_a_dip_does_not_pay():
    blocked = np.zeros((60, 3, 12), bool)
    blocked[10:15, :, :8] = blocked[45:50, :, :8] = True
    sky = space(blocked)
    points = level_legs(sky, way_through(sky, (0, 1, 8), (59, 1, 8)), QUAD)
    assert set(points[:, 2]) == {sky.centre((0, 0, 8))[2]}


def test_a_low_ceiling_is_passed_below():
    blocked = np.zeros((60, 3, 12), bool)
    blocked[:20, :, :8] = True  # high ground, then a low ceiling
    blocked[40:, :, 4:] = True
    sky = space(blocked)
    points = level_legs(sky, way_through(sky, (0, 1, 8), (59, 1, 2)), QUAD)
    assert all(a[2] == b[2] or (a[:2] == b[:2]).all() for a, b in itertools.pairwise(points))
    assert all(segment_clear(sky.blocked, sky.to_grid(a), sky.to_grid(b)) for a, b in itertools.pairwise(points))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_level_vertical_clear_and_over_the_same_ground(seed):
    rng = np.random.default_rng(seed)
    blocked = np.zeros((14, 12, 10), bool)
    heights = rng.integers(0, 7, (14, 12)) * (rng.random((14, 12)) < 0.5)
    blocked |= np.arange(10)[None, None, :] < heights[:, :, None]
    blocked |= np.arange(10)[None, None, :] > (heights + rng.integers(2, 9, (14, 12)))[:, :, None]
    sky = space(blocked)
    free = np.argwhere(~blocked)
    start, goal = free[rng.integers(len(free), size=2)]
    try:
        way = way_through(sky, start, goal)
    except NoPath:
        return
    points = level_legs(sky, way, QUAD)
    np.testing.assert_array_equal(points[0], way[0])
    np.testing.assert_array_equal(points[-1], way[-1])
    for a, b in itertools.pairwise(points):
        assert a[2] == b[2] or (a[:2] == b[:2]).all()
        assert segment_clear(sky.blocked, sky.to_grid(a), sky.to_grid(b))
    # Over the ground it is the same line.
    flat, level = ([np.hypot(*(b - a)[:2]) for a, b in itertools.pairwise(line)] for line in (way, points))
    assert sum(level) == pytest.approx(sum(flat), abs=1e-6)
    for corner in way:
        assert min(_beside(corner, a, b) for a, b in itertools.pairwise(points)) < 1e-6


def _beside(corner, a, b) -> float:
    """Distance over the ground from a point to a segment."""
    along, gap = (b - a)[:2], (corner - a)[:2]
    square = float(along @ along)
    share = min(max(float(gap @ along) / square, 0.0), 1.0) if square > 0 else 0.0
    return float(np.hypot(*(gap - share * along)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_other_heights_cost_less(seed):
    """Every combination of layers is tried, on ways of few legs."""
    rng = np.random.default_rng(seed)
    blocked = rng.random((9, 4, 5)) < 0.25
    corners = np.array([(0, 1, 2), (4, 1, 2), (8, 2, 2)]) + 0.5
    sky = space(blocked)
    way = sky.to_enu(corners)
    try:
        points = level_legs(sky, way, QUAD)
    except NoPath:
        return
    layers = [sky.origin_m[2] + (k + 0.5) * CELL_M for k in (1, 2, 3)]
    best = np.inf
    for first, second in itertools.product(layers, repeat=2):
        line = [
            way[0],
            [*way[0][:2], first],
            [*way[1][:2], first],
            [*way[1][:2], second],
            [*way[2][:2], second],
            way[2],
        ]
        if all(segment_clear(sky.blocked, sky.to_grid(a), sky.to_grid(b)) for a, b in itertools.pairwise(line)):
            ends = abs(first - way[0][2]) / (QUAD.climb_m_s if first > way[0][2] else QUAD.descent_m_s)
            ends += abs(way[2][2] - second) / (QUAD.climb_m_s if way[2][2] > second else QUAD.descent_m_s)
            step = abs(second - first) / (QUAD.climb_m_s if second > first else QUAD.descent_m_s)
            best = min(best, ends + step + (STOP_S if first != second else 0.0))
    if np.isfinite(best):
        assert climbing_s(points) <= best + 1e-9


def test_straight_lines_have_no_corners_in_the_middle():
    line = np.array([(0, 0, 0), (0, 0, 0), (0, 0, 5), (0, 0, 9), (3, 0, 9), (6, 0, 9), (6, 0, 4), (6, 0, 8)], float)
    np.testing.assert_array_equal(corners_only(line), line[[0, 3, 5, 6, 7]])


def test_a_way_that_was_not_clear_is_no_path():
    blocked = np.zeros((10, 3, 3), bool)
    blocked[5] = True
    sky = space(blocked)
    with pytest.raises(NoPath, match="clear at no height"):
        level_legs(sky, [sky.centre((0, 1, 1)), sky.centre((9, 1, 1))], QUAD)


def test_a_price_decides_the_height():
    """Dear air above 34 m: the leg goes below it as soon as the detour in height is the cheaper."""
    sky = space(np.zeros((60, 3, 12)))
    a, b = sky.centre((0, 1, 4)), sky.centre((59, 1, 5))

    def price(dear: float):
        def of(p, q):
            metres = float(np.linalg.norm(q - p))
            return metres * (dear if p[2] > 38.0 and q[2] > 38.0 else 1.0)

        return of

    assert level_legs(sky, [a, b], QUAD, price=price(1.5), stop=0.0)[1:-1, 2].tolist() == [a[2]]
    assert a[2] == 38.0
    # Flown the other way round, the step down comes first.
    assert level_legs(sky, [b, a], QUAD, price=price(1.5), stop=0.0)[1:-1, 2].tolist() == [a[2]]


def test_a_stop_is_weighed_against_what_a_lower_leg_saves():
    sky = space(np.zeros((60, 5, 12)))
    points = [sky.centre((0, 1, 4)), sky.centre((30, 1, 4)), sky.centre((31, 3, 8)), sky.centre((59, 3, 8))]

    def price(p, q):
        level = float(np.hypot(*(q - p)[:2]))
        return level * (2.0 if p[0] < 220.0 and p[2] > 40.0 else 1.0) + abs(q[2] - p[2])

    low_then_high = level_legs(sky, points, QUAD, price=price, stop=0.0)
    assert low_then_high[0, 2] == low_then_high[1, 2]
    # With stops dearer than all that is saved, the height changes at an end only, where there is no stop.
    steady = level_legs(sky, points, QUAD, price=price, stop=1e6)
    assert sum(a[2] != b[2] for a, b in itertools.pairwise(steady)) == 1
