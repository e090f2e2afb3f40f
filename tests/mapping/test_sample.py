"""The sample survey: what the README of ``data/sample_dsm`` promises, on the committed files and on other seeds."""

import hashlib
import importlib.util
import json
import sys

import laspy
import numpy as np
import pytest
import rasterio
import shapely

from tests.repo import SAMPLE
from utm.mapping.ingest import build_map
from utm.mapping.mapfile import Status

PADS = {"hospital", "station", "culture-hall", "depot", "waterworks", "school-gate"}


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("sample_generator", SAMPLE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def features(folder, name) -> list[dict]:
    return json.loads((folder / name).read_text(encoding="utf-8"))["features"]


@pytest.fixture(scope="module")
def sample_map(tmp_path_factory):
    return build_map(
        [SAMPLE / "dsm.tif", SAMPLE / "survey_centre.laz"],
        tmp_path_factory.mktemp("sample") / "map",
        terrain=SAMPLE / "dtm.tif",
        resolution_m=2,
    )


def check_geometry(folder, frame) -> None:
    """What the demo's three flights rest on; see the README of the sample."""

    def metres(coordinates):
        lon, lat = np.array(coordinates, np.float64).T
        return np.column_stack(frame.to_map(lon, lat))

    pads = {
        f["properties"]["id"]: metres([f["geometry"]["coordinates"]])[0] for f in features(folder, "vertiports.geojson")
    }
    zones = {
        f["properties"]["id"]: (
            f["properties"]["restriction"],
            shapely.Polygon(metres(f["geometry"]["coordinates"][0])),
        )
        for f in features(folder, "zones.geojson")
    }
    assert set(pads) == PADS
    assert np.hypot(*(pads["station"] - pads["culture-hall"])) == pytest.approx(3000, abs=2)
    assert 2500 < np.hypot(*(pads["hospital"] - pads["culture-hall"])) < 3300
    prohibited = {name: outline for name, (restriction, outline) in zones.items() if restriction == "PROHIBITED"}
    assert set(prohibited) == {"school", "heliport"}
    for name, place in pads.items():
        here = shapely.Point(place)
        assert prohibited["school"].contains(here) == (name == "school-gate")
        assert all(z.distance(here) > 60 for z in prohibited.values()) or name == "school-gate"
    medicine = shapely.LineString([pads["hospital"], pads["culture-hall"]])
    inspection = shapely.LineString([pads["depot"], pads["waterworks"]])
    crossing = medicine.intersection(inspection)
    assert 0.4 < medicine.project(crossing) / medicine.length < 0.6
    assert 0.4 < inspection.project(crossing) / inspection.length < 0.6
    assert medicine.intersects(prohibited["heliport"])
    assert all(not inspection.buffer(60).intersects(z) for z in prohibited.values())


def test_the_committed_sample_holds_what_the_flights_need(sample_map):
    check_geometry(SAMPLE, sample_map.frame)


def test_the_committed_sample_is_small(sample_map):
    total = sum(p.stat().st_size for p in SAMPLE.iterdir() if p.suffix in (".tif", ".laz", ".geojson"))
    assert total < 8e6


def test_pads_are_flat_clear_and_as_high_as_they_say(sample_map):
    for feature in features(SAMPLE, "vertiports.geojson"):
        assert feature["properties"]["datum"] == sample_map.frame.vertical
        east, north = (float(v) for v in sample_map.frame.to_map(*feature["geometry"]["coordinates"]))
        around = sample_map.window(east - 10, north - 10, east + 10, north + 10)
        assert (around.surface_m == feature["properties"]["height_m"]).all()
        assert not around.unknown.any()


def test_the_map_of_the_sample_is_whole_and_wary(sample_map):
    columns = sample_map.whole()
    counts = sample_map.meta["counts"]
    assert (columns.surface_m >= columns.terrain_m).all()
    assert 0 < columns.unknown.mean() < 0.05
    assert counts["points_discarded_above"] > 100
    assert counts["points_suspect"] > 1000
    assert (columns.surface_m - columns.terrain_m).max() < 110, "nothing in the sky was taken for a building"
    assert (sample_map.layer("status", 0, 0, *sample_map.size) & Status.SUSPECT).any()


def test_no_return_of_the_cloud_that_was_kept_lies_above_the_surface(sample_map):
    stored = laspy.read(SAMPLE / "survey_centre.laz")
    east, north = np.asarray(stored.x) - sample_map.frame.origin_x, np.asarray(stored.y) - sample_map.frame.origin_y
    above = np.asarray(stored.z) > sample_map.surface_up(east, north)
    assert above.sum() == sample_map.meta["counts"]["points_discarded_above"]


def test_no_cell_of_the_surface_model_lies_above_the_surface(sample_map):
    with rasterio.open(SAMPLE / "dsm.tif") as raster:
        dsm = raster.read(1, masked=True)[::-1].T.filled(-np.inf)
    blocks = dsm.reshape(sample_map.size[0], 2, sample_map.size[1], 2).max(axis=(1, 3))
    assert (blocks <= sample_map.whole().surface_m).all()


def test_the_sample_is_what_the_generator_makes(generator, tmp_path):
    generator.generate(7, tmp_path)
    for name in ("dsm.tif", "dtm.tif"):
        with rasterio.open(tmp_path / name) as made, rasterio.open(SAMPLE / name) as kept:
            assert made.crs == kept.crs
            assert made.transform == kept.transform
            # Equal, but for a rounding that another machine's library may put on the other side of a step
            assert (made.read(1) == kept.read(1)).mean() > 0.9999
    with laspy.open(tmp_path / "survey_centre.laz") as made, laspy.open(SAMPLE / "survey_centre.laz") as kept:
        assert abs(made.header.point_count - kept.header.point_count) < 100
        assert made.header.creation_date == kept.header.creation_date
    for name in ("zones.geojson", "vertiports.geojson"):
        assert (tmp_path / name).read_text() == (SAMPLE / name).read_text()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(generator, tmp_path):
    names = ("dsm.tif", "dtm.tif", "survey_centre.laz", "zones.geojson", "vertiports.geojson", "water.geojson")
    hashes = []
    for k in range(2):
        folder = generator.generate(12, tmp_path / str(k))
        hashes.append([hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names])
    assert hashes[0] == hashes[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 31, 3))
