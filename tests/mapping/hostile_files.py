"""Survey files that are damaged or lie: small good ones of every kind, and what may befall their bytes.

A mutant is named by its seed and a number, and is the same wherever and whenever it is made.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj

from tests.mapping.survey_files import (
    COMPOUND,
    SOUTH,
    WEST,
    ground_points,
    plain,
    write_las,
    write_pcd,
    write_ply,
    write_tif,
)

NX, NY = 60, 40
SAID = {"crs": "EPSG:6675", "vertical_datum": "JGD2011"}


@dataclass(frozen=True)
class Seed:
    """A good file."""

    name: str
    """With the suffix that survey files of its kind have."""
    data: bytes
    head: int
    """Bytes at its beginning that hold most of what can lie."""
    said: dict[str, str] = field(default_factory=dict)
    """What the caller must say beside it."""
    role: str = "surface"
    """``surface``; ``terrain``; ``entered`` for what makes no map by itself."""

    @property
    def is_text(self) -> bool:
        return self.name.endswith((".gml", "json", "text.ply", "text.pcd"))


@dataclass(frozen=True)
class Mutant:
    """A file that is not as it should be."""

    seed: Seed
    what: str
    data: bytes


# --- good files -------------------------------------------------------------------------------------------


@functools.cache
def seeds() -> dict[str, Seed]:
    """Good files of every kind by name, all of the same place."""
    with tempfile.TemporaryDirectory() as folder:
        return {seed.name: seed for seed in _made(Path(folder))}


def _made(folder: Path):  # type: ignore[no-untyped-def]
    terrain = plain(NX, NY)
    surface = terrain.copy()
    surface += np.random.default_rng(6).integers(0, 9, surface.shape).astype(np.float32) / 8
    surface[10:20, 10:20] += 12
    surface[40:44, 30:34] = -9999
    points = ground_points(np.random.default_rng(4), terrain, 700)
    wire = np.column_stack([np.full(30, WEST + 30.3), SOUTH + np.linspace(3, 37, 30), np.full(30, 35.0)])
    points = np.concatenate([points, wire])

    def seed(path: Path, head: int, said: dict[str, str] | None = None, role: str = "surface") -> Seed:
        return Seed(path.name, path.read_bytes(), head, said or {}, role)

    tiled = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    rasters: dict[str, dict[str, Any]] = {
        "striped.tif": {},
        "deflate.tif": tiled | {"compress": "deflate", "predictor": 3},
        "lzw.tif": {"compress": "lzw", "blockysize": 4, "BIGTIFF": "YES"},
        "zstd.tif": tiled | {"compress": "zstd", "interleave": "band"},
    }
    for name, profile in rasters.items():
        yield seed(write_tif(folder / name, surface, **profile), 700)
    whole = np.round(np.where(surface < 0, -10, surface) * 10).astype(np.int16)
    yield seed(write_tif(folder / "scaled.tif", whole, nodata=-100, scale=0.1, units="metre"), 900)
    bumpy = terrain - np.random.default_rng(7).integers(0, 5, terrain.shape).astype(np.float32) / 8
    yield seed(write_tif(folder / "dtm.tif", bumpy, **tiled, compress="deflate"), 700, role="terrain")
    for version, point_format in (("1.2", 1), ("1.4", 6)):
        for suffix in ("las", "laz"):
            path = folder / f"v{version[2]}.{suffix}"
            write_las(path, points, version=version, point_format=point_format, classes=2)
            data = bytearray(path.read_bytes())
            struct.pack_into("<HH", data, 90, 120, 2024)  # day and year; laspy writes today
            path.write_bytes(data)
            yield seed(path, struct.unpack_from("<I", data, 96)[0] + 40)
    yield seed(write_ply(folder / "a.ply", points), 330, SAID)
    yield seed(write_ply(folder / "big.ply", points, order=">", dtype="f4", comment=f"crs {COMPOUND}"), 360)
    yield seed(write_ply(folder / "text.ply", points, order="ascii"), 330, SAID)
    yield seed(write_pcd(folder / "a.pcd", points), 230, SAID)
    yield seed(write_pcd(folder / "text.pcd", points, data="ascii"), 230, SAID)
    yield seed(_packed_pcd(folder / "packed.pcd", points), 250, SAID)
    yield seed(_city_gml(folder / "town.gml"), 2000)
    yield seed(_city_json(folder / "town.city.json"), 800)
    yield seed(_obstacles(folder / "obstacles.geojson"), 1500, role="entered")


def _packed_pcd(path: Path, points: np.ndarray) -> Path:
    """Compressed PCD: one field after the other, in runs that LZF leaves as they are and in one that it copies."""
    columns = np.concatenate([points.T, np.zeros((1, len(points)))]).tobytes()
    plain_bytes, zeros = columns[: -8 * len(points)], columns[-8 * len(points) :]
    runs = [plain_bytes[at : at + 32] for at in range(0, len(plain_bytes), 32)] + [zeros[:1]]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    left = len(zeros) - 1
    while left:
        length = min(264, left) if left not in (265, 266) else left - 9
        packed += (
            bytes([(7 << 5), length - 9, 0])
            if length >= 9
            else bytes([(length - 2) << 5, 0])
            if length >= 3
            else bytes([length - 1]) + bytes(length)
        )
        left -= length
    head = (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z zero\nSIZE 8 8 8 8\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH {len(points)}\n"
        f"HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\nDATA binary_compressed\n"
    )
    path.write_bytes(head.encode() + struct.pack("<II", len(packed), len(columns)) + packed)
    return path


_TO_LONLAT = pyproj.Transformer.from_crs("EPSG:6675", "EPSG:6668", always_xy=True)


def lon_lat(east: float, north: float) -> tuple[float, float]:
    """A place in metres from the south-west corner."""
    return _TO_LONLAT.transform(WEST + east, SOUTH + north)


def box_faces(x: float, y: float, size: float, low: float, high: float) -> list[list[tuple[float, float, float]]]:
    """Foot, roof and walls of a block, in metres from the corner."""
    flat = [(x, y), (x + size, y), (x + size, y + size), (x, y + size)]
    foot, roof = [(*p, low) for p in flat], [(*p, high) for p in flat]
    return [foot, roof, *([foot[k], foot[k - 1], roof[k - 1], roof[k]] for k in range(4))]


def gml_polygon(face: list[tuple[float, float, float]]) -> str:
    """A face as gml:Polygon in latitude, longitude, height."""
    numbers = []
    for x, y, z in [*face, face[0]]:
        lon, lat = lon_lat(x, y)
        numbers.append(f"{lat:.10f} {lon:.10f} {z:.3f}")
    return (
        f"<gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>{' '.join(numbers)}</gml:posList></gml:LinearRing>"
        "</gml:exterior></gml:Polygon>"
    )


def gml(members: str, before: str = "") -> str:
    """A CityGML document of some members."""
    (west, south), (east, north) = lon_lat(-20, -20), lon_lat(NX + 20, NY + 20)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{before}<core:CityModel '
        'xmlns:core="http://www.opengis.net/citygml/2.0" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:bldg="http://www.opengis.net/citygml/building/2.0" '
        'xmlns:dem="http://www.opengis.net/citygml/relief/2.0">\n<gml:boundedBy><gml:Envelope '
        'srsName="http://www.opengis.net/def/crs/EPSG/0/6697" srsDimension="3">'
        f"<gml:lowerCorner>{south:.8f} {west:.8f} -5</gml:lowerCorner>"
        f"<gml:upperCorner>{north:.8f} {east:.8f} 200</gml:upperCorner></gml:Envelope></gml:boundedBy>\n"
        f"{members}\n</core:CityModel>\n"
    )


def gml_building(faces: str, id: str = "b1") -> str:
    """A building of level 1 whose solid has these faces."""
    return (
        f'<core:cityObjectMember><bldg:Building gml:id="{id}"><bldg:measuredHeight uom="m">9.5</bldg:measuredHeight>'
        f"<bldg:lod1Solid><gml:Solid><gml:exterior><gml:CompositeSurface>{faces}</gml:CompositeSurface></gml:exterior>"
        "</gml:Solid></bldg:lod1Solid></bldg:Building></core:cityObjectMember>\n"
    )


def _city_gml(path: Path) -> Path:
    blocks = [
        gml_building(
            "".join(f"<gml:surfaceMember>{gml_polygon(f)}</gml:surfaceMember>" for f in box_faces(x, 5.5, 8, 10, 19.5)),
            f"b{x}",
        )
        for x in (3, 20)
    ]
    triangles = "".join(
        gml_polygon(face).replace("Polygon", "Triangle")
        for face in ([(0, 0, 10), (NX, 0, 11), (0, NY, 10)], [(NX, 0, 11), (NX, NY, 11), (0, NY, 10)])
    )
    relief = (
        '<core:cityObjectMember><dem:ReliefFeature gml:id="r"><dem:lod>1</dem:lod><dem:reliefComponent>'
        '<dem:TINRelief gml:id="t"><dem:lod>1</dem:lod><dem:tin><gml:TriangulatedSurface><gml:trianglePatches>'
        f"{triangles}</gml:trianglePatches></gml:TriangulatedSurface></dem:tin></dem:TINRelief></dem:reliefComponent>"
        "</dem:ReliefFeature></core:cityObjectMember>"
    )
    path.write_text(gml("".join(blocks) + relief), encoding="utf-8")
    return path


def city_json(**more: object) -> dict[str, Any]:
    """A CityJSON document with two buildings."""
    vertices: list[list[int]] = []

    def ring(face: list[tuple[float, float, float]]) -> list[int]:
        for x, y, z in face:
            lon, lat = lon_lat(x, y)
            vertices.append([round(lat * 1e8), round(lon * 1e8), round(z * 1e3)])
        return list(range(len(vertices) - len(face), len(vertices)))

    objects = {
        f"b{x}": {
            "type": "Building", "attributes": {"measuredHeight": 9.5},
            "geometry": [
                {"type": "Solid", "lod": "1.2", "boundaries": [[[ring(f)] for f in box_faces(x, 5.5, 8, 10, 19.5)]]}
            ],
        }
        for x in (3, 20)
    }  # fmt: skip
    return {
        "type": "CityJSON", "version": "2.0",
        "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/6697"},
        "transform": {"scale": [1e-8, 1e-8, 1e-3], "translate": [0.0, 0.0, 0.0]},
        "CityObjects": objects, "vertices": vertices,
    } | more  # fmt: skip


def _city_json(path: Path) -> Path:
    path.write_text(json.dumps(city_json()))
    return path


def obstacles(**properties: object) -> dict[str, Any]:
    """A FeatureCollection with a power line, whose properties may be given, and a mast."""
    line = {
        "kind": "power_line", "id": "line", "datum": "JGD2011", "uncertainty_m": 0.5, "heights_m": [30.0, 32.0],
        "sag_m": 2.0, "conductor_half_width_m": 1.0, "from": "2020-01-01",
    } | properties  # fmt: skip
    mast = {"kind": "mast", "id": "mast", "datum": "AGL", "uncertainty_m": 1, "height_m": 25.5, "radius_m": 1.5}
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": line,
             "geometry": {"type": "LineString", "coordinates": [lon_lat(5, 5), lon_lat(50, 30)]}},
            {"type": "Feature", "properties": mast, "geometry": {"type": "Point", "coordinates": lon_lat(30, 10)}},
        ],
    }  # fmt: skip


def _obstacles(path: Path) -> Path:
    path.write_text(json.dumps(obstacles()))
    return path


# --- what may befall them ---------------------------------------------------------------------------------

_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_:]{2,}")
_TOKENS = [
    b"1e400", b"-1e400", b"NaN", b"Infinity", b"-1", b"0", b"", b"1e-320", b"4294967296", b"99999999999999999999",
    b"-9223372036854775808", b"1e17", b"null", b"true", b"[]", b"{}", b'"x"', b"0x10", b"1_0", b"1.5", b"\xff\xfe",
    b"\xe3\x80\x80", b"180.0", b"-91", b"77000000", b"0" * 500, b"9" * 5000,
]  # fmt: skip


def mutant(name: str, number: int) -> Mutant:
    """Mutant ``number`` of a seed."""
    seed = seeds()[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    ways: list[Callable[[Seed, np.random.Generator], tuple[str, bytes]]] = [_cut, _flipped, _flipped, _lying, _spliced]
    if seed.is_text or rng.random() < 0.1:
        ways += [_other_token] * 4
    what, data = ways[rng.integers(len(ways))](seed, rng)
    return Mutant(seed, what, data)


def _place(seed: Seed, rng: np.random.Generator) -> int:
    """A byte of the file, half of the time in its head and a tenth of the time at its end."""
    size, dice = len(seed.data), rng.random()
    if dice < 0.5:
        return int(rng.integers(min(seed.head, size)))
    return size - 1 - int(rng.integers(min(60, size))) if dice < 0.6 else int(rng.integers(size))


def _cut(seed: Seed, rng: np.random.Generator) -> tuple[str, bytes]:
    length = _place(seed, rng)
    return f"cut to {length} bytes", seed.data[:length]


def _flipped(seed: Seed, rng: np.random.Generator) -> tuple[str, bytes]:
    data = bytearray(seed.data)
    bits = [(_place(seed, rng), int(rng.integers(8))) for _ in range(int(rng.integers(1, 9)))]
    for at, bit in bits:
        data[at] ^= 1 << bit
    return f"bits {bits}", bytes(data)


def _lying(seed: Seed, rng: np.random.Generator) -> tuple[str, bytes]:
    kind = str(rng.choice(["B", "H", "I", "Q", "d", "f"]))
    order = "<" if rng.random() < 0.85 else ">"
    size = struct.calcsize(kind)
    if kind in "df":
        value: float = float(rng.choice([0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 1e-300, 1e300, 1e8, -77000.0, 1e5]))
        if kind == "f" and abs(value) == 1e300:
            value = 3e38
    else:
        top = 256**size
        value = int([0, 1, 2, top - 1, top - 2, top // 2, top // 2 - 1, top // 256, 200][rng.integers(9)])
    at = min(_place(seed, rng), len(seed.data) - size)
    if rng.random() < 0.7:
        at -= at % min(size, 4) if at >= 4 else 0
    data = bytearray(seed.data)
    struct.pack_into(order + kind, data, at, value)
    return f"{order}{kind} {value!r} at {at}", bytes(data)


def _spliced(seed: Seed, rng: np.random.Generator) -> tuple[str, bytes]:
    at, length = _place(seed, rng), int(rng.integers(1, rng.choice([4, 40, 400])))
    from_ = int(rng.integers(len(seed.data)))
    piece = seed.data[from_ : from_ + length]
    before, after, rest = seed.data[:at], seed.data[at:], seed.data[at + length :]
    way = int(rng.integers(5))
    data = (
        before + rest,
        before + piece + after,
        before + piece + rest,
        before + bytes(length) + rest,
        seed.data + piece,
    )
    return f"spliced ({('gone', 'put in', 'put over', 'zeroed', 'more')[way]}) {length} bytes at {at}", data[way]


def _other_token(seed: Seed, rng: np.random.Generator) -> tuple[str, bytes]:
    data, said = seed.data, []
    for _ in range(int(rng.integers(1, 3))):
        found = list((_NUMBER if rng.random() < 0.7 else _WORD).finditer(data))
        if not found:
            continue
        # Half of the time one of the first, where counts and sizes stand
        match = found[int(rng.integers(min(len(found), 40) if rng.random() < 0.5 else len(found)))]
        other = found[int(rng.integers(len(found)))][0] if rng.random() < 0.3 else _TOKENS[rng.integers(len(_TOKENS))]
        data = data[: match.start()] + other + data[match.end() :]
        said.append(f"{match[0][:30]!r} at {match.start()} is {other[:30]!r}")
    return "; ".join(said), data


def hash_of_all() -> str:
    """Of the good files and of a mutant of each: what they are must not hang on the day or on the process."""
    digest = hashlib.sha256()
    for name, seed in seeds().items():
        digest.update(seed.data + mutant(name, 5).data)
    return digest.hexdigest()
