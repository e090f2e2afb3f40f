"""Whatever a map lives through, nothing that somebody saw, entered or doubted becomes air by itself: surveys that
overlap, holes, tile borders, updates in a row, things withdrawn and suspects cleared."""

import datetime
import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_laz, write_tif
from tests.mapping.test_update import line
from utm.errors import MapError, SurveyError
from utm.mapping import CityMap
from utm.mapping.ingest import build_map, update
from utm.mapping.ingest.check import check
from utm.mapping.ingest.clear import clear_suspects
from utm.mapping.ingest.update import update_map
from utm.mapping.mapfile import Status

WHEN = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC)
NX, NY = 560, 48  # a tile border at 512
EAST = (470.0, 554.0)
"""Where things happen: on both sides of the border."""


@dataclass
class Claims:
    """All that was said to be blocked and was not taken back: a slow twin of what a map remembers."""

    surveyed: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    doubted: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    entered: dict[str, np.ndarray] = field(default_factory=dict)

    def newer(self, before: CityMap | None, *surveys: np.ndarray) -> None:
        """Surveys speak for the cells that they saw; a return that was doubted under a surface that was believed goes
        with that."""
        seen = {cell_of(point) for points in surveys for point in points}
        stays = np.array([cell_of(point) not in seen for point in self.surveyed], bool)
        self.surveyed = np.concatenate([self.surveyed[stays], *surveys])
        if before is not None and len(self.doubted):
            hidden = (before.status_at(*self.doubted[:, :2].T) & (Status.KNOWN | Status.SUSPECT)) == Status.KNOWN
            stays = np.array([cell_of(point) not in seen for point in self.doubted], bool)
            self.doubted = self.doubted[stays | ~hidden]

    def hold(self, city_map: CityMap, after: str) -> None:
        for name, points in {"surveyed": self.surveyed, "doubted": self.doubted, **self.entered}.items():
            free = points[~city_map.blocked(*points.T)] if len(points) else points
            assert len(free) == 0, f"{after}: {len(free)} of {name} in free air, the first {free[0]}"


