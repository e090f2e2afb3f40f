"""Safe-interval search against sets of times grown until they stay, and every way against the reservations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.safeintervals import Oracle, World
from utm.core._safeintervals import moving
from utm.core.conflict import MARGIN_M, MARGIN_S, forbidden_delays, in_conflict
from utm.core.safeintervals import STEPS, SafeIntervalPlanner, TimedPath
from utm.errors import NoPath
from utm.model import Trajectory

NOW = 1.76e9
#: Rounding of times that the planner and the oracle may differ by, seconds: both widen by microseconds at every move.
CLOSE_S = 1e-4


def world(
    blocked, *, hover=True, stop_s=0.0, factor=None, climb_m_s=2.5, descent_m_s=2.0, origin_m=(100.0, -50.0, 7.0)
):
    blocked = np.asarray(blocked, bool)
    factor = np.ones(blocked.shape) if factor is None else factor
    return World(blocked, 10.0, 10.0, climb_m_s, descent_m_s, hover, stop_s, factor, np.array(origin_m), [])


def planner_of(w: World) -> SafeIntervalPlanner:
    planner = SafeIntervalPlanner(
        w.blocked,
        w.cell_m,
        cruise_m_s=w.cruise_m_s,
        climb_m_s=w.climb_m_s,
        descent_m_s=w.descent_m_s,
        hover=w.hover,
        stop_s=w.stop_s,
        factor=None if (w.factor == 1).all() else w.factor,
        origin_m=w.origin_m,
    )
    for number, reservation in enumerate(w.reservations):
        planner.reserve(number, *reservation)
    return planner


def line(w: World, *stops: tuple) -> Trajectory:
    """A flight through (seconds from now, i, j, k), in grid coordinates: (0.5, 0.5, 0.5) is a centre."""
    return Trajectory([NOW + s[0] for s in stops], [w.origin_m + np.array(s[1:]) * w.cell_m for s in stops])


def check(w: World, found: TimedPath, start, goal, hold) -> None:
    """Every step is permitted and takes its time; nobody is met; what the path says of itself holds."""
    assert tuple(found.cells[0]) == tuple(start)
    assert tuple(found.cells[-1]) == tuple(goal)
    oracle = Oracle(w, NOW, NOW, 0.0)
    cost, before = 0.0, None
    for n, (one, other) in enumerate(itertools.pairwise(map(tuple, found.cells.tolist()))):
        step = np.subtract(other, one)
        kind = "level" if step[2] == 0 else "vertical"
        steps = {there[0]: rest for there, *rest in oracle.moves((one, before or kind))}
        stop, seconds, dear = steps[other]
        cost += dear
        assert found.arrive_s[n + 1] - found.leave_s[n] == pytest.approx(seconds, abs=2e-6)
        waited = found.leave_s[n] - found.arrive_s[n]
        assert waited >= stop
        assert w.hover or waited == pytest.approx(stop, abs=2e-6)
        before = kind
    assert found.cost == pytest.approx(cost, abs=1e-3)
    flight = found.trajectory()
    assert (flight.start_s, flight.end_s) == (found.depart_s, found.arrival_s)
    for reserved, *limits in w.reservations:
        assert not in_conflict(reserved, flight.held(hold, hold), *limits)
    points, waits = found.corners()
    assert len(points) == len(waits)
    legs = np.diff(points, axis=0)
    assert ((legs[:, 2] == 0) | (legs[:, :2] == 0).all(axis=1)).all()
    speeds = np.where(legs[:, 2] == 0, w.cruise_m_s, np.where(legs[:, 2] > 0, w.climb_m_s, w.descent_m_s))
    assert waits.sum() + (np.linalg.norm(legs, axis=1) / speeds).sum() == pytest.approx(
        found.arrival_s - found.depart_s, abs=1e-3
    )


def agree(w: World, start, goal, *, within=40.0, hold=0.0, planner=None) -> TimedPath | None:
    """The planner and the oracle say the same; what they say."""
    planner = planner or planner_of(w)
    oracle = Oracle(w, NOW, NOW + within, hold)
    least = oracle.least_arrival(start, goal)
    if math.isinf(least):
        with pytest.raises(NoPath):
            planner.path(start, goal, NOW, NOW + within, hold_s=hold)
        return None
    found = planner.path(start, goal, NOW, NOW + within, hold_s=hold)
    check(w, found, start, goal, hold)
    assert found.depart_s >= NOW
    assert found.arrival_s == pytest.approx(least, abs=CLOSE_S)
    cheapest = oracle.least_cost(start, goal, least + CLOSE_S)
    assert found.cost >= cheapest - 1e-3
    # Ways that arrive as one that is barely possible may or may not count: then both answers are right.
    assert found.cost <= oracle.least_cost(start, goal, least + 2e-6) + 1e-3
    return found


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_alone_it_flies_the_shortest_way_at_once(hover):
    found = agree(world(np.zeros((5, 3, 2)), hover=hover), (0, 0, 0), (4, 1, 1))
    assert found.depart_s == NOW
    assert found.arrival_s == pytest.approx(NOW + 3 + math.sqrt(2) + 4, abs=1e-4)


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_a_head_on_street_is_waited_for_on_the_ground(hover):
    w = world(np.zeros((6, 1, 1)), hover=hover)
    w.reservations.append((line(w, (0, 6.5, 0.5, 0.5), (7, -0.5, 0.5, 0.5)), 7.0, 4.0, 0.5))
    found = agree(w, (0, 0, 0), (5, 0, 0))
    assert found.depart_s > NOW + 6
    assert (found.leave_s[1:] == found.arrive_s[1:])[:-1].all()


@pytest.mark.nojit
def test_it_backs_off_into_a_side_street_and_hovers_there():
    """The start is taken away early and the goal far: it must go into the street, aside, and on."""
    blocked = np.ones((7, 2, 1), bool)
    blocked[:, 0] = False
    blocked[2, 1] = False
    w = world(blocked)
    w.reservations.append((line(w, (2, 6.5, 0.5, 0.5), (16, 0.5, 0.5, 0.5), (40, 0.5, 0.5, 0.5)), 7.0, 4.0, 0.0))
    found = agree(w, (0, 0, 0), (6, 0, 0))
    assert [2, 1, 0] in found.cells.tolist()
    assert (found.leave_s - found.arrive_s).max() > 1
    w.hover = False
    assert agree(w, (0, 0, 0), (6, 0, 0)) is None


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
@pytest.mark.parametrize("stop_s", [0.0, 1.0])
def test_it_climbs_over_one_that_stays(hover, stop_s):
    w = world(np.zeros((5, 1, 2)), hover=hover, stop_s=stop_s)
    w.reservations.append((line(w, (-100, 2.5, 0.5, 0.5), (100, 2.5, 0.5, 0.5)), 7.0, 4.0, 0.0))
    found = agree(w, (0, 0, 0), (4, 0, 0))
    assert found.cells[:, 2].max() == 1
    assert found.arrival_s == pytest.approx(NOW + 4 + 4 + 5 + 2 * stop_s, abs=1e-4)


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_it_flies_around_one_that_stays(hover):
    w = world(np.zeros((5, 3, 1)), hover=hover)
    w.reservations.append((line(w, (-100, 2.5, 0.5, 0.5), (100, 2.5, 0.5, 0.5)), 7.5, 4.0, 0.0))
    found = agree(w, (0, 0, 0), (4, 0, 0))
    assert found.cells[:, 1].max() >= 1


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_no_way_past_one_that_stays(hover):
    w = world(np.zeros((4, 1, 1)), hover=hover)
    w.reservations.append((line(w, (-100, 2.5, 0.5, 0.5), (100, 2.5, 0.5, 0.5)), 5.0, 4.0, 0.0))
    assert agree(w, (0, 0, 0), (3, 0, 0)) is None


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_pads_are_free_for_the_hold_before_and_after(hover):
    w = world(np.zeros((4, 1, 1)), hover=hover)
    w.reservations.append((line(w, (-5, 0.5, 0.5, 0.5), (1, 0.5, 0.5, 0.5)), 3.0, 4.0, 0.0))
    w.reservations.append((line(w, (9, 3.5, 0.5, 0.5), (12, 3.5, 0.5, 0.5)), 3.0, 4.0, 0.0))
    found = agree(w, (0, 0, 0), (3, 0, 0), hold=3.0)
    assert found.depart_s >= NOW + 4
    assert found.arrival_s >= NOW + 12


@pytest.mark.nojit
@pytest.mark.parametrize("hover", [True, False])
def test_what_is_released_is_forgotten_and_what_is_dearer_is_flown_around(hover):
    factor = np.ones((5, 3, 1))
    factor[2, 1] = 3.0
    w = world(np.zeros((5, 3, 1)), hover=hover, factor=factor)
    planner = planner_of(w)
    alone = planner.path((0, 1, 0), (4, 1, 0), NOW, NOW + 60)
    assert alone.cost == pytest.approx(6.0, abs=1e-4)  # straight on: the way around takes longer
    planner.reserve(5, line(w, (-9, 2.5, 1.5, 0.5), (4, 2.5, 1.5, 0.5)), 8.0, 4.0)
    late = planner.path((0, 1, 0), (4, 1, 0), NOW, NOW + 60)
    assert late.arrival_s > alone.arrival_s
    assert 5 in planner
    assert len(planner) == 1
    planner.release(5)
    assert len(planner) == 0
    again = planner.path((0, 1, 0), (4, 1, 0), NOW, NOW + 60)
    assert (again.cells == alone.cells).all()
    assert (again.leave_s == alone.leave_s).all()


@pytest.mark.parametrize("hover", [True, False])
@pytest.mark.parametrize("stop_s", [0.0, 2.0])
def test_answers_depend_on_the_reservations_alone(hover, stop_s):
    """Whatever came and went before, and whatever was asked: the same as of a planner that is new. The volume has many
    bricks, and the searches outgrow their first tables."""
    rng = np.random.default_rng(11)
    w = world(rng.random((23, 19, 5)) < 0.15, hover=hover, stop_s=stop_s)
    old, lines = planner_of(w), {}
    for number in range(60):
        crowd = random_world(rng, w.blocked.shape, hover, stop_s, False).reservations
        lines[number] = (crowd[0][0].delayed(rng.uniform(0, 30)), *crowd[0][1:])
        old.reserve(number, *lines[number])
        if number % 3 == 2:
            gone = int(rng.choice(list(lines)))
            old.release(gone)
            del lines[gone]
        if number % 10 != 9:
            continue
        w.reservations = list(lines.values())
        new = planner_of(w)
        for _ in range(5):
            start, goal = asked(rng, w)
            try:
                found = old.path(start, goal, NOW, NOW + 120)
            except NoPath:
                with pytest.raises(NoPath):
                    new.path(start, goal, NOW, NOW + 120)
                continue
            other = new.path(start, goal, NOW, NOW + 120)
            check(w, found, start, goal, 0.0)
            assert (found.arrival_s, found.cost) == (other.arrival_s, other.cost)


def random_world(rng: np.random.Generator, shape, hover, stop_s, weighed, most=6) -> World:
    """A few others that cross the volume, mostly through centres, and rest in it."""
    blocked = rng.random(shape) < rng.choice([0.0, 0.2, 0.4])
    factor = rng.integers(1, 4, shape).astype(float) if weighed else None
    w = world(blocked, hover=hover, stop_s=stop_s, factor=factor, climb_m_s=rng.choice([2.5, 4.0, 10.0]))
    for _ in range(rng.integers(1, most + 1)):
        count = rng.integers(2, 6)
        times = np.cumsum(rng.choice([0.3, 1.0, 2.0, 3.7], count)) + rng.choice([-3.0, 0.0, 2.0, 6.0])
        if rng.random() < 0.6:
            places = rng.integers(0, shape, (count, 3)) + 0.5
        else:
            places = rng.uniform(-1, np.array(shape) + 1, (count, 3))
        if rng.random() < 0.5:
            places[:, 2] = places[0, 2]
        if rng.random() < 0.3:
            places[1] = places[0]
        limits = rng.choice([2.0, 4.9, 7.3, 10.0]), rng.choice([3.0, 4.0, 11.0]), rng.choice([0.0, 0.25, 1.0])
        w.reservations.append((line(w, *np.column_stack([times, places]).tolist()), *limits))
    return w


def asked(rng: np.random.Generator, w: World) -> tuple[tuple, tuple] | None:
    free = np.argwhere(~w.blocked)
    if len(free) < 2:
        return None
    one, other = rng.choice(len(free), 2, replace=False)
    return tuple(free[one].tolist()), tuple(free[other].tolist())


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(4, 1, 1), (3, 3, 1), (3, 2, 2), (5, 2, 1), (4, 1, 2)]),
    hover=st.booleans(),
    stop_s=st.sampled_from([0.0, 0.0, 1.5]),
    weighed=st.booleans(),
    hold=st.sampled_from([0.0, 1.0]),
)
def test_arrival_and_cost_are_those_of_the_oracle(seed, shape, hover, stop_s, weighed, hold):
    rng = np.random.default_rng(seed)
    w = random_world(rng, shape, hover, stop_s, weighed)
    question = asked(rng, w)
    if question:
        agree(w, *question, within=16.0, hold=hold)


@pytest.mark.parametrize("seed", range(6))
def test_a_crowded_volume_agrees_with_the_oracle(seed):
    """Far more voxels than moves of the search beside the way, many others, and neighbours it never looks at."""
    rng = np.random.default_rng([seed, 3])
    w = world(rng.random((11, 5, 2)) < 0.2, hover=seed % 2 == 0, stop_s=2.0 * (seed % 3 == 0))
    for _ in range(7):
        w.reservations.append(random_world(rng, w.blocked.shape, True, 0.0, False).reservations[0])
    free = np.argwhere(~w.blocked)
    agree(w, tuple(free[0].tolist()), tuple(free[-1].tolist()), within=25.0)


def crossing(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Ends of a move, and of a piece of a reservation with its seconds: level, vertical, sloping, resting, parallel."""
    move = STEPS[rng.integers(len(STEPS))] * 10.0
    one = rng.uniform(-15, 15, 3)
    along = rng.choice([0.0, 1.0, -1.0]) * move if rng.random() < 0.3 else rng.uniform(-40, 40, 3)
    if rng.random() < 0.4:
        along[2] = 0.0
    if rng.random() < 0.2:
        along[:2] = 0.0
    return move, np.array([one, one + along]), rng.uniform(0.1, 9.0), rng.choice([4.0, 10.0, 25.0], 2)


