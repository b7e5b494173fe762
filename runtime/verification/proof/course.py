"""The course that policies are put through, part by part: everything that they say, once. Then comes chance (`chance`).

Every part is a generator that stops after each thing tried, so that whoever runs it can stop as well. What must come
out is said by `expectation`, what must hold anyway by `crossing`; all else is the comparison with the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from compiler.entries.vocabulary import mac_number
from compiler.policy.policyset import Address, Algorithm, Device, Front, Service, ServicePort
from runtime.verification import wire
from runtime.verification.malformed.bytewise import SHORTEST
from runtime.verification.malformed.catalogue import FAULTS
from runtime.verification.proof.acts import Pause, Send, SweepAll
from runtime.verification.proof.entering import callers, doors
from runtime.verification.proof.expectation import expectation
from runtime.verification.proof.talks import Talk, Talks, addresses_of_others, echo, question
from runtime.verification.speaking import Ends, Speaker, spoken

CASES = 3
"""So many cases of each fault are tried on each frame."""
PATIENCE = 30
"""A backend is looked for with so many times the connections that it should get one of."""
PAUSES_MS = (9_999, 2, 49_999, 60_001, 600_000, 7_000_000)
"""Around the timeouts: closing, opened, UDP, established."""
DIRECT_PORT = 7
UNKNOWN_PORT = 9
VXLAN_OVERHEAD = 50


@dataclass(slots=True)
class Coverage:
    """What of the policies was tried: calls are a service port, a family and a source each."""

    calls: int = 0
    backends: int = 0
    missed: list[str] = field(default_factory=list[str])
    """Backends that no connection has reached."""
    not_given: list[str] = field(default_factory=list[str])
    """Backends of services that choose by source, which none of the sources here is given; others may be."""
    questions: int = 0
    strangers: int = 0
    damaged: int = 0


@dataclass(slots=True)
class Course:
    """For one device; other devices take part as ends of its tunnels."""

    talks: Talks
    device: Device
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def here(self) -> tuple[Speaker, ...]:
        return tuple(speaker for speaker in self.talks.speakers if speaker.device == self.device.name)

    def sources(self) -> tuple[Speaker, ...]:
        """All of the device, and of each other device one of each network, whose packets come out of the tunnel."""
        networks = {speaker.network for speaker in self.here}
        far: dict[tuple[str, str], Speaker] = {}
        for speaker in self.talks.speakers:
            if speaker.device != self.device.name and speaker.network in networks:
                far.setdefault((speaker.device, speaker.network), speaker)
        return (*self.here, *far.values())

    def doors(self) -> tuple[tuple[Speaker, Front], ...]:
        """Clients outside, and where they call this device."""
        policies = self.talks.policies
        return tuple(
            (client, front)
            for service, front in doors(policies, self.device)
            for client in callers(policies, self.device, service, front.address.version)
        )

    def whole(self) -> Iterator[None]:
        yield from self.asking()
        yield from self.calling()
        yield from self.spreading()
        yield from self.entering()
        yield from self.visiting()
        yield from self.tearing()
        yield from self.filling()
        yield from self.trespassing()
        yield from self.ageing()
        yield from self.damaging()

    def asking(self) -> Iterator[None]:
        """Who has the gateway, a service, a neighbour, and who has an address that nobody has?"""
        for client in self.here:
            for target in client.workload.network.gateways:
                yield from self._ask(question(client, target))
            for service in self._services(client):
                for target in service.addresses:
                    yield from self._ask(question(client, target))
            for other in self.here:
                for target in other.workload.addresses:
                    yield from self._ask(question(client, target))

    def _ask(self, send: Send | None) -> Iterator[None]:
        if send is not None:
            self.talks.trial.do(send)
            self.coverage.questions += 1
            yield

    def _services(self, client: Speaker) -> tuple[Service, ...]:
        return tuple(s for s in self.talks.policies.services if s.network.name == client.network)

    def calling(self) -> Iterator[None]:
        """Every service, port and family from every source; from other networks as well, where it must not answer."""
        for service in self.talks.policies.services:
            for port in service.ports:
                for address in service.addresses:
                    for client in self.sources():
                        talk = self.talks.open(client, port.protocol.number, address, port.port)
                        if talk is not None:
                            self.talks.converse(talk)
                        self.coverage.calls += client.workload.address(address.version) is not None
                        yield

    def spreading(self) -> Iterator[None]:
        """Connections until each backend has had one, so far apart that it is not remembered."""
        for service in self.talks.policies.services:
            for port in service.ports:
                for version in (4, 6):
                    yield from self._spread(service, port, version)

    def _spread(self, service: Service, port: ServicePort, version: int) -> Iterator[None]:
        address = service.address(version)
        clients = [s for s in self.here if s.network == service.network.name and s.workload.address(version)]
        if clients and address is not None:
            yield from self._reach_all(service, port, clients, address, port.port)

    def _reach_all(
        self, service: Service, port: ServicePort, clients: Sequence[Speaker], address: Address, number: int
    ) -> Iterator[None]:
        """From each client when the source decides, else from the first. `number`: of the port at the address."""
        ends = self.talks.ends(clients[0], port.protocol.number, address, number)
        if ends is None:
            return
        left = set(expectation(self.talks.policies, clients[0], ends).places)
        self.coverage.backends += len(left)
        weights = [backend.weight for backend in port.backends_of(address.version)]
        is_by_source = service.algorithm is Algorithm.SOURCE_HASH
        enough = PATIENCE * -(-sum(weights) // min(weights)) if weights else 0
        calling: Iterable[Speaker] = clients if is_by_source else repeat(clients[0], enough)
        for client in calling:
            if not left:
                return
            if service.affinity_s:
                self.talks.trial.do(Pause(ms=1000 * service.affinity_s + 1))
            talk = self.talks.open(client, port.protocol.number, address, number)
            if talk is not None:
                left.discard(talk.place)
            yield
        unreached = self.coverage.not_given if is_by_source else self.coverage.missed
        unreached += [f"{place[0]} port {place[1]} of {service.key}" for place in sorted(left, key=str)]

    def entering(self) -> Iterator[None]:
        """Clients outside, at each address and port that lets them in here, with one of each range that is named; then
        until each backend has had a connection. And who has the address?"""
        for service, front in doors(self.talks.policies, self.device):
            number, address = front.port.protocol.number, front.address
            clients = tuple(callers(self.talks.policies, self.device, service, address.version))
            for client in clients:
                yield from self._ask(question(client, address))
                talk = self.talks.open(client, number, address, front.number)
                if talk is not None:
                    self.talks.converse(talk)
                self.coverage.calls += 1
                yield
                self.talks.open(client, number, address, UNKNOWN_PORT)
                yield
                if service.algorithm is not Algorithm.SOURCE_HASH:
                    yield from self._reach_all(service, front.port, (client,), address, front.number)
            if clients and service.algorithm is Algorithm.SOURCE_HASH:
                yield from self._reach_all(service, front.port, clients, address, front.number)

    def visiting(self) -> Iterator[None]:
        """From workload to workload of a network, without a service; and to a port of a service that it has not."""
        for client in self.sources():
            for other in self.talks.policies.workloads:
                if other.network.name == client.network:
                    for address in other.addresses:
                        yield from self._visit(client, address)
            for service in self._services(client):
                for address in service.addresses:
                    self.talks.open(client, wire.TCP, address, UNKNOWN_PORT)
                    yield

    def _visit(self, client: Speaker, address: wire.Address) -> Iterator[None]:
        for protocol in (wire.TCP, wire.UDP):
            talk = self.talks.open(client, protocol, address, DIRECT_PORT)
            if talk is not None:
                self.talks.answer(talk, "SA")
            yield
        ping = echo(client, address)
        if ping is not None:
            self.talks.trial.do(ping)
            yield

    def filling(self) -> Iterator[None]:
        """Packets of just the MTU of each way, and one byte less and more; the last hop as well."""
        ways = {port.mtu for port in self.device.ports} | {speaker.workload.network.mtu for speaker in self.here}
        if self.device.underlay is not None:
            ways.add(self.device.underlay.mtu - VXLAN_OVERHEAD)
        for talk in (*self._examples(), *self._neighbours()):
            for mtu in sorted(ways):
                for length in (mtu - 1, mtu, mtu + 1):
                    self._send_long(talk, length)
                    yield

    def _neighbours(self) -> Iterator[Talk]:
        """From each workload straight to each other one of its network, by UDP."""
        for client in self.here:
            for other in self.talks.policies.workloads:
                if other.network.name == client.network:
                    for address in other.addresses:
                        talk = self.talks.open(client, wire.UDP, address, DIRECT_PORT)
                        if talk is not None:
                            yield talk

    def _send_long(self, talk: Talk, length: int) -> None:
        """An IP packet of that many bytes."""
        short = spoken(talk.client, talk.called, "A", b"")
        head = len(short) - (18 if talk.client.port.vlan else 14)
        frame = spoken(talk.client, talk.called, "A", bytes(max(0, length - head)))
        send = Send(device=talk.client.device, port=talk.client.port.id, frame=frame, about=f"{length} bytes of IP")
        self.talks.trial.do(send)

    def tearing(self) -> Iterator[None]:
        """Packets in fragments, both ways, of a connection of each kind from inside and from outside."""
        for talk in (*self._examples(), *self._visits()):
            if talk.called.protocol in (wire.TCP, wire.UDP):
                self.talks.converse(talk)
                self.talks.tear(talk)
                yield

    def _visits(self) -> Iterator[Talk]:
        """A connection of each family and protocol that clients outside open here, the first that reaches somebody."""
        found: set[tuple[int, int]] = set()
        for client, front in self.doors():
            kind = front.port.protocol.number, front.address.version
            if kind not in found:
                talk = self.talks.open(client, kind[0], front.address, front.number)
                if talk is not None:
                    found.add(kind)
                    yield talk

    def trespassing(self) -> Iterator[None]:
        """To addresses of other networks, and out of tunnels of other networks or of none."""
        for client in self.here:
            for address in addresses_of_others(self.talks.policies, client):
                self.talks.open(client, wire.TCP, address, DIRECT_PORT)
                self.coverage.strangers += 1
                yield
        for send in self._strays():
            self.talks.trial.do(send)
            self.coverage.strangers += 1
            yield

    def _strays(self) -> Iterator[Send]:
        if self.device.underlay is None or not self.device.uplinks:
            return
        vnis = {network.vni for network in self.talks.policies.networks}
        tunnel = wire.TunnelEnds(
            src=wire.IPv4Address("203.0.113.7"),
            dst=self.device.underlay.address.ip,
            src_mac=1,
            dst_mac=mac_number(self.device.underlay.mac),
        )
        for target in self.here:
            for address in target.workload.addresses:
                ends = Ends(protocol=wire.UDP, src=address, src_port=4000, dst=address, dst_port=DIRECT_PORT)
                inner = spoken(target, ends, "", b"stray")
                for vni in sorted(vnis | {max(vnis) + 1}):
                    frame = wire.tunnelled(tunnel, vni, inner)
                    uplink = self.device.uplinks[0].id
                    yield Send(device=self.device.name, port=uplink, frame=frame, about=f"in a tunnel with VNI {vni}")

    def damaging(self) -> Iterator[None]:
        """Frames of every shape with every fault."""
        for talk in self._examples():
            frames = (
                (talk.client, spoken(talk.client, talk.called, "PA", b"damaged")),
                (talk.server, spoken(talk.server, talk.got.turned, "PA", b"damaged")),
            )
            for fault in FAULTS:
                for speaker, frame in frames:
                    for at in range(min(CASES, fault.cases)):
                        case = at * fault.cases // CASES
                        changed = fault(frame, case)
                        if len(changed) >= SHORTEST:
                            self._send_damaged(speaker, changed, f"{fault.name}, case {case}")
                            yield

    def _send_damaged(self, speaker: Speaker, frame: bytes, about: str) -> None:
        self.talks.trial.do(Send(device=speaker.device, port=speaker.port.id, frame=frame, about=about))
        self.coverage.damaged += 1

    def _examples(self) -> Iterator[Talk]:
        """A connection of each family and protocol that services have here, the first that reaches somebody."""
        found: set[tuple[int, int]] = set()
        for service in self.talks.policies.services:
            for port in service.ports:
                for address in service.addresses:
                    kind = port.protocol.number, address.version
                    for client in self.here:
                        if kind not in found and client.network == service.network.name:
                            talk = self.talks.open(client, kind[0], address, port.port)
                            if talk is not None:
                                found.add(kind)
                                yield talk

    def ageing(self) -> Iterator[None]:
        """Connections of every state, looked at around each timeout; sweeps between."""
        states: list[Talk] = []
        for talk in tuple(self._examples()):
            for rank in range(3):
                other = self.talks.open(talk.client, talk.called.protocol, talk.called.dst, talk.called.dst_port)
                if other is None:
                    continue
                if rank:
                    self.talks.converse(other)
                if rank == 2 and talk.called.protocol == wire.TCP:
                    self.talks.close(other)
                states.append(other)
        for ms in PAUSES_MS:
            self.talks.trial.do(Pause(ms=ms))
            for talk in states[:: 1 + (ms % 2)]:
                self.talks.answer(talk, "A", is_promised=False)
                self.talks.ask(talk, "A", is_promised=False)
                yield
            self.talks.trial.do(SweepAll())
            self.talks.trial.compare_state()
            yield
