"""Files made by somebody who means harm, or by a program gone wrong: each lies in one particular way."""

from __future__ import annotations

import gzip
import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.mapping.hostile_files import SAID, city_json, gml, gml_building, gml_polygon, obstacles, seeds


@dataclass(frozen=True)
class Liar:
    """A file that must be refused, unless ``may_pass``: then a sound map may come of it."""

    name: str
    """With its suffix."""
    data: bytes
    said: dict[str, str] = field(default_factory=dict)
    role: str = "surface"
    may_pass: bool = False


def liars() -> Iterator[Liar]:
    """All of them."""
    for number, liar in enumerate(itertools.chain(_tiff(), _las(), _points(), _gml(), _json(), _anything())):
        stem, _, suffix = liar.name.partition(".")
        yield Liar(f"{stem}-{number}.{suffix}", liar.data, liar.said, liar.role, liar.may_pass)


# --- GeoTIFF ----------------------------------------------------------------------------------------------

WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, ROWS, COUNTS, TILE_WIDTH, TILE_HEIGHT = (
    256, 257, 258, 259, 273, 277, 278, 279, 322, 323
)  # fmt: skip
SCALE = 33550


def with_tags(data: bytes, *tags: tuple[int, float]) -> bytes:
    """A little-endian TIFF with other values of some tags of its first directory; a float goes where the tag points."""
    made = bytearray(data)
    (at,) = struct.unpack_from("<I", made, 4)
    (entries,) = struct.unpack_from("<H", made, at)
    places = {struct.unpack_from("<H", made, at + 2 + 12 * n)[0]: at + 2 + 12 * n for n in range(entries)}
    for tag, value in tags:
        place = places[tag]
        if isinstance(value, float):
            (far,) = struct.unpack_from("<I", made, place + 8)
            struct.pack_into("<dd", made, far, value, value)
        else:
            struct.pack_into("<HHII", made, place, tag, 4, 1, value)
    return bytes(made)


def _tiff() -> Iterator[Liar]:
    striped, tiled = seeds()["striped.tif"].data, seeds()["deflate.tif"].data
    huge = 2**31 - 1
    for tags in (
        [(WIDTH, huge), (HEIGHT, huge)], [(WIDTH, 2**31), (HEIGHT, 2**31)], [(WIDTH, huge)], [(HEIGHT, huge)],
        [(WIDTH, 0)], [(WIDTH, 100_000), (HEIGHT, 100_000)], [(WIDTH, huge), (HEIGHT, huge), (SCALE, 1e-7)],
        [(HEIGHT, huge), (SCALE, 1e-7)], [(WIDTH, 2**29), (SCALE, 1e-7)], [(HEIGHT, 2**28), (ROWS, 1), (SCALE, 1e-6)],
        [(SCALE, 0.0)], [(SCALE, float("nan"))], [(SCALE, 1e300)], [(SCALE, 1e-300)],
    ):  # fmt: skip
        yield Liar("dimensions.tif", with_tags(striped, *tags))
    for tags in (
        [(BITS, 65535)], [(BITS, 1)], [(COMPRESSION, 34712)], [(COMPRESSION, 65535)], [(SAMPLES, 65535)],
        [(OFFSETS, 2**32 - 1)], [(OFFSETS, 8)], [(COUNTS, 2**32 - 1)], [(COUNTS, 0)], [(ROWS, 0)], [(ROWS, 2**32 - 1)],
    ):  # fmt: skip
        yield Liar("layout.tif", with_tags(striped, *tags), may_pass=True)
    for edge in (0, 17, 2**15, 2**20, 2**31 - 16, 2**32 - 16):
        yield Liar("tiles.tif", with_tags(tiled, (TILE_WIDTH, edge), (TILE_HEIGHT, edge)))
    for edge in (2**15, 2**17, 2**20):
        bomb = with_tags(tiled, (TILE_WIDTH, edge), (TILE_HEIGHT, edge), (WIDTH, edge), (HEIGHT, edge))
        yield Liar("tiles.tif", bomb)
    (directory,) = struct.unpack_from("<I", striped, 4)
    (entries,) = struct.unpack_from("<H", striped, directory)
    loop = bytearray(striped)
    struct.pack_into("<I", loop, directory + 2 + 12 * entries, directory)
    yield Liar("loop.tif", bytes(loop), may_pass=True)
    struct.pack_into("<H", loop, directory, 65535)
    yield Liar("entries.tif", bytes(loop))
    # GDAL takes a file for what it holds, whatever it is called; this one reads others
    source = "<SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
    for target in ("/etc/passwd", "/vsicurl/http://127.0.0.1:9/a.tif", "/vsizip/a.zip"):
        vrt = (
            '<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:6675+6695</SRS><GeoTransform>-77000,1,0,33640,0,-1'
            f'</GeoTransform><VRTRasterBand dataType="Float32" band="1">{source.format(target)}</VRTRasterBand>'
            "</VRTDataset>"
        )
        yield Liar("virtual.tif", vrt.encode())
    grid = "ncols 60\nnrows 40\nxllcorner -77000\nyllcorner 33600\ncellsize 1\n" + "12.5 " * 2400
    yield Liar("grid.tif", grid.encode(), SAID)
    yield Liar("dtm.tif", with_tags(striped, (WIDTH, huge), (HEIGHT, huge)), role="terrain")


