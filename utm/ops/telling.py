"""What one flight tells its airspace: in order, and without ever making the flight wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from utm.errors import OutsideError, UtmError

Call = Callable[[], Awaitable[None]]


class Telling:
    """A queue of calls. While the airspace does not answer, they are kept and tried again: nothing is left out.

    Args:
        say: a sentence for the operator.
        refused: what the airspace said no to; that call is not tried again.
        retry_s: between two tries, on the ground's clock.
    """

    def __init__(self, say: Callable[[str], None], refused: Callable[[UtmError], None], retry_s: float) -> None:
        self._say, self._refused, self._retry_s = say, refused, retry_s
        self._calls: deque[Call] = deque()
        self._some, self._none = asyncio.Event(), asyncio.Event()
        self._none.set()
        self._lost: OutsideError | None = None

    def put(self, call: Call) -> None:
        """Tell this after everything that was put before."""
        self._calls.append(call)
        self._some.set()
        self._none.clear()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._some.wait()
            try:
                await self._calls[0]()
            except OutsideError as error:
                if self._lost is None:
                    self._lost = error
                    self._say(f"the airspace cannot be told where it is ({error}); it is told later, and flies on")
                await asyncio.sleep(self._retry_s)
                continue
            except UtmError as error:
                self._refused(error)
            if self._lost is not None:
                self._lost = None
                self._say(f"the airspace answers again, and is told {len(self._calls)} reports")
            self._calls.popleft()
            if not self._calls:
                self._some.clear()
                self._none.set()

    async def delivered(self, within_s: float) -> OutsideError | None:
        """Wait until everything is told, on the ground's clock; else why it was not."""
        try:
            async with asyncio.timeout(within_s):
                await self._none.wait()
        except TimeoutError:
            return self._lost or OutsideError(f"the airspace has not answered within {within_s:g} s")
        return None
