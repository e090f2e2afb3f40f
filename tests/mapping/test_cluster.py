"""The same tasks on a Dask cluster, one of whose workers is killed half-way: the same map."""

import os
import signal
import threading

import pytest

from tests.repo import SAMPLE
from utm.errors import InputError, OutsideError
from utm.mapping.ingest import build_map

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'skyroad[cluster]'")


@pytest.fixture
def cluster():
    """Two workers, each a process of its own, on loopback."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as running:
        yield running


def build(out, **how):
    return build_map(
        [SAMPLE / "dsm.tif", SAMPLE / "survey_centre.laz"], out, terrain=SAMPLE / "dtm.tif", resolution_m=2, **how
    )


@pytest.mark.timeout(200)
def test_a_worker_dies_half_way_and_the_map_is_the_same(cluster, tmp_path):
    here = build(tmp_path / "here", workers=1)
    victim = next(iter(cluster.workers.values())).pid
    killed = threading.Event()

    def kill_half_way(stage, done, total):
        if stage == "merge tiles" and done >= total // 2 and not killed.is_set():
            killed.set()
            os.kill(victim, signal.SIGKILL)

    there = build(tmp_path / "there", scheduler=cluster.scheduler_address, progress=kill_half_way)
    assert killed.is_set()
    assert there.version == here.version
    there.verify()
    assert (tmp_path / "here" / "map.json").read_bytes() == (tmp_path / "there" / "map.json").read_bytes()
    assert [p.name for p in (tmp_path / "there").iterdir() if p.name.startswith(".scratch")] == []


def test_no_scheduler_there_is_an_error_of_the_outside_world(tmp_path):
    with pytest.raises(OutsideError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        build(tmp_path / "map", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "map").exists()


def test_threads_and_a_cluster_exclude_each_other(tmp_path):
    with pytest.raises(InputError, match="a cluster knows its own workers"):
        build(tmp_path / "map", scheduler="tcp://127.0.0.1:9", workers=2)
