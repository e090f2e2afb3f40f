"""An airspace over the small town, on either store, and what happens when its database is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.airspace.conftest import T0, town  # noqa: F401 (a fixture)
from tests.airspace.postgres import postgresql_server  # noqa: F401 (a fixture)
from utm.airspace import Airspace

#: For tests that ask an airspace on each store in turn.
ON_BOTH = pytest.mark.parametrize("store", ["sqlite", "postgresql"])


@pytest.fixture
def store() -> str:
    """Where the airspace lives, where a test does not ask for both."""
    return "sqlite"


@pytest.fixture
def airspace(request: pytest.FixtureRequest, town, tmp_path, store):  # noqa: F811 (a fixture)
    """An empty airspace; its clock stands ten minutes before T0."""
    running = request.getfixturevalue("postgresql_server") if store == "postgresql" else None
    url = None if running is None else running.fresh()
    with Airspace.create(tmp_path / "airspace", town, database=url, clock=lambda: T0 - 600.0) as made:
        yield made
    if running is not None:
        running.give_back(url)


@pytest.fixture
def gone(request: pytest.FixtureRequest, airspace, store) -> Callable[[], AbstractContextManager[None]]:
    """A context in which the airspace's database is not there: its file is moved, its server stopped."""

    @contextlib.contextmanager
    def moved():
        file = airspace.path / "airspace.db"
        file.rename(file.with_suffix(".away"))
        try:
            yield
        finally:
            file.with_suffix(".away").rename(file)

    @contextlib.contextmanager
    def stopped():
        running = request.getfixturevalue("postgresql_server")
        running.stop(crash=True)
        try:
            yield
        finally:
            running.start()

    return stopped if store == "postgresql" else moved


@pytest.fixture
def away():
    """What a test has taken away comes back, whatever becomes of the test."""
    with contextlib.ExitStack() as stack:
        yield stack
