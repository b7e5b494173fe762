"""Idle timeouts on the model with a clock of its own: who is told, when, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.entries import ActionCall
from compiler.printers.bundle import Bundle
from runtime.device.idling import AT_ONCE, MAX_BYTES, Idling, resume
from runtime.device.loaded import Loaded, loaded
from runtime.device.modeltarget import ModelTarget
from runtime.device.records import Row
from runtime.device.refusals import RefusedError
from runtime.device.timers import IdleTimers
from tests.differential.metered import frame, metered

S = 1_000_000_000
ENTRY = r"""table_id: 0x02000001 match { field_id: 1 exact { value: "\%03o" } }"""
POLICE = "action { action { action_id: 0x01000001 } }"


@dataclass
class Device:
    """A device with a clock that is moved by hand, and all that the primary is told."""

    now_ms: int = 50_000
    told: list[p4r.IdleTimeoutNotification] = field(default_factory=list[p4r.IdleTimeoutNotification])
    is_heard: bool = True

    def __post_init__(self) -> None:
        self.target = ModelTarget(clock=lambda: self.now_ms, random_bits=lambda _: 0, hash_seed=1)
        instance = self.target.prepare(Bundle(pipeline=metered()))
        instance.activate()
        self.loaded: Loaded | None = loaded(p4r.ForwardingPipelineConfig(), metered(), instance)
        self.idling = Idling(
            lambda: self.loaded,
            self.hear,
            clock_ms=lambda: self.now_ms,
        )

    def hear(self, message: p4r.StreamMessageResponse) -> bool:
        self.told.append(message.idle_timeout_notification)
        return self.is_heard

    def write(self, kind: str, text: str) -> None:
        assert self.loaded is not None
        entry = text_format.Parse(text, p4r.TableEntry())
        self.loaded.writer.apply(p4r.Update(type=p4r.Update.Type.Value(kind), entity=p4r.Entity(table_entry=entry)))

    def wait(self, ms: int) -> None:
        self.now_ms += ms
        asyncio.run(self.idling.scan())

    def heard(self) -> list[int]:
        """The sources of the entries that were told of since the last time."""
        sources = [
            int.from_bytes(entry.match[0].exact.value, "big") for told in self.told for entry in told.table_entry
        ]
        self.told.clear()
        return sources


@pytest.fixture
def device() -> Device:
    return Device()


def timed(source: int, timeout_ns: int = 2 * S, more: str = "") -> str:
    return f"{ENTRY % source} {POLICE} idle_timeout_ns: {timeout_ns} {more}"


def test_what_was_idle_before_is_idle_after(device: Device) -> None:
    """A device that starts again, or has another pipeline, goes on with the time that an entry has been idle."""
    assert device.loaded is not None
    device.write("INSERT", timed(1, 5 * S))
    device.write("INSERT", timed(2, 3 * S))
    device.write("INSERT", ENTRY % 3 + POLICE)
    device.now_ms += 4_000  # nobody looks
    resume(device.loaded, device.now_ms)
    device.wait(100)
    assert device.heard() == [2]
    device.wait(500)
    assert device.heard() == []
    device.wait(1_000)
    assert device.heard() == [1]


def test_an_entry_is_told_of_once_for_each_timeout_that_it_is_idle(device: Device) -> None:
    device.write("INSERT", timed(1))
    device.wait(0)
    heard = [(at, device.heard()) for at in range(1, 10) if device.wait(1_000) is None]
    assert [at for at, sources in heard if sources == [1]] == [3, 5, 7, 9]
    assert all(sources in ([], [1]) for _, sources in heard)


def test_a_packet_begins_the_time_anew(device: Device) -> None:
    device.write("INSERT", timed(1))
    device.wait(0)
    for _ in range(6):
        device.wait(1_000)
        device.target.process(1, frame(1))
    assert device.heard() == []
    for _ in range(3):
        device.wait(1_000)
    assert device.heard() == [1]


def test_the_message_names_the_entry_and_what_controllers_keep_with_it(device: Device) -> None:
    device.write("INSERT", timed(1, more='metadata: "mine" controller_metadata: 5'))
    device.wait(0)
    device.wait(4_000)
    (told,) = device.told
    assert told.timestamp > 0
    wanted = f'{ENTRY % 1} idle_timeout_ns: {2 * S} metadata: "mine" controller_metadata: 5'
    assert list(told.table_entry) == [text_format.Parse(wanted, p4r.TableEntry())]


def test_no_timeout_no_notification(device: Device) -> None:
    device.write("INSERT", f"{ENTRY % 1} {POLICE}")
    for _ in range(100):
        device.wait(100_000)
    assert device.told == []


def test_several_entries_come_in_one_message(device: Device) -> None:
    for source in range(1, 21):
        device.write("INSERT", timed(source))
    device.wait(0)
    device.wait(10_000)
    assert len(device.told) == 1
    assert sorted(device.heard()) == list(range(1, 21))


def test_a_message_is_never_long(device: Device) -> None:
    """An entry that is too long by itself comes alone."""
    lengths = [MAX_BYTES // 3, MAX_BYTES // 3, MAX_BYTES // 3, 10, 2 * MAX_BYTES, 20]
    for source, length in enumerate(lengths, 1):
        device.write("INSERT", timed(source, more=f'metadata: "{"m" * length}"'))
    device.wait(0)
    device.wait(4_000)
    assert all(told.table_entry for told in device.told)
    assert all(told.ByteSize() <= MAX_BYTES + 100 or len(told.table_entry) == 1 for told in device.told)
    assert len(device.told) <= 5
    assert sorted(device.heard()) == [1, 2, 3, 4, 5, 6]


def test_a_deleted_entry_is_not_told_of(device: Device) -> None:
    device.write("INSERT", timed(1))
    device.wait(0)
    device.write("DELETE", ENTRY % 1)
    device.wait(10_000)
    assert device.told == []
    device.write("INSERT", timed(1))
    device.wait(0)
    device.wait(1_500)
    assert device.told == []
    device.wait(1_500)
    assert device.heard() == [1]


def test_a_modify_goes_on_with_the_time_but_for_another_timeout(device: Device) -> None:
    device.write("INSERT", timed(1))
    device.wait(0)
    device.wait(1_000)
    device.write("MODIFY", timed(1))
    device.wait(2_000)
    assert device.heard() == [1]
    device.write("MODIFY", timed(1, 10 * S))
    device.wait(0)
    for _ in range(9):
        device.wait(1_000)
    assert device.heard() == []
    device.wait(2_000)
    assert device.heard() == [1]
    device.write("MODIFY", timed(1, 0))
    device.wait(1_000_000)
    assert device.told == []


def test_an_entry_that_was_idle_for_long_gets_its_first_timeout_whole(device: Device) -> None:
    device.write("INSERT", timed(1, 0))
    device.wait(1_000_000)
    device.write("MODIFY", timed(1, 5 * S))
    device.wait(1_000)
    device.wait(4_000)
    assert device.told == []
    device.wait(2_000)
    assert device.heard() == [1]


def test_a_timeout_that_is_shorter_than_a_look_is_told_at_each(device: Device) -> None:
    device.write("INSERT", timed(1, 1))
    device.wait(0)
    heard = [device.heard() for _ in range(4) if device.wait(1_000) is None]
    assert heard == [[1]] * 4


def test_what_is_undone_is_not_told_of(device: Device) -> None:
    assert device.loaded is not None
    good, bad = (text_format.Parse(timed(1), p4r.TableEntry()), p4r.TableEntry(table_id=9))
    updates = [p4r.Update(type=p4r.Update.INSERT, entity=p4r.Entity(table_entry=one)) for one in (good, bad)]
    device.loaded.writer.apply_all(updates, p4r.WriteRequest.ROLLBACK_ON_ERROR)
    device.wait(0)
    device.wait(10_000)
    assert device.told == []


def _read(device: Device, asked: p4r.Entity) -> list[p4r.Entity]:
    assert device.loaded is not None
    return [one for piece in device.loaded.reader.answer(asked) for one in p4r.ReadResponse.FromString(piece).entities]


def test_time_since_the_last_hit(device: Device) -> None:
    device.write("INSERT", timed(1, 0))
    device.now_ms += 700
    asked = p4r.Entity(table_entry=p4r.TableEntry(table_id=0x02000001))
    (entity,) = _read(device, asked)
    assert not entity.table_entry.HasField("time_since_last_hit")
    asked.table_entry.time_since_last_hit.SetInParent()
    (entity,) = _read(device, asked)
    assert entity.table_entry.time_since_last_hit.elapsed_ns == 700_000_000
    device.target.process(1, frame(1))
    (entity,) = _read(device, asked)
    assert entity.table_entry.time_since_last_hit.elapsed_ns == 0
    assert entity.table_entry.HasField("time_since_last_hit")


def test_a_config_that_is_being_changed_is_left_alone(device: Device) -> None:
    device.write("INSERT", timed(1))
    device.wait(0)
    whole, device.loaded = device.loaded, None
    device.wait(10_000)
    assert device.told == []
    device.loaded = whole
    device.wait(0)
    assert device.heard() == [1]


REFUSED = [
    (timed(1, -1), "table workload: idle_timeout_ns is -1, it is not negative"),
    (timed(1, 5, "time_since_last_hit { }"), "table workload: time_since_last_hit is the device's to tell"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refused(device: Device, text: str, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        device.write("INSERT", text)
    assert refused.value.text == words


def test_many_entries_are_looked_at_a_part_at_a_time() -> None:
    timers, action = IdleTimers(), ActionCall(action="police")
    made = [Row(number.to_bytes(4, "big"), action, idle_timeout_ns=S) for number in range(2 * AT_ONCE + 1)]
    rows = {row.key: row for row in made}
    for row in made:
        timers.add(row)
    timers.remove(made[-1].key)
    timers.add(made[-1])
    begun = [timers.take_new(AT_ONCE) for _ in range(4)]
    assert [len(part) for part in begun] == [AT_ONCE, AT_ONCE, 2, 0]
    for key in {key for part in begun for key in part}:
        timers.begin(rows[key], 60_000)
    assert timers.take_due(60_500, AT_ONCE) == []
    parts = [timers.take_due(61_000, AT_ONCE) for _ in range(4)]
    assert [len(part) for part in parts] == [AT_ONCE, AT_ONCE, 1, 0]
    assert {key for part in parts for key in part} == rows.keys()
    one, two = (rows[key] for key in parts[0][:2])
    assert timers.look(one, idle_ms=5_000, now_ms=61_000)
    assert not timers.look(two, idle_ms=10, now_ms=61_000)
    assert timers.take_due(61_999, AT_ONCE) == []
    assert sorted(timers.take_due(62_000, AT_ONCE)) == sorted(parts[0][:2])


def test_what_nobody_takes_is_lost_and_comes_again_after_another_timeout(device: Device) -> None:
    device.is_heard = False
    for source in range(1, 61):
        device.write("INSERT", timed(source))
    device.wait(0)
    device.wait(3_000)
    assert len(device.told) == 1
    device.told.clear()
    device.is_heard = True
    device.wait(3_000)
    assert sorted(device.heard()) == list(range(1, 61))
