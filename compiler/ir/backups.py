"""Which port takes a copy of a packet while others are down: the same for the interpreter and for devices. Pure.

P4Runtime specification, "MulticastGroupEntry". When all ports of a replica are down it is the replica's own again,
which loses the copy: a target may do either this or make no copy at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import Backup, CloneSession, MulticastGroup, Replica

IsDown = Callable[[int], bool]
"""Also true of a port that there is none of. The controller's port is not asked for: it has no link."""


def in_use(replicas: Iterable[Replica], is_down: IsDown) -> tuple[Replica, ...]:
    """The copies that are made now, in the order of the replicas; none of them has backups."""
    return tuple(_in_use(replica, is_down) if replica.backups else replica for replica in replicas)


def _in_use(replica: Replica, is_down: IsDown) -> Replica:
    places: tuple[Replica | Backup, ...] = (replica, *replica.backups)
    found = next((one for one in places if one.port == CPU_PORT or not is_down(one.port)), replica)
    return Replica(port=found.port, instance=found.instance)


def followed_ports(given: MulticastGroup | CloneSession) -> frozenset[int]:
    """The ports that decide where its copies go."""
    backed = [replica for replica in given.replicas if replica.backups]
    return frozenset(place.port for replica in backed for place in (replica, *replica.backups))
