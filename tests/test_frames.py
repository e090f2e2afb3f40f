"""Geodesy against absolute, published figures. A round trip proves nothing: it also passes when both ways are wrong."""

import os
import struct
import subprocess
import sys

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utm.errors import DatumError, InputError, MapError
from utm.frames import (
    HEIGHT_UNITS,
    LocalFrame,
    check_lonlat,
    geoid_m,
    geoid_name,
    height_reference,
    split_crs,
    split_reference,
    vertical_datum,
)
from utm.model import Datum, Waypoint

KAGA = (136.3, 36.3)
#: Datums whose geoid comes with what this package needs anyway.
AT_HAND = [Datum.AMSL, Datum.WGS84, Datum.JGD2011, Datum.JGD2024]


@pytest.fixture(scope="module")
def frame():
    return LocalFrame("EPSG:6675", -79000.0, 32600.0, Datum.JGD2011)


# ---- geoids


def test_geoids_at_kaga():
    assert geoid_m(Datum.JGD2011, *KAGA) == pytest.approx(37.28, abs=0.01)
    assert geoid_m(Datum.JGD2024, *KAGA) == pytest.approx(37.44, abs=0.01)
    assert geoid_m(Datum.AMSL, *KAGA) == pytest.approx(36.70, abs=0.01)
    assert geoid_m(Datum.WGS84, *KAGA) == 0.0


@pytest.mark.parametrize(
    ("lat", "lon", "undulation"),
    [
        # The six test points that NGA publishes with its EGM96 programs (computed there from the harmonics, here
        # from the 15' grid: a few centimetres apart)
        (38.6281550, 269.7791550, -31.628),
        (-14.6212170, 305.0211140, -2.969),
        (46.8743190, 102.4487290, -43.575),
        (-23.6174460, 133.8747120, 15.871),
        (38.6254730, 359.9995000, 50.066),
        (-0.4667440, 0.0023000, 17.329),
    ],
)
def test_egm96_at_the_published_test_points(lat, lon, undulation):
    assert geoid_m(Datum.AMSL, lon if lon <= 180 else lon - 360, lat) == pytest.approx(undulation, abs=0.06)


def test_gsigeo2011_at_the_example_of_its_reader():
    # The example in the documentation of japan-geoid, which interpolates GSI's own grid file
    assert geoid_m(Datum.JGD2011, 138.2839817085188, 37.12378643088312) == pytest.approx(39.4739, abs=1e-3)


def test_the_geoid_keeps_the_shape_of_the_places():
    lon, lat = np.meshgrid([136.2, 136.3, 136.4], [36.2, 36.3])
    assert geoid_m(Datum.JGD2011, lon, lat).shape == (2, 3)
    assert geoid_m(Datum.AMSL, lon, lat).shape == (2, 3)
    assert geoid_m(Datum.JGD2011, lon, 36.3)[0, 1] == geoid_m(Datum.JGD2011, *KAGA)


def test_a_place_beyond_the_geoid_is_refused():
    with pytest.raises(DatumError, match=r"does not reach lon 0\.000000, lat 51\.000000"):
        geoid_m(Datum.JGD2011, 0.0, 51.0)
    with pytest.raises(DatumError, match="above ground has no geoid"):
        geoid_m(Datum.AGL, *KAGA)


def test_a_missing_grid_is_an_error_and_never_37_metres():
    code = "from utm.frames import geoid_m; from utm.model import Datum; print(geoid_m(Datum.AMSL, 136.3, 36.3))"
    environment = os.environ | {"UTM_EGM96_GRID": "/nowhere/egm96_15.gtx"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "utm.errors.DatumError: the EGM96 geoid grid egm96_15.gtx is not on this machine" in done.stderr
    assert "UTM_EGM96_GRID" in done.stderr


def test_geoids_have_names_for_the_map():
    assert geoid_name(Datum.JGD2011) == "GSIGEO2011"
    assert geoid_name(Datum.AMSL) == "EGM96 15'"
    assert geoid_name(Datum.NAP) == "NLGEO2018"
    assert all(geoid_name(datum) for datum in Datum if datum is not Datum.AGL)
    with pytest.raises(DatumError, match="above ground has no geoid"):
        geoid_name(Datum.AGL)


GRIDS = {
    Datum.NAP: ("UTM_NAP_GRID", "nl_nsgi_nlgeo2018", (5.0, 52.0), 0.0),
    # The ellipsoid of NAD83(2011) lies 1.12 m below that of ITRF2014 at 40 N 90 W, epoch 2010.0 (NGS, EPSG:8970)
    Datum.NAVD88: ("UTM_NAVD88_GRID", "us_noaa_g2018u0", (-90.0, 40.0), -1.12),
}


@pytest.mark.parametrize("datum", GRIDS)
def test_a_grid_is_asked_for_by_name_and_read_where_it_is_named(tmp_path, datum):
    variable, grid, (lon, lat), ellipsoid_m = GRIDS[datum]
    code = f"from utm.frames import geoid_m; from utm.model import Datum; print(geoid_m(Datum.{datum}, {lon}, {lat}))"

    def run(path):
        environment = os.environ | {variable: str(path)}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
        )

    missing = run(tmp_path / "absent.tif")
    assert missing.returncode != 0
    assert f"geoid grid {grid}.tif is not on this machine" in missing.stderr
    assert f"Fetch it with `projsync --file {grid}`, or name the file in {variable}." in missing.stderr
    # A grid of 43.21 m over the whole place, in NTv2's older cousin GTX: corner, steps, rows, columns, heights
    flat = tmp_path / "flat.gtx"
    header = struct.pack(">4d2i", lat - 2, lon - 2, 1.0, 1.0, 5, 5)
    flat.write_bytes(header + np.full(25, 43.21, ">f4").tobytes())
    found = run(flat)
    assert float(found.stdout) == pytest.approx(43.21 + ellipsoid_m, abs=0.005), found.stderr


