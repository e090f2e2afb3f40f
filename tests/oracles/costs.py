"""Cheapest ways over weighted voxels in a wind, slow and obvious: Dijkstra with a heap over a dictionary of steps."""

from __future__ import annotations

import functools
import heapq
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles.grid import step_allowed
from utm.core.energy import power_w
from utm.model import Aircraft, Objective

STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


@functools.cache
def half_step(
    aircraft: Aircraft | None, objective: Objective, cell_m: float, wind: tuple[float, float], step: tuple[int, ...]
) -> float:
    """Half of a step in one voxel: its level part flown level, then its vertical part flown vertically; inf where the
    wind is too strong. Metres, seconds or watt-hours."""
    level = cell_m / 2 * math.hypot(step[0], step[1])
    rise = cell_m / 2 * step[2]
    if aircraft is None:
        return math.hypot(level, rise)
    strength, most = math.hypot(*wind), aircraft.max_airspeed_m_s
    if strength > most:
        return math.inf
    seconds = joules = 0.0
    if level:
        track = (step[0] / math.hypot(step[0], step[1]), step[1] / math.hypot(step[0], step[1]))
        along = track[0] * wind[0] + track[1] * wind[1]
        across_squared = max(strength**2 - along**2, 0.0)
        speed = min(aircraft.cruise_m_s, along + math.sqrt(max(most**2 - across_squared, 0.0)))
        if speed < aircraft.cruise_m_s / 1000:  # standing
            return math.inf
        airspeed = math.hypot(speed * track[0] - wind[0], speed * track[1] - wind[1])
        seconds += level / speed
        joules += level / speed * float(power_w(aircraft, airspeed, 0.0))
    if rise:
        vertical = aircraft.climb_m_s if rise > 0 else -aircraft.descent_m_s
        seconds += rise / vertical
        joules += rise / vertical * float(power_w(aircraft, strength, vertical))
    return {Objective.LENGTH: math.hypot(level, rise), Objective.TIME: seconds, Objective.ENERGY: joules / 3600}[
        objective
    ]


def all_half_steps(blocked, factor, aircraft, objective, wind, cell_m) -> dict:
    """(voxel, step) -> half of the step in that voxel, weighed. Arrays broadcast to the whole volume."""
    table = {}
    for cell in itertools.product(*map(range, blocked.shape)):
        if not blocked[cell]:
            for step in STEPS:
                table[cell, step] = factor[cell] * half_step(
                    aircraft, objective, cell_m, tuple(wind[cell].tolist()), step
                )
    return table


def edges(blocked: NDArray[np.bool_], table: dict, cell: tuple[int, ...]):
    """(neighbour, cost) of every step that is permitted from a free voxel."""
    for step in STEPS:
        if step_allowed(blocked, cell, step, False):
            there = tuple(c + s for c, s in zip(cell, step, strict=True))
            cost = table[cell, step] + table[there, step]
            if math.isfinite(cost):
                yield there, cost


def costs_from(blocked: NDArray[np.bool_], table: dict, start: tuple[int, ...]) -> dict:
    """Least cost of the way from a free voxel to each that can be reached."""
    found: dict = {}
    queue = [(0.0, start)]
    while queue:
        so_far, cell = heapq.heappop(queue)
        if cell in found:
            continue
        found[cell] = so_far
        for there, cost in edges(blocked, table, cell):
            if there not in found:
                heapq.heappush(queue, (so_far + cost, there))
    return found


def way_cost(blocked: NDArray[np.bool_], table: dict, cells: NDArray[np.int32]) -> float:
    """Cost of a way; raises where it takes a step that is not permitted."""
    total = 0.0
    for one, other in itertools.pairwise(map(tuple, cells.tolist())):
        onward = dict(edges(blocked, table, one))
        if other not in onward:
            raise AssertionError(f"the step from {one} to {other} is not permitted")
        total += onward[other]
    return total
