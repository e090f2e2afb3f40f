"""Stretches of a flight: sets of moments as intervals (begin, end), Unix seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

Stretch = tuple[float, float]


def cut(begin_s: float, end_s: float, longest_s: float, most: int) -> list[Stretch]:
    """Stretches of equal length between two moments, none longer than ``longest_s``, unless they were too many."""
    if not begin_s < end_s:
        return []
    count = max(min(math.ceil((end_s - begin_s) / longest_s), most), 1)
    cuts = [begin_s + (end_s - begin_s) * n / count for n in range(count)] + [end_s]
    return list(itertools.pairwise(cuts))


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same moments as disjoint stretches in order; those that touch become one."""
    merged: list[Stretch] = []
    for begin, end in sorted(stretches):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif begin < end:
            merged.append((begin, end))
    return merged


def common(one: Iterable[Stretch], other: Iterable[Stretch]) -> list[Stretch]:
    """The moments that lie in both."""
    both = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return union((begin, end) for begin, end in both if begin < end)


def without(whole: Stretch, taken: Iterable[Stretch]) -> list[Stretch]:
    """The moments of one stretch that lie in none of others."""
    left, begin = [], whole[0]
    for a, b in union(taken):
        if begin < min(a, whole[1]):
            left.append((begin, min(a, whole[1])))
        begin = max(begin, b)
    return left + ([(begin, whole[1])] if begin < whole[1] else [])


def length_s(stretches: Iterable[Stretch]) -> float:
    """How long they are together."""
    return sum(end - begin for begin, end in union(stretches))
