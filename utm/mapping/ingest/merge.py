"""Everything that was seen of one tile, put together.

A new survey speaks for the cells that it saw: there, what an older version of the map knew from surveys is replaced.
What a survey cannot see stays: models and vectors until they are withdrawn, suspects until a person clears them, and
wires that an older survey saw become suspects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.binning import Heights, rounded_up
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import TILE, Box
from utm.mapping.ingest.nearby import square_max
from utm.mapping.ingest.state import (
    ENTERED_DTYPE,
    GROUND_CLASSIFIED,
    GROUND_DTM,
    GROUND_FILTERED,
    GROUND_MODEL,
    GROUND_NONE,
    KEPT_DTYPE,
    LAYER_M,
    REJECTED_DTYPE,
    TileState,
)
from utm.mapping.mapfile import RunKind, Status, TileContent


@dataclass(frozen=True, eq=False)
class RasterSeen:
    """What one raster says of a tile: (nx, ny), -inf and +inf where nothing."""

    source: int
    error_m: float
    highest: Heights
    lowest: Heights


@dataclass(frozen=True, eq=False)
class PointsSeen:
    """What one cloud, model or obstacle file says of a tile."""

    source: int
    error_m: float
    is_model: bool
    evidence: Evidence


def merged(
    box: Box,
    surfaces: Sequence[RasterSeen],
    terrains: Sequence[RasterSeen],
    points: Sequence[PointsSeen],
    before: TileState | None = None,
) -> TileState:
    """The state of a tile. The result depends on what is given, not on its order.

    Args:
        box: the tile's cells.
        before: the tile as the version that is being updated knows it.
    """
    new = TileState.nothing(box)
    for seen in sorted(surfaces, key=lambda s: s.source):
        _raise_base(new, grown(seen.highest, seen.error_m), seen.source)
        new.flags[~np.isneginf(seen.highest)] |= np.uint8(Status.FROM_RASTER)
        np.minimum(new.low, seen.lowest, out=new.low)
    new.solid = new.base.copy()
    rejected, entered = [], []
    for seen in sorted(points, key=lambda s: s.source):
        _add_returns(new, seen)
        rejected.append(_rejected(box, seen))
        entered.append(_entered(box, seen))
        rank = GROUND_MODEL if seen.is_model else GROUND_CLASSIFIED
        ix, iy = _cells(seen.evidence.ground_cells)
        _add_ground(new, (ix, iy), seen.evidence.ground_low, seen.evidence.ground_high, rank)
    for seen in sorted(terrains, key=lambda s: s.source):
        known = np.isfinite(seen.lowest)
        _add_ground(new, np.nonzero(known), seen.lowest[known], seen.highest[known], GROUND_DTM)
    new.rejected = np.sort(
        np.concatenate([np.empty(0, REJECTED_DTYPE), *rejected]), order=["ix", "iy", "up", "source", "again"]
    )
    new.entered = _sorted_entered([np.empty(0, ENTERED_DTYPE), *entered])
    new.flags[new.entered["ix"] - box[0], new.entered["iy"] - box[1]] |= np.uint8(Status.FROM_MODEL)
    return new if before is None else _over(before, new)


def grown(heights: Heights, error_m: float) -> Heights:
    """Heights raised by a survey error, rounded up; -inf stays."""
    return heights if error_m == 0 else rounded_up(heights.astype(np.float64) + error_m)


def _cells(cells: NDArray[np.int32]) -> tuple[NDArray, NDArray]:
    return cells // TILE, cells % TILE


def _raise_base(state: TileState, heights: Heights, source: int) -> None:
    higher = heights > state.base
    state.base[higher] = heights[higher]
    state.base_source[higher] = source


def _add_returns(state: TileState, seen: PointsSeen) -> None:
    found = seen.evidence
    at = _cells(found.cells)
    top = grown(found.top, seen.error_m)
    higher = top > state.base[at]
    where = (at[0][higher], at[1][higher])
    state.base[where] = top[higher]
    state.base_source[where] = seen.source
    state.low[at] = np.minimum(state.low[at], found.low)
    state.levels[at] |= found.levels
    state.returns[at] += found.returns
    state.error_m[at] = np.maximum(state.error_m[at], np.float32(seen.error_m))
    state.flags[at] |= np.uint8(Status.FROM_CLOUD)


def _add_ground(state: TileState, at: tuple, low: NDArray, high: NDArray, rank: int) -> None:
    """A higher rank replaces a lower one in its cell; equal ranks are joined."""
    present = state.ground_rank[at]
    for better, how in ((present < rank, "replace"), (present == rank, "join")):
        where = tuple(axis[better] for axis in at)
        if how == "replace":
            state.ground_low[where], state.ground_high[where] = low[better], high[better]
            state.ground_rank[where] = rank
        else:
            state.ground_low[where] = np.minimum(state.ground_low[where], low[better])
            state.ground_high[where] = np.maximum(state.ground_high[where], high[better])


def _rejected(box: Box, seen: PointsSeen) -> NDArray:
    table = np.empty(len(seen.evidence.rejected_cells), REJECTED_DTYPE)
    ix, iy = _cells(seen.evidence.rejected_cells)
    table["ix"], table["iy"] = ix + box[0], iy + box[1]
    table["up"] = grown(seen.evidence.rejected_up, seen.error_m)
    table["source"], table["again"] = seen.source, seen.evidence.rejected_again
    return table


def _entered(box: Box, seen: PointsSeen) -> NDArray:
    found = seen.evidence
    table = np.empty(len(found.entered_cells), ENTERED_DTYPE)
    ix, iy = _cells(found.entered_cells)
    table["ix"], table["iy"] = ix + box[0], iy + box[1]
    table["from_m"] = -grown(-found.entered_from, seen.error_m)
    table["to_m"] = grown(found.entered_to, seen.error_m)
    table["source"], table["surface"] = seen.source, found.entered_is_surface
    return table


def _sorted_entered(tables: Sequence[NDArray]) -> NDArray:
    return np.unique(np.concatenate(tables))


def _over(old: TileState, new: TileState) -> TileState:
    """The new state laid over the old one, see the module's rule."""
    saw = (new.flags & (Status.FROM_RASTER | Status.FROM_CLOUD)) != 0
    for name in ("base", "base_source", "solid", "low", "levels", "returns", "error_m"):
        getattr(old, name)[saw] = getattr(new, name)[saw]
    old.flags[saw] = new.flags[saw] | (old.flags[saw] & np.uint8(Status.FROM_MODEL))
    old.flags |= new.flags & np.uint8(Status.FROM_MODEL)
    better = (new.ground_rank > GROUND_NONE) & (new.ground_rank >= old.ground_rank)
    for name in ("ground_low", "ground_high", "ground_rank"):
        getattr(old, name)[better] = getattr(new, name)[better]
    # A ground that was filtered from the old returns does not outlive them
    stale = saw & (old.ground_rank == GROUND_FILTERED)
    old.ground_low[stale], old.ground_high[stale], old.ground_rank[stale] = np.inf, -np.inf, GROUND_NONE
    old.kept = _doubted(old.kept, old.box, saw, new.base)
    old.rejected = new.rejected
    old.fresh |= (new.flags != 0) | (new.ground_rank > GROUND_NONE)
    old.fresh[new.rejected["ix"] - old.box[0], new.rejected["iy"] - old.box[1]] = True
    old.entered = _sorted_entered([old.entered, new.entered])
    return old


