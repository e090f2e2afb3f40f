import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.mapping.states import INF, add_returns, entered, flat
from utm.mapping.ingest import nearby
from utm.mapping.ingest.nearby import FAR_BLOCK, Far, summary
from utm.mapping.ingest.state import GROUND_NONE

HEIGHTS = st.floats(-50, 500, width=32)
FEW = settings(max_examples=60, deadline=None)


def slow_square_max(heights, radius):
    out = np.empty_like(heights)
    for i, j in np.ndindex(heights.shape):
        out[i, j] = heights[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1].max()
    return out


def slow_far(known, radius):
    """For each cell the highest known one within ``radius`` cells, twice that if there is none, and so on."""
    out = np.full_like(known, -INF)
    for i, j in np.ndindex(known.shape):
        reach = radius
        while np.isneginf(out[i, j]):
            out[i, j] = known[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1].max()
            reach *= 2
    return out


@FEW
@given(
    heights=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=HEIGHTS | st.just(-np.inf)
    ),
    radius=st.integers(0, 11),
)
def test_square_max(heights, radius):
    np.testing.assert_array_equal(nearby.square_max(heights, radius), slow_square_max(heights, radius))
    np.testing.assert_array_equal(nearby.square_min(-heights, radius), -slow_square_max(heights, radius))


@settings(max_examples=25, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 79), st.integers(0, 50), HEIGHTS), min_size=1, max_size=6),
    near=st.sampled_from([1, 3, 8, 30]),
)
def test_the_far_answer_is_never_lower_than_the_exact_one(places, near):
    known = np.full((80, 51), -np.inf, np.float32)
    for ix, iy, height in places:
        known[ix, iy] = max(known[ix, iy], height)
    state = flat(80, 51)
    state.base[:] = known
    state.ground_low[:], state.ground_high[:] = -known, -np.inf
    high, low = summary(state, state.box)
    assert high.shape == low.shape == (5, 4)
    np.testing.assert_array_equal(high, -low)
    far = Far(high, low)
    exact = slow_far(known, 2 * near)
    found = far.highest(state.box, near)
    assert np.isfinite(found).all()
    assert (found >= exact).all()
    assert (found <= known.max()).all()
    np.testing.assert_array_equal(far.lowest(state.box, near), -found)
    box = (13, 7, 61, 40)
    np.testing.assert_array_equal(far.highest(box, near), found[13:61, 7:40])


def test_far_says_so_when_nothing_is_known_at_all():
    far = Far(np.full((2, 3), -np.inf, np.float32), np.full((2, 3), np.inf, np.float32))
    assert np.isneginf(far.highest((0, 0, 20, 40), 30)).all()
    assert np.isposinf(far.lowest((0, 0, 20, 40), 30)).all()


def test_the_summary_of_tiles_is_the_summary_of_the_whole():
    rng = np.random.default_rng(5)
    state = flat(70, 64)
    state.base[:] = np.where(rng.random((70, 64)) < 0.02, rng.uniform(0, 90, (70, 64)), -np.inf)
    high, low = summary(state, state.box)
    for x0 in (0, 32, 64):
        part_high, part_low = summary(state, (x0, 0, min(70, x0 + 32), 64))
        there = slice(x0 // FAR_BLOCK, x0 // FAR_BLOCK + len(part_high))
        np.testing.assert_array_equal(high[there], part_high)
        np.testing.assert_array_equal(low[there], part_low)


def test_roofs_of_models_are_seen_and_wires_and_bare_ground_are_not():
    state = flat(32, 16, ground=10.0)
    state.entered = entered((3, 3, -INF, 25.0, 2, True), (20, 3, 40.0, 41.0, 2, False))
    seen = nearby.seen_heights(state)
    assert seen[3, 3] == 25
    assert np.isneginf(seen).sum() == seen.size - 1
    assert summary(state, state.box)[0].tolist() == [[25.0], [-INF]]


@pytest.mark.parametrize(("given", "expected"), [(True, 10.0), (False, 6.0)])
def test_returns_stand_in_for_ground_only_where_no_surveyor_gave_any(given, expected):
    state = flat(16, 16)
    add_returns(state, 2, 2, [6.0, 12.0])
    if not given:
        state.ground_low[:], state.ground_high[:], state.ground_rank[:] = INF, -INF, GROUND_NONE
    assert summary(state, state.box)[1].tolist() == [[expected]]
