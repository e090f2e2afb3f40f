"""Point clouds (LAS, LAZ, PLY, PCD): what a file says of itself, and its returns sorted into the tiles of a map.

A file is read in parts that depend on nothing but the file, so that any number of workers finds the same.
"""

from __future__ import annotations

import datetime
import functools
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import InputError, SurveyError
from utm.mapping.ingest import las, pcd, ply, pointfile
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import Grid, Tile
from utm.mapping.ingest.outliers import reject
from utm.mapping.ingest.placing import Placing
from utm.mapping.ingest.returns import (
    ACCEPTED,
    GROUND,
    REJECTED,
    Covered,
    cells_of,
    cells_touched,
    record_cells,
    sorted_into_tiles,
)
from utm.mapping.ingest.source import Role, Source, usable_day
from utm.mapping.ingest.sources import sha256
from utm.mapping.ingest.statement import stated

__all__ = ["CloudPart", "PartRead", "inspect_cloud", "parts", "points_of", "read_part", "reject"]

#: Points and bytes of records in a part: what decoding and binning it need is some 100 MB.
PART = 1_000_000
PART_BYTES = 48_000_000

_Coordinates = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class CloudPart:
    """A range of a file's points."""

    start: int
    count: int


@dataclass(eq=False)
class PartRead:
    """What was found in one part."""

    evidence: dict[Tile, Evidence]
    points: int
    """All that the part holds."""
    rejected: int
    """On the map, but outliers by the filter or noise by the surveyor's classes."""
    off_map: int
    """Beyond the map's edge; they are in nothing else."""
    noise_class: int
    """Those of ``rejected`` that the surveyor marked as noise or as withheld."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time by stage: decode, filter, bin."""


def inspect_cloud(
    path: Path,
    *,
    role: Role,
    crs: str | None,
    vertical: str | None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
) -> Source:
    """Read the header of a cloud, and all points of a PLY or PCD, which do not say where they lie.

    Args:
        role: must be ``surface``; a cloud's ground is found in its classes.
        crs: what the caller says the CRS is; PLY and PCD state none, but a PLY may hold a comment ``crs EPSG:n``.
        vertical: what the caller says heights are measured from.
        surveyed: the day of the survey; None takes the day on which a LAS file was made.
        error_m: the survey error that whoever builds the map states.

    Raises:
        SurveyError: not what its name says, cut short, sizes that cannot be true, no CRS or an unusable one.
        DatumError: the heights' datum is unstated, unknown, or stated twice and differently.
    """
    if role != "surface":
        raise SurveyError(
            "a point cloud is no terrain model", file=path,
            mend="Give it as a source; the ground is taken from its class 2.",
        )  # fmt: skip
    if path.suffix.lower() in (".las", ".laz"):
        header, in_file = las.read_header(path)
        bounds = (*map(float, header.mins[:2]), *map(float, header.maxs[:2]))
        count, step, day = int(header.point_count), 0.0, usable_day(header.creation_date)
    else:
        layout = _layout(path)
        in_file, count, day = layout.crs, layout.count, None
        bounds, step = pointfile.extent(layout, pointfile.ranges(layout, PART, PART_BYTES))
    return Source(
        path, "cloud", role, stated(path, in_file, crs, vertical), bounds, sha256(path), points=count,
        surveyed=surveyed or day, step=step, error_m=error_m,
    )  # fmt: skip


def _layout(path: Path) -> pointfile.Layout:
    return ply.read_layout(path) if path.suffix.lower() == ".ply" else pcd.read_layout(path)


def parts(source: Source) -> list[CloudPart]:
    """The parts of a cloud: a million points each or so, cut where LAZ chunks end."""
    return list(_parts(source.path, source.sha256, PART, PART_BYTES))


# Every task asks again; a city's file has thousands of chunks
@functools.lru_cache(maxsize=256)
def _parts(path: Path, _sha256: str, most: int, most_bytes: int) -> tuple[CloudPart, ...]:
    if path.suffix.lower() in (".las", ".laz"):
        ranges = las.ranges(path, most, most_bytes)
    else:
        ranges = pointfile.ranges(_layout(path), most, most_bytes)
    return tuple(CloudPart(start, count) for start, count in ranges)


