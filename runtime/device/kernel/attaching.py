"""The dispatcher on every port, and the maps that say which interface is which port.

Survives interfaces that go and come back while the device runs: a lost port is logged and left, one that is there
again is taken up again. What an earlier process has pinned goes on: maps and links are the same ones, and change only
where ports or interfaces have changed.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from pathlib import Path

from runtime.bpf.attach import Attachment, attach_tc, remove_clsact
from runtime.bpf.bpffs import remove_pin
from runtime.bpf.constants import MapType
from runtime.bpf.errors import BpfError
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.program import Program
from runtime.bpf.queries import Hook, Mode
from runtime.device.kernel.interfaces import Interfaces
from runtime.device.kernel.links import Link, LinkChange, LinkWatch, links
from runtime.device.kernel.portpins import arrange, pin_of
from runtime.device.kernel.ports import MAX_PORT, Delivery, Port, PortSpec, port_of, resolve
from runtime.device.portstates import PortStates
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")
_EGRESS = struct.Struct("=II")
_U32 = struct.Struct("=I")
EGRESS = "egress"
MOST_OTHERS = 2 * (MAX_PORT + 1)
"""Interfaces that share a place with another one: those of all ports, twice as one comes before another goes."""
EGRESS_SHAPE = MapShape(name=EGRESS, type=MapType.ARRAY, key_size=4, value_size=_EGRESS.size, max_entries=MAX_PORT + 1)


class Ports:
    """All ports of the device."""

    def __init__(self, specs: Iterable[PortSpec], dispatcher: Program, pins: Path) -> None:
        self._specs = {spec.interface: spec for spec in specs}
        self._dispatcher = dispatcher
        self._pins = pins
        self._watch = LinkWatch()
        self.is_taken_over = (pins / EGRESS).exists()
        """Whether an earlier process left its maps here."""
        if self.is_taken_over:
            self._interfaces = Interfaces.pinned(pins)
            self._egress = Map.pinned(pins / EGRESS)
        else:
            self._interfaces = Interfaces.create(MOST_OTHERS)
            self._egress = Map.create(EGRESS_SHAPE)
        self._attached: dict[int, tuple[Port, Attachment]] = {}
        """By interface index."""
        self._alive: set[int] = set()
        """Interface indices of links that are alive."""
        self._ids = frozenset(spec.id for spec in self._specs.values())
        self.states = PortStates(self._ids, down=self._ids)

    def attach_all(self) -> None:
        """Raises `TargetError`: an interface that is missing or down, or a refusal of the kernel."""
        found = links()
        if self.is_taken_over:
            ports = self._there(found)
            arrange(self._pins, ports, self._specs.values())
            self._forget_others(ports)
        else:
            ports = resolve(self._specs.values(), found)
            for name, own in self.maps.items():
                remove_pin(self._pins / name)  # of one that was killed as it began
                own.pin(self._pins / name)
        for port in ports:
            try:
                self._attach(port)
            except BpfError as problem:
                raise TargetError(f"port {port.id}: {problem}") from problem
            LOG.info("port %d is %s (%s)", port.id, port.interface, port.delivery.name.lower())
        self._alive = {link.index for link in found if link.is_alive}
        self._tell()

    def fileno(self) -> int:
        """Readable when `tick` has something to do."""
        return self._watch.fileno()

    def interface(self, number: int) -> str | None:
        """The interface of a port, None where there is none now."""
        return next((port.interface for port, _ in self._attached.values() if port.id == number), None)

    def put(self, ifindex: int, number: int) -> None:
        """Packets of an interface that is none of the ports come in by this number."""
        self._interfaces.put(ifindex, number)

    def _there(self, found: Iterable[Link]) -> tuple[Port, ...]:
        """The ports whose interfaces are there; the others are waited for, as when they go while the device runs."""
        by_name = {link.name: link for link in found if link.is_up}
        missing = [spec for spec in self._specs.values() if spec.interface not in by_name]
        for spec in missing:
            LOG.error(
                "port %d: interface %s is not there, or down; its packets are dropped until it is back",
                spec.id,
                spec.interface,
            )
        there = [spec for spec in self._specs.values() if spec not in missing]
        return tuple(port_of(spec, by_name[spec.interface]) for spec in there)

    def _forget_others(self, ports: Iterable[Port]) -> None:
        """In the maps that were taken over, what is no port any more."""
        by_index = {port.ifindex: port.id for port in ports}
        for ifindex, port in self._interfaces.items():
            if by_index.get(ifindex) != port:
                self._interfaces.remove(ifindex)
        ids = set(by_index.values())
        for key, value in self._egress.items():
            if any(value) and _U32.unpack(key)[0] not in ids:
                self._egress.update(key, _EGRESS.pack(0, Delivery.NONE))

    @property
    def maps(self) -> dict[str, Map]:
        """The device's maps, by the names that programs have for them."""
        return {**self._interfaces.maps, EGRESS: self._egress}

    def tick(self) -> None:
        """Take notice of interfaces that went or came."""
        try:
            self._follow(self._watch.changes())
        except (BpfError, OSError) as problem:
            LOG.error("cannot follow the interfaces: %s", problem)  # noqa: TRY400  the kernel's words say it all
        self._tell()

    def detach_all(self) -> None:
        """Take the dispatcher off every port. Failures are logged: the rest must still be done."""
        for port, attachment in self._attached.values():
            try:
                attachment.detach()
                if attachment.mode is Mode.CLSACT:
                    remove_clsact(port.ifindex)
            except BpfError as problem:
                LOG.error("port %d: %s", port.id, problem)  # noqa: TRY400  the kernel's words say it all
        self._attached.clear()

    def close(self) -> None:
        """Close descriptors; what is pinned stays."""
        self._watch.close()
        for _, attachment in self._attached.values():
            attachment.close()
        self._interfaces.close()
        self._egress.close()

    def _attach(self, port: Port) -> None:
        attachment = attach_tc(self._dispatcher, port.ifindex, Hook.INGRESS, pin=pin_of(self._pins, port.id))
        self._attached[port.ifindex] = port, attachment
        self._egress.update(_U32.pack(port.id), _EGRESS.pack(port.ifindex, port.delivery))
        self._interfaces.put(port.ifindex, port.id)

    def _tell(self) -> None:
        """Which ports are down now: those without an interface, and those whose link is not alive."""
        up = {port.id for index, (port, _) in self._attached.items() if index in self._alive}
        was_down = frozenset(self.states.down)
        self.states.set_down(self._ids - up)
        for port in sorted(was_down ^ self.states.down):
            LOG.info("the link of port %d is %s", port, "up" if port in up else "down")

    def _follow(self, changes: tuple[LinkChange, ...] | None) -> None:
        if changes is None:
            self._compare(links())
            return
        for change in changes:
            (self._alive.add if change.link.is_alive and not change.is_gone else self._alive.discard)(change.link.index)
            if change.is_gone:
                self._lose(change.link.index)
            else:
                self._meet(change.link)

    def _lose(self, ifindex: int) -> None:
        if ifindex not in self._attached:
            return
        port, attachment = self._attached.pop(ifindex)
        LOG.error(
            "port %d has lost its interface %s; its packets are dropped until it is back", port.id, port.interface
        )
        self._interfaces.remove(ifindex)
        self._egress.update(_U32.pack(port.id), _EGRESS.pack(0, Delivery.NONE))
        try:
            attachment.detach()
        except BpfError as problem:
            LOG.warning("port %d: %s", port.id, problem)

    def _meet(self, link: Link) -> None:
        spec = self._specs.get(link.name)
        if spec is None or not link.is_up or link.index in self._attached:
            return
        try:
            for ifindex, (port, _) in list(self._attached.items()):
                if port.id == spec.id:
                    self._lose(ifindex)
            self._attach(port_of(spec, link))
        except (BpfError, TargetError) as problem:
            LOG.warning("port %d cannot take up interface %s again: %s", spec.id, link.name, problem)
            return
        LOG.info("port %d has its interface %s again", spec.id, link.name)

    def _compare(self, found: Iterable[Link]) -> None:
        """After missed news: look at everything."""
        by_index = {link.index: link for link in found}
        self._alive = {link.index for link in by_index.values() if link.is_alive}
        for ifindex in [index for index in self._attached if index not in by_index]:
            self._lose(ifindex)
        for link in by_index.values():
            self._meet(link)
