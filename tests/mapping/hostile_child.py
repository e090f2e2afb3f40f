"""A process that builds maps from hostile files and judges what became of each; whatever it does, only it dies.

    python -m tests.mapping.hostile_child FOLDER

A question names a mutant (``seed``, ``number``) or a file (``file``, ``said``, ``role``), and the way in (``build`` or
``update``); the answer is a verdict, and a fault or none.
"""

from __future__ import annotations

import hashlib
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.mapping.asking import questions, say
from tests.mapping.hostile_files import mutant, seeds
from utm.errors import InputError, UtmError
from utm.mapping import CityMap
from utm.mapping.ingest.build import build_map
from utm.mapping.ingest.update import update_map

#: Memory that one build may take beyond what the process has before.
MORE_BYTES = 1_500_000_000
LONGEST_MESSAGE = 400


class Judge:
    """Holds a good map and good files, and puts hostile files beside them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.good: dict[str, Path] = {}
        (folder / "good").mkdir()
        (folder / "bad").mkdir()
        for seed in seeds().values():
            self.good[seed.name] = folder / "good" / seed.name
            self.good[seed.name].write_bytes(seed.data)
        self.kept, self.place = folder / "kept", folder / "map"
        surfaces = [self.good["deflate.tif"], self.good["v4.laz"]]
        build_map(surfaces, self.kept, terrain=self.good["dtm.tif"], workers=1)
        self._restore()

    def _restore(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.kept, self.place)
        self.before = _bytes_of(self.place)

    def judge(self, bad: Path, said: dict[str, str], role: str, way: str) -> dict[str, Any]:
        """What became of a build or an update with a file."""
        _reset_peak()
        began, held = time.monotonic(), _resident("VmRSS")
        verdict = self._verdict(bad, said, role, way)
        verdict |= {"seconds": time.monotonic() - began, "megabytes": (_resident("VmHWM") - held) / 1e6}
        return verdict

    def _verdict(self, bad: Path, said: dict[str, str], role: str, way: str) -> dict[str, Any]:
        terrain = bad if role == "terrain" else self.good["dtm.tif"]
        surfaces = [] if role == "surface" else [self.good["striped.tif"]]
        surfaces += [] if role == "terrain" else [bad]
        try:
            if way == "build":
                made = build_map(surfaces, self.place, terrain=terrain, replace=True, workers=1, **said)
            else:
                news = {"terrain": terrain} if role == "terrain" else {}
                made = update_map(self.place, [bad] if not news else [], workers=1, **news, **said).city_map
        except UtmError as error:
            fault = _fault_of(error, [*surfaces, terrain]) or self._fault_of_place()
            return {"verdict": "refused", "fault": fault, "message": str(error), "kind": type(error).__name__}
        except BaseException as error:  # noqa: BLE001 a fault, told to whoever asked
            fault = f"{type(error).__name__} escaped"
            self._restore()
            return {"verdict": "escaped", "fault": fault, "message": "".join(traceback.format_exception(error))}
        try:
            CityMap.open(self.place).verify()
            fault = None if CityMap.open(self.place).version == made.version else "another version stands there"
            fault = fault or _left_over(self.place)
        except UtmError as error:
            fault = f"built, but: {error}"
        size = made.size
        if _bytes_of(self.place) != self.before:
            self._restore()
        return {"verdict": "built", "fault": fault, "message": f"{size[0]} x {size[1]}"}

    def _fault_of_place(self) -> str | None:
        after = _bytes_of(self.place)
        if after == self.before:
            return None
        changed = sorted({*after.items()} ^ {*self.before.items()})
        self._restore()
        return f"the map that stood there changed: {changed[:4]}"


def _fault_of(error: UtmError, given: list[Path]) -> str | None:
    text = str(error)
    if not isinstance(error, InputError):
        return "not an error of what was handed in"
    if "\n" in text or len(text) > LONGEST_MESSAGE or not text.isprintable():
        return f"a message of {len(text)} characters in {len(text.splitlines())} lines, printable: {text.isprintable()}"
    # A survey that has moved may make another file look moved
    return None if any(path.name in text for path in given) else "names no file"


def _left_over(place: Path) -> str | None:
    found = [
        str(path.relative_to(place)) for path in place.rglob("*") if "scratch" in path.name or "partial" in path.name
    ]
    return f"left over: {found[:3]}" if found else None


def _bytes_of(place: Path) -> dict[str, str]:
    """Hash of every file and the name of every directory; the lock, which is empty, among them."""
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in place.rglob("*")
    }


def _resident(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Answer until stdin ends."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "Use `@` matmul instead", PendingDeprecationWarning)
    judge = Judge(Path(sys.argv[1]))
    for seed, way in (
        ("a.ply", "build"),
        ("v4.laz", "update"),
        ("town.gml", "build"),
    ):  # everything loaded and compiled
        judge.judge(judge.good[seed], seeds()[seed].said, "surface", way)
    # Private memory that can be written, so not what allocators only reserve
    limit = _resident("VmData") + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    say({"ready": True})
    for asked in questions():
        if "seed" in asked:
            made = mutant(asked["seed"], asked["number"])
            bad = judge.folder / "bad" / f"m{asked['number']}-{made.seed.name}"
            bad.write_bytes(made.data)
            said, role, what = made.seed.said, made.seed.role, made.what
        else:
            bad, said, role, what = Path(asked["file"]), asked["said"], asked["role"], asked["file"]
        found = judge.judge(bad, said, role, asked["way"])
        if "seed" in asked:
            bad.unlink()
        say(asked | {"what": what[:300]} | found)


if __name__ == "__main__":
    main()
