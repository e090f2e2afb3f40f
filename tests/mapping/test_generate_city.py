"""The generators of large surveys, at a small size: what their docstrings promise, and how benchmarks take figures."""

import importlib.util
import sys

import laspy
import numpy as np
import pytest
import rasterio

from benchmarks import map_figures
from tests.repo import SAMPLE


def load(name):
    spec = importlib.util.spec_from_file_location(name, SAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def city():
    return load("generate_city")


@pytest.fixture(scope="module")
def made(city, tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    return folder, city.generate(folder, seed=3, width_km=2.4, height_km=3.0)


def read(folder, name):
    with rasterio.open(folder / name) as raster:
        return raster.read(1), raster.profile, raster.crs


def test_a_city_is_a_coast_a_plain_with_houses_and_mountains(city, made):
    folder, facts = made
    terrain, profile, crs = read(folder, "dtm.tif")
    surface, other, _ = read(folder, "dsm.tif")
    assert terrain.shape == surface.shape == (1500, 1200)
    assert profile["transform"] == other["transform"]
    assert (profile["transform"].a, profile["transform"].e) == (2.0, -2.0)
    assert crs.to_wkt().count("VERT")
    assert "6675" in crs.to_wkt()
    assert "6695" in crs.to_wkt()
    seen = surface != city.NODATA
    assert facts.cells == surface.size
    assert facts.no_data == int((~seen).sum())
    assert 0.14 <= facts.no_data_share <= 0.20
    assert (terrain != city.NODATA).all()
    assert terrain[:100, :100].max() == 0, "the sea lies in the north-west"
    assert not seen[:100, :100].any()
    relief = 1300 * (2.4 * 3.0 / 320) ** 0.5  # as small as the city
    assert facts.highest_m == terrain.max() == pytest.approx(relief, rel=0.03)
    assert terrain[-300:, -240:].mean() > 0.5 * relief
    above = (surface - terrain)[seen]
    assert above.min() > -0.2, "the surface lies on the terrain, but for its noise"
    assert 300 < facts.buildings < 5000
    assert (above > 25).sum() > 100, "towers stand in the town"


def test_the_same_seed_gives_the_same_city_and_another_another(city, made, tmp_path):
    again = city.generate(tmp_path, seed=3, width_km=2.4, height_km=3.0)
    assert again == made[1]
    for name in ("dsm.tif", "dtm.tif"):
        assert (tmp_path / name).read_bytes() == (made[0] / name).read_bytes()
    other = city.draw_city(4, 2.4, 3.0)
    _, surface, _, _ = next(city.bands(other))
    assert not np.array_equal(np.nan_to_num(surface), read(made[0], "dsm.tif")[0][: len(surface)])


def test_bands_leave_no_seam(city, made, monkeypatch):
    """Bands of another height give the same terrain, roofs and woods; only the noise is drawn by band."""
    terrain, surface = read(made[0], "dtm.tif")[0], read(made[0], "dsm.tif")[0]
    monkeypatch.setattr(city, "BAND", 333)
    for first, seen, low, _ in city.bands(city.draw_city(3, 2.4, 3.0)):
        rows = slice(first, first + len(low))
        np.testing.assert_array_equal(low, terrain[rows])
        assert np.array_equal(np.isnan(seen), surface[rows] == city.NODATA)
        assert np.nanmax(np.abs(seen - surface[rows])[~np.isnan(seen)]) < 0.42


def test_tiles_are_shifted_copies_that_laspy_reads(tmp_path):
    tiles = load("generate_tiles")
    rng = np.random.default_rng(1)
    header = laspy.LasHeader(point_format=1, version="1.2")
    header.scales, header.offsets = [0.01, 0.01, 0.001], [0, 0, 0]
    source = laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(500, header=header))
    source.x, source.y = rng.uniform(84800, 84899.5, 500), rng.uniform(447400, 447449.5, 500)
    source.z = rng.uniform(0, 20, 500)
    source.classification[:] = 2
    source.write(tmp_path / "small.laz")
    small = laspy.read(tmp_path / "small.laz")

    assert tiles.generate([tmp_path / "small.laz"], tmp_path / "tiles", points=11_000, tile_points=2_000) == 12_000
    found = sorted((tmp_path / "tiles").glob("tile_*.laz"))
    assert len(found) == 6
    clouds = [laspy.read(path) for path in found]
    places = set()
    for cloud in clouds:
        assert len(cloud.points) == 2000
        assert (cloud.classification == 2).all()
        np.testing.assert_allclose(cloud.header.mins, cloud.xyz.min(axis=0), atol=1e-6)
        np.testing.assert_allclose(cloud.header.maxs, cloud.xyz.max(axis=0), atol=1e-6)
        step = np.round(cloud.xyz[:500].min(axis=0) - small.xyz.min(axis=0), 6)
        places.add(tuple(step.tolist()))
        np.testing.assert_allclose(cloud.xyz[:500] - step, small.xyz, atol=1e-6)
        assert step[2] == 0
        assert (step == np.round(step)).all()
    assert len(places) == 6
    boxes = [(c.header.mins, c.header.maxs) for c in clouds]
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert (high[:2] < other_low[:2]).any() or (other_high[:2] < low[:2]).any(), "tiles do not overlap"


def test_tiles_refuse_clouds_of_two_formats(tmp_path):
    tiles = load("generate_tiles")
    for name, scale in (("a", 0.01), ("b", 0.001)):
        header = laspy.LasHeader(point_format=1, version="1.2")
        header.scales = [scale] * 3
        laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(3, header=header)).write(tmp_path / f"{name}.laz")
    with pytest.raises(ValueError, match="differ in point format or scale"):
        tiles.generate([tmp_path / "a.laz", tmp_path / "b.laz"], tmp_path / "tiles", points=10)


def allocate(megabytes):
    """What the test below runs in a child: touch so much memory, then let it go."""
    held = np.ones(megabytes * 1_000_000, np.uint8)
    return int(held[::4096].size > 0)


def test_a_child_is_measured_at_its_peak():
    did = map_figures.in_child("tests.mapping.test_generate_city:allocate", megabytes=150)
    assert did.result == 1
    assert did.peak_mb > did.imports_mb + 140
    with pytest.raises(RuntimeError, match="exit code"):
        map_figures.in_child("tests.mapping.test_generate_city:allocate", megabytes=-1)


def test_a_section_replaces_the_one_of_its_name_and_no_other(tmp_path):
    document = tmp_path / "figures.md"
    map_figures.write_section("one", "first", document)
    map_figures.write_section("two", "second", document)
    map_figures.write_section("one", "third", document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# City maps")
    assert "first" not in text
    assert text.count("third") == text.count("second") == 1
    assert text.index("third") < text.index("second")
