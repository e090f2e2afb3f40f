"""A process that loads everything once and then forks builders of maps, which die on command.

    python -m tests.mapping.killed_child FOLDER

A question names one of `Judge`'s methods and what it is called with. A fork is a hundred times cheaper than a new
process; it must not happen in a process whose threads hold locks, so not in that of the tests.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.mapping.asking import questions, say
from tests.mapping.hostile_files import NX, NY, lon_lat, obstacles
from tests.mapping.survey_files import SOUTH, WEST, ground_points, plain, write_las, write_tif
from utm.errors import UtmError
from utm.mapping import CityMap
from utm.mapping.ingest import tasks
from utm.mapping.ingest.build import build_map
from utm.mapping.ingest.update import update_map

#: What a writer calls to make something last.
LASTING = ("replace", "rename", "fsync")


class Surveys:
    """Files of three surveys. No LAZ and no outlier filter: lazrs and Open3D keep threads, which a fork loses."""

    def __init__(self, folder: Path):
        terrain = plain(NX, NY)
        surface = terrain.copy()
        surface[10:20, 10:20] += 12
        self.dtm = write_tif(folder / "dtm.tif", terrain)
        self.first = [write_tif(folder / "first.tif", surface), folder / "line.geojson"]
        self.first[1].write_text(json.dumps(obstacles()))
        later = surface.copy()
        later[30:34, 10:20] += 7
        self.second = [write_tif(folder / "second.tif", later[25:, :], west=WEST + 25), folder / "points.las"]
        points = ground_points(np.random.default_rng(5), terrain, 300)
        wire = np.column_stack([np.full(30, WEST + 50.3), SOUTH + np.linspace(3, 37, 30), np.full(30, 35.0)])
        write_las(self.second[1], np.concatenate([points, wire]), classes=2)
        self.third = [folder / "crane.geojson"]
        crane = {"kind": "crane", "id": "c", "datum": "JGD2011", "uncertainty_m": 1, "height_m": 50.0, "jib_m": 9.0}
        place = {"type": "Point", "coordinates": lon_lat(40, 20)}
        self.third[0].write_text(
            json.dumps(
                {
                    "type": "FeatureCollection",
                    "features": [{"type": "Feature", "properties": crane, "geometry": place}],
                }
            )
        )

    def act(self, what: str, place: Path, **how: Any) -> CityMap:
        """``build`` the first survey, ``rebuild`` with the second in its place, ``update`` with the second or
        ``update again`` with the third."""
        how = {"workers": 1} | how
        if what == "build":
            return build_map(self.first, place, terrain=self.dtm, outliers=False, **how)
        if what == "rebuild":
            return build_map(self.second, place, terrain=self.dtm, outliers=False, replace=True, **how)
        return update_map(place, self.second if what == "update" else self.third, **how).city_map


def in_a_fork(act: Callable[[], Any], limit_s: float = 60.0) -> dict[str, Any]:
    """What came of it in a process of its own: ``value``, ``error`` (a UtmError), ``escaped`` or ``signal``."""
    back, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(back)
        try:
            try:
                answer = {"value": act()}
            except UtmError as error:
                answer = {"error": type(error).__name__, "message": str(error)}
            except BaseException as error:  # noqa: BLE001 told to whoever asked
                answer = {"escaped": "".join(traceback.format_exception(error))}
            os.write(there, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(there)
    killer = threading.Timer(limit_s, os.kill, (child, signal.SIGKILL))
    killer.start()
    with os.fdopen(back) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    killer.cancel()
    return json.loads(said) if said else {"signal": os.WTERMSIG(status)}


def die_at(number: int) -> list[str]:
    """Make this process kill itself at the numbered call (from 1) of `LASTING`: where it would begin, and so where the
    one before has just ended.

    Nothing is flushed to the disk meanwhile: a kill leaves what the page cache holds, flushed or not.

    Returns:
        the list of calls, which grows as they are made.
    """
    made: list[str] = []

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*given: Any, **how: Any) -> Any:
            made.append(name)
            if len(made) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return None if name == "fsync" else real(*given, **how)

        return call

    for name in LASTING:
        setattr(os, name, wrapped(name))
    return made


def fail_at(number: int, code: int) -> None:
    """Make the numbered fsync, and all after it, fail as on a full disk."""
    count = itertools.count(1)
    real = os.fsync

    def call(handle: int) -> None:
        if next(count) >= number:
            raise OSError(code, os.strerror(code))
        real(handle)

    os.fsync = call


def limited(write: Callable[..., Any], size: int) -> Callable[..., Any]:
    """The function, run while no file may grow beyond a size."""

    def call(*given: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            return write(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    return call


class Judge:
    """Kills writers at every moment and says what stands there then."""

    def __init__(self, folder: Path):
        self.folder, self.numbers = folder, itertools.count()
        (folder / "surveys").mkdir()
        self.surveys = Surveys(folder / "surveys")
        # In this process, so that every fork has its kernels compiled
        self.base, other = folder / "base", folder / "other"
        first = self.surveys.act("build", self.base)
        self.versions = {"build": first.version}
        shutil.copytree(self.base, other)
        self.versions["update"] = self.surveys.act("update", other).version
        self.versions["update, update again"] = self.surveys.act("update again", other).version
        shutil.rmtree(other)
        shutil.copytree(self.base, other)
        self.versions["update again"] = self.surveys.act("update again", other).version
        self.versions["rebuild"] = self.surveys.act("rebuild", other).version
        self.versions["rebuild, update again"] = self.surveys.act("update again", other).version
        shutil.rmtree(other)
        if len(set(self.versions.values())) != len(self.versions):
            raise RuntimeError(f"the versions do not differ: {self.versions}")

    def place(self, what: str) -> Path:
        """A new place, with the first survey's map in it unless that is what is built."""
        place = self.folder / f"p{next(self.numbers)}"
        if what != "build":
            shutil.copytree(self.base, place)
        return place

    def calls(self, what: str) -> dict[str, Any]:
        """The calls of `LASTING` that an action makes, in their order."""
        place = self.place(what)

        def act() -> list[str]:
            made = die_at(0)
            self.surveys.act(what, place)
            return made

        return {"calls": in_a_fork(act)["value"]}

    def killed(self, what: str, number: int) -> dict[str, Any]:
        """Kill at a call; then open, verify and go on."""
        place = self.place(what)

        def act() -> None:
            die_at(number)
            self.surveys.act(what, place)

        return self._found(what, place, in_a_fork(act))

    def killed_after(self, what: str, seconds: float) -> dict[str, Any]:
        """Kill after a time; then open, verify and go on."""
        place = self.place(what)
        return self._found(what, place, in_a_fork(lambda: self.surveys.act(what, place).version, seconds))

    def _found(self, what: str, place: Path, died: dict[str, Any]) -> dict[str, Any]:
        faults = [] if died.get("signal") == signal.SIGKILL or "value" in died else [f"did not die of the kill: {died}"]
        then = in_a_fork(lambda: self._goes_on(what, place))
        faults += then["value"].pop("faults") if "value" in then else [f"afterwards: {then}"]
        shutil.rmtree(place)
        return {"faults": faults, "died": "signal" in died, **then.get("value", {})}

    def _goes_on(self, what: str, place: Path) -> dict[str, Any]:
        faults, before = [], None if what == "build" else self.versions["build"]
        try:
            stands = CityMap.open(place)
            stands.verify()
            found = stands.version
        except UtmError as error:
            if what != "build" or not str(error).startswith(f"{place}"):
                faults.append(f"does not open: {error}")
            found = None
        if found not in (before, self.versions[what]):
            faults.append(f"something between stands there: {found}")
        if found is None:
            wanted = self.versions["build"]
            self.surveys.act("build", place)
        else:
            wanted = self.versions[
                "update again" if found in (before, self.versions["build"]) else f"{what}, update again"
            ]
            self.surveys.act("update again", place)
        if CityMap.open(place).version != wanted:
            faults.append("what is written afterwards is another version")
        faults += unsound(place, {before, found, wanted} - {None})
        return {"faults": faults, "stands": "none" if found is None else "old" if found == before else "new"}

    def disk_full(self, what: str, how: str, number: int) -> dict[str, Any]:
        """Let the disk fill up: ``fsync`` fails from the numbered call on; or no ``file``, or none of a ``tile``, may
        grow beyond a number of bytes."""
        place = self.place(what)
        before = listed(place)

        def act() -> str:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if how == "fsync":
                fail_at(number, errno.ENOSPC)
            elif how == "tile":
                tasks.write_tile = limited(tasks.write_tile, number)
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, (number, resource.RLIM_INFINITY))
            return self.surveys.act(what, place).version

        came = in_a_fork(act)
        faults = []
        if "error" in came and came["error"] != "MapError":
            faults.append(f"not a MapError: {came}")
        if "escaped" in came or "signal" in came:
            faults.append(str(came)[-600:])
        if "error" in came and listed(place) != before:
            new = listed(place) ^ before
            # Versions and mosaics are written before map.json: what has come to stand is harmless, but must be whole
            faults += [f"left behind: {name}" for name in new if ".scratch" in name or ".partial" in name]
        if "value" in came and came["value"] != self.versions[what]:
            faults.append("another version")
        if place.exists():
            faults += unsound(place, {self.versions["build"]} if what != "build" else set())
        then = in_a_fork(lambda: self._goes_on(what, place))
        faults += then["value"].pop("faults") if "value" in then else [f"afterwards: {then}"]
        shutil.rmtree(place)
        return {"faults": faults, "came": came, **then.get("value", {})}


