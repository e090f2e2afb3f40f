"""The ground of a whole map, kept in memory tile by tile as flights come by.

What every flight over a city is held against is the same ground. So it is prepared once for each tile and not once for
each flight: the columns, a pyramid of the highest things in 4 x 4, 16 x 16 and 64 x 64 of them (for the least distance
to any), and the layers of planning voxels that the rules leave free (for the proof that a way stays in them).

A tile holds ``side`` x ``side`` columns, of which each takes 12 bytes and 1.1 more for the blocks, and 4 for each
planning voxel above it. Tiles that were not used for longest make room for new ones.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel, read_only
from utm.core.columns import Columns

#: The side of a tile is about this many metres.
_SIDE_M = 512.0
#: The side of the largest blocks of the pyramid.
_BLOCK = 64
#: The layers of a column in which nothing is free are [_NONE, -_NONE); no free one is as high as _HIGHEST.
_NONE, _HIGHEST = 32767, 30_000


class Ground(NamedTuple):
    """The arrays of some tiles, as kernels take them. Slot ``index[i, j]`` holds tile (i, j); -1: it is not held."""

    index: NDArray[np.int32]
    """(tx, ty)."""
    things: NDArray[np.float32]
    """(slots, side, side, 3) ``up`` of the bare ground, of what was seen standing on it, and of what is assumed where
    nothing was seen; -inf where there is none of it, and off the map."""
    blocks4: NDArray[np.float32]
    """(slots, side / 4, side / 4, 4) the highest of each kind in 4 x 4 columns, and the lowest bare ground; -inf where
    not all of them are on the map."""
    blocks16: NDArray[np.float32]
    """The same of 16 x 16 columns."""
    blocks64: NDArray[np.float32]
    """The same of 64 x 64 columns."""
    layers: NDArray[np.int16]
    """(slots, n, n, 2), n = side / factor: the lowest free layer of each column of voxels, and one past the highest;
    the second at or below the first where nothing is free. Layer k begins at ``k * voxel_m`` up."""
    layers8: NDArray[np.int16]
    """(slots, n / 8, n / 8, 2) the highest first and the lowest second of 8 x 8 columns of voxels: free in all."""
    size: tuple[int, int]
    """(nx, ny) columns of the map; column (0, 0) begins at 0 east, 0 north."""
    side: int
    """Columns along a tile."""
    factor: int
    """Columns along a planning voxel."""
    cell_m: float
    """Side of a column."""


class Tiles:
    """Some of the tiles of a map, those used last.

    Args:
        size: (nx, ny) columns of the map.
        cell_m: side of a column.
        factor: columns along a planning voxel.
        most_bytes: what all tiles together may take; more only where a single question needs more.

    Raises:
        ValueError: sizes, a cell or a factor that are not above zero.
    """

    def __init__(self, size: tuple[int, int], cell_m: float, factor: int, *, most_bytes: int = 512_000_000) -> None:
        if min(size) < 1 or factor < 1 or not (math.isfinite(cell_m) and cell_m > 0):
            raise ValueError(f"size, cell and factor must be above zero, got {size}, {cell_m!r} and {factor}")
        unit = math.lcm(_BLOCK, 8 * factor)
        self.side = unit * max(int(_SIDE_M / cell_m / unit), 1)
        self.side_m = self.side * cell_m
        shape = math.ceil(size[0] / self.side), math.ceil(size[1] / self.side)
        self._most = max(most_bytes // (14 * self.side**2), 1)
        self._tile_of_slot = np.full((0, 2), -1, np.int64)
        self._used = np.zeros(0, np.int64)
        self._clock = 0
        self.ground = Ground(
            np.full(shape, -1, np.int32), *_pools(0, self.side, factor),
            (int(size[0]), int(size[1])), self.side, int(factor), float(cell_m),
        )  # fmt: skip

    @property
    def held_bytes(self) -> int:
        """What the tiles take that may be held now, used or not yet."""
        return sum(part.nbytes for part in self.ground if isinstance(part, np.ndarray))

    def missing(self, points_m: NDArray[np.float64], reach_m: float) -> list[tuple[int, int]]:
        """The tiles within ``reach_m`` of a way (n, 3) that are not held; counts those that are as used now.

        Room is made for all of them, so that as many `put` may follow without any of the others being dropped.
        """
        self._clock += 1
        wanted, count = _wanted(self.ground.index, read_only(points_m), reach_m, self.side_m, self._used, self._clock)
        if count == 0:
            return []
        have, held = len(self._used), int((self._tile_of_slot[:, 0] >= 0).sum())
        if have - held < count:
            asked = int((self._used == self._clock).sum()) + count
            self._grow(max(min(self._most, max(2 * have, held + count)), asked))
        return [(int(i), int(j)) for i, j in np.argwhere(wanted)]

    def put(self, tile: tuple[int, int], columns: Columns, lowest_m: Any, highest_m: Any) -> None:
        """Hold a tile, instead of the one not used for longest where there is no room.

        Args:
            columns: those of the tile, clipped to the map.
            lowest_m: (nx, ny) lowest usable ``up`` over each of them.
            highest_m: (nx, ny) highest usable ``up``.

        Raises:
            ValueError: columns that are not those of the tile.
        """
        ground, (i, j) = self.ground, tile
        shape = tuple(min(self.side, n - k * self.side) for n, k in zip(ground.size, tile, strict=True))
        begin = np.array(tile) * self.side_m
        if columns.shape != shape or np.abs(columns.origin_m - begin).max() > 1e-6 * columns.cell_m:
            raise ValueError(f"tile {tile} begins at {begin} m and has {shape} columns, got {columns.shape} at "
                             f"{columns.origin_m} m")  # fmt: skip
        if ground.index[i, j] >= 0:
            slot = int(ground.index[i, j])
        else:
            if len(self._used) == 0:
                self._grow(1)
            slot = int(self._used.argmin())
        if self._tile_of_slot[slot, 0] >= 0:
            ground.index[tuple(self._tile_of_slot[slot])] = -1
        nx, ny = shape
        things = ground.things[slot]
        things[:] = -np.inf
        seen = ~columns.unknown & (columns.surface_m > columns.terrain_m)
        things[:nx, :ny, 0] = columns.terrain_m
        things[:nx, :ny, 1] = np.where(seen, columns.surface_m, -np.inf)
        things[:nx, :ny, 2] = np.where(columns.unknown, columns.surface_m, -np.inf)
        _blocks(things, ground.blocks4[slot], ground.blocks16[slot], ground.blocks64[slot])
        _layers(
            read_only(np.ascontiguousarray(lowest_m, np.float64)),
            read_only(np.ascontiguousarray(highest_m, np.float64)),
            ground.factor, ground.factor * ground.cell_m, ground.layers[slot], ground.layers8[slot],
        )  # fmt: skip
        ground.index[i, j] = slot
        self._tile_of_slot[slot] = tile
        self._used[slot] = self._clock

    def _grow(self, slots: int) -> None:
        """Room for so many tiles at least."""
        have = len(self._used)
        if slots <= have:
            return
        pools = _pools(slots, self.side, self.ground.factor)
        for new, old in zip(pools, self.ground[1:7], strict=True):
            new[:have] = old
        self.ground = self.ground._replace(**dict(zip(Ground._fields[1:7], pools, strict=True)))
        more = slots - have
        self._tile_of_slot = np.vstack([self._tile_of_slot, np.full((more, 2), -1)])
        self._used = np.concatenate([self._used, np.full(more, -1)])


def _pools(slots: int, side: int, factor: int) -> tuple[NDArray[Any], ...]:
    """The arrays of a ground but its index, nothing written yet."""
    n = side // factor
    return (
        np.empty((slots, side, side, 3), np.float32),
        *(np.empty((slots, side // step, side // step, 4), np.float32) for step in (4, 16, 64)),
        np.empty((slots, n, n, 2), np.int16),
        np.empty((slots, n // 8, n // 8, 2), np.int16),
    )


@kernel
def _wanted(index: Any, points: Any, reach: float, side_m: float, used: Any, clock: int) -> Any:
    """Which tiles (tx, ty) within ``reach`` metres of a way (n, 3) are not held, and how many; the time of use of those
    held is set. A piece is looked at in parts no longer than a tile, each as the box around it."""
    wanted = np.zeros(index.shape, np.bool_)
    count = 0
    for n in range(max(len(points) - 1, 1)):
        a, b = points[n], points[min(n + 1, len(points) - 1)]
        parts = int(max(abs(b[0] - a[0]), abs(b[1] - a[1])) / side_m) + 1
        for part in range(parts):
            s, t = part / parts, (part + 1) / parts
            e0, e1 = a[0] + s * (b[0] - a[0]), a[0] + t * (b[0] - a[0])
            n0, n1 = a[1] + s * (b[1] - a[1]), a[1] + t * (b[1] - a[1])
            i0 = max(int(np.floor((min(e0, e1) - reach) / side_m)), 0)
            i1 = min(int(np.floor((max(e0, e1) + reach) / side_m)), index.shape[0] - 1)
            j0 = max(int(np.floor((min(n0, n1) - reach) / side_m)), 0)
            j1 = min(int(np.floor((max(n0, n1) + reach) / side_m)), index.shape[1] - 1)
            for i in range(i0, i1 + 1):
                for j in range(j0, j1 + 1):
                    slot = index[i, j]
                    if slot >= 0:
                        used[slot] = clock
                    elif not wanted[i, j]:
                        wanted[i, j] = True
                        count += 1
    return wanted, count


@kernel
def _blocks(things: Any, blocks4: Any, blocks16: Any, blocks64: Any) -> None:
    """Fill the blocks of one tile (side, side, 3): the highest of each kind of thing, and the lowest bare ground."""
    for blocks in (blocks4, blocks16, blocks64):
        blocks[:, :, :3] = -np.inf
        blocks[:, :, 3] = np.inf
    side = things.shape[0]
    for i in range(side):
        for j in range(side):
            block = blocks4[i >> 2, j >> 2]
            block[3] = min(block[3], things[i, j, 0])
            for kind in range(3):
                block[kind] = max(block[kind], things[i, j, kind])
    for a in range(side >> 2):
        for b in range(side >> 2):
            for wider in (blocks16[a >> 2, b >> 2], blocks64[a >> 4, b >> 4]):
                wider[3] = min(wider[3], blocks4[a, b, 3])
                for kind in range(3):
                    wider[kind] = max(wider[kind], blocks4[a, b, kind])


@kernel
def _layers(lowest: Any, highest: Any, factor: int, voxel: float, layers: Any, layers8: Any) -> None:
    """Fill the free layers (n, n, 2) int16 of one tile, and of blocks of 8 x 8: a voxel is free that lies between the
    lowest and the highest height (nx, ny) of each of its factor x factor columns, by the very comparison of
    `utm.core.flight_space`. Voxels that are not full of columns are closed."""
    layers[:, :, 0], layers[:, :, 1] = _NONE, -_NONE
    layers8[:, :, 0], layers8[:, :, 1] = -_NONE, _NONE
    for a in range(layers.shape[0]):
        for b in range(layers.shape[1]):
            low, high = -np.inf, np.inf
            if (a + 1) * factor > lowest.shape[0] or (b + 1) * factor > lowest.shape[1]:
                low = np.inf
            else:
                for i in range(a * factor, (a + 1) * factor):
                    for j in range(b * factor, (b + 1) * factor):
                        low, high = max(low, lowest[i, j]), min(high, highest[i, j])
            if low < high and abs(low) < _HIGHEST * voxel and abs(high) < _HIGHEST * voxel:
                first, past = int(np.ceil(low / voxel)), int(np.floor(high / voxel))
                # The quotient rounds: what counts is the product
                while first * voxel < low:
                    first += 1
                while (first - 1) * voxel >= low:
                    first -= 1
                while past * voxel > high:
                    past -= 1
                while (past + 1) * voxel <= high:
                    past += 1
                layers[a, b, 0], layers[a, b, 1] = first, past
            layers8[a >> 3, b >> 3, 0] = max(layers8[a >> 3, b >> 3, 0], layers[a, b, 0])
            layers8[a >> 3, b >> 3, 1] = min(layers8[a >> 3, b >> 3, 1], layers[a, b, 1])
