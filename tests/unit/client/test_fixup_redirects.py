"""Connections at a proxy go on whatever becomes of the policies that sent them there, and end with the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, fix_up

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "examples" / "mesh.yaml").read_text()))


def entries(*without: str, previous: Entries | None = None) -> Entries:
    """Of dpu-a, without the objects of these kinds or names."""
    kept = [d for d in DOCUMENTS if d["kind"] not in without and d["metadata"]["name"] not in without]
    changed = [_without_ports(document, without) for document in kept]
    loaded = load_text(yaml.safe_dump_all(changed))
    assert not loaded.is_refused, loaded.render()
    device = next(device for device in loaded.policies.devices if device.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


def _without_ports(document: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    if document["kind"] != "Device":
        return document
    ports = [port for port in document["spec"]["ports"] if port["name"] not in names]
    return {**document, "spec": {**document["spec"], "ports": ports}}


BEFORE = entries()
GROUP = next(g for g in BEFORE.groups if (g.selector, g.id) == ("proxies_ipv4", 1))
MEMBER = GROUP.members[0].member_id
PROXY = next(m.action.arguments[0] for m in BEFORE.members if (m.selector, m.id) == (GROUP.selector, MEMBER))
REDIRECTED = TableEntry(
    table="flow_ipv4",
    matches=tuple(Exact(value=value) for value in (1, 2, 6, 0x0A01000A, 0x0A01000C, 4000, 8080)),
    action=ActionCall(action="translate_ipv4", arguments=(0x0A01000A, 0x0A01000C, 4000, 8080, PROXY, 0)),
)


def fates(after: Entries) -> dict[Fate, int]:
    found = fix_up([REDIRECTED], after, RemovedBackends.RESET)
    return {fate: count for fate, count in found.counts.items() if count}


def test_they_go_on_without_the_policies() -> None:
    assert fates(BEFORE) == {Fate.KEEP: 1}
    assert fates(entries("MeshRedirect", previous=BEFORE)) == {Fate.KEEP: 1}


def test_they_end_with_the_proxy() -> None:
    assert fates(entries("envoy-a", previous=BEFORE)) == {Fate.END: 1}
