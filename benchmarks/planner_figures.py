"""Measure the planner and write docs/benchmarks-planner.md: `python -m benchmarks.planner_figures [--only NAME ...]`.

Each section keeps what it measured in benchmarks/results/planner-SECTION.json, with the machine and the day. The
document and its plots are always written from all results that are there; `--write` writes them and measures nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.map_figures import table
from benchmarks.planner_plots import draw

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks-planner.md"

#: Sections in the order of the document, and who measures them: "module:function", called with something to say
#: progress by.
SECTIONS = {
    "grid": "benchmarks.planner_grid:grid",
    "start": "benchmarks.planner_sections:start",
    "threads": "benchmarks.planner_sections:threads",
    "growth": "benchmarks.planner_sections:growth",
    "warframe": "benchmarks.planner_rooms:warframe",
    "angle": "benchmarks.planner_rooms:angle",
    "long": "benchmarks.planner_rooms:long",
    "costs": "benchmarks.planner_sections:costs",
}
_HEAD = """# The planner: how fast, how short, against whom

Written by `python -m benchmarks.planner_figures`; not by hand. Times are CPU time of one thread unless a table says
otherwise; the planners of one table took turns in one process, so ratios say more than times.
"""


def machine() -> str:
    """One line on where figures come from, the load of others on the machine included."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    for line in information.read_text(encoding="utf-8").splitlines() if information.exists() else ():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    return (
        f"{cpu}, {os.cpu_count()} cores; {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{packages}; load average at the start {os.getloadavg()[0]:.1f}"
    )


def measure(name: str, say: Callable[[str], None]) -> None:
    """Run one section and keep its result."""
    module, _, function = SECTIONS[name].partition(":")
    work = getattr(importlib.import_module(module), function)
    where, began = machine(), time.perf_counter()
    result = work(say)
    result |= {
        "machine": where,
        "day": datetime.now(UTC).date().isoformat(),
        "minutes": (time.perf_counter() - began) / 60,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(_short(result), indent=1, ensure_ascii=False, allow_nan=True)
    (RESULTS / f"planner-{name}.json").write_text(text + "\n", encoding="utf-8")
    say(f"{name}: {result['minutes']:.1f} minutes")


def _short(value: Any) -> Any:
    """Numbers of a result to six digits: a file that people can read, and enough to write the document again."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    return value


def write() -> None:
    """The document and its plots, from the results that are there."""
    results = {}
    for name in SECTIONS:
        path = RESULTS / f"planner-{name}.json"
        if path.exists():
            results[name] = json.loads(path.read_text(encoding="utf-8"))
    parts = [_HEAD]
    promises = [
        [result["title"], one["what"], one["wanted"], one["got"], "held" if one["held"] else "**not held**"]
        for result in results.values()
        for one in result["targets"]
    ]
    if promises:
        parts.append("## Targets\n\n" + table(["section", "what", "wanted", "measured", ""], promises) + "\n")
    parts += [_section(result) for result in results.values()]
    absent = [name for name in SECTIONS if name not in results]
    if absent:
        parts.append(f"Not measured yet: {', '.join(absent)}.\n")
    DOCUMENT.write_text("\n".join(parts), encoding="utf-8")


def _section(result: dict[str, Any]) -> str:
    blocks = [f"## {result['title']}", *result["text"]]
    blocks += [f"{one['caption']}.\n\n{table(one['heads'], one['rows'])}" for one in result["tables"]]
    for plot in result["plots"]:
        path = draw(plot, DOCUMENT.parent)
        blocks.append(f"![{plot['title']}]({path.name})")
    blocks.append(f"{result['day']}, {result['minutes']:.1f} minutes. {result['machine']}.")
    return "\n\n".join(blocks) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="measure these sections alone")
    parser.add_argument("--write", action="store_true", help="measure nothing, write the document again")
    asked = parser.parse_args()
    began = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - began:6.0f} s  {line}", file=sys.stderr, flush=True)

    for name in () if asked.write else asked.only or SECTIONS:
        measure(name, say)
    write()
    say(f"written: {DOCUMENT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
