"""CityJSON 1.0 to 2.0. A file is one JSON document and is read whole: ten times its size in memory."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.errors import SurveyError
from utm.mapping.ingest.cityobject import OUTDOOR_PARTS, USES, CityObject, Element, Polygon, chosen
from utm.mapping.ingest.reading import MEND, first_line

MAX_BYTES = 2**30
#: How deep the surfaces lie in the boundaries of a geometry.
_DEPTHS = {"MultiSurface": 0, "CompositeSurface": 0, "Solid": 1, "MultiSolid": 2, "CompositeSolid": 2}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _each_once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """The first of two objects of one name would be lost."""
    found = dict(items)
    if len(found) < len(items):
        raise ValueError(f"a field stands twice in one object, one of {', '.join(key for key, _ in items)[:80]}")
    return found


@dataclass(eq=False)
class JsonReader:
    """One CityJSON file. What it says of itself is known once the first object is."""

    path: Path
    crs: str | None = None
    """metadata.referenceSystem."""
    extent: NDArray[np.float64] | None = None
    """(2, 3) lower and upper corner by metadata.geographicalExtent."""
    counts: Counter[str] = field(default_factory=Counter)

    def objects(self) -> Iterator[CityObject]:
        """All objects that a map uses, coordinates in the file's axis order.

        Raises:
            SurveyError: not JSON, not CityJSON, indices or coordinates that are none.
        """
        document = self._document()
        self._metadata(document.get("metadata", {}))
        points = self._points(document)
        objects = self._mapping(document.get("CityObjects"), "CityObjects")
        for id, thing in objects.items():
            self._mapping(thing, id)
        for id, thing in objects.items():
            kind = self._type(thing, id)
            if kind in OUTDOOR_PARTS and any(parent in objects for parent in self._ids(thing, "parents", id)):
                continue  # with its whole
            if kind not in USES:
                self.counts[f"{kind} (not used)"] += 1
                continue
            whole = self._element(id, thing, points)
            for part in self._parts(id, objects):
                whole.parts.append(self._element(part, objects[part], points))
            found, reason = chosen(kind, id, whole)
            self.counts[kind if reason is None else f"{kind} ({reason})"] += 1
            yield from found

    def _error(self, problem: str, place: str, value: object = None) -> SurveyError:
        shown = value if value is None or isinstance(value, (int, float)) else str(value)[:60]
        return SurveyError(problem, file=self.path, field=place, value=shown, mend=MEND)

    def _document(self) -> dict[str, Any]:
        size = self.path.stat().st_size
        if size > MAX_BYTES:
            raise SurveyError(f"holds more than {MAX_BYTES:,} bytes", file=self.path, value=size, mend="Split it.")
        try:
            document = json.loads(self.path.read_bytes(), parse_constant=_no_constant, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:  # JSON and UTF-8 alike
            raise SurveyError(f"not readable CityJSON: {first_line(error)}", file=self.path, mend=MEND) from None
        if not isinstance(document, dict) or document.get("type") != "CityJSON":
            raise SurveyError("not a CityJSON file", file=self.path, mend=MEND)
        version = document.get("version")
        if not (isinstance(version, str) and version.split(".")[0] in ("1", "2")):
            raise SurveyError(
                "a version of CityJSON that is not read", file=self.path, field="version", value=version,
                mend="Upgrade it to 1.0, 1.1 or 2.0, for example with `cjio`.",
            )  # fmt: skip
        return document

    def _mapping(self, value: object, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error("must be a JSON object", place)
        return value

    def _metadata(self, metadata: object) -> None:
        metadata = self._mapping(metadata, "metadata")
        crs, extent = metadata.get("referenceSystem"), metadata.get("geographicalExtent")
        if crs is not None and not isinstance(crs, str):
            raise self._error("must be text", "metadata.referenceSystem", crs)
        self.crs = crs
        if extent is not None:
            self.extent = self._numbers(extent, "metadata.geographicalExtent", (6,)).reshape(2, 3)

    def _numbers(self, values: object, place: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Finite numbers of a shape; -1 in it for any length."""
        try:
            array = np.array(values)
        except (ValueError, OverflowError):
            array = np.empty(0, object)
        fits = array.ndim == len(shape) and all(want in (-1, n) for n, want in zip(array.shape, shape, strict=True))
        if not fits or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise self._error(f"must be {' x '.join(str(n) if n > 0 else 'n' for n in shape)} numbers", place)
        return array.astype(np.float64)

    def _points(self, document: dict[str, Any]) -> NDArray[np.float64]:
        points = self._numbers(document.get("vertices"), "vertices", (-1, 3))
        transform = document.get("transform")
        if transform is None:
            if document["version"].startswith("1.0"):
                return points
            raise self._error("is missing", "transform")
        transform = self._mapping(transform, "transform")
        scale, shift = (self._numbers(transform.get(key), f"transform.{key}", (3,)) for key in ("scale", "translate"))
        with np.errstate(over="ignore", invalid="ignore"):
            placed = points * scale + shift
        if not np.isfinite(placed).all():
            raise self._error("moves vertices off this world", "transform", transform.get("scale"))
        return placed

    def _ids(self, thing: dict[str, Any], key: str, id: str) -> list[str]:
        ids = thing.get(key, [])
        if not (isinstance(ids, list) and all(isinstance(other, str) for other in ids)):
            raise self._error(f"{key} must be a list of ids", id)
        return ids

    def _type(self, thing: dict[str, Any], id: str) -> str:
        kind = thing.get("type")
        if not isinstance(kind, str):
            raise self._error("an object without a type", id, kind)
        return kind

    def _parts(self, id: str, objects: dict[str, Any]) -> list[str]:
        """Outdoor parts of an object and of its parts, each once, however they are linked."""
        found, waiting = [], self._ids(objects[id], "children", id)[::-1]
        while waiting:
            part = waiting.pop()
            if part in found or part == id or part not in objects:
                continue
            if self._type(objects[part], part) in OUTDOOR_PARTS:
                found.append(part)
                waiting.extend(self._ids(objects[part], "children", part)[::-1])
        return found

    def _element(self, id: str, thing: dict[str, Any], points: NDArray[np.float64]) -> Element:
        element = Element(outlines_need_height=True)
        height = self._mapping(thing.get("attributes") or {}, id).get("measuredHeight")
        if isinstance(height, (int, float)) and not isinstance(height, bool) and math.isfinite(height) and height >= 0:
            element.measured_height_m = float(height)
        geometries = thing.get("geometry") or []
        if not isinstance(geometries, list):
            raise self._error("geometry must be a list", id)
        for geometry in geometries:
            depth = _DEPTHS.get(self._type(self._mapping(geometry, id), id))
            if depth is None:
                continue  # points, lines, templates
            try:
                level = float(geometry.get("lod", 1))
            except (TypeError, ValueError):
                raise self._error("lod must be a number", id, geometry.get("lod")) from None
            polygons = self._polygons(id, geometry, depth, points)
            if level >= 1 or thing.get("type") == "TINRelief":
                element.by_lod.setdefault(max(1.0, level), []).extend(polygons)
            else:
                element.outlines.extend(polygons)
        return element

    def _polygons(self, id: str, geometry: dict[str, Any], depth: int, points: NDArray) -> list[Polygon]:
        semantics = geometry.get("semantics") or {}
        surfaces = semantics.get("surfaces") if isinstance(semantics, dict) else None
        feet = {
            number
            for number, surface in enumerate(surfaces if isinstance(surfaces, list) else [])
            if isinstance(surface, dict) and surface.get("type") == "GroundSurface"
        }
        polygons: list[Polygon] = []

        def walk(node: object, meaning: object, left: int) -> None:
            if not isinstance(node, list):
                raise self._error("boundaries that are no lists", id)
            meanings = meaning if isinstance(meaning, list) and len(meaning) == len(node) else [None] * len(node)
            for child, what in zip(node, meanings, strict=True):
                if left:
                    walk(child, what, left - 1)
                elif not isinstance(child, list) or not child:
                    raise self._error("a surface without rings", id)
                else:
                    is_foot = isinstance(what, int) and not isinstance(what, bool) and what in feet
                    polygons.append(Polygon([self._ring(id, ring, points) for ring in child], is_foot))

        walk(geometry.get("boundaries"), semantics.get("values") if isinstance(semantics, dict) else None, depth)
        return polygons

    def _ring(self, id: str, ring: object, points: NDArray[np.float64]) -> NDArray[np.float64]:
        good = isinstance(ring, list) and len(ring) >= 3 and all(type(n) is int and 0 <= n < len(points) for n in ring)
        if not good:
            raise self._error(f"a ring that is no list of at least 3 of {len(points)} vertices", id, ring)
        return points[ring]
