"""Every way in which an update can be malformed: the canonical code, and the whole text."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.nodes import Pipeline
from runtime.device.reads import Reader
from runtime.device.refusals import Code, RefusedError
from runtime.device.updates import Writer

INVALID, DENIED, MISSING = Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED, Code.NOT_FOUND
RANGE, UNIMPLEMENTED = Code.OUT_OF_RANGE, Code.UNIMPLEMENTED

A = r'match { field_id: 1 exact { value: "\001" } }'
C = r'match { field_id: 2 exact { value: "\002" } }'
NOTHING = "action { action { action_id: 0x01000002 } }"
EXACT = f"table_id: 0x02000001 {A} {C}"
LPM = f"table_id: 0x02000002 {A} {NOTHING}"
MIXED = f"table_id: 0x02000003 {NOTHING}"
SPREAD = f"table_id: 0x02000004 {A}"
MAC = r'params { param_id: 2 value: "\002" }'
PORT = r'params { param_id: 1 value: "\001" }'


def _send(params: str) -> str:
    return f"{EXACT} action {{ action {{ action_id: 0x01000001 {params} }} }}"


ENTRIES = [
    ("table_id: 0", INVALID, "table id is missing"),
    ("table_id: 0x02000077", INVALID, "the pipeline has no table of id 0x02000077"),
    (f"{EXACT} {NOTHING} is_const: true", INVALID, "table exact: is_const is the device's to set"),
    # match fields
    (f"table_id: 0x02000001 {A} {NOTHING}", INVALID, "table exact, match field c: is missing, and an exact field cannot be left out"),
    (f"{EXACT} {A} {NOTHING}", INVALID, "table exact, match field a: is given twice"),
    (f"{EXACT} match {{ field_id: 9 exact {{ value: '1' }} }}", INVALID, "table exact has no match field of id 9"),
    (f"{EXACT} match {{ field_id: 0 exact {{ value: '1' }} }}", INVALID, "table exact has no match field of id 0"),
    ("table_id: 0x02000001 match { field_id: 1 }", INVALID, "table exact, match field a: is matched as exact, given is nothing"),
    (r'table_id: 0x02000001 match { field_id: 1 lpm { value: "\001" prefix_len: 4 } }', INVALID, "table exact, match field a: is matched as exact, given is lpm"),
    ("table_id: 0x02000001 match { field_id: 1 exact { } }", INVALID, "table exact, match field a: the value is empty"),
    (r'table_id: 0x02000001 match { field_id: 1 exact { value: "\020\000" } }', INVALID, "table exact, match field a: value 0x1000 does not fit in 12 bits"),
    (LPM + r' match { field_id: 2 lpm { value: "\012\000\000\001" prefix_len: 8 } }', INVALID, "table lpm, match field b: value 0xa000001 has bits set behind its prefix of 8 bits"),
    (LPM + r' match { field_id: 2 lpm { value: "\000" } }', INVALID, "table lpm, match field b: a prefix of length 0 matches anything; the field is left out then"),
    (LPM + r' match { field_id: 2 lpm { value: "\001" prefix_len: 33 } }', INVALID, "table lpm, match field b: prefix length 33 is not within 1 to 32"),
    (LPM + r' match { field_id: 2 lpm { value: "\001" prefix_len: -1 } }', INVALID, "table lpm, match field b: prefix length -1 is not within 1 to 32"),
    (MIXED + r' priority: 1 match { field_id: 1 ternary { value: "\003" mask: "\001" } }', INVALID, "table mixed, match field b: value 0x3 has bits set outside of mask 0x1"),
    (MIXED + r' priority: 1 match { field_id: 1 ternary { value: "\000" mask: "\000" } }', INVALID, "table mixed, match field b: a mask of 0 matches anything; the field is left out then"),
    (MIXED + r' priority: 1 match { field_id: 1 ternary { value: "\000" } }', INVALID, "table mixed, match field b, mask: the value is empty"),
    (MIXED + r' priority: 1 match { field_id: 2 range { low: "\003" high: "\002" } }', INVALID, "table mixed, match field a: the low end 3 is above the high end 2"),
    (MIXED + r' priority: 1 match { field_id: 2 range { low: "\000" high: "\017\377" } }', INVALID, "table mixed, match field a: a range of all values matches anything; the field is left out then"),
    (MIXED + r' priority: 1 match { field_id: 2 range { low: "\003" } }', INVALID, "table mixed, match field a, high end: the value is empty"),
    (MIXED + r' priority: 1 match { field_id: 3 optional { } }', INVALID, "table mixed, match field c: the value is empty"),
    # priorities
    (MIXED, INVALID, "table mixed: an entry needs a priority above 0, given is 0"),
    (f"{MIXED} priority: -1", INVALID, "table mixed: an entry needs a priority above 0, given is -1"),
    (f"{EXACT} {NOTHING} priority: 1", INVALID, "table exact: an entry has no priority (only exact and lpm fields), given 1"),
    # actions
    (EXACT, INVALID, "table exact: the action is missing"),
    (f"{EXACT} action {{ }}", INVALID, "table exact: the action is missing"),
    (f"{EXACT} action {{ action {{ }} }}", INVALID, "table exact: no action of id 0x00000000; it has miss, nothing, send"),
    (f"{EXACT} action {{ action {{ action_id: 0x01000009 }} }}", INVALID, "table exact: no action of id 0x01000009; it has miss, nothing, send"),
    (f"{EXACT} action {{ action {{ action_id: 0x01000003 }} }}", DENIED, "table exact: action miss can only be the default action, not an entry's"),
    (f"{EXACT} action {{ action_profile_member_id: 1 }}", INVALID, "table exact has no action profile: its entries carry an action, given is action_profile_member_id"),
    (_send(PORT), INVALID, "table exact: action send, parameter mac is missing"),
    (_send(PORT + MAC + PORT), INVALID, "table exact: action send, parameter port is given twice"),
    (_send(PORT + MAC + "params { param_id: 3 value: '1' }"), INVALID, "table exact: action send has no parameter of id 3"),
    (_send(r'params { param_id: 1 value: "\002\000" }' + MAC), INVALID, "table exact: action send, parameter port: value 0x0200 does not fit in 9 bits"),
    (_send("params { param_id: 1 }" + MAC), INVALID, "table exact: action send, parameter port: the value is empty"),
    # direct resources and idle timeouts
    (f"{EXACT} {NOTHING} meter_config {{ }}", INVALID, "table exact has no direct meter"),
    (f"{EXACT} {NOTHING} counter_data {{ packet_count: -1 }}", INVALID, "table exact: a counter is not negative (-1 packets, 0 bytes)"),
    (f"{LPM} counter_data {{ }}", INVALID, "table lpm has no direct counter"),
    (f"{EXACT} {NOTHING} idle_timeout_ns: 5", INVALID, "table exact has no idle timeout: its entries stay until they are deleted"),
    (f"{EXACT} {NOTHING} time_since_last_hit {{ }}", INVALID, "table exact has no idle timeout: its entries stay until they are deleted"),
    # default entries, learned tables
    ("table_id: 0x02000001 is_default_action: true", INVALID, "table exact: the default entry is always there, it can only be modified"),
    (r'table_id: 0x02000005 match { field_id: 1 exact { value: "\001" } }', DENIED, "table known is learned: the data plane fills it, entries can be read and deleted"),
    # tables with a selector
    (f"{SPREAD} {NOTHING}", INVALID, "table spread has an action profile: its entries carry a member, a group or a set"),
    (f"{SPREAD} action {{ action_profile_member_id: 0 }}", INVALID, "table spread: member id is missing"),
    (f"{SPREAD} action {{ action_profile_group_id: 0 }}", INVALID, "table spread: group id is missing"),
    (f"{SPREAD} action {{ action_profile_member_id: 3 }}", MISSING, "action profile hops, member 3: there is no such member"),
    (f"{SPREAD} action {{ action_profile_group_id: 4 }}", MISSING, "action profile hops, group 4: there is no such group"),
    (f"{SPREAD} action {{ action_profile_action_set {{ action_profile_actions {{ action {{ action_id: 0x01000002 }} }} }} }}", INVALID, "table spread, action set: a weight is above 0, given is 0"),
    (f"{SPREAD} action {{ action_profile_action_set {{ action_profile_actions {{ action {{ action_id: 0x01000002 }} weight: 6 }} }} }}", INVALID, "table spread, action set: the weights sum to 6, at most 5 are possible"),
    (f"{SPREAD} action {{ action_profile_action_set {{ action_profile_actions {{ action {{ action_id: 0x01000002 }} weight: 1 watch_port: 'zz' }} }} }}", INVALID, "table spread, action set: watch_port 31354: this device has no such port"),
    (f"{SPREAD} action {{ action_profile_action_set {{ action_selection_mode: RANDOM }} }}", UNIMPLEMENTED, "table spread, action set: members are chosen by hash, and weights are what counts; nothing else is"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "words"), ENTRIES)
def test_insert_of_table_entry(writer: Writer, text: str, code: Code, words: str) -> None:
    update = text_format.Parse(f"type: INSERT entity {{ table_entry {{ {text} }} }}", p4r.Update())
    _expect(writer, update, code, words)


UPDATES = [
    ("", INVALID, "the update has no type: it is one of INSERT, MODIFY, DELETE"),
    ("type: INSERT", INVALID, "the update has no entity"),
    ("type: INSERT entity { }", INVALID, "the update has no entity"),
    ("type: INSERT entity { meter_entry { } }", INVALID, "meter id is missing"),
    ("type: INSERT entity { digest_entry { } }", INVALID, "digest id is missing"),
    ("type: INSERT entity { packet_replication_engine_entry { } }", INVALID, "packet_replication_engine_entry: neither a multicast group nor a clone session is given"),
    ("type: INSERT entity { packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 3 } } }", UNIMPLEMENTED, "multicast_group_entry: no packet of pipeline small goes to a group"),
    ("type: DELETE entity { packet_replication_engine_entry { clone_session_entry { } } }", UNIMPLEMENTED, "clone_session_entry: no packet of pipeline small is cloned"),
    ("type: DELETE entity { table_entry { table_id: 0x02000001 is_default_action: true } }", INVALID, "table exact: the default entry is always there, it can only be modified"),
    ("type: MODIFY entity { table_entry { table_id: 0x02000001 is_default_action: true } }", DENIED, "table exact: the default action miss is constant"),
    (f"type: MODIFY entity {{ table_entry {{ table_id: 0x02000001 is_default_action: true {A} }} }}", INVALID, "table exact: the default entry has neither match fields nor a priority"),
    ("type: MODIFY entity { table_entry { table_id: 0x02000001 is_default_action: true priority: 1 } }", INVALID, "table exact: the default entry has neither match fields nor a priority"),
    ("type: MODIFY entity { table_entry { table_id: 0x02000001 is_default_action: true idle_timeout_ns: 1 } }", INVALID, "table exact has no idle timeout: its entries stay until they are deleted"),
    (f"type: MODIFY entity {{ table_entry {{ {EXACT} {NOTHING} }} }}", MISSING, "table exact, entry a=0x1, c=0x2: there is no such entry"),
    (f"type: DELETE entity {{ table_entry {{ {EXACT} }} }}", MISSING, "table exact, entry a=0x1, c=0x2: there is no such entry"),
    ("type: DELETE entity { table_entry { table_id: 0x02000003 priority: 7 } }", MISSING, "table mixed, entry b=0x0&0x0, a=0x0..0xfff, c=* priority 7: there is no such entry"),
    # members
    ("type: INSERT entity { action_profile_member { } }", INVALID, "action profile id is missing"),
    ("type: INSERT entity { action_profile_member { action_profile_id: 9 } }", INVALID, "the pipeline has no action profile of id 0x00000009"),
    ("type: INSERT entity { action_profile_member { action_profile_id: 0x11000001 } }", INVALID, "action profile hops: member id is missing"),
    ("type: INSERT entity { action_profile_member { action_profile_id: 0x11000001 member_id: 1 } }", INVALID, "action profile hops, member 1: the action is missing"),
    ("type: INSERT entity { action_profile_member { action_profile_id: 0x11000001 member_id: 1 action { action_id: 0x01000003 } } }", DENIED, "table spread: action miss can only be the default action, not an entry's"),
    ("type: MODIFY entity { action_profile_member { action_profile_id: 0x11000001 member_id: 1 action { action_id: 0x01000002 } } }", MISSING, "action profile hops, member 1: there is no such member"),
    ("type: DELETE entity { action_profile_member { action_profile_id: 0x11000001 member_id: 1 } }", MISSING, "action profile hops, member 1: there is no such member"),
    # groups
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 } }", INVALID, "action profile hops: group id is missing"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 max_size: 6 } }", INVALID, "action profile hops, group 1: max_size 6 is not within 1 to 5"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 max_size: -1 } }", INVALID, "action profile hops, group 1: max_size -1 is not within 1 to 5"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { weight: 1 } } }", INVALID, "action profile hops, group 1: member id is missing"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { member_id: 2 } } }", INVALID, "action profile hops, group 1: member 2 has weight 0; a weight is above 0"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { member_id: 2 weight: 1 } members { member_id: 2 weight: 1 } } }", INVALID, "action profile hops, group 1: member 2 is there twice; its weight says how often it counts"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { member_id: 2 weight: 1 watch: 512 } } }", INVALID, "action profile hops, group 1, member 2: watch 512: this device has no such port"),
    ("type: INSERT entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 members { member_id: 2 weight: 1 } } }", MISSING, "action profile hops, group 1: there is no member 2"),
    ("type: MODIFY entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 } }", MISSING, "action profile hops, group 1: there is no such group"),
    ("type: DELETE entity { action_profile_group { action_profile_id: 0x11000001 group_id: 1 } }", MISSING, "action profile hops, group 1: there is no such group"),
    # counters
    ("type: MODIFY entity { counter_entry { } }", INVALID, "counter id is missing"),
    ("type: MODIFY entity { counter_entry { counter_id: 5 } }", INVALID, "the pipeline has no counter of id 0x00000005"),
    ("type: INSERT entity { counter_entry { counter_id: 0x12000001 } }", INVALID, "counter drops: its cells are always there, they can only be modified"),
    ("type: DELETE entity { counter_entry { counter_id: 0x12000001 } }", INVALID, "counter drops: its cells are always there, they can only be modified"),
    ("type: MODIFY entity { counter_entry { counter_id: 0x12000001 index { index: -1 } } }", INVALID, "counter drops: index -1 is negative"),
    ("type: MODIFY entity { counter_entry { counter_id: 0x12000001 index { index: 4 } } }", RANGE, "counter drops: index 4 is outside of 0 to 3"),
    ("type: MODIFY entity { counter_entry { counter_id: 0x12000001 data { byte_count: -5 } } }", INVALID, "counter drops: a counter is not negative (0 packets, -5 bytes)"),
    (f"type: INSERT entity {{ direct_counter_entry {{ table_entry {{ {EXACT} }} }} }}", INVALID, "table exact: a direct counter comes and goes with its entry, it can only be modified"),
    (f"type: MODIFY entity {{ direct_counter_entry {{ table_entry {{ {EXACT} }} }} }}", MISSING, "table exact, entry a=0x1, c=0x2: there is no such entry"),
    ("type: MODIFY entity { direct_counter_entry { table_entry { table_id: 0x02000001 is_default_action: true } } }", UNIMPLEMENTED, "table exact: packets that miss are not counted"),
    ("type: MODIFY entity { direct_counter_entry { table_entry { table_id: 0x02000002 } } }", INVALID, "table lpm has no direct counter"),
    (r'type: MODIFY entity { direct_counter_entry { table_entry { table_id: 0x02000005 match { field_id: 1 exact { value: "\001" } } } } }', DENIED, "table known is learned: its counters are the data plane's"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "words"), UPDATES)
def test_update(writer: Writer, text: str, code: Code, words: str) -> None:
    _expect(writer, text_format.Parse(text, p4r.Update()), code, words)


READS = [
    ("", INVALID, "the read request has no entity: a wildcard names its kind at least"),
    ("table_entry { table_id: 9 }", INVALID, "the pipeline has no table of id 0x00000009"),
    ("table_entry { priority: 1 }", INVALID, "a read of all tables (table id 0) takes no other filter"),
    ("table_entry { is_default_action: true }", INVALID, "a read of all tables (table id 0) takes no other filter"),
    ("table_entry { table_id: 0x02000002 counter_data { } }", INVALID, "table lpm has no direct counter"),
    ("table_entry { table_id: 0x02000002 meter_config { } }", INVALID, "table lpm has no direct meter"),
    ("table_entry { table_id: 0x02000002 time_since_last_hit { } }", INVALID, "table lpm has no idle timeout"),
    (f"table_entry {{ table_id: 0x02000001 {A} }}", INVALID, "table exact, match field c: is missing, and an exact field cannot be left out"),
    (f"table_entry {{ table_id: 0x02000001 is_default_action: true {A} }}", INVALID, "table exact: the default entry has neither match fields nor a priority"),
    ("table_entry { table_id: 0x02000001 is_default_action: true priority: 1 }", INVALID, "table exact: the default entry has neither match fields nor a priority"),
    ("table_entry { table_id: 0x02000001 action { action { action_id: 5 } } }", INVALID, "table exact: no action of id 0x00000005; it has miss, nothing, send"),
    ("table_entry { table_id: 0x02000004 action { action_profile_group_id: 5 } }", INVALID, "table spread: a read can be filtered by the action of a direct table only"),
    ("action_profile_member { member_id: 1 }", INVALID, "member 1: a member is named together with its action profile"),
    ("action_profile_group { group_id: 1 }", INVALID, "group 1: a group is named together with its action profile"),
    ("action_profile_group { action_profile_id: 1 }", INVALID, "the pipeline has no action profile of id 0x00000001"),
    ("counter_entry { index { index: 1 } }", INVALID, "an index is named together with its counter"),
    ("counter_entry { counter_id: 0x12000001 index { index: 4 } }", RANGE, "counter drops: index 4 is outside of 0 to 3"),
    ("direct_counter_entry { table_entry { table_id: 0x02000002 } }", INVALID, "table lpm has no direct counter"),
    ("direct_counter_entry { table_entry { is_default_action: true } }", INVALID, "table id is missing"),
    ("direct_counter_entry { table_entry { table_id: 0x02000001 is_default_action: true } }", UNIMPLEMENTED, "table exact: packets that miss are not counted"),
    (f"direct_counter_entry {{ table_entry {{ {A} }} }}", INVALID, "match fields are named together with their table"),
    (f"direct_counter_entry {{ table_entry {{ {EXACT} }} }}", MISSING, "table exact, entry a=0x1, c=0x2: there is no such entry"),
    ("meter_entry { meter_id: 3 }", INVALID, "the pipeline has no meter of id 0x00000003"),
    ("packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 3 } }", UNIMPLEMENTED, "multicast_group_entry: this pipeline has none"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "words"), READS)
def test_read(reader: Reader, text: str, code: Code, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        reader.answer(text_format.Parse(text, p4r.Entity()))
    assert (refused.value.text, refused.value.code) == (words, code)


@pytest.mark.parametrize(
    "text",
    [
        "meter_entry { }",
        "register_entry { }",
        "digest_entry { }",
        "packet_replication_engine_entry { multicast_group_entry { } }",
        "packet_replication_engine_entry { clone_session_entry { } }",
        "packet_replication_engine_entry { }",
    ],
)
def test_kinds_that_the_device_has_none_of_are_none(reader: Reader, text: str) -> None:
    assert list(reader.answer(text_format.Parse(text, p4r.Entity()))) == []


def test_delete_of_a_learned_entry_that_is_gone(writer: Writer) -> None:
    text = r'type: DELETE entity { table_entry { table_id: 0x02000005 match { field_id: 1 exact { value: "\001" } } } }'
    writer.apply(text_format.Parse(text, p4r.Update()))


def test_learned_table_without_fields_missing(pipeline: Pipeline, writer: Writer) -> None:
    assert pipeline.tables[4].store == "memory"
    update = text_format.Parse("type: DELETE entity { table_entry { table_id: 0x02000005 } }", p4r.Update())
    words = "table known, match field b: is missing, and an exact field cannot be left out"
    _expect(writer, update, INVALID, words)


def _expect(writer: Writer, update: p4r.Update, code: Code, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        writer.apply(update)
    assert (refused.value.text, refused.value.code) == (words, code)
    error = refused.value.to_p4_error()
    assert (error.canonical_code, error.message, error.space) == (int(code), words, "turnout")
