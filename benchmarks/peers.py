"""Other planners, each with the problem that it solves, and the instances on which they meet (`benchmarks.race`).

A peer that is not installed is left out, and says why.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.cities import City, city, under_ceiling
from utm.core import GridPlanner

#: Answers one question: from voxel (3,) to voxel (3,), the way (n, 3) in voxels or, any angle, in grid coordinates.
Ask = Callable[[NDArray[np.int64], NDArray[np.int64]], ArrayLike]

_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


class Problem(Enum):
    """What a planner looks for."""

    CUTTING = "26 neighbours, Euclidean steps, corners may be cut"
    KEEPING = "26 neighbours, Euclidean steps, no corner cut"
    UNIT = "26 neighbours, every step costs 1"
    SIX = "6 neighbours"
    ANY_ANGLE = "any angle"

    @property
    def ours(self) -> bool:
        """Whether our grid planner solves just this, so that costs can be compared."""
        return self in (Problem.CUTTING, Problem.KEEPING)


@dataclass(frozen=True)
class Peer:
    """A planner, how it is prepared for a volume, and how often it can be asked."""

    name: str
    distribution: str | None
    """What to install; None: part of this project."""
    problem: Problem
    prepare: Callable[[NDArray[np.bool_]], Ask]
    questions: Mapping[str, int]
    """How many questions it is asked in each instance, so that a race ends; none where it is not named."""
    fast: bool = True
    """Milliseconds, not seconds: answers the question before once more, unmeasured, ahead of the one that counts."""
    exact: bool = True
    """Whether it promises the least cost of its problem."""
    remark: str = ""
    modules: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot be asked here; None when it can."""
        for module in self.modules:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                return f"{self.name} is not installed for this Python ({error}); see the extras of pyproject.toml"
        return None

    def version(self) -> str:
        return importlib.metadata.version(self.distribution) if self.distribution else "this project"


def _triple(cell: NDArray[np.int64]) -> tuple[int, int, int]:
    x, y, z = cell.tolist()
    return x, y, z


def _skyroad(corner_cutting: bool) -> Callable[[NDArray[np.bool_]], Ask]:
    def prepare(blocked: NDArray[np.bool_]) -> Ask:
        planner = GridPlanner(blocked, corner_cutting=corner_cutting)
        return lambda start, goal: planner.path(start, goal).cells

    return prepare


def _textbook(corner_cutting: bool) -> Callable[[NDArray[np.bool_]], Ask]:
    def prepare(blocked: NDArray[np.bool_]) -> Ask:
        from benchmarks.textbook import Textbook

        planner = Textbook(blocked, corner_cutting=corner_cutting)
        return lambda start, goal: planner.path(start, goal)[0]

    return prepare


def _dijkstra3d(blocked: NDArray[np.bool_]) -> Ask:
    import dijkstra3d

    weights = np.asfortranarray(np.where(blocked, np.float32(np.inf), np.float32(1)))

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        return dijkstra3d.dijkstra(
            weights, _triple(start), _triple(goal), connectivity=26, compass=True, anisotropy=(1.0, 1.0, 1.0)
        )

    return ask


def _dijkstra3d_rs(blocked: NDArray[np.bool_]) -> Ask:
    import dijkstra3d_rs

    # Of its ways to be asked (plain, both ends, PathFinder, compass; bytes or floats) by far the fastest.
    weights = np.where(blocked, np.uint16(60000), np.uint16(1))
    return lambda start, goal: dijkstra3d_rs.dijkstra(
        weights, _triple(start), _triple(goal), connectivity=26, compass=True
    )


def _w9(blocked: NDArray[np.bool_]) -> Ask:
    with warnings.catch_warnings():
        # Its docstrings hold backslashes that Python complains about when it first compiles them.
        warnings.simplefilter("ignore", SyntaxWarning if sys.version_info >= (3, 12) else DeprecationWarning)
        from w9_pathfinding.envs import Grid3D
        from w9_pathfinding.pf import AStar

    grid = Grid3D(np.where(blocked, -1.0, 1.0).transpose(2, 1, 0))
    finder = AStar(grid)
    return lambda start, goal: finder.find_path(_triple(start), _triple(goal))


def _scikit_image(blocked: NDArray[np.bool_]) -> Ask:
    from skimage.graph import MCP_Geometric

    costs = np.where(blocked, -1.0, 1.0)

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        search = MCP_Geometric(costs, fully_connected=True)
        search.find_costs([_triple(start)], [_triple(goal)])
        return search.traceback(_triple(goal))

    return ask