# --- clouds -----------------------------------------------------------------------------------------------

#: Byte and type of what a LAS header says.
_LAS = {
    "header size": (94, "H"), "points at": (96, "I"), "records": (100, "I"), "format": (104, "B"), "length": (105, "H"),
    "legacy count": (107, "I"), "x scale": (131, "d"), "z scale": (147, "d"), "x offset": (155, "d"),
    "z offset": (171, "d"), "highest x": (179, "d"), "lowest x": (187, "d"), "highest z": (211, "d"),
}  # fmt: skip
_LAS_14 = {"extended at": (235, "Q"), "extended": (243, "I"), "count": (247, "Q")}


def _las() -> Iterator[Liar]:
    integers = [0, 1, 2**8 - 1, 2**16 - 1, 2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 1]
    for name in ("v2.las", "v4.las", "v2.laz", "v4.laz"):
        good = seeds()[name].data
        fields = _LAS | (_LAS_14 if name.startswith("v4") else {})
        for what, (at, kind) in fields.items():
            reals = [0.0, -1.0, float("nan"), float("inf"), 1e300, -1e12]
            top = 256 ** struct.calcsize(kind)
            for value in reals if kind == "d" else [value for value in integers if value < top]:
                data = bytearray(good)
                struct.pack_into(f"<{kind}", data, at, value)
                if bytes(data) != good:
                    harmless = what in ("legacy count", "extended at", "header size", "format", "z offset", "length")
                    passes = harmless or value in (0, 1, 0.0, 2**8 - 1) or what in ("highest z", "z scale", "x offset")
                    yield Liar(f"{what.replace(' ', '_')}.{name.split('.')[1]}", bytes(data), may_pass=passes)
    yield Liar("garbage.laz", b"LASF" + bytes(2000))
    record = good.index(b"laszip encoded") - 2 + 54
    for chunk in (0, 1, 2**31, 2**32 - 1):
        yield Liar(
            "chunks.laz", good[: record + 12] + struct.pack("<I", chunk) + good[record + 16 :], may_pass=chunk > 700
        )


def _points() -> Iterator[Liar]:
    ply, text, pcd, packed = (seeds()[name].data for name in ("a.ply", "text.ply", "a.pcd", "packed.pcd"))
    for count in (b"0", b"-1", b"4294967296", b"1152921504606846976", b"9" * 5000, b"1e400", b"NaN", b""):
        yield Liar("count.ply", ply.replace(b"vertex 730", b"vertex " + count), SAID)
        yield Liar("count.ply", text.replace(b"vertex 730", b"vertex " + count), SAID)
        yield Liar("count.pcd", pcd.replace(b"WIDTH 730", b"WIDTH " + count), SAID)
        yield Liar("count.pcd", packed.replace(b"POINTS 730", b"POINTS " + count), SAID, may_pass=not count)
    body = packed.index(b"binary_compressed\n") + 18
    for sizes in ((2**32 - 1, 2**32 - 1), (0, 0), (100, 2**32 - 1), (2**32 - 1, 730 * 32)):
        yield Liar("sizes.pcd", packed[:body] + struct.pack("<II", *sizes) + packed[body + 8 :], SAID)
    wide = b"SIZE 8 8 8 8", b"SIZE 8 8 8 8\nSIZE 8 8 8 8"
    yield Liar("twice.pcd", packed.replace(*wide), SAID)
    yield Liar("count.pcd", packed.replace(b"COUNT 1 1 1 1", b"COUNT 1 1 1 100000"), SAID)
    yield Liar("lists.ply", ply.replace(b"property uchar red", b"property list uint uint red"), SAID)
    yield Liar("comments.ply", ply.replace(b"element vertex", b"comment x\n" * 10_000 + b"element vertex"), SAID)
    yield Liar("elements.ply", ply.replace(b"element face 1", b"element face 1\nelement vertex 5"), SAID)
    for number in (b"1e400", b"nan", b"-inf", b"1e9"):
        at = text.index(b"end_header\n") + 11
        yield Liar("number.ply", text[:at] + number + text[text.index(b" ", at) :], SAID)


