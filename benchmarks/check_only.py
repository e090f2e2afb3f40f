"""Check-only admission: CPU per check among many live intents: `python -m benchmarks.check_only [--live N ...]`.

An in-memory city of 8 x 8 km in columns of 2 m with zones; trajectories of 20 straight pieces and 2 to 3 km between
random pads, 200 departures an hour, so that more live intents reach farther ahead. Every live one was itself granted
by `check`. No database. Beside it, in turns and in the same process, what a trajectory costs when its clearance and its
separations are found as 0.3 found them: `least_distance` over its window, `closest_approach` to one neighbour after the
other. Writes benchmarks/results/check_only.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.planner_figures import RESULTS, machine
from utm.airspace.checking import check
from utm.airspace.situation import Situation
from utm.airspace.space import Skies
from utm.core import Columns, Traffic, closest_approach, least_distance
from utm.core.flown import flown
from utm.core.traffic import apart
from utm.frames import LocalFrame
from utm.model import (
    AIRCRAFT_CLASSES,
    Corridor,
    Datum,
    FlightPlan,
    GeoZone,
    OperationalIntent,
    Restriction,
    RuleSet,
    Trajectory,
    Waypoint,
)

SEED = 5
CELL_M, SIDE = 2.0, 4000
PER_HOUR = 200.0
NOW_S = 1_790_000_000.0
QUAD = AIRCRAFT_CLASSES["quad"]
CORNERS = 15
ZONES = 40
#: Beyond the separation, whoever passes within this is still near (metres), as in `utm.airspace.picture`.
BESIDE_M = (100.0, 20.0)
CHECKS, ROUNDS = 200, 5


class City:
    """Terrain of gentle hills, 12,000 blocks of up to 60 m: what `Skies` asks of a `CityMap`, in memory."""

    version = "benchmark-city"
    resolution_m = CELL_M
    size = (SIDE, SIDE)
    frame = LocalFrame("EPSG:6675", -77_000.0, 33_500.0, Datum.JGD2011)

    def __init__(self) -> None:
        rng = np.random.default_rng(SEED)
        along = np.arange(SIDE) * CELL_M
        hills = 20.0 + 8.0 * np.sin(along / 700.0)[:, None] + 8.0 * np.cos(along / 900.0)[None, :]
        self.terrain = (hills + rng.normal(0.0, 0.05, (SIDE, SIDE))).astype(np.float32)
        self.surface = self.terrain.copy()
        for _ in range(12_000):
            i, j = rng.integers(0, SIDE - 30, 2)
            a, b = rng.integers(5, 20, 2)
            part = self.surface[i : i + a, j : j + b]
            np.maximum(part, np.float32(self.terrain[i, j] + rng.uniform(6.0, 60.0)), out=part)
        self.unknown = np.zeros((SIDE, SIDE), np.bool_)
        for _ in range(40):
            i, j = rng.integers(0, SIDE - 60, 2)
            self.unknown[i : i + 40, j : j + 40] = True
            self.surface[i : i + 40, j : j + 40] += np.float32(15.0)

    def window(self, west: float, south: float, east: float, north: float) -> Columns:
        i0, j0 = (max(int(np.floor(value / CELL_M)), 0) for value in (west, south))
        i1, j1 = (min(int(np.ceil(value / CELL_M)), SIDE) for value in (east, north))
        cut = slice(i0, i1), slice(j0, j1)
        origin = np.array([i0, j0]) * CELL_M
        return Columns(origin, CELL_M, self.terrain[cut], self.surface[cut], self.unknown[cut])


@dataclass
class View:
    """The live intents in the index, as the engine's picture holds them."""

    rules: RuleSet
    seq: int = 1
    digest: str = "0" * 64

    def __post_init__(self) -> None:
        self.index, self.intents = Traffic(), []

    def add(self, intent: OperationalIntent) -> None:
        self.index.add(len(self.intents), intent.corridor)
        self.intents.append(intent)

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        limits = self.rules.separation_horizontal_m + BESIDE_M[0], self.rules.separation_vertical_m + BESIDE_M[1]
        found = [self.intents[number] for number in self.index.near(corridor, *limits, later_s=later_s).tolist()]
        return tuple(sorted(found, key=lambda intent: intent.id))

    def get(self, intent_id: str) -> OperationalIntent | None:
        return next((intent for intent in self.intents if intent.id == intent_id), None)


