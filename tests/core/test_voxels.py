import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import voxelise

pytestmark = pytest.mark.nojit

EIGHTHS = st.integers(-40, 200).map(lambda n: n / 8)


def naive(surface, runs, origin, column, ratio, levels):
    """Every voxel against every run of every column of its square, as sets of heights."""
    nx, ny = surface.shape
    solids = {(i, j): [(-np.inf, surface[i, j])] for i in range(nx) for j in range(ny)}
    for i, j in {(i, j) for i, j, _, _ in runs}:
        solids[i, j] = [(low, high) for x, y, low, high in runs if (x, y) == (i, j)]
    cell = column * ratio
    blocked = np.zeros((-(-nx // ratio), -(-ny // ratio), levels), bool)
    for vx, vy, k in np.ndindex(blocked.shape):
        bottom, top = origin[2] + k * cell, origin[2] + (k + 1) * cell
        for i in range(vx * ratio, (vx + 1) * ratio):
            for j in range(vy * ratio, (vy + 1) * ratio):
                here = solids.get((i, j), [(-np.inf, np.inf)])  # off the columns: not known
                blocked[vx, vy, k] |= any(low <= top and high >= bottom for low, high in here)
    return blocked


@st.composite
def columns(draw):
    nx, ny = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    surface = np.array(draw(st.lists(EIGHTHS, min_size=nx * ny, max_size=nx * ny)), np.float32).reshape(nx, ny)
    runs = []
    for i in range(nx):
        for j in range(ny):
            if draw(st.integers(0, 3)) == 0:
                ends = sorted(draw(st.lists(EIGHTHS, min_size=1, max_size=5)))
                runs.append((i, j, -np.inf, ends[0]))
                runs += [(i, j, low, high) for low, high in zip(ends[1::2], ends[2::2], strict=False)]
                surface[i, j] = max(high for x, y, _, high in runs if (x, y) == (i, j))
    return surface, runs


@settings(max_examples=150, deadline=None)
@given(
    columns(), st.sampled_from([0.5, 1.0, 2.0, 0.3]), st.integers(1, 3), st.sampled_from([-3.0, 0.0, 4.125, 0.1]),
    st.integers(1, 12),
)  # fmt: skip
def test_a_voxel_is_blocked_when_anything_solid_touches_it(city, column, ratio, low, levels):
    surface, runs = city
    table = [np.array([run[n] for run in runs]) for n in range(4)] if runs else [np.empty(0)] * 4
    table = [*(part.astype(int) for part in table[:2]), *table[2:]]
    origin = (10.0, 20.0, low)
    made = voxelise(surface, tuple(table), origin_m=origin, column_m=column, columns_per_voxel=ratio, levels=levels)
    np.testing.assert_array_equal(made.blocked, naive(surface, runs, origin, column, ratio, levels))
    np.testing.assert_array_equal(made.origin_m, origin)
    assert made.cell_m == column * ratio


NO_RUNS = ([], [], [], [])


@pytest.mark.parametrize(
    ("surface", "runs", "more"),
    [
        (np.zeros(3), NO_RUNS, {}),
        (np.full((2, 2), np.nan), NO_RUNS, {}),
        (np.zeros((2, 2)), ([2], [0], [0.0], [1.0]), {}),
        (np.zeros((2, 2)), ([-1], [0], [0.0], [1.0]), {}),
        (np.zeros((2, 2)), ([0], [0], [2.0], [1.0]), {}),
        (np.zeros((2, 2)), ([0], [0], [np.nan], [1.0]), {}),
        (np.zeros((2, 2)), ([0], [0], [0.0], [np.inf]), {}),
        (np.zeros((2, 2)), ([0], [0, 1], [0.0], [1.0]), {}),
        (np.zeros((2, 2)), NO_RUNS, {"column_m": 0.0}),
        (np.zeros((2, 2)), NO_RUNS, {"origin_m": (0, 0, np.inf)}),
        (np.zeros((2, 2)), NO_RUNS, {"levels": 0}),
        (np.zeros((2, 2)), NO_RUNS, {"columns_per_voxel": 0}),
    ],
)
def test_what_cannot_be_voxels(surface, runs, more):
    given_ = {"origin_m": (0, 0, 0), "column_m": 1.0, "columns_per_voxel": 1, "levels": 2} | more
    with pytest.raises(ValueError, match=r"must|needs|outside"):
        voxelise(surface, runs, **given_)
