"""What the NetworkPolicies that a device holds allow: regions and sets of ports, as in the device itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.family import FAMILIES
from compiler.pipeline.policing import DESTINATION, DIRECTIONS, PEER, PORT, PORT_BITS, SOURCE, STEMS, service
from runtime.client.prefixes import Prefixes

TABLES = tuple(family.named(stem) for family in FAMILIES for stem in STEMS)
_BITS = {family.name: family.address_bits for family in FAMILIES}


class NetworkPolicies:
    """Those of a family."""

    def __init__(self, entries: Entries, family: str) -> None:
        self._entries, self._family, self._bits = entries, family, _BITS[family]

    def deny(
        self, network: int, protocol: int, source: int, destination: int, port: int, *, is_outside: bool = False
    ) -> bool:
        """Whether a connection would not be opened; `destination` and `port` are those of the backend.

        A client that `is_outside` is no workload, whatever its address.
        """
        sender = None if is_outside else self._receivers.get((network, source))
        receiver = self._receivers.get((network, destination))
        if sender is not None and sender == receiver:
            return False
        egress = self._senders.get((network, sender[1]), 0) if sender is not None else 0
        ingress = receiver[0] if receiver is not None else 0
        asked = (("egress", egress, destination), ("ingress", ingress, source))
        return any(policy and not self._allows(way, policy, peer, protocol, port) for way, policy, peer in asked)

    def _allows(self, direction: str, policy: int, peer: int, protocol: int, port: int) -> bool:
        ports = self._tables[PEER[direction]].longest(policy, peer)
        return bool(ports) and self._tables[PORT[direction]].longest(ports, service(protocol, port)) is not None

    @cached_property
    def _receivers(self) -> dict[tuple[int, int], tuple[int, int]]:
        """By network and address of a workload: its policy of ingress, and its next hop."""
        return {
            (network.value, address.value): (policy, hop)
            for entry in self._of(DESTINATION)
            for network, address, (policy, hop, *_) in (_parts(entry),)
        }

    @cached_property
    def _senders(self) -> dict[tuple[int, int], int]:
        """By network and next hop of a workload: its policy of egress."""
        return {(n.value, hop.value): policy for e in self._of(SOURCE) for n, hop, (policy,) in (_parts(e),)}

    @cached_property
    def _tables(self) -> dict[str, Prefixes[int]]:
        stems = {stem: bits for d in DIRECTIONS for stem, bits in ((PEER[d], self._bits), (PORT[d], PORT_BITS))}
        return {stem: Prefixes(bits, self._prefixes(stem)) for stem, bits in stems.items()}

    def _prefixes(self, stem: str) -> Iterator[tuple[int, int, int, int]]:
        """An action without arguments leads to 1."""
        for entry in self._of(stem):
            first, prefix, arguments = _parts(entry)
            if isinstance(prefix, Lpm):
                yield first.value, prefix.value, prefix.prefix_len, arguments[0] if arguments else 1

    def _of(self, stem: str) -> tuple[TableEntry, ...]:
        return tuple(entry for entry in self._entries.table_entries if entry.table == f"{stem}_{self._family}")


def _parts(entry: TableEntry) -> tuple[Exact, Exact | Lpm, tuple[int, ...]]:
    match entry:
        case TableEntry(
            matches=(Exact() as first, (Exact() | Lpm()) as second), action=ActionCall(arguments=arguments)
        ):
            return first, second, arguments
        case _:
            raise ValueError(f"{entry.table} has an entry of another kind")
