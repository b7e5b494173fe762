"""The whole printed program with packets on two CPUs: none goes where no entry leads, in the end everything adds up.

Both directions of colliding connections, while the device deletes, sweeps, edits entries and changes the program. Every
number of a packet tells whose it is (places.py), so a packet made of two entries is seen at once.
"""

from __future__ import annotations

import random
from collections.abc import Generator

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import layout
from compiler.printers.layout_store import StoreLayout
from compiler.printers.store_programs import StoreEvent
from runtime.bpf.chains import Hook
from runtime.verification.levels import small
from tests.races.beside import Device, swap
from tests.races.hammering import Hammered, Seen
from tests.races.places import BACKEND, Places, address

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
SECONDS = 1.0
SLOTS = 16
CROWD = Places(connections=4)
"""Twice as many entries as slots."""


@pytest.fixture(params=Hook, ids=lambda hook: hook.name)
def hammered(request: pytest.FixtureRequest) -> Generator[Hammered]:
    with Hammered(small(pipeline(), SLOTS), request.param, CROWD) as made:
        yield made


def expect_whole(hammered: Hammered) -> None:
    """What must hold when no packet is on its way."""
    for store in layout(hammered.pipeline).stores:
        assert [version % 2 for version in hammered.versions(store)] == [0] * SLOTS
        expect_pairs(hammered, store)
        events = hammered.events(store.store.name)
        left = sum(count for event, count in events.items() if event not in (StoreEvent.LEARNED, StoreEvent.FULL))
        assert events[StoreEvent.LEARNED] - left == len(hammered.slots(store))
        assert events[StoreEvent.LEARNED] > 0 or not store.store.events, "none but clients that services remember"


def expect_pairs(hammered: Hammered, store: StoreLayout) -> None:
    """Both halves know each other, and lead to one backend."""
    slots = hammered.slots(store)
    for index, slot in slots.items():
        other = slots[slot.head.pair - 1]
        assert (other.head.pair - 1, {slot.table.index, other.table.index}) == (index, {1, 2})
        assert backend_of(slot.key, slot.arguments) == backend_of(other.key, other.arguments)


def backend_of(key: tuple[int, ...], arguments: tuple[int, ...]) -> int:
    """The one backend that an entry names, in its key or in its arguments."""
    places = {address(version, BACKEND, number): number for version in (4, 6) for number in range(CROWD.backends)}
    (found,) = {places[value] for value in (*key, *arguments) if value in places}
    return found


def expect_right(hammered: Hammered, seen: Seen) -> None:
    assert seen.is_right, seen
    assert min(seen.translated, seen.answered, seen.routed) > 1000
    assert not set(seen.dropped) - {"flow_table_full", "flow_clash"}, seen.dropped
    expect_whole(hammered)


def test_packets_alone(hammered: Hammered) -> None:
    device = Device(hammered)
    expect_right(hammered, hammered.hammer(SECONDS, device.pass_time))


def test_deletions_and_sweeps(hammered: Hammered) -> None:
    device = Device(hammered)
    steps = (device.pass_time, device.sweep, device.delete_a_connection, device.delete_a_slot)
    expect_right(hammered, hammered.hammer(SECONDS, device.any_of(*steps)))
    for store in (one for one in layout(hammered.pipeline).stores if one.store.events):
        assert hammered.events(store.store.name)[StoreEvent.DELETED] > 0


def test_edits_of_services_and_groups(hammered: Hammered) -> None:
    device = Device(hammered)
    steps = (device.pass_time, device.delete_a_connection, device.regroup, device.withdraw_a_service, device.sweep)
    expect_right(hammered, hammered.hammer(SECONDS, device.any_of(*steps)))


def test_no_packet_goes_to_a_backend_whose_deletion_is_over(hammered: Hammered) -> None:
    device, done = Device(hammered), 0

    def step() -> None:
        nonlocal done
        device.pass_time()
        device.delete_a_backend()
        done += 1

    expect_right(hammered, hammered.hammer(2 * SECONDS, step))
    assert done > 0


def test_another_program_takes_over(hammered: Hammered) -> None:
    """One without code for tables that hold nothing, and one without the fast path, where there is one."""
    unused = {"uses_arp": 0, "uses_nd": 0, "uses_tunnel": 0, "uses_network": 0}
    flags = [unused, *({name: 0} for name in ("uses_fast_path",) if name in hammered.constants)]
    others = tuple(hammered.variant(each) for each in flags)
    device = Device(hammered)
    change = swap(hammered, (hammered.first, *others), random.Random(7))
    expect_right(hammered, hammered.hammer(SECONDS, device.any_of(change, change, device.pass_time, device.sweep)))


def test_counters_lose_no_packet(hammered: Hammered) -> None:
    """Counters are each CPU's own: services and drops are counted to the packet, but for those never looked at."""
    device = Device(hammered)
    seen = hammered.hammer(SECONDS, device.any_of(device.pass_time, device.sweep, device.delete_a_connection))
    reasons = {reason.name: reason.id for reason in hammered.pipeline.drop_reasons}
    for name, wanted in seen.dropped.items():
        (tally,) = hammered.device.tallies("drops", reasons[name], 1)
        assert 0 <= tally.packets - wanted <= hammered.unseen
    for counter, wanted in (("service_requests", seen.translated), ("service_replies", seen.answered)):
        tallies = hammered.device.tallies(counter, 1, hammered.places.services)
        assert 0 <= sum(tally.packets for tally in tallies) - wanted <= hammered.unseen


def test_a_next_hop_changes_its_port_and_its_addresses(hammered: Hammered) -> None:
    """A packet has those of before or those of after."""
    device = Device(hammered)
    expect_right(hammered, hammered.hammer(SECONDS, device.any_of(device.turn_a_neighbor)))


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_a_connection_counts_its_packets_but_for_those_of_the_same_instant(hook: Hook) -> None:
    """Two CPUs that count in one slot at once may lose one of two packets; never is one counted that was not there."""
    alone = Places(clients=1, services=1, backends=1, connections=1, versions=(4,))
    with Hammered(small(pipeline(), SLOTS), hook, alone) as hammered:
        hammered.send(100)
        seen = hammered.hammer(SECONDS)
        (store,) = (s for s in layout(hammered.pipeline).stores if s.store.name == "connections_ipv4")
        counted = sum(slot.head.packets for slot in hammered.slots(store).values())
        hits = seen.translated + seen.answered
        print(f"{hook.name}: {counted} of {hits} packets of one connection were counted in its slots")
        assert hits / 2 < counted <= hits + hammered.unseen
