"""Planned admission: CPU per decision among live intents: `python -m benchmarks.planned_admission [--live N ...]`.

The town of the planner's figures, city M: 1 km2, 30 % of it built, 6 to 60 m high, streets of 12 to 20 m, in columns
of 2 m. Flights between random pads at least half the town apart, so many departures an hour, so that more live intents
reach farther ahead; every live one was itself granted by `decide`, at its own time. Then new wishes at random times
within the same hours, all decided on the same picture: route, clearances, separations, certificate. No database.
Corridors are 50 m wide, pads are held for a minute before and after, and everything may be 10 s early or late: at 20
departures an hour a third of the wishes must be changed, and at 120 the town is full.
Writes benchmarks/results/planned_admission.json.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.cities import CELL_M, city_heights
from benchmarks.planner_figures import RESULTS, machine
from utm.airspace.admission import decide
from utm.airspace.situation import Situation
from utm.airspace.space import Skies
from utm.core import Columns, Traffic
from utm.frames import LocalFrame
from utm.model import AIRCRAFT_CLASSES, Corridor, Datum, FlightPlan, OperationalIntent, RuleSet, Waypoint

SEED, SIDE = 2, 512
NOW_S = 1_790_000_000.0
PER_HOUR, WINDOW_S = (20.0, 120.0), 600.0
QUAD = AIRCRAFT_CLASSES["quad"]
PADS = 60
#: Whoever passes within this beyond the separation is near (metres), as in `utm.airspace.picture`.
BESIDE_M = (100.0, 20.0)
DECISIONS, ROUNDS = 200, 3


class Town:
    """City M over level ground: what `Skies` and `resolve` ask of a `CityMap`, in memory."""

    version = "city-m"
    resolution_m = CELL_M
    size = (SIDE, SIDE)
    frame = LocalFrame("EPSG:6675", -77_000.0, 33_500.0, Datum.JGD2011)

    def __init__(self) -> None:
        self.terrain = np.full(self.size, 10.0, np.float32)
        self.surface = self.terrain + city_heights(self.size, seed=SEED).astype(np.float32)
        self.unknown = np.zeros(self.size, np.bool_)

    def contains(self, east: float, north: float) -> bool:
        return 0.0 <= east < SIDE * CELL_M and 0.0 <= north < SIDE * CELL_M

    def terrain_up(self, _east: float, _north: float) -> float:
        return 10.0

    def window(self, west: float, south: float, east: float, north: float) -> Columns:
        i0, j0 = (max(int(np.floor(value / CELL_M)), 0) for value in (west, south))
        i1, j1 = (min(int(np.ceil(value / CELL_M)), SIDE) for value in (east, north))
        cut = slice(i0, i1), slice(j0, j1)
        return Columns(np.array([i0, j0]) * CELL_M, CELL_M, self.terrain[cut], self.surface[cut], self.unknown[cut])


@dataclass
class View:
    """The live intents in the index, as the engine's picture holds them."""

    rules: RuleSet
    seq: int = 1
    digest: str = "0" * 64
    intents: list[OperationalIntent] = field(default_factory=list)
    index: Traffic = field(default_factory=Traffic)

    def add(self, intent: OperationalIntent) -> None:
        self.index.add(len(self.intents), intent.corridor)
        self.intents.append(intent)

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        limits = self.rules.separation_horizontal_m + BESIDE_M[0], self.rules.separation_vertical_m + BESIDE_M[1]
        found = [self.intents[number] for number in self.index.near(corridor, *limits, later_s=later_s).tolist()]
        return tuple(sorted(found, key=lambda intent: intent.id))

    def get(self, intent_id: str) -> OperationalIntent | None:
        return next((intent for intent in self.intents if intent.id == intent_id), None)


