"""The one constraint whose relaxation would open a way: found by trying, in an order that is the same every time.

1. a zone that ends within the plan's departure window, the soonest: then the flight need only wait;
2. a zone alone: the one that ends soonest, before those without an end; of two alike one that an authorisation opens
   before one that only its authority can lift;
3. zones together, as few as need be, where no zone alone is enough;
4. another place for the pad, or another height for the way point, that is closed in;
5. the ceiling or the clearance, whichever gives by the smaller share of itself. They are law: the sentence says so.

What is named has been flown: `find_route` finds a way with it. Candidates come from the gaps, where a question costs
little; only where the gaps say yes is a way sought. Turns need more room than the gaps tell, so that a ceiling or a
clearance may have to give by some metres more than the least at which the air is joined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.air import Air
from utm.airspace.places import PAD_TOLERANCE_M, Place, Refusal, pad_obstacle_m
from utm.airspace.routing import find_route
from utm.airspace.space import Skies
from utm.airspace.until import clock, ends_s, listed, zone_words
from utm.airspace.zones import in_the_way
from utm.core.gaps import Gaps
from utm.errors import CannotFly
from utm.model import Aircraft, Conditions, FlightPlan, GeoZone, Restriction, RuleSet

#: How far a pad may be moved, and how many places are looked at (counts, never clocks).
_PAD_WITHIN_M = 600.0
_MOST_PADS = 2000
#: How many other places a way is sought from.
_MOST_MOVES = 6
#: Beyond the least by which ceiling or clearance must give for the air to be joined (metres): a decimetre, for floors
#: are rounded up to float32; then room for turns.
_MORE_M = (0.0, 0.1, 1.0, 2.0, 4.0, 8.0)
#: Ground rises by less than this where it is called open.
_OPEN_M = 0.5


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What would have to give for a way to open, all else as it is."""

    constraint: str
    """``zone:ID``, ``zones:ID,ID``, ``origin``, ``destination``, ``waypoints.N``, ``ceiling``, ``clearance``; for a
    flight that the aircraft cannot fly ``battery``, ``endurance`` or ``wind``."""
    sentence: str
    amount: float | None = None
    """By how much, where it has a measure."""
    unit: str = ""
    """Of the amount: ``m``, ``Wh``, ``s`` or ``m/s``."""
    until_s: float | None = None
    """When the zone (the last of several) is no longer in force, Unix seconds; None without an end, or a zone."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One plan, to be tried with something relaxed."""

    air: Air
    """Over all zones that may count."""
    plan: FlightPlan
    conditions: Conditions
    departure_s: float
    in_force: NDArray[np.bool_]
    """Which of the zones count at that departure."""

    @property
    def zones(self) -> tuple[GeoZone, ...]:
        """Those that count."""
        return tuple(self.air.zones[n] for n in np.flatnonzero(self.in_force))

    def finds(
        self,
        *,
        skies: Skies | None = None,
        places: tuple[Place, ...] | None = None,
        zones: Sequence[GeoZone] | None = None,
        conditions: Conditions | None = None,
        aircraft: Aircraft | None = None,
    ) -> bool:
        """Whether there is a way that the aircraft can fly, with something else in the place of what is."""
        try:
            find_route(
                skies or self.air.skies,
                self.plan if aircraft is None else dataclasses.replace(self.plan, aircraft=aircraft),
                places or self.air.places,
                self.zones if zones is None else zones,
                conditions or self.conditions,
            )
        except (Refusal, CannotFly):
            return False
        return True

    def opens(self, closed: NDArray[np.bool_]) -> bool:
        """Whether there is a way while these zones, and no others, count."""
        left = [self.air.zones[n] for n in np.flatnonzero(closed)]
        return self.air.is_open(closed) and self.finds(zones=left)


def relaxation(trial: Trial, closed_in: int | None, *, law: bool = True) -> Relaxation | None:
    """The first, in the order of this module, that opens a way; None when no single one does.

    Args:
        trial: the plan and what it is tried against.
        closed_in: the place of the plan that may be moved, if moving one may help.
        law: whether ceiling and clearance are to be asked at all.
    """
    found = None
    if trial.in_force.any() and trial.air.is_open(np.zeros_like(trial.in_force)):  # no zone helps where all do not
        found = _after_a_zone(trial)
        found = found or zones_lifted(trial.air.zones, trial.in_force, trial.departure_s, trial.opens)
    if found is None and closed_in is not None:
        found = moved(trial, closed_in)
    return found or (_law(trial) if law else None)


