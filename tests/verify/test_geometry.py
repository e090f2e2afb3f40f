"""The verifier's own geometry against rational arithmetic and against many points, in small cases."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import conflict as oracle
from utm.model import LimitKind, Trajectory
from utm.verify.apart import least_height, nearest
from utm.verify.flight import Turn, corners, turns
from utm.verify.geometry import segment_to_columns, segments_to_outline, triangle_to_columns, within
from utm.verify.ground import Ground, Shape, _pooled
from utm.verify.reading import Room

coordinate = st.integers(-12, 12).map(float)
point = st.tuples(coordinate, coordinate, coordinate)


def squared_to_column(p, west, south, side, top):
    """Rational squared distance from a point to a column."""
    gaps = (
        max(west - p[0], p[0] - west - side, Fraction(0)),
        max(south - p[1], p[1] - south - side, Fraction(0)),
        max(p[2] - top, Fraction(0)),
    )
    return sum(gap * gap for gap in gaps)


def exact_segment(a, b, west, south, side, top) -> Fraction:
    """The least squared distance of a segment to a column: at a breakpoint, or where a quadratic between two of them
    is least; each found by three exact values."""
    a, b = [Fraction(v) for v in a], [Fraction(v) for v in b]
    west, south, side, top = (Fraction(v) for v in (west, south, side, top))

    def value(t):
        return squared_to_column([p + t * (q - p) for p, q in zip(a, b, strict=True)], west, south, side, top)

    cuts = {Fraction(0), Fraction(1)}
    for axis, faces in ((0, (west, west + side)), (1, (south, south + side)), (2, (top,))):
        if a[axis] != b[axis]:
            cuts |= {t for face in faces if 0 < (t := (face - a[axis]) / (b[axis] - a[axis])) < 1}
    best = min(map(value, cuts))
    for low, high in itertools.pairwise(sorted(cuts)):
        f0, f1, f2 = value(low), value((low + high) / 2), value(high)
        bend = 2 * (f0 - 2 * f1 + f2)  # of the quadratic through them, over shares of [low, high]
        if bend > 0:
            share = (3 * f0 - 4 * f1 + f2) / (2 * bend)
            if 0 < share < 1:
                best = min(best, value(low + share * (high - low)))
    return best


@settings(max_examples=300, deadline=None)
@given(point, point, coordinate, coordinate, st.integers(1, 6), coordinate)
def test_a_segment_and_a_column(a, b, west, south, side, top):
    found, share = segment_to_columns(np.array(a), np.array(b), [west], [south], float(side), [top])
    assert found[0] == pytest.approx(math.sqrt(exact_segment(a, b, west, south, side, top)), abs=1e-9)
    at = np.array(a) + share[0] * (np.array(b) - np.array(a))
    there = squared_to_column([Fraction(v) for v in at.tolist()], *(Fraction(v) for v in (west, south, side, top)))
    assert math.sqrt(there) == pytest.approx(found[0], abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(point, point, point, coordinate, coordinate, st.integers(1, 6), coordinate)
def test_a_triangle_and_a_column(a, b, c, west, south, side, top):
    """Never above the distance of any point of it, and reached by one: segments across it, each exact."""
    corners_m = np.array([a, b, c])
    found = triangle_to_columns(corners_m, [west], [south], float(side), [top])[0][0]
    shares = np.linspace(0, 1, 33)
    across = [
        segment_to_columns(
            corners_m[0] + t * (corners_m[1] - corners_m[0]),
            corners_m[0] + t * (corners_m[2] - corners_m[0]),
            [west], [south], float(side), [top],
        )[0][0]
        for t in shares
    ]  # fmt: skip
    assert found <= min(across) + 1e-9
    longest = max(np.linalg.norm(corners_m[n] - corners_m[n - 1]) for n in range(3))
    assert found >= min(across) - longest / 32 - 1e-9


def test_a_tower_inside_a_triangle_is_not_overlooked():
    """No edge of the triangle is near it."""
    level = np.array([[0.0, 0.0, 50.0], [100.0, 0.0, 50.0], [0.0, 100.0, 50.0]])
    inside = triangle_to_columns(level, [20.0, 20.0, 20.0], [20.0] * 3, 1.0, [49.0, 50.0, 60.0])[0]
    np.testing.assert_allclose(inside, [1.0, 0.0, 0.0])
    sloping = np.array([[0.0, 0.0, 0.0], [100.0, 0.0, 100.0], [0.0, 100.0, 0.0]])
    below = triangle_to_columns(sloping, [20.0], [20.0], 1.0, [19.0])[0]
    np.testing.assert_allclose(below, math.sqrt(0.5))  # the western corners, off a plane of 45 degrees


square = [(0, 0), (4, 0), (4, 4), (0, 4)]
notched = [(0, 0), (6, 0), (6, 6), (3, 1), (0, 6)]


@settings(max_examples=200, deadline=None)
@given(st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate), st.sampled_from([square, notched]))
def test_a_segment_and_an_outline(a, b, ring):
    shapely = pytest.importorskip("shapely")
    corners_m = np.array(ring, np.float64)
    found, share = segments_to_outline(np.array([a]), np.array([b]), corners_m)
    line = shapely.LineString([a, b]) if a != b else shapely.Point(a)
    assert found[0] == pytest.approx(line.distance(shapely.Polygon(ring)), abs=1e-9)
    at = np.array(a) + share[0] * (np.array(b) - np.array(a))
    assert shapely.Point(at).distance(shapely.Polygon(ring)) == pytest.approx(found[0], abs=1e-9)


def test_inside_an_outline():
    ring = np.array(notched, np.float64)
    np.testing.assert_array_equal(
        within(np.array([[1.0, 1.0], [3.0, 2.0], [5.0, 1.0], [7.0, 1.0]]), ring), [1, 0, 1, 0]
    )


small = st.integers(-4, 4)


@st.composite
def lattice_rooms(draw):
    """Few knots on a coarse lattice, so that parallel, resting and touching pieces are the rule."""
    count = draw(st.integers(2, 4))
    gaps = draw(st.lists(st.integers(1, 4), min_size=count - 1, max_size=count - 1))
    start = draw(st.integers(0, 4))
    times = 1.8e9 + np.cumsum([start, *gaps]).astype(np.float64)
    places = [(draw(small), draw(small), draw(st.integers(-2, 2))) for _ in range(count)]
    return Room(times, np.array(places, np.float64), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@settings(max_examples=120, deadline=None)
@given(lattice_rooms(), lattice_rooms(), st.integers(1, 3), st.integers(0, 3))
def test_the_nearest_approach_is_the_rational_one(a, b, vertical, tolerance):
    exact = oracle.least_squared_distance(
        oracle.knots(Trajectory(a.t_s, a.enu_m)),
        oracle.knots(Trajectory(b.t_s, b.enu_m)),
        Fraction(vertical),
        Fraction(tolerance),
    )
    found = nearest(a, b, float(vertical), float(tolerance))
    assert (found is None) == (exact is None)
    if found is not None and exact is not None:
        assert found.low_m <= math.sqrt(exact) + 1e-7
        assert found.high_m >= math.sqrt(exact) - 1e-7
        assert found.high_m - found.low_m <= 1e-7
    else:
        height = least_height(a, b, float(tolerance))
        assert height is None or height[0] >= vertical - 1e-7


@settings(max_examples=60, deadline=None)
@given(lattice_rooms(), lattice_rooms(), st.integers(0, 3))
def test_the_least_height_is_that_of_many_moments(a, b, tolerance):
    """A piecewise linear function: least at a knot of either, or where the tolerance is used up."""
    knots = sorted(
        {*a.t_s, *b.t_s, *(a.t_s + tolerance), *(a.t_s - tolerance), *(b.t_s + tolerance), *(b.t_s - tolerance)}
    )
    inner = sorted({*knots, *(s + k / 64 * (e - s) for s, e in itertools.pairwise(knots) for k in range(64))})
    s = np.array([t for t in inner if a.t_s[0] <= t <= a.t_s[-1]])
    q = np.array([t for t in inner if b.t_s[0] <= t <= b.t_s[-1]])
    near = np.abs(s[:, None] - q[None]) <= tolerance if len(s) and len(q) else np.zeros((0, 0), bool)
    found = least_height(a, b, float(tolerance))
    if not near.any():
        assert found is None or tolerance == 0
        return
    heights = np.abs(np.interp(s, a.t_s, a.enu_m[:, 2])[:, None] - np.interp(q, b.t_s, b.enu_m[:, 2])[None])
    least = heights[near].min()
    assert found is not None
    assert least - 0.3 <= found[0] <= least + 1e-7


def test_branch_and_bound_opens_every_block_that_matters():
    """Against all columns of a rough ground, one by one."""
    dice = np.random.default_rng(3)
    tops = np.where(dice.random((70, 50)) < 0.5, dice.uniform(0, 60, (70, 50)), -np.inf)
    ground = Ground(-8.0, 12.0, 2.0, tops, {LimitKind.OBSTACLE: tops}, {LimitKind.OBSTACLE: _pooled(tops)})
    i, j = np.nonzero(tops > -np.inf)
    for _ in range(60):
        count = int(dice.integers(2, 4))
        shape = Shape(dice.uniform((-20, 0, 20), (140, 120, 130), (count, 3)), 0)
        found = ground.nearest(LimitKind.OBSTACLE, [shape], 500.0)
        every, _ = shape.to_columns(-8.0 + 2.0 * i, 12.0 + 2.0 * j, 2.0, tops[i, j])
        assert found.metres == pytest.approx(every.min(), abs=1e-12)


def test_an_arc_touches_both_legs_and_stays_in_its_triangle():
    for angle in (0.01, 0.3, math.pi / 2, 2.5, 3.1):
        heading = np.array([math.cos(angle), math.sin(angle), 0.0])
        triangle = np.array([[-10.0, 0.0, 5.0], [0.0, 0.0, 5.0], 10.0 * heading + (0, 0, 5.0)])
        turn = Turn(1, triangle, angle)
        arc = turn.arc()
        np.testing.assert_allclose(arc[[0, -1]], triangle[[0, 2]], atol=1e-9)
        radius = 10.0 / math.tan(angle / 2)
        middle = np.array([-10.0, radius, 5.0])
        np.testing.assert_allclose(np.linalg.norm(arc - middle, axis=1), radius, atol=1e-6)
        # How far the arc stays from the corner: what the tube must allow.
        nearest_m = math.hypot(10.0, radius) - radius
        assert nearest_m == pytest.approx(10.0 * math.tan(angle / 4))


def test_corners_are_where_a_way_bends():
    line = np.array(
        [(0, 0, 0), (0, 0, 5), (0, 0, 20), (0, 30, 20), (0, 60, 20), (0, 100, 20), (50, 100, 20), (60, 100, 20),
         (60, 100, 40), (90, 130, 40), (90, 130, 0)], np.float64,
    )  # fmt: skip
    assert corners(line) == [0, 2, 5, 7, 8, 9, 10]
    found = turns(line, corners(line))
    assert [turn.at for turn in found] == [5]  # it stops at the column's top and at both ends of the vertical step
    assert found[0].angle == pytest.approx(math.pi / 2)
    assert found[0].reach_m == pytest.approx(10.0)
    back = np.array([(0, 0, 0), (0, 0, 10), (50, 0, 10), (20, 0, 10), (20, 0, 0)], np.float64)
    assert corners(back) == [0, 1, 2, 3, 4]  # there and back is no straight line
    waits = np.array([(0, 0, 0), (0, 0, 10), (50, 0, 10), (50, 0, 10), (90, 0, 10), (90, 0, 0)], np.float64)
    assert turns(waits, corners(waits)) == ()
