"""Where a flight leaves the column over its pad."""

import numpy as np
import pytest

from utm.airspace.places import Place, Refusal, column_top, in_flight
from utm.core import FlightSpace

SPACE = np.zeros((4, 4, 6), bool)
SPACE[1, 1, :3] = True  # below 12 m, in one voxel of 4 m


@pytest.mark.parametrize("off", [0.0, 1e-9, -1e-9])
def test_a_pad_on_a_corner_of_voxels_needs_all_of_them_free(off):
    """Degrees and back leave a place a hair to this side or that of a face: the answer must not hang on it."""
    space = FlightSpace(np.zeros(3), 4.0, SPACE)
    top = column_top(space, Place("origin", 8.0 + off, 8.0 + off, 0.5))
    assert top[2] == 14.0
    assert column_top(space, Place("origin", 10.0, 10.0, 0.5))[2] == 6.0
    with pytest.raises(Refusal):
        in_flight(space, Place("waypoints.0", 8.0 + off, 8.0 + off, 6.0))
    assert in_flight(space, Place("waypoints.0", 8.0 + off, 8.0 + off, 14.0))[2] == 14.0
