"""PLY and PCD files that are cut, damaged or lie: one error each, and no point that nobody wrote."""

import contextlib

import numpy as np
import open3d
import pytest

from tests.mapping.survey_files import SOUTH, WEST, write_pcd, write_ply
from utm.errors import InputError, SurveyError
from utm.mapping.ingest import clouds, pointfile
from utm.mapping.ingest.lzf import decompressed

RNG = np.random.default_rng(8)
POINTS = RNG.uniform([0, 0, 3], [60, 40, 30], (500, 3)) + [WEST, SOUTH, 0]


def inspected(path):
    return clouds.inspect_cloud(path, role="surface", crs="EPSG:6675", vertical="JGD2011")


def refused(path) -> str:
    with pytest.raises(SurveyError) as caught:
        inspected(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    packed = folder / "packed.pcd"
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(POINTS))
    assert open3d.io.write_point_cloud(str(packed), cloud, compressed=True)
    return {
        "ply": write_ply(folder / "a.ply", POINTS),
        "text.ply": write_ply(folder / "b.ply", POINTS, order="ascii"),
        "pcd": write_pcd(folder / "a.pcd", POINTS),
        "text.pcd": write_pcd(folder / "b.pcd", POINTS, data="ascii"),
        "packed.pcd": packed,
    }


KINDS = ["ply", "text.ply", "pcd", "text.pcd", "packed.pcd"]


def changed(tmp_path, path, old, new):
    data = path.read_bytes()
    assert old in data
    bad = tmp_path / f"bad{path.suffix}"
    bad.write_bytes(data.replace(old, new, 1))
    return bad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.2, 0.5, 0.9, 0.99])
def test_cut_short(files, tmp_path, kind, share):
    """Open3D 0.20 makes up the points that a cut PLY or text PCD lacks."""
    data = files[kind].read_bytes()
    cut = tmp_path / f"cut{files[kind].suffix}"
    cut.write_bytes(data[: int(len(data) * share)])
    refused(cut)


@pytest.mark.parametrize(
    "count", [b"0", b"-5", b"499", b"501", b"4000000000", b"100000000000", b"1e9", b"99999999999999"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_counts_that_the_file_does_not_hold(files, tmp_path, kind, count):
    if kind.endswith("ply"):
        bad = changed(tmp_path, files[kind], b"vertex 500", b"vertex " + count)
        if kind == "ply" and count == b"499":
            assert inspected(bad).points == 499  # faces of any length follow: what they hold is not looked at
            return
        if kind == "text.ply" and count in (b"499", b"501"):
            # A face is taken for a point, or a point for a face
            with contextlib.suppress(SurveyError):
                assert inspected(bad).points == 499
            return
    else:
        bad = changed(tmp_path, files[kind], b"POINTS 500", b"POINTS " + count)
        bad = changed(tmp_path, bad, b"WIDTH 500", b"WIDTH " + count)
    refused(bad)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"property double z", b"property list uchar double z"),
        (b"property double z", b"property int z"),
        (b"property double z", b"property double w"),
        (b"property double z", b"property double x"),
        (b"property double z", b"property quad z"),
        (b"property double z\n", b""),
        (b"format binary_little_endian 1.0", b"format binary_little_endian 9.0"),
        (b"format binary_little_endian 1.0\n", b""),
        (b"end_header", b"end_of_header"),
        (b"element vertex 500", b"element vertices 500"),
        (b"element vertex 500", b"element vertex 500\nelement vertex 500"),
        (b"element vertex 500", b"element camera 70000\nproperty double x\nelement vertex 500"),
        (b"element vertex 500", b"element path 1\nproperty list int float at\nelement vertex 500"),
        (b"ply\n", b"pla\n"),
    ],
)
def test_ply_headers_that_cannot_be(files, tmp_path, old, new):
    assert "not a readable PLY file" in refused(changed(tmp_path, files["ply"], old, new))


def test_what_stands_before_the_vertices_is_stepped_over(tmp_path, files):
    bad = changed(
        tmp_path, files["text.ply"], b"element vertex", b"element camera 1\nproperty float at\nelement vertex"
    )
    bad = changed(tmp_path, bad, b"end_header\n", b"end_header\n3.5\n")
    assert inspected(bad).bounds == inspected(files["text.ply"]).bounds
    bad = changed(tmp_path, files["ply"], b"element vertex", b"element camera 1\nproperty float at\nelement vertex")
    bad = changed(tmp_path, bad, b"end_header\n", b"end_header\n3.5\n")  # four bytes
    assert inspected(bad).bounds == inspected(files["ply"]).bounds


