from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.image import imread

from tests.mapping.made_maps import made_map, wire_runs
from utm.core import lowest_clear
from utm.errors import InputError, MapError
from utm.mapping.mapfile import Status
from utm.mapping.profile import Profile, draw_profile, profile
from utm.model import Datum, RuleSet

RULES = RuleSet(clearance_m=20.0, ceiling_above_terrain_m=100.0, half_height_m=10.0)
CELL = 2.0


@pytest.fixture(scope="module")
def layers():
    """800 x 240 m: a ramp, a house, a tower that leaves no room, a hole in the survey, doubtful returns."""
    size = (400, 120)
    terrain = np.repeat((np.arange(400) / 8).astype(np.float32)[:, None], 120, axis=1)
    surface, status = terrain.copy(), np.full(size, Status.KNOWN | Status.FROM_RASTER, np.uint8)
    surface[60:80, 40:80] += 12
    surface[200:206, 40:80] += 85
    surface[260:280], status[260:280] = terrain[260:280] + 30, Status.UNKNOWN
    surface[300:310] += 4
    status[300:310] |= np.uint8(Status.SUSPECT)
    zeros = np.zeros(size, np.uint16)
    return {"terrain": terrain, "surface": surface, "status": status, "source": zeros, "age": zeros}


@pytest.fixture(scope="module")
def city(layers, tmp_path_factory):
    runs = wire_runs(layers, np.repeat([150, 151], 120), np.tile(np.arange(120), 2), above=25)
    return made_map(tmp_path_factory.mktemp("maps") / "city", layers, runs, cell=CELL)


def place(city, east, north) -> tuple[float, float]:
    lon, lat = city.frame.to_lonlat(east, north)
    return float(lon), float(lat)


def straight(city, **kwargs) -> Profile:
    return profile(city, place(city, 50.5, 121), place(city, 751.5, 121), RULES, **kwargs)


def test_a_straight_line_tells_each_column(city, layers):
    cut = straight(city)
    assert cut.length_m == pytest.approx(701, abs=1e-6)
    assert cut.datum is Datum.JGD2011
    assert len(cut.terrain_m) == math.ceil(701 / 2)
    middle = 50.5 + (cut.edges_m[:-1] + cut.edges_m[1:]) / 2
    # A station of 2 m that begins within a column speaks for two columns: lowest ground, highest surface
    first, last = np.floor((50.5 + cut.edges_m[:-1] + 1e-6) / 2), np.floor((50.5 + cut.edges_m[1:] - 1e-6) / 2)
    for values, layer, worst in ((cut.terrain_m, "terrain", np.minimum), (cut.surface_m, "surface", np.maximum)):
        row = layers[layer][:, 60]
        np.testing.assert_array_equal(values, worst(row[first.astype(int)], row[last.astype(int)]))
    np.testing.assert_allclose(cut.lonlat_deg[7], place(city, middle[7], 121), atol=1e-9)


def test_the_limits_are_those_of_the_exact_columns(city, layers):
    cut = straight(city)
    lowest = lowest_clear(layers["surface"], CELL, RULES.clearance_m)[:, 60]
    first = np.floor((50.5 + cut.edges_m[:-1] + 1e-6) / 2).astype(int)
    last = np.floor((50.5 + cut.edges_m[1:] - 1e-6) / 2).astype(int)
    np.testing.assert_array_equal(cut.lowest_m, np.maximum(lowest[first], lowest[last]))
    np.testing.assert_array_equal(cut.highest_m, cut.terrain_m.astype(float) + 90)
    np.testing.assert_array_equal(cut.ceiling_m, cut.terrain_m.astype(float) + 100)


def test_what_hangs_is_told_apart_from_what_stands(city):
    cut = straight(city)
    assert len(cut.hanging) >= 2
    assert cut.hanging["start_m"].min() == pytest.approx(300 - 50.5)
    assert cut.hanging["end_m"].max() == pytest.approx(304 - 50.5)
    wire = (cut.edges_m[:-1] > 250) & (cut.edges_m[1:] < 253)
    assert (cut.base_m[wire] < cut.surface_m[wire] - 20).all()
    np.testing.assert_allclose(cut.hanging["to_m"] - cut.hanging["from_m"], 0.5)
    away = cut.edges_m[1:] < 200
    np.testing.assert_array_equal(cut.base_m[away], cut.surface_m[away])


