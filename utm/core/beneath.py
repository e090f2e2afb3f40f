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

from utm.core._jit import kernel, read_only
from utm.core.flown import Flown
from utm.core.tiles import Ground
from utm.model import Trajectory

#: By this much (voxels) every box is larger than it is, as in `utm.core.sight`.
_MARGIN = 1e-9

#: Blocks of columns of which the lowest ground is known are this wide.
_BLOCK = 16
#: What stands for the layers over a tile that is not held.
_NOT_HELD = 32767
#: More blocks than any piece crosses on a map.
_MOST_BLOCKS = 10_000_000

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


def terrain_below(ground: Ground, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) ``up`` of the bare ground in the columns that points (n, 3) lie in; at the eastern and the northern edge of
    the map in the last one.

    Raises:
        ValueError: a point off the map, or over a tile that is not held.
    """
    found = _terrain_below(ground, read_only(points_m))
    if np.isnan(found).any():
        raise ValueError(_OUTSIDE)
    return found


@kernel
def _terrain_below(ground, points):
    """(n,) metres; NaN off the map, or where a tile is not held."""
    found = np.full(len(points), np.nan)
    nx, ny = ground.size
    for n in range(len(points)):
        x, y = points[n, 0] / ground.cell_m, points[n, 1] / ground.cell_m
        if 0.0 <= x <= nx and 0.0 <= y <= ny:
            i, j = min(int(x), nx - 1), min(int(y), ny - 1)
            slot = ground.index[i // ground.side, j // ground.side]
            if slot >= 0:
                found[n] = ground.things[slot, i % ground.side, j % ground.side, 0]
    return found


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
            things = ground.things[slot, u, v]
            top = float(max(things[0], things[1], things[2]))
            if np.hypot(away_e, away_n) <= radius:
                highest = max(highest, top)
            if under:
                surface = min(surface, top)
                unknown = unknown or things[2] > -np.inf
            if i == own_i and j == own_j:
                terrain = float(things[0])
    return 0, np.inf if edge else highest, surface, unknown, terrain


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
def _first_line(p, d, cell, i):
    """The share at which p + share d leaves cell i of a row of cells; inf when it never does."""
    if d == 0.0:
        return np.inf
    return ((i + 1 if d > 0.0 else i) * cell - p) / d


@kernel
def _in_block(things, cell, ax, ay, az, dx, dy, dz, s, end, i, j, i0, j0, size, best, at):
    """Walk the columns of a block of ``size`` x ``size`` from (i0, j0) on below the part s ... end of a piece, (i, j)
    being the first. ``things`` are those of the block's tile, which begins at (i0, j0) - (u, v) columns.

    best (2,): least room and least height so far; at (3,): where the room is."""
    block_i, block_j = i0[0], j0[0]
    i, j = min(max(i, block_i), block_i + size - 1), min(max(j, block_j), block_j + size - 1)
    to_x, to_y = _first_line(ax, dx, cell, i), _first_line(ay, dy, cell, j)
    found = False
    for _ in range(2 * size + 4):
        t = max(min(to_x, to_y, end), s)
        column = things[i - block_i + i0[1], j - block_j + j0[1]]
        over, under = (t, s) if dz > 0.0 else (s, t)
        room = float(column[0]) - (az + over * dz)
        if room < best[0]:
            best[0], found = room, True
            at[0], at[1], at[2] = ax + over * dx, ay + over * dy, az + over * dz
        best[1] = min(best[1], az + under * dz - float(max(column[0], column[1], column[2])))
        if t >= end:
            break
        s = t
        if to_x <= to_y:
            i += 1 if dx > 0.0 else -1
            if not block_i <= i < block_i + size:
                break
            to_x = _first_line(ax, dx, cell, i)
        else:
            j += 1 if dy > 0.0 else -1
            if not block_j <= j < block_j + size:
                break
            to_y = _first_line(ay, dy, cell, j)
    return found


@kernel
def _walk(ground, way, parts, best, at, most):
    """Walk the blocks of columns below a way (m, 3). With ``most`` (2, 7) only the blocks that may hold the least room
    and the least height are noted in it; without, those that may hold less than ``best`` (2,) are looked into.

    Returns the part on which the least room was found, -2 where none was; -1 where it is off the map or the tiles
    held. ``at`` (3,) is set to where it is.
    """
    where = -2
    wide, per = _BLOCK * ground.cell_m, ground.side // _BLOCK
    blocks_x, blocks_y = (ground.size[0] - 1) // _BLOCK, (ground.size[1] - 1) // _BLOCK
    for part in range(len(parts) - 1):
        for n in range(parts[part], parts[part + 1]):
            ax, ay, az = way[n, 0], way[n, 1], way[n, 2]
            dx, dy, dz = way[n + 1, 0] - ax, way[n + 1, 1] - ay, way[n + 1, 2] - az
            i, j = int(np.floor(ax / wide)), int(np.floor(ay / wide))
            to_x, to_y = _first_line(ax, dx, wide, i), _first_line(ay, dy, wide, j)
            s = 0.0
            for _ in range(_MOST_BLOCKS):
                t = max(min(to_x, to_y, 1.0), s)
                if i < 0 or j < 0 or i > blocks_x or j > blocks_y:
                    return -1
                slot = ground.index[i // per, j // per]
                if slot < 0:
                    return -1
                block = ground.blocks16[slot, i % per, j % per]
                room = block[3] - (az + max(s * dz, t * dz))
                height = az + min(s * dz, t * dz) - max(block[0], block[1], block[2])
                if len(most) > 0:
                    for k in range(2):
                        bound = room if k == 0 else height
                        if bound < most[k, 0]:
                            most[k, 0], most[k, 1], most[k, 2], most[k, 3], most[k, 4] = bound, part, n, i, j
                            most[k, 5], most[k, 6] = s, t
                elif (room < best[0] or height < best[1]) and _look_into(ground, way, n, i, j, s, t, best, at):
                    where = part
                if t >= 1.0:
                    break
                s = t
                if to_x <= to_y:
                    i += 1 if dx > 0.0 else -1
                    to_x = _first_line(ax, dx, wide, i)
                else:
                    j += 1 if dy > 0.0 else -1
                    to_y = _first_line(ay, dy, wide, j)
    return where


@kernel
def _look_into(ground, way, n, i, j, s, t, best, at):
    """Whether the part s ... t of piece n has less room than ``best`` over the columns of block (i, j)."""
    ax, ay, az = way[n, 0], way[n, 1], way[n, 2]
    dx, dy, dz = way[n + 1, 0] - ax, way[n + 1, 1] - ay, way[n + 1, 2] - az
    per = ground.side // _BLOCK
    x, y = int(np.floor((ax + s * dx) / ground.cell_m)), int(np.floor((ay + s * dy) / ground.cell_m))
    begin_i, begin_j = (i * _BLOCK, i % per * _BLOCK), (j * _BLOCK, j % per * _BLOCK)
    things = ground.things[ground.index[i // per, j // per]]
    return _in_block(things, ground.cell_m, ax, ay, az, dx, dy, dz, s, t, x, y, begin_i, begin_j, _BLOCK, best, at)


@kernel
def _beneath(ground, times, points, way, parts, pieces):
    """(room, floor, part, time and place) of `Beneath` for a way (m, 3); part -1 where it is off the map or the tiles
    held. The most promising blocks first: nearly all others then hold nothing less."""
    best, at, out = np.full(2, np.inf), np.zeros(3), np.zeros(4)
    most = np.full((2, 7), np.inf)
    if _walk(ground, way, parts, best, at, most) == -1:
        return best[0], best[1], -1, out
    where = -2
    for k in range(2):
        found = _look_into(
            ground, way, int(most[k, 2]), int(most[k, 3]), int(most[k, 4]), most[k, 5], most[k, 6], best, at
        )
        if found:
            where = int(most[k, 1])
    later = _walk(ground, way, parts, best, at, most[:0])
    where = later if later >= 0 else where
    if not np.isfinite(best[0]) or where < 0:
        return best[0], best[1], -1, out
    _when(times, points, pieces[where, 0], pieces[where, 1], at, out)
    return best[0], best[1], where, out


@kernel
def _layers_of(ground, i, j):
    """The free layers [first, past) of a column of voxels; none off the map, (_NOT_HELD, _NOT_HELD) where the tile is
    not held."""
    voxels = ground.side // ground.factor
    nx, ny = ground.size[0] // ground.factor, ground.size[1] // ground.factor
    if i < 0 or j < 0 or i >= nx or j >= ny:
        return _NOT_HELD, -_NOT_HELD
    a, b = i // voxels, j // voxels
    slot = ground.index[a, b]
    if slot < 0:
        return _NOT_HELD, _NOT_HELD
    free = ground.layers[slot, i - a * voxels, j - b * voxels]
    return int(free[0]), int(free[1])


@kernel
def _block_layers(ground, p, q):
    """The same that are free in all of a block of 8 x 8 columns of voxels."""
    blocks = ground.side // ground.factor >> 3
    a, b = p // blocks, q // blocks
    if p < 0 or q < 0 or a >= ground.index.shape[0] or b >= ground.index.shape[1]:
        return _NOT_HELD, -_NOT_HELD
    slot = ground.index[a, b]
    if slot < 0:
        return _NOT_HELD, _NOT_HELD
    free = ground.layers8[slot, p - a * blocks, q - b * blocks]
    return int(free[0]), int(free[1])


@kernel
def _span(p, d, low, high, t0, t1):
    """The part of [t0, t1] in which p + t d lies in [low, high], d being given as 1 / d; all of it where that is 0."""
    if d == 0.0:
        return t0, t1
    enter, leave = (low - p) * d, (high - p) * d
    return max(t0, min(enter, leave)), min(t1, max(enter, leave))


@kernel
def _closed(ground, times, points, climb, descent, turns):
    """Status (1: one below, 2: one above, -1: a tile not held) and the two places (4,) of `first_closed`. Strips of
    voxels along one axis, then voxels of the strip, each larger by the margin than it is; first for blocks of 8 x 8,
    then, where not all of one is free at these heights, for its columns."""
    voxel = ground.cell_m * ground.factor
    low, high = np.zeros(4), np.zeros(4)
    low[0], high[0] = np.inf, np.inf
    wider = 2 * _MARGIN  # for blocks, so that none is passed over whose columns would be asked
    for n in range(climb, descent):
        ax, ay, az = points[n, 0] / voxel, points[n, 1] / voxel, points[n, 2] / voxel
        bx, by, bz = points[n + 1, 0] / voxel, points[n + 1, 1] / voxel, points[n + 1, 2] / voxel
        dx, dy, dz = bx - ax, by - ay, bz - az
        # What hardly moves along an axis counts as still: far less than the margin
        inverse_x = 0.0 if abs(dx) < 1e-12 else 1.0 / dx
        inverse_y = 0.0 if abs(dy) < 1e-12 else 1.0 / dy
        for p in range(int(np.floor(min(ax, bx) - wider)) >> 3, (int(np.floor(max(ax, bx) + wider)) >> 3) + 1):
            s0, s1 = _span(ax, inverse_x, 8 * p - wider, 8 * p + 8 + wider, 0.0, 1.0)
            if s0 > s1:
                continue
            y0, y1 = ay + s0 * dy, ay + s1 * dy
            for q in range(int(np.floor(min(y0, y1) - wider)) >> 3, (int(np.floor(max(y0, y1) + wider)) >> 3) + 1):
                t0, t1 = _span(ay, inverse_y, 8 * q - wider, 8 * q + 8 + wider, s0, s1)
                if t0 > t1:
                    continue
                z0, z1 = az + t0 * dz, az + t1 * dz
                floor, roof = _block_layers(ground, p, q)
                if roof == _NOT_HELD:
                    return -1, low, high
                if np.floor(min(z0, z1) - wider) >= floor and np.floor(max(z0, z1) + wider) < roof:
                    continue
                x0, x1 = ax + t0 * dx, ax + t1 * dx
                first = max(int(np.floor(min(x0, x1) - wider)), 8 * p)
                for i in range(first, min(int(np.floor(max(x0, x1) + wider)), 8 * p + 7) + 1):
                    r0, r1 = _span(ax, inverse_x, i - _MARGIN, i + 1 + _MARGIN, t0, t1)
                    if r0 > r1:
                        continue
                    y2, y3 = ay + r0 * dy, ay + r1 * dy
                    begin = max(int(np.floor(min(y2, y3) - _MARGIN)), 8 * q)
                    for j in range(begin, min(int(np.floor(max(y2, y3) + _MARGIN)), 8 * q + 7) + 1):
                        q0, q1 = _span(ay, inverse_y, j - _MARGIN, j + 1 + _MARGIN, r0, r1)
                        if q0 > q1:
                            continue
                        floor, roof = _layers_of(ground, i, j)
                        z2, z3 = az + q0 * dz, az + q1 * dz
                        if np.floor(min(z2, z3) - _MARGIN) < floor:
                            met = q0 if dz >= 0.0 or z2 <= floor else min(max((floor - az) / dz, q0), q1)
                            _note(times, points, n, met, low)
                        if np.floor(max(z2, z3) + _MARGIN) >= roof:
                            met = q0 if dz <= 0.0 or z2 >= roof else min(max((roof - az) / dz, q0), q1)
                            _note(times, points, n, met, high)
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
            if roof == _NOT_HELD:
                return -1
            if np.floor(low - _MARGIN) < floor:
                found |= 1
            if np.floor(high + _MARGIN) >= roof:
                found |= 2
    return found
