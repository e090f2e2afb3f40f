"""Grant or refuse: a pure function of (map, zones, live intents, rules, plan, now).

The wish is granted as asked when its way, flown at its earliest departure, keeps every rule and meets nobody. When it
would meet somebody, three kinds of change are worked out and the one that costs the least time of arrival is granted:
a later start, another height, another way. When nothing helps, the refusal carries the nearest plan that would be
granted, and that plan has been decided in full, not guessed.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.answer import relaxation_document
from utm.airspace.conditions import conditions_hash
from utm.airspace.documents import plan_document
from utm.airspace.places import PAD_TOLERANCE_M, Place, Refusal, resolve
from utm.airspace.routing import Route, clearances_of, find_route
from utm.airspace.space import Skies
from utm.airspace.volumes import volumes_of
from utm.airspace.why import why_not
from utm.airspace.zones import DAY_S, active_intervals, in_the_way, zone_hash
from utm.core import (
    Columns,
    KeepOut,
    closest_approach,
    forbidden_delays,
    least_delay,
)
from utm.core.conflict import MARGIN_S
from utm.errors import CannotFly, PlanError
from utm.model import (
    PLAIN,
    Change,
    Conditions,
    Corridor,
    Datum,
    Decision,
    FlightPlan,
    GeoZone,
    IntentState,
    OperationalIntent,
    Reason,
    Trajectory,
    Waypoint,
)

#: Bounds of the searches below: counts, never clocks, so that a decision can be replayed.
_MOST_DELAYS = 200
_MOST_HEIGHTS = 8
_MOST_DETOURS = 6
_MOST_LANDINGS = 24
#: How far a delivery may be moved to become possible, and how far from its old place to look first.
_LANDING_WITHIN_M = 600.0
#: A wish may have begun this long ago: an operator who files at five past for five past.
_PAST_S = 300.0
#: How long an alternative after a zone stays open, where the wish itself would be over by then.
_OPEN_FOR_S = 600.0
#: Of a neighbour's way, this much before and after the meeting is kept out of when another way is sought.
_MEETING_S = 45.0


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What a plan is judged against."""

    skies: Skies
    zones: tuple[GeoZone, ...]
    intents: tuple[OperationalIntent, ...]
    """Every live intent."""
    now_s: float
    conditions: Conditions = PLAIN


@dataclass(frozen=True, slots=True, eq=False)
class _Option:
    """A way and a time at which the flight meets nobody."""

    route: Route
    departure_s: float
    line: Trajectory


def decide(situation: Situation, plan: FlightPlan) -> Decision:
    """The decision on a plan.

    Raises:
        PlanError: the plan cannot be judged: off the map, departing in the past, inside a building.
    """
    if plan.latest_departure_s < situation.now_s:
        late = situation.now_s - plan.latest_departure_s
        raise PlanError(
            f"departure lies in the past, by {late:.0f} s",
            field="latest_departure",
            mend="Ask for a time that is still to come.",
        )
    if plan.earliest_departure_s < situation.now_s - _PAST_S:
        late = situation.now_s - plan.earliest_departure_s
        raise PlanError(
            f"departure lies in the past, by {late:.0f} s",
            field="earliest_departure",
            mend="Ask for a time that is still to come.",
        )
    # A wish that begins in the past but is open into the future begins now: at the next full second, so that an
    # alternative, which is published to the millisecond, is the very time that was decided on.
    plan_from = max(plan.earliest_departure_s, min(math.ceil(situation.now_s), plan.latest_departure_s))
    places = resolve(situation.skies.city_map, plan)
    case = _Case(situation, plan, places)
    try:
        asked = case.free_flight(plan_from)
    except (Refusal, CannotFly) as error:
        return _refused(case, error, plan_from)
    if plan_from == plan.earliest_departure_s and not case.met(asked):
        return Decision(plan, _intent(case, asked))
    return _changed(case, asked)


