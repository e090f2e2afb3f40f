"""States of small tiles, made by hand or drawn by chance."""

from __future__ import annotations

import dataclasses

import numpy as np

from utm.mapping.ingest.binning import rounded_down, rounded_up
from utm.mapping.ingest.nearby import Far, summary
from utm.mapping.ingest.state import (
    ENTERED_DTYPE,
    GROUND_CLASSIFIED,
    GROUND_DTM,
    KEPT_DTYPE,
    LAYER_M,
    REJECTED_DTYPE,
    TileState,
)
from utm.mapping.mapfile import Status

INF = float("inf")
DAYS = np.array([0, 100, 200, 300], np.uint16)


def flat(nx, ny, ground=10.0, seen=None, corner=(0, 0)):
    """A plain of known ground, seen by a raster (source 1) at ``seen`` or by nothing."""
    state = TileState.nothing((*corner, corner[0] + nx, corner[1] + ny))
    state.ground_low[:] = state.ground_high[:] = ground
    state.ground_rank[:] = GROUND_DTM
    if seen is not None:
        state.base[:] = state.solid[:] = state.low[:] = seen
        state.base_source[:] = 1
        state.flags[:] = Status.FROM_RASTER
    return state


def add_returns(state, ix, iy, heights, source=2, error_m=0.0):
    """Accepted returns in one cell (of the box), as readers and merging put them there."""
    heights = np.asarray(heights, np.float64)
    top = rounded_up(heights.max() + error_m)
    if top > state.base[ix, iy]:
        state.base[ix, iy], state.base_source[ix, iy] = top, source
    state.low[ix, iy] = min(state.low[ix, iy], rounded_down(heights.min()))
    for up in heights:
        state.levels[ix, iy] |= np.uint64(1) << np.uint64(int(np.floor(up / LAYER_M)) & 63)
    state.returns[ix, iy] += len(heights)
    state.error_m[ix, iy] = max(state.error_m[ix, iy], error_m)
    state.flags[ix, iy] |= np.uint8(Status.FROM_CLOUD)


def rejected(*rows):
    """(ix, iy, up, source) each."""
    return np.array([(*row, False) for row in rows], REJECTED_DTYPE)


def entered(*rows):
    """(ix, iy, from_m, to_m, source, is_surface) each."""
    return np.array(list(rows), ENTERED_DTYPE)


def kept(*rows):
    """(ix, iy, from_m, to_m, kind, source) each."""
    return np.array(list(rows), KEPT_DTYPE)


def far_of(state):
    """The far summary of a map that is this state and nothing else; its box must begin at 0, 0."""
    return Far(*summary(state, state.box))


def chance(seed, nx, ny, *, ground=0.7, raster=0.4, cloud=0.5, spots=4):
    """A patchwork: holes in ground, raster and cloud; wires, rejected returns, entered and kept things."""
    rng = np.random.default_rng(seed)
    state = TileState.nothing((0, 0, nx, ny))

    def patches(share):
        cells = rng.random((-(-nx // spots), -(-ny // spots))) < share
        return np.kron(cells, np.ones((spots, spots), bool))[:nx, :ny]

    hills = (10 + 4 * np.sin(np.arange(nx) / 7)[:, None] + 3 * np.cos(np.arange(ny) / 5)).astype(np.float32)
    known = patches(ground)
    state.ground_low[known], state.ground_high[known] = hills[known], hills[known] + np.float32(0.5)
    state.ground_rank[known] = rng.choice([GROUND_CLASSIFIED, GROUND_DTM])
    seen = patches(raster)
    heights = hills + rng.choice([0, 8, 25], (nx, ny)).astype(np.float32)
    state.base[seen] = state.solid[seen] = state.low[seen] = heights[seen]
    state.base_source[seen] = 1
    state.flags[seen] = Status.FROM_RASTER
    error_m = float(rng.choice([0.0, 0.3]))
    for ix, iy in np.argwhere(patches(cloud)):
        returns = hills[ix, iy] + rng.uniform(0, 1, 3)
        if 4 <= ix % 16 < 8:
            returns = np.append(returns, hills[ix, iy] + rng.uniform(18, 20))
        add_returns(state, ix, iy, returns, error_m=error_m)
    many = max(1, nx * ny // 60)

    def places():
        return rng.integers(0, nx, many), rng.integers(0, ny, many)

    state.rejected = np.zeros(many, REJECTED_DTYPE)
    state.rejected["ix"], state.rejected["iy"] = places()
    state.rejected["up"], state.rejected["source"] = rng.uniform(0, 60, many), 2
    state.rejected["up"][:2] = 400
    state.entered = np.zeros(many, ENTERED_DTYPE)
    state.entered["ix"], state.entered["iy"] = places()
    state.entered["surface"] = rng.random(many) < 0.5
    state.entered["from_m"] = np.where(state.entered["surface"], -INF, rng.uniform(20, 30, many))
    state.entered["to_m"] = np.where(state.entered["surface"], rng.uniform(5, 50, many), rng.uniform(30, 40, many))
    state.entered["source"] = 3
    x, y = places()
    unseen = (state.flags[x, y] == 0) & np.isneginf(state.base[x, y])
    seen_before = kept(*((a, b, 40.0, 41.0, 1, 1) for a, b in sorted({*zip(x[unseen], y[unseen], strict=True)})))
    x, y = places()
    suspects = kept(*((a, b, 0.0, 33.0, 2, 1) for a, b in sorted({*zip(x, y, strict=True)})))
    state.kept = np.concatenate([seen_before, suspects])
    return in_order(state)


def in_order(state):
    """The same with sorted tables."""
    return dataclasses.replace(state, **{name: np.sort(getattr(state, name)) for name in TileState.TABLES})


def shuffled(state, seed):
    """The same with its tables in another order."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(state, **{name: rng.permutation(getattr(state, name)) for name in TileState.TABLES})
