"""Asking: the way of every request through the airspace.

1. What it is answered on is a `View` of the live picture. The answer is worked out there, outside any transaction: that
   is where the time goes.
2. What is to be written is written out there, too. Then one transaction takes everything that waits: under the lock of
   the log's head it reads what other processes wrote, holds each answer against what changed since its view, appends
   those that still stand, and commits. Only then is anybody told.
3. An answer that what changed has touched is worked out again; after a few times under the lock, where nothing can
   change. So no request waits for ever, however many others there are.

Requests whose answer takes no time (a state, a zone) are worked out under the lock at once.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from utm.airspace.database import Database, Writing
from utm.airspace.documents import zone_feature
from utm.airspace.groupcommit import GroupCommit
from utm.airspace.ledger import Draft, Entry, Head, written
from utm.airspace.picture import NOTHING, Effects, Picture, View, effects_of
from utm.airspace.records import intent_document
from utm.errors import StateError, UtmError
from utm.model import Receipt

#: How often an answer is worked out beside the lock before it is worked out under it.
_FREE_TRIES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a request is answered, and what that changes."""

    said: Mapping[str, Any]
    """JSON, for the log."""
    effects: Effects = NOTHING
    result: Any = None
    """For the caller, never for the log."""
    request: Mapping[str, Any] | None = None
    """What stands in the log as the request, where the effects say the rest of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of the airspace."""

    kind: str
    subject: str
    request: Callable[[], Mapping[str, Any]]
    """JSON: everything that the answer depends on, beside the view and the time."""
    at_s: float
    answer: Callable[[View], Answer]
    """Pure. Raises UtmError where the request cannot be answered."""
    at_once: bool = False
    """Worked out under the lock."""
    fresh: tuple[str, ...] = ()
    """Ids under which nothing may ever have been granted: an intent's name is its own for good, ended ones' too."""


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """An answer worked out on a view of the picture, and how it is to be written."""

    view: Head
    answer: Answer
    draft: Draft


class _Touched(UtmError):
    """What changed meanwhile has touched the answer; it must be worked out again."""


class Journal:
    """The log of one airspace, and the live picture that follows it."""

    def __init__(self, database: Database, picture: Picture):
        self._database, self.picture = database, picture
        self._turn = threading.Lock()  # whoever moves the picture on
        self._looking, self._looks, self._looked = threading.Lock(), itertools.count(1), 0
        self._commit: GroupCommit[tuple[Question, _Proposal | None], tuple[Receipt, Answer]] = GroupCommit(
            self, self._settle
        )

    def close(self) -> None:
        """Wait for what is being written."""
        self._commit.close()

    def ask(self, question: Question) -> tuple[Receipt, Answer]:
        """Answer a request and remember both.

        Raises:
            UtmError: the request cannot be answered; that, too, is remembered.
            StoreError: the database failed. Nothing was acknowledged.
        """
        for attempt in range(_FREE_TRIES + 1):
            if question.at_once or attempt == _FREE_TRIES:
                return self._commit((question, None))
            self.follow()
            with self.picture.view() as view:
                proposal = _proposed(question, view)
                with contextlib.suppress(_Touched):
                    return self._commit((question, proposal))
        raise AssertionError("the last try is under the lock")

    def follow(self) -> None:
        """Take in what other processes had written when this was called."""
        came = next(self._looks)
        with self._looking:  # one looks for all who wait meanwhile
            if self._looked > came:
                return
            self._looked = next(self._looks)
            # What a group of ours is writing now begins where others' entries end, and they are in the picture
            if self._database.head().digest not in self.picture.ends:
                with self._moving():
                    self._take_in(self._database.stream(after=self.picture.head.seq))

    def _take_in(self, entries: Iterable[Entry]) -> None:
        """What others wrote, and is durable. Only while `_moving`."""
        for entry in entries:
            self.picture.apply(Head(entry.seq, entry.digest), effects_of(entry.body))
        self.picture.committed()

    # --- under the lock ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """One transaction; the picture moves on with it or not at all."""
        with contextlib.ExitStack() as moving, self._database.writing() as writing:
            # Only now: who waits for the lock keeps nobody from looking. It is given back after the commit.
            moving.enter_context(self._moving())
            self._take_in(writing.since(self.picture.head.seq))
            yield writing

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        with self._turn:
            try:
                yield
            except BaseException:
                self.picture.revert()
                raise
            self.picture.committed()

    def _settle(
        self, writing: Writing, asked: Sequence[tuple[Question, _Proposal | None]]
    ) -> list[tuple[Receipt, Answer] | Exception]:
        used = writing.granted_before({name for question, _ in asked for name in question.fresh})
        settled = []
        for question, proposal in asked:
            settled.append(self._one(writing, question, proposal, used))
            if not isinstance(settled[-1], Exception):
                used |= settled[-1][1].effects.ids
        return settled

    def _one(
        self, writing: Writing, question: Question, proposal: _Proposal | None, used: Collection[str]
    ) -> tuple[Receipt, Answer] | Exception:
        now = self.picture.tentative()
        for name in question.fresh:
            if name in used:
                return StateError(f"{name} was granted already; file under another id (and cancel the old one)")
        if proposal is None:
            try:
                proposal = _proposed(question, now)
            except Exception as error:  # noqa: BLE001 - a fault of ours in one answer is no fault of the others
                return error
        elif proposal.view.seq < now.seq and _touched(proposal.answer, now, self.picture.since(proposal.view.seq)):
            return _Touched("")
        try:
            entry, answer = writing.append(proposal.draft), proposal.answer
        except ValueError as error:  # it cannot be written; nothing of it was, and the others can
            return error
        self.picture.apply(Head(entry.seq, entry.digest), answer.effects)
        if isinstance(answer.result, UtmError):
            return answer.result
        return Receipt(entry.seq, entry.digest, entry.signature), answer


