import json
import shutil
import subprocess
import sys

import numpy as np
import pyproj
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.survey_files import SOUTH, WEST
from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.describe import describe


@pytest.fixture
def copy(small_map, tmp_path):
    """A map that a test may break."""
    shutil.copytree(small_map.path, tmp_path / "copy")
    return tmp_path / "copy"


def edited(folder, change) -> None:
    file = folder / "map.json"
    meta = json.loads(file.read_text())
    change(meta)
    file.write_text(json.dumps(meta))


def test_opening_touches_no_raster(small_map, monkeypatch):
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: pytest.fail("a raster was opened"))
    assert CityMap.open(small_map.path).version == small_map.version
    assert CityMap.open(str(small_map.path)).frame == small_map.frame


def test_importing_the_reader_loads_no_survey_reader():
    code = (
        "import sys; from utm.mapping import CityMap; "
        "print(sorted({'open3d', 'laspy', 'matplotlib', 'utm.mapping.ingest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_drawing_room_loads_neither_pyplot_nor_ingest():
    code = (
        "import sys; import utm.mapping.view; "
        "print(sorted({'open3d', 'laspy', 'matplotlib.pyplot', 'utm.mapping.ingest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format_version=99), "map.json: format_version: this program reads map format 1 (got 99)"),
        (lambda m: m.update(format="other"), "map.json: not a skyroad-citymap file"),
        (lambda m: m.pop("frame"), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(origin_x=float("nan")), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(crs="EPSG:4326"), "map.json: a map needs a projected CRS"),
        (lambda m: m["frame"].update(crs="nonsense"), "map.json: the frame cannot be used"),
        (lambda m: m["frame"].update(vertical="sea"), "map.json: the frame cannot be used"),
        (lambda m: m["frame"].update(vertical="AGL"), "map.json: the frame cannot be used"),
        (lambda m: m.update(size=[0, 5]), "map.json: size: missing or malformed"),
        (lambda m: m.update(resolution_m=-1), "map.json: resolution_m: missing or malformed"),
        (lambda m: m["rasters"].pop("status"), "map.json: rasters: missing or malformed"),
        (lambda m: m["rasters"]["status"].update(file="../status.tif"), "map.json: rasters: missing or malformed"),
        (lambda m: m.pop("version"), "map.json: version: missing or malformed"),
    ],
)
def test_a_map_file_that_cannot_be_used(copy, change, words):
    edited(copy, change)
    with pytest.raises(MapError) as caught:
        CityMap.open(copy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_a_truncated_map_file(copy, share):
    text = (copy / "map.json").read_text()
    (copy / "map.json").write_text(text[: int(len(text) * share)])
    with pytest.raises(MapError, match=r"map\.json: damaged"):
        CityMap.open(copy)


def test_what_is_no_map(tmp_path, copy):
    with pytest.raises(MapError, match="there is no such map directory"):
        CityMap.open(tmp_path / "absent")
    with pytest.raises(MapError, match=r"not a map: it holds no map\.json"):
        CityMap.open(tmp_path)
    (copy / "map.json").write_text("[1, 2]")
    with pytest.raises(MapError, match="not a skyroad-citymap file"):
        CityMap.open(copy)


def test_a_raster_missing_or_cut_short_is_seen_on_opening(copy):
    data = (copy / "surface.tif").read_bytes()
    (copy / "surface.tif").write_bytes(data[:-1])
    with pytest.raises(MapError, match=rf"surface\.tif: damaged: {len(data)} bytes expected \(got {len(data) - 1}\)"):
        CityMap.open(copy)
    (copy / "surface.tif").unlink()
    with pytest.raises(MapError, match=r"surface\.tif: the surface raster is missing"):
        CityMap.open(copy)


def test_damage_of_the_same_length_is_seen_on_reading_or_by_verify(copy):
    file = copy / "surface.tif"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    file.write_bytes(bytes(data))
    with pytest.raises(MapError):
        CityMap.open(copy).verify()
    file.write_bytes(bytes(len(data)))
    with pytest.raises(MapError, match=r"surface\.tif: damaged"):
        CityMap.open(copy).window(0, 0, 10, 10)


def test_a_change_of_one_height_is_another_content(copy):
    with rasterio.open(copy / "terrain.tif") as raster:
        profile, data = raster.profile, raster.read(1)
    data[5, 5] -= 0.125
    with rasterio.open(copy / "terrain.tif", "w", **profile) as raster:
        raster.write(data, 1)
    edited(copy, lambda m: m["rasters"]["terrain"].update(bytes=(copy / "terrain.tif").stat().st_size))
    changed = CityMap.open(copy)
    with pytest.raises(MapError, match="not to the version in map"):
        changed.verify()


def test_other_programs_find_the_map_where_it_is(small_map):
    for name in ("terrain", "surface", "status"):
        with rasterio.open(small_map.path / f"{name}.tif") as raster:
            crs = pyproj.CRS.from_wkt(raster.crs.to_wkt())
            assert [part.to_authority() for part in crs.sub_crs_list] == [("EPSG", "6675"), ("EPSG", "6695")]
            assert tuple(raster.bounds) == (WEST, SOUTH, WEST + 120, SOUTH + 80)
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            e, n = 25.5, 35.5  # on the block
            value = next(raster.sample([(WEST + e, SOUTH + n)]))[0]
            ours = {"terrain": small_map.terrain_up, "surface": small_map.surface_up, "status": small_map.status_at}
            assert value == ours[name](e, n)


SIDE = st.floats(-50, 170)


@settings(max_examples=80, deadline=None)
@given(east0=SIDE, north0=SIDE, east1=SIDE, north1=SIDE)
def test_a_window_holds_exactly_the_cells_that_touch_it(small_map, east0, north0, east1, north1):
    east0, east1, north0, north1 = min(east0, east1), max(east0, east1), min(north0, north1), max(north0, north1)
    if east1 < 0 or north1 < 0 or east0 > 120 or north0 > 80:
        with pytest.raises(MapError, match="lies off the map"):
            small_map.window(east0, north0, east1, north1)
        return
    columns = small_map.window(east0, north0, east1, north1)
    nx, ny = columns.shape
    x0, y0 = columns.origin_m
    assert x0 <= max(east0, 0) or x0 == 119
    assert y0 <= max(north0, 0) or y0 == 79
    assert x0 + nx >= min(east1, 120)
    assert y0 + ny >= min(north1, 80)
    assert nx <= min(east1, 120) - max(east0, 0) + 2
    assert ny <= min(north1, 80) - max(north0, 0) + 2
    whole = small_map.whole()
    part = np.s_[int(x0) : int(x0) + nx, int(y0) : int(y0) + ny]
    np.testing.assert_array_equal(columns.surface_m, whole.surface_m[part])
    np.testing.assert_array_equal(columns.terrain_m, whole.terrain_m[part])
    np.testing.assert_array_equal(columns.unknown, whole.unknown[part])


@pytest.mark.parametrize("box", [(np.nan, 0, 1, 1), (5, 5, 4, 6), (0, 0, np.inf, 1)])
def test_a_window_that_is_none(small_map, box):
    with pytest.raises(MapError, match="a box needs finite west <= east"):
        small_map.window(*box)


def test_heights_at_places_keep_the_shape_of_the_question(small_map, survey):
    assert small_map.surface_up(25.5, 35.5).shape == ()
    east, north = np.array([[20.0, 119.9], [0.0, 120.0]]), np.array([[30.0, 79.9], [0.0, 80.0]])
    cells = np.minimum(east.astype(int), 119), np.minimum(north.astype(int), 79)
    np.testing.assert_array_equal(small_map.terrain_up(east, north), survey.terrain_m[cells])
    assert small_map.terrain_up(25.5, np.array([1.0, 2.0])).shape == (2,)


@pytest.mark.parametrize("place", [(-0.01, 5), (5, 80.01), (np.nan, 5), (5, np.inf)])
def test_a_place_off_the_map(small_map, place):
    assert not small_map.contains(*place)
    with pytest.raises(MapError, match="lies off the map of 120 x 80 m"):
        small_map.surface_up(*place)


def test_the_edge_belongs_to_the_map(small_map):
    assert small_map.contains(0, 0)
    assert small_map.contains(120, 80)
    assert np.isfinite(small_map.surface_up(120, 80))


def test_a_map_in_figures(small_map):
    told = json.loads(json.dumps(describe(small_map)))
    assert told["vertical_datum"] == "JGD2011"
    assert told["size"] == [120, 80]
    assert told["unknown_share"] == pytest.approx(100 / 9600, abs=1e-6)
    top = told["highest_obstacles"][0]
    assert top["above_ground_m"] == pytest.approx(35 - 12, abs=1.1)
    east, north = small_map.frame.to_map(top["lon"], top["lat"])
    assert small_map.surface_up(east, north) == pytest.approx(top["top_m"], abs=0.006)
    assert told["counts"]["points_discarded_above"] == 1
