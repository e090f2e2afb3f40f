"""Landing sites: open, level, known, outside zones, off the pads of others, in straight sight, and well spread."""

from __future__ import annotations

import itertools
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airspace.conftest import zone
from tests.airspace.made_up import MadeUp
from utm.airspace.landingsites import MOST_SITES, Surroundings, landing_sites
from utm.airspace.places import Place, pad_obstacle_m
from utm.airspace.space import Skies
from utm.core import Columns, least_distance, time_path
from utm.model import AIRCRAFT_CLASSES, RuleSet

RULES = RuleSet()
CELL_M = 4.0


class Surveyed(MadeUp):
    """A made-up map of which a part was not seen."""

    unknown: np.ndarray

    def window(self, west, south, east, north):
        seen = super().window(west, south, east, north)
        i, j = np.round(seen.origin_m / CELL_M).astype(int)
        unknown = self.unknown[i : i + seen.shape[0], j : j + seen.shape[1]]
        return Columns(seen.origin_m, seen.cell_m, seen.terrain_m, seen.surface_m, unknown)


def city(frame, seed: int = 0) -> Surveyed:
    """1200 x 800 m: a slope in the north, blocks of houses in between, a part that nobody saw."""
    random = np.random.default_rng(seed)
    shape = (300, 200)
    terrain = np.zeros(shape)
    terrain[:, 140:] += 0.8 * np.arange(60)
    surface = terrain.copy()
    for _ in range(120):
        i, j = random.integers(0, shape[0] - 12), random.integers(0, shape[1] - 12)
        surface[i : i + random.integers(3, 12), j : j + random.integers(3, 12)] += random.uniform(0.6, 25.0)
    made = Surveyed(frame, surface, CELL_M, terrain)
    made.unknown = np.zeros(shape, bool)
    made.unknown[120:170, :70] = True
    return made


def way(up_m: float = 90.0) -> np.ndarray:
    return np.array(
        [(100, 300, 0), (100, 300, up_m), (500, 350, up_m), (700, 250, up_m), (1100, 320, up_m), (1100, 320, 0)], float
    )


def places(line: np.ndarray) -> tuple[Place, ...]:
    return Place("origin", *line[0].tolist()), Place("destination", *line[-1].tolist())


def steps_along(line: np.ndarray, count: int) -> np.ndarray:
    """Places (n, 3) of a way between its columns."""
    return np.concatenate([a + np.linspace(0, 1, count)[:, None] * (b - a) for a, b in itertools.pairwise(line[1:-1])])


def surroundings(made, line: np.ndarray, zones=()) -> Surroundings:
    return Surroundings(Skies(made, RULES), places(line), line, zones)


@pytest.mark.parametrize("seed", range(3))
def test_every_site_keeps_every_rule(town, seed):
    made, line = city(town.frame, seed), way()
    shut = zone(town, "works", (900.0, 330.0), 60.0)
    taken = np.array([(300.0, 300.0), (1000.0, 250.0)])
    sites = landing_sites(surroundings(made, line, [shut]), line, taken, 70.0)
    assert 3 <= len(sites) <= MOST_SITES
    whole = made.window(0.0, 0.0, 1200.0, 800.0)
    for east, north, up in sites:
        i, j = int(east / CELL_M), int(north / CELL_M)
        assert up == pytest.approx(float(whole.surface_m[i, j]))
        around = np.s_[i - 2 : i + 3, j - 2 : j + 3]  # 6 m from the middle of a column, and its corners beyond
        near = (
            np.hypot(*np.meshgrid(*[np.maximum(np.abs(np.arange(-2, 3)) - 0.5, 0) * CELL_M] * 2)) <= RULES.pad_radius_m
        )
        assert not whole.unknown[around][near].any()
        assert (whole.surface_m[around] - whole.terrain_m[around])[near].max() < 0.5
        assert np.ptp(whole.surface_m[around][near]) <= 1.0
        # The rule for pads, with room to spare.
        assert pad_obstacle_m(whole, Place("site", east, north, up), RULES.pad_radius_m) <= 1.0
        # The zone is grown by the corridor's half-width.
        assert max(abs(east - 900.0), abs(north - 330.0)) >= 60.0 + RULES.half_width_m - 1e-6
        assert np.hypot(*(taken - (east, north)).T).min() > 70.0
        # From somewhere on the way it is reached straight, with the clearance all along, at the height of the way.
        steps = np.concatenate(
            [a + np.linspace(0, 1, 41)[:, None] * (b - a) for a, b in itertools.pairwise(line[1:-1])]
        )
        assert any(
            least_distance(np.array([step, (east, north, step[2])]), whole, 60.0) >= RULES.clearance_m - 1e-3
            for step in steps
        )


