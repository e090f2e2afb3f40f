"""The GeoJSON in which people enter what a survey cannot see (docs/obstacles.md): read strictly, refused in words."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pyproj
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from utm.errors import DatumError, SurveyError
from utm.mapping.ingest.reading import first_line
from utm.model import Datum

MAX_BYTES = 64 * 2**20
#: The longest span in the world is 5.4 km; the longest in Japan 2.4 km. A longer one is a slip of the pen.
MAX_SPAN_M = 6_000.0
MAX_POLYGON_M = 5_000.0
MAX_VERTICES = 10_000

_WGS84 = pyproj.Geod(ellps="WGS84")
#: What GDAL and QGIS write for plain longitude and latitude.
_LONLAT_NAMES = {"urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84"}


def _date(value: object) -> object:
    # Pydantic would take 1800 for half an hour past midnight of 1970
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("a day is written as text")
    return datetime.date.fromisoformat(value)


Day = Annotated[datetime.date, BeforeValidator(_date)]
Height = Annotated[float, Field(ge=-1000, le=10_000, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Sag = Annotated[float, Field(ge=0, le=500, allow_inf_nan=False)]
Place = tuple[Longitude, Latitude]
PlaceWithHeight = tuple[Longitude, Latitude, Height]
DatumName = Literal["AGL", "AMSL", "WGS84", "JGD2011", "JGD2024", "NAP", "NAVD88"]

_MENDS = {
    "datum": f"Say what the height is measured from: {', '.join(Datum)}.",
    "extra_forbidden": "Remove it, or begin its name with x_ (docs/obstacles.md lists the fields).",
    "missing": "Add it; docs/obstacles.md says what it means.",
    "coordinates": "Longitude before latitude, WGS84 degrees.",
    "finite_number": "Give a finite number.",
}
_PLAIN = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be a JSON object") | {
    "missing": "is missing",
    "extra_forbidden": "is no field of an obstacle",
}


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_notes(cls, data: object) -> object:
        # GIS programs write null into every field that a feature does not have
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None and not key.startswith("x_")}
        return data


class _Obstacle(_Document):
    """What every obstacle says."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    name: str = ""
    datum: DatumName
    uncertainty_m: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    since: Day | None = Field(None, alias="from")
    until: Day | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> _Obstacle:
        if self.since and self.until and self.until < self.since:
            raise ValueError("`to` lies before `from`")
        return self


class PowerLine(_Obstacle):
    """Wires through attachment points."""

    kind: Literal["power_line"]
    heights_m: list[Height] | None = None
    sag_m: Sag | list[Sag] | None = None
    sag_ratio: Annotated[float, Field(ge=0, le=0.2, allow_inf_nan=False)] | None = None
    conductor_half_width_m: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
    supports: bool = True
    support_radius_m: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _one_sag(self) -> PowerLine:
        if (self.sag_m is None) == (self.sag_ratio is None):
            raise ValueError("needs either sag_m or sag_ratio")
        return self


class Mast(_Obstacle):
    """A mast, a chimney, a pylon, a lamp."""

    kind: Literal["mast"]
    height_m: Height
    radius_m: Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]


class Crane(_Obstacle):
    """A crane: whatever its jib can reach, from the ground to its top."""

    kind: Literal["crane"]
    height_m: Height
    jib_m: Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]


class Block(_Obstacle):
    """A building or a scaffold."""

    kind: Literal["building", "scaffold"]
    height_m: Height


class _Line(_Document):
    type: Literal["LineString"]
    coordinates: Annotated[
        list[Annotated[Place | PlaceWithHeight, BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]],
        Field(min_length=2, max_length=MAX_VERTICES),
    ]


