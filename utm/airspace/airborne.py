"""A flight in the air before one situation: what it still flies as granted, where it stops, and ways on from there.

Until ``from_s`` nothing can be changed. Until ``brake_s``, then or later, the flight keeps to its granted line; there
it brakes, along that line, with its acceleration and limited jerk, and from rest it flies on by another way. While it
brakes its place is planned as if it came to the knot of that motion on straight pieces; the error of that is part of
the tube. It is rest that a new way begins from: PX4 holds when its mission is exchanged (docs/px4.md).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.braking import braking, first_at
from utm.airspace.case import Case, Option
from utm.airspace.holding import waits_in_the_air
from utm.airspace.landingsites import Surroundings
from utm.airspace.places import Place, Refusal, check_room, check_zone, column_top, in_flight, resolve
from utm.airspace.routing import Route, raised
from utm.airspace.situation import Situation
from utm.airspace.underway import part, travelled_m
from utm.airspace.ways import ways_through
from utm.core import (
    Columns,
    FlightSpace,
    KeepOut,
    corners_only,
    flight_energy,
    power_w,
    segment_clear,
)
from utm.core.trajectory import planned_legs
from utm.core.tube import corner_triangles, tube_of
from utm.core.turns import turns_clear
from utm.errors import CannotFly, NoPath
from utm.model import Corridor, OperationalIntent, Trajectory, Tube

#: `planned_legs` counts from a pad: a column of this height below the place where a way begins stands for it.
_BELOW_M = 5.0
#: Nearer than this to a column, level, is in it.
_SAME_M = 1e-3
#: How far sideways the way out of a closed part is looked for.
_OUT_M = 400.0
#: How often a way is sought again, farther from everything, because a turn would leave the clear air.
_MOST_GROWTHS = 4


@dataclass(frozen=True, slots=True, eq=False)
class AirborneOption(Option):
    """A way on from where the flight stops. Its corridor begins where the flight can be changed."""

    leaves_s: float
    """When it leaves the place where it stopped."""

    @property
    def departure_s(self) -> float:
        return self.leaves_s


class AirborneCase(Case):
    """An intent in the air, before one situation, on its way to its destination or another place.

    Args:
        situation: its traffic without the intent itself.
        from_s: Unix seconds, before which nothing can be changed; on the granted line.
        brake_s: when it begins to brake, not before that.
        goal: where it is to land, other than where it meant to.

    Raises:
        ValueError: the flight is over, or has not begun, by then.
        PlanError: it waits in the air, and its destination is no pad on this map any more.
    """

    def __init__(
        self,
        situation: Situation,
        intent: OperationalIntent,
        from_s: float,
        *,
        brake_s: float | None = None,
        goal: Place | None = None,
    ) -> None:
        line = intent.corridor.centre_line
        brake_s = from_s if brake_s is None else brake_s
        if not line.start_s <= from_s <= brake_s < line.end_s:
            raise ValueError(f"{intent.id} is not in the air at {from_s} and at {brake_s}")
        self.intent, self.from_s = intent, from_s
        #: Whether a zone that counts holds the place of the stop; known once a way was looked for.
        self.in_zone = False
        stopping, self._off_m = braking(line, brake_s, intent.plan.aircraft.acceleration_m_s2)
        self._kept = [*([part(line, from_s, brake_s)] if brake_s > from_s + 1e-3 else []), stopping]
        self.stop_s, stop_m = stopping.end_s, stopping.enu_m[-1]
        flown = part(line, line.start_s, brake_s).enu_m if brake_s > line.start_s + 1e-3 else line.enu_m[:1]
        self._flown_m = corners_only(np.vstack([flown, stopping.enu_m]))
        places = [_place("position", stop_m)]
        if goal is None:
            places += _ahead(situation, intent, self.stop_s)
        #: Where the air is clear down to the ground.
        self._pads = [line.enu_m[0]]
        if goal is None and waits_in_the_air(intent, situation.skies.city_map):
            goal = resolve(situation.skies.city_map, intent.plan)[-1]
        elif goal is None:
            goal = _place("destination", line.enu_m[-1])
            self._pads.append(line.enu_m[-1])
        super().__init__(situation, intent.plan, (*places, goal))

    # --- ways ----------------------------------------------------------------------------------------------

    def _way(self, raise_m: float, around: tuple[KeepOut, ...]) -> Route:
        if self.skies.is_long(self.places):
            return self._as_granted(raise_m, around)
        grown_m, tried = 0.0, 0
        for _ in range(_MOST_GROWTHS):
            objects, corners, more, cost = self._through(raise_m, around, grown_m)
            tried += more
            turns = corner_triangles(self._begun(corners), self.plan.aircraft, self.situation.conditions.wind)
            broken = turns[~turns_clear(objects, turns)]
            if len(broken) == 0:
                return self._route(corners, tried, cost)
            grown_m = max(2 * grown_m, self.skies.cell_m)
        raise Refusal("NO_ROOM_TO_TURN", "A way leads there, but not with room for its turns.")

    def _as_granted(self, raise_m: float, around: tuple[KeepOut, ...]) -> Route:
        """What is left of the granted line: all that is looked for over windows too large to hold."""
        line = self.intent.corridor.centre_line
        left = corners_only(np.vstack([part(line, self._at_s, line.end_s).enu_m]))
        surroundings = Surroundings(self.skies, self.places, left, self.closed)
        if raise_m > 0.0 or around or surroundings.crossed(left, self.closed) is not None:
            raise Refusal("TOO_FAR_TO_WEIGH", "So far from its destination no other way is looked for.")
        if math.dist(left[-1][:2], self.places[-1].enu_m[:2]) > _SAME_M:
            raise Refusal("TOO_FAR_TO_WEIGH", "So far from there no way is looked for.")
        return self._route(left, 0, float(np.linalg.norm(np.diff(left, axis=0), axis=1).sum()))

    def _through(
        self, raise_m: float, around: tuple[KeepOut, ...], grown_m: float
    ) -> tuple[FlightSpace, NDArray[np.float64], int, float]:
        """The space of objects and ceiling, and corners from the stop to the landing, voxels tried, cost."""
        skies, places, conditions = self.skies, self.places, self.situation.conditions
        columns, objects = skies.columns(places), skies.sky(places).space
        outs = [skies.kept_out(zone, places) for zone in self.closed]
        sky = raised(skies, places, self.closed, grown_m, raise_m, around)
        space = sky.space
        landing, goal = column_top(space, places[-1]), places[-1]
        check_room(columns, goal, skies.rules.pad_radius_m)
        for zone, out in zip(self.closed, outs, strict=True):
            check_zone(columns, goal, goal.up_m, zone, out)
            check_zone(columns, goal, landing[2], zone, out)
        self.in_zone = any(_within(columns, out, places[0]) for out in outs)
        start = self._entry(objects, space)
        stations = [start, *(in_flight(space, place) for place in places[1:-1]), landing]
        ways = ways_through(sky, columns, skies, self.plan, conditions)
        legs, tried = [places[0].enu_m[None], start[None]], 0
        for here, there in itertools.pairwise(stations):
            try:
                leg, more = ways.leg(here, there)
            except NoPath as error:
                raise Refusal("NO_ROUTE", "No way leads there from where the flight is.") from error
            legs.append(leg)
            tried += more
        corners = corners_only(np.vstack([*legs, goal.enu_m[None]]))
        return objects, corners, tried, ways.cost(np.vstack(legs[2:]))

    def _entry(self, objects: FlightSpace, space: FlightSpace) -> NDArray[np.float64]:
        """Where the way from the stop enters the free part of the space: there, straight above or below, or level.

        A zone or a neighbour may have closed the air around a flight that is in it already: it leaves by the shortest
        straight way that is clear of objects.
        """
        stop = self.places[0]
        if any(math.dist(stop.enu_m[:2], pad[:2]) <= _SAME_M for pad in self._pads):
            return column_top(space, stop)  # over a pad the column is clear, up to where the space begins
        if not space.contains(stop.enu_m) or objects.blocked[tuple(objects.voxel(stop.enu_m))]:
            raise Refusal("POSITION_CLOSED", "Where the flight stops the rules leave no air.")
        here = space.voxel(stop.enu_m)
        if not space.blocked[tuple(here)]:
            return stop.enu_m
        reach = math.ceil(_OUT_M / space.cell_m)
        low = np.maximum(here - reach, 0)[:2]
        level = ~space.blocked[low[0] : here[0] + reach + 1, low[1] : here[1] + reach + 1, here[2]]
        beside = np.argwhere(level) + low
        upright = np.flatnonzero(~space.blocked[here[0], here[1]])
        found = [np.array([*stop.enu_m[:2], space.centre([0, 0, k])[2]]) for k in upright]
        found += [np.array([*space.centre([i, j, 0])[:2], stop.up_m]) for i, j in beside]
        found.sort(key=lambda place: float(np.linalg.norm(place - stop.enu_m)))
        for place in found:
            if segment_clear(objects.blocked, objects.to_grid(stop.enu_m), objects.to_grid(place)):
                return place
        raise Refusal("POSITION_CLOSED", "From where the flight stops no straight way leads out of what is closed.")

    def _begun(self, corners_m: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.vstack([corners_m[0] - (0.0, 0.0, _BELOW_M), corners_m])

    def _route(self, corners_m: NDArray[np.float64], tried: int, cost: float) -> Route:
        """Raises CannotFly where the whole flight takes more than the aircraft has."""
        aircraft, wind = self.plan.aircraft, self.situation.conditions.wind
        begun = self._begun(corners_m)
        flight_s = sum(sum(leg.phases_s) for leg in planned_legs(begun, aircraft, wind)[1:])
        return Route(
            points_m=corners_m,
            flight_s=flight_s,
            expansions=tried,
            zones=tuple(zone.id for zone in self.closed),
            objective=self.plan.objective,
            cost=cost,
            straight_m=float(math.dist(corners_m[0, :2], corners_m[-1, :2])),
            energy=flight_energy(corners_only(np.vstack([self._flown_m, corners_m])), aircraft, wind),
            tube=tube_of(begun, aircraft, wind),
            wind=wind,
            voxel_m=self.skies.cell_m,
        )

    def _window(self, departure_s: float, duration_s: float) -> tuple[float, float]:
        return self.from_s - self.rules.time_tolerance_s, super()._window(departure_s, duration_s)[1]

    # --- times ---------------------------------------------------------------------------------------------

    def _option(self, route: Route, departure_s: float) -> AirborneOption:
        """Raises CannotFly where the aircraft has not the battery or the time for it, waiting included."""
        aircraft, wind, line = self.plan.aircraft, route.wind, self.intent.corridor.centre_line
        waited = departure_s - self.stop_s
        needed = route.energy.used_wh + waited / 3600.0 * float(power_w(aircraft, 0.0, 0.0))
        if needed > route.energy.usable_wh:
            raise CannotFly("the battery does not last", limit="energy", needed=needed, allowed=route.energy.usable_wh)
        times, places = [kept.t_s for kept in self._kept], [kept.enu_m for kept in self._kept]
        if waited > 1e-3:
            times.append(np.array([departure_s]))
            places.append(route.points_m[:1])
        now = times[-1][-1]
        for leg in planned_legs(self._begun(route.points_m), aircraft, wind)[1:]:
            took, gone, _ = leg.knots()
            times.append(now + took)
            places.append(leg.start_m + gone[:, None] * leg.direction)
            now = times[-1][-1]
        if now - line.start_s > aircraft.endurance_s:
            raise CannotFly(
                "it takes too long", limit="endurance", needed=now - line.start_s, allowed=aircraft.endurance_s
            )
        times.append(np.array([now + self.rules.pad_hold_s]))
        places.append(places[-1][-1:])
        along, where = np.concatenate(times), np.vstack(places)
        kept = np.concatenate([[True], np.diff(along) > 0])
        old = self.intent.corridor.tube
        tube = Tube(
            max(route.tube.horizontal_m, old.horizontal_m, self._off_m),
            max(route.tube.vertical_m, old.vertical_m, self._off_m),
        )
        return AirborneOption(route, self.room(Trajectory(along[kept], where[kept]), tube, 0.0), departure_s)

    def moving(self, option: AirborneOption) -> Option:
        """What of an option would be flown later if it waited longer where it stops."""
        line = option.corridor.centre_line
        return Option(option.route, self.room(part(line, option.leaves_s, line.end_s), option.corridor.tube, 0.0))

    def whole(self, option: AirborneOption) -> Corridor:
        """The new corridor from the first pad on: the granted part, what is kept of it, the new way."""
        line, rest = self.intent.corridor.centre_line, option.corridor.centre_line
        end_s = rest.end_s - self.rules.pad_hold_s
        before = line.t_s < self.from_s - 1e-3
        after = rest.t_s < end_s - 1e-3
        times = np.concatenate([line.t_s[before], rest.t_s[after], [end_s]])
        places = np.vstack([line.enu_m[before], rest.enu_m[after], rest.enu_m[-1:]])
        return self.room(Trajectory(times, places), option.corridor.tube, self.rules.pad_hold_s)

    @property
    def _at_s(self) -> float:
        """When the granted flight would be where this one stops."""
        line = self.intent.corridor.centre_line
        gone = travelled_m(line.enu_m)
        return float(np.interp(travelled_m(self._flown_m)[-1], gone, line.t_s))


def _place(name: str, enu_m: NDArray[np.float64]) -> Place:
    return Place(name, *(float(value) for value in enu_m))


def _within(columns: Columns, out: KeepOut, place: Place) -> bool:
    cell = tuple(np.floor((place.enu_m[:2] - columns.origin_m) / columns.cell_m).astype(int))
    lower, upper = (float(np.broadcast_to(limit, out.mask.shape)[cell]) for limit in (out.lower_m, out.upper_m))
    return bool(out.mask[cell]) and lower <= place.up_m <= upper


def _ahead(situation: Situation, intent: OperationalIntent, stop_s: float) -> list[Place]:
    """The plan's way points that the granted line has not passed by the time of the stop."""
    if not intent.plan.waypoints:
        return []
    line, passed = intent.corridor.centre_line, intent.corridor.centre_line.start_s
    found = []
    for place in resolve(situation.skies.city_map, intent.plan)[1:-1]:
        passed = first_at(line, place.enu_m, passed)
        if passed > stop_s:
            found.append(place)
    return found
