"""The MAC address of a network's gateway, which every device answers for."""

from __future__ import annotations

from compiler.policy.policyset import Network

_PREFIX = 0x0A_54_00  # locally administered, unicast


def router_mac(network: Network) -> int:
    """The same on all devices: 0a:54:00, then the VNI."""
    return _PREFIX << 24 | network.vni
