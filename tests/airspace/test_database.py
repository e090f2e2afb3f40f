"""The airspace's memory, the same in SQLite and PostgreSQL: what is written, what is read, what is left of a crash."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from tests.airspace.postgres import Server
from tests.airspace.writer import other_process, told
from utm.airspace import database as module
from utm.airspace import dialects, tables
from utm.airspace.database import Database, Loaded
from utm.airspace.ledger import GENESIS, Draft, SigningKey, faults
from utm.errors import StoreError

KEY = SigningKey.generate()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty airspace."""
    made = Database(database_url, KEY)
    made.create({"map_version": "m1", "hello": "空"})
    yield made
    made.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    KEY.save(tmp_path / "key")
    return tmp_path / "key"


def document(intent_id: str, start_s: float = 100.0, **changes: Any) -> dict[str, Any]:
    """As much of an intent's document as the database reads."""
    times = [start_s, start_s + 33.3]
    corridor = {"t_s": times, "enu_m": [[0.1, 0, 0], [1, 1, 1]], "pad_hold_s": 60.0, "time_tolerance_s": 10.0}
    return {"id": intent_id, "state": "Accepted", "version": 1, "ovn": f"{intent_id}-1", "corridor": corridor} | changes


def state(intent_id: str, name: str, version: int = 2) -> dict[str, Any]:
    return {"id": intent_id, "state": name, "version": version, "ovn": f"{intent_id}-{version}"}


def zone(zone_id: str, name: str = "") -> dict[str, Any]:
    return {"type": "Feature", "properties": {"id": zone_id, "name": name}, "geometry": None}


def write(database: Database, *bodies: dict[str, Any], kind: str = "test", subject: str = "s") -> int:
    with database.writing() as writing:
        for body in bodies:
            writing.append(Draft(1.5, kind, subject, body))
    return database.head().seq


# --- what is written and read --------------------------------------------------------------------------------


def test_an_empty_airspace(database):
    assert database.settings() == {"map_version": "m1", "hello": "空", "schema": "2", "public_key": KEY.public}
    assert database.head() == GENESIS
    assert database.load() == Loaded(GENESIS, (), None, (), "m1")
    assert database.entries() == ()
    assert database.intent("a") is None
    assert database.intents() == ()
    assert database.positions() == {}


def test_there_is_one_airspace_in_a_database(database, database_url):
    write(database, {})
    with contextlib.closing(Database(database_url, KEY)) as second, pytest.raises(StoreError, match="already holds"):
        second.create({})
    assert database.head().seq == 1


def test_what_is_appended_is_what_is_read(database):
    with database.writing() as writing:
        assert writing.head == GENESIS
        first = writing.append(Draft(1.5, "plan", "a", {"名": [0.1, {"x": None}]}))
        second = writing.append(Draft(2, "state", "b'; drop table log", {}))
        assert writing.head == second.head
    assert database.entries() == (first, second)
    assert database.entries()[0].body == {"名": [0.1, {"x": None}]}
    assert database.head() == second.head
    assert faults(database.entries(), KEY.public, head=database.head()) == []


