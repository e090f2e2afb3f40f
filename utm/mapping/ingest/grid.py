"""The grid that a map is built on, and its tiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from utm.errors import SurveyError
from utm.mapping.mapfile import MAX_CELLS, TILE, Box, Tile

__all__ = ["MAX_CELLS", "TILE", "Box", "Grid", "Tile", "grid_over"]


@dataclass(frozen=True)
class Grid:
    """Square cells over a rectangle of the map's CRS; arrays over it are ``[ix, iy]``."""

    west: float
    south: float
    cell_m: float
    nx: int
    ny: int

    @property
    def shape(self) -> tuple[int, int]:
        """(nx, ny)."""
        return self.nx, self.ny

    @property
    def north(self) -> float:
        """Northing of the upper edge in the CRS."""
        return self.south + self.ny * self.cell_m

    def tiles(self) -> list[Tile]:
        """Every tile, row by row from the south-west; the last ones may be cut off by the grid's edge."""
        return [(tx, ty) for ty in range(-(-self.ny // TILE)) for tx in range(-(-self.nx // TILE))]

    def box(self, tile: Tile, halo: int = 0) -> Box:
        """The cells of a tile, ``halo`` more on every side, clipped to the grid."""
        ix, iy = tile[0] * TILE, tile[1] * TILE
        return (
            max(0, ix - halo),
            max(0, iy - halo),
            min(self.nx, ix + TILE + halo),
            min(self.ny, iy + TILE + halo),
        )

    def touching(self, west: float, south: float, east: float, north: float) -> list[Tile]:
        """The tiles that a rectangle touches; metres east and north from the grid's corner."""
        edge = TILE * self.cell_m
        columns = range(max(0, math.floor(west / edge)), min(-(-self.nx // TILE), math.floor(east / edge) + 1))
        rows = range(max(0, math.floor(south / edge)), min(-(-self.ny // TILE), math.floor(north / edge) + 1))
        return [(tx, ty) for ty in rows for tx in columns]


def grid_over(bounds: Iterable[tuple[float, float, float, float]], cell_m: float) -> Grid:
    """The smallest grid that covers all bounds (west, south, east, north in the map's CRS) and whose edges are
    multiples of the cell.

    Raises:
        SurveyError: the cell is no usable number, or the grid would hold more than ``MAX_CELLS`` cells.
    """
    if not (math.isfinite(cell_m) and cell_m > 0):
        raise SurveyError("must be a number of metres above zero", field="--resolution", value=cell_m)
    lows, highs = zip(*((box[:2], box[2:]) for box in bounds), strict=True)
    (west, south), (east, north) = map(min, zip(*lows, strict=True)), map(max, zip(*highs, strict=True))
    ix0, iy0 = math.floor(west / cell_m + 1e-6), math.floor(south / cell_m + 1e-6)
    nx = max(1, math.ceil(east / cell_m - 1e-6) - ix0)
    ny = max(1, math.ceil(north / cell_m - 1e-6) - iy0)
    if nx * ny > MAX_CELLS:
        raise SurveyError(
            f"{nx} x {ny} cells of {cell_m:g} m are more than a map holds ({MAX_CELLS:,})",
            field="--resolution", value=cell_m, mend="Give a coarser one, or check the files' bounds.",
        )  # fmt: skip
    return Grid(ix0 * cell_m, iy0 * cell_m, cell_m, nx, ny)