_Flat = Annotated[Place, BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


class _Point(_Document):
    type: Literal["Point"]
    coordinates: _Flat


class _Polygon(_Document):
    type: Literal["Polygon"]
    coordinates: Annotated[
        list[Annotated[list[_Flat], Field(min_length=4, max_length=MAX_VERTICES)]], Field(min_length=1)
    ]

    @model_validator(mode="after")
    def _closed(self) -> _Polygon:
        if any(ring[0] != ring[-1] for ring in self.coordinates):
            raise ValueError("a ring must end where it begins")
        return self


class Feature(_Document):
    """One obstacle: where it is, and what it is."""

    type: Literal["Feature"]
    id: str | int | None = None
    bbox: list[float] | None = None
    geometry: _Line | _Point | _Polygon
    properties: PowerLine | Mast | Crane | Block

    @property
    def heights_m(self) -> list[float]:
        """The stated height of each vertex of a power line, or of the top."""
        what = self.properties
        if not isinstance(what, PowerLine):
            return [what.height_m]
        return what.heights_m or [place[2] for place in self.geometry.coordinates]  # type: ignore[misc,index]

    @property
    def rings(self) -> list[list[tuple[float, ...]]]:
        """Its vertices: one line, one point, or outline and holes."""
        shape = self.geometry
        if isinstance(shape, _Polygon):
            return [list(ring) for ring in shape.coordinates]
        return [[shape.coordinates]] if isinstance(shape, _Point) else [list(shape.coordinates)]

    @property
    def reach_m(self) -> float:
        """How far it reaches from its vertices or edges, uncertainty included."""
        what = self.properties
        if isinstance(what, PowerLine):
            support = what.support_radius_m if what.supports else 0.0
            return max(what.conductor_half_width_m, support) + what.uncertainty_m
        own = what.radius_m if isinstance(what, Mast) else what.jib_m if isinstance(what, Crane) else 0.0
        return own + what.uncertainty_m

    @property
    def sags_m(self) -> list[float]:
        """Of each span of a power line."""
        what = self.properties
        if not isinstance(what, PowerLine):
            return []
        lengths = _lengths(self.rings[0])
        if what.sag_ratio is not None:
            return [what.sag_ratio * length for length in lengths]
        return list(what.sag_m) if isinstance(what.sag_m, list) else [what.sag_m or 0.0] * len(lengths)


_SHAPES: dict[str, tuple[type[_Document], type[_Document]]] = {
    "power_line": (PowerLine, _Line),
    "mast": (Mast, _Point),
    "crane": (Crane, _Point),
    "building": (Block, _Polygon),
    "scaffold": (Block, _Polygon),
}


def _lengths(line: list[tuple[float, ...]]) -> list[float]:
    lon, lat = [p[0] for p in line], [p[1] for p in line]
    return [float(d) for d in _WGS84.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]]


def read_features(path: Path) -> list[Feature]:
    """All obstacles of a file, checked.

    Raises:
        SurveyError: not GeoJSON, another CRS than WGS84, a field that is missing, unknown or not possible; names the
            file, the feature, the field, the value and the mend.
        DatumError: a feature that does not say what its heights are measured from.
    """
    document = _document(path)
    features, seen = document["features"], set()
    checked = []
    for number, raw in enumerate(features):
        feature = _feature(path, number, raw)
        id = feature.properties.id
        if id in seen:
            raise SurveyError("two obstacles have this id", file=path, field="id", value=id, mend="Give each its own.")
        seen.add(id)
        checked.append(feature)
    if not checked:
        raise SurveyError("holds no obstacles", file=path, field="features", mend="Leave it out.")
    return checked


def _document(path: Path) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            raise ValueError(f"a field stands twice in one object, one of {', '.join(key for key, _ in items)[:80]}")
        return found

    def constant(name: str) -> float:
        raise ValueError(f"{name} is no JSON number")

    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SurveyError(f"holds more than {MAX_BYTES:,} bytes", file=path, value=size, mend="Split it.")
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 alike
        raise SurveyError(f"not readable GeoJSON: {first_line(error)}", file=path, mend="Is it complete?") from None
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise SurveyError("not a GeoJSON FeatureCollection", file=path, mend="See docs/obstacles.md.")
    crs = document.get("crs")
    if crs is not None and not (
        isinstance(crs, dict)
        and isinstance(crs.get("properties"), dict)
        and crs["properties"].get("name") in _LONLAT_NAMES
    ):
        raise SurveyError(
            "obstacles are given in WGS84 longitude and latitude", file=path, field="crs", value=str(crs)[:80],
            mend="Export it again in WGS84 (RFC 7946), without a crs member.",
        )  # fmt: skip
    for key in document:
        if key not in ("type", "features", "crs", "name", "bbox") and not key.startswith("x_"):
            raise SurveyError("is no field of an obstacle file", file=path, field=key, mend=_MENDS["extra_forbidden"])
    if not isinstance(document.get("features"), list):
        raise SurveyError("must be a list", file=path, field="features", mend="See docs/obstacles.md.")
    return document


