"""Gaps, floods and bottlenecks against voxels, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.grid import distances
from tests.oracles.relax import bottleneck, clearances, flood
from utm.core import Columns, FlightSpace, KeepOut, flight_space, lowest_clear
from utm.core.gaps import DEEP, HIGH, Gaps, cuts_of, gaps_of, layers_of
from utm.core.relax import clearance_at, least_lack, least_raise, reached, sides

pytestmark = pytest.mark.nojit


class Town:
    """A few columns of random ground, floor, ceiling and keep-outs."""

    def __init__(self, seed: int, factor: int, size: int = 4, outs: int = 2) -> None:
        rng = np.random.default_rng(seed)
        shape = (size * factor, (size - 1) * factor)
        self.factor, self.cell = factor, 0.5 * factor
        self.columns = Columns(np.zeros(2), 0.5, np.zeros(shape), np.zeros(shape), np.zeros(shape, np.bool_))
        self.lowest = rng.integers(0, 9, shape) / 2.0
        self.lowest[rng.random(shape) < 0.05] = np.inf
        self.highest = self.lowest.copy()
        self.highest[np.isinf(self.highest)] = 3.0
        self.highest += rng.integers(-2, 9, shape) / 2.0
        self.outs = []
        for _ in range(outs):
            low = rng.integers(-2, 8, shape) / 4.0 * 2
            mask = rng.random(shape) < 0.3
            endless = rng.random() < 0.2
            self.outs.append(KeepOut(mask, -np.inf if endless else low, low + rng.integers(0, 5, shape) / 2.0))
        self.layers = layers_of(self.lowest, self.highest, factor, self.cell)
        self.cuts = cuts_of(self.outs, self.layers.floor.shape, factor, self.cell)
        self.closed = rng.random(outs) < 0.8
        self.rng = rng

    def space(self, raise_m: float = 0.0) -> FlightSpace:
        outs = [out for out, counts in zip(self.outs, self.closed, strict=True) if counts]
        return flight_space(self.columns, self.lowest, self.highest + raise_m, outs, self.cell)

    def gaps(self, *, roof=None) -> Gaps:
        return gaps_of(self.layers.floor, self.layers.roof if roof is None else roof, self.cuts, self.closed)


def as_voxels(gaps: Gaps, base: int, layers: int) -> np.ndarray:
    """Which voxels are free, and by the way that no two gaps of a column touch or stand out of order."""
    free = np.zeros((*gaps.shape, layers), np.bool_)
    for column in range(gaps.shape[0] * gaps.shape[1]):
        ends = [(gaps.low[g], gaps.high[g]) for g in range(gaps.first[column], gaps.first[column + 1])]
        assert all(low < high for low, high in ends)
        assert all(one[1] < other[0] for one, other in itertools.pairwise(ends))
        for low, high in ends:
            assert base <= low
            assert high <= base + layers
            free[column // gaps.shape[1], column % gaps.shape[1], low - base : high - base] = True
    return free


def base_of(space: FlightSpace) -> int:
    return round(space.origin_m[2] / space.cell_m)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.integers(0, 3))
def test_gaps_are_the_free_voxels(seed, factor, outs):
    town = Town(seed, factor, outs=outs)
    space = town.space()
    free = as_voxels(town.gaps(), base_of(space), space.blocked.shape[2])
    assert (free == ~space.blocked).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_joined_is_what_the_planner_reaches(seed):
    town = Town(seed, 1)
    space, gaps = town.space(), town.gaps()
    base = base_of(space)
    free = np.argwhere(~space.blocked)
    if len(free) == 0:
        return
    start, goal = (tuple(free[town.rng.integers(len(free))].tolist()) for _ in range(2))
    a, b = (gaps.at(x, y, base + k) for x, y, k in (start, goal))
    length = distances(space.blocked, start, corner_cutting=False)
    found = sides(gaps, a, b)
    assert found.joined == np.isfinite(length[goal])
    near = reached(gaps, a)
    for x, y, k in free.tolist():
        assert near[gaps.at(x, y, base + k)] == np.isfinite(length[x, y, k])
    if not found.joined:
        pockets = [flood(~space.blocked, end) for end in (start, goal)]
        counts = [int(pocket.any(axis=2).sum()) for pocket in pockets]
        assert found.columns == counts[found.closed]
        assert found.voxels == pockets[found.closed].sum()
        assert found.small == (counts[1 - found.closed] >= 10 * counts[found.closed])


def test_the_smaller_side_ends_first():
    # A single column, walled off from a plain.
    floor, roof = np.zeros((7, 7), np.int64), np.full((7, 7), 3)
    floor[2:5, 2:5] = 9
    floor[3, 3] = 0
    gaps = gaps_of(floor, roof, cuts_of((), (7, 7), 1, 1.0), ())
    inside, outside = gaps.at(3, 3, 1), gaps.at(0, 0, 1)
    for a, b, closed in ((inside, outside, 0), (outside, inside, 1)):
        found = sides(gaps, a, b)
        assert (found.joined, found.closed, found.columns, found.voxels, found.small) == (False, closed, 1, 3, True)
    assert sides(gaps, inside, inside).joined
    assert not sides(gaps, inside, outside, many=1000).small
    with pytest.raises(ValueError, match="not free"):
        gaps.at(2, 2, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_the_least_raise_is_the_bottleneck(seed, factor):
    town = Town(seed, factor, size=4 if factor == 1 else 3)
    gaps = town.gaps(roof=np.full_like(town.layers.roof, HIGH))
    high = 30.0  # above everything
    space = town.space(high)
    base, layers = base_of(space), space.blocked.shape[2]
    roof = np.full(town.layers.roof.shape, base + layers)
    free = as_voxels(gaps_of(town.layers.floor, roof, town.cuts, town.closed), base, layers)
    tops = (base + 1 + np.arange(layers)) * town.cell
    lack = np.where(free, np.maximum(tops - town.layers.roof_m[:, :, None], 0.0), np.inf)
    choice = np.argwhere(free)
    if len(choice) == 0:
        return
    start, goal = (tuple(choice[town.rng.integers(len(choice))].tolist()) for _ in range(2))
    a, b = (gaps.at(x, y, base + k) for x, y, k in (start, goal))
    # From the lowest voxel of each gap; what the ends themselves ask for comes on top of the passages.
    ends = [(x, y, int(gaps.low[gap] - base)) for (x, y, _), gap in ((start, a), (goal, b))]
    found = max(least_raise(gaps, town.layers, a, b), *(lack[end] for end in ends))
    assert found == pytest.approx(bottleneck(lack, *ends), abs=1e-9)
    # And by really raising it.
    if np.isfinite(found):
        for raise_m, joined in ((found + 1e-6, True), (found - 1e-6, False)):
            raised = town.space(raise_m) if raise_m >= 0 else None
            if raised is None:
                continue
            shift = base - base_of(raised)
            first, last = ((x, y, k + shift) for x, y, k in ends)
            inside = all(0 <= end[2] < raised.blocked.shape[2] for end in (first, last))
            assert joined == (inside and bool(flood(~raised.blocked, first)[last]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_the_least_lack_is_the_bottleneck(seed, factor):
    rng = np.random.default_rng(seed)
    clearance, cell = 1.4, 0.5
    shape = (8, 8) if factor == 1 else (10, 10)
    surface = np.where(rng.random(shape) < 0.25, rng.integers(2, 9, shape) / 2.0, 0.0)
    columns = Columns(np.zeros(2), cell, np.zeros(shape), surface, np.zeros(shape, np.bool_))
    outs = [KeepOut(rng.random(shape) < 0.1, 0.5, 2.0)]
    highest = np.full(shape, 3.0) + rng.integers(0, 2, shape) * 0.5
    side = factor * cell
    lowest = lowest_clear(surface, cell, clearance)
    layers = layers_of(lowest, highest, factor, side)
    cuts = cuts_of(outs, layers.floor.shape, factor, side)
    gaps = gaps_of(np.full_like(layers.floor, DEEP), layers.roof, cuts, [True])
    count = round(3.5 / side)
    kept = clearances(columns, factor, 0, count, clearance)
    free = as_voxels(gaps_of(np.zeros_like(layers.floor), layers.roof, cuts, [True]), 0, count)
    for _ in range(6):
        x, y, k = (int(rng.integers(n)) for n in kept.shape)
        found = clearance_at(columns, factor, x, y, k * side, clearance)
        assert found == pytest.approx(kept[x, y, k], abs=1e-9)
    choice = np.argwhere(free & (kept > 0.0))
    if len(choice) == 0:
        return
    # Ends at the top of their gaps, where they keep most.
    ends = []
    for x, y, k in choice[rng.integers(len(choice), size=2)].tolist():
        ends.append((x, y, int(gaps.high[gaps.at(x, y, k)]) - 1))
    a, b = (gaps.at(*end) for end in ends)
    lack = np.where(free & (kept > 0.0), clearance - kept, np.inf)
    found = max(least_lack(gaps, layers, columns, clearance, a, b), *(lack[end] for end in ends))
    assert found == pytest.approx(min(bottleneck(lack, *ends), clearance), abs=1e-9)
    # And by really keeping less.
    if found < clearance:
        for less, joined in ((found + 1e-5, True), (found - 1e-5, False)):
            if not 0.0 <= less < clearance:
                continue
            space = flight_space(columns, lowest_clear(surface, cell, clearance - less), highest, outs, side)
            base = base_of(space)
            first, last = ((x, y, k - base) for x, y, k in ends)
            inside = all(0 <= end[2] < space.blocked.shape[2] for end in (first, last))
            assert joined == (inside and bool(flood(~space.blocked, first)[last]))
