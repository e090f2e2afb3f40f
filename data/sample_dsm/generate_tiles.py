"""Makes a large tiled point cloud out of a small one, in seconds: shifted copies side by side.

    python data/sample_dsm/generate_tiles.py survey_centre.laz --points 100e6 --out DIR

A LAZ file stores integers, and its header the offset that is added to them. So the small cloud is compressed once, as a
tile of some million points, and every other tile is that file with another offset and other bounds in its header. The
returns are real, their neighbourhoods too; only the town repeats.
"""

from __future__ import annotations

import argparse
import math
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import laspy
import numpy as np

TILE_POINTS = 3_000_000
#: Where the LAS header (any version) keeps x, y, z offsets, and max x, min x, max y, min y after them.
_OFFSETS, _BOUNDS = 155, 179


def merge(sources: Sequence[str | Path], target: Path, tile_points: int) -> tuple[int, float, float]:
    """Write one tile of about that many points: the sources together, repeated east and north of themselves.

    Returns:
        Points in the tile, and how far apart such tiles stand east and north, whole metres.
    """
    clouds = [laspy.read(source) for source in sources]
    first = clouds[0]
    for cloud in clouds[1:]:
        if cloud.point_format != first.point_format or (cloud.header.scales != first.header.scales).any():
            raise ValueError("the clouds differ in point format or scale")
    low = np.min([cloud.header.mins for cloud in clouds], axis=0)
    high = np.max([cloud.header.maxs for cloud in clouds], axis=0)
    step = np.ceil(high - low)[:2] + 1
    points = sum(len(cloud.points) for cloud in clouds)
    repeats = max(1, round(math.sqrt(tile_points / points)))

    header = laspy.LasHeader(point_format=first.point_format, version=first.header.version)
    header.scales, header.offsets = first.header.scales, first.header.offsets
    header.vlrs = [vlr for vlr in first.header.vlrs if vlr.record_id != 22204]  # laszip's own
    header.global_encoding = first.header.global_encoding
    header.creation_date = first.header.creation_date
    with laspy.open(target, mode="w", header=header, do_compress=True) as writer:
        for north in range(repeats):
            for east in range(repeats):
                for cloud in clouds:
                    record = cloud.points.copy()
                    shift = header.offsets[:2] - cloud.header.offsets[:2] - step * (east, north)
                    record.array["X"] -= np.round(shift[0] / header.scales[0]).astype(np.int32)
                    record.array["Y"] -= np.round(shift[1] / header.scales[1]).astype(np.int32)
                    writer.write_points(laspy.ScaleAwarePointRecord(
                        record.array, first.point_format, header.scales, header.offsets
                    ))  # fmt: skip
    return points * repeats**2, float(step[0] * repeats), float(step[1] * repeats)


def shift(source: Path, target: Path, east: float, north: float) -> None:
    """Copy a LAS or LAZ file so that it lies somewhere else; only 11 numbers of its header change."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(_OFFSETS)
        x, y = struct.unpack("<2d", file.read(16))
        file.seek(_OFFSETS)
        file.write(struct.pack("<2d", x + east, y + north))
        file.seek(_BOUNDS)
        high_x, low_x, high_y, low_y = struct.unpack("<4d", file.read(32))
        file.seek(_BOUNDS)
        file.write(struct.pack("<4d", high_x + east, low_x + east, high_y + north, low_y + north))


def generate(sources: Sequence[str | Path], out_dir: str | Path, points: int, tile_points: int = TILE_POINTS) -> int:
    """Write ``tile_*.laz`` into a directory (made if absent), in a square; at least that many points, returned."""
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    first = out / "tile_000_000.laz"
    each, east, north = merge(sources, first, min(points, tile_points))
    tiles = max(1, math.ceil(points / each))
    columns = max(1, round(math.sqrt(tiles * north / east)))
    for tile in range(1, tiles):
        row, column = divmod(tile, columns)
        shift(first, out / f"tile_{row:03d}_{column:03d}.laz", column * east, row * north)
    return each * tiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", help="LAS or LAZ files that lie side by side")
    parser.add_argument("--out", required=True, help="directory to write into")
    parser.add_argument("--points", type=float, default=100e6)
    parser.add_argument("--tile-points", type=float, default=TILE_POINTS)
    given = parser.parse_args()
    total = generate(given.sources, given.out, int(given.points), int(given.tile_points))
    print(f"{given.out}: {total:,} points in {len(list(Path(given.out).glob('tile_*.laz')))} tiles")


if __name__ == "__main__":
    main()
