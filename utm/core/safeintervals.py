"""The quickest way through voxels in which others fly: exact in space and time.

Safe-interval path planning (SIPP: Phillips and Likhachev, "SIPP: Safe interval path planning for dynamic environments",
2011): a state is a voxel and one of the spans of time during which nobody comes too near to its centre, and of all
ways into a state only the earliest counts, because whoever is early can wait. So waiting costs the search nothing.

What is taken from elsewhere:

- Times at which a move must not begin are intervals too, in closed form (`utm.core.conflict`), one for each piece of a
  reservation; nothing is sampled. (Intervals of moves beside those of places: Yakovlev and Andreychuk, "Any-angle
  pathfinding for multiple agents based on SIPP", 2017; Andreychuk et al., "Multi-agent pathfinding with continuous
  time", 2019.)
- Where nobody may hover, being early is no better than being late, and a label is a whole span of departure times, cut
  by what is forbidden on the way; of each voxel it is kept which times have been reached, and only others go on.
- The estimate is the true time to the goal without others, from a search backwards that is taken up again where it is
  asked (reverse resumable A*: Silver, "Cooperative pathfinding", 2005); where it has not come by, what follows from how
  far it has come (as in NBA*, `utm.core._astar`), until that no longer tells two ways apart. And it is never earlier
  than anybody can be at the goal: where that is taken until noon, all ways until noon are as good, and the search runs
  straight.
- The least cost among the ways of least arrival is found by a second search in the order of cost, which drops whatever
  arrives too late; of a state then only labels count that are earlier than all cheaper ones (the dimension reduced as
  in BOA*: Hernandez Ulloa et al., "A simple and fast bi-objective search algorithm", 2020).
"""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import point, read_only, voxel
from utm.core._safeintervals import (
    BACKWARDS,
    COUNTS,
    FOUND,
    FULL,
    MOVES,
    NEVER,
    TICKS_PER_S,
    enter,
    explore,
    leave,
    trace,
)
from utm.core.conflict import MARGIN_M
from utm.errors import NoPath
from utm.model import Trajectory

#: The moves: eight level ones, those along an axis first, then up and down.
STEPS = np.array(
    [(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0)]
    + [(0, 0, 1), (0, 0, -1)],
    np.int64,
)
_OPPOSITE = np.array([2, 3, 0, 1, 6, 7, 4, 5, 9, 8], np.int64)
#: Largest factor of a voxel.
MOST_FACTOR = 1e6
_BRICK = (4, 4, 2)  # voxels whose neighbours in the air are listed together
_STAMPS = (1 << 19) - 1  # queries until the words of the voxels are cleared
#: Ticks by which rounding may move an arrival: among ways that arrive so close to the first, the cheapest is taken.
_SAME = 16
_LATEST_S = 2.0**33  # so that ticks are exact in float64