def test_runs_that_overlap_are_one(city, layers, tmp_path):
    runs = wire_runs(layers, [100], [60], above=3)
    runs = np.concatenate([runs, runs[1:]])
    runs["from_m"][1], runs["from_m"][2] = runs["to_m"][0] - 1, runs["to_m"][1] + 5
    runs["to_m"][2] = runs["from_m"][2] + 1
    raised = {name: layer.copy() for name, layer in layers.items()}
    raised["surface"][100, 60] = runs["to_m"][2]
    cut = straight(made_map(tmp_path / "city", raised, runs, cell=CELL))
    (thing,) = np.unique(cut.hanging[["from_m", "to_m"]])
    assert tuple(thing) == (runs["from_m"][2], runs["to_m"][2])


def test_unknown_and_suspect_and_no_room_are_where_they_are(city):
    cut = straight(city)
    (unknown,), (suspect,) = cut.stretches(cut.unknown), cut.stretches(cut.suspect)
    assert unknown == pytest.approx((520 - 50.5, 560 - 50.5), abs=2)
    assert suspect == pytest.approx((600 - 50.5, 620 - 50.5), abs=2)
    (narrow,) = cut.stretches(~cut.legal)
    assert narrow[0] < 400 - 50.5 < 412 - 50.5 < narrow[1]
    assert 0.9 < cut.share(cut.legal) < 1


def test_near_the_end_of_the_map_nothing_is_said(city):
    cut = profile(city, place(city, 0.0, 121), place(city, 300, 121), RULES)
    (end,) = cut.stretches(np.isinf(cut.lowest_m))
    assert end == pytest.approx((0, 20))
    assert not cut.legal[:10].any()
    assert cut.to_dict()["stations"]["lowest_m"][0] is None
    assert cut.to_dict()["map_ends_m"] == [[0.0, 20.0]]


@pytest.mark.parametrize("step_m", [0.7, 5.0, 33.3, 5000.0])
def test_a_station_speaks_for_its_whole_length(city, step_m):
    fine, coarse = straight(city, step_m=0.1), straight(city, step_m=step_m)
    assert coarse.length_m == fine.length_m
    assert len(coarse.terrain_m) == math.ceil(701 / step_m - 1e-9)
    middle = (fine.edges_m[:-1] + fine.edges_m[1:]) / 2
    station = np.searchsorted(coarse.edges_m, middle, "right") - 1
    for name in ("surface_m", "lowest_m", "unknown", "suspect", "base_m"):
        assert (getattr(coarse, name)[station] >= getattr(fine, name)).all()
    for name in ("terrain_m", "highest_m", "legal"):
        assert (getattr(coarse, name)[station] <= getattr(fine, name)).all()


def test_any_direction_crosses_the_columns_it_crosses(city, layers):
    rng = np.random.default_rng(8)
    for _ in range(5):
        a, b = rng.uniform([30, 30], [770, 210], (2, 2))
        cut = profile(city, place(city, *a), place(city, *b), RULES, step_m=10.0)
        share = np.linspace(0, 1, 20_001)[1:-1]
        ix, iy = np.floor((a + share[:, None] * (b - a)) / CELL).astype(int).T
        station = np.minimum((share * cut.length_m / 10.0).astype(int), len(cut.terrain_m) - 1)
        for n in range(len(cut.terrain_m)):
            mine = station == n
            assert cut.surface_m[n] >= layers["surface"][ix[mine], iy[mine]].max()
            assert cut.terrain_m[n] <= layers["terrain"][ix[mine], iy[mine]].min()
            assert cut.unknown[n] >= ((layers["status"][ix[mine], iy[mine]] & Status.UNKNOWN) != 0).any()
        back = profile(city, place(city, *b), place(city, *a), RULES, step_m=cut.length_m)
        assert back.surface_m.max() == cut.surface_m.max()


