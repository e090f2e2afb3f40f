"""Conflict of two timed flights in rational numbers: every float64 is taken for the exact number that it is."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from utm.model import Trajectory

Knots = list[tuple[Fraction, tuple[Fraction, Fraction, Fraction]]]


def knots(flight: Trajectory, resting_s: float = 0.0) -> Knots:
    """Times and places as fractions, the flight resting for a while at both ends when asked."""
    exact = [
        (Fraction(t), (Fraction(p[0]), Fraction(p[1]), Fraction(p[2])))
        for t, p in zip(flight.t_s.tolist(), flight.enu_m.tolist(), strict=True)
    ]
    if resting_s:
        extra = Fraction(resting_s)
        exact = [(exact[0][0] - extra, exact[0][1]), *exact, (exact[-1][0] + extra, exact[-1][1])]
    return exact


def _at(flight: Knots, t: Fraction) -> tuple[Fraction, ...]:
    for (t0, p), (t1, q) in itertools.pairwise(flight):
        if t0 <= t <= t1:
            share = (t - t0) / (t1 - t0)
            return tuple(a + share * (b - a) for a, b in zip(p, q, strict=True))
    raise ValueError("not on its way")


def too_near(a: Knots, b: Knots, delay: Fraction, horizontal: Fraction, vertical: Fraction) -> bool:
    """Whether at some moment a and the delayed b are less than both limits apart. Exact."""
    late = [(t + delay, p) for t, p in b]
    begin, end = max(a[0][0], late[0][0]), min(a[-1][0], late[-1][0])
    if begin > end:
        return False
    cuts = sorted({begin, end, *(t for t, _ in [*a, *late] if begin < t < end)})
    for t0, t1 in itertools.pairwise(cuts) if len(cuts) > 1 else [(begin, end)]:
        before = [p - q for p, q in zip(_at(a, t0), _at(late, t0), strict=True)]
        after = [p - q for p, q in zip(_at(a, t1), _at(late, t1), strict=True)]
        x, y, z = before
        dx, dy, dz = (q - p for p, q in zip(before, after, strict=True))
        # Shares of the piece at which the height is too near: an open interval (low, high).
        low, high = Fraction(0), Fraction(1)
        if dz != 0:
            one, other = sorted(((-vertical - z) / dz, (vertical - z) / dz))
            low, high = max(low, one), min(high, other)
        elif abs(z) >= vertical:
            continue
        if low > high or (low == high and abs(z + low * dz) >= vertical):
            continue
        # The least horizontal distance over its closure: below the limit there means below it inside, by continuity.
        square = dx * dx + dy * dy
        share = min(max(-(x * dx + y * dy) / square, low), high) if square else low
        if (x + share * dx) ** 2 + (y + share * dy) ** 2 < horizontal**2:
            return True
    return False


def least_squared_distance(a: Knots, b: Knots, vertical: Fraction, tolerance: Fraction) -> Fraction | None:
    """The least squared horizontal distance over pairs of times at most the tolerance apart and heights at most
    ``vertical`` apart: for each pair of pieces, every set of constraints that could be active is tried."""
    best: Fraction | None = None
    for (s0, p0), (s1, p1) in itertools.pairwise(a):
        for (q0, r0), (q1, r1) in itertools.pairwise(b):
            u = [(y - x) / (s1 - s0) for x, y in zip(p0, p1, strict=True)]
            w = [(y - x) / (q1 - q0) for x, y in zip(r0, r1, strict=True)]
            # Differences are affine in (s, q): (constant, by s, by q).
            x, y, z = ((p0[c] - u[c] * s0 - r0[c] + w[c] * q0, u[c], -w[c]) for c in range(3))
            limits = [  # each: constant + by s + by q <= 0
                (s0, -1, 0), (-s1, 1, 0), (q0, 0, -1), (-q1, 0, 1),
                (-tolerance, 1, -1), (-tolerance, -1, 1),
                (z[0] - vertical, z[1], z[2]), (-z[0] - vertical, -z[1], -z[2]),
            ]  # fmt: skip
            for s, q in _candidates(x, y, limits):
                if all(c + cs * s + cq * q <= 0 for c, cs, cq in limits):
                    squared = (x[0] + x[1] * s + x[2] * q) ** 2 + (y[0] + y[1] * s + y[2] * q) ** 2
                    best = squared if best is None else min(best, squared)
    return best


def _candidates(x, y, limits):
    """Where a least distance can be: the meeting of two lines among (x = 0, y = 0) and the limits, and the least
    distance on each limit."""
    for (c, cs, cq), (d, ds, dq) in itertools.combinations([x, y, *limits], 2):
        turn = Fraction(cs * dq - cq * ds)
        if turn != 0:
            yield (cq * d - c * dq) / turn, (c * ds - cs * d) / turn
    for c, cs, cq in limits:
        square = Fraction(cs * cs + cq * cq)
        if square == 0:
            continue
        s, q = -c * cs / square, -c * cq / square  # on the line; it runs along (cq, -cs)
        fx, fy = x[1] * cq - x[2] * cs, y[1] * cq - y[2] * cs
        ex, ey = x[0] + x[1] * s + x[2] * q, y[0] + y[1] * s + y[2] * q
        moved = fx * fx + fy * fy
        if moved != 0:
            share = -(ex * fx + ey * fy) / moved
            yield s + share * cq, q - share * cs


def sampled_too_near(
    a: Trajectory, b: Trajectory, delay: float, horizontal: float, vertical: float, step: float
) -> bool:
    """Whether a and the delayed b are seen too near at moments ``step`` seconds apart: may miss, never invents."""
    begin, end = max(a.start_s, b.start_s + delay), min(a.end_s, b.end_s + delay)
    if begin > end:
        return False
    t = np.arange(begin, end, step)
    gap = np.stack(
        [np.interp(t, a.t_s, a.enu_m[:, axis]) - np.interp(t - delay, b.t_s, b.enu_m[:, axis]) for axis in range(3)]
    )
    return bool(((np.hypot(gap[0], gap[1]) < horizontal) & (np.abs(gap[2]) < vertical)).any())
