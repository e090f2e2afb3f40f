from __future__ import annotations

import dataclasses
import html.parser
import json
import re

import numpy as np
import pytest

from utm.report import Flown, flight_figures, least_separation, plan_view, report_html, separation_plot

HOSTILE = "<script>alert('x')</script> & \"Söhne\" <img src=http://evil.example/x onerror=alert(1)>"


class Reader(html.parser.HTMLParser):
    """Tags, what they point to, and the words of every table cell."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> does not close what is open"

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words += data
        if "td" in self.open or "th" in self.open:
            self.cells[-1] = " ".join((self.cells[-1] + data).split())


@pytest.fixture
def page(flown: Flown, tmp_path):
    """Write the page for a flown and a result; the text and its reader."""

    def write(flown: Flown, result: dict, pictures: dict | None = None):
        report_html(flown, pictures or {}, result, tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        reader = Reader(text)
        assert reader.open == []
        return text, reader

    return write


def test_one_file_that_needs_no_other(flown: Flown, page, tmp_path):
    plan_view(flown, tmp_path / "plan.png")
    separation_plot(flown, tmp_path / "separation.png")
    pictures = {"plan": tmp_path / "plan.png", "separation": tmp_path / "separation.png"}
    text, reader = page(flown, {"conforming": True}, pictures)
    for _, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert (attributes.get(name) or "data:").startswith("data:")
    without = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<iframe", without)
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(images) == 2
    assert all(len(image["alt"]) > 30 and image["width"] == "1600" for image in images)
    assert ("html", {"lang": "en"}) in reader.tags


def test_a_hostile_operator_stays_text(flown: Flown, page):
    flight = flown.flights[0]
    plan = dataclasses.replace(flight.intent.plan, operator=HOSTILE, id="<b>MED</b>")
    intent = dataclasses.replace(flight.intent, plan=plan, zones=("<i>zone</i>@1",))
    hostile = dataclasses.replace(
        flown,
        flights=(dataclasses.replace(flight, intent=intent, decision_line=HOSTILE, trouble=HOSTILE), flown.flights[1]),
        refused=(dataclasses.replace(flown.refused[0], reason=HOSTILE, alternative_line=HOSTILE),),
        places=tuple((HOSTILE, lon, lat) for _, lon, lat in flown.places),
        title=HOSTILE,
    )
    _, reader = page(hostile, {"conforming": False, "said": HOSTILE, "reproduce": [HOSTILE]})
    assert not {"script", "img", "b", "i"} & {tag for tag, _ in reader.tags}
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert HOSTILE in reader.cells
    assert HOSTILE in reader.words


def test_the_tables_hold_the_figures(flown: Flown, page):
    _, reader = page(flown, {"conforming": True})
    for flight in flown.flights:
        figures = flight_figures(flown, flight)
        start = max(i for i, cell in enumerate(reader.cells) if cell == flight.intent.plan.id)
        cells = reader.cells[start + 1 : start + 9]
        assert cells[0] == np.datetime_as_string(np.datetime64(int(flight.t_s[0]), "s"))[11:]
        assert cells[3] == f"{figures.distance_m:,.0f} m"
        assert cells[4] == f"{flight.cross_track_m.max():.1f} m"
        assert cells[5] == f"+{flight.height_error_m.min():.1f} to +{flight.height_error_m.max():.1f} m"
        assert cells[6] == f"{figures.obstacle_m:.1f} m"
        assert cells[7] == "100 %"
    closest = least_separation(*flown.flights, flown.rules)
    assert f"{closest.horizontal_m:.1f} m" in reader.cells
    assert f"{closest.vertical_m:.1f} m" in reader.cells
    refused = flown.refused[0]
    assert {refused.plan.id, refused.plan.operator, "Refused", refused.reason, "none found"} <= set(reader.cells)


def test_verdict_in_words(flown: Flown, page):
    _, good = page(flown, {"conforming": True})
    assert "✓ Conforming" in good.words
    _, bad = page(flown, {"conforming": False})
    assert "✗ Not conforming" in bad.words
    assert "judged as not conforming: see the result" in bad.words


def test_the_page_never_claims_more_than_the_tracks_show(flown: Flown, page):
    flight = flown.flights[0]
    inside = flight.inside.copy()
    inside[20] = False
    stray = dataclasses.replace(flown, flights=(dataclasses.replace(flight, inside=inside), flown.flights[1]))
    _, reader = page(stray, {"conforming": True})
    assert "✗ Not conforming" in reader.words
    assert f"MED-1 was outside its corridor at 1 of {len(inside)} positions" in reader.words
    assert "100 %" not in reader.cells[: reader.cells.index("INSP-2", 20)]


def test_a_flight_that_never_flew_has_its_row(flown: Flown, page):
    none = np.empty(0)
    grounded = dataclasses.replace(
        flown.flights[1],
        t_s=none,
        enu_m=np.empty((0, 3)),
        cross_track_m=none,
        height_error_m=none,
        inside=np.empty(0, bool),
        trouble="the vehicle refused the mission",
    )
    _, reader = page(dataclasses.replace(flown, flights=(flown.flights[0], grounded)), {"conforming": False})
    assert "not flown" in reader.cells
    assert "never in the air together" in reader.cells
    assert "INSP-2: the vehicle refused the mission" in reader.words


def test_it_says_what_it_was_judged_against_and_how_to_repeat_it(flown: Flown, page):
    result = {"conforming": True, "reproduce": ["make demo", "utm demo --seed 7"], "seed": 7, "名": "加賀"}
    _, reader = page(flown, result)
    assert flown.city_map.version in reader.words
    assert "school@0123456789ab" in reader.words
    assert "make demo\nutm demo --seed 7" in reader.words
    assert json.dumps(result, indent=2, ensure_ascii=False) in reader.words


def test_grants_that_cannot_be_proven_again_are_no_success(flown: Flown, page):
    proofs = [{"holds": True, "sentence": "ALPHA was proven again"}]
    _, held = page(flown, {"conforming": True, "proofs": proofs})
    assert "ALPHA was proven again." in held.words
    assert "Two flights: conforming" in held.words
    broken = [*proofs, {"holds": False, "sentence": "BRAVO could not be proven"}]
    _, reader = page(flown, {"conforming": True, "proofs": broken})
    assert "BRAVO could not be proven." in reader.words
    assert "Two flights: not conforming" in reader.words


@pytest.mark.parametrize("result", [{}, {"conforming": "yes"}, {"conforming": True, "reproduce": "make demo"}])
def test_a_result_that_says_too_little_is_refused(flown: Flown, result, tmp_path):
    with pytest.raises(ValueError):
        report_html(flown, {}, result, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_checked(flown: Flown, tmp_path):
    with pytest.raises(ValueError, match="no place on the page for"):
        report_html(flown, {"profile:NOBODY": tmp_path / "x.png"}, {"conforming": True}, tmp_path / "report.html")
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a PNG"):
        report_html(flown, {"plan": tmp_path / "x.png"}, {"conforming": True}, tmp_path / "report.html")
