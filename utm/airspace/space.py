"""The air over a map that the rules leave: windows of columns with their lowest and highest usable heights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place
from utm.airspace.zones import keep_out
from utm.core import Columns, KeepOut, lowest_clear
from utm.mapping import CityMap
from utm.model import GeoZone, RuleSet

#: Voxels of about this size: fine enough for streets of 60 m, small enough that a town fits in memory.
_VOXEL_M = 4.0
#: How far beyond the box around all places a way may lead.
_MARGIN_M = 600.0


@dataclass(eq=False)
class Skies:
    """The clear heights of one map under one rule set, computed once for each window that is asked for."""

    city_map: CityMap
    rules: RuleSet
    _windows: dict[tuple[float, ...], Columns] = field(default_factory=dict, repr=False)
    _lowest: dict[tuple[float, ...], NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _kept_out: dict[tuple[GeoZone, tuple[float, ...]], KeepOut] = field(default_factory=dict, repr=False)

    @cached_property
    def cell_m(self) -> float:
        """Edge of a planning voxel: the multiple of the map's cell nearest above 4 m."""
        return self.city_map.resolution_m * max(1, math.ceil(_VOXEL_M / self.city_map.resolution_m - 1e-9))

    def around(
        self, places: Sequence[Place], grown_m: float = 0.0
    ) -> tuple[Columns, NDArray[np.float32], NDArray[np.float64]]:
        """Columns, lowest and highest centre-line height (up, metres) around some places.

        The window is snapped to planning voxels and to steps of 256 m, so that similar flights share it.

        Args:
            grown_m: keep this much more than the clearance that the rules ask.
        """
        box = self._box(places)
        if box not in self._windows:
            self._windows[box] = self.city_map.window(*box)
        columns, key = self._windows[box], (*box, grown_m)
        if key not in self._lowest:
            self._lowest[key] = lowest_clear(columns.surface_m, columns.cell_m, self.rules.clearance_m + grown_m)
        highest = columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)
        return columns, self._lowest[key], highest

    def kept_out(self, zone: GeoZone, places: Sequence[Place]) -> KeepOut:
        """What a zone takes out of the columns around some places."""
        key = (zone, self._box(places))
        if key not in self._kept_out:
            self._kept_out[key] = keep_out(zone, self.around(places)[0], self.city_map.frame, self.rules)
        return self._kept_out[key]

    def _box(self, places: Sequence[Place]) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
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
