"""Which corridors of many come near to one, in space and time: a 4-D index that grows and shrinks.

Its kernels and how it is built are in `utm.core._traffic`; the exact verdict is that of `utm.core.conflict`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import read_only
from utm.core._traffic import (
    COUNTS,
    DONE,
    FREE_CHUNK,
    FREE_ROW,
    LEVELS,
    NEEDS_ROWS,
    ROW,
    WORDS,
    drop,
    gather,
    met,
    put,
    spread,
)
from utm.core.conflict import sifted
from utm.model import Corridor

#: Rows, buckets and chunks that memory is first taken for.
_FIRST = 64


def apart(a: Corridor, b: Corridor, horizontal_m: float, vertical_m: float) -> tuple[float, float, float]:
    """How far two centre lines must be from each other, and how much both together may be off their times.

    Returns:
        The horizontal and the vertical distance, metres: the room of both corridors, the tubes of what is flown
        around both lines, and the separation. The sum of the time tolerances, seconds.
    """
    across, up = a.tube.horizontal_m + b.tube.horizontal_m, a.tube.vertical_m + b.tube.vertical_m
    room = max(a.below_m + b.above_m, a.above_m + b.below_m)
    return (
        a.half_width_m + b.half_width_m + across + horizontal_m,
        room + up + vertical_m,
        a.time_tolerance_s + b.time_tolerance_s,
    )


class Traffic:
    """A 4-D index of corridors, each under a number that the caller chose.

    A corridor of 20 pieces takes about 3 kB: 36 bytes for each piece, and 45 for the box around it, of which one that
    is longer than a few hundred metres has one for each of them, up to 32; the rest is room for growth. Memory grows
    by doubling and is used again, never given back. What a question costs grows with how many pieces are around in
    space and time, not with how many there are, and never beyond looking at every piece.

    Answers depend on the corridors alone, not on the order in which they came or on what was removed. Many threads
    may ask at once; while one adds or removes, no other may do anything.
    """

    def __init__(self, *, cell_m: float = 512.0, slot_s: float = 128.0) -> None:
        """An empty index.

        Args:
            cell_m: how large the smallest cells are: best about twice what a corridor flies straight on.
            slot_s: and how long they last: best about twice what that takes.

        Raises:
            ValueError: sizes that are not finite numbers above zero.
        """
        for name, value in (("cell_m", cell_m), ("slot_s", slot_s)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
        self._cell_m, self._slot_s = float(cell_m), float(slot_s)
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._epoch = 0.0
        self._counts = np.zeros(COUNTS, np.int64)
        self._counts[[FREE_ROW, FREE_CHUNK]] = -1
        self._head = np.full(_FIRST, -1, np.int32)
        self._chunks = _chunks(_FIRST)
        self._boxes = self._chunks.view(np.float32)
        self._knots = np.empty((_FIRST, ROW + 1, 4))  # seconds from the corridor's start, metres
        self._rows = np.empty((_FIRST, 3), np.int32)  # the slot, the next row, how many pieces it has
        self._levels = np.zeros((LEVELS, 7), np.int64)  # entries, then the least and greatest cell on each axis
        self._reaches = np.zeros((LEVELS, 2))  # the longest box in seconds, in metres
        self._rooms = np.empty((_FIRST, 7))  # start, half-width, below, above, tube across, up, tolerance
        self._numbers = np.empty((_FIRST, 2), np.int64)  # the caller's, the first row of knots

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, number: object) -> bool:
        return number in self._slots

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, what is kept for growth included."""
        tables = (self._head, self._chunks, self._levels, self._reaches)
        return sum(one.nbytes for one in (*tables, self._knots, self._rows, self._rooms, self._numbers))

    def add(self, number: int, corridor: Corridor) -> None:
        """Take in a corridor.

        Raises:
            ValueError: a number below 0 or in use; a room, tube, tolerance or hold that is negative or not finite.
        """
        if number < 0 or number in self._slots:
            raise ValueError(f"a corridor's number must be 0 or more and not in use yet, got {number!r}")
        line, room = _arrays(corridor), _room(corridor)
        if not self._slots:
            # Seconds from here on: float32 has the more digits for them, the nearer they are.
            self._epoch = float(line[0][0])
        slot = self._free.pop() if self._free else len(self._slots)
        if slot == len(self._rooms):
            self._rooms, self._numbers = _doubled(self._rooms), _doubled(self._numbers)
        while True:
            status = put(
                *line,
                *room,
                number,
                slot,
                self._epoch,
                self._cell_m,
                self._slot_s,
                self._counts,
                self._head,
                self._chunks,
                self._boxes,
                self._knots,
                self._rows,
                self._levels,
                self._reaches,
                self._rooms,
                self._numbers,
            )
            if status == DONE:
                break
            if status == NEEDS_ROWS:
                self._knots, self._rows = _doubled(self._knots), _doubled(self._rows)
            else:
                self._spread()
        self._slots[number] = slot

    def remove(self, number: int) -> None:
        """Forget a corridor.

        Raises:
            KeyError: no corridor has this number.
        """
        slot = self._slots.pop(number)
        drop(
            slot,
            self._epoch,
            self._cell_m,
            self._slot_s,
            self._counts,
            self._head,
            self._chunks,
            self._knots,
            self._rows,
            self._levels,
            self._rooms,
            self._numbers,
        )
        self._free.append(slot)

    def near(
        self, corridor: Corridor, horizontal_m: float, vertical_m: float, *, later_s: float = 0.0
    ) -> NDArray[np.int64]:
        """Who might come too near to a corridor if it were flown at any delay of 0 to ``later_s``.

        Two corridors are near when boxes around two parts of theirs, of at most a few hundred metres each, are nearer
        than `apart` asks, for times within both tolerances. So nobody who is in conflict at such a delay is missing.

        Args:
            corridor: it need not be in the index; where it is, it is near to itself.
            horizontal_m: separation, added to the room and the tubes of both; 0 or more.
            vertical_m: the same.
            later_s: seconds, 0 or more.

        Returns:
            Sorted numbers.

        Raises:
            ValueError: separations, a delay, or a corridor's room, that are negative or not finite.
        """
        room, limits = _room(corridor), _limits(corridor, horizontal_m, vertical_m)
        later = float(later_s)
        if not (math.isfinite(later) and later >= 0):
            raise ValueError(f"later_s must be a finite number of 0 or more, got {later_s!r}")
        found = self._gathered(corridor, room, limits, later)
        if len(found[3]) == 0:
            return np.empty(0, np.int64)
        numbers = met(*found, *room[1:], *limits, later, self._knots, self._rows, self._rooms, self._numbers)
        return np.unique(numbers)

    def conflicts(self, corridor: Corridor, horizontal_m: float, vertical_m: float) -> NDArray[np.int64]:
        """Who is in conflict with a corridor, exactly.

        Those for whom ``in_conflict(corridor.occupied, other.occupied, *apart(corridor, other, horizontal_m,
        vertical_m))`` holds.

        Returns:
            Sorted numbers.

        Raises:
            ValueError: separations or a corridor's room that are negative or not finite, or nothing to keep apart.
        """
        room, limits = _room(corridor), _limits(corridor, horizontal_m, vertical_m)
        found = self._gathered(corridor, room, limits, 0.0)
        if len(found[3]) == 0:
            return np.empty(0, np.int64)
        numbers = sifted(*found, *room[1:], *limits, self._knots, self._rows, self._rooms, self._numbers)
        numbers.sort()
        return numbers

    def _gathered(self, corridor, room, limits, later_s):
        hold, half_width, below, above, across, up, tolerance = room
        return gather(
            *_arrays(corridor),
            hold,
            half_width + across + limits[0],
            max(below, above) + up + limits[1],
            tolerance,
            later_s,
            self._epoch,
            self._cell_m,
            self._slot_s,
            self._counts,
            self._head,
            self._chunks,
            self._boxes,
            self._levels,
            self._reaches,
        )

    def _spread(self) -> None:
        """Twice as many buckets, and as many chunks: each old bucket may leave one half empty in both it becomes."""
        size = 2 * len(self._head)
        head, chunks = np.full(size, -1, np.int32), _chunks(size)
        spread(self._counts, self._head, self._chunks, head, chunks)
        self._head, self._chunks, self._boxes = head, chunks, chunks.view(np.float32)


