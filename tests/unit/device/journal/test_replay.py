"""What was acknowledged is there again, whenever the device was killed; what was not is there whole, or not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf.any_pb2 import Any
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir.entries import Exact, TableEntry
from compiler.ir.nodes import Pipeline
from runtime.device.journal.framing import HEAD_SIZE, HEADER
from runtime.device.journal.records import DONE, Config, Election, Kind, Moved, Outcome, Record
from runtime.device.journal.records import Device as RecordedDevice
from runtime.device.journal.replay import Replay
from runtime.device.journal.scanning import scan
from runtime.device.modeltarget import ModelInstance
from runtime.device.refusals import Code, RefusedError, exhausted
from runtime.device.roles import P4RoleConfig
from runtime.device.target import TargetError
from tests.unit.device.journal.batches import BATCHES, EXACT, NOTHING
from tests.unit.device.journal.device import Device, Held, config_of, held

Batches = list[list[p4r.Update]]


@contextmanager
def folder() -> Generator[Path]:
    """Not pytest's: Hypothesis needs a new one for each example."""
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def log_of(path: Path) -> Path:
    return max((path / "journal").glob("*.log"))


def after_each(path: Path, pipeline: Pipeline, batches: Batches) -> list[Held]:
    """The contents before the first batch and after each, of a device that is killed at the end."""
    device = Device(path)
    device.set("VERIFY_AND_COMMIT", config_of(pipeline))
    states = [device.held]
    for batch in batches:
        device.write(batch)
        states.append(device.held)
    device.kill()
    return states


@given(BATCHES)
@settings(max_examples=20)
def test_all_of_it_is_there_again(pipeline: Pipeline, batches: Batches) -> None:
    with folder() as path:
        states = after_each(path, pipeline, batches)
        for _ in range(2):  # what recovery itself writes is right as well
            device = Device(path)
            assert device.held == states[-1]
            device.kill()


@given(BATCHES, st.data())
@settings(max_examples=20)
def test_a_log_cut_anywhere(pipeline: Pipeline, batches: Batches, data: st.DataObject) -> None:
    with folder() as path:
        states = after_each(path, pipeline, batches)
        log = log_of(path)
        whole = log.read_bytes()
        intents, outcomes, first = _places(whole)
        for cut in sorted(data.draw(st.sets(st.integers(first, len(whole.rstrip(b"\0"))), min_size=1, max_size=4))):
            log.write_bytes(whole[:cut] + bytes(len(whole) - cut))
            device = Device(path)
            acknowledged = sum(place <= cut for place in outcomes)
            intended = sum(place <= cut for place in intents)
            assert device.held == states[intended]
            assert intended - acknowledged in (0, 1)
            device.kill()
            log_of(path).unlink()


def _places(whole: bytes) -> tuple[list[int], list[int], int]:
    """Where the records of intents and outcomes of writes end, and where the pipeline is there."""
    intents: list[int] = []
    outcomes: list[int] = []
    at, first = len(HEADER), 0
    for frame in scan(whole).frames:
        at += HEAD_SIZE + len(frame.body)
        if frame.kind == Kind.OUTCOME and not first:
            first = at
        elif frame.kind == Kind.OUTCOME:
            outcomes.append(at)
        elif frame.kind == Kind.WRITE:
            intents.append(at)
    return intents, outcomes, first


@pytest.mark.slow
@given(BATCHES, BATCHES, BATCHES, st.none() | st.integers(0, 12))
@settings(max_examples=20)
def test_snapshots(pipeline: Pipeline, before: Batches, meanwhile: Batches, after: Batches, killed: int | None) -> None:
    with folder() as path:
        device = Device(path)
        device.set("VERIFY_AND_COMMIT", config_of(pipeline, cookie=5))
        for batch in before:
            device.write(batch)
        device.snapshot(killed_after=killed)
        if killed is not None:
            device = Device(path)
        for batch in meanwhile:
            device.write(batch)
        device.set("VERIFY_AND_SAVE", config_of(pipeline, cookie=6))
        for batch in after:
            device.write(batch)
        device.snapshot()
        states = [held(one.contents) for one in (device.configs.committed, device.configs.saved) if one]
        device.kill()
        device = Device(path)
        assert [held(one.contents) for one in (device.configs.committed, device.configs.saved) if one] == states
        assert device.configs.current.config == config_of(pipeline, cookie=6)
        assert len(list((path / "journal").glob("*.snapshot"))) == 1
        device.set("COMMIT")
        device.kill()
        device = Device(path)
        assert (device.configs.committed is not None, device.configs.saved) == (True, None)
        assert device.held == states[1]
        device.kill()


