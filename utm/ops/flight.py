"""What flying is told and what it tells: a flight, how to conduct it, and news of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core.conformance import judge as judge_position
from utm.frames import LocalFrame
from utm.model import OperationalIntent, VehicleState
from utm.ops.ports import Judge, Vehicle, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """What is to be flown, by whom, and who judges it."""

    intent: OperationalIntent
    frame: LocalFrame
    """Of the map that the intent was granted on."""
    vehicle: Vehicle
    """Not yet connected; flying connects and closes it."""
    judge: Judge = judge_position


class Reaction(enum.StrEnum):
    """What a drone that leaves its corridor is told."""

    HOLD = "hold"
    RETURN = "return"
    LAND = "land"
    WATCH = "watch"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How flights are run. Seconds by the vehicle's clock, where nothing else is said."""

    reaction: Reaction = Reaction.HOLD
    arm_lead_s: float = 8.0
    """Armed this long before it departs ..."""
    start_lead_s: float = 4.0
    """... and started this long before. PX4 spools its motors up for 2 s and lifts off gently, which the planned
    trajectory leaves out: started at the minute it would fly some 6 s behind its time."""
    start_late_s: float = 3.0
    """Started at most this much after that moment; later it is not flown."""
    report_every_s: float = 1.0
    pace_every_s: float = 3.0
    """How often it is told to fly faster or slower, when it is not in time."""
    take_off_within_s: float = 30.0
    """After its departure; later it is called off."""
    overdue_s: float = 120.0
    """After its planned landing; later nobody waits for it any more."""
    connect_timeout_s: float = 10.0
    """On the ground's clock."""
    ready_timeout_s: float = 60.0
    """On the ground's clock."""
    look_every_s: float = 0.05
    """How often the airspace's log is looked at for news, on the ground's clock."""
    retry_s: float = 1.0
    """Between two tries to reach an airspace that does not answer, on the ground's clock."""
    deliver_within_s: float = 10.0
    """How long a flight that is over waits until the airspace knows, on the ground's clock."""


#: As flights are run where nobody says otherwise.
USUAL = Conduct()


class Phase(enum.StrEnum):
    """How far a flight has come."""

    CONNECTED = "connected"
    LOADED = "loaded"
    ARMED = "armed"
    STARTED = "started"
    FLYING = "flying"
    OUTSIDE = "outside"
    HOLDING = "holding"
    LANDED = "landed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """News of one flight: a change of phase with a sentence, or one more judged position (no sentence)."""

    intent_id: str
    phase: Phase
    sentence: str = ""
    state: VehicleState | None = None
    enu_m: NDArray[np.float64] | None = None
    verdict: Verdict | None = None


OnUpdate = Callable[[Update], None]
