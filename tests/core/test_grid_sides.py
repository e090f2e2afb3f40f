"""The two sides of the grid search: where they meet, what they prune, what they share, and threads side by side.

A side usually expands 256 voxels before the other may. On small volumes that is all there are, so here the sides take
turns after one: then every meeting, bound and end of the proof in `utm.core._astar` is met.
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.grid import distances, path_length
from utm.core import GridPlanner
from utm.core import grid as grid_module
from utm.core._astar import COSTS, FAR
from utm.errors import NoPath


def planner_in_turns(blocked, corner_cutting=False, turn=1):
    planner = GridPlanner(blocked, corner_cutting=corner_cutting)
    planner._turn = turn
    return planner


def agrees_with_dijkstra(planner, blocked, start, goal, expected):
    """Cost, and a way of that cost from start to goal whose steps are permitted; or no way."""
    if np.isinf(expected):
        with pytest.raises(NoPath, match="no way"):
            planner.path(start, goal)
        return
    found = planner.path(start, goal)
    assert found.cost == pytest.approx(expected, abs=1e-9)
    assert path_length(blocked, found.cells, planner.corner_cutting) == pytest.approx(expected, abs=1e-9)
    assert tuple(found.cells[0]) == tuple(start)
    assert tuple(found.cells[-1]) == tuple(goal)


@pytest.mark.parametrize("corner_cutting", [False, True])
@pytest.mark.parametrize("turn", [1, 7])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("shape", [(6, 5, 4), (8, 8, 1), (1, 9, 7), (3, 4, 65), (11, 10, 9)])
def test_every_goal_from_both_sides(shape, share, turn, corner_cutting):
    rng = np.random.default_rng([*shape, int(share * 100), turn, corner_cutting])
    for _ in range(4):
        blocked = rng.random(shape) < share
        free = np.argwhere(~blocked)
        planner = planner_in_turns(blocked, corner_cutting, turn)
        start = tuple(free[rng.integers(len(free))].tolist())
        expected = distances(blocked, start, corner_cutting)
        for goal in map(tuple, free[rng.permutation(len(free))[:60]].tolist()):
            agrees_with_dijkstra(planner, blocked, start, goal, expected[goal])


def rooms(rng, shape, doors):
    """Walls across every axis, each with a few holes."""
    blocked = np.zeros(shape, bool)
    for axis, size in enumerate(shape):
        for at in range(int(rng.integers(1, 4)), size, int(rng.integers(3, 6))):
            wall = [slice(None)] * 3
            wall[axis] = at
            face = rng.random(blocked[tuple(wall)].shape) >= doors
            blocked[tuple(wall)] |= face
    return blocked


def pillars(rng, shape, share):
    """Columns of any height, as in a city, and some that hang from the ceiling."""
    heights = np.where(rng.random(shape[:2]) < share, rng.integers(0, shape[2] + 1, shape[:2]), 0)
    hanging = np.where(rng.random(shape[:2]) < share / 4, rng.integers(0, shape[2] + 1, shape[:2]), shape[2])
    z = np.arange(shape[2])
    return (z < heights[:, :, None]) | (z >= hanging[:, :, None])


def corridors(rng, shape, share):
    """Solid, with winding tunnels."""
    blocked = np.ones(shape, bool)
    for _ in range(int(2 + share * 6)):
        cell = [int(rng.integers(n)) for n in shape]
        for _ in range(25):
            blocked[tuple(cell)] = False
            axis = int(rng.integers(3))
            cell[axis] = int(np.clip(cell[axis] + rng.choice((-1, 1)), 0, shape[axis] - 1))
    return blocked


def pocket(blocked, rng, cell):
    """Enclose a cell by a shell two away, with one hole: what makes the estimate short at that end."""
    low = np.maximum(np.array(cell) - 2, 0)
    high = np.minimum(np.array(cell) + 3, blocked.shape)
    box = blocked[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    shell = np.ones(box.shape, bool)
    shell[tuple(slice(int(a > 0), n - int(a > 0)) for a, n in zip(low, box.shape, strict=True))] = False
    box |= shell
    holes = np.argwhere(shell)
    if len(holes):
        box[tuple(holes[rng.integers(len(holes))])] = False
    blocked[tuple(cell)] = False


@settings(max_examples=400, deadline=None)
@given(
    shape=st.tuples(st.integers(5, 14), st.integers(5, 14), st.integers(1, 9)),
    kind=st.sampled_from([rooms, pillars, corridors]),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 2**32 - 1),
    corner_cutting=st.booleans(),
    pockets=st.booleans(),
    turn=st.sampled_from([1, 2, 16, 256]),
)
def test_structured_volumes_from_both_sides(shape, kind, share, seed, corner_cutting, pockets, turn):
    rng = np.random.default_rng(seed)
    blocked = kind(rng, shape, share)
    free = np.argwhere(~blocked)
    if len(free) < 2:
        return
    start, goal = (tuple(free[rng.integers(len(free))].tolist()) for _ in range(2))
    if pockets:
        pocket(blocked, rng, start)
        pocket(blocked, rng, goal)
        blocked[start] = blocked[goal] = False
    expected = distances(blocked, start, corner_cutting)[goal]
    planner = planner_in_turns(blocked, corner_cutting, turn)
    agrees_with_dijkstra(planner, blocked, start, goal, expected)
    agrees_with_dijkstra(planner, blocked, goal, start, expected)  # what the first left in the words is no matter


@pytest.mark.nojit
@pytest.mark.parametrize("corner_cutting", [False, True])
@pytest.mark.parametrize("turn", [1, 256])
def test_small_volumes_compiled_or_not(turn, corner_cutting):
    rng = np.random.default_rng([turn, corner_cutting])
    for shape in [(1, 1, 1), (4, 3, 2), (2, 2, 63), (5, 4, 3)]:
        blocked = rng.random(shape) < 0.3
        blocked[0, 0, 0] = False
        expected = distances(blocked, (0, 0, 0), corner_cutting)
        planner = planner_in_turns(blocked, corner_cutting, turn)
        free = np.argwhere(~blocked)
        for goal in map(tuple, free[rng.permutation(len(free))[:12]].tolist()):
            agrees_with_dijkstra(planner, blocked, (0, 0, 0), goal, expected[goal])


@pytest.mark.nojit
def test_a_column_of_several_words_is_climbed_and_its_border_is_a_wall():
    blocked = np.ones((3, 3, 200), bool)
    blocked[1, 1, :] = False
    blocked[2, 1, 199] = False
    found = GridPlanner(blocked).path((1, 1, 0), (2, 1, 199))
    assert found.cost == 200.0
    assert found.cells[:, 2].max() == 199
    with pytest.raises(NoPath, match="blocked"):
        GridPlanner(blocked).path((1, 1, 0), (0, 0, 0))


def test_the_way_between_two_courtyards_is_found_and_proven_by_few_expansions():
    """Both estimates are short, so one search alone floods what lies between."""
    blocked = np.zeros((200, 120, 20), bool)
    ends = (30, 30, 2), (160, 90, 2)
    for x, y, _ in ends:
        blocked[x - 6 : x + 7, y - 6 : y + 7, :10] = True
        blocked[x - 5 : x + 6, y - 5 : y + 6, :10] = False
    alone = planner_in_turns(blocked, turn=1 << 40).path(*ends)
    both = GridPlanner(blocked).path(*ends)
    assert both.cost == pytest.approx(alone.cost, abs=1e-9)
    assert both.expansions < alone.expansions / 4


@pytest.mark.parametrize("enclosed", ["start", "goal"])
def test_a_walled_in_end_is_refused_once_its_side_is_searched(enclosed):
    blocked = np.zeros((150, 150, 60), bool)
    blocked[10:21, 10:21, 10:21] = True
    blocked[13:18, 13:18, 13:18] = False  # 125 voxels
    planner = GridPlanner(blocked)
    ends = ((15, 15, 15), (140, 130, 50)) if enclosed == "start" else ((140, 130, 50), (15, 15, 15))
    with pytest.raises(NoPath, match="no way"):
        planner.path(*ends)
    # What the search opened, by the words it wrote.
    assert 125 <= np.count_nonzero(planner._idle[0].words) < 5000


def test_a_way_too_long_for_the_word_is_refused_as_such():
    """The cost that a word can hold ends at 2**24 voxels; unit costs are raised here, as no volume is so long."""
    blocked = np.zeros((40, 1, 1), bool)
    planner = GridPlanner(blocked)
    steps, *rest = planner._moves
    dear = steps.copy()
    dear[:, 3] = FAR // 8
    planner._moves = (dear, *rest)
    with pytest.raises(NoPath, match="longer than"):
        planner.path((0, 0, 0), (39, 0, 0))
    assert COSTS[1] < FAR


@pytest.mark.nojit
def test_ends_beside_each_other_and_the_same():
    planner = planner_in_turns(np.zeros((3, 3, 3), bool))
    for goal in itertools.product(range(3), repeat=3):
        found = planner.path((1, 1, 1), goal)
        assert found.cost == pytest.approx(np.sqrt(sum(abs(c - 1) for c in goal)))
        assert len(found.cells) == 1 + (goal != (1, 1, 1))


def test_nothing_asked_before_or_beside_changes_an_answer():
    """Cells and expansions, not only costs: on a fresh planner, after other questions in another order, and from
    several threads of one planner."""
    rng = np.random.default_rng(7)
    blocked = pillars(rng, (60, 60, 24), 0.4)
    free = np.argwhere(~blocked)
    questions = [(free[a], free[b]) for a, b in rng.integers(0, len(free), (60, 2))]

    def answer(planner, question):
        try:
            path = planner.path(*question)
            return path.cells.tolist(), path.cost, path.expansions
        except NoPath as error:
            return str(error)

    expected = [answer(GridPlanner(blocked), question) for question in questions]
    assert sum(not isinstance(one, str) for one in expected) > 30

    used = GridPlanner(blocked)
    for n in rng.permutation(len(questions)):
        assert answer(used, questions[n]) == expected[n]

    shared, results = GridPlanner(blocked), [[], [], [], []]
    gate = threading.Barrier(len(results))

    def work(result):
        gate.wait()
        for _ in range(3):
            result += [answer(shared, question) for question in questions]

    threads = [threading.Thread(target=work, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected * 3] * len(results)
    assert len(shared._idle) == len(shared._workspaces) <= len(results)


def test_memory_is_counted_and_grows_with_what_is_searched():
    planner = GridPlanner(np.zeros((256, 256, 64), bool))
    before = planner.nbytes
    planner.path((5, 5, 5), (9, 9, 9))
    near = planner.nbytes
    planner.path((5, 5, 5), (250, 200, 60))
    far = planner.nbytes
    assert planner.walls.nbytes < before <= near < far < before + 4e6
    assert planner.prepared_s > 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems reserve what is asked for")
def test_a_workspace_may_have_more_addresses_than_there_is_memory():
    if Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2":
        pytest.skip("this system reserves what is asked for")
    words = grid_module._untouched(1 << 37)  # 1 TB
    words[-1] = 7
    assert words[0] == 0
    assert words[-1] == 7
