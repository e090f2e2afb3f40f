"""When a zone is in force: weekdays, midnight and time zones are where readers break."""

from __future__ import annotations

import dataclasses
import datetime
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utm.airspace.zones import active_intervals, check_zone, in_the_way, keep_out
from utm.errors import ZoneError
from utm.model import AIRCRAFT_CLASSES, Datum, FlightPlan, GeoZone, Restriction, RuleSet, Waypoint, WeeklyPeriod

TOKYO = zoneinfo.ZoneInfo("Asia/Tokyo")
SCHOOL = GeoZone(
    id="school",
    name="School",
    restriction=Restriction.PROHIBITED,
    outline_deg=((136.0, 36.0), (136.1, 36.0), (136.1, 36.1)),
    lower_m=0.0,
    lower_datum=Datum.AGL,
    upper_m=150.0,
    upper_datum=Datum.AGL,
    timezone="Asia/Tokyo",
    periods=(WeeklyPeriod((0, 1, 2, 3, 4), datetime.time(7, 30), datetime.time(17)),),
)


def tokyo(*moment: int) -> float:
    return datetime.datetime(*moment, tzinfo=TOKYO).timestamp()


def test_a_school_day():
    day = active_intervals(SCHOOL, tokyo(2026, 10, 20, 0), tokyo(2026, 10, 21, 0))  # a Tuesday
    assert day == [(tokyo(2026, 10, 20, 7, 30), tokyo(2026, 10, 20, 17))]


def test_a_weekend_in_tokyo_is_not_a_weekend_in_utc():
    # Saturday 00:00 in Tokyo is still Friday in UTC: the school is closed.
    assert active_intervals(SCHOOL, tokyo(2026, 10, 24, 0), tokyo(2026, 10, 26, 0)) == []
    # Monday 07:30 in Tokyo is Sunday 22:30 in UTC: the school is open.
    assert active_intervals(SCHOOL, tokyo(2026, 10, 26, 7, 31), tokyo(2026, 10, 26, 7, 32))


def test_two_periods_that_meet_at_midnight_are_one_interval():
    night = (
        WeeklyPeriod((4,), datetime.time(22), datetime.time(0)),
        WeeklyPeriod((5,), datetime.time(0), datetime.time(2)),
    )
    zone = dataclasses.replace(SCHOOL, periods=night)
    found = active_intervals(zone, tokyo(2026, 10, 23, 0), tokyo(2026, 10, 25, 0))
    assert found == [(tokyo(2026, 10, 23, 22), tokyo(2026, 10, 24, 2))]


def test_the_night_the_clocks_go_back_has_25_hours():
    zurich = zoneinfo.ZoneInfo("Europe/Zurich")
    zone = dataclasses.replace(
        SCHOOL, timezone="Europe/Zurich", periods=(WeeklyPeriod((6,), datetime.time(0), datetime.time(0)),)
    )
    start = datetime.datetime(2026, 10, 25, tzinfo=zurich).timestamp()
    ((begin, finish),) = active_intervals(zone, start - 1e5, start + 2e5)
    assert begin == start
    assert finish - begin == 25 * 3600


def test_dates_bound_a_zone():
    zone = dataclasses.replace(SCHOOL, periods=(), valid_from_s=1000.0, valid_to_s=2000.0)
    assert active_intervals(zone, 0.0, 5000.0) == [(1000.0, 2000.0)]
    assert active_intervals(zone, 2000.0, 5000.0) == []


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["Asia/Tokyo", "Europe/Zurich", "America/Los_Angeles", "UTC"]),
    t=st.integers(1_735_800_000, 1_830_000_000).map(float),
)
def test_active_at_a_moment_as_the_wall_clock_says(days, start, end, zone, t):
    if end <= start and end != datetime.time(0):
        return
    school = dataclasses.replace(
        SCHOOL, timezone=zone, periods=(WeeklyPeriod(tuple(sorted(days)), start, end),), valid_from_s=None
    )
    wall = datetime.datetime.fromtimestamp(t, zoneinfo.ZoneInfo(zone))
    if wall.utcoffset() != datetime.datetime.fromtimestamp(t - 86400, zoneinfo.ZoneInfo(zone)).utcoffset():
        return  # the day of a change of clocks has its own test above
    until = datetime.time.max if end == datetime.time(0) else end
    expected = wall.weekday() in days and start <= wall.time().replace(fold=0) < until
    found = active_intervals(school, t, t + 1e-4)
    assert bool(found and found[0][0] == t) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outline_deg": ((0, 0), (1, 1), (1, 0), (0, 1))}, "crosses itself"),
        ({"outline_deg": ((179, 36), (-179, 36), (-179, 37), (179, 37))}, "antimeridian"),
        ({"lower_m": 150.0}, "not below"),
        ({"valid_from_s": 5.0, "valid_to_s": 5.0}, "ends before it begins"),
        ({"timezone": "Mars/Olympus"}, "unknown time zone"),
        ({"timezone": "Asia"}, "unknown time zone"),
        ({"periods": (WeeklyPeriod((0,), datetime.time(22), datetime.time(2)),)}, "Split a period"),
    ],
)
def test_a_zone_that_makes_no_sense_is_refused(change, words):
    check_zone(SCHOOL)
    with pytest.raises(ZoneError, match=words):
        check_zone(dataclasses.replace(SCHOOL, **change))


