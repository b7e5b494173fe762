"""Arbitration over real streams, and what else may come on one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from finsy.proto import U128, p4r

from tests.conformance.client import Client, RpcRefusedError, update
from tests.conformance.conftest import Device

OK, TAKEN, NONE = 0, 6, 5
ENTRY = r'table_entry { table_id: 0x02000006 match { field_id: 1 exact { value: "\001" } } }'
Connect = Callable[[], Client]


def test_backup_takes_over_when_the_primary_has_gone(connect: Connect, next_id: int) -> None:
    first, second = connect(), connect()
    one = first.become_primary(next_id + 2)
    two = second.session()
    two.arbitrate(next_id + 1)
    assert two.told() == (TAKEN, next_id + 2)
    one.cancel()
    assert two.told() == (NONE, next_id + 2)
    two.arbitrate(next_id + 1)
    assert two.told() == (NONE, next_id + 2)
    two.arbitrate(next_id + 2)
    assert two.told() == (OK, next_id + 2)


def test_half_close_ends_a_session(connect: Connect, next_id: int) -> None:
    one = connect().become_primary(next_id + 1)
    two = connect().session()
    two.arbitrate(next_id)
    assert two.told() == (TAKEN, next_id + 1)
    one.half_close()
    assert two.told() == (NONE, next_id + 1)


def test_higher_id_wins_and_the_other_is_told(connect: Connect, next_id: int) -> None:
    one = connect().become_primary(next_id)
    two = connect().become_primary(next_id + 1)
    assert one.told() == (TAKEN, next_id + 1)
    two.arbitrate(next_id + 5)
    assert (one.told(), two.told()) == ((TAKEN, next_id + 5), (OK, next_id + 5))
    two.arbitrate(next_id - 1)
    assert (one.told(), two.told()) == ((NONE, next_id + 5), (NONE, next_id + 5))


def test_an_id_in_use_ends_the_stream(connect: Connect, next_id: int) -> None:
    one = connect().become_primary(next_id)
    two = connect().session()
    two.arbitrate(next_id)
    with pytest.raises(RpcRefusedError) as refused:
        two.receive()
    assert refused.value.code == "INVALID_ARGUMENT"
    assert refused.value.text == f"election id {next_id} is already used by another client of this role"
    # Packets may come to the primary: the pipeline of another test is still there, and kernels speak now and then.
    assert not any(message.HasField("arbitration") for message in one.all_waiting())


def test_another_device_ends_the_stream(connect: Connect, next_id: int) -> None:
    session = connect().session()
    session.arbitrate(next_id, device_id=9)
    with pytest.raises(RpcRefusedError) as refused:
        session.receive()
    assert (refused.value.code, refused.value.text) == ("NOT_FOUND", "there is no device 9 here, only 1")


def test_the_role_of_a_stream_is_fixed(connect: Connect, next_id: int) -> None:
    session = connect().become_primary(next_id)
    session.arbitrate(next_id, role="other")
    with pytest.raises(RpcRefusedError) as refused:
        session.receive()
    assert refused.value.code == "FAILED_PRECONDITION"


def test_a_named_role_has_its_own_primary(primary: Client, connect: Connect) -> None:
    session = connect().session()
    session.arbitrate(3, role="operator")
    answer = session.receive().arbitration
    assert (answer.status.code, answer.role.name, answer.election_id.low) == (OK, "operator", 3)
    primary.write(f"INSERT {_with_action(ENTRY)}", role="operator", election_id=3)
    with pytest.raises(RpcRefusedError, match="NOT_FOUND: no client names role 'nobody'"):
        primary.write(f"DELETE {ENTRY}", role="nobody", election_id=3)


def test_only_the_primary_writes_and_all_read(primary: Client, connect: Connect, device: Device) -> None:
    other = connect()
    for election_id in (None, 1, (primary.election_id or 0) + 1):
        with pytest.raises(RpcRefusedError) as refused:
            other.write(f"INSERT {_with_action(ENTRY)}", election_id=election_id)
        assert (refused.value.code, refused.value.errors) == ("PERMISSION_DENIED", [])
        with pytest.raises(RpcRefusedError) as refused:
            other.set_config("VERIFY", device.config, election_id=election_id)
        assert refused.value.code == "PERMISSION_DENIED"
    primary.write(f"INSERT {_with_action(ENTRY)}")
    assert len(other.read("table_entry { }")) == 1


def test_unknown_devices(primary: Client) -> None:
    calls: list[Callable[[], object]] = [
        lambda: primary.write(f"DELETE {ENTRY}", device_id=4),
        lambda: primary.read("table_entry { }", device_id=4),
        lambda: primary.get_config(device_id=4),
    ]
    for call in calls:
        with pytest.raises(RpcRefusedError) as refused:
            call()
        assert (refused.value.code, refused.value.text) == ("NOT_FOUND", "there is no device 4 here, only 1")


def test_what_means_nothing_on_a_stream(connect: Connect, next_id: int) -> None:
    session = connect().become_primary(next_id)
    packet = p4r.PacketOut(payload=b"frame")
    session.send(p4r.StreamMessageRequest(packet=packet))
    error = session.receive().error
    assert (error.canonical_code, error.message) == (
        3,
        "the pipeline takes no packet-out: its P4Info has no packet_out",
    )
    assert error.packet_out.packet_out == packet
    session.send(p4r.StreamMessageRequest(digest_ack=p4r.DigestListAck(digest_id=4)))
    error = session.receive().error
    assert (error.canonical_code, error.digest_list_ack.digest_list_ack.digest_id) == (3, 4)
    session.send(p4r.StreamMessageRequest())
    error = session.receive().error
    assert (error.canonical_code, error.WhichOneof("details")) == (12, "other")


def test_many_clients(connect: Connect, next_id: int) -> None:
    sessions = [connect().session() for _ in range(20)]
    for number, session in enumerate(sessions):
        session.arbitrate(next_id + number)
    last = next_id + 19
    for session in sessions[:-1]:
        while (told := session.told()) != (TAKEN, last):
            assert told[1] <= last
    assert sessions[-1].told() == (OK, last)


def test_hand_over_while_writes_are_under_way(primary: Client, connect: Connect) -> None:
    """Once a new primary has been told so, nothing of an older one takes effect."""
    first = (primary.election_id or 0) + 1
    latest, wrong, written = [0], list[str](), [0]

    def reign(client: Client, election_ids: range) -> None:
        session = client.session()
        for election_id in election_ids:
            session.arbitrate(election_id)
            while (told := session.told())[1] < election_id:
                pass
            if told != (OK, election_id):
                continue
            latest[0] = max(latest[0], election_id)
            for network in range(200):
                before = latest[0]
                try:
                    client.write(f"INSERT {_with_action(_network(network))}", election_id=election_id)
                except RpcRefusedError as refused:
                    if refused.code == "PERMISSION_DENIED":
                        break
                if before > election_id:
                    wrong.append(f"{election_id} wrote after {before} was primary")
                written[0] += 1

    threads = [
        threading.Thread(target=reign, args=(connect(), range(first + number, first + 60, 4))) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert written[0] > 20


def _network(number: int) -> str:
    return ENTRY.replace(r"\001", rf"\{number % 256:03o}")


def test_a_primary_that_cancels_in_the_midst_of_a_write(primary: Client, connect: Connect) -> None:
    """What had begun is done as a whole, and whoever follows writes."""
    request = p4r.WriteRequest(device_id=1)
    request.election_id.CopyFrom(U128.encode(primary.election_id or 0))
    request.updates.extend(update(f"INSERT {_with_action(_network(n))}") for n in range(1, 200))
    for _ in range(20):
        call = primary.stub.Write.future(request)
        call.cancel()
    follower = connect()
    follower.become_primary((primary.election_id or 0) + 1)
    assert len(follower.read("table_entry { }")) in (0, 199)
    follower.write(*[f"DELETE {_network(1)}"] if follower.read("table_entry { }") else [])


def test_capabilities(connect: Connect) -> None:
    stub = connect().stub
    assert stub.Capabilities(p4r.CapabilitiesRequest()).p4runtime_api_version == "1.5.0"
    assert stub.Capabilities(p4r.CapabilitiesRequest(device_id=1)).p4runtime_api_version == "1.5.0"


def _with_action(entry: str) -> str:
    params = r'params { param_id: 1 value: "\001" } params { param_id: 2 value: "\002" }'
    return f"{entry.rstrip('} ')} }} }} action {{ action {{ action_id: 0x01000008 {params} }} }} }}"
