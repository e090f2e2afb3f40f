"""Survey files that cannot become a map: one line that says which, why and the mend."""

import contextlib

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from tests.mapping.survey_files import COMPOUND, SOUTH, WEST, ground_points, plain, write_laz, write_tif
from utm.errors import DatumError, InputError, SurveyError
from utm.mapping.ingest import build_map
from utm.mapping.ingest.sources import inspect
from utm.model import Datum


def refused(tmp_path, dtm, *sources, error=SurveyError, **options) -> str:
    """Build, expect a refusal, and check what holds for every refusal; returns the message."""
    with pytest.raises(error) as caught:
        build_map(sources, tmp_path / "map", terrain=dtm, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert not (tmp_path / "map").exists()
    assert not list(tmp_path.glob(".map*"))
    return message


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_truncated_rasters(survey, tmp_path, share):
    whole = write_tif(
        tmp_path / "whole.tif", np.random.default_rng(1).normal(20, 3, (120, 80)).astype(np.float32), compress="deflate"
    )
    data = whole.read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(data[: int(len(data) * share)])
    message = refused(tmp_path, survey.dtm, cut)
    assert message.startswith(f"{cut}: ")


@pytest.mark.parametrize("share", [0.0, 0.002, 0.02, 0.1, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".laz", ".las"])
def test_truncated_clouds(survey, tmp_path, share, suffix):
    whole = write_laz(tmp_path / f"whole{suffix}", survey.points)
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * share)])
    message = refused(tmp_path, survey.dtm, survey.dsm, cut)
    assert message.startswith(f"{cut}: ")


@pytest.mark.parametrize("seed", range(25))
def test_clouds_with_garbled_bytes_never_end_in_a_traceback(survey, tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(survey.cloud.read_bytes())
    for place in rng.integers(0, len(data) if seed % 2 else 1200, 40):
        data[place] = rng.integers(0, 256)
    bad = tmp_path / "garbled.laz"
    bad.write_bytes(bytes(data))
    with contextlib.suppress(InputError):  # some bytes may change without harm
        build_map([survey.dsm, bad], tmp_path / "map", terrain=survey.dtm)


def test_files_that_are_not_what_they_say(survey, tmp_path):
    for name, what in (("notes.tif", "GeoTIFF"), ("notes.laz", "LAS or LAZ"), ("notes.las", "LAS or LAZ")):
        (tmp_path / name).write_text("Dear surveyor, please find the files on the other disk. " * 20)
        assert f"{name}: not a readable {what}" in refused(tmp_path, survey.dtm, tmp_path / name)
    (tmp_path / "model.obj").write_text("v 0 0 0")
    assert "model.obj: not a kind of survey file" in refused(tmp_path, survey.dtm, tmp_path / "model.obj")
    assert "there is no such file" in refused(tmp_path, survey.dtm, tmp_path / "absent.tif")
    (tmp_path / "folder.tif").mkdir()
    assert "there is no such file" in refused(tmp_path, survey.dtm, tmp_path / "folder.tif")


def test_a_cloud_without_points(survey, tmp_path):
    empty = write_laz(tmp_path / "empty.laz", np.zeros((0, 3)))
    assert "holds no points" in refused(tmp_path, survey.dtm, empty)


def test_no_crs_is_never_guessed(survey, tmp_path):
    bare = write_tif(tmp_path / "bare.tif", plain(), crs=None)
    message = refused(tmp_path, survey.dtm, bare)
    assert message == f"{bare}: crs: states no coordinate reference system. Name it, for example --crs EPSG:6675."
    cloud = write_laz(tmp_path / "bare.laz", survey.points, crs=None)
    assert "bare.laz: crs: states no coordinate" in refused(tmp_path, survey.dtm, cloud)
    made = build_map([bare, cloud], tmp_path / "map", terrain=survey.dtm, crs="EPSG:6675", vertical_datum="JGD2011")
    assert made.frame.crs == "EPSG:6675"


def test_a_crs_by_hand_must_be_one_and_must_agree(survey, tmp_path):
    assert "--crs: not a coordinate reference system" in refused(tmp_path, survey.dtm, survey.dsm, crs="EPSG:99999999")
    message = refused(tmp_path, survey.dtm, survey.dsm, crs="EPSG:6676")
    assert "dsm.tif: crs: states EPSG:6675, but --crs says EPSG:6676" in message


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        ("EPSG:4326", "must be in a projected CRS (got 'EPSG:4326')"),
        ("EPSG:2225+5703", "unknown vertical datum"),
        ("EPSG:2225", "must be in metres (got 'US survey foot')"),
        ("EPSG:6675+6360", "heights must be in metres (got 'us survey foot')"),
    ],
)
def test_degrees_and_feet(survey, tmp_path, crs, words):
    bad = write_tif(tmp_path / "bad.tif", plain(), crs=crs)
    message = refused(tmp_path, survey.dtm, bad, error=InputError)
    assert words in message
    assert message.startswith(f"{bad}: ")


