"""What lies below a way, column by column: the room under the ceiling, the height over the surface, and whether the
planning voxels that it touches are free.

The columns below a straight piece are cut exactly, at every line between two of them. The voxels are those of
`utm.core.sight.segment_clear` and the turns those of `utm.core.turns.turns_clear`, with the same margin towards "not
free", over the free layers of `utm.core.tiles` instead of a dense volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import kernel
from utm.core.flown import Flown
from utm.core.tiles import Ground
from utm.model import Trajectory

#: By this much (voxels) every box is larger than it is, as in `utm.core.sight`.
_MARGIN = 1e-9

_OUTSIDE = "a part of the way lies off the map, or over a tile that is not held"


@dataclass(frozen=True, slots=True)
class Beneath:
    """What lies below the way that is flown between two columns."""

    room_m: float
    """Least of the terrain right below less the height of the way: less than 0, add the ceiling above terrain."""
    at_s: float
    """When the trajectory is nearest to where that is (Unix seconds)."""
    at_m: tuple[float, float, float]
    """Where the trajectory is then: metres east, north, up."""
    floor_m: float
    """Least height of the way over the surface right below."""


def beneath(ground: Ground, line: Trajectory, way: Flown) -> Beneath:
    """The least room above the way that is flown and the least height over the surface below it.

    Raises:
        ValueError: the way leaves the map, or the tiles that are held.
    """
    room, floor, part, at = _beneath(ground, line.t_s, line.enu_m, way.way_m, way.parts, way.pieces)
    if part == -1:
        raise ValueError(_OUTSIDE)
    at_s, east, north, up = at.tolist()
    return Beneath(float(room) - way.bend_m, at_s, (east, north, up), float(floor) - way.bend_m)


def first_closed(
    ground: Ground, line: Trajectory, way: Flown
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Where a flight between its columns first touches a voxel that is not free.

    Looked at are the straight pieces of the trajectory and the triangles beside its corners in which its turns lie.

    Returns:
        (4,) time (Unix seconds) and metres east, north, up where it first touches one below the free ones of its
        column, or in a column that is closed; the same for one above them, or off the map. None where there is none.

    Raises:
        ValueError: a tile that is not held.
    """
    status, low, high = _closed(ground, line.t_s, line.enu_m, way.climb, way.descent, way.turns_m)
    if status < 0:
        raise ValueError(_OUTSIDE)
    return (low if status & 1 else None), (high if status & 2 else None)


@dataclass(frozen=True, slots=True)
class Pad:
    """What stands on and around a pad."""

    highest_m: float
    """``up`` of the highest thing in any column that comes within the radius; inf where the map ends there."""
    surface_m: float
    """``up`` of the lowest surface within a quarter of a column of it."""
    unknown: bool
    """Whether the survey saw nothing in one of these columns."""
    terrain_m: float
    """``up`` of the bare ground in its own column."""


def pad_at(ground: Ground, east_m: float, north_m: float, radius_m: float) -> Pad:
    """What stands on and around a pad on the map.

    Raises:
        ValueError: off the map, or within the radius over a tile that is not held.
    """
    status, highest, surface, unknown, terrain = _pad(ground, float(east_m), float(north_m), float(radius_m))
    if status < 0:
        raise ValueError(_OUTSIDE)
    return Pad(float(highest), float(surface), bool(unknown), float(terrain))


