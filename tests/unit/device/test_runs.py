"""Batches as runs against the same updates one at a time: outcomes, contents and what the target holds are equal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from finsy.proto import p4r
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import Member
from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle
from runtime.device.batch import CONTINUE, ROLLBACK, Atomicity, Batch
from runtime.device.contents import Contents, empty_contents
from runtime.device.modeltarget import ModelInstance, ModelTarget
from runtime.device.records import Row
from runtime.device.refusals import RefusedError, exhausted
from runtime.device.schema import TableCodec, schema
from runtime.device.slices import at_once
from runtime.device.updates import Writer
from runtime.device.wireupdates import Given

KINDS = ("INSERT", "MODIFY", "DELETE", "UNSPECIFIED")
ACTIONS = (
    "action { action { action_id: 0x01000002 } }",
    r'action { action { action_id: 0x01000001 params { param_id: 1 value: "\003" } params { param_id: 2 value: "\002" } } }',  # noqa: E501
    "action { action { action_id: 0x01000003 } }",
    "",
)


class Device:
    """Contents, a model, and a writer of both."""

    def __init__(self, pipeline: Pipeline) -> None:
        codecs = schema(pipeline)
        target = ModelTarget(clock=lambda: 0, random_bits=lambda _: 0, hash_seed=1)
        self.instance: ModelInstance = target.prepare(Bundle(pipeline=pipeline))
        self.contents: Contents = empty_contents(pipeline, tuple(codecs.tables.values()))
        self.writer = Writer(codecs, self.contents, self.instance)

    def without_runs(self) -> Device:
        def take(place: int, given: Given) -> bool:
            return False

        self.writer.runs.take = take
        return self

    def held(self) -> object:
        model = self.instance.model
        entries = {name: list(model.entries(name)) for name in self.contents.tables}
        by_key = {name: {entry.key: entry.action for entry in found} for name, found in entries.items()}
        rows = {name: table.rows for name, table in self.contents.tables.items()}
        selected = {name: (one.members, one.groups) for name, one in self.contents.selectors.items()}
        return by_key, rows, selected


def _exact(a: int, c: int) -> str:
    fields = (
        f"match {{ field_id: 1 exact {{ value: '\\{a:03o}' }} }} match {{ field_id: 2 exact {{ value: '\\{c:03o}' }} }}"
    )
    return f"table_id: 0x02000001 {fields}"


def _lpm(a: int, b: int) -> str:
    fields = f"match {{ field_id: 1 exact {{ value: '\\{a:03o}' }} }} match {{ field_id: 2 lpm {{ value: '\\{b:03o}\\000' prefix_len: 24 }} }}"  # noqa: E501
    return f"table_id: 0x02000002 {fields}"


SMALL = st.integers(0, 3)
ENTRIES = st.builds(_exact, SMALL, SMALL) | st.builds(_lpm, SMALL, SMALL) | st.just("table_id: 0x02000077")
MEMBERS = st.builds(
    "action_profile_member {{ action_profile_id: 0x11000001 member_id: {} action {{ action_id: {} }} }}".format,
    st.sampled_from([1, 2, 3, 300, 0]),
    st.sampled_from([0x01000002, 0x01000003]),
)
GROUPS = st.builds(
    "action_profile_group {{ action_profile_id: 0x11000001 group_id: {} {} }}".format,
    st.integers(1, 2),
    st.lists(st.builds("members {{ member_id: {} weight: 1 }}".format, st.integers(1, 3)), max_size=2).map(" ".join),
)
OTHERS = GROUPS | st.sampled_from(
    [
        r"table_entry { table_id: 0x02000004 match { field_id: 1 exact { value: '\003' } } action { action_profile_group_id: 1 } }",  # noqa: E501
        r"table_entry { table_id: 0x02000004 match { field_id: 1 exact { value: '\001' } } action { action_profile_member_id: 1 } }",  # noqa: E501
        r"table_entry { table_id: 0x02000004 match { field_id: 1 exact { value: '\002' } } action { action_profile_action_set { action_profile_actions { action { action_id: 0x01000002 } weight: 1 } } } }",  # noqa: E501
        "meter_entry { }",
    ]
)


@st.composite
def updates(draw: st.DrawFn) -> p4r.Update:
    entry = f"table_entry {{ {draw(ENTRIES)} {draw(st.sampled_from(ACTIONS))} metadata: '{draw(SMALL)}' }}"
    entity = draw(st.just(entry) | MEMBERS | OTHERS)
    return text_format.Parse(f"type: {draw(st.sampled_from(KINDS))} entity {{ {entity} }}", p4r.Update())


def _told(outcomes: Sequence[RefusedError | None]) -> list[tuple[int, str] | None]:
    return [None if one is None else (int(one.code), one.text) for one in outcomes]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from([CONTINUE, ROLLBACK]), st.lists(updates(), max_size=12)), max_size=3))
def test_a_batch_is_its_updates(pipeline: Pipeline, batches: list[tuple[Atomicity, list[p4r.Update]]]) -> None:
    together, in_place, alone = Device(pipeline), Device(pipeline), Device(pipeline).without_runs()
    for atomicity, batch in batches:
        raw = p4r.WriteRequest(updates=batch, atomicity=atomicity).SerializeToString()
        expected = _told(alone.writer.apply_all(batch, atomicity))
        assert _told(together.writer.apply_all(batch, atomicity)) == expected
        assert _told(at_once(in_place.writer.steps(Batch(batch, atomicity, raw)))) == expected
        assert together.held() == in_place.held() == alone.held()


def _members(*numbers: int) -> list[p4r.Update]:
    texts = [
        f"type: INSERT entity {{ action_profile_member {{ action_profile_id: 0x11000001 member_id: {number} "
        "action { action_id: 0x01000002 } } }"
        for number in numbers
    ]
    return [text_format.Parse(text, p4r.Update()) for text in texts]


def test_new_members_are_handed_over_together(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the target does two of them, the third is tried alone; one that is there is refused in its place."""
    device, asked = Device(pipeline), list[list[int]]()
    insert_members = device.instance.insert_members

    def some(members: Sequence[Member]) -> int:
        asked.append([member.id for member in members])
        return insert_members(members[:2])

    monkeypatch.setattr(device.instance, "insert_members", some)
    updates = _members(5, 6, 7, 5, 8)
    raw = p4r.WriteRequest(updates=updates).SerializeToString()
    outcomes = at_once(device.writer.steps(Batch(updates, CONTINUE, raw)))
    refused = "action profile hops, member 5: it is there already"
    assert _told(outcomes) == [None, None, None, (6, refused), None]
    assert asked == [[5, 6, 7], [8]]
    (held,) = device.contents.selectors.values()
    assert list(held.members) == [5, 6, 7, 8]
    assert at_once(device.writer.steps(Batch(_members(9, 9), ROLLBACK, None)))[1] is not None
    assert list(held.members) == [5, 6, 7, 8]


