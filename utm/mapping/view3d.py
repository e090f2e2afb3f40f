"""A city as one HTML page that opens in any browser without a network: heights, colours and viewer are all in it.

The viewer (``assets/viewer/*.js``, bundled with three.js into ``assets/viewer.min.js``) draws the ground as a sheet and
what stands on it as columns with vertical walls. The numbers travel as ``u2`` steps of ``step_m`` above ``base_m``,
differenced, low bytes before high bytes, deflated (zlib) and in base64; `unpacked` reads them back.
"""

from __future__ import annotations

import base64
import html
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.errors import MapError
from utm.mapping.citymap import CityMap
from utm.mapping.decimate import Decimated, decimate, merged

#: Most cells of a page, and most along an edge: a telephone still turns the city smoothly.
CELLS = 500_000
LONGEST = 1024
#: Most things with air below them that are drawn one by one.
FLOATING = 40_000
#: Names of the ways of colouring, by what the command line calls them.
COLOURS = {"height": "natural", "surface": "height", "age": "age", "source": "source", "status": "known"}

_LATTICE = 17  # bilinear between places 1/16 of the city apart: centimetres in a city of 20 km


@dataclass(frozen=True)
class Facts:
    """What the page says in words."""

    title: str
    version: str
    crs: str
    vertical: str
    """Datum of the heights."""
    map_cell_m: float
    surveyed: Mapping[str, str | None]
    """``oldest`` and ``newest`` day, ISO."""
    sources: tuple[str, ...]
    """Names of the files by number."""
    lattice: tuple[NDArray[np.float64], NDArray[np.float64]]
    """Longitude and latitude, (n, n) each, of a lattice over the page's blocks, [ix, iy]."""
    north_rad: float
    """From the map's north to true north, clockwise."""
    colour: str = "natural"
    language: str = "en"


