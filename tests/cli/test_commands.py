"""The command line as its users meet it: answers on stdout, the rest on stderr, exit codes that programs can trust."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.repo import ROOT, SAMPLE
from utm.cli.app import _TOP

EXAMPLE = str(ROOT / "docs" / "examples" / "medicine.json")
SOURCES = [str(SAMPLE / "dsm.tif"), "--terrain", str(SAMPLE / "dtm.tif")]


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Path:
    """The sample city from its rasters, coarse: the cloud has tests of its own."""
    from utm.mapping.ingest import build_map

    out = tmp_path_factory.mktemp("city") / "map"
    build_map([SAMPLE / "dsm.tif"], out, terrain=[SAMPLE / "dtm.tif"], resolution_m=4.0)
    return out


@pytest.fixture
def airspace(utm, city, tmp_path, monkeypatch) -> Path:
    path = tmp_path / "airspace"
    monkeypatch.setenv("UTM_AIRSPACE", str(path))
    assert utm("init", "--map", city)[0] == 0
    assert utm("zone", "add", SAMPLE / "zones.geojson")[0] == 0
    return path


def medicine(folder: Path, **changes) -> Path:
    """The example, on the next Tuesday that is a day away or more: the school is in."""
    document = json.loads((ROOT / "docs" / "examples" / "medicine.json").read_text(encoding="utf-8"))
    japan = datetime.timezone(datetime.timedelta(hours=9))
    day = datetime.datetime.now(japan).date() + datetime.timedelta(days=1)
    day += datetime.timedelta(days=(1 - day.weekday()) % 7)
    document |= {"earliest_departure": f"{day}T10:00:00+09:00", "latest_departure": f"{day}T10:20:00+09:00"}
    file = folder / "plan.json"
    file.write_text(json.dumps(document | changes), encoding="utf-8")
    return file


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = "import sys, utm.cli.app; print([m for m in ('numpy','numba','rasterio','sqlalchemy') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def all_commands() -> list[list[str]]:
    import click

    from utm.cli.app import app

    found = [[]]
    for name in _TOP:
        command = app.get_command(None, name)
        found.append([name])
        if isinstance(command, click.Group):
            found += [[name, sub] for sub in command.commands]
    return found


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(utm, words):
    code, out, _ = utm(*words, "--help")
    assert code == 0
    assert "Example:" in out


def test_a_day_at_the_office(utm, airspace, tmp_path):
    """The README's session, without the flight."""
    decided = utm.json("plan", "submit", medicine(tmp_path))
    assert decided["status"] == "approved"
    assert decided["as_asked"] is True
    first, last = decided["intent"]["route"][0], decided["intent"]["route"][-1]
    assert {"lon", "lat", "ellipsoid_m", "amsl_m", "agl_m", "time"} <= set(first)
    assert first["lon"] == pytest.approx(136.2964728, abs=1e-6)
    assert last["lon"] == pytest.approx(136.32724118, abs=1e-6)
    assert decided["intent"]["volumes"][0]["volume"]["altitude_lower"]["reference"] == "W84"
    assert decided["intent"]["clearances"]["obstacle_m"] >= 30.0
    assert utm.json("plan", "list")[0]["state"] == "Accepted"
    assert utm.json("plan", "show", "medicine")["intent"]["id"] == "medicine"
    assert [row["id"] for row in utm.json("monitor")] == ["medicine"]
    for form, word in (("plan", '"fileType": "Plan"'), ("geojson", "FeatureCollection"), ("kml", "<kml")):
        code, out, _ = utm("plan", "export", "medicine", "--format", form)
        assert code == 0
        assert word in out
    assert utm.json("plan", "cancel", "medicine")["state"] == "Ended"
    assert utm.json("monitor") == []


def test_several_files_are_decided_together(utm, airspace, tmp_path):
    (tmp_path / "b").mkdir()
    files = [medicine(tmp_path), medicine(tmp_path / "b", id="second")]
    decided = utm.json("plan", "submit", *files)
    assert [row["plan"] for row in decided["plans"]] == ["medicine", "second"]
    changes = [row["change"] for row in decided["plans"]]
    assert next(change for change in changes if change)["kind"] in ("delay", "height", "route")
    assert decided["delay_s"] <= decided["delay_in_turn_s"]
    assert decided["refused"] == 0


