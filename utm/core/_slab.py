"""A* over the voxels of a slab of columns, in memory that grows with what is visited.

The words of the search, one for each voxel, lie in pages of 16 x 16 columns. A page is taken from a pool and cleared
when the search first comes near it, and is as high as its columns are open; the table of pages is one number for 256
columns. The word, the order of expansion and the needless steps are those of `utm.core.grid`. The estimate is the
potential of the coarser slab (`utm.core.longways`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel

# As in `utm.core._lazy` and `utm.core.pyramid`; here again because the compile cache watches one file
_COST, _LAYER, _STATE, _NEXT = 0, 2, 3, 4
_PAD = 2

FOUND, NO_WAY, QUEUE_FULL, POOL_FULL = 1, 2, 3, 4
SIDE = 16
START = 26
_FAR = (1 << 45) - 1
_CLOSED = 1 << 5
_INFINITE = 1 << 60
_SHIFT = 14
_RING = 1 << 12


@kernel
def _potential(heads: Any, labels: Any, query: int, step: int, pace: Any, x: int, y: int, z: int) -> int:
    """As `utm.core._lazy.to_go`: what the coarse search did not close is not there."""
    axis, diagonal, climb = pace[0], pace[1], pace[2]
    rows, cols = heads.shape
    best = _INFINITE
    far = 2 * step - 2
    for r in range(-((far - x) // step), (x + far) // step + 1):
        dx = x - r * step
        for c in range(-((far - y) // step), (y + far) // step + 1):
            dy = y - c * step
            a, b = abs(dx), abs(dy)
            if a < b:
                a, b = b, a
            if b >= step or a - b >= step:
                continue
            i, j = r + _PAD, c + _PAD
            if i < 0 or j < 0 or i >= rows or j >= cols:
                continue
            head = heads[i, j]
            if head >> 32 == query:
                away = (a - b) * axis + b * diagonal
                n = head & 0xFFFFFFFF
                while n > 0:
                    if labels[n, _STATE] & 3 == 1:
                        best = min(best, labels[n, _COST] + climb * abs(labels[n, _LAYER] - z) + away)
                    n = labels[n, _NEXT]
    return best


@kernel
def _page(pages: Any, pool: Any, taken: Any, lowest: Any, highest: Any, p: int, q: int) -> bool:
    """Give page (p, q) its words; False if the pool is empty. pages (n, m, 3): query, place in the pool, least layer
    in the upper and height in the lower 32 bits."""
    nx, ny = lowest.shape
    low, high = 32767, -32768
    for x in range(p * SIDE, min((p + 1) * SIDE, nx)):
        for y in range(q * SIDE, min((q + 1) * SIDE, ny)):
            if lowest[x, y] < highest[x, y]:
                low = min(low, np.int64(lowest[x, y]))
                high = max(high, np.int64(highest[x, y]))
    height = max(high - low, 0)
    size = SIDE * SIDE * height
    if taken[0] + size > len(pool):
        return False
    pool[taken[0] : taken[0] + size] = 0
    pages[p, q, 1] = taken[0]
    pages[p, q, 2] = (low << 32) | height
    taken[0] += size
    return True


@kernel
def explore(
    lowest: Any,
    highest: Any,
    pages: Any,
    pool: Any,
    queue: Any,
    query: int,
    begin: Any,
    end: Any,
    limit: int,
    known: bool,
    share: int,
    heads: Any,
    labels: Any,
    coarse: Any,
    pace: Any,
    steps: Any,
    needs: Any,
    natural: Any,
    detours: Any,
    ends: Any,
) -> Any:
    """Search from voxel begin to voxel end; returns (status, cost, reach, expansions, words taken).

    limit: nothing of that cost or more is wanted; known: a way of that cost is at hand. share: enough is a way whose
    cost times share / 2**20 is not above the bound. coarse = (query, step, offset) of the coarse search in heads and
    labels. cost: of the best way, limit if none is better. reach: no way is shorter than this or cost.
    """
    nx, ny = lowest.shape
    heap = np.full(_RING, -1, np.int64)
    mask = _RING - 1
    taken = np.zeros(1, np.int64)
    capacity = len(queue)
    best = limit
    found = False
    enough = -((-limit * share) >> 20) if known else _INFINITE
    expansions = 0

    x, y, z = begin[0], begin[1], begin[2]
    if not _page(pages, pool, taken, lowest, highest, x // SIDE, y // SIDE):
        return POOL_FULL, best, 0, expansions, taken[0]
    pages[x // SIDE, y // SIDE, 0] = query
    page = pages[x // SIDE, y // SIDE]
    height = page[2] & 0xFFFFFFFF
    pool[page[1] + (x % SIDE * SIDE + y % SIDE) * height + z - (page[2] >> 32)] = (_FAR << 6) | START
    if x == end[0] and y == end[1] and z == end[2]:
        return FOUND, 0, 0, 0, taken[0]
    ahead = max(_potential(heads, labels, coarse[0], coarse[1], pace, x, y, z) - coarse[2], 0)
    if ahead >= best:
        return NO_WAY, best, best, 0, taken[0]
    bucket = ahead >> _SHIFT
    queue[0, 0], queue[0, 1], queue[0, 2] = (x << 42) | (y << 21) | (z + 32768), -1, ahead
    heap[bucket & mask] = 0
    fresh, spare, waiting = 1, -1, 1

    while waiting > 0:
        slot = heap[bucket & mask]
        while slot < 0:
            bucket += 1
            slot = heap[bucket & mask]
        if bucket << _SHIFT >= min(best, enough):
            break
        entry, estimate = queue[slot, 0], queue[slot, 2]
        heap[bucket & mask] = queue[slot, 1]
        if estimate >> _SHIFT > bucket:  # was farther ahead than the ring reaches
            ring = min(estimate >> _SHIFT, bucket + mask) & mask
            queue[slot, 1] = heap[ring]
            heap[ring] = slot
            continue
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        if estimate >= best:
            continue
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, (entry & 0x1FFFFF) - 32768
        page = pages[x // SIDE, y // SIDE]
        here = page[1] + (x % SIDE * SIDE + y % SIDE) * (page[2] & 0xFFFFFFFF) + z - (page[2] >> 32)
        word = pool[here]
        if word & _CLOSED:
            continue
        cost = _FAR - ((word >> 6) & _FAR)
        pool[here] = word | _CLOSED
        expansions += 1
        came = word & 31

        around = np.int64(0)
        for i in range(3):
            u = x + i - 1
            for j in range(3):
                v = y + j - 1
                if u < 0 or v < 0 or u >= nx or v >= ny:
                    around |= 7 << (9 * i + 3 * j)
                    continue
                low, high = np.int64(lowest[u, v]), np.int64(highest[u, v])
                if low < z and z + 1 < high:
                    continue
                for k in range(3):
                    if z + k - 1 < low or z + k - 1 >= high:
                        around |= 1 << (9 * i + 3 * j + k)

        row = natural[came] if around == 0 else natural[START]
        for k in range(1, row[0] + 1):
            e = row[k]
            if around != 0:
                if around & needs[e]:
                    continue
                if came != START:
                    needless = False
                    for m in range(ends[came, e], ends[came, e + 1]):
                        if around & detours[m] == 0:
                            needless = True
                            break
                    if needless:
                        continue
            onward = cost + steps[e, 3]
            u, v, t = x + steps[e, 0], y + steps[e, 1], z + steps[e, 2]
            p, q = u // SIDE, v // SIDE
            if pages[p, q, 0] != query:
                if not _page(pages, pool, taken, lowest, highest, p, q):
                    return POOL_FULL, best, bucket << _SHIFT, expansions, taken[0]
                pages[p, q, 0] = query
            page = pages[p, q]
            there = page[1] + (u % SIDE * SIDE + v % SIDE) * (page[2] & 0xFFFFFFFF) + t - (page[2] >> 32)
            better = _FAR - onward
            if better <= (pool[there] >> 6):
                continue
            ahead = max(_potential(heads, labels, coarse[0], coarse[1], pace, u, v, t) - coarse[2], 0)
            if onward + ahead >= best:
                continue
            total = onward + ahead
            pool[there] = (better << 6) | e
            if u == end[0] and v == end[1] and t == end[2]:
                best = onward
                found = True
                enough = -((-best * share) >> 20)
                continue
            if spare >= 0:
                slot = spare
                spare = queue[slot, 1]
            elif fresh < capacity:
                slot = fresh
                fresh += 1
            else:
                return QUEUE_FULL, best, bucket << _SHIFT, expansions, taken[0]
            ring = min(max(total >> _SHIFT, bucket), bucket + mask) & mask
            queue[slot, 0], queue[slot, 1], queue[slot, 2] = (u << 42) | (v << 21) | (t + 32768), heap[ring], total
            heap[ring] = slot
            waiting += 1
    reach = min(bucket << _SHIFT, best) if waiting > 0 else best
    return (FOUND if found else NO_WAY), best, reach, expansions, taken[0]


@kernel
def trace(pages: Any, pool: Any, end: Any, steps: Any) -> Any:
    """The cells (n, 3) from the end back to where the search began."""
    count = 1
    cells = np.empty((0, 3), np.int32)
    for turn in range(2):
        if turn == 1:
            cells = np.empty((count, 3), np.int32)
        x, y, z = end[0], end[1], end[2]
        n = 0
        while True:
            if turn == 1:
                cells[n, 0], cells[n, 1], cells[n, 2] = x, y, z
            page = pages[x // SIDE, y // SIDE]
            word = pool[page[1] + (x % SIDE * SIDE + y % SIDE) * (page[2] & 0xFFFFFFFF) + z - (page[2] >> 32)]
            came = word & 31
            if came == START:
                break
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
            n += 1
        count = n + 1
    return cells
