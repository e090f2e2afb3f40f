"""The slice end to end: survey, map, three plans, two drones over MAVLink, report. Nothing in it is a stand-in but
the aircraft."""

from __future__ import annotations

import json
import re

import pytest

from sims.demo import run
from utm.airspace import Airspace
from utm.errors import InputError
from utm.mapping import CityMap
from utm.model import IntentState


def check(result: dict, out) -> None:
    """What the demo promises, whatever the town."""
    asked, changed, refused = result["decisions"]
    assert (asked["status"], asked["document"]["as_asked"]) == ("approved", True)
    assert (changed["status"], changed["document"]["as_asked"]) == ("approved", False)
    assert changed["document"]["change"]["kind"] in ("delay", "height", "route")
    assert changed["document"]["reasons"][0]["code"] == "CONFLICT"
    assert refused["status"] == "refused"
    assert refused["document"]["reasons"][0]["code"] == "DESTINATION_IN_ZONE"
    assert refused["document"]["alternative"] is not None
    for flight in result["flights"]:
        assert flight["error"] is None
        assert flight["conformed"]
        assert flight["positions"] == flight["inside"] > 300
    assert [proof["holds"] for proof in result["proofs"]] == [True, True]
    assert result["separation"]["kept"]
    assert result["conforming"]
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["conforming"]
    names = {"plan.png", "separation.png", "profile-medicine.png", "profile-inspection.png"}
    assert {picture.name for picture in (out / "pictures").iterdir()} == names
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    with Airspace.open(out / "airspace") as airspace:
        assert {intent.state for intent in airspace.intents()} == {IntentState.ENDED}
        assert airspace.city_map.version == CityMap.open(out / "map").version


@pytest.mark.timeout(400)
def test_from_a_survey_to_two_flown_sky_roads(tmp_path):
    lines: list[str] = []
    out = tmp_path / "demo"
    check(run(out, seed=None, speed=12.0, tell=lines.append), out)
    assert any("landed and disarmed" in line for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 4, 9, 13, 20])
def test_other_towns(tmp_path, seed):
    out = tmp_path / "demo"
    check(run(out, seed=seed, speed=12.0, tell=lambda text: None), out)


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds thesis\.txt, which the demo did not write"):
        run(tmp_path, seed=None, speed=12.0, tell=lambda text: None)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "irreplaceable"


def test_a_survey_of_ones_own_is_not_taken_for_an_old_demo(tmp_path):
    cloud = tmp_path / "survey" / "flown-last-week.laz"
    cloud.parent.mkdir()
    cloud.write_bytes(b"irreplaceable")
    with pytest.raises(InputError, match=r"holds survey, which the demo did not write"):
        run(tmp_path, seed=None, speed=12.0, tell=lambda text: None)
    assert cloud.read_bytes() == b"irreplaceable"
