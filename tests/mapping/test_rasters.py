"""Rasters by window: every cell that a raster cell touches gets its height, whatever grid, CRS or unit the file has."""

import contextlib
import datetime
import threading

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning

from tests.mapping.survey_files import SOUTH, WEST, plain, write_tif
from utm.errors import DatumError, InputError, SurveyError
from utm.frames import LocalFrame, geoid_m
from utm.mapping.ingest import rasters
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.placing import Placing
from utm.mapping.ingest.rasters import inspect_raster, read_window
from utm.model import Datum

FRAME = LocalFrame("EPSG:6675", WEST, SOUTH, Datum.JGD2011)
FT_US = 1200 / 3937


def look(path, **options):
    return inspect_raster(path, **({"role": "surface", "crs": None, "vertical": None} | options))


def window(source, grid=None, box=None, frame=FRAME):
    grid = grid or Grid(frame.origin_x, frame.origin_y, 1.0, 120, 80)
    return read_window(source, Placing(source.stated, frame), grid, box or (0, 0, grid.nx, grid.ny))


def slow_window(path, placing, grid, grown_m=0.0):
    """Each cell placed by its four corners, each map cell asked whether the rectangle around them overlaps it."""
    highest, lowest = np.full(grid.shape, -np.inf), np.full(grid.shape, np.inf)
    with rasterio.open(path) as raster:
        t, values = raster.transform, raster.read(1, masked=True)
        for r, c in np.argwhere(~np.ma.getmaskarray(values)):
            corners = [(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for x in (c, c + 1) for y in (r, r + 1)]
            placed = [placing.place(x, y, float(values[r, c])) for x, y in corners]
            east, north, up = (np.array([float(p[k]) for p in placed]) for k in range(3))
            e0, e1 = (east.min() - grown_m) / grid.cell_m, (east.max() + grown_m) / grid.cell_m
            n0, n1 = (north.min() - grown_m) / grid.cell_m, (north.max() + grown_m) / grid.cell_m
            for ix in range(grid.nx):
                for iy in range(grid.ny):
                    if min(e1, ix + 1) - max(e0, ix) > 1e-6 and min(n1, iy + 1) - max(n0, iy) > 1e-6:
                        highest[ix, iy] = max(highest[ix, iy], up.max())
                        lowest[ix, iy] = min(lowest[ix, iy], up.min())
    return highest, lowest


def bumps(nx, ny, seed=0, holes=0.2):
    rng = np.random.default_rng(seed)
    heights = (np.round(rng.normal(20, 5, (nx, ny)) * 16) / 16).astype(np.float32)
    heights[rng.random((nx, ny)) < holes] = -9999
    return heights


# ---- headers


def test_what_a_raster_says_of_itself(tmp_path):
    path = write_tif(tmp_path / "dsm.tif", plain(), cell=2.0)
    source = look(path, error_m=0.5)
    assert (source.kind, source.role, source.stated.crs) == ("raster", "surface", "EPSG:6675")
    assert source.bounds == (WEST, SOUTH, WEST + 240, SOUTH + 160)
    assert (source.resolution_m, source.error_m, source.surveyed) == (2.0, 0.5, None)
    assert len(source.sha256) == 64


def test_the_day_of_the_survey(tmp_path):
    path = write_tif(tmp_path / "dsm.tif", plain())
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(TIFFTAG_DATETIME="2024:05:17 10:11:12")
    assert look(path).surveyed == datetime.date(2024, 5, 17)
    assert look(path, surveyed=datetime.date(2023, 1, 2)).surveyed == datetime.date(2023, 1, 2)
    for tag in ("yesterday", "0000:00:00 00:00:00", "2024:13:01 00:00:00"):
        with rasterio.open(path, "r+") as raster:
            raster.update_tags(TIFFTAG_DATETIME=tag)
        assert look(path).surveyed is None


def test_cells_are_measured_in_metres(tmp_path):
    feet = write_tif(tmp_path / "feet.tif", plain(), crs="EPSG:2225+6360", cell=3.0, west=6.5e6, south=2.3e6)
    assert look(feet).resolution_m == pytest.approx(3 * FT_US, rel=1e-9)
    assert look(feet).stated.vertical_unit_m == pytest.approx(FT_US, rel=1e-9)
    # A second of arc is 30.82 m along the meridian at 36.3 N, and 24.92 m along the parallel at 36.39 N (GRS80)
    second = 1 / 3600
    degrees = write_tif(tmp_path / "degrees.tif", plain(), crs="EPSG:6697", cell=second, west=136.3, south=36.3)
    assert look(degrees).resolution_m == pytest.approx(30.82, abs=0.01)
    oblong = rasterio.Affine(second * 2, 0, 136.3, 0, -second, 36.4)
    wide = write_tif(tmp_path / "wide.tif", plain(), crs="EPSG:6697", transform=oblong)
    assert look(wide).resolution_m == pytest.approx(49.84, abs=0.01)
    turned = rasterio.Affine.translation(WEST, SOUTH) * rasterio.Affine.rotation(30) * rasterio.Affine.scale(2, -1)
    aslant = look(write_tif(tmp_path / "aslant.tif", plain(), transform=turned))
    assert aslant.resolution_m == pytest.approx(2.0)
    # 120 x 2 m along 30 degrees, 80 x 1 m across to the right
    assert aslant.bounds == pytest.approx(
        (WEST, SOUTH - 80 * np.cos(np.pi / 6), WEST + 240 * np.cos(np.pi / 6) + 40, SOUTH + 120)
    )


def test_rasters_that_are_no_height_models(tmp_path):
    photo = write_tif(tmp_path / "photo.tif", np.zeros((3, 40, 40), np.uint8), nodata=None)
    with pytest.raises(SurveyError, match=r"bands: a height model has one band \(got 3\)"):
        look(photo)
    waves = write_tif(tmp_path / "waves.tif", np.zeros((40, 40), np.complex64), nodata=None)
    with pytest.raises(SurveyError, match="dtype: heights must be real numbers"):
        look(waves)
    with pytest.warns(NotGeoreferencedWarning):
        nowhere = write_tif(tmp_path / "nowhere.tif", plain(), transform=rasterio.Affine.identity(), crs=None)
    with pytest.raises(SurveyError, match="transform: the raster is not placed on the ground"):
        look(nowhere, crs="EPSG:6675", vertical="JGD2011")
    fathoms = write_tif(tmp_path / "fathoms.tif", plain(), units="fathom")
    with pytest.raises(SurveyError, match=r"band unit: heights must be in metres or feet \(got 'fathom'\)"):
        look(fathoms)


def test_the_bands_unit_counts(tmp_path):
    feet = write_tif(tmp_path / "feet.tif", plain(), crs="EPSG:6675", units="ft")
    assert look(feet, vertical="JGD2011").stated.vertical_unit_m == 0.3048
    highest, _ = window(look(feet, vertical="JGD2011"))
    np.testing.assert_allclose(highest, plain() * 0.3048, rtol=1e-6)
    with pytest.raises(DatumError, match=r"a unit of height is said to be 1 m and 0\.3048 m"):
        look(feet, vertical="JGD2011:ft", crs="EPSG:6675+6695")
    assert look(write_tif(tmp_path / "us.tif", plain(), crs="EPSG:6675+6360")).stated.vertical is Datum.NAVD88


# ---- windows


def test_a_nested_raster_comes_as_it_is(tmp_path):
    heights = bumps(120, 80)
    source = look(write_tif(tmp_path / "dsm.tif", heights))
    highest, lowest = window(source)
    known = heights > -9999
    np.testing.assert_array_equal(highest, np.where(known, heights, -np.inf))
    np.testing.assert_array_equal(lowest, np.where(known, heights, np.inf))
    assert highest.dtype == lowest.dtype == np.float32
    # South-up files mean the same
    flipped = rasterio.Affine(1, 0, WEST, 0, 1, SOUTH)
    upside = look(write_tif(tmp_path / "upside.tif", heights[:, ::-1], transform=flipped))
    np.testing.assert_array_equal(window(upside)[0], highest)


@pytest.mark.nojit
@settings(max_examples=25, deadline=None)
@given(
    step=st.tuples(st.sampled_from([0.5, 0.7, 1.0, 1.75, 3.0]), st.sampled_from([0.5, 1.0, 2.3])),
    corner=st.tuples(st.floats(-6, 12), st.floats(-6, 12)),
    angle=st.sampled_from([0.0, 0.0, 90.0, 180.0, 17.0, 271.3]),
    cell=st.sampled_from([1.0, 1.5, 2.0]),
    seed=st.integers(0, 99),
)
def test_every_cell_that_is_touched_gets_the_height(tmp_path_factory, step, corner, angle, cell, seed):
    path = tmp_path_factory.mktemp("r") / "r.tif"
    transform = (
        rasterio.Affine.translation(WEST + corner[0], SOUTH + corner[1])
        * rasterio.Affine.rotation(angle)
        * rasterio.Affine.scale(step[0], -step[1])
    )
    source = look(write_tif(path, bumps(7, 6, seed), transform=transform))
    grid = Grid(WEST, SOUTH, cell, 9, 8)
    highest, lowest = window(source, grid)
    slow_highest, slow_lowest = slow_window(path, Placing(source.stated, FRAME), grid)
    np.testing.assert_array_equal(highest, slow_highest.astype(np.float32))
    np.testing.assert_array_equal(lowest, slow_lowest.astype(np.float32))
    # and the same piece by piece
    for box in ((0, 0, 4, 3), (4, 0, 9, 3), (0, 3, 9, 8), (5, 5, 6, 6)):
        part = window(source, grid, box)
        np.testing.assert_array_equal(part[0], highest[box[0] : box[2], box[1] : box[3]])
        np.testing.assert_array_equal(part[1], lowest[box[0] : box[2], box[1] : box[3]])


SECOND = 1 / 3600
OTHERS = {
    "degrees": ("EPSG:6697", (136.309355, 36.29978), (0.05 * SECOND, 0.04 * SECOND), 1.0),
    "another zone": ("EPSG:32653+6695", (617566.0, 4017998.0), (1.3, 1.3), 1.0),
    "another datum of heights": ("EPSG:6675+5773", (WEST + 2, SOUTH + 2), (1.5, 1.5), 1.0),
    "feet up": ("EPSG:6675+8228", (WEST + 2, SOUTH + 2), (1.5, 1.5), 0.3048),
    "the ellipsoid": ("EPSG:4979", (136.309355, 36.29978), (0.05 * SECOND, 0.04 * SECOND), 1.0),
    "an arc second": ("EPSG:6697", (136.309, 36.2995), (SECOND, SECOND), 1.0),
}


@pytest.mark.parametrize("name", OTHERS)
def test_rasters_of_another_kind_lie_where_their_corners_lie(tmp_path, name):
    crs, (west, south), (dx, dy), unit_m = OTHERS[name]
    frame = LocalFrame("EPSG:6675", WEST, SOUTH, Datum.NAVD88 if unit_m != 1 else Datum.JGD2011)
    path = write_tif(
        tmp_path / "r.tif", bumps(16, 14), crs=crs, transform=rasterio.Affine(dx, 0, west, 0, -dy, south + 14 * dy)
    )
    source = look(path)
    assert source.stated.vertical_unit_m == unit_m
    grid = Grid(WEST, SOUTH, 2.0, 14, 12)
    placing = Placing(source.stated, frame)
    highest, lowest = read_window(source, placing, grid, (0, 0, 14, 12))
    least, most = slow_window(path, placing, grid, 0.0), slow_window(path, placing, grid, 0.003)
    # Never less than the corners say, and more only within 3 mm on the ground and in height
    assert (highest >= least[0]).all()
    assert (lowest <= least[1]).all()
    assert np.isfinite(highest).sum() > 50
    assert (highest <= most[0] + 0.003).all()
    assert (lowest >= most[1] - 0.003).all()
    for box in ((0, 0, 7, 12), (7, 0, 14, 5), (3, 4, 4, 5)):
        part = read_window(source, placing, grid, box)
        np.testing.assert_array_equal(part[0], highest[box[0] : box[2], box[1] : box[3]])
        np.testing.assert_array_equal(part[1], lowest[box[0] : box[2], box[1] : box[3]])


def test_a_wide_raster_in_degrees_strays_by_less_than_its_cells_are_grown(tmp_path):
    # 1,500 x 1,200 cells of 2 m or so: placed by a lattice, held against every corner placed by itself
    step = 0.08 * SECOND
    place = rasterio.Affine(step, 0, 136.3, 0, -step, 36.3)
    source = look(
        write_tif(tmp_path / "wide.tif", np.zeros((1500, 1200), np.float32), crs="EPSG:6697", transform=place)
    )
    placing = Placing(source.stated, LocalFrame("EPSG:6675", WEST, SOUTH, Datum.AMSL))
    lattice = rasters.Lattice(placing, place, 1500, 1200, source.resolution_m)
    assert lattice.stride > 10
    c, r = np.meshgrid(np.arange(1501.0), np.arange(1201.0))
    exact = placing.place(place.c + step * c, place.f - step * r, np.zeros(c.shape))
    near = lattice.corners(slice(0, 1200), slice(0, 1500))
    assert max(np.abs(near[0] - exact[0]).max(), np.abs(near[1] - exact[1]).max()) < lattice.off_m / 5
    assert np.abs(near[2] - exact[2]).max() < lattice.off_up_m / 5


def test_heights_above_another_datum_come_out_right(tmp_path):
    # EGM96 36.70 m and GSIGEO2011 37.28 m near Kaga
    source = look(
        write_tif(tmp_path / "r.tif", np.full((40, 40), 100, np.float32), crs="EPSG:6675+5773", west=-77850.0)
    )
    highest, lowest = window(source, frame=LocalFrame("EPSG:6675", -77850.0, SOUTH, Datum.JGD2011))
    assert highest[:40, :40] == pytest.approx(100 + 36.70 - 37.28, abs=0.01)
    expected = 100 + geoid_m(Datum.AMSL, 136.3, 36.3) - geoid_m(Datum.JGD2011, 136.3, 36.3)
    assert (lowest[5, 30], highest[5, 30]) == (pytest.approx(expected, abs=0.003), pytest.approx(expected, abs=0.003))


def test_heights_that_float32_cannot_hold_are_rounded_outwards(tmp_path):
    heights = np.full((10, 10), 2_000_000_123, np.int32)
    source = look(write_tif(tmp_path / "r.tif", heights, scale=1e-6, nodata=-1, crs="EPSG:6675"), vertical="JGD2011")
    highest, lowest = window(source)
    assert float(highest[0, 0]) > 2000.000123 > float(lowest[0, 0])
    assert highest[0, 0] - lowest[0, 0] < 2e-4


def test_nodata_by_value_by_nan_and_by_mask(tmp_path):
    heights = bumps(40, 30, holes=0.45)
    by_nan = np.where(heights == -9999, np.float32(np.nan), heights)
    known = np.isfinite(by_nan)
    by_value = window(look(write_tif(tmp_path / "value.tif", heights)))[0][:40, :30]
    np.testing.assert_array_equal(np.isfinite(by_value), known)
    for nodata in (np.nan, None):
        path = write_tif(tmp_path / f"nan{nodata}.tif", by_nan, nodata=nodata)
        np.testing.assert_array_equal(window(look(path))[0][:40, :30], by_value)
    masked = write_tif(tmp_path / "mask.tif", np.where(known, heights, np.float32(7)), nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as raster:
        raster.write_mask(known.T[::-1])
    np.testing.assert_array_equal(window(look(masked))[0][:40, :30], by_value)


@pytest.mark.parametrize(("value", "units"), [(-32768.0, None), (1e6, None), (3.4e38, "ft")])
def test_heights_that_no_ground_has(tmp_path, value, units):
    heights = plain()
    heights[3, 3] = value
    source = look(
        write_tif(tmp_path / "odd.tif", heights, nodata=None, crs="EPSG:6675", units=units), vertical="JGD2011"
    )
    with pytest.raises(SurveyError, match=r"odd\.tif: band 1: holds a height that no ground has .* -a_nodata"):
        window(source)


def test_a_mountain_in_feet_is_no_error(tmp_path):
    heights = np.full((10, 10), 14_505, np.float32)  # Mount Whitney
    source = look(write_tif(tmp_path / "ft.tif", heights, crs="EPSG:6675+6360"))
    highest, _ = window(source, frame=LocalFrame("EPSG:6675", WEST, SOUTH, Datum.NAVD88))
    assert highest[0, 0] == pytest.approx(4421.1, abs=0.1)


def test_no_geoid_no_heights(tmp_path):
    source = look(write_tif(tmp_path / "nap.tif", plain(), crs="EPSG:6675+5709"))
    with pytest.raises(DatumError, match=r"nap\.tif: the NLGEO2018 geoid grid"):
        window(source)


def test_outside_of_the_raster_there_is_nothing(tmp_path):
    source = look(write_tif(tmp_path / "r.tif", plain()))
    grid = Grid(WEST, SOUTH, 1.0, 2000, 2000)
    for box in ((500, 500, 600, 600), (120, 0, 130, 80), (0, 80, 120, 90)):
        highest, lowest = window(source, grid, box)
        assert np.isneginf(highest).all()
        assert np.isposinf(lowest).all()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_raster_cut_short_is_one_clear_error(tmp_path, share):
    whole = write_tif(tmp_path / "whole.tif", bumps(120, 80), compress="deflate").read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SurveyError) as caught:
        window(look(cut))
    assert str(caught.value).startswith(f"{cut}: not a readable GeoTIFF")


def test_rasters_with_garbled_bytes_never_end_in_a_traceback(tmp_path):
    whole = write_tif(tmp_path / "whole.tif", bumps(60, 50), compress="deflate").read_bytes()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        for place in rng.integers(0, len(data) if seed % 2 else 600, 10):
            data[place] = rng.integers(0, 256)
        bad = tmp_path / f"{seed}.tif"
        bad.write_bytes(bytes(data))
        with contextlib.suppress(InputError):  # some bytes may change without harm
            window(look(bad))


# ---- open files


def test_a_striped_raster_is_opened_once_and_its_windows_agree(tmp_path, monkeypatch):
    heights = bumps(1300, 700)
    source = look(write_tif(tmp_path / "striped.tif", heights, compress="deflate", blockysize=16))
    opened = []
    really = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *args, **more: opened.append(args) or really(*args, **more))
    grid = Grid(WEST, SOUTH, 1.0, 1300, 700)
    for tile in grid.tiles():
        box = grid.box(tile)
        part = heights[box[0] : box[2], box[1] : box[3]]
        np.testing.assert_array_equal(window(source, grid, box)[0], np.where(part > -9999, part, -np.inf))
    assert len(opened) == 1


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "r.tif"
    source = look(write_tif(path, plain()))
    assert window(source)[0][0, 0] == 10
    path.unlink()
    source = look(write_tif(path, plain() + np.float32(3), compress="deflate"))
    assert window(source)[0][0, 0] == 13


def test_few_rasters_stay_open_and_threads_close_theirs(tmp_path):
    many = [look(write_tif(tmp_path / f"{k}.tif", plain(6, 5) + np.float32(k))) for k in range(12)]
    seen = []

    def work():
        assert not rasters._thread.rasters
        seen.extend(float(window(source)[0][0, 0]) for source in many)
        seen.append(len(rasters._thread.rasters))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [*(10.0 + k for k in range(12)), 8]
