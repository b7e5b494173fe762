"""Multicast groups and clone sessions (P4Runtime specification, "PacketReplicationEngineEntry") on both targets."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest
from finsy.proto import p4r
from google.protobuf import text_format
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from tests.conformance.client import Client, RpcRefusedError, Session, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import config_of
from tests.conformance.wired import SILENCE_S, WiredDevice, wired
from tests.pipelines.controllers import controllers
from tests.pipelines.replicating import UNKNOWN_GROUP, replicating

TO_GROUP, FLOODED, TO_PORT = (f"02:00:00:00:00:{n:02x}" for n in (1, 2, 3))
PLAIN, CLONED = "02:00:00:00:01:01", "02:00:00:00:01:02"
INVALID, NOT_FOUND, EXISTS, EXHAUSTED, ABORTED, UNIMPLEMENTED = 3, 5, 6, 8, 10, 12


def frame(dst: str, src: str = PLAIN, size: int = 40, *, vlan: int = 0, ttl: int = 64) -> bytes:
    ether = Ether(dst=dst, src=src)
    tagged = ether / Dot1Q(vlan=vlan) if vlan else ether
    return bytes(tagged / IP(src="10.0.0.1", dst="10.0.0.2", ttl=ttl) / UDP(sport=7, dport=8) / Raw(bytes(size)))


def sent(dst: str, action_id: int, argument: int) -> str:
    return _entry(0x02000002, dst, action_id, argument)


def mirrored(src: str, session: int) -> str:
    return _entry(0x02000001, src, 0x01000005, session)


def _entry(table: int, address: str, action_id: int, argument: int) -> str:
    value = "".join(rf"\x{part}" for part in address.split(":"))
    call = f'action_id: {action_id} params {{ param_id: 1 value: "\\x{argument:02x}" }}'
    return f'INSERT table_entry {{ table_id: {table} match {{ field_id: 1 exact {{ value: "{value}" }} }} action {{ action {{ {call} }} }} }}'


def replica(port: int, instance: int = 0, more: str = "") -> str:
    value = "".join(f"\\x{byte:02x}" for byte in port.to_bytes(max(1, (port.bit_length() + 7) // 8), "big"))
    return f'replicas {{ port: "{value}" instance: {instance} {more} }}'


def group(number: int, *replicas: str) -> str:
    return f"packet_replication_engine_entry {{ multicast_group_entry {{ multicast_group_id: {number} {' '.join(replicas)} }} }}"


def session(number: int, *replicas: str) -> str:
    return f"packet_replication_engine_entry {{ clone_session_entry {{ session_id: {number} {' '.join(replicas)} }} }}"


ALL = "packet_replication_engine_entry { }"
GROUPS = "packet_replication_engine_entry { multicast_group_entry { } }"
SESSIONS = "packet_replication_engine_entry { clone_session_entry { } }"


@pytest.fixture(scope="module", params=TARGETS)
def wired_device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    with wired(request.param, replicating(), tmp_path_factory.mktemp("replication"), "crp") as made:
        yield made


@pytest.fixture
def clients(wired_device: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(wired_device.address) as connect:
        yield connect


@pytest.fixture
def primary(clients: Callable[[], Client], wired_device: WiredDevice, next_id: int) -> tuple[Client, Session]:
    """The primary of a device that sends to group 5, floods by it, sends to port 17, and clones by session 5."""
    client = clients()
    stream = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", wired_device.config)
    entries = (sent(TO_GROUP, 0x01000003, 5), sent(FLOODED, 0x01000004, 5), sent(TO_PORT, 0x01000002, 17))
    client.write(*entries, mirrored(CLONED, 5))
    return client, stream


@pytest.fixture
def client(primary: tuple[Client, Session]) -> Client:
    return primary[0]


def arrived(device: WiredDevice, sent_frame: bytes, *ports: int, by: int = 16) -> list[bytes | None]:
    """What comes out of these ports; nothing more comes out of any."""
    device.wire.send(by, sent_frame)
    found = [device.wire.receive(port) for port in ports]
    assert [device.wire.receive(port, SILENCE_S) for port in (1, 16, 17)] == [None] * 3
    return found


def error(client: Client, update: str) -> tuple[int, str]:
    with pytest.raises(RpcRefusedError) as refused:
        client.write(update)
    (one,) = refused.value.errors
    return one


def drops(client: Client) -> int:
    (cell,) = client.read(f"counter_entry {{ counter_id: 0x12000001 index {{ index: {UNKNOWN_GROUP} }} }}")
    return cell.counter_entry.data.packet_count


def told(values: tuple[int, int], payload: bytes) -> p4r.StreamMessageResponse:
    message = p4r.StreamMessageResponse()
    for number, value in enumerate(values, 1):
        message.packet.metadata.add(metadata_id=number, value=bytes((value,)))
    message.packet.payload = payload
    return message


# what is written is read


def test_what_was_written_is_read(client: Client) -> None:
    written = [
        group(5, replica(17, 1), replica(16, 2), replica(17, 2), r'metadata: "any \x00"'),
        group(0xFFFF),
        session(5, replica(509), replica(1, 0xFFFF), "packet_length_bytes: 100"),
        session(1, "replicas { egress_port: 17 instance: 3 }", replica(17, 4)),
    ]
    client.write(*(f"INSERT {text}" for text in written))
    wanted = [text_format.Parse(text, p4r.Entity()) for text in written]
    assert client.read(ALL) == wanted
    assert client.read(GROUPS) == wanted[:2]
    assert client.read(SESSIONS) == wanted[2:]
    assert client.read(group(5, replica(3), 'metadata: "not looked at"')) == wanted[:1]
    assert client.read(session(1, "class_of_service: 4")) == wanted[3:]
    assert client.read(group(6), session(2)) == []


def test_modify_and_delete(client: Client) -> None:
    client.write(f"INSERT {group(5, replica(17))}", f"INSERT {session(5, replica(17))}")
    client.write(f"MODIFY {group(5, replica(16), replica(1))}", f"MODIFY {session(5, 'packet_length_bytes: 64')}")
    assert client.read(ALL) == [
        text_format.Parse(group(5, replica(16), replica(1)), p4r.Entity()),
        text_format.Parse(session(5, "packet_length_bytes: 64"), p4r.Entity()),
    ]
    client.write(f"DELETE {group(5, replica(4000), replica(4000))}", f"DELETE {session(5, 'class_of_service: 3')}")
    assert client.read(ALL) == []


def test_the_shortest_form_of_a_port_is_read(client: Client) -> None:
    client.write(f"INSERT {group(1, replica(17))}".replace(r"\x11", r"\x00\x00\x11"))
    assert client.read(GROUPS) == [text_format.Parse(group(1, replica(17)), p4r.Entity())]


NO_PORT = 'replicas { port: "" }'
REFUSED = [
    (f"INSERT {group(0, replica(17))}", INVALID, "multicast group 0: ids are 1 to 65535"),
    (f"INSERT {group(65536)}", INVALID, "multicast group 65536: ids are 1 to 65535"),
    (f"MODIFY {group(0)}", INVALID, "multicast group 0: ids are 1 to 65535"),
    (f"DELETE {session(0)}", INVALID, "clone session 0: ids are 1 to 65535"),
    (f"INSERT {group(2)}", EXISTS, "multicast group 2: it is there already"),
    (f"INSERT {session(2)}", EXISTS, "clone session 2: it is there already"),
    (f"MODIFY {group(3)}", NOT_FOUND, "multicast group 3: there is none"),
    (f"DELETE {group(3)}", NOT_FOUND, "multicast group 3: there is none"),
    (f"MODIFY {session(3)}", NOT_FOUND, "clone session 3: there is none"),
    (f"DELETE {session(3)}", NOT_FOUND, "clone session 3: there is none"),
    (
        f"INSERT {group(3, replica(17, 1), replica(17), replica(17, 1))}",
        INVALID,
        "multicast group 3, replica 3: port 17 has instance 1 already",
    ),
    (
        f"MODIFY {session(2, replica(17), 'replicas { egress_port: 17 }')}",
        INVALID,
        "clone session 2, replica 2: port 17 has instance 0 already",
    ),
    (f"INSERT {group(3, replica(17, 65536))}", INVALID, "multicast group 3, replica 1: instance 65536 is above 65535"),
    (f"INSERT {group(3, 'replicas { instance: 1 }')}", INVALID, "multicast group 3, replica 1: the port is missing"),
    (
        f"INSERT {group(3, NO_PORT)}",
        INVALID,
        "multicast group 3, replica 1: port 0 is not within 1 to 511",
    ),
    (f"INSERT {group(3, replica(0))}", INVALID, "multicast group 3, replica 1: port 0 is not within 1 to 511"),
    (
        f"INSERT {session(3, replica(17), replica(512))}",
        INVALID,
        "clone session 3, replica 2: port 512 is not within 1 to 511",
    ),
    (
        f"INSERT {group(3, replica(1 << 80))}",
        INVALID,
        f"multicast group 3, replica 1: port {1 << 80} is not within 1 to 511",
    ),
    (
        f"INSERT {session(3, 'class_of_service: 2')}",
        INVALID,
        "clone session 3: class_of_service is 2; ports have one class alone, 0",
    ),
    (
        f"INSERT {session(3, 'packet_length_bytes: -1')}",
        INVALID,
        "clone session 3: packet_length_bytes is -1; it is 0 (the whole packet) or 14 at least",
    ),
    (
        f"INSERT {session(3, 'packet_length_bytes: 13')}",
        INVALID,
        "clone session 3: packet_length_bytes is 13; it is 0 (the whole packet) or 14 at least",
    ),
    (
        f"INSERT {group(3, *(replica(17, n) for n in range(129)))}",
        EXHAUSTED,
        "multicast group 3: 129 replicas, at most 128 are possible",
    ),
    (
        "INSERT packet_replication_engine_entry { }",
        INVALID,
        "packet_replication_engine_entry: neither a multicast group nor a clone session is given",
    ),
]


@pytest.mark.parametrize(("update", "code", "text"), REFUSED, ids=[f"{n}" for n in range(len(REFUSED))])
def test_what_is_refused_changes_nothing(client: Client, update: str, code: int, text: str) -> None:
    there = [group(2, replica(17, 7)), session(2, replica(509))]
    client.write(*(f"INSERT {text}" for text in there))
    assert error(client, update) == (code, text)
    assert client.read(ALL) == [text_format.Parse(text, p4r.Entity()) for text in there]


def test_as_many_as_there_may_be(client: Client) -> None:
    client.write(*(f"INSERT {group(1 + n, replica(17))}" for n in range(1024)))
    assert error(client, f"INSERT {group(2000)}") == (
        EXHAUSTED,
        "multicast group 2000: there are 1024 already, as many as there may be",
    )
    client.write(f"INSERT {session(2000)}", f"DELETE {group(9)}", f"INSERT {group(2000)}")
    client.write(f"MODIFY {group(2000, *(replica(17, n) for n in range(128)))}")
    assert len(client.read(GROUPS)) == 1024


def test_a_pipeline_that_copies_nothing_has_neither(client: Client, wired_device: WiredDevice) -> None:
    client.set_config("VERIFY_AND_COMMIT", config_of(controllers(), wired_device.target))
    assert error(client, f"INSERT {group(3)}") == (
        UNIMPLEMENTED,
        "multicast_group_entry: no packet of pipeline controllers goes to a group",
    )
    assert error(client, f"INSERT {session(3)}") == (
        UNIMPLEMENTED,
        "clone_session_entry: no packet of pipeline controllers is cloned",
    )
    assert client.read(ALL, GROUPS, SESSIONS) == []


# batches


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_that_fails_changes_nothing(client: Client, wired_device: WiredDevice, atomicity: str) -> None:
    client.write(f"INSERT {group(5, replica(17))}", f"INSERT {session(4, replica(1))}")
    before = client.read(ALL)
    updates = (
        f"MODIFY {group(5, replica(1))}",
        f"DELETE {session(4)}",
        f"INSERT {group(6, replica(1))}",
        f"DELETE {group(6)}",
        f"DELETE {group(7)}",
        f"INSERT {session(5, replica(1))}",
    )
    with pytest.raises(RpcRefusedError) as refused:
        client.write(*updates, atomicity=atomicity)
    assert [code for code, _ in refused.value.errors] == [ABORTED] * 4 + [NOT_FOUND] + [ABORTED]
    assert client.read(ALL) == before
    assert arrived(wired_device, frame(TO_GROUP), 17) == [frame(TO_GROUP, ttl=63)]


def test_an_atomic_batch(client: Client, wired_device: WiredDevice) -> None:
    updates = (f"INSERT {group(5, replica(1))}", f"INSERT {session(5, replica(17))}", f"MODIFY {group(5, replica(17))}")
    client.write(*updates, atomicity="DATAPLANE_ATOMIC")
    assert arrived(wired_device, frame(TO_GROUP), 17) == [frame(TO_GROUP, ttl=63)]


# packets


@pytest.mark.parametrize("vlan", [0, 100])
def test_a_packet_to_a_group(client: Client, wired_device: WiredDevice, vlan: int) -> None:
    client.write(f"INSERT {group(5, replica(17, 1), replica(16), replica(1), replica(17, 2))}")
    copy = frame(TO_GROUP, vlan=vlan, ttl=64 if vlan else 63)
    assert arrived(wired_device, frame(TO_GROUP, vlan=vlan), 17, 17, 16, 1) == [copy] * 4


def test_a_flooded_packet_does_not_go_back(client: Client, wired_device: WiredDevice) -> None:
    client.write(f"INSERT {group(5, replica(17), replica(16), replica(1))}")
    copy = frame(FLOODED, ttl=63)
    assert arrived(wired_device, frame(FLOODED), 17, 1) == [copy] * 2
    assert arrived(wired_device, frame(FLOODED), 16, 1, by=17) == [copy] * 2


def test_a_group_that_is_changed_and_deleted(client: Client, wired_device: WiredDevice) -> None:
    assert arrived(wired_device, frame(TO_GROUP)) == []
    client.write(f"INSERT {group(5, replica(17))}")
    assert arrived(wired_device, frame(TO_GROUP), 17) == [frame(TO_GROUP, ttl=63)]
    client.write(f"MODIFY {group(5, replica(1))}")
    assert arrived(wired_device, frame(TO_GROUP), 1) == [frame(TO_GROUP, ttl=63)]
    client.write(f"MODIFY {group(5)}")
    assert arrived(wired_device, frame(TO_GROUP)) == []
    client.write(f"DELETE {group(5)}")
    assert arrived(wired_device, frame(TO_GROUP)) == []
    assert drops(client) == 3


def test_a_replica_that_is_the_controllers(primary: tuple[Client, Session], wired_device: WiredDevice) -> None:
    client, stream = primary
    client.write(f"INSERT {group(5, replica(509), replica(17))}")
    assert arrived(wired_device, frame(TO_GROUP), 17) == [frame(TO_GROUP, ttl=63)]
    assert stream.receive() == told((16, 2), frame(TO_GROUP, ttl=63))


@pytest.mark.parametrize("vlan", [0, 100])
def test_a_clone_is_the_packet_as_it_came(
    primary: tuple[Client, Session], wired_device: WiredDevice, vlan: int
) -> None:
    client, stream = primary
    client.write(f"INSERT {session(5, replica(509), replica(1))}")
    came = frame(TO_PORT, CLONED, 1000, vlan=vlan)
    left = frame(TO_PORT, CLONED, 1000, vlan=vlan, ttl=64 if vlan else 63)
    assert arrived(wired_device, came, 1, 17) == [came, left]
    assert stream.receive() == told((16, 1), came)


@pytest.mark.parametrize("vlan", [0, 100])
def test_a_clone_that_is_cut(primary: tuple[Client, Session], wired_device: WiredDevice, vlan: int) -> None:
    client, stream = primary
    client.write(f"INSERT {session(5, replica(509), replica(1), 'packet_length_bytes: 64')}")
    came = frame(TO_PORT, CLONED, 1000, vlan=vlan)
    left = frame(TO_PORT, CLONED, 1000, vlan=vlan, ttl=64 if vlan else 63)
    assert arrived(wired_device, came, 1, 17) == [came[:64], left]
    assert stream.receive() == told((16, 1), came[:64])
    short = frame(TO_PORT, CLONED, 0)
    assert arrived(wired_device, short, 1, 17) == [short, frame(TO_PORT, CLONED, 0, ttl=63)]
    assert stream.receive() == told((16, 1), short)


def test_a_packet_is_cloned_and_copied(client: Client, wired_device: WiredDevice) -> None:
    client.write(f"INSERT {session(5, replica(1))}", f"INSERT {group(5, replica(1), replica(17))}")
    came, left = frame(TO_GROUP, CLONED), frame(TO_GROUP, CLONED, ttl=63)
    assert arrived(wired_device, came, 1, 1, 17) == [came, left, left]


def test_a_session_that_is_not_there_clones_nothing(client: Client, wired_device: WiredDevice) -> None:
    assert arrived(wired_device, frame(TO_PORT, CLONED), 17) == [frame(TO_PORT, CLONED, ttl=63)]


def test_a_port_without_an_interface_takes_its_copy_with_it(client: Client, wired_device: WiredDevice) -> None:
    client.write(f"INSERT {group(5, replica(300), replica(17))}")
    assert arrived(wired_device, frame(TO_GROUP), 17) == [frame(TO_GROUP, ttl=63)]
