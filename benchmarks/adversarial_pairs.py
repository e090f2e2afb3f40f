"""A million pairs of flights made to be judged wrongly: does the engine's exact check miss a conflict?

    python -m benchmarks.adversarial_pairs --pairs 1000000 --seed 5

Every pair is judged twice: by `utm.core.conflict.in_conflict`, and in whole numbers by `tests.oracles.adversarial`,
which shares no code with it. A missed conflict is a fault, and the exit code is 1. A false alarm is no fault: the
engine takes its limits larger by a margin, so flights that keep them exactly count as in conflict; how far from the
limit they lie is found by widening the limits of the exact check. Counts go to benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracles import adversarial
from tests.oracles.adversarial import EPOCH_S, FAMILIES, UNIT_M, UNIT_S, Pairs
from utm.core import in_conflict
from utm.model import Trajectory

RESULTS = Path(__file__).parent / "results" / "adversarial_pairs.json"
#: Pairs that are made and judged together.
_BATCH = 5_000
#: Units in which false alarms are measured are so many times finer.
_FINER = 1_000
#: Metres by which limits are widened until a false alarm is none.
_WIDER_M = (1e-6, 2e-6, 3e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def engine(pairs: Pairs) -> NDArray[np.bool_]:
    """What the engine says of each pair."""
    ta, tb = (EPOCH_S + times * UNIT_S for times in (pairs.ta, pairs.tb))
    pa, pb = pairs.pa * UNIT_M, pairs.pb * UNIT_M
    limits = np.column_stack([pairs.horizontal * UNIT_M, pairs.vertical * UNIT_M, pairs.tolerance * UNIT_S]).tolist()
    return np.array(
        [in_conflict(Trajectory(ta[n], pa[n]), Trajectory(tb[n], pb[n]), *limits[n]) for n in range(len(pairs))],
        np.bool_,
    )


def beyond_m(pairs: Pairs) -> NDArray[np.float64]:
    """How far beyond the limits pairs lie that the engine calls conflicts and are none: the least of `_WIDER_M` that
    would make them conflicts, inf where none does."""
    found = np.full(len(pairs), np.inf)
    for wider in _WIDER_M:
        rest = np.flatnonzero(np.isinf(found))
        if len(rest) == 0:
            break
        more = int(np.ceil(wider / UNIT_M * _FINER))
        found[rest[adversarial.in_conflict(pairs.taken(rest).scaled(_FINER, more))]] = wider
    return found


def judged(family: str, count: int, seed: int) -> dict[str, Any]:
    """Counts of one family."""
    dice = np.random.default_rng([seed, list(FAMILIES).index(family)])
    told: dict[str, Any] = {"pairs": count, "conflicts": 0, "missed": 0, "false_alarms": 0}
    beyond: dict[str, int] = {}
    engine_s = 0.0
    for begin in range(0, count, _BATCH):
        pairs = FAMILIES[family](dice, min(_BATCH, count - begin))
        true = adversarial.in_conflict(pairs)
        start = time.process_time()
        said = engine(pairs)
        engine_s += time.process_time() - start
        told["conflicts"] += int(true.sum())
        told["missed"] += int((true & ~said).sum())
        told["false_alarms"] += int((said & ~true).sum())
        for metres in beyond_m(pairs.taken(np.flatnonzero(said & ~true))):
            key = f"{metres:g}"
            beyond[key] = beyond.get(key, 0) + 1
    told["false_alarms_within_m"] = dict(sorted(beyond.items(), key=lambda pair: float(pair[0])))
    told["false_alarm_share"] = told["false_alarms"] / count
    told["engine_us_each"] = engine_s / count * 1e6
    return told


def main() -> int:
    """Judge them all; 1 when a conflict was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    start = time.process_time()
    families: dict[str, dict[str, Any]] = {}
    each = -(-asked.pairs // len(FAMILIES))
    print(f"{'family':34}{'pairs':>9}{'conflicts':>11}{'missed':>8}{'false alarms':>14}   by how far beyond, m")
    for family in FAMILIES:
        told = families[family] = judged(family, each, asked.seed)
        spread = ", ".join(f"{metres}: {count}" for metres, count in told["false_alarms_within_m"].items())
        counts = f"{told['pairs']:>9}{told['conflicts']:>11}{told['missed']:>8}{told['false_alarms']:>14}"
        print(f"{family:34}{counts}   {spread}", flush=True)
    whole = {
        name: sum(told[name] for told in families.values()) for name in ("pairs", "conflicts", "missed", "false_alarms")
    }
    whole["false_alarm_share"] = whole["false_alarms"] / whole["pairs"]
    whole["worst_false_alarm_m"] = max(
        (float(metres) for told in families.values() for metres in told["false_alarms_within_m"]), default=0.0
    )
    document = {"seed": asked.seed, "cpu_s": time.process_time() - start, "whole": whole, "families": families}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(whole))
    return 1 if whole["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
