"""trafficDistribution with real sockets: clients get backends of their zone or node, others where there are none."""

from __future__ import annotations

import pytest

from compiler.policy.distribution import ZONE_LABEL
from tests.root.end_to_end.shop import CLIENT, WEB, WEB_3, Shop, find
from tests.root.end_to_end.test_local import servers

pytestmark = [pytest.mark.root, pytest.mark.slow]
OF_A, OF_B = {"web-1", "web-2"}, {"web-3"}


def test_clients_get_near_backends_where_there_are_any(restored: Shop) -> None:
    """CLIENT and two backends are on node-a, WEB_3 is one itself, on node-b."""
    changed = restored.changed()
    spec = find(changed, "DpuService", "web")["spec"]
    nodes = {node: find(changed, "Node", node)["metadata"] for node in ("node-a", "node-b")}
    for node, zone in (("node-a", "east"), ("node-b", "west")):
        nodes[node]["labels"] = {ZONE_LABEL: zone}
    spec["trafficDistribution"] = "PreferSameZone"
    restored.applied(changed)
    for address in WEB:
        assert servers(restored, CLIENT, address) == OF_A
        assert servers(restored, WEB_3, address) == OF_B

    nodes["node-b"]["labels"] = {ZONE_LABEL: "east"}
    restored.applied(changed)
    assert servers(restored, WEB_3, WEB[0]) == OF_A | OF_B

    spec["trafficDistribution"] = "PreferSameNode"
    restored.applied(changed)
    assert servers(restored, WEB_3, WEB[0]) == OF_B
    assert servers(restored, CLIENT, WEB[0]) == OF_A

    del spec["selector"]
    spec["backends"] = [{"workload": "web-3"}]
    restored.applied(changed)
    for address in WEB:
        assert servers(restored, CLIENT, address) == OF_B
