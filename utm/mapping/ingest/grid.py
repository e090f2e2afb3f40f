"""The grid that a map is built on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from utm.errors import SurveyError
from utm.mapping.ingest.sources import Source

MAX_CELLS = 100_000_000  # about 2 GB while building; 20 x 20 km at 2 m


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


def grid_over(sources: Sequence[Source], cell_m: float) -> Grid:
    """The smallest grid that covers all sources and whose edges are multiples of the cell.

    Raises:
        SurveyError: the cell is no usable number, or the grid would hold more than ``MAX_CELLS`` cells.
    """
    if not (math.isfinite(cell_m) and cell_m > 0):
        raise SurveyError("must be a number of metres above zero", field="--resolution", value=cell_m)
    west = min(source.bounds[0] for source in sources)
    south = min(source.bounds[1] for source in sources)
    east = max(source.bounds[2] for source in sources)
    north = max(source.bounds[3] for source in sources)
    ix0, iy0 = math.floor(west / cell_m + 1e-6), math.floor(south / cell_m + 1e-6)
    nx = max(1, math.ceil(east / cell_m - 1e-6) - ix0)
    ny = max(1, math.ceil(north / cell_m - 1e-6) - iy0)
    if nx * ny > MAX_CELLS:
        raise SurveyError(
            f"{nx} x {ny} cells of {cell_m:g} m are more than this build holds ({MAX_CELLS:,})",
            field="--resolution", value=cell_m, mend="Give a coarser one, or check the files' bounds.",
        )  # fmt: skip
    return Grid(ix0 * cell_m, iy0 * cell_m, cell_m, nx, ny)
