"""A map that is only arrays: what `Skies` and the places of a plan ask of a `CityMap`, and nothing else."""

from __future__ import annotations

import numpy as np

from utm.core import Columns


class MadeUp:
    """Ground as arrays [ix, iy] of metres with another map's frame."""

    def __init__(self, frame, surface_m: np.ndarray, cell_m: float = 4.0, terrain_m: np.ndarray | None = None) -> None:
        self.frame, self.resolution_m = frame, cell_m
        self.surface_m = np.asarray(surface_m, np.float32)
        self.terrain_m = np.zeros_like(self.surface_m) if terrain_m is None else np.asarray(terrain_m, np.float32)
        self.size = self.surface_m.shape

    def window(self, west: float, south: float, east: float, north: float) -> Columns:
        i0, j0 = (int(np.floor(value / self.resolution_m)) for value in (west, south))
        i1, j1 = (int(np.ceil(value / self.resolution_m)) for value in (east, north))
        cut = slice(max(i0, 0), i1), slice(max(j0, 0), j1)
        origin = np.array([max(i0, 0), max(j0, 0)]) * self.resolution_m
        surface = self.surface_m[cut]
        return Columns(origin, self.resolution_m, self.terrain_m[cut], surface, np.zeros(surface.shape, np.bool_))
