"""Why no way leads there, and by how little: reachability and bottlenecks over the gaps of a flight space.

A *gap* is a stretch of free layers of one voxel column: between floor and ceiling, less what is kept out. Layer k
reaches from ``k * cell`` to ``(k + 1) * cell``, ``up``. Two gaps of neighbouring columns are joined where they share a
layer. A diagonal step through the voxels needs every voxel of the box that it crosses to be free, so that what
`utm.core.GridPlanner` reaches (without corner cutting) is exactly what is reached from gap to gap over the four sides
of a column. There are hundreds of gaps where there are ten thousands of voxels: that makes the answers here cheap.

How far a rule must give for two places to be joined is a *bottleneck* (minimax) path: every passage from gap to gap
carries the metres by which it breaks the rule, all other rules kept, and a way is as bad as its worst passage. The
search is Dijkstra's with the maximum in place of the sum (Pollack 1960, "The maximum capacity through a network").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, read_only
from utm.core.columns import Columns
from utm.core.flightspace import KeepOut

#: Layers beyond these do not exist: "from the ground" and "without limit".
DEEP, HIGH = -(1 << 30), 1 << 30
_CEILING, _CLEARANCE = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Between which layers the rules leave air, for each voxel column (nx, ny)."""

    cell_m: float
    floor: NDArray[np.int64]
    """The lowest layer that lies above the floor of every column of the ground below it; ``HIGH`` where none does."""
    roof: NDArray[np.int64]
    """One past the highest layer under the ceiling; ``DEEP`` where there is none."""
    roof_m: NDArray[np.float64]
    """The ceiling, ``up``: the lowest over the columns of the ground."""


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """The layers that keep-outs take, as stretches [low, high) of layers, in the order of their columns."""

    first: NDArray[np.int64]
    """(nx * ny + 1,) where the stretches of each voxel column begin."""
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    owner: NDArray[np.int64]
    """Whose they are: the place in the sequence of keep-outs."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Stretches [low, high) of free layers, numbered column by column and from the ground up."""

    shape: tuple[int, int]
    first: NDArray[np.int64]
    """(nx * ny + 1,) the number of the first gap of each column ``ix * ny + iy``."""
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def at(self, ix: int, iy: int, layer: int) -> int:
        """The number of the gap that holds a layer of a column.

        Raises:
            ValueError: the layer is not free.
        """
        column = ix * self.shape[1] + iy
        for gap in range(self.first[column], self.first[column + 1]):
            if self.low[gap] <= layer < self.high[gap]:
                return gap
        raise ValueError(f"layer {layer} of column ({ix}, {iy}) is not free")


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


