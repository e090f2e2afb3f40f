"""What ``map.json`` says of each tile, so that a city is described without reading it."""

from __future__ import annotations

import numpy as np

from utm.mapping.mapfile import Status, TileContent
from utm.mapping.runs import columns_with_air


def tile_facts(content: TileContent) -> dict[str, object]:
    """Numbers of cells by status, ranges of height (metres ``up``), and the ages of its surface.

    ``highest_m`` is the most that a known surface stands above its terrain (0 where nothing is known); ``ages`` lists
    ``[days since 1970-01-01, cells]``, 0 for cells whose survey has no date.
    """
    terrain, surface, status = (content.layers[name] for name in ("terrain", "surface", "status"))

    def cells(flag: Status) -> int:
        return int(np.count_nonzero(status & np.uint8(flag)))

    known = (status & Status.KNOWN) != 0
    days, of_day = np.unique(content.layers["age"], return_counts=True)
    return {
        "cells": int(status.size),
        "known": cells(Status.KNOWN),
        "suspect": cells(Status.SUSPECT),
        "from_raster": cells(Status.FROM_RASTER),
        "from_cloud": cells(Status.FROM_CLOUD),
        "from_model": cells(Status.FROM_MODEL),
        "terrain_assumed": cells(Status.TERRAIN_ASSUMED),
        "terrain_filtered": cells(Status.TERRAIN_FILTERED),
        "terrain_low_m": float(terrain.min()),
        "terrain_high_m": float(terrain.max()),
        "surface_low_m": float(surface.min()),
        "surface_high_m": float(surface.max()),
        "highest_m": float((surface - terrain)[known].max(initial=0.0)),
        "runs": len(content.runs),
        "columns_with_air": int(np.count_nonzero(columns_with_air(content.runs))),
        "ages": [[int(day), int(count)] for day, count in zip(days, of_day, strict=True)],
    }
