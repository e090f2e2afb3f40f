"""What `utm map info` says of a map: from ``map.json`` alone, but for the highest obstacles."""

from __future__ import annotations

import datetime
import heapq
import math
from collections import Counter

import numpy as np

from utm.mapping.citymap import CityMap
from utm.mapping.mapfile import Status, Tile, tile_box

#: Two of the highest objects that are listed lie at least this far apart, so that one tower is not listed five times.
_APART_M = 150.0


def describe(city_map: CityMap, *, obstacles: int = 5) -> dict[str, object]:
    """A map in figures, ready for JSON: extent, datum, coverage, age, highest obstacles, sources and counts.

    Shares are of all cells. Reads the tiles of the highest obstacles and no others.

    Raises:
        MapError: the map is damaged.
    """
    frame, meta = city_map.frame, city_map.meta
    width, height = city_map.extent_m
    lon, lat = frame.to_lonlat(np.array([0.0, width, 0.0, width]), np.array([0.0, 0.0, height, height]))
    facts = [city_map.facts(tile) for tile in city_map.tiles()]
    cells = math.prod(city_map.size)

    def total(name: str) -> int:
        return sum(fact[name] for fact in facts)

    def share(count: int) -> float:
        return round(count / cells, 6)

    def spread(low: str, high: str) -> list[float]:
        return [round(min(fact[low] for fact in facts), 2), round(max(fact[high] for fact in facts), 2)]

    return {
        "path": str(city_map.path),
        "version": city_map.version,
        "versions": len(city_map.versions()),
        "crs": frame.crs,
        "origin": [frame.origin_x, frame.origin_y],
        "vertical_datum": str(frame.vertical),
        "geoid": meta["frame"].get("geoid"),
        "resolution_m": city_map.resolution_m,
        "size": list(city_map.size),
        "extent_m": [width, height],
        "area_km2": round(width * height / 1e6, 3),
        "west_south_east_north_deg": [round(float(v), 7) for v in (lon.min(), lat.min(), lon.max(), lat.max())],
        "known_share": share(total("known")),
        "unknown_share": share(cells - total("known")),
        "from_raster_share": share(total("from_raster")),
        "from_cloud_share": share(total("from_cloud")),
        "from_model_share": share(total("from_model")),
        "suspect_share": share(total("suspect")),
        "suspect_cells": total("suspect"),
        "columns_with_air": total("columns_with_air"),
        "terrain_m": spread("terrain_low_m", "terrain_high_m"),
        "surface_m": spread("surface_low_m", "surface_high_m"),
        "ground_cells": {
            "surveyed": cells - total("terrain_filtered") - total("terrain_assumed"),
            "filtered": total("terrain_filtered"),
            "assumed": total("terrain_assumed"),
        },
        "survey_dates": dict(meta["survey_dates"]),
        "surface_age": _ages(city_map),
        "highest_obstacles": _highest(city_map, obstacles),
        "bytes": sum(entry["bytes"] for entry in meta["tiles"]),
        "sources": meta["sources"],
        "parameters": meta["parameters"],
        "counts": meta["counts"],
        "cleared": meta.get("cleared", []),
        "notes": meta.get("notes", []),
    }


def _ages(city_map: CityMap) -> dict[str, object]:
    """Of the surface that somebody surveyed on a known day: the oldest, the median by area, the newest; and the share
    of all cells for which no day is known."""
    days: Counter[int] = Counter()
    for tile in city_map.tiles():
        for day, cells in city_map.facts(tile)["ages"]:
            days[day] += cells
    undated = days.pop(0, 0)
    told: dict[str, object] = {"oldest": None, "median": None, "newest": None}
    if days:
        in_order = sorted(days)
        passed = np.cumsum([days[day] for day in in_order])
        median = in_order[int(np.searchsorted(passed, passed[-1] / 2))]
        for name, day in (("oldest", in_order[0]), ("median", median), ("newest", in_order[-1])):
            told[name] = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
    return told | {"undated_share": round(undated / math.prod(city_map.size), 6)}


def _highest(city_map: CityMap, wanted: int) -> list[dict[str, object]]:
    """The known cells that stand highest above their terrain, each outside the squares around those before it.

    A tile is read when what it may hold is more than all that is known of the others: its height in ``map.json`` at
    first, what is left of it after it was read.
    """
    apart = max(1, round(_APART_M / city_map.resolution_m))
    taken: list[tuple[int, int]] = []
    found: list[dict[str, object]] = []
    # Minus a height, its tile, its cell, and how many obstacles there were when that was worked out; -1: from map.json
    heap: list[tuple[float, Tile, tuple[int, int], int]] = [
        (-float(city_map.facts(tile)["highest_m"]), tile, (0, 0), -1) for tile in city_map.tiles()
    ]
    heapq.heapify(heap)
    while heap and len(found) < wanted:
        height, tile, cell, known = heap[0]
        if not height < 0:
            break
        if known != len(taken):
            heapq.heapreplace(heap, (*_top(city_map, tile, taken, apart), len(taken)))
            continue
        found.append(_obstacle(city_map, cell, -height))
        taken.append(cell)
    return found


def _top(
    city_map: CityMap, tile: Tile, taken: list[tuple[int, int]], apart: int
) -> tuple[float, Tile, tuple[int, int]]:
    """Minus the greatest height of a tile outside the squares around what is taken, and its cell in the map."""
    box = tile_box(city_map.size, tile)
    terrain, surface, status = (city_map.layer(name, *box) for name in ("terrain", "surface", "status"))
    above = np.where(status & Status.KNOWN, surface - terrain, np.float32(0))
    for ix, iy in taken:
        x, y = ix - box[0], iy - box[1]
        above[max(0, x - apart) : max(0, x + apart + 1), max(0, y - apart) : max(0, y + apart + 1)] = 0
    x, y = (int(n) for n in np.unravel_index(np.argmax(above), above.shape))
    return -float(above[x, y]), tile, (box[0] + x, box[1] + y)


def _obstacle(city_map: CityMap, cell: tuple[int, int], above_m: float) -> dict[str, object]:
    east, north = ((n + 0.5) * city_map.resolution_m for n in cell)
    lon, lat = city_map.frame.to_lonlat(east, north)
    return {
        "lon": round(float(lon), 7),
        "lat": round(float(lat), 7),
        "above_ground_m": round(above_m, 2),
        "top_m": round(float(city_map.surface_up(east, north)), 2),
        "suspect": bool(city_map.status_at(east, north) & Status.SUSPECT),
    }
