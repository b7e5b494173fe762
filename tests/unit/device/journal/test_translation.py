"""Numbers of translated values after a kill, from a log and from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.client import update
from tests.conformance.kernel import config_of
from tests.conformance.naming import BIG, default_vrf, leave_by, member, named_pipeline, vrf
from tests.unit.device.journal.device import Device

WRITES = (
    *(f"INSERT {vrf(name)}" for name in ("gone", "red", "blue")),
    f"MODIFY {default_vrf('green')}",
    f"INSERT {member(1, leave_by('cpu', BIG))}",
    f"DELETE {vrf('gone')}",
)


@pytest.mark.parametrize("with_snapshot", [False, True], ids=["log", "snapshot"])
def test_are_the_same_again(tmp_path: Path, with_snapshot: bool) -> None:
    made = named_pipeline()
    device = Device(tmp_path)
    config = config_of(made, "model")
    device.set("VERIFY_AND_COMMIT", config)
    assert device.write([update(text) for text in WRITES]) == [None] * len(WRITES)
    if with_snapshot:
        device.snapshot()
    before = held(device)
    device.kill()
    for _ in range(2):
        device = Device(tmp_path)
        assert held(device) == before
        device.kill()


def held(device: Device) -> list[object]:
    current = device.configs.current
    tables = [(table.rows, table.default) for table in current.contents.tables.values()]
    names = sorted(current.schema.translations.all())
    return [tables, current.contents.selectors["hops"].members, names]
