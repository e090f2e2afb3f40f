"""New zones: which granted flights they touch, and what becomes of those."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import shapely

from utm.airspace.moving import Move, give_way
from utm.airspace.situation import Overlay, Situation
from utm.airspace.space import Skies
from utm.airspace.states import ASTRAY
from utm.airspace.zones import active_intervals, keep_out, outline_m
from utm.core import Columns
from utm.model import Corridor, GeoZone, OperationalIntent, Restriction, Trajectory

#: Intents further away than this in time are not looked for: no plan reaches so far ahead (ASTM F3548-21: 30 days).
_HORIZON_S = 56 * 86400.0


def rejudged(situation: Situation, zones: Sequence[GeoZone]) -> tuple[Move, ...]:
    """What becomes of the live intents that some new zones touch.

    Args:
        situation: as it was before, with its traffic.
        zones: those that are entered; they replace zones of the same id.
    """
    touched_ = touched(situation, zones)
    if not touched_:
        return ()
    all_zones = {zone.id: zone for zone in situation.zones} | {zone.id: zone for zone in zones}
    # Who strayed already keeps its room: nothing new can be granted to it.
    moving = [one.id for one in touched_ if one.state not in ASTRAY]
    after = dataclasses.replace(
        situation,
        zones=tuple(all_zones[name] for name in sorted(all_zones)),
        traffic=Overlay(situation.traffic, without=moving),
    )
    return give_way(after, touched_)


def touched(situation: Situation, zones: Sequence[GeoZone]) -> tuple[OperationalIntent, ...]:
    """The live intents, by id, that some zones stand in the way of, of those that are still to come or in the air."""
    found: dict[str, OperationalIntent] = {}
    for zone in zones:
        for intent in _candidates(situation, zone):
            if intent.id not in found and _touches(situation, zone, intent):
                found[intent.id] = intent
    return tuple(found[name] for name in sorted(found))


def _candidates(situation: Situation, zone: GeoZone) -> tuple[OperationalIntent, ...]:
    """Whoever is near the zone at any time from now on: looked for as near a drone that hovers in its middle."""
    city_map, now_s = situation.skies.city_map, situation.now_s
    nx, ny = city_map.size
    extent = (nx * city_map.resolution_m, ny * city_map.resolution_m)
    whole = Columns(
        np.zeros(2), max(extent), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.bool_)
    )
    outline = outline_m(zone, whole, city_map.frame)
    if outline.is_empty:
        return ()
    west, south, east, north = outline.bounds
    middle = np.array([(west + east) / 2, (south + north) / 2, 0.0])
    hover = Trajectory([now_s, now_s + _HORIZON_S], [middle, middle])
    reach = float(np.hypot(east - west, north - south)) / 2
    return situation.traffic.near(Corridor(hover, reach, 1e5, 1e5, situation.skies.rules.time_tolerance_s))


def _touches(situation: Situation, zone: GeoZone, intent: OperationalIntent) -> bool:
    """Whether a zone, in force at that time, meets what is left of a granted corridor (never misses; may be too
    careful by a cell of the map)."""
    if zone.restriction is Restriction.NO_RESTRICTION or (
        zone.restriction is not Restriction.PROHIBITED and zone.id in intent.plan.authorisations
    ):
        return False
    return any(
        end > situation.now_s
        and active_intervals(zone, max(start, situation.now_s), end)
        and _meets(situation.skies, zone, shape, floor, ceiling)
        for start, end, shape, floor, ceiling in _pieces(intent.corridor)
    )


def _pieces(corridor: Corridor):
    """(from, to, footprint, floor, ceiling) of each straight piece of a corridor."""
    line, more = corridor.occupied, corridor.time_tolerance_s
    for n in range(len(line.t_s) - 1):
        a, b = line.enu_m[n : n + 2]
        axis = shapely.LineString([a[:2], b[:2]]) if (a[:2] != b[:2]).any() else shapely.Point(a[:2])
        floor, ceiling = float(min(a[2], b[2])) - corridor.below_m, float(max(a[2], b[2])) + corridor.above_m
        yield line.t_s[n] - more, line.t_s[n + 1] + more, axis.buffer(corridor.half_width_m), floor, ceiling


def _meets(skies: Skies, zone: GeoZone, footprint: shapely.Geometry, floor: float, ceiling: float) -> bool:
    city_map = skies.city_map
    columns = city_map.window(*footprint.bounds)
    if not outline_m(zone, columns, city_map.frame).intersects(footprint):
        return False
    # The footprint has the corridor's width and height already: the zone itself counts, not grown by them.
    itself = dataclasses.replace(skies.rules, half_width_m=0.0, half_height_m=0.0)
    out = keep_out(zone, columns, city_map.frame, itself)
    lower, upper = (np.broadcast_to(limit, out.mask.shape)[out.mask] for limit in (out.lower_m, out.upper_m))
    return bool(((lower <= ceiling) & (upper >= floor)).any())
