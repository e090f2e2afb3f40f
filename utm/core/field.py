"""The clearance field: how far every point of a voxel is from everything that is blocked, at least."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Voxels trimmed from both ends of each axis: ((west, east), (south, north), (below, above)).
Halo = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
NO_HALO: Halo = ((0, 0), (0, 0), (0, 0))
#: Along one axis. Up to here the library's float32 tells the places where two parabolas cross from the voxels beside
#: them (they differ by 1 / 2n, and 2 n^2 stays below 2^24), so its squared distances are exact integers.
MOST_VOXELS = 2048


def clearance_field(blocked: ArrayLike, cell_m: float, limit_m: float, *, halo: Halo = NO_HALO) -> NDArray[np.float32]:
    """For each voxel the least distance from any of its points to any point of a blocked voxel, up to a limit.

    The distance is from box to box, so whatever stays within voxels of at least ``d`` keeps ``d`` metres, without
    any allowance for the size of a voxel. Voxels that touch a blocked one have 0, as blocked ones have.

    What lies outside the array is not known and counts as blocked: a voxel has no more than its distance to the
    nearest side of the array. A caller who wants more hands in ``halo`` voxels on the sides, which bear on the
    distances and are trimmed from the result; from a halo of ``halo_cells`` on, the sides no longer show.

    Args:
        blocked: (nx, ny, nz) booleans.
        cell_m: side of a voxel, metres.
        limit_m: distances are cut off here, metres; above zero.
        halo: voxels to trim from either end of each axis.

    Returns:
        Distances [ix, iy, iz] of the trimmed array, metres, float32, rounded down where float32 does not hold them
        (and never up).

    Raises:
        ValueError: another shape or dtype, nothing left after trimming, an axis of more than ``MOST_VOXELS``.

    Method: between two voxels that are (a, b, c) apart lies ``cell * |(max(|a| - 1, 0), ...)|``, which is the distance
    between voxel centres once one of them has grown by a voxel in all 26 directions. So it is the Euclidean distance
    transform (Felzenszwalb and Huttenlocher 2012, the ``edt`` library) of the blocked set grown by one.
    """
    return distances(squared_gaps(blocked, cell_m, limit_m, halo=halo), cell_m, limit_m)


def halo_cells(cell_m: float, limit_m: float) -> int:
    """How many voxels of halo it takes for the sides of the array not to show in the field."""
    return math.ceil(Fraction(_positive(limit_m, "limit_m")) / Fraction(_positive(cell_m, "cell_m")))


def squared_gaps(
    blocked: ArrayLike, cell_m: float, limit_m: float, *, halo: Halo = NO_HALO
) -> NDArray[np.uint16 | np.uint32]:
    """`clearance_field` before the square root: squared distances in voxels, cut off where the limit is reached.

    Small whole numbers, so this is the form in which a field is kept; `distances` makes metres of it.
    """
    solid = np.asarray(blocked)
    if solid.ndim != 3 or solid.dtype != np.bool_:
        raise ValueError(f"blocked must be a boolean array (nx, ny, nz), got {solid.dtype} of shape {solid.shape}")
    inner = tuple(n - low - high for n, (low, high) in zip(solid.shape, halo, strict=True))
    if min(inner) < 1 or min(min(pair) for pair in halo) < 0:
        raise ValueError(f"a halo of {halo} leaves nothing of {solid.shape} voxels")
    if max(solid.shape) > MOST_VOXELS:
        raise ValueError(f"no axis may have more than {MOST_VOXELS} voxels, got {solid.shape}")
    most = len(_metres(_positive(cell_m, "cell_m"), _positive(limit_m, "limit_m"))) - 1
    open_air = np.logical_not(_grown(solid)).view(np.uint8)
    # One thread: cores are better spent on other windows, and nothing depends on the order of threads.
    found = edt.edtsq(open_air, black_border=False, parallel=1)
    cut = tuple(slice(low, low + n) for n, (low, _) in zip(inner, halo, strict=True))
    squared = np.minimum(found[cut], np.float32(most), dtype=np.float32)
    for axis, (n, (low, high)) in enumerate(zip(inner, halo, strict=True)):
        to_side = np.minimum(np.arange(low, low + n), np.arange(high + n, high, -1) - 1).astype(np.float32)
        if to_side.min() ** 2 < most:
            np.minimum(squared, (to_side**2).reshape([n if a == axis else 1 for a in range(3)]), out=squared)
    return squared.astype(np.uint16 if most <= np.iinfo(np.uint16).max else np.uint32)


def distances(squared: NDArray[np.unsignedinteger], cell_m: float, limit_m: float) -> NDArray[np.float32]:
    """Squared distances in voxels, from `squared_gaps` with the same cell and limit, as metres."""
    return _metres(float(cell_m), float(limit_m))[squared]


def _grown(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Every voxel that is blocked or touches a blocked one, with a side, an edge or a corner."""
    for axis in range(3):
        first = np.moveaxis(solid, axis, 0)
        grown = np.array(solid)
        along = np.moveaxis(grown, axis, 0)
        along[1:] |= first[:-1]
        along[:-1] |= first[1:]
        solid = grown
    return solid


@functools.lru_cache(maxsize=32)
def _metres(cell_m: float, limit_m: float) -> NDArray[np.float32]:
    """``metres[q]``: the greatest float32 that is not above ``cell * sqrt(q)``; the last is the limit."""
    cell, limit = Fraction(cell_m), Fraction(limit_m)
    most = math.ceil((limit / cell) ** 2)
    if most > 1_000_000:
        raise ValueError(f"a limit of {limit_m} m is too far for voxels of {cell_m} m")
    metres = np.minimum(cell_m * np.sqrt(np.arange(most + 1)), limit_m).astype(np.float32)
    for index, value in enumerate(metres):
        exact = min(index * cell * cell, limit * limit)
        while Fraction(float(value)) ** 2 > exact:
            value = np.nextafter(value, np.float32(0))
        metres[index] = value
    metres.setflags(write=False)
    return metres


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above zero, got {value!r}")
    return float(value)
