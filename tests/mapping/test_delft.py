"""A real airborne cloud: whatever the outlier filter thinks of it, no return may vanish from the map."""

import laspy
import numpy as np
import pytest

from tests.mapping.survey_files import write_tif
from tests.repo import shared_data
from utm.errors import SurveyError
from utm.mapping.ingest import build_map


def lowest_ground(x, y, z) -> tuple[np.ndarray, float, float]:
    """A rough terrain model ``[ix, iy]`` of 5 m cells: lowest ground return in each, the lowest of all elsewhere."""
    west, south = np.floor(x.min() / 5) * 5, np.floor(y.min() / 5) * 5
    ix, iy = ((x - west) // 5).astype(int), ((y - south) // 5).astype(int)
    ground = np.full((ix.max() + 1, iy.max() + 1), z.min(), np.float32)
    seen = np.full(ground.shape, np.inf)
    np.minimum.at(seen, (ix, iy), z)
    ground[np.isfinite(seen)] = seen[np.isfinite(seen)].astype(np.float32)
    return ground, west, south


def test_no_roof_of_delft_is_lost(tmp_path):
    file = shared_data("delft") / "ahn3_cropped_1.laz"
    cloud = laspy.read(file)
    x, y, z = (np.asarray(axis, np.float64) for axis in (cloud.x, cloud.y, cloud.z))
    ground = np.asarray(cloud.classification) == 2
    heights, west, south = lowest_ground(x[ground], y[ground], z[ground])
    heights = np.pad(heights, 4, mode="edge")
    dtm = write_tif(tmp_path / "dtm.tif", heights, crs="EPSG:28992", cell=5.0, west=west - 20, south=south - 20)
    with pytest.raises(SurveyError, match="states no coordinate reference system"):
        build_map(file, tmp_path / "map", terrain=dtm)
    # Heights above NAP, a datum that the engine does not know; for this test any name will do
    made = build_map(file, tmp_path / "map", terrain=dtm, crs="EPSG:28992", vertical_datum="AMSL", resolution_m=1)
    counts = made.meta["counts"]
    assert counts["points_read"] == len(z)
    assert counts["points_suspect"] > 0.001 * len(z), "the filter is meant to reject real returns here"
    surface = made.surface_up(x - made.frame.origin_x, y - made.frame.origin_y)
    assert (z > surface).sum() == counts["points_discarded_above"] == 0
