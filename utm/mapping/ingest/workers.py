"""Who does the work of a build: threads of this process, or a Dask cluster. The tasks are the same.

A task is a plain function of picklable things that writes its result under a name which depends on nothing but the
task, beside and then renamed. So it may run anywhere, twice, or again after its worker died.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from utm.errors import InputError, OutsideError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """Runs tasks; `threads` says how many at a time."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results as they come, in no order. The first error stops the rest and is raised."""
        ...


class LocalWorkers:
    """Threads: decompression, kernels and GDAL all let go of the interpreter's lock."""

    def __init__(self, count: int | None = None):
        if count is not None and count < 1:
            raise InputError("needs at least one worker", field="--workers", value=count)
        self.count = count or os.cpu_count() or 1

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        pool = ThreadPoolExecutor(self.count, thread_name_prefix="utm-map")
        try:
            futures = [pool.submit(function, item) for item in items]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class DaskWorkers:
    """A Dask cluster whose workers see the same files under the same paths. What a dying worker had is done again."""

    def __init__(self, client: Any):
        self._client = client

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        from distributed import KilledWorker
        from distributed import as_completed as completed

        futures = [self._client.submit(function, item, pure=False, retries=2) for item in items]
        try:
            for future in completed(futures):
                yield future.result()
        except KilledWorker as error:
            raise OutsideError(f"the cluster's workers died over a task: {error}") from error
        finally:
            self._client.cancel(futures, force=True)


@contextmanager
def workers_for(count: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Threads, or the cluster behind a scheduler's address.

    Raises:
        InputError: Dask is not installed, or the address is none.
        OutsideError: no scheduler answers there.
    """
    if scheduler is None:
        yield LocalWorkers(count)
        return
    if count is not None:
        raise InputError("a cluster knows its own workers", field="--workers", mend="Leave it out with --scheduler.")
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "needs Dask, which is not installed", field="--scheduler", mend="pip install 'skyroad[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout=10)
    except ValueError as error:
        raise InputError(str(error), field="--scheduler", value=scheduler, mend="Give tcp://HOST:PORT.") from error
    except (OSError, TimeoutError) as error:
        raise OutsideError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=10)
        except TimeoutError as error:
            raise OutsideError(f"the Dask scheduler at {scheduler} has no workers: start some") from error
        yield DaskWorkers(client)
