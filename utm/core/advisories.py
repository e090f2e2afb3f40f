"""What to tell two drones that come too near to each other, so that nobody comes too near to anybody.

The least manoeuvre is advised that keeps the advised drone, up to the horizon, apart from every drone in the picture,
with the uncertainty of both. Of the two, the one of lower priority moves first, of equals the one whose id comes later;
only where no manoeuvre of it will do, the other; only where none of either will do, both at once. What was found is
then proven with `in_conflict`, slot by slot, against everybody near; what cannot be proven is not advised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from utm.core import _encounters
from utm.core._jit import read_only
from utm.core.conflict import in_conflict
from utm.core.encounters import Encounter, Floats, Picture, find_encounters, limits
from utm.core.manoeuvres import Band, Manoeuvre, possible_manoeuvres
from utm.model import RuleSet, Trajectory

#: From the encounter being seen to the drone doing what it is told.
REACTION_S = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """What to tell the drones of an encounter: one manoeuvre, two, or none where nothing is safe."""

    encounter: Encounter
    manoeuvres: tuple[Manoeuvre, ...]

    @property
    def exists(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.manoeuvres)

    @property
    def sentence(self) -> str:
        """For people."""
        pair = f"{self.encounter.a} and {self.encounter.b}"
        if not self.manoeuvres:
            return f"no manoeuvre of {pair} keeps them apart from each other and from everybody else"
        told = [f"{one.id}: {one.kind}" + (f" {one.amount:g}" if one.amount else "") for one in self.manoeuvres]
        return f"{pair}: " + ", ".join(told)


def advise(
    picture: Picture, encounter: Encounter, rules: RuleSet, band: Band, *, reaction_s: float = REACTION_S
) -> Advice:
    """What to tell two drones.

    Args:
        picture: where everybody will be; those already advised as they were advised (`followed`).
        encounter: of this picture.
        band: between which heights a drone may manoeuvre; `HeightBand` makes one from arrays.
        reaction_s: a manoeuvre begins this long from now. Two drones that come too near before that are beyond advice.

    Raises:
        KeyError: a drone that is not in the picture.
        ValueError: a reaction time or separations that make no sense.
    """
    first, second = sorted((encounter.a, encounter.b), key=lambda one: _yields(picture, one))
    clear: dict[str, list[Manoeuvre]] = {}
    for one, other in ((first, second), (second, first)):
        clear[one] = _uncrowded(picture, possible_manoeuvres(picture, one, band, reaction_s), one, other, rules)
        row = picture.number[other]
        for move in clear[one]:
            apart = not _meet(picture, move, picture.path_m[row], picture.reach_m[row], rules)
            if apart and _proven(followed(picture, [move]), [move.id], rules):
                return Advice(encounter, (move,))
    both = [
        (a.departure_m + b.departure_m, i, j) for i, a in enumerate(clear[first]) for j, b in enumerate(clear[second])
    ]
    for _, i, j in sorted(both):
        moves = clear[first][i], clear[second][j]
        apart = not _meet(picture, moves[0], moves[1].path_m, moves[1].reach_m, rules)
        if apart and _proven(followed(picture, moves), [first, second], rules):
            return Advice(encounter, moves)
    return Advice(encounter, ())


def advise_all(picture: Picture, rules: RuleSet, band: Band, *, reaction_s: float = REACTION_S) -> tuple[Advice, ...]:
    """What to tell everybody: the nearest encounter first, each in the picture in which those before it are obeyed.

    Whoever has been advised meets nobody any more, and is told nothing else.
    """
    found: list[Advice] = []
    told: set[str] = set()
    for encounter in find_encounters(picture, rules):
        if encounter.a in told or encounter.b in told:
            continue
        advice = advise(picture, encounter, rules, band, reaction_s=reaction_s)
        found.append(advice)
        picture = followed(picture, advice.manoeuvres)
        told.update(one.id for one in advice.manoeuvres)
    return tuple(found)


def followed(picture: Picture, moves: Iterable[Manoeuvre]) -> Picture:
    """The picture in which manoeuvres are flown."""
    return picture.changed({one.id: (one.path_m, one.reach_m) for one in moves})


def _yields(picture: Picture, drone_id: str) -> tuple[int, tuple[int, ...]]:
    """Sorts who moves first: lower priority, then the later id."""
    return picture.drones[picture.number[drone_id]].priority, -picture.number[drone_id]


def _uncrowded(picture: Picture, moves: tuple[Manoeuvre, ...], one: str, other: str, rules: RuleSet) -> list[Manoeuvre]:
    """Those that come too near to nobody but perhaps the other."""
    if not moves:
        return []
    slots, (horizontal, vertical) = picture.slots, limits(rules)
    # Everybody whose box of the whole time overlaps with that of all manoeuvres.
    path, reach = np.stack([move.path_m for move in moves]), np.stack([move.reach_m for move in moves])
    low, high = _boxes(path[:, : slots + 1], reach[:, :slots])
    separation = np.array([horizontal, horizontal, vertical])
    least, most = low.min(axis=0) - separation, high.max(axis=0) + separation
    low, high = _boxes(picture.path_m[:, : slots + 1], picture.reach_m[:, :slots])
    near = ((low <= most) & (high >= least)).all(axis=1)
    near[[picture.number[one], picture.number[other]]] = False
    others = read_only(picture.path_m[near]), read_only(picture.reach_m[near])
    return [
        move for move in moves if not _encounters.crowd(move.path_m, move.reach_m, *others, slots, horizontal, vertical)
    ]


def _boxes(path: Floats, reach: Floats) -> tuple[Floats, Floats]:
    """(n, 3) lowest and highest corners of the boxes around n ways, as far as the drones may be off them."""
    far = reach.max(axis=1)[:, [0, 0, 1]]
    return path.min(axis=1) - far, path.max(axis=1) + far


def _meet(picture: Picture, move: Manoeuvre, path: Floats, reach: Floats, rules: RuleSet) -> bool:
    return bool(_encounters.too_near(move.path_m, move.reach_m, path, reach, picture.slots, *limits(rules)))


def _proven(picture: Picture, moved: Iterable[str], rules: RuleSet) -> bool:
    """Whether `in_conflict` finds the moved drones apart from everybody in every slot, in either order, each time with
    the uncertainty of both. Only pairs whose boxes in a slot are too far apart for a conflict are not asked."""
    horizontal, vertical = limits(rules)
    path, reach, slots = picture.path_m, picture.reach_m, picture.slots
    low = np.minimum(path[:, :slots], path[:, 1 : slots + 1])
    high = np.maximum(path[:, :slots], path[:, 1 : slots + 1])
    for one in moved:
        row = picture.number[one]
        apart = reach[:, :slots] + reach[row, :slots] + (horizontal, vertical)
        gap = np.maximum(low - high[row], low[row] - high)
        near = (np.maximum(gap[..., 0], gap[..., 1]) <= apart[..., 0] + 1.0) & (gap[..., 2] <= apart[..., 1] + 1.0)
        near[row] = False
        for other, k in np.argwhere(near).tolist():
            mine, theirs = _piece(picture, row, k), _piece(picture, other, k)
            wide, tall = apart[other, k].tolist()
            if in_conflict(mine, theirs, wide, tall) or in_conflict(theirs, mine, wide, tall):
                return False
    return True


def _piece(picture: Picture, row: int, k: int) -> Trajectory:
    return Trajectory(picture.step_s * np.array([k, k + 1.0]), picture.path_m[row, k : k + 2])
