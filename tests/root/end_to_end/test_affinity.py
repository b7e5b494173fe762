"""Clients that stay with their backend, with real sockets: for how long, and what becomes of them when it goes."""

from __future__ import annotations

import time

import pytest

from tests.root.end_to_end.shop import WEB, Shop, find
from tests.root.end_to_end.test_algorithms import servers

pytestmark = [pytest.mark.root, pytest.mark.slow]


def remembering(shop: Shop, seconds: int, *, without: str = "") -> None:
    """By chance, so that without affinity nobody would stay. `without`: a server that is none of the service."""
    policies = shop.changed()
    spec = find(policies, "DpuService", "web")["spec"]
    spec["algorithm"], spec["sessionAffinity"] = "Random", "ClientIP"
    spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
    if without:
        find(policies, "Workload", without)["metadata"]["labels"] = {"app": "none"}
    shop.applied(policies)


def test_a_client_stays_with_its_backend(restored: Shop) -> None:
    remembering(restored, 600)
    for address in WEB:
        home = servers(restored, address, 30)
        assert len(home) == 1
        remembering(restored, 600, without=next(iter(home)))
        after = servers(restored, address, 30)
        assert len(after) == 1
        assert after.keys() != home.keys()
        remembering(restored, 600)
        assert servers(restored, address, 30).keys() == after.keys()  # one that comes back takes nobody along
    remembering(restored, 1)
    found: set[str] = set()
    for _ in range(10):
        time.sleep(1.2)
        found |= servers(restored, WEB[0], 1).keys()
    assert len(found) > 1
