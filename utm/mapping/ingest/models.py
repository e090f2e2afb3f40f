"""3-D city models as surveys: CityGML (PLATEAU's) and CityJSON, as solids and ground on a grid."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray

from utm.errors import InputError, SurveyError
from utm.mapping.ingest.citygml import GmlReader
from utm.mapping.ingest.cityjson import JsonReader
from utm.mapping.ingest.cityobject import CityObject, Use
from utm.mapping.ingest.entered import Entered, ModelRead
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.placing import Placing
from utm.mapping.ingest.reading import MEND, reading
from utm.mapping.ingest.solids import polygons_to_cells
from utm.mapping.ingest.source import Role, Source
from utm.mapping.ingest.statement import stated
from utm.mapping.ingest.stray import WITHIN_FILE_M

#: Vertices that are worked on at once; an object is never split, a relief is.
BATCH = 200_000
#: Heights, in metres, beyond which no city lies.
LOWEST_M, HIGHEST_M = -1_000.0, 10_000.0
#: A projected coordinate beyond this is no place on the globe, in any unit.
_FARTHEST = 1e9
#: What an envelope in a file may be off.
_ENVELOPE_SLACK_M = 1.0
_METRES_PER_DEGREE = 100_000.0


def inspect_model(
    path: Path,
    *,
    role: Role,
    crs: str | None,
    vertical: str | None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
) -> Source:
    """Read a city model through, and find what its coordinates mean and how far they reach.

    Args:
        crs: what the caller says the CRS is; must agree with the file where that states one. Coordinates stand in the
            order of the CRS's authority (EPSG:6697: latitude, longitude), as both formats demand.
        vertical: what the caller says heights are measured from; likewise.

    Raises:
        SurveyError: not readable, no CRS or an unusable one, nothing in it that a map uses, vertices outside of the
            envelope that the file states or of where its CRS is meant for.
        DatumError: the heights' datum is unstated, unknown, or stated twice and differently.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size == 0:
        raise SurveyError("the file is empty", file=path, mend="Copy it again from the survey.")
    reader = _reader(path)
    low, high, count, longest = np.full(3, np.inf), np.full(3, -np.inf), 0, 0.0
    with reading(path, "city model"):
        for thing in reader.objects():
            rings = [ring for polygon in thing.polygons for ring in polygon.rings]
            points = np.concatenate(rings)
            longest = max(longest, _longest_edge(rings, points))
            low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
            count += len(points)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    statement = stated(path, reader.crs, crs, vertical)
    if count == 0:
        raise SurveyError(
            "holds nothing that a map uses (buildings, bridges, furniture, vegetation, relief)", file=path,
            value=dict(reader.counts), mend="Leave it out.",
        )  # fmt: skip
    horizontal = pyproj.CRS.from_user_input(reader.crs or statement.crs)
    per_unit = _METRES_PER_DEGREE if horizontal.is_geographic else horizontal.axis_info[0].unit_conversion_factor
    _check_envelope(path, reader.extent, low, high, np.array([per_unit, per_unit, statement.vertical_unit_m]))
    order = _axis_order(path, horizontal)
    bounds = (*low[list(order)].tolist(), *high[list(order)].tolist())
    _check_place(path, horizontal, bounds)
    if longest * per_unit > WITHIN_FILE_M:
        raise SurveyError(
            f"an edge of {longest * per_unit / 1000:,.0f} km, longer than any building or slope", file=path,
            field="vertices", mend="Mend the vertex, or leave the file out.",
        )  # fmt: skip
    if low[2] * statement.vertical_unit_m < LOWEST_M or high[2] * statement.vertical_unit_m > HIGHEST_M:
        raise SurveyError("a height that no city has", file=path, value=float(max(high[2], -low[2])), mend=MEND)
    return Source(
        path, "model", role, statement, bounds, sha256, points=count, surveyed=surveyed, error_m=error_m
    )  # fmt: skip


def read_model(source: Source, placing: Placing, grid: Grid) -> ModelRead:
    """A city model as solids and ground on a grid.

    Every cell that any part of a polygon touches in plan is covered up to the highest height of the polygon in it.
    Buildings, furniture and vegetation are solid down to the ground. A bridge, or a part of one that has its own
    geometry, is solid between the lowest and the highest that the model has of it in a cell. Where a building meets
    the ground, its lowest height in the cell is ground, unless a relief in the same file speaks for the cell.

    Raises:
        SurveyError: the file is not what it was when it was inspected.
    """
    reader, entered, off_map = _reader(source.path), Entered(grid), 0
    with reading(source.path, "city model"):
        for batch in _batches(reader.objects()):
            off_map += _enter(source, placing, grid, entered, batch, reader.crs)
        return ModelRead(entered.evidence(), dict(sorted(reader.counts.items())), off_map)


def vertices(source: Source, placing: Placing) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Every vertex of the geometry that `read_model` uses: (east, north, up), metres in the map's frame."""
    reader = _reader(source.path)
    with reading(source.path, "city model"):
        parts = [_placed(source, placing, _packed(batch)[0], reader.crs) for batch in _batches(reader.objects())]
    east, north, up = np.concatenate(parts).T if parts else np.empty((3, 0))
    return east, north, up


def _longest_edge(rings: Sequence[NDArray[np.float64]], points: NDArray[np.float64]) -> float:
    """The longest edge in plan along an axis, in units of the file.

    Args:
        points: all rings, one behind the other.
    """
    edges = np.abs(np.diff(points[:, :2], axis=0)).max(axis=1)
    edges[np.cumsum([len(ring) for ring in rings])[:-1] - 1] = 0.0  # from one ring to the next
    return float(edges.max())


