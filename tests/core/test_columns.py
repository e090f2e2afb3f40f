"""The lowest clear height against its definition, and against sampled distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import columns as oracle
from utm.core import Columns, lowest_clear

pytestmark = pytest.mark.nojit


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    cell=st.sampled_from([0.5, 1.0, 2.0, 3.7]),
    clearance=st.one_of(st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.floats(1e-3, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_definition(shape, cell, clearance, seed):
    surface = np.random.default_rng(seed).uniform(-20, 300, shape).astype(np.float32)
    found, expected = lowest_clear(surface, cell, clearance), oracle.lowest_clear(surface, cell, clearance)
    assert found.dtype == np.float32
    known = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), known)
    assert (found[known] >= expected[known] - 1e-9).all()  # rounded upwards
    np.testing.assert_allclose(found[known], expected[known], rtol=0, atol=5e-5)


def test_every_sampled_point_is_clear():
    """Points of free columns against points of the solid ones, by brute force."""
    rng = np.random.default_rng(2)
    surface = rng.uniform(0, 12, (11, 11)).astype(np.float32)
    cell, clearance = 2.0, 5.0
    lowest = lowest_clear(surface, cell, clearance)
    solid_cell = rng.integers(0, 11, (50_000, 2))
    solid = np.column_stack([(solid_cell + rng.random((50_000, 2))) * cell, surface[tuple(solid_cell.T)]])
    tightest = np.inf
    for i, j in np.argwhere(np.isfinite(lowest)):
        for east, north in [(i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1), (i + 0.5, j + 0.5)]:
            tightest = min(tightest, np.linalg.norm(solid - [east * cell, north * cell, lowest[i, j]], axis=1).min())
    assert clearance - 1e-6 <= tightest < clearance + 0.2


def test_flat_ground_is_exact_and_the_border_is_not_known():
    lowest = lowest_clear(np.full((40, 50), 12.5, np.float32), 1.0, 6.0)
    assert (lowest[6:-6, 6:-6] == np.float32(18.5)).all()
    assert np.isinf(lowest).sum() == 40 * 50 - 28 * 38


def test_a_window_too_small_for_the_clearance_is_nowhere_usable():
    assert np.isinf(lowest_clear(np.zeros((5, 80), np.float32), 2.0, 30.0)).all()


def test_rounding_goes_upwards():
    surface = np.full((9, 9), 0.1, np.float32)
    expected = float(np.float32(0.1)) + 0.7
    assert float(lowest_clear(surface, 1.0, 0.7)[4, 4]) >= expected


def make(**changes):
    values = {
        "origin_m": (0.0, 0.0),
        "cell_m": 1.0,
        "terrain_m": np.zeros((3, 4), np.float32),
        "surface_m": np.ones((3, 4), np.float32),
        "unknown": np.zeros((3, 4), bool),
    }
    return Columns(**(values | changes))


def test_columns_are_frozen_copies():
    surface = np.ones((3, 4), np.float32)
    columns = make(surface_m=surface)
    surface[0, 0] = 99
    assert columns.surface_m[0, 0] == 1
    assert columns.shape == (3, 4)
    with pytest.raises(ValueError, match="read-only"):
        columns.surface_m[0, 0] = 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origin_m": (0.0, np.nan)}, "origin_m"),
        ({"origin_m": (0.0, 0.0, 0.0)}, "origin_m"),
        ({"cell_m": 0.0}, "cell_m"),
        ({"cell_m": np.inf}, "cell_m"),
        ({"terrain_m": np.zeros((3, 3), np.float32)}, "one shape"),
        ({"terrain_m": np.zeros(3, np.float32)}, "terrain_m"),
        ({"surface_m": np.full((3, 4), np.nan, np.float32)}, "surface_m must be finite"),
        ({"surface_m": np.full((3, 4), np.inf, np.float32)}, "surface_m must be finite"),
        ({"surface_m": np.full((3, 4), -1, np.float32)}, r"below the terrain in column \(0, 0\)"),
        ({"unknown": np.zeros((4, 3), bool)}, "one shape"),
    ],
)
def test_columns_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=words):
        make(**changes)


@pytest.mark.parametrize(
    ("surface", "cell", "clearance"),
    [
        ([[np.nan]], 1.0, 1.0),
        ([[np.inf]], 1.0, 1.0),
        ([1.0], 1.0, 1.0),
        ([[1.0]], 0.0, 1.0),
        ([[1.0]], np.nan, 1.0),
        ([[1.0]], 1.0, 0.0),
        ([[1.0]], 1.0, -1.0),
        ([[1.0]], 1.0, np.nan),
    ],
)
def test_clearance_of_nonsense_is_refused(surface, cell, clearance):
    with pytest.raises(ValueError, match="must"):
        lowest_clear(surface, cell, clearance)
