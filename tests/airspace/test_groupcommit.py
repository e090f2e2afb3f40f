"""Group commit: nothing is told before it is on the disk, and who fails fails alone, or with the whole group."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sql

from utm.airspace import groupcommit
from utm.airspace.database import Database, Writing
from utm.airspace.groupcommit import GroupCommit
from utm.airspace.ledger import Draft, SigningKey, faults
from utm.errors import StateError, StoreError

KEY = SigningKey.generate()
_LONG_S = 60.0


class Refused(Exception):
    """An item's own failure."""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url, KEY)
    made.create({})
    yield made
    made.close()


@pytest.fixture
def sqlite(tmp_path) -> Iterator[Database]:
    """Where which store it is makes no difference."""
    made = Database(f"sqlite:///{tmp_path}/airspace.db", KEY)
    made.create({})
    yield made
    made.close()


def append(writing: Writing, item: object) -> int:
    return writing.append(Draft(1.0, "test", "s", {"item": item})).seq


def settle_all(writing: Writing, items: Sequence[object]) -> list[int]:
    return [append(writing, item) for item in items]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is what the test looks at
        return error


class Callers:
    """Threads that each put one item, and what each was told."""

    def __init__(self, commit: GroupCommit):
        self._commit, self.told, self._threads = commit, {}, []

    def call(self, item: object) -> threading.Thread:
        def run() -> None:
            self.told[item] = outcome(lambda: self._commit(item))

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        return thread

    def queued(self, count: int) -> None:
        """Return when so many wait behind the leader."""
        with self._commit._changed:
            while len(self._commit._waiting) < count:
                self._commit._changed.wait(0.001)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(_LONG_S)
            assert not thread.is_alive(), "a caller was never answered"


class Gate:
    """A settle function that the test holds up: its first group is in `entered` until `open`."""

    def __init__(self, settle: Callable[[Writing, Sequence[Any]], Sequence[Any]] = settle_all):
        self.entered, self.open, self.groups, self._settle = threading.Event(), threading.Event(), [], settle

    def __call__(self, writing: Writing, items: Sequence[Any]) -> Sequence[Any]:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.entered.set()
            assert self.open.wait(_LONG_S)
        return self._settle(writing, items)


@contextlib.contextmanager
def held_up(database: Any, gate: Gate, **options: Any) -> Iterator[tuple[Callers, GroupCommit]]:
    """A first caller stands at the gate; it is opened, and all callers are waited for, at the end."""
    commit: GroupCommit[Any, Any] = GroupCommit(database, gate, **options)
    callers = Callers(commit)
    callers.call("first")
    assert gate.entered.wait(_LONG_S)
    try:
        yield callers, commit
    finally:
        gate.open.set()
        callers.join()


def test_one_caller_alone_commits_at_once(database):
    commit = GroupCommit(database, settle_all)
    assert [commit(n) for n in range(3)] == [1, 2, 3]
    assert [entry.body["item"] for entry in database.entries()] == [0, 1, 2]
    commit.close()


def test_whoever_comes_while_one_commits_goes_together_in_order(database):
    gate = Gate()
    with held_up(database, gate) as (callers, _):
        for n in range(6):
            callers.call(n)
            callers.queued(n + 1)
        assert database.head().seq == 0
    assert gate.groups == [["first"], [0, 1, 2, 3, 4, 5]]
    assert callers.told == {"first": 1} | {n: n + 2 for n in range(6)}
    assert faults(database.entries(), KEY.public, head=database.head()) == []


