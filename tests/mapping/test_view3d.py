"""The 3-D page: one file, no network, the map's own numbers, and switches that work in a real browser."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from utm.errors import MapError
from utm.mapping.decimate import FLOATING_DTYPE, Decimated, decimate
from utm.mapping.mapfile import Status
from utm.mapping.view3d import COLOURS, FLOATING, Facts, document_of, packed, page, unpacked, view_3d

NX, NY = 60, 40


def town(floating=None) -> Decimated:
    """60 x 40 blocks of 4 m on a slope: houses, a hole that nobody saw, a suspect, a wire of two kinds."""
    x, y = np.meshgrid(np.arange(NX), np.arange(NY), indexing="ij")
    ground = (12.3 + 0.5 * x + 0.1 * y).astype("f4")
    above = np.where((x % 7 < 3) & (y % 6 < 3), 9.0 + x / 10, 0).astype("f4")
    status = np.full((NX, NY), Status.KNOWN | Status.FROM_RASTER, "u1")
    status[x > 30] |= np.uint8(Status.FROM_CLOUD)
    hole = (x - 15) ** 2 + (y - 20) ** 2 < 60
    status[hole], above[hole] = Status.UNKNOWN, 20.0
    status[50, 20] |= np.uint8(Status.SUSPECT)
    above[50, 20] = 60.0
    source = np.where(hole, 0, 1 + (x > 30)).astype("u2")
    age = np.where(hole, 0, 20_000 + 300 * (x > 30)).astype("u2")
    if floating is None:
        floating = np.array([(k, 5, 90 + k / 9, 91 + k / 9, 1 + 2 * (k > 30), 2) for k in range(NX)], FLOATING_DTYPE)
    return Decimated((0.0, 0.0), 4.0, 2, ground, above, above, status, source, age, (x > 55), floating)


def facts(**changes) -> Facts:
    lon, lat = np.meshgrid(np.linspace(136.3, 136.303, 17), np.linspace(36.3, 36.301, 17), indexing="ij")
    told = {
        "title": "Kaga </script><script>alert(1)</script> & 加賀", "version": "5c" * 32, "crs": "EPSG:6675",
        "vertical": "JGD2011", "map_cell_m": 2.0, "surveyed": {"oldest": "2024-10-04", "newest": "2025-07-31"},
        "sources": ("dsm.tif", "</script>.laz"), "lattice": (lon, lat), "north_rad": 0.01,
    }  # fmt: skip
    return Facts(**{**told, **changes})


def read_back(text: str) -> dict:
    """The document in a page, as the viewer finds it."""
    found = re.findall(r'<script id="city" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_planes_come_back(plane):
    for array in (plane, plane.astype(np.uint8)):
        back = unpacked(packed(array))
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array.ravel())


def test_heights_in_the_page_are_the_heights_of_the_scene():
    scene = town()
    document = read_back(page(scene, facts()))
    assert (document["nx"], document["ny"], document["cell_m"]) == (NX, NY, 4.0)
    planes = {name: unpacked(plane) for name, plane in document["planes"].items()}
    half = document["step_m"] / 2 + 1e-4
    assert half < 0.06
    for plane, base, heights in (
        ("ground", document["base_m"], scene.ground_m),
        ("above", 0.0, scene.base_m),
        ("floating_from", document["base_m"], scene.floating["from_m"]),
        ("floating_to", document["base_m"], scene.floating["to_m"]),
    ):
        np.testing.assert_allclose(base + planes[plane] * document["step_m"], heights.ravel(), atol=half, rtol=0)
    for plane in ("status", "source", "age"):
        np.testing.assert_array_equal(planes[plane], getattr(scene, plane).ravel())
    assert document["title"] == facts().title
    assert document["vertical"] == "JGD2011"


def test_the_page_is_one_file_that_loads_nothing_and_trusts_no_name():
    text = page(town(), facts())
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", text, flags=re.DOTALL)
    assert markup.count("<script") == 3, "a name must not end a script or begin one"
    assert not re.findall(r"<(?:link|iframe|img|object|embed|base|audio|video)\b|\ssrc\s*=", markup)
    assert not re.findall(r"url\(|@import", markup)
    # All that is left is the name space of XHTML, which is a name
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/1999/xhtml"}
    program = text[text.rindex("<script>") :]
    assert not re.findall(r"\bfetch\(|XMLHttpRequest|WebSocket|importScripts|import\(", program)
    assert "Permission is hereby granted, free of charge" in program


def test_so_many_wires_are_drawn_in_larger_blocks():
    x, y = np.meshgrid(np.arange(300), np.arange(300), indexing="ij")
    many = np.zeros(x.size, FLOATING_DTYPE)
    many["ix"], many["iy"], many["from_m"], many["to_m"], many["kind"] = x.ravel(), y.ravel(), 50, 51, 1
    document = document_of(town(many), facts())
    assert 0 < document["floating"]["count"] <= FLOATING
    assert document["floating"]["cell_m"] == 8.0


def test_a_flat_map_and_one_of_a_single_cell():
    for scene in (_flat(1, 1), _flat(3, 2)):
        assert read_back(page(scene, facts()))["contour_m"] == 0


def _flat(nx: int, ny: int) -> Decimated:
    zero = np.zeros((nx, ny), "f4")
    one = np.ones((nx, ny))
    none = np.empty(0, FLOATING_DTYPE)
    return Decimated((0.0, 0.0), 1.0, 1, zero, zero, zero, one.astype("u1"), one.astype("u2"), one.astype("u2"),
                     zero > 0, none)  # fmt: skip


def test_the_page_of_a_map(small_map, tmp_path):
    out = view_3d(small_map, tmp_path / "city.html", layer="status", title="Town", language="ja")
    assert [path.name for path in tmp_path.iterdir()] == ["city.html"]
    document = read_back(out.read_text(encoding="utf-8"))
    assert document["layer"] == COLOURS["status"] == "known"
    assert document["language"] == "ja"
    assert document["version"] == small_map.version
    assert [source["file"] for source in document["sources"]] == [source["file"] for source in small_map.sources]
    scene = decimate(small_map)
    n, (nx, ny) = document["lattice"]["n"], scene.status.shape
    lon, lat = (np.array(document["lattice"][name]).reshape(n, n) for name in ("lon", "lat"))
    east, north = small_map.frame.to_map(lon[-1, -1], lat[-1, -1])
    assert float(east) == pytest.approx(nx * scene.cell_m, abs=0.01)
    assert float(north) == pytest.approx(ny * scene.cell_m, abs=0.01)
    with pytest.raises(MapError, match="the page cannot be written"):
        view_3d(small_map, tmp_path / "none" / "city.html")


def test_a_browser_draws_it_and_every_switch_changes_the_picture(tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here to open the page with")
    file = tmp_path / "town.html"
    scene = town()
    file.write_text(page(scene, facts()), encoding="utf-8")
    command = [
        browser, "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=480,360", "--virtual-time-budget=6000", "--dump-dom",
        f"{file.as_uri()}#selftest",
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    report = json.loads(re.findall(r'id="selftest">(.*?)</script>', dom, re.DOTALL)[0])
    assert report["errors"] == []
    assert report["glError"] == 0
    assert report["covered"] > 0.1
    assert report["hanging"] == NX
    assert report["changed"].pop("natural") == 0
    assert min(report["changed"].values()) > 0, report["changed"]
    assert min(report["changed"][name] for name in ("stretch", "ground", "height", "source", "age", "known")) > 0.02
    planes = read_back(file.read_text(encoding="utf-8"))["planes"]
    for name, total in report["sums"].items():
        assert total == int(unpacked(planes[name]).astype(np.int64).sum()), f"{name} was unpacked wrongly"
