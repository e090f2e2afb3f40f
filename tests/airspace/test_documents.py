"""What operators and cities write: read right, written back the same, refused in one line that helps."""

from __future__ import annotations

import copy
import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.repo import ROOT
from utm.airspace.documents import flight_plan_schema, parse_plan, parse_zones, plan_document, read_plan, zone_feature
from utm.airspace.records import plan_from
from utm.errors import PlanError, ZoneError
from utm.model import AIRCRAFT_CLASSES, Aircraft, Datum, FlightPlan, Objective, Restriction, Waypoint

PLAN = {
    "id": "med-1",
    "operator": "Kaga medical",
    "aircraft": {"class": "quad"},
    "origin": {"lon": 136.31, "lat": 36.30, "height": {"value_m": 12.5, "datum": "JGD2011"}},
    "destination": {"lon": 136.33, "lat": 36.30, "height": {"value_m": 0, "datum": "AGL"}},
    "earliest_departure": "2026-10-20T10:00:00+09:00",
    "latest_departure": "2026-10-20T10:30:00+09:00",
}


def changed(path: str, value: object) -> dict:
    """The plan with one field replaced, or removed when the value is None."""
    document = copy.deepcopy(PLAN)
    *above, last = path.split(".")
    place = document
    for name in above:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


def test_a_plan_is_read():
    plan = parse_plan(PLAN)
    assert plan.origin == Waypoint(136.31, 36.30, 12.5, Datum.JGD2011)
    assert plan.aircraft == AIRCRAFT_CLASSES["quad"]
    assert plan.earliest_departure_s == 1792458000.0  # 2026-10-20T01:00:00Z
    assert plan.latest_departure_s - plan.earliest_departure_s == 1800.0


def test_the_id_is_made_from_the_content():
    first, second = parse_plan(changed("id", None)), parse_plan(changed("id", None))
    assert first.id == second.id
    assert first.id != parse_plan(changed("id", None) | {"operator": "somebody else"}).id


@pytest.mark.parametrize(
    ("path", "value", "field", "words"),
    [
        ("origin.height.datum", None, "origin.height.datum", "AGL (above ground)"),
        ("origin.height", 12.5, "origin.height", '{"value_m": 0, "datum": "AGL"}'),
        ("origin.height.datum", "MSL", "origin.height.datum", "'MSL'"),
        ("origin.lat", 95, "origin.lat", "Latitude is a number from -90 to 90."),
        ("origin.lat", math.nan, "origin.lat", "-90 to 90"),
        ("origin.height.value_m", math.inf, "origin.height.value_m", "finite number"),
        ("destination.lon", "east", "destination.lon", "'east'"),
        ("earliest_departure", "2026-10-20T10:00:00", "earliest_departure", "with its zone"),
        ("latest_departure", "2026-10-20T09:00:00+09:00", None, "latest_departure is before earliest_departure"),
        ("aircraft", {"class": "zeppelin"}, "aircraft", "known: quad"),
        ("aircraft", {"radius_m": 1.0}, "aircraft", "missing: cruise_m_s"),
        ("aircraft", {"class": "quad", "cruise_m_s": 0}, "aircraft.cruise_m_s", "greater than or equal to 0.1"),
        ("aircraft", {"class": "quad", "climb_m_s": 1e-300}, "aircraft.climb_m_s", "greater than or equal to 0.1"),
        ("aircraft", {"class": "quad", "acceleration_m_s2": 1e12}, "aircraft.acceleration_m_s2", "less than"),
        ("aircraft", {"class": "quad", "radius_m": 500}, "aircraft.radius_m", "less than or equal to 6"),
        ("aircraft", {"class": "quad", "max_airspeed_m_s": 5}, "aircraft", "below cruise_m_s 8"),
        ("objective", "beauty", "objective", "'length', 'time' or 'energy'"),
        ("aircraft", {"class": "quad", "endurance_s": math.inf}, "aircraft.endurance_s", "less than"),
        ("earliest_departure", 1792458000, "earliest_departure", "as text"),
        ("latest_departure", "9999-12-31T23:59:00Z", "latest_departure", "1971 to 2199"),
        ("altitude", 50, "altitude", "Remove the field"),
        ("operator", None, "operator", "Add the field."),
        ("id", "../etc", "id", "'../etc'"),
    ],
)
def test_a_bad_field_is_named_with_value_and_mend(path, value, field, words):
    with pytest.raises(PlanError) as caught:
        parse_plan(changed(path, value), "plan.json")
    assert caught.value.field == field
    assert str(caught.value).startswith("plan.json: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'{"operator": "K', "is not JSON: Unterminated string"),
        (b"\xff\xfe\x00", "is not a text file"),
        (b"[]", "plan.json: "),
        (b'{"priority": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b"[" * 200_000, "recursion"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    file = tmp_path / "plan.json"
    file.write_bytes(content)
    with pytest.raises(PlanError, match=r"plan\.json") as caught:
        read_plan(file)
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"nowhere.json: cannot be read: No such file"):
        read_plan(tmp_path / "nowhere.json")


places = st.builds(
    Waypoint,
    lon_deg=st.floats(-180, 180),
    lat_deg=st.floats(-90, 90),
    height_m=st.floats(-500, 9000),
    datum=st.sampled_from(list(Datum)),
)
figures = st.floats(0.1, 100)
aircraft = st.one_of(
    st.sampled_from(list(AIRCRAFT_CLASSES.values())),
    st.builds(
        Aircraft,
        st.just("custom"),
        st.floats(0.05, 6),
        *[figures] * 7,
        max_airspeed_m_s=st.just(100.0),
        mass_kg=figures,
        rotor_disc_m2=figures,
        drag_area_m2=st.floats(0, 20),
        efficiency=st.floats(0.1, 1),
        avionics_w=figures,
        battery_wh=figures,
        reserve_share=st.floats(0, 0.9),
    ),
)
plans = st.builds(
    FlightPlan,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    operator=st.text(min_size=1, max_size=20).filter(lambda text: not set(text) & {"\x00"}),
    aircraft=aircraft,
    origin=places,
    destination=places,
    earliest_departure_s=st.integers(1_700_000_000, 1_800_000_000).map(float),
    latest_departure_s=st.integers(1_800_000_000, 1_900_000_000).map(float),
    waypoints=st.lists(places, max_size=3).map(tuple),
    priority=st.integers(0, 100),
    authorisations=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    objective=st.sampled_from(list(Objective)),
)


@given(plans)
def test_a_plan_survives_the_round_trip(plan):
    document = json.loads(json.dumps(plan_document(plan)))
    assert parse_plan(document) == plan
    jsonschema.validate(document, flight_plan_schema())
    assert plan_from(document, [plan.earliest_departure_s, plan.latest_departure_s]) == plan


def test_the_published_schema_is_the_one_in_force():
    published = json.loads((ROOT / "docs" / "flight-plan.schema.json").read_text(encoding="utf-8"))
    assert published == flight_plan_schema(), "run: utm plan schema > docs/flight-plan.schema.json"
    jsonschema.Draft202012Validator.check_schema(published)


def test_the_schema_refuses_what_the_reader_refuses():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed("origin.height.datum", None), flight_plan_schema())


