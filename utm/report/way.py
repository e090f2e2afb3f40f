"""A planned way to be drawn: what the command found, and the air above and below it, cut open along it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from utm.core.columns import lowest_clear
from utm.mapping import CityMap
from utm.model import Datum, FlightPlan, GeoZone, RuleSet, Trajectory, Wind

#: Most stations of a cut: as many as a picture has dots across.
_STATIONS = 1500
#: The map is read in parts of this length along the way, so that a way across a city needs the memory of a street.
_PART_M = 512.0


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way that nobody has flown yet, with the figures that ``utm route`` prints of it."""

    city_map: CityMap
    rules: RuleSet
    plan: FlightPlan
    line: Trajectory
    zones: tuple[GeoZone, ...]
    """Every zone to be shown."""
    wind: Wind
    document: Mapping[str, Any]
    """What ``utm route --json`` prints: the pictures take their figures from it, so that all say the same."""
    words: Mapping[str, str]
    """The same in words, by what each line is about."""
    title: str
    water: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Outlines (lon, lat) to be tinted as water; a map does not know water."""

    @property
    def avoided(self) -> frozenset[str]:
        """Ids of the zones that the way was led around."""
        return frozenset(self.document["zones_avoided"])

    @property
    def along_m(self) -> NDArray[np.float64]:
        """(n,) distance along the ground of each point of the line."""
        steps = np.hypot(*np.diff(self.line.enu_m[:, :2], axis=0).T)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def track(self) -> shapely.LineString:
        """The way from above."""
        return shapely.LineString(self.line.enu_m[:, :2])

    @property
    def outline(self) -> shapely.Geometry:
        """The corridor from above."""
        return self.track.buffer(self.rules.half_width_m)

    def way_points(self) -> list[tuple[float, float]]:
        """Metres east and north of the places flown through, in order."""
        to_map = self.city_map.frame.to_map
        return [tuple(float(v) for v in to_map(point.lon_deg, point.lat_deg)) for point in self.plan.waypoints]

    def way_point_up(self, number: int) -> float:
        """``up`` of the way point of this index, which on the way is passed on a column where it lies off the legs."""
        point, (east, north) = self.plan.waypoints[number], self.way_points()[number]
        terrain = float(self.city_map.terrain_up(east, north))
        return float(self.city_map.frame.up(point.height_m, point.datum, point.lon_deg, point.lat_deg, terrain))

    def along_of(self, east_m: float, north_m: float) -> float:
        """Distance along the ground of the corner of the line that is nearest to a place."""
        return float(self.along_m[np.argmin(np.hypot(*(self.line.enu_m[:, :2] - (east_m, north_m)).T))])

    @property
    def cruise(self) -> slice:
        """The points of the line from the top of the first column to the top of the last."""
        along = self.along_m
        first = int(np.flatnonzero(along <= along[0] + 1e-6)[-1])
        last = int(np.flatnonzero(along >= along[-1] - 1e-6)[0])
        return slice(first, max(last, first) + 1)

    def heights_at(self, along_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """``up`` at distances along the ground; over a pad the top of its column."""
        return np.interp(along_m, self.along_m[self.cruise], self.line.enu_m[self.cruise, 2])

    def push_at(self, along_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """How fast the wind blows along the way at distances along the ground, m/s; below zero against it."""
        along = self.along_m
        leg = np.clip(np.searchsorted(along, along_m, side="right") - 1, 0, len(along) - 2)
        step = np.diff(along)
        level = np.flatnonzero(step > 0)  # a place where it climbs upright has the course of the leg before
        leg = level[np.clip(np.searchsorted(level, leg, side="right") - 1, 0, None)] if len(level) else leg
        course = np.diff(self.line.enu_m[:, :2], axis=0)[leg] / np.maximum(step[leg], 1e-9)[:, None]
        return (self.wind.at(self.heights_at(along_m)) * course).sum(axis=1)

    def finely(self, cut: Cut) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The line with corners at every station too: points (n, 3), and how high each lies above ground (n,)."""
        along, line = self.along_m, self.line.enu_m
        rows = [np.column_stack([along, line, np.arange(len(along), dtype=np.float64)])]
        leg = np.clip(np.searchsorted(along, cut.along_m, side="right") - 1, 0, len(along) - 2)
        share = (cut.along_m - along[leg]) / np.maximum(along[leg + 1] - along[leg], 1e-9)
        between = (share > 1e-6) & (share < 1 - 1e-6)
        leg, share = leg[between], share[between]
        places = line[leg] + share[:, None] * (line[leg + 1] - line[leg])
        rows.append(np.column_stack([cut.along_m[between], places, leg + share]))
        every = np.concatenate(rows)
        every = every[np.argsort(every[:, 4], kind="stable")]
        return every[:, 1:4], every[:, 3] - np.interp(every[:, 0], cut.along_m, cut.terrain_m)


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Where the corridor passes a zone in plan: over it, under it, or through it with leave or out of its hours."""

    zone: GeoZone
    from_m: float
    to_m: float
    lower_up_m: float
    upper_up_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Stations along a way, evenly spaced; heights are ``up``. For drawing: the proof is the planner's."""

    along_m: NDArray[np.float64]
    """(n,) distance along the ground."""
    terrain_m: NDArray[np.float64]
    """(n,) below the centre line."""
    surface_m: NDArray[np.float64]
    """(n,) highest thing anywhere across the corridor."""
    lowest_m: NDArray[np.float64]
    """(n,) lowest centre line that keeps the clearance in every direction; ``inf`` where the map ends."""
    highest_m: NDArray[np.float64]
    """(n,) highest centre line: the ceiling less the corridor's half-height."""
    ceiling_m: NDArray[np.float64]
    """(n,) what no part of the corridor may exceed."""
    unknown: NDArray[np.bool_]
    """(n,) no survey saw some of the ground across the corridor."""
    crossings: tuple[Crossing, ...]


