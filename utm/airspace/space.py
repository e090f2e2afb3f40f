"""The air over a map that the rules leave: windows of columns with their lowest and highest usable heights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place
from utm.core import Columns, lowest_clear
from utm.mapping import CityMap
from utm.model import RuleSet

#: Voxels of about this size: fine enough for streets of 60 m, small enough that a town fits in memory.
_VOXEL_M = 4.0
#: How far beyond the box around all places a way may lead.
_MARGIN_M = 600.0


@dataclass(eq=False)
class Skies:
    """The clear heights of one map under one rule set, computed once for each window that is asked for."""

    city_map: CityMap
    rules: RuleSet
    _windows: dict[tuple[float, ...], tuple[Columns, NDArray, NDArray]] = field(default_factory=dict, repr=False)

    @cached_property
    def cell_m(self) -> float:
        """Edge of a planning voxel: the multiple of the map's cell nearest above 4 m."""
        return self.city_map.resolution_m * max(1, math.ceil(_VOXEL_M / self.city_map.resolution_m - 1e-9))

    def around(self, places: Sequence[Place]) -> tuple[Columns, NDArray[np.float64], NDArray[np.float64]]:
        """Columns, lowest and highest centre-line height (up, metres) around some places.

        The window is snapped to planning voxels and to steps of 256 m, so that similar flights share it.
        """
        snap = max(256.0 // self.cell_m, 1.0) * self.cell_m
        low = [min(p.east_m for p in places), min(p.north_m for p in places)]
        high = [max(p.east_m for p in places), max(p.north_m for p in places)]
        nx, ny = self.city_map.size
        edge = (nx * self.city_map.resolution_m, ny * self.city_map.resolution_m)
        box = (
            *(max(0.0, math.floor((value - _MARGIN_M) / snap) * snap) for value in low),
            *(min(end, math.ceil((value + _MARGIN_M) / snap) * snap) for value, end in zip(high, edge, strict=True)),
        )
        if box not in self._windows:
            columns = self.city_map.window(*box)
            lowest = lowest_clear(columns.surface_m, columns.cell_m, self.rules.clearance_m)
            highest = columns.terrain_m + (self.rules.ceiling_above_terrain_m - self.rules.half_height_m)
            self._windows[box] = (columns, lowest, highest)
        return self._windows[box]