def _proposed(question: Question, view: View) -> _Proposal:
    answer = answered(question, view)
    draft = Draft(question.at_s, question.kind, question.subject, body_of(question, answer, view.head))
    return _Proposal(view.head, answer, written(draft))


def answered(question: Question, view: View) -> Answer:
    """The answer; a request that cannot be answered is answered with why."""
    try:
        return question.answer(view)
    except UtmError as error:
        return Answer({"status": "error", "error": error_said(error)}, result=error)


def error_said(error: UtmError) -> dict[str, str]:
    """Why a request cannot be answered, as JSON."""
    return {"kind": type(error).__name__, "sentence": str(error)}


def _touched(answer: Answer, now: View, since: Sequence[Effects]) -> bool:
    """Whether what others changed makes an answer void."""
    effects = answer.effects
    mine = effects.ids
    for other in since:
        if mine & other.ids:
            return True
        if other.surroundings and (effects.intents or effects.surroundings):
            return True
        if effects.surroundings and other.intents:  # granted before the zone was there, and not judged by it yet
            return True
    if not (effects.intents and any(other.intents for other in since)):
        return False
    # Intents that it changes itself are no neighbours: their old room is given back, their new one is in `effects`.
    return any(other.id not in mine for intent in effects.intents for other in now.conflicts(intent.corridor))


def body_of(question: Question, answer: Answer, judged: Head) -> dict[str, Any]:
    """The body of the entry that holds a request and its answer. Effects stand in it only where there are any."""
    effects = answer.effects
    body: dict[str, Any] = {
        "request": question.request() if answer.request is None else answer.request,
        "now_s": question.at_s,
        "judged": [judged.seq, judged.digest],
        "answer": answer.said,
    }
    if effects.intents:
        on = [judged.seq, judged.digest]
        body["intents"] = [intent_document(intent) | {"judged": on} for intent in effects.intents]
    if effects.states:
        body["states"] = [dict(state) for state in effects.states]
    if effects.zones:
        body["zones"] = [zone_feature(zone) for zone in effects.zones]
    if effects.zones_removed:
        body["zones_removed"] = list(effects.zones_removed)
    if effects.conditions is not None:
        body["conditions"] = effects.conditions
    if effects.map_version is not None:
        body["map_version"] = effects.map_version
    return body
