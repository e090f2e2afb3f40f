"""The cost planner against Dijkstra over the same rule of edges, its bounds over all pairs, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.costs import STEPS, all_half_steps, costs_from, edges, half_step, way_cost
from utm.core import GridPlanner, _cheapest, segment_clear
from utm.core import costs as costs_module
from utm.core.costs import CostPlanner, shorten_by_cost, step_costs
from utm.core.layers import combined, near_obstacles, over_people
from utm.errors import NoPath
from utm.model import AIRCRAFT_CLASSES, Objective

QUAD = AIRCRAFT_CLASSES["quad"]
TOLERANCE = 1e-9


@dataclasses.dataclass
class Case:
    """A volume, its costs, the planner, and the oracle's table."""

    blocked: np.ndarray
    planner: CostPlanner
    table: dict

    @property
    def free(self) -> list[tuple[int, ...]]:
        return list(map(tuple, np.argwhere(~self.blocked).tolist()))


def case(rng, shape, *, share, objective, extra, gusts, flat=False) -> Case:
    """Random obstacles, factors up to 1 + extra (columns where flat) and winds of so many metres per second."""
    blocked = rng.random(shape) < share
    columns = (*shape[:2], 1) if flat else shape
    least = rng.choice([1.0, 1.7])
    factor = least + extra * rng.random(columns)
    winds = rng.normal(0, 1, (6, 2)) * gusts
    wind = winds[rng.integers(6, size=(1, 1, shape[2]) if flat else shape)]
    planner = CostPlanner(blocked, factor=factor, aircraft=QUAD, objective=objective, wind_m_s=wind, cell_m=2.0)
    whole_factor, whole_wind = np.broadcast_to(factor, shape), np.broadcast_to(wind, (*shape, 2))
    return Case(blocked, planner, all_half_steps(blocked, whole_factor, QUAD, objective, whole_wind, 2.0))


def check_all_goals(one: Case, start, goals) -> None:
    expected = costs_from(one.blocked, one.table, start)
    for goal in goals:
        if goal not in expected:
            with pytest.raises(NoPath):
                one.planner.path(start, goal)
            continue
        found = one.planner.path(start, goal)
        assert found.cost == pytest.approx(expected[goal], rel=TOLERANCE, abs=1e-12)
        assert way_cost(one.blocked, one.table, found.cells) == pytest.approx(found.cost, rel=TOLERANCE, abs=1e-12)
        assert tuple(found.cells[0]) == start
        assert tuple(found.cells[-1]) == goal
        assert found.unweighed <= found.cost * (1 + TOLERANCE)
        # A straight piece from centre to centre costs what its step does.
        assert one.planner.segment_cost(found.cells + 0.5) == pytest.approx(found.cost, rel=1e-8, abs=1e-12)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
fields = {
    "share": st.sampled_from([0.0, 0.1, 0.3]),
    "objective": st.sampled_from(Objective),
    "extra": st.sampled_from([0.0, 1.0, 30.0]),
    "gusts": st.sampled_from([0.0, 3.0, 9.0, 14.0]),
    "flat": st.booleans(),
}


@settings(max_examples=50, deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), **fields)
def test_every_way_costs_what_dijkstra_says(shape, seed, share, objective, extra, gusts, flat):
    rng = np.random.default_rng(seed)
    one = case(rng, shape, share=share, objective=objective, extra=extra, gusts=gusts, flat=flat)
    free = one.free
    if free:
        start = free[rng.integers(len(free))]
        check_all_goals(one, start, [free[n] for n in rng.permutation(len(free))[:12]])


@pytest.mark.nojit
@pytest.mark.parametrize("objective", Objective)
def test_a_tiny_volume_holds_without_the_compiler_too(objective):
    rng = np.random.default_rng(3)
    one = case(rng, (4, 3, 3), share=0.15, objective=objective, extra=3.0, gusts=5.0, flat=True)
    assert len(one.planner._columns[0]) == 12  # the bound from above is at work
    check_all_goals(one, one.free[0], one.free[-6:])


