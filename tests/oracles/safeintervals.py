"""Least arrival and least cost among moving reservations, slow and obvious: sets of times, grown until they stay.

For every voxel (and whether the flight is in level or in vertical flight) the set of all times at which a flight can
be there is kept as a list of spans. Every move is applied to every set, again and again, until nothing is added. No
order, no estimate, no dominance; which times a move must not begin is asked of `utm.core.conflict` for each move.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from utm.core.conflict import forbidden_delays
from utm.model import Trajectory

Spans = list[tuple[float, float]]
Node = tuple[tuple[int, int, int], str]

_STEPS = [s for s in itertools.product((-1, 0, 1), repeat=3) if any(s) and (s[2] == 0 or s[:2] == (0, 0))]
#: Metres by which the planner takes limits larger than `utm.core.conflict` does, against rounding. Where two graze each
#: other, a micrometre is half a millisecond.
EXTRA_M = 1e-6
_MODES = ("level", "vertical")
_MOMENT_S = 1e-7
_SAME_S = 1e-8


@dataclass
class World:
    """What is asked of, as `utm.core.safeintervals.SafeIntervalPlanner` is told it."""

    blocked: np.ndarray
    cell_m: float
    cruise_m_s: float
    climb_m_s: float
    descent_m_s: float
    hover: bool
    stop_s: float
    factor: np.ndarray
    origin_m: np.ndarray
    reservations: list[tuple[Trajectory, float, float, float]]


def union(spans: Spans) -> Spans:
    found: Spans = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + _SAME_S:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def both(one: Spans, other: Spans) -> Spans:
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d)]


def without(whole: tuple[float, float], taken: Spans) -> Spans:
    """The rest of a span; the ends of what is taken are free."""
    found, at = [], whole[0]
    for low, high in union(taken):
        if low >= at and at <= whole[1]:
            found.append((at, min(low, whole[1])))
        at = max(at, high)
    if at <= whole[1]:
        found.append((at, whole[1]))
    return found


class Oracle:
    """All questions about one world and one span of time."""

    def __init__(self, world: World, earliest: float, latest: float, hold: float):
        self.world, self.hold = world, hold
        self.window = (earliest, latest)
        self._free: dict[tuple, Spans] = {}
        # Boxes around the pieces of all reservations, as far as they reach: most are far from most moves.
        rows = [
            (number, *(np.minimum(a, b) - room), *(np.maximum(a, b) + room))
            for number, (line, horizontal, vertical, _) in enumerate(world.reservations)
            for a, b in itertools.pairwise(line.enu_m)
            for room in [np.array([horizontal, horizontal, vertical]) + 1e-3]
        ]
        self._boxes = np.array(rows).reshape(-1, 7)

    def centre(self, cell):
        return self.world.origin_m + (np.array(cell) + 0.5) * self.world.cell_m

    def free(self, one, other, seconds: float) -> Spans:
        """When a straight motion from one voxel to another (or a stay) may begin."""
        key = (one, other, seconds)
        if key not in self._free:
            motion = Trajectory([0.0, seconds], [self.centre(one), self.centre(other)])
            taken: Spans = []
            low_m, high_m = motion.enu_m.min(axis=0), motion.enu_m.max(axis=0)
            near = ((self._boxes[:, 1:4] <= high_m) & (self._boxes[:, 4:] >= low_m)).all(axis=1)
            for number in sorted(set(self._boxes[near, 0].astype(int).tolist())):
                line, horizontal, vertical, tolerance = self.world.reservations[number]
                for low, high in forbidden_delays(line, motion, horizontal + EXTRA_M, vertical + EXTRA_M):
                    taken.append((float(low) - tolerance, float(high) + tolerance))
            self._free[key] = without((self.window[0] - self.hold, self.window[1] + self.hold), taken)
        return self._free[key]

    def moves(self, node: Node):
        """(next node, seconds of a stop, seconds of the move, cost) of every move from a node."""
        w, (cell, mode) = self.world, node
        for step in _STEPS:
            there = tuple(c + s for c, s in zip(cell, step, strict=True))
            boxes = itertools.product(*[(0, s) if s else (0,) for s in step])
            if not all(self.inside(tuple(c + o for c, o in zip(cell, box, strict=True))) for box in boxes):
                continue
            kind = "level" if step[2] == 0 else "vertical"
            stop = w.stop_s if kind != mode else 0.0
            speed = w.cruise_m_s if step[2] == 0 else w.climb_m_s if step[2] > 0 else w.descent_m_s
            seconds = math.hypot(*step) * w.cell_m / speed
            cost = seconds * (w.factor[cell] + w.factor[there]) / 2 + stop * w.factor[cell]
            yield (there, kind), stop, seconds, cost

    def onward(self, times: Spans, one, other, stop: float, seconds: float) -> Spans:
        """When the next voxel can be reached by one that can be in a voxel at some times: a stop, then the move."""
        if stop:
            times = [(a + stop, b + stop) for a, b in both(times, self.free(one, one, stop))]
        times = self.waited(one, times)
        return self.waited(other, [(a + seconds, b + seconds) for a, b in both(times, self.free(one, other, seconds))])

    def inside(self, cell) -> bool:
        shape = self.world.blocked.shape
        return all(0 <= c < n for c, n in zip(cell, shape, strict=True)) and not self.world.blocked[cell]

    def waited(self, cell, times: Spans) -> Spans:
        """Times that can be had by waiting, where that is allowed."""
        if not self.world.hover:
            return times
        safe = self.free(cell, cell, _MOMENT_S)
        return union([(max(a, c), d) for a, b in times for c, d in safe if max(a, c) <= min(b, d)])

    def begin(self, start) -> Spans:
        window = [self.window]
        if self.hold:
            held = [(low + self.hold, high + self.hold) for low, high in self.free(start, start, self.hold)]
            window = both(window, held)
        return self.waited(start, both(window, self.free(start, start, _MOMENT_S)))

    def arrivals(self, goal, times: Spans) -> Spans:
        return both(times, self.free(goal, goal, self.hold or _MOMENT_S))

    def least_arrival(self, start, goal) -> float:
        """Infinite where there is none."""
        reached: dict[Node, Spans] = defaultdict(list)
        todo = set()
        for mode in _MODES:
            reached[start, mode] = self.begin(start)
            todo.add((start, mode))
        while todo:
            node = todo.pop()
            for there, stop, seconds, _ in self.moves(node):
                times = both(self.onward(reached[node], node[0], there[0], stop, seconds), [self.window])
                grown = union(reached[there] + times)
                if _more(grown, reached[there]):
                    reached[there] = grown
                    todo.add(there)
        found = [self.arrivals(goal, reached[goal, mode]) for mode in _MODES]
        return min((a for spans in found for a, _ in spans), default=math.inf)

    def least_cost(self, start, goal, deadline: float) -> float:
        """Of the ways that arrive by the deadline: the same sets, one for every cost."""
        reached: dict[tuple[float, Node], Spans] = {}
        queue: list[tuple[float, Node]] = []
        for mode in _MODES:
            reached[0.0, (start, mode)] = self.begin(start)
            heapq.heappush(queue, (0.0, (start, mode)))
        while queue:
            cost, node = heapq.heappop(queue)
            times = both(reached[cost, node], [(self.window[0], deadline)])
            if node[0] == goal and self.arrivals(goal, times):
                return cost
            for there, stop, seconds, dearer in self.moves(node):
                onward = both(self.onward(times, node[0], there[0], stop, seconds), [(self.window[0], deadline)])
                if not onward:
                    continue
                key = (round(cost + dearer, 7), there)
                if key not in reached:
                    heapq.heappush(queue, key)
                    reached[key] = []
                reached[key] = union(reached[key] + onward)
        return math.inf


def _more(grown: Spans, before: Spans) -> bool:
    """Whether one list of spans says more than another, but for rounding."""
    return len(grown) != len(before) or any(
        abs(a - c) > 10 * _SAME_S or abs(b - d) > 10 * _SAME_S for (a, b), (c, d) in zip(grown, before, strict=True)
    )
