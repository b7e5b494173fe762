"""What a model accepts, what it refuses, and with which canonical code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.ir.entries import (
    ActionCall,
    EntryKey,
    Exact,
    Group,
    GroupRef,
    Lpm,
    MatchValue,
    Member,
    MemberRef,
    Optional,
    Range,
    TableEntry,
    Ternary,
    Watch,
    WeightedMember,
)
from compiler.ir.interpreter import (
    AlreadyExists,
    InUse,
    InvalidEntry,
    Model,
    ModelError,
    NotFound,
    PermissionDenied,
    TableFull,
    Tally,
)
from compiler.ir.text import from_text
from compiler.ir.verifier import check

SMALL = check(
    from_text(
        """
pipeline "small" version "1" main ingress drops dropped
header_type ethernet { dst: 48 src: 48 type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16 a: 8 b: 8 c: 8 }
state start { extract ethernet default -> accept }
store memory { size 4 ways 2 profile 1 only: timeout_ms 10 rank 0 }
action 0x01000001 nothing() { }
action 0x01000002 put(1 value: 8, 2 other: 16) { meta.c = param.value }
action 0x01000003 unused(1 value: 8) { meta.c = param.value }
table 0x02000001 plain {
  key 1 a: exact(meta.a)
  action put in_entries action nothing as_default default nothing size 3 counter 0x13000001
}
table 0x02000002 prefix {
  key 1 a: exact(meta.a) key 2 b: lpm(meta.b)
  action put in_entries action nothing as_default default nothing size 8
}
table 0x02000003 ranked {
  key 1 a: ternary(meta.a) key 2 b: range(meta.b) key 3 c: optional(meta.c)
  action put in_entries action nothing as_default default nothing size 8
}
table 0x02000004 chosen {
  key 1 a: exact(meta.a)
  action put in_entries action nothing as_default default nothing size 8
  selector 0x11000001 picks size 6 max_group_size 4 hash(meta.a)
}
table 0x02000005 seen {
  key 1 a: exact(meta.a)
  action unused in_entries action nothing as_default default nothing size 4 store memory
}
counter 0x12000001 dropped size 4
drop_reason 1 bad
control ingress { apply plain apply prefix apply ranked apply chosen apply seen }
"""
    )
)
PUT = ActionCall(action="put", arguments=(1, 2))


def entry(
    table: str, *matches: MatchValue, action: ActionCall | MemberRef | GroupRef = PUT, priority: int = 0
) -> TableEntry:
    return TableEntry(table=table, matches=matches, action=action, priority=priority)


def member(number: int) -> Member:
    return Member(selector="picks", id=number, action=PUT)


def group(number: int, *weights: tuple[int, int], max_size: int = 0) -> Group:
    members = tuple(WeightedMember(member_id=m, weight=w) for m, w in weights)
    return Group(selector="picks", id=number, members=members, max_size=max_size)


def filled() -> Model:
    """Two members, a group of both, an entry that points to it, one plain entry."""
    model = Model(SMALL)
    for change in (member(1), member(2), group(1, (1, 1), (2, 2)), group(2, (1, 1))):
        model.insert(change)
    model.insert(entry("chosen", Exact(value=1), action=GroupRef(group_id=1)))
    model.insert(entry("chosen", Exact(value=2), action=MemberRef(member_id=2)))
    model.insert(entry("plain", Exact(value=1)))
    return model


FULL_RANGE, ANY = Range(low=0, high=255), Optional(value=None)
INSERTS: list[tuple[str, TableEntry | Member | Group, type[ModelError], str]] = [
    ("table", entry("gone", Exact(value=1)), NotFound, "the pipeline has no table 'gone'"),
    ("selector", replace(member(3), selector="gone"), NotFound, "the pipeline has no selector 'gone'"),
    ("twice", entry("plain", Exact(value=1)), AlreadyExists, "table plain has this entry already"),
    (
        "learned",
        entry("seen", Exact(value=1)),
        PermissionDenied,
        "table seen is learned: the data plane alone adds to it",
    ),
    ("no key", entry("plain"), InvalidEntry, "table plain has 1 keys, the entry has 0 values"),
    (
        "kind",
        entry("plain", Lpm(value=0, prefix_len=0)),
        InvalidEntry,
        "key a of table plain is matched exact, not lpm",
    ),
    (
        "width",
        entry("plain", Exact(value=256)),
        InvalidEntry,
        "key a of table plain is 256, which does not fit into 8 bits",
    ),
    (
        "negative",
        entry("plain", Exact(value=-1)),
        InvalidEntry,
        "key a of table plain is -1, which does not fit into 8 bits",
    ),
    (
        "stray bits",
        entry("prefix", Exact(value=1), Lpm(value=0x0F, prefix_len=4)),
        InvalidEntry,
        "key b of table prefix has bits behind its prefix of 4",
    ),
    (
        "prefix",
        entry("prefix", Exact(value=1), Lpm(value=0, prefix_len=9)),
        InvalidEntry,
        "key b of table prefix has a prefix of 9 of 8 bits",
    ),
    (
        "outside mask",
        entry("ranked", Ternary(value=3, mask=1), FULL_RANGE, ANY, priority=1),
        InvalidEntry,
        "key a of table ranked has bits outside its mask",
    ),
    (
        "range",
        entry("ranked", Ternary(value=1, mask=1), Range(low=2, high=1), ANY, priority=1),
        InvalidEntry,
        "key b of table ranked is a range from 2 down to 1",
    ),
    (
        "optional",
        entry("ranked", Ternary(value=1, mask=1), FULL_RANGE, Optional(value=256), priority=1),
        InvalidEntry,
        "key c of table ranked is 256, which does not fit into 8 bits",
    ),
    (
        "no priority",
        entry("ranked", Ternary(value=1, mask=1), FULL_RANGE, ANY),
        InvalidEntry,
        "an entry of table ranked needs a priority above 0",
    ),
    ("priority", entry("plain", Exact(value=9), priority=1), InvalidEntry, "an entry of table plain has no priority"),
    (
        "other action",
        entry("plain", Exact(value=9), action=ActionCall(action="unused", arguments=(1,))),
        InvalidEntry,
        "table plain does not offer action 'unused'",
    ),
    (
        "default action",
        entry("plain", Exact(value=9), action=ActionCall(action="nothing")),
        PermissionDenied,
        "action nothing is only for the default of table plain",
    ),
    (
        "arguments",
        entry("plain", Exact(value=9), action=ActionCall(action="put", arguments=(1,))),
        InvalidEntry,
        "action put has 2 parameters, not 1",
    ),
    (
        "argument",
        entry("plain", Exact(value=9), action=ActionCall(action="put", arguments=(256, 1))),
        InvalidEntry,
        "argument value of action put is 256, which does not fit into 8 bits",
    ),
    (
        "group without selector",
        entry("plain", Exact(value=9), action=GroupRef(group_id=1)),
        InvalidEntry,
        "table plain has no selector: its entries name an action",
    ),
    (
        "action with selector",
        entry("chosen", Exact(value=9)),
        InvalidEntry,
        "table chosen has a selector: its entries name a member or a group",
    ),
    (
        "unknown group",
        entry("chosen", Exact(value=9), action=GroupRef(group_id=7)),
        NotFound,
        "there is no group 7 of selector picks",
    ),
    (
        "unknown member",
        entry("chosen", Exact(value=9), action=MemberRef(member_id=7)),
        NotFound,
        "there is no member 7 of selector picks",
    ),
    ("member twice", member(1), AlreadyExists, "selector picks has member 1 already"),
    ("member 0", member(0), InvalidEntry, "a member of selector picks has the id 0, not one of 1 to 2**32 - 1"),
    ("group twice", group(1), AlreadyExists, "selector picks has group 1 already"),
    ("group 0", group(0), InvalidEntry, "group 0 of selector picks: the id is not one of 1 to 2**32 - 1"),
    ("group of unknown", group(3, (7, 1)), NotFound, "there is no member 7 of selector picks"),
    ("weight", group(3, (1, 0)), InvalidEntry, "group 3 of selector picks: member 1 has weight 0"),
    ("doubled", group(3, (1, 1), (1, 1)), InvalidEntry, "group 3 of selector picks: member 1 is there twice"),
    ("max_size", group(3, max_size=5), InvalidEntry, "group 3 of selector picks: max_size 5 is not within 0 to 4"),
    (
        "own max_size",
        group(3, (1, 3), max_size=2),
        TableFull,
        "group 3 of selector picks has a weight of 3, at most 2 is possible",
    ),
    ("group size", group(3, (1, 5)), TableFull, "group 3 of selector picks has a weight of 5, at most 4 is possible"),
    ("selector size", group(3, (1, 3)), TableFull, "selector picks is full: its groups hold a weight of 6 together"),
]


def state(model: Model) -> object:
    tables = {t.name: model.entries(t.name) for t in SMALL.tables if t.store is None}
    return tables, model.members("picks"), model.groups("picks")


@pytest.mark.parametrize(("change", "error", "message"), [row[1:] for row in INSERTS], ids=[row[0] for row in INSERTS])
def test_refused_inserts_change_nothing(
    change: TableEntry | Member | Group, error: type[ModelError], message: str
) -> None:
    model = filled()
    before = state(model)
    with pytest.raises(error) as refused:
        model.insert(change)
    assert str(refused.value) == message
    assert state(model) == before


CHANGES: list[tuple[str, Callable[[Model], None], type[ModelError], str]] = [
    ("modify entry", lambda m: m.modify(entry("plain", Exact(value=5))), NotFound, "table plain has no such entry"),
    ("delete entry", lambda m: m.delete(entry("plain", Exact(value=5))), NotFound, "table plain has no such entry"),
    ("modify member", lambda m: m.modify(member(5)), NotFound, "there is no member 5 of selector picks"),
    ("delete member", lambda m: m.delete(member(5)), NotFound, "there is no member 5 of selector picks"),
    ("used member", lambda m: m.delete(member(1)), InUse, "member 1 of selector picks is in use"),
    ("used group", lambda m: m.delete(group(1)), InUse, "group 1 of selector picks is in use"),
    ("modify group", lambda m: m.modify(group(5)), NotFound, "there is no group 5 of selector picks"),
    (
        "max_size",
        lambda m: m.modify(group(1, max_size=3)),
        InvalidEntry,
        "group 1 of selector picks: max_size is fixed while the group exists",
    ),
    (
        "learned",
        lambda m: m.delete(EntryKey(table="seen", matches=(Exact(value=1),))),
        NotFound,
        "table seen has no such entry",
    ),
    ("read learned", lambda m: print(m.entries("seen")), InvalidEntry, "table seen is learned"),
    ("not learned", lambda m: print(m.learned("plain")), InvalidEntry, "table plain is not learned"),
    ("counter", lambda m: print(m.indexed_counter("gone", 0)), NotFound, "the pipeline has no counter 'gone'"),
    (
        "index",
        lambda m: print(m.indexed_counter("dropped", 4)),
        InvalidEntry,
        "counter dropped has no index 4, only 0 to 3",
    ),
    (
        "uncounted",
        lambda m: print(m.direct_counter(EntryKey(table="prefix", matches=()))),
        InvalidEntry,
        "table prefix has no counter",
    ),
]


@pytest.mark.parametrize(("act", "error", "message"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_other_refusals(act: Callable[[Model], None], error: type[ModelError], message: str) -> None:
    model = filled()
    before = state(model)
    with pytest.raises(error) as refused:
        act(model)
    assert str(refused.value) == message
    assert state(model) == before


def test_codes_are_the_canonical_ones() -> None:
    classes = (NotFound, AlreadyExists, InvalidEntry, PermissionDenied, InUse, TableFull)
    assert [error.code for error in classes] == [
        *("NOT_FOUND", "ALREADY_EXISTS", "INVALID_ARGUMENT"),
        *("PERMISSION_DENIED", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"),
    ]


def test_a_full_table_says_which_and_how_large() -> None:
    model = Model(SMALL)
    for value in range(3):
        model.insert(entry("plain", Exact(value=value)))
    with pytest.raises(TableFull, match="table plain is full: it holds 3 entries") as refused:
        model.insert(entry("plain", Exact(value=3)))
    assert (refused.value.name, refused.value.size) == ("plain", 3)
    model.delete(entry("plain", Exact(value=0)))
    model.insert(entry("plain", Exact(value=3)))


def test_what_is_no_longer_used_can_go() -> None:
    model = filled()
    model.modify(entry("chosen", Exact(value=1), action=MemberRef(member_id=1)))
    model.delete(group(1))
    model.delete(entry("chosen", Exact(value=2), action=MemberRef(member_id=1)))
    model.delete(member(2))
    assert [m.id for m in model.members("picks")] == [1]
    model.modify(group(2))
    model.delete(entry("chosen", Exact(value=1)))
    model.delete(member(1))


def test_lookups() -> None:
    model = Model(SMALL)
    wide = entry("prefix", Exact(value=1), Lpm(value=0, prefix_len=0))
    near = entry("prefix", Exact(value=1), Lpm(value=0xF0, prefix_len=4))
    exact = entry("prefix", Exact(value=1), Lpm(value=0xFF, prefix_len=8))
    low = entry("ranked", Ternary(value=0, mask=0), FULL_RANGE, ANY, priority=1)
    high = entry("ranked", Ternary(value=1, mask=1), Range(low=10, high=20), Optional(value=7), priority=2)
    for each in (wide, near, exact, low, high):
        model.insert(each)
    found = {values: model.match_table("prefix").lookup(values) for values in ((1, 255), (1, 0xF1), (1, 3), (2, 3))}
    assert [row.entry if row else None for row in found.values()] == [exact, near, wide, None]
    ranked = [model.match_table("ranked").lookup(values) for values in ((3, 10, 7), (3, 20, 8), (2, 15, 7), (3, 21, 7))]
    assert [row.entry if row else None for row in ranked] == [high, low, low, low]
    model.delete(exact)
    assert (row := model.match_table("prefix").lookup((1, 255))) is not None
    assert row.entry == near


def test_counters_can_be_set_and_go_on_over_a_modify() -> None:
    model = filled()
    plain = entry("plain", Exact(value=1))
    model.set_direct_counter(plain.key, Tally(5, 500))
    model.modify(replace(plain, action=ActionCall(action="put", arguments=(9, 9))))
    assert model.direct_counter(plain.key) == (5, 500)
    model.count("dropped", 3, 60)
    model.count("dropped", 4, 60)
    assert model.indexed_counter("dropped", 3) == (1, 60)
    model.set_indexed_counter("dropped", 3, Tally(0, 0))
    assert model.indexed_counter("dropped", 3) == (0, 0)
    with pytest.raises(PermissionDenied, match="table seen is learned"):
        model.insert(entry("seen", Exact(value=1), action=ActionCall(action="unused", arguments=(1,))))


def test_groups_follow_ports() -> None:
    model = filled()
    members = tuple(WeightedMember(member_id=number, watch=Watch(port=10 + number)) for number in (1, 2))
    model.modify(Group(selector="picks", id=1, members=members))
    selection, reference = model.selection("picks"), GroupRef(group_id=1)

    def picked() -> list[int | None]:
        found = (selection.pick(reference, slot << 32) for slot in range(251))
        return [one.id if one is not None else None for one in found]

    before = picked()
    model.set_port(11, is_up=False)
    assert picked() == [2] * 251
    model.set_port(12, is_up=False)
    assert picked() == [None] * 251
    model.modify(Group(selector="picks", id=1, members=(WeightedMember(member_id=1),)))
    assert picked() == [1] * 251
    model.modify(Group(selector="picks", id=1, members=members))
    for port in (12, 11):
        model.set_port(port, is_up=True)
    assert picked() == before
