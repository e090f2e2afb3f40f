"""Geo-zones as outlines in the map's metres, made once for each zone, and which of them a flight must keep out of.

An outline is that of the zone itself, not grown: what is measured is the distance to it. Its limits are heights above
the terrain below the flight, or heights ``up``; where the geoids of two datums lie differently far apart over the part
of the map that a flight crosses, the worst of them counts, as in `utm.airspace.zones.keep_out`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from utm.airspace.zones import active_intervals, zone_hash
from utm.core.outline import Outline, outline_of
from utm.frames import LocalFrame
from utm.model import Datum, FlightPlan, GeoZone, Restriction, Trajectory

#: Edges are straight in longitude and latitude, hence curved in the map: cut into pieces of this many degrees, they are
#: off by a tenth of a millimetre or so; how far is measured.
_EDGE_DEG = 0.0005
#: How far around the map an outline is drawn at all.
_AROUND_M = 2_000.0
#: Corners at which the distance of two geoids is looked up are this far apart.
_GEOID_M = 512.0
#: Outlines that are held: those drawn last.
_MOST_ZONES = 10_000

#: West, south, east, north in metres.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ZoneOutline:
    """A zone on a map."""

    zone: GeoZone
    label: str
    """``id@hash``."""
    outline: Outline
    error_m: float
    """How far the zone may be nearer than its outline."""
    box_m: NDArray[np.float64]
    """(4,) west, south, east, north; west beyond east where there is none of it on and around the map."""


@dataclass(frozen=True, slots=True, eq=False)
class _All:
    """The zones of a situation, side by side."""

    zones: tuple[GeoZone, ...]
    outlines: tuple[ZoneOutline, ...]
    labels: tuple[str, ...]
    boxes_m: NDArray[np.float64]
    """(n, 4)."""


class Outlines:
    """The zones over one map.

    Args:
        frame: of the map.
        extent_m: how far the map reaches to the east and to the north.
    """

    def __init__(self, frame: LocalFrame, extent_m: tuple[float, float]) -> None:
        self._frame = frame
        low, high = -_AROUND_M, np.asarray(extent_m) + _AROUND_M
        lon, lat = frame.to_lonlat([low, low, high[0], high[0]], [low, high[1], low, high[1]])
        self._around = shapely.box(lon.min(), lat.min(), lon.max(), lat.max())
        self._made: OrderedDict[int, ZoneOutline] = OrderedDict()
        self._lock = threading.Lock()
        self._last = _All((), (), (), np.empty((0, 4)))
        shape = tuple(int(np.ceil(value / _GEOID_M)) + 1 for value in extent_m)
        self._shape = shape
        self._offsets: dict[Datum, NDArray[np.float64]] = {}

    def labels(self, zones: tuple[GeoZone, ...]) -> tuple[str, ...]:
        """``id@hash`` of each zone."""
        return self._all(zones).labels

    def box_m(self, zone: GeoZone) -> NDArray[np.float64]:
        """(4,) west, south, east, north; west beyond east where there is none of it on and around the map."""
        return self._outline(zone).box_m

    def near(
        self, zones: tuple[GeoZone, ...], plan: FlightPlan, line: Trajectory, box_m: Box, reach_m: float, early_s: float
    ) -> Iterator[tuple[ZoneOutline, NDArray[np.float64]]]:
        """The zones that a plan must keep out of at some moment of a flight, if they are anywhere near it.

        Args:
            box_m: around the flight.
            reach_m: how far from it a zone is near.
            early_s: how early or late the flight may be.

        Yields:
            a zone, and the spans (w, 2) of the flight's time at which it may be in force while it is there.
        """
        if not zones:
            return
        every, (west, south, east, north) = self._all(zones), box_m
        boxes = every.boxes_m
        met = (boxes[:, 0] <= east + reach_m) & (boxes[:, 2] >= west - reach_m)
        met &= (boxes[:, 1] <= north + reach_m) & (boxes[:, 3] >= south - reach_m)
        for n in np.flatnonzero(met).tolist():
            found = every.outlines[n]
            zone = found.zone
            if zone.restriction is Restriction.NO_RESTRICTION:
                continue
            if zone.restriction is not Restriction.PROHIBITED and zone.id in plan.authorisations:
                continue
            spans = active_intervals(zone, line.start_s - early_s, line.end_s + early_s)
            if spans:
                yield found, np.array([(begin - early_s, end + early_s) for begin, end in spans], np.float64)

    def limits(self, zone: GeoZone, box_m: Box) -> tuple[tuple[float, bool], tuple[float, bool]]:
        """The lower and the upper limit of a zone over a box: ``up`` and False, or above the terrain and True."""
        return (
            self._limit(zone.lower_m, zone.lower_datum, box_m, lowest=True),
            self._limit(zone.upper_m, zone.upper_datum, box_m, lowest=False),
        )

    def _limit(self, value_m: float, datum: Datum, box_m: Box, *, lowest: bool) -> tuple[float, bool]:
        if datum is Datum.AGL:
            return value_m, True
        if datum is self._frame.vertical:
            return value_m, False
        if datum not in self._offsets:
            self._offsets[datum] = np.full(self._shape, np.nan)
        known = self._offsets[datum]
        low = np.clip(np.floor(np.array(box_m[:2]) / _GEOID_M).astype(int), 0, np.array(self._shape) - 1)
        high = np.clip(np.ceil(np.array(box_m[2:]) / _GEOID_M).astype(int) + 1, low + 1, self._shape)
        cut = known[low[0] : high[0], low[1] : high[1]]
        if np.isnan(cut).any():
            east, north = np.meshgrid(
                np.arange(low[0], high[0]) * _GEOID_M, np.arange(low[1], high[1]) * _GEOID_M, indexing="ij"
            )
            cut[:] = self._frame.up(0.0, datum, *self._frame.to_lonlat(east, north))
        return value_m + float(cut.min() if lowest else cut.max()), False

    def _all(self, zones: tuple[GeoZone, ...]) -> _All:
        if zones is not self._last.zones:
            outlines = tuple(self._outline(zone) for zone in zones)
            boxes = np.array([one.box_m for one in outlines]).reshape(-1, 4)
            self._last = _All(zones, outlines, tuple(one.label for one in outlines), boxes)
        return self._last

    def _outline(self, zone: GeoZone) -> ZoneOutline:
        """By the object, not by its content: to hash a long outline takes longer than all the rest."""
        found = self._made.get(id(zone))
        if found is None:
            with self._lock:
                found = self._made[id(zone)] = self._draw(zone)  # holds the zone, so that nothing else gets its id
                if len(self._made) > _MOST_ZONES:
                    self._made.popitem(last=False)
        return found

    def _draw(self, zone: GeoZone) -> ZoneOutline:
        part = shapely.intersection(shapely.Polygon(zone.outline_deg), self._around)
        rings, error = [], 0.0
        for polygon in _polygons(part):
            for ring in (polygon.exterior, *polygon.interiors):
                fine = shapely.get_coordinates(shapely.segmentize(ring, _EDGE_DEG))
                corners = np.column_stack(self._frame.to_map(*fine.T))
                middles = np.column_stack(self._frame.to_map(*((fine[:-1] + fine[1:]) / 2).T))
                # An even curve is farthest off its chord in the middle; twice that is more than an uneven one can be.
                off = np.linalg.norm(middles - (corners[:-1] + corners[1:]) / 2, axis=1)
                error = max(error, 2.0 * float(off.max()))
                rings.append(corners)
        box = np.array([np.inf, np.inf, -np.inf, -np.inf])
        if rings:
            joined = np.concatenate(rings)
            box = np.concatenate([joined.min(axis=0), joined.max(axis=0)])
        return ZoneOutline(zone, f"{zone.id}@{zone_hash(zone)}", outline_of(rings), error, box)


def _polygons(geometry: shapely.Geometry) -> Sequence[shapely.Polygon]:
    """The parts of an intersection that have an area."""
    parts = shapely.get_parts(geometry, return_index=False)
    return [part for part in parts if isinstance(part, shapely.Polygon) and not part.is_empty]
