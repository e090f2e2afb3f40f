"""LAS and LAZ files that are cut, damaged or lie: one error each."""

import contextlib
import struct

import numpy as np
import pytest

from tests.mapping.survey_files import SOUTH, WEST, write_las, write_laz
from utm.errors import InputError, SurveyError
from utm.frames import LocalFrame
from utm.mapping.ingest import clouds, las
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.placing import Placing

RNG = np.random.default_rng(8)
POINTS = RNG.uniform([0, 0, 3], [60, 40, 30], (2000, 3)) + [WEST, SOUTH, 0]
CHUNK_SIZE = 12  # byte within the LASzip record


def read_all(path):
    source = clouds.inspect_cloud(path, role="surface", crs="EPSG:6675", vertical="JGD2011")
    placing = Placing(source.stated, LocalFrame("EPSG:6675", WEST, SOUTH, source.stated.vertical))
    grid = Grid(WEST, SOUTH, 1.0, 60, 40)
    return sum(clouds.read_part(source, p, placing, grid, outliers=False).points for p in clouds.parts(source))


def refused(path) -> str:
    with pytest.raises(SurveyError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message


def patched(tmp_path, original, at, data):
    content = bytearray(original.read_bytes())
    content[at : at + len(data)] = data
    path = tmp_path / f"bad{original.suffix}"
    path.write_bytes(bytes(content))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("las")
    return [
        write_laz(folder / "six.laz", POINTS),
        write_las(folder / "one.laz", POINTS, version="1.2", point_format=1),
        write_laz(folder / "six.las", POINTS),
    ]


def test_whole_files_are_read(files):
    assert [read_all(path) for path in files] == [2000] * 3


@pytest.mark.parametrize("share", [0.0001, 0.005, 0.03, 0.2, 0.5, 0.9, 0.999])
def test_cut_short(files, tmp_path, share):
    for path in files:
        data = path.read_bytes()
        cut = tmp_path / f"cut{path.suffix}"
        cut.write_bytes(data[: int(len(data) * share)])
        assert "not a readable LAS or LAZ file" in refused(cut)


def header_of(path):
    with path.open("rb") as file:
        data = file.read()
    return data, struct.unpack_from("<I", data, 96)[0]


@pytest.mark.parametrize("count", [1, 1999, 2001, 60_000, 2**31, 2**40])
def test_counts_that_the_file_does_not_hold(files, tmp_path, count):
    bad = patched(tmp_path, files[2], 247, struct.pack("<Q", count))
    assert "the header announces" in refused(bad)
    bad = patched(tmp_path, files[0], 247, struct.pack("<Q", count))
    if count in (1, 1999):
        assert read_all(bad) == count  # the one thing that a LAZ file with one chunk cannot tell
    else:
        refused(bad)


@pytest.mark.parametrize("size", [0, 1, 100, 3_000_000, 2_139_062_096, 2**32 - 1])
def test_chunks_of_a_size_that_cannot_be(files, tmp_path, size):
    """lazrs would take 60 GB for the fifth, and end the process over it."""
    for path in files[:2]:
        data, _ = header_of(path)
        record = data.index(b"laszip encoded") - 2 + 54
        refused(patched(tmp_path, path, record + CHUNK_SIZE, struct.pack("<I", size)))


@pytest.mark.parametrize("number", [0, 2, 1000, 2**32 - 1])
def test_a_table_with_more_chunks_than_bytes(files, tmp_path, number):
    for path in files[:2]:
        data, points_at = header_of(path)
        (table,) = struct.unpack_from("<q", data, points_at)
        refused(patched(tmp_path, path, table + 4, struct.pack("<I", number)))


@pytest.mark.parametrize("place", [-2, 0, 50, 2**40, -(2**62)])
def test_a_table_of_chunks_that_is_elsewhere(files, tmp_path, place):
    _, points_at = header_of(files[0])
    refused(patched(tmp_path, files[0], points_at, struct.pack("<q", place)))


def test_a_table_whose_place_stands_at_the_end(files, tmp_path):
    data, points_at = header_of(files[0])
    moved = patched(tmp_path, files[0], points_at, struct.pack("<q", -1))
    moved.write_bytes(moved.read_bytes() + data[points_at : points_at + 8])
    assert read_all(moved) == 2000


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1e12])
def test_bounds_and_scales_that_are_no_numbers_of_this_earth(files, tmp_path, value):
    assert "bounds" in refused(patched(tmp_path, files[0], 179, np.float64(value).tobytes()))
    assert "bounds" in refused(patched(tmp_path, files[2], 131, np.float64(value).tobytes()))


def test_more_records_than_the_file_has_room_for(files, tmp_path):
    assert "announces" in refused(patched(tmp_path, files[2], 100, struct.pack("<I", 400_000_000)))
    assert "announces" in refused(patched(tmp_path, files[2], 235, struct.pack("<QI", 400, 400_000_000)))


@pytest.mark.parametrize("seed", range(40))
def test_garbled_bytes_end_in_one_error_or_in_points(files, tmp_path, seed):
    rng = np.random.default_rng(seed)
    for path in files:
        data = bytearray(path.read_bytes())
        for place in rng.integers(0, len(data) if seed % 2 else 600, 5):
            data[place] = rng.integers(0, 256)
        bad = tmp_path / f"bad{path.suffix}"
        bad.write_bytes(bytes(data))
        with contextlib.suppress(InputError):  # some bytes may change without harm
            assert read_all(bad) <= 2000


def test_full_chunks_leave_no_empty_one_behind(tmp_path):
    points = np.tile(POINTS, (25, 1))
    path = write_laz(tmp_path / "full.laz", points)
    assert las.ranges(path, 1_000_000, 10**9) == [(0, 50_000)]
    assert las.read_records(path, 0, 50_000).X.shape == (50_000,)


def test_ranges_respect_the_bytes_of_records(tmp_path):
    path = write_las(tmp_path / "a.las", POINTS, point_format=8)
    assert las.ranges(path, 1000, 38 * 300) == [(0, 300), (300, 300), (600, 300), (900, 300), (1200, 300), (1500, 300),
                                                (1800, 200)]  # fmt: skip
    assert las.ranges(path, 1500, 10**9) == [(0, 1500), (1500, 500)]


def test_a_range_that_is_no_longer_there_is_an_error(tmp_path, files):
    for path in files:
        with pytest.raises(SurveyError):
            las.read_records(path, 1500, 1000)


def test_coordinates_are_those_that_were_written(files):
    for path in files:
        records = las.read_records(path, 0, 2000)
        np.testing.assert_allclose(np.column_stack(records.coordinates()), POINTS, atol=0.00051)
        assert records.outside(*records.coordinates()) == -1