@pytest.mark.slow
def test_larger_volumes_hold():
    rng = np.random.default_rng(11)
    for objective, flat in itertools.product(Objective, [True, False]):
        one = case(rng, (12, 11, 8), share=0.25, objective=objective, extra=5.0, gusts=6.0, flat=flat)
        free = one.free
        check_all_goals(one, free[0], [free[n] for n in rng.permutation(len(free))[:60]])


def bounds_to(planner: CostPlanner, goal) -> dict:
    """The estimate at every free voxel, units, as a search for this goal from anywhere sees it."""
    column, _, up, down = planner._columns
    nx, ny, _ = planner.shape
    found = {}
    for cell in map(tuple, np.argwhere(~planner.blocked).tolist()):
        reach = np.empty(0, np.int64)
        if len(column):
            queue = np.empty((20 * nx * ny, 2), np.int64)
            status, reach = _cheapest.from_above(
                planner.shape, cell, goal, queue, planner._ring, planner._shift, column, planner._columns[1]
            )
            if status == _cheapest.NO_WAY:
                continue
        found[cell] = [
            _cheapest.estimate(*other, goal, planner._duals, planner._dual_counts, reach, planner.shape[1], up, down)
            for other in map(tuple, np.argwhere(~planner.blocked).tolist())
        ]
    return found


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    seed=st.integers(0, 2**32 - 1),
    **fields,
)
def test_the_estimate_is_consistent_over_every_step_and_nought_at_the_goal(
    shape, seed, share, objective, extra, gusts, flat
):
    rng = np.random.default_rng(seed)
    one = case(rng, shape, share=share, objective=objective, extra=extra, gusts=gusts, flat=flat)
    free, planner = one.free, one.planner
    if not free:
        return
    goal = free[rng.integers(len(free))]
    halves, factor = planner._halves, np.broadcast_to(planner._factor, shape)
    numbers = np.broadcast_to(
        np.arange(len(halves)).reshape(planner._wind.shape[:3] if len(halves) > 1 else (1, 1, 1)), shape
    )

    def units(cell, step):
        parts = halves[numbers[cell], STEPS.index(step)]
        return sum(math.floor(factor[cell] * part + 0.5) for part in parts)

    for estimates in bounds_to(planner, goal).values():
        bound = dict(zip(free, estimates, strict=True))
        assert bound[goal] == 0
        for cell in free:
            for there, _ in edges(one.blocked, one.table, cell):
                step = tuple(b - a for a, b in zip(cell, there, strict=True))
                cost = units(cell, step) + units(there, step)  # integers: no tolerance
                assert bound[cell] - bound[there] <= cost


def test_the_estimate_for_plain_length_is_the_octile_distance():
    planner = CostPlanner(np.zeros((5, 4, 3), bool))
    unit = 2**32
    for dx, dy, dz in itertools.product((-4, 0, 2), (-3, 0, 1), (-2, 0, 2)):
        found = _cheapest.estimate(
            0, 0, 0, (dx, dy, dz), planner._duals, planner._dual_counts, np.empty(0, np.int64), 4, 0, 0
        )
        c, b, a = sorted(map(abs, (dx, dy, dz)))
        octile = a + b * (math.sqrt(2) - 1) + c * (math.sqrt(3) - math.sqrt(2))
        assert found / unit == pytest.approx(octile, rel=TOLERANCE)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_without_factors_the_plain_planner_agrees(share):
    rng = np.random.default_rng(5)
    blocked = rng.random((20, 18, 9)) < share
    free = np.argwhere(~blocked)
    weighed, plain = CostPlanner(blocked, cell_m=2.0), GridPlanner(blocked)
    for start, goal in free[rng.integers(len(free), size=(40, 2))]:
        try:
            expected = 2.0 * plain.path(start, goal).cost
        except NoPath:
            with pytest.raises(NoPath):
                weighed.path(start, goal)
            continue
        found = weighed.path(start, goal)
        assert found.cost == pytest.approx(expected, rel=TOLERANCE)
        assert found.unweighed == pytest.approx(expected, rel=TOLERANCE)


