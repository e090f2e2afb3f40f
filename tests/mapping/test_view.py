import datetime

import matplotlib.image
import numpy as np
import pytest

from utm.errors import MapError
from utm.mapping import shading, view
from utm.model import Datum, GeoZone, Restriction, WeeklyPeriod


def zone_over(small_map, **changes) -> GeoZone:
    lon, lat = small_map.frame.to_lonlat(np.array([10, 60, 60, 10.0]), np.array([10, 10, 50, 50.0]))
    fields = {
        "id": "school", "name": "Primary school", "restriction": Restriction.PROHIBITED,
        "outline_deg": tuple(zip(lon.tolist(), lat.tolist(), strict=True)),
        "lower_m": 0.0, "lower_datum": Datum.AGL, "upper_m": 150.0, "upper_datum": Datum.AGL,
        "periods": (WeeklyPeriod((0,), datetime.time(7, 30), datetime.time(17)),),
    }  # fmt: skip
    return GeoZone(**{**fields, **changes})


def test_a_plan_view_is_a_picture_with_the_zone_in_it(small_map, tmp_path):
    lon, lat = small_map.frame.to_lonlat(90.0, 60.0)
    places = {"Depot": (float(lon), float(lat))}
    out = view.plan_view(
        small_map, tmp_path / "plan.png", zones=[zone_over(small_map)], places=places, width_px=900, title="Town"
    )
    picture = matplotlib.image.imread(out)[..., :3]
    assert picture.shape[1] == 900
    plain = matplotlib.image.imread(view.plan_view(small_map, tmp_path / "plain.png", width_px=900, title="Town"))
    red = (picture[..., 0] > 0.6) & (picture[..., 1] < 0.3)
    assert red.sum() > 200, "the outline of a prohibited zone is red"
    assert not ((plain[..., 0] > 0.6) & (plain[..., 1] < 0.3)).any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.png", "plan.png"]


def test_the_same_map_gives_the_same_picture(small_map, tmp_path):
    pictures = [view.plan_view(small_map, tmp_path / f"{k}.png", width_px=600).read_bytes() for k in range(2)]
    assert pictures[0] == pictures[1]


def test_a_name_that_the_font_cannot_write_gives_way(small_map, tmp_path):
    assert view.readable("加賀温泉駅", "station") == "station"
    assert view.readable("Zürich – Nord", "x") == "Zürich – Nord"
    # No glyph may be missing: matplotlib warns, and warnings are errors here
    view.plan_view(
        small_map, tmp_path / "plan.png", zones=[zone_over(small_map, name="小学校")], title="地図", width_px=600
    )


@pytest.mark.parametrize("restriction", list(Restriction))
def test_every_restriction_can_be_drawn(small_map, restriction):
    figure, ax = view.map_figure(small_map, width_px=600)
    zone = zone_over(small_map, restriction=restriction, lower_datum=Datum.AMSL, periods=())
    assert len(view.draw_zones(ax, [zone, zone], small_map.frame)) == 1
    figure.canvas.draw()


def test_a_part_of_the_map_and_blocks_of_cells(small_map, tmp_path):
    box = (15.0, 20.0, 75.0, 60.0)
    figure, ax = view.map_figure(small_map, width_px=600, box=box)
    view.draw_base(ax, small_map, box=box, max_cells=16)
    assert ax.get_xlim() == (15.0, 75.0)
    view.save(figure, tmp_path / "part.png")


def test_a_picture_that_cannot_be_written(small_map, tmp_path):
    with pytest.raises(MapError, match="the picture cannot be written"):
        view.plan_view(small_map, tmp_path / "no" / "plan.png", width_px=600)


def test_level_ground_and_slopes_to_the_light():
    level = shading.hillshade(np.zeros((5, 5), np.float32), 1.0)
    assert level == pytest.approx(np.sqrt(0.5), abs=1e-6)
    east = np.repeat(np.arange(5, dtype=np.float32)[:, None], 5, axis=1)
    assert (shading.hillshade(east, 1.0) > level).all(), (
        "ground that rises to the east faces the light in the north-west"
    )
    assert (shading.hillshade(-east, 1.0) < level).all()


def test_box_mean_against_the_definition():
    values = np.random.default_rng(0).normal(size=(9, 7))
    padded = np.pad(values, 2, mode="edge")
    slow = [[padded[i : i + 5, j : j + 5].mean() for j in range(7)] for i in range(9)]
    np.testing.assert_allclose(shading.box_mean(values, 2), slow, atol=1e-6)


def test_blocks_complete_ragged_edges():
    values = np.arange(15, dtype=np.float32).reshape(5, 3)
    np.testing.assert_array_equal(shading.block_reduce(values, 2, "max"), [[4, 5], [10, 11], [13, 14]])
    assert shading.block_reduce(values > 13, 2, "any").tolist() == [[False, False], [False, False], [False, True]]
