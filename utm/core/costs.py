"""Cheapest ways through a volume of voxels that cost more here than there, in a wind, for length, time or energy.

A* over 26 neighbours, always optimal for the stated cost: half a step in each of its two voxels, each half in the wind
of its voxel and times its factor (`utm.core._steps`). What differs from the plain search (`utm.core.grid`):

- Costs are integers again, the cheapest step 2**32 of them, so a way is within 1e-9 of the optimum (fewer where the
  dearest step costs 10**7 times as much, or a volume is 10**6 voxels across: within 4 / 2**bits). Rounding is monotone,
  so the least factor and the least winds bound every rounded step exactly, and the estimates are exactly consistent.
- Two estimates, the greater of which counts: linear functions that bound every row of steps
  (`utm.core._steps.dual_vectors`), and, where factors lie over the ground, the cheapest way as seen from above, every
  column at its least factor (`utm.core._cheapest.from_above`). On city M with factors for people the second leaves
  29,000 expansions of 1,450,000.
- A voxel keeps two words, cost and (query, closed, way back), side by side in one line of the cache. The ring of
  buckets is as long as the dearest step asks for.
"""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._cheapest import FOUND, NO_WAY, QUEUE_FULL, TOO_DEAR, explore, trace
from utm.core._jit import read_only, voxel
from utm.core._steps import NEEDS, STEPS, by_octant, direction_rates, dual_vectors, half_costs, step_costs
from utm.core._walls import walls
from utm.core.shorten import shorten_by_cost
from utm.errors import NoPath
from utm.model import Aircraft, Objective

__all__ = ["STEPS", "CostPath", "CostPlanner", "shorten_by_cost", "step_costs"]

#: A voxel that shall cost more than ten thousand times the length should be blocked; sums of integers stay below 2**62.
MOST_FACTOR = 1e4
_BITS = 32  # the cheapest step is 2**_BITS units
_ROOM = 60  # bits for the estimate across the whole volume, and for the dearest step

#: Above this mean of the least factors of the columns, over the least of all, a look from above pays (measured).
_WORTHWHILE = 1.02

_BUCKETS_PER_STEP = 128
_LONGEST_RING = 1 << 16  # buckets; beyond, they get wider, which may open voxels twice but loses nothing


@dataclass(frozen=True, slots=True, eq=False)
class CostPath:
    """A cheapest way."""

    cells: NDArray[np.int32]
    """(n, 3) voxels from start to goal, both included."""
    cost: float
    """What it costs, weighed by the factors: metres, seconds or watt-hours."""
    unweighed: float
    """The same with every factor 1: its true length, time or energy, by the model of level and vertical parts."""
    expansions: int
    """How many voxels the search took from its queue."""


