import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.states import (
    DAYS,
    INF,
    add_returns,
    chance,
    entered,
    far_of,
    flat,
    in_order,
    kept,
    rejected,
    shuffled,
)
from utm.mapping.ingest.finish import Parameters, finish, halo_cells
from utm.mapping.ingest.runs import raise_to, united
from utm.mapping.ingest.state import ENTERED_DTYPE, GROUND_FILTERED, GROUND_NONE, TileState
from utm.mapping.mapfile import RunKind, Status

BASE, SEEN, SUSPECT, ENTERED = RunKind
KNOWN, UNKNOWN = Status.KNOWN, Status.UNKNOWN


def done(state, p=None, cell_m=1.0, inner=None):
    state = in_order(state)
    inner = inner or state.box
    found = finish(state, inner, far_of(state), p or Parameters(), DAYS, cell_m)
    found.content.check((inner[2] - inner[0], inner[3] - inner[1]))
    return found


def column(content, ix, iy):
    """The runs of one column as tuples (from, to, kind, source)."""
    runs = content.runs[(content.runs["ix"] == ix) & (content.runs["iy"] == iy)]
    return [tuple(run)[2:] for run in runs.tolist()]


def same(one, other):
    return all(np.array_equal(one.layers[name], other.layers[name]) for name in one.layers) and np.array_equal(
        one.runs, other.runs
    )


SMALL = Parameters(overhang_reach=3, overhang_cells=3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_tile_by_tile_is_the_same_as_all_at_once(seed):
    state = chance(seed, 50, 44)
    far, cell_m = far_of(state), 10.0
    halo = halo_cells(cell_m, SMALL)
    whole = finish(state, state.box, far, SMALL, DAYS, cell_m)
    whole.content.check((50, 44))
    totals = dict.fromkeys(whole.counts, 0)
    for x0, x1 in ((0, 20), (20, 50)):
        for y0, y1 in ((0, 17), (17, 44)):
            outer = (max(0, x0 - halo), max(0, y0 - halo), min(50, x1 + halo), min(44, y1 + halo))
            part = finish(state.cut(outer), (x0, y0, x1, y1), far, SMALL, DAYS, cell_m)
            part.content.check((x1 - x0, y1 - y0))
            for name, layer in part.content.layers.items():
                np.testing.assert_array_equal(layer, whole.content.layers[name][x0:x1, y0:y1], err_msg=name)
            runs = whole.content.runs
            mine = runs[(runs["ix"] >= x0) & (runs["ix"] < x1) & (runs["iy"] >= y0) & (runs["iy"] < y1)].copy()
            mine["ix"] -= x0
            mine["iy"] -= y0
            np.testing.assert_array_equal(part.content.runs, mine)
            totals = {name: totals[name] + number for name, number in part.counts.items()}
    assert totals == whole.counts


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), unknown=st.sampled_from(["nearby", "open"]))
def test_nothing_that_was_seen_is_lost_and_no_order_matters(seed, unknown):
    state = chance(seed, 30, 26)
    p = Parameters(unknown=unknown, overhang_cells=2)
    found = done(state, p, cell_m=5.0)
    other = finish(shuffled(state, seed + 1), state.box, far_of(state), p, DAYS, 5.0)
    assert same(found.content, other.content)
    assert found.counts == other.counts
    layers = found.content.layers
    terrain, surface, status = layers["terrain"], layers["surface"], layers["status"]
    seen = np.isfinite(state.base)
    assert (surface >= state.base).all()
    assert (surface >= state.ground_high).all()
    assert (terrain <= state.ground_low).all()
    assumed = seen & ((status & Status.TERRAIN_ASSUMED) != 0)
    assert (terrain[assumed] <= state.base[assumed]).all()
    for table in (state.entered, state.kept[state.kept["kind"] == SUSPECT]):
        assert (surface[table["ix"], table["iy"]] >= table["to_m"]).all()
    assert (status[seen] & KNOWN).all()
    roofs = state.entered[state.entered["surface"]]
    assert (status[roofs["ix"], roofs["iy"]] & KNOWN).all()
    others = ~seen
    others[roofs["ix"], roofs["iy"]] = False
    assert (status[others] & UNKNOWN).all()
    np.testing.assert_array_equal(layers["age"], DAYS[layers["source"]])
    assert sum(found.counts.values()) == len(state.rejected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), error_m=st.sampled_from([0.0, 0.3]))
def test_every_accepted_return_lies_in_a_solid_run(seed, error_m):
    rng = np.random.default_rng(seed)
    state = TileState.nothing((0, 0, 30, 14))
    state.ground_low[:] = state.ground_high[:] = 9.5
    state.ground_rank[:] = 3
    returns = []
    for ix, iy in np.ndindex(30, 14):
        heights = [*rng.uniform(9.5, 13, 2)]
        if 5 <= iy < 8 and rng.random() < 0.9:
            heights += [*rng.uniform(20, 29, rng.integers(1, 3))]
        add_returns(state, ix, iy, heights, error_m=error_m)
        returns += [(ix, iy, up) for up in heights]
    content = done(state, Parameters(overhang_cells=3)).content
    assert (content.runs["kind"] == SEEN).any()
    listed = {}
    for run in content.runs.tolist():
        listed.setdefault(run[:2], []).append(run[2:4])
    for ix, iy, up in returns:
        runs = listed.get((ix, iy), [(-INF, content.layers["surface"][ix, iy])])
        for height in (up - error_m, up, up + error_m):
            assert any(low <= height <= high for low, high in runs)


