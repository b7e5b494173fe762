"""What a change of policies means for known connections: which go on, which end, which are decided anew. Pure.

A known connection carries its decision: backend, port and next hop. A change of entries does not touch it, so what the
change makes of it is told here, by comparing it with what the device is going to hold. Connections that are to end, or
to be decided anew, are deleted in the same step as the change: their next packet meets the new entries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from compiler.ir.entries import ActionCall, Entries, Exact, Group, GroupRef, Lpm, TableEntry
from compiler.pipeline import gateway, serverreturn
from compiler.pipeline.headers import PROTOCOL_SCTP, PROTOCOL_TCP
from compiler.pipeline.metadata import LEG_OUTSIDE
from compiler.pipeline.storage import LAST_SERVICE
from runtime.client import networkpolicies
from runtime.client.plan import Kind, Plan, Step, served_numbers
from runtime.client.sourceranges import TABLES, SourceRanges

CONNECTION_TABLES = ("flow_ipv4", "flow_ipv6")
_ENDING = frozenset((PROTOCOL_TCP, PROTOCOL_SCTP))
"""Protocols whose connections have an end of their own: TCP and SCTP."""
_DECIDING = (
    "neighbor",
    "eip_",
    "route_",
    "backend_",
    "service_",
    "affinity_backend_",
    f"{gateway.TABLE}_",
    f"{serverreturn.TABLE}_",
    *TABLES,
    *networkpolicies.TABLES,
)
_RESTRICTING = (*TABLES, *networkpolicies.TABLES)
"""What is added to them may forbid what was allowed."""


class RemovedBackends(StrEnum):
    """What becomes of connections to a backend that a service no longer has.

    DRAIN: those of TCP and SCTP go on until they end. A flow of UDP has no end of its own, and would keep a client that
    goes on sending from every other backend for ever, so it ends (kube-proxy does the same). RESET: all of them end.
    """

    DRAIN = "drain"
    RESET = "reset"


class Fate(StrEnum):
    """What becomes of one connection."""

    KEEP = "keep"
    DRAIN = "drain"
    END = "end"
    ANEW = "anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixUp:
    """`counts` of all connections; `deletions` take those that do not go on out of the device, as they were read."""

    counts: Mapping[Fate, int]
    deletions: tuple[Step, ...]

    @property
    def words(self) -> str:
        """As in "3 go on, 1 drains"; empty when there is no connection."""
        return ", ".join(f"{count} {_WORDS[fate][count != 1]}" for fate, count in self.counts.items() if count)


NOTHING = FixUp(counts={}, deletions=())
_WORDS = {
    Fate.KEEP: ("goes on", "go on"),
    Fate.DRAIN: ("drains", "drain"),
    Fate.END: ("ends", "end"),
    Fate.ANEW: ("is decided anew", "are decided anew"),
}


@dataclass(frozen=True, slots=True)
class _Connection:
    """What an entry of `flow_ipv4` or `flow_ipv6` says (`compiler.pipeline.connections`); `seen` is the source that the
    backend sees."""

    network: int
    leg: int
    protocol: int
    source: int
    called: int
    seen: int
    backend: tuple[int, int]
    nexthop: int
    service_id: int


def _connection(entry: TableEntry) -> _Connection | None:
    """None for what is no connection to a service."""
    action, keys = entry.action, [match.value for match in entry.matches if isinstance(match, Exact)]
    if not isinstance(action, ActionCall) or not action.action.startswith("translate_ipv"):
        return None
    seen, dst, _, dst_port, nexthop, service_id, *_ = action.arguments
    network, leg, protocol, source, called, *_ = keys
    return _Connection(network, leg, protocol, source, called, seen, (dst, dst_port), nexthop, service_id)


def concerns_connections(step: Step) -> bool:
    """Whether an update may mean something for a known connection: one that takes something away from it, or a range of
    clients or a NetworkPolicy, which may let them in no longer."""
    if step.kind is Kind.INSERT:
        return isinstance(step.entity, TableEntry) and step.entity.table in _RESTRICTING
    match step.entity, step.before:
        case TableEntry(table=table), _:
            return table.startswith(_DECIDING)
        case Group(members=after), Group(members=before):
            lost = {member.member_id for member in before} - {member.member_id for member in after}
            return step.kind is Kind.DELETE or bool(lost)
        case _:
            return True


def fix_up(connections: Iterable[TableEntry], desired: Entries, removed: RemovedBackends) -> FixUp:
    """`connections` are the learned entries of `CONNECTION_TABLES`, `desired` is what the device is going to hold."""
    future = {table: _Future(desired, table.removeprefix("flow_")) for table in CONNECTION_TABLES}
    counts = Counter(dict.fromkeys(Fate, 0))
    deletions: list[Step] = []
    for entry in connections:
        found = _connection(entry)
        fate = Fate.KEEP if found is None else _fate(found, future[entry.table], removed)
        counts[fate] += 1
        if fate in (Fate.END, Fate.ANEW):
            deletions.append(Step(kind=Kind.DELETE, entity=entry, before=entry))
    return FixUp(counts=counts, deletions=tuple(deletions))


def _fate(one: _Connection, future: _Future, removed: RemovedBackends) -> Fate:
    """One without a service (number 0) was redirected to a proxy, and stays as long as that, or came from outside by
    another device, or got another source port, and stays as long as its way.

    Connections of storage to a target that hosts may not stay with end: the next ones of a host go to another target,
    and all of them have to reach one. A client outside that is not let in any longer is like one whose backend is gone,
    and so is a connection that NetworkPolicies no longer allow. One to an address that leads into its network no
    longer, an external one or a node's, has nothing to drain by: its packets are left to the host.
    """
    is_at_proxy = one.nexthop in future.proxies.get(one.network, frozenset())
    is_direct = one.nexthop == future.next_hops.get((one.network, one.backend[0]))
    drains = removed is RemovedBackends.DRAIN and one.protocol in _ENDING and one.service_id <= LAST_SERVICE
    over = Fate.DRAIN if drains else Fate.END
    is_outside = one.leg == LEG_OUTSIDE
    if is_outside and future.entered.get(one.called) != one.network:
        return Fate.END
    if one.network == gateway.OUTSIDE:
        return _fate_across(one, future, over)
    if one.service_id == 0 and not is_at_proxy and _is_met(one, future):
        is_denied = future.policies.deny(one.network, one.protocol, one.source, one.nexthop, one.backend[1])
        return over if is_denied else Fate.KEEP
    if one.service_id and one.backend[0] == one.called and not is_at_proxy and one.service_id <= LAST_SERVICE:
        return _fate_direct(one, future, over)
    is_denied = future.policies.deny(one.network, one.protocol, one.source, *one.backend, is_outside=is_outside)
    if one.service_id == 0:
        return (over if is_denied else Fate.KEEP) if is_at_proxy or is_direct else Fate.END
    is_denied |= is_outside and future.ranges.deny(one.service_id, one.source)
    if is_denied or one.backend not in future.backends.get(one.service_id, frozenset()):
        return over
    return Fate.KEEP if is_at_proxy or is_direct else Fate.ANEW


def _is_met(one: _Connection, future: _Future) -> bool:
    """Whether another device has chosen the backend, one that answers by itself: nothing is translated to its own
    address, and NetworkPolicies know it by its next hop (`compiler.pipeline.serverreturn.stand_in`)."""
    is_own = (one.network, one.called) in future.next_hops
    return not is_own and one.backend[0] == one.called and (one.network, one.nexthop) in future.met


def _fate_direct(one: _Connection, future: _Future, over: Fate) -> Fate:
    """Of a connection to a backend that answers by itself: its next hop tells which that is.

    One whose next hop is gone has nothing to drain by.
    """
    places = future.direct.get(one.service_id, {})
    place = places.get(one.nexthop)
    if place is None:
        if one.nexthop in future.hops:
            return over
        return Fate.ANEW if places else Fate.END
    is_outside = one.leg == LEG_OUTSIDE
    is_denied = future.policies.deny(one.network, one.protocol, one.source, *place, is_outside=is_outside)
    is_denied |= is_outside and future.ranges.deny(one.service_id, one.source)
    return over if is_denied else Fate.KEEP


def _fate_across(one: _Connection, future: _Future, over: Fate) -> Fate:
    """Of a connection that a gateway brings into another network: its next hop tells in which one its backend is.

    One whose next hop is gone has nothing to drain by.
    """
    backends = future.across.get(one.service_id, frozenset())
    network = next(
        (there.network for there in backends if (there.place, there.nexthop) == (one.backend, one.nexthop)), None
    )
    if network is None:
        if one.nexthop in future.hops:
            return over
        return Fate.ANEW if any(there.place == one.backend for there in backends) else Fate.END
    is_denied = future.policies.deny(network, one.protocol, one.seen, *one.backend, is_outside=True)
    return over if is_denied or future.ranges.deny(one.service_id, one.source) else Fate.KEEP


@dataclass(frozen=True, slots=True)
class _Across:
    """A backend of a service without a network."""

    place: tuple[int, int]
    network: int
    nexthop: int


class _Future:
    """What a family's entries are going to say. Each part is looked for when a connection asks: often never."""

    def __init__(self, entries: Entries, family: str) -> None:
        self._entries, self._family = entries, family
        self.ranges = SourceRanges(entries, family)
        self.policies = networkpolicies.NetworkPolicies(entries, family)

    @cached_property
    def backends(self) -> dict[int, frozenset[tuple[int, int]]]:
        return _backends(self._entries, self._family)

    @cached_property
    def next_hops(self) -> dict[tuple[int, int], int]:
        return _next_hops(self._entries, self._family, self.hops)

    @cached_property
    def across(self) -> dict[int, frozenset[_Across]]:
        return _across(self._entries, self._family)

    @cached_property
    def direct(self) -> dict[int, dict[int, tuple[int, int]]]:
        return _direct(self._entries, self._family)

    @cached_property
    def met(self) -> frozenset[tuple[int, int]]:
        return _met(self._entries, self._family)

    @cached_property
    def hops(self) -> frozenset[int]:
        return _hops(self._entries)

    @cached_property
    def proxies(self) -> dict[int, frozenset[int]]:
        return _proxies(self._entries, self._family)

    @cached_property
    def entered(self) -> dict[int, int]:
        return _entered(self._entries, self._family)