def _edges(blocked: NDArray[np.bool_]) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64], float]]:
    """Pairs of free neighbours by their place in memory, and what the step costs; one of each two directions."""
    free = ~blocked
    place = np.arange(blocked.size).reshape(blocked.shape)
    for step in _STEPS[len(_STEPS) // 2 :]:
        here = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(step, free.shape, strict=True))
        there = tuple(slice(max(s, 0), n - max(-s, 0)) for s, n in zip(step, free.shape, strict=True))
        both = free[here] & free[there]
        yield place[here][both], place[there][both], float(np.linalg.norm(step))


def _octile(shape: tuple[int, ...], goal: tuple[int, int, int]) -> Callable[[int], float]:
    """The least cost from a place to the goal, in plain Python, as a user of a graph library writes it."""
    ny, nz = shape[1], shape[2]
    gx, gy, gz = goal

    def estimate(place: int) -> float:
        xy, z = divmod(place, nz)
        x, y = divmod(xy, ny)
        a, b, c = sorted((abs(x - gx), abs(y - gy), abs(z - gz)))
        return a * 3**0.5 + (b - a) * 2**0.5 + (c - b)

    return estimate


def _networkx(blocked: NDArray[np.bool_]) -> Ask:
    import networkx as nx

    graph = nx.Graph()
    for one, other, cost in _edges(blocked):
        graph.add_edges_from(zip(one.tolist(), other.tolist(), itertools.repeat({"weight": cost})))

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        ends = [int(np.ravel_multi_index(_triple(cell), blocked.shape)) for cell in (start, goal)]
        estimate = _octile(blocked.shape, _triple(goal))
        way = nx.astar_path(graph, *ends, heuristic=lambda place, _: estimate(place))
        return np.column_stack(np.unravel_index(way, blocked.shape))

    return ask


def _rustworkx(blocked: NDArray[np.bool_]) -> Ask:
    import rustworkx as rx

    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(blocked.size))
    for one, other, cost in _edges(blocked):
        graph.add_edges_from(list(zip(one.tolist(), other.tolist(), itertools.repeat(cost))))

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        first, last = (int(np.ravel_multi_index(_triple(cell), blocked.shape)) for cell in (start, goal))
        estimate = _octile(blocked.shape, _triple(goal))
        way = rx.astar_shortest_path(graph, first, lambda place: place == last, float, estimate)
        return np.column_stack(np.unravel_index(list(way), blocked.shape))

    return ask


def _pathfinding3d(blocked: NDArray[np.bool_]) -> Ask:
    from pathfinding3d.core.diagonal_movement import DiagonalMovement
    from pathfinding3d.core.grid import Grid
    from pathfinding3d.finder.a_star import AStarFinder

    grid = Grid(matrix=(~blocked).astype(np.int8))

    def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
        grid.cleanup()
        finder = AStarFinder(diagonal_movement=DiagonalMovement.always, time_limit=float("inf"), max_runs=float("inf"))
        way, _ = finder.find_path(grid.node(*_triple(start)), grid.node(*_triple(goal)), grid)
        return [(node.x, node.y, node.z) for node in way]

    return ask


def _ompl(planner: str, seconds: float) -> Callable[[NDArray[np.bool_]], Ask]:
    """A sampling planner in the box of the volume; states and motions are judged by our exact lines of sight."""

    def prepare(blocked: NDArray[np.bool_]) -> Ask:
        from ompl import base, geometric, util

        from utm.core._sight_kernels import sees
        from utm.core._walls import walls
        from utm.core.sight import scene

        table = scene(walls(blocked), blocked.shape[2])

        def place(state: Any) -> NDArray[np.float64]:
            return np.array([state[0], state[1], state[2]])

        class Sight(base.MotionValidator):  # type: ignore[misc]
            def checkMotion(self, a: Any, b: Any) -> bool:
                return bool(sees(table, place(a), place(b)))

        util.setLogLevel(util.LOG_NONE)
        util.RNG.setSeed(1)
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
        setup.setOptimizationObjective(base.PathLengthOptimizationObjective(information))
        setup.setPlanner(getattr(geometric, planner)(information))

        def ask(start: NDArray[np.int64], goal: NDArray[np.int64]) -> ArrayLike:
            setup.clear()
            ends = space.allocState(), space.allocState()
            for end, cell in zip(ends, (start, goal), strict=True):
                for axis in range(3):
                    end[axis] = cell[axis] + 0.5
            setup.setStartAndGoalStates(*ends)
            setup.solve(seconds)
            if not setup.haveExactSolutionPath():
                return np.empty((0, 3))
            return [[state[axis] for axis in range(3)] for state in setup.getSolutionPath().getStates()]

        return ask

    return prepare


