"""Asking a process of its own, which may crash or hang: one question a line, one answer a line, both JSON."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.repo import ROOT


def questions() -> Iterator[dict[str, Any]]:
    """What is asked of this process, until nobody asks any more."""
    for line in sys.stdin:
        yield json.loads(line)


def say(answer: dict[str, Any]) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Child:
    """A process that answers; a new one takes the place of one that crashed or hung."""

    def __init__(self, module: str, folder: Path, limit_s: float = 20.0):
        self._module, self._folder, self._limit_s, self._number = module, folder, limit_s, 0
        self._start()

    def _start(self) -> None:
        self._number += 1
        place = self._folder / f"child{self._number}"
        place.mkdir()
        self._errors = (self._folder / f"child{self._number}.err").open("w+")
        # Every arena reserves 64 MB, which counts against a limit of memory
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(place)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, env=os.environ | {"MALLOC_ARENA_MAX": "2"},
        )  # fmt: skip
        ready = self._read(120.0)
        if not ready or not ready.get("ready"):
            self.close()
            raise RuntimeError(f"no answer from {self._module}: {self.errors(0)}")

    def _read(self, limit_s: float) -> dict[str, Any] | None:
        """The next answer, {} where the process ended, None after a time without one."""
        stream = self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            if not selector.select(limit_s):
                return None
        line = stream.readline()
        return json.loads(line) if line else {}

    def errors(self, since: int) -> str:
        """What the process wrote to stderr after so many bytes."""
        self._errors.flush()
        return Path(self._errors.name).read_text(errors="replace")[since:]

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer; a verdict ``crash`` or ``hang`` where there is none. ``stderr`` holds what was written there."""
        since = len(self.errors(0))
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._read(self._limit_s)
        if answer:
            return answer | {"stderr": self.errors(since)[:1000]}
        verdict = "hang" if answer is None else "crash"
        self._process.kill()
        code = self._process.wait()
        said = self.errors(since)[-1000:]
        self.close()
        self._start()
        return question | {"verdict": verdict, "fault": f"{verdict} {code}", "stderr": said, "message": ""}

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
