"""Shortest ways over voxels, slow and obvious: Dijkstra with a heap, one neighbour after the other."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
from numpy.typing import NDArray

_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def step_allowed(
    blocked: NDArray[np.bool_], cell: tuple[int, ...], step: tuple[int, ...], corner_cutting: bool
) -> bool:
    """Whether one step from a free cell is permitted."""
    offsets = [step] if corner_cutting else itertools.product(*[(0, s) for s in step])
    for offset in offsets:
        there = tuple(c + o for c, o in zip(cell, offset, strict=True))
        if any(not 0 <= c < n for c, n in zip(there, blocked.shape, strict=True)) or blocked[there]:
            return False
    return True


def distances(blocked: NDArray[np.bool_], start: tuple[int, ...], corner_cutting: bool) -> NDArray[np.float64]:
    """Length of the shortest way from the start to every cell; inf where there is none."""
    length = np.full(blocked.shape, np.inf)
    if blocked[start]:
        return length
    length[start] = 0.0
    queue = [(0.0, start)]
    while queue:
        so_far, cell = heapq.heappop(queue)
        if so_far > length[cell]:
            continue
        for step in _STEPS:
            if step_allowed(blocked, cell, step, corner_cutting):
                there = tuple(c + s for c, s in zip(cell, step, strict=True))
                onward = so_far + math.sqrt(sum(map(abs, step)))
                if onward < length[there] - 1e-12:
                    length[there] = onward
                    heapq.heappush(queue, (onward, there))
    return length


def path_length(blocked: NDArray[np.bool_], cells: NDArray[np.int32], corner_cutting: bool) -> float:
    """Length of a way; raises where it takes a step that is not permitted."""
    length = 0.0
    for one, other in itertools.pairwise(map(tuple, cells.tolist())):
        step = tuple(b - a for a, b in zip(one, other, strict=True))
        if step not in _STEPS or blocked[one] or not step_allowed(blocked, one, step, corner_cutting):
            raise AssertionError(f"the step from {one} to {other} is not permitted")
        length += math.sqrt(sum(map(abs, step)))
    return length
