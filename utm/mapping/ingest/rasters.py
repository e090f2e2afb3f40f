"""Height rasters: what they say of themselves, and what they say of a piece of the map.

A tile of the map reads its own window of a raster. Every cell of the map that any part of a valid raster cell touches
gets that raster cell's height, so nothing is lost where grids do not nest.
"""

from __future__ import annotations

import datetime
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.windows import Window

from utm.errors import InputError, SurveyError
from utm.frames import HEIGHT_UNITS
from utm.mapping.ingest.binning import Heights, bin_raster, rounded_down, rounded_up, spans
from utm.mapping.ingest.grid import Box, Grid
from utm.mapping.ingest.lattice import Lattice, bin_placed, on_ground
from utm.mapping.ingest.placing import Bounds, Placing
from utm.mapping.ingest.pointfile import FARTHEST
from utm.mapping.ingest.reading import MEND, reading
from utm.mapping.ingest.source import Role, Source, usable_day
from utm.mapping.ingest.sources import sha256
from utm.mapping.ingest.statement import stated

#: Heights beyond these stand for "no data" in a file that forgot to say so, or for another unit.
PLAUSIBLE_M = (-1000.0, 10000.0)
_BAND_UNITS = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("ft", "foot", "feet", "international foot"), HEIGHT_UNITS["ft"]),
    **dict.fromkeys(("us survey foot", "us survey feet", "us-ft", "us_ft", "ftus", "usft"), HEIGHT_UNITS["ftus"]),
}
#: GDAL would take a file for whatever it holds, a list of other files and addresses in the network among them.
DRIVER = "GTiff"
#: Raster cells that are decoded and sorted at a time.
_BLOCK_CELLS = 1_000_000
_OPEN_AT_ONCE = 8
#: Cells along an edge; a country at 10 cm. What is kept for each row and column takes memory.
_LONGEST_EDGE = 10_000_000


