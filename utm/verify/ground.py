"""What a way keeps from the ground and from all that stands on it, over the columns of the map.

Nearest columns are found by branch and bound: blocks of 8 x 8 columns, each as high as its highest, are no farther away
than anything in them; they are opened from the nearest on, until the next block is farther than the nearest column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.errors import MapError
from utm.mapping import CityMap
from utm.model import LimitKind
from utm.verify.geometry import Floats, segment_to_columns, triangle_to_columns

_BLOCK = 8
#: Blocks that are opened together.
_OPENED = 8
#: Ways are cut into pieces of at most this length ...
_PIECE_M = 512.0
#: ... and read the map in windows of about this many columns.
_MOST_COLUMNS = 2_000_000
#: A line this near to the edge of a column touches the column beside it, too.
_EDGE_M = 1e-6


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of what may be flown: a segment (2, 3) or a filled triangle (3, 3), metres."""

    points_m: Floats
    knot: int
    """The knot of the centre line that it begins at; a triangle's corner."""

    @property
    def filled(self) -> bool:
        """Whether it is a triangle."""
        return len(self.points_m) == 3

    def to_columns(self, west: Floats, south: Floats, side: float, top: Floats) -> tuple[Floats, Floats]:
        """Distances (k,) in space and shares (k,)."""
        if self.filled:
            return triangle_to_columns(self.points_m, west, south, side, top)
        return segment_to_columns(*self.points_m, west, south, side, top)

    def at(self, share: float) -> Floats:
        """(3,) the point of a segment; a triangle's corner."""
        if self.filled:
            return self.points_m[1]
        return self.points_m[0] + share * (self.points_m[1] - self.points_m[0])

    def cut(self) -> list[Shape]:
        """Itself in pieces short enough for a window of the map."""
        if self.filled:
            return [self]
        a, b = self.points_m
        pieces = max(math.ceil(float(np.hypot(*(b - a)[:2])) / _PIECE_M), 1)
        ends = a + np.linspace(0.0, 1.0, pieces + 1)[:, None] * (b - a)
        return [Shape(ends[n : n + 2], self.knot) for n in range(pieces)]


@dataclass(frozen=True, slots=True)
class Found:
    """A least distance and where it is taken."""

    metres: float
    shape: Shape | None = None
    share: float = 0.0


def nearer(one: Found, other: Found) -> Found:
    """The lesser of two; the first of equals."""
    return other if other.metres < one.metres else one