def listed(place: Path) -> set[str]:
    """Every file below, with its size."""
    return {f"{path.relative_to(place)} {path.stat().st_size}" for path in place.rglob("*") if path.is_file()}


def unsound(place: Path, versions: set[str]) -> list[str]:
    """What is wrong with a map directory at rest: versions that do not verify, leftovers, tiles of no version."""
    faults = [f"left over: {path}" for path in place.rglob(".*") if path.name != ".lock"]
    opened = []
    for file in sorted((place / "versions").glob("*.json")):
        try:
            opened.append(CityMap.open(place, file.stem))
            opened[-1].verify()
        except UtmError as error:
            faults.append(f"an older version: {error}")
    faults += [f"version {version[:8]} is gone" for version in versions - {one.version for one in opened}]
    named = {f"{tile[0]}_{tile[1]}-{one.hash_of(tile)[:16]}" for one in opened for tile in one.tiles()}
    tiles = {path.name for path in (place / "tiles").glob("*")}
    return faults + [f"tiles of no version: {sorted(tiles - named)}"] * bool(tiles - named)


def main() -> None:
    """Answer until stdin ends."""
    judge = Judge(Path(sys.argv[1]))
    say({"ready": True, "versions": judge.versions})
    for asked in questions():
        say(getattr(judge, asked["do"])(*asked["with"]))


if __name__ == "__main__":
    main()