def cell_of(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


class Town:
    """Surveys by chance, of a strip of a plain, and what they claim; metres from the map's corner."""

    def __init__(self, folder, seed: int):
        self.folder, self.rng, self.number = folder, np.random.default_rng(seed), 0
        self.claims = Claims()

    def name(self, suffix: str) -> str:
        self.number += 1
        return f"s{self.number}{suffix}"

    def raster(self):
        """A DSM with holes whose cells do not nest in the map's."""
        rng, cell = self.rng, float(self.rng.choice([0.7, 1.0, 1.6]))
        nx, ny = int(rng.integers(15, 40)), int(rng.integers(10, 25))
        west, south = rng.uniform(EAST[0], EAST[1] - nx * cell), rng.uniform(1, NY - 1 - ny * cell)
        heights = (22 + rng.uniform(0, 3, (nx, ny)) + 15 * (rng.random((nx, ny)) < 0.05)).astype(np.float32)
        heights[rng.random((nx, ny)) < 0.2] = -9999
        heights[: nx // 3, : ny // 2] = -9999
        path = write_tif(self.folder / self.name(".tif"), heights, cell=cell, west=WEST + west, south=SOUTH + south)
        ix, iy = np.nonzero(heights > 0)
        corners = [
            np.column_stack([west + (ix + a) * cell, south + (iy + b) * cell, heights[ix, iy]])
            for a in (0.001, 0.5, 0.999)
            for b in (0.001, 0.5, 0.999)
        ]
        return path, np.concatenate(corners).astype(np.float64)

    def cloud(self):
        """Ground with gaps, a block, a wire across the border, and returns that the surveyor withheld."""
        rng = self.rng
        count = int(rng.integers(300, 3000))
        east, north = rng.uniform(*EAST, count), rng.uniform(0, NY, count)
        up = plain(NX, NY)[east.astype(int), north.astype(int)] + rng.uniform(0, 0.2, count)
        block = (abs(east - rng.uniform(*EAST)) < 6) & (abs(north - rng.uniform(0, NY)) < 6)
        up[block] += 12
        wire_east = np.arange(*EAST, 0.3)
        wire = np.column_stack([wire_east, np.full(len(wire_east), rng.uniform(5, NY - 5)), 40 + wire_east / 80])
        birds = np.column_stack([rng.uniform(*EAST, 12), rng.uniform(0, NY, 12), rng.uniform(28, 70, 12)])
        points = np.concatenate([np.column_stack([east, north, up]), *([wire] if rng.random() < 0.6 else []), birds])
        points = np.round(points * 1000) / 1000
        withheld = np.arange(len(points)) >= len(points) - len(birds)
        path = write_laz(self.folder / self.name(".laz"), points + [WEST, SOUTH, 0], withheld=withheld)
        self.doubts = points[withheld]
        return path, points[~withheld]

    def survey(self, before: CityMap | None, *makes: str) -> list:
        """New files, and what they claim."""
        self.doubts = np.empty((0, 3))
        made = [getattr(self, make)() for make in makes]
        self.claims.newer(before, *(points for _, points in made))
        self.claims.doubted = np.concatenate([self.claims.doubted, self.doubts])
        return [path for path, _ in made]

    def line(self, name: str):
        height, north = float(self.rng.uniform(30, 60)), float(self.rng.uniform(5, NY - 5))
        t = np.linspace(0, 1, 200)
        sag = 4 * 2.0 * t * (1 - t)
        along = EAST[0] + t * (EAST[1] - EAST[0])
        self.claims.entered[name] = np.column_stack([along, np.full(200, north), height - sag])
        return line(self.folder, name, height_m=height, at=(EAST[0], north, EAST[1], north))


@pytest.mark.parametrize("seed", range(4))
def test_a_life_of_a_map(tmp_path, seed):
    town = Town(tmp_path, seed)
    heights = plain(NX, NY)
    heights[int(EAST[0]) :] = -9999
    dsm = write_tif(tmp_path / "dsm.tif", heights)
    edge = write_tif(tmp_path / "edge.tif", plain(2, NY)[:2] + 14, west=WEST + NX - 2)
    dtm = write_tif(tmp_path / "dtm.tif", plain(NX, NY))
    files = [dsm, edge, *town.survey(None, "cloud"), town.line("a.geojson")]
    made = build_map(files, tmp_path / "m", terrain=dtm, workers=1, outliers=False)
    town.claims.hold(made, "build")
    for step in range(5):
        what = town.rng.choice(["raster", "cloud", "raster cloud", "line", "withdraw", "clear"])
        now = CityMap.open(made.path)
        if what == "clear":
            lon, lat = (float(v) for v in now.frame.to_lonlat(512.0, NY / 2))
            try:
                clear_suspects(made.path, area=(lon, lat, 10.0), by="S", reason="birds", when=WHEN)
            except MapError:
                continue
            near = np.hypot(town.claims.doubted[:, 0] - 512.0, town.claims.doubted[:, 1] - NY / 2) < 12
            town.claims.doubted = town.claims.doubted[~near]
        elif what == "withdraw":
            if not town.claims.entered:
                continue
            name = sorted(town.claims.entered)[0]
            del town.claims.entered[name]
            update_map(made.path, withdraw=[name], workers=1)
        elif what == "line":
            update_map(made.path, town.line(str(town.rng.choice(["a.geojson", "b.geojson"]))), workers=1)
        else:
            update_map(made.path, town.survey(now, *what.split()), workers=1)
        town.claims.hold(CityMap.open(made.path), f"step {step}, {what}")
    CityMap.open(made.path).verify()


# ---- faults that were there once


@pytest.fixture
def dtm(tmp_path):
    return write_tif(tmp_path / "dtm.tif", plain())


@pytest.fixture
def town(dtm, tmp_path):
    return build_map(write_tif(tmp_path / "dsm.tif", plain()), tmp_path / "town", terrain=dtm)


def test_a_suspect_over_what_nobody_saw_outlives_what_was_assumed_there(dtm, tmp_path):
    """The assumed height hid it; when the tall things nearby went, so did what was assumed, and the suspect with it."""
    heights = plain()
    heights[70:] += 20
    heights[40:60] = -9999
    dsm = write_tif(tmp_path / "dsm.tif", heights)
    bird = np.array([[WEST + 50.5, SOUTH + 40.5, 32.0]])
    points = ground_points(np.random.default_rng(0), plain(), 4000)
    points = np.concatenate([points[abs(points[:, 0] - WEST - 50) > 11], bird])
    cloud = write_laz(tmp_path / "cloud.laz", points, withheld=np.arange(len(points)) == len(points) - 1)
    made = build_map([dsm, cloud], tmp_path / "m", terrain=dtm)
    assert made.surface_up(50.5, 40.5) > 40
    lower = write_tif(tmp_path / "lower.tif", plain()[65:] + np.float32(0.5), west=WEST + 65)
    after = update_map(made.path, lower).city_map
    assert after.surface_up(51.5, 40.5) < 30, "what is assumed there is lower now"
    assert after.blocked(50.5, 40.5, 31.9)
    assert after.status_at(50.5, 40.5) & Status.SUSPECT


def test_two_who_update_at_once_do_not_undo_each_other(town, tmp_path, monkeypatch):
    """The second had opened the map before the first was done: its version would have been without the first's."""
    tower = write_tif(tmp_path / "tower.tif", plain(10, 10) + 30, west=WEST + 10)
    shed = write_tif(tmp_path / "shed.tif", plain(10, 10) + 5, west=WEST + 80)
    look_at = update.look_at

    def slowly(*files, **told):
        monkeypatch.setattr(update, "look_at", look_at)
        update_map(town.path, tower)
        return look_at(*files, **told)

    monkeypatch.setattr(update, "look_at", slowly)
    with pytest.raises(MapError, match="only that can be changed"):
        update_map(town.path, shed)
    assert CityMap.open(town.path).surface_up(15.0, 5.0) > 40


def test_an_older_version_is_not_updated_or_cleared_in_place_of_the_current_one(town, tmp_path):
    tower = write_tif(tmp_path / "tower.tif", plain(10, 10) + 30, west=WEST + 10)
    update_map(town.path, tower)
    old = f"{town.path}@{town.version[:8]}"
    with pytest.raises(MapError, match="only that can be changed"):
        update_map(old, tower)
    with pytest.raises(MapError, match="only that can be changed"):
        clear_suspects(old, area=(136.3, 36.3, 5.0), by="S", reason="r", when=WHEN)


def test_a_survey_of_another_place_is_no_update(town, tmp_path):
    elsewhere = write_tif(tmp_path / "elsewhere.tif", plain(10, 10), west=WEST + 9000)
    with pytest.raises(SurveyError, match=r"elsewhere\.tif: lies off the map"):
        update_map(town.path, elsewhere)


def test_what_a_newer_cloud_calls_ground_replaces_what_an_older_one_did(tmp_path):
    """The legal ceiling is measured from it: of a pit that was dug it would have stayed where the hill was."""
    points = ground_points(np.random.default_rng(0), plain(), 30_000)
    made = build_map(write_laz(tmp_path / "a.laz", points, classes=2), tmp_path / "m")
    dug = write_laz(tmp_path / "b.laz", points - [0, 0, 6], classes=2)
    after, again = update_map(made.path, dug).city_map, build_map(dug, tmp_path / "again")
    assert after.terrain_up(50.5, 40.5) == again.terrain_up(50.5, 40.5) < 6
    assert after.surface_up(50.5, 40.5) == again.surface_up(50.5, 40.5)


def test_a_survey_of_a_roof_alone_is_not_taken_for_ground(tmp_path):
    """The ground filter saw the roof and nothing else, and the legal ceiling rose by the height of the house."""
    rng = np.random.default_rng(0)
    points = ground_points(rng, plain(), 30_000)
    made = build_map(write_laz(tmp_path / "a.laz", points), tmp_path / "m")
    roof = points[(abs(points[:, 0] - WEST - 50) < 15) & (abs(points[:, 1] - SOUTH - 40) < 15)] + [0, 0, 30]
    after = update_map(made.path, write_laz(tmp_path / "roof.laz", roof)).city_map
    assert after.blocked(50.5, 40.5, 41.0)
    assert after.terrain_up(50.5, 40.5) <= made.terrain_up(50.5, 40.5) + 0.5


def test_a_mast_does_not_lift_what_is_assumed_around_it_when_a_map_is_updated(dtm, tmp_path):
    heights = plain()
    heights[50:70] = -9999
    mast = line(tmp_path, "mast.geojson", height_m=60.0, at=(40.5, 40.5, 40.5, 45.5))
    document = json.loads(mast.read_text())
    feature = document["features"][0]
    feature["geometry"] = {"type": "Point", "coordinates": feature["geometry"]["coordinates"][0]}
    feature["properties"] = {"id": "m", "name": "m", "kind": "mast", "height_m": 80.0, "datum": "JGD2011",
                             "radius_m": 1.0, "uncertainty_m": 0.5}  # fmt: skip
    mast.write_text(json.dumps(document))
    made = build_map([write_tif(tmp_path / "dsm.tif", heights), mast], tmp_path / "m", terrain=dtm)
    patch = write_tif(tmp_path / "patch.tif", plain()[44:49, 40:45], west=WEST + 44, south=SOUTH + 40)
    after = update_map(made.path, patch).city_map
    assert after.surface_up(55.5, 40.5) == made.surface_up(55.5, 40.5) < 30
    assert after.blocked(40.5, 40.5, 79.0)


def test_assumptions_do_not_grow_on_assumptions(tmp_path):
    """Far from everything seen, what is assumed looks at whole tiles; those must not tell what was assumed there."""
    nx = 2200
    heights = np.full((nx, 40), -9999, np.float32)
    heights[:10] = 12
    made = build_map(
        write_tif(tmp_path / "dsm.tif", heights), tmp_path / "m",
        terrain=write_tif(tmp_path / "dtm.tif", np.full((nx, 40), 10, np.float32)),
    )  # fmt: skip
    first = made.surface_up(1610.0, 20.0)
    for number in range(3):
        wire = line(tmp_path, f"{number}.geojson", height_m=15.0 + number, at=(1600.0, 5.0, 1600.0, 35.0))
        made = update_map(made.path, wire).city_map
    assert made.surface_up(1610.0, 20.0) == first


def test_a_file_of_the_same_name_takes_the_place_of_one_and_says_so(town, tmp_path):
    """District A's lines.geojson went without a word when district B's came."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    here = line(folders[0], "lines.geojson", at=(20.0, 10.0, 20.0, 60.0))
    there = line(folders[1], "lines.geojson", at=(100.0, 10.0, 100.0, 60.0))
    with pytest.raises(SurveyError, match="rename one"):
        update_map(town.path, [here, there])
    assert update_map(town.path, here).replaced == ()
    assert update_map(town.path, there).replaced == ("lines.geojson",)


def test_a_survey_older_than_the_map_is_told(dtm, tmp_path):
    day = datetime.date(2026, 1, 1)
    made = build_map(write_tif(tmp_path / "dsm.tif", plain() + 20), tmp_path / "m", terrain=dtm, surveyed=day)
    old = write_tif(tmp_path / "old.tif", plain())
    assert update_map(made.path, old, surveyed=datetime.date(2010, 1, 1)).older == ("old.tif",)
    assert update_map(made.path, old, surveyed=datetime.date(2026, 2, 1)).older == ()


def test_a_check_discards_what_the_build_discarded(dtm, tmp_path):
    """Alone over a hole: the height that is assumed there is no company, neither in a build nor in a check."""
    heights = plain()
    heights[40:60] = -9999
    points = np.array([[WEST + 50.5, SOUTH + 40.5, 199.5], [WEST + 20.5, SOUTH + 20.5, 10.6]])
    cloud = write_laz(tmp_path / "c.laz", points, withheld=np.array([True, False]))
    made = build_map([write_tif(tmp_path / "dsm.tif", heights), cloud], tmp_path / "m", terrain=dtm)
    report = check(made, cloud)
    assert made.meta["counts"]["points_discarded_above"] == report.discarded == 1
    assert report.in_free == 0
