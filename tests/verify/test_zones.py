"""When zones are in force and how near they come, beside the engine's own reading of the same documents."""

from __future__ import annotations

import datetime
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airspace.conftest import T0
from tests.verify.forging import OPEN, granted, hop, judged, plain_json, square_zone
from utm.airspace.documents import zone_feature
from utm.airspace.zones import active_intervals, zone_hash
from utm.mapping import CityMap
from utm.model import Datum, GeoZone, LimitKind, Restriction, WeeklyPeriod
from utm.verify.reading import Malformed, read_zone
from utm.verify.zones import in_force

SQUARE = ((136.0, 36.0), (136.1, 36.0), (136.1, 36.1), (136.0, 36.1))
#: Days of 23 and of 25 hours, half hours, and a day that never was.
LOCAL = ("UTC", "Asia/Tokyo", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
clock = st.times().map(lambda time: time.replace(second=0, microsecond=0, fold=0))


@st.composite
def zones(draw):
    periods = []
    for _ in range(draw(st.integers(0, 3))):
        start, end = sorted((draw(clock), draw(clock)))
        if start == end:
            end = datetime.time(0)
        days = tuple(sorted(draw(st.sets(st.integers(0, 6), min_size=1))))
        periods.append(WeeklyPeriod(days, start, end))
    at = st.none() | st.integers(1_790_000_000, 1_800_000_000).map(lambda s: s / 1.0)
    begin, finish = draw(at), draw(at)
    if begin is not None and finish is not None and begin >= finish:
        finish = None
    return GeoZone(
        "Z", "Z", Restriction.PROHIBITED, SQUARE, 0.0, Datum.AGL, 100.0, Datum.AMSL,
        timezone=draw(st.sampled_from(LOCAL)), periods=tuple(periods), valid_from_s=begin, valid_to_s=finish,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(zones(), st.integers(1_790_000_000, 1_800_000_000), st.integers(1, 200_000))
def test_both_readers_know_the_same_times(zone: GeoZone, start: int, lasting: int):
    read = read_zone(plain_json(zone_feature(zone)))
    mine, theirs = in_force(read, start, start + lasting), active_intervals(zone, start, start + lasting)
    edges = sorted({start, start + lasting, *(edge for pair in (*mine, *theirs) for edge in pair)})
    for t in [*edges, *((a + b) / 2 for a, b in itertools.pairwise(edges))]:
        inside = [any(a < t < b for a, b in found) for found in (mine, theirs)]
        at_edge = any(t in pair for found in (mine, theirs) for pair in found)
        assert inside[0] == inside[1] or at_edge


def test_both_readers_hash_alike():
    zone = GeoZone("Z", "名", Restriction.CONDITIONAL, SQUARE, 0.0, Datum.AGL, 100.0, Datum.AMSL, valid_from_s=1.79e9)
    read = read_zone(plain_json(zone_feature(zone)))
    assert read.name == f"Z@{zone_hash(zone)}"
    assert (read.lower, read.upper) == ((0.0, Datum.AGL), (100.0, Datum.AMSL))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("properties", "restriction"), "FORBIDDEN"),
        (("properties", "lower", "datum"), "FLIGHT_LEVEL"),
        (("properties", "upper", "value_m"), math.inf),
        (("properties", "valid_from"), "2026-10-20T10:00:00"),
        (("properties", "valid_from"), "tomorrow"),
        (("properties", "periods"), [{"days": ["SOMEDAY"], "start": "10:00", "end": "11:00"}]),
        (("geometry", "coordinates"), [[[136, 36], [137, 36]]]),
        (("geometry", "coordinates"), [[[136, 36], [900, 36], [137, 37]]]),
        (("geometry", "type"), "Point"),
    ],
)
def test_a_zone_that_cannot_be_read_says_why(path, value):
    feature = plain_json(zone_feature(GeoZone("Z", "Z", Restriction.PROHIBITED, SQUARE, 0, Datum.AGL, 1, Datum.AGL)))
    at = feature
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    with pytest.raises(Malformed, match="zone Z cannot be read"):
        read_zone(feature)


