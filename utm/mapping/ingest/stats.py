"""What is worth knowing of a tile without reading it: ranges of height, and what stands highest above the ground."""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.mapping.ingest.grid import Box
from utm.mapping.mapfile import Status, TileContent

#: How many of the highest things are named, and how far apart they are.
HIGHEST, APART_M = 5, 150.0


def stats_of(content: TileContent, box: Box, cell_m: float) -> dict[str, Any]:
    """For ``map.json``: numbers and lists alone.

    Args:
        box: the cells of the tile, counted over the whole map.

    Returns:
        terrain_min_m, terrain_max_m, surface_max_m; and highest, of known cells, at least `APART_M` apart along one
        axis, the highest above its ground first: cell [ix, iy] over the whole map, above_ground_m, top_m, suspect.
    """
    terrain, surface, status = (content.layers[name] for name in ("terrain", "surface", "status"))
    above = np.where(status & Status.KNOWN, surface - terrain, np.float32(-1))
    apart = int(np.ceil(APART_M / cell_m))
    highest: list[dict[str, Any]] = []
    while len(highest) < HIGHEST:
        ix, iy = (int(n) for n in np.unravel_index(np.argmax(above), above.shape))
        if above[ix, iy] <= 0:
            break
        highest.append({
            "cell": [box[0] + ix, box[1] + iy],
            "above_ground_m": float(above[ix, iy]),
            "top_m": float(surface[ix, iy]),
            "suspect": bool(status[ix, iy] & Status.SUSPECT),
        })  # fmt: skip
        above[max(0, ix - apart + 1) : ix + apart, max(0, iy - apart + 1) : iy + apart] = -1
    return {
        "terrain_min_m": float(terrain.min()),
        "terrain_max_m": float(terrain.max()),
        "surface_max_m": float(surface.max()),
        "highest": highest,
    }
