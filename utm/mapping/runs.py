"""Tables of solid runs: is a height solid, what became solid between two tables, where is air.

A table is sorted by ix, iy, from_m (`RUN_DTYPE`, `MAP_RUN_DTYPE`) and lists every solid run of the columns that it
names; runs are closed at both ends and may overlap. All functions are pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.mapping.mapfile import RUN_DTYPE


def starts(runs: NDArray) -> NDArray[np.int64]:
    """Row of the first run of each column that is listed."""
    if len(runs) == 0:
        return np.empty(0, np.int64)
    new = (runs["ix"][1:] != runs["ix"][:-1]) | (runs["iy"][1:] != runs["iy"][:-1])
    return np.flatnonzero(np.concatenate([[True], new]))


def listed(runs: NDArray, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(nx, ny): which columns of a tile the table names."""
    mask = np.zeros(shape, np.bool_)
    mask[runs["ix"], runs["iy"]] = True
    return mask


def columns_with_air(runs: NDArray) -> NDArray[np.bool_]:
    """For each listed column, in their order: whether there is air between its runs."""
    first = starts(runs)
    if len(first) == 0:
        return np.empty(0, np.bool_)
    last = np.append(first[1:], len(runs)) - 1
    column = np.repeat(np.arange(len(first)), last - first + 1)
    gap = np.zeros(len(runs), np.bool_)
    # By rank within the column: the highest end of all runs below, one rank after another
    top = runs["to_m"][first].copy()
    for rank in range(1, int((last - first).max()) + 1):
        rows = first + rank
        there = rows <= last
        gap[rows[there]] = runs["from_m"][rows[there]] > top[there]
        top[there] = np.maximum(top[there], runs["to_m"][rows[there]])
    return np.bincount(column, gap, minlength=len(first)) > 0


def solid_at(
    runs: NDArray, surface: NDArray, ix: NDArray[np.integer], iy: NDArray[np.integer], up: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether points lie in something solid, ends included.

    Args:
        runs: RUN_DTYPE of one tile.
        surface: (nx, ny) up to where a column is solid that is not listed.
        ix, iy, up: (n,) cells within the tile, and heights.
    """
    solid = up <= surface[ix, iy]
    if len(runs) == 0:
        return solid
    ny = surface.shape[1]
    first = starts(runs)
    columns = runs["ix"][first].astype(np.int64) * ny + runs["iy"][first]
    asked = ix.astype(np.int64) * ny + iy
    at = np.minimum(np.searchsorted(columns, asked), len(columns) - 1)
    points = np.flatnonzero(columns[at] == asked)
    row, end = first[at[points]], np.append(first[1:], len(runs))[at[points]]
    solid[points] = False
    while len(points):
        inside = (runs["from_m"][row] <= up[points]) & (up[points] <= runs["to_m"][row])
        solid[points[inside]] = True
        row = row + 1
        more = ~inside & (row < end)
        points, row, end = points[more], row[more], end[more]
    return solid


def changed_m(
    before: NDArray, surface_before: NDArray, after: NDArray, surface_after: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(nx, ny) metres of each column that became solid, and that became clear: the measures of the differences of
    the two sets of solid heights, one way and the other. Exact but for float64 rounding.

    Args:
        before, after: RUN_DTYPE of the same tile.
        surface_before, surface_after: (nx, ny).
    """
    shape = surface_before.shape
    rise = surface_after.astype(np.float64) - surface_before
    newly_solid, newly_clear = np.maximum(rise, 0.0), np.maximum(-rise, 0.0)
    either = listed(before, shape) | listed(after, shape)
    cells = np.flatnonzero(either)
    if len(cells) == 0:
        return newly_solid, newly_clear
    # A sweep upwards through the ends of all runs of a column; below the lower of the two bases both are solid
    tables = [_all_runs(before, surface_before, either), _all_runs(after, surface_after, either)]
    floor = np.full(shape, np.inf)
    for runs in tables:
        first = starts(runs)
        where = runs["ix"][first], runs["iy"][first]
        floor[where] = np.minimum(floor[where], runs["to_m"][first])
    at, column, which, step = [], [], [], []
    for number, runs in enumerate(tables):
        cell = runs["ix"].astype(np.int64) * shape[1] + runs["iy"]
        ground = floor.ravel()[cell]
        for end, sign in (("from_m", 1), ("to_m", -1)):
            at.append(np.maximum(runs[end].astype(np.float64), ground))
            column.append(cell)
            which.append(np.full(len(runs), number))
            step.append(np.full(len(runs), sign))
    height, cell, table, sign = (np.concatenate(part) for part in (at, column, which, step))
    order = np.lexsort((height, cell))
    height, cell = height[order], cell[order]
    # How many runs of each table hold the stretch from this end to the next; all are closed when a column ends
    inside = [np.cumsum(np.where(table[order] == number, sign[order], 0)) > 0 for number in (0, 1)]
    length = np.append(np.where(np.diff(cell) == 0, np.diff(height), 0.0), 0.0)
    for result, kept in ((newly_solid, inside[1] & ~inside[0]), (newly_clear, inside[0] & ~inside[1])):
        result[either] = np.bincount(cell[kept], length[kept], minlength=result.size)[cells]
    return newly_solid, newly_clear


def _all_runs(runs: NDArray, surface: NDArray, wanted: NDArray[np.bool_]) -> NDArray:
    """The table with the wanted columns that it does not list added, solid up to their surface."""
    ix, iy = np.nonzero(wanted & ~listed(runs, surface.shape))
    more = np.zeros(len(ix), RUN_DTYPE)
    more["ix"], more["iy"], more["from_m"], more["to_m"] = ix, iy, -np.inf, surface[ix, iy]
    both = np.concatenate([runs, more])
    return both[np.lexsort((both["from_m"], both["iy"], both["ix"]))]
