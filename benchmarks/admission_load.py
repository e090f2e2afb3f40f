"""Check-only admission under load, through the whole engine: `python -m benchmarks.admission_load [--live N ...]`.

A flat town of 6 x 6 km with blocks of up to 35 m; flights of 0.8 to 2 km in 20 straight pieces between random pads, 200
departures an hour, so that more live intents reach farther ahead and most wishes are granted. The live ones that are
there at the start came through the engine's journal, each decided under the lock of the log and made durable, 500 to a
transaction: that fills fast, and is the same decision and the same entry that a request alone makes.

Then processes ask, each from several threads, what `Airspace.check` answers when decision and entry are on the disk.
"open": so many requests a second arrive at random (Poisson); latency runs from the moment at which one should have
arrived, so a queue that grows shows. "closed": every thread asks again as soon as it is answered. CPU is that of the
asking processes, system time included; PostgreSQL's own processes are not in it. Both stores keep what they
acknowledge: SQLite in WAL mode with synchronous=FULL, PostgreSQL as it is installed.

Writes benchmarks/results/admission_load.json and docs/benchmarks-admission-load.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.demand import asked, pads, town
from benchmarks.planner_figures import RESULTS, ROOT, machine
from benchmarks.planner_plots import draw
from utm.airspace import Airspace
from utm.airspace.answers import check_question
from utm.model import Actor, Role

SIDE_M, PADS, SEED = 6000.0, 300, 5
LENGTH_M = (800.0, 2000.0)
PER_HOUR = 200.0
#: The first departure is this far ahead: nothing lies in the past before it is asked for.
FIRST_S = 1800.0
IN_A_TRANSACTION = 500
OPERATOR = Actor("load", Role.OPERATOR)
#: Threads of one process. Few of them work at once, for they share an interpreter; the others wait for the disk.
THREADS = 24
#: Asked by each process before anything is measured.
WARM = 300
#: How long a thread may run before it makes way for another that waits for the interpreter (CPython's own: 5 ms).
SWITCH_S = 0.0005


def departures(rng: np.random.Generator, horizon_s: float) -> float:
    """A random departure, seconds after the benchmark's beginning."""
    return FIRST_S + float(rng.uniform(0.0, horizon_s))


def fill(airspace: Airspace, live: int, horizon_s: float, begin_s: float) -> float:
    """Bring an empty airspace to so many live intents; CPU seconds for each that was asked for."""
    rng = np.random.default_rng(SEED)
    places = pads(airspace.city_map, PADS, np.random.default_rng(SEED))
    journal, names, granted, count = airspace._journal, itertools.count(), 0, 0
    took = 0.0
    while granted < live:
        wishes = [
            asked(airspace.city_map, places, rng, f"live-{next(names)}", begin_s + departures(rng, horizon_s), LENGTH_M)
            for _ in range(min(IN_A_TRANSACTION, live - granted))
        ]
        questions = [check_question(airspace._world, *wish, OPERATOR, begin_s) for wish in wishes]
        began = time.process_time()
        with journal.writing() as writing:
            settled = journal._settle(writing, [(question, None) for question in questions])
        took += time.process_time() - began
        granted += sum(1 for _, answer in settled if answer.result.approved)
        count += len(wishes)
    return took / max(count, 1)


