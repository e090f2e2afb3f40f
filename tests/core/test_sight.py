"""Lines of sight against rational arithmetic, and pulled ways against what they promise."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import sight as oracle
from utm.core import GridPlanner, pull_string, segment_clear
from utm.core._sight_kernels import sees
from utm.core._walls import walls
from utm.core.sight import least_along, scene, segments_clear
from utm.errors import NoPath

shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


def seen(blocked, a, b):
    """The line of sight on bits, which the planners use."""
    return sees(scene(walls(blocked), blocked.shape[2]), np.array(a, float), np.array(b, float))


def some_volume(shape, seed, share):
    return np.random.default_rng(seed).random(shape) < share


@settings(max_examples=400, deadline=None)
@given(
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 0.5),
    ends=st.lists(st.integers(-2, 18), min_size=6, max_size=6),
    parts=st.sampled_from([1, 2, 3, 4]),
)
def test_equals_the_rational_answer_on_coordinates_that_hit_edges_and_corners(shape, seed, share, ends, parts):
    blocked = some_volume(shape, seed, share)
    exact_a, exact_b = ([Fraction(v, parts) for v in half] for half in (ends[:3], ends[3:]))
    a, b = ([float(v) for v in half] for half in (exact_a, exact_b))
    # Thirds are not float64; near misses of rational lines on so small a grid are far larger than the margin.
    expected = oracle.segment_clear(blocked, exact_a, exact_b)
    assert segment_clear(blocked, a, b) == expected
    assert seen(blocked, a, b) == expected


@settings(max_examples=300, deadline=None)
@given(
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 0.4),
    ends=st.lists(
        st.one_of(st.floats(0, 4), st.sampled_from([1e-12, 1 - 1e-12, 1 + 1e-12, 2.0, 2 + 1e-15])),
        min_size=6,
        max_size=6,
    ),
)
def test_never_misses_a_voxel_and_never_counts_one_beyond_the_margin(shape, seed, share, ends):
    blocked = some_volume(shape, seed, share)
    a, b = ends[:3], ends[3:]
    assert seen(blocked, a, b) == segment_clear(blocked, a, b)
    if segment_clear(blocked, a, b):
        assert oracle.segment_clear(blocked, a, b)
    else:
        assert not oracle.segment_clear(blocked, a, b, grown=Fraction(3, 10**9))


def test_a_long_line_past_a_corner():
    """A thousandth of a voxel beside a corner after five hundred voxels: free; on it: not."""
    blocked = np.zeros((1000, 600, 4), bool)
    blocked[500, 300, :] = True  # its nearest corner to the line is (500, 301) from above
    direction = np.array([1.0, 0.5, 0.0])
    for beside, expected in ((1e-3, True), (1e-7, True), (0.0, False), (-1e-7, False)):
        middle = np.array([500.0, 301.0 + beside, 1.5])
        assert segment_clear(blocked, middle - 450 * direction, middle + 450 * direction) is expected
        assert segment_clear(blocked, middle + 450 * direction, middle - 450 * direction) is expected
        assert seen(blocked, middle - 450 * direction, middle + 450 * direction) is expected
        assert seen(blocked, middle + 450 * direction, middle - 450 * direction) is expected


def test_the_border_counts_as_blocked():
    blocked = np.zeros((3, 3, 3), bool)
    assert segment_clear(blocked, (0.01, 0.01, 0.01), (2.99, 2.99, 2.99))
    assert not segment_clear(blocked, (0.0, 1.5, 1.5), (1.5, 1.5, 1.5))
    assert not segment_clear(blocked, (1.5, 1.5, 1.5), (3.0, 1.5, 1.5))
    assert not segment_clear(blocked, (5.0, 5.0, 5.0), (6.0, 6.0, 6.0))


@pytest.mark.parametrize("order", ["C", "F"])
def test_any_memory_layout(order):
    blocked = np.zeros((3, 4, 5), bool, order=order)
    blocked[1, 1, 1] = True
    assert not segment_clear(blocked, (0.5, 0.5, 0.5), (2.5, 2.5, 2.5))
    assert segment_clear(blocked, (0.5, 0.5, 0.5), (0.5, 3.5, 4.5))


@pytest.mark.parametrize("place", [(np.nan, 1, 1), (np.inf, 1, 1), (1, 1), ((1, 1, 1),)])
def test_points_that_are_none(place):
    with pytest.raises(ValueError, match="three finite numbers"):
        segment_clear(np.zeros((3, 3, 3), bool), (1, 1, 1), place)


def length(points):
    return np.linalg.norm(np.diff(points, axis=0), axis=1).sum()


@settings(max_examples=100, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 0.4),
    inside=st.lists(st.floats(0.01, 0.99), min_size=6, max_size=6),
)
def test_a_pulled_way_is_clear_and_no_longer(shape, seed, share, inside):
    blocked = some_volume(shape, seed, share)
    free = np.argwhere(~blocked)
    if len(free) == 0:
        return
    rng = np.random.default_rng(seed)
    first, last = free[rng.integers(len(free), size=2)]
    try:
        cells = GridPlanner(blocked).path(first, last).cells
    except NoPath:
        return
    start, goal = first + np.array(inside[:3]), last + np.array(inside[3:])
    pulled = pull_string(blocked, cells, start, goal)
    np.testing.assert_array_equal(pulled[0], start)
    np.testing.assert_array_equal(pulled[-1], goal)
    for a, b in itertools.pairwise(pulled):
        assert segment_clear(blocked, a, b)
        assert oracle.segment_clear(blocked, a, b)
    untouched = np.vstack([start, cells + 0.5, goal])
    assert length(pulled) <= length(untouched) + 1e-9
    assert length(pulled) >= np.linalg.norm(goal - start) - 1e-9


def test_in_the_open_a_way_is_one_segment():
    blocked = np.zeros((50, 50, 50), bool)
    cells = GridPlanner(blocked).path((1, 2, 3), (40, 17, 30)).cells
    assert pull_string(blocked, cells, (1.5, 2.5, 3.5), (40.2, 17.9, 30.1)).tolist() == [
        [1.5, 2.5, 3.5],
        [40.2, 17.9, 30.1],
    ]


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 140)),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.0005, 0.005, 0.05]),
)
def test_bits_and_booleans_agree_where_blocks_of_columns_and_words_of_bits_end(shape, seed, share):
    blocked = some_volume(shape, seed, share)
    table = scene(walls(blocked), shape[2])
    rng = np.random.default_rng(seed)
    for _ in range(50):
        ends = rng.uniform(0, shape, (2, 3))
        # Faces, and the edges of blocks and words among them, are what a traversal gets wrong.
        on_face = rng.random((2, 3)) < 0.4
        ends[on_face] = np.rint(ends)[on_face]
        assert sees(table, ends[0], ends[1]) == segment_clear(blocked, ends[0], ends[1])


@pytest.mark.nojit
def test_lines_of_sight_uncompiled():
    blocked = np.zeros((9, 4, 64), bool)
    blocked[4, 1, 62:] = True
    for up, expected in ((60.5, True), (61.5, True), (62.0, False), (63.5, False)):
        a, b = np.array([0.5, 0.5, up]), np.array([8.5, 2.5, up])
        assert seen(blocked, a, b) is expected
        assert segment_clear(blocked, a, b) is expected
    assert least_along(np.arange(27.0).reshape(3, 3, 3), [(2.5, 1.5, 0.5), (1.5, 1.5, 1.5)]) == 12


@settings(max_examples=200, deadline=None)
@given(
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    corners=st.lists(st.tuples(*[st.floats(0.01, 0.99)] * 3), min_size=1, max_size=4),
    on_faces=st.booleans(),
)
def test_the_least_along_a_way_is_that_of_all_voxels_it_touches(shape, seed, corners, on_faces):
    values = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    points = np.array(corners) * shape
    if on_faces:
        points = np.where(np.rint(2 * points) % (2 * np.array(shape)) == 0, points, np.rint(2 * points) / 2)
    found = least_along(values, points)
    assert found <= oracle.least_along(values, points)
    assert found >= oracle.least_along(values, points, grown=Fraction(3, 10**9))
    assert least_along(np.asfortranarray(values), points[::-1]) == found


def test_the_least_along_a_way_of_whole_numbers_and_of_what_is_not_a_number():
    values = np.arange(8, dtype=np.uint16).reshape(2, 2, 2)
    assert least_along(values, [(1.5, 1.5, 1.5)]) == 7
    assert least_along(values, [(1.5, 1.5, 1.0)]) == 6  # on the face of two
    strange = values.astype(float)
    strange[1, 1, 0] = np.nan
    assert np.isnan(least_along(strange, [(1.5, 1.5, 1.5), (1.5, 1.5, 0.5), (0.5, 0.5, 0.5)]))
    assert least_along(strange, [(0.5, 0.5, 0.5), (0.5, 0.5, 1.5)]) == 0


@pytest.mark.parametrize("points", [[(0.0, 0.5, 0.5)], [(0.5, 0.5, 0.5), (0.5, 2.0, 0.5)], [(0.5, 0.5, -3.0)]])
def test_beyond_the_volume_a_field_says_nothing(points):
    with pytest.raises(ValueError, match="border"):
        least_along(np.zeros((2, 2, 2)), points)


def test_what_is_no_field_and_no_way():
    with pytest.raises(ValueError, match="numbers"):
        least_along(np.zeros((2, 2, 2), bool), [(1, 1, 1)])
    for points in ([], [(1, 1)], (1, 1, 1), [(1, np.nan, 1)]):
        with pytest.raises(ValueError, match="finite numbers"):
            least_along(np.zeros((2, 2, 2)), points)


def test_round_a_wall_the_way_is_nearly_the_shortest():
    blocked = np.zeros((41, 41, 3), bool)
    blocked[20, :30, :] = True
    cells = GridPlanner(blocked).path((5, 5, 1), (35, 5, 1)).cells
    pulled = pull_string(blocked, cells, (5.5, 5.5, 1.5), (35.5, 5.5, 1.5))
    # By hand: to the corner (20, 30), along the end of the wall, and back.
    shortest = 2 * np.hypot(14.5, 24.5) + 1
    assert shortest < length(pulled) < 1.0005 * shortest


def test_one_voxel():
    blocked = np.zeros((2, 2, 2), bool)
    pulled = pull_string(blocked, [(0, 0, 0)], (0.2, 0.3, 0.4), (0.9, 0.3, 0.4))
    assert pulled.tolist() == [[0.2, 0.3, 0.4], [0.9, 0.3, 0.4]]


def test_ways_that_cannot_be_pulled():
    blocked = np.zeros((3, 3, 1), bool)
    blocked[1, 0, 0] = True
    with pytest.raises(ValueError, match="not clear"):  # it cuts a corner
        pull_string(blocked, [(0, 0, 0), (1, 1, 0)], (0.5, 0.5, 0.5), (1.5, 1.5, 0.5))
    with pytest.raises(ValueError, match=r"start .* does not lie in voxel"):
        pull_string(blocked, [(0, 0, 0), (0, 1, 0)], (1.5, 0.5, 0.5), (0.5, 1.5, 0.5))
    with pytest.raises(ValueError, match=r"goal .* does not lie in voxel"):
        pull_string(blocked, [(0, 0, 0), (0, 1, 0)], (0.5, 0.5, 0.5), (0.5, 2.5, 0.5))
    with pytest.raises(ValueError, match="not clear"):  # the start touches the blocked voxel
        pull_string(blocked, [(0, 0, 0), (0, 1, 0)], (1.0, 0.5, 0.5), (0.5, 1.5, 0.5))
    with pytest.raises(ValueError, match="integers"):
        pull_string(blocked, [], (0.5, 0.5, 0.5), (0.5, 1.5, 0.5))


@pytest.mark.nojit
@settings(deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.5), count=st.integers(0, 5))
def test_many_segments_are_judged_as_each_alone(shape, seed, share, count):
    blocked, rng = some_volume(shape, seed, share), np.random.default_rng(seed)
    # A quarter of a voxel, some of it outside: faces, edges and corners are hit.
    ends = rng.integers(-1, 4 * np.array(shape) + 2, (2, count, 3)) / 4
    found = segments_clear(blocked, *ends)
    assert found.tolist() == [segment_clear(blocked, a, b) for a, b in zip(*ends, strict=True)]


def test_segments_that_are_none():
    blocked = np.zeros((2, 2, 2), np.bool_)
    with pytest.raises(ValueError, match="finite"):
        segments_clear(blocked, [[np.nan, 1.0, 1.0]], [[1.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match="alike"):
        segments_clear(blocked, [[1.0, 1.0, 1.0]], [[1.0, 1.0]])
