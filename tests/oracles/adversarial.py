"""Pairs of flights made to be judged wrongly, and whether they are in conflict, in whole numbers.

Places are whole multiples of `UNIT_M`, times of `UNIT_S`, so that every one of them is a float64, and the truth can be
worked out without any rounding: for many pairs at once, in numpy arrays of Python's integers. Nothing is shared with
the engine, and no root is drawn: two pieces are in conflict when, among the pairs of shares (x, y) of both that keep
the tolerance, some lie less than V apart vertically, and the least squared distance of those at most V apart is less
than H squared. That least value is taken where the difference vanishes, on one of the lines that bound the shares, or
where two of these lines meet; each is a quotient of whole numbers, held against H by multiplying out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: 1 / 2^20 of a metre and of a second: about a millionth.
UNIT_M = UNIT_S = 2.0**-20
#: Unix seconds from which times are counted.
EPOCH_S = 1_800_000_000
_SCALE = 1 << 20
Ints = NDArray[np.int64]
#: (constant, by x, by y) as arrays of Python's integers.
_Affine = tuple[NDArray, NDArray, NDArray]


@dataclass(frozen=True)
class Pairs:
    """n pairs of flights and the limits they are held against, in units."""

    ta: Ints
    """(n, k) from `EPOCH_S`, strictly increasing."""
    pa: Ints
    """(n, k, 3)."""
    tb: Ints
    pb: Ints
    horizontal: Ints
    """(n,)."""
    vertical: Ints
    tolerance: Ints

    def __len__(self) -> int:
        return len(self.ta)

    def taken(self, which: NDArray) -> Pairs:
        """Some of them."""
        return Pairs(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def scaled(self, by: int, more: int) -> Pairs:
        """In units that are so many times finer, with both limits of distance larger by ``more`` of the fine units."""
        fine = {name: getattr(self, name).astype(object) * by for name in self.__dataclass_fields__}
        return Pairs(**fine | {name: fine[name] + more for name in ("horizontal", "vertical")})


def in_conflict(pairs: Pairs) -> NDArray[np.bool_]:
    """Whether the flights of each pair are, at some times at most the tolerance apart, less than both limits apart."""
    found = np.zeros(len(pairs), np.bool_)
    for i, j in itertools.product(range(pairs.ta.shape[1] - 1), range(pairs.tb.shape[1] - 1)):
        open_ = np.flatnonzero(~found & _may_meet(pairs, i, j))
        if len(open_):
            some = pairs.taken(open_)
            found[open_] = _pieces_meet(
                *(part.astype(object) for part in (some.ta[:, i : i + 2], some.pa[:, i : i + 2])),
                *(part.astype(object) for part in (some.tb[:, j : j + 2], some.pb[:, j : j + 2])),
                *(part.astype(object) for part in (some.horizontal, some.vertical, some.tolerance)),
            )
    return found


def _may_meet(pairs: Pairs, i: int, j: int) -> NDArray[np.bool_]:
    """Whether the boxes around two pieces are near enough, in space and time."""
    a, b = pairs.pa[:, i : i + 2], pairs.pb[:, j : j + 2]
    gap = np.maximum(a.min(axis=1) - b.max(axis=1), b.min(axis=1) - a.max(axis=1))
    near = (gap[:, 0] < pairs.horizontal) & (gap[:, 1] < pairs.horizontal) & (gap[:, 2] < pairs.vertical)
    late = np.maximum(pairs.ta[:, i] - pairs.tb[:, j + 1], pairs.tb[:, j] - pairs.ta[:, i + 1])
    return (near & (late <= pairs.tolerance)).astype(np.bool_)


def _pieces_meet(ta, pa, tb, pb, horizontal, vertical, tolerance) -> NDArray[np.bool_]:  # type: ignore[no-untyped-def]
    """Of single pieces (n, 2), (n, 2, 3), as arrays of Python's integers."""
    zero, one = horizontal * 0, horizontal * 0 + 1
    x, y, z = ((pa[:, 0, c] - pb[:, 0, c], pa[:, 1, c] - pa[:, 0, c], pb[:, 0, c] - pb[:, 1, c]) for c in range(3))
    late = ta[:, 0] - tb[:, 0], ta[:, 1] - ta[:, 0], tb[:, 0] - tb[:, 1]
    times: list[_Affine] = [
        (zero, -one, zero),
        (-one, one, zero),
        (zero, zero, -one),
        (-one, zero, one),
        (late[0] - tolerance, late[1], late[2]),
        (-late[0] - tolerance, -late[1], -late[2]),
    ]
    heights: list[_Affine] = [(z[0] - vertical, z[1], z[2]), (-z[0] - vertical, -z[1], -z[2])]
    below = above = np.zeros(len(zero), np.bool_)
    for one_line, other in itertools.combinations(times, 2):
        corner = _meeting(one_line, other)
        there = _keeps(corner, times)
        below = below | (there & (_value(corner, heights[0]) < 0))
        above = above | (there & (_value(corner, heights[1]) < 0))
    shared = (below & above).astype(np.bool_)

    met = np.zeros(len(zero), np.bool_)
    limits = [*times, *heights]
    candidates: list[Callable[[list[_Affine], _Affine, _Affine], tuple]] = [
        lambda limits, x, y: _meeting(x, y),
        *((lambda limits, x, y, n=n: _least_on(limits[n], x, y)) for n in range(8)),
        *(
            (lambda limits, x, y, n=n, m=m: _meeting(limits[n], limits[m]))
            for n, m in itertools.combinations(range(8), 2)
        ),
    ]
    for candidate in candidates:
        rest = np.flatnonzero(shared & ~met)
        if len(rest) == 0:
            break
        here = [tuple(part[rest] for part in line) for line in limits]
        hx, hy = (tuple(part[rest] for part in line) for line in (x, y))
        place = candidate(here, hx, hy)  # type: ignore[arg-type]
        squared = _value(place, hx) ** 2 + _value(place, hy) ** 2  # type: ignore[arg-type]
        near = squared < (horizontal[rest] * place[2]) ** 2
        some = np.flatnonzero(near)
        part = tuple(one[some] for one in place)
        met[rest[some]] = _keeps(part, [tuple(c[some] for c in line) for line in here])  # type: ignore[arg-type,misc]
    return met


