"""Connections as their ends see them, and what a service promises to them whatever else happens.

The promises are those of docs/target-semantics.md: a new entry never takes the slot of one of higher rank, an entry
lives until its timeout, a pair lives and leaves together. So a connection on which both sides have said more than a SYN
(a server's SYN-ACK is more) keeps its backend, until one side closes it, its timeout is over, or the policies take
client or server away. A client outside is where it comes in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from runtime.verification import wire
from runtime.verification.policies.entrances import Entrance
from runtime.verification.policies.plan import ACROSS, PlannedWorkload
from runtime.verification.speaking import Ends

_TIMEOUT_MS = {wire.TCP: 7_440_000, wire.UDP: 120_000, wire.SCTP: 210_000}


def _nothing_sent() -> dict[bool, bool]:
    return {True: False, False: False}


@dataclass(slots=True, kw_only=True)
class Connection:
    """`called` is what the client has sent, `to` what the server has got. `kept_at`: the devices that know it: the one
    that translates it, and those that have it go by a proxy.

    Of each half (True: the client's) when its entry was met last, and whether more than a SYN has met it.
    """

    client: PlannedWorkload | Entrance
    server: PlannedWorkload
    kept_at: frozenset[str]
    called: Ends
    to: Ends
    seen_ms: dict[bool, int]
    has_data: dict[bool, bool] = field(default_factory=_nothing_sent)
    has_moved: bool = False
    """Its server has: until all devices know, its packets may not arrive."""
    is_over: bool = False
    has_ended: bool = False
    """A write has ended it, and no packet of its server, or with something wrong in it, may have opened it again."""
    drains: bool | None = True
    """It goes on when its backend goes, or policies deny it, until it ends by itself; else it ends then. None: one of
    both."""

    def is_promised(self, now_ms: int) -> bool:
        timeout = _TIMEOUT_MS[self.called.protocol]
        is_alive = all(now_ms - seen < timeout for seen in self.seen_ms.values())
        return all(self.has_data.values()) and is_alive and not self.is_over


Origin = int | str
"""Where a packet comes from: the number of a network, its proxies, or from outside to a device of this name."""


def origin_of(workload: PlannedWorkload) -> Origin:
    """A proxy answers for whom it was called, so a device tells its packets from those that come from others."""
    return f"proxies of {workload.network}" if workload.is_proxy else workload.network


class Ledger:
    """One connection for each pair of ends within a network, or from outside by one device."""

    def __init__(self) -> None:
        self._by_call: dict[tuple[Origin, Ends], Connection] = {}
        self._by_answer: dict[tuple[Origin, Ends], Connection] = {}

    def open(self, origin: Origin, connection: Connection) -> None:
        """A packet has learned it; what had the same ends is gone.

        Two clients outside of one address, which come in by two devices, are one to the backend: who gets its answers
        is promised to neither.
        """
        answer = origin_of(connection.server), connection.to.turned
        other = self._by_answer.get(answer)
        if other is not None and isinstance(other.client, Entrance) and other.client != connection.client:
            other.is_over = connection.is_over = True
        self._by_call[origin, connection.called] = connection
        self._by_answer[answer] = connection

    def looking_alike(self, connection: Connection) -> Connection | None:
        """Another one that its server cannot tell from it; of clients outside, one that has come in by its device."""
        other = self._by_answer.get((origin_of(connection.server), connection.to.turned))
        if other is None or (other.client, other.called) == (connection.client, connection.called):
            return None
        ways = [c.client.device if isinstance(c.client, Entrance) else "" for c in (other, connection)]
        return other if ways[0] == ways[1] else None

    def drop(self, origin: Origin, ends: Ends) -> None:
        """A packet with these ends has learned something else."""
        connection = self._by_call.pop((origin, ends), None)
        if connection is not None:
            connection.is_over = True

    def of(self, origin: Origin, ends: Ends) -> tuple[Connection | None, bool]:
        """The connection of a packet, and whether it is its client's."""
        called = self._by_call.get((origin, ends))
        return (self._by_answer.get((origin, ends)), False) if called is None else (called, True)

    def saw(self, connection: Connection, *, is_client: bool, flags: str, now_ms: int) -> None:
        """A packet has met its half's entry."""
        connection.seen_ms[is_client] = now_ms
        if connection.called.protocol != wire.UDP and set(flags) & {"F", "R"}:
            connection.is_over = True
        elif connection.called.protocol == wire.UDP or "S" not in flags or "A" in flags:
            connection.has_data[is_client] = True

    def forget(self, device: str) -> None:
        """A device has lost all that it kept."""
        for connection in self._by_call.values():
            connection.is_over |= device in connection.kept_at

    def ending_at(self, device: str) -> Iterator[Connection]:
        """Those that a device knows and that do not drain."""
        return (c for c in self._by_call.values() if device in c.kept_at and not c.drains)

    def keep_across(self, networks: Mapping[str, Collection[int]]) -> None:
        """Of those by gateways only connections into these networks, by device: nothing leads into others any more."""
        for connection in self._by_call.values():
            client = connection.client
            if isinstance(client, Entrance) and client.network == ACROSS:
                connection.is_over |= connection.server.network not in networks[client.device]

    def doubt(self) -> None:
        """Whatever is known, a packet may have changed it."""
        for connection in self._by_call.values():
            connection.is_over, connection.has_ended = True, False

    def keep(self, there: Collection[PlannedWorkload | Entrance], moved: Collection[PlannedWorkload] = ()) -> None:
        """Only connections between these have promises. `moved` are those that connections of one device go on with."""
        now = {one.wherever: one for one in moved}
        for connection in self._by_call.values():
            is_of_one = isinstance(connection.client, PlannedWorkload) and len(connection.kept_at) == 1
            server = now.get(connection.server.wherever)
            if server is not None and server != connection.server and is_of_one:
                connection.server, connection.has_moved = server, True
            connection.is_over |= connection.client not in there or connection.server not in there
