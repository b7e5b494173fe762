"""Whether the kernel may pick node ports for connections of the host's own, whose answers a service would then get."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from runtime.doctor.findings import Finding, Subject

SYSCTLS: Final = Path("/proc/sys/net/ipv4")
NODE_PORTS: Final = range(30_000, 32_768)
"""From which Kubernetes gives them (kube-apiserver, --service-node-port-range, the default)."""


def node_port_findings(sysctls: Path = SYSCTLS) -> tuple[Finding, ...]:
    """For IPv4 and IPv6 alike (ip-sysctl.rst, ip_local_port_range, ip_local_reserved_ports)."""
    first, last = map(int, (sysctls / "ip_local_port_range").read_text().split())
    reserved = set(_numbers((sysctls / "ip_local_reserved_ports").read_text().strip()))
    picked = [port for port in NODE_PORTS if first <= port <= last and port not in reserved]
    where = f"{NODE_PORTS[0]} to {NODE_PORTS[-1]}"
    return (
        Finding(
            subject=Subject.KERNEL,
            name="node ports",
            present=not picked,
            needed=False,
            detail=f"{len(picked)} of {where} may be picked for the host's own connections ({first} to {last})"
            if picked
            else f"none of {where} is picked for the host's own connections ({first} to {last})",
            disables="connections of this host from a port that is some service's node port",
            remedy=f"sysctl net.ipv4.ip_local_reserved_ports={NODE_PORTS[0]}-{NODE_PORTS[-1]}",
        ),
    )


def _numbers(ranges: str) -> Iterable[int]:
    """Of a list such as "1,2-4,10"; empty is none."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
