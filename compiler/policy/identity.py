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
    """The id of each network by name. Written ids win; the others follow from their own name, so that a network that
    comes or goes leaves the ids of the rest alone.

    Two names that would get one id (about one chance in 65,000 for a pair) are told apart in order of their names.
    Networks beyond the 65,535th get no id and are missing from the result.
    """
    ids = {name: written for name, written in explicit.items() if written is not None}
    taken = set(ids.values())
    for name in sorted(explicit):
        if name in ids or len(taken) == len(NETWORK_IDS):
            continue
        digest = hashlib.sha256(f"turnout.dev/network\0{name}".encode()).digest()
        number = int.from_bytes(digest[:4], "big") % len(NETWORK_IDS)
        while number + 1 in taken:
            number = (number + 1) % len(NETWORK_IDS)
        ids[name] = number + 1
        taken.add(number + 1)
    return ids
