"""What an airspace remembers, in SQL: SQLite in a file by default, PostgreSQL by URL.

Everything that changes the airspace goes through :meth:`Database.writing`, as entries of the log; the tables beside the
log follow from what stands in the entries' bodies, in the same transaction. A body's effects stand under the keys
``intents`` (full documents), ``states`` (``{"id", "state", "version", "ovn"}``), ``zones`` (GeoJSON features),
``zones_removed`` (ids), ``conditions`` (a document) and ``map_version``; all else in it is for people and auditors.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from utm.airspace import tables
from utm.airspace.dialects import open_dialect
from utm.airspace.ledger import GENESIS, Draft, Entry, Head, SigningKey, canonical, parsed, seal
from utm.errors import StoreError

Document = dict[str, Any]

#: Entries read at a time, each page in a transaction of its own: a long one would keep SQLite from folding its WAL in.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """The live picture as of one entry of the log."""

    head: Head
    zones: tuple[Document, ...]
    """GeoJSON features, by id."""
    conditions: Document | None
    intents: tuple[tuple[Document, str, int, str], ...]
    """(document, state, version, ovn) of each live intent, by id; the document says the same state, version and OVN."""
    map_version: str = ""
    """The one in force: of the last entry that changed it, else of the airspace's settings."""


class Database:
    """The airspace's memory. Every method is a transaction of its own, and durable when it returns.

    Safe to use from many threads and processes at once. Every method raises StoreError when the database is gone,
    locked for too long, or holds no airspace.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://USER@HOST/NAME``.
        key: what the log is signed with; None to read only.
    """

    def __init__(self, url: str, key: SigningKey | None):
        self._dialect = open_dialect(url)
        self._key = key
        self._key_fits = False

    def close(self) -> None:
        """Give back the connections."""
        self._dialect.close()

    def create(self, settings: Mapping[str, str]) -> None:
        """Make the tables and keep the airspace's settings, the public key among them as ``public_key``."""
        if self._key is None:
            raise StoreError("an airspace cannot be made without the key that its log is signed with")
        self._dialect.make()
        with self._dialect.exclusive() as connection:
            if sql.inspect(connection).has_table("meta"):
                raise StoreError(f"{self._dialect.name} already holds an airspace")
            tables.metadata.create_all(connection)
            rows = {**settings, "schema": tables.SCHEMA, "public_key": self._key.public}
            connection.execute(tables.meta.insert(), [{"key": key, "value": value} for key, value in rows.items()])
            connection.execute(tables.head.insert(), {"id": 1, **_columns(GENESIS)})

    def settings(self) -> dict[str, str]:
        """The airspace's settings, as it was made. Raises StoreError when this is none, or of another version."""
        with self._dialect.snapshot() as connection:
            rows = dict(connection.execute(sql.select(tables.meta.c.key, tables.meta.c.value)).all())
        schema = rows.get("schema", "")
        if schema != tables.SCHEMA:
            older = schema.isdecimal() and int(schema) < int(tables.SCHEMA)
            mend = "make a new airspace with: utm init" if older else "install the skyroad that made it"
            raise StoreError(
                f"{self._dialect.name} holds an airspace of schema {schema!r}, this engine reads {tables.SCHEMA!r}; "
                f"{mend}"
            )
        return {key: value for key, value in rows.items() if key not in (_CONDITIONS, _MAP_IN_FORCE)}

    def head(self) -> Head:
        """The last entry's place, digest and signature; :data:`GENESIS` before the first."""
        return Head(*self._dialect.head())

    def load(self) -> Loaded:
        """The live picture: all of it as of the same entry."""
        with self._dialect.snapshot() as connection:
            head = _head(connection)
            features = connection.execute(sql.select(tables.zones.c.feature).order_by(tables.zones.c.id)).scalars()
            zones = tuple(json.loads(feature) for feature in features)
            meta = dict(connection.execute(sql.select(tables.meta.c.key, tables.meta.c.value)).all())
            rows = connection.execute(sql.select(*_STATE).where(tables.LIVE).order_by(tables.intents.c.id)).all()
            holding = sql.select(tables.intents.c.entry).where(tables.LIVE)
            documents = _documents(connection, holding, rows)
        live = tuple((documents[row.id], row.state, row.version, row.ovn) for row in rows)
        conditions = meta.get(_CONDITIONS)
        in_force = meta.get(_MAP_IN_FORCE, meta.get("map_version", ""))
        return Loaded(head, zones, None if conditions is None else json.loads(conditions), live, in_force)

    def intent(self, intent_id: str) -> Document | None:
        """The present document of an intent, an ended one's too; None where none was ever granted."""
        with self._dialect.snapshot() as connection:
            rows = connection.execute(sql.select(*_STATE).where(tables.intents.c.id == intent_id)).all()
            holding = sql.select(tables.intents.c.entry).where(tables.intents.c.id == intent_id)
            return _documents(connection, holding, rows).get(intent_id)

    def entry_of(self, intent_id: str) -> int | None:
        """The sequence number of the entry that holds the present document of an intent; None where none was ever
        granted."""
        with self._dialect.snapshot() as connection:
            query = sql.select(tables.intents.c.entry).where(tables.intents.c.id == intent_id)
            return connection.execute(query).scalar()

    def intents(self) -> tuple[Document, ...]:
        """The present document of every intent ever granted, by start time."""
        with self._dialect.snapshot() as connection:
            query = sql.select(*_STATE).order_by(tables.intents.c.start_s, tables.intents.c.id)
            rows = connection.execute(query).all()
            documents = _documents(connection, sql.select(tables.intents.c.entry), rows)
        return tuple(documents[row.id] for row in rows)

    def entries(
        self,
        after: int = 0,
        *,
        upto: int | None = None,
        kind: str | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> tuple[Entry, ...]:
        """Entries of the log past ``after``, up to and with ``upto``, oldest first."""
        return tuple(self.stream(after, upto=upto, kind=kind, subject=subject, limit=limit))

    def stream(
        self,
        after: int = 0,
        *,
        upto: int | None = None,
        kind: str | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Entry]:
        """The same, a page at a time: for logs longer than memory."""
        query = sql.select(tables.log).order_by(tables.log.c.seq)
        if upto is not None:
            query = query.where(tables.log.c.seq <= upto)
        if kind is not None:
            query = query.where(tables.log.c.kind == kind)
        if subject is not None:
            query = query.where(tables.log.c.subject == subject)
        while limit is None or limit > 0:
            asked = _PAGE if limit is None else min(limit, _PAGE)
            with self._dialect.snapshot() as connection:
                rows = connection.execute(query.where(tables.log.c.seq > after).limit(asked)).all()
            yield from (Entry(*row) for row in rows)
            if len(rows) < asked:
                return
            after, limit = rows[-1].seq, None if limit is None else limit - asked

    def positions(self) -> dict[str, Document]:
        """The last report of each drone, by intent."""
        with self._dialect.snapshot() as connection:
            rows = connection.execute(sql.select(tables.positions.c.intent_id, tables.positions.c.document)).all()
        return {intent_id: json.loads(text) for intent_id, text in rows}

    def position(self, intent_id: str) -> Document | None:
        """The last report of one drone; None where there is none."""
        query = sql.select(tables.positions.c.document).where(tables.positions.c.intent_id == intent_id)
        with self._dialect.snapshot() as connection:
            text = connection.execute(query).scalar()
        return None if text is None else json.loads(text)

    def put_positions(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the last report of drones; the log does not hold them."""
        # In one order everywhere, or two that write the same drones would wait for each other
        rows = [{"intent_id": key, "document": _text(documents[key])} for key in sorted(documents)]
        if rows:
            with self._dialect.exclusive() as connection:
                self._dialect.put(connection, tables.positions, rows)

    def cursor(self, consumer: str) -> int:
        """How far a consumer of the log has come: the last entry that it is done with, 0 for a new one."""
        query = sql.select(tables.cursors.c.seq).where(tables.cursors.c.consumer == consumer)
        with self._dialect.snapshot() as connection:
            return connection.execute(query).scalar() or 0

    def advance(self, consumer: str, seq: int) -> None:
        """Remember that a consumer is done with all entries up to ``seq``. Raises ValueError to go back, or ahead."""
        with self._dialect.exclusive() as connection:
            query = sql.select(tables.cursors.c.seq).where(tables.cursors.c.consumer == consumer).with_for_update()
            done, end = connection.execute(query).scalar() or 0, _head(connection).seq
            if not done <= seq <= end:
                raise ValueError(f"{consumer} is done up to entry {done} of {end}; it cannot go to {seq}")
            self._dialect.put(connection, tables.cursors, [{"consumer": consumer, "seq": seq}])

    def wait(self, seq: int, timeout_s: float) -> bool:
        """Block until the log goes past ``seq``, at most ``timeout_s``; whether it does."""
        return self._dialect.newer(seq, timeout_s)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """The log's end, held alone: what the block appends is on the disk when it has ended, all or nothing.

        Where the block raises, nothing is written. A StoreError from the end of the block that says so leaves open
        whether it was; the log tells.
        """
        if self._key is None:
            raise StoreError(f"{self._dialect.name} was opened without its signing key: it can only be read")
        with self._dialect.exclusive() as connection:
            head = _head(connection, lock=True)
            if not self._key_fits:
                self._refuse_other_key(connection)
            writing = Writing(connection, head, self._key)
            yield writing
            writing.flush(self._dialect.put)

    def _refuse_other_key(self, connection: Connection) -> None:
        query = sql.select(tables.meta.c.value).where(tables.meta.c.key == "public_key")
        if connection.execute(query).scalar() != self._key.public:
            raise StoreError(
                f"the log in {self._dialect.name} is signed with another key than the one at hand; "
                "give the key that the airspace was made with"
            )
        self._key_fits = True


class Writing:
    """One transaction at the end of the log. Made by :meth:`Database.writing`."""

    def __init__(self, connection: Connection, head: Head, key: SigningKey):
        self.head = head
        """Grows with what is appended."""
        self._connection, self._key, self._found = connection, key, head
        self._entries: list[Entry] = []
        self._intents: dict[str, Document] = {}
        self._states: dict[str, Document] = {}
        self._zones: dict[str, str | None] = {}
        self._meta: dict[str, str] = {}

    def since(self, seq: int) -> tuple[Entry, ...]:
        """What was in the log past ``seq`` when this transaction began; what it appends itself is not among it."""
        if seq >= self._found.seq:
            return ()
        return tuple(Entry(*row) for row in self._connection.execute(_SINCE, {"after": seq}))

    def granted_before(self, ids: Collection[str]) -> set[str]:
        """Which of these ids were ever granted, when this transaction began."""
        if not ids:
            return set()
        return set(self._connection.execute(_AMONG, {"ids": sorted(ids)}).scalars())

    def append(self, draft: Draft) -> Entry:
        """Seal a draft as the next entry. Raises ValueError, with nothing changed, where its body is not as agreed."""
        entry = seal(self.head, draft, self._key)
        body = draft.body
        try:
            rows = [tables.intent_row(document, entry.seq) for document in body.get("intents", ())]
            states = [_state(change) for change in body.get("states", ())]
            removed = {str(zone_id): None for zone_id in body.get("zones_removed", ())}
            zones = {str(feature["properties"]["id"]): _text(feature) for feature in body.get("zones", ())}
            meta = {_CONDITIONS: _text(body["conditions"])} if "conditions" in body else {}
            if "map_version" in body:
                meta[_MAP_IN_FORCE] = str(body["map_version"])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the effects of an entry ({draft.kind}) cannot be read: {error!r}") from error
        for row in rows:
            self._intents[row["id"]] = row
            self._states.pop(row["id"], None)
        for state in states:
            whole = self._intents.get(state["id"])
            if whole is None:
                self._states[state["id"]] = state
            else:
                whole.update(state)
        self._zones |= removed | zones
        self._meta |= meta
        self._entries.append(entry)
        self.head = entry.head
        return entry

    def flush(self, put: Any) -> None:
        """Write what was appended since the last time, in bulk. ``put`` inserts rows or replaces them."""
        if not self._entries:
            return
        run = self._connection.execute
        run(_ADD, [_row(entry) for entry in self._entries])
        if self._intents:
            put(self._connection, tables.intents, list(self._intents.values()))
        if self._states:
            rows = [{f"to_{key}": value for key, value in row.items()} for row in self._states.values()]
            changed = run(_CHANGE_STATE, rows)
            if changed.rowcount != len(self._states):
                raise ValueError(f"not all of these intents were ever granted: {', '.join(sorted(self._states))}")
        removed = [{"gone": zone_id} for zone_id, feature in self._zones.items() if feature is None]
        if removed:
            run(tables.zones.delete().where(tables.zones.c.id == sql.bindparam("gone")), removed)
        kept = [{"id": zone_id, "feature": feature} for zone_id, feature in self._zones.items() if feature is not None]
        if kept:
            put(self._connection, tables.zones, kept)
        if self._meta:
            put(self._connection, tables.meta, [{"key": key, "value": value} for key, value in self._meta.items()])
        run(_SET_HEAD, {f"to_{name}": value for name, value in _columns(self.head).items()})
        for written in (self._entries, self._intents, self._states, self._zones, self._meta):
            written.clear()


#: Rows of ``meta`` that follow the log; the others are the settings.
_CONDITIONS, _MAP_IN_FORCE = "conditions", "map_version_in_force"
_STATE = tuple(tables.intents.c[name] for name in ("id", "state", "version", "ovn", "entry"))
# Statements of every transaction are made once: making one, and its key in the cache, takes longer than running it.
_ADD = tables.log.insert()
_HEAD = sql.select(tables.head.c.seq, tables.head.c.digest, tables.head.c.signature)
_LOCK_HEAD = _HEAD.with_for_update()
_SET_HEAD = tables.head.update().values({name: sql.bindparam(f"to_{name}") for name in ("seq", "digest", "signature")})
_SINCE = sql.select(tables.log).where(tables.log.c.seq > sql.bindparam("after")).order_by(tables.log.c.seq)
_AMONG = sql.select(tables.intents.c.id).where(tables.intents.c.id.in_(sql.bindparam("ids", expanding=True)))
_CHANGE_STATE = (
    tables.intents.update()
    .where(tables.intents.c.id == sql.bindparam("to_id"))
    .values({name: sql.bindparam(f"to_{name}") for name in ("state", "version", "ovn")})
)


def _state(change: Mapping[str, Any]) -> Document:
    return {
        "id": str(change["id"]),
        "state": str(change["state"]),
        "version": int(change["version"]),
        "ovn": str(change["ovn"]),
    }


def _text(document: Any) -> str:
    return canonical(document).decode("ascii")


def _columns(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "digest": head.digest, "signature": head.signature}


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at_s": entry.at_s,
        "kind": entry.kind,
        "subject": entry.subject,
        "body": entry.text,
        "previous": entry.previous,
        "digest": entry.digest,
        "signature": entry.signature,
    }


def _head(connection: Connection, *, lock: bool = False) -> Head:
    row = connection.execute(_LOCK_HEAD if lock else _HEAD).one_or_none()
    if row is None:
        raise StoreError("the log has no head; restore the database from a copy")
    return Head(*row)


def _documents(connection: Connection, holding: sql.Select, rows: Iterable[Any]) -> dict[str, Document]:
    """The documents of the intents in ``rows``, out of the entries whose numbers ``holding`` selects.

    Each entry is read and parsed once, however many intents it holds.
    """
    wanted = {row.id: row for row in rows}
    found: dict[str, Document] = {}
    if not wanted:
        return found
    query = sql.select(tables.log.c.seq, tables.log.c.body).where(tables.log.c.seq.in_(holding))
    for seq, body in connection.execute(query.execution_options(yield_per=_PAGE)):
        for document in parsed(body)["intents"]:
            row = wanted.get(document["id"])
            if row is not None and row.entry == seq:
                found[row.id] = document | {"state": row.state, "version": row.version, "ovn": row.ovn}
    if len(found) != len(wanted):
        lost = sorted(wanted.keys() - found.keys())
        raise StoreError(f"the log does not hold what was granted to {', '.join(lost[:5])}; run: utm audit verify")
    return found
