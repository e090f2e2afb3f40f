"""The wind and the cost layers of an airspace: read right, kept, laid over the flight space."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import rasterio

from tests.airspace.conftest import CELL_M, SIZE, T0, plan, write_raster
from utm.airspace import Airspace
from utm.airspace.conditions import (
    checked_layer,
    conditions_document,
    conditions_from,
    factor_for,
    keep_values,
    read_layer,
    read_wind,
    wind_for,
    wind_from,
    wind_rows,
)
from utm.airspace.places import resolve
from utm.airspace.space import Skies
from utm.core import FlightSpace, flight_space, least_distance
from utm.errors import InputError, StateError, StoreError
from utm.model import CALM, Conditions, LayerKind, RuleSet, Wind


@pytest.mark.parametrize(
    ("direction", "towards"), [(0, (0, -5)), (90, (-5, 0)), (180, (0, 5)), (270, (5, 0)), (225, (3.5355, 3.5355))]
)
def test_a_wind_goes_where_a_weather_report_says_that_it_does_not_come_from(direction, towards):
    wind = wind_from(direction, 5.0)
    np.testing.assert_allclose(wind.at(40.0), towards, atol=1e-4)
    assert wind_rows(wind) == [{"up_m": 0.0, "from_deg": float(direction), "speed_m_s": 5.0}]


def test_a_forecast_file(town, tmp_path):
    file = tmp_path / "wind.json"
    levels = [
        {"height": {"value_m": 120, "datum": "AGL"}, "from_deg": 270, "speed_m_s": 9},
        {"height": {"value_m": 20, "datum": "JGD2011"}, "from_deg": 180, "speed_m_s": 3},
    ]
    file.write_text(json.dumps({"levels": levels}))
    wind = read_wind(file, town)
    np.testing.assert_allclose(wind.up_m, [20.0, 130.0], atol=0.01)  # the plain lies at 10 m
    np.testing.assert_allclose(wind.at([20.0, 75.0, 130.0]), [[0, 3], [4.5, 1.5], [9, 0]], atol=0.01)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"levels": []}, "levels: .*at least 1"),
        ({"levels": [{"height": {"value_m": 1, "datum": "AGL"}, "from_deg": 400, "speed_m_s": 1}]}, "from_deg"),
        ({"levels": [{"height": {"value_m": 1, "datum": "AGL"}, "from_deg": 4, "speed_m_s": 1}] * 2}, "one height"),
        ({"levels": [{"height": {"value_m": 1}, "from_deg": 4, "speed_m_s": 1}]}, "datum.*AGL"),
        ([], "must be a JSON object"),
    ],
)
def test_forecasts_that_are_none(town, tmp_path, document, words):
    file = tmp_path / "wind.json"
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words):
        read_wind(file, town)


def test_a_raster_becomes_a_layer_of_planning_voxels(town, tmp_path):
    skies = Skies(town, RuleSet())
    values = np.arange(SIZE[0] * SIZE[1], dtype=float).reshape(SIZE)
    layer = read_layer(write_raster(tmp_path / "people.tif", values), skies, "people", LayerKind.PEOPLE, 2.0)
    assert layer.cell_m == skies.cell_m == CELL_M
    np.testing.assert_array_equal(layer.values, values)


def test_what_a_raster_does_not_cover_must_be_said(town, tmp_path):
    skies = Skies(town, RuleSet())
    values = np.ones((SIZE[0] // 2, SIZE[1]))
    values[10, 20] = -9999.0
    raster = write_raster(tmp_path / "noise.tif", values)
    with pytest.raises(InputError, match=r"says nothing of 50[.]0% of the map"):
        read_layer(raster, skies, "noise", LayerKind.NOISE, 1.0)
    layer = read_layer(raster, skies, "noise", LayerKind.NOISE, 1.0, fill=0.25)
    assert layer.values[10, 20] == layer.values[-1, 0] == 0.25
    assert layer.values[11, 20] == 1.0


@pytest.mark.parametrize(
    ("kind", "worst", "weight", "words"),
    [
        (LayerKind.PEOPLE, -1.0, 1.0, "0 or more"),
        (LayerKind.RADIO, 1.5, 1.0, "from 0 to 1"),
        (LayerKind.ROADS, 0.0, 1.0, "no road"),
        (LayerKind.PEOPLE, 5.0, 0.0, "weight"),
        (LayerKind.PEOPLE, 5.0, float("nan"), "weight"),
        (LayerKind.PEOPLE, 5.0, 1e9, "weight"),
    ],
)
def test_layers_that_are_none(kind, worst, weight, words):
    values = np.zeros((3, 4), np.float32)
    values[1, 2] = worst
    with pytest.raises(InputError, match=words):
        checked_layer("layer", kind, weight, values, 4.0)


@pytest.mark.parametrize("name", ["", "../people", "two words", "-n", "a" * 65])
def test_names_of_layers_can_be_typed_and_listed(name):
    with pytest.raises(InputError, match="name"):
        checked_layer(name, LayerKind.OBSTACLES, 1.0, None, 4.0)


def test_the_worst_value_is_told():
    values = np.array([[0.5, 1.1, 7.0, -2.0]], np.float32)
    with pytest.raises(InputError, match=r"got 7[.]0"):
        checked_layer("layer", LayerKind.NOISE, 1.0, values, 4.0)


def test_a_raster_of_another_place_is_none_whatever_fills_it(town, tmp_path):
    raster = write_raster(tmp_path / "noise.tif", np.full(SIZE, -9999.0))
    with pytest.raises(InputError, match="says nothing of the map"):
        read_layer(raster, Skies(town, RuleSet()), "noise", LayerKind.NOISE, 1.0, fill=0.0)


def test_which_of_several_bands_counts_is_not_guessed(town, tmp_path):
    with rasterio.open(write_raster(tmp_path / "one.tif", np.ones(SIZE))) as raster:
        profile, band = raster.profile, raster.read(1)
    with rasterio.open(tmp_path / "two.tif", "w", **(profile | {"count": 2})) as raster:
        raster.write(np.stack([band, 2 * band]))
    with pytest.raises(InputError, match="several bands"):
        read_layer(tmp_path / "two.tif", Skies(town, RuleSet()), "noise", LayerKind.NOISE, 1.0)


def test_conditions_are_kept(tmp_path):
    rng = np.random.default_rng(1)
    people = checked_layer("people", LayerKind.PEOPLE, 2.0, rng.random((30, 20), np.float32), 4.0)
    walls = checked_layer("walls", LayerKind.OBSTACLES, 0.5, None, 4.0)
    before = Conditions(Wind([10.0, 50.0], [[1.0, 2.0], [3.0, 4.0]]), (people, walls))
    for layer in before.layers:
        keep_values(tmp_path / "layers", layer)
    document = json.loads(json.dumps(conditions_document(before)))
    after = conditions_from(document, tmp_path / "layers")
    assert conditions_document(after) == document
    np.testing.assert_array_equal(after.layers[0].values, people.values)
    np.testing.assert_array_equal(after.wind.velocity_m_s, before.wind.velocity_m_s)
    next((tmp_path / "layers").glob("*.npy")).unlink()
    with pytest.raises(StoreError, match="people are gone"):
        conditions_from(document, tmp_path / "layers")


def test_an_airspace_remembers_its_conditions(airspace: Airspace, town):
    assert airspace.conditions.calm
    airspace.set_wind(wind_from(270, 8))
    skies = Skies(town, RuleSet())
    nx, ny = SIZE
    airspace.set_layer(checked_layer("noise", LayerKind.NOISE, 1.0, np.ones((nx, ny), np.float32), skies.cell_m))
    airspace.set_layer(checked_layer("walls", LayerKind.OBSTACLES, 1.0, None, skies.cell_m))
    airspace.set_layer(checked_layer("noise", LayerKind.NOISE, 3.0, np.zeros((nx, ny), np.float32), skies.cell_m))
    with Airspace.open(airspace.path) as again:
        assert wind_rows(again.conditions.wind)[0]["speed_m_s"] == 8.0
        assert [(layer.name, layer.weight) for layer in again.conditions.layers] == [("walls", 1.0), ("noise", 3.0)]
        assert not again.conditions.layers[1].values.any()
    airspace.remove_layer("noise")
    assert [layer.name for layer in airspace.conditions.layers] == ["walls"]
    with pytest.raises(StateError, match="no cost layer noise"):
        airspace.remove_layer("noise")
    assert [event.kind for event in airspace.events()] == ["conditions"] * 6


def test_conditions_change_what_others_are_judged_against(airspace: Airspace, town):
    first = airspace.submit(plan(town, "one", ("west", "south")))
    airspace.set_wind(wind_from(90, 4))
    second = airspace.submit(plan(town, "two", ("east", "north"), T0 + 3000.0))
    assert first.intent.conditions != second.intent.conditions
    assert airspace.intent("two").conditions == second.intent.conditions


def test_the_wind_at_the_layers_of_a_flight_space():
    space = FlightSpace(np.array([0.0, 0.0, 20.0]), 4.0, np.zeros((2, 3, 5), bool))
    assert wind_for(Conditions(CALM), space) is None
    wind = wind_for(Conditions(Wind([22.0, 38.0], [[0.0, 0.0], [8.0, 4.0]])), space)
    assert wind.shape == (1, 1, 5, 2)
    np.testing.assert_allclose(wind[0, 0, :, 0], [0, 2, 4, 6, 8])


def test_dear_air_near_obstacles_is_never_thought_farther_than_it_is(town):
    """The factor of the obstacle layer against the distance measured from each voxel's own corners."""
    skies = Skies(town, RuleSet())
    places = resolve(town, plan(town, "any", ("west", "east")))
    columns, lowest, highest = skies.around(places)
    space = flight_space(columns, lowest, highest, [], skies.cell_m)
    layer = checked_layer("walls", LayerKind.OBSTACLES, 1.0, None, skies.cell_m)
    factor = np.broadcast_to(factor_for(Conditions(layers=(layer,)), skies, columns, space), space.blocked.shape)
    assert factor.min() == 1.0
    assert 1.0 < factor[~space.blocked].max() <= 2.0
    rng = np.random.default_rng(3)
    free = np.argwhere(~space.blocked)
    for cell in free[rng.integers(len(free), size=40)]:
        corners = space.to_enu(cell + rng.integers(0, 2, (1, 3)))
        distance = least_distance(np.repeat(corners, 2, axis=0), columns, 100.0)
        clearance = skies.rules.clearance_m
        just = 1.0 + np.clip((2 * clearance - distance) / (2 * clearance), 0.0, 1.0)
        assert factor[tuple(cell)] >= just - 1e-6


