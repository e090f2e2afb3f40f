"""Obstacles entered by hand: what they block, what is refused, and in which words."""

from __future__ import annotations

import copy
import datetime
import importlib.util
import json
import math
import sys

import numpy as np
import pytest
import rasterio

from tests.repo import ROOT, SAMPLE
from utm.errors import DatumError, InputError, SurveyError
from utm.frames import LocalFrame, geoid_m
from utm.mapping.ingest.grid import TILE, Grid
from utm.mapping.ingest.obstacles import inspect_obstacles, read_obstacles
from utm.mapping.ingest.placing import Placing
from utm.model import Datum

EXAMPLE = ROOT / "docs" / "examples" / "obstacles.geojson"
FRAME = LocalFrame("EPSG:6675", -78000.0, 33000.0, Datum.JGD2011)
GRID = Grid(-78000.0, 33000.0, 1.0, 300, 200)


def place(east: float, north: float) -> list[float]:
    lon, lat = FRAME.to_lonlat(east, north)
    return [float(lon), float(lat)]


def feature(shape: str, coordinates, **properties) -> dict:
    common = {"id": "it", "datum": "JGD2011", "uncertainty_m": 0.5}
    return {
        "type": "Feature", "properties": common | properties,
        "geometry": {"type": shape, "coordinates": coordinates},
    }  # fmt: skip


def line(*places, **properties) -> dict:
    given = {"kind": "power_line", "sag_m": 4.0, "conductor_half_width_m": 1.0, "heights_m": [30.0] * len(places)}
    return feature("LineString", [place(*p) for p in places], **(given | properties))


def mast(east: float, north: float, **properties) -> dict:
    return feature("Point", place(east, north), **({"kind": "mast", "height_m": 40.0, "radius_m": 1.0} | properties))


def block(x: float, y: float, size: float, **properties) -> dict:
    corners = [(x, y), (x + size, y), (x + size, y + size), (x, y + size), (x, y)]
    return feature("Polygon", [[place(*c) for c in corners]], **({"kind": "scaffold", "height_m": 20.0} | properties))


def write(path, *features, **more):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)} | more))
    return path


def slope(east, north):
    """Terrain that rises 1 m in 10 m to the east; nothing known north of 150."""
    return np.where(np.asarray(north) > 150, np.nan, 10 + np.asarray(east) / 10)


def read(path, *features, terrain=slope, as_of=None, grid=GRID, frame=FRAME, **more):
    source = inspect_obstacles(write(path / "o.geojson", *features, **more), role="surface")
    return read_obstacles(source, grid, frame, terrain, as_of)


def solids(model) -> dict[tuple[int, int], list[tuple[float, float]]]:
    found: dict = {}
    for (tx, ty), seen in model.evidence.items():
        for cell, low, high in zip(seen.entered_cells, seen.entered_from, seen.entered_to, strict=True):
            at = int(cell) // TILE + tx * TILE, int(cell) % TILE + ty * TILE
            found.setdefault(at, []).append((float(low), float(high)))
    return found


def near(value):
    return pytest.approx(value, abs=2e-3)


def test_a_wire_hangs_between_its_chord_and_its_sag(tmp_path):
    wire = line((10.5, 50.5), (210.5, 50.5), heights_m=[30.0, 50.0], sag_m=8.0, supports=False)
    found = solids(read(tmp_path, wire))
    # half a width of 1 m and an uncertainty of 0.5 m around the middle of the row
    assert {iy for _, iy in found} >= {49, 50, 51}
    assert {iy for _, iy in found} <= {48, 49, 50, 51, 52}  # the outer ones by a hair
    for ix in (40, 110, 111, 180):
        ((low, high),) = found[ix, 50]
        t = np.linspace((ix - 1.5 - 10.5) / 200, (ix + 1 + 1.5 - 10.5) / 200, 200)
        chord = 30 + 20 * t
        assert low == near((chord - 4 * 8 * t * (1 - t)).min() - 0.5)
        assert high == near(chord.max() + 0.5)
    assert (7, 50) not in found
    assert (9, 50) in found


