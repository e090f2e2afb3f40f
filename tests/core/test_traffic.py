"""The index of corridors: against brute force with the verdict of two flights, through any history."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core import Traffic, apart, forbidden_delays, in_conflict
from utm.model import Corridor, Trajectory, Tube

pytestmark = pytest.mark.nojit

EPOCH = 1.8e9  # Unix seconds: where rounding would show
BARE = Tube()


def flight(*knots, half_width=25.0, below=10.0, above=10.0, tolerance=10.0, hold=0.0, tube=BARE, epoch=EPOCH):
    """A corridor from (seconds, east, north, up), seconds from the epoch."""
    line = Trajectory([epoch + k[0] for k in knots], [k[1:] for k in knots])
    return Corridor(line, half_width, below, above, tolerance, hold, tube)


def by_brute_force(corridors, probe, horizontal, vertical):
    return sorted(
        number
        for number, other in corridors.items()
        if in_conflict(probe.occupied, other.occupied, *apart(probe, other, horizontal, vertical))
    )


def check(traffic, corridors, probe, horizontal=20.0, vertical=10.0):
    """Conflicts are equal to brute force; near misses none of them."""
    found = traffic.conflicts(probe, horizontal, vertical)
    assert found.dtype == np.int64
    assert found.tolist() == by_brute_force(corridors, probe, horizontal, vertical)
    near = traffic.near(probe, horizontal, vertical)
    assert near.tolist() == sorted(set(near.tolist()))
    assert set(found.tolist()) <= set(near.tolist()) <= set(corridors)


def filled(corridors, **sizes):
    traffic = Traffic(**sizes)
    for number, corridor in corridors.items():
        traffic.add(number, corridor)
    return traffic


def wanderer(rng, *, pieces, span_m=1500.0, day_s=300.0, step_m=250.0):
    """Pieces of about the same length in turning directions, level or climbing a little."""
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.4, pieces))
    steps = step_m * rng.uniform(0.2, 1.0, pieces)[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])
    way = rng.uniform(0, span_m, 2) + np.vstack([[0, 0], np.cumsum(steps, axis=0)])
    up = 80 + np.cumsum(rng.normal(0, 5, pieces + 1))
    times = EPOCH + rng.uniform(0, day_s) + np.cumsum(rng.uniform(5, 40, pieces + 1))
    return Corridor(
        Trajectory(times, np.column_stack([way, up])),
        rng.uniform(0, 60),
        rng.uniform(1, 20),
        rng.uniform(1, 20),
        rng.uniform(0, 30),
        float(rng.choice([0.0, 60.0])),
        Tube(rng.uniform(0, 5), rng.uniform(0, 2)),
    )


small = st.integers(-4, 4)


@st.composite
def lattice_corridors(draw):
    """Few knots on a coarse lattice and rooms of whole metres: grazing and touching are the rule."""
    count = draw(st.integers(2, 4))
    gaps = draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=count, max_size=count))
    places = draw(st.lists(st.tuples(small, small, st.integers(-2, 2)), min_size=count, max_size=count))
    line = Trajectory(EPOCH + draw(st.integers(-20, 20)) + np.cumsum(gaps), np.array(places, float))
    room = st.sampled_from([0.0, 0.5, 1.0])
    return Corridor(
        line, draw(room), draw(room), draw(room), draw(room), draw(st.sampled_from([0.0, 4.0])), Tube(draw(room), 0.0)
    )


@st.composite
def wild_corridors(draw):
    """From a millimetre to thousands of kilometres, from a moment to a year."""
    count = draw(st.integers(2, 4))
    value = st.one_of(
        st.floats(-1e3, 1e3),
        st.sampled_from([0.0, 1e-3, 511.9999, 512.0, -512.0, 384.0, 2048.0, 1e5, -3e6, 5e6]),
    )
    gap = st.one_of(st.floats(1e-2, 100), st.sampled_from([0.001, 128.0, 512.0, 3600.0, 86400.0, 3e7]))
    times = EPOCH + draw(st.floats(-500, 500)) + np.cumsum(draw(st.lists(gap, min_size=count, max_size=count)))
    places = draw(st.lists(st.tuples(value, value, value), min_size=count, max_size=count))
    room = st.sampled_from([0.0, 1.0, 25.0, 900.0])
    return Corridor(
        Trajectory(times, np.array(places)),
        draw(room),
        draw(room),
        draw(room),
        draw(st.sampled_from([0.0, 10.0, 4000.0])),
        draw(st.sampled_from([0.0, 60.0])),
    )


@settings(max_examples=60, deadline=None)
@given(
    stored=st.lists(lattice_corridors(), max_size=12),
    probe=lattice_corridors(),
    horizontal=st.sampled_from([0.5, 1.0, 3.0]),
    vertical=st.sampled_from([0.5, 1.0]),
)
def test_conflicts_on_a_lattice_equal_brute_force(stored, probe, horizontal, vertical):
    corridors = dict(enumerate(stored))
    check(filled(corridors, cell_m=2.0, slot_s=2.0), corridors, probe, horizontal, vertical)


@settings(max_examples=50, deadline=None)
@given(stored=st.lists(wild_corridors(), max_size=12), probe=wild_corridors())
def test_conflicts_of_any_size_equal_brute_force(stored, probe):
    corridors = dict(enumerate(stored))
    check(filled(corridors), corridors, probe)


@pytest.mark.parametrize("sizes", [{}, {"cell_m": 100.0, "slot_s": 20.0}, {"cell_m": 1e7, "slot_s": 1e7}])
def test_conflicts_among_many_equal_brute_force(sizes):
    rng = np.random.default_rng(7)
    corridors = {10 * n: wanderer(rng, pieces=int(rng.integers(1, 19))) for n in range(40)}
    traffic = filled(corridors, **sizes)
    met = 0
    for _ in range(4):
        probe = wanderer(rng, pieces=12)
        check(traffic, corridors, probe)
        met += len(traffic.conflicts(probe, 20.0, 10.0))
    assert met > 0
    for number in (0, 150):
        check(traffic, corridors, corridors[number])
        assert number in traffic.conflicts(corridors[number], 20.0, 10.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_history_gives_the_answers_of_what_is_left(seed):
    """Adding and removing in any order, past several doublings, down to nothing and up again."""
    rng = np.random.default_rng(seed)
    pool = [wanderer(rng, pieces=int(rng.integers(1, 6)), span_m=800.0, day_s=400.0) for _ in range(24)]
    traffic, corridors = Traffic(cell_m=200.0, slot_s=50.0), {}
    for step in range(60):
        number = int(rng.integers(24))
        if number in corridors:
            traffic.remove(number)
            del corridors[number]
        else:
            traffic.add(number, pool[number])
            corridors[number] = pool[number]
        assert len(traffic) == len(corridors)
        assert (number in traffic) == (number in corridors)
        if step % 20 == 19:
            probe = pool[int(rng.integers(24))]
            check(traffic, corridors, probe)
            fresh = filled(dict(reversed(corridors.items())))
            assert traffic.near(probe, 20.0, 10.0).tolist() == fresh.near(probe, 20.0, 10.0).tolist()
    for number in list(corridors):
        traffic.remove(number)
    assert traffic.near(pool[0], 1e4, 1e4, later_s=1e4).tolist() == []
    traffic.add(5, pool[0])
    assert traffic.conflicts(pool[0], 20.0, 10.0).tolist() == [5]


def test_memory_is_used_again():
    rng = np.random.default_rng(3)
    pool = [wanderer(rng, pieces=20) for _ in range(30)]
    traffic = Traffic()
    for number, corridor in enumerate(pool):
        traffic.add(number, corridor)
    before = traffic.nbytes
    for _ in range(3):
        for number, corridor in enumerate(pool):
            traffic.remove(number)
            traffic.add(number, corridor)
    assert traffic.nbytes == before


def test_nearness_knows_nothing_of_the_index():
    """Neither sizes of cells, nor order, nor where time began change who is near: a log replays to the same bytes."""
    rng = np.random.default_rng(11)
    corridors = {n: wanderer(rng, pieces=8, step_m=900.0) for n in range(30)}
    probe = wanderer(rng, pieces=8, step_m=900.0)
    wanted = filled(corridors).near(probe, 20.0, 10.0, later_s=100.0).tolist()
    assert 0 < len(wanted) < len(corridors)
    backwards = dict(reversed(corridors.items()))
    assert filled(backwards, cell_m=64.0, slot_s=8.0).near(probe, 20.0, 10.0, later_s=100.0).tolist() == wanted
    early = Traffic()
    early.add(999, flight((0, 0, 0, 0), (10, 1, 1, 1), epoch=-7e9))
    for number, corridor in corridors.items():
        early.add(number, corridor)
    assert early.near(probe, 20.0, 10.0, later_s=100.0).tolist() == wanted


@settings(max_examples=40, deadline=None)
@given(
    stored=st.lists(lattice_corridors(), min_size=1, max_size=8),
    probe=lattice_corridors(),
    later=st.sampled_from([0.0, 0.5, 7.0, 60.0]),
)
def test_near_misses_nobody_whom_a_delay_would_meet(stored, probe, later):
    corridors = dict(enumerate(stored))
    near = set(filled(corridors, cell_m=2.0, slot_s=2.0).near(probe, 1.0, 0.5, later_s=later).tolist())
    for number, other in corridors.items():
        horizontal, vertical, tolerance = apart(probe, other, 1.0, 0.5)
        forbidden = forbidden_delays(other.occupied, probe.occupied, horizontal, vertical)
        if ((forbidden[:, 0] - tolerance <= later) & (forbidden[:, 1] + tolerance >= 0)).any():
            assert number in near
        for delay in (later / 3, later):
            if in_conflict(other.occupied, probe.occupied.delayed(delay), horizontal, vertical, tolerance):
                assert number in near


def test_later_over_hours_finds_those_who_come_then():
    hourly = {n: flight((3600 * n, 500, -500, 50), (3600 * n + 100, 500, 500, 50)) for n in range(10)}
    probe = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    traffic = filled(hourly)
    assert traffic.near(probe, 20.0, 10.0).tolist() == [0]
    assert traffic.near(probe, 20.0, 10.0, later_s=3.5 * 3600).tolist() == [0, 1, 2, 3]
    assert traffic.near(probe, 20.0, 10.0, later_s=1e9).tolist() == list(range(10))
    assert traffic.near(flight((1e6, 0, 0, 50), (1e6 + 100, 1000, 0, 50)), 20.0, 10.0, later_s=1e9).tolist() == []


@pytest.mark.parametrize(("aside", "expected"), [(89.99, [3]), (90.0, [3]), (90.01, [])])
def test_rooms_of_both_tubes_and_separation_add_up(aside, expected):
    """25 + 40 m half-widths, 2 + 3 m tubes and 20 m of separation."""
    traffic = Traffic()
    traffic.add(3, flight((0, 0, aside, 50), (100, 1000, aside, 50), half_width=40.0, tube=Tube(3.0, 0.0)))
    assert traffic.conflicts(flight((0, 0, 0, 50), (100, 1000, 0, 50), tube=Tube(2.0, 0.0)), 20.0, 10.0).tolist() == (
        expected
    )


@pytest.mark.parametrize(("above", "expected"), [(34.99, [3]), (35.0, [3]), (35.01, [])])
def test_the_larger_of_both_ways_of_stacking_counts(above, expected):
    """10 m below the upper one and 15 m above the lower one, 10 m between."""
    traffic = Traffic()
    traffic.add(3, flight((0, 0, 0, 50 + above), (100, 1000, 0, 50 + above), below=10.0, above=4.0))
    probe = flight((0, 0, 0, 50), (100, 1000, 0, 50), below=1.0, above=15.0)
    assert traffic.conflicts(probe, 20.0, 10.0).tolist() == expected


@pytest.mark.parametrize(("late", "expected"), [(130.0, [3]), (130.001, [])])
def test_tolerances_and_pads_are_held_in_unix_time(late, expected):
    """One lands at 100 s and holds its pad for 15; the other takes its own 5 before its start; tolerances of 4 and 6:
    so both touch until the one leaves at 100 + 15 + 5 + 10."""
    epoch = 1_799_999_999.9  # not a number of few bits
    traffic = Traffic()
    traffic.add(3, flight((0, 0, 0, 0), (100, 0, 0, 0), tolerance=4.0, hold=15.0, epoch=epoch))
    probe = flight((late, 5, 0, 0), (late + 9, 5, 0, 0), tolerance=6.0, hold=5.0, epoch=epoch)
    assert traffic.conflicts(probe, 20.0, 10.0).tolist() == expected


def test_long_and_slow_and_far():
    """A hover of an hour, a straight way of 20 km, a climb of a day, and somebody on the other side of the world."""
    corridors = {
        1: flight((0, 10_000, 30, 50), (3600, 10_000, 30, 50)),
        2: flight((0, 0, 0, 50), (2000, 20_000, 0, 50)),
        3: flight((0, 5_000, 0, 0), (86_400, 5_000, 0, 500)),
        4: flight((0, 2e7, 2e7, 50), (100, 2e7 + 1000, 2e7, 50)),
    }
    traffic = filled(corridors)
    for probe in corridors.values():
        check(traffic, corridors, probe)
    assert traffic.conflicts(corridors[2], 20.0, 10.0).tolist() == [1, 2]
    assert traffic.conflicts(flight((8000, 4_900, 0, 45), (8020, 5_100, 0, 45)), 20.0, 10.0).tolist() == [3]


def test_no_question_and_no_corridor_explodes():
    """Numbers far beyond any airspace are answered, by looking at everything once if need be."""
    around = flight((0, -1e15, -1e15, -1e15), (1e9, 1e15, 1e15, 1e15), half_width=1e16, below=1e16, above=1e16)
    here = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    traffic = filled(dict.fromkeys(range(20), here))
    assert traffic.near(around, 20.0, 10.0).tolist() == list(range(20))
    small = traffic.nbytes
    traffic.add(20, around)
    assert traffic.nbytes <= 4 * small
    assert traffic.near(here, 20.0, 10.0).tolist() == list(range(21))
    assert traffic.near(here, 1e9, 1e9, later_s=1e12).tolist() == list(range(21))


def test_more_rows_than_there_is_room_for_at_first():
    """Hundreds at one pad."""
    crowd = {n: flight((n, 0, 0, 0), (n + 1, 0, 0, 10)) for n in range(150)}
    traffic = filled(crowd)
    probe = flight((0, 1, 1, 0), (200, 1, 1, 5))
    assert traffic.conflicts(probe, 20.0, 10.0).tolist() == list(range(150))
    assert traffic.near(probe, 20.0, 10.0).tolist() == list(range(150))


def test_whole_numbers_and_fortran_arrays_are_the_same_corridor():
    line = Trajectory([EPOCH, EPOCH + 100], np.asfortranarray([[0.0, 0, 50], [1000.0, 0, 50]]))
    whole = Corridor(line, 25, 10, 10, 10, 0)
    traffic = Traffic()
    traffic.add(np.int64(7), whole)
    assert traffic.conflicts(whole, 20, 10).tolist() == [7]
    assert 7 in traffic


def test_numbers():
    here = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    traffic = Traffic()
    traffic.add(4, here)
    for number in (4, -1):
        with pytest.raises(ValueError, match=rf"0 or more and not in use yet, got {number}"):
            traffic.add(number, here)
    with pytest.raises(KeyError):
        traffic.remove(5)
    assert len(traffic) == 1


@pytest.mark.parametrize("size", [0.0, -1.0, math.nan, math.inf])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match="cell_m must be a finite number above zero"):
        Traffic(cell_m=size)
    with pytest.raises(ValueError, match="slot_s must be a finite number above zero"):
        Traffic(slot_s=size)


@pytest.mark.parametrize("field", ["half_width", "below", "above", "tolerance", "hold"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_rooms_that_are_none(field, value):
    wrong = flight((0, 0, 0, 50), (100, 1000, 0, 50), **{field: value})
    with pytest.raises(ValueError, match="must be finite numbers of 0 or more"):
        Traffic().add(1, wrong)
    with pytest.raises(ValueError, match="must be finite numbers of 0 or more"):
        Traffic().near(wrong, 20.0, 10.0)


def test_separations_that_are_none():
    here = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    bare = flight((0, 0, 0, 50), (100, 1000, 0, 50), half_width=0.0)
    traffic = Traffic()
    for ask in (traffic.near, traffic.conflicts):
        for pair in ((-1.0, 10.0), (20.0, math.nan), (math.inf, 10.0)):
            with pytest.raises(ValueError, match="separations must be finite numbers of 0 or more"):
                ask(here, *pair)
        with pytest.raises(ValueError, match="nothing to keep apart"):
            ask(bare, 0.0, 10.0)
    with pytest.raises(ValueError, match="later_s must be a finite number of 0 or more"):
        traffic.near(here, 20.0, 10.0, later_s=-1.0)
