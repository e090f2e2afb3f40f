"""How the figures of the city map are taken and written: children whose memory is watched, tables, the machine.

A measured function runs in a process of its own: `in_child("benchmarks.map_city:build", ...)`. Its peak is the resident
memory of that process and all its children, sampled ten times a second, and never less than what the kernel itself
remembers as the highest of the process.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "docs" / "benchmarks-map.md"
PICTURES = ROOT / "docs" / "pictures"
_MB = 1e6
_HEAD = """# City maps: how big, how fast

Written by `python -m benchmarks.map_cloud_speed`, `map_100m_points` and `map_city`; not by hand. Figures of one table
come from one run; where others use the machine too, ratios and processor times say more than wall times.
"""


@dataclass(frozen=True)
class Measured:
    """What a child returned (plain JSON), and what it needed."""

    result: Any
    seconds: float
    """Wall time of the function, without starting Python and importing its module."""
    peak_mb: float
    """Highest resident memory of the child and its children, imports included."""
    imports_mb: float
    """Resident memory before the function began."""


def in_child(function: str, **arguments: Any) -> Measured:
    """Run ``module:function`` in a new Python with JSON arguments.

    Raises:
        RuntimeError: it failed; its traceback is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "benchmarks.map_figures", function, json.dumps(arguments), str(answer)]
        child = subprocess.Popen(command, cwd=ROOT)
        highest = [0.0]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                highest[0] = max(highest[0], tree_mb(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = child.wait()
        done.set()
        watcher.join()
        if code:
            raise RuntimeError(f"{function} failed with exit code {code}")
        told = json.loads(answer.read_text(encoding="utf-8"))
    return Measured(told["result"], told["seconds"], max(highest[0], told["peak_mb"]), told["imports_mb"])


def tree_mb(root: int) -> float:
    """Resident memory of a process and all its descendants, MB; 0 when it is gone."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except (OSError, UnicodeDecodeError):
                continue  # it ended while we looked
            parents[int(entry.name)] = int(after_name[1])
    family, size = {root}, 0
    while len(family) != size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(resident_mb(pid) for pid in family)


def resident_mb(pid: int | str = "self", field: str = "VmRSS") -> float:
    """A field of the kernel's status of a process, MB: ``VmRSS`` now, ``VmHWM`` its highest ever."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    found = next((line for line in lines if line.startswith(f"{field}:")), None)
    return int(found.split()[1]) * 1024 / _MB if found else 0.0


def folder_mb(folder: Path, pattern: str = "**/*") -> float:
    """Bytes of the files below a folder, MB."""
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file()) / _MB


def machine() -> str:
    """One line on where figures come from, the load of others on the machine included."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "laspy", "lazrs", "zarr"))
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB; Linux {platform.release()}, Python "
        f"{platform.python_version()}, {packages}; load average at the start {os.getloadavg()[0]:.1f}"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_section(name: str, text: str, document: Path = TABLES) -> None:
    """Print a section and put it into the document in the place of the last one of that name."""
    print(text)
    begin, end = f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
    whole = document.read_text(encoding="utf-8") if document.exists() else _HEAD
    section = f"{begin}\n{text.strip()}\n{end}\n"
    if begin in whole:
        head, _, rest = whole.partition(begin)
        whole = head + section + rest.partition(f"{end}\n")[2]
    else:
        whole = f"{whole.rstrip()}\n\n{section}"
    document.write_text(whole, encoding="utf-8")


def generator(name: str) -> Any:
    """A generator of data/sample_dsm, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "data" / "sample_dsm" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def clouds() -> tuple[str, list[Path], str]:
    """What to make large clouds of: its name, its files, their CRS. Delft if it lies beside the project."""
    shared = Path(os.environ.get("UTM_SHARED_DATA", ROOT.parent / "shared" / "data"))
    delft = sorted((shared / "delft").glob("*.laz"))
    if delft:
        return "Delft (AHN3, airborne, 14 points/m2)", delft, "EPSG:7415"
    return "the sample (2 points/m2)", [ROOT / "data" / "sample_dsm" / "survey_centre.laz"], "EPSG:6675+6695"


def _child(function: str, arguments: str, answer: str) -> None:
    module, _, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)
    imports_mb = resident_mb()
    began = time.perf_counter()
    result = work(**json.loads(arguments))
    seconds = time.perf_counter() - began
    told = {
        "result": result,
        "seconds": seconds,
        "peak_mb": resident_mb(field="VmHWM"),
        "imports_mb": imports_mb,
    }
    Path(answer).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    _child(*sys.argv[1:])
