"""Returns into cells and tiles, held against a slow twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.mapping import oracles
from utm.mapping.ingest import returns
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import TILE, Grid
from utm.mapping.ingest.returns import (
    ACCEPTED,
    GROUND,
    REJECTED,
    Covered,
    cells_of,
    cells_touched,
    record_cells,
    sorted_into_tiles,
)

pytestmark = pytest.mark.nojit

FEW = settings(max_examples=80, deadline=None)


def check_against_oracle(evidence, rectangles, up, kind, grid):
    cells, off = oracles.sort_returns(rectangles, up, kind, grid)
    found = {}
    for (tx, ty), part in evidence.items():
        for cell in {*part.cells.tolist(), *part.ground_cells.tolist(), *part.rejected_cells.tolist()}:
            found[tx * TILE + cell // TILE, ty * TILE + cell % TILE] = (part, cell)
        for column in (part.cells, part.ground_cells):
            assert (np.diff(column) > 0).all()
    assert set(found) == set(cells)
    for place, (accepted, ground, rejected) in cells.items():
        part, cell = found[place]
        row = np.flatnonzero(part.cells == cell)
        assert len(row) == bool(accepted)
        if accepted:
            assert part.top[row[0]] >= max(accepted) > np.nextafter(part.top[row[0]], np.float32(-np.inf))
            assert part.low[row[0]] <= min(accepted) < np.nextafter(part.low[row[0]], np.float32(np.inf))
            assert part.returns[row[0]] == len(accepted)
            bits = {int(height // 2.0) % 64 for height in accepted}
            assert int(part.levels[row[0]]) == sum(1 << bit for bit in bits)
        row = np.flatnonzero(part.ground_cells == cell)
        assert len(row) == bool(ground)
        if ground:
            assert part.ground_high[row[0]] >= max(ground)
            assert part.ground_low[row[0]] <= min(ground)
        heights = part.rejected_up[part.rejected_cells == cell]
        assert (heights.astype(float) >= sorted(rejected)).all()
        np.testing.assert_allclose(heights, sorted(rejected), rtol=1e-6, atol=1e-6)
    return off


POINTS = hnp.arrays(np.float64, (25, 3), elements=st.floats(-3, 24).map(lambda v: round(v * 4) / 4))
KINDS = hnp.arrays(np.uint8, 25, elements=st.sampled_from([ACCEPTED, GROUND, REJECTED]))


@FEW
@given(points=POINTS, kind=KINDS, cell=st.sampled_from([1.0, 2.5, 0.75]))
def test_points_on_edges_and_off_the_map(points, kind, cell):
    grid = Grid(0, 0, cell, 9, 7)
    east, north, up = points.T.copy()
    covered = cells_of(east, north, grid)
    evidence = sorted_into_tiles(covered, up * 20, kind, grid)
    off = check_against_oracle(evidence, np.stack([east, east, north, north], axis=1), up * 20, kind, grid)
    assert covered.off_map.sum() == off


@FEW
@given(points=POINTS, kind=KINDS, half=st.sampled_from([0.25, 0.5, 1.0, 3.1]))
def test_coarse_points_reach_every_cell_that_they_touch(points, kind, half):
    grid = Grid(0, 0, 1.0, 9, 7)
    east, north, up = points.T.copy()
    sides = (east - half, east + half, north - half, north + half)
    covered = cells_touched(*sides, grid)
    evidence = sorted_into_tiles(covered, up, kind, grid)
    assert covered.off_map.sum() == check_against_oracle(evidence, np.stack(sides, axis=1), up, kind, grid)
    # Whichever way a place within the square is turned into a cell, that cell is covered
    for east_m, north_m in ((east - half, north + half), (east + half, north), (east, north)):
        ix, iy = np.floor(east_m).astype(int), np.floor(north_m).astype(int)
        on = (ix >= 0) & (ix < 9) & (iy >= 0) & (iy < 7)
        assert (covered.ix0[on] <= ix[on]).all()
        assert (covered.ix1[on] >= ix[on]).all()
        assert (covered.iy0[on] <= iy[on]).all()
        assert (covered.iy1[on] >= iy[on]).all()


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_tiles_and_their_borders(monkeypatch, at_once):
    monkeypatch.setattr(returns, "_TILES_AT_ONCE", at_once)
    grid = Grid(0, 0, 0.5, 3 * TILE + 11, 2 * TILE)
    rng = np.random.default_rng(7)
    edge = TILE * 0.5
    east = np.concatenate(
        [rng.uniform(0, grid.nx / 2, 300), np.repeat([edge, edge - 1e-9, 2 * edge, 3 * edge + 5.5], 3)]
    )
    north = np.concatenate([rng.uniform(0, grid.ny / 2, 300), np.tile([edge, edge - 1e-9, 2 * edge], 4)])
    up = rng.uniform(-140, 300, len(east))
    kind = rng.integers(0, 3, len(east)).astype(np.uint8)
    evidence = sorted_into_tiles(cells_of(east, north, grid), up, kind, grid)
    assert set(evidence) == {(tx, ty) for tx in range(4) for ty in range(2)}
    by_hand = {}
    ix, iy = np.minimum(east // 0.5, grid.nx - 1).astype(int), np.minimum(north // 0.5, grid.ny - 1).astype(int)
    for a, b, height, what in zip(ix, iy, up, kind, strict=True):
        if what != REJECTED:
            by_hand.setdefault((a, b), []).append(height)
    rows = {
        (tx * TILE + cell // TILE, ty * TILE + cell % TILE): top
        for (tx, ty), part in evidence.items()
        for cell, top in zip(part.cells.tolist(), part.top.tolist(), strict=True)
    }
    assert set(rows) == set(by_hand)
    assert all(top == np.float32(top) >= max(by_hand[cell]) for cell, top in rows.items())
    assert sum(len(part.rejected_cells) for part in evidence.values()) == (kind == REJECTED).sum()


def same(one: dict, other: dict) -> bool:
    return set(one) == set(other) and all(
        all(np.array_equal(getattr(one[tile], name), getattr(other[tile], name)) for name in vars(Evidence()))
        for tile in one
    )


@FEW
@given(points=POINTS, kind=KINDS, seed=st.integers(0, 99))
def test_the_order_of_returns_does_not_matter(points, kind, seed):
    grid = Grid(0, 0, 2.0, 9, 7)
    order = np.random.default_rng(seed).permutation(len(points))
    found = []
    for table, what in ((points, kind), (points[order], kind[order])):
        east, north, up = table.T.copy()
        found.append(sorted_into_tiles(cells_of(east, north, grid), up, what, grid))
    assert same(*found)


@FEW
@given(
    stored=hnp.arrays(np.int32, (20, 3), elements=st.integers(-4000, 40_000)),
    scale=st.sampled_from([0.001, 0.01, 0.0254, 1 / 3, 0.00025]),
    origin=st.sampled_from([0.0, 84_800.0, -77_000.25]),
)
def test_stored_records_land_where_laspy_and_the_slow_way_put_them(stored, scale, origin):
    grid = Grid(origin, origin, 0.5, 40, 40)
    scales, offsets = np.array([scale, scale * 2, 0.01]), np.array([origin, origin + 0.1, -3.0])
    x, y, z = (stored * scales + offsets).T
    covered, up = Covered.empty(20), np.empty(20)
    far = np.full(3, 1e9)
    columns = [np.ascontiguousarray(column) for column in stored.T]
    outside = record_cells(
        *columns, scales, offsets, -far, far, np.array([-origin, -origin, 0.0]), 0.5, 40, 40,
        covered.ix0, covered.ix1, covered.iy0, covered.iy1, up,
    )  # fmt: skip
    assert outside == -1
    slow = cells_of(x - origin, y - origin, grid)
    np.testing.assert_array_equal(up, z)
    for name in ("ix0", "ix1", "iy0", "iy1"):
        np.testing.assert_array_equal(getattr(covered, name), getattr(slow, name))
    ix, iy = np.floor((x - origin) / 0.5), np.floor((y - origin) / 0.5)
    on = (ix >= 0) & (ix < 40) & (iy >= 0) & (iy < 40)
    np.testing.assert_array_equal(covered.ix0[on], ix[on])
    np.testing.assert_array_equal(covered.iy0[on], iy[on])


def test_a_record_outside_its_bounds_is_named():
    stored = np.array([0, 5, 11, 20], np.int32)
    covered, up = Covered.empty(4), np.empty(4)
    found = record_cells(
        stored, stored, stored, np.ones(3), np.zeros(3), np.zeros(3), np.full(3, 10.0), np.zeros(3), 1.0, 50, 50,
        covered.ix0, covered.ix1, covered.iy0, covered.iy1, up,
    )  # fmt: skip
    assert found == 2


def test_level_bits_wrap_below_zero_and_above_128_metres():
    grid = Grid(0, 0, 1.0, 4, 1)
    east, north = np.array([0.5, 1.5, 2.5, 3.5]), np.full(4, 0.5)
    up = np.array([0.0, -0.1, 127.9, 128.0])
    part = sorted_into_tiles(cells_of(east, north, grid), up, np.zeros(4, np.uint8), grid)[0, 0]
    assert part.levels.tolist() == [1, 1 << 63, 1 << 63, 1]


def test_nothing_on_the_map_is_no_evidence():
    grid = Grid(0, 0, 1.0, 4, 1)
    far = np.array([-5.0, 9.0])
    covered = cells_of(far, far, grid)
    assert covered.off_map.all()
    assert sorted_into_tiles(covered, far, np.zeros(2, np.uint8), grid) == {}
