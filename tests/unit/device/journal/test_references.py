"""References after a kill, and in a snapshot, which has entries in another order than they were written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.client import update
from tests.conformance.kernel import config_of
from tests.conformance.referring import (
    CHAIN,
    call,
    default_route,
    interface,
    member,
    neighbor,
    next_hop,
    referring_pipeline,
)
from tests.unit.device.journal.device import Device

WRITTEN = (*CHAIN, f"MODIFY {default_route(call('to_next_hop', 5))}", f"INSERT {member(1, call('to_next_hop', 5))}")
IN_USE = [
    "table interface, entry id=0x1: it is in use (2 references)",
    "table neighbor, entry interface=0x1, address=0xa: it is in use (1 references)",
    "table next_hop, entry id=0x5: it is in use (3 references)",
]


@pytest.mark.parametrize("with_snapshot", [False, True], ids=["log", "snapshot"])
def test_are_there_again(tmp_path: Path, with_snapshot: bool) -> None:
    made = referring_pipeline()
    device = Device(tmp_path)
    config = config_of(made, "model")
    device.set("VERIFY_AND_COMMIT", config)
    assert device.write([update(text) for text in WRITTEN]) == [None] * len(WRITTEN)
    if with_snapshot:
        device.snapshot()
    before = held(device)
    device.kill()
    for _ in range(2):
        device = Device(tmp_path)
        assert held(device) == before
        assert refusals(device) == IN_USE
        device.kill()


def held(device: Device) -> list[object]:
    contents = device.configs.current.contents
    tables = [(table.rows, table.default) for table in contents.tables.values()]
    return [tables, contents.selectors["hops"].members]


def refusals(device: Device) -> list[str | None]:
    """What is said of deleting everything that is referred to."""
    deleted = (interface(1), neighbor(1, 10), next_hop(5, 1, 10))
    return device.write([update(f"DELETE {text}") for text in deleted])