def _meeting(one: _Affine, other: _Affine) -> tuple[NDArray, NDArray, NDArray]:
    """Where two affine functions vanish, as (X, Y, W) with x = X / W, y = Y / W; W = 0: in no one place."""
    (a, ax, ay), (b, bx, by) = one, other
    turn = ax * by - ay * bx
    sign = np.where(turn < 0, -1, 1).astype(object)
    return sign * (ay * b - a * by), sign * (a * bx - ax * b), sign * turn


def _least_on(line: _Affine, x: _Affine, y: _Affine) -> tuple[NDArray, NDArray, NDArray]:
    """Where on a line the vector (x, y) is shortest, likewise; W = 0 where it does not change along the line."""
    c, cx, cy = line
    size = cx * cx + cy * cy
    foot = -c * cx, -c * cy, size  # the line runs from there along (cy, -cx)
    ex, ey = _value(foot, x), _value(foot, y)
    fx, fy = x[1] * cy - x[2] * cx, y[1] * cy - y[2] * cx
    moved, along = fx * fx + fy * fy, ex * fx + ey * fy
    return foot[0] * moved - along * cy, foot[1] * moved + along * cx, size * moved


def _value(place: tuple, line: _Affine) -> NDArray:
    """W times an affine function."""
    return line[0] * place[2] + line[1] * place[0] + line[2] * place[1]


def _keeps(place: tuple, limits: list[_Affine]) -> NDArray[np.bool_]:
    """Whether a place is one and lies where all limits are at most 0."""
    kept = (place[2] > 0).astype(np.bool_)
    for line in limits:
        kept = kept & (_value(place, line) <= 0).astype(np.bool_)
    return kept


