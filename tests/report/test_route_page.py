"""The page of a way: it needs no network, says what the command says, and runs in a browser where there is one."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.report.made_way import made_way, zone
from utm.mapping import CityMap
from utm.model import Wind
from utm.report.route_page import page_text, route_page


def carried(text: str) -> tuple[dict, dict]:
    """The data of the cut and of the 3-D view."""
    cut = json.loads(re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[0])
    inner = html.unescape(re.findall(r'srcdoc="(.*?)"></iframe>', text, re.DOTALL)[0])
    city = json.loads(re.findall(r'<script id="city" type="application/json">(.*?)</script>', inner, re.DOTALL)[0])
    return cut, city


def test_the_page_needs_nothing_from_outside(town: CityMap):
    text = page_text(made_way(town))
    inner = html.unescape(re.findall(r'srcdoc="(.*?)"></iframe>', text, re.DOTALL)[0])
    for page in (text.replace(html.escape(inner), ""), inner):
        # The name of a namespace is no address
        assert set(re.findall(r"https?://[^\s\"'`)<&]+", page)) <= {"http://www.w3.org/1999/xhtml"}
        assert not re.search(r"<(link|img|script)[^>]+(src|href)=", page)


def test_the_page_says_what_the_command_says(town: CityMap):
    way = made_way(town, via=((450.0, 320.0),), wind=Wind.uniform(6.0, 0.0))
    text = page_text(way)
    assert "<h1>Way over the town</h1>" in text
    assert "31 m from every object" in text
    assert text.count("<tr data-along=") == len(way.document["route"])
    cut, city = carried(text)
    assert cut["datum"] == "JGD2011"
    assert cut["line"]["along"][-1] == pytest.approx(way.along_m[-1], abs=0.01)
    assert cut["places"] == [{"along": pytest.approx(np.hypot(330, 20), abs=0.1), "up": pytest.approx(80.0, abs=0.3)}]
    assert max(cut["push"]) == pytest.approx(6.0, abs=0.1)
    assert [zone["name"] for zone in cut["zones"]] == ["Works"]
    assert max(cut["surface"]) == pytest.approx(40.0, abs=0.2)
    flown = city["way"]
    corner = np.array(way.line.enu_m[0]) - flown["points"][0]
    assert np.array(flown["points"][-1]) + corner == pytest.approx(way.line.enu_m[-1], abs=0.02)
    assert len(flown["points"]) == len(flown["colours"])
    assert [place["name"] for place in flown["places"]] == ["take-off", "landing", "1"]
    assert {zone["name"] for zone in flown["zones"]} == {"School", "Works"}
    works = next(zone for zone in flown["zones"] if zone["name"] == "Works")
    assert works["lower"] == pytest.approx([10.0] * len(works["ring"]))
    assert works["upper"] == pytest.approx([70.0] * len(works["ring"]))
    assert np.array(works["ring"]).min(axis=0) + corner[:2] == pytest.approx([240, 260], abs=0.05)


def test_a_name_is_text_and_nothing_else(town: CityMap):
    nasty = "</script><script>alert(1)</script>\"'片山津"
    way = made_way(town, zones=(dataclasses.replace(zone(town, "x", 240.0, 260.0), name=nasty),), title=nasty)
    text = page_text(way)
    assert "<script>alert" not in text
    assert "<script>alert" not in html.unescape(re.findall(r'srcdoc="(.*?)"></iframe>', text, re.DOTALL)[0])
    cut, city = carried(text)
    assert cut["zones"][0]["name"] == nasty
    assert city["way"]["zones"][0]["name"] == nasty


def test_a_page_that_cannot_be_written_leaves_nothing(town: CityMap, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        route_page(made_way(town), tmp_path / "nowhere" / "way.html")
    route_page(made_way(town), tmp_path / "way.html")
    assert [file.name for file in tmp_path.iterdir()] == ["way.html"]


def test_a_browser_draws_it(town: CityMap, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here to open the page with")
    file = tmp_path / "way.html"
    route_page(made_way(town, wind=Wind.uniform(6.0, 0.0)), file)
    # What went wrong, and what the view in the frame shows, for this test to read
    probe = (
        "<script>const wrong = []; addEventListener('error', (e) => wrong.push(e.message)); setTimeout(() => {"
        "const inner = city.contentDocument; document.body.dataset.probe = JSON.stringify({ wrong,"
        "labels: [...inner.querySelectorAll('#labels span')].filter((s) => s.style.transform)"
        ".map((s) => s.textContent),"
        "failed: inner.getElementById('failed').hidden, lines: document.querySelectorAll('#cut svg path').length,"
        "readout: document.getElementById('readout').textContent }); }, 4000);</script>"
    )
    file.write_text(file.read_text(encoding="utf-8").replace("<header>", probe + "<header>", 1), encoding="utf-8")
    command = [
        browser, "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=700,600", "--virtual-time-budget=8000", "--dump-dom",
        f"{file.as_uri()}#along=200",
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    report = json.loads(html.unescape(re.findall(r'data-probe="(.*?)"', dom)[0]))
    assert report["wrong"] == []
    assert report["failed"] is True
    assert report["labels"] == ["take-off", "landing"]
    assert report["lines"] > 6
    assert "200 m" in report["readout"]
    assert "70 m above ground" in report["readout"]
    assert "wind along the way 6.0 m/s" in report["readout"]
