import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.made_maps import made_layers, made_map, wire_runs
from utm.errors import MapError
from utm.mapping import CityMap, citymap
from utm.mapping.mapfile import LAYERS, Status, identity_of, version_of
from utm.mapping.runs import changed_m, columns_with_air, solid_at
from utm.mapping.tilecache import TileCache

#: 2 x 2 tiles, the eastern and northern ones cut off.
SIZE = (560, 530)


@pytest.fixture(scope="module")
def arrays():
    layers = made_layers(SIZE)
    runs = wire_runs(layers, range(480, 560), 500)
    more = wire_runs(layers, 20, range(505, 530), above=3.0)
    return layers, np.sort(np.concatenate([runs, more]), order=["ix", "iy", "from_m"])


@pytest.fixture(scope="module")
def town(arrays, tmp_path_factory):
    """Four tiles at 1 m; a wire along row 500 over two of them, another along column 20."""
    return made_map(
        tmp_path_factory.mktemp("town") / "city", *arrays, sources=[{"file": "a.tif"}, {"file": "b.laz"}],
        survey_dates={"oldest": "2019-04-14", "newest": "2022-01-08"},
    )  # fmt: skip


@pytest.fixture
def copy(town, tmp_path):
    """A map that a test may break."""
    shutil.copytree(town.path, tmp_path / "copy")
    return tmp_path / "copy"


def edited(folder, change) -> None:
    file = folder / "map.json"
    meta = json.loads(file.read_text())
    change(meta)
    file.write_text(json.dumps(meta))


def tile_folder(folder, name):
    (found,) = (folder / "tiles").glob(f"{name}-*")
    return found


# --- opening -------------------------------------------------------------------------------------------------


def test_opening_touches_no_tile(town, copy):
    shutil.rmtree(copy / "tiles")
    assert CityMap.open(copy).version == town.version
    assert CityMap.open(str(copy)).frame == town.frame


