"""Turns at a file: processes and threads that want the same thing get it in the order in which they came.

SQLite's own lock has no queue. Who has just written finds it free before those who sleep wake up, again and again: of
eight busy processes' commits, one in a hundred waited for 33 to 44 others, where its turn was after 7. The kernel wakes
those who block in flock(2) in the order of their coming (one in a hundred waits for 10 to 12 others), and takes the
lock from the dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class TurnTimeout(Exception):
    """The turn did not come in time."""


@contextlib.contextmanager
def turn(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the turn at ``path`` (made where it is not there) for a block. Raises TurnTimeout, OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting = _Waiting(file)
        if not waiting.had(timeout_s):
            raise TurnTimeout from None  # the file is the waiting thread's to close
    try:
        yield
    finally:
        os.close(file)  # the turn goes to the next


class _Waiting:
    """A thread that blocks in flock, which knows no time limit, for one that has a limit."""

    def __init__(self, file: int):
        self._file = file
        self._settled = threading.Lock()
        self._turn = threading.Event()
        self._given_up = False
        # Not waited for at the end of the process: whoever holds the turn may never give it back
        threading.Thread(target=self._block, name="turn", daemon=True).start()

    def _block(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._settled:
            if self._given_up:
                os.close(self._file)
            else:
                self._turn.set()

    def had(self, timeout_s: float) -> bool:
        """Whether the turn came; where it did not, it is let pass when it does."""
        try:
            self._turn.wait(timeout_s)
        finally:
            with self._settled:
                self._given_up = not self._turn.is_set()
        return not self._given_up
