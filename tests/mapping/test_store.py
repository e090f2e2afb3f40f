import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import xarray

from tests.mapping.made_maps import SOUTH, WEST, cut, entries_of, made_layers, made_map, meta_of, wire_runs
from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.ingest import store
from utm.mapping.ingest.store import MapWriter, check_place, compound_crs, write_tile
from utm.mapping.mapfile import LAYERS, MAP_RUN_DTYPE, RUN_DTYPE, TileContent, identity_of, tile_hash

SMALL = (90, 40)
NONE = np.empty(0, MAP_RUN_DTYPE)


def small(height: float = 0.0) -> dict:
    layers = made_layers(SMALL)
    layers["surface"] += np.float32(height)
    return layers


def left_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


# --- tiles ---------------------------------------------------------------------------------------------------


def content(runs: bool = True) -> TileContent:
    layers = small()
    return cut(layers, wire_runs(layers, range(10, 40), 20) if runs else NONE, SMALL, (0, 0))


def test_a_tile_is_named_by_its_content_and_written_once(tmp_path):
    meta, tile = meta_of(SMALL), content()
    entry = write_tile(tmp_path, meta, (0, 0), tile)
    assert entry["hash"] == tile_hash(identity_of(meta), (0, 0), tile)
    (folder,) = (tmp_path / "tiles").iterdir()
    assert folder.name == f"0_0-{entry['hash'][:16]}"
    assert entry["bytes"] == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert left_in(folder) == {*(f"{name}.tif" for name in LAYERS), "voxels.zarr"}
    before = folder.stat()
    assert write_tile(tmp_path, meta | {"sources": [{}]}, (0, 0), tile) == entry
    assert (folder.stat().st_ino, left_in(tmp_path / "tiles")) == (before.st_ino, {folder.name})


def test_two_rasters_are_enough_where_there_is_no_air(tmp_path):
    write_tile(tmp_path, meta_of(SMALL), (0, 0), content(runs=False))
    (folder,) = (tmp_path / "tiles").iterdir()
    assert left_in(folder) == {f"{name}.tif" for name in LAYERS}


@pytest.mark.parametrize("damage", ["missing", "cut", "zarr"])
def test_writing_again_mends_a_damaged_tile(tmp_path, damage):
    meta, tile = meta_of(SMALL), content()
    entry = write_tile(tmp_path, meta, (0, 0), tile)
    (folder,) = (tmp_path / "tiles").iterdir()
    if damage == "missing":
        (folder / "age.tif").unlink()
    elif damage == "cut":
        (folder / "surface.tif").write_bytes((folder / "surface.tif").read_bytes()[:400])
    else:
        (folder / "voxels.zarr" / "to_m" / "c" / "0").write_bytes(b"")
    assert write_tile(tmp_path, meta, (0, 0), tile)["hash"] == entry["hash"]
    assert (folder / "age.tif").is_file()


def test_what_counts_for_the_hash():
    meta = identity_of(meta_of(SMALL))
    tile = content()
    wanted = tile_hash(meta, (0, 0), tile)
    assert tile_hash(json.loads(json.dumps(meta)), (0, 0), content()) == wanted
    zero = {name: layer.copy() for name, layer in tile.layers.items()}
    zero["terrain"][3, 3] = 0.0
    minus = {name: layer.copy() for name, layer in zero.items()}
    minus["terrain"][3, 3] = -0.0
    assert tile_hash(meta, (0, 0), TileContent(zero)) == tile_hash(meta, (0, 0), TileContent(minus))
    seen = {wanted, tile_hash(meta, (0, 1), tile), tile_hash(meta | {"resolution_m": 2.0}, (0, 0), tile)}
    for name in LAYERS:
        changed = {key: layer.copy() for key, layer in tile.layers.items()}
        changed[name][7, 7] += 1
        seen.add(tile_hash(meta, (0, 0), TileContent(changed, tile.runs)))
    for name in RUN_DTYPE.names:
        runs = tile.runs.copy()
        runs[name][1] += 1
        seen.add(tile_hash(meta, (0, 0), TileContent(tile.layers, runs)))
    assert len(seen) == 3 + len(LAYERS) + len(RUN_DTYPE.names)


def broken(**arrays):
    def change(tile: TileContent) -> TileContent:
        layers = {name: layer.copy() for name, layer in tile.layers.items()}
        for name, edit in arrays.items():
            layers[name] = edit(layers[name])
        return TileContent(layers, tile.runs)

    return change


def with_runs(edit):
    def change(tile: TileContent) -> TileContent:
        runs = tile.runs.copy()
        return TileContent(tile.layers, edit(runs))

    return change


