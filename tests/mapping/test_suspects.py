import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.mapping.states import INF, flat, kept, rejected, shuffled
from utm.mapping.ingest.parameters import Parameters
from utm.mapping.ingest.suspects import ALONE, BELOW, SUSPECT, judge, suspects_of
from utm.mapping.mapfile import RunKind

pytestmark = pytest.mark.nojit


def slow_judge(ix, iy, up, terrain, seen, below_m, alone_m, radius):
    """Everything seen so far as a list; no early way out."""
    verdicts = []
    for a, b, height in zip(ix, iy, up, strict=True):
        if height < terrain[a, b] - np.float32(below_m):
            verdicts.append(BELOW)
            continue
        square = np.s_[max(0, a - radius) : a + radius + 1, max(0, b - radius) : b + radius + 1]
        if height > max(seen[square].max(), terrain[a, b]) + np.float32(alone_m):
            verdicts.append(ALONE)
            continue
        verdicts.append(SUSPECT)
        seen[a, b] = max(seen[a, b], height)
    return np.array(verdicts, np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    cells=hnp.arrays(np.int32, (25, 2), elements=st.integers(0, 6)),
    up=hnp.arrays(np.float32, 25, elements=st.floats(-40, 900, width=32)),
    seen=hnp.arrays(np.float32, (7, 7), elements=st.one_of(st.just(-np.inf), st.floats(0, 60, width=32))),
)
def test_rejected_returns_are_judged_as_the_rule_says(cells, up, seen):
    terrain = np.full((7, 7), 5.0, np.float32)
    slow, up = seen.copy(), np.sort(up)
    ix, iy = cells[:, 0].copy(), cells[:, 1].copy()
    found = judge(ix, iy, up, terrain, seen, 1.0, 180.0, 2)
    np.testing.assert_array_equal(found, slow_judge(ix, iy, up, terrain, slow, 1.0, 180.0, 2))
    np.testing.assert_array_equal(seen, slow)


@pytest.mark.parametrize(
    ("heights", "stay"),
    [
        ([400.0], [False]),
        ([3.0], [False]),
        ([30.0, 60.0, 300.0], [True, True, False]),
        ([60.0, 180.0, 330.0, 500.0], [True, True, True, True]),
        ([189.0], [True]),
        ([191.0], [False]),
    ],
)
def test_a_mast_of_lone_returns_is_kept_whole_and_a_lone_return_in_the_sky_is_not(heights, stay):
    terrain = np.full((9, 9), 10.0, np.float32)
    here = np.full(len(heights), 4, np.int32)
    verdict = judge(here, here, np.array(heights, np.float32), terrain, terrain.copy(), 1.0, 180.0, 3)
    assert (verdict == SUSPECT).tolist() == stay


def test_only_the_tile_itself_is_counted_and_the_highest_suspect_of_a_cell_stands():
    state = flat(60, 60, ground=10.0, seen=10.0)
    state.rejected = rejected(
        (30, 30, 20.0, 2), (30, 30, 35.0, 3), (31, 30, 3.0, 2), (32, 30, 500.0, 2), (5, 5, 30.0, 2)
    )
    state.kept = kept((33, 30, 12.0, 28.0, RunKind.SUSPECT, 1), (30, 30, 12.0, 28.0, RunKind.SUSPECT, 1))
    found = suspects_of(state, (20, 20, 40, 40), state.base, state.ground_low, 1.0, Parameters())
    assert found.counts == {"points_suspect": 2, "points_discarded_below": 1, "points_discarded_above": 1}
    assert found.top[10, 10] == 35
    assert found.source[10, 10] == 3
    assert found.top[13, 10] == 28
    assert found.source[13, 10] == 1
    assert np.isfinite(found.top).sum() == 2


def test_the_halo_judges_with_the_tile_and_no_order_matters():
    state = flat(80, 20, ground=10.0, seen=10.0)
    # A leaning mast whose lower half stands in the halo
    state.rejected = rejected((35, 5, 150.0, 2), (45, 5, 320.0, 2), (45, 5, 320.0, 1))
    inner = (40, 0, 80, 20)
    found = suspects_of(state, inner, state.base, state.ground_low, 1.0, Parameters())
    assert found.counts["points_suspect"] == 2
    assert found.source[5, 5] == 1
    state.rejected = state.rejected[1:]
    assert suspects_of(state, inner, state.base, state.ground_low, 1.0, Parameters()).counts["points_suspect"] == 0
    other = suspects_of(shuffled(state, 1), inner, state.base, state.ground_low, 1.0, Parameters())
    assert other.counts["points_discarded_above"] == 2
    assert other.top.max() == -INF
