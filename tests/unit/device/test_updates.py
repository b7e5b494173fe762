"""What updates do, read back: the rules of entries, members, groups, action sets and counters."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

from collections.abc import Iterator

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.entries import ActionCall, GroupRef
from runtime.device.contents import Contents
from runtime.device.modeltarget import ModelInstance
from runtime.device.reads import PIECE, Reader
from runtime.device.records import Tally
from runtime.device.refusals import Code, RefusedError, internal
from runtime.device.updates import Writer

PROFILE = "action_profile_id: 0x11000001"
NOTHING = "action { action_id: 0x01000002 }"


def apply(writer: Writer, kind: str, entity: str) -> None:
    writer.apply(text_format.Parse(f"type: {kind} entity {{ {entity} }}", p4r.Update()))


def refused(writer: Writer, kind: str, entity: str) -> tuple[Code, str]:
    with pytest.raises(RefusedError) as error:
        apply(writer, kind, entity)
    return error.value.code, error.value.text


def read(reader: Reader, entity: str) -> list[p4r.Entity]:
    return entities(reader.answer(text_format.Parse(entity, p4r.Entity())))


def entities(answer: Iterator[bytes]) -> list[p4r.Entity]:
    return [one for piece in answer for one in p4r.ReadResponse.FromString(piece).entities]


def parsed(entity: str) -> p4r.Entity:
    return text_format.Parse(entity, p4r.Entity())


def member(number: int, action: str = NOTHING) -> str:
    return f"action_profile_member {{ {PROFILE} member_id: {number} {action} }}"


def group(number: int, *weights: tuple[int, int], max_size: int = 0) -> str:
    members = " ".join(f"members {{ member_id: {m} weight: {w} }}" for m, w in weights)
    return f"action_profile_group {{ {PROFILE} group_id: {number} {members} max_size: {max_size} }}"


def spread(a: int, action: str) -> str:
    return f"table_entry {{ table_id: 0x02000004 match {{ field_id: 1 exact {{ value: '{chr(a)}' }} }} action {{ {action} }} }}"


def exact(a: str, extra: str = "action { action { action_id: 0x01000002 } }") -> str:
    return (
        f"table_entry {{ table_id: 0x02000001 match {{ field_id: 1 exact {{ value: '{a}' }} }} "
        f"match {{ field_id: 2 exact {{ value: 'c' }} }} {extra} }}"
    )


ROUND_TRIPS = [
    exact("a", r'action { action { action_id: 0x01000001 params { param_id: 1 value: "\001\377" } params { param_id: 2 value: "\000" } } } metadata: "\001\002"'),
    r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\000" } } match { field_id: 2 lpm { value: "\012\000\000\000" prefix_len: 8 } } action { action { action_id: 0x01000002 } } }',
    r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\000" } } action { action { action_id: 0x01000002 } } controller_metadata: 77 }',
    r'table_entry { table_id: 0x02000003 priority: 9 match { field_id: 1 ternary { value: "\001" mask: "\007" } } match { field_id: 2 range { low: "\000" high: "\017" } } match { field_id: 3 optional { value: "\000" } } action { action { action_id: 0x01000002 } } }',
    "table_entry { table_id: 0x02000003 priority: 2147483647 action { action { action_id: 0x01000002 } } }",
]  # fmt: skip


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_written_is_read(writer: Writer, reader: Reader, text: str) -> None:
    apply(writer, "INSERT", text)
    assert read(reader, "table_entry { }") == [parsed(text)]
    assert read(reader, text) == [parsed(text)]
    assert refused(writer, "INSERT", text)[0] == Code.ALREADY_EXISTS
    apply(writer, "DELETE", text)
    assert read(reader, "table_entry { }") == []


def test_padded_values_are_one_entry_and_read_shortest(writer: Writer, reader: Reader) -> None:
    apply(writer, "INSERT", exact(r"\000\000\005"))
    assert refused(writer, "INSERT", exact(r"\005"))[0] == Code.ALREADY_EXISTS
    assert read(reader, "table_entry { }") == [parsed(exact(r"\005"))]


def test_full_table_names_table_and_size(writer: Writer) -> None:
    for letter in "abcd":
        apply(writer, "INSERT", exact(letter))
    assert refused(writer, "INSERT", exact("e")) == (Code.RESOURCE_EXHAUSTED, "table exact is full: it holds 4 entries")
    apply(writer, "DELETE", exact("a"))
    apply(writer, "INSERT", exact("e"))


def test_modify_takes_action_and_metadata_together(writer: Writer, reader: Reader) -> None:
    apply(writer, "INSERT", exact("a", 'action { action { action_id: 0x01000002 } } metadata: "old"'))
    changed = exact("a", r'action { action { action_id: 0x01000001 params { param_id: 1 value: "\001" } params { param_id: 2 value: "\002" } } } metadata: "new"')  # fmt: skip
    apply(writer, "MODIFY", changed)
    assert read(reader, "table_entry { }") == [parsed(changed)]
    apply(writer, "MODIFY", exact("a", ""))
    assert read(reader, "table_entry { }") == [parsed(changed)]


def test_delete_ignores_all_but_the_key(writer: Writer, reader: Reader) -> None:
    apply(writer, "INSERT", exact("a"))
    apply(writer, "DELETE", exact("a", "action { action { action_id: 99 } } idle_timeout_ns: 5"))
    assert read(reader, "table_entry { }") == []


def test_direct_counters(writer: Writer, reader: Reader) -> None:
    apply(writer, "INSERT", exact("a", "action { action { action_id: 0x01000002 } } counter_data { packet_count: 3 }"))
    apply(writer, "INSERT", exact("b"))
    with_data = read(reader, "table_entry { table_id: 0x02000001 counter_data { } }")
    assert [e.table_entry.counter_data.packet_count for e in with_data] == [3, 0]
    assert all(e.table_entry.HasField("counter_data") for e in with_data)
    cell = exact("b", "").removeprefix("table_entry { ").removesuffix("}")
    apply(writer, "MODIFY", f"direct_counter_entry {{ table_entry {{ {cell} }} data {{ byte_count: 9 }} }}")
    expected = [
        parsed(f"direct_counter_entry {{ table_entry {{ {key} }} data {{ {data} }} }}")
        for key, data in ((cell.replace("'b'", "'a'"), "packet_count: 3"), (cell, "byte_count: 9"))
    ]
    assert read(reader, "direct_counter_entry { table_entry { table_id: 0x02000001 } }") == expected
    assert read(reader, "direct_counter_entry { table_entry { } }") == expected
    assert read(reader, f"direct_counter_entry {{ table_entry {{ {cell} }} }}") == expected[1:]
    apply(writer, "MODIFY", exact("a", "counter_data { packet_count: 8 byte_count: 9 }"))
    apply(writer, "MODIFY", exact("b"))
    with_data = read(reader, "table_entry { table_id: 0x02000001 counter_data { } }")
    assert [(e.table_entry.counter_data.packet_count, e.table_entry.counter_data.byte_count) for e in with_data] == [
        (8, 9),
        (0, 9),
    ]


def test_indexed_counters(writer: Writer, reader: Reader) -> None:
    apply(writer, "MODIFY", "counter_entry { counter_id: 0x12000001 data { packet_count: 1 byte_count: 2 } }")
    apply(writer, "MODIFY", "counter_entry { counter_id: 0x12000001 index { index: 2 } data { } }")
    apply(writer, "MODIFY", "counter_entry { counter_id: 0x12000001 index { index: 1 } }")
    whole = "counter_entry { counter_id: 0x12000001 }"
    cells = [parsed(f"counter_entry {{ counter_id: 0x12000001 index {{ index: {i} }} data {{ packet_count: 1 byte_count: 2 }} }}") for i in (0, 1, 3)]  # fmt: skip
    cells.insert(2, parsed("counter_entry { counter_id: 0x12000001 index { index: 2 } data { } }"))
    assert read(reader, whole) == cells
    assert read(reader, "counter_entry { }") == cells
    assert read(reader, "counter_entry { counter_id: 0x12000001 index { } }") == cells[:1]


def test_members_groups_and_entries_hold_each_other(writer: Writer, reader: Reader) -> None:
    for number in (1, 2):
        apply(writer, "INSERT", member(number))
    apply(writer, "INSERT", group(5, (1, 2), (2, 1)))
    apply(writer, "INSERT", spread(1, "action_profile_group_id: 5"))
    apply(writer, "INSERT", spread(2, "action_profile_member_id: 2"))
    assert read(reader, "action_profile_group { }") == [parsed(group(5, (1, 2), (2, 1)))]
    assert read(reader, f"action_profile_member {{ {PROFILE} }}") == [parsed(member(1)), parsed(member(2))]
    assert read(reader, f"action_profile_member {{ {PROFILE} member_id: 2 }}") == [parsed(member(2))]
    assert read(reader, f"action_profile_member {{ {PROFILE} member_id: 3 }}") == []
    busy = (Code.FAILED_PRECONDITION, "action profile hops, member 1: it is in use (1 references)")
    assert refused(writer, "DELETE", member(1)) == busy
    assert refused(writer, "DELETE", group(5)) == (
        Code.FAILED_PRECONDITION,
        "action profile hops, group 5: it is in use (1 references)",
    )
    apply(writer, "MODIFY", group(5, (2, 5)))
    apply(writer, "DELETE", member(1))
    apply(writer, "DELETE", spread(1, ""))
    apply(writer, "DELETE", group(5))
    assert refused(writer, "DELETE", member(2))[0] == Code.FAILED_PRECONDITION
    apply(writer, "MODIFY", spread(2, "action_profile_member_id: 2"))
    apply(writer, "DELETE", spread(2, ""))
    apply(writer, "DELETE", member(2))


def test_sizes_of_groups(writer: Writer) -> None:
    for number in (1, 2):
        apply(writer, "INSERT", member(number))
    full = Code.RESOURCE_EXHAUSTED
    assert refused(writer, "INSERT", group(1, (1, 3), (2, 3))) == (
        full,
        "action profile hops, group 1: the weights sum to 6, at most 5 are possible",
    )
    apply(writer, "INSERT", group(1, (1, 2), max_size=2))
    assert refused(writer, "MODIFY", group(1, (1, 3), max_size=2))[0] == full
    assert refused(writer, "MODIFY", group(1, (1, 1), max_size=3)) == (
        Code.INVALID_ARGUMENT,
        "action profile hops, group 1: max_size is 2 since its insert and cannot become 3",
    )
    apply(writer, "INSERT", group(2, (1, 5)))
    assert refused(writer, "INSERT", group(3, (1, 2))) == (
        full,
        "action profile hops is full: the weights of all groups sum to 8 at most",
    )
    apply(writer, "INSERT", group(3, (1, 1)))


def test_members_are_limited(writer: Writer) -> None:
    for number in range(1, 9):
        apply(writer, "INSERT", member(number))
    assert refused(writer, "INSERT", member(9)) == (
        Code.RESOURCE_EXHAUSTED,
        "action profile hops is full: it holds 8 members",
    )


def action_set(*weights: int) -> str:
    actions = " ".join(
        f"action_profile_actions {{ action {{ action_id: 0x01000002 }} weight: {weight} }}" for weight in weights
    )
    return f"action_profile_action_set {{ {actions} }}"


def test_action_sets_are_read_as_written_and_leave_nothing(
    writer: Writer, reader: Reader, instance: ModelInstance, contents: Contents
) -> None:
    apply(writer, "INSERT", spread(1, action_set(1, 2)))
    apply(writer, "MODIFY", spread(1, action_set(3)))
    apply(writer, "INSERT", spread(2, action_set()))
    assert read(reader, "table_entry { }") == [parsed(spread(1, action_set(3))), parsed(spread(2, action_set()))]
    assert read(reader, "action_profile_member { }") == []
    assert read(reader, "action_profile_group { }") == []
    mixed = (
        Code.INVALID_ARGUMENT,
        "table spread is programmed with action sets; members and groups cannot be mixed in",
    )
    assert refused(writer, "INSERT", member(1)) == mixed
    for a in (1, 2):
        apply(writer, "DELETE", spread(a, ""))
    model = instance.model
    assert (model.entries("spread"), model.members("hops"), model.groups("hops")) == ((), (), ())
    assert (contents.selectors["hops"].total_weight, contents.selectors["hops"].total_actions) == (0, 0)
    apply(writer, "INSERT", member(1))
    assert refused(writer, "INSERT", spread(1, action_set(1))) == (
        Code.INVALID_ARGUMENT,
        "table spread is programmed with members and groups; action sets cannot be mixed in",
    )


def test_an_action_set_that_the_target_cannot_hold_leaves_nothing(
    writer: Writer, instance: ModelInstance, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise internal("no more")

    monkeypatch.setattr(instance, "insert_entry", fail)
    assert refused(writer, "INSERT", spread(1, action_set(1, 2))) == (Code.INTERNAL, "no more")
    model = instance.model
    assert (model.members("hops"), model.groups("hops")) == ((), ())
    assert contents.tables["spread"].rows == {}


def test_a_batch_goes_on_after_an_error(writer: Writer, reader: Reader) -> None:
    texts = [exact("a"), exact("a"), exact("b")]
    updates = [text_format.Parse(f"type: INSERT entity {{ {text} }}", p4r.Update()) for text in texts]
    outcomes = writer.apply_all(updates)
    assert [None if outcome is None else outcome.code for outcome in outcomes] == [None, Code.ALREADY_EXISTS, None]
    assert len(read(reader, "table_entry { }")) == 2


def test_filters(writer: Writer, reader: Reader) -> None:
    texts = [
        f"table_entry {{ table_id: 0x02000003 priority: {p} match {{ field_id: 3 optional {{ value: '{c}' }} }} "
        f"action {{ action {{ action_id: 0x01000002 }} }} metadata: '{m}' controller_metadata: {k} }}"
        for p, c, m, k in ((1, "x", "m", 4), (2, "x", "n", 5), (2, "y", "m", 5))
    ]
    for text in texts:
        apply(writer, "INSERT", text)

    def places(filters: str) -> list[int]:
        found = read(reader, f"table_entry {{ table_id: 0x02000003 {filters} }}")
        return [[parsed(text) for text in texts].index(one) for one in found]

    assert places("priority: 2") == [1, 2]
    assert places("metadata: 'm'") == [0, 2]
    assert places("controller_metadata: 5 metadata: 'm'") == [2]
    assert places("match { field_id: 3 optional { value: 'x' } }") == [0, 1]
    assert places("match { field_id: 3 optional { value: 'x' } } priority: 2") == [1]
    assert places("match { field_id: 3 optional { value: 'x' } } priority: 3") == []
    assert places("action { action { action_id: 0x01000002 } }") == [0, 1, 2]
    assert places("action { action { action_id: 0x01000001 } }") == []


def test_default_entries(reader: Reader) -> None:
    default = parsed(
        "table_entry { table_id: 0x02000001 action { action { action_id: 0x01000003 } } "
        "is_default_action: true is_const: true }"
    )
    assert read(reader, "table_entry { table_id: 0x02000001 is_default_action: true }") == [default]


def test_a_read_is_a_snapshot(writer: Writer, reader: Reader) -> None:
    apply(writer, "INSERT", exact("a"))
    answer = reader.answer(parsed("table_entry { }"))
    apply(writer, "DELETE", exact("a"))
    apply(writer, "INSERT", exact("b"))
    assert entities(answer) == [parsed(exact("a"))]


def test_pieces_are_bounded(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PIECE == 1000
    monkeypatch.setattr("runtime.device.reads.PIECE", 3)
    sizes = [len(p4r.ReadResponse.FromString(piece).entities) for piece in reader.answer(parsed("counter_entry { }"))]
    assert sizes == [3, 1]


def test_the_target_gets_the_groups_of_sets(writer: Writer, instance: ModelInstance) -> None:
    apply(writer, "INSERT", spread(1, action_set(1, 4)))
    model = instance.model
    (entry,) = model.entries("spread")
    (made,) = model.groups("hops")
    assert entry.action == GroupRef(group_id=made.id)
    assert [one.weight for one in made.members] == [1, 4]
    assert [one.action for one in model.members("hops")] == [ActionCall(action="nothing")] * 2
    assert instance.tallies("drops", 0, 2) == [Tally(), Tally()]
