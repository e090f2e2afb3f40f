import json
import os
import shutil

import laspy
import numpy as np
import pyproj
import pytest

from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_laz, write_ply, write_tif
from utm.errors import MapError, SurveyError
from utm.frames import LocalFrame
from utm.mapping import CityMap
from utm.mapping.ingest import build_map, store
from utm.mapping.ingest.clouds import reject
from utm.mapping.mapfile import Status
from utm.model import Datum


def test_the_map_lies_where_the_survey_does(small_map):
    assert small_map.frame.crs == "EPSG:6675"
    assert (small_map.frame.origin_x, small_map.frame.origin_y) == (WEST, SOUTH)
    assert small_map.frame.vertical == "JGD2011"
    assert small_map.size == (120, 80)
    assert small_map.resolution_m == 1.0


def test_surface_and_terrain_are_those_of_the_rasters(small_map, survey):
    columns = small_map.whole()
    np.testing.assert_array_equal(columns.terrain_m, survey.terrain_m)
    west = np.s_[:36]  # no cloud there, no hole
    np.testing.assert_array_equal(columns.surface_m[west], survey.surface_m[west])
    assert (columns.surface_m >= columns.terrain_m).all()


def test_a_hole_is_unknown_and_blocks_above_the_highest_thing_nearby(small_map, survey):
    columns = small_map.whole()
    np.testing.assert_array_equal(columns.unknown, survey.hole)
    # The block of 12 m ends 4 m west of the hole: within 30 m of all of it
    assert (columns.surface_m[survey.hole] >= survey.surface_m[20:36, 30:50].max() + 10).all()
    assert (small_map.layer("status", 0, 0, *small_map.size)[survey.hole] == Status.UNKNOWN).all()


def test_wires_that_the_filter_rejects_still_block(small_map, survey):
    assert reject(survey.points)[-42:-2].any(), "the wire is meant to be rejected"
    surface = small_map.surface_up(survey.wire[:, 0] - WEST, survey.wire[:, 1] - SOUTH)
    assert (surface >= 35).all()
    status = small_map.status_at(survey.wire[:, 0] - WEST, survey.wire[:, 1] - SOUTH)
    assert (status & Status.SUSPECT).any()
    assert small_map.meta["counts"]["points_suspect"] > 0


def test_lone_returns_in_the_sky_and_below_the_ground_are_discarded_and_counted(small_map, survey):
    surface = small_map.surface_up(survey.lone[:, 0] - WEST, survey.lone[:, 1] - SOUTH)
    assert (surface < 20).all()
    assert small_map.meta["counts"]["points_discarded_above"] == 1
    assert small_map.meta["counts"]["points_discarded_below"] == 1
    assert small_map.meta["counts"]["points_read"] == len(survey.points)


def test_no_return_that_was_kept_lies_above_the_surface(small_map, survey):
    stored = laspy.read(survey.cloud)  # as the file holds them, rounded to its scale
    points = np.column_stack([stored.x, stored.y, stored.z])[:-2]
    surface = small_map.surface_up(points[:, 0] - WEST, points[:, 1] - SOUTH)
    assert (points[:, 2] <= surface).all()


@pytest.mark.parametrize("cell", [0.7, 2.0, 3.0, 7.0])
def test_any_resolution_is_to_the_safe_side(survey, tmp_path, cell):
    made = build_map([survey.dsm, survey.cloud], tmp_path / "map", terrain=survey.dtm, resolution_m=cell)
    nx, ny = survey.terrain_m.shape
    east, north = np.meshgrid(np.arange(nx) + 0.5, np.arange(ny) + 0.5, indexing="ij")
    shift_e, shift_n = WEST - made.frame.origin_x, SOUTH - made.frame.origin_y
    for de, dn in ((-0.49, -0.49), (0.49, -0.49), (-0.49, 0.49), (0.49, 0.49), (0, 0)):
        e, n = east + de + shift_e, north + dn + shift_n
        assert (made.surface_up(e, n) >= survey.surface_m).all()
        assert (made.terrain_up(e, n) <= survey.terrain_m).all()


def test_the_default_cell_is_the_finest_raster_but_not_below_a_metre(survey, tmp_path):
    assert build_map(survey.cloud, tmp_path / "a", terrain=survey.dtm).resolution_m == 1.0
    fine = write_tif(tmp_path / "fine.tif", plain(40, 40), cell=0.25)
    assert build_map(fine, tmp_path / "b", terrain=survey.dtm).resolution_m == 1.0
    coarse = write_tif(tmp_path / "coarse.tif", plain(20, 20), cell=3.0)
    assert build_map(coarse, tmp_path / "c", terrain=survey.dtm).resolution_m == 3.0


