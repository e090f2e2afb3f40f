"""Hostile survey files through the front door: a sound map or one clear error, and the map that stood there stands.

The files are read in a process of its own, under a limit of memory and of time, so that a crash or a hang is a failed
test. `asking.Child.ask` names the mutant; ``mutant(seed, number)`` makes it again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.mapping.asking import Child
from tests.mapping.hostile_files import mutant, seeds
from tests.mapping.liars import liars
from tests.repo import ROOT
from utm.cli.app import run
from utm.errors import SurveyError
from utm.mapping import CityMap
from utm.mapping.ingest import build_map
from utm.mapping.ingest.update import update_map

#: Seconds; what is slower counts as hanging.
LIMIT_S = 20.0


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    child = Child("tests.mapping.hostile_child", tmp_path_factory.mktemp("hostile"), LIMIT_S)
    yield child
    child.close()


def ask(child, **question) -> tuple[str, str | None]:
    """The verdict, and what is wrong with it in words."""
    answer = child.ask(question)
    fault = answer["fault"]
    if not fault and answer["stderr"]:
        fault = "something else was written to stderr"
    return answer["verdict"], fault and f"{question}: {fault}: {answer['message'][-1500:]} {answer['stderr'][-500:]}"


def campaign(child, numbers) -> dict[str, int]:
    """Every seed, by turns as a build and as an update."""
    verdicts: dict[str, int] = {}
    faults = []
    for number in numbers:
        for order, name in enumerate(seeds()):
            verdict, fault = ask(child, seed=name, number=number, way=("build", "update")[(number + order) % 2])
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if fault:
                faults.append(fault)
    assert not faults, "\n".join(faults)
    return verdicts


def lie(child, folder, way: str, which) -> int:
    """Every liar, or some; returns how many there were."""
    faults, chosen = [], [liar for liar in liars() if which(liar)]
    for liar in chosen:
        file = folder / liar.name
        file.write_bytes(liar.data)
        verdict, fault = ask(child, file=str(file), said=liar.said, role=liar.role, way=way)
        if fault:
            faults.append(fault)
        # The map of an update is no larger than it was, whatever a header says of its points
        if verdict == "built" and not liar.may_pass and way == "build":
            faults.append(f"{liar.name} was believed")
        file.unlink()
    assert not faults, "\n".join(faults)
    return len(chosen)


def test_seeds_are_good_files(child, tmp_path):
    for order, (name, seed) in enumerate(seeds().items()):
        file, way = tmp_path / name, ("build", "update")[order % 2]
        file.write_bytes(seed.data)
        assert ask(child, file=str(file), said=seed.said, role=seed.role, way=way) == ("built", None)


def test_mutants_are_the_same_wherever_they_are_made():
    asked = "from tests.mapping.hostile_files import *; print(hash_of_all())"
    made = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ
    )
    from tests.mapping.hostile_files import hash_of_all

    assert made.stdout.strip() == hash_of_all()


def test_damaged_files_are_refused_or_do_no_harm(child):
    verdicts = campaign(child, range(6))
    assert set(verdicts) == {"refused", "built"}
    assert verdicts["refused"] > verdicts["built"]


def test_what_earlier_campaigns_found(child):
    """Each of these once crashed, hung, escaped as another exception, or was told in a page of text."""
    found = [
        ("obstacles.geojson", 112), ("town.city.json", 196), ("town.city.json", 557), ("v4.las", 494), ("big.ply", 108),
        ("packed.pcd", 0), ("a.ply", 18), ("packed.pcd", 128), ("town.gml", 133), ("obstacles.geojson", 247),
        ("obstacles.geojson", 305), ("town.city.json", 720), ("striped.tif", 408),
    ]  # fmt: skip
    faults = [ask(child, seed=name, number=number, way=way)[1] for name, number in found for way in ("build", "update")]
    assert not any(faults), "\n".join(filter(None, faults))


def test_files_that_lie_are_refused(child, tmp_path):
    """All but the header fields of clouds that `test_las` looks at one by one."""
    assert lie(child, tmp_path, "build", lambda liar: not liar.may_pass and ".la" not in liar.name) > 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", ["build", "update"])
def test_all_liars(child, tmp_path, way):
    assert lie(child, tmp_path, way, lambda liar: True) > 500


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_campaign(child):
    """``UTM_FUZZ=1000-1200`` chooses other mutants."""
    first, _, last = os.environ.get("UTM_FUZZ", "1000-1100").partition("-")
    campaign(child, range(int(first), int(last)))


# --- the command line -------------------------------------------------------------------------------------


def test_on_the_command_line_an_error_is_one_json_document(tmp_path):
    file = tmp_path / "cut.laz"
    file.write_bytes(seeds()["v4.laz"].data[:-900])
    command = [
        sys.executable,
        "-c",
        "from utm.cli import main; main()",
        "map",
        "build",
        str(file),
        "--out",
        "map",
        "--json",
    ]
    left = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert left.returncode == 2
    assert json.loads(left.stdout)["error"]["kind"] == "SurveyError"
    assert "cut.laz" in left.stderr
    assert "Traceback" not in left.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cut.laz"]


@pytest.mark.parametrize("name", ["v4.laz", "v2.las", "lzw.tif", "big.ply", "town.gml", "obstacles.geojson", "dtm.tif"])
def test_the_command_line_never_shows_a_traceback(name, tmp_path, monkeypatch, capfd):
    dsm, dtm = tmp_path / "dsm.tif", tmp_path / "good.tif"
    dsm.write_bytes(seeds()["striped.tif"].data)
    dtm.write_bytes(seeds()["dtm.tif"].data)
    for number in (20, 21):
        bad = tmp_path / f"m{number}-{name}"
        bad.write_bytes(mutant(name, number).data)
        role = seeds()[name].role
        files = [bad] if role == "surface" else [dsm] if role == "terrain" else [dsm, bad]
        words = [
            "map",
            "build",
            *files,
            "--terrain",
            bad if role == "terrain" else dtm,
            "--out",
            tmp_path / f"map{number}",
        ]
        monkeypatch.setattr(sys, "argv", ["utm", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as left:
            run()
        out, err = capfd.readouterr()
        document = json.loads(out)
        assert "Traceback" not in err
        if left.value.code:
            assert left.value.code == 2
            assert document["error"]["message"] in err
            assert not (tmp_path / f"map{number}").exists()
        else:
            CityMap.open(tmp_path / f"map{number}").verify()


# --- files that change while they are read ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["v4.laz", "v2.las", "deflate.tif", "a.ply", "packed.pcd", "town.gml", "obstacles.geojson"]
)
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_file_that_changes_under_the_build_is_an_error(name, how, tmp_path):
    seed = seeds()[name]
    dtm, base = tmp_path / "dtm.tif", tmp_path / "base.tif"
    dtm.write_bytes(seeds()["dtm.tif"].data)
    base.write_bytes(seeds()["striped.tif"].data)
    file = tmp_path / name
    file.write_bytes(seed.data)
    stands = build_map(base, tmp_path / "map", terrain=dtm, workers=1)

    def changes(stage: str, done: int, total: int) -> None:
        if stage == "look at files" and done == total and how == "cut":
            file.write_bytes(seed.data[: len(seed.data) // 2])
        elif stage == "look at files" and done == total:
            file.unlink()

    said = dict(seed.said)
    with pytest.raises(SurveyError, match=name) as caught:
        update_map(tmp_path / "map", file, progress=changes, workers=1, **said)
    assert "\n" not in str(caught.value)
    assert CityMap.open(tmp_path / "map").version == stands.version
    stands.verify()
    assert sorted(path.name for path in (tmp_path / "map").iterdir() if path.name.startswith(".")) == [".lock"]
