"""Coarser slabs above a slab of columns: one that allows more than is allowed, and one that allows less.

A slab is two arrays (nx, ny) of int16: voxel (i, j, k) is free iff ``lowest[i, j] <= k < highest[i, j]``. A coarser
one has a node at every ``step``-th column, and keeps the height of the voxels: only the ground is made coarser.
Node (I, J) of the coarser slab stands on column ``((I - PAD) * step, (J - PAD) * step)``; the nodes beyond the border
are there so that every column has nodes around it on all sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel

#: Nodes beyond the border on each side.
PAD = 2

#: What a closed column holds.
CLOSED_LOW, CLOSED_HIGH = 32767, -32768


@kernel
def wider(lowest: Any, highest: Any, step: int) -> Any:
    """The slab of nodes that are open wherever an open column stands near them; (lowest, highest) int16.

    Near is the star of offsets ``E = {(x, y): min(|x|, |y|) < step and ||x| - |y|| < step}``, see
    `utm.core.longways`: the hull of the open intervals of the columns at node + E.
    """
    nx, ny = lowest.shape
    rows, cols = (nx + step - 1) // step + 2 * PAD, (ny + step - 1) // step + 2 * PAD
    low = np.full((rows, cols), CLOSED_LOW, np.int16)
    high = np.full((rows, cols), CLOSED_HIGH, np.int16)
    floor = np.empty(ny, np.int16)
    roof = np.empty(ny, np.int16)
    reach = 2 * step - 2
    for x in range(nx):
        for y in range(ny):  # closed columns say nothing
            shut = lowest[x, y] >= highest[x, y]
            floor[y] = CLOSED_LOW if shut else lowest[x, y]
            roof[y] = CLOSED_HIGH if shut else highest[x, y]
        first = (x - reach + step - 1) // step
        for r in range(first, (x + reach) // step + 1):
            d = abs(x - r * step)
            if d < step:
                nearest, farthest = 0, d + step - 1
            else:
                nearest, farthest = d - step + 1, step - 1
            for c in range(cols):
                y = (c - PAD) * step
                least, most = low[r + PAD, c], high[r + PAD, c]
                for v in range(max(y - farthest, 0), min(y - nearest, ny - 1) + 1):
                    least = min(least, floor[v])
                    most = max(most, roof[v])
                for v in range(max(y + nearest, 0), min(y + farthest, ny - 1) + 1):
                    least = min(least, floor[v])
                    most = max(most, roof[v])
                low[r + PAD, c] = least
                high[r + PAD, c] = most
    return low, high


@kernel
def narrower(lowest: Any, highest: Any, step: int) -> Any:
    """The slab of nodes that are open only where all columns around them are; (lowest, highest) int16.

    Around is the square of columns up to ``half = (step + 1) // 2`` from the node, so that the columns that a straight
    or diagonal run between two neighbouring nodes touches belong to one of the two. Outside the slab is closed.
    """
    nx, ny = lowest.shape
    rows, cols = (nx + step - 1) // step + 2 * PAD, (ny + step - 1) // step + 2 * PAD
    low = np.full((rows, cols), CLOSED_LOW, np.int16)
    high = np.full((rows, cols), CLOSED_HIGH, np.int16)
    half = (step + 1) // 2
    for r in range(rows):
        x = (r - PAD) * step
        if x < half or x + half >= nx:
            continue
        for c in range(cols):
            y = (c - PAD) * step
            if y < half or y + half >= ny:
                continue
            least, most = lowest[x, y], highest[x, y]
            for u in range(x - half, x + half + 1):
                for v in range(y - half, y + half + 1):
                    least = max(least, lowest[u, v])
                    most = min(most, highest[u, v])
            if least < most:
                low[r, c] = least
                high[r, c] = most
    return low, high