def read_part(source: Source, part: CloudPart, placing: Placing, grid: Grid, *, outliers: bool) -> PartRead:
    """Sort the returns of a part into the tiles of a map.

    A return whose coordinates are coarse (`Source.step`) stands for a square as wide as their step and counts in every
    cell that the square touches. Survey error is not added here.

    Args:
        outliers: run the statistical filter over the part. Without it, only the surveyor's classes reject.

    Raises:
        SurveyError: the file is damaged or ends early, a return lies outside the bounds that its header states, or
            cannot be placed.
    """
    watch = _Watch()
    records: las.Records | None = None
    points: NDArray[np.float64] | None = None
    if source.path.suffix.lower() in (".las", ".laz"):
        records = las.read_records(source.path, part.start, part.count)
        ground, noise = records.classes == las.GROUND_CLASS, records.noise
    else:
        points = pointfile.read_points(_layout(source.path), part.start, part.count)
        ground, noise = np.zeros(part.count, bool), np.zeros(part.count, bool)
    watch.stop("decode")
    placed: _Coordinates | None = None
    if records is not None and placing.exact_shift and not source.step:
        covered, up = _shifted(source, records, placing, grid)
    else:
        x, y, z = _coordinates(source, records, points)
        placed = east, north, up = _placed(source, placing, x, y, z)
        if source.step:
            covered = cells_touched(*_footprint(source, placing, x, y, z), grid)
        else:
            covered = cells_of(east, north, grid)
    watch.stop("bin")
    bad = noise
    if outliers:
        placed = placed or _placed(source, placing, *_coordinates(source, records, points))
        bad = noise | reject(np.column_stack(placed))
    watch.stop("filter")
    kind = np.where(bad, np.uint8(REJECTED), np.where(ground, np.uint8(GROUND), np.uint8(ACCEPTED)))
    evidence = sorted_into_tiles(covered, up, kind, grid)
    off = covered.off_map
    watch.stop("bin")
    return PartRead(
        evidence, part.count, int((bad & ~off).sum()), int(off.sum()), int((noise & ~off).sum()), watch.seconds
    )


def points_of(source: Source, part: CloudPart, placing: Placing) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]
]:  # fmt: skip
    """Every point of a part as east, north, up in the map (float64 metres), and whether the surveyor called it noise.

    Slow, and apart from the kernels of `read_part`, so that one can be held against the other.

    Raises:
        SurveyError: as `read_part`.
    """
    if source.path.suffix.lower() in (".las", ".laz"):
        records = las.read_records(source.path, part.start, part.count)
        return *_placed(source, placing, *_coordinates(source, records, None)), records.noise
    points = pointfile.read_points(_layout(source.path), part.start, part.count)
    return *_placed(source, placing, *_coordinates(source, None, points)), np.zeros(part.count, bool)


def _shifted(source: Source, records: las.Records, placing: Placing, grid: Grid) -> tuple[Covered, NDArray[np.float64]]:
    """The usual case, a cloud in the map's own CRS: from stored integers to cells in one go."""
    covered, up = Covered.empty(len(records.X)), np.empty(len(records.X))
    shift = np.array([-placing.frame.origin_x, -placing.frame.origin_y, 0.0])
    outside = record_cells(
        records.X, records.Y, records.Z, records.scales, records.offsets, records.low, records.high, shift,
        grid.cell_m, grid.nx, grid.ny, covered.ix0, covered.ix1, covered.iy0, covered.iy1, up,
    )  # fmt: skip
    if outside >= 0:
        raise _out_of_bounds(source, *records.coordinates(), outside)
    return covered, up


def _coordinates(source: Source, records: las.Records | None, points: NDArray[np.float64] | None) -> _Coordinates:
    if records is None:
        x, y, z = points.T  # type: ignore[union-attr]
        return x, y, z
    x, y, z = records.coordinates()
    outside = records.outside(x, y, z)
    if outside >= 0:
        raise _out_of_bounds(source, x, y, z, outside)
    return x, y, z


def _out_of_bounds(
    source: Source, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], index: int
) -> SurveyError:
    return SurveyError(
        "a point lies outside the bounds that the header states", file=source.path, field="bounds",
        value=(float(x[index]), float(y[index]), float(z[index])), mend="Write the file again with its survey program.",
    )  # fmt: skip


def _placed(
    source: Source, placing: Placing, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> _Coordinates:
    try:
        return placing.place(x, y, z)
    except InputError as error:
        raise error.at(source.path) from None


def _footprint(
    source: Source, placing: Placing, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """West, east, south, north ends of the squares that coarse coordinates stand for."""
    half = source.step / 2
    west, south = np.full(len(x), np.inf), np.full(len(x), np.inf)
    east, north = -west, -south
    for dx, dy in ((-half, -half), (-half, half), (half, -half), (half, half)):
        a, b, _ = _placed(source, placing, x + dx, y + dy, z)
        np.minimum(west, a, out=west)
        np.maximum(east, a, out=east)
        np.minimum(south, b, out=south)
        np.maximum(north, b, out=north)
    return west, east, south, north


class _Watch:
    """Adds up the time since it was last stopped, by stage."""

    def __init__(self) -> None:
        self.seconds = {"decode": 0.0, "filter": 0.0, "bin": 0.0}
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now
