"""Sections of the planner's figures on published questions, ways at any angle and long ways.

Each returns the dict that `benchmarks.planner_sections` describes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.cities import City, with_overhangs
from benchmarks.peers import PEERS, Ask, M, Peer, Problem, instance
from benchmarks.planner_sections import Say, milliseconds, section, summary, tabled, target
from benchmarks.race import Lap, race
from utm.core import GridPlanner

_ROOT = Path(__file__).resolve().parent.parent


def warframe(say: Say) -> dict[str, Any]:
    """All published questions, and some of them beside peers."""
    from benchmarks.warframe import MAPS, TOLERANCE, read

    title = "Published instances"
    folder = Path(os.environ.get("UTM_SHARED_DATA", _ROOT.parent / "shared" / "data")) / "warframe"
    if not folder.is_dir():
        return section(title, text=["Not measured: the maps are not beside the project (UTM_SHARED_DATA)."])
    rows, beside, asked, wrong, largest = [], [], 0, 0, 0.0
    for name in MAPS:
        questions = read(folder, name)
        planner = GridPlanner(questions.blocked)
        times, costs = [], []
        for start, goal in zip(questions.starts, questions.goals, strict=True):
            began = time.process_time()
            path = planner.path(start, goal)
            times.append(1e3 * (time.process_time() - began))
            costs.append(path.cost)
        difference = np.abs(np.array(costs) - questions.lengths)
        asked, wrong = asked + len(costs), wrong + int((difference > TOLERANCE).sum())
        largest = max(largest, float(difference.max()))
        shape = " x ".join(map(str, questions.blocked.shape))
        rows.append([name, shape, str(len(costs)), *summary(times), f"{difference.max():.1e}"])
        say(f"warframe: {' '.join(rows[-1])}")
        beside += _beside(name, questions.blocked, questions.starts[::500], questions.goals[::500], say)
    tables = [
        tabled(
            "All questions, corners kept, and how far a length is from the published optimum at most",
            "map | voxels | questions | median, ms | p95, ms | mean, ms | largest difference",
            rows,
        ),
        tabled(
            "Twenty questions of each, taken evenly, beside other planners",
            "map | planner | median, ms | p95, ms | mean, ms | length / optimum",
            beside,
        ),
    ]
    what = f"lengths of {asked:,} questions, those off by more than 1e-5"
    held = target(what, "0", f"{wrong} (at most {largest:.0e})", wrong == 0)
    source = "Maps and optimal lengths: Nobes, Harabor, Wybrow and Walsh 2022, movingai.com (ODC-By)."
    return section(title, text=[source], tables=tables, targets=[held])


def _beside(
    name: str, blocked: NDArray[np.bool_], starts: NDArray[np.int64], goals: NDArray[np.int64], say: Say
) -> list[list[str]]:
    names = ("Skyroad", "textbook A*", "dijkstra3d", "dijkstra3d-rs", "w9-pathfinding")
    able = [(peer, len(starts)) for peer in PEERS if peer.name in names and not peer.missing()]
    laps = race(City(blocked, starts, goals), able, say=say)
    return [[name, lap.peer.name, *summary(lap.milliseconds), f"{np.nanmean(lap.ratios):.4f}"] for lap in laps]


def _skyroad(blocked: NDArray[np.bool_]) -> Ask:
    from utm.core.anyangle import AnyAnglePlanner

    planner = AnyAnglePlanner(blocked)
    return lambda start, goal: planner.path(start + 0.5, goal + 0.5).points


def _lazy_theta(blocked: NDArray[np.bool_]) -> Ask:
    from benchmarks.lazy_theta import LazyTheta

    planner = LazyTheta(blocked)
    return lambda start, goal: planner.path(start, goal)[0]


def _pulled(blocked: NDArray[np.bool_]) -> Ask:
    from utm.core import pull_string

    planner = GridPlanner(blocked)

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        return pull_string(blocked, planner.path(start, goal).cells, start + 0.5, goal + 0.5)

    return ask


def _angle_peers() -> list[tuple[Peer, int]]:
    ways: dict[str, Callable[[NDArray[np.bool_]], Ask]] = {
        "Skyroad": _skyroad,
        "grid search, string pulled": _pulled,
        "Lazy Theta*": _lazy_theta,
    }
    ours = [(Peer(name, None, Problem.ANY_ANGLE, prepare, {M: 50}, exact=False), 50) for name, prepare in ways.items()]
    return ours + [(peer, peer.questions[M]) for peer in PEERS if peer.distribution == "ompl" and not peer.missing()]


def angle(say: Say) -> dict[str, Any]:
    """Ways at any angle on M, and on M with overhangs."""
    town = instance(M)
    tables, targets, plots = [], [], []
    for name, questions in (("M", town), ("M with overhangs", with_overhangs(town, seed=6))):
        say(f"angle: {name}")
        laps = race(questions, _angle_peers(), say=say)
        straight = np.linalg.norm(questions.goals - questions.starts, axis=1)
        over = {lap.peer.name: np.array(lap.lengths) / straight[: len(lap.lengths)] for lap in laps}
        tables.append(_angle_table(name, laps, over))
        if name == "M":
            plots.append(_scatter(laps, over))
        ours = next(lap for lap in laps if lap.peer.name == "Skyroad")
        mean, median = float(np.mean(over["Skyroad"])), float(np.median(ours.milliseconds))
        targets += [
            target(f"{name}: mean length / straight line", "<= 1.0067 (aim 1.005)", f"{mean:.4f}", mean <= 1.0067),
            target(f"{name}: median of times", "<= 1.1 ms", f"{milliseconds(median)} ms", median <= 1.1),
            target(
                f"{name}: ways clear", "all", f"{ours.clear} of {len(ours.lengths)}", ours.clear == len(ours.lengths)
            ),
        ]
    text = [
        "Between centres of voxels; a way is clear where every voxel that it touches is free, by exact traversal. "
        "Lazy Theta* and OMPL are given our lines of sight; OMPL calls them from Python, as a user of it would."
    ]
    return section("Any angle", text=text, tables=tables, targets=targets, plots=plots)


def _angle_table(name: str, laps: list[Lap], over: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    rows = []
    for lap in laps:
        ratios = over[lap.peer.name]
        low, middle, high = np.nanpercentile(ratios, (5, 50, 95))
        rows.append([
            lap.peer.name, str(len(ratios)), *summary(lap.milliseconds), f"{np.nanmean(ratios):.4f}",
            f"{low:.4f} / {middle:.4f} / {high:.4f}", str(lap.clear),
        ])  # fmt: skip
    heads = "planner | asked | median, ms | p95, ms | mean, ms | length / straight, mean | p5 / median / p95 | clear"
    return tabled(name, heads, rows)


def _scatter(laps: list[Lap], over: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    names = [lap.peer.name for lap in laps]
    return {
        "kind": "scatter",
        "file": "angle",
        "title": "Length against time, M, one point a question",
        "x": "CPU time of a question, ms",
        "y": "length / straight line",
        "ymax": 1.3,
        "curves": {
            name: np.column_stack([lap.milliseconds, over[name]]).tolist()
            for name, lap in zip(names, laps, strict=True)
        },
    }


def long(say: Say) -> dict[str, Any]:
    """Long ways over the big city, both modes; see `benchmarks.long_ways`."""
    from benchmarks.long_ways import measure

    folder = Path(tempfile.gettempdir()) / "skyroad-big-city"
    say(f"long: the city of 16 x 20 km is in {folder}")
    results = measure(folder, 1.0, (1, 2, 4, 6, 10))
    rows: list[list[str]] = []
    curves: dict[str, list[list[float]]] = {}
    for r in results:
        mode = "exact" if r["exact"] else "within 1.01"
        rows.append([mode, f"{r['km']:g}", str(r["pairs"]), milliseconds(r["ms_p50"]), milliseconds(r["ms_p95"])])
        rows[-1] += [f"{r['ratio_p50']:.4f}", f"{r['ratio_max']:.4f}", f"{r['expansions_p50']:,.0f}"]
        rows[-1] += [f"{r['own_after_mb'] - r['own_before_mb']:.0f}", f"{r['peak_mb']:.0f}"]
        curves.setdefault(f"{mode}, median", []).append([r["km"], r["ms_p50"]])
        curves.setdefault(f"{mode}, p95", []).append([r["km"], r["ms_p95"]])
    table = tabled(
        "16 x 20 km at 2 m: CPU time of a query, its length by the proven lower bound, memory of the process",
        "mode | km | asked | median, ms | p95, ms | cost / bound, median | greatest | looked at | grown, MB | peak, MB",
        rows,
    )
    ten = next(r for r in results if r["km"] == 10 and not r["exact"])
    peak = "10 km: peak of the process, mapped files included"
    targets = [
        target("10 km: p95", "<= 150 ms", f"{ten['ms_p95']:.0f} ms", ten["ms_p95"] <= 150),
        target(peak, "<= 1 GB", f"{ten['peak_mb'] / 1024:.2f} GB", ten["peak_mb"] <= 1024),
        target(
            "10 km: length / proven bound, greatest", "<= 1.01", f"{ten['ratio_max']:.4f}", ten["ratio_max"] <= 1.01
        ),
    ]
    plot = {
        "kind": "loglog",
        "file": "long",
        "title": "Long ways",
        "x": "route, km in a straight line",
        "y": "CPU time of a query, ms",
        "curves": curves,
    }
    return section("Long ways", tables=[table], targets=targets, plots=[plot])
