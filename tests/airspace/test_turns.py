"""Turns at a file: in order, never for ever, and from the dead to the living."""

from __future__ import annotations

import threading
import time

import pytest

from tests.airspace.writer import turn_taker
from utm.airspace.turns import TurnTimeout, turn

_LONG_S = 60.0


def test_turns_are_one_at_a_time(tmp_path):
    inside, most = [], []

    def run() -> None:
        for _ in range(30):
            with turn(tmp_path / "next", _LONG_S):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LONG_S)
    assert len(most) == 180
    assert max(most) == 1


def test_a_turn_that_does_not_come_is_given_up_and_passes_on(tmp_path):
    path = tmp_path / "next"
    with turn(path, _LONG_S), pytest.raises(TurnTimeout), turn(path, 0.05):
        pytest.fail("two had the turn")
    with turn(path, _LONG_S):  # although one who gave up stood before us
        pass


def test_an_error_within_gives_the_turn_back(tmp_path):
    with pytest.raises(KeyError), turn(tmp_path / "next", _LONG_S):
        raise KeyError
    with turn(tmp_path / "next", 0.0):
        pass


def test_the_turn_of_a_killed_process_goes_to_the_next(tmp_path):
    path = tmp_path / "next"
    with turn_taker(path) as (process, pipe):
        assert pipe.recv() == "mine"
        with pytest.raises(TurnTimeout), turn(path, 0.05):
            pytest.fail("two had the turn")
        process.kill()
        with turn(path, _LONG_S):
            pass


def test_a_place_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), turn(tmp_path / "no" / "next", 1.0):
        pytest.fail("there was no such place")