def open_pads(city: City, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, 3) places where nothing stands within 10 m and the survey saw the ground."""
    pads = []
    while len(pads) < count:
        i, j = rng.integers(150, SIDE - 150, 2)
        around = slice(i - 5, i + 6), slice(j - 5, j + 6)
        if city.unknown[around].any() or (city.surface[around] > city.terrain[around]).any():
            continue
        pads.append(((i + 0.5) * CELL_M, (j + 0.5) * CELL_M, float(city.surface[i, j])))
    return np.array(pads)


def asked(city: City, pads: NDArray[np.float64], rng: np.random.Generator, name: str, at_s: float):
    """A plan between two pads 2 to 3 km apart, and its trajectory of 20 pieces at even speeds."""
    while True:
        a, b = pads[rng.integers(0, len(pads), 2)]
        if 2000.0 <= np.hypot(*(b - a)[:2]) <= 3000.0:
            break
    up = rng.uniform(120.0, 135.0)
    share = np.linspace(0.0, 1.0, CORNERS + 2)[:, None]
    aside = np.concatenate([[0.0], rng.normal(0.0, 25.0, CORNERS), [0.0]])[:, None]
    ahead = (b - a)[:2] / np.hypot(*(b - a)[:2])
    level = a[:2] + share * (b - a)[:2] + aside * np.array([-ahead[1], ahead[0]])
    cruise = np.column_stack([level, np.full(len(level), up)])
    points = np.vstack([a, a + (0.0, 0.0, 10.0), cruise, b + (0.0, 0.0, QUAD.slow_below_m), b])
    steps = np.diff(points, axis=0)
    seconds = np.hypot(steps[:, 0], steps[:, 1]) / (0.95 * QUAD.cruise_m_s)
    seconds[:2] = steps[:2, 2] / (0.9 * QUAD.climb_m_s)
    seconds[-2] = -steps[-2, 2] / (0.9 * QUAD.descent_m_s)
    seconds[-1] = -steps[-1, 2] / (0.9 * QUAD.landing_m_s)
    line = Trajectory(at_s + np.concatenate([[0.0], np.cumsum(seconds)]), points)
    ends = [Waypoint(*(float(v) for v in city.frame.to_lonlat(p[0], p[1])), float(p[2]), Datum.JGD2011) for p in (a, b)]
    return FlightPlan(name, "benchmark", QUAD, *ends, at_s, at_s + 60.0), line


def zones(rng: np.random.Generator) -> tuple[GeoZone, ...]:
    """Squares of 200 m, from the ground to 90 m or always, half of them for an hour a day."""
    made = []
    for n in range(ZONES):
        east, north = rng.uniform(500.0, SIDE * CELL_M - 500.0, 2)
        corners = [(east + x, north + y) for x, y in ((-100, -100), (100, -100), (100, 100), (-100, 100))]
        outline = tuple((float(lon), float(lat)) for lon, lat in (City.frame.to_lonlat(*c) for c in corners))
        until = NOW_S + 3600.0 if n % 2 else None
        made.append(
            GeoZone(f"zone-{n}", f"Zone {n}", Restriction.PROHIBITED, outline, 0.0, Datum.AGL, 60.0, Datum.AGL,
                    valid_to_s=until)
        )  # fmt: skip
    return tuple(made)


def as_before(city: City, view: View, skies: Skies, line: Trajectory) -> None:
    """The clearance and the separations of a trajectory by the means of 0.3."""
    way = flown(line)
    assert way is not None
    rules = skies.rules
    corridor = Corridor(line, rules.half_width_m, rules.half_height_m, rules.half_height_m, 10.0, 60.0, way.tube)
    low, high = line.enu_m[:, :2].min(axis=0) - 120.0, line.enu_m[:, :2].max(axis=0) + 120.0
    least_distance(way.way_m, city.window(*low, *high), 120.0)
    for other in view.near(corridor):
        _, vertical, tolerance = apart(corridor, other.corridor, 20.0, 10.0)
        closest_approach(corridor.occupied, other.corridor.occupied, vertical, tolerance)


def measured(city: City, live: int) -> dict[str, object]:
    """One row of figures."""
    rng = np.random.default_rng(SEED + live)
    skies = Skies(city, RuleSet())  # type: ignore[arg-type]
    pads, there = open_pads(city, rng, 300), zones(rng)
    view = View(skies.for_aircraft(QUAD).rules)
    situation = Situation(skies, there, NOW_S, traffic=view)
    horizon = live / PER_HOUR * 3600.0
    tried = 0
    began = time.process_time()
    while len(view.intents) < live:
        tried += 1
        decision = check(situation, *asked(city, pads, rng, f"live-{tried}", NOW_S + 60.0 + rng.uniform(0.0, horizon)))
        if decision.intent is not None:
            view.add(decision.intent)
    filled = time.process_time() - began
    questions = [asked(city, pads, rng, f"new-{n}", NOW_S + 60.0 + rng.uniform(0.0, horizon)) for n in range(CHECKS)]
    decisions = [check(situation, *question) for question in questions]
    each, before = [], []
    for _ in range(ROUNDS):
        for plan, line in questions:
            start = time.thread_time()
            check(situation, plan, line)
            each.append(time.thread_time() - start)
        start = time.thread_time()
        for _, line in questions[:10]:
            as_before(city, view, skies, line)
        before.append((time.thread_time() - start) / 10)
    taken = np.array(each).reshape(ROUNDS, -1)
    near = [len(view.near(Corridor(line, 25.0, 10.0, 10.0, 10.0, 60.0))) for _, line in questions]
    reasons = [reason.code for decision in decisions for reason in decision.reasons]
    return {
        "live": live,
        "us_median": round(float(np.median(taken)) * 1e6),
        "us_mean": round(float(taken.mean()) * 1e6),
        "us_p99": round(float(np.quantile(taken, 0.99)) * 1e6),
        "us_mean_of_quietest_round": round(float(taken.mean(axis=1).min()) * 1e6),
        "us_as_in_0_3": round(float(np.median(before)) * 1e6),
        "ratio": round(float(np.median(before) / taken.mean()), 1),
        "granted_share": round(sum(decision.approved for decision in decisions) / CHECKS, 3),
        "reasons": {code: reasons.count(code) for code in sorted(set(reasons))},
        "points": len(questions[0][1].t_s),
        "neighbours_median": float(np.median(near)),
        "us_per_check_and_add_while_filling": round(filled / tried * 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    where, city, rows = machine(), City(), []
    for live in options.live:
        rows.append(measured(city, live))
        print(json.dumps(rows[-1]), flush=True)
    result = {"machine": where, "day": datetime.now(UTC).date().isoformat(), "per_hour": PER_HOUR, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "check_only.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
