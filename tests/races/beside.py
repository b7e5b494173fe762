"""What a device does while packets pass: each is one step, called again and again by `Hammered.hammer`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from compiler.ir.entries import EntryKey
from compiler.printers.layout import layout
from compiler.printers.layout_store import StoreLayout
from compiler.printers.store_programs import delete_slot_context
from runtime.bpf.object import Object
from runtime.device.refusals import RefusedError
from tests.races.hammering import Hammered
from tests.races.places import exact, group, neighbor, service_entry

Step = Callable[[], None]
BUSY_ATTEMPTS = 200


@dataclass
class Device:
    """The device's hands: what each step does is drawn from a seed."""

    hammered: Hammered
    draw: random.Random = field(default_factory=lambda: random.Random(5))
    turns: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def stores(self) -> tuple[StoreLayout, ...]:
        return layout(self.hammered.pipeline).stores

    def any_of(self, *steps: Step) -> Step:
        return lambda: self.draw.choice(steps)()

    def pass_time(self) -> None:
        """Now and then long enough for connections to expire."""
        self.hammered.pass_time(self.draw.choice((1, 10, 1000, 15_000, 60_000)))

    def sweep(self) -> None:
        self.hammered.device.tick()

    def delete_a_connection(self) -> None:
        store = self.draw.choice(self.stores)
        slots = list(self.hammered.slots(store).values())
        if slots:
            table, key = self.draw.choice(slots).table.table, self.draw.choice(slots).key
            self.delete([EntryKey(table=table, matches=exact(*key))])

    def delete(self, keys: Sequence[EntryKey]) -> None:
        """All in one step."""
        for _ in range(BUSY_ATTEMPTS):
            try:
                for key in keys:
                    self.hammered.device.delete_learned(key)
                self.hammered.device.commit()
            except RefusedError:
                self.hammered.device.undo.back_to(0)
                continue  # packets are at the entry; a client would ask again as well
            return

    def delete_a_slot(self) -> None:
        """By place and version, as they were a moment ago."""
        store = self.draw.choice(self.stores)
        versions = self.hammered.versions(store)
        slot = self.draw.randrange(len(versions))
        self.hammered.run_on(store, "delete_slot", delete_slot_context(slot, versions[slot]))

    def turn_a_neighbor(self) -> None:
        """Another port and other MAC addresses for a next hop, all at once."""
        hop = self.draw.randrange(self.hammered.places.backends)
        self.turns[hop] = 1 - self.turns.get(hop, 0)
        self.hammered.device.modify_entry(neighbor(self.hammered.book, hop, self.turns[hop]))
        self.hammered.device.commit()

    def regroup(self) -> None:
        """Any backends but none for a service; then all."""
        places = self.hammered.places
        version, service = self.draw.choice(places.versions), self.draw.randrange(places.services)
        backends = places.backends_of(service)
        some = tuple(self.draw.sample(backends, self.draw.randint(1, len(backends))))
        for chosen in (some, backends):
            self.hammered.device.modify_group(group(places, version, service, chosen))
            self.hammered.device.commit()

    def withdraw_a_service(self) -> None:
        version = self.draw.choice(self.hammered.places.versions)
        entry = service_entry(version, self.draw.randrange(self.hammered.places.services), self.hammered.book)
        self.hammered.device.delete_entry(entry.key)
        self.hammered.device.commit()
        self.hammered.device.insert_entry(entry)
        self.hammered.device.commit()

    def delete_a_backend(self) -> None:
        """Out of all groups, then its connections; from then on no packet may go there, until it is back."""
        places, device = self.hammered.places, self.hammered.device
        backend = self.draw.randrange(places.backends)
        self._group_without(backend)
        self.hammered.wait_for_packets()
        for store in self.stores:
            self._delete_connections_to(store, backend)
        self.hammered.wait_for_packets()
        self.hammered.say_deleted((backend,))
        self.hammered.wait_for_packets()
        self.hammered.say_deleted(())
        self.hammered.wait_for_packets()
        self._group_without(None)
        device.tick()

    def _group_without(self, backend: int | None) -> None:
        places = self.hammered.places
        for version in places.versions:
            for service in range(places.services):
                rest = tuple(each for each in places.backends_of(service) if each != backend)
                self.hammered.device.modify_group(group(places, version, service, rest))
        self.hammered.device.commit()

    def _delete_connections_to(self, store: StoreLayout, backend: int) -> None:
        """Nothing new leads there, so once over all of them is enough; the read may have missed one that moved."""
        while found := [s for s in self.hammered.slots(store).values() if self.hammered.leads_to(s, backend)]:
            self.delete([EntryKey(table=slot.table.table, matches=exact(*slot.key)) for slot in found])


def swap(hammered: Hammered, programs: tuple[Object, ...], draw: random.Random) -> Step:
    """Another program of the same pipeline takes over."""
    return lambda: hammered.activate(draw.choice(programs))
