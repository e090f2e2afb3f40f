"""The authority: one airspace over one city map, its zones, its intents, its log."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from utm.airspace import answers
from utm.airspace.answer import RouteAnswer
from utm.airspace.conditions import conditions_document, keep_values, read_layer
from utm.airspace.database import Database, Loaded
from utm.airspace.documents import zone_feature
from utm.airspace.emergency import Closed
from utm.airspace.fleet import Fleet
from utm.airspace.following import FLYING, Followed, Upkeep, last_report, reported, unheard, upkeep
from utm.airspace.journal import Answer, Journal, Question
from utm.airspace.ledger import Entry, Fault, Head, SigningKey, faults
from utm.airspace.lookout import look_ahead
from utm.airspace.moving import Move
from utm.airspace.picture import NOTHING, Picture, View
from utm.airspace.places import Refusal, resolve
from utm.airspace.publish import decision_published, since_document
from utm.airspace.records import intent_from
from utm.airspace.replay import Replayed, replay
from utm.airspace.routing import clearances_of, find_route
from utm.airspace.space import Skies
from utm.airspace.trajectories import parse_trajectory
from utm.airspace.why import why_not
from utm.airspace.world import World
from utm.airspace.zones import DAY_S, in_the_way
from utm.core import Judgement, Report
from utm.core.advisories import Advice
from utm.errors import CannotFly, InputError, MapError, PlanError, StateError, StoreError
from utm.frames import check_lonlat
from utm.mapping import CityMap
from utm.model import (
    Actor,
    Conditions,
    CostLayer,
    Decision,
    FlightPlan,
    GeoZone,
    IntentState,
    LayerKind,
    OperationalIntent,
    Receipt,
    Role,
    RuleSet,
    Trajectory,
    Waypoint,
    Wind,
)

_FORMAT = 2
#: Folder of the values of the cost layers, and the key that signs the log, inside the airspace's own.
_LAYERS = "layers"
_KEY = "signing.key"
#: Who enters zones and forecasts when nobody is named.
CITY = Actor("city", Role.CITY)


class Airspace:
    """An airspace on disk: ``airspace.json`` names the map, the rules and the database.

    Time is handed in: ``clock`` returns Unix seconds. Any number of threads and processes may ask at once.
    """

    def __init__(
        self,
        path: Path,
        city_map: CityMap,
        database: Database,
        loaded: Loaded,
        rules: RuleSet,
        clock: Callable[[], float] = time.time,
    ):
        self.path, self.rules, self.clock = path, rules, clock
        self._database = database
        maps = {city_map.version: city_map}
        self._world = World(
            lambda version: maps.get(version) or CityMap.open(city_map.path, version), rules, path / _LAYERS
        )
        self._journal = Journal(database, Picture(loaded, rules))
        self._asked = threading.local()

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
        key = SigningKey.generate()
        store = Database(database or _sqlite(path), key)
        try:
            store.create({"map_version": city_map.version, "public_key": key.public})
            key.save(path / _KEY)
            document = {
                "format": _FORMAT,
                "map": os.path.relpath(Path(city_map.path).absolute(), path.absolute()),
                "database": database,
                "rules": dataclasses.asdict(rules),
            }
            _write_whole(path / "airspace.json", json.dumps(document, indent=2) + "\n")
            return cls(path, city_map, store, store.load(), rules, clock)
        except BaseException:
            store.close()
            raise

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
                raise InputError(
                    f"has format {document['format']}, this engine reads {_FORMAT}",
                    file=file,
                    mend="Make a new airspace: utm init AIRSPACE --map MAP.",
                )
            rules = RuleSet(**document["rules"])
            map_path, database = path / document["map"], document["database"]
            if not all(math.isfinite(figure) and figure >= 0 for figure in dataclasses.astuple(rules)):
                raise ValueError("the rules are numbers of 0 or more")
        except FileNotFoundError as error:
            raise InputError(
                "there is no airspace here", file=path, mend="Make one: utm init AIRSPACE --map MAP."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"is damaged ({error})", file=file, mend="Restore it from a backup.") from error
        if database is None and not (path / "airspace.db").is_file():
            raise StoreError(f"{path / 'airspace.db'} is gone")
        store = Database(database or _sqlite(path), SigningKey.load(path / _KEY))
        try:
            store.settings()  # of another version of this engine, or no airspace at all?
            loaded = store.load()
            version = loaded.map_version
            try:
                city_map = CityMap.open(map_path, version)  # which need not be the current one any more
            except MapError as error:
                raise MapError(
                    f"this airspace stands on version {version[:12]} of its map, which does not open ({error.problem})",
                    file=map_path,
                    mend="Put the map back, or make a new airspace.",
                ) from error
            return cls(path, city_map, store, loaded, rules, clock)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Give back the database."""
        self._journal.close()
        self._database.close()

    def __enter__(self) -> Airspace:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def city_map(self) -> CityMap:
        """The version of the map that is in force."""
        return self._skies.city_map

    @property
    def _skies(self) -> Skies:
        with self._journal.picture.view() as view:
            return self._world.skies(view.map_version)

    # --- asking --------------------------------------------------------------------------------------------

    def _ask(
        self,
        kind: str,
        subject: str,
        request: Mapping[str, Any],
        *,
        at_s: float | None = None,
    ) -> Answer:
        now_s = self.clock() if at_s is None else at_s
        return self._answered(answers.question(self._world, kind, subject, request, now_s))

    def _answered(self, question: Question) -> Answer:
        self._asked.receipt, answer = self._journal.ask(question)
        return answer

    @property
    def receipt(self) -> Receipt | None:
        """Of the last request that this thread made and that was answered."""
        return getattr(self._asked, "receipt", None)

    @property
    def public_key(self) -> str:
        """The key (hex, Ed25519) by which receipts and the log are verified."""
        return self._database.settings()["public_key"]

    # --- plans ---------------------------------------------------------------------------------------------

    def submit(self, plan: FlightPlan, *, choose: str = "any", actor: Actor | None = None) -> Decision:
        """Grant or refuse a plan, and remember the decision. One that brings its trajectory is checked as it stands.

        Args:
            choose: which change may be granted when the wish cannot: ``any`` takes the one that arrives first,
                ``delay``, ``height`` or ``route`` only that one.
            actor: who asks; the plan's operator when left out.

        Raises:
            PlanError: the plan cannot be judged as it stands.
            StateError: an intent of this id is live, or was granted before.
        """
        if plan.trajectory:
            line = parse_trajectory(self._skies, plan.trajectory)
            return self.check(dataclasses.replace(plan, trajectory=()), line, actor=actor)
        if self._database.entry_of(plan.id) is not None:
            raise StateError(f"{plan.id} was granted already; file under another id (and cancel the old one)")
        request = answers.plan_request(plan, choose, actor or Actor(plan.operator, Role.OPERATOR))
        decision = self._ask("plan", plan.id, request).result
        return dataclasses.replace(decision, receipt=self.receipt)

    def check(self, plan: FlightPlan, line: Trajectory, *, actor: Actor | None = None) -> Decision:
        """Grant a trajectory that the operator brings, as it stands, or refuse it with every reason.

        Args:
            plan: who flies what, from which pad to which, within which time.
            line: where it is when, metres in the map's frame and Unix seconds, straight between its points.
            actor: who asks; the plan's operator when left out.

        Raises:
            PlanError, StateError: as `submit`.
        """
        actor = actor or Actor(plan.operator, Role.OPERATOR)
        asked = answers.check_question(self._world, plan, line, actor, self.clock())
        decision = self._answered(asked).result
        return dataclasses.replace(decision, receipt=self.receipt)

    def submit_fleet(
        self,
        plans: Sequence[FlightPlan],
        *,
        choose: str = "any",
        seed: int = 0,
        rounds: int = 20,
        actor: Actor | None = None,
    ) -> Fleet:
        """Decide several plans together: with less delay in all than first come first served, never with more.

        Args:
            seed: of the search for something better; stands in the log.
            rounds: of that search.
            actor: who asks; the operator of all plans when left out.

        Raises:
            PlanError: two plans of one id, or of several operators without an actor.
            StateError: one of these ids was granted before.
        """
        _check_some(plans, "plans")
        operators = sorted({plan.operator for plan in plans})
        if actor is None and len(operators) != 1:
            raise PlanError("plans of several operators", field="operator", value=operators, mend="Say who asks.")
        for plan in plans:
            if plan.trajectory:
                raise PlanError("is checked as it stands", field="trajectory", mend="File it alone.")
            if self._database.entry_of(plan.id) is not None:
                raise StateError(f"{plan.id} was granted already; file under another id (and cancel the old one)")
        actor = actor or Actor(operators[0], Role.OPERATOR)
        request = answers.fleet_request(plans, choose, seed, rounds, actor)
        return self._ask("fleet", plans[0].id, request).result

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
        self._journal.follow()
        with self._journal.picture.view() as view:
            skies, every = self._world.skies(view.map_version).for_aircraft(plan.aircraft), view.zones
            conditions = self._world.conditions(view.conditions)
        places = resolve(skies.city_map, plan)
        # Every zone that could be in force while it flies.
        window = (plan.earliest_departure_s, plan.earliest_departure_s + plan.aircraft.endurance_s)
        zones = in_the_way(every, plan, *window)
        conditions = conditions if wind is None else dataclasses.replace(conditions, wind=wind)
        try:
            route = find_route(skies, plan, places, zones, conditions)
        except (Refusal, CannotFly) as error:
            departure_s = plan.earliest_departure_s
            later = in_the_way(every, plan, departure_s, plan.latest_departure_s + DAY_S)
            found = why_not(skies, plan, places, zones, conditions, error, departure_s=departure_s, later=later)
            raise Refusal(found.code, found.sentence, found.relaxation) from error
        line = route.timed(plan, plan.earliest_departure_s)
        return RouteAnswer(plan, route, line, clearances_of(skies, plan, places, route), conditions)

    def intents(self) -> tuple[OperationalIntent, ...]:
        """Every intent ever granted, by departure."""
        return tuple(intent_from(document) for document in self._database.intents())

    def intent(self, intent_id: str) -> OperationalIntent:
        """One intent. Raises StateError when there is none of this id."""
        found = self._database.intent(intent_id)
        if found is None:
            refused = self._database.entries(kind="plan", subject=intent_id)
            raise StateError(f"{intent_id} was refused" if refused else f"no plan {intent_id} has been granted here")
        return intent_from(found)

    def decision(self, plan_id: str) -> dict[str, Any]:
        """The last decision on a plan, as it is published. Raises StateError."""
        found = [entry for entry in self._database.entries(subject=plan_id) if entry.kind in ("plan", "check")]
        fleets = self._database.stream(kind="fleet")
        found += [one for one in fleets if any(plan["id"] == plan_id for plan in one.body["request"]["plans"])]
        if not found:
            raise StateError(f"no plan {plan_id} has been decided here")
        return decision_published(self.city_map, max(found, key=lambda entry: entry.seq), plan_id)

    def since(self, plan_id: str, seq: int) -> list[dict[str, Any]]:
        """What became of a plan after an entry of the log: every change of its state or its corridor."""
        return since_document(self._database.stream(seq), plan_id)

    # --- states --------------------------------------------------------------------------------------------

    def activate(self, intent_id: str, now_s: float | None = None, *, actor: Actor | None = None) -> OperationalIntent:
        """The flight is about to begin.

        Args:
            now_s: Unix seconds by the vehicle's clock, where that is the one that counts; the airspace's otherwise.
            actor: who asks; its operator when left out.

        Raises:
            StateError: outside its time, or from a state that does not allow it.
        """
        return self._to(intent_id, IntentState.ACTIVATED, now_s, actor)

    def end(self, intent_id: str, now_s: float | None = None, *, actor: Actor | None = None) -> OperationalIntent:
        """The flight is over, or will not be flown; its room is free again. Raises StateError."""
        return self._to(intent_id, IntentState.ENDED, now_s, actor)

    def cancel(self, intent_id: str, *, actor: Actor | None = None) -> OperationalIntent:
        """Take back an accepted plan. Raises StateError once it is activated."""
        return self._to(intent_id, IntentState.ENDED, None, actor, cancel=True)

    def position(
        self,
        intent_id: str,
        t_s: float,
        enu_m: ArrayLike,
        *,
        landed: bool = False,
        received_s: float | None = None,
    ) -> Judgement:
        """Judge a reported position against the granted corridor, and move the intent's state accordingly.

        Outside makes an Activated intent Nonconforming; inside again makes it Activated again; outside for more than
        60 s makes it Contingent, for good (`utm.core.conforming` says it in full).

        Args:
            t_s: when it was there, Unix seconds by the vehicle's clock.
            enu_m: (3,) where, in the map's frame.
            landed: whether it says that it stands on the ground.
            received_s: by the clock of whoever judges; the report's own time when left out.

        Raises:
            StateError: the intent is not being flown.
            InputError: a number that is not finite.
        """
        enu = np.asarray(enu_m, np.float64)
        if not (np.isfinite(enu).all() and np.isfinite(t_s)):
            raise InputError("a position needs finite numbers", field="position", value=[t_s, *enu.tolist()])
        intent = self._live(intent_id)
        if intent.state not in FLYING:
            raise StateError(f"{intent_id} is {intent.state}, not in flight; activate it first")
        kept = self._database.position(intent_id)
        report = Report(t_s, tuple(enu.tolist()), landed)
        followed = reported(intent, kept, report, t_s if received_s is None else received_s)
        self._database.put_positions({intent_id: followed.document})
        # By the judge's clock: what others are told to do must not hang on the clock of a drone that went astray
        self._conform(intent, followed, t_s if received_s is None else received_s)
        return followed.judged

    def _conform(self, intent: OperationalIntent, followed: Followed, now_s: float) -> None:
        """Bring the intent's state to what its reports have shown."""
        state = followed.conformity.state
        if state is intent.state or intent.state is IntentState.CONTINGENT:
            return
        try:
            self._to(intent.id, state, now_s)
        except StateError:
            if self._live(intent.id).state is intent.state:
                raise
            # Somebody else moved or ended it meanwhile; the next report is judged against that

    def upkeep(self, now_s: float | None = None) -> Upkeep:
        """What the clock asks for: silent drones lose their state, no-shows end, overruns are held on.

        To be called every few seconds by whoever watches an airspace; costs little when there is nothing to do.
        """
        now_s = self.clock() if now_s is None else now_s
        self._journal.follow()
        kept = self._database.positions()
        with self._journal.picture.view() as view:
            flying = [intent for intent in view.live() if intent.state in FLYING]
            reports = {one.id: last_report(kept.get(one.id)) for one in flying}
            heard = {name: report for name, report in reports.items() if report is not None}
            due = upkeep(self._world.situation(view, now_s), view, heard).effects != NOTHING
        silent = [(one, unheard(one, kept.get(one.id), now_s)) for one in flying]
        self._database.put_positions({one.id: followed.document for one, followed in silent if followed.news})
        for intent, followed in silent:
            self._conform(intent, followed, now_s)
        if not due:
            return Upkeep()
        request = {"reports": {name: [one.t_s, list(one.enu_m), one.landed] for name, one in heard.items()}}
        return self._ask("upkeep", "", request, at_s=now_s).result

    def look_ahead(self, now_s: float | None = None) -> tuple[Advice, ...]:
        """Which drones in the air come too near to each other within 30 s, and what to tell them."""
        self._journal.follow()
        with self._journal.picture.view() as view:
            skies, live = self._world.skies(view.map_version), view.live()
        return look_ahead(skies, live, self._database.positions(), self.clock() if now_s is None else now_s)

    def positions(self) -> dict[str, dict[str, Any]]:
        """The last judged position of each intent that reported one."""
        return {name: one for name, one in self._database.positions().items() if "enu_m" in one}

    def _live(self, intent_id: str) -> OperationalIntent:
        """A live intent from the picture, brought up to date; whatever the database says of it otherwise."""
        self._journal.follow()
        with self._journal.picture.view() as view:
            return view.get(intent_id) or self.intent(intent_id)

    def _to(
        self,
        intent_id: str,
        state: IntentState,
        now_s: float | None,
        actor: Actor | None = None,
        *,
        cancel: bool = False,
    ) -> OperationalIntent:
        intent = self._live(intent_id)  # says what is wrong with an id that is not live
        if intent.state is IntentState.ENDED:
            raise StateError(f"{intent_id} is {intent.state} and cannot become {state}")
        actor = actor or Actor(intent.plan.operator, Role.OPERATOR)
        request = answers.state_request(intent_id, state, actor, cancel=cancel)
        return self._ask("state", intent_id, request, at_s=now_s).result

    # --- zones ---------------------------------------------------------------------------------------------

    def zones(self) -> tuple[GeoZone, ...]:
        """Every zone, by id."""
        return self._looked(lambda view: view.zones)

    def add_zones(self, zones: Sequence[GeoZone], *, actor: Actor = CITY) -> tuple[Move, ...]:
        """Enter zones, replacing those of the same id; says what became of the live intents that they touch.

        Raises:
            ZoneError: a zone that makes no sense; none is entered.
        """
        _check_some(zones, "zones")
        request = {"zones": [zone_feature(zone) for zone in zones], "actor": answers.actor_document(actor)}
        return self._ask("zones", zones[0].id, request).result

    def remove_zone(self, zone_id: str, *, actor: Actor = CITY) -> None:
        """Take a zone out. Raises StateError when there is none of this id."""
        self._ask("zone-removed", zone_id, {"zone": zone_id, "actor": answers.actor_document(actor)})

    def close_volume(self, zones: Sequence[GeoZone], *, actor: Actor = CITY) -> Closed:
        """An emergency: close zones now. Whoever would fly into them is told to hold before them.

        Those that are touched need a new way then: `make_way`, one after the other.

        Raises:
            ZoneError: a zone that makes no sense; none is entered.
        """
        _check_some(zones, "zones")
        request = {"zones": [zone_feature(zone) for zone in zones], "actor": answers.actor_document(actor)}
        return self._ask("emergency", zones[0].id, request).result

    def make_way(self, intent_ids: Sequence[str], *, actor: Actor = CITY) -> tuple[Move, ...]:
        """Give live flights another way around whatever now stands in it; those that have ended are left out."""
        _check_some(intent_ids, "flights")
        request = {"intents": list(intent_ids), "actor": answers.actor_document(actor)}
        return self._ask("way", intent_ids[0], request).result

    def rebase(self, map_version: str | None = None, *, actor: Actor = CITY) -> tuple[Move, ...]:
        """Go on over another version of the map; says what became of the live intents that it touches.

        Args:
            map_version: the current one of the map when left out.

        Raises:
            MapError: the map has no such version, or another frame or grid.
            StateError: the airspace stands on it already.
        """
        version = map_version or CityMap.open(self.city_map.path).version
        request = {"map_version": version, "actor": answers.actor_document(actor)}
        return self._ask("map", version, request).result

    # --- conditions ----------------------------------------------------------------------------------------

    @property
    def conditions(self) -> Conditions:
        """The forecast wind and the cost layers by which ways are chosen.

        Raises:
            StoreError: the values of a layer are gone.
        """
        return self._world.conditions(self._looked(lambda view: view.conditions))

    def set_wind(self, wind: Wind) -> None:
        """Replace the forecast. What was granted before stays granted."""
        document = conditions_document(Conditions(wind=wind))
        self._change_conditions("wind", {"wind": document["wind"]})

    def set_layer(self, layer: CostLayer) -> None:
        """Enter a cost layer, replacing one of the same name."""
        keep_values(self.path / _LAYERS, layer)
        self._change_conditions(layer.name, {"layer": conditions_document(Conditions(layers=(layer,)))["layers"][0]})

    def remove_layer(self, name: str) -> None:
        """Take a cost layer out. Raises StateError when there is none of this name."""
        self._change_conditions(name, {"layer_removed": name})

    def read_layer(
        self, path: str | Path, name: str, kind: LayerKind, weight: float, fill: float | None = None
    ) -> CostLayer:
        """A raster as a cost layer over this airspace's map. Raises InputError."""
        return read_layer(Path(path), self._skies, name, kind, weight, fill)

    def _change_conditions(self, subject: str, change: Mapping[str, Any], actor: Actor = CITY) -> None:
        self._ask("conditions", subject, {**change, "actor": answers.actor_document(actor)})

    # --- the log -------------------------------------------------------------------------------------------

    def events(self, after: int = 0, *, upto: int | None = None) -> Iterator[Entry]:
        """The log from a sequence number on (exclusive) up to another (inclusive), oldest first."""
        yield from self._database.stream(after, upto=upto)

    def news(self, consumer: str, wait_s: float = 0.0) -> tuple[Entry, ...]:
        """What the log holds that a consumer has not taken yet: the outbox for other processes.

        Where each consumer is stands in the database, so that nothing is missed by whoever was away, and what was
        handed out but not `taken` is handed out again.

        Args:
            wait_s: how long to wait for something, where there is nothing.
        """
        seq = self._database.cursor(consumer)
        if wait_s > 0.0:
            self._database.wait(seq, wait_s)
        return self._database.entries(seq)

    def taken(self, consumer: str, seq: int) -> None:
        """A consumer is done with everything up to an entry."""
        self._database.advance(consumer, seq)

    @property
    def head(self) -> Head:
        """The end of the log: its last entry's number, digest and signature."""
        return self._database.head()

    def audit(self, receipts: Sequence[Head] = ()) -> tuple[list[Fault], int]:
        """Everything in the log that is not as it was written, and how many entries there are.

        Args:
            receipts: that others kept; what they speak of must still be there.
        """
        head, seen = self._database.head(), 0

        def counted() -> Iterator[Entry]:
            nonlocal seen
            for entry in self._database.stream():
                seen += 1
                yield entry

        return faults(counted(), self.public_key, head=head, receipts=receipts), seen

    def replay(self) -> Iterator[Replayed]:
        """Decide the whole log again."""
        return replay(self._database.stream(), self._world, self._database.settings()["map_version"])

    def entry_of(self, intent_id: str) -> int | None:
        """Which entry holds the present corridor of an intent; None where none was ever granted."""
        return self._database.entry_of(intent_id)

    def map_of(self, version: str) -> CityMap:
        """A version of the map. Raises MapError when it does not open."""
        return self._world.city_map(version)

    def _looked(self, look: Callable[[View], Any]) -> Any:
        self._journal.follow()
        with self._journal.picture.view() as view:
            return look(view)


def _check_some(given: Sequence[Any], what: str) -> None:
    if not given:
        raise InputError(f"no {what} were handed in", mend="Hand in one or more.")


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path.absolute() / 'airspace.db'}"


def _write_whole(path: Path, text: str) -> None:
    """Write beside, then rename: a reader sees the old file or the new, nothing between."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