def test_nothing_is_found_where_nothing_is_open(town):
    made, line = city(town.frame), way()
    made.surface_m[:] = made.terrain_m + 3.0
    assert landing_sites(surroundings(made, line), line, [], 70.0) == ()
    made = city(town.frame)
    made.unknown[:] = True
    assert landing_sites(surroundings(made, line), line, [], 70.0) == ()


def test_a_wall_in_between_is_seen(town):
    """A high wall beside the way: sites behind it are not taken, though they are the only ones there are."""
    shape = (300, 200)
    surface = np.full(shape, 3.0)
    surface[:, 120:] = 0.0
    surface[:, 108:110] = 100.0
    made = Surveyed(town.frame, surface)
    made.unknown = np.zeros(shape, bool)
    line = way()
    assert landing_sites(surroundings(made, line), line, [], 70.0) == ()
    surface[:, 108:110] = 3.0
    made = Surveyed(town.frame, surface)
    made.unknown = np.zeros(shape, bool)
    found = landing_sites(surroundings(made, line), line, [], 70.0)
    assert found
    assert min(north for _, north, _ in found) >= 480.0


def test_sites_are_the_same_each_time_and_in_the_order_of_the_way(town):
    line = way()
    one = landing_sites(surroundings(city(town.frame), line), line, [], 70.0)
    other = landing_sites(surroundings(city(town.frame), line), line, [], 70.0)
    assert one == other
    steps = steps_along(line, 200)
    nearest = [int(np.hypot(*(steps[:, :2] - site[:2]).T).argmin()) for site in one]
    assert len(nearest) > 3
    assert all(later - sooner > -15 for sooner, later in itertools.pairwise(nearest))  # 15 steps are 20 m and more


def only(sites: np.ndarray) -> types.SimpleNamespace:
    """Surroundings in which everything is clear and nothing is a site but those given."""
    ground = types.SimpleNamespace(sites_m=sites)
    return types.SimpleNamespace(grounds=(ground,), clear=lambda *_: True, down=lambda *_: True)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(9, 12))
def test_no_other_choice_reaches_within_a_third(seed, count):
    """Farthest first, against every choice of 8."""
    random = np.random.default_rng(seed)
    line = np.array([(0, 0, 0), (0, 0, 50), (random.uniform(300, 1500), 0, 50), (1200, 800, 50), (1200, 800, 0)], float)
    steps = steps_along(line, 120)
    # One anywhere in each part of the way, so that none of its places is far from all.
    along = ((np.arange(count) + random.random(count)) * len(steps) / count).astype(int)
    sites = steps[along] + np.column_stack([random.uniform(-90.0, 90.0, (count, 2)), np.full(count, -50.0)])
    away = np.hypot(steps[:, None, 0] - sites[None, :, 0], steps[:, None, 1] - sites[None, :, 1])
    pads = np.hypot(steps[:, None, 0] - line[[0, -1], 0], steps[:, None, 1] - line[[0, -1], 1]).min(axis=1)
    assert away.min(axis=1).max() < 380.0  # farther sites are none

    def reach(chosen) -> float:
        return float(np.minimum(away[:, list(chosen)].min(axis=1), pads).max())

    found = landing_sites(only(sites), line, [], 70.0)
    chosen = [int(np.flatnonzero((sites == site).all(axis=1))[0]) for site in found]
    best = min(reach(choice) for choice in itertools.combinations(range(count), MOST_SITES))
    # The places that are asked for are 20 m apart; who is nearer than 40 m needs no other.
    assert reach(chosen) <= max(3.0 * best, 40.0) + 20.0


def test_who_is_over_open_ground_is_told(town):
    made, line = city(town.frame), way()
    around = surroundings(made, line)
    flown = time_path(line, AIRCRAFT_CLASSES["quad"], 0.0)
    spans = around.open_below(flown, (5.0, flown.end_s - 5.0))
    assert spans[0][0] == flown.start_s
    assert spans[-1][1] == flown.end_s
    is_open = around.grounds[0].open
    right = 0
    for t in np.linspace(6.0, flown.end_s - 6.0, 700):
        east, north, _ = flown.at(t)
        expected = bool(
            is_open[
                tuple(np.floor((np.array([east, north]) - around.grounds[0].columns.origin_m) / CELL_M).astype(int))
            ]
        )
        right += expected == any(a <= t <= b for a, b in spans)
    assert right > 0.97 * 700  # at a border of two columns a moment may fall to either side
    assert 0.2 < sum(b - a for a, b in spans) / flown.end_s < 0.95