@dataclass(frozen=True, slots=True, eq=False)
class TimedPath:
    """A way with its times. It is left from the start as late as the arrival allows along these voxels."""

    cells: NDArray[np.int32]
    """(n, 3) voxels from start to goal, both included, n >= 2."""
    points_m: NDArray[np.float64]
    """(n, 3) their centres, metres."""
    arrive_s: NDArray[np.float64]
    """(n,) when each is reached; the first: the departure."""
    leave_s: NDArray[np.float64]
    """(n,) when each is left; the last: the arrival. Later than it is reached: it waits there."""
    cost: float
    """Seconds on the move or in stops, each times the factor of its voxel (of a move: the mean of both ends)."""
    expansions: int
    """How many labels, and backwards from the goal how many voxels, the searches looked around from."""

    @property
    def depart_s(self) -> float:
        """When it leaves the start."""
        return float(self.leave_s[0])

    @property
    def arrival_s(self) -> float:
        """When it reaches the goal."""
        return float(self.arrive_s[-1])

    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The way as level legs and vertical steps: points (m, 3) in metres at which it turns or waits, and the
        seconds (m,) for which it waits at each, a stop before or after a vertical step included."""
        kept = self._corners()
        return self.points_m[kept], (self.leave_s - self.arrive_s)[kept]

    def trajectory(self) -> Trajectory:
        """The motion that was searched: straight between corners, at rest where it waits."""
        times: list[float] = []
        places: list[NDArray[np.float64]] = []
        for n in self._corners():
            for t in (self.arrive_s[n], self.leave_s[n]):
                if not times or t > times[-1]:
                    times.append(float(t))
                    places.append(self.points_m[n])
        return Trajectory(np.array(times), np.array(places))

    def _corners(self) -> list[int]:
        steps = np.diff(self.cells, axis=0)
        middle = [
            n
            for n in range(1, len(self.cells) - 1)
            if (steps[n] != steps[n - 1]).any() or self.leave_s[n] > self.arrive_s[n]
        ]
        return [0, *middle, len(self.cells) - 1]


class SafeIntervalPlanner:
    """Quickest ways through one volume, among any number of reservations that come and go.

    A flight moves from the centre of a voxel to that of a neighbour: eight level moves at cruise speed, up and down at
    those of climb and descent, which are the pieces that PX4 flies to the metre (`utm.core.levels`). A diagonal move
    needs all four voxels that it touches (corners are not cut). Speeds are reached at once, and braking to hover takes
    no time; what that is off a flight belongs into the limits of the reservations. One query at a time; the
    interpreter is free meanwhile, and other threads wait. The answer depends on nothing but the reservations and the
    question.

    Memory: 19 bytes per voxel (8 more with stops, 8 more with factors), 88 bytes for each straight piece of a
    reservation and 16 for each brick of 4 x 4 x 2 voxels that it comes near, and what the largest search so far wrote.

    Args:
        blocked: (nx, ny, nz) booleans. What lies outside is blocked.
        cell_m: side of a voxel, metres.
        cruise_m_s, climb_m_s, descent_m_s: speeds over the ground, above zero.
        hover: whether a flight may wait on the way, at the centre of any voxel. If not, it may wait only before it
            departs.
        stop_s: seconds that a change between level and vertical flight takes, at rest on the spot (`levels.STOP_S`).
        factor: what a second costs in each voxel, (nx, ny, nz) from 1 to `MOST_FACTOR`, or None for 1.
        origin_m: (3,) metres of the lowest south-west corner of the volume, in the frame of the reservations.

    Raises:
        ValueError: any of these that is not as said.
    """

    def __init__(
        self,
        blocked: ArrayLike,
        cell_m: float,
        *,
        cruise_m_s: float,
        climb_m_s: float,
        descent_m_s: float,
        hover: bool = True,
        stop_s: float = 0.0,
        factor: ArrayLike | None = None,
        origin_m: ArrayLike = (0.0, 0.0, 0.0),
    ) -> None:
        volume = np.asarray(blocked)
        if volume.ndim != 3 or volume.dtype != np.bool_ or volume.size == 0 or volume.size >= 1 << 31:
            raise ValueError(
                f"blocked must be a boolean array (nx, ny, nz) of less than 2**31 voxels, got {volume.dtype} of shape "
                f"{volume.shape}"
            )
        for name, value in (
            ("cell_m", cell_m), ("cruise_m_s", cruise_m_s), ("climb_m_s", climb_m_s), ("descent_m_s", descent_m_s),
        ):  # fmt: skip
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
        if not (math.isfinite(stop_s) and stop_s >= 0):
            raise ValueError(f"stop_s must be a finite number of 0 or more, got {stop_s!r}")
        self.shape: tuple[int, int, int] = volume.shape
        self.cell_m, self.hover, self.stop_s = float(cell_m), bool(hover), float(stop_s)
        self.origin_m = point(origin_m, "origin_m")
        self._factor = _factors(factor, self.shape)
        self._blocked = read_only(volume.copy())
        seconds = [cell_m / cruise_m_s] * 4 + [math.sqrt(2) * cell_m / cruise_m_s] * 4
        seconds += [cell_m / climb_m_s, cell_m / descent_m_s, stop_s]
        if max(seconds) > 1e5:
            raise ValueError(f"a move of {max(seconds):g} s is not one of a flight: see cell_m, the speeds and stop_s")
        ticks = np.ceil(np.array(seconds) * TICKS_PER_S).astype(np.int64)
        if ticks[:MOVES].min() < 1024:
            raise ValueError(f"a move of {min(seconds[:MOVES]):g} s is too short: see cell_m and the speeds")
        _, ny, nz = self.shape
        self._modes = 2 if stop_s > 0 else 1
        self._grid = (
            read_only(_permitted(volume).reshape(-1)),
            read_only(STEPS @ np.array([ny * nz, nz, 1])),
            read_only(ticks),
            read_only(_OPPOSITE),
            self.shape,
            self._modes,
            read_only(STEPS),
        )
        self._geometry = (
            read_only(self.origin_m), self.cell_m, read_only(STEPS * self.cell_m), np.zeros((16, 2)), np.zeros((16, 2)),
        )  # fmt: skip
        self._turn = threading.Lock()
        counts = [-(-n // side) for n, side in zip(self.shape, _BRICK, strict=True)]
        self._bricks = (*_BRICK, *counts)
        self._heads = np.full(math.prod(counts), -1, np.int64)
        self._entries = np.zeros((0, 2), np.int64)
        self._free_entries = np.array([-1, 0], np.int64)
        self._pieces = np.zeros((0, 11))
        self._free_pieces: list[int] = []
        self._reserved: dict[int, list[int]] = {}
        self._room = 1 << 12
        self._near = np.zeros(1 << 10, np.int64)
        self._clear()

    def __len__(self) -> int:
        """How many reservations there are."""
        return len(self._reserved)

    def __contains__(self, number: object) -> bool:
        return number in self._reserved

    @property
    def nbytes(self) -> int:
        """Memory of its arrays, bytes; of those of the search, only what was written is in use."""
        arrays = [*self._tables, *self._back, *self._queue, self._gaps, self._heads, self._entries, self._pieces]
        return self._grid[0].nbytes + self._factor.nbytes + sum(array.nbytes for array in arrays)

    def reserve(
        self, number: int, line: Trajectory, horizontal_m: float, vertical_m: float, tolerance_s: float = 0.0
    ) -> None:
        """Keep others away from a flight: a way that is found is nowhere, at a time at most ``tolerance_s`` from one
        of the line's, less than both distances from it. So `utm.core.in_conflict` says of every way found.

        Args:
            number: the reservation's name, not in use.
            line: where it is when, in the frame of ``origin_m``; with the pads held where they are to be
                (`Trajectory.held`). Before its first and after its last time it is not there.
            horizontal_m, vertical_m: least distances, above 0: both protections, and what both are off their lines.
            tolerance_s: how far both together may be off their times.

        Raises:
            ValueError: the number is in use, or limits that are not such numbers.
        """
        if number in self._reserved:
            raise ValueError(f"reservation {number} is there already: release it first")
        for name, value in (("horizontal_m", horizontal_m), ("vertical_m", vertical_m)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
        if not (math.isfinite(tolerance_s) and tolerance_s >= 0):
            raise ValueError(f"tolerance_s must be a finite number of 0 or more, got {tolerance_s!r}")
        if not (line.start_s > -_LATEST_S and line.end_s < _LATEST_S):
            raise ValueError(f"times must be within {_LATEST_S:g} s of 0, got {line.start_s!r} to {line.end_s!r}")
        span = np.diff(line.t_s)
        rows = np.empty((len(span), self._pieces.shape[1]))
        rows[:, 0], rows[:, 1], rows[:, 2:5] = line.t_s[:-1], span, line.enu_m[:-1]
        rows[:, 5:8] = np.diff(line.enu_m, axis=0) / span[:, None]
        # `in_conflict` takes its limits larger by one margin; the second is for its rounding and ours.
        rows[:, 8:] = horizontal_m + 2 * MARGIN_M, vertical_m + 2 * MARGIN_M, tolerance_s
        with self._turn:
            if len(self._free_pieces) < len(rows):
                self._more_pieces(len(rows))
            taken = [self._free_pieces.pop() for _ in range(len(rows))]
            self._pieces[taken] = rows
            for piece in taken:
                self._enter(piece)
            self._reserved[number] = taken

    def release(self, number: int) -> None:
        """Forget a reservation.

        Raises:
            KeyError: there is none of this number.
        """
        with self._turn:
            taken = self._reserved.pop(number)
            for piece in taken:
                leave(piece, self._geometry, self.shape, self._traffic, self._free_entries, self._near)
            self._free_pieces += taken

    def path(
        self, start: ArrayLike, goal: ArrayLike, earliest_s: float, latest_s: float, *, hold_s: float = 0.0
    ) -> TimedPath:
        """The way that arrives first; among those the one of least cost; along its voxels, the latest departure.

        Exact but for rounding: the arrival is at most 30 microseconds later than the least.

        Before it departs a flight is nowhere: waiting on the ground takes no room, but for the hold.

        Args:
            start, goal: voxels (3,), different ones.
            earliest_s: earliest departure, Unix seconds.
            latest_s: latest arrival.
            hold_s: the start must be free for so long before the departure, and the goal after the arrival.

        Raises:
            NoPath: start or goal is blocked, there is no way at all, or none in time among the others.
            ValueError: not such voxels or numbers.
        """
        first, last = voxel(start, "start", self.shape), voxel(goal, "goal", self.shape)
        if first == last:
            raise ValueError(f"start and goal are the same voxel {first}: there is nothing to fly")
        for name, value in (("earliest_s", earliest_s), ("latest_s", latest_s)):
            if not abs(value) < _LATEST_S:
                raise ValueError(f"{name} must be within {_LATEST_S:g} s of 0, got {value!r}")
        if not 0 <= hold_s <= 1e6:
            raise ValueError(f"hold_s must be from 0 to 1e6, got {hold_s!r}")
        for name, cell in (("start", first), ("goal", last)):
            if self._blocked[cell]:
                raise NoPath(f"the {name} {cell} is blocked")
        ends = tuple(int(np.ravel_multi_index(cell, self.shape)) for cell in (first, last))
        times = (
            math.ceil(earliest_s * TICKS_PER_S), math.floor(latest_s * TICKS_PER_S), math.ceil(hold_s * TICKS_PER_S),
        )  # fmt: skip
        with self._turn:
            label, arrival, expansions = self._search(ends, (*times, NEVER))
            if label < 0:
                raise NoPath(
                    f"there is no way from {first} to {last} between {earliest_s!r} and {latest_s!r} s that keeps off "
                    f"the {len(self._reserved)} reservations: start earlier, allow more time, or release some"
                )
            way = self._way(label, arrival)
            spent = int(self._tables[4][label, 3])
            if spent > self._least(ends[0]):
                label, arrival, more = self._search(ends, (*times, arrival + _SAME))
                if label < 0:
                    raise RuntimeError(f"no way from {first} to {last} by the arrival of one that was found")
                way = self._way(label, arrival)
                spent = int(self._tables[4][label, 3])
                expansions += more
        return self._timed(way, spent, expansions)

    @property
    def _traffic(self) -> tuple[Any, ...]:
        return self._heads, self._entries, self._pieces, self._bricks

    def _more_pieces(self, wanted: int) -> None:
        old = len(self._pieces)
        new = max(2 * old, old + wanted, 256)
        self._pieces = np.vstack([self._pieces, np.zeros((new - old, self._pieces.shape[1]))])
        self._free_pieces = [*range(new - 1, old - 1, -1), *self._free_pieces]

    def _enter(self, piece: int) -> None:
        while True:
            free = int(self._free_entries[1])
            count = enter(piece, self._geometry, self.shape, self._traffic, self._free_entries, self._near)
            if count <= min(free, len(self._near)):
                return
            if count > len(self._near):
                self._near = np.zeros(2 * count, np.int64)
            if count > free:
                old = len(self._entries)
                chain = np.zeros((max(old, count, 4096), 2), np.int64)
                chain[:, 1] = np.arange(old + 1, old + len(chain) + 1)
                chain[-1, 1] = self._free_entries[0]
                self._entries = np.vstack([self._entries, chain])
                self._free_entries[:] = old, free + len(chain)

    def _clear(self) -> None:
        """Empty tables of the search, with room for so many labels."""
        room, voxels = self._room, math.prod(self.shape)
        self._stamp = 0
        self._tables = (
            np.zeros(voxels, np.int64),
            *(np.empty((room, columns), np.int64) for columns in (8, 5, 5, 6, 3)),
        )
        self._back = (np.zeros(voxels * self._modes, np.int64), *(np.empty(room, np.int64) for _ in range(3)))
        self._queue = tuple(np.empty(room, np.int64) for _ in range(3))
        self._gaps = np.empty((room // 16, 2), np.int64)

    def _search(self, ends: tuple[int, ...], times: tuple[int, ...]) -> tuple[int, int, int]:
        """The label at the goal or -1, its tick, and the expansions."""
        while True:
            if self._stamp == _STAMPS:
                self._clear()
            self._stamp += 1
            counts = np.zeros(COUNTS, np.int64)
            status, label, arrival, expansions = explore(
                ends, times, self.hover, self._stamp, self._factor, self._grid, self._geometry, self._traffic,
                self._tables, self._back, self._queue, self._gaps, counts,
            )  # fmt: skip
            if status != FULL:
                return (label if status == FOUND else -1), arrival, expansions + int(counts[BACKWARDS])
            self._room *= 4
            self._clear()

    def _least(self, start: int) -> int:
        """The least cost that any way from the start may have, by the search backwards of the last question."""
        words = self._back[0][start * self._modes : (start + 1) * self._modes]
        return int((words >> 1 & ((1 << 43) - 1)).min())

    def _way(self, label: int, arrival: int) -> NDArray[np.int64]:
        """(n, 3) voxel, tick at which it is reached, tick at which it is left."""
        way = np.empty((1 << 10, 3), np.int64)
        while True:
            count = trace(label, arrival, self.hover, self._grid, self._geometry, self._traffic, self._tables, way)
            if count >= 0:
                return way[:count][::-1]
            way = np.empty((4 * len(way), 3), np.int64)

    def _timed(self, way: NDArray[np.int64], spent: int, expansions: int) -> TimedPath:
        cells = np.column_stack(np.unravel_index(way[:, 0], self.shape)).astype(np.int32)
        points = self.origin_m + (cells + 0.5) * self.cell_m
        found = (cells, points, way[:, 1] / TICKS_PER_S, way[:, 2] / TICKS_PER_S)
        for array in found:
            array.setflags(write=False)
        return TimedPath(*found, spent / TICKS_PER_S, expansions)


def _permitted(blocked: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """(nx, ny, nz) the moves that may be made from each voxel, as bits."""
    walls = np.pad(blocked, 1, constant_values=True)
    found = np.zeros(blocked.shape, np.uint16)
    inner = [slice(1, n + 1) for n in blocked.shape]
    for number, step in enumerate(STEPS.tolist()):
        box = itertools.product(*[(0, s) if s else (0,) for s in step])
        free = ~np.any([walls[tuple(slice(s.start + o, s.stop + o) for s, o in zip(inner, offset, strict=True))]
                        for offset in box], axis=0)  # fmt: skip
        found |= free.astype(np.uint16) << number
    return found


def _factors(factor: ArrayLike | None, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Flat and contiguous, of every voxel; empty where all are 1."""
    if factor is None:
        return read_only(np.zeros(0))
    array = np.array(factor, np.float64)
    if array.shape != shape or not ((array >= 1).all() and (array <= MOST_FACTOR).all()):
        raise ValueError(
            f"factor must have the shape {shape} of the volume and lie between 1 and {MOST_FACTOR:g}, got shape "
            f"{array.shape}: 1 is what is wanted most, so divide by the least; block what must not be entered at all"
        )
    return read_only(array.reshape(-1))
