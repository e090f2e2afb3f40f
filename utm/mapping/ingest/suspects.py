"""Judging the returns that the outlier filter rejected.

The filter rejects wires, masts and roof edges along with the true errors, so a rejection takes nothing away by itself:
the return becomes SUSPECT and blocks its column from the base up until a person clears it. Discarded, and counted, are
only returns well below the ground, which would change nothing, and returns alone far up in the air (`Parameters`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.grid import Box
from utm.mapping.ingest.nearby import Heights
from utm.mapping.ingest.parameters import Parameters, reach_cells
from utm.mapping.ingest.state import TileState
from utm.mapping.mapfile import RunKind

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")

SUSPECT, BELOW, ALONE = range(3)


@dataclass(frozen=True, eq=False)
class Suspects:
    """What became of the rejected returns of a tile."""

    top: Heights
    """Highest suspect of each cell of the tile, those of the version before too; -inf where there is none."""
    source: NDArray[np.uint16]
    counts: dict[str, int]


def suspects_of(
    state: TileState, inner: Box, seen: Heights, terrain: Heights, cell_m: float, p: Parameters
) -> Suspects:
    """Judge the rejected returns of a tile with its halo; only those in the tile itself are reported.

    Args:
        seen, terrain: (nx, ny) over ``state.box``: highest known thing, ground included, -inf where none; the terrain.
    """
    found = state.rejected
    # The result hangs on no order of reading
    table = found[np.lexsort([found["source"], found["iy"], found["ix"], found["up"]])]
    ix, iy = table["ix"] - state.box[0], table["iy"] - state.box[1]
    verdict = judge(
        ix, iy, table["up"], terrain, seen.copy(), p.discard_below_m, p.alone_m, reach_cells(p.nearby_m, cell_m)
    )
    mine = _within(table, inner)
    counted = mine & ~table["again"]
    counts = {
        "points_suspect": int((counted & (verdict == SUSPECT)).sum()),
        "points_discarded_below": int((counted & (verdict == BELOW)).sum()),
        "points_discarded_above": int((counted & (verdict == ALONE)).sum()),
    }
    old = state.kept[(state.kept["kind"] == RunKind.SUSPECT) & _within(state.kept, inner)]
    new = table[mine & (verdict == SUSPECT)]
    x = np.concatenate([old["ix"], new["ix"]]) - inner[0]
    y = np.concatenate([old["iy"], new["iy"]]) - inner[1]
    heights, sources = np.concatenate([old["to_m"], new["up"]]), np.concatenate([old["source"], new["source"]])
    top = np.full((inner[2] - inner[0], inner[3] - inner[1]), -np.inf, np.float32)
    np.maximum.at(top, (x, y), heights)
    deciding = heights == top[x, y]
    source = np.full(top.shape, np.iinfo(np.uint16).max, np.uint16)
    np.minimum.at(source, (x[deciding], y[deciding]), sources[deciding])
    source[np.isneginf(top)] = 0
    return Suspects(top, source, counts)


def _within(table: NDArray, box: Box) -> NDArray[np.bool_]:
    return (table["ix"] >= box[0]) & (table["ix"] < box[2]) & (table["iy"] >= box[1]) & (table["iy"] < box[3])


@_kernel
def judge(ix, iy, up, terrain, seen, below_m, alone_m, radius):  # type: ignore[no-untyped-def]
    """Which rejected returns are discarded: SUSPECT, BELOW the ground, or ALONE far in the air.

    The returns come sorted by height, lowest first, and each that is kept raises ``seen`` for those after it, so that
    a chain of returns going up (a mast, a crane) is never cut. A return is alone when everything seen or kept before
    it, in the square of ``radius`` cells around, lies more than ``alone_m`` below it; the ground beneath counts.

    ix, iy (n,) int; up (n,) f32 ascending, metres; terrain, seen (nx, ny) f32, seen is -inf where nothing is known
    and is raised in place. Returns (n,) u1.
    """
    verdict = np.zeros(up.shape[0], np.uint8)
    for k in range(up.shape[0]):
        floor = terrain[ix[k], iy[k]]
        if up[k] < floor - below_m:
            verdict[k] = BELOW
            continue
        nearest = max(seen[ix[k], iy[k]], floor)
        if up[k] > nearest + alone_m:
            for a in range(max(0, ix[k] - radius), min(seen.shape[0], ix[k] + radius + 1)):
                for b in range(max(0, iy[k] - radius), min(seen.shape[1], iy[k] + radius + 1)):
                    nearest = max(nearest, seen[a, b])
            if up[k] > nearest + alone_m:
                verdict[k] = ALONE
                continue
        seen[ix[k], iy[k]] = max(seen[ix[k], iy[k]], up[k])
    return verdict
