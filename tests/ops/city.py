"""A city's office in another process, for tests: it closes a volume when it is told to."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from utm.airspace import Airspace
from utm.airspace.documents import parse_zones, zone_feature
from utm.model import Actor, GeoZone, Role

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


@contextlib.contextmanager
def office(path: Path, zone: GeoZone, now_s: float) -> Iterator[Connection]:
    """A pipe to a process with the airspace open. Anything sent to it: it closes the zone at ``now_s`` by its clock,
    and sends back the number of the log's entry. It is ended with the block."""
    ours, theirs = _processes.Pipe()
    process = _processes.Process(target=_main, args=(theirs, path, zone_feature(zone), now_s))
    process.start()
    theirs.close()  # or the pipe would outlive the process
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _main(pipe: Connection, path: Path, feature: dict, now_s: float) -> None:
    with Airspace.open(path, clock=lambda: now_s) as airspace:
        pipe.recv()
        zones = parse_zones({"type": "FeatureCollection", "features": [feature]})
        airspace.close_volume(zones, actor=Actor("119", Role.RESCUE))
        assert airspace.receipt is not None
        pipe.send(airspace.receipt.seq)
