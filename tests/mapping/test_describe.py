import json

import numpy as np
import pytest

from tests.mapping.made_maps import made_layers, made_map, wire_runs
from utm.mapping import CityMap
from utm.mapping.describe import describe
from utm.mapping.mapfile import Status

SIZE = (600, 530)


@pytest.fixture(scope="module")
def arrays():
    layers = made_layers(SIZE, seed=8)
    layers["status"][:50, :40] |= np.uint8(Status.TERRAIN_FILTERED)
    layers["status"][50:60, :40] |= np.uint8(Status.TERRAIN_ASSUMED)
    return layers, wire_runs(layers, range(100, 120), 9)


@pytest.fixture(scope="module")
def town(arrays, tmp_path_factory):
    return made_map(
        tmp_path_factory.mktemp("town") / "city", *arrays, counts={"points_read": 12}, sources=[{"file": "a.laz"}],
        survey_dates={"oldest": "2019-04-14", "newest": "2022-01-08"}, cleared=[{"by": "me"}], cell=2.0,
    )  # fmt: skip


def naive_highest(layers, wanted, apart):
    above = np.where(layers["status"] & Status.KNOWN, layers["surface"] - layers["terrain"], 0)
    found = []
    while len(found) < wanted and above.max() > 0:
        ix, iy = np.unravel_index(above.argmax(), above.shape)
        found.append(float(above[ix, iy]))
        above[max(0, ix - apart) : ix + apart + 1, max(0, iy - apart) : iy + apart + 1] = 0
    return found


def test_a_map_in_figures(town, arrays):
    layers, _ = arrays
    told = json.loads(json.dumps(describe(town), allow_nan=False))
    assert told["version"] == town.version
    assert (told["versions"], told["crs"], told["vertical_datum"]) == (1, "EPSG:6675", "JGD2011")
    assert (told["geoid"], told["size"], told["extent_m"]) == ("GSIGEO2011", [600, 530], [1200.0, 1060.0])
    assert told["unknown_share"] == pytest.approx(100 / 318_000, abs=1e-6)
    assert told["known_share"] + told["unknown_share"] == pytest.approx(1)
    assert (told["suspect_cells"], told["columns_with_air"]) == (1, 20)
    assert told["ground_cells"] == {"surveyed": 318_000 - 2400, "filtered": 2000, "assumed": 400}
    for name in ("terrain", "surface"):
        assert told[f"{name}_m"] == [round(float(f(layers[name])), 2) for f in (np.min, np.max)]
    assert told["survey_dates"] == {"oldest": "2019-04-14", "newest": "2022-01-08"}
    assert told["counts"] == {"points_read": 12}
    assert told["sources"] == [{"file": "a.laz"}]
    assert told["cleared"] == [{"by": "me"}]
    west, south, east, north = told["west_south_east_north_deg"]
    lon, lat = town.frame.to_lonlat(600, 530)
    assert west < lon < east
    assert south < lat < north


def test_how_old_the_surface_is(town, arrays):
    days = np.sort(arrays[0]["age"].ravel())
    dated = days[days > 0]
    told = describe(town)["surface_age"]
    as_day = [str(np.datetime64("1970-01-01") + int(day)) for day in (dated[0], np.median(dated), dated[-1])]
    assert [told["oldest"], told["median"], told["newest"]] == as_day
    assert told["undated_share"] == pytest.approx((days == 0).mean(), abs=1e-6)


def test_a_map_without_dates(tmp_path):
    layers = made_layers((30, 20))
    layers["age"][:] = 0
    told = describe(made_map(tmp_path / "city", layers))["surface_age"]
    assert told == {"oldest": None, "median": None, "newest": None, "undated_share": 1.0}


@pytest.mark.parametrize("wanted", [0, 1, 5, 40])
def test_the_highest_obstacles_stand_apart(town, arrays, wanted):
    layers, _ = arrays
    told = describe(town, obstacles=wanted)["highest_obstacles"]
    heights = [round(height, 2) for height in naive_highest(layers, wanted, 75)]
    assert [each["above_ground_m"] for each in told] == heights
    for each in told:
        east, north = town.frame.to_map(each["lon"], each["lat"])
        assert round(float(town.surface_up(east, north)), 2) == each["top_m"]
        assert each["top_m"] - float(town.terrain_up(east, north)) == pytest.approx(each["above_ground_m"], abs=0.011)


def test_a_city_is_described_without_reading_it(town, monkeypatch):
    read = []
    layer = CityMap.layer
    monkeypatch.setattr(CityMap, "layer", lambda self, name, *box: read.append(box) or layer(self, name, *box))
    describe(town, obstacles=1)
    assert len(set(read)) == 1
