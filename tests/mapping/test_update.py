"""A new survey of a part: a new version beside the old, changed where the survey speaks and nowhere else; and suspects
that a person clears."""

import datetime
import json

import numpy as np
import pyproj
import pytest

from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_laz, write_tif
from utm.errors import InputError, MapError
from utm.mapping import CityMap
from utm.mapping.diff import difference
from utm.mapping.ingest import build_map
from utm.mapping.ingest.check import check
from utm.mapping.ingest.clear import clear_suspects
from utm.mapping.ingest.update import update_map
from utm.mapping.mapfile import RunKind, Status

NX, NY = 1100, 600  # 3 x 2 tiles of 512 cells, the outer ones cut off
WHEN = datetime.datetime(2026, 4, 1, 9, 30, tzinfo=datetime.UTC)


def line(folder, name, *, height_m=40.0, at=(200.0, 100.0, 200.0, 300.0)):
    """A power line over the town as an obstacle file; ``at``: east, north of its two ends."""
    to_globe = pyproj.Transformer.from_crs("EPSG:6675", "EPSG:4326", always_xy=True)
    ends = [to_globe.transform(WEST + at[i], SOUTH + at[i + 1]) for i in (0, 2)]
    feature = {
        "type": "Feature",
        "properties": {
            "id": "line-1", "name": "Line 1", "kind": "power_line",
            "heights_m": [height_m, height_m], "datum": "JGD2011", "sag_m": 2.0,
            "uncertainty_m": 0.5, "conductor_half_width_m": 1.0, "supports": False,
        },
        "geometry": {"type": "LineString", "coordinates": [list(end) for end in ends]},
    }  # fmt: skip
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    surface = plain(NX, NY)
    surface[100:140, 100:140] += 20
    surface[700:740, 300:340] += 15
    hole = np.s_[300:320, 150:170]
    dsm = surface.copy()
    dsm[hole] = -9999
    new = plain(100, 100) + np.float32(2.5)  # 1 m cells from 90, 90: the block of 20 m is gone, one of 9 m stands
    new[60:80, 60:80] += 9
    new[:5] = -9999
    return {
        "folder": folder,
        "dsm": write_tif(folder / "dsm.tif", dsm),
        "dtm": write_tif(folder / "dtm.tif", plain(NX, NY)),
        "new": write_tif(folder / "new.tif", new, west=WEST + 90, south=SOUTH + 90),
        "line": line(folder, "lines.geojson"),
        "surface": surface,
        "patch": new,
    }


@pytest.fixture
def town(files, tmp_path):
    """The town with its power line."""
    return build_map([files["dsm"], files["line"]], tmp_path / "town", terrain=files["dtm"], error_m=0.25)


def test_a_new_survey_changes_what_it_saw_and_nothing_else(files, town):
    before = town.whole().surface_m
    updated = update_map(town.path, files["new"], surveyed=datetime.date(2026, 3, 1), workers=2)
    after = updated.city_map.whole().surface_m
    saw = np.zeros((NX, NY), bool)
    saw[95:190, 90:190] = True
    np.testing.assert_array_equal(after[~saw], before[~saw])
    ground = plain(NX, NY)
    np.testing.assert_array_equal(after[saw], np.maximum(files["patch"][5:], ground[95:190, 90:190]).ravel())
    assert updated.tiles < len(town.meta["tiles"])
    assert updated.city_map.meta["parent"] == town.version
    assert (
        int(updated.city_map.surveyed_at(150.0, 150.0)) == (datetime.date(2026, 3, 1) - datetime.date(1970, 1, 1)).days
    )
    found = updated.difference
    assert found.to_dict()["newly_clear_m3"] == pytest.approx(np.maximum(before - after, 0).sum(), rel=1e-3)
    assert found.to_dict()["newly_blocked_m3"] == pytest.approx(np.maximum(after - before, 0).sum(), rel=1e-3)


