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
    padded = np.pad(blocked, 1, constant_values=True)  # so that no step leaves the array
    walls, shape = padded.ravel().tolist(), padded.shape
    steps = []
    for step in _STEPS:
        crossed = [step] if corner_cutting else [o for o in itertools.product(*[(0, s) for s in step]) if any(o)]
        flat = [(x * shape[1] + y) * shape[2] + z for x, y, z in [step, *crossed]]
        steps.append((flat[0], flat[1:], math.sqrt(sum(map(abs, step)))))
    here = int(np.ravel_multi_index([c + 1 for c in start], shape))
    length = [math.inf] * len(walls)
    queue = [] if walls[here] else [(0.0, here)]
    if queue:
        length[here] = 0.0
    while queue:
        so_far, here = heapq.heappop(queue)
        if so_far > length[here]:
            continue
        for offset, crossed, cost in steps:
            onward = so_far + cost
            if onward < length[here + offset] - 1e-12 and not any(walls[here + c] for c in crossed):
                length[here + offset] = onward
                heapq.heappush(queue, (onward, here + offset))
    return np.array(length).reshape(shape)[1:-1, 1:-1, 1:-1]


def path_length(blocked: NDArray[np.bool_], cells: NDArray[np.int32], corner_cutting: bool) -> float:
    """Length of a way; raises where it takes a step that is not permitted."""
    length = 0.0
    for one, other in itertools.pairwise(map(tuple, cells.tolist())):
        step = tuple(b - a for a, b in zip(one, other, strict=True))
        if step not in _STEPS or blocked[one] or not step_allowed(blocked, one, step, corner_cutting):
            raise AssertionError(f"the step from {one} to {other} is not permitted")
        length += math.sqrt(sum(map(abs, step)))
    return length
