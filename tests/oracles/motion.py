"""The motion that is meant to be flown, slow and obvious: phases of constant jerk along the legs, turns by geometry.

Of the plan only the speeds at the ends of each leg and its highest are taken (`planned_legs`); everything else is
worked out here, step by step.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

JERK = 4.0
REACH = 10.0


def phases(leg):
    """[(jerk m/s3, seconds), ...] of a leg: up to the peak, level, and down from it."""

    def change(to, sign):
        a = leg.acceleration_m_s2
        if to <= 0:
            return []
        # Full acceleration is reached where two bends of a/j seconds gain no more than the whole change.
        bend = a / JERK if a * a / JERK <= to else math.sqrt(to / JERK)
        hold = to / (JERK * bend) - bend
        return [(sign * JERK, bend), (0.0, hold), (-sign * JERK, bend)]

    up, down = change(leg.peak_m_s - leg.begin_m_s, 1), change(leg.peak_m_s - leg.final_m_s, -1)
    far, _, _, _ = run([*up, *down], leg.begin_m_s, math.inf)
    level = max(math.dist(leg.start_m, leg.end_m) - far, 0.0) / leg.peak_m_s
    return [*up, (0.0, level), *down]


def run(jerks, speed, until):
    """Metres, speed, acceleration and seconds after phases of constant jerk, or when the time is up."""
    x, v, a, t = 0.0, speed, 0.0, 0.0
    for jerk, seconds in jerks:
        dt = min(seconds, until - t)
        x += v * dt + a * dt**2 / 2 + jerk * dt**3 / 6
        v += a * dt + jerk * dt**2 / 2
        a += jerk * dt
        t += dt
        if t >= until:
            break
    return x, v, a, t


def bend(enter, corner, leave, done, how):
    """Where a turn is flown: ``done`` of the way along its two tangents (0 to 1) is planned.

    how: ``ray``: on the arc, where the ray from its centre to the planned place meets it. ``evenly``: on the arc, at
    that share of its angle. ``parabola``: with constant acceleration.
    """
    if how == "parabola":
        return (1 - done) ** 2 * enter + 2 * done * (1 - done) * corner + done**2 * leave
    reach = np.linalg.norm(corner - enter)
    into, out = (corner - enter) / reach, (leave - corner) / reach
    turn = math.atan2(np.linalg.norm(np.cross(into, out)), into @ out)
    if turn < 1e-7:
        return enter + done * (leave - enter)
    radius = reach / math.tan(turn / 2)
    sideways = out - (out @ into) * into
    if radius < 1e-6 or np.linalg.norm(sideways) < 1e-9:
        return enter if done < 0.5 else leave
    centre = enter + radius * sideways / np.linalg.norm(sideways)
    if how == "evenly":
        angle = turn * done
        return centre + (enter - centre) * math.cos(angle) + radius * into * math.sin(angle)
    planned = enter + 2 * done * (corner - enter) if done < 0.5 else corner + (2 * done - 1) * (leave - corner)
    return centre + radius * (planned - centre) / np.linalg.norm(planned - centre)


def flown(legs, how="ray", share=1.0, samples=16):
    """(n,) seconds and (n, 3) places of the flight, its turns begun at ``share`` of the greatest distance.

    samples: moments in each phase of a leg, its ends included.
    """
    times, places = [], []
    before = 0.0
    for n, leg in enumerate(legs):
        jerks = phases(leg)
        ends = np.cumsum([0.0, *(seconds for _, seconds in jerks)])
        moments = np.unique([np.linspace(a, b, samples) for a, b in itertools.pairwise(ends)])
        length = math.dist(leg.start_m, leg.end_m)
        here = (leg.end_m - leg.start_m) / length
        for t in moments:
            x = min(run(jerks, leg.begin_m_s, t)[0], length)
            place = leg.start_m + x * here
            if n > 0 and leg.begin_m_s > 0:
                other = legs[n - 1]
                reach = share * min(REACH, length / 2, math.dist(other.start_m, other.end_m) / 2)
                back = (other.end_m - other.start_m) / math.dist(other.start_m, other.end_m)
                if x < reach:
                    corner = leg.start_m
                    done = 0.5 + x / reach / 2
                    place = bend(corner - reach * back, corner, corner + reach * here, done, how)
            if n < len(legs) - 1 and leg.final_m_s > 0:
                other = legs[n + 1]
                reach = share * min(REACH, length / 2, math.dist(other.start_m, other.end_m) / 2)
                onward = (other.end_m - other.start_m) / math.dist(other.start_m, other.end_m)
                if length - x < reach:
                    corner = leg.end_m
                    done = 0.5 - (length - x) / reach / 2
                    place = bend(corner - reach * here, corner, corner + reach * onward, done, how)
            times.append(before + t)
            places.append(place)
        before += ends[-1]
    return np.array(times), np.array(places)