def test_sources_of_several_resolutions_are_joined_by_their_maximum(survey, tmp_path):
    coarse = write_tif(tmp_path / "coarse.tif", np.full((30, 20), 40.0, np.float32), cell=2.0)
    made = build_map([survey.dsm, coarse], tmp_path / "map", terrain=survey.dtm, resolution_m=1.0).whole()
    assert (made.surface_m[:60, :40] == 40).all()
    np.testing.assert_array_equal(made.surface_m[:20, 40:], survey.surface_m[:20, 40:])
    assert not made.unknown[:60, :40].any()


def test_scale_offset_and_integer_heights_are_honoured(survey, tmp_path):
    centimetres = np.round(survey.surface_m * 100).astype(np.int32)
    # GDAL drops the scale when the CRS has a vertical part, so the datum is named by hand
    dsm = write_tif(tmp_path / "cm.tif", centimetres, scale=0.01, crs="EPSG:6675")
    made = build_map(dsm, tmp_path / "map", terrain=survey.dtm, vertical_datum="JGD2011").whole()
    assert np.abs(made.surface_m - survey.surface_m).max() <= 0.0051
    assert (made.surface_m.astype(np.float64) >= np.maximum(centimetres * 0.01, survey.terrain_m) - 1e-12).all()


def test_nan_counts_as_no_data(survey, tmp_path):
    dsm = write_tif(tmp_path / "nan.tif", np.where(survey.hole, np.float32(np.nan), survey.surface_m), nodata=None)
    np.testing.assert_array_equal(build_map(dsm, tmp_path / "map", terrain=survey.dtm).whole().unknown, survey.hole)


def test_a_small_hole_in_the_terrain_takes_the_lowest_ground_nearby(survey, tmp_path):
    terrain = survey.terrain_m.copy()
    terrain[60:64, 40:44] = -9999
    made = build_map(survey.dsm, tmp_path / "map", terrain=write_tif(tmp_path / "dtm.tif", terrain))
    columns = made.whole()
    assert (columns.terrain_m[60:64, 40:44] <= survey.terrain_m[60:64, 40:44]).all()
    assert (columns.terrain_m[60:64, 40:44] >= survey.terrain_m.min()).all()
    assert made.meta["counts"]["cells_terrain_assumed"] == 16


def test_terrain_of_another_place_is_refused(survey, tmp_path):
    far = write_tif(tmp_path / "far.tif", plain(), west=WEST + 5000)
    with pytest.raises(SurveyError, match=r"far\.tif: --terrain: lies off the survey"):
        build_map(survey.dsm, tmp_path / "map", terrain=far)


def test_without_a_terrain_model_the_ground_is_class_2_and_said_to_be(survey, tmp_path):
    rng = np.random.default_rng(6)
    points = ground_points(rng, survey.terrain_m, 9000)
    points[:200, 2] += 12
    points = points.round(3)  # as the file holds them
    classes = np.where(np.arange(len(points)) < 200, 6, 2).astype(np.uint8)
    cloud = write_laz(tmp_path / "classed.laz", points, classes=classes)
    made = build_map(cloud, tmp_path / "map", outliers=False)
    terrain = made.terrain_up(points[:, 0] - made.frame.origin_x, points[:, 1] - made.frame.origin_y)
    assert (terrain <= points[:, 2] + 1e-3).all()
    assert (terrain[200:] > points[200:, 2] - 1.0).all()
    assert made.meta["counts"]["cells_terrain_filtered"] == 0


@pytest.mark.parametrize("source", ["cloud", "dsm"])
def test_without_any_ground_it_is_filtered_and_said_to_be(survey, tmp_path, source):
    rng = np.random.default_rng(7)
    up = survey.surface_m
    points = ground_points(rng, up, 30_000)
    file = {
        "cloud": lambda: write_laz(tmp_path / "unclassed.laz", points),
        "dsm": lambda: write_tif(tmp_path / "dsm.tif", up),
    }[source]()
    made = build_map(file, tmp_path / "map")
    assert made.meta["counts"]["cells_terrain_filtered"] > 0.5 * up.size
    assert (made.frame.origin_x, made.frame.origin_y) == (WEST, SOUTH)
    terrain = made.whole().terrain_m
    nx, ny = terrain.shape
    off = terrain - survey.terrain_m[:nx, :ny]
    assert np.median(np.abs(off)) < 0.3
    assert off.max() < 3, "no roof of 12 m is taken for ground"


