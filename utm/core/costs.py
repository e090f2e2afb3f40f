"""Cheapest ways through a volume of voxels that cost more here than there, in a wind, for length, time or energy.

A* over 26 neighbours, always optimal for the stated cost: half a step in each of its two voxels, each half in the wind
of its voxel and times its factor (`utm.core._steps`). What differs from the plain search (`utm.core.grid`):

- Costs are integers again, the cheapest step 2**32 of them (fewer where the dearest step costs 10**7 times as much, or
  a volume is 10**6 voxels across), so a way is within 1e-9 of the optimum. Rounding is monotone, so the least factor
  and the least winds bound every rounded step exactly, and the estimates are exactly consistent.
- Two estimates, the greater of which counts: linear functions that bound every row of steps (`dual_vectors`), and,
  where factors lie over the ground, the cheapest way as seen from above, every column at its least factor (`_reach`).
  On city M with factors for people the second leaves 29,000 expansions of 1,450,000.
- A voxel keeps two words, cost and (query, closed, way back), side by side in one line of the cache.
- Nothing is pruned: with costs that differ from voxel to voxel every one of the 26 steps may matter.
- The ring of buckets is as long as the dearest step asks for.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel, point, read_only
from utm.core._steps import NEEDS, STEPS, by_octant, direction_rates, dual_vectors, half_costs, step_costs
from utm.core._walls import SPAN, walls
from utm.core.sight import segment_clear
from utm.errors import NoPath
from utm.model import Aircraft, Objective

__all__ = ["STEPS", "CostPath", "CostPlanner", "shorten_by_cost", "step_costs"]

#: A voxel that shall cost more than ten thousand times the length should be blocked; sums of integers stay below 2**62.
_MOST_FACTOR = 1e4
_BITS = 32  # the cheapest step is 2**_BITS units
_ROOM = 60  # bits for the estimate across the whole volume, and for the dearest step
_FAR = 1 << 61
_FOUND, _NO_WAY, _QUEUE_FULL, _TOO_DEAR = 1, 2, 3, 4
_START = 26
_CLOSED = 1 << 5
_SPAN = SPAN

#: Above this mean of the least factors of the columns, over the least of all, a look from above pays (measured).
_WORTHWHILE = 1.02

_BUCKETS_PER_STEP = 128
_ROUNDING = 1e-12  # sums in another order
_ROUNDS = 8  # of moving the corners of a shortened way
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
        self._queue = np.empty((1 << 14, 2), np.int64)
        self._turn = threading.Lock()

    def path(self, start: ArrayLike, goal: ArrayLike) -> CostPath:
        """A cheapest way from one voxel (3,) to another.

        Raises:
            NoPath: there is none, or start or goal is blocked. Where only the wind is in the way, it says so.
            ValueError: start or goal is not a voxel of the volume.
        """
        first, last = self._voxel(start, "start"), self._voxel(goal, "goal")
        for name, cell in (("start", first), ("goal", last)):
            if self.blocked[cell]:
                raise NoPath(f"the {name} {cell} is blocked")
        with self._turn:
            status, expansions = self._explored(first, last, self._halves, self._wind_strides)
            if status == _TOO_DEAR:
                raise NoPath(f"every way from {first} to {last} costs more than can be counted; lower the factors")
            if status == _NO_WAY:
                raise NoPath(self._why_not(first, last))
            cells = _trace(self._states, self.shape, last, read_only(STEPS))
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
        low, high = factors.min(initial=_MOST_FACTOR), factors.max(initial=1.0)
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
        """What `_reach` needs: the least factor of each column (inf where none is free), the least half of each of the
        9 steps seen from above, and how much dearer at least every step up and every step down is than its step seen
        from above. Without columns where they say no more than the least factor of all."""
        steps = np.ascontiguousarray(STEPS.reshape(-1, 3)[:, :2] + 1) @ np.array([3, 1])
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
            status, tried = _explore(
                self._walls, self._states, self.shape, self._query, first, last, self._queue, self._ring, self._shift,
                read_only(STEPS), read_only(NEEDS), halves, wind_strides,
                read_only(self._factor.reshape(-1)), self._factor_strides, self._duals, self._dual_counts,
                *self._columns,
            )  # fmt: skip
            expansions += tried
            if status != _QUEUE_FULL:
                return status, expansions
            self._queue = np.empty((len(self._queue) * 4, 2), np.int64)

    def _why_not(self, first: tuple[int, ...], last: tuple[int, ...]) -> str:
        """In words; whether it is the wind is proven by a search without one."""
        if np.isfinite(self._halves).all():
            return f"there is no way from {first} to {last}"
        calm = np.zeros((1, 26, 2))
        calm[:, :, 0] = self._calm_half
        if self._explored(first, last, read_only(calm), (0, 0, 0))[0] != _FOUND:
            return f"there is no way from {first} to {last}, whatever the wind"
        assert self.aircraft is not None
        return (
            f"the wind is too strong for {self.aircraft.name} on every way from {first} to {last}: it makes "
            f"{self.aircraft.max_airspeed_m_s:g} m/s through the air"
        )

    def _voxel(self, values: ArrayLike, name: str) -> tuple[int, int, int]:
        cell = np.asarray(values)
        if cell.shape != (3,) or cell.dtype.kind not in "iu":
            raise ValueError(f"{name} must be three integers, got {values!r}")
        if (cell < 0).any() or (cell >= self.shape).any():
            raise ValueError(f"{name} {cell.tolist()} lies outside the volume of {self.shape} voxels")
        return int(cell[0]), int(cell[1]), int(cell[2])

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


def shorten_by_cost(planner: CostPlanner, cells: ArrayLike, start: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """A path as few straight pieces, clear and never dearer.

    Pieces are joined, and corners moved towards the chord of their neighbours, only where every voxel that is touched
    is free (`utm.core.segment_clear`) and the integrated cost does not rise. So the result costs no more than the way
    from start through the centres of the cells to goal.

    Args:
        planner: whose volume and costs count.
        cells: (n, 3) the voxels of a path, each a neighbour of the one before.
        start: (3,) a point in the first voxel, grid coordinates.
        goal: (3,) a point in the last voxel.

    Returns:
        (m, 3) corners in grid coordinates from ``start`` to ``goal``, m >= 2.

    Raises:
        ValueError: start or goal is not in the first or last voxel, or the path is not clear.
    """
    first, last = point(start, "start"), point(goal, "goal")
    path = np.asarray(cells)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) == 0 or path.dtype.kind not in "iu":
        raise ValueError(f"cells must be integers (n, 3) with n >= 1, got {path.dtype} of shape {path.shape}")
    for name, end, cell in (("start", first, path[0]), ("goal", last, path[-1])):
        if ((end < cell) | (end > cell + 1)).any():
            raise ValueError(f"the {name} {end.tolist()} does not lie in voxel {cell.tolist()} of the path")
    corners = _without_repeats([first, *(path + 0.5), last])
    for a, b in itertools.pairwise(corners):
        if not segment_clear(planner.blocked, a, b):
            raise ValueError(f"the path is not clear between {a.tolist()} and {b.tolist()}")
    pieces = [planner.segment_cost(np.array(pair)) for pair in itertools.pairwise(corners)]
    along = np.concatenate([[0.0], np.cumsum(pieces)])
    count = len(corners)

    def joins(i: int, j: int) -> bool:
        """Whether corner i may be joined to corner j > i."""
        allowed = (along[j] - along[i]) * (1 + _ROUNDING)
        return segment_clear(planner.blocked, corners[i], corners[j]) and (
            planner.segment_cost(np.array([corners[i], corners[j]])) <= allowed
        )

    forth = _pulled(count, joins)
    back = [count - 1 - i for i in _pulled(count, lambda i, j: joins(count - 1 - j, count - 1 - i))][::-1]
    ways = [[corners[i] for i in kept] for kept in (forth, back)]
    return _tightened(planner, min(ways, key=lambda way: planner.segment_cost(np.array(way))))


def _without_repeats(points: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Points without those that are where the one before is; never fewer than two."""
    kept = [points[0]]
    kept += [here for before, here in itertools.pairwise(points) if (before != here).any()]
    return kept if len(kept) > 1 else [points[0], points[-1]]


