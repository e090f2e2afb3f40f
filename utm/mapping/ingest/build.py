"""From survey files to a city map.

What blocks is decided tile by tile (`merge`, `finish`), always to the safe side; here the sources are looked at, the
frame and the grid are laid, and the tasks are handed to the workers.
"""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np

from utm.errors import InputError, SurveyError
from utm.frames import LocalFrame, geoid_name
from utm.mapping.citymap import CityMap
from utm.mapping.ingest import placing, stray, tasks
from utm.mapping.ingest.content import counted
from utm.mapping.ingest.finish import FAR_BLOCK, Far, Parameters
from utm.mapping.ingest.grid import TILE, Grid, Tile, grid_over
from utm.mapping.ingest.source import Role, Source
from utm.mapping.ingest.sources import expand, inspect
from utm.mapping.ingest.store import MapWriter, check_place
from utm.mapping.ingest.tasks import Job
from utm.mapping.ingest.workers import Workers, workers_for
from utm.mapping.mapfile import FORMAT, FORMAT_VERSION

#: Cell of a map made without rasters, and the finest that is chosen unasked.
FINEST_M = 1.0

Progress = Callable[[str, int, int], None]
Files = str | Path | Iterable[str | Path]


def build_map(
    sources: Files,
    out: str | Path,
    *,
    crs: str | None = None,
    map_crs: str | None = None,
    terrain: Files | None = None,
    resolution_m: float | None = None,
    vertical_datum: str | None = None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
    unknown: str = "nearby",
    unknown_margin_m: float = 10.0,
    as_of: datetime.date | None = None,
    ground: str = "auto",
    outliers: bool = True,
    replace: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    seconds: dict[str, float] | None = None,
) -> CityMap:
    """Build a map from surface models (GeoTIFF), point clouds (LAS, LAZ, PLY, PCD), 3-D city models (CityGML,
    CityJSON) and obstacles (GeoJSON). The same sources give the same version on any number of workers.

    Args:
        sources: files and globs, of any kinds and coordinate reference systems together.
        out: directory of the map; a build that does not end leaves no map there, or the one that stood there.
        crs: for files that state none, for example ``EPSG:6675``; where every file states its own, it must agree.
        map_crs: CRS of the map, projected and in metres; the first such CRS among the sources by default, else the
            UTM zone of the place.
        terrain: terrain models (GeoTIFF). Without: class 2 of the clouds; without that, a ground filter.
        resolution_m: edge of a cell; the finest raster's by default, but at least 1 m.
        vertical_datum: for files that state none, for example ``JGD2011``. The map's is the first source's.
        surveyed: day of the survey, for files that do not say.
        error_m: how far the survey may be off in height; every surface is raised by it.
        unknown: ``nearby``: what nobody saw is blocked up to the highest known surface nearby and
            ``unknown_margin_m`` more; ``open``: it is taken for bare ground.
        as_of: obstacles whose last day lies before are left out.
        ground: ``auto`` as said above; ``filter`` ignores the classes of the clouds.
        outliers: whether returns are filtered; without, every return is believed.
        replace: whether a map that stands at ``out`` may be followed by this one. Nothing else ever is.
        workers: threads (all cores by default); or ``scheduler``, the address of a Dask cluster.
        progress: called as ``progress(stage, done, total)``, from several threads.
        seconds: filled with the time of each stage, summed over the workers.

    Raises:
        SurveyError: a file that cannot become part of the map; the message says which, why, and the mend.
        DatumError: heights whose datum is unstated or stated in two ways, or cannot be converted.
        MapError: ``out`` is taken or cannot be written.
        OutsideError: no scheduler, or its workers die again and again.
    """
    out = Path(out).absolute()
    check_place(out, replace=replace)
    parameters = Parameters(
        unknown=unknown, unknown_margin_m=metres("--unknown-margin", unknown_margin_m), ground=ground
    )
    told = {
        "crs": crs,
        "vertical": vertical_datum,
        "surveyed": surveyed,
        "error_m": metres("--survey-error", error_m),
    }
    seen = look_at(sources, terrain or (), progress, **told)
    described = [source for source in seen if source.kind != "obstacles"]
    if not any(source.role == "surface" for source in described):
        raise SurveyError("no survey was given", mend="Name a surface model, a point cloud or a city model.")
    check_ground(seen)
    name = placing.map_crs(described, map_crs)
    vertical = next(source for source in described if source.role == "surface").stated.vertical
    grid = _grid(seen, name, vertical, resolution_m)
    frame = LocalFrame(name, grid.west, grid.south, vertical)
    check_reach(seen, frame, grid)
    ordered = in_order(seen)
    entries = [described_source(source) for source in ordered]
    with MapWriter(out, replace=replace) as writer, workers_for(workers, scheduler) as crew:
        job = Job(
            out, writer.scratch, grid, frame, ordered, identity(frame, grid), parameters, days_of(entries),
            outliers=outliers, as_of=as_of,
        )  # fmt: skip
        done = run(job, crew, None, progress, seconds)
        meta = dict(job.identity) | {
            "tiles": done.entries,
            "sources": [entry | done.facts_of(i) for i, entry in enumerate(entries)],
            "parameters": asdict(parameters) | {"outliers": outliers, "as_of": as_of and as_of.isoformat()},
            "counts": summed([done.counts, *(counted(entry["facts"]) for entry in done.entries)]),
            "survey_dates": dates_of(entries),
        }
        meta["frame"] = dict(meta["frame"]) | {"geoid": geoid_name(vertical)}
        return writer.publish(meta)


