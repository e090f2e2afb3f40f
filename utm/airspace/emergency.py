"""Emergencies: a volume is closed at once, whoever would fly into it holds, and it is known when it will be empty.

Two steps, because the first must take no time. `closed` enters the zones, and gives every drone in the air that would
enter them a place on its own granted line, before them, at which it stops and waits. Whoever is in them already, or
cannot stop any more before them, flies on until it is out. The second step gives one flight after the other a new way,
as any flight that must make way (`utm.airspace.moving`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from utm.airspace.holding import stopped
from utm.airspace.moving import renewed
from utm.airspace.rejudging import touched
from utm.airspace.situation import Situation
from utm.airspace.underway import part
from utm.airspace.zones import outline_m
from utm.core import Columns, apart, in_conflict
from utm.model import Corridor, GeoZone, IntentState, OperationalIntent

#: How long room is kept for a drone that holds: long enough for its new way to be found and sent.
HOLD_S = 120.0
#: A hold is one command, without an upload: news of it reach whoever flies within a tenth of a second
#: (docs/operations.md), and a drone that begins to brake some seconds later is within its time tolerance.
HOLD_AFTER_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """What closing a volume does at once."""

    touched: tuple[OperationalIntent, ...]
    """Every live flight that the volume stands in the way of, or a drone that holds before it, as it was: all of them
    need a new way."""
    holds: tuple[OperationalIntent, ...]
    """Those that stop before the volume, with the corridor that they hold in."""
    leaving_s: dict[str, float]
    """When those that are in it, or cannot stop before it, are out (Unix seconds), as they were granted."""
    empty_s: float
    """When nobody is in the volume any more: now, where nobody is in it."""

    def document(self) -> dict[str, Any]:
        """As JSON, for the log and for whoever is told."""
        return {
            "touched": [intent.id for intent in self.touched],
            "holds": [
                {"id": one.id, "from_s": float(one.corridor.centre_line.t_s[-2]), "at_m": _last(one)}
                for one in self.holds
            ],
            "leaving_s": self.leaving_s,
            "empty_s": self.empty_s,
        }


def closed(situation: Situation, zones: Sequence[GeoZone]) -> Closed:
    """Close some zones now.

    Args:
        situation: as it is, with everybody in its traffic.
    """
    now_s = situation.now_s
    every = touched(situation, zones)
    kept = {zone.id: zone for zone in situation.zones} | {zone.id: zone for zone in zones}
    after = dataclasses.replace(situation, zones=tuple(kept[name] for name in sorted(kept)))
    holds, leaving = [], {}
    for intent in every:
        line = intent.corridor.centre_line
        if not line.start_s <= now_s < line.end_s or intent.state is IntentState.ACCEPTED:
            continue  # on the ground: it just does not take off
        spans = _inside(situation, zones, intent)
        held = _held(intent, now_s + HOLD_AFTER_S)
        stop_s = line.end_s if held is None else float(held.centre_line.t_s[-2])
        met = [(begin, end) for begin, end in spans if begin < stop_s]
        if met or held is None:
            leaving[intent.id] = max((end for _, end in met), default=now_s)
        else:
            holds.append(renewed(after, intent, held))
    touched_ids = {intent.id for intent in every}
    met = {
        other.id: other
        for hold in holds
        for other in situation.traffic.near(hold.corridor)
        if other.id not in touched_ids and _meet(situation, hold.corridor, other.corridor)
    }
    every = tuple(sorted([*every, *met.values()], key=lambda intent: intent.id))
    return Closed(every, tuple(holds), leaving, max([now_s, *leaving.values()]))


def _meet(situation: Situation, one: Corridor, other: Corridor) -> bool:
    rules = situation.skies.rules
    limits = apart(one, other, rules.separation_horizontal_m, rules.separation_vertical_m)
    return in_conflict(one.occupied, other.occupied, *limits)


def _held(intent: OperationalIntent, from_s: float) -> Corridor | None:
    """The corridor of a flight that brakes at a moment and waits where it stops; None where it lands by then."""
    try:
        return stopped(intent, from_s, HOLD_S)
    except ValueError:
        return None


def _inside(situation: Situation, zones: Sequence[GeoZone], intent: OperationalIntent) -> list[tuple[float, float]]:
    """When what is left of a flight, with its width and its tolerance, is over or under some zones."""
    corridor, now_s = intent.corridor, situation.now_s
    line = part(corridor.centre_line, now_s, corridor.centre_line.end_s)
    low, high = line.enu_m[:, :2].min(axis=0), line.enu_m[:, :2].max(axis=0)
    around = Columns(low, float(max(*(high - low), 1.0)), *(np.zeros((1, 1), kind) for kind in ("f4", "f4", "?")))
    frame = situation.skies.city_map.frame
    area = shapely.union_all([outline_m(zone, around, frame) for zone in zones]).buffer(corridor.half_width_m)
    shapely.prepare(area)
    found = []
    for n in range(len(line.t_s) - 1):
        a, b = line.enu_m[n, :2], line.enu_m[n + 1, :2]
        if (a == b).all():
            shares = [(0.0, 1.0)] if area.intersects(shapely.Point(a)) else []
        else:
            cut = shapely.get_parts(shapely.intersection(shapely.LineString([a, b]), area))
            shares = [
                tuple(sorted(_share(a, b, end) for end in shapely.get_coordinates(one)[[0, -1]]))
                for one in cut
                if not one.is_empty
            ]
        span = line.t_s[n + 1] - line.t_s[n]
        found += [(line.t_s[n] + begin * span, line.t_s[n] + end * span) for begin, end in shares]
    tolerance = corridor.time_tolerance_s
    return [(float(begin) - tolerance, float(end) + tolerance) for begin, end in found]


def _share(a, b, point) -> float:  # type: ignore[no-untyped-def]
    return float(np.hypot(*(point - a)) / np.hypot(*(b - a)))


def _last(intent: OperationalIntent) -> list[float]:
    return [float(value) for value in intent.corridor.centre_line.enu_m[-1]]