def test_importing_the_reader_loads_no_survey_reader():
    code = (
        "import sys; from utm.mapping import CityMap; import utm.mapping.describe, utm.mapping.diff; "
        "print(sorted({'open3d', 'laspy', 'matplotlib', 'zarr', 'utm.mapping.ingest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_drawing_room_loads_neither_pyplot_nor_ingest():
    code = (
        "import sys; import utm.mapping.view; "
        "print(sorted({'open3d', 'laspy', 'matplotlib.pyplot', 'utm.mapping.ingest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def lying_version(meta):
    """A size that does not fit, with a version that fits the lie."""
    meta["size"] = [10**5, 10**4]
    meta["version"] = version_of(identity_of(meta), {tuple(e["tile"]): e["hash"] for e in meta["tiles"]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format_version=99), "map.json: format_version: this program reads map format 2 (got 99)"),
        (lambda m: m.update(format="other"), "map.json: not a skyroad-citymap file"),
        (lambda m: m.pop("frame"), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(origin_x=float("nan")), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(origin_x=float("inf")), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(origin_y=True), "map.json: frame: missing or malformed"),
        (lambda m: m["frame"].update(origin_y=3.5), "map.json: version: does not follow"),
        (lambda m: m["frame"].update(vertical="AMSL"), "map.json: version: does not follow"),
        (lambda m: m.update(size=[0, 5]), "map.json: size: missing or malformed"),
        (lambda m: m.update(size=[560, 530.0]), "map.json: size: missing or malformed"),
        (lambda m: m.update(size=[10**9, 10**9]), "map.json: size: missing or malformed"),
        (lambda m: m.update(size=[561, 530]), "map.json: version: does not follow"),
        (lying_version, "map.json: tiles: must name each of the 3920 tiles once (got 4)"),
        (lambda m: m.update(resolution_m=-1), "map.json: resolution_m: missing or malformed"),
        (lambda m: m.update(resolution_m=1e-9), "map.json: resolution_m: missing or malformed"),
        (lambda m: m.update(resolution_m=2), "map.json: version: does not follow"),
        (lambda m: m["tiles"].pop(), "map.json: tiles: must name each of the 4 tiles once (got 3)"),
        (lambda m: m["tiles"][0].update(hash="../../etc"), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0].update(hash="A" * 64), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0].update(hash="a" * 64), "map.json: version: does not follow"),
        (lambda m: m["tiles"][0].update(tile=[0, -1]), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0].update(tile=[7, 0]), "map.json: tiles: must name each"),
        (lambda m: m["tiles"][0].pop("facts"), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0]["facts"].pop("runs"), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0]["facts"].update(ages=[[1]]), "map.json: tiles: missing or malformed"),
        (lambda m: m["tiles"][0]["facts"].update(highest_m="high"), "map.json: tiles: missing or malformed"),
        (lambda m: m.update(tiles={}), "map.json: tiles: missing or malformed"),
        (lambda m: m.pop("version"), "map.json: version: missing or malformed"),
        (lambda m: m.update(version="0" * 64), "map.json: version: does not follow"),
        (lambda m: m.pop("parent"), "map.json: parent: missing or malformed"),
        (lambda m: m.update(sources=["a.tif"]), "map.json: sources: missing or malformed"),
        (lambda m: m.update(survey_dates={"oldest": "long ago"}), "map.json: survey_dates: missing or malformed"),
    ],
)
def test_a_map_file_that_cannot_be_used(copy, change, words):
    edited(copy, change)
    with pytest.raises(MapError) as caught:
        CityMap.open(copy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"crs": "EPSG:4326"}, "a map needs a projected CRS"),
        ({"crs": "nonsense"}, "the frame cannot be used"),
        ({"vertical": "sea"}, "the frame cannot be used"),
        ({"vertical": "AGL"}, "the frame cannot be used"),
    ],
)
def test_a_frame_that_is_none(copy, frame, words):
    def change(meta):
        meta["frame"].update(frame)
        meta["version"] = version_of(identity_of(meta), {tuple(e["tile"]): e["hash"] for e in meta["tiles"]})

    edited(copy, change)
    with pytest.raises(MapError, match=words):
        CityMap.open(copy)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_a_truncated_map_file(copy, share):
    text = (copy / "map.json").read_text()
    (copy / "map.json").write_text(text[: int(len(text) * share)])
    with pytest.raises(MapError, match=r"map\.json: damaged"):
        CityMap.open(copy)


@pytest.mark.parametrize(
    "text", ['{"a": ' + "[" * 100_000, '{"format": ' + "9" * 10_000 + "}", '"\\ud800', "\x00", "NaN", "[1, 2]"]
)
def test_a_map_file_that_is_meant_to_hurt(copy, text):
    (copy / "map.json").write_text(text)
    with pytest.raises(MapError, match=r"map\.json"):
        CityMap.open(copy)


def test_what_is_no_map(tmp_path):
    with pytest.raises(MapError, match="there is no such map directory"):
        CityMap.open(tmp_path / "absent")
    with pytest.raises(MapError, match=r"not a map: it holds no map\.json"):
        CityMap.open(tmp_path)


def test_which_version(town, tmp_path):
    out = tmp_path / "city"
    layers = made_layers((30, 20))
    made = []
    for height in range(18):  # two of them begin alike, for there are sixteen digits
        layers["surface"] += np.float32(height)
        made.append(made_map(out, layers).version)
    assert CityMap.open(out).version == made[-1]
    assert CityMap.open(f"{out}@{made[3][:10]}").version == made[3]
    assert CityMap.open(out, made[4].upper()).version == made[4]
    for prefix, words in (
        ("0" * 16, "the map has no such version"),
        (made[0][:16] + "x", "the map has no such version"),
        ("", "the map has no such version"),
        ("../x", "the map has no such version"),
        (max(made, key=lambda v: [u[0] for u in made].count(v[0]))[0], "several versions begin so"),
    ):
        with pytest.raises(MapError, match=words) as caught:
            CityMap.open(out, prefix)
        assert made[7][:12] in caught.value.mend
    with pytest.raises(MapError, match="there is no such map directory"):
        CityMap.open(tmp_path / "absent@abc")
    shutil.copy(out / "versions" / f"{made[0][:16]}.json", out / "versions" / f"{made[1][:16]}.json")
    with pytest.raises(MapError, match="the map has no such version"):
        CityMap.open(out, made[1])


