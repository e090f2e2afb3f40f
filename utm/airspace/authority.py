"""The authority: one airspace over one city map, its zones, its intents, its log."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike

from utm.airspace.admission import decide
from utm.airspace.answer import RouteAnswer
from utm.airspace.conditions import conditions_document, conditions_from, keep_values, read_layer
from utm.airspace.documents import zone_feature
from utm.airspace.granting import ovn_of
from utm.airspace.places import Refusal, resolve
from utm.airspace.publish import decision_document
from utm.airspace.routing import clearances_of, find_route
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.airspace.store import Event, Stale, Store
from utm.airspace.why import why_not
from utm.airspace.zones import DAY_S, active_intervals, check_zone, in_the_way, keep_out, outline_m
from utm.core import Judgement, judge
from utm.errors import CannotFly, InputError, MapError, StateError, StoreError, ZoneError
from utm.frames import check_lonlat
from utm.mapping import CityMap
from utm.model import (
    Conditions,
    CostLayer,
    Decision,
    FlightPlan,
    GeoZone,
    IntentState,
    LayerKind,
    OperationalIntent,
    Restriction,
    RuleSet,
    Waypoint,
    Wind,
)

_FORMAT = 1
#: Folder of the values of the cost layers, inside the airspace's own.
_LAYERS = "layers"
#: How often a decision is made again because somebody wrote meanwhile.
_MOST_TRIES = 20
#: An intent may be activated this long before its departure.
_ACTIVATE_BEFORE_S = 900.0
#: Nonconforming for longer than this becomes Contingent (ASTM F3548-21).
_CONTINGENT_AFTER_S = 60.0

_ALLOWED = {
    IntentState.ACCEPTED: {IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.ENDED},
    IntentState.ACTIVATED: {IntentState.NONCONFORMING, IntentState.CONTINGENT, IntentState.ENDED},
    IntentState.NONCONFORMING: {IntentState.ACTIVATED, IntentState.CONTINGENT, IntentState.ENDED},
    IntentState.CONTINGENT: {IntentState.ENDED},
    IntentState.ENDED: set(),
}


class Airspace:
    """An airspace on disk: ``airspace.json`` names the map, the rules and the database.

    Time is handed in: ``clock`` returns Unix seconds.
    """

    def __init__(
        self,
        path: Path,
        city_map: CityMap,
        store: Store,
        rules: RuleSet,
        clock: Callable[[], float] = time.time,
    ):
        self.path, self.city_map, self.rules, self.clock = path, city_map, rules, clock
        self._store = store
        self._skies = Skies(city_map, rules)

    @classmethod
    def create(
        cls,
        path: str | Path,
        city_map: CityMap,
        *,
        database: str | None = None,
        rules: RuleSet | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Airspace:
        """Make a new airspace over a map.

        Args:
            path: directory to make; it must not exist, or be empty.
            database: SQLAlchemy URL; SQLite inside the directory when left out.

        Raises:
            InputError: the directory is in use.
            StoreError: the database is unreachable, or holds an airspace already.
        """
        path, rules = Path(path), rules or RuleSet()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError("exists already and is not empty", file=path, mend="Choose another directory.")
        path.mkdir(parents=True, exist_ok=True)
        url = database or f"sqlite:///{path.absolute() / 'airspace.db'}"
        store = Store(url)
        store.create({"map_version": city_map.version})
        document = {
            "format": _FORMAT,
            "map": os.path.relpath(Path(city_map.path).absolute(), path.absolute()),
            "map_version": city_map.version,
            "database": database,
            "rules": dataclasses.asdict(rules),
        }
        _write_whole(path / "airspace.json", json.dumps(document, indent=2) + "\n")
        return cls(path, city_map, store, rules, clock)

    @classmethod
    def open(cls, path: str | Path, *, clock: Callable[[], float] = time.time) -> Airspace:
        """Open an airspace.

        Raises:
            InputError: there is none, or its file is damaged.
            MapError: its map is gone, or no longer holds the version that it was made for.
            StoreError: its database is gone.
        """
        path = Path(path)
        file = path / "airspace.json"
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise InputError(f"has format {document['format']}, this engine reads {_FORMAT}", file=file)
            version, rules = str(document["map_version"]), RuleSet(**document["rules"])
            map_path, database = path / document["map"], document["database"]
            if not all(math.isfinite(figure) and figure >= 0 for figure in dataclasses.astuple(rules)):
                raise ValueError("the rules are numbers of 0 or more")
        except FileNotFoundError as error:
            raise InputError(
                "there is no airspace here", file=path, mend="Make one: utm init AIRSPACE --map MAP."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"is damaged ({error})", file=file, mend="Restore it from a backup.") from error
        try:
            city_map = CityMap.open(map_path, version)  # which need not be the current one any more
        except MapError as error:
            raise MapError(
                f"this airspace was made for version {version[:12]} of its map, which does not open ({error.problem})",
                file=map_path,
                mend="Put the map back, or make a new airspace.",
            ) from error
        if database is None and not (path / "airspace.db").is_file():
            raise StoreError(f"{path / 'airspace.db'} is gone")
        store = Store(database or f"sqlite:///{path.absolute() / 'airspace.db'}")
        try:
            if store.settings().get("map_version") != version:
                raise StoreError("the database belongs to an airspace over another map")
        except BaseException:
            store.close()
            raise
        return cls(path, city_map, store, rules, clock)

    def close(self) -> None:
        """Give back the database."""
        self._store.close()

    def __enter__(self) -> Airspace:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- plans ---------------------------------------------------------------------------------------------

    def submit(self, plan: FlightPlan) -> Decision:
        """Grant or refuse a plan, and remember the decision.

        Raises:
            PlanError: the plan cannot be judged as it stands.
            StateError: an intent of this id is live, or was granted before.
        """
        for _ in range(_MOST_TRIES):
            revision, zones, intents = self._store.situation()
            if self._store.intent(plan.id) is not None:
                raise StateError(f"{plan.id} was granted already; file under another id (and cancel the old one)")
            now = self.clock()
            decision = decide(Situation(self._skies, zones, now, self.conditions, OfIntents(intents)), plan)
            document = decision_document(self.city_map, decision)
            with contextlib.suppress(Stale):
                self._store.record(now, "decision", plan.id, document, revision=revision, intent=decision.intent)
                return decision
        raise StoreError(f"the airspace changed {_MOST_TRIES} times while {plan.id} was being decided; try again")

    def pad_at(self, lon_deg: float, lat_deg: float) -> Waypoint:
        """The surface at a place, as a pad. Raises InputError off the globe, MapError off the map."""
        check_lonlat(lon_deg, lat_deg)
        up = float(self.city_map.surface_up(*self.city_map.frame.to_map(lon_deg, lat_deg)))
        return Waypoint(lon_deg, lat_deg, up, self.city_map.frame.vertical)

    def route_answer(self, plan: FlightPlan, *, wind: Wind | None = None) -> RouteAnswer:
        """The way that a plan would fly if nobody else were there, with every figure worked out for it.

        Asks nobody, changes nothing.

        Args:
            wind: instead of the airspace's forecast.

        Raises:
            PlanError: the plan cannot be judged.
            Refusal: there is no way; says why, and what would open one.
        """
        places = resolve(self.city_map, plan)
        # Every zone that could be in force while it flies.
        window = (plan.earliest_departure_s, plan.earliest_departure_s + plan.aircraft.endurance_s)
        every = self._store.situation()[1]
        zones = in_the_way(every, plan, *window)
        conditions = self.conditions if wind is None else dataclasses.replace(self.conditions, wind=wind)
        try:
            route = find_route(self._skies, plan, places, zones, conditions)
        except (Refusal, CannotFly) as error:
            departure_s = plan.earliest_departure_s
            later = in_the_way(every, plan, departure_s, plan.latest_departure_s + DAY_S)
            found = why_not(self._skies, plan, places, zones, conditions, error, departure_s=departure_s, later=later)
            raise Refusal(found.code, found.sentence, found.relaxation) from error
        line = route.timed(plan, plan.earliest_departure_s)
        return RouteAnswer(plan, route, line, clearances_of(self._skies, plan, places, route), conditions)

    def intents(self) -> tuple[OperationalIntent, ...]:
        """Every intent ever granted, by departure."""
        return self._store.intents()

    def intent(self, intent_id: str) -> OperationalIntent:
        """One intent. Raises StateError when there is none of this id."""
        found = self._store.intent(intent_id)
        if found is None:
            refused = self._store.events(kind="decision", subject=intent_id)
            raise StateError(f"{intent_id} was refused" if refused else f"no plan {intent_id} has been granted here")
        return found

    def decision(self, plan_id: str) -> dict[str, Any]:
        """The last decision on a plan, as it was published. Raises StateError."""
        found = self._store.events(kind="decision", subject=plan_id)
        if not found:
            raise StateError(f"no plan {plan_id} has been decided here")
        return dict(found[-1].document)

    # --- states --------------------------------------------------------------------------------------------

    def activate(self, intent_id: str, now_s: float | None = None) -> OperationalIntent:
        """The flight is about to begin.

        Args:
            now_s: Unix seconds by the vehicle's clock, where that is the one that counts; the airspace's otherwise.

        Raises:
            StateError: outside its time, or from a state that does not allow it.
        """
        now = self.clock() if now_s is None else now_s
        line = self.intent(intent_id).corridor.centre_line
        if now < line.start_s - _ACTIVATE_BEFORE_S:
            raise StateError(
                f"{intent_id} departs in {line.start_s - now:.0f} s; activate it within 15 minutes of that"
            )
        if now > line.end_s:
            raise StateError(f"{intent_id} should have landed {now - line.end_s:.0f} s ago; file it again")
        return self._to(intent_id, IntentState.ACTIVATED, now)

    def end(self, intent_id: str, now_s: float | None = None) -> OperationalIntent:
        """The flight is over, or will not be flown; its room is free again. Raises StateError."""
        return self._to(intent_id, IntentState.ENDED, self.clock() if now_s is None else now_s)

    def cancel(self, intent_id: str) -> OperationalIntent:
        """Take back an accepted plan. Raises StateError once it is activated."""
        return self._to(intent_id, IntentState.ENDED, self.clock(), cancelled=True)

    def position(self, intent_id: str, t_s: float, enu_m: ArrayLike) -> Judgement:
        """Judge a reported position against the granted corridor, and move the intent's state accordingly.

        Outside makes an Activated intent Nonconforming; inside again makes it Activated again; outside for more than
        60 s makes it Contingent, for good.

        Args:
            t_s: when it was there, Unix seconds.
            enu_m: (3,) where, in the map's frame.

        Raises:
            StateError: the intent is not being flown.
            InputError: a number that is not finite.
        """
        enu = np.asarray(enu_m, np.float64)
        if not (np.isfinite(enu).all() and np.isfinite(t_s)):
            raise InputError("a position needs finite numbers", field="position", value=[t_s, *enu.tolist()])
        intent = self.intent(intent_id)
        if intent.state in (IntentState.ACCEPTED, IntentState.ENDED):
            raise StateError(f"{intent_id} is {intent.state}, not in flight; activate it first")
        judged = judge(intent.corridor, t_s, enu)
        last = self._store.positions().get(intent_id, {})
        since = None if judged.inside else (last.get("outside_since_s") or t_s)
        document = {
            "t_s": t_s,
            "enu_m": enu.tolist(),
            "inside": judged.inside,
            "cross_track_m": judged.cross_track_m,
            "height_error_m": judged.height_error_m,
            "outside_since_s": since,
        }
        self._store.record(t_s, "position", intent_id, {}, position=document)
        if judged.inside and intent.state is IntentState.NONCONFORMING:
            self._to(intent_id, IntentState.ACTIVATED, t_s)
        elif not judged.inside and intent.state is IntentState.ACTIVATED:
            self._to(intent_id, IntentState.NONCONFORMING, t_s)
        elif since is not None and t_s - since > _CONTINGENT_AFTER_S and intent.state is IntentState.NONCONFORMING:
            self._to(intent_id, IntentState.CONTINGENT, t_s)
        return judged

    def positions(self) -> dict[str, dict[str, Any]]:
        """The last judged position of each intent that reported one."""
        return self._store.positions()

    def _to(self, intent_id: str, state: IntentState, now_s: float, *, cancelled: bool = False) -> OperationalIntent:
        for _ in range(_MOST_TRIES):
            revision, _, _ = self._store.situation()
            intent = self.intent(intent_id)
            if cancelled and intent.state is not IntentState.ACCEPTED:  # asked anew in every round: it may start
                raise StateError(f"{intent_id} is {intent.state}; a flight that began is ended, not cancelled")
            if state not in _ALLOWED[intent.state]:
                raise StateError(f"{intent_id} is {intent.state} and cannot become {state}")
            changed = dataclasses.replace(intent, state=state, version=intent.version + 1)
            changed = dataclasses.replace(changed, ovn=ovn_of(changed))
            document = {
                "from": str(intent.state),
                "to": str(state),
                "version": changed.version,
                "ovn": changed.ovn,
            }
            with contextlib.suppress(Stale):
                self._store.record(now_s, "state", intent_id, document, revision=revision, intent=changed)
                return changed
        raise StoreError(f"the airspace changed {_MOST_TRIES} times while {intent_id} was to become {state}; try again")

    # --- zones ---------------------------------------------------------------------------------------------

    def zones(self) -> tuple[GeoZone, ...]:
        """Every zone, by id."""
        return self._store.situation()[1]

    def add_zones(self, zones: Sequence[GeoZone]) -> tuple[OperationalIntent, ...]:
        """Enter zones, replacing those of the same id; returns the live intents that a new zone stands in the way of.

        Those intents keep their state: what becomes of them is for a person to decide.

        Raises:
            ZoneError: a zone that makes no sense; none is entered.
        """
        for zone in zones:
            check_zone(zone)
        if twice := [zone.id for index, zone in enumerate(zones) if zone.id in {one.id for one in zones[:index]}]:
            raise ZoneError("two zones have this id", field=twice[0], mend="Give each its own; a later one replaces.")
        content = hashlib.sha256(json.dumps([zone_feature(zone) for zone in zones]).encode()).hexdigest()
        for _ in range(_MOST_TRIES):
            revision, _, intents = self._store.situation()
            document = {"zones": [zone.id for zone in zones], "sha256": content}
            with contextlib.suppress(Stale):
                self._store.record(
                    self.clock(), "zone-added", zones[0].id, document, revision=revision, zones=tuple(zones)
                )
                return tuple(intent for intent in intents if any(self._touches(zone, intent) for zone in zones))
        raise StoreError(f"the airspace changed {_MOST_TRIES} times while zones were being entered; try again")

    def remove_zone(self, zone_id: str) -> None:
        """Take a zone out. Raises StateError when there is none of this id."""
        for _ in range(_MOST_TRIES):
            revision, zones, _ = self._store.situation()
            if zone_id not in {zone.id for zone in zones}:
                raise StateError(f"there is no zone {zone_id}; `utm zone list` shows those there are")
            with contextlib.suppress(Stale):
                self._store.record(self.clock(), "zone-removed", zone_id, {}, revision=revision, removed_zone=zone_id)
                return
        raise StoreError(f"the airspace changed {_MOST_TRIES} times while {zone_id} was being removed; try again")

    # --- conditions ----------------------------------------------------------------------------------------

    @property
    def conditions(self) -> Conditions:
        """The forecast wind and the cost layers by which ways are chosen.

        Raises:
            StoreError: the values of a layer are gone.
        """
        return conditions_from(self._store.conditions(), self.path / _LAYERS)

    def set_wind(self, wind: Wind) -> None:
        """Replace the forecast. What was granted before stays granted."""
        self._change_conditions("wind", lambda now: dataclasses.replace(now, wind=wind))

    def set_layer(self, layer: CostLayer) -> None:
        """Enter a cost layer, replacing one of the same name."""
        keep_values(self.path / _LAYERS, layer)
        self._change_conditions(
            layer.name,
            lambda now: dataclasses.replace(
                now, layers=(*(one for one in now.layers if one.name != layer.name), layer)
            ),
        )

    def remove_layer(self, name: str) -> None:
        """Take a cost layer out. Raises StateError when there is none of this name."""

        def without(now: Conditions) -> Conditions:
            kept = tuple(layer for layer in now.layers if layer.name != name)
            if len(kept) == len(now.layers):
                raise StateError(f"there is no cost layer {name}; `utm layer list` shows those there are")
            return dataclasses.replace(now, layers=kept)

        self._change_conditions(name, without)

    def read_layer(
        self, path: str | Path, name: str, kind: LayerKind, weight: float, fill: float | None = None
    ) -> CostLayer:
        """A raster as a cost layer over this airspace's map. Raises InputError."""
        return read_layer(Path(path), self._skies, name, kind, weight, fill)

    def _change_conditions(self, subject: str, change: Callable[[Conditions], Conditions]) -> None:
        for _ in range(_MOST_TRIES):
            revision, _, _ = self._store.situation()
            document = conditions_document(change(self.conditions))
            with contextlib.suppress(Stale):
                self._store.record(
                    self.clock(), "conditions", subject, document, revision=revision, conditions=document
                )
                return
        raise StoreError(f"the airspace changed {_MOST_TRIES} times while its conditions were being changed; try again")

    def _touches(self, zone: GeoZone, intent: OperationalIntent) -> bool:
        """Whether a zone, in force at that time, meets the granted volumes (never misses; may be too careful)."""
        if zone.restriction is Restriction.NO_RESTRICTION or (
            zone.restriction is not Restriction.PROHIBITED and zone.id in intent.plan.authorisations
        ):
            return False
        for volume in intent.volumes:
            if not active_intervals(zone, volume.start_s, volume.end_s):
                continue
            footprint = shapely.Polygon(volume.outline_m)
            columns = self.city_map.window(*footprint.bounds)
            if not outline_m(zone, columns, self.city_map.frame).intersects(footprint):
                continue
            out = keep_out(zone, columns, self.city_map.frame, self.rules)
            lower, upper = (np.broadcast_to(limit, out.mask.shape)[out.mask] for limit in (out.lower_m, out.upper_m))
            if ((lower <= volume.ceiling_m) & (upper >= volume.floor_m)).any():
                return True
        return False

    # --- the log -------------------------------------------------------------------------------------------

    def events(self, after: int = 0) -> Iterator[Event]:
        """The log from a sequence number on (exclusive), oldest first."""
        yield from self._store.events(after)


def _write_whole(path: Path, text: str) -> None:
    """Write beside, then rename: a reader sees the old file or the new, nothing between."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
