from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Protocol

import pytest

from tests.sims.bench import Bench


class MakeBench(Protocol):
    def __call__(self, heartbeats: bool = True, **changes: Any) -> Bench: ...


@pytest.fixture
def make_bench() -> Iterator[MakeBench]:
    """Makes benches and closes them in the end."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(closing(Bench(**changes)))


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    """A vehicle on the ground and a ground station that sends heartbeats."""
    return make_bench()