def test_a_layer_of_another_map_is_refused(town):
    skies = Skies(town, RuleSet())
    places = resolve(town, plan(town, "any", ("west", "east")))
    columns, lowest, highest = skies.around(places)
    space = flight_space(columns, lowest, highest, [], skies.cell_m)
    layer = checked_layer("people", LayerKind.PEOPLE, 1.0, np.ones((10, 10), np.float32), skies.cell_m)
    with pytest.raises(StoreError, match="another map"):
        factor_for(Conditions(layers=(layer,)), skies, columns, space)


def test_time_and_energy_are_worked_out_in_the_wind(airspace: Airspace, town):
    calm = airspace.route_answer(plan(town, "one", ("west", "south")))
    blown = airspace.route_answer(plan(town, "one", ("west", "south")), wind=wind_from(305, 13.0))
    against = airspace.route_answer(plan(town, "one", ("south", "west")), wind=wind_from(305, 13.0))
    assert blown.route.flight_s == pytest.approx(calm.route.flight_s, rel=0.01)
    # Into 13 of the 15 m/s that it makes, 2 m/s are left of the cruise speed of 8.
    assert against.route.flight_s > 2 * calm.route.flight_s
    assert against.route.energy.used_wh > 2 * calm.route.energy.used_wh


def test_dear_air_is_flown_around_where_that_is_cheaper(airspace: Airspace, town):
    """Homes on the straight line from west to south, worth a detour; the cost says so in both cases."""
    wish = plan(town, "one", ("west", "south"))
    free = airspace.route_answer(wish).route
    skies = Skies(town, airspace.rules)
    sensitive = np.zeros(SIZE, np.float32)
    sensitive[60:190, 85:105] = 1.0
    airspace.set_layer(checked_layer("people", LayerKind.PEOPLE, 5.0, sensitive * 20_000, skies.cell_m))
    kept = airspace.route_answer(wish).route

    def over(points) -> float:
        """Metres above the homes, by small steps."""
        total = 0.0
        for a, b in itertools.pairwise(points):
            steps = max(int(np.linalg.norm(b - a)), 1)
            at = a + np.linspace(0, 1, steps)[:, None] * (b - a)
            cells = (at[:, :2] // CELL_M).astype(int)
            total += float(sensitive[tuple(cells.T)].mean()) * float(np.linalg.norm(b - a))
        return total

    assert over(kept.points_m) < over(free.points_m) / 2
    assert kept.length_m > free.length_m
    assert free.cost == pytest.approx(np.linalg.norm(np.diff(free.points_m[1:-1], axis=0), axis=1).sum())
    assert kept.cost < free.cost + 5.0 * over(free.points_m)