@dataclass(frozen=True, eq=False)
class Ground:
    """A window of the map, with what stands in it by kind of limit."""

    west: float
    south: float
    cell: float
    terrain: Floats
    tops: dict[LimitKind, Floats]
    """(nx, ny) up; -inf where there is nothing of the kind."""
    blocks: dict[LimitKind, Floats]
    """Highest tops of blocks of columns."""

    def nearest(self, kind: LimitKind, shapes: Sequence[Shape], within_m: float) -> Found:
        """The least distance in space from some shapes to anything of a kind; ``within_m`` where nothing is nearer."""
        best = Found(within_m)
        for shape in shapes:
            low, high = shape.points_m.min(axis=0) - best.metres, shape.points_m.max(axis=0) + best.metres
            i, j = self._indices(low, high, _BLOCK, self.blocks[kind], bottom=low[2])
            if len(i) == 0:
                continue
            side = self.cell * _BLOCK
            bound, _ = shape.to_columns(self.west + i * side, self.south + j * side, side, self.blocks[kind][i, j])
            order = np.argsort(bound, kind="stable")
            for begin in range(0, len(order), _OPENED):
                part = order[begin : begin + _OPENED]
                if bound[part[0]] >= best.metres:
                    break
                best = self._opened(kind, shape, i[part], j[part], best)
        return best

    def _opened(self, kind: LimitKind, shape: Shape, i: NDArray, j: NDArray, best: Found) -> Found:
        inner = np.arange(_BLOCK)
        x = (i[:, None, None] * _BLOCK + inner[:, None] + 0 * inner[None, :]).ravel()
        y = (j[:, None, None] * _BLOCK + 0 * inner[:, None] + inner[None, :]).ravel()
        tops = self.tops[kind]
        there = (x < tops.shape[0]) & (y < tops.shape[1])
        x, y = x[there], y[there]
        there = tops[x, y] > -np.inf
        x, y = x[there], y[there]
        away, share = shape.to_columns(self.west + x * self.cell, self.south + y * self.cell, self.cell, tops[x, y])
        n = int(away.argmin())
        return nearer(best, Found(float(away[n]), shape, float(share[n])))

    def _indices(self, low: Floats, high: Floats, step: int, tops: Floats, bottom: float) -> tuple[NDArray, NDArray]:
        side = self.cell * step
        i0, i1 = (math.floor((value - self.west) / side) for value in (low[0], high[0]))
        j0, j1 = (math.floor((value - self.south) / side) for value in (low[1], high[1]))
        i0, j0, i1, j1 = max(i0, 0), max(j0, 0), i1 + 1, j1 + 1
        i, j = np.nonzero(tops[i0 : max(i1, 0), j0 : max(j1, 0)] > bottom)
        return i + i0, j + j0

    def terrain_beside(self, places: Floats, *, lowest: bool) -> Floats:
        """(k,) terrain under places (k, 2); on the line between columns the lowest or the highest of them."""
        return self._beside(places, _EDGE_M)[0 if lowest else 1]

    def _beside(self, places: Floats, slack_m: float) -> tuple[Floats, Floats]:
        """(k,) the lowest and the highest terrain of the columns within a slack of places (k, 2)."""
        corner = np.array([self.west, self.south])
        last = np.array(self.terrain.shape) - 1
        low, high = (
            np.minimum(np.maximum(np.floor((places + off - corner) / self.cell).astype(int), 0), last)
            for off in (-slack_m, slack_m)
        )
        found = [self.terrain[x[:, 0], y[:, 1]] for x in (low, high) for y in (low, high)]
        return np.min(found, axis=0), np.max(found, axis=0)

    def cuts(self, a: Floats, b: Floats) -> Floats:
        """(n,) the shares of a segment at which it passes from column to column, with both ends."""
        shares = [np.array([0.0, 1.0])]
        for axis, edge in ((0, self.west), (1, self.south)):
            step = b[axis] - a[axis]
            if step != 0.0:
                first, last = sorted(((a[axis] - edge) / self.cell, (b[axis] - edge) / self.cell))
                lines = edge + np.arange(math.ceil(first), math.floor(last) + 1) * self.cell
                shares.append((lines - a[axis]) / step)
        return np.unique(np.clip(np.concatenate(shares), 0.0, 1.0))

    def ceiling(self, shapes: Sequence[Shape], height_m: float) -> tuple[Found, float]:
        """The least room between shapes and a ceiling that far above the terrain of the columns that they touch, and
        the most that it can be where a line runs between two columns."""
        low, high = Found(math.inf), math.inf
        for shape in shapes:
            if shape.filled:
                terrain = self.terrain[self._touched(shape.points_m)]
                room = float(terrain.min()) + height_m - float(shape.points_m[:, 2].max())
                low, high = nearer(low, Found(room, shape)), min(high, room)
                continue
            a, b = shape.points_m
            shares = self.cuts(a, b)
            middle = (shares[:-1] + shares[1:]) / 2
            up = a[2] + shares * (b[2] - a[2])
            highest = np.maximum(up[:-1], up[1:])
            under, ends = (a[:2] + part[:, None] * (b - a)[:2] for part in (middle, shares))
            lowest, best = self._beside(np.concatenate([under, ends]), _EDGE_M)
            rooms = lowest + height_m - np.concatenate([highest, up])
            n = int(rooms.argmin())
            low = nearer(low, Found(float(rooms[n]), shape, float(np.concatenate([middle, shares])[n])))
            high = min(high, float((best[: len(middle)] + height_m - highest).min()))
        return low, max(low.metres, high)

    def _touched(self, corners: Floats) -> tuple[NDArray, NDArray]:
        """The columns that a triangle (3, 3) touches, seen from above: those that no edge of it parts from it."""
        low, high = corners[:, :2].min(axis=0) - _EDGE_M, corners[:, :2].max(axis=0) + _EDGE_M
        everywhere = np.zeros(self.terrain.shape)
        i, j = self._indices(low, high, 1, everywhere, bottom=-1.0)
        centre = np.column_stack([self.west + (i + 0.5) * self.cell, self.south + (j + 0.5) * self.cell])
        touched = np.ones(len(i), np.bool_)
        for n in range(3):
            edge = corners[n, :2] - corners[n - 1, :2]
            normal = np.array([-edge[1], edge[0]])
            span, middle = corners[:, :2] @ normal, centre @ normal
            half = (self.cell / 2 + _EDGE_M) * np.abs(normal).sum()
            touched &= (middle + half >= span.min()) & (middle - half <= span.max())
        return i[touched], j[touched]


