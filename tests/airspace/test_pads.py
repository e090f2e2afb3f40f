"""Who holds a pad: no-shows let go, overruns hold on, until somebody says that the flight is over."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.airspace.pads import AHEAD_S, LEAD_S, is_no_show, overdue
from utm.core import Report, in_conflict, judge
from utm.model import (
    AIRCRAFT_CLASSES,
    Corridor,
    Datum,
    FlightPlan,
    IntentState,
    OperationalIntent,
    Trajectory,
    Waypoint,
)

EPOCH = 1.8e9

#: Up to 50 m in 20 s, 1000 m on in 100 s, down in 30 s.
LINE = Trajectory(EPOCH + np.array([0.0, 20.0, 120.0, 150.0]), [(0, 0, 0), (0, 0, 50), (1000, 0, 50), (1000, 0, 0)])
CORRIDOR = Corridor(LINE, 25.0, 10.0, 10.0, time_tolerance_s=10.0, pad_hold_s=60.0)
PAD = (1000.0, 0.0, 0.0)
FLYING = (IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.CONTINGENT)


def intent(corridor=CORRIDOR, state=IntentState.ACTIVATED) -> OperationalIntent:
    place = Waypoint(136.4, 36.3, 0.0, Datum.AMSL)
    plan = FlightPlan("one", "acme", AIRCRAFT_CLASSES["quad"], place, place, EPOCH, EPOCH)
    return OperationalIntent("one", plan, state, 1, "ovn", corridor, (), "map", (), (), {})


def report(t, place, *, landed=False):
    return Report(EPOCH + t, tuple(map(float, place)), landed)


def told(corridor, now, last=None, state=IntentState.ACTIVATED):
    return overdue(intent(corridor, state), EPOCH + now, last)


def inside(corridor, t, place):
    return judge(corridor, EPOCH + t, place).inside


def test_a_no_show_lets_go():
    accepted = intent(state=IntentState.ACCEPTED)
    assert not is_no_show(accepted, EPOCH + 15.0)  # ten seconds late, by a clock that is five off
    assert is_no_show(accepted, EPOCH + 15.001)
    for state in set(IntentState) - {IntentState.ACCEPTED}:
        assert not is_no_show(intent(state=state), EPOCH + 1000.0)


@pytest.mark.parametrize("state", [IntentState.ACCEPTED, IntentState.ENDED])
def test_what_does_not_fly_is_never_overdue(state):
    assert told(CORRIDOR, 1000.0, state=state) is None
    assert told(CORRIDOR, 1000.0, report(150, PAD, landed=True), state) is None


@pytest.mark.parametrize("state", FLYING)
def test_a_landed_drone_keeps_its_pad_until_told(state):
    landed, corridor = report(151, PAD, landed=True), CORRIDOR
    assert told(corridor, 152, landed, state) is None  # what it has will do
    versions = 0
    for now in range(152, 2000, 5):
        extended = told(corridor, now, landed, state)
        corridor, versions = extended or corridor, versions + (extended is not None)
        assert inside(corridor, now, PAD)
        assert corridor.occupied.end_s - (EPOCH + now) >= LEAD_S
    assert versions <= (2000 - 150) / LEAD_S + 1  # not one a second
    assert len(corridor.centre_line.t_s) == len(LINE.t_s) + 1  # nor a point for each
    np.testing.assert_array_equal(corridor.centre_line.enu_m[: len(LINE.enu_m)], LINE.enu_m)
    # Whoever wants the pad later meets it.
    other = Trajectory(EPOCH + np.array([1990.0, 2000.0]), [(1000, 0, 50), (1000, 0, 0)])
    assert in_conflict(corridor.occupied, other, 70.0, 30.0)
    assert not in_conflict(CORRIDOR.occupied, other, 70.0, 30.0, 20.0)


def test_on_time_nothing_changes():
    for t in range(151):
        assert told(CORRIDOR, t + 0.5, report(t, LINE.at(EPOCH + t))) is None
        if 9 <= t < 150:
            assert told(CORRIDOR, t + 0.5, report(t, LINE.at(EPOCH + t - 9.0))) is None
    # Late, within its tolerance: of consequence once it should have landed.
    assert told(CORRIDOR, 149, report(149, LINE.at(EPOCH + 140))) is None
    assert told(CORRIDOR, 155, report(155, LINE.at(EPOCH + 140))).centre_line.end_s > EPOCH + 155


@pytest.mark.parametrize("late", [20.5, 30.0, 200.0])
@pytest.mark.parametrize("own", [0.0, 5.0, 20.0, 70.0, 119.9, 140.0])
def test_the_rest_of_the_road_waits_for_a_late_drone(own, late):
    now = own + late
    place = LINE.at(EPOCH + own)
    shifted = told(CORRIDOR, now, report(now, place))
    assert inside(dataclasses.replace(shifted, time_tolerance_s=0.0), now, place)
    # The whole delay, or as much of it as puts it back into its room.
    shift = shifted.centre_line.end_s - LINE.end_s
    assert late - 1.2 <= shift <= late + 0.02
    for t in np.arange(own + 1.2, 150.0, 5.0):  # on from here, at its old pace
        np.testing.assert_allclose(shifted.centre_line.at(EPOCH + t + shift), LINE.at(EPOCH + t), atol=1e-4)
    for t in np.arange(0.0, own, 5.0):  # what has been stays
        np.testing.assert_allclose(shifted.centre_line.at(EPOCH + t), LINE.at(EPOCH + t), atol=1e-4)
    assert told(shifted, now, report(now, place)) is None


def test_a_flight_that_hovers_for_minutes_stays_in_its_room():
    place, corridor, versions = (500.0, 3.0, 52.0), CORRIDOR, 0
    for t in np.arange(70.0, 400.0):
        extended = told(corridor, t, report(t, place))
        corridor, versions = extended or corridor, versions + (extended is not None)
        assert inside(corridor, t, place)
    assert versions < 40
    assert inside(corridor, 405, (560.0, 0.0, 50.0))
    # Its pad is kept for when it comes.
    assert told(corridor, 400, report(400, place)) is None
    assert corridor.centre_line.end_s == pytest.approx(EPOCH + 400 + 80, abs=12)


def test_one_that_hovers_over_its_pad_keeps_it():
    corridor = CORRIDOR
    for t in range(150, 600, 7):
        corridor = told(corridor, t, report(t, (1000.0, 0.0, 6.0))) or corridor
        assert inside(corridor, t, (1000.0, 0.0, 6.0))


def test_one_that_is_never_heard_keeps_its_last_piece_and_its_pad():
    corridor = CORRIDOR
    assert told(corridor, 150) is None
    for now in range(151, 1500, 3):
        corridor = told(corridor, now) or corridor
        for place in ((1000, 0, 50), (1000, 0, 31), PAD):
            assert inside(corridor, now, place)
            assert inside(corridor, now + 3, place)
    assert not inside(corridor, 1500, (500, 0, 50))  # the way before it is free
    assert corridor.pad_hold_s == CORRIDOR.pad_hold_s


def test_one_that_falls_silent_on_its_way_keeps_all_that_was_before_it():
    last, corridor = report(80, LINE.at(EPOCH + 78)), CORRIDOR
    for now in range(81, 151):
        assert told(corridor, now, last) is None
    for now in range(151, 1500, 3):
        corridor = told(corridor, now, last) or corridor
        for t in (78, 100, 119, 125, 150):
            assert inside(corridor, now, LINE.at(EPOCH + t))
    assert not inside(corridor, 1500, (400, 0, 50))


def test_an_astray_one_keeps_its_last_piece_and_its_pad():
    astray = report(160, (500.0, 300.0, 50.0))
    assert told(CORRIDOR, 140, report(140, astray.enu_m)) is None  # not late: somewhere else
    corridor = told(CORRIDOR, 160, astray)
    assert inside(corridor, 160, (1000, 0, 40))
    assert inside(corridor, 160 + AHEAD_S, PAD)


def test_one_that_stands_where_it_should_not_keeps_the_place_and_gives_back_its_road():
    stands = report(40, (0.0, 0.0, 0.0), landed=True)  # it never left
    assert told(CORRIDOR, 9, report(9, (0.0, 0.0, 0.0), landed=True)) is None
    corridor = told(CORRIDOR, 40, stands)
    for now in range(40, 1000, 10):
        corridor = told(corridor, now, stands) or corridor
        assert inside(corridor, now, (0.0, 0.0, 0.0))
        assert not inside(corridor, now, PAD)
    away = report(100, (300.0, 200.0, 3.0), landed=True)  # it came down in a field
    assert inside(told(CORRIDOR, 100, away), 100 + AHEAD_S, away.enu_m)


def test_a_round_trip_that_is_back_keeps_its_pad():
    line = Trajectory(LINE.t_s, [(0, 0, 0), (0, 0, 50), (0, 0, 50), (0, 0, 0)])
    corridor = dataclasses.replace(CORRIDOR, centre_line=line)
    landed = report(150, (0.0, 0.0, 0.0), landed=True)
    for now in range(150, 1000, 10):
        corridor = told(corridor, now, landed) or corridor
        assert inside(corridor, now, (0.0, 0.0, 0.0))


def test_on_the_way_back_it_is_not_taken_for_being_on_the_way_out():
    line = Trajectory(
        EPOCH + np.array([0.0, 20.0, 120.0, 220.0, 250.0]),
        [(0, 0, 0), (0, 0, 50), (1000, 0, 50), (0, 0, 50), (0, 0, 0)],
    )
    corridor = dataclasses.replace(CORRIDOR, centre_line=line)
    for own, late in ((70.0, 30.0), (170.0, 30.0), (200.0, 100.0)):
        shifted = told(corridor, own + late, report(own + late, line.at(EPOCH + own)))
        assert shifted.centre_line.end_s == pytest.approx(EPOCH + 250.0 + late, abs=1.2)


def test_without_a_hold_a_pad_is_kept_as_well():
    corridor = dataclasses.replace(CORRIDOR, pad_hold_s=0.0)
    landed = report(150, PAD, landed=True)
    for now in range(150, 1000, 10):
        corridor = told(corridor, now, landed) or corridor
        assert inside(corridor, now, PAD)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), state=st.sampled_from(FLYING), hold=st.sampled_from([0.0, 60.0, 300.0]))
def test_whatever_happens_the_drone_that_is_on_its_road_stays_in_its_room(seed, state, hold):
    """A flight that dawdles, waits, falls silent and is asked about at odd times: after every report the corridor holds
    it, at every moment asked there is one, and it never ends before its pad is given back."""
    rng = np.random.default_rng(seed)
    corridor, own, t, last = dataclasses.replace(CORRIDOR, pad_hold_s=hold), 0.0, 0.0, None
    while t < 400.0:
        pace, step = rng.choice([0.0, 0.4, 1.0]), rng.uniform(0.5, 8.0)
        t += step
        own = min(own + pace * step, 150.0)
        place = LINE.at(EPOCH + own) + rng.uniform(-1, 1, 3)
        if rng.random() < 0.8 or last is None:
            last = report(t, place, landed=bool(own == 150.0))
        now = t + rng.uniform(0.0, 1.0)
        changed = told(corridor, now, last, state)
        if changed is not None:
            assert told(changed, now, last, state) is None  # once is enough
            corridor = changed
        if last.t_s == EPOCH + t:
            assert inside(corridor, t, last.enu_m)
        assert corridor.occupied.end_s + corridor.time_tolerance_s >= EPOCH + now


def test_what_is_no_time():
    with pytest.raises(ValueError, match="now_s"):
        overdue(intent(), math.nan, None)
