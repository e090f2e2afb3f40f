"""What a flight keeps from geo-zones, in the map's metres, at the times at which they are in force."""

from __future__ import annotations

import datetime
import math
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utm.frames import LocalFrame
from utm.mapping import CityMap
from utm.model import Datum, Restriction
from utm.verify.geometry import Floats, segments_to_outline
from utm.verify.ground import Shape, ground_around
from utm.verify.reading import Malformed, Room, Zone

_DAY_S = 86400.0
#: Edges are straight in longitude and latitude, hence curved in the map: they are cut to this (degrees), and how far a
#: piece is off its chord is measured in its middle.
_EDGE_DEG = 0.0005
#: How far around a flight an outline is drawn at all.
_AROUND_M = 1000.0
#: A geoid is looked up this often along a way (metres); between, it is taken to be as uneven as around.
_GEOID_M = 50.0
#: Heights closer than this touch and do not share.
_TOUCH_M = 1e-6


@dataclass(frozen=True, slots=True)
class ZoneDistance:
    """The least distance over the ground from a centre line to a zone in force, while the corridor shares a height with
    it."""

    low_m: float
    high_m: float
    at_s: float
    at_m: Floats


def in_force(zone: Zone, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """The parts of [start, end] (Unix seconds) at which a zone is in force; they may overlap. Raises Malformed."""
    low, high = max(start_s, zone.valid_from_s), min(end_s, zone.valid_to_s)
    if low >= high:
        return []
    if not zone.periods:
        return [(low, high)]
    try:
        local = zoneinfo.ZoneInfo(zone.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Malformed(f"zone {zone.id} names an unknown time zone: {zone.timezone!r}") from error
    found = []
    first = datetime.datetime.fromtimestamp(low, local).date() - datetime.timedelta(days=1)
    for n in range(math.ceil((high - low) / _DAY_S) + 3):
        day = first + datetime.timedelta(days=n)
        for days, begin, end in zone.periods:
            if day.weekday() not in days:
                continue
            until = day + datetime.timedelta(days=1) if end == datetime.time(0) else day
            opens = datetime.datetime.combine(day, begin, local).timestamp()
            closes = datetime.datetime.combine(until, end, local).timestamp()
            if opens < high and closes > low:
                found.append((max(opens, low), min(closes, high)))
    return found


def concerns(zone: Zone, authorisations: Sequence[str]) -> bool:
    """Whether a flight must keep out of a zone while it is in force."""
    if zone.restriction is Restriction.NO_RESTRICTION:
        return False
    return zone.restriction is Restriction.PROHIBITED or zone.id not in authorisations


def outline(zone: Zone, frame: LocalFrame, low: Floats, high: Floats) -> tuple[Floats, float]:
    """A zone's outline (m, 2) in the map's metres around a box (2,), (2,), and how far its curved edges are off it at
    most; (0, 2) where there is none of it."""
    low, high = low - _AROUND_M, high + _AROUND_M
    lon, lat = frame.to_lonlat([low[0], low[0], high[0], high[0]], [low[1], high[1], low[1], high[1]])
    ring = zone.outline_deg
    for axis, sign, limit in ((0, 1, lon.max()), (0, -1, -lon.min()), (1, 1, lat.max()), (1, -1, -lat.min())):
        ring = _clipped(ring, axis, sign, limit)
        if len(ring) < 3:
            return np.zeros((0, 2)), 0.0
    parts = []
    for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        pieces = max(math.ceil(float(np.abs(end - begin).max()) / _EDGE_DEG), 1)
        parts.append(begin + np.arange(2 * pieces)[:, None] / (2 * pieces) * (end - begin))
    fine = np.column_stack(frame.to_map(*np.concatenate(parts).T))
    corners, middles = fine[::2], fine[1::2]
    off = np.linalg.norm(middles - (corners + np.roll(corners, -1, axis=0)) / 2, axis=1)
    # An even curve is farthest off its chord in the middle; twice that is more than an uneven one can be.
    return corners, 2.0 * float(off.max())


def _clipped(ring: Floats, axis: int, sign: int, limit: float) -> Floats:
    """The part of an outline (n, 2) where sign * coordinate <= limit; edges along the limit may run back and forth."""
    kept = []
    for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        off_a, off_b = sign * a[axis] - limit, sign * b[axis] - limit
        if off_a <= 0:
            kept.append(a)
        if off_a * off_b < 0:
            kept.append(a + off_a / (off_a - off_b) * (b - a))
    return np.array(kept).reshape(-1, 2)


def zone_distance(city_map: CityMap, room: Room, zone: Zone, within_m: float) -> ZoneDistance | None:
    """How near a centre line comes to a zone in force while the corridor shares a height with it; None when it does not
    come within ``within_m``.

    The drone may be early or late by the tolerance. Limits above ground count from the terrain under the centre line.

    Raises:
        Malformed: a time zone that is not known.
        DatumError: a geoid that does not reach there. MapError: the way leads off the map.
    """
    line = room.enu_m
    ring, error = outline(zone, city_map.frame, line[:, :2].min(axis=0), line[:, :2].max(axis=0))
    times = in_force(zone, room.t_s[0] - room.time_tolerance_s, room.t_s[-1] + room.time_tolerance_s)
    if len(ring) == 0 or not times:
        return None
    near, _ = segments_to_outline(line[:-1, :2], line[1:, :2], ring)
    parts = [
        part
        for n in np.flatnonzero(near < within_m + error)
        for opens, closes in times
        for part in _shared(city_map, room, zone, n, opens - room.time_tolerance_s, closes + room.time_tolerance_s)
    ]
    if not parts:
        return None
    t0, t1, a, b = (np.array(values) for values in zip(*parts, strict=True))
    away, share = segments_to_outline(a[:, :2], b[:, :2], ring)
    best = int(away.argmin())
    if away[best] >= within_m:
        return None
    return ZoneDistance(
        max(float(away[best]) - error, 0.0) if away[best] > 0 else 0.0,
        float(away[best]) + error,
        float(t0[best] + share[best] * (t1[best] - t0[best])),
        a[best] + share[best] * (b[best] - a[best]),
    )


def _shared(  # type: ignore[no-untyped-def]
    city_map: CityMap, room: Room, zone: Zone, n: int, opens: float, closes: float
):
    """The parts of a piece of the centre line, (t0, t1, from (3,), to (3,)), at which it is in the air between two
    times and its corridor shares a height with a zone."""
    (t0, t1), (a, b) = room.t_s[n : n + 2], room.enu_m[n : n + 2]
    first, last = max((opens - t0) / (t1 - t0), 0.0), min((closes - t0) / (t1 - t0), 1.0)
    if first > last:
        return
    ground = None
    shares = np.array([0.0, 1.0])
    if Datum.AGL in (zone.lower[1], zone.upper[1]):
        ground = ground_around(city_map, [Shape(np.stack([a, b]), n)], 2 * city_map.resolution_m)
        shares = ground.cuts(a, b)
    steps = math.ceil(float(np.hypot(*(b - a)[:2])) / _GEOID_M) + 1
    shares = np.unique(np.clip(np.concatenate([shares, np.linspace(0, 1, steps), [first, last]]), first, last))
    if len(shares) == 1:
        shares = np.repeat(shares, 2)
    places = a + shares[:, None] * (b - a)
    lowest = _limit(city_map, ground, zone.lower, places, lowest=True)
    highest = _limit(city_map, ground, zone.upper, places, lowest=False)
    for k in range(len(shares) - 1):
        # Shares of this part at which the corridor reaches above the lower limit and below the upper one.
        begin, end = 0.0, 1.0
        up, rise = places[k, 2], places[k + 1, 2] - places[k, 2]
        for off, slope in ((up + room.above_m - lowest[k], rise), (highest[k] - up + room.below_m, -rise)):
            if slope == 0.0:
                if off <= _TOUCH_M:
                    begin, end = 1.0, 0.0
            elif slope > 0:
                begin = max(begin, -off / slope)
            else:
                end = min(end, -off / slope)
        # Heights that only touch share nothing.
        if begin > end or (end - begin) * abs(rise) <= _TOUCH_M < abs(rise):
            continue
        low, high = (shares[k] + edge * (shares[k + 1] - shares[k]) for edge in (begin, end))
        yield t0 + low * (t1 - t0), t0 + high * (t1 - t0), a + low * (b - a), a + high * (b - a)


def _limit(city_map: CityMap, ground, limit: tuple[float, Datum], places: Floats, *, lowest: bool) -> Floats:  # type: ignore[no-untyped-def]
    """(n - 1,) a limit as ``up`` over each part between places (n, 3), on the careful side."""
    value, datum = limit
    if datum is Datum.AGL:
        middle = (places[:-1, :2] + places[1:, :2]) / 2
        return value + ground.terrain_beside(middle, lowest=lowest)
    lon, lat = city_map.frame.to_lonlat(places[:, 0], places[:, 1])
    # A height of the map's own datum is the same everywhere, and comes back as one.
    up = np.broadcast_to(city_map.frame.up(value, datum, lon, lat), lon.shape)
    pairs = np.stack([up[:-1], up[1:]])
    slack = np.ptp(pairs, axis=0)
    return pairs.min(axis=0) - slack if lowest else pairs.max(axis=0) + slack
