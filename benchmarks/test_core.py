"""The other kernels at the size of a city: `pytest benchmarks --benchmark-only`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.cities import city
from utm.core import (
    Columns,
    GridPlanner,
    closest_approach,
    flight_space,
    forbidden_delays,
    in_conflict,
    judge,
    lowest_clear,
    pull_string,
    segment_clear,
    time_path,
)
from utm.model import AIRCRAFT_CLASSES, Corridor

EPOCH = 1.8e9


@pytest.fixture(scope="module")
def surface():
    """4 x 2 km at 2 m."""
    return np.random.default_rng(0).uniform(0, 60, (2000, 1000)).astype(np.float32)


def test_lowest_clear_4x2_km(benchmark, surface):
    benchmark.pedantic(lowest_clear, (surface, 2.0, 30.0), rounds=3, warmup_rounds=1)


def test_flight_space_4x2_km(benchmark, surface):
    columns = Columns((0.0, 0.0), 2.0, np.zeros_like(surface), surface, np.zeros(surface.shape, bool))
    lowest, highest = lowest_clear(surface, 2.0, 30.0), np.full(surface.shape, 150.0)
    benchmark.pedantic(flight_space, (columns, lowest, highest, [], 2.0), rounds=3, warmup_rounds=1)


def test_pull_string_on_city_m(benchmark):
    town = city((512, 512, 64), seed=1)
    planner = GridPlanner(town.blocked)
    paths = [planner.path(start, goal) for start, goal in zip(town.starts, town.goals, strict=True)]

    def work():
        return [pull_string(town.blocked, path.cells, path.cells[0] + 0.5, path.cells[-1] + 0.5) for path in paths]

    pulled = benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    straight = sum(np.linalg.norm(path.cells[-1] - path.cells[0]) for path in paths)
    lengths = [np.linalg.norm(np.diff(corners, axis=0), axis=1).sum() for corners in pulled]
    assert all(segment_clear(town.blocked, a, b) for corners in pulled for a, b in itertools.pairwise(corners))
    benchmark.extra_info |= {
        "questions": len(paths),
        "grid_over_straight": round(sum(path.cost for path in paths) / straight, 4),
        "pulled_over_straight": round(sum(lengths) / straight, 4),
    }


@pytest.fixture(scope="module")
def flights():
    """Two of 20 legs through one square kilometre."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(2):
        route = np.column_stack([rng.uniform(0, 1000, (20, 2)), rng.uniform(60, 80, 20)])
        made.append(time_path([route[0] * (1, 1, 0), *route, route[-1] * (1, 1, 0)], AIRCRAFT_CLASSES["quad"], EPOCH))
    return made


def test_forbidden_delays(benchmark, flights):
    benchmark(forbidden_delays, *flights, 70.0, 30.0)


def test_in_conflict(benchmark, flights):
    benchmark(in_conflict, flights[0], flights[1].delayed(5000.0), 70.0, 30.0, 20.0)


def test_closest_approach(benchmark, flights):
    benchmark(closest_approach, *flights, 30.0, 20.0)


def test_judge(benchmark, flights):
    corridor = Corridor(flights[0], half_width_m=25.0, below_m=10.0, above_m=10.0, time_tolerance_s=10.0)
    t = flights[0].start_s + 300.0
    benchmark(judge, corridor, t, flights[0].at(t))