def test_every_float_keeps_its_bits_on_the_way(database):
    rng = random.Random(5)
    floats = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(300)]
    floats = [value for value in floats if abs(value) < float("inf")] + [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
    with database.writing() as writing:
        for value in floats:
            writing.append(Draft(value, "test", "float", {"x": value}))
    read = database.entries()
    assert [struct.pack("<dd", entry.at_s, entry.body["x"]) for entry in read] == [
        struct.pack("<dd", value + 0.0, value)
        for value in floats  # the time of an entry has no negative zero
    ]
    assert faults(read, KEY.public, head=database.head()) == []


def test_entries_are_chosen_by_place_kind_and_subject(database, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 3)  # so that a page ends before, at and after the last entry
    for number in range(9):
        write(database, {"n": number}, kind="even" if number % 2 == 0 else "odd", subject=f"s{number % 3}")

    def seqs(*args: Any, **how: Any) -> list[int]:
        assert list(database.stream(*args, **how)) == list(database.entries(*args, **how))
        return [entry.seq for entry in database.entries(*args, **how)]

    assert seqs() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert seqs(4) == [5, 6, 7, 8, 9]
    assert seqs(4, upto=6) == [5, 6]
    assert seqs(9) == seqs(50) == seqs(limit=0) == []
    assert seqs(kind="odd") == [2, 4, 6, 8]
    assert seqs(subject="s0") == [1, 4, 7]
    assert seqs(kind="odd", subject="s0", after=1) == [4]
    assert seqs(limit=4) == [1, 2, 3, 4]
    assert seqs(2, limit=3) == [3, 4, 5]
    assert seqs(limit=99) == seqs()


def test_effects_reach_the_live_picture(database):
    write(
        database,
        {
            "intents": [document("b"), document("a", 50.0)],
            "zones": [zone("z2"), zone("z1")],
            "conditions": {"wind": 1.5},
        },
        {"states": [state("a", "Activated")]},
    )
    loaded = database.load()
    assert loaded.head == database.head()
    assert loaded.zones == (zone("z1"), zone("z2"))
    assert loaded.conditions == {"wind": 1.5}
    assert loaded.map_version == "m1"
    a, b = document("a", 50.0, **state("a", "Activated")), document("b")
    assert loaded.intents == ((a, "Activated", 2, "a-2"), (b, "Accepted", 1, "b-1"))
    write(database, {"states": [state("b", "Ended")], "zones_removed": ["z1"], "zones": [zone("z2", "renamed")]})
    write(database, {"conditions": {}, "map_version": "m2"})
    loaded = database.load()
    assert [found["id"] for found, *_ in loaded.intents] == ["a"]
    assert loaded.zones == (zone("z2", "renamed"),)
    assert loaded.conditions == {}
    assert loaded.map_version == "m2"
    assert database.settings()["map_version"] == "m1"  # as it was made
    assert database.intent("b") == document("b", **state("b", "Ended"))
    assert database.intents() == (a, document("b", **state("b", "Ended")))


def test_the_hours_of_an_intent_hold_its_pads_and_tolerance(database):
    write(database, {"intents": [document("a", 1000.0)]})
    with database._dialect.snapshot() as connection:
        row = connection.execute(sql.select(tables.intents)).one()
    assert (row.start_s, row.end_s, row.entry) == (1000.0 - 70.0, 1033.3 + 70.0, 1)


def twin(entries: list[dict[str, Any]]) -> tuple[Any, ...]:
    """What the live picture is, the slow way: body after body, in words of its own."""
    intents: dict[str, Any] = {}
    zones: dict[str, Any] = {}
    conditions, version = None, "m1"
    for body in entries:
        for one in body.get("intents", []):
            intents[one["id"]] = one
        for one in body.get("states", []):
            intents[one["id"]] = {**intents[one["id"]], **one}
        for one in body.get("zones_removed", []):
            zones.pop(one, None)
        for one in body.get("zones", []):
            zones[one["properties"]["id"]] = one
        conditions, version = body.get("conditions", conditions), body.get("map_version", version)
    return intents, zones, conditions, version


@pytest.mark.parametrize("seed", range(3))
def test_the_picture_is_what_the_log_says_however_it_was_grouped(database, seed):
    rng, written, known = random.Random(seed), [], set()
    for _ in range(40):
        with database.writing() as writing:
            for _ in range(rng.randint(0, 4)):
                body: dict[str, Any] = {}
                if rng.random() < 0.5:
                    named = rng.sample("abcdef", rng.randint(1, 3))
                    body["intents"] = [document(name, rng.uniform(0, 99), version=rng.randint(1, 9)) for name in named]
                    known |= set(named)
                if known and rng.random() < 0.6:
                    named = rng.sample(sorted(known), rng.randint(1, min(3, len(known))))
                    body["states"] = [
                        state(name, rng.choice(["Activated", "Ended", "Contingent"]), rng.randint(2, 99))
                        for name in named
                    ]
                if rng.random() < 0.3:
                    body["zones"] = [zone(rng.choice("xyz"), str(rng.random()))]
                if rng.random() < 0.3:
                    body["zones_removed"] = [rng.choice("xyz")]
                if rng.random() < 0.1:
                    body |= {"conditions": {"n": rng.random()}, "map_version": str(rng.random())}
                writing.append(Draft(rng.random(), "test", "s", body))
                written.append(body)
        intents, zones, conditions, version = twin(written)
        loaded = database.load()
        live = [intents[name] for name in sorted(intents) if intents[name]["state"] != "Ended"]
        assert [found for found, *_ in loaded.intents] == live
        assert [tuple(rest) for _, *rest in loaded.intents] == [(i["state"], i["version"], i["ovn"]) for i in live]
        assert loaded.zones == tuple(zones[name] for name in sorted(zones))
        assert (loaded.conditions, loaded.map_version, loaded.head.seq) == (conditions, version, len(written))
    every = sorted(intents.values(), key=lambda one: (one["corridor"]["t_s"][0], one["id"]))
    assert list(database.intents()) == every
    assert [database.intent(name) for name in "abcdef"] == [intents.get(name) for name in "abcdef"]
    assert [entry.body for entry in database.entries()] == written
    assert faults(database.entries(), KEY.public, head=database.head()) == []


def test_a_writer_sees_what_others_wrote_and_not_its_own(database, database_url):
    write(database, {"n": 1}, {"n": 2})
    with contextlib.closing(Database(database_url, KEY)) as other:
        write(other, {"n": 3})
    with database.writing() as writing:
        assert [entry.body["n"] for entry in writing.since(1)] == [2, 3]
        writing.append(Draft(1.0, "test", "s", {"n": 4}))
        assert [entry.body["n"] for entry in writing.since(0)] == [1, 2, 3]
        assert writing.since(3) == writing.since(4) == ()


# --- what is refused leaves nothing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"intents": [{"id": "a"}]},
        {"intents": [document("a") | {"corridor": {}}]},
        {"intents": [document("ok"), document("a", version="one")]},
        {"states": [{"id": "a"}]},
        {"zones": [{}]},
        {"intents": 5},
        {"x": float("nan")},
    ],
    ids=["no corridor", "empty corridor", "version", "state", "zone", "number", "NaN"],
)
def test_a_body_that_is_not_as_agreed_fails_alone(database, body):
    with database.writing() as writing:
        before = writing.append(Draft(1.0, "test", "s", {"n": 1}))
        with pytest.raises(ValueError):
            writing.append(Draft(1.0, "test", "s", body))
        assert writing.head == before.head
        writing.append(Draft(1.0, "test", "s", {"n": 2}))
    assert [entry.body for entry in database.entries()] == [{"n": 1}, {"n": 2}]
    assert database.intents() == ()
    assert faults(database.entries(), KEY.public, head=database.head()) == []


