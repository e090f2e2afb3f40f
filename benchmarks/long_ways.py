"""Long ways over the big city: time, memory and proven ratio against the length of the route, both modes.

    python -m benchmarks.long_ways [--folder FOLDER] [--scale 1.0] [--out FILE.json] [--plot FILE.svg]

For each length and mode a fresh process opens the city, makes the planner and asks its pairs. Times are CPU seconds of
one thread for a query, after one query has been asked to compile and touch what it needs. Memory is of the process:
what it holds itself (anonymous) before and after the queries, and the highest total with the pages of the two mapped
files, 320 MB for the full city, which the system drops when it needs the room.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.big_city import CELL_M, big_city, pairs

KILOMETRES = (1, 2, 3, 4, 6, 8, 10, 12)
#: Pairs for a length in the certified mode (more where the promise is measured) and in the exact mode.
PAIRS, PAIRS_10, PAIRS_EXACT = 15, 60, 5


def _memory_mb() -> dict[str, float]:
    wanted = {"VmHWM": "peak", "RssAnon": "own", "RssFile": "mapped"}
    lines = Path("/proc/self/status").read_text().splitlines()
    return {wanted[k]: int(v.split()[0]) / 1024 for k, v in (ln.split(":", 1) for ln in lines) if k in wanted}


def ask(folder: Path, scale: float, km: float, exact: bool, count: int) -> dict[str, Any]:
    """One length in one mode, in this process."""
    from utm.core.longways import LongPlanner

    city = big_city(folder, scale=scale)
    warm, counted = pairs(city, 1000 * min(km, 1), 1, seed=99), pairs(city, 1000 * km, count, seed=1)
    planner = LongPlanner(city.lowest, city.highest)
    for mode in (False, True):  # compiles all there is
        planner.path(warm[0][0], warm[1][0], exact=mode)
    before = _memory_mb()
    rows = []
    for start, goal in zip(*counted, strict=True):
        began = time.thread_time()
        way = planner.path(start, goal, exact=exact)
        spent = time.thread_time() - began
        assert way.cost <= (1.0 if exact else 1.01) * way.lower_bound, "the promise is broken"
        km_flown = way.cost * CELL_M / 1000
        rows.append([spent, way.cost / way.lower_bound, way.expansions, km_flown])
    after = _memory_mb()
    seconds, ratio, looked, flown = np.array(rows).T
    return {
        "km": km,
        "exact": exact,
        "pairs": count,
        "preparation_s": planner.preparation_s,
        "coarser_mb": planner.memory["coarser"] / 2**20,
        "ms_p50": 1e3 * float(np.median(seconds)),
        "ms_p95": 1e3 * float(np.percentile(seconds, 95)),
        "ms_max": 1e3 * float(seconds.max()),
        "ratio_p50": float(np.median(ratio)),
        "ratio_p95": float(np.percentile(ratio, 95)),
        "ratio_max": float(ratio.max()),
        "expansions_p50": float(np.median(looked)),
        "expansions_max": float(looked.max()),
        "km_flown_p50": float(np.median(flown)),
        "own_before_mb": before["own"],
        "own_after_mb": after["own"],
        "mapped_mb": after["mapped"],
        "peak_mb": after["peak"],
    }


def measure(folder: Path, scale: float, kilometres: tuple[float, ...] = KILOMETRES) -> list[dict[str, Any]]:
    """Every length in both modes, each in a process of its own."""
    big_city(folder, scale=scale)
    results = []
    for exact in (False, True):
        for km in kilometres:
            count = PAIRS_EXACT if exact else PAIRS_10 if km == 10 else PAIRS
            order = [sys.executable, "-m", "benchmarks.long_ways", "--folder", str(folder), "--scale", str(scale)]
            order += ["--one", json.dumps([km, exact, count])]
            done = subprocess.run(order, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{km} km, exact={exact} failed:\n{done.stderr}")
            results.append(json.loads(done.stdout))
            print(row(results[-1]), flush=True)
    return results


HEAD = """| mode | km | pairs | ms p50, p95, max | cost/bound p50, p95, max | expansions p50, max | own MB | peak MB |
|---|---|---|---|---|---|---|---|"""


def row(r: dict[str, Any]) -> str:
    """One line of the table."""
    return (
        f"| {'exact' if r['exact'] else 'within 1.01'} | {r['km']:g} | {r['pairs']} "
        f"| {r['ms_p50']:.1f} / {r['ms_p95']:.1f} / {r['ms_max']:.1f} "
        f"| {r['ratio_p50']:.4f} / {r['ratio_p95']:.4f} / {r['ratio_max']:.4f} "
        f"| {r['expansions_p50']:,.0f} / {r['expansions_max']:,.0f} "
        f"| {r['own_before_mb']:.0f}, {r['own_after_mb']:.0f} | {r['peak_mb']:.0f} |"
    )


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against length, both modes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for exact, name, colour in ((False, "within 1.01 of the bound", "C0"), (True, "exact", "C3")):
        mine = [r for r in results if r["exact"] == exact]
        km = [r["km"] for r in mine]
        left.plot(km, [r["ms_p50"] for r in mine], "o-", color=colour, label=f"{name}, median")
        left.plot(km, [r["ms_p95"] for r in mine], "^:", color=colour, label=f"{name}, p95")
        right.plot(km, [r["peak_mb"] for r in mine], "o-", color=colour, label=f"{name}, peak with mapped files")
        grown = [r["own_after_mb"] - r["own_before_mb"] for r in mine]
        right.plot(km, grown, "^:", color=colour, label=f"{name}, grown by the queries")
    left.set(yscale="log", xlabel="route, km in a straight line", ylabel="CPU ms a query")
    right.set(xlabel="route, km in a straight line", ylabel="MB", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "skyroad-big-city")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        km, exact, count = json.loads(asked.one)
        print(json.dumps(ask(asked.folder, asked.scale, km, exact, count)))
        return
    print(HEAD)
    lengths = tuple(km for km in KILOMETRES if km <= 12 * asked.scale) or (12 * asked.scale,)
    results = measure(asked.folder, asked.scale, lengths)
    if asked.out:
        asked.out.write_text(json.dumps({"machine": platform.processor(), "results": results}, indent=1) + "\n")
    if asked.plot:
        plot(results, asked.plot)


if __name__ == "__main__":
    main()
