"""Fleets decided together against first come first served: `python -m benchmarks.fleet`.

Twelve delivery flights at a time between a dozen pads of a town of 2 x 2 km, all wishing to depart within one minute;
five draws. The total delay of both, the rounds and the CPU. Writes benchmarks/results/fleet.json.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.demand import asked, pads, town
from benchmarks.planner_figures import RESULTS, machine
from utm.airspace.fleet import decide_fleet
from utm.airspace.situation import Situation
from utm.airspace.space import Skies
from utm.model import RuleSet

NOW_S = 1_900_000_000.0
PLANS, DRAWS, ROUNDS = 12, 5, 20


def main() -> None:
    where, rows = machine(), []
    with tempfile.TemporaryDirectory(prefix="fleet-") as name:
        city_map = town(Path(name), 2000.0)
        skies = Skies(city_map, RuleSet())
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            places = pads(city_map, 12, rng)
            plans = []
            for n in range(PLANS):
                plan, _ = asked(city_map, places, rng, f"p{n}", NOW_S + 600.0 + rng.uniform(0.0, 60.0), (500.0, 1200.0))
                plans.append(dataclasses.replace(plan, latest_departure_s=plan.earliest_departure_s + 1800.0))
            cpu = time.process_time()
            fleet = decide_fleet(Situation(skies, (), NOW_S), plans, seed=draw, rounds=ROUNDS)
            rows.append(
                {
                    "draw": draw,
                    "plans": PLANS,
                    "delay together, s": round(fleet.delay_s, 1),
                    "delay first come first served, s": round(fleet.delay_in_turn_s, 1),
                    "refused together": fleet.refused,
                    "refused first come first served": fleet.refused_in_turn,
                    "rounds": fleet.rounds,
                    "better rounds": fleet.better_rounds,
                    "CPU, s": round(time.process_time() - cpu, 2),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    result = {"machine": where, "day": datetime.now(UTC).date().isoformat(), "rows": rows}
    (RESULTS / "fleet.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
