"""The airspace as flying needs it: the port of ``utm.ops.ports.Airspace`` over a real one.

The database is asked in a thread, so that a slow disk never delays a drone's next position.
"""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from utm.airspace import Airspace


class Authority:
    """One airspace, told of flights by the clock of the vehicles."""

    def __init__(self, airspace: Airspace):
        self._airspace = airspace
        # One question at a time: two threads that both changed a state would only make each other decide again.
        self._turn = asyncio.Lock()

    async def activate(self, intent_id: str, t_s: float) -> None:
        """Raises StateError outside the intent's time."""
        async with self._turn:
            await asyncio.to_thread(self._airspace.activate, intent_id, t_s)

    async def position(self, intent_id: str, t_s: float, enu_m: NDArray[np.float64]) -> None:
        """Judge, and move the intent's state accordingly."""
        async with self._turn:
            await asyncio.to_thread(self._airspace.position, intent_id, t_s, enu_m)

    async def end(self, intent_id: str, t_s: float) -> None:
        """The flight is over."""
        async with self._turn:
            await asyncio.to_thread(self._airspace.end, intent_id, t_s)
