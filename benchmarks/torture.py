"""Eight processes ask for random overlapping flights at once, and some of them are killed: is every promise kept?

    python -m benchmarks.torture --store sqlite|postgresql --seconds 60

Each process files trajectories over the same few hundred metres, cancels, activates and ends some of its flights, and
writes down what it was told. Every few seconds one of them is killed with SIGKILL and another takes its place. Then an
oracle that shares no code with the engine (`benchmarks.torture_oracle`) reads the database: no two corridors that were
reserved at the same time come too near, nothing that was acknowledged is lost, nothing is half-granted, the chain of
the log is whole. Exit code 0 only then; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.demand import asked, pads, town
from benchmarks.torture_oracle import faults, read
from utm.airspace import Airspace
from utm.errors import StateError, StoreError

#: Pads lie in so small a part of the town that most flights meet some other.
_WITHIN_M = 900.0
_SIDE_M = 2000.0
_AHEAD_S = 1800.0
#: Shares of what a process does with a flight that it was granted: cancel, or activate and later end.
_CANCELLED, _FLOWN = 0.25, 0.15


def client(folder: str, number: int, seed: int, told: str) -> None:
    """Ask until killed or told to stop, and write down every acknowledgement."""
    stop = False

    def asked_to_stop(*_signal: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, asked_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = np.random.default_rng([seed, number])
    mine: list[str] = []
    with Airspace.open(folder) as airspace, open(told, "a", encoding="utf-8") as book:
        city_map = airspace.city_map
        places = pads(city_map, 40, np.random.default_rng(seed), _WITHIN_M)

        def note(**what: object) -> None:
            receipt = airspace.receipt
            book.write(json.dumps({"seq": receipt.seq, "digest": receipt.digest, **what}) + "\n")
            book.flush()

        count = 0
        while not stop:
            count += 1
            at_s = time.time() + rng.uniform(60.0, _AHEAD_S)
            plan, line = asked(city_map, places, rng, f"c{number}-{count}", at_s, (300.0, 800.0))
            try:
                decision = airspace.check(plan, line)
                note(id=plan.id if decision.approved else None, asked=True)
                if decision.approved:
                    mine.append(plan.id)
                dice = rng.random()
                if mine and dice < _CANCELLED:
                    airspace.cancel(mine.pop(int(rng.integers(len(mine)))))
                    note()
                elif mine and dice < _CANCELLED + _FLOWN:
                    flown = mine.pop(int(rng.integers(len(mine))))
                    with contextlib.suppress(StateError):  # it departs later than an activation may be early
                        airspace.activate(flown)
                        note()
                    airspace.end(flown)
                    note()
            except StoreError as error:  # refused by a busy database: nothing was promised
                book.write(json.dumps({"busy": str(error)}) + "\n")
                book.flush()


def run(
    store: str, seconds: float, *, processes: int = 8, seed: int = 1, kill_every_s: float = 3.0
) -> dict[str, object]:
    """Torture one store; what was found."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-")))
        database = None
        if store == "postgresql":
            from tests.airspace.postgres import server

            database = stack.enter_context(server()).fresh()
        city_map = town(folder, _SIDE_M)
        with Airspace.create(folder / "airspace", city_map, database=database) as airspace:
            rules = dataclasses.asdict(airspace.rules)
        spawn = multiprocessing.get_context("spawn")
        books = folder / "told"
        books.mkdir()
        numbers = iter(range(10**6))

        def start() -> multiprocessing.Process:
            number = next(numbers)
            arguments = (str(folder / "airspace"), number, seed, str(books / f"{number}.jsonl"))
            process = spawn.Process(target=client, args=arguments)
            process.start()
            return process

        running = [start() for _ in range(processes)]
        dice, killed, failed = random.Random(seed), 0, []
        # Starting takes each of them seconds of a core: the clock runs from when all have been answered.
        begin = time.monotonic()
        while sum(1 for path in books.glob("*.jsonl") if path.stat().st_size) < processes:
            if time.monotonic() - begin > 120.0 or not all(process.is_alive() for process in running):
                break
            time.sleep(0.1)
        before = sum(path.read_bytes().count(b'"asked"') for path in books.glob("*.jsonl"))
        begin = kill = time.monotonic()
        while time.monotonic() - begin < seconds:
            time.sleep(0.05)
            for n, process in enumerate(running):
                if not process.is_alive():
                    failed.append(process.exitcode)
                    running[n] = start()
            if time.monotonic() - kill >= kill_every_s:
                kill = time.monotonic()
                n = dice.randrange(len(running))
                os.kill(running[n].pid, signal.SIGKILL)
                running[n].join()
                killed += 1
                running[n] = start()
        took = time.monotonic() - begin
        for process in running:
            process.terminate()
        for process in running:
            process.join(60.0)
            if process.exitcode not in (0, -signal.SIGTERM):  # told to stop before it had begun to listen
                failed.append(process.exitcode)
        told = [json.loads(row) for path in sorted(books.glob("*.jsonl")) for row in whole_lines(path)]
        acknowledged = [row for row in told if "seq" in row]
        url = database or f"sqlite:///{folder / 'airspace' / 'airspace.db'}"
        found, looked = faults(*read(url), acknowledged, rules)
        decided = sum(1 for row in acknowledged if row.get("asked"))
        return {
            "store": store,
            "seconds": round(took, 1),
            "processes": processes,
            "killed": killed,
            "failed": failed,
            "busy": sum(1 for row in told if "busy" in row),
            "decided": decided,
            "decided_per_s": round((decided - before) / took, 1),
            **looked,
            "faults": found[:20],
            "holds": not found and not failed and looked["grants"] > 0 and (killed > 0 or seconds < kill_every_s),
        }


def whole_lines(path: Path) -> list[str]:
    """The lines that were written to their end: a process that is killed may leave half of one."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the result as a file, too")
    options = parser.parse_args()
    found = run(options.store, options.seconds, processes=options.processes, seed=options.seed)
    for sentence in found["faults"]:
        print(sentence, file=sys.stderr)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))
    sys.exit(0 if found["holds"] else 1)


if __name__ == "__main__":
    main()
