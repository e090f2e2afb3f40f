"""Least relaxed ways over a coarse slab, with labels that change height only where they must.

The relaxed problem: from (q, z) to a neighbouring node at any height both sides allow, for the length of the step
over ground plus ``climb`` for each layer of difference. A way over given nodes then does best to stay at its height
until a floor lifts it or a ceiling presses it. So the cost of everything that one way over ground can reach at a node
is a cone, ``cost + climb * |z - layer|``, and a label (cost, layer) says it all: a node has a few labels instead of one
state a layer. One label makes another needless if its cone lies below: ``cost + climb * |layer - layer'| <= cost'``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel

_PAD = 2  # as in `utm.core.pyramid`; here again because the compile cache watches one file
FOUND, NO_WAY, BEYOND, FULL = 1, 2, 3, 4

# Columns of a label, 64 bytes: one line of the cache.
COST, NODE, LAYER, STATE, NEXT, PARENT, QUEUE, TOTAL = range(8)
# STATE: 0 waits, 1 closed, 2 needless; the direction it came by above that (8: none)
_WAITS, _CLOSED, _NEEDLESS = 0, 1, 2

INFINITE = 1 << 60
_RING = 1 << 13

# Directions against the clock from +x; even ones along an axis.
_DX = (1, 1, 0, -1, -1, -1, 0, 1)
_DY = (0, 1, 1, 1, 0, -1, -1, -1)


@kernel
def _over_ground(dx: int, dy: int, axis: int, diagonal: int) -> int:
    a, b = abs(dx), abs(dy)
    if a < b:
        a, b = b, a
    return (a - b) * axis + b * diagonal


@kernel
def to_go(heads: Any, labels: Any, query: int, step: int, pace: Any, x: int, y: int, z: int) -> int:
    """The potential of node (x, y) of the slab below at layer z: the least over the nodes q of this slab with
    (x, y) - q in E of the cost to q and from q to (x, y), as far as labels are closed; INFINITE where none is.

    heads (rows, cols), labels, query: what `search` left here. step: columns of the slab below from node to node.
    pace (3,): cost of one column of the slab below along an axis, of a diagonal one, of a layer.
    """
    axis, diagonal, climb = pace[0], pace[1], pace[2]
    rows, cols = heads.shape
    best = INFINITE
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
                    if labels[n, STATE] & 3 == _CLOSED:
                        best = min(best, labels[n, COST] + climb * abs(labels[n, LAYER] - z) + away)
                    n = labels[n, NEXT]
    return best


@kernel
def _unseen_alone(shape: Any, step: int, pace: Any, aim: Any, reach: int, x: int, y: int, z: int) -> int:
    """`_unseen` of a slab whose search nothing guided."""
    least = INFINITE
    far = 2 * step - 2
    for r in range(-((far - x) // step), (x + far) // step + 1):
        for c in range(-((far - y) // step), (y + far) // step + 1):
            a, b = abs(x - r * step), abs(y - c * step)
            i, j = r + _PAD, c + _PAD
            if min(a, b) >= step or abs(a - b) >= step or i < 0 or j < 0 or i >= shape[0] or j >= shape[1]:
                continue
            rest = step * _over_ground(i - aim[0], j - aim[1], pace[0], pace[1]) + pace[2] * abs(z - aim[2])
            least = min(least, reach - rest + _over_ground(a, b, pace[0], pace[1]))
    return least


@kernel
def _unseen(
    shape: Any, step: int, pace: Any, aim: Any, reach: int, above: Any, above_labels: Any, guide: Any,
    above_end: Any, x: int, y: int, z: int,
) -> int:  # fmt: skip
    """What `to_go` says at least where it is attained by a label that is not closed, because cost plus estimate of that
    is not below reach: reach less the estimate, and from the node on.

    shape (2,), step: of the slab above the node. pace: as `to_go`. aim, reach: what was searched for in it, and how
    far. above, above_labels, guide, above_end: what guided that search, see `search`.
    """
    if guide[1] == 0:
        return _unseen_alone(shape, step, pace, aim, reach, x, y, z)
    coarser = (step * pace[0], step * pace[1], pace[2])
    least = INFINITE
    far = 2 * step - 2
    for r in range(-((far - x) // step), (x + far) // step + 1):
        for c in range(-((far - y) // step), (y + far) // step + 1):
            a, b = abs(x - r * step), abs(y - c * step)
            i, j = r + _PAD, c + _PAD
            if min(a, b) >= step or abs(a - b) >= step or i < 0 or j < 0 or i >= shape[0] or j >= shape[1]:
                continue
            straight = step * _over_ground(i - aim[0], j - aim[1], pace[0], pace[1]) + pace[2] * abs(z - aim[2])
            rest = to_go(above, above_labels, guide[0], guide[1], coarser, i, j, z)
            if rest == INFINITE:
                rest = _unseen_alone(above.shape, guide[1], coarser, above_end, guide[4], i, j, z)
            least = min(least, reach - max(straight, rest - guide[3]) + _over_ground(a, b, pace[0], pace[1]))
    return least


@kernel
def _ahead(
    x: int, y: int, z: int, cost: int, end: Any, pace: Any, above: Any, above_labels: Any, guide: Any,
    above_end: Any, next_above: Any, next_labels: Any, next_guide: Any, next_end: Any,
) -> int:  # fmt: skip
    """The estimate of a label of a cost, see `search`."""
    straight = _over_ground(x - end[0], y - end[1], pace[0], pace[1]) + pace[2] * abs(z - end[2])
    if guide[1] == 0:
        return straight
    closed = to_go(above, above_labels, guide[0], guide[1], pace, x, y, z) - guide[3]
    if cost + closed > guide[2]:
        unseen = _unseen(
            above.shape, guide[1], pace, above_end, guide[4], next_above, next_labels, next_guide, next_end, x, y, z
        )
        closed = min(closed, unseen - guide[3])
    return max(straight, closed)


@kernel
def search(
    lowest: Any,
    highest: Any,
    heads: Any,
    labels: Any,
    query: int,
    begin: Any,
    end: Any,
    pace: Any,
    limit: int,
    slack: int,
    shift: int,
    above: Any,
    above_labels: Any,
    guide: Any,
    above_end: Any,
    next_above: Any,
    next_labels: Any,
    next_guide: Any,
    next_end: Any,
    weight: int,
) -> Any:
    """A* over labels from begin (row, col, layer) to end; returns (status, reach, cost, label of the end, labels).

    lowest, highest (rows, cols); heads (rows, cols): (query << 32) | first label of the node's list; labels
    (capacity, 8), see the columns above.
    pace (3,): cost of a step along an axis, of a diagonal one, of a layer.
    limit: stop when nothing below it is left (BEYOND).
    slack: go on until cost plus estimate exceeds the cost of the end by slack / 1024 of it; below 0: to the limit.
    shift: a bucket of the queue is 2**shift wide.
    above, above_labels, above_end: heads, labels and end of the search of the next coarser slab that guides this one,
    guide = (its query, its step, what a way costs at least that it knows nothing of, length by which its root is off,
    its reach), step 0 for none. next_above, next_labels, next_guide, next_end: what guided that
    search, likewise.
    weight: the estimate counts weight / 1024.

    reach: every label whose cost plus estimate is below it has been closed; with weight 1024 the cost of the end is
    not below the lesser of reach and cost. label: of the end, 0 if it was not reached. labels: how many were made.
    """
    rows, cols = lowest.shape
    axis, diagonal, climb = pace[0], pace[1], pace[2]
    buckets = np.zeros(_RING, np.int32)
    mask = _RING - 1
    capacity = len(labels)
    best = INFINITE
    found = 0
    used = 1

    target = end[0] * cols + end[1]
    labels[used, COST], labels[used, NODE], labels[used, LAYER] = 0, begin[0] * cols + begin[1], begin[2]
    labels[used, STATE], labels[used, NEXT], labels[used, PARENT], labels[used, QUEUE] = 8 << 2, 0, 0, 0
    heads[begin[0], begin[1]] = (query << 32) | used
    x, y, z = begin[0], begin[1], begin[2]
    ahead = _ahead(
        x, y, z, 0, end, pace, above, above_labels, guide, above_end, next_above, next_labels, next_guide, next_end
    )
    labels[used, TOTAL] = (ahead * weight) >> 10
    bucket = labels[used, TOTAL] >> shift
    buckets[bucket & mask] = used
    used += 1
    waiting = 1

    while waiting > 0:
        slot = buckets[bucket & mask]
        while slot == 0:
            bucket += 1
            slot = buckets[bucket & mask]
        floor = bucket << shift
        if floor >= limit:
            return BEYOND, floor, best, found, used
        if slack >= 0 and best < INFINITE and floor >= best + ((best * slack) >> 10):
            return FOUND, floor, best, found, used
        buckets[bucket & mask] = labels[slot, QUEUE]
        waiting -= 1
        state = labels[slot, STATE]
        if state & 3 == _NEEDLESS:
            continue
        if labels[slot, TOTAL] >> shift > bucket:  # was farther ahead than the ring reaches
            ring = min(labels[slot, TOTAL] >> shift, bucket + mask) & mask
            labels[slot, QUEUE] = buckets[ring]
            buckets[ring] = slot
            waiting += 1
            continue
        labels[slot, STATE] = state | _CLOSED
        cost, node, layer = labels[slot, COST], labels[slot, NODE], labels[slot, LAYER]
        came = state >> 2
        if node == target:
            total = cost + climb * abs(layer - end[2])
            if total < best:
                best, found = total, slot
            if slack == 0:
                continue
        i, j = node // cols, node % cols
        # A turn back or across is never needed: its end is a neighbour of where it came from, at no greater cost
        if came == 8:
            first, last = 0, 8
        elif came & 1:
            first, last = came - 2, came + 3
        else:
            first, last = came - 1, came + 2
        for direction in range(first, last):
            d = direction & 7
            u, v = i + _DX[d], j + _DY[d]
            if u < 0 or v < 0 or u >= rows or v >= cols:
                continue
            low, high = np.int64(lowest[u, v]), np.int64(highest[u, v])
            if low >= high:
                continue
            onward = cost + (diagonal if d & 1 else axis)
            z = layer
            if z < low:
                onward += climb * (low - z)
                z = low
            elif z >= high:
                onward += climb * (z - high + 1)
                z = high - 1
            head = heads[u, v]
            n = head & 0xFFFFFFFF if head >> 32 == query else 0
            needless = False
            top, previous = n, 0
            while n > 0:
                apart = climb * abs(labels[n, LAYER] - z)
                following = labels[n, NEXT]
                if labels[n, COST] + apart <= onward:
                    needless = True
                    break
                if onward + apart <= labels[n, COST]:
                    if labels[n, STATE] & 3 == _WAITS:
                        labels[n, STATE] |= _NEEDLESS
                    if previous > 0:
                        labels[previous, NEXT] = following
                    else:
                        top = following
                else:
                    previous = n
                n = following
            if needless:
                if top != (head & 0xFFFFFFFF if head >> 32 == query else 0):
                    heads[u, v] = (query << 32) | top
                continue
            ahead = _ahead(
                u, v, z, onward, end, pace, above, above_labels, guide, above_end,
                next_above, next_labels, next_guide, next_end,
            )  # fmt: skip
            if ahead > INFINITE >> 1:  # nothing leads on from there
                continue
            total = onward + ((ahead * weight) >> 10)
            if used == capacity:
                return FULL, floor, best, found, used
            labels[used, COST], labels[used, NODE], labels[used, LAYER] = onward, u * cols + v, z
            labels[used, STATE], labels[used, NEXT], labels[used, PARENT] = d << 2, top, slot
            labels[used, TOTAL] = total
            heads[u, v] = (query << 32) | used
            if total < limit:
                bucket = min(bucket, total >> shift)  # a weighted estimate may fall by more than the step costs
                ring = min(total >> shift, bucket + mask) & mask
                labels[used, QUEUE] = buckets[ring]
                buckets[ring] = used
                waiting += 1
            used += 1
    if best == INFINITE:
        return (NO_WAY if limit == INFINITE else BEYOND), limit, best, found, used
    return FOUND, min(limit, INFINITE), best, found, used


@kernel
def route(labels: Any, label: int, cols: int) -> Any:
    """The nodes (n, 2) and the layers (n,) of the way to a label, first to last."""
    count = 0
    n = label
    while n > 0:
        count += 1
        n = labels[n, PARENT]
    nodes = np.empty((count, 2), np.int64)
    layers = np.empty(count, np.int64)
    n = label
    for k in range(count - 1, -1, -1):
        nodes[k, 0], nodes[k, 1], layers[k] = labels[n, NODE] // cols, labels[n, NODE] % cols, labels[n, LAYER]
        n = labels[n, PARENT]
    return nodes, layers