def test_a_constant_factor_multiplies_and_nothing_else():
    blocked = np.random.default_rng(2).random((15, 15, 6)) < 0.2
    start, goal = np.argwhere(~blocked)[[0, -1]]
    plain, dear = CostPlanner(blocked), CostPlanner(blocked, factor=2.5)
    assert dear.path(start, goal).cost == pytest.approx(2.5 * plain.path(start, goal).cost, rel=TOLERANCE)
    assert dear.path(start, goal).unweighed == pytest.approx(plain.path(start, goal).cost, rel=TOLERANCE)


@given(
    objective=st.sampled_from(Objective),
    wind=st.tuples(st.integers(-16, 16), st.integers(-16, 16)),
    cell_m=st.sampled_from([1.0, 2.0, 10.0]),
)
@settings(deadline=None)
def test_steps_cost_what_the_rule_says(objective, wind, cell_m):
    found = step_costs(QUAD, objective, cell_m, wind)
    expected = np.array([2 * half_step(QUAD, objective, cell_m, wind, step) for step in STEPS])
    assert found == pytest.approx(expected, rel=1e-9)


def shear(tail_m_s, head_m_s, length=60):
    """A corridor length x 1 x 6 with a head wind below and a tail wind above, flown towards the east."""
    wind = np.zeros((1, 1, 6, 2))
    wind[0, 0, :3, 0], wind[0, 0, 3:, 0] = -head_m_s, tail_m_s
    return np.zeros((length, 1, 6), bool), wind


@pytest.mark.parametrize("objective", [Objective.TIME, Objective.ENERGY])
def test_time_and_energy_climb_into_a_tail_wind_where_length_stays(objective):
    blocked, wind = shear(3.0, 11.0)
    start, goal = (0, 0, 1), (59, 0, 1)
    length = CostPlanner(blocked, aircraft=QUAD, wind_m_s=wind, cell_m=4.0).path(start, goal)
    assert (length.cells[:, 2] == 1).all()
    planner = CostPlanner(blocked, aircraft=QUAD, objective=objective, wind_m_s=wind, cell_m=4.0)
    found = planner.path(start, goal)
    assert (found.cells[:, 2] >= 3).mean() > 0.8
    assert found.cost < 0.8 * planner.segment_cost(length.cells + 0.5)
    # On the way back the wind below pushes.
    assert (planner.path(goal, start).cells[:, 2] == 1).all()
    # In calm air nothing is gained by climbing.
    calm = CostPlanner(blocked, aircraft=QUAD, objective=objective, cell_m=4.0).path(start, goal)
    assert (calm.cells[:, 2] == 1).all()


def test_time_and_energy_are_not_the_same_wish():
    """A head wind of 7 m/s leaves cruise speed over the ground, so it costs energy and no time."""
    blocked, wind = shear(0.0, 7.0, length=200)
    planners = {
        objective: CostPlanner(blocked, aircraft=QUAD, objective=objective, wind_m_s=wind, cell_m=4.0)
        for objective in Objective
    }
    found = {objective: planner.path((0, 0, 2), (199, 0, 2)) for objective, planner in planners.items()}
    assert (found[Objective.TIME].cells[:, 2] == 2).all()
    assert (found[Objective.ENERGY].cells[:, 2] == 3).mean() > 0.9
    assert found[Objective.ENERGY].cost < planners[Objective.ENERGY].segment_cost(found[Objective.TIME].cells + 0.5)


