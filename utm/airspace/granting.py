"""What is granted: the intent of an option that meets nobody, and the number that proves who saw which version."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from utm.airspace.case import Case, Option
from utm.airspace.conditions import conditions_hash
from utm.airspace.documents import plan_document
from utm.airspace.routing import clearances_of
from utm.airspace.zones import zone_hash
from utm.model import IntentState, OperationalIntent


def intent_of(case: Case, option: Option) -> OperationalIntent:
    """The intent that grants an option of a case.

    Its neighbours are the live intents that are near its corridor as the situation's traffic says it (`TrafficView`):
    whoever might come too near, flown exactly as granted; whoever it displaces is none.
    """
    plan, situation = case.plan, case.situation
    near = case.beside(option)
    intent = OperationalIntent(
        id=plan.id,
        plan=plan,
        state=IntentState.ACCEPTED,
        version=1,
        ovn="",
        corridor=option.corridor,
        map_version=situation.skies.city_map.version,
        zones=tuple(f"{zone.id}@{zone_hash(zone)}" for zone in situation.zones),
        neighbours=tuple(f"{other.id}@{other.ovn}" for other in near),
        clearances=_clearances(case, option, near),
        conditions=conditions_hash(situation.conditions),
        judged=(situation.traffic.seq, situation.traffic.digest),
    )
    return dataclasses.replace(intent, ovn=ovn_of(intent))


def _clearances(case: Case, option: Option, near: tuple[OperationalIntent, ...]) -> dict[str, float]:
    found = clearances_of(case.skies, case.plan, case.places, option.route)
    nearest = min((case.meeting(option, other)[0] for other in near), default=math.inf)
    return found | ({"separation_m": nearest} if math.isfinite(nearest) else {})


def ovn_of(intent: OperationalIntent) -> str:
    """The opaque version number: a hash of everything that another operator must have seen."""
    line = intent.corridor.centre_line
    content = json.dumps(
        [
            plan_document(intent.plan),
            str(intent.state),
            intent.version,
            intent.map_version,
            line.t_s.tolist(),
            line.enu_m.tolist(),
            [intent.corridor.half_width_m, intent.corridor.below_m, intent.corridor.above_m],
            [intent.corridor.time_tolerance_s, intent.corridor.pad_hold_s],
            [intent.corridor.tube.horizontal_m, intent.corridor.tube.vertical_m],
        ],
        sort_keys=True,
    )
    return hashlib.sha256(content.encode()).hexdigest()[:32]