@pytest.mark.parametrize("kind", ["pcd", "packed.pcd"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SIZE", b"SIZE 100000"),
        (b"COUNT 1", b"COUNT 100000"),
        (b"COUNT 1", b"COUNT -1"),
        (b"TYPE F", b"TYPE I"),
        (b"FIELDS x", b"FIELDS a"),
        (b"FIELDS x", b"FIELDS y"),
        (b"HEIGHT 1", b"HEIGHT 2"),
        (b"HEIGHT 1\n", b""),
        (b"DATA binary", b"DATA secret"),
        (b"DATA binary", b"WIDTH 500\nDATA binary"),
        (b"SIZE", b"SIZES"),
    ],
)
def test_pcd_headers_that_cannot_be(files, tmp_path, kind, old, new):
    """Two of them end the process in Open3D 0.20."""
    assert "not a readable PCD file" in refused(changed(tmp_path, files[kind], old, new))


def test_points_behind_those_that_are_announced_are_not_lost(files, tmp_path):
    for kind in ("pcd", "text.pcd"):
        more = tmp_path / f"more{files[kind].suffix}"
        more.write_bytes(files[kind].read_bytes() + files[kind].read_bytes()[-200:])
        refused(more)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -1e12])
def test_coordinates_that_are_no_place(tmp_path, value):
    points = POINTS.copy()
    points[123, 1] = value
    for path in (
        write_ply(tmp_path / "a.ply", points), write_ply(tmp_path / "b.ply", points, dtype="f4", order="ascii"),
        write_pcd(tmp_path / "a.pcd", points, dtype="f4"), write_pcd(tmp_path / "b.pcd", points, data="ascii"),
    ):  # fmt: skip
        assert "point 124: coordinates that are no place on Earth" in refused(path)


def test_text_that_is_no_table_of_numbers(tmp_path, files):
    for kind in ("text.ply", "text.pcd"):
        lines = files[kind].read_bytes().split(b"\n")
        for line in (b"", b"1 2", b"one two three four five", b"1 2 3 4 5 6 7 8 9"):
            bad = tmp_path / f"bad{files[kind].suffix}"
            bad.write_bytes(b"\n".join([*lines[:100], line, *lines[101:]]))
            refused(bad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(25))
def test_garbled_bytes_end_in_one_error_or_in_points(files, tmp_path, kind, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(files[kind].read_bytes())
    for place in rng.integers(0, len(data) if seed % 2 else 250, 5):
        data[place] = rng.integers(0, 256)
    bad = tmp_path / f"bad{files[kind].suffix}"
    bad.write_bytes(bytes(data))
    with contextlib.suppress(InputError):  # some bytes may change without harm
        assert inspected(bad).points <= 500


def test_the_step_of_single_precision(tmp_path):
    far = POINTS + [679_000 - WEST, 4_911_000 - SOUTH, 0]
    assert inspected(write_ply(tmp_path / "a.ply", far, dtype="f4")).step == 0.5
    assert inspected(write_ply(tmp_path / "b.ply", far)).step == 0.0
    near = POINTS - [WEST, SOUTH, 0]
    assert inspected(write_pcd(tmp_path / "c.pcd", near, dtype="f4")).step == 0.0


def test_big_compressed_clouds_are_refused_with_the_mend(files, tmp_path, monkeypatch):
    monkeypatch.setattr(pointfile, "MAX_COMPRESSED", 5000)
    assert "Write it as binary PCD, or as LAZ" in refused(files["packed.pcd"])


@pytest.mark.nojit
def test_lzf_copies_that_overlap(tmp_path):
    """A literal of one byte, then 200 of it by a copy from one byte back."""
    stream = bytes([0, ord("a"), 0xE0, 200 - 9, 0])
    path = tmp_path / "stream"
    path.write_bytes(np.array([len(stream), 201], "<u4").tobytes() + stream)
    assert decompressed(path, 0, 201).tobytes() == b"a" * 201
    for size in (200, 202):
        path.write_bytes(np.array([len(stream), size], "<u4").tobytes() + stream)
        with pytest.raises(ValueError, match="damaged"):
            decompressed(path, 0, size)
