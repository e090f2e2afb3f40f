"""New zones and new maps: which granted flights they touch, and what becomes of those.

Only intents near what is new are looked at, and of those only what is still to be flown. One is touched when its
certificate no longer holds there: a line of it, worked out again, comes below what is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from utm.airspace.limits import at_pads, from_zones, over_ground, reach_m
from utm.airspace.moving import Move, give_way
from utm.airspace.situation import Overlay, Situation
from utm.airspace.space import Skies
from utm.airspace.states import ASTRAY
from utm.airspace.underway import part
from utm.core.flown import flown
from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.mapfile import TILE, identity_of
from utm.model import Corridor, GeoZone, Limit, OperationalIntent, Trajectory

#: Nobody is granted a flight farther ahead than the standard lets a constraint be entered (ASTM F3548-21: 56 days).
_HORIZON_S = 56 * 86400.0
#: Higher and lower than anything that flies, metres.
_ANY_HEIGHT_M = 1e5
#: A line may come out this much smaller when it is worked out again over a part of the flight (metres).
_SAME_M = 1e-3
#: Less than this of a flight is not judged again (seconds): it is on its last metres.
_REST_S = 1.0

Box = tuple[float, float, float, float]


def by_zones(situation: Situation, zones: Sequence[GeoZone]) -> tuple[Move, ...]:
    """What becomes of the live intents that some new zones touch.

    Args:
        situation: as it was before, with its traffic.
        zones: those that are entered; they replace zones of the same id.
    """
    found = touched(situation, zones)
    every = {zone.id: zone for zone in situation.zones} | {zone.id: zone for zone in zones}
    after = dataclasses.replace(situation, zones=tuple(every[name] for name in sorted(every)))
    return _moved(after, found)


def touched(situation: Situation, zones: Sequence[GeoZone]) -> tuple[OperationalIntent, ...]:
    """The live intents, by id, that some zones stand in the way of."""
    skies = situation.skies
    boxes = [tuple(box) for box in map(skies.outlines.box_m, zones) if box[0] <= box[2]]
    return tuple(one for one in _near(situation, boxes) if _broken(skies, one, zones, situation.now_s, ground=False))


def by_map(situation: Situation, before: CityMap) -> tuple[Move, ...]:
    """What becomes of the live intents that a new version of the map touches.

    Args:
        situation: over the new version, with the traffic as it was.
        before: the version until now.

    Raises:
        MapError: the two have different frames or grids.
    """
    after = situation.skies.city_map
    one, other = identity_of(before.meta), identity_of(after.meta)
    if differs := [field for field in ("frame", "resolution_m", "size") if one[field] != other[field]]:
        raise MapError(
            f"has another {differs[0]} than the version until now; corridors are metres in it",
            file=after.path,
            mend="Make a new airspace over it.",
        )
    side = TILE * after.resolution_m
    changed = [tile for tile in after.tiles() if before.hash_of(tile) != after.hash_of(tile)]
    reach = reach_m(situation.skies)
    boxes = [
        (tx * side - reach, ty * side - reach, (tx + 1) * side + reach, (ty + 1) * side + reach) for tx, ty in changed
    ]
    found = [one for one in _near(situation, boxes) if _broken(situation.skies, one, (), situation.now_s, ground=True)]
    return _moved(situation, found)


def _moved(situation: Situation, touched: Sequence[OperationalIntent]) -> tuple[Move, ...]:
    # Who strayed already keeps its room: nothing new can be granted to it.
    moving = [one.id for one in touched if one.state not in ASTRAY]
    traffic = Overlay(situation.traffic, without=moving)
    return give_way(dataclasses.replace(situation, traffic=traffic), touched)


def _near(situation: Situation, boxes: Sequence[Box]) -> tuple[OperationalIntent, ...]:
    """Whoever is over a box at any time from now on, by id: looked for as near a drone that hovers in its middle."""
    found: dict[str, OperationalIntent] = {}
    for west, south, east, north in boxes:
        middle = np.array([(west + east) / 2, (south + north) / 2, 0.0])
        hover = Trajectory([situation.now_s, situation.now_s + _HORIZON_S], [middle, middle])
        across = float(np.hypot(east - west, north - south)) / 2
        room = Corridor(hover, across, _ANY_HEIGHT_M, _ANY_HEIGHT_M, situation.skies.rules.time_tolerance_s)
        found |= {intent.id: intent for intent in situation.traffic.near(room)}
    return tuple(found[name] for name in sorted(found))


def _broken(
    skies: Skies, intent: OperationalIntent, zones: Sequence[GeoZone], now_s: float, *, ground: bool
) -> list[Limit]:
    """The lines of a certificate that what is left of a flight no longer keeps: those of some zones, or of the map."""
    skies, corridor = skies.for_aircraft(intent.plan.aircraft), intent.corridor
    line = corridor.centre_line
    if now_s > line.end_s - _REST_S:
        return []
    if now_s > line.start_s:
        corridor = dataclasses.replace(corridor, centre_line=part(line, now_s, line.end_s))
    way = flown(corridor.centre_line)
    if way is None:  # what is left of it is the column over its pad: it is landing
        return []
    with skies.ground(corridor.centre_line.enu_m, reach_m(skies)) as under:
        if ground:
            over = over_ground(skies, under, corridor, way)[0]
            limits = [*over, *at_pads(skies, under, corridor)] if now_s <= line.start_s else over
        else:
            limits = list(from_zones(skies, under, intent.plan, corridor, way, tuple(zones)))
    return [limit for limit in limits if limit.margin_m < -_SAME_M]