def _feature(path: Path, number: int, raw: object) -> Feature:
    properties = raw.get("properties") if isinstance(raw, Mapping) else None
    properties = properties if isinstance(properties, Mapping) else {}
    id = properties.get("id")
    label = id if isinstance(id, str) and id else f"feature {number + 1}"
    kind = properties.get("kind")
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise SurveyError(
            "is no kind of obstacle", file=path, field=f"{label}: kind", value=kind, mend=f"Use {', '.join(_SHAPES)}."
        )
    what, shape = _SHAPES[kind]
    where = "properties"
    try:
        checked = what.model_validate(raw["properties"])  # type: ignore[index]
        where = "geometry"
        geometry = shape.model_validate(raw.get("geometry"))  # type: ignore[union-attr]
        where = ""
        feature = Feature.model_validate({**raw, "geometry": geometry, "properties": checked})  # type: ignore[dict-item]
    except ValidationError as error:
        raise _one_line(error, path, label, where) from None
    _check(feature, path, label)
    return feature


def _check(feature: Feature, path: Path, label: str) -> None:
    """Raise SurveyError where heights, sags or lengths do not fit the geometry."""

    def wrong(problem: str, field: str, value: object, mend: str) -> SurveyError:
        return SurveyError(problem, file=path, field=f"{label}: {field}", value=value, mend=mend)

    what = feature.properties
    line = feature.rings[0]
    if isinstance(what, PowerLine):
        tall = [len(place) == 3 for place in line]
        if any(tall) != all(tall):
            raise wrong(
                "some vertices have a height and some have none", "coordinates", None, "Give all, or heights_m."
            )
        if all(tall) == (what.heights_m is not None):
            raise wrong(
                "needs a height for each vertex, once", "heights_m", None,
                "Give heights_m, or a third coordinate for every vertex.",
            )  # fmt: skip
        if what.heights_m is not None and len(what.heights_m) != len(line):
            raise wrong(f"needs {len(line)} heights, one for each vertex", "heights_m", len(what.heights_m), "")
        if isinstance(what.sag_m, list) and len(what.sag_m) != len(line) - 1:
            raise wrong(f"needs {len(line) - 1} sags, one for each span", "sag_m", len(what.sag_m), "")
        for length in _lengths(line):
            if not 0.1 <= length <= MAX_SPAN_M:
                raise wrong(
                    f"a span must measure 0.1 m to {MAX_SPAN_M:,.0f} m", "coordinates", round(length, 2),
                    "Check the vertices: longitude before latitude.",
                )  # fmt: skip
    for ring in feature.rings if isinstance(what, Block) else []:
        if (
            max(_lengths(ring)) > MAX_POLYGON_M
            or max(_lengths([p for v in ring for p in (ring[0], v)])) > MAX_POLYGON_M
        ):
            raise wrong(f"reaches more than {MAX_POLYGON_M:,.0f} m", "coordinates", None, "Check the vertices.")


def _one_line(error: ValidationError, path: Path, label: str, where: str) -> SurveyError | DatumError:
    """Pydantic's first complaint as one line for a person."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    names = [name for name in names if name not in ("Place", "PlaceWithHeight", "float", "list", "tuple")]
    field = ": ".join([label, ".".join(names or [where] if where else names)]) if names or where else label
    last = names[-1] if names else where
    value = first.get("input")
    shown = None if first["type"] == "missing" or isinstance(value, (Mapping, list, tuple)) else value
    if isinstance(shown, float) and not math.isfinite(shown):
        shown = str(shown)
    message = _PLAIN.get(first["type"], first["msg"].removeprefix("Value error, "))
    key = next((k for k in (last, first["type"], *names) if k in _MENDS), "")
    kind = DatumError if last == "datum" else SurveyError
    return kind(
        message[:1].lower() + message[1:], file=path, field=field, value=shown,
        mend=_MENDS.get(key, "See docs/obstacles.md."),
    )  # fmt: skip
