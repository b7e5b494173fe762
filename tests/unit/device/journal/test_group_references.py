"""`@refers_to` multicast groups: they come first and go last, in batches, after an undo and after a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.text import from_text
from compiler.ir.verifier import check
from runtime.device.slices import at_once
from tests.conformance.kernel import config_of
from tests.pipelines.replicating import PATH
from tests.unit.device.journal.device import Device

REFERRING = "1 group: 16 refers_to(builtin::multicast_group_table, multicast_group_id)"
INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
ENTRY = r"""table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\001" } }
  action { action { action_id: 0x01000003 params { param_id: 1 value: "\007" } } } }"""
GROUP = (
    "packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 7 replicas { egress_port: 16 } } }"
)
OK = (0, "")
NONE = (3, "table destination, entry address=0x1: it refers to multicast group 7, and there is none")
IN_USE = (9, "multicast group 7: it is in use (1 references)")


def update(kind: p4r.Update.Type.ValueType, text: str) -> p4r.Update:
    return p4r.Update(type=kind, entity=text_format.Parse(text, p4r.Entity()))


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], Device]:
    return lambda: Device(tmp_path / "state")


def test_groups_come_first_and_go_last(start: Callable[[], Device]) -> None:
    pipeline = check(from_text(PATH.read_text().replace("1 group: 16", REFERRING)))
    config = config_of(pipeline, "model")
    device = start()
    device.set("VERIFY_AND_COMMIT", config)

    def told(*updates: p4r.Update, atomicity: int = 0) -> list[tuple[int, str]]:
        request = p4r.WriteRequest(updates=updates)
        request.atomicity = atomicity  # pyright: ignore[reportAttributeAccessIssue]
        return [OK if one is None else (int(one.code), one.text) for one in at_once(device.configs.write(request))]

    group, entry = update(INSERT, GROUP), update(INSERT, ENTRY)
    assert told(entry, group) == [NONE, OK]
    assert told(entry, update(MODIFY, GROUP), update(DELETE, GROUP)) == [OK, OK, IN_USE]
    assert told(update(DELETE, ENTRY), update(DELETE, GROUP), entry) == [OK, OK, NONE]
    assert told(group, update(DELETE, "digest_entry { }"), atomicity=1)[0][0] == 10
    assert told(entry) == [NONE]
    assert told(group, entry) == [OK, OK]
    device.snapshot()
    device.kill()
    device = start()
    assert told(update(DELETE, GROUP)) == [IN_USE]
    assert told(update(DELETE, ENTRY), update(DELETE, GROUP)) == [OK, OK]