@pytest.mark.parametrize(
    ("lon", "lat", "covered"),
    [
        ((-30.0, 149.0), (-80.0, 80.0), True),  # most of a hemisphere, folded over by the map's projection
        ((130.0, 143.0), (30.0, 36.33), True),  # edges of 1,200 km: the town lies within 4 km of one
        ((130.0, 143.0), (30.0, 36.28), False),
        ((130.0, 143.0), (36.33, 40.0), False),
        ((0.0, 10.0), (0.0, 10.0), False),
    ],
)
@pytest.mark.parametrize("datum", [Datum.AGL, Datum.AMSL, Datum.JGD2011])
def test_a_zone_far_wider_than_the_map(town, lon, lat, covered, datum):
    corners = ((lon[0], lat[0]), (lon[1], lat[0]), (lon[1], lat[1]), (lon[0], lat[1]))
    wide = dataclasses.replace(SCHOOL, outline_deg=corners, periods=(), lower_datum=datum, upper_datum=datum)
    check_zone(wide)
    columns = town.window(0.0, 0.0, 1600.0, 1200.0)
    mask = keep_out(wide, columns, town.frame, RuleSet()).mask
    assert mask.all() if covered else not mask.any()


def test_a_corner_keeps_its_distance_to_the_last_column(town):
    rules, columns = RuleSet(), town.window(0.0, 0.0, 1600.0, 1200.0)
    east, north = 801.3, 602.7
    lon, lat = town.frame.to_lonlat([east, east, east - 300.0], [north, north - 300.0, north])
    wedge = dataclasses.replace(SCHOOL, outline_deg=tuple(zip(lon.tolist(), lat.tolist(), strict=True)))
    mask = keep_out(wedge, columns, town.frame, rules).mask
    i, j = np.meshgrid(*(np.arange(size) for size in mask.shape), indexing="ij")
    # The distance from the zone's corner to the nearest point of each column's square, north-east of it.
    away = np.hypot(np.maximum(i * columns.cell_m - east, 0.0), np.maximum(j * columns.cell_m - north, 0.0))
    quarter = (i * columns.cell_m > east) & (j * columns.cell_m > north)
    assert mask[quarter & (away < rules.half_width_m)].all()


def test_who_must_stay_out():
    place = Waypoint(136.0, 36.0, 0.0, Datum.AGL)
    plan = FlightPlan("p", "o", AIRCRAFT_CLASSES["quad"], place, place, 0.0, 0.0, authorisations=("did",))
    always = dataclasses.replace(SCHOOL, periods=())
    did = dataclasses.replace(always, id="did", restriction=Restriction.REQ_AUTHORISATION)
    free = dataclasses.replace(always, id="free", restriction=Restriction.NO_RESTRICTION)
    works = dataclasses.replace(did, id="works", restriction=Restriction.CONDITIONAL)
    zones = (always, did, free, works)
    assert {zone.id for zone in in_the_way(zones, plan, 0.0, 1.0)} == {"school", "works"}
    # An authorisation does not open a prohibited zone.
    asked = dataclasses.replace(plan, authorisations=("school", "did", "works"))
    assert {zone.id for zone in in_the_way(zones, asked, 0.0, 1.0)} == {"school"}
