"""The free air over voxel columns as gaps: stretches of free layers.

Layer k reaches from ``k * cell`` to ``(k + 1) * cell``, ``up``. A *gap* is a stretch of layers of one voxel column
between floor and ceiling, less what is kept out: the free voxels of `utm.core.flight_space`, column by column. There
are hundreds of gaps where there are ten thousands of voxels, and floor or ceiling may be left off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, read_only
from utm.core.flightspace import KeepOut

#: Layers beyond these do not exist: "from the ground" and "without limit".
DEEP, HIGH = -(1 << 30), 1 << 30


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
