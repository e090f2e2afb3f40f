"""CityGML 1 and 2, PLATEAU's among them, one polygon at a time: a file of any size needs the memory of one object.

Classes and properties are told by their local names; PLATEAU's ``uro`` extensions of every year differ in attributes
that a map does not read. Entities, document types and the network are never touched.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyproj
from lxml import etree
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from utm.errors import SurveyError
from utm.mapping.ingest.cityobject import OUTDOOR_PARTS, USES, CityObject, Element, Polygon, Use, chosen
from utm.mapping.ingest.reading import MEND, first_line

MAX_BYTES = 8 * 2**30
#: Triangles of a relief that are handed on at once.
RELIEF_BATCH = 20_000

_POLYGONS = frozenset({"Polygon", "PolygonPatch", "Triangle", "Rectangle"})
_OWNERS = (frozenset(USES) | OUTDOOR_PARTS) - {"TINRelief"}
_MEMBERS = ("cityObjectMember", "featureMember")
#: What lies indoors, or where it stands only after a transformation.
_NOT_OUTDOORS = frozenset(
    {
        "interiorRoom", "interiorBuildingInstallation", "interiorBridgeInstallation", "interiorBridgeRoom",
        "interiorFurniture", "roomInstallation", "relativeGMLGeometry",
    }
)  # fmt: skip
_LOD = re.compile(r"lod([0-4])")
_OTHER_RELIEFS = ("MassPointRelief", "BreaklineRelief", "RasterRelief")
_TAGS = tuple(
    f"{{*}}{name}"
    for name in (*_POLYGONS, *_OWNERS, *_MEMBERS, *_OTHER_RELIEFS, "TINRelief", "Envelope", "measuredHeight")
)
#: Encodings in which the letters of ASCII, and so a document type, look as they do in ASCII.
_ENCODINGS = frozenset({"utf-8", "us-ascii", "ascii", "shift_jis", "windows-31j", "euc-jp", "iso-8859-1"})


@functools.lru_cache(maxsize=64)
def _same(one: str, other: str) -> bool:
    try:
        return pyproj.CRS.from_user_input(one) == pyproj.CRS.from_user_input(other)
    except CRSError:
        return False


def _name(node: etree._Element) -> str:
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


@dataclass(eq=False)
class GmlReader:
    """One CityGML file. What it says of itself is known once the first object is."""

    path: Path
    crs: str | None = None
    """srsName, as it stands in the file."""
    extent: NDArray[np.float64] | None = None
    """(2, 2 or 3) lower and upper corner of the envelope, in the file's axis order."""
    counts: Counter[str] = field(default_factory=Counter)

    def objects(self) -> Iterator[CityObject]:
        """All objects that a map uses, coordinates in the file's axis order.

        Raises:
            SurveyError: not XML, cut off, coordinates that are none, two CRS in one file.
        """
        self._refuse_document_types()
        owners: list[tuple[etree._Element, Element]] = []
        # a file of our own: lxml would leave its own open where the XML breaks off
        with self.path.open("rb") as file:
            try:
                events = etree.iterparse(
                    file, events=("start", "end"), tag=_TAGS, resolve_entities=False, no_network=True, load_dtd=False,
                    huge_tree=True, remove_comments=True, remove_pis=True,
                )  # fmt: skip
                for event, node in events:
                    yield from self._event(event, node, _name(node), owners)
            except etree.XMLSyntaxError as error:
                raise SurveyError(f"not readable CityGML: {first_line(error)}", file=self.path, mend=MEND) from error
        namespace = etree.QName(events.root).namespace or "" if events.root is not None else ""
        if "citygml/3" in namespace:
            raise SurveyError("CityGML 3 is not read", file=self.path, mend="Convert it to CityGML 2 or CityJSON.")
        if "citygml" not in namespace:
            raise SurveyError("not a CityGML file", file=self.path, value=namespace or None, mend=MEND)

    def _event(
        self, event: str, node: etree._Element, name: str, owners: list[tuple[etree._Element, Element]]
    ) -> Iterator[CityObject]:
        if event == "start":
            if name in _OWNERS or name == "TINRelief":
                owners.append((node, Element()))
        elif name in _POLYGONS:
            if owners:
                yield from self._polygon(node, name, owners)
            _forget(node)
        elif name == "Envelope":
            self._envelope(node)
        elif name == "measuredHeight":
            if owners and node.getparent() is owners[-1][0]:
                owners[-1][1].measured_height_m = self._height(node)
        elif name in _OTHER_RELIEFS:
            self.counts[f"{name} (not used)"] += 1
        elif name in _MEMBERS:
            for child in node:
                if _name(child) not in (*USES, "ReliefFeature"):
                    self.counts[f"{_name(child)} (not used)"] += 1
            _forget(node)
        else:
            yield from self._owner(node, name, owners)

    def _refuse_document_types(self) -> None:
        size = self.path.stat().st_size
        if size > MAX_BYTES:
            raise SurveyError(f"holds more than {MAX_BYTES:,} bytes", file=self.path, value=size, mend="Split it.")
        with self.path.open("rb") as file:
            head = file.read(300)
            encoding = re.match(rb"(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}encoding=[\"']([A-Za-z0-9_.:-]+)", head)
            tail = head
            while tail:
                if b"<!DOCTYPE" in tail or b"<!ENTITY" in tail:
                    raise SurveyError(
                        "declares a document type, which no survey needs", file=self.path, mend="Remove the DOCTYPE."
                    )
                more = file.read(2**20)
                tail = tail[-16:] + more if more else b""
        if b"\0" in head:  # two bytes for a letter: a document type would not look like one
            raise SurveyError("an encoding that is not read", file=self.path, mend="Save it as UTF-8.")
        named = encoding.group(1).decode().lower() if encoding else "utf-8"
        if named not in _ENCODINGS:
            raise SurveyError("an encoding that is not read", file=self.path, value=named, mend="Save it as UTF-8.")

    def _envelope(self, node: etree._Element) -> None:
        above = node.getparent()
        if above is None or above.getparent() is None or above.getparent().getparent() is not None:
            return  # of one object; the file's own counts
        self._states(node)
        corners = [self._numbers(child) for child in node if _name(child) in ("lowerCorner", "upperCorner")]
        if len(corners) != 2 or len(corners[0]) != len(corners[1]) or len(corners[0]) not in (2, 3):
            raise SurveyError("its envelope has no two corners", file=self.path, field="gml:Envelope", mend=MEND)
        self.extent = np.array(corners)

    def _states(self, node: etree._Element) -> None:
        name = node.get("srsName")
        if name is None or name == self.crs:
            return
        if self.crs is not None and not _same(self.crs, name):
            raise SurveyError(
                f"mixes two coordinate reference systems, {self.crs} and {name}", file=self.path, field="srsName",
                mend="Convert it to one.",
            )  # fmt: skip
        self.crs = self.crs or name

    def _numbers(self, node: etree._Element) -> NDArray[np.float64]:
        try:
            values = np.array((node.text or "").split(), np.float64)
        except ValueError as error:
            values, problem = np.empty(0), first_line(error)
        else:
            problem = "not a finite number"
        if not len(values) or not np.isfinite(values).all():
            raise SurveyError(
                f"coordinates that are none: {problem}", file=self.path, field=f"line {node.sourceline}", mend=MEND
            )
        return values

    def _height(self, node: etree._Element) -> float | None:
        if node.get("uom", "m").rpartition("#")[2].lower() not in ("m", "metre", "meter"):
            raise SurveyError("must be in metres", file=self.path, field="measuredHeight", value=node.get("uom"))
        (value,) = self._numbers(node)[:1]
        return float(value) if value >= 0 else None  # -9999 stands for not known

    def _ring(self, node: etree._Element) -> NDArray[np.float64]:
        """The coordinates of a LinearRing (n, 3)."""
        stated = next((above.get("srsDimension") for above in (node, *node) if above.get("srsDimension")), "3")
        values = [self._numbers(child) for child in node if _name(child) in ("posList", "pos")]
        flat = np.concatenate(values) if values else np.empty(0)
        if stated != "3" or len(flat) % 3 or len(flat) < 9:
            raise SurveyError(
                f"a ring of {len(flat)} numbers is no ring in three dimensions", file=self.path,
                field=f"line {node.sourceline}", mend="Give a 3-D model, with gml:posList or gml:pos.",
            )  # fmt: skip
        return flat.reshape(-1, 3)

    def _polygon(
        self, node: etree._Element, name: str, owners: list[tuple[etree._Element, Element]]
    ) -> Iterator[CityObject]:
        owner, element = owners[-1]
        level, role, is_foot = None, "", False
        above = node
        self._states(node)
        while above is not owner:
            above = above.getparent()
            label = _name(above)
            if label in _NOT_OUTDOORS:
                return
            if above is not owner and level is None and (found := _LOD.match(label)):
                level, role = int(found.group(1)), label
            is_foot |= label == "GroundSurface"
            self._states(above)
        outline, holes = [], []
        for child in node:
            if _name(child) in ("exterior", "outerBoundaryIs", "interior", "innerBoundaryIs"):
                rings = [self._ring(ring) for ring in child if _name(ring) == "LinearRing"]
                (outline if _name(child) in ("exterior", "outerBoundaryIs") else holes).extend(rings)
        if len(outline) != 1:
            raise SurveyError(
                f"a {name} with {len(outline)} outlines", file=self.path, field=f"line {node.sourceline}", mend=MEND
            )
        polygon = Polygon([*outline, *holes], is_foot or role == "lod0FootPrint")
        if _name(owner) == "TINRelief":
            batch = element.by_lod.setdefault(1, [])
            batch.append(polygon)
            if len(batch) > RELIEF_BATCH:
                element.by_lod[1] = [batch.pop()]
                yield CityObject("TINRelief", _id(owner), Use.GROUND, batch)
        elif level == 0:
            element.outlines.append(polygon)
        elif level is not None:
            element.by_lod.setdefault(level, []).append(polygon)

    def _owner(
        self, node: etree._Element, name: str, owners: list[tuple[etree._Element, Element]]
    ) -> Iterator[CityObject]:
        """At the end of an object: hand it on, or, when it is a part, leave it with its whole."""
        if not owners or owners[-1][0] is not node:
            # where the XML breaks off, libxml2 ends elements that never began, before it says so
            raise SurveyError(f"not readable CityGML: a {name} ends that never began", file=self.path, mend=MEND)
        _, element = owners.pop()
        if owners:
            owners[-1][1].parts.append(element)
            owners[-1][1].parts.extend(element.parts)
            element.parts = []
            return
        if name not in USES:
            self.counts[f"{name} (not used)"] += 1
            return
        found, reason = chosen(name, _id(node), element)
        self.counts[name if reason is None else f"{name} ({reason})"] += 1
        yield from found


def _id(node: etree._Element) -> str:
    return next((value for key, value in node.attrib.items() if key.endswith("}id") or key == "id"), "")


def _forget(node: etree._Element) -> None:
    """Free what has been read: the content of a node, and whatever stands before it and before its parent."""
    above = node.getparent()
    node.clear(keep_tail=True)
    for stay in (node, above):
        if stay is None or stay.getparent() is None:
            return
        while stay.getprevious() is not None:
            del stay.getparent()[0]
