"""One error budget, horizontal and vertical: what the volume that a flight is granted must contain, term by term.

Random terms are 95 % figures and independent of each other: the root of their squares is a 95 % figure again.
Systematic ones, which a whole flight or a whole place has in common, are bounds and added to that.

What the volume contains, and what the gap to the next one is for
    The volume (``half_width_m``, ``half_height_m``) contains the budget of a flight that does what it was told,
    overshoot included: at the worst turn, flown at the speed it is planned at, the drone misses it, goes straight on,
    and stops by itself. Along the track the time tolerance contains what latency and clocks are off (at 8 m/s 80 m).

    A drone that leaves the road at full speed straight across, through its fence, does not do what it was told. It
    stops 24 m beyond the fence at 10 m/s (measured). That takes a fault, not an error, and a fault of one drone at a
    time: so the gap between two volumes (``separation_horizontal_m``) is there to stop in, and where the gap is too
    short for the speed, the volume grows by what is missing, and the fence (`Budget.fence_m`) stays so far inside that
    the drone stops before it reaches another volume. Two that break out towards each other at once are not covered,
    nor is what stands beyond the clearance. Drones that failsafes lead off their road fly ways of their own, which are
    reserved (`utm.model.WayOut`); they are no part of this sum.

    The rest of the gap is for the 5 % and for the hulls (0.6 and 1.2 m): with the built-in quad 20 m are more than
    four times its navigation error.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from utm.model.aircraft import Aircraft
from utm.model.airspace import RuleSet

#: 95 % of a circular normal error lie within 2.45 standard deviations of its centre, of a normal one within 1.96.
_IN_95_CIRCULAR, _IN_95 = 2.448, 1.960
#: The farthest off that the map's outlines and heights may be (standard deviations at map level 2500, the level of
#: city plans and of the PLATEAU models): Japan's rules for public surveys, article on the accuracy of digital maps.
_SURVEY_M, _SURVEY_HEIGHT_M = 1.75, 0.66
#: Between the geoids in use for one place, around Kaga: EGM96 36.70 m, GSIGEO2011 37.28 m, JPGEO2024 37.44 m.
_GEOID_M = 0.74
#: Largest share of the dynamic pressure that a barometer takes for static pressure: the range of PX4's EKF2_PCOEF_*.
_PRESSURE_SHARE = 0.5
_GRAVITY_M_S2 = 9.81
#: 3.6 hPa in three hours is what forecasters call a quick change; 8.3 m a hectopascal (standard atmosphere, low down).
#: GNSS is PX4's reference for height (EKF2_HGT_REF): a drift is taken to be noticed within two minutes.
_WEATHER_M = 1.2 / 3600.0 * 8.3 * 120.0
#: The worst that was seen against the granted line in flights of PX4 in simulation, the rounding of turns included. On
#: a real log (5 m/s, calm) 95 % of the positions were within 1.9 m of the set point.
_FLOWN_M, _FLOWN_HEIGHT_M = 4.1, 4.7
#: A position is up to 0.2 s old when it is told (what the adapter asks for), and GNSS is 0.1 s behind (EKF2_GPS_DELAY).
_LATENCY_S = 0.3
#: Beyond the end of a vertical step, with a stop before it (12 m without one), as measured.
_STEP_M = 2.0
#: Way from a fence to standing: this long on at the same speed, then braking. Both figures by the two measurements of
#: PX4 (8 m at 5 m/s, 24 m at 10 m/s): v t + v^2 / (2 a) with t = 0.8 s and a = 3.125 m/s2.
_REACTION_S, _BRAKING_M_S2 = 0.8, 3.125
#: A late drone is told to fly up to a quarter faster than planned (`utm.ops.pace`).
_CATCHING_UP = 1.25
#: How PX4 flies a turn, as `utm.core.trajectory` plans it: within 10 m of the corner, with half the acceleration.
_ACCEPTANCE_M, _LATERAL_SHARE = 10.0, 0.5


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One term of a budget."""

    name: str
    horizontal_m: float
    vertical_m: float
    random: bool
    """Whether it is a 95 % figure (root of squares) or a bound that is added."""
    speed: str
    """How it depends on speed; empty where it does not."""
    source: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What one aircraft's volume must contain at one speed under one rule set."""

    speed_m_s: float
    lines: tuple[BudgetLine, ...]
    horizontal_m: float
    """The sum: how far from its line, level, the drone really is."""
    vertical_m: float
    """The sum: how far above or below it."""
    breach_m: float
    """How far beyond its fence a drone stops that breaks out at the highest speed it may be told."""
    half_width_m: float
    """Of the volume: what the rules ask at least, the sum, and what a breach needs beyond the gap to the next volume;
    tenths of a metre, rounded up."""
    half_height_m: float
    """Of the volume, likewise."""
    fence_m: float
    """How far from the line a fence may be at most, so that a breach ends before the next volume."""