def test_a_block_that_raises_writes_nothing(database):
    write(database, {"intents": [document("a")]})
    before = database.load()

    def spoiled() -> None:
        with database.writing() as writing:
            writing.append(Draft(1.0, "test", "s", {"intents": [document("b")], "conditions": {"x": 1}}))
            raise KeyError("changed my mind")

    with pytest.raises(KeyError, match="changed my mind"):
        spoiled()
    assert database.load() == before
    assert write(database, {}) == 2


def test_a_state_of_an_intent_that_was_never_granted_writes_nothing(database):
    write(database, {"intents": [document("a")]})
    before = database.load()
    with pytest.raises(ValueError, match="ghost"):
        write(database, {"states": [state("a", "Ended")]}, {"states": [state("ghost", "Ended")]})
    assert database.load() == before


def test_a_commit_that_fails_says_that_only_the_log_can_tell(database):
    def broken(_connection: object) -> None:
        raise sql.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    sql.event.listen(database._dialect.engine, "commit", broken)
    with pytest.raises(StoreError, match=r"disk I/O error; only the log can tell"):
        write(database, {})
    sql.event.remove(database._dialect.engine, "commit", broken)
    assert database.head() == GENESIS
    assert write(database, {}) == 1


# --- append-only, for everybody ------------------------------------------------------------------------------