def _doubted(kept: NDArray, box: Box, saw: NDArray[np.bool_], base: Heights) -> NDArray:
    """The runs of the old version after a new survey, which saw ``base``.

    A thing with air below it that the new survey saw, too (the highest of the cell, or of one beside it, is as high as
    the thing, give or take a level), is the new survey's to tell. One that it did not see is not gone: cameras miss
    wires, and a roof beside a wire that stands higher says nothing of it. It becomes a suspect.
    """
    at = kept["ix"] - box[0], kept["iy"] - box[1]
    resurveyed = (kept["kind"] == RunKind.SEEN) & saw[at]
    around = np.pad(base, 1, constant_values=-np.inf)
    confirmed = np.zeros(len(kept), bool)
    for dx, dy in np.ndindex(3, 3):
        there = around[at[0] + dx, at[1] + dy]
        confirmed |= (there >= kept["from_m"] - LAYER_M) & (there <= kept["to_m"] + LAYER_M)
    confirmed &= resurveyed
    doubted = kept.copy()
    doubted["kind"][resurveyed] = RunKind.SUSPECT
    return np.sort(doubted[~confirmed])


@dataclass(frozen=True)
class Recall:
    """What the tiles of a map do not say by themselves."""

    withdrawn: frozenset[int] = frozenset()
    """Sources (1-based) whose entered things are dropped."""
    surfaces: frozenset[int] | None = None
    """Sources that entered things which describe a surface; None: all that entered anything."""
    ground_rank: int = GROUND_DTM
    """GROUND_* of ground that was not filtered."""

    @classmethod
    def of(
        cls, sources: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], withdrawn: frozenset[int]
    ) -> Recall:
        """By ``sources`` and ``parameters`` of ``map.json``."""
        surfaces = frozenset(
            number + 1
            for number, source in enumerate(sources)
            if source["kind"] == "model" or (source["kind"] == "obstacles" and "building" in source.get("counts", {}))
        )
        if any(source["role"] == "terrain" for source in sources):
            rank = GROUND_DTM
        else:  # so that what a newer cloud calls ground replaces it
            rank = GROUND_MODEL if parameters.get("ground") == "filter" else GROUND_CLASSIFIED
        return cls(withdrawn, surfaces, rank)


