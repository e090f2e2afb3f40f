"""The usable heights over a large window, one stretch of planning voxels a column: for flights across a whole city.

A dense flight space over 16 x 20 km would hold billions of voxels. Over a map of columns nearly all of it is one free
stretch a column, between the floor over everything nearby and the ceiling. So a slab holds two numbers a column, read
and dilated block by block, and any part of it can be had as a dense `FlightSpace`. Its voxels are free only where
those of `utm.core.flight_space` over the same window are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.airspace.zones import keep_out
from utm.core import Columns, FlightSpace, KeepOut, lowest_clear
from utm.mapping import CityMap
from utm.model import GeoZone, RuleSet

#: Columns of the map along a side of what is read at once: with all that is derived from it some 50 MB.
_BLOCK = 1024
#: Layers beyond these do not fit into an int16; with voxels of 4 m that is 120 km up.
_HIGHEST = 30_000
#: Of a zone at least so far away (degrees; 2 km at 80 degrees north) nothing is looked at.
_FAR_DEG = 0.1

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Voxel (i, j, k) is free iff ``lowest[i, j] <= k < highest[i, j]``; it covers ``origin_m + cell_m * [i, i + 1] x
    [j, j + 1] x [k, k + 1]``."""

    origin_m: NDArray[np.float64]
    """(3,) metres east, north, up of the lowest south-west corner; up is a multiple of ``cell_m``."""
    cell_m: float
    lowest: NDArray[np.int16]
    """(nx, ny) lowest free layer."""
    highest: NDArray[np.int16]
    """(nx, ny) first layer above that is not free; ``lowest`` where the column is closed."""

    def to_grid(self, enu_m: ArrayLike) -> NDArray[np.float64]:
        """Metres (..., 3) as grid coordinates (..., 3)."""
        return (np.asarray(enu_m, np.float64) - self.origin_m) / self.cell_m

    def voxel(self, enu_m: ArrayLike) -> NDArray[np.int64]:
        """The voxel (..., 3) of points (..., 3) in metres."""
        return np.floor(self.to_grid(enu_m)).astype(np.int64)

    def centre(self, cells: ArrayLike) -> NDArray[np.float64]:
        """Centres (..., 3) in metres of voxels (..., 3)."""
        return self.origin_m + self.cell_m * (np.asarray(cells, np.float64) + 0.5)

    def around(self, points_m: ArrayLike, margin: int) -> FlightSpace:
        """The dense flight space of the columns within ``margin`` voxels of the box around some points (n, 3), with
        every layer that is free in one of them."""
        cells = np.atleast_2d(self.voxel(points_m))[:, :2]
        low = np.clip(cells.min(axis=0) - margin, 0, np.array(self.lowest.shape) - 1)
        high = np.clip(cells.max(axis=0) + margin + 1, low + 1, self.lowest.shape)
        cut = slice(low[0], high[0]), slice(low[1], high[1])
        floor, roof = self.lowest[cut], self.highest[cut]
        usable = floor < roof
        base, top = (int(floor[usable].min()), int(roof[usable].max())) if usable.any() else (0, 1)
        layers = np.arange(base, top, dtype=np.int16)
        blocked = (layers < floor[..., None]) | (layers >= roof[..., None])
        return FlightSpace(self.origin_m + self.cell_m * np.array([*low, base]), self.cell_m, blocked)


def slab_of(city_map: CityMap, box: Box, cell_m: float, rules: RuleSet, raise_m: float) -> Slab:
    """What map and rules leave over a box (west, south, east, north, metres).

    Args:
        box: corners of voxels; columns at its eastern and northern end that do not fill one are left out.
        cell_m: side of a voxel, a multiple of the map's cell.
        raise_m: fly at least this much higher than the rules ask.
    """
    factor = round(cell_m / city_map.resolution_m)
    shape = voxel_columns(city_map, box, cell_m)
    lowest, highest = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    halo = math.ceil(rules.clearance_m / city_map.resolution_m)
    for block in blocks(shape, factor):
        columns, inner = _columns(city_map, box, cell_m, block, halo)
        low = (lowest_clear(columns.surface_m, columns.cell_m, rules.clearance_m) + raise_m)[inner]
        high = columns.terrain_m[inner] + (rules.ceiling_above_terrain_m - rules.half_height_m)
        lowest[block] = _layer_from(_worst(low, factor, np.max), cell_m)
        highest[block] = _layer_to(_worst(high, factor, np.min), cell_m)
    usable = lowest < highest
    base = int(lowest[usable].min()) if usable.any() else 0
    lowest -= np.int16(base)
    highest -= np.int16(base)
    lowest[~usable] = highest[~usable] = 0
    return Slab(np.array([box[0], box[1], base * cell_m]), cell_m, lowest, highest)


