"""Lazy Theta* over voxels, a peer for ways at any angle.

Nash, Koenig and Tovey 2010, "Lazy Theta*: Any-Angle Path Planning and Path Length Analysis in 3D": A* over 26
neighbours in which a voxel's parent may be any voxel that it sees, and the line of sight is tested only when the voxel
is expanded. It is given the same lines of sight as our own planner, so what differs is the method.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from utm.core._sight_kernels import sees
from utm.core._walls import walls
from utm.core.sight import scene


class LazyTheta:
    """Ways between voxel centres of one volume (nx, ny, nz) of booleans."""

    def __init__(self, blocked: NDArray[np.bool_]) -> None:
        self.shape = blocked.shape
        self._scene = scene(walls(blocked), blocked.shape[2])
        self._cost = np.full(blocked.size, np.inf)
        self._parent = np.empty(blocked.size, np.int64)
        self._closed = np.zeros(blocked.size, np.uint8)

    def path(self, start: Any, goal: Any) -> tuple[NDArray[np.float64], int]:
        """Corners (m, 3), grid coordinates, and how many voxels were expanded. Raises ValueError when there is none."""
        ends = [int(np.ravel_multi_index(tuple(int(c) for c in end), self.shape)) for end in (start, goal)]
        expanded, touched = _search(self._scene, self.shape, *ends, self._cost, self._parent, self._closed)
        corners = [ends[1]]
        while expanded >= 0 and corners[-1] != ends[0]:
            corners.append(int(self._parent[corners[-1]]))
        _forget(self._cost, self._closed, touched)
        if expanded < 0:
            raise ValueError("no way")
        return np.stack(np.unravel_index(corners[::-1], self.shape), 1) + 0.5, expanded


@numba.njit(nogil=True)
def _centre(voxel: int, shape: Any, out: Any) -> None:
    out[0] = voxel // (shape[1] * shape[2]) + 0.5
    out[1] = voxel // shape[2] % shape[1] + 0.5
    out[2] = voxel % shape[2] + 0.5


@numba.njit(nogil=True)
def _push(heap: Any, size: int, key: float, value: int) -> None:
    at = size
    while at > 0 and heap[(at - 1) // 2, 0] > key:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at, 0], heap[at, 1] = key, value


@numba.njit(nogil=True)
def _pop(heap: Any, size: int) -> None:
    """Take the top away; ``size`` is what it was."""
    last = size - 1
    key, value = heap[last, 0], heap[last, 1]
    at = 0
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last and heap[child + 1, 0] < heap[child, 0]:
            child += 1
        if heap[child, 0] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at, 0], heap[at, 1] = key, value


@numba.njit(nogil=True)
def _apart(a: Any, b: Any) -> float:
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@numba.njit(nogil=True)
def _forget(cost: Any, closed: Any, touched: Any) -> None:
    for entry in range(len(touched)):
        cost[touched[entry]], closed[touched[entry]] = np.inf, 0


@numba.njit(nogil=True)
def _search(scene: Any, shape: Any, start: int, goal: int, cost: Any, parent: Any, closed: Any) -> Any:
    """How many voxels were expanded, -1 when there is no way; and the voxels whose cost or mark was written."""
    nx, ny, nz = shape
    here, there, old, end = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    _centre(goal, shape, end)
    _centre(start, shape, here)
    if not (sees(scene, here, here) and sees(scene, end, end)):
        return -1, np.empty(0, np.int64)
    heap, size = np.empty((1 << 16, 2)), 1
    cost[start], parent[start] = 0.0, start
    heap[0, 0], heap[0, 1] = _apart(here, end), start
    touched, written = np.empty(1 << 16, np.int64), 1
    touched[0] = start
    expanded = 0
    while size > 0:
        voxel = np.int64(heap[0, 1])
        _pop(heap, size)
        size -= 1
        if closed[voxel]:
            continue
        closed[voxel] = 1
        expanded += 1
        _centre(voxel, shape, here)
        _centre(parent[voxel], shape, old)
        x, y, z = int(here[0]), int(here[1]), int(here[2])
        if voxel != start and not sees(scene, old, here):
            cost[voxel] = np.inf
            for n in range(27):
                i, j, k = x + n // 9 - 1, y + n // 3 % 3 - 1, z + n % 3 - 1
                if n == 13 or not (0 <= i < nx and 0 <= j < ny and 0 <= k < nz):
                    continue
                other = (i * ny + j) * nz + k
                _centre(other, shape, there)
                if closed[other] and cost[other] + _apart(here, there) < cost[voxel] and sees(scene, there, here):
                    cost[voxel], parent[voxel] = cost[other] + _apart(here, there), other
        if voxel == goal:
            return expanded, touched[:written]
        _centre(parent[voxel], shape, old)
        for n in range(27):
            i, j, k = x + n // 9 - 1, y + n // 3 % 3 - 1, z + n % 3 - 1
            if n == 13 or not (0 <= i < nx and 0 <= j < ny and 0 <= k < nz):
                continue
            other = (i * ny + j) * nz + k
            if closed[other]:
                continue
            _centre(other, shape, there)
            if not sees(scene, here, there):
                continue
            through = cost[parent[voxel]] + _apart(old, there)
            if through < cost[other]:
                if cost[other] == np.inf:
                    if written == len(touched):
                        longer = np.empty(2 * written, np.int64)
                        longer[:written] = touched
                        touched = longer
                    touched[written] = other
                    written += 1
                cost[other], parent[other] = through, parent[voxel]
                if size == len(heap):
                    more = np.empty((2 * size, 2))
                    more[:size] = heap
                    heap = more
                _push(heap, size, through + _apart(there, end), other)
                size += 1
    return -1, touched[:written]
