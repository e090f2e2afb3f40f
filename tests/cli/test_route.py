"""``utm route`` as its users meet it: a way with all its figures, why there is none, and pictures of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Shell
from tests.cli.test_commands import airspace, city, medicine  # noqa: F401 - fixtures
from utm.airspace.places import Refusal
from utm.airspace.relaxation import Relaxation

HOSPITAL, DEPOT, HALL = "136.2964728,36.29773264", "136.31091939,36.30633568", "136.32724118,36.30028686"
#: A Tuesday morning: the school is in.
AT = ("--at", "2026-10-20T10:00:00+09:00")
ASK = ("route", "--from", HOSPITAL, "--to", DEPOT, "--authorise", "did-centre", *AT)

NUMBER, WORDS = {"type": "number"}, {"type": "string", "minLength": 1}


def exactly(**fields) -> dict:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


WIND = exactly(
    from_deg=NUMBER,
    speed_m_s=NUMBER,
    levels={"type": "array", "items": exactly(up_m=NUMBER, from_deg=NUMBER, speed_m_s=NUMBER), "minItems": 1},
)
POINT = exactly(lon=NUMBER, lat=NUMBER, ellipsoid_m=NUMBER, amsl_m=NUMBER, agl_m=NUMBER, time=WORDS)
FOUND = exactly(
    status={"const": "found"},
    length_m=NUMBER,
    over_ground_m=NUMBER,
    straight_m=NUMBER,
    flight_s=NUMBER,
    departure=WORDS,
    arrival=WORDS,
    objective={"enum": ["length", "time", "energy"]},
    cost=NUMBER,
    energy=exactly(used_wh=NUMBER, usable_wh=NUMBER, battery_wh=NUMBER, reserve_wh=NUMBER, left_share=NUMBER),
    clearances=exactly(obstacle_m=NUMBER, floor_m=NUMBER, ceiling_m=NUMBER),
    tube=exactly(horizontal_m=NUMBER, vertical_m=NUMBER),
    search=exactly(expansions={"type": "integer"}, voxel_m=NUMBER),
    zones_avoided={"type": "array", "items": WORDS},
    wind={"anyOf": [{"type": "null"}, WIND]},
    layers={"type": "array", "items": exactly(name=WORDS, kind=WORDS, weight=NUMBER)},
    route={"type": "array", "items": POINT, "minItems": 4},
)
OPENS = exactly(
    constraint=WORDS,
    sentence=WORDS,
    amount={"type": ["number", "null"]},
    unit={"type": "string"},
    until={"type": ["string", "null"]},
)
NO_WAY = exactly(
    status={"const": "no way"},
    reason=exactly(code=WORDS, sentence=WORDS),
    relaxation={"anyOf": [{"type": "null"}, OPENS]},
)


def test_everything_about_a_way(utm: Shell, airspace: Path):  # noqa: F811
    told = utm.json(*ASK)
    jsonschema.validate(told, FOUND)
    first, last = told["route"][0], told["route"][-1]
    assert (first["lon"], first["lat"]) == pytest.approx((136.2964728, 36.29773264), abs=1e-7)
    assert (last["lon"], last["lat"]) == pytest.approx((136.31091939, 36.30633568), abs=1e-7)
    assert (first["time"], last["time"]) == (told["departure"], told["arrival"])
    assert told["departure"] == "2026-10-20T01:00:00.000Z"
    assert told["straight_m"] <= told["over_ground_m"] < told["length_m"]
    assert told["clearances"]["obstacle_m"] >= 30.0
    assert told["clearances"]["ceiling_m"] >= 0.0
    energy = told["energy"]
    assert energy["usable_wh"] == pytest.approx(energy["battery_wh"] - energy["reserve_wh"], abs=0.02)
    assert energy["left_share"] == pytest.approx(1 - energy["used_wh"] / energy["battery_wh"], abs=1e-3)
    assert told["wind"] is None
    assert set(told["zones_avoided"]) == {"school", "heliport"}
    assert utm.json("plan", "list") == []  # nobody was asked


def test_a_person_reads_it_in_five_seconds(utm: Shell, airspace: Path):  # noqa: F811
    told = utm.json(*ASK)
    code, out, _ = utm(*ASK)
    assert code == 0
    table, _, summary = out.partition("\n\n")
    assert len(table.splitlines()) == 1 + len(told["route"])
    lines = {line.split()[0]: line for line in summary.splitlines()}
    assert set(lines) == {"length", "time", "energy", "keeps", "flown", "zones", "wind", "least", "search"}
    longer = told["over_ground_m"] / told["straight_m"] - 1
    assert f"{longer:+.1%} against the straight line" in lines["length"]
    assert f"{told['energy']['used_wh']:.1f} of 96.0 Wh usable" in lines["energy"]
    assert f"{told['clearances']['obstacle_m']:.0f} m from every object" in lines["keeps"]
    assert "kept out of heliport, school" in lines["zones"]
    assert "calm" in lines["wind"]
    assert max(map(len, out.splitlines())) <= 120


def test_the_wind_is_where_it_comes_from(utm: Shell, airspace: Path):  # noqa: F811
    calm = utm.json(*ASK)
    behind = utm.json(*ASK, "--wind", "240,6")  # the depot lies to the north-east
    against = utm.json(*ASK, "--wind", "60,11")
    assert (behind["wind"]["from_deg"], behind["wind"]["speed_m_s"]) == pytest.approx((240, 6))
    # Of the 15 m/s that it makes through the air 4 are left; a wind from behind does not hurry a cruise of 8 m/s
    assert against["flight_s"] > 1.4 * behind["flight_s"]
    assert behind["flight_s"] == pytest.approx(calm["flight_s"], rel=0.15)
    assert behind["energy"] != calm["energy"]
    _, out, _ = utm(*ASK, "--wind", "240,6")
    assert "6 m/s from 240 degrees" in out
    assert utm("wind", "set", "240,6")[0] == 0
    assert utm.json(*ASK)["energy"] == behind["energy"]  # the airspace's forecast, unless said otherwise
    assert utm.json(*ASK, "--wind", "0,0")["energy"] == calm["energy"]


def test_way_points_in_order(utm: Shell, airspace: Path):  # noqa: F811
    vias = ((136.303, 36.296, None), (136.312, 36.3005, 90.0))
    words = [word for lon, lat, up in vias for word in ("--via", f"{lon},{lat}" + ("" if up is None else f",{up}"))]
    route = utm.json(*ASK, *words)["route"]
    met = []
    for lon, lat, up in vias:
        away = [abs(point["lon"] - lon) * 90e3 + abs(point["lat"] - lat) * 111e3 for point in route]
        met.append(min(range(len(route)), key=away.__getitem__))
        assert away[met[-1]] < 30.0  # the turn is rounded
        assert up is None or any(abs(point["agl_m"] - up) < 3 for point in route)
    assert met == sorted(met)


def test_what_is_made_least(utm: Shell, airspace: Path):  # noqa: F811
    for name in ("length", "time", "energy"):
        told = utm.json(*ASK, "--minimise", name)
        assert told["objective"] == name
        assert told["cost"] > 0
    assert utm.json(*ASK)["objective"] == "length"


def test_a_filed_plans_wish(utm: Shell, airspace: Path, tmp_path):  # noqa: F811
    plan = medicine(tmp_path)
    told = utm.json("route", plan)
    assert told["departure"] == json.loads(plan.read_text())["earliest_departure"].replace("+09:00", "Z").replace(
        "T10:00:00Z", "T01:00:00.000Z"
    )
    decided = utm.json("plan", "submit", plan)
    assert decided["intent"]["route"] == told["route"]
    later = utm.json("route", plan, "--at", "2026-10-20T12:00:00+09:00", "--minimise", "energy")
    assert (later["departure"], later["objective"]) == ("2026-10-20T03:00:00.000Z", "energy")


def test_no_way_is_an_answer(utm: Shell, airspace: Path):  # noqa: F811
    words = ("route", "--from", HOSPITAL, "--to", DEPOT, *AT)  # without leave for the district
    told = utm.json(*words, code=1)
    jsonschema.validate(told, NO_WAY)
    assert told["reason"]["code"] == "ORIGIN_IN_ZONE"
    code, out, err = utm(*words)
    assert (code, out) == (1, "")
    assert err.startswith("no way: ")
    assert "Densely inhabited district" in err


def test_what_would_open_a_way_is_said_beneath(utm: Shell, airspace: Path, monkeypatch):  # noqa: F811
    from utm.airspace import Airspace

    opens = Relaxation("zone:school", "From 16:00 on the zone is not in force.", until_s=1_792_479_600.0)

    def refuse(*_args, **_kwargs):
        raise Refusal("ZONES_CLOSE", "Without Katayama primary school there would be a way.", opens)

    monkeypatch.setattr(Airspace, "route_answer", refuse)
    told = utm.json(*ASK, code=1)
    jsonschema.validate(told, NO_WAY)
    assert told["relaxation"]["constraint"] == "zone:school"
    assert told["relaxation"]["until"] == "2026-10-20T07:00:00.000Z"
    code, out, err = utm(*ASK)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "no way: Without Katayama primary school there would be a way.",
        "would open: From 16:00 on the zone is not in force.",
    ]


def test_a_way_that_cannot_be_flown_is_no_way(utm: Shell, airspace: Path, tmp_path):  # noqa: F811
    plan = medicine(tmp_path, aircraft={"class": "quad", "endurance_s": 60})
    told = utm.json("route", plan, code=1)
    jsonschema.validate(told, NO_WAY)
    assert "60 s" in told["reason"]["sentence"]
    assert utm("route", plan, "--out", tmp_path / "way.png")[0] == 1
    assert not (tmp_path / "way.png").exists()


@pytest.mark.parametrize("name", ["way.png", "way.HTML"])
def test_pictures(utm: Shell, airspace: Path, tmp_path, name):  # noqa: F811
    out = tmp_path / name
    told = utm.json(*ASK, "--out", out)
    assert told["picture"] == str(out)
    content = out.read_bytes()
    assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<!doctype html>")
    assert len(content) > 100_000
    if name.endswith("HTML"):
        assert f"{told['clearances']['obstacle_m']:.0f} m from every object" in content.decode("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["route"], "say --from and --to, or give a PLAN file"),
        (["route", "--from", HOSPITAL], "say --from and --to"),
        (["route", "plan.json", "--from", HOSPITAL], "leave these options out"),
        (["route", "nowhere.json"], "cannot be read"),
        ([*ASK, "--via", "136.3"], "is not LON,LAT or LON,LAT,HEIGHT"),
        ([*ASK, "--via", "136.3,36.3,high"], "is not a height"),
        ([*ASK, "--via", "136.3,36.3,-5"], "is not a height"),
        ([*ASK, "--via", "10.0,50.0"], "off the map"),
        ([*ASK, "--wind", "west"], "is not DIRECTION,SPEED"),
        ([*ASK, "--wind", "270,500"], "between 0 and 100 m/s"),
        ([*ASK, "--minimise", "money"], "money"),
        ([*ASK, "--aircraft", "zeppelin"], "unknown aircraft class"),
        ([*ASK, "--at", "noon"], "Write it like"),
        ([*ASK, "--at", "9999-12-31T23:59:59Z"], "from 1970 to 2999"),
        ([*ASK, "--authorise", "didcentre"], "no such geo-zone"),
        ([*ASK, "--out", "way.pdf"], "neither .png nor .html"),
        ([*ASK, "--out", "nowhere/way.png"], "there is no folder nowhere"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else None,
)
def test_what_cannot_be_used_is_said(utm: Shell, airspace: Path, tmp_path, monkeypatch, words, message):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    code, out, err = utm(*words)
    assert code == 2
    assert message in err
    assert out == ""
    assert utm.json(*words, code=2)["error"]["message"]


def test_a_way_is_found_without_drawing_libraries(utm: Shell, airspace: Path):  # noqa: F811
    heavy = ("matplotlib", "rich", "jinja2", "zarr", "dask", "open3d", "mavsdk", "pandas", "networkx")
    code = (
        f"import sys; sys.argv = ['utm', *{list(ASK)!r}, '--json', '-A', {str(airspace)!r}]\n"
        "from utm.cli.app import run\n"
        "try:\n    run()\nexcept SystemExit as left:\n    assert not left.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"
