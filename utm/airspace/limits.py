"""The certificate of an approval: what a flight keeps from everything near it, where and when, line by line.

Everything is measured on what would be granted alone, its corridor, by other means than those that found its way:
branch and bound over the ground (`utm.core.nearest`), exact walks over the columns below it (`utm.core.beneath`,
`utm.core.outline`) and exact closest approaches (`utm.core.conflict`). Nothing is sampled. What is farther away than
four clearances, or never shares a height with the flight, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from utm.airspace.places import PAD_TOLERANCE_M
from utm.airspace.space import Skies
from utm.core.beneath import beneath, pad_at
from utm.core.conflict import closest_approaches
from utm.core.flown import Flown, flown
from utm.core.nearest import nearest_things
from utm.core.outline import nearest_beside
from utm.core.tiles import Ground
from utm.core.traffic import apart
from utm.model import Corridor, FlightPlan, GeoZone, Limit, LimitKind, OperationalIntent

#: Nothing farther than so many clearances is looked for.
_REACH = 4.0
#: Metres by which what was found is taken smaller: rounding is far less.
_MARGIN_M = 1e-9

_THINGS = (LimitKind.TERRAIN, LimitKind.OBSTACLE, LimitKind.UNKNOWN)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What a flight keeps from everything."""

    limits: tuple[Limit, ...]
    clearances: dict[str, float]
    """As `OperationalIntent.clearances`."""


def reach_m(skies: Skies) -> float:
    """How far around a flight things are looked for."""
    return max(_REACH * skies.rules.clearance_m, 2.0 * skies.rules.half_width_m)


def limits_of(
    skies: Skies,
    plan: FlightPlan,
    corridor: Corridor,
    zones: tuple[GeoZone, ...],
    neighbours: Sequence[OperationalIntent],
) -> tuple[Limit, ...]:
    """The lines of the certificate of a flight: ceiling, ground and things, zones, pads, neighbours.

    Args:
        skies: map and the rules for the plan's aircraft.
        zones: every zone of the airspace; those in force near the flight, which it has no leave for, have a line.
        neighbours: those it is held against.

    Raises:
        ValueError: the flight does not leave the column over its pad, or it leaves the map.
    """
    return certificate_of(skies, plan, corridor, zones, neighbours).limits


def certificate_of(
    skies: Skies,
    plan: FlightPlan,
    corridor: Corridor,
    zones: tuple[GeoZone, ...],
    neighbours: Sequence[OperationalIntent],
) -> Certificate:
    """The same, with the figures of an approval that follow from it."""
    way = flown(corridor.centre_line)
    if way is None:
        raise ValueError("a flight that never leaves the column over its pad has no certificate")
    with skies.ground(corridor.centre_line.enu_m, reach_m(skies)) as ground:
        over, floor_m = over_ground(skies, ground, corridor, way)
        limits = (
            *over,
            *from_zones(skies, ground, plan, corridor, way, zones),
            *at_pads(skies, ground, corridor),
            *from_neighbours(skies, corridor, neighbours),
        )
    return Certificate(limits, clearances_from(limits, floor_m, reach_m(skies)))


def clearances_from(limits: Sequence[Limit], floor_m: float, reach: float) -> dict[str, float]:
    """``obstacle_m``, ``floor_m``, ``ceiling_m`` and, where there is a neighbour, ``separation_m``."""
    found = {
        "obstacle_m": min((limit.found_m for limit in limits if limit.kind in _THINGS), default=reach),
        "floor_m": floor_m,
        "ceiling_m": next(limit.found_m for limit in limits if limit.kind is LimitKind.CEILING),
    }
    apart_m = [limit.found_m for limit in limits if limit.kind is LimitKind.SEPARATION]
    return found | ({"separation_m": min(apart_m)} if apart_m else {})


def over_ground(skies: Skies, ground: Ground, corridor: Corridor, way: Flown) -> tuple[list[Limit], float]:
    """The limits of ceiling, terrain, obstacle and unknown; and the least height of the corridor's underside over the
    surface right below. All of what is flown between the columns."""
    rules, line = skies.rules, corridor.centre_line
    below = beneath(ground, line, way)
    room = below.room_m + rules.ceiling_above_terrain_m - corridor.above_m - _MARGIN_M
    limits = [Limit(LimitKind.CEILING, "", room, 0.0, below.at_s, below.at_m)]
    for kind, found in zip(_THINGS, nearest_things(ground, line, way, reach_m(skies)), strict=True):
        if found is not None:
            limits.append(Limit(kind, "", found.distance_m, rules.clearance_m, found.at_s, found.at_m))
    return limits, below.floor_m - corridor.below_m


def from_zones(
    skies: Skies, ground: Ground, plan: FlightPlan, corridor: Corridor, way: Flown, zones: tuple[GeoZone, ...]
) -> Iterator[Limit]:
    """The limits of the zones in force near a flight, its columns included."""
    line, reach = corridor.centre_line, reach_m(skies)
    for near, spans in skies.outlines.near(zones, plan, line, way.box_m, reach, corridor.time_tolerance_s):
        lower, upper = skies.outlines.limits(near.zone, way.box_m)
        found = nearest_beside(
            ground,
            line,
            near.outline,
            below_m=corridor.below_m,
            above_m=corridor.above_m,
            lower=lower,
            upper=upper,
            spans_s=spans,
            within_m=reach,
        )
        if found is not None:
            distance = max(found.distance_m - near.error_m - _MARGIN_M, 0.0)
            yield Limit(LimitKind.ZONE, near.label, distance, corridor.half_width_m, found.at_s, found.at_m)


def at_pads(skies: Skies, ground: Ground, corridor: Corridor) -> Iterator[Limit]:
    """How much lower than allowed the highest thing around each pad stands; -inf where the map ends that near."""
    line = corridor.centre_line
    ends = (("origin", line.start_s, line.enu_m[0]), ("destination", line.end_s, line.enu_m[-1]))
    for name, at_s, place in ends:
        at_m = tuple(place.tolist())
        pad = pad_at(ground, at_m[0], at_m[1], skies.rules.pad_radius_m)
        yield Limit(LimitKind.PAD, name, at_m[2] + PAD_TOLERANCE_M - pad.highest_m, 0.0, at_s, at_m)


def from_neighbours(skies: Skies, corridor: Corridor, neighbours: Sequence[OperationalIntent]) -> list[Limit]:
    """The separations from neighbours that come near while they share a height."""
    if not neighbours:
        return []
    rules, line, reach = skies.rules, corridor.occupied, _REACH * skies.rules.clearance_m
    needed = [
        apart(corridor, other.corridor, rules.separation_horizontal_m, rules.separation_vertical_m)
        for other in neighbours
    ]
    found, at = closest_approaches(
        line,
        [other.corridor.occupied for other in neighbours],
        [vertical for _, vertical, _ in needed],
        [tolerance for _, _, tolerance in needed],
        [max(reach, 1.01 * horizontal) for horizontal, _, _ in needed],
    )
    return [
        Limit(
            LimitKind.SEPARATION,
            f"{other.id}@{other.ovn}",
            max(distance - _MARGIN_M, 0.0),
            horizontal,
            at_s,
            tuple(line.at(at_s).tolist()),
        )
        for other, (horizontal, _, _), distance, at_s in zip(
            neighbours, needed, found.tolist(), at.tolist(), strict=True
        )
        if distance < math.inf
    ]
