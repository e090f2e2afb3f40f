"""The tables of an airspace, and what the database itself enforces on them.

``log`` is the truth. ``intents``, ``zones`` and the conditions in ``meta`` follow from it and are written with it, so
that an engine need not read years of log to start; documents of intents stay in the log and are never kept twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sql

#: Of the tables and of what stands in the log's bodies.
SCHEMA = "2"

#: Sequence numbers: 32 bits would last 25 days at a thousand entries a second. SQLite's INTEGER has 64, and only a
#: column of that name is the table's own order.
_Seq = sql.BigInteger().with_variant(sql.Integer(), "sqlite")

metadata = sql.MetaData()

meta = sql.Table(
    "meta",
    metadata,
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)
head = sql.Table(
    "head",
    metadata,
    sql.Column("id", sql.Integer, sql.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    sql.Column("seq", _Seq, nullable=False),
    sql.Column("digest", sql.Text, nullable=False),
    sql.Column("signature", sql.Text, nullable=False),
)
log = sql.Table(
    "log",
    metadata,
    sql.Column("seq", _Seq, primary_key=True, autoincrement=False),
    sql.Column("at_s", sql.Double, nullable=False),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("subject", sql.Text, nullable=False),
    sql.Column("body", sql.Text, nullable=False),
    sql.Column("previous", sql.Text, nullable=False),
    sql.Column("digest", sql.Text, nullable=False),
    sql.Column("signature", sql.Text, nullable=False),
    sql.Index("log_by_kind", "kind", "seq"),
    sql.Index("log_by_subject", "subject", "seq"),
)
intents = sql.Table(
    "intents",
    metadata,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("state", sql.Text, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("ovn", sql.Text, nullable=False),
    sql.Column("start_s", sql.Double, nullable=False),
    sql.Column("end_s", sql.Double, nullable=False),
    sql.Column("entry", _Seq, nullable=False),
    sql.Index("intents_by_start", "start_s", "id"),
)
#: Live intents, in the very words of the index beneath: a bound parameter would leave it unused.
LIVE = sql.text("state <> 'Ended'")
sql.Index("intents_live", intents.c.id, sqlite_where=LIVE, postgresql_where=LIVE)
zones = sql.Table(
    "zones",
    metadata,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("feature", sql.Text, nullable=False),
)
positions = sql.Table(
    "positions",
    metadata,
    sql.Column("intent_id", sql.Text, primary_key=True),
    sql.Column("document", sql.Text, nullable=False),
)
cursors = sql.Table(
    "cursors",
    metadata,
    sql.Column("consumer", sql.Text, primary_key=True),
    sql.Column("seq", _Seq, nullable=False),
)

# Append-only for everybody who has not the right to drop a trigger; who has it is found by the chain. SQLite's
# INSERT OR REPLACE deletes without asking any trigger for deletions, so there an insert must be the next one.
_TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER log_keeps BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END",
        "CREATE TRIGGER log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END",
        "CREATE TRIGGER log_grows BEFORE INSERT ON log WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM log) "
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only and has no gaps'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION utm_log_keeps() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$",
        "CREATE TRIGGER log_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON log "
        "FOR EACH STATEMENT EXECUTE FUNCTION utm_log_keeps()",
        # Whoever waits for news hears of each commit; a trigger spares the writer a round trip under its lock.
        "CREATE FUNCTION utm_log_news() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('utm_log', NEW.seq::text); RETURN NULL; END $$",
        "CREATE TRIGGER log_news AFTER UPDATE ON head FOR EACH ROW EXECUTE FUNCTION utm_log_news()",
    ),
}
for _dialect, _statements in _TRIGGERS.items():
    for _statement in _statements:
        sql.event.listen(metadata, "after_create", sql.DDL(_statement).execute_if(dialect=_dialect))


def intent_row(document: Mapping[str, Any], entry: int) -> dict[str, Any]:
    """The row of ``intents`` for a full document that stands in the log's entry ``entry``.

    ``start_s`` and ``end_s`` bound all that the corridor takes, its pads' holds and the time tolerance included. Raises
    KeyError, TypeError or ValueError where the document is no intent's.
    """
    corridor = document["corridor"]
    margin_s = float(corridor["pad_hold_s"]) + float(corridor["time_tolerance_s"])
    return {
        "id": str(document["id"]),
        "state": str(document["state"]),
        "version": int(document["version"]),
        "ovn": str(document["ovn"]),
        "start_s": float(corridor["t_s"][0]) - margin_s,
        "end_s": float(corridor["t_s"][-1]) + margin_s,
        "entry": entry,
    }
