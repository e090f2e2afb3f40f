"""Check-only admission: the operator brings the trajectory, and it is granted as it stands or refused.

Nothing is searched. The flight is held against every rule that a planned one keeps, by exact means: its voxels and the
insides of its turns are free (`utm.core.beneath`), and each line of its certificate holds (`utm.airspace.limits`). What
`utm.airspace.admission` grants is granted here, too, when its centre line is handed in. A refusal names everything that
is wrong, with where and when, so that it can be mended in one go.

A zone counts here while it is in force and the corridor shares a height with it; the planner leads around it for the
whole flight.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Sequence

import numpy as np

from utm.airspace.admission import MOST_AHEAD_S
from utm.airspace.case import until
from utm.airspace.ends import places_of
from utm.airspace.granting import granted
from utm.airspace.limits import (
    Certificate,
    at_pads,
    clearances_from,
    from_neighbours,
    from_zones,
    over_ground,
    reach_m,
)
from utm.airspace.places import Place, resolve
from utm.airspace.situation import REACTION_S, Situation
from utm.airspace.space import Skies
from utm.core.beneath import first_closed
from utm.core.energy import usable_wh
from utm.core.flown import Flown, flown
from utm.core.pace import drawn_wh, too_fast, too_windy
from utm.core.tiles import Ground
from utm.errors import PlanError
from utm.frames import LocalFrame
from utm.model import (
    Corridor,
    Decision,
    FlightPlan,
    IntentState,
    Limit,
    LimitKind,
    OperationalIntent,
    Reason,
    Trajectory,
)

#: ASTM F3548-21: no more points.
MOST_POINTS = 10_000
#: A trajectory begins and ends this near to the plan's pads, in space, and passes this near to its way points.
_AT_PLACE_M = 0.1
#: A point this near to the edge of the map is off it.
_HAIR_M = 1e-6
#: How far below its pad a column may reach.
_BELOW_PAD_M = 0.01

_TOO_NEAR = {
    LimitKind.TERRAIN: ("TERRAIN_TOO_NEAR", "the ground"),
    LimitKind.OBSTACLE: ("OBSTACLE_TOO_NEAR", "an object"),
    LimitKind.UNKNOWN: ("UNKNOWN_TOO_NEAR", "what may stand where the survey saw nothing"),
}
_TOO_FAST = {
    "over the ground": "TOO_FAST",
    "upwards": "CLIMBS_TOO_FAST",
    "downwards": "DESCENDS_TOO_FAST",
    "downwards, landing": "LANDS_TOO_FAST",
}


def check(situation: Situation, plan: FlightPlan, line: Trajectory) -> Decision:
    """The decision on a trajectory (metres in the map's frame) for a plan: the plan says who flies what from which pad
    to which, within which time, and with which priority and authorisations.

    Returns:
        a grant as asked; ``details["displaces"]`` names the flights of lower priority that have to make way. Or a
        refusal; ``details["where"]`` says of each reason its ``code``, ``at_s`` and ``at_m``, where it has a place.

    Raises:
        PlanError: the plan itself cannot be judged: its pads lie off the map or inside a building, or there is no zone
            that it says it is authorised for.
    """
    _check_authorisations(situation, plan)
    wrong = _Wrong(situation.skies.city_map.frame)
    _check_times(situation, plan, line, wrong)
    if len(line.t_s) > MOST_POINTS:
        wrong.add("TOO_MANY_POINTS", f"The trajectory has {len(line.t_s)} points; {MOST_POINTS} are the most.")
        return wrong.refused(plan)
    skies = situation.skies.for_aircraft(plan.aircraft)
    way = flown(line)
    if way is None:
        resolve(skies.city_map, plan)
        wrong.add("NO_WAY", "The trajectory never leaves the column over its first pad.", line.start_s, line.enu_m[0])
        return wrong.refused(plan)
    if not _on_map(skies, line, way, wrong):
        return wrong.refused(plan)
    rules = skies.rules
    corridor = Corridor(
        line,
        rules.half_width_m,
        rules.half_height_m,
        rules.half_height_m,
        rules.time_tolerance_s,
        rules.pad_hold_s,
        way.tube,
    )
    _check_pace(situation, plan, line, way, wrong)
    with skies.ground(line.enu_m, reach_m(skies)) as ground:
        _check_ends(skies, ground, plan, line, way, wrong)
        limits, floor_m = over_ground(skies, ground, corridor, way)
        low, high = first_closed(ground, line, way)
        limits += from_zones(skies, ground, plan, corridor, way, situation.zones)
        limits += at_pads(skies, ground, corridor)
    _check_limits(situation, limits, wrong)
    if not wrong.reasons:  # the voxels are coarser than what is needed: they say nothing new where a limit is broken
        _check_voxels(skies, low, high, wrong)
    near = situation.traffic.near(corridor)
    displaced = _check_neighbours(situation, plan, skies, corridor, near, limits, wrong)
    if wrong.reasons:
        return wrong.refused(plan)
    certificate = Certificate(tuple(limits), clearances_from(limits, floor_m, reach_m(skies)))
    beside = tuple([other for other in near if other.id not in displaced]) if displaced else near
    details = {"displaces": displaced} if displaced else {}
    # What was granted stands in the corridor; the trajectory as it was asked for stands in the request
    held = dataclasses.replace(plan, trajectory=()) if plan.trajectory else plan
    return Decision(plan, granted(situation, held, corridor, beside, certificate), details=details)


class _Wrong:
    """What is wrong with a trajectory."""

    def __init__(self, frame: LocalFrame) -> None:
        self.reasons: list[Reason] = []
        self.places: list[dict[str, object]] = []
        self._frame = frame

    def add(self, code: str, sentence: str, at_s: float | None = None, at_m: Sequence[float] | None = None) -> None:
        where: dict[str, object] = {"code": code}
        if at_s is not None and at_m is not None:
            lon, lat = (float(value) for value in self._frame.to_lonlat(at_m[0], at_m[1]))
            sentence = f"{sentence.removesuffix('.')}, at {_clock(at_s)} at {lat:.6f}, {lon:.6f}."
            where |= {"at_s": float(at_s), "at_m": [float(value) for value in at_m]}
        self.reasons.append(Reason(code, sentence))
        self.places.append(where)

    def refused(self, plan: FlightPlan) -> Decision:
        return Decision(plan, None, tuple(self.reasons), details={"where": self.places})


def _clock(at_s: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at_s, datetime.UTC):%H:%M:%S} UTC"


def _check_authorisations(situation: Situation, plan: FlightPlan) -> None:
    if not plan.authorisations:
        return
    known = {zone.id for zone in situation.zones}
    for number, zone_id in enumerate(plan.authorisations):
        if zone_id not in known:
            raise PlanError("there is no zone of this id", field=f"authorisations.{number}", value=zone_id)


def _check_times(situation: Situation, plan: FlightPlan, line: Trajectory, wrong: _Wrong) -> None:
    start, now = line.start_s, situation.now_s
    if start < now:
        wrong.add("DEPARTS_IN_THE_PAST", f"The departure lies in the past, by {now - start:.0f} s.")
    elif line.end_s > now + MOST_AHEAD_S:
        wrong.add("TOO_FAR_AHEAD", f"It ends {(line.end_s - now) / 86400:.1f} days ahead; 30 are the most.")
    if start < plan.earliest_departure_s or start > plan.latest_departure_s:
        off = (
            plan.earliest_departure_s - start if start < plan.earliest_departure_s else start - plan.latest_departure_s
        )
        side = "before the earliest" if start < plan.earliest_departure_s else "after the latest"
        wrong.add("OUTSIDE_WINDOW", f"It departs {off:.1f} s {side} departure of the plan.")
    if (lasts := line.end_s - start) > plan.aircraft.endurance_s:
        wrong.add(
            "ENDURANCE",
            f"The flight takes {lasts:.0f} s, the endurance of a {plan.aircraft.name} is "
            f"{plan.aircraft.endurance_s:.0f} s.",
        )


def _on_map(skies: Skies, line: Trajectory, way: Flown, wrong: _Wrong) -> bool:
    """Whether every point of it has a column below it, a hair inside the map."""
    east_end, north_end = (n * skies.city_map.resolution_m - _HAIR_M for n in skies.city_map.size)
    west, south, east, north = way.box_m
    if min(west, south) > _HAIR_M and east < east_end and north < north_end:
        return True
    flat = line.enu_m[:, :2]
    n = int(((flat <= _HAIR_M) | (flat >= (east_end, north_end))).any(axis=1).argmax())
    wrong.add("OFF_MAP", f"Point {n} of the trajectory lies off the map, or on its very edge.")
    return False


def _check_pace(situation: Situation, plan: FlightPlan, line: Trajectory, way: Flown, wrong: _Wrong) -> None:
    aircraft, wind = plan.aircraft, situation.conditions.wind
    for found in too_fast(line, way, aircraft, wind):
        wrong.add(
            _TOO_FAST[found.direction],
            f"It makes {found.speed_m_s:.2f} m/s {found.direction}, a {aircraft.name} {found.allowed_m_s:.2f} m/s.",
            float(line.t_s[found.piece]),
            line.enu_m[found.piece],
        )
    if (windy := too_windy(line, aircraft, wind)) is not None:
        strength, piece = windy
        wrong.add(
            "WIND",
            f"The wind of {strength:.1f} m/s exceeds the {aircraft.max_airspeed_m_s:g} m/s that a {aircraft.name} "
            "makes through the air.",
            float(line.t_s[piece]),
            line.enu_m[piece],
        )
    usable = usable_wh(aircraft)
    if (drawn := drawn_wh(line, aircraft, wind, enough_wh=usable)) > usable:
        wrong.add(
            "ENERGY",
            f"The flight draws {drawn:.1f} Wh, the reserve of a {aircraft.name} leaves {usable:.1f} Wh.",
        )


def _check_ends(skies: Skies, ground: Ground, plan: FlightPlan, line: Trajectory, way: Flown, wrong: _Wrong) -> None:
    """The trajectory leads from the plan's one pad to the other, by its way points, and in columns over both."""
    places = places_of(skies.city_map, ground, plan)
    for place, n in ((places[0], 0), (places[-1], -1)):
        off = math.dist(line.enu_m[n].tolist(), (place.east_m, place.north_m, place.up_m))
        if off > _AT_PLACE_M:
            code = f"NOT_AT_{place.name.upper()}"
            wrong.add(code, f"It is {off:.2f} m off the plan's {place.name}.", float(line.t_s[n]), line.enu_m[n])
    for name, first, last in (("take-off", 0, way.climb), ("landing", way.descent, len(line.t_s) - 1)):
        pad_up = float(line.enu_m[0 if first == 0 else -1, 2])
        lowest = first + int(line.enu_m[first : last + 1, 2].argmin())
        if line.enu_m[lowest, 2] < pad_up - _BELOW_PAD_M:
            wrong.add(
                "BELOW_PAD", f"In its {name} column it is below the pad.", float(line.t_s[lowest]), line.enu_m[lowest]
            )
    _check_waypoints(places[1:-1], line, wrong)


def _check_waypoints(places: Sequence[Place], line: Trajectory, wrong: _Wrong) -> None:
    begin = 0
    for place in places:
        a, step = line.enu_m[:-1], np.diff(line.enu_m, axis=0)
        square = (step * step).sum(axis=1)
        share = np.clip(((place.enu_m - a) * step).sum(axis=1) / np.where(square > 0, square, 1.0), 0.0, 1.0)
        off = np.linalg.norm(a + share[:, None] * step - place.enu_m, axis=1)
        passed = np.flatnonzero(off[begin:] <= _AT_PLACE_M)
        if len(passed) == 0:
            n = begin + int(off[begin:].argmin())
            sentence = f"It passes {place.name} at {off[n]:.2f} m, or not in the order of the plan."
            wrong.add("MISSES_WAYPOINT", sentence, float(line.t_s[n]), line.enu_m[n])
            return
        begin += int(passed[0])


def _check_limits(situation: Situation, limits: Sequence[Limit], wrong: _Wrong) -> None:
    for limit in limits:
        if limit.found_m >= limit.needed_m:
            continue
        found, needed = limit.found_m, limit.needed_m
        match limit.kind:
            case LimitKind.CEILING:
                code, sentence = "ABOVE_CEILING", f"The corridor reaches {-found:.3f} m above the ceiling."
            case LimitKind.ZONE:
                name = next(z.name for z in situation.zones if z.id == limit.subject.rpartition("@")[0])
                code = "IN_ZONE"
                sentence = (
                    f"It comes within {found:.3f} m of {name} ({limit.subject.rpartition('@')[0]}), in force at that "
                    f"time, {needed:g} m are needed."
                )
            case LimitKind.PAD:
                code = f"{limit.subject.upper()}_OBSTRUCTED"
                sentence = f"Around the {limit.subject} something stands {-found:.2f} m higher than is allowed."
                if math.isinf(found):
                    sentence = f"The map ends too near to the {limit.subject}."
            case _:
                code, what = _TOO_NEAR[limit.kind]
                sentence = f"It comes within {found:.3f} m of {what}, {needed:g} m are needed."
        wrong.add(code, sentence, limit.at_s, limit.at_m)


def _check_voxels(skies: Skies, low: np.ndarray | None, high: np.ndarray | None, wrong: _Wrong) -> None:
    for found, end in ((low, "lower"), (high, "upper")):
        if found is not None:
            sentence = f"It touches a voxel of {skies.cell_m:g} m at the {end} end of the free air that is not free."
            wrong.add("NOT_IN_FREE_AIR", sentence, float(found[0]), found[1:])


def _check_neighbours(
    situation: Situation,
    plan: FlightPlan,
    skies: Skies,
    corridor: Corridor,
    near: Sequence[OperationalIntent],
    limits: list[Limit],
    wrong: _Wrong,
) -> list[str]:
    """Adds the limits of the neighbours that stay; returns the ids of those that have to make way."""
    displaced = []
    for limit in from_neighbours(skies, corridor, near):
        if limit.found_m >= limit.needed_m:
            limits.append(limit)
            continue
        other = next(one for one in near if f"{one.id}@{one.ovn}" == limit.subject)
        if _yields(plan, other) and not _meets_before(situation, skies, corridor, other):
            displaced.append(other.id)
            continue
        wrong.add(
            "CONFLICT",
            f"Would meet {other.plan.operator}'s {other.id}: {limit.found_m:.2f} m apart at the same height, "
            f"{limit.needed_m:.2f} m are needed.",
            limit.at_s,
            limit.at_m,
        )
    return displaced


def _yields(plan: FlightPlan, other: OperationalIntent) -> bool:
    able = other.state in (IntentState.ACCEPTED, IntentState.ACTIVATED)
    return able and other.plan.priority < plan.priority


def _meets_before(situation: Situation, skies: Skies, corridor: Corridor, other: OperationalIntent) -> bool:
    """Whether it meets what a neighbour in the air flies before it can make way."""
    if situation.now_s < other.corridor.centre_line.start_s:
        return False
    left = dataclasses.replace(other, corridor=until(other.corridor, situation.now_s + REACTION_S))
    return any(limit.found_m < limit.needed_m for limit in from_neighbours(skies, corridor, [left]))
