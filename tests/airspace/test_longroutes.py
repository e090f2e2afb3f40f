"""Ways over windows too large for one dense flight space: forced on small maps, and compared with the dense way."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from tests.airspace.conftest import PADS, plan, zone
from tests.airspace.test_why import FRAME, Wish, courtyard, plain, square, wall
from utm.airspace import longroutes, space
from utm.airspace.places import Refusal
from utm.airspace.routing import clearances_of, find_route
from utm.airspace.slab import less_zones, with_room
from utm.airspace.space import Skies
from utm.airspace.why import why_not
from utm.airspace.zones import keep_out
from utm.core import KeepOut, flight_space, segment_clear
from utm.errors import CannotFly
from utm.model import PLAIN, Conditions, CostLayer, LayerKind, Objective, Wind

rng = np.random.default_rng


@pytest.fixture
def long(monkeypatch):
    """Every window counts as long, and pieces are short, so that small maps have many."""
    monkeypatch.setattr(space, "MOST_VOXELS", 1)
    monkeypatch.setattr(longroutes, "_PIECE", 50)
    monkeypatch.setattr(longroutes, "_BESIDE", 25)
    monkeypatch.setattr("utm.airspace.slab._BLOCK", 37)


def hills(
    seed: int,
    shape: tuple[int, int] = (260, 200),
    relief_m: float = 120.0,
    clear=((120.0, 160.0), (900.0, 640.0)),
    cell_m: float = 4.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(terrain, surface) of smooth hills with houses on them."""
    random = rng(seed)
    x, y = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    terrain = sum(
        np.sin(x / random.uniform(18, 45) + random.uniform(0, 6)) * np.sin(y / random.uniform(18, 45) + 1)
        for _ in range(3)
    )
    terrain = ((terrain - terrain.min()) / np.ptp(terrain) * relief_m).astype(np.float32)
    lots = random.uniform(0, 70, (shape[0] // 8 + 1, shape[1] // 8 + 1)) * (random.random((shape[0] // 8 + 1, 1)) < 0.4)
    houses = lots[x // 8, y // 8] * ((x % 8 < 4) & (y % 8 < 5))
    for east, north in clear:  # pads stand on level ground
        i, j = (slice(int(value / cell_m) - 4, int(value / cell_m) + 5) for value in (east, north))
        terrain[i, j] = terrain[i, j].mean()
        houses[i, j] = 0.0
    return terrain, terrain + houses.astype(np.float32)


def wish_over(terrain, surface, origin, goal, via=(), cell_m=4.0, **rules) -> Wish:
    wish = Wish(surface, (0.0, 0.0), (0.0, 0.0), (), cell_m=cell_m, **rules)
    wish.ground.terrain_m = np.asarray(terrain, np.float32)
    again = Wish.__new__(Wish)
    again.ground, again.rules = wish.ground, wish.rules
    named = [("origin", *origin), *((f"waypoints.{n}", *point) for n, point in enumerate(via)), ("destination", *goal)]
    again.places = tuple(wish.place(*row) for row in named)
    again.plan = wish.plan
    return again


def dense(wish: Wish, zones=(), around=(), raise_m=0.0):
    skies = Skies(wish.ground, wish.rules)
    columns, lowest, highest = skies.around(wish.places)
    outs = [keep_out(zone, columns, FRAME, skies.rules) for zone in zones]
    return flight_space(columns, lowest + raise_m, highest, [*outs, *around], skies.cell_m)


def volume(slab, like) -> np.ndarray:
    """A slab as the volume of a flight space."""
    layers = np.arange(like.blocked.shape[2]) + round((like.origin_m[2] - slab.origin_m[2]) / slab.cell_m)
    assert np.array_equal(slab.origin_m[:2], like.origin_m[:2])
    return ~((layers >= slab.lowest[..., None]) & (layers < slab.highest[..., None]))


def flown(wish: Wish, zones=(), **more):
    return find_route(Skies(wish.ground, wish.rules), wish.plan, wish.places, zones, **more)


def passed_at(way: np.ndarray, place: np.ndarray) -> float:
    """After how many metres a way passes a place, infinite where it does not."""
    metres = 0.0
    for a, b in itertools.pairwise(way):
        length = float(np.linalg.norm(b - a))
        along = float(np.clip((place - a) @ (b - a) / length**2, 0.0, 1.0))
        if np.linalg.norm(a + along * (b - a) - place) < 1e-6:
            return metres + along * length
        metres += length
    return np.inf


# -- the slab


@pytest.mark.parametrize("cell_m", [4.0, 2.0, 1.0])
@pytest.mark.parametrize("raise_m", [0.0, 4.5])
def test_a_slab_is_the_flight_space_of_the_same_window(long, cell_m, raise_m):
    wish = wish_over(*hills(1, relief_m=60.0), (130.0, 90.0), (140.0, 80.0), cell_m=cell_m)
    slab, like = Skies(wish.ground, wish.rules).slab(wish.places, raise_m), dense(wish, raise_m=raise_m)
    assert (~like.blocked).sum() > 5_000
    assert np.array_equal(volume(slab, like), like.blocked)
    assert (slab.highest.astype(int) - slab.lowest).clip(0).sum() == (~like.blocked).sum()


def test_zones_take_from_a_slab_what_they_take_from_a_flight_space(long):
    wish = wish_over(*hills(2), (300.0, 200.0), (800.0, 500.0))
    zones = [
        square("low", 250, 150, 420, 330, upper_m=70.0),
        square("high", 400, 200, 700, 420, lower_m=85.0),
        square("all", 600, 400, 760, 600),
    ]
    skies = Skies(wish.ground, wish.rules)
    slab = less_zones(skies.slab(wish.places), wish.ground, skies.box(wish.places), skies.rules, zones, ())
    like = dense(wish, zones)
    mine = volume(slab, like)
    assert not (like.blocked & ~mine).any()  # never free what is not
    both = (np.diff(np.pad(~like.blocked, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=2) == 1).sum(axis=2) > 1
    assert np.array_equal(mine[~both], like.blocked[~both])
    assert not np.array_equal(like.blocked, dense(wish).blocked)


def test_of_two_stretches_the_lower_stays(long):
    wish = Wish(plain(), (300.0, 200.0), (800.0, 500.0))
    zones = [square("mid", 250, 150, 420, 330, lower_m=70.0, upper_m=80.0)]
    skies = Skies(wish.ground, wish.rules)
    slab = less_zones(skies.slab(wish.places), wish.ground, skies.box(wish.places), skies.rules, zones, ())
    like = dense(wish, zones)
    free, mine = ~like.blocked, ~volume(slab, like)
    i, j = (int(n) for n in slab.voxel((330.0, 240.0, 0.0))[:2])
    begins = np.flatnonzero(np.diff(free[i, j].astype(int)) == 1)
    assert len(begins) + free[i, j, 0] == 2
    assert mine[i, j].sum() > 0
    assert mine[i, j].argmax() == free[i, j].argmax()
    assert not (mine & ~free).any()


def test_further_keep_outs_count_over_the_whole_window(long):
    wish = wish_over(*hills(3), (300.0, 200.0), (800.0, 500.0))
    skies = Skies(wish.ground, wish.rules)
    columns = skies.around(wish.places)[0]
    mask = rng(5).random(columns.shape) < 0.01
    outs = [KeepOut(mask, -np.inf, np.inf), KeepOut(mask[::-1], np.full(columns.shape, 90.0), np.inf)]
    slab = less_zones(skies.slab(wish.places), wish.ground, skies.box(wish.places), skies.rules, (), outs)
    like = dense(wish, around=outs)
    assert np.array_equal(volume(slab, like), like.blocked)


def test_room_is_taken_from_every_side_near_a_place(long):
    wish = wish_over(*hills(1), (300.0, 200.0), (800.0, 500.0))
    slab = Skies(wish.ground, wish.rules).slab(wish.places)
    less = with_room(slab, [np.array([500.0, 300.0, 0.0])], 9)
    i, j = (int(n) for n in slab.voxel((500.0, 300.0, 0.0))[:2])
    assert (slab.lowest < slab.highest)[i - 9 : i + 10, j - 9 : j + 10].mean() > 0.2
    for a, b in np.ndindex(slab.lowest.shape):
        if max(abs(a - i), abs(b - j)) > 9:
            assert (less.lowest[a, b], less.highest[a, b]) == (slab.lowest[a, b], slab.highest[a, b])
            continue
        free = set(range(1000))
        for c in range(max(a - 1, i - 9), min(a + 1, i + 9) + 1):
            for d in range(max(b - 1, j - 9), min(b + 1, j + 9) + 1):
                free &= set(range(slab.lowest[c, d], slab.highest[c, d]))
        assert set(range(less.lowest[a, b], less.highest[a, b])) == free


# -- ways


WISHES = {
    "plain": lambda: Wish(plain()),
    "wall": lambda: Wish(wall(900.0) * (np.arange(160) < 110)),
    "over": lambda: Wish(wall(60.0)),
    "hills": lambda: wish_over(*hills(4), (120.0, 160.0), (900.0, 640.0)),
    "hills, by way points": lambda: wish_over(
        *hills(6, relief_m=60.0), (120.0, 160.0), (900.0, 640.0), via=((700.0, 150.0, 145.0), (300.0, 600.0, 150.0)),
        ceiling_above_terrain_m=200.0,
    ),
    "2 m": lambda: wish_over(
        *hills(7, (400, 300), clear=((120.0, 100.0), (660.0, 480.0)), cell_m=2.0), (120.0, 100.0), (660.0, 480.0),
        cell_m=2.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WISHES)
def test_a_long_way_is_as_good_as_the_dense_one(name, request):
    wish = WISHES[name]()
    best = flown(wish)
    request.getfixturevalue("long")
    found = flown(wish)
    held = dense(wish)
    cruise = found.points_m[1:-1]
    for a, b in itertools.pairwise(cruise):
        assert segment_clear(held.blocked, held.to_grid(a), held.to_grid(b))
        assert a[2] == b[2] or np.array_equal(a[:2], b[:2])  # level or vertical
    assert np.array_equal(found.points_m[[0, -1]], [wish.places[0].enu_m, wish.places[-1].enu_m])
    over = [np.linalg.norm(np.diff(way.points_m[:, :2], axis=0), axis=1).sum() for way in (found, best)]
    assert over[0] <= 1.03 * over[1]
    assert found.flight_s <= 1.2 * best.flight_s  # pieces of 200 m may change height more often
    at = [passed_at(cruise, place.enu_m) for place in wish.places[1:-1]]
    assert at == sorted(at)
    assert np.isfinite(at).all()
    skies = Skies(wish.ground, wish.rules)
    kept = clearances_of(skies, wish.plan, wish.places, found)
    assert kept["obstacle_m"] >= wish.rules.clearance_m
    assert kept["floor_m"] >= 0
    assert kept["ceiling_m"] >= 0


@pytest.mark.parametrize("name", ["hills", "2 m"])
def test_clearances_of_a_long_way_are_those_of_the_whole_window(name, monkeypatch):
    wish = WISHES[name]()
    route = flown(wish)
    whole = clearances_of(Skies(wish.ground, wish.rules), wish.plan, wish.places, route)
    monkeypatch.setattr(space, "MOST_VOXELS", 1)
    parts = clearances_of(Skies(wish.ground, wish.rules), wish.plan, wish.places, route)
    assert parts == pytest.approx(whole, abs=1e-5)


def test_zones_are_flown_around(long):
    wish = wish_over(*hills(4), (120.0, 160.0), (900.0, 640.0))
    zones = [square("one", 400, 100, 560, 480), square("two", 600, 400, 700, 700)]
    found = flown(wish, zones)
    held = dense(wish, zones)
    assert found.zones == ("one", "two")
    for a, b in itertools.pairwise(found.points_m[1:-1]):
        assert segment_clear(held.blocked, held.to_grid(a), held.to_grid(b))
    free = flown(wish)
    assert found.length_m > free.length_m
    through = [segment_clear(held.blocked, *held.to_grid(leg)) for leg in itertools.pairwise(free.points_m[1:-1])]
    assert not all(through)


def test_a_long_flight_can_be_raised(long):
    wish = wish_over(*hills(4), (120.0, 160.0), (900.0, 640.0))
    found = flown(wish, raise_m=12.0)
    kept = clearances_of(Skies(wish.ground, wish.rules), wish.plan, wish.places, found)
    assert kept["floor_m"] >= wish.rules.clearance_m - wish.rules.half_height_m + 12.0 - 1e-6


def test_the_same_question_has_the_same_answer(long):
    wish = WISHES["hills"]()
    assert np.array_equal(flown(wish).points_m, flown(wish).points_m)


# -- no way


@pytest.mark.parametrize(
    ("wish", "zones"),
    [
        (lambda: Wish(wall(900.0)), ()),
        (lambda: Wish(courtyard()), ()),
        (lambda: Wish(plain()), (square("a", 100, 250, 200, 400),)),
        (lambda: Wish(plain()), (square("b", 100, 250, 200, 400, lower_m=20.0),)),
        (lambda: Wish(plain(), via=((400.0, 300.0, 10.0),)), ()),
        (lambda: Wish(plain(), via=((400.0, 300.0, 60.0),)), (square("c", 380, 250, 430, 400),)),
        (lambda: Wish(plain(), origin=(2.0, 322.0)), ()),
        (lambda: Wish(plain() + 30.0 * (np.arange(240) == 38)[:, None]), ()),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(wish, zones, request):
    with pytest.raises(Refusal) as before:
        flown(wish(), zones)
    request.getfixturevalue("long")
    with pytest.raises(Refusal) as after:
        flown(wish(), zones)
    assert (after.value.code, after.value.sentence) == (before.value.code, before.value.sentence)


@pytest.mark.parametrize(
    ("plan", "conditions", "words"),
    [
        ({"objective": Objective.TIME}, PLAIN, "least time"),
        ({"objective": Objective.ENERGY}, PLAIN, "least energy"),
        ({}, Conditions(layers=(CostLayer("far", LayerKind.OBSTACLES, 1.0, None, float("nan"), ""),)), "cost layers"),
        ({}, Conditions(wind=Wind.uniform(40.0, 0.0)), "wind"),
    ],
)
def test_what_long_ways_are_not_sought_for_is_said(long, plan, conditions, words):
    wish = Wish(plain())
    wish.plan = dataclasses.replace(wish.plan, **plan)
    with pytest.raises(Refusal, match=words) as caught:
        find_route(Skies(wish.ground, wish.rules), wish.plan, wish.places, (), conditions)
    assert caught.value.code == "TOO_FAR_TO_WEIGH"
    assert "Ask for the shortest way" in caught.value.sentence


@pytest.mark.parametrize(
    "error", [Refusal("NO_ROUTE", "No way."), CannotFly("short", limit="energy", needed=2, allowed=1)]
)
def test_why_not_says_what_was_said_and_reads_no_whole_window(long, error, monkeypatch):
    wish = Wish(wall(900.0))
    skies = Skies(wish.ground, wish.rules)
    assert skies.is_long(wish.places)
    monkeypatch.setattr(Skies, "around", lambda *_: pytest.fail("the whole window was read"))
    found = why_not(skies, wish.plan, wish.places, (), PLAIN, error, departure_s=0.0)
    if isinstance(error, Refusal):
        assert (found.code, found.sentence, found.relaxation) == ("NO_ROUTE", "No way.", None)
    else:
        assert found.code == "ENERGY"
        assert found.sentence.startswith("Energy is short by")


def test_which_windows_are_long():
    wish = Wish(plain())
    skies = Skies(wish.ground, wish.rules)
    assert not skies.is_long(wish.places)
    assert np.prod(dense(wish).blocked.shape) <= space.MOST_VOXELS


@pytest.mark.parametrize("most_columns", [0, 10**9])
def test_no_dense_space_is_larger_than_what_counts_as_long(monkeypatch, most_columns):
    wish = wish_over(*hills(4), (120.0, 160.0), (900.0, 640.0))
    size = int(np.prod(dense(wish).blocked.shape))
    monkeypatch.setattr(space, "_MOST_COLUMNS", most_columns)
    monkeypatch.setattr(space, "MOST_VOXELS", size - 1)
    assert Skies(wish.ground, wish.rules).is_long(wish.places)
    monkeypatch.setattr(space, "MOST_VOXELS", 2 * size)
    assert not Skies(wish.ground, wish.rules).is_long(wish.places)


# -- the authority


def test_an_airspace_grants_long_flights_and_separates_them(town, airspace, long, monkeypatch):
    seen = []
    around = Skies.around
    monkeypatch.setattr(
        Skies, "around", lambda self, places, *more: seen.append(len(places)) or around(self, places, *more)
    )
    monkeypatch.setattr(space, "_MOST_COLUMNS", 0)
    first = airspace.submit(plan(town, "one", ("west", "east")))
    assert first.intent is not None
    second = airspace.submit(plan(town, "two", ("east", "west")))
    assert second.intent is not None
    assert second.change is not None
    assert second.change.kind in ("delay", "height")
    assert seen == []  # no whole window was read
    least = first.intent.clearances["obstacle_m"], second.intent.clearances["obstacle_m"]
    assert min(least) >= airspace.rules.clearance_m


def test_a_refused_long_flight_has_another_landing(town, airspace, long):
    airspace.add_zones([zone(town, "Z1", PADS["east"], 60.0)])
    refused = airspace.submit(plan(town, "one", ("west", "east")))
    assert refused.intent is None
    assert refused.reasons[0].code == "DESTINATION_IN_ZONE"
    assert refused.alternative is not None
    granted = airspace.submit(dataclasses.replace(refused.alternative, id="two"))
    assert granted.intent is not None
