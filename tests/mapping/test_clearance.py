from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.made_maps import made_layers, made_map, wire_runs
from tests.mapping.voxel_maps import ArrayMap, town
from utm.core import Columns, flight_space, lowest_clear
from utm.errors import MapError
from utm.mapping.clearance import _lattice, cache_key, clearance_window
from utm.mapping.clearance_cache import ClearanceCache, cache_directory
from utm.model import RuleSet

#: A small class, so that small maps show everything.
RULES = RuleSet(clearance_m=8.0, ceiling_above_terrain_m=40.0, half_width_m=6.0, half_height_m=4.0)


def cut_to(window, other):
    """The part of a window that another one covers too, in distance and free."""
    low = np.rint((other.origin_m - window.origin_m) / window.cell_m).astype(int)
    first = np.maximum(low, 0)
    last = np.minimum(low + other.free.shape, window.free.shape)
    cut = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return window.distance_m[cut], window.free[cut]


@pytest.mark.parametrize("cell_m", [2.0, 4.0])
def test_free_voxels_are_a_subset_of_what_the_exact_columns_allow(cell_m):
    city = town(90, 80)
    window = clearance_window(city, RULES, (40, 40, 140, 120), cell_m)
    exact_lowest = lowest_clear(city.surface_m, city.resolution_m, RULES.clearance_m)
    columns = Columns(np.zeros(2), city.resolution_m, city.terrain_m, city.surface_m, np.zeros(city.size, bool))
    highest = city.terrain_m + (RULES.ceiling_above_terrain_m - RULES.half_height_m)
    exact = flight_space(columns, exact_lowest, highest, [], cell_m)
    i, j, k = np.argwhere(window.free).T
    offset = np.rint((window.origin_m - exact.origin_m) / cell_m).astype(int)
    assert not exact.blocked[i + offset[0], j + offset[1], k + offset[2]].any()
    nx, ny, _ = window.free.shape
    allowed = ~exact.blocked[offset[0] : offset[0] + nx, offset[1] : offset[1] + ny]
    assert window.free.sum() > (0.93 if cell_m == 2 else 0.85) * allowed.sum()


@given(st.integers(0, 1000), st.sampled_from([2.0, 4.0]), st.sampled_from([0.0, 12.0, 60.0]))
@settings(max_examples=12, deadline=None)
def test_windows_agree_bit_for_bit_where_they_overlap(seed, cell_m, relief_m):
    city = town(60, 56, seed, relief_m)
    city.runs[(30, 28)] = [(-np.inf, 22.0), (41.0, 43.0)]
    rng = np.random.default_rng(seed)
    west, south = rng.uniform(-10, 50, 2)
    large = clearance_window(city, RULES, (west, south, west + 60, south + 58), cell_m)
    small = clearance_window(city, RULES, (west + 21.3, south + 18, west + 44, south + 33.7), cell_m)
    for one, other in zip(cut_to(large, small), cut_to(small, large), strict=True):
        assert one.size
        np.testing.assert_array_equal(one, other)
    # What only the larger one has of these columns lies below all terrain or above every ceiling
    i, j = np.rint((small.origin_m - large.origin_m)[:2] / cell_m).astype(int)
    nx, ny, _ = small.free.shape
    assert large.free[i : i + nx, j : j + ny].sum() == small.free.sum()
    np.testing.assert_array_equal(large.highest_m[i : i + nx, j : j + ny], small.highest_m)
    np.testing.assert_array_equal(large.lowest_m[i : i + nx, j : j + ny], small.lowest_m)