def test_nobody_edits_the_log_by_accident(database):
    write(database, {"n": 1}, {"n": 2})
    kept = database.entries()
    statements = ["UPDATE log SET body = '{}' WHERE seq = 1", "DELETE FROM log WHERE seq = 2", "DELETE FROM log"]
    row = "(seq, at_s, kind, subject, body, previous, digest, signature) VALUES ({}, 1, '', '', '{{}}', '', '', '')"
    if database._dialect.engine.dialect.name == "sqlite":
        statements += [f"INSERT OR REPLACE INTO log {row.format(1)}", f"INSERT INTO log {row.format(4)}"]
    else:
        statements += ["TRUNCATE log", f"INSERT INTO log {row.format(1)} ON CONFLICT (seq) DO UPDATE SET kind = 'x'"]
    for statement in statements:
        with database._dialect.engine.connect() as connection, pytest.raises(sql.exc.DBAPIError, match="append-only"):
            connection.execute(sql.text(statement))
    assert database.entries() == kept


# --- others at the same time ---------------------------------------------------------------------------------


def test_reads_do_not_wait_for_a_writer_and_see_what_was_there_before(database):
    write(database, {"intents": [document("a")], "zones": [zone("z")]})
    before, settings = database.load(), database.settings()
    with database.writing() as writing:
        writing.append(Draft(1.0, "test", "s", {"states": [state("a", "Ended")], "zones_removed": ["z"]}))
        writing.flush(database._dialect.put)
        assert database.load() == before
        assert database.settings() == settings
        assert database.head() == before.head
        assert len(database.entries()) == 1
        assert database.intent("a") == document("a")
        assert database.wait(1, 0.0) is False
    assert database.load().intents == ()
    assert database.wait(1, 0.0) is True


def test_two_processes_and_two_threads_write_one_chain(database, database_url, key_file):
    with (
        other_process(database_url, key_file, "append", "one") as (_, one),
        other_process(database_url, key_file, "append", "two") as (_, two),
    ):
        assert [pipe.recv() for pipe in (one, two)] == ["ready", "ready"]
        threads = [
            threading.Thread(target=lambda: [write(database, {}, subject="us") for _ in range(20)]) for _ in "ab"
        ]
        for pipe in (one, two):
            pipe.send("go")
        for thread in threads:
            thread.start()
        said = {name: list(told(pipe)) for name, pipe in (("one", one), ("two", two))}
        for thread in threads:
            thread.join()
    entries = database.entries()
    assert faults(entries, KEY.public, head=database.head()) == []
    assert len(entries) == 120
    for name, seqs in said.items():
        assert [entry.seq for entry in entries if entry.subject == name] == seqs
        assert len(seqs) == 40


def test_a_writer_killed_before_it_committed_leaves_nothing_and_holds_nobody_up(database, database_url, key_file):
    write(database, {"conditions": {"from": "us"}})
    before = database.load()
    with other_process(database_url, key_file, "hold") as (process, pipe):
        assert pipe.recv() == "holding"
        assert database.load() == before
        process.kill()
        assert write(database, {}) == 2
    assert database.load().conditions == {"from": "us"}
    assert faults(database.entries(), KEY.public, head=database.head()) == []


