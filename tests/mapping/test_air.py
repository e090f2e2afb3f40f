import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.states import INF, add_returns, chance, flat
from utm.mapping.ingest.air import air_below, extended, free_stretches, seen_levels
from utm.mapping.ingest.parameters import Parameters
from utm.mapping.ingest.state import LAYER_M, TileState

pytestmark = pytest.mark.nojit

P = Parameters()


def slow_air(state, p):
    """The rule over sets of levels, column by column: {(ix, iy): (start, stop)}."""
    nx, ny = state.base.shape
    solid = np.maximum(state.solid, state.ground_high)

    def seen(ix, iy):
        """Levels in which returns lie, or None where the bits do not say."""
        if state.returns[ix, iy] < 1 or np.isinf(state.low[ix, iy]):
            return None
        bottom = int(np.floor((float(state.low[ix, iy]) - float(state.error_m[ix, iy])) / LAYER_M))
        top = int(np.floor(float(state.base[ix, iy]) / LAYER_M))
        if top - bottom > 63:
            return None
        bits = int(state.levels[ix, iy])
        return {level for level in range(bottom, top + 1) if bits >> (level % 64) & 1} or None

    def between(ix, iy, level):
        levels = seen(ix, iy)
        if not levels or level in levels or level * LAYER_M < solid[ix, iy]:
            return False
        return min(levels) < level < max(levels)

    def free(ix, iy, level):
        if not (0 <= ix < nx and 0 <= iy < ny):
            return False
        if state.base[ix, iy] > -INF and level * LAYER_M >= max(state.base[ix, iy], solid[ix, iy]):
            return True
        return between(ix, iy, level)

    stretches = {}
    for ix, iy in np.ndindex(nx, ny):
        levels = seen(ix, iy)
        if not levels or state.returns[ix, iy] < 2:
            continue
        good = [
            level
            for level in range(min(levels), max(levels) + 1)
            if between(ix, iy, level)
            and all(free(ix + a, iy + b, level) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0))
        ]
        best = (0, 0)
        for level in good:
            stop = level
            while stop in good:
                stop += 1
            if stop - level > best[1] - best[0]:
                best = (level, stop)
        if best[1] - best[0] >= p.overhang_levels:
            stretches[ix, iy] = best
    found = {}
    for (ix, iy), (start, stop) in stretches.items():
        alike = sum(
            1
            for (a, b), (from_, to) in stretches.items()
            if max(abs(a - ix), abs(b - iy)) <= p.overhang_reach and min(to, stop) > max(from_, start)
        )
        if alike >= p.overhang_cells:
            found[ix, iy] = (start, stop)
    return found


def check(state, p=P):
    air, slow = air_below(state, p), slow_air(state, p)
    error = state.error_m.astype(float)
    for ix, iy in np.ndindex(state.base.shape):
        start, stop = slow.get((ix, iy), (0, 0))
        below = max(start * LAYER_M + error[ix, iy], state.solid[ix, iy], state.ground_high[ix, iy])
        above = stop * LAYER_M - error[ix, iy]
        if stop > start and below < above:
            assert air.found[ix, iy]
            assert below <= air.below[ix, iy] <= below + 1e-5
            assert above - 1e-5 <= air.above[ix, iy] <= above
        else:
            assert (air.found[ix, iy], air.below[ix, iy], air.above[ix, iy]) == (False, -INF, INF)
    return air


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cells=st.sampled_from([1, 3, 8]), least=st.sampled_from([1, 2, 5]))
def test_air_is_claimed_as_the_rule_says(seed, cells, least):
    state = chance(seed, 24, 15, cloud=0.9, raster=0.1, ground=0.5)
    check(state, Parameters(overhang_cells=cells, overhang_levels=least, overhang_reach=3))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_air_below_anything(data):
    state = flat(5, 5, ground=-3.0)
    state.base[:] = state.solid[:] = -INF
    state.ground_low[:], state.ground_high[:] = INF, -INF
    heights = st.lists(st.floats(-30, 140), min_size=0, max_size=4)
    for ix, iy in np.ndindex(state.base.shape):
        if returns := data.draw(heights):
            add_returns(state, ix, iy, returns, error_m=data.draw(st.sampled_from([0.0, 0.4])))
    check(state, Parameters(overhang_cells=1, overhang_levels=1))


