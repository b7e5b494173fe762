"""internalTrafficPolicy Local with real sockets: clients get the backends of their own node, or are refused."""

from __future__ import annotations

import socket

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import CLIENT, SINGLE, WEB, WEB_3, Shop, find
from tests.root.end_to_end.traffic import ask

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 60


def servers(shop: Shop, client: str, address: str) -> set[str]:
    return {ask(shop.namespace(client), address, timeout_s=PATIENCE_S).server for _ in range(40)}


def test_clients_stay_on_their_node(restored: Shop) -> None:
    local = restored.changed()
    for name in ("web", "far"):
        find(local, "DpuService", name)["spec"]["internalTrafficPolicy"] = "Local"
    restored.applied(local)
    for address in WEB:
        assert servers(restored, CLIENT, address) == {"web-1", "web-2"}
        assert servers(restored, WEB_3, address) == {"web-3"}
    for address in SINGLE["far"]:
        with entered(restored.namespace(CLIENT)), pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 90), PATIENCE_S)