def test_a_factor_is_worth_its_detour_and_no_more():
    blocked = np.zeros((21, 9, 1), bool)
    for dear, around in ((1.2, False), (5.0, True)):
        factor = np.ones((21, 9, 1))
        factor[8:13, 2:7] = dear
        cells = CostPlanner(blocked, factor=factor).path((0, 4, 0), (20, 4, 0)).cells
        inside = factor[cells[:, 0], cells[:, 1], 0] > 1
        assert inside.any() != around


def test_segments_are_integrated_exactly():
    factor = np.ones((3, 2, 2))
    factor[1], factor[2] = 4.0, 10.0
    planner = CostPlanner(np.zeros((3, 2, 2), bool), factor=factor, cell_m=2.0)
    assert planner.segment_cost([[0.25, 0.5, 0.5], [2.75, 0.5, 0.5]]) == pytest.approx(2 * (0.75 + 4 + 7.5))
    slanted = 2 * math.hypot(2.5, 1.0, 0.7)
    assert planner.segment_cost([[0.25, 0.3, 0.1], [2.75, 1.3, 0.8]]) == pytest.approx(slanted * (0.3 + 1.6 + 3.0))
    # Along a face the dearer side counts; a point costs nothing.
    assert planner.segment_cost([[1.0, 0.2, 0.5], [1.0, 1.2, 0.5]]) == pytest.approx(2 * 4)
    assert planner.segment_cost([[3.0, 0.0, 0.0], [3.0, 2.0, 0.0]]) == pytest.approx(4 * 10)
    assert planner.segment_cost([[1.0, 1.0, 1.0]]) == 0.0
    assert planner.segment_cost([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]) == 0.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), objective=st.sampled_from(Objective))
def test_segments_agree_with_many_small_pieces(seed, objective):
    rng = np.random.default_rng(seed)
    one = case(rng, (6, 5, 4), share=0.0, objective=objective, extra=4.0, gusts=3.0)
    a, b = rng.random((2, 3)) * (6, 5, 4)
    middles = a + (np.arange(500)[:, None] + 0.5) / 500 * (b - a)
    total = 0.0
    rates: dict = {}
    for cell in map(tuple, np.floor(middles).astype(int).tolist()):
        if cell not in rates:  # the planner's own price of one piece, in the one voxel that it lies in
            rates[cell] = one.planner._rates(np.array([cell]), (b - a)[None] * 2.0 / 500)[0]
        total += rates[cell]
    assert one.planner.segment_cost([a, b]) == pytest.approx(total, rel=3e-2)
    halfway = a + 0.37 * (b - a)
    assert one.planner.segment_cost([a, halfway, b]) == pytest.approx(one.planner.segment_cost([a, b]), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), objective=st.sampled_from(Objective), extra=st.sampled_from([0.0, 1.0, 10.0]))
def test_shortened_ways_are_clear_and_never_dearer(seed, objective, extra):
    rng = np.random.default_rng(seed)
    one = case(rng, (8, 7, 4), share=0.15, objective=objective, extra=extra, gusts=4.0)
    start, goal = (one.free[n] for n in rng.integers(len(one.free), size=2))
    try:
        found = one.planner.path(start, goal)
    except NoPath:
        return
    points = shorten_by_cost(one.planner, found.cells, np.add(start, 0.5), np.add(goal, 0.5))
    assert points[0].tolist() == np.add(start, 0.5).tolist()
    assert points[-1].tolist() == np.add(goal, 0.5).tolist()
    assert one.planner.segment_cost(points) <= found.cost * (1 + 1e-9)
    for a, b in itertools.pairwise(points):
        assert segment_clear(one.blocked, a, b)


def test_a_shortened_way_leaves_the_stairs_and_keeps_the_detour():
    blocked = np.zeros((30, 30, 3), bool)
    dear = np.ones((30, 30, 1))
    dear[8:22, 0:18] = 6.0
    planner = CostPlanner(blocked, factor=dear)
    cells = planner.path((2, 5, 1), (27, 7, 1)).cells
    points = shorten_by_cost(planner, cells, (2.5, 5.5, 1.5), (27.5, 7.5, 1.5))
    assert len(points) <= 6
    assert planner.segment_cost(points) < 0.99 * planner.segment_cost(cells + 0.5)
    assert planner.segment_cost(points) < 0.8 * planner.segment_cost(points[[0, -1]])