def _pulled(count: int, joins: Callable[[int, int], bool]) -> list[int]:
    """Indices of the corners that remain when each is joined to a far one: first by steps that double, then by halving
    between the last that could be joined and the first that could not."""
    kept = [0]
    while kept[-1] < count - 1:
        at = kept[-1]
        near, far, stride = at + 1, count, 1
        while near < count - 1 and far == count:
            trial = min(at + 2 * stride, count - 1)
            if joins(at, trial):
                near, stride = trial, 2 * stride
            else:
                far = trial
        while far - near > 1 and far < count:
            middle = (near + far) // 2
            if joins(at, middle):
                near = middle
            else:
                far = middle
        kept.append(near)
    return kept


def _tightened(planner: CostPlanner, way: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Drop corners that cost something or nothing, and move the others towards the chord of their neighbours, by 1,
    1/2 ... 1/32 of the way, while that is clear and cheaper."""
    points = list(way)

    def cost(*corners: NDArray[np.float64]) -> float:
        if all(segment_clear(planner.blocked, a, b) for a, b in itertools.pairwise(corners)):
            return planner.segment_cost(np.array(corners))
        return math.inf

    for _ in range(_ROUNDS):
        moved = False
        n = 1
        while n < len(points) - 1:
            before, here, after = points[n - 1 : n + 2]
            now = cost(before, here, after)
            if cost(before, after) <= now * (1 + _ROUNDING):
                del points[n]
                moved = True
                continue
            chord = after - before
            foot = before + np.clip((here - before) @ chord / max(chord @ chord, _ROUNDING), 0.0, 1.0) * chord
            for fraction in (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125):
                trial = here + fraction * (foot - here)
                cheaper = cost(before, trial, after)
                if cheaper < now:
                    points[n] = trial
                    moved = moved or cheaper < now * (1 - 1e-4)
                    break
            n += 1
        if not moved:
            break
    return np.array(points)


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
    if not (least >= 1.0 and most <= _MOST_FACTOR):
        raise ValueError(
            f"factors must be finite and between 1 and {_MOST_FACTOR:g}, got {least:g} to {most:g}: 1 is what is "
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


@kernel
def _estimate(
    x: int, y: int, z: int, goal: Any, duals: Any, counts: Any, reach: Any, ny: int, up: int, down: int
) -> int:
    """Least cost from a voxel to the goal, units: the greater of two bounds, each consistent."""
    dx, dy, dz = goal[0] - x, goal[1] - y, goal[2] - z
    octant = (4 if dx < 0 else 0) + (2 if dy < 0 else 0) + (1 if dz < 0 else 0)
    best = np.int64(0)
    for n in range(counts[octant]):
        value = duals[octant, n, 0] * dx + duals[octant, n, 1] * dy + duals[octant, n, 2] * dz
        best = max(best, value)
    if len(reach) > 0:
        best = max(best, reach[x * ny + y] + (up * dz if dz > 0 else -down * dz))
    return best


@kernel
def _reach(shape: Any, start: Any, goal: Any, queue: Any, heads: Any, shift: int, column: Any, above: Any) -> Any:
    """(status, (columns,) least cost of a way to the goal seen from above, units).

    Dijkstra backwards from the goal over columns, each at its least factor and every step at its cheapest: no step of
    a way through the volume costs less than the step below it here. It ends a little beyond the start, and what lies
    farther counts as if it were there, which keeps the bound consistent.
    """
    nx, ny = shape[0], shape[1]
    ring = len(heads) - 1
    heads[:] = -1
    reach = np.full(nx * ny, _FAR, np.int64)
    settled = np.zeros(nx * ny, np.bool_)
    first, last = start[0] * ny + start[1], goal[0] * ny + goal[1]
    reach[last] = 0
    queue[0, 0], queue[0, 1] = last, -1
    heads[0] = 0
    fresh, spare, waiting = 1, -1, 1
    bucket, end = np.int64(0), np.int64(1) << 62
    while waiting > 0:
        slot = heads[bucket & ring]
        while slot < 0:
            bucket += 1
            slot = heads[bucket & ring]
        if end == 1 << 62 and reach[first] < bucket << shift:
            end = reach[first] + (reach[first] >> 4)
        if bucket << shift > end:
            break
        here = queue[slot, 0]
        heads[bucket & ring] = queue[slot, 1]
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        if settled[here]:
            continue
        settled[here] = True
        x, y = here // ny, here % ny
        for e in range(9):
            u, v = x - (e // 3 - 1), y - (e % 3 - 1)
            if e == 4 or u < 0 or v < 0 or u >= nx or v >= ny:
                continue
            there = u * ny + v
            if column[there] == np.inf:
                continue
            onward = reach[here] + np.int64(column[here] * above[e] + 0.5) + np.int64(column[there] * above[e] + 0.5)
            if onward < reach[there]:
                reach[there] = onward
                settled[there] = False
                if spare >= 0:
                    slot = spare
                    spare = queue[slot, 1]
                elif fresh < len(queue):
                    slot = fresh
                    fresh += 1
                else:
                    return _QUEUE_FULL, reach
                place = (onward >> shift) & ring
                queue[slot, 0], queue[slot, 1] = there, heads[place]
                heads[place] = slot
                waiting += 1
    if reach[first] == _FAR:
        return _NO_WAY, reach
    if waiting > 0:
        beyond = bucket << shift
        for here in range(nx * ny):
            reach[here] = min(reach[here], beyond)
    return _FOUND, reach


@kernel
def _explore(
    walls: Any,
    states: Any,
    shape: Any,
    query: int,
    start: Any,
    goal: Any,
    queue: Any,
    heads: Any,
    shift: int,
    steps: Any,
    needs: Any,
    halves: Any,
    wind_strides: Any,
    factor: Any,
    factor_strides: Any,
    duals: Any,
    dual_counts: Any,
    column: Any,
    above: Any,
    up: int,
    down: int,
) -> Any:
    """Fill states with the ways of one query; returns (status, expansions). Costs are in units.

    states (voxels, 2): cost; query << 6 | closed << 5 | the step that led here. queue (capacity, 2): a pool of
    entries (packed voxel, next entry of the same bucket or -1). heads (ring,): scratch; a bucket is 2**shift units
    wide, and the ring wider than any step changes cost plus estimate. halves (places, 26, 2): units at factor 1.
    """
    ny, nz = shape[1], shape[2]
    ring = len(heads) - 1
    heads[:] = -1
    gx, gy, gz = goal[0], goal[1], goal[2]
    target = (gx * ny + gy) * nz + gz
    capacity = len(queue)

    x, y, z = start[0], start[1], start[2]
    here = (x * ny + y) * nz + z
    states[here, 0], states[here, 1] = 0, (query << 6) | _START
    if here == target:
        return _FOUND, 0
    reach = np.empty(0, np.int64)
    if len(column) > 0:
        status, reach = _reach(shape, start, goal, queue, heads, shift, column, above)
        if status != _FOUND:
            return status, 0
        heads[:] = -1
    floor = _estimate(x, y, z, goal, duals, dual_counts, reach, ny, up, down)
    bucket = floor >> shift
    queue[0, 0], queue[0, 1] = (x << 42) | (y << 21) | z, -1
    heads[bucket & ring] = 0
    fresh, spare, waiting = 1, -1, 1
    best = np.int64(1) << 62
    expansions = 0
    too_dear = False

    while waiting > 0:
        slot = heads[bucket & ring]
        while slot < 0:
            bucket += 1
            slot = heads[bucket & ring]
        if bucket << shift >= best or best == floor:
            break
        entry = queue[slot, 0]
        heads[bucket & ring] = queue[slot, 1]
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, entry & 0x1FFFFF
        here = (x * ny + y) * nz + z
        if states[here, 1] & _CLOSED:
            continue
        cost = states[here, 0]
        if best < 1 << 62 and cost + _estimate(x, y, z, goal, duals, dual_counts, reach, ny, up, down) >= best:
            continue
        states[here, 1] |= _CLOSED
        expansions += 1

        w = z // _SPAN
        low = z - w * _SPAN
        around = np.int64(0)
        for i in range(3):
            for j in range(3):
                around |= ((walls[x + i, y + j, w] >> low) & 7) << (9 * i + 3 * j)
        weight = factor[x * factor_strides[0] + y * factor_strides[1] + z * factor_strides[2]]
        air = x * wind_strides[0] + y * wind_strides[1] + z * wind_strides[2]

        for e in range(26):
            if around & needs[e]:
                continue
            u, v, t = x + steps[e, 0], y + steps[e, 1], z + steps[e, 2]
            there = (u * ny + v) * nz + t
            if states[there, 1] >> 6 == query and states[there, 0] <= cost:
                continue
            air_there = u * wind_strides[0] + v * wind_strides[1] + t * wind_strides[2]
            level, vertical = halves[air, e, 0], halves[air, e, 1]
            level_there, vertical_there = halves[air_there, e, 0], halves[air_there, e, 1]
            if level == np.inf or level_there == np.inf:
                continue
            other = factor[u * factor_strides[0] + v * factor_strides[1] + t * factor_strides[2]]
            onward = (
                cost
                + np.int64(weight * level + 0.5)
                + np.int64(weight * vertical + 0.5)
                + np.int64(other * level_there + 0.5)
                + np.int64(other * vertical_there + 0.5)
            )
            if states[there, 1] >> 6 == query and states[there, 0] <= onward:
                continue
            if onward > _FAR:
                too_dear = True
                continue
            total = onward + _estimate(u, v, t, goal, duals, dual_counts, reach, ny, up, down)
            if total >= best:
                continue
            states[there, 0], states[there, 1] = onward, (query << 6) | e
            if there == target:
                best = onward
                continue
            if spare >= 0:
                slot = spare
                spare = queue[slot, 1]
            elif fresh < capacity:
                slot = fresh
                fresh += 1
            else:
                return _QUEUE_FULL, expansions
            place = (total >> shift) & ring
            queue[slot, 0], queue[slot, 1] = (u << 42) | (v << 21) | t, heads[place]
            heads[place] = slot
            waiting += 1
    if best < 1 << 62:
        return _FOUND, expansions
    return (_TOO_DEAR if too_dear else _NO_WAY), expansions


@kernel
def _trace(states: Any, shape: Any, goal: Any, steps: Any) -> Any:
    """The cells (n, 3) from the start to the goal by the steps that the search left in the states."""
    ny, nz = shape[1], shape[2]
    count = 1
    x, y, z = goal[0], goal[1], goal[2]
    came = states[(x * ny + y) * nz + z, 1] & 31
    while came != _START and count <= len(states):
        x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
        came = states[(x * ny + y) * nz + z, 1] & 31
        count += 1
    cells = np.empty((count, 3), np.int32)
    x, y, z = goal[0], goal[1], goal[2]
    for k in range(count - 1, -1, -1):
        cells[k, 0], cells[k, 1], cells[k, 2] = x, y, z
        came = states[(x * ny + y) * nz + z, 1] & 31
        if came != _START:
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
    return cells