def test_a_plan_that_cannot_be_judged_does_not_hide_what_the_others_were_told(utm, airspace, tmp_path):
    (tmp_path / "b").mkdir()
    lost = {"lon": 10.0, "lat": 50.0, "height": {"value_m": 0, "datum": "AGL"}}
    files = [medicine(tmp_path), medicine(tmp_path / "b", id="second", origin=lost)]
    decided = utm.json("plan", "submit", *files, code=2)
    rows = decided["plans"]
    assert [(row["plan"], row["status"]) for row in rows] == [("medicine", "approved"), ("second", "error")]
    assert rows[1]["error"]["field"] == "origin"
    assert [row["id"] for row in utm.json("plan", "list")] == ["medicine"]


def test_a_refusal_is_exit_code_1_with_an_alternative(utm, airspace, tmp_path):
    # A Tuesday at ten: the school is in.
    gate = {"lon": 136.31873565, "lat": 36.30329109, "height": {"value_m": 9.375, "datum": "JGD2011"}}
    decided = utm.json("plan", "submit", medicine(tmp_path, destination=gate), code=1)
    assert decided["status"] == "refused"
    assert decided["reasons"][0]["code"] == "DESTINATION_IN_ZONE"
    again = tmp_path / "alternative.json"
    again.write_text(json.dumps(decided["alternative"]["plan"]), encoding="utf-8")
    assert utm.json("plan", "submit", again)["as_asked"] is True


def test_departing_at_another_time(utm, airspace, tmp_path):
    before = time.time()
    decided = utm.json("plan", "submit", medicine(tmp_path), "--depart", "+300")
    start = decided["intent"]["route"][0]["time"]
    assert time.strftime("%Y-%m-%dT%H:", time.gmtime(before + 300)) in start or "T" in start
    code, _, err = utm("plan", "submit", medicine(tmp_path, id="x"), "--depart", "+soon")
    assert code == 2
    assert "--depart" in err


def test_route_asks_nobody(utm, airspace):
    way = utm.json(
        "route", "--from", "136.2964728,36.29773264", "--to", "136.31316817,36.29309439", "--authorise", "did-centre"
    )
    assert way["length_m"] > 1500.0
    assert way["clearances"]["obstacle_m"] >= 30.0
    assert utm.json("plan", "list") == []


def test_positions_of_operators_with_their_own_ground_station(utm, airspace, tmp_path):
    route = utm.json("plan", "submit", medicine(tmp_path), "--depart", "+60")["intent"]["route"]
    assert utm.json("plan", "activate", "medicine")["state"] == "Activated"
    # Forty seconds after its departure: past its column, where heights differ less within its tolerance, and soon
    # enough not to be Contingent for its silence.
    times = [datetime.datetime.fromisoformat(point["time"]).timestamp() for point in route]
    names = ("lon", "lat", "amsl_m")
    middle = {name: float(np.interp(times[0] + 40.0, times, [point[name] for point in route])) for name in names}
    middle["time"] = datetime.datetime.fromtimestamp(times[0] + 40.0, datetime.UTC).isoformat()
    where = ["--lon", middle["lon"], "--lat", middle["lat"], "--time", middle["time"]]
    inside = utm.json("plan", "position", "medicine", *where, "--height", middle["amsl_m"], "--datum", "AMSL")
    assert inside["inside"] is True
    assert inside["cross_track_m"] < 0.1
    # The same number read as an ellipsoid height is 37 m lower: outside, and said so.
    outside = utm.json("plan", "position", "medicine", *where, "--height", middle["amsl_m"], "--datum", "WGS84", code=1)
    assert outside["inside"] is False
    assert outside["state"] == "Nonconforming"
    assert utm.json("monitor")[0]["inside"] is False
    assert utm.json("plan", "end", "medicine")["state"] == "Ended"


def test_zones_come_and_go(utm, airspace):
    assert {row["properties"]["id"] for row in utm.json("zone", "list")["features"]} == {
        "did-centre",
        "heliport",
        "school",
    }
    assert utm.json("zone", "remove", "school") == {"removed": "school"}
    assert utm("zone", "remove", "school")[0] == 1


