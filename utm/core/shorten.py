"""Ways through a grid as few straight pieces that cost no more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import point
from utm.core.sight import path_of, segment_clear

if TYPE_CHECKING:
    from utm.core.costs import CostPlanner

_ROUNDING = 1e-12  # sums in another order
_ROUNDS = 8  # of moving the corners


def shorten_by_cost(planner: CostPlanner, cells: ArrayLike, start: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """A path as few straight pieces, clear and never dearer.

    Pieces are joined, and corners moved towards the chord of their neighbours, only where every voxel that is touched
    is free (`utm.core.segment_clear`) and the integrated cost does not rise. So the result costs no more than the way
    from start through the centres of the cells to goal.

    Args:
        planner: whose volume and costs count.
        cells: (n, 3) the voxels of a path, each a neighbour of the one before.
        start: (3,) a point in the first voxel, grid coordinates.
        goal: (3,) a point in the last voxel.

    Returns:
        (m, 3) corners in grid coordinates from ``start`` to ``goal``, m >= 2.

    Raises:
        ValueError: start or goal is not in the first or last voxel, or the path is not clear.
    """
    first, last = point(start, "start"), point(goal, "goal")
    path = path_of(cells, first, last)
    corners = _without_repeats([first, *(path + 0.5), last])
    for a, b in itertools.pairwise(corners):
        if not segment_clear(planner.blocked, a, b):
            raise ValueError(f"the path is not clear between {a.tolist()} and {b.tolist()}")
    pieces = [planner.segment_cost(np.array(pair)) for pair in itertools.pairwise(corners)]
    along = np.concatenate([[0.0], np.cumsum(pieces)])
    count = len(corners)

    def joins(i: int, j: int) -> bool:
        """Whether corner i may be joined to corner j > i."""
        allowed = (along[j] - along[i]) * (1 + _ROUNDING)
        return segment_clear(planner.blocked, corners[i], corners[j]) and (
            planner.segment_cost(np.array([corners[i], corners[j]])) <= allowed
        )

    forth = _pulled(count, joins)
    back = [count - 1 - i for i in _pulled(count, lambda i, j: joins(count - 1 - j, count - 1 - i))][::-1]
    ways = [[corners[i] for i in kept] for kept in (forth, back)]
    return _tightened(planner, min(ways, key=lambda way: planner.segment_cost(np.array(way))))


def _without_repeats(points: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Points without those that are where the one before is; never fewer than two."""
    kept = [points[0]]
    kept += [here for before, here in itertools.pairwise(points) if (before != here).any()]
    return kept if len(kept) > 1 else [points[0], points[-1]]


def _pulled(count: int, joins: Callable[[int, int], bool]) -> list[int]:
    """Indices of the corners that remain when each is joined to a far one: first by steps that double, then by halving
    between the last that could be joined and the first that could not."""
    kept = [0]
    while kept[-1] < count - 1:
        at = kept[-1]
        near, far, stride = at + 1, count, 1
        while near < count - 1 and far == count:
            trial = min(at + 2 * stride, count - 1)
            if joins(at, trial):
                near, stride = trial, 2 * stride
            else:
                far = trial
        while far - near > 1 and far < count:
            middle = (near + far) // 2
            if joins(at, middle):
                near = middle
            else:
                far = middle
        kept.append(near)
    return kept


def _tightened(planner: CostPlanner, way: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Drop corners that cost something or nothing, and move the others towards the chord of their neighbours, by 1,
    1/2 ... 1/32 of the way, while that is clear and cheaper."""
    points = list(way)

    def cost(*corners: NDArray[np.float64]) -> float:
        if all(segment_clear(planner.blocked, a, b) for a, b in itertools.pairwise(corners)):
            return planner.segment_cost(np.array(corners))
        return math.inf

    for _ in range(_ROUNDS):
        moved = False
        n = 1
        while n < len(points) - 1:
            before, here, after = points[n - 1 : n + 2]
            now = cost(before, here, after)
            if cost(before, after) <= now * (1 + _ROUNDING):
                del points[n]
                moved = True
                continue
            chord = after - before
            foot = before + np.clip((here - before) @ chord / max(chord @ chord, _ROUNDING), 0.0, 1.0) * chord
            for fraction in (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125):
                trial = here + fraction * (foot - here)
                cheaper = cost(before, trial, after)
                if cheaper < now:
                    points[n] = trial
                    moved = moved or cheaper < now * (1 - 1e-4)
                    break
            n += 1
        if not moved:
            break
    return np.array(points)
