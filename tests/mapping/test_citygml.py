"""CityGML as PLATEAU writes it: the right place, the right height, the right level of detail; and damaged files."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from lxml import etree

from tests.repo import shared_data
from utm.errors import DatumError, InputError, SurveyError
from utm.frames import LocalFrame
from utm.mapping.ingest import citygml
from utm.mapping.ingest.grid import TILE, Grid, grid_over
from utm.mapping.ingest.models import inspect_model, read_model, vertices
from utm.mapping.ingest.placing import Placing
from utm.model import Datum

LAT, LON = 36.3, 136.31
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0" xmlns:gml="http://www.opengis.net/gml"
 xmlns:bldg="http://www.opengis.net/citygml/building/2.0" xmlns:brid="http://www.opengis.net/citygml/bridge/2.0"
 xmlns:dem="http://www.opengis.net/citygml/relief/2.0" xmlns:tran="http://www.opengis.net/citygml/transportation/2.0"
 xmlns:frn="http://www.opengis.net/citygml/cityfurniture/2.0" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:veg="http://www.opengis.net/citygml/vegetation/2.0">
"""
ENVELOPE = (
    f'<gml:boundedBy><gml:Envelope srsName="{{srs}}" srsDimension="3"><gml:lowerCorner>{LAT - 0.001} {LON - 0.001} -5'
    f"</gml:lowerCorner><gml:upperCorner>{LAT + 0.01} {LON + 0.01} 200</gml:upperCorner></gml:Envelope></gml:boundedBy>"
)
SRS = "http://www.opengis.net/def/crs/EPSG/0/6697"
TO_MAP = pyproj.Transformer.from_crs("EPSG:6668", "EPSG:6675", always_xy=True)
ORIGIN = tuple(math.floor(v) for v in TO_MAP.transform(LON, LAT))


def ring(points) -> str:
    """Metres from the origin as a LinearRing in latitude, longitude, height; closed."""
    points = np.array([*points, points[0]], float)
    lon, lat = TO_MAP.transform(points[:, 0] + ORIGIN[0], points[:, 1] + ORIGIN[1], direction="INVERSE")
    numbers = " ".join(f"{a:.12f} {o:.12f} {z:.3f}" for a, o, z in zip(lat, lon, points[:, 2], strict=True))
    return f"<gml:LinearRing><gml:posList>{numbers}</gml:posList></gml:LinearRing>"


def polygon(outline, *holes, tag: str = "Polygon") -> str:
    inner = "".join(f"<gml:interior>{ring(hole)}</gml:interior>" for hole in holes)
    return f"<gml:{tag}><gml:exterior>{ring(outline)}</gml:exterior>{inner}</gml:{tag}>"


def surfaces(*polygons: str) -> str:
    members = "".join(f"<gml:surfaceMember>{p}</gml:surfaceMember>" for p in polygons)
    return f"<gml:MultiSurface>{members}</gml:MultiSurface>"


def square(x: float, y: float, size: float, z: float) -> list[tuple[float, float, float]]:
    return [(x, y, z), (x + size, y, z), (x + size, y + size, z), (x, y + size, z)]


def box(x: float, y: float, size: float, low: float, high: float) -> list[str]:
    foot, roof = square(x, y, size, low), square(x, y, size, high)
    walls = [[foot[k], foot[k - 1], roof[k - 1], roof[k]] for k in range(4)]
    return [polygon(face) for face in (foot, roof, *walls)]


def solid(*polygons: str) -> str:
    return f"<gml:Solid><gml:exterior>{surfaces(*polygons)}</gml:exterior></gml:Solid>".replace(
        "gml:MultiSurface", "gml:CompositeSurface"
    )


def member(xml: str) -> str:
    return f"<core:cityObjectMember>{xml}</core:cityObjectMember>"


def building(*parts: str, id: str = "b") -> str:
    return member(f'<bldg:Building gml:id="{id}">{"".join(parts)}</bldg:Building>')


def write(path, *members: str, srs: str = SRS, head: str = HEAD, envelope: str = ENVELOPE):
    path.write_text(head + envelope.format(srs=srs) + "".join(members) + "</core:CityModel>", encoding="utf-8")
    return path


