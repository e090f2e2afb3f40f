"""What surveyors accept a map by: no return of theirs lies in air that the map calls free, hardly any was thrown away,
and the air that they saw to be free is still there."""

import laspy
import numpy as np
import pytest

from tests.mapping.survey_files import write_ply
from tests.repo import SAMPLE, shared_data
from utm.mapping import CityMap
from utm.mapping.ingest import build_map
from utm.mapping.ingest.check import check
from utm.mapping.mapfile import Status

#: Air is looked at from the ground to the legal ceiling of 150 m.
CEILING_M = 150.0


def coordinates(*files) -> np.ndarray:
    """All returns (n, 3) of some LAS files, in their CRS."""
    clouds = [laspy.read(file) for file in files]
    return np.concatenate([np.column_stack([cloud.x, cloud.y, cloud.z]) for cloud in clouds]).astype(np.float64)


def air_that_stays(city_map: CityMap, points: np.ndarray) -> tuple[float, float]:
    """Share of the free air that the map leaves: in columns with returns, and in all columns.

    The reference is the cloud itself: in a cell with returns, the air above the highest of them that the map did not
    count as an outlier (so a return alone 180 m up does not take air from the reference, a suspect one does not
    either); in a cell without, all air above the ground.
    """
    columns = city_map.whole()
    cell = city_map.resolution_m
    ix = np.minimum(((points[:, 0] - city_map.frame.origin_x) / cell).astype(int), city_map.size[0] - 1)
    iy = np.minimum(((points[:, 1] - city_map.frame.origin_y) / cell).astype(int), city_map.size[1] - 1)
    terrain = columns.terrain_m.astype(np.float64)
    believed = points[:, 2] <= terrain[ix, iy] + CEILING_M
    top = np.full(city_map.size, -np.inf)
    np.maximum.at(top, (ix[believed], iy[believed]), points[believed, 2])
    seen = np.isfinite(top)
    reference = np.clip(terrain + CEILING_M - np.maximum(top, terrain), 0, CEILING_M)
    left = np.clip(terrain + CEILING_M - columns.surface_m, 0, reference)
    return left[seen].sum() / reference[seen].sum(), left.sum() / reference.sum()


@pytest.fixture(scope="module")
def delft():
    folder = shared_data("delft")
    return [folder / "ahn3_cropped_1.laz", folder / "ahn3_cropped_2.laz"]


NAP = {"crs": "EPSG:28992", "vertical_datum": "NAP"}


def test_delft(delft, tmp_path):
    """The header states no CRS; heights are NAP; the filter rejects real roofs; class 2 is the ground."""
    made = build_map(delft, tmp_path / "map", **NAP)
    report = check(made, delft, **NAP)
    assert (report.points, report.outside, report.in_free) == (848_942, 0, 0)
    assert report.discarded <= 0.005 * report.points
    assert report.suspect > 0.005 * report.points, "the filter is meant to reject real returns here"
    assert made.meta["counts"]["points_suspect"] == report.suspect
    where_seen, everywhere = air_that_stays(made, coordinates(*delft))
    assert where_seen >= 0.95
    assert everywhere >= 0.95


def test_delft_with_a_model_whose_roofs_are_too_low(delft, tmp_path):
    """A LOD1 roof is not an obstacle ceiling: the cloud stays the higher."""
    model = shared_data("delft") / "delft_lod1_LOW_ROOFS.city.json"
    made = build_map([*delft, model], tmp_path / "map", **NAP)
    report = check(made, [*delft, model], **NAP)
    assert report.in_free == report.outside == 0
    alone = build_map(delft, tmp_path / "alone", **NAP)
    points = coordinates(*delft)
    place = points[:, 0] - made.frame.origin_x, points[:, 1] - made.frame.origin_y
    there = points[:, 0] - alone.frame.origin_x, points[:, 1] - alone.frame.origin_y
    known = (alone.status_at(*there) & Status.KNOWN) != 0  # of what was unknown, the model may know better
    assert (made.surface_up(*place)[known] >= alone.surface_up(*there)[known]).all()


def test_waterbury(tmp_path):
    """Photogrammetry in float32: northings step by half a metre, half was never seen, no class is given."""
    points = np.load(shared_data("odm_waterbury") / "patches_waterbury_roads_2.npz")["patches"].reshape(-1, 3)
    cloud = write_ply(tmp_path / "waterbury.ply", points, dtype="f4")
    told = {"crs": "EPSG:32618", "vertical_datum": "WGS84"}
    made = build_map(cloud, tmp_path / "map", **told)
    report = check(made, cloud, **told)
    assert (report.points, report.outside, report.in_free) == (409_600, 0, 0)
    assert report.discarded <= 0.005 * report.points
    where_seen, everywhere = air_that_stays(made, points.astype(np.float64))
    assert where_seen >= 0.95
    assert everywhere >= 0.75, "58 % of the cells were never seen, and block"
    assert made.meta["counts"]["cells_terrain_filtered"] > 0


@pytest.mark.parametrize("held", ["survey_centre.laz", pytest.param("dsm.tif", marks=pytest.mark.slow)])
def test_the_sample(held, tmp_path):
    files = [SAMPLE / "dsm.tif", SAMPLE / "survey_centre.laz"]
    made = build_map(files, tmp_path / "map", terrain=SAMPLE / "dtm.tif", resolution_m=2)
    report = check(made, SAMPLE / held)
    assert report.points > 500_000
    assert report.in_free == report.outside == 0
    assert report.discarded <= 0.005 * report.points
    cloud = coordinates(files[1])
    window = made.window(1200, 750, 1800, 1250)
    assert 0 < window.unknown.mean() < 0.2
    where_seen, _ = air_that_stays(made, cloud)
    assert where_seen >= 0.95
