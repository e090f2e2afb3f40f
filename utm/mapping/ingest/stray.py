"""Whether what surveys cover hangs together. One wrong bit in one coordinate, or in the bounds of a header, makes a map
of a survey a thousand kilometres wide; nothing would be wrong with it but that nobody flew there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from utm.errors import SurveyError
from utm.mapping.ingest.grid import MAX_CELLS, TILE, Tile
from utm.mapping.ingest.placing import Bounds

#: No single file holds surveys farther apart than this, and no header's bounds reach farther beyond its points.
WITHIN_FILE_M = 10_000.0
#: No city's files do.
BETWEEN_FILES_M = 50_000.0


def check_files(boxes: Sequence[tuple[Path, Bounds]], cell_m: float) -> None:
    """Raise SurveyError for a file that alone is larger than a map, or that lies far from all others.

    Args:
        boxes: west, south, east, north of each file, in metres of the map's CRS.
        cell_m: of the map, above zero.
    """
    for path, (west, south, east, north) in boxes:
        if (east - west) / cell_m * (north - south) / cell_m > MAX_CELLS:
            extent = f"{east - west:,.0f} x {north - south:,.0f} m"
            raise SurveyError(
                f"reaches over {extent}: with cells of {cell_m:g} m more than a map holds",
                file=path, field="bounds",
                mend="Remove stray points and check the CRS, or give a coarser --resolution.",
            )  # fmt: skip
    for axis in (0, 1):
        ordered = sorted(boxes, key=lambda entry: entry[1][axis])
        gap, number = widest_gap((box[axis], box[axis + 2]) for _, box in ordered)
        if gap > BETWEEN_FILES_M:
            here, there = ordered[number - 1][0], ordered[number][0]
            if number > len(ordered) / 2:  # the fewer are the ones that are elsewhere
                here, there = there, here
            raise SurveyError(
                f"lies {gap / 1000:,.0f} km from {there.name} and all that is near that", file=here, field="bounds",
                mend="Is it of another place, or in another CRS? Of two cities build two maps.",
            )  # fmt: skip


def check_tiles(path: Path, box: Bounds, tiles: Iterable[Tile], cell_m: float) -> None:
    """Raise SurveyError for a file whose points, or objects, leave a wide gap between them or to its stated bounds.

    Args:
        box: where the file says that it reaches: metres from the map's corner.
        tiles: those that hold something of it.
    """
    edge = TILE * cell_m
    for axis in (0, 1):
        lines = sorted({tile[axis] for tile in tiles})
        stretches = sorted([(box[axis],) * 2, (box[axis + 2],) * 2, *((n * edge, (n + 1) * edge) for n in lines)])
        gap, _ = widest_gap(stretches)
        if lines and gap > WITHIN_FILE_M:
            raise SurveyError(
                f"for {gap / 1000:,.0f} km there is nothing between parts of it, or to the bounds that it states",
                file=path, field="bounds", mend="Remove stray points, or give each survey as a file of its own.",
            )  # fmt: skip


def widest_gap(stretches: Iterable[tuple[float, float]]) -> tuple[float, int]:
    """The widest gap between stretches (low, high) sorted by low, and the number of the stretch behind it."""
    reached, found = float("-inf"), (0.0, 0)
    for number, (low, high) in enumerate(stretches):
        if number and low - reached > found[0]:
            found = low - reached, number
        reached = max(reached, high)
    return found
