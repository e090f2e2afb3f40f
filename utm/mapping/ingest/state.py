"""A tile between reading and finishing: everything that was seen of it, nothing yet assumed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.grid import Box
from utm.mapping.mapfile import RUN_DTYPE

#: Height of a level bit of `Evidence.levels`.
LAYER_M = 2.0

#: How the ground of a cell is known; a higher one wins in its cell.
GROUND_NONE, GROUND_MODEL, GROUND_FILTERED, GROUND_CLASSIFIED, GROUND_DTM = range(5)

REJECTED_DTYPE = np.dtype([("ix", "i4"), ("iy", "i4"), ("up", "f4"), ("source", "u2"), ("again", "?")])
ENTERED_DTYPE = np.dtype(
    [("ix", "i4"), ("iy", "i4"), ("from_m", "f4"), ("to_m", "f4"), ("source", "u2"), ("surface", "?")]
)
#: As RUN_DTYPE, but with cells counted over the whole map.
KEPT_DTYPE = np.dtype([("ix", "i4"), ("iy", "i4"), *(item for item in RUN_DTYPE.descr if item[0] not in ("ix", "iy"))])


@dataclass(eq=False)
class TileState:
    """Arrays (nx, ny) over ``box``, float32 heights ``up`` with the stated survey error in them already.

    Tables hold cells counted over the whole map; they are sorted, so that a state depends on no order of reading.
    """

    box: Box
    base: NDArray[np.float32]
    """Highest thing that surveys saw in the cell (rasters, accepted returns); -inf where they saw nothing."""
    base_source: NDArray[np.uint16]
    """Which source that was (1-based; 0 none)."""
    solid: NDArray[np.float32]
    """Up to here no air may be claimed below what was seen: the highest raster cell; -inf without one."""
    low: NDArray[np.float32]
    """Lowest accepted return; +inf where there is none."""
    levels: NDArray[np.uint64]
    """Bit ``floor(up / LAYER_M) mod 64`` of every accepted return."""
    returns: NDArray[np.int32]
    """Number of accepted returns."""
    flags: NDArray[np.uint8]
    """`Status` flags FROM_RASTER, FROM_CLOUD, FROM_MODEL."""
    error_m: NDArray[np.float32]
    """Survey error that is in ``base`` of a cell that has returns; 0 elsewhere."""
    ground_low: NDArray[np.float32]
    """Lowest ground in the cell; +inf where none is known."""
    ground_high: NDArray[np.float32]
    """Highest ground in the cell; -inf where none is known."""
    ground_rank: NDArray[np.uint8]
    """GROUND_*: how it is known."""
    fresh: NDArray[np.bool_]
    """Of these cells an update says something that the version before did not; False everywhere in a first build."""
    rejected: NDArray
    """REJECTED_DTYPE: returns that the outlier filter rejected, not yet judged."""
    entered: NDArray
    """ENTERED_DTYPE: models and vectors."""
    kept: NDArray
    """KEPT_DTYPE: SEEN and SUSPECT runs of the version that is being updated, in cells that the new survey did not
    see (SEEN) or in any (SUSPECT)."""

    ARRAYS = (
        "base", "base_source", "solid", "low", "levels", "returns", "flags", "error_m", "ground_low", "ground_high",
        "ground_rank", "fresh",
    )  # fmt: skip
    TABLES = ("rejected", "entered", "kept")

    @classmethod
    def nothing(cls, box: Box) -> TileState:
        """A tile of which nothing was seen."""
        shape = (box[2] - box[0], box[3] - box[1])

        def full(value: float, dtype: str) -> NDArray:
            return np.full(shape, value, dtype)

        return cls(
            box, full(-np.inf, "f4"), full(0, "u2"), full(-np.inf, "f4"), full(np.inf, "f4"), full(0, "u8"),
            full(0, "i4"), full(0, "u1"), full(0, "f4"), full(np.inf, "f4"), full(-np.inf, "f4"), full(0, "u1"),
            full(0, "?"),
            np.empty(0, REJECTED_DTYPE), np.empty(0, ENTERED_DTYPE), np.empty(0, KEPT_DTYPE),
        )  # fmt: skip

    def cut(self, box: Box) -> TileState:
        """The part of it over a smaller box."""
        ix0, iy0, ix1, iy1 = box
        window = (slice(ix0 - self.box[0], ix1 - self.box[0]), slice(iy0 - self.box[1], iy1 - self.box[1]))
        parts: dict[str, NDArray] = {name: np.ascontiguousarray(getattr(self, name)[window]) for name in self.ARRAYS}
        for name in self.TABLES:
            table = getattr(self, name)
            inside = (table["ix"] >= ix0) & (table["ix"] < ix1) & (table["iy"] >= iy0) & (table["iy"] < iy1)
            parts[name] = table[inside]
        return dataclasses.replace(self, box=box, **parts)
