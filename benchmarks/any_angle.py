"""Ways at any angle on city M: ours, the pulled string, Lazy Theta* and OMPL's BIT*, on the same questions.

`python -m benchmarks.any_angle` prints the table; `distribution()` returns it. Lengths are shares of the straight line,
times are CPU milliseconds of one thread, all taken within one run, the better of two; grid search is part of ours and
of the pulled string. BIT* is given 2 s a question, so it is asked only the first few (twice, with the better way kept);
it tests states and motions by the same exact lines of sight as the others, called from Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cities import City, city
from benchmarks.lazy_theta import LazyTheta
from utm.core import GridPlanner, pull_string
from utm.core._sight_kernels import first_hidden, sees
from utm.core._walls import walls
from utm.core.anyangle import AnyAnglePlanner
from utm.core.sight import corners_of, scene, string

Way = NDArray[np.float64]


def with_overhangs(town: City, *, seed: int, bridges: int = 150) -> City:
    """The town with flat bridges of two voxels' thickness between 10 and 60 m up, where no question begins or ends."""
    rng = np.random.default_rng(seed)
    blocked = town.blocked.copy()
    for _ in range(bridges):
        size = np.array([rng.integers(30, 90), rng.integers(4, 12)])[:: rng.choice([1, -1])]
        x, y = rng.integers((0, 0), np.array(blocked.shape[:2]) - size)
        z = rng.integers(5, 30)
        blocked[x : x + size[0], y : y + size[1], z : z + 2] = True
    for places in (town.starts, town.goals):
        for x, y, z in places:
            if not town.blocked[x, y, z]:
                blocked[x, y, z:] &= town.blocked[x, y, z:]
                blocked[x - 2 : x + 3, y - 2 : y + 3, :] = town.blocked[x - 2 : x + 3, y - 2 : y + 3, :]
    return City(blocked, town.starts, town.goals)


def bit_star(blocked: NDArray[np.bool_], seconds: float, seed: int) -> Callable[[Way, Way], Way | None]:
    """BIT* (Gammell, Barfoot and Srinivasa 2020) of OMPL over the volume."""
    from ompl import base, geometric, util

    util.setLogLevel(util.LOG_NONE)
    util.RNG.setSeed(seed)
    table = scene(walls(blocked), blocked.shape[2])

    def place(state: Any) -> Way:
        return np.array([state[0], state[1], state[2]])

    class Sight(base.MotionValidator):  # type: ignore[misc]
        def checkMotion(self, a: Any, b: Any) -> bool:
            return bool(sees(table, place(a), place(b)))

    def ask(start: Way, goal: Way) -> Way | None:
        space = base.RealVectorStateSpace(3)
        bounds = base.RealVectorBounds(3)
        for axis, size in enumerate(blocked.shape):
            bounds.setLow(axis, 0.0)
            bounds.setHigh(axis, float(size))
        space.setBounds(bounds)
        setup = geometric.SimpleSetup(space)
        setup.setStateValidityChecker(lambda state: bool(sees(table, place(state), place(state))))
        information = setup.getSpaceInformation()
        information.setMotionValidator(Sight(information))
        ends = []
        for values in (start, goal):
            state = space.allocState()
            for axis in range(3):
                state[axis] = float(values[axis])
            ends.append(state)
        setup.setStartAndGoalStates(ends[0], ends[1])
        setup.setOptimizationObjective(base.PathLengthOptimizationObjective(information))
        setup.setPlanner(geometric.BITstar(information))
        setup.solve(seconds)
        if not setup.haveExactSolutionPath():
            return None
        way = np.array([place(state) for state in setup.getSolutionPath().getStates()])
        return way if first_hidden(table, way) < 0 else None

    return ask


def _length(points: Way) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def distribution(town: City, *, bit_star_pairs: int = 5, seconds: float = 2.0) -> dict[str, dict[str, NDArray]]:
    """For each method the lengths over the straight line and the CPU milliseconds, question by question (NaN where no
    way was found, or the question was not asked)."""
    ours, theta, grid = AnyAnglePlanner(town.blocked), LazyTheta(town.blocked), GridPlanner(town.blocked)
    sight = scene(walls(town.blocked), town.blocked.shape[2])
    bit = bit_star(town.blocked, seconds, seed=1)

    def pulled(a: Way, b: Way) -> Way:
        cells = grid.path(a.astype(int), b.astype(int)).cells
        return string(sight, corners_of(sight, cells, a, b))

    methods: dict[str, Callable[[Way, Way], Way | None]] = {
        "ours": lambda a, b: ours.path(a, b).points,
        "pulled string": pulled,
        "Lazy Theta*": lambda a, b: theta.path(a.astype(int), b.astype(int))[0],
        f"BIT* {seconds:g} s": bit,
    }
    pairs = list(zip(town.starts + 0.5, town.goals + 0.5, strict=True))
    for method in list(methods.values())[:3]:
        for a, b in pairs[:3]:  # compile, and touch what is needed
            method(a, b)
    assert np.allclose(
        pulled(*pairs[0]), pull_string(town.blocked, grid.path(town.starts[0], town.goals[0]).cells, *pairs[0])
    )
    found = {name: {"ratio": np.full(len(pairs), np.nan), "ms": np.full(len(pairs), np.nan)} for name in methods}
    # Method by method, twice, the better time: in turns question by question the hundreds of megabytes of one method
    # would push the table of the next out of the caches.
    for _ in range(2):
        for name, method in methods.items():
            for n, (a, b) in enumerate(pairs[:bit_star_pairs] if method is bit else pairs):
                began = time.process_time()
                way = method(a, b)
                found[name]["ms"][n] = np.fmin(found[name]["ms"][n], 1e3 * (time.process_time() - began))
                if way is not None:
                    assert first_hidden(sight, way) < 0
                    found[name]["ratio"][n] = np.fmin(found[name]["ratio"][n], _length(way) / np.linalg.norm(b - a))
    return found


def table(found: dict[str, dict[str, NDArray]]) -> str:
    lines = [
        "| method | questions, ways | length / straight: mean, median, p95, max | CPU ms: mean, median, p95, max |"
    ]
    lines.append("|---|---|---|---|")
    for name, values in found.items():
        cells = []
        for key, digits in (("ratio", 4), ("ms", 2)):
            some = values[key][~np.isnan(values[key])]
            figures = [some.mean(), np.median(some), np.quantile(some, 0.95), some.max()] if len(some) else []
            cells.append(", ".join(f"{figure:.{digits}f}" for figure in figures) or "none")
        asked, ways = (int((~np.isnan(values[key])).sum()) for key in ("ms", "ratio"))
        lines.append(f"| {name} | {asked}, {ways} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    plain = city((512, 512, 64), seed=1)
    for title, town, pairs_of_bit_star in (
        ("City M", plain, 5),
        ("City M with 150 bridges", with_overhangs(plain, seed=2), 0),
    ):
        print(f"\n{title}\n\n{table(distribution(town, bit_star_pairs=pairs_of_bit_star))}", flush=True)
