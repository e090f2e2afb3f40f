"""What a finished tile holds: counted, put together from two, and without its suspects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.runs import in_order
from utm.mapping.mapfile import RunKind, Status, TileContent


def counted(facts: Mapping[str, Any]) -> dict[str, int]:
    """Cells by what is known of them, from the facts of a tile in ``map.json``."""
    names = ("suspect", "from_raster", "from_cloud", "from_model", "terrain_assumed", "terrain_filtered")
    counts = {f"cells_{name}": facts[name] for name in names}
    counts |= {name: facts[name] for name in ("cells", "runs", "columns_with_air")}
    return counts | {"cells_unknown": facts["cells"] - facts["known"]}


def composed(before: TileContent, after: TileContent, changed: NDArray[np.bool_]) -> TileContent:
    """A tile that is ``after`` in the cells that changed, (nx, ny), and ``before`` to the bit elsewhere."""
    layers = {name: np.where(changed, after.layers[name], before.layers[name]) for name in before.layers}
    old, new = before.runs, after.runs
    kept = np.concatenate([old[~changed[old["ix"], old["iy"]]], new[changed[new["ix"], new["iy"]]]])
    return TileContent(layers=layers, runs=in_order(kept, "ix", "iy", "from_m", "kind", "source", "to_m"))


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
