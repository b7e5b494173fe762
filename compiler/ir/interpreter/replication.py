"""Multicast groups and clone sessions, and the copies that packets make by them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

from compiler.ir.backups import in_use
from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import CloneSession, MulticastGroup, Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What leaves by a port besides the packet itself.

    `packet_in` is set for the controller's port, with a value for each field of the pipeline's `packet_in`.
    """

    port: int
    instance: int
    packet: bytes
    packet_in: tuple[int, ...] | None = None


class Replication:
    """Those that a device has, by their ids."""

    def __init__(self, down_ports: Container[int] = ()) -> None:
        """`down_ports` are those that are down now."""
        self._down_ports = down_ports
        self.groups: dict[int, MulticastGroup] = {}
        self.sessions: dict[int, CloneSession] = {}

    def put(self, given: MulticastGroup | CloneSession) -> None:
        """Add one, or put it in the place of the one with its id."""
        match given:
            case MulticastGroup():
                self.groups[given.id] = given
            case CloneSession():
                self.sessions[given.id] = given

    def find(self, given: MulticastGroup | CloneSession) -> MulticastGroup | CloneSession | None:
        """The one with the id of what is given."""
        match given:
            case MulticastGroup():
                return self.groups.get(given.id)
            case CloneSession():
                return self.sessions.get(given.id)

    def remove(self, given: MulticastGroup | CloneSession) -> None:
        """Only the id counts; one that is not there stays so."""
        match given:
            case MulticastGroup():
                self.groups.pop(given.id, None)
            case CloneSession():
                self.sessions.pop(given.id, None)

    def replicas(self, group: int) -> tuple[Replica, ...]:
        """By ports as they are now; none for a group that is not there."""
        return in_use(self.groups[group].replicas, self._is_down) if group in self.groups else ()

    def session(self, number: int) -> CloneSession | None:
        """By ports as they are now."""
        found = self.sessions.get(number)
        return None if found is None else replace(found, replicas=in_use(found.replicas, self._is_down))

    def _is_down(self, port: int) -> bool:
        return port in self._down_ports


def copies_of(replicas: Iterable[Replica], packet: bytes, said: tuple[int, ...]) -> Iterator[Copy]:
    """One for each replica; `said` is for controllers."""
    for replica in replicas:
        packet_in = said if replica.port == CPU_PORT else None
        yield Copy(port=replica.port, instance=replica.instance, packet=packet, packet_in=packet_in)


def clones_of(session: CloneSession, received: bytes, said: tuple[int, ...]) -> tuple[Copy, ...]:
    kept = received[: session.packet_length_bytes] if session.packet_length_bytes else received
    return tuple(copies_of(session.replicas, kept, said))
