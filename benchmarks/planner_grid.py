"""The section of the planner's figures on grid search: every peer on every instance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.peers import CEILING, CROP, INSTANCES, PEERS, L, M, instance
from benchmarks.planner_sections import Say, section, summary, tabled, target
from benchmarks.race import Lap, race

OURS, TEXTBOOK = ("Skyroad", "Skyroad, corners cut"), ("textbook A*", "textbook A*, corners cut")


def grid(say: Say) -> dict[str, Any]:
    """Every peer on every instance."""
    laps, missing = {}, {}
    for name in INSTANCES:
        say(f"grid: {name}")
        able = []
        for peer in PEERS:
            reason = peer.missing()
            if reason:
                missing[peer.name] = reason
            elif name in peer.questions:
                able.append((peer, peer.questions[name]))
        laps[name] = race(instance(name), able, rounds=1 if name == L else 3, say=say)
    tables = [_peers_table()] + [_race_table(name, laps[name]) for name in INSTANCES]
    times = {name: [[lap.peer.name, sorted(lap.milliseconds)] for lap in laps[name]] for name in (M, CEILING)}
    text = [
        "M: 512 x 512 x 64 voxels of 2 m, 30 % built, 50 questions at least half the map apart. L: 1024 x 1024 x 128. "
        "M, ceiling: M below 32 m, obstacles grown by a voxel. Crop: 128 x 128 x 32 of M, for planners that keep one "
        "object per voxel. CPU time of one thread, warm: before each measured question a planner of milliseconds "
        "answers the one before it again, and the median of three rounds counts (of one in L).",
        *(f"Left out: {reason}." for reason in missing.values()),
    ]
    plot = {"kind": "ecdf", "file": "times", "title": "Share of the questions answered", "panels": times}
    result = section("Grid search", text=text, tables=tables, targets=_grid_targets(laps), plots=[plot])
    return result | {"raw": {name: [lap.figures() for lap in laps[name]] for name in INSTANCES}}


def _peers_table() -> dict[str, Any]:
    rows = [[p.name, p.version(), p.problem.value, p.remark] for p in PEERS if not p.missing()]
    return tabled("Who answers what", "planner | version | solves | remark", rows)


def _race_table(name: str, laps: list[Lap]) -> dict[str, Any]:
    ours = _lap(laps, OURS[0])
    rows = []
    for lap in laps:
        shared = np.mean(ours.milliseconds[: len(lap.milliseconds)])
        rows.append(
            [
                lap.peer.name,
                str(len(lap.milliseconds)),
                *summary(lap.milliseconds),
                f"{np.mean(lap.milliseconds) / shared:.3g}",
                f"{np.nanmean(lap.ratios):.4f}",
                f"{np.nanmax(lap.ratios):.4f}",
                f"{lap.clear}",
                f"{lap.prepare_s:.2f}",
            ]
        )
    heads = (
        "planner | asked | median, ms | p95, ms | mean, ms | mean / ours | length / optimum | worst | clear | ready, s"
    )
    return tabled(
        f"{name}: the optimum is that of 26 neighbours by the planner's own rule of corners (corners cut, where it "
        "solves another problem); means are compared over the questions that both were asked",
        heads,
        rows,
    )


def _lap(laps: list[Lap], name: str) -> Lap:
    return next(lap for lap in laps if lap.peer.name == name)


def _ratio(laps: list[Lap], theirs: str, ours: str) -> float:
    """Of mean times, over the questions that both were asked; nan where the peer was not."""
    both = [lap for lap in laps if lap.peer.name in (theirs, ours)]
    if len(both) < 2:
        return math.nan
    count = min(len(lap.milliseconds) for lap in both)
    return float(np.mean(_lap(laps, theirs).milliseconds[:count]) / np.mean(_lap(laps, ours).milliseconds[:count]))


def _grid_targets(laps: dict[str, list[Lap]]) -> list[dict[str, Any]]:
    found = []
    for name in (M, L):
        for theirs, ours, least in (
            ("dijkstra3d", OURS[1], 500),
            ("dijkstra3d-rs", OURS[0], 20),
            ("w9-pathfinding", OURS[0], 20),
            (TEXTBOOK[0], OURS[0], 10),
            (TEXTBOOK[1], OURS[1], 10),
        ):
            ratio = _ratio(laps[name], theirs, ours)  # nan, where it is not installed, holds nothing
            found.append(target(f"{name}: mean of {theirs} / {ours}", f">= {least}", f"{ratio:.1f}", ratio >= least))
    under = float(np.mean(_lap(laps[CEILING], OURS[0]).milliseconds))
    if any(lap.peer.name == "dijkstra3d-rs" for lap in laps[M]):
        plain = float(np.mean(_lap(laps[M], "dijkstra3d-rs").milliseconds))
        found.append(
            target("ceiling case / dijkstra3d-rs on M, means", "<= 0.125", f"{under / plain:.3f}", under <= plain / 8)
        )
    for name in (M, L, CEILING, CROP):
        worst = [min(lap.ratios) for lap in laps[name] if lap.peer.name == "dijkstra3d"]
        if worst:
            what = f"{name}: dijkstra3d's length / ours, least of all questions"
            found.append(target(what, ">= 1 (to 1e-5)", f"{worst[0]:.6f}", worst[0] > 1 - 1e-5))
    return found
