"""What a plan is judged against: map and rules, zones, the forecast, the live traffic, the time."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from utm.airspace.space import Skies
from utm.model import PLAIN, Conditions, Corridor, GeoZone, OperationalIntent

#: From a decision until a drone in the air does what it says: the event reaches whoever flies it, the new mission is
#: uploaded and confirmed (docs/px4.md). Until then it flies on as it was granted.
REACTION_S = 15.0
#: Higher than the priority of any plan.
_ABOVE_ALL = 10**9


class TrafficView(Protocol):
    """The live intents as of one entry of the airspace's log."""

    @property
    def seq(self) -> int:
        """Sequence number of the last entry that it holds."""

    @property
    def digest(self) -> str:
        """Digest of that entry."""

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        """Every live intent, by id, that might come too near to a corridor if it were flown at any delay in
        [0, ``later_s``] seconds: none that would is missing, some that would not may be there."""

    def get(self, intent_id: str) -> OperationalIntent | None:
        """The live intent of an id, or None."""


class OfIntents:
    """A view of some intents, looked through one by one: for tests and for callers with few of them.

    Near is whoever is on its way, or on its pads, at the same time.
    """

    def __init__(self, intents: Sequence[OperationalIntent], *, seq: int = 0, digest: str = "") -> None:
        self.seq, self.digest = seq, digest
        self._by_id = {intent.id: intent for intent in sorted(intents, key=lambda intent: intent.id)}

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        begin, end = _span(corridor)
        return tuple(
            intent
            for intent in self._by_id.values()
            if _span(intent.corridor)[0] <= end + later_s and begin <= _span(intent.corridor)[1]
        )

    def get(self, intent_id: str) -> OperationalIntent | None:
        return self._by_id.get(intent_id)


class Overlay:
    """Another view with some intents left out and others added, which take the place of those of the same id."""

    def __init__(
        self,
        traffic: TrafficView,
        *,
        without: Collection[str] = (),
        with_: Sequence[OperationalIntent] = (),
    ) -> None:
        self.seq, self.digest = traffic.seq, traffic.digest
        self._under, self._over = traffic, OfIntents(with_)
        self._hidden = frozenset(without) | {intent.id for intent in with_}

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        under = (other for other in self._under.near(corridor, later_s=later_s) if other.id not in self._hidden)
        return tuple(sorted((*under, *self._over.near(corridor, later_s=later_s)), key=lambda intent: intent.id))

    def get(self, intent_id: str) -> OperationalIntent | None:
        added = self._over.get(intent_id)
        if added is not None or intent_id in self._hidden:
            return added
        return self._under.get(intent_id)


class Standing:
    """Another view whose intents, or some of them, make way for nobody, whatever their priority."""

    def __init__(self, traffic: TrafficView, ids: Collection[str] | None = None) -> None:
        self.seq, self.digest = traffic.seq, traffic.digest
        self._under, self._ids = traffic, ids

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        return tuple(self._held(other) for other in self._under.near(corridor, later_s=later_s))

    def get(self, intent_id: str) -> OperationalIntent | None:
        found = self._under.get(intent_id)
        return None if found is None else self._held(found)

    def _held(self, intent: OperationalIntent) -> OperationalIntent:
        if self._ids is not None and intent.id not in self._ids:
            return intent
        return dataclasses.replace(intent, plan=dataclasses.replace(intent.plan, priority=_ABOVE_ALL))


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What a plan is judged against."""

    skies: Skies
    zones: tuple[GeoZone, ...]
    now_s: float
    conditions: Conditions = PLAIN
    traffic: TrafficView = field(default_factory=lambda: OfIntents(()))


def _span(corridor: Corridor) -> tuple[float, float]:
    """From when to when any of a corridor may be used (Unix seconds), and a second more for every rounding."""
    line, more = corridor.centre_line, corridor.pad_hold_s + corridor.time_tolerance_s + 1.0
    return line.start_s - more, line.end_s + more