# --- families ----------------------------------------------------------------------------------------------

_TRIPLES = np.array(
    [(1, 0, 1), (0, 1, 1), (3, 4, 5), (-4, 3, 5), (5, 12, 13), (15, -8, 17), (-20, -21, 29), (7, 24, 25)]
)
#: How far from a limit (units, or metres): exactly on it, a millionth, a centimetre, a metre.
_GAPS_M = np.array([0.0, UNIT_M, 2 * UNIT_M, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0])


def _units(values: NDArray) -> Ints:
    return np.rint(np.asarray(values, np.float64) * _SCALE).astype(np.int64)


def _gaps(dice: np.random.Generator, count: int) -> NDArray[np.float64]:
    return dice.choice(_GAPS_M, count) * dice.choice([-1.0, 1.0], count)


@dataclass
class _Draft:
    """Limits and a place of meeting, drawn for many pairs at once (metres, seconds)."""

    dice: np.random.Generator
    count: int

    def __post_init__(self) -> None:
        dice, n = self.dice, self.count
        self.gap = _gaps(dice, n)
        self.horizontal = np.rint(dice.uniform(40, 100, n) * 16) / 16
        self.vertical = np.rint(dice.uniform(20, 40, n) * 16) / 16
        self.tolerance = np.where(dice.random(n) < 0.3, 0.0, np.rint(dice.uniform(0, 25, n) * 64) / 64)
        self.place = np.rint(dice.uniform((-8000, -8000, 20), (8000, 8000, 160), (n, 3)))
        self.time = np.rint(dice.uniform(100, 86400, n))

    def velocities(self, climbing: float = 0.3) -> NDArray[np.float64]:
        """(n, 3) metres per second; some climb."""
        n = self.count
        heading, speed = self.dice.uniform(0, 2 * math.pi, n), self.dice.uniform(2, 15, n)
        up = np.where(self.dice.random(n) < climbing, self.dice.uniform(-3, 3, n), 0.0)
        return np.column_stack([speed * np.cos(heading), speed * np.sin(heading), up])

    def spans(self, most: float = 60.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How long before and after the meeting a flight is on its way."""
        return self.dice.uniform(0.5, most, self.count), self.dice.uniform(0.5, most, self.count)

    def height(self) -> NDArray[np.float64]:
        """(n,) a difference in height, mostly well within the limit, sometimes on it."""
        inside = self.dice.uniform(-0.8, 0.8, self.count) * self.vertical
        edge = (self.vertical + _gaps(self.dice, self.count)) * self.dice.choice([-1, 1], self.count)
        return np.where(self.dice.random(self.count) < 0.85, inside, edge)

    def pairs(self, a: tuple, b: tuple) -> Pairs:
        """Of flights, each (times (n, k), places (n, k, 3))."""
        (ta, pa), (tb, pb) = ((_units(times), _units(places)) for times, places in (a, b))
        # Knots that rounding laid on one moment are a unit apart.
        ta, tb = (np.maximum.accumulate(t - np.arange(t.shape[1]), axis=1) + np.arange(t.shape[1]) for t in (ta, tb))
        return Pairs(ta, pa, tb, pb, _units(self.horizontal), _units(self.vertical), _units(self.tolerance))


def _through(place: NDArray, time: NDArray, velocity: NDArray, before: NDArray, after: NDArray) -> tuple:
    """Flights (n, 2) that are at a place at a time."""
    times = np.column_stack([time - before, time + after])
    return times, place[:, None] + (times - time[:, None])[..., None] * velocity[:, None]


def _beside(draft: _Draft, u: NDArray, w: NDArray) -> tuple[NDArray, NDArray]:
    """(where b is, and when) if it passes a, which is then at the draft's place, at the limit and the gap; at the end
    of the tolerance beyond which it would be nearer."""
    relative = (u - w)[:, :2]
    size = np.linalg.norm(relative, axis=1)
    still = size < 1e-9
    normal = np.column_stack([-relative[:, 1], relative[:, 0]]) / np.where(still, 1.0, size)[:, None]
    normal[still] = (1.0, 0.0)
    late = draft.dice.choice([-1.0, 1.0], draft.count)
    side = np.where((normal * u[:, :2]).sum(axis=1) * late <= 0, 1.0, -1.0)
    away = (side * (draft.horizontal + draft.gap))[:, None] * normal
    return draft.place - np.column_stack([away, draft.height()]), draft.time - late * draft.tolerance


def grazing(dice: np.random.Generator, count: int) -> Pairs:
    """Straight flights that pass each other at the limit, at the end of their tolerance."""
    draft = _Draft(dice, count)
    u, w = draft.velocities(), draft.velocities()
    place, time = _beside(draft, u, w)
    return draft.pairs(_through(draft.place, draft.time, u, *draft.spans()), _through(place, time, w, *draft.spans()))


def parallel(dice: np.random.Generator, count: int) -> Pairs:
    """Side by side, both ways, at equal and other speeds, in directions whose lengths are whole numbers."""
    draft = _Draft(dice, count)
    triple = _TRIPLES[dice.integers(len(_TRIPLES), size=count)].astype(np.float64)
    speed = dice.integers(1, 60, count) / 4.0
    u = np.column_stack([triple[:, :2] / triple[:, 2:] * speed[:, None], np.zeros(count)])
    w = u * dice.choice([1.0, 1.0, -1.0, 0.5, 2.0, 0.0], count)[:, None]
    climb = np.where(dice.random(count) < 0.3, dice.integers(-8, 9, count) / 4.0, 0.0)
    u[:, 2], w[:, 2] = climb, np.where(dice.random(count) < 0.7, climb, 0.0)
    # Whole multiples of the hypotenuse keep the offset a whole number of units.
    across = np.rint((draft.horizontal + draft.gap) * _SCALE / triple[:, 2]) / _SCALE
    exact = dice.random(count) < 0.5
    draft.horizontal = np.where(exact, across * triple[:, 2], draft.horizontal)
    normal = np.column_stack([-triple[:, 1], triple[:, 0]]) * across[:, None]
    place = draft.place + np.column_stack([normal, draft.height()])
    back = np.ceil(np.column_stack(draft.spans()))
    time = draft.time + np.rint(dice.uniform(-1, 1, count) * 30)
    ahead = np.ceil(np.column_stack(draft.spans()))
    return draft.pairs(_through(draft.place, draft.time, u, *back.T), _through(place, time, w, *ahead.T))


def crossing(dice: np.random.Generator, count: int) -> Pairs:
    """A flight that ends, or begins, just before it comes too near to the way of another."""
    draft = _Draft(dice, count)
    u, w = draft.velocities(), draft.velocities()
    square = (w[:, :2] ** 2).sum(axis=1)
    normal = np.column_stack([-w[:, 1], w[:, 0]]) / np.sqrt(square)[:, None]
    # It flies away from the other's way, and begins there; or the other way round in time.
    side = np.where((normal * u[:, :2]).sum(axis=1) >= 0, 1.0, -1.0)
    away = (side * (draft.horizontal + draft.gap))[:, None] * normal
    place = draft.place - np.column_stack([away, draft.height()])
    after = dice.uniform(1, 60, count)
    ends = dice.random(count) < 0.5
    u = np.where(ends[:, None], -u, u)
    first = _through(draft.place, draft.time, u, np.where(ends, after, 0.0), np.where(ends, 0.0, after))
    time = draft.time + dice.uniform(-1, 1, count) * draft.tolerance
    return draft.pairs(first, _through(place, time, w, *draft.spans()))


def stacks(dice: np.random.Generator, count: int) -> Pairs:
    """One over the other at the vertical limit, level or climbing side by side, within the horizontal one."""
    draft = _Draft(dice, count)
    u = draft.velocities(0.6)
    w = np.where((dice.random(count) < 0.5)[:, None], draft.velocities(0.6), u)
    w[:, 2] = np.where(dice.random(count) < 0.6, u[:, 2], w[:, 2])
    over = (draft.vertical + draft.gap) * dice.choice([-1, 1], count)
    aside = dice.uniform(-0.6, 0.6, (count, 2)) * draft.horizontal[:, None]
    place = draft.place + np.column_stack([aside, over])
    time = draft.time + dice.choice([-1.0, 0.0, 1.0], count) * draft.tolerance
    return draft.pairs(_through(draft.place, draft.time, u, *draft.spans()), _through(place, time, w, *draft.spans()))


def hovering(dice: np.random.Generator, count: int) -> Pairs:
    """One rests, on a pad or in the air; the other passes, climbs beside it, or rests too."""
    draft = _Draft(dice, count)
    u, rest = draft.velocities(), np.zeros((count, 3))
    kind = dice.random(count)
    u[kind < 0.4, :2] = 0.0  # it climbs, or it rests
    place, time = _beside(draft, u, rest)
    first = _through(draft.place, draft.time, u, *draft.spans())
    second = _through(place, time, rest, *draft.spans())
    return draft.pairs(first, second) if dice.random() < 0.5 else draft.pairs(second, first)


def touching_in_time(dice: np.random.Generator, count: int) -> Pairs:
    """At the same place, one after the other: by the tolerance and a gap."""
    draft = _Draft(dice, count)
    u, w = draft.velocities(), draft.velocities()
    place = draft.place + np.column_stack(
        [
            dice.uniform(-0.6, 0.6, (count, 2)) * draft.horizontal[:, None],
            dice.uniform(-0.8, 0.8, count) * draft.vertical,
        ]
    )
    nothing = np.zeros(count)
    late = draft.time + draft.tolerance + draft.gap
    first = _through(draft.place, draft.time, u, dice.uniform(0.5, 60, count), nothing)
    second = _through(place, late, w, nothing, dice.uniform(0.5, 60, count))
    return draft.pairs(first, second) if dice.random() < 0.5 else draft.pairs(second, first)


def corners(dice: np.random.Generator, count: int) -> Pairs:
    """Ways that bend towards each other: nearest at the corner of one, or of both, at the end of the tolerance."""
    draft = _Draft(dice, count)
    heading = dice.uniform(0, 2 * math.pi, count)
    towards = np.column_stack([np.cos(heading), np.sin(heading)])
    place = draft.place + np.column_stack([(draft.horizontal + draft.gap)[:, None] * towards, draft.height()])

    def bent(here: NDArray, time: NDArray, inwards: NDArray) -> tuple:
        """Comes from behind, goes back, with its corner foremost."""
        ends = []
        for _ in range(2):
            angle = np.arctan2(-inwards[:, 1], -inwards[:, 0]) + dice.uniform(-1.5, 1.5, count)
            reach = dice.uniform(20, 300, count)
            rise = np.where(dice.random(count) < 0.3, dice.uniform(-30, 30, count), 0.0)
            ends.append(here + np.column_stack([reach * np.cos(angle), reach * np.sin(angle), rise]))
        before, after = (np.linalg.norm(end - here, axis=1) / dice.uniform(3, 12, count) for end in ends)
        return np.column_stack([time - before, time, time + after]), np.stack([ends[0], here, ends[1]], axis=1)

    time = draft.time + dice.choice([-1.0, 1.0], count) * draft.tolerance
    return draft.pairs(bent(draft.place, draft.time, towards), bent(place, time, -towards))


FAMILIES: dict[str, Callable[[np.random.Generator, int], Pairs]] = {
    "grazing": grazing,
    "parallel": parallel,
    "crossing at the last centimetre": crossing,
    "vertical stacks": stacks,
    "hovering": hovering,
    "touching in time only": touching_in_time,
    "corners": corners,
}
