"""What `utm map info` says of a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.mapping.citymap import CityMap
from utm.mapping.mapfile import Status

#: Two of the highest objects that are listed lie at least this far apart, so that one tower is not listed five times.
_APART_M = 150.0


def describe(city_map: CityMap, *, obstacles: int = 5) -> dict[str, object]:
    """A map in figures, ready for JSON: extent, datum, coverage, highest obstacles, sources and counts.

    Raises:
        MapError: the map is damaged.
    """
    terrain = city_map.layer("terrain", 0, 0, *city_map.size)
    surface = city_map.layer("surface", 0, 0, *city_map.size)
    status = city_map.layer("status", 0, 0, *city_map.size)
    frame, meta = city_map.frame, city_map.meta
    width, height = city_map.extent_m
    lon, lat = frame.to_lonlat(np.array([0.0, width, 0.0, width]), np.array([0.0, 0.0, height, height]))
    known = (status & Status.KNOWN) != 0
    return {
        "path": str(city_map.path),
        "version": city_map.version,
        "crs": frame.crs,
        "origin": [frame.origin_x, frame.origin_y],
        "vertical_datum": str(frame.vertical),
        "resolution_m": city_map.resolution_m,
        "size": list(city_map.size),
        "extent_m": [width, height],
        "area_km2": round(width * height / 1e6, 3),
        "west_south_east_north_deg": [round(float(v), 7) for v in (lon.min(), lat.min(), lon.max(), lat.max())],
        "unknown_share": round(float(1 - known.mean()), 6),
        "from_cloud_share": round(float(((status & Status.FROM_CLOUD) != 0).mean()), 6),
        "suspect_share": round(float(((status & Status.SUSPECT) != 0).mean()), 6),
        "terrain_m": [round(float(terrain.min()), 2), round(float(terrain.max()), 2)],
        "surface_m": [round(float(surface.min()), 2), round(float(surface.max()), 2)],
        "highest_obstacles": _highest(
            city_map, np.where(known, surface - terrain, -np.inf), surface, status, obstacles
        ),
        "sources": meta["sources"],
        "parameters": meta["parameters"],
        "counts": meta["counts"],
    }


def _highest(
    city_map: CityMap, above: NDArray, surface: NDArray, status: NDArray[np.uint8], wanted: int
) -> list[dict[str, object]]:
    above = above.copy()
    apart = max(1, round(_APART_M / city_map.resolution_m))
    found: list[dict[str, object]] = []
    while len(found) < wanted:
        ix, iy = np.unravel_index(np.argmax(above), above.shape)
        if not above[ix, iy] > 0:
            break
        east, north = (float((i + 0.5) * city_map.resolution_m) for i in (ix, iy))
        lon, lat = city_map.frame.to_lonlat(east, north)
        found.append(
            {
                "lon": round(float(lon), 7),
                "lat": round(float(lat), 7),
                "above_ground_m": round(float(above[ix, iy]), 2),
                "top_m": round(float(surface[ix, iy]), 2),
                "suspect": bool(status[ix, iy] & Status.SUSPECT),
            }
        )
        above[max(0, ix - apart) : ix + apart + 1, max(0, iy - apart) : iy + apart + 1] = -np.inf
    return found
