"""The air along a way: against the map, place by place."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from tests.report.made_way import CORNERS, made_way, zone
from utm.core.columns import lowest_clear
from utm.mapping import CityMap
from utm.model import Datum, Wind
from utm.report.way import cut_along, zone_limits


def test_the_cut_says_what_the_map_says(town: CityMap):
    way = made_way(town)
    cut = cut_along(way)
    columns = town.window(0, 0, *town.extent_m)
    clear = lowest_clear(columns.surface_m, columns.cell_m, way.rules.clearance_m)
    for k in range(0, len(cut.along_m), 7):
        place = np.array(way.track.interpolate(cut.along_m[k]).coords[0])
        i, j = np.floor(place / columns.cell_m).astype(int)
        assert cut.terrain_m[k] == columns.terrain_m[i, j]
        assert cut.lowest_m[k] == clear[i, j]
    assert cut.ceiling_m == pytest.approx(np.full(len(cut.along_m), 160.0))
    assert cut.highest_m == pytest.approx(cut.ceiling_m - way.rules.half_height_m)


def test_what_stands_at_the_corridors_edge_is_in_the_cut(town: CityMap):
    # The tower: 440 to 460 m east, 290 to 310 m north. The corridor reaches 25 m to either side.
    beside = [(120, 330, 10), (120, 330, 90), (780, 330, 90), (780, 330, 10)]
    assert cut_along(made_way(town, corners=beside)).surface_m.max() == pytest.approx(40.0, abs=0.2)
    away = [(east, 360, up) for east, _, up in beside]
    assert cut_along(made_way(town, corners=away)).surface_m.max() < 12.0


def test_no_mast_falls_between_two_stations(town: CityMap, monkeypatch):
    monkeypatch.setattr("utm.report.way._STATIONS", 9)
    assert cut_along(made_way(town)).surface_m.max() == pytest.approx(40.0, abs=0.2)


def test_zones_that_the_corridor_passes_over(town: CityMap):
    way = made_way(town)
    (crossing,) = cut_along(way).crossings
    assert crossing.zone.id == "works"
    square = shapely.box(240, 260, 340, 360).buffer(way.rules.half_width_m)
    inside = [d for d in np.arange(0, way.track.length, 0.5) if square.contains(way.track.interpolate(d))]
    assert crossing.from_m == pytest.approx(inside[0], abs=2.5)
    assert crossing.to_m == pytest.approx(inside[-1], abs=2.5)
    assert (crossing.lower_up_m, crossing.upper_up_m) == pytest.approx((10.0, 70.0))


def test_limits_in_every_datum_become_heights_of_the_map(town: CityMap):
    import dataclasses

    sea = dataclasses.replace(zone(town, "Sea", 100, 100), lower_datum=Datum.AMSL, upper_m=300.0)
    east, north, terrain = np.array([150.0, 160.0]), np.array([150.0, 150.0]), np.array([10.0, 30.0])
    lower, upper = zone_limits(town, sea, east, north, terrain)
    lon, lat = town.frame.to_lonlat(east, north)
    assert lower == pytest.approx(town.frame.up(0.0, Datum.AMSL, lon, lat, terrain))
    assert upper == pytest.approx([310.0, 330.0])


def test_heights_and_corners_of_the_line(town: CityMap):
    way = made_way(town)
    cut = cut_along(way)
    assert way.heights_at(np.array([0.0, 100.0, way.along_m[-1]])) == pytest.approx([80.0, 80.0, 100.0])
    knots, agl = way.finely(cut)
    assert knots[0] == pytest.approx(CORNERS[0])
    assert knots[-1] == pytest.approx(CORNERS[-1])
    assert agl == pytest.approx(knots[:, 2] - 10.0, abs=0.3)
    line = shapely.LineString(way.line.enu_m)
    assert all(line.distance(shapely.Point(knot)) < 1e-6 for knot in knots)
    assert np.linalg.norm(np.diff(knots, axis=0), axis=1).sum() == pytest.approx(
        np.linalg.norm(np.diff(way.line.enu_m, axis=0), axis=1).sum()
    )
    assert way.along_of(450.0, 320.0) == pytest.approx(np.hypot(330, 20))


def test_a_way_point_lies_where_it_was_asked_for(town: CityMap):
    """Not on the leg, which a column may join it to."""
    assert made_way(town, via=((450.0, 320.0),)).way_point_up(0) == pytest.approx(80.0, abs=0.3)


def test_the_wind_pushes_or_holds_back(town: CityMap):
    way = made_way(town, wind=Wind.uniform(6.0, 0.0))
    ahead = np.array([330.0, 20.0]) / np.hypot(330, 20)
    half = np.hypot(330, 20)
    at = np.array([0.0, 50.0, half, half + 50.0, 2 * half])
    assert way.push_at(at)[[0, 1]] == pytest.approx(6.0 * ahead[0])
    assert way.push_at(at)[[3, 4]] == pytest.approx(6.0 * ahead[0])
    against = made_way(town, wind=Wind.uniform(0.0, 5.0))
    assert against.push_at(np.array([50.0]))[0] == pytest.approx(5.0 * ahead[1])
    assert against.push_at(np.array([half + 50.0]))[0] == pytest.approx(-5.0 * ahead[1])