def inspected(path, **options):
    return inspect_model(path, **({"role": "surface", "crs": None, "vertical": None} | options))


class Read:
    """A model on a grid of 1 m cells, 100 x 100 from the origin, as dictionaries by cell."""

    def __init__(self, path, **options):
        grid = Grid(*map(float, ORIGIN), 1.0, 100, 100)
        frame = LocalFrame("EPSG:6675", *map(float, ORIGIN), Datum.JGD2011)
        self.source = inspected(path, **options)
        self.placing = Placing(self.source.stated, frame)
        self.model = read_model(self.source, self.placing, grid)
        found = self.model.evidence.get((0, 0))
        self.solids, self.surface, self.ground = {}, set(), {}
        if found:
            cells = [(int(c) // TILE, int(c) % TILE) for c in found.entered_cells]
            for cell, low, high, is_surface in zip(
                cells, found.entered_from, found.entered_to, found.entered_is_surface, strict=True
            ):
                self.solids.setdefault(cell, []).append((float(low), float(high)))
                if is_surface:
                    self.surface.add(cell)
            for cell, low, high in zip(found.ground_cells, found.ground_low, found.ground_high, strict=True):
                self.ground[int(cell) // TILE, int(cell) % TILE] = (float(low), float(high))

    def tops(self):
        return {cell: max(high for _, high in rows) for cell, rows in self.solids.items()}


def cells(x0: int, y0: int, x1: int, y1: int) -> set[tuple[int, int]]:
    return {(ix, iy) for ix in range(x0, x1) for iy in range(y0, y1)}


def near(value):
    return pytest.approx(value, abs=1e-4)


def test_a_solid_stands_where_it_should(tmp_path):
    file = write(tmp_path / "m.gml", building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>"))
    read = Read(file)
    assert set(read.solids) == read.surface == set(read.ground) == cells(10, 20, 19, 29)
    assert list(read.tops().values()) == near([12] * 81)
    assert all(low == -math.inf for rows in read.solids.values() for low, _ in rows)
    assert list(read.ground.values()) == [(near(3), near(3))] * 81
    assert read.model.counts == {"Building": 1}
    assert read.model.off_map == 0
    assert read.source.stated.crs == "EPSG:6668"
    assert read.source.stated.vertical is Datum.JGD2011
    west, south, east, north = read.source.bounds
    assert 136 < west < east < 137
    assert 36 < south < north < 37


@pytest.mark.parametrize(
    "srs", [SRS, "urn:ogc:def:crs:EPSG::6697", "EPSG:6697", "https://www.opengis.net/def/crs/EPSG/0/6697"]
)
def test_the_authoritys_axis_order_by_any_name(tmp_path, srs):
    body = building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>")
    assert set(Read(write(tmp_path / "m.gml", body, srs=srs)).solids) == cells(10, 20, 19, 29)


def test_longitude_first_is_refused_not_guessed(tmp_path):
    swapped = building(
        "<bldg:lod1MultiSurface>"
        + surfaces(
            "<gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>136.31 36.3 1 136.32 36.3 1 136.31 36.4 1 "
            "136.31 36.3 1</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
        )
        + "</bldg:lod1MultiSurface>"
    )
    bare = '<gml:boundedBy><gml:Envelope srsName="{srs}"><gml:lowerCorner>136 36 0</gml:lowerCorner><gml:upperCorner>\
137 37 9</gml:upperCorner></gml:Envelope></gml:boundedBy>'
    with pytest.raises(SurveyError, match=r"outside of the area of JGD2011.*order of its axes"):
        inspected(write(tmp_path / "m.gml", swapped, envelope=bare))
    with pytest.raises(SurveyError, match="outside of the envelope"):
        inspected(write(tmp_path / "m.gml", swapped))


def test_the_highest_level_of_detail_counts_and_roofs_slope(tmp_path):
    low, ridge = 6.0, 10.0
    slopes = [
        [(10.5, 20.5, low), (18.5, 20.5, low), (18.5, 24.5, ridge), (10.5, 24.5, ridge)],
        [(10.5, 28.5, low), (18.5, 28.5, low), (18.5, 24.5, ridge), (10.5, 24.5, ridge)],
    ]
    roof = "".join(
        f"<bldg:boundedBy><bldg:RoofSurface><bldg:lod2MultiSurface>{surfaces(polygon(s))}</bldg:lod2MultiSurface>"
        "</bldg:RoofSurface></bldg:boundedBy>"
        for s in slopes
    )
    ground = (
        f"<bldg:boundedBy><bldg:GroundSurface><bldg:lod2MultiSurface>{surfaces(polygon(square(12.5, 22.5, 4, 2)))}"
        "</bldg:lod2MultiSurface></bldg:GroundSurface></bldg:boundedBy>"
    )
    refers = '<bldg:lod2Solid><gml:Solid><gml:exterior><gml:CompositeSurface><gml:surfaceMember xlink:href="#x"/>\
</gml:CompositeSurface></gml:exterior></gml:Solid></bldg:lod2Solid>'
    tall = f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 50))}</bldg:lod1Solid>"
    read = Read(write(tmp_path / "m.gml", building(tall, refers, roof, ground)))
    tops = read.tops()
    assert set(tops) == cells(10, 20, 19, 29)
    for (_, iy), top in tops.items():
        best = ridge if iy == 24 else low + min(iy + 1 - 20.5, 28.5 - iy)  # one metre up for each metre in
        assert top == near(best), iy
    # the eaves stand out: only the foot says where the ground is
    assert set(read.ground) == cells(12, 22, 17, 27)
    assert list(read.ground.values()) == [(near(2), near(2))] * 25


def test_holes_parts_and_installations(tmp_path):
    yard = polygon(square(10.5, 10.5, 20, 9), square(15.5, 15.5, 8, 9)[::-1])
    parts = (
        f"<bldg:consistsOfBuildingPart><bldg:BuildingPart><bldg:lod1MultiSurface>{surfaces(yard)}"
        "</bldg:lod1MultiSurface></bldg:BuildingPart></bldg:consistsOfBuildingPart>"
        "<bldg:outerBuildingInstallation><bldg:BuildingInstallation><bldg:lod2Geometry>"
        f"{surfaces(polygon(square(11.2, 11.2, 0.5, 14)))}</bldg:lod2Geometry></bldg:BuildingInstallation>"
        "</bldg:outerBuildingInstallation>"
        f"<bldg:interiorRoom><bldg:Room><bldg:lod4Solid>{solid(*box(60, 60, 3, 0, 90))}</bldg:lod4Solid></bldg:Room>"
        "</bldg:interiorRoom>"
        f"<bldg:lod0RoofEdge>{surfaces(polygon(square(40.5, 40.5, 3, 9)))}</bldg:lod0RoofEdge>"
    )
    read = Read(write(tmp_path / "m.gml", building(parts)))
    tops = read.tops()
    assert set(tops) == cells(10, 10, 31, 31) - cells(16, 16, 23, 23)
    assert tops[11, 11] == near(14)
    assert tops[12, 12] == near(9)


def test_outlines_with_a_measured_height(tmp_path):
    height = "<bldg:measuredHeight uom='m'>7.5</bldg:measuredHeight>"
    unknown = "<bldg:measuredHeight uom='m'>-9999</bldg:measuredHeight>"

    def outline(where: str, x: float, z: float) -> str:
        return f"<bldg:{where}>{surfaces(polygon(square(x, 5.5, 2, z)))}</bldg:{where}>"

    read = Read(
        write(
            tmp_path / "m.gml",
            building(height, outline("lod0FootPrint", 5.5, 4), id="foot"),
            building(height, outline("lod0RoofEdge", 15.5, 4), id="roof"),
            building(unknown, outline("lod0RoofEdge", 25.5, 4), id="roof without height"),
            building(height, outline("lod0FootPrint", 35.5, 0), id="no height at all"),
            building(unknown, outline("lod0FootPrint", 45.5, 3), id="foot without height"),
            building(height, outline("lod0FootPrint", 55.5, 4), outline("lod0RoofEdge", 55.5, 13), id="both"),
            building("<bldg:lod1Solid/>", id="empty"),
        )
    )
    tops = read.tops()
    assert {cell[0]: top for cell, top in tops.items() if cell[0] % 10 == 6} == {
        6: near(11.5), 16: near(11.5), 26: near(4), 56: near(13)
    }  # fmt: skip
    assert {cell[0] // 10 for cell in read.ground} == {0, 5}
    assert read.model.counts == {
        "Building": 4, "Building (no height)": 2, "Building (no geometry that can be used)": 1
    }  # fmt: skip


def test_bridges_have_air_below_and_roads_are_not_used(tmp_path):
    deck = [(10.5, 10.5, 8), (30.5, 10.5, 12), (30.5, 14.5, 12), (10.5, 14.5, 8)]
    under = [(x, y, z - 1) for x, y, z in deck]
    bridge = f'<brid:Bridge gml:id="x"><brid:lod2MultiSurface>{surfaces(polygon(deck), polygon(under))}\
</brid:lod2MultiSurface></brid:Bridge>'
    road = f"<tran:Road><tran:lod1MultiSurface>{surfaces(polygon(square(50.5, 50.5, 9, 3)))}</tran:lod1MultiSurface>\
</tran:Road>"
    lamp = f"<frn:CityFurniture><frn:lod1Geometry>{surfaces(polygon(square(70.2, 70.2, 0.3, 9)))}</frn:lod1Geometry>\
</frn:CityFurniture>"
    tree = f"<veg:SolitaryVegetationObject><veg:lod1Geometry>{surfaces(polygon(square(80.2, 70.2, 0.3, 9)))}\
</veg:lod1Geometry></veg:SolitaryVegetationObject>"
    read = Read(write(tmp_path / "m.gml", *map(member, (bridge, road, lamp, tree))))
    assert set(read.solids) == cells(10, 10, 31, 15) | {(70, 70), (80, 70)}
    (run,) = read.solids[20, 12]
    assert run == (near(8 + 9.5 / 5 - 1), near(8 + 10.5 / 5))
    assert read.solids[70, 70] == [(-math.inf, near(9))]
    assert read.surface == set()
    assert read.ground == {}
    assert read.model.counts == {
        "Bridge": 1, "CityFurniture": 1, "Road (not used)": 1, "SolitaryVegetationObject": 1
    }  # fmt: skip


def test_a_relief_is_ground_and_wins_over_the_feet_of_buildings(tmp_path, monkeypatch):
    monkeypatch.setattr(citygml, "RELIEF_BATCH", 1)  # handed on triangle by triangle
    corners = square(10.5, 10.5, 10, 5.0)
    corners[2] = (20.5, 20.5, 15.0)
    triangles = [polygon(c, tag="Triangle") for c in ([*corners[:3]], [corners[0], corners[2], corners[3]])]
    relief = (
        "<dem:ReliefFeature><dem:lod>1</dem:lod><dem:reliefComponent><dem:TINRelief><dem:lod>1</dem:lod><dem:tin>"
        f"<gml:TriangulatedSurface><gml:trianglePatches>{''.join(triangles)}</gml:trianglePatches>"
        "</gml:TriangulatedSurface></dem:tin></dem:TINRelief></dem:reliefComponent></dem:ReliefFeature>"
    )
    house = building(f"<bldg:lod1Solid>{solid(*box(18.5, 12.5, 8, 3, 22))}</bldg:lod1Solid>")
    read = Read(write(tmp_path / "m.gml", house, member(relief)))
    assert set(read.ground) == cells(10, 10, 21, 21) | cells(18, 12, 27, 21)
    assert read.ground[19, 13][0] > 4.9
    assert read.ground[22, 14] == (near(3), near(3))
    assert read.ground[15, 15] == (near(5 + 4.5), near(5 + 5.5))
    assert read.model.counts == {"Building": 1, "TINRelief": 1}


def test_what_lies_beyond_the_map_is_dropped_and_counted(tmp_path):
    def house(x: float) -> str:
        return building(f"<bldg:lod1Solid>{solid(*box(x, 20.5, 8, 3, 12))}</bldg:lod1Solid>", id=str(x))

    read = Read(write(tmp_path / "m.gml", house(-4.5), house(40.5), house(300.5)))
    assert read.model.off_map == 2
    assert set(read.solids) == cells(0, 20, 4, 29) | cells(40, 20, 49, 29)


def test_heights_in_another_datum_are_converted(tmp_path):
    file = write(
        tmp_path / "m.gml", building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 40, 52))}</bldg:lod1Solid>"),
        srs="http://www.opengis.net/def/crs/EPSG/0/4979",
    )  # fmt: skip
    assert list(Read(file).tops().values()) == pytest.approx([52 - 37.28] * 81, abs=0.05)