def _backends(entries: Entries, family: str) -> dict[int, frozenset[tuple[int, int]]]:
    """Addresses and ports by the number of the service. Of a service without an entry there are none."""
    served = served_numbers(entries)
    found = _arguments_by_key(entries, f"backend_{family}", f"backends_{family}")
    stays = _stays(entries, family)
    return {
        number: frozenset(map(_pair, of_members)) | stays.get(number, frozenset())
        for number, of_members in found.items()
        if (family, number) in served
    }


def _stays(entries: Entries, family: str) -> dict[int, frozenset[tuple[int, int]]]:
    """Backends that clients may stay with by the number of the service; of a portal some take no new hosts."""
    found: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    for entry in entries.table_entries:
        if entry.table == f"affinity_backend_{family}":
            number, address, port, _ = (match.value for match in entry.matches if isinstance(match, Exact))
            found[number].add((address, port))
    return {number: frozenset(places) for number, places in found.items()}


def _entered(entries: Entries, family: str) -> dict[int, int]:
    """The network that what clients outside send to an address enters, by address."""
    found: dict[int, int] = {}
    for entry in entries.table_entries:
        match entry:
            case TableEntry(matches=(Exact(value=address), *_), action=ActionCall(arguments=(network, *_))) if (
                entry.table == f"eip_{family}"
            ):
                found[address] = network
            case _:
                pass
    return found


