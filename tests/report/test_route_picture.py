"""The picture of a way: what is in it, and that it is written whole or not at all."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.image import imread

from tests.report.made_way import made_way, zone
from utm.mapping import CityMap
from utm.model import Wind
from utm.report.route_picture import route_figure, route_picture


def parts(figure) -> tuple:
    axes = {ax.get_label(): ax for ax in figure.axes}
    return axes["plan"], axes["profile"]


def words(ax) -> str:
    return "\n".join(text.get_text() for text in ax.texts)


def test_the_picture_holds_the_way_and_its_figures(town: CityMap):
    way = made_way(town, via=((450.0, 320.0),))
    figure = route_figure(way)
    plan, side = parts(figure)
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Way over the town"
    assert "+4.0% against the straight line" in texts[1]
    assert "12.3 of 96 Wh" in texts[1]
    assert side.get_xlabel() == "distance along the way, m"
    assert side.get_ylabel() == "height (JGD2011), m"
    assert {"take-off", "landing", "way point 1"} <= set(words(plan).splitlines())
    assert "School" in words(plan)
    assert "Works" in words(side)
    assert "School" not in words(side)  # it is not passed
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    for said in ("the way", "corridor, 50 m wide", "ceiling: 150 m above terrain", "floor: 30 m clear", "Kept out of",
                 "Zone: prohibited", "way point", "terrain"):  # fmt: skip
        assert said in legend
    assert not any("wind" in text for text in words(plan).splitlines())
    drawn = next(part for part in plan.collections if isinstance(part, LineCollection) and part.get_array() is not None)
    heights = np.asarray(drawn.get_array())
    assert (heights.min(), heights.max()) == pytest.approx((70.0, 90.0), abs=1.0)
    corners = np.concatenate(drawn.get_segments())
    assert corners.min(axis=0) == pytest.approx([120, 300], abs=1e-6)
    assert corners.max(axis=0) == pytest.approx([780, 320], abs=2.0)


def test_the_wind_is_drawn_where_there_is_one(town: CityMap):
    plan, side = parts(route_figure(made_way(town, wind=Wind.uniform(6.0, 0.0))))
    assert "wind 6 m/s" in words(plan)
    assert "from 270" in words(plan)
    assert "+6 m/s" in words(side)
    _, side = parts(route_figure(made_way(town, wind=Wind.uniform(-6.0, 0.0))))
    assert "\N{MINUS SIGN}6 m/s" in words(side)


def test_the_file_is_a_picture_of_1600_pixels_that_is_not_blank(town: CityMap, tmp_path):
    out = tmp_path / "way.png"
    route_picture(made_way(town), out)
    width, height = struct.unpack(">II", out.read_bytes()[16:24])
    assert width == 1600
    assert 900 < height < 2400
    pixels = imread(out)[..., :3]
    assert 0.05 < (pixels.min(axis=2) < 0.8).mean() < 0.95
    assert not list(tmp_path.glob(".*"))


def test_names_without_glyphs_give_way_to_ids(town: CityMap):
    import dataclasses

    # matplotlib warns of a missing glyph, and a warning is an error here
    school = dataclasses.replace(zone(town, "School", 240.0, 260.0), name="加賀市立片山津小学校")
    figure = route_figure(made_way(town, zones=(school,), title="片山津への道"))
    figure.canvas.draw()
    plan, side = parts(figure)
    assert "school" in words(plan)
    assert "school" in words(side)


def test_zone_names_keep_off_the_way(town: CityMap):
    # Its name would stand right above it, on the way
    way = made_way(town, zones=(zone(town, "Works", 500.0, 190.0),))
    plan, _ = parts(route_figure(way))
    renderer = plan.get_figure().canvas.get_renderer()
    name = next(text for text in plan.texts if text.get_text().startswith("Works"))
    box = name.get_window_extent(renderer)
    places = plan.transData.transform(np.array([way.track.interpolate(d).coords[0] for d in range(0, 660, 5)]))
    assert not any(box.contains(*place) for place in places)


def test_ways_of_odd_shapes(town: CityMap, tmp_path):
    short = [(400, 200, 10), (400, 200, 60), (412, 200, 60), (412, 200, 10)]
    tall = [(100, 20, 10), (100, 20, 90), (110, 580, 90), (110, 580, 10)]
    for corners in (short, tall):
        route_picture(made_way(town, corners=corners, zones=()), tmp_path / "way.png")


def test_a_picture_that_cannot_be_written_leaves_nothing(town: CityMap, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        route_picture(made_way(town), tmp_path / "nowhere" / "way.png")