def test_map_info_and_view(utm, city, tmp_path):
    facts = utm.json("map", "info", city)
    assert "JGD2011" in json.dumps(facts)
    picture = tmp_path / "city.png"
    assert utm("map", "view", city, "--out", picture, "--zones", SAMPLE / "zones.geojson")[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_map_build_says_what_it_built(utm, tmp_path):
    facts = utm.json("map", "build", *SOURCES, "--resolution", "8", "--out", tmp_path / "map")
    assert facts == utm.json("map", "info", tmp_path / "map")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["plan", "submit", "nowhere.json"], 2, "nowhere.json: cannot be read"),
        (["plan", "show", "ghost"], 1, "no plan ghost"),
        (["map", "info", "nowhere"], 2, "nowhere"),
        (["map", "build", "nowhere.tif", "--out", "m"], 2, "nowhere.tif"),
        (["init", "elsewhere", "--map", "nowhere"], 2, "nowhere"),
        (["route", "--from", "1", "--to", "2,3"], 2, "is not LON,LAT"),
        (["route", "--from", "136.3,95", "--to", "136.31,36.3"], 2, "latitude must lie between -90 and 90"),
        (["route", "--from", "10,50", "--to", "136.31,36.3"], 2, "map"),
        (["fly", "ghost", "--link", "udpin://127.0.0.1:1"], 1, "no plan ghost"),
        (["fly", "a", "b", "--link", "udpin://127.0.0.1:1"], 2, "2 flights need as many links"),
        (["fly", "a", "b", "--link", "udpin://127.0.0.1:1", "--link", "udpin://127.0.0.1:1"], 2, "two flights on one"),
        (["map", "build", "x.tif", "--out", "m", "--resolution", "1000"], 2, "0.1<=x<=25.0"),
        (["sim", "vehicle", "--home", "here"], 2, "--home"),
        (["plan", "fly"], 2, "No such command"),
        (["plan", "submit", EXAMPLE, "--depart", "+inf"], 2, "not a number of seconds"),
        (["init", "/proc/nowhere/a", "--map", "{city}"], 2, "/proc/nowhere"),
        (["init", "a", "--map", "{city}", "--database", "nonsense"], 3, "URL"),
        (["init", "a", "--map", "{city}", "--database", "birds://x"], 3, "not in 'birds'"),
        (["init", "a", "--map", "{city}", "--database", "mysql://x"], 3, "SQLite or PostgreSQL, not in 'mysql'"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(utm, airspace, city, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    words = [str(city) if word == "{city}" else word for word in words]
    left, out, err = utm(*words)
    assert left == code
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    if words[0] != "sim":  # which runs until Ctrl-C and has no answer
        assert utm.json(*words, code=code)["error"]["message"]


def test_a_road_exported_into_nowhere(utm, airspace, tmp_path):
    utm.json("plan", "submit", medicine(tmp_path), "--depart", "+60")
    code, _, err = utm("plan", "export", "medicine", "--format", "kml", "--out", tmp_path / "none" / "road.kml")
    assert code == 2
    assert "road.kml: cannot be used: No such file or directory" in err


def test_no_airspace_here(utm, tmp_path):
    code, _, err = utm("plan", "list", "--airspace", tmp_path / "none")
    assert code == 2
    assert "utm init" in err


def test_an_error_is_a_json_document_too(utm, airspace, tmp_path):
    document = utm.json(
        "plan", "submit", medicine(tmp_path, earliest_departure="2020-01-01T00:00:00Z", latest_departure=None), code=2
    )
    assert document["error"]["kind"] == "PlanError"
    assert document["error"]["file"].endswith("plan.json")
    assert document["error"]["field"] == "latest_departure"


def test_a_database_that_is_gone_is_exit_code_3(utm, airspace):
    (airspace / "airspace.db").unlink()
    code, _, err = utm("plan", "list")
    assert code == 3
    assert "is gone" in err


def test_a_link_where_nobody_answers_is_exit_code_3(utm, airspace, tmp_path):
    utm.json("plan", "submit", medicine(tmp_path), "--depart", "+60")
    code, out, err = utm("fly", "medicine", "--link", "udpin://127.0.0.1:14999", "--json")
    assert code == 3
    assert json.loads(out)[0]["conformed"] is False
    assert "medicine" in err
