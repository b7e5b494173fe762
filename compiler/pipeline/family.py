"""What differs between IPv4 and IPv6, so that the rest is written once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An IP version: its header, its address width, the ids of its tables and actions."""

    name: str
    """Suffix of tables, actions, controls and metadata, and the name of the header."""
    address_bits: int
    first_id: int
    """Added to every id of this family's tables and actions, so that the two never meet."""

    hops: str
    """The field that says how many hops a packet has left."""

    protocol: str
    """What the IP header calls the number of the transport protocol."""

    def named(self, stem: str) -> str:
        return f"{stem}_{self.name}"


IPV4 = Family(name="ipv4", address_bits=32, first_id=0x10, hops="ipv4.ttl", protocol="protocol")
IPV6 = Family(name="ipv6", address_bits=128, first_id=0x40, hops="ipv6.hop_limit", protocol="next_header")
FAMILIES = (IPV4, IPV6)