def inspect_raster(
    path: Path,
    *,
    role: Role,
    crs: str | None,
    vertical: str | None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
) -> Source:
    """Read the header of a GeoTIFF of heights; arguments as `sources.inspect`.

    Raises:
        SurveyError: damaged, not one band of numbers, not placed on the ground, no CRS or an unusable one.
        DatumError: the heights' datum or unit is unstated, unknown, or stated twice and differently.
    """
    # Within an Env, what GDAL says of a damaged file goes to the log, not past us to the terminal
    with reading(path, "GeoTIFF"), rasterio.Env(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said below, as an error
        try:
            raster = rasterio.open(path, driver=DRIVER)
        except CRSError as error:
            raise SurveyError(f"its CRS cannot be read: {error}", file=path, field="crs") from error
        with raster:
            in_file = raster.crs.to_wkt() if raster.crs else None
            transform, width, height = raster.transform, raster.width, raster.height
            unit_m = _check_band(path, raster)
            day = surveyed or _day_of(raster.tags().get("TIFFTAG_DATETIME", ""))
    if max(width, height) > _LONGEST_EDGE:
        raise SurveyError(
            f"more than {_LONGEST_EDGE:,} cells along an edge", file=path, field="size", value=(width, height),
            mend=MEND,
        )  # fmt: skip
    corners = np.column_stack(on_ground(transform, np.array([0, width, width, 0]), np.array([0, 0, height, height])))
    placed = (
        (np.abs(corners) <= FARTHEST).all() and transform.determinant != 0 and transform != rasterio.Affine.identity()
    )
    if not placed:
        raise SurveyError(
            "the raster is not placed on the ground", file=path, field="transform", value=tuple(transform)[:6],
            mend="Give the georeferenced one, or place it with gdal_translate -a_ullr.",
        )  # fmt: skip
    statement = stated(path, in_file, crs, vertical, unit_m=unit_m)
    bounds = (*(float(v) for v in corners.min(axis=0)), *(float(v) for v in corners.max(axis=0)))
    return Source(
        path, "raster", role, statement, bounds, sha256(path),
        resolution_m=_edge_m(statement.crs, transform, width, height), surveyed=day, error_m=error_m,
    )  # fmt: skip


def _check_band(path: Path, raster: rasterio.DatasetReader) -> float | None:
    """Metres in the band's unit, None where it states none."""
    if raster.count != 1:
        raise SurveyError(
            "a height model has one band", file=path, field="bands", value=raster.count,
            mend="Give the DSM, not the orthophoto.",
        )  # fmt: skip
    if np.dtype(raster.dtypes[0]).kind not in "iuf":
        raise SurveyError("heights must be real numbers", file=path, field="dtype", value=raster.dtypes[0])
    unit = (raster.units[0] or "").strip().lower()
    if unit and unit not in _BAND_UNITS:
        raise SurveyError(
            "heights must be in metres or feet", file=path, field="band unit", value=unit,
            mend="Convert it with gdal_calc.",
        )  # fmt: skip
    return _BAND_UNITS.get(unit)


def _day_of(tag: str) -> datetime.date | None:
    """The day in a TIFF's DateTime, ``YYYY:MM:DD HH:MM:SS``; None for anything else."""
    try:
        day = datetime.datetime.strptime(tag.strip()[:10], "%Y:%m:%d").date()  # noqa: DTZ007 a day has no zone
    except ValueError:
        return None
    return usable_day(day)


def _edge_m(crs: str, transform: rasterio.Affine, width: int, height: int) -> float:
    """The longer edge of a raster cell, in metres; on the ellipsoid at the raster's middle where x and y are angles."""
    horizontal = pyproj.CRS.from_user_input(crs)
    unit = horizontal.axis_info[0].unit_conversion_factor
    edges = ((transform.a, transform.d), (transform.b, transform.e))
    if horizontal.is_projected:
        return max(math.hypot(*edge) for edge in edges) * unit
    lon, lat = np.degrees(np.array(on_ground(transform, width / 2, height / 2)) * unit)
    geod = horizontal.get_geod()
    steps = [np.degrees(np.array(edge) * unit) for edge in edges]
    return float(max(geod.inv(lon, lat, lon + dx, lat + dy)[2] for dx, dy in steps))


def read_window(source: Source, placing: Placing, grid: Grid, box: Box) -> tuple[Heights, Heights]:
    """What a raster says of a piece of the map.

    The file's nodata value, mask, scale and offset are honoured. What a cell gets does not depend on the piece that
    it is read with.

    Args:
        box: cells ix0, iy0, ix1, iy1 of the map.

    Returns:
        (highest, lowest): float32 ``up`` in the map [ix, iy] over the box, rounded to the outer side; -inf and +inf
        where the raster says nothing.

    Raises:
        SurveyError: the file is damaged, holds heights that no ground has, or cannot be placed.
        DatumError: its heights cannot be converted.
    """
    shape = (box[2] - box[0], box[3] - box[1])
    highest, lowest = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    try:
        with reading(source.path, "GeoTIFF"), rasterio.Env():
            raster = _opened(source.path)
            transform = raster.transform
            if placing.same_crs and placing.same_heights and not (transform.b or transform.d):
                _read_aligned(source, placing, grid, box, raster, highest, lowest)
            else:
                _read_placed(source, placing, grid, box, raster, highest, lowest)
    except InputError as error:
        raise error.at(source.path) from error.__cause__
    return highest, lowest


def _read_aligned(source, placing, grid, box, raster, highest, lowest) -> None:  # type: ignore[no-untyped-def]
    """Rows and columns of the raster run along the map's: each touches a span of its cells."""
    transform = raster.transform
    x_spans = _axis_spans(transform.c - placing.frame.origin_x, transform.a, raster.width, grid.cell_m, grid.nx)
    y_spans = _axis_spans(transform.f - placing.frame.origin_y, transform.e, raster.height, grid.cell_m, grid.ny)
    columns, rows = _touching(x_spans, box[0], box[2]), _touching(y_spans, box[1], box[3])
    x_spans = np.ascontiguousarray(np.clip(x_spans[columns] - box[0], 0, highest.shape[0]))
    y_spans = np.clip(y_spans[rows] - box[1], 0, highest.shape[1])
    for start, stop in _blocks(raster, rows, len(x_spans)):
        window = Window(columns.start, start, columns.stop - columns.start, stop - start)
        exact, valid = _heights(source, placing, raster, window)
        mine = np.ascontiguousarray(y_spans[start - rows.start : stop - rows.start])
        if exact.dtype == np.float32:
            bin_raster(exact, valid, x_spans, mine, highest, lowest)
        else:
            bin_raster(rounded_up(exact), valid, x_spans, mine, highest, lowest)
            bin_raster(rounded_down(exact), valid, x_spans, mine, highest, lowest)


def _axis_spans(start_m: float, step_m: float, count: int, cell_m: float, cells: int) -> NDArray[np.int64]:
    """`spans` along an axis that may run backwards, as the rows of most rasters do; in the order of the file."""
    if step_m > 0:
        return spans(start_m, step_m, count, cell_m, cells)
    return spans(start_m + step_m * count, -step_m, count, cell_m, cells)[::-1]


def _touching(axis: NDArray[np.int64], low: int, high: int) -> slice:
    """The rows or columns whose span reaches into cells low to high; they lie side by side."""
    inside = np.flatnonzero((axis[:, 1] > low) & (axis[:, 0] < high))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _blocks(raster: rasterio.DatasetReader, rows: slice, columns: int) -> Iterator[tuple[int, int]]:
    """Row ranges of a million cells or so, cut where the file's own blocks begin."""
    if rows.start >= rows.stop or columns == 0:
        return
    tall = raster.block_shapes[0][0]
    step = max(1, _BLOCK_CELLS // (columns * tall)) * tall
    if columns * tall > _BLOCK_CELLS:  # one block of the file is already too much
        step = max(1, _BLOCK_CELLS // columns)
    start = rows.start
    while start < rows.stop:
        stop = min(rows.stop, (start // step + 1) * step)
        yield start, stop
        start = stop


def _heights(
    source: Source, placing: Placing, raster: rasterio.DatasetReader, window: Window
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Heights of a window in metres above the file's own datum, and where they mean something; [row, column].

    Float32 where the file's own numbers are that and are metres, float64 otherwise.
    """
    block = raster.read(1, window=window, masked=True)
    exact, unit_m = block.data, placing.statement.vertical_unit_m
    scale, offset = raster.scales[0], raster.offsets[0]
    if exact.dtype != np.float32 or (scale, offset, unit_m) != (1.0, 0.0, 1.0):
        exact = (exact.astype(np.float64) * scale + offset) * unit_m
    valid = np.isfinite(exact) & ~np.ma.getmaskarray(block)
    odd = valid & ~((exact > PLAUSIBLE_M[0]) & (exact < PLAUSIBLE_M[1]))
    if odd.any():
        raise SurveyError(
            "holds a height that no ground has", file=source.path, field="band 1", value=float(exact[odd][0]),
            mend="Mark cells without data: gdal_translate -a_nodata VALUE.",
        )  # fmt: skip
    return exact, valid


def _read_placed(source, placing, grid, box, raster, highest, lowest) -> None:  # type: ignore[no-untyped-def]
    """Rows and columns lie askew in the map: every raster cell reaches over the rectangle around its placed corners."""
    cell = grid.cell_m
    lattice = Lattice(placing, raster.transform, raster.width, raster.height, source.resolution_m or 1.0)
    off_m = 2 * lattice.off_m  # what reaches in by the lattice's error must be read, whatever the box
    west, south, east, north = (value * cell for value in box)
    around = placing.inverse_box((west - off_m, south - off_m, east + off_m, north + off_m))
    columns, rows = _pixels(raster, around)
    for start, stop in _blocks(raster, rows, columns.stop - columns.start):
        window = Window(columns.start, start, columns.stop - columns.start, stop - start)
        exact, valid = _heights(source, placing, raster, window)
        if not valid.any():
            continue
        east, north, shift = lattice.corners(slice(start, stop), columns)
        bin_placed(
            exact.astype(np.float64), valid, east / cell - box[0], north / cell - box[1], shift,
            lattice.off_m / cell, lattice.off_up_m, highest, lowest,
        )  # fmt: skip


def _pixels(raster: rasterio.DatasetReader, bounds: Bounds) -> tuple[slice, slice]:
    """Columns and rows of the raster whose cells may reach into a rectangle in its CRS."""
    t = raster.transform
    # The rectangle around a cell that lies askew reaches beyond the cell itself
    beyond = 2 * (abs(t.a) + abs(t.b) + abs(t.d) + abs(t.e))
    west, south, east, north = bounds[0] - beyond, bounds[1] - beyond, bounds[2] + beyond, bounds[3] + beyond
    x, y = np.array([west, east, east, west]), np.array([south, south, north, north])
    found = np.column_stack(on_ground(~t, x, y))
    (c0, r0), (c1, r1) = np.floor(found.min(axis=0)), np.ceil(found.max(axis=0))
    columns = slice(int(np.clip(c0, 0, raster.width)), int(np.clip(c1, 0, raster.width)))
    rows = slice(int(np.clip(r0, 0, raster.height)), int(np.clip(r1, 0, raster.height)))
    return columns, rows


class _Rasters(OrderedDict[tuple[str, int, int], rasterio.DatasetReader]):
    """Open rasters, the one used last at the end; closed with the thread that they belong to."""

    def __del__(self) -> None:
        close = [raster.close for raster in self.values()]
        for raster_close in close:
            raster_close()


class _Thread(threading.local):
    """What each thread has for itself: GDAL's datasets may not be shared, and each keeps the blocks it decoded."""

    def __init__(self) -> None:
        self.rasters = _Rasters()


_thread = _Thread()


def _opened(path: Path) -> rasterio.DatasetReader:
    """The raster, open in this thread; a file that was replaced is opened anew."""
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    raster = _thread.rasters.get(key)
    if raster is None:
        while len(_thread.rasters) >= _OPEN_AT_ONCE:
            _thread.rasters.popitem(last=False)[1].close()
        raster = _thread.rasters[key] = rasterio.open(path, driver=DRIVER)
    _thread.rasters.move_to_end(key)
    return raster
