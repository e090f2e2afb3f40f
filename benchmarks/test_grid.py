"""The grid planner and its peers on the same questions: `pytest benchmarks --benchmark-only`.

One round answers all questions of a city, one after the other, on one thread. The table's ``extra_info`` (see
``--benchmark-json``) holds what matters: process CPU time per query, median and mean, and the expansions.
"""

from __future__ import annotations

import itertools
import time

import dijkstra3d
import networkx as nx
import numpy as np
import pytest

from benchmarks.cities import City, city, under_ceiling
from utm.core import GridPlanner

PEER_QUESTIONS = 10  # a peer that takes a second per question is asked no more


@pytest.fixture(scope="module")
def city_m() -> City:
    return city((512, 512, 64), seed=1)


@pytest.fixture(scope="module", params=["M", "M under 32 m"])
def town(request, city_m) -> City:
    return city_m if request.param == "M" else under_ceiling(city_m, 32.0, seed=2)


def length(cells) -> float:
    return float(np.linalg.norm(np.diff(np.asarray(cells, float), axis=0), axis=1).sum())


def ask_all(benchmark, ask, town: City, count: int, rounds: int = 3) -> list:
    """Answer the first questions in every round; keep the CPU time of each."""
    questions = list(zip(town.starts[:count], town.goals[:count], strict=True))
    ask(*questions[0])  # compiled and paged in
    milliseconds: list[float] = []

    def work() -> list:
        answers = []
        for start, goal in questions:
            began = time.process_time()
            answers.append(ask(start, goal))
            milliseconds.append(1e3 * (time.process_time() - began))
        return answers

    answers = benchmark.pedantic(work, rounds=rounds, iterations=1)
    benchmark.extra_info |= {
        "questions": count,
        "median_ms": round(float(np.median(milliseconds)), 3),
        "mean_ms": round(float(np.mean(milliseconds)), 3),
    }
    return answers


@pytest.mark.benchmark(group="city")
@pytest.mark.parametrize("corner_cutting", [False, True])
@pytest.mark.parametrize("count", [PEER_QUESTIONS, 50])
def test_grid_planner(benchmark, town, corner_cutting, count):
    planner = GridPlanner(town.blocked, corner_cutting=corner_cutting)
    paths = ask_all(benchmark, planner.path, town, count)
    expansions = [path.expansions for path in paths]
    benchmark.extra_info |= {
        "median_expansions": int(np.median(expansions)),
        "mean_expansions": int(np.mean(expansions)),
    }
    for path in paths:
        assert length(path.cells) == pytest.approx(path.cost, rel=1e-9)
        assert not town.blocked[tuple(path.cells.T)].any()


@pytest.mark.benchmark(group="city")
def test_dijkstra3d(benchmark, town):
    """With its compass (A*), the only fast peer that solves the same problem; it cuts corners."""
    weights = np.asfortranarray(np.where(town.blocked, np.float32(np.inf), np.float32(1)))

    def ask(start, goal):
        ends = tuple(start.tolist()), tuple(goal.tolist())
        return dijkstra3d.dijkstra(weights, *ends, connectivity=26, compass=True, anisotropy=(1.0, 1.0, 1.0))

    found = ask_all(benchmark, ask, town, PEER_QUESTIONS, rounds=1)
    planner = GridPlanner(town.blocked, corner_cutting=True)
    for start, goal, cells in zip(town.starts, town.goals, found, strict=False):
        # It is now and then a thousandth longer than the optimum, and never shorter.
        assert 1 - 1e-9 <= length(cells) / planner.path(start, goal).cost < 1.002


@pytest.fixture(scope="module")
def crop(city_m) -> City:
    """A corner of the city, small enough for one object per voxel."""
    blocked = np.ascontiguousarray(city_m.blocked[:48, :48, :24])
    free = np.argwhere(~blocked)
    picked = free[np.random.default_rng(3).integers(len(free), size=(2, 10))]
    return City(blocked, picked[0], picked[1])


@pytest.mark.benchmark(group="crop 48 x 48 x 24")
@pytest.mark.parametrize("corner_cutting", [False, True])
def test_grid_planner_on_a_crop(benchmark, crop, corner_cutting):
    planner = GridPlanner(crop.blocked, corner_cutting=corner_cutting)
    ask_all(benchmark, planner.path, crop, 10)


@pytest.mark.benchmark(group="crop 48 x 48 x 24")
def test_networkx_on_a_crop(benchmark, crop):
    graph = nx.Graph()
    free = ~crop.blocked
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step > (0, 0, 0):
            here = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(step, free.shape, strict=True))
            there = tuple(slice(max(s, 0), n - max(-s, 0)) for s, n in zip(step, free.shape, strict=True))
            low = np.array([part.start for part in here])
            cells = np.argwhere(free[here] & free[there]) + low
            cost = float(np.linalg.norm(step))
            graph.add_weighted_edges_from(
                (tuple(a), tuple(b), cost) for a, b in zip(cells.tolist(), (cells + step).tolist(), strict=True)
            )

    def estimate(a, b):
        c, d, e = sorted(abs(p - q) for p, q in zip(a, b, strict=True))
        return c * 3**0.5 + (d - c) * 2**0.5 + (e - d)

    def ask(start, goal):
        return nx.astar_path(graph, tuple(start.tolist()), tuple(goal.tolist()), estimate)

    found = ask_all(benchmark, ask, crop, 10, rounds=1)
    planner = GridPlanner(crop.blocked, corner_cutting=True)
    for start, goal, cells in zip(crop.starts, crop.goals, found, strict=True):
        assert length(cells) == pytest.approx(planner.path(start, goal).cost, abs=1e-9)