class Client:
    """One process's requests: made beforehand, then asked by many threads."""

    def __init__(self, airspace: Airspace, number: int, horizon_s: float, begin_s: float):
        self.airspace, self._number = airspace, number
        self._rng = np.random.default_rng([SEED, 1 + number])  # a zero would give the draws of `fill` again
        self._places = pads(airspace.city_map, PADS, np.random.default_rng(SEED))
        self._horizon_s, self._begin_s = horizon_s, begin_s
        self._names = itertools.count()
        #: Kept: a thread's first projection makes one of its own, which takes milliseconds.
        self._threads = ThreadPoolExecutor(THREADS)

    def wishes(self, count: int) -> list[Any]:
        """So many plans, each with its trajectory."""
        return [
            asked(
                self.airspace.city_map,
                self._places,
                self._rng,
                f"new-{self._number}-{next(self._names)}",
                self._begin_s + departures(self._rng, self._horizon_s),
                LENGTH_M,
            )
            for _ in range(count)
        ]

    def open(self, wishes: list[Any], due_s: list[float]) -> dict[str, Any]:
        """Ask each at its time (`time.time`)."""
        return self._run(wishes, due_s, due_s[-1] + 60.0)

    def closed(self, wishes: list[Any], until_s: float) -> dict[str, Any]:
        """Ask one after the other until then."""
        return self._run(wishes, None, until_s)

    def _run(self, wishes: list[Any], due_s: list[float] | None, until_s: float) -> dict[str, Any]:
        numbers = itertools.count()
        took: list[float] = []
        granted: list[bool] = []
        failed: list[str] = []

        def caller() -> None:
            while (n := next(numbers)) < len(wishes) and time.time() < until_s:
                due = time.time() if due_s is None else due_s[n]
                time.sleep(max(0.0, due - time.time()))
                try:
                    decision = self.airspace.check(*wishes[n])
                except Exception as error:  # noqa: BLE001 - it goes into the result, which then says so
                    failed.append(repr(error))
                    continue
                took.append(time.time() - due)
                granted.append(decision.approved)

        began, cpu = time.time(), time.process_time()
        for running in [self._threads.submit(caller) for _ in range(THREADS)]:
            running.result()
        return {
            "took": took,
            "granted": sum(granted),
            "failed": failed,
            "cpu_s": time.process_time() - cpu,
            "began": began,
            "ended": time.time(),
        }


def client(pipe: Connection, folder: str, number: int, horizon_s: float, begin_s: float) -> None:
    """A process: opens the airspace, then does what it is told."""
    sys.setswitchinterval(SWITCH_S)
    began = time.process_time()
    with Airspace.open(folder) as airspace:
        opened = time.process_time() - began
        gc.freeze()  # what is live stays: nobody need look through it for garbage
        made = Client(airspace, number, horizon_s, begin_s)
        made.closed(made.wishes(WARM), time.time() + 60.0)  # whatever each thread, or the ground, needs once
        pipe.send(opened)
        while (told := pipe.recv()) is not None:
            what, count, argument = told
            wishes = made.wishes(count)
            pipe.send("ready")
            start_s = pipe.recv()
            if what == "open":
                rng, due, at = random.Random(number), [], start_s
                for _ in wishes:
                    at += rng.expovariate(argument)
                    due.append(at)
                pipe.send(made.open(wishes, due))
            else:
                time.sleep(max(0.0, start_s - time.time()))
                pipe.send(made.closed(wishes, start_s + argument))


def together(pipes: list[Connection], told: tuple[str, int, float]) -> dict[str, Any]:
    """Let all processes do the same at the same time; their figures as one."""
    for pipe in pipes:
        pipe.send(told)
    for pipe in pipes:
        pipe.recv()
    start_s = time.time() + 0.5
    for pipe in pipes:
        pipe.send(start_s)
    found = [pipe.recv() for pipe in pipes]
    took = np.sort(np.concatenate([one["took"] for one in found])) * 1e3
    elapsed = max(one["ended"] for one in found) - start_s
    return {
        "requests": len(took),
        "failed": [sentence for one in found for sentence in one["failed"]][:5],
        "decisions_per_s": round(len(took) / elapsed, 1),
        "p50_ms": round(float(np.quantile(took, 0.5)), 2),
        "p99_ms": round(float(np.quantile(took, 0.99)), 2),
        "max_ms": round(float(took[-1]), 2),
        "granted_share": round(sum(one["granted"] for one in found) / len(took), 3),
        "cpu_us_per_decision": round(sum(one["cpu_s"] for one in found) / len(took) * 1e6),
        "cores_busy": round(sum(one["cpu_s"] for one in found) / elapsed, 2),
    }


