"""Open ground and room for straight ways, against loops that look at every column, and at every point of a triangle."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import Columns, KeepOut
from utm.core.waysout import open_ground, triangle_clear, triangle_kept_out

CELL_M = 4.0


def ground(seed: int, shape=(14, 11)) -> Columns:
    """Bumpy ground with things on it and a few columns that nobody saw."""
    random = np.random.default_rng(seed)
    terrain = np.cumsum(random.choice([0.0, 0.0, 0.0, 0.3], shape), axis=0)
    surface = terrain + random.choice([0.0, 0.0, 0.0, 0.2, 0.6, 9.0], shape, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
    return Columns(np.array([100.0, -40.0]), CELL_M, terrain, surface, random.random(shape) < 0.03)


def open_by_looking(columns: Columns, radius_m: float, rough_m: float, cover_m: float) -> np.ndarray:
    nx, ny = columns.shape
    found = np.zeros((nx, ny), bool)
    steps = math.ceil(radius_m / columns.cell_m) + 1
    for i, j in np.ndindex(nx, ny):
        near = []
        for a, b in itertools.product(range(-steps, steps + 1), repeat=2):
            east, north = (max(abs(n) - 0.5, 0.0) * columns.cell_m for n in (a, b))
            if math.hypot(east, north) <= radius_m:
                near.append((i + a, j + b))
        if all(0 <= a < nx and 0 <= b < ny for a, b in near):
            tops = [float(columns.surface_m[at]) for at in near]
            bare = all(not columns.unknown[at] for at in near) and all(
                float(columns.surface_m[at] - columns.terrain_m[at]) < cover_m for at in near
            )
            found[i, j] = bare and max(tops) - min(tops) <= rough_m
    return found


@pytest.mark.nojit
@pytest.mark.parametrize("radius_m", [1.0, 6.0, 9.0])
def test_open_ground_is_what_looking_finds(radius_m):
    found = 0
    for seed in range(6):
        columns = ground(seed)
        expected = open_by_looking(columns, radius_m, 1.0, 0.5)
        np.testing.assert_array_equal(open_ground(columns, radius_m, 1.0, 0.5), expected)
        found += int(expected.sum())
    assert found > 0


@pytest.mark.parametrize("name", ["radius_m", "rough_m", "cover_m"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_open_ground_asks_for_lengths(name, value):
    figures = {"radius_m": 6.0, "rough_m": 1.0, "cover_m": 0.5} | {name: value}
    with pytest.raises(ValueError, match=name):
        open_ground(ground(0), **figures)


def points_in(triangle: np.ndarray, count: int = 60) -> np.ndarray:
    """(n, 2) points of a triangle, its corners and edges among them."""
    shares = np.array([(a, b) for a in range(count + 1) for b in range(count + 1 - a)]) / count
    return triangle[0] + shares @ (triangle[1:] - triangle[0])


corner = st.tuples(st.floats(101.0, 155.0), st.floats(-39.0, 3.0))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.lists(corner, min_size=3, max_size=3), st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_a_clear_triangle_is_clear_at_every_point(seed, corners, one, other):
    columns, random = ground(3), np.random.default_rng(seed)
    lowest = random.choice(np.array([0.0, 0.0, 0.0, 20.0], np.float32), columns.shape, p=[0.5, 0.3, 0.19, 0.01])
    highest = np.full(columns.shape, 25.0)
    low, high = sorted((one, other))
    triangle = np.array(corners)
    i, j = np.floor((points_in(triangle) - columns.origin_m) / CELL_M).astype(int).T
    by_points = bool((lowest[i, j] <= low).all() and (highest[i, j] >= high).all())
    clear = triangle_clear(columns, lowest, highest, triangle, low, high)
    assert not clear or by_points
    # And it is not called blocked without a reason: every blocked column is farther than a point's spacing away.
    if by_points and not clear:
        from shapely import Polygon, box

        shape = Polygon(triangle).buffer(1e-6)
        wrong = np.argwhere((lowest > low) | (highest < high))
        corners_m = columns.origin_m + wrong * CELL_M
        assert any(shape.intersects(box(e, n, e + CELL_M, n + CELL_M)) for e, n in corners_m)


@pytest.mark.nojit
def test_a_triangle_may_be_a_line_or_a_point():
    columns = ground(0)
    lowest, highest = np.zeros(columns.shape, np.float32), np.full(columns.shape, 50.0)
    lowest[5, 5] = 40.0
    middle = columns.origin_m + 5.5 * CELL_M
    point = np.stack([middle] * 3)
    beside = point + (CELL_M, 0.0)
    assert not triangle_clear(columns, lowest, highest, point, 30.0, 30.0)
    assert triangle_clear(columns, lowest, highest, point, 40.0, 50.0)
    assert triangle_clear(columns, lowest, highest, beside, 30.0, 30.0)
    line = np.stack([middle - (CELL_M, CELL_M), middle + (CELL_M, CELL_M), middle + (CELL_M, CELL_M)])
    assert not triangle_clear(columns, lowest, highest, line, 30.0, 30.0)
    assert triangle_clear(columns, lowest, highest, line + (2 * CELL_M, 0.0), 30.0, 30.0)
    assert not triangle_clear(columns, lowest, highest, beside, 30.0, 51.0)  # above the highest
    assert not triangle_clear(columns, lowest, highest, point - 100.0, 30.0, 30.0)  # beside the map


@pytest.mark.nojit
def test_a_keep_out_takes_its_columns_between_its_limits():
    columns = ground(0)
    mask = np.zeros(columns.shape, bool)
    mask[4:7, 3:6] = True
    out = KeepOut(mask, 20.0, 40.0)
    middle = columns.origin_m + np.array([5.5, 4.5]) * CELL_M
    across = np.array([middle - (30.0, 0.0), middle + (30.0, 0.0), middle + (30.0, 1.0)])
    assert triangle_kept_out(columns, out, across, 30.0, 30.0)
    assert triangle_kept_out(columns, out, across, 0.0, 20.0)
    assert not triangle_kept_out(columns, out, across, 0.0, 19.9)
    assert not triangle_kept_out(columns, out, across, 40.1, 90.0)
    assert not triangle_kept_out(columns, out, across + (0.0, 3 * CELL_M), 30.0, 30.0)
    assert not triangle_kept_out(columns, out, across + (500.0, 0.0), 30.0, 30.0)
    with pytest.raises(ValueError, match="must cover"):
        triangle_kept_out(columns, KeepOut(mask[1:], 0.0, 1.0), across, 0.0, 1.0)
    with pytest.raises(ValueError, match="triangle"):
        triangle_clear(columns, np.zeros(columns.shape, np.float32), np.zeros(columns.shape), across[:2], 0.0, 1.0)
