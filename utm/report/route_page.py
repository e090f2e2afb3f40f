"""A planned way as one HTML page that needs nothing else, not even a network: in 3-D over the city, cut open along
it with a read-out under the pointer, and point by point."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import shapely

from utm.mapping.decimate import Decimated, decimate
from utm.mapping.view import ZONE_COLOURS
from utm.mapping.view3d import CELLS, LONGEST, facts_of
from utm.mapping.view3d import page as city_page
from utm.model import GeoZone
from utm.report.canvas import DANGER, SURFACE, TERRAIN
from utm.report.plan_picture import box_around
from utm.report.route_picture import HEIGHTS, heights_shown, subtitle
from utm.report.templates import template_environment
from utm.report.way import Cut, Way, cut_along, zone_limits, zone_outline

_MARGIN_M = 320.0
#: Zones are drawn as prisms with walls of at most this length, so that a limit above ground follows the ground.
_WALL_M = 120.0


def route_page(way: Way, out_html: str | Path) -> None:
    """Write the page of a way.

    Args:
        out_html: written whole or not at all.

    Raises:
        MapError: the way leaves the map, or the map's files are damaged.
        OSError: the page cannot be written.
    """
    text = page_text(way)
    out = Path(out_html)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def page_text(way: Way) -> str:
    """The whole page. Raises MapError."""
    cut = cut_along(way)
    points = np.concatenate([way.line.enu_m[:, :2], np.reshape(way.way_points(), (-1, 2))])
    box = box_around(points, np.array(way.city_map.extent_m), _MARGIN_M)
    scene = decimate(way.city_map, box=box, cells=CELLS, longest=LONGEST)
    facts = facts_of(way.city_map, scene, title=None, colour="natural", language="en")
    return _template().render(
        title=way.title,
        subtitle=subtitle(way),
        words=way.words,
        points=way.document["route"],
        along=[round(float(metres), 2) for metres in way.along_m],
        datum=str(way.city_map.frame.vertical),
        rules=way.rules,
        city=city_page(scene, facts, way_document(way, cut, scene)),
        cut=_plain(cut_document(way, cut)),
        colours={"surface": SURFACE, "terrain": TERRAIN, "ceiling": DANGER},
        result=json.dumps(dict(way.document), indent=2, ensure_ascii=False),
    )


def way_document(way: Way, cut: Cut, scene: Decimated) -> dict[str, Any]:
    """What the 3-D viewer draws in the air (see `utm.mapping.view3d.page`)."""
    corner = np.array([*scene.origin_m, 0.0])
    (west, south), (nx, ny) = scene.origin_m, scene.status.shape
    knots, agl = way.finely(cut)
    low, high = heights_shown(way, cut)
    colours = HEIGHTS(np.clip((agl - low) / (high - low), 0, 1))[:, :3]
    places = [("take-off", way.line.enu_m[0]), ("landing", way.line.enu_m[-1])]
    for number, (east, north) in enumerate(way.way_points(), 1):
        places.append((str(number), np.array([east, north, way.way_point_up(number - 1)])))
    extent = (west, south, west + nx * scene.cell_m, south + ny * scene.cell_m)
    return {
        "points": np.round(knots - corner, 2).tolist(),
        "colours": np.round(colours, 3).tolist(),
        "half_width_m": way.rules.half_width_m,
        "half_height_m": way.rules.half_height_m,
        "places": [{"name": name, "at": np.round(at - corner, 2).tolist()} for name, at in places],
        "zones": [zone for zone in (_prism(way, zone, extent) for zone in way.zones) if zone is not None],
    }


def _prism(way: Way, zone: GeoZone, extent: tuple[float, float, float, float]) -> dict[str, Any] | None:
    """A zone as the viewer draws it, cut off where the page ends; None when none of it is there."""
    west, south, east, north = extent
    seen = zone_outline(way.city_map, zone).intersection(shapely.box(*extent))
    if seen.is_empty or seen.geom_type != "Polygon":
        seen = max(getattr(seen, "geoms", ()), key=lambda part: part.area, default=None)
        if seen is None or seen.geom_type != "Polygon":
            return None
    ring = np.asarray(seen.segmentize(_WALL_M).exterior.coords)[:-1]
    inside = np.clip(ring, [west + 0.1, south + 0.1], [east - 0.1, north - 0.1])
    terrain = way.city_map.terrain_up(*inside.T)
    lower, upper = zone_limits(way.city_map, zone, *inside.T, np.asarray(terrain, np.float64))
    return {
        "name": zone.name,
        "ring": np.round(ring - [west, south], 2).tolist(),
        "lower": np.round(lower, 2).tolist(),
        "upper": np.round(upper, 2).tolist(),
        "colour": ZONE_COLOURS[zone.restriction],
    }


def cut_document(way: Way, cut: Cut) -> dict[str, Any]:
    """What the page draws of the air along the way. Heights are ``up``; null where the map ends too near."""
    push = way.push_at(cut.along_m)

    def plain(values: np.ndarray) -> list[float | None]:
        return [float(value) if np.isfinite(value) else None for value in np.round(values, 2)]

    return {
        "datum": str(way.city_map.frame.vertical),
        "half_height_m": way.rules.half_height_m,
        "along": plain(cut.along_m),
        "terrain": plain(cut.terrain_m),
        "surface": plain(cut.surface_m),
        "lowest": plain(cut.lowest_m),
        "highest": plain(cut.highest_m),
        "ceiling": plain(cut.ceiling_m),
        "unknown": cut.unknown.tolist(),
        "push": None if way.document["wind"] is None else plain(push),
        "line": {
            "along": plain(way.along_m),
            "up": plain(way.line.enu_m[:, 2]),
            "t": plain(way.line.t_s - way.line.start_s),
        },
        "departure": way.document["departure"],
        "shades": {
            "low": heights_shown(way, cut)[0],
            "high": heights_shown(way, cut)[1],
            "stops": np.round(HEIGHTS(np.linspace(0, 1, 9))[:, :3] * 255).astype(int).tolist(),
        },
        "zones": [
            {
                "name": crossing.zone.name,
                "from": round(crossing.from_m, 1),
                "to": round(crossing.to_m, 1),
                "lower": round(crossing.lower_up_m, 1),
                "upper": round(crossing.upper_up_m, 1),
                "colour": ZONE_COLOURS[crossing.zone.restriction],
                "avoided": crossing.zone.id in way.avoided,
            }
            for crossing in cut.crossings
        ],
        "places": [
            {"along": round(way.along_of(east, north), 1), "up": round(way.way_point_up(number), 1)}
            for number, (east, north) in enumerate(way.way_points())
        ],
    }


def _plain(document: dict[str, Any]) -> str:
    """JSON that may stand in a <script>: a zone's name may hold </script>."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@functools.cache
def _template() -> jinja2.Template:
    environment = template_environment()
    return environment.get_template("route.html.j2")
