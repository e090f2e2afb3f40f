"""CityJSON: levels of detail, parts, transforms; the Delft model whose roofs are too low; and damaged files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.repo import shared_data
from utm.errors import InputError
from utm.frames import LocalFrame
from utm.mapping.ingest.grid import TILE, Grid, grid_over
from utm.mapping.ingest.models import inspect_model, read_model, vertices
from utm.mapping.ingest.placing import Placing
from utm.model import Datum

RD, NAP = "EPSG:28992", Datum.NAP
X, Y = 85_000.0, 447_000.0
TOP = pytest.approx(12.0, abs=1e-4)


class Model:
    """Builds a CityJSON document, vertices in millimetres."""

    def __init__(self, **more):
        self.vertices: list[list[int]] = []
        self.document = {
            "type": "CityJSON", "version": "2.0", "CityObjects": {}, "vertices": self.vertices,
            "transform": {"scale": [0.001] * 3, "translate": [X, Y, 0.0]},
            "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/7415"},
        } | more  # fmt: skip

    def ring(self, points) -> list[int]:
        self.vertices += [[round(v * 1000) for v in point] for point in points]
        return list(range(len(self.vertices) - len(points), len(self.vertices)))

    def square(self, x, y, size, z) -> list[int]:
        return self.ring([(x, y, z), (x + size, y, z), (x + size, y + size, z), (x, y + size, z)])

    def box(self, x, y, size, low, high, lod="1.2", **more) -> dict:
        foot, roof = self.square(x, y, size, low), self.square(x, y, size, high)
        walls = [[foot[k], foot[k - 1], roof[k - 1], roof[k]] for k in range(4)]
        return {"type": "Solid", "lod": lod, "boundaries": [[[face] for face in (foot, roof, *walls)]]} | more

    def add(self, id, kind, *geometries, **more):
        self.document["CityObjects"][id] = {"type": kind, "geometry": list(geometries)} | more
        return self

    def write(self, path):
        path.write_text(json.dumps(self.document))
        return path


def read(path, **options):
    source = inspect_model(path, **({"role": "surface", "crs": None, "vertical": None} | options))
    return read_model(source, Placing(source.stated, LocalFrame(RD, X, Y, NAP)), Grid(X, Y, 1.0, 100, 100))


def solids(model) -> dict[tuple[int, int], list[tuple[float, float, bool]]]:
    found: dict = {}
    for seen in model.evidence.values():
        for cell, *row in zip(
            seen.entered_cells, seen.entered_from, seen.entered_to, seen.entered_is_surface, strict=True
        ):
            found.setdefault((int(cell) // TILE, int(cell) % TILE), []).append((*map(float, row[:2]), bool(row[2])))
    return found


def cells(x0, y0, x1, y1) -> set[tuple[int, int]]:
    return {(ix, iy) for ix in range(x0, x1) for iy in range(y0, y1)}


def test_a_solid_stands_where_it_should(tmp_path):
    model = Model()
    model.add("b", "Building", model.box(10.5, 20.5, 8, 3, 12))
    made = read(model.write(tmp_path / "m.city.json"))
    assert solids(made) == {cell: [(-math.inf, TOP, True)] for cell in cells(10, 20, 19, 29)}
    (seen,) = made.evidence.values()
    assert len(seen.ground_cells) == 81
    np.testing.assert_allclose([seen.ground_low, seen.ground_high], 3.0, atol=1e-4)
    assert made.counts == {"Building": 1}


def test_version_1_0_without_a_transform(tmp_path):
    model = Model(version="1.0")
    model.add("b", "Building", model.box(10.5, 20.5, 8, 3, 12, lod=1))
    del model.document["transform"]
    model.vertices[:] = [[x / 1000 + X, y / 1000 + Y, z / 1000] for x, y, z in model.vertices]
    assert set(solids(read(model.write(tmp_path / "m.json")))) == cells(10, 20, 19, 29)


def test_the_highest_level_of_detail_parts_and_what_is_not_used(tmp_path):
    model = Model()
    model.add(
        "b", "Building", model.box(10.5, 20.5, 8, 3, 50, lod="1.3"), model.box(10.5, 20.5, 8, 3, 12, lod="2.2"),
        children=["part", "room", "nobody"],
    )  # fmt: skip
    model.add("part", "BuildingPart", model.box(18.5, 20.5, 4, 3, 12), parents=["b"], children=["b", "part"])
    model.add("room", "BuildingRoom", model.box(40.5, 20.5, 4, 3, 12), parents=["b"])
    model.add("road", "Road", {"type": "MultiSurface", "lod": "1", "boundaries": [[model.square(50, 50, 4, 1)]]})
    model.add(
        "trees", "PlantCover", {"type": "MultiSurface", "lod": 1, "boundaries": [[model.square(60.5, 60.5, 1, 9)]]}
    )
    model.add("tree", "SolitaryVegetationObject", {"type": "GeometryInstance", "template": 0, "boundaries": [0]})
    made = read(model.write(tmp_path / "m.city.json"))
    found = solids(made)
    assert set(found) == cells(10, 20, 23, 25) | cells(10, 20, 19, 29) | cells(60, 60, 62, 62)
    assert {row for cell in cells(10, 20, 19, 29) for row in found[cell]} == {(-math.inf, 12.0, True)}
    assert found[60, 60] == [(-math.inf, 9.0, False)]
    assert made.counts == {
        "Building": 1, "BuildingRoom (not used)": 1, "PlantCover": 1, "Road (not used)": 1,
        "SolitaryVegetationObject (no geometry that can be used)": 1,
    }  # fmt: skip


def test_bridges_reliefs_holes_and_the_feet_of_detailed_buildings(tmp_path):
    model = Model()
    deck = [[model.square(10.5, 10.5, 4, 9)], [model.square(10.5, 10.5, 4, 8)]]
    model.add("bridge", "Bridge", {"type": "MultiSurface", "lod": "2", "boundaries": deck})
    ground = [[model.ring([(30.5, 30.5, 2), (38.5, 30.5, 2), (30.5, 38.5, 10)])]]
    model.add("relief", "TINRelief", {"type": "CompositeSurface", "lod": "1", "boundaries": ground})
    detailed = model.box(50.5, 50.5, 8, 3, 12, lod="2.2")
    detailed["semantics"] = {"surfaces": [{"type": "RoofSurface"}, {"type": "GroundSurface"}],
                             "values": [[1, 0, None, None, None, None]]}  # fmt: skip
    model.add("detailed", "Building", detailed)
    model.add("nameless", "Building", model.box(70.5, 50.5, 8, 3, 12, lod="2.2"))
    yard = [[model.square(10.5, 60.5, 20, 7), model.square(14.5, 64.5, 12, 7)[::-1]]]
    model.add("yard", "Building", {"type": "MultiSurface", "lod": "1", "boundaries": yard})
    made = read(model.write(tmp_path / "m.city.json"))
    found = solids(made)
    assert found[12, 12] == [(8.0, 9.0, False)]
    assert (20, 70) not in found
    assert (13, 70) in found
    (seen,) = made.evidence.values()
    feet = {(int(c) // TILE, int(c) % TILE): float(z) for c, z in zip(seen.ground_cells, seen.ground_low, strict=True)}
    assert feet[30, 34] == pytest.approx(5.5)
    assert feet[54, 54] == 3.0
    assert (74, 54) not in feet


def test_outlines(tmp_path):
    model = Model()
    for number, (id, z, attributes) in enumerate(
        [("tall", 4, {"measuredHeight": 6.5}), ("flat", 4, {}), ("zero", 0, {"measuredHeight": 6.5})]
    ):
        outline = {"type": "MultiSurface", "lod": "0", "boundaries": [[model.square(10.5 + 10 * number, 5.5, 2, z)]]}
        model.add(id, "Building", outline, attributes=attributes)
    made = read(model.write(tmp_path / "m.city.json"))
    assert solids(made) == {cell: [(-math.inf, 10.5, True)] for cell in cells(10, 5, 13, 8)}
    assert made.counts == {"Building": 1, "Building (no height)": 2}


def refusal(path) -> str:
    """What is said of a file that may be damaged; nothing when it can be read."""
    try:
        read(path)
    except InputError as error:
        return str(error)
    return ""


def put(*path):
    """A change of a document: a value at a path of keys."""

    def change(document):
        *keys, last, value = path
        for key in keys:
            document = document[key]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


REFUSALS = [
    (put("type", "CityJSONFeature"), "not a CityJSON file"),
    (put("version", "3.0"), "a version of CityJSON that is not read"),
    (put("version", None), "a version of CityJSON that is not read"),
    (put("transform", None), "transform: is missing"),
    (put("transform", "scale", [1, 2]), "transform.scale: must be 3 numbers"),
    (put("vertices", 3, [1, 2]), "vertices: must be n x 3 numbers"),
    (put("vertices", 3, [1, 2, "3"]), "vertices: must be n x 3 numbers"),
    (put("vertices", 3, [10**400, 2, 3]), "vertices: must be n x 3 numbers"),
    (put("vertices", []), "vertices: must be n x 3 numbers"),
    (put("metadata", "geographicalExtent", [X, Y, 0, X + 9, Y + 9, 9]), "outside of the envelope"),
    (put("metadata", "referenceSystem", None), "states no coordinate reference system"),
    (put("metadata", "referenceSystem", 7415), "metadata.referenceSystem: must be text"),
    (put("CityObjects", []), "CityObjects: must be a JSON object"),
    (put("CityObjects", "b", 7), "b: must be a JSON object"),
    (put("CityObjects", "b", "type", None), "b: an object without a type"),
    (put("CityObjects", "b", "type", "Road"), "holds nothing that a map uses"),
    (put("CityObjects", "b", "children", "x"), "children must be a list of ids"),
    (put("CityObjects", "b", "geometry", 5), "geometry must be a list"),
    (put("CityObjects", "b", "geometry", 0, "lod", "high"), "lod must be a number"),
    (put("CityObjects", "b", "geometry", 0, "boundaries", 0, 0, 0, [0, 1, 99]), "a ring that is no list of at least 3"),
    (put("CityObjects", "b", "geometry", 0, "boundaries", 0, 0, 0, [0, 1, -1]), "a ring that is no list of at least 3"),
    (put("CityObjects", "b", "geometry", 0, "boundaries", 0, 0, 0, [0, True, 2]), "a ring that is no list of at leas"),
    (put("CityObjects", "b", "geometry", 0, "boundaries", 0, 0, []), "a surface without rings"),
    (put("CityObjects", "b", "geometry", 0, "boundaries", 0, 7), "boundaries that are no lists"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals(tmp_path, change, words):
    model = Model()
    model.add("b", "Building", model.box(10.5, 20.5, 8, 3, 12))
    change(model.document)
    said = refusal(model.write(tmp_path / "m.city.json"))
    assert words in said
    assert said.startswith(f"{tmp_path / 'm.city.json'}: ")
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"type": "CityJSON", "vertices": [[NaN', "\x00\xff", "{}", "7"])
def test_what_is_no_city_json(tmp_path, text):
    (tmp_path / "m.json").write_bytes(text.encode("latin-1"))
    said = refusal(tmp_path / "m.json")
    assert said.startswith(f"{tmp_path / 'm.json'}: ")
    assert "\n" not in said


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_end_in_one_error(tmp_path, seed):
    rng = np.random.default_rng(seed)
    model = Model()
    for k in range(4):
        model.add(f"b{k}", "Building", model.box(5 + 10 * k, 20.5, 8, 3, 12), children=[f"p{k}"])
        model.add(f"p{k}", "BuildingPart", model.box(5 + 10 * k, 30.5, 8, 3, 12, lod="2"), parents=[f"b{k}"])
    file = model.write(tmp_path / "m.city.json")
    data = bytearray(file.read_bytes())
    if seed % 4 == 0:
        data = data[: int(rng.integers(1, len(data)))]
    else:
        for place in rng.integers(0, len(data), int(rng.integers(1, 6))):
            data[place] ^= 1 << int(rng.integers(0, 8))
    file.write_bytes(bytes(data))
    said = refusal(file)
    assert "\n" not in said
    assert not said or str(file) in said
    assert said or seed % 4, "a file that was cut short was read"


def test_delft_loads_with_its_roofs_at_their_own_heights():
    file = shared_data("delft") / "delft_lod1_LOW_ROOFS.city.json"
    source = inspect_model(file, role="surface", crs=None, vertical=None)
    assert source.stated.crs == RD
    assert source.stated.vertical is NAP
    grid = grid_over([source.bounds], 1.0)
    placing = Placing(source.stated, LocalFrame(RD, grid.west, grid.south, NAP))
    made = read_model(source, placing, grid)
    used = {name: n for name, n in made.counts.items() if "(" not in name}
    assert used == {"Bridge": 3, "Building": 160, "PlantCover": 126}
    assert sum(made.counts.values()) == 570
    assert made.off_map == 0
    document = json.loads(file.read_text())
    east, north, up = vertices(source, placing)
    (seen,) = made.evidence.values()
    top, low = np.full(grid.shape, -np.inf), np.full(grid.shape, np.inf)
    at = seen.entered_cells // TILE, seen.entered_cells % TILE
    np.maximum.at(top, at, seen.entered_to)
    np.minimum.at(low, at, seen.entered_from)
    ix, iy = east.astype(int), north.astype(int)
    assert (top[ix, iy] >= up).all()
    assert (low[ix, iy] <= up).all()
    raw = np.array(document["vertices"]) * document["transform"]["scale"] + document["transform"]["translate"]
    assert east.min() + grid.west >= raw[:, 0].min() - 1e-6
    assert up.max() == pytest.approx(raw[:, 2].max(), abs=1e-6)
