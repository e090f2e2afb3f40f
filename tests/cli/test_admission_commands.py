"""Admission on the command line: priority, fleets, zones, emergencies, new maps, the clock, the log, the proof."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.repo import SAMPLE

#: Half a side of the zones that are entered here, degrees.
_HALF_DEG = 0.0006


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Path:
    """The sample city, coarse."""
    from utm.mapping.ingest import build_map

    out = tmp_path_factory.mktemp("city") / "map"
    build_map([SAMPLE / "dsm.tif"], out, terrain=[SAMPLE / "dtm.tif"], resolution_m=8.0)
    return out


class Desk:
    """An airspace and a folder of plans in it."""

    def __init__(self, folder: Path):
        self.folder, self.airspace = folder, folder / "airspace"
        features = json.loads((SAMPLE / "vertiports.geojson").read_text(encoding="utf-8"))["features"]
        self._pads = {
            one["properties"]["id"]: {
                "lon": one["geometry"]["coordinates"][0],
                "lat": one["geometry"]["coordinates"][1],
                "height": {"value_m": one["properties"]["height_m"], "datum": one["properties"]["datum"]},
            }
            for one in features
        }

    def plan(self, name: str, way: tuple[str, str], in_s: float = 1800.0, **changes) -> Path:
        """A plan file; it may depart within twenty minutes from so many seconds from now on."""
        start = datetime.datetime.fromtimestamp(round(time.time() + in_s), datetime.UTC)
        document = {
            "id": name,
            "operator": "Kaga medical centre",
            "aircraft": {"class": "quad"},
            "origin": self._pads[way[0]],
            "destination": self._pads[way[1]],
            "earliest_departure": start.isoformat(),
            "latest_departure": (start + datetime.timedelta(minutes=20)).isoformat(),
        }
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(document | changes), encoding="utf-8")
        return file

    def zone(self, name: str, lon: float, lat: float) -> Path:
        """A square zone file, from the ground to above every ceiling."""
        corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
        ring = [[lon + x * _HALF_DEG, lat + y * _HALF_DEG] for x, y in corners]
        heights = {name: {"value_m": value, "datum": "AGL"} for name, value in (("lower", 0), ("upper", 200))}
        feature = {
            "type": "Feature",
            "properties": {"id": name, "name": f"Works {name}", "restriction": "PROHIBITED", **heights},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        file = self.folder / f"{name}.geojson"
        file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
        return file


WAY = ("depot", "waterworks")


@pytest.fixture
def desk(utm, city, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("UTM_AIRSPACE", str(tmp_path / "airspace"))
    assert utm("init", "--map", city)[0] == 0
    return Desk(tmp_path)


def middle(utm: Shell, plan_id: str) -> tuple[float, float]:
    """Longitude and latitude of the middle of the longest leg of a granted way."""
    route = utm.json("plan", "show", plan_id)["intent"]["route"]
    legs = itertools.pairwise((point["lon"], point["lat"]) for point in route)
    here, there = max(legs, key=lambda leg: math.dist(*leg))
    return (here[0] + there[0]) / 2, (here[1] + there[1]) / 2


def proven(utm: Shell, *plan_ids: str) -> None:
    for plan_id in plan_ids:
        report = utm.json("verify", plan_id)
        assert (report["id"], report["holds"], report["faults"]) == (plan_id, True, [])
        assert {"terrain", "obstacle", "ceiling", "pad"} <= {line["kind"] for line in report["lines"]}


def test_the_operator_chooses_and_every_grant_is_proven_again(utm, desk):
    utm.json("plan", "submit", desk.plan("one", WAY))
    later = utm.json("plan", "submit", desk.plan("two", WAY), "--choose", "delay")
    assert later["change"]["kind"] == "delay"
    others = {other["kind"] for other in later["other_changes"]}
    assert others <= {"height", "route"}
    for choice in ("height", "route"):
        wish = desk.plan(choice, WAY)
        decided = utm.json("plan", "submit", wish, "--choose", choice, code=int(choice not in others))
        assert decided["status"] == ("approved" if choice in others else "refused")
    proven(utm, "one", "two", *others)
    code, out, err = utm("verify", "two")
    assert code == 0
    assert "obstacle" in out
    assert "one@" in out
    assert "every limit is proven" in err
    assert utm("plan", "submit", desk.plan("four", WAY), "--choose", "luck")[0] == 2


def test_show_prints_the_certificate_the_ways_out_the_energy_and_the_wind(utm, desk):
    assert utm("wind", "set", "270,3")[0] == 0
    utm.json("plan", "submit", desk.plan("one", WAY))
    code, out, err = utm("plan", "show", "one")
    assert (code, err) == (0, "")
    assert "first granted" not in out
    for words in ("approved as asked", "ceiling", "obstacle", "holds by (m)", "Wh of", "3 m/s from 270", "entry 1 "):
        assert words in out
    document = utm.json("plan", "show", "one")
    assert document["since"] == []
    assert document["wind"][0]["from_deg"] == 270
    for kind in {way["kind"] for way in document["intent"]["ways_out"]}:
        assert f"way out, {kind}" in out
    assert max(len(line) for line in out.splitlines()) <= 160
    utm("wind", "set", "90,5")
    assert utm.json("plan", "show", "one")["wind"] is None
    assert "not in force any more" in utm("plan", "show", "one")[1]


def test_rescue_goes_first_and_who_makes_way_is_told(utm, desk):
    utm.json("plan", "submit", desk.plan("one", WAY))
    doctor = desk.plan("doctor", WAY, operator="Doctor helicopter", priority=80)
    refused = utm.json("plan", "submit", doctor, code=2)
    assert refused["error"]["field"] == "priority"
    assert utm.json("plan", "show", "doctor")["status"] == "error"
    code, out, _ = utm("plan", "show", "doctor")
    assert (code, "rescue services" in out) == (0, True)
    code, out, _ = utm("plan", "submit", doctor, "--as", "rescue:119")
    assert code == 0
    assert "displaces Kaga medical centre's one" in out
    shown = utm.json("plan", "show", "one")
    (became,) = shown["since"]
    assert became["for"]["subject"] == "doctor"
    assert became["for"]["actor"] == {"name": "119", "role": "rescue"}
    assert shown["intent"]["version"] == 2
    out = utm("plan", "show", "one")[1]
    assert "for plan doctor, rescue 119" in out
    assert "as it was first granted" in out
    proven(utm, "one", "doctor")
    assert utm("plan", "submit", doctor, "--as", "king")[0] == 2
    assert utm("plan", "cancel", "one", "--as", "operator:nobody")[0] == 1


def test_a_fleet_is_decided_together_and_each_can_be_shown(utm, desk):
    ways = {"a": WAY, "b": WAY, "c": ("waterworks", "depot")}
    decided = utm.json("plan", "submit", *(desk.plan(name, way) for name, way in ways.items()), "--seed", "7")
    assert decided["delay_s"] <= decided["delay_in_turn_s"]
    for name in ways:
        shown = utm.json("plan", "show", name)
        assert (shown["plan"], shown["status"]) == (name, "approved")
        assert shown["receipt"]["seq"] == 1
    proven(utm, *ways)
    assert "3 of 3 approved" in utm("audit", "log")[1]


def test_zones_and_emergencies_lead_flights_out_of_their_way(utm, desk):
    utm.json("plan", "submit", desk.plan("one", WAY))
    utm.json("plan", "submit", desk.plan("far", ("station", "hospital"), 7200.0, operator="Other"))
    place = middle(utm, "one")
    entered = utm.json("zone", "add", desk.zone("works", *place))
    assert [(move["id"], move["kind"]) for move in entered["touched"]] == [("one", "replanned")]
    proven(utm, "one", "far")
    closed = utm.json("emergency", desk.zone("fire", place[0] + 2.5 * _HALF_DEG, place[1]), "--as", "rescue:119")
    assert closed["zones"] == ["fire"]
    assert set(closed["touched"]) <= {"one"}
    assert [move["id"] for move in closed["moved"]] == closed["touched"]
    proven(utm, "one", "far")
    kinds = [row["for"]["kind"] for row in utm.json("plan", "show", "one")["since"]]
    assert kinds == ["zones", *("way" for _ in closed["touched"])]
    refused = utm.json("emergency", desk.zone("mine", *place), "--as", "operator:me", code=1)
    assert "for the city or rescue" in refused["error"]["message"]
    code, _, err = utm("emergency", desk.zone("all", *place))
    assert code == 0
    assert "closed:" in err
    assert "empty:" in err
    shut = utm.json("zone", "add", desk.zone("pad", 136.31091939, 36.30633568))
    assert [(move["id"], move["kind"]) for move in shut["touched"]] == [("one", "withdrawn")]
    code, out, _ = utm("plan", "show", "one")
    assert "withdrawn" in out
    assert "Ended" in out


def test_another_map(utm, desk, city, tmp_path, monkeypatch):
    own = tmp_path / "own"
    shutil.copytree(city, own)
    monkeypatch.setenv("UTM_AIRSPACE", str(tmp_path / "over-own"))
    assert utm("init", "--map", own)[0] == 0
    utm.json("plan", "submit", desk.plan("one", WAY))
    already = utm.json("airspace", "rebase", code=1)
    assert "stands on version" in already["error"]["message"]
    lon, lat = middle(utm, "one")
    mast = tmp_path / "mast.geojson"
    feature = {
        "type": "Feature",
        "properties": {"id": "mast", "kind": "mast", "datum": "AGL", "height_m": 90.0, "radius_m": 10.0}
        | {"uncertainty_m": 0.5},
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
    }
    mast.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    code, _, err = utm("map", "update", own, mast)
    assert code == 0, err
    rebased = utm.json("airspace", "rebase")
    assert rebased["before"] != rebased["after"]
    assert [move["id"] for move in rebased["touched"]] == ["one"]
    proven(utm, "one")
    assert utm("airspace", "rebase", "--version", "0" * 64)[0] in (1, 2)


def test_the_clock_ends_who_did_not_depart(utm, desk):
    assert utm.json("airspace", "upkeep") == {"no_shows": [], "extended": [], "displaced": []}
    assert "nothing to do" in utm("airspace", "upkeep")[2]
    assert utm("monitor")[1] == "nothing is live\n"
    assert utm("monitor", "--follow", "--json")[0] == 2


def test_a_monitor_that_follows_speaks_into_a_pipe_at_once(utm, desk):
    utm.json("plan", "submit", desk.plan("one", WAY))
    code = "from utm.cli.app import run; run()"
    command = [sys.executable, "-c", code, "monitor", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as running:
        try:
            assert any("one" in line for line in running.stdout)
        finally:
            running.terminate()


def test_the_log_is_shown_verified_and_decided_again(utm, desk, tmp_path):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(utm.json("plan", "submit", desk.plan("one", WAY))), encoding="utf-8")
    utm.json("plan", "submit", desk.plan("two", WAY))
    utm.json("plan", "cancel", "two")
    rows = utm.json("audit", "log")
    assert [(row["seq"], row["kind"]) for row in rows] == [(1, "plan"), (2, "plan"), (3, "state")]
    assert [row["seq"] for row in utm.json("audit", "log", "--subject", "two", "--after", "2")] == [3]
    held = utm.json("audit", "verify", "--receipt", kept)
    assert held == {"entries": 3, "receipts": 1, "holds": True, "faults": []}
    assert "each as it was written and signed" in utm("audit", "verify")[2]
    assert utm.json("audit", "replay") == {"entries": 3, "same": True, "differing": []}
    assert utm.json("audit", "verify", "--receipt", desk.plan("none", WAY), code=2)["error"]["file"].endswith(
        "none.json"
    )

    with sqlite3.connect(desk.airspace / "airspace.db") as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            database.execute(f'DROP TRIGGER "{name}"')
        (text,) = database.execute("SELECT body FROM log WHERE seq = 2").fetchone()
        database.execute("UPDATE log SET body = ? WHERE seq = 2", (text.replace("approved", "Approved", 1),))
    database.close()
    found = utm.json("audit", "verify", code=1)
    assert found["holds"] is False
    assert 2 in {fault["seq"] for fault in found["faults"]}
    code, out, err = utm("audit", "verify")
    assert (code, out) == (1, "")
    assert "entry 2:" in err


def test_what_cannot_be_proven(utm, desk):
    assert "no plan ghost" in utm.json("verify", "ghost", code=1)["error"]["message"]
    assert "no plan ghost" in utm.json("plan", "show", "ghost", code=1)["error"]["message"]
