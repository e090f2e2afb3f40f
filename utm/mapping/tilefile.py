"""Reading the files of one tile. What they hold is checked, for disks and people damage files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from utm.errors import MapError
from utm.mapping.mapfile import LAYERS, MAX_RUNS, MEND, RUN_DTYPE, TileContent

VOXELS = "voxels.zarr"


class _Cells(DatasetReader):
    """A raster of which only the cells are wanted. Without a look at where it lies, which `map.json` says, a file opens
    in 0.1 ms instead of 1.7."""

    def read_crs(self) -> None:
        return None

    def read_transform(self) -> list[float]:
        return [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def read_layer(
    folder: Path, name: str, shape: tuple[int, int], cells: tuple[slice, slice] = (slice(None), slice(None))
) -> NDArray:
    """Cells ``[ix, iy]`` of one raster of a tile.

    Args:
        folder: the tile's directory.
        shape: (nx, ny) cells that the tile has.
        cells: which of them, as slices without a step.

    Raises:
        MapError: the file is missing, damaged, or not the raster of such a tile.
    """
    file = folder / f"{name}.tif"
    nx, ny = shape
    ix0, ix1, _ = cells[0].indices(nx)
    iy0, iy1, _ = cells[1].indices(ny)
    try:
        with rasterio.Env(), _Cells(str(file), driver="GTiff", sharing=False) as raster:
            if raster.shape != (ny, nx) or raster.dtypes != (LAYERS[name],) or max(raster.block_shapes[0]) > 512:
                raise MapError("not the raster that map.json describes", file=file, mend=MEND)
            rows = raster.read(1, window=Window(ix0, ny - iy1, ix1 - ix0, iy1 - iy0))
    except (RasterioError, OSError) as error:
        if not file.is_file():
            raise MapError("a file of the map is missing", file=file, mend=MEND) from None
        raise MapError(f"damaged: {_first_line(error)}", file=file, mend=MEND) from error
    return np.ascontiguousarray(rows[::-1].T)


def read_runs(folder: Path) -> NDArray:
    """The table of runs of a tile (RUN_DTYPE) from its ``voxels.zarr``.

    Raises:
        MapError: it is missing or damaged.
    """
    import zarr  # half a second, and most tiles have no runs

    place = folder / VOXELS
    if not place.is_dir():
        raise MapError("a file of the map is missing", file=place, mend=MEND)
    try:
        group = zarr.open_group(place, mode="r", zarr_format=3)
        columns: Mapping[str, zarr.Array] = {name: group[name] for name in RUN_DTYPE.names}  # type: ignore[misc]
        shapes = {array.shape for array in columns.values()}
        (length,) = shapes.pop()
        chunks = max(array.chunks[0] for array in columns.values())
        kinds = {name: array.dtype for name, array in columns.items()}
        if shapes or length > MAX_RUNS or chunks > MAX_RUNS or kinds != {n: RUN_DTYPE[n] for n in columns}:
            raise ValueError("not a table of runs")
        runs = np.empty(length, RUN_DTYPE)
        for name, array in columns.items():
            runs[name] = array[:]
    except Exception as error:  # of a damaged store zarr and its codecs raise anything at all
        raise MapError(f"damaged: {_first_line(error)}", file=place, mend=MEND) from error
    return runs


def read_tile(folder: Path, shape: tuple[int, int], *, runs: bool) -> TileContent:
    """All of a tile, checked.

    Args:
        runs: whether it has runs.

    Raises:
        MapError: a file is missing or damaged, or they contradict each other.
    """
    layers = {name: read_layer(folder, name, shape) for name in LAYERS}
    content = TileContent(layers, read_runs(folder)) if runs else TileContent(layers)
    try:
        content.check(shape)
    except ValueError as error:
        raise MapError(f"damaged: {error}", file=folder, mend=MEND) from None
    return content


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')[:160]}" if lines else type(error).__name__