def layers_of(lowest_m: ArrayLike, highest_m: ArrayLike, factor: int, cell_m: float) -> Layers:
    """The layers between floor and ceiling, cut as `utm.core.flight_space` cuts them.

    Args:
        lowest_m: (nx, ny) over the columns of the ground, as for `utm.core.flight_space`.
        highest_m: likewise.
        factor: columns of the ground along the side of a voxel.
        cell_m: side of a voxel, metres.
    """
    lowest = np.ascontiguousarray(lowest_m, np.float64)
    highest = np.ascontiguousarray(highest_m, np.float64)
    shape = (lowest.shape[0] // factor, lowest.shape[1] // factor)
    floor, roof = np.empty(shape, np.int64), np.empty(shape, np.int64)
    roof_m = np.empty(shape, np.float64)
    _layers(read_only(lowest), read_only(highest), factor, float(cell_m), floor, roof, roof_m)
    return Layers(float(cell_m), floor, roof, roof_m)


def cuts_of(keep_outs: Sequence[KeepOut], shape: tuple[int, int], factor: int, cell_m: float) -> Cuts:
    """The layers that each keep-out takes from each voxel column: those that `utm.core.flight_space` blocks for it.

    Args:
        keep_outs: over columns of the ground.
        shape: (nx, ny) voxel columns.
        factor: columns of the ground along the side of a voxel.
        cell_m: side of a voxel, metres.
    """
    parts = []
    for number, out in enumerate(keep_outs):
        lower = np.array(np.broadcast_to(np.asarray(out.lower_m, np.float64), out.mask.shape))
        upper = np.array(np.broadcast_to(np.asarray(out.upper_m, np.float64), out.mask.shape))
        taken = np.empty((int(np.count_nonzero(out.mask)), 3), np.int64)
        count = _taken(read_only(out.mask), lower, upper, *shape, factor, float(cell_m), taken)
        parts.append(np.column_stack([taken[:count], np.full(count, number, np.int64)]))
    rows = np.concatenate(parts) if parts else np.empty((0, 4), np.int64)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.searchsorted(rows[:, 0], np.arange(shape[0] * shape[1] + 1))
    low, high, owner = (np.ascontiguousarray(rows[:, n]) for n in (1, 2, 3))
    return Cuts(first.astype(np.int64), low, high, owner)


def gaps_of(floor: NDArray[np.int64], roof: NDArray[np.int64], cuts: Cuts, closed: ArrayLike) -> Gaps:
    """The free stretches of every column.

    Args:
        floor: (nx, ny) lowest layer of each column.
        roof: (nx, ny) one past the highest.
        cuts: what keep-outs take.
        closed: for each keep-out, whether it counts.
    """
    counts = np.ascontiguousarray(closed, np.bool_)
    first = np.zeros(floor.size + 1, np.int64)
    arguments = (floor.ravel(), roof.ravel(), cuts.first, cuts.low, cuts.high, cuts.owner, counts)
    none = np.empty(0, np.int64)
    _gaps(*arguments, first, none, none)
    low, high = np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)
    _gaps(*arguments, first, low, high)
    return Gaps(floor.shape, first, low, high)


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
def _layers(lowest: Any, highest: Any, factor: int, cell: float, floor: Any, roof: Any, roof_m: Any) -> None:
    """Fill floor, roof (layers) and roof_m (metres) from lowest and highest (metres) of the ground's columns."""
    nx, ny = floor.shape
    for i in range(nx):
        for j in range(ny):
            low, high = lowest[i * factor, j * factor], highest[i * factor, j * factor]
            for a in range(i * factor, (i + 1) * factor):
                for b in range(j * factor, (j + 1) * factor):
                    low, high = max(low, lowest[a, b]), min(high, highest[a, b])
            roof_m[i, j] = high
            floor[i, j] = HIGH if low == np.inf else math.ceil(low / cell)
            roof[i, j] = DEEP if high == -np.inf else math.floor(high / cell)


@kernel
def _taken(mask: Any, lower: Any, upper: Any, nx: int, ny: int, factor: int, cell: float, taken: Any) -> int:
    """Rows (column, low, high) of layers that overlap a keep-out (metres), column by column; returns how many."""
    count = 0
    for i in range(nx):
        for j in range(ny):
            begin = count
            for a in range(i * factor, (i + 1) * factor):
                for b in range(j * factor, (j + 1) * factor):
                    if not mask[a, b]:
                        continue
                    low = DEEP if lower[a, b] == -np.inf else math.floor(lower[a, b] / cell)
                    high = HIGH if upper[a, b] == np.inf else math.ceil(upper[a, b] / cell)
                    # Over level ground all columns of a voxel say the same.
                    same = count > begin and taken[count - 1, 1] == low and taken[count - 1, 2] == high
                    if low < high and not same:
                        taken[count, 0], taken[count, 1], taken[count, 2] = i * ny + j, low, high
                        count += 1
    return count


@kernel
def _gaps(
    floor: Any,
    roof: Any,
    begin: Any,
    cut_low: Any,
    cut_high: Any,
    owner: Any,
    closed: Any,
    first: Any,
    low: Any,
    high: Any,
) -> None:
    """The stretches of [floor, roof) that no cut of a closed keep-out takes. With empty ``low`` they are counted into
    ``first``, otherwise they are written."""
    count = 0
    for column in range(floor.size):
        first[column] = count
        at = floor[column]
        while at < roof[column]:
            moved = True
            while moved:
                moved = False
                for m in range(begin[column], begin[column + 1]):
                    if closed[owner[m]] and cut_low[m] <= at < cut_high[m]:
                        at, moved = cut_high[m], True
            if at >= roof[column]:
                break
            end = roof[column]
            for m in range(begin[column], begin[column + 1]):
                if closed[owner[m]] and at < cut_low[m] < end:
                    end = cut_low[m]
            if low.size:
                low[count], high[count] = at, end
            count += 1
            at = end
    first[floor.size] = count


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
    keys, gaps = np.empty(1024), np.empty(1024, np.int64)
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