def test_an_unknown_time_zone_is_a_fault(plain: CityMap):
    zone = square_zone(plain, "Z", OPEN, 40.0, periods=(WeeklyPeriod((0,), datetime.time(9), datetime.time(10)),))
    document = granted(plain, hop((1000, 500), (1300, 500), 80.0), zones=[zone])
    feature = plain_json(zone_feature(zone))
    feature["properties"]["timezone"] = "Asia/Kaga"
    with pytest.raises(Malformed, match="unknown time zone"):
        in_force(read_zone(feature), T0, T0 + 1e6)
    assert judged(document, plain, zones=[zone]).holds


@pytest.mark.parametrize("datum", [Datum.WGS84, Datum.JGD2024])
def test_limits_in_other_datums_are_converted(plain: CityMap, datum: Datum):
    """By the geoid, which is uneven: half a metre of doubt is left here."""
    lon, lat = plain.frame.to_lonlat(*OPEN)
    document = hop((OPEN[0] - 150, OPEN[1]), (OPEN[0] + 150, OPEN[1]), 80.0)
    for under, holds in ((0.5, True), (-0.5, False)):
        top = float(plain.frame.height(70.0 - under, datum, lon, lat))
        zone = square_zone(plain, "Z", OPEN, 40.0, upper_m=top, upper_datum=datum)
        made = granted(plain, document, zones=[zone])
        assert judged(made, plain, zones=[zone]).holds is holds


def test_leave_to_enter_and_zones_without_a_restriction(plain: CityMap):
    flight = hop((OPEN[0] - 150, OPEN[1]), (OPEN[0] + 150, OPEN[1]), 80.0)
    free = square_zone(plain, "F", OPEN, 40.0, restriction=Restriction.NO_RESTRICTION)
    assert judged(granted(plain, flight, zones=[free]), plain, zones=[free]).holds
    asks = square_zone(plain, "A", OPEN, 40.0, restriction=Restriction.REQ_AUTHORISATION)
    assert not judged(granted(plain, flight, zones=[asks]), plain, zones=[asks]).holds
    allowed = granted(plain, flight, zones=[asks], authorisations=("A",))
    assert judged(allowed, plain, zones=[asks]).holds
    closed = square_zone(plain, "A", OPEN, 40.0)
    assert not judged(granted(plain, flight, zones=[closed], authorisations=("A",)), plain, zones=[closed]).holds


def test_a_zone_larger_than_the_map_is_met_inside_and_at_its_edge(plain: CityMap):
    """Its outline leads far away; only what lies around the flight is drawn."""
    west, _ = (float(value) for value in plain.frame.to_lonlat(1200.0, 500.0))
    east, south, north = west + 4.0, 33.0, 39.0
    outline = ((west, south), (east, south), (east, north), (west, north))
    zone = GeoZone("Z", "Z", Restriction.PROHIBITED, outline, 0.0, Datum.AGL, 200.0, Datum.AGL)
    inside = granted(plain, hop((1300, 500), (1450, 500), 80.0), zones=[zone])
    (line,) = [line for line in judged(inside, plain, zones=[zone]).lines if line.kind is LimitKind.ZONE]
    assert line.margin_high_m == pytest.approx(-25.0, abs=0.01)
    _, lat = plain.frame.to_lonlat(1100.0, 500.0)  # the edge is a meridian
    edge_east = float(plain.frame.to_map(west, float(lat))[0])
    beside = granted(plain, hop((900, 500), (edge_east - 60.0, 500), 80.0), zones=[zone])
    (line,) = [line for line in judged(beside, plain, zones=[zone]).lines if line.kind is LimitKind.ZONE]
    assert line.margin_low_m == pytest.approx(35.0, abs=0.02)
