"""Policies of the examples, compiled, and packets carried from device to device by the interpreter.

What the lab shows with real sockets, without a kernel: the entries and the pipeline fit each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from compiler.entries.desired import compile_entries
from compiler.entries.identity import router_mac
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from compiler.policy.policyset import Device, PolicySet, PortType, Workload

EXAMPLES = Path(__file__).parents[3] / "examples"


@dataclass
class Fabric:
    """Devices joined by an underlay; frames go in at a workload's port and come out at another's."""

    policies: PolicySet
    now_ms: int = 1_000_000
    interpreters: dict[str, Interpreter] = field(default_factory=lambda: {})
    models: dict[str, Model] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        for device in self.policies.devices:
            desired = compile_entries(self.policies, device)
            assert desired.diagnostics == ()
            model = Model(pipeline(), hash_seed=7)
            for change in (*desired.entries.members, *desired.entries.groups, *desired.entries.table_entries):
                model.insert(change)
            self.models[device.name] = model
            self.interpreters[device.name] = Interpreter(model, clock=lambda: self.now_ms, random=lambda _: 0)

    def workload(self, key: str) -> Workload:
        return next(w for w in self.policies.workloads if w.key == key)

    def home(self, key: str) -> tuple[Device, int]:
        for device in self.policies.devices:
            for port in device.ports:
                if port.workload is not None and port.workload.key == key:
                    return device, port.id
        raise AssertionError(key)

    def send(self, key: str, frame: Packet) -> tuple[str, Packet]:
        """Who gets a frame that a workload sends, and what arrives. "" when nobody does."""
        device, port = self.home(key)
        data = bytes(frame)
        for _ in range(3):
            outcome = self.interpreters[device.name].process(port, data)
            if outcome.verdict not in (VerdictKind.FORWARD, VerdictKind.REPLY):
                return "", Ether(data)
            assert outcome.egress_port is not None
            out = next(p for p in device.ports if p.id == outcome.egress_port)
            data = outcome.packet
            if out.type is PortType.WORKLOAD and out.workload is not None:
                return out.workload.key, checked(data)
            device, port = self._across(device, data)
        raise AssertionError("the packet goes round")

    def _across(self, sender: Device, data: bytes) -> tuple[Device, int]:
        outer = checked(data)
        assert sender.underlay is not None
        assert outer[Ether].src == sender.underlay.mac
        there = next(
            d for d in self.policies.devices if d.underlay is not None and str(d.underlay.address.ip) == outer[IP].dst
        )
        assert there.underlay is not None
        assert outer[Ether].dst == there.underlay.mac
        return there, there.uplinks[0].id


def checked(data: bytes) -> Packet:
    """The frame, after Scapy has found every checksum and length in it right."""
    packet = Ether(data)
    again = Ether(data)
    for layer in (IP, TCP, UDP):
        part = again.getlayer(layer)
        while part is not None:
            if "chksum" in part.fields and not (layer is UDP and part.chksum == 0):
                del part.chksum
            part = part.payload.getlayer(layer)
    assert Ether(bytes(again)) == packet
    return packet


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(load([EXAMPLES / "shop.yaml"]).policies)


def frame(fabric: Fabric, key: str, dst: str, transport: Packet) -> Packet:
    """An untagged frame of a workload to its gateway."""
    workload = fabric.workload(key)
    version = ip_address(dst).version
    gateway = router_mac(workload.network).to_bytes(6, "big").hex(":")
    network = IP if version == 4 else IPv6
    return Ether(src=workload.mac, dst=gateway) / network(src=str(workload.address(version)), dst=dst) / transport


def addresses(packet: Packet) -> tuple[str, str]:
    network = packet.getlayer(IP) or packet.getlayer(IPv6)
    assert network is not None
    return network.src, network.dst


@pytest.mark.parametrize("service", ["10.96.0.10", "fd00:10:96::10"])
def test_a_service_reaches_all_backends_and_answers_itself(fabric: Fabric, service: str) -> None:
    seen: set[str] = set()
    for port in range(40000, 40020):
        who, request = fabric.send(
            "shop/client", frame(fabric, "shop/client", service, TCP(sport=port, dport=80, flags="S"))
        )
        seen.add(who)
        client, backend = addresses(request)
        assert backend == str(fabric.workload(who).address(ip_address(service).version))
        assert request[TCP].dport == 8080
        answer = TCP(sport=8080, dport=port, flags="SA", ack=1)
        back, reply = fabric.send(who, frame(fabric, who, client, answer))
        assert back == "shop/client"
        assert addresses(reply) == (service, client)
        assert (reply[TCP].sport, reply[TCP].dport) == (80, port)
    assert seen == {"shop/web-1", "shop/web-2", "shop/web-3"}


def test_a_connection_stays_with_its_backend(fabric: Fabric) -> None:
    first, _ = fabric.send("shop/client", frame(fabric, "shop/client", "10.96.0.10", TCP(sport=5, dport=80, flags="S")))
    for flags in ("A", "PA", "FA"):
        segment = TCP(sport=5, dport=80, flags=flags) / Raw(b"x" * 100)
        who, _ = fabric.send("shop/client", frame(fabric, "shop/client", "10.96.0.10", segment))
        assert who == first


def test_networks_with_equal_addresses_stay_apart(fabric: Fabric) -> None:
    for port in range(50000, 50010):
        syn = TCP(sport=port, dport=80, flags="S")
        blue, request = fabric.send("blue/blue-client", frame(fabric, "blue/blue-client", "10.96.0.10", syn))
        assert blue == "blue/blue-web"
        shop, _ = fabric.send("shop/client", frame(fabric, "shop/client", "10.96.0.10", syn))
        assert shop.startswith("shop/web-")
        answer = TCP(sport=8080, dport=port, flags="SA")
        assert fabric.send(blue, frame(fabric, blue, addresses(request)[0], answer))[0] == "blue/blue-client"
    who, _ = fabric.send("blue/blue-client", frame(fabric, "blue/blue-client", "10.1.0.13", UDP(dport=9)))
    assert who == "", "shop has 10.1.0.13, blue has not"


def test_a_backend_that_calls_itself_gets_its_answer(fabric: Fabric) -> None:
    hairpins = 0
    for port in range(40000, 40015):
        who, request = fabric.send(
            "shop/web-1", frame(fabric, "shop/web-1", "10.96.0.10", TCP(sport=port, dport=80, flags="S"))
        )
        if who != "shop/web-1":
            continue
        hairpins += 1
        assert addresses(request) == ("10.1.0.1", "10.1.0.11")
        answer = TCP(sport=8080, dport=port, flags="SA")
        back, reply = fabric.send("shop/web-1", frame(fabric, "shop/web-1", "10.1.0.1", answer))
        assert (back, *addresses(reply)) == ("shop/web-1", "10.96.0.10", "10.1.0.11")
    assert hairpins


def test_workloads_talk_directly_too(fabric: Fabric) -> None:
    who, packet = fabric.send(
        "shop/client", frame(fabric, "shop/client", "10.1.0.13", UDP(sport=1, dport=2) / b"hello")
    )
    assert who == "shop/web-3"
    assert bytes(packet[UDP].payload) == b"hello"
    assert packet[IP].ttl == 62, "two devices, two hops"


def test_neighbours_are_answered_for_their_network_alone(fabric: Fabric) -> None:
    def ask(key: str, target: str) -> Outcome:
        workload = fabric.workload(key)
        request = Ether(src=workload.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(
            hwsrc=workload.mac, psrc=str(workload.address(4)), pdst=target
        )
        device, port = fabric.home(key)
        return fabric.interpreters[device.name].process(port, bytes(request))

    answer = ask("shop/client", "10.1.0.13")
    assert answer.verdict is VerdictKind.REPLY
    assert Ether(answer.packet)[ARP].hwsrc == fabric.workload("shop/web-3").mac
    assert ask("blue/blue-client", "10.1.0.13").verdict is VerdictKind.TO_KERNEL


def test_weights_are_kept() -> None:
    fabric = Fabric(load([EXAMPLES / "weighted.yaml"]).policies)
    service = fabric.policies.services[0]
    weights = {b.workload.key: b.weight for b in service.ports[0].backends if b.workload is not None}
    client = next(w.key for w in fabric.policies.workloads if w.key not in weights)
    address, port = str(service.addresses[0]), service.ports[0]
    counts = dict.fromkeys(weights, 0)
    transport = TCP if port.protocol.value == "TCP" else UDP
    for source in range(20000, 20200):
        packet = frame(fabric, client, address, transport(sport=source, dport=port.port))
        who, _ = fabric.send(client, packet)
        counts[who] += 1
    for key, weight in weights.items():
        share = weight / sum(weights.values())
        assert counts[key] == pytest.approx(200 * share, abs=40)
