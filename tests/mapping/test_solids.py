"""Polygons and wires to cells, against slow and obvious twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.errors import SurveyError
from utm.mapping.ingest import solids
from utm.mapping.ingest.entered import Entered
from utm.mapping.ingest.grid import TILE, Grid
from utm.mapping.ingest.solids import polygons_to_cells, spans_to_cells

pytestmark = pytest.mark.nojit

GRID = Grid(0.0, 0.0, 1.0, 14, 11)
# On and beside the edges of cells, inside the grid and beyond it
coordinate = st.one_of(st.integers(-3, 17).map(float), st.floats(-3, 17, allow_nan=False))
height = st.floats(-20, 80, allow_nan=False)


def cells_of(rows) -> dict[tuple[int, int], tuple[float, float]]:
    found = {(int(ix), int(iy)): (lo, hi) for ix, iy, lo, hi in zip(rows.ix, rows.iy, rows.low, rows.high, strict=True)}
    assert len(found) == len(rows.ix), "a cell stands twice"
    return found


def one_polygon(*rings, grid=GRID):
    points = np.concatenate([np.asarray(ring, float) for ring in rings])
    starts = np.cumsum([0, *(len(ring) for ring in rings)])
    return cells_of(polygons_to_cells(points, starts, np.array([0, len(rings)]), grid))


def cell_box(ix: int, iy: int, grown: float = 0.0) -> shapely.Polygon:
    return shapely.box(ix - grown, iy - grown, ix + 1 + grown, iy + 1 + grown)


def flat_oracle(polygon: shapely.Polygon, plane, grown: float = 0.0) -> dict[tuple[int, int], tuple[float, float]]:
    """Cut the polygon with every cell; the plane's heights at the corners of the pieces."""
    found = {}
    for ix in range(GRID.nx):
        for iy in range(GRID.ny):
            piece = shapely.intersection(polygon, cell_box(ix, iy, grown))
            if not piece.is_empty:
                z = [plane(x, y) for x, y in shapely.get_coordinates(piece)]
                found[ix, iy] = (min(z), max(z))
    return found


@st.composite
def stars(draw):
    """A simple polygon around a middle, maybe with a hole, and a plane."""
    n = draw(st.integers(3, 9))
    x, y = draw(st.floats(2, 12)), draw(st.floats(2, 9))
    radii = draw(st.lists(st.floats(0.4, 8), min_size=n, max_size=n))
    turn = draw(st.floats(0, 1))
    angles = (np.arange(n) + turn) * (2 * math.pi / n)
    ring = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
    if draw(st.booleans()):
        ring = np.round(ring)
    rings = [ring]
    if draw(st.booleans()):
        rings.append(np.array([x, y]) + draw(st.floats(0.1, 0.9)) * (ring - [x, y]))
    if draw(st.booleans()):
        rings = [r[::-1] for r in rings]
    return rings, draw(st.floats(-3, 3)), draw(st.floats(-3, 3)), draw(height)


@given(stars())
@settings(max_examples=150, deadline=None)
def test_a_polygon_covers_the_cells_it_touches_to_their_very_height(star):
    rings, slope_x, slope_y, base = star
    shape = shapely.Polygon(rings[0], rings[1:])
    if not shape.is_valid or shape.area < 0.01:
        return

    def plane(x, y):
        return base + slope_x * x + slope_y * y

    found = one_polygon(*[np.column_stack([r, plane(r[:, 0], r[:, 1])]) for r in rings])
    exact, grown = flat_oracle(shape, plane), flat_oracle(shape, plane, 1.1 * solids.SLACK_M)
    assert set(exact) <= set(found) <= set(grown)
    for cell, (low, high) in found.items():
        least, most = exact.get(cell, (low, high)), grown[cell]
        assert most[0] - 1e-6 <= low <= least[0] + 1e-6
        assert least[1] - 1e-6 <= high <= most[1] + 1e-6


