"""A new survey of a part of a city: a new version of the map beside the old one.

Only the tiles that the new sources touch, or come near to, are made again; all others are shared between the versions.
Of a tile that is made again, cells farther from the news than the halo stay as they were, to the bit.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utm.errors import MapError, SurveyError
from utm.mapping.citymap import CityMap
from utm.mapping.diff import Difference, difference
from utm.mapping.ingest import placing
from utm.mapping.ingest.build import (
    Files,
    Progress,
    check_ground,
    dates_of,
    days_of,
    described_source,
    in_order,
    look_at,
    metres,
    run,
    summed,
)
from utm.mapping.ingest.content import counted
from utm.mapping.ingest.finish import Parameters, halo_cells
from utm.mapping.ingest.grid import Grid, Tile
from utm.mapping.ingest.store import MapWriter
from utm.mapping.ingest.tasks import Job
from utm.mapping.ingest.workers import workers_for
from utm.mapping.mapfile import identity_of


@dataclass(frozen=True)
class Updated:
    """The map as it stands after an update, and what that changed."""

    city_map: CityMap
    difference: Difference
    tiles: int
    """How many tiles were made again."""
    off_map: int
    """How many returns of the new survey lie off the map."""
    replaced: tuple[str, ...]
    """Models and obstacle files whose things went because new ones of the same name came."""
    older: tuple[str, ...]
    """New surveys that are older than the newest that the map had; they count like any other."""


def update_map(
    path: str | Path,
    sources: Files = (),
    *,
    crs: str | None = None,
    terrain: Files | None = None,
    vertical_datum: str | None = None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
    as_of: datetime.date | None = None,
    withdraw: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    seconds: dict[str, float] | None = None,
) -> Updated:
    """Bring a map up to date. Where the new survey saw, it replaces what older surveys said; models, obstacles and
    suspects stay. A model or a file of obstacles replaces the one of the same name.

    Args:
        withdraw: names of models and obstacle files whose things are no longer there.
        Others as `build_map`. Frame, datum, resolution and rules are the map's.

    Raises:
        SurveyError, DatumError, MapError, OutsideError: as `build_map`; the map stays as it was.
    """
    before = CityMap.open(path)
    meta = before.meta
    seen = look_at(sources, terrain or (), progress, crs=crs, vertical=vertical_datum, surveyed=surveyed,
                   error_m=metres("--survey-error", error_m))  # fmt: skip
    check_ground(seen)
    if not seen and not withdraw:
        raise MapError("nothing to update with", file=path, mend="Name a survey, or --withdraw a model.")
    ordered = in_order(seen)
    entries = [dict(entry) for entry in meta["sources"]]
    names = {s.path.name for s in ordered if s.kind in ("model", "obstacles")}
    gone = _withdrawn(before, entries, withdraw, names)
    replaced = tuple(sorted(entries[number - 1]["file"] for number, _ in gone if entries[number - 1]["file"] in names))
    newest = before.survey_dates[1]
    older = tuple(s.path.name for s in ordered if s.role == "surface" and s.kind in ("raster", "cloud")
                  and s.surveyed and newest and s.surveyed < newest)  # fmt: skip
    new = [described_source(source) for source in ordered]
    grid = Grid(before.frame.origin_x, before.frame.origin_y, before.resolution_m, *before.size)
    reaches = [grid.touching(*placing.reach(source, before.frame)) for source in ordered]
    if ordered and not any(reaches):
        raise SurveyError("lies off the map", file=ordered[0].path, mend="Is it of another place, or in another CRS?")
    stated = {name: value for name, value in meta["parameters"].items() if name in Parameters.__dataclass_fields__}
    with MapWriter(before.path, update=True, follows=before.version) as writer, workers_for(workers, scheduler) as crew:
        job = Job(
            before.path, writer.scratch, grid, before.frame, ordered, identity_of(meta), Parameters(**stated),
            days_of(entries + new),
            outliers=bool(meta["parameters"]["outliers"]), as_of=as_of, known=len(entries), before=before.version,
            withdrawn=frozenset(number for number, _ in gone),
        )  # fmt: skip
        lost = {tuple(tile) for _, tiles in gone for tile in tiles}

        def limit(touched: set[Tile]) -> tuple[list[Tile], list[Tile]]:
            finish = within_reach(job) | touched | set(around(grid, lost))
            return around(grid, finish), [tile for tile in grid.tiles() if tile in finish]

        done = run(job, crew, limit, progress, seconds, known_tiles=meta["tiles"])
        for number, _ in gone:
            entries[number - 1]["withdrawn"] = True
        for index, entry in enumerate(new):
            entry |= done.facts_of(index)
        tiles = {tuple(entry["tile"]): entry for entry in [*meta["tiles"], *done.entries]}
        document: dict[str, Any] = dict(meta) | {
            "tiles": list(tiles.values()),
            "sources": entries + new,
            "counts": summed([{k: v for k, v in meta["counts"].items() if k.startswith("points_")}, done.counts]
                             + [counted(entry["facts"]) for entry in tiles.values()]),
            "survey_dates": dates_of(entries + new),
        }  # fmt: skip
        after = writer.publish(document)
    off_map = sum(done.facts_of(i).get("counts", {}).get("points_off_map", 0) for i in range(len(ordered)))
    return Updated(after, difference(before, after), len(done.entries), off_map, replaced, older)


def within_reach(job: Job) -> set[Tile]:
    """The tiles of which the new sources may change something: those that they, grown by a halo, touch."""
    reach = halo_cells(job.grid.cell_m, job.parameters) * job.grid.cell_m
    found: set[Tile] = set()
    for source in job.sources:
        west, south, east, north = placing.reach(source, job.frame)
        found.update(job.grid.touching(west - reach, south - reach, east + reach, north + reach))
    return found


def around(grid: Grid, tiles: set[Tile]) -> list[Tile]:
    """Some tiles and all their neighbours on the grid."""
    near = {(tx + dx, ty + dy) for tx, ty in tiles for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    return [tile for tile in grid.tiles() if tile in near]


def _withdrawn(
    city_map: CityMap, entries: Sequence[dict[str, Any]], withdraw: Sequence[str], replaced: set[str]
) -> list[tuple[int, list[list[int]]]]:
    """Number and tiles of each source whose entered things go.

    Raises:
        MapError: no model or obstacle file of that name is in the map.
    """
    entered = {
        entry["file"]: (number + 1, entry["tiles"])
        for number, entry in enumerate(entries)
        if entry["kind"] in ("model", "obstacles") and not entry["withdrawn"]
    }
    for name in withdraw:
        if name not in entered:
            raise MapError(
                f"holds no model or obstacles of that name; it has: {', '.join(sorted(entered)) or 'none'}",
                file=city_map.path, field="--withdraw", value=name,
                mend="What a survey saw is replaced by a newer survey, not withdrawn.",
            )  # fmt: skip
    return [entered[name] for name in sorted({*withdraw, *replaced} & set(entered))]
