"""Conformance by the standard's clock: one test for each line, against stepping through time, and in any order."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.oracles.conforming import inside_at, share_inside, states, stepped, stretches
from utm.core.conforming import (
    Conformity,
    NewsKind,
    Report,
    conformity_document,
    conformity_from,
    observe,
    settled,
    silence,
)
from utm.core.excursions import F3548, Figures
from utm.core.fleets import FlightRecord, flight_record, tally
from utm.core.within import spans_inside
from utm.model import Corridor, IntentState, Trajectory

pytestmark = pytest.mark.nojit

EPOCH = 1.8e9
FAST = 20.0

#: Up to 50 m in 10 s, on to 3000 m at 10 m/s, a pause of 20 s, and down in 50 s.
LINE = Trajectory(
    EPOCH + np.array([0.0, 10.0, 310.0, 330.0, 380.0]),
    [(0, 0, 0), (0, 0, 50), (3000, 0, 50), (3000, 0, 50), (3000, 0, 0)],
)
CORRIDOR = Corridor(LINE, half_width_m=25.0, below_m=10.0, above_m=12.0, time_tolerance_s=5.0, pad_hold_s=60.0)
A, N, C = IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.CONTINGENT


def report(t, north=0.0, up=0.0, *, landed=False):
    """On the line at EPOCH + t, or beside or above it."""
    return Report(EPOCH + t, tuple(LINE.at(EPOCH + t) + [0.0, north, up]), landed)


def fly(reports, flight=None, delay=0.0):
    """The flight after reports that are received ``delay`` after their own time, and all the news."""
    flight, told = flight or Conformity(FAST), []
    for one in reports:
        flight, news = observe(flight, CORRIDOR, one, one.t_s + delay)
        told += news
    return flight, told


def kinds(news):
    return [one.kind for one in news]


def changes(news):
    return [(one.state, round(one.at_s - EPOCH, 6)) for one in news if one.kind is NewsKind.STATE]


# --- time inside, between two reports -------------------------------------------------------------------------------


def test_the_crossing_is_exact():
    # From the line to 50 m beside it in 10 s: out after 5 s.
    (found,) = spans_inside(CORRIDOR, EPOCH + 50, (400, 0, 50), EPOCH + 60, (500, 50, 50)) - EPOCH
    assert found == pytest.approx([50.0, 55.0], abs=2e-6)
    # Right through from one side to the other, across the line.
    (found,) = spans_inside(CORRIDOR, EPOCH + 50, (450, -100, 50), EPOCH + 60, (450, 100, 50)) - EPOCH
    assert found == pytest.approx([53.75, 56.25], abs=2e-6)
    # Up through the room: 10 m below it to 12 m above.
    (found,) = spans_inside(CORRIDOR, EPOCH + 50, (400, 0, 0), EPOCH + 60, (500, 0, 100)) - EPOCH
    assert found == pytest.approx([54.0, 56.2], abs=2e-6)


def test_whoever_waits_too_long_is_left_behind_by_his_corridor():
    (found,) = spans_inside(CORRIDOR, EPOCH + 40, (400, 0, 50), EPOCH + 90, (400, 0, 50)) - EPOCH
    # The room's end is 25 m behind the point that left 5 s ago: at 400 m until 10 + 42.5 + 5 s.
    assert found == pytest.approx([42.5, 57.5], abs=2e-6)


def test_it_ends_with_its_time():
    (found,) = spans_inside(CORRIDOR, EPOCH + 400, (3000, 0, 0), EPOCH + 500, (3000, 0, 0)) - EPOCH
    assert found == pytest.approx([400.0, 445.0], abs=2e-6)
    assert len(spans_inside(CORRIDOR, EPOCH + 450, (3000, 0, 0), EPOCH + 500, (3000, 0, 0))) == 0


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_spans_agree_with_trying_moments(seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(2, 7)
    places = rng.uniform(-60, 60, (count, 3))
    for n in range(1, count):  # vertical and resting pieces too, and back along the way
        kind = rng.integers(5)
        if kind == 0:
            places[n, :2] = places[n - 1, :2]
        elif kind == 1:
            places[n] = places[n - 1]
        elif kind == 2 and n > 1:
            places[n] = places[n - 2]
    line = Trajectory(EPOCH + np.cumsum(rng.uniform(0.5, 15, count)), places)
    tolerance, hold = rng.choice([0.0, 2.0, 10.0]), rng.choice([0.0, 20.0])
    corridor = Corridor(line, *rng.uniform(1, 30, 3), time_tolerance_s=tolerance, pad_hold_s=hold)
    begin = rng.uniform(line.start_s - hold - 3, line.end_s + hold)
    end = begin + rng.uniform(0.1, 20)
    here, there = line.at(begin) + rng.normal(0, 20, 3), line.at(end) + rng.normal(0, 20, 3)
    if rng.integers(3) == 0:
        there = here
    spans = spans_inside(corridor, begin, here, end, there)
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (spans[1:, 0] > spans[:-1, 1]).all()
    for t in np.concatenate([np.linspace(begin, end, 60), *(spans + [[-1e-3, 1e-3]])]):
        if not begin <= t <= end or (np.abs(spans - t) < 5e-4).any():
            continue
        place = here + (t - begin) / (end - begin) * (there - here)
        said = bool(((spans[:, 0] <= t) & (t <= spans[:, 1])).any())
        if said:  # the oracle misses the best point by half a step at most
            room = dataclasses.replace(
                corridor,
                half_width_m=corridor.half_width_m + 1.0,
                below_m=corridor.below_m + 1.0,
                above_m=corridor.above_m + 1.0,
            )
            assert inside_at(room, t, place)
        else:
            assert not inside_at(corridor, t, place)


def test_what_is_no_motion():
    with pytest.raises(ValueError, match="later than it starts"):
        spans_inside(CORRIDOR, EPOCH, (0, 0, 0), EPOCH, (0, 0, 0))
    with pytest.raises(ValueError, match="end_m"):
        spans_inside(CORRIDOR, EPOCH, (0, 0, 0), EPOCH + 1, (0, 0, math.nan))


# --- share inside and excursions ------------------------------------------------------------------------------------


def test_a_flight_on_its_line_is_inside_all_the_time():
    flight, news = fly([report(t) for t in range(381)])
    found = flight_record(flight)
    assert (found.flight_s, found.inside_s, found.excursions, found.longest_s) == (380.0, 380.0, 0, 0.0)
    assert (flight.state, news) == (A, [])


def test_share_and_excursions_by_the_motion_between_reports():
    # Beside by 50 m from 100 to 108: out and in half-way between reports.
    flight, _ = fly([report(t, north=50.0 if 100 <= t <= 108 else 0.0) for t in range(201)], Conformity(60.0))
    found = flight_record(flight)
    assert found.excursions == 1
    assert found.longest_s == pytest.approx(9.0, abs=1e-5)
    assert found.outside_s == pytest.approx(9.0, abs=1e-5)
    assert found.inside_s == pytest.approx(191.0, abs=1e-5)
    assert found.too_long == 0


@pytest.mark.parametrize(("seconds", "long"), [(9.0, 0), (10.0, 0), (10.001, 1), (30.0, 1)])
def test_an_excursion_may_last_ten_seconds(seconds, long):
    # Out at 99.5 + ..., by the straight motion from 0 to 50 m beside in a second; back in the same way.
    times = [98.0, 99.0, *np.linspace(100.0, 99.0 + seconds, 15), 100.0 + seconds, 101.0 + seconds]
    reports = [report(t, north=50.0 if 100.0 <= t <= 99.0 + seconds else 0.0) for t in times]
    flight, news = fly(reports, Conformity(60.0))
    found = flight_record(flight)
    assert (found.excursions, found.too_long) == (1, long)
    assert found.longest_s == pytest.approx(seconds, abs=1e-5)
    assert kinds(news).count(NewsKind.EXCURSION) == long


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_shares_and_excursions_agree_with_every_step(seed):
    rng = np.random.default_rng(seed)
    times = 20.0 + np.cumsum(
        rng.choice([0.5, 1.0, 2.0, 3.0, 3.5, 7.0, 12.0], 8, p=[0.2, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05])
    )
    beside = rng.choice([0.0, 10.0, 24.0, 26.0, 40.0], 8)
    reports = [report(t, north=b) for t, b in zip(times, beside, strict=True)]
    flight, _ = fly(reports, Conformity(500.0, EPOCH + 20))
    found = flight_record(flight)
    step = 0.02
    pairs = [(one.t_s, one.enu_m) for one in reports]
    steps = stepped(CORRIDOR, pairs, F3548.interval_s, step)
    length = reports[-1].t_s - reports[0].t_s
    assert found.flight_s == pytest.approx(length, abs=1e-5)
    assert found.inside_s / length == pytest.approx(share_inside(steps), abs=4 * step * 8 / length)
    inside = [inside_at(CORRIDOR, t, p) for t, p in pairs]
    shown = list(zip((t for t, _ in pairs), inside, strict=True))
    wanted = stretches(steps, shown, F3548.silent_after_s)
    lengths = [b - a for a, b in wanted]
    assume(all(abs(one - 10.0) > 3 * step for one in lengths))
    assert found.excursions == len(wanted)
    assert found.too_long == sum(one > 10.0 for one in lengths)
    assert found.longest_s == pytest.approx(max(lengths, default=0.0), abs=3 * step)


# --- states ---------------------------------------------------------------------------------------------------------


def test_outside_is_nonconforming_at_once_and_inside_is_activated_again():
    flight, news = fly([report(20), report(21, up=13.0), report(22, up=13.0), report(23)])
    assert flight.state is A
    assert changes(news) == [(N, 21.0), (A, 23.0)]


def test_more_than_sixty_seconds_are_contingent_for_good():
    flight, news = fly([report(t, north=30.0) for t in range(100, 161)])
    assert flight.state is N  # exactly 60 s
    flight, news = fly([report(160.5, north=30.0)], flight)
    assert (flight.state, changes(news)) == (C, [(C, 160.0)])
    assert flight.contingent_s == EPOCH + 160.0
    flight, news = fly([report(t) for t in range(161, 200)], flight)
    assert (flight.state, changes(news)) == (C, [])
    assert silence(flight, EPOCH + 1000.0)[0].state is C


def test_back_inside_starts_the_sixty_seconds_anew():
    reports = [report(t, north=0.0 if t in (150, 200) else 30.0) for t in range(100, 250)]
    flight, news = fly(reports)
    assert flight.state is N
    assert changes(news) == [(N, 100.0), (A, 150.0), (N, 151.0), (A, 200.0), (N, 201.0)]


def test_silence_becomes_nonconforming_and_then_contingent():
    flight, _ = fly([report(100)])
    for now, state in ((110.0, A), (110.001, N), (170.0, N), (170.001, C)):
        assert silence(flight, EPOCH + now)[0].state is state
    _, news = silence(flight, EPOCH + 500.0)  # asked only once, and late
    assert changes(news) == [(N, 110.0), (C, 170.0)]


def test_one_that_is_never_heard_counts_from_its_departure():
    flight = Conformity(FAST, EPOCH + 50.0)
    assert silence(flight, EPOCH + 60.0)[0].state is A
    assert changes(silence(flight, EPOCH + 200.0)[1]) == [(N, 60.0), (C, 120.0)]
    assert flight_record(silence(flight, EPOCH + 200.0)[0], EPOCH + 200.0).flight_s == 0.0


def test_heard_again_before_the_sixty_seconds_are_over():
    _, news = fly([report(100), report(150)])
    assert changes(news) == [(N, 110.0), (A, 150.0)]
    assert fly([report(100), report(170.5)])[0].state is C


def test_who_has_landed_may_be_silent():
    flight, _ = fly([report(379), report(380, landed=True)])
    assert silence(flight, EPOCH + 5000.0) == (dataclasses.replace(flight, now_s=EPOCH + 5000.0), ())
    # Outside its corridor it may not.
    flight, _ = fly([report(380, north=40.0, landed=True)])
    assert silence(flight, EPOCH + 441.0)[0].state is C


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_states_agree_with_asking_at_every_moment(seed):
    rng = np.random.default_rng(seed)
    times = np.unique(np.round(20 + np.cumsum(rng.choice([0.5, 1.0, 5.0, 10.0, 10.5, 30.0, 61.0], 10)), 1))
    times = times[times < 300]
    out = rng.random(len(times)) < 0.6
    reports = [report(t, north=30.0 if o else 0.0) for t, o in zip(times, out, strict=True)]
    until = EPOCH + 300.0
    wanted = states(
        [one.t_s for one in reports],
        (~out).tolist(),
        until,
        due_s=EPOCH + 20.0,
        silent_s=10.0,
        contingent_s=60.0,
    )
    flight, n = Conformity(500.0, EPOCH + 20.0), 0
    for t, state in wanted:
        while n < len(reports) and reports[n].t_s <= t + 1e-9:
            flight, _ = observe(flight, CORRIDOR, reports[n], reports[n].t_s)
            n += 1
        flight, _ = silence(flight, t)
        assert (t - EPOCH, str(flight.state)) == (t - EPOCH, state)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_does_not_matter_whether_anybody_asks(seed):
    rng = np.random.default_rng(seed)
    times = 20 + np.cumsum(rng.choice([1.0, 4.0, 11.0, 25.0, 70.0], 8))
    reports = [report(t, north=float(rng.choice([0.0, 30.0]))) for t in times if t < 370]
    asked, never, told, news = Conformity(500.0), Conformity(500.0), [], []
    before = EPOCH
    for one in reports:
        received = max(before, one.t_s + rng.uniform(0, 4.0))
        for moment in np.sort(rng.uniform(before, received, 3)):
            asked, more = silence(asked, float(moment))
            told += more
        asked, more = observe(asked, CORRIDOR, one, received)
        told += more
        never, more = observe(never, CORRIDOR, one, received)
        news += more
        before = received
    assert asked == never
    assert told == news


# --- gaps -----------------------------------------------------------------------------------------------------------


def test_in_a_gap_nothing_is_invented():
    flight, news = fly([report(t) for t in (100, 101, 105, 106)])
    found = flight_record(flight)
    assert (found.inside_s, found.unshown_s, found.outside_s) == (2.0, 4.0, 0.0)
    assert found.excursions == 0  # none that anybody has seen, and shorter than one may be
    assert kinds(news) == [NewsKind.GAP]
    # Reports at the interval itself are none.
    assert flight_record(fly([report(t) for t in (100, 103, 106)])[0]).unshown_s == 0.0


def test_a_long_gap_is_an_excursion_and_one_beside_an_excursion_belongs_to_it():
    found = flight_record(fly([report(100), report(112), report(113)])[0])
    assert (found.excursions, found.too_long, found.longest_s) == (1, 1, 12.0)
    found = flight_record(
        fly([report(100), report(104, north=30.0), report(105, north=30.0), report(110), report(111)])[0]
    )
    assert (found.excursions, found.too_long) == (1, 0)
    assert found.longest_s == pytest.approx(10.0)
    assert found.unshown_s == 9.0
    assert found.outside_s == 1.0


def test_shown_inside_now_and_then_is_no_long_excursion():
    found = flight_record(fly([report(t) for t in range(100, 200, 5)])[0])
    assert (found.inside_s, found.unshown_s, found.excursions) == (0.0, 95.0, 0)


def test_what_comes_after_the_last_report_is_not_shown_unless_it_landed():
    flight, _ = fly([report(t) for t in (100, 101, 102)])
    found = flight_record(flight, EPOCH + 122.0)
    assert (found.inside_s, found.unshown_s, found.excursions, found.too_long) == (2.0, 20.0, 1, 1)
    flight, _ = fly([report(379), report(380), report(381, landed=True), report(440, landed=True)])
    found = flight_record(flight, EPOCH + 500.0)
    assert (found.flight_s, found.inside_s, found.excursions) == (2.0, 2.0, 0)


# --- jumps ----------------------------------------------------------------------------------------------------------


def test_a_jump_is_counted_and_changes_nothing():
    flight, news = fly([report(100), report(101), report(102, north=500.0), report(103), report(104)])
    assert (flight.state, flight.track.jumps, flight.track.confirmed) == (A, 1, 0)
    assert kinds(news) == [NewsKind.JUMP]
    assert flight_record(flight).inside_s == 4.0


def test_a_jump_is_confirmed_by_the_next():
    flight, news = fly([report(101), report(102, north=500.0), report(103, north=501.0)])
    assert (flight.state, flight.track.jumps, flight.track.confirmed) == (N, 1, 1)
    assert kinds(news) == [NewsKind.JUMP, NewsKind.CONFIRMED, NewsKind.STATE]
    found = flight_record(flight)
    assert (found.unshown_s, found.outside_s, found.inside_s) == (1.0, 1.0, 0.0)  # how it came there is not known


def test_one_jump_after_the_other_is_silence():
    reports = [report(100), *(report(100 + n, north=500.0 * (-1) ** n) for n in range(1, 12))]
    flight, news = fly(reports)
    assert flight.track.jumps == 11
    assert changes(news) == [(N, 110.0)]


def test_what_can_be_reached_in_the_time_is_no_jump():
    assert fly([report(100), report(101, north=FAST + 15 - 2.8)])[0].track.jumps == 0
    assert fly([report(100), report(101, north=FAST + 15)])[0].track.jumps == 1


# --- order ----------------------------------------------------------------------------------------------------------


def test_a_late_report_is_put_in_its_place():
    flight, _ = fly([report(t) for t in (100, 101, 103)])
    flight, news = observe(flight, CORRIDOR, report(102, north=30.0), EPOCH + 103.5)
    assert kinds(news) == [NewsKind.LATE]  # the newest is inside: so is the drone
    assert (flight.state, flight.late, flight_record(flight).excursions) == (A, 1, 1)


def test_one_that_is_too_late_is_told_and_left():
    flight, _ = fly([report(t) for t in range(100, 141)])
    later, news = observe(flight, CORRIDOR, report(109.5, north=30.0), EPOCH + 141.0)
    assert kinds(news) == [NewsKind.TOO_OLD]
    assert "outside" in news[0].sentence
    assert (later.track, later.too_old) == (flight.track, 1)
    assert observe(flight, CORRIDOR, report(110.5), EPOCH + 141.0)[0].late == 1


def test_duplicates_change_nothing():
    flight, _ = fly([report(100), report(101), report(102)])
    for one in (report(101), report(102)):
        again, news = observe(flight, CORRIDOR, one, EPOCH + 102.5)
        assert kinds(news) == [NewsKind.DUPLICATE]
        assert (again.track, again.recent, again.duplicates) == (flight.track, flight.recent, 1)


def test_of_two_places_at_one_moment_the_worse_counts():
    one, other = report(101, north=10.0), report(101, north=30.0)
    for order in ((one, other), (other, one)):
        flight, _ = fly([report(100), *order])
        assert (flight.state, flight.track.last.enu_m) == (N, other.enu_m)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_in_any_order_the_record_is_the_same(seed, data):
    rng = np.random.default_rng(seed)
    times = np.round(100 + np.cumsum(rng.choice([0.2, 0.5, 1.0, 3.5], 9)), 3)
    reports = [report(t, north=float(rng.choice([0.0, 20.0, 30.0, 300.0], p=[0.5, 0.2, 0.2, 0.1]))) for t in times]
    reports += [reports[int(rng.integers(9))]]  # a duplicate
    newest = reports[-2].t_s if reports[-1].t_s < reports[-2].t_s else reports[-1].t_s
    shuffled = data.draw(st.permutations(reports))
    received = newest + np.sort(rng.uniform(-1.0, 1.0, len(reports)))
    figures = dataclasses.replace(F3548, clock_s=60.0)  # which clock to believe is another question

    def flown(order):
        flight = Conformity(FAST)
        for one, moment in zip(order, received.tolist(), strict=True):
            flight, _ = observe(flight, CORRIDOR, one, moment, figures)
        return flight

    ours, wanted = flown(shuffled), flown(sorted(reports, key=lambda one: one.t_s))
    assert ours.track == wanted.track
    assert flight_record(ours) == flight_record(wanted)
    assert ours.duplicates == wanted.duplicates == 1


# --- clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-5.0, -4.0, 0.0, 4.0, 5.0])
def test_five_seconds_are_tolerated_and_its_own_time_counts(offset):
    flight, news = fly([report(t) for t in range(100, 120)], delay=offset)
    assert (flight.clock_faults, news) == (0, [])
    assert flight.track.last.t_s == EPOCH + 119


def test_a_clock_from_the_future_is_a_fault_and_the_time_received_counts():
    # 18 s ahead (GPS time instead of UTC): where it is now, stamped with a time to come.
    flight, told = Conformity(FAST), []
    for t in range(100, 120):
        one = dataclasses.replace(report(t), t_s=EPOCH + t + 18.0)
        flight, news = observe(flight, CORRIDOR, one, EPOCH + t + 0.25)
        told += news
    assert kinds(told) == [NewsKind.CLOCK]  # told once
    assert "18" in told[0].sentence.replace("17.8", "18")
    assert (flight.clock_faults, flight.state) == (20, A)
    assert flight.track.last.t_s == EPOCH + 119.25


def test_a_slow_clock_is_put_right_by_the_least_lag():
    rng = np.random.default_rng(5)
    flight, told = Conformity(FAST), []
    for t in range(100, 130):
        one = dataclasses.replace(report(t), t_s=EPOCH + t - 18.0)
        flight, news = observe(flight, CORRIDOR, one, EPOCH + t + 0.1 + 0.5 * rng.random() * (t > 100))
        told += news
    assert kinds(told) == [NewsKind.CLOCK]
    assert "slow" in told[0].sentence
    assert flight.state is A
    assert flight.track.last.t_s == pytest.approx(EPOCH + 129.1, abs=0.5)


def test_reports_held_back_by_the_link_are_judged_by_their_own_time():
    flight, told = fly([report(t) for t in range(100, 105)])
    for t in range(105, 126):  # all received at once, 21 s of them
        flight, news = observe(flight, CORRIDOR, report(t), EPOCH + 125.2)
        told += news
    assert (flight.clock_faults, flight.track.unshown_s, flight.track.last.t_s) == (0, 0.0, EPOCH + 125)
    # Meanwhile nobody could know: silent from 114, heard of again only when what came was fresh.
    assert changes(told) == [(N, 114.0), (A, 116.0)]


def test_a_clock_that_steps_back_in_flight_is_put_right():
    flight, told = fly([report(t) for t in range(100, 120)])
    for t in range(120, 160):
        one = dataclasses.replace(report(t), t_s=EPOCH + t - 18.0)
        flight, news = observe(flight, CORRIDOR, one, EPOCH + t)
        told += news
    # Ten seconds in which old times tell nothing new, and one more report until the clock is known to be slow.
    assert [one.at_s - EPOCH for one in told if one.kind is NewsKind.CLOCK] == [131.0]
    assert changes(told) == [(N, 129.0), (A, 131.0)]
    assert (flight.state, flight.track.last.t_s) == (A, EPOCH + 159)


def test_a_clock_that_is_right_again_is_told():
    flight, _ = observe(Conformity(FAST), CORRIDOR, dataclasses.replace(report(100), t_s=EPOCH + 120), EPOCH + 100.0)
    assert flight.clock_off
    flight, news = observe(flight, CORRIDOR, report(101), EPOCH + 101.0)
    assert kinds(news) == [NewsKind.CLOCK]
    assert not flight.clock_off


@pytest.mark.parametrize("t", [1e300, -1e300, 0.0])
def test_a_time_from_nowhere_does_no_harm(t):
    flight, _ = fly([report(100), report(101)])
    flight, _ = observe(flight, CORRIDOR, Report(t, report(102).enu_m), EPOCH + 102.0)
    flight, _ = fly([report(103), report(104)], flight)
    assert (flight.state, flight.track.last.t_s, flight.track.jumps) == (A, EPOCH + 104, 0)
    assert math.isfinite(flight_record(flight).flight_s)
    first, _ = observe(Conformity(FAST), CORRIDOR, Report(t, report(100).enu_m), EPOCH + 100.0)
    assert first.track.last.t_s == EPOCH + 100.0


# --- what is no report, and what survives ---------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none(bad):
    with pytest.raises(ValueError, match="t_s"):
        Report(bad, (0.0, 0.0, 0.0))
    for place in ((bad, 0.0, 0.0), (0.0, 0.0, bad)):
        with pytest.raises(ValueError, match="enu_m"):
            Report(EPOCH, place)
    with pytest.raises(ValueError, match="received_s"):
        observe(Conformity(FAST), CORRIDOR, report(1), bad)
    with pytest.raises(ValueError, match="now_s"):
        silence(Conformity(FAST), bad)
    with pytest.raises(ValueError, match="fastest_m_s"):
        Conformity(bad, EPOCH)
    with pytest.raises(ValueError, match="until_s"):
        flight_record(Conformity(FAST), bad)


def test_only_flights_in_the_air():
    with pytest.raises(ValueError, match="Accepted"):
        Conformity(FAST, EPOCH, IntentState.ACCEPTED)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_survives_a_restart_at_any_moment(seed):
    rng = np.random.default_rng(seed)
    times = 100 + np.cumsum(rng.choice([0.5, 1.0, 4.0, 12.0], 12))
    reports = [report(t, north=float(rng.choice([0.0, 30.0, 400.0]))) for t in times]
    kept = again = Conformity(FAST)
    for one in reports:
        received = one.t_s + rng.uniform(-8, 8)
        kept, told = observe(kept, CORRIDOR, one, received)
        written = json.dumps(conformity_document(again), allow_nan=False)
        again, news = observe(conformity_from(json.loads(written)), CORRIDOR, one, received)
        assert again == kept
        assert news == told


def test_a_new_corridor_does_not_rewrite_the_past():
    flight, _ = fly([report(t, north=20.0) for t in range(100, 105)])
    narrow = dataclasses.replace(CORRIDOR, half_width_m=10.0)
    flight = settled(flight)
    flight, news = observe(flight, narrow, report(102.5), EPOCH + 105.0)
    assert kinds(news) == [NewsKind.TOO_OLD]
    flight, _ = observe(flight, narrow, report(106), EPOCH + 106.0)
    flight, _ = observe(flight, narrow, report(105), EPOCH + 106.1)
    assert flight_record(flight).outside_s == pytest.approx(0.5, abs=1e-5)  # 20 m to 10 m beside, of the new one alone


# --- fleets ---------------------------------------------------------------------------------------------------------


def flown_record(until_s, hours, *, inside=1.0, excursions=0, too_long=0, longest=0.0):
    flown = hours * 3600.0
    spent = flown * inside
    return FlightRecord(
        until_s - flown, until_s, flown, spent, flown - spent, 0.0, excursions, too_long, longest, False
    )


@pytest.mark.parametrize(
    ("inside", "excursions", "too_long", "words"),
    [
        (0.95, 90, 0, []),
        (0.9499, 90, 0, ["94.99 %"]),
        (0.95, 91, 0, ["91 excursions in 5.00 flight hours"]),
        (0.95, 90, 1, ["1 excursions of more than 10 s"]),
        (0.5, 500, 3, ["50.00 %", "500 excursions", "3 excursions of more"]),
    ],
)
def test_the_standards_figures(inside, excursions, too_long, words):
    found = tally([flown_record(EPOCH, 5, inside=inside, excursions=excursions, too_long=too_long)], EPOCH)
    told = found.breaches()
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))


def test_ten_hours_or_seven_days():
    day = 86_400.0
    old = flown_record(EPOCH - 7.001 * day, 1, excursions=1000)
    edge = flown_record(EPOCH - 7 * day, 1, excursions=1)
    assert tally([old, edge], EPOCH).excursions == 1
    many = [flown_record(EPOCH - n * 3600.0, 1, excursions=n) for n in range(20)]
    found = tally(many, EPOCH)
    assert (found.flights, found.flight_s, found.excursions) == (10, 36_000.0, sum(range(10)))
    assert tally(many[::-1], EPOCH) == found
    nobody = tally([], EPOCH)
    assert (nobody.flights, nobody.breaches()) == (0, ())
    assert math.isnan(nobody.inside_share)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10 * 86_400), st.floats(0, 6), st.integers(0, 50)), max_size=12))
def test_a_tally_is_a_sum_over_the_newest(flights):
    records = [flown_record(EPOCH - ago, hours, excursions=count) for ago, hours, count in flights]
    found = tally(records, EPOCH)
    flown, count, flights_counted = 0.0, 0, 0
    for one in sorted(records, key=lambda one: (one.until_s, one.begun_s), reverse=True):
        if flown >= 36_000 or EPOCH - one.until_s > 7 * 86_400:
            continue
        flown, count, flights_counted = flown + one.flight_s, count + one.excursions, flights_counted + 1
    assert (found.flights, found.excursions) == (flights_counted, count)
    assert found.flight_s == pytest.approx(flown)


def test_the_standards_figures_are_these():
    assert (F3548.inside_share, F3548.excursion_s, F3548.excursions_per_hour) == (0.95, 10.0, 18.0)
    assert (F3548.contingent_after_s, F3548.clock_s) == (60.0, 5.0)
    assert (F3548.judged_flight_s, F3548.judged_within_s) == (10 * 3600.0, 7 * 86_400.0)
    assert Figures() == F3548
