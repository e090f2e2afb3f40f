"""An airspace keeps to the version of the map that it was made for."""

import json

import numpy as np
import pytest

from tests.airspace.conftest import CELL_M, SIZE, T0, plan
from tests.mapping.made_maps import made_map
from utm.airspace import Airspace
from utm.errors import MapError


def surveyed(wall_m: float) -> dict:
    """The plain, and a wall across it from edge to edge."""
    terrain = np.full(SIZE, 10.0, np.float32)
    surface = terrain.copy()
    surface[190:210] += np.float32(wall_m)
    known = np.ones(SIZE, np.uint8)
    return {
        "terrain": terrain, "surface": surface, "status": known, "source": known.astype(np.uint16),
        "age": np.zeros(SIZE, np.uint16),
    }  # fmt: skip


def test_an_airspace_plans_on_the_version_it_was_made_for(tmp_path):
    first = made_map(tmp_path / "city", surveyed(5.0), cell=CELL_M)
    with Airspace.create(tmp_path / "old", first, clock=lambda: T0 - 600.0) as old:
        wanted = old.submit(plan(first, "one", ("west", "east")))
    second = made_map(tmp_path / "city", surveyed(400.0), cell=CELL_M)
    assert second.version != first.version
    with Airspace.open(tmp_path / "old", clock=lambda: T0 - 600.0) as old:
        assert old.city_map.version == first.version
        assert float(old.city_map.surface_up(800.0, 600.0)) == 15.0
        assert old.submit(plan(first, "two", ("east", "west"))).intent is not None
    with Airspace.create(tmp_path / "new", second, clock=lambda: T0 - 600.0) as new:
        refused = new.submit(plan(second, "one", ("west", "east")))
    assert wanted.intent is not None
    assert refused.intent is None


def test_a_version_that_is_gone_is_told(tmp_path):
    first = made_map(tmp_path / "city", surveyed(5.0), cell=CELL_M)
    Airspace.create(tmp_path / "airspace", first).close()
    (first.path / "versions" / f"{first.version[:16]}.json").unlink()
    made_map(tmp_path / "other", surveyed(7.0), cell=CELL_M)
    file = tmp_path / "airspace" / "airspace.json"
    for place in ("../city", "../other", "../nowhere"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"map": place}))
        with pytest.raises(MapError, match=f"stands on version {first.version[:12]}") as caught:
            Airspace.open(tmp_path / "airspace")
        assert "make a new airspace" in str(caught.value)
