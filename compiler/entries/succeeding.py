"""Next hops whose way has changed and that lead to the same workloads all the same: they keep their numbers.

Known connections carry the number. A workload that gets another MAC address, MTU or port, or a device another address
in the underlay, so keeps its connections, with their backends and their ports: the one entry of the next hop is
modified. A number is handed over only where nothing else can be meant by it: no other way needs it, and every address
that it has led to belongs to where it leads now, or it leads to the same port and VLAN as before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.entries.numbers import Numbers
from compiler.entries.reachability import Place
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.policyset import Network

_ROUTES = ("route_ipv4", "route_ipv6")
_HOME = ("network", "port", "vlan")
"""What is the same of two next hops to one port, whatever frames look like there."""
_Address = tuple[str, int, int]
"""Of a route: its table, the number of its network, and the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a workload is reached."""

    place: Place
    network: Network
    call: ActionCall


def hand_over(hops: Numbers[ActionCall], ways: Sequence[Way], words: Vocabulary, previous: Entries) -> None:
    """Let new ways have the numbers that those before them had; `ways` are all that the device is going to have.

    `hops` have given out no number yet.
    """
    wanted = {way.call for way in ways}
    new = wanted - hops.known.keys()
    gone = {hop: call for call, hop in hops.known.items() if call not in wanted}
    if not new or not gone:
        return
    led_to = _led_to(previous, gone)
    leads_to: defaultdict[ActionCall, set[_Address]] = defaultdict(set)
    for way in ways:
        if way.call in new:
            leads_to[way.call] |= _addresses(way)
    heirs = {address: call for call, addresses in leads_to.items() for address in addresses}
    for hop, before in sorted(led_to.items()):
        calls = {heirs[address] for address in before if address in heirs}
        for call in sorted(calls, key=lambda call: call.arguments):
            if before <= leads_to[call] or _is_same_home(words, gone[hop], call):
                hops.hand_over(gone[hop], call)
                break


def _led_to(previous: Entries, gone: Mapping[int, ActionCall]) -> dict[int, set[_Address]]:
    """The addresses of workloads that had these next hops; of hops that no route led to, nothing."""
    found: defaultdict[int, set[_Address]] = defaultdict(set)
    for entry in previous.table_entries:
        match entry:
            case TableEntry(
                table=table, matches=(Exact(value=network), Lpm(value=address)), action=ActionCall(arguments=(hop,))
            ) if table in _ROUTES and hop in gone:
                found[hop].add((table, network, address))
            case _:
                pass
    return found


def _addresses(way: Way) -> set[_Address]:
    return {(f"route_ipv{a.version}", way.network.id, int(a)) for a in way.place.workload.addresses}


def _is_same_home(words: Vocabulary, before: ActionCall, after: ActionCall) -> bool:
    if {before.action, after.action} != {"deliver"}:
        return False
    old, new = words.arguments(before), words.arguments(after)
    return all(old.get(name) == new[name] for name in _HOME)