def look_at(surfaces: Files, terrains: Files, progress: Progress | None, **told: Any) -> list[Source]:
    """Read the headers of all files.

    Raises:
        SurveyError, DatumError: as `inspect`; or the same file given twice.

    What the caller says of CRS and heights is for files that do not say it themselves. Where every file does, and one
    of them says otherwise, it is a mistake and refused.
    """
    asked = [(path, "surface") for path in expand(_paths(surfaces))]
    asked += [(path, "terrain") for path in expand(_paths(terrains))]
    found: dict[Path, Source] = {}
    contradictions: list[InputError] = []
    for number, (path, role) in enumerate(asked):
        if path.resolve() in found:
            raise SurveyError(
                "the same file is given as surface and as terrain", file=path, field="--terrain", mend="Give the DTM."
            )
        try:
            source = inspect(path, role=role, **told)
        except InputError as error:
            if not error.contradicts:
                raise
            contradictions.append(error)
            source = _by_itself(path, role, told, error)
        day_from = None if source.surveyed is None else "caller" if told.get("surveyed") else "file"
        found[path.resolve()] = replaced(source, day_from=day_from)
        if progress:
            progress("look at files", number + 1, len(asked))
    if contradictions and all(s.stated.by_file for s in found.values() if s.kind != "obstacles"):
        raise contradictions[0]  # what the caller said fits none that needed to be told
    return list(found.values())


def _by_itself(path: Path, role: Role, told: Mapping[str, Any], contradiction: InputError) -> Source:
    """A file that contradicts the caller, who may have meant others: taken at its own word, if it has one.

    Raises:
        InputError: the contradiction, where it does not say all by itself.
    """
    try:
        return inspect(path, role=role, **(dict(told) | {"crs": None, "vertical": None}))
    except InputError:
        raise contradiction from None


def in_order(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Sources in the order in which they are numbered: by content, so that paths and the order of naming do not count.

    Raises:
        SurveyError: the same content twice, or two models or obstacle files of one name: by that they are replaced and
            withdrawn.
    """
    ordered = sorted(sources, key=lambda s: (s.role, s.sha256))
    for one, other in itertools.pairwise(ordered):
        if one.sha256 == other.sha256 and one.role == other.role:
            raise SurveyError(f"holds the same as {one.path.name}", file=other.path, mend="Name it once.")
    entered = sorted((s for s in ordered if s.kind in ("model", "obstacles")), key=lambda s: (s.path.name, s.sha256))
    for one, other in itertools.pairwise(entered):
        if one.path.name == other.path.name:
            raise SurveyError(
                f"has the name of {one.path}", file=other.path,
                mend="A map knows models and obstacles by the names of their files: rename one.",
            )  # fmt: skip
    return tuple(replaced(s, path=s.path.absolute()) for s in ordered)  # a worker has another current directory


def identity(frame: LocalFrame, grid: Grid) -> dict[str, Any]:
    """The part of ``map.json`` that says where a map's cells lie."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "frame": {
            "crs": frame.crs,
            "origin_x": frame.origin_x,
            "origin_y": frame.origin_y,
            "vertical": str(frame.vertical),
        },
        "resolution_m": grid.cell_m,
        "size": [grid.nx, grid.ny],
    }


