"""The air over a map that the rules leave: windows of columns with their lowest and highest usable heights."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from utm.airspace.outlines import Outlines
from utm.airspace.places import Place
from utm.airspace.slab import Box, Slab, blocks, slab_of, voxel_columns
from utm.airspace.zones import keep_out
from utm.core import AnyAnglePlanner, Columns, FlightSpace, KeepOut, flight_space, lowest_clear
from utm.core.flightspace import without
from utm.core.tiles import Ground, Tiles
from utm.mapping import CityMap
from utm.model import Aircraft, GeoZone, RuleSet, rules_for

#: Voxels of about this size: fine enough for streets of 60 m, small enough that a town fits in memory.
_VOXEL_M = 4.0
#: How far beyond the box around all places a way may lead.
_MARGIN_M = 600.0
#: A window of more voxels is not held as a dense flight space. The shortest way takes up to 2.5 bytes a voxel, as
#: measured; cost layers and wind take some numbers for each, so that half a gigabyte or more comes together. Flights
#: over 6 x 6 km of plain stay below it, or over 3 x 3 km with 300 m of relief.
MOST_VOXELS = 60_000_000
#: Columns of the map that are held at once to look at their heights, when all may be held anyway.
_MOST_COLUMNS = 4_000_000
#: Rule sets, beside the airspace's own, under which clear heights are held.
_MOST_RULE_SETS = 4
#: Windows whose ground is held (9 bytes a column: a window of 4 x 4 km takes 36 MB in columns of 2 m), clear heights
#: over windows (4 bytes a column), and parts of windows that zones take out (17 bytes a column).
_MOST_WINDOWS = 16
_MOST_LOWEST = 16
_MOST_KEPT_OUT = 16
#: Windows of which is known whether they are long, and aircraft of which the rules are known.
_MOST_SIZES = 4096

#: What the tiles of one rule set may take.
_TILES_BYTES = 256_000_000

#: Flight spaces that are kept with their planners, and the voxels of the largest such (a byte and a bit each).
_MOST_SPACES = 8
_MOST_KEPT_VOXELS = 16_000_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Lately(Generic[_Key, _Value]):
    """What was asked for last: no more than ``most`` of it."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._lock = most, OrderedDict[_Key, _Value](), threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: _Key, make: Callable[[], _Value], keep: Callable[[_Value], bool] | None = None) -> _Value:
        """What is held under a key, or else is made now, and held unless ``keep`` says no."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()  # by two threads at once, if they ask at once: better than that all others wait
        if keep is not None and not keep(made):
            return made
        with self._lock:
            self._held[key] = made
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        return made


@dataclass(eq=False)
class Sky:
    """A flight space, and the search through it, prepared when it is first asked for."""

    space: FlightSpace

    @property
    def kept(self) -> bool:
        """Whether it is small enough to be kept."""
        return self.space.blocked.size <= _MOST_KEPT_VOXELS

    @cached_property
    def planner(self) -> AnyAnglePlanner:
        """For as many questions and threads as wanted."""
        return AnyAnglePlanner(self.space.blocked)


@dataclass(eq=False)
class Skies:
    """The clear heights of one map under one rule set, worked out once for each window and kept while it is in use."""

    city_map: CityMap
    rules: RuleSet
    _windows: _Lately[Box, Columns] = field(default_factory=lambda: _Lately(_MOST_WINDOWS), repr=False)
    _lowest: _Lately[tuple[float, ...], NDArray[np.float32]] = field(
        default_factory=lambda: _Lately(_MOST_LOWEST), repr=False
    )
    _long: _Lately[Box, bool] = field(default_factory=lambda: _Lately(_MOST_SIZES), repr=False)
    _slab: _Lately[Box, Slab] = field(default_factory=lambda: _Lately(1), repr=False)  # it may take 100 MB
    _kept_out: _Lately[tuple[GeoZone, Box], KeepOut] = field(
        default_factory=lambda: _Lately(_MOST_KEPT_OUT), repr=False
    )
    _spaces: _Lately[tuple[Box, float, tuple[GeoZone, ...]], Sky] = field(
        default_factory=lambda: _Lately(_MOST_SPACES), repr=False
    )
    _rules: _Lately[Aircraft, RuleSet] = field(default_factory=lambda: _Lately(_MOST_SIZES), repr=False)
    _others: _Lately[RuleSet, Skies] = field(default_factory=lambda: _Lately(_MOST_RULE_SETS), repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def for_aircraft(self, aircraft: Aircraft) -> Skies:
        """The same map under the rules for one aircraft, whose corridors are as wide and high as its error budget asks
        (`utm.model.budget`); this very one where they are already. The ground is held once.

        Raises:
            ValueError: as `rules_for`.
        """
        rules = self._rules.get(aircraft, lambda: rules_for(self.rules, aircraft))
        if rules is self.rules:
            return self
        return self._others.get(rules, lambda: self.under(rules))

    def under(self, rules: RuleSet) -> Skies:
        """The same map under other rules; what does not depend on what differs is held once."""
        same = {"_lowest": self._lowest} if rules.clearance_m == self.rules.clearance_m else {}
        other = Skies(self.city_map, rules, _windows=self._windows, **same)
        other.outlines = self.outlines
        return other

    @cached_property
    def outlines(self) -> Outlines:
        """The zones over the map, as outlines in its metres."""
        size, cell = self.city_map.size, self.city_map.resolution_m
        return Outlines(self.city_map.frame, (size[0] * cell, size[1] * cell))

    @cached_property
    def _tiles(self) -> Tiles:
        factor = round(self.cell_m / self.city_map.resolution_m)
        return Tiles(self.city_map.size, self.city_map.resolution_m, factor, most_bytes=_TILES_BYTES)

    @contextlib.contextmanager
    def ground(self, points_m: NDArray[np.float64], reach_m: float) -> Iterator[Ground]:
        """The ground within ``reach_m`` of a way (n, 3), prepared once for all flights: columns, what stands highest
        in blocks of them, and the layers of planning voxels that map and rules leave free.

        It may change once the context is left.
        """
        with self._lock:
            for tile in self._tiles.missing(points_m, reach_m):
                self._tiles.put(tile, *self._tile(tile))
            yield self._tiles.ground

    def _tile(self, tile: tuple[int, int]) -> tuple[Columns, NDArray[np.float32], NDArray[np.float64]]:
        """A tile of the map with the lowest and the highest centre-line heights over it, as `around` has them."""
        cell, halo = self.city_map.resolution_m, math.ceil(self.rules.clearance_m / self.city_map.resolution_m)
        begin = [n * self._tiles.side for n in tile]
        end = [min(n + self._tiles.side, size) for n, size in zip(begin, self.city_map.size, strict=True)]
        low = [max(n - halo, 0) for n in begin]
        high = [min(n + halo, size) for n, size in zip(end, self.city_map.size, strict=True)]
        # A quarter of a cell inside, so that rounding cannot add a row
        wide = self.city_map.window(*((n + 0.25) * cell for n in low), *((n - 0.25) * cell for n in high))
        inner = tuple(slice(a - c, b - c) for a, b, c in zip(begin, end, low, strict=True))
        columns = Columns(
            np.array(begin) * cell, cell, wide.terrain_m[inner], wide.surface_m[inner], wide.unknown[inner]
        )
        lowest = lowest_clear(wide.surface_m, cell, self.rules.clearance_m)[inner]
        return columns, lowest, columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)

    @cached_property
    def cell_m(self) -> float:
        """Edge of a planning voxel: the multiple of the map's cell nearest above 4 m."""
        return self.city_map.resolution_m * max(1, math.ceil(_VOXEL_M / self.city_map.resolution_m - 1e-9))

    def columns(self, places: Sequence[Place]) -> Columns:
        """The ground around some places.

        The window is snapped to planning voxels and to steps of 256 m, so that similar flights share it.
        """
        box = self.box(places)
        return self._windows.get(box, lambda: self.city_map.window(*box))

    def around(
        self, places: Sequence[Place], grown_m: float = 0.0
    ) -> tuple[Columns, NDArray[np.float32], NDArray[np.float64]]:
        """The same, with the lowest and the highest centre-line height (up, metres).

        Args:
            grown_m: keep this much more than the clearance that the rules ask.
        """
        columns, key = self.columns(places), (*self.box(places), grown_m)
        lowest = self._lowest.get(
            key, lambda: lowest_clear(columns.surface_m, columns.cell_m, self.rules.clearance_m + grown_m)
        )
        return columns, lowest, columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)

    def sky(self, places: Sequence[Place], zones: Sequence[GeoZone] = (), grown_m: float = 0.0) -> Sky:
        """The flight space around some places, less some zones; the last few are kept.

        Args:
            grown_m: keep this much more than the clearance that the rules ask.
        """

        def make() -> Sky:
            columns, lowest, highest = self.around(places, grown_m)
            if not zones:
                return Sky(flight_space(columns, lowest, highest, [], self.cell_m))
            outs = [self.kept_out(zone, places) for zone in zones]
            return Sky(without(self.sky(places, (), grown_m).space, columns, outs))

        return self._spaces.get((self.box(places), grown_m, tuple(zones)), make, lambda sky: sky.kept)

    def is_long(self, places: Sequence[Place]) -> bool:
        """Whether the window around some places may hold more than `MOST_VOXELS`: then `slab` is for it, and
        `around`, which holds the whole window, is not."""
        box = self.box(places)
        return self._long.get(box, lambda: self._may_be_long(box, places))

    def _may_be_long(self, box: Box, places: Sequence[Place]) -> bool:
        shape = voxel_columns(self.city_map, box, self.cell_m)
        if shape[0] * shape[1] * round(self.cell_m / self.city_map.resolution_m) ** 2 <= _MOST_COLUMNS:
            terrain = self.columns(places).terrain_m
            low, high = float(terrain.min()), float(terrain.max())
        else:
            low, high = self._relief(box, shape)
        band = self.rules.ceiling_above_terrain_m - self.rules.half_height_m - self.rules.clearance_m
        layers = max(math.ceil((high - low + band) / self.cell_m) + 1, 1)
        return shape[0] * shape[1] * layers > MOST_VOXELS

    def slab(self, places: Sequence[Place], raise_m: float = 0.0) -> Slab:
        """Lowest and highest free layers around some places, for windows of any size.

        Args:
            raise_m: fly at least this much higher than the rules ask.
        """
        box = self.box(places)
        if raise_m != 0.0:
            return slab_of(self.city_map, box, self.cell_m, self.rules, raise_m)
        return self._slab.get(box, lambda: slab_of(self.city_map, box, self.cell_m, self.rules, 0.0))

    def _relief(self, box: Box, shape: tuple[int, int]) -> tuple[float, float]:
        """The lowest and the highest terrain of a window, read part by part."""
        low, high = math.inf, -math.inf
        for i, j in blocks(shape, round(self.cell_m / self.city_map.resolution_m)):
            west, east = (box[0] + self.cell_m * n for n in (i.start, i.stop))
            south, north = (box[1] + self.cell_m * n for n in (j.start, j.stop))
            terrain = self.city_map.window(west, south, east, north).terrain_m
            low, high = min(low, float(terrain.min())), max(high, float(terrain.max()))
        return low, high

    def kept_out(self, zone: GeoZone, places: Sequence[Place]) -> KeepOut:
        """What a zone takes out of the columns around some places."""
        return self._kept_out.get(
            (zone, self.box(places)),
            lambda: keep_out(zone, self.columns(places), self.city_map.frame, self.rules),
        )

    def box(self, places: Sequence[Place]) -> Box:
        """The window around some places: west, south, east, north in metres."""
        snap = max(256.0 // self.cell_m, 1.0) * self.cell_m
        low = [min(p.east_m for p in places), min(p.north_m for p in places)]
        high = [max(p.east_m for p in places), max(p.north_m for p in places)]
        nx, ny = self.city_map.size
        edge = (nx * self.city_map.resolution_m, ny * self.city_map.resolution_m)
        west, south = (max(0.0, math.floor((value - _MARGIN_M) / snap) * snap) for value in low)
        east, north = (
            min(end, math.ceil((value + _MARGIN_M) / snap) * snap) for value, end in zip(high, edge, strict=True)
        )
        return west, south, east, north
