"""What an airspace remembers, in SQL: SQLite in a file by default, any SQLAlchemy URL otherwise.

One rule keeps concurrent processes honest: whoever writes presents the revision that its decision was made on. A write
against an older revision is refused with ``Stale``, and the caller decides again on what is true now.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from utm.airspace.documents import parse_plan, parse_zones, plan_document, zone_feature
from utm.errors import StoreError, UtmError
from utm.model import Corridor, GeoZone, IntentState, OperationalIntent, Trajectory, Tube, Volume4D

_SCHEMA = "1"

_metadata = sql.MetaData()
_meta = sql.Table(
    "meta",
    _metadata,
    sql.Column("key", sql.String, primary_key=True),
    sql.Column("value", sql.String, nullable=False),
)
_zones = sql.Table(
    "zones",
    _metadata,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("feature", sql.JSON, nullable=False),
)
_intents = sql.Table(
    "intents",
    _metadata,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("state", sql.String, nullable=False, index=True),
    sql.Column("start_s", sql.Double, nullable=False),
    sql.Column("end_s", sql.Double, nullable=False),
    sql.Column("document", sql.JSON, nullable=False),
)
_events = sql.Table(
    "events",
    _metadata,
    sql.Column("seq", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("at_s", sql.Double, nullable=False),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("subject", sql.String, nullable=False, index=True),
    sql.Column("document", sql.JSON, nullable=False),
)
_positions = sql.Table(
    "positions",
    _metadata,
    sql.Column("intent_id", sql.String, primary_key=True),
    sql.Column("document", sql.JSON, nullable=False),
)


class Stale(UtmError):
    """Somebody wrote meanwhile; the decision must be made again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One line of the airspace's log."""

    seq: int
    at_s: float
    kind: str
    """``decision``, ``state``, ``zone-added``, ``zone-removed``, ``conditions``."""
    subject: str
    """Id of the plan, intent or zone."""
    document: Mapping[str, Any]


