"""Time as a vehicle's reports show it."""

from __future__ import annotations

import asyncio
import math


class VehicleClock:
    """Stands still between reports, and never goes back."""

    def __init__(self) -> None:
        self.t_s = -math.inf
        """The latest time that was shown, Unix seconds."""
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    def show(self, t_s: float) -> None:
        """A report of this time has come."""
        self.t_s = max(t_s, self.t_s)
        self._wake(self.t_s)

    def interrupt(self) -> None:
        """Whoever waits for a time has something else to do."""
        self._wake(math.inf)

    async def reach(self, t_s: float) -> None:
        """Until that time, or until interrupted."""
        if self.t_s < t_s:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((t_s, future))
            await future

    def _wake(self, until_s: float) -> None:
        for due_s, future in self._waiting:
            if due_s <= until_s and not future.done():
                future.set_result(None)
        self._waiting = [(due_s, future) for due_s, future in self._waiting if not future.done()]
