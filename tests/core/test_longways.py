"""Long ways: the bound against Dijkstra, the promise, the exact mode, and each kernel against its slow twin."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from tests.oracles import longways as oracle
from tests.oracles.grid import distances, path_length
from utm.core import GridPlanner, _lazy, _slab, longways, pyramid
from utm.core._profile import profile, straighten
from utm.core.longways import LongPlanner
from utm.errors import NoPath

COSTS = longways._COSTS


def hills(rng, shape, *, relief=6.0, band=5, closed=0.0, steep=False):
    """A random slab: smooth or broken ground, a ceiling above it, some closed columns."""
    ground = rng.uniform(0, relief, shape)
    for _ in range(0 if steep else 2):
        padded = np.pad(ground, 1, mode="edge")
        ground = sum(padded[i : i + shape[0], j : j + shape[1]] for i in range(3) for j in range(3)) / 9
    ground = np.round((ground - ground.min()) * (relief / max(np.ptp(ground), 1e-9)))
    lowest = ground.astype(np.int16)
    highest = (lowest + rng.integers(1, band + 1, shape)).astype(np.int16)
    shut = rng.random(shape) < closed
    shut[0, 0] = False
    highest[shut] = lowest[shut] - 1
    return lowest, highest


def free_voxel(rng, lowest, highest):
    x, y = rng.choice(np.argwhere(lowest < highest))
    return int(x), int(y), int(rng.integers(lowest[x, y], highest[x, y]))


def kinds(rng):
    return {
        "relief": float(rng.integers(1, 15)),
        "band": int(rng.integers(1, 12)),
        "closed": float(rng.choice([0.0, 0.0, 0.1, 0.3])),
        "steep": bool(rng.integers(2)),
    }


def check(lowest, highest, start, goal, within=1.01):
    """Both modes against Dijkstra."""
    blocked, least = oracle.volume(lowest, highest)
    shift = np.array([0, 0, least])
    optimum = distances(blocked, tuple(np.array(start) - shift), False)[tuple(np.array(goal) - shift)]
    planner = LongPlanner(lowest, highest)
    if math.isinf(optimum):
        for exact in (False, True):
            with pytest.raises(NoPath, match="no way"):
                planner.path(start, goal, exact=exact)
        return
    for exact in (False, True):
        found = planner.path(start, goal, exact=exact, within=within)
        assert path_length(blocked, found.cells - shift, False) == pytest.approx(found.cost, abs=1e-9)
        assert tuple(found.cells[0]) == start
        assert tuple(found.cells[-1]) == goal
        assert found.lower_bound <= optimum + 1e-9
        assert found.cost <= within * found.lower_bound
        if exact:
            assert found.exact
            assert found.cost == pytest.approx(optimum, abs=1e-8)


@pytest.mark.parametrize("seed", range(150))
def test_both_modes_agree_with_dijkstra_on_small_slabs(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 26, 2))
    lowest, highest = hills(rng, shape, **kinds(rng))
    check(lowest, highest, free_voxel(rng, lowest, highest), free_voxel(rng, lowest, highest))


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(3))
def test_both_modes_agree_with_dijkstra_on_tiny_slabs(seed):
    rng = np.random.default_rng(seed)
    lowest, highest = hills(rng, (9, 7), relief=3.0, band=3, closed=0.1)
    check(lowest, highest, free_voxel(rng, lowest, highest), free_voxel(rng, lowest, highest))


@pytest.mark.parametrize("seed", range(60))
def test_no_stage_ever_claims_more_than_the_optimum(seed):
    """Every bound that any stage reaches, both relaxations, and the potential at every voxel, whatever was closed."""
    rng = np.random.default_rng([seed, 1])
    lowest, highest = hills(rng, tuple(rng.integers(8, 45, 2)), **kinds(rng))
    planner = LongPlanner(lowest, highest)
    start = free_voxel(rng, lowest, highest)
    blocked, least = oracle.volume(lowest, highest)
    fine = distances(blocked, (start[0], start[1], start[2] - least), False)
    reached = np.argwhere(np.isfinite(fine))
    goal = tuple((reached[rng.integers(len(reached))] + [0, 0, least]).tolist())
    optimum = fine[goal[0], goal[1], goal[2] - least]
    for steep in (False, True):
        query = longways._Query(planner, start, goal)
        query.steep = steep
        query._guides()
        assert query.bound / longways._UNIT <= optimum + 1e-8
        query._bound(1.0)
        assert query.bound / longways._UNIT <= optimum + 1e-8
        # The potential of the finest slab, from the start: it ran with even parity
        level, (near, far) = planner._levels[0], query.ends[0]
        known = level.reach - near.away - far.away
        onward = distances(blocked, (goal[0], goal[1], goal[2] - least), False)
        for x, y, z in np.argwhere(~blocked)[:: max(1, blocked.size // 300)]:
            if (fine[x, y, z] + onward[x, y, z]) * longways._UNIT < known * (1 - 1e-9):
                ahead = _lazy.to_go(
                    level.heads, level.labels, level.query, level.step, query.fine, x, y, z + least
                )  # fmt: skip
                assert (ahead - near.away) / longways._UNIT <= fine[x, y, z] + 1e-8


def thick_walls(seed, height):
    """Walls that all coarser slabs see and walls that only the finest of them sees, with gaps; and 12 questions: among
    them such where the search above ends too early for the next, with an estimate that is more than straight."""
    rng = np.random.default_rng([seed, 5])
    lowest, highest = np.zeros((900, 900), np.int16), np.full((900, 900), height, np.int16)
    x = 10
    while x < 890:
        thick = int(rng.choice([20, 34, 80, 90]))
        lowest[x : x + thick] = 99
        for gap in rng.integers(0, 840, 2):
            lowest[x : x + thick, gap : gap + rng.integers(8, 60)] = 0
        x += thick + int(rng.integers(20, 120))
    free = np.argwhere(lowest < highest)
    places = [[(int(x), int(y), 9) for x, y in free[rng.integers(len(free), size=2)]] for _ in range(12)]
    return lowest, highest, places


@pytest.mark.parametrize("seed", [32, 116, 317, 378, 398, 420])
def test_a_guided_search_claims_no_more_than_one_that_nothing_guides(seed):
    lowest, highest, places = thick_walls(seed, 30)
    planner = LongPlanner(lowest, highest)
    alone = longways._Level((planner._levels[0].lowest, planner._levels[0].highest), longways._STEPS[0])
    for start, goal in places:
        for steep in (False, True):
            query = longways._Query(planner, start, goal)
            query.steep = steep
            query._guides()
            _, cost, _ = query._climb(0)
            near, far = query.ends[0]
            _, expected, _ = alone.search((near.row, near.col, 9), (far.row, far.col, 9), query.paces[0])
            assert min(cost, planner._levels[0].reach) <= expected <= cost


@pytest.mark.parametrize(("seed", "question"), [(32, 8), (398, 7)])
def test_among_thick_walls_both_modes_agree_with_the_grid_planner(seed, question):
    lowest, highest, places = thick_walls(seed, 12)
    planner, (start, goal) = LongPlanner(lowest, highest), places[question]
    optimum = GridPlanner(oracle.volume(lowest, highest)[0][:, :, :12]).path(start, goal).cost
    assert planner.path(start, goal).lower_bound <= optimum + 1e-8
    assert planner.path(start, goal, exact=True).cost == pytest.approx(optimum, abs=1e-7)


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("mix", [0, longways._COSTS[2] * 2 - longways._COSTS[1] - longways._COSTS[3]])
def test_nodes_around_one_column_are_joined_among_themselves(step, mix):
    """For the sum of their lengths to it, all the way near it: so that a search may be stopped early."""
    pace = (COSTS[1], COSTS[2] - mix)
    near = set(oracle.star(step))

    def neighbours(node):
        for dx, dy in ((a, b) for a in (-step, 0, step) for b in (-step, 0, step)):
            if (node[0] + dx, node[1] + dy) in near:
                yield (node[0] + dx, node[1] + dy), longways._length(dx, dy, (*pace, 0))

    for one in near:
        found = oracle.dijkstra(one, neighbours)
        for other in near:
            if (one[0] - other[0]) % step == 0 and (one[1] - other[1]) % step == 0:
                assert found[other] <= sum(longways._length(*node, (*pace, 0)) for node in (one, other))


@pytest.mark.parametrize("seed", range(30))
def test_the_potential_never_changes_by_more_than_a_step_costs(seed):
    """Between all free voxels, when everything was closed."""
    rng = np.random.default_rng([seed, 2])
    lowest, highest = hills(rng, tuple(rng.integers(10, 30, 2)), **kinds(rng))
    planner = LongPlanner(lowest, highest)
    start = free_voxel(rng, lowest, highest)
    blocked, least = oracle.volume(lowest, highest)
    reached = np.argwhere(np.isfinite(distances(blocked, (start[0], start[1], start[2] - least), False)))
    goal = tuple((reached[rng.integers(len(reached))] + [0, 0, least]).tolist())
    query = longways._Query(planner, start, goal)
    query._guides()
    near, far = query.ends[0]
    level = longways._Level((planner._levels[0].lowest, planner._levels[0].highest), longways._STEPS[0])
    level.search((near.row, near.col, start[2]), (far.row, far.col, goal[2]), query.paces[0], slack=longways._ALL)

    def potential(x, y, z):
        return _lazy.to_go(level.heads, level.labels, level.query, level.step, query.fine, x, y, z + least)

    for x, y, z in reached[rng.permutation(len(reached))[:40]]:
        here = potential(x, y, z)
        for step in steps():
            there = (x + step[0], y + step[1], z + step[2])
            if all(0 <= c < n for c, n in zip(there, blocked.shape, strict=True)) and not blocked[there]:
                assert abs(potential(*there) - here) <= COSTS[sum(map(abs, step))]


def steps():
    return [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) if (a, b, c) != (0, 0, 0)]


@pytest.mark.nojit
@pytest.mark.parametrize("step", [2, 3, 4])
def test_wider_slabs_are_hulls_over_the_star(step):
    rng = np.random.default_rng(step)
    for shape in ((1, 1), (9, 6), (5, 11)):
        lowest, highest = hills(rng, shape, closed=0.3)
        for got, expected in zip(pyramid.wider(lowest, highest, step), oracle.hull(lowest, highest, step), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_narrower_slabs_let_straight_runs_pass():
    """Between neighbouring nodes of a narrower slab every column of the run is free at every height both allow."""
    rng = np.random.default_rng(5)
    runs = 0
    for step in (2, 3, 4):
        lowest, highest = hills(rng, (40, 40), band=9, closed=0.01)
        low, high = pyramid.narrower(lowest, highest, step)
        for i, j in np.argwhere(low < high):
            for u, v in ((i + 1, j), (i, j + 1), (i + 1, j + 1), (i + 1, j - 1)):
                both = max(low[i, j], low[u, v]), min(high[i, j], high[u, v])
                if both[0] >= both[1]:
                    continue
                corners = (np.array([[i, j], [u, v]]) - pyramid.PAD) * step
                for z in (both[0], both[1] - 1):
                    cells, _ = profile(lowest, highest, straighten(corners), z, z, COSTS)
                    assert len(cells) == step + 1
                    runs += 1
    assert runs > 100


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(4))
def test_labels_hold_the_relaxed_optimum_at_every_layer(seed):
    rng = np.random.default_rng([seed, 3])
    lowest, highest = hills(rng, (6, 7), relief=5.0, band=4, closed=0.2, steep=True)
    begin, end = free_voxel(rng, lowest, highest), free_voxel(rng, lowest, highest)
    pace = (4 * COSTS[1], 4 * COSTS[2], COSTS[3] - COSTS[2])
    level = longways._Level((lowest, highest), 2)
    expected = oracle.relaxed(lowest, highest, begin, pace)
    status, cost, label = level.search(begin, end, pace, slack=longways._ALL)
    if end not in expected:
        assert status == _lazy.NO_WAY
        return
    assert status == _lazy.FOUND
    assert cost == expected[end]
    for i, j, z in expected:
        waiting, best = level.heads[i, j] & 0xFFFFFFFF, _lazy.INFINITE
        while waiting > 0:
            best = min(best, level.labels[waiting, _lazy.COST] + pace[2] * abs(level.labels[waiting, _lazy.LAYER] - z))
            waiting = level.labels[waiting, _lazy.NEXT]
        assert best == expected[i, j, z]
    nodes, layers = _lazy.route(level.labels, label, lowest.shape[1])
    ground = np.abs(np.diff(nodes, axis=0)).sum(axis=1)
    climbed = np.abs(np.diff(layers)).sum() + abs(layers[-1] - end[2])
    assert sum(pace[k - 1] for k in ground) + pace[2] * climbed == cost


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(12))
def test_heights_over_given_columns_are_the_best(seed):
    rng = np.random.default_rng([seed, 4])
    lowest, highest = hills(rng, (12, 12), relief=8.0, band=5, closed=0.01, steep=bool(seed % 2))
    columns = straighten(rng.integers(0, 12, (3, 2)))
    first, last = (int(lowest[tuple(c)]) + int(rng.integers(3)) for c in columns[[0, -1]])
    cells, cost = profile(lowest, highest, columns, first, last, COSTS)
    expected = oracle.best_heights(lowest, highest, columns, first, last, COSTS)
    x, y = columns[-1]
    if math.isinf(expected) or not lowest[x, y] <= last < highest[x, y]:
        assert len(cells) == 0
        return
    assert cost == expected
    blocked, least = oracle.volume(lowest, highest)
    assert path_length(blocked, cells - [0, 0, least], False) == pytest.approx(cost / longways._UNIT, abs=1e-6)


def test_two_copies_of_constants_agree():
    assert (_slab._COST, _slab._LAYER, _slab._STATE, _slab._NEXT) == (
        _lazy.COST, _lazy.LAYER, _lazy.STATE, _lazy.NEXT,
    )  # fmt: skip
    assert _slab._PAD == _lazy._PAD == pyramid.PAD


@pytest.fixture(scope="module")
def valley():
    rng = np.random.default_rng(8)
    x, y = np.mgrid[:420, :380]
    ground = 14 * np.sin(x / 31) + 11 * np.cos(y / 23 + x / 80) + rng.uniform(0, 1.5, x.shape)
    lowest = np.round(ground).astype(np.int16)
    return lowest, (lowest + 20 + np.round(4 * np.sin(y / 9))).astype(np.int16)


def test_over_hills_both_modes_agree_with_the_grid_planner(valley):
    blocked, least = oracle.volume(*valley)
    grid, planner = GridPlanner(blocked), LongPlanner(*valley)
    rng = np.random.default_rng(9)
    for _ in range(12):
        start, goal = free_voxel(rng, *valley), free_voxel(rng, *valley)
        shift = [0, 0, least]
        optimum = grid.path(np.array(start) - shift, np.array(goal) - shift).cost
        quick = planner.path(start, goal)
        assert path_length(blocked, quick.cells - shift, False) == pytest.approx(quick.cost, abs=1e-8)
        assert quick.lower_bound <= optimum + 1e-8
        assert quick.cost <= 1.01 * quick.lower_bound
        exact = planner.path(start, goal, exact=True)
        assert exact.cost == pytest.approx(optimum, abs=1e-7)
        assert path_length(blocked, exact.cells - shift, False) == pytest.approx(exact.cost, abs=1e-8)


def test_the_promise_is_a_parameter(valley):
    planner = LongPlanner(*valley)
    start, goal = (5, 5, int(valley[0][5, 5])), (400, 300, int(valley[0][400, 300]))
    for within in (1.0, 1.002, 1.05, 1.5):
        found = planner.path(start, goal, within=within)
        assert found.cost <= within * found.lower_bound
    assert planner.path(start, goal, within=1.0).exact
    with pytest.raises(ValueError, match="within must be at least 1"):
        planner.path(start, goal, within=0.99)


def test_queues_labels_and_pages_grow(valley, monkeypatch):
    planner = LongPlanner(*valley)
    start, goal = (5, 5, int(valley[0][5, 5])), (400, 300, int(valley[0][400, 300]))
    expected = planner.path(start, goal, exact=True)
    small = LongPlanner(*valley)
    for level in (*small._levels, small._narrow):
        level.labels = np.empty((8, 8), np.int64)
    small._pool, small._queue = np.empty(4, np.int64), np.empty((4, 3), np.int64)
    found = small.path(start, goal, exact=True)
    assert found.cost == expected.cost
    np.testing.assert_array_equal(found.cells, expected.cells)


def test_answers_do_not_depend_on_earlier_questions(valley):
    rng = np.random.default_rng(3)
    questions = [(free_voxel(rng, *valley), free_voxel(rng, *valley)) for _ in range(4)]
    shared = LongPlanner(*valley)
    for _ in range(2):
        for start, goal in questions:
            for exact in (False, True):
                one, other = shared.path(start, goal, exact=exact), LongPlanner(*valley).path(start, goal, exact=exact)
                np.testing.assert_array_equal(one.cells, other.cells)
                assert one.lower_bound == other.lower_bound


def test_memory_maps_are_read_in_place(valley, tmp_path):
    maps = []
    for name, array in zip(("lowest", "highest"), valley, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    planner = LongPlanner(*maps)
    assert np.shares_memory(planner._lowest, maps[0])
    start, goal = (5, 5, int(valley[0][5, 5])), (400, 300, int(valley[0][400, 300]))
    np.testing.assert_array_equal(planner.path(start, goal).cells, LongPlanner(*valley).path(start, goal).cells)


def test_a_wall_with_one_gap_is_passed_at_the_gap_and_a_whole_wall_is_not():
    lowest, highest = np.zeros((90, 60), np.int16), np.full((90, 60), 12, np.int16)
    lowest[40:43] = 20
    planner = LongPlanner(lowest, highest)
    for exact in (False, True):
        with pytest.raises(NoPath, match="no way"):
            planner.path((5, 5, 3), (80, 50, 3), exact=exact)
    lowest[40:43, 7] = 0  # one column wide: no narrower node is open there
    check(lowest, highest, (5, 5, 3), (80, 50, 3))


def test_the_start_is_the_goal():
    found = LongPlanner(np.zeros((5, 5), np.int16), np.full((5, 5), 9, np.int16)).path((2, 2, 3), (2, 2, 3))
    assert found.cells.tolist() == [[2, 2, 3]]
    assert (found.cost, found.lower_bound, found.exact) == (0.0, 0.0, True)


def test_what_cannot_be_asked_is_refused():
    lowest, highest = np.zeros((6, 5), np.int16), np.full((6, 5), 9, np.int16)
    highest[3, 3] = 0
    planner = LongPlanner(lowest, highest)
    with pytest.raises(NoPath, match=r"the goal \(3, 3, 1\) lies in a closed column"):
        planner.path((0, 0, 1), (3, 3, 1))
    with pytest.raises(NoPath, match=r"the start \(0, 0, 9\) is not free: its column is free from 0 to 8"):
        planner.path((0, 0, 9), (1, 1, 1))
    with pytest.raises(ValueError, match="outside the slab"):
        planner.path((0, 5, 1), (1, 1, 1))
    with pytest.raises(ValueError, match="three integers"):
        planner.path((0.0, 1.0, 1.0), (1, 1, 1))
    with pytest.raises(ValueError, match="int16"):
        LongPlanner(lowest.astype(np.int32), highest)
    with pytest.raises(ValueError, match="one shape"):
        LongPlanner(lowest, highest[:3])


def test_the_potential_is_written_twice_and_is_one():
    """The compile cache watches one file, so the two kernels that share it each have a copy."""

    def body(function) -> str:
        source = inspect.getsource(getattr(function, "py_func", function))
        code = source[source.index('"""', source.index('"""') + 3) + 3 :]
        for own, other in (("_COST", "COST"), ("_LAYER", "LAYER"), ("_STATE", "STATE"), ("_NEXT", "NEXT")):
            code = code.replace(f"n, {own}]", f"n, {other}]")
        return code.replace("_INFINITE", "INFINITE").replace("& 3 == _CLOSED", "& 3 == 1")

    assert _lazy._CLOSED == 1
    assert body(_slab._potential) == body(_lazy.to_go)
