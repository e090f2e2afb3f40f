"""The grid planner and its peers on the same questions: `make bench`.

A round is one question; before the peer answers it, our planner does, so that both see the same machine. Times are of
the CPU (`--benchmark-timer`). The ratio of means and the lengths are in the `extra_info` (see `--benchmark-json`).
The table and the plots of docs/benchmarks-planner.md come from `python -m benchmarks.planner_figures`.
"""

from __future__ import annotations

import itertools
import time

import numpy as np

from benchmarks.peers import PEERS, Problem
from benchmarks.race import Lap, judge


def test_peer(benchmark, contest):
    name, peer, least = contest
    town = least.town
    ours = next(
        p for p in PEERS if p.problem is (Problem.KEEPING if peer.problem is Problem.KEEPING else Problem.CUTTING)
    )
    benchmark.group = name
    ask, reference = peer.prepare(town.blocked), ours.prepare(town.blocked)
    questions = list(zip(town.starts, town.goals, strict=True))
    if peer.fast:
        ask(*questions[-1])  # compiled and paged in
    reference(*questions[-1])
    turns = itertools.count()
    milliseconds: list[float] = []
    lap = Lap(peer, 0.0)

    def before():
        question = questions[next(turns)]
        began = time.process_time()
        reference(*question)
        milliseconds.append(1e3 * (time.process_time() - began))
        return question, {}

    def work(start, goal):
        answers.append(ask(start, goal))

    answers: list = []
    benchmark.pedantic(work, setup=before, rounds=peer.questions[name], iterations=1)
    for q, way in enumerate(answers):
        judge(lap, least, q, way)
    benchmark.extra_info |= {
        "problem": peer.problem.value,
        "skyroad_mean_ms": round(float(np.mean(milliseconds)), 4),
        "times_skyroad": round(1e3 * benchmark.stats.stats.mean / float(np.mean(milliseconds)), 2),
        "length_over_optimum": round(float(np.nanmean(lap.ratios)), 5),
    }
