"""Deciding a fleet together: prioritised planning, improved by large-neighbourhood search.

First come first served is one order of many, and a plan that is decided late pays for all before it. So the fleet is
decided once in the order in which it was filed; then, a bounded number of times, a few plans are taken out and decided
again in another order against all others; what is better is kept. The result is never worse than first come first
served, and depends on nothing but plans, situation, seed and number of rounds.

Source: J. Li, Z. Chen, D. Harabor, P. J. Stuckey, S. Koenig, "Anytime multi-agent path finding via large neighborhood
search", IJCAI 2021: prioritised planning inside the neighbourhood, and neighbourhoods around the agent that is delayed
most. The bound is a count of rounds instead of a clock, so that a decision can be replayed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from utm.airspace.admission import decide
from utm.airspace.situation import Overlay, Situation, Standing
from utm.errors import PlanError
from utm.model import Decision, FlightPlan, OperationalIntent

#: How many plans are taken out at once.
_NEIGHBOURHOOD = 4
#: What a refusal counts for, beside delays (seconds): more than any delay within a window.
_REFUSED_S = 7 * 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """The decisions on some plans, in the order in which they were handed in."""

    outcomes: tuple[Decision | PlanError, ...]
    delay_s: float
    """Sum over the granted plans of how much later they arrive than they asked for."""
    delay_in_turn_s: float
    """The same, had they been decided first come first served."""
    refused: int
    refused_in_turn: int
    rounds: int
    better_rounds: int
    """How many rounds brought something better."""


def decide_fleet(
    situation: Situation,
    plans: Sequence[FlightPlan],
    *,
    seed: int = 0,
    rounds: int = 20,
    choose: str = "any",
    tell: Callable[[int], None] = lambda done: None,
) -> Fleet:
    """Decide plans together.

    Args:
        seed: of the random choices.
        rounds: of the search for something better than first come first served; 0 is first come first served.
        tell: called with the number of rounds done.
    """
    turn = sorted(range(len(plans)), key=lambda n: -plans[n].priority)  # stable: in their order within a priority
    found = _decided(situation, plans, {}, turn, choose)
    first = _cost(plans, found)
    best, kept = first, 0
    dice = random.Random(seed)
    for done in range(rounds):
        if best[0] == 0 and best[1] <= 0.0:
            break
        chosen = _neighbourhood(plans, found, dice)
        if len(chosen) < 2:
            break
        rest = {n: outcome for n, outcome in found.items() if n not in chosen}
        order = sorted(dice.sample(chosen, len(chosen)), key=lambda n: -plans[n].priority)
        tried = _decided(situation, plans, rest, order, choose)
        if (cost := _cost(plans, tried)) < best:
            found, best, kept = tried, cost, kept + 1
        tell(done + 1)
    outcomes = tuple(found[n] for n in range(len(plans)))
    return Fleet(outcomes, best[1], first[1], best[0], first[0], rounds, kept)


Outcomes = dict[int, Decision | PlanError]


def _decided(
    situation: Situation, plans: Sequence[FlightPlan], given: Outcomes, order: Sequence[int], choose: str
) -> Outcomes:
    """The outcomes given, and those of the plans in ``order``, each against all before it."""
    found = dict(given)
    for n in order:
        fleet = _intents(found)
        # Whoever was decided before keeps its room: what the fleet displaces is moved, not the fleet
        traffic = Standing(Overlay(situation.traffic, with_=fleet), [one.id for one in fleet])
        try:
            found[n] = decide(dataclasses.replace(situation, traffic=traffic), plans[n], choose=choose)
        except PlanError as error:
            found[n] = error
    return found


def _intents(found: Outcomes) -> list[OperationalIntent]:
    return [one.intent for one in found.values() if isinstance(one, Decision) and one.intent is not None]


def _late_s(outcome: Decision | PlanError) -> float:
    """How much later a granted flight arrives than it asked for."""
    if not isinstance(outcome, Decision) or outcome.intent is None:
        return _REFUSED_S if isinstance(outcome, Decision) else 0.0
    return outcome.change.cost_s if outcome.change else 0.0


def _cost(plans: Sequence[FlightPlan], found: Outcomes) -> tuple[int, float]:
    """(refused, total delay in seconds): first as few refusals as possible, then as little delay."""
    refused = [one for one in found.values() if isinstance(one, Decision) and one.intent is None]
    late = sum(_late_s(one) for one in found.values() if one not in refused)
    return len(refused), round(late, 3)


def _neighbourhood(plans: Sequence[FlightPlan], found: Outcomes, dice: random.Random) -> list[int]:
    """One of the plans that pay most, and plans of the same or lower priority that fly at about the same time."""
    paying = sorted((n for n in found if _late_s(found[n]) > 0.0), key=lambda n: (-_late_s(found[n]), n))
    if not paying:
        return []
    centre = dice.choice(paying[: 2 * _NEIGHBOURHOOD])
    at_s = plans[centre].earliest_departure_s
    others = sorted(
        (n for n, one in found.items() if n != centre and isinstance(one, Decision)),
        key=lambda n: (abs(plans[n].earliest_departure_s - at_s), n),
    )[: 3 * _NEIGHBOURHOOD]
    return [centre, *dice.sample(others, min(len(others), _NEIGHBOURHOOD - 1))]