def _after_a_zone(trial: Trial) -> Relaxation | None:
    air, plan, departure_s = trial.air, trial.plan, trial.departure_s
    tolerance = air.rules.time_tolerance_s
    straight = np.diff([place.enu_m[:2] for place in air.places], axis=0)
    shortest_s = float(np.linalg.norm(straight, axis=1).sum()) / plan.aircraft.cruise_m_s
    counting = np.flatnonzero(trial.in_force)
    ends = [(end, n) for n in counting if (end := ends_s(air.zones[n], departure_s)) is not None]
    for end, number in sorted(ends):
        departs = float(math.ceil(end + tolerance))
        if departs > plan.latest_departure_s:
            return None
        zone = air.zones[number]
        still = in_the_way(air.zones, plan, departs - tolerance, departs + shortest_s + tolerance)
        if trial.opens(np.array([other in still for other in air.zones], np.bool_)):
            return Relaxation(
                f"zone:{zone.id}",
                f"{zone.name} ({zone.id}) ends at {clock(end, zone, departure_s)} ({zone.timezone}): a departure from "
                f"{clock(departs, zone, departure_s)} on finds a way, and your departure window is still open then.",
                until_s=end,
            )
    return None


def zones_lifted(
    zones: Sequence[GeoZone],
    closed: NDArray[np.bool_],
    departure_s: float,
    is_open: Callable[[NDArray[np.bool_]], bool],
) -> Relaxation | None:
    """The zone, or the fewest zones that were found, without which ``is_open`` says yes; None when no zones help."""
    counting = np.flatnonzero(closed)

    def rank(number: int) -> tuple[float, bool, int]:
        end = ends_s(zones[number], departure_s)
        return math.inf if end is None else end, zones[number].restriction is Restriction.PROHIBITED, number

    order = sorted(counting.tolist(), key=rank)
    for number in order:
        without = closed.copy()
        without[number] = False
        if is_open(without):
            zone = zones[number]
            return Relaxation(
                f"zone:{zone.id}",
                f"{zone_words(zone, departure_s)} alone stands in the way. {_who_opens([zone])}",
                until_s=ends_s(zone, departure_s),
            )
    if len(order) < 2 or not is_open(np.zeros_like(closed)):
        return None
    # None alone: put back, from the last of the order, whatever is not needed.
    lifted = set(order)
    for number in reversed(order):
        without = closed.copy()
        without[list(lifted - {number})] = False
        if is_open(without):
            lifted.remove(number)
    chosen = [zones[number] for number in order if number in lifted]
    ends = [ends_s(zone, departure_s) for zone in chosen]
    return Relaxation(
        f"zones:{','.join(zone.id for zone in chosen)}",
        f"No zone alone stands in the way, but together {listed([zone_words(zone, departure_s) for zone in chosen])} "
        f"do. {_who_opens(chosen)}",
        until_s=None if None in ends else max(ends),
    )


def _who_opens(zones: Sequence[GeoZone]) -> str:
    it, them = ("it", "authority that set it") if len(zones) == 1 else ("them", "authorities that set them")
    if all(zone.restriction is not Restriction.PROHIBITED for zone in zones):
        return f"With an authorisation for {it} there is a way: ask the {them} for one."
    return f"Without {it} there is a way; only the {them} can lift {it}."


def moved(trial: Trial, index: int) -> Relaxation | None:
    """The nearest place for a pad, or height for a way point, with which there is a way; None within reach."""
    air = trial.air.with_zones(trial.in_force)
    joined = air.joined_to_others(index)
    if joined is None:
        return None
    gaps, near = joined
    is_pad = index in (0, len(air.places) - 1)
    tries = 0
    for spot in _pads(air, air.places[index]) if is_pad else _heights(air, gaps, air.places[index]):
        there = air.with_place(index, spot)
        station = there.station(gaps, spot)
        if station is None or not near[station.gap] or there.crossed(spot, station.layer, there.all_closed):
            continue
        if trial.finds(places=there.places):
            return (_pad_words if is_pad else _height_words)(air, air.places[index], spot)
        tries += 1
        if tries == _MOST_MOVES:
            return None
    return None


