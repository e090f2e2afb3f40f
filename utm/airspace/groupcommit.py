"""Many callers, few commits: whatever waits while one transaction is made durable goes into the next, together.

A commit costs one wait for the disk, however much is in it. The group that forms is as large as the disk is slow, and
no timer decides: a caller alone commits at once, alone. (DeWitt et al. 1984, "Implementation techniques for main memory
database systems"; leader and followers as in LevelDB's writer queue.)

There is no thread of its own: the first caller who finds nobody committing leads, for one group, and then hands on to
the first of those who came meanwhile. So there is nothing to start, to watch or to lose: a group's work runs, and
fails, in the thread of one who waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from utm.airspace.database import Writing
from utm.errors import StoreError

T = TypeVar("T")
R = TypeVar("R")


class Writable(Protocol):
    """Where groups are written: a :class:`~utm.airspace.database.Database`, or what follows one."""

    def writing(self) -> AbstractContextManager[Writing]:
        """One durable transaction."""


class _Slot(Generic[T, R]):
    """One caller's item, and what became of it."""

    __slots__ = ("done", "error", "item", "result", "turn")

    def __init__(self, item: T):
        self.item = item
        self.turn = threading.Event()
        """Set when the slot is done, or when its caller is to lead."""
        self.done = False
        self.result: R | None = None
        self.error: Exception | None = None


class GroupCommit(Generic[T, R]):
    """Settles items in groups, each group in one durable transaction.

    Args:
        database: where to.
        settle: called with the transaction and the items of a group, oldest first; returns one result for each. An
            exception *returned* as a result is raised to the caller of that item alone; of an item that fails so,
            nothing may have been appended. An exception *raised* undoes the whole group.
        most: items in a group, at most; it bounds how long the log is held. At a thousand a second a group of 64 falls
            behind a disk that takes 65 ms a commit, and disks have such spells.
    """

    def __init__(
        self, database: Writable, settle: Callable[[Writing, Sequence[T]], Sequence[R | Exception]], *, most: int = 256
    ):
        if most < 1:
            raise ValueError(f"a group holds at least one item, not {most}")
        self._database, self._settle, self._most = database, settle, most
        self._changed = threading.Condition()
        self._waiting: deque[_Slot[T, R]] = deque()
        self._led = False
        self._closed = False

    def __call__(self, item: T) -> R:
        """Block until the transaction that holds the item is on the disk; its result.

        Raises what ``settle`` returned for the item, or StoreError when the transaction failed: then nothing of its
        group is acknowledged.
        """
        slot: _Slot[T, R] = _Slot(item)
        with self._changed:
            if self._closed:
                raise StoreError("the airspace is being closed; it takes nothing more")
            self._waiting.append(slot)
            if not self._led:
                self._led = True
                slot.turn.set()
        try:
            slot.turn.wait()
            if not slot.done:
                self._lead()
        except BaseException:  # the caller was interrupted: chosen to lead, or later, it would leave the others waiting
            self._leave(slot)
            raise
        if slot.error is not None:
            raise slot.error
        return slot.result  # type: ignore[return-value]  # a result may be None, and then R says so

    def close(self) -> None:
        """Take nothing more, and wait until what was taken is settled."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._led)

    def _lead(self) -> None:
        with self._changed:
            group = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            self._commit(group)
        except BaseException as error:
            for slot in group:
                slot.error = _failure(error)
            if not isinstance(error, Exception):  # an interrupt is its thread's own, and not an answer to the others
                raise
        finally:
            # The next group's disk waits for nobody to read the answers of this one
            self._hand_on()
            for slot in group:
                slot.done = True
                slot.turn.set()

    def _commit(self, group: Sequence[_Slot[T, R]]) -> None:
        with self._database.writing() as writing:
            results = self._settle(writing, [slot.item for slot in group])
            if len(results) != len(group):
                raise ValueError(f"{len(results)} results for a group of {len(group)}")
        for slot, result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                slot.error = result
            else:
                slot.result = result

    def _hand_on(self) -> None:
        """Choose the next leader, if anybody waits."""
        with self._changed:
            if self._waiting:
                self._waiting[0].turn.set()
            else:
                self._led = False
                self._changed.notify_all()

    def _leave(self, slot: _Slot[T, R]) -> None:
        with self._changed:
            if slot not in self._waiting:
                return  # in a group already: it is settled whether or not its caller hears of it
            self._waiting.remove(slot)
        if slot.turn.is_set():
            self._hand_on()


def _failure(error: BaseException) -> StoreError:
    """An error of its own for each caller: one that many threads raise mixes up their tracebacks."""
    sentence = str(error) if isinstance(error, StoreError) else f"the group that this was in failed: {error!r}"
    made = StoreError(sentence)
    made.__cause__ = error
    return made
