"""All 30,000 published questions of the warframe maps: `python -m benchmarks.warframe [FOLDER]`.

The maps and the optimal lengths (26 neighbours, no corner cut) are those of Nobes, Harabor, Wybrow and Walsh, "The
Jump Point Search pathfinding system in 3D" (2022). The folder is ``warframe`` in the shared data unless one is given.
Prints what was asked and what it took; exits with 1 when a length differs by more than 1e-5.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.core import GridPlanner

MAPS = ("Simple", "Complex", "DA1")
TOLERANCE = 1e-5  # voxels; the lengths are published with eight decimals


@dataclass(frozen=True)
class Scenarios:
    """A map and its questions."""

    blocked: NDArray[np.bool_]
    """(nx, ny, nz)."""
    starts: NDArray[np.int64]
    """(n, 3)."""
    goals: NDArray[np.int64]
    """(n, 3)."""
    lengths: NDArray[np.float64]
    """(n,) voxels, the published optima."""


def read(folder: Path, name: str, every: int = 1) -> Scenarios:
    """A map with every so manieth of its 10,000 questions."""
    with (folder / f"{name}.3dmap").open() as file:
        shape = tuple(int(word) for word in file.readline().split()[1:])
        walls = np.loadtxt(file, dtype=np.int64)
    blocked = np.zeros(shape, bool)
    blocked[tuple(walls.T)] = True
    with (folder / f"{name}.3dmap.3dscen").open() as file:
        rows = np.loadtxt(_every(file, every), ndmin=2)
    ends = rows[:, :6].astype(np.int64)
    return Scenarios(blocked, ends[:, :3], ends[:, 3:], rows[:, 6])


def _every(lines: Iterator[str], every: int) -> Iterator[str]:
    """The lines after a head of two, every so manieth."""
    for number, line in enumerate(lines):
        if number >= 2 and (number - 2) % every == 0:
            yield line


def main(folder: Path) -> int:
    disagreements = 0
    for name in MAPS:
        questions = read(folder, name)
        planner = GridPlanner(questions.blocked)
        costs, expansions, milliseconds = [], [], []
        for start, goal in zip(questions.starts, questions.goals, strict=True):
            began = time.process_time()
            path = planner.path(start, goal)
            milliseconds.append(1e3 * (time.process_time() - began))
            costs.append(path.cost)
            expansions.append(path.expansions)
        difference = np.abs(np.array(costs) - questions.lengths)
        wrong = int((difference > TOLERANCE).sum())
        disagreements += wrong
        print(
            f"{name} {questions.blocked.shape}: {len(costs)} questions, {wrong} disagree, largest difference "
            f"{difference.max():.1e}; CPU ms median {np.median(milliseconds):.3f}, mean {np.mean(milliseconds):.3f}, "
            f"p95 {np.percentile(milliseconds, 95):.3f}; expansions median {np.median(expansions):.0f}, "
            f"mean {np.mean(expansions):.0f}"
        )
    return 1 if disagreements else 0


if __name__ == "__main__":
    shared = Path(os.environ.get("UTM_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "warframe"))
