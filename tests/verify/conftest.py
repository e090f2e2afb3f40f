"""A plain with a few things on it, whose distances can be worked out by hand: where approvals are forged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.airspace.conftest import CELL_M, SIZE, write_raster
from tests.verify.forging import SHED_M, SHED_UP_M, UNKNOWN_M, WALL_M, WALL_UP_M
from utm.mapping import CityMap
from utm.mapping.ingest import build_map


def _cells(box_m: tuple[float, float, float, float]) -> tuple[slice, slice]:
    west, south, east, north = (round(value / CELL_M) for value in box_m)
    return slice(west, east), slice(south, north)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CityMap:
    """1600 x 1200 m at 10 m up: a wall, a shed, a patch that nobody surveyed, terraces along the northern edge."""
    folder: Path = tmp_path_factory.mktemp("plain")
    terrain = np.full(SIZE, 10.0)
    terrain[:, 280:] += 0.5 * np.arange(20)
    surface = terrain.copy()
    surface[_cells(WALL_M)] = WALL_UP_M
    surface[_cells(SHED_M)] = SHED_UP_M
    surface[_cells(UNKNOWN_M)] = -9999.0
    dsm, dtm = write_raster(folder / "dsm.tif", surface), write_raster(folder / "dtm.tif", terrain)
    return build_map([dsm], folder / "map", terrain=[dtm], resolution_m=CELL_M)
