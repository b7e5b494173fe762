"""Counters of many entries are read in slices; a read that another pipeline overtakes says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from finsy.proto import p4r

from runtime.device.kernel import instance
from runtime.device.records import Tally
from runtime.device.refusals import Code, RefusedError
from runtime.device.slices import PAUSE, Steps
from tests.pipelines.acl import acl_pipeline
from tests.unit.device.test_taking_over import Device, acl

pytestmark = pytest.mark.root
ENTRIES, AT_ONCE = 10, 4
COUNTED = p4r.Entity(table_entry=p4r.TableEntry(table_id=0x02000001, counter_data=p4r.CounterData()))
CELLS = p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=p4r.TableEntry(table_id=0x02000001)))


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """Entries that have counted as many packets as their priorities say."""
    monkeypatch.setattr(instance, "READ_AT_ONCE", AT_ONCE)
    device = Device(acl_pipeline())
    device.write(*(f"INSERT {acl(number, number)}" for number in range(1, ENTRIES + 1)))
    codec = device.held.schema.tables[0x02000001]
    for key in device.held.contents.tables["acl"].rows:
        device.held.instance.set_direct_tally(codec.entry_key(key), Tally(codec.keys.priority_of(key), 0))
    device.held.instance.commit()
    device.settle()
    yield device
    device.close()


def run(work: Steps[Iterator[bytes]]) -> tuple[int, list[p4r.Entity]]:
    """How often others could go on, and what was read."""
    pauses = 0
    while True:
        try:
            assert next(work) is PAUSE
        except StopIteration as end:
            return pauses, [one for piece in end.value for one in p4r.ReadResponse.FromString(piece).entities]
        pauses += 1


def test_entries_with_their_counters(filled: Device) -> None:
    pauses, found = run(filled.held.reader.steps(COUNTED))
    assert pauses == 3
    counted = {one.table_entry.priority: one.table_entry.counter_data.packet_count for one in found}
    assert counted == {number: number for number in range(1, ENTRIES + 1)}


def test_counters_alone(filled: Device) -> None:
    pauses, found = run(filled.held.reader.steps(CELLS))
    assert pauses == 3
    assert sorted(one.direct_counter_entry.data.packet_count for one in found) == list(range(1, ENTRIES + 1))


def test_another_pipeline_takes_over_meanwhile(filled: Device) -> None:
    work = filled.held.reader.steps(COUNTED)
    assert next(work) is PAUSE
    filled.held.instance.close()
    with pytest.raises(RefusedError) as refused:
        next(work)
    words = "table acl: another pipeline took over while its counters were read; read again"
    assert (refused.value.code, refused.value.text) == (Code.ABORTED, words)