@dataclass(eq=False)
class _Case:
    """One plan before one situation, with the ways found so far."""

    situation: Situation
    plan: FlightPlan
    places: tuple[Place, ...]

    def __post_init__(self) -> None:
        self._routes: dict[tuple, Route] = {}
        #: What the last way was kept out of, also when there was none.
        self.closed: tuple[GeoZone, ...] = ()

    @property
    def rules(self):
        return self.situation.skies.rules

    @property
    def neighbours(self) -> tuple[OperationalIntent, ...]:
        return self.situation.intents

    def free_flight(self, departure_s: float, *, raise_m: float = 0.0, around: tuple[KeepOut, ...] = ()) -> _Option:
        """The way at a departure time, around the zones in force while it is flown, neighbours ignored.

        Which zones count depends on how long the flight takes, and that on the zones; the set only grows, so this ends.
        """
        tolerance = self.rules.time_tolerance_s
        blocking: frozenset[str] = frozenset()
        duration = 0.0
        while True:
            window = (departure_s - tolerance, departure_s + duration + tolerance)
            zones = in_the_way(self.situation.zones, self.plan, *window)
            grown = blocking | {zone.id for zone in zones}
            key = (grown, raise_m, tuple(id(part) for part in around))
            if key not in self._routes:
                self.closed = tuple(zone for zone in self.situation.zones if zone.id in grown)
                self._routes[key] = find_route(
                    self.situation.skies,
                    self.plan,
                    self.places,
                    self.closed,
                    self.situation.conditions,
                    raise_m=raise_m,
                    around=around,
                )
            route = self._routes[key]
            if duration > 0.0 and grown == blocking:
                return _Option(route, departure_s, route.timed(self.plan, departure_s))
            blocking, duration = grown, max(duration, route.flight_s)

    def forbidden(self, option: _Option, neighbour: OperationalIntent) -> NDArray[np.float64]:
        """(k, 2) delays of a flight at which it comes too near to a neighbour, time tolerances not yet added."""
        return forbidden_delays(neighbour.corridor.occupied, self._held(option.line), *self.apart(option, neighbour))

    def apart(self, option: _Option, neighbour: OperationalIntent) -> tuple[float, float]:
        """How far the two centre lines must be apart, horizontally or else vertically (metres): the room of both
        corridors, the tubes of what is flown around both lines, and the separation."""
        rules, other, tube = self.rules, neighbour.corridor, option.route.tube
        room = max(rules.half_height_m + other.above_m, other.below_m + rules.half_height_m)
        across, up = tube.horizontal_m + other.tube.horizontal_m, tube.vertical_m + other.tube.vertical_m
        return (
            rules.half_width_m + other.half_width_m + across + rules.separation_horizontal_m,
            room + up + rules.separation_vertical_m,
        )

    def tolerance(self, neighbour: OperationalIntent) -> float:
        """How much the two together may be off their times (seconds)."""
        return self.rules.time_tolerance_s + neighbour.corridor.time_tolerance_s

    def wait(self, option: _Option, limit_s: float = math.inf) -> float:
        """The least further delay (whole seconds) after which a flight meets no neighbour; 0 when it meets none now."""
        delay = 0.0
        parts = [(self.forbidden(option, other), self.tolerance(other)) for other in self.neighbours]
        for _ in range(_MOST_DELAYS):
            # Each neighbour asks for its own least delay beyond the present one; the largest is tried next.
            needed = max((least_delay(shifts - delay, tolerance) for shifts, tolerance in parts), default=0.0)
            if needed == 0.0 or delay > limit_s:
                return delay
            delay = math.ceil(delay + needed)
        return math.inf

    def met(self, option: _Option) -> tuple[OperationalIntent, ...]:
        """The neighbours that a flight would come too near to."""
        return tuple(
            other
            for other in self.neighbours
            if least_delay(self.forbidden(option, other), self.tolerance(other)) > 0.0
        )

    def meeting(self, option: _Option, neighbour: OperationalIntent) -> tuple[float, float]:
        """Least horizontal distance to a neighbour while too near vertically, and when; (inf, nan) if never."""
        return closest_approach(
            self._held(option.line),
            neighbour.corridor.occupied,
            self.apart(option, neighbour)[1],
            # Forbidden delays are widened by a hair: whoever is `met` by that hair must be found here, too.
            self.tolerance(neighbour) + 2 * MARGIN_S,
        )

    def _held(self, line: Trajectory) -> Trajectory:
        return line.held(self.rules.pad_hold_s, self.rules.pad_hold_s)


