import datetime

import matplotlib.image
import numpy as np
import pytest

from utm.errors import MapError
from utm.mapping import shading, view
from utm.mapping.decimate import FLOATING_DTYPE, Decimated
from utm.mapping.layers import LAYERS, coloured
from utm.mapping.mapfile import Status
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

    def reds(rgb):
        return (rgb[..., 0] > 0.6) & (rgb[..., 1] < 0.3) & (rgb[..., 2] < 0.35)

    assert reds(picture).sum() > 200, "the outline of a prohibited zone is red"
    assert not reds(plain).any()
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


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_a_picture_with_a_legend_in_words(small_map, layer, tmp_path):
    _, ax = view.map_figure(small_map, width_px=600)
    handles = view.draw_base(ax, small_map, layer=layer, suspects=True)
    words = " ".join(handle.get_label() for handle in handles)
    assert "Not surveyed: blocked" in words
    assert "Suspect" in words
    if layer == "surface":
        assert "JGD2011" in words
    if layer == "source":
        assert "dsm.tif" in words
    pictures = [
        view.plan_view(small_map, tmp_path / f"{name}.png", layer=name, width_px=600) for name in {layer, "height"}
    ]
    assert len({picture.read_bytes() for picture in pictures}) == len(pictures)


def test_no_such_layer(small_map, tmp_path):
    with pytest.raises(MapError, match="no such layer"):
        view.plan_view(small_map, tmp_path / "plan.png", layer="mood", width_px=600)


def test_days_and_sources_have_colours_of_their_own():
    rng = np.random.default_rng(2)
    shape = (6, 5)
    flat = np.zeros(shape, np.float32)
    age = rng.choice([0, 20_000, 20_500], shape).astype(np.uint16)
    source = rng.integers(0, 14, shape).astype(np.uint16)
    status = np.full(shape, Status.KNOWN | Status.FROM_RASTER, np.uint8)
    scene = Decimated((0.0, 0.0), 1.0, 1, flat, flat, flat, status, source, age, flat > 0, np.empty(0, FLOATING_DTYPE))
    ages = coloured("age", scene, [], "EGM96")
    assert {patch.get_label() for patch in ages.legend} == {"2024-10-04", "2026-02-16", "Day not known"}
    assert len(np.unique(ages.rgb.reshape(-1, 3), axis=0)) == 3
    names = [{"file": f"{n}.tif"} for n in range(1, 14)]
    legend = [patch.get_label() for patch in coloured("source", scene, names, "EGM96").legend]
    assert legend[0] == "Assumed"
    assert legend[-1].startswith("and ")


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