def cut_along(way: Way) -> Cut:
    """Cut the map along a way.

    Raises:
        MapError: the way leaves the map, or the map's files are damaged.
    """
    rules, cell = way.rules, way.city_map.resolution_m
    line = shapely.LineString(way.line.enu_m[:, :2])
    count = int(np.clip(line.length / cell, 2, _STATIONS))
    along = np.linspace(0.0, line.length, count)
    places = shapely.get_coordinates(shapely.line_interpolate_point(line, along))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(along + 0.5, line.length)))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(along - 0.5, 0.0)))
    course = ahead - behind
    course /= np.maximum(np.hypot(*course.T), 1e-9)[:, None]
    # Half a station before and after counts too, so that no mast falls between two stations
    step = along[1] - along[0]
    across = np.linspace(-rules.half_width_m, rules.half_width_m, 2 * math.ceil(rules.half_width_m / cell) + 1)
    forth = np.linspace(-step / 2, step / 2, 2 * math.ceil(step / 2 / cell) + 1)
    left = np.column_stack([-course[:, 1], course[:, 0]])
    spread = (across[None, :, None, None] * left[:, None, None, :]) + (
        forth[None, None, :, None] * course[:, None, None, :]
    )
    found = {name: np.empty(count) for name in ("terrain", "surface", "lowest")}
    unknown = np.zeros(count, bool)
    for part in np.unique(along // _PART_M):
        mine = np.flatnonzero(along // _PART_M == part)
        _read(way, places[mine], spread[mine], mine, found, unknown)
    ceiling = found["terrain"] + rules.ceiling_above_terrain_m
    crossings = tuple(crossing for zone in way.zones for crossing in _crossings(way, zone, along, places, found))
    return Cut(
        along, found["terrain"], found["surface"], found["lowest"], ceiling - rules.half_height_m, ceiling, unknown,
        crossings,
    )  # fmt: skip


def _read(
    way: Way,
    places: NDArray[np.float64],
    spread: NDArray[np.float64],
    mine: NDArray[np.int64],
    found: dict[str, NDArray[np.float64]],
    unknown: NDArray[np.bool_],
) -> None:
    """Fill in what the map says of some stations: places (k, 2), and around each the offsets (k, across, forth, 2)."""
    reach = max(way.rules.clearance_m, way.rules.half_width_m) + 4 * way.city_map.resolution_m
    columns = way.city_map.window(*(places.min(axis=0) - reach), *(places.max(axis=0) + reach))
    lowest = lowest_clear(columns.surface_m, columns.cell_m, way.rules.clearance_m)
    most = np.array(columns.terrain_m.shape) - 1

    def cells(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        inside = np.clip(np.floor((points - columns.origin_m) / columns.cell_m).astype(np.int64), 0, most)
        return inside[..., 0], inside[..., 1]

    here, around = cells(places), cells(places[:, None, None, :] + spread)
    found["terrain"][mine] = columns.terrain_m[here]
    found["lowest"][mine] = lowest[here]
    found["surface"][mine] = columns.surface_m[around].max(axis=(1, 2))
    unknown[mine] = columns.unknown[around].any(axis=(1, 2))


def zone_outline(city_map: CityMap, zone: GeoZone) -> shapely.Polygon:
    """A zone from above, in the map's metres."""
    return shapely.Polygon(np.column_stack(city_map.frame.to_map(*np.array(zone.outline_deg, np.float64).T)))


def zone_limits(
    city_map: CityMap, zone: GeoZone, east: NDArray[np.float64], north: NDArray[np.float64], terrain: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limit of a zone as ``up`` over some places."""
    lon, lat = city_map.frame.to_lonlat(east, north)
    limits = (
        terrain + value if datum is Datum.AGL else np.asarray(city_map.frame.up(value, datum, lon, lat, terrain))
        for value, datum in ((zone.lower_m, zone.lower_datum), (zone.upper_m, zone.upper_datum))
    )
    lower, upper = (np.broadcast_to(limit, np.shape(east)).astype(np.float64) for limit in limits)
    return lower, upper


def _crossings(
    way: Way, zone: GeoZone, along: NDArray, places: NDArray[np.float64], found: dict[str, NDArray[np.float64]]
) -> list[Crossing]:
    grown = zone_outline(way.city_map, zone).buffer(way.rules.half_width_m)
    shapely.prepare(grown)
    inside = shapely.contains_xy(grown, *places.T)
    lower, upper = zone_limits(way.city_map, zone, *places.T, found["terrain"])
    turns = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    return [
        Crossing(zone, float(along[a]), float(along[b - 1]), float(lower[a:b].min()), float(upper[a:b].max()))
        for a, b in zip(turns[::2], turns[1::2], strict=True)
    ]