def test_what_the_target_refused_is_not_there_again(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the journal knows of it: replayed, all updates of the batch would succeed."""

    def refuse_second(instance: ModelInstance, entry: TableEntry) -> None:
        if entry.matches[0] == Exact(value=1):
            raise exhausted("no memory for this one")
        instance.model.insert(entry)

    monkeypatch.setattr(ModelInstance, "insert_entry", refuse_second)
    device = Device(tmp_path)
    device.set("VERIFY_AND_COMMIT", config_of(pipeline))
    assert device.write([entry(value) for value in range(3)]) == [None, "no memory for this one", None]
    there = device.held
    device.kill()
    device = Device(tmp_path)
    assert device.held == there
    assert len(there.rows["exact"]) == 2
    device.kill()


def entry(value: int) -> p4r.Update:
    """An insert into the table of exact keys."""
    made = p4r.Update(type=p4r.Update.INSERT)
    made.entity.table_entry.table_id = EXACT
    for field_id in (1, 2):
        made.entity.table_entry.match.add(field_id=field_id).exact.value = bytes((value,))
    made.entity.table_entry.action.action.action_id = NOTHING
    return made


@pytest.mark.parametrize(
    "between", [Moved(old="a", new="b"), Election(role="", election_id=7)], ids=["moved", "elected"]
)
def test_what_was_under_way_waits_for_its_outcome(pipeline: Pipeline, between: Record) -> None:
    """The next process says something else first: the batch, of which one update was refused, is not done by that."""
    config = config_of(pipeline)
    objects = {"p4info": config.p4info.SerializeToString(), "bundle": config.p4_device_config}
    replay = Replay(objects.__getitem__)
    begun = RecordedDevice(boot_id="1", target="model", hash_seed=1)
    under_way = p4r.WriteRequest(updates=[entry(1), entry(2)], atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR)
    commit = Config(action="VERIFY_AND_COMMIT", p4info="p4info", device_config="bundle", cookie=None, place="a")
    first = p4r.WriteRequest(updates=[entry(1)])
    undone = Outcome(failed=frozenset({0, 1}))
    replay.take_all([begun, commit, DONE, first, DONE, under_way, begun, between, undone])
    assert replay.finish_config() is None
    assert replay.finish_write() is None
    assert replay.committed is not None
    assert len(replay.committed.loaded.contents.tables["exact"].rows) == 1


def test_a_pipeline_that_was_under_way_is_where_the_next_process_put_it(pipeline: Pipeline) -> None:
    """A device that was killed with a commit under way, and once more after its next start, finds its maps."""
    config = config_of(pipeline)
    objects = {"p4info": config.p4info.SerializeToString(), "bundle": config.p4_device_config}
    begun = RecordedDevice(boot_id="1", target="model", hash_seed=1)
    first = Config(action="VERIFY_AND_COMMIT", p4info="p4info", device_config="bundle", cookie=None, place="a")
    second = replace(first, action="RECONCILE_AND_COMMIT", place="b")
    for ending in ([], [DONE]):
        replay = Replay(objects.__getitem__)
        replay.take_all([begun, first, DONE, second, begun, Moved(old="b", new="c"), *ending])
        assert replay.finish_config() == (None if ending else DONE)
        assert replay.committed is not None
        assert replay.committed.place == "c"
        before = replay.committed.before
        assert (before.place if before is not None else None) == (None if ending else "a")


def test_a_save_then_a_kill_then_a_commit(pipeline: Pipeline, tmp_path: Path) -> None:
    first, second = config_of(pipeline, 1), config_of(pipeline, 2)
    device = Device(tmp_path)
    device.set("VERIFY_AND_COMMIT", first)
    device.set("VERIFY_AND_SAVE", second)
    device.kill()
    device = Device(tmp_path)
    assert device.configs.committed is not None
    assert device.configs.committed.config == first
    assert device.configs.saved is not None
    assert device.configs.saved.config == second
    device.set("COMMIT")
    device.kill()
    device = Device(tmp_path)
    assert device.configs.committed is not None
    assert (device.configs.committed.config, device.configs.saved) == (second, None)
    device.kill()


def test_without_a_pipeline_there_is_none(tmp_path: Path) -> None:
    Device(tmp_path).kill()
    device = Device(tmp_path)
    assert (device.configs.committed, device.configs.saved) == (None, None)
    device.kill()


def test_the_hash_seed_stays(tmp_path: Path) -> None:
    device = Device(tmp_path)
    seed = device.beginning.hash_seed
    device.kill()
    device = Device(tmp_path)
    assert device.beginning.hash_seed == seed
    device.kill()
    device = Device(tmp_path, clean=True)
    assert device.beginning.hash_seed != seed
    device.kill()


def with_sizes(pipeline: Pipeline, size: int) -> Pipeline:
    """The same, its tables of another size, in another order."""
    tables = tuple(replace(table, size=size if table.store is None else table.size) for table in pipeline.tables)
    return replace(pipeline, tables=tables[::-1])


@given(BATCHES, BATCHES)
@settings(max_examples=10)
def test_entries_go_on_in_another_pipeline(pipeline: Pipeline, before: Batches, after: Batches) -> None:
    with folder() as path:
        device = Device(path)
        device.set("VERIFY_AND_COMMIT", config_of(pipeline))
        for batch in before:
            device.write(batch)
        there = device.held
        device.set("RECONCILE_AND_COMMIT", config_of(with_sizes(pipeline, 9), cookie=3))
        assert device.held == there
        for batch in after:
            device.write(batch)
        there = device.held
        device.kill()
        device = Device(path)
        assert device.held == there
        assert device.configs.current.config == config_of(with_sizes(pipeline, 9), cookie=3)
        device.kill()


def test_a_pipeline_without_room_for_them_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.set("VERIFY_AND_COMMIT", config_of(pipeline))
    device.write([entry(value) for value in range(3)])
    there = device.held
    with pytest.raises(RefusedError) as error:
        device.set("RECONCILE_AND_COMMIT", config_of(with_sizes(pipeline, 2)))
    words = "pipeline small cannot keep what is there: table exact is full: it holds 2 entries"
    assert (error.value.code, error.value.text) == (Code.INVALID_ARGUMENT, words)
    assert device.held == there
    device.kill()
    device = Device(tmp_path)
    assert device.held == there
    device.kill()


def test_configs_of_roles_are_in_the_log_and_in_snapshots() -> None:
    message = Any()
    message.Pack(P4RoleConfig(exclusive_p4_ids=[7]))
    with folder() as path:
        device = Device(path)
        device.kept.journal.note_election("x", 3)
        device.kept.journal.note_role("x", message.SerializeToString())
        device.kept.journal.note_role("y", message.SerializeToString())
        device.kept.journal.note_role("y", b"")
        device.kill()
        for _ in range(2):
            device = Device(path)
            assert {role: one.given for role, one in device.kept.replay.role_configs().items()} == {"x": message}
            device.snapshot()
            device.kill()
        assert len(list((path / "journal").glob("*.snapshot"))) == 1


def test_a_config_of_a_role_that_is_none(tmp_path: Path) -> None:
    """As of a version with another scheme: the device does not start with more rights for somebody."""
    device = Device(tmp_path)
    device.kept.journal.note_role("x", Any(type_url="type.googleapis.com/other").SerializeToString())
    device.kill()
    with pytest.raises(TargetError, match="the config of role 'x' is refused now: role 'x': its config is "):
        Device(tmp_path)