def test_a_crs_whose_datum_nobody_knows(survey, tmp_path):
    somewhere = write_tif(tmp_path / "somewhere.tif", plain(), crs=None)
    message = refused(
        tmp_path, survey.dtm, somewhere, crs="+proj=tmerc +lat_0=36 +lon_0=137 +ellps=bessel +units=m +type=crs"
    )
    assert "cannot be placed on the globe without guessing the datum" in message


def test_heights_in_feet_by_the_band(survey, tmp_path):
    feet = write_tif(tmp_path / "feet.tif", plain(), units="ft")
    assert "band unit: heights must be in metres (got 'ft')" in refused(tmp_path, survey.dtm, feet)


def test_no_vertical_datum_is_never_guessed(survey, tmp_path):
    flat = write_tif(tmp_path / "flat.tif", plain(), crs="EPSG:6675")
    message = refused(tmp_path, survey.dtm, flat, error=DatumError)
    assert "flat.tif: vertical datum: does not say what its heights are measured from" in message
    assert "--vertical-datum" in message
    assert inspect(flat, crs=None, vertical="EGM96").vertical is Datum.AMSL
    assert inspect(flat, crs=COMPOUND, vertical=None).vertical is Datum.JGD2011


def test_a_vertical_datum_by_hand_must_be_one_and_must_agree(survey, tmp_path):
    message = refused(tmp_path, survey.dtm, survey.dsm, vertical_datum="sea", error=DatumError)
    assert "unknown vertical datum (got 'sea')" in message
    message = refused(tmp_path, survey.dtm, survey.dsm, vertical_datum="AMSL", error=DatumError)
    assert "said to be measured from AMSL and from JGD2011" in message


def test_rasters_that_are_no_height_models(survey, tmp_path):
    photo = write_tif(tmp_path / "photo.tif", np.zeros((3, 40, 40), np.uint8), nodata=None)
    assert "bands: a height model has one band (got 3)" in refused(tmp_path, survey.dtm, photo)
    turned = write_tif(tmp_path / "turned.tif", plain(), transform=rasterio.Affine(1, 0.2, WEST, 0.2, -1, SOUTH))
    assert "turned.tif: transform: the raster is not north-up" in refused(tmp_path, survey.dtm, turned)
    with pytest.warns(NotGeoreferencedWarning):
        nowhere = write_tif(tmp_path / "nowhere.tif", plain(), transform=rasterio.Affine.identity(), crs=None)
    assert "nowhere.tif: transform: the raster is not north-up, or not placed" in refused(tmp_path, survey.dtm, nowhere)
    forgotten = plain()
    forgotten[3, 3] = -32768
    unmarked = write_tif(tmp_path / "unmarked.tif", forgotten, nodata=None)
    message = refused(tmp_path, survey.dtm, unmarked)
    assert "unmarked.tif: band 1: holds a height that no ground has (got -32768.0)" in message
    assert "a_nodata" in message


def test_returns_outside_the_header_are_refused(survey, tmp_path):
    good = write_laz(tmp_path / "good.laz", ground_points(np.random.default_rng(0), plain(), 500))
    data = bytearray(good.read_bytes())
    # LAS 1.4 public header: the largest x stands at byte 179
    data[179:187] = np.float64(WEST + 50).tobytes()
    lying = tmp_path / "lying.laz"
    lying.write_bytes(bytes(data))
    assert "bounds: a point lies outside the bounds" in refused(tmp_path, survey.dtm, lying)
    data[179:187] = np.float64(np.nan).tobytes()
    lying.write_bytes(bytes(data))
    assert "bounds: the header's bounds or scales are not usable" in refused(tmp_path, survey.dtm, lying)