def test_sources_and_dates(town):
    assert [source["file"] for source in town.sources] == ["a.tif", "b.laz"]
    assert [str(day) for day in town.survey_dates] == ["2019-04-14", "2022-01-08"]
    assert town.source_at(0.5, 0.5) == 1
    assert town.surveyed_at(250.5, 0.5) == 19_000


# --- damage --------------------------------------------------------------------------------------------------


def test_a_missing_file_is_told_when_it_is_wanted(copy):
    (tile_folder(copy, "0_0") / "surface.tif").unlink()
    damaged = CityMap.open(copy)
    damaged.window(515, 515, 550, 520)
    for ask in (lambda: damaged.window(0, 0, 5, 5), lambda: damaged.surface_up(5, 5), damaged.verify):
        with pytest.raises(MapError, match=r"surface\.tif: a file of the map is missing") as caught:
            ask()
        assert caught.value.mend
    shutil.rmtree(tile_folder(copy, "1_0") / "voxels.zarr")
    with pytest.raises(MapError, match=r"voxels\.zarr: a file of the map is missing"):
        damaged.blocked(530, 500, 5)


def test_false_facts_are_seen_by_verify(copy):
    edited(copy, lambda m: m["tiles"][0]["facts"].update(known=5))
    with pytest.raises(MapError, match="states false facts"):
        CityMap.open(copy).verify()


def test_a_change_of_one_height_is_another_content(copy):
    file = tile_folder(copy, "0_0") / "terrain.tif"
    with rasterio.open(file) as raster:
        profile, data = raster.profile, raster.read(1)
    data[5, 5] -= 0.125
    with rasterio.open(file, "w", **profile) as raster:
        raster.write(data, 1)
    with pytest.raises(MapError, match="the content hashes to"):
        CityMap.open(copy).verify()


def test_another_raster_in_its_place(copy):
    shutil.copy(tile_folder(copy, "1_0") / "age.tif", tile_folder(copy, "0_0") / "age.tif")
    with pytest.raises(MapError, match="not the raster that map"):
        CityMap.open(copy).layer("age", 0, 0, 10, 10)


@pytest.fixture(scope="module")
def hut(tmp_path_factory):
    """A map of one tile, small enough to be broken a hundred times."""
    layers = made_layers((40, 30))
    return made_map(tmp_path_factory.mktemp("hut") / "city", layers, wire_runs(layers, range(5, 30), 7))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_tiles_give_the_truth_or_one_clear_error(hut, data):
    folder = tile_folder(hut.path, "0_0")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    good = file.read_bytes()
    bad = bytearray(good)
    if data.draw(st.booleans()):
        for _ in range(data.draw(st.integers(1, 4))):
            bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del bad[data.draw(st.integers(0, len(bad) - 1)) :]
    file.write_bytes(bytes(bad))
    said = f"{folder}: nothing"
    try:
        CityMap.open(hut.path).verify()  # reads past the memory of tiles
    except MapError as error:
        said = str(error)
    finally:
        file.write_bytes(good)
    assert "\n" not in said
    assert str(folder) in said


# --- windows -------------------------------------------------------------------------------------------------

SIDE = st.floats(-50, 610)


