"""Packet-in and packet-out (P4Runtime specification, "Packet I/O", "Stream Error Reporting") on both targets."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator

import pytest
from finsy.proto import p4r
from google.protobuf import text_format
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from tests.conformance.client import Client, Session, StalledSession, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.wired import SILENCE_S, WiredDevice, wired
from tests.pipelines.controllers import controllers

PUNTED, SENT, UNKNOWN = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
OTHER_SRC = "02:00:00:00:00:55"


def frame(dst: str, size: int = 40, *, vlan: int = 0) -> bytes:
    ether = Ether(dst=dst, src="02:00:00:00:00:aa")
    tagged = ether / Dot1Q(vlan=vlan) if vlan else ether
    return bytes(tagged / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=8) / Raw(bytes(size)))


def entry(dst: str, action: str) -> str:
    value = "".join(rf"\x{part}" for part in dst.split(":"))
    return f'INSERT table_entry {{ table_id: 0x02000001 match {{ field_id: 1 exact {{ value: "{value}" }} }} action {{ action {{ {action} }} }} }}'


TO_CONTROLLER = (
    r'action_id: 0x01000003 params { param_id: 1 value: "\x25" } params { param_id: 2 value: "\x02\0\0\0\0\x55" }'
)
TO_17 = r'action_id: 0x01000002 params { param_id: 1 value: "\x11" }'


def punted(sent: bytes) -> bytes:
    return sent[:6] + bytes.fromhex(OTHER_SRC.replace(":", "")) + sent[12:]


def packet_out(payload: bytes, metadata: str) -> p4r.StreamMessageRequest:
    request = text_format.Parse(f"packet {{ {metadata} }}", p4r.StreamMessageRequest())
    request.packet.payload = payload
    return request


def to_port(port: int, *, submit: int = 0) -> str:
    return " ".join(
        f'metadata {{ metadata_id: {number} value: "\\{value:03o}" }}'
        for number, value in ((1, port), (2, submit), (3, 0))
    )


@pytest.fixture(scope="module", params=TARGETS)
def wired_device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    folder = tmp_path_factory.mktemp("packet-io")
    with wired(request.param, controllers(), folder, "cpi") as made:
        yield made


@pytest.fixture
def clients(wired_device: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(wired_device.address) as connect:
        yield connect


@pytest.fixture
def primary(clients: Callable[[], Client], wired_device: WiredDevice, next_id: int) -> tuple[Client, Session]:
    """The primary of a device that sends 02:..:01 to the controller and 02:..:02 out of port 17."""
    client = clients()
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", wired_device.config)
    client.write(entry(PUNTED, TO_CONTROLLER), entry(SENT, TO_17))
    return client, session


def drops(client: Client, reason: int) -> int:
    (cell,) = client.read(f"counter_entry {{ counter_id: 0x12000001 index {{ index: {reason} }} }}")
    return cell.counter_entry.data.packet_count


def wait_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    "sent", [frame(PUNTED), frame(PUNTED, 1400), frame(PUNTED, vlan=100)], ids=["small", "large", "tagged"]
)
def test_a_packet_in(wired_device: WiredDevice, primary: tuple[Client, Session], sent: bytes) -> None:
    _, session = primary
    wired_device.wire.send(16, sent)
    values = r'metadata { metadata_id: 1 value: "\x10" } metadata { metadata_id: 2 value: "\x25" } metadata { metadata_id: 4 value: "\x00" }'
    wanted = text_format.Parse(f"packet {{ {values} }}", p4r.StreamMessageResponse())
    wanted.packet.payload = punted(sent)
    assert session.receive() == wanted


def test_packet_ins_keep_their_order(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    _, session = primary
    for size in range(200):
        wired_device.wire.send(16, frame(PUNTED, size))
    got = [session.receive().packet.payload for _ in range(200)]
    assert got == [punted(frame(PUNTED, size)) for size in range(200)]


def test_only_the_primary_gets_them(
    wired_device: WiredDevice, primary: tuple[Client, Session], clients: Callable[[], Client], next_id: int
) -> None:
    _, session = primary
    backup, silent = clients().session(), clients().session()
    backup.arbitrate(next_id - 1)
    assert backup.told() == (6, next_id)
    wired_device.wire.send(16, frame(PUNTED))
    assert session.receive().packet.payload == punted(frame(PUNTED))
    assert backup.is_silent()
    assert silent.is_silent()
    session.cancel()
    assert backup.told() == (5, next_id)
    backup.arbitrate(next_id + 1)
    assert backup.told() == (0, next_id + 1)
    wired_device.wire.send(16, frame(PUNTED, 3))
    assert backup.receive().packet.payload == punted(frame(PUNTED, 3))


def test_without_a_primary_they_are_dropped_and_counted(
    wired_device: WiredDevice, primary: tuple[Client, Session]
) -> None:
    client, session = primary
    assert drops(client, 2) == 0
    session.cancel()
    time.sleep(0.2)
    for _ in range(5):
        wired_device.wire.send(16, frame(PUNTED))
    assert wait_for(lambda: drops(client, 2) == 5)
    (cell,) = client.read("counter_entry { counter_id: 0x12000001 index { index: 2 } }")
    assert cell.counter_entry.data.byte_count == 5 * len(frame(PUNTED))


def test_a_packet_out_leaves_by_its_port(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    _, session = primary
    for port, sent in ((17, frame(UNKNOWN)), (1, frame(PUNTED, 1400)), (16, frame(SENT, vlan=7))):
        session.send(packet_out(sent, to_port(port)))
        assert wired_device.wire.receive(port) == sent
    assert session.is_silent()


def test_a_packet_out_that_enters_the_pipeline(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    session.send(packet_out(frame(SENT, vlan=9), to_port(0, submit=1)))
    assert wired_device.wire.receive(17) == frame(SENT, vlan=9)
    session.send(packet_out(frame(PUNTED), to_port(0, submit=1)))
    got = session.receive().packet
    assert got.payload == punted(frame(PUNTED))
    assert got.metadata[0].value == b"\x01\xfd"
    before = drops(client, 1)
    session.send(packet_out(frame(UNKNOWN), to_port(0, submit=1)))
    assert wait_for(lambda: drops(client, 1) == before + 1)


GOOD = frame(UNKNOWN)


@pytest.mark.parametrize(
    ("payload", "metadata", "text"),
    [
        (GOOD, "", "packet-out, metadata field egress_port: is missing"),
        (GOOD, r'metadata { metadata_id: 1 value: "\x01" } metadata { metadata_id: 2 value: "\x00" }', "packet-out, metadata field unused: is missing"),
        (GOOD, to_port(17) + r' metadata { metadata_id: 7 value: "\x01" }', "packet-out: there is no metadata field of id 7"),
        (GOOD, to_port(17) + r' metadata { metadata_id: 1 value: "\x01" }', "packet-out, metadata field egress_port: is given twice"),
        (GOOD, to_port(17, submit=2), "packet-out, metadata field submit_to_ingress: value 0x02 does not fit in 1 bit"),
        (GOOD, to_port(17).replace(r"\021", ""), "packet-out, metadata field egress_port: the value is empty"),
        (GOOD, to_port(99), "packet-out: there is no port 99 here"),
        (GOOD, to_port(0), "packet-out: there is no port 0 here"),
        (GOOD[:13], to_port(17), "packet-out: the payload has 13 bytes, an Ethernet frame has 14 to 9600"),
        (bytes(9601), to_port(17), "packet-out: the payload has 9601 bytes, an Ethernet frame has 14 to 9600"),
    ],
)  # fmt: skip
def test_packet_outs_that_are_refused(
    wired_device: WiredDevice, primary: tuple[Client, Session], payload: bytes, metadata: str, text: str
) -> None:
    if "port 99" in text and wired_device.target == "model":
        return  # the model has all ports
    _, session = primary
    request = packet_out(payload, metadata)
    session.send(request)
    wanted = p4r.StreamError(canonical_code=3, message=text, space="turnout")
    wanted.packet_out.packet_out.CopyFrom(request.packet)
    assert session.receive().error == wanted
    assert wired_device.wire.receive(17, SILENCE_S) is None


def test_what_is_larger_than_the_mtu(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    if wired_device.target == "model":
        return  # its ports have no MTU
    _, session = primary
    session.send(packet_out(frame(UNKNOWN, 1600), to_port(17)))
    error = session.receive().error
    text = "packet-out: port 17 (rep17): the packet has 1642 bytes, more than the MTU lets through"
    assert (error.canonical_code, error.message) == (3, text)


def test_who_is_not_primary_sends_nothing(
    wired_device: WiredDevice, primary: tuple[Client, Session], clients: Callable[[], Client], next_id: int
) -> None:
    del primary
    stranger, backup = clients().session(), clients().session()
    backup.arbitrate(next_id - 1)
    backup.told()
    texts = {
        stranger: "Not primary: this stream has not arbitrated",
        backup: "Not primary: this client is a backup of the default role",
    }
    for session, text in texts.items():
        request = packet_out(frame(UNKNOWN), to_port(17))
        session.send(request)
        wanted = p4r.StreamError(canonical_code=7, message=text, space="turnout")
        wanted.packet_out.packet_out.CopyFrom(request.packet)
        assert session.receive().error == wanted
    assert wired_device.wire.receive(17, SILENCE_S) is None


def test_a_client_that_does_not_read_loses_packets_and_keeps_its_stream(
    wired_device: WiredDevice, primary: tuple[Client, Session], clients: Callable[[], Client], next_id: int
) -> None:
    """Nobody else waits for it: others are answered, and packets that are none of the controller's pass."""
    client, _ = primary
    slow = StalledSession(clients().stub, 1, next_id + 1)
    sent = 0
    while drops(client, 2) == 0:
        for _ in range(100):
            wired_device.wire.send(16, frame(PUNTED, 1400))
        sent += 100
        wired_device.wire.send(16, frame(SENT))
        assert wired_device.wire.receive(17) == frame(SENT)
        assert sent < 20_000
    time.sleep(0.5)
    lost = drops(client, 2)
    assert slow.rest() + lost == sent


def test_a_flood_harms_neither_other_packets_nor_the_device(
    wired_device: WiredDevice, primary: tuple[Client, Session]
) -> None:
    """More packets for the controller than the device takes: each is told or counted, others pass, clients are answered."""
    client, session = primary
    count = 20_000 if wired_device.target == "kernel" else 2_000
    slowest = 0.0
    for number in range(count):
        wired_device.wire.send(16, frame(PUNTED, 100))
        if number % 200 == 0:
            wired_device.wire.send(16, frame(SENT, 100))
            assert wired_device.wire.receive(17) == frame(SENT, 100)
            started = time.monotonic()
            client.read("table_entry { table_id: 0x02000001 }")
            slowest = max(slowest, time.monotonic() - started)
    told = len(session.all_waiting())
    assert told + drops(client, 2) == count
    assert told > 0
    assert slowest < 1
