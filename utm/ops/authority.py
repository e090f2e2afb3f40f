"""The airspace as flying needs it: the port of ``utm.ops.ports.Airspace`` over a real one.

The database is asked in a thread, so that a slow disk never delays a drone's next position. The log is its outbox:
how far it was read is kept by who reads, so that nothing is missed while the database is away. It is looked at again
and again, which takes a fraction of a millisecond, and not waited for: a thread that waits cannot be called back.

The airspace's upkeep is not called here. It goes by the airspace's clock, which is the wall's, while everything here
goes by that of the vehicles, and a simulated one runs ahead; `utm monitor --follow` calls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from utm.airspace import Airspace
from utm.ops.change import Change, News, as_it_stands, changes_in


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

    async def position(
        self, intent_id: str, t_s: float, enu_m: NDArray[np.float64], *, landed: bool = False, received_s: float
    ) -> None:
        """Judge, and move the intent's state accordingly."""
        async with self._turn:
            await asyncio.to_thread(
                self._airspace.position, intent_id, t_s, enu_m, landed=landed, received_s=received_s
            )

    async def end(self, intent_id: str, t_s: float) -> None:
        """The flight is over."""
        async with self._turn:
            await asyncio.to_thread(self._airspace.end, intent_id, t_s)

    async def changes(self, intent_ids: Collection[str], after_seq: int | None) -> News:
        """What became of some intents. Takes no turn: news must not wait for a report that the database keeps."""
        return await asyncio.to_thread(self._changes, intent_ids, after_seq)

    def _changes(self, intent_ids: Collection[str], after_seq: int | None) -> News:
        seq = self._airspace.head.seq
        if after_seq is None:  # the head first: what changes while they are read comes again, and is no news then
            return News(seq, tuple(as_it_stands(self._airspace.intent(name)) for name in intent_ids))
        found: list[Change] = []
        if seq > after_seq:
            for entry in self._airspace.events(after_seq):
                found += changes_in(entry, intent_ids)
                after_seq = entry.seq
        return News(after_seq, tuple(found))