@settings(max_examples=60, deadline=None)
@given(east0=SIDE, north0=SIDE, east1=SIDE, north1=SIDE)
def test_a_window_holds_exactly_the_cells_that_touch_it(town, arrays, east0, north0, east1, north1):
    east0, east1, north0, north1 = min(east0, east1), max(east0, east1), min(north0, north1), max(north0, north1)
    if east1 < 0 or north1 < 0 or east0 > 560 or north0 > 530:
        with pytest.raises(MapError, match="lies off the map"):
            town.window(east0, north0, east1, north1)
        return
    columns = town.window(east0, north0, east1, north1)
    nx, ny = columns.shape
    x0, y0 = columns.origin_m
    assert x0 <= max(east0, 0) or x0 == 559
    assert y0 <= max(north0, 0) or y0 == 529
    assert x0 + nx >= min(east1, 560)
    assert y0 + ny >= min(north1, 530)
    assert nx <= min(east1, 560) - max(east0, 0) + 2
    assert ny <= min(north1, 530) - max(north0, 0) + 2
    part = np.s_[int(x0) : int(x0) + nx, int(y0) : int(y0) + ny]
    layers, _ = arrays
    np.testing.assert_array_equal(columns.surface_m, layers["surface"][part])
    np.testing.assert_array_equal(columns.terrain_m, layers["terrain"][part])
    np.testing.assert_array_equal(columns.unknown, (layers["status"][part] & Status.UNKNOWN) != 0)


def test_the_whole_map_is_what_was_written(town, arrays):
    layers, runs = arrays
    town.verify()
    for name in LAYERS:
        np.testing.assert_array_equal(town.layer(name, 0, 0, *SIZE), layers[name])
    np.testing.assert_array_equal(town.whole().surface_m, layers["surface"])
    np.testing.assert_array_equal(town.runs((0, 0, *town.extent_m)), runs)
    kept = (runs["ix"] >= 500) & (runs["ix"] <= 520)
    np.testing.assert_array_equal(town.runs((500.5, 0, 520.5, 530)), runs[kept])


@pytest.mark.parametrize("box", [(np.nan, 0, 1, 1), (5, 5, 4, 6), (0, 0, np.inf, 1)])
def test_a_window_that_is_none(town, box):
    for ask in (lambda: town.window(*box), lambda: town.runs(box)):
        with pytest.raises(MapError, match="a box needs finite west <= east"):
            ask()


@pytest.mark.parametrize("cells", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 561, 5), (0, 5, 5, 5)])
def test_cells_that_are_none(town, cells):
    with pytest.raises(ValueError, match="no cells"):
        town.layer("surface", *cells)


