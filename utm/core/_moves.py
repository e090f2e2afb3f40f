"""The steps of a grid search, and which of them need not be looked at.

The 27 cells around a voxel are bits of one number, so that every question about them is a mask. The tables are made
here by trying every case, and once for each rule of corner cutting.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

#: The direction of the start of a way: none of the 26.
START = 26

#: The 26 steps, and the bit that each neighbour has among the 27 cells around a voxel.
_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def _bit(cell: tuple[int, ...]) -> int:
    return 1 << (9 * (cell[0] + 1) + 3 * (cell[1] + 1) + cell[2] + 1)


def _needs(origin: tuple[int, ...], step: tuple[int, ...], corner_cutting: bool) -> int:
    """The cells, as bits around the centre, that must be free for a step from a cell."""
    ranges = [(0, s) if s else (0,) for s in step]
    box = [step] if corner_cutting else itertools.product(*ranges)
    needed = 0
    for offset in box:
        if any(offset):
            needed |= _bit(tuple(o + s for o, s in zip(origin, offset, strict=True)))
    return needed


@functools.cache
def moves(costs: tuple[int, ...], corner_cutting: bool) -> tuple[NDArray[np.int64], ...]:
    """Tables of the steps, which cost ``costs[k]`` where they change k coordinates.

    Returns (steps, needs, natural, detours, ends):

    steps (26, 5): dx, dy, dz, cost, opposite direction. needs (26,): cells that must be free for the step.
    natural (27, 27): for a way that comes by a step (26: from the start), the number of steps to look at where all
    27 cells are free, then those steps. detours: masks; those of pair (came, step) lie between ends[came, step] and
    ends[came, step + 1], and one whose cells are all free makes the step needless.

    Why that loses nothing. Let a way come to x from p and go on to n. A detour is a way from p to n inside the 27
    cells, not through x, either cheaper, or as dear with a cheaper last step. Suppose n is not reached at its least
    cost, and take the n of least such cost and an optimal way to it whose last step is the cheapest. Its last but one
    voxel x is expanded at its least cost, coming from some p; the step to n was left out, so there is a detour from
    p. A cheaper one contradicts optimality; one as dear ends with a cheaper step, which contradicts the choice. The
    argument needs no order of expansion, holds whatever parent a tie left in the word, and every detour is made of
    permitted steps, corner cutting or not, at the border too (outside is blocked). The idea of looking at the
    "natural" steps only is that of jump point search (Harabor and Grastien, 2011).
    """
    index = {step: number for number, step in enumerate(_STEPS)}
    cost = {step: costs[sum(map(abs, step))] for step in _STEPS}
    steps = np.array([[*s, cost[s], index[tuple(-c for c in s)]] for s in _STEPS], np.int64)
    needs = np.array([_needs((0, 0, 0), s, corner_cutting) for s in _STEPS], np.int64)
    natural = np.zeros((27, 27), np.int64)
    natural[START, : len(_STEPS) + 1] = [len(_STEPS), *range(len(_STEPS))]
    masks: list[int] = []
    ends = np.zeros((27, 27), np.int64)  # nothing is needless at the start of a way
    for came, arrival in enumerate(_STEPS):
        origin = tuple(-c for c in arrival)
        kept = []
        for onward, step in enumerate(_STEPS):
            ends[came, onward] = len(masks)
            found = _detours(origin, step, cost[arrival], cost, corner_cutting)
            masks += found
            if not found:
                kept.append(onward)
        ends[came, 26] = len(masks)
        natural[came, : len(kept) + 1] = [len(kept), *kept]
    return steps, needs, natural, np.array(masks, np.int64), ends


def _detours(
    origin: tuple[int, ...],
    step: tuple[int, ...],
    arrival_cost: int,
    cost: dict[tuple[int, ...], int],
    corner_cutting: bool,
) -> list[int]:
    """Masks of the cells that must be free for a way from origin to step that makes going through the centre needless,
    those that ask least first."""
    through = arrival_cost + cost[step]
    total = tuple(s - o for s, o in zip(step, origin, strict=True))
    found: set[int] = set()
    if not any(total):
        return [0]  # back to where it came from
    if total in cost and cost[total] < through:
        found.add(_needs(origin, total, corner_cutting))
    for middle in _STEPS:
        first = tuple(m - o for m, o in zip(middle, origin, strict=True))
        second = tuple(s - m for s, m in zip(step, middle, strict=True))
        if first in cost and second in cost:
            detour = cost[first] + cost[second]
            if detour < through or (detour == through and cost[second] < cost[step]):
                needed = _needs(origin, first, corner_cutting) | _needs(middle, second, corner_cutting)
                found.add(needed)
    least = [m for m in found if not any(other != m and other & m == other for other in found)]
    return sorted(least, key=lambda m: (m.bit_count(), m))
