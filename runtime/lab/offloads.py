"""Checksum and segmentation offloads of the lab's interfaces, on as veth has them or off as some hardware has them."""

from __future__ import annotations

import subprocess

from runtime.lab.errors import LabError
from runtime.lab.netns import path_of, tool
from runtime.lab.topology import Topology

_EACH = (
    'ethtool=$1; state=$2; shift 2; for i in "$@"; do "$ethtool" -K "$i" tx $state tso $state gso $state || exit; done'
)


def set_offloads(topology: Topology, *, on: bool) -> None:
    """`ethtool -K ... tx tso gso` on every VF, representor and uplink. Raises `LabError`."""
    for device in topology.devices:
        _set(device.namespace, [port.interface for port in device.ports], on=on)
    for workload in topology.workloads:
        _set(workload.namespace, ["eth0"], on=on)


def _set(namespace: str, interfaces: list[str], *, on: bool) -> None:
    inside = [tool("nsenter", "util-linux"), f"--net={path_of(namespace)}"]
    script = ["/bin/sh", "-c", _EACH, "sh", tool("ethtool", "ethtool"), "on" if on else "off"]
    run = subprocess.run([*inside, *script, *interfaces], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise LabError(f"ethtool failed in namespace {namespace}: {run.stderr.strip()}")
