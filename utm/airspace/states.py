"""States of an operational intent and their versions (ASTM F3548-21)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from utm.airspace.granting import ovn_of
from utm.errors import StateError
from utm.model import Corridor, IntentState, OperationalIntent

#: An intent may be activated this long before its departure.
_ACTIVATE_BEFORE_S = 900.0

#: Where each state may lead. Nonconforming may recover, Contingent may not; Ended is the end.
ALLOWED: dict[IntentState, frozenset[IntentState]] = {
    IntentState.ACCEPTED: frozenset({IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.ENDED}),
    IntentState.ACTIVATED: frozenset({IntentState.NONCONFORMING, IntentState.CONTINGENT, IntentState.ENDED}),
    IntentState.NONCONFORMING: frozenset({IntentState.ACTIVATED, IntentState.CONTINGENT, IntentState.ENDED}),
    IntentState.CONTINGENT: frozenset({IntentState.ENDED}),
    IntentState.ENDED: frozenset(),
}
#: Flights that left what they were granted: exempt from presenting anybody's OVN, and never told to give way.
ASTRAY = frozenset({IntentState.NONCONFORMING, IntentState.CONTINGENT})


def next_version(intent: OperationalIntent, state: IntentState, **changes: Any) -> OperationalIntent:
    """The next version of an intent, with its own OVN."""
    changed = dataclasses.replace(intent, state=state, version=intent.version + 1, **changes)
    return dataclasses.replace(changed, ovn=ovn_of(changed))


def state_effect(intent: OperationalIntent) -> dict[str, Any]:
    """What the log says of an intent that changed in nothing but its state."""
    return {"id": intent.id, "state": str(intent.state), "version": intent.version, "ovn": intent.ovn}


def moved_to(
    intent: OperationalIntent,
    state: IntentState,
    now_s: float,
    met: Callable[[Corridor], Iterable[OperationalIntent]],
) -> OperationalIntent:
    """The next version of an intent in another state.

    Args:
        met: live intents that come too near to a corridor.

    Raises:
        StateError: its state, or the time, does not allow it; or it would be activated into somebody's way.
    """
    if state not in ALLOWED[intent.state]:
        raise StateError(f"{intent.id} is {intent.state} and cannot become {state}")
    if (intent.state, state) == (IntentState.ACCEPTED, IntentState.ACTIVATED):
        _check_time(intent, now_s)
        # Whoever strayed or overran may have taken room that was granted before.
        others = [other.id for other in met(intent.corridor) if other.id != intent.id]
        if others:
            raise StateError(f"{intent.id} would meet {', '.join(others)}, which took more than it had; file it again")
    return next_version(intent, state)


def _check_time(intent: OperationalIntent, now_s: float) -> None:
    line = intent.corridor.centre_line
    if now_s < line.start_s - _ACTIVATE_BEFORE_S:
        raise StateError(f"{intent.id} departs in {line.start_s - now_s:.0f} s; activate it within 15 minutes of that")
    if now_s > line.end_s:
        raise StateError(f"{intent.id} should have landed {now_s - line.end_s:.0f} s ago; file it again")
