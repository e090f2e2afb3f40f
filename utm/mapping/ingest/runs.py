"""The table of solid runs: the columns of a tile that are more than solid up to their surface."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.air import Air
from utm.mapping.ingest.grid import Box
from utm.mapping.ingest.nearby import Heights
from utm.mapping.ingest.state import ENTERED_DTYPE, TileState
from utm.mapping.ingest.suspects import Suspects
from utm.mapping.mapfile import RUN_DTYPE, RunKind

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Columns:
    """The lowest run of every column, and the table of the columns that have more."""

    top: Heights
    """(nx, ny) surface: the highest end of a run."""
    source: NDArray[np.uint16]
    """(nx, ny) which source that is."""
    suspect: NDArray[np.bool_]
    """(nx, ny) whether the column has a suspect run above its base."""
    runs: NDArray
    """RUN_DTYPE."""


def columns_of(
    state: TileState,
    inner: Box,
    foot: Heights,
    foot_source: NDArray[np.uint16],
    terrain: Heights,
    air: Air,
    suspects: Suspects,
) -> Columns:
    """Put all runs of a tile together.

    * BASE reaches from below up to ``foot``, or to where the air begins; what hangs above the air is SEEN.
    * SUSPECT reaches from the top of the base up to the suspect. A suspect inside a base that surveys saw changes
      nothing; inside one that is only assumed it is listed, for the next survey may assume less.
    * ENTERED things that join what is below begin at the terrain, whatever stands there today: a later survey may find
      less. They are listed even where they end below the base.

    Args:
        foot: (nx, ny) over ``inner``: what surveys saw and the ground, or what is assumed.
        foot_source: which source decided that, 0 for ground and assumption.
        terrain: (nx, ny) lowest ground.
        air, suspects: over ``inner``.
    """
    base_top = np.where(air.found, air.below, foot)
    tables = [_entered(state.entered, inner, terrain), _seen(air, foot, foot_source), _kept(state, inner, base_top)]
    suspect = suspects.top > base_top
    x, y = np.nonzero(suspect)
    tables.append(_runs(x, y, base_top[suspect], suspects.top[suspect], RunKind.SUSPECT, suspects.source[suspect]))
    window = np.s_[inner[0] - state.box[0] : inner[2] - state.box[0], inner[1] - state.box[1] : inner[3] - state.box[1]]
    x, y = np.nonzero(~suspect & np.isneginf(state.base[window]) & (suspects.top > terrain))
    tables.append(_runs(x, y, terrain[x, y], suspects.top[x, y], RunKind.SUSPECT, suspects.source[x, y]))
    more = np.concatenate(tables)
    listed = np.zeros(foot.shape, bool)
    listed[more["ix"], more["iy"]] = True
    x, y = np.nonzero(listed)
    base = _runs(x, y, np.full(len(x), -np.inf), base_top[listed], RunKind.BASE, foot_source[listed])
    runs = in_order(np.concatenate([base, more]), "ix", "iy", "from_m", "kind", "source", "to_m")
    top, source = foot.copy(), foot_source.copy()
    top[listed], source[listed] = base_top[listed], foot_source[listed]
    raise_to(runs["ix"], runs["iy"], runs["to_m"], runs["source"], top, source)
    return Columns(top, source, suspect, runs)


def in_order(table: NDArray, *fields: str) -> NDArray:
    """The rows sorted by some fields; what `numpy.sort` does with ``order``, ten times as fast."""
    return table[np.lexsort([table[name] for name in reversed(fields)])]


@_kernel
def raise_to(ix, iy, to_m, sources, top, source):  # type: ignore[no-untyped-def]
    """Raise ``top`` to the highest run of each column and note its source; what is as high already stays.

    ix, iy, to_m, sources (n,) in a fixed order; top, source (nx, ny), changed in place.
    """
    for k in range(to_m.shape[0]):
        if to_m[k] > top[ix[k], iy[k]]:
            top[ix[k], iy[k]] = to_m[k]
            source[ix[k], iy[k]] = sources[k]


def united(entered: NDArray) -> NDArray:
    """Entered things of which no two of the same source in a cell overlap or touch (ENTERED_DTYPE, sorted)."""
    table = in_order(entered, "ix", "iy", "source", "from_m", "to_m")
    if len(table) < 2:
        return table
    first = np.ones(len(table), bool)
    _mark_starts(table["ix"], table["iy"], table["source"], table["from_m"], table["to_m"], first)
    at = np.flatnonzero(first)
    joined = table[at]
    joined["to_m"] = np.maximum.reduceat(table["to_m"], at)
    joined["surface"] = np.logical_or.reduceat(table["surface"], at)
    return joined


@_kernel
def _mark_starts(ix, iy, source, from_m, to_m, first):  # type: ignore[no-untyped-def]
    reach = to_m[0]
    for k in range(1, ix.shape[0]):
        same = ix[k] == ix[k - 1] and iy[k] == iy[k - 1] and source[k] == source[k - 1]
        first[k] = not same or from_m[k] > reach
        reach = to_m[k] if first[k] else max(reach, to_m[k])


def _runs(ix, iy, from_m, to_m, kind: NDArray | int, source) -> NDArray:  # type: ignore[no-untyped-def]
    table = np.empty(len(ix), RUN_DTYPE)
    table["ix"], table["iy"], table["from_m"], table["to_m"] = ix, iy, from_m, to_m
    table["kind"], table["source"] = kind, source
    return table


def _entered(entered: NDArray, inner: Box, terrain: Heights) -> NDArray:
    inside = (entered["ix"] >= inner[0]) & (entered["ix"] < inner[2])
    inside &= (entered["iy"] >= inner[1]) & (entered["iy"] < inner[3])
    table = united(entered[inside]) if inside.any() else np.empty(0, ENTERED_DTYPE)
    x, y = table["ix"] - inner[0], table["iy"] - inner[1]
    from_m = np.where(np.isneginf(table["from_m"]), np.minimum(terrain[x, y], table["to_m"]), table["from_m"])
    return _runs(x, y, from_m, table["to_m"], RunKind.ENTERED, table["source"])


def _seen(air: Air, foot: Heights, foot_source: NDArray[np.uint16]) -> NDArray:
    x, y = np.nonzero(air.found)
    return _runs(x, y, air.above[air.found], foot[air.found], RunKind.SEEN, foot_source[air.found])


def _kept(state: TileState, inner: Box, base_top: Heights) -> NDArray:
    """What hung in the air in the version before, in columns that were not seen again; not what the base now covers."""
    kept = state.kept[state.kept["kind"] == RunKind.SEEN]
    inside = (kept["ix"] >= inner[0]) & (kept["ix"] < inner[2]) & (kept["iy"] >= inner[1]) & (kept["iy"] < inner[3])
    kept = kept[inside]
    x, y = kept["ix"] - inner[0], kept["iy"] - inner[1]
    above = kept["to_m"] > base_top[x, y]
    kept, x, y = kept[above], x[above], y[above]
    return _runs(x, y, kept["from_m"], kept["to_m"], RunKind.SEEN, kept["source"])
