"""Known connections to a node port while services, their numbers and their nodes change.

Those to an address at which no network is entered any longer do not drain: the host gets their packets.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.metadata import LEG_OUTSIDE
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, fix_up

EXAMPLE = (Path(__file__).resolve().parents[3] / "examples" / "nodeport.yaml").read_text()
NODE, CLIENT = int(ip_address("192.168.50.11")), int(ip_address("198.51.100.9"))
TCP, UDP = 6, 17
K, D, E = Fate.KEEP, Fate.DRAIN, Fate.END
WEB_2 = '- {addresses: ["10.1.0.12"], nodeName: node-b}\n'


def entries(text: str, previous: Entries | None = None) -> Entries:
    """Of dpu-a."""
    loaded = load_text(text)
    assert not loaded.is_refused, loaded.render()
    device = next(device for device in loaded.policies.devices if device.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


BEFORE = entries(EXAMPLE)


def argument(table: str, *keys: int) -> int:
    """The first argument of the entry with these keys."""
    there = (e for e in BEFORE.table_entries if e.table == table)
    found = next(e for e in there if [m.value for m in e.matches if isinstance(m, Exact | Lpm)] == list(keys))
    assert isinstance(found.action, ActionCall)
    return found.action.arguments[0]


def known(host: int, protocol: int, port: int, target: int) -> TableEntry:
    """A connection of a client outside to a node port, with the backend 10.1.0.`host`."""
    backend = int(ip_address(f"10.1.0.{host}"))
    number, hop = argument("service_ipv4", 1, NODE, protocol, port), argument("route_ipv4", 1, backend)
    key = (1, LEG_OUTSIDE, protocol, CLIENT, NODE, 4000, port)
    call = ActionCall(action="translate_ipv4", arguments=(CLIENT, backend, 4000, target, hop, number))
    return TableEntry(table="flow_ipv4", matches=tuple(Exact(value=value) for value in key), action=call)


ALL = (
    known(11, TCP, 30080, 8080),
    known(12, TCP, 30080, 8080),
    known(11, UDP, 30053, 5300),
    known(11, TCP, 30081, 8080),
)
"""The last one is to service `local`, the others to `web`."""


def moved(text: str) -> str:
    return text.replace("nodePort: 30080", "nodePort: 31080")


def without_web_2(text: str) -> str:
    return text.replace(WEB_2, "", 2)


def at_cluster_ips_alone(text: str) -> str:
    words = ("  type: NodePort\n", "  externalTrafficPolicy: Local\n")
    numbers = (f", nodePort: {number}" for number in (30080, 30053, 30081, 30054))
    for found in (*words, *numbers):
        text = text.replace(found, "")
    return text


@pytest.mark.parametrize(
    ("change", "drained", "reset"),
    [
        (str, {K: 4}, {K: 4}),
        (moved, {D: 2, K: 2}, {E: 2, K: 2}),
        (without_web_2, {D: 1, K: 3}, {E: 1, K: 3}),
        (at_cluster_ips_alone, {E: 4}, {E: 4}),
    ],
)
def test_connections_to_node_ports(
    change: Callable[[str], str], drained: dict[Fate, int], reset: dict[Fate, int]
) -> None:
    after = entries(change(EXAMPLE), BEFORE)
    for removed, wanted in zip(RemovedBackends, (drained, reset), strict=True):
        found = fix_up(ALL, after, removed)
        assert {fate: count for fate, count in found.counts.items() if count} == wanted