def test_every_seed_is_a_town_that_can_be_flown(generator, tmp_path, seed):
    """The pads stand free, and between all of them runs air 30 m from everything and below the legal ceiling."""
    from scipy import ndimage

    folder = generator.generate(seed, tmp_path / "sample")
    made = build_map(
        [folder / "dsm.tif", folder / "survey_centre.laz"], tmp_path / "map", terrain=folder / "dtm.tif", resolution_m=4
    )
    check_geometry(folder, made.frame)
    columns = made.whole()
    low = ndimage.maximum_filter(columns.surface_m, 17) + 30
    high = ndimage.minimum_filter(columns.terrain_m, 5) + 150 - 10
    free = high - low >= 20
    for feature in features(folder, "zones.geojson"):
        if feature["properties"]["restriction"] == "PROHIBITED":
            lon, lat = np.array(feature["geometry"]["coordinates"][0]).T
            outline = shapely.Polygon(np.column_stack(made.frame.to_map(lon, lat))).buffer(35)
            east, north = np.meshgrid(*((np.arange(n) + 0.5) * made.resolution_m for n in made.size), indexing="ij")
            free &= ~shapely.contains_xy(outline, east, north)
    regions, _ = ndimage.label(free)
    found = set()
    for feature in features(folder, "vertiports.geojson"):
        east, north = (float(v) for v in made.frame.to_map(*feature["geometry"]["coordinates"]))
        around = made.window(east - 9, north - 9, east + 9, north + 9)
        assert (around.surface_m == feature["properties"]["height_m"]).all()
        if feature["properties"]["id"] != "school-gate":
            found.add(int(regions[int(east / made.resolution_m), int(north / made.resolution_m)]))
    assert len(found) == 1
    assert 0 not in found
