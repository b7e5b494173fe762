"""What a change makes of known connections: each kind of change, and both ways to treat removed backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.loading import load_text
from runtime.client.fixup import (
    NOTHING,
    Fate,
    FixUp,
    RemovedBackends,
    concerns_connections,
    fix_up,
    split,
)
from runtime.client.plan import Kind, difference

ROOT = Path(__file__).resolve().parents[3]
TCP, UDP, SCTP = 6, 17, 132
Change = Callable[[list[dict[str, Any]]], None]
DRAIN, RESET = RemovedBackends


def find(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(d for d in documents if (d["kind"], d["metadata"]["name"]) == (kind, name))


def entries(change: Change | None = None, previous: Entries | None = None) -> Entries:
    """Of dpu-a, for the example's policies."""
    documents = list(yaml.safe_load_all((ROOT / "examples" / "shop.yaml").read_text()))
    if change is not None:
        change(documents)
    loaded = load_text(yaml.safe_dump_all(documents))
    assert not loaded.is_refused, loaded.render()
    device = next(device for device in loaded.policies.devices if device.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


BEFORE = entries()


def known(backend: str, port: int, *, protocol: int = TCP, source_port: int = 4000) -> TableEntry:
    """A connection of shop/client to shop/web, decided by the entries of before."""
    address, family = int(ip_address(backend)), f"ipv{ip_address(backend).version}"
    service = next(
        e
        for e in BEFORE.table_entries
        if (e.table, values(e)[2:3]) == (f"service_{family}", [protocol]) and e.owner.startswith("DpuService shop/web")
    )
    route = next(e for e in BEFORE.table_entries if (e.table, values(e)) == (f"route_{family}", [1, address]))
    client = int(ip_address("10.1.0.10" if family == "ipv4" else "fd00:10:1::10"))
    _, vip, _, vip_port = values(service)
    key = (1, 2, protocol, client, vip, source_port, vip_port)
    arguments = (client, address, source_port, port, first_argument(route), first_argument(service))
    call = ActionCall(action=f"translate_{family}", arguments=arguments)
    return TableEntry(table=f"flow_{family}", matches=tuple(Exact(value=value) for value in key), action=call)


def values(entry: TableEntry) -> list[int]:
    return [match.value for match in entry.matches if isinstance(match, Exact | Lpm)]


def first_argument(entry: TableEntry) -> int:
    assert isinstance(entry.action, ActionCall)
    return entry.action.arguments[0]


WEB_1, WEB_3 = known("10.1.0.11", 8080), known("10.1.0.13", 8080)
WEB_1_V6 = known("fd00:10:1::11", 8080)
WEB_1_UDP = known("10.1.0.11", 5300, protocol=UDP)
ALL = (WEB_1, WEB_3, WEB_1_V6, WEB_1_UDP)


def without_web_1(documents: list[dict[str, Any]]) -> None:
    find(documents, "Workload", "web-1")["metadata"]["labels"] = {"app": "other"}


def without_service(documents: list[dict[str, Any]]) -> None:
    documents.remove(next(d for d in documents if d["kind"] == "DpuService" and d["metadata"]["namespace"] == "shop"))


def other_port(documents: list[dict[str, Any]]) -> None:
    find(documents, "DpuService", "web")["spec"]["ports"][0]["targetPort"] = 8081


def other_next_hop(documents: list[dict[str, Any]]) -> None:
    find(documents, "Device", "dpu-a")["spec"]["ports"][2]["mtu"] = 1400


def other_device(documents: list[dict[str, Any]]) -> None:
    """web-1 goes to where web-3 is."""
    find(documents, "Workload", "web-1")["spec"]["node"] = "node-b"
    port = find(documents, "Device", "dpu-a")["spec"]["ports"].pop(2)
    find(documents, "Device", "dpu-b")["spec"]["ports"].append(port)


def one_more(documents: list[dict[str, Any]]) -> None:
    find(documents, "Workload", "client")["metadata"]["labels"] = {"app": "web"}


def other_algorithm(documents: list[dict[str, Any]]) -> None:
    find(documents, "DpuService", "web")["spec"]["algorithm"] = "SourceHash"


def fates(change: Change | None, removed: RemovedBackends) -> list[Fate]:
    """Of each connection of `ALL` by itself."""
    desired = entries(change, BEFORE)
    found: list[Fate] = []
    for connection in ALL:
        made = fix_up([connection], desired, removed)
        (fate,) = (fate for fate, count in made.counts.items() if count)
        assert [step.entity for step in made.deletions] == ([connection] if fate in (Fate.END, Fate.ANEW) else [])
        assert all((step.kind, step.before) == (Kind.DELETE, connection) for step in made.deletions)
        found.append(fate)
    return found


K, D, E, A = Fate.KEEP, Fate.DRAIN, Fate.END, Fate.ANEW


@pytest.mark.parametrize(
    ("change", "drained", "reset"),
    [
        (None, [K, K, K, K], [K, K, K, K]),
        (one_more, [K, K, K, K], [K, K, K, K]),
        (other_algorithm, [K, K, K, K], [K, K, K, K]),
        (without_web_1, [D, K, D, E], [E, K, E, E]),
        (without_service, [D, D, D, E], [E, E, E, E]),
        (other_port, [D, D, D, K], [E, E, E, K]),
        (other_next_hop, [K, K, K, K], [K, K, K, K]),
        (other_device, [A, K, A, A], [A, K, A, A]),
    ],
)
def test_what_a_change_makes_of_connections(change: Change | None, drained: list[Fate], reset: list[Fate]) -> None:
    assert fates(change, DRAIN) == drained
    assert fates(change, RESET) == reset


def test_what_is_added_concerns_no_connection() -> None:
    steps = difference(Entries(), BEFORE).steps
    assert not any(map(concerns_connections, steps))
    assert split(difference(Entries(), BEFORE)) == (steps, (), ())


def test_a_backend_that_comes_concerns_no_connection() -> None:
    assert not any(map(concerns_connections, difference(BEFORE, entries(one_more, BEFORE)).steps))


@pytest.mark.parametrize("change", [without_web_1, without_service, other_port, other_next_hop, other_device])
def test_what_concerns_connections_is_one_stretch_of_the_plan(change: Change) -> None:
    plan = difference(BEFORE, entries(change, BEFORE))
    before, concerning, behind = split(plan)
    assert (*before, *concerning, *behind) == plan.steps
    assert concerns_connections(concerning[0])
    assert concerns_connections(concerning[-1])
    assert not any(map(concerns_connections, (*before, *behind)))


def test_a_learned_entry_that_is_no_connection_to_a_service_goes_on() -> None:
    other = TableEntry(table="flow_ipv4", matches=WEB_1.matches, action=ActionCall(action="something", arguments=(1,)))
    assert fix_up([other], Entries(), RESET) == FixUp(counts={K: 1, D: 0, E: 0, A: 0}, deletions=())


@pytest.mark.parametrize(("protocol", "fate"), [(TCP, D), (UDP, E), (SCTP, D)])
def test_what_ends_by_itself_drains(protocol: int, fate: Fate) -> None:
    matches = (*WEB_1.matches[:2], Exact(value=protocol), *WEB_1.matches[3:])
    assert fix_up([replace(WEB_1, matches=matches)], entries(without_web_1, BEFORE), DRAIN).counts[fate] == 1


def test_words() -> None:
    assert NOTHING.words == ""
    assert fix_up(ALL, BEFORE, DRAIN).words == "4 go on"
    assert fix_up(ALL, entries(without_web_1, BEFORE), DRAIN).words == "1 goes on, 2 drain, 1 ends"
    assert fix_up(ALL, entries(without_web_1, BEFORE), RESET).words == "1 goes on, 3 end"
    assert fix_up([WEB_1], entries(other_device, BEFORE), RESET).words == "1 is decided anew"
