"""Why there is no way, in the terms of the rules, and the one constraint whose relaxation would open one.

The reason is read off the gaps of the flight space (`utm.core.relax`), which are exactly what `find_route` searches;
the relaxation is found by trying (`utm.airspace.relaxation` has the order). Over windows too large to be looked at
whole (`Skies.is_long`) the answer is what the search said, without a relaxation.

The codes are stable. ``<PLACE>`` is ORIGIN, DESTINATION or WAYPOINT.

======================  ==============================================================================================
``<PLACE>_IN_ZONE``     it, or its only way up, lies in a zone in force
``<PLACE>_UNDER_FLOOR`` so much stands around a pad that the ceiling leaves no height; a way point lies too low
``WAYPOINT_OVER_CEILING``  a way point lies too high
``<PLACE>_OBSTRUCTED``  something stands too near to the column of a pad, or the map ends there
``<PLACE>_AT_MAP_EDGE`` nearer to the end of the map than the clearance: what stands beyond is not known
``ZONES_CLOSE``         a way that would be there without zones is closed by them
``<PLACE>_ENCLOSED``    it lies in a small pocket of free air
``SEPARATED``           the air is divided between two large parts
``NO_ROOM_TO_TURN``     there is a way for a point, but not for what is flown around its corners
``ENERGY``, ``ENDURANCE``, ``WIND``  there is a way, but the aircraft cannot fly it
``TOO_FAR_TO_WEIGH``    the places lie so far apart that only the shortest way can be sought, and another was asked for
``NO_ROUTE``            the places lie so far apart that no more is known than that there is no way
======================  ==============================================================================================
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.air import Air
from utm.airspace.places import Place, Refusal
from utm.airspace.relaxation import Relaxation, Trial, moved, relaxation, way_point_number, zones_lifted
from utm.airspace.routing import find_route
from utm.airspace.space import Skies
from utm.airspace.until import listed, until_words, zone_words
from utm.core.flyable import flyable
from utm.core.relax import Sides
from utm.errors import CannotFly
from utm.model import CALM, Conditions, FlightPlan, GeoZone, Wind


@dataclass(frozen=True, slots=True)
class NoWay:
    """Why there is none, and what would open one."""

    code: str
    sentence: str
    relaxation: Relaxation | None
    """The one constraint whose relaxation would open a way; None when no single one would."""


def why_not(
    skies: Skies,
    plan: FlightPlan,
    places: tuple[Place, ...],
    zones: Sequence[GeoZone],
    conditions: Conditions,
    refusal: Refusal | CannotFly,
    *,
    departure_s: float,
    later: Sequence[GeoZone] = (),
) -> NoWay:
    """Why `find_route` found no way with these very arguments.

    Args:
        skies: map and rules.
        plan: what was asked.
        places: of the plan.
        zones: those that the flight must stay out of.
        conditions: wind and cost layers.
        refusal: what `find_route` raised.
        departure_s: Unix seconds, the departure for which ``zones`` were chosen.
        later: the other zones of the airspace, which may be in force at a later departure.
    """
    if skies.is_long(places):
        return _plainly(refusal)
    known = {zone.id for zone in zones}
    every = (*zones, *(zone for zone in later if zone.id not in known))
    closed = np.array([zone.id in known for zone in every], np.bool_)
    trial = Trial(Air(skies, places, every), plan, conditions, departure_s, closed)
    if isinstance(refusal, CannotFly):
        return _cannot_fly(trial, refusal)
    at_a_place = _closed_place(trial, refusal)
    if at_a_place is not None:
        code, sentence, index, law = at_a_place
        # No zone and no law changes what stands beside a pad.
        opens = moved(trial, index) if code.endswith("_OBSTRUCTED") else relaxation(trial, index, law=law)
        return NoWay(code, sentence, opens)
    air = trial.air
    gaps = air.gaps(closed)
    parted = air.parted(gaps, air.stations(gaps, closed))
    if parted is None:
        sentence = (
            f"The air is joined from place to place, but beside the ways through it a {plan.aircraft.name} has not the "
            "room that its turns need."
        )
        return NoWay("NO_ROOM_TO_TURN", sentence, relaxation(trial, None))
    leg, found = parted
    pocket = leg + found.closed
    small = pocket if found.small else None
    opens = relaxation(trial, small)
    if closed.any() and air.is_open(np.zeros_like(closed)):
        names = _named(trial.zones, opens, departure_s)
        return NoWay("ZONES_CLOSE", f"Without {names} there would be a way.", opens)
    if small is not None:
        return NoWay(f"{_kind(places[small])}_ENCLOSED", _enclosed(air, places[small], found), opens)
    return NoWay("SEPARATED", _separated(air, places[leg], places[leg + 1], places[pocket], found), opens)


def _closed_place(trial: Trial, refusal: Refusal) -> tuple[str, str, int, bool] | None:
    """For the first place that the rules themselves close: code, sentence, which place, whether the law may be asked.
    In the order in which `find_route` looks."""
    air, closed, departure_s = trial.air, trial.in_force, trial.departure_s
    for index, place in enumerate(air.places):
        held = [air.zones[n] for n in np.flatnonzero(closed) if air.held(place, place.up_m, n)]
        if held:
            zones = listed([_restricted(zone, departure_s) for zone in held])
            return f"{_kind(place)}_IN_ZONE", _begin(f"{_called(place)} lies in {zones}."), index, True
    for index in (0, len(air.places) - 1):
        if refusal.code == f"{_kind(air.places[index])}_OBSTRUCTED":
            return refusal.code, refusal.sentence, index, False
    gaps = air.gaps(closed)
    for index, place in enumerate(air.places):
        station = air.station(gaps, place)
        if station is None:
            code, sentence = _no_height(air, place, closed, departure_s)
            return code, sentence, index, not code.endswith("_AT_MAP_EDGE")
        if air.crossed(place, station.layer, closed):
            sentence = _crossing(air, place, station.layer, closed, departure_s)
            return f"{_kind(place)}_IN_ZONE", sentence, index, True
    return None


def _cannot_fly(trial: Trial, error: CannotFly) -> NoWay:
    """Why the aircraft cannot fly the way that was found, and what would let it: a zone that costs too long a detour,
    or else what the aircraft lacks."""
    if error.limit is None or error.needed is None or error.allowed is None:
        return NoWay("CANNOT_FLY", f"{error}.", None)
    share = error.excess_share
    opens = None
    none = np.zeros_like(trial.in_force)
    if trial.in_force.any() and _straight_flies(trial) and trial.opens(none):
        opens = zones_lifted(trial.air.zones, trial.in_force, trial.departure_s, trial.opens)
    if opens is None and error.limit == "wind":
        opens = _less_wind(trial)
    elif opens is None and share is not None:
        opens = _stronger(trial, error.limit, error.needed - error.allowed, share)
    return NoWay(error.limit.upper(), _short_of(error), opens)


def _short_of(error: CannotFly) -> str:
    share = error.excess_share
    if share is None:
        return f"Nothing of the {error.limit} is left for flying: {error}."
    if error.limit == "wind":
        return f"The wind is {_percent(share)} too strong: {error}."
    return f"{error.limit.capitalize()} is short by {_percent(share)}: {error}."


def _plainly(error: Refusal | CannotFly) -> NoWay:
    """What the search itself said: all there is over windows that are too large to look for more."""
    if isinstance(error, Refusal):
        return NoWay(error.code, error.sentence, error.relaxation)
    if error.limit is None or error.needed is None or error.allowed is None:
        return NoWay("CANNOT_FLY", f"{error}.", None)
    return NoWay(error.limit.upper(), _short_of(error), None)


def _straight_flies(trial: Trial) -> bool:
    """Whether the aircraft could fly straight from place to place; if not, no other way helps. Where the wind is not
    the same at every height nothing is known of other heights, and the answer is yes."""
    wind = trial.conditions.wind
    if len(np.unique(wind.velocity_m_s, axis=0)) > 1:
        return True
    try:
        flyable(np.array([place.enu_m for place in trial.air.places]), trial.plan.aircraft, wind)
    except CannotFly:
        return False
    return True


def _stronger(trial: Trial, limit: str, short: float, share: float) -> Relaxation | None:
    """What the aircraft lacks, of one kind; None where it then lacks something else, too."""
    aircraft = trial.plan.aircraft
    if limit == "energy":
        battery = math.ceil(aircraft.battery_wh * (1.0 + share))
        if not trial.finds(aircraft=dataclasses.replace(aircraft, battery_wh=float(battery))):
            return None
        more = battery - aircraft.battery_wh
        sentence = (
            f"With a battery of {battery} Wh instead of {aircraft.battery_wh:g} Wh, at the same weight, the flight "
            "could be flown; or with less load, or from a nearer pad."
        )
        return Relaxation("battery", sentence, more, "Wh")
    if limit == "endurance":
        needed = math.ceil(aircraft.endurance_s + short)
        if not trial.finds(aircraft=dataclasses.replace(aircraft, endurance_s=float(needed))):
            return None
        sentence = f"An aircraft with an endurance of {needed} s instead of {aircraft.endurance_s:g} s could fly it."
        return Relaxation("endurance", sentence, needed - aircraft.endurance_s, "s")
    raise AssertionError(limit)


def _less_wind(trial: Trial) -> Relaxation | None:
    """By how much the wind would have to drop, at all heights alike, for the way of a calm day to be flown; None where
    that is no way either."""
    calm = dataclasses.replace(trial.conditions, wind=CALM)
    try:
        route = find_route(trial.air.skies, trial.plan, trial.air.places, trial.zones, calm)
    except (Refusal, CannotFly):
        return None
    wind = trial.conditions.wind
    strongest = wind.strongest_m_s
    # A tenth of a metre per second is as fine as any forecast.
    for tenths in range(math.ceil(strongest * 10.0 - 1e-6) - 1, -1, -1):
        left = tenths / 10.0
        weaker = Wind(wind.up_m, wind.velocity_m_s * (left / strongest))
        try:
            flyable(route.points_m, trial.plan.aircraft, weaker)
        except CannotFly:
            continue
        if not trial.finds(conditions=dataclasses.replace(trial.conditions, wind=weaker)):
            continue
        less = strongest - left
        sentence = f"With at most {left:.1f} m/s, {less:.1f} m/s less, the flight could be flown: wait for it."
        return Relaxation("wind", sentence, round(less, 1), "m/s")
    return None


def _kind(place: Place) -> str:
    return place.name.split(".")[0].upper().removesuffix("S")


def _called(place: Place) -> str:
    return f"way point {way_point_number(place)}" if place.name.startswith("waypoints.") else f"the {place.name}"


def _percent(share: float) -> str:
    return f"{max(share * 100.0, 0.1):.1f} %" if share < 0.1 else f"{share * 100.0:.0f} %"


def _crossing(air: Air, place: Place, layer: int, closed: NDArray[np.bool_], departure_s: float) -> str:
    top = (layer + 0.5) * air.cell_m
    held = [air.zones[n] for n in np.flatnonzero(closed) if air.held(place, top, n)]
    zones = listed([_restricted(zone, departure_s) for zone in held])
    return f"The only way up from {_called(place)}, {top - place.up_m:.0f} m high, lies in {zones}."


def _restricted(zone: GeoZone, departure_s: float) -> str:
    return f"{zone.name} ({zone.id}, {zone.restriction}) {until_words(zone, departure_s)}"


def _no_height(air: Air, place: Place, closed: NDArray[np.bool_], departure_s: float) -> tuple[str, str]:
    """Code and sentence for a place that meets no free air."""
    kind, rules, touched = _kind(place), air.rules, air.touched(place)
    lowest = max((air.lowest_m(column) for column in touched), default=math.inf)
    if math.isinf(lowest):
        return (
            f"{kind}_AT_MAP_EDGE",
            f"The map ends within {rules.clearance_m:g} m of {_called(place)}: what stands beyond is not known.",
        )
    roof = min(float(air.layers.roof_m[column]) for column in touched)
    without = air.station(air.gaps(air.none_closed), place)
    if without is not None:
        over = [air.zones[n] for n in np.flatnonzero(closed) if air.takes(place, n)]
        zones = listed([_restricted(zone, departure_s) for zone in over])
        what = "All air" if place.name in ("origin", "destination") else "The air"
        return f"{kind}_IN_ZONE", f"{what} over {_called(place)} that the rules leave lies in {zones}."
    if kind == "WAYPOINT":
        if place.up_m > (lowest + roof) / 2:
            code, off = f"{kind}_OVER_CEILING", place.up_m - roof
            told = f"{off:.1f} m over the highest that the ceiling ({rules.ceiling_above_terrain_m:g} m over the ground"
            told += f", less {rules.half_height_m:g} m for the corridor) allows there"
        else:
            code, off = f"{kind}_UNDER_FLOOR", lowest - place.up_m
            told = f"{off:.1f} m under the lowest that keeps {rules.clearance_m:g} m from everything there"
        if off <= 0.0:
            limit = "lowest" if code.endswith("FLOOR") else "highest"
            told = f"so near to the {limit} that the rules allow there that no whole layer holds it, of the "
            told += f"{air.cell_m:g} m that flights are planned in"
        return code, _begin(f"{_called(place)} lies {told}.")
    floor_agl, roof_agl = lowest - place.up_m, roof - place.up_m
    told = (
        f"Over {_called(place)} the rules leave no height: keeping {rules.clearance_m:g} m from everything takes "
        f"{floor_agl:.1f} m over the pad, and the ceiling ({rules.ceiling_above_terrain_m:g} m over the ground, less "
        f"{rules.half_height_m:g} m for the corridor) allows {roof_agl:.1f} m"
    )
    if lowest > roof:
        return f"{kind}_UNDER_FLOOR", f"{told}: {lowest - roof:.1f} m too little."
    return (
        f"{kind}_UNDER_FLOOR",
        f"{told}: the {roof - lowest:.1f} m between hold no whole layer of the {air.cell_m:g} m that flights are "
        "planned in.",
    )


def _named(zones: Sequence[GeoZone], opens: Relaxation | None, departure_s: float) -> str:
    """The zones that the relaxation names; all in force where it names none."""
    kind, _, ids = ("", "", "") if opens is None else opens.constraint.partition(":")
    chosen = ids.split(",") if kind in ("zone", "zones") else [zone.id for zone in zones]
    return listed([zone_words(zone, departure_s) for zone in zones if zone.id in chosen])


def _enclosed(air: Air, place: Place, found: Sides) -> str:
    area = found.columns * air.cell_m**2
    return (
        f"The free air around {_called(place)} is a pocket of {area:,.0f} m2 ({found.columns:,} columns of "
        f"{air.cell_m:g} m) and {found.voxels * air.cell_m**3:,.0f} m3: obstacles and the ceiling close it off from "
        "everything else."
    )


def _separated(air: Air, one: Place, other: Place, side: Place, found: Sides) -> str:
    area = found.columns * air.cell_m**2
    return (
        f"Obstacles and the ceiling part {_called(one)} from {_called(other)}, as far as ways are looked for (600 m "
        f"around the box of all places): the air on the side of {_called(side)} covers {area:,.0f} m2."
    )


def _begin(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
