"""A city map in memory: what the flight space asks of one, answered cell by cell from arrays and a list of runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

_TILE = 512


@dataclass
class ArrayMap:
    """Terrain and surface ``[ix, iy]``; ``runs`` names the columns that are not solid to their surface."""

    terrain_m: NDArray[np.float32]
    surface_m: NDArray[np.float32]
    resolution_m: float = 2.0
    runs: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    closed: bool = False
    """Whether a run that ends on the face of a voxel blocks the one beyond, as `CityMap` has it."""
    reads: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        return self.terrain_m.shape

    @property
    def extent_m(self) -> tuple[float, float]:
        return self.size[0] * self.resolution_m, self.size[1] * self.resolution_m

    @property
    def meta(self) -> dict:
        tiles = []
        for tx in range(-(-self.size[0] // _TILE)):
            for ty in range(-(-self.size[1] // _TILE)):
                cut = np.s_[tx * _TILE : (tx + 1) * _TILE, ty * _TILE : (ty + 1) * _TILE]
                digest = hashlib.sha256(self.terrain_m[cut].tobytes() + self.surface_m[cut].tobytes())
                mine = sorted(
                    item for item in self.runs.items() if (item[0][0] // _TILE, item[0][1] // _TILE) == (tx, ty)
                )
                digest.update(repr(mine).encode())
                tiles.append({"tile": [tx, ty], "hash": digest.hexdigest()})
        return {"frame": {"crs": "EPSG:6675", "origin_x": 0.0, "origin_y": 0.0, "vertical": "JGD2011"}, "tiles": tiles}

    def layer(self, name: str, ix0: int, iy0: int, ix1: int, iy1: int) -> NDArray:
        assert 0 <= ix0 < ix1 <= self.size[0]
        assert 0 <= iy0 < iy1 <= self.size[1]
        return {"terrain": self.terrain_m, "surface": self.surface_m}[name][ix0:ix1, iy0:iy1]

    def voxels(self, east0, north0, east1, north1, low_m, high_m, cell_m):
        """One voxel more than asked on the upper sides, as a reader may hand out."""
        self.reads.append((east0, north0, east1, north1, low_m, high_m))
        low = np.floor(np.array([east0, north0, low_m]) / cell_m).astype(int)
        high = np.floor(np.array([east1, north1, high_m]) / cell_m).astype(int) + 1
        factor = round(cell_m / self.resolution_m)
        high[:2] = np.minimum(high[:2], -(-np.array(self.size) // factor))
        blocked = np.zeros(high - low, bool)
        bottoms = (low[2] + np.arange(blocked.shape[2])) * cell_m
        for i, j in np.ndindex(blocked.shape[:2]):
            for ix in range((low[0] + i) * factor, min((low[0] + i + 1) * factor, self.size[0])):
                for iy in range((low[1] + j) * factor, min((low[1] + j + 1) * factor, self.size[1])):
                    for start, end in self.runs.get((ix, iy), [(-np.inf, self.surface_m[ix, iy])]):
                        blocked[i, j] |= (bottoms < end) & (bottoms + cell_m > start)
                        if self.closed:
                            blocked[i, j] |= (bottoms == end) | (bottoms + cell_m == start)
        return SimpleNamespace(origin_m=low * cell_m, cell_m=cell_m, blocked=blocked)


def town(nx: int, ny: int, seed: int = 0, relief_m: float = 12.0) -> ArrayMap:
    """Rolling ground with houses of up to 25 m."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 3, nx), np.linspace(0, 2, ny), indexing="ij")
    terrain = (20 + relief_m * np.sin(x + seed) * np.cos(y)).astype(np.float32)
    surface = terrain.copy()
    for _ in range(nx * ny // 250):
        ix, iy = rng.integers(0, nx - 3), rng.integers(0, ny - 3)
        surface[ix : ix + 5, iy : iy + 4] += rng.uniform(3, 12)
    return ArrayMap(terrain, surface)
