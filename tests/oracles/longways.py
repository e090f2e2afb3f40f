"""Long ways, slow and obvious: the slab as a volume, the relaxed problem as a graph of (node, layer)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from utm.core.pyramid import CLOSED_HIGH, CLOSED_LOW, PAD


def volume(lowest: NDArray[np.int16], highest: NDArray[np.int16]) -> tuple[NDArray[np.bool_], int]:
    """(blocked, least layer) of a slab."""
    least, most = int(lowest.min()), int(highest.max())
    layers = np.arange(least, max(most, least + 1))
    return ~((lowest[..., None] <= layers) & (layers < highest[..., None])), least


def star(step: int) -> list[tuple[int, int]]:
    reach = range(-2 * step, 2 * step + 1)
    return [(x, y) for x in reach for y in reach if min(abs(x), abs(y)) < step and abs(abs(x) - abs(y)) < step]


def hull(
    lowest: NDArray[np.int16], highest: NDArray[np.int16], step: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """`utm.core.pyramid.wider`, node by node."""
    nx, ny = lowest.shape
    shape = (-(-nx // step) + 2 * PAD, -(-ny // step) + 2 * PAD)
    low, high = np.full(shape, CLOSED_LOW, np.int16), np.full(shape, CLOSED_HIGH, np.int16)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for dx, dy in star(step):
                x, y = (i - PAD) * step + dx, (j - PAD) * step + dy
                if 0 <= x < nx and 0 <= y < ny and lowest[x, y] < highest[x, y]:
                    low[i, j] = min(low[i, j], lowest[x, y])
                    high[i, j] = max(high[i, j], highest[x, y])
    return low, high


def dijkstra(
    start: tuple[int, ...], neighbours: Callable[[tuple[int, ...]], Iterable[tuple[tuple[int, ...], int]]]
) -> dict[tuple[int, ...], int]:
    known: dict[tuple[int, ...], int] = {}
    queue = [(0, start)]
    while queue:
        cost, here = heapq.heappop(queue)
        if here in known:
            continue
        known[here] = cost
        for there, step in neighbours(here):
            if there not in known:
                heapq.heappush(queue, (cost + step, there))
    return known


def relaxed(
    lowest: NDArray[np.int16], highest: NDArray[np.int16], start: tuple[int, int, int], pace: tuple[int, int, int]
) -> dict[tuple[int, ...], int]:
    """Least relaxed cost from (node, layer) to every other: to a neighbour at any open layer, or up and down."""

    def neighbours(state: tuple[int, ...]) -> Iterable[tuple[tuple[int, ...], int]]:
        i, j, z = state
        for u in range(i - 1, i + 2):
            for v in range(j - 1, j + 2):
                if 0 <= u < lowest.shape[0] and 0 <= v < lowest.shape[1]:
                    ground = (0, pace[0], pace[1])[abs(u - i) + abs(v - j)]
                    for t in range(int(lowest[u, v]), int(highest[u, v])):
                        yield (u, v, t), ground + pace[2] * abs(t - z)

    return dijkstra(start, neighbours)


def best_heights(
    lowest: NDArray[np.int16],
    highest: NDArray[np.int16],
    columns: NDArray[np.int64],
    first: int,
    last: int,
    costs: tuple[int, ...],
) -> float:
    """Least cost of a way over given columns; inf where there is none."""

    def neighbours(state: tuple[int, ...]) -> Iterable[tuple[tuple[int, ...], int]]:
        k, z = state
        x, y = columns[k]
        for t in (z - 1, z + 1):
            if lowest[x, y] <= t < highest[x, y]:
                yield (k, t), costs[1]
        if k + 1 < len(columns):
            u, v = columns[k + 1]
            for t in (z - 1, z, z + 1):
                box = [(a, b, c) for a in (x, u) for b in (y, v) for c in (z, t)]
                if all(lowest[a, b] <= c < highest[a, b] for a, b, c in box):
                    yield (k + 1, t), costs[abs(u - x) + abs(v - y) + abs(t - z)]

    x, y = columns[0]
    if not lowest[x, y] <= first < highest[x, y]:
        return math.inf
    return dijkstra((0, first), neighbours).get((len(columns) - 1, last), math.inf)
