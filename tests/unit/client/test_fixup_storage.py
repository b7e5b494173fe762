"""What a change of a portal's targets makes of known connections to them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, fix_up

STORAGE = Path(__file__).resolve().parents[3] / "examples" / "storage.yaml"
TARGET_2 = "10.3.1.2"
TCP = 6


def entries(previous: Entries | None, *, shared: bool, health: str = "up", preference: int = 0) -> Entries:
    """Of dpu-a, with this for target-2; no health is none of it."""
    documents = list(yaml.safe_load_all(STORAGE.read_text()))
    spec = next(d for d in documents if d["kind"] == "StorageSteering")["spec"]
    spec["sharedData"] = shared
    kept = [target for target in spec["targets"] if health or target["workload"] != "target-2"]
    spec["targets"] = [
        t | ({"health": health, "preference": preference} if t["workload"] == "target-2" else {}) for t in kept
    ]
    loaded = load_text(yaml.safe_dump_all(documents))
    assert not loaded.is_refused, loaded.render()
    device = next(device for device in loaded.policies.devices if device.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


def connection(before: Entries) -> TableEntry:
    """Of host-1 to target-2."""
    portal = next(e for e in before.table_entries if e.table == "service_ipv4" and values(e)[3] == 4420)
    route = next(e for e in before.table_entries if (e.table, values(e)) == ("route_ipv4", [1, number(TARGET_2)]))
    assert isinstance(portal.action, ActionCall)
    assert isinstance(route.action, ActionCall)
    client, vip = number("10.3.0.11"), values(portal)[1]
    key = (1, 2, TCP, client, vip, 4000, 4420)
    arguments = (client, number(TARGET_2), 4000, 4420, route.action.arguments[0], portal.action.arguments[0])
    call = ActionCall(action="translate_ipv4", arguments=arguments)
    return TableEntry(table="flow_ipv4", matches=tuple(Exact(value=value) for value in key), action=call)


def number(address: str) -> int:
    return int(ip_address(address))


def values(entry: TableEntry) -> list[int]:
    return [match.value for match in entry.matches if isinstance(match, Exact | Lpm)]


@pytest.mark.parametrize("removed", RemovedBackends)
@pytest.mark.parametrize(
    ("change", "shared", "fate"),
    [
        ({"health": "up"}, True, Fate.KEEP),
        ({"health": "draining"}, True, Fate.KEEP),
        ({"health": "draining"}, False, Fate.KEEP),
        ({"health": "down"}, False, Fate.KEEP),
        ({"health": "down"}, True, Fate.END),
        ({"health": ""}, False, Fate.END),
        ({"health": ""}, True, Fate.END),
        ({"preference": 5}, False, Fate.KEEP),
    ],
)
def test_connections_stay_with_targets_that_hosts_may_stay_with(
    change: dict[str, Any], shared: bool, fate: Fate, removed: RemovedBackends
) -> None:
    before = entries(None, shared=shared)
    found = fix_up([connection(before)], entries(before, shared=shared, **change), removed)
    assert found.counts == {each: int(each is fate) for each in Fate}
