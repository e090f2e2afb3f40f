"""Bidirectional A* over 26 neighbours: the kernels of `utm.core.grid`.

Two searches, one from the start and one from the goal, take turns; each is A* towards the other's origin. With C* the
least cost, g the cost so far on a side, h and h' the octile estimates to the other's and to the own origin, and F' a
lower bound of cost plus estimate over what waits on the other side: L is the cheapest way seen, updated whenever one
side writes a voxel that the other has written, and a side drops a voxel when g + h >= L or g + F' - h' >= L. It ends
when a side has nothing waiting below L (after NBA*, Pijls and Post, "Yet another bidirectional algorithm for finding
the shortest path", 2009; theirs expands in strict order and once, which is not needed).

Why that is exact. Let O be the voxels on cheapest ways, and suppose L > C*. Call a voxel of O *reached* by a side that
has written its least cost from there. (1) While no reached voxel of O has been dropped, for every n of O that a side
has not reached, one waits on that side that is reached and has g + h <= the value of n at its least cost: go back
from n along the voxels x(n), x(x(n)), ..., where x(n) precedes n on a cheapest way to n with the cheapest last step.
The origin is reached; of the first that is not, the one before is reached, and had it been expanded at that cost the
step to the next would not have been left out (`utm.core._moves`; its detours are no dearer, so they stay in O). So it
waits, and h is consistent. (2) No reached voxel v of O is ever dropped. Take the first: g + h <= C* < L did not drop
it. The other side has not reached v, or L were C*. By (1) F' <= h' + the cheapest way on from v, so g + F' - h' <= C*
< L did not drop it either. (3) The end needs something waiting: the goal is not reached by the start's side, or L were
C*; so by (1) one waits on that side with g + h <= C* < L, and likewise on the other. Hence the search ends with
L = C*. Nothing here asks in which order voxels are expanded, or that they are expanded once. Steps may be taken
backwards because a permitted step is permitted both ways: its box is the same.

What makes it fast:

- One 64-bit word per voxel and side holds the query's number, the cost so far, a closed flag and the way back, ordered
  so that one comparison says "better than what is there, or left from an earlier query". Nothing is cleared between
  queries, and memory that no search reaches is never touched. The words of both sides lie together.
- Costs are integers: a step of 1 is `_UNIT`, chosen so that sqrt(2) and sqrt(3) times it are integers to 5e-11. Sums
  are exact, ties are ties, and a way of n steps is within n * 1e-10 of the optimum.
- A ring of buckets is the queue of a side, last in first out inside a bucket, so that ties under an open sky run
  straight to the goal. A step changes cost plus estimate by 2 sqrt(3) at most, so a short ring is enough. Order inside
  a bucket may expand a voxel too early; it is then opened again.
- The walls are bits: 62 voxels of a column per word, so the 27 cells around a voxel are nine loads from a table that
  stays in the cache. A city has few different surroundings: which steps each asks for is worked out once and kept.

The two sides matter where both ends are enclosed (a courtyard, a street): one search has left its own enclosure soon,
but not knowing the other it floods all that costs less than leaving that too. On city M they need half the expansions
in the mean and a third in the median.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel
from utm.core._moves import START
from utm.core._walls import SPAN

_UNIT = 2151016
COSTS = (0, _UNIT, 3041996, 3725669)  # round(_UNIT * sqrt(n)): the best simultaneous fit below 2**23
FOUND, NO_WAY, TOO_LONG = 0, 1, 2

# The word, from the top: 12 bits query, 45 bits (FAR - cost), 1 bit closed, 5 bits direction of the last step.
# A larger word is a better one.
FAR = (1 << 45) - 1
QUERIES = (1 << 12) - 1
LONGEST = FAR // _UNIT  # voxels
_CLOSED = 1 << 5
_START = START  # the direction of an origin: none
_SPAN = SPAN
_NONE = 1 << 62  # the cost of no way

_BUCKET_SHIFT = 14  # a bucket is 1/131 of a step wide
_RING = 1024  # buckets; wider than 2 sqrt(3) steps, the most by which a step can change cost plus estimate


@kernel
def _estimate(dx: int, dy: int, dz: int) -> int:
    """Least cost over free voxels (octile distance in three dimensions): a norm, so it is consistent."""
    a, b, c = abs(dx), abs(dy), abs(dz)
    if a < b:
        a, b = b, a
    if b < c:
        b, c = c, b
        if a < b:
            a, b = b, a
    return a * COSTS[1] + b * (COSTS[2] - COSTS[1]) + c * (COSTS[3] - COSTS[2])


@kernel
def _least(slot: int, queue: Any, words: Any, px: Any, py: Any, pz: Any, side: int, gx: int, gy: int, gz: int) -> int:
    """The least cost plus estimate among the entries of a bucket that still wait."""
    least = np.int64(_NONE)
    while slot >= 0:
        entry = queue[slot, 0]
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, entry & 0x1FFFFF
        word = words[px[x] + py[y] + pz[z] + side]
        if not word & _CLOSED:
            least = min(least, FAR - ((word >> 6) & FAR) + _estimate(gx - x, gy - y, gz - z))
        slot = queue[slot, 1]
    return least


@kernel
def _around(walls: Any, x: int, y: int, z: int) -> int:
    """The walls among the 27 cells around a voxel."""
    w = z // _SPAN
    shift = z - w * _SPAN
    around = np.int64(0)
    for i in range(3):
        for j in range(3):
            around |= ((walls[x + i, y + j, w] >> shift) & 7) << (9 * i + 3 * j)
    return around


@kernel
def _onward(around: int, came: int, row: Any, needs: Any, detours: Any, ends: Any) -> None:
    """Fill row with the number of steps to look at from a voxel among these walls, then those steps."""
    count = 0
    for e in range(26):
        if around & needs[e]:
            continue
        needless = False
        for m in range(ends[came, e], ends[came, e + 1]):
            needless |= around & detours[m] == 0
        if not needless:
            count += 1
            row[count] = e
    row[0] = count


@kernel
def explore(
    walls: Any,
    words: Any,
    places: Any,
    query: int,
    origins: Any,
    turn: int,
    queue: Any,
    known: Any,
    onward: Any,
    steps: Any,
    needs: Any,
    detours: Any,
    ends: Any,
) -> Any:
    """Fill words with the ways of one query; returns (status, the voxel where the two sides meet, expansions, queue).
    Costs are in units of 1 / _UNIT voxel.

    origins (2, 3): start and goal. turn: a side expands at least so many voxels before the other may. queue
    (capacity, 2): a pool of entries (packed voxel, next entry of the same bucket or -1), returned larger when it grew.
    known (m,), onward (m, 27): surroundings (-1: none yet) and what `_onward` says of them, m a power of two.
    """
    px, py, pz = places
    heads = np.full((2, _RING), -1, np.int64)
    bucket, floor, seen = np.zeros(2, np.int64), np.zeros(2, np.int64), np.full(2, -1, np.int64)
    waiting, expansions = np.ones(2, np.int64), np.zeros(2, np.int64)
    stamp = query << 45
    straight = _estimate(origins[1, 0] - origins[0, 0], origins[1, 1] - origins[0, 1], origins[1, 2] - origins[0, 2])
    for side in range(2):
        x, y, z = origins[side, 0], origins[side, 1], origins[side, 2]
        words[px[x] + py[y] + pz[z] + side] = ((stamp | FAR) << 6) | _START
        queue[side, 0], queue[side, 1] = (x << 42) | (y << 21) | z, -1
        bucket[side], floor[side] = straight >> _BUCKET_SHIFT, straight
        heads[side, bucket[side] & (_RING - 1)] = side
    fresh, spare = 2, -1
    best, meeting = np.int64(_NONE), np.int64(-1)
    if straight == 0:
        best, meeting = np.int64(0), (x << 42) | (y << 21) | z
    side, turn_ends, too_long = 0, turn, False
    run = np.int64(-1)  # the last voxel reached in this bucket, which is next: it need not pass through the queue

    while best > straight:
        if run >= 0:
            entry, run = run, np.int64(-1)
        else:
            if expansions[side] >= turn_ends:
                side = 1 - side
                turn_ends = expansions[side] + turn
            if waiting[side] == 0:
                break
            gx, gy, gz = origins[1 - side, 0], origins[1 - side, 1], origins[1 - side, 2]
            hx, hy, hz = origins[side, 0], origins[side, 1], origins[side, 2]
            now = bucket[side]
            slot = heads[side, now & (_RING - 1)]
            while slot < 0:
                now += 1
                slot = heads[side, now & (_RING - 1)]
            bucket[side] = now
            if seen[side] != now:
                seen[side] = now
                least = _least(slot, queue, words, px, py, pz, side, gx, gy, gz)
                floor[side] = max(floor[side], now << _BUCKET_SHIFT, least if least < _NONE else np.int64(0))
            if floor[side] >= best:
                break
            entry = queue[slot, 0]
            heads[side, now & (_RING - 1)] = queue[slot, 1]
            queue[slot, 1] = spare
            spare = slot
            waiting[side] -= 1
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, entry & 0x1FFFFF
        here = px[x] + py[y] + pz[z] + side
        word = words[here]
        if word & _CLOSED:
            continue
        cost = FAR - ((word >> 6) & FAR)
        if best < _NONE and (
            cost + _estimate(gx - x, gy - y, gz - z) >= best
            or cost + floor[1 - side] - _estimate(hx - x, hy - y, hz - z) >= best
        ):
            continue
        words[here] = word | _CLOSED
        expansions[side] += 1
        came = word & 31

        around = _around(walls, x, y, z)
        # Four of five voxels are passed straight on in the open; that takes no look at the tables and no queue.
        while around == 0 and came != _START and steps[came, 3] == COSTS[1]:
            u, v, t = x + steps[came, 0], y + steps[came, 1], z + steps[came, 2]
            reached = cost + COSTS[1]
            there = px[u] + py[v] + pz[t] + side
            mark = stamp | (FAR - reached)
            total = reached + _estimate(gx - u, gy - v, gz - t)
            if reached > FAR or mark <= words[there] >> 6 or total >= best or total >> _BUCKET_SHIFT != now:
                break
            if _around(walls, u, v, t):
                break
            words[there] = (mark << 6) | came
            theirs = words[there ^ 1]
            if theirs >> 51 == query and reached + FAR - ((theirs >> 6) & FAR) < best:
                best, meeting = reached + FAR - ((theirs >> 6) & FAR), (u << 42) | (v << 21) | t
            if best < _NONE and (
                total >= best or reached + floor[1 - side] - _estimate(hx - u, hy - v, hz - t) >= best
            ):
                break
            words[there] |= _CLOSED
            expansions[side] += 1
            x, y, z, cost = u, v, t, reached
        surroundings = (around << 5) | came
        place = (((around * 0x3C6EF35F) >> 30) + 157 * came) & (len(known) - 1)  # below 2**57: nothing overflows
        if known[place] != surroundings:
            _onward(around, came, onward[place], needs, detours, ends)
            known[place] = surroundings

        for k in range(1, onward[place, 0] + 1):
            e = np.int64(onward[place, k])
            reached = cost + steps[e, 3]
            u, v, t = x + steps[e, 0], y + steps[e, 1], z + steps[e, 2]
            there = px[u] + py[v] + pz[t] + side
            if reached > FAR:
                too_long = True
                continue
            mark = stamp | (FAR - reached)
            if mark <= words[there] >> 6:
                continue
            total = reached + _estimate(gx - u, gy - v, gz - t)
            if total >= best:
                continue
            words[there] = (mark << 6) | e
            theirs = words[there ^ 1]
            if theirs >> 51 == query and reached + FAR - ((theirs >> 6) & FAR) < best:
                best, meeting = reached + FAR - ((theirs >> 6) & FAR), (u << 42) | (v << 21) | t
            if best < _NONE and (
                total >= best or reached + floor[1 - side] - _estimate(hx - u, hy - v, hz - t) >= best
            ):
                continue
            entry = (u << 42) | (v << 21) | t
            if total >> _BUCKET_SHIFT == now:
                entry, run = run, entry
                if entry < 0:
                    continue
            if spare >= 0:
                slot = spare
                spare = queue[slot, 1]
            else:
                if fresh == len(queue):
                    larger = np.empty((2 * fresh, 2), np.int64)
                    larger[:fresh] = queue
                    queue = larger
                slot = fresh
                fresh += 1
            ring = (total >> _BUCKET_SHIFT) & (_RING - 1)
            queue[slot, 0], queue[slot, 1] = entry, heads[side, ring]
            heads[side, ring] = slot
            waiting[side] += 1
    tried = expansions[0] + expansions[1]
    if best > FAR and too_long:
        return TOO_LONG, meeting, tried, queue
    return (FOUND if best < _NONE else NO_WAY), meeting, tried, queue


@kernel
def trace(words: Any, places: Any, meeting: int, steps: Any) -> Any:
    """The cells (n, 3) from the start to the goal by the directions that the two sides left in the words, and how many
    of the steps change one, two and three coordinates."""
    px, py, pz = places
    counts, kinds = np.zeros(2, np.int64), np.zeros(4, np.int64)
    for side in range(2):
        x, y, z = meeting >> 42, (meeting >> 21) & 0x1FFFFF, meeting & 0x1FFFFF
        came = words[px[x] + py[y] + pz[z] + side] & 31
        while came != _START and counts[side] < len(words):
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
            kinds[abs(steps[came, 0]) + abs(steps[came, 1]) + abs(steps[came, 2])] += 1
            counts[side] += 1
            came = words[px[x] + py[y] + pz[z] + side] & 31
    cells = np.empty((counts[0] + 1 + counts[1], 3), np.int32)
    for side in range(2):
        x, y, z = meeting >> 42, (meeting >> 21) & 0x1FFFFF, meeting & 0x1FFFFF
        cells[counts[0], 0], cells[counts[0], 1], cells[counts[0], 2] = x, y, z
        for k in range(1, counts[side] + 1):
            came = words[px[x] + py[y] + pz[z] + side] & 31
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
            row = counts[0] + (2 * side - 1) * k
            cells[row, 0], cells[row, 1], cells[row, 2] = x, y, z
    return cells, kinds[1], kinds[2], kinds[3]