def _changed(case: _Case, asked: _Option) -> Decision:
    """The wish meets somebody: the least change that separates it, or a refusal with the next free time."""
    plan, met = case.plan, case.met(asked)
    arrival = asked.line.end_s - asked.departure_s + plan.earliest_departure_s
    found: list[tuple[Change, _Option]] = []
    if (later := _later(case, asked, plan.latest_departure_s)) is not None:
        late = later.departure_s - plan.earliest_departure_s
        found.append((Change("delay", f"Departs {late:.0f} s later.", later.line.end_s - arrival), later))
    if met:
        for kind, option, sentence in (*_higher(case, asked), *_elsewhere(case, asked, met)):
            found.append((Change(kind, sentence, option.line.end_s - arrival), option))
    reasons = tuple(_meets(case, asked, other) for other in met)
    if not reasons and plan.earliest_departure_s < case.situation.now_s:
        late = case.situation.now_s - plan.earliest_departure_s
        reasons = (Reason("EARLIEST_PAST", f"The earliest departure passed {late:.0f} s ago."),)
    if found:
        change, option = min(found, key=lambda pair: pair[0].cost_s)
        others = [dataclasses.asdict(other) for other, _ in found if other is not change]
        return Decision(plan, _intent(case, option), reasons, change, details={"other_changes": others})
    return _with_later_alternative(case, asked, reasons)


def _meets(case: _Case, asked: _Option, other: OperationalIntent) -> Reason:
    distance, when = case.meeting(asked, other)
    apart = case.apart(asked, other)[0]
    clock = datetime.datetime.fromtimestamp(when, datetime.UTC)
    return Reason(
        "CONFLICT",
        f"Would meet {other.plan.operator}'s {other.id} at {clock:%H:%M:%S} UTC: {distance:.0f} m apart at the same "
        f"height, {apart:.0f} m are needed.",
    )


def _later(case: _Case, asked: _Option, latest_s: float) -> _Option | None:
    """The first whole second not after ``latest_s`` at which the flight meets nobody."""
    departure = asked.departure_s
    for _ in range(_MOST_DELAYS):
        try:
            option = case.free_flight(departure)
        except (Refusal, CannotFly):
            return None
        wait = case.wait(option, latest_s - departure)
        departure += wait
        if departure > latest_s:
            return None
        if wait == 0.0:
            return option
        # The zones in force may have changed meanwhile, and with them the way: look again from there.
    return None


def _higher(case: _Case, asked: _Option):
    """The least height, in steps of a planning voxel, that passes over everybody."""
    cell = case.situation.skies.cell_m
    metres, option = 0.0, asked
    for _ in range(_MOST_HEIGHTS):
        needed = max((_missing_height(case, option, other) for other in case.met(option)), default=0.0)
        if needed == 0.0:
            yield "height", option, f"Flies {metres:.0f} m higher."
            return
        metres += math.ceil(needed / cell) * cell
        try:
            option = case.free_flight(asked.departure_s, raise_m=metres)
        except (Refusal, CannotFly):
            return


def _missing_height(case: _Case, option: _Option, other: OperationalIntent) -> float:
    """How much higher a flight would have to be where it meets a neighbour to pass over it (metres, above 0)."""
    _, when = case.meeting(option, other)
    above = float(option.line.at(when)[2] - other.corridor.centre_line.at(when)[2])
    return max(case.apart(option, other)[1] - above, case.situation.skies.cell_m)