def test_parts_of_the_line_do_not_show(city, monkeypatch):
    whole = straight(city)
    monkeypatch.setattr("utm.mapping.section._PART_M", 37.0)
    parts = straight(city)
    for name in ("terrain_m", "base_m", "surface_m", "lowest_m", "highest_m", "unknown", "suspect", "hanging"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_only_what_lies_near_the_line_is_read(city, monkeypatch):
    monkeypatch.setattr("utm.mapping.section._PART_M", 100.0)
    read = []
    layer = type(city).layer

    def counted(self, name, ix0, iy0, ix1, iy1):
        read.append((ix1 - ix0) * (iy1 - iy0))
        return layer(self, name, ix0, iy0, ix1, iy1)

    monkeypatch.setattr(type(city), "layer", counted)
    profile(city, place(city, 40, 30), place(city, 760, 210), RULES)
    assert max(read) <= (100 / CELL + 22) * (26 / CELL + 24)


def test_the_dictionary_is_json(city):
    cut = straight(city)
    told = json.loads(json.dumps(cut.to_dict(), allow_nan=False))
    assert told["datum"] == "JGD2011"
    assert told["map_version"] == city.version
    assert len(told["stations"]["terrain_m"]) == len(told["stations"]["edges_m"]) - 1 == len(cut.terrain_m)
    assert told["tallest"]["above_terrain_m"] == pytest.approx(85, abs=0.5)
    assert set(told["hanging"][0]) == {"start_m", "end_m", "from_m", "to_m"}


def test_a_place_off_the_map_is_named_by_longitude_and_latitude(city):
    lon, lat = place(city, 900, 121)
    for ends in ((place(city, 100, 121), (lon, lat)), ((lon, lat), place(city, 100, 121))):
        with pytest.raises(MapError, match=f"lon {lon:.6f}, lat {lat:.6f} lies off the map"):
            profile(city, *ends, RULES)


def test_what_makes_no_profile_is_refused(city):
    here, there = place(city, 100, 100), place(city, 700, 100)
    with pytest.raises(MapError, match="same place"):
        profile(city, here, here, RULES)
    with pytest.raises(MapError, match=r"at least 0\.006 m"):
        profile(city, here, there, RULES, step_m=0.001)
    with pytest.raises(InputError, match="step_m"):
        profile(city, here, there, RULES, step_m=0.0)
    with pytest.raises(InputError, match="clearance_m"):
        profile(city, here, there, RuleSet(clearance_m=0.0))
    with pytest.raises(InputError, match="latitude"):
        profile(city, (here[0], 95.0), there, RULES)


def near(picture, colour) -> int:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return int((np.abs(picture[..., :3] - wanted).max(axis=2) < 0.02).sum())


def test_the_picture_shows_what_there_is(city, tmp_path):
    out = draw_profile(straight(city), tmp_path / "cut.png")
    picture = imread(out)
    assert picture.shape[:2] == (832, 1600)
    for colour in ("#b9a98c", "#8f979e", "#cfe8d5", "#2f7d4f", "#b3261e", "#d9730d", "#3b2f6b", "#f6d3cf"):
        assert near(picture, colour) > 50, colour
    assert not [file for file in tmp_path.iterdir() if file != out]
    again = draw_profile(straight(city), tmp_path / "again.png")
    assert again.read_bytes() == out.read_bytes()


def test_a_long_line_is_drawn_by_its_extremes(city, tmp_path):
    cut = straight(city, step_m=0.05)
    assert len(cut.terrain_m) > 6000
    assert near(imread(draw_profile(cut, tmp_path / "long.png")), "#3b2f6b") > 50


def test_a_line_wholly_near_the_end_of_the_map_is_drawn(city, tmp_path):
    cut = profile(city, place(city, 100, 3), place(city, 500, 3), RULES)
    assert draw_profile(cut, tmp_path / "edge.png").is_file()


def test_a_picture_that_cannot_be_written_is_said(city, tmp_path):
    with pytest.raises(MapError, match="cannot be written"):
        draw_profile(straight(city), tmp_path / "no" / "such" / "folder.png")
