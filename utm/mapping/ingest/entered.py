"""Evidence of models and vectors: rows over the grid's cells, sorted into tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.binning import rounded_down, rounded_up
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import TILE, Grid, Tile


@dataclass(frozen=True)
class ModelRead:
    """What a model or a file of obstacles says of the map."""

    evidence: dict[Tile, Evidence]
    counts: Mapping[str, int]
    """Objects by type; those that were left out under "type (why)"."""
    off_map: int
    """Objects of which a part, or all, lies beyond the map; that part is dropped."""


@dataclass(eq=False)
class Entered:
    """Collects solids and ground of a map; the order in which they are added does not matter."""

    grid: Grid
    _solids: list[tuple[NDArray, ...]] = field(default_factory=list)
    _ground: dict[bool, list[tuple[NDArray, ...]]] = field(default_factory=lambda: {True: [], False: []})

    def columns(self, ix: NDArray, iy: NDArray, high: NDArray, *, is_surface: bool) -> None:
        """Solids down to the ground, whatever lies below them; the highest of a cell stays."""
        cell, _, top = _joined(self._keys(ix, iy), np.zeros(len(ix)), high)
        self._solids.append((cell, np.full(len(cell), -np.inf), top, np.full(len(cell), is_surface)))

    def runs(self, item: NDArray, ix: NDArray, iy: NDArray, low: NDArray, high: NDArray) -> None:
        """Solids with air below; the rows of one item in one cell become one run, from lowest to highest."""
        order = np.lexsort((self._keys(ix, iy), item))
        item, cell = item[order], self._keys(ix, iy)[order]
        if len(cell):
            begins = np.flatnonzero(np.r_[True, (np.diff(item) != 0) | (np.diff(cell) != 0)])
            low, high = np.minimum.reduceat(low[order], begins), np.maximum.reduceat(high[order], begins)
            self._solids.append((cell[begins], low, high, np.zeros(len(begins), bool)))

    def ground(self, ix: NDArray, iy: NDArray, low: NDArray, high: NDArray, *, is_terrain: bool) -> None:
        """Ground in cells: lowest and highest of a terrain, lowest of the foot of a building. In a cell where a terrain
        speaks, the feet do not."""
        cells, lowest, highest = _joined(self._keys(ix, iy), low, high)
        self._ground[is_terrain].append((cells, lowest, highest if is_terrain else lowest))

    def evidence(self) -> dict[Tile, Evidence]:
        """All of it by tile, heights rounded to the blocking side."""
        nothing = (np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, bool))
        cells, start, end, surface = (np.concatenate(parts) for parts in zip(nothing, *self._solids, strict=True))
        # of solids that reach the ground only the highest of a cell says anything
        grounded = np.isneginf(start)
        kept = [(cells[~grounded], start[~grounded], end[~grounded], surface[~grounded])]
        for kind in (True, False):
            mine = grounded & (surface == kind)
            cell, _, top = _joined(cells[mine], start[mine], end[mine])
            kept.append((cell, np.full(len(cell), -np.inf), top, np.full(len(cell), kind)))
        cells, start, end, surface = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        order = np.lexsort((surface, end, start, cells))
        cells, start, end, surface = cells[order], rounded_down(start[order]), rounded_up(end[order]), surface[order]
        ground = self._ground_rows()

        found: dict[Tile, Evidence] = {}
        for tile, local, rows in self._by_tile(cells):
            evidence = found.setdefault(tile, Evidence())
            evidence.entered_cells, evidence.entered_from = local, start[rows]
            evidence.entered_to, evidence.entered_is_surface = end[rows], surface[rows]
        for tile, local, rows in self._by_tile(ground[0]):
            evidence = found.setdefault(tile, Evidence())
            evidence.ground_cells = local
            evidence.ground_low, evidence.ground_high = rounded_down(ground[1][rows]), rounded_up(ground[2][rows])
        return dict(sorted(found.items()))

    def _keys(self, ix: NDArray, iy: NDArray) -> NDArray[np.int64]:
        """Cells numbered so that they sort by tile, then by their number within it."""
        rows = -(-self.grid.ny // TILE)
        return ((ix // TILE) * rows + iy // TILE) * TILE**2 + (ix % TILE) * TILE + iy % TILE

    def _by_tile(self, cells: NDArray[np.int64]) -> list[tuple[Tile, NDArray[np.int32], slice]]:
        rows = -(-self.grid.ny // TILE)
        tiles, begins = np.unique(cells // TILE**2, return_index=True)
        ends = [*begins.tolist(), len(cells)][1:]
        return [
            ((int(tile) // rows, int(tile) % rows), (cells[a:b] % TILE**2).astype(np.int32), slice(a, b))
            for tile, a, b in zip(tiles, begins.tolist(), ends, strict=True)
        ]

    def _ground_rows(self) -> tuple[NDArray, ...]:
        empty = (np.empty(0, np.int64), np.empty(0), np.empty(0))
        terrain, feet = (
            _joined(*(np.concatenate(parts) for parts in zip(empty, *self._ground[kind], strict=True)))
            for kind in (True, False)
        )
        feet = (feet[0], feet[1], feet[1])
        mine = ~np.isin(feet[0], terrain[0])
        rows = [np.concatenate([a, b[mine]]) for a, b in zip(terrain, feet, strict=True)]
        order = np.argsort(rows[0], kind="stable")
        return tuple(values[order] for values in rows)


def _joined(cells: NDArray, low: NDArray, high: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """One row for each cell, ascending: its lowest low and its highest high."""
    if not len(cells):
        return cells, low, high
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    begins = np.flatnonzero(np.r_[True, np.diff(cells) != 0])
    return cells[begins], np.minimum.reduceat(low[order], begins), np.maximum.reduceat(high[order], begins)