@pytest.mark.parametrize("acknowledged", [1, 7])
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_acknowledged(
    database, database_url, key_file, acknowledged
):
    with other_process(database_url, key_file, "forever") as (process, pipe):
        said = [pipe.recv() for _ in range(acknowledged)]
        process.kill()
        said += told(pipe)
    entries = database.entries()
    assert said[-1] <= len(entries) <= said[-1] + 2  # one more pair may have been written before it could say so
    assert len(entries) % 2 == 0  # never half a transaction
    assert faults(entries, KEY.public, head=database.head()) == []
    assert write(database, {}) == len(entries) + 1


def test_a_writer_that_stopped_while_it_held_the_lock_is_named_after_a_while(
    database, database_url, key_file, monkeypatch
):
    monkeypatch.setattr(dialects, "PATIENCE_S", 1.0)
    with (
        other_process(database_url, key_file, "hold") as (_, pipe),
        contextlib.closing(Database(database_url, KEY)) as impatient,
    ):
        assert pipe.recv() == "holding"
        with pytest.raises(StoreError, match=r"was locked by others for 1 s|lock timeout"):
            write(impatient, {})
        pipe.send("go on")
        assert list(told(pipe)) == []
        assert write(impatient, {}) == 2


# --- news ----------------------------------------------------------------------------------------------------


def test_waiting_ends_with_the_next_commit(database, database_url):
    write(database, {})
    assert database.wait(0, 0.0) is True
    assert database.wait(1, 0.05) is False
    heard: list[tuple[bool, int]] = []
    with contextlib.closing(Database(database_url, None)) as listener:
        for number in (1, 2, 3):
            thread = threading.Thread(
                target=lambda n=number: heard.append((listener.wait(n, 60.0), listener.head().seq))
            )
            thread.start()
            write(database, {})
            thread.join()
    assert heard == [(True, 2), (True, 3), (True, 4)]


def test_a_transaction_that_writes_nothing_new_wakes_nobody(database, database_url):
    with contextlib.closing(Database(database_url, None)) as listener:
        threads = [threading.Thread(target=database.put_positions, args=({"a": {"n": n}},)) for n in range(3)]
        for thread in threads:
            thread.start()
        assert listener.wait(0, 0.2) is False
        for thread in threads:
            thread.join()


def test_each_consumer_of_the_log_knows_how_far_it_came(database, database_url):
    write(database, {}, {}, {})
    assert database.cursor("monitor") == 0
    database.advance("monitor", 2)
    database.advance("fly", 1)
    database.advance("monitor", 2)
    with contextlib.closing(Database(database_url, None)) as other:
        assert (other.cursor("monitor"), other.cursor("fly")) == (2, 1)
    for seq in (1, 4, -1):
        with pytest.raises(ValueError, match="monitor is done up to entry 2 of 3"):
            database.advance("monitor", seq)
    assert database.cursor("monitor") == 2


def test_the_last_report_of_each_drone_is_kept(database):
    database.put_positions({})
    database.put_positions({"b": {"n": 1}, "a": {"n": 2}})
    database.put_positions({"a": {"n": 3, "at": [0.1, None]}})
    assert database.positions() == {"a": {"n": 3, "at": [0.1, None]}, "b": {"n": 1}}
    with pytest.raises(ValueError):
        database.put_positions({"a": {"n": float("nan")}})
    assert database.head() == GENESIS


# --- whatever is wrong is a sentence -------------------------------------------------------------------------


def test_who_has_no_key_or_another_reads_and_cannot_write(database, database_url):
    write(database, {})
    for key, sentence in ((None, "without its signing key"), (SigningKey.generate(), "signed with another key")):
        with contextlib.closing(Database(database_url, key)) as other:
            assert other.head() == database.head()
            with pytest.raises(StoreError, match=sentence):
                write(other, {})
    assert database.head().seq == 1
    with (
        contextlib.closing(Database(database_url, None)) as other,
        pytest.raises(StoreError, match="without the key"),
    ):
        other.create({})


