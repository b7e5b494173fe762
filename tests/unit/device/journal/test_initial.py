"""Entries from the start, and default entries, after a kill: what a controller made of them is there again."""

from __future__ import annotations

from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.device.modeltarget import ModelInstance
from tests.conformance.client import update
from tests.pipelines.fixed import fixed_pipeline
from tests.unit.device.journal.device import Device

PORT = (
    r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\%03o" } } '
    r'match { field_id: 2 exact { value: "\001" } } %s }'
)
NOTHING = "action { action { action_id: 0x01000002 } }"
TO_3 = r'action { action { action_id: 0x01000001 params { param_id: 1 value: "\003" } } }'
DEFAULT = 'MODIFY table_entry { table_id: %d is_default_action: true metadata: "mine" %s }'
WRITES = {
    "nothing": (),
    "changed": (f"MODIFY {PORT % (2, TO_3)}",),
    "gone": (f"DELETE {PORT % (2, '')}",),
    "gone and there again": (f"DELETE {PORT % (2, '')}", f"INSERT {PORT % (2, TO_3)}"),
    "one more": (f"INSERT {PORT % (4, NOTHING)}",),
    "defaults": (DEFAULT % (0x02000002, NOTHING), DEFAULT % (0x02000003, TO_3)),
    "a default reset": (DEFAULT % (0x02000002, NOTHING), "MODIFY " + DEFAULT.partition(" ")[2] % (0x02000002, "")),
}


@pytest.mark.parametrize("writes", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("with_snapshot", [False, True], ids=["log", "snapshot"])
def test_is_there_again(tmp_path: Path, writes: tuple[str, ...], with_snapshot: bool) -> None:
    made = fixed_pipeline()
    device = Device(tmp_path)
    config = p4r.ForwardingPipelineConfig(p4info=p4info(made), p4_device_config=write_bundle(made))
    device.set("VERIFY_AND_COMMIT", config)
    assert device.write([update(text) for text in writes]) == [None] * len(writes)
    if with_snapshot:
        device.snapshot()
    before = state(device)
    device.kill()
    for _ in range(2):
        device = Device(tmp_path)
        assert state(device) == before
        device.kill()


def state(device: Device) -> tuple[object, ...]:
    """What is told to clients, and what packets meet."""
    loaded = device.configs.current
    assert isinstance(loaded.instance, ModelInstance)
    tables, model = ("kinds", "ports", "networks"), loaded.instance.model
    told = [(loaded.contents.tables[name].rows, loaded.contents.tables[name].default) for name in tables]
    met = [(frozenset(model.entries(name)), model.match_table(name).default.entry) for name in tables]
    return told, met
