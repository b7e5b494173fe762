"""Connections that came from outside by another device have no service here: they go on as long as their way does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, fix_up

EIP = Path(__file__).resolve().parents[3] / "examples" / "eip.yaml"
CLIENT, WEB_2 = 0xC6336409, 0x0A01000C
POLICIES = load_text(EIP.read_text()).policies
BEFORE = compile_entries(POLICIES, next(device for device in POLICIES.devices if device.name == "dpu-b")).entries


def way_to(address: int) -> int:
    """The next hop of an address of network shop."""
    key = (Exact(value=1), Lpm(value=address, prefix_len=32))
    entry = next(e for e in BEFORE.table_entries if (e.table, e.matches) == ("route_ipv4", key))
    assert isinstance(entry.action, ActionCall)
    return entry.action.arguments[0]


LET_IN = TableEntry(
    table="flow_ipv4",
    matches=tuple(Exact(value=value) for value in (1, 2, 6, CLIENT, WEB_2, 4000, 8080)),
    action=ActionCall(action="translate_ipv4", arguments=(CLIENT, WEB_2, 4000, 8080, way_to(WEB_2), 0)),
)


def fates(after: Entries) -> dict[Fate, int]:
    found = fix_up([LET_IN], after, RemovedBackends.RESET)
    return {fate: count for fate, count in found.counts.items() if count}


def without(table: str) -> Entries:
    return replace(BEFORE, table_entries=tuple(e for e in BEFORE.table_entries if e.table != table))


def test_they_go_on_whatever_becomes_of_services_here() -> None:
    assert fates(BEFORE) == {Fate.KEEP: 1}
    assert fates(without("service_ipv4")) == {Fate.KEEP: 1}


def test_they_end_with_their_way() -> None:
    assert fates(without("route_ipv4")) == {Fate.END: 1}
    assert fates(without("neighbor")) == {Fate.END: 1}