def days_of(entries: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Survey days of the sources in ``map.json`` since 1970-01-01, by number; 0 for number 0 and where not known."""
    epoch = datetime.date(1970, 1, 1)
    dates = [entry["surveyed"] and datetime.date.fromisoformat(entry["surveyed"]) for entry in entries]
    return (0, *((date - epoch).days if date else 0 for date in dates))


def dates_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """The oldest and the newest survey day of the sources in ``map.json``."""
    known = sorted(entry["surveyed"] for entry in entries if entry["surveyed"])
    return {"oldest": known[0] if known else None, "newest": known[-1] if known else None}


def described_source(source: Source) -> dict[str, Any]:
    """The entry for ``map.json``: the file's name and hash, never its place."""
    entry = {
        "file": source.path.name,
        "role": source.role,
        "kind": source.kind,
        "sha256": source.sha256,
        "crs": source.stated.crs,
        "vertical": str(source.stated.vertical),
        "surveyed": source.surveyed.isoformat() if source.surveyed else None,
        "surveyed_says": source.day_from,
        "error_m": source.error_m,
        "withdrawn": False,
    }
    if source.kind == "raster":
        entry["resolution_m"] = source.resolution_m
    if source.points is not None:
        entry["points"] = source.points
    return entry


@dataclass
class Done:
    """What a run of the tasks brought about."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    by_source: dict[int, dict[str, int]] = field(default_factory=dict)
    entered: dict[int, list[Tile]] = field(default_factory=dict)

    def facts_of(self, index: int) -> dict[str, Any]:
        """What was found of one new source: counts, and the tiles into which a model or obstacles were entered."""
        facts: dict[str, Any] = {}
        if index in self.by_source:
            facts["counts"] = dict(sorted(self.by_source[index].items()))
        if index in self.entered:
            facts["tiles"] = [list(tile) for tile in self.entered[index]]
        return facts


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    total: dict[str, int] = {}
    for more in counts:
        _add(total, more)
    return dict(sorted(total.items()))


def run(
    job: Job,
    crew: Workers,
    limit: Callable[[set[Tile]], tuple[list[Tile], list[Tile]]] | None,
    progress: Progress | None,
    seconds: dict[str, float] | None,
    known_tiles: Sequence[Mapping[str, Any]] = (),
) -> Done:
    """Read, merge and finish.

    Args:
        limit: for an update: which tiles to merge and which to finish, by those that the new sources touch. All of
            them by default.
        known_tiles: the entries of the tiles of the map that is updated.
    """
    report = progress or (lambda stage, done, total: None)
    spent: dict[str, float] = {} if seconds is None else seconds
    done = Done()

    def spend(taken: Mapping[str, float]) -> None:
        for stage, value in taken.items():
            spent[stage] = spent.get(stage, 0.0) + value

    touched = _read(job, crew, done, spend, report)
    every = job.grid.tiles()
    to_merge, to_finish = limit(touched) if limit else (every, every)
    far_shape = tuple(-(-n // FAR_BLOCK) for n in job.grid.shape)
    far = Far(np.full(far_shape, -np.inf, np.float32), np.full(far_shape, np.inf, np.float32))
    per_tile = TILE // FAR_BLOCK
    for entry in known_tiles:  # tiles that are not merged are known by their extremes
        there, facts = tuple(slice(n * per_tile, (n + 1) * per_tile) for n in entry["tile"]), entry["facts"]
        # No known surface is higher; what was assumed does not count, or assumptions would grow on assumptions
        known_high = min(facts["surface_high_m"], facts["terrain_high_m"] + facts["highest_m"])
        far.high[there] = known_high if facts["known"] else -np.inf
        far.low[there] = facts["terrain_low_m"]
    for number, merged in enumerate(crew.map(tasks.merge_tile, [(job, tile) for tile in to_merge])):
        bx, by = merged.tile[0] * per_tile, merged.tile[1] * per_tile
        there = (slice(bx, bx + merged.high.shape[0]), slice(by, by + merged.high.shape[1]))
        far.high[there], far.low[there] = merged.high, merged.low
        spend(merged.seconds)
        report("merge tiles", number + 1, len(to_merge))
    if np.isneginf(far.high).all():
        surfaces = [source.path for source in job.sources if source.role == "surface"]
        raise SurveyError(
            "the survey holds no height at all", file=surfaces[0] if len(surfaces) == 1 else None,
            mend="Check the files' nodata values.",
        )  # fmt: skip
    np.savez(job.scratch / "far.npz", high=far.high, low=far.low)
    for number, finished in enumerate(crew.map(tasks.finish_tile, [(job, tile) for tile in to_finish])):
        done.entries.append(dict(finished.entry))
        _add(done.counts, finished.counts)
        spend(finished.seconds)
        report("finish tiles", number + 1, len(to_finish))
    done.entries.sort(key=lambda entry: entry["tile"][::-1])
    return done


def _read(
    job: Job, crew: Workers, done: Done, spend: Callable[[Mapping[str, float]], None], report: Progress
) -> set[Tile]:
    """Sort all sources but rasters into tiles; returns the tiles that any new source touches."""
    touched: set[Tile] = set()
    touched_by: dict[int, set[Tile]] = {}
    work: dict[Callable, list[tuple[Job, int, int]]] = {}
    total = 0
    for index, source in enumerate(job.sources):
        if source.kind == "raster":
            touched.update(job.grid.touching(*placing.reach(source, job.frame)))
        elif source.kind == "cloud":
            from utm.mapping.ingest import clouds

            count = len(clouds.parts(source))
            work.setdefault(tasks.read_cloud, []).extend((job, index, part) for part in range(count))
            total += source.points or 0
        else:
            reader = tasks.read_model if source.kind == "model" else tasks.read_obstacles
            work.setdefault(reader, []).append((job, index, 0))
    for reader, items in work.items():
        clouds_only = reader is tasks.read_cloud
        points = 0
        for number, read in enumerate(crew.map(reader, items)):
            touched |= read.tiles
            touched_by.setdefault(read.index, set()).update(read.tiles)
            _add(done.by_source.setdefault(read.index, {}), read.counts)
            if clouds_only:
                _add(done.counts, read.counts)
                points += read.counts["points_read"]
                report("read points", points, max(total, points))
            else:
                done.entered[read.index] = sorted(read.tiles)
                report("read models", number + 1, len(items))
            spend(read.seconds)
    if job.before is None:  # the map of an update is as large as it is
        for index, tiles in touched_by.items():
            source = job.sources[index]
            if source.kind != "obstacles":
                stray.check_tiles(source.path, placing.reach(source, job.frame), tiles, job.grid.cell_m)
    return touched


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + int(value)


def _paths(files: Files) -> list[Path]:
    return [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]


def metres(field: str, value: float) -> float:
    """The value, or SurveyError unless it is a number of metres, zero or more."""
    if not (math.isfinite(value) and value >= 0):
        raise SurveyError("must be a number of metres, zero or more", field=field, value=value)
    return float(value)


def check_ground(sources: Sequence[Source]) -> None:
    """Raise SurveyError for a terrain model that is no raster."""
    for source in sources:
        if source.role == "terrain" and source.kind != "raster":
            raise SurveyError(
                "a terrain model must be a GeoTIFF", file=source.path, field="--terrain", mend="Give a DTM raster."
            )


def check_reach(sources: Sequence[Source], frame: LocalFrame, grid: Grid) -> None:
    """Raise SurveyError for a terrain model or obstacles that lie nowhere on the map: a wrong file, or a wrong CRS."""
    for source in sources:
        inside = source.role == "terrain" or source.kind == "obstacles"
        if inside and not grid.touching(*placing.reach(source, frame)):
            raise SurveyError(
                "lies off the survey", file=source.path, field="--terrain" if source.role == "terrain" else None,
                mend="Is it of another place, or in another CRS?",
            )  # fmt: skip


def _grid(sources: Sequence[Source], crs: str, vertical: object, resolution_m: float | None) -> Grid:
    rasters = [s.resolution_m for s in sources if s.kind == "raster" and s.role == "surface" and s.resolution_m]
    if resolution_m is None:
        resolution_m = max(min(rasters, default=FINEST_M), FINEST_M)
    outline = [s for s in sources if s.role == "surface" and s.kind != "obstacles"]
    anywhere = LocalFrame(crs, 0.0, 0.0, vertical)  # type: ignore[arg-type]
    bounds = [placing.reach(source, anywhere) for source in outline]
    if resolution_m > 0:
        stray.check_files([(s.path, box) for s, box in zip(outline, bounds, strict=True)], resolution_m)
    return grid_over(bounds, float(resolution_m))