# --- models and obstacles ---------------------------------------------------------------------------------


def _gml() -> Iterator[Liar]:
    good = seeds()["town.gml"].data.decode()
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    yield Liar("laughs.gml", gml("&l11;", f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]>').encode())
    yield Liar("quadratic.gml", gml("&a;" * 50_000, f'<!DOCTYPE a [<!ENTITY a "{"x" * 50_000}">]>').encode())
    for where in ("file:///etc/passwd", "http://127.0.0.1:9/x", "file:///dev/zero"):
        yield Liar("entity.gml", gml("&x;", f'<!DOCTYPE a [<!ENTITY x SYSTEM "{where}">]>').encode())
        yield Liar("dtd.gml", gml("", f'<!DOCTYPE a SYSTEM "{where}">').encode())
    sixteen = gml("&x;", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>').replace("UTF-8", "UTF-16")
    yield Liar("sixteen.gml", sixteen.encode("utf-16"))
    yield Liar("undeclared.gml", gml("&x;").encode())
    yield Liar("deep.gml", gml("<a>" * 200_000 + "</a>" * 200_000).encode())
    parts = "<bldg:Building>" * 20_000 + "</bldg:Building>" * 20_000
    yield Liar("deep_parts.gml", gml(f"<core:cityObjectMember>{parts}</core:cityObjectMember>").encode())
    yield Liar("open.gml", gml("<a>" * 200_000).encode())
    yield Liar("attributes.gml", gml("<a " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>").encode())
    yield Liar("long.gml", gml(f'<a a="{"x" * 12_000_000}"/>').encode())
    for number in ("1e400", "NaN", "Infinity", "1e17", "0x10", "9" * 5000, "&#0;"):
        yield Liar("number.gml", good.replace("19.500", number).encode())
    square = [(3.0, 3.0, 10.0), (9.0, 3.0, 10.0), (9.0, 9.0, 10.0)]
    yield Liar("empty.gml", gml(gml_building(gml_polygon(square).replace("exterior", "interior"))).encode())
    yield Liar("nothing.gml", gml("").encode())
    yield Liar("three.gml", good.replace("citygml/2.0", "citygml/3.0").encode())
    for srs in ("EPSG:99999", "EPSG:4979", "EPSG:6675", "http://127.0.0.1:9/crs", "x" * 5000, "EPSG:3857+5773", ""):
        yield Liar(
            "srs.gml",
            good.replace("http://www.opengis.net/def/crs/EPSG/0/6697", srs).encode(),
            may_pass=srs == "EPSG:4979",
        )
    yield Liar("zip.gml", gzip.compress(good.encode()))


def _json() -> Iterator[Liar]:
    town, wires = json.dumps(city_json()), json.dumps(obstacles())
    deep = "[" * 200_000 + "]" * 200_000
    for text in (
        "", "null", "[]", "{}", "1e400", '"x"', deep, '{"type":' * 100_000 + "1" + "}" * 100_000,
        '{"type": "CityJSON"}', '{"type": "FeatureCollection"}', '{"type": ["CityJSON"]}',
        '{"type": "CityJSON", "type": "FeatureCollection"}',
    ):  # fmt: skip
        yield Liar("bare.json", text.encode(), role="entered")
    for old, new in (
        ("1e-08", "1e400"), ("1e-08", "NaN"), ("1e-08", "null"), ("1e-08", '"1"'), ("1e-08", "1e300"),
        ("1e-08", "9" * 5000),
        ('"vertices": [', f'"vertices": [{deep}, '), ('"vertices": [', '"vertices": [[1e400, 1, 1], '),
        ('"vertices": [', '"vertices": [[1, 2], '), ('"vertices": [', '"vertices": [["a", 2, 3], '),
        ('"vertices": [', '"vertices": [[123456789012345678901234567890, 2, 3], '),
        ('"boundaries": [', f'"boundaries": [{deep}, '), ('"boundaries": [', '"boundaries": [[[[0, 1, 4294967296]]], '),
        ('"boundaries": [', '"boundaries": [[[[0, 1, -1]]], '), ('"boundaries": [', '"boundaries": [[[[0, 1, 1.5]]], '),
        ('"boundaries": [', '"boundaries": [[[[0, 1, true]]], '), ('"CityObjects": {', '"CityObjects": {"a": 5, '),
        ('"CityObjects": {', '"CityObjects": {"a": {"type": 5}, '), ('"version": "2.0"', '"version": 2.0'),
        ('"2.0"', '"99"'), ('{"referenceSystem"', '{"geographicalExtent": [1, 2, 3], "referenceSystem"'),
        ('"lod": "1.2"', '"lod": []'), ('"b3": {', '"b20": {}, "b3": {'), ('"b3": {', '"b3": {"geometry": 5, '),
        ('"attributes": {', '"attributes": {"measuredHeight": {}, "b": '), ("6697", "99999"), ("6697", "7415"),
        ('"https://www.opengis.net/def/crs/EPSG/0/6697"', "6697"),
    ):  # fmt: skip
        assert old in town, old
        yield Liar("town.city.json", town.replace(old, new, 1).encode())
    for old, new in (
        ('"sag_m": 2.0', '"sag_m": 1e400'), ('"sag_m": 2.0', '"sag_m": NaN'), ('"sag_m": 2.0', '"sag_m": -1'),
        ('"sag_m": 2.0', '"sag_m": "2"'), ('"sag_m": 2.0', '"sag_m": 2.0, "sag_m": 3.0'), ("[30.0, 32.0]", deep),
        ('"sag_m": 2.0', f'"sag_m": {"9" * 5000}'), ("[30.0, 32.0]", "[30.0]"), ("[30.0, 32.0]", "[1e400, 32.0]"),
        ('"datum": "JGD2011"', '"datum": null'), ('"datum": "JGD2011"', '"datum": "' + "x" * 5000 + '"'),
        ('"id": "line"', '"id": "' + "\\u0007" * 60 + '"'), ('"id": "line"', '"id": "\\ud800"'),
        ('"id": "line"', '"id": "' + "y" * 5000 + '"'), ('"kind": "power_line"', '"kind": {"a": 1}'),
        ('"uncertainty_m": 0.5', '"uncertainty_m": true'), ('"from": "2020-01-01"', '"from": 1800'),
        ('"from": "2020-01-01"', '"from": "9999-99-99"'), ('"type": "LineString"', '"type": "Polygon"'),
        ('"coordinates": [[', f'"coordinates": [{deep}, [['), ('"coordinates": [[', '"coordinates": [[1, 1e400], [['),
        ('"coordinates": [[', '"coordinates": [[181, 0], [['), ('"coordinates": [[', '"coordinates": [[0, 0], [['),
    ):  # fmt: skip
        assert old in wires, old
        passes = "u0007" in new
        yield Liar("wires.geojson", wires.replace(old, new, 1).encode(), role="entered", may_pass=passes)
    for text, name in ((town, "town.city.json"), (wires, "wires.geojson")):
        role = "surface" if name == "town.city.json" else "entered"
        for data in (text.encode() + b"\0", text.encode()[:-1], text.encode() * 2):
            yield Liar(name, data, role=role)
        yield Liar(name, text.encode("utf-16"), role=role, may_pass=True)
        yield Liar(name, b"\xef\xbb\xbf" + text.encode(), role=role, may_pass=True)


def _anything() -> Iterator[Liar]:
    """The content of one kind under the name of another, and what no program writes."""
    suffixes = (".tif", ".laz", ".ply", ".pcd", ".gml", ".city.json", ".geojson")
    for seed, suffix in itertools.product(
        ("deflate.tif", "v4.laz", "a.ply", "a.pcd", "town.gml", "town.city.json"), suffixes
    ):
        kind = "." + seed.partition(".")[2]
        if kind != suffix and not (kind == ".city.json" and suffix == ".geojson"):
            yield Liar(f"other{suffix}", seeds()[seed].data, SAID)
    for suffix in suffixes:
        for data in (b"", b"\0", bytes(3_000_000), b"\xff" * 100_000, b"\n" * 200_000, b"<" * 100_000):
            yield Liar(f"nothing{suffix}", data, SAID)