def zone(**properties) -> dict:
    return {
        "type": "Feature",
        "properties": {
            "id": "school",
            "name": "School",
            "restriction": "PROHIBITED",
            "lower": {"value_m": 0, "datum": "AGL"},
            "upper": {"value_m": 150, "datum": "AGL"},
        }
        | properties,
        "geometry": {"type": "Polygon", "coordinates": [[[136.0, 36.0], [136.1, 36.0], [136.1, 36.1], [136.0, 36.0]]]},
    }


def collection(*features: dict) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def test_a_zone_survives_the_round_trip():
    periods = [{"days": ["MON", "FRI"], "start": "07:30:00", "end": "00:00:00"}]
    feature = zone(timezone="Asia/Tokyo", periods=periods, valid_from="2026-01-01T00:00:00Z")
    (read,) = parse_zones(collection(feature))
    assert read.restriction is Restriction.PROHIBITED
    assert read.periods[0].days == (0, 4)
    assert parse_zones(collection(zone_feature(read))) == (read,)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (collection(), "at least 1"),
        (collection(zone(restriction="MAYBE")), "restriction"),
        (collection(zone(lower={"value_m": 0})), "AGL (above ground)"),
        (collection(zone() | {"geometry": {"type": "Point", "coordinates": [136, 36]}}), "geometry.type"),
        (collection(zone(periods=[{"days": ["HOLIDAY"], "start": "07:30", "end": "08:00"}])), "HOLIDAY"),
        ({"type": "Feature"}, "type"),
        (collection(zone(periods=[{"days": ["MON"], "start": "07:30Z", "end": "08:00"}])), "`timezone`"),
        (collection(zone(periods=[{"days": ["MON"], "start": 7, "end": 8}])), "as text"),
        (collection(zone(valid_from="0001-01-01T00:00:00+14:00")), "1971"),
    ],
)
def test_a_bad_zone_is_named(document, words):
    with pytest.raises(ZoneError) as caught:
        parse_zones(document, "zones.geojson")
    assert str(caught.value).startswith("zones.geojson: ")
    assert words in str(caught.value)
