"""Mesh redirects with limits, registries with class and rate, in BMv2: the printed P4 beside the interpreter."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, MeterConfig, TableEntry
from compiler.pipeline.portable import portable_pipeline
from compiler.policy.loading import load_text
from compiler.policy.policyset import Profile
from compiler.printers.p4.v1model import KERNEL_PORT
from runtime.client.plan import Kind
from runtime.verification.bmv2_level import Bmv2Level
from runtime.verification.comparison import Comparison
from runtime.verification.meshes import FIRST_PROXY_PORT, UPLINK, VIP_HOST, Mesh, Segment, port_of
from runtime.verification.sans import REGISTRY_PORT, San
from runtime.verification.vector import in_order
from tests.unit.printers.p4.peers import portable_switch

pytestmark = [pytest.mark.peer, pytest.mark.root, pytest.mark.slow]

CLIENT, SERVER = 10, 11
PORTS = (UPLINK, port_of("red", CLIENT), port_of("red", SERVER), FIRST_PROXY_PORT, KERNEL_PORT)
REDIRECT: dict[str, Any] = {
    "network": "red",
    "failure": "closed",
    "selector": {"host": str(CLIENT)},
    "outbound": {"include": [{"ports": [80]}], "exclude": [{"cidrs": ["10.1.0.12/32"]}], "deny": [{"ports": [81]}]},
}
AF21, SMALL_BURST = 18, 200


def entries(text: str) -> Entries:
    """Those of dpu-a, were it of profile v1model."""
    loaded = load_text(text, "policy.yaml")
    assert not loaded.is_refused, loaded.render()
    compiled = compile_entries(loaded.policies, replace(loaded.policies.devices[0], profile=Profile.V1MODEL))
    assert compiled.diagnostics == ()
    return compiled.entries


def opening(version: int, dst: int, dst_port: int, src_port: int = 1025) -> bytes:
    return Segment(version=version, src=CLIENT, dst=dst, src_port=src_port, dst_port=dst_port, flags="S").frame()


def test_redirects_beside_the_interpreter(tmp_path: Path) -> None:
    """One proxy, so that BMv2 has no choice of its own; connections and counters in the end."""
    mesh = Mesh(proxies=(("red", 250),), redirects=(REDIRECT,))
    with portable_switch(tmp_path, PORTS) as device:
        device.enable_digests()
        comparison = Comparison([Bmv2Level(portable_pipeline(), device, PORTS)], pipeline=portable_pipeline())
        comparison.fill(entries(mesh.text()))
        for version, dst, dst_port in product((4, 6), (SERVER, 12, VIP_HOST), (80, 81, 8080)):
            comparison.process(port_of("red", CLIENT), opening(version, dst, dst_port))
        comparison.compare_state()


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_beyond_a_limit_is_dropped(version: int, tmp_path: Path) -> None:
    """By BMv2's clock, so the limit is one that no test waits for."""
    mesh = Mesh(proxies=(("red", 250),), redirects=(REDIRECT | {"limit": {"connectionsPerSecond": 1, "burst": 2}},))
    with portable_switch(tmp_path, PORTS) as device:
        device.write(Kind.INSERT, in_order(entries(mesh.text())))
        seen = [
            device.exchange(port_of("red", CLIENT), opening(version, SERVER, 80, port), is_dropped=port > 2)
            for port in range(1, 9)
        ]
    ways = [out and out[0] for out in seen]
    assert ways[:2] == [FIRST_PROXY_PORT] * 2
    assert None in ways, "the third and those behind it come sooner than one a second"
    assert set(ways) == {FIRST_PROXY_PORT, None}


@pytest.mark.parametrize("version", [4, 6])
def test_registries_have_their_class_and_rate(version: int, tmp_path: Path) -> None:
    spec = {
        "network": "red",
        "registries": [{"workload": f"host-{SERVER}", "port": REGISTRY_PORT}],
        "class": "AF21",
        "rate": "1M",
    }
    made = entries(San(spec=spec).text())
    with portable_switch(tmp_path, PORTS) as device:
        device.write(Kind.INSERT, in_order(replace(made, table_entries=tuple(map(held_back, made.table_entries)))))
        seen = [
            device.exchange(port_of("red", CLIENT), opening(version, SERVER, REGISTRY_PORT, port), is_dropped=port > 1)
            for port in range(1, 9)
        ]
        other = device.exchange(port_of("red", CLIENT), opening(version, SERVER, 80))
    assert seen[0] is not None
    assert (seen[0][0], class_of(seen[0][1])) == (port_of("red", SERVER), AF21)
    assert None in seen
    assert other is not None
    assert (other[0], class_of(other[1])) == (port_of("red", SERVER), 0)


def held_back(entry: TableEntry) -> TableEntry:
    """Its meter passes one or two openings, and then ten bytes a second."""
    if entry.meter is None:
        return entry
    return replace(entry, meter=MeterConfig(cir=10, cburst=SMALL_BURST, pir=10, pburst=SMALL_BURST))


def class_of(frame: bytes) -> int:
    packet = Ether(frame)
    return (packet[IP].tos if IP in packet else packet[IPv6].tc) >> 2