def test_a_plain_seen_by_a_raster():
    content = done(flat(20, 10, ground=10.0, seen=12.0)).content
    assert (content.layers["terrain"] == 10).all()
    assert (content.layers["surface"] == 12).all()
    assert (content.layers["status"] == KNOWN | Status.FROM_RASTER).all()
    assert (content.layers["source"] == 1).all()
    assert (content.layers["age"] == 100).all()
    assert len(content.runs) == 0


def test_ground_above_what_was_seen_decides_the_surface_and_has_no_source():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.ground_high[3, 3] = 15.0
    content = done(state).content
    assert content.layers["surface"][3, 3] == 15
    assert content.layers["source"][3, 3] == 0
    assert content.layers["age"][3, 3] == 0


def test_a_hole_is_unknown_and_blocked():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.base[5, 5], state.base_source[5, 5], state.flags[5, 5] = -INF, 0, 0
    content = done(state).content
    assert content.layers["surface"][5, 5] == 22
    assert content.layers["status"][5, 5] == UNKNOWN
    assert content.layers["source"][5, 5] == 0
    content = done(state, Parameters(unknown="open")).content
    assert content.layers["surface"][5, 5] == 10
    assert content.layers["status"][5, 5] == UNKNOWN


def test_flags_of_the_ground():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.ground_rank[0, 0] = GROUND_FILTERED
    state.ground_low[1, 0], state.ground_high[1, 0], state.ground_rank[1, 0] = INF, -INF, GROUND_NONE
    status = done(state).content.layers["status"]
    assert status[0, 0] == KNOWN | Status.FROM_RASTER | Status.TERRAIN_FILTERED
    assert status[1, 0] == KNOWN | Status.FROM_RASTER | Status.TERRAIN_ASSUMED


def test_a_suspect_blocks_from_the_base_up_until_it_is_cleared():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.rejected = rejected((4, 4, 40.0, 2), (4, 4, 33.0, 3), (5, 4, 11.5, 2), (6, 4, 5.0, 2), (7, 4, 500.0, 2))
    found = done(state)
    assert found.counts == {"points_suspect": 3, "points_discarded_below": 1, "points_discarded_above": 1}
    content = found.content
    assert column(content, 4, 4) == [(-INF, 12.0, BASE, 1), (12.0, 40.0, SUSPECT, 2)]
    assert len(content.runs) == 2
    assert content.layers["surface"][4, 4] == 40
    assert content.layers["source"][4, 4] == 2
    assert content.layers["status"][4, 4] == KNOWN | Status.FROM_RASTER | Status.SUSPECT
    assert content.layers["status"][5, 4] == KNOWN | Status.FROM_RASTER


def test_a_suspect_where_nothing_was_seen_stands_on_what_is_assumed():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.base[5, 5], state.base_source[5, 5], state.flags[5, 5] = -INF, 0, 0
    state.rejected = rejected((5, 5, 40.0, 2))
    content = done(state).content
    assert column(content, 5, 5) == [(-INF, 22.0, BASE, 0), (22.0, 40.0, SUSPECT, 2)]
    assert content.layers["status"][5, 5] == UNKNOWN | Status.SUSPECT


def bridge():
    state = TileState.nothing((0, 0, 40, 20))
    state.ground_low[:] = state.ground_high[:] = 10.0
    state.ground_rank[:] = 3
    for ix, iy in np.ndindex(40, 20):
        add_returns(state, ix, iy, [10.0, 10.5] + ([18.25, 18.5] if 7 <= iy < 13 else []), error_m=0.25)
    return state


def test_a_bridge():
    state = bridge()
    content = done(state).content
    assert column(content, 20, 9) == [(-INF, 12.25, BASE, 2), (17.75, 18.75, SEEN, 2)]
    assert content.layers["surface"][20, 9] == 18.75
    assert column(content, 20, 3) == []
    assert content.layers["surface"][20, 3] == 10.75
    assert (content.layers["status"] == KNOWN | Status.FROM_CLOUD).all()
    state.rejected = rejected((20, 9, 15.0, 3))
    content = done(state).content
    assert column(content, 20, 9) == [(-INF, 12.25, BASE, 2), (12.25, 15.0, SUSPECT, 3), (17.75, 18.75, SEEN, 2)]


