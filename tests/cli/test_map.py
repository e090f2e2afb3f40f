"""``utm map``: a map's whole life on the command line."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from tests.mapping.conftest import survey  # noqa: F401
from tests.mapping.survey_files import SOUTH, WEST, plain, write_laz, write_tif
from utm.cli import output
from utm.mapping import CityMap
from utm.mapping.concerns import concerns

pytestmark = pytest.mark.usefixtures("survey")


@pytest.fixture
def town(utm, survey, tmp_path):  # noqa: F811
    """A map built on the command line."""
    out = tmp_path / "town"
    code, _, err = utm(
        "map", "build", survey.dsm, survey.cloud, "--terrain", survey.dtm, "--out", out, "--workers", "1", "--json"
    )
    assert code == 0, err
    return out


def test_a_build_says_what_a_person_should_know(utm, survey, tmp_path):  # noqa: F811
    words = ["map", "build", survey.dsm, survey.cloud, "--terrain", survey.dtm, "--workers", "1", "--out"]
    code, _, err = utm(*words, tmp_path / "a")
    assert code == 0
    for words_said in ("seen by no survey", "outlier filter doubts", "error is not stated", "Nobody says when"):
        assert words_said in err
    code, _, err = utm(*words, tmp_path / "b", "--surveyed", "2026-05-01", "--survey-error", "0.1")
    assert code == 0
    assert "not stated" not in err
    assert "Nobody says" not in err
    assert utm.json("map", "info", tmp_path / "b")["survey_dates"]["newest"] == "2026-05-01"


def test_options_reach_the_map(utm, survey, tmp_path):  # noqa: F811
    options = ["--unknown", "open", "--unknown-margin", "3", "--ground", "filter", "--no-outlier-filter",
               "--map-crs", "EPSG:6675", "--as-of", "2026-01-01", "--resolution", "2", "--workers", "1"]  # fmt: skip
    facts = utm.json("map", "build", survey.dsm, "--terrain", survey.dtm, *options, "--out", tmp_path / "m")
    wanted = {"unknown": "open", "unknown_margin_m": 3.0, "ground": "filter", "outliers": False, "as_of": "2026-01-01"}
    assert {name: facts["parameters"][name] for name in wanted} == wanted
    assert facts["resolution_m"] == 2.0


def test_update_diff_versions_and_verify(utm, town, tmp_path):
    before = utm.json("map", "info", town)["version"]
    raised = plain()
    raised[60:80, 10:30] += 20
    new = write_tif(tmp_path / "new.tif", raised)
    where = tmp_path / "changed.geojson"
    told = utm.json("map", "update", town, new, "--surveyed", "2026-10-01", "--workers", "1", "--geojson", where)
    assert told["parent"] == before
    assert told["difference"]["newly_blocked_m3"] > 5000
    assert json.loads(where.read_text(encoding="utf-8"))["type"] == "FeatureCollection"
    rows = utm.json("map", "versions", town)
    assert [row["version"] for row in rows] == [told["version"], before]
    assert utm("map", "versions", town)[1].count(before[:12]) == 2  # as a version and as a parent
    again = utm.json("map", "diff", f"{town}@{before[:8]}", town)
    assert again["newly_blocked_m3"] == pytest.approx(told["difference"]["newly_blocked_m3"])
    code, out, _ = utm("map", "diff", f"{town}@{before[:8]}", town)
    assert code == 0
    assert "newly_blocked_m3" in out
    assert utm.json("map", "verify", town)["intact"] is True
    assert utm("map", "update", town)[0] == 2
    for tile in (town / "tiles").glob("*/surface.tif"):
        whole = tile.read_bytes()
        tile.write_bytes(whole[: len(whole) // 2] + bytes(200) + whole[len(whole) // 2 + 200 :])
    assert utm("map", "verify", town)[0] == 2


def test_a_survey_held_against_a_map(utm, survey, town, tmp_path):  # noqa: F811
    told = utm.json("map", "check", town, survey.dsm, survey.cloud)
    assert told["in_free"] == 0
    assert told["points"] > 10_000
    tower = np.column_stack([np.full(60, WEST + 30.5), SOUTH + np.linspace(29, 31, 60), np.linspace(10, 45, 60)])
    cloud = write_laz(tmp_path / "tower.laz", tower)
    where = tmp_path / "free.geojson"
    told = utm.json("map", "check", town, cloud, "--geojson", where, code=1)
    assert told["in_free"] > 0
    assert json.loads(where.read_text(encoding="utf-8"))["features"]
    code, _, err = utm("map", "check", town, cloud)
    assert code == 1
    assert "do not fly on it" in err


def test_suspects_are_cleared_by_somebody_for_a_reason(utm, town):
    from utm.mapping import CityMap

    opened = CityMap.open(town)
    status = opened.layer("status", 0, 0, *opened.size)
    ix, iy = np.argwhere(status & 16)[0]
    lon, lat = opened.frame.to_lonlat(ix + 0.5, iy + 0.5)
    at = ["--at", f"{float(lon):.8f},{float(lat):.8f}", "--radius", "0.6", "--reason", "a bird"]
    told = utm.json("map", "clear", town, *at, "--by", "A. Sato")
    assert told["cells_cleared"] >= 1
    assert utm.json("map", "info", town)["cleared"][0]["by"] == "A. Sato"
    assert utm("map", "clear", town, *at, "--by", "A. Sato")[0] == 2, "nothing is left there"
    assert utm("map", "clear", town, *at)[0] == 2, "nobody answers for it"
    assert utm("map", "clear", town, "--by", "A. Sato", "--reason", "x")[0] == 2, "nowhere"


def test_pictures_pages_and_profiles(utm, town, tmp_path):
    for layer in ("surface", "status"):
        told = utm.json("map", "view", town, "--out", tmp_path / "m.png", "--layer", layer)
        assert told["bytes"] == (tmp_path / "m.png").stat().st_size
    assert utm("map", "view", town, "--out", tmp_path / "m.html", "--language", "ja", "--title", "町")[0] == 0
    assert "<title>町</title>" in (tmp_path / "m.html").read_text(encoding="utf-8")
    assert utm("map", "view", town, "--out", tmp_path / "m.pdf")[0] == 2
    box = utm.json("map", "info", town)["west_south_east_north_deg"]
    ends = ["--from", f"{box[0] + 2e-4},{box[1] + 2e-4}", "--to", f"{box[2] - 2e-4},{box[3] - 2e-4}"]
    cut = utm.json("map", "profile", town, *ends, "--clearance", "10", "--out", tmp_path / "p.png")
    assert cut["rules"]["clearance_m"] == 10
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert utm("map", "profile", town, *ends)[0] == 2
    assert utm("map", "profile", town, "--from", "here", "--to", "136,36", "--out", tmp_path / "q.png")[0] == 2


def test_nothing_to_say_of_a_map_that_leaves_nothing_open():
    source = {"file": "a.tif", "kind": "raster", "role": "surface", "error_m": 0.1, "surveyed": "2026-05-01"}
    meta = {"counts": {"cells": 100}, "parameters": {"unknown": "nearby", "outliers": True}, "sources": [source]}
    assert concerns(meta) == []
    many = [source | {"file": f"{n}.tif", "surveyed": None} for n in range(5)]
    assert "0.tif, 1.tif, 2.tif and 2 more" in concerns(meta | {"sources": many})[0]
    assert concerns(meta | {"sources": [*many[:0], source | {"surveyed": None, "withdrawn": True}]}) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (3.26, "3.3"), (950, "950"), (9_999, "9999"), (12_345, "12.3k"), (999_900, "1M"),
     (4_560_000, "4.56M"), (123e6, "123M"), (2e9, "2G")],
)  # fmt: skip
def test_numbers_in_si(number, text):
    assert output.si(number) == text


def test_bars_say_how_fast(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with output.progress("map") as update:
        assert update is not None
        for done in (10_000, 2_500_000, 1_000_000, 5_000_000):  # threads report out of order
            update("read points", done, 5_000_000)
        update("check survey.laz", 1, 2)
    said = terminal.getvalue()
    assert "5M/5M" in said
    assert "points/s" in said
    assert output.unit_of("check survey.laz") == "parts"


def test_a_check_that_held_nothing_is_not_passed(utm, town, tmp_path):
    elsewhere = write_tif(tmp_path / "elsewhere.tif", plain(10, 10), west=WEST + 9000)
    code, out, err = utm("map", "check", town, elsewhere)
    assert code == 1
    assert "nothing was held against it" in out + err


def test_an_update_that_changes_nothing_says_so(utm, tmp_path):
    """The map's first version follows none; the sentence was cut from nothing."""
    files = [write_tif(tmp_path / name, plain()) for name in ("dsm.tif", "dtm.tif")]
    out = tmp_path / "flat"
    code, _, err = utm("map", "build", files[0], "--terrain", files[1], "--out", out, "--workers", "1")
    assert code == 0, err
    code, said, err = utm("map", "update", out, "--terrain", files[1], "--workers", "1")
    assert code == 0, err
    assert "nothing changed" in said + err


