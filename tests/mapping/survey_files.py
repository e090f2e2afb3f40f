"""Small survey files for tests: rasters and clouds with every property open to be got wrong."""

from __future__ import annotations

from pathlib import Path

import laspy
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

COMPOUND = "EPSG:6675+6695"
WEST, SOUTH = -77000.0, 33600.0


def write_tif(
    path: Path,
    heights: NDArray,
    *,
    crs: str | None = COMPOUND,
    cell: float = 1.0,
    west: float = WEST,
    south: float = SOUTH,
    nodata: float | None = -9999.0,
    transform: rasterio.Affine | None = None,
    units: str | None = None,
    scale: float | None = None,
    **profile: object,
) -> Path:
    """Write heights ``[ix, iy]`` (or ``[band, ix, iy]``) as a GeoTIFF whose south-west corner is (west, south)."""
    bands = (
        np.atleast_3d(heights.T).transpose(2, 0, 1)[:, ::-1]
        if heights.ndim == 2
        else heights.transpose(0, 2, 1)[:, ::-1]
    )
    count, rows, columns = bands.shape
    place = transform or rasterio.Affine(cell, 0, west, 0, -cell, south + rows * cell)
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=count, dtype=bands.dtype.name, nodata=nodata,
        crs=CRS.from_string(crs) if crs else None, transform=place, **profile,
    ) as raster:  # fmt: skip
        raster.write(bands)
        if units:
            raster.units = (units,) * count
        if scale:
            raster.scales = (scale,) * count
    return path


def write_laz(
    path: Path,
    points: NDArray,
    *,
    crs: str | None = COMPOUND,
    classes: NDArray | int = 1,
    withheld: NDArray | None = None,
    scale: float = 0.001,
) -> Path:
    """Write points (n, 3), metres in the CRS, as LAS or LAZ by the name's ending."""
    header = laspy.LasHeader(point_format=6, version="1.4")
    if crs:
        header.add_crs(pyproj.CRS.from_user_input(crs))
    header.scales, header.offsets = [scale] * 3, [WEST, SOUTH, 0.0]
    record = laspy.ScaleAwarePointRecord.zeros(len(points), header=header)
    if len(points):
        record.x, record.y, record.z = points.T
        record.classification = np.broadcast_to(np.asarray(classes, np.uint8), len(points))
        if withheld is not None:
            record.withheld = withheld.astype(np.uint8)
    laspy.LasData(header, record).write(str(path))
    return path


def plain(nx: int = 120, ny: int = 80) -> NDArray[np.float32]:
    """Terrain ``[ix, iy]`` that rises gently to the east: 10 m and up, multiples of 1/8 m."""
    ramp = np.round((10 + np.arange(nx) / 40.0) * 8) / 8
    return np.repeat(ramp[:, None], ny, axis=1).astype(np.float32)


def ground_points(rng: np.random.Generator, terrain: NDArray, count: int) -> NDArray[np.float64]:
    """Returns (count, 3) scattered over a terrain of 1 m cells, with 3 cm of noise."""
    east, north = rng.uniform(0, terrain.shape[0], count), rng.uniform(0, terrain.shape[1], count)
    up = terrain[east.astype(int), north.astype(int)] + rng.normal(0, 0.03, count)
    return np.column_stack([east + WEST, north + SOUTH, up])
