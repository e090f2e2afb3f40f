"""From a commit in one process to its receipt in another: `python -m benchmarks.outbox_latency [--commits N]`.

A writer commits an entry every 5 to 25 ms; a reader waits for news (`Airspace.news`), or looks at the log's head every
50 ms (as a running `utm fly` does), reads what is new, and notes when it had it. Both
look at the same clock (CLOCK_MONOTONIC is one for all processes of a machine). Latency runs from the return of the
commit; it may be below zero, for the reader may have the entry before the writer is told. Written to
benchmarks/results/outbox_latency.json.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.planner_figures import RESULTS, machine
from tests.airspace.postgres import missing, server
from utm.airspace.database import Database
from utm.airspace.ledger import Draft, SigningKey
from utm.ops.flight import USUAL


def _write(pipe: Connection, url: str, key_file: str, commits: int) -> None:
    database, rng = Database(url, SigningKey.load(key_file)), random.Random(1)
    pipe.send("ready")
    pipe.recv()
    done = {}
    for _ in range(commits):
        time.sleep(rng.uniform(0.005, 0.025))
        with database.writing() as writing:
            entry = writing.append(Draft(1.8e9, "plan", "s", {"pad": "x" * 4000}))
        done[entry.seq] = time.monotonic()
    pipe.send(done)
    database.close()


def _read(pipe: Connection, url: str, commits: int, look_every_s: float | None) -> None:
    database, had, cpu = Database(url, None), {}, time.process_time()
    pipe.send("ready")
    pipe.recv()
    last = 0
    while last < commits:
        if look_every_s is not None:
            time.sleep(look_every_s)
        if database.head().seq > last if look_every_s is not None else database.wait(last, 30.0):
            for entry in database.entries(last):
                had[entry.seq] = time.monotonic()
                last = entry.seq
    pipe.send((had, time.process_time() - cpu))
    database.close()


def measure(url: str, folder: str, commits: int, look_every_s: float | None = None) -> dict[str, float]:
    """Latencies between two processes, in milliseconds.

    Args:
        look_every_s: how often the reader looks; None for one that waits.
    """
    key, key_file = SigningKey.generate(), str(Path(folder) / f"key{time.monotonic_ns()}")
    key.save(key_file)
    database = Database(url, key)
    database.create({})
    database.close()
    processes = multiprocessing.get_context("spawn")
    pipes = []
    began = time.monotonic()
    for target, arguments in ((_read, (url, commits, look_every_s)), (_write, (url, key_file, commits))):
        ours, theirs = processes.Pipe()
        process = processes.Process(target=target, args=(theirs, *arguments), daemon=True)
        process.start()
        assert ours.recv() == "ready"
        pipes.append(ours)
    for pipe in pipes:
        pipe.send("go")
    (had, cpu), done = (pipe.recv() for pipe in pipes)
    late = sorted((had[seq] - done[seq]) * 1e3 for seq in done)
    return {
        "commits": commits,
        "p50 ms": late[len(late) // 2],
        "p99 ms": late[int(len(late) * 0.99)],
        "worst ms": late[-1],
        "reader's CPU share": cpu / (time.monotonic() - began),
    }


@contextlib.contextmanager
def stores(folder: str) -> Iterator[dict[str, Callable[[], str]]]:
    """What makes an empty place in each store that is there; its URL."""
    names = itertools.count()
    places = {"sqlite": lambda: f"sqlite:///{folder}/airspace{next(names)}.db"}
    if (why_not := missing()) is not None:
        print(f"without PostgreSQL: {why_not}")
        yield places
        return
    with server() as running:
        yield places | {"postgresql": running.fresh}


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commits", type=int, default=500)
    commits = parser.parse_args().commits
    result: dict[str, Any] = {"machine": machine(), "day": datetime.now(UTC).date().isoformat()}
    with tempfile.TemporaryDirectory() as folder, stores(folder) as places:
        for store, place in places.items():
            result[store] = {
                "waits": measure(place(), folder, commits),
                "looks every 50 ms": measure(place(), folder, commits, USUAL.look_every_s),
            }
            print(store, json.dumps(result[store]))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "outbox_latency.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