def less_zones(
    slab: Slab, city_map: CityMap, box: Box, rules: RuleSet, zones: Sequence[GeoZone], around: Sequence[KeepOut]
) -> Slab:
    """A slab less the voxels that overlap some zones and further keep-outs (each over all columns of the box).

    Where one leaves a column open below and above itself, only what is below stays free: pads are there. That is less
    than is allowed, never more.
    """
    if not zones and not around:
        return slab
    factor = round(slab.cell_m / city_map.resolution_m)
    lowest, highest = slab.lowest.copy(), slab.highest.copy()
    base = round(slab.origin_m[2] / slab.cell_m)
    for block in blocks(lowest.shape, factor):
        near = [zone for zone in zones if _near(zone, city_map, box, slab.cell_m, block)]
        outs = [_part(out, block, factor) for out in around]
        if near:
            columns, _ = _columns(city_map, box, slab.cell_m, block, 0)
            outs += [keep_out(zone, columns, city_map.frame, rules) for zone in near]
        for out in outs:
            if out.mask.any():
                begin, end = _held(out, factor, slab.cell_m)
                _cut(lowest[block], highest[block], begin - base, end - base)
    return Slab(slab.origin_m, slab.cell_m, lowest, highest)


def with_room(slab: Slab, places_m: Sequence[NDArray[np.float64]], reach: int) -> Slab:
    """A slab less the outermost voxel of the free air on every side, within ``reach`` voxels of some places (2 or 3,);
    less one more for each further place near the same air."""
    if not places_m:
        return slab
    lowest, highest = slab.lowest.copy(), slab.highest.copy()
    for place in places_m:
        i, j = np.floor((place[:2] - slab.origin_m[:2]) / slab.cell_m).astype(int)
        cut = slice(max(i - reach, 0), i + reach + 1), slice(max(j - reach, 0), j + reach + 1)
        floor, roof = lowest[cut], highest[cut]
        closed = floor >= roof
        # What lies beside the cut counts as if it went on like its edge
        floors = np.pad(np.where(closed, np.int16(_HIGHEST), floor), 1, mode="edge")
        roofs = np.pad(np.where(closed, np.int16(-_HIGHEST), roof), 1, mode="edge")
        nx, ny = floor.shape
        beside = [(slice(a, a + nx), slice(b, b + ny)) for a, b in itertools.product(range(3), range(3))]
        up = np.max([floors[part] for part in beside], axis=0)
        down = np.min([roofs[part] for part in beside], axis=0)
        usable = up < down
        lowest[cut], highest[cut] = np.where(usable, up, 0), np.where(usable, down, 0)
    return Slab(slab.origin_m, slab.cell_m, lowest, highest)


def voxel_columns(city_map: CityMap, box: Box, cell_m: float) -> tuple[int, int]:
    """How many whole voxels fit over a box along each side."""
    factor = round(cell_m / city_map.resolution_m)
    low = [round(value / city_map.resolution_m) for value in box[:2]]
    high = [round(value / city_map.resolution_m) for value in box[2:]]
    return (high[0] - low[0]) // factor, (high[1] - low[1]) // factor