def _elsewhere(case: _Case, asked: _Option, met: Sequence[OperationalIntent]):
    """A way around the places of meeting; over windows too large to mark them in, none is looked for."""
    if case.situation.skies.is_long(case.places):
        return
    columns = case.situation.skies.columns(case.places)
    around: list[KeepOut] = []
    option = asked
    for _ in range(_MOST_DETOURS):
        around += [_meeting_place(case, columns, option, other) for other in met]
        try:
            option = case.free_flight(asked.departure_s, around=tuple(around))
        except (Refusal, CannotFly):
            return
        met = case.met(option)
        if not met:
            top = option.route.points_m[:, 2].max() - asked.route.points_m[:, 2].max()
            height = f", up to {top:.0f} m higher" if top >= 1.0 else ""
            lengths = f"{option.route.length_m:.0f} m instead of {asked.route.length_m:.0f} m"
            yield "route", option, f"Flies another way: {lengths}{height}."
            return


def _meeting_place(case: _Case, columns: Columns, option: _Option, other: OperationalIntent) -> KeepOut:
    """The part of a neighbour's corridor around the meeting, for as wide as the two must be apart."""
    _, when = case.meeting(option, other)
    track = other.corridor.centre_line
    reach = case.tolerance(other) + _MEETING_S
    start, end = np.clip((when - reach, when + reach), track.start_s, track.end_s)
    inner = (track.t_s > start) & (track.t_s < end)
    points = np.vstack([track.at(start), track.enu_m[inner], track.at(end)])
    horizontal, vertical = case.apart(option, other)
    return KeepOut(
        _near(points[:, :2], columns, horizontal + columns.cell_m),
        np.full(columns.terrain_m.shape, points[:, 2].min() - vertical),
        np.full(columns.terrain_m.shape, points[:, 2].max() + vertical),
    )


def _near(line_m: NDArray[np.float64], columns: Columns, reach_m: float) -> NDArray[np.bool_]:
    """Which columns lie within ``reach_m`` of a line over the ground."""
    nx, ny = columns.terrain_m.shape
    east = (columns.origin_m[0] + (np.arange(nx) + 0.5) * columns.cell_m)[:, None]
    north = (columns.origin_m[1] + (np.arange(ny) + 0.5) * columns.cell_m)[None, :]
    near = np.zeros((nx, ny), np.bool_)
    for (ae, an), (be, bn) in itertools.pairwise(line_m):
        square = (be - ae) ** 2 + (bn - an) ** 2
        share = ((east - ae) * (be - ae) + (north - an) * (bn - an)) / square if square > 0 else np.zeros((nx, ny))
        share = np.clip(share, 0.0, 1.0)
        near |= np.hypot(east - ae - share * (be - ae), north - an - share * (bn - an)) <= reach_m
    return near


def _with_later_alternative(case: _Case, asked: _Option, reasons: tuple[Reason, ...]) -> Decision:
    plan = case.plan
    option = _later(case, asked, plan.latest_departure_s + DAY_S)
    if option is None:
        return Decision(plan, None, reasons)
    wait = option.departure_s - plan.earliest_departure_s
    alternative = dataclasses.replace(
        plan,
        earliest_departure_s=option.departure_s,
        latest_departure_s=max(option.departure_s, plan.latest_departure_s),
    )
    change = Change("delay", f"Would be granted {wait:.0f} s later.", wait)
    return Decision(plan, None, reasons, alternative=alternative, alternative_change=change)


def _refused(case: _Case, error: Refusal | CannotFly, departure_s: float) -> Decision:
    """The wish breaks a rule of its own accord: the reason, what would open a way, and the nearest plan that would be
    granted."""
    plan, situation = case.plan, case.situation
    found = why_not(
        situation.skies,
        plan,
        case.places,
        case.closed,
        situation.conditions,
        error,
        departure_s=departure_s,
        later=in_the_way(situation.zones, plan, departure_s, plan.latest_departure_s + DAY_S),
    )
    reason = Reason(found.code, found.sentence)
    if "_IN_ZONE" in found.code or found.code == "ZONES_CLOSE":
        waited = _when_open(case)
        if waited is not None:
            late = waited.departure_s - plan.earliest_departure_s
            change = Change("delay", f"Departs {late:.0f} s later, when the zone is over.", late)
            return Decision(plan, _intent(case, waited), (reason,), change)
    nearest = None
    if found.code.startswith("DESTINATION_"):
        nearest = _other_landing(case)
    if nearest is None and ("_IN_ZONE" in found.code or found.code == "ZONES_CLOSE"):
        nearest = _after_the_zone(case)
    alternative, change = nearest or (None, None)
    return Decision(
        plan,
        None,
        (reason,),
        alternative=alternative,
        alternative_change=change,
        details={} if found.relaxation is None else {"relaxation": relaxation_document(found.relaxation)},
    )


