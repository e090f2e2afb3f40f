"""Putting a finished map on disk: written beside its place, then renamed, so that no half-written map is ever seen."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from utm.errors import MapError
from utm.mapping.ingest.grid import Grid
from utm.mapping.mapfile import LAYERS
from utm.model import Datum

_VERTICAL_EPSG = {Datum.AMSL: 5773, Datum.JGD2011: 6695}
_PREDICTOR = {"uint8": 2, "float32": 3}


def check_place(out: Path, *, replace: bool) -> None:
    """Raise MapError unless a map may be put here: a free name, an empty directory, or a map that may be replaced."""
    if not out.exists() and not out.is_symlink():
        if not out.parent.is_dir():
            raise MapError("the directory above it does not exist", file=out, field="--out", mend="Make it first.")
        return
    if not out.is_dir():
        raise MapError("a file stands there", file=out, field="--out", mend="Choose another name.")
    if not any(out.iterdir()):
        return
    if not (out / "map.json").is_file():
        raise MapError("the directory is not empty and not a map", file=out, field="--out", mend="Choose another name.")
    if not replace:
        raise MapError("a map stands there already", file=out, field="--out", mend="Choose another name or replace it.")


def write_map(out: Path, meta: dict, layers: Mapping[str, NDArray], grid: Grid, *, replace: bool) -> None:
    """Write a map directory; ``meta`` gains the rasters' names and sizes.

    Raises:
        MapError: the place is taken, or the disk refused.
    """
    out = out.absolute()
    check_place(out, replace=replace)
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    except OSError as error:
        raise MapError(f"cannot write there: {error.strerror}", file=out, field="--out") from error
    try:
        partial.chmod(0o755)
        rasters = {}
        for name in LAYERS:
            file = partial / f"{name}.tif"
            _write_cog(file, layers[name], grid, meta["frame"])
            rasters[name] = {"file": file.name, "bytes": file.stat().st_size}
        text = json.dumps(meta | {"rasters": rasters}, indent=1, ensure_ascii=False) + "\n"
        (partial / "map.json").write_text(text, encoding="utf-8")
        check_place(out, replace=replace)
        _put_in_place(partial, out)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise MapError(f"cannot be written: {error}", file=out, field="--out", mend="Is the disk full?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        os.rename(partial, out)
        return
    # A directory cannot be swapped in one step; the old map is put back if the second step fails
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old-", dir=out.parent))
    os.rename(out, old)
    try:
        os.rename(partial, out)
    except OSError:
        os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_cog(file: Path, cells: NDArray, grid: Grid, frame: Mapping[str, object]) -> None:
    dtype = cells.dtype.name
    profile = {
        "driver": "COG",
        "width": grid.nx,
        "height": grid.ny,
        "count": 1,
        "dtype": dtype,
        "crs": compound_crs(str(frame["crs"]), Datum(str(frame["vertical"]))),
        "transform": rasterio.Affine(grid.cell_m, 0, grid.west, 0, -grid.cell_m, grid.north),
        "compress": "deflate",
        "level": 6,
        "predictor": _PREDICTOR[dtype],
        "blocksize": 256,
        "overview_resampling": "nearest" if dtype == "uint8" else "average",
    }
    with rasterio.open(file, "w", **profile) as raster:
        raster.write(np.ascontiguousarray(cells.T[::-1]), 1)
        raster.set_band_description(1, file.stem)
        if dtype != "uint8":
            raster.units = ("metre",)


def compound_crs(horizontal: str, vertical: Datum) -> CRS:
    """The CRS for the rasters; its vertical part is left out where no compound can hold it (ellipsoid heights)."""
    if vertical in _VERTICAL_EPSG and horizontal.startswith("EPSG:"):
        return CRS.from_string(f"{horizontal}+{_VERTICAL_EPSG[vertical]}")
    return CRS.from_string(horizontal)