def test_shortening_asks_for_a_way_that_is_clear():
    blocked = np.zeros((4, 1, 1), bool)
    blocked[2] = True
    planner = CostPlanner(blocked)
    cells = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    with pytest.raises(ValueError, match="not clear"):
        shorten_by_cost(planner, cells, (0.5, 0.5, 0.5), (3.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="start"):
        shorten_by_cost(planner, cells[:2], (3.5, 0.5, 0.5), (1.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="integers"):
        shorten_by_cost(planner, cells[:2] + 0.5, (0.5, 0.5, 0.5), (1.5, 0.5, 0.5))


FREE = np.zeros((3, 4, 5), bool)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"factor": 0.5}, "between 1 and"),
        ({"factor": np.full((3, 4, 5), math.nan)}, "between 1 and"),
        ({"factor": math.inf}, "block what must not be entered"),
        ({"factor": 1e5}, "block what must not be entered"),
        ({"factor": np.ones((3, 4))}, r"\(nx, ny, 1\)"),
        ({"factor": np.ones((2, 3, 4, 5))}, "does not fit"),
        ({"wind_m_s": (1.0, 0.0)}, "depends on the aircraft"),
        ({"objective": Objective.TIME}, "depends on the aircraft"),
        ({"objective": "energy"}, "depends on the aircraft"),
        ({"objective": "beauty"}, "beauty"),
        ({"wind_m_s": np.zeros((5, 3)), "aircraft": QUAD}, r"\(1, 1, nz, 2\)"),
        ({"wind_m_s": np.zeros(()), "aircraft": QUAD}, r"\(1, 1, nz, 2\)"),
        ({"wind_m_s": np.full((5, 2), math.nan), "aircraft": QUAD}, "finite"),
        ({"cell_m": 0.0}, "cell_m"),
        ({"blocked": np.zeros((3, 4, 5))}, "boolean"),
        ({"blocked": np.zeros((3, 4), bool)}, "boolean"),
    ],
)
def test_what_would_break_the_bounds_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        CostPlanner(**{"blocked": FREE, **arguments})


def test_a_wind_that_is_too_strong_is_named():
    wind = np.zeros((5, 2))
    wind[2] = (0.0, 17.0)
    planner = CostPlanner(FREE, aircraft=QUAD, wind_m_s=wind)
    assert planner.path((0, 0, 0), (2, 3, 1)).cost > 0
    for start, goal in (((0, 0, 0), (2, 3, 4)), ((0, 0, 2), (0, 0, 0)), ((0, 0, 0), (0, 0, 2))):
        with pytest.raises(NoPath, match=r"wind is too strong for quad on every way .* makes 15 m/s"):
            planner.path(start, goal)
    walled = FREE.copy()
    walled[1] = True
    with pytest.raises(NoPath, match=r"no way .*, whatever the wind"):
        CostPlanner(walled, aircraft=QUAD, wind_m_s=wind).path((0, 0, 0), (2, 3, 4))
    with pytest.raises(NoPath, match=r"no way from \(0, 0, 0\) to \(2, 3, 4\)$"):
        CostPlanner(walled, factor=over_people(np.array([[1e4] * 4] * 3), 1.0)).path((0, 0, 0), (2, 3, 4))
    everywhere = CostPlanner(FREE, aircraft=QUAD, wind_m_s=(20.0, 0.0))
    for goal in ((2, 3, 4), (0, 0, 1), (1, 0, 0)):
        with pytest.raises(NoPath, match="wind is too strong"):
            everywhere.path((0, 0, 0), goal)
    assert math.isinf(everywhere.segment_cost([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]]))


