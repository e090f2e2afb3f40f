"""Kernels of `utm.core.traffic`: a hierarchy of hash grids over boxes in time, east and north.

Every piece of a stored corridor has a box: its own room and time tolerance around it. The box lies in exactly one cell,
that of its least corner, of the level whose cells are just as large as it or larger. So a question looks, on each level
that is not empty, at the cells from as far below its own box as boxes of that level reach, and what is stored takes
one entry of 40 bytes for each piece, whatever its size (after the hierarchical grid of Ericson, Real-Time Collision
Detection, 2005, chapter 7.2; here with levels of their own for space and time). A bucket of the hash table is a chain
of chunks of entries. Cells are not told apart within a bucket: boxes decide.

Long straight pieces are cut into parts with a box each, so that the boxes of a slanted leg hold little but the leg.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from utm.core._jit import kernel

#: Pieces in a row of knots, the unit in which memory for corridors is handed out.
ROW = 8
#: Entries in a chunk of 64 words, four lines of the cache: the next chunk, how many entries it has, their pieces, the
#: hashes of their cells, two words of nothing, and from word 16 on, as float32, their boxes.
CHUNK, WORDS = 6, 64
_NEXT, _FILL, _PIECE, _CODE, _BOX = 0, 1, 2, 8, 16
#: Cells of the next level are this many times as large.
_STEP = 4.0
#: Levels of space and of time. The last ones have one cell for everything.
_SPACE_LEVELS, _TIME_LEVELS = 10, 12
LEVELS = _SPACE_LEVELS * _TIME_LEVELS
#: The boxes of a piece are those of parts of at most this length (metres), unless there are too many.
CUT_M = 384.0
_MOST_CUTS = 32

#: What `Traffic.near` adds to distances (metres) and to both ends of time (seconds): more than the margins of
#: `utm.core.conflict` and what Unix time is rounded by.
_NEAR = 1e-3

#: Boxes of a question are taken larger by this (metres and seconds) and by this share of where they are: more than
#: that, and more than all rounding, so that what is found never depends on what else is stored.
_SLACK, _SLACK_SHARE = 2e-3, 1e-12
#: What rounding to float32 can move a number by, as a share of it, twice; and a number near the largest.
_SINGLE, _LARGEST = 1.2e-7, 3e38

#: Cells that are looked at together.
_BATCH = 64

#: Where the counts are: entries; rows handed out, first free row, free rows; the same of chunks; and a place where
#: what was only asked for is written, so that the compiler does ask.
ENTRIES, ROWS, FREE_ROW, FREE_ROWS, CHUNKS, FREE_CHUNK, FREE_CHUNKS, _ASKED, COUNTS = range(9)
#: What `put` says.
DONE, NEEDS_ROWS, NEEDS_CHUNKS = range(3)


@kernel
def _occupied(t: Any, p: Any, hold: float) -> Any:
    """When a corridor begins (Unix seconds), and the times from then on (n,) and places (n, 3) of the line that it
    occupies: as `Trajectory.held` makes it, to the bit."""
    n = len(t)
    before, after = int(t[0] - hold < t[0]), int(t[n - 1] + hold > t[n - 1])
    start = t[0] - hold if before else t[0]
    times, places = np.empty(n + before + after), np.empty((n + before + after, 3))
    times[0] = 0.0
    for c in range(3):
        places[0, c], places[n + before + after - 1, c] = p[0, c], p[n - 1, c]
    for i in range(n):
        times[before + i] = t[i] - start
        for c in range(3):
            places[before + i, c] = p[i, c]
    if after:
        times[before + n] = (t[n - 1] + hold) - start
    return start, times, places


@kernel
def _cuts(places: Any, i: int) -> int:
    """Into how many parts the boxes of piece i of a line are cut; places (n, 3)."""
    east, north = places[i + 1, 0] - places[i, 0], places[i + 1, 1] - places[i, 1]
    longest = max(abs(east), abs(north)) / CUT_M
    return max(math.ceil(longest), 1) if longest < _MOST_CUTS else _MOST_CUTS


@kernel
def _box(
    begin: float,
    times: Any,
    places: Any,
    i: int,
    part: int,
    cuts: int,
    early: float,
    late: float,
    aside: float,
    up: float,
    own: Any,
    m: int,
) -> None:
    """The box own[m] (8,) of a part of piece i of a line: least and greatest seconds, metres east, north, up, with
    room around it. (Indices, not views, here as elsewhere: views are counted, which takes longer than the rest.)"""
    a, b = part / cuts, (part + 1) / cuts
    t0, t1 = begin + times[i], begin + times[i + 1]
    own[m, 0], own[m, 1] = t0 * (1 - a) + t1 * a - early, t0 * (1 - b) + t1 * b + late
    for c in range(3):
        room = aside if c < 2 else up
        e = places[i, c] * (1 - a) + places[i + 1, c] * a
        f = places[i, c] * (1 - b) + places[i + 1, c] * b
        own[m, 2 + 2 * c], own[m, 3 + 2 * c] = min(e, f) - room, max(e, f) + room


@kernel
def _outwards(low: float, high: float) -> Any:
    """An interval that holds another one still when both ends are rounded to float32, infinity included."""
    low, high = min(low - abs(low) * _SINGLE, _LARGEST), max(high + abs(high) * _SINGLE, -_LARGEST)
    return np.float32(low), np.float32(high)


@kernel
def _level(extent: float, cell: float, last: int) -> int:
    """The first level whose cells are at least as large as an extent, or the last."""
    level = 0
    while level < last and extent > cell:
        level, cell = level + 1, cell * _STEP
    return level


@kernel
def _size(level: int, cell: float, last: int) -> float:
    """How large the cells of a level are; infinite on the last."""
    return cell * _STEP**level if level < last else np.inf


@kernel
def _cell(at: float, size: float) -> int:
    """Where on an axis of cells a place is: never outside 41 bits, never fooled by infinity."""
    return math.floor(max(min(max(min(at, 1e300), -1e300) / size, 1e12), -1e12))


@kernel
def _hash(level: int, east: int, north: int, slot: int) -> int:
    """31 bits. Cells that follow each other in time stay neighbours, so that one line of the cache holds them."""
    key = np.uint64((((level << 18 | (east & 0x3FFFF)) << 18) | (north & 0x3FFFF)) << 15 | (slot >> 3 & 0x7FFF))
    key = (key ^ (key >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    key = (key ^ (key >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (np.int64(key >> np.uint64(33)) & ~7) | (slot & 7)


@kernel
def _place(own: Any, m: int, cell_m: float, slot_s: float) -> Any:
    """The level and the cell of box m, and its hash."""
    extent = max(own[m, 3] - own[m, 2], own[m, 5] - own[m, 4])
    space = _level(extent, cell_m, _SPACE_LEVELS - 1)
    time = _level(own[m, 1] - own[m, 0], slot_s, _TIME_LEVELS - 1)
    size, long = _size(space, cell_m, _SPACE_LEVELS - 1), _size(time, slot_s, _TIME_LEVELS - 1)
    slot, east, north = _cell(own[m, 0], long), _cell(own[m, 2], size), _cell(own[m, 4], size)
    level = space * _TIME_LEVELS + time
    return level, slot, east, north, _hash(level, east, north, slot)


@kernel
def _enter(own: Any, m: int, cell_m: float, slot_s: float, levels: Any, reaches: Any) -> int:
    """Count box m in its level; its hash."""
    level, slot, east, north, code = _place(own, m, cell_m, slot_s)
    if levels[level, 0] == 0:
        reaches[level, 0] = reaches[level, 1] = 0.0
        levels[level, 1] = levels[level, 2] = slot
        levels[level, 3] = levels[level, 4] = east
        levels[level, 5] = levels[level, 6] = north
    levels[level, 0] += 1
    reaches[level, 0] = max(reaches[level, 0], own[m, 1] - own[m, 0])
    reaches[level, 1] = max(reaches[level, 1], own[m, 3] - own[m, 2], own[m, 5] - own[m, 4])
    levels[level, 1], levels[level, 2] = min(levels[level, 1], slot), max(levels[level, 2], slot)
    levels[level, 3], levels[level, 4] = min(levels[level, 3], east), max(levels[level, 4], east)
    levels[level, 5], levels[level, 6] = min(levels[level, 5], north), max(levels[level, 6], north)
    return code


@kernel
def _push(bucket: int, counts: Any, head: Any, chunks: Any) -> Any:
    """Room for one more entry in a bucket: its chunk and which entry of it. There must be a chunk left."""
    chunk = head[bucket]
    if chunk < 0 or chunks[chunk, _FILL] == CHUNK:
        fresh = counts[FREE_CHUNK]
        if fresh >= 0:
            counts[FREE_CHUNK] = chunks[fresh, _NEXT]
            counts[FREE_CHUNKS] -= 1
        else:
            fresh = counts[CHUNKS]
            counts[CHUNKS] += 1
        chunks[fresh, _NEXT], chunks[fresh, _FILL] = chunk, 0
        head[bucket] = fresh
        chunk = fresh
    chunks[chunk, _FILL] += 1
    return np.int64(chunk), chunks[chunk, _FILL] - 1


@kernel
def put(
    t: Any,
    p: Any,
    hold: float,
    half_width: float,
    below: float,
    above: float,
    across: float,
    up: float,
    tolerance: float,
    number: int,
    slot: int,
    epoch: float,
    cell_m: float,
    slot_s: float,
    counts: Any,
    head: Any,
    chunks: Any,
    boxes: Any,
    knots: Any,
    rows: Any,
    levels: Any,
    reaches: Any,
    rooms: Any,
    numbers: Any,
) -> int:
    """Store a corridor: t (n,) Unix seconds, p (n, 3) metres, its room and its tube in metres, under a free slot.

    The other arrays are those of `utm.core.traffic.Traffic`. Nothing is written unless all of it has room.
    """
    start, times, places = _occupied(t, p, hold)
    pieces = len(times) - 1
    parts = 0
    for i in range(pieces):
        parts += _cuts(places, i)
    if len(rows) - counts[ROWS] + counts[FREE_ROWS] < (pieces + ROW - 1) // ROW:
        return NEEDS_ROWS
    if len(chunks) - counts[CHUNKS] + counts[FREE_CHUNKS] < parts:
        return NEEDS_CHUNKS
    values = (start, half_width, below, above, across, up, tolerance)
    for n in range(7):
        rooms[slot, n] = values[n]
    numbers[slot, 0], numbers[slot, 1] = number, -1
    own, codes, of = np.empty((parts, 8)), np.empty(parts, np.int64), np.empty(parts, np.int64)
    aside, rise = half_width + across, max(below, above) + up
    begin = start - epoch
    m, before, row = 0, -1, -1
    for i in range(pieces):
        j = i % ROW
        if j == 0:
            row = counts[FREE_ROW]
            if row >= 0:
                counts[FREE_ROW] = rows[row, 1]
                counts[FREE_ROWS] -= 1
            else:
                row = counts[ROWS]
                counts[ROWS] += 1
            rows[row, 0], rows[row, 1], rows[row, 2] = slot, -1, min(pieces - i, ROW)
            if before < 0:
                numbers[slot, 1] = row
            else:
                rows[before, 1] = row
            before = row
        for end in range(2):
            knots[row, j + end, 0] = times[i + end]
            for c in range(3):
                knots[row, j + end, 1 + c] = places[i + end, c]
        cuts = _cuts(places, i)
        for part in range(cuts):
            _box(begin, times, places, i, part, cuts, tolerance, tolerance, aside, rise, own, m)
            codes[m] = _enter(own, m, cell_m, slot_s, levels, reaches)
            of[m] = row * ROW + j
            m += 1
    counts[ENTRIES] += parts
    # Memory answers ten at once: all buckets, then all chunks, are asked for before the first is needed.
    asked = 0
    for m in range(parts):
        asked ^= head[codes[m] & (len(head) - 1)]
    for m in range(parts):
        chunk = head[codes[m] & (len(head) - 1)]
        if chunk >= 0:
            asked ^= chunks[chunk, 0] ^ chunks[chunk, 16] ^ chunks[chunk, 32] ^ chunks[chunk, 48]
    counts[_ASKED] = asked
    for m in range(parts):
        chunk, entry = _push(codes[m] & (len(head) - 1), counts, head, chunks)
        chunks[chunk, _PIECE + entry], chunks[chunk, _CODE + entry] = of[m], codes[m]
        for n in range(0, 8, 2):
            at = _BOX + 8 * entry + n
            boxes[chunk, at], boxes[chunk, at + 1] = _outwards(own[m, n], own[m, n + 1])
    return DONE


@kernel
def drop(
    slot: int,
    epoch: float,
    cell_m: float,
    slot_s: float,
    counts: Any,
    head: Any,
    chunks: Any,
    knots: Any,
    rows: Any,
    levels: Any,
    rooms: Any,
    numbers: Any,
) -> None:
    """Forget the corridor of a slot."""
    begin, tolerance = rooms[slot, 0] - epoch, rooms[slot, 6]
    aside, rise = rooms[slot, 1] + rooms[slot, 4], max(rooms[slot, 2], rooms[slot, 3]) + rooms[slot, 5]
    own, buckets = np.empty((1, 8)), np.empty(ROW * _MOST_CUTS, np.int64)
    row = numbers[slot, 1]
    while row >= 0:
        times, places = knots[row, :, 0], knots[row, :, 1:]
        m, asked = 0, 0
        for j in range(rows[row, 2]):
            cuts = _cuts(places, j)
            for part in range(cuts):
                _box(begin, times, places, j, part, cuts, tolerance, tolerance, aside, rise, own, 0)
                level, _, _, _, code = _place(own, 0, cell_m, slot_s)
                levels[level, 0] -= 1
                buckets[m] = code & (len(head) - 1)
                asked ^= head[buckets[m]]
                m += 1
        counts[ENTRIES] -= m
        for n in range(m):
            asked ^= chunks[head[buckets[n]], 0]
        counts[_ASKED] = asked
        m = 0
        for j in range(rows[row, 2]):
            for _ in range(_cuts(places, j)):
                _pull(row * ROW + j, buckets[m], counts, head, chunks)
                m += 1
        onward = rows[row, 1]
        rows[row, 1] = counts[FREE_ROW]
        counts[FREE_ROW] = row
        counts[FREE_ROWS] += 1
        row = onward
    numbers[slot, 0] = numbers[slot, 1] = -1


@kernel
def _copy(chunks: Any, chunk: int, entry: int, chunks_to: Any, chunk_to: int, entry_to: int) -> None:
    """An entry with its box, as bits."""
    chunks_to[chunk_to, _PIECE + entry_to] = chunks[chunk, _PIECE + entry]
    chunks_to[chunk_to, _CODE + entry_to] = chunks[chunk, _CODE + entry]
    for n in range(8):
        chunks_to[chunk_to, _BOX + 8 * entry_to + n] = chunks[chunk, _BOX + 8 * entry + n]


@kernel
def _pull(piece: int, bucket: int, counts: Any, head: Any, chunks: Any) -> None:
    """Take one entry of a piece out of a bucket. The last of the first chunk takes its place, so that only first
    chunks have room left."""
    first = head[bucket]
    chunk = first
    while chunk >= 0:
        for entry in range(chunks[chunk, _FILL]):
            if chunks[chunk, _PIECE + entry] == piece:
                chunks[first, _FILL] -= 1
                _copy(chunks, first, chunks[first, _FILL], chunks, chunk, entry)
                if chunks[first, _FILL] == 0:
                    head[bucket] = chunks[first, _NEXT]
                    chunks[first, _NEXT] = counts[FREE_CHUNK]
                    counts[FREE_CHUNK] = first
                    counts[FREE_CHUNKS] += 1
                return
        chunk = chunks[chunk, _NEXT]


@kernel
def spread(counts: Any, head: Any, chunks: Any, head_to: Any, chunks_to: Any) -> None:
    """Write all entries into a table with more buckets and chunks of its own."""
    counts[CHUNKS], counts[FREE_CHUNK], counts[FREE_CHUNKS] = 0, -1, 0
    for bucket in range(len(head)):
        chunk = head[bucket]
        while chunk >= 0:
            for entry in range(chunks[chunk, _FILL]):
                code = chunks[chunk, _CODE + entry]
                chunk_to, entry_to = _push(code & (len(head_to) - 1), counts, head_to, chunks_to)
                _copy(chunks, chunk, entry, chunks_to, chunk_to, entry_to)
            chunk = chunks[chunk, _NEXT]


@kernel
def _meet(own: Any, m: int, boxes: Any, chunk: int, entry: int) -> bool:
    """Whether box m of a question meets that of an entry, all float32.

    Without branches, which would be mispredicted eight times as long; with indices, not views, which are counted.
    """
    at = _BOX + 8 * entry
    return (
        (boxes[chunk, at] <= own[m, 1])
        & (own[m, 0] <= boxes[chunk, at + 1])
        & (boxes[chunk, at + 2] <= own[m, 3])
        & (own[m, 2] <= boxes[chunk, at + 3])
        & (boxes[chunk, at + 4] <= own[m, 5])
        & (own[m, 4] <= boxes[chunk, at + 5])
        & (boxes[chunk, at + 6] <= own[m, 7])
        & (own[m, 6] <= boxes[chunk, at + 7])
    )


@kernel
def _note(piece: int, i: int, found: Any, count: int, table: Any) -> int:
    """Add a pair of pieces to what was found: for each row of knots the first and last piece of the question, and of
    the row, that met. Returns how many rows there are now; one more than there is room for where it is not added."""
    row, j = np.int64(piece // ROW), np.int64(piece % ROW)
    at = (row * 0x9E3779B1) & (len(table) - 1)
    while table[at] >= 0 and found[table[at], 0] != row:
        at = (at + 1) & (len(table) - 1)
    n = table[at]
    if n >= 0:
        found[n, 1], found[n, 2] = min(found[n, 1], i), max(found[n, 2], i)
        found[n, 3], found[n, 4] = min(found[n, 3], j), max(found[n, 4], j)
        return count
    if count < len(found):
        table[at] = count
        found[count, 0] = row
        found[count, 1] = found[count, 2] = i
        found[count, 3] = found[count, 4] = j
    return count + 1


@kernel
def gather(
    t: Any,
    p: Any,
    hold: float,
    aside: float,
    rise: float,
    tolerance: float,
    later: float,
    epoch: float,
    cell_m: float,
    slot_s: float,
    counts: Any,
    head: Any,
    chunks: Any,
    boxes: Any,
    levels: Any,
    reaches: Any,
) -> Any:
    """Which stored pieces have a box that meets one of a corridor.

    t (n,) Unix seconds, p (n, 3) metres; aside, rise: metres around it; early and late by the tolerance, and later.

    Returns:
        Unix seconds when it begins, its times from then on (n,) and places (n, 3), held on its pads, and what was
        found (k, 5): a row of knots, first and last piece of the corridor, first and last piece of the row.
    """
    start, times, places = _occupied(t, p, hold)
    parts = 0
    for i in range(len(times) - 1):
        parts += _cuts(places, i)
    own, single, of = np.empty((parts, 8)), np.empty((parts + 1, 8), np.float32), np.empty(parts, np.int64)
    begin = start - epoch
    m = 0
    for i in range(len(times) - 1):
        cuts = _cuts(places, i)
        for part in range(cuts):
            _box(begin, times, places, i, part, cuts, tolerance, tolerance + later, aside, rise, own, m)
            for n in range(0, 8, 2):
                # Seconds count from the epoch, but were rounded as Unix time.
                far = max(abs(own[m, n]), abs(own[m, n + 1])) + (abs(start) if n == 0 else 0.0)
                own[m, n] -= _SLACK + far * _SLACK_SHARE
                own[m, n + 1] += _SLACK + far * _SLACK_SHARE
                single[m, n], single[m, n + 1] = _outwards(own[m, n], own[m, n + 1])
            of[m] = i
            m += 1
    for n in range(0, 8, 2):  # last, the box around all of them
        single[parts, n], single[parts, n + 1] = single[:parts, n].min(), single[:parts, n + 1].max()
    room = 128
    while True:
        found, table = np.empty((room, 5), np.int64), np.full(4 * room, -1, np.int32)
        count = _search(own, single, of, cell_m, slot_s, counts, head, chunks, boxes, levels, reaches, found, table)
        if count <= room:
            return start, times, places, found[:count]
        room *= 4


@kernel
def _search(
    own: Any,
    single: Any,
    of: Any,
    cell_m: float,
    slot_s: float,
    counts: Any,
    head: Any,
    chunks: Any,
    boxes: Any,
    levels: Any,
    reaches: Any,
    found: Any,
    table: Any,
) -> int:
    """What meets the boxes own (m, 8), single (m + 1, 8) float32, of the pieces of (m,). Returns how many rows were
    found, more than there is room for where it gave up."""
    parts, count, waiting = len(own), 0, 0
    ranges, visits = np.empty((parts, 6), np.int64), np.empty((_BATCH + 1, 3), np.int64)
    for level in range(LEVELS):
        if levels[level, 0] == 0:
            continue
        if _cells(own, level, cell_m, slot_s, levels, reaches, ranges) > counts[ENTRIES] + 64:
            return _look_at_all(single, of, head, chunks, boxes, found, count, table)
        for m in range(parts):
            for east in range(ranges[m, 2], ranges[m, 3] + 1):
                for north in range(ranges[m, 4], ranges[m, 5] + 1):
                    for slot in range(ranges[m, 0], ranges[m, 1] + 1):
                        # A cell is looked at once for all parts in a row that reach it, from the first of them.
                        if m > 0 and _holds(ranges, m - 1, slot, east, north):
                            continue
                        last = m + 1
                        while last < parts and _holds(ranges, last, slot, east, north):
                            last += 1
                        bucket = _hash(level, east, north, slot) & (len(head) - 1)
                        visits[waiting, 0], visits[waiting, 1], visits[waiting, 2] = bucket, m, last
                        waiting += 1
                        if waiting == _BATCH:
                            count = _visit(visits, waiting, single, of, head, chunks, boxes, found, count, table)
                            waiting = 0
                            if count > len(found):
                                return count
    return _visit(visits, waiting, single, of, head, chunks, boxes, found, count, table)


@kernel
def _visit(
    visits: Any,
    waiting: int,
    single: Any,
    of: Any,
    head: Any,
    chunks: Any,
    boxes: Any,
    found: Any,
    count: int,
    table: Any,
) -> int:
    """Look at some cells: visits (n, 3), each a bucket, and the parts of the question from one up to another."""
    # All buckets, then all lines of all chunks, are asked for before the first is needed: memory answers ten at once.
    for v in range(waiting):
        visits[v, 0] = head[visits[v, 0]]
    first = 0
    for v in range(waiting):
        if visits[v, 0] >= 0:
            visits[first, 0], visits[first, 1], visits[first, 2] = visits[v, 0], visits[v, 1], visits[v, 2]
            first += 1
    waiting = first
    while waiting > 0:
        asked = 0
        for v in range(waiting):
            chunk = visits[v, 0]
            asked += chunks[chunk, 0] ^ chunks[chunk, 16] ^ chunks[chunk, 32] ^ chunks[chunk, 48]
        visits[_BATCH, 0] = asked
        longer = 0
        for v in range(waiting):
            chunk = visits[v, 0]
            for entry in range(chunks[chunk, _FILL]):
                for k in range(visits[v, 1], visits[v, 2]):
                    if _meet(single, k, boxes, chunk, entry):
                        count = _note(chunks[chunk, _PIECE + entry], of[k], found, count, table)
                        if count > len(found):
                            return count
            if chunks[chunk, _NEXT] >= 0:
                visits[longer, 0] = chunks[chunk, _NEXT]
                visits[longer, 1], visits[longer, 2] = visits[v, 1], visits[v, 2]
                longer += 1
        waiting = longer
    return count


@kernel
def _cells(own: Any, level: int, cell_m: float, slot_s: float, levels: Any, reaches: Any, ranges: Any) -> float:
    """Which cells of a level hold whatever meets boxes (m, 8): ranges (m, 6), first and last slot, east, north; and
    how many they are."""
    size = _size(level // _TIME_LEVELS, cell_m, _SPACE_LEVELS - 1)
    long = _size(level % _TIME_LEVELS, slot_s, _TIME_LEVELS - 1)
    cells = 0.0
    for m in range(len(own)):
        product = 1.0
        for axis in range(3):
            width, reach = (long, reaches[level, 0]) if axis == 0 else (size, reaches[level, 1])
            first = max(_cell(own[m, 2 * axis] - reach, width), levels[level, 1 + 2 * axis])
            last = min(_cell(own[m, 2 * axis + 1], width), levels[level, 2 + 2 * axis])
            ranges[m, 2 * axis], ranges[m, 2 * axis + 1] = first, last
            product *= max(last - first + 1, 0)
        cells += product
    return cells


@kernel
def _look_at_all(single: Any, of: Any, head: Any, chunks: Any, boxes: Any, found: Any, count: int, table: Any) -> int:
    """The same as `_search`, by looking at every entry: for questions of more cells than there are entries."""
    parts = len(of)
    for bucket in range(len(head)):
        chunk = head[bucket]
        while chunk >= 0:
            for entry in range(chunks[chunk, _FILL]):
                if not _meet(single, parts, boxes, chunk, entry):
                    continue
                for m in range(parts):
                    if _meet(single, m, boxes, chunk, entry):
                        count = _note(chunks[chunk, _PIECE + entry], of[m], found, count, table)
                        if count > len(found):
                            return count
            chunk = chunks[chunk, _NEXT]
    return count


@kernel
def _holds(ranges: Any, m: int, slot: int, east: int, north: int) -> bool:
    return (
        ranges[m, 0] <= slot <= ranges[m, 1]
        and ranges[m, 2] <= east <= ranges[m, 3]
        and ranges[m, 4] <= north <= ranges[m, 5]
    )


@kernel
def met(
    start: float,
    times: Any,
    places: Any,
    found: Any,
    half_width: float,
    below: float,
    above: float,
    across: float,
    up: float,
    tolerance: float,
    horizontal: float,
    vertical: float,
    later: float,
    knots: Any,
    rows: Any,
    rooms: Any,
    numbers: Any,
) -> Any:
    """Of what `gather` found, the numbers of those corridors of which the box around a part of a piece is nearer than
    the limits to such a box of this corridor; one corridor may be named more than once.

    The arguments are those of `utm.core.conflict.sifted`; nothing depends on what else is stored.
    """
    out, count = np.empty(len(found), np.int64), 0
    a, b = np.empty((1, 8)), np.empty((1, 8))
    for f in range(len(found)):
        row = found[f, 0]
        slot = rows[row, 0]
        wide = half_width + rooms[slot, 1] + (across + rooms[slot, 4]) + horizontal + _NEAR
        room = max(below + rooms[slot, 3], above + rooms[slot, 2])
        high = room + (up + rooms[slot, 5]) + vertical + _NEAR
        both, offset = tolerance + rooms[slot, 6] + _NEAR, start - rooms[slot, 0]
        if _boxes_meet(times, places, found[f], knots[row], offset, wide, high, both, both + later, a, b):
            out[count] = numbers[slot, 0]
            count += 1
    return out[:count]


@kernel
def _boxes_meet(
    times: Any,
    places: Any,
    pieces: Any,
    knots: Any,
    offset: float,
    wide: float,
    high: float,
    early: float,
    late: float,
    a: Any,
    b: Any,
) -> bool:
    """Whether, among some pieces of a corridor and of a row of knots (n, 4), two parts have boxes that near."""
    others, spots = knots[:, 0], knots[:, 1:]
    for i in range(pieces[1], pieces[2] + 1):
        cuts = _cuts(places, i)
        for part in range(cuts):
            _box(offset, times, places, i, part, cuts, early, late, wide, high, a, 0)
            for j in range(pieces[3], pieces[4] + 1):
                if a[0, 1] < others[j] or others[j + 1] < a[0, 0]:
                    continue
                pieces_of = _cuts(spots, j)
                for n in range(pieces_of):
                    _box(0.0, others, spots, j, n, pieces_of, 0.0, 0.0, 0.0, 0.0, b, 0)
                    if (
                        a[0, 0] <= b[0, 1]
                        and b[0, 0] <= a[0, 1]
                        and a[0, 6] <= b[0, 7]
                        and b[0, 6] <= a[0, 7]
                        and _within(a, b, wide)
                    ):
                        return True
    return False


@kernel
def _within(a: Any, b: Any, wide: float) -> bool:
    """Whether two boxes, of which a has been made wider by some metres, are that near horizontally."""
    east = max(b[0, 2] - a[0, 3], a[0, 2] - b[0, 3]) + wide
    north = max(b[0, 4] - a[0, 5], a[0, 4] - b[0, 5]) + wide
    east, north = max(east, 0.0), max(north, 0.0)
    return east * east + north * north <= wide * wide