def view_3d(
    city_map: CityMap,
    out_html: str | Path,
    *,
    layer: str = "height",
    title: str | None = None,
    language: str = "en",
    cells: int = CELLS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write the 3-D page of a map.

    Args:
        layer: what the page is coloured by at first, a key of `COLOURS`.
        title: headline; the directory's name by default.
        language: ``en`` or ``ja``, at first.
        cells: most cells that are drawn; a larger city is drawn from blocks of cells, each as high as its highest.

    Raises:
        MapError: the map is damaged, or the file cannot be written.
    """
    scene = decimate(city_map, cells=cells, longest=LONGEST, progress=progress)
    text = page(scene, facts_of(city_map, scene, title=title, colour=COLOURS[layer], language=language))
    out = Path(out_html)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MapError(
            f"the page cannot be written: {error.strerror}", file=out, mend="Choose another place."
        ) from None
    return out


def facts_of(city_map: CityMap, scene: Decimated, *, title: str | None, colour: str, language: str) -> Facts:
    """What the page says in words of a map."""
    meta, frame = city_map.meta, city_map.frame
    (west, south), (nx, ny) = scene.origin_m, scene.status.shape
    along = np.linspace(0, scene.cell_m, _LATTICE)
    east, north = np.meshgrid(west + along * nx, south + along * ny, indexing="ij")
    lon, lat = frame.to_lonlat(east, north)
    middle = _LATTICE // 2
    tip = frame.to_map(lon[middle, middle], lat[middle, middle] + 1e-3)
    turn = np.arctan2(float(tip[0]) - east[middle, middle], float(tip[1]) - north[middle, middle])
    return Facts(
        title or city_map.path.name,
        city_map.version,
        frame.crs if len(frame.crs) < 40 else frame.crs.partition('"')[2].partition('"')[0],
        str(frame.vertical),
        city_map.resolution_m,
        meta["survey_dates"],
        tuple(source["file"] for source in meta["sources"]),
        (lon, lat),
        float(turn),
        colour,
        language,
    )


def page(scene: Decimated, facts: Facts, way: Mapping[str, Any] | None = None) -> str:
    """The whole page, HTML.

    Args:
        way: what ``assets/viewer/way.js`` draws in the air, metres east and north of the scene's corner and heights
            ``up``: ``points`` [[east, north, up], ...] and ``colours`` [[r, g, b], ...] (0 to 1) of the line,
            ``half_width_m`` and ``half_height_m`` of the room around it, ``places`` [{name, at}, ...], and ``zones``
            [{ring: [[east, north], ...], lower: [up, ...], upper: [up, ...], colour}, ...].
    """
    document = json.dumps(
        document_of(scene, facts) | {"way": way}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    parts = {
        "title": html.escape(facts.title),
        "style": _asset("viewer.css"),
        "city": document.replace("<", "\\u003c"),  # a name may hold </script>
        "program": _asset("viewer.min.js").replace("</script", "<\\/script"),
    }
    text = _asset("viewer.html")
    for name, part in parts.items():
        before, mark, after = text.partition("{{ " + name + " }}" if name != "title" else "<title>{{ title }}</title>")
        if not mark:
            raise ValueError(f"the template has no place for {name}")
        text = before + (part if name != "title" else f"<title>{part}</title>") + after
    return text


def document_of(scene: Decimated, facts: Facts) -> dict[str, Any]:
    """What the viewer reads: the facts and the packed planes."""
    above_m = np.maximum(scene.base_m, 0.0)
    floating, span = _few(scene.floating)
    highest = max(
        float((scene.ground_m + above_m).max()), float(floating["to_m"].max()) if len(floating) else -np.inf
    )  # fmt: skip
    base_m = float(np.floor(scene.ground_m.min()))
    step_m = max(0.1, (highest - base_m) / 65_000)

    def steps(heights: NDArray) -> NDArray[np.uint16]:
        return np.clip(np.rint(heights / step_m), 0, 65_535).astype(np.uint16)

    planes = {
        "ground": steps(scene.ground_m - base_m),
        "above": steps(above_m),
        "status": scene.status,
        "source": scene.source,
        "age": scene.age,
        "look": scene.woods.astype(np.uint8),
        "floating_x": floating["ix"].astype(np.uint16),
        "floating_y": floating["iy"].astype(np.uint16),
        "floating_from": steps(floating["from_m"] - base_m),
        "floating_to": steps(floating["to_m"] - base_m),
        "floating_kind": floating["kind"],
    }
    nx, ny = scene.status.shape
    relief = float(np.ptp(scene.ground_m))
    return {
        "title": facts.title,
        "version": facts.version,
        "crs": facts.crs,
        "vertical": facts.vertical,
        "surveyed": dict(facts.surveyed),
        "sources": [{"file": name} for name in facts.sources],
        "layer": facts.colour,
        "language": facts.language,
        "north_rad": facts.north_rad,
        "nx": nx,
        "ny": ny,
        "cell_m": scene.cell_m,
        "map_cell_m": facts.map_cell_m,
        "base_m": base_m,
        "step_m": step_m,
        "middle_m": float(np.median(scene.ground_m)) - base_m,
        "high_m": float(np.ptp(scene.ground_m)),
        "contour_m": next((step for step in (1, 2, 5, 10, 20, 50, 100) if relief / step < 25), 200)
        if relief > 5
        else 0,
        "stretch": 1.0,
        "floating": {"count": len(floating), "cell_m": scene.cell_m * span},
        "lattice": {
            "n": len(facts.lattice[0]),
            "lon": np.round(facts.lattice[0], 8).ravel().tolist(),
            "lat": np.round(facts.lattice[1], 8).ravel().tolist(),
        },
        "planes": {name: packed(plane) for name, plane in planes.items()},
    }


def packed(plane: NDArray) -> dict[str, Any]:
    """A plane of ``u1`` or ``u2`` for the page."""
    flat = np.ascontiguousarray(plane).ravel()
    steps = np.diff(flat, prepend=flat.dtype.type(0))
    parts = [steps & 0xFF, steps >> 8] if flat.dtype.itemsize == 2 else [steps]
    data = zlib.compress(b"".join(part.astype(np.uint8).tobytes() for part in parts), 9)
    return {"bytes": flat.dtype.itemsize, "length": flat.size, "base64": base64.b64encode(data).decode("ascii")}


def unpacked(plane: Mapping[str, Any]) -> NDArray:
    """What `packed` packed, flat: the same steps as the viewer takes."""
    parts = np.frombuffer(zlib.decompress(base64.b64decode(plane["base64"])), np.uint8).reshape(plane["bytes"], -1)
    dtype = np.uint16 if plane["bytes"] == 2 else np.uint8
    steps = sum((part.astype(dtype) << dtype(8 * k) for k, part in enumerate(parts)), np.zeros(plane["length"], dtype))
    return np.cumsum(steps, dtype=dtype)


def _few(floating: NDArray) -> tuple[NDArray, int]:
    """At most FLOATING things: in larger blocks if need be; and how many of the page's cells such a block is wide."""
    span = 1
    few = floating
    while len(few) > FLOATING:
        span *= 2
        few = floating.copy()
        few["ix"] //= span
        few["iy"] //= span
        few = merged(few)
    return few, span


@cache
def _asset(name: str) -> str:
    return (files("utm.mapping") / "assets" / name).read_text(encoding="utf-8")