class Store:
    """The airspace's memory. Every method is one transaction, durable when it returns."""

    def __init__(self, url: str):
        self.url = url
        try:
            self._engine = sql.create_engine(url)
        except sql.exc.ArgumentError as error:  # no URL, or a kind of database that SQLAlchemy does not know
            raise StoreError(f"the database URL cannot be used: {error}") from error
        except ModuleNotFoundError as error:
            raise StoreError(f"the database needs Python's package {error.name}; install it beside skyroad") from error
        if self._engine.dialect.name == "sqlite":
            sql.event.listen(self._engine, "connect", _sqlite_settings)
            sql.event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sql.exc.OperationalError as error:
            raise StoreError(f"the database does not answer: {error.orig}") from error
        except sql.exc.SQLAlchemyError as error:
            said = getattr(error, "orig", None) or error
            raise StoreError(f"{self._engine.url.render_as_string()} does not hold an airspace: {said}") from error

    def create(self, settings: Mapping[str, str]) -> None:
        """Make the tables and keep the airspace's settings. Raises StoreError when an airspace is there already."""
        with self._transaction() as connection:
            if sql.inspect(connection).has_table("meta"):
                raise StoreError(f"{self._engine.url.render_as_string()} already holds an airspace")
            _metadata.create_all(connection)
            rows = {**settings, "schema": _SCHEMA, "revision": "0"}
            connection.execute(_meta.insert(), [{"key": key, "value": value} for key, value in rows.items()])

    def settings(self) -> dict[str, str]:
        """The airspace's settings. Raises StoreError when this is no airspace, or one of another version."""
        with self._transaction() as connection:
            if not sql.inspect(connection).has_table("meta"):
                raise StoreError(f"{self._engine.url.render_as_string()} does not hold an airspace; make one: utm init")
            rows = dict(connection.execute(sql.select(_meta.c.key, _meta.c.value)).all())
        if rows.get("schema") != _SCHEMA:
            raise StoreError(f"the airspace has schema {rows.get('schema')}, this engine reads {_SCHEMA}")
        return rows

    def conditions(self) -> dict[str, Any] | None:
        """The document of the conditions; None where none were ever set."""
        with self._transaction() as connection:
            query = sql.select(_meta.c.value).where(_meta.c.key == "conditions")
            text = connection.execute(query).scalar_one_or_none()
        return None if text is None else json.loads(text)

    def situation(self) -> tuple[int, tuple[GeoZone, ...], tuple[OperationalIntent, ...]]:
        """(revision, zones, live intents), each ordered by id.

        The revision is read first: whatever is written while the rest is read makes it old, and a decision on a mixed
        look is refused as stale, on databases too that show each statement the newest state (PostgreSQL).
        """
        with self._transaction() as connection:
            revision = self._revision(connection)
            features = connection.execute(sql.select(_zones.c.feature).order_by(_zones.c.id)).scalars().all()
            documents = (
                connection.execute(
                    sql.select(_intents.c.document)
                    .where(_intents.c.state != str(IntentState.ENDED))
                    .order_by(_intents.c.id)
                )
                .scalars()
                .all()
            )
        zones = parse_zones({"type": "FeatureCollection", "features": features}) if features else ()
        return revision, zones, tuple(intent_from(document) for document in documents)

    def intents(self) -> tuple[OperationalIntent, ...]:
        """Every intent ever granted, by start time."""
        with self._transaction() as connection:
            query = sql.select(_intents.c.document).order_by(_intents.c.start_s, _intents.c.id)
            documents = connection.execute(query).scalars().all()
        return tuple(intent_from(document) for document in documents)

    def intent(self, intent_id: str) -> OperationalIntent | None:
        """One intent, or None."""
        with self._transaction() as connection:
            query = sql.select(_intents.c.document).where(_intents.c.id == intent_id)
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else intent_from(document)

    def events(self, after: int = 0, kind: str | None = None, subject: str | None = None) -> tuple[Event, ...]:
        """The log from a sequence number on (exclusive), oldest first."""
        query = sql.select(_events).where(_events.c.seq > after).order_by(_events.c.seq)
        if kind is not None:
            query = query.where(_events.c.kind == kind)
        if subject is not None:
            query = query.where(_events.c.subject == subject)
        with self._transaction() as connection:
            return tuple(Event(*row) for row in connection.execute(query).all())

    def positions(self) -> dict[str, dict[str, Any]]:
        """The last reported position of each intent."""
        with self._transaction() as connection:
            return dict(connection.execute(sql.select(_positions.c.intent_id, _positions.c.document)).all())

    def record(
        self,
        at_s: float,
        kind: str,
        subject: str,
        document: Mapping[str, Any],
        *,
        revision: int | None = None,
        intent: OperationalIntent | None = None,
        zones: tuple[GeoZone, ...] = (),
        removed_zone: str | None = None,
        conditions: Mapping[str, Any] | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one event with what it changed, all or nothing.

        Args:
            revision: the revision that the change was decided on; None for an event that changes nothing others
                are judged against.

        Raises:
            Stale: the revision is no longer the present one; nothing was written.
        """
        with self._transaction() as connection:
            if revision is not None:
                changed = connection.execute(
                    sql.update(_meta)
                    .where(_meta.c.key == "revision", _meta.c.value == str(revision))
                    .values(value=str(revision + 1))
                )
                if changed.rowcount != 1:
                    raise Stale(f"revision {revision} is no longer the present one")
            if intent is not None:
                _put(
                    connection,
                    _intents,
                    {
                        "id": intent.id,
                        "state": str(intent.state),
                        "start_s": intent.corridor.centre_line.start_s,
                        "end_s": intent.corridor.centre_line.end_s,
                        "document": intent_document(intent),
                    },
                )
            for zone in zones:
                _put(connection, _zones, {"id": zone.id, "feature": zone_feature(zone)})
            if removed_zone is not None:
                connection.execute(sql.delete(_zones).where(_zones.c.id == removed_zone))
            if conditions is not None:
                _put(connection, _meta, {"key": "conditions", "value": json.dumps(conditions)})
            if position is not None:
                _put(connection, _positions, {"intent_id": subject, "document": dict(position)})
            else:
                row = {"at_s": at_s, "kind": kind, "subject": subject, "document": dict(document)}
                connection.execute(_events.insert(), row)

    @staticmethod
    def _revision(connection: Connection) -> int:
        return int(connection.execute(sql.select(_meta.c.value).where(_meta.c.key == "revision")).scalar_one())


def _sqlite_settings(connection, _record) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event says BEGIN IMMEDIATE itself
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _put(connection: Connection, table: sql.Table, row: Mapping[str, Any]) -> None:
    """Insert, or replace the row of the same primary key."""
    key = next(iter(table.primary_key.columns))
    changed = connection.execute(sql.update(table).where(key == row[key.name]).values(**row))
    if changed.rowcount == 0:
        connection.execute(table.insert().values(**row))


def intent_document(intent: OperationalIntent) -> dict[str, Any]:
    """An intent as JSON that loses nothing: floats are written so that they read back the same."""
    line = intent.corridor.centre_line
    return {
        "id": intent.id,
        "plan": plan_document(intent.plan),
        "plan_times_s": [intent.plan.earliest_departure_s, intent.plan.latest_departure_s],
        "state": str(intent.state),
        "version": intent.version,
        "ovn": intent.ovn,
        "corridor": {
            "t_s": line.t_s.tolist(),
            "enu_m": line.enu_m.tolist(),
            "half_width_m": intent.corridor.half_width_m,
            "below_m": intent.corridor.below_m,
            "above_m": intent.corridor.above_m,
            "time_tolerance_s": intent.corridor.time_tolerance_s,
            "pad_hold_s": intent.corridor.pad_hold_s,
            "tube": dataclasses.asdict(intent.corridor.tube),
        },
        "volumes": [
            {
                "outline_m": volume.outline_m.tolist(),
                "floor_m": volume.floor_m,
                "ceiling_m": volume.ceiling_m,
                "start_s": volume.start_s,
                "end_s": volume.end_s,
            }
            for volume in intent.volumes
        ],
        "map_version": intent.map_version,
        "zones": list(intent.zones),
        "neighbours": list(intent.neighbours),
        "clearances": dict(intent.clearances),
        "conditions": intent.conditions,
    }


def intent_from(document: Mapping[str, Any]) -> OperationalIntent:
    """The reverse of :func:`intent_document`. Raises StoreError when the document is not one."""
    try:
        corridor = dict(document["corridor"])
        # Granted before there were tubes: the intent keeps the room that it was granted
        tube = Tube(**corridor.pop("tube", {}))
        earliest, latest = document["plan_times_s"]
        plan = dataclasses.replace(
            parse_plan(document["plan"]), earliest_departure_s=earliest, latest_departure_s=latest
        )
        return OperationalIntent(
            id=document["id"],
            plan=plan,
            state=IntentState(document["state"]),
            version=document["version"],
            ovn=document["ovn"],
            corridor=Corridor(Trajectory(corridor.pop("t_s"), corridor.pop("enu_m")), tube=tube, **corridor),
            volumes=tuple(Volume4D(**volume) for volume in document["volumes"]),
            map_version=document["map_version"],
            zones=tuple(document["zones"]),
            neighbours=tuple(document["neighbours"]),
            clearances=document["clearances"],
            conditions=document.get("conditions", ""),  # none were kept before 0.3
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"an intent in the database cannot be read: {error}") from error
