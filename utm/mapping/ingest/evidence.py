"""What one part of one source says of one tile: the currency between readers and tiles.

A reader (cloud, model, obstacles) sorts what it reads by tile and writes one ``Evidence`` for each tile that it
touches; a tile is then made from all the evidence for it, in whatever order that was written. Rasters are not sorted:
a tile reads its own window of them.

Cells are numbered ``ix * TILE + iy`` within their tile. Heights are float32 ``up`` in the map's datum, rounded to the
blocking side.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False)
class Evidence:
    """Three independent tables; any may be empty."""

    # Returns that the outlier filter accepted, one row per cell that holds some (cells ascending, unique)
    cells: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, "i4"))
    top: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    """Highest return, rounded up."""
    low: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    """Lowest return, rounded down."""
    levels: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, "u8"))
    """Bit ``floor(up / LAYER_M) mod 64`` is set for every return."""
    returns: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, "i4"))

    # Ground, one row per cell that has some: class 2 of a cloud, relief TIN of a model (cells ascending, unique)
    ground_cells: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, "i4"))
    ground_low: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    ground_high: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))

    # Returns that the filter rejected, one row each
    rejected_cells: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, "i4"))
    rejected_up: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    rejected_again: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, "?"))
    """Whether the return has a row in another cell already: one with coarse coordinates may lie in either."""

    # Entered things (models, power lines, masts, cranes): solid from ``entered_from`` (-inf: down to whatever is
    # below) to ``entered_to``; several rows per cell may overlap
    entered_cells: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, "i4"))
    entered_from: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    entered_to: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, "f4"))
    #: Whether what is entered describes the cell's surface (a building model), so that the cell counts as seen, or
    #: only something above it (a wire).
    entered_is_surface: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, "?"))

    def save(self, path: Path) -> None:
        """Write beside and rename, so that whoever finds the file finds it whole. Writing twice is harmless."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        with beside.open("wb") as file:
            np.savez(file, **{name: array for name, array in vars(self).items() if len(array)})
        os.replace(beside, path)

    @classmethod
    def load(cls, path: Path) -> Evidence:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})