#: Instances of a race. M and L are the cities of the note; "M, ceiling" is M below 32 m, obstacles grown by a voxel;
#: the crop is for planners that keep one object per voxel.
M, L, CEILING, CROP = "M", "L", "M, ceiling", "crop"
INSTANCES = (M, L, CEILING, CROP)

_ALL = {M: 50, L: 50, CEILING: 50, CROP: 20}
PEERS = (
    Peer("Skyroad", None, Problem.KEEPING, _skyroad(False), _ALL),
    Peer("Skyroad, corners cut", None, Problem.CUTTING, _skyroad(True), _ALL),
    Peer(
        "textbook A*",
        None,
        Problem.KEEPING,
        _textbook(False),
        _ALL,
        remark="numba, heap, FIFO ties",
        modules=("benchmarks.textbook",),
    ),
    Peer(
        "textbook A*, corners cut",
        None,
        Problem.CUTTING,
        _textbook(True),
        _ALL,
        remark="numba, heap, FIFO ties",
        modules=("benchmarks.textbook",),
    ),
    Peer(
        "dijkstra3d",
        "dijkstra3d",
        Problem.CUTTING,
        _dijkstra3d,
        {M: 50, L: 3, CEILING: 50, CROP: 20},
        fast=False,
        exact=False,
        remark="compass (A*); rarely a thousandth over the optimum",
        modules=("dijkstra3d",),
    ),
    Peer(
        "dijkstra3d-rs",
        "dijkstra3d-rs",
        Problem.UNIT,
        _dijkstra3d_rs,
        {M: 50, L: 12, CEILING: 50, CROP: 20},
        exact=False,
        remark="compass; has no Euclidean steps",
        modules=("dijkstra3d_rs",),
    ),
    Peer(
        "w9-pathfinding",
        "w9-pathfinding",
        Problem.SIX,
        _w9,
        {M: 50, L: 12, CEILING: 50, CROP: 20},
        remark="A*",
        modules=("w9_pathfinding",),
    ),
    Peer(
        "scikit-image",
        "scikit-image",
        Problem.CUTTING,
        _scikit_image,
        {M: 2, CROP: 5},
        fast=False,
        remark="MCP_Geometric",
        modules=("skimage",),
    ),
    Peer(
        "networkx",
        "networkx",
        Problem.CUTTING,
        _networkx,
        {CROP: 5},
        fast=False,
        remark="A*, one object per voxel",
        modules=("networkx",),
    ),
    Peer(
        "rustworkx",
        "rustworkx",
        Problem.CUTTING,
        _rustworkx,
        {CROP: 5},
        fast=False,
        remark="A*, one object per voxel",
        modules=("rustworkx",),
    ),
    Peer(
        "pathfinding3d",
        "pathfinding3d",
        Problem.CUTTING,
        _pathfinding3d,
        {CROP: 5},
        fast=False,
        remark="A*, one object per voxel",
        modules=("pathfinding3d",),
    ),
    Peer(
        "OMPL RRTConnect",
        "ompl",
        Problem.ANY_ANGLE,
        _ompl("RRTConnect", 10.0),
        {M: 50, CEILING: 10},
        fast=False,
        exact=False,
        remark="first way found",
        modules=("ompl",),
    ),
    Peer(
        "OMPL BIT*",
        "ompl",
        Problem.ANY_ANGLE,
        _ompl("BITstar", 2.0),
        {M: 10},
        fast=False,
        exact=False,
        remark="2 s a question",
        modules=("ompl",),
    ),
)


def instance(name: str) -> City:
    """The voxels and questions of an instance, the same on every machine."""
    if name == L:
        return city((1024, 1024, 128), seed=4)
    town = city((512, 512, 64), seed=1)
    if name == CEILING:
        return under_ceiling(town, 32.0, seed=2)
    if name == CROP:
        blocked = np.ascontiguousarray(town.blocked[:128, :128, :32])
        free = np.argwhere(~blocked)
        picked = free[np.random.default_rng(3).integers(len(free), size=(2, 20))]
        return City(blocked, picked[0], picked[1])
    return town
