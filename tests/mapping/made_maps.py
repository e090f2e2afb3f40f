"""Small maps written by the store alone, from arrays: no survey, no build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.mapping import CityMap
from utm.mapping.ingest.store import MapWriter, write_tile
from utm.mapping.mapfile import (
    FORMAT,
    FORMAT_VERSION,
    LAYERS,
    MAP_RUN_DTYPE,
    RUN_DTYPE,
    TILE,
    RunKind,
    Status,
    TileContent,
    tile_box,
)  # fmt: skip

WEST, SOUTH = -77000.0, 33600.0


def meta_of(size: tuple[int, int], cell: float = 1.0, **more: object) -> dict:
    """All of ``map.json`` but its tiles."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "frame": {
            "crs": "EPSG:6675", "origin_x": WEST, "origin_y": SOUTH, "vertical": "JGD2011", "geoid": "GSIGEO2011",
        },
        "resolution_m": cell,
        "size": list(size),
        "sources": [],
        "parameters": {},
        "counts": {},
        "survey_dates": {"oldest": None, "newest": None},
    } | more  # fmt: skip


def made_layers(size: tuple[int, int], seed: int = 0) -> dict[str, NDArray]:
    """A rolling country with blocks of 3 to 40 m, some cells unknown or suspect; heights are multiples of 1/8 m."""
    rng = np.random.default_rng(seed)
    nx, ny = size
    x, y = np.arange(nx)[:, None], np.arange(ny)[None, :]
    terrain = (np.round((20 + 10 * np.sin(x / 90) + 5 * np.cos(y / 70)) * 8) / 8).astype(np.float32)
    surface, status = terrain.copy(), np.full(size, Status.KNOWN | Status.FROM_RASTER, np.uint8)
    for _ in range(max(2, nx * ny // 20_000)):
        ix, iy, dx, dy = *rng.integers(0, size), *rng.integers(5, 25, 2)
        surface[ix : ix + dx, iy : iy + dy] += np.float32(rng.integers(24, 320) / 8)
    hole = (slice(nx // 3, nx // 3 + 10), slice(ny // 2, ny // 2 + 10))
    status[hole], surface[hole] = Status.UNKNOWN, surface.max() + 10
    status[nx // 2, ny // 4] |= Status.SUSPECT
    source = np.where(status & Status.UNKNOWN, 0, 1 + (x + y) // 200 % 2).astype(np.uint16)
    age = np.where(source == 0, 0, np.where(source == 1, 18_000, 19_000)).astype(np.uint16)
    return {"terrain": terrain, "surface": surface, "status": status, "source": source, "age": age}


def wire_runs(layers: Mapping[str, NDArray], ix: Sequence[int], iy: Sequence[int], above: float = 8.0) -> NDArray:
    """Columns with a run of half a metre in the air; raises the surface there."""
    ix, iy = (np.asarray(part) for part in np.broadcast_arrays(ix, iy))
    base = layers["surface"][ix, iy].copy()
    runs = np.zeros((len(ix), 2), MAP_RUN_DTYPE)
    runs["ix"], runs["iy"] = ix[:, None], iy[:, None]
    runs["from_m"][:, 0], runs["to_m"][:, 0] = -np.inf, base
    runs["from_m"][:, 1], runs["to_m"][:, 1] = base + above, base + above + np.float32(0.5)
    runs["kind"], runs["source"] = [RunKind.BASE, RunKind.SEEN], 1
    layers["surface"][ix, iy] = runs["to_m"][:, 1]
    return np.sort(runs.ravel(), order=["ix", "iy", "from_m"])


def cut(layers: Mapping[str, NDArray], runs: NDArray, size: tuple[int, int], tile: tuple[int, int]) -> TileContent:
    """The content of one tile."""
    ix0, iy0, ix1, iy1 = tile_box(size, tile)
    mine = runs[(runs["ix"] >= ix0) & (runs["ix"] < ix1) & (runs["iy"] >= iy0) & (runs["iy"] < iy1)].copy()
    mine["ix"] -= ix0
    mine["iy"] -= iy0
    return TileContent(
        {name: np.ascontiguousarray(layers[name][ix0:ix1, iy0:iy1], LAYERS[name]) for name in LAYERS},
        mine.astype(RUN_DTYPE),
    )


def entries_of(out: Path, meta: dict, layers: Mapping[str, NDArray], runs: NDArray | None = None) -> list[dict]:
    """Write all tiles."""
    size = tuple(meta["size"])
    table = np.empty(0, MAP_RUN_DTYPE) if runs is None else runs
    tiles = [(tx, ty) for ty in range(-(-size[1] // TILE)) for tx in range(-(-size[0] // TILE))]
    return [write_tile(out, meta, tile, cut(layers, table, size, tile)) for tile in tiles]


def made_map(
    out: Path, layers: Mapping[str, NDArray], runs: NDArray | None = None, *, cell: float = 1.0, **more: object
) -> CityMap:
    """Write a map, or the next version of the one that stands there.

    Args:
        layers: over the whole map.
        runs: MAP_RUN_DTYPE.
        more: keys of ``map.json``.
    """
    meta = meta_of(layers["terrain"].shape, cell, **more)
    with MapWriter(out, replace=True) as writer:
        return writer.publish(meta | {"tiles": entries_of(writer.out, meta, layers, runs)})
