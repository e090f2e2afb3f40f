"""What a durable entry of the log costs, alone and in groups: `python -m benchmarks.group_commit [--seconds N]`.

A thousand requests a second arrive at random (Poisson), each an entry with a body of 4 kB, and each is answered when it
is on the disk. Latency runs from the moment a request should have arrived, so a queue that grows shows. One commit each
goes through the same queue as groups do, with groups of one. The ways take turns, round by round, on both stores.
Written to benchmarks/results/group_commit.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.planner_figures import RESULTS, machine
from tests.airspace.postgres import missing, server
from utm.airspace.database import Database, Writing
from utm.airspace.groupcommit import GroupCommit
from utm.airspace.ledger import GENESIS, Draft, SigningKey, canonical, faults, seal, verify

#: How many callers may wait at once: an answer that takes longer than this many arrivals delays those behind it.
_CALLERS = 256
_WAYS = {"one commit each": 1, "grouped": 256}


def body(rng: random.Random) -> dict[str, Any]:
    """A grant as the log holds it: some 4 kB of JSON, mostly floats."""
    times = [1.8e9 + 10 * i + rng.random() for i in range(30)]
    points = [[rng.uniform(0, 5e3), rng.uniform(0, 5e3), rng.uniform(30, 150)] for _ in times]
    corridor = {"t_s": times, "enu_m": points, "pad_hold_s": 60.0, "time_tolerance_s": 10.0, "half_width_m": 25.0}
    limits = [
        {"kind": "separation", "subject": f"n{i}@ab12", "found_m": rng.uniform(70, 200), "needed_m": 70.0}
        | {"at_s": rng.choice(times), "at_m": rng.choice(points)}
        for i in range(9)
    ]
    name = f"flight-{rng.getrandbits(64):x}"
    intent = {"id": name, "state": "Accepted", "version": 1, "ovn": f"{rng.getrandbits(128):x}"}
    return {
        "request": {"plan": {"id": name}, "actor": {"name": "benchmark", "role": "operator"}},
        "intents": [intent | {"corridor": corridor, "limits": limits}],
    }


def sealing(rounds: int = 5, count: int = 400) -> dict[str, float]:
    """CPU microseconds of one thread for an entry, and for each part of it; medians of rounds that take turns."""
    rng, key = random.Random(1), SigningKey.generate()
    drafts = [Draft(1.8e9, "plan", "s", body(rng)) for _ in range(count)]
    entries = [seal(GENESIS, draft, key) for draft in drafts]
    parts: dict[str, Callable[[], object]] = {
        "seal (all of it)": lambda: [seal(GENESIS, draft, key) for draft in drafts],
        "canonical text": lambda: [canonical(draft.body) for draft in drafts],
        "signature": lambda: [key.sign(entry.digest) for entry in entries],
        "json.dumps, for comparison": lambda: [json.dumps(draft.body) for draft in drafts],
        "verify a signature": lambda: [verify(key.public, entry.digest, entry.signature) for entry in entries],
        "audit an entry": lambda: faults(entries, key.public),
    }
    took: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            began = time.thread_time()
            part()
            took[name].append((time.thread_time() - began) / count * 1e6)
    sizes = statistics.mean(len(entry.text) for entry in entries)
    return {"bytes of a body": sizes} | {name: statistics.median(times) for name, times in took.items()}


class Arrivals:
    """Requests at random times, and what became of them."""

    def __init__(self, database: Database, most: int, rate: float, seconds: float, seed: int):
        self._rng = random.Random(seed)
        self._bodies = [body(self._rng) for _ in range(int(rate * seconds * 1.2))]
        self._groups: list[int] = []
        self._commit: GroupCommit[int, int] = GroupCommit(database, self._settle, most=most)
        self._times = list(itertools.takewhile(lambda t: t < seconds, self._exponential(rate)))[: len(self._bodies)]
        self._next = itertools.count()
        self._took: list[float] = []

    def _exponential(self, rate: float):
        at = 0.0
        while True:
            at += self._rng.expovariate(rate)
            yield at

    def _settle(self, writing: Writing, items: list[int]) -> list[int]:
        self._groups.append(len(items))
        return [writing.append(Draft(1.8e9, "plan", "s", self._bodies[item])).seq for item in items]

    def _caller(self) -> None:
        while (number := next(self._next)) < len(self._times):
            due = self._began + self._times[number]
            time.sleep(max(0.0, due - time.perf_counter()))
            self._commit(number)
            self._took.append(time.perf_counter() - due)

    def run(self) -> dict[str, float]:
        """Let them arrive; figures."""
        cpu = time.process_time()
        self._began = time.perf_counter()
        callers = [threading.Thread(target=self._caller) for _ in range(_CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        elapsed, cpu = time.perf_counter() - self._began, time.process_time() - cpu
        took = sorted(self._took)
        return {
            "entries a second": len(took) / elapsed,
            "commits a second": len(self._groups) / elapsed,
            "entries a commit, mean": statistics.mean(self._groups),
            "p50 ms": took[len(took) // 2] * 1e3,
            "p99 ms": took[int(len(took) * 0.99)] * 1e3,
            "worst ms": took[-1] * 1e3,
            "CPU us an entry": cpu / len(took) * 1e6,
        }


def arrivals(urls: dict[str, Callable[[], str]], rate: float, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """All ways on all stores, round by round."""
    found = []
    for number in range(rounds):
        for store, fresh in urls.items():
            for way, most in _WAYS.items():
                database = Database(fresh(), SigningKey.generate())
                database.create({})
                row = Arrivals(database, most, rate, seconds, number).run()
                database.close()
                found.append({"store": store, "way": way, "round": number} | row)
                print(
                    "  ".join(
                        f"{name} {value:.1f}" if isinstance(value, float) else str(value)
                        for name, value in found[-1].items()
                    )
                )
    return found


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of arrivals, each round")
    parser.add_argument("--rate", type=float, default=1000.0, help="arrivals a second")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "day": datetime.now(UTC).date().isoformat(), "rate": asked.rate}
    result["sealing, CPU us"] = sealing()
    print(json.dumps(result["sealing, CPU us"], indent=1))
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        stores: dict[str, Callable[[], str]] = {"sqlite": lambda: f"sqlite:///{folder}/{next(numbers)}.db"}
        why_not = missing()
        if why_not is None:
            with server() as running:
                result["arrivals"] = arrivals(
                    stores | {"postgresql": running.fresh}, asked.rate, asked.seconds, asked.rounds
                )
        else:
            print(f"without PostgreSQL: {why_not}")
            result["arrivals"] = arrivals(stores, asked.rate, asked.seconds, asked.rounds)
    RESULTS.mkdir(exist_ok=True)
    Path(RESULTS / "group_commit.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
