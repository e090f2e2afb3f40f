"""The grid planner against Dijkstra, against published optima, and at its limits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.warframe import MAPS, read
from tests.oracles.grid import distances, path_length, step_allowed
from tests.repo import shared_data
from utm.core import GridPlanner
from utm.core._astar import COSTS, QUERIES
from utm.core._moves import moves
from utm.errors import NoPath


def random_volume(rng, shape, share):
    return rng.random(shape) < share


@pytest.mark.parametrize("corner_cutting", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("shape", [(6, 5, 4), (7, 7, 1), (1, 9, 6), (3, 3, 3), (4, 3, 65)])
def test_every_goal_costs_what_dijkstra_says(shape, share, corner_cutting):
    rng = np.random.default_rng([*shape, int(share * 10), corner_cutting])
    for _ in range(3):
        blocked = random_volume(rng, shape, share)
        free = np.argwhere(~blocked)
        planner = GridPlanner(blocked, corner_cutting=corner_cutting)
        start = tuple(free[rng.integers(len(free))].tolist())
        expected = distances(blocked, start, corner_cutting)
        for goal in map(tuple, free[rng.permutation(len(free))[:150]].tolist()):
            if np.isinf(expected[goal]):
                with pytest.raises(NoPath, match="no way"):
                    planner.path(start, goal)
                continue
            found = planner.path(start, goal)
            assert found.cost == pytest.approx(expected[goal], abs=1e-9)
            assert path_length(blocked, found.cells, corner_cutting) == pytest.approx(found.cost, abs=1e-9)
            assert tuple(found.cells[0]) == start
            assert tuple(found.cells[-1]) == goal


@settings(max_examples=300, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    share=st.floats(0, 0.6),
    seed=st.integers(0, 2**32 - 1),
    corner_cutting=st.booleans(),
    smooth=st.booleans(),
)
def test_cost_and_way_hold_on_any_small_volume(shape, share, seed, corner_cutting, smooth):
    rng = np.random.default_rng(seed)
    blocked = random_volume(rng, shape, share)
    if smooth:  # rooms and pillars instead of dust: more of the neighbourhoods that are pruned
        blocked = np.kron(blocked, np.ones((2, 2, 2), bool))
    free = np.argwhere(~blocked)
    if len(free) == 0:
        return
    start, goal = (tuple(free[rng.integers(len(free))].tolist()) for _ in range(2))
    expected = distances(blocked, start, corner_cutting)[goal]
    planner = GridPlanner(blocked, corner_cutting=corner_cutting)
    if np.isinf(expected):
        with pytest.raises(NoPath):
            planner.path(start, goal)
    else:
        found = planner.path(start, goal)
        assert found.cost == pytest.approx(expected, abs=1e-9)
        assert path_length(blocked, found.cells, corner_cutting) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("corner_cutting", [False, True])
def test_detours_are_ways_that_make_a_step_needless(corner_cutting):
    """The claim on which pruning rests, for each of the 26 x 26 pairs: every mask frees a way from the cell before to
    the cell after that avoids the centre and is cheaper, or as dear with a cheaper last step."""
    steps, _, natural, masks, ends = moves(COSTS, corner_cutting)
    directions = [tuple(row[:3].tolist()) for row in steps]
    centre = (1, 1, 1)
    for came, onward in itertools.product(range(26), repeat=2):
        before = tuple(1 - c for c in directions[came])
        after = tuple(1 + c for c in directions[onward])
        through = np.sqrt(sum(map(abs, directions[came]))) + np.sqrt(sum(map(abs, directions[onward])))
        own_last = sum(map(abs, directions[onward]))
        for mask in masks[ends[came, onward] : ends[came, onward + 1]]:
            if before == after:
                continue
            blocked = np.ones((3, 3, 3), bool)
            for cell in itertools.product(range(3), repeat=3):
                if int(mask) >> (9 * cell[0] + 3 * cell[1] + cell[2]) & 1:
                    blocked[cell] = False
            blocked[before] = blocked[centre] = False
            ways = []
            for move in directions:
                if not step_allowed(blocked, before, move, corner_cutting):
                    continue
                middle = tuple(b + m for b, m in zip(before, move, strict=True))
                if middle == after:
                    ways.append((np.sqrt(sum(map(abs, move))), 0))
                last = tuple(a - m for a, m in zip(after, middle, strict=True))
                if middle != centre and last in directions and step_allowed(blocked, middle, last, corner_cutting):
                    ways.append((np.sqrt(sum(map(abs, move))) + np.sqrt(sum(map(abs, last))), sum(map(abs, last))))
            assert any(cost < through - 1e-9 or (cost < through + 1e-9 and last < own_last) for cost, last in ways)
    # In the open only the parts of the last step are left: 1, 3 or 7 of 26.
    assert [natural[came, 0] for came in range(26)] == [2 ** sum(map(abs, move)) - 1 for move in directions]


def test_whole_numbers_stand_for_the_roots():
    one, two, three = COSTS[1:]
    assert abs(two / one - np.sqrt(2)) < 1e-10
    assert abs(three / one - np.sqrt(3)) < 1e-10


@pytest.mark.parametrize("name", MAPS)
def test_published_optimal_lengths(name):
    """A tenth of them; `benchmarks/warframe.py` asks them all."""
    questions = read(shared_data("warframe"), name, every=10)
    assert len(questions.starts) == 1000
    planner = GridPlanner(questions.blocked)
    costs = [planner.path(*ends).cost for ends in zip(questions.starts, questions.goals, strict=True)]
    np.testing.assert_allclose(costs, questions.lengths, rtol=0, atol=1e-5)


def test_corner_cutting_is_what_the_name_says():
    blocked = np.zeros((2, 2, 1), bool)
    blocked[0, 1, 0] = True
    assert GridPlanner(blocked, corner_cutting=True).path((0, 0, 0), (1, 1, 0)).cost == pytest.approx(np.sqrt(2))
    assert GridPlanner(blocked).path((0, 0, 0), (1, 1, 0)).cost == 2.0
    # A diagonal in space needs all eight cells of its box.
    blocked = np.zeros((2, 2, 2), bool)
    blocked[0, 1, 1] = True
    assert GridPlanner(blocked).path((0, 0, 0), (1, 1, 1)).cost == pytest.approx(1 + np.sqrt(2))


def test_start_that_is_the_goal():
    found = GridPlanner(np.zeros((2, 2, 2), bool)).path((1, 0, 1), (1, 0, 1))
    assert found.cells.tolist() == [[1, 0, 1]]
    assert found.cost == 0.0
    assert found.expansions == 0


def test_open_air_is_crossed_in_a_straight_run():
    found = GridPlanner(np.zeros((300, 200, 80), bool)).path((5, 5, 5), (290, 150, 60))
    assert found.expansions == len(found.cells) - 1


def test_many_queries_share_memory_that_is_never_cleared_but_when_numbers_run_out():
    rng = np.random.default_rng(4)
    blocked = random_volume(rng, (12, 12, 12), 0.35)
    free = np.argwhere(~blocked)
    planner = GridPlanner(blocked)
    planner._idle[0].query = QUERIES - 20
    start = tuple(free[0].tolist())
    expected = distances(blocked, start, False)
    for goal in map(tuple, free[rng.permutation(len(free))[:60]].tolist()):
        try:
            cost = planner.path(start, goal).cost
        except NoPath:
            cost = np.inf
        assert cost == pytest.approx(expected[goal], abs=1e-9)
    assert planner._idle[0].query < 60


def test_the_queue_grows_when_it_must():
    blocked = random_volume(np.random.default_rng(5), (20, 20, 20), 0.4)
    blocked[0, 0, 0] = blocked[19, 19, 19] = False
    planner = GridPlanner(blocked, corner_cutting=True)
    expected = planner.path((0, 0, 0), (19, 19, 19)).cost
    planner._idle[0].queue = np.empty((2, 2), np.int64)
    assert planner.path((0, 0, 0), (19, 19, 19)).cost == expected
    assert len(planner._idle[0].queue) > 2


@pytest.mark.parametrize("flavour", ["fortran", "read-only", "strided"])
def test_any_memory_layout_of_the_volume(flavour):
    blocked = random_volume(np.random.default_rng(6), (9, 8, 70), 0.3)
    blocked[0, 0, 0] = blocked[8, 7, 69] = False
    expected = GridPlanner(blocked).path((0, 0, 0), (8, 7, 69)).cost
    if flavour == "fortran":
        other = np.asfortranarray(blocked)
    elif flavour == "read-only":
        other = blocked.copy()
        other.flags.writeable = False
    else:
        other = np.repeat(blocked, 2, axis=2)[:, :, ::2]
    assert GridPlanner(other).path((0, 0, 0), (8, 7, 69)).cost == expected


def test_blocked_ends_are_no_way():
    blocked = np.zeros((3, 3, 3), bool)
    blocked[1, 1, 1] = True
    with pytest.raises(NoPath, match=r"start \(1, 1, 1\) is blocked"):
        GridPlanner(blocked).path((1, 1, 1), (0, 0, 0))
    with pytest.raises(NoPath, match=r"goal \(1, 1, 1\) is blocked"):
        GridPlanner(blocked).path((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("cell", [(0, 0, 3), (-1, 0, 0), (0, 0), (0.0, 0.0, 0.0), ((0, 0, 0),)])
def test_ends_that_are_no_voxels(cell):
    planner = GridPlanner(np.zeros((3, 3, 3), bool))
    with pytest.raises(ValueError, match="goal"):
        planner.path((0, 0, 0), cell)


@pytest.mark.parametrize("volume", [np.zeros((3, 3), bool), np.zeros((3, 3, 3)), np.zeros((3, 0, 3), bool)])
def test_volumes_that_are_none(volume):
    with pytest.raises(ValueError, match="boolean array"):
        GridPlanner(volume)