def recalled(box: Box, content: TileContent, recall: Recall = Recall()) -> TileState:
    """A tile of an existing map as a state: what it knew, without what it only assumed."""
    layers, runs = content.layers, content.runs
    state = TileState.nothing(box)
    status = layers["status"]
    surveyed = (status & (Status.FROM_RASTER | Status.FROM_CLOUD)) != 0
    state.base[surveyed] = layers["surface"][surveyed]
    state.base_source[surveyed] = layers["source"][surveyed]
    state.flags[:] = status & (Status.FROM_RASTER | Status.FROM_CLOUD)
    listed = runs[runs["kind"] == RunKind.BASE]
    base = listed[surveyed[listed["ix"], listed["iy"]]]
    state.base[base["ix"], base["iy"]] = base["to_m"]
    state.base_source[base["ix"], base["iy"]] = base["source"]
    state.solid[surveyed] = state.base[surveyed]
    known = (status & Status.TERRAIN_ASSUMED) == 0
    state.ground_low[known] = state.ground_high[known] = layers["terrain"][known]
    # The highest ground of a cell is forgotten; that of a slope reaches up to the lowest of the next cell
    slope = known & ~surveyed
    state.ground_high[slope] = square_max(state.ground_low * np.where(known, 1, -1).astype(np.float32), 1)[slope]
    # ... but under a model that nobody surveyed it is all that the base is
    modelled = known & ~surveyed & ((status & Status.KNOWN) != 0)
    foot = listed[modelled[listed["ix"], listed["iy"]]]
    at = foot["ix"], foot["iy"]
    state.ground_high[at] = np.maximum(state.ground_high[at], foot["to_m"])
    state.ground_rank[known] = recall.ground_rank
    filtered = known & ((status & Status.TERRAIN_FILTERED) != 0)
    state.ground_rank[filtered] = GROUND_FILTERED

    def whole_map(kinds: tuple[RunKind, ...]) -> NDArray:
        mine = runs[np.isin(runs["kind"], kinds)]
        table = np.empty(len(mine), KEPT_DTYPE)
        for name in mine.dtype.names or ():
            table[name] = mine[name]
        table["ix"] += box[0]
        table["iy"] += box[1]
        return table

    state.kept = whole_map((RunKind.SEEN, RunKind.SUSPECT))
    entered = whole_map((RunKind.ENTERED,))
    dropped = np.isin(entered["source"], sorted(recall.withdrawn))
    state.fresh[entered["ix"][dropped] - box[0], entered["iy"][dropped] - box[1]] = True
    entered = entered[~dropped]
    state.entered = np.empty(len(entered), ENTERED_DTYPE)
    for name in ("ix", "iy", "from_m", "to_m", "source"):
        state.entered[name] = entered[name]
    at = entered["ix"] - box[0], entered["iy"] - box[1]
    grounded = entered["from_m"] <= layers["terrain"][at]
    state.entered["from_m"][grounded] = -np.inf
    # A cell that no survey saw is known by the surface that was entered there
    state.entered["surface"] = grounded & ((status[at] & Status.KNOWN) != 0)
    if recall.surfaces is not None:
        state.entered["surface"] &= np.isin(entered["source"], sorted(recall.surfaces))
    state.entered = np.unique(state.entered)
    state.flags[state.entered["ix"] - box[0], state.entered["iy"] - box[1]] |= np.uint8(Status.FROM_MODEL)
    return state