def _zone_ends(case: _Case) -> list[tuple[float, GeoZone]]:
    """When, within a day, zones that stand in the plan's way end or pause: (Unix seconds, zone), earliest first."""
    start = max(case.plan.earliest_departure_s, case.situation.now_s)
    ends = [
        (finish, zone)
        for zone in in_the_way(case.situation.zones, case.plan, start, start + DAY_S)
        for begin, finish in active_intervals(zone, start, start + DAY_S)
        if finish < start + DAY_S
    ]
    return sorted(ends, key=lambda pair: pair[0])


def _when_open(case: _Case) -> _Option | None:
    """The first departure within the plan's window at which the zones that forbid it are over and it meets nobody."""
    latest = case.plan.latest_departure_s
    for finish, _zone in _zone_ends(case):
        departure = float(math.ceil(finish + case.rules.time_tolerance_s))
        if departure > latest:
            return None
        try:
            asked = case.free_flight(departure)
        except (Refusal, CannotFly):
            continue
        if (option := _later(case, asked, latest)) is not None:
            return option
    return None


def _after_the_zone(case: _Case) -> tuple[FlightPlan, Change] | None:
    """The same flight, departing as soon as the zones that forbid it have ended, within a day."""
    for finish, _zone in _zone_ends(case):
        departure = float(math.ceil(finish + case.rules.time_tolerance_s))
        latest = max(departure + _OPEN_FOR_S, case.plan.latest_departure_s)
        moved = dataclasses.replace(case.plan, earliest_departure_s=departure, latest_departure_s=latest)
        if (granted := _as_asked(case, moved)) is not None:
            wait = granted.earliest_departure_s - case.plan.earliest_departure_s
            return granted, Change("delay", f"Would be granted {wait:.0f} s later, when the zone is over.", wait)
    return None


def _as_asked(case: _Case, candidate: FlightPlan) -> FlightPlan | None:
    """The candidate, at the first time within its window at which it is granted as it stands; None if there is none."""
    try:
        fresh = _Case(case.situation, candidate, resolve(case.situation.skies.city_map, candidate))
        asked = fresh.free_flight(max(candidate.earliest_departure_s, math.ceil(case.situation.now_s)))
    except (PlanError, Refusal, CannotFly):
        return None
    option = _later(fresh, asked, candidate.latest_departure_s)
    return None if option is None else dataclasses.replace(candidate, earliest_departure_s=option.departure_s)


def _other_landing(case: _Case) -> tuple[FlightPlan, Change] | None:
    """The nearest open ground, outside every zone in force, where the same flight would be granted."""
    skies, plan, goal = case.situation.skies, case.plan, case.places[-1]
    for east, north, up in _landings(case, goal):
        lon, lat = (float(value) for value in skies.city_map.frame.to_lonlat(east, north))
        vertical = skies.city_map.frame.vertical
        # To the centimetre and 1e-7 degree: what an operator would write into the plan.
        place = Waypoint(round(lon, 7), round(lat, 7), round(up, 2), Datum(vertical))
        granted = _as_asked(case, dataclasses.replace(plan, destination=place))
        if granted is not None:
            away = math.hypot(east - goal.east_m, north - goal.north_m)
            wait = granted.earliest_departure_s - plan.earliest_departure_s
            later = f", {wait:.0f} s later" if wait > 0 else ""
            sentence = f"Would be granted to open ground {away:.0f} m away, at {place.lon_deg}, {place.lat_deg}{later}."
            return granted, Change("destination", sentence, wait)
    return None


