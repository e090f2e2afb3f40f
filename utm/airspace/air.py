"""The free air around the places of a plan as gaps, to ask which of them are joined if a rule gave way."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.airspace.places import Place, Refusal, check_zone
from utm.airspace.space import Skies
from utm.core.gaps import DEEP, HIGH, Gaps, cuts_of, gaps_of, layers_of
from utm.core.relax import Sides, clearance_at, least_lack, least_raise, reached, sides
from utm.model import GeoZone

#: In voxels: a place this near to a face lies on it, as for `utm.airspace.places.column_top`.
_ON_FACE = 1e-6


@dataclass(frozen=True, slots=True)
class Station:
    """Where the way through the grid begins, passes or ends."""

    layer: int
    """The lowest of its layers."""
    gap: int


class Air:
    """The same air that `find_route` searches, for any choice of the zones and without floor or ceiling.

    Args:
        skies: map and rules.
        places: of the plan.
        zones: all that may count; every question says which of them do.
    """

    def __init__(self, skies: Skies, places: Sequence[Place], zones: Sequence[GeoZone]) -> None:
        self.skies, self.rules, self.places, self.zones = skies, skies.rules, tuple(places), tuple(zones)
        self.columns, self.lowest, highest = skies.around(places)
        self.outs = [skies.kept_out(zone, places) for zone in self.zones]
        self.cell_m = skies.cell_m
        self.factor = round(self.cell_m / self.columns.cell_m)
        self.layers = layers_of(self.lowest, highest, self.factor, self.cell_m)
        self.cuts = cuts_of(self.outs, self.layers.floor.shape, self.factor, self.cell_m)
        self.all_closed = np.ones(len(self.zones), np.bool_)
        self.none_closed = np.zeros(len(self.zones), np.bool_)

    def with_zones(self, counting: ArrayLike) -> Air:
        """The same air when only some of the zones exist."""
        keep = np.flatnonzero(counting)
        air = copy.copy(self)
        air.zones, air.outs = tuple(self.zones[n] for n in keep), [self.outs[n] for n in keep]
        air.cuts = cuts_of(air.outs, self.layers.floor.shape, self.factor, self.cell_m)
        air.all_closed, air.none_closed = np.ones(len(keep), np.bool_), np.zeros(len(keep), np.bool_)
        return air

    def with_place(self, index: int, place: Place) -> Air:
        """The same air for a plan of which one place is moved within it."""
        air = copy.copy(self)
        air.places = (*self.places[:index], place, *self.places[index + 1 :])
        return air

    # -- what the rules leave

    def gaps(self, closed: ArrayLike) -> Gaps:
        """The free stretches while the zones of ``closed`` (booleans) count."""
        return gaps_of(self.layers.floor, self.layers.roof, self.cuts, closed)

    def stations(self, gaps: Gaps, closed: ArrayLike) -> list[Station] | None:
        """Where each place meets the free air; None when one of them does not, or a zone crosses its column."""
        found = []
        for place in self.places:
            station = self.station(gaps, place)
            if station is None or self.crossed(place, station.layer, closed):
                return None
            found.append(station)
        return found

    def station(self, gaps: Gaps, place: Place) -> Station | None:
        """Over a pad the lowest layer that is free in all columns that it touches; at a way point its own layer."""
        low, high = self._layers_at(place)
        if self._is_pad(place):
            for begin, end in self.free_over(gaps, place):
                if end > high:
                    return self._in_gap(gaps, place, max(begin, high))
            return None
        free = any(begin <= low and high <= end for begin, end in self.free_over(gaps, place))
        return self._in_gap(gaps, place, low) if free else None

    def crossed(self, place: Place, layer: int, closed: ArrayLike) -> bool:
        """Whether a zone holds the place, or any of the column from a pad up to a layer."""
        top = (layer + 0.5) * self.cell_m if self._is_pad(place) else place.up_m
        return any(self.held(place, top, number) for number in np.flatnonzero(closed))

    def held(self, place: Place, top_m: float, number: int) -> bool:
        """Whether one zone holds any of the column from a place up to ``top_m``."""
        try:
            check_zone(self.columns, place, top_m, self.zones[number], self.outs[number])
        except Refusal:
            return True
        return False

    def is_open(self, closed: ArrayLike) -> bool:
        """Whether there is a way through all places while these zones count."""
        gaps = self.gaps(closed)
        stations = self.stations(gaps, closed)
        return stations is not None and self.parted(gaps, stations) is None

    def parted(self, gaps: Gaps, stations: Sequence[Station]) -> tuple[int, Sides] | None:
        """The first leg whose ends are not joined, and what lies around them; None when all are."""
        for leg, (one, other) in enumerate(itertools.pairwise(stations)):
            found = sides(gaps, one.gap, other.gap)
            if not found.joined:
                return leg, found
        return None

    def joined_to_others(self, index: int) -> tuple[Gaps, NDArray[np.bool_]] | None:
        """The gaps, and which of them are joined to all places but one; None when those are not joined themselves."""
        gaps = self.gaps(self.all_closed)
        others = [place for n, place in enumerate(self.places) if n != index]
        found = [self.station(gaps, place) for place in others]
        if any(s is None or self.crossed(p, s.layer, self.all_closed) for p, s in zip(others, found, strict=True)):
            return None
        near = reached(gaps, found[0].gap)
        return (gaps, near) if all(near[station.gap] for station in found) else None

    # -- what more height or less clearance would open

    def raise_needed_m(self) -> float:
        """By how much the ceiling must rise for a way to open, all else as it is (metres; inf if that never helps)."""
        gaps = gaps_of(self.layers.floor, np.full_like(self.layers.roof, HIGH), self.cuts, self.all_closed)
        stations = self.stations(gaps, self.all_closed)
        if stations is None:
            return np.inf
        needed = 0.0
        for place, station in zip(self.places, stations, strict=True):
            top = station.layer + 1 if self._is_pad(place) else self._layers_at(place)[1]
            roof = min(self.layers.roof_m[column] for column in self.touched(place))
            needed = max(needed, top * self.cell_m - roof)
        for one, other in itertools.pairwise(stations):
            needed = max(needed, least_raise(gaps, self.layers, one.gap, other.gap))
        return needed

    def clearance_left_m(self) -> float:
        """The largest clearance with which there is a way, all else as it is (metres; 0 or less if there is none)."""
        clearance = self.rules.clearance_m
        gaps = gaps_of(np.full_like(self.layers.floor, DEEP), self.layers.roof, self.cuts, self.all_closed)
        within = self.gaps(self.all_closed)
        lack, stations, below = 0.0, [], 0.0
        for place in self.places:
            low, high = self._layers_at(place)
            station = self.station(within, place)
            if not self._is_pad(place):
                shared = any(begin <= low and high <= end for begin, end in self.free_over(gaps, place))
                if not shared:
                    return 0.0
                layer = low
            else:
                # With less clearance the column ends in the lowest gap that then has a free layer.
                tops = [end - 1 for _, end in self.free_over(gaps, place) if end > high]
                under = [top for top in tops if station is None or top < station.layer]
                kept = {top: self._kept(place, top) for top in under}
                usable = [top for top in under if kept[top] > 0.0]
                if station is not None:
                    layer, below = station.layer, max([below, *kept.values()])
                elif usable:
                    layer = usable[0]
                else:
                    return 0.0
            if self.crossed(place, layer, self.all_closed):
                return 0.0
            lack = max(lack, clearance - self._kept(place, layer))
            stations.append(self._in_gap(gaps, place, layer))
        for one, other in itertools.pairwise(stations):
            lack = max(lack, least_lack(gaps, self.layers, self.columns, clearance, one.gap, other.gap))
        left = clearance - lack
        # Where a column would then end below a zone, it is another column, of which nothing is known here.
        return left if left > below else 0.0

    def _kept(self, place: Place, layer: int) -> float:
        limit, bottom = self.rules.clearance_m, layer * self.cell_m
        touched = self.touched(place)
        if all(layer >= self.layers.floor[column] for column in touched):
            return limit
        return min(clearance_at(self.columns, self.factor, *column, bottom, limit) for column in touched)

    # -- places and columns

    def _is_pad(self, place: Place) -> bool:
        return place is self.places[0] or place is self.places[-1]

    def touched(self, place: Place) -> list[tuple[int, int]]:
        """The voxel columns that a place lies in: several where it lies on a face between them; none off the grid."""
        grid = (place.enu_m[:2] - self.columns.origin_m) / self.cell_m
        low = np.floor(grid - _ON_FACE).astype(int)
        high = np.floor(grid + _ON_FACE).astype(int) + 1
        if (low < 0).any() or (high > self.layers.floor.shape).any():
            return []
        return list(itertools.product(range(low[0], high[0]), range(low[1], high[1])))

    def lowest_m(self, column: tuple[int, int]) -> float:
        """The floor of a voxel column, ``up``."""
        i, j = (slice(n * self.factor, (n + 1) * self.factor) for n in column)
        return float(self.lowest[i, j].max())

    def takes(self, place: Place, number: int) -> bool:
        """Whether a zone takes any layer between floor and ceiling over a place."""
        for ix, iy in self.touched(place):
            column = ix * self.layers.floor.shape[1] + iy
            for m in range(self.cuts.first[column], self.cuts.first[column + 1]):
                low, high = self.cuts.low[m], self.cuts.high[m]
                inside = low < self.layers.roof[ix, iy] and high > self.layers.floor[ix, iy]
                if self.cuts.owner[m] == number and inside:
                    return True
        return False

    def _layers_at(self, place: Place) -> tuple[int, int]:
        """The layers [low, high) that a place lies in."""
        height = place.up_m / self.cell_m
        return int(np.floor(height - _ON_FACE)), int(np.floor(height + _ON_FACE)) + 1

    def free_over(self, gaps: Gaps, place: Place) -> list[tuple[int, int]]:
        """The stretches of layers that are free in every column that a place touches, from the ground up."""
        common: list[tuple[int, int]] = []
        for n, (ix, iy) in enumerate(self.touched(place)):
            column = ix * gaps.shape[1] + iy
            mine = [(int(gaps.low[g]), int(gaps.high[g])) for g in range(gaps.first[column], gaps.first[column + 1])]
            both = [(max(a, c), min(b, d)) for a, b in common for c, d in mine]
            common = sorted((begin, end) for begin, end in both if begin < end) if n else mine
        return common

    def _in_gap(self, gaps: Gaps, place: Place, layer: int) -> Station:
        return Station(layer, gaps.at(*self.touched(place)[0], layer))