def test_noise_classes_and_withheld_returns_are_suspect_not_gone(survey, tmp_path):
    rng = np.random.default_rng(5)
    points = ground_points(rng, survey.terrain_m, 4000)
    points[0] = (WEST + 30.5, SOUTH + 60.5, 25.0)
    points[1] = (WEST + 90.5, SOUTH + 60.5, 26.0)
    classes = np.ones(len(points), np.uint8)
    classes[0] = 18
    withheld = np.zeros(len(points), bool)
    withheld[1] = True
    cloud = write_laz(tmp_path / "noise.laz", points, classes=classes, withheld=withheld)
    made = build_map(cloud, tmp_path / "map", terrain=survey.dtm)
    east, north = points[:2, 0] - made.frame.origin_x, points[:2, 1] - made.frame.origin_y
    assert (made.surface_up(east, north) >= points[:2, 2]).all()
    assert (made.status_at(east, north) & Status.SUSPECT).all()


# ---- the same survey is the same map


def test_the_version_hangs_on_the_content_alone(survey, small_map, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(survey.folder, elsewhere)
    os.rename(elsewhere / "dsm.tif", elsewhere / "other-name.tif")
    again = build_map(
        [elsewhere / "cloud.laz", elsewhere / "other-name.tif"], tmp_path / "again", terrain=elsewhere / "dtm.tif"
    )
    assert again.version == small_map.version
    coarser = build_map([survey.dsm, survey.cloud], tmp_path / "c", terrain=survey.dtm, resolution_m=2)
    assert coarser.version != small_map.version


def test_the_file_names_no_place_and_no_time(small_map, survey):
    text = (small_map.path / "map.json").read_text()
    assert str(survey.folder) not in text
    entry = json.loads(text)["sources"][0]
    assert entry["file"] == "dsm.tif"
    assert len(entry["sha256"]) == 64


# ---- whole or not at all


def test_progress_is_told_stage_by_stage(survey, tmp_path):
    told, seconds = [], {}
    build_map(
        [survey.dsm, survey.cloud], tmp_path / "map", terrain=survey.dtm, progress=lambda *p: told.append(p),
        seconds=seconds, workers=1,
    )  # fmt: skip
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["look at files", "read points", "merge tiles", "finish tiles"]
    assert all(0 <= done <= total for _, done, total in told)
    for stage in stages:
        assert [(d, t) for s, d, t in told if s == stage][-1][0] == [t for s, _, t in told if s == stage][-1]
    assert {"decode", "bin", "filter", "rasters", "merge", "finish", "write"} <= set(seconds)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_makes_the_same_map(survey, small_map, tmp_path, workers):
    again = build_map([survey.dsm, survey.cloud], tmp_path / "map", terrain=survey.dtm, workers=workers)
    assert again.version == small_map.version
    assert (again.path / "map.json").read_bytes() == (small_map.path / "map.json").read_bytes()


def test_a_build_that_dies_before_it_is_published_leaves_nothing(survey, tmp_path, monkeypatch):
    def dies(self, meta):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.MapWriter, "publish", dies)
    with pytest.raises(KeyboardInterrupt):
        build_map(survey.dsm, tmp_path / "map", terrain=survey.dtm)
    assert list(tmp_path.iterdir()) == []


def test_a_map_is_replaced_only_when_asked_and_never_by_a_failed_build(survey, tmp_path):
    out = tmp_path / "map"
    first = build_map(survey.dsm, out, terrain=survey.dtm)
    with pytest.raises(MapError, match="a map stands there already"):
        build_map(survey.dsm, out, terrain=survey.dtm)
    broken = tmp_path / "broken.laz"
    broken.write_bytes(survey.cloud.read_bytes()[:-2000])
    with pytest.raises(SurveyError):
        build_map([survey.dsm, broken], out, terrain=survey.dtm, replace=True)
    assert CityMap.open(out).version == first.version
    CityMap.open(out).verify()
    second = build_map([survey.dsm, survey.cloud], out, terrain=survey.dtm, replace=True)
    assert CityMap.open(out).version == second.version != first.version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.laz", "map"]