@pytest.mark.parametrize("longest", [7, 100, 280, 560, 5000])
def test_an_overview_rounds_to_the_safe_side(town, arrays, longest):
    layers, _ = arrays
    n = town.overview_factor(longest)
    blocks = [(x, y) for x in range(0, SIZE[0], n) for y in range(0, SIZE[1], n)]
    shape = (-(-SIZE[0] // n), -(-SIZE[1] // n))
    assert max(shape) <= longest
    for name, reduce in (
        ("terrain", np.min),
        ("surface", np.max),
        ("status", np.bitwise_or.reduce),
        ("age", lambda cells: min((day for day in cells if day), default=0)),
        ("source", lambda cells: cells[0]),
    ):
        wanted = [reduce(layers[name][x : x + n, y : y + n].ravel()) for x, y in blocks] if n > 1 else layers[name]
        made = town.overview(name, longest)
        assert made.dtype == LAYERS[name]
        np.testing.assert_array_equal(made, np.reshape(wanted, shape))


# --- places --------------------------------------------------------------------------------------------------


def test_heights_at_places_keep_the_shape_of_the_question(town, arrays):
    layers, _ = arrays
    assert town.surface_up(25.5, 35.5).shape == ()
    east, north = np.array([[20.0, 559.9], [0.0, 560.0]]), np.array([[30.0, 529.9], [0.0, 530.0]])
    cells = np.minimum(east.astype(int), 559), np.minimum(north.astype(int), 529)
    np.testing.assert_array_equal(town.terrain_up(east, north), layers["terrain"][cells])
    np.testing.assert_array_equal(town.status_at(east, north), layers["status"][cells])
    assert town.terrain_up(25.5, np.array([1.0, 2.0])).shape == (2,)
    assert town.surface_up([], []).shape == (0,)


@pytest.mark.parametrize("place", [(-0.01, 5), (5, 530.01), (np.nan, 5), (5, np.inf)])
def test_a_place_off_the_map(town, place):
    assert not town.contains(*place)
    for ask in (lambda: town.surface_up(*place), lambda: town.blocked(*place, 3.0)):
        with pytest.raises(MapError, match="lies off the map of 560 x 530 m"):
            ask()


def test_the_edge_belongs_to_the_map(town):
    assert town.contains(0, 0)
    assert town.contains(560, 530)
    assert np.isfinite(town.surface_up(560, 530))


def naive_blocked(layers, runs, east, north, up):
    ix, iy = min(int(east), SIZE[0] - 1), min(int(north), SIZE[1] - 1)
    mine = runs[(runs["ix"] == ix) & (runs["iy"] == iy)]
    if len(mine) == 0:
        return up <= layers["surface"][ix, iy]
    return any(run["from_m"] <= up <= run["to_m"] for run in mine)


def test_points_in_solids_in_the_air_and_on_the_line(town, arrays):
    layers, runs = arrays
    rng = np.random.default_rng(5)
    east, north = rng.uniform(0, 560, 400), rng.uniform(0, 530, 400)
    up = rng.uniform(0, 80, 400)
    wires = rng.integers(0, len(runs), 400)
    east = np.concatenate([east, runs["ix"][wires] + 0.5])
    north = np.concatenate([north, runs["iy"][wires] + 0.5])
    ends = np.where(np.isinf(runs["from_m"]), runs["to_m"], runs["from_m"])
    exact = np.where(rng.random(400) < 0.5, runs["to_m"][wires], ends[wires]).astype(np.float64)
    up = np.concatenate([up, exact + rng.choice([-1, -1e-3, 0, 1e-9, 1e-3, 1], 400)])
    wanted = [naive_blocked(layers, runs, *point) for point in zip(east, north, up, strict=True)]
    np.testing.assert_array_equal(town.blocked(east, north, up), wanted)
    assert town.blocked(east.reshape(20, 40), north.reshape(20, 40), 3.0).shape == (20, 40)
    assert 100 < sum(wanted) < 700


def test_unknown_is_blocked_up_to_what_is_assumed(town, arrays):
    ix, iy = np.argwhere(arrays[0]["status"] & Status.UNKNOWN)[0] + 0.5
    top = float(town.surface_up(ix, iy))
    assert town.blocked(ix, iy, [top - 5, top, np.nextafter(top, 1e9), -np.inf, np.inf]).tolist() == [
        True, True, False, True, False,
    ]  # fmt: skip
    with pytest.raises(MapError, match="not a number"):
        town.blocked(ix, iy, np.nan)


@pytest.mark.parametrize(
    ("cell", "box"), [(1, (470, 480, 530, 520)), (3, (5, 500, 31, 530)), (4, (500, 490, 560, 530))]
)
def test_voxels_hold_every_blocked_point_and_the_air_below_wires(town, cell, box):
    voxels = town.voxels(*box, 0.0, 60.0, cell)
    low = voxels.origin_m[:2]
    assert (low <= box[:2]).all()
    assert (low > np.array(box[:2]) - cell).all()
    assert (low % cell == 0).all()
    rng = np.random.default_rng(2)
    points = rng.uniform(np.array([*box[:2], 0]), np.array([*box[2:], 60]), (20_000, 3))
    at = tuple(np.floor((points - voxels.origin_m) / cell).astype(int).T)
    solid = town.blocked(*points.T)
    assert voxels.blocked[at][solid].all()
    if cell == 1:  # a wire of half a metre, 8 m up: it and the solid touch a voxel or two each
        x, y = 500 - int(low[0]), 500 - int(low[1])
        column = voxels.blocked[x, y]
        top = int(town.surface_up(500.5, 500.5))
        assert column[top]
        assert not column[top - 6 : top - 2].any()
        assert not column[top + 2 :].any()


@pytest.mark.parametrize(
    ("low", "high", "cell", "words"),
    [
        (0, 10, 1.5, "a multiple of the map's cell"),
        (0, 10, 0.5, "a multiple of the map's cell"),
        (0, 10, np.nan, "a multiple of the map's cell"),
        (0, 10, -1, "a multiple of the map's cell"),
        (10, 10, 1, "a finite height below another"),
        (0, np.inf, 1, "a finite height below another"),
        (0, 1e9, 1, "more than 1,000,000,000 voxels"),
    ],
)
def test_voxels_that_are_none(town, low, high, cell, words):
    with pytest.raises(MapError, match=words):
        town.voxels(0, 0, 100, 100, low, high, cell)


# --- inside --------------------------------------------------------------------------------------------------


@st.composite
def tables(draw):
    """A tile of 2 x 2 cells on eighths of metres: its runs, and its surface."""
    rows, surface = [], np.zeros((2, 2), np.float32)
    for ix, iy in np.ndindex(2, 2):
        surface[ix, iy] = draw(st.integers(0, 40)) / 8
        if draw(st.booleans()):
            pairs = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=4))
            mine = [(-np.inf, surface[ix, iy]), *((low / 8, (low + length) / 8) for low, length in pairs)]
            surface[ix, iy] = max(high for _, high in mine)
            rows += [(ix, iy, low, high, 0, 0) for low, high in sorted(mine)]
    return np.array(rows, citymap.RUN_DTYPE), surface


