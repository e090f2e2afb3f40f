"""What a finished tile holds: counted, put together from two, and without its suspects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.mapping.mapfile import RunKind, Status, TileContent

_COUNTED = {
    "cells_unknown": Status.UNKNOWN,
    "cells_from_raster": Status.FROM_RASTER,
    "cells_from_cloud": Status.FROM_CLOUD,
    "cells_from_model": Status.FROM_MODEL,
    "cells_suspect": Status.SUSPECT,
    "cells_terrain_assumed": Status.TERRAIN_ASSUMED,
    "cells_terrain_filtered": Status.TERRAIN_FILTERED,
}


def cells_counted(content: TileContent) -> dict[str, int]:
    """Cells by what is known of them, and runs by what they are."""
    status, runs = content.layers["status"], content.runs
    counts = {"cells": int(status.size)}
    counts |= {name: int(((status & flag) != 0).sum()) for name, flag in _COUNTED.items()}
    counts |= {f"runs_{kind.name.lower()}": int((runs["kind"] == kind).sum()) for kind in RunKind}
    return counts


def composed(before: TileContent, after: TileContent, changed: NDArray[np.bool_]) -> TileContent:
    """A tile that is ``after`` in the cells that changed, (nx, ny), and ``before`` to the bit elsewhere."""
    layers = {name: np.where(changed, after.layers[name], before.layers[name]) for name in before.layers}
    old, new = before.runs, after.runs
    kept = np.concatenate([old[~changed[old["ix"], old["iy"]]], new[changed[new["ix"], new["iy"]]]])
    return TileContent(layers=layers, runs=np.sort(kept, order=["ix", "iy", "from_m"]))


def without_suspects(content: TileContent, where: NDArray[np.bool_], days: NDArray[np.uint16]) -> TileContent:
    """The tile with the suspects of some cells (nx, ny) taken away; the rest of each column stands.

    Args:
        days: survey days by number of source.
    """
    runs = content.runs
    gone = (runs["kind"] == RunKind.SUSPECT) & where[runs["ix"], runs["iy"]]
    cells = np.unique(runs[gone][["ix", "iy"]])
    layers = {name: array.copy() for name, array in content.layers.items()}
    left = runs[~gone]
    touched = np.zeros(where.shape, bool)
    touched[cells["ix"], cells["iy"]] = True
    surface = np.full(where.shape, -np.inf, np.float32)
    source = np.zeros(where.shape, np.uint16)
    for run in left[touched[left["ix"], left["iy"]]]:
        at = run["ix"], run["iy"]
        if run["to_m"] > surface[at]:
            surface[at], source[at] = run["to_m"], run["source"]
    layers["surface"][touched] = surface[touched]
    layers["source"][touched] = source[touched]
    layers["age"][touched] = days[source[touched]]
    layers["status"][touched] &= np.uint8(0xFF ^ Status.SUSPECT)
    # A column of which only its base is left needs no list
    number = np.zeros(where.shape, np.int64)
    np.add.at(number, (left["ix"], left["iy"]), 1)
    single = touched & (number == 1)
    return TileContent(layers=layers, runs=left[~single[left["ix"], left["iy"]]])
