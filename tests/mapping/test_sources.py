"""Which files a survey is made of, and files that are none: one line that says which, why and the mend."""

import datetime
import hashlib
import json
import re
import sys

import pytest

from tests.mapping.survey_files import plain, write_tif
from tests.repo import shared_data
from utm.errors import SurveyError
from utm.mapping.ingest.sources import expand, inspect, sha256
from utm.mapping.ingest.statement import stated
from utm.model import Datum


def look(path, **options):
    return inspect(path, **({"role": "surface", "crs": None, "vertical": None} | options))


def refusal(path, **options) -> str:
    with pytest.raises(SurveyError) as caught:
        look(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert message.startswith(f"{path}: ")
    return message


# ---- expand


@pytest.fixture
def folder(tmp_path):
    for name in ("b.laz", "a.tif", "notes.txt", "deep/c.laz", "deep/er/d.LAZ", "odd[1].tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def test_patterns_stand_for_files(folder):
    assert names(expand(folder / "*.laz"), folder) == ["b.laz"]
    assert names(expand(str(folder / "**" / "*.[lL][aA][zZ]")), folder) == ["b.laz", "deep/c.laz", "deep/er/d.LAZ"]
    assert names(expand([folder / "deep" / "?.laz", folder / "a.tif"]), folder) == ["a.tif", "deep/c.laz"]
    # A file that is called like a pattern is that file
    assert names(expand(folder / "odd[1].tif"), folder) == ["odd[1].tif"]


def test_a_folder_stands_for_the_survey_files_in_it(folder):
    assert names(expand(folder), folder) == ["a.tif", "b.laz", "odd[1].tif"]
    (folder / "empty").mkdir()
    with pytest.raises(SurveyError, match=r"empty: the folder holds no survey file\. Name the files, or a pattern"):
        expand(folder / "empty")


def test_each_file_counts_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "link.laz").symlink_to(folder / "b.laz")
    assert len(expand(["b.laz", folder / "b.laz", "deep/../b.laz", "*.laz"])) == 1


def test_the_order_of_naming_does_not_count(folder):
    one = expand([folder / "b.laz", folder / "a.tif"])
    assert one == expand([folder / "a.tif", folder / "b.laz"])


def test_a_pattern_without_files_is_refused_and_a_plain_path_is_left_to_inspect(folder):
    with pytest.raises(SurveyError, match=r"\*\.las: no file matches the pattern"):
        expand(folder / "*.las")
    assert expand(folder / "absent.las") == [folder / "absent.las"]
    assert expand([]) == []


# ---- inspect


def test_files_that_are_not_there_or_empty_or_of_another_kind(tmp_path):
    (tmp_path / "model.obj").write_text("v 0 0 0")
    assert "not a kind of survey file that can be read (got '.obj')" in refusal(tmp_path / "model.obj")
    assert "there is no such file" in refusal(tmp_path / "absent.tif")
    (tmp_path / "folder.tif").mkdir()
    assert "there is no such file" in refusal(tmp_path / "folder.tif")
    (tmp_path / "empty.laz").touch()
    assert "the file is empty" in refusal(tmp_path / "empty.laz")
    (tmp_path / "notes.tif").write_text("Dear surveyor, please find the files on the other disk. " * 20)
    assert "not a readable GeoTIFF" in refusal(tmp_path / "notes.tif")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable JSON"),
        ("[" * 100_000, "not readable JSON"),
        ("[]", "neither CityJSON nor a GeoJSON FeatureCollection"),
        ('{"type": "Feature"}', "neither CityJSON nor a GeoJSON FeatureCollection (got 'Feature')"),
    ],
)
def test_json_that_is_no_survey(tmp_path, text, words):
    (tmp_path / "x.json").write_text(text)
    assert words in refusal(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("name", "content", "module", "reader"),
    [
        ("a.json", {"type": "CityJSON"}, "models", "inspect_model"),
        ("a.city.json", {"type": "CityJSON"}, "models", "inspect_model"),
        ("a.geojson", {"type": "FeatureCollection"}, "obstacles", "inspect_obstacles"),
        ("a.json", {"type": "FeatureCollection"}, "obstacles", "inspect_obstacles"),
        ("a.GML", "<x/>", "models", "inspect_model"),
        ("a.xml", "<x/>", "models", "inspect_model"),
        ("a.LAZ", "x", "clouds", "inspect_cloud"),
        ("a.ply", "x", "clouds", "inspect_cloud"),
        ("a.pcd", "x", "clouds", "inspect_cloud"),
        ("a.TIFF", "x", "rasters", "inspect_raster"),
    ],
)
def test_each_kind_goes_to_its_reader(tmp_path, monkeypatch, name, content, module, reader):
    class Readers:
        """Stands in for the module of the reader."""

    asked = {}
    setattr(Readers, reader, staticmethod(lambda path, **options: asked.update(options, path=path)))
    monkeypatch.setitem(sys.modules, f"utm.mapping.ingest.{module}", Readers)
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    day = datetime.date(2024, 5, 17)
    inspect(path, role="terrain", crs="EPSG:6675", vertical="JGD2011", surveyed=day, error_m=0.3)
    assert asked == {
        "path": path, "role": "terrain", "crs": "EPSG:6675", "vertical": "JGD2011", "surveyed": day, "error_m": 0.3,
    }  # fmt: skip


def test_a_raster_all_the_way(tmp_path):
    path = write_tif(tmp_path / "dtm.tif", plain())
    source = look(path, role="terrain")
    assert (source.kind, source.role, source.stated.vertical) == ("raster", "terrain", Datum.JGD2011)
    assert source.sha256 == sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


# ---- real files


def test_the_delft_cloud_says_nothing_of_its_crs():
    cloud = shared_data("delft/ahn3_cropped_1.laz")
    assert "states no coordinate reference system" in refusal(cloud)
    source = look(cloud, crs="EPSG:28992", vertical="NAP")
    assert (source.stated.crs, source.stated.vertical) == ("EPSG:28992", Datum.NAP)


def test_the_delft_model_and_plateau_say_all():
    model = json.loads(shared_data("delft/delft_lod1_LOW_ROOFS.city.json").read_bytes())
    said = stated("delft", model["metadata"]["referenceSystem"], None, None)
    assert (said.crs, said.vertical, said.vertical_unit_m) == ("EPSG:28992", Datum.NAP, 1.0)
    gml = next(shared_data("plateau_ina").glob("*.gml")).read_text(encoding="utf-8")
    said = stated("ina", re.search('srsName="([^"]+)"', gml)[1], None, None)
    assert (said.crs, said.vertical, said.vertical_unit_m) == ("EPSG:6668", Datum.JGD2011, 1.0)
