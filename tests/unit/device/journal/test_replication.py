"""Multicast groups and clone sessions are there again after a kill, from the log and from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.interpreter.replication import Replication
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.device.modeltarget import ModelInstance
from runtime.device.records import GroupRow, SessionRow
from tests.pipelines.replicating import replicating
from tests.unit.device.journal.device import Device

UPDATES = (
    'INSERT { multicast_group_entry { multicast_group_id: 1 replicas { port: "\\x11" instance: 2 } metadata: "m" } }',
    'INSERT { multicast_group_entry { multicast_group_id: 2 replicas { port: "\\x11" } } }',
    "INSERT { clone_session_entry { session_id: 7 replicas { egress_port: 17 } packet_length_bytes: 99 } }",
    "INSERT { clone_session_entry { session_id: 8 } }",
    'MODIFY { multicast_group_entry { multicast_group_id: 1 replicas { port: "\\x10" '
    'backup_replicas { port: "\\x11" instance: 3 } backup_replicas { port: "\\x01" } } } }',
    "DELETE { multicast_group_entry { multicast_group_id: 2 } }",
    "DELETE { clone_session_entry { session_id: 8 } }",
)


def update(text: str) -> p4r.Update:
    kind, _, rest = text.partition(" ")
    return text_format.Parse(f"type: {kind} entity {{ packet_replication_engine_entry {rest} }}", p4r.Update())


def held(device: Device) -> tuple[dict[int, GroupRow], dict[int, SessionRow], Replication]:
    assert device.configs.committed is not None
    contents, instance = device.configs.committed.contents, device.configs.committed.instance
    assert isinstance(instance, ModelInstance)
    return dict(contents.multicast_groups), dict(contents.clone_sessions), instance.model.replication


@pytest.mark.parametrize("is_long", [False, True], ids=["log", "snapshot"])
def test_they_are_there_again(tmp_path: Path, *, is_long: bool) -> None:
    pipeline = replicating()
    device = Device(tmp_path)
    config = p4r.ForwardingPipelineConfig(p4info=p4info(pipeline), p4_device_config=write_bundle(pipeline))
    device.set("VERIFY_AND_COMMIT", config)
    assert device.write(map(update, UPDATES)) == [None] * len(UPDATES)
    before = held(device)
    assert list(before[0]) == [1]
    assert list(before[1]) == [7]
    if is_long:
        device.snapshot()
    device.kill()
    after = held(again := Device(tmp_path))
    assert after[:2] == before[:2]
    assert (after[2].groups, after[2].sessions) == (before[2].groups, before[2].sessions)
    again.kill()
