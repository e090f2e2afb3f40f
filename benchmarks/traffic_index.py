"""Conflict lookup among 100,000 corridors of 20 pieces, beside the indexes that others use: `python -m
benchmarks.traffic_index [--quick]`.

The corridors wander through 10 x 10 km: pieces of 250 m flown in 25 s, between 40 and 120 m up, with the rooms,
tolerances and pad holds of `RuleSet`; they start evenly over a day. The questions are further corridors of that kind.
Every index answers the same questions in turn, each finds candidates for the same exact test (`in_conflict`), and the
numbers of those in conflict must be equal. Times are CPU time of the calling thread, the Python call included.

Two figures for ours: ``in turn``, when the others have emptied the caches between two questions, and ``alone``.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import rtree.index
import shapely
from numpy.typing import NDArray

from benchmarks.map_figures import ROOT, resident_mb, table
from benchmarks.planner_figures import machine
from utm.core import Traffic, apart, in_conflict
from utm.model import Corridor, RuleSet, Trajectory

RULES = RuleSet()
SEPARATION = RULES.separation_horizontal_m, RULES.separation_vertical_m
SPAN_M, DAY_S, PIECES, PIECE_M, PIECE_S = 10_000.0, 86_400.0, 20, 250.0, 25.0
EPOCH = 1.8e9
RESULT = ROOT / "benchmarks" / "results" / "traffic_index.json"


def corridors(count: int, seed: int, span_s: float = DAY_S) -> list[Corridor]:
    """Random wanderers, folded back at the edges of the map."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.15, PIECES))
        steps = PIECE_M * np.column_stack([np.cos(heading), np.sin(heading)])
        way = rng.uniform(0, SPAN_M, 2) + np.vstack([[0, 0], np.cumsum(steps, axis=0)])
        way = SPAN_M - np.abs(np.abs(way) % (2 * SPAN_M) - SPAN_M)
        up = np.clip(rng.uniform(40, 120) + np.cumsum(rng.normal(0, 4, PIECES + 1)), 40, 120)
        times = EPOCH + rng.uniform(0, span_s) + PIECE_S * np.arange(PIECES + 1)
        made.append(corridor(Trajectory(times, np.column_stack([way, up]))))
    return made


def corridor(line: Trajectory) -> Corridor:
    """With the rooms of the rules."""
    half = RULES.half_height_m
    return Corridor(line, RULES.half_width_m, half, half, RULES.time_tolerance_s, RULES.pad_hold_s)


def boxes(one: Corridor, more: float = 0.0) -> NDArray[np.float64]:
    """(n, 8) of each piece, pads included: least t, east, north, up and greatest, its own room around it; for a
    question also the separation, so that boxes of two in conflict meet."""
    line = one.occupied
    room = np.array([one.time_tolerance_s, one.half_width_m, one.half_width_m, one.below_m])
    room += more * np.array([0, SEPARATION[0], SEPARATION[0], SEPARATION[1]]) + 1e-3
    knots = np.column_stack([line.t_s - EPOCH, line.enu_m])
    return np.hstack([np.minimum(knots[:-1], knots[1:]) - room, np.maximum(knots[:-1], knots[1:]) + room])


class Tree:
    """shapely's STRtree, which knows two axes and is never changed: over time and east, the most selective pair; the
    other two by numpy."""

    name = "shapely STRtree (time, east), built once"

    def __init__(self, stored: list[Corridor]):
        self.boxes = np.vstack([boxes(one) for one in stored])
        self.owner = np.repeat(np.arange(len(stored)), [len(boxes(one)) for one in stored])
        low, high = self.boxes[:, :4], self.boxes[:, 4:]
        self.tree = shapely.STRtree(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))

    def candidates(self, probe: Corridor) -> NDArray[np.int64]:
        """Corridors of which a box meets one of the question."""
        asked = boxes(probe, 1.0)
        i, j = self.tree.query(shapely.box(asked[:, 0], asked[:, 1], asked[:, 4], asked[:, 5]))
        met = (self.boxes[j, 2:4] <= asked[i, 6:8]).all(axis=1) & (asked[i, 2:4] <= self.boxes[j, 6:8]).all(axis=1)
        return np.unique(self.owner[j[met]])