def test_older_versions_stay_openable_and_untouched_tiles_are_shared(files, town):
    whole = town.whole()
    files_before = {p: p.stat().st_ino for p in town.path.glob("tiles/*/*.tif")}
    update_map(town.path, files["new"])
    old = CityMap.open(f"{town.path}@{town.version[:8]}")
    old.verify()
    np.testing.assert_array_equal(old.whole().surface_m, whole.surface_m)
    assert {p: p.stat().st_ino for p in files_before} == files_before
    assert len(CityMap.open(town.path).versions()) == 2


def test_updating_with_the_same_again_changes_no_content(files, town):
    once = update_map(town.path, files["new"])
    twice = update_map(town.path, files["new"])
    assert difference(once.city_map, twice.city_map).to_dict()["newly_clear_m3"] == 0
    np.testing.assert_array_equal(once.city_map.whole().surface_m, twice.city_map.whole().surface_m)


def test_any_number_of_workers_updates_to_the_same_version(files, tmp_path):
    found = set()
    for workers in (1, 3):
        made = build_map(files["dsm"], tmp_path / str(workers), terrain=files["dtm"], workers=workers)
        found.add(update_map(made.path, [files["new"], files["line"]], workers=workers).city_map.version)
    assert len(found) == 1


def test_a_wire_that_was_entered_outlives_a_survey_that_cannot_see_it(files, town, tmp_path):
    flat = write_tif(tmp_path / "flat.tif", plain(100, 100), west=WEST + 160, south=SOUTH + 150)
    after = update_map(town.path, flat).city_map
    assert after.blocked(200.5, 200.5, 39.0)
    assert not after.blocked(200.5, 200.5, 25.0), "air below it"
    assert after.surface_up(200.5, 200.5) >= 40


def test_obstacles_are_withdrawn_or_replaced_by_name(files, town, tmp_path):
    lower = tmp_path / "other"
    lower.mkdir()
    after = update_map(town.path, line(lower, "lines.geojson", height_m=30.0)).city_map
    assert after.surface_up(200.5, 200.5) == pytest.approx(30.5, abs=0.6)
    gone = update_map(town.path, withdraw=["lines.geojson"]).city_map
    assert gone.surface_up(200.5, 200.5) < 20
    assert [s["withdrawn"] for s in gone.meta["sources"] if s["kind"] == "obstacles"] == [True, True]
    with pytest.raises(MapError, match="holds no model or obstacles of that name"):
        update_map(town.path, withdraw=["lines.geojson"])
    np.testing.assert_array_equal(
        gone.whole().surface_m,
        build_map(files["dsm"], tmp_path / "never", terrain=files["dtm"], error_m=0.25).whole().surface_m,
    )


def test_what_lies_off_the_map_is_counted_and_left_out(files, town, tmp_path):
    points = ground_points(np.random.default_rng(1), plain(), 2000)
    cloud = write_laz(tmp_path / "edge.laz", points - [60, 0, 0])
    updated = update_map(town.path, cloud)
    assert 800 < updated.off_map < 1200
    assert updated.city_map.size == town.size


