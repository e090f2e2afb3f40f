"""What SQLite and PostgreSQL do differently, and nothing else: opening, locking, waiting for news, putting rows.

Both give the same promises. Who holds ``exclusive`` writes, and what it wrote is on the disk when the block has
ended; ``snapshot`` sees one committed state and never waits for a writer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from utm.airspace.turns import TurnTimeout, turn
from utm.errors import StoreError

#: How long a writer waits for its turn before it gives up. A turn takes milliseconds; a holder this slow has stopped.
PATIENCE_S = 30.0
#: Between two looks for news in SQLite. Whoever is next to write looks four times as often, and is alone.
_POLL_S = 0.001

_KINDS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")


def open_dialect(url: str) -> SQLite | PostgreSQL:
    """The database behind a URL; nothing is connected yet. Raises StoreError when it cannot be one of ours."""
    try:
        parsed = sql.make_url(url)
    except sql.exc.ArgumentError as error:
        raise StoreError(
            f"{url!r} is no database URL; write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        ) from error
    if parsed.drivername not in _KINDS:
        raise StoreError(
            f"an airspace lives in SQLite or PostgreSQL, not in {parsed.drivername!r}; "
            "write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        )
    try:
        return SQLite(parsed) if parsed.get_backend_name() == "sqlite" else PostgreSQL(parsed)
    except ImportError as error:  # psycopg without a libpq raises this, not the one for a module that is not there
        raise StoreError(
            f"PostgreSQL needs Python's package psycopg, which does not load here ({_line(error)}); "
            "install skyroad with its extra: skyroad[postgresql]"
        ) from error


class _Dialect:
    def __init__(self, url: sql.URL):
        self.name = url.render_as_string(hide_password=True)
        self._glancing, self._kept = threading.Lock(), None

    engine: sql.Engine

    @contextlib.contextmanager
    def answers(self) -> Iterator[None]:
        """Whatever the database or its driver raises becomes a StoreError that says what to do."""
        try:
            yield
        except (sql.exc.SQLAlchemyError, self.driver_errors) as error:
            said = getattr(error, "orig", None) or error
            if _no_table(said):
                sentence = f"{self.name} holds no airspace; make one with: utm init"
            elif isinstance(said, sql.exc.TimeoutError):
                sentence = f"all connections to {self.name} are taken; ask less of it at once, and try again"
            elif isinstance(error, sql.exc.OperationalError | sql.exc.InterfaceError | self.driver_errors):
                sentence = f"the database {self.name} does not answer: {_line(said)}"
            else:
                sentence = f"the database {self.name} refused: {_line(said)}"
            raise StoreError(sentence) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A durable transaction: all of the block or nothing of it."""
        with self.answers(), self._writers.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                try:
                    transaction.rollback()
                except sql.exc.SQLAlchemyError:  # it is gone, and why the block failed is what is to be told
                    connection.invalidate()
                raise
            try:
                transaction.commit()
            except BaseException as error:
                connection.invalidate()  # or the next to use it may find itself within this transaction
                if not isinstance(error, sql.exc.SQLAlchemyError):
                    raise
                raise StoreError(
                    f"the database {self.name} failed while it recorded: {_line(getattr(error, 'orig', error))}; "
                    "only the log can tell whether it did"
                ) from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One committed state, however long it is read."""
        with self.answers(), self._readers.connect() as connection:
            yield connection

    def head(self) -> tuple[int, str, str]:
        """The head's row as it is committed now, by a connection that is kept for this question: it is asked before
        every decision, and a transaction of SQLAlchemy's around it takes twenty times as long."""
        with self.answers(), self._glancing:
            kept = self._kept is not None
            try:
                return self._head()
            except (self.driver_errors, sql.exc.SQLAlchemyError):
                self._let_go()
                if not kept:
                    raise
                return self._head()  # the server was started again since

    def _head(self) -> tuple[int, str, str]:
        if self._kept is None:
            self._kept = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        rows = self._kept.connection.driver_connection.execute("SELECT seq, digest, signature FROM head").fetchall()
        if len(rows) != 1:
            raise StoreError("the log has no head; restore the database from a copy")
        return rows[0]

    def _let_go(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.invalidate()
            kept.close()

    def close(self) -> None:
        """Give back the connections."""
        with self._glancing:
            self._let_go()
        self.engine.dispose()


class SQLite(_Dialect):
    """A file in WAL mode. Its write lock is the whole file's."""

    driver_errors = sqlite3.Error

    def __init__(self, url: sql.URL):
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise StoreError("an airspace in SQLite needs a file of its own; write sqlite:///FILE")
        self._file = Path(url.database).absolute()
        self._inode: tuple[int, int] | None = None
        super().__init__(url)
        self.engine = sql.create_engine(url.set(database=str(self._file)))
        self._readers, self._writers = self.engine, self.engine.execution_options(utm_writes=True)
        sql.event.listen(self.engine, "do_connect", lambda *_: self._refuse_other_file())
        sql.event.listen(self.engine, "connect", _set_up_sqlite)
        sql.event.listen(self.engine, "begin", self._begin)

    def make(self) -> None:
        """Make the file where there is none."""
        try:
            self._file.touch()
        except OSError as error:
            raise StoreError(f"the database {self.name} cannot be made: {error.strerror}") from error

    def _refuse_other_file(self) -> None:
        # SQLite would make a file that is not there, and go on writing into one that was deleted: both would grant
        # flights that nobody else ever hears of.
        try:
            found = os.stat(self._file)
        except OSError as error:
            raise StoreError(
                f"there is no database {self._file} ({error.strerror}); make one with: utm init"
                if self._inode is None
                else f"the database {self._file} is gone; put it back, then start again"
            ) from error
        inode = (found.st_dev, found.st_ino)
        if self._inode not in (None, inode):
            raise StoreError(f"the database {self._file} was replaced by another while it was open; start again")
        self._inode = inode

    def _begin(self, connection: Connection) -> None:
        self._refuse_other_file()
        raw = connection.connection.driver_connection
        if not connection.get_execution_options().get("utm_writes"):
            raw.execute("BEGIN")
            return
        until = time.monotonic() + PATIENCE_S
        try:
            # Whose turn it is next is settled while another writes; the turn is given back when the write lock is had.
            with turn(Path(f"{self._file}-next"), PATIENCE_S):
                raw.execute("PRAGMA busy_timeout=0")
                while not _locked(raw):
                    if time.monotonic() > until:
                        raise TurnTimeout
                    time.sleep(_POLL_S / 4)
        except TurnTimeout:
            raise StoreError(
                f"{self._file} was locked by others for {PATIENCE_S:.0f} s; find the process that stopped "
                "while it wrote (fuser shows it), end it, and try again"
            ) from None
        except OSError as error:
            raise StoreError(f"turns at {self._file}-next cannot be taken: {error.strerror}") from error
        finally:
            raw.execute(_BUSY)

    def _head(self) -> tuple[int, str, str]:
        self._refuse_other_file()
        return super()._head()

    def newer(self, seq: int, timeout_s: float) -> bool:
        """Whether the log goes past ``seq``, within ``timeout_s``; looks for other processes' commits every ms."""
        until = time.monotonic() + timeout_s
        with self.answers(), self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            while True:
                seen = raw.execute("PRAGMA data_version").fetchall()  # before the look, or what comes between is missed
                if raw.execute("SELECT seq FROM head").fetchall()[0][0] > seq:
                    return True
                while raw.execute("PRAGMA data_version").fetchall() == seen:
                    left_s = until - time.monotonic()
                    if left_s <= 0:
                        return False
                    time.sleep(min(_POLL_S, left_s))
                    self._refuse_other_file()

    @staticmethod
    def put(connection: Connection, table: sql.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or replace those of the same primary key."""
        connection.execute(_put(sqlite.insert, table), list(rows))


class PostgreSQL(_Dialect):
    """A server. Writers queue at the row of the head, in the order in which they came."""

    def __init__(self, url: sql.URL):
        import psycopg  # the extra that only this needs

        self.driver_errors = psycopg.Error
        super().__init__(url)
        wait = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
        # A server that was started again leaves dead connections behind: each is asked before it is used
        self.engine = sql.create_engine(url, connect_args=wait, pool_pre_ping=True)
        self._readers = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        # Each statement sees what was committed before it. Nobody changes log, intents, zones or meta but with the
        # head's row locked; so the state that the first statement after the lock sees is the one that the last sees,
        # and it holds all that earlier holders committed (who had to wait reads the row anew). A snapshot taken before
        # the lock (REPEATABLE READ) would not, and would fail whoever had to wait.
        self._writers = self.engine.execution_options(isolation_level="READ COMMITTED")
        sql.event.listen(self.engine, "connect", _set_up_postgresql)

    def make(self) -> None:
        """A server's database is made by its administrator."""

    def newer(self, seq: int, timeout_s: float) -> bool:
        """Whether the log goes past ``seq``, within ``timeout_s``; the server tells of each commit."""
        until = time.monotonic() + timeout_s
        with (
            self.answers(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            raw = connection.connection.driver_connection
            raw.execute("LISTEN utm_log")
            try:
                while True:
                    if raw.execute("SELECT seq FROM head").fetchone()[0] > seq:
                        return True
                    left_s = until - time.monotonic()
                    if left_s <= 0:
                        return False
                    # Early psycopg 3.2 drops a word that comes with the answer to another question: look again each s
                    if any(int(news.payload) > seq for news in raw.notifies(timeout=min(left_s, 1.0), stop_after=1)):
                        return True
            finally:
                if not raw.closed:
                    raw.execute("UNLISTEN utm_log")

    @staticmethod
    def put(connection: Connection, table: sql.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or replace those of the same primary key."""
        connection.execute(_put(postgresql.insert, table), list(rows))


@functools.cache
def _put(inserting: Callable[[sql.Table], Any], table: sql.Table) -> sql.Executable:
    insert, key = inserting(table), next(iter(table.primary_key.columns)).name
    replaced = {column.name: insert.excluded[column.name] for column in table.columns if column.name != key}
    return insert.on_conflict_do_update(index_elements=[key], set_=replaced)


_BUSY = f"PRAGMA busy_timeout={int(PATIENCE_S * 1000)}"


def _locked(connection: sqlite3.Connection) -> bool:
    """Try once to begin with the write lock."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in `_begin`, of the kind that is needed
    connection.execute(_BUSY)
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchall()[0][0]
    if mode != "wal":
        raise StoreError(
            f"SQLite cannot keep a write-ahead log where its file lies (journal mode {mode}); use a local disk"
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")  # macOS: its fsync alone leaves data in the disk's cache


def _set_up_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        # An acknowledged grant is on the disk, whatever the server's default. A writer that stopped while it held the
        # lock is cut off, and those behind it are told: nobody waits for ever.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute("SELECT set_config(%s, %s, false)", (setting, f"{PATIENCE_S:.0f}s"))
    connection.commit()


def _no_table(said: object) -> bool:
    return getattr(said, "sqlstate", None) == "42P01" or str(said).startswith("no such table")


def _line(error: object) -> str:
    return " ".join(str(error).split())
