"""Three kinds of change that keep a flight from its neighbours: a later start, another height, another way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.case import MOST_DELAYS, Case, Option, since, until
from utm.airspace.places import Refusal
from utm.airspace.safeways import safe_way
from utm.core import Columns, KeepOut
from utm.errors import CannotFly
from utm.model import Change, OperationalIntent

#: Bounds of the searches below: counts, never clocks, so that a decision can be replayed.
_MOST_HEIGHTS = 8
_MOST_DETOURS = 6
#: Of a neighbour's way, this much before and after the meeting is kept out of when another way is sought.
_MEETING_S = 45.0
#: Nearer than this to a pad, level, is over it (metres).
_SAME_M = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A change that would be granted, and the option that it is."""

    change: Change
    option: Option


def changes(case: Case, asked: Option, met: Sequence[OperationalIntent]) -> list[Found]:
    """At most one of each kind, with what it costs beyond the wish: time of arrival, energy, length.

    Args:
        asked: the way of the wish at the earliest departure that is still to come.
        met: whom it meets; nobody where only that departure is not the one that was asked for.
    """
    plan = case.plan
    arrival_s = asked.line.end_s - asked.departure_s + plan.earliest_departure_s
    found = []
    if (option := later(case, asked, plan.latest_departure_s)) is not None:
        late = option.departure_s - plan.earliest_departure_s
        found.append(("delay", f"Departs {late:.0f} s later.", option))
    if met:
        if (raised := higher(case, asked)) is not None:
            metres, option = raised
            found.append(("height", f"Flies {metres:.0f} m higher.", option))
        if (option := _another_way(case, asked, met, [option for _, _, option in found])) is not None:
            top = float(option.route.points_m[:, 2].max() - asked.route.points_m[:, 2].max())
            height = f", up to {top:.0f} m higher" if top >= 1.0 else ""
            late = option.departure_s - plan.earliest_departure_s
            departs = f", departs {late:.0f} s later" if late >= 1.0 else ""
            lengths = f"{option.route.length_m:.0f} m instead of {asked.route.length_m:.0f} m"
            found.append(("route", f"Flies another way{departs}: {lengths}{height}.", option))
    return [
        Found(Change(kind, sentence, option.line.end_s - arrival_s, *asked.more(option)), option)
        for kind, sentence, option in found
    ]


def _another_way(
    case: Case, asked: Option, met: Sequence[OperationalIntent], others: Sequence[Option]
) -> Option | None:
    """Around the meeting, or by way and time together: what arrives first."""
    around = elsewhere(case, asked, met)
    arrivals = [one.line.end_s for one in (*others, around) if one is not None]
    both = safe_way(case, asked, min(arrivals, default=math.inf))
    return min((one for one in (around, both) if one is not None), key=lambda one: one.line.end_s, default=None)


def _over_a_pad(case: Case, option: Option, met: Sequence[OperationalIntent]) -> bool:
    """Whether somebody is met over a pad or on it: whoever that is, is waited for, and not flown over or around."""
    line = option.line
    aside = [np.flatnonzero(np.hypot(*(line.enu_m[:, :2] - end[:2]).T) > _SAME_M) for end in line.enu_m[[0, -1]]]
    if len(aside[0]) == 0:
        return True
    up_s, down_s = float(line.t_s[aside[0][0] - 1]), float(line.t_s[aside[1][-1] + 1])
    columns = [since(option.corridor, down_s)]
    if up_s > option.corridor.occupied.start_s:  # not of a flight that is in the air
        columns.append(until(option.corridor, up_s))
    return any(case.meets(Option(option.route, column), other) for column in columns for other in met)


def later(case: Case, asked: Option, latest_s: float) -> Option | None:
    """The first whole second from the asked departure on, not after ``latest_s``, at which the flight meets nobody."""
    departure = asked.departure_s
    for _ in range(MOST_DELAYS):
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


def higher(case: Case, asked: Option) -> tuple[float, Option] | None:
    """The least height, in steps of a planning voxel, that passes over everybody: how much (metres), and how."""
    cell = case.skies.cell_m
    metres, option = 0.0, asked
    for _ in range(_MOST_HEIGHTS):
        met = case.met(option)
        if not met:
            return metres, option
        if _over_a_pad(case, option, met):
            return None
        needed = max(_missing_height(case, option, other) for other in met)
        metres += math.ceil(needed / cell) * cell
        try:
            option = case.free_flight(asked.departure_s, raise_m=metres)
        except (Refusal, CannotFly):
            return None
    return None


def _missing_height(case: Case, option: Option, other: OperationalIntent) -> float:
    """How much higher a flight would have to be where it meets a neighbour to pass over it (metres, above 0)."""
    _, when = case.meeting(option, other)
    above = float(option.line.at(when)[2] - other.corridor.centre_line.at(when)[2])
    return max(case.apart(option, other)[1] - above, case.skies.cell_m)


def elsewhere(case: Case, asked: Option, met: Sequence[OperationalIntent]) -> Option | None:
    """A way around the places of meeting; over windows too large to mark them in, none is looked for."""
    if case.skies.is_long(case.places):
        return None
    columns = case.skies.columns(case.places)
    around: list[KeepOut] = []
    option = asked
    for _ in range(_MOST_DETOURS):
        if _over_a_pad(case, option, met):
            return None
        around += [_meeting_place(case, columns, option, other) for other in met]
        try:
            option = case.free_flight(asked.departure_s, around=tuple(around))
        except (Refusal, CannotFly):
            return None
        met = case.met(option)
        if not met:
            return option
    return None


def _meeting_place(case: Case, columns: Columns, option: Option, other: OperationalIntent) -> KeepOut:
    """The part of a neighbour's corridor around the meeting, for as wide as the two must be apart."""
    _, when = case.meeting(option, other)
    track = other.corridor.centre_line
    reach = case.tolerance(option, other) + _MEETING_S
    start, end = np.clip((when - reach, when + reach), track.start_s, track.end_s)
    inner = (track.t_s > start) & (track.t_s < end)
    points = np.vstack([track.at(start), track.enu_m[inner], track.at(end)])
    horizontal, vertical = case.apart(option, other)
    return KeepOut(
        _near(points[:, :2], columns, horizontal + columns.cell_m),
        np.array(points[:, 2].min() - vertical),
        np.array(points[:, 2].max() + vertical),
    )


def _near(line_m: NDArray[np.float64], columns: Columns, reach_m: float) -> NDArray[np.bool_]:
    """Which columns lie within ``reach_m`` of a line over the ground."""
    shape, cell = np.array(columns.terrain_m.shape), columns.cell_m
    near = np.zeros(shape, np.bool_)
    for a, b in itertools.pairwise(line_m):
        # Only around the piece: over the whole window this took most of the time of a detour.
        low, high = np.minimum(a, b) - reach_m, np.maximum(a, b) + reach_m
        first = np.clip(np.floor((low - columns.origin_m) / cell).astype(int), 0, shape)
        last = np.clip(np.ceil((high - columns.origin_m) / cell).astype(int), 0, shape)
        east, north = (columns.origin_m[n] + (np.arange(first[n], last[n]) + 0.5) * cell for n in (0, 1))
        off_e, off_n, (way_e, way_n) = (east - a[0])[:, None], (north - a[1])[None, :], b - a
        square = way_e**2 + way_n**2
        share = np.clip((off_e * way_e + off_n * way_n) / square, 0.0, 1.0) if square > 0 else 0.0
        here = np.hypot(off_e - share * way_e, off_n - share * way_n) <= reach_m
        near[first[0] : last[0], first[1] : last[1]] |= here
    return near
