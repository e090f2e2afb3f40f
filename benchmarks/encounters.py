"""Closest approach among live drones: CPU time for one look at everybody, and for one advisory.

    python -m benchmarks.encounters [--rounds 15] [--out FILE.json]

Drones at cruise speed at random over a square, half of them on granted lines with a corner every 20 s, all reported
within the last second, 30 s ahead. A look is everything from the list of drones to the list of encounters. Beside it,
in the same rounds, all pairs at once in NumPy: straight lines only, no uncertainty, no corners. Times are process CPU,
median over the rounds, after one look to compile.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from utm.core.advisories import advise
from utm.core.encounters import LiveDrone, find_encounters, predict
from utm.model import AIRCRAFT_CLASSES, Corridor, RuleSet, Trajectory

NOW_S = 1.8e9
#: Drones, and the side of the square in metres.
CASES = ((100, 10_000.0), (1_000, 10_000.0), (1_000, 3_000.0), (3_000, 10_000.0))
#: Advisories measured in a case.
ADVISED = 30
RULES = RuleSet()


def made(count: int, side_m: float, seed: int) -> list[LiveDrone]:
    """Drones over a square, in a band of 110 m."""
    rng = np.random.default_rng(seed)
    aircraft = AIRCRAFT_CLASSES["quad"]
    drones = []
    for n in range(count):
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum([0.0, *rng.choice([-np.pi / 2, 0.0, np.pi / 2], 3)])
        place = np.array([*rng.uniform(0, side_m, 2), rng.uniform(40, 150)])
        heading = np.column_stack([np.cos(turns), np.sin(turns), np.zeros(4)])
        seen, corridor = NOW_S - rng.uniform(0, 1), None
        if n % 2:
            since = rng.uniform(0, 20)
            knots = place + np.vstack([np.zeros(3), np.cumsum(160.0 * heading, axis=0)]) - 8.0 * since * heading[0]
            corridor = Corridor(Trajectory(seen - since + 20.0 * np.arange(5), knots), 25.0, 10.0, 10.0, 10.0)
        velocity = tuple((8.0 * heading[0]).tolist())
        drones.append(LiveDrone(f"d{n:05}", seen, tuple(place.tolist()), velocity, aircraft, corridor=corridor))
    return drones


def all_pairs(drones: list[LiveDrone], horizon_s: float = 30.0) -> int:
    """The peer: least horizontal distance of every two straight lines, in NumPy, and how many are too near."""
    place = np.array([one.enu_m for one in drones])
    velocity = np.array([one.velocity_m_s for one in drones])
    i, j = np.triu_indices(len(drones), 1)
    gap, pace = place[i] - place[j], velocity[i] - velocity[j]
    square = np.einsum("ij,ij->i", pace[:, :2], pace[:, :2])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.clip(np.nan_to_num(-np.einsum("ij,ij->i", gap[:, :2], pace[:, :2]) / square), 0.0, horizon_s)
    met = gap + t[:, None] * pace
    near = np.hypot(met[:, 0], met[:, 1]) < RULES.separation_horizontal_m
    return int((near & (np.abs(met[:, 2]) < RULES.separation_vertical_m)).sum())


def open_air(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floor and ceiling of the band."""
    return np.full(len(boxes), 40.0), np.full(len(boxes), 150.0)


def measure(count: int, side_m: float, rounds: int) -> dict[str, Any]:
    """One case."""
    drones = made(count, side_m, seed=count)
    found = find_encounters(predict(drones, NOW_S), RULES)
    spent: dict[str, list[float]] = {"predict": [], "encounters": [], "numpy": []}
    for _ in range(rounds):
        began = time.process_time()
        picture = predict(drones, NOW_S)
        predicted = time.process_time()
        found = find_encounters(picture, RULES)
        ended = time.process_time()
        all_pairs(drones)
        spent["predict"].append(predicted - began)
        spent["encounters"].append(ended - predicted)
        spent["numpy"].append(time.process_time() - ended)
    looks = np.array(spent["predict"]) + spent["encounters"]
    advised = []
    if found:
        advise(picture, found[0], RULES, open_air)
    for one in found[:ADVISED]:
        began = time.process_time()
        advice = advise(picture, one, RULES, open_air)
        advised.append((time.process_time() - began, advice.exists))
    return {
        "drones": count,
        "side_m": side_m,
        "look_ms": 1e3 * float(np.median(looks)),
        "look_p95_ms": 1e3 * float(np.percentile(looks, 95)),
        "predict_ms": 1e3 * float(np.median(spent["predict"])),
        "encounters_ms": 1e3 * float(np.median(spent["encounters"])),
        "numpy_ms": 1e3 * float(np.median(spent["numpy"])),
        "numpy_over_look": float(np.median(np.array(spent["numpy"]) / looks)),
        "found": dict(Counter(str(one.severity) for one in found)),
        "advised": len(advised),
        "advice_exists": sum(exists for _, exists in advised),
        "advice_ms": 1e3 * float(np.median([taken for taken, _ in advised])) if advised else None,
        "advice_max_ms": 1e3 * max(taken for taken, _ in advised) if advised else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    results = []
    for count, side_m in CASES:
        results.append(measure(count, side_m, asked.rounds))
        print(json.dumps(results[-1]), flush=True)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": platform.processor() or platform.machine(), "rounds": asked.rounds, "results": results}
        asked.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