class Rtree:
    """rtree in four dimensions, loaded in one go from arrays, asked for all boxes of a question in one call."""

    name = "rtree, 4-D"

    def __init__(self, stored: list[Corridor]):
        held = np.vstack([boxes(one) for one in stored])
        self.owner = np.repeat(np.arange(len(stored)), [len(boxes(one)) for one in stored])
        low, high = (np.ascontiguousarray(held[:, part]) for part in (slice(0, 4), slice(4, 8)))
        self.index = rtree.index.Index((np.arange(len(held)), low, high), properties=rtree.index.Property(dimension=4))

    def candidates(self, probe: Corridor) -> NDArray[np.int64]:
        """Corridors of which a box meets one of the question."""
        asked = boxes(probe, 1.0)
        found, _ = self.index.intersection_v(np.ascontiguousarray(asked[:, :4]), np.ascontiguousarray(asked[:, 4:]))
        return np.unique(self.owner[found])

    def insert(self, number: int, one: Corridor) -> None:
        """Add a corridor, piece by piece."""
        for n, box in enumerate(boxes(one)):
            self.index.insert(len(self.owner) + PIECES * 2 * number + n, box)


class Rebuilt:
    """What an open UTM does today: an index of the 2-D boxes of all active flights, built again for every request."""

    name = "2-D boxes of active flights, index built per request (rtree)"

    def __init__(self, stored: list[Corridor]):
        whole = [boxes(one) for one in stored]
        self.bounds = [(*box[:, 1:3].min(axis=0).tolist(), *box[:, 5:7].max(axis=0).tolist()) for box in whole]

    def candidates(self, probe: Corridor) -> NDArray[np.int64]:
        """Flights whose box over the ground meets that of the question, whenever they fly: that is its verdict."""
        index = rtree.index.Index()
        for number, bounds in enumerate(self.bounds):
            index.insert(number, bounds)
        asked = boxes(probe, 1.0)
        return np.sort(list(index.intersection((*asked[:, 1:3].min(axis=0), *asked[:, 5:7].max(axis=0)))))


def refined(candidates: NDArray[np.int64], stored: list[Corridor], probe: Corridor) -> list[int]:
    """Those in conflict by the exact test of two flights."""
    line = probe.occupied
    return [
        number
        for number in candidates.tolist()
        if in_conflict(line, stored[number].occupied, *apart(probe, stored[number], *SEPARATION))
    ]


