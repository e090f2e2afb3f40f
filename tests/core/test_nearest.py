"""How near a way comes to each kind of thing: every column looked at, against branch and bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.made_ground import bare, columns, examples, ground_of, heights
from tests.oracles.nearest import least, tops_of
from utm.core import Columns, corner_triangles, flight_space, least_distance, rounded, time_path, tube_of
from utm.core.flown import flown
from utm.core.nearest import nearest_things
from utm.core.tiles import Tiles
from utm.model import AIRCRAFT_CLASSES, Trajectory

pytestmark = pytest.mark.nojit

QUAD = AIRCRAFT_CLASSES["quad"]
T0 = 1.79e9


def flight(rng: np.random.Generator, corners: int, *, low=45.0, high=80.0, size=(560.0, 320.0), margin=40.0):
    """Corners of a way with columns at both ends, and its trajectory."""
    flat = np.column_stack([rng.uniform(margin, side - margin, corners) for side in size])
    cruise = np.column_stack([flat, rng.uniform(low, high, corners)])
    points = np.vstack([cruise[0] - (0, 0, 30.0), cruise, cruise[-1] - (0, 0, 35.0)])
    return points, time_path(points, QUAD, T0)


@settings(max_examples=examples(15), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_nearest_of_each_kind_is_found(seed):
    rng = np.random.default_rng(seed)
    made = columns(rng)
    ground = ground_of(made)
    _, line = flight(rng, int(rng.integers(2, 5)))
    way = flown(line)
    within = float(rng.choice([20.0, 60.0, 200.0]))
    for found, tops in zip(nearest_things(ground, line, way, within), tops_of(made).values(), strict=True):
        true = least(way.way_m, tops, made.cell_m)
        if found is None:
            assert true >= within - 1e-6
            continue
        assert true - 1e-3 < found.distance_m <= true
        assert found.distance_m == pytest.approx(true, abs=1e-6)
        # Where the flight is then is on its line, and as near as its turn leaves the line.
        np.testing.assert_allclose(line.at(found.at_s), found.at_m, atol=1e-6)
        there = least([found.at_m, found.at_m], tops, made.cell_m)
        assert abs(there - true) <= np.hypot(way.tube.horizontal_m, way.tube.vertical_m) + 1e-6


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_kinds_together_are_the_least_distance_to_the_surface(seed):
    rng = np.random.default_rng(seed)
    made = columns(rng)
    _, line = flight(rng, 3)
    way = flown(line)
    found = [one.distance_m for one in nearest_things(ground_of(made), line, way, 100.0) if one is not None]
    assert min(found, default=100.0) == pytest.approx(least_distance(way.way_m, made, 100.0), abs=1e-6)


def test_over_level_ground_it_is_the_height():
    line = Trajectory(T0 + np.arange(4.0) * 100, [(80, 80, 0), (80, 80, 50), (400, 200, 50), (400, 200, 0)])
    terrain, obstacle, unknown = nearest_things(ground_of(bare()), line, flown(line), 120.0)
    assert terrain.distance_m == pytest.approx(50.0, abs=1e-6)
    assert terrain.distance_m <= 50.0
    assert obstacle is None
    assert unknown is None


def test_inside_a_thing_is_no_distance():
    made = bare()
    surface = np.array(made.surface_m)
    surface[20, 20] = 60.0
    made = Columns(made.origin_m, made.cell_m, made.terrain_m, surface, made.unknown)
    line = Trajectory(T0 + np.arange(4.0) * 100, [(84, 164, 0), (84, 164, 50), (400, 164, 50), (400, 164, 0)])
    _, obstacle, _ = nearest_things(ground_of(made), line, flown(line), 120.0)
    assert obstacle.distance_m == 0.0


def test_ground_that_is_not_held_is_an_error():
    made = bare((200, 70))
    tiles = Tiles(made.shape, made.cell_m, 1)
    line = Trajectory(T0 + np.arange(4.0) * 100, [(84, 164, 0), (84, 164, 50), (1000, 164, 50), (1000, 164, 0)])
    with pytest.raises(ValueError, match="not held"):
        nearest_things(tiles.ground, line, flown(line), 120.0)


# --- the way that is flown


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_way_flown_is_found_again_in_its_trajectory(seed):
    rng = np.random.default_rng(seed)
    points, line = flight(rng, int(rng.integers(2, 7)), size=(300.0, 300.0))
    way = flown(line)
    np.testing.assert_allclose(way.way_m, rounded(points, QUAD)[1:-1], atol=1e-9)
    np.testing.assert_allclose(way.turns_m, corner_triangles(points, QUAD), atol=1e-9)
    np.testing.assert_allclose(line.enu_m[way.climb], points[1], atol=1e-9)
    np.testing.assert_allclose(line.enu_m[way.descent], points[-2], atol=1e-9)
    planned = tube_of(points, QUAD)
    assert way.tube.horizontal_m <= planned.horizontal_m + 1e-9
    assert way.tube.vertical_m <= planned.vertical_m + 1e-9
    assert way.bend_m < 1e-9
    assert way.box_m == (*line.enu_m[:, :2].min(axis=0), *line.enu_m[:, :2].max(axis=0))
    # Each part ends where the next begins, and the flight is on it between its two points.
    assert way.parts[0] == 0
    assert way.parts[-1] == len(way.way_m) - 1
    for (first, last), (begin, end) in zip(itertools.pairwise(way.parts), way.pieces, strict=True):
        stretch = line.enu_m[begin : end + 1]
        for place in way.way_m[[first, last]]:
            assert least_to_line(place, stretch) < 1e-6


def least_to_line(place: np.ndarray, points: np.ndarray) -> float:
    away = []
    for a, b in itertools.pairwise(points):
        square = float((b - a) @ (b - a))
        share = min(max(float((place - a) @ (b - a)) / square, 0.0), 1.0) if square else 0.0
        away.append(float(np.linalg.norm(a + share * (b - a) - place)))
    return min(away)


def test_a_rest_is_no_corner_to_cut():
    corner = (200.0, 100.0, 50.0)
    points = [(100, 100, 0), (100, 100, 50), corner, corner, (200, 200, 50), (200, 200, 0)]
    way = flown(Trajectory(T0 + np.arange(6.0) * 60, points))
    assert len(way.turns_m) == 0
    moving = flown(Trajectory(T0 + np.arange(5.0) * 60, [p for n, p in enumerate(points) if n != 3]))
    assert len(moving.turns_m) == 1


def test_a_flight_over_its_pad_alone_leads_nowhere():
    assert flown(Trajectory([T0, T0 + 20, T0 + 60], [(100, 100, 0), (100, 100, 50), (100, 100, 0)])) is None


def test_many_points_on_a_line_make_no_corners():
    share = np.linspace(0.0, 1.0, 300)[:, None]
    level = np.array([(100.0, 100.0, 50.0)]) + share * np.array([(300.0, 120.0, 0.0)])
    points = np.vstack([(100, 100, 0), level, (400, 220, 0)])
    way = flown(Trajectory(T0 + np.arange(len(points)) * 5.0, points))
    assert len(way.turns_m) == 0
    assert way.bend_m < 1e-9


# --- tiles


def test_tiles_hold_what_was_used_last():
    made = bare((64 * 6, 64), 8.0)
    tiles = Tiles(made.shape, made.cell_m, 1, most_bytes=2 * 14 * 64**2)
    assert tiles.side == 64

    def visit(n: int) -> int:
        place = np.array([[(n + 0.5) * 512.0, 256.0, 0.0]])
        missing = tiles.missing(place, 10.0)
        for i, j in missing:
            cut = slice(i * 64, i * 64 + 64), slice(j * 64, j * 64 + 64)
            part = Columns(
                np.array([i, j]) * 512.0, 8.0, *(a[cut] for a in (made.terrain_m, made.surface_m, made.unknown))
            )
            tiles.put((i, j), part, np.zeros((64, 64)), np.full((64, 64), 50.0))
        return len(missing)

    assert [visit(0), visit(1), visit(0), visit(2)] == [1, 1, 0, 1]
    assert tiles.ground.index[:, 0].tolist().count(-1) == 4
    assert visit(0) == 0  # tile 1 made room
    assert visit(1) == 1
    # One question that needs more than may be held is answered all the same.
    across = np.array([[10.0, 256.0, 0.0], [3000.0, 256.0, 0.0]])
    assert len(tiles.missing(across, 10.0)) >= 4


def test_a_tile_of_other_columns_is_refused():
    made = bare((100, 64))
    tiles = Tiles(made.shape, made.cell_m, 1)
    tiles.missing(np.array([[10.0, 10.0, 0.0]]), 1.0)
    with pytest.raises(ValueError, match="begins at"):
        tiles.put((0, 0), made, np.zeros((100, 64)), np.ones((100, 64)))
    with pytest.raises(ValueError, match="above zero"):
        Tiles((0, 5), 1.0, 1)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_free_layers_are_those_of_the_dense_flight_space(factor):
    rng = np.random.default_rng(factor)
    made = columns(rng, (90, 50))
    lowest, highest = heights(made)
    voxel = factor * made.cell_m
    space = flight_space(made, lowest, highest, [], voxel)
    ground = ground_of(made, factor)
    base = round(space.origin_m[2] / voxel)
    n = ground.side // factor
    for i, j in np.ndindex(space.blocked.shape[:2]):
        first, past = ground.layers[ground.index[i // n, j // n], i % n, j % n].tolist()
        levels = base + np.flatnonzero(~space.blocked[i, j])
        assert levels.tolist() == list(range(first, past))