def test_every_free_point_keeps_the_clearance_from_every_solid():
    city = town(40, 40, 3)
    city.runs[(20, 20)] = [(-np.inf, 20.0), (44.0, 45.0)]
    window = clearance_window(city, RULES, (24, 24, 56, 56))
    rng = np.random.default_rng(5)
    cells = np.argwhere(window.free)
    points = window.origin_m + (cells[rng.integers(0, len(cells), 400)] + rng.random((400, 3))) * window.cell_m
    best = np.full(len(points), np.inf)
    for ix, iy in np.ndindex(city.size):
        for low, high in city.runs.get((ix, iy), [(-np.inf, float(city.surface_m[ix, iy]))]):
            corner = np.array([ix * 2.0, iy * 2.0, low])
            far = np.array([ix * 2.0 + 2, iy * 2.0 + 2, high])
            gap = np.maximum(np.maximum(corner - points, points - far), 0)
            best = np.minimum(best, np.linalg.norm(gap, axis=1))
    assert best.min() >= RULES.clearance_m
    ix, iy = (points[:, :2] // 2).astype(int).T
    assert (points[:, 2] <= city.terrain_m[ix, iy] + 36.0).all()


def test_there_is_room_under_a_bridge_and_none_over_the_ceiling():
    flat = np.full((60, 60), 10, np.float32)
    city = ArrayMap(flat, flat.copy())
    for iy in range(60):
        city.surface_m[30, iy] = 38.0
        city.runs[(30, iy)] = [(-np.inf, 10.0), (36.0, 38.0)]
    window = clearance_window(city, RULES, (50, 50, 70, 70))
    under = window.free[5, 5]
    heights = window.origin_m[2] + np.arange(len(under)) * 2.0
    # Clear of the ground from 18 m, clear of the bridge up to 28 m; above it the ceiling is too near.
    np.testing.assert_array_equal(heights[under], np.arange(18.0, 28.0, 2.0))
    assert window.lowest_m[5, 5] == 18.0
    assert window.highest_m[5, 5] == 46.0


def test_the_band_follows_the_lowest_terrain_of_the_voxel():
    terrain = np.full((60, 60), 10, np.float32)
    terrain[31, 31] = 4.0
    city = ArrayMap(terrain, terrain.copy())
    window = clearance_window(city, RULES, (56, 56, 68, 68), 4.0)
    assert window.highest_m[1, 1] == 40.0
    assert window.highest_m[0, 0] == 46.0
    assert window.free[1, 1].sum() == window.free[0, 0].sum() - 1


def test_off_the_map_is_not_free_and_the_clearance_is_kept_from_it():
    flat = np.full((60, 60), 10, np.float32)
    window = clearance_window(ArrayMap(flat, flat), RULES, (-20, 40, 40, 60))
    assert not window.free[:14].any()  # 20 m off the map, 8 m beside its edge
    assert window.free[14:].any(axis=(1, 2)).all()
    assert (window.distance_m[:10] == 0).all()
    assert (window.highest_m[:10] == -np.inf).all()
    assert (window.lowest_m[:14] == np.inf).all()
    assert window.origin_m[0] == -20


def test_a_column_that_the_map_holds_in_part_is_not_known():
    flat = np.full((61, 60), 10, np.float32)
    window = clearance_window(ArrayMap(flat, flat), RULES, (100, 40, 124, 60), 4.0)
    assert (window.distance_m[5] == 0).all()  # 120 to 124 m, of which the map ends at 122


def test_the_flight_space_is_what_the_search_takes():
    window = clearance_window(town(60, 60), RULES, (40, 40, 80, 80))
    space = window.flight_space()
    np.testing.assert_array_equal(space.blocked, ~window.free)
    np.testing.assert_array_equal(space.origin_m, window.origin_m)
    assert not window.distance_m.flags.writeable


def test_a_cliff_beside_the_window_is_read_as_far_as_it_matters():
    terrain = np.full((80, 60), 300, np.float32)
    terrain[:30] = 5.0
    city = ArrayMap(terrain, terrain.copy())
    window = clearance_window(city, RULES, (62, 40, 100, 60))
    assert city.reads[0][4] > 280  # not down to the sea
    assert window.origin_m[2] == 300.0


def test_a_map_on_disk_gives_the_window_that_its_arrays_give(tmp_path):
    layers = made_layers((530, 90), seed=2)
    runs = wire_runs(layers, np.arange(490, 525), np.full(35, 40), above=16.0)
    city = made_map(tmp_path / "city", layers, runs, cell=2.0)
    columns: dict[tuple[int, int], list] = {}
    for run in runs.tolist():
        columns.setdefault(run[:2], []).append(run[2:4])
    arrays = ArrayMap(layers["terrain"], layers["surface"], 2.0, columns, closed=True)
    cache = ClearanceCache(tmp_path / "cache")
    for cell_m, box in ((2.0, (990, 60, 1030, 110)), (4.0, (980, 130, 1080, 190))):
        one, other = (clearance_window(m, RULES, box, cell_m, cache=cache) for m in (city, arrays))
        assert one.cached == other.cached == "computed"
        np.testing.assert_array_equal(one.distance_m, other.distance_m)
        np.testing.assert_array_equal(one.free, other.free)
    under_the_wire = clearance_window(city, RULES, (990, 60, 1030, 110)).free[:, 10]
    assert under_the_wire.any(axis=1).all()


# -- the cache


def test_a_window_is_kept_in_memory_and_on_disk(tmp_path):
    city, box = town(60, 60), (40, 40, 80, 80)
    cache = ClearanceCache(tmp_path)
    first = clearance_window(city, RULES, box, cache=cache)
    again = clearance_window(city, RULES, box, cache=cache)
    later = clearance_window(city, RULES, box, cache=ClearanceCache(tmp_path))
    assert [w.cached for w in (first, again, later)] == ["computed", "memory", "disk"]
    assert len(city.reads) == 1
    for other in (again, later, clearance_window(city, RULES, box)):
        for name in ("origin_m", "distance_m", "free", "lowest_m", "highest_m"):
            np.testing.assert_array_equal(getattr(other, name), getattr(first, name))
            assert getattr(other, name).dtype == getattr(first, name).dtype


def test_other_rules_cells_or_boxes_are_other_windows(tmp_path):
    city, cache = town(60, 60), ClearanceCache(tmp_path)
    clearance_window(city, RULES, (40, 40, 80, 80), cache=cache)
    others = [
        clearance_window(city, RuleSet(clearance_m=9.0, ceiling_above_terrain_m=40.0), (40, 40, 80, 80), cache=cache),
        clearance_window(city, RULES, (40, 40, 80, 80), 4.0, cache=cache),
        clearance_window(city, RULES, (40, 40, 80, 82), cache=cache),
    ]
    assert {w.cached for w in others} == {"computed"}


def wide_map() -> ArrayMap:
    flat = np.full((560, 60), 10, np.float32)
    return ArrayMap(flat, flat.copy())


@pytest.mark.parametrize(("ix", "kept"), [(20, False), (550, True)])
def test_an_update_elsewhere_keeps_the_cache_and_one_inside_does_not(tmp_path, ix, kept):
    before, after = wide_map(), wide_map()
    after.surface_m[ix, 30] += 30
    cache = ClearanceCache(tmp_path)
    clearance_window(before, RULES, (20, 40, 60, 80), cache=cache)
    window = clearance_window(after, RULES, (20, 40, 60, 80), cache=cache)
    assert window.cached == ("memory" if kept else "computed")


def test_a_tile_that_only_the_halo_touches_counts(tmp_path):
    before, after = wide_map(), wide_map()
    after.surface_m[513, 30] += 30
    cache = ClearanceCache(tmp_path)
    box = (980, 40, 1020, 80)  # ends at cell 510
    clearance_window(before, RULES, box, cache=cache)
    window = clearance_window(after, RULES, box, cache=cache)
    assert window.cached == "computed"
    assert not window.free[-1].all(axis=0).any()


def damage(file, how) -> None:
    data = bytearray(file.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = bytearray()
    else:
        data[how] ^= 0x10
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["cut", "empty", 200, 400, -5])
def test_a_damaged_entry_is_computed_anew_and_replaced(tmp_path, how):
    city, box = town(60, 60), (40, 40, 80, 80)
    good = clearance_window(city, RULES, box, cache=ClearanceCache(tmp_path))
    (file,) = tmp_path.rglob("*.window")
    damage(file, how)
    mended = clearance_window(city, RULES, box, cache=ClearanceCache(tmp_path))
    assert mended.cached == "repaired"
    np.testing.assert_array_equal(mended.distance_m, good.distance_m)
    assert clearance_window(city, RULES, box, cache=ClearanceCache(tmp_path)).cached == "disk"


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_flipped_bit_gets_into_a_window(tmp_path_factory, data):
    city, box = town(40, 40), (30, 30, 50, 50)
    folder = tmp_path_factory.mktemp("cache")
    good = clearance_window(city, RULES, box, cache=ClearanceCache(folder))
    (file,) = folder.rglob("*.window")
    damage(file, data.draw(st.integers(0, file.stat().st_size - 1)))
    found = clearance_window(city, RULES, box, cache=ClearanceCache(folder))
    assert found.cached in ("disk", "repaired")
    np.testing.assert_array_equal(found.distance_m, good.distance_m)
    np.testing.assert_array_equal(found.free, good.free)


def test_the_least_recently_used_goes_first(tmp_path):
    city = town(60, 60)
    boxes = [(30 + 10 * n, 40, 50 + 10 * n, 60) for n in range(3)]
    size = clearance_window(city, RULES, boxes[0]).nbytes
    cache = ClearanceCache(None, max_bytes=int(2.5 * size))
    for box in (boxes[0], boxes[1], boxes[0], boxes[2]):
        clearance_window(city, RULES, box, cache=cache)
    assert [clearance_window(city, RULES, box, cache=cache).cached for box in (boxes[0], boxes[2])] == ["memory"] * 2
    assert clearance_window(city, RULES, boxes[1], cache=cache).cached == "computed"


def test_the_folder_stays_within_its_size(tmp_path):
    city = town(60, 60)
    cache = ClearanceCache(tmp_path, max_disk_bytes=1)
    clearance_window(city, RULES, (40, 40, 60, 60), cache=cache)
    assert not list(tmp_path.rglob("*.window"))


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = ClearanceCache(tmp_path / "file")
    city = town(60, 60)
    with pytest.warns(RuntimeWarning, match="UTM_CACHE"):
        window = clearance_window(city, RULES, (40, 40, 60, 60), cache=cache)
    assert window.free.any()


def test_the_usual_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("UTM_CACHE", str(tmp_path / "here"))
    assert cache_directory() == tmp_path / "here"
    monkeypatch.delenv("UTM_CACHE")
    assert cache_directory().parts[-2:] == (".cache", "skyroad")


# -- what is refused


@pytest.mark.parametrize(
    ("box", "cell_m", "message"),
    [
        ((500, 40, 600, 60), None, "off the map"),
        ((-50, 40, -10, 60), None, "off the map"),
        ((40, 40, 40, 60), None, "west < east"),
        ((40, 40, float("nan"), 60), None, "west < east"),
        ((40, 40, 60, 60), 3.0, "multiple"),
        ((40, 40, 60, 60), 0.0, "multiple"),
        ((40, 40, 60, 60), float("inf"), "multiple"),
        ((0, 0, 5000, 5000), None, "smaller windows"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(box, cell_m, message):
    city = town(60, 60)
    with pytest.raises(MapError, match=message):
        clearance_window(city, RULES, box, cell_m)
    assert not city.reads


def test_relief_counts_into_the_size(monkeypatch):
    monkeypatch.setattr("utm.mapping.clearance.MAX_VOXELS", 100_000)
    terrain = np.full((80, 60), 10, np.float32)
    clearance_window(ArrayMap(terrain, terrain), RULES, (40, 40, 80, 80))
    terrain = np.repeat(np.linspace(0, 900, 80, dtype=np.float32)[:, None], 60, axis=1)
    with pytest.raises(MapError, match="relief"):
        clearance_window(ArrayMap(terrain, terrain), RULES, (40, 40, 80, 80))


def test_the_key_is_the_same_in_every_process():
    city = wide_map()
    lattice = _lattice(city, RULES, (20, 40, 60, 80), None)
    assert cache_key(city, RULES, lattice) == cache_key(wide_map(), RULES, lattice)
    assert json.dumps(lattice.window) == "[10, 20, 30, 40]"
