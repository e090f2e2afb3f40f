"""The best heights for a given way over ground, through a slab of columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel

_FAR = 1 << 60


@kernel
def straighten(corners: Any) -> Any:
    """The columns (n, 2) of the way over corners (m, 2): from each to the next diagonally first, then along an axis."""
    count = 1
    for k in range(len(corners) - 1):
        count += max(abs(corners[k + 1, 0] - corners[k, 0]), abs(corners[k + 1, 1] - corners[k, 1]))
    columns = np.empty((count, 2), np.int64)
    x, y = corners[0, 0], corners[0, 1]
    columns[0, 0], columns[0, 1] = x, y
    n = 1
    for k in range(1, len(corners)):
        while x != corners[k, 0] or y != corners[k, 1]:
            x += min(max(corners[k, 0] - x, -1), 1)
            y += min(max(corners[k, 1] - y, -1), 1)
            columns[n, 0], columns[n, 1] = x, y
            n += 1
    return columns


@kernel
def profile(lowest: Any, highest: Any, columns: Any, first: int, last: int, costs: Any) -> Any:
    """The cheapest way over these columns from layer first to layer last; (cells (n, 3) int32, cost), empty if none.

    columns (m, 2): each next to the one before. costs (4,): of a step that changes one, two, three coordinates at
    [1:]. Every voxel of the box that a step crosses must be free. Exact: all heights of all columns are tried.
    """
    none = np.empty((0, 3), np.int32)
    m = len(columns)
    lows = np.empty(m, np.int64)
    ends = np.empty(m + 1, np.int64)
    ends[0] = 0
    for k in range(m):
        x, y = columns[k, 0], columns[k, 1]
        lows[k] = lowest[x, y]
        size = np.int64(highest[x, y]) - lows[k]
        if size <= 0:
            return none, _FAR
        ends[k + 1] = ends[k] + size
    if not (lows[0] <= first < lows[0] + ends[1] and lows[m - 1] <= last < lows[m - 1] + ends[m] - ends[m - 1]):
        return none, _FAR
    # How each was reached: 0, 1, 2 from the column before, one layer above, level, one below; 3, 4 from below, above
    came = np.empty(ends[m], np.int8)
    now = np.full(ends[1], _FAR, np.int64)
    now[first - lows[0]] = 0
    came[first - lows[0]] = 5
    for k in range(m):
        size = ends[k + 1] - ends[k]
        if k > 0:
            x, y, u, v = columns[k - 1, 0], columns[k - 1, 1], columns[k, 0], columns[k, 1]
            low = max(lows[k - 1], lows[k])
            high = min(lows[k - 1] + ends[k] - ends[k - 1], lows[k] + size)
            kind = 1
            if x != u and y != v:
                kind = 2
                low = max(low, max(np.int64(lowest[x, v]), np.int64(lowest[u, y])))
                high = min(high, min(np.int64(highest[x, v]), np.int64(highest[u, y])))
            if low >= high:
                return none, _FAR
            before, shift = now, lows[k - 1]
            now = np.full(size, _FAR, np.int64)
            for z in range(low, high):
                best, how = before[z - shift] + costs[kind], 1
                if z + 1 < high and before[z + 1 - shift] + costs[kind + 1] < best:
                    best, how = before[z + 1 - shift] + costs[kind + 1], 0
                if z > low and before[z - 1 - shift] + costs[kind + 1] < best:
                    best, how = before[z - 1 - shift] + costs[kind + 1], 2
                now[z - lows[k]] = best
                came[ends[k] + z - lows[k]] = how
        for n in range(1, size):
            if now[n - 1] + costs[1] < now[n]:
                now[n] = now[n - 1] + costs[1]
                came[ends[k] + n] = 3
        for n in range(size - 2, -1, -1):
            if now[n + 1] + costs[1] < now[n]:
                now[n] = now[n + 1] + costs[1]
                came[ends[k] + n] = 4
    total = now[last - lows[m - 1]]
    if total >= _FAR:
        return none, _FAR
    for turn in range(2):  # count, then write from the end
        if turn == 0:
            count = 1
            cells = none
        else:
            cells = np.empty((count, 3), np.int32)
        k, z, n = m - 1, last, count - 1
        while True:
            if turn == 1:
                cells[n, 0], cells[n, 1], cells[n, 2] = columns[k, 0], columns[k, 1], z
            if k == 0 and z == first:
                break
            how = came[ends[k] + z - lows[k]]
            if how == 3:
                z -= 1
            elif how == 4:
                z += 1
            else:
                k -= 1
                z += 1 - how
            n -= 1
            if turn == 0:
                count += 1
    return cells, total
