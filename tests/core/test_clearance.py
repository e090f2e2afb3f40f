"""Clearance of finished paths, against walking along them in small steps."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import Columns, height_profile, least_distance, lowest_clear

pytestmark = pytest.mark.nojit

CELL_M = 2.0
ORIGIN_M = (100.0, -50.0)


def columns(surface) -> Columns:
    surface = np.asarray(surface, np.float32)
    return Columns(np.array(ORIGIN_M), CELL_M, np.zeros_like(surface), surface, np.zeros(surface.shape, bool))


def town(rng: np.random.Generator, shape=(24, 20)) -> Columns:
    return columns(rng.choice([0.0, 3.0, 12.0, 30.0], shape, p=[0.7, 0.15, 0.1, 0.05]))


def walked(points, ground: Columns, step_m: float = 0.05) -> float:
    """Least distance to any column's box, by standing still every few centimetres."""
    nx, ny = ground.surface_m.shape
    east = ground.origin_m[0] + np.arange(nx)[:, None] * CELL_M
    north = ground.origin_m[1] + np.arange(ny)[None, :] * CELL_M
    least = math.inf
    for a, b in itertools.pairwise(np.asarray(points, float)):
        for share in np.linspace(0, 1, max(2, int(np.linalg.norm(b - a) / step_m))):
            e, n, u = a + share * (b - a)
            de = np.maximum(np.maximum(east - e, e - east - CELL_M), 0)
            dn = np.maximum(np.maximum(north - n, n - north - CELL_M), 0)
            least = min(least, float(np.sqrt(de**2 + dn**2 + np.maximum(u - ground.surface_m, 0) ** 2).min()))
    return least


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_least_distance_agrees_with_walking(seed):
    rng = np.random.default_rng(seed)
    ground = town(rng)
    points = np.column_stack([rng.uniform(105, 143, 3), rng.uniform(-45, -15, 3), rng.uniform(5, 60, 3)])
    found, seen = least_distance(points, ground, 100.0), walked(points, ground)
    assert found <= seen + 1e-6  # walking can only miss the nearest moment
    assert seen - 0.05 <= found


def test_a_path_through_a_house_is_at_no_distance():
    surface = np.zeros((10, 10))
    surface[5, 5] = 20.0
    points = [(101, -39, 10), (119, -39, 10)]
    assert least_distance(points, columns(surface), 50.0) == pytest.approx(0.0, abs=1e-6)


def test_nothing_near_is_the_limit():
    assert least_distance([(105, -45, 90), (110, -40, 90)], columns(np.zeros((10, 10))), 50.0) == 50.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_two_ways_to_clearance_agree(seed):
    """A path at the lowest clear height of every column that it crosses keeps that clearance, by the other means."""
    rng = np.random.default_rng(seed)
    ground = town(rng, (40, 40))
    clearance = 9.0
    lowest = lowest_clear(ground.surface_m, CELL_M, clearance)
    ends = np.column_stack([rng.uniform(115, 165, 2), rng.uniform(-35, 15, 2), np.zeros(2)])
    under = height_profile(ends, ground)
    middle = (under.start_m + under.end_m) / 2
    direction = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    places = ends[0] + np.outer(middle, direction)
    ix, iy = ((places[:, :2] - ORIGIN_M) / CELL_M).astype(int).T
    points = ends.copy()
    points[:, 2] = lowest[ix, iy].max()
    assert least_distance(points, ground, 50.0) >= clearance - 1e-6


def test_the_profile_is_cut_where_columns_change():
    surface = np.zeros((10, 10))
    surface[3, 5] = 7.0
    found = height_profile(np.array([(103.0, -39.5, 10.0), (111.0, -39.5, 18.0)]), columns(surface))
    np.testing.assert_allclose(found.start_m, [0, 1, 3, 5, 7])
    np.testing.assert_allclose(found.end_m, [1, 3, 5, 7, 8])
    np.testing.assert_allclose(found.surface_m, [0, 0, 7, 0, 0])
    np.testing.assert_allclose(found.low_m, [10, 11, 13, 15, 17])
    np.testing.assert_allclose(found.high_m, [11, 13, 15, 17, 18])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_profile_agrees_with_looking_down(seed):
    rng = np.random.default_rng(seed)
    ground = town(rng)
    points = np.column_stack([rng.uniform(101, 147, 3), rng.uniform(-49, -11, 3), rng.uniform(5, 60, 3)])
    found = height_profile(points, ground)
    assert (found.end_m >= found.start_m).all()
    lengths = np.hypot(*np.diff(points[:, :2], axis=0).T)
    assert found.end_m[-1] == pytest.approx(lengths.sum())
    for distance in rng.uniform(0, lengths.sum(), 20):
        piece = int(np.searchsorted(found.end_m, distance))
        leg = int(distance > lengths[0])
        share = (distance - leg * lengths[0]) / lengths[leg]
        e, n, u = points[leg] + share * (points[leg + 1] - points[leg])
        i, j = int((e - ORIGIN_M[0]) // CELL_M), int((n - ORIGIN_M[1]) // CELL_M)
        edge = min(abs(distance - found.start_m[piece]), abs(distance - found.end_m[piece]))
        if edge > 1e-6:
            assert found.surface_m[piece] == ground.surface_m[i, j]
            assert found.low_m[piece] - 1e-9 <= u <= found.high_m[piece] + 1e-9


def test_off_the_columns_is_an_error():
    with pytest.raises(ValueError, match="does not lie over the columns"):
        height_profile(np.array([(103.0, -39.5, 10.0), (200.0, -39.5, 18.0)]), columns(np.zeros((10, 10))))
