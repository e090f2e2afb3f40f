"""Another way and another time at once: the first arrival among the neighbours of a plan, by safe intervals.

The search (`utm.core.SafeIntervalPlanner`) runs over blocks of planning voxels at one speed over the ground, and keeps
off every neighbour by what the exact test asks and a little more. What it finds is a draft. That is drawn as level
legs and vertical steps through the fine flight space, timed as it is flown (`time_path`), and departs at the first
whole second at which the exact test finds nobody. So what is granted does not rest on the draft; only how good it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.airspace.case import Case, Option, since, until
from utm.airspace.drafts import blocks, merged, off, pace, stretches
from utm.airspace.places import Place, Refusal, check_zone, column_top
from utm.airspace.routing import Route
from utm.airspace.space import Sky
from utm.airspace.ways import ways_through
from utm.airspace.zones import in_the_way
from utm.core import (
    SafeIntervalPlanner,
    corner_triangles,
    corners_only,
    flight_time_s,
    flyable,
    time_path,
    tube_of,
    turns_clear,
)
from utm.core.levels import STOP_S
from utm.core.sight import segments_clear
from utm.errors import CannotFly, NoPath
from utm.model import Corridor, OperationalIntent, Trajectory

#: Planning voxels to a side of a block of the search. With 3 it takes three times as long and arrives some seconds
#: sooner, where the time is not that of the pads.
_BLOCK = 4
#: How far beyond the asked way another is looked for (metres), and by how much longer than that it may take (seconds).
_ASIDE_M = 256.0
_LONGER_S = 20.0
#: What departs late by another way must arrive sooner than what was found otherwise by more than the rounding of
#: departures to whole seconds.
_GAIN_S = 2.0
#: Departures are searched in slices of this length (seconds). All at once took up to a hundred times as long: whatever
#: could arrive before the destination is free again is then looked at, for every time at which it could depart. With 5
#: seconds, ways are missed that take longer: the slice and `_LONGER_S` together bound how much.
_SLICE_S = 20.0
#: Bounds, all of them counts, so that a decision can be replayed: neighbours kept off in the search (the exact test
#: looks at everybody), slices of departures, and ways that are timed and tested while one is made shorter.
_MOST_NEIGHBOURS = 128
_MOST_SEARCHES = 16
_MOST_TRIALS = 8
#: What neighbours are kept off by beyond the exact test, in turn: seconds. A stop or a slow turn comes to so much. The
#: second is tried where the first arrives by more than this later than its draft says.
_ALLOWANCES_S = (2.0, 8.0)
_AS_DRAFTED_S = 5.0
#: How far, in blocks, a draft may be moved when its corners are thinned out.
_THINNED = 0.75
#: A place that is closed at times is one that somebody rests on, who keeps others off by so little (metres).
_SPOT_M = 1e-3
#: Seconds by which the latest departure is open; numbers from here on are of such spots.
_HAIR_S = 1e-3
_NUMBER_OF_SPOTS = 1 << 20


def safe_way(case: Case, asked: Option, sooner_than_s: float) -> Option | None:
    """The way and departure of the first arrival, where that is 2 s or more before a given time; else another way of
    which the departure is the asked one, whenever it arrives. It meets nobody by the exact test and keeps every rule.

    Args:
        asked: the way of the wish at the earliest departure that is still to come.
        sooner_than_s: the arrival of the best that was found otherwise (Unix seconds; infinite where nothing was).

    Returns:
        None where no such way was found: over windows that are long and for plans with way points none is looked for,
        and what is free only between blocks of voxels, or is flown otherwise than at an even speed, may be missed.
    """
    if case.plan.waypoints or case.skies.is_long(case.places):
        return None
    try:
        search = _Search(case, asked, sooner_than_s)
    except (Refusal, CannotFly):
        return None
    return search.best()


class _Search:
    """The blocks around one asked way, and whoever flies there meanwhile.

    Raises:
        Refusal: a pad that a zone closes, or from which no block is reached.
        CannotFly: the wind is too strong in a column.
    """

    def __init__(self, case: Case, asked: Option, sooner_than_s: float) -> None:
        self.case, self.asked, self.plan = case, asked, case.plan
        self.wind = case.situation.conditions.wind
        self._took_s = asked.line.end_s - asked.departure_s
        self._sooner_s = min(sooner_than_s - _GAIN_S, self.plan.latest_departure_s + self._took_s + _LONGER_S)
        self._until_s = max(self._sooner_s, asked.line.end_s + _LONGER_S)
        tolerance = case.rules.time_tolerance_s
        self.zones = in_the_way(
            case.situation.zones, self.plan, asked.departure_s - tolerance, self._until_s + tolerance
        )
        self.sky = case.skies.sky(case.places, self.zones)
        self._objects = case.skies.sky(case.places).space
        self.space = self.sky.space
        self.blocks = blocks(self.space, asked.route.points_m, _BLOCK, _ASIDE_M)
        self.ends = [self._end(place) for place in (case.places[0], case.places[-1])]
        self._check_zones()
        self.others = self._others()
        self._columns = self._columns_at(asked.departure_s)
        self._shut = [merged(self._closed(column)) for column in self._columns]
        self._kept: float | None = None

    @cached_property
    def planner(self) -> SafeIntervalPlanner:
        """Made only where some slice is open: reservations take most of the time of a short search."""
        aircraft = self.plan.aircraft
        made = SafeIntervalPlanner(
            self.blocks.blocked,
            self.blocks.cell_m,
            cruise_m_s=pace(self.asked, aircraft),
            climb_m_s=aircraft.climb_m_s,
            descent_m_s=aircraft.descent_m_s,
            hover=False,
            stop_s=STOP_S / 2,
            origin_m=self.blocks.origin_m,
        )
        # Nobody leaves the start or reaches the goal when the column or the pad is another's.
        number = itertools.count(_NUMBER_OF_SPOTS + 1)
        for shut, offset, (cell, _) in zip(self._shut, self._offsets, self.ends, strict=True):
            spot = self.blocks.centre(cell)
            for span in self.asked.departure_s + offset + shut:
                made.reserve(next(number), Trajectory(span, [spot, spot]), _SPOT_M, _SPOT_M)
        return made

    @property
    def _offsets(self) -> tuple[float, float]:
        """From the beginning of a column until the search begins; from where it ends until a column begins (less
        than 0). Between a column and a level leg a flight stands: half of what a step costs."""
        return self._climb_s + STOP_S / 2, -STOP_S / 2

    def _end(self, place: Place) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The block (3,) at which the search begins or ends over a pad, and the place (3,) over the pad that is level
        with it: the lowest of the nearest of which both the column and the level leg are clear."""
        top = column_top(self.space, place)
        near = np.floor(self.blocks.to_grid(top)).astype(np.int64)
        sides = [near[n] + np.arange(-1, 2) for n in (0, 1)]
        cells = np.array(list(itertools.product(*sides, range(self.blocks.blocked.shape[2]))))
        cells = cells[((cells >= 0) & (cells < self.blocks.blocked.shape)).all(axis=1)]
        cells = cells[~self.blocks.blocked[tuple(cells.T)]]
        centres = self.blocks.centre(cells)
        over = np.column_stack([np.broadcast_to(top[:2], (len(cells), 2)), centres[:, 2]])
        tops = np.broadcast_to(top, over.shape)
        clear = self._clear(tops, over) & self._clear(over, centres)
        if not clear.any():
            raise Refusal("NO_ROUTE", f"Over the {place.name} the air is too narrow for a search by blocks.")
        away = np.where(clear, np.abs(over[:, 2] - top[2]) + np.hypot(*(centres - over)[:, :2].T), math.inf)
        best = int(away.argmin())
        return cells[best], over[best]

    def _check_zones(self) -> None:
        columns = self.case.skies.columns(self.case.places)
        for place, (_, top) in zip((self.case.places[0], self.case.places[-1]), self.ends, strict=True):
            for zone in self.zones:
                check_zone(columns, place, float(top[2]), zone, self.case.skies.kept_out(zone, self.case.places))

    def _others(self) -> list[OperationalIntent]:
        """Whoever is in the window while the search may be: those that begin first, where they are many."""
        size = np.array(self.blocks.blocked.shape) * self.blocks.cell_m
        middle = self.blocks.origin_m + size / 2
        begin = self.asked.departure_s
        rest = Trajectory([begin, self._until_s], [middle, middle])
        room, rules = float(np.hypot(*size[:2])) / 2, self.case.rules
        around = Corridor(rest, room, size[2], size[2], rules.time_tolerance_s, rules.pad_hold_s, self.asked.route.tube)
        near = self.case.near(Option(self.asked.route, around))
        return sorted(near, key=lambda other: (other.corridor.centre_line.start_s, other.id))[:_MOST_NEIGHBOURS]

    def _columns_at(self, departure_s: float) -> tuple[Option, Option]:
        """Climb and landing as flights of their own that begin at a time, each with the hold of its pad."""
        hold, tube = self.case.rules.pad_hold_s, self.asked.route.tube
        lines = []
        for place, (_, top), up in zip(
            (self.case.places[0], self.case.places[-1]), self.ends, (True, False), strict=True
        ):
            pieces = np.array([place.enu_m, top] if up else [top, place.enu_m])
            lines.append(time_path(pieces, self.plan.aircraft, departure_s, self.wind))
        self._climb_s, self._landing_s = (float(np.ptp(line.t_s)) for line in lines)
        climb, landing = (self.case.room(line, tube, hold) for line in lines)
        climb, landing = until(climb, lines[0].end_s), since(landing, lines[1].start_s)
        return Option(self.asked.route, climb), Option(self.asked.route, landing)

    def _closed(self, column: Option) -> Iterator[tuple[float, float]]:
        """Delays of a column, within the time that is searched, at which it would meet somebody."""
        last = self._until_s - self.asked.departure_s
        for other in self.others:
            tolerance = self.case.tolerance(column, other)
            for begin, end in self.case.forbidden(column, other):
                if begin - tolerance < last and end + tolerance > 0.0:
                    yield max(begin - tolerance, -last), min(end + tolerance, 2 * last)

    def best(self) -> Option | None:
        """What departs as asked, or, slice by slice, what arrives before all that was found so far."""
        begin, latest = self.asked.departure_s, self.plan.latest_departure_s
        on_time = self._first(begin, begin, math.inf)
        best, arrival_s, searches = on_time, self._sooner_s, 0
        if on_time is not None:
            arrival_s = min(arrival_s, on_time.line.end_s)
        while searches < _MOST_SEARCHES and begin + self._took_s < arrival_s and begin < latest:
            end = min(begin + _SLICE_S, latest)
            if self._open(begin, end):
                searches += 1
                found = self._first(begin, end, arrival_s)
                if found is not None:
                    best, arrival_s = found, found.line.end_s
            begin = end
        return best

    def _open(self, begin_s: float, end_s: float) -> bool:
        """Whether both columns are free at some time at which who departs in a slice would use them."""
        first_s = self._took_s - self._landing_s
        slices = (begin_s, end_s), (begin_s + first_s, end_s + first_s + _LONGER_S)
        return not any(
            ((shut[:, 0] <= begin - self.asked.departure_s) & (shut[:, 1] >= end - self.asked.departure_s)).any()
            for shut, (begin, end) in zip(self._shut, slices, strict=True)
        )

    def _first(self, begin_s: float, end_s: float, sooner_than_s: float) -> Option | None:
        """What departs in a slice and arrives first, before a time."""
        if not self._open(begin_s, end_s):
            return None
        best = None
        arrival_s = min(sooner_than_s, end_s + self._took_s + _LONGER_S)
        landing_s = self._landing_s + STOP_S / 2
        for allowance_s in _ALLOWANCES_S:
            self._keep_off(allowance_s)
            draft = self._draft(begin_s, end_s, arrival_s - landing_s)
            if draft is None:
                break
            points, drafted_s = draft
            found = self._shortened(self._thinned(points), end_s)
            if found is not None and found[1].line.end_s < min(arrival_s, sooner_than_s):
                best, arrival_s = found, found[1].line.end_s
                if arrival_s < drafted_s + landing_s + _AS_DRAFTED_S:
                    break
        return None if best is None else self._granted(*best)

    def _keep_off(self, allowance_s: float) -> None:
        if self._kept == allowance_s:
            return
        for number, other in enumerate(self.others):
            if self._kept is not None:
                self.planner.release(number)
            across, up = self.case.apart(self.asked, other)
            tolerance = self.case.tolerance(self.asked, other) + allowance_s
            moved = _THINNED * self.blocks.cell_m
            self.planner.reserve(number, other.corridor.occupied, across + moved, up, tolerance)
        self._kept = allowance_s

    def _draft(self, begin_s: float, end_s: float, arrival_s: float) -> tuple[NDArray[np.float64], float] | None:
        """Level legs and vertical steps (n, 3) from over the origin to over the destination, and the arrival there."""
        (start, over_start), (goal, over_goal) = self.ends
        spot, offset = self.blocks.centre(start), self._offsets[0]
        after = Trajectory([end_s + offset + _HAIR_S, self._until_s + 1e4], [spot, spot])
        self.planner.reserve(_NUMBER_OF_SPOTS, after, _SPOT_M, _SPOT_M)
        try:
            path = self.planner.path(start, goal, begin_s + offset, arrival_s)
        except NoPath:
            return None
        finally:
            self.planner.release(_NUMBER_OF_SPOTS)
        return np.vstack([over_start, path.corners()[0], over_goal]), path.arrival_s

    def _thinned(self, points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The same with as few corners as stay within reach of it, in the clear."""
        way: list[NDArray[np.float64]] = []
        reach = _THINNED * self.blocks.cell_m

        def thin(stretch: NDArray[np.float64]) -> list[NDArray[np.float64]]:
            if len(stretch) == 2:
                return [stretch[0], stretch[1]]
            away, worst = off(stretch)
            if away <= reach and self._clear(stretch[:1], stretch[-1:])[0]:
                return [stretch[0], stretch[-1]]
            return thin(stretch[: worst + 1])[:-1] + thin(stretch[worst:])

        for stretch in stretches(points):
            way += thin(stretch)
        return way

    def _shortened(
        self, way: list[NDArray[np.float64]], latest_s: float
    ) -> tuple[list[NDArray[np.float64]], Option] | None:
        """The way with every corner left out without which it arrives no later, and its flight; None where it cannot
        be flown."""
        flight = self._flight(way, latest_s)
        if flight is None:
            return None
        best, trials = flight, 0

        def shorten(before: list, stretch: list, after: list) -> list:  # type: ignore[type-arg]
            nonlocal best, trials
            if len(stretch) == 2:
                return stretch
            ends = [stretch[0], stretch[-1]]
            if trials < _MOST_TRIALS and self._clear(ends[0][None], ends[1][None])[0]:
                trials += 1
                flight = self._flight(before + ends + after, latest_s)
                if flight is not None and flight.line.end_s <= best.line.end_s:
                    best = flight
                    return ends
            worst = off(np.array(stretch))[1]
            left = shorten(before, stretch[: worst + 1], stretch[worst + 1 :] + after)
            return left[:-1] + shorten(before + left[:-1], stretch[worst:], after)

        parts = [list(stretch) for stretch in stretches(np.array(way))]
        for n, part in enumerate(parts):
            parts[n] = shorten(list(itertools.chain(*parts[:n])), part, list(itertools.chain(*parts[n + 1 :])))
        return list(itertools.chain(*parts)), best

    def _corners(self, way: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return corners_only(np.vstack([self.case.places[0].enu_m, *way, self.case.places[-1].enu_m]))

    def _flight(self, way: list[NDArray[np.float64]], latest_s: float) -> Option | None:
        """A way at its first departure at which it meets nobody; None where it is not clear, or there is none."""
        corners, aircraft = self._corners(way), self.plan.aircraft
        try:
            line = time_path(corners, aircraft, self.asked.departure_s, self.wind)
            triangles = corner_triangles(corners, aircraft, self.wind)
        except CannotFly:
            return None
        if not (self._clear(corners[1:-2], corners[2:-1]).all() and turns_clear(self._objects, triangles).all()):
            return None
        tube, hold = tube_of(corners, aircraft, self.wind), self.case.rules.pad_hold_s
        option = Option(self.asked.route, self.case.room(line, tube, hold))
        wait = self.case.wait(option, latest_s - self.asked.departure_s)
        if self.asked.departure_s + wait > latest_s:
            return None
        return Option(self.asked.route, self.case.room(line.delayed(wait), tube, hold)) if wait else option

    def _granted(self, way: list[NDArray[np.float64]], flight: Option) -> Option | None:
        """The option of a way and its departure, if it can be flown and meets nobody."""
        corners, plan = self._corners(way), self.plan
        try:
            energy = flyable(corners, plan.aircraft, self.wind)
        except CannotFly:
            return None
        asked, columns = self.asked.route, self.case.skies.columns(self.case.places)
        ways = ways_through(Sky(self.space), columns, self.case.skies, plan, self.case.situation.conditions)
        route = Route(
            points_m=corners,
            flight_s=flight_time_s(corners, plan.aircraft, self.wind),
            expansions=asked.expansions,
            zones=tuple(zone.id for zone in self.zones),
            objective=plan.objective,
            cost=ways.cost(corners[1:-1]),
            straight_m=asked.straight_m,
            energy=energy,
            tube=flight.corridor.tube,
            wind=self.wind,
            voxel_m=self.space.cell_m,
        )
        line = route.timed(plan, flight.departure_s)
        option = Option(route, self.case.room(line, route.tube, self.case.rules.pad_hold_s))
        return None if self.case.met(option) else option

    def _clear(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.bool_]:
        return segments_clear(self.space.blocked, self.space.to_grid(starts), self.space.to_grid(ends))
