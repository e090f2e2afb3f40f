"""What flying here costs beyond its length: layers of the town as factors.

Each function turns one kind of knowledge into factors of at least 1, by which `utm.core.costs.CostPlanner` multiplies
the cost in a voxel. Arrays over the ground are (nx, ny) and give (nx, ny, 1); arrays over voxels give (nx, ny, nz): all
broadcast to the volume. A weight is the extra cost where the layer is worst, in shares of the plain cost: with weight 2
a metre there costs as much as three elsewhere. A weight of 0 leaves 1 everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: People per square kilometre of a dense city quarter, at which `over_people` reaches its full weight.
DENSE_PER_KM2 = 20_000.0
#: Metres above ground below which a multicopter is loudest to those under it, `quiet`'s full weight.
LOUD_BELOW_M = 30.0


def over_people(
    density_per_km2: ArrayLike, weight: float, *, full_per_km2: float = DENSE_PER_KM2
) -> NDArray[np.float64]:
    """Ground risk: 1 over nobody, rising in proportion to the people below to ``1 + weight`` at ``full_per_km2``.

    The expected harm of a fall is proportional to the density of people (JARUS SORA 2.5, annex F), so the factor is
    linear; above ``full_per_km2`` it stays.

    Args:
        density_per_km2: (nx, ny) people per square kilometre, >= 0.
        weight: extra cost where it is most crowded, >= 0.
        full_per_km2: density at which the full weight is reached, > 0.

    Returns:
        (nx, ny, 1).

    Raises:
        ValueError: another shape, numbers out of range or not finite.
    """
    density = _ground(density_per_km2, "density_per_km2")
    _positive(full_per_km2, "full_per_km2")
    if (density < 0).any():
        raise ValueError("density_per_km2 must not be negative")
    return _weighed(np.minimum(density / full_per_km2, 1.0), weight)


def quiet(
    height_above_ground_m: ArrayLike, sensitivity: ArrayLike, weight: float, *, loud_below_m: float = LOUD_BELOW_M
) -> NDArray[np.float64]:
    """Noise: ``1 + weight`` over the most sensitive ground up to ``loud_below_m``, less with height.

    The intensity from a point source falls with the square of the distance, 6 dB per doubling, so the extra cost does
    too: a quarter of it is left at twice ``loud_below_m``.

    Args:
        height_above_ground_m: (nx, ny, nz) of the voxels, or (nz,) over flat ground, metres; below 0 counts as 0.
        sensitivity: (nx, ny) 0 (nobody minds) to 1 (a hospital).
        weight: extra cost where it disturbs most, >= 0.
        loud_below_m: height up to which the full weight counts, > 0.

    Returns:
        (nx, ny, nz).

    Raises:
        ValueError: other shapes, numbers out of range or not finite.
    """
    raster = _share(_ground(sensitivity, "sensitivity"), "sensitivity")
    height = np.asarray(height_above_ground_m, np.float64)
    if height.ndim not in (1, 3) or not np.isfinite(height).all():
        raise ValueError(f"height_above_ground_m must be finite (nz,) or (nx, ny, nz), got shape {height.shape}")
    if height.ndim == 3 and any(n not in (1, m) for n, m in zip(height.shape[:2], raster.shape[:2], strict=True)):
        raise ValueError(f"heights of shape {height.shape} do not fit a sensitivity of shape {raster.shape[:2]}")
    _positive(loud_below_m, "loud_below_m")
    loudness = (loud_below_m / np.maximum(height, loud_below_m)) ** 2
    return _weighed(raster * loudness, weight)


def covered(signal: ArrayLike, weight: float) -> NDArray[np.float64]:
    """Radio: 1 where the link is certain, rising to ``1 + weight`` where there is none.

    Args:
        signal: (nx, ny) or (nx, ny, nz), 0 (no link) to 1 (certain), as a share of the time or of the margin.
        weight: extra cost without a link, >= 0.

    Returns:
        (nx, ny, 1) or (nx, ny, nz).

    Raises:
        ValueError: another shape, numbers out of range or not finite.
    """
    return _weighed(1.0 - _share(_voxels(signal, "signal"), "signal"), weight)


def off_roads(roads: ArrayLike, weight: float) -> NDArray[np.float64]:
    """Preference for sky roads that exist: 1 on them, ``1 + weight`` elsewhere.

    Args:
        roads: (nx, ny) or (nx, ny, nz) booleans, True on a road.
        weight: extra cost off the roads, >= 0.

    Returns:
        (nx, ny, 1) or (nx, ny, nz).

    Raises:
        ValueError: not booleans, another shape, or a weight out of range.
    """
    if np.asarray(roads).dtype != np.bool_:
        raise ValueError(f"roads must be booleans, True on a road, got {np.asarray(roads).dtype}")
    return _weighed(1.0 - _voxels(roads, "roads"), weight)


def near_obstacles(distance_m: ArrayLike, within_m: float, weight: float) -> NDArray[np.float64]:
    """Room to spare: 1 from ``within_m`` on, rising in a straight line to ``1 + weight`` at an obstacle.

    Args:
        distance_m: (nx, ny) or (nx, ny, nz) metres to the nearest obstacle, >= 0; infinite where there is none (as
            `utm.core.clearance_field` gives).
        within_m: how far obstacles matter, > 0.
        weight: extra cost at an obstacle, >= 0.

    Returns:
        (nx, ny, 1) or (nx, ny, nz).

    Raises:
        ValueError: another shape, NaN, or numbers out of range.
    """
    _positive(within_m, "within_m")
    distance = np.asarray(distance_m, np.float64)
    if np.isnan(distance).any() or (distance < 0).any():
        raise ValueError("distance_m must not be negative or NaN")
    nearness = 1.0 - np.minimum(distance, within_m) / within_m
    return _weighed(_voxels(nearness, "distance_m"), weight)


def combined(*factors: ArrayLike) -> NDArray[np.float64]:
    """All layers at once: the product, so each keeps its meaning beside the others.

    Args:
        factors: what the functions above gave, over one volume.

    Returns:
        their broadcast product; (1, 1, 1) of one without any.

    Raises:
        ValueError: shapes that do not fit each other, or a factor that is not finite and at least 1.
    """
    product = np.ones((1, 1, 1))
    for factor in factors:
        array = _voxels(factor, "each factor")
        if (array < 1).any():
            raise ValueError(f"factors must be at least 1, got {array.min():g}: the search's bound rests on that")
        if any(1 not in (n, m) and n != m for n, m in zip(product.shape, array.shape, strict=True)):
            raise ValueError(f"factors of shapes {product.shape} and {array.shape} are not over one volume")
        product = product * array
    return product


def _weighed(share: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """1 + weight x share, share in [0, 1]."""
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"the weight of a layer must be a finite number of at least 0, got {weight!r}")
    return 1.0 + weight * share


def _ground(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite (nx, ny), got shape {array.shape}")
    return array[:, :, None]


def _voxels(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim not in (2, 3) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite (nx, ny) or (nx, ny, nz), got shape {array.shape}")
    return array[:, :, None] if array.ndim == 2 else array


def _share(array: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if (array < 0).any() or (array > 1).any():
        raise ValueError(f"{name} must lie between 0 and 1, got {array.min():g} to {array.max():g}")
    return array


def _positive(value: float, name: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