def eighths(runs, surface, ix, iy):
    """Which of the eighths from -10 to 20 m of a column lie in something solid."""
    mine = [(r["from_m"], r["to_m"]) for r in runs if (r["ix"], r["iy"]) == (ix, iy)] or [(-np.inf, surface[ix, iy])]
    middle = (np.arange(-80, 160) + 0.5) / 8
    return np.any([(low <= middle) & (middle <= high) for low, high in mine], axis=0)


@settings(max_examples=200, deadline=None)
@given(tables(), tables())
def test_what_became_solid_and_what_became_clear(one, other):
    solid, clear = changed_m(*one, *other)
    for ix, iy in np.ndindex(2, 2):
        before, after = eighths(*one, ix, iy), eighths(*other, ix, iy)
        assert solid[ix, iy] == (after & ~before).sum() / 8
        assert clear[ix, iy] == (before & ~after).sum() / 8


@settings(max_examples=100, deadline=None)
@given(tables())
def test_which_columns_hold_air(table):
    runs, surface = table
    listed = sorted({(int(run["ix"]), int(run["iy"])) for run in runs})
    with_air = [bool((np.diff(eighths(runs, surface, *cell).astype(int)) > 0).any()) for cell in listed]
    thick = all(run["to_m"] > run["from_m"] for run in runs)  # a run without thickness fills no eighth
    if thick:
        np.testing.assert_array_equal(columns_with_air(runs), with_air)
    ix, iy = np.divmod(np.repeat(np.arange(4), 240), 2)
    middle = np.tile((np.arange(-80, 160) + 0.5) / 8, 4)
    wanted = np.concatenate([eighths(runs, surface, *cell) for cell in np.ndindex(2, 2)])
    np.testing.assert_array_equal(solid_at(runs, surface, ix, iy, middle), wanted)


def test_the_memory_of_tiles_is_bounded():
    cache = TileCache(1000)
    for number in range(20):
        assert cache.get(number, lambda n=number: np.full(300, n, np.uint8))[0] == number
        cache.get("often", lambda: np.zeros(10, np.uint8))
    assert cache.used == 910
    assert cache.peek(0) is None
    assert cache.peek("often") is not None
    assert not cache.peek(19).flags.writeable
    cache.get("large", lambda: np.zeros(2000, np.uint8))
    assert cache.peek("large") is None


def test_many_may_ask_at_once(town, arrays):
    layers, _ = arrays
    rng = np.random.default_rng(3)
    east, north = rng.uniform(0, 560, (8, 500)), rng.uniform(0, 530, (8, 500))
    found = np.empty((8, 500))

    def ask(n):
        found[n] = CityMap.open(town.path).surface_up(east[n], north[n])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, layers["surface"][east.astype(int), north.astype(int)])
