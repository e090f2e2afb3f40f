"""The papers of an approval: everything that somebody else needs to prove it again, out of the log alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from utm.airspace.holding import waits_in_the_air
from utm.airspace.records import intent_from
from utm.errors import StateError
from utm.mapping import CityMap

if TYPE_CHECKING:
    from utm.airspace.authority import Airspace
    from utm.airspace.ledger import Entry

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Papers:
    """An approval, and what it was judged against. All plain JSON, but for the map."""

    intent: Document
    """As the log holds it."""
    city_map: CityMap
    """The version that it names."""
    rules: Mapping[str, float]
    zones: tuple[Document, ...]
    """GeoJSON features: every zone there was."""
    neighbours: tuple[Document, ...]
    """The intents that its certificate names, in the versions that it names."""
    live: tuple[Document, ...]
    """Every intent that was live then."""
    now_s: float

    @property
    def holding(self) -> bool:
        """Whether it was told to wait in the air, for an emergency: it has no way to its destination then, only one to
        where it waits, and no proof that it reaches its pad can hold."""
        return waits_in_the_air(intent_from(self.intent), self.city_map)

    @property
    def rest(self) -> dict[str, Any]:
        """Everything but the intent, by the names that ``utm.verify.verify`` gives it."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "intent"}


def papers_of(airspace: Airspace, intent_id: str) -> Papers:
    """The papers of an intent as it stands now.

    Raises:
        StateError: none of this id was granted.
        MapError: the version of the map that it names does not open.
    """
    entry, intent = _granting(airspace, intent_id)
    judged_seq = intent["judged"][0]
    live: dict[str, Document] = {}
    zones: dict[str, Document] = {}
    for earlier in airspace.events(upto=judged_seq):
        _apply(earlier, live, zones)
    # Zones that are entered, and intents that make way, in one entry with it: it was judged against these, not those
    # that they replace.
    beside = {one["id"]: one for one in entry.body.get("intents", ()) if one["id"] != intent_id}
    for name in (intent_id, *beside, *(state["id"] for state in entry.body.get("states", ()))):
        live.pop(name, None)
    for feature in entry.body.get("zones", ()):
        zones[feature["properties"]["id"]] = feature
    named = {name.rpartition("@")[0]: name.rpartition("@")[2] for name in intent["neighbours"]}
    live |= {name: one for name, one in beside.items() if named.get(name) == one["ovn"]}
    return Papers(
        intent=intent,
        city_map=airspace.map_of(intent["map_version"]),
        rules=dataclasses.asdict(airspace.rules),
        zones=tuple(zones[name] for name in sorted(zones)),
        neighbours=tuple(live[name] for name in sorted(named) if name in live),
        live=tuple(live[name] for name in sorted(live)),
        now_s=entry.body["now_s"],
    )


def _granting(airspace: Airspace, intent_id: str) -> tuple[Entry, Document]:
    """The entry that holds the present document of an intent, and the document."""
    seq = airspace.entry_of(intent_id)
    if seq is None:
        raise StateError(f"no plan {intent_id} has been granted here")
    (entry,) = airspace.events(seq - 1, upto=seq)
    return entry, next(one for one in entry.body["intents"] if one["id"] == intent_id)


def _apply(entry: Entry, live: dict[str, Document], zones: dict[str, Document]) -> None:
    body = entry.body
    for document in body.get("intents", ()):
        live[document["id"]] = document
    for change in body.get("states", ()):
        if change["state"] == "Ended":
            del live[change["id"]]
        else:
            live[change["id"]] = live[change["id"]] | change
    for feature in body.get("zones", ()):
        zones[feature["properties"]["id"]] = feature
    for zone_id in body.get("zones_removed", ()):
        zones.pop(zone_id, None)
