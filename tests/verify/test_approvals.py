"""What the engine grants, the second opinion confirms; and what it is told wrongly, it names."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest

from tests.airspace.conftest import T0, plan, zone
from tests.verify.forging import Document, plain_json
from utm.airspace import Airspace
from utm.airspace.documents import zone_feature
from utm.airspace.records import intent_document
from utm.airspace.volumes import volumes_of
from utm.mapping import CityMap
from utm.model import AIRCRAFT_CLASSES, Datum, LimitKind, Restriction, RuleSet
from utm.verify import verify


@dataclasses.dataclass
class Granted:
    """A day in the small town, as its log has it."""

    city: CityMap
    zones: list
    approvals: list[tuple[Document, list[Document]]]
    """Each with the intents that were live before it."""


@pytest.fixture(scope="module")
def day(plain: CityMap, tmp_path_factory: pytest.TempPathFactory) -> Granted:
    """Flights that cross, follow and pass each other, around zones, with and without a change."""
    folder: Path = tmp_path_factory.mktemp("verified") / "airspace"
    wishes = [
        ("a", ("west", "east"), T0, {}),
        ("b", ("south", "north"), T0, {}),
        ("c", ("east", "west"), T0 + 60, {}),
        ("d", ("north", "west"), T0 + 30, {}),
        ("e", ("west", "north"), T0 + 200, {"aircraft": AIRCRAFT_CLASSES["quad-cargo"]}),
        ("f", ("south", "east"), T0 + 400, {"authorisations": ("leave",)}),
    ]
    with Airspace.create(folder, plain, clock=lambda: T0 - 600.0) as airspace:
        airspace.add_zones(
            [
                zone(plain, "closed", (420.0, 700.0), 60.0),
                zone(plain, "later", (1100.0, 640.0), 50.0, valid_from_s=T0 + 3000),
                zone(plain, "leave", (1150.0, 400.0), 60.0, restriction=Restriction.REQ_AUTHORISATION),
                zone(plain, "low", (1000.0, 400.0), 60.0, upper_m=25.0, upper_datum=Datum.AGL),
            ]
        )
        zones = list(airspace.zones())
        live: list[Document] = []
        approvals = []
        for name, way, at_s, changes in wishes:
            decision = airspace.submit(plan(plain, name, way, at_s, **changes))
            if decision.intent is None:
                continue
            document = plain_json(intent_document(decision.intent))
            document["volumes"] = plain_json(
                [
                    dataclasses.asdict(volume) | {"outline_m": volume.outline_m.tolist()}
                    for volume in volumes_of(decision.intent.corridor)
                ]
            )
            approvals.append((document, list(live)))
            live.append(plain_json(intent_document(decision.intent)))
    return Granted(plain, plain_json([zone_feature(one) for one in zones]), approvals)


def opinion(day: Granted, document: Document, live: list[Document], **changes):
    named = [one for one in live if f"{one['id']}@{one['ovn']}" in document["neighbours"]]
    asked = {
        "city_map": day.city,
        "rules": dataclasses.asdict(RuleSet()),
        "zones": day.zones,
        "neighbours": named,
        "live": live,
        "now_s": T0 - 600.0,
    }
    return verify(document, **asked | changes)


def test_what_was_granted_is_proven(day: Granted):
    assert len(day.approvals) >= 5
    seen: set[LimitKind] = set()
    for document, live in day.approvals:
        report = opinion(day, document, live)
        assert report.holds, report.faults
        assert all(line.holds for line in report.lines)
        seen |= {line.kind for line in report.lines}
        assert json.loads(json.dumps(report.document()))["holds"] is True
    assert seen == set(LimitKind)


def test_certificates_and_proof_agree_to_two_millimetres(day: Granted):
    """On both sides, not only the bright one; limits inside turns may be proven lower than the arcs are."""
    compared = 0
    for document, live in day.approvals:
        proven = {(str(line.kind), line.subject): line for line in opinion(day, document, live).lines}
        for claim in document["limits"]:
            line = proven[claim["kind"], claim["subject"]]
            assert claim["needed_m"] == pytest.approx(line.needed_m)
            if claim["kind"] not in ("terrain", "obstacle", "unknown", "ceiling"):
                assert claim["found_m"] - claim["needed_m"] == pytest.approx(line.margin_low_m, abs=2e-3)
            else:
                assert line.margin_low_m <= claim["found_m"] - claim["needed_m"] + 2e-3
            compared += 1
    assert compared > 20


def test_nobody_near_may_be_left_out(day: Granted):
    """Take one neighbour out of the airspace's view, and put the approval on its way."""
    document, live = next(pair for pair in day.approvals if pair[1] and pair[0]["neighbours"])
    stranger = copy.deepcopy(live[0])
    stranger["corridor"] = copy.deepcopy(document["corridor"])
    stranger["id"] = "stranger"
    report = opinion(day, document, [*live, stranger])
    assert [fault for fault in report.faults if "stranger" in fault]
    lower = stranger | {"plan": stranger["plan"] | {"priority": -1}}
    assert opinion(day, document, [*live, lower]).holds  # it gives way
    astray = lower | {"state": "Contingent"}
    assert not opinion(day, document, [*live, astray]).holds  # that one cannot


def test_documents_that_make_no_sense_are_faults_and_never_errors(day: Granted):
    document, live = day.approvals[-1]
    for broken in (None, 3, [], {}, "intent", {"id": "x"}, document | {"corridor": None}):
        report = (
            opinion(day, broken, live)
            if isinstance(broken, dict) and "neighbours" in broken
            else verify(broken, city_map=day.city, rules=dataclasses.asdict(RuleSet()), zones=day.zones, neighbours=[])
        )
        assert not report.holds
        assert report.faults[0].startswith("It cannot be read")
    for path in ("t_s", "enu_m", "half_width_m", "tube", "pad_hold_s"):
        for value in (None, "x", float("nan"), [float("inf")], -1.0, True, {}):
            corridor = document["corridor"] | {path: value}
            assert not opinion(day, document | {"corridor": corridor}, live).holds
    assert not opinion(day, document, live, rules={"clearance_m": "wide"}).holds
    assert not opinion(day, document, live, rules={"colour": 3.0}).holds
    assert not opinion(day, document, live, zones=[{"type": "Feature"}]).holds
    assert not opinion(day, document, live, neighbours=[{}]).holds
    far = copy.deepcopy(document)
    far["corridor"]["enu_m"] = [[e + 1e5, n, u] for e, n, u in far["corridor"]["enu_m"]]
    assert not opinion(day, far, live).holds


def test_a_map_that_is_not_what_it_says_is_found(plain: CityMap, day: Granted, tmp_path: Path):
    document, live = day.approvals[0]
    meta = copy.deepcopy(plain.meta)
    meta["tiles"][0]["hash"] = meta["tiles"][0]["hash"][:16] + "0" * 48  # the folder's name stays right
    report = opinion(day, document, live, city_map=CityMap(plain.path, meta, plain.frame))
    assert any("version" in fault for fault in report.faults)
    assert any("tile" in fault for fault in report.faults)
