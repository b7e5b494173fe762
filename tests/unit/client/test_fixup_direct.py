"""Connections to backends that answer by themselves: their next hop tells which one has it, all are called alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.pipeline.metadata import LEG_NETWORK, LEG_OUTSIDE
from runtime.client.fixup import Fate, RemovedBackends, concerns_connections, fix_up
from runtime.client.plan import Kind, difference
from runtime.verification.directs import Directs, address_of, external, policies_of
from runtime.verification.outsiders import CLIENTS, DEVICES

ALL = Directs(backends=frozenset({0, 1, 2, 3}))
CALLED, CLIENT = int(external(4)), int(CLIENTS[4][0])
RESET, DRAIN = RemovedBackends.RESET, RemovedBackends.DRAIN
TCP, UDP = 6, 17


def entries(world: Directs, device: int = 0, previous: Entries | None = None) -> Entries:
    policies = policies_of(world)
    return compile_entries(policies, next(d for d in policies.devices if d.name == DEVICES[device]), previous).entries


BEFORE, BEHIND = entries(ALL), entries(ALL, 1)


def service_id(port: int) -> int:
    keys = (Exact(value=CALLED), Exact(value=port))
    found = (
        e.action for e in BEFORE.table_entries if e.table == "service_ipv4" and (e.matches[1], e.matches[3]) == keys
    )
    action = next(found)
    assert isinstance(action, ActionCall)
    return action.arguments[0]


def hop_of(workload: int) -> int:
    return next(
        member.action.arguments[2]
        for member in BEFORE.members
        if member.action.action == "to_direct_backend_ipv4"
        and member.action.arguments[0] == int(address_of(workload, 4))
    )


def learned(leg: int, protocol: int, hop: int, service: int) -> TableEntry:
    port = 80 if protocol == TCP else 53
    return TableEntry(
        table="flow_ipv4",
        matches=tuple(Exact(value=value) for value in (1, leg, protocol, CLIENT, CALLED, 4000, port)),
        action=ActionCall(action="translate_ipv4", arguments=(CLIENT, CALLED, 4000, port, hop, service)),
    )


def connection(workload: int, protocol: int = TCP, leg: int = LEG_OUTSIDE) -> TableEntry:
    """At the device that lets the client in."""
    return learned(leg, protocol, hop_of(workload), service_id(80 if protocol == TCP else 53))


def met(workload: int, protocol: int = TCP) -> TableEntry:
    """At the second device, which the first one has sent it to."""
    found = (e for e in BEHIND.table_entries if e.table == "direct_backend_ipv4")
    hops = {
        e.matches[1].value & 0xFF: e.action.arguments[0]
        for e in found
        if isinstance(e.matches[1], Exact) and isinstance(e.action, ActionCall)
    }
    return learned(LEG_NETWORK, protocol, hops[workload], 0)


def fates(after: Entries, *connections: TableEntry, removed: RemovedBackends = RESET) -> list[Fate]:
    return [next(f for f, n in fix_up([one], after, removed).counts.items() if n) for one in connections]


EACH = tuple(connection(workload) for workload in (0, 1, 2, 3))


def test_they_go_on_while_nothing_changes() -> None:
    assert fates(BEFORE, *EACH) == [Fate.KEEP] * 4
    assert fates(BEHIND, met(2), met(3)) == [Fate.KEEP] * 2


@pytest.mark.parametrize("gone", [1, 3])
@pytest.mark.parametrize(
    ("removed", "protocol", "fate"),
    [(DRAIN, TCP, Fate.DRAIN), (DRAIN, UDP, Fate.END), (RESET, TCP, Fate.END), (RESET, UDP, Fate.END)],
)
def test_a_backend_that_goes_takes_its_own_along(
    gone: int, removed: RemovedBackends, protocol: int, fate: Fate
) -> None:
    after = entries(replace(ALL, backends=ALL.backends - {gone}), previous=BEFORE)
    all_of = [connection(workload, protocol) for workload in (0, 1, 2, 3)]
    wanted = [fate if workload == gone else Fate.KEEP for workload in (0, 1, 2, 3)]
    assert fates(after, *all_of, removed=removed) == wanted


def test_a_removed_backend_has_something_to_drain_by() -> None:
    after = entries(replace(ALL, backends=frozenset({0})), previous=BEFORE)
    held = {e.matches[0] for e in after.table_entries if e.table == "neighbor"}
    assert Exact(value=hop_of(3)) in held
    anew = entries(replace(ALL, backends=frozenset({0})))
    assert Exact(value=hop_of(3)) not in {e.matches[0] for e in anew.table_entries if e.table == "neighbor"}


def test_at_the_backends_device_they_stay_as_long_as_it_may_be_chosen() -> None:
    """Whether it is a backend still, the device that let the client in says."""
    after = entries(replace(ALL, backends=frozenset({0})), 1, BEHIND)
    assert fates(after, met(2)) == [Fate.KEEP]
    plain = entries(replace(ALL, is_direct=False), 1, BEHIND)
    assert fates(plain, met(2)) == [Fate.END]


@pytest.mark.parametrize(("removed", "fate"), [(DRAIN, Fate.DRAIN), (RESET, Fate.END)])
def test_network_policies(removed: RemovedBackends, fate: Fate) -> None:
    closed = replace(ALL, closed=frozenset({1, 3}))
    assert fates(entries(closed, 0, BEFORE), *EACH[:2], removed=removed) == [Fate.KEEP, fate]
    assert fates(entries(closed, 1, BEHIND), met(2), met(3), removed=removed) == [Fate.KEEP, fate]


def test_a_device_without_its_router_takes_its_backends_along() -> None:
    after = entries(replace(ALL, routers=frozenset({0})), previous=BEFORE)
    assert fates(after, *EACH, removed=DRAIN) == [Fate.KEEP, Fate.KEEP, Fate.DRAIN, Fate.DRAIN]


def test_one_whose_next_hop_is_gone_is_decided_anew() -> None:
    assert fates(BEFORE, learned(LEG_OUTSIDE, TCP, 12345, service_id(80)), removed=DRAIN) == [Fate.ANEW]


def test_without_the_answers_of_their_own_connections_end_or_drain() -> None:
    """The service has its backends still; packets as they are now come to one that has no such address any more."""
    after = entries(replace(ALL, is_direct=False), previous=BEFORE)
    assert fates(after, connection(0), connection(2), removed=DRAIN) == [Fate.DRAIN, Fate.END]
    assert fates(after, connection(0), connection(2)) == [Fate.END, Fate.END]


def test_what_leads_to_them_concerns_connections() -> None:
    """Also where a member changes: its workload has moved, and its next hop is another one."""
    steps = difference(BEHIND, entries(replace(ALL, is_direct=False), 1, BEHIND)).steps
    gone = [s for s in steps if isinstance(s.entity, TableEntry) and s.entity.table.startswith("direct_backend")]
    assert gone
    assert all(step.kind is Kind.DELETE and concerns_connections(step) for step in gone)
