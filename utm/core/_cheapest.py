"""The search of `utm.core.costs`: A* over voxels whose steps cost what factor and wind at both ends make of them.

Costs are integers. The estimate is the greater of two bounds, each exactly consistent, so a voxel that is closed within
a bucket narrower than a step stays closed. No step is pruned: with costs that differ from voxel to voxel every one of
the 26 may matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utm.core._jit import kernel
from utm.core._walls import SPAN

FOUND, NO_WAY, QUEUE_FULL, TOO_DEAR = 1, 2, 3, 4

#: Costs beyond this are not counted; sums stay below 2**63.
_FAR = 1 << 61
_START = 26  # the step that led to the start: none
_CLOSED = 1 << 5
_SPAN = SPAN


@kernel
def estimate(
    x: int, y: int, z: int, goal: Any, duals: Any, counts: Any, reach: Any, ny: int, up: int, down: int
) -> int:
    """Least cost from a voxel to the goal, units: the greater of two bounds, each consistent."""
    dx, dy, dz = goal[0] - x, goal[1] - y, goal[2] - z
    octant = (4 if dx < 0 else 0) + (2 if dy < 0 else 0) + (1 if dz < 0 else 0)
    best = np.int64(0)
    for n in range(counts[octant]):
        value = duals[octant, n, 0] * dx + duals[octant, n, 1] * dy + duals[octant, n, 2] * dz
        best = max(best, value)
    if len(reach) > 0:
        best = max(best, reach[x * ny + y] + (up * dz if dz > 0 else -down * dz))
    return best


@kernel
def from_above(shape: Any, start: Any, goal: Any, queue: Any, heads: Any, shift: int, column: Any, above: Any) -> Any:
    """(status, (columns,) least cost of a way to the goal seen from above, units).

    Dijkstra backwards from the goal over columns, each at its least factor and every step at its cheapest: no step of
    a way through the volume costs less than the step below it here. It ends a little beyond the start, and what lies
    farther counts as if it were there, which keeps the bound consistent.
    """
    nx, ny = shape[0], shape[1]
    ring = len(heads) - 1
    heads[:] = -1
    reach = np.full(nx * ny, _FAR, np.int64)
    settled = np.zeros(nx * ny, np.bool_)
    first, last = start[0] * ny + start[1], goal[0] * ny + goal[1]
    reach[last] = 0
    queue[0, 0], queue[0, 1] = last, -1
    heads[0] = 0
    fresh, spare, waiting = 1, -1, 1
    bucket, end = np.int64(0), np.int64(1) << 62
    too_dear = False
    while waiting > 0:
        slot = heads[bucket & ring]
        while slot < 0:
            bucket += 1
            slot = heads[bucket & ring]
        if end == 1 << 62 and reach[first] < bucket << shift:
            end = reach[first] + (reach[first] >> 4)
        if bucket << shift > end:
            break
        here = queue[slot, 0]
        heads[bucket & ring] = queue[slot, 1]
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        if settled[here]:
            continue
        settled[here] = True
        x, y = here // ny, here % ny
        for e in range(9):
            u, v = x - (e // 3 - 1), y - (e % 3 - 1)
            if e == 4 or u < 0 or v < 0 or u >= nx or v >= ny:
                continue
            there = u * ny + v
            if column[there] == np.inf:
                continue
            onward = reach[here] + np.int64(column[here] * above[e] + 0.5) + np.int64(column[there] * above[e] + 0.5)
            too_dear = too_dear or onward >= _FAR
            if onward < reach[there]:
                reach[there] = onward
                settled[there] = False
                if spare >= 0:
                    slot = spare
                    spare = queue[slot, 1]
                elif fresh < len(queue):
                    slot = fresh
                    fresh += 1
                else:
                    return QUEUE_FULL, reach
                place = (onward >> shift) & ring
                queue[slot, 0], queue[slot, 1] = there, heads[place]
                heads[place] = slot
                waiting += 1
    if reach[first] == _FAR:
        return (TOO_DEAR if too_dear else NO_WAY), reach
    if waiting > 0:
        beyond = bucket << shift
        for here in range(nx * ny):
            reach[here] = min(reach[here], beyond)
    return FOUND, reach


@kernel
def explore(
    walls: Any,
    states: Any,
    shape: Any,
    query: int,
    start: Any,
    goal: Any,
    queue: Any,
    heads: Any,
    shift: int,
    steps: Any,
    needs: Any,
    halves: Any,
    wind_strides: Any,
    factor: Any,
    factor_strides: Any,
    duals: Any,
    dual_counts: Any,
    column: Any,
    above: Any,
    up: int,
    down: int,
) -> Any:
    """Fill states with the ways of one query; returns (status, expansions). Costs are in units.

    states (voxels, 2): cost; query << 6 | closed << 5 | the step that led here. queue (capacity, 2): a pool of
    entries (packed voxel, next entry of the same bucket or -1). heads (ring,): scratch; a bucket is 2**shift units
    wide, and the ring wider than any step changes cost plus estimate. halves (places, 26, 2): units at factor 1.
    """
    ny, nz = shape[1], shape[2]
    ring = len(heads) - 1
    heads[:] = -1
    gx, gy, gz = goal[0], goal[1], goal[2]
    target = (gx * ny + gy) * nz + gz
    capacity = len(queue)

    x, y, z = start[0], start[1], start[2]
    here = (x * ny + y) * nz + z
    states[here, 0], states[here, 1] = 0, (query << 6) | _START
    if here == target:
        return FOUND, 0
    reach = np.empty(0, np.int64)
    if len(column) > 0:
        status, reach = from_above(shape, start, goal, queue, heads, shift, column, above)
        if status != FOUND:
            return status, 0
        heads[:] = -1
    floor = estimate(x, y, z, goal, duals, dual_counts, reach, ny, up, down)
    bucket = floor >> shift
    queue[0, 0], queue[0, 1] = (x << 42) | (y << 21) | z, -1
    heads[bucket & ring] = 0
    fresh, spare, waiting = 1, -1, 1
    best = np.int64(1) << 62
    expansions = 0
    too_dear = False

    while waiting > 0:
        slot = heads[bucket & ring]
        while slot < 0:
            bucket += 1
            slot = heads[bucket & ring]
        if bucket << shift >= best or best == floor:
            break
        entry = queue[slot, 0]
        heads[bucket & ring] = queue[slot, 1]
        queue[slot, 1] = spare
        spare = slot
        waiting -= 1
        x, y, z = entry >> 42, (entry >> 21) & 0x1FFFFF, entry & 0x1FFFFF
        here = (x * ny + y) * nz + z
        if states[here, 1] & _CLOSED:
            continue
        cost = states[here, 0]
        if best < 1 << 62 and cost + estimate(x, y, z, goal, duals, dual_counts, reach, ny, up, down) >= best:
            continue
        states[here, 1] |= _CLOSED
        expansions += 1

        w = z // _SPAN
        low = z - w * _SPAN
        around = np.int64(0)
        for i in range(3):
            for j in range(3):
                around |= ((walls[x + i, y + j, w] >> low) & 7) << (9 * i + 3 * j)
        weight = factor[x * factor_strides[0] + y * factor_strides[1] + z * factor_strides[2]]
        air = x * wind_strides[0] + y * wind_strides[1] + z * wind_strides[2]

        for e in range(26):
            if around & needs[e]:
                continue
            u, v, t = x + steps[e, 0], y + steps[e, 1], z + steps[e, 2]
            there = (u * ny + v) * nz + t
            if states[there, 1] >> 6 == query and states[there, 0] <= cost:
                continue
            air_there = u * wind_strides[0] + v * wind_strides[1] + t * wind_strides[2]
            level, vertical = halves[air, e, 0], halves[air, e, 1]
            level_there, vertical_there = halves[air_there, e, 0], halves[air_there, e, 1]
            if level == np.inf or level_there == np.inf:
                continue
            other = factor[u * factor_strides[0] + v * factor_strides[1] + t * factor_strides[2]]
            onward = (
                cost
                + np.int64(weight * level + 0.5)
                + np.int64(weight * vertical + 0.5)
                + np.int64(other * level_there + 0.5)
                + np.int64(other * vertical_there + 0.5)
            )
            if states[there, 1] >> 6 == query and states[there, 0] <= onward:
                continue
            if onward > _FAR:
                too_dear = True
                continue
            total = onward + estimate(u, v, t, goal, duals, dual_counts, reach, ny, up, down)
            if total >= best:
                continue
            states[there, 0], states[there, 1] = onward, (query << 6) | e
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
                return QUEUE_FULL, expansions
            place = (total >> shift) & ring
            queue[slot, 0], queue[slot, 1] = (u << 42) | (v << 21) | t, heads[place]
            heads[place] = slot
            waiting += 1
    if best < 1 << 62:
        return FOUND, expansions
    return (TOO_DEAR if too_dear else NO_WAY), expansions


@kernel
def trace(states: Any, shape: Any, goal: Any, steps: Any) -> Any:
    """The cells (n, 3) from the start to the goal by the steps that the search left in the states."""
    ny, nz = shape[1], shape[2]
    count = 1
    x, y, z = goal[0], goal[1], goal[2]
    came = states[(x * ny + y) * nz + z, 1] & 31
    while came != _START and count <= len(states):
        x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
        came = states[(x * ny + y) * nz + z, 1] & 31
        count += 1
    cells = np.empty((count, 3), np.int32)
    x, y, z = goal[0], goal[1], goal[2]
    for k in range(count - 1, -1, -1):
        cells[k, 0], cells[k, 1], cells[k, 2] = x, y, z
        came = states[(x * ny + y) * nz + z, 1] & 31
        if came != _START:
            x, y, z = x - steps[came, 0], y - steps[came, 1], z - steps[came, 2]
    return cells