def test_ends_must_be_free_voxels_of_the_volume():
    blocked = FREE.copy()
    blocked[0, 0, 0] = True
    planner = CostPlanner(blocked)
    with pytest.raises(NoPath, match=r"start .* is blocked"):
        planner.path((0, 0, 0), (1, 1, 1))
    with pytest.raises(NoPath, match=r"goal .* is blocked"):
        planner.path((1, 1, 1), (0, 0, 0))
    with pytest.raises(ValueError, match="outside"):
        planner.path((1, 1, 5), (1, 1, 1))
    with pytest.raises(ValueError, match="three integers"):
        planner.path((1.0, 1.0, 1.0), (1, 1, 1))
    with pytest.raises(ValueError, match="within the volume"):
        planner.segment_cost([[0.0, 0.0, 5.1]])
    with pytest.raises(ValueError, match="finite"):
        planner.segment_cost([0.0, 0.0, 1.0])
    assert planner.path((1, 1, 1), (1, 1, 1)).cost == 0.0
    with pytest.raises(NoPath, match="blocked"):
        CostPlanner(np.ones((2, 2, 2), bool)).path((0, 0, 0), (1, 1, 1))


def test_dear_factors_in_buildings_do_not_matter():
    """The ring is as long as the dearest free step asks for, and the least factor is that of free voxels."""
    blocked = np.zeros((6, 5, 4), bool)
    blocked[3, :, :3] = True
    factor = np.full((6, 5, 4), 2.0)
    factor[3, :, :3] = np.where(np.arange(5)[:, None] % 2, 1.0, 9e3)
    one, other = CostPlanner(blocked, factor=factor), CostPlanner(blocked, factor=2.0)
    assert len(one._ring) == len(other._ring)
    assert one.path((0, 0, 0), (5, 4, 0)).cost == pytest.approx(other.path((0, 0, 0), (5, 4, 0)).cost)


def test_very_dear_voxels_are_crossed_where_they_must_be():
    """Buckets wider than a step: voxels are opened twice, and the way is still the cheapest."""
    rng = np.random.default_rng(8)
    blocked = rng.random((6, 6, 4)) < 0.1
    factor = np.where(rng.random(blocked.shape) < 0.6, 1e4, 1.0) * rng.uniform(0.5, 1.0, blocked.shape).clip(1 / 1e4)
    factor = np.maximum(factor, 1.0)
    planner = CostPlanner(blocked, factor=factor)
    assert planner._shift > costs_module._BITS - 7
    table = all_half_steps(blocked, factor, None, Objective.LENGTH, np.zeros((*blocked.shape, 2)), 1.0)
    one = Case(blocked, planner, table)
    check_all_goals(one, one.free[0], one.free[1::3])


def test_more_than_can_be_counted_is_said():
    factor = np.full((60_000, 1, 1), 1e4)
    factor[0] = 1.0
    planner = CostPlanner(np.zeros(factor.shape, bool), factor=factor)
    assert planner.path((0, 0, 0), (50_000, 0, 0)).cost == pytest.approx(5e8 - 9999 / 2, rel=TOLERANCE)
    with pytest.raises(NoPath, match="more than can be counted; lower the factors"):
        planner.path((0, 0, 0), (59_999, 0, 0))


def test_threads_take_turns():
    rng = np.random.default_rng(4)
    blocked = rng.random((30, 30, 8)) < 0.2
    factor = combined(over_people(rng.random((30, 30)) * 2e4, 2.0), near_obstacles(rng.random((30, 30, 8)), 1.0, 1.0))
    planner = CostPlanner(blocked, factor=factor)
    free = np.argwhere(~blocked)
    pairs = free[rng.integers(len(free), size=(20, 2))]
    expected = [planner.path(*pair).cost for pair in pairs]
    results: dict[int, list[float]] = {}

    def work(number):
        results[number] = [planner.path(*pair).cost for pair in pairs]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 3