class Reluctant:
    """Runs of a target that does only `most` updates of each, and refuses the entry of one key for good."""

    def __init__(self, device: Device, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        insert, insert_rows = device.instance.insert_entry, device.instance.insert_rows

        def some(codec: TableCodec, rows: Sequence[Row]) -> int:
            self.asked.append(len(rows))
            return insert_rows(codec, rows[:most])

        def one(entry: object) -> None:
            if "Exact(value=3), Exact(value=3)" in repr(entry):
                raise exhausted("table exact: the kernel's map is full")
            insert(entry)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(device.instance, "insert_rows", some)
        monkeypatch.setattr(device.instance, "insert_entry", one)


def _inserts(*keys: tuple[int, int]) -> list[p4r.Update]:
    texts = [f"type: INSERT entity {{ table_entry {{ {_exact(a, c)} {ACTIONS[0]} }} }}" for a, c in keys]
    return [text_format.Parse(text, p4r.Update()) for text in texts]


def test_what_the_target_does_not_do_together_is_done_alone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(pipeline)
    reluctant = Reluctant(device, 1, monkeypatch)
    outcomes = device.writer.apply_all(_inserts((1, 1), (3, 3), (2, 2)))
    assert _told(outcomes) == [None, (8, "table exact: the kernel's map is full"), None]
    assert reluctant.asked == [3]
    assert len(device.contents.tables["exact"].rows) == 2


def test_like_updates_are_handed_over_together(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with another table's between them; one that is refused comes in its place, behind those before it."""
    device = Device(pipeline)
    reluctant = Reluctant(device, 9, monkeypatch)
    lpm = text_format.Parse(f"type: INSERT entity {{ table_entry {{ {_lpm(1, 1)} {ACTIONS[0]} }} }}", p4r.Update())
    first, second, third, fourth = _inserts((1, 1), (2, 2), (1, 1), (2, 1))
    outcomes = device.writer.apply_all([first, lpm, second, third, fourth])
    assert _told(outcomes) == [None, None, None, (6, "table exact, entry a=0x1, c=0x1: it is there already"), None]
    assert reluctant.asked == [2, 1, 1]


@pytest.mark.parametrize(("takes_many", "asked"), [(False, [2, 1]), (True, [3])])
def test_what_the_target_does_one_by_one_is_handed_over_in_smaller_runs(
    takes_many: bool, asked: list[int], pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(pipeline)
    reluctant = Reluctant(device, 3, monkeypatch)
    monkeypatch.setattr("runtime.device.batch.SLICE", 1)
    monkeypatch.setattr("runtime.device.batch.FEW", 2)

    def told(table: str) -> bool:
        assert table == "exact"
        return takes_many

    monkeypatch.setattr(device.instance, "takes_many", told)
    assert device.writer.apply_all(_inserts((1, 1), (2, 2), (1, 2))) == [None] * 3
    assert reluctant.asked == asked


def test_a_failure_that_nobody_foresaw_leaves_the_contents_as_they_were(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(pipeline)
    device.writer.apply_all(_inserts((1, 1)))
    before = dict(device.contents.tables["exact"].rows)

    def fail(codec: TableCodec, rows: Sequence[Row]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(device.instance, "insert_rows", fail)
    with pytest.raises(ZeroDivisionError):
        device.writer.apply_all(_inserts((2, 2), (2, 1)))
    assert device.contents.tables["exact"].rows == before
    monkeypatch.undo()
    assert device.writer.apply_all(_inserts((2, 2))) == [None]