def refusal(file) -> str:
    """What is said of a file that may be damaged; nothing when it can be read."""
    try:
        Read(file)
    except InputError as error:
        return str(error)
    return ""


REFUSALS = [
    ("two CRS", lambda s: s.replace("<gml:Solid>", '<gml:Solid srsName="EPSG:6675">'), "mixes two coordinate"),
    ("no number", lambda s: s.replace(" 12.000 ", " 12.0O0 ", 1), "coordinates that are none"),
    ("nan", lambda s: s.replace(" 12.000 ", " nan ", 1), "not a finite number"),
    ("two dimensions", lambda s: s.replace(" 12.000 ", " ", 1), "no ring in three dimensions"),
    ("doctype", lambda s: s.replace("<core:City", '<!DOCTYPE x [<!ENTITY a "aaaa">]><core:City', 1), "document type"),
    ("encoding", lambda s: s.replace('"UTF-8"', '"UTF-7"'), "encoding that is not read"),
    ("not GML", lambda s: '<?xml version="1.0"?><html><body/></html>', "not a CityGML file"),
    ("CityGML 3", lambda s: s.replace("citygml/2.0", "citygml/3.0"), "CityGML 3 is not read"),
    ("cut", lambda s: s[: len(s) // 2], "not readable CityGML"),
    ("empty", lambda s: "", "the file is empty"),
    ("text", lambda s: "Dear surveyor, the files are on the other disk.", "not readable CityGML"),
    ("high", lambda s: s.replace(" 12.000 ", " 12000.0 ").replace(" 200</", " 20000</"), "a height that no city has"),
    ("outside", lambda s: s.replace(" 12.000 ", " 312.0 "), "outside of the envelope"),
    ("nothing", lambda s: s.replace("bldg:Building", "bldg:Nothing"), "holds nothing that a map uses"),
]  # fmt: skip


@pytest.mark.parametrize(("garble", "words"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refusals(tmp_path, garble, words):
    file = write(tmp_path / "m.gml", building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>"))
    file.write_text(garble(file.read_text()))
    with pytest.raises(SurveyError) as caught:
        inspected(file)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert len(message) < 500


def test_no_crs_and_no_datum_are_never_guessed(tmp_path):
    body = building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>")
    bare = write(tmp_path / "m.gml", body, envelope="")
    with pytest.raises(SurveyError, match="states no coordinate reference system"):
        inspected(bare)
    assert set(Read(bare, crs="EPSG:6697").solids) == cells(10, 20, 19, 29)
    flat = write(tmp_path / "flat.gml", body, srs="http://www.opengis.net/def/crs/EPSG/0/6668")
    with pytest.raises(DatumError, match="does not say what its heights"):
        inspected(flat)
    assert set(Read(flat, vertical="JGD2011").solids) == cells(10, 20, 19, 29)


def test_a_file_that_changed_is_noticed(tmp_path):
    body = building(f"<bldg:lod1Solid>{solid(*box(10.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>")
    other = building(f"<bldg:lod1Solid>{solid(*box(30.5, 20.5, 8, 3, 12))}</bldg:lod1Solid>")
    read = Read(write(tmp_path / "m.gml", body))
    write(tmp_path / "m.gml", other)
    with pytest.raises(SurveyError, match="changed since it was inspected"):
        read_model(read.source, read.placing, Grid(0.0, 0.0, 1.0, 9, 9))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_end_in_one_error(tmp_path, seed):
    rng = np.random.default_rng(seed)
    roofs = [polygon(square(5.5 + 9 * k, 5.5, 7, 8 + k), square(7.5 + 9 * k, 7.5, 2, 8 + k)) for k in range(5)]
    body = [building(f"<bldg:lod1MultiSurface>{surfaces(r)}</bldg:lod1MultiSurface>", id=f"b{k}") for k, r in
            enumerate(roofs)]  # fmt: skip
    file = write(tmp_path / "m.gml", *body)
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


@pytest.fixture(scope="module")
def ina():
    (file,) = shared_data("plateau_ina").glob("*.gml")
    source = inspected(file)
    bounds = Placing(source.stated, LocalFrame("EPSG:6675", 0.0, 0.0, Datum.JGD2011)).box(source.bounds)
    grid = grid_over([bounds], 1.0)
    placing = Placing(source.stated, LocalFrame("EPSG:6675", grid.west, grid.south, Datum.JGD2011))
    return file, source, placing, grid


def solid_vertices(file) -> np.ndarray:
    """Latitude, longitude, height of every vertex of every lod1Solid, read in the plainest way."""
    tree = etree.parse(str(file))
    gml = "{http://www.opengis.net/gml}posList"
    solids = tree.iter("{http://www.opengis.net/citygml/building/2.0}lod1Solid")
    return np.concatenate([np.array(p.text.split(), float).reshape(-1, 3) for s in solids for p in s.iter(gml)])


def test_ina_every_vertex_lies_in_a_solid_at_its_place(ina):
    file, source, placing, grid = ina
    model = read_model(source, placing, grid)
    assert model.counts == {"Building": 329}
    assert model.off_map == 0
    raw = solid_vertices(file)
    to_map = pyproj.Transformer.from_crs("EPSG:6697", "EPSG:6675", always_xy=False)  # X is north in Japan
    x_north, y_east = to_map.transform(raw[:, 0], raw[:, 1])
    east, north, up = vertices(source, placing)
    np.testing.assert_allclose(np.sort(east), np.sort(y_east - grid.west), atol=1e-3)
    np.testing.assert_allclose(np.sort(north), np.sort(x_north - grid.south), atol=1e-3)
    np.testing.assert_allclose(np.sort(up), np.sort(raw[:, 2]), atol=1e-9)
    top, foot = np.full(grid.shape, -np.inf), np.full(grid.shape, np.inf)
    for (tx, ty), seen in model.evidence.items():
        ix, iy = seen.entered_cells // TILE + tx * TILE, seen.entered_cells % TILE + ty * TILE
        top[ix, iy] = np.maximum(top[ix, iy], seen.entered_to)
        assert seen.entered_is_surface.all()
        ix, iy = seen.ground_cells // TILE + tx * TILE, seen.ground_cells % TILE + ty * TILE
        foot[ix, iy] = seen.ground_low
    ix, iy = np.floor(y_east - grid.west).astype(int), np.floor(x_north - grid.south).astype(int)
    assert (top[ix, iy] >= raw[:, 2]).all()
    assert (foot[ix, iy] <= raw[:, 2]).all()
    # the highest vertex of the file is the highest of the map, and the feet stand on a slope
    assert top.max() == pytest.approx(raw[:, 2].max(), abs=1e-4)
    known = np.isfinite(foot)
    assert foot[known].min() == pytest.approx(raw[:, 2].min(), abs=1e-4)
    assert 24 < foot[known].max() - foot[known].min() < 26
    # no more cells than the plan view of the buildings, and a seam of at most a cell around it
    assert 40_000 < np.isfinite(top).sum() < 45_000


@pytest.mark.parametrize("seed", range(6))
def test_ina_with_flipped_bits(ina, tmp_path, seed):
    file, *_ = ina
    rng = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    for place in rng.integers(0, len(data), 200):
        data[place] ^= 1 << int(rng.integers(0, 8))
    bad = tmp_path / "bad.gml"
    bad.write_bytes(bytes(data))
    with pytest.raises(InputError):
        inspected(bad)
