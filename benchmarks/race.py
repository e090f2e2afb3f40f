"""A race of planners: the same questions, in one process, and every way judged.

All peers take turns, question by question, so that a slow spell of the machine hits all alike; what counts is the CPU
time of the process. Where a peer's problem is ours, its costs must agree with ours; where it is not, its ways are
longer or shorter by a ratio that is reported.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.cities import City
from benchmarks.peers import Peer, Problem
from utm.core import GridPlanner, segment_clear

_TOLERANCE = 1e-5  # of a length, as the published scenarios are checked


@dataclass
class Lap:
    """What one peer did in a race."""

    peer: Peer
    prepare_s: float
    """CPU time of preparing it for the volume."""
    milliseconds: list[float] = field(default_factory=list)
    """CPU time of each question."""
    ratios: list[float] = field(default_factory=list)
    """Length of its way by the optimum of the same rule of corners (any other problem: corners cut); nan: no way."""
    lengths: list[float] = field(default_factory=list)
    """Of its ways, voxels; nan: no way."""
    clear: int = 0
    """How many of its ways touch no blocked voxel, diagonal steps at a cut corner aside."""

    def figures(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.peer.name,
            "problem": self.peer.problem.value,
            "remark": self.peer.remark,
            "version": self.peer.version(),
            "prepare_s": self.prepare_s,
            "milliseconds": self.milliseconds,
            "ratios": self.ratios,
            "lengths": self.lengths,
            "clear": self.clear,
        }


class Optimum:
    """The least lengths of a city's questions, as our grid planner finds them."""

    def __init__(self, town: City) -> None:
        self.town = town
        self._planners = {cutting: GridPlanner(town.blocked, corner_cutting=cutting) for cutting in (False, True)}
        self._known: dict[tuple[int, bool], float] = {}

    def length(self, q: int, problem: Problem) -> float:
        """Of question q in voxels; for a problem that is not ours, with corners cut."""
        which = q, problem is not Problem.KEEPING
        if which not in self._known:
            self._known[which] = self._planners[which[1]].path(self.town.starts[q], self.town.goals[q]).cost
        return self._known[which]


def length(points: ArrayLike) -> float:
    """Of a way (n, 3), in voxels."""
    return float(np.linalg.norm(np.diff(np.asarray(points, float), axis=0), axis=1).sum())


def race(
    town: City,
    peers: Iterable[tuple[Peer, int]],
    *,
    rounds: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> list[Lap]:
    """All peers on the first questions of a city, taking turns.

    Args:
        peers: each with how many questions it is asked.
        rounds: how often; the median of the rounds is a question's time.

    Raises:
        AssertionError: a peer that solves our problem exactly disagrees with ours, or any is shorter than possible.
    """
    least = Optimum(town)
    laps, asks, counts = [], [], []
    for peer, count in peers:
        began = time.process_time()
        ask = peer.prepare(town.blocked)
        laps.append(Lap(peer, time.process_time() - began))
        asks.append(ask)
        counts.append(min(count, len(town.starts)))
        if peer.fast:
            ask(town.starts[0], town.goals[0])  # compiled and paged in
        say(f"  {peer.name} prepared in {laps[-1].prepare_s:.1f} s")
    taken: list[list[list[float]]] = [[[] for _ in range(count)] for count in counts]
    for turn in range(rounds):
        for q in range(max(counts)):
            for lap, ask, count, times in zip(laps, asks, counts, taken, strict=True):
                if q >= count or (turn and not lap.peer.fast):
                    continue
                if lap.peer.fast:
                    ask(town.starts[q - 1], town.goals[q - 1])
                began = time.process_time()
                way = ask(town.starts[q], town.goals[q])
                times[q].append(1e3 * (time.process_time() - began))
                if turn == 0:
                    judge(lap, least, q, way)
            if (q + 1) % 10 == 0 and turn == 0:
                say(f"  {q + 1} questions")
    for lap, times in zip(laps, taken, strict=True):
        lap.milliseconds = [float(np.median(times_of_one)) for times_of_one in times]
    return laps


def judge(lap: Lap, least: Optimum, q: int, way: ArrayLike) -> None:
    """Keep how long a way is and whether it is clear; a wrong one is an AssertionError."""
    peer, town, points = lap.peer, least.town, np.asarray(way)
    asked = f"{peer.name}, question {q} from {town.starts[q].tolist()} to {town.goals[q].tolist()}"
    if not len(points):
        assert not peer.exact, f"{asked}: found no way"
        lap.ratios.append(float("nan"))
        lap.lengths.append(float("nan"))
        return
    ratio = length(points) / least.length(q, peer.problem)
    lap.ratios.append(ratio)
    lap.lengths.append(length(points))
    if peer.problem is Problem.ANY_ANGLE:
        lap.clear += all(segment_clear(town.blocked, a, b) for a, b in itertools.pairwise(points))
        return
    cells = points.astype(np.int64)
    assert {tuple(cells[0]), tuple(cells[-1])} == {tuple(town.starts[q]), tuple(town.goals[q])}, f"{asked}: other ends"
    assert np.abs(np.diff(cells, axis=0)).max(initial=0) <= 1, f"{asked}: the way jumps"
    assert not town.blocked[tuple(cells.T)].any(), f"{asked}: the way goes through a wall"
    lap.clear += 1
    assert ratio > 1 - _TOLERANCE, f"{asked}: its way is {ratio} of ours, which is then not the shortest"
    if peer.exact and peer.problem.ours:
        assert ratio < 1 + _TOLERANCE, f"{asked}: its way is {ratio} of ours, though both should be the shortest"
