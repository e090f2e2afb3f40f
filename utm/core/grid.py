"""Shortest ways through a volume of free and blocked voxels.

A* over 26 neighbours with steps of 1, sqrt(2) and sqrt(3), always optimal. What makes it fast:

- One 64-bit word per voxel holds the query's number, the cost so far, a closed flag and the way back, ordered so that
  one comparison says "better than what is there, or left from an earlier query". Nothing is cleared between queries,
  and memory that the search never reaches is never touched.
- Costs are integers: a step of 1 is `_UNIT`, chosen so that sqrt(2) and sqrt(3) times it are integers to 5e-11. Sums
  are exact, ties are ties, and a way of n steps is within n * 1e-10 of the optimum.
- A ring of buckets is the queue, last in first out inside a bucket, so that ties under an open sky run straight to
  the goal. A step changes cost plus estimate by 2 sqrt(3) at most, so a short ring is enough. Order inside a bucket
  may expand a voxel too early; it is then opened again, and the search ends only when nothing better can be left.
- The walls are bits: 62 voxels of a column per word, so the 27 cells around a voxel are nine loads from a table that
  stays in the cache, and every question about them is a mask.
- Neighbours that a way past the voxel reaches at no greater cost are not looked at (see `utm.core._moves`).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel
from utm.core._moves import START, moves
from utm.core._walls import SPAN, walls
from utm.errors import NoPath

_UNIT = 2151016
_COSTS = (0, _UNIT, 3041996, 3725669)  # round(_UNIT * sqrt(n)): the best simultaneous fit below 2**23
_FINDING, _FOUND, _NO_WAY, _QUEUE_FULL, _TOO_LONG = 0, 1, 2, 3, 4

# The word, from the top: 12 bits query, 45 bits (_FAR - cost), 1 bit closed, 5 bits direction of the last step.
# A larger word is a better one.
_FAR = (1 << 45) - 1
_QUERIES = (1 << 12) - 1
_CLOSED = 1 << 5
_START = START  # the direction of the start: none
_SPAN = SPAN

_BUCKET_SHIFT = 14  # a bucket is 1/131 of a step wide
_RING = 1024  # buckets; wider than 2 sqrt(3) steps, the most by which a step can change cost plus estimate


@dataclass(frozen=True, slots=True, eq=False)
class GridPath:
    """A shortest way."""

    cells: NDArray[np.int32]
    """(n, 3) voxels from start to goal, both included."""
    cost: float
    """Its length in voxels."""
    expansions: int
    """How many voxels the search took from its queue."""


class GridPlanner:
    """Shortest ways through one volume, for as many queries as wanted.

    The volume is read once, when the planner is made. Queries from several threads take turns; for queries side by
    side make one planner per thread. Memory is one bit per voxel, plus 8 bytes for each voxel that a search reaches.

    Args:
        blocked: (nx, ny, nz) booleans. What lies outside is blocked.
        corner_cutting: whether a diagonal step needs only its end to be free. Without it every cell of the 2 x 2 or
            2 x 2 x 2 box that it crosses must be free.

    Raises:
        ValueError: not a three-dimensional boolean array, or more than 2**21 voxels along an axis.
    """

    def __init__(self, blocked: ArrayLike, *, corner_cutting: bool = False) -> None:
        volume = np.asarray(blocked)
        if volume.ndim != 3 or volume.dtype != np.bool_ or volume.size == 0:
            raise ValueError(
                f"blocked must be a boolean array (nx, ny, nz), got {volume.dtype} of shape {volume.shape}"
            )
        if max(volume.shape) >= 1 << 21:
            raise ValueError(f"at most 2**21 voxels along an axis, got {volume.shape}")
        self.shape: tuple[int, int, int] = volume.shape
        self.corner_cutting = bool(corner_cutting)
        self._walls = walls(volume)
        self._moves = moves(_COSTS, self.corner_cutting)
        self._words = np.zeros(volume.size, np.int64)
        self._query = 0
        self._queue = np.empty((1 << 14, 2), np.int64)
        self._turn = threading.Lock()

    def path(self, start: ArrayLike, goal: ArrayLike) -> GridPath:
        """A shortest way from one voxel (3,) to another.

        Raises:
            NoPath: there is none, or start or goal is blocked.
            ValueError: start or goal is not a voxel of the volume.
        """
        first, last = self._voxel(start, "start"), self._voxel(goal, "goal")
        for name, (x, y, z) in (("start", first), ("goal", last)):
            if self._walls[x + 1, y + 1, z // _SPAN] >> (z % _SPAN + 1) & 1:
                raise NoPath(f"the {name} ({x}, {y}, {z}) is blocked")
        with self._turn:
            return self._search(first, last)

    def _voxel(self, values: ArrayLike, name: str) -> tuple[int, int, int]:
        cell = np.asarray(values)
        if cell.shape != (3,) or cell.dtype.kind not in "iu":
            raise ValueError(f"{name} must be three integers, got {values!r}")
        if (cell < 0).any() or (cell >= self.shape).any():
            raise ValueError(f"{name} {cell.tolist()} lies outside the volume of {self.shape} voxels")
        return int(cell[0]), int(cell[1]), int(cell[2])

    def _search(self, start: tuple[int, int, int], goal: tuple[int, int, int]) -> GridPath:
        expansions = 0
        while True:
            if self._query == _QUERIES:
                self._words, self._query = np.zeros_like(self._words), 0
            self._query += 1
            status, tried = _explore(
                self._walls, self._words, self.shape, self._query, start, goal, self._queue, *self._moves
            )
            expansions += tried
            if status == _FOUND:
                cells, straight, flat, steep = _trace(self._words, self.shape, goal, self._moves[0])
                return GridPath(cells, straight + math.sqrt(2) * flat + math.sqrt(3) * steep, expansions)
            if status == _NO_WAY:
                raise NoPath(f"there is no way from {start} to {goal}")
            if status == _TOO_LONG:
                raise NoPath(f"every way from {start} to {goal} is longer than {_FAR // _UNIT} voxels")
            self._queue = np.empty((len(self._queue) * 4, 2), np.int64)


@kernel
def _estimate(dx: int, dy: int, dz: int) -> int:
    """Least cost over free voxels (octile distance in three dimensions)."""
    a, b, c = abs(dx), abs(dy), abs(dz)
    if a < b:
        a, b = b, a
    if b < c:
        b, c = c, b
        if a < b:
            a, b = b, a
    return a * _COSTS[1] + b * (_COSTS[2] - _COSTS[1]) + c * (_COSTS[3] - _COSTS[2])


@kernel
def _explore(
    walls: Any,
    words: Any,
    shape: Any,
    query: int,
    start: Any,
    goal: Any,
    queue: Any,
    steps: Any,
    needs: Any,
    natural: Any,
    detours: Any,
    ends: Any,
) -> Any:
    """Fill words with the ways of one query; returns (status, expansions). Costs are in units of 1 / _UNIT voxel.

    queue (capacity, 2): a pool of entries (packed voxel, next entry of the same bucket or -1).
    """
    ny, nz = shape[1], shape[2]
    heads = np.full(_RING, -1, np.int64)
    offsets = np.empty(26, np.int64)
    for e in range(26):
        offsets[e] = (steps[e, 0] * ny + steps[e, 1]) * nz + steps[e, 2]
    gx, gy, gz = goal[0], goal[1], goal[2]
    target = (gx * ny + gy) * nz + gz
    stamp = query << 45
    capacity = len(queue)

    x, y, z = start[0], start[1], start[2]
    here = (x * ny + y) * nz + z
    words[here] = ((stamp | _FAR) << 6) | _START
    if here == target:
        return _FOUND, 0
    floor = _estimate(gx - x, gy - y, gz - z)
    bucket = floor >> _BUCKET_SHIFT
    queue[0, 0], queue[0, 1] = (x << 42) | (y << 21) | z, -1
    heads[bucket & (_RING - 1)] = 0
    fresh, spare, waiting = 1, -1, 1
    best = np.int64(1) << 62
    expansions = 0
    too_long = False

    while waiting > 0:
        slot = heads[bucket & (_RING - 1)]
        while slot < 0:
            bucket += 1
            slot = heads[bucket & (_RING - 1)]
        if bucket << _BUCKET_SHIFT >= best or best == floor:
            break
        entry = queue[slot, 0]
        heads[bucket & (_RING - 1)] = queue[slot, 1]
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, entry & 0x1FFFFF
        here = (x * ny + y) * nz + z
        word = words[here]
        if word & _CLOSED:
            continue
        cost = _FAR - ((word >> 6) & _FAR)
        if best < 1 << 62 and cost + _estimate(gx - x, gy - y, gz - z) >= best:
            continue
        words[here] = word | _CLOSED
        expansions += 1
        came = word & 31

        w = z // _SPAN
        shift = z - w * _SPAN
        around = np.int64(0)
        for i in range(3):
            for j in range(3):
                around |= ((walls[x + i, y + j, w] >> shift) & 7) << (9 * i + 3 * j)

        row = natural[came] if around == 0 else natural[_START]
        for k in range(1, row[0] + 1):
            e = row[k]
            if around != 0:
                if around & needs[e]:
                    continue
                if came != _START:
                    needless = False
                    for m in range(ends[came, e], ends[came, e + 1]):
                        if around & detours[m] == 0:
                            needless = True
                            break
                    if needless:
                        continue
            onward = cost + steps[e, 3]
            there = here + offsets[e]
            if onward > _FAR:
                too_long = True
                continue
            mark = stamp | (_FAR - onward)
            if mark <= words[there] >> 6:
                continue
            u, v, t = x + steps[e, 0], y + steps[e, 1], z + steps[e, 2]
            total = onward + _estimate(gx - u, gy - v, gz - t)
            if total >= best:
                continue
            words[there] = (mark << 6) | e
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
            ring = (total >> _BUCKET_SHIFT) & (_RING - 1)
            queue[slot, 0], queue[slot, 1] = (u << 42) | (v << 21) | t, heads[ring]
            heads[ring] = slot
            waiting += 1
    if best < 1 << 62:
        return _FOUND, expansions
    return (_TOO_LONG if too_long else _NO_WAY), expansions


@kernel
def _trace(words: Any, shape: Any, goal: Any, steps: Any) -> Any:
    """The cells (n, 3) from the start to the goal by the directions that the search left in the words, and how many
    of the steps change one, two and three coordinates."""
    ny, nz = shape[1], shape[2]
    count = 1
    x, y, z = goal[0], goal[1], goal[2]
    came = words[(x * ny + y) * nz + z] & 31
    while came != _START and count <= len(words):
        x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
        came = words[(x * ny + y) * nz + z] & 31
        count += 1
    cells = np.empty((count, 3), np.int32)
    kinds = np.zeros(4, np.int64)
    x, y, z = goal[0], goal[1], goal[2]
    for k in range(count - 1, -1, -1):
        cells[k, 0], cells[k, 1], cells[k, 2] = x, y, z
        came = words[(x * ny + y) * nz + z] & 31
        if came != _START:
            kinds[abs(steps[came, 0]) + abs(steps[came, 1]) + abs(steps[came, 2])] += 1
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
    return cells, kinds[1], kinds[2], kinds[3]
