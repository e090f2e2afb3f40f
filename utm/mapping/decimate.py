"""A city in few cells, for pictures: read block by block, so that memory follows the picture and not the city."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.mapping.citymap import CityMap
from utm.mapping.mapfile import RUN_DTYPE, Status
from utm.mapping.shading import woods

#: Cells of the city that are read at a time, along an edge.
_CHUNK = 1024

# Crowns are told from roofs by their texture. Coarse cells do not show it, and the highest of returns mislead: gables
# and chimneys are as rough, and a whole old town would be called woods. It takes its time in a large city, too
_WOODS_CELL_M = 2.5
_WOODS_CELLS = 20_000_000

LAYERS = ("terrain", "surface", "status", "source", "age")
#: A solid thing with air below it: block, heights ``up``, kind (`RunKind`), source (1-based).
FLOATING_DTYPE = np.dtype(
    [("ix", "i4"), ("iy", "i4"), ("from_m", "f4"), ("to_m", "f4"), ("kind", "u1"), ("source", "u2")]
)


@dataclass(frozen=True, eq=False)
class Decimated:
    """Blocks of ``factor`` x ``factor`` cells; arrays are ``[ix, iy]``, heights ``up`` in the map's datum.

    Whatever stands in any cell of a block stands in the block, as high as in the cell where it is highest.
    """

    origin_m: tuple[float, float]
    """South-west corner in the map's frame."""
    cell_m: float
    """Edge of a block."""
    factor: int
    ground_m: NDArray[np.float32]
    """Mean terrain."""
    above_m: NDArray[np.float32]
    """Most that a surface stands above its terrain, things with air below them included."""
    base_m: NDArray[np.float32]
    """Likewise without things that have air below them."""
    status: NDArray[np.uint8]
    """`Status` flags that any cell of the block has; KNOWN only if no cell is UNKNOWN."""
    source: NDArray[np.uint16]
    """Of the highest cell."""
    age: NDArray[np.uint16]
    """Of the highest cell."""
    woods: NDArray[np.bool_]
    """Blocks that are mostly woods by their texture: a guess for drawing, made only of surface models,
    and where cells are fine enough."""
    floating: NDArray
    """FLOATING_DTYPE, sorted by ix, iy, kind, from_m; what overlaps in one block is one."""

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Blocks of which some cell was not seen."""
        return (self.status & Status.UNKNOWN) != 0


def decimate(
    city_map: CityMap,
    *,
    box: tuple[float, float, float, float] | None = None,
    cells: int = 4_000_000,
    longest: int = 2400,
    progress: Callable[[str, int, int], None] | None = None,
) -> Decimated:
    """Read a map (or a box of it: west, south, east, north in metres) into at most ``cells`` blocks, at most
    ``longest`` along an edge.

    Raises:
        MapError: the map is damaged, or the box lies off it.
    """
    cell = city_map.resolution_m
    ix0, iy0, ix1, iy1 = city_map.cells(*(box or (0.0, 0.0, *city_map.extent_m)))
    nx, ny = ix1 - ix0, iy1 - iy0
    factor = max(1, -(-max(nx, ny) // longest), int(np.ceil(np.sqrt(nx * ny / cells) - 1e-9)))
    blocks = -(-nx // factor), -(-ny // factor)
    made = {name: np.zeros(blocks, dtype) for name, dtype in _MADE.items()}
    floating = []
    step = factor * max(1, _CHUNK // factor)
    corners = [(x, y) for x in range(ix0, ix1, step) for y in range(iy0, iy1, step)]
    for number, (x, y) in enumerate(corners):
        x1, y1 = min(x + step, ix1), min(y + step, iy1)
        layers = {name: city_map.layer(name, x, y, x1, y1) for name in LAYERS}
        # Half a cell inwards: a box names every cell that it touches
        runs = city_map.runs(((x + 0.5) * cell, (y + 0.5) * cell, (x1 - 0.5) * cell, (y1 - 0.5) * cell))
        part, hanging = reduced(layers, _counted_from(runs, x, y), factor)
        if cell <= _WOODS_CELL_M and nx * ny <= _WOODS_CELLS:
            trees = woods(np.where(layers["status"] & Status.UNKNOWN, 0, layers["surface"] - layers["terrain"]), cell)
            trees &= (layers["status"] & Status.FROM_CLOUD) == 0
            part["woods"] = _blocks(trees, factor).mean(axis=2) > 0.5
        bx, by = (x - ix0) // factor, (y - iy0) // factor
        for name, array in part.items():
            made[name][bx : bx + array.shape[0], by : by + array.shape[1]] = array
        hanging["ix"] += bx
        hanging["iy"] += by
        floating.append(hanging)
        if progress:
            progress("read tiles", number + 1, len(corners))
    return Decimated((ix0 * cell, iy0 * cell), cell * factor, factor, **made, floating=merged(np.concatenate(floating)))


_MADE = {"ground_m": "f4", "above_m": "f4", "base_m": "f4", "status": "u1", "source": "u2", "age": "u2", "woods": "?"}


def reduced(layers: dict[str, NDArray], runs: NDArray, factor: int) -> tuple[dict[str, NDArray], NDArray]:
    """Some cells in blocks, and the things in them that have air below.

    Args:
        layers: of LAYERS, (nx, ny) each.
        runs: RUN_DTYPE, sorted, cells counted in the arrays.

    Returns:
        Arrays by name as in `Decimated`, and a FLOATING_DTYPE table, not yet merged.
    """
    terrain, surface = layers["terrain"], layers["surface"]
    base = surface.copy()
    held, top = _from_below(runs, terrain)
    base[runs["ix"][held], runs["iy"][held]] = top[held]
    loose = runs[~held & (runs["from_m"] > top)]
    floating = np.zeros(len(loose), FLOATING_DTYPE)
    for name in RUN_DTYPE.names or ():
        floating[name] = loose[name].astype(np.int32) // factor if name in ("ix", "iy") else loose[name]
    highest = _blocks(surface, factor).argmax(axis=2)[..., None]

    def of_highest(name: str) -> NDArray:
        return np.take_along_axis(_blocks(layers[name], factor), highest, axis=2)[..., 0]

    status = np.bitwise_or.reduce(_blocks(layers["status"], factor), axis=2)
    status[(status & Status.UNKNOWN) != 0] &= np.uint8(0xFF ^ Status.KNOWN)
    return {
        "ground_m": _blocks(terrain, factor).mean(axis=2, dtype=np.float64).astype(np.float32),
        "above_m": _blocks(surface - terrain, factor).max(axis=2),
        "base_m": _blocks(np.maximum(base - terrain, 0), factor).max(axis=2),
        "status": status,
        "source": of_highest("source"),
        "age": of_highest("age"),
    }, floating


def merged(floating: NDArray) -> NDArray:
    """Things of one kind that overlap in one block as one (the source of the lowest), sorted."""
    if len(floating) == 0:
        return floating
    rows = floating[np.lexsort([floating[name] for name in ("to_m", "from_m", "kind", "iy", "ix")])]
    other = np.ones(len(rows), bool)
    other[1:] = np.any([rows[name][1:] != rows[name][:-1] for name in ("ix", "iy", "kind")], axis=0)
    group = np.cumsum(other) - 1
    # The highest end so far within a group: heights are lifted group by group, so that one running maximum serves all
    low, high = float(rows["from_m"].min()), float(rows["to_m"].max())
    lift = group * (high - low + 1.0)
    reach = np.maximum.accumulate(rows["to_m"].astype(np.float64) + lift)
    other[1:] |= rows["from_m"][1:] > (reach - lift)[:-1]
    first = np.flatnonzero(other)
    out = rows[first].copy()
    out["to_m"] = np.maximum.reduceat(rows["to_m"], first)
    return out


def _from_below(runs: NDArray, terrain: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """For each run: whether it is the first of its column, and up to where that column is solid from below."""
    top = np.full(len(runs), -np.inf, np.float32)
    if len(runs) == 0:
        return np.zeros(0, bool), top
    head = np.ones(len(runs), bool)
    head[1:] = (runs["ix"][1:] != runs["ix"][:-1]) | (runs["iy"][1:] != runs["iy"][:-1])
    first = np.flatnonzero(head)
    end = np.append(first[1:], len(runs))
    reach = terrain[runs["ix"][first], runs["iy"][first]].astype(np.float32)
    for rank in range(int((end - first).max())):
        row = first + rank
        there = np.flatnonzero(row < end)
        joins = there[runs["from_m"][row[there]] <= reach[there]]
        reach[joins] = np.maximum(reach[joins], runs["to_m"][row[joins]])
    return head, np.repeat(reach, end - first)


def _counted_from(runs: NDArray, ix: int, iy: int) -> NDArray:
    runs = runs.copy()
    runs["ix"] -= ix
    runs["iy"] -= iy
    return runs


def _blocks(values: NDArray, factor: int) -> NDArray:
    """(bx, by, factor * factor); ragged edges are completed with their own values."""
    nx, ny = (-(-n // factor) for n in values.shape)
    padded = np.pad(values, [(0, nx * factor - values.shape[0]), (0, ny * factor - values.shape[1])], mode="edge")
    return padded.reshape(nx, factor, ny, factor).swapaxes(1, 2).reshape(nx, ny, factor * factor)
