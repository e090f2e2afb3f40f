"""Deciding a log again: every request, on the entry that its answer was judged on, must give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from utm.airspace.answers import question, request_in
from utm.airspace.database import Loaded
from utm.airspace.journal import answered, body_of
from utm.airspace.ledger import GENESIS, Entry, Head, canonical
from utm.airspace.picture import Picture, effects_of
from utm.airspace.world import World

#: Of a difference, this much is shown on both sides.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Replayed:
    """One entry, decided again."""

    entry: Entry
    same: bool
    difference: str = ""
    """Where the two bodies part, in words."""


def replay(entries: Iterable[Entry], world: World, map_version: str) -> Iterator[Replayed]:
    """Decide a whole log again, from its first entry on.

    Args:
        world: with every version of the map, and every layer, that the log names.
        map_version: the version that the airspace was made over.

    Raises:
        MapError, StoreError: a map version or the values of a layer are gone.
    """
    picture = Picture(Loaded(GENESIS, (), None, (), map_version), world.rules, keep=True)
    for entry in entries:
        body = entry.body
        asked = question(world, entry.kind, entry.subject, request_in(body), body["now_s"])
        judged = Head(*body["judged"])
        with picture.view(judged) as view:
            again = canonical(body_of(asked, answered(asked, view), judged)).decode("ascii")
        yield Replayed(entry, again == entry.text, "" if again == entry.text else _difference(entry.text, again))
        picture.apply(entry.head, effects_of(body))
        picture.committed()


def _difference(logged: str, again: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(logged, again, strict=False)) if a != b), min(len(logged), len(again)))
    start = max(at - _SHOWN // 2, 0)
    return f"the log says ...{logged[start : at + _SHOWN]}..., decided again ...{again[start : at + _SHOWN]}..."