def test_what_no_map_can_be_is_refused(utm, survey, town, tmp_path):  # noqa: F811
    """Older versions never change, surveys lie in the past, and a profile is a PNG."""
    old = f"{town}@{utm.json('map', 'info', town)['version'][:8]}"
    why = ("--radius", "5", "--by", "A", "--reason", "B")
    for words, said in (
        (("update", old, survey.cloud), "versions never change"),
        (("clear", old, "--at", "136.3,36.3", *why), "versions never change"),
        (("build", survey.dsm, "--out", tmp_path / "a@b"), "stands for a version"),
        (("update", town, survey.cloud, "--surveyed", "2999-01-01"), "yet to come"),
        (("clear", town, "--at", "36.3,136.3", *why), "longitude first"),
        (("clear", town, "--at", "nan,36.3", *why), "longitude must lie"),
        (("profile", town, "--from", "136.3,36.3", "--to", "136.31,36.3", "--out", tmp_path / "p.jpg"), "not .png"),
    ):
        code, _, err = utm("map", *words)
        assert code == 2, words
        assert said in err
    assert utm.json("map", "info", town)["versions"] == 1
    assert not list(tmp_path.glob("*@*"))
    code, _, err = utm("map", "info", old)
    assert code == 0, err


def test_an_airspace_says_that_its_map_has_moved_on(utm, town, tmp_path):
    airspace = tmp_path / "airspace"
    assert utm("init", airspace, "--map", town)[0] == 0
    width, height = utm.json("map", "info", town)["extent_m"]
    frame = CityMap.open(town).frame
    ends = [",".join(map(str, map(float, frame.to_lonlat(width * share, height * 0.487)))) for share in (0.413, 0.607)]
    ask = ("route", "--from", ends[0], "--to", ends[1], "-A", airspace)
    assert "moved on" not in utm(*ask)[2]
    raised = plain()
    raised[60:80, 10:30] += 20
    new = write_tif(tmp_path / "new.tif", raised)
    assert utm("map", "update", town, new, "--workers", "1")[0] == 0
    assert "moved on" in utm(*ask)[2]


def test_a_check_tells_what_was_cleared_apart(utm, town, survey, tmp_path):  # noqa: F811
    """A person's word against the survey's: neither is kept from the other."""
    frame = CityMap.open(town).frame
    lon, lat = map(float, frame.to_lonlat(*(extent / 2 for extent in utm.json("map", "info", town)["extent_m"])))
    words = ("--at", f"{lon},{lat}", "--radius", "1000", "--by", "A. Sato", "--reason", "birds")
    assert utm("map", "check", town, survey.cloud)[0] == 0
    assert utm("map", "clear", town, *words)[0] == 0
    code, _, err = utm("map", "check", town, survey.cloud)
    assert code == 0
    assert "where a person cleared suspects" in err
    told = utm.json("map", "check", town, survey.cloud)
    assert told["cleared"] > 0
    assert told["in_free"] == 0