def blocks(shape: tuple[int, int], factor: int) -> Iterator[tuple[slice, slice]]:
    """Parts of the voxel columns of a window, to read one after the other."""
    side = max(_BLOCK // factor, 1)
    for i, j in itertools.product(range(0, shape[0], side), range(0, shape[1], side)):
        yield slice(i, min(i + side, shape[0])), slice(j, min(j + side, shape[1]))


def _columns(
    city_map: CityMap, box: Box, cell_m: float, block: tuple[slice, slice], halo: int
) -> tuple[Columns, tuple[slice, slice]]:
    """The map's columns under a block with those of the box up to ``halo`` beside it, and which are the block's."""
    size, factor = city_map.resolution_m, round(cell_m / city_map.resolution_m)
    low, high, inner = [], [], []
    for axis, part in enumerate(block):
        first, last = round(box[axis] / size), round(box[axis + 2] / size)
        begin, end = first + part.start * factor, first + part.stop * factor
        low.append(max(begin - halo, first))
        high.append(min(end + halo, last))
        inner.append(slice(begin - low[-1], end - low[-1]))
    # A quarter of a cell inside, so that rounding cannot add a row
    corners = [(value + 0.25) * size for value in low] + [(value - 0.25) * size for value in high]
    return city_map.window(*corners), (inner[0], inner[1])


def _near(zone: GeoZone, city_map: CityMap, box: Box, cell_m: float, block: tuple[slice, slice]) -> bool:
    """False only where a zone is far from a block."""
    east = box[0] + cell_m * np.array([block[0].start, block[0].stop])
    north = box[1] + cell_m * np.array([block[1].start, block[1].stop])
    here = np.array(city_map.frame.to_lonlat(*(axis.ravel() for axis in np.meshgrid(east, north))))
    there = np.array(zone.outline_deg).T
    apart = np.maximum(there.min(axis=1) - here.max(axis=1), here.min(axis=1) - there.max(axis=1))
    return bool((apart < _FAR_DEG).all())


def _part(out: KeepOut, block: tuple[slice, slice], factor: int) -> KeepOut:
    cut = tuple(slice(part.start * factor, part.stop * factor) for part in block)
    lower, upper = (limit if np.ndim(limit) == 0 else np.asarray(limit)[cut] for limit in (out.lower_m, out.upper_m))
    return KeepOut(out.mask[cut], lower, upper)


def _held(out: KeepOut, factor: int, cell_m: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The layers [begin, end) that hold all that a keep-out takes of each voxel column; empty where that is nothing."""
    lower = _worst(np.where(out.mask, out.lower_m, np.inf), factor, np.min)
    upper = _worst(np.where(out.mask, out.upper_m, -np.inf), factor, np.max)
    return _layer_to(lower, cell_m), _layer_from(upper, cell_m)


def _cut(lowest: NDArray[np.int16], highest: NDArray[np.int16], begin: NDArray, end: NDArray) -> None:
    """Take the layers [begin, end) out of the stretches, in place."""
    met = (begin < end) & (begin < highest) & (end > lowest)
    below = met & (begin > lowest)
    above = met & ~below
    highest[below] = begin[below]
    lowest[above] = np.minimum(end, highest)[above]


def _worst(values: NDArray, factor: int, reduce) -> NDArray:
    nx, ny = values.shape[0] // factor, values.shape[1] // factor
    return reduce(values[: nx * factor, : ny * factor].reshape(nx, factor, ny, factor), axis=(1, 3))


def _layer_from(height_m: NDArray, cell_m: float) -> NDArray[np.int32]:
    """The lowest layer whose underside is at or above a height: exactly the comparison of `flight_space`."""
    height = np.asarray(height_m, np.float64)
    layer = np.clip(np.ceil(height / cell_m), -_HIGHEST, _HIGHEST)
    layer += layer * cell_m < height
    layer -= (layer - 1) * cell_m >= height
    return np.clip(layer, -_HIGHEST, _HIGHEST).astype(np.int32)


def _layer_to(height_m: NDArray, cell_m: float) -> NDArray[np.int32]:
    """One past the highest layer whose top is at or below a height."""
    height = np.asarray(height_m, np.float64)
    layer = np.clip(np.floor(height / cell_m), -_HIGHEST, _HIGHEST)
    layer -= layer * cell_m > height
    layer += (layer + 1) * cell_m <= height
    return np.clip(layer, -_HIGHEST, _HIGHEST).astype(np.int32)