class CostPlanner:
    """Cheapest ways through one volume, for as many queries as wanted.

    Corners are not cut: every cell of the 2 x 2 or 2 x 2 x 2 box that a diagonal step crosses must be free. Queries
    from several threads take turns. Memory is one bit per voxel and 16 bytes for each voxel that a search reaches,
    beside the factors and 416 bytes for each distinct place in ``wind_m_s``: both are kept unbroadcast.

    Args:
        blocked: (nx, ny, nz) booleans. What lies outside is blocked.
        factor: broadcastable to (nx, ny, nz), 1 to 10,000: by what the cost in a voxel is multiplied.
        aircraft: what flies; may be None for the length without wind.
        objective: what is made least.
        wind_m_s: broadcastable to (nx, ny, nz, 2), metres per second towards east and north. Steps that it is too
            strong for are not taken, whatever the objective.
        cell_m: side of a voxel, metres.

    Raises:
        ValueError: anything else, saying what to do.
    """

    def __init__(
        self,
        blocked: ArrayLike,
        *,
        factor: ArrayLike | None = None,
        aircraft: Aircraft | None = None,
        objective: Objective = Objective.LENGTH,
        wind_m_s: ArrayLike | None = None,
        cell_m: float = 1.0,
    ) -> None:
        volume = np.asarray(blocked)
        if volume.ndim != 3 or volume.dtype != np.bool_ or volume.size == 0 or max(volume.shape) >= 1 << 21:
            raise ValueError(
                f"blocked must be a boolean array (nx, ny, nz) of less than 2**21 voxels along an axis, got "
                f"{volume.dtype} of shape {volume.shape}"
            )
        if not (math.isfinite(cell_m) and cell_m > 0):
            raise ValueError(f"cell_m must be a finite number above zero, got {cell_m!r}")
        objective = Objective(objective)
        if aircraft is None and objective is not Objective.LENGTH:
            raise ValueError(f"the {objective} of a way depends on the aircraft: hand one in, or ask for the length")
        if aircraft is None and wind_m_s is not None:
            raise ValueError("what a wind does depends on the aircraft: hand one in, or leave the wind out")
        self.shape: tuple[int, int, int] = volume.shape
        self.blocked = read_only(volume)
        self.aircraft, self.objective, self.cell_m = aircraft, objective, float(cell_m)
        self._factor = _factors(factor, self.shape)
        self._wind = _winds(wind_m_s, self.shape)
        self._prepare()
        self._walls = walls(volume)
        self._states = np.zeros((volume.size, 2), np.int64)
        self._query = 0
        self._queue = np.empty((1 << 18, 2), np.int64)  # a page is touched when it is needed
        self._turn = threading.Lock()
        # So that the first query need not wait for the compiler, or for its cache.
        self._explored((0, 0, 0), (0, 0, 0), self._halves, self._wind_strides)
        trace(self._states, self.shape, (0, 0, 0), read_only(STEPS))

    def path(self, start: ArrayLike, goal: ArrayLike) -> CostPath:
        """A cheapest way from one voxel (3,) to another.

        Raises:
            NoPath: there is none, or start or goal is blocked. Where only the wind is in the way, it says so.
            ValueError: start or goal is not a voxel of the volume.
        """
        first, last = voxel(start, "start", self.shape), voxel(goal, "goal", self.shape)
        for name, cell in (("start", first), ("goal", last)):
            if self.blocked[cell]:
                raise NoPath(f"the {name} {cell} is blocked")
        with self._turn:
            status, expansions = self._explored(first, last, self._halves, self._wind_strides)
            if status == TOO_DEAR:
                raise NoPath(f"every way from {first} to {last} costs more than can be counted; lower the factors")
            if status == NO_WAY:
                raise self._why_not(first, last)
            cells = trace(self._states, self.shape, last, read_only(STEPS))
        return CostPath(cells, self._cost_of(cells, True), self._cost_of(cells, False), expansions)

    def segment_cost(self, points: ArrayLike) -> float:
        """What a way of straight pieces costs, integrated exactly over the voxels that it passes.

        Along a face between voxels the dearest of those it touches counts. Whether they are free is not asked
        (`utm.core.segment_clear`). Through the centres of a path's voxels it is the path's own cost.

        Args:
            points: (m, 3) corners in grid coordinates, m >= 1, within the volume.

        Returns:
            Metres, seconds or watt-hours, weighed; infinite where the wind is too strong on the way.

        Raises:
            ValueError: not such points.
        """
        corners = np.array(points, np.float64)
        if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) == 0 or not np.isfinite(corners).all():
            raise ValueError(f"points must be finite (m, 3) with m >= 1, got shape {corners.shape}")
        if (corners < 0).any() or (corners > self.shape).any():
            raise ValueError(f"every point must lie within the volume of {self.shape} voxels")
        return float(sum(self._piece_cost(a, b) for a, b in itertools.pairwise(corners)))

    def _prepare(self) -> None:
        """Half steps in integers, and the bounds that follow from the cheapest of them."""
        halves = half_costs(self.aircraft, self.objective, self.cell_m, self._wind)
        free = ~self.blocked
        factors = self._factor[_any_along(free, self._factor.shape)]
        low, high = factors.min(initial=MOST_FACTOR), factors.max(initial=1.0)
        least = halves[_any_along(free, self._wind.shape[:3])].min(axis=0, initial=np.inf)  # (26, 2)
        possible = np.isfinite(least)
        # A step that the wind forbids everywhere needs no bound: any finite one holds.
        least = np.where(possible, least, least.max(initial=1.0, where=possible))
        cheapest, dearest = least.sum(-1).min(), least.sum(-1).max()
        flown = halves.sum(-1)
        longest = max(8 * dearest * sum(self.shape), 8 * high / low * flown.max(initial=0.0, where=np.isfinite(flown)))
        bits = min(_BITS, _ROOM - math.ceil(math.log2(longest / cheapest)))
        unit = 2 * low * cheapest / (1 << bits)  # cost of one unit
        bound = 2 * _rounded(low * (least / unit)).sum(-1)
        self._duals, self._dual_counts = (read_only(a) for a in by_octant(dual_vectors(bound)))
        self._halves = read_only(np.ascontiguousarray((halves / unit).reshape(-1, 26, 2)))
        self._factor_strides, self._wind_strides = _strides(self._factor.shape), _strides(self._wind.shape[:3])
        #: Half a step where wind is left out of the question: not below any bound, so that the estimate holds.
        self._calm_half = dearest / unit + 4
        totals = self._halves.sum(-1)
        top = max(self._calm_half, totals.max(initial=0.0, where=np.isfinite(totals)))
        jump = 6 * high * top  # of cost plus estimate in one step, at most
        buckets = min(_LONGEST_RING, 1 << math.ceil(math.log2(jump / (1 << bits) * _BUCKETS_PER_STEP + 4)))
        self._shift = max(0, math.ceil(math.log2(jump / (buckets - 3))))
        self._ring = np.empty(buckets, np.int64)
        self._columns = self._column_bounds(free, low, least / unit)

    def _column_bounds(self, free: NDArray[np.bool_], low: float, least: NDArray[np.float64]) -> tuple[Any, ...]:
        """What the look from above needs: the least factor of each column (inf where none is free), the least half of
        each of the 9 steps seen from above, and how much dearer at least every step up and every step down is than
        its step seen from above. Without columns where they say no more than the least factor of all."""
        steps = (STEPS[:, :2] + 1) @ np.array([3, 1])
        above = np.array([least[steps == n, 0].min(initial=np.inf) for n in range(9)])
        above[4] = 0.0
        dearer = []
        for way in (1, -1):
            chosen = STEPS[:, 2] == way
            # Rounding of a product that is split in two moves it by one unit at most.
            level = np.floor(low * (least[chosen, 0] - above[steps[chosen]]).min())
            dearer.append(2 * int(max(level - 1, 0) + _rounded(low * least[chosen, 1].min())))
        flat = (self._factor.shape[0], self._factor.shape[1])
        column = np.full(self.shape[:2], np.inf)
        if flat != (1, 1):
            for layer in range(self.shape[2]):
                factor = self._factor[:, :, layer if self._factor.shape[2] > 1 else 0]
                np.minimum(column, factor, out=column, where=free[:, :, layer])
        used = np.isfinite(column)
        if not used.any() or column[used].mean() < _WORTHWHILE * low:
            column = np.empty((0, 0))
        return read_only(column.reshape(-1)), read_only(above), dearer[0], dearer[1]

    def _explored(
        self, first: tuple[int, ...], last: tuple[int, ...], halves: NDArray[np.float64], wind_strides: tuple[int, ...]
    ) -> tuple[int, int]:
        expansions = 0
        while True:
            self._query += 1
            status, tried = explore(
                self._walls, self._states, self.shape, self._query, first, last, self._queue, self._ring, self._shift,
                read_only(STEPS), read_only(NEEDS), halves, wind_strides,
                read_only(self._factor.reshape(-1)), self._factor_strides, self._duals, self._dual_counts,
                *self._columns,
            )  # fmt: skip
            expansions += tried
            if status != QUEUE_FULL:
                return status, expansions
            self._queue = np.empty((len(self._queue) * 4, 2), np.int64)

    def _why_not(self, first: tuple[int, ...], last: tuple[int, ...]) -> NoPath:
        """What to raise; whether it is the wind is proven by a search without one."""
        if np.isfinite(self._halves).all():
            return NoPath(f"there is no way from {first} to {last}")
        calm = np.zeros((1, 26, 2))
        calm[:, :, 0] = self._calm_half
        if self._explored(first, last, read_only(calm), (0, 0, 0))[0] != FOUND:
            return NoPath(f"there is no way from {first} to {last}, whatever the wind")
        assert self.aircraft is not None
        return NoPath(
            f"the wind is too strong for {self.aircraft.name} on every way from {first} to {last}: it makes "
            f"{self.aircraft.max_airspeed_m_s:g} m/s through the air",
            limit="wind",
        )

    def _cost_of(self, cells: NDArray[np.int32], weighed: bool) -> float:
        """Both halves of every step of a path."""
        halves = np.diff(cells, axis=0) * (self.cell_m / 2)
        return float(sum(self._rates(ends, halves, weighed).sum() for ends in (cells[:-1], cells[1:])))

    def _rates(self, cells: NDArray[Any], displacement_m: NDArray[np.float64], weighed: bool = True) -> NDArray[Any]:
        """What displacements (n, 3) cost in voxels (n, 3)."""
        wind = self._wind[_at(cells, self._wind.shape)]
        level, vertical = direction_rates(self.aircraft, self.objective, displacement_m, wind)
        factor = self._factor[_at(cells, self._factor.shape)] if weighed else 1.0
        return factor * level + factor * vertical

    def _piece_cost(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        along = b - a
        crossings = [np.array([0.0, 1.0])]
        for p, d in zip(a, along, strict=True):
            if d != 0.0:
                planes = np.arange(math.ceil(min(p, p + d)), math.floor(max(p, p + d)) + 1)
                crossings.append(np.clip((planes - p) / d, 0.0, 1.0))
        t = np.sort(np.concatenate(crossings))
        share = np.diff(t)
        # Splinters at a corner where crossings differ by rounding only: no length, and maybe in another voxel.
        real = share > 1e-9 / max(1.0, float(np.abs(along).max()))
        share, middle = share[real], ((t[1:] + t[:-1]) / 2)[real]
        if len(share) == 0:
            return 0.0
        at = a + middle[:, None] * along
        sides = [(0, -1) if d == 0.0 and p == math.floor(p) else (0,) for p, d in zip(a, along, strict=True)]
        displacement_m = share[:, None] * (along * self.cell_m)
        cost = np.zeros(len(share))
        for side in itertools.product(*sides):
            cells = np.clip(np.floor(at).astype(np.int64) + side, 0, np.array(self.shape) - 1)
            cost = np.maximum(cost, self._rates(cells, displacement_m))
        return float(cost.sum())


def _factors(factor: ArrayLike | None, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """(nx or 1, ny or 1, nz or 1) factors, or ValueError."""
    if factor is None:
        return np.ones((1, 1, 1))
    array = np.asarray(factor, np.float64)
    array = np.ascontiguousarray(array.reshape((1,) * (3 - array.ndim) + array.shape)) if array.ndim <= 3 else array
    if array.ndim != 3 or any(n not in (1, m) for n, m in zip(array.shape, shape, strict=True)):
        raise ValueError(
            f"factor of shape {np.shape(factor)} does not fit the volume's {shape}; give columns as (nx, ny, 1)"
        )
    least, most = array.min(), array.max()  # NaN if any is
    if not (least >= 1.0 and most <= MOST_FACTOR):
        raise ValueError(
            f"factors must be finite and between 1 and {MOST_FACTOR:g}, got {least:g} to {most:g}: 1 is what is "
            f"wanted most, so divide by the least; block what must not be entered at all"
        )
    return read_only(array)


def _winds(wind_m_s: ArrayLike | None, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """(nx or 1, ny or 1, nz or 1, 2) winds, or ValueError."""
    if wind_m_s is None:
        return np.zeros((1, 1, 1, 2))
    array = np.asarray(wind_m_s, np.float64)
    if 1 <= array.ndim <= 4:
        array = np.ascontiguousarray(array.reshape((1,) * (4 - array.ndim) + array.shape))
    if (
        array.ndim != 4
        or array.shape[3] != 2
        or any(n not in (1, m) for n, m in zip(array.shape[:3], shape, strict=True))
    ):
        raise ValueError(
            f"wind_m_s of shape {np.shape(wind_m_s)} does not fit {(*shape, 2)}; give a wind for each layer "
            f"as (1, 1, nz, 2)"
        )
    if not np.isfinite(array).all():
        raise ValueError("wind_m_s must be finite: metres per second towards east and north")
    return read_only(array)


def _rounded(units: ArrayLike) -> NDArray[np.int64]:
    """Units as the kernels round them."""
    return np.floor(np.asarray(units) + 0.5).astype(np.int64)


def _any_along(free: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where an array of a shape that broadcasts to that of ``free`` is looked at from a free voxel."""
    return free.any(axis=tuple(axis for axis in range(3) if shape[axis] == 1), keepdims=True)


def _strides(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Elements between neighbours in a flat contiguous array; 0 along an axis that is broadcast."""
    x, y, z = shape
    return (0 if x == 1 else y * z, 0 if y == 1 else z, 0 if z == 1 else 1)


def _at(cells: NDArray[Any], shape: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
    """Indices of voxels (n, 3) into an array whose axes of length 1 are broadcast."""
    return tuple(cells[:, axis] if shape[axis] > 1 else np.zeros(len(cells), np.int64) for axis in range(3))
