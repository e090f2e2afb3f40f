"""Where a file's coordinates lie in the map: against figures from outside, and never by a guess."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.errors import DatumError, MapError, SurveyError
from utm.frames import LocalFrame
from utm.mapping.ingest.placing import Placing, map_crs
from utm.mapping.ingest.source import Source, Statement
from utm.model import Datum

KAGA = LocalFrame("EPSG:6675", -77000.0, 33600.0, Datum.JGD2011)
DELFT = LocalFrame("EPSG:32631", 594000.0, 5762000.0, Datum.NAP)
REDDING = LocalFrame("EPSG:26910", 550000.0, 4490000.0, Datum.NAVD88)


def placed(crs: str, vertical: Datum = Datum.JGD2011, unit_m: float = 1.0, frame: LocalFrame = KAGA) -> Placing:
    return Placing(Statement(crs, vertical, unit_m), frame)


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=5))
def test_in_the_maps_own_frame_only_the_origin_is_subtracted(values):
    same = placed("EPSG:6675")
    assert same.exact_shift
    x = np.array(values)
    east, north, up = same.place(x, x + 0.1, x)
    np.testing.assert_array_equal(east, x - KAGA.origin_x)
    np.testing.assert_array_equal(north, (x + 0.1) - KAGA.origin_y)
    np.testing.assert_array_equal(up, x)
    assert same.box((-77010.0, 33590.0, -76000.0, 33700.0)) == (-10.0, -10.0, 1000.0, 100.0)


def test_longitude_comes_first_whatever_the_authority_says():
    # 136.31 E, 36.30 N lies at x -76939.79, y 33625.74 in zone VII, as in test_frames
    for crs in ("EPSG:6668", "EPSG:4326"):  # both define latitude first
        east, north, up = placed(crs).place([136.31], [36.30], [50.0])
        assert (east[0], north[0], up[0]) == (pytest.approx(60.21, abs=0.01), pytest.approx(25.74, abs=0.01), 50.0)


def test_heights_of_another_datum_against_published_geoids():
    # Near Kaga: GSIGEO2011 37.28 m, EGM96 36.70 m, JPGEO2024 37.44 m above the ellipsoid
    at = ([136.3], [36.3], [100.0])
    assert placed("EPSG:4326", Datum.WGS84).place(*at)[2] == pytest.approx(100 - 37.28, abs=0.01)
    assert placed("EPSG:4326", Datum.AMSL).place(*at)[2] == pytest.approx(100 + 36.70 - 37.28, abs=0.01)
    assert placed("EPSG:4326", Datum.JGD2024).place(*at)[2] == pytest.approx(100 + 37.44 - 37.28, abs=0.01)
    # The datum alone differs: the place still has to be found on the globe
    turned = placed("EPSG:6675", Datum.WGS84)
    assert not turned.exact_shift
    assert turned.place([-77837.94], [33633.74], [100.0])[2] == pytest.approx(100 - 37.28, abs=0.01)


def test_feet_on_the_ground_and_in_height():
    # One US survey foot is 1200/3937 m: a mile of 5280 ft along each axis
    feet = placed("EPSG:2225", Datum.NAVD88, 1200 / 3937, REDDING)
    x, y = 6_500_000.0, 2_300_000.0
    east, north, up = feet.place([x, x + 5280], [y, y], [0.0, 1000.0])
    assert np.hypot(*np.diff([east, north])) == pytest.approx(1609.347, rel=5e-4)  # both grids distort a little
    assert up.tolist() == [0.0, 1000 * (1200 / 3937)]
    metric = placed("EPSG:26941", Datum.NAVD88, 1.0, REDDING)  # the same zone in metres
    again = metric.place(np.array([x, x + 5280]) * (1200 / 3937), np.full(2, y * (1200 / 3937)), [0.0, 1.0])
    np.testing.assert_allclose(again[0], east, atol=1e-3)
    np.testing.assert_allclose(again[1], north, atol=1e-3)


def test_delft_lies_where_the_dutch_say():
    # The church tower of Amersfoort is the origin of RD: x 155 000, y 463 000; in WGS84 at 52.155174 N, 5.387206 E
    to_globe = LocalFrame("EPSG:32631", 0.0, 0.0, Datum.NAP)
    east, north, up = placed("EPSG:28992", Datum.NAP, frame=to_globe).place([155000.0], [463000.0], [7.0])
    lon, lat = to_globe.to_lonlat(east, north)
    assert (lon[0], lat[0]) == (pytest.approx(5.387206, abs=1e-5), pytest.approx(52.155174, abs=1e-5))
    assert up.tolist() == [7.0]  # no geoid is asked for where none is needed


def test_no_geoid_no_height():
    with pytest.raises(DatumError, match=r"nl_nsgi_nlgeo2018\.tif is not on this machine") as caught:
        placed("EPSG:28992", Datum.WGS84, frame=DELFT).place([84600.0], [447500.0], [1.0])
    assert "projsync" in str(caught.value)
    assert "UTM_NAP_GRID" in str(caught.value)


def test_a_guessed_or_coarse_datum_shift_is_refused():
    for crs in ("EPSG:4301", "EPSG:30167"):  # Tokyo datum: 9 m off without its grid
        with pytest.raises(SurveyError, match=r"knows no way from Tokyo.* that is right to 5 m"):
            placed(crs).place([136.3], [36.3], [1.0])


def test_a_point_that_cannot_be_placed():
    for x, y in ((np.nan, 0.0), (np.inf, 0.0)):
        for crs in ("EPSG:6675", "EPSG:6668"):
            with pytest.raises(SurveyError, match="a point cannot be placed in EPSG:6675"):
                placed(crs).place([x], [y], [0.0])
    with pytest.raises(SurveyError, match="its bounds cannot be placed"):
        placed("EPSG:6668").box((-77000.0, 33000.0, -76000.0, 34000.0))  # metres taken for degrees


@settings(max_examples=30, deadline=None)
@given(
    crs=st.sampled_from(["EPSG:6668", "EPSG:32653", "EPSG:6675", "EPSG:32654"]),
    corner=st.tuples(st.floats(0, 15000), st.floats(0, 15000)),
    size=st.tuples(st.floats(1, 20000), st.floats(1, 20000)),
    share=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=8, max_size=8),
)
def test_boxes_hold_what_lies_in_them(crs, corner, size, share):
    there = placed(crs)
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    bounds = there.inverse_box(box)
    shares = np.array([*share, (0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)])
    # Whatever lies in the box of the map lies in the bounds of the file
    x = bounds[0] + shares[:, 0] * (bounds[2] - bounds[0])
    y = bounds[1] + shares[:, 1] * (bounds[3] - bounds[1])
    east, north, _ = there.place(x, y, np.zeros(len(x)))
    west, south, east_end, north_end = there.box(bounds)
    assert west <= box[0]
    assert south <= box[1]
    assert east_end >= box[2]
    assert north_end >= box[3]
    # and whatever lies in the bounds lies in their box
    assert (east >= west - 1e-3).all()
    assert (east <= east_end + 1e-3).all()
    assert (north >= south - 1e-3).all()
    assert (north <= north_end + 1e-3).all()


def test_a_placing_travels_to_another_process():
    there = placed("EPSG:6668", Datum.AMSL)
    at = ([136.31], [36.30], [50.0])
    before = there.place(*at)
    back = pickle.loads(pickle.dumps(there))
    assert back == there
    assert len(pickle.dumps(there)) < 2000
    np.testing.assert_array_equal(back.place(*at), before)


# ---- the map's CRS


def source(crs: str, bounds=(0.0, 0.0, 1.0, 1.0), vertical=Datum.JGD2011) -> Source:
    return Source(Path("survey.tif"), "raster", "surface", Statement(crs, vertical), bounds, "")


def test_the_maps_crs_is_the_first_that_serves():
    degrees = source("EPSG:6668", (136.3, 36.2, 136.4, 36.3))
    assert map_crs([degrees, source("EPSG:6675"), source("EPSG:6676")], None) == "EPSG:6675"
    assert map_crs([degrees, source("EPSG:6675")], "EPSG:32653") == "EPSG:32653"
    # Feet, and Lo19, which counts west and south, serve no map
    assert map_crs([source("EPSG:2225"), source("EPSG:2048"), source("EPSG:28992")], None) == "EPSG:28992"


@pytest.mark.parametrize(
    ("crs", "bounds", "expected"),
    [
        ("EPSG:6668", (136.3, 36.2, 136.4, 36.3), "EPSG:6690"),  # JGD2011 / UTM zone 53N
        ("EPSG:4326", (4.3, 52.0, 4.4, 52.1), "EPSG:32631"),
        ("EPSG:4326", (151.1, -33.9, 151.2, -33.8), "EPSG:32756"),
        ("EPSG:4258", (4.3, 52.0, 4.4, 52.1), "EPSG:25831"),  # ETRS89
        ("EPSG:2225", (6.4e6, 2.3e6, 6.5e6, 2.4e6), "EPSG:26910"),  # feet in NAD83
        ("EPSG:2048", (-10e3, 3650e3, 10e3, 3660e3), "EPSG:32734"),  # Lo19 of Hartebeesthoek94
    ],
)
def test_without_one_it_is_the_utm_zone_of_the_place(crs, bounds, expected):
    assert map_crs([source(crs, bounds)], None) == expected


def test_a_wanted_crs_must_serve():
    sources = [source("EPSG:6675")]
    with pytest.raises(SurveyError, match="--map-crs: not a coordinate reference system"):
        map_crs(sources, "EPSG:99999999")
    with pytest.raises(SurveyError, match="measured as its first source's are"):
        map_crs(sources, "EPSG:6675+6695")
    with pytest.raises(MapError, match="a projected CRS in metres"):
        map_crs(sources, "EPSG:2225")
    with pytest.raises(MapError, match="counts east and north, not south and west"):
        map_crs(sources, "EPSG:2048")
    with pytest.raises(SurveyError, match="in no UTM zone"):
        map_crs([source("EPSG:4326", (10.0, 88.0, 11.0, 89.0))], None)
