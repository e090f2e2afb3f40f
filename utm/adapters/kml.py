"""Sky roads as KML 2.2 (OGC 07-147r2), for Google Earth and its like.

``absolute`` heights in KML are above the EGM96 geoid, which is what a sky road has.
"""

from __future__ import annotations

import datetime
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from utm.errors import DatumError
from utm.model import Datum, SkyRoad, Waypoint

_NAMESPACE = "http://www.opengis.net/kml/2.2"
_STYLES = (("road", "ff00a5ff", "5900a5ff"), ("fence", "ffb06000", "26b06000"))


def dumps(roads: Sequence[SkyRoad]) -> str:
    """A KML document with one folder for each road: centre line, fence, pads. Ends with a newline.

    Raises:
        DatumError: a height that is not AMSL.
    """
    root = ET.Element("kml", xmlns=_NAMESPACE)
    document = ET.SubElement(root, "Document")
    _text(document, "name", "Sky roads")
    for name, line, fill in _STYLES:
        style = ET.SubElement(document, "Style", id=name)
        stroke = ET.SubElement(style, "LineStyle")
        _text(stroke, "color", line)  # aabbggrr
        _text(stroke, "width", "3")
        _text(ET.SubElement(style, "PolyStyle"), "color", fill)
    for road in roads:
        _folder(document, road)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _folder(document: ET.Element, road: SkyRoad) -> None:
    folder = ET.SubElement(document, "Folder")
    _text(folder, "name", road.intent_id)
    departs = datetime.datetime.fromtimestamp(road.depart_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _text(folder, "description", f"Departs {departs}; ceiling {road.ceiling_amsl_m:.1f} m AMSL (EGM96).")
    begins = ET.SubElement(folder, "TimeSpan")
    _text(begins, "begin", departs)

    line = _placemark(folder, f"{road.intent_id}: centre line", "road")
    string = ET.SubElement(line, "LineString")
    _text(string, "extrude", "1")
    _text(string, "altitudeMode", "absolute")
    top = Waypoint(road.pad.lon_deg, road.pad.lat_deg, road.takeoff_amsl_m, road.pad.datum)
    _text(string, "coordinates", " ".join(map(_at, (road.pad, top, *(leg.to for leg in road.legs), road.land))))

    polygon = ET.SubElement(_placemark(folder, f"{road.intent_id}: fence", "fence"), "Polygon")
    _text(polygon, "altitudeMode", "clampToGround")
    ring = ET.SubElement(ET.SubElement(polygon, "outerBoundaryIs"), "LinearRing")
    closed = (*road.fence_deg, road.fence_deg[0])
    _text(ring, "coordinates", " ".join(f"{lon:.7f},{lat:.7f}" for lon, lat in closed))

    for name, pad in (("take-off pad", road.pad), ("landing pad", road.land)):
        point = ET.SubElement(_placemark(folder, f"{road.intent_id}: {name}", None), "Point")
        _text(point, "altitudeMode", "absolute")
        _text(point, "coordinates", _at(pad))


def _placemark(folder: ET.Element, name: str, style: str | None) -> ET.Element:
    placemark = ET.SubElement(folder, "Placemark")
    _text(placemark, "name", name)
    if style:
        _text(placemark, "styleUrl", f"#{style}")
    return placemark


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _at(place: Waypoint) -> str:
    if place.datum is not Datum.AMSL:
        raise DatumError("KML is written with heights above mean sea level", value=str(place.datum))
    return f"{place.lon_deg:.7f},{place.lat_deg:.7f},{place.height_m:.2f}"