def budget_of(aircraft: Aircraft, rules: RuleSet, speed_m_s: float | None = None) -> Budget:
    """The error budget of an aircraft.

    Args:
        speed_m_s: over the ground; its cruise speed when left out.

    Raises:
        ValueError: a speed or an error of the aircraft that is not a finite number above zero.
    """
    speed = aircraft.cruise_m_s if speed_m_s is None else speed_m_s
    figures = {"speed_m_s": speed, "navigation_error_m": aircraft.navigation_error_m}
    for name, value in (figures | {"height_error_m": aircraft.height_error_m}).items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
    lines = _lines(aircraft, speed)
    horizontal, vertical = (_sum(lines, name) for name in ("horizontal_m", "vertical_m"))
    breach = stop_m(_CATCHING_UP * speed)
    half_width = max(rules.half_width_m, _tenths(max(horizontal, horizontal + breach - rules.separation_horizontal_m)))
    return Budget(
        speed_m_s=speed,
        lines=lines,
        horizontal_m=horizontal,
        vertical_m=vertical,
        breach_m=breach,
        half_width_m=half_width,
        half_height_m=max(rules.half_height_m, _tenths(vertical)),
        fence_m=min(half_width, half_width + rules.separation_horizontal_m - breach),
    )


def rules_for(rules: RuleSet, aircraft: Aircraft) -> RuleSet:
    """A rule set with corridors as wide and as high as an aircraft's budget asks; the very same where they are already.

    The clearance grows by as much as the corridor's far corner is farther out, so that a wider corridor keeps as far
    from everything as the narrow one.

    Raises:
        ValueError: as `budget_of`.
    """
    budget = budget_of(aircraft, rules)
    if (budget.half_width_m, budget.half_height_m) == (rules.half_width_m, rules.half_height_m):
        return rules
    corner = math.hypot(budget.half_width_m, budget.half_height_m)
    more = corner - math.hypot(rules.half_width_m, rules.half_height_m)
    return dataclasses.replace(
        rules,
        half_width_m=budget.half_width_m,
        half_height_m=budget.half_height_m,
        clearance_m=_tenths(rules.clearance_m + more),
    )


def stop_m(speed_m_s: float) -> float:
    """How far a drone comes from crossing its fence to standing (metres), by its speed across it."""
    return _REACTION_S * speed_m_s + speed_m_s**2 / (2 * _BRAKING_M_S2)


def missed_turn_m(aircraft: Aircraft, speed_m_s: float) -> float:
    """How far from its line a drone comes at most that goes straight on at a turn and stops (metres)."""
    return max(stop_m(speed) * across for speed, across in _turns(aircraft, speed_m_s))


def _turns(aircraft: Aircraft, speed_m_s: float) -> list[tuple[float, float]]:
    """For turns of a degree to 180: the speed at the corner, and which share of going straight on is across the next
    leg (of more than a right angle: all of it, for nothing of the next leg is nearer than the corner)."""
    found = []
    for degrees in range(1, 180):
        turn = math.radians(degrees)
        rounding = math.sqrt(_LATERAL_SHARE * aircraft.acceleration_m_s2 * _ACCEPTANCE_M / math.tan(turn / 2))
        found.append((min(speed_m_s, rounding), math.sin(turn) if degrees < 90 else 1.0))
    return found


