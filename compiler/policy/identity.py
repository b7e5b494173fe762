"""Values that follow from names alone, so that every run and every machine arrives at the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from compiler.policy.policyset import Address

NETWORK_IDS = range(1, 65536)


def workload_mac(network: str, address: Address) -> str:
    """The default MAC of a workload, from its network's name and its first address.

    Locally administered and unicast (IEEE 802: second-lowest bit of the first octet set, lowest clear).
    """
    digest = hashlib.sha256(f"turnout.dev/mac\0{network}\0{address}".encode()).digest()
    octets = bytes([digest[0] & 0xFC | 0x02]) + digest[1:6]
    return octets.hex(":")


def assign_network_ids(explicit: Mapping[str, int | None]) -> dict[str, int]:
    """The id of each network by name. Written ids win; the others, by name, take the lowest free ones from 1.

    Networks beyond the 65,535th get no id and are missing from the result.
    """
    taken = {written for written in explicit.values() if written is not None}
    free = (number for number in NETWORK_IDS if number not in taken)
    ids: dict[str, int] = {}
    for name in sorted(explicit):
        written = explicit[name]
        number = next(free, None) if written is None else written
        if number is not None:
            ids[name] = number
    return ids