def test_an_empty_database_holds_no_airspace(database_url):
    with contextlib.closing(Database(database_url, KEY)) as empty:
        if database_url.startswith("sqlite"):
            empty._dialect.make()
        for ask in (empty.settings, empty.load, empty.head, lambda: write(empty, {}), lambda: empty.wait(0, 0.0)):
            with pytest.raises(StoreError, match="holds no airspace; make one with: utm init"):
                ask()


@pytest.mark.parametrize(("schema", "mend"), [("1", "utm init"), ("3", "install the skyroad"), ("new", "install")])
def test_an_airspace_of_another_schema_is_refused(database, schema, mend):
    with database._dialect.exclusive() as connection:
        connection.execute(tables.meta.update().where(tables.meta.c.key == "schema").values(value=schema))
    with pytest.raises(StoreError, match=f"schema '{schema}', this engine reads '2'; .*{mend}"):
        database.settings()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "is no database URL"),
        ("", "is no database URL"),
        ("mysql://host/name", "lives in SQLite or PostgreSQL"),
        ("postgresql://host/name", r"postgresql\+psycopg://"),
        ("sqlite://", "a file of its own"),
        ("sqlite:///:memory:", "a file of its own"),
        ("sqlite:///file:x?mode=memory&uri=true", "a file of its own"),
    ],
)
def test_a_url_that_cannot_be_used_says_what_to_write(url, sentence):
    with pytest.raises(StoreError, match=sentence):
        Database(url, KEY)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"psycopg, which does not load here .*skyroad\[postgresql\]"):
        Database("postgresql+psycopg://host/name", KEY)


def test_an_unreachable_server_and_a_missing_database_are_sentences(postgresql, tmp_path):
    for url in (
        f"postgresql+psycopg://nobody:secret@/none?host={tmp_path}",
        "postgresql+psycopg://nobody:secret@127.0.0.1:1/none",
        postgresql().replace("/airspace", "/no-airspace"),
    ):
        with contextlib.closing(Database(url, KEY)) as gone, pytest.raises(StoreError, match="does not answer") as said:
            gone.settings()
        assert "secret" not in str(said.value)
        assert "\n" not in str(said.value)


def test_sqlite_without_its_file_is_a_sentence_and_makes_none(tmp_path):
    url = f"sqlite:///{tmp_path / 'airspace.db'}"
    with contextlib.closing(Database(url, KEY)) as gone:
        for ask in (gone.settings, gone.load, lambda: write(gone, {}), lambda: gone.wait(0, 1.0)):
            with pytest.raises(StoreError, match="there is no database"):
                ask()
    assert list(tmp_path.iterdir()) == []
    with (
        contextlib.closing(Database(f"sqlite:///{tmp_path}/no/airspace.db", KEY)) as nowhere,
        pytest.raises(StoreError, match="cannot be made: No such file or directory"),
    ):
        nowhere.create({})


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "airspace.db").write_text("no database, but long enough to be looked at " * 100)
    with (
        contextlib.closing(Database(f"sqlite:///{tmp_path}/airspace.db", KEY)) as garbage,
        pytest.raises(StoreError, match="not a database"),
    ):
        garbage.settings()


def test_an_sqlite_that_is_taken_away_or_replaced_is_not_written_to_any_more(tmp_path):
    file = tmp_path / "airspace.db"
    with contextlib.closing(Database(f"sqlite:///{file}", KEY)) as database:
        database.create({})
        write(database, {})
        file.rename(tmp_path / "elsewhere.db")
        for ask in (lambda: write(database, {}), database.load, lambda: database.wait(1, 5.0)):
            with pytest.raises(StoreError, match="is gone; put it back"):
                ask()
        file.touch()
        with pytest.raises(StoreError, match="was replaced"):
            write(database, {})
        (tmp_path / "elsewhere.db").rename(file)
        assert write(database, {}) == 2


