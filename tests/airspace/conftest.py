"""A small town to ask for flights in: 1600 x 1200 m of plain, one tower, one hill, a roof pad."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tests.airspace.postgres import database_url, postgresql, postgresql_server  # noqa: F401 (fixtures)
from utm.airspace import Airspace
from utm.mapping import CityMap
from utm.mapping.ingest import build_map
from utm.model import AIRCRAFT_CLASSES, Datum, FlightPlan, GeoZone, Restriction, Waypoint

CELL_M = 4.0
SIZE = (400, 300)
WEST, SOUTH = -77_000.0, 33_500.0
#: A Tuesday, ten in the morning in Japan.
T0 = datetime.datetime.fromisoformat("2026-10-20T10:00:00+09:00").timestamp()

TOWER_M = (800.0, 600.0)
TOWER_UP_M = 130.0
PADS = {"west": (200.0, 600.0), "east": (1400.0, 600.0), "south": (800.0, 150.0), "north": (800.0, 1050.0)}


def write_raster(path: Path, values: np.ndarray) -> Path:
    """``values`` [ix, iy] in metres as a GeoTIFF with JGD2011 heights."""
    transform = from_origin(WEST, SOUTH + values.shape[1] * CELL_M, CELL_M, CELL_M)
    options = {"driver": "GTiff", "width": values.shape[0], "height": values.shape[1], "count": 1, "nodata": -9999.0}
    with rasterio.open(path, "w", dtype="float32", crs="EPSG:6675+6695", transform=transform, **options) as file:
        file.write(np.flipud(values.T).astype(np.float32), 1)
    return path


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> CityMap:
    """The map of the small town."""
    folder = tmp_path_factory.mktemp("town")
    terrain = np.full(SIZE, 10.0)
    terrain[:, 280:] += 0.5 * np.arange(20)
    surface = terrain.copy()
    i, j = (int(value / CELL_M) for value in TOWER_M)
    surface[i - 5 : i + 5, j - 60 : j + 60] = TOWER_UP_M  # a wall across the straight way, 40 m thick, 480 m long
    dsm, dtm = write_raster(folder / "dsm.tif", surface), write_raster(folder / "dtm.tif", terrain)
    return build_map([dsm], folder / "map", terrain=[dtm], resolution_m=CELL_M)


#: Modules that go through the whole engine: their tests are run on every store.
_ON_EVERY_STORE = {"test_authority", "test_making_way", "test_replay", "test_checked", "test_conditions"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests of some modules an airspace on each store in turn; `sqlite_only` ones look into its file."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if "store" in metafunc.fixturenames and module in _ON_EVERY_STORE:
        stores = ["sqlite"] if hasattr(metafunc.function, "sqlite_only") else ["sqlite", "postgresql"]
        metafunc.parametrize("store", stores, indirect=True)


def sqlite_only(test):
    """Of a test that opens the file in which SQLite keeps an airspace, or concerns no store."""
    test.sqlite_only = True
    return test


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of an empty database; None for SQLite inside the airspace's folder."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield None
        return
    running = request.getfixturevalue("postgresql_server")
    url = running.fresh()
    yield url
    running.give_back(url)


@pytest.fixture
def airspace(town: CityMap, tmp_path: Path, store: str | None):
    """An empty airspace over the town; its clock stands ten minutes before T0."""
    with Airspace.create(tmp_path / "airspace", town, database=store, clock=lambda: T0 - 600.0) as made:
        yield made


def pad(town: CityMap, name: str) -> Waypoint:
    """One of the pads, on the ground."""
    lon, lat = town.frame.to_lonlat(*PADS[name])
    return Waypoint(float(lon), float(lat), 0.0, Datum.AGL)


def plan(town: CityMap, name: str, way: tuple[str, str], at_s: float = T0, **changes) -> FlightPlan:
    """A plan from pad to pad that may start up to ten minutes late."""
    origin, destination = (pad(town, end) for end in way)
    made = FlightPlan(name, f"{name} co", AIRCRAFT_CLASSES["quad"], origin, destination, at_s, at_s + 600.0)
    return dataclasses.replace(made, **changes)


def zone(town: CityMap, zone_id: str, centre_m: tuple[float, float], half_m: float, **changes) -> GeoZone:
    """A square zone that reaches from the ground to above the ceiling."""
    east, north = centre_m
    corners = [
        (east - half_m, north - half_m),
        (east + half_m, north - half_m),
        (east + half_m, north + half_m),
        (east - half_m, north + half_m),
    ]
    outline = tuple((float(lon), float(lat)) for lon, lat in (town.frame.to_lonlat(*corner) for corner in corners))
    made = GeoZone(zone_id, f"Zone {zone_id}", Restriction.PROHIBITED, outline, 0.0, Datum.AGL, 200.0, Datum.AGL)
    return dataclasses.replace(made, timezone="Asia/Tokyo", **changes)
