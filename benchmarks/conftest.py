"""Peers and instances as parameters. `pytest` alone collects only tests/; these run by `make bench`."""

from __future__ import annotations

import functools

import pytest

from benchmarks.peers import INSTANCES, PEERS, Peer, instance
from benchmarks.race import Optimum

_PAIRS = [(name, peer) for name in INSTANCES for peer in PEERS if name in peer.questions]


@functools.lru_cache(1)
def _questions(name: str) -> Optimum:
    return Optimum(instance(name))


@pytest.fixture(params=_PAIRS, ids=[f"{name}-{peer.name}" for name, peer in _PAIRS])
def contest(request) -> tuple[str, Peer, Optimum]:
    """An instance, a peer that can be asked there, and the least lengths."""
    name, peer = request.param
    reason = peer.missing()
    if reason:
        pytest.skip(reason)
    return name, peer, _questions(name)
