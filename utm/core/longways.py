"""Long ways over a city of columns: coarse to fine, with a lower bound that is proven.

A slab is two arrays: voxel (i, j, k) is free iff ``lowest[i, j] <= k < highest[i, j]``. Wanted is the shortest way over
26 neighbours without corner cutting (steps of 1, sqrt 2 and sqrt 3; every voxel of the box that a step crosses is
free), or one that is provably no more than ``within`` times as long.

**The bound.** Take numbers ``axis = 1``, ``diagonal``, ``climb`` with ``diagonal <= sqrt 2``, ``climb <= sqrt 2 - 1``
and ``diagonal + climb = sqrt 3``. Write |d| for the length of a ground offset, ``(a - b) * axis + b * diagonal`` with
a >= b the sorted absolute coordinates: a norm, because ``axis <= diagonal <= 2 axis``. Then a step that moves d over
ground and e layers costs at least |d| + climb |e|: the six kinds are checked one by one (1 >= climb; sqrt 2 >=
1 + climb; sqrt 3 = diagonal + climb; and so on).

A *coarse* node q stands at every B-th column (B >= 2). It is open at layer z iff z lies in the hull of the open layers
of the columns p with p - q in the star ``E = {min(|x|, |y|) < B and ||x| - |y|| < B}``. From open (q, z) a relaxed step
leads to any open (q', z') with q' one of the eight nodes around q, at a cost of |q' - q| + climb |z' - z|; or to
another layer at q for climb each. Let D(q, z) be the least relaxed cost from a root r (a node near the start), and::

    h(p, z) = min over the nodes q with p - q in E of  D(q, z) + |p - q|

*h never changes by more than a permitted fine step costs.* Let q be the node that attains h(p, z), e = p - q, and let
the step lead to (p + d, z + c), a free voxel. If e + d lies in E, q is open at z + c, so D(q, z + c) <= D(q, z) +
climb |c|, and |e + d| <= |e| + |d|. Otherwise, with a >= b the sorted absolute coordinates of e + d, either b >= B or
a - b >= B, but not both: the coordinates changed by one at most. In the first case take t = B times the diagonal in the
quadrant of e + d, in the second B times the axis of its longer coordinate. Then e + d - t lies in E, and
|e + d - t| = |e + d| - |t|, since both coordinates keep their order and sign. So (q + t, z + c) is open, is reached by
one relaxed step, and h(p + d, z + c) <= D(q, z) + |t| + climb |c| + |e + d - t| <= h(p, z) + |d| + climb |c|. As
h(root column) <= |start - r|, the fine distance from the start to (p, z) is at least h(p, z) - |start - r|, and h is an
admissible and consistent estimate for the exact search. The goal is replaced by a node g in the same way, at the price
of |goal - g|. Roots are chosen *behind* the ends, on nodes for which the straight length grows by exactly that much, so
that little is lost.

The proof asks of the fine problem only that steps cost what they do, so it holds between two coarse slabs too: that
of B = 8 is made from that of B = 4 as if its nodes were columns, and its potential guides the search of the finer one.
A search that guides another one need not close everything. It goes from the far end, in the order of D plus an estimate
of the rest, and has closed all below its *reach*. Where h is attained by a label that it has not closed, any finer way
through that voxel costs at least reach less |start - r| and |goal - g|: the rest of the coarse way costs no more than
|p - q|, the rest of the finer one, and |start - r| (its shadow from q; that nodes around one column are joined among
themselves for the sum of their lengths was tried for all of them). So the guided search goes by h over the
closed labels while a way through p is then no dearer than that, and beyond by the least of it and what follows from D
>= reach - estimate; for itself and for what it guides in turn the same then holds.

Climbing along an axis costs sqrt 2 - 1 a layer, along a diagonal sqrt 3 - sqrt 2. The family above (``mix`` from
climb = sqrt 3 - sqrt 2 to sqrt 2 - 1) is the Lagrangian relaxation of "there is no more diagonal climbing than there
are diagonal steps"; which end is tight depends on whether a way has more diagonal steps or more layers to climb.

**The way.** A search over nodes around which everything is free (`utm.core.pyramid.narrower`), guided by the coarse
potential, gives the columns to fly over; the best heights over these come from trying all of them
(`utm.core._profile`). If its length is not within the promised factor of the bound, both are refined, at last by a
search over voxels, which stops when its own bound is near enough.

Shadowing a fine search by a coarse one is the idea of pattern databases (Culberson and Schaeffer, 1998); that ways over
terrain need few heights a column is our own observation.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core import _lazy, _slab
from utm.core._jit import read_only
from utm.core._moves import moves
from utm.core._profile import profile, straighten
from utm.core.pyramid import PAD, narrower, wider
from utm.errors import NoPath

_UNIT = 2151016
_COSTS = (0, _UNIT, 3041996, 3725669)  # round(_UNIT * sqrt(n)), as in `utm.core.grid`
_ROUNDING = 1e-10  # by this share an integer cost may exceed the real one
_STEPS = (4, 2, 2)  # nodes of each slab for one of the next: 4, 8 and 16 columns
_SLACK = (0, 5, 9)  # 1/1024 of the cost by which each search goes on past its end, for those it guides
_ALL = -1
_WEIGHTS = (1030, 1027, 1024)  # in 1/1024, of the estimate in the searches for a way, one after the other
_UNGUIDED = (0, 0, 0, 0, 0)
_USUAL_CLIMB = 0.08  # layers a column: a guess of which relaxation is tight, mended when it is wrong

_Voxel = tuple[int, int, int]
_Pace = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class LongPath:
    """A way, and how much shorter one could be at best."""

    cells: NDArray[np.int32]
    """(n, 3) voxels from start to goal, both included."""
    cost: float
    """Its length in voxels."""
    lower_bound: float
    """No way is shorter than this, in voxels: proven."""
    expansions: int
    """Labels and voxels that all searches looked at."""
    exact: bool
    """Whether no way is shorter than this one."""


@dataclass(slots=True)
class _End:
    """A node that stands for a column, and the length between the two."""

    row: int
    col: int
    away: int


class _Level:
    """One coarser slab and the labels of its latest search."""

    def __init__(self, slab: tuple[Any, Any], step: int):
        self.lowest, self.highest, self.step = read_only(slab[0]), read_only(slab[1]), step
        self.heads = np.zeros(self.lowest.shape, np.int64)
        self.labels = np.empty((1 << 18, 8), np.int64)
        self.query, self.reach, self.used, self.end = 0, 0, 0, (0, 0, 0)
        self.above: _Level = self
        self.guide = _UNGUIDED

    def search(
        self,
        begin: _Voxel,
        end: _Voxel,
        pace: _Pace,
        *,
        limit: int = _lazy.INFINITE,
        slack: int = 0,
        weight: int = 1024,
        above: _Level | None = None,
        roots: tuple[_End, _End] | None = None,
    ) -> tuple[int, int, int]:
        """`utm.core._lazy.search`; returns (status, cost, label of the end). roots: where the search above began, and
        where it was going."""
        shift = (pace[0] // 32).bit_length()
        over = above or self
        guide = _UNGUIDED
        if above is not None and roots is not None:
            unknown = above.reach
            if unknown < _lazy.INFINITE:
                unknown -= roots[0].away + roots[1].away
            guide = (above.query, above.step, unknown, roots[0].away, above.reach)
        while True:
            self.query += 1
            status, self.reach, cost, label, self.used = _lazy.search(
                self.lowest, self.highest, self.heads, self.labels, self.query, begin, end, pace, limit, slack, shift,
                over.heads, over.labels, guide, over.end, over.above.heads, over.above.labels, over.guide,
                over.above.end, weight,
            )  # fmt: skip
            if status != _lazy.FULL:
                self.end, self.above, self.guide = end, over, guide
                return status, cost, label
            self.labels = np.empty((len(self.labels) * 4, 8), np.int64)


class LongPlanner:
    """Ways through one slab of columns, for as many queries as wanted.

    Queries from several threads take turns. The arrays are kept, not copied, and may be memory maps: making the
    planner reads them once, a query reads what it visits. Memory beside them is that of the coarser slabs, a seventh
    of theirs, and 64 bytes for each label and 8 for each voxel of the pages of 16 x 16 columns that a search came near.
    It is kept for the next query.

    Args:
        lowest: (nx, ny) int16, the lowest free layer of each column.
        highest: (nx, ny) int16, the first layer above that is not free; not above ``lowest``: the column is closed.

    Raises:
        ValueError: arrays of another kind, or of different shapes.
    """

    def __init__(self, lowest: ArrayLike, highest: ArrayLike) -> None:
        low, high = np.asarray(lowest), np.asarray(highest)
        for name, array in (("lowest", low), ("highest", high)):
            if array.ndim != 2 or array.dtype != np.int16 or array.size == 0:
                raise ValueError(f"{name} must be int16 (nx, ny), got {array.dtype} of shape {array.shape}")
        if low.shape != high.shape:
            raise ValueError(f"lowest and highest must have one shape, got {low.shape} and {high.shape}")
        began = time.process_time()
        self.shape: tuple[int, int] = low.shape
        # The compiler takes a row-major array for another type than any other, and both for another than writable ones
        self._lowest, self._highest = read_only(np.ascontiguousarray(low)), read_only(np.ascontiguousarray(high))
        self._levels: list[_Level] = []
        below = (self._lowest, self._highest)
        for step in _STEPS:
            below = tuple(map(read_only, wider(*below, step)))
            self._levels.append(_Level(below, step))
        self._narrow = _Level(narrower(self._lowest, self._highest, _STEPS[0]), _STEPS[0])
        self.preparation_s: float = time.process_time() - began
        """CPU seconds that the coarser slabs took."""
        self._moves = moves(_COSTS, False)
        self._pages: NDArray[np.int64] | None = None
        self._pool = np.empty(1 << 22, np.int64)
        self._queue = np.empty((1 << 16, 3), np.int64)
        self._pages_query = 0
        self._turn = threading.Lock()

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of the slabs below, and of the arrays that searches share (reserved; touched only where visited)."""
        levels = [*self._levels, self._narrow]
        return {
            "columns": self._lowest.nbytes + self._highest.nbytes,
            "coarser": sum(level.lowest.nbytes + level.highest.nbytes for level in levels),
            "reserved": sum(level.heads.nbytes + level.labels.nbytes for level in levels)
            + self._pool.nbytes
            + self._queue.nbytes,
        }

    def path(self, start: ArrayLike, goal: ArrayLike, *, exact: bool = False, within: float = 1.01) -> LongPath:
        """A way from one voxel (3,) to another, no longer than ``within`` times ``lower_bound``.

        Args:
            exact: whether to find a shortest way.
            within: the promise where ``exact`` is not asked, at least 1.

        Raises:
            NoPath: there is none, or start or goal is not free.
            ValueError: start or goal is not three integers over the slab, or ``within`` is below 1.
        """
        if not (math.isfinite(within) and within >= 1):
            raise ValueError(f"within must be at least 1, got {within!r}")
        first, last = self._voxel(start, "start"), self._voxel(goal, "goal")
        with self._turn:
            # A little less, so that the promise holds for the real lengths and not only for the whole numbers
            return _Query(self, first, last).run(1.0 if exact else max(within * (1 - 10 * _ROUNDING), 1.0))

    def _voxel(self, values: ArrayLike, name: str) -> _Voxel:
        cell = np.asarray(values)
        if cell.shape != (3,) or cell.dtype.kind not in "iu":
            raise ValueError(f"{name} must be three integers, got {values!r}")
        x, y, z = map(int, cell)
        if not (0 <= x < self.shape[0] and 0 <= y < self.shape[1]):
            raise ValueError(f"{name} ({x}, {y}, {z}) lies outside the slab of {self.shape} columns")
        low, high = int(self._lowest[x, y]), int(self._highest[x, y])
        if low >= high:
            raise NoPath(f"the {name} ({x}, {y}, {z}) lies in a closed column")
        if not low <= z < high:
            raise NoPath(f"the {name} ({x}, {y}, {z}) is not free: its column is free from {low} to {high - 1}")
        return x, y, z


