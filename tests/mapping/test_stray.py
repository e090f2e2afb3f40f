"""A wrong bit in one coordinate must not make a map of half a country."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mapping.hostile_files import city_json
from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_las, write_ply, write_tif
from utm.errors import SurveyError
from utm.mapping.ingest import build_map
from utm.mapping.ingest.stray import check_files, check_tiles, widest_gap

SAID = {"crs": "EPSG:6675", "vertical_datum": "JGD2011"}
TERRAIN = plain(60, 40)
POINTS = ground_points(np.random.default_rng(3), TERRAIN, 400)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), min_size=1, max_size=8))
def test_the_widest_gap_is_the_longest_run_of_empty_units(stretches):
    made = sorted((low, low + length) for low, length in stretches)
    filled = {unit for low, high in made for unit in range(low, high)}
    first, last = made[0][0], max(high for _, high in made)
    # a stretch without length parts a gap all the same
    ends = {end for stretch in made for end in stretch}
    longest = run = 0
    for unit in range(first, last):
        run = 0 if unit in filled else 1 if unit in ends else run + 1
        longest = max(longest, run)
    gap, number = widest_gap(made)
    assert gap == longest
    if gap:
        assert made[number][0] - max(high for _, high in made[:number]) == gap


@pytest.mark.parametrize("axis", [0, 1])
def test_a_stray_point_is_an_error_and_no_map(tmp_path, axis):
    points = POINTS.copy()
    points[200, axis] += 16_384.0
    bad = write_ply(tmp_path / "bad.ply", points)
    dtm = write_tif(tmp_path / "dtm.tif", TERRAIN)
    with pytest.raises(SurveyError, match=r"bad\.ply: bounds: for 16 km there is nothing between parts of it"):
        build_map(bad, tmp_path / "map", terrain=dtm, **SAID)
    assert not (tmp_path / "map").exists()


def test_bounds_of_a_header_that_no_point_reaches(tmp_path):
    bad = write_las(tmp_path / "bad.las", POINTS)
    data = bytearray(bad.read_bytes())
    data[179:187] = np.float64(WEST + 15_000).tobytes()  # the largest x
    bad.write_bytes(data)
    dtm = write_tif(tmp_path / "dtm.tif", TERRAIN)
    with pytest.raises(SurveyError, match=r"bad\.las: bounds: for 14 km there is nothing"):
        build_map(bad, tmp_path / "map", terrain=dtm)


def test_a_file_that_alone_is_larger_than_a_map(tmp_path):
    points = POINTS.copy()
    points[7, :2] = 0.0
    bad = write_ply(tmp_path / "bad.ply", points)
    with pytest.raises(SurveyError, match=r"bad\.ply: bounds: reaches over 77,000 x 33,6\d\d m: with cells of"):
        build_map(bad, tmp_path / "map", **SAID)


def test_a_file_of_another_place_is_named(tmp_path):
    near = [write_tif(tmp_path / f"{n}.tif", TERRAIN + n, west=WEST + 60 * n) for n in range(3)]
    far = write_tif(tmp_path / "far.tif", TERRAIN, south=SOUTH + 80_000)
    with pytest.raises(SurveyError, match=r"far\.tif: bounds: lies 80 km from \d\.tif"):
        build_map([*near, far], tmp_path / "map")


def test_the_fewer_are_elsewhere_on_either_side():
    boxes = [(Path(f"{n}.laz"), (n * 100.0, 0.0, n * 100.0 + 100, 100.0)) for n in range(3)]
    for shift in (-200_000.0, 200_000.0):
        far = (Path("far.laz"), (shift, 0.0, shift + 100, 100.0))
        with pytest.raises(SurveyError, match=r"^far\.laz"):
            check_files([*boxes, far], 1.0)
    check_files([*boxes, (Path("valley.laz"), (30_000.0, 0.0, 30_100.0, 100.0))], 1.0)


def test_a_stray_vertex_of_a_model_is_an_error(tmp_path):
    document = city_json()
    document["vertices"][7][0] -= 2 * 10**7  # a fifth of a degree
    bad = tmp_path / "bad.city.json"
    bad.write_text(json.dumps(document))
    with pytest.raises(SurveyError, match=r"bad\.city\.json: vertices: an edge of 20 km"):
        build_map(bad, tmp_path / "map", terrain=write_tif(tmp_path / "dtm.tif", TERRAIN))


def test_surveys_of_one_city_may_lie_apart():
    check_tiles(Path("a.laz"), (0.0, 0.0, 9000.0, 500.0), {(0, 0), (17, 0)}, 1.0)
    check_tiles(Path("empty.laz"), (0.0, 0.0, 90_000.0, 500.0), set(), 1.0)