def _reader(path: Path) -> GmlReader | JsonReader:
    return JsonReader(path) if path.suffix.lower() == ".json" else GmlReader(path)


def _batches(objects: Iterator[CityObject]) -> Iterator[list[CityObject]]:
    batch: list[CityObject] = []
    size = 0
    for thing in objects:
        batch.append(thing)
        size += sum(len(ring) for polygon in thing.polygons for ring in polygon.rings)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _packed(batch: Sequence[CityObject]) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Points (n, 3), starts of rings and of polygons, and for each polygon its object and whether it is a foot."""
    polygons = [(number, polygon) for number, thing in enumerate(batch) for polygon in thing.polygons]
    rings = [ring for _, polygon in polygons for ring in polygon.rings]
    ring_starts = np.cumsum([0, *(len(ring) for ring in rings)])
    polygon_starts = np.cumsum([0, *(len(polygon.rings) for _, polygon in polygons)])
    owner = np.array([number for number, _ in polygons])
    return np.concatenate(rings), ring_starts, polygon_starts, owner, np.array([p.is_foot for _, p in polygons])


def _placed(source: Source, placing: Placing, points: NDArray[np.float64], crs: str | None) -> NDArray[np.float64]:
    """Points of the file (n, 3) in the map's frame."""
    horizontal = pyproj.CRS.from_user_input(crs or source.stated.crs)
    first, second = _axis_order(source.path, horizontal)
    x, y = points[:, first], points[:, second]
    west, south, east, north = source.bounds
    if x.min() < west or y.min() < south or x.max() > east or y.max() > north:
        raise SurveyError("changed since it was inspected", file=source.path, mend="Build again.")
    try:
        return np.column_stack(placing.place(x, y, points[:, 2]))
    except InputError as error:
        raise error.at(source.path) from None


def _enter(
    source: Source, placing: Placing, grid: Grid, entered: Entered, batch: Sequence[CityObject], crs: str | None
) -> int:
    """Enter a batch of objects; returns of how many some part lies off the grid."""
    packed, ring_starts, polygon_starts, owner, is_foot = _packed(batch)
    points = _placed(source, placing, packed, crs)
    try:
        rows = polygons_to_cells(points, ring_starts, polygon_starts, grid)
    except SurveyError as error:
        raise error.at(source.path) from None
    thing = owner[rows.item]
    uses = np.array([list(Use).index(thing.use) for thing in batch])[thing]
    for use in (Use.BUILDING, Use.SOLID):
        mine = uses == list(Use).index(use)
        entered.columns(rows.ix[mine], rows.iy[mine], rows.high[mine], is_surface=use is Use.BUILDING)
    bridge = uses == list(Use).index(Use.BRIDGE)
    entered.runs(thing[bridge], rows.ix[bridge], rows.iy[bridge], rows.low[bridge], rows.high[bridge])
    relief = uses == list(Use).index(Use.GROUND)
    entered.ground(rows.ix[relief], rows.iy[relief], rows.low[relief], rows.high[relief], is_terrain=True)
    foot = (uses == list(Use).index(Use.BUILDING)) & is_foot[rows.item]
    entered.ground(rows.ix[foot], rows.iy[foot], rows.low[foot], rows.low[foot], is_terrain=False)
    reach = np.array([grid.nx, grid.ny]) * grid.cell_m
    beyond = ((points[:, :2] < 0) | (points[:, :2] > reach)).any(axis=1)
    of_polygon = np.repeat(owner, np.diff(ring_starts[polygon_starts]))
    return len(np.unique(of_polygon[beyond]))


def _axis_order(path: Path, crs: pyproj.CRS) -> tuple[int, int]:
    """Which column is x (east) and which is y (north), by the authority that defined the CRS."""
    directions = [axis.direction for axis in crs.axis_info[:2]]
    if sorted(directions) != ["east", "north"]:
        raise SurveyError(
            f"axes to {' and '.join(directions)} are not read", file=path, field="crs",
            mend="Convert the model to a CRS with axes to the east and north.",
        )  # fmt: skip
    return directions.index("east"), directions.index("north")


def _check_envelope(
    path: Path, extent: NDArray | None, low: NDArray, high: NDArray, metres: NDArray[np.float64]
) -> None:
    """Raise SurveyError when vertices lie outside of the envelope that the file states."""
    if extent is None:
        return
    axes = extent.shape[1]
    below, above = (extent[0] - low[:axes]) * metres[:axes], (high[:axes] - extent[1]) * metres[:axes]
    if max(below.max(), above.max()) > _ENVELOPE_SLACK_M:
        raise SurveyError(
            "a vertex lies outside of the envelope that the file states", file=path, field="envelope",
            value=[*low.tolist(), *high.tolist()], mend="The file is damaged, or its envelope wrong: mend it.",
        )  # fmt: skip


def _check_place(path: Path, crs: pyproj.CRS, bounds: tuple[float, ...]) -> None:
    """Raise SurveyError when a place is none, or a geographic one none that the CRS is meant for."""
    area = crs.area_of_use
    west, south, east, north = (
        area.bounds if area and crs.is_geographic else (-_FARTHEST, -_FARTHEST, _FARTHEST, _FARTHEST)
    )
    if west > east:  # across the date line
        west, east = -180.0, 180.0
    if bounds[0] < west - 1 or bounds[1] < south - 1 or bounds[2] > east + 1 or bounds[3] > north + 1:
        raise SurveyError(
            f"lies outside of the area of {crs.name}", file=path, field="crs", value=list(bounds),
            mend="Check the order of its axes, which must be the authority's, and its CRS.",
        )  # fmt: skip
