"""Half a minute ahead: which live drones will come too near to each other, and what to tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from utm.airspace.following import FLYING, conformity_of
from utm.airspace.space import Skies
from utm.airspace.states import ASTRAY
from utm.core import judge, lowest_clear
from utm.core.advisories import Advice, advise_all
from utm.core.encounters import LiveDrone, find_encounters, predict
from utm.core.manoeuvres import HeightBand
from utm.model import OperationalIntent

#: Who was last heard longer ago than this is somewhere, but nobody can say where.
_LOST_S = 60.0
#: How far around drones that meet they may manoeuvre: half a minute and more at their best speed.
_AROUND_M = 800.0
#: Reports nearer to each other in time than this show no velocity.
_LEAST_S = 0.2


def look_ahead(
    skies: Skies, intents: Iterable[OperationalIntent], kept: Mapping[str, Mapping[str, Any]], now_s: float
) -> tuple[Advice, ...]:
    """The encounters of the next 30 s, the nearest first, each with advice that makes no other encounter.

    Args:
        intents: the live ones.
        kept: what was kept of the last report of each (`utm.airspace.following`).
        now_s: Unix seconds.
    """
    drones = [
        drone
        for intent in intents
        if intent.state in FLYING and (drone := _drone(intent, kept.get(intent.id), now_s)) is not None
    ]
    if len(drones) < 2:
        return ()
    picture = predict(drones, now_s)
    encounters = find_encounters(picture, skies.rules)
    if not encounters:
        return ()
    meeting = {name for encounter in encounters for name in (encounter.a, encounter.b)}
    return advise_all(picture, skies.rules, _band(skies, [one for one in drones if one.id in meeting]))


def _drone(intent: OperationalIntent, kept: Mapping[str, Any] | None, now_s: float) -> LiveDrone | None:
    """A flight as it last reported; None where it stands on the ground, or was not heard for too long."""
    if kept is None or "enu_m" not in kept or kept.get("landed") or now_s - kept["t_s"] > _LOST_S:
        return None
    t_s, line = float(kept["t_s"]), intent.corridor.centre_line
    seen = [one for one in conformity_of(intent, kept).recent if one.t_s <= t_s - _LEAST_S]
    if seen:
        last = seen[-1]
        velocity = (np.array(kept["enu_m"]) - np.array(last.enu_m)) / (t_s - last.t_s)
    else:
        velocity = (line.at(t_s + 1.0) - line.at(t_s - 1.0)) / 2.0
    conforming = intent.state not in ASTRAY
    return LiveDrone(
        id=intent.id,
        t_s=t_s,
        enu_m=tuple(float(value) for value in kept["enu_m"]),
        velocity_m_s=tuple(float(value) for value in velocity),
        aircraft=intent.plan.aircraft,
        priority=intent.plan.priority,
        corridor=intent.corridor if conforming else None,
        late_s=judge(intent.corridor, t_s, kept["enu_m"]).late_s if conforming else 0.0,
    )


def _band(skies: Skies, drones: Sequence[LiveDrone]) -> HeightBand:
    """Between which heights the rules let drones manoeuvre around where they are."""
    places = np.array([drone.enu_m[:2] for drone in drones])
    city_map, rules = skies.city_map, skies.rules
    extent = np.array(city_map.size) * city_map.resolution_m
    low, high = np.maximum(places.min(axis=0) - _AROUND_M, 0.0), np.minimum(places.max(axis=0) + _AROUND_M, extent)
    columns = city_map.window(*low, *high)
    return HeightBand(
        np.asarray(columns.origin_m[:2], np.float64),
        columns.cell_m,
        lowest_clear(columns.surface_m, columns.cell_m, rules.clearance_m).astype(np.float64),
        columns.terrain_m.astype(np.float64) + (rules.ceiling_above_terrain_m - rules.half_height_m),
    )
