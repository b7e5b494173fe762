"""What packets have learned ends in the step in which a DATAPLANE_ATOMIC batch changes the policy: both targets alike."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import pytest

from tests.conformance.client import Client, RpcRefusedError, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.wired import PATIENCE_S, WiredDevice, wired
from tests.pipelines.ending import PROBE, ending_pipeline

PORT = 16
ATOMIC = "DATAPLANE_ATOMIC"
MIXTURE, AGREEMENT = 1, 2
FLOW = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\012\000\000\001" } } }'
LEARNED = "table_entry { table_id: 0x02000001 counter_data { } }"
DECIDING = r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\007" } } match { field_id: 2 exact { value: "\000" } } action { action { action_id: 0x01000002 params { param_id: 1 value: "\%03o" } } } }'
POLICY = r'table_entry { table_id: 0x02000003 match { field_id: 1 exact { value: "\012\000\000\001" } } action { action { action_id: 0x01000003 params { param_id: 1 value: "\%03o" } } } }'


@pytest.fixture(scope="module", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    with wired(request.param, ending_pipeline(), tmp_path_factory.mktemp("ending"), "cen") as made:
        yield made


@pytest.fixture
def connect(device: WiredDevice) -> Generator[Callable[[], Client]]:
    with connecting(device.address) as connect:
        yield connect


@pytest.fixture
def learned(connect: Callable[[], Client], device: WiredDevice, next_id: int) -> Client:
    """The primary of a device that has learned one entry by version 1 of its policy, and has met it once."""
    client = connect()
    client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", device.config)
    client.write(f"INSERT {DECIDING % 1}", f"INSERT {POLICY % 1}")
    pass_packets(client, device, 2)
    assert known(client) == [(1, 1)]
    return client


def known(client: Client) -> list[tuple[int, int]]:
    """The versions that entries tell, and how many packets they had."""
    entries = [one.table_entry for one in client.read(LEARNED)]
    return [(one.action.action.params[0].value[0], one.counter_data.packet_count) for one in entries]


def dropped(client: Client, reason: int) -> int:
    (cell,) = client.read(f"counter_entry {{ counter_id: 0x12000001 index {{ index: {reason} }} }}")
    return cell.counter_entry.data.packet_count


def pass_packets(client: Client, device: WiredDevice, count: int) -> None:
    """Until all have been seen, and none that met two versions."""
    wanted, end = dropped(client, AGREEMENT) + count, time.monotonic() + PATIENCE_S
    for _ in range(count):
        device.wire.send(PORT, PROBE)
    while (seen := dropped(client, AGREEMENT)) < wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert (seen, dropped(client, MIXTURE)) == (wanted, 0)


def pass_until_learned(client: Client, device: WiredDevice) -> list[int]:
    """The versions of what is learned then: not before the last packet of the old policy has left."""
    end = time.monotonic() + PATIENCE_S
    while not (found := known(client)) and time.monotonic() < end:
        pass_packets(client, device, 1)
    return [version for version, _ in found]


@pytest.mark.parametrize("atomicity", ["CONTINUE_ON_ERROR", "ROLLBACK_ON_ERROR", ATOMIC])
def test_the_policy_changes_and_what_was_learned_by_it_ends(
    learned: Client, device: WiredDevice, atomicity: str
) -> None:
    for version in range(2, 6):
        learned.write(
            f"MODIFY {DECIDING % version}", f"DELETE {FLOW}", f"MODIFY {POLICY % version}", atomicity=atomicity
        )
        assert known(learned) == []
        assert pass_until_learned(learned, device) == [version]


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_batch_that_fails_ends_nothing(learned: Client, device: WiredDevice, place: str) -> None:
    wrong = f"INSERT {POLICY % 9}"
    updates = [f"DELETE {FLOW}", f"MODIFY {DECIDING % 2}", f"MODIFY {POLICY % 2}"]
    updates.insert(0 if place == "first" else len(updates), wrong)
    with pytest.raises(RpcRefusedError) as refused:
        learned.write(*updates, atomicity=ATOMIC)
    codes = [code for code, _ in refused.value.errors]
    assert codes == ([6, 10, 10, 10] if place == "first" else [10, 10, 10, 6])
    assert known(learned) == [(1, 1)]
    pass_packets(learned, device, 3)
    assert known(learned) == [(1, 4)]


def test_twice_in_a_batch_and_when_it_is_gone(learned: Client, device: WiredDevice) -> None:
    learned.write(f"DELETE {FLOW}", f"DELETE {FLOW}", atomicity=ATOMIC)
    assert known(learned) == []
    learned.write(f"DELETE {FLOW}", f"MODIFY {DECIDING % 2}", f"MODIFY {POLICY % 2}", atomicity=ATOMIC)
    assert pass_until_learned(learned, device) == [2]


def test_what_packets_may_do_alone_is_refused_as_ever(learned: Client) -> None:
    entry = f'{FLOW.removesuffix(" }")} action {{ action {{ action_id: 0x01000001 params {{ param_id: 1 value: "\\001" }} }} }} }}'
    with pytest.raises(RpcRefusedError) as refused:
        learned.write(f"DELETE {FLOW}", f"INSERT {entry}", atomicity=ATOMIC)
    assert [code for code, _ in refused.value.errors] == [10, 7]
    assert known(learned) == [(1, 1)]
