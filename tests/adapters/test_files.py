"""Sky roads as files of the outside world."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.adapters.test_px4_mission import ROAD
from utm.adapters import geojson, kml, qgc_plan
from utm.errors import DatumError
from utm.model import Datum

PLANS = (
    Path(os.environ.get("UTM_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data")) / "plans"
)
WRONG = dataclasses.replace(ROAD, land=dataclasses.replace(ROAD.land, datum=Datum.JGD2011))


def shape(value: object) -> object:
    """What a JSON value is made of, numbers and nulls being one kind."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return "list"
    return "number" if isinstance(value, int | float | None) and not isinstance(value, bool) else type(value).__name__


def test_the_plan_holds_the_road() -> None:
    plan = json.loads(qgc_plan.dumps(ROAD))
    items = plan["mission"]["items"]
    assert [item["command"] for item in items] == [22, 178, 16, 16, 178, 16, 189, 21]
    assert [item["doJumpId"] for item in items] == list(range(1, 9))
    placed = [item for item in items if "Altitude" in item]
    assert {item["AltitudeMode"] for item in placed} == {2}  # AMSL, said by every item
    assert {item["frame"] for item in placed} == {0}  # MAV_FRAME_GLOBAL
    assert [item["Altitude"] for item in placed] == [90, 90, 100.5, 100.5, 32]
    assert placed[2]["params"] == [0, 0, 0, None, 36.307, 136.317, 100.5]
    assert plan["mission"]["firmwareType"] == 12
    assert plan["mission"]["vehicleType"] == 2
    assert plan["mission"]["plannedHomePosition"] == [36.305, 136.315, 30]
    [fence] = plan["geoFence"]["polygons"]
    assert fence["inclusion"] is True
    assert fence["polygon"][1] == [36.3045, 136.3185]


@pytest.mark.skipif(not PLANS.is_dir(), reason=f"no QGroundControl plans to compare with at {PLANS} (UTM_SHARED_DATA)")
def test_the_plan_has_the_shape_of_plans_that_qgroundcontrol_wrote() -> None:
    ours = json.loads(qgc_plan.dumps(ROAD))
    for file in sorted(PLANS.glob("MC_*.plan")):
        theirs = json.loads(file.read_text())
        theirs["mission"].setdefault("globalPlanAltitudeMode", 0)  # newer versions write it
        assert shape(ours) == shape(theirs), file.name
        ours_by, theirs_by = (
            {item["command"]: shape(item) for item in plan["mission"]["items"]} for plan in (ours, theirs)
        )
        for command in ours_by.keys() & theirs_by.keys():
            theirs_by[command].pop("LoiterSpeed", None)
            assert ours_by[command] == theirs_by[command], (file.name, command)
        for plan in (ours, theirs):
            assert all(len(item["params"]) == 7 for item in plan["mission"]["items"] if item["type"] == "SimpleItem")


def test_kml_says_absolute_and_closes_the_fence() -> None:
    text = kml.dumps([ROAD, dataclasses.replace(ROAD, intent_id="a <b> & c")])
    assert text.endswith("</kml>\n")
    root = ET.fromstring(text)
    space = {"k": "http://www.opengis.net/kml/2.2"}
    folders = root.findall(".//k:Folder", space)
    assert [folder.findtext("k:name", namespaces=space) for folder in folders] == ["medicine", "a <b> & c"]
    line = folders[0].find(".//k:LineString", space)
    assert line.findtext("k:altitudeMode", namespaces=space) == "absolute"
    places = line.findtext("k:coordinates", namespaces=space).split()
    assert places[0] == "136.3150000,36.3050000,30.00"
    assert places[1] == "136.3150000,36.3050000,90.00"
    assert places[-1] == "136.3180000,36.3070000,32.00"
    ring = folders[0].findtext(".//k:LinearRing/k:coordinates", namespaces=space).split()
    assert ring[0] == ring[-1]
    assert len(ring) == 5
    assert "2030-01-01T00:00:00Z" in text


def test_geojson_heights_are_above_the_ellipsoid() -> None:
    collection = json.loads(geojson.dumps([ROAD]))
    line, fence = collection["features"]
    assert line["properties"]["amsl_m"] == [30, 90, 90, 100.5, 100.5, 32]
    # RFC 7946; EGM96 is 36.70 m above the ellipsoid around Kaga.
    for (_, _, height), amsl in zip(line["geometry"]["coordinates"], line["properties"]["amsl_m"], strict=True):
        assert height - amsl == pytest.approx(36.70, abs=0.1)
    assert fence["geometry"]["coordinates"][0][0] == fence["geometry"]["coordinates"][0][-1]
    # A ring runs anticlockwise, as RFC 7946 asks and sky_road makes it.
    ring = fence["geometry"]["coordinates"][0]
    assert sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) > 0


@pytest.mark.parametrize("write", [qgc_plan.dumps, lambda road: kml.dumps([road]), lambda road: geojson.dumps([road])])
def test_the_text_is_stable_and_another_datum_is_refused(write: object) -> None:
    text = write(ROAD)
    assert text == write(ROAD)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    with pytest.raises(DatumError, match="above mean sea level"):
        write(WRONG)