def _proxies(entries: Entries, family: str) -> dict[int, frozenset[int]]:
    """Next hops of the proxies by network."""
    found = _arguments_by_key(entries, f"proxy_{family}", f"proxies_{family}")
    return {network: frozenset(hop for hop, *_ in of_members) for network, of_members in found.items()}


def _arguments_by_key(entries: Entries, table: str, selector: str) -> dict[int, frozenset[tuple[int, ...]]]:
    """What the members of an entry's group are called with, by the key of the entry."""
    arguments = {m.id: m.action.arguments for m in entries.members if m.selector == selector}
    groups = {
        g.id: frozenset(arguments[m.member_id] for m in g.members) for g in entries.groups if g.selector == selector
    }
    return {
        match.value: groups.get(entry.action.group_id, frozenset())
        for entry in entries.table_entries
        if entry.table == table and isinstance(entry.action, GroupRef)
        for match in entry.matches
        if isinstance(match, Exact)
    }


def _pair(arguments: tuple[int, ...]) -> tuple[int, int]:
    return arguments[0], arguments[1]


def _across(entries: Entries, family: str) -> dict[int, frozenset[_Across]]:
    """The backends of services without a network, by the number of the service."""
    ways: dict[int, tuple[int, int]] = {}
    for entry in entries.table_entries:
        match entry:
            case TableEntry(matches=(Exact(value=number),), action=ActionCall(arguments=(network, nexthop, *_))) if (
                entry.table == f"{gateway.TABLE}_{family}"
            ):
                ways[number] = network, nexthop
            case _:
                pass
    found = _arguments_by_key(entries, f"backend_{family}", f"backends_{family}") if ways else {}
    return {
        number: frozenset(
            _Across((address, port), *ways[crossing[0]])
            for address, port, *crossing in of_members
            if crossing and crossing[0] in ways
        )
        for number, of_members in found.items()
    }


