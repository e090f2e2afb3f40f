"""Geo-zones in time and space: when one is in force, and what it takes out of a flight space."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import zoneinfo
from collections.abc import Iterable

import numpy as np
import shapely

from utm.airspace.documents import zone_feature
from utm.core import Columns, KeepOut
from utm.errors import ZoneError
from utm.frames import LocalFrame
from utm.model import Datum, FlightPlan, GeoZone, Restriction, RuleSet

DAY_S = 86400.0
#: An edge is straight in longitude and latitude (GeoJSON), hence curved in the map: cut into pieces of this many
#: degrees, it is off by less than a centimetre.
_EDGE_DEG = 0.005
#: How far around some columns an outline is projected at all. Far away a map's projection folds over.
_AROUND_M = 2_000.0
#: A buffer's round corners are drawn by chords, which lie inside the circle: the radius grows by this.
_QUARTER = 16
_OUTSIDE = 1.0 / math.cos(math.pi / (4 * _QUARTER))


def zone_hash(zone: GeoZone) -> str:
    """Short content hash of a zone, for ``id@hash`` in an approval."""
    content = json.dumps(zone_feature(zone), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def check_zone(zone: GeoZone) -> None:
    """Raise ZoneError unless the zone's outline is a simple polygon, its limits are ordered and its zone is known."""
    longitudes = [lon for lon, _ in zone.outline_deg]
    if max(longitudes) - min(longitudes) > 180.0:
        raise ZoneError(
            "the outline is more than 180 degrees wide: does it cross the antimeridian?",
            field=zone.id,
            mend="Cut it there into two zones.",
        )
    if not shapely.Polygon(zone.outline_deg).is_valid:
        raise ZoneError("the outline crosses itself", field=zone.id, mend="Draw it as one simple ring.")
    if zone.lower_datum is zone.upper_datum and zone.lower_m >= zone.upper_m:
        raise ZoneError(
            "the lower limit is not below the upper limit",
            field=zone.id,
            value=(zone.lower_m, zone.upper_m),
            mend="Exchange them?",
        )
    if zone.valid_from_s is not None and zone.valid_to_s is not None and zone.valid_from_s >= zone.valid_to_s:
        raise ZoneError("it ends before it begins", field=zone.id, mend="Exchange valid_from and valid_to?")
    try:
        zoneinfo.ZoneInfo(zone.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:  # "Asia" is a directory
        raise ZoneError(
            "unknown time zone",
            field=zone.id,
            value=zone.timezone,
            mend="Use an IANA name such as Asia/Tokyo.",
        ) from error
    for period in zone.periods:
        if period.end != datetime.time(0) and period.end <= period.start:
            raise ZoneError(
                f"a period ends at {period.end:%H:%M}, before it starts at {period.start:%H:%M}",
                field=zone.id,
                mend="Split a period that crosses midnight in two.",
            )


def active_intervals(zone: GeoZone, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """When, within [start, end], the zone is in force: disjoint intervals in order, Unix seconds.

    Weekdays and clock times are those of the zone's own time zone; a period that ends at 00:00 ends at midnight.
    Instants are compared in UTC, so a day on which the clocks change has its true length.
    """
    lowest = start_s if zone.valid_from_s is None else max(start_s, zone.valid_from_s)
    highest = end_s if zone.valid_to_s is None else min(end_s, zone.valid_to_s)
    if lowest >= highest:
        return []
    if not zone.periods:
        return [(lowest, highest)]
    local = zoneinfo.ZoneInfo(zone.timezone)
    day = datetime.datetime.fromtimestamp(lowest - DAY_S, local).date()
    last = datetime.datetime.fromtimestamp(highest + DAY_S, local).date()
    found: list[tuple[float, float]] = []
    while day <= last:
        for period in zone.periods:
            if day.weekday() in period.days:
                until = day if period.end != datetime.time(0) else day + datetime.timedelta(days=1)
                begin = datetime.datetime.combine(day, period.start, local).timestamp()
                finish = datetime.datetime.combine(until, period.end, local).timestamp()
                if begin < highest and finish > lowest:
                    found.append((max(begin, lowest), min(finish, highest)))
        day += datetime.timedelta(days=1)
    return _merged(found)


def _merged(intervals: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, finish in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(finish, merged[-1][1]))
        else:
            merged.append((begin, finish))
    return merged


def in_the_way(zones: Iterable[GeoZone], plan: FlightPlan, start_s: float, end_s: float) -> tuple[GeoZone, ...]:
    """The zones that this plan must stay out of at some moment of [start, end]."""
    return tuple(
        zone
        for zone in zones
        if zone.restriction is not Restriction.NO_RESTRICTION
        and (zone.restriction is Restriction.PROHIBITED or zone.id not in plan.authorisations)
        and active_intervals(zone, start_s, end_s)
    )


def outline_m(zone: GeoZone, columns: Columns, frame: LocalFrame) -> shapely.Geometry:
    """The part of a zone's outline on and around some columns, in the map's metres; empty where there is none."""
    low = np.asarray(columns.origin_m[:2]) - _AROUND_M
    high = np.asarray(columns.origin_m[:2]) + np.array(columns.terrain_m.shape) * columns.cell_m + _AROUND_M
    lon, lat = frame.to_lonlat(*np.array([low, (low[0], high[1]), high, (high[0], low[1])]).T)
    near = shapely.box(lon.min(), lat.min(), lon.max(), lat.max())
    part = shapely.segmentize(shapely.intersection(shapely.Polygon(zone.outline_deg), near), _EDGE_DEG)
    return shapely.transform(part, lambda corners: np.column_stack(frame.to_map(*corners.T)))


def keep_out(zone: GeoZone, columns: Columns, frame: LocalFrame, rules: RuleSet) -> KeepOut:
    """What a zone takes out of the centre lines' space.

    The corridor, not only its centre line, stays outside: the outline grows by the corridor's half-width and half a
    cell's diagonal (so that a column is out when any point of it is), the limits by its half-height.
    """
    nx, ny = columns.terrain_m.shape
    reach = (rules.half_width_m + columns.cell_m * np.sqrt(0.5)) * _OUTSIDE
    grown = outline_m(zone, columns, frame).buffer(reach, quad_segs=_QUARTER)
    shapely.prepare(grown)
    east = columns.origin_m[0] + (np.arange(nx) + 0.5) * columns.cell_m
    north = columns.origin_m[1] + (np.arange(ny) + 0.5) * columns.cell_m
    mask = np.zeros((nx, ny), np.bool_)
    if not grown.is_empty:
        west, south, east_end, north_end = grown.bounds
        i = slice(*np.searchsorted(east, (west, east_end)))
        j = slice(*np.searchsorted(north, (south, north_end)))
        grid_e, grid_n = np.meshgrid(east[i], north[j], indexing="ij")
        mask[i, j] = shapely.contains_xy(grown, grid_e, grid_n)
    lower = _limit(zone.lower_m, zone.lower_datum, columns, frame, np.min) - rules.half_height_m
    upper = _limit(zone.upper_m, zone.upper_datum, columns, frame, np.max) + rules.half_height_m
    # Limits of different datums may cross over a hill: there is nothing of the zone there.
    return KeepOut(mask & (lower <= upper), lower, upper)


def _limit(value_m: float, datum: Datum, columns: Columns, frame: LocalFrame, worst) -> np.ndarray:
    """A limit as ``up`` for each column; over the columns the geoids differ by centimetres: the worst corner counts."""
    if datum is Datum.AGL:
        return columns.terrain_m.astype(np.float64) + value_m
    (east, north), (width, height) = columns.origin_m, np.array(columns.terrain_m.shape) * columns.cell_m
    lon, lat = frame.to_lonlat([east, east, east + width, east + width], [north, north + height, north, north + height])
    return np.full(columns.terrain_m.shape, worst(frame.up(value_m, datum, lon, lat)))