def test_the_place_is_checked_before_the_work(survey, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear reader")
    with pytest.raises(MapError, match="not empty and not a map"):
        build_map(survey.dsm, taken, terrain=survey.dtm, replace=True)
    assert (taken / "letter.txt").read_text() == "dear reader"
    with pytest.raises(MapError, match="a file stands there"):
        build_map(survey.dsm, taken / "letter.txt", terrain=survey.dtm)
    with pytest.raises(MapError, match="the directory above it does not exist"):
        build_map(survey.dsm, tmp_path / "no" / "such", terrain=survey.dtm)
    (tmp_path / "empty").mkdir()
    assert build_map(survey.dsm, tmp_path / "empty", terrain=survey.dtm).size == (120, 80)


# ---- sources that do not fit together


def test_what_cannot_be_terrain(survey, tmp_path):
    with pytest.raises(SurveyError, match="given as surface and as terrain"):
        build_map(survey.dsm, tmp_path / "map", terrain=survey.dsm)
    with pytest.raises(SurveyError, match="terrain"):
        build_map(survey.dsm, tmp_path / "map", terrain=survey.cloud)


def test_the_same_content_twice_is_refused(survey, tmp_path):
    twin = shutil.copy(survey.cloud, tmp_path / "twin.laz")
    with pytest.raises(SurveyError, match=r"holds the same as (cloud|twin)\.laz"):
        build_map([survey.cloud, twin], tmp_path / "map", terrain=survey.dtm)


def test_sources_in_several_frames_are_brought_together(survey, small_map, tmp_path):
    """The same cloud in UTM, with heights over EGM96: the same surface, to what the rounding in the file may do."""
    frame = LocalFrame("EPSG:6675", 0.0, 0.0, Datum.JGD2011)
    stored = laspy.read(survey.cloud)
    east, north, up = (np.asarray(axis, np.float64) for axis in (stored.x, stored.y, stored.z))
    lon, lat = frame.to_lonlat(east, north)
    x, y = pyproj.Transformer.from_crs("EPSG:6675", "EPSG:6690", always_xy=True).transform(east, north)
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.add_crs(pyproj.CRS("EPSG:6690+5773"))
    header.scales, header.offsets = [0.0001] * 3, [x.min(), y.min(), 0.0]
    record = laspy.ScaleAwarePointRecord.zeros(len(x), header=header)
    record.x, record.y, record.z = x, y, frame.height(up, Datum.AMSL, lon, lat)
    laspy.LasData(header, record).write(str(tmp_path / "utm.laz"))
    made = build_map([survey.dsm, tmp_path / "utm.laz"], tmp_path / "map", terrain=survey.dtm)
    assert made.frame.crs == "EPSG:6675", "the first metric one that is named"
    assert made.frame.vertical is Datum.JGD2011
    ix, iy = np.meshgrid(np.arange(120) + 0.5, np.arange(80) + 0.5, indexing="ij")
    e, n = ix + WEST - made.frame.origin_x, iy + SOUTH - made.frame.origin_y
    assert np.quantile(np.abs(made.surface_up(e, n) - small_map.surface_up(ix, iy)), 0.99) < 1e-3
    assert made.meta["sources"][0]["crs"] != made.meta["sources"][1]["crs"]


@pytest.mark.parametrize("cell", [0, -1.0, float("nan"), float("inf")])
def test_a_resolution_that_is_none(survey, tmp_path, cell):
    with pytest.raises(SurveyError, match="--resolution: must be a number of metres above zero"):
        build_map(survey.dsm, tmp_path / "map", terrain=survey.dtm, resolution_m=cell)


def test_a_map_too_large_for_memory_is_refused(survey, tmp_path):
    with pytest.raises(SurveyError, match="more than a map holds"):
        build_map(survey.dsm, tmp_path / "map", terrain=survey.dtm, resolution_m=0.001)


def test_no_sources_and_no_heights(survey, tmp_path):
    with pytest.raises(SurveyError, match="no survey was given"):
        build_map([], tmp_path / "map", terrain=survey.dtm)
    empty = write_tif(tmp_path / "void.tif", np.full((120, 80), -9999, np.float32))
    with pytest.raises(SurveyError, match="holds no height at all"):
        build_map(empty, tmp_path / "map", terrain=survey.dtm)


def test_what_the_caller_says_is_for_files_that_do_not_say_it(survey, tmp_path):
    """A cloud without a CRS beside rasters that state theirs, in another zone."""
    frame = LocalFrame("EPSG:6675", 0.0, 0.0, Datum.JGD2011)
    x, y = pyproj.Transformer.from_crs(frame.crs, "EPSG:6690", always_xy=True).transform(*survey.points[:, :2].T)
    points = np.column_stack([x, y, survey.points[:, 2]])[:-2]
    mute = write_ply(tmp_path / "mute.ply", points)
    told = {"crs": "EPSG:6690", "vertical_datum": "JGD2011"}
    made = build_map([survey.dsm, mute], tmp_path / "map", terrain=survey.dtm, **told)
    assert {source["crs"] for source in made.meta["sources"]} == {"EPSG:6675", "EPSG:6690"}
    with pytest.raises(SurveyError, match=r"states EPSG:6675, but --crs says EPSG:6690"):
        build_map(survey.dsm, tmp_path / "wrong", terrain=survey.dtm, **told)


def test_a_wide_wood_on_a_lone_surface_model(tmp_path):
    """No ground for hundreds of metres: the lowest far around stands in, and the build does not give up."""
    surface = plain(700, 600)
    surface[20:680, 20:580] += 15
    surface[300:420, 200:330] = -9999
    made = build_map(write_tif(tmp_path / "dsm.tif", surface), tmp_path / "map")
    assert (made.whole().terrain_m <= np.where(surface < 0, np.inf, surface)).all()
