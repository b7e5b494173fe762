"""Known connections of clients outside whose source ranges change."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.metadata import LEG_NETWORK, LEG_OUTSIDE
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, concerns_connections, fix_up
from runtime.client.plan import difference

EIP = (Path(__file__).resolve().parents[3] / "examples" / "eip.yaml").read_text()
TYPE = "  type: LoadBalancer\n"
CLIENT, OTHER = "198.51.100.9", "198.51.101.9"
TCP, UDP = 6, 17
DRAIN, RESET = RemovedBackends
K, D, E = Fate.KEEP, Fate.DRAIN, Fate.END


def entries(ranges: str = "", previous: Entries | None = None) -> Entries:
    """Of dpu-a, with these ranges of service shop/web."""
    text = EIP.replace(TYPE, f"{TYPE}  sourceRanges: {ranges}\n", 1) if ranges else EIP
    loaded = load_text(text)
    assert not loaded.is_refused, loaded.render()
    device = next(device for device in loaded.policies.devices if device.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


BEFORE = entries()


def argument(table: str, **keys: int) -> int:
    """The first argument of the entry whose keys begin with these."""
    found = next(
        e
        for e in BEFORE.table_entries
        if e.table == table and [m.value for m in e.matches if isinstance(m, Exact | Lpm)] == list(keys.values())
    )
    assert isinstance(found.action, ActionCall)
    return found.action.arguments[0]


def known(client: str, *, protocol: int = TCP, leg: int = LEG_OUTSIDE) -> TableEntry:
    """A connection to web-1."""
    vip, source = int(ip_address("203.0.113.10")), int(ip_address(client))
    port, target = (80, 8080) if protocol == TCP else (5300, 5300)
    backend = int(ip_address("10.1.0.11"))
    number = argument("service_ipv4", network=1, address=vip, protocol=protocol, port=port)
    hop = argument("route_ipv4", network=1, dst=backend)
    key = (1, leg, protocol, source, vip, 4000, port)
    call = ActionCall(action="translate_ipv4", arguments=(source, backend, 4000, target, hop, number))
    return TableEntry(table="flow_ipv4", matches=tuple(Exact(value=value) for value in key), action=call)


ALL = (known(CLIENT), known(OTHER), known(CLIENT, protocol=UDP), known(CLIENT, leg=LEG_NETWORK))


@pytest.mark.parametrize(
    ("ranges", "drained", "reset"),
    [
        ("", [K, K, K, K], [K, K, K, K]),
        ("{allow: [198.51.0.0/16]}", [K, K, K, K], [K, K, K, K]),
        ("{allow: [198.51.101.0/24]}", [D, K, E, K], [E, K, E, K]),
        ("{deny: [198.51.100.0/24]}", [D, K, E, K], [E, K, E, K]),
        ("{deny: [198.51.0.0/16, 192.0.2.0/24], allow: [198.51.101.0/24]}", [D, K, E, K], [E, K, E, K]),
        ('{allow: ["::/0"]}', [D, D, E, K], [E, E, E, K]),
    ],
)
def test_what_becomes_of_each(ranges: str, drained: list[Fate], reset: list[Fate]) -> None:
    """The last one comes from a workload of the network, whom ranges do not concern."""
    after = entries(ranges, BEFORE)
    for removed, expected in ((DRAIN, drained), (RESET, reset)):
        found = [fate for one in ALL for fate, count in fix_up([one], after, removed).counts.items() if count]
        assert found == expected


def test_a_new_range_concerns_connections_though_it_only_adds() -> None:
    added = difference(BEFORE, entries("{deny: [198.51.100.0/24]}", BEFORE)).steps
    assert len(added) == 2
    assert all(map(concerns_connections, added))
