"""Flying granted intents: all of them at once, and the airspace's news to each.

One task for each flight, and nothing shared between them: what befalls one drone does not stop the others. One more
looks at the airspace's log, for every change of an intent that is being flown, whoever caused it.

While the airspace does not answer, everybody flies on, judged by the last corridor that is known. What is to be told is
kept, and what was missed is read when it answers again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from utm.errors import OutsideError
from utm.ops.change import News
from utm.ops.flight import USUAL, Conduct, Flight, OnUpdate, Phase, Reaction, Update
from utm.ops.log import FlightLog
from utm.ops.ports import Airspace
from utm.ops.run import Run

__all__ = ["Conduct", "Flight", "Phase", "Reaction", "Update", "fly"]


async def fly(
    flights: Sequence[Flight],
    airspace: Airspace,
    *,
    on_update: OnUpdate = lambda update: None,
    conduct: Conduct = USUAL,
) -> list[FlightLog]:
    """Fly all of them at once; the logs, in the same order.

    A flight that fails (link lost, vehicle refuses, airspace does not activate it, too late) has its error in its log
    and leaves the others alone. When this is cancelled, every drone in the air is told to hold before it returns.

    Raises:
        ValueError: the same intent twice.
        StoreError: the airspace does not answer, before any vehicle was touched.
    """
    ids = [flight.intent.id for flight in flights]
    if len(set(ids)) < len(ids):
        raise ValueError(f"an intent is flown once, got {ids}")
    news = await airspace.changes(ids, None)
    runs = {flight.intent.id: Run(flight, airspace, on_update, conduct) for flight in flights}
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_watch(runs, airspace, news, conduct))
        tasks = [group.create_task(run.run()) for run in runs.values()]
        if tasks:
            await asyncio.wait(tasks)
        watch.cancel()
    return [task.result() for task in tasks]


async def _watch(runs: Mapping[str, Run], airspace: Airspace, news: News, conduct: Conduct) -> None:
    """Hand every change of an intent to its flight, for as long as anybody flies."""
    lost = False
    while True:
        for change in news.changes:
            runs[change.intent_id].changed(change)
        await asyncio.sleep(conduct.retry_s if lost else conduct.look_every_s)
        try:
            news = await airspace.changes(runs.keys(), news.seq)
        except OutsideError as error:
            if not lost:
                _note(runs, f"no news from the airspace ({error}); judged by the corridor that was last known")
            lost, news = True, News(news.seq)
        else:
            if lost:
                _note(runs, "there is news from the airspace again")
            lost = False


def _note(runs: Mapping[str, Run], sentence: str) -> None:
    for run in runs.values():
        run.note(sentence)
