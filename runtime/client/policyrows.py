"""NetworkPolicies as `turnout show policies` lists them: what workloads are allowed, and with whom. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from compiler.ir.entries import ActionCall, Entries, TableEntry, numbers_of
from compiler.ir.formats import number_to_text
from compiler.pipeline.policing import DESTINATION, DIRECTIONS, PEER, PORT, PORT_BITS, PORT_SHIFT, PROTOCOL_BITS, SOURCE

Counts = Callable[[str], Mapping[object, int]]
"""New connections of the entries of a table, by what they match."""
_FAMILIES = ("ipv4", "ipv6")
_KIND = "NetworkPolicy "


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`workloads` have the policy; `ports` is empty where all are meant, `protocol` where any is."""

    network: int
    workloads: tuple[str, ...]
    direction: str
    policy: str
    peers: tuple[str, ...]
    protocol: int | None
    ports: str
    connections: int


def rows(entries: Entries, counts: Counts) -> Iterator[Row]:
    """By direction, family and policy; one for each prefix of ports, and one for a policy that allows nothing."""
    by_table: dict[str, list[TableEntry]] = {}
    for entry in entries.table_entries:
        by_table.setdefault(entry.table, []).append(entry)
    for direction in DIRECTIONS:
        for family in _FAMILIES:
            yield from _rows(by_table, direction, family, counts)


def _rows(by_table: Mapping[str, list[TableEntry]], direction: str, family: str, counts: Counts) -> Iterator[Row]:
    held = _holders(by_table, direction, family)
    peers, ports = by_table.get(f"{PEER[direction]}_{family}", []), by_table.get(f"{PORT[direction]}_{family}", [])
    counted: Mapping[object, int] = counts(f"{PORT[direction]}_{family}") if ports else {}
    for (network, policy), (workloads, owner) in sorted(held.items()):
        sets: dict[int, list[str]] = {}
        for entry in (e for e in peers if _first(e) == policy):
            sets.setdefault(_arguments(entry)[0], []).append(_prefix(entry, family))
        allowed = [e for e in ports if _first(e) in sets]
        nothing = Row(
            network=network,
            workloads=workloads,
            direction=direction,
            policy=owner.removeprefix(_KIND),
            peers=(),
            protocol=None,
            ports="",
            connections=0,
        )
        for entry in allowed:
            protocol, text = _ports(entry)
            yield replace(
                nothing,
                policy=entry.owner.removeprefix(_KIND),
                peers=tuple(sets[_first(entry)]),
                protocol=protocol,
                ports=text,
                connections=counted.get(entry.matches, 0),
            )
        if not allowed:
            yield nothing


def _holders(
    by_table: Mapping[str, list[TableEntry]], direction: str, family: str
) -> dict[tuple[int, int], tuple[tuple[str, ...], str]]:
    """By network and policy: the addresses of workloads that have it, and the NetworkPolicies behind it."""
    of_hop = {(_first(e), _second(e)): _arguments(e)[0] for e in by_table.get(f"{SOURCE}_{family}", [])}
    found: dict[tuple[int, int], tuple[tuple[str, ...], str]] = {}
    for entry in by_table.get(f"{DESTINATION}_{family}", []):
        network, (ingress, hop, *_) = _first(entry), _arguments(entry)
        policy = ingress if direction == "ingress" else of_hop.get((network, hop), 0)
        if policy:
            workloads, owner = found.get((network, policy), ((), entry.owner))
            found[network, policy] = (*workloads, number_to_text(_second(entry), family)), owner
    return found


def _ports(entry: TableEntry) -> tuple[int | None, str]:
    """Protocol and ports of a prefix; None and nothing for any."""
    value, length = numbers_of(entry.matches[1])
    if length < PROTOCOL_BITS:
        return None, ""
    protocol, first = value >> PORT_BITS - PROTOCOL_BITS, value >> PORT_SHIFT & 0xFFFF
    last = first + (1 << PROTOCOL_BITS + 16 - length) - 1
    if length == PROTOCOL_BITS:
        return protocol, ""
    return protocol, str(first) if first == last else f"{first}-{last}"


def _prefix(entry: TableEntry, family: str) -> str:
    value, length = numbers_of(entry.matches[1])
    return f"{number_to_text(value, family)}/{length}"


def _first(entry: TableEntry) -> int:
    return numbers_of(entry.matches[0])[0]


def _second(entry: TableEntry) -> int:
    return numbers_of(entry.matches[1])[0]


def _arguments(entry: TableEntry) -> tuple[int, ...]:
    return entry.action.arguments if isinstance(entry.action, ActionCall) else ()