def _landings(case: _Case, goal: Place):
    """Candidates for another landing, nearest first: known, open, level ground under legal sky, metres (e, n, up)."""
    skies, rules = case.situation.skies, case.rules
    columns, lowest, highest = skies.around((goal,))
    start = max(case.plan.earliest_departure_s, case.situation.now_s)
    until = case.plan.latest_departure_s + case.plan.aircraft.endurance_s
    nx, ny = columns.terrain_m.shape
    east = columns.origin_m[0] + (np.arange(nx) + 0.5) * columns.cell_m
    north = columns.origin_m[1] + (np.arange(ny) + 0.5) * columns.cell_m
    away = np.hypot(east[:, None] - goal.east_m, north[None, :] - goal.north_m)
    open_ground = (
        (away <= _LANDING_WITHIN_M)
        & (lowest + skies.cell_m <= highest)
        & ~columns.unknown
        & (columns.surface_m - columns.terrain_m < 0.5)
    )
    for zone in in_the_way(case.situation.zones, case.plan, start, until):
        open_ground &= ~skies.kept_out(zone, (goal,)).mask
    reach = math.ceil(rules.pad_radius_m / columns.cell_m) + 1
    taken: list[tuple[float, float]] = []
    order = np.argsort(away, axis=None, kind="stable")
    for flat in order[: np.count_nonzero(away <= _LANDING_WITHIN_M)]:
        i, j = np.unravel_index(flat, away.shape)
        if not open_ground[i, j] or not (reach <= i < nx - reach and reach <= j < ny - reach):
            continue
        around = columns.surface_m[i - reach : i + reach + 1, j - reach : j + reach + 1]
        up = float(columns.surface_m[i, j])
        if float(around.max()) - up > PAD_TOLERANCE_M / 2:
            continue
        # Candidates side by side would fail alike: keep them a few pads apart.
        if any(math.hypot(east[i] - e, north[j] - n) < 4 * rules.pad_radius_m for e, n in taken):
            continue
        taken.append((float(east[i]), float(north[j])))
        yield float(east[i]), float(north[j]), up
        if len(taken) == _MOST_LANDINGS:
            return


def _intent(case: _Case, option: _Option) -> OperationalIntent:
    rules, plan, situation = case.rules, case.plan, case.situation
    corridor = Corridor(
        option.line,
        rules.half_width_m,
        rules.half_height_m,
        rules.half_height_m,
        rules.time_tolerance_s,
        rules.pad_hold_s,
        option.route.tube,
    )
    intent = OperationalIntent(
        id=plan.id,
        plan=plan,
        state=IntentState.ACCEPTED,
        version=1,
        ovn="",
        corridor=corridor,
        volumes=volumes_of(corridor),
        map_version=situation.skies.city_map.version,
        zones=tuple(f"{zone.id}@{zone_hash(zone)}" for zone in situation.zones),
        neighbours=tuple(f"{other.id}@{other.ovn}" for other in case.neighbours),
        clearances=_clearances(case, option),
        conditions=conditions_hash(situation.conditions),
    )
    return dataclasses.replace(intent, ovn=ovn_of(intent))


def _clearances(case: _Case, option: _Option) -> dict[str, float]:
    found = clearances_of(case.situation.skies, case.plan, case.places, option.route)
    distances = [case.meeting(option, other)[0] for other in case.neighbours]
    nearest = min(distances, default=math.inf)
    return found | ({"separation_m": nearest} if math.isfinite(nearest) else {})


def ovn_of(intent: OperationalIntent) -> str:
    """The opaque version number: a hash of everything that another operator must have seen."""
    line = intent.corridor.centre_line
    content = json.dumps(
        [
            plan_document(intent.plan),
            str(intent.state),
            intent.version,
            intent.map_version,
            line.t_s.tolist(),
            line.enu_m.tolist(),
            [intent.corridor.half_width_m, intent.corridor.below_m, intent.corridor.above_m],
            [intent.corridor.time_tolerance_s, intent.corridor.pad_hold_s],
            [intent.corridor.tube.horizontal_m, intent.corridor.tube.vertical_m],
        ],
        sort_keys=True,
    )
    return hashlib.sha256(content.encode()).hexdigest()[:32]
