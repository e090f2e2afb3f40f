"""A map of 100 million points: time, memory, disk: `python -m benchmarks.map_100m_points`."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.map_figures import clouds, folder_mb, generator, in_child, machine, table, write_section
from utm.mapping.ingest.build import build_map

NAME = "map_100m_points"
WORKERS = 2
TARGET_GB = 3.0


def build(pattern: str, out: str, crs: str, outliers: bool) -> dict[str, Any]:
    """A build in a child: its points, cells and the seconds of its stages."""
    seconds: dict[str, float] = {}
    city = build_map(pattern, out, crs=crs, outliers=outliers, workers=WORKERS, seconds=seconds)
    return {"counts": city.meta["counts"], "size": city.size, "version": city.version, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=float, default=100e6)
    parser.add_argument("--folder", help="keep tiles and map here, and use the tiles that lie here")
    parser.add_argument("--outliers", action="store_true", help="a second build with the outlier filter")
    given = parser.parse_args()
    about = machine()
    name, files, crs = clouds()
    folder = Path(given.folder or tempfile.mkdtemp())
    rows = []
    try:
        tiles = folder / "tiles"
        if not tiles.exists():
            generator("generate_tiles").generate(files, tiles, int(given.points))
        for outliers in (False, True) if given.outliers else (False,):
            out = folder / "map"
            shutil.rmtree(out, ignore_errors=True)
            did = in_child(f"{__spec__.name}:build", pattern=str(tiles / "*.laz"), out=str(out), crs=crs,
                           outliers=outliers)  # fmt: skip
            points = did.result["counts"]["points_read"]
            spent = did.result["seconds"]
            rows.append([
                "on" if outliers else "off", f"{points:,}", f"{did.result['size'][0]} x {did.result['size'][1]}",
                f"{did.seconds:.0f}", f"{points / did.seconds / 1e6:.2f}", f"**{did.peak_mb / 1e3:.2f}**",
                f"{folder_mb(tiles):.0f}", f"{folder_mb(out):.0f}",
                ", ".join(f"{stage} {value:.0f}" for stage, value in spent.items()),
            ])  # fmt: skip
            print(rows[-1])
    finally:
        if not given.folder:
            shutil.rmtree(folder, ignore_errors=True)
    heads = [
        "outlier filter", "points", "cells of 1 m", "s", "M points/s", "peak, GB", "cloud, MB", "map, MB",
        "s of stages, summed over workers",
    ]  # fmt: skip
    text = "\n\n".join([
        "## A hundred million points",
        f"Tiles of {name}, {WORKERS} workers. Target: at most {TARGET_GB:g} GB of memory (resident, with all "
        "imports, of the process and its children).",
        table(heads, rows),
        f"Machine: {about}.",
    ])  # fmt: skip
    write_section(NAME, text)


if __name__ == "__main__":
    main()
