"""Building a map of a point cloud against only reading it: `python -m benchmarks.map_cloud_speed`.

The peer is laspy with its parallel reader, which only decompresses and reads. The map is built of the same files on two
workers, every return believed and the ground by class 2: decode, bin, merge, finish, write. Rounds are interleaved, and
the figure is the median of the rounds' ratios. What the outlier filter and the ground filter cost is told apart. The
ratio of processor times stands beside that of wall times: it says the same on a machine where others work too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import laspy
import numpy as np
from numpy.typing import NDArray

from benchmarks.map_figures import clouds, generator, machine, table, write_section
from utm.mapping.ingest.build import build_map

NAME = "map_cloud_speed"
WORKERS = 2
STAGES = ("decode", "bin", "merge", "finish", "write")
TARGET = 2.0


def clocks() -> NDArray[np.float64]:
    """Wall time, and processor time of all threads."""
    return np.array([time.perf_counter(), time.process_time()])


def read_only(files: list[Path]) -> tuple[NDArray[np.float64], int]:
    """Wall and processor seconds, and points, of reading with laspy's parallel reader, nothing else."""
    began, points = clocks(), 0
    for file in files:
        points += len(laspy.read(file, laz_backend=laspy.LazBackend.LazrsParallel).points)
    return clocks() - began, points


def build(files: list[Path], out: Path, crs: str, **options: Any) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Wall and processor seconds of a build, and wall seconds of its stages summed over the workers."""
    shutil.rmtree(out, ignore_errors=True)
    seconds: dict[str, float] = {}
    began = clocks()
    build_map(files, out, crs=crs, workers=WORKERS, seconds=seconds, **options)
    return clocks() - began, seconds


def compare(files: list[Path], crs: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Interleaved rounds; medians."""
    read_only(files)
    build(files, folder / "map", crs, outliers=False)  # compiled and paged in
    reads, builds, stages = [], [], []
    for _ in range(rounds):
        read, points = read_only(files)
        built, seconds = build(files, folder / "map", crs, outliers=False)
        reads.append(read)
        builds.append(built)
        stages.append(seconds)
        wall, processor = built / read
        print(f"  read {read[0]:.3f} s, build {built[0]:.3f} s, {wall:.2f} x, processor {processor:.2f} x, "
              f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    ratios = np.array(builds) / np.array(reads)
    return {
        "points": points,
        "read": float(np.median(reads, axis=0)[0]),
        "build": float(np.median(builds, axis=0)[0]),
        "ratio": float(np.median(ratios[:, 0])),
        "least": float(ratios[:, 0].min()),
        "most": float(ratios[:, 0].max()),
        "processor": float(np.median(ratios[:, 1])),
        "stages": {name: statistics.median(s.get(name, 0.0) for s in stages) for name in STAGES},
    }


def filters(files: list[Path], crs: str, folder: Path, finish: float) -> tuple[float, float]:
    """Seconds of the outlier filter, and of the ground filter: what finishing takes longer than without it."""
    _, outliers = build(files, folder / "map", crs, outliers=True)
    _, ground = build(files, folder / "map", crs, outliers=False, ground="filter")
    return outliers["filter"], ground.get("ground", 0.0) + ground["finish"] - finish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--points", type=float, default=10e6, help="of the tiled cloud")
    parser.add_argument("--skip-filters", action="store_true", help="print the ratios only, write no table")
    given = parser.parse_args()
    about = machine()
    name, files, crs = clouds()
    rows, stage_rows, filter_rows = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generator("generate_tiles").generate(files, folder / "tiles", int(given.points), 2_000_000)
        cases = [("the files as they are", files), ("tiles made of them", sorted((folder / "tiles").glob("*.laz")))]
        for title, chosen in cases:
            print(f"{title}: {len(chosen)} files")
            found = compare(chosen, crs, given.rounds, folder)
            rate = found["points"] / found["build"] / 1e6
            rows.append([
                title, len(chosen), f"{found['points']:,}", f"{found['read']:.2f}", f"{found['build']:.2f}",
                f"**{found['ratio']:.2f}**", f"{found['least']:.2f} - {found['most']:.2f}", f"{found['processor']:.2f}",
                f"{rate:.1f}",
            ])  # fmt: skip
            stage_rows.append([title, *(f"{found['stages'][stage]:.2f}" for stage in STAGES)])
            print(stage_rows[-1])
            if not given.skip_filters:
                outliers, ground = filters(chosen, crs, folder, found["stages"]["finish"])
                each = 1e6 / found["points"]
                filter_rows.append(
                    [title, *(f"{s:.1f}" for s in (outliers, ground)), *(f"{s * each:.2f}" for s in (outliers, ground))]
                )
    text = "\n\n".join([
        "## Point clouds: building against reading",
        f"{name}. {WORKERS} workers, cells of 1 m, ground by class 2, no outlier filter. Target: a ratio of at most "
        f"{TARGET:g}.",
        table(
            ["cloud", "files", "points", "laspy reads, s", "map built, s", "ratio", "rounds", "ratio of processor time",
             "M points/s"],
            rows,
        ),
        f"Medians of {given.rounds} interleaved rounds. Seconds of the stages, summed over the workers:",
        table(["cloud", *STAGES], stage_rows),
        "The filters, which the ratio leaves out, in seconds summed over the workers:",
        table(["cloud", "outliers, s", "ground, s", "outliers, s per M points", "ground, s per M points"], filter_rows),
        f"Machine: {about}.",
    ])  # fmt: skip
    if given.skip_filters:
        print(text)
    else:
        write_section(NAME, text)


if __name__ == "__main__":
    main()