def test_a_failed_update_leaves_the_map_as_it_was(files, town, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(files["new"].read_bytes()[:-3000])
    before = sorted((p, p.read_bytes()) for p in town.path.rglob("*") if p.is_file())
    with pytest.raises(InputError, match=r"broken\.tif"):
        update_map(town.path, broken)
    assert sorted((p, p.read_bytes()) for p in town.path.rglob("*") if p.is_file()) == before
    with pytest.raises(MapError, match="nothing to update with"):
        update_map(town.path)


# ---- a person clears suspects


@pytest.fixture
def doubted(files, tmp_path):
    """The town with two birds over it, in a cloud."""
    rng = np.random.default_rng(4)
    points = ground_points(rng, plain(), 12_000)
    birds = np.array([[WEST + 30.5, SOUTH + 40.5, 60.0], [WEST + 90.5, SOUTH + 40.5, 70.0]])
    cloud = write_laz(tmp_path / "birds.laz", np.concatenate([points, birds]))
    return build_map([files["dsm"], cloud], tmp_path / "doubted", terrain=files["dtm"])


def test_a_suspect_blocks_until_a_person_clears_it(doubted):
    assert doubted.blocked([30.5, 90.5], [40.5, 40.5], [30.0, 30.0]).all()
    lon, lat = doubted.frame.to_lonlat(30.5, 40.5)
    place = (float(lon), float(lat), 3.0)
    cleared = clear_suspects(doubted.path, area=place, by="S. Sato", reason="a bird", when=WHEN)
    after = cleared.city_map
    assert after.blocked([30.5, 90.5], [40.5, 40.5], [30.0, 30.0]).tolist() == [False, True]
    assert not after.status_at(30.5, 40.5) & Status.SUSPECT
    assert after.meta["counts"]["cells_suspect"] == doubted.meta["counts"]["cells_suspect"] - cleared.cells
    record = after.meta["cleared"][-1]
    assert (record["by"], record["reason"], record["when"]) == ("S. Sato", "a bird", "2026-04-01T09:30:00+00:00")
    assert after.meta["parent"] == doubted.version
    after.verify()
    CityMap.open(doubted.path, doubted.version).verify()
    with pytest.raises(MapError, match="no suspect lies there"):
        clear_suspects(doubted.path, area=place, by="S. Sato", reason="a bird", when=WHEN)


def test_an_area_can_be_drawn(doubted, tmp_path):
    east, north = np.array([0, 120, 120, 0, 0.0]), np.array([0, 0, 80, 80, 0.0])
    ring = [list(map(float, place)) for place in zip(*doubted.frame.to_lonlat(east, north), strict=True)]
    drawn = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}]}  # fmt: skip
    (tmp_path / "area.geojson").write_text(json.dumps(drawn))
    after = clear_suspects(doubted.path, area=tmp_path / "area.geojson", by="S", reason="birds", when=WHEN).city_map
    assert after.meta["counts"]["cells_suspect"] == 0
    assert not any(entry["facts"]["suspect"] for entry in after.meta["tiles"])
    runs = after.runs((0.0, 0.0, 120.0, 80.0))
    assert not (runs["kind"] == RunKind.SUSPECT).any()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"by": " "}, "--by: must say something"),
        ({"reason": ""}, "--reason: must say something"),
        ({"area": (136.3, 36.3, -1.0)}, "--radius: must be a number of metres above zero"),
        ({"area": "none.geojson"}, "not readable as GeoJSON"),
    ],
)
def test_what_cannot_be_cleared(doubted, how, says):
    asked = {"area": (136.3, 36.3, 5.0), "by": "S", "reason": "r", "when": WHEN} | how
    with pytest.raises(InputError, match=says):
        clear_suspects(doubted.path, **asked)
    assert CityMap.open(doubted.path).version == doubted.version


# ---- a survey held against a map


def test_a_survey_that_saw_something_new_is_found_in_free_air(files, town, tmp_path):
    assert check(town, files["dsm"]).in_free == 0
    report = check(town, files["new"])
    assert report.points == 95 * 100
    assert report.in_free == (files["patch"][5:] > town.whole().surface_m[95:190, 90:190]).sum() > 0
    where = report.to_dict()["where"]["features"]
    assert sum(place["properties"]["points"] for place in where) == report.in_free
    assert where[0]["properties"]["highest_above_surface_m"] > 0
    after = update_map(town.path, files["new"]).city_map
    assert check(after, files["new"]).in_free == 0


def test_a_check_tells_what_a_person_cleared_apart_and_believes_nothing_else(doubted, tmp_path):
    lon, lat = doubted.frame.to_lonlat(30.5, 40.5)
    place = (float(lon), float(lat), 3.0)
    after = clear_suspects(doubted.path, area=place, by="S. Sato", reason="a bird", when=WHEN).city_map
    report = check(after, tmp_path / "birds.laz")
    assert (report.cleared, report.in_free) == (1, 0)
    new = write_tif(tmp_path / "tower.tif", np.full((3, 3), 50, np.float32), west=WEST + 29, south=SOUTH + 39)
    assert check(after, new).in_free == 9, "what a survey saw is no suspect, cleared area or not"
    with pytest.raises(InputError, match="obstacles are no survey"):
        check(after, line(tmp_path, "lines.geojson"))
