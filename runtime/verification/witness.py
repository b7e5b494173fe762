"""Watches what workloads and clients outside say and hear; holds devices to what connections and policies promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from compiler.ir.interpreter import trace
from runtime.verification import policed, wire
from runtime.verification.arrivals import is_plain
from runtime.verification.crossingpromises import crossed_networks, promise_across
from runtime.verification.fabric import End, Fabric, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.isolationpromises import promise_without_ports
from runtime.verification.ledger import Connection, Ledger, Origin, origin_of
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import Entrance, entrance_at, entrances
from runtime.verification.policies.plan import DEVICES, Address, PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.promises import promise, promise_outside, service_of
from runtime.verification.returning import Returning
from runtime.verification.speaking import Ends, Speaker, ends_of

CLOSED = ("tcp_closing", "tcp_closed", "tcp_reset")


class Witness:
    """Of one fabric. `plan` is what its policies were made from."""

    def __init__(self, fabric: Fabric, plan: PolicyPlan) -> None:
        self._fabric = fabric
        self._plan = plan
        self._plans = [plan]
        self._ledger = Ledger()
        self._returning = Returning()

    def adopt(self, plan: PolicyPlan) -> None:
        """Connections whose client or server has gone, or moved without being one that may, are promised nothing."""
        self._plan = plan
        self._plans.append(plan)
        there = (*plan.everyone, *entrances(plan))
        is_joined = plan.underlay in ("shared", "routed")
        moved = [one for one in plan.everyone if one.may_move and one.place in DEVICES] if is_joined else []
        self._ledger.keep(there, moved)
        self._ledger.keep_across({device: crossed_networks(plan, device) for device in DEVICES})
        self._returning.forget_all()

    def wrote(self, device: str) -> None:
        """A device has got all of the policies: what does not drain, and may not be opened any more, ends."""
        for connection in self._ledger.ending_at(device):
            if not self._may_go_on(connection):
                # One to storage drains by TCP on a device that knows it for its policies' sake alone.
                connection.is_over, connection.has_ended = True, connection.called.protocol == wire.UDP

    def _may_go_on(self, connection: Connection) -> bool:
        """Whether it might be opened by what policies are now."""
        client, server, got = connection.client, connection.server, connection.to
        landing = Landing(address=got.dst, port=got.dst_port, host=server.host)
        if isinstance(client, Entrance) and client.network == planned.ACROSS:
            crossed = promise_across(self._plan, client, connection.called, "")
            return landing in crossed.by_network.get(server.network, Promise()).landings
        if isinstance(client, Entrance):
            return landing in promise_outside(self._plan, client, connection.called).landings
        return landing in promise(self._plan, client, connection.called).landings

    def _drains(self, client: PlannedWorkload | Entrance, ends: Ends) -> bool | None:
        """Of one to a service: UDP has no end of its own, and storage has all connections of a host at one target.

        None: a service at these ends has been, or become, one of storage.
        """
        if ends.protocol == wire.UDP:
            return False
        inside = client.client if isinstance(client, Entrance) else client
        found = [service_of(plan, inside, ends) for plan in self._plans]
        are_storage = {service is not None and service[0].is_storage for service in found}
        return not are_storage.pop() if len(are_storage) == 1 else None

    def forget(self, device: str) -> None:
        self._ledger.forget(device)
        self._returning.forget_all()

    def heard(
        self, speaker: Speaker, ends: Ends, flags: str, journey: Journey, got: Ends | None, *, is_torn: bool = False
    ) -> None:
        """A packet as its sender meant it; `got` is what arrived at a workload. `is_torn`: it is a first fragment.

        Raises `Violation`.
        """
        origin = speaker.device if speaker.is_outside else _origin_behind(speaker.port.id)
        connection, is_client = self._ledger.of(origin, ends)
        if connection is not None:
            connection.is_over |= _is_taken_for_new(connection, ends, flags, journey)
            self._check_kept(connection, ends, journey, got, is_client=is_client)
        has_learned = journey.has_learned
        if has_learned:
            if connection is not None:
                # Kept by one more device, which may yet forget it, or as another one, which its server may have opened.
                connection.is_over, connection.has_ended = True, False
            self._open(origin, speaker, ends, journey, got)
        elif journey.is_known and connection is not None:
            if (
                is_client
                and got is not None
                and connection.has_ended
                and self._fabric.is_fixed_up
                and not self._may_go_on(connection)
            ):
                raise Violation(f"{ends} should have ended with what allowed it: {journey}")
            self._saw(connection, flags, got, is_client=is_client)
        if self._fabric.is_settled:
            policed.check(self._plan, journey)
        if not journey.is_known and self._fabric.is_settled:
            is_mute = _is_never_answered(ends, flags, is_torn=is_torn)
            self._check_promise(speaker, ends, flags, journey, got, is_mute=is_mute)

    def pinged(self, speaker: Speaker, src: Address, dst: Address, journey: Journey) -> None:
        """A packet without ports, of which every one is asked. Raises `Violation`."""
        self.unasked(journey)
        sender = planned.workload_at(self._plan, speaker.device, speaker.port.id)
        if sender is None or not self._fabric.is_settled:
            return
        promised = promise_without_ports(self._plan, sender, src, dst)
        if journey.end is End.DELIVERED:
            host = planned.behind_port(journey.last.outcome.egress_port or 0)[1]
            is_kept = host in {landing.host for landing in promised.landings}
        elif journey.end is End.DROPPED:
            is_kept = journey.last.outcome.drop_reason in promised.reasons
        else:
            is_kept = promised.is_untouched and journey.end is End.UNTOUCHED
        if not is_kept:
            raise Violation(f"a ping of {src} to {dst} from {speaker.workload.key} should be {promised}: {journey}")

    def unasked(self, journey: Journey) -> None:
        """A packet without ports, or out of nowhere. Raises `Violation`."""
        if self._fabric.is_settled:
            policed.check(self._plan, journey)

    def overheard(self, journey: Journey) -> None:
        """A packet with something wrong in it, which may have opened or closed a connection all the same."""
        has_closed = any(isinstance(step, trace.Advanced) and step.new in CLOSED for step in _steps(journey))
        if not has_closed and not journey.has_learned:
            return
        first = journey.hops[0]
        ends, origin = ends_of(first.frame), _origin(first)
        connection = None if ends is None or origin is None else self._ledger.of(origin, ends)[0]
        if connection is not None:
            connection.is_over, connection.has_ended = True, False
        else:
            self._ledger.doubt()

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
        network, is_settled = connection.server.network, self._fabric.is_settled
        if connection.has_moved and not is_settled:
            return
        if policed.may_stop(self._plan, journey, network, connection.kept_at, is_settled=is_settled):
            return
        if got != wanted or self._receiver(journey) != (connection.server if is_client else connection.client):
            raise Violation(f"an established connection, {ends}, should have gone on as {wanted}: {journey}")

    def _open(self, origin: Origin, speaker: Speaker, ends: Ends, journey: Journey, got: Ends | None) -> None:
        client = self._sender(speaker, ends)
        server = self._receiver(journey)
        if client is None or not isinstance(server, PlannedWorkload) or not _leads(client, server) or got is None:
            self._ledger.drop(origin, ends)
            return
        is_tunnelled = isinstance(client, Entrance) and len(journey.hops) > 1
        if is_tunnelled and self._fabric.is_settled and not _is_kept_on_its_way(journey):
            raise Violation(f"{ends} from outside, whose answers do not find back: {journey}")
        now_ms = self._fabric.comparisons[speaker.device].now_ms
        opened = Connection(
            client=client,
            server=server,
            kept_at=_keepers(journey),
            called=ends,
            to=got,
            seen_ms={True: now_ms, False: now_ms},
            # A device that has not been told of the entrance yet, or no more, answers nobody there.
            is_over=is_tunnelled and not self._fabric.is_settled,
            drains=self._drains(client, ends) if got.dst != ends.dst else ends.protocol != wire.UDP,
        )
        other = self._ledger.looking_alike(opened)
        if other is not None and other.is_promised(now_ms):
            raise Violation(f"{ends} looks to its server like {other.called}, which is still there: {journey}")
        self._ledger.open(origin, opened)

    def _sender(self, speaker: Speaker, ends: Ends) -> PlannedWorkload | Entrance | None:
        if speaker.is_outside:
            return entrance_at(self._plan, speaker.device, ends.dst)
        return planned.workload_at(self._plan, speaker.device, speaker.port.id)

    def _receiver(self, journey: Journey) -> PlannedWorkload | Entrance | None:
        if journey.end is End.LEFT:
            seen = ends_of(journey.frame)
            return None if seen is None else entrance_at(self._plan, journey.last.device, seen.src)
        return planned.workload_at(self._plan, journey.last.device, journey.last.outcome.egress_port or 0)

    def _check_promise(
        self, speaker: Speaker, ends: Ends, flags: str, journey: Journey, got: Ends | None, *, is_mute: bool
    ) -> None:
        sender = self._sender(speaker, ends)
        if isinstance(sender, Entrance) and sender.network == planned.ACROSS:
            self._check_across(sender, ends, flags, journey, got, is_mute=is_mute)
            return
        if speaker.is_outside:
            promised = promise_outside(self._plan, sender if isinstance(sender, Entrance) else None, ends, flags)
        elif isinstance(sender, PlannedWorkload):
            promised = promise(self._plan, sender, ends, flags)
        else:
            return
        promised = _without_answer(promised) if is_mute else promised
        if not _is_kept(promised, ends, journey, got):
            raise Violation(f"{ends} from {speaker.workload.key} should be {promised}: {journey}")
        if got is not None and sender is not None and not _is_proxied(journey):
            client = sender.client if isinstance(sender, Entrance) else sender
            self._returning.check(self._plan, client, ends, got)

    def _check_across(
        self, entrance: Entrance, ends: Ends, flags: str, journey: Journey, got: Ends | None, *, is_mute: bool
    ) -> None:
        crossed = promise_across(self._plan, entrance, ends, flags)
        promised = _without_answer(crossed.promise) if is_mute else crossed.promise
        if got is not None:
            network = planned.behind_port(journey.last.outcome.egress_port or 0)[0]
            promised = crossed.by_network.get(network, Promise())
            has_moved = any(isinstance(step, trace.Sought) and step.tried > 1 for step in _steps(journey))
            if not crossed.is_seen(ends, got, has_moved=has_moved):
                raise Violation(f"{ends} should be from {crossed.source}, not {got}: {journey}")
            ends = replace(ends, src=got.src, src_port=got.src_port)
        if not _is_kept(promised, ends, journey, got):
            raise Violation(f"{ends} by the gateway {entrance.device} should be {crossed.promise}: {journey}")


def _leads(client: PlannedWorkload | Entrance, server: PlannedWorkload) -> bool:
    return client.network in (server.network, planned.ACROSS)


def _is_never_answered(ends: Ends, flags: str, *, is_torn: bool) -> bool:
    """A reset, and a first fragment whose answer would have to be about all of it."""
    if ends.protocol == wire.UDP:
        return is_torn and ends.dst.version == 6
    return is_torn or "R" in flags


def _without_answer(promised: Promise) -> Promise:
    return Promise(reasons=frozenset({"no_backend"})) if promised.is_refused else promised


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
        return _origin_behind(hop.port)
    return hop.device if is_plain(hop.port, hop.frame) else None


def _origin_behind(port: int) -> Origin:
    network, host = planned.behind_port(port)
    return origin_of(PlannedWorkload(network=network, host=host))


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
    return _is_kept_on_its_way(journey) and not journey.has_learned


def _keepers(journey: Journey) -> frozenset[str]:
    """The devices that know the connection of a packet, or have just learned it."""
    return frozenset(hop.device for hop in journey.hops if any(_keeps(step) for step in hop.outcome.trace))


def _keeps(step: trace.TraceStep) -> bool:
    is_known = isinstance(step, trace.Hit) and step.found_in.startswith("flow")
    return is_known or isinstance(step, trace.Learned)