def _direct(entries: Entries, family: str) -> dict[int, dict[int, tuple[int, int]]]:
    """The backends that answer by themselves, by the number of the service and the next hop that leads to each."""
    found = _arguments_by_key(entries, f"backend_{family}", f"backends_{family}")
    return {
        number: {hop[0]: (address, port) for address, port, *hop in of_members if hop}
        for number, of_members in found.items()
    }


def _met(entries: Entries, family: str) -> frozenset[tuple[int, int]]:
    """Network and next hop of workloads here that another device may choose as backends which answer by themselves."""
    found: set[tuple[int, int]] = set()
    for entry in entries.table_entries:
        match entry:
            case TableEntry(matches=(Exact(value=network), *_), action=ActionCall(arguments=(hop, *_))) if (
                entry.table == f"{serverreturn.TABLE}_{family}"
            ):
                found.add((network, hop))
            case _:
                pass
    return frozenset(found)


def _hops(entries: Entries) -> frozenset[int]:
    found = (entry for entry in entries.table_entries if entry.table == "neighbor")
    return frozenset(match.value for entry in found for match in entry.matches if isinstance(match, Exact))


def _next_hops(entries: Entries, family: str, there: frozenset[int]) -> dict[tuple[int, int], int]:
    """By network and address, where an address has a route of its own, and the next hop is there."""
    found: dict[tuple[int, int], int] = {}
    for entry in entries.table_entries:
        match entry:
            case TableEntry(
                matches=(Exact(value=network), Lpm(value=address)), action=ActionCall(arguments=(hop, *_))
            ) if entry.table == f"route_{family}" and hop in there:
                found[network, address] = hop
            case _:
                pass
    return found


def split(plan: Plan) -> tuple[tuple[Step, ...], tuple[Step, ...], tuple[Step, ...]]:
    """The steps before, at and behind what concerns connections; the middle is to be one batch with their deletions."""
    steps, first = plan.steps, plan.unreferred
    at = [number for number, step in enumerate(steps) if number >= first and concerns_connections(step)]
    if not at:
        return steps, (), ()
    return steps[: at[0]], steps[at[0] : at[-1] + 1], steps[at[-1] + 1 :]
