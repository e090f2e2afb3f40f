"""The ground of every cell: given, filtered, or assumed from the lowest nearby.

Terrain is the LOWEST ground of a cell: the 150 m ceiling hangs from it. So what is assumed takes the lowest ground
around, and never lies above anything that was seen in the cell.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.errors import SurveyError
from utm.mapping.ingest import cloth
from utm.mapping.ingest.nearby import Far, Heights, square_min
from utm.mapping.ingest.parameters import Parameters, reach_cells
from utm.mapping.ingest.state import GROUND_CLASSIFIED, GROUND_FILTERED, GROUND_NONE, TileState


@dataclass(frozen=True, eq=False)
class Ground:
    """(nx, ny) over the box of a state."""

    terrain: Heights
    """Lowest ground."""
    high: Heights
    """Highest ground; the terrain where that is assumed."""
    assumed: NDArray[np.bool_]
    filtered: NDArray[np.bool_]


def with_filtered_ground(state: TileState, cell_m: float, p: Parameters) -> TileState:
    """The state, with ground filtered from its returns, or else from its surface model, where no surveyor gave any in
    the whole box (or, with ``ground`` "filter", where no terrain model did); ground of a relief model gives way to it.

    The filter works on the lowest height seen in each cell, so its ground is that height. What an older version found
    to be ground is shown to it again: a survey of a roof alone would look like ground.
    """
    rank, low, high = state.ground_rank, state.ground_low, state.ground_high
    if p.ground == "filter" and (classified := rank == GROUND_CLASSIFIED).any():
        rank = np.where(classified, GROUND_NONE, rank).astype(np.uint8)
        low, high = np.where(classified, np.float32(np.inf), low), np.where(classified, np.float32(-np.inf), high)
        state = dataclasses.replace(state, ground_rank=rank, ground_low=low, ground_high=high)
    returns = np.isfinite(state.low)
    if (rank >= GROUND_CLASSIFIED).any() or not returns.any():
        return state
    heights = np.where(~returns & (rank == GROUND_FILTERED), low, state.low)
    ix, iy = np.nonzero(np.isfinite(heights))
    found = heights[ix, iy]
    points = np.column_stack([(ix + 0.5) * cell_m, (iy + 0.5) * cell_m, found.astype(np.float64)])
    is_ground = cloth.ground_of(points, cell_m, p)
    at = ix[is_ground], iy[is_ground]
    rank, low, high = rank.copy(), low.copy(), high.copy()
    low[at] = high[at] = found[is_ground]
    rank[at] = GROUND_FILTERED
    return dataclasses.replace(state, ground_rank=rank, ground_low=low, ground_high=high)


def ground_of(state: TileState, far: Far, cell_m: float, p: Parameters) -> Ground:
    """The ground of every cell of the box.

    What a surveyor gave is believed, even where a return lies below it. What is assumed is lowered to whatever was
    seen in its cell.

    Raises:
        SurveyError: no ground is known anywhere on the map.
    """
    low = state.ground_low
    assumed = np.isposinf(low)
    filtered = state.ground_rank == GROUND_FILTERED
    if not assumed.any():
        return Ground(low, np.maximum(low, state.ground_high), assumed, filtered)
    near = reach_cells(p.unknown_nearby_m, cell_m)
    lowest = square_min(low, near)
    if (beyond := assumed & np.isposinf(lowest)).any():
        lowest[beyond] = far.lowest(state.box, near)[beyond]
    if np.isposinf(lowest[assumed]).any():
        raise SurveyError(
            "no ground is known: the legal ceiling is measured from it",
            field="--terrain",
            mend="Name a terrain model of the same area, or a point cloud: --terrain DTM.tif.",
        )
    lowest = np.minimum(lowest, state.low)
    np.minimum(lowest, state.base, out=lowest, where=~np.isneginf(state.base))
    terrain = np.where(assumed, lowest, low)
    return Ground(terrain, np.where(assumed, lowest, np.maximum(low, state.ground_high)), assumed, filtered)
