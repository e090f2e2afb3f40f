"""The live picture: everything that decisions depend on, as of any entry of the log that is still of interest.

One picture follows the log of one airspace. A decision is made on a `View` of it, which stays as it is while the
picture goes on: an intent, a set of zones, a forecast are remembered with the entry from which they hold, and forgotten
when no view is left that could ask for them. So searching takes no lock, and a replay can ask what was true then.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import gc
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from utm.airspace.database import Loaded
from utm.airspace.documents import parse_zones
from utm.airspace.ledger import Head
from utm.airspace.records import intent_from
from utm.core import Traffic
from utm.model import Corridor, GeoZone, IntentState, OperationalIntent, RuleSet, WayOut

T = TypeVar("T")

#: Beyond the separation, whoever passes within this much (metres, horizontally and vertically) is still near: a
#: certificate names its neighbours, not only those that all but touch it.
_BESIDE_M = (100.0, 20.0)
#: An intent has fewer ways out than this (`utm.airspace.waysout`: 24).
_MOST_WAYS = 64


@dataclass(frozen=True, slots=True)
class Effects:
    """What an entry of the log changes, as objects."""

    intents: tuple[OperationalIntent, ...] = ()
    """New, or changed in more than their state."""
    states: tuple[Mapping[str, Any], ...] = ()
    """``id``, ``state``, ``version``, ``ovn`` of intents that changed in nothing else."""
    zones: tuple[GeoZone, ...] = ()
    zones_removed: tuple[str, ...] = ()
    conditions: Mapping[str, Any] | None = None
    map_version: str | None = None
    ids: frozenset[str] = field(init=False)
    """The intents that it changes."""
    surroundings: bool = field(init=False)
    """Whether it changes what every plan is judged against, not only a neighbour."""

    def __post_init__(self) -> None:
        # Every answer is held against the effects of many entries
        ids = frozenset([*(intent.id for intent in self.intents), *(state["id"] for state in self.states)])
        object.__setattr__(self, "ids", ids)
        around = bool(self.zones or self.zones_removed or self.conditions is not None or self.map_version is not None)
        object.__setattr__(self, "surroundings", around)


#: Of a request that changes nothing.
NOTHING = Effects()


def effects_of(body: Mapping[str, Any]) -> Effects:
    """Read an entry's body."""
    features = body.get("zones", ())
    return Effects(
        intents=tuple(intent_from(document) for document in body.get("intents", ())),
        states=tuple(body.get("states", ())),
        zones=parse_zones({"type": "FeatureCollection", "features": features}) if features else (),
        zones_removed=tuple(body.get("zones_removed", ())),
        conditions=body.get("conditions"),
        map_version=body.get("map_version"),
    )


class _Timeline(Generic[T]):
    """A value and from which entry of the log on it held."""

    __slots__ = ("since", "values")

    def __init__(self, seq: int, value: T):
        self.since, self.values = [seq], [value]

    def at(self, seq: int) -> T:
        return self.values[bisect.bisect_right(self.since, seq) - 1]

    def put(self, seq: int, value: T) -> None:
        self.since.append(seq)
        self.values.append(value)

    def revert(self, seq: int) -> None:
        """Forget what began after an entry."""
        kept = bisect.bisect_right(self.since, seq)
        del self.since[kept:], self.values[kept:]

    def forget(self, seq: int) -> None:
        """Forget what ended before an entry."""
        gone = bisect.bisect_right(self.since, seq) - 1
        if gone > 0:
            del self.since[:gone], self.values[:gone]


@dataclass(slots=True)
class _Room:
    """A corridor in the index, and whose it was from when on; None once it was given back."""

    intent_id: str
    owner: _Timeline[OperationalIntent | None]
    ways: int
    """Of how many ways out of it the other index knows."""


