"""What the 26 steps between neighbouring voxels cost, and the least that any way can cost.

A step from voxel u to voxel v is half flown in u and half in v, each half in the wind of its voxel and times its
factor: `half_costs` prices the halves. So a straight row of steps costs what the straight line through the centres
costs when it is integrated over the voxels it passes.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.energy import level_rates, vertical_rates
from utm.model import Aircraft, Objective

#: (26, 3) the steps.
STEPS = np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)], np.int64)


def _box_bits(step: tuple[int, ...]) -> int:
    """The cells of the box between a voxel and a neighbour, the voxel left out, as bits 9 x + 3 y + z of the 27
    around it."""
    cells = itertools.product(*[(0, s) if s else (0,) for s in step])
    return sum(1 << (9 * (x + 1) + 3 * (y + 1) + z + 1) for x, y, z in cells if (x, y, z) != (0, 0, 0))


#: (26,) cells that must be free for each step; corners are not cut.
NEEDS = np.array([_box_bits(tuple(step)) for step in STEPS.tolist()], np.int64)


def direction_rates(
    aircraft: Aircraft | None, objective: Objective, displacement_m: NDArray[np.float64], wind: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What straight displacements cost: (level part, vertical part), metres, seconds or watt-hours.

    Length has no parts: all of it is in the first. Infinite where the wind is too strong to hold the track, or the
    position in a vertical step, for the length too: what cannot be flown has no length.

    Args:
        aircraft: None where neither time nor energy nor wind is asked about.
        objective: the unit of the answer.
        displacement_m: (..., 3) metres east, north, up.
        wind: (..., 2) metres per second.
    """
    level = np.hypot(displacement_m[..., 0], displacement_m[..., 1])
    rise = np.asarray(displacement_m[..., 2])
    shape = np.broadcast_shapes(level.shape, wind.shape[:-1])
    if aircraft is None:
        return np.broadcast_to(np.hypot(level, rise), shape), np.zeros(shape)
    track = displacement_m[..., :2] / np.where(level > 0, level, 1.0)[..., None]
    pick = 1 if objective is Objective.ENERGY else 0
    vertical_rate = np.where(
        rise > 0, vertical_rates(aircraft, True, wind)[pick], vertical_rates(aircraft, False, wind)[pick]
    )
    horizontally = _times(np.broadcast_to(level, shape), level_rates(aircraft, track, wind)[pick])
    vertically = _times(np.broadcast_to(np.abs(rise), shape), vertical_rate)
    if objective is Objective.LENGTH:
        possible = np.isfinite(horizontally + vertically)
        return np.where(possible, np.hypot(level, rise), np.inf), np.zeros(shape)
    return horizontally, vertically


def _times(amount: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Product in which nothing of something infinite is nothing."""
    return np.multiply(amount, rate, out=np.zeros(amount.shape), where=amount > 0)


def half_costs(
    aircraft: Aircraft | None, objective: Objective, cell_m: float, wind: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(..., 26, 2) half of each step in winds (..., 2): level part and vertical part, in metres, seconds or
    watt-hours. Infinite in both where the step cannot be flown."""
    level, vertical = direction_rates(aircraft, objective, STEPS * (cell_m / 2), wind[..., None, :])
    impossible = np.isinf(level + vertical)
    level, vertical = np.where(impossible, np.inf, level), np.where(impossible, np.inf, vertical)
    return np.stack([level, vertical], axis=-1)


def step_costs(
    aircraft: Aircraft | None, objective: Objective, cell_m: float, wind_m_s: ArrayLike | None = None
) -> NDArray[np.float64]:
    """What each of the 26 `STEPS` costs where factor and wind are the same at both ends.

    Args:
        aircraft: may be None for the length without wind.
        objective: the unit: metres, seconds or watt-hours.
        cell_m: side of a voxel.
        wind_m_s: (..., 2) east and north; None is calm.

    Returns:
        (..., 26), infinite where the wind is too strong.
    """
    wind = np.zeros(2) if wind_m_s is None else np.asarray(wind_m_s, np.float64)
    return 2 * half_costs(aircraft, objective, cell_m, wind).sum(-1)


def dual_vectors(least: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integer vectors y with ``y @ step <= least[step]`` for all 26 steps, exactly.

    The greatest ``y @ displacement`` over any set of them is a lower bound of what any row of steps with that sum
    costs (weak duality), and falls by no more than the cost of a step with each step: admissible and consistent.
    All corners of the polyhedron of such y are found, so over free voxels of the cheapest kind the bound is exact;
    for plain length it is the octile distance.

    Args:
        least: (26,) the least cost of each step, above zero.

    Returns:
        (k, 3), k >= 1.
    """
    triples = np.array(list(itertools.combinations(range(26), 3)))
    faces = STEPS[triples].astype(np.float64)
    proper = np.abs(np.linalg.det(faces)) > 0.5
    corners = np.linalg.solve(faces[proper], least[triples[proper]].astype(np.float64)[..., None])[..., 0]
    slack = least - corners @ STEPS.T
    corners = np.unique(np.rint(corners[(slack >= -1e-9 * least.max()).all(axis=1)]), axis=0)
    # Rounding moves y @ step by 1.5 at most, and the solver by less than 1: those that no longer hold are shrunk so
    # far that they do, by a few units in a thousand million.
    shrunk = np.rint(corners * (1.0 - 4.0 / least.min() - 2e-9)).astype(np.int64)
    exact = corners.astype(np.int64)
    holds = (exact @ STEPS.T <= least).all(axis=1)
    vectors = np.unique(np.vstack([np.where(holds[:, None], exact, shrunk), np.zeros((1, 3), np.int64)]), axis=0)
    return vectors[(vectors @ STEPS.T <= least).all(axis=1)]


def by_octant(vectors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each sign pattern of a displacement (bit 2: x < 0, bit 1: y < 0, bit 0: z < 0), the vectors that are the
    greatest for some displacement of that pattern: (8, k, 3), and how many of them count (8,).

    A vector is left out only where another is at least as great along all three axes, so nothing is lost.
    """
    kept = []
    for signs in itertools.product((1, -1), repeat=3):
        signed = vectors * np.array(signs)
        order = np.lexsort(signed.T)
        front: list[int] = []
        for one in order[::-1]:
            if not any((signed[other] >= signed[one]).all() for other in front):
                front = [other for other in front if not (signed[one] >= signed[other]).all()] + [int(one)]
        kept.append(vectors[front])
    table = np.zeros((8, max(map(len, kept)), 3), np.int64)
    for octant, chosen in enumerate(kept):
        table[octant, : len(chosen)] = chosen
    return table, np.array([len(chosen) for chosen in kept], np.int64)