def test_the_roof_of_a_model_below_the_cloud_is_listed_and_lowers_nothing():
    state = flat(20, 10, ground=10.0, seen=22.0)
    state.entered = entered((4, 4, -INF, 16.0, 3, True), (5, 4, -INF, 25.0, 3, True))
    content = done(state).content
    assert column(content, 4, 4) == [(-INF, 22.0, BASE, 1), (10.0, 16.0, ENTERED, 3)]
    assert content.layers["surface"][4, 4] == 22
    assert content.layers["source"][4, 4] == 1
    assert column(content, 5, 4) == [(-INF, 22.0, BASE, 1), (10.0, 25.0, ENTERED, 3)]
    assert content.layers["surface"][5, 4] == 25
    assert content.layers["source"][5, 4] == 3
    assert content.layers["status"][5, 4] == KNOWN | Status.FROM_RASTER | Status.FROM_MODEL


def test_a_model_alone_makes_its_cell_known_and_a_wire_does_not():
    state = flat(40, 10, ground=10.0)
    state.entered = entered((4, 4, -INF, 16.0, 3, True), (5, 4, 40.0, 41.0, 2, False))
    content = done(state).content
    assert column(content, 4, 4) == [(-INF, 10.0, BASE, 0), (10.0, 16.0, ENTERED, 3)]
    assert content.layers["status"][4, 4] == KNOWN | Status.FROM_MODEL
    assert content.layers["surface"][4, 4] == 16
    assert column(content, 5, 4) == [(-INF, 26.0, BASE, 0), (40.0, 41.0, ENTERED, 2)]
    assert content.layers["status"][5, 4] == UNKNOWN | Status.FROM_MODEL
    assert content.layers["surface"][5, 4] == 41
    assert content.layers["surface"][20, 4] == 26


def test_a_model_sunk_into_the_ground():
    state = flat(20, 10, ground=10.0)
    state.entered = entered((4, 4, -INF, 6.0, 3, True))
    content = done(state).content
    assert column(content, 4, 4) == [(-INF, 10.0, BASE, 0), (6.0, 6.0, ENTERED, 3)]
    assert content.layers["surface"][4, 4] == 10


@pytest.mark.nojit
def test_overlapping_things_of_one_source_are_united():
    table = entered(
        (4, 4, 30.0, 32.0, 2, False), (4, 4, 31.0, 35.0, 2, False), (4, 4, 35.0, 36.0, 2, True),
        (4, 4, 40.0, 41.0, 2, False), (4, 4, 31.0, 33.0, 3, False), (4, 5, 31.0, 33.0, 2, False),
    )  # fmt: skip
    assert united(table).tolist() == [
        (4, 4, 30.0, 36.0, 2, True), (4, 4, 40.0, 41.0, 2, False), (4, 4, 31.0, 33.0, 3, False),
        (4, 5, 31.0, 33.0, 2, False),
    ]  # fmt: skip


@pytest.mark.nojit
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 1),
            st.integers(0, 20),
            st.integers(0, 6),
            st.integers(1, 2),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_united_things_fill_what_they_filled_before(rows):
    table = np.array([(x, y, low, low + high, s, b) for x, y, low, high, s, b in rows], ENTERED_DTYPE)

    def filled(table):
        return {
            (int(r["ix"]), int(r["iy"]), int(r["source"]), half)
            for r in table
            for half in range(2 * int(r["from_m"]), 2 * int(r["to_m"]) + 1)
        }

    joined = united(table)
    assert filled(joined) == filled(table)
    for one, other in itertools.pairwise(joined):
        alike = one[["ix", "iy", "source"]] == other[["ix", "iy", "source"]]
        assert not alike or other["from_m"] > one["to_m"]


def test_what_the_version_before_knew_is_carried_over():
    state = flat(20, 10, ground=10.0, seen=12.0)
    state.kept = kept(
        (4, 4, 30.0, 31.0, SEEN, 3), (5, 4, 20.0, 28.0, SUSPECT, 3), (6, 4, 8.0, 11.0, SUSPECT, 3),
        (7, 4, 9.0, 11.0, SEEN, 3),
    )  # fmt: skip
    content = done(state).content
    assert column(content, 4, 4) == [(-INF, 12.0, BASE, 1), (30.0, 31.0, SEEN, 3)]
    assert column(content, 5, 4) == [(-INF, 12.0, BASE, 1), (12.0, 28.0, SUSPECT, 3)]
    assert len(content.runs) == 4
    assert content.layers["source"][4, 4] == content.layers["source"][5, 4] == 3
    assert content.layers["status"][5, 4] & Status.SUSPECT


@pytest.mark.nojit
def test_of_runs_as_high_the_base_and_then_the_first_counts():
    top, source = np.array([[5.0]], np.float32), np.array([[7]], np.uint16)
    at, heights = np.zeros(4, np.uint16), np.array([5, 9, 9, 4], np.float32)
    raise_to(at, at, heights, np.array([1, 2, 3, 4], np.uint16), top, source)
    assert (top[0, 0], source[0, 0]) == (9, 2)


def test_a_tile_of_which_nothing_was_seen():
    state = flat(40, 10, ground=10.0)
    content = done(state).content
    assert (content.layers["surface"] == 20).all()
    assert (content.layers["status"] == UNKNOWN).all()