def test_a_group_holds_no_more_than_most(sqlite):
    gate = Gate()
    with held_up(sqlite, gate, most=4) as (callers, _):
        for n in range(10):
            callers.call(n)
            callers.queued(n + 1)
    assert gate.groups == [["first"], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(ValueError, match="at least one"):
        GroupCommit(sqlite, settle_all, most=0)


def test_nobody_is_told_before_the_commit_returned(database):
    """When a group is about to be committed none of it is told; who is told finds the entry on another connection."""
    group: list[int] = []
    told: list[int] = []
    early: list[list[int]] = []
    found: dict[int, Any] = {}

    def settle(writing: Writing, items: Sequence[int]) -> list[int]:
        group[:] = items
        return settle_all(writing, items)

    commit = GroupCommit(database, settle)
    sql.event.listen(
        database._dialect.engine, "commit", lambda _: early.append([item for item in group if item in told])
    )
    together = threading.Barrier(8)

    def run(number: int) -> None:
        together.wait(_LONG_S)
        seq = commit(number)
        told.append(number)
        found[number] = database.entries(seq - 1, limit=1)[0].body["item"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LONG_S)
    assert found == {number: number for number in range(8)}
    assert early
    assert not any(early)


def test_many_threads_lose_nothing_and_each_gets_its_own(database):
    commit = GroupCommit(database, lambda writing, items: [(item, append(writing, item)) for item in items], most=5)
    told: dict[tuple[int, int], int] = {}

    def run(thread: int) -> None:
        for number in range(25):
            item, seq = commit((thread, number))
            told[item] = seq
            assert item == (thread, number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LONG_S)
    commit.close()
    entries = database.entries()
    assert {tuple(entry.body["item"]): entry.seq for entry in entries} == told
    assert len(entries) == 300
    assert faults(entries, KEY.public, head=database.head()) == []


def test_an_item_that_fails_fails_alone(database):
    def settle(writing: Writing, items: Sequence[int]) -> list[int | Exception]:
        return [Refused(item) if item == 2 else append(writing, item) for item in items]

    gate = Gate(settle)
    with held_up(database, gate) as (callers, _):
        for n in range(4):
            callers.call(n)
            callers.queued(n + 1)
    assert isinstance(callers.told[2], Refused)
    assert callers.told[2].args == (2,)
    assert [callers.told[n] for n in (0, 1, 3)] == [2, 3, 4]
    assert database.head().seq == 4


@pytest.mark.parametrize(
    ("error", "sentence"), [(KeyError("poison"), "poison"), (StoreError("no disk"), "^no disk$")], ids=repr
)
def test_a_group_that_fails_fails_whole_and_the_next_goes_on(database, error, sentence):
    def settle(writing: Writing, items: Sequence[Any]) -> list[int]:
        results = [append(writing, item) for item in items]
        if "poison" in items:
            raise error
        return results

    gate = Gate(settle)
    with held_up(database, gate, most=3) as (callers, commit):
        for n, item in enumerate(["a", "poison", "b", "c", "d"]):
            callers.call(item)
            callers.queued(n + 1)
    failed = [callers.told[item] for item in ("a", "poison", "b")]
    for told in failed:
        assert isinstance(told, StoreError)
        assert told.__cause__ is error
        with pytest.raises(StoreError, match=sentence):
            raise told
    assert len(set(map(id, failed))) == 3  # each its own, or their tracebacks would grow into each other
    assert (callers.told["first"], callers.told["c"], callers.told["d"]) == (1, 2, 3)
    assert commit("after") == 4
    assert [entry.body["item"] for entry in database.entries()] == ["first", "c", "d", "after"]


def test_a_commit_that_fails_acknowledges_nothing(database):
    def broken(_connection: object) -> None:
        raise sql.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    commit = GroupCommit(database, settle_all)
    sql.event.listen(database._dialect.engine, "commit", broken)
    with pytest.raises(StoreError, match="only the log can tell"):
        commit("lost")
    sql.event.remove(database._dialect.engine, "commit", broken)
    assert database.head().seq == 0
    assert commit("kept") == 1


def test_a_database_that_is_gone_is_told_to_each_caller(tmp_path, sqlite):
    commit = GroupCommit(sqlite, settle_all)
    assert commit("x") == 1
    (tmp_path / "airspace.db").rename(tmp_path / "gone.db")
    for _ in range(2):
        with pytest.raises(StoreError, match="is gone"):
            commit("y")
    (tmp_path / "gone.db").rename(tmp_path / "airspace.db")
    assert commit("z") == 2


def test_as_many_results_as_items_or_nothing(sqlite):
    commit = GroupCommit(sqlite, lambda writing, items: [append(writing, item) for item in items] * 2)
    with pytest.raises(StoreError, match="2 results for a group of 1"):
        commit("x")
    assert sqlite.head().seq == 0


def test_a_group_of_refusals_commits_nothing_and_says_so(sqlite):
    commit = GroupCommit(sqlite, lambda _writing, items: [StateError(str(item)) for item in items])
    with pytest.raises(StateError, match="x"):
        commit("x")
    assert sqlite.head().seq == 0


def test_an_interrupt_of_the_leader_is_its_own_and_the_next_takes_over(sqlite):
    def settle(writing: Writing, items: Sequence[Any]) -> list[int]:
        if "first" in items:
            raise KeyboardInterrupt
        return settle_all(writing, items)

    gate = Gate(settle)
    commit: GroupCommit[Any, Any] = GroupCommit(sqlite, gate)
    callers = Callers(commit)
    interrupted: list[str] = []

    def lead() -> None:
        try:
            commit("first")
        except KeyboardInterrupt:
            interrupted.append("first")

    leader = threading.Thread(target=lead)
    leader.start()
    assert gate.entered.wait(_LONG_S)
    callers.call("second")
    callers.queued(1)
    gate.open.set()
    callers.join()
    leader.join(_LONG_S)
    assert interrupted == ["first"]
    assert callers.told == {"second": 1}


@pytest.mark.parametrize("chosen", [False, True], ids=["before it is chosen", "when it is chosen to lead"])
def test_an_interrupt_of_one_who_waits_leaves_the_others_served(sqlite, monkeypatch, chosen):
    """The second caller is interrupted while it waits, or just as it was chosen to lead: the third must not hang."""

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if chosen:
                super().wait(timeout)
            raise KeyboardInterrupt

    class Slot(groupcommit._Slot):
        def __init__(self, item: object):
            super().__init__(item)
            self.turn = Interrupted()

    gate, interrupted = Gate(), threading.Event()
    with held_up(sqlite, gate, most=1) as (callers, commit):

        def second() -> None:
            try:
                commit("second")
            except KeyboardInterrupt:
                interrupted.set()

        monkeypatch.setattr(groupcommit, "_Slot", Slot)
        thread = threading.Thread(target=second)
        thread.start()
        if chosen:
            callers.queued(1)
        else:
            assert interrupted.wait(_LONG_S)
        monkeypatch.undo()
        callers.call("third")
        callers.queued(2 if chosen else 1)
    thread.join(_LONG_S)
    assert interrupted.is_set()
    assert callers.told == {"first": 1, "third": 2}
    commit.close()


def test_closing_waits_for_what_was_taken_and_takes_nothing_more(sqlite):
    gate = Gate()
    with held_up(sqlite, gate) as (callers, commit):
        callers.call("second")
        callers.queued(1)
        closing = threading.Thread(target=commit.close)
        closing.start()
        while not commit._closed:
            with commit._changed:
                commit._changed.wait(0.001)
        with pytest.raises(StoreError, match="being closed"):
            commit("late")
        assert closing.is_alive()
    closing.join(_LONG_S)
    assert not closing.is_alive()
    assert callers.told == {"first": 1, "second": 2}
