from __future__ import annotations

from fractions import Fraction

import edt
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.oracles import field as oracle
from utm.core.field import MOST_VOXELS, clearance_field, distances, halo_cells, squared_gaps


def lone(shape, *voxels):
    blocked = np.zeros(shape, bool)
    for voxel in voxels:
        blocked[voxel] = True
    return blocked


def test_distances_are_from_box_to_box():
    field = clearance_field(lone((41, 41, 41), (20, 20, 20)), 2.0, 100.0)
    assert field[20, 20, 20] == 0
    assert field[21, 19, 20] == 0  # they touch
    assert field[22, 20, 20] == 2.0
    assert field[24, 23, 20] == pytest.approx(2 * np.hypot(3, 2))
    assert field[24, 23, 26] == pytest.approx(2 * np.sqrt(9 + 4 + 25))


@given(
    arrays.arrays(bool, st.tuples(*[st.integers(1, 7)] * 3), elements=st.sampled_from([False] * 9 + [True])),
    st.sampled_from([0.3, 1.0, 2.0, 4.0]),
    st.sampled_from([0.7, 3.0, 30.0]),
)
@settings(max_examples=60, deadline=None)
def test_equals_every_voxel_against_every_other(blocked, cell_m, limit_m):
    field = clearance_field(blocked, cell_m, limit_m)
    assert field.dtype == np.float32
    assert field.shape == blocked.shape
    np.testing.assert_allclose(field, oracle.clearance(blocked, cell_m, limit_m), rtol=2e-7, atol=0)


@pytest.mark.parametrize("shape", [(40, 25, 14), (25, 14, 40), (14, 40, 25)])
def test_axes_are_not_mixed_up_in_larger_arrays(shape):
    blocked = np.random.default_rng(1).random(shape) < 0.002
    np.testing.assert_allclose(
        clearance_field(blocked, 2.0, 31.0), oracle.clearance(blocked, 2.0, 31.0), rtol=2e-7, atol=0
    )
    asked_otherwise = clearance_field(np.asfortranarray(blocked), 2.0, 31.0)
    np.testing.assert_array_equal(asked_otherwise, clearance_field(blocked, 2.0, 31.0))


@given(st.floats(0.1, 10), st.floats(0.5, 60))
@settings(max_examples=20, deadline=None)
def test_float32_is_never_above_the_exact_distance(cell_m, limit_m):
    assume(limit_m / cell_m < 40)
    squared = np.arange(int((limit_m / cell_m) ** 2) + 1, dtype=np.uint16)
    for q, metres in zip(squared.tolist(), distances(squared, cell_m, limit_m), strict=True):
        exact = min(q * Fraction(cell_m) ** 2, Fraction(limit_m) ** 2)
        assert Fraction(float(metres)) ** 2 <= exact
        assert Fraction(float(np.nextafter(metres, np.float32(np.inf)))) ** 2 > exact


def test_a_round_clearance_is_met_exactly():
    # 30 m at 2 m voxels is 15 of them; a float that fell to 29.999998 would cost a layer everywhere.
    field = clearance_field(lone((40, 40, 40), (20, 20, 3)), 2.0, 33.0, halo=((19, 20), (19, 20), (0, 0)))
    assert field[0, 0, 19] == 30.0
    assert clearance_field(np.zeros((99, 99, 99), bool), 2.0, 33.0)[49, 49, 49] == 33.0


def test_outside_is_unknown_and_counts_as_blocked():
    field = clearance_field(np.zeros((9, 20, 20), bool), 1.0, 6.0)
    np.testing.assert_array_equal(field[:, 10, 10], [0, 1, 2, 3, 4, 3, 2, 1, 0])
    assert field.max() == 4.0


@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0]), st.sampled_from([3.0, 4.5]))
@settings(max_examples=40, deadline=None)
def test_windows_with_a_halo_agree_bit_for_bit(seed, cell_m, limit_m):
    rng = np.random.default_rng(seed)
    whole = rng.random((30, 28, 26)) < 0.004
    reach = halo_cells(cell_m, limit_m)
    halo = ((reach, reach),) * 3
    large = clearance_field(whole, cell_m, limit_m, halo=halo)
    low = rng.integers(0, 6, 3)
    high = np.array(whole.shape) - rng.integers(0, 6, 3)
    part = whole[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    small = clearance_field(part, cell_m, limit_m, halo=halo)
    cut = tuple(slice(a, a + n) for a, n in zip(low, small.shape, strict=True))
    np.testing.assert_array_equal(small, large[cut])


def test_a_halo_is_trimmed_and_bears_on_the_result():
    blocked = lone((20, 20, 20), (2, 10, 10))
    trimmed = clearance_field(blocked, 1.0, 5.0, halo=((5, 5), (6, 4), (0, 7)))
    np.testing.assert_array_equal(trimmed, clearance_field(blocked, 1.0, 5.0)[5:15, 6:16, 0:13])
    assert trimmed[0, 4, 10] == 2.0


def test_the_library_is_exact_along_the_longest_axis():
    # What the bound on the length of an axis rests on: parabolas that cross near a voxel are told apart in float32.
    rng = np.random.default_rng(4)
    places = np.argwhere(np.ones((MOST_VOXELS, 3, 1), bool))
    for _ in range(10):
        blocked = places[rng.choice(len(places), 5, replace=False)]
        open_air = np.ones((MOST_VOXELS, 3, 1), np.uint8)
        open_air[tuple(blocked.T)] = 0
        exact = ((places[:, None] - blocked) ** 2).sum(axis=2).min(axis=1)
        np.testing.assert_array_equal(edt.edtsq(open_air, black_border=False, parallel=1).ravel(), exact)


def test_squared_gaps_are_whole_numbers_that_make_the_field():
    blocked = np.random.default_rng(7).random((20, 21, 22)) < 0.005
    squared = squared_gaps(blocked, 2.0, 32.0)
    assert squared.dtype == np.uint16
    np.testing.assert_array_equal(distances(squared, 2.0, 32.0), clearance_field(blocked, 2.0, 32.0))


def test_the_input_is_left_as_it_is():
    blocked = lone((5, 5, 5), (2, 2, 2))
    blocked.setflags(write=False)
    clearance_field(blocked, 1.0, 2.0)
    assert blocked.sum() == 1


@pytest.mark.parametrize(
    ("blocked", "cell_m", "limit_m", "halo", "message"),
    [
        (np.zeros((3, 3), bool), 1.0, 1.0, None, "boolean array"),
        (np.zeros((3, 3, 3), np.uint8), 1.0, 1.0, None, "boolean array"),
        (np.zeros((3, 3, 3), bool), 0.0, 1.0, None, "cell_m"),
        (np.zeros((3, 3, 3), bool), 1.0, float("nan"), None, "limit_m"),
        (np.zeros((3, 3, 3), bool), 0.01, 1000.0, None, "too far"),
        (np.zeros((3, 3, 3), bool), 1.0, 1.0, ((2, 1), (0, 0), (0, 0)), "leaves nothing"),
        (np.zeros((3, 3, 3), bool), 1.0, 1.0, ((-1, 0), (0, 0), (0, 0)), "leaves nothing"),
        (np.zeros((MOST_VOXELS + 1, 1, 1), bool), 1.0, 1.0, None, "no axis"),
    ],
)
def test_what_cannot_be_used_is_refused(blocked, cell_m, limit_m, halo, message):
    with pytest.raises(ValueError, match=message):
        clearance_field(blocked, cell_m, limit_m, **({"halo": halo} if halo else {}))
