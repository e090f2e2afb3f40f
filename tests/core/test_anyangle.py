"""Ways at any angle against what they promise, and against the optimum where one can be worked out."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import sight as oracle
from utm.core import GridPlanner, clearance_field, pull_string, segment_clear
from utm.core._anyangle_kernels import levels_of, over_roofs, through_lattice
from utm.core._jit import read_only
from utm.core._walls import walls
from utm.core.anyangle import AnyAnglePlanner
from utm.core.sight import least_along
from utm.errors import NoPath


def length(points):
    return np.linalg.norm(np.diff(points, axis=0), axis=1).sum()


def check(blocked, start, goal, planner=None):
    """Everything that is promised of one way; returns it, or None where there is none."""
    start, goal = np.asarray(start, float), np.asarray(goal, float)
    cells = np.floor(start).astype(int), np.floor(goal).astype(int)
    planner = planner or AnyAnglePlanner(blocked)
    try:
        grid = GridPlanner(blocked).path(*cells)
    except NoPath:
        with pytest.raises(NoPath):
            planner.path(start, goal)
        return None
    way = planner.path(start, goal)
    np.testing.assert_array_equal(way.points[0], start)
    np.testing.assert_array_equal(way.points[-1], goal)
    for a, b in itertools.pairwise(way.points):
        assert segment_clear(blocked, a, b)
    assert way.length == pytest.approx(length(way.points), abs=1e-9)
    assert way.length >= np.linalg.norm(goal - start) - 1e-9
    assert way.length <= length(pull_string(blocked, grid.cells, start, goal)) + 1e-9
    assert way.grid_cost == pytest.approx(grid.cost)
    if (start % 1 == 0.5).all() and (goal % 1 == 0.5).all():
        assert way.length <= way.grid_cost + 1e-6
    again = planner.path(start, goal)
    np.testing.assert_array_equal(again.points, way.points)
    return way


def with_overhangs(shape, rng, things):
    """Towers, floating slabs and bridges."""
    blocked = np.zeros(shape, bool)
    for _ in range(things):
        low = rng.integers(0, shape)
        high = low + rng.integers(1, np.maximum(np.array(shape) // 2, 2))
        kind = rng.integers(3)
        if kind == 0:
            low[2] = 0
        elif kind == 1:
            high[2] = low[2] + 1
        else:
            axis = rng.integers(2)
            low[axis], high[axis] = 0, shape[axis]
            high[1 - axis], high[2] = low[1 - axis] + 2, low[2] + 2
        blocked[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return blocked


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 5, 20, 63, 64, 130])),
    seed=st.integers(0, 2**32 - 1),
    things=st.integers(0, 14),
    inside=st.lists(st.sampled_from([0.01, 0.5, 0.73, 0.99]), min_size=6, max_size=6),
)
def test_ways_among_towers_slabs_and_bridges(shape, seed, things, inside):
    rng = np.random.default_rng(seed)
    blocked = with_overhangs(shape, rng, things)
    free = np.argwhere(~blocked)
    if len(free) == 0:
        return
    planner = AnyAnglePlanner(blocked)
    for _ in range(3):
        first, last = free[rng.integers(len(free), size=2)]
        check(blocked, first + np.array(inside[:3]), last + np.array(inside[3:]), planner)


@settings(max_examples=60, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 6)] * 3), seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.5))
def test_every_segment_is_clear_by_rational_arithmetic(shape, seed, share):
    rng = np.random.default_rng(seed)
    blocked = rng.random(shape) < share
    free = np.argwhere(~blocked)
    if len(free) == 0:
        return
    first, last = free[rng.integers(len(free), size=2)]
    way = check(blocked, first + rng.uniform(0.01, 0.99, 3), last + rng.uniform(0.01, 0.99, 3))
    # A way that bends keeps off: level and vertical pieces must be able to follow it.
    grown = Fraction(9, 10_000) if way and len(way.points) > 2 else Fraction(0)
    for a, b in itertools.pairwise(way.points if way else []):
        assert oracle.segment_clear(blocked, a, b, grown)


def test_in_the_plane_ways_are_within_a_few_percent_of_the_shortest():
    """One layer: nothing is gained by climbing, so the visibility graph over the corners has the optimum."""
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        columns = np.zeros((30, 30), bool)
        for _ in range(5):
            x, y = rng.integers(3, 22, 2)
            columns[x : x + rng.integers(1, 6), y : y + rng.integers(1, 6)] = True
        start, goal = rng.uniform((0.2, 0.2), (2.8, 29.8)), rng.uniform((27.2, 0.2), (29.8, 29.8))
        blocked = columns[:, :, None]
        best = oracle.shortest_in_the_plane(
            columns, start, goal, lambda a, b, blocked=blocked: segment_clear(blocked, (*a, 0.5), (*b, 0.5))
        )
        way = check(blocked, (*start, 0.5), (*goal, 0.5))
        ratios.append(way.length / best)
    assert min(ratios) > 1 - 1e-6
    assert np.mean(ratios) < 1.01
    assert max(ratios) < 1.05


def test_over_a_wall_the_way_is_the_shortest():
    blocked = np.zeros((81, 81, 40), bool)
    blocked[40, :, :20] = True
    way = check(blocked, (10.5, 40.5, 10.5), (70.5, 40.5, 10.5))
    best = 2 * np.hypot(29.5, 9.5) + 1  # to the near edge of its top, across, and down
    assert best <= way.length < 1.001 * best


def test_through_a_hole_in_a_wall_that_no_roof_knows():
    blocked = np.zeros((81, 41, 30), bool)
    blocked[40, :, :] = True
    blocked[40, 18:23, 3:8] = False
    way = check(blocked, (5.5, 20.5, 5.5), (75.5, 20.5, 5.5))
    assert len(way.points) == 2
    way = check(blocked, (5.5, 5.5, 20.5), (75.5, 35.5, 20.5))
    assert 1 < way.length / oracle_of_a_hole((5.5, 5.5, 20.5), (75.5, 35.5, 20.5)) < 1.005


def oracle_of_a_hole(start, goal):
    """Least way by a point on each face of the wall, in the hole: a fine grid of both coordinates of each."""
    y, z = np.meshgrid(np.linspace(18, 23, 41), np.linspace(3, 8, 41), indexing="ij")
    to = np.sqrt((40 - start[0]) ** 2 + (y - start[1]) ** 2 + (z - start[2]) ** 2).ravel()
    fro = np.sqrt((41 - goal[0]) ** 2 + (y - goal[1]) ** 2 + (z - goal[2]) ** 2).ravel()
    across = np.sqrt(1 + (y.ravel()[:, None] - y.ravel()) ** 2 + (z.ravel()[:, None] - z.ravel()) ** 2)
    return (to[:, None] + across + fro).min()


def test_both_directions_are_about_as_long():
    blocked = with_overhangs((60, 60, 20), np.random.default_rng(5), 12)
    free = np.argwhere(~blocked)
    rng = np.random.default_rng(6)
    planner = AnyAnglePlanner(blocked)
    for _ in range(10):
        a, b = free[rng.integers(len(free), size=2)] + 0.5
        forth, back = check(blocked, a, b, planner), check(blocked, b, a, planner)
        assert forth is None or abs(forth.length - back.length) < 0.05 * forth.length


def test_small_questions():
    blocked = np.zeros((4, 4, 4), bool)
    blocked[2, 2, 2] = True
    same = check(blocked, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert same.points.tolist() == [[0.5] * 3] * 2
    assert same.length == 0
    assert check(blocked, (0.2, 0.2, 0.2), (0.9, 0.8, 0.1)).length == pytest.approx(np.hypot(np.hypot(0.7, 0.6), 0.1))
    check(blocked, (0.5, 0.5, 0.5), (1.5, 1.5, 1.5))
    check(blocked, (1.9, 1.9, 1.9), (3.1, 3.1, 3.1))  # beside the blocked voxel, to its other side


def test_on_a_face_every_voxel_that_is_touched_must_be_free():
    blocked = np.zeros((4, 4, 4), bool)
    blocked[1, 0, 0] = True
    planner = AnyAnglePlanner(blocked)
    assert planner.path((2.5, 1.0, 0.5), (3.5, 3.0, 3.0)).length > 0
    for place in ((2.0, 0.5, 0.5), (1.5, 1.0, 0.5), (2.0, 1.0, 1.0)):
        with pytest.raises(ValueError, match=r"start .* touches a voxel that is blocked"):
            planner.path(place, (3.5, 3.5, 3.5))
        with pytest.raises(ValueError, match=r"goal .* touches a voxel that is blocked"):
            planner.path((3.5, 3.5, 3.5), place)


def test_places_that_are_none():
    planner = AnyAnglePlanner(np.zeros((4, 4, 4), bool))
    for place in ((-0.5, 1, 1), (0.0, 1, 1), (4.0, 1, 1), (1, 1, 9)):
        with pytest.raises(ValueError, match="does not lie inside the volume"):
            planner.path(place, (1, 1, 1))
    with pytest.raises(ValueError, match="three finite numbers"):
        planner.path((1, 1, np.nan), (1, 1, 1))
    with pytest.raises(ValueError, match=r"at the border|does not lie inside|touches"):
        planner.path((1e-12, 1, 1), (1, 1, 1))


def test_no_way():
    blocked = np.zeros((9, 5, 5), bool)
    blocked[4] = True
    planner = AnyAnglePlanner(blocked)
    with pytest.raises(NoPath):
        planner.path((1.5, 1.5, 1.5), (7.5, 1.5, 1.5))
    with pytest.raises(NoPath, match="blocked"):
        planner.path((4.5, 1.5, 1.5), (7.5, 1.5, 1.5))


def test_the_least_clearance_is_part_of_the_answer():
    blocked = with_overhangs((50, 50, 20), np.random.default_rng(8), 10)
    field = clearance_field(blocked, 2.0, 10.0)
    planner = AnyAnglePlanner(field < 3.0, distance_m=field)
    free = np.argwhere(field >= 3.0)
    way = planner.path(free[0] + 0.5, free[-1] + 0.5)
    assert way.clearance is not None
    assert way.clearance >= 3.0
    assert way.clearance == least_along(field, way.points)
    assert AnyAnglePlanner(blocked).path(free[0] + 0.5, free[-1] + 0.5).clearance is None
    with pytest.raises(ValueError, match="distances of shape"):
        AnyAnglePlanner(blocked, distance_m=field[1:])


def test_the_string_over_the_roofs_is_lifted_over_what_hangs_above_them():
    blocked = np.zeros((41, 3, 30), bool)
    blocked[20, :, :10] = True  # a wall, met by the straight line
    blocked[10:15, :, 8:12] = True  # a slab, met only by the string over the wall
    a, b = np.array([2.5, 1.5, 4.5]), np.array([38.5, 1.5, 4.5])
    way = over_roofs(read_only(walls(blocked)), 30, a, b)
    assert all(segment_clear(blocked, p, q) for p, q in itertools.pairwise(way))
    assert length(way) == pytest.approx(np.hypot(7.5, 7.5) + 5 + np.hypot(23.5, 7.5), abs=0.01)
    blocked[20] = True
    assert len(over_roofs(read_only(walls(blocked)), 30, a, b)) == 0


@pytest.mark.nojit
def test_ways_uncompiled():
    blocked = np.zeros((30, 7, 5), bool)
    blocked[12:14, 1:7, :4] = True
    way = check(blocked, (1.5, 3.5, 1.5), (28.5, 4.5, 1.5))
    assert len(way.points) > 2
    planner = AnyAnglePlanner(blocked)
    a, b = np.array([1.5, 3.5, 1.5]), np.array([28.5, 4.5, 1.5])
    lattice = through_lattice(planner._levels, 1, 5, a, b, 40.0)
    assert len(lattice) == 3
    assert len(through_lattice(planner._levels, 1, 5, a, b, 27.0)) == 0


@pytest.mark.nojit
@pytest.mark.parametrize("nz", [1, 5, 61, 62, 63, 64, 65, 130])
def test_levels_say_what_is_blocked(nz):
    blocked = np.random.default_rng(nz).random((3, 2, nz)) < 0.3
    thick = -(-nz // 64)
    found = levels_of(walls(blocked), nz, thick)
    for i, j, n in np.ndindex(3, 2, 64):
        part = blocked[i, j, n * thick : (n + 1) * thick]
        expected = bool(part.any()) or (n + 1) * thick > nz
        assert bool(int(found[i, j]) >> n & 1) == expected
