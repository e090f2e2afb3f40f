"""A* as a textbook has it, compiled: the peer that shows what is gained beyond compiling.

A binary heap of (cost plus estimate, number, voxel), so first in first out among equals, the octile estimate, lengths
and parents in arrays as large as the volume, of which only what a question touched is cleared for the next. 26
neighbours, steps of 1, sqrt(2) and sqrt(3).
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


class Textbook:
    """A* through one volume (nx, ny, nz) of booleans, blocked where true and outside."""

    def __init__(self, blocked: NDArray[np.bool_], *, corner_cutting: bool = False) -> None:
        padded = np.pad(blocked, 1, constant_values=True)  # no step leaves it
        self._shape = padded.shape
        self._blocked = padded.ravel()
        self._length = np.full(padded.size, np.inf)
        self._parent = np.zeros(padded.size, np.int64)
        self._closed = np.zeros(padded.size, np.bool_)
        boxes = [[step] if corner_cutting else itertools.product(*({0, s} for s in step)) for step in _STEPS]
        crossed = [[self._flat(offset) for offset in box if any(offset)] for box in boxes]
        self._needs = np.array([cells + cells[:1] * (7 - len(cells)) for cells in crossed])
        self._offsets = np.array([self._flat(step) for step in _STEPS])
        self._costs = np.sqrt(np.abs(_STEPS).sum(axis=1))

    def path(self, start: ArrayLike, goal: ArrayLike) -> tuple[NDArray[np.int64], float, int]:
        """The cells (n, 3) of a shortest way (none: n is 0), its length (none: inf) and the voxels expanded."""
        first, last = (self._flat(tuple(np.asarray(cell) + 1)) for cell in (start, goal))
        way, length, expansions = _search(
            self._blocked,
            self._length,
            self._parent,
            self._closed,
            self._shape,
            first,
            last,
            self._offsets,
            self._costs,
            self._needs,
        )
        return np.column_stack(np.unravel_index(way, self._shape)) - 1, length, expansions

    def _flat(self, cell: tuple[int, ...]) -> int:
        return int((cell[0] * self._shape[1] + cell[1]) * self._shape[2] + cell[2])


@numba.njit(cache=True)
def _octile(a: int, b: int, c: int) -> float:
    a, b, c = abs(a), abs(b), abs(c)
    long, short = max(a, b, c), min(a, b, c)
    middle = a + b + c - long - short
    return math.sqrt(3.0) * short + math.sqrt(2.0) * (middle - short) + (long - middle)


@numba.njit(cache=True)
def _search(
    blocked: Any,
    length: Any,
    parent: Any,
    closed: Any,
    shape: Any,
    start: int,
    goal: int,
    offsets: Any,
    costs: Any,
    needs: Any,
) -> Any:
    ny, nz = shape[1], shape[2]
    gx, gy, gz = goal // (ny * nz), goal // nz % ny, goal % nz
    length[start] = 0.0
    touched = [start]
    number, expansions = 0, 0
    heap = [(0.0, 0, start)]
    while len(heap) > 0:
        here = heapq.heappop(heap)[2]
        if closed[here]:
            continue
        closed[here] = True
        expansions += 1
        if here == goal:
            break
        for e in range(26):
            there = here + offsets[e]
            onward = length[here] + costs[e]
            if blocked[there] or onward >= length[there] - 1e-9:
                continue
            free = True
            for cell in needs[e]:
                if blocked[here + cell]:
                    free = False
                    break
            if not free:
                continue
            if length[there] == np.inf:
                touched.append(there)
            length[there] = onward
            parent[there] = here
            number += 1
            x, y, z = there // (ny * nz), there // nz % ny, there % nz
            heapq.heappush(heap, (onward + _octile(x - gx, y - gy, z - gz), number, there))
    found = length[goal]
    way = [goal][:0]
    if found < np.inf:
        way.append(goal)
        while way[-1] != start:
            way.append(parent[way[-1]])
    for cell in touched:
        length[cell] = np.inf
        closed[cell] = False
    return np.array(way[::-1]), found, expansions
