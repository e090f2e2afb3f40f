"""The flight space of an aircraft class over a window of a map: distances to everything, and the terrain band.

An aircraft class is what the rules say of it (``clearance_m``, ``ceiling_above_terrain_m``, ``half_width_m``,
``half_height_m``) and the size of the voxels. Unlike the columns of :mod:`utm.core.columns`, voxels know the air under
a wire or a bridge.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from utm.core.field import MOST_VOXELS, distances, halo_cells, squared_gaps
from utm.core.flightspace import FlightSpace
from utm.errors import MapError
from utm.mapping.citymap import CityMap
from utm.mapping.clearance_cache import ClearanceCache, DamagedEntry
from utm.model import RuleSet

#: Goes into every key: raise it when the same map and rules would give another window.
ALGORITHM = 1
#: Voxels of a window with its halo; about 14 bytes each are held while it is computed. 500 m of a mountain side at
#: voxels of 2 m, 1 km of a plain; 2 km of a plain at 4 m.
MAX_VOXELS = 36_000_000
#: Voxels of about this size where none is stated.
_VOXEL_M = 2.0
#: Cells along the edge of a tile of the map.
_TILE = 512

#: West, south, east, north in metres.
BoxM = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ClearanceWindow:
    """Where one aircraft class may be, voxel by voxel. Arrays are read-only.

    Voxel ``(i, j, k)`` covers ``origin_m + cell_m * [i, i + 1] x [j, j + 1] x [k, k + 1]``. All windows of one map and
    cell size are cut from one lattice (east and north from the map's corner, up from 0 m of its datum), so they agree
    bit for bit where they overlap.
    """

    origin_m: NDArray[np.float64]
    """(3,) metres east, north, up of the lowest south-west corner."""
    cell_m: float
    """Side of a voxel."""
    limit_m: float
    """Distances are cut off here; a cell above the clearance of the rules."""
    distance_m: NDArray[np.float32]
    """(nx, ny, nz) at least this far is every point of the voxel from everything blocked, unknown or off the map."""
    free: NDArray[np.bool_]
    """(nx, ny, nz) every point of the voxel keeps the clearance and lies in the terrain band."""
    lowest_m: NDArray[np.float64]
    """(nx, ny) ``up`` of the bottom of the lowest free voxel; ``inf`` where none is free."""
    highest_m: NDArray[np.float64]
    """(nx, ny) ``up`` of the top of the band for a centre line, above its lowest terrain; ``-inf`` off the map."""
    cached: Literal["computed", "memory", "disk", "repaired"]
    """Where it came from; ``repaired``: the file in the cache was damaged, and has been computed and written anew."""

    def flight_space(self) -> FlightSpace:
        """The same as what the search takes."""
        return FlightSpace(self.origin_m, self.cell_m, ~self.free)

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take."""
        return sum(a.nbytes for a in (self.distance_m, self.free, self.lowest_m, self.highest_m))


@dataclass(frozen=True, slots=True)
class _Lattice:
    """A window in whole numbers: voxels of ``factor`` cells, the window, and the part of window and halo on the map."""

    factor: int
    cell_m: float
    limit_m: float
    reach: int
    window: tuple[int, int, int, int]
    """Voxels ix0, iy0, ix1, iy1 that the box touches, on the map or not."""
    known: tuple[int, int, int, int]
    """Voxels of the window and its halo that lie on the map with all their cells."""


def clearance_window(
    city_map: CityMap,
    rules: RuleSet,
    box_m: BoxM,
    cell_m: float | None = None,
    cache: ClearanceCache | None = None,
) -> ClearanceWindow:
    """The flight space over a box of a map.

    The map is read with a halo of the clearance and a voxel, so the sides of the box do not show in the result. What
    lies off the map is unknown, hence not free, and the clearance is kept from it as well.

    Args:
        rules: clearance, ceiling and half-height of the aircraft class.
        box_m: west, south, east, north in metres; every voxel that it touches is in the window. At most ``MAX_VOXELS``
            with the halo and the height that the terrain takes.
        cell_m: side of a voxel, a multiple of the map's cell; by default the multiple nearest above 2 m.
        cache: where windows are kept; see `ClearanceCache`. An update of the map elsewhere keeps them.

    Raises:
        MapError: the box lies off the map or is too large, a cell that is not a multiple, or damaged map files.
    """
    lattice = _lattice(city_map, rules, box_m, cell_m)
    if cache is None:
        return _made(lattice, rules, _computed(city_map, rules, lattice), "computed")
    key = cache_key(city_map, rules, lattice)
    held = cache.held(key)
    if held is not None:
        return replace(held, cached="memory")
    how: Literal["computed", "disk", "repaired"] = "disk"
    try:
        arrays = cache.read(key)
    except DamagedEntry:
        arrays, how = None, "repaired"
    if arrays is None:
        how = "computed" if how == "disk" else how
        arrays = _computed(city_map, rules, lattice)
        cache.write(key, arrays)
    window = _made(lattice, rules, arrays, how)
    cache.hold(key, window, window.nbytes)
    return window


def _lattice(city_map: CityMap, rules: RuleSet, box_m: BoxM, cell_m: float | None) -> _Lattice:
    resolution = city_map.resolution_m
    if cell_m is None:
        cell_m = resolution * max(1, math.ceil(_VOXEL_M / resolution - 1e-9))
    factor = round(cell_m / resolution) if math.isfinite(cell_m) else 0
    if factor < 1 or not math.isclose(factor * resolution, cell_m, rel_tol=1e-9):
        raise MapError(
            f"voxels must be a multiple of the map's cells of {resolution:g} m",
            value=cell_m,
            mend=f"Choose for example {resolution * max(1, round(_VOXEL_M / resolution)):g}.",
        )
    west, south, east, north = (float(value) for value in box_m)
    if not (math.isfinite(west + south + east + north) and west < east and south < north):
        raise MapError("a box needs finite west < east, south < north", value=tuple(box_m))
    cell = factor * resolution
    limit = rules.clearance_m + cell
    reach = halo_cells(cell, limit)
    window = (math.floor(west / cell), math.floor(south / cell), math.ceil(east / cell), math.ceil(north / cell))
    nx, ny = city_map.size[0] // factor, city_map.size[1] // factor
    inside = (max(window[0], 0), max(window[1], 0), min(window[2], nx), min(window[3], ny))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        width, height = city_map.extent_m
        raise MapError(
            f"the box lies off the map of {width:g} x {height:g} m",
            value=tuple(box_m),
            mend="Choose a place on the map, or build one that reaches there.",
        )
    known = (
        max(window[0] - reach, 0),
        max(window[1] - reach, 0),
        min(window[2] + reach, nx),
        min(window[3] + reach, ny),
    )
    lattice = _Lattice(factor, cell, limit, reach, window, known)
    _check_size(lattice, math.ceil(rules.ceiling_above_terrain_m / cell))
    return lattice


def _check_size(lattice: _Lattice, layers: int) -> None:
    ix0, iy0, ix1, iy1 = lattice.window
    shape = (ix1 - ix0 + 2 * lattice.reach, iy1 - iy0 + 2 * lattice.reach, layers + lattice.reach)
    if math.prod(shape) > MAX_VOXELS or max(shape) > MOST_VOXELS:
        raise MapError(
            f"a window of {shape[0]} x {shape[1]} x {shape[2]} voxels of {lattice.cell_m:g} m is too large: "
            f"at most {MAX_VOXELS:,}, its halo and the relief included",
            value=tuple(round(index * lattice.cell_m, 3) for index in lattice.window),
            mend="Ask for smaller windows, which agree where they meet, or for larger voxels.",
        )


def cache_key(city_map: CityMap, rules: RuleSet, lattice: _Lattice) -> str:
    """SHA-256 (hex) of all that a window depends on: the tiles that it and its halo touch, frame, box, parameters."""
    side = lattice.factor / _TILE
    low, high = lattice.known[:2], lattice.known[2:]
    columns = range(math.floor(low[0] * side), math.floor((high[0] * lattice.factor - 1) / _TILE) + 1)
    rows = range(math.floor(low[1] * side), math.floor((high[1] * lattice.factor - 1) / _TILE) + 1)
    hashes = {tuple(entry["tile"]): entry["hash"] for entry in city_map.meta["tiles"]}
    content = {
        "algorithm": ALGORITHM,
        "frame": city_map.meta["frame"],
        "resolution_m": city_map.resolution_m,
        "tiles": [[tx, ty, hashes.get((tx, ty))] for tx in columns for ty in rows],
        "voxels": [lattice.factor, lattice.window, lattice.known],
        "rules": [rules.clearance_m, rules.ceiling_above_terrain_m, rules.half_width_m, rules.half_height_m],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _computed(city_map: CityMap, rules: RuleSet, lattice: _Lattice) -> dict[str, NDArray]:
    """What is kept of a window: squared distances in voxels, the number of the lowest layer, the top of the band."""
    lowest, highest = _terrain(city_map, lattice)
    x0, y0, x1, y1 = lattice.known
    ix0, iy0, ix1, iy1 = lattice.window
    inner = (slice(max(ix0, 0) - x0, min(ix1, x1) - x0), slice(max(iy0, 0) - y0, min(iy1, y1) - y0))
    band = lowest[inner].astype(np.float64) + (rules.ceiling_above_terrain_m - rules.half_height_m)
    cell, reach = lattice.cell_m, lattice.reach
    base = math.floor(lowest[inner].min() / cell)
    top = max(math.ceil(band.max() / cell), base + 1)
    # Below the lowest terrain everything is solid, which is what the field takes the outside for; a valley beside
    # the window is read down to where it is too far to matter.
    below = min(reach, base - math.floor(lowest.min() / cell))
    bottom, layers = base - below, top + reach - (base - below)
    _check_size(lattice, layers - reach)

    shape = (ix1 - ix0 + 2 * reach, iy1 - iy0 + 2 * reach, layers)
    blocked = np.ones(shape, np.bool_)  # what is not on the map is not known
    seen = blocked[x0 - ix0 + reach : x1 - ix0 + reach, y0 - iy0 + reach : y1 - iy0 + reach]
    seen[...] = _read(city_map, lattice, bottom, layers)
    seen |= (bottom + np.arange(layers)) * cell < highest[:, :, None]
    squared = squared_gaps(blocked, cell, lattice.limit_m, halo=((reach, reach), (reach, reach), (below, reach)))
    top_of_band = np.full(squared.shape[:2], -np.inf)
    top_of_band[x0 + inner[0].start - ix0 :, y0 + inner[1].start - iy0 :][: band.shape[0], : band.shape[1]] = band
    return {"squared": squared, "base": np.array(base), "highest_m": top_of_band}


def _terrain(city_map: CityMap, lattice: _Lattice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest terrain under each voxel of the known part."""
    x0, y0, x1, y1 = lattice.known
    f = lattice.factor
    cells = city_map.layer("terrain", x0 * f, y0 * f, x1 * f, y1 * f)
    blocks = cells.reshape(x1 - x0, f, y1 - y0, f)
    return blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))


def _read(city_map: CityMap, lattice: _Lattice, bottom: int, layers: int) -> NDArray[np.bool_]:
    """The voxels of the known part, from layer ``bottom`` on."""
    cell = lattice.cell_m
    x0, y0, x1, y1 = lattice.known
    voxels = city_map.voxels(x0 * cell, y0 * cell, x1 * cell, y1 * cell, bottom * cell, (bottom + layers) * cell, cell)
    # Edges count as touched, so a reader may hand out one voxel more on any side.
    offset = np.rint((np.array([x0, y0, bottom]) * cell - voxels.origin_m) / cell).astype(int)
    wanted = (x1 - x0, y1 - y0, layers)
    cut = voxels.blocked[tuple(slice(low, low + n) for low, n in zip(offset, wanted, strict=True))]
    if (offset < 0).any() or cut.shape != wanted:
        raise MapError(f"the map handed out {voxels.blocked.shape} voxels where {wanted} were asked for")
    return cut


def _made(lattice: _Lattice, rules: RuleSet, arrays: dict[str, NDArray], how: str) -> ClearanceWindow:
    squared, base, highest = arrays["squared"], int(arrays["base"]), arrays["highest_m"]
    cell = lattice.cell_m
    # In whole numbers, so that a clearance of 15 voxels is met by exactly 15.
    enough = math.ceil((Fraction(rules.clearance_m) / Fraction(cell)) ** 2)
    layers = base + np.arange(squared.shape[2])
    free = squared >= enough
    free &= (layers + 1) * cell <= highest[:, :, None]
    lowest = np.where(free.any(axis=2), layers[free.argmax(axis=2)] * cell, np.inf)
    window = ClearanceWindow(
        origin_m=np.array([lattice.window[0], lattice.window[1], base]) * cell,
        cell_m=cell,
        limit_m=lattice.limit_m,
        distance_m=distances(squared, cell, lattice.limit_m),
        free=free,
        lowest_m=lowest,
        highest_m=highest,
        cached=how,
    )
    for array in (window.origin_m, window.distance_m, free, lowest, highest):
        array.setflags(write=False)
    return window
