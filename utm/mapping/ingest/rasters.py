"""Reading height rasters into the grid of a map, block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from utm.errors import SurveyError
from utm.mapping.ingest.binning import bin_raster, rounded_down, rounded_up, spans
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.sources import Source, reading

_ROWS = 1024
#: Heights beyond these stand for "no data" in a file that forgot to say so, or for another unit.
_PLAUSIBLE_M = (-1000.0, 10000.0)


def read_raster(
    source: Source,
    grid: Grid,
    highest: NDArray[np.float32],
    lowest: NDArray[np.float32],
    progress: Callable[[int, int], None],
) -> None:
    """Raise ``highest`` and lower ``lowest`` (nx, ny) by every cell of a raster, in each map cell that it touches.

    The file's nodata value, mask, scale and offset are honoured.

    Raises:
        SurveyError: the file is damaged, or holds heights that no ground has.
    """
    with reading(source.path, "raster"), rasterio.open(source.path) as raster:
        transform, scale, offset = raster.transform, raster.scales[0], raster.offsets[0]
        x_spans = spans(transform.c - grid.west, transform.a, raster.width, grid.cell_m, grid.nx)
        # From north to south: mirrored, so that the spans ascend
        south = transform.f + transform.e * raster.height - grid.south
        y_spans = spans(south, -transform.e, raster.height, grid.cell_m, grid.ny)[::-1]
        for row in range(0, raster.height, _ROWS):
            rows = min(_ROWS, raster.height - row)
            block = raster.read(1, window=Window(0, row, raster.width, rows), masked=True)
            exact = block.data.astype(np.float64) * scale + offset
            valid = np.isfinite(exact) & ~np.ma.getmaskarray(block)
            odd = valid & ~((exact > _PLAUSIBLE_M[0]) & (exact < _PLAUSIBLE_M[1]))
            if odd.any():
                raise SurveyError(
                    "holds a height that no ground has", file=source.path, field="band 1",
                    value=float(exact[odd][0]),
                    mend="Mark cells without data: gdal_translate -a_nodata VALUE.",
                )  # fmt: skip
            up, down = rounded_up(exact), rounded_down(exact)
            mine = np.ascontiguousarray(y_spans[row : row + rows])
            bin_raster(up, valid, x_spans, mine, highest, lowest)
            if (down < up).any():  # only where float32 cannot hold the file's heights
                bin_raster(down, valid, x_spans, mine, highest, lowest)
            progress(row + rows, raster.height)
