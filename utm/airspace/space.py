"""The air over a map that the rules leave: windows of columns with their lowest and highest usable heights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place
from utm.airspace.slab import Box, Slab, blocks, slab_of, voxel_columns
from utm.airspace.zones import keep_out
from utm.core import Columns, KeepOut, lowest_clear
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


@dataclass(eq=False)
class Skies:
    """The clear heights of one map under one rule set, computed once for each window that is asked for."""

    city_map: CityMap
    rules: RuleSet
    _windows: dict[tuple[float, ...], Columns] = field(default_factory=dict, repr=False)
    _lowest: dict[tuple[float, ...], NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _long: dict[tuple[float, ...], bool] = field(default_factory=dict, repr=False)
    _slab: dict[tuple[float, ...], Slab] = field(default_factory=dict, repr=False)
    _kept_out: dict[tuple[GeoZone, tuple[float, ...]], KeepOut] = field(default_factory=dict, repr=False)
    _others: dict[RuleSet, Skies] = field(default_factory=dict, repr=False)

    def for_aircraft(self, aircraft: Aircraft) -> Skies:
        """The same map under the rules for one aircraft, whose corridors are as wide and high as its error budget asks
        (`utm.model.budget`); this very one where they are already. The ground is held once.

        Raises:
            ValueError: as `rules_for`.
        """
        rules = rules_for(self.rules, aircraft)
        if rules is self.rules:
            return self
        if rules not in self._others:
            kept = list(self._others.items())[1 - _MOST_RULE_SETS :]
            self._others = dict([*kept, (rules, Skies(self.city_map, rules, _windows=self._windows))])
        return self._others[rules]

    @cached_property
    def cell_m(self) -> float:
        """Edge of a planning voxel: the multiple of the map's cell nearest above 4 m."""
        return self.city_map.resolution_m * max(1, math.ceil(_VOXEL_M / self.city_map.resolution_m - 1e-9))

    def columns(self, places: Sequence[Place]) -> Columns:
        """The ground around some places.

        The window is snapped to planning voxels and to steps of 256 m, so that similar flights share it.
        """
        box = self.box(places)
        if box not in self._windows:
            self._windows[box] = self.city_map.window(*box)
        return self._windows[box]

    def around(
        self, places: Sequence[Place], grown_m: float = 0.0
    ) -> tuple[Columns, NDArray[np.float32], NDArray[np.float64]]:
        """The same, with the lowest and the highest centre-line height (up, metres).

        Args:
            grown_m: keep this much more than the clearance that the rules ask.
        """
        columns, key = self.columns(places), (*self.box(places), grown_m)
        if key not in self._lowest:
            self._lowest[key] = lowest_clear(columns.surface_m, columns.cell_m, self.rules.clearance_m + grown_m)
        highest = columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)
        return columns, self._lowest[key], highest

    def is_long(self, places: Sequence[Place]) -> bool:
        """Whether the window around some places may hold more than `MOST_VOXELS`: then `slab` is for it, and
        `around`, which holds the whole window, is not."""
        box = self.box(places)
        if box not in self._long:
            shape = voxel_columns(self.city_map, box, self.cell_m)
            if shape[0] * shape[1] * round(self.cell_m / self.city_map.resolution_m) ** 2 <= _MOST_COLUMNS:
                terrain = self.columns(places).terrain_m
                low, high = float(terrain.min()), float(terrain.max())
            else:
                low, high = self._relief(box, shape)
            band = self.rules.ceiling_above_terrain_m - self.rules.half_height_m - self.rules.clearance_m
            layers = max(math.ceil((high - low + band) / self.cell_m) + 1, 1)
            self._long[box] = shape[0] * shape[1] * layers > MOST_VOXELS
        return self._long[box]

    def slab(self, places: Sequence[Place], raise_m: float = 0.0) -> Slab:
        """Lowest and highest free layers around some places, for windows of any size.

        Args:
            raise_m: fly at least this much higher than the rules ask.
        """
        box = self.box(places)
        if raise_m == 0.0 and box in self._slab:
            return self._slab[box]
        made = slab_of(self.city_map, box, self.cell_m, self.rules, raise_m)
        if raise_m == 0.0:
            self._slab = {box: made}  # one only: it may take 100 MB
        return made

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
        key = (zone, self.box(places))
        if key not in self._kept_out:
            self._kept_out[key] = keep_out(zone, self.columns(places), self.city_map.frame, self.rules)
        return self._kept_out[key]

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
