"""Next hops whose way has changed and that lead to the same workloads all the same: they keep their numbers.

Known connections carry the number. A workload that gets another MAC address, MTU or port, or a device another address
in the underlay, so keeps its connections, with their backends and their ports: the one entry of the next hop is
modified. A number is handed over only where nothing else can be meant by it: no other way needs it, and every address
that it has led to belongs to where it leads now, or it leads to the same port and VLAN as before.

Workloads behind another device share the next hop that leads there, so one that moves behind a third one would take
another. Virtual machines do move, so each has a next hop of its own, wherever it is, and takes it along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from compiler.entries.numbers import Mover, NextHops, first_match
from compiler.entries.reachability import Place
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.policyset import Network, WorkloadType

_ROUTES = ("route_ipv4", "route_ipv6")
_ENTRANCES = ("entrance_ipv4", "entrance_ipv6")
MOST_MOVERS = 8192
"""Half of what the table of next hops holds; more virtual machines share those of their devices."""
_HOME = ("network", "port", "vlan")
"""What is the same of two next hops to one port, whatever frames look like there."""
_Address = tuple[str, int, int]
"""Of a route: its table, the number of its network, and the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a workload is reached. `mover` is one that may move, and then takes its next hop along."""

    place: Place
    network: Network
    call: ActionCall

    @property
    def mover(self) -> Mover | None:
        """None for workloads that stay where they are: what a Pod moves to is another Pod."""
        workload = self.place.workload
        if workload.type is not WorkloadType.VM:
            return None
        return min(Mover(self.network.id, address.version, int(address)) for address in workload.addresses)


def next_hops(ways: Sequence[Way], directly: Container[str], words: Vocabulary, previous: Entries) -> NextHops:
    """Those that a device holds, for what is going to hold them; `ways` are all that it is going to have.

    `directly` are the names of networks in which a workload may have several next hops: nothing is taken along there.
    """
    before = _Before(previous)
    movers, known = _movers((way for way in ways if way.network.name not in directly), before)
    kept = set(known.values())
    held = {first_match(entry): entry.action for entry in previous.table_entries if entry.table == "neighbor"}
    alike: defaultdict[ActionCall, list[int]] = defaultdict(list)
    for hop, call in held.items():
        if hop not in kept and isinstance(call, ActionCall):
            alike[call].append(hop)
    by_call = {call: before.foremost(of_call) for call, of_call in alike.items()}
    hops = NextHops({**by_call, **known}, held, movers)
    _hand_over(hops, [way for way in ways if way.mover not in movers], before, words)
    return hops


class _Before:
    """What a device holds. Each part is looked for when it is asked for: mostly never."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    @cached_property
    def led_to(self) -> Mapping[int, set[_Address]]:
        """The addresses of workloads by the next hop that routes led to them by."""
        found: defaultdict[int, set[_Address]] = defaultdict(set)
        for entry in self._entries.table_entries:
            match entry:
                case TableEntry(
                    table=table, matches=(Exact(value=network), Lpm(value=address)), action=ActionCall(arguments=(hop,))
                ) if table in _ROUTES:
                    found[hop].add((table, network, address))
                case _:
                    pass
        return found

    @cached_property
    def shared(self) -> frozenset[int]:
        """Next hops to devices that let clients outside in, who are answered by these."""
        calls = (entry.action for entry in self._entries.table_entries if entry.table in _ENTRANCES)
        return frozenset(call.arguments[0] for call in calls if isinstance(call, ActionCall))

    def foremost(self, hops: Sequence[int]) -> int:
        """Of next hops with one way the one that most led by."""
        return hops[0] if len(hops) == 1 else min(hops, key=lambda hop: (-len(self.led_to.get(hop, ())), hop))


def _movers(ways: Iterable[Way], before: _Before) -> tuple[set[Mover], dict[ActionCall | Mover, int]]:
    """Workloads with a next hop of their own, and those that they have: what has led to them and to nobody else."""
    moving = [(way.mover, _addresses(way)) for way in ways if way.mover is not None]
    led_to = before.led_to if moving else dict[int, set[_Address]]()
    hop_of = {address: hop for hop, addresses in led_to.items() for address in addresses}
    movers: set[Mover] = set()
    known: dict[ActionCall | Mover, int] = {}
    others: list[Mover] = []
    for mover, addresses in moving:
        had = {hop_of[address] for address in addresses if address in hop_of}
        own = {hop for hop in had if led_to[hop] <= addresses and hop not in before.shared}
        if own:
            known[mover] = min(own)
            movers.add(mover)
        else:
            others.append(mover)
    movers.update(others[: max(0, MOST_MOVERS - len(movers))])
    return movers, known


def _hand_over(hops: NextHops, ways: Sequence[Way], before: _Before, words: Vocabulary) -> None:
    """Let new ways have the numbers that those before them had."""
    wanted = {way.call for way in ways}
    new = wanted - hops.known.keys()
    gone = {hop: call for call, hop in hops.known.items() if isinstance(call, ActionCall) and call not in wanted}
    if not new or not gone:
        return
    leads_to: defaultdict[ActionCall, set[_Address]] = defaultdict(set)
    for way in ways:
        if way.call in new:
            leads_to[way.call] |= _addresses(way)
    heirs = {address: call for call, addresses in leads_to.items() for address in addresses}
    for hop in sorted(gone.keys() & before.led_to.keys()):
        led_to = before.led_to[hop]
        calls = {heirs[address] for address in led_to if address in heirs}
        for call in sorted(calls, key=lambda call: call.arguments):
            if led_to <= leads_to[call] or _is_same_home(words, gone[hop], call):
                hops.hand_over(gone[hop], call)
                break


def _addresses(way: Way) -> set[_Address]:
    return {(f"route_ipv{a.version}", way.network.id, int(a)) for a in way.place.workload.addresses}


def _is_same_home(words: Vocabulary, before: ActionCall, after: ActionCall) -> bool:
    if {before.action, after.action} != {"deliver"}:
        return False
    old, new = words.arguments(before), words.arguments(after)
    return all(old.get(name) == new[name] for name in _HOME)