def spent_us(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of this thread for one call."""
    begin = time.thread_time_ns()
    answer = work()
    return (time.thread_time_ns() - begin) / 1e3, answer


def quantiles(times_us: list[float]) -> dict[str, float]:
    """Median, mean, 99 % and worst, microseconds to three digits."""
    found = {
        "median_us": float(np.median(times_us)),
        "mean_us": float(np.mean(times_us)),
        "p99_us": float(np.percentile(times_us, 99)),
        "worst_us": float(np.max(times_us)),
    }
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def filled(stored: list[Corridor]) -> tuple[Traffic, list[float]]:
    """An index of corridors, and what adding each took."""
    traffic = Traffic()
    return traffic, [spent_us(lambda n=n, one=one: traffic.add(n, one))[0] for n, one in enumerate(stored)]


def warm_up() -> None:
    """Compile every kernel, or load it."""
    traffic, _ = filled(corridors(300, 1, 600.0))
    for probe in corridors(3, 2, 600.0):
        traffic.conflicts(probe, *SEPARATION)
        traffic.near(probe, *SEPARATION)
    traffic.remove(0)


def growth(sizes: list[tuple[int, float]], questions: int) -> list[dict[str, Any]]:
    """Ours alone, at several sizes: (how many corridors, over how many seconds)."""
    rows = []
    for count, span_s in sizes:
        stored, probes = corridors(count, 3, span_s), corridors(questions, 4, span_s)
        gc.collect()
        rows.append({"corridors": count, "hours": round(span_s / 3600, 2)} | grown(stored, probes))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def grown(stored: list[Corridor], probes: list[Corridor]) -> dict[str, Any]:
    """One size: filled, asked, some removed and added again."""
    traffic, added = filled(stored)
    found = [spent_us(lambda p=p: traffic.conflicts(p, *SEPARATION)) for p in probes]
    near = [spent_us(lambda p=p: traffic.near(p, *SEPARATION))[0] for p in probes]
    hour = [spent_us(lambda p=p: traffic.near(p, *SEPARATION, later_s=3600.0))[0] for p in probes[: len(probes) // 4]]
    some = range(0, len(stored), max(len(stored) // 2000, 1))
    removed = [spent_us(lambda n=n: traffic.remove(n))[0] for n in some]
    again = [spent_us(lambda n=n: traffic.add(n, stored[n]))[0] for n in some]
    return {
        "add": quantiles(added),
        "add_again": quantiles(again),
        "remove": quantiles(removed),
        "conflicts": quantiles([took for took, _ in found]),
        "near": quantiles(near),
        "near_within_an_hour": quantiles(hour),
        "bytes_per_corridor": round(traffic.nbytes / len(stored)),
        "in_conflict_mean": float(np.mean([len(numbers) for _, numbers in found])),
    }


def beside(count: int, questions: int) -> list[dict[str, Any]]:
    """Ours and the trees, the same questions in turn."""
    stored, probes = corridors(count, 3), corridors(questions, 4)
    rows, built = [], []
    for make in (lambda: filled(stored)[0], lambda: Tree(stored), lambda: Rtree(stored)):
        gc.collect()
        before = resident_mb()
        took, index = spent_us(make)
        built.append((index, took / count, (resident_mb() - before) * 1e6 / count))
    ours, tree, four = (index for index, _, _ in built)
    alone = [spent_us(lambda p=p: ours.conflicts(p, *SEPARATION))[0] for p in probes]
    times: dict[str, list[float]] = {"ours": [], "tree": [], "four": []}
    candidates: dict[str, list[int]] = {"tree": [], "four": []}
    exact: dict[str, list[float]] = {"tree": [], "four": []}
    for probe in probes:
        took, found = spent_us(lambda p=probe: ours.conflicts(p, *SEPARATION))
        times["ours"].append(took)
        for name, index in (("tree", tree), ("four", four)):
            took, some = spent_us(lambda p=probe, index=index: index.candidates(p))
            times[name].append(took)
            candidates[name].append(len(some))
            took, sure = spent_us(lambda p=probe, some=some: refined(some, stored, p))
            exact[name].append(took)
            if sure != found.tolist():
                raise RuntimeError(f"{name} finds {sure}, ours {found.tolist()}")
    more = corridors(200, 5)
    inserted = [spent_us(lambda n=n, one=one: four.insert(n, one))[0] for n, one in enumerate(more)]
    added = [spent_us(lambda n=n, one=one: ours.add(count + n, one))[0] for n, one in enumerate(more)]
    rows.append(
        {
            "index": "Traffic, exact verdicts, alone",
            "query": quantiles(alone),
            "add": quantiles(added),
            "build_us_each": built[0][1],
            "bytes_each": ours.nbytes / count,
        }
    )
    rows.append({"index": "Traffic, exact verdicts, in turn", "query": quantiles(times["ours"])})
    for name, (index, build, size) in zip(("tree", "four"), built[1:], strict=True):
        rows.append(
            {
                "index": f"{index.name}, candidates only",
                "query": quantiles(times[name]),
                "candidates_mean": float(np.mean(candidates[name])),
                "exact_test_one_by_one": quantiles(exact[name]),
                "build_us_each": build,
                "bytes_each": size,
            }
        )
    rows[-1]["add"] = quantiles(inserted)
    return rows


def as_today(count: int, questions: int) -> list[dict[str, Any]]:
    """Ours beside boxes rebuilt per request, among flights that are all active at once."""
    span_s = PIECES * PIECE_S
    stored, probes = corridors(count, 6, span_s), corridors(questions, 7, span_s)
    ours, today = filled(stored)[0], Rebuilt(stored)
    mine, theirs, met, exact = [], [], [], []
    for probe in probes:
        took, found = spent_us(lambda p=probe: ours.conflicts(p, *SEPARATION))
        mine.append(took)
        exact.append(len(found))
        took, some = spent_us(lambda p=probe: today.candidates(p))
        theirs.append(took)
        met.append(len(some))
        if refined(some, stored, probe) != found.tolist():
            raise RuntimeError("boxes over the ground miss a conflict")
    return [
        {"index": "Traffic, exact verdicts", "query": quantiles(mine), "in_conflict_mean": float(np.mean(exact))},
        {"index": today.name, "query": quantiles(theirs), "in_conflict_mean": float(np.mean(met))},
    ]


def main() -> None:
    """Measure, compare, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="a tenth of the corridors; writes nothing")
    quick = arguments.parse_args().quick
    where, many = machine(), 10_000 if quick else 100_000
    warm_up()
    sizes = [(1_000, DAY_S), (10_000, DAY_S), (many, DAY_S), (3 * many, DAY_S), (3 * many, 3 * DAY_S)]
    sizes_measured = growth(sizes, 400 if quick else 2000)
    trees = beside(many, 60 if quick else 300)
    today = as_today(500 if quick else 5_000, 5 if quick else 20)
    print(table(*growth_table(sizes_measured)))
    print(table(*peers_table(trees)))
    print(table(*peers_table(today)))
    at = next(row for row in sizes_measured if row["corridors"] == many)
    held = {
        "query, median at most 50 us": at["conflicts"]["median_us"] <= 50,
        "insert, median at most 10 us": at["add"]["median_us"] <= 10,
        "insert, mean with all growth at most 10 us": at["add"]["mean_us"] <= 10,
        "every index finds the same conflicts": True,  # or it would have ended
    }
    for what, holds in held.items():
        print(f"{what}: {'held' if holds else 'NOT HELD'}")
    if quick:
        return
    result = {
        "machine": where,
        "day": datetime.now(UTC).date().isoformat(),
        "peers": {name: version(name) for name in ("shapely", "rtree")},
        "growth": sizes_measured,
        "beside": trees,
        "as_today_5000_active": today,
        "targets": held,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def growth_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[object]]]:
    """Heads and rows."""
    heads = ["corridors", "hours", "add median / mean / p99, us", "add again", "remove", "conflicts median / p99, us"]
    heads += ["near", "near within 1 h", "bytes each", "in conflict"]
    return heads, [
        [
            f"{row['corridors']:,}",
            row["hours"],
            " / ".join(f"{row['add'][name]:g}" for name in ("median_us", "mean_us", "p99_us")),
            f"{row['add_again']['median_us']:g}",
            f"{row['remove']['median_us']:g}",
            f"{row['conflicts']['median_us']:g} / {row['conflicts']['p99_us']:g}",
            f"{row['near']['median_us']:g}",
            f"{row['near_within_an_hour']['median_us']:g}",
            f"{row['bytes_per_corridor']:,}",
            f"{row['in_conflict_mean']:.1f}",
        ]
        for row in rows
    ]


def peers_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[object]]]:
    """Heads and rows."""
    heads = ["index", "query median / p99, us", "add median, us", "build, us each", "bytes each", "candidates"]
    return heads, [
        [
            row["index"],
            f"{row['query']['median_us']:g} / {row['query']['p99_us']:g}",
            f"{row['add']['median_us']:g}" if "add" in row else "-",
            f"{row['build_us_each']:.0f}" if "build_us_each" in row else "-",
            f"{row['bytes_each']:,.0f}" if "bytes_each" in row else "-",
            f"{row['candidates_mean']:.0f}" if "candidates_mean" in row else "-",
        ]
        for row in rows
    ]


if __name__ == "__main__":
    main()
