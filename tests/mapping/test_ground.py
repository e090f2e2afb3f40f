import subprocess
import sys

import laspy
import numpy as np
import pytest

from tests.mapping.states import INF, add_returns, far_of, flat
from tests.repo import shared_data
from utm.errors import SurveyError
from utm.mapping.ingest import cloth
from utm.mapping.ingest.ground import ground_of, with_filtered_ground
from utm.mapping.ingest.parameters import Parameters
from utm.mapping.ingest.state import (
    GROUND_CLASSIFIED,
    GROUND_DTM,
    GROUND_FILTERED,
    GROUND_MODEL,
    GROUND_NONE,
    TileState,
)

P = Parameters()


def without_ground(state, where):
    state.ground_low[where], state.ground_high[where], state.ground_rank[where] = INF, -INF, GROUND_NONE
    return state


def test_ground_that_is_not_known_is_the_lowest_within_30_m():
    state = without_ground(flat(80, 8, ground=10.0, seen=30.0), np.s_[20:40])
    state.ground_low[19, 3] = 4.0
    found = ground_of(state, far_of(state), 1.0, P)
    assert found.assumed.sum() == 20 * 8
    assert (found.terrain[20:40] == 4).all()
    assert (found.high[20:40] == 4).all()
    assert (found.terrain[:19] == 10).all()


def test_beyond_30_m_the_search_goes_on():
    state = without_ground(flat(400, 8, ground=10.0, seen=30.0), np.s_[1:])
    state.ground_low[0] = 7.0
    assert (ground_of(state, far_of(state), 1.0, P).terrain[1:] == 7).all()


def test_assumed_ground_is_not_above_what_was_seen_and_given_ground_is_believed():
    state = without_ground(flat(20, 8, ground=10.0, seen=30.0), np.s_[10:])
    state.base[12, 3] = state.low[12, 3] = 6.0
    state.low[13, 3] = 5.0
    state.low[2, 3] = 8.0
    found = ground_of(state, far_of(state), 1.0, P)
    assert found.terrain[12, 3] == 6
    assert found.terrain[13, 3] == 5
    assert found.terrain[2, 3] == 10
    assert found.terrain[14, 3] == 10


def test_no_ground_anywhere_is_refused():
    state = without_ground(flat(20, 8, seen=30.0), np.s_[:])
    state.low[:] = np.inf
    with pytest.raises(SurveyError, match="--terrain: no ground is known"):
        ground_of(state, far_of(state), 1.0, P)


def village(labelled=False):
    """60 x 60 m of returns on a slope, with a house of 12 x 12 m that is 8 m high."""
    state = TileState.nothing((0, 0, 60, 60))
    rng = np.random.default_rng(1)
    house = np.zeros((60, 60), bool)
    house[20:32, 24:36] = True
    for ix, iy in np.ndindex(60, 60):
        ground = 50 + 0.1 * ix
        add_returns(state, ix, iy, (58 if house[ix, iy] else ground) + rng.uniform(0, 0.1, 3))
    if labelled:
        state.ground_low[~house] = state.ground_high[~house] = state.low[~house]
        state.ground_rank[~house] = GROUND_CLASSIFIED
    return state, house


def test_ground_is_filtered_from_returns_where_no_surveyor_gave_any():
    state, house = village()
    found = with_filtered_ground(state, 1.0, P)
    filtered = found.ground_rank == GROUND_FILTERED
    assert filtered[~house].mean() > 0.95
    assert not filtered[house].any()
    assert (found.ground_low[filtered] == state.low[filtered]).all()
    assert (found.ground_high[filtered] == state.low[filtered]).all()
    assert np.isposinf(found.ground_low[~filtered]).all()
    assert (state.ground_rank == GROUND_NONE).all(), "the state that was handed in is not changed"
    ground = ground_of(found, far_of(found), 1.0, P)
    assert (ground.terrain[house] < 54).all()
    assert (ground.filtered == filtered).all()


def test_classified_ground_is_not_filtered_unless_it_is_asked_for(monkeypatch):
    state, house = village(labelled=True)
    with monkeypatch.context() as patch:
        patch.setattr(cloth, "ground_of", lambda *_: pytest.fail("the filter ran"))
        assert with_filtered_ground(state, 1.0, P) is state
    found = with_filtered_ground(state, 1.0, Parameters(ground="filter"))
    assert set(np.unique(found.ground_rank)) == {GROUND_NONE, GROUND_FILTERED}
    assert (found.ground_rank[house] == GROUND_NONE).all()


