"""Safe-interval search under load: flights over one square kilometre, first come first served.

    python -m benchmarks.safe_intervals [--flights 1000] [--seconds 600] [--no-hover] [--out FILE.json]

A seeded city of `benchmarks.cities` in voxels of 8 m (blocked where any of its 2 m voxels is), 56 m high. Flights ask
at random moments, in their order; each goes at least half the map, starts and ends 16 to 50 m up, keeps 10 m and 4 m
from all that were granted before, and flies 10 m/s level, 3 m/s up, 1.5 m/s down. What has ended is released. Time is
CPU of the thread; beside each question the same one is asked of the grid search, which knows no time and no others.
Every answer is checked against every reservation, and every refusal with the exhaustive search of the tests.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cities import CELL_M as FINE_M
from benchmarks.cities import city
from tests.oracles.safeintervals import Oracle, World
from utm.core import GridPlanner, in_conflict
from utm.core.safeintervals import SafeIntervalPlanner, TimedPath
from utm.errors import NoPath
from utm.model import Trajectory

CELL_M = 8.0
SIDE_M, HEIGHT_M = 1000.0, 56.0
HORIZONTAL_M, VERTICAL_M = 10.0, 4.0
SPEEDS = {"cruise_m_s": 10.0, "climb_m_s": 3.0, "descent_m_s": 1.5}
NOW = 1.76e9
#: A flight must arrive so many seconds after it asked.
WITHIN_S = 900.0


def coarse(flights: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Voxels of 8 m, and questions (flights, 2, 3) whose ends a way leads between."""
    share = round(CELL_M / FINE_M)
    across, up = round(SIDE_M / CELL_M), round(HEIGHT_M / CELL_M)
    town = city((across * share, across * share, up * share), seed=seed, pairs=4 * flights)
    blocked = town.blocked.reshape(across, share, across, share, up, share).any(axis=(1, 3, 5))
    grid = GridPlanner(blocked)
    questions: list[NDArray[np.int64]] = []
    for one, other in zip(town.starts // share, town.goals // share, strict=True):
        if len(questions) == flights:
            break
        try:
            grid.path(one, other)
        except NoPath:
            continue
        questions.append(np.array([one, other]))
    return blocked, np.array(questions)


class Day:
    """All flights of one run, in order."""

    def __init__(self, flights: int, seconds: float, hover: bool, seed: int) -> None:
        self.blocked, self.questions = coarse(flights, seed)
        self.asked_s = np.sort(np.random.default_rng(seed).uniform(0.0, seconds, len(self.questions)))
        self.hover = hover
        self.grid = GridPlanner(self.blocked)
        self.planner = SafeIntervalPlanner(self.blocked, CELL_M, hover=hover, **SPEEDS)
        self.alone = SafeIntervalPlanner(self.blocked, CELL_M, hover=hover, **SPEEDS)
        self.rows: list[dict[str, Any]] = []
        self.lines: dict[int, Trajectory] = {}
        self.failed: list[tuple[int, dict[int, Trajectory]]] = []

    def fly(self) -> None:
        self._compile()
        for number, (question, asked) in enumerate(zip(self.questions, NOW + self.asked_s, strict=True)):
            for old in [n for n, line in self.lines.items() if line.end_s < asked]:
                self.planner.release(old)
                del self.lines[old]
            row: dict[str, Any] = {"live": len(self.lines)}
            began = time.thread_time()
            self.grid.path(*question)
            row["grid_ms"] = 1e3 * (time.thread_time() - began)
            free = self.alone.path(*question, asked, asked + WITHIN_S)
            began = time.thread_time()
            try:
                found = self.planner.path(*question, asked, asked + WITHIN_S)
            except NoPath:
                found = None
            row["ms"] = 1e3 * (time.thread_time() - began)
            self.rows.append(row)
            if found is None:
                self.failed.append((number, dict(self.lines)))
                continue
            row["delay_s"] = found.arrival_s - free.arrival_s
            row["expansions"] = found.expansions
            row["moves"] = len(found.cells) - 1
            self._granted(number, found, row)

    def _compile(self) -> None:
        """Everything once, or the first flight waits for the compiler or its cache."""
        first = self.questions[0]
        line = self.planner.path(*first, NOW, NOW + WITHIN_S).trajectory()
        self.planner.reserve(0, line, HORIZONTAL_M, VERTICAL_M)
        self.planner.path(*first, NOW, NOW + WITHIN_S)
        self.planner.release(0)

    def _granted(self, number: int, found: TimedPath, row: dict[str, Any]) -> None:
        line = found.trajectory()
        near = [other for other in self.lines.values() if in_conflict(other, line, HORIZONTAL_M, VERTICAL_M)]
        if near:
            raise AssertionError(f"flight {number} was granted a way on which it meets {len(near)} others")
        began = time.thread_time()
        self.planner.reserve(number, line, HORIZONTAL_M, VERTICAL_M)
        row["reserve_ms"] = 1e3 * (time.thread_time() - began)
        self.lines[number] = line

    def solvable(self) -> int:
        """How many of those that failed the exhaustive search solves."""
        count = 0
        for number, lines in self.failed:
            asked = NOW + float(self.asked_s[number])
            taken = [(line, HORIZONTAL_M, VERTICAL_M, 0.0) for line in lines.values()]
            world = World(
                self.blocked, CELL_M, *SPEEDS.values(), self.hover, 0.0, np.ones(self.blocked.shape), np.zeros(3), taken
            )
            start, goal = (tuple(cell) for cell in self.questions[number].tolist())
            count += math.isfinite(Oracle(world, asked, asked + WITHIN_S, 0.0).least_arrival(start, goal))
        return count

    def summary(self) -> dict[str, Any]:
        found = [row for row in self.rows if "moves" in row]

        def spread(name: str) -> dict[str, float]:
            values = np.array([row[name] for row in (self.rows if name in ("ms", "grid_ms", "live") else found)])
            picked = {"mean": values.mean(), "median": np.median(values), "p95": np.quantile(values, 0.95)}
            return {name: round(float(value), 4) for name, value in (picked | {"max": values.max()}).items()}

        return {
            "hover": self.hover,
            "flights": len(self.rows),
            "found": len(found),
            "failed": len(self.failed),
            "failed that an exhaustive search solves": self.solvable(),
            "query, CPU ms": spread("ms"),
            "grid search without time, CPU ms": spread("grid_ms"),
            "reserve, CPU ms": spread("reserve_ms"),
            "delay, s": spread("delay_s"),
            "delayed by more than 0.01 s": sum(row["delay_s"] > 0.01 for row in found),
            "expansions": spread("expansions"),
            "expansions / CPU s": round(sum(r["expansions"] for r in found) / sum(r["ms"] for r in found) * 1e3),
            "moves of a way": spread("moves"),
            "others in the air": spread("live"),
            "memory, MB": round(self.planner.nbytes / 1e6, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flights", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--hover", action=argparse.BooleanOptionalAction, default=None, help="one kind only")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    runs = []
    for hover in [True, False] if asked.hover is None else [asked.hover]:
        day = Day(asked.flights, asked.seconds, hover, asked.seed)
        day.fly()
        runs.append(day.summary())
        print(json.dumps(runs[-1], indent=1))
    if asked.out:
        workload = {
            "flights": asked.flights, "seconds": asked.seconds, "seed": asked.seed, "cell_m": CELL_M,
            "side_m": SIDE_M, "height_m": HEIGHT_M, "protection_m": [HORIZONTAL_M, VERTICAL_M], **SPEEDS,
        }  # fmt: skip
        result = {"workload": workload, "machine": platform.processor() or platform.machine(), "runs": runs}
        asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