def _pads(air: Air, place: Place) -> Iterator[Place]:
    """Open, level, known ground, nearest first."""
    columns = air.columns
    stride = max(1, round(air.rules.pad_radius_m / columns.cell_m))
    i, j = (np.arange(stride // 2, size, stride) for size in columns.shape)
    east = columns.origin_m[0] + (i + 0.5) * columns.cell_m
    north = columns.origin_m[1] + (j + 0.5) * columns.cell_m
    away = np.hypot(east[:, None] - place.east_m, north[None, :] - place.north_m)
    surface, terrain = columns.surface_m[np.ix_(i, j)], columns.terrain_m[np.ix_(i, j)]
    fit = (away <= _PAD_WITHIN_M) & (surface - terrain < _OPEN_M) & ~columns.unknown[np.ix_(i, j)]
    for flat in np.flatnonzero(fit)[np.argsort(away[fit], kind="stable")][:_MOST_PADS]:
        a, b = np.unravel_index(flat, away.shape)
        spot = Place(place.name, float(east[a]), float(north[b]), float(surface[a, b]))
        if pad_obstacle_m(columns, spot, air.rules.pad_radius_m) <= PAD_TOLERANCE_M:
            yield spot


def _pad_words(air: Air, place: Place, spot: Place) -> Relaxation:
    metres = math.hypot(spot.east_m - place.east_m, spot.north_m - place.north_m)
    lon, lat = (float(value) for value in air.skies.city_map.frame.to_lonlat(spot.east_m, spot.north_m))
    verb = "From" if place.name == "origin" else "To"
    return Relaxation(
        place.name,
        f"{verb} open ground {metres:.0f} m away, at {lon:.6f}, {lat:.6f} (lon, lat), there is a way: move the "
        f"{place.name} there.",
        round(metres, 1),
        "m",
    )


def _heights(air: Air, gaps: Gaps, place: Place) -> Iterator[Place]:
    """Heights over the same spot, nearest first."""
    layers = [layer for begin, end in air.free_over(gaps, place) for layer in range(begin, end)]
    for up in sorted(((layer + 0.5) * air.cell_m for layer in layers), key=lambda up: abs(up - place.up_m)):
        yield Place(place.name, place.east_m, place.north_m, up)


def way_point_number(place: Place) -> int:
    """People count from one, as pictures do; ``waypoints.0`` in documents counts from nought."""
    return int(place.name.split(".")[1]) + 1


def _height_words(air: Air, place: Place, spot: Place) -> Relaxation:
    metres = round(abs(spot.up_m - place.up_m), 1)
    higher = "higher" if spot.up_m > place.up_m else "lower"
    sentence = f"With way point {way_point_number(place)} {metres:.1f} m {higher} there is a way through it."
    return Relaxation(place.name, sentence, metres, "m")


def _law(trial: Trial) -> Relaxation | None:
    """Ceiling or clearance. Figures are rounded to the decimetre, to the side on which there is a way."""
    air = trial.air.with_zones(trial.in_force)
    rules, skies = air.rules, air.skies
    raised, left = air.raise_needed_m(), air.clearance_left_m()
    candidates = []
    if math.isfinite(raised):
        candidates.append((raised / rules.ceiling_above_terrain_m, "ceiling", _decimetres(raised)))
    if left > 0.0:
        less = _decimetres(rules.clearance_m - left)
        candidates.append((less / rules.clearance_m, "clearance", less))
    for _, kind, least in sorted(candidates):
        for more in _MORE_M:
            amount = round(least + more, 1)
            if kind == "ceiling":
                # The floors stay as they are.
                higher = dataclasses.replace(rules, ceiling_above_terrain_m=rules.ceiling_above_terrain_m + amount)
                if trial.finds(skies=skies.under(higher)):
                    return _ceiling_words(rules, amount)
            elif amount < rules.clearance_m:
                nearer = dataclasses.replace(rules, clearance_m=rules.clearance_m - amount)
                if trial.finds(skies=skies.under(nearer)):
                    return _clearance_words(rules, amount)
    return None


def _decimetres(metres: float) -> float:
    """Rounded up; at least one, for a rule that gives by nothing does not give."""
    return max(math.ceil(metres * 10 - 1e-6), 1) / 10


def _ceiling_words(rules: RuleSet, raised_m: float) -> Relaxation:
    ceiling = rules.ceiling_above_terrain_m
    return Relaxation(
        "ceiling",
        f"With a ceiling {raised_m:.1f} m higher ({ceiling + raised_m:.1f} m over the ground instead of {ceiling:g} m) "
        "there is a way. The ceiling is law: an operator cannot change it, and needs the aviation authority's "
        "permission to fly higher.",
        raised_m,
        "m",
    )


def _clearance_words(rules: RuleSet, less_m: float) -> Relaxation:
    clearance = rules.clearance_m
    return Relaxation(
        "clearance",
        f"Keeping {clearance - less_m:.1f} m instead of {clearance:g} m from everything that stands there "
        f"({less_m:.1f} m less), there is a way. The distance is law: an operator cannot change it, and needs the "
        "aviation authority's permission to fly nearer.",
        less_m,
        "m",
    )