# ---- heights


def test_a_height_from_one_datum_to_the_others(frame):
    lon, lat = KAGA
    assert frame.up(100.0, Datum.JGD2011, lon, lat) == 100.0
    assert frame.up(100.0, Datum.WGS84, lon, lat) == pytest.approx(100 - 37.284, abs=0.01)
    assert frame.up(100.0, Datum.AMSL, lon, lat) == pytest.approx(100 + 36.697 - 37.284, abs=0.01)
    assert frame.up(100.0, Datum.AGL, lon, lat, terrain_up_m=12.5) == 112.5
    assert frame.height(100.0, Datum.WGS84, lon, lat) == pytest.approx(137.284, abs=0.01)
    assert frame.height(100.0, Datum.AMSL, lon, lat) == pytest.approx(100.588, abs=0.01)
    assert frame.height(112.5, Datum.AGL, lon, lat, terrain_up_m=12.5) == 100.0


@given(st.sampled_from(AT_HAND), st.sampled_from([Datum.AGL, *AT_HAND]), st.floats(-100, 4000))
def test_heights_come_back(vertical, datum, height):
    frame = LocalFrame("EPSG:6675", -79000.0, 32600.0, vertical)
    up = frame.up(height, datum, *KAGA, terrain_up_m=7.0)
    assert frame.height(up, datum, *KAGA, terrain_up_m=7.0) == pytest.approx(height, abs=1e-9)


def test_a_height_above_ground_needs_the_ground(frame):
    with pytest.raises(DatumError, match="needs the ground below it"):
        frame.up(50.0, Datum.AGL, *KAGA)


def test_a_waypoint_says_what_its_height_is_measured_from(frame):
    east, north = (float(v) for v in frame.to_map(*KAGA))
    point = frame.waypoint([east, north, 50.0], Datum.WGS84)
    assert isinstance(point, Waypoint)
    assert (point.lon_deg, point.lat_deg) == (pytest.approx(136.3), pytest.approx(36.3))
    assert point.height_m == pytest.approx(87.284, abs=0.01)
    assert point.datum is Datum.WGS84


# ---- places


def test_the_origin_of_zone_vii_and_its_axes():
    # By law the zone's origin lies at 36 N, 137 10 E, its scale there being 0.9999
    zone = LocalFrame("EPSG:6675", 0.0, 0.0, Datum.JGD2011)
    east, north = zone.to_map(137 + 10 / 60, 36.0)
    assert (east, north) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))
    # A step along each axis; the radii of GRS80 at 36 N are 6 357 463 m (meridian) and 6 385 522 m (prime vertical)
    step = np.radians(0.01)
    east, north = zone.to_map(137 + 10 / 60 + 0.01, 36.0)
    assert east == pytest.approx(0.9999 * 6385522 * np.cos(np.radians(36)) * step, abs=0.05)
    assert abs(north) < 0.1
    east, north = zone.to_map(137 + 10 / 60, 36.01)
    assert abs(east) < 1e-6
    assert north == pytest.approx(0.9999 * 6357463 * step, abs=0.05)


def test_kaga_lies_west_and_north_of_the_zones_origin():
    east, north = LocalFrame("EPSG:6675", 0.0, 0.0, Datum.JGD2011).to_map(136.31, 36.30)
    assert east == pytest.approx(-76939.79, abs=0.01)
    assert north == pytest.approx(33625.74, abs=0.01)


@given(st.floats(0, 4000), st.floats(0, 2000))
def test_places_come_back(frame, east, north):
    lon, lat = frame.to_lonlat(east, north)
    assert 136 < lon < 137
    assert 36 < lat < 37
    back_east, back_north = frame.to_map(lon, lat)
    assert back_east == pytest.approx(east, abs=1e-6)
    assert back_north == pytest.approx(north, abs=1e-6)


def test_shapes_of_places_are_kept(frame):
    lon, lat = frame.to_lonlat(np.zeros((2, 3)), np.ones((2, 3)))
    assert lon.shape == lat.shape == (2, 3)
    assert frame.to_map(lon, lat)[0].shape == (2, 3)


