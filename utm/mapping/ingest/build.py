"""From survey files to a city map.

What blocks is decided here, always to the safe side:

* surface of a cell = the highest of all raster cells that touch it, of all returns in it (suspect ones included) and of
  the terrain model in it;
* terrain of a cell = the LOWEST terrain cell that touches it: the 150 m ceiling hangs from it, and heights above
  ground are shown from it;
* a cell that no source saw is UNKNOWN and blocks up to the highest known surface within 30 m (60, 120, ... m where
  nothing is known so near) plus 10 m;
* a hole in the terrain model takes the lowest terrain nearby; one wider than 100 m is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import DatumError, SurveyError
from utm.mapping.citymap import CityMap
from utm.mapping.ingest import clouds
from utm.mapping.ingest.binning import Heights, highest_nearby, square_max
from utm.mapping.ingest.grid import Grid, grid_over
from utm.mapping.ingest.rasters import read_raster
from utm.mapping.ingest.sources import Source, inspect
from utm.mapping.ingest.write import check_place, write_map
from utm.mapping.mapfile import FORMAT, FORMAT_VERSION, Status, content_hash, identity_of

UNKNOWN_NEARBY_M = 30.0
UNKNOWN_MARGIN_M = 10.0
TERRAIN_REACH_M = 100.0
#: Cell of a map made of clouds alone, and the finest that is chosen unasked.
FINEST_M = 1.0

Progress = Callable[[str, int, int], None]
Files = str | Path | Iterable[str | Path]


@dataclass
class _Layers:
    """What a build gathers: (nx, ny) each, heights float32, -inf (terrain_low: +inf) where nothing was seen."""

    terrain_low: Heights
    terrain_high: Heights
    surface: Heights
    from_raster: NDArray[np.bool_]
    returns: NDArray[np.int32]
    suspect: NDArray[np.bool_]


def build_map(
    sources: Files,
    out: str | Path,
    *,
    crs: str | None = None,
    terrain: Files | None = None,
    resolution_m: float | None = None,
    vertical_datum: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> CityMap:
    """Build a map from surface models (GeoTIFF) and point clouds (LAS, LAZ) over a terrain model (GeoTIFF).

    Args:
        sources: one file or several, in one CRS and one vertical datum.
        out: directory to make; written beside and renamed, so that it is there whole or not at all.
        crs: for files that state none, for example ``EPSG:6675``; must agree with those that do.
        terrain: the terrain model or models; needed.
        resolution_m: edge of a cell; the finest raster's by default, but at least 1 m.
        vertical_datum: for files that state none, for example ``JGD2011``.
        replace: whether a map that stands at ``out`` may be replaced. Nothing else ever is.
        progress: called as ``progress(stage, done, total)``.

    Raises:
        SurveyError: a file that cannot become part of the map; the message says which, why, and the mend.
        DatumError: heights whose datum is unstated or stated in two ways.
        MapError: ``out`` is taken or cannot be written.
    """
    report = progress or (lambda stage, done, total: None)
    out = Path(out)
    check_place(out, replace=replace)
    seen = [inspect(path, crs=crs, vertical=vertical_datum) for path in _paths(sources)]
    if not seen:
        raise SurveyError("no survey file was given", mend="Name a surface model or a point cloud.")
    ground = [inspect(path, crs=crs, vertical=vertical_datum) for path in _paths(terrain or ())]
    _check_terrain_given(seen, ground)
    _check_one_frame([*seen, *ground])

    rasters = [source for source in seen if source.kind == "raster"]
    if resolution_m is None:
        resolution_m = max([min(r.resolution_m or FINEST_M for r in rasters)] if rasters else [FINEST_M])
        resolution_m = max(resolution_m, FINEST_M)
    grid = grid_over(seen, float(resolution_m))
    counts = clouds.CloudCounts()
    layers = _gather(seen, ground, grid, counts, report)
    finished, cells = _finish(layers, grid, ground)
    frame = {"crs": seen[0].crs, "origin_x": grid.west, "origin_y": grid.south, "vertical": str(seen[0].vertical)}
    meta: dict[str, object] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "frame": frame,
        "resolution_m": grid.cell_m,
        "size": [grid.nx, grid.ny],
        "sources": [*(s.described("surface") for s in seen), *(s.described("terrain") for s in ground)],
        "parameters": {
            "unknown_nearby_m": UNKNOWN_NEARBY_M,
            "unknown_margin_m": UNKNOWN_MARGIN_M,
            "terrain_reach_m": TERRAIN_REACH_M,
            "outlier_neighbours": clouds.NEIGHBOURS,
            "outlier_deviations": clouds.DEVIATIONS,
            "discard_below_m": clouds.BELOW_M,
            "discard_alone_above_m": clouds.ALONE_M,
            "discard_alone_within_m": clouds.NEARBY_M,
        },
        "counts": {
            "points_read": counts.points,
            "points_suspect": counts.suspect,
            "points_discarded_below": counts.discarded_below,
            "points_discarded_above": counts.discarded_above,
            **cells,
        },
    }
    report("hash", 0, 1)
    meta["version"] = content_hash(identity_of(meta), finished)
    report("hash", 1, 1)
    report("write", 0, 1)
    write_map(out, meta, finished, grid, replace=replace)
    report("write", 1, 1)
    return CityMap.open(out)


def _paths(files: Files) -> list[Path]:
    return [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]


def _check_terrain_given(seen: Sequence[Source], ground: Sequence[Source]) -> None:
    if not ground:
        raise SurveyError(
            "a map needs the bare terrain: the legal ceiling is measured from it, and this version does not derive it",
            field="--terrain",
            mend="Name a terrain model of the same area: --terrain DTM.tif.",
        )
    for source in ground:
        if source.kind != "raster":
            raise SurveyError(
                "a terrain model must be a GeoTIFF", file=source.path, field="--terrain", mend="Give a DTM raster."
            )
    for path in {source.path.resolve() for source in seen} & {source.path.resolve() for source in ground}:
        raise SurveyError(
            "the same file is given as surface and as terrain", file=path, field="--terrain", mend="Give the DTM."
        )


def _check_one_frame(sources: Sequence[Source]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.crs != first.crs:
            raise SurveyError(
                f"is in {other.crs[:40]}, but {first.path.name} is in {first.crs[:40]}",
                file=other.path, field="crs", mend=f"Reproject one: gdalwarp -t_srs {first.crs[:40]}.",
            )  # fmt: skip
        if other.vertical != first.vertical:
            raise DatumError(
                f"measures heights from {other.vertical}, but {first.path.name} from {first.vertical}",
                file=other.path, field="vertical datum", mend="Convert one of them first.",
            )  # fmt: skip


def _gather(
    seen: Sequence[Source], ground: Sequence[Source], grid: Grid, counts: clouds.CloudCounts, report: Progress
) -> _Layers:
    def low() -> Heights:
        return np.full(grid.shape, -np.inf, np.float32)

    def high() -> Heights:
        return np.full(grid.shape, np.inf, np.float32)

    terrain_low, terrain_high, surface, unused = high(), low(), low(), high()
    for source in ground:
        read_raster(source, grid, terrain_high, terrain_low, _staged(report, f"terrain {source.path.name}"))
    for source in seen:
        if source.kind == "raster":
            read_raster(source, grid, surface, unused, _staged(report, f"surface {source.path.name}"))
    from_raster = ~np.isneginf(surface)
    returns = np.zeros(grid.shape, np.int32)
    rejected = []
    for source in seen:
        if source.kind == "cloud":
            stage = _staged(report, f"cloud {source.path.name}")
            rejected.append(clouds.read_cloud(source, grid, surface, returns, stage))
            counts.points += source.points or 0
    accepted = surface.copy()
    if rejected:
        clouds.judge_rejected(np.concatenate(rejected), grid, terrain_high, surface, counts)
    return _Layers(terrain_low, terrain_high, surface, from_raster, returns, surface > accepted)


def _staged(report: Progress, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: report(stage, done, total)


def _finish(layers: _Layers, grid: Grid, ground: Sequence[Source]) -> tuple[dict[str, NDArray], dict[str, int]]:
    """Fill what nobody saw, and count it; returns the rasters of the map and the counts of cells."""
    known = ~np.isneginf(layers.surface)
    if not known.any():
        raise SurveyError("the survey holds no height at all", mend="Check the files' nodata values.")
    terrain, assumed = _whole_terrain(layers.terrain_low, grid, ground)
    highest_ground = np.maximum(layers.terrain_high, terrain)  # a hole's assumed terrain counts as ground too
    nearby = highest_nearby(layers.surface, max(1, int(np.ceil(UNKNOWN_NEARBY_M / grid.cell_m))))
    surface = np.where(
        known,
        np.maximum(layers.surface, highest_ground),
        np.maximum(nearby, highest_ground) + np.float32(UNKNOWN_MARGIN_M),
    ).astype(np.float32)
    status = np.where(known, Status.KNOWN, Status.UNKNOWN).astype(np.uint8)
    for flag, cells in (
        (Status.FROM_RASTER, layers.from_raster),
        (Status.FROM_CLOUD, layers.returns > 0),
        (Status.SUSPECT, layers.suspect),
        (Status.TERRAIN_ASSUMED, assumed),
    ):
        status[cells] |= np.uint8(flag)
    counts = {
        "cells": int(known.size),
        "cells_unknown": int((~known).sum()),
        "cells_from_raster": int(layers.from_raster.sum()),
        "cells_from_cloud": int((layers.returns > 0).sum()),
        "cells_suspect": int(layers.suspect.sum()),
        "cells_terrain_assumed": int(assumed.sum()),
    }
    return {"terrain": terrain, "surface": surface, "status": status}, counts


def _whole_terrain(lowest: Heights, grid: Grid, ground: Sequence[Source]) -> tuple[Heights, NDArray[np.bool_]]:
    missing = np.isposinf(lowest)
    if not missing.any():
        return lowest, missing
    reach = int(np.ceil(TERRAIN_REACH_M / grid.cell_m))
    beyond = np.isneginf(square_max(-lowest, reach))
    if beyond.any():
        ix, iy = np.argwhere(beyond)[0]
        raise SurveyError(
            f"the terrain model does not cover {beyond.mean():.1%} of the survey; the first place without is x "
            f"{grid.west + (ix + 0.5) * grid.cell_m:.1f}, y {grid.south + (iy + 0.5) * grid.cell_m:.1f}",
            file=ground[0].path,
            field="--terrain",
            mend="Give terrain for the whole survey, or crop the survey.",
        )
    return -highest_nearby(-lowest, max(1, int(np.ceil(UNKNOWN_NEARBY_M / grid.cell_m)))), missing
