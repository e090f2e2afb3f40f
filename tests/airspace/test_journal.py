"""Asking: whatever others do meanwhile, what is told is in the log, and no two answers contradict each other."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sql

from tests.airspace.intents import straight
from utm.airspace.database import Database
from utm.airspace.journal import Answer, Journal, Question
from utm.airspace.ledger import SigningKey, faults
from utm.airspace.picture import Effects, Picture, View
from utm.airspace.states import next_version, state_effect
from utm.core import in_conflict
from utm.core.traffic import apart
from utm.errors import StateError, StoreError
from utm.model import IntentState, OperationalIntent, RuleSet

KEY = SigningKey.generate()
LONG_S = 60.0
T0 = 1.8e9


@pytest.fixture
def opened(database_url: str) -> Iterator[Callable[[], Journal]]:
    """Gives journals of one airspace, each as another process would have it."""
    made: list[tuple[Journal, Database]] = []

    def open_another() -> Journal:
        database = Database(database_url, KEY)
        if not made:
            database.create({"map_version": "map"})
        journal = Journal(database, Picture(database.load(), RuleSet()))
        made.append((journal, database))
        return journal

    yield open_another
    for journal, database in made:
        journal.close()
        database.close()


def flight(name: str, lane: int, start_s: float = T0) -> OperationalIntent:
    """Along a lane; lanes are 30 m apart, and flights on neighbouring ones too near."""
    return straight(name, (0.0, 30.0 * lane, 50.0), (500.0, 30.0 * lane, 50.0), start_s)


def asking(intent: OperationalIntent, meanwhile: Callable[[], Any] = lambda: None, **options: Any) -> Question:
    """Whether a flight may be had; something happens while the answer is worked out."""

    def answer(view: View) -> Answer:
        met = view.conflicts(intent.corridor)
        meanwhile()
        if met:
            return Answer({"refused": [one.id for one in met]}, result="refused")
        judged = dataclasses.replace(intent, judged=(view.seq, view.digest))
        return Answer({"granted": intent.id}, Effects(intents=(judged,)), result="granted")

    return Question("check", intent.id, lambda: {"wish": intent.id}, 1.0, answer, **options)


def ending(intent: OperationalIntent) -> Question:
    """That a flight is over."""
    ended = next_version(intent, IntentState.ENDED)
    effects = Effects(states=(state_effect(ended),))
    return Question("state", intent.id, lambda: {"end": intent.id}, T0, lambda _view: Answer({}, effects))


def asked(journal: Journal, question: Question) -> Any:
    return journal.ask(question)[1].result


def live(journal: Journal) -> list[str]:
    journal.follow()
    with journal.picture.view() as view:
        return [one.id for one in view.live()]


def test_what_is_asked_is_written_and_shows(opened):
    journal = opened()
    receipt, answer = journal.ask(asking(flight("a", 0)))
    (entry,) = journal._database.entries()
    assert (receipt.seq, receipt.digest, receipt.signature) == (1, entry.digest, entry.signature)
    assert answer.result == "granted"
    assert (entry.kind, entry.subject, entry.at_s) == ("check", "a", 1.0)
    assert entry.body["request"] == {"wish": "a"}
    assert entry.body["judged"] == [0, "0" * 64] == entry.body["intents"][0]["judged"]
    assert live(journal) == live(opened()) == ["a"]
    assert not faults(journal._database.entries(), KEY.public)


def test_an_answer_that_others_made_stale_is_worked_out_again(opened):
    ours, theirs = opened(), opened()
    steps = iter([lambda: theirs.ask(asking(flight("theirs", 1)))])
    assert asked(ours, asking(flight("ours", 0), lambda: next(steps, lambda: None)())) == "refused"
    first, second = ours._database.entries()
    assert (first.subject, second.subject) == ("theirs", "ours")
    assert second.body["answer"] == {"refused": ["theirs"]}
    assert second.body["judged"] == [1, first.digest]


def test_an_answer_that_others_left_alone_stands_as_it_is(opened):
    ours, theirs = opened(), opened()
    count = itertools.count()

    def far_away() -> None:
        next(count)
        theirs.ask(asking(flight("theirs", 50)))

    assert asked(ours, asking(flight("ours", 0), far_away)) == "granted"
    assert next(count) == 1
    assert ours._database.entries()[1].body["judged"][0] == 0
    assert live(ours) == ["ours", "theirs"]


def test_what_is_stale_again_and_again_is_worked_out_where_nothing_can_change(opened):
    ours, theirs = opened(), opened()
    tries = itertools.count()

    def always_touched() -> None:
        number = next(tries)
        if number < 3:  # at the fourth the log is ours
            wind = Answer({}, Effects(conditions={"wind": None, "layers": []}))
            theirs.ask(dataclasses.replace(asking(flight(f"wind-{number}", 0)), answer=lambda _view: wind, fresh=()))

    assert asked(ours, asking(flight("late", 300), always_touched)) == "granted"
    assert next(tries) == 4


def test_a_request_that_cannot_be_answered_is_remembered_and_raised(opened):
    journal = opened()

    def refuse(_view: View) -> Answer:
        raise StateError("no such thing")

    for at_once in (False, True):
        with pytest.raises(StateError, match="no such thing"):
            journal.ask(Question("state", "x", lambda: {"what": "x"}, 1.0, refuse, at_once))
    said = [entry.body["answer"] for entry in journal._database.entries()]
    assert said == [{"status": "error", "error": {"kind": "StateError", "sentence": "no such thing"}}] * 2


def test_a_fault_in_one_answer_is_no_fault_of_the_others(opened):
    journal = opened()

    def broken(_view: View) -> Answer:
        raise ZeroDivisionError("ours")

    def unwritable(_view: View) -> Answer:
        return Answer({"nan": float("nan")})

    wrong = [Question("state", "x", dict, 1.0, answer) for answer in (broken, unwritable)]
    with journal.writing() as writing:
        group = [asking(flight("a", 0)), *wrong, asking(flight("b", 50)), asking(flight("c", 51))]
        first, *failed, second, third = journal._settle(writing, [(question, None) for question in group])
    assert [type(one) for one in failed] == [ZeroDivisionError, ValueError]
    assert [one[1].result for one in (first, second, third)] == ["granted", "granted", "refused"]
    assert [entry.subject for entry in journal._database.entries()] == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError):
        journal.ask(wrong[0])
    assert asked(journal, asking(flight("d", 100))) == "granted"
    assert live(journal) == live(opened()) == ["a", "b", "d"]


def test_a_name_is_granted_once_for_good(opened):
    ours, theirs = opened(), opened()
    first = flight("a", 0)
    assert asked(ours, asking(first, fresh=("a",))) == "granted"
    theirs.ask(ending(first))
    for journal in (ours, theirs):
        with pytest.raises(StateError, match="a was granted already"):
            journal.ask(asking(flight("a", 100), fresh=("a",)))
    with ours.writing() as writing:
        one, other = ours._settle(writing, [(asking(flight("b", lane), fresh=("b",)), None) for lane in (0, 100)])
    assert one[1].result == "granted"
    assert isinstance(other, StateError)
    assert live(ours) == ["b"]
    assert len(ours._database.entries()) == 3


def test_a_commit_that_fails_leaves_the_picture_as_it_was(opened):
    journal, other = opened(), opened()
    kept = flight("kept", 0)
    journal.ask(asking(kept))
    before = journal.picture.head

    def broken(_connection: object) -> None:
        raise sql.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    sql.event.listen(journal._database._dialect.engine, "commit", broken)
    for question in (asking(flight("lost", 50)), ending(kept)):
        with pytest.raises(StoreError, match="only the log can tell"):
            journal.ask(question)
        assert journal.picture.head == before
        assert set(journal.picture.ends) == {before.digest}
        with journal.picture.view() as view:
            assert view.live() == view.conflicts(kept.corridor)
            assert [one.id for one in view.live()] == ["kept"]
    sql.event.remove(journal._database._dialect.engine, "commit", broken)
    assert asked(other, asking(flight("theirs", 50))) == "granted"
    assert asked(journal, asking(flight("again", 51))) == "refused"
    assert asked(journal, asking(flight("again", 100))) == "granted"
    assert live(journal) == live(other) == ["again", "kept", "theirs"]
    assert not faults(journal._database.entries(), KEY.public)


def test_looking_waits_for_no_group_of_ours(opened):
    journal, other = opened(), opened()
    other.ask(asking(flight("theirs", 0)))
    seen: list[list[str]] = []
    with journal.writing() as writing:
        journal._settle(writing, [(asking(flight("ours", 50)), None)])
        looking = threading.Thread(target=lambda: seen.append(live(journal)))
        looking.start()
        looking.join(LONG_S)
        assert seen == [["theirs"]], "what others wrote shows, what is not durable yet does not"
    assert live(journal) == ["ours", "theirs"]


def test_many_threads_of_two_processes_grant_nothing_that_meets(opened):
    journals = [opened(), opened()]
    rng = np.random.default_rng(1)
    wishes = [
        straight(
            f"f{n}",
            (*rng.uniform(0.0, 1500.0, 2), 50.0),
            (*rng.uniform(0.0, 1500.0, 2), 50.0),
            T0 + float(rng.uniform(0.0, 1000.0)),
        )
        for n in range(80)
    ]
    told: dict[str, str] = {}
    failed: list[BaseException] = []

    def caller(number: int) -> None:
        try:
            for n in range(number, len(wishes), 8):
                told[wishes[n].id] = asked(journals[number % 2], asking(wishes[n], fresh=(wishes[n].id,)))
                if told[wishes[n].id] == "granted" and n % 5 == 0:
                    journals[number % 2].ask(ending(wishes[n]))
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            failed.append(error)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert not failed
    granted = [one for one in wishes if told[one.id] == "granted"]
    ended = {one.id for n, one in enumerate(wishes) if n % 5 == 0}
    left = [one for one in granted if one.id not in ended]
    assert 5 < len(left) < len(wishes) - 5
    assert live(journals[0]) == live(journals[1]) == live(opened()) == sorted(one.id for one in left)
    for a, b in itertools.combinations(left, 2):
        assert not in_conflict(a.corridor.occupied, b.corridor.occupied, *apart(a.corridor, b.corridor, 20.0, 10.0))
    entries = journals[0]._database.entries()
    assert not faults(entries, KEY.public)
    assert {entry.subject for entry in entries if "intents" in entry.body} == {one.id for one in granted}
