"""Flight space against the rules, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.columns import blocked_voxel
from utm.core import Columns, FlightSpace, KeepOut, flight_space

pytestmark = pytest.mark.nojit


def columns_of(shape, cell=1.0, origin=(100.0, -50.0)):
    ground = np.zeros(shape, np.float32)
    return Columns(origin, cell, ground, ground, np.zeros(shape, bool))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    factor=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    zones=st.integers(0, 3),
)
def test_a_voxel_is_free_exactly_when_every_rule_allows_all_of_it(shape, factor, seed, zones):
    rng = np.random.default_rng(seed)
    columns = columns_of(shape, cell=0.5)
    # Eighths of a metre: limits that coincide with faces of voxels occur often, and are exact.
    lowest = rng.integers(-40, 40, shape) / 8
    highest = rng.integers(0, 80, shape) / 8
    lowest[rng.random(shape) < 0.05] = np.inf
    keep_outs = []
    for _ in range(zones):
        lower = rng.integers(-40, 60, shape) / 8
        upper = lower + rng.integers(0, 20, shape) / 8
        keep_outs.append(KeepOut(rng.random(shape) < 0.3, lower, upper))
    keep_outs.append(KeepOut(rng.random(shape) < 0.05, -np.inf, 1.25))
    cell = factor * 0.5
    space = flight_space(columns, lowest, highest, keep_outs, cell)
    assert space.blocked.shape[:2] == (shape[0] // factor, shape[1] // factor)
    for index in np.ndindex(space.blocked.shape):
        corner = space.to_enu(index)
        assert space.blocked[index] == blocked_voxel(columns, lowest, highest, keep_outs, cell, corner)
    # Nothing that could be used is above or below the grid.
    for layer in (-1, space.blocked.shape[2]):
        for i, j in np.ndindex(space.blocked.shape[:2]):
            assert blocked_voxel(columns, lowest, highest, keep_outs, cell, space.to_enu((i, j, layer)))


def test_layers_of_two_windows_agree():
    one = flight_space(columns_of((4, 4)), np.full((4, 4), 7.3), np.full((4, 4), 40.0), [], 2.0)
    other = flight_space(columns_of((4, 4)), np.full((4, 4), 11.9), np.full((4, 4), 50.0), [], 2.0)
    assert one.origin_m[2] % 2 == other.origin_m[2] % 2 == 0
    assert not one.blocked[:, :, one.voxel((100.5, -49.5, 20.5))[2]].any()


def test_a_keep_out_blocks_its_columns_between_its_limits_only():
    mask = np.zeros((4, 4), bool)
    mask[2, 1] = True
    low, high = np.zeros((4, 4)), np.full((4, 4), 10.0)
    space = flight_space(columns_of((4, 4)), low, high, [KeepOut(mask, 3.0, 5.5)], 1.0)
    assert np.argwhere(space.blocked).tolist() == [[2, 1, 3], [2, 1, 4], [2, 1, 5]]
    coarse = flight_space(columns_of((4, 4)), low, high, [KeepOut(mask, 3.0, 5.5)], 2.0)
    assert np.argwhere(coarse.blocked).tolist() == [[1, 0, 1], [1, 0, 2]]


def test_where_nothing_may_be_used_everything_is_blocked():
    space = flight_space(columns_of((3, 3)), np.full((3, 3), np.inf), np.full((3, 3), 10.0), [], 1.0)
    assert space.blocked.shape == (3, 3, 1)
    assert space.blocked.all()


def test_coordinates():
    space = FlightSpace((100.0, -50.0, 4.0), 2.0, np.zeros((5, 6, 7), bool))
    assert space.voxel((103.0, -44.1, 4.0)).tolist() == [1, 2, 0]
    assert space.centre((1, 2, 0)).tolist() == [103.0, -45.0, 5.0]
    assert space.centre([(0, 0, 0), (4, 5, 6)]).tolist() == [[101.0, -49.0, 5.0], [109.0, -39.0, 17.0]]
    points = np.random.default_rng(0).uniform(-1, 1, (9, 3)) * 100
    np.testing.assert_allclose(space.to_enu(space.to_grid(points)), points, atol=1e-12)
    assert space.contains((100.0, -50.0, 4.0))
    assert not space.contains((110.0, -50.0, 4.0))
    with pytest.raises(ValueError, match="outside the flight space"):
        space.voxel((99.9, -45.0, 5.0))
    with pytest.raises(ValueError, match="outside the flight space"):
        space.voxel((np.nan, -45.0, 5.0))
    with pytest.raises(ValueError, match="read-only"):
        space.blocked[0, 0, 0] = True


@pytest.mark.parametrize(
    ("lowest", "highest", "cell", "words"),
    [
        (np.zeros((3, 4)), np.ones((4, 4)), 1.0, "lowest_m must have the shape"),
        (np.zeros((4, 4)), np.ones((4, 3)), 1.0, "highest_m must have the shape"),
        (np.full((4, 4), np.nan), np.ones((4, 4)), 1.0, "lowest_m must not hold NaN"),
        (np.full((4, 4), -np.inf), np.ones((4, 4)), 1.0, "lowest_m must not hold"),
        (np.zeros((4, 4)), np.full((4, 4), np.inf), 1.0, "highest_m must not hold"),
        (np.zeros((4, 4)), np.full((4, 4), np.nan), 1.0, "highest_m must not hold"),
        (np.zeros((4, 4)), np.ones((4, 4)), 1.5, "multiple"),
        (np.zeros((4, 4)), np.ones((4, 4)), 0.0, "multiple"),
        (np.zeros((4, 4)), np.ones((4, 4)), np.nan, "multiple"),
        (np.zeros((4, 4)), np.ones((4, 4)), 5.0, "do not fit"),
    ],
)
def test_flight_space_of_nonsense_is_refused(lowest, highest, cell, words):
    with pytest.raises(ValueError, match=words):
        flight_space(columns_of((4, 4)), lowest, highest, [], cell)


def test_keep_outs_that_cannot_be():
    mask = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="below its lower"):
        KeepOut(mask, 5.0, 4.0)
    with pytest.raises(ValueError, match="NaN"):
        KeepOut(mask, np.nan, 4.0)
    with pytest.raises(ValueError, match="shape"):
        KeepOut(mask, np.zeros((3, 4)), 4.0)
    with pytest.raises(ValueError, match="shape"):
        KeepOut(mask[0], 0.0, 4.0)
    with pytest.raises(ValueError, match="cover the columns"):
        flight_space(columns_of((3, 4)), np.zeros((3, 4)), np.ones((3, 4)), [KeepOut(mask, 0.0, 4.0)], 1.0)


@pytest.mark.parametrize(
    ("origin", "cell", "blocked"),
    [
        ((0, 0), 1.0, np.zeros((2, 2, 2), bool)),
        ((0, 0, np.inf), 1.0, np.zeros((2, 2, 2), bool)),
        ((0, 0, 0), -1.0, np.zeros((2, 2, 2), bool)),
        ((0, 0, 0), 1.0, np.zeros((2, 2, 2))),
        ((0, 0, 0), 1.0, np.zeros((2, 2), bool)),
    ],
)
def test_flight_spaces_that_cannot_be(origin, cell, blocked):
    with pytest.raises(ValueError, match="must be"):
        FlightSpace(origin, cell, blocked)