def grounds(city_map: CityMap, shapes: Sequence[Shape], reach_m: float) -> list[tuple[Ground, list[Shape]]]:
    """The map around some shapes, window by window, each with the shapes that it reaches around. Raises MapError."""
    groups: list[list[Shape]] = []
    for shape in (piece for whole in shapes for piece in whole.cut()):
        if groups and _columns_around(city_map, [*groups[-1], shape], reach_m) <= _MOST_COLUMNS:
            groups[-1].append(shape)
        else:
            groups.append([shape])
    return [(ground_around(city_map, group, reach_m), group) for group in groups]


def _box(shapes: Sequence[Shape], reach_m: float) -> tuple[Floats, Floats]:
    points = np.concatenate([shape.points_m[:, :2] for shape in shapes])
    return points.min(axis=0) - reach_m, points.max(axis=0) + reach_m


def _columns_around(city_map: CityMap, shapes: Sequence[Shape], reach_m: float) -> float:
    low, high = _box(shapes, reach_m)
    return float(np.prod((high - low) / city_map.resolution_m))


def ground_around(city_map: CityMap, shapes: Sequence[Shape], reach_m: float) -> Ground:
    """The map around some shapes. Raises MapError: they lie off the map, or its files are damaged."""
    low, high = _box(shapes, reach_m)
    columns = city_map.window(low[0], low[1], high[0], high[1])
    terrain, surface = columns.terrain_m.astype(np.float64), columns.surface_m.astype(np.float64)
    tops = {
        LimitKind.TERRAIN: terrain,
        LimitKind.OBSTACLE: np.where(columns.unknown | (surface <= terrain), -np.inf, surface),
        LimitKind.UNKNOWN: np.where(columns.unknown, surface, -np.inf),
    }
    blocks = {kind: _pooled(top) for kind, top in tops.items()}
    return Ground(float(columns.origin_m[0]), float(columns.origin_m[1]), columns.cell_m, terrain, tops, blocks)


def _pooled(tops: Floats) -> Floats:
    nx, ny = (-(-n // _BLOCK) for n in tops.shape)
    whole = np.full((nx * _BLOCK, ny * _BLOCK), -np.inf)
    whole[: tops.shape[0], : tops.shape[1]] = tops
    return whole.reshape(nx, _BLOCK, ny, _BLOCK).max(axis=(1, 3))


def edge_room_m(city_map: CityMap, shapes: Sequence[Shape]) -> float:
    """How far shapes stay from the edge of the map over the ground; negative outside."""
    points = np.concatenate([shape.points_m[:, :2] for shape in shapes])
    return float(min(points.min(), (np.array(city_map.extent_m) - points.max(axis=0)).min()))


def pad_room(city_map: CityMap, place: Floats, radius_m: float) -> tuple[float, Floats]:
    """The highest thing within ``radius_m`` of a place (3,) over the ground (up), and where its column is (2,).

    Raises:
        MapError: the map ends nearer than that.
    """
    if edge_room_m(city_map, [Shape(place[None], 0)]) < radius_m:
        raise MapError(f"the map ends within {radius_m:g} m")
    columns = city_map.window(*(place[:2] - radius_m), *(place[:2] + radius_m))
    nx, ny = columns.shape
    west = columns.origin_m[0] + np.arange(nx)[:, None] * columns.cell_m
    south = columns.origin_m[1] + np.arange(ny)[None, :] * columns.cell_m
    east_gap = np.maximum(np.maximum(west - place[0], place[0] - west - columns.cell_m), 0.0)
    north_gap = np.maximum(np.maximum(south - place[1], place[1] - south - columns.cell_m), 0.0)
    tops = np.where(np.hypot(east_gap, north_gap) <= radius_m, columns.surface_m.astype(np.float64), -np.inf)
    i, j = np.unravel_index(tops.argmax(), tops.shape)
    return float(tops[i, j]), columns.origin_m + (np.array([i, j]) + 0.5) * columns.cell_m


def under_pad(city_map: CityMap, place: Floats) -> tuple[float, bool]:
    """The lowest surface (up) among the columns within a quarter of a column of a place (3,), and whether any of them
    is unknown. Raises MapError off the map."""
    quarter = city_map.resolution_m / 4
    columns = city_map.window(*(place[:2] - quarter), *(place[:2] + quarter))
    return float(columns.surface_m.min()), bool(columns.unknown.any())
