import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.mapping import oracles
from utm.mapping.ingest import binning

HEIGHTS = st.floats(-50, 500, width=32)
FEW = settings(max_examples=60, deadline=None)


@pytest.mark.nojit
@FEW
@given(hnp.arrays(np.float64, 20, elements=st.floats(-1e4, 1e4)))
def test_rounding_never_hides_a_height(exact):
    up, down = binning.rounded_up(exact), binning.rounded_down(exact)
    assert up.dtype == down.dtype == np.float32
    assert (up.astype(np.float64) >= exact).all()
    assert (down.astype(np.float64) <= exact).all()
    assert (up.astype(np.float64) - down <= 2 * np.spacing(np.abs(exact).astype(np.float32)) + 1e-44).all()


@pytest.mark.nojit
def test_rounding_keeps_what_float32_holds():
    exact = np.array([0.0, -0.125, 12.375, 119.0])
    assert (binning.rounded_up(exact) == exact).all()
    assert (binning.rounded_down(exact) == exact).all()


@pytest.mark.nojit
@FEW
@given(
    values=hnp.arrays(np.float32, (4, 5), elements=HEIGHTS),
    valid=hnp.arrays(bool, (4, 5)),
    step=st.sampled_from([0.5, 1.0, 1.7, 2.0, 3.0, 5.0]),
    cell=st.sampled_from([1.0, 2.0, 2.5]),
    start=st.tuples(st.integers(-16, 16), st.integers(-16, 16)),
)
def test_raster_cells_reach_every_map_cell_they_touch(values, valid, step, cell, start):
    start_x, start_y = start[0] / 4, start[1] / 4
    shape = (6, 7)
    highest, lowest = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    slow_highest, slow_lowest = highest.copy(), lowest.copy()
    x_spans = binning.spans(start_x, step, 5, cell, shape[0])
    y_spans = binning.spans(start_y, step, 4, cell, shape[1])
    binning.bin_raster(values, valid, x_spans, y_spans, highest, lowest)
    oracles.bin_raster(values, valid, start_x, start_y, step, cell, slow_highest, slow_lowest)
    np.testing.assert_array_equal(highest, slow_highest)
    np.testing.assert_array_equal(lowest, slow_lowest)


@pytest.mark.nojit
def test_bounds_rounded_in_a_file_do_not_smear_over_one_more_cell():
    assert binning.spans(1e-8, 2.0, 3, 2.0, 10).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert binning.spans(-1e-8, 2.0, 3, 2.0, 10).tolist() == [[0, 1], [1, 2], [2, 3]]
