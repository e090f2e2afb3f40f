"""Writes docs/benchmarks-admission.md from benchmarks/results/*.json: `python -m benchmarks.admission_figures`.

`--measure` runs the scripts first, one after the other: an hour of a quiet machine, or the ones that are named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.planner_figures import RESULTS, ROOT

#: Result, command, title, what stands in the table.
SECTIONS = (
    ("traffic_index", "traffic_index", "Finding conflicts",
     "100,000 corridors of 20 pieces; a query is every corridor in conflict with one of 20 pieces, judged exactly."),
    ("random_demand", "random_demand", "Random demand",
     "How much of a random demand of 5 km flights in 10 x 10 km is accepted unchanged, and with a small change."),
    ("safe_intervals", "safe_intervals", "Safe-interval search",
     "1,000 flights in 600 s over 1 km2, first come first served, protection of 10 m and 4 m."),
    ("check_only", "check_only", "Check-only admission, the check alone",
     "CPU of one check of a trajectory of 20 pieces among live intents, certificate included, no database."),
    ("admission_load", "admission_load", "Check-only admission under load",
     "Through the whole engine, durable. ![cost with the number of live intents](benchmarks-admission-load.svg)"),
    ("planned_admission", "planned_admission", "Planned admission",
     "City M: a decision with its search, no database. `changed`: delay, height and way were tried."),
    ("group_commit", "group_commit", "Group commit", "1,000 random arrivals a second of entries of 4 kB."),
    ("outbox_latency", "outbox_latency", "From commit to receipt",
     "From the commit in one process until another has the entry."),
    ("emergency", "emergency", "Emergencies", "Closing a square of 400 m in a town of 6 x 6 km."),
    ("fleet", "fleet", "Fleets", "Twelve flights within a minute, together and one after the other."),
    ("encounters", "encounters --out benchmarks/results/encounters.json", "Encounters half a minute ahead",
     "All live drones against each other, and one piece of advice."),
    ("adversarial_pairs", "adversarial_pairs", "A million adversarial pairs",
     "Exact truth by whole numbers; a false alarm is a pair that keeps the limit and is called a conflict."),
    ("torture_sqlite", "torture --store sqlite --seconds 60 --out benchmarks/results/torture_sqlite.json",
     "Torture, SQLite", "Eight processes, one killed every three seconds; judged by an oracle of its own."),
    ("torture_postgresql",
     "torture --store postgresql --seconds 60 --out benchmarks/results/torture_postgresql.json",
     "Torture, PostgreSQL", "The same."),
)  # fmt: skip


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A nested object as one row: names joined by spaces."""
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{name} {key}".strip().replace("_", " "))
    return found


def shown(value: Any) -> str:
    """A number in four digits, anything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def tables(document: dict[str, Any]) -> Iterator[str]:
    """Each list of objects as a table, everything else as one table of two columns."""
    facts = {}
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = [flat(row) for row in value]
            columns = list(dict.fromkeys(name for row in rows for name in row))
            yield f"**{key.replace('_', ' ')}**\n"
            yield f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
            yield "\n".join(f"| {' | '.join(shown(row.get(name)) for name in columns)} |" for row in rows) + "\n"
        else:
            facts |= flat(value, key.replace("_", " "))
    if facts:
        yield "| | |\n|---|---|"
        yield "\n".join(f"| {name} | {shown(value)} |" for name, value in facts.items()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="run these first; all when none is named")
    measure = parser.parse_args().measure
    if measure is not None:
        for name, command, *_ in SECTIONS:
            if not measure or name in measure:
                subprocess.run([sys.executable, "-m", *f"benchmarks.{command}".split()], check=True, cwd=ROOT)
    parts = [
        "# Figures of admission\n",
        "Made by `make bench-admission` (or `python -m benchmarks.admission_figures --measure NAME ...`), which runs "
        "the scripts named below and writes this page from what they measured.\n",
    ]
    for name, command, title, words in SECTIONS:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            raise SystemExit(f"{path} is missing: python -m benchmarks.{command}")
        parts.append(f"## {title}\n\n{words} `python -m benchmarks.{command.split()[0]}`\n")
        parts += tables(json.loads(path.read_text(encoding="utf-8")))
    (ROOT / "docs" / "benchmarks-admission.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
