"""Closest approach of live drones, and what to tell them: against looking everywhere, in any order."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.encounters import every_pair, place, uncertainty
from utm.core import _encounters
from utm.core.advisories import advise, advise_all, followed
from utm.core.conflict import closest_approach
from utm.core.encounters import BACK_S, LiveDrone, Severity, find_encounters, predict
from utm.core.manoeuvres import HeightBand, Kind, possible_manoeuvres
from utm.model import AIRCRAFT_CLASSES, Corridor, RuleSet, Trajectory

pytestmark = pytest.mark.nojit

EPOCH = 1.8e9
QUAD = dataclasses.replace(AIRCRAFT_CLASSES["quad"], navigation_error_m=2.0, height_error_m=1.0)
RULES = RuleSet(separation_horizontal_m=20.0, separation_vertical_m=10.0)
#: No drift: what is predicted is what happens, but for the errors.
SURE = (0.0, 0.0)


def drone(name, place_m, velocity, *, t=0.0, **more):
    more = {"drift_m_s2": SURE} | more
    return LiveDrone(name, EPOCH + t, tuple(map(float, place_m)), tuple(map(float, velocity)), QUAD, **more)


def open_sky(boxes):
    return np.full(len(boxes), -1000.0), np.full(len(boxes), 1000.0)


def pancake(boxes):
    """All at one height."""
    return np.full(len(boxes), 79.0), np.full(len(boxes), 81.0)


def along(knots, **more):
    """A drone on a granted line through (seconds, east, north, up)."""
    line = Trajectory(EPOCH + np.array([k[0] for k in knots]), [k[1:] for k in knots])
    return Corridor(line, 25.0, 10.0, 12.0, 10.0, **more)


def crowded(rng, count, size, *, lines=True):
    """Drones in a box, some on lines with corners, some late, some seen long ago."""
    found = []
    for n in range(count):
        age, here = rng.uniform(-1, 8), rng.uniform(0, size, 3) * [1, 1, 0.2] + [0, 0, 60]
        velocity = rng.normal(0, 6, 3) * [1, 1, 0.3] * (rng.random() > 0.2)
        corridor, late = None, 0.0
        if lines and rng.random() < 0.5:
            times = EPOCH - 20 + np.cumsum(rng.uniform(1, 15, 6))
            steps = rng.normal(0, 60, (6, 3)) * [1, 1, 0.2] * (rng.random((6, 1)) > 0.2)
            corridor = Corridor(Trajectory(times, here + np.cumsum(steps, axis=0)), 25.0, 10.0, 12.0, 10.0)
            late = rng.uniform(-8, 8)
            here = corridor.centre_line.at(EPOCH - age - late) + rng.uniform(-8, 8, 3)
        found.append(
            LiveDrone(
                f"d{n:03}", EPOCH - age, tuple(here.tolist()), tuple(velocity.tolist()), QUAD, int(rng.integers(3)),
                corridor, late, (float(rng.choice([0.0, 0.1])), float(rng.choice([0.0, 0.03]))),
            )
        )  # fmt: skip
    return found


# --- where they will be ---------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_predictions_agree_with_the_slow_ones(seed):
    rng = np.random.default_rng(seed)
    step = float(rng.choice([0.5, 1.0, 2.0]))
    picture = predict(crowded(rng, 3, 300.0), EPOCH, horizon_s=10.0, step_s=step)
    for row, one in enumerate(picture.drones):
        for k in range(picture.slots):
            begin, end = EPOCH + k * step, EPOCH + (k + 1) * step
            np.testing.assert_allclose(picture.path_m[row, k], place(one, begin, BACK_S), atol=1e-4)
            looks = np.linspace(0, 1, 41)
            real = np.array([place(one, begin + share * step, BACK_S) for share in looks])
            chord = real[0] + looks[:, None] * (real[-1] - real[0])
            off = np.array([np.hypot(*(real - chord)[:, :2].T).max(), np.abs((real - chord)[:, 2]).max()])
            fastest = np.abs(np.diff(real, axis=0)).max() if len(real) else 0.0
            assert (off <= picture.bend_m[row, k] + 1e-4).all()
            assert (picture.bend_m[row, k] <= off + 3 * fastest + 1e-4).all()
            np.testing.assert_allclose(
                picture.reach_m[row, k] - picture.bend_m[row, k], uncertainty(one, end), atol=1e-4
            )


def test_who_conforms_follows_its_line_around_the_corner_as_late_as_it_is():
    corridor = along([(-60, 0, 0, 80), (10, 700, 0, 80), (60, 700, 500, 80)])
    late = drone("late", (570, 6, 80), (10, 0, 0), corridor=corridor, late_s=3.0)
    picture = predict([late], EPOCH)
    np.testing.assert_allclose(picture.path_m[0, 0], (570, 6, 80), atol=1e-5)
    np.testing.assert_allclose(picture.path_m[0, 5], (620, 3, 80), atol=1e-5)  # half-way back on its line
    np.testing.assert_allclose(picture.path_m[0, 20], (700, 70, 80), atol=1e-5)
    assert picture.bend_m[0].max() == 0.0  # the corner, at 13 s, is at the end of a slot
    shifted = predict([dataclasses.replace(late, late_s=3.5, enu_m=(565.0, 6.0, 80.0))], EPOCH)
    assert shifted.bend_m[0, 13, 0] == pytest.approx(math.hypot(2.5, 2.5), abs=1e-5)
    # Without a grant it is taken to fly straight on.
    astray = predict([dataclasses.replace(late, corridor=None)], EPOCH)
    np.testing.assert_allclose(astray.path_m[0, 20], (770, 6, 80), atol=1e-5)


def test_uncertainty_grows_with_age_and_stops_at_the_corridor():
    corridor = along([(-60, 0, 0, 80), (100, 1600, 0, 80)])
    ours = drone("a", (0, 0, 80), (10, 0, 0), t=-10.0, drift_m_s2=(0.2, 0.1))
    on_line = dataclasses.replace(ours, id="b", corridor=corridor, enu_m=(500.0, 0.0, 80.0))
    picture = predict([ours, on_line], EPOCH)
    np.testing.assert_allclose(picture.reach_m[0, 0], (2 + 0.1 * 121, 1 + 0.05 * 121))
    np.testing.assert_allclose(picture.reach_m[0, 29], (2 + 0.1 * 1600, 1 + 0.05 * 1600))
    np.testing.assert_allclose(picture.reach_m[1, 29], (25.0, 12.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_picture(bad):
    for broken in ({"t": bad}, {"late_s": bad}, {"drift_m_s2": (bad, 0.0)}):
        with pytest.raises(ValueError, match="the state of x"):
            drone("x", (0, 0, 0), (0, 0, 0), **broken)
    with pytest.raises(ValueError, match="the state of x"):
        drone("x", (0, 0, bad), (0, 0, 0))
    with pytest.raises(ValueError, match="the state of x"):
        drone("x", (0, 0), (0, 0, 0))
    one = drone("x", (0, 0, 0), (0, 0, 0))
    with pytest.raises(ValueError, match="'x'"):
        predict([one, one], EPOCH)
    for wrong in ({"horizon_s": bad}, {"step_s": bad}, {"step_s": 0.0}, {"horizon_s": 0.5}):
        with pytest.raises(ValueError, match="horizon"):
            predict([one], EPOCH, **wrong)
    with pytest.raises(ValueError, match="separations"):
        find_encounters(predict([one], EPOCH), dataclasses.replace(RULES, separation_vertical_m=bad))
    with pytest.raises(ValueError, match="reaction_s"):
        possible_manoeuvres(predict([one], EPOCH), "x", open_sky, bad)


# --- who comes near to whom -----------------------------------------------------------------------------------------


def test_head_on():
    (found,) = find_encounters(
        predict([drone("a", (0, 0, 80), (10, 0, 0)), drone("b", (303, 5, 84), (-10, 0, 0))], EPOCH), RULES
    )
    assert (found.a, found.b, found.severity) == ("a", "b", Severity.PREDICTED)
    # The measure is that of the vertical distance, 4 of 10 m, once 8 of 20 m horizontally are reached.
    assert found.vertical_m == pytest.approx(4.0)
    assert found.horizontal_m == pytest.approx(8.0)
    assert found.at_s - EPOCH == pytest.approx((303 - math.sqrt(64 - 25)) / 20)


def test_severity():
    def severity(*drones):
        return [one.severity for one in find_encounters(predict(drones, EPOCH), RULES)]

    ours = drone("a", (0, 0, 80), (10, 0, 0))
    assert severity(ours, drone("b", (15, 0, 82), (10, 0, 0))) == [Severity.LOST]
    assert severity(ours, drone("b", (150, 15, 82), (0, 0, 0))) == [Severity.PREDICTED]
    assert severity(ours, drone("b", (150, 22, 82), (0, 0, 0))) == [Severity.POSSIBLE]  # 20 m and both errors of 2 m
    assert severity(ours, drone("b", (150, 24.01, 82), (0, 0, 0))) == []
    assert severity(ours, drone("b", (150, 0, 91.9), (0, 0, 0))) == [Severity.POSSIBLE]
    assert severity(ours, drone("b", (150, 0, 92.01), (0, 0, 0))) == []
    # At 31 s, beyond the horizon.
    assert severity(ours, drone("b", (334.5, 0, 80), (0, 0, 0))) == []
    assert severity() == severity(ours) == []


def test_flights_kept_apart_by_their_grants_are_no_encounter_though_they_fly_at_each_other():
    east = along([(-60, 0, 0, 80), (10, 700, 0, 80), (60, 700, -300, 80)])
    west = along([(-60, 1500, 0, 80), (10, 800, 0, 80), (60, 800, 300, 80)])
    ours = drone("a", (600, 0, 80), (10, 0, 0), corridor=east, drift_m_s2=(0.1, 0.03))
    theirs = drone("b", (900, 0, 80), (-10, 0, 0), corridor=west, drift_m_s2=(0.1, 0.03))
    assert find_encounters(predict([ours, theirs], EPOCH), RULES) == ()
    astray = dataclasses.replace(ours, corridor=None)
    assert [one.severity for one in find_encounters(predict([astray, theirs], EPOCH), RULES)] == [Severity.POSSIBLE]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_pairs_agree_with_looking_everywhere(seed):
    rng = np.random.default_rng(seed)
    size = float(rng.choice([100.0, 300.0, 1000.0]))
    drones = crowded(rng, int(rng.integers(2, 9)), size)
    picture = predict(drones, EPOCH, horizon_s=float(rng.choice([5.0, 12.0])))
    found = {(one.a, one.b): one for one in find_encounters(picture, RULES)}
    ids = [one.id for one in picture.drones]
    for (i, j), (near, at, unsure) in every_pair(picture.path_m, picture.reach_m, picture.slots, 20.0, 10.0).items():
        # Between two looks, a hundredth of a slot apart, nobody moves by more than a metre relative to another.
        moves = np.abs(np.diff(picture.path_m[i] - picture.path_m[j], axis=0)).max() / 100
        blind = max(2 * moves / 20.0, moves / 10.0)
        one = found.get((ids[i], ids[j]))
        if one is None:
            assert unsure >= 1.0 - 1e-9
            continue
        assert unsure - blind - 1e-9 <= one.share <= unsure + 1e-9
        assert one.share < 1.0
        measure = max(one.horizontal_m / 20.0, one.vertical_m / 10.0)
        assert near - blind - 1e-9 <= measure <= near + 2e-9
        assert (one.severity is Severity.POSSIBLE) == (measure >= 1.0)
        # At that moment they are that far apart.
        t = (one.at_s - EPOCH) / picture.step_s
        k = min(int(t), picture.slots - 1)
        gap = [
            np.interp(t, [k, k + 1], picture.path_m[i, k : k + 2, c] - picture.path_m[j, k : k + 2, c])
            for c in range(3)
        ]
        assert math.hypot(gap[0], gap[1]) == pytest.approx(one.horizontal_m, abs=1e-4)
        assert abs(gap[2]) == pytest.approx(one.vertical_m, abs=1e-4)
        assert abs(at - t) < 0.02 or measure >= near - blind


def test_closest_approach_is_that_of_the_exact_kernel():
    """At one height the measure is the horizontal distance alone."""
    rng = np.random.default_rng(3)
    drones = [drone(str(n), (*rng.uniform(0, 60, 2), 80), (*rng.normal(0, 8, 2), 0)) for n in range(8)]
    picture = predict(drones, EPOCH, horizon_s=12.0)
    found = find_encounters(picture, RULES)
    assert len(found) >= 3
    for one in found:
        least, _ = closest_approach(picture.trajectory(one.a), picture.trajectory(one.b), 10.0, 0.0)
        assert one.horizontal_m == pytest.approx(least, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_it_does_not_matter_in_which_order_they_come(seed, data):
    rng = np.random.default_rng(seed)
    drones = crowded(rng, 7, 250.0)
    shuffled = data.draw(st.permutations(drones))
    one, other = (predict(order, EPOCH, horizon_s=8.0) for order in (drones, shuffled))
    assert find_encounters(one, RULES) == find_encounters(other, RULES)
    said = [
        [(a.encounter, [(m.id, m.kind, m.amount) for m in a.manoeuvres]) for a in advise_all(p, RULES, open_sky)]
        for p in (one, other)
    ]
    assert said[0] == said[1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_drones_are_as_near_to_each_other_as_each_other_to_two(seed):
    rng = np.random.default_rng(seed)
    a, b = crowded(rng, 2, 60.0)
    swapped = [dataclasses.replace(a, id=b.id), dataclasses.replace(b, id=a.id)]
    one, other = (find_encounters(predict(pair, EPOCH, horizon_s=8.0), RULES) for pair in ([a, b], swapped))
    assert [dataclasses.astuple(found) for found in one] == [dataclasses.astuple(found) for found in other]


def test_many_are_swept_as_if_every_pair_were_looked_at():
    rng = np.random.default_rng(11)
    for count, stretch in ((40, (1.0, 1.0)), (40, (0.02, 8.0)), (20, (8.0, 0.02))):  # in a field, in a row, in a file
        drones = [
            dataclasses.replace(one, enu_m=tuple((np.array(one.enu_m) * [*stretch, 1.0]).tolist()))
            for one in crowded(rng, count, 150.0, lines=False)
        ]
        picture = predict(drones, EPOCH, horizon_s=6.0)
        found = {(one.a, one.b) for one in find_encounters(picture, RULES)}
        alone = {
            pair
            for pair in itertools.combinations(sorted(one.id for one in drones), 2)
            if find_encounters(predict([one for one in drones if one.id in pair], EPOCH, horizon_s=6.0), RULES)
        }
        assert found == alone
        assert found


# --- what one could do ----------------------------------------------------------------------------------------------


def ways(one, **more):
    picture = predict([one], EPOCH, **more)
    return picture, {(way.kind, way.amount): way for way in possible_manoeuvres(picture, one.id, open_sky, 3.0)}


def test_manoeuvres_are_what_they_are_called():
    picture, found = ways(drone("a", (0, 0, 80), (8, 0, 0)))
    end = {key: way.path_m[30] for key, way in found.items()}
    np.testing.assert_allclose(end[Kind.CLIMB, 20.0], (240, 0, 100), atol=1e-6)
    np.testing.assert_allclose(end[Kind.DESCEND, 20.0], (240, 0, 60), atol=1e-6)
    assert end[Kind.LEFT, 90.0][1] > 150
    assert end[Kind.RIGHT, 90.0][1] == pytest.approx(-end[Kind.LEFT, 90.0][1])
    assert end[Kind.LEFT, 15.0][1] == pytest.approx(
        math.tan(math.radians(15)) * (end[Kind.LEFT, 15.0][0] - 24), rel=0.05
    )
    np.testing.assert_allclose(end[Kind.HOLD, 0.0], (24 + 8**2 / (2 * 2.0), 0, 80), atol=1e-6)
    np.testing.assert_allclose(end[Kind.SLOWER, 0.5], (24 + 27 * 4 + 4**2 / (2 * 2.0), 0, 80), atol=1e-6)
    np.testing.assert_allclose(end[Kind.FASTER, 1.25], (24 + 27 * 10 - 2**2 / (2 * 2.0), 0, 80), atol=1e-6)
    departures = [way.departure_m for way in possible_manoeuvres(picture, "a", open_sky, 3.0)]
    assert departures == sorted(departures)
    for way in found.values():
        assert way.from_s == EPOCH + 3.0
        np.testing.assert_array_equal(way.path_m[:4], picture.path_m[0, :4])
        far = np.linalg.norm(way.path_m[:31] - picture.path_m[0, :31], axis=1).max()
        assert way.departure_m == pytest.approx(far)


def test_none_is_harder_than_the_aircraft_can():
    for velocity in ((8, 0, 0), (0, -3, 0), (6, 6, 1)):
        _, found = ways(drone("a", (0, 0, 80), velocity), step_s=0.5)
        for way in found.values():
            flown = way.path_m[: 2 * 30 + 1]
            pulled = np.diff(flown, 2, axis=0) / 0.5**2
            assert np.linalg.norm(pulled, axis=1).max() <= QUAD.acceleration_m_s2 * 1.0001
            pace = np.diff(flown, axis=0) / 0.5
            assert np.linalg.norm(pace[:, :2], axis=1).max() <= max(QUAD.max_airspeed_m_s, 10.7)
            rates = pace[:, 2] - velocity[2]
            if way.kind in (Kind.CLIMB, Kind.DESCEND):
                assert -QUAD.descent_m_s - 1e-9 <= rates.min() <= rates.max() <= QUAD.climb_m_s + 1e-9


def test_who_hovers_can_only_climb_and_descend_and_who_is_at_the_limit_not_faster():
    _, found = ways(drone("a", (0, 0, 80), (0, 0, 0)))
    assert {kind for kind, _ in found} == {Kind.CLIMB, Kind.DESCEND}
    _, found = ways(drone("a", (0, 0, 80), (14, 0, 0)))
    assert Kind.FASTER not in {kind for kind, _ in found}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_between_the_ends_of_slots_a_manoeuvre_bends_no_more_than_it_says(seed):
    """The same manoeuvre in slots a twentieth as long is what is really flown."""
    rng = np.random.default_rng(seed)
    one = dataclasses.replace(crowded(rng, 1, 100.0)[0], drift_m_s2=SURE)
    coarse, fine = (predict([one], EPOCH, horizon_s=10.0, step_s=step) for step in (1.0, 0.05))
    rough = {(way.kind, way.amount): way for way in possible_manoeuvres(coarse, one.id, open_sky, 3.0)}
    exact = {(way.kind, way.amount): way for way in possible_manoeuvres(fine, one.id, open_sky, 3.0)}
    bent = one.corridor is not None  # then the fine picture cuts corners, too, by what it says itself
    for key in set(rough) & set(exact):
        if bent and key[0] in (Kind.LEFT, Kind.RIGHT, Kind.SLOWER, Kind.FASTER, Kind.HOLD):
            continue  # the speed from which it is flown is that of a whole slot: another manoeuvre
        way = rough[key]
        growth = np.array([2.0, 1.0])  # the errors
        for k in range(coarse.slots):
            share = np.linspace(0, 1, 21)[:, None]
            chord = way.path_m[k] + share * (way.path_m[k + 1] - way.path_m[k])
            gap = exact[key].path_m[20 * k : 20 * k + 21] - chord
            off = np.array([np.hypot(gap[:, 0], gap[:, 1]).max(), np.abs(gap[:, 2]).max()])
            slack = fine.bend_m[0, 20 * k : 20 * k + 20].max(axis=0)
            assert (off <= way.reach_m[k] - growth + slack + 1e-5).all(), key


def test_a_way_slower_around_a_corner_bends_no_more_than_it_says():
    corridor = along([(-60, 0, 0, 80), (10.4, 704, 0, 80), (20.3, 704, 99, 60), (60, 704, 500, 60)])
    one = drone("a", (600, 0, 80), (10, 0, 0), corridor=corridor)
    picture = predict([one], EPOCH)
    line = corridor.centre_line
    for way in possible_manoeuvres(picture, "a", open_sky, 3.0):
        if way.kind not in (Kind.SLOWER, Kind.FASTER, Kind.HOLD):
            continue
        fastest = np.linalg.norm(np.diff(picture.path_m[0], axis=0), axis=1)[3:].max()
        change = abs(1 - way.amount) * fastest / QUAD.acceleration_m_s2
        for k in range(30):
            for share in np.linspace(0, 1, 21):
                t = k + share
                after = max(t - 3.0, 0.0)
                gone = min(after, change)
                clock = t + (way.amount - 1) * (gone**2 / (2 * change) + after - gone)
                gap = line.at(EPOCH + clock) - (way.path_m[k] + share * (way.path_m[k + 1] - way.path_m[k]))
                # An end of a slot is itself a point of the picture's straight slots, not of the line.
                room = way.reach_m[k] - (2.0, 1.0) + picture.bend_m[0].max(axis=0)
                assert math.hypot(gap[0], gap[1]) <= room[0] + 1e-5
                assert abs(gap[2]) <= room[1] + 1e-5


def test_floor_and_ceiling_bound_what_may_be_flown():
    ours = drone("a", (50, 150, 80), (8, 0, 0))
    picture = predict([ours], EPOCH)

    def told(band):
        return {(way.kind, way.amount) for way in possible_manoeuvres(picture, "a", band, 3.0)}

    found = told(lambda boxes: (np.full(len(boxes), 65.0), np.full(len(boxes), 111.0)))
    assert {amount for kind, amount in found if kind is Kind.CLIMB} == {10.0, 20.0, 30.0}
    assert {amount for kind, amount in found if kind is Kind.DESCEND} == {10.0}
    found = told(pancake)
    assert Kind.LEFT in {kind for kind, _ in found}
    assert not {Kind.CLIMB, Kind.DESCEND} & {kind for kind, _ in found}
    # A tower to the left: whoever would turn into it is not told to.
    lowest = np.full((60, 60), 30.0)
    lowest[10:17, 20:30] = 150.0
    band = HeightBand(np.array([0.0, 0.0]), 10.0, lowest, np.full((60, 60), 200.0))
    found = told(band)
    assert (Kind.RIGHT, 15.0) in found
    assert (Kind.LEFT, 60.0) not in found
    assert (Kind.RIGHT, 90.0) not in found  # off the arrays
    # On its granted line it may always be slower.
    line = along([(-60, 0, 50, 20), (100, 1280, 50, 20)])
    low = drone("a", (480, 50, 20), (8, 0, 0), corridor=line)
    found = {way.kind for way in possible_manoeuvres(predict([low], EPOCH), "a", band, 3.0)}
    assert found == {Kind.SLOWER, Kind.FASTER, Kind.HOLD}


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_band_of_a_box_is_that_of_all_its_cells(seed):
    rng = np.random.default_rng(seed)
    lowest, highest = rng.uniform(0, 50, (6, 5)), rng.uniform(60, 99, (6, 5))
    band = HeightBand(np.array([100.0, 200.0]), 7.0, lowest, highest)
    corner = rng.uniform([95, 195], [140, 233])
    box = np.array([*corner, *(corner + rng.uniform(0, 20, 2))])
    floor, ceiling = band(box[None])
    cells = [
        (i, j)
        for i in range(-5, 15)
        for j in range(-5, 15)
        if 100 + 7 * i <= box[2] and 100 + 7 * (i + 1) > box[0] and 200 + 7 * j <= box[3] and 200 + 7 * (j + 1) > box[1]
    ]
    if all(0 <= i < 6 and 0 <= j < 5 for i, j in cells):
        assert floor[0] == max(lowest[cell] for cell in cells)
        assert ceiling[0] == min(highest[cell] for cell in cells)
    else:
        assert (floor[0], ceiling[0]) == (math.inf, -math.inf)


# --- what they are told ---------------------------------------------------------------------------------------------


def met(picture):
    return {(one.a, one.b) for one in find_encounters(picture, RULES)}


def head_on(**more):
    return [drone("a", (0, 0, 80), (10, 0, 0)), drone("b", (300, 3, 80), (-10, 0, 0), **more)]


def test_the_least_manoeuvre_of_the_later_id_is_told():
    picture = predict(head_on(), EPOCH)
    (encounter,) = find_encounters(picture, RULES)
    advice = advise(picture, encounter, RULES, open_sky)
    (move,) = advice.manoeuvres
    assert (move.id, move.kind, move.amount) == ("b", Kind.CLIMB, 20.0)
    assert met(followed(picture, [move])) == set()
    assert "a and b: b: climb 20" in advice.sentence
    # Each that is less is not enough.
    for less in possible_manoeuvres(picture, "b", open_sky, 3.0):
        if less.departure_m < move.departure_m:
            assert met(followed(picture, [less]))


def test_the_lower_priority_moves_first():
    urgent = predict(head_on(priority=5), EPOCH)
    assert [m.id for m in advise(urgent, find_encounters(urgent, RULES)[0], RULES, open_sky).manoeuvres] == ["a"]


def test_where_the_first_cannot_the_other_is_told():
    picture = predict(head_on(), EPOCH)
    encounter = find_encounters(picture, RULES)[0]

    def only_west(boxes):  # where b is, nothing but its own way may be flown
        blocked = boxes[:, 2] > 160
        return np.where(blocked, 500.0, -500.0), np.full(len(boxes), 1000.0)

    advice = advise(picture, encounter, RULES, only_west)
    assert [move.id for move in advice.manoeuvres] == ["a"]
    assert met(followed(picture, advice.manoeuvres)) == set()


def test_where_neither_alone_is_enough_both_are_told():
    """Two that meet soon, with nothing to be flown above and below: some way off, it takes both."""
    for gap in np.arange(105.0, 220.0, 5.0):
        pair = [drone("a", (0, 0, 80), (8, 0, 0)), drone("b", (gap, 0, 80), (-8, 0, 0))]
        picture = predict(pair, EPOCH)
        advice = advise(picture, find_encounters(picture, RULES)[0], RULES, pancake)
        if len(advice.manoeuvres) == 2:
            break
    assert [move.id for move in advice.manoeuvres] == ["b", "a"]
    assert met(followed(picture, advice.manoeuvres)) == set()
    for move in advice.manoeuvres:  # neither would do alone
        assert met(followed(picture, [move]))


def test_where_there_is_none_it_says_so():
    picture = predict([drone("a", (0, 0, 80), (10, 0, 0)), drone("b", (15, 0, 80), (10, 0, 0))], EPOCH)
    advice = advise(picture, find_encounters(picture, RULES)[0], RULES, open_sky)
    assert (advice.exists, advice.manoeuvres) == (False, ())
    assert "no manoeuvre of a and b" in advice.sentence
    shut = predict(head_on(), EPOCH)

    def nowhere(boxes):
        return np.full(len(boxes), 90.0), np.full(len(boxes), 80.0)

    assert not advise(shut, find_encounters(shut, RULES)[0], RULES, nowhere).exists
    late = advise(shut, find_encounters(shut, RULES)[0], RULES, open_sky, reaction_s=30.0)
    assert not late.exists


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_advice_never_makes_a_new_encounter(seed):
    rng = np.random.default_rng(seed)
    band = open_sky if rng.random() < 0.5 else pancake
    drones = crowded(rng, int(rng.integers(2, 9)), float(rng.choice([150.0, 400.0, 800.0])))
    picture = predict(drones, EPOCH, horizon_s=float(rng.choice([10.0, 15.0])))
    before = find_encounters(picture, RULES)
    for encounter in before[:3]:
        advice = advise(picture, encounter, RULES, band, reaction_s=2.0)
        moved = {move.id for move in advice.manoeuvres}
        after = followed(picture, advice.manoeuvres)
        # Whoever moves meets nobody; all the others meet whom they met.
        assert met(after) == {pair for pair in met(picture) if not moved & set(pair)}
        if advice.exists:
            assert moved <= {encounter.a, encounter.b}
            rows = [picture.number[one] for one in moved]
            looks = every_pair(after.path_m, after.reach_m, after.slots, 20.0, 10.0)
            assert min(unsure for pair, (_, _, unsure) in looks.items() if set(pair) & set(rows)) >= 1.0 - 1e-9
            for move in advice.manoeuvres:
                if move.kind in (Kind.CLIMB, Kind.DESCEND, Kind.LEFT, Kind.RIGHT) and band is pancake:
                    begin = round(move.from_s - EPOCH)
                    heights = after.path_m[picture.number[move.id], begin : after.slots + 1, 2]
                    assert 79.0 <= heights.min() <= heights.max() <= 81.0


def test_the_proof_stands_without_the_search(monkeypatch):
    """What the kernels of the search say is not believed: were they blind, nothing unsafe would be advised."""
    pictures = [predict(head_on(), EPOCH)]
    pictures += [predict(crowded(np.random.default_rng(n), 8, 200.0), EPOCH, horizon_s=12.0) for n in range(4)]
    asked = [(picture, one) for picture in pictures for one in find_encounters(picture, RULES)[:2]]
    sighted = [advise(picture, one, RULES, open_sky, reaction_s=2.0) for picture, one in asked]
    monkeypatch.setattr(_encounters, "crowd", lambda *_: False)
    monkeypatch.setattr(_encounters, "too_near", lambda *_: False)
    for (picture, one), wanted in zip(asked, sighted, strict=True):
        advice = advise(picture, one, RULES, open_sky, reaction_s=2.0)
        assert [(m.id, m.kind, m.amount) for m in advice.manoeuvres] == [
            (m.id, m.kind, m.amount) for m in wanted.manoeuvres
        ]
    assert any(one.exists for one in sighted)
    assert not all(one.exists for one in sighted)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_everybody_advised_together_is_apart(seed):
    rng = np.random.default_rng(seed)
    drones = [dataclasses.replace(one, drift_m_s2=SURE) for one in crowded(rng, 8, 500.0, lines=False)]
    picture = predict(drones, EPOCH, horizon_s=12.0)
    told = advise_all(picture, RULES, open_sky, reaction_s=2.0)
    moves = [move for advice in told for move in advice.manoeuvres]
    assert len({move.id for move in moves}) == len(moves)
    after = met(followed(picture, moves))
    unsolved = {(one.encounter.a, one.encounter.b) for one in told if not one.exists}
    assert after <= unsolved
    moved = {move.id for move in moves}
    assert not any(moved & set(pair) for pair in after)