def test_each_span_has_its_sag_and_each_vertex_its_support(tmp_path):
    wire = line((20.5, 20.5), (60.5, 20.5), (100.5, 20.5), sag_m=[2.0, 6.0])
    found = solids(read(tmp_path, wire))
    assert found[40, 20][0][0] == near(30 - 2 - 0.5)
    assert found[80, 20][0][0] == near(30 - 6 - 0.5)
    for ix in (20, 60, 100):
        assert found[ix, 20][0] == (-math.inf, near(30.5))
    assert found[63, 20][0][0] > 20
    share = solids(read(tmp_path, line((20.5, 20.5), (60.5, 20.5), sag_m=None, sag_ratio=0.05, supports=False)))
    assert share[40, 20][0][0] == near(30 - 2 - 0.5)


def test_heights_as_third_coordinates_are_in_the_stated_datum_too(tmp_path):
    wire = line((20.5, 20.5), (60.5, 20.5), heights_m=None, datum="WGS84", sag_m=0, supports=False)
    wire["geometry"]["coordinates"] = [[*p, 70.0] for p in wire["geometry"]["coordinates"]]
    found = solids(read(tmp_path, wire))
    lon, lat = place(40, 20)
    assert found[40, 20][0][1] == near(70 - float(geoid_m(Datum.JGD2011, lon, lat)) + 0.5)
    assert 32 < found[40, 20][0][1] < 34


def test_heights_above_ground_stand_on_the_ground(tmp_path):
    found = solids(
        read(tmp_path, mast(100.5, 20.5, datum="AGL"), block(200.5, 20.5, 10, datum="AGL", id="block"),
             line((20, 80.5), (120, 80.5), datum="AGL", id="line", supports=False, sag_m=0)),
    )  # fmt: skip
    assert found[100, 20] == [(-math.inf, near(10 + 10.05 + 40 + 0.5))]
    assert found[205, 25] == [(-math.inf, near(10 + 21.05 + 20 + 0.5))]  # over the highest corner
    assert found[70, 80][0][1] == near(10 + 7.1 + 30 + 0.15 + 0.5)
    with pytest.raises(DatumError, match=r"it: datum: no ground is known under lon 136.*terrain model"):
        read(tmp_path, mast(100, 180, datum="AGL"))
    with pytest.raises(DatumError, match="needs a terrain model"):
        read(tmp_path, mast(100, 20, datum="AGL"), terrain=None)
    assert read(tmp_path, mast(100, 20), terrain=None).counts == {"mast": 1}


def test_masts_and_cranes_are_cylinders_from_the_ground(tmp_path):
    crane = feature("Point", place(100.5, 100.5), kind="crane", height_m=60.0, jib_m=30.2)
    model = read(tmp_path, crane, mast(20.5, 20.5, id="mast"))
    found = solids(model)
    assert {iy for ix, iy in found if ix == 100} == set(range(69, 132))
    assert found[121, 121] == [(-math.inf, near(60.5))]
    assert (123, 123) not in found
    wanted = {(ix, iy) for ix in (19, 20, 21) for iy in (19, 20, 21)}
    assert {cell for cell in found if cell[0] < 50} - {(18, 20), (20, 18), (22, 20), (20, 22)} == wanted
    assert model.counts == {"crane": 1, "mast": 1}
    assert not any(seen.entered_is_surface.any() for seen in model.evidence.values())


