"""Names, numbers and addresses of the network that packets are measured in.

One network on two devices: clients and one backend here, all other backends there. Port 1 is the uplink.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from compiler.pipeline.storage import LAST_SERVICE

Version = Literal[4, 6]
UPLINK, CLIENT_PORT, BACKEND_PORT = 1, 16, 17
NO_PORT = 0
"""An interface that is none of the device's."""
NETWORK, VNI = 1, 1001
MTU, TUNNEL_MTU = 1500, 1450
SERVICE_PORT, TARGET_PORT = 80, 8080
CLIENT_HOP, BACKEND_HOP, TUNNEL_HOP = 10, 11, 12
ROUTER_MAC, CLIENT_MAC, BACKEND_MAC = 0x020000000001, 0x020000000010, 0x020000000011
UNDERLAY_MAC_HERE, UNDERLAY_MAC_THERE = 0x020000000101, 0x020000000102
UNDERLAY_HERE, UNDERLAY_THERE = int(ip_address("192.0.2.1")), int(ip_address("192.0.2.2"))
REMOTE_BACKENDS = 64
LOCAL_SERVICE, SINGLE_SERVICE = LAST_SERVICE - 1, LAST_SERVICE
"""A service whose only backend is here, and one whose only backend is there."""
_BASES: dict[Version, tuple[int, int, int, int]] = {
    4: (int(ip_address("10.1.0.0")), int(ip_address("10.2.0.0")), int(ip_address("10.96.0.0")), 0x0A030001),
    6: (int(ip_address("fd00:1::")), int(ip_address("fd00:2::")), int(ip_address("fd00:96::")), 0xFD000003 << 96 | 1),
}


def client(version: Version, number: int) -> int:
    return _BASES[version][0] + number


def remote_backend(version: Version, number: int) -> int:
    return _BASES[version][1] + number


def service_address(version: Version, service: int) -> int:
    return _BASES[version][2] + service


def local_backend(version: Version) -> int:
    return _BASES[version][3]


def gateway(version: Version) -> int:
    return client(version, 0xFFFE)


def unknown(version: Version) -> int:
    """An address that no route leads to."""
    return service_address(version, 65_535)


def mac(number: int) -> bytes:
    return number.to_bytes(6, "big")