class _Query:
    """One question: what is known about it, in integer costs, and the stages that find out more."""

    def __init__(self, planner: LongPlanner, start: _Voxel, goal: _Voxel):
        self.planner, self.start, self.goal = planner, start, goal
        self.cells: NDArray[np.int32] | None = None
        self.cost = _lazy.INFINITE
        self.bound = 0
        self.expansions = 0
        straight = [abs(a - b) for a, b in zip(start, goal, strict=True)]
        self.steep = min(straight[:2]) < _USUAL_CLIMB * max(straight[:2])

    def run(self, within: float) -> LongPath:
        self._guides()
        if within > 1:
            for weight in _WEIGHTS:
                before = self.cost
                self._over_ground(weight)
                for stage in (self._bound, self._other_mix):
                    if self.cost < before and self.cost > within * self.bound:
                        stage(within)
                if self.cost <= within * self.bound:
                    return self._answer()
        else:
            self._over_ground(_WEIGHTS[0])
        self._voxels(within)
        return self._answer()

    def _answer(self) -> LongPath:
        assert self.cells is not None
        kinds = np.bincount(np.abs(np.diff(self.cells, axis=0)).sum(axis=1), minlength=4)
        cost = float(kinds[1] + math.sqrt(2) * kinds[2] + math.sqrt(3) * kinds[3])
        exact = self.bound >= self.cost
        bound = cost if exact else min(self.bound / _UNIT * (1 - _ROUNDING), cost)
        return LongPath(self.cells, cost, bound, self.expansions, exact)

    def _guides(self) -> None:
        """Search the coarser slabs, coarsest first, each guided by the one above."""
        p = self.planner
        straight, steep = _COSTS[2] - _COSTS[1], _COSTS[3] - _COSTS[2]
        shift = straight - steep if self.steep else 0
        pace = (_UNIT, _COSTS[2] - shift, steep + shift)
        self.fine = pace
        self.paces: list[_Pace] = []
        self.ends: list[tuple[_End, _End]] = []
        one, two = self.start[:2], self.goal[:2]
        for level in p._levels:
            near, far = _behind(one, two, level.step, pace), _behind(two, one, level.step, pace)
            pace = (level.step * pace[0], level.step * pace[1], pace[2])
            self.paces.append(pace)
            self.ends.append((near, far))
            one, two = (near.row, near.col), (far.row, far.col)
        for k in range(len(p._levels) - 1, 0, -1):
            status, cost, _ = self._climb(k, slack=_SLACK[k])
            if status == _lazy.NO_WAY:
                raise NoPath(f"there is no way from {self.start} to {self.goal}: a coarser slab has none")
            self.bound = max(self.bound, min(p._levels[k].reach, cost) - self._lost(k))

    def _lost(self, k: int) -> int:
        return sum(near.away + far.away for near, far in self.ends[: k + 1])

    def _climb(self, k: int, **how: int) -> tuple[int, int, int]:
        """Search level k; from the start where k is even, else from the goal, so that each can guide the next."""
        p = self.planner
        voxels = []
        for end, voxel in zip(self.ends[k], (self.start, self.goal), strict=True):
            voxels.append((end.row, end.col, voxel[2]))
        begin, end = voxels if k % 2 == 0 else voxels[::-1]
        above = None if k + 1 == len(p._levels) else p._levels[k + 1]
        # The search above began at the node behind this one's end
        roots = None if above is None else self.ends[k + 1][:: -1 if k % 2 == 0 else 1]
        answer = p._levels[k].search(begin, end, self.paces[k], above=above, roots=roots, **how)
        self.expansions += p._levels[k].used
        return answer

    def _over_ground(self, weight: int) -> None:
        """Find columns to fly over among those around which all is free, and the best heights over them."""
        p, level, step = self.planner, self.planner._narrow, _STEPS[0]
        ends = []
        for x, y, z in (self.start, self.goal):
            i, j = (x + step // 2) // step + PAD, (y + step // 2) // step + PAD
            if level.lowest[i, j] >= level.highest[i, j]:
                return
            ends.append((i, j, min(max(z, int(level.lowest[i, j])), int(level.highest[i, j]) - 1)))
        above, roots = p._levels[1], self.ends[1][::-1]
        status, _, label = level.search(ends[0], ends[1], self.paces[0], weight=weight, above=above, roots=roots)
        self.expansions += level.used
        if status != _lazy.FOUND:
            return
        self._fly_over(level, label)

    def _fly_over(self, level: _Level, label: int) -> None:
        """Take the columns under the way to a label, with the best heights over them, if that is shorter."""
        p = self.planner
        nodes, _ = _lazy.route(level.labels, label, level.lowest.shape[1])
        for trim in (2, 0):  # the first nodes may lie the wrong way
            kept = (nodes[trim : len(nodes) - trim] - PAD) * level.step
            corners = np.clip(
                np.concatenate([[self.start[:2]], kept, [self.goal[:2]]]), 0, np.array(p.shape) - 1
            )  # nodes beyond the border
            cells, cost = profile(p._lowest, p._highest, straighten(corners), self.start[2], self.goal[2], _COSTS)
            if cost < self.cost:
                self.cells, self.cost = cells, cost

    def _bound(self, within: float) -> None:
        """Raise the bound to what is needed; if it cannot be, look at the way that says so."""
        needed = _lazy.INFINITE if self.cells is None else math.ceil(self.cost / within) + self._lost(0)
        status, cost, label = self._climb(0, limit=needed)
        if status == _lazy.NO_WAY:
            raise NoPath(f"there is no way from {self.start} to {self.goal}: a coarser slab has none")
        self.bound = max(self.bound, min(self.planner._levels[0].reach, cost) - self._lost(0))
        if status == _lazy.FOUND:
            self._fly_over(self.planner._levels[0], label)

    def _other_mix(self, within: float) -> None:
        """Take the other relaxation where the way that was found says that it is tighter."""
        if self.cells is None:
            return
        moved = np.abs(np.diff(self.cells, axis=0))
        steep = bool(moved[:, 2].sum() > (moved[:, :2].sum(axis=1) == 2).sum())
        if steep != self.steep:
            self.steep = steep
            self._guides()
            if self.cost > within * self.bound:
                self._bound(within)

    def _voxels(self, within: float) -> None:
        """Search the voxels themselves, guided by the finest of the coarser slabs."""
        p = self.planner
        share = math.ceil((1 << 20) / within)
        for slack in (20, 160, 1280, _ALL):
            if self.cells is not None:
                self._climb(0, limit=self.cost + self._lost(0), slack=_ALL)
                limit = self.cost
            else:
                status, _, _ = self._climb(0, slack=slack)
                if status == _lazy.NO_WAY:
                    raise NoPath(f"there is no way from {self.start} to {self.goal}: a coarser slab has none")
                reach = p._levels[0].reach
                limit = _lazy.INFINITE if reach == _lazy.INFINITE else reach - self._lost(0)
            status, cost, reach = self._explore(limit, share)
            if status == _slab.FOUND:
                self.cells, self.cost = _slab.trace(p._pages, p._pool, self.start, p._moves[0]), cost
            if self.cells is not None:
                self.bound = max(self.bound, min(reach, self.cost))
                return
            if limit == _lazy.INFINITE:
                raise NoPath(f"there is no way from {self.start} to {self.goal}")

    def _explore(self, limit: int, share: int) -> tuple[int, int, int]:
        p, level = self.planner, self.planner._levels[0]
        if p._pages is None:
            side = _slab.SIDE
            p._pages = np.zeros((-(-p.shape[0] // side), -(-p.shape[1] // side), 3), np.int64)
        coarse = (level.query, level.step, self.ends[0][0].away)
        while True:
            p._pages_query += 1
            status, cost, reach, tried, _ = _slab.explore(
                p._lowest, p._highest, p._pages, p._pool, p._queue, p._pages_query, self.goal, self.start, limit,
                self.cells is not None, share, level.heads, level.labels, coarse, self.fine, *p._moves,
            )  # fmt: skip
            self.expansions += tried
            if status == _slab.QUEUE_FULL:
                p._queue = np.empty((len(p._queue) * 4, 3), np.int64)
            elif status == _slab.POOL_FULL:
                p._pool = np.empty(len(p._pool) * 4, np.int64)
            else:
                return status, cost, reach


def _length(dx: int, dy: int, pace: _Pace) -> int:
    a, b = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
    return (a - b) * pace[0] + b * pace[1]


def _behind(column: tuple[int, int], other: tuple[int, int], step: int, pace: _Pace) -> _End:
    """The node q with column - q in E that lies farthest from the other column for what it lies off this one."""
    best, found = (0, 0), _End(0, 0, 0)
    first = True
    reach = 2 * step - 2
    for r in range(-((reach - column[0]) // step), (column[0] + reach) // step + 1):
        for c in range(-((reach - column[1]) // step), (column[1] + reach) // step + 1):
            b, a = sorted((abs(column[0] - r * step), abs(column[1] - c * step)))
            if b >= step or a - b >= step:
                continue
            away = _length(column[0] - r * step, column[1] - c * step, pace)
            gain = _length(other[0] - r * step, other[1] - c * step, pace) - away
            if first or (gain, -away) > best:
                first, best, found = False, (gain, -away), _End(r + PAD, c + PAD, away)
    return found
