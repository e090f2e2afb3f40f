"""The ways out of a grant: where its drone goes when something fails, cleared beforehand.

Each failsafe of the aircraft gets room for every moment at which it may begin (`utm.airspace.failsafes`), checked
against the ground, the zones and every live flight (`utm.airspace.clearing`). What would meet somebody is replaced,
by another return, another site or a shorter hold, or left out with its reason.

What they are worth to others. A way out is a reservation below every flight, whatever the flight's priority: it never
refuses one. Two ways out may cross each other, for two drones that fail at once are not planned for. A new flight keeps
off the ways out of others where that costs little (a short delay, another height); where it costs more it crosses them
and says whose and when (`crossings`). Once a drone is Contingent, the way out that it takes is no way out any more but
a flight of the highest priority, and whoever crosses it makes way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from utm.airspace.clearing import Clearing, LeftOut, meet, meeting
from utm.airspace.failsafes import hold, holding
from utm.airspace.landingsites import Site, landing_sites
from utm.airspace.returns import returns
from utm.airspace.situation import Situation
from utm.airspace.stretches import Stretch, cut, length_s, without
from utm.airspace.underway import Flight
from utm.core import apart, flight_energy, forbidden_delays, power_w
from utm.frames import LocalFrame
from utm.model import Corridor, OperationalIntent, Trajectory, WayOut, WayOutKind

#: Counts that bound what one intent carries: with 8 returns, 24 in all.
_MOST_LANDINGS = 12
_MOST_HOLDS = 4
#: So many pieces of the flight are asked how long a drone may hold there.
_HOLD_PIECES = 12
#: Who holds for longer is Contingent (ASTM F3548-21: Nonconforming for more than 60 s), and is given a way then.
MOST_HOLD_S = 60.0
#: A shorter hold is none.
_LEAST_HOLD_S = 10.0
#: Sites that are tried for one stretch.
_MOST_SITES_TRIED = 4


@dataclass(frozen=True, slots=True, eq=False)
class WaysOut:
    """What was found for one intent."""

    ways: tuple[WayOut, ...]
    """At most 24."""
    sites: tuple[Site, ...]
    """Landing sites (east, north, up): at most 8, as many as PX4 keeps rally points."""
    left_out: tuple[LeftOut, ...]
    none: tuple[Stretch, ...]
    """Stretches [from, until] of the flight (Unix seconds) for which there is no way out at all."""
    open_below: tuple[Stretch, ...]
    """Stretches over open, level, known ground (or its own pads), where a drone that comes down on the spot harms
    nobody below: what PX4's LAND does, without a position or on an empty battery. Elsewhere it cannot be helped."""


def ways_out(situation: Situation, intent: OperationalIntent) -> WaysOut:
    """The ways out of an intent that is about to be granted, or is granted.

    A pure function of map, rules, zones, forecast, traffic and the intent's plan and corridor, bounded by counts.
    """
    clearing = Clearing(situation, intent)
    line, rules = intent.corridor.centre_line, clearing.rules
    pads = [pad[:2] for other in clearing.near(intent.corridor) for pad in other.corridor.centre_line.enu_m[[0, -1]]]
    apart_m = 2 * rules.half_width_m + rules.separation_horizontal_m
    sites = landing_sites(clearing.around, clearing.flight.corners_m, pads, apart_m)
    found = [returns(clearing), _landings(clearing, sites), _holds(clearing)]
    ways = tuple(way for kind, _ in found for way in kind)
    return WaysOut(
        ways=ways,
        sites=sites,
        left_out=tuple(gap for _, gaps in found for gap in gaps),
        none=tuple(without((line.start_s, line.end_s), [(way.from_s, way.until_s) for way in ways])),
        open_below=clearing.around.open_below(line, clearing.flight.in_columns_s),
    )


def _landings(clearing: Clearing, sites: Sequence[Site]) -> tuple[list[WayOut], list[LeftOut]]:
    """Straight to a site; over its own pads, down to them."""
    line, (up_s, down_s) = clearing.flight.line, clearing.flight.in_columns_s
    ways: list[WayOut] = []
    left_out: list[LeftOut] = []
    waiting = clearing.stretches(_MOST_LANDINGS)
    while waiting:
        stretch = waiting.pop(0)
        middle = (stretch[0] + stretch[1]) / 2
        here, in_column = line.at(middle), stretch[1] <= up_s or stretch[0] >= down_s
        near = sorted(sites, key=lambda site: (math.hypot(site[0] - here[0], site[1] - here[1]), site))
        if in_column:
            near = [tuple(line.enu_m[0 if stretch[1] <= up_s else -1].tolist())]
        refused: list[LeftOut] = []
        for site in near[:_MOST_SITES_TRIED]:
            made = clearing.straight(WayOutKind.LAND, stretch, site, refused)
            if made is not None:
                ways.append(clearing.way(WayOutKind.LAND, stretch, made, site))
                break
        else:
            # From a shorter stretch the ways spread less.
            if not in_column and refused and len(ways) + len(left_out) + len(waiting) + 2 <= _MOST_LANDINGS:
                waiting[:0] = [(stretch[0], middle), (middle, stretch[1])]
                continue
            none = LeftOut(WayOutKind.LAND, *stretch, "No open, level, known ground was found near the way.")
            left_out.append(refused[0] if refused else none)
    return ways, left_out


