"""What the flown tracks show, in numbers. The pictures and the page print these and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core.clearance import least_distance
from utm.model import RuleSet
from utm.report.flown import Flown, FlownFlight

#: How far around a flown track obstacles are looked for.
_LOOK_M = 100.0
#: Checks of one kind that are listed one by one.
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class FlightFigures:
    """One flight in numbers."""

    departure_s: float
    arrival_s: float
    distance_m: float
    """Flown distance over the ground."""
    cross_track_max_m: float
    height_error_m: tuple[float, float] | None
    """Lowest and highest height off the centre line on the way between the pads; None for a flight that never was
    there. Over a pad the centre line stands upright, and being high or low there is being early or late."""
    obstacle_m: float | None
    """Least distance in space from the track between the pads to anything on the map; None when nothing was within
    100 m. Over a pad the pad itself is the nearest thing."""
    inside_share: float
    """Share of the flight time in the corridor, 0 to 1. A stretch counts as inside when both its ends are."""


def flight_figures(flown: Flown, flight: FlownFlight) -> FlightFigures | None:
    """One flight in numbers, from its track and the map alone; None for one that never left the ground.

    Raises:
        MapError: the track left the map.
    """
    if not flight.flew:
        return None
    steps = np.diff(flight.t_s)
    both = flight.inside[:-1] & flight.inside[1:]
    between = _between_pads(flown, flight)
    errors = flight.height_error_m[between]
    return FlightFigures(
        departure_s=float(flight.t_s[0]),
        arrival_s=float(flight.t_s[-1]),
        distance_m=float(np.hypot(*np.diff(flight.enu_m[:, :2], axis=0).T).sum()),
        cross_track_max_m=float(np.abs(flight.cross_track_m).max()),
        height_error_m=(float(errors.min()), float(errors.max())) if len(errors) else None,
        obstacle_m=_obstacle_m(flown, flight.enu_m[between]),
        inside_share=float(steps[both].sum() / steps.sum()),
    )


def _between_pads(flown: Flown, flight: FlownFlight) -> slice:
    """The positions from the first to the last that is not over a pad (within the corridor's half-width of it)."""
    near_m = max(flown.rules.pad_radius_m, flight.intent.corridor.half_width_m)
    pads = flight.intent.corridor.centre_line.enu_m[[0, -1], :2]
    away = np.hypot(*(flight.enu_m[:, None, :2] - pads).transpose(2, 0, 1))
    between = np.flatnonzero((away > near_m).all(axis=1))
    return slice(between[0], between[-1] + 1) if len(between) else slice(0, 0)


def _obstacle_m(flown: Flown, track: NDArray[np.float64]) -> float | None:
    if len(track) == 0:
        return None
    west, south = track[:, :2].min(axis=0) - _LOOK_M
    east, north = track[:, :2].max(axis=0) + _LOOK_M
    found = least_distance(track, flown.city_map.window(west, south, east, north), _LOOK_M)
    return found if found < _LOOK_M else None


@dataclass(frozen=True, slots=True)
class Closest:
    """The moment at which two drones came nearest to breaking their separation."""

    t_s: float
    horizontal_m: float
    vertical_m: float
    margin: float
    """The greater of horizontal and vertical distance, each as a multiple of what is required. Below 1 is too close."""


def least_separation(a: FlownFlight, b: FlownFlight, rules: RuleSet) -> Closest | None:
    """When and how near two drones came, judged as the rules do: apart when EITHER distance is large enough.

    The moment is that of the least ``max(horizontal / required, vertical / required)``. Exact for tracks that are
    straight between their positions: within a piece both terms are convex in time, so the least maximum is at an end,
    at the least of one term, or where the two are equal, and each of these times is the root of a polynomial.

    Returns:
        None when they were never in the air at the same time.
    """
    if not (a.flew and b.flew):
        return None
    start, end = max(a.t_s[0], b.t_s[0]), min(a.t_s[-1], b.t_s[-1])
    if start > end:
        return None
    base = np.union1d(a.t_s, b.t_s)
    base = np.union1d(base[(base >= start) & (base <= end)], [start, end])
    required = np.array([rules.separation_horizontal_m, rules.separation_horizontal_m, rules.separation_vertical_m])
    times = np.union1d(base, _turning_times(base, _apart(a, b, base) / required))
    apart = _apart(a, b, times)
    horizontal, vertical = np.hypot(apart[:, 0], apart[:, 1]), np.abs(apart[:, 2])
    margin = np.maximum(horizontal / rules.separation_horizontal_m, vertical / rules.separation_vertical_m)
    worst = int(np.argmin(margin))
    return Closest(float(times[worst]), float(horizontal[worst]), float(vertical[worst]), float(margin[worst]))


def _apart(a: FlownFlight, b: FlownFlight, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack(
        [np.interp(t_s, b.t_s, b.enu_m[:, k]) - np.interp(t_s, a.t_s, a.enu_m[:, k]) for k in range(3)]
    )


def _turning_times(base: NDArray[np.float64], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times inside the pieces at which the larger of horizontal and vertical distance can be least.

    ``apart`` (n, 3) is scaled by what is required, so that the two compare.
    """
    p, step = apart[:-1], np.diff(base)
    v = np.diff(apart, axis=0)  # per piece, so that the piece runs from 0 to 1
    # horizontal^2 = c0 + c1 x + c2 x^2, vertical^2 = d0 + d1 x + d2 x^2
    c0, c1, c2 = (p[:, :2] ** 2).sum(1), 2 * (p[:, :2] * v[:, :2]).sum(1), (v[:, :2] ** 2).sum(1)
    d0, d1, d2 = p[:, 2] ** 2, 2 * p[:, 2] * v[:, 2], v[:, 2] ** 2
    e0, e1, e2 = c0 - d0, c1 - d1, c2 - d2
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(e1**2 - 4 * e0 * e2)
        # The second form of each root holds where e2 is nothing beside e1.
        far = -0.5 * (e1 + np.where(e1 < 0, -root, root))
        shares = np.array([-c1 / (2 * c2), -d1 / (2 * d2), far / e2, e0 / far])
    inside = np.isfinite(shares) & (shares > 0) & (shares < 1)
    return (base[:-1] + np.where(inside, shares, 0.0) * step)[inside]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two flights and the moment of their least separation; None when they never were in the air together."""

    a: FlownFlight
    b: FlownFlight
    closest: Closest | None


def pairs(flown: Flown) -> tuple[Pair, ...]:
    """Every two flights, those that came nearest to breaking their separation first."""
    found = [Pair(a, b, least_separation(a, b, flown.rules)) for a, b in itertools.combinations(flown.flights, 2)]
    return tuple(sorted(found, key=lambda pair: np.inf if pair.closest is None else pair.closest.margin))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a conforming demo keeps, and whether it did."""

    held: bool
    sentence: str


def checks(flown: Flown, found: Sequence[Pair]) -> tuple[Check, ...]:
    """What the tracks themselves say of every flight and of every pair (:func:`pairs`); faults first.

    Of many flights or pairs that kept the rules, the worst ones are named and the rest counted.
    """
    flights = [check for flight in flown.flights for check in _flight_checks(flight)]
    apart = [_pair_check(pair) for pair in found if pair.closest is not None]
    broken = [check for check in (*flights, *apart) if not check.held]
    return (
        *broken,
        *_shortened([check for check in flights if check.held], "flights stayed inside their corridors"),
        *_shortened([check for check in apart if check.held], "pairs stayed further apart"),
    )


def _flight_checks(flight: FlownFlight) -> list[Check]:
    name, found = flight.intent.plan.id, []
    if flight.trouble:
        found.append(Check(False, f"{name}: {flight.trouble.removeprefix(f'{name}: ').rstrip('.')}"))
    elif not flight.flew:
        found.append(Check(False, f"{name} never left the ground"))
    if flight.flew:
        outside, count = int((~flight.inside).sum()), f"{len(flight.inside):,}"
        kept = f"{name} stayed inside its corridor at all {count} positions"
        left = f"{name} was outside its corridor at {outside:,} of {count} positions"
        found.append(Check(outside == 0, left if outside else kept))
    return found


def _pair_check(pair: Pair) -> Check:
    names = f"{pair.a.intent.plan.id} and {pair.b.intent.plan.id}"
    distances = f"{pair.closest.horizontal_m:.0f} m across and {pair.closest.vertical_m:.0f} m in height"
    kept = pair.closest.margin >= 1.0
    return Check(kept, f"{names} {'stayed apart' if kept else 'came too close'}: {distances} at their least separation")


def _shortened(kept: Sequence[Check], rest: str) -> list[Check]:
    if len(kept) <= _MOST_NAMED:
        return list(kept)
    return [*kept[: _MOST_NAMED - 1], Check(True, f"{len(kept) - _MOST_NAMED + 1} other {rest}")]
