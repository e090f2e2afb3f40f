from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.model import RuleSet
from utm.report import Flown, flight_figures, least_separation
from utm.report.figures import checks, pairs


class Track:
    """As much of a flown flight as separation looks at."""

    flew = True

    def __init__(self, t_s, enu_m):
        self.t_s, self.enu_m = np.asarray(t_s, float), np.asarray(enu_m, float)


def oracle_least_margin(a: Track, b: Track, rules: RuleSet) -> float:
    """By brute force: 50,001 moments over the common time, and the given positions."""
    start, end = max(a.t_s[0], b.t_s[0]), min(a.t_s[-1], b.t_s[-1])
    times = np.concatenate([np.linspace(start, end, 50_001), a.t_s, b.t_s])
    times = times[(times >= start) & (times <= end)]
    east, north, up = (
        np.interp(times, a.t_s, a.enu_m[:, k]) - np.interp(times, b.t_s, b.enu_m[:, k]) for k in range(3)
    )
    shares = np.hypot(east, north) / rules.separation_horizontal_m, np.abs(up) / rules.separation_vertical_m
    return float(np.maximum(*shares).min())


places = st.tuples(*(st.integers(-60, 60).map(float) for _ in range(2)), st.integers(0, 40).map(float))


@st.composite
def tracks(draw):
    count = draw(st.integers(2, 4))
    start = draw(st.integers(0, 10))
    steps = draw(st.lists(st.integers(1, 12), min_size=count - 1, max_size=count - 1))
    return Track(start + np.concatenate([[0], np.cumsum(steps)]), [draw(places) for _ in range(count)])


@settings(max_examples=150, deadline=None)
@given(tracks(), tracks())
def test_least_separation_agrees_with_brute_force(a, b):
    rules = RuleSet()
    found = least_separation(a, b, rules)
    if a.t_s[0] > b.t_s[-1] or b.t_s[0] > a.t_s[-1]:
        assert found is None
        return
    oracle = oracle_least_margin(a, b, rules)
    # The oracle looks at moments less than 1 ms apart, in which the margin changes by less than 0.03.
    assert found.margin <= oracle + 1e-9
    assert found.margin >= oracle - 0.03
    at = max(found.horizontal_m / rules.separation_horizontal_m, found.vertical_m / rules.separation_vertical_m)
    assert found.margin == pytest.approx(at)


def test_the_closest_moment_may_fall_between_two_reports():
    a = Track([0, 10], [[0, 0, 50], [100, 0, 50]])
    b = Track([0, 10], [[100, 0, 50], [0, 0, 50]])
    found = least_separation(a, b, RuleSet())
    assert found.t_s == pytest.approx(5.0)
    assert found.horizontal_m == pytest.approx(0.0, abs=1e-9)


def test_the_closest_moment_weighs_both_distances():
    # Horizontally nearest at 5 s, when they are far apart in height; the danger is where the two shares meet.
    a = Track([0, 10], [[0, 0, 50], [100, 0, 50]])
    b = Track([0, 10], [[50, 0, 50], [50, 0, 90]])
    found = least_separation(a, b, RuleSet())
    assert found.horizontal_m / 20 == pytest.approx(found.vertical_m / 10)
    assert found.margin == pytest.approx(oracle_least_margin(a, b, RuleSet()), abs=1e-3)


def test_drones_that_never_were_in_the_air_together():
    a = Track([0, 10], [[0, 0, 50], [100, 0, 50]])
    b = Track([11, 20], [[0, 0, 50], [100, 0, 50]])
    assert least_separation(a, b, RuleSet()) is None


def test_figures_of_a_flight(flown: Flown):
    flight = flown.flights[0]
    figures = flight_figures(flown, flight)
    assert (figures.departure_s, figures.arrival_s) == (flight.t_s[0], flight.t_s[-1])
    assert figures.distance_m == pytest.approx(np.hypot(660, 10), abs=0.1)
    assert figures.cross_track_max_m == 1.0
    assert figures.height_error_m == (0.5, 0.5)
    assert figures.inside_share == 1.0
    # The tower's top is a box from 440 to 460 m east, 290 to 310 m north, up to 40 m; the drone passes over it.
    north = 300 + 10 * (450 - 120) / 660 + 1.0
    assert figures.obstacle_m == pytest.approx(np.hypot(80.5 - 40, max(0, north - 310)), abs=0.1)


