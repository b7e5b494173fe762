"""Watches what workloads and clients outside say and hear; holds devices to what connections and policies promise."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.ir.interpreter import trace
from runtime.verification import wire
from runtime.verification.arrivals import is_plain
from runtime.verification.fabric import End, Fabric, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.ledger import Connection, Ledger, Origin
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import Entrance, entrance_at, entrances
from runtime.verification.policies.plan import PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.promises import promise, promise_outside
from runtime.verification.returning import Returning
from runtime.verification.speaking import Ends, Speaker, ends_of

CLOSED = ("tcp_closing", "tcp_closed", "tcp_reset")


class Witness:
    """Of one fabric. `plan` is what its policies were made from."""

    def __init__(self, fabric: Fabric, plan: PolicyPlan) -> None:
        self._fabric = fabric
        self._plan = plan
        self._ledger = Ledger()
        self._returning = Returning()

    def adopt(self, plan: PolicyPlan) -> None:
        """Connections whose client or server has gone or moved are promised nothing any more."""
        self._plan = plan
        self._ledger.keep((*plan.everyone, *entrances(plan)))
        self._returning.forget_all()

    def forget(self, device: str) -> None:
        self._ledger.forget(device)
        self._returning.forget_all()

    def heard(self, speaker: Speaker, ends: Ends, flags: str, journey: Journey, got: Ends | None) -> None:
        """A packet as its sender meant it; `got` is what arrived at a workload. Raises `Violation`."""
        origin = speaker.device if speaker.is_outside else planned.behind_port(speaker.port.id)[0]
        connection, is_client = self._ledger.of(origin, ends)
        if connection is not None:
            connection.is_over |= _is_taken_for_new(connection, ends, flags, journey)
            self._check_kept(connection, ends, journey, got, is_client=is_client)
        has_learned = _learned(journey)
        if has_learned:
            self._open(origin, speaker, ends, journey, got)
        elif journey.is_known and connection is not None:
            self._saw(connection, flags, got, is_client=is_client)
        if not journey.is_known and self._fabric.is_settled:
            self._check_promise(speaker, ends, flags, journey, got)

    def overheard(self, journey: Journey) -> None:
        """A packet with something wrong in it, which may have opened or closed a connection all the same."""
        has_closed = any(isinstance(step, trace.Advanced) and step.new in CLOSED for step in _steps(journey))
        if not has_closed and not _learned(journey):
            return
        first = journey.hops[0]
        ends, origin = ends_of(first.frame), _origin(first)
        connection = None if ends is None or origin is None else self._ledger.of(origin, ends)[0]
        if connection is not None:
            connection.is_over = True
        else:
            self._ledger.keep(())

    def _now_ms(self, connection: Connection) -> int:
        return max(self._fabric.comparisons[device].now_ms for device in connection.kept_at)

    def _saw(self, connection: Connection, flags: str, got: Ends | None, *, is_client: bool) -> None:
        """Where two devices keep a connection, a packet that one of them drops is not met by the other."""
        self._ledger.saw(connection, is_client=is_client, flags=flags, now_ms=self._now_ms(connection))
        connection.is_over |= got is None and len(connection.kept_at) > 1

    def _check_kept(
        self, connection: Connection, ends: Ends, journey: Journey, got: Ends | None, *, is_client: bool
    ) -> None:
        wanted = connection.to if is_client else connection.called.turned
        is_known = isinstance(connection.client, Entrance) and not connection.is_over and _is_known_on_its_way(journey)
        if not is_known and not connection.is_promised(self._now_ms(connection)):
            return
        if got != wanted or self._receiver(journey) != (connection.server if is_client else connection.client):
            raise Violation(f"an established connection, {ends}, should have gone on as {wanted}: {journey}")

    def _open(self, origin: Origin, speaker: Speaker, ends: Ends, journey: Journey, got: Ends | None) -> None:
        client = self._sender(speaker, ends)
        server = self._receiver(journey)
        if client is None or not isinstance(server, PlannedWorkload) or server.network != client.network or got is None:
            self._ledger.drop(origin, ends)
            return
        is_tunnelled = isinstance(client, Entrance) and len(journey.hops) > 1
        if is_tunnelled and self._fabric.is_settled and not _is_kept_on_its_way(journey):
            raise Violation(f"{ends} from outside, whose answers do not find back: {journey}")
        now_ms = self._fabric.comparisons[speaker.device].now_ms
        self._ledger.open(
            origin,
            Connection(
                client=client,
                server=server,
                kept_at=_keepers(journey),
                called=ends,
                to=got,
                seen_ms={True: now_ms, False: now_ms},
                # A device that has not been told of the entrance yet, or no more, answers nobody there.
                is_over=is_tunnelled and not self._fabric.is_settled,
            ),
        )

    def _sender(self, speaker: Speaker, ends: Ends) -> PlannedWorkload | Entrance | None:
        if speaker.is_outside:
            return entrance_at(self._plan, speaker.device, ends.dst)
        return planned.workload_at(self._plan, speaker.device, speaker.port.id)

    def _receiver(self, journey: Journey) -> PlannedWorkload | Entrance | None:
        if journey.end is End.LEFT:
            seen = ends_of(journey.frame)
            return None if seen is None else entrance_at(self._plan, journey.last.device, seen.src)
        return planned.workload_at(self._plan, journey.last.device, journey.last.outcome.egress_port or 0)

    def _check_promise(self, speaker: Speaker, ends: Ends, flags: str, journey: Journey, got: Ends | None) -> None:
        sender = self._sender(speaker, ends)
        if speaker.is_outside:
            promised = promise_outside(self._plan, sender if isinstance(sender, Entrance) else None, ends, flags)
        elif isinstance(sender, PlannedWorkload):
            promised = promise(self._plan, sender, ends, flags)
        else:
            return
        if promised.is_refused and ends.protocol != wire.UDP and "R" in flags:
            promised = Promise(reasons=frozenset({"no_backend"}))  # a reset is never answered
        if not _is_kept(promised, ends, journey, got):
            raise Violation(f"{ends} from {speaker.workload.key} should be {promised}: {journey}")
        if got is not None and sender is not None and not _is_proxied(journey):
            client = sender.client if isinstance(sender, Entrance) else sender
            self._returning.check(self._plan, client, ends, got)


def _is_kept(promised: Promise, ends: Ends, journey: Journey, got: Ends | None) -> bool:
    if promised.is_untouched:
        return journey.end is End.UNTOUCHED
    if promised.is_refused:
        return journey.end is End.ANSWERED
    has_moved = any(isinstance(step, trace.Sought) and step.tried > 1 for step in _steps(journey))
    if journey.end is End.DROPPED:
        reasons = promised.reasons | (WHEN_CROWDED if has_moved else frozenset[str]())
        return journey.last.outcome.drop_reason in reasons
    if got is None:
        return False
    host = planned.behind_port(journey.last.outcome.egress_port or 0)[1]
    if Landing(address=got.dst, port=got.dst_port, host=host) not in promised.landings:
        return False
    is_own = got.dst == ends.src and got.dst != ends.dst
    return (got.src_port == ends.src_port or has_moved) and (got.src == ends.src or is_own)


def _origin(hop: Hop) -> Origin | None:
    """None for what another device has sent."""
    if hop.port != planned.UPLINK:
        return planned.behind_port(hop.port)[0]
    return hop.device if is_plain(hop.port, hop.frame) else None


def _steps(journey: Journey) -> Iterable[trace.TraceStep]:
    return (step for hop in journey.hops for step in hop.outcome.trace)


def _is_taken_for_new(connection: Connection, ends: Ends, flags: str, journey: Journey) -> bool:
    """A SYN alone opens a connection anew on a device that does not know it, where a redirect may take it."""
    is_opening = ends.protocol == wire.TCP and flags == "S"
    return is_opening and not {hop.device for hop in journey.hops} <= connection.kept_at


def _is_proxied(journey: Journey) -> bool:
    return planned.behind_port(journey.last.outcome.egress_port or 0)[1] in planned.PROXY_PLACES


def _is_kept_on_its_way(journey: Journey) -> bool:
    """Whether each device knows the packet's connection, or has just learned it."""
    return _keepers(journey) == frozenset(hop.device for hop in journey.hops)


def _is_known_on_its_way(journey: Journey) -> bool:
    """Whether each device has taken it for a packet of a connection that it knows."""
    return _is_kept_on_its_way(journey) and not _learned(journey)


def _keepers(journey: Journey) -> frozenset[str]:
    """The devices that know the connection of a packet, or have just learned it."""
    return frozenset(hop.device for hop in journey.hops if any(_keeps(step) for step in hop.outcome.trace))


def _keeps(step: trace.TraceStep) -> bool:
    is_known = isinstance(step, trace.Hit) and step.found_in.startswith("flow")
    return is_known or isinstance(step, trace.Learned)


def _learned(journey: Journey) -> bool:
    return any(isinstance(step, trace.Learned) for step in _steps(journey))