def measured(
    folder: Path, city_map: Any, database: str | None, live: int, processes: int, rate: float, seconds: float
) -> dict[str, Any]:
    """One row of figures."""
    horizon_s, begin_s = (live + 3.0 * rate * seconds) / PER_HOUR * 3600.0, time.time()
    path = folder / f"airspace-{live}-{time.time_ns()}"
    with Airspace.create(path, city_map, database=database) as airspace:
        filled = fill(airspace, live, horizon_s, begin_s)
    spawn = multiprocessing.get_context("spawn")
    pipes, running = [], []
    for number in range(processes):
        ours, theirs = spawn.Pipe()
        running.append(spawn.Process(target=client, args=(theirs, str(path), number, horizon_s, begin_s)))
        running[-1].start()
        theirs.close()
        pipes.append(ours)
    opened = [pipe.recv() for pipe in pipes]
    arrivals = {
        f"{part:g}": together(pipes, ("open", int(part * seconds) // processes, part / processes))
        for part in (rate / 4, rate / 2, rate)
    }
    most = together(pipes, ("closed", int(2000 * seconds / processes), seconds / 2))
    for pipe in pipes:
        pipe.send(None)
    for process in running:
        process.join()
    with Airspace.open(path) as airspace:
        faults, entries = airspace.audit()
    return {
        "live": live,
        "processes": processes,
        "threads_each": THREADS,
        "us_per_decision_while_filling": round(filled * 1e6),
        "us_per_live_intent_to_open": round(max(opened) / max(live, 1) * 1e6),
        "open": arrivals,
        "closed": most,
        "audit": {"entries": entries, "faults": len(faults)},
    }


@contextlib.contextmanager
def stores(wanted: list[str]) -> Iterator[dict[str, Any]]:
    """For each store a function that gives the URL of an empty database, None for SQLite beside the airspace."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Any] = {}
        for name in wanted:
            if name == "sqlite":
                found[name] = lambda: None
            else:
                from tests.airspace.postgres import server

                found[name] = stack.enter_context(server()).fresh
        yield found


def plot(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Cost against the number of live intents."""
    curves: dict[str, list[list[float]]] = {}
    for row in rows:
        name = f"{row['store']}, {row['processes']} process{'es' if row['processes'] > 1 else ''}"
        curves.setdefault(f"CPU a decision: {name}", []).append(
            [row["live"], row["closed"]["cpu_us_per_decision"] / 1e3]
        )
        for rate, found in row["open"].items():
            curves.setdefault(f"p99 at {rate} a second: {name}", []).append([row["live"], found["p99_ms"]])
    return {
        "of": "admission",
        "file": "load",
        "kind": "loglog",
        "title": "Check-only admission, durable, through the whole engine",
        "x": "live intents at the start",
        "y": "ms",
        "curves": curves,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--store", choices=("sqlite", "postgresql"), nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--processes", type=int, nargs="+", default=[2])
    parser.add_argument("--rate", type=float, default=1000.0, help="arrivals a second; also a quarter and half of it")
    parser.add_argument("--seconds", type=float, default=10.0, help="of arrivals; half as long without a pause")
    parser.add_argument("--print", action="store_true", help="write nothing")
    options = parser.parse_args()
    where, rows = machine(), []
    with tempfile.TemporaryDirectory(prefix="admission-") as name, stores(options.store) as urls:
        folder = Path(name)
        city_map = town(folder, SIDE_M)
        for live, store, processes in itertools.product(options.live, options.store, options.processes):
            row = measured(folder, city_map, urls[store](), live, processes, options.rate, options.seconds)
            rows.append({"store": store, **row})
            print(json.dumps(rows[-1]), flush=True)
    if options.print:
        return
    result = {"machine": where, "day": datetime.now(UTC).date().isoformat(), "per_hour": PER_HOUR, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "admission_load.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draw(plot(rows), ROOT / "docs")


if __name__ == "__main__":
    main()
