"""The tasks of a build: read a part of a source, merge a tile, finish a tile. Each may run in any process, twice.

    sources --read--> scratch/evidence/<tile>/<source>-<part> --merge--> scratch/state/<tile>/ --finish--> city

Every task of one stage is done before the next stage begins: finishing a tile looks at the states of its neighbours.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.frames import LocalFrame
from utm.mapping.citymap import CityMap
from utm.mapping.ingest.content import composed
from utm.mapping.ingest.entered import ModelRead
from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.finish import Far, Parameters, finish, halo_cells, summary
from utm.mapping.ingest.grid import TILE, Box, Grid, Tile
from utm.mapping.ingest.ground import with_filtered_ground
from utm.mapping.ingest.merge import PointsSeen, RasterSeen, Recall, merged, recalled
from utm.mapping.ingest.nearby import square_max
from utm.mapping.ingest.placing import Placing, reach
from utm.mapping.ingest.source import Source
from utm.mapping.ingest.state import TileState
from utm.mapping.ingest.store import write_tile


@dataclass(frozen=True)
class Job:
    """What all tasks of one build share; picklable, all paths absolute."""

    out: Path
    scratch: Path
    grid: Grid
    frame: LocalFrame
    sources: tuple[Source, ...]
    """New ones. Their numbers in the map begin after ``known``."""
    identity: Mapping[str, object]
    parameters: Parameters
    days: tuple[int, ...]
    """Days since 1970-01-01 of each source of the map, by number; [0] is 0."""
    outliers: bool = True
    as_of: datetime.date | None = None
    """Obstacles whose last day lies before this one are left out."""
    known: int = 0
    """Number of sources that the map had before."""
    before: str | None = None
    """The version that is updated."""
    withdrawn: frozenset[int] = frozenset()
    """Numbers of the sources whose entered things are dropped."""

    def number(self, index: int) -> int:
        """The number in the map of a new source."""
        return self.known + index + 1

    def placing(self, index: int) -> Placing:
        """Where the coordinates of a new source lie in the map."""
        return Placing(self.sources[index].stated, self.frame)

    def keep(self, index: int, part: int, evidence: Mapping[Tile, Evidence]) -> None:
        """Put evidence where the tiles will find it."""
        for (tx, ty), found in evidence.items():
            found.save(self.scratch / "evidence" / f"{tx}_{ty}" / f"{index:05d}-{part:06d}.npz")


@dataclass(frozen=True)
class Read:
    """What became of one part of a source."""

    index: int
    tiles: frozenset[Tile]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Merged:
    """What later stages need of a merged tile."""

    tile: Tile
    high: NDArray[np.float32]
    low: NDArray[np.float32]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Finished:
    """A tile that is on disk."""

    entry: Mapping[str, object]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the time of a block to a stage."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - began


def read_cloud(task: tuple[Job, int, int]) -> Read:
    """Sort one part (job, source, part) of a cloud into tiles."""
    from utm.mapping.ingest import clouds

    job, index, part = task
    source = job.sources[index]
    seen = clouds.read_part(source, clouds.parts(source)[part], job.placing(index), job.grid, outliers=job.outliers)
    seconds = dict(seen.seconds)
    with timed(seconds, "bin"):
        job.keep(index, part, seen.evidence)
    counts = {"points_read": seen.points, "points_rejected": seen.rejected, "points_off_map": seen.off_map}
    return Read(index, frozenset(seen.evidence), counts, seconds)


def read_model(task: tuple[Job, int, int]) -> Read:
    """Sort a city model (job, source, 0) into tiles."""
    from utm.mapping.ingest import models

    job, index, _ = task
    seconds: dict[str, float] = {}
    with timed(seconds, "models"):
        seen = models.read_model(job.sources[index], job.placing(index), job.grid)
        return _kept(task, seen, seconds)


def read_obstacles(task: tuple[Job, int, int]) -> Read:
    """Sort a file of obstacles (job, source, 0) into tiles."""
    from utm.mapping.ingest import obstacles

    job, index, _ = task
    seconds: dict[str, float] = {}
    with timed(seconds, "models"):
        seen = obstacles.read_obstacles(job.sources[index], job.grid, job.frame, terrain_of(job), job.as_of)
        return _kept(task, seen, seconds)


def _kept(task: tuple[Job, int, int], seen: ModelRead, seconds: dict[str, float]) -> Read:
    """Keep what was read of entered things, and say what it was."""
    job, index, part = task
    job.keep(index, part, seen.evidence)
    counts = dict(seen.counts) | ({"off the map, wholly or in part": seen.off_map} if seen.off_map else {})
    return Read(index, frozenset(seen.evidence), counts, seconds)


def terrain_of(job: Job) -> Callable[[NDArray, NDArray], NDArray] | None:
    """The ground under places on the map, for heights that are stated above it: the terrain models of this build, else
    the map that is updated; None where there is neither.

    The highest ground of a cell, for a thing that stands on it must not come out too low. NaN where none is known.
    """
    from utm.mapping.ingest.rasters import read_window

    models = [i for i, source in enumerate(job.sources) if source.kind == "raster" and source.role == "terrain"]
    if not models and job.before is None:
        return None

    before = CityMap.open(job.out, job.before) if job.before is not None else None

    def ground_up(east: NDArray, north: NDArray) -> NDArray[np.float64]:
        east, north = np.broadcast_arrays(np.asarray(east, np.float64), np.asarray(north, np.float64))
        found = np.full(east.shape, -np.inf)
        cell = job.grid.cell_m
        for at in np.ndindex(east.shape):
            ix, iy = int(east[at] // cell), int(north[at] // cell)
            if not (0 <= ix < job.grid.nx and 0 <= iy < job.grid.ny):
                continue
            for index in models:
                highest, _ = read_window(job.sources[index], job.placing(index), job.grid, (ix, iy, ix + 1, iy + 1))
                found[at] = max(found[at], highest[0, 0])
            if np.isneginf(found[at]) and before is not None:
                # A map knows the lowest ground of a cell; that of a slope reaches up to the lowest of the next cell
                found[at] = before.window(*_beside(east[at], north[at], cell)).terrain_m.max()
        return np.where(np.isneginf(found), np.nan, found)

    return ground_up


def _beside(east: float, north: float, cell_m: float) -> tuple[float, float, float, float]:
    """A place and the cells beside its own, as a box."""
    return east - cell_m, north - cell_m, east + cell_m, north + cell_m


def merge_tile(task: tuple[Job, Tile]) -> Merged:
    """Put together what was seen of a tile, and leave its state in the scratch."""
    job, tile = task
    seconds: dict[str, float] = {}
    box = job.grid.box(tile)
    before = None
    if job.before is not None:
        with timed(seconds, "recall"):
            city_map = CityMap.open(job.out, job.before)
            recall = Recall.of(city_map.sources, city_map.meta["parameters"], job.withdrawn)
            before = recalled(box, city_map.tile_content(tile), recall)
    surfaces, terrains, points = [], [], []
    with timed(seconds, "rasters"):
        for index, source in enumerate(job.sources):
            if source.kind == "raster" and _reaches(job, index, box):
                from utm.mapping.ingest.rasters import read_window

                highest, lowest = read_window(source, job.placing(index), job.grid, box)
                seen = RasterSeen(job.number(index), source.error_m, highest, lowest)
                (terrains if source.role == "terrain" else surfaces).append(seen)
    with timed(seconds, "merge"):
        folder = job.scratch / "evidence" / f"{tile[0]}_{tile[1]}"
        for file in sorted(folder.glob("*.npz")) if folder.is_dir() else []:
            index = int(file.name.split("-")[0])
            source = job.sources[index]
            error_m = 0.0 if source.kind == "obstacles" else source.error_m
            points.append(PointsSeen(job.number(index), error_m, source.kind != "cloud", Evidence.load(file)))
        state = merged(box, surfaces, terrains, points, before)
        high, low = summary(state, box)
        _save(state, job.scratch / "state" / f"{tile[0]}_{tile[1]}")
    return Merged(tile, high, low, seconds)


def finish_tile(task: tuple[Job, Tile]) -> Finished:
    """Decide what the map says of a tile, and write it."""
    job, tile = task
    seconds: dict[str, float] = {}
    inner = job.grid.box(tile)
    with timed(seconds, "halo"):
        state = _with_halo(job, tile)
    with timed(seconds, "ground"):
        state = with_filtered_ground(state, job.grid.cell_m, job.parameters)
    with timed(seconds, "finish"):
        done = finish(
            state, inner, _far(job.scratch / "far.npz"), job.parameters, np.array(job.days, np.uint16), job.grid.cell_m
        )
        content = done.content
        if job.before is not None:
            halo = halo_cells(job.grid.cell_m, job.parameters)
            news = square_max(state.fresh.astype(np.float32), halo) > 0
            x0, y0 = inner[0] - state.box[0], inner[1] - state.box[1]
            news = news[x0 : x0 + inner[2] - inner[0], y0 : y0 + inner[3] - inner[1]]
            content = composed(CityMap.open(job.out, job.before).tile_content(tile), content, news)
    with timed(seconds, "write"):
        entry = write_tile(job.out, dict(job.identity), tile, content)
    return Finished(entry, done.counts, seconds)


def _reaches(job: Job, index: int, box: Box) -> bool:
    west, south, east, north = reach(job.sources[index], job.frame)
    cell = job.grid.cell_m
    return west <= box[2] * cell and east >= box[0] * cell and south <= box[3] * cell and north >= box[1] * cell


def _save(state: TileState, folder: Path) -> None:
    """Arrays that say nothing are left out: a missing file is a default."""
    beside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    beside.mkdir(parents=True)
    nothing = TileState.nothing((0, 0, 1, 1))
    for name in TileState.ARRAYS:
        array, default = getattr(state, name), getattr(nothing, name)[0, 0]
        if not (array == default).all():
            np.save(beside / f"{name}.npy", array)
    for name in TileState.TABLES:
        if len(getattr(state, name)):
            np.save(beside / f"{name}.npy", getattr(state, name))
    try:
        os.rename(beside, folder)
    except OSError:  # written already, by this task when it ran before
        shutil.rmtree(beside)


def _with_halo(job: Job, tile: Tile) -> TileState:
    """The state of a tile and of a strip around it, gathered from its neighbours."""
    outer = job.grid.box(tile, halo_cells(job.grid.cell_m, job.parameters))
    state = TileState.nothing(outer)
    tables: dict[str, list[NDArray]] = {name: [getattr(state, name)] for name in TileState.TABLES}
    for tx in range(outer[0] // TILE, (outer[2] - 1) // TILE + 1):
        for ty in range(outer[1] // TILE, (outer[3] - 1) // TILE + 1):
            box = job.grid.box((tx, ty))
            x0, y0 = max(box[0], outer[0]), max(box[1], outer[1])
            x1, y1 = min(box[2], outer[2]), min(box[3], outer[3])
            here = (slice(x0 - outer[0], x1 - outer[0]), slice(y0 - outer[1], y1 - outer[1]))
            there = (slice(x0 - box[0], x1 - box[0]), slice(y0 - box[1], y1 - box[1]))
            folder = job.scratch / "state" / f"{tx}_{ty}"
            if not folder.is_dir():
                raise RuntimeError(f"tile {tx}, {ty} was not merged before its neighbour {tile} was finished")
            for name in TileState.ARRAYS:
                if (file := folder / f"{name}.npy").is_file():
                    getattr(state, name)[here] = np.load(file, mmap_mode="r")[there]
            for name in TileState.TABLES:
                if (file := folder / f"{name}.npy").is_file():
                    table = np.load(file)
                    inside = (table["ix"] >= x0) & (table["ix"] < x1) & (table["iy"] >= y0) & (table["iy"] < y1)
                    tables[name].append(table[inside])
    for name, found in tables.items():
        setattr(state, name, np.sort(np.concatenate(found)))
    return state


@functools.lru_cache(maxsize=2)
def _far(file: Path) -> Far:
    with np.load(file) as arrays:
        return Far(arrays["high"], arrays["low"])