def test_a_terrain_model_is_never_filtered_away_and_a_relief_gives_way(monkeypatch):
    state, _ = village()
    state.ground_low[0, 0] = state.ground_high[0, 0] = 50.0
    state.ground_rank[0, 0] = GROUND_MODEL
    assert with_filtered_ground(state, 1.0, P).ground_rank[5, 5] == GROUND_FILTERED
    state.ground_rank[0, 0] = GROUND_DTM
    monkeypatch.setattr(cloth, "ground_of", lambda *_: pytest.fail("the filter ran"))
    assert with_filtered_ground(state, 1.0, Parameters(ground="filter")) is state


def test_a_surface_model_alone_is_filtered_and_nothing_is_not():
    state = without_ground(flat(20, 8, seen=30.0), np.s_[:])
    state.low[:] = np.inf
    assert with_filtered_ground(state, 1.0, P) is state
    state.low[:] = state.base
    assert (with_filtered_ground(state, 1.0, P).ground_rank == GROUND_FILTERED).all()


def test_the_filter_is_silent_and_gives_the_same_again():
    script = (
        "import numpy as np, hashlib, sys\n"
        "from utm.mapping.ingest.cloth import ground_of\n"
        "from utm.mapping.ingest.parameters import Parameters\n"
        "rng = np.random.default_rng(2)\n"
        "xyz = np.column_stack([rng.uniform(0, 70, (4000, 2)), rng.uniform(0, 9, 4000)])\n"
        "found = {ground_of(xyz, 1.0, Parameters()).tobytes() for _ in range(3)}\n"
        "sys.stderr.write(str(len(found)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "1"


def test_a_filter_that_fails_says_what_happened(monkeypatch):
    monkeypatch.setattr(cloth, "__file__", "no/such/filter.py")
    with pytest.raises(RuntimeError, match=r"the ground filter failed \(2\): .*no/such/filter.py"):
        cloth.ground_of(np.zeros((20, 3)), 1.0, P)


def test_too_few_points_have_no_ground():
    assert not cloth.ground_of(np.zeros((3, 3)), 1.0, P).any()


def lowest_of_cells(east, north, up, is_ground, cell_m):
    """One point for each cell, its lowest; and whether that is ground."""
    ix, iy = np.floor((east - east.min()) / cell_m), np.floor((north - north.min()) / cell_m)
    order = np.lexsort([up, iy, ix])
    ix, iy, up, is_ground = ix[order], iy[order], up[order], is_ground[order]
    first = np.concatenate([[True], (np.diff(ix) != 0) | (np.diff(iy) != 0)])
    points = np.column_stack([(ix + 0.5) * cell_m, (iy + 0.5) * cell_m, up])
    return points[first], is_ground[first]


def test_the_filter_finds_the_ground_of_delft():
    cloud = laspy.read(shared_data("delft") / "ahn3_cropped_1.laz")
    points, truth = lowest_of_cells(
        *(np.asarray(axis, np.float64) for axis in (cloud.x, cloud.y, cloud.z)),
        np.asarray(cloud.classification) == 2,
        1.0,
    )
    found = cloth.ground_of(points, 1.0, P)
    assert (found == truth).mean() > 0.96
    assert (found & truth).sum() > 0.95 * found.sum()


def test_the_filter_finds_the_ground_of_a_photogrammetric_survey():
    file = shared_data("odm_waterbury/patches_waterbury_roads_2.npz")
    with np.load(file) as data:
        points, labels = data["patches"].reshape(-1, 3).astype(np.float64), data["patch_labels"].reshape(-1)
    # The northern end, for speed; class 11 is road
    part = points[:, 1] > np.quantile(points[:, 1], 0.85)
    points, truth = lowest_of_cells(*points[part].T, np.isin(labels[part], (2, 11)), 1.0)
    found = cloth.ground_of(points, 1.0, P)
    assert (found & truth).sum() > 0.95 * found.sum()
    assert (found & truth).sum() > 0.5 * truth.sum()
