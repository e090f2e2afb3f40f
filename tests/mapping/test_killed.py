"""Sudden death: whoever opens a map after kill -9, a full disk or two writers at once finds the old version or the new.

A kill is tried at every call that makes something last (replace, rename, fsync), so at every state that the directory
passes through; and at random moments.
"""

from __future__ import annotations

import random

import pytest

from tests.mapping.asking import Child
from tests.mapping.survey_files import WEST, plain, write_tif
from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.ingest import build_map
from utm.mapping.ingest.update import update_map

ACTIONS = ("build", "rebuild", "update")


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    child = Child("tests.mapping.killed_child", tmp_path_factory.mktemp("killed"), 60.0)
    yield child
    child.close()


def ask(child, do: str, *given) -> dict:
    answer = child.ask({"do": do, "with": given})
    assert not answer.get("fault"), answer
    assert not answer.get("faults"), f"{do} {given}: {answer['faults']}"
    return answer


def stands_after(child, what: str, numbers) -> set[str]:
    """What stood there after kills at some calls: none, old, new."""
    found = set()
    for number in numbers:
        answer = ask(child, "killed", what, number)
        assert answer["died"]
        found.add(answer["stands"])
    return found


@pytest.mark.parametrize("what", ACTIONS)
def test_a_kill_at_a_rename_leaves_the_old_version_or_the_new(child, what):
    calls = ask(child, "calls", what)["calls"]
    renames = [number for number, name in enumerate(calls, 1) if name != "fsync"]
    assert len(renames) >= 8  # a tile's state, the tile, the version, five mosaics, map.json
    # Before every third and the last three, and after the last
    found = stands_after(child, what, sorted({*renames[::3], *renames[-3:], len(calls)}))
    assert found == ({"none", "new"} if what == "build" else {"old", "new"})


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", ACTIONS)
def test_a_kill_at_every_moment_leaves_the_old_version_or_the_new(child, what):
    calls = ask(child, "calls", what)["calls"]
    assert stands_after(child, what, range(1, len(calls) + 1)) == (
        {"none", "new"} if what == "build" else {"old", "new"}
    )


def killed_at_random(child, times: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(times):
        ask(child, "killed_after", rng.choice(ACTIONS), rng.uniform(0.0, 0.25))


def test_a_kill_at_random_moments(child):
    killed_at_random(child, 4, 1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kills_at_many_random_moments(child):
    killed_at_random(child, 400, 2)


@pytest.mark.parametrize("what", ACTIONS)
def test_a_disk_that_fills_up_is_one_error_and_the_old_map_stands(child, what):
    calls = ask(child, "calls", what)["calls"]
    fsyncs = calls.count("fsync")
    for number in (fsyncs // 2, fsyncs - 1):
        came = ask(child, "disk_full", what, "fsync", number)["came"]
        assert came["error"] == "MapError"
        assert "cannot be written: [Errno 28] No space left on device. Is the disk full?" in came["message"]


@pytest.mark.parametrize("bytes_", [0, 9000])
def test_scratch_that_does_not_fit_is_one_error(child, bytes_):
    came = ask(child, "disk_full", "update", "file", bytes_)["came"]
    assert came["error"] == "MapError"
    assert "cannot be written" in came["message"]
    assert "Is the disk full?" in came["message"]


@pytest.mark.parametrize("bytes_", [0, 700, 1500])
def test_tiles_that_do_not_fit_are_one_error(child, bytes_):
    """GDAL writes them, and tells some failures only to its log."""
    assert ask(child, "disk_full", "update", "tile", bytes_)["came"]["error"] == "MapError"


# --- two writers ------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """A map, and a survey of a later day."""
    terrain = plain(60, 40)
    dtm = write_tif(tmp_path / "dtm.tif", terrain)
    first = write_tif(tmp_path / "first.tif", terrain + 3)
    later = write_tif(tmp_path / "later.tif", terrain[:20] + 9, west=WEST)
    build_map(first, tmp_path / "map", terrain=dtm, workers=1)
    return tmp_path / "map", first, later, dtm


@pytest.mark.parametrize("other", ["update", "rebuild"])
def test_of_two_writers_at_once_one_is_told_to_wait_and_nothing_is_lost(two, other):
    place, first, later, dtm = two
    before = CityMap.open(place)
    told = []

    def writes() -> None:
        if other == "update":
            update_map(place, first, workers=1)
        else:
            build_map(first, place, terrain=dtm, replace=True, workers=1)

    def meanwhile(stage: str, done: int, total: int) -> None:
        if stage != "finish tiles":
            return
        with pytest.raises(MapError, match="another build or update is writing") as caught:
            writes()
        told.append(str(caught.value))

    made = update_map(place, later, progress=meanwhile, workers=1).city_map
    assert told
    assert CityMap.open(place).version == made.version != before.version
    for version in (made.version, before.version):
        CityMap.open(place, version).verify()
    assert [path.name for path in place.rglob(".*")] == [".lock"]


def test_two_first_builds_in_one_place(two, tmp_path):
    _, first, _, dtm = two
    place = tmp_path / "new"
    told = []

    def meanwhile(stage: str, done: int, total: int) -> None:
        if stage == "merge tiles":
            with pytest.raises(MapError, match="another build or update is writing"):
                build_map(first, place, terrain=dtm, workers=1)
            told.append(stage)

    build_map(first, place, terrain=dtm, progress=meanwhile, workers=1).verify()
    assert told
