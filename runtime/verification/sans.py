"""Storage at random: states of one StorageSteering over two nodes, and packets of hosts to its portals.

On the networks of `meshes`, without proxies. A portal has the address of the network's service, so that connections to
both meet; targets are hosts, one of them the client of its own portal. Used by the tests that hold steering to what it
promises, on the interpreter and in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, MeterConfig, TableEntry
from compiler.policy.loading import load_text
from runtime.verification.meshes import API, HOSTS, NETWORKS, UPLINK, VIP_HOST, Mesh, Segment, address, port_of
from runtime.verification.policies.manifests import to_yaml

PORTAL_PORT, TARGET_PORT, REGISTRY_PORT = 4420, 9009, 5000
TARGETS = tuple(host for hosts in HOSTS.values() for host in hosts)
PORTS = (*(port_of(network, host) for network in NETWORKS for host in HOSTS["dpu-a"]), UPLINK)
"""All of dpu-a; what comes from where it cannot come from is compared as well."""
SMALL_BURST = 400
"""Bytes, so few that drawn packets exceed them."""

_TARGET = st.fixed_dictionaries(
    {},
    optional={
        "port": st.just(TARGET_PORT),
        "weight": st.sampled_from((2, 5)),
        "preference": st.sampled_from((0, 1)),
        "health": st.sampled_from(("up", "draining", "down")),
    },
)
_EXTRAS = st.fixed_dictionaries(
    {"sharedData": st.booleans()},
    optional={"class": st.sampled_from((0, "AF21", 46, 63)), "rate": st.just("1M")},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class San:
    """`spec` of the StorageSteering of network red; None for a state in which there is none."""

    spec: dict[str, Any] | None

    def text(self) -> str:
        objects = [] if self.spec is None else [_steering(self.spec)]
        return Mesh(proxies=(), redirects=()).text() + "---\n" + to_yaml(objects)

    def entries(self, previous: Entries | None = None) -> Entries:
        """Those of dpu-a, with bursts that a few packets fill."""
        loaded = load_text(self.text(), "san.yaml")
        assert not loaded.is_refused, loaded.render()
        made = compile_entries(loaded.policies, loaded.policies.devices[0], previous).entries
        return replace(made, table_entries=tuple(map(_tight, made.table_entries)))


def _tight(entry: TableEntry) -> TableEntry:
    if entry.meter is None:
        return entry
    rate = entry.meter.cir
    return replace(entry, meter=MeterConfig(cir=rate, cburst=SMALL_BURST, pir=rate, pburst=SMALL_BURST))


def _steering(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "volumes", "namespace": NETWORKS[0]}
    return {"apiVersion": API, "kind": "StorageSteering", "metadata": metadata, "spec": spec}


@st.composite
def sans(draw: st.DrawFn) -> San:
    """Sound ones: a portal has targets, a registry is none of them at its port."""
    if not draw(st.sampled_from((True, True, True, False))):
        return San(spec=None)
    hosts = draw(st.lists(st.sampled_from(TARGETS), min_size=1, unique=True))
    versions = draw(st.sampled_from(((4, 6), (4,), (6,))))
    spec: dict[str, Any] = {
        "network": NETWORKS[0],
        "portals": [{"addresses": [address(v, VIP_HOST) for v in versions], "port": PORTAL_PORT}],
        "targets": [{"workload": f"host-{host}", **draw(_TARGET)} for host in hosts],
        **draw(_EXTRAS),
    }
    if draw(st.booleans()):
        spec["registries"] = [{"workload": "host-12", "port": REGISTRY_PORT}]
    return San(spec=spec)


def storage_segments() -> st.SearchStrategy[Segment]:
    """Mostly openings to the portal, and what targets answer."""
    return st.builds(
        Segment,
        version=st.sampled_from((4, 4, 6)),
        src=st.sampled_from(TARGETS),
        dst=st.sampled_from((VIP_HOST, VIP_HOST, *TARGETS)),
        src_port=st.sampled_from((1025, 1026, PORTAL_PORT, TARGET_PORT)),
        dst_port=st.sampled_from((PORTAL_PORT, PORTAL_PORT, REGISTRY_PORT, 80, 1025, 1026)),
        flags=st.sampled_from(("S", "S", "S", "SA", "A", "PA", "FA", "R", "")),
    )