def test_sqlite_syncs_every_commit_and_keeps_a_wal(tmp_path):
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/airspace.db", KEY)) as database:
        database.create({})
        with database._dialect.exclusive() as connection:
            ask = connection.exec_driver_sql
            assert ask("PRAGMA synchronous").scalar() == 2  # FULL
            assert ask("PRAGMA journal_mode").scalar() == "wal"


def test_postgresql_syncs_every_commit_whatever_the_server_says(postgresql):
    url = postgresql()
    with contextlib.closing(Database(url, KEY)) as database:
        database.create({})
        name = sql.make_url(url).database
        with database._dialect.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with contextlib.closing(Database(url, KEY)) as database, database._dialect.exclusive() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW fsync").scalar() == "on"


def test_what_is_searched_for_is_indexed(tmp_path):
    """In SQLite, whose planner needs no statistics to be asked."""
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/airspace.db", KEY)) as database:
        database.create({})
        asked: list[str] = []
        sql.event.listen(
            database._dialect.engine, "before_cursor_execute", lambda *about: asked.append((about[2], about[3]))
        )
        write(database, {"intents": [document("a")]}, {"states": [state("a", "Activated")]})
        database.load(), database.intent("a"), database.intents(), database.cursor("c")
        database.entries(1, kind="k"), database.entries(1, subject="s"), database.entries(1)
    with contextlib.closing(sqlite3.connect(tmp_path / "airspace.db")) as plain:
        plans = {
            statement: [line[3] for line in plain.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked
            if statement.startswith(("SELECT", "UPDATE", "DELETE")) and isinstance(parameters, tuple)
        }
    every = ("FROM head", "FROM zones", "FROM meta")  # read whole, and small
    scans = {
        statement: plan
        for statement, plan in plans.items()
        if any(line.startswith("SCAN") and "INDEX" not in line for line in plan)
        and not any(e in statement for e in every)
    }
    # Every intent ever granted is every entry that holds one: a scan of the narrow table of intents
    assert [statement for statement in scans if "state" in statement or "log.kind =" in statement] == []
    assert any("intents_live" in line for plan in plans.values() for line in plan)
    assert any("log_by_kind" in line for plan in plans.values() for line in plan)
    assert any("log_by_subject" in line for plan in plans.values() for line in plan)


@pytest.fixture
def fragile(postgresql_server) -> Iterator[Server]:
    """The session's server, for a test that may crash it."""
    yield postgresql_server
    postgresql_server.start()


def test_a_server_that_crashes_and_comes_back_is_written_to_again(fragile):
    with contextlib.closing(Database(fragile.fresh(), KEY)) as database:
        database.create({})
        write(database, {"n": 1})
        heard: list[object] = []

        def listen() -> None:
            try:
                heard.append(database.wait(1, 60.0))
            except StoreError as error:
                heard.append(error)

        thread = threading.Thread(target=listen)
        thread.start()

        def crash() -> None:
            with database.writing() as writing:
                writing.append(Draft(1.0, "test", "s", {"n": 2}))
                fragile.stop(crash=True)

        with pytest.raises(StoreError):
            crash()
        thread.join()
        assert isinstance(heard[0], StoreError)
        with pytest.raises(StoreError, match="does not answer"):
            database.load()
        fragile.start()
        assert [entry.body for entry in database.entries()] == [{"n": 1}]
        assert write(database, {"n": 3}) == 2
        assert faults(database.entries(), KEY.public, head=database.head()) == []


def test_what_the_log_holds_is_text_that_anybody_reads(database):
    write(database, {"名": 1.5})
    with database._dialect.snapshot() as connection:
        (text,) = connection.execute(sql.select(tables.log.c.body)).one()
    assert text == '{"\\u540d":1.5}'
    assert json.loads(text) == {"名": 1.5}
