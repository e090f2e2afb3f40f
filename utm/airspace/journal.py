"""Asking: the way of every request through the airspace.

1. What it is answered on is a `View` of the live picture. The answer is worked out there, outside any transaction: that
   is where the time goes.
2. One transaction takes everything that waits. Under the lock of the log's head it reads what other processes wrote,
   holds each answer against what changed since its view, appends those that still stand, and commits. Only then is
   anybody told.
3. An answer that what changed has touched is worked out again; after a few times under the lock, where nothing can
   change. So no request waits for ever, however many others there are.

Requests whose answer takes no time (a state, a zone) are worked out under the lock at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from utm.airspace.database import Database, Writing
from utm.airspace.documents import zone_feature
from utm.airspace.groupcommit import GroupCommit
from utm.airspace.ledger import Draft, Head
from utm.airspace.picture import NOTHING, Effects, Picture, View, effects_of
from utm.airspace.records import intent_document
from utm.errors import UtmError
from utm.model import Receipt

#: How often an answer is worked out beside the lock before it is worked out under it.
_FREE_TRIES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a request is answered, and what that changes."""

    said: Mapping[str, Any]
    """JSON, for the log."""
    effects: Effects = NOTHING
    relies_on: frozenset[str] = frozenset()
    """Intents whose change by others makes the answer void, besides those that it changes itself."""
    yields: frozenset[str] = frozenset()
    """Intents that it may come too near to: those that give way, or that are exempt by the standard."""
    result: Any = None
    """For the caller, never for the log."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of the airspace."""

    kind: str
    subject: str
    request: Mapping[str, Any]
    """JSON: everything that the answer depends on, beside the view and the time."""
    at_s: float
    answer: Callable[[View], Answer]
    """Pure. Raises UtmError where the request cannot be answered."""
    at_once: bool = False
    """Worked out under the lock."""


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    question: Question
    view: Head | None
    """What the answer was worked out on; None: to be worked out under the lock."""
    answer: Answer | None


class _Touched(UtmError):
    """What changed meanwhile has touched the answer; it must be worked out again."""


class Journal:
    """The log of one airspace, and the live picture that follows it."""

    def __init__(self, database: Database, picture: Picture):
        self._database, self.picture = database, picture
        self._turn = threading.Lock()  # whoever moves the picture on
        self._commit: GroupCommit[_Proposal, tuple[Receipt, Answer]] = GroupCommit(self, self._settle)

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
                return self._commit(_Proposal(question, None, None))
            self.follow()
            with self.picture.view() as view:
                proposal = _Proposal(question, view.head, answered(question, view))
                with contextlib.suppress(_Touched):
                    return self._commit(proposal)
        raise AssertionError("the last try is under the lock")

    def follow(self) -> None:
        """Take in what other processes wrote."""
        with self._turn:
            for entry in self._database.entries(after=self.picture.head.seq):
                self.picture.apply(Head(entry.seq, entry.digest), effects_of(entry.body))
            self.picture.committed()

    # --- under the lock ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """One transaction; the picture moves on with it or not at all."""
        with self._turn:
            try:
                with self._database.writing() as writing:
                    yield writing
            except BaseException:
                self.picture.revert()
                raise
            self.picture.committed()

    def _settle(self, writing: Writing, proposals: Sequence[_Proposal]) -> list[Any]:
        for entry in writing.since(self.picture.head.seq):
            self.picture.apply(Head(entry.seq, entry.digest), effects_of(entry.body))
        return [self._one(writing, proposal) for proposal in proposals]

    def _one(self, writing: Writing, proposal: _Proposal) -> tuple[Receipt, Answer] | Exception:
        question, answer, judged = proposal.question, proposal.answer, proposal.view
        now = self.picture.tentative()
        if answer is None or judged is None:
            try:
                answer, judged = answered(question, now), now.head
            except Exception as error:  # noqa: BLE001 - a fault of ours in one answer is no fault of the others
                return error
        elif judged.seq < now.seq and _touched(answer, now, self.picture.since(judged.seq)):
            return _Touched("")
        draft = Draft(question.at_s, question.kind, question.subject, body_of(question, answer, judged))
        entry = writing.append(draft)
        self.picture.apply(Head(entry.seq, entry.digest), answer.effects)
        if isinstance(answer.result, UtmError):
            return answer.result
        return Receipt(entry.seq, entry.digest, entry.signature), answer


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
    mine = effects.ids | answer.relies_on
    for other in since:
        if mine & other.ids:
            return True
        if other.surroundings and (effects.intents or effects.surroundings):
            return True
    if not any(other.intents for other in since):
        return False
    # Intents that it changes itself are no neighbours: their old room is given back, their new one is in `effects`.
    allowed = effects.ids | answer.yields
    return any(other.id not in allowed for intent in effects.intents for other in now.conflicts(intent.corridor))


def body_of(question: Question, answer: Answer, judged: Head) -> dict[str, Any]:
    """The body of the entry that holds a request and its answer. Effects stand in it only where there are any."""
    effects = answer.effects
    body: dict[str, Any] = {
        "request": question.request,
        "now_s": question.at_s,
        "judged": [judged.seq, judged.digest],
        "answer": answer.said,
    }
    if effects.intents:
        body["intents"] = [
            intent_document(dataclasses.replace(intent, judged=(judged.seq, judged.digest)))
            for intent in effects.intents
        ]
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