def _arrays(corridor: Corridor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and places, of the one flavour that kernels are compiled for."""
    line = corridor.centre_line
    places = line.enu_m
    return line.t_s, places if places.flags.c_contiguous else read_only(np.ascontiguousarray(places))


def _room(corridor: Corridor) -> tuple[float, float, float, float, float, float, float]:
    """Hold, half-width, below, above, tube across and up, tolerance, as floats."""
    tube = corridor.tube
    room = (
        float(corridor.pad_hold_s),
        float(corridor.half_width_m),
        float(corridor.below_m),
        float(corridor.above_m),
        float(tube.horizontal_m),
        float(tube.vertical_m),
        float(corridor.time_tolerance_s),
    )
    if not (min(room) >= 0 and math.isfinite(sum(room))):
        raise ValueError(
            "a corridor's pad_hold_s, half_width_m, below_m, above_m, tube and time_tolerance_s must be finite numbers "
            f"of 0 or more, got {room}"
        )
    return room


def _limits(corridor: Corridor, horizontal_m: float, vertical_m: float) -> tuple[float, float]:
    limits = float(horizontal_m), float(vertical_m)
    if not (min(limits) >= 0 and math.isfinite(sum(limits))):
        raise ValueError(f"separations must be finite numbers of 0 or more, got {limits}")
    if not (corridor.half_width_m + limits[0] > 0 and max(corridor.below_m, corridor.above_m) + limits[1] > 0):
        raise ValueError(f"a corridor without room and separations of {limits} m leave nothing to keep apart")
    return limits


def _chunks(count: int) -> NDArray[np.int32]:
    """Memory for chunks, each on lines of the cache of its own."""
    line = 16
    memory = np.empty(count * WORDS + line, np.int32)
    first = -(memory.ctypes.data // 4) % line
    return memory[first : first + count * WORDS].reshape(count, WORDS)


def _doubled(array: NDArray) -> NDArray:
    more = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    more[: len(array)] = array
    return more
