"""Shortest ways through a volume of free and blocked voxels, always optimal.

26 neighbours with steps of 1, sqrt(2) and sqrt(3). The search, why it is exact and what makes it fast are in
`utm.core._astar`; here is what stays between questions.
"""

from __future__ import annotations

import math
import mmap
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._astar import COSTS, LONGEST, NO_WAY, QUERIES, TOO_LONG, explore, trace
from utm.core._jit import voxel
from utm.core._moves import moves
from utm.core._walls import SPAN, walls
from utm.errors import NoPath

_BLOCK = (8, 8, 4)  # voxels whose words share a page
_PAGE = 2 * math.prod(_BLOCK)  # words: 4 kB
#: MAP_NORESERVE of Linux, which Python knows from 3.13 on; this value on x86 and ARM, where 3.11 and 3.12 need it.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if platform.machine() in ("x86_64", "aarch64") else 0)
_TURN = 256  # Voxels that a side expands before the other may; 16 to 1024 are as good, and 1 costs 5 %.


@dataclass(frozen=True, slots=True, eq=False)
class GridPath:
    """A shortest way."""

    cells: NDArray[np.int32]
    """(n, 3) voxels from start to goal, both included."""
    cost: float
    """Its length in voxels."""
    expansions: int
    """How many voxels the search looked around from."""


class GridPlanner:
    """Shortest ways through one volume, for as many queries as wanted, from as many threads as wanted.

    The volume is read once, when the planner is made, and a first query is answered then, so that later ones find
    everything compiled. Each thread at work has a workspace of its own, kept for the next query, and the interpreter
    is free meanwhile. The answer to a question depends on nothing asked before or beside it.

    Memory is one bit per voxel, plus a page of 4 kB for every 8 x 8 x 4 voxels that the searches of a workspace
    reach.

    Args:
        blocked: (nx, ny, nz) booleans. What lies outside is blocked.
        corner_cutting: whether a diagonal step needs only its end to be free. Without it every cell of the 2 x 2 or
            2 x 2 x 2 box that it crosses must be free.

    Attributes:
        shape: (nx, ny, nz).
        walls: (nx + 2, ny + 2, words) the volume as bits, laid out as `utm.core._walls` says.
        prepared_s: how long it took to make the planner, seconds.

    Raises:
        ValueError: not a three-dimensional boolean array, or more than 2**21 voxels along an axis.
    """

    def __init__(self, blocked: ArrayLike, *, corner_cutting: bool = False) -> None:
        began = time.perf_counter()
        volume = np.asarray(blocked)
        if volume.ndim != 3 or volume.dtype != np.bool_ or volume.size == 0:
            raise ValueError(
                f"blocked must be a boolean array (nx, ny, nz), got {volume.dtype} of shape {volume.shape}"
            )
        if max(volume.shape) >= 1 << 21:
            raise ValueError(f"at most 2**21 voxels along an axis, got {volume.shape}")
        self.shape: tuple[int, int, int] = volume.shape
        self.corner_cutting = bool(corner_cutting)
        self.walls = walls(volume)
        steps, needs, _, detours, ends = moves(COSTS, self.corner_cutting)
        self._moves = steps, needs, detours, ends
        self._places, self._count = _layout(self.shape)
        self._turn = _TURN
        self._lock = threading.Lock()
        self._workspaces: list[_Workspace] = []
        self._idle: list[_Workspace] = []
        self._search((0, 0, 0), (0, 0, 0))
        self.prepared_s = time.perf_counter() - began

    @property
    def nbytes(self) -> int:
        """Memory in use now, bytes: the bits, and of each workspace the queue and the pages that hold something.
        Counting them reads all addresses of the workspaces, which takes a moment."""
        with self._lock:
            return self.walls.nbytes + sum(workspace.nbytes for workspace in self._workspaces)

    def path(self, start: ArrayLike, goal: ArrayLike) -> GridPath:
        """A shortest way from one voxel (3,) to another.

        Raises:
            NoPath: there is none, or start or goal is blocked.
            ValueError: start or goal is not a voxel of the volume.
        """
        first, last = voxel(start, "start", self.shape), voxel(goal, "goal", self.shape)
        for name, (x, y, z) in (("start", first), ("goal", last)):
            if self.walls[x + 1, y + 1, z // SPAN] >> (z % SPAN + 1) & 1:
                raise NoPath(f"the {name} ({x}, {y}, {z}) is blocked")
        return self._search(first, last)

    def _search(self, start: tuple[int, int, int], goal: tuple[int, int, int]) -> GridPath:
        with self._workspace() as space:
            query = space.next_query()
            status, meeting, expansions, space.queue = explore(
                self.walls,
                space.words,
                self._places,
                query,
                np.array([start, goal], np.int64),
                self._turn,
                space.queue,
                space.known,
                space.onward,
                *self._moves,
            )
            if status == NO_WAY:
                raise NoPath(f"there is no way from {start} to {goal}")
            if status == TOO_LONG:
                raise NoPath(f"every way from {start} to {goal} is longer than {LONGEST} voxels")
            cells, straight, flat, steep = trace(space.words, self._places, meeting, self._moves[0])
        return GridPath(cells, straight + math.sqrt(2) * flat + math.sqrt(3) * steep, expansions)

    @contextmanager
    def _workspace(self) -> Iterator[_Workspace]:
        """A workspace that nobody else uses; the one given back last, whose memory is warm."""
        with self._lock:
            if not self._idle:
                self._workspaces.append(_Workspace(self._count))
                self._idle.append(self._workspaces[-1])
            space = self._idle.pop()
        try:
            yield space
        finally:
            with self._lock:
                self._idle.append(space)


@dataclass(slots=True, eq=False)
class _Workspace:
    """What one search writes; see `utm.core._astar.explore`."""

    count: int
    query: int = 0
    words: NDArray[np.int64] = field(init=False)
    queue: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1 << 14, 2), np.int64))
    known: NDArray[np.int64] = field(default_factory=lambda: np.full(1 << 12, -1, np.int64))
    onward: NDArray[np.int8] = field(default_factory=lambda: np.zeros((1 << 12, 27), np.int8))

    def __post_init__(self) -> None:
        self.words = _untouched(self.count)

    def next_query(self) -> int:
        """The number of a new query: larger than any that the words hold."""
        if self.query == QUERIES:
            self.words, self.query = _untouched(self.count), 0
        self.query += 1
        return self.query

    @property
    def nbytes(self) -> int:
        pages = int(self.words.reshape(-1, _PAGE).any(axis=1).sum())
        return 8 * _PAGE * pages + self.queue.nbytes + self.known.nbytes + self.onward.nbytes


