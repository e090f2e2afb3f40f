"""Short ways at any angle: a grid search, two bolder guesses, and the better of them relaxed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._anyangle_kernels import levels_of, over_roofs, through_lattice
from utm.core._jit import point, read_only
from utm.core._sight_kernels import first_hidden, length, relaxed, sees
from utm.core.grid import GridPlanner
from utm.core.sight import RELAXATION, corners_of, least_along, narrower, scene, string


@dataclass(frozen=True, slots=True, eq=False)
class AnyAnglePath:
    """A short way, each of whose segments is clear."""

    points: NDArray[np.float64]
    """(m, 3) corners from start to goal, grid coordinates, m >= 2."""
    length: float
    """Its length in voxels."""
    grid_cost: float
    """The length of the shortest way by steps to neighbouring voxels, between the voxels of start and goal."""
    expansions: int
    """How many voxels the grid search looked around from."""
    clearance: float | None
    """The least value of the distance field over every voxel that the way touches; None where none was given."""


class AnyAnglePlanner:
    """Short ways at any angle through one volume, for as many queries as wanted.

    Every segment is clear by the rule of `utm.core.segment_clear`: each voxel that it touches is free. The ways are
    not proven to be the shortest. They are no longer than what `utm.core.pull_string` makes of the shortest way through
    the grid, and between points that see each other they are straight. There is a way whenever the grid has one without
    cutting corners.

    Method: candidates are the string pulled through the shortest grid path (`utm.core.GridPlanner`), the taut string
    over the roofs in the vertical plane of start and goal, and the best way through a lattice around the straight
    line, found by dynamic programming. Each that promises to be the shortest is relaxed: its corners move, slide along
    the edges that they touch and are dropped, always in sight of their neighbours, until little is gained.
    Everything is bounded by counts and deterministic.

    Memory is 8 bytes a column and a bit for every 64 voxels, beside that of the grid search.

    Args:
        blocked: (nx, ny, nz) booleans. What lies outside is blocked.
        distance_m: (nx, ny, nz) how far each voxel keeps from what is to be kept clear of, as `clearance_field`
            makes it; the least along a way becomes its ``clearance``.

    Raises:
        ValueError: not a three-dimensional boolean array, or distances of another shape.
    """

    def __init__(self, blocked: ArrayLike, *, distance_m: NDArray[np.float32] | None = None) -> None:
        self._grid = GridPlanner(blocked)
        volume = np.asarray(blocked)
        self.shape: tuple[int, int, int] = volume.shape
        self._distance_m = None if distance_m is None else np.asarray(distance_m)
        if self._distance_m is not None and self._distance_m.shape != volume.shape:
            raise ValueError(f"distances of shape {self._distance_m.shape} for a volume of {volume.shape} voxels")
        self._scene = scene(self._grid.walls, volume.shape[2])
        self._thick = -(-volume.shape[2] // 64)
        self._levels = read_only(levels_of(self._scene[0], volume.shape[2], self._thick))

    def path(self, start: ArrayLike, goal: ArrayLike) -> AnyAnglePath:
        """A short way from one point (3,) to another, grid coordinates: voxel (i, j, k) is [i, i + 1] x ...

        Raises:
            NoPath: there is none, or the voxel of start or goal is blocked.
            ValueError: start or goal lies outside the volume or on its border, or on a face, edge or corner of a
                voxel that is blocked.
        """
        first, last = self._place(start, "start"), self._place(goal, "goal")
        found = self._grid.path(np.floor(first).astype(np.int64), np.floor(last).astype(np.int64))
        for name, place in (("start", first), ("goal", last)):
            if not sees(self._scene, place, place):
                raise ValueError(f"the {name} {place.tolist()} touches a voxel that is blocked: move it off the face")
        points = self._shortest(found.cells, first, last)
        clearance = None if self._distance_m is None else least_along(self._distance_m, points)
        return AnyAnglePath(points, length(points, len(points)), found.cost, found.expansions, clearance)

    def _shortest(
        self, cells: NDArray[np.int32], first: NDArray[np.float64], last: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        corners = corners_of(self._scene, cells, first, last)
        if len(corners) == 2:
            return corners
        way = string(self._scene, corners)
        narrow = narrower(self._scene)
        table, _, layers, _ = narrow
        roofs = over_roofs(table, layers, first, last)
        # Relaxing costs more than all of the guess, and takes little off a string that is taut in its plane.
        if len(roofs) and length(roofs, len(roofs)) < length(way, len(way)) and first_hidden(narrow, roofs) < 0:
            way = relaxed(narrow, roofs, *RELAXATION)
        lattice = through_lattice(self._levels, self._thick, layers, first, last, length(way, len(way)))
        if len(lattice) and first_hidden(narrow, lattice) < 0:
            way = _shorter(way, string(self._scene, lattice))
        return way

    def _place(self, values: ArrayLike, name: str) -> NDArray[np.float64]:
        place = point(values, name)
        if (place <= 0).any() or (place >= self.shape).any():
            raise ValueError(f"the {name} {place.tolist()} does not lie inside the volume of {self.shape} voxels")
        return place


def _shorter(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a if length(a, len(a)) <= length(b, len(b)) else b
