"""Known connections that NetworkPolicies no longer allow: which end or drain, and which nobody asks about."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, TableEntry
from compiler.ir.interpreter import Interpreter, Model
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.client.fixup import CONNECTION_TABLES, RemovedBackends, concerns_connections, fix_up
from runtime.client.plan import difference
from runtime.verification.isolations import isolated
from runtime.verification.meshes import Segment, port_of
from runtime.verification.vector import in_order

OPEN: dict[str, Any] = {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}
ONLY_12 = [{"podSelector": {"matchLabels": {"host": "12"}}}]
DRAIN, RESET = RemovedBackends


def entries(spec: dict[str, Any] | None) -> Entries:
    policies = () if spec is None else (("red", spec),)
    loaded = load_text(isolated(policies).text(), "policies.yaml")
    return compile_entries(loaded.policies, loaded.policies.devices[0]).entries


def fates(after: dict[str, Any] | None, removed: RemovedBackends, dst: int = 11, dst_port: int = 80) -> dict[str, int]:
    """Of a connection of TCP and one of UDP from host 10, in each family."""
    held = entries(OPEN)
    model = Model(pipeline(), hash_seed=3)
    for change in in_order(held):
        model.insert(change)
    device = Interpreter(model, clock=lambda: 1000, random=lambda _: 0)
    for version in (4, 6):
        for flags in ("S", ""):
            segment = Segment(version=version, src=10, dst=dst, src_port=1025, dst_port=dst_port, flags=flags)
            device.process(port_of("red", 10), segment.frame())
    learned = [
        TableEntry(table=table, matches=found.matches, action=found.action)
        for table in CONNECTION_TABLES
        for found in model.learned(table)
    ]
    desired = entries(after)
    assert any(concerns_connections(step) for step in difference(held, desired).steps)
    return {fate.value: count for fate, count in fix_up(learned, desired, removed).counts.items() if count}


@pytest.mark.parametrize(
    ("after", "removed", "expected"),
    [
        ({**OPEN, "ingress": []}, DRAIN, {"drain": 2, "end": 2}),
        ({**OPEN, "ingress": []}, RESET, {"end": 4}),
        ({**OPEN, "egress": []}, RESET, {"end": 4}),
        ({**OPEN, "egress": [{"to": ONLY_12}]}, RESET, {"end": 4}),
        ({**OPEN, "egress": [{"ports": [{"port": 80}]}]}, RESET, {"keep": 2, "end": 2}),
        ({**OPEN, "ingress": [{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]}, RESET, {"keep": 2, "end": 2}),
        (None, RESET, {"keep": 4}),
    ],
)
def test_what_becomes_of_connections(
    after: dict[str, Any] | None, removed: RemovedBackends, expected: dict[str, int]
) -> None:
    assert fates(after, removed) == expected


def test_the_device_of_a_client_asks_nothing_for_a_server_elsewhere() -> None:
    assert fates({**OPEN, "ingress": []}, RESET, dst=12) == {"keep": 4}
    assert fates({**OPEN, "egress": []}, RESET, dst=12) == {"end": 4}
