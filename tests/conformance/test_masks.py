"""Entries with priorities, on both targets: what is written is read, limits are told, packets of none are forgotten."""

from __future__ import annotations

import pytest
from finsy.proto import p4r

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary
from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of
from tests.pipelines.acl import acl_pipeline

ACL = 0x02000001
ALLOW, DENY = 0x01000001, 0x01000002
INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
ALL_PORTS = Range(low=0, high=65535)


@pytest.fixture
def acl(primary: Client, device: Device) -> Client:
    """The primary of a device with the pipeline of `tests.pipelines.acl`."""
    primary.set_config("VERIFY_AND_COMMIT", config_of(acl_pipeline(), device.target))
    return primary


def entry(
    *,
    address: Lpm | None = None,
    wide: Ternary | None = None,
    number: Range | None = None,
    kind: Optional | None = None,
    priority: int = 1,
    out: int = 9,
) -> p4r.TableEntry:
    """Of table `acl`, whatever is None left out."""
    made = p4r.TableEntry(table_id=ACL, priority=priority)
    made.action.action.action_id = ALLOW
    made.action.action.params.add(param_id=1, value=short(out))
    made.match.append(field(1, Exact(value=1)))
    for number_, value in enumerate((address, wide, number, kind), 2):
        if value is not None:
            made.match.append(field(number_, value))
    return made


def field(number: int, value: MatchValue) -> p4r.FieldMatch:
    made = p4r.FieldMatch(field_id=number)
    match value:
        case Exact():
            made.exact.value = short(value.value)
        case Lpm():
            made.lpm.value, made.lpm.prefix_len = short(value.value), value.prefix_len
        case Ternary():
            made.ternary.value, made.ternary.mask = short(value.value), short(value.mask)
        case Range():
            made.range.low, made.range.high = short(value.low), short(value.high)
        case Optional():
            made.optional.value = short(value.value or 0)
    return made