def test_blocks_are_grown_by_their_uncertainty_and_only_buildings_are_surface(tmp_path):
    model = read(tmp_path, block(50.6, 50.6, 8, kind="building", uncertainty_m=2.0), block(90.6, 50.6, 8, id="2"))
    found = solids(model)
    assert {ix for ix, iy in found if iy == 54 and ix < 80} == set(range(48, 61))
    assert {ix for ix, iy in found if iy == 54 and ix > 80} == set(range(90, 100))
    assert (48, 48) not in found
    assert found[54, 54] == [(-math.inf, near(22))]
    (seen,) = model.evidence.values()
    is_west = seen.entered_cells // TILE < 80
    assert seen.entered_is_surface[is_west].all()
    assert not seen.entered_is_surface[~is_west].any()
    yard = block(50.6, 50.6, 20)
    inner = [(56.6, 56.6), (64.6, 56.6), (64.6, 64.6), (56.6, 64.6), (56.6, 56.6)]
    yard["geometry"]["coordinates"].append([place(*c) for c in inner])
    assert (60, 60) not in solids(read(tmp_path, yard))


def test_what_is_gone_is_left_out_and_counted(tmp_path):
    old, new = mast(20.5, 20.5, to="2026-01-31", id="old"), mast(60.5, 20.5, **{"from": "2027-01-01", "id": "new"})
    both = read(tmp_path, old, new)
    assert both.counts == {"mast": 2}
    last = read(tmp_path, old, new, as_of=datetime.date(2026, 1, 31))
    assert last.counts == {"mast": 2}
    late = read(tmp_path, old, new, as_of=datetime.date(2026, 2, 1))
    assert late.counts == {"mast": 1, "mast (no longer there)": 1}
    assert {cell[0] // 50 for cell in solids(late)} == {1}


def test_beyond_the_map(tmp_path):
    model = read(tmp_path, mast(-500, 20, datum="AGL"), mast(0.2, 20, id="edge"), mast(50, 20, id="in"))
    assert model.off_map == 2
    assert {cell[0] // 40 for cell in solids(model)} == {0, 1}


def test_the_bounds_hold_all_that_is_blocked(tmp_path):
    crane = feature("Point", place(100.5, 100.5), kind="crane", height_m=60.0, jib_m=300.0)
    source = inspect_obstacles(write(tmp_path / "o.geojson", crane), role="surface", crs="EPSG:6675", vertical="AMSL")
    west, south, east, north = Placing(source.stated, FRAME).box(source.bounds)
    assert west < 100.5 - 300.5 < 100.5 + 300.5 < east
    assert south < 100.5 - 300.5 < 100.5 + 300.5 < north
    assert east - west < 620
    assert source.kind == "obstacles"
    assert source.stated.crs == "EPSG:4326"


def without(key):
    def change(document):
        del document["features"][0]["properties"][key]

    return change


def setting(**values):
    return lambda document: document["features"][0]["properties"].update(values)


def shaped(**values):
    return lambda document: document["features"][0]["geometry"].update(values)


def top(**values):
    return lambda document: document.update(values)


REFUSALS = [
    (without("uncertainty_m"), SurveyError, "it: uncertainty_m: is missing"),
    (without("datum"), DatumError, "it: datum: is missing"),
    (without("kind"), SurveyError, "it: kind: is no kind of obstacle"),
    (without("id"), SurveyError, "feature 1: id: is missing"),
    (without("sag_m"), SurveyError, "needs either sag_m or sag_ratio"),
    (without("heights_m"), SurveyError, "heights_m: needs a height for each vertex"),
    (without("conductor_half_width_m"), SurveyError, "it: conductor_half_width_m: is missing"),
    (setting(kind="ufo"), SurveyError, "it: kind: is no kind of obstacle (got 'ufo'). Use power_line, mast"),
    (setting(kind=["mast"]), SurveyError, "is no kind of obstacle"),
    (setting(datum="sea"), DatumError, "it: datum: input should be 'AGL', 'AMSL'"),
    (setting(sag_ratio=0.1), SurveyError, "needs either sag_m or sag_ratio"),
    (setting(sag_m=[1.0, 2.0]), SurveyError, "sag_m: needs 1 sags, one for each span (got 2)"),
    (setting(sag_m=-1), SurveyError, "(got -1)"),
    (setting(sag_m="4"), SurveyError, "(got '4')"),
    (setting(uncertainty_m="0.5"), SurveyError, "it: uncertainty_m: "),
    (setting(uncertainty_m=True), SurveyError, "it: uncertainty_m: "),
    (setting(heights_m=[30.0]), SurveyError, "heights_m: needs 2 heights, one for each vertex (got 1)"),
    (setting(heights_m=[30.0, 1e6]), SurveyError, "heights_m.1: input should be less than"),
    (setting(sag=4), SurveyError, "it: sag: is no field of an obstacle (got 4). Remove it, or begin its name with x_"),
    (setting(height_m=4), SurveyError, "is no field of an obstacle"),
    (setting(to="2026-13-01"), SurveyError, "it: to: month must be in 1..12"),
    (setting(to=1800), SurveyError, "it: to: a day is written as text (got 1800)"),
    (setting(**{"from": "2026-02-01", "to": "2026-01-01"}), SurveyError, "`to` lies before `from`"),
    (setting(id=5), SurveyError, "feature 1: id: "),
    (shaped(type="Point"), SurveyError, "it: type: input should be 'LineString'"),
    (shaped(coordinates=[[136.3, 36.3]]), SurveyError, "it: coordinates: "),
    (shaped(coordinates=[[36.3, 136.3], [36.301, 136.3]]), SurveyError, "less than or equal to 90"),
    (shaped(coordinates=[[136.3, 36.3], [136.9, 36.3]]), SurveyError, "a span must measure 0.1 m to 6,000 m"),
    (shaped(coordinates=[[136.3, 36.3], [136.3, 36.3]]), SurveyError, "a span must measure 0.1 m to 6,000 m"),
    (shaped(coordinates=[[136.3, 36.3, 5], [136.301, 36.3]]), SurveyError, "some vertices have a height"),
    (shaped(coordinates=[[136.3, 36.3, 5], [136.301, 36.3, 5]]), SurveyError, "needs a height for each vertex, once"),
    (shaped(coordinates=[[136.3, 36.3, 5, 5], [136.301, 36.3, 5, 5]]), SurveyError, "it: coordinates"),
    (top(crs={"type": "name", "properties": {"name": "EPSG:6675"}}), SurveyError, "crs: obstacles are given in WGS84"),
    (top(features={}), SurveyError, "features: must be a list"),
    (top(features=[]), SurveyError, "holds no obstacles"),
    (top(features=[7]), SurveyError, "feature 1: kind"),
    (top(type="Feature"), SurveyError, "not a GeoJSON FeatureCollection"),
    (top(version=3), SurveyError, "version: is no field of an obstacle file"),
    (lambda d: d["features"].append(d["features"][0]), SurveyError, "id: two obstacles have this id (got 'it')"),
    (lambda d: d["features"][0].update(geometry=None), SurveyError, "it: geometry: must be a JSON object"),
    (lambda d: d["features"][0].update(properties=None), SurveyError, "feature 1: kind"),
    (lambda d: d["features"][0].update(style="red"), SurveyError, "it: style: is no field of an obstacle"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "words"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals_name_file_obstacle_field_value_and_mend(tmp_path, change, error, words):
    document = {"type": "FeatureCollection", "features": [line((20, 20), (60, 20))]}
    change(document)
    file = tmp_path / "o.geojson"
    file.write_text(json.dumps(document))
    with pytest.raises(error) as caught:
        inspect_obstacles(file, role="surface")
    said = str(caught.value)
    assert words in said
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not readable GeoJSON"),
        ('{"type": "FeatureCollection", "features": [NaN]}', "NaN is no JSON number"),
        ('{"type": "FeatureCollection", "type": "FeatureCollection"}', "a field stands twice"),
        ("[" * 100_000, "not readable GeoJSON"),
        ("[1, 2]", "not a GeoJSON FeatureCollection"),
        ("\xff\xfe", "not readable GeoJSON"),
    ],
)
def test_what_is_no_geojson(tmp_path, text, words):
    (tmp_path / "o.geojson").write_bytes(text.encode("latin-1"))
    with pytest.raises(SurveyError, match=words):
        inspect_obstacles(tmp_path / "o.geojson", role="surface")


def test_what_gis_programs_write_besides_is_read(tmp_path):
    wire = line((20.5, 20.5), (60.5, 20.5), sag_ratio=None, to=None, x_owner="somebody")
    wire |= {"id": 7, "bbox": [1, 2, 3, 4]}
    named = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert read(tmp_path, wire, name="layer", crs=named).counts == {"power_line": 1}


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_end_in_one_error(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(EXAMPLE.read_bytes())
    if seed % 4 == 0:
        data = data[: int(rng.integers(1, len(data) - 4))]
    else:
        for at in rng.integers(0, len(data), int(rng.integers(1, 9))):
            data[at] ^= 1 << int(rng.integers(0, 8))
    file = tmp_path / "o.geojson"
    file.write_bytes(bytes(data))
    said = refusal(file)
    assert "\n" not in said
    assert not said or str(file) in said
    assert said or seed % 4, "a file that was cut short was read"


def refusal(file) -> str:
    """What is said of a file that may be damaged; nothing when it can be read."""
    try:
        read_obstacles(inspect_obstacles(file, role="surface"), GRID, FRAME, slope, None)
    except InputError as error:
        return str(error)
    return ""


def test_the_example_of_the_manual():
    source = inspect_obstacles(EXAMPLE, role="surface")
    frame = LocalFrame("EPSG:6675", -79000.0, 32600.0, Datum.JGD2011)
    grid = Grid(-79000.0, 32600.0, 2.0, 2000, 1000)
    model = read_obstacles(source, grid, frame, lambda east, north: np.full(np.shape(east), 12.0), None)
    assert model.counts == {"building": 1, "crane": 1, "mast": 1, "power_line": 2, "scaffold": 1}
    assert model.off_map == 0
    manual = (ROOT / "docs" / "obstacles.md").read_text()
    for each in json.loads(EXAMPLE.read_text())["features"]:
        assert all(f"`{key}`" in manual for key in each["properties"] if not key.startswith("x_"))


@pytest.fixture
def generator(monkeypatch):
    spec = importlib.util.spec_from_file_location("sample_generator_for_obstacles", SAMPLE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_samples_power_line_covers_every_wire_and_pylon_of_the_town(generator):
    with rasterio.open(SAMPLE / "dtm.tif") as raster:
        terrain = raster.read(1)
    frame = LocalFrame("EPSG:6675", generator.WEST, generator.SOUTH, Datum.JGD2011)
    grid = Grid(generator.WEST, generator.SOUTH, 2.0, 2000, 1000)
    source = inspect_obstacles(SAMPLE / "obstacles.geojson", role="surface")
    found = solids(read_obstacles(source, grid, frame, None, None))
    tops = []
    for each in json.loads((SAMPLE / "obstacles.geojson").read_text())["features"]:
        if each["properties"]["kind"] == "mast":
            east, north = map(float, frame.to_map(*each["geometry"]["coordinates"]))
            tops.append((east, north, each["properties"]["height_m"] - float(terrain[int(2000 - north), int(east)])))
    points = np.concatenate(generator.string_wires(np.array(tops), terrain))
    points = points[((points[:, :2] >= 0) & (points[:, :2] < [4000, 2000])).all(axis=1)]
    assert len(points) > 10_000
    missed = [p for p in points if not any(a <= p[2] <= b for a, b in found.get((int(p[0] // 2), int(p[1] // 2)), []))]
    assert not missed
    # and there is air below the wires
    lows = np.array([low for rows in found.values() for low, _ in rows])
    assert np.isfinite(lows).mean() > 0.9


def test_documents_are_left_as_they_were(tmp_path):
    wire = line((20.5, 20.5), (60.5, 20.5))
    before = copy.deepcopy(wire)
    read(tmp_path, wire)
    assert wire == before
