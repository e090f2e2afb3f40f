"""A small town, two flights over it and one refused wish, made for the report's tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from utm.core import time_path
from utm.mapping import CityMap
from utm.mapping.ingest import build_map
from utm.model import (
    AIRCRAFT_CLASSES,
    Corridor,
    Datum,
    FlightPlan,
    GeoZone,
    IntentState,
    OperationalIntent,
    Restriction,
    RuleSet,
    Waypoint,
)
from utm.report import Flown, FlownFlight, Refused

START_S = 1_800_000_000.0
WIDTH, HEIGHT, CELL = 900, 600, 2
MakeFlight = Callable[..., FlownFlight]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> CityMap:
    """Flat ground at 10 m with one tower of 30 m."""
    folder = tmp_path_factory.mktemp("town")
    terrain = np.full((HEIGHT // CELL, WIDTH // CELL), 10.0, np.float32)
    surface = terrain.copy()
    surface[145:155, 220:230] += 30.0
    for name, heights in (("dtm", terrain), ("dsm", surface)):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            driver="GTiff",
            width=heights.shape[1],
            height=heights.shape[0],
            count=1,
            dtype="float32",
            crs="EPSG:6675",
            transform=from_origin(-79000.0, 33200.0, CELL, CELL),
        ) as raster:
            raster.write(heights, 1)
    return build_map(
        folder / "dsm.tif", folder / "map", terrain=folder / "dtm.tif", resolution_m=2.0, vertical_datum="JGD2011"
    )


@pytest.fixture(scope="session")
def make_flight(town: CityMap) -> MakeFlight:
    """A flight along corners (n, 3) with a constant sideways offset of the flown track."""

    def make(
        plan_id: str, corners: np.ndarray, *, operator: str = "Kaga Courier", delay_s=0.0, aside_m=1.0, lift_m=0.5
    ):
        aircraft = AIRCRAFT_CLASSES["quad"]
        line = time_path(np.asarray(corners, float), aircraft, START_S + delay_s)
        t_s = np.arange(line.start_s, line.end_s, 0.5)
        enu = np.column_stack([np.interp(t_s, line.t_s, line.enu_m[:, k]) for k in range(3)])
        enu = enu + np.array([0.0, aside_m, lift_m])
        inside = np.full(len(t_s), aside_m <= 25 and abs(lift_m) <= 10)
        plan = FlightPlan(
            id=plan_id,
            operator=operator,
            aircraft=aircraft,
            origin=town.frame.waypoint(line.enu_m[0], Datum.JGD2011),
            destination=town.frame.waypoint(line.enu_m[-1], Datum.JGD2011),
            earliest_departure_s=START_S,
            latest_departure_s=START_S + 900,
        )
        intent = OperationalIntent(
            id=f"intent-{plan_id}",
            plan=plan,
            state=IntentState.ENDED,
            version=3,
            ovn="ovn",
            corridor=Corridor(line, 25.0, 10.0, 10.0, 10.0),
            map_version=town.version,
            zones=("school@0123456789ab",),
            neighbours=(),
            clearances={},
        )
        n = len(t_s)
        return FlownFlight(intent, t_s, enu, np.full(n, aside_m), np.full(n, lift_m), inside, "approved as asked")

    return make


@pytest.fixture
def flown(town: CityMap, make_flight: MakeFlight) -> Flown:
    """Two ways that cross at 60 s and at 40 s, and a wish that was refused."""
    across = make_flight("MED-1", [[120, 300, 10], [120, 300, 80], [780, 310, 80], [780, 310, 10]])
    along = make_flight(
        "INSP-2", [[450, 80, 10], [450, 80, 100], [440, 520, 100], [440, 520, 10]], operator="Lines", delay_s=20.0
    )
    lon, lat = (float(value) for value in town.frame.to_lonlat(700.0, 150.0))
    wish = FlightPlan(
        id="DLV-3",
        operator="Shop",
        aircraft=AIRCRAFT_CLASSES["quad"],
        origin=across.intent.plan.origin,
        destination=Waypoint(lon, lat, 10.0, Datum.JGD2011),
        earliest_departure_s=START_S,
        latest_departure_s=START_S + 900,
    )
    square = [(650.0, 100.0), (750.0, 100.0), (750.0, 200.0), (650.0, 200.0)]
    corners = tuple((float(a), float(b)) for a, b in (town.frame.to_lonlat(*corner) for corner in square))
    zone = GeoZone("school", "School", Restriction.PROHIBITED, corners, 0.0, Datum.AGL, 150.0, Datum.AGL)
    origin = across.intent.plan.origin
    return Flown(
        city_map=town,
        zones=(zone,),
        flights=(across, along),
        rules=RuleSet(),
        refused=(Refused(wish, "The destination lies inside the zone School."),),
        places=(("Hospital", origin.lon_deg, origin.lat_deg),),
        title="Two flights",
    )
