"""A PostgreSQL of the tests' own, from the system's package, started for the session on a socket of its own.

It keeps PostgreSQL's defaults, fsync among them: what a test takes for durable is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REQUIRED = os.environ.get("UTM_REQUIRE_POSTGRESQL") == "1"
_START_S = 60.0


def programs() -> Path | None:
    """The folder of initdb and postgres: on the PATH, or where Debian and Ubuntu put it, the newest; None without."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in debian), key=lambda folder: float(folder.parent.name), default=None)


def missing() -> str | None:
    """Why there can be no server, in a sentence; None where there can."""
    if programs() is None:
        return "PostgreSQL is not installed; on Debian or Ubuntu: sudo apt-get install postgresql"
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres; run the tests as another user"
    return None


class Server:
    """A running cluster."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._data = folder / "data"
        #: PostgreSQL refuses to be root
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._owner = "postgres" if self._user else pwd.getpwuid(os.geteuid()).pw_name
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._given_back: list[str] = []
        if self._user:
            shutil.chown(folder, "postgres", "postgres")
        # No database in it is worth a sync before there is one
        command = ["initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", f"--username={self._owner}"]
        self._run(*command, f"--pgdata={self._data}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(programs() / program), *arguments]
        ended = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=120, **self._user)
        assert ended.returncode == 0, f"{program} failed: {ended.stderr}"

    def start(self) -> None:
        """Start it where it does not run, and return when it answers."""
        if self._process is not None:
            return
        command = [
            str(programs() / "postgres"),
            "-D",
            str(self._data),
            "-k",
            str(self._folder),
            "-c",
            "listen_addresses=",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, **self._user)
        until = time.monotonic() + _START_S
        ready = [str(programs() / "pg_isready"), "--quiet", f"--host={self._folder}", f"--username={self._owner}"]
        while subprocess.run(ready, cwd=self._folder, **self._user).returncode != 0:
            said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
            assert self._process.poll() is None, f"PostgreSQL ended: {said}"
            assert time.monotonic() < until, f"PostgreSQL did not start within {_START_S:.0f} s: {said}"
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """End it, in order or as a crash would; every connection is cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self._process.wait(timeout=60)
            self._process = None

    def url(self, name: str) -> str:
        """The URL of a database, there or not."""
        return f"postgresql+psycopg://{self._owner}@/{name}?host={self._folder}"

    def fresh(self) -> str:
        """The URL of an empty database."""
        if self._given_back:
            return self._given_back.pop()
        name = f"airspace{next(self._numbers)}"
        self._run("createdb", f"--host={self._folder}", f"--username={self._owner}", name)
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Empty a database for the next: a new one costs the disk 300 files."""
        import psycopg

        name = url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(host=str(self._folder), dbname=name, user=self._owner, autocommit=True) as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._given_back.append(url)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server for one block. Where PostgreSQL is absent the test is skipped, or fails if it is required."""
    why_not = missing()
    if why_not is not None:
        (pytest.fail if REQUIRED else pytest.skip)(why_not)
    # Not under pytest's folder: that one is closed to other users, and too long a path for a socket
    folder = Path(tempfile.mkdtemp(prefix="utm-pg-"))
    made = None
    try:
        made = Server(folder)
        made.start()
        yield made
    finally:
        if made is not None:
            made.stop(crash=True)  # in order it would first sync every database that is thrown away here
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """The server of the session."""
    with server() as running:
        yield running


@pytest.fixture
def postgresql(postgresql_server: Server) -> Callable[[], str]:
    """A function that makes a fresh database and returns its URL."""
    return postgresql_server.fresh


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place for an airspace, in each store in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'airspace.db'}"
        return
    running = request.getfixturevalue("postgresql_server")
    url = running.fresh()
    yield url
    running.give_back(url)
