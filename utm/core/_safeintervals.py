"""Safe-interval search among moving reservations: the kernels of `utm.core.safeintervals`.

Times are whole ticks of `TICK_S`: sums are exact, ties are ties, and a tick is a float64 of Unix time. Rounding is
turned to the safe side: limits of distance are taken larger, forbidden times are widened.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from utm.core._jit import kernel

TICKS_PER_S = 1 << 20
TICK_S = 1.0 / TICKS_PER_S
#: Ticks by which forbidden times are widened at both ends; rounding takes less than one.
_WIDER = 3
_HAIR_S = 1e-9
_CORNERS = 16

FOUND, NO_WAY, FULL = 0, 1, 2
#: Later than every time.
NEVER = 1 << 60

#: Level moves first: a move below this changes no height.
LEVEL = 8
MOVES = 10
#: The place of a stop among the ticks of the moves, and the move of a label that has none: the start of a way.
_STOP = _START = MOVES

# Columns of the tables of one query, and of a piece of a reservation.
# _OUT: least ticks from the start, seen from above all; _H and _H + 1: from here to the goal, by mode, or -1.
_BASE, _COUNT, _HOT, _HOTS, _VOXEL, _OUT, _H = range(7)
_FROM, _TO, _BEST, _SLOT, _MODE = range(5)
_STATE, _LOW, _HIGH, _COST, _PARENT, _MOVE = range(6)
_T0, _SPAN, _P, _W, _ROOM, _TOL = 0, 1, 2, 5, 8, 10  # _P, _W three, _ROOM two columns
# Counts: labels, states, slots, hot pieces, covered spans and entries of each queue in use; of the search backwards,
# how far it has come (ticks) and how many voxels it has looked around from.
COUNTS = 11
_LABELS, _STATES, _SLOTS, _HOT_USED, _SPANS, _HEAP, _STACK, _RHEAP, _RSTACK, _RNOW, BACKWARDS = range(COUNTS)


@kernel
def push(keys: Any, values: Any, count: int, key: int, value: int) -> int:
    """Add to a binary heap, the least key first; returns the new count."""
    n = count
    while n > 0:
        up = (n - 1) >> 1
        if keys[up] <= key:
            break
        keys[n], values[n] = keys[up], values[up]
        n = up
    keys[n], values[n] = key, value
    return count + 1


@kernel
def pop(keys: Any, values: Any, count: int) -> Any:
    """Take the least from a binary heap: (key, value, new count)."""
    key, value = keys[0], values[0]
    count -= 1
    last, carried = keys[count], values[count]
    n = 0
    while True:
        down = 2 * n + 1
        if down >= count:
            break
        if down + 1 < count and keys[down + 1] < keys[down]:
            down += 1
        if keys[down] >= last:
            break
        keys[n], values[n] = keys[down], values[down]
        n = down
    keys[n], values[n] = last, carried
    return key, value, count


@kernel
def resting(x: float, y: float, z: float, piece: Any, horizontal: float, vertical: float) -> Any:
    """The seconds from the start of a piece during which it is within both limits of a point; (1, -1): never."""
    dx, dy, dz = piece[_P] - x, piece[_P + 1] - y, piece[_P + 2] - z
    wx, wy, wz = piece[_W], piece[_W + 1], piece[_W + 2]
    low, high = 0.0, piece[_SPAN]
    if wz != 0.0:
        one, other = (-vertical - dz) / wz, (vertical - dz) / wz
        low, high = max(low, min(one, other)), min(high, max(one, other))
    elif abs(dz) > vertical:
        return 1.0, -1.0
    square = wx * wx + wy * wy
    if square > 1e-24:
        across = dx * wy - dy * wx
        root = square * horizontal * horizontal - across * across
        if root < 0.0:
            return 1.0, -1.0
        root = math.sqrt(root)
        along = dx * wx + dy * wy
        low, high = max(low, (-along - root) / square), min(high, (-along + root) / square)
    elif dx * dx + dy * dy > horizontal * horizontal:
        return 1.0, -1.0
    # A hair, for a height band that is touched for a moment only.
    return (low, high) if low <= high + _HAIR_S else (1.0, -1.0)


@kernel
def _cut(corners: Any, count: int, c: float, cs: float, cq: float, scratch: Any) -> int:
    """Keep the part of a convex polygon of (s, q) where c + cs s + cq q <= 0 (Sutherland and Hodgman)."""
    kept = 0
    for n in range(count):
        m = n + 1 if n + 1 < count else 0
        s0, q0, s1, q1 = corners[n, 0], corners[n, 1], corners[m, 0], corners[m, 1]
        v0, v1 = c + cs * s0 + cq * q0, c + cs * s1 + cq * q1
        if v0 <= 0 and kept < _CORNERS:
            scratch[kept, 0], scratch[kept, 1] = s0, q0
            kept += 1
        if ((v0 < 0 and v1 > 0) or (v0 > 0 and v1 < 0)) and kept < _CORNERS:
            share = v0 / (v0 - v1)
            scratch[kept, 0], scratch[kept, 1] = s0 + share * (s1 - s0), q0 + share * (q1 - q0)
            kept += 1
    for n in range(kept):
        corners[n, 0], corners[n, 1] = scratch[n, 0], scratch[n, 1]
    return kept


@kernel
def moving(
    x: float, y: float, z: float, ux: float, uy: float, uz: float, span: float, piece: Any, corners: Any, scratch: Any
) -> Any:
    """The values of q - s, seconds, at which a move, s after it began, and a piece, q after it began, are within the
    limits of the piece; (1, -1) where there are none.

    The move is at (x, y, z) + (ux, uy, uz) s for s in [0, span]. The geometry is that of `utm.core.conflict`: the
    pairs (s, q) are a convex region, so the values are one interval, whose ends lie on an edge of the polygon (spans
    and height band) within the circle, or where q - s = d touches the circle inside the polygon.
    """
    horizontal, vertical = piece[_ROOM], piece[_ROOM + 1]
    x, y, z = x - piece[_P], y - piece[_P + 1], z - piece[_P + 2]
    wx, wy, wz, other = piece[_W], piece[_W + 1], piece[_W + 2], piece[_SPAN]
    limit = horizontal * horizontal
    low, high = np.inf, -np.inf

    corners[0, 0], corners[0, 1] = 0.0, 0.0
    corners[1, 0], corners[1, 1] = span, 0.0
    corners[2, 0], corners[2, 1] = span, other
    corners[3, 0], corners[3, 1] = 0.0, other
    count = 4
    if uz != 0.0 or wz != 0.0:
        count = _cut(corners, count, z - vertical, uz, -wz, scratch)
        count = _cut(corners, count, -z - vertical, -uz, wz, scratch)
    elif abs(z) > vertical:
        return 1.0, -1.0
    for n in range(count):
        m = n + 1 if n + 1 < count else 0
        s0, q0 = corners[n, 0], corners[n, 1]
        ds, dq = corners[m, 0] - s0, corners[m, 1] - q0
        ex, ey = x + ux * s0 - wx * q0, y + uy * s0 - wy * q0
        fx, fy = ux * ds - wx * dq, uy * ds - wy * dq
        square = fx * fx + fy * fy
        enter, leave = 0.0, 1.0
        if square > 1e-24:  # it moves by more than a picometre
            along, across = fx * ex + fy * ey, ex * fy - ey * fx
            root = square * limit - across * across
            if root < 0.0:
                continue
            root = math.sqrt(root)
            enter, leave = max((-along - root) / square, 0.0), min((-along + root) / square, 1.0)
            if enter > leave:
                continue
        elif ex * ex + ey * ey > limit:
            continue
        first, last = q0 - s0 + enter * (dq - ds), q0 - s0 + leave * (dq - ds)
        low, high = min(low, first, last), max(high, first, last)

    rx, ry = wx - ux, wy - uy  # at a difference of d, the piece passes the move at this velocity
    turn = ux * ry - uy * rx
    if turn != 0.0:
        speed, offset = math.sqrt(rx * rx + ry * ry), x * ry - y * rx
        for side in (-1.0, 1.0):
            # With s = q - d the difference is (x, y) - u d - r q: its distance from r's line is linear in d.
            d = (offset - side * horizontal * speed) / turn
            if low <= d <= high:
                continue
            begin, end = max(0.0, d), min(other, span + d)
            ez, rz = z - uz * d, uz - wz
            if rz != 0.0:
                one, two = (-vertical - ez) / rz, (vertical - ez) / rz
                begin, end = max(begin, min(one, two)), min(end, max(one, two))
            elif abs(ez) > vertical:
                continue
            if begin > end + _HAIR_S:
                continue
            ex, ey = x - ux * d, y - uy * d
            q = max(min((ex * rx + ey * ry) / (rx * rx + ry * ry), end), begin)
            ex, ey = ex - rx * q, ey - ry * q
            if ex * ex + ey * ey <= (horizontal + 1e-6) * (horizontal + 1e-6):
                low, high = min(low, d), max(high, d)
    return (low, high) if low <= high else (1.0, -1.0)


@kernel
def ticks_around(low: float, high: float, piece: Any) -> Any:
    """The open interval of ticks that holds seconds [low, high] from the start of a piece, widened by its tolerance."""
    before = (piece[_T0] + (low - piece[_TOL])) * TICKS_PER_S
    after = (piece[_T0] + (high + piece[_TOL])) * TICKS_PER_S
    return np.int64(math.floor(before)) - _WIDER, np.int64(math.ceil(after)) + _WIDER


@kernel
def _estimate(dx: int, dy: int, dz: int, ticks: Any) -> int:
    """Least time for a displacement where nothing is blocked (octile distance): consistent."""
    a, b = abs(dx), abs(dy)
    if a < b:
        a, b = b, a
    return (a - b) * ticks[0] + b * ticks[4] + (dz * ticks[8] if dz > 0 else -dz * ticks[9])


@kernel
def to_goal(voxel: int, mode: int, start: int, stamp: int, enough: int, grid: Any, back: Any, counts: Any) -> int:
    """Least ticks from a voxel and mode to the goal where nobody else flies; NEVER where there is no way; -1 where a
    queue is full; -2 where it is not known yet, but every way through this voxel from start to goal takes ``enough``.

    A search from the goal towards the start, taken up again whenever a farther voxel is asked for (reverse resumable
    A*; Silver, 2005). back: words (stamp, ticks, closed), and its queues.
    """
    permitted, offsets, ticks, opposite, size, modes, moves = grid
    words, keys, values, stack = back
    wanted = voxel * modes + mode
    yz, ny, nz = size[1] * size[2], size[1], size[2]
    sx, sy, sz = start // yz, start // nz % ny, start % nz
    while True:
        word = words[wanted]
        if word >> 44 == stamp and word & 1:
            return (word >> 1) & ((1 << 43) - 1)
        if counts[_RNOW] >= enough:
            return -2
        if max(counts[_RSTACK], counts[_RHEAP]) + 2 * MOVES >= len(stack):
            return -1
        if counts[_RSTACK] > 0:
            counts[_RSTACK] -= 1
            node = np.int64(stack[counts[_RSTACK]])
        elif counts[_RHEAP] > 0:
            counts[_RNOW], node, counts[_RHEAP] = pop(keys, values, counts[_RHEAP])
        else:
            return NEVER
        word = words[node]
        if word & 1:
            continue
        words[node] = word | 1
        counts[BACKWARDS] += 1
        gone = (word >> 1) & ((1 << 43) - 1)
        here, mode = (node, 0) if modes == 1 else (node >> 1, node & 1)
        first = LEVEL if modes == 2 and mode == 1 else 0
        last = LEVEL if modes == 2 and mode == 0 else MOVES
        rows = here // nz
        dx, dy, dz = rows // ny - sx, rows % ny - sy, here - rows * nz - sz
        for e in range(first, last):
            if not permitted[here] >> opposite[e] & 1:
                continue
            far = here - offsets[e]
            estimate = _estimate(dx - moves[e, 0], dy - moves[e, 1], dz - moves[e, 2], ticks)
            for other in range(modes):
                there, onward = far * modes + other, gone + ticks[e] + (ticks[_STOP] if other != mode else 0)
                word = words[there]
                if word >> 44 == stamp and (word & 1 or (word >> 1) & ((1 << 43) - 1) <= onward):
                    continue
                words[there] = (stamp << 44) | (onward << 1)
                key = onward + estimate
                if key <= counts[_RNOW]:
                    stack[counts[_RSTACK]] = there
                    counts[_RSTACK] += 1
                else:
                    counts[_RHEAP] = push(keys, values, counts[_RHEAP], key, there)


@kernel
def remaining(slot: int, mode: int, stamp: int, grid: Any, back: Any, tables: Any, counts: Any) -> int:
    """Ticks from a slot to the goal at least: exact where the search backwards has come by, else what follows from how
    far it has come (every way through a voxel that it has not closed takes at least as long as all that it has)."""
    slots = tables[1]
    known = slots[slot, _H + mode]
    if known >= 0:
        return known
    word = back[0][slots[slot, _VOXEL] * grid[5] + mode]
    if word >> 44 == stamp and word & 1:
        slots[slot, _H + mode] = (word >> 1) & ((1 << 43) - 1)
        return slots[slot, _H + mode]
    return max(counts[_RNOW] - slots[slot, _OUT], 0)


@kernel
def touch(
    voxel: int, start: int, stamp: int, span: Any, grid: Any, geometry: Any, traffic: Any, tables: Any, back: Any,
    counts: Any,
) -> int:  # fmt: skip
    """The slot of a voxel, made when it is first looked at in a query: its safe intervals, as states, the pieces that
    come near it or a move from it, and the ticks from it to the goal. -1 where a table is full.

    span (3,): ticks outside which no flight is looked at, and what a state that nobody has reached holds.
    """
    slot_of, slots, states, hots = tables[:4]
    word = slot_of[voxel]
    if word >> 32 == stamp:
        return word & 0xFFFFFFFF
    modes = grid[5]
    if counts[_SLOTS] == len(slots):
        return -1
    slot = counts[_SLOTS]
    heads, entries, pieces, bricks = traffic
    origin, cell, size = geometry[0], geometry[1], grid[4]
    i, j, k = voxel // (size[1] * size[2]), voxel // size[2] % size[1], voxel % size[2]
    x, y, z = origin[0] + (i + 0.5) * cell, origin[1] + (j + 0.5) * cell, origin[2] + (k + 0.5) * cell
    si, sj, sk = start // (size[1] * size[2]), start // size[2] % size[1], start % size[2]
    out = _estimate(i - si, j - sj, k - sk, grid[2])
    soonest = float(span[0] + out)  # nobody is here before
    hot = counts[_HOT_USED]
    used = hot
    entry = heads[((i // bricks[0]) * bricks[4] + j // bricks[1]) * bricks[5] + k // bricks[2]]
    while entry >= 0:
        number = entries[entry, 0]
        entry = entries[entry, 1]
        piece = pieces[number]
        if (piece[_T0] + piece[_SPAN] + piece[_TOL]) * TICKS_PER_S + _WIDER < soonest:
            continue
        low, high = resting(x, y, z, piece, piece[_ROOM] + 1.4143 * cell, piece[_ROOM + 1] + 1.0001 * cell)
        if low > high + _HAIR_S:
            continue
        begin, end = ticks_around(low, high, piece)
        if end < soonest or begin > span[1]:
            continue
        if used == len(hots):
            return -1
        hots[used, 0], hots[used, 1], hots[used, 2] = number, begin, end
        # When the centre is taken; kept in order of the beginning.
        low, high = resting(x, y, z, piece, piece[_ROOM], piece[_ROOM + 1])
        hots[used, 3], hots[used, 4] = NEVER, NEVER
        if low <= high + _HAIR_S:
            begin, end = ticks_around(low, high, piece)
            n = used
            while n > hot and hots[n - 1, 3] > begin:
                hots[n, 3], hots[n, 4] = hots[n - 1, 3], hots[n - 1, 4]
                n -= 1
            hots[n, 3], hots[n, 4] = begin, end
        used += 1
    base = counts[_STATES]
    count, begin = 0, np.int64(-NEVER)
    for n in range(hot, used + 1):
        until = hots[n, 3] if n < used else NEVER
        if until >= begin:
            if base + (count + 1) * modes > len(states):
                return -1
            for mode in range(modes):
                row = base + count * modes + mode
                states[row, _FROM], states[row, _TO], states[row, _BEST] = begin, until, span[2]
                states[row, _SLOT], states[row, _MODE] = slot, mode
            count += 1
        if until == NEVER:
            break
        begin = max(begin, hots[n, 4])
    counts[_SLOTS] += 1
    counts[_STATES] += count * modes
    counts[_HOT_USED] = used
    slots[slot, _BASE], slots[slot, _COUNT], slots[slot, _VOXEL] = base, count, voxel
    slots[slot, _HOT], slots[slot, _HOTS] = hot, used - hot
    slots[slot, _OUT] = out
    for mode in range(modes):
        slots[slot, _H + mode] = -1
    slot_of[voxel] = (stamp << 32) | slot
    return slot


@kernel
def forbidden(slot: int, move: int, hot: int, grid: Any, geometry: Any, traffic: Any, tables: Any) -> Any:
    """The open interval of ticks at which a move must not begin because of one piece; (1, -1) for none."""
    slots, hots = tables[1], tables[3]
    origin, cell, steps, corners, scratch = geometry
    size, ticks = grid[4], grid[2]
    voxel = slots[slot, _VOXEL]
    piece = traffic[2][hots[hot, 0]]
    seconds = ticks[move] * TICK_S
    low, high = moving(
        origin[0] + (voxel // (size[1] * size[2]) + 0.5) * cell,
        origin[1] + (voxel // size[2] % size[1] + 0.5) * cell,
        origin[2] + (voxel % size[2] + 0.5) * cell,
        steps[move, 0] / seconds,
        steps[move, 1] / seconds,
        steps[move, 2] / seconds,
        seconds,
        piece,
        corners,
        scratch,
    )
    return ticks_around(low, high, piece) if low <= high else (np.int64(1), np.int64(-1))


@kernel
def free_from(first: int, last: int, slot: int, move: int, grid: Any, geometry: Any, traffic: Any, tables: Any) -> Any:
    """The first tick in [first, last] at which a move may begin, and the last up to which it may from then on;
    (NEVER, NEVER) where there is none."""
    slots, hots = tables[1], tables[3]
    begin, end = slots[slot, _HOT], slots[slot, _HOT] + slots[slot, _HOTS]
    span = grid[2][move]
    until, moved = last, True
    while moved:
        moved, until = False, last
        for n in range(begin, end):
            if first >= hots[n, 2] or until + span <= hots[n, 1]:
                continue
            low, high = forbidden(slot, move, n, grid, geometry, traffic, tables)
            if low < first < high:
                first, moved = high, True
                if first > last:
                    return NEVER, NEVER
            elif low < high and low >= first:
                until = min(until, low)
    return first, until


@kernel
def free_until(first: int, last: int, slot: int, move: int, grid: Any, geometry: Any, traffic: Any, tables: Any) -> int:
    """The last tick in [first, last] at which a move may begin; it may at the first."""
    slots, hots = tables[1], tables[3]
    begin, end = slots[slot, _HOT], slots[slot, _HOT] + slots[slot, _HOTS]
    span = grid[2][move]
    moved = True
    while moved:
        moved = False
        for n in range(begin, end):
            if last + span <= hots[n, 1] or last >= hots[n, 2]:
                continue
            low, high = forbidden(slot, move, n, grid, geometry, traffic, tables)
            if low < last < high:
                last, moved = low, True
    return max(first, last)


@kernel
def cover(state: int, low: int, high: int, tables: Any, counts: Any, gaps: Any) -> int:
    """Mark the times [low, high] of a state as reached; returns how many gaps of them (k, 2) were not. -1: full.

    The spans of a state are a chain in order, with ticks between them that were not reached.
    """
    states, spans = tables[2], tables[5]
    found = 0
    before, here = np.int64(-1), states[state, _BEST]
    while low <= high:
        while here >= 0 and spans[here, 1] < low:
            before, here = here, spans[here, 2]
        end = high if here < 0 else min(high, spans[here, 0] - 1)
        if low <= end:
            if counts[_SPANS] == len(spans) or found == len(gaps):
                return -1
            gaps[found, 0], gaps[found, 1] = low, end
            found += 1
            if before >= 0 and spans[before, 1] == low - 1:
                spans[before, 1] = end
            else:
                fresh = counts[_SPANS]
                counts[_SPANS] += 1
                spans[fresh, 0], spans[fresh, 1], spans[fresh, 2] = low, end, here
                if before >= 0:
                    spans[before, 2] = fresh
                else:
                    states[state, _BEST] = fresh
                before = fresh
            if here >= 0 and spans[here, 0] == end + 1:
                spans[before, 1], spans[before, 2] = spans[here, 1], spans[here, 2]
                here = before
        if here < 0:
            break
        low = spans[here, 1] + 1
    return found


@kernel
def arrival(t: int, goal: int, hold: int, modes: int, tables: Any) -> int:
    """The first tick from t on at which a flight may arrive at the goal and stay for its hold; NEVER: none."""
    slots, states = tables[1], tables[2]
    base = slots[goal, _BASE]
    for k in range(slots[goal, _COUNT]):
        row = base + k * modes
        if t <= states[row, _TO] - hold and states[row, _FROM] <= states[row, _TO] - hold:
            return max(t, states[row, _FROM])
    return NEVER


@kernel
def add(
    state: int, low: int, high: int, cost: int, parent: int, move: int, key: int, now: int, tables: Any, queue: Any,
    counts: Any,
) -> bool:  # fmt: skip
    """A new label in the queue: on the stack where its key is not above the present one, and no lower than the truth.
    Whether there was room."""
    slots, states = tables[1], tables[2]
    labels, (keys, values, stack) = tables[4], queue
    fresh = counts[_LABELS]
    if fresh == len(labels):
        return False
    counts[_LABELS] += 1
    labels[fresh, _STATE], labels[fresh, _LOW], labels[fresh, _HIGH] = state, low, high
    labels[fresh, _COST], labels[fresh, _PARENT], labels[fresh, _MOVE] = cost, parent, move
    if key <= now and slots[states[state, _SLOT], _H + states[state, _MODE]] >= 0:
        stack[counts[_STACK]] = fresh
        counts[_STACK] += 1
    else:
        counts[_HEAP] = push(keys, values, counts[_HEAP], key, fresh)
    return True


@kernel
def explore(
    ends: Any, times: Any, hover: bool, stamp: int, factor: Any, grid: Any, geometry: Any, traffic: Any, tables: Any,
    back: Any, queue: Any, gaps: Any, counts: Any,
) -> Any:  # fmt: skip
    """One search; returns (status, label at the goal, tick of arrival, expansions).

    ends (2,): voxels of start and goal. times (4,) ticks: earliest departure, latest arrival, hold at both ends, and
    NEVER, or the arrival by which the goal must be reached: without it the least arrival is searched for, with it the
    least cost. factor: flat, of every voxel, or empty. counts: zeros.

    A label is a set of times [low, high] at which a flight can be in a voxel, within one of its safe intervals. Where
    it may hover that set ends with the interval, and the earliest label of an interval holds all others (SIPP). Where
    it may not, it is a span of departure times, shifted; what of it other labels have reached already is left out.
    """
    slots, states, labels = tables[1], tables[2], tables[4]
    permitted, offsets, ticks, modes = grid[0], grid[1], grid[2], grid[5]
    keys, values, stack = queue
    start, goal = ends
    earliest, latest, hold, known = times
    span = (earliest - hold, latest + hold, np.int64(NEVER if hover else -1))
    by_cost = known != NEVER
    words = back[0]
    for mode in range(modes):
        words[goal * modes + mode] = stamp << 44
        back[3][mode] = goal * modes + mode
    counts[_RSTACK] = modes
    expansions = 0
    goal_slot = touch(goal, start, stamp, span, grid, geometry, traffic, tables, back, counts)
    slot = touch(start, start, stamp, span, grid, geometry, traffic, tables, back, counts)
    if slot < 0 or goal_slot < 0:
        return FULL, -1, np.int64(-1), expansions
    now = np.int64(-NEVER)
    for k in range(slots[slot, _COUNT] * modes):
        state = slots[slot, _BASE] + k
        h = to_goal(start, states[state, _MODE], start, stamp, np.int64(NEVER), grid, back, counts)
        if h < 0:
            return FULL, -1, np.int64(-1), expansions
        low = max(states[state, _FROM] + hold, earliest)
        high = min(states[state, _TO], latest)
        if low > high or h == NEVER:
            continue
        key = h if by_cost else arrival(low + h, goal_slot, hold, modes, tables)
        if key > latest and not by_cost:
            continue
        if not by_cost:
            if hover:
                states[state, _BEST] = low
            elif cover(state, low, high, tables, counts, gaps) < 0:
                return FULL, -1, np.int64(-1), expansions
        if not add(state, low, high, 0, -1, _START, key, now, tables, queue, counts):
            return FULL, -1, np.int64(-1), expansions

    while True:
        if counts[_STACK] > 0:
            counts[_STACK] -= 1
            label = np.int64(stack[counts[_STACK]])
        elif counts[_HEAP] > 0:
            now, label, counts[_HEAP] = pop(keys, values, counts[_HEAP])
        else:
            return NO_WAY, -1, np.int64(-1), expansions
        state, first, last, cost = (
            labels[label, _STATE],
            labels[label, _LOW],
            labels[label, _HIGH],
            labels[label, _COST],
        )
        slot, mode = states[state, _SLOT], states[state, _MODE]
        h = slots[slot, _H + mode]
        if h < 0:
            enough = now + 1 - (cost if by_cost else first) + slots[slot, _OUT]
            h = to_goal(slots[slot, _VOXEL], mode, start, stamp, enough, grid, back, counts)
            if h == -1:
                return FULL, -1, np.int64(-1), expansions
            if h >= 0:
                slots[slot, _H + mode] = h
            else:
                h = remaining(slot, mode, stamp, grid, back, tables, counts)
        if h == NEVER:
            continue
        # The estimate was lower when the label was made: its turn comes later.
        key = cost + h if by_cost else arrival(first + h, goal_slot, hold, modes, tables)
        if key > now:
            if (by_cost and first + h <= known) or (not by_cost and key <= latest):
                counts[_HEAP] = push(keys, values, counts[_HEAP], key, label)
            continue
        parts = 1
        gaps[0, 0], gaps[0, 1] = first, last
        if hover:
            if first > states[state, _BEST] or (by_cost and first == states[state, _BEST]):
                continue
            states[state, _BEST] = first
        elif by_cost:
            parts = cover(state, first, last, tables, counts, gaps)
            if parts < 0:
                return FULL, -1, np.int64(-1), expansions
        if slot == goal_slot:
            for n in range(parts):
                if gaps[n, 0] + hold <= states[state, _TO]:
                    return FOUND, label, gaps[n, 0], expansions
        here = slots[slot, _VOXEL]
        hot = slots[slot, _HOTS] > 0
        for part in range(parts):
            low, high = gaps[part, 0], gaps[part, 1]
            expansions += 1
            for e in range(MOVES):
                if not permitted[here] >> e & 1:
                    continue
                beyond = here + offsets[e]
                there = touch(beyond, start, stamp, span, grid, geometry, traffic, tables, back, counts)
                if there < 0:
                    return FULL, -1, np.int64(-1), expansions
                onward = 1 if modes == 2 and e >= LEVEL else 0
                h = remaining(there, onward, stamp, grid, back, tables, counts)
                if h == NEVER:
                    continue
                took = ticks[e]
                stop = ticks[_STOP] if onward != mode else np.int64(0)
                spent = cost + took + stop
                if len(factor):
                    spent = cost + np.int64(math.ceil(took * (factor[here] + factor[beyond]) / 2 + stop * factor[here]))
                due = (known if by_cost else latest) - h
                for k in range(slots[there, _COUNT]):
                    target = slots[there, _BASE] + k * modes + onward
                    begin, end = states[target, _FROM], min(states[target, _TO], due)
                    one = max(low + stop, begin - took)
                    two = min(high + stop, states[state, _TO], end - took)
                    while one <= two:
                        until = two
                        if hot:
                            one, until = free_from(one, two, slot, e, grid, geometry, traffic, tables)
                            if one > two:
                                break
                        there_low = one + took
                        if hover:
                            if there_low >= states[target, _BEST]:
                                break
                            key = spent + h if by_cost else arrival(there_low + h, goal_slot, hold, modes, tables)
                            if by_cost or key <= latest:
                                if not by_cost:
                                    states[target, _BEST] = there_low
                                if not add(target, there_low, end, spent, label, e, key, now, tables, queue, counts):
                                    return FULL, -1, np.int64(-1), expansions
                            break
                        found = 1
                        rest = gaps[parts:]
                        if len(rest) == 0:
                            return FULL, -1, np.int64(-1), expansions
                        rest[0, 0], rest[0, 1] = there_low, until + took
                        if not by_cost:
                            found = cover(target, there_low, until + took, tables, counts, rest)
                            if found < 0:
                                return FULL, -1, np.int64(-1), expansions
                        for n in range(found):
                            key = spent + h if by_cost else arrival(rest[n, 0] + h, goal_slot, hold, modes, tables)
                            if (by_cost or key <= latest) and not add(
                                target, rest[n, 0], rest[n, 1], spent, label, e, key, now, tables, queue, counts
                            ):
                                return FULL, -1, np.int64(-1), expansions
                        one = until + 1


@kernel
def trace(label: int, t: int, hover: bool, grid: Any, geometry: Any, traffic: Any, tables: Any, way: Any) -> int:
    """Follow the labels back from one that is at the goal at a tick, leaving every voxel as late as that allows.

    way (capacity, 3) is filled from the goal on: voxel, tick at which it is reached, tick at which it is left. Returns
    how many rows, or -1 where they do not fit.
    """
    slots, states, labels = tables[1], tables[2], tables[4]
    ticks = grid[2]
    count, leave, due = 0, t, t  # due: the latest tick at which the voxel must be reached
    while True:
        if count == len(way):
            return -1
        state, move, parent = labels[label, _STATE], labels[label, _MOVE], labels[label, _PARENT]
        way[count, 0], way[count, 2] = slots[states[state, _SLOT], _VOXEL], leave
        if parent < 0:
            way[count, 1] = leave
            return count + 1
        before = labels[parent, _STATE]
        slot = states[before, _SLOT]
        left = due - ticks[move]
        if hover:
            left = min(left, states[before, _TO])
            if slots[slot, _HOTS] > 0:
                left = free_until(labels[label, _LOW] - ticks[move], left, slot, move, grid, geometry, traffic, tables)
        way[count, 1] = left + ticks[move]
        count += 1
        stops = grid[5] == 2 and (1 if move >= LEVEL else 0) != states[before, _MODE]
        leave, due, label = left, left - (ticks[_STOP] if stops else 0), parent


@kernel
def bricks_of(piece: Any, geometry: Any, size: Any, bricks: Any, out: Any) -> int:
    """The bricks that hold a voxel which a piece comes near to, or near to a move from it: how many, filled in as far
    as they fit. Some more may be among them."""
    origin, cell = geometry[0], geometry[1]
    wide, tall = piece[_ROOM] + 1.4143 * cell, piece[_ROOM + 1] + 1.0001 * cell
    low, high = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for c in range(3):
        room = wide if c < 2 else tall
        one, other = piece[_P + c], piece[_P + c] + piece[_W + c] * piece[_SPAN]
        first = math.floor(max(min((min(one, other) - room - origin[c]) / cell - 1.0, size[c]), -1.0))
        last = math.ceil(max(min((max(one, other) + room - origin[c]) / cell + 1.0, size[c]), -1.0))
        low[c], high[c] = max(np.int64(first), 0) // bricks[c], min(np.int64(last), size[c] - 1) // bricks[c]
        if last < 0:
            return 0
    dx, dy = piece[_W] * piece[_SPAN], piece[_W + 1] * piece[_SPAN]
    square = dx * dx + dy * dy
    reach = wide + math.sqrt(float(bricks[0] * bricks[0] + bricks[1] * bricks[1])) * cell / 2
    count = 0
    for i in range(low[0], high[0] + 1):
        for j in range(low[1], high[1] + 1):
            x = origin[0] + (i + 0.5) * bricks[0] * cell - piece[_P]
            y = origin[1] + (j + 0.5) * bricks[1] * cell - piece[_P + 1]
            share = min(max((x * dx + y * dy) / square, 0.0), 1.0) if square > 0.0 else 0.0
            x, y = x - share * dx, y - share * dy
            if x * x + y * y > reach * reach:
                continue
            for k in range(low[2], high[2] + 1):
                if count < len(out):
                    out[count] = (i * bricks[4] + j) * bricks[5] + k
                count += 1
    return count


@kernel
def enter(number: int, geometry: Any, size: Any, traffic: Any, free: Any, out: Any) -> int:
    """Put a piece into the chains of its bricks; how many entries it takes. Nothing is done where fewer are free
    (free: [first of the chain of free entries, how many]) or out is too short."""
    heads, entries, pieces, bricks = traffic
    count = bricks_of(pieces[number], geometry, size, bricks, out)
    if count > len(out) or count > free[1]:
        return count
    for n in range(count):
        entry = free[0]
        free[0] = entries[entry, 1]
        entries[entry, 0], entries[entry, 1] = number, heads[out[n]]
        heads[out[n]] = entry
    free[1] -= count
    return count


@kernel
def leave(number: int, geometry: Any, size: Any, traffic: Any, free: Any, out: Any) -> int:
    """Take a piece out of the chains of its bricks; how many it was in."""
    heads, entries, pieces, bricks = traffic
    count = bricks_of(pieces[number], geometry, size, bricks, out)
    if count > len(out):
        return count
    for n in range(count):
        before, entry = -1, heads[out[n]]
        while entry >= 0 and entries[entry, 0] != number:
            before, entry = entry, entries[entry, 1]
        if before < 0:
            heads[out[n]] = entries[entry, 1]
        else:
            entries[before, 1] = entries[entry, 1]
        entries[entry, 1] = free[0]
        free[0] = entry
    free[1] += count
    return count
