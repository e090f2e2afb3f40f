"""The ground filter: a cloth laid over the upside-down survey (CSF), in a process of its own.

Zhang et al., "An Easy-to-Use Airborne LiDAR Data Filtering Method Based on Cloth Simulation", Remote Sensing 8 (2016)
501, as the library ``cloth-simulation-filter`` does it. In a process of its own, because the library

* moves neighbouring particles from several OpenMP threads at once, so that its result hangs on their timing: here it
  has one thread, and the same points give the same ground;
* prints to file descriptor 1, and holds the interpreter's lock for seconds.

This module is also that process: it knows nothing of the package and is run by its path.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from utm.mapping.ingest.parameters import Parameters

#: Fewer points say nothing of a ground.
LEAST_POINTS = 16


def ground_of(points: NDArray[np.float64], cell_m: float, p: Parameters) -> NDArray[np.bool_]:
    """Which of some points are ground.

    Args:
        points: (n, 3) metres east, north, up; one for each cell, the lowest.

    Raises:
        RuntimeError: the filter's process failed; the message holds what it said.
    """
    ground = np.zeros(len(points), bool)
    if len(points) < LEAST_POINTS:
        return ground
    sent = io.BytesIO()
    rules = [max(p.cloth_m, cell_m), p.cloth_rigidness, p.cloth_threshold_m, p.cloth_slopes]
    np.savez(sent, points=points, rules=np.array(rules, np.float64))
    done = subprocess.run(
        [sys.executable, "-P", __file__],
        input=sent.getvalue(),
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"the ground filter failed ({done.returncode}): {said[-1] if said else 'it said nothing'}")
    ground[np.frombuffer(done.stdout, np.int32)] = True
    return ground


def _filter() -> None:
    """Points on standard input, indices of the ground among them on standard output."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints
    import CSF

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as sent:
        points, rules = sent["points"], sent["rules"]
    csf = CSF.CSF()
    csf.params.cloth_resolution, csf.params.rigidness, csf.params.class_threshold = rules[0], int(rules[1]), rules[2]
    csf.params.bSloopSmooth = bool(rules[3])
    csf.setPointCloud(points)
    ground, other = CSF.VecInt(), CSF.VecInt()
    csf.do_filtering(ground, other, False)
    with answer:
        answer.write(np.array(ground, np.int32).tobytes())


if __name__ == "__main__":
    _filter()