def short(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def write(client: Client, *updates: tuple[p4r.Update.Type.ValueType, p4r.TableEntry]) -> None:
    request = p4r.WriteRequest(device_id=1)
    for kind, given in updates:
        request.updates.append(p4r.Update(type=kind, entity=p4r.Entity(table_entry=given)))
    client.write_request(request)


def read(client: Client, text: str = f"table_id: {ACL}") -> list[p4r.TableEntry]:
    return [one.table_entry for one in client.read(f"table_entry {{ {text} }}")]


def refusals(client: Client, *updates: tuple[p4r.Update.Type.ValueType, p4r.TableEntry]) -> list[tuple[int, str]]:
    with pytest.raises(RpcRefusedError) as refused:
        write(client, *updates)
    return refused.value.errors


KINDS = [
    entry(),
    entry(address=Lpm(value=0x0A000000, prefix_len=8), priority=2**31 - 1),
    entry(wide=Ternary(value=1 << 127, mask=1 << 127)),
    entry(number=Range(low=1024, high=65535)),
    entry(number=Range(low=0, high=0)),
    entry(kind=Optional(value=0)),
    entry(
        address=Lpm(value=1, prefix_len=32),
        wide=Ternary(value=0xF0, mask=0xFF),
        number=Range(low=1, high=65534),
        kind=Optional(value=255),
    ),
]


@pytest.mark.parametrize("given", KINDS, ids=range(len(KINDS)))
def test_written_is_read_modified_deleted(acl: Client, given: p4r.TableEntry) -> None:
    write(acl, (INSERT, given))
    assert read(acl) == [given]
    assert [code for code, _ in refusals(acl, (INSERT, given))] == [6]
    changed = p4r.TableEntry()
    changed.CopyFrom(given)
    changed.action.action.CopyFrom(p4r.Action(action_id=DENY))
    write(acl, (MODIFY, changed))
    assert read(acl) == [changed]
    write(acl, (DELETE, given))
    assert read(acl) == []
    assert [code for code, _ in refusals(acl, (DELETE, given))] == [5]


def test_one_key_with_two_priorities_is_two_entries(acl: Client) -> None:
    low, high = entry(priority=1), entry(priority=2, out=5)
    write(acl, (INSERT, low), (INSERT, high))
    assert read(acl) == [low, high]
    key = rf'table_id: {ACL} match {{ field_id: 1 exact {{ value: "\001" }} }}'
    assert read(acl, key) == [low, high]
    assert read(acl, f"{key} priority: 2") == [high]
    assert read(acl, f"table_id: {ACL} priority: 1") == [low]
    write(acl, (DELETE, high))
    assert read(acl) == [low]
    assert [code for code, _ in refusals(acl, (MODIFY, high))] == [5]


def masked(bit: int) -> p4r.TableEntry:
    return entry(wide=Ternary(value=1 << bit, mask=1 << bit))


def test_the_seventeenth_mask_is_refused_until_one_is_free(acl: Client) -> None:
    write(acl, *((INSERT, masked(bit)) for bit in range(16)))
    text = "table acl: its entries have 16 different masks, this one needs 1 more, and at most 16 are possible"
    assert refusals(acl, (INSERT, masked(16)), (INSERT, entry(wide=Ternary(value=0, mask=1)))) == [(8, text), (0, "")]
    write(acl, (DELETE, masked(3)), (INSERT, masked(16)))
    assert len(read(acl)) == 17


def test_ranges_that_become_too_many_prefixes_are_refused(acl: Client) -> None:
    wide = [entry(number=Range(low=1, high=65534), priority=number) for number in range(1, 11)]
    text = (
        "table acl is full: the ranges of this entry become 104 prefixes, and of the 1024 that the table has room for "
        "88 are free"
    )
    assert refusals(acl, *((INSERT, one) for one in wide)) == [(0, "")] * 9 + [(8, text)]
    assert read(acl) == wide[:9]
    write(acl, (DELETE, wide[0]), (INSERT, wide[9]))
    assert len(read(acl)) == 9


def test_a_full_table_is_told_as_any_other(acl: Client) -> None:
    write(acl, *((INSERT, entry(kind=Optional(value=number))) for number in range(64)))
    assert refusals(acl, (INSERT, entry(kind=Optional(value=64)))) == [(8, "table acl is full: it holds 64 entries")]


def test_the_restriction_of_a_table(acl: Client) -> None:
    known = "table acl, entry port=0x1, address=0x0/0, wide=0x0&0x0"
    first = (
        f"{known}, number=0x29a..0x29b, kind=* priority 1: violates the table's @entry_restriction: "
        "'number::low != 666'"
    )
    second = (
        f"{known}, number=0x0..0xffff, kind=0x9 priority 100: violates the table's @entry_restriction: "
        "'kind::mask != 0 && kind == 9 -> ::priority < 100'"
    )
    assert refusals(
        acl,
        (INSERT, entry(number=Range(low=666, high=667))),
        (INSERT, entry(kind=Optional(value=9), priority=100)),
        (INSERT, entry(kind=Optional(value=9), priority=99)),
    ) == [
        (3, f"{first}, where number::low = 0x29a"),
        (3, f"{second}, where kind::mask = 0xff, kind::value = 0x9, ::priority = 0x64"),
        (0, ""),
    ]


def test_counters_of_entries_with_one_key(acl: Client) -> None:
    low, high = entry(priority=1), entry(priority=2)
    write(acl, (INSERT, low), (INSERT, high))
    direct = (
        r'direct_counter_entry { table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } '
        "priority: %d } data { packet_count: %d } }"
    )
    acl.write(f"MODIFY {direct % (1, 11)}", f"MODIFY {direct % (2, 22)}")
    counts = acl.read("direct_counter_entry { table_entry { table_id: 0x02000001 } }")
    assert counts == [entity(direct % (1, 11)), entity(direct % (2, 22))]


def test_groups_behind_masks(acl: Client) -> None:
    acl.write(
        r"INSERT action_profile_member { action_profile_id: 0x11000001 member_id: 1 action { action_id: 0x01000004 "
        r'params { param_id: 1 value: "\001" } } }',
        "INSERT action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { member_id: 1 weight: 1 } "
        "max_size: 4 }",
    )
    spread = (
        r'table_entry { table_id: 0x02000002 match { field_id: 1 ternary { value: "\001" mask: "\001" } } '
        "priority: %d action { action_profile_%s_id: 1 } }"
    )
    acl.write(f"INSERT {spread % (1, 'group')}", f"INSERT {spread % (2, 'member')}")
    both = acl.read("table_entry { table_id: 0x02000002 }")
    assert both == [entity(spread % (1, "group")), entity(spread % (2, "member"))]
    acl.write(f"MODIFY {spread % (1, 'member')}", f"DELETE {spread % (2, 'member')}")
    assert acl.read("table_entry { table_id: 0x02000002 }") == [entity(spread % (1, "member"))]