def test_height_errors_over_the_pads_are_not_counted(flown: Flown):
    flight = flown.flights[0]
    errors = flight.height_error_m.copy()
    errors[:20] = errors[-20:] = -9.0
    assert (flight.enu_m[[19, -20], 0] - [120, 780] == 0).all()
    assert flight_figures(flown, dataclasses.replace(flight, height_error_m=errors)).height_error_m == (0.5, 0.5)


def test_a_flight_that_only_went_up(flown: Flown):
    flight = flown.flights[0]
    up = slice(0, 20)
    names = ("t_s", "enu_m", "cross_track_m", "height_error_m", "inside")
    figures = flight_figures(flown, dataclasses.replace(flight, **{name: getattr(flight, name)[up] for name in names}))
    assert figures.height_error_m is None
    assert figures.obstacle_m is None
    assert figures.distance_m == 0.0


def test_least_clearance_is_none_where_nothing_is_near(flown: Flown, make_flight):
    high = make_flight("HIGH", [[120, 450, 10], [120, 450, 140], [780, 450, 140], [780, 450, 10]])
    assert flight_figures(dataclasses.replace(flown, flights=(high,)), high).obstacle_m is None


def test_inside_share_counts_time_not_positions(flown: Flown):
    flight = flown.flights[0]
    t_s = flight.t_s.copy()
    t_s[10:] += 1000.0
    inside = flight.inside.copy()
    inside[10] = False
    figures = flight_figures(flown, dataclasses.replace(flight, t_s=t_s, inside=inside))
    length = t_s[-1] - t_s[0]
    assert figures.inside_share == pytest.approx(1 - (t_s[11] - t_s[9]) / length)


def test_checks_say_what_was_kept(flown: Flown):
    found = checks(flown, pairs(flown))
    assert all(check.held for check in found)
    assert [check.sentence.split()[0] for check in found] == ["MED-1", "INSP-2", "MED-1"]


def test_checks_name_every_fault_first(flown: Flown, make_flight):
    stray = make_flight("STRAY", [[120, 100, 10], [120, 100, 60], [780, 100, 60], [780, 100, 10]], aside_m=30.0)
    lost = dataclasses.replace(flown.flights[0], trouble="MED-1: no report for 5 s.")
    twin = make_flight("TWIN", [[120, 305, 10], [120, 305, 80], [780, 315, 80], [780, 315, 10]])
    none = np.empty(0)
    grounded = dataclasses.replace(
        flown.flights[1],
        t_s=none,
        enu_m=np.empty((0, 3)),
        cross_track_m=none,
        height_error_m=none,
        inside=np.empty(0, bool),
    )
    wrong = dataclasses.replace(flown, flights=(lost, grounded, stray, twin))
    sentences = [check.sentence for check in checks(wrong, pairs(wrong)) if not check.held]
    assert sentences[0] == "MED-1: no report for 5 s"
    assert sentences[1] == "INSP-2 never left the ground"
    assert sentences[2].startswith("STRAY was outside its corridor at ")
    assert sentences[3] == "MED-1 and TWIN came too close: 5 m across and 0 m in height at their least separation"
    assert len(sentences) == 4


def test_many_checks_are_counted(flown: Flown, make_flight):
    fleet = tuple(
        make_flight(
            f"F{i}", [[100, 60 * i + 40, 10], [100, 60 * i + 40, 80], [800, 60 * i + 40, 80], [800, 60 * i + 40, 10]]
        )
        for i in range(8)
    )
    many = dataclasses.replace(flown, flights=fleet)
    sentences = [check.sentence for check in checks(many, pairs(many))]
    assert sentences[3] == "5 other flights stayed inside their corridors"
    assert sentences[-1] == "25 other pairs stayed further apart"
    assert len(sentences) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inside": np.ones(3, bool)}, "inside must have shape"),
        ({"height_error_m": "nan"}, "height_error_m must be finite"),
        ({"t_s": "backwards"}, "in order of time"),
    ],
)
def test_a_flown_flight_that_makes_no_sense_is_refused(flown: Flown, change, words):
    flight = flown.flights[0]
    values = {"nan": np.full(len(flight.t_s), np.nan), "backwards": flight.t_s[::-1]}
    change = {name: values[value] if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(flight, **change)


def test_a_plan_is_flown_once(flown: Flown):
    with pytest.raises(ValueError, match="flown once"):
        dataclasses.replace(flown, flights=(flown.flights[0], flown.flights[0]))


def test_a_pad_is_called_by_its_name_only_where_it_is(flown: Flown):
    plan = flown.flights[0].intent.plan
    assert flown.place_name(plan.origin) == "Hospital"
    assert flown.place_name(plan.destination) == f"{plan.destination.lat_deg:.5f}, {plan.destination.lon_deg:.5f}"
