"""Obstacles that people enter because no survey sees them: power lines, masts, cranes (docs/obstacles.md)."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import DatumError, InputError
from utm.frames import LocalFrame
from utm.mapping.ingest.entered import Entered, ModelRead
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.obstacle_documents import Block, Feature, PowerLine, read_features
from utm.mapping.ingest.reading import reading
from utm.mapping.ingest.solids import Rows, polygons_to_cells, spans_to_cells
from utm.mapping.ingest.source import Role, Source, Statement
from utm.model import Datum

#: Up of the ground under places (east, north); NaN where none is known.
TerrainUp = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

# A little short of the smallest on the ellipsoid, so that a reach in degrees is never too small
_METRES_PER_DEGREE = 110_000.0


def inspect_obstacles(
    path: Path,
    *,
    role: Role,
    crs: str | None = None,
    vertical: str | None = None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
) -> Source:
    """Read a file of obstacles through.

    ``crs`` and ``vertical`` are what the caller says of surveys that do not say it themselves; this format always
    does: WGS84 longitude and latitude, and a datum for each obstacle. So they are not used, and the datum in the
    source's statement is nominal.

    Raises:
        SurveyError, DatumError: as `read_features`.
    """
    path = Path(path)
    with reading(path, "GeoJSON file"):
        features = read_features(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    boxes = np.array([_box(feature) for feature in features])
    west, south = boxes[:, :2].min(axis=0).tolist()
    east, north = boxes[:, 2:].max(axis=0).tolist()
    statement = Statement("EPSG:4326", Datum.WGS84)
    return Source(
        path, "obstacles", role, statement, (west, south, east, north), sha256, surveyed=surveyed, error_m=error_m
    )


def read_obstacles(
    source: Source,
    grid: Grid,
    frame: LocalFrame,
    terrain_up: TerrainUp | None,
    as_of: datetime.date | None,
) -> ModelRead:
    """Obstacles as solids on a grid, each grown by its own uncertainty in every direction.

    Args:
        frame: of the map; its origin is the grid's south-west corner.
        terrain_up: the ground, for heights above it.
        as_of: obstacles that were gone before this day are left out. One that is yet to come counts.

    Raises:
        SurveyError: the file is not what it was when it was inspected.
        DatumError: a height above ground where no ground is known, or a geoid that does not reach the place.
    """
    entered, counts, off_map = Entered(grid), Counter[str](), 0
    with reading(source.path, "GeoJSON file"):
        features = read_features(source.path)
    for feature in features:
        what = feature.properties
        if as_of and what.until and what.until < as_of:
            counts[f"{what.kind} (no longer there)"] += 1
            continue
        try:
            off_map += _enter(feature, grid, frame, terrain_up, entered)
        except InputError as error:
            error.field = f"{what.id}: {error.field}" if error.field else what.id
            raise error.at(source.path) from None
        counts[what.kind] += 1
    return ModelRead(entered.evidence(), dict(sorted(counts.items())), off_map)


def _box(feature: Feature) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees, with all that the obstacle reaches."""
    places = np.array([place[:2] for ring in feature.rings for place in ring])
    (west, south), (east, north) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    up = feature.reach_m / _METRES_PER_DEGREE
    aside = up / max(0.01, math.cos(math.radians(min(89.0, max(abs(south), abs(north)) + up))))
    return west - aside, max(-90.0, south - up), east + aside, min(90.0, north + up)


def _enter(feature: Feature, grid: Grid, frame: LocalFrame, terrain_up: TerrainUp | None, entered: Entered) -> bool:
    """Enter one obstacle; returns whether some of it lies off the grid."""
    what, margin = feature.properties, feature.properties.uncertainty_m
    places = np.array([place[:2] for ring in feature.rings for place in ring])
    east, north = frame.to_map(places[:, 0], places[:, 1])
    reach = feature.reach_m
    if (
        east.max() + reach < 0 or east.min() - reach > grid.nx * grid.cell_m
        or north.max() + reach < 0 or north.min() - reach > grid.ny * grid.cell_m
    ):  # fmt: skip
        return True
    beyond = bool(
        east.min() < reach or east.max() > grid.nx * grid.cell_m - reach
        or north.min() < reach or north.max() > grid.ny * grid.cell_m - reach
    )  # fmt: skip
    up = _ups(feature, places, east, north, frame, terrain_up)
    if isinstance(what, PowerLine):
        line = np.column_stack([east, north, up])
        if what.supports:
            _columns(entered, _discs(line, what.support_radius_m + margin, grid), margin)
        radius = np.full(len(line) - 1, what.conductor_half_width_m + margin)
        wires = spans_to_cells(line[:-1], line[1:], radius, np.array(feature.sags_m), grid)
        entered.runs(wires.item, wires.ix, wires.iy, wires.low - margin, wires.high + margin)
    elif isinstance(what, Block):
        rings = np.cumsum([0, *(len(ring) for ring in feature.rings)])
        points = np.column_stack([east, north, np.full(len(east), up.max())])
        is_surface = what.kind == "building"
        _columns(entered, polygons_to_cells(points, rings, np.array([0, len(rings) - 1]), grid), margin, is_surface)
        # its outline, as far off as the uncertainty says
        inner = np.setdiff1d(np.arange(len(points) - 1), rings[1:] - 1)
        edges = spans_to_cells(
            points[inner], points[inner + 1], np.full(len(inner), margin), np.zeros(len(inner)), grid
        )
        _columns(entered, edges, margin, is_surface)
    else:
        _columns(entered, _discs(np.column_stack([east, north, up]), reach, grid), margin)
    return beyond


def _discs(places: NDArray[np.float64], radius_m: float, grid: Grid) -> Rows:
    return spans_to_cells(places, places, np.full(len(places), radius_m), np.zeros(len(places)), grid)


def _columns(entered: Entered, rows: Rows, margin_m: float, is_surface: bool = False) -> None:
    entered.columns(rows.ix, rows.iy, rows.high + margin_m, is_surface=is_surface)


def _ups(
    feature: Feature,
    places: NDArray[np.float64],
    east: NDArray[np.float64],
    north: NDArray[np.float64],
    frame: LocalFrame,
    terrain_up: TerrainUp | None,
) -> NDArray[np.float64]:
    """Heights in the map's datum: of every vertex, or of the top over every vertex."""
    datum, heights = Datum(feature.properties.datum), np.array(feature.heights_m)
    if datum is not Datum.AGL:
        return frame.up(heights, datum, places[:, 0], places[:, 1])
    mend = "Give the map a terrain model that covers it, or state the height in another datum."
    if terrain_up is None:
        raise DatumError("a height above ground needs a terrain model", field="datum", value="AGL", mend=mend)
    ground = np.asarray(terrain_up(east, north), np.float64)
    if not np.isfinite(ground).all():
        bad = int(np.flatnonzero(~np.isfinite(ground))[0])
        lon, lat = places[bad].tolist()
        raise DatumError(
            f"no ground is known under lon {lon:.6f}, lat {lat:.6f}", field="datum", value="AGL", mend=mend
        )
    return heights + ground