def test_a_guessed_datum_is_never_used(frame):
    assert "ballpark" not in frame._to_map.description.lower()
    unknown = LocalFrame("+proj=tmerc +lat_0=36 +lon_0=137 +ellps=bessel +units=m +type=crs", 0.0, 0.0, Datum.JGD2011)
    with pytest.raises((MapError, pyproj.exceptions.ProjError)):
        unknown.to_map(*KAGA)


def test_a_place_that_the_projection_cannot_hold(frame):
    with pytest.raises(MapError, match="cannot hold"):
        frame.to_map(np.nan, 36.3)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4979", "EPSG:2225"])
def test_a_map_needs_metres(crs):
    with pytest.raises(MapError, match="a projected CRS in metres"):
        LocalFrame(crs, 0.0, 0.0, Datum.JGD2011)


def test_a_map_cannot_be_measured_from_its_own_ground():
    with pytest.raises(DatumError, match="cannot be above ground"):
        LocalFrame("EPSG:6675", 0.0, 0.0, Datum.AGL)


# ---- names


def test_compound_crs_are_taken_apart():
    horizontal, datum = split_crs(pyproj.CRS.from_user_input("EPSG:6675+6695"))
    assert horizontal.to_epsg() == 6675
    assert datum is Datum.JGD2011
    horizontal, datum = split_crs(pyproj.CRS.from_user_input("EPSG:6697"))  # JGD2011 and its heights, as PLATEAU uses
    assert (horizontal.to_epsg(), datum) == (6668, Datum.JGD2011)
    assert split_crs(pyproj.CRS.from_user_input("EPSG:6675"))[1] is None
    assert split_crs(pyproj.CRS.from_user_input("EPSG:4979"))[1] is Datum.WGS84
    horizontal, datum = split_crs(pyproj.CRS.from_user_input("EPSG:7415"))  # Delft
    assert (horizontal.to_epsg(), datum) == (28992, Datum.NAP)
    with pytest.raises(DatumError, match="unknown vertical datum"):
        split_crs(pyproj.CRS.from_user_input("EPSG:27700+5701"))  # ODN: not to be dropped in silence


def test_names_of_vertical_datums():
    assert vertical_datum(" jgd2011 ") is Datum.JGD2011
    assert vertical_datum("EGM96") is Datum.AMSL
    with pytest.raises(DatumError, match="Use one of"):
        vertical_datum("MSL-ish")


@pytest.mark.parametrize(
    ("text", "datum", "unit_m"),
    [
        ("JGD2011", Datum.JGD2011, None),
        (" nap ", Datum.NAP, None),
        ("NAVD88:ft", Datum.NAVD88, 0.3048),
        ("navd88:FTUS", Datum.NAVD88, 1200 / 3937),
        ("EPSG:6360", Datum.NAVD88, 1200 / 3937),
        ("EPSG:8228", Datum.NAVD88, 0.3048),
        ("EPSG:5703", Datum.NAVD88, 1.0),
        ("epsg:5709", Datum.NAP, 1.0),
        ("EPSG:5773", Datum.AMSL, 1.0),
    ],
)
def test_heights_and_their_unit_in_a_surveyors_words(text, datum, unit_m):
    reference = height_reference(text)
    assert reference.datum is datum
    assert reference.unit_m == (unit_m if unit_m is None else pytest.approx(unit_m, rel=1e-12))


@pytest.mark.parametrize("text", ["", ":", "EPSG:", "EPSG:6360:ft", "NAVD88:", "NAVD88:yd", ":ft", "EPSG:27700"])
def test_heights_in_words_that_nobody_knows(text):
    with pytest.raises(DatumError, match="unknown"):
        height_reference(text)


def test_three_dimensions_and_compounds_state_their_heights_in_their_unit():
    assert split_reference(pyproj.CRS.from_user_input("EPSG:2225+6360"))[1].unit_m == pytest.approx(
        HEIGHT_UNITS["ftus"]
    )
    horizontal, reference = split_reference(pyproj.CRS.from_epsg(6675).to_3d())
    assert (horizontal.to_epsg(), reference.datum, reference.unit_m) == (6675, Datum.WGS84, 1.0)
    with pytest.raises(DatumError, match="depths are no heights"):
        split_reference(pyproj.CRS.from_user_input("EPSG:2225+6358"))


@pytest.mark.parametrize("crs", ["EPSG:2048", "EPSG:3031"])
def test_a_map_counts_east_and_north(crs):
    with pytest.raises(MapError, match="counts east and north"):
        LocalFrame(crs, 0.0, 0.0, Datum.WGS84)


@pytest.mark.parametrize(
    ("lon", "lat", "field"), [(181, 0, "longitude"), (0, 95, "latitude"), (np.nan, 0, "longitude")]
)
def test_what_is_no_place_on_the_globe(lon, lat, field):
    check_lonlat(136.3, 36.3)
    with pytest.raises(InputError, match=field):
        check_lonlat(lon, lat)