def bridge(returns_below=True):
    """A deck of 6 x 40 m at 18 m over a plain of returns at 10 m."""
    state = TileState.nothing((0, 0, 40, 20))
    for ix, iy in np.ndindex(40, 20):
        on_deck = 7 <= iy < 13
        heights = [10.0, 10.2] if returns_below or not on_deck else []
        add_returns(state, ix, iy, heights + ([18.3, 18.5] if on_deck else []))
    return state


def test_a_bridge_has_air_below_it():
    air = check(bridge())
    # The outermost column of a state has no neighbour to bear it out
    assert air.found[1:-1, 7:13].all()
    assert air.found.sum() == 38 * 6
    assert (air.below[20, 9], air.above[20, 9]) == (12.0, 18.0)


def test_a_deck_below_which_nothing_was_seen_is_solid():
    assert not check(bridge(returns_below=False)).found.any()


def test_a_wall_with_returns_at_foot_and_eaves_alone_is_solid():
    state = TileState.nothing((0, 0, 30, 20))
    for ix, iy in np.ndindex(30, 20):
        add_returns(state, ix, iy, [10.0, 10.1] if iy < 8 else [10.0, 25.0] if iy == 8 else [25.0, 25.2])
    assert not check(state).found.any()


def test_a_wire_one_cell_wide_hangs_in_the_air_and_the_head_of_a_lamp_does_not():
    for length, hangs in ((7, False), (8, True), (30, True)):
        state = TileState.nothing((0, 0, 34, 9))
        for ix, iy in np.ndindex(34, 9):
            add_returns(state, ix, iy, [10.0, 10.3] + ([22.5] if iy == 4 and 2 <= ix < 2 + length else []))
        assert check(state).found.sum() == (length if hangs else 0)


@pytest.mark.parametrize("hinder", ["raster", "ground", "unseen", "tall", "error", "one return"])
def test_what_keeps_a_column_solid(hinder):
    state = bridge()
    here = (20, 9)
    if hinder == "raster":
        state.solid[here] = 18.5
    elif hinder == "ground":
        state.ground_high[here] = 15.0
    elif hinder == "unseen":
        state.base[here], state.low[here], state.returns[here], state.levels[here] = -INF, INF, 0, 0
    elif hinder == "tall":
        add_returns(state, *here, [140.0])
    elif hinder == "error":
        state.error_m[here] = 3.0
    elif hinder == "one return":
        state.returns[here] = 1
    found = check(state).found
    assert not found[here]
    if hinder in ("raster", "ground", "unseen", "tall"):
        assert not found[19:22, 8:11].any()
    assert found[17, 9]


def test_levels_below_zero_and_the_ends_of_the_range():
    base = np.array([[-0.5, 123.9, 127.9, 5.0]], np.float32)
    low = np.array([[-7.5, -2.0, -2.0, 5.0]], np.float32)
    levels = np.zeros((1, 4), np.uint64)
    for k, heights in enumerate([(-0.5, -7.5), (123.9, -2.0), (127.9, -2.0), ()]):
        for up in heights:
            levels[0, k] |= np.uint64(1) << np.uint64(int(np.floor(up / 2)) % 64)
    first, last = seen_levels(base, low, levels, np.full((1, 4), 2, np.int32), np.zeros((1, 4), np.float32))
    assert first.tolist() == [[-4, -1, 1, 1]]
    assert last.tolist() == [[-1, 61, 0, 0]]


def test_kernels_on_nothing():
    empty = np.zeros((0, 0), np.int32)
    heights = np.zeros((0, 0), np.float32)
    start, stop = free_stretches(heights, heights, heights.astype(np.uint64), empty, empty, empty, 2)
    assert extended(start, stop, 8, 8).shape == (0, 0)