def open_pads(town: Town, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3) places on the ground where nothing stands within 10 m."""
    pads = []
    while len(pads) < PADS:
        i, j = rng.integers(25, SIDE - 25, 2)
        if (town.surface[i - 5 : i + 6, j - 5 : j + 6] > 10.0).any():
            continue
        pads.append(((i + 0.5) * CELL_M, (j + 0.5) * CELL_M, 10.0))
    return np.array(pads)


def wish(town: Town, pads: NDArray[np.float64], rng: np.random.Generator, name: str, at_s: float) -> FlightPlan:
    """A plan between two pads half the town apart, that may start up to ten minutes late."""
    while True:
        ends = pads[rng.integers(0, len(pads), 2)]
        if np.hypot(*(ends[1] - ends[0])[:2]) >= SIDE * CELL_M / 2:
            break
    places = [Waypoint(*(float(v) for v in town.frame.to_lonlat(p[0], p[1])), float(p[2]), Datum.JGD2011) for p in ends]
    return FlightPlan(name, "benchmark", QUAD, places[0], places[1], at_s, at_s + WINDOW_S)


def measured(town: Town, live: int, per_hour: float) -> dict[str, object]:
    """One row of figures."""
    rng = np.random.default_rng(SEED + live)
    skies = Skies(town, RuleSet())  # type: ignore[arg-type]
    pads, view = open_pads(town, rng), View(RuleSet())
    situation = Situation(skies, (), NOW_S, traffic=view)
    horizon = max(live / per_hour, 1.0) * 3600.0
    tried = 0
    began = time.process_time()
    while len(view.intents) < live:
        tried += 1
        plan = wish(town, pads, rng, f"live-{tried}", NOW_S + 60.0 + rng.uniform(0.0, horizon))
        decision = decide(situation, plan)
        if decision.intent is not None:
            view.add(decision.intent)
    filled = time.process_time() - began
    wishes = [wish(town, pads, rng, f"new-{n}", NOW_S + 60.0 + rng.uniform(0.0, horizon)) for n in range(DECISIONS)]
    outcomes = [decide(situation, plan) for plan in wishes]
    rounds = []
    for _ in range(ROUNDS):
        taken = []
        for plan in wishes:
            start = time.thread_time()
            decide(situation, plan)
            taken.append(time.thread_time() - start)
        rounds.append(taken)
    each = np.median(rounds, axis=0)
    as_asked = np.array([one.intent is not None and one.change is None for one in outcomes])
    kinds = Counter(one.change.kind if one.change else "as asked" if one.approved else "refused" for one in outcomes)
    changed = each[~as_asked]
    return {
        "live": live,
        "departures_an_hour": per_hour,
        "decisions": DECISIONS,
        "ms_median": round(float(np.median(each)) * 1e3, 2),
        "ms_mean": round(float(each.mean()) * 1e3, 2),
        "ms_p95": round(float(np.quantile(each, 0.95)) * 1e3, 2),
        "ms_mean_as_asked": round(float(each[as_asked].mean()) * 1e3, 2),
        "ms_mean_changed_or_refused": round(float(changed.mean()) * 1e3, 2) if len(changed) else None,
        "a_second_on_one_core": round(float(1.0 / each.mean()), 1),
        "outcomes": dict(sorted(kinds.items())),
        "neighbours_mean": round(float(np.mean([len(one.intent.neighbours) for one in outcomes if one.intent])), 2),
        "ms_per_decision_while_filling": round(filled / max(tried, 1) * 1e3, 2),
    }


def profiled(town: Town, live: int) -> None:
    """Print where the time goes."""
    profile = cProfile.Profile()
    measured(town, 20, PER_HOUR[0])  # everything is compiled and cached
    profile.runcall(measured, town, live, PER_HOUR[0])
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, nargs="+", default=[0, 100, 1_000])
    parser.add_argument("--profile", action="store_true", help="print where the time goes, write nothing")
    options = parser.parse_args()
    where, town, rows = machine(), Town(), []
    if options.profile:
        profiled(town, options.live[-1])
        return
    measured(town, 20, PER_HOUR[0])
    for per_hour in PER_HOUR:
        for live in options.live:
            if live > 0 or per_hour == PER_HOUR[0]:
                rows.append(measured(town, live, per_hour))
                print(json.dumps(rows[-1]), flush=True)
    result = {"machine": where, "day": datetime.now(UTC).date().isoformat(), "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "planned_admission.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