def _holds(clearing: Clearing) -> tuple[list[WayOut], list[LeftOut]]:
    """Neighbouring pieces in which a drone may hold as long as is of use, or else less long, become one stretch."""
    flight, line = clearing.flight, clearing.flight.line
    most = _most_hold_s(flight)
    whole = (line.start_s, line.end_s)
    if _hold_s(clearing, whole, most)[0] == most >= _LEAST_HOLD_S:
        middle = line.at(sum(whole) / 2)
        return [clearing.way(WayOutKind.HOLD, whole, hold(flight, *whole, most), middle, wait_s=most)], []
    pieces = cut(*whole, 1.0, _HOLD_PIECES)
    waits = [_hold_s(clearing, piece, most) for piece in pieces]
    runs: list[tuple[Stretch, float]] = []
    for piece, (wait, _) in zip(pieces, waits, strict=True):
        if wait < _LEAST_HOLD_S:
            continue
        if runs and runs[-1][0][1] == piece[0] and (runs[-1][1] < most) == (wait < most):
            runs[-1] = ((runs[-1][0][0], piece[1]), min(wait, runs[-1][1]))
        else:
            runs.append((piece, wait))
    kept = sorted(sorted(runs, key=lambda run: run[0][0] - run[0][1])[:_MOST_HOLDS])
    ways = []
    for stretch, wait in kept:
        middle = line.at((stretch[0] + stretch[1]) / 2)
        ways.append(clearing.way(WayOutKind.HOLD, stretch, hold(flight, *stretch, wait), middle, wait_s=wait))
    left_out = [
        LeftOut(WayOutKind.HOLD, *piece, why or "Too short a stretch, beside longer ones.")
        for piece, (_, why) in zip(pieces, waits, strict=True)
        if not any(stretch[0] <= piece[0] and piece[1] <= stretch[1] for stretch, _ in kept)
    ]
    return ways, left_out


def _most_hold_s(flight: Flight) -> float:
    """How long it may wait and still fly to its end with its reserve untouched, 60 s at most."""
    energy = flight_energy(flight.corners_m, flight.aircraft, flight.wind)
    hover_w = float(power_w(flight.aircraft, [0.0, flight.wind.strongest_m_s], 0.0).max())
    left_s = flight.aircraft.endurance_s - (flight.line.end_s - flight.line.start_s)
    return float(math.floor(min(MOST_HOLD_S, (energy.usable_wh - energy.used_wh) * 3600.0 / hover_w, left_s)))


def _hold_s(clearing: Clearing, piece: Stretch, most: float) -> tuple[float, str]:
    """How long a drone may hold in a piece until it meets somebody (whole seconds), and what ends it."""
    if most < _LEAST_HOLD_S:
        return 0.0, f"Battery and endurance leave {max(most, 0.0):.0f} s to wait."
    flight, rules = clearing.flight, clearing.rules
    room, plan, why = hold(flight, *piece, most), holding(flight, *piece), ""
    zone = clearing.later_zone(room)
    if zone is not None:
        return 0.0, f"{zone.name} ({zone.id}) takes the place by then."
    for other in clearing.near(room):
        across, up, _ = apart(room, other.corridor, rules.separation_horizontal_m, rules.separation_vertical_m)
        tolerance = flight.corridor.time_tolerance_s + other.corridor.time_tolerance_s
        for begin, end in forbidden_delays(other.corridor.occupied, plan, across, up).tolist():
            until = float(math.floor(begin - tolerance - flight.brake_s - 1e-3))
            if end + tolerance >= 0.0 and until < most:
                most, why = until, meeting(other)
    return most, why


def crossings(
    corridor: Corridor, intents: Iterable[OperationalIntent], horizontal_m: float, vertical_m: float
) -> tuple[tuple[OperationalIntent, WayOut], ...]:
    """Which ways out of some intents a corridor comes too near to, by the exact test of two flights."""
    return tuple(
        (intent, way)
        for intent in intents
        for way in intent.ways_out
        if meet(corridor, way.corridor, horizontal_m, vertical_m)
    )


def summary(found: WaysOut, line: Trajectory, frame: LocalFrame) -> dict[str, Any]:
    """What was found, for people: how much of the flight each failsafe covers, where it may land, what is missing.

    Seconds count from the departure.
    """
    whole = line.end_s - line.start_s

    def spans(stretches: Iterable[Stretch]) -> list[list[float]]:
        return [[round(a - line.start_s, 1), round(b - line.start_s, 1)] for a, b in stretches]

    def share(stretches: Iterable[Stretch]) -> float:
        return round(length_s(stretches) / whole, 3)

    def place(site: Site) -> dict[str, float]:
        lon, lat = (float(value) for value in frame.to_lonlat(site[0], site[1]))
        return {"lon_deg": round(lon, 7), "lat_deg": round(lat, 7), "up_m": round(site[2], 2)}

    kinds = {}
    for kind in WayOutKind:
        ways = [way for way in found.ways if way.kind is kind]
        gaps = [gap for gap in found.left_out if gap.kind is kind]
        kinds[str(kind)] = {
            "share": share((way.from_s, way.until_s) for way in ways),
            "settings": dict(ways[0].settings) if ways else {},
            "left_out": [{"at_s": spans([(gap.from_s, gap.until_s)])[0], "why": gap.sentence} for gap in gaps],
        }
    kinds["hold"]["at_s"] = [
        {"at_s": spans([(way.from_s, way.until_s)])[0], "for_s": way.wait_s}
        for way in found.ways
        if way.kind is WayOutKind.HOLD
    ]
    return {
        "covered_share": round(1.0 - length_s(found.none) / whole, 3),
        "none_at_s": spans(found.none),
        **kinds,
        "sites": [place(site) for site in found.sites],
        "open_below_share": share(found.open_below),
        "open_below_at_s": spans(found.open_below),
    }
