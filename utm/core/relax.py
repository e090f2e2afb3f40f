"""Why no way leads there, and by how little: reachability and bottlenecks over the gaps of a flight space.

Two gaps (`utm.core.gaps`) of neighbouring columns are joined where they share a layer. A diagonal step through the
voxels needs every voxel of the box that it crosses to be free, so that what `utm.core.GridPlanner` reaches (without
corner cutting) is exactly what is reached from gap to gap over the four sides of a column.

How far a rule must give for two places to be joined is a *bottleneck* (minimax) path: every passage from gap to gap
carries the metres by which it breaks the rule, all other rules kept, and a way is as bad as its worst passage. The
search is Dijkstra's with the maximum in place of the sum (Pollack 1960, "The maximum capacity through a network").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel
from utm.core.columns import Columns
from utm.core.gaps import DEEP, Gaps, Layers

_CEILING, _CLEARANCE = 0, 1


@dataclass(frozen=True, slots=True)
class Sides:
    """What two floods found that began at two gaps."""

    joined: bool
    closed: int
    """Which of the two ended first without meeting the other (0 or 1); -1 when they met."""
    columns: int
    """How many columns the closed side has."""
    voxels: int
    """How many voxels it has."""
    small: bool
    """Whether the other side has many times more columns."""


def sides(gaps: Gaps, a: int, b: int, many: int = 10) -> Sides:
    """Whether two gaps are joined; if not, how small the pocket around the one is that ends first.

    Two floods advance in turn, so that the cost is that of the smaller side: twice its gaps, and ``many`` times its
    columns to see how large the other side is.
    """
    found = _flood(*gaps.shape, gaps.first, gaps.low, gaps.high, a, b, many)
    return Sides(found[0] < 0, int(found[0]), int(found[1]), int(found[2]), bool(found[3]))


def reached(gaps: Gaps, a: int) -> NDArray[np.bool_]:
    """For every gap whether it is joined to gap ``a``."""
    return _reach(*gaps.shape, gaps.first, gaps.low, gaps.high, a)


def least_raise(gaps: Gaps, layers: Layers, a: int, b: int) -> float:
    """By how much the ceiling must rise, everywhere alike, for two gaps to be joined (metres; inf if never).

    Args:
        gaps: with the ceiling left off (``roof`` of ``HIGH`` everywhere).
        layers: the ceiling.
        a: number of the one gap.
        b: number of the other.
    """
    nothing = np.empty((1, 1), np.float32)
    return float(
        _bottleneck(
            _CEILING,
            *gaps.shape,
            gaps.first,
            gaps.low,
            gaps.high,
            a,
            b,
            layers.roof_m.ravel(),
            layers.floor.ravel(),
            layers.cell_m,
            nothing,
            1,
            1.0,
            1.0,
        )
    )


def least_lack(gaps: Gaps, layers: Layers, columns: Columns, clearance_m: float, a: int, b: int) -> float:
    """By how much less than ``clearance_m`` must do for two gaps to be joined (metres; ``clearance_m`` if never).

    Args:
        gaps: with the floor left off (``floor`` of ``DEEP`` everywhere).
        layers: with the floor for ``clearance_m``.
        columns: the ground.
        clearance_m: what the rules ask.
        a: number of the one gap.
        b: number of the other.
    """
    factor = round(layers.cell_m / columns.cell_m)
    lack = _bottleneck(
        _CLEARANCE,
        *gaps.shape,
        gaps.first,
        gaps.low,
        gaps.high,
        a,
        b,
        layers.roof_m.ravel(),
        layers.floor.ravel(),
        layers.cell_m,
        columns.surface_m,
        factor,
        columns.cell_m,
        float(clearance_m),
    )
    return float(min(lack, clearance_m))


def clearance_at(columns: Columns, factor: int, ix: int, iy: int, bottom_m: float, limit_m: float) -> float:
    """The largest clearance, up to a limit, whose floor (`utm.core.lowest_clear`) a voxel keeps.

    Args:
        columns: the ground.
        factor: columns of the ground along the side of a voxel.
        ix: the voxel's column.
        iy: the voxel's column.
        bottom_m: ``up`` of its underside.
        limit_m: metres.
    """
    return float(_clear(columns.surface_m, columns.cell_m, factor, ix, iy, float(bottom_m), float(limit_m)))


@kernel
def _columns(first: Any) -> Any:
    """The column of every gap."""
    column = np.empty(first[-1], np.int64)
    for c in range(first.size - 1):
        column[first[c] : first[c + 1]] = c
    return column


@kernel
def _beside(column: int, side: int, nx: int, ny: int) -> int:
    """The column on one of four sides; -1 outside."""
    i, j = column // ny, column % ny
    if side == 0:
        return column - ny if i > 0 else -1
    if side == 1:
        return column + ny if i < nx - 1 else -1
    if side == 2:
        return column - 1 if j > 0 else -1
    return column + 1 if j < ny - 1 else -1


@kernel
def _flood(nx: int, ny: int, first: Any, low: Any, high: Any, a: int, b: int, many: int) -> Any:
    """Two floods in turn; returns (which side closed or -1, its columns, its voxels, whether it is small)."""
    if a == b:
        return -1, 0, 0, False
    column = _columns(first)
    side_of = np.full(low.size, -1, np.int8)
    seen = np.zeros((2, first.size - 1), np.bool_)
    # First in, first out: two floods that grow as discs meet early.
    queue = np.empty((2, low.size), np.int64)
    head, tail = np.zeros(2, np.int64), np.ones(2, np.int64)
    columns, voxels = np.zeros(2, np.int64), np.zeros(2, np.int64)
    side_of[a], side_of[b] = 0, 1
    queue[0, 0], queue[1, 0] = a, b
    over, turn = -1, 0
    while True:
        if head[turn] == tail[turn]:
            if over >= 0:
                break
            over, turn = turn, 1 - turn
            continue
        gap = queue[turn, head[turn]]
        head[turn] += 1
        here = column[gap]
        voxels[turn] += high[gap] - low[gap]
        if not seen[turn, here]:
            seen[turn, here] = True
            columns[turn] += 1
        if over >= 0 and columns[turn] >= many * columns[over]:
            break
        for side in range(4):
            there = _beside(here, side, nx, ny)
            if there < 0:
                continue
            for other in range(first[there], first[there + 1]):
                if low[other] < high[gap] and low[gap] < high[other]:
                    if side_of[other] == 1 - turn:
                        return -1, 0, 0, False
                    if side_of[other] < 0:
                        side_of[other] = turn
                        queue[turn, tail[turn]] = other
                        tail[turn] += 1
        if over < 0:
            turn = 1 - turn
    return over, columns[over], voxels[over], columns[1 - over] >= many * columns[over]


@kernel
def _reach(nx: int, ny: int, first: Any, low: Any, high: Any, a: int) -> Any:
    """Every gap joined to gap ``a``, as booleans."""
    column = _columns(first)
    found = np.zeros(low.size, np.bool_)
    queue = np.empty(low.size, np.int64)
    queue[0], found[a] = a, True
    head, tail = 0, 1
    while head < tail:
        gap = queue[head]
        head += 1
        for side in range(4):
            there = _beside(column[gap], side, nx, ny)
            if there < 0:
                continue
            for other in range(first[there], first[there + 1]):
                if not found[other] and low[other] < high[gap] and low[gap] < high[other]:
                    found[other] = True
                    queue[tail] = other
                    tail += 1
    return found


@kernel
def _clear(surface: Any, cell: float, factor: int, ix: int, iy: int, z: float, limit: float) -> float:
    """Least distance (metres, at most ``limit``) from a voxel with its underside at ``z`` to the ground's columns, and
    no more than its columns are from the border of the ground: beyond it nothing is known."""
    nx, ny = surface.shape
    i0, i1 = ix * factor, (ix + 1) * factor - 1
    j0, j1 = iy * factor, (iy + 1) * factor - 1
    best = min(limit, cell * min(min(i0, nx - 1 - i1), min(j0, ny - 1 - j1)))
    if best <= 0.0:
        return 0.0
    square = best * best
    reach = math.ceil(best / cell)
    for a in range(max(i0 - reach, 0), min(i1 + reach, nx - 1) + 1):
        across = cell * max(max(i0 - a, a - i1) - 1, 0)
        if across * across >= square:
            continue
        for b in range(max(j0 - reach, 0), min(j1 + reach, ny - 1) + 1):
            along = cell * max(max(j0 - b, b - j1) - 1, 0)
            above = max(z - surface[a, b], 0.0)
            square = min(square, across * across + along * along + above * above)
    return math.sqrt(square)


@kernel
def _bottleneck(
    mode: int,
    nx: int,
    ny: int,
    first: Any,
    low: Any,
    high: Any,
    a: int,
    b: int,
    roof_m: Any,
    floor: Any,
    cell: float,
    surface: Any,
    factor: int,
    ground: float,
    clearance: float,
) -> float:
    """The least largest lack (metres) over all ways from gap a to gap b; inf where there is none.

    Through the ceiling a passage is easiest in the lowest layer that both gaps share, past obstacles in the highest:
    more height is never nearer to what stands on the ground. Distances are measured only where the search comes by
    and the floor is broken, and remembered for the last layer that was asked of a gap.
    """
    column = _columns(first)
    worst = np.full(low.size, np.inf)
    asked, answer = np.full(low.size, DEEP - 1, np.int64), np.zeros(low.size)
    keys, gaps = np.empty(8), np.empty(8, np.int64)
    keys[0], gaps[0], worst[a] = 0.0, a, 0.0
    size = 1
    while size > 0:
        key, gap = keys[0], gaps[0]
        size -= 1
        keys[0], gaps[0] = keys[size], gaps[size]
        at = 0
        while True:  # sift down
            child = 2 * at + 1
            if child >= size:
                break
            if child + 1 < size and keys[child + 1] < keys[child]:
                child += 1
            if keys[at] <= keys[child]:
                break
            keys[at], keys[child] = keys[child], keys[at]
            gaps[at], gaps[child] = gaps[child], gaps[at]
            at = child
        if gap == b:
            return key
        if key > worst[gap]:
            continue
        here = column[gap]
        for side in range(4):
            there = _beside(here, side, nx, ny)
            if there < 0:
                continue
            for other in range(first[there], first[there + 1]):
                if worst[other] <= key or low[other] >= high[gap] or low[gap] >= high[other]:
                    continue
                lack = 0.0
                if mode == _CEILING:
                    layer = max(low[gap], low[other])
                    lack = (layer + 1) * cell - min(roof_m[here], roof_m[there])
                else:
                    layer = min(high[gap], high[other]) - 1
                    for end in (gap, other):
                        place = column[end]
                        if layer < floor[place]:
                            if asked[end] != layer:
                                kept = _clear(surface, ground, factor, place // ny, place % ny, layer * cell, clearance)
                                asked[end], answer[end] = layer, clearance - kept
                            lack = max(lack, answer[end])
                    if lack >= clearance:  # inside something
                        continue
                onward = max(key, lack)
                if onward >= worst[other]:
                    continue
                worst[other] = onward
                if size == keys.size:
                    more, wider = np.empty(2 * size), np.empty(2 * size, np.int64)
                    more[:size], wider[:size] = keys, gaps
                    keys, gaps = more, wider
                at = size
                keys[at], gaps[at] = onward, other
                size += 1
                while at > 0 and keys[(at - 1) // 2] > keys[at]:  # sift up
                    up = (at - 1) // 2
                    keys[at], keys[up] = keys[up], keys[at]
                    gaps[at], gaps[up] = gaps[up], gaps[at]
                    at = up
    return np.inf
