"""From what was seen of a tile to what the map says of it. Every doubt goes to the blocking side.

* terrain of a cell = its LOWEST ground; where none is known, the lowest nearby (`ground`);
* surface of a cell = the highest of what surveys saw, of its ground, of what was entered, and of the returns that were
  rejected but not cleared (`suspects`);
* a cell whose surface nobody saw is UNKNOWN and blocks as high as anything near it, and more (`unknown`);
* a column is solid from below up to its surface, but where returns prove air (`air`), and where something was entered
  that stands in the air (`runs`).

What the map says of a tile depends on the state of the tile and of the halo around it, and on the coarse summary of
the whole map (`nearby.Far`): not on the order of anything. A chain of rejected returns that supports itself sideways
over more than the halo is cut there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.air import Air, air_below
from utm.mapping.ingest.grid import Box
from utm.mapping.ingest.ground import Ground, ground_of
from utm.mapping.ingest.nearby import FAR_BLOCK, Far, Heights, seen_heights, summary
from utm.mapping.ingest.parameters import Parameters, halo_cells
from utm.mapping.ingest.runs import Columns, columns_of
from utm.mapping.ingest.state import TileState
from utm.mapping.ingest.suspects import suspects_of
from utm.mapping.ingest.unknown import assumed_surface
from utm.mapping.mapfile import Status, TileContent

__all__ = ["FAR_BLOCK", "Far", "Finished", "Parameters", "finish", "halo_cells", "summary"]

_FROM = np.uint8(Status.FROM_RASTER | Status.FROM_CLOUD | Status.FROM_MODEL)


@dataclass(frozen=True, eq=False)
class Finished:
    """A tile as it goes into the map."""

    content: TileContent
    counts: dict[str, int]
    """What became of the rejected returns: points_suspect, points_discarded_below, points_discarded_above."""


def finish(state: TileState, inner: Box, far: Far, p: Parameters, days: NDArray[np.uint16], cell_m: float) -> Finished:
    """Decide what the map says of one tile.

    Args:
        state: the tile with a halo of `halo_cells` around it, clipped to the map; its ground filtered, where it needs
            that (`ground.with_filtered_ground`).
        inner: the tile itself.
        far: the summary of the whole map.
        days: days since 1970-01-01 of each source's survey, by number; [0] is 0.
        cell_m: edge of a cell.

    Raises:
        SurveyError: no ground is known anywhere on the map.
    """
    ground = ground_of(state, far, cell_m, p)
    seen = seen_heights(state)
    highest = np.maximum(np.maximum(seen, state.ground_high), entered_heights(state))
    suspects = suspects_of(state, inner, highest, ground.terrain, cell_m, p)
    air = air_below(state, p)
    here = _window(state.box, inner)
    missing = np.isneginf(seen)
    missing_here = np.zeros_like(missing)
    missing_here[here] = missing[here]
    assumed = assumed_surface(
        seen, state.ground_high, ground.high, missing_here, state.box, far, cell_m, p
    )  # fmt: skip
    base = np.where(missing, assumed, np.maximum(state.base, ground.high))[here]
    source = np.where(state.base >= ground.high, state.base_source, 0).astype(np.uint16)[here]
    air_here = Air(*(np.ascontiguousarray(a[here]) for a in (air.found, air.below, air.above)))
    columns = columns_of(state, inner, base, source, ground.terrain[here], air_here, suspects)
    layers = {
        "terrain": np.ascontiguousarray(ground.terrain[here]),
        "surface": columns.top,
        "status": _status(state, here, missing, ground, columns),
        "source": columns.source,
        "age": days[columns.source],
    }
    return Finished(TileContent(layers=layers, runs=columns.runs), suspects.counts)


def entered_heights(state: TileState) -> Heights:
    """Highest entered thing of each cell, of whatever sort; -inf where there is none."""
    top = np.full(state.base.shape, -np.inf, np.float32)
    table = state.entered
    np.maximum.at(top, (table["ix"] - state.box[0], table["iy"] - state.box[1]), table["to_m"])
    return top


def _window(outer: Box, inner: Box) -> tuple[slice, slice]:
    return slice(inner[0] - outer[0], inner[2] - outer[0]), slice(inner[1] - outer[1], inner[3] - outer[1])


def _status(
    state: TileState, here: tuple[slice, slice], missing: NDArray[np.bool_], ground: Ground, columns: Columns
) -> NDArray[np.uint8]:
    status = np.where(missing, np.uint8(Status.UNKNOWN), np.uint8(Status.KNOWN))
    status |= state.flags & _FROM
    for flag, cells in (
        (Status.TERRAIN_ASSUMED, ground.assumed),
        (Status.TERRAIN_FILTERED, ground.filtered),
        (Status.FROM_MODEL, ~np.isneginf(entered_heights(state))),
    ):
        status[cells] |= np.uint8(flag)
    status = np.ascontiguousarray(status[here])
    status[columns.suspect] |= np.uint8(Status.SUSPECT)
    return status
