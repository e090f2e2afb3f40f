"""Other processes at the same airspace, for tests. They say over a pipe what they have done, when it is done."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from utm.airspace.database import Database
from utm.airspace.ledger import Draft, SigningKey
from utm.airspace.turns import turn

# Processes come from one that has imported this module already: an import takes longer than any of these tests
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


@contextlib.contextmanager
def other_process(url: str, key_file: Path, what: str, name: str = "other") -> Iterator[tuple[BaseProcess, Connection]]:
    """A process and its pipe; it is ended with the block.

    ``append``: 40 entries, each by itself, once it is told to go. ``forever``: pairs of entries, until it is killed.
    ``hold``: writes an entry, and commits when it is told to go.
    """
    with _other(_main, url, str(key_file), what, name) as both:
        yield both


@contextlib.contextmanager
def turn_taker(path: Path) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that says when it has the turn at ``path``, and keeps it until it is told to go."""
    with _other(_take_turn, path) as both:
        yield both


@contextlib.contextmanager
def _other(target: Callable[..., None], *arguments: object) -> Iterator[tuple[BaseProcess, Connection]]:
    ours, theirs = _processes.Pipe()
    process = _processes.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()  # or the pipe would outlive the process
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _main(pipe: Connection, url: str, key_file: str, what: str, name: str) -> None:
    database = Database(url, SigningKey.load(key_file))
    if what == "append":
        pipe.send("ready")
        pipe.recv()
        for number in range(40):
            with database.writing() as writing:
                entry = writing.append(Draft(1.0, "test", name, {"n": number}))
            pipe.send(entry.seq)
    elif what == "forever":
        for number in itertools.count():
            with database.writing() as writing:
                for half in (0, 1):
                    entry = writing.append(Draft(1.0, "test", name, {"n": number, "half": half, "pad": "x" * 20_000}))
            pipe.send(entry.seq)
    else:
        with database.writing() as writing:
            writing.append(Draft(1.0, "test", name, {"conditions": {"from": name}}))
            writing.flush(database._dialect.put)
            pipe.send("holding")
            pipe.recv()
    database.close()


def _take_turn(pipe: Connection, path: Path) -> None:
    with turn(path, 60.0):
        pipe.send("mine")
        pipe.recv()


def told(pipe: Connection) -> Iterator[object]:
    """What is still said, until the process has ended."""
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            yield pipe.recv()