@given(st.lists(st.tuples(coordinate, coordinate, height), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_no_point_of_a_triangle_is_missed(corners):
    """Any triangle, upright and squashed ones too: points on it lie in covered cells, between their heights."""
    corners = np.array(corners)
    found = one_polygon(corners)
    weights = np.random.default_rng(0).dirichlet([0.6] * 3, 300)
    weights = np.concatenate([weights, np.eye(3), [[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]])
    for x, y, z in weights @ corners:
        cell = (math.floor(x), math.floor(y))
        if 0 <= cell[0] < GRID.nx and 0 <= cell[1] < GRID.ny:
            low, high = found[cell]
            assert low - 1e-9 <= z <= high + 1e-9
    lowest, highest = corners[:, 2].min(), corners[:, 2].max()
    assert all(lowest - 1e-9 <= low <= high <= highest + 1e-9 for low, high in found.values())


def test_an_upright_wall_has_in_each_cell_the_height_that_it_has_there():
    found = one_polygon([(0.5, 2.5, 0.0), (8.5, 2.5, 0.0), (8.5, 2.5, 16.0), (0.5, 2.5, 0.0)])
    assert sorted(found) == [(ix, 2) for ix in range(9)]
    for ix in range(9):
        assert found[ix, 2][1] == pytest.approx(2 * (min(8.5, ix + 1) - 0.5), abs=1e-4)


def test_a_wall_on_the_edge_between_cells_stands_in_both():
    found = one_polygon([(3.0, 1.2, 0.0), (3.0, 1.8, 0.0), (3.0, 1.8, 5.0), (3.0, 1.2, 5.0)])
    assert sorted(found) == [(2, 1), (3, 1)]


def test_a_polygon_that_is_not_quite_plane_is_covered_by_any_way_to_cut_it():
    ring = [(0.5, 0.5, 10.0), (9.5, 0.5, 10.0), (9.5, 9.5, 10.6), (0.5, 9.5, 10.0)]
    found = one_polygon(ring)
    for cell, (low, high) in found.items():
        x, y = cell[0] + 0.5, cell[1] + 0.5
        one = 10 + 0.6 * max(0, (x - 0.5) / 9 + (y - 0.5) / 9 - 1)  # cut along one diagonal
        other = 10 + 0.6 * min((x - 0.5) / 9, (y - 0.5) / 9)  # and along the other
        assert low <= min(one, other) + 1e-9
        assert high >= max(one, other) - 1e-9
        assert 10 <= low <= high <= 10.6


def test_a_bow_tie_and_two_overlapping_turns_are_full():
    tie = one_polygon([(1.0, 1.0, 5.0), (9.0, 9.0, 5.0), (9.0, 1.0, 5.0), (1.0, 9.0, 5.0)])
    assert {(2, 5), (8, 5)} <= set(tie)
    square = [(1.0, 1.0, 5.0), (9.0, 1.0, 5.0), (9.0, 9.0, 5.0), (1.0, 9.0, 5.0)]
    twice = one_polygon(square + square)
    assert (5, 5) in twice


def test_a_polygon_larger_than_the_map_and_one_far_away():
    far = one_polygon([(1e9, 1e9, 1.0), (1e9 + 1, 1e9, 1.0), (1e9, 1e9 + 1, 1.0)])
    assert far == {}
    huge = one_polygon([(-1e6, -1e6, 3.0), (1e6, -1e6, 3.0), (1e6, 1e6, 3.0), (-1e6, 1e6, 3.0)])
    assert len(huge) == GRID.nx * GRID.ny
    assert set(huge.values()) == {(3.0, 3.0)}


def test_more_cells_than_the_first_table_holds():
    grid = Grid(0.0, 0.0, 1.0, 60, 50)
    found = one_polygon([(-1.0, -1.0, 3.0), (61.0, -1.0, 3.0), (61.0, 51.0, 3.0), (-1.0, 51.0, 3.0)], grid=grid)
    assert found == {(ix, iy): (3.0, 3.0) for ix in range(60) for iy in range(50)}


def test_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr(solids, "MAX_ROWS", 1024)
    grid = Grid(0.0, 0.0, 1.0, 200, 200)
    with pytest.raises(SurveyError, match="more than 1,024 cells"):
        one_polygon([(0.0, 0.0, 3.0), (150.0, 0.0, 3.0), (150.0, 150.0, 3.0)], grid=grid)
    with pytest.raises(SurveyError, match="more than 1,024 cells"):
        spans_to_cells(np.array([[9.0, 9, 9]]), np.array([[99.0, 9, 9]]), np.array([30.0]), np.zeros(1), grid)


def hanging(a, b, sag, t):
    """Lower and upper edge of where a wire may hang at parameters t."""
    chord = a[2] + (b[2] - a[2]) * t
    return chord - 4 * sag * t * (1 - t), chord


@given(
    st.tuples(coordinate, coordinate, height), st.tuples(coordinate, coordinate, height),
    st.one_of(st.just(0.0), st.floats(0, 4)), st.one_of(st.just(0.0), st.floats(0, 30)),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_span_against_its_twin(a, b, radius, sag):
    rows = spans_to_cells(np.array([a]), np.array([b]), np.array([radius]), np.array([sag]), GRID)
    found = cells_of(rows)
    line = shapely.LineString([a[:2], b[:2]])
    t = np.linspace(0, 1, 1501)
    x, y = a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
    low, high = hanging(a, b, sag, t)
    step = (abs(b[2] - a[2]) + 4 * sag) / 1500 + 1e-9
    for ix in range(GRID.nx):
        for iy in range(GRID.ny):
            gap = line.distance(cell_box(ix, iy))
            if gap <= radius:
                assert (ix, iy) in found
            if (ix, iy) not in found:
                continue
            assert gap <= radius + 3e-6
            aside, along = np.maximum(0, np.abs(x - ix - 0.5) - 0.5), np.maximum(0, np.abs(y - iy - 0.5) - 0.5)
            near = np.hypot(aside, along) <= radius
            got = found[ix, iy]
            if near.any():
                assert got[0] <= low[near].min() + 1e-9
                assert got[1] >= high[near].max() - 1e-9
            if np.hypot(b[0] - a[0], b[1] - a[1]) > 0.1:  # tight: nothing beyond what the square around it sees
                roughly = (aside <= radius + 0.05) & (along <= radius + 0.05)
                assert got[0] >= low[roughly].min() - step
                assert got[1] <= high[roughly].max() + step


def test_a_disc_is_round():
    place = np.array([[5.5, 5.5, 30.0]])
    found = cells_of(spans_to_cells(place, place, np.array([3.0]), np.zeros(1), GRID))
    assert set(found.values()) == {(30.0, 30.0)}
    wanted = {
        (ix, iy) for ix in range(14) for iy in range(11) if shapely.Point(5.5, 5.5).distance(cell_box(ix, iy)) <= 3
    }
    assert set(found) == wanted


def test_rows_become_evidence_by_tile_to_the_blocking_side():
    grid = Grid(0.0, 0.0, 2.0, TILE + 5, 2 * TILE)
    entered = Entered(grid)
    ix, iy = np.array([3, 3, TILE, 3]), np.array([7, 7, TILE + 1, 7])
    entered.columns(ix, iy, np.array([10.1, 12.3, 5.0, 11.0]), is_surface=True)
    entered.runs(np.array([1, 1, 2]), np.array([3, 3, 3]), np.array([7, 7, 7]), np.array([20.1, 25, 40]),
                 np.array([21.0, 26.3, 41]))  # fmt: skip
    entered.ground(np.array([3, 4]), np.array([7, 7]), np.array([1.0, 1.5]), np.array([1.0, 1.5]), is_terrain=False)
    entered.ground(np.array([3, 3]), np.array([7, 7]), np.array([0.5, 0.7]), np.array([0.9, 0.7]), is_terrain=True)
    found = entered.evidence()
    assert list(found) == [(0, 0), (1, 1)]
    here = found[0, 0]
    assert here.entered_cells.tolist() == [3 * TILE + 7] * 3
    assert here.entered_from[0] == -np.inf
    assert 20.09 < here.entered_from[1] <= 20.1
    assert 12.3 <= here.entered_to[0] < 12.31
    assert 26.3 <= here.entered_to[1] < 26.31
    assert here.entered_is_surface.tolist() == [True, False, False]
    assert here.ground_cells.tolist() == [3 * TILE + 7, 4 * TILE + 7]
    np.testing.assert_allclose(here.ground_low, [0.5, 1.5])
    np.testing.assert_allclose(here.ground_high, [0.9, 1.5])
    assert found[1, 1].entered_cells.tolist() == [1]
    assert Entered(grid).evidence() == {}
