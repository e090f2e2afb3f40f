"""One plan before one situation: ways at departure times, and whom they meet.

A plan is held against everybody, or against whoever does not have to make way for it: flights of the same or a higher
priority, those that left what they were granted, and of the others in the air what they fly before they can react.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place
from utm.airspace.routing import Route, find_route
from utm.airspace.situation import REACTION_S, Situation
from utm.airspace.zones import in_the_way
from utm.core import KeepOut, apart, closest_approach, forbidden_delays, least_delay
from utm.core.conflict import MARGIN_S
from utm.model import Corridor, FlightPlan, GeoZone, IntentState, OperationalIntent, RuleSet, Trajectory, Tube

#: Bound of the search for a delay: a count, never a clock, so that a decision can be replayed.
MOST_DELAYS = 200
#: How far ahead neighbours are looked for first when a delay is sought, and by how much farther each time after.
_WINDOW_S = 600.0
_WIDER = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """A way and a time, and the room that it would take."""

    route: Route
    corridor: Corridor

    @property
    def line(self) -> Trajectory:
        """The way, timed."""
        return self.corridor.centre_line

    @property
    def departure_s(self) -> float:
        """When it leaves its pad (Unix seconds)."""
        return self.corridor.centre_line.start_s

    def more(self, other: Option) -> tuple[float, float]:
        """How much more energy (Wh) and length (m) another option takes."""
        energy = other.route.energy.used_wh - self.route.energy.used_wh
        return energy, other.route.length_m - self.route.length_m


class Case:
    """One plan before one situation, with the ways found so far."""

    def __init__(self, situation: Situation, plan: FlightPlan, places: tuple[Place, ...]) -> None:
        self.situation, self.plan, self.places = situation, plan, places
        #: The air for this aircraft: with corridors as wide and as high as its error budget asks.
        self.skies = situation.skies.for_aircraft(plan.aircraft)
        self._routes: dict[tuple, Route] = {}
        #: What the last way was kept out of, also when there was none.
        self.closed: tuple[GeoZone, ...] = ()
        self._takes = False

    def taking(self) -> Case:
        """The same case, with the ways found so far, held only against those who do not have to make way for it."""
        other = copy.copy(self)
        other._takes = True
        return other

    @property
    def rules(self) -> RuleSet:
        """Those for this aircraft."""
        return self.skies.rules

    def free_flight(self, departure_s: float, *, raise_m: float = 0.0, around: tuple[KeepOut, ...] = ()) -> Option:
        """The way at a departure time, around the zones in force while it is flown, neighbours ignored.

        Which zones count depends on how long the flight takes, and that on the zones; the set only grows, so this ends.

        Raises:
            Refusal, CannotFly: as `find_route`.
        """
        blocking: frozenset[str] = frozenset()
        duration = 0.0
        while True:
            zones = in_the_way(self.situation.zones, self.plan, *self._window(departure_s, duration))
            grown = blocking | {zone.id for zone in zones}
            key = (grown, raise_m, tuple(id(part) for part in around))
            if key not in self._routes:
                self.closed = tuple(zone for zone in self.situation.zones if zone.id in grown)
                self._routes[key] = self._way(raise_m, around)
            route = self._routes[key]
            if duration > 0.0 and grown == blocking:
                return self._option(route, departure_s)
            blocking, duration = grown, max(duration, route.flight_s)

    def _window(self, departure_s: float, duration_s: float) -> tuple[float, float]:
        """From when to when a zone in force counts."""
        tolerance = self.rules.time_tolerance_s
        return departure_s - tolerance, departure_s + duration_s + tolerance

    def _way(self, raise_m: float, around: tuple[KeepOut, ...]) -> Route:
        conditions = self.situation.conditions
        return find_route(self.skies, self.plan, self.places, self.closed, conditions, raise_m=raise_m, around=around)

    def _option(self, route: Route, departure_s: float) -> Option:
        return Option(route, self.room(route.timed(self.plan, departure_s), route.tube, self.rules.pad_hold_s))

    def room(self, line: Trajectory, tube: Tube, pad_hold_s: float) -> Corridor:
        """The corridor that the rules give a line."""
        rules = self.rules
        room = rules.half_width_m, rules.half_height_m, rules.half_height_m
        return Corridor(line, *room, rules.time_tolerance_s, pad_hold_s, tube)

    def near(self, option: Option, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        """The live intents that an option might meet, at any delay up to ``later_s``, of those it is held against."""
        near = self.situation.traffic.near(option.corridor, later_s=later_s)
        if not self._takes:
            return near
        return tuple(held for other in near if (held := self._stays(other)) is not None)

    def beside(self, option: Option) -> tuple[OperationalIntent, ...]:
        """The live intents near an option once it is granted: all but those that it displaces."""
        near = self.situation.traffic.near(option.corridor)
        return tuple(other for other in near if not (self._takes and self.yields(other) and self.meets(option, other)))

    def yields(self, other: OperationalIntent) -> bool:
        """Whether a neighbour has to make way for this plan, as soon as it can."""
        able = other.state in (IntentState.ACCEPTED, IntentState.ACTIVATED)
        return able and other.plan.priority < self.plan.priority

    def _stays(self, other: OperationalIntent) -> OperationalIntent | None:
        """What of a neighbour's corridor it keeps; None where that is nothing."""
        if not self.yields(other):
            return other
        now_s, line = self.situation.now_s, other.corridor.centre_line
        if now_s < line.start_s:
            return None
        return dataclasses.replace(other, corridor=until(other.corridor, now_s + REACTION_S))

    def displaced(self, option: Option) -> tuple[OperationalIntent, ...]:
        """The neighbours that an option meets and that have to make way for it, by id."""
        near = self.situation.traffic.near(option.corridor)
        return tuple(other for other in near if self.yields(other) and self.meets(option, other))

    def forbidden(self, option: Option, neighbour: OperationalIntent) -> NDArray[np.float64]:
        """(k, 2) delays of a flight at which it comes too near to a neighbour, time tolerances not yet added."""
        occupied = option.corridor.occupied
        return forbidden_delays(neighbour.corridor.occupied, occupied, *self.apart(option, neighbour))

    def apart(self, option: Option, neighbour: OperationalIntent) -> tuple[float, float]:
        """How far the two centre lines must be apart, horizontally or else vertically (metres): the room of both
        corridors, the tubes of what is flown around both lines, and the separation."""
        return self._apart(option, neighbour)[:2]

    def tolerance(self, option: Option, neighbour: OperationalIntent) -> float:
        """How much the two together may be off their times (seconds)."""
        return self._apart(option, neighbour)[2]

    def _apart(self, option: Option, neighbour: OperationalIntent) -> tuple[float, float, float]:
        rules = self.rules
        return apart(option.corridor, neighbour.corridor, rules.separation_horizontal_m, rules.separation_vertical_m)

    def met(self, option: Option) -> tuple[OperationalIntent, ...]:
        """The neighbours that a flight would come too near to."""
        return tuple(other for other in self.near(option) if self.meets(option, other))

    def meets(self, option: Option, other: OperationalIntent) -> bool:
        """Whether a flight would come too near to somebody."""
        return least_delay(self.forbidden(option, other), self.tolerance(option, other)) > 0.0

    def wait(self, option: Option, limit_s: float = math.inf) -> float:
        """The least further delay (whole seconds) after which a flight meets no neighbour; 0 when it meets none now.

        Exact up to ``limit_s``; beyond it, more than that. Neighbours are looked for in windows of time that grow,
        and a delay counts once it lies within the window.
        """
        window, delay, tries = _WINDOW_S, 0.0, 0
        parts: dict[str, tuple[NDArray[np.float64], float]] = {}
        while True:
            for other in self.near(option, later_s=min(window, limit_s)):
                if other.id not in parts:
                    parts[other.id] = (self.forbidden(option, other), self.tolerance(option, other))
            while True:
                # Each neighbour asks for its own least delay beyond the present one; the largest is tried next.
                asked = (least_delay(shifts - delay, tolerance) for shifts, tolerance in parts.values())
                needed = max(asked, default=0.0)
                if needed == 0.0 or delay > limit_s:
                    break
                delay, tries = math.ceil(delay + needed), tries + 1
                if tries == MOST_DELAYS:
                    return math.inf
            if delay <= window or delay > limit_s:
                return delay
            window = max(window * _WIDER, delay)

    def meeting(self, option: Option, neighbour: OperationalIntent) -> tuple[float, float]:
        """Least horizontal distance to a neighbour while too near vertically, and when; (inf, nan) if never."""
        return closest_approach(
            option.corridor.occupied,
            neighbour.corridor.occupied,
            self.apart(option, neighbour)[1],
            # Forbidden delays are widened by a hair: whoever is `met` by that hair must be found here, too.
            self.tolerance(option, neighbour) + 2 * MARGIN_S,
        )


def until(corridor: Corridor, end_s: float) -> Corridor:
    """What of a corridor is used before a time; it does not rest at its end. All of it where it ends before."""
    line = corridor.occupied
    if end_s >= line.end_s:
        return corridor
    before = line.t_s < end_s
    times = np.append(line.t_s[before], end_s)
    places = np.vstack([line.enu_m[before], line.at(end_s)])
    return dataclasses.replace(corridor, centre_line=Trajectory(times, places), pad_hold_s=0.0)


def since(corridor: Corridor, begin_s: float) -> Corridor:
    """What of a corridor is used after a time; it does not rest at its beginning. All of it where it begins after."""
    line = corridor.occupied
    if begin_s <= line.start_s:
        return corridor
    after = line.t_s > begin_s
    times = np.concatenate([[begin_s], line.t_s[after]])
    places = np.vstack([line.at(begin_s), line.enu_m[after]])
    return dataclasses.replace(corridor, centre_line=Trajectory(times, places), pad_hold_s=0.0)