def _lines(aircraft: Aircraft, speed: float) -> tuple[BudgetLine, ...]:
    across = max(corner * share for corner, share in _turns(aircraft, speed))
    return (
        BudgetLine(
            "navigation",
            aircraft.navigation_error_m,
            aircraft.height_error_m,
            True,
            "",
            "of the aircraft; by default a receiver of 2.5 m CEP (u-blox M8), 95 % = 2.08 CEP, and the 5 m to which "
            "its height is checked on the pad before it is armed",
        ),
        BudgetLine("receiver geoid", 0.0, _GEOID_M, False, "", "EGM96, GSIGEO2011, JPGEO2024 around Kaga"),
        BudgetLine(
            "barometer drift",
            0.0,
            _WEATHER_M + _PRESSURE_SHARE * speed**2 / (2 * _GRAVITY_M_S2),
            True,
            "grows with its square: dynamic pressure",
            "weather of 1.2 hPa an hour over 2 min; EKF2_PCOEF_* of PX4 at its limit of 0.5",
        ),
        BudgetLine(
            "survey",
            _IN_95_CIRCULAR * _SURVEY_M,
            _IN_95 * _SURVEY_HEIGHT_M,
            True,
            "",
            "Japan's rules for public surveys, map level 2500: standard deviations 1.75 m and 0.66 m",
        ),
        BudgetLine(
            "flight technical error",
            _FLOWN_M,
            _FLOWN_HEIGHT_M,
            True,
            "",
            "the worst of PX4 in simulation (docs/px4.md); on a real log 95 % within 1.9 m at 5 m/s",
        ),
        BudgetLine(
            "latency",
            _LATENCY_S * across,
            0.0,
            False,
            "with the speed across a turn",
            "0.2 s between reports and 0.1 s of GNSS; along the track the time tolerance contains it",
        ),
        BudgetLine(
            "overshoot",
            missed_turn_m(aircraft, speed),
            _STEP_M,
            False,
            "with the speed at the worst turn",
            "a missed turn: PX4 needs 8 m to stop from 5 m/s, 24 m from 10 m/s; 2 m at a vertical step",
        ),
    )


def _sum(lines: tuple[BudgetLine, ...], name: str) -> float:
    random = math.sqrt(sum(getattr(line, name) ** 2 for line in lines if line.random))
    return random + sum(getattr(line, name) for line in lines if not line.random)


def _tenths(value: float) -> float:
    """Rounded up to tenths; a millionth over one is none."""
    return math.ceil(value * 10.0 - 1e-6) / 10.0


def budget_rows(budget: Budget) -> list[tuple[str, str, str, str, str, str]]:
    """A budget as a table of words, for people: term, horizontal, vertical, kind, by speed, source; the sums last."""
    rows = [
        (
            line.name,
            f"{line.horizontal_m:.1f} m" if line.horizontal_m else "",
            f"{line.vertical_m:.1f} m" if line.vertical_m else "",
            "95 %" if line.random else "added",
            line.speed,
            line.source,
        )
        for line in budget.lines
    ]
    at = f"at {budget.speed_m_s:g} m/s"
    sums = f"{budget.horizontal_m:.1f} m", f"{budget.vertical_m:.1f} m"
    rows.append(("sum", *sums, "95 %", at, "root of the squares of the 95 % figures, the others added"))
    rows.append(
        (
            "breach",
            f"{budget.breach_m:.1f} m",
            "",
            "",
            f"at {_CATCHING_UP * budget.speed_m_s:g} m/s",
            "beyond the fence",
        )
    )
    fence = f"fence at most {budget.fence_m:.1f} m from the line"
    rows.append(("volume", f"{budget.half_width_m:g} m", f"{budget.half_height_m:g} m", "", "", fence))
    return rows
