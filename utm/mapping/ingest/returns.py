"""Sorting the returns of a cloud into the cells of a map.

Kernels; a return covers a range of cells ``ix0..ix1, iy0..iy1`` (both ends in it; one cell unless its coordinates are
coarse), none where ``ix1 < ix0``. Each has a slow twin in ``tests/mapping/oracles.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.binning import rounded_down, rounded_up
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import TILE, Grid, Tile
from utm.mapping.ingest.state import LAYER_M

#: What a return is, for `sorted_into_tiles`.
ACCEPTED, GROUND, REJECTED = range(3)

#: In cells: a return this little beyond the map's edge lies on it, and a coarse one reaches this much further. Bounds
#: in files are rounded.
_SLACK = 1e-6
_CELLS = TILE * TILE
#: Tiles that are filled at a time: a megabyte of index each.
_TILES_AT_ONCE = 16
_ROWS_AT_ONCE = 1_000_000

# No fastmath: results must be those of the same arithmetic elsewhere, to the bit.
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False)
class Covered:
    """The cells that each return covers, int32 (n,) each."""

    ix0: NDArray[np.int32]
    ix1: NDArray[np.int32]
    iy0: NDArray[np.int32]
    iy1: NDArray[np.int32]

    @classmethod
    def empty(cls, count: int) -> Covered:
        """Room for ``count`` returns; the values are not set."""
        return cls(*(np.empty(count, np.int32) for _ in range(4)))

    @property
    def off_map(self) -> NDArray[np.bool_]:
        """Which returns touch no cell of the map."""
        return self.ix1 < self.ix0


@_kernel
def _cells(low, high, cell_m, cells, slack):  # type: ignore[no-untyped-def]
    """First and last cell that the stretch ``low..high`` (metres from the map's edge) touches; (0, -1) where none.

    The far edge of the map belongs to its last cell.
    """
    first, last = low / cell_m, high / cell_m
    if not (last >= -_SLACK and first <= cells + _SLACK):
        return 0, -1
    first, last = math.floor(first - slack), math.floor(last + slack)
    return int(min(max(first, 0.0), cells - 1.0)), int(min(max(last, 0.0), cells - 1.0))


@_kernel
def record_cells(X, Y, Z, scales, offsets, low, high, shift, cell_m, nx, ny, ix0, ix1, iy0, iy1, up):  # type: ignore[no-untyped-def]
    """Cells and heights of LAS records whose CRS differs from the map's frame by ``shift`` only.

    X, Y, Z (n,) int32; scales, offsets, low, high, shift (3,) f64. Writes the four ranges and ``up`` (n,) f64.

    Returns:
        Index of the first record outside ``low..high``, -1 where there is none.
    """
    for k in range(X.shape[0]):
        x = X[k] * scales[0] + offsets[0]
        y = Y[k] * scales[1] + offsets[1]
        z = Z[k] * scales[2] + offsets[2]
        inside = low[0] <= x <= high[0] and low[1] <= y <= high[1] and low[2] <= z <= high[2]
        if not inside:
            return k
        east, north = x + shift[0], y + shift[1]
        up[k] = z + shift[2]
        ix0[k], ix1[k] = _cells(east, east, cell_m, nx, 0.0)
        iy0[k], iy1[k] = _cells(north, north, cell_m, ny, 0.0)
        if iy1[k] < iy0[k]:
            ix0[k], ix1[k] = 0, -1
    return -1


@_kernel
def _stretch_cells(west, east, south, north, cell_m, nx, ny, slack, ix0, ix1, iy0, iy1):  # type: ignore[no-untyped-def]
    for k in range(west.shape[0]):
        ix0[k], ix1[k] = _cells(west[k], east[k], cell_m, nx, slack)
        iy0[k], iy1[k] = _cells(south[k], north[k], cell_m, ny, slack)
        if iy1[k] < iy0[k]:
            ix0[k], ix1[k] = 0, -1


def cells_of(east: NDArray[np.float64], north: NDArray[np.float64], grid: Grid) -> Covered:
    """The cell of each point; (n,) metres from the map's south-west corner, finite."""
    return _covered(east, east, north, north, grid, 0.0)


def cells_touched(
    west: NDArray[np.float64],
    east: NDArray[np.float64],
    south: NDArray[np.float64],
    north: NDArray[np.float64],
    grid: Grid,
) -> Covered:
    """Every cell that rectangles touch, or nearly; (n,) metres from the map's south-west corner, finite."""
    return _covered(west, east, south, north, grid, _SLACK)


def _covered(
    west: NDArray[np.float64],
    east: NDArray[np.float64],
    south: NDArray[np.float64],
    north: NDArray[np.float64],
    grid: Grid,
    slack: float,
) -> Covered:
    covered = Covered.empty(len(west))
    _stretch_cells(
        west, east, south, north, grid.cell_m, grid.nx, grid.ny, slack,
        covered.ix0, covered.ix1, covered.iy0, covered.iy1,
    )  # fmt: skip
    return covered


@_kernel
def _count_tiles(ix0, ix1, iy0, iy1, rows):  # type: ignore[no-untyped-def]
    """How many cells returns touch in each tile, counted as often as they are touched; rows (columns, rows) i8."""
    for k in range(ix0.shape[0]):
        for ix in range(ix0[k], ix1[k] + 1):
            for iy in range(iy0[k], iy1[k] + 1):
                rows[ix // TILE, iy // TILE] += 1


@_kernel
def _bin(ix0, ix1, iy0, iy1, up, kind, slab, index, top, low, levels, returns, ground_low, ground_high, rejected):  # type: ignore[no-untyped-def]
    """Put returns into the tiles that have a slab.

    slab (columns, rows) i4: number of a tile's slab, -1 for tiles that are not filled now; index (slabs, TILE * TILE)
    i4: row of a cell, -1 as yet. The rest are rows, appended as cells come up; ``rejected`` (rows, 4) f8: slab, cell,
    up, and 1 where the return has a row in another cell already.

    Returns:
        Rows used, rejected rows used.
    """
    used = thrown = 0
    for k in range(ix0.shape[0]):
        for ix in range(ix0[k], ix1[k] + 1):
            for iy in range(iy0[k], iy1[k] + 1):
                s = slab[ix // TILE, iy // TILE]
                if s < 0:
                    continue
                cell = (ix % TILE) * TILE + iy % TILE
                if kind[k] == REJECTED:
                    rejected[thrown, 0], rejected[thrown, 1], rejected[thrown, 2] = s, cell, up[k]
                    rejected[thrown, 3] = ix > ix0[k] or iy > iy0[k]
                    thrown += 1
                    continue
                row = index[s, cell]
                if row < 0:
                    row = used
                    index[s, cell] = row
                    used += 1
                    top[row], low[row] = -np.inf, np.inf
                    levels[row], returns[row] = np.uint64(0), 0
                    ground_low[row], ground_high[row] = np.inf, -np.inf
                top[row] = max(top[row], up[k])
                low[row] = min(low[row], up[k])
                levels[row] |= np.uint64(1) << np.uint64(np.int64(math.floor(up[k] / LAYER_M)) & 63)
                returns[row] += 1
                if kind[k] == GROUND:
                    ground_low[row] = min(ground_low[row], up[k])
                    ground_high[row] = max(ground_high[row], up[k])
    return used, thrown


def sorted_into_tiles(
    covered: Covered, up: NDArray[np.float64], kind: NDArray[np.uint8], grid: Grid
) -> dict[Tile, Evidence]:
    """The evidence of returns for every tile that they touch; depends on no order.

    Args:
        up: (n,) metres in the map's datum.
        kind: (n,) ACCEPTED, GROUND (accepted, and of the ground) or REJECTED.
    """
    ranges = (covered.ix0, covered.ix1, covered.iy0, covered.iy1)
    rows = np.zeros((-(-grid.nx // TILE), -(-grid.ny // TILE)), np.int64)
    _count_tiles(*ranges, rows)
    found: dict[Tile, Evidence] = {}
    thrown = int(rows.sum()) if (kind == REJECTED).any() else 0
    for tiles in _groups(rows):
        slab = np.full(rows.shape, -1, np.int32)
        for number, tile in enumerate(tiles):
            slab[tile] = number
        index = np.full((len(tiles), _CELLS), -1, np.int32)
        room = sum(min(int(rows[tile]), _CELLS) for tile in tiles)
        table = [np.empty(room, dtype) for dtype in ("f8", "f8", "u8", "i4", "f8", "f8")]
        rejected = np.empty((min(thrown, sum(int(rows[tile]) for tile in tiles)), 4))
        _used, count = _bin(*ranges, up, kind, slab, index, *table, rejected)
        rejected = rejected[:count]
        rejected = rejected[np.lexsort(rejected.T[::-1])]
        starts = np.searchsorted(rejected[:, 0], np.arange(len(tiles) + 1))
        for number, tile in enumerate(tiles):
            found[tile] = _evidence(index[number], table, rejected[starts[number] : starts[number + 1]])
    return found


def _groups(rows: NDArray[np.int64]) -> Iterator[list[Tile]]:
    """Tiles that are touched, few enough at a time to bound the memory."""
    group: list[Tile] = []
    room = 0
    for tx, ty in np.argwhere(rows).tolist():
        more = min(int(rows[tx, ty]), _CELLS)
        if group and (len(group) == _TILES_AT_ONCE or room + more > _ROWS_AT_ONCE):
            yield group
            group, room = [], 0
        group.append((tx, ty))
        room += more
    if group:
        yield group


def _evidence(index: NDArray[np.int32], table: list[NDArray], rejected: NDArray[np.float64]) -> Evidence:
    cells = np.flatnonzero(index >= 0).astype(np.int32)
    top, low, levels, returns, ground_low, ground_high = (column[index[cells]] for column in table)
    ground = ground_high > -np.inf
    return Evidence(
        cells, rounded_up(top), rounded_down(low), levels, returns,
        cells[ground], rounded_down(ground_low[ground]), rounded_up(ground_high[ground]),
        rejected[:, 1].astype(np.int32), rounded_up(rejected[:, 2]), rejected[:, 3] > 0,
    )  # fmt: skip
