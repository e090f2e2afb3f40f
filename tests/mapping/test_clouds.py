"""Clouds of every format into evidence, held against the slow way from their points."""

import datetime
import os
from pathlib import Path
from types import SimpleNamespace

import laspy
import numpy as np
import open3d
import pytest
from laspy._compression import lazrsbackend

from tests.mapping import oracles
from tests.mapping.survey_files import SOUTH, WEST, write_las, write_laz, write_pcd, write_ply
from utm.errors import SurveyError
from utm.frames import LocalFrame
from utm.mapping.ingest import clouds
from utm.mapping.ingest.grid import TILE, Grid, grid_over
from utm.mapping.ingest.placing import Placing

CRS = "EPSG:6675"
DATA = Path(os.environ.get("UTM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def scattered(count=600, seed=5, classes=False):
    rng = np.random.default_rng(seed)
    points = rng.uniform([0, 0, 3], [60, 40, 30], (count, 3)) + [WEST, SOUTH, 0]
    points = np.round(points, 3)
    return (points, rng.choice([1, 2, 6, 7, 18], count)) if classes else points


def inspected(path, crs=CRS, vertical="JGD2011", **more):
    return clouds.inspect_cloud(path, role="surface", crs=crs, vertical=vertical, **more)


def placed(source, cell=2.0, crs=None, grid=None):
    grid = grid or grid_over([source.bounds], cell)
    frame = LocalFrame(crs or source.stated.crs, grid.west, grid.south, source.stated.vertical)
    return Placing(source.stated, frame), grid


def read(source, placing, grid, outliers=False):
    return [clouds.read_part(source, part, placing, grid, outliers=outliers) for part in clouds.parts(source)]


def rows(parts):
    """{(ix, iy): [top, low, levels, returns]} of all parts together, ground, and rejected rows."""
    seen, ground, rejected = {}, {}, []
    for part in parts:
        for (tx, ty), found in part.evidence.items():

            def place(cell, tx=tx, ty=ty):
                return tx * TILE + cell // TILE, ty * TILE + cell % TILE

            for cell, *row in zip(found.cells, found.top, found.low, found.levels, found.returns, strict=True):
                old = seen.setdefault(place(cell), [-np.inf, np.inf, 0, 0])
                seen[place(cell)] = [
                    max(old[0], row[0]), min(old[1], row[1]), old[2] | int(row[2]), old[3] + int(row[3])
                ]  # fmt: skip
            for cell, low, high in zip(found.ground_cells, found.ground_low, found.ground_high, strict=True):
                old = ground.setdefault(place(cell), [np.inf, -np.inf])
                ground[place(cell)] = [min(old[0], low), max(old[1], high)]
            rejected += [(*place(cell), up) for cell, up in zip(found.rejected_cells, found.rejected_up, strict=True)]
    return seen, ground, sorted(rejected)


def expected(points, kind, grid, half=0.0):
    east, north, up = points[:, 0] - grid.west, points[:, 1] - grid.south, points[:, 2]
    sides = np.stack([east - half, east + half, north - half, north + half], axis=1)
    return oracles.sort_returns(sides, up, kind, grid)[0]


def check(parts, points, kind, grid, half=0.0):
    seen, ground, rejected = rows(parts)
    cells = expected(points, kind, grid, half)
    assert set(seen) == {place for place, (accepted, _, _) in cells.items() if accepted}
    for place, (top, low, levels, returns) in seen.items():
        accepted = cells[place][0]
        assert np.nextafter(np.float32(top), np.float32(-1e9)) < max(accepted) <= top
        assert low <= min(accepted) < np.nextafter(np.float32(low), np.float32(1e9))
        assert returns == len(accepted)
        assert levels == sum(1 << bit for bit in {int(up // 2.0) % 64 for up in accepted})
    assert set(ground) == {place for place, (_, down, _) in cells.items() if down}
    for place, (low, high) in ground.items():
        assert low <= min(cells[place][1]) <= max(cells[place][1]) <= high
    assert len(rejected) == sum(len(thrown) for _, _, thrown in cells.values())


LAS = [
    ("1.2", 1, ".laz"),
    ("1.2", 3, ".las"),
    ("1.4", 6, ".laz"),
    ("1.4", 7, ".laz"),
    ("1.4", 8, ".las"),
    ("1.4", 8, ".laz"),
]


@pytest.mark.parametrize(("version", "point_format", "suffix"), LAS)
def test_las_of_every_usual_format(tmp_path, version, point_format, suffix):
    points, classes = scattered(classes=True)
    withheld = np.arange(len(points)) % 17 == 0
    path = write_las(
        tmp_path / f"a{suffix}", points, version=version, point_format=point_format, classes=classes, withheld=withheld
    )
    source = clouds.inspect_cloud(path, role="surface", crs=None, vertical=None)
    placing, grid = placed(source)
    assert placing.exact_shift
    assert (source.points, source.step, source.surveyed) == (600, 0.0, laspy.read(path).header.creation_date)
    parts = read(source, placing, grid)
    noise = np.isin(classes, (7, 18)) | withheld
    stored = np.asarray(laspy.read(path).xyz)
    check(parts, stored, np.where(noise, 2, np.where(classes == 2, 1, 0)), grid)
    assert (parts[0].points, parts[0].rejected, parts[0].noise_class) == (600, noise.sum(), noise.sum())
    assert set(parts[0].seconds) == {"decode", "filter", "bin"}


def test_odd_scales_and_offsets(tmp_path):
    path = write_las(
        tmp_path / "a.laz", scattered(), scales=(0.0254, 1 / 7, 0.01), offsets=(WEST - 1.7, SOUTH + 3.3, 1000.0)
    )
    source = inspected(path)
    placing, grid = placed(source, 0.5)
    check(read(source, placing, grid), np.asarray(laspy.read(path).xyz), np.zeros(600), grid)


def files(folder, points):
    """The same points in every way that PLY and PCD know: step, path and what should be read."""
    for dtype, step in (("f8", 0.0), ("f4", 2.0**-7)):  # float32 at 77,000 has steps of 1/128 m
        exact = points.astype(dtype).astype(float)
        for order in ("<", ">", "ascii"):
            yield step, write_ply(folder / f"{dtype}{ord(order[0])}.ply", points, dtype=dtype, order=order), exact
        for data in ("binary", "ascii"):
            yield step, write_pcd(folder / f"{dtype}{data}.pcd", points, dtype=dtype, data=data), exact
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    for step, name, options in (
        (0.0, "o.ply", {}), (0.0, "oa.ply", {"write_ascii": True}), (2.0**-7, "o.pcd", {}),
        (2.0**-7, "oc.pcd", {"compressed": True}),
    ):  # fmt: skip
        path = folder / name
        assert open3d.io.write_point_cloud(str(path), cloud, **options)
        yield step, path, np.asarray(open3d.io.read_point_cloud(str(path)).points)


def test_ply_and_pcd_in_every_encoding(tmp_path):
    for step, path, exact in files(tmp_path, scattered()):
        source = inspected(path)
        assert (source.step, source.points, source.surveyed) == (step, 600, None), path
        placing, grid = placed(source)
        east, north, up, noise = clouds.points_of(source, clouds.parts(source)[0], placing)
        np.testing.assert_array_equal(np.column_stack([east, north, up]), exact - [grid.west, grid.south, 0])
        assert not noise.any()
        check(read(source, placing, grid), exact, np.zeros(600), grid, step / 2)


def test_a_cloud_that_states_no_crs_is_refused_unless_a_comment_names_it(tmp_path):
    points = scattered(50)
    for path in (write_ply(tmp_path / "a.ply", points), write_pcd(tmp_path / "a.pcd", points)):
        with pytest.raises(SurveyError, match="states no coordinate reference system"):
            inspected(path, crs=None)
    named = write_ply(tmp_path / "b.ply", points, comment="crs EPSG:6675+6695")
    assert inspected(named, crs=None, vertical=None).stated.crs == CRS
    with pytest.raises(SurveyError, match="--crs"):
        inspected(named, crs="EPSG:6676", vertical=None)


def test_a_cloud_is_no_terrain_model(tmp_path):
    path = write_laz(tmp_path / "a.laz", scattered(50))
    with pytest.raises(SurveyError, match="class 2"):
        clouds.inspect_cloud(path, role="terrain", crs=None, vertical=None)


def test_the_day_of_the_survey(tmp_path):
    day = datetime.date(2024, 5, 6)
    assert inspected(write_laz(tmp_path / "a.laz", scattered(50)), surveyed=day).surveyed == day
    assert inspected(write_ply(tmp_path / "a.ply", scattered(50)), surveyed=day).surveyed == day


@pytest.mark.parametrize("suffix", [".laz", ".las", ".ply", ".pcd", ".txt.ply", ".txt.pcd"])
def test_parts_together_say_what_the_whole_says(tmp_path, monkeypatch, suffix):
    count = 120_000 if suffix == ".laz" else 900  # a LAZ chunk holds 50,000
    points = scattered(count)
    path = tmp_path / f"a{suffix}"
    if suffix in (".laz", ".las"):
        write_laz(path, points)
    elif path.suffix == ".ply":
        write_ply(path, points, order="ascii" if "txt" in suffix else ">")
    else:
        write_pcd(path, points, data="ascii" if "txt" in suffix else "binary")
    source = inspected(path)
    placing, grid = placed(source)
    whole = read(source, placing, grid)
    assert len(whole) == 1
    monkeypatch.setattr(clouds, "PART", 60_000 if suffix == ".laz" else 400)
    sizes = [part.count for part in clouds.parts(source)]
    assert sizes == ([50_000, 50_000, 20_000] if suffix == ".laz" else [400, 400, 100])
    split = read(source, placing, grid)
    assert rows(split) == rows(whole)
    monkeypatch.setattr(clouds, "PART_BYTES", 1)
    assert len(clouds.parts(source)) == (3 if suffix == ".laz" else 900)


def test_chunks_of_any_length(tmp_path, monkeypatch):
    """COPC and some writers end chunks where they like."""
    points = scattered(9000)
    path = tmp_path / "a.copc.laz"

    compress = lazrsbackend.lazrs.LazVlr.new_for_compression
    variable = SimpleNamespace(new_for_compression=lambda *given: compress(*given, use_variable_size_chunks=True))
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [0.001] * 3, [WEST, SOUTH, 0.0]
    with monkeypatch.context() as patch:
        patch.setattr(lazrsbackend.lazrs, "LazVlr", variable)
        with laspy.open(path, mode="w", header=header, laz_backend=laspy.LazBackend.Lazrs) as writer:
            for start, stop in ((0, 700), (700, 5000), (5000, 9000)):
                record = laspy.ScaleAwarePointRecord.zeros(stop - start, header=header)
                record.x, record.y, record.z = points[start:stop].T
                writer.write_points(record)
                if stop < 9000:
                    writer.point_writer.compressor.finish_current_chunk()
    source = inspected(path)
    placing, grid = placed(source)
    monkeypatch.setattr(clouds, "PART", 5000)
    assert [(part.start, part.count) for part in clouds.parts(source)] == [(0, 5000), (5000, 4000)]
    monkeypatch.setattr(clouds, "PART", 1)
    assert [(part.start, part.count) for part in clouds.parts(source)] == [(0, 700), (700, 4300), (5000, 4000)]
    check(read(source, placing, grid), points, np.zeros(9000), grid)


def test_points_off_the_map_are_counted_and_nothing_else(tmp_path):
    points = scattered()
    source = inspected(write_laz(tmp_path / "a.laz", points, classes=np.where(points[:, 2] > 20, 7, 1)))
    placing, grid = placed(source, grid=Grid(WEST + 10, SOUTH + 10, 1.0, 20, 20))
    (part,) = read(source, placing, grid)
    stored = np.asarray(laspy.read(source.path).xyz)
    inside = ((stored[:, :2] >= [WEST + 10, SOUTH + 10]) & (stored[:, :2] <= [WEST + 30, SOUTH + 30])).all(axis=1)
    assert (part.points, part.off_map) == (600, (~inside).sum())
    assert part.rejected == part.noise_class == (inside & (stored[:, 2] > 20)).sum()
    check([part], stored, np.where(stored[:, 2] > 20, 2, 0), grid)


def test_another_crs_goes_the_general_way_to_the_same_cells(tmp_path):
    source = inspected(write_laz(tmp_path / "a.laz", scattered()))
    west, south = 324_000.0, 4_015_000.0
    placing = Placing(source.stated, LocalFrame("EPSG:6690", 0.0, 0.0, source.stated.vertical))
    x, y, _ = placing.place(*scattered().T)
    west, south = np.floor([x.min(), y.min()]) - 2
    placing, grid = placed(source, crs="EPSG:6690", grid=Grid(west, south, 1.0, 90, 90))
    assert not placing.exact_shift
    (part,) = read(source, placing, grid)
    east, north, up, _ = clouds.points_of(source, clouds.parts(source)[0], placing)
    assert part.off_map == 0
    check([part], np.column_stack([east + west, north + south, up]), np.zeros(600), grid)


@pytest.mark.parametrize("map_crs", [CRS, "EPSG:6690"])
def test_a_return_outside_the_bounds_of_its_header_is_an_error(tmp_path, map_crs):
    path = write_laz(tmp_path / "a.laz", scattered())
    data = bytearray(path.read_bytes())
    data[179:187] = np.float64(WEST + 20.0).tobytes()  # the header's highest x
    path.write_bytes(bytes(data))
    source = inspected(path)
    placing, grid = placed(source, crs=map_crs, grid=Grid(0, 0, 1e5, 100, 100))
    with pytest.raises(SurveyError, match=r"a\.laz: bounds: a point lies outside the bounds that the header states"):
        read(source, placing, grid)


def test_the_filter_rejects_what_lies_apart(tmp_path):
    points = np.concatenate([scattered(4000), [[WEST + 30, SOUTH + 20, 300.0]]])
    source = inspected(write_laz(tmp_path / "a.laz", points))
    placing, grid = placed(source)
    (part,) = read(source, placing, grid, outliers=True)
    _, _, rejected = rows([part])
    assert part.rejected == len(rejected)
    assert part.noise_class == 0
    assert (15, 10, 300.0) in rejected
    assert part.seconds["filter"] > 0
    east, north, up, _ = clouds.points_of(source, clouds.parts(source)[0], placing)
    assert clouds.reject(np.column_stack([east, north, up])).sum() == part.rejected


def test_waterbury_every_point_lies_in_a_covered_cell_wherever_in_its_step_it_is(tmp_path):
    file = DATA / "odm_waterbury" / "patches_waterbury_roads_2.npz"
    if not file.is_file():
        pytest.skip(f"the Waterbury cloud is not at {file}")
    patch = np.load(file)["patches"][:10].reshape(-1, 3)
    path = write_ply(tmp_path / "a.ply", patch, dtype="f4")
    source = inspected(path, crs="EPSG:32618", vertical="EGM96")
    assert source.step == 0.5
    placing, grid = placed(source, 1.0)
    (part,) = read(source, placing, grid)
    seen, _, _ = rows([part])
    east, north, up, _ = clouds.points_of(source, clouds.parts(source)[0], placing)
    shift = np.random.default_rng(2).uniform(-0.25, 0.25, (2, len(up)))
    for dx, dy in ((0, 0), shift, (-0.25, 0.25), (0.25, -0.25)):
        ix, iy = np.floor(east + dx).astype(int), np.floor(north + dy).astype(int)
        on = (ix >= 0) & (iy >= 0) & (ix < grid.nx) & (iy < grid.ny)
        assert on.mean() > 0.99
        assert all(
            (a, b) in seen and seen[a, b][0] >= height
            for a, b, height in zip(ix[on].tolist(), iy[on].tolist(), up[on], strict=True)
        )


def test_delft(tmp_path):
    path = DATA / "delft" / "ahn3_cropped_2.laz"
    if not path.is_file():
        pytest.skip(f"the Delft cloud is not at {path}")
    with pytest.raises(SurveyError, match="states no coordinate reference system"):
        inspected(path, crs=None, vertical="NAP")
    source = inspected(path, crs="EPSG:28992", vertical="NAP")
    assert source.surveyed == datetime.date(2014, 3, 4)
    placing, grid = placed(source)
    (part,) = read(source, placing, grid)
    assert (part.points, part.off_map, part.rejected) == (208_432, 0, 0)
    (found,) = part.evidence.values()
    points = laspy.read(path)
    ix, iy = ((np.asarray(v) - o) // 2.0 for v, o in ((points.x, grid.west), (points.y, grid.south)))
    cell = np.minimum(ix, grid.nx - 1).astype(int) * TILE + np.minimum(iy, grid.ny - 1).astype(int)
    top, count = np.full(TILE * TILE, -np.inf), np.bincount(cell, minlength=TILE * TILE)
    np.maximum.at(top, cell, np.asarray(points.z))
    np.testing.assert_array_equal(found.cells, np.flatnonzero(count))
    np.testing.assert_array_equal(found.returns, count[found.cells])
    np.testing.assert_allclose(found.top, top[found.cells], atol=1e-5)
    assert (found.top >= top[found.cells]).all()
    ground = np.asarray(points.classification) == 2
    np.testing.assert_array_equal(found.ground_cells, np.unique(cell[ground]))
