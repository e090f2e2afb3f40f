"""The command line in this process."""

from __future__ import annotations

import json
import sys

import pytest

from utm.cli.app import run


class Shell:
    """Runs ``utm`` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self._monkeypatch.setattr(sys, "argv", ["utm", *(str(word) for word in words)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            run()
        out, err = self._capfd.readouterr()
        return int(left.value.code or 0), out, err

    def json(self, *words: object, code: int = 0):
        """The one JSON document on stdout."""
        left, out, err = self(*words, "--json")
        assert left == code, err
        return json.loads(out)


@pytest.fixture
def utm(monkeypatch, capfd) -> Shell:
    return Shell(monkeypatch, capfd)
