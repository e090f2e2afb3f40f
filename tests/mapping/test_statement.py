"""What a file's coordinates mean: never guessed, never said in two ways, in whatever unit and axis order."""

from pathlib import Path

import pyproj
import pytest

from utm.errors import DatumError, InputError, SurveyError
from utm.mapping.ingest.statement import stated
from utm.model import Datum

FILE = Path("survey.laz")
FT, FT_US = 0.3048, 1200 / 3937


@pytest.mark.parametrize(
    ("in_file", "crs", "vertical", "expected"),
    [
        ("EPSG:6675+6695", None, None, ("EPSG:6675", Datum.JGD2011, 1.0)),
        (None, "EPSG:6675+6695", None, ("EPSG:6675", Datum.JGD2011, 1.0)),
        ("EPSG:6675", None, "JGD2024", ("EPSG:6675", Datum.JGD2024, 1.0)),
        (None, "EPSG:28992", "NAP", ("EPSG:28992", Datum.NAP, 1.0)),  # the Delft cloud
        ("EPSG:7415", None, None, ("EPSG:28992", Datum.NAP, 1.0)),  # the Delft model
        ("EPSG:6697", None, None, ("EPSG:6668", Datum.JGD2011, 1.0)),  # PLATEAU
        ("EPSG:4979", None, None, ("EPSG:4326", Datum.WGS84, 1.0)),
        ("EPSG:4326", None, "EGM96", ("EPSG:4326", Datum.AMSL, 1.0)),
        ("EPSG:32618", None, "NAVD88", ("EPSG:32618", Datum.NAVD88, 1.0)),
        ("EPSG:2225+6360", None, None, ("EPSG:2225", Datum.NAVD88, FT_US)),
        ("EPSG:2225+8228", None, "NAVD88", ("EPSG:2225", Datum.NAVD88, FT)),
        ("EPSG:2225+5703", None, None, ("EPSG:2225", Datum.NAVD88, 1.0)),
        ("EPSG:2225", None, "EPSG:6360", ("EPSG:2225", Datum.NAVD88, FT_US)),
        ("EPSG:2225", None, "NAVD88:m", ("EPSG:2225", Datum.NAVD88, 1.0)),
        ("EPSG:2225", None, "navd88:ft", ("EPSG:2225", Datum.NAVD88, FT)),
        ("EPSG:2225", None, "NAVD88:ftUS", ("EPSG:2225", Datum.NAVD88, FT_US)),
        ("EPSG:6675", "EPSG:6675", "EPSG:6695", ("EPSG:6675", Datum.JGD2011, 1.0)),
    ],
)
def test_what_is_said_is_understood(in_file, crs, vertical, expected):
    found = stated(FILE, in_file, crs, vertical)
    assert (found.crs, found.vertical) == expected[:2]
    assert found.vertical_unit_m == pytest.approx(expected[2], rel=1e-12)


@pytest.mark.parametrize(
    ("in_file", "crs", "vertical", "error", "words"),
    [
        (None, None, "JGD2011", SurveyError, "survey.laz: crs: states no coordinate reference system. Name it"),
        ("EPSG:6675", "EPSG:6676", "JGD2011", SurveyError, "states EPSG:6675, but --crs says EPSG:6676"),
        ("nonsense", None, "JGD2011", SurveyError, "crs: not a coordinate reference system"),
        (None, "EPSG:99999999", "JGD2011", SurveyError, "--crs: not a coordinate reference system"),
        ("EPSG:4978", None, "WGS84", SurveyError, "must be in projected or geographic coordinates"),
        (
            None, "+proj=tmerc +lat_0=36 +lon_0=137 +ellps=bessel +units=m +type=crs", "JGD2011", SurveyError,
            "cannot be placed on the globe without guessing the datum",
        ),
        ("EPSG:6675", None, None, DatumError, "vertical datum: does not say what its heights are measured from"),
        ("EPSG:6675", None, "sea", DatumError, "unknown vertical datum (got 'sea')"),
        ("EPSG:6675", None, "AGL", DatumError, "unknown vertical datum (got 'AGL')"),
        ("EPSG:6675", None, "JGD2011:yd", DatumError, "unknown unit of height (got 'JGD2011:yd'). Write JGD2011:m"),
        ("EPSG:6675+6695", None, "AMSL", DatumError, "said to be measured from AMSL and from JGD2011"),
        ("EPSG:6675+6695", "EPSG:6675+5773", None, DatumError, "said to be measured from AMSL and from JGD2011"),
        ("EPSG:27700+5701", None, None, DatumError, "vertical datum: unknown vertical datum (got 'EPSG:5701')"),
        ("EPSG:2225+6358", None, None, DatumError, "depths are no heights"),
        ("EPSG:2225+6360", None, "NAVD88:m", DatumError, "unit of height: a unit of height is said to be 0.304801 m"),
        (
            "EPSG:2225", None, "NAVD88", DatumError,
            "its ground is in US survey foot. Say it: --vertical-datum NAVD88:m, NAVD88:ft or NAVD88:ftUS.",
        ),
    ],
)  # fmt: skip
def test_what_is_not_said_or_said_twice_is_refused(in_file, crs, vertical, error, words):
    with pytest.raises(InputError) as caught:
        stated(FILE, in_file, crs, vertical)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("survey.laz: ")


def test_a_unit_beside_the_crs_counts_where_the_crs_is_silent():
    assert stated(FILE, "EPSG:2225", None, "NAVD88", unit_m=FT).vertical_unit_m == FT
    assert stated(FILE, "EPSG:6675", None, "JGD2011", unit_m=FT).vertical_unit_m == FT
    # Two kinds of foot are no contradiction; that of the CRS is the exact one
    assert stated(FILE, "EPSG:2225+6360", None, None, unit_m=FT).vertical_unit_m == pytest.approx(FT_US, rel=1e-12)
    with pytest.raises(DatumError, match=r"said to be 1 m and 0\.3048 m"):
        stated(FILE, "EPSG:6675+6695", None, None, unit_m=FT)


def test_one_crs_in_the_words_of_two_makers_is_no_contradiction():
    by_esri = pyproj.CRS.from_epsg(6675).to_wkt("WKT1_ESRI")
    assert stated(FILE, by_esri, "EPSG:6675", "JGD2011").crs == "EPSG:6675"


def test_a_vertical_crs_without_a_code_is_known_by_its_datum():
    wkt = pyproj.CRS.from_user_input("EPSG:2225+6360").to_wkt().replace("NAVD88 height (ftUS)", "NAVD88 - Geoid18 (ft)")
    assert '"NAVD88 - Geoid18 (ft)"' in wkt
    found = stated(FILE, wkt.replace('ID["EPSG",6360]', 'REMARK["as flown"]'), None, None)
    assert (found.vertical, found.vertical_unit_m) == (Datum.NAVD88, pytest.approx(FT_US, rel=1e-12))