@settings(max_examples=600, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_forbidden_beginnings_of_a_move_are_those_of_the_conflict_room(seed):
    move, ends, seconds, (horizontal, vertical) = crossing(np.random.default_rng(seed))
    piece = np.array([0.0, seconds, *ends[0], *(ends[1] - ends[0]) / seconds, horizontal, vertical, 0.0])
    low, high = moving(0.0, 0.0, 0.0, *move.tolist(), 1.0, piece, np.zeros((16, 2)), np.zeros((16, 2)))
    flown = Trajectory([0.0, 1.0], [np.zeros(3), move])
    theirs = Trajectory([0.0, seconds], ends)
    # The conflict room takes limits a micrometre larger, and forbidden times two microseconds wider.
    expected = forbidden_delays(theirs, flown, horizontal - MARGIN_M, vertical - MARGIN_M)
    assert len(expected) == (low <= high)
    if len(expected):
        assert (low, high) == pytest.approx((expected[0, 0] + MARGIN_S, expected[0, 1] - MARGIN_S), abs=1e-6)


@pytest.mark.nojit
def test_a_way_of_one_kind_is_given_as_corners_with_waits():
    w = world(np.zeros((4, 1, 3)), stop_s=2.0)
    found = planner_of(w).path((0, 0, 0), (3, 0, 2), NOW, NOW + 60)
    points, waits = found.corners()
    assert (points - w.origin_m).tolist() in (
        [[5, 5, 5], [5, 5, 25], [35, 5, 25]],
        [[5, 5, 5], [35, 5, 5], [35, 5, 25]],
    )
    assert waits.tolist() == pytest.approx([0, 2, 0], abs=1e-5)
    assert len(found.trajectory().t_s) == 4  # two legs and the stop between them


@pytest.mark.nojit
def test_what_cannot_be_asked_is_refused():
    blocked = np.zeros((4, 4, 2), bool)
    blocked[3, 3] = True
    speeds = {"cruise_m_s": 10.0, "climb_m_s": 3.0, "descent_m_s": 2.0}
    planner = SafeIntervalPlanner(blocked, 8.0, **speeds)
    flight = Trajectory([0.0, 1.0], [[0.0, 0.0, 0.0], [8.0, 0.0, 0.0]])
    for bad, match in (
        ({"blocked": blocked.astype(int)}, "boolean"),
        ({"cell_m": 0.0}, "cell_m"),
        ({"climb_m_s": math.nan}, "climb_m_s"),
        ({"stop_s": -1.0}, "stop_s"),
        ({"cruise_m_s": 1e5}, "too short"),
        ({"cruise_m_s": 1e-9}, "not one of a flight"),
        ({"factor": np.full((4, 4, 2), 0.5)}, "between 1 and"),
        ({"factor": np.ones((4, 4))}, "shape"),
        ({"origin_m": (0, 0)}, "origin_m"),
    ):
        with pytest.raises(ValueError, match=match):
            SafeIntervalPlanner(**({"blocked": blocked, "cell_m": 8.0} | speeds | bad))
    for limits, match in (
        ((0.0, 4.0), "horizontal_m"), ((10.0, math.inf), "vertical_m"), ((10.0, 4.0, -1.0), "tolerance_s"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            planner.reserve(0, flight, *limits)
    with pytest.raises(ValueError, match="within"):
        planner.reserve(0, flight.delayed(1e11), 10.0, 4.0)
    planner.reserve(0, flight, 10.0, 4.0)
    with pytest.raises(ValueError, match="release it first"):
        planner.reserve(0, flight, 10.0, 4.0)
    with pytest.raises(KeyError):
        planner.release(1)
    with pytest.raises(NoPath, match="blocked"):
        planner.path((0, 0, 0), (3, 3, 1), 0.0, 60.0)
    with pytest.raises(NoPath, match="no way"):
        planner.path((0, 0, 0), (3, 2, 1), 0.0, 1.0)
    for question, match in (
        (((0, 0, 0), (0, 0, 0), 0.0, 60.0), "same voxel"),
        (((0, 0, 0), (4, 0, 0), 0.0, 60.0), "outside"),
        (((0, 0, 0), (1, 0, 0), math.nan, 60.0), "earliest_s"),
        (((0, 0, 0), (1, 0, 0), 0.0, math.inf), "latest_s"),
    ):
        with pytest.raises(ValueError, match=match):
            planner.path(*question)
    with pytest.raises(ValueError, match="hold_s"):
        planner.path((0, 0, 0), (1, 0, 0), 0.0, 60.0, hold_s=-1.0)