@kernel
def _pad(ground, east, north, radius):
    """Status (-1: outside), and the fields of `Pad`."""
    cell, (nx, ny) = ground.cell_m, ground.size
    highest, surface, unknown = -np.inf, np.inf, False
    i0, j0 = int(np.floor((east - radius) / cell)), int(np.floor((north - radius) / cell))
    i1, j1 = int(np.floor((east + radius) / cell)), int(np.floor((north + radius) / cell))
    edge = i0 < 0 or j0 < 0 or i1 >= nx or j1 >= ny
    own_i, own_j = min(int(np.floor(east / cell)), nx - 1), min(int(np.floor(north / cell)), ny - 1)
    if not (0.0 <= east <= nx * cell and 0.0 <= north <= ny * cell):
        return -1, 0.0, 0.0, False, 0.0
    terrain = 0.0
    quarter = 0.25 * cell
    for i in range(max(min(i0, own_i - 1), 0), min(max(i1, own_i + 1), nx - 1) + 1):
        for j in range(max(min(j0, own_j - 1), 0), min(max(j1, own_j + 1), ny - 1) + 1):
            away_e = max(max(i * cell - east, east - i * cell - cell), 0.0)
            away_n = max(max(j * cell - north, north - j * cell - cell), 0.0)
            under = away_e <= quarter and away_n <= quarter
            if not under and np.hypot(away_e, away_n) > radius:
                continue
            slot = ground.index[i // ground.side, j // ground.side]
            if slot < 0:
                return -1, 0.0, 0.0, False, 0.0
            u, v = i % ground.side, j % ground.side
            top = float(ground.surface[slot, u, v])
            if np.hypot(away_e, away_n) <= radius:
                highest = max(highest, top)
            if under:
                surface = min(surface, top)
                unknown = unknown or ground.unknown[slot, u, v]
            if i == own_i and j == own_j:
                terrain = float(ground.terrain[slot, u, v])
    return 0, np.inf if edge else highest, surface, unknown, terrain


@kernel
def _next_line(p: float, d: float, cell: float, s: float) -> float:
    """The least share above s at which p + share d crosses a multiple of the cell; inf when it never does again."""
    if d == 0.0:
        return np.inf
    at = (p + s * d) / cell
    line = np.floor(at) + 1.0 if d > 0.0 else np.ceil(at) - 1.0
    ahead = (line * cell - p) / d
    while ahead <= s:  # rounding put it on this side
        line += 1.0 if d > 0.0 else -1.0
        ahead = (line * cell - p) / d
    return ahead


@kernel
def _when(times, points, first, last, place, out):
    """Into ``out`` (4,): time and place of the trajectory between two of its points where it is nearest to a place."""
    least = np.inf
    for n in range(first, last):
        square, along = 0.0, 0.0
        for c in range(3):
            step = points[n + 1, c] - points[n, c]
            square += step * step
            along += step * (place[c] - points[n, c])
        share = min(max(along / square, 0.0), 1.0) if square > 0.0 else 0.0
        off = 0.0
        for c in range(3):
            off += (place[c] - points[n, c] - share * (points[n + 1, c] - points[n, c])) ** 2
        if off < least:
            least = off
            out[0] = times[n] + share * (times[n + 1] - times[n])
            for c in range(3):
                out[1 + c] = points[n, c] + share * (points[n + 1, c] - points[n, c])


@kernel
def _beneath(ground, times, points, way, parts, pieces):
    """(room, floor, part, time and place) of `Beneath` for a way (m, 3); part -1 where it is off the map or the tiles
    held."""
    room, floor, where = np.inf, np.inf, -2
    at, out = np.zeros(3), np.zeros(4)
    cell = ground.cell_m
    for part in range(len(parts) - 1):
        for n in range(parts[part], parts[part + 1]):
            ax, ay, az = way[n, 0], way[n, 1], way[n, 2]
            dx, dy, dz = way[n + 1, 0] - ax, way[n + 1, 1] - ay, way[n + 1, 2] - az
            s = 0.0
            while True:
                t = min(_next_line(ax, dx, cell, s), _next_line(ay, dy, cell, s), 1.0)
                middle = 0.5 * (s + t)
                i, j = int(np.floor((ax + middle * dx) / cell)), int(np.floor((ay + middle * dy) / cell))
                if i < 0 or j < 0 or i >= ground.size[0] or j >= ground.size[1]:
                    return room, floor, -1, out
                slot = ground.index[i // ground.side, j // ground.side]
                if slot < 0:
                    return room, floor, -1, out
                u, v = i % ground.side, j % ground.side
                top = t if dz > 0.0 else s
                low = az + (s if dz > 0.0 else t) * dz
                here = float(ground.terrain[slot, u, v]) - (az + top * dz)
                if here < room:
                    room, where = here, part
                    at[0], at[1], at[2] = ax + top * dx, ay + top * dy, az + top * dz
                floor = min(floor, low - float(ground.surface[slot, u, v]))
                if t >= 1.0:
                    break
                s = t
    _when(times, points, pieces[where, 0], pieces[where, 1], at, out)
    return room, floor, where, out


@kernel
def _layers_of(ground, i, j):
    """The free layers [floor, roof) of a column of voxels; none off the map, (32767, 32767) where the tile is not
    held."""
    voxels = ground.side // ground.factor
    nx, ny = ground.size[0] // ground.factor, ground.size[1] // ground.factor
    if i < 0 or j < 0 or i >= nx or j >= ny:
        return 32767, -32768
    slot = ground.index[i // voxels, j // voxels]
    if slot < 0:
        return 32767, 32767
    return int(ground.floor[slot, i % voxels, j % voxels]), int(ground.roof[slot, i % voxels, j % voxels])


@kernel
def _span(p: float, d: float, low: float, high: float, t0: float, t1: float):
    """The part of [t0, t1] in which p + t d lies in [low, high]; empty when the first exceeds the second."""
    if d == 0.0:
        return (t0, t1) if low <= p <= high else (1.0, 0.0)
    enter, leave = (low - p) / d, (high - p) / d
    if enter > leave:
        enter, leave = leave, enter
    return max(t0, enter), min(t1, leave)


@kernel
def _closed(ground, times, points, climb, descent, turns):
    """Status (1: one below, 2: one above, -1: a tile not held) and the two places (4,) of `first_closed`."""
    voxel = ground.cell_m * ground.factor
    low, high = np.zeros(4), np.zeros(4)
    low[0], high[0] = np.inf, np.inf
    for n in range(climb, descent):
        a, b = points[n], points[n + 1]
        ax, ay, az = a[0] / voxel, a[1] / voxel, a[2] / voxel
        dx, dy, dz = b[0] / voxel - ax, b[1] / voxel - ay, b[2] / voxel - az
        for i in range(int(np.floor(min(ax, ax + dx) - _MARGIN)), int(np.floor(max(ax, ax + dx) + _MARGIN)) + 1):
            s0, s1 = _span(ax, dx, i - _MARGIN, i + 1 + _MARGIN, 0.0, 1.0)
            if s0 > s1:
                continue
            y0, y1 = ay + s0 * dy, ay + s1 * dy
            for j in range(int(np.floor(min(y0, y1) - _MARGIN)), int(np.floor(max(y0, y1) + _MARGIN)) + 1):
                t0, t1 = _span(ay, dy, j - _MARGIN, j + 1 + _MARGIN, s0, s1)
                if t0 > t1:
                    continue
                z0, z1 = az + t0 * dz, az + t1 * dz
                floor, roof = _layers_of(ground, i, j)
                if roof == 32767:
                    return -1, low, high
                if np.floor(min(z0, z1) - _MARGIN) < floor:
                    _note(times, points, n, t0, low)
                if np.floor(max(z0, z1) + _MARGIN) >= roof:
                    _note(times, points, n, t0, high)
    for n in range(len(turns)):
        found = _turn_closed(ground, turns[n], voxel)
        if found < 0:
            return -1, low, high
        if found > 0:
            # The flight is at the corner when it is nearest to what its turn touches
            m = _piece_of(points, climb, descent, turns[n, 1])
            if found & 1:
                _note(times, points, m, 0.0, low)
            if found & 2:
                _note(times, points, m, 0.0, high)
    return (1 if low[0] < np.inf else 0) + (2 if high[0] < np.inf else 0), low, high


@kernel
def _note(times, points, n, share, out):
    """Into ``out`` (4,): time and place at a share of a piece, where that is earlier than what is there."""
    t = times[n] + share * (times[n + 1] - times[n])
    if t < out[0]:
        out[0] = t
        for c in range(3):
            out[1 + c] = points[n, c] + share * (points[n + 1, c] - points[n, c])


@kernel
def _piece_of(points, climb, descent, corner):
    """The piece of a trajectory that begins at a corner."""
    for n in range(climb, descent):
        if points[n, 0] == corner[0] and points[n, 1] == corner[1] and points[n, 2] == corner[2]:
            return n
    return climb


@kernel
def _turn_closed(ground, turn, voxel):
    """Of the columns of voxels that meet a triangle (3, 3) metres over the ground, taken for as thick as it is high:
    1 where the triangle is below a free layer, 2 where above, 3 both, 0 nowhere; -1 where a tile is not held. Squares
    and triangle are told apart by the normals of its edges (separating axes)."""
    corners = np.empty((3, 2))
    low, high = np.inf, -np.inf
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        corners[k, 0], corners[k, 1] = turn[k, 0] / voxel, turn[k, 1] / voxel
        low, high = min(low, turn[k, 2] / voxel), max(high, turn[k, 2] / voxel)
        x0, x1 = min(x0, corners[k, 0]), max(x1, corners[k, 0])
        y0, y1 = min(y0, corners[k, 1]), max(y1, corners[k, 1])
    found = 0
    for i in range(int(np.floor(x0 - _MARGIN)), int(np.floor(x1 + _MARGIN)) + 1):
        for j in range(int(np.floor(y0 - _MARGIN)), int(np.floor(y1 + _MARGIN)) + 1):
            met = True
            for k in range(3):
                ex, ey = corners[k, 0] - corners[k - 1, 0], corners[k, 1] - corners[k - 1, 1]
                least, most = np.inf, -np.inf
                for m in range(3):
                    reach = corners[m, 1] * ex - corners[m, 0] * ey
                    least, most = min(least, reach), max(most, reach)
                middle = (j + 0.5) * ex - (i + 0.5) * ey
                half = (0.5 + _MARGIN) * (abs(ex) + abs(ey))
                if middle + half < least or middle - half > most:
                    met = False
            if not met:
                continue
            floor, roof = _layers_of(ground, i, j)
            if roof == 32767:
                return -1
            if np.floor(low - _MARGIN) < floor:
                found |= 1
            if np.floor(high + _MARGIN) >= roof:
                found |= 2
    return found
