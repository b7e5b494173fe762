"""Values that controllers know by other names (`@p4runtime_translation`): ports and others, on both targets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.ir.text import from_text, to_text
from tests.conformance.client import Client, RpcRefusedError, Session, connecting, entity
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import PORTS, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.naming import (
    BEHIND,
    BIG,
    default_vrf,
    leave_by,
    member,
    named_pipeline,
    number,
    port,
    route,
    set_vrf,
    spread,
    vrf,
)
from tests.conformance.wired import SILENCE_S, WiredDevice, wired

INVALID, EXHAUSTED = 3, 8
TELL = "action_id: 0x01000003"
RED = (f"INSERT {vrf('red')}", f"INSERT {port('up1', 'red')}", f"INSERT {route('red', 5, leave_by('web', BIG))}")


@pytest.fixture(scope="module", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    folder = tmp_path_factory.mktemp("translation")
    with wired(request.param, named_pipeline(), folder, "ctr", named=BEHIND) as made:
        yield made


@pytest.fixture
def connect(device: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(device.address) as connect:
        yield connect


@pytest.fixture
def primary(connect: Callable[[], Client], device: WiredDevice, next_id: int) -> tuple[Client, Session]:
    client = connect()
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", device.config)
    return client, session


@pytest.fixture
def client(primary: tuple[Client, Session]) -> Client:
    return primary[0]


def frame(dst: int) -> bytes:
    return (bytes(12) + b"\x88\xb5" + struct.pack("!IBB", dst, 0, 0)).ljust(64, b"\xaa")


def read(client: Client, *asked: str) -> list[str]:
    return sorted(str(one) for one in client.read(*asked))


def texts(*given: str) -> list[str]:
    return sorted(str(entity(one)) for one in given)


def refused(client: Client, *updates: str) -> list[tuple[int, str]]:
    with pytest.raises(RpcRefusedError) as error:
        client.write(*updates)
    return error.value.errors


def test_entries_are_read_as_they_were_written(client: Client) -> None:
    client.write(*RED, f"MODIFY {default_vrf('blue')}")
    written = [text.removeprefix("INSERT ") for text in RED]
    assert read(client, "table_entry { }") == texts(*written)
    assert read(client, written[1]) == texts(written[1])
    assert read(client, "table_entry { table_id: 0x02000001 is_default_action: true }") == texts(default_vrf("blue"))
    client.write(f"MODIFY {port('up1', 'blue')}", f"DELETE {route('red', 5, '')}")
    assert read(client, "table_entry { }") == texts(vrf("red"), port("up1", "blue"))


def test_members_sets_and_ports_that_are_watched(client: Client) -> None:
    watched = (
        "action_profile_group { action_profile_id: 0x11000004 group_id: 1 max_size: 8 "
        'members { member_id: 1 weight: 1 watch_port: "cache" } }'
    )
    written = (member(1, leave_by("cache", BIG)), watched, spread(BIG, "action_profile_group_id: 1"))
    client.write(*(f"INSERT {one}" for one in written))
    assert read(client, "table_entry { }", "action_profile_member { }", "action_profile_group { }") == texts(*written)
    assert refused(client, f"MODIFY {watched.replace('cache', 'nowhere')}") == [
        (INVALID, "action profile hops, group 1, member 1, watch_port: there is no port 'nowhere'; the ports are "
         "'cache', 'cpu', 'up1', 'web'")
    ]  # fmt: skip
    client.write(*(f"DELETE {one}" for one in reversed(written)))
    action = f'action_profile_actions {{ action {{ {leave_by("web")} }} weight: 2 watch_port: "web" }}'
    one_shot = f"action_profile_action_set {{ {action} }}"
    client.write(f"INSERT {spread(None, one_shot)}")
    assert read(client, "table_entry { }") == texts(spread(None, one_shot))


def test_a_value_that_is_none(client: Client) -> None:
    errors = refused(
        client,
        f"INSERT {port('nowhere', 'red')}",
        f"INSERT {port('', 'red')}",
        f"INSERT {port('up1', '')}",
        f"INSERT {vrf('red')}",
        f"INSERT {route('red', 5, leave_by('rep16'))}",
        f"INSERT {route('red', 5, leave_by('web', 1 << 32))}",
        f"INSERT {vrf('red')}",
        f"DELETE {vrf('green')}",
        f"INSERT {route('green', 5, TELL)}",
    )
    ports = "the ports are 'cache', 'cpu', 'up1', 'web'"
    assert errors == [
        (INVALID, f"table port, match field port: there is no port 'nowhere'; {ports}"),
        (INVALID, "table port, match field port: the value is empty"),
        (INVALID, "table port: action set_vrf, parameter vrf: the value is empty"),
        (0, ""),
        (INVALID, f"table route: action leave_by, parameter port: there is no port 'rep16'; {ports}"),
        (INVALID, "table route: action leave_by, parameter class: value 0x0100000000 does not fit in 32 bits"),
        (6, "table vrf, entry vrf='red': it is there already"),
        (5, "table vrf, entry vrf='green': there is no such entry"),
        (INVALID, "table route, entry vrf='green', dst=0x5: it refers to table vrf, vrf=0x2, and there is none"),
    ]


def test_numbers_run_out_and_are_free_again(client: Client) -> None:
    """A network has 4 bits, and 0 is none."""
    client.write(*(f"INSERT {vrf(f'v{at}')}" for at in range(15)))
    words = "all 15 numbers of type vrf_id are in use, none is left for 'one more'"
    assert refused(client, f"INSERT {vrf('one more')}") == [(EXHAUSTED, f"table vrf, match field vrf: {words}")]
    client.write(f"DELETE {vrf('v3')}")
    client.write(f"INSERT {vrf('one more')}")
    wanted = [vrf(f"v{at}") for at in range(15) if at != 3] + [vrf("one more")]
    assert read(client, "table_entry { }") == texts(*wanted)


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_that_fails_uses_no_number(client: Client, atomicity: str) -> None:
    for attempt in range(4):
        updates = [f"INSERT {vrf(f'{attempt}-{at}')}" for at in range(6)]
        with pytest.raises(RpcRefusedError):
            client.write(*updates, f"INSERT {port('nowhere', 'red')}", atomicity=atomicity)
    assert read(client, "table_entry { }") == []
    client.write(*(f"INSERT {vrf(f'v{at}')}" for at in range(15)))


def test_packets_meet_the_numbers(device: WiredDevice, client: Client) -> None:
    client.write(*RED, f"INSERT {port('cache', 'blue')}")
    device.wire.send(1, frame(5))
    assert device.wire.receive(16) == frame(5)
    device.wire.send(17, frame(5))
    assert device.wire.receive(16, SILENCE_S) is None


def test_packets_of_controllers(device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(*RED[:2], f"INSERT {route('red', 6, TELL)}")
    device.wire.send(1, frame(6))
    told = session.receive().packet
    assert [(one.metadata_id, one.value) for one in told.metadata] == [(1, b"up1"), (2, b"red"), (3, b"\0"), (4, b"\0")]
    session.send(p4r.StreamMessageRequest(packet=packet_out("cache")))
    assert device.wire.receive(17) == frame(7)
    session.send(p4r.StreamMessageRequest(packet=packet_out("nowhere")))
    error = session.receive().error
    words = "there is no port 'nowhere'; the ports are 'cache', 'cpu', 'up1', 'web'"
    assert (error.canonical_code, error.message) == (INVALID, f"packet-out, metadata field egress_port: {words}")


def packet_out(name: str) -> p4r.PacketOut:
    return p4r.PacketOut(payload=frame(7), metadata=[p4r.PacketMetadata(metadata_id=1, value=name.encode())])


def test_over_another_pipeline_numbers_stay(device: WiredDevice, client: Client) -> None:
    client.write(f"INSERT {vrf('gone')}", *RED, f"DELETE {vrf('gone')}")
    before = read(client, "table_entry { }")
    client.set_config("RECONCILE_AND_COMMIT", config_of(named_pipeline("2"), device.target))
    assert read(client, "table_entry { }") == before
    device.wire.send(1, frame(5))
    assert device.wire.receive(16) == frame(5)


@pytest.mark.parametrize("target", TARGETS)
def test_after_a_kill(target: str, tmp_path: Path) -> None:
    """Entries are there, also those of a port that is none any more."""
    ports = [f"{at}={name}{BEHIND.get(at, '')}" for at, name in PORTS.items()]
    with topology("ctk") if target == "kernel" else nullcontext() as made:
        device = Killable(tmp_path, made)
        device.start(ports=ports)
        with connecting(device.address) as connect:
            client = connect()
            client.become_primary(1)
            client.set_config("VERIFY_AND_COMMIT", config_of(named_pipeline(), target))
            client.write(f"INSERT {vrf('gone')}", *RED, f"INSERT {member(1, leave_by('web', BIG))}")
            client.write(f"DELETE {vrf('gone')}")
            before = read(client, "table_entry { }", "action_profile_member { }")
        device.kill()
        device.start(ports=[ports[0], "18=other" if target == "model" else "17=rep17"])
        with connecting(device.address) as connect:
            client = connect()
            client.become_primary(2)
            assert read(client, "table_entry { }", "action_profile_member { }") == before
            client.write(f"DELETE {route('red', 5, '')}", f"MODIFY {member(1, leave_by('up1'))}")
            assert set_vrf("red") in port("up1", "red")
        device.kill()


def test_numbers_of_ports(device: WiredDevice, client: Client) -> None:
    """The same pipeline with 32-bit numbers in place of names: those of `sdn=`, or the port's own."""
    text = to_text(named_pipeline()).replace('ports string "turnout.dev/port"', 'ports 32 "turnout.dev/port"')
    client.set_config("VERIFY_AND_COMMIT", config_of(from_text(text), device.target))
    by_number = (port(number(1), "red"), route("red", 5, leave_by(number(0x10010))))
    client.write(f"INSERT {vrf('red')}", *(f"INSERT {one}" for one in by_number))
    assert read(client, "table_entry { }") == texts(vrf("red"), *by_number)
    device.wire.send(1, frame(5))
    assert device.wire.receive(16) == frame(5)
    assert refused(client, f"INSERT {port(number(16), 'red')}") == [
        (INVALID, "table port, match field port: there is no port 16; the ports are 1, 17, 4294967293, 65552")
    ]
