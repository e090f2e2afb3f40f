"""Whatever stands in a document, the verifier answers with a report."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.verify.forging import OPEN, Document, granted, hop, judged, plain_json, square_zone
from utm.airspace.documents import zone_feature
from utm.mapping import CityMap
from utm.verify import Report, verify

rubbish = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.sampled_from([0, -1, 1e300, -1e300, math.inf, -math.inf, math.nan, 2**63, 1e-300]),
    st.text(max_size=5),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


def paths(value: Any, here: tuple = ()) -> list[tuple]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, part in inner for path in paths(part, (*here, key)))]


def changed(document: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    whole = copy.deepcopy(document)
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return whole


@pytest.fixture(scope="module")
def case(plain: CityMap) -> tuple[Document, dict, list[Document]]:
    """An approval beside a zone and a neighbour, with all that a document can hold."""
    zone = square_zone(plain, "Z", (OPEN[0], OPEN[1] + 110.0), 40.0, valid_from_s=1.7e9)
    other = granted(plain, hop((1000, 480), (1300, 480), 80.0), name="N")
    document = granted(
        plain, [(1000, 600, 10), (1000, 600, 80), (1150, 600, 80), (1300, 560, 80), (1300, 560, 10)],
        zones=[zone], neighbours=[other],
    )  # fmt: skip
    document["volumes"] = [
        {"outline_m": [[0, 0], [9, 0], [0, 9]], "floor_m": 0, "ceiling_m": 9, "start_s": 0, "end_s": 9}
    ]
    return document, plain_json(zone_feature(zone)), [other]


def opinion(city: CityMap, document: Any, zones: Any, others: Any) -> Report:
    rules = {"clearance_m": 30.0}
    return verify(document, city_map=city, rules=rules, zones=zones, neighbours=others, live=others, now_s=1.79e9)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_anywhere(plain: CityMap, case, data: st.DataObject):
    whole = {"document": case[0], "zones": [case[1]], "others": case[2]}
    path = data.draw(st.sampled_from([path for path in paths(whole) if len(path) >= 1 and path not in _TOPS]))
    made = changed(whole, path, data.draw(rubbish))
    report = opinion(plain, made["document"], made["zones"], made["others"])
    assert isinstance(report, Report)
    assert report.document()["faults"] == list(report.faults)


_TOPS = {("zones",), ("others",)}


def test_the_case_itself_lacks_nothing_but_its_volumes(plain: CityMap, case):
    document, zone, others = case
    report = opinion(plain, {name: part for name, part in document.items() if name != "volumes"}, [zone], others)
    assert report.holds, report.faults
    assert not opinion(plain, document, [zone], others).holds
    assert judged({}, plain).faults