def put(name, row, value):
    def edit(runs):
        runs[name][row] = value
        return runs

    return with_runs(edit)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (broken(surface=lambda a: a[:-1]), "surface must be float32"),
        (broken(age=lambda a: a.astype(np.int64)), "age must be uint16"),
        (broken(terrain=lambda a: a * np.float32(np.nan)), "not a finite number"),
        (broken(terrain=lambda a: a + np.float32(900)), "below its terrain"),
        (broken(status=lambda a: a * np.uint8(0)), "neither known nor unknown"),
        (with_runs(lambda runs: runs[::-1]), "not sorted"),
        (with_runs(lambda runs: runs[1:]), "has an end below"),
        (with_runs(lambda runs: runs[:-1]), "does not end at its surface"),
        (put("ix", -1, 90), "outside the tile"),
        (put("kind", 0, 9), "of no kind"),
        (put("to_m", 0, np.inf), "or nowhere"),
        (put("from_m", 1, 9e9), "ends below its beginning"),
        (with_runs(lambda runs: runs.astype(MAP_RUN_DTYPE)), "must be a table"),
    ],
)
def test_a_tile_that_contradicts_itself_is_not_written(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        write_tile(tmp_path, meta_of(SMALL), (0, 0), change(content()))
    assert not (tmp_path / "tiles").exists()


# --- what other programs see ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Two tiles side by side, one of them with a wire."""
    layers = made_layers((600, 60))
    runs = wire_runs(layers, range(530, 560), 30)
    return made_map(tmp_path_factory.mktemp("wide") / "city", layers, runs, cell=2.0)


def test_a_tile_is_a_cloud_optimised_geotiff_that_says_where_and_what_it_is(wide):
    folder = next((wide.path / "tiles").glob("1_0-*"))
    for name, dtype in LAYERS.items():
        with rasterio.open(folder / f"{name}.tif") as raster:
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert (raster.dtypes, raster.nodata, raster.descriptions) == ((dtype,), None, (name,))
            assert dtype != "float32" or raster.units == ("metre",)
            assert tuple(raster.bounds) == (WEST + 1024, SOUTH, WEST + 1200, SOUTH + 120)
            crs = pyproj.CRS.from_wkt(raster.crs.to_wkt())
            assert [part.to_authority() for part in crs.sub_crs_list] == [("EPSG", "6675"), ("EPSG", "6695")]


def test_the_mosaics_are_the_whole_map_for_qgis(wide):
    for name in LAYERS:
        text = (wide.path / f"{name}.vrt").read_text()
        assert str(wide.path) not in text
        with rasterio.open(wide.path / f"{name}.vrt") as mosaic:
            assert tuple(mosaic.bounds) == (WEST, SOUTH, WEST + 1200, SOUTH + 120)
            assert mosaic.crs.to_wkt() == compound_crs("EPSG:6675", "JGD2011").to_wkt()
            np.testing.assert_array_equal(mosaic.read(1)[::-1].T, wide.layer(name, 0, 0, 600, 60))


def test_xarray_opens_the_voxels(wide):
    folder = next((wide.path / "tiles").glob("1_0-*"))
    with xarray.open_zarr(folder / "voxels.zarr") as voxels:
        assert dict(voxels.sizes) == {"run": 60}
        assert voxels.attrs["vertical_datum"] == "JGD2011"
        assert voxels["kind"].attrs["flag_meanings"] == "base seen suspect entered"
        assert voxels["to_m"].attrs["units"] == "m"
        for name in RUN_DTYPE.names:
            np.testing.assert_array_equal(voxels[name].values, wide.tile_content((1, 0)).runs[name])


@pytest.mark.parametrize(
    ("vertical", "parts"),
    [("NAP", ["EPSG:28992", "EPSG:5709"]), ("NAVD88", ["EPSG:28992", "EPSG:5703"]), ("WGS84", ["EPSG:28992"])],
)
@pytest.mark.parametrize("as_wkt", [False, True])
def test_the_crs_of_the_rasters(vertical, parts, as_wkt):
    horizontal = pyproj.CRS("EPSG:28992").to_wkt() if as_wkt else "EPSG:28992"
    crs = pyproj.CRS.from_wkt(compound_crs(horizontal, vertical).to_wkt())
    found = crs.sub_crs_list or [crs]
    assert [":".join(part.to_authority()) for part in found] == parts


# --- places --------------------------------------------------------------------------------------------------


def test_where_a_map_may_be_built(tmp_path):
    check_place(tmp_path / "new", replace=False)
    with pytest.raises(MapError, match="directory above it does not exist"):
        check_place(tmp_path / "no" / "new", replace=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(MapError, match="a file stands there"):
        check_place(tmp_path / "file", replace=True)
    made_map(tmp_path / "city", small())
    check_place(tmp_path / "city", replace=True)
    with pytest.raises(MapError, match="a map stands there already"):
        check_place(tmp_path / "city", replace=False)


@pytest.mark.parametrize("names", [["notes.txt"], ["tiles"], [".lock", "tiles", "notes.txt"], ["versions", "x.vrt"]])
def test_a_directory_of_somebody_else_is_left_alone(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(MapError, match="not empty and not a map"), MapWriter(tmp_path, replace=True):
        pass
    assert left_in(tmp_path) == set(names)


def test_what_a_killed_first_build_left_is_built_over(tmp_path):
    out = tmp_path / "city"
    for name in ("tiles/3_4-0123456789abcdef", "tiles/.partial-77", ".scratch-1-x/state", "versions"):
        (out / name).mkdir(parents=True)
    for name in (".lock", "terrain.vrt", ".map.json.partial-9", "versions/.0.json.partial-8"):
        (out / name).write_text("")
    made = made_map(out, small())
    made.verify()
    assert left_in(out) == {".lock", "map.json", "tiles", "versions", *(f"{name}.vrt" for name in LAYERS)}
    assert len(left_in(out / "tiles")) == len(left_in(out / "versions")) == 1


def test_one_writer_at_a_time(tmp_path):
    out = tmp_path / "city"
    with MapWriter(out) as writer:
        assert writer.scratch.parent == out
        with pytest.raises(MapError, match="another build or update is writing") as caught, MapWriter(out):
            pass
        assert caught.value.mend
        assert writer.scratch.is_dir()
    assert not out.exists()
    made_map(out, small())


def failing_build(out: Path, error: BaseException) -> None:
    with MapWriter(out, replace=True) as writer:
        entries_of(writer.out, meta_of(SMALL), small(5))
        raise error


def test_a_build_that_fails_leaves_no_map(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        failing_build(tmp_path / "new", KeyboardInterrupt())
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuntimeError, match="out of points"):
        failing_build(tmp_path / "empty", RuntimeError("out of points"))
    assert left_in(tmp_path / "empty") == set()


def test_a_build_that_fails_leaves_the_map_that_stood_there(tmp_path):
    first = made_map(tmp_path / "city", small())
    tiles = left_in(first.path / "tiles")
    with pytest.raises(RuntimeError, match="out of points"):
        failing_build(first.path, RuntimeError("out of points"))
    CityMap.open(first.path).verify()
    assert left_in(first.path / "tiles") == tiles
    assert not list(first.path.glob(".scratch-*"))


def test_an_update_needs_a_map(tmp_path):
    with pytest.raises(MapError, match="there is no such map"), MapWriter(tmp_path / "city", update=True):
        pass
    assert not (tmp_path / "city").exists()
    with pytest.raises(MapError, match=r"holds no map\.json"), MapWriter(tmp_path, update=True):
        pass
    assert not left_in(tmp_path)


def test_a_disk_that_refuses(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    first = made_map(tmp_path / "city", small())
    monkeypatch.setattr(store, "_sync_tree", full)
    with pytest.raises(MapError, match="No space left"):
        made_map(first.path, small(3))
    monkeypatch.undo()
    CityMap.open(first.path).verify()
    assert len(left_in(first.path / "tiles")) == 1


# --- versions ------------------------------------------------------------------------------------------------


def test_versions_lie_beside_each_other(tmp_path):
    out = tmp_path / "city"
    first = made_map(out, small())
    second = made_map(out, small(4), survey_dates={"oldest": "2020-01-02", "newest": "2026-05-01"})
    assert second.meta["parent"] == first.version
    assert [row["version"] for row in second.versions()] == [second.version, first.version]
    assert [row["current"] for row in first.versions()] == [True, False]
    assert second.versions()[0]["survey_dates"]["newest"] == "2026-05-01"
    for found in (CityMap.open(out, first.version), CityMap.open(f"{out}@{first.version[:6]}")):
        assert found.version == first.version
        found.verify()
    CityMap.open(out).verify()


def test_the_same_again_keeps_its_place_and_a_return_is_told(tmp_path):
    out = tmp_path / "city"
    first, second = made_map(out, small()), made_map(out, small(4))
    again = made_map(out, small(4), notes=["again"])
    assert (again.version, again.meta["parent"], again.meta["notes"]) == (second.version, first.version, ["again"])
    back = made_map(out, small())
    assert back.version == first.version
    assert [row["version"] for row in back.versions()] == [first.version, second.version]


def test_versions_share_the_tiles_that_are_alike(tmp_path):
    layers = made_layers((600, 20))
    made_map(tmp_path / "city", layers)
    layers["surface"][550, 10] += 9
    made_map(tmp_path / "city", layers)
    assert sorted(name.split("-")[0] for name in left_in(tmp_path / "city" / "tiles")) == ["0_0", "1_0", "1_0"]


def test_a_damaged_map_can_be_replaced(tmp_path):
    first = made_map(tmp_path / "city", small())
    (first.path / "map.json").write_text("{")
    second = made_map(first.path, small(2))
    second.verify()
    assert second.meta["parent"] is None


def test_what_is_no_description_of_a_map_is_not_published(tmp_path):
    first = made_map(tmp_path / "city", small())
    with MapWriter(first.path, replace=True) as writer:
        entries = entries_of(writer.out, meta_of(SMALL), small(2))
        for change, words in (
            ({"tiles": []}, "must name each"),
            ({"tiles": entries * 2}, "must name each"),
            ({"counts": None}, "counts: missing or malformed"),
            ({"tiles": [entries[0] | {"hash": "0" * 64}]}, "was never written"),
        ):
            with pytest.raises(MapError, match=words):
                writer.publish(meta_of(SMALL) | {"tiles": entries} | change)
    assert CityMap.open(first.path).version == first.version


def test_the_bytes_of_a_map_depend_on_nothing_else(tmp_path):
    one, other = made_map(tmp_path / "one", small()), made_map(tmp_path / "other", small())
    assert (one.path / "map.json").read_bytes() == (other.path / "map.json").read_bytes()


@pytest.mark.parametrize("step", range(8))
def test_a_publication_that_stops_anywhere_leaves_the_old_or_the_new(tmp_path, monkeypatch, step):
    first = made_map(tmp_path / "city", small())
    done, write = [], store._write_whole

    def stopping(file, text, **how):
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(file.name)
        write(file, text, **how)

    monkeypatch.setattr(store, "_write_whole", stopping)
    if step < 7:
        with pytest.raises(KeyboardInterrupt):
            made_map(first.path, small(6))
    else:
        assert made_map(first.path, small(6)).version != first.version
        assert done[-1] == "map.json"
    found = CityMap.open(first.path)
    found.verify()
    assert (found.version == first.version) == (step < 7)
    for row in found.versions():
        CityMap.open(first.path, row["version"]).verify()


# --- kill -9 -------------------------------------------------------------------------------------------------

_WRITER = """
import itertools, os, signal, sys
from tests.mapping.made_maps import made_layers, made_map, wire_runs

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    start = int(line)
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    for number in itertools.count(start):
        layers = made_layers((530, 24))
        layers["surface"] += number % 7
        made_map(sys.argv[1], layers, wire_runs(layers, [5, 520], 3) if number % 2 else None, counts={"number": number})
"""


def killed_at_random(out: Path, times: int) -> None:
    """Let a process publish version after version, kill it at random moments, look at what is left each time.

    Moments are spread over three publications, however long one takes on this machine, and later ones until two
    versions have been seen.
    """
    rng = np.random.default_rng(7)
    layers = made_layers((530, 24))
    began = time.perf_counter()
    made_map(out.with_name("timed"), layers, wire_runs(layers, [5, 520], 3))
    longest_s = 3 * (time.perf_counter() - began)
    seen: set[str] = set()
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(out)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writers:
        number = 0
        while number < times or len(seen) < 2:
            writers.stdin.write(f"{number}\n")
            writers.stdin.flush()
            child = int(writers.stdout.readline())
            time.sleep(rng.uniform(0, longest_s * max(1.0, number / times)))
            os.kill(child, signal.SIGKILL)
            while Path(f"/proc/{child}").exists():
                time.sleep(0.002)
            number += 1
            if not (out / "map.json").exists():
                assert not seen
                check_place(out, replace=False)
                continue
            found = CityMap.open(out)
            found.verify()
            rise = found.layer("surface", 0, 0, 530, 24)[0, 0] - made_layers((530, 24))["surface"][0, 0]
            assert rise == found.meta["counts"]["number"] % 7
            seen.add(found.version)
        writers.stdin.close()
    last = made_map(out, small())
    assert not list(out.glob(".scratch-*"))
    for row in last.versions():
        CityMap.open(out, row["version"]).verify()


def test_killed_at_any_moment_a_map_is_the_old_or_the_new(tmp_path):
    killed_at_random(tmp_path / "city", 8)


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path):
    killed_at_random(tmp_path / "city", 100)
