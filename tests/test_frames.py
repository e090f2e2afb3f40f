"""Geodesy against absolute, published figures. A round trip proves nothing: it also passes when both ways are wrong."""

import os
import subprocess
import sys

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utm.errors import DatumError, InputError, MapError
from utm.frames import LocalFrame, check_lonlat, geoid_m, split_crs, vertical_datum
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
    ("lon", "lat", "field"), [(181, 0, "longitude"), (0, 95, "latitude"), (np.nan, 0, "longitude")]
)
def test_what_is_no_place_on_the_globe(lon, lat, field):
    check_lonlat(136.3, 36.3)
    with pytest.raises(InputError, match=field):
        check_lonlat(lon, lat)
