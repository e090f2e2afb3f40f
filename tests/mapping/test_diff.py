import json

import numpy as np
import pytest
import shapely
from scipy import ndimage

from tests.mapping.made_maps import made_layers, made_map, wire_runs
from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.diff import difference
from utm.mapping.mapfile import RunKind, Status

SIZE = (700, 530)


def plain():
    layers = made_layers(SIZE)
    return {name: layer.copy() for name, layer in layers.items()}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return made_map(tmp_path_factory.mktemp("diff") / "city", plain(), cell=2.0)


def after(before, layers, runs=None, **more):
    return made_map(before.path, layers, runs, cell=2.0, **more)


def told(found):
    return [feature["properties"] for feature in found.features]


def test_nothing_differs(before):
    found = difference(before, before)
    assert (found.newly_blocked_m3, found.newly_clear_m3, found.tiles_compared, found.features) == (0, 0, 0, [])


def test_a_block_over_a_corner_of_four_tiles_is_one_area(before):
    layers = plain()
    layers["surface"][505:520, 508:516] += 5
    layers["surface"][520:524, 516:520] += 2.5  # touches it at a corner alone
    new = after(before, layers)
    found = difference(before, new)
    assert found.tiles_compared == 4
    assert found.newly_blocked_m3 == 4 * (15 * 8 * 5 + 16 * 2.5)
    (block, *_) = told(found)
    assert block == {
        "newly_blocked_m3": 4 * (600 + 40.0), "newly_clear_m3": 0, "area_m2": 4 * (120 + 16.0), "highest_rise_m": 5,
        "deepest_drop_m": 0,
    }  # fmt: skip
    outline = shapely.geometry.shape(found.features[0]["geometry"])
    east, north = (
        new.frame.to_map(*outline.exterior.coords.xy)
        if outline.geom_type == "Polygon"
        else (new.frame.to_map(*np.concatenate([part.exterior.coords for part in outline.geoms]).T))
    )
    np.testing.assert_allclose([east.min(), east.max()], [1010, 1048], atol=0.01)
    np.testing.assert_allclose([north.min(), north.max()], [1016, 1040], atol=0.01)
    back = difference(new, before)
    assert (back.newly_blocked_m3, back.newly_clear_m3) == (found.newly_clear_m3, found.newly_blocked_m3)
    assert told(back)[0]["deepest_drop_m"] == 5
    json.dumps(found.to_dict(), allow_nan=False)


def test_areas_are_what_touches_over_edges_and_corners(before):
    rng = np.random.default_rng(4)
    layers = plain()
    change = np.where(rng.random(SIZE) < 0.02, rng.integers(2, 9, SIZE), 0).astype(np.float32)
    change[:, 60:] = np.where(rng.random((SIZE[0], SIZE[1] - 60)) < 1e-4, 3, 0)
    change[:, 480:524] = np.where(rng.random((SIZE[0], 44)) < 0.1, 4, 0)
    layers["surface"] += change
    found = difference(before, after(before, layers))
    number, count = ndimage.label(change, np.ones((3, 3)))
    wanted = sorted(4 * ndimage.sum(change, number, range(1, count + 1)))
    np.testing.assert_allclose(sorted(each["newly_blocked_m3"] for each in told(found)), wanted)
    assert found.newly_blocked_m3 == pytest.approx(4 * change.sum())
    volumes = [each["newly_blocked_m3"] for each in told(found)]
    assert volumes == sorted(volumes, reverse=True)


def test_small_changes_are_summed_and_not_drawn(before):
    layers = plain()
    layers["surface"] += np.float32(0.25)
    new = after(before, layers)
    found = difference(before, new)
    assert found.newly_blocked_m3 == 4 * 0.25 * SIZE[0] * SIZE[1]
    assert found.features == []
    (everywhere,) = told(difference(before, new, least_m=0.0))
    assert everywhere["area_m2"] == 4 * SIZE[0] * SIZE[1]


def test_air_below_a_wire_counts(before):
    layers = plain()
    columns = layers["surface"].copy()
    runs = wire_runs(layers, range(300, 400), 200, above=8.0)
    wired = after(before, layers, runs)
    new = difference(before, wired)
    assert new.newly_blocked_m3 == 4 * 100 * 0.5
    assert new.newly_clear_m3 == 0
    solid = after(before, {**layers, "surface": layers["surface"]})
    filled = difference(wired, solid)
    assert filled.newly_blocked_m3 == 4 * 100 * 8.0
    assert [area["highest_rise_m"] for area in told(filled)] == [0.0]
    # The wire sinks by two metres
    lower = runs.copy()
    wire = lower["kind"] == RunKind.SEEN
    lower["from_m"][wire] -= 2
    lower["to_m"][wire] -= 2
    columns[300:400, 200] = lower["to_m"][wire]
    sunk = difference(wired, after(before, {**layers, "surface": columns}, lower))
    assert (sunk.newly_blocked_m3, sunk.newly_clear_m3) == (4 * 50, 4 * 50)
    assert told(sunk)[0]["deepest_drop_m"] == 2


def test_the_share_of_the_unknown(before):
    layers = plain()
    layers["status"][layers["status"] == Status.UNKNOWN] = Status.KNOWN | Status.FROM_CLOUD
    found = difference(before, after(before, layers))
    assert found.unknown_share_before == round(100 / (SIZE[0] * SIZE[1]), 6)
    assert found.unknown_share_after == 0
    assert (found.newly_blocked_m3, found.tiles_compared) == (0, 1)


def test_tiles_that_are_alike_are_not_read(before, monkeypatch):
    layers = plain()
    layers["surface"][600, 520] += 3
    new = after(before, layers)
    read = []
    content = CityMap.tile_content
    monkeypatch.setattr(CityMap, "tile_content", lambda self, tile: read.append(tile) or content(self, tile))
    assert difference(before, new).tiles_compared == 1
    assert read == [(1, 1), (1, 1)]


def test_maps_of_different_ground_are_not_compared(before, tmp_path):
    other = made_map(tmp_path / "city", plain(), cell=1.0)
    with pytest.raises(MapError, match="resolution_m: cannot be compared") as caught:
        difference(before, other)
    assert caught.value.mend
    smaller = made_map(tmp_path / "small", made_layers((30, 20)), cell=2.0)
    with pytest.raises(MapError, match="size: cannot be compared"):
        difference(before, smaller)
