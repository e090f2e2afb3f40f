"""What people see: lines beside bars, tables of facts, news of flights."""

from __future__ import annotations

import io
import json
import sys

from rich.console import Console

from tests.cli.test_commands import airspace, city, medicine  # noqa: F401
from utm.cli import output
from utm.cli.fly import _news, _sightings_table
from utm.cli.map_change import print_facts
from utm.ops.flight import Phase, Update


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_said_beside_progress_bars_is_printed_above_them(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress("map") as update:
        assert update is not None
        update("terrain", 1, 2)
        assert isinstance(output._held, Console)
        output.say("a line", label="sim", style="cyan")
        update("terrain", 2, 2)
    assert output._held is None
    assert "a line" in terminal.getvalue()
    # The last drawing holds the bar alone: the line stands above it and is not drawn again.
    assert "a line" not in terminal.getvalue().rpartition("map: terrain")[2]


def test_facts_are_one_row_each_unless_they_are_lists_of_things(capsys):
    print_facts({"size": [2000, 1000], "sources": [{"file": "a"}, {"file": "b"}]})
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert any(line.split() == ["size", "2000", "1000"] for line in lines)
    assert any(line.split() == ["file", "b"] for line in lines)


def test_the_flight_is_named_once():
    assert _news(Update("med", Phase.FAILED, "med: not in the air")) == "med: not in the air"
    assert _news(Update("med", Phase.ARMED, "armed")) == "med: armed"


def test_a_flight_not_yet_seen_shows_nothing_rather_than_none(capsys):
    seen = {
        "id": "b",
        "operator": "o",
        "state": "Nonconforming",
        "seen": "2026-11-22T15:21:22.696Z",
        "lon": 136.3,
        "lat": 36.3,
        "amsl_m": 80.0,
        "cross_track_m": 26.5,
        "height_error_m": -0.25,
        "inside": False,
        "advice": "c: predicted in 12 s, 8 m apart; b and c: b: climb 10",
    }
    rows = [dict.fromkeys(seen) | {"id": "a"}, seen]
    output.console().print(_sightings_table(rows))
    out = capsys.readouterr().out
    assert "None" not in out
    assert "15:21:22Z" in out
    assert "OUTSIDE" in out
    assert "climb 10" in " ".join(out.split())


def test_a_plan_filed_under_another_id(utm, airspace, tmp_path):  # noqa: F811
    file = medicine(tmp_path)
    assert utm.json("plan", "submit", file)["plan"] == "medicine"
    assert utm.json("plan", "submit", file, "--id", "second")["plan"] == "second"
    assert utm("plan", "submit", file, file, "--id", "third")[0] == 2
    code, _, err = utm("plan", "submit", file, "--id", "no good")
    assert code == 2
    assert "--id: id" in err


def test_an_export_and_the_schema_as_one_document(utm, airspace, tmp_path):  # noqa: F811
    utm.json("plan", "submit", medicine(tmp_path))
    written = utm.json("plan", "export", "medicine", "--format", "plan")
    assert json.loads(written["text"])["fileType"] == "Plan"
    assert utm.json("plan", "export", "medicine", "--format", "kml", "--out", tmp_path / "a.kml")["file"].endswith(
        "kml"
    )
    assert utm.json("plan", "schema")["title"]


def test_a_vehicle_stands_on_a_pad_or_somewhere(utm):
    code, _, err = utm("sim", "vehicle", "--for", "a", "--home", "136.3,36.3,10")
    assert code == 2
    assert "leave out --home" in err
