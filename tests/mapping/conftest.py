from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_laz, write_tif
from utm.mapping.ingest import build_map


@pytest.fixture(scope="session")
def survey(tmp_path_factory):
    """A small survey, 120 x 80 m at 1 m: a block of 12 m, a hole in the DSM, a cloud over the east half with a wire,
    a lone return high in the air and one deep below."""
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(3)
    terrain = plain()
    surface = terrain.copy()
    surface[20:36, 30:50] += 12
    hole = np.zeros(terrain.shape, bool)
    hole[40:50, 10:20] = True
    points = ground_points(rng, terrain, 12_000)
    points = points[points[:, 0] > WEST + 60]
    wire = np.column_stack([np.full(40, WEST + 80.3), SOUTH + np.linspace(5, 75, 40), np.full(40, 35.0)])
    lone = np.array([[WEST + 100.5, SOUTH + 40.5, 480.0], [WEST + 101.5, SOUTH + 20.5, -60.0]])
    everything = np.concatenate([points, wire, lone])
    return SimpleNamespace(
        folder=folder, terrain_m=terrain, surface_m=surface, hole=hole, points=everything, wire=wire, lone=lone,
        dsm=write_tif(folder / "dsm.tif", np.where(hole, np.float32(-9999), surface)),
        dtm=write_tif(folder / "dtm.tif", terrain),
        cloud=write_laz(folder / "cloud.laz", everything),
    )  # fmt: skip


@pytest.fixture(scope="session")
def small_map(survey, tmp_path_factory):
    """The small survey as a map of 1 m cells."""
    return build_map([survey.dsm, survey.cloud], tmp_path_factory.mktemp("maps") / "small", terrain=survey.dtm)
