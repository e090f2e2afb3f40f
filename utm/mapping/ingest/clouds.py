"""Reading point clouds into the grid of a map, chunk by chunk, and judging what the outlier filter rejects.

The filter is Open3D's statistical one: a return whose mean distance to its neighbours is far above the average. On
real surveys that rejects wires, masts and roof edges with the true errors, so a rejection takes nothing away by
itself: the return becomes SUSPECT and blocks as before. Discarded, and counted, are only

* rejected returns more than ``BELOW_M`` under the terrain: they would not change the surface anyway;
* rejected returns more than ``ALONE_M`` above everything else (ground included) within ``NEARBY_M``, where "everything
  else" holds the rejected returns beneath, so a mast of lone returns is kept whole. No flight under the 150 m ceiling
  comes within 30 m of a thing 180 m up, but one such return would close the column beneath it to everybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import laspy
import numpy as np
import open3d
from numpy.typing import NDArray

from utm.errors import SurveyError
from utm.mapping.ingest.binning import bin_points, judge_suspects, rounded_up
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.sources import Source, reading

CHUNK = 1_000_000
BELOW_M = 1.0
ALONE_M = 180.0
NEARBY_M = 30.0
NEIGHBOURS = 16
DEVIATIONS = 3.0
_NOISE_CLASSES = (7, 18)  # low and high noise of the LAS standard: the surveyor's own rejections


@dataclass
class CloudCounts:
    """What became of the returns of all clouds."""

    points: int = 0
    suspect: int = 0
    discarded_below: int = 0
    discarded_above: int = 0


def read_cloud(
    source: Source,
    grid: Grid,
    highest: NDArray[np.float32],
    returns: NDArray[np.int32],
    progress: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """Raise ``highest`` (nx, ny) by every return that the filter accepts and count returns per cell.

    Returns:
        (n, 3) the rejected ones, in the CRS.

    Raises:
        SurveyError: the file is damaged, or a return lies outside the bounds that its header states.
    """
    rejected = []
    done = 0
    for points, noise in _chunks(source):
        ix, iy = cells_of(points, grid, source.path)
        bad = noise | statistical_outliers(points)
        bin_points(ix[~bad], iy[~bad], rounded_up(points[~bad, 2]), highest, returns)
        rejected.append(points[bad])
        done += len(points)
        progress(done, source.points or done)
    if done != source.points:
        raise SurveyError(
            f"the header promises {source.points} points", file=source.path, field="points", value=done,
            mend="Copy it again from the survey.",
        )  # fmt: skip
    return np.concatenate(rejected)


def _chunks(source: Source) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    with reading(source.path, "cloud"), laspy.open(source.path) as reader:
        for chunk in reader.chunk_iterator(CHUNK):
            points = np.column_stack([chunk.x, chunk.y, chunk.z]).astype(np.float64)
            noise = np.isin(np.asarray(chunk.classification), _NOISE_CLASSES) | np.asarray(chunk.withheld, bool)
            yield points, noise


def cells_of(points: NDArray[np.float64], grid: Grid, file: Path | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell (ix, iy) of each point (n, 3).

    Raises:
        SurveyError: a point off the grid, which was laid over the bounds in the files' headers.
    """
    ix = np.floor((points[:, 0] - grid.west) / grid.cell_m).astype(np.int64)
    iy = np.floor((points[:, 1] - grid.south) / grid.cell_m).astype(np.int64)
    # The far edge of the grid belongs to its last cell
    ix[points[:, 0] == grid.west + grid.nx * grid.cell_m] = grid.nx - 1
    iy[points[:, 1] == grid.north] = grid.ny - 1
    off = (ix < 0) | (ix >= grid.nx) | (iy < 0) | (iy >= grid.ny) | ~np.isfinite(points[:, 2])
    if off.any():
        raise SurveyError(
            "a point lies outside the bounds that the header states", file=file, field="bounds",
            value=tuple(points[off][0].tolist()), mend="Write the file again with its survey program.",
        )  # fmt: skip
    return ix, iy


def statistical_outliers(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (n, 3) Open3D's statistical filter rejects (16 neighbours, 3 standard deviations).

    It runs twice: a handful of returns hundreds of metres off make everything nearer look usual.
    """
    kept = np.arange(len(points))
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points - points.mean(axis=0)))
    for _ in range(2):
        if len(kept) <= NEIGHBOURS:
            break  # too few to say what is usual
        cloud, indices = cloud.remove_statistical_outlier(NEIGHBOURS, DEVIATIONS)
        kept = kept[np.asarray(indices, np.int64)]
    bad = np.ones(len(points), bool)
    bad[kept] = False
    return bad


def judge_rejected(
    rejected: NDArray[np.float64],
    grid: Grid,
    ground: NDArray[np.float32],
    highest: NDArray[np.float32],
    counts: CloudCounts,
) -> NDArray[np.bool_]:
    """Raise ``highest`` by the rejected returns (n, 3) that are kept as suspect; see the module's rule.

    Returns:
        (n,) which of them, in the order given, were kept.
    """
    order = np.lexsort((rejected[:, 1], rejected[:, 0], rejected[:, 2]))  # ties too: the result hangs on no file order
    ix, iy = cells_of(rejected[order], grid, None)
    z = rounded_up(rejected[order, 2])
    radius = math.ceil(NEARBY_M / grid.cell_m)
    verdict = judge_suspects(ix, iy, z, ground, highest, BELOW_M, ALONE_M, radius)
    counts.suspect += int((verdict == 0).sum())
    counts.discarded_below += int((verdict == 1).sum())
    counts.discarded_above += int((verdict == 2).sum())
    kept = np.empty(len(rejected), bool)
    kept[order] = verdict == 0
    return kept