class View:
    """The picture as of one entry of the log."""

    def __init__(self, picture: Picture, head: Head):
        self._picture, self.head = picture, head

    @property
    def seq(self) -> int:
        """The last entry that it takes in."""
        return self.head.seq

    @property
    def digest(self) -> str:
        """Digest of that entry."""
        return self.head.digest

    @property
    def zones(self) -> tuple[GeoZone, ...]:
        """Every zone, by id."""
        return self._picture._zones.at(self.seq)

    @property
    def conditions(self) -> Mapping[str, Any] | None:
        """The document of forecast and cost layers; None where none were ever set."""
        return self._picture._conditions.at(self.seq)

    @property
    def map_version(self) -> str:
        """The version of the map that is in force."""
        return self._picture._map.at(self.seq)

    def get(self, intent_id: str) -> OperationalIntent | None:
        """A live intent, or None."""
        with self._picture._lock:
            numbers = self._picture._numbers.get(intent_id, ())
            for number in reversed(numbers):
                room = self._picture._rooms[number]
                if room.owner.since[0] <= self.seq and (owner := room.owner.at(self.seq)) is not None:
                    return owner
        return None

    def live(self) -> tuple[OperationalIntent, ...]:
        """Every live intent, by id."""
        with self._picture._lock:
            return self._owners(self._picture._rooms)

    def near(self, corridor: Corridor, *, later_s: float = 0.0) -> tuple[OperationalIntent, ...]:
        """Live intents, by id, that may come nearer to a corridor than the separation and 100 m (vertically: 20 m)
        beyond it, if it is flown at any delay of 0 to ``later_s`` seconds. Never misses one; may name more."""
        rules = self._picture.rules
        apart = rules.separation_horizontal_m + _BESIDE_M[0], rules.separation_vertical_m + _BESIDE_M[1]
        with self._picture._lock:
            return self._owners(self._picture._traffic.near(corridor, *apart, later_s=later_s).tolist())

    def conflicts(self, corridor: Corridor) -> tuple[OperationalIntent, ...]:
        """Exactly those live intents, by id, that come nearer to a corridor than the separation."""
        rules = self._picture.rules
        apart = rules.separation_horizontal_m, rules.separation_vertical_m
        with self._picture._lock:
            return self._owners(self._picture._traffic.conflicts(corridor, *apart).tolist())

    def crossed(self, corridor: Corridor) -> tuple[tuple[OperationalIntent, WayOut], ...]:
        """Whose ways out a corridor comes nearer to than the separation, by id and in their order."""
        rules = self._picture.rules
        apart = rules.separation_horizontal_m, rules.separation_vertical_m
        with self._picture._lock:
            found = []
            for number in sorted(self._picture._ways.conflicts(corridor, *apart).tolist()):
                room, way = divmod(number, _MOST_WAYS)
                found += [(owner, owner.ways_out[way]) for owner in self._owners([room])]
        return tuple(sorted(found, key=lambda pair: pair[0].id))

    def _owners(self, numbers: Iterable[int]) -> tuple[OperationalIntent, ...]:
        rooms, seq, found = self._picture._rooms, self.seq, []
        for number in numbers:
            owner = rooms[number].owner
            if owner.since[0] <= seq and (intent := owner.at(seq)) is not None:
                found.append(intent)
        return tuple(sorted(found, key=lambda intent: intent.id))


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """While nothing but what stays is made: looking through all of it for garbage, again and again, would take as long
    as making it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Picture:
    """Follows the log of one airspace.

    Args:
        loaded: what the database holds at some entry.
        rules: the airspace's.
        keep: remember everything for ever (to replay a log).
    """

    def __init__(self, loaded: Loaded, rules: RuleSet, *, keep: bool = False):
        self.rules = rules
        self._keep = keep
        self._lock = threading.RLock()
        self._traffic, self._ways = Traffic(), Traffic()
        self._rooms: dict[int, _Room] = {}
        self._numbers: dict[str, list[int]] = {}
        self._next = 0
        self._given_back: list[tuple[int, int]] = []
        self._views: dict[int, int] = {}
        self.head = self._tip = loaded.head
        #: Effects of the entries that some view may still have to be compared with.
        self._recent: list[tuple[int, Effects]] = []
        features = {"type": "FeatureCollection", "features": list(loaded.zones)}
        self._zones = _Timeline(self.head.seq, parse_zones(features) if loaded.zones else ())
        self._conditions = _Timeline(self.head.seq, loaded.conditions)
        self._map = _Timeline(self.head.seq, loaded.map_version)
        with _no_collecting():
            for document, *_ in loaded.intents:
                self._enter(self.head.seq, intent_from(document))

    # --- looking -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def view(self, head: Head | None = None) -> Iterator[View]:
        """The picture as it is now, or (of a picture that keeps everything) as it was."""
        with self._lock:
            view = View(self, head or self.head)
            self._views[view.seq] = self._views.get(view.seq, 0) + 1
        try:
            yield view
        finally:
            with self._lock:
                self._views[view.seq] -= 1
                if not self._views[view.seq]:
                    del self._views[view.seq]
                self._forget()

    @property
    def ends(self) -> tuple[str, str]:
        """Digests of the last durable entry, and of the last applied."""
        return self.head.digest, self._tip.digest

    def tentative(self) -> View:
        """The picture with what has been applied and is not durable yet. Only for whoever holds the write lock."""
        return View(self, self._tip)

    def since(self, seq: int) -> tuple[Effects, ...]:
        """What changed after an entry that a view is open on, applied entries that are not durable yet included."""
        with self._lock:
            return tuple(effects for number, effects in self._recent if number > seq)

    # --- following -----------------------------------------------------------------------------------------

    def apply(self, head: Head, effects: Effects) -> None:
        """Take in the next entry. It shows in views once it is `committed`."""
        with self._lock:
            if head.seq != self._tip.seq + 1:
                raise ValueError(f"entry {head.seq} does not follow {self._tip.seq}")
            for intent in effects.intents:
                self._leave(head.seq, intent.id)
                if intent.state is not IntentState.ENDED:
                    self._enter(head.seq, intent)
            for change in effects.states:
                self._change(head.seq, change)
            if effects.zones or effects.zones_removed:
                zones = {zone.id: zone for zone in self._zones.at(self._tip.seq)}
                zones |= {zone.id: zone for zone in effects.zones}
                for zone_id in effects.zones_removed:
                    zones.pop(zone_id, None)
                self._zones.put(head.seq, tuple(zones[name] for name in sorted(zones)))
            if effects.conditions is not None:
                self._conditions.put(head.seq, effects.conditions)
            if effects.map_version is not None:
                self._map.put(head.seq, effects.map_version)
            self._recent.append((head.seq, effects))
            self._tip = head

    def committed(self) -> None:
        """What was applied is durable."""
        with self._lock:
            self.head = self._tip
            self._forget()

    def revert(self) -> None:
        """What was applied since the last `committed` did not happen."""
        with self._lock:
            seq = self.head.seq
            for number, room in list(self._rooms.items()):
                if room.owner.since[0] > seq:
                    self._drop(number)
                else:
                    room.owner.revert(seq)
            self._given_back = [(gone, number) for gone, number in self._given_back if gone <= seq]
            for timeline in (self._zones, self._conditions, self._map):
                timeline.revert(seq)
            self._recent = [(number, effects) for number, effects in self._recent if number <= seq]
            self._tip = self.head

    def _enter(self, seq: int, intent: OperationalIntent) -> None:
        number, self._next = self._next, self._next + 1
        self._traffic.add(number, intent.corridor)
        self._rooms[number] = _Room(intent.id, _Timeline(seq, intent), len(intent.ways_out))
        for way, one in enumerate(intent.ways_out):
            self._ways.add(number * _MOST_WAYS + way, one.corridor)
        self._numbers.setdefault(intent.id, []).append(number)

    def _present(self, intent_id: str) -> tuple[int, OperationalIntent] | None:
        """Number and intent, as of the last entry applied."""
        for number in reversed(self._numbers.get(intent_id, ())):
            if (owner := self._rooms[number].owner.values[-1]) is not None:
                return number, owner
        return None

    def _leave(self, seq: int, intent_id: str) -> None:
        if (present := self._present(intent_id)) is not None:
            self._rooms[present[0]].owner.put(seq, None)
            self._given_back.append((seq, present[0]))

    def _change(self, seq: int, change: Mapping[str, Any]) -> None:
        present = self._present(change["id"])
        if present is None:
            raise ValueError(f"entry {seq} changes {change['id']}, which is not live")
        state = IntentState(change["state"])
        if state is IntentState.ENDED:
            self._leave(seq, change["id"])
            return
        number, intent = present
        changed = dataclasses.replace(intent, state=state, version=change["version"], ovn=change["ovn"])
        self._rooms[number].owner.put(seq, changed)

    def _drop(self, number: int) -> None:
        room = self._rooms.pop(number)
        self._traffic.remove(number)
        for way in range(room.ways):
            self._ways.remove(number * _MOST_WAYS + way)
        numbers = self._numbers[room.intent_id]
        numbers.remove(number)
        if not numbers:
            del self._numbers[room.intent_id]

    def _forget(self) -> None:
        """Let go of what no view can ask for any more."""
        if self._keep:
            return
        oldest = min(self._views, default=self.head.seq)
        oldest = min(oldest, self.head.seq)
        gone = bisect.bisect_right(self._given_back, oldest, key=lambda pair: pair[0])
        for _, number in self._given_back[:gone]:
            self._drop(number)
        del self._given_back[:gone]
        kept = bisect.bisect_right(self._recent, oldest, key=lambda pair: pair[0])
        for _, effects in self._recent[:kept]:
            for change in effects.states:
                for number in self._numbers.get(change["id"], ()):
                    self._rooms[number].owner.forget(oldest)
        del self._recent[:kept]
        for timeline in (self._zones, self._conditions, self._map):
            timeline.forget(oldest)