def _untouched(count: int) -> NDArray[np.int64]:
    """Zeros that take memory where they are written, by pages of 4 kB.

    ``np.zeros`` asks for pages of 2 MB where the system has them: a search then takes half the map, and clearing them
    makes first queries 20 to 200 ms slower; for warm queries they gained nothing. Linux would also refuse more
    addresses than it has memory, though few are ever written, unless none is to be reserved for them.
    """
    if sys.platform == "linux":
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
        memory: Any = mmap.mmap(-1, 8 * count, flags=flags)
    else:
        memory = mmap.mmap(-1, 8 * count, access=mmap.ACCESS_COPY)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.int64)


def _layout(shape: tuple[int, int, int]) -> tuple[tuple[NDArray[np.int64], ...], int]:
    """Where the words of a voxel lie, as one summand for each coordinate (for the second side 1 more), and how many
    there are. A page holds both words of 8 x 8 x 4 voxels: a search that spreads sideways through a column of 64
    takes a third of the memory that it takes in the order of the volume, and no more time."""
    blocks = [-(-n // side) for n, side in zip(shape, _BLOCK, strict=True)]
    places = []
    for axis, side in enumerate(_BLOCK):
        block, inside = np.divmod(np.arange(shape[axis]), side)
        places.append(block * math.prod(blocks[axis + 1 :]) * _PAGE + inside * math.prod(_BLOCK[axis + 1 :]) * 2)
    return tuple(places), math.prod(blocks) * _PAGE
