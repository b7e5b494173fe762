"""A pipeline that is good, and one mistake a row."""

# ruff: noqa: E501  a mistake is one line

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.diagnostic import Code
from compiler.ir.expressions import FieldRef, MetaRef, ParamRef
from compiler.ir.statements import Assign
from compiler.ir.text import from_text
from compiler.ir.verifier import PipelineError, check, codes, verify
from compiler.pipeline.assembly import pipeline

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ir.md"
GOOD = """
pipeline "small" version "1" main ingress drops dropped
header_type ethernet { dst: 48 src: 48 type: 16 }
header_type vlan { priority: 3 drop_eligible: 1 id: 12 type: 16 }
header_type ip { protocol: 8 ttl: 8 checksum: 16 src: 32 dst: 32 checksum checksum over header pseudo src, dst }
header_type udp { src_port: 16 dst_port: 16 checksum: 16 checksum checksum over pseudo or_none }
header_type echo { kind: 16 checksum: 16 checksum checksum over pseudo }
header_type note { text: 16 }
header outer: ethernet
header ethernet: ethernet
header vlan: vlan
header ip: ip pseudo_of udp, echo
header udp: udp
header echo: echo
header note: note covered_by echo
metadata { ingress_port: 16 a: 16 b: 8 color: 2 wide: 48 }
state start { extract ethernet select ethernet.type case 0x800 -> ip case 0x8100 -> vlan default -> accept }
state vlan { extract vlan select vlan.type case 0x800 -> ip default -> accept }
state ip { extract ip select ip.protocol, peek(0, 8) case 17, _ -> udp case 1, 8 &&& 0xf -> echo default -> accept }
state udp { extract udp default -> accept }
state echo { extract echo select echo.kind case 1 -> note default -> accept }
state note { extract note default -> accept }
store memory {
  size 16 ways 4
  profile 1 fresh: timeout_ms 10 rank 0
  profile 2 old: timeout_ms 100 rank 1
  events seen
  on fresh seen -> old
}
action 0x01000001 nothing() { }
action 0x01000002 note_a(1 value: 16) { meta.a = param.value }
action 0x01000004 police() { execute_direct into meta.color }
action 0x01000003 known(1 value: 16) { meta.a = param.value advance seen }
table 0x02000001 first {
  key 1 port: exact(meta.ingress_port)
  key 2 mac: lpm(ethernet.dst) as mac
  action police in_entries
  action note_a in_entries
  action nothing as_default
  default nothing
  size 4
  counter 0x13000001
  meter 0x15000001 bytes
  idle_timeout
}
table 0x02000002 flow {
  key 1 a: exact(meta.a)
  action known in_entries
  action nothing as_default
  default nothing
  size 4
  store memory
}
table 0x02000003 back {
  key 1 a: exact(meta.a)
  action known in_entries
  action nothing as_default
  default nothing
  size 4
  store memory
}
table 0x02000004 pick {
  key 1 a: exact(meta.a)
  action note_a in_entries
  action nothing as_default
  default nothing
  size 4
  selector 0x11000001 picks size 8 max_group_size 4 hash(meta.a)
}
counter 0x12000001 dropped size 8
meter 0x14000001 limit size 4 packets single_rate_three_color
drop_reason 1 bad
control ingress {
  apply first
  if valid(ip) { run lookup }
  if valid(ip) & !valid(vlan) { run change }
}
control lookup {
  apply flow { miss { apply back { miss {
    learn flow known(meta.a) profile 1:8
    learn back known(meta.b + 1 ++ meta.b) profile meta.b full { drop bad }
  } } } }
  apply pick
}
control change {
  count dropped meta.a
  execute limit meta.a into meta.color
  if valid(udp) {
    rewrite { ip.dst = 5 udp.dst_port = meta.a }
  }
  push { outer { type = 5:16 } }
  forward meta.a
}
""".replace("meta.b + 1 ++ meta.b", "concat(meta.b + 1, meta.b)")

ROWS: list[tuple[str, str, str, Code, str]] = [
    # what is wrong, text, its replacement, code, message
    ("name", "control lookup", "control Lookup", codes.BAD_NAME, "control 'Lookup'"),
    (
        "two headers",
        "header outer: ethernet",
        "header vlan: ethernet",
        codes.DUPLICATE_NAME,
        "'vlan' names more than one header",
    ),
    ("table and action", "table 0x02000001 first", "table 0x02000001 note_a", codes.DUPLICATE_NAME, "'note_a' names"),
    (
        "state accept",
        "state note {",
        "state accept {",
        codes.DUPLICATE_NAME,
        "'accept' names more than one parser state",
    ),
    ("two keys", "key 2 mac:", "key 2 port:", codes.DUPLICATE_NAME, "'port' names more than one key of table first"),
    (
        "a meter of nothing",
        "limit size 4",
        "limit size 0",
        codes.BAD_SIZE,
        "meter limit has the size 0",
    ),
    ("a meter's id", "meter 0x14000001", "meter 0x12000009", codes.BAD_ID, "meter limit has the id 0x12000009"),
    ("a direct meter's id", "meter 0x15", "meter 0x14", codes.BAD_ID, "the meter of table first has the id 0x14000001"),
    (
        "no such meter",
        "execute limit",
        "execute limits meta.a into meta.color execute limit",
        codes.UNKNOWN_NAME,
        "there is no meter 'limits'",
    ),
    (
        "a colour of 8 bits",
        "meta.a into meta.color",
        "meta.a into meta.b",
        codes.WIDTH,
        "the metadata of a colour is 8 bits wide",
    ),
    (
        "a meter not executed",
        "  execute limit meta.a into meta.color\n",
        "",
        codes.UNUSED,
        "meter limit is never executed",
    ),
    (
        "a direct meter not executed",
        "police() { execute_direct into meta.color }",
        "police() { }",
        codes.UNUSED,
        "no action of table first executes its meter",
    ),
    (
        "no direct meter",
        "  meter 0x15000001 bytes\n",
        "",
        codes.BAD_METER,
        "action police executes a direct meter, table first has none",
    ),
    (
        "a default that meters",
        "  action police in_entries\n",
        "  action police in_entries as_default\n",
        codes.BAD_METER,
        "action police executes the meter of an entry and is a default of table first",
    ),
    (
        "an action of two tables that meters",
        "pick {\n  key 1 a: exact(meta.a)\n",
        "pick {\n  key 1 a: exact(meta.a)\n  action police in_entries\n",
        codes.BAD_METER,
        "action police executes a direct meter and is offered by first, pick",
    ),
    (
        "a learned table that meters",
        "  store memory\n",
        "  meter 0x15000002 bytes\n  store memory\n",
        codes.BAD_LEARNED_TABLE,
        "learned table flow has a direct meter",
    ),
    (
        "a learned table with an idle timeout",
        "  store memory\n",
        "  idle_timeout\n  store memory\n",
        codes.BAD_LEARNED_TABLE,
        "learned table flow has an idle timeout of its own",
    ),
    (
        "a control that meters entries",
        "execute limit meta.a into meta.color",
        "execute limit meta.a into meta.color execute_direct into meta.color",
        codes.MISPLACED_STATEMENT,
        "ExecuteDirect stands in a control",
    ),
    ("two ids", "0x02000002", "0x02000001", codes.DUPLICATE_ID, "P4Runtime id 0x2000001: table first and table flow"),
    (
        "two key ids",
        "key 2 mac",
        "key 1 mac",
        codes.DUPLICATE_ID,
        "id of a key of table first 0x1: port and mac have it",
    ),
    ("id prefix", "0x01000002", "0x02000009", codes.BAD_ID, "action note_a has the id 0x02000009"),
    ("key id 0", "key 1 port", "key 0 port", codes.BAD_ID, "key of table first port has the id 0"),
    ("header bits", "text: 16", "text: 15", codes.BAD_HEADER, "header type note is 15 bits wide"),
    (
        "checksum field",
        "checksum checksum over header",
        "checksum sum over header",
        codes.UNKNOWN_NAME,
        "no field 'sum'",
    ),
    ("checksum place", "ttl: 8 checksum", "ttl: 16 checksum", codes.BAD_HEADER, "is 16 bits at bit 24"),
    (
        "covered by",
        "covered_by echo",
        "covered_by vlan",
        codes.BAD_HEADER,
        "header vlan, named by note, has no checksum",
    ),
    ("drop counter", "drops dropped", "drops gone", codes.UNKNOWN_NAME, "the counter of drops 'gone' is not declared"),
    ("drop places", "dropped size 8", "dropped size 1", codes.BAD_SIZE, "counter dropped has 1 places"),
    ("main", "main ingress", "main egress", codes.UNKNOWN_NAME, "the main control 'egress' is not declared"),
    (
        "table size",
        "default nothing\n  size 4",
        "default nothing\n  size 0",
        codes.BAD_SIZE,
        "table first has the size 0",
    ),
    (
        "unknown action",
        "action note_a in_entries",
        "action note_b in_entries",
        codes.UNKNOWN_NAME,
        "unknown action 'note_b'",
    ),
    ("default", "default nothing", "default note_a", codes.BAD_DEFAULT, "does not offer its default action 'note_a'"),
    (
        "default with parameters",
        "action note_a in_entries\n  action nothing as_default\n  default nothing",
        "action note_a as_default\n  action nothing as_default\n  default note_a",
        codes.BAD_DEFAULT,
        "the default action note_a of table first has 1 parameters, and is given 0 arguments",
    ),
    (
        "default argument too wide",
        "action note_a in_entries\n  action nothing as_default\n  default nothing",
        "action note_a as_default\n  action nothing as_default\n  default note_a(0x10000)",
        codes.BAD_DEFAULT,
        "the default action note_a of table first: argument value is 65536, which does not fit into 16 bits",
    ),
    (
        "modifiable default of a learned table",
        "default nothing\n  size 4\n  store memory",
        "default nothing modifiable\n  size 4\n  store memory",
        codes.BAD_DEFAULT,
        "table flow, one that is learned, has a default that is not constant",
    ),
    *(
        (
            f"entry {name}",
            "meter 0x15000001 bytes\n  idle_timeout",
            f"meter 0x15000001 bytes\n  idle_timeout {entries}",
            codes.BAD_ENTRY,
            message,
        )
        for name, entries, message in (
            (
                "that does not fit",
                "entries { 0x10000, _ -> note_a(1) }",
                "key port of table first is 65536, which does not fit into 16 bits",
            ),
            ("with a priority", "entries { 1, _ priority 1 -> note_a(1) }", "an entry of table first has no priority"),
            ("twice", "entries { 1, _ -> note_a(1) 1, _ -> note_a(2) }", "table first has an entry twice"),
            (
                "too many",
                "entries { 1, _ -> note_a(1) 2, _ -> note_a(1) 3, _ -> note_a(1) 4, _ -> note_a(1) 5, _ -> note_a(1) }",
                "table first has 5 entries and the size 4",
            ),
            (
                "of an action for misses",
                "entries { 1, _ -> nothing() }",
                "table first offers no action 'nothing' for entries",
            ),
            ("without arguments", "entries { 1, _ -> note_a() }", "action note_a has 1 parameters, not 0"),
        )
    ),
    *(
        (
            f"restriction {name}",
            "meter 0x15000001 bytes\n  idle_timeout",
            f"meter 0x15000001 bytes\n  idle_timeout {text}",
            codes.BAD_RESTRICTION,
            message,
        )
        for name, text, message in (
            (
                "that cannot be read",
                'restriction "port == 1 && prt == 2"',
                "the restriction of table first, column 14: table first has no key 'prt', only port, mac",
            ),
            (
                "that P4 cannot say",
                'restriction "port == 1;\\nmac == 2"',
                "the restriction of table first has a quote, a backslash or a line end, which P4 cannot say",
            ),
            (
                "that an entry violates",
                'restriction "port != 1" entries { 1, _ -> note_a(1) }',
                "an entry of table first violates its restriction: 'port != 1', where port::value = 0x1",
            ),
        )
    ),
    (
        "restriction of a learned table",
        "  size 4\n  store memory",
        '  size 4\n  store memory restriction "a == 1"',
        codes.BAD_RESTRICTION,
        "table flow is learned: nobody would check a restriction",
    ),
    *(
        (
            f"restriction of an action {name}",
            "note_a(1 value: 16) {",
            f'note_a(1 value: 16) restriction "{text}" {{',
            codes.BAD_RESTRICTION,
            message,
        )
        for name, text, message in (
            (
                "that cannot be read",
                "valu == 1",
                "the restriction of action note_a, column 1: action note_a has no parameter 'valu', only value",
            ),
            (
                "that P4 cannot say",
                "value == 1;\\n",
                "the restriction of action note_a has a quote, a backslash or a line end, which P4 cannot say",
            ),
        )
    ),
    (
        "restriction of an action that packets learn",
        "known(1 value: 16) {",
        'known(1 value: 16) restriction "value == 1" {',
        codes.BAD_RESTRICTION,
        "the restriction of action known: table flow, which offers it, is learned, and nobody would check it",
    ),
    *(
        (
            f"reference {name}",
            "key 1 port: exact(meta.ingress_port)",
            f"key 1 port: exact(meta.ingress_port) refers_to({to})",
            code,
            f"key port of table first refers to {message}",
        )
        for name, to, code, message in (
            ("to no table", "frst, port", codes.UNKNOWN_NAME, "the unknown table 'frst'"),
            ("to no key", "first, prt", codes.UNKNOWN_NAME, "the unknown key 'prt' of table first"),
            (
                "to a learned table",
                "flow, a",
                codes.BAD_REFERENCE,
                "key a of table flow, which is learned: its entries come and go by themselves",
            ),
            (
                "to a key that is not exact",
                "first, mac",
                codes.BAD_REFERENCE,
                "key mac of table first, which is matched lpm",
            ),
            ("of another width", "first, mac", codes.BAD_REFERENCE, "key mac of table first: they have 16 and 48 bits"),
            (
                "to what there is not",
                "builtin::clone_session_table, id",
                codes.BAD_REFERENCE,
                "builtin::clone_session_table, id",
            ),
        )
    ),
    *(
        (
            f"type {name}",
            "header_type ethernet",
            f"{types} action 0x01000009 typed({params}) {{ }} header_type ethernet",
            code,
            message,
        )
        for name, types, params, code, message in (
            (
                "that is unknown",
                "",
                "1 a: 9 type prt",
                codes.UNKNOWN_NAME,
                "parameter a of action typed has the unknown type 'prt'",
            ),
            (
                "of another width",
                'type t: 9 string ""',
                "1 a: 8 type t",
                codes.BAD_TYPE,
                "parameter a of action typed has 8 bits, its type t has 9",
            ),
            (
                "with a format",
                'type t: 32 string ""',
                "1 a: 32 as ipv4 type t",
                codes.BAD_TYPE,
                "has 32 bits and is written as ipv4, its type t has 32",
            ),
            (
                "without bits",
                'type t: 9 0 ""',
                "1 a: 9 type t",
                codes.BAD_TYPE,
                "type t has 9 bits, for control planes 0",
            ),
            ("that nothing has", 'type t: 9 string ""', "", codes.UNUSED, "nothing has the type t"),
            (
                "of a URI that P4 cannot say",
                'type t: 9 string "a\\\\b"',
                "1 a: 9 type t",
                codes.BAD_TYPE,
                "the URI of type t has a quote, a backslash or a line end",
            ),
            (
                "unlike another of its URI",
                'type t: 9 string "u" type u: 8 string "u"',
                "1 a: 9 type t, 2 b: 8 type u",
                codes.BAD_TYPE,
                "types t and u share a URI and differ",
            ),
            (
                "of ports unlike another",
                'type t: 9 ports string "t" type u: 9 ports 32 "u"',
                "1 a: 9 type t, 2 b: 9 type u",
                codes.BAD_TYPE,
                "types t and u are both of ports and differ",
            ),
        )
    ),
    *(
        (
            f"translated {name}",
            "header_type ethernet",
            'type t: 16 string "" type m: 48 string "" packet_out 0x04000002 { 1 egress_port: 16 type t } header_type ethernet',
            codes.BAD_TYPE,
            message,
        )
        for name, message in (("field of a packet-out", "field egress_port of packet_out has the type t"),)
    ),
    (
        "translated field of a digest",
        "header_type ethernet",
        'type t: 16 string "" digest 0x17000001 d { a: 8 type t } header_type ethernet',
        codes.BAD_TYPE,
        "field a of digest d has 8 bits, its type t has 16",
    ),
    (
        "translated key that is matched in parts",
        "key 2 mac: lpm(ethernet.dst) as mac",
        "key 2 mac: lpm(ethernet.dst) type m",
        codes.UNKNOWN_NAME,
        "key mac of table first has the unknown type 'm'",
    ),
    (
        "reference of a key that is neither exact nor optional",
        "as mac",
        "as mac refers_to(builtin::multicast_group_table, multicast_group_id)",
        codes.BAD_REFERENCE,
        "key mac of table first refers to multicast groups, whose ids have 32 bits, and has 48",
    ),
    (
        "reference of a learned entry",
        "known(1 value: 16) {",
        "known(1 value: 16 refers_to(first, port)) {",
        codes.BAD_REFERENCE,
        "table flow is learned: nobody would check what its entries refer to",
    ),
    (
        "reference twice",
        "note_a(1 value: 16)",
        "note_a(1 value: 16 refers_to(first, port) refers_to(first, mac), 2 more: 16 refers_to(first, port))",
        codes.BAD_REFERENCE,
        "an entry of table first with action note_a refers twice to one key of table first, and to others of it",
    ),
    (
        "entries of a learned table",
        "  size 4\n  store memory",
        "  size 4\n  store memory entries { 1 -> known(1) }",
        codes.BAD_ENTRY,
        "table flow is learned: it cannot have entries from the start",
    ),
    (
        "priorities of constant entries",
        "key 2 mac: lpm(ethernet.dst) as mac\n  action police in_entries\n  action note_a in_entries\n  action nothing as_default\n  default nothing\n  size 4\n  counter 0x13000001\n  meter 0x15000001 bytes\n  idle_timeout",
        "key 2 mac: ternary(ethernet.dst) as mac\n  action police in_entries\n  action note_a in_entries\n  action nothing as_default\n  default nothing\n  size 4\n  counter 0x13000001\n  meter 0x15000001 bytes\n  idle_timeout const entries { 1, _ priority 3 -> note_a(1) 2, _ priority 1 -> note_a(2) }",
        codes.BAD_ENTRY,
        "the entries of the constant table first have priorities other than 2 down to 1",
    ),
    (
        "idle action",
        "action note_a in_entries",
        "action note_a",
        codes.BAD_DEFAULT,
        "neither for entries nor as default",
    ),
    ("two LPM keys", "port: exact", "port: lpm", codes.TWO_LPM_KEYS, "table first has more than one LPM key"),
    ("format", "as mac", "as ipv6", codes.BAD_KEY, "key mac of table first of 48 bits cannot be written as 'ipv6'"),
    ("learned key", "flow {\n  key 1 a: exact", "flow {\n  key 1 a: ternary", codes.BAD_LEARNED_TABLE, "is not exact"),
    (
        "key types",
        "back {\n  key 1 a: exact(meta.a)",
        "back {\n  key 1 a: exact(meta.b)",
        codes.BAD_STORE,
        "differ in key",
    ),
    (
        "unknown store",
        "store memory\n}\ntable 0x02000003",
        "store memo\n}\ntable 0x02000003",
        codes.UNKNOWN_NAME,
        "'memo'",
    ),
    ("store size", "size 16 ways", "size 12 ways", codes.BAD_STORE, "has the size 12, not a power of two"),
    ("ways", "ways 4", "ways 32", codes.BAD_STORE, "has 32 ways"),
    ("profile ids", "profile 2 old", "profile 1 old", codes.BAD_STORE, "each with a name and an id of its own"),
    ("transition", "on fresh seen -> old", "on fresh seen -> ripe", codes.BAD_STORE, "transition fresh seen ripe"),
    (
        "other half",
        "on fresh seen -> old",
        "on fresh seen beside ripe -> old",
        codes.BAD_STORE,
        "transition fresh seen",
    ),
    ("its profile", "on fresh seen -> old", "on fresh seen -> old, ripe", codes.BAD_STORE, "transition fresh seen old"),
    (
        "hidden transition",
        "on fresh seen -> old",
        "on fresh seen -> old on fresh seen beside old -> fresh",
        codes.BAD_STORE,
        "transition fresh seen fresh that another one before it hides",
    ),
    ("event", "advance seen", "advance heard", codes.UNKNOWN_NAME, "store memory has no event 'heard'"),
    ("advance", "{ meta.a = param.value }", "{ advance seen }", codes.BAD_LEARNED_TABLE, "table first has none"),
    ("group size", "max_group_size 4", "max_group_size 9", codes.BAD_SELECTOR, "groups of up to 9"),
    (
        "turns that are asked for",
        "max_group_size 4 hash(meta.a)",
        "max_group_size 4 hash(meta.a) turns 5:16 if 1:2",
        codes.BAD_SELECTOR,
        "asks for turns by 2 bits, not by 1",
    ),
    (
        "turns that are counted",
        "max_group_size 4 hash(meta.a)",
        "max_group_size 4 hash(meta.a) turns 5:17 if 1",
        codes.BAD_SELECTOR,
        "counts turns by 17 bits, at most 16 are possible",
    ),
    (
        "the fewest without turns",
        "max_group_size 4 hash(meta.a)",
        "max_group_size 4 hash(meta.a) fewest memory if 1",
        codes.BAD_SELECTOR,
        "has no turns, of whose cycle the fewest are drawn",
    ),
    (
        "the fewest that are asked for",
        "max_group_size 4 hash(meta.a)",
        "max_group_size 4 hash(meta.a) turns 5:16 if 1 fewest memory if 1:2",
        codes.BAD_SELECTOR,
        "asks for the fewest by 2 bits, not by 1",
    ),
    (
        "the store of the fewest",
        "max_group_size 4 hash(meta.a)",
        "max_group_size 4 hash(meta.a) turns 5:16 if 1 fewest memo if 1",
        codes.UNKNOWN_NAME,
        "counts in the unknown store 'memo'",
    ),
    (
        "members that are counted",
        "size 8 max_group_size 4 hash(meta.a)",
        "size 65536 max_group_size 4 hash(meta.a) turns 5:16 if 1 fewest memory if 1",
        codes.BAD_SELECTOR,
        "has the size 65536, 65535 members can be told apart",
    ),
    (
        "both halves counted",
        "profile 1:8\n    learn back known(concat(meta.b + 1, meta.b)) profile meta.b full",
        "profile 1:8 counted\n    learn back known(concat(meta.b + 1, meta.b)) profile meta.b counted full",
        codes.BAD_PAIR,
        "entries of tables flow and back are counted, which store memory pairs",
    ),
    (
        "counted for nobody",
        "profile 1:8",
        "profile 1:8 counted",
        codes.BAD_ARGUMENTS,
        "entries of store memory count for no selector's members",
    ),
    ("unused action", "drop_reason 1", "action 0x01000009 idle() { }\ndrop_reason 1", codes.UNUSED, "no table offers"),
    ("parser loop", "echo.kind case 1 -> note", "echo.kind case 1 -> ip", codes.PARSER_LOOP, "ip -> echo -> ip"),
    ("unreached", "case 1 -> note ", "", codes.UNREACHED_STATE, "no packet reaches parser state note"),
    ("next state", "-> echo ", "-> ecco ", codes.UNKNOWN_NAME, "goes to the unknown state 'ecco'"),
    (
        "header order",
        "state echo { extract echo",
        "state echo { extract outer",
        codes.HEADER_ORDER,
        "takes outer after",
    ),
    ("case length", "case 17, _", "case 17", codes.BAD_SELECT, "selects by 2 values, a case has 1"),
    ("case value", "case 17, _", "case 256, _", codes.BAD_SELECT, "compares 8 bits with 256"),
    (
        "select too early",
        "select ethernet.type",
        "select note.text",
        codes.INVALID_HEADER,
        "note.text is used where note may",
    ),
    ("sides", "if valid(ip) {", "if meta.a == 1:8 {", codes.WIDTH, "the sides of == are 16 and 8 bits wide"),
    ("condition", "if valid(ip) {", "if meta.a {", codes.WIDTH, "the condition is 16 bits wide"),
    ("rare hits", "apply first", "apply first rarely meta.a", codes.WIDTH, "the condition is 16 bits wide"),
    (
        "rare hits of a header that is not there",
        "apply first",
        "apply first rarely udp.dst_port == 1",
        codes.INVALID_HEADER,
        "udp.dst_port is used where udp may",
    ),
    (
        "idle without nothing",
        "control lookup {",
        "control lookup idle_without pick, pack {",
        codes.UNKNOWN_NAME,
        "there is no table 'pack'",
    ),
    ("value", "meta.a = param.value }", "meta.b = param.value }", codes.WIDTH, "the value is 16 bits wide"),
    ("constant", "ip.dst = 5", "ip.dst = 0x100000000", codes.BAD_CONSTANT, "does not fit into 32 bits"),
    ("slice", "count dropped meta.a", "count dropped meta.a[16:9]", codes.BAD_SLICE, "bits 16 to 9 are taken of 16"),
    ("shift", "count dropped meta.a", "count dropped meta.a << 16:8", codes.BAD_SHIFT, "16 bits are shifted by 16"),
    ("shift by value", "count dropped meta.a", "count dropped meta.a << meta.b", codes.BAD_SHIFT, "is not a constant"),
    ("extend", "count dropped meta.a", "count dropped extend(meta.a, 8)", codes.WIDTH, "16 bits are extended to 8"),
    ("hash", "count dropped meta.a", "count dropped hash:65(meta.a)", codes.WIDTH, "65 bits are asked for"),
    ("peek", "count dropped meta.a", "count dropped peek(0, 8)", codes.MISPLACED_PEEK, "only a parser's select"),
    (
        "apply in action",
        "{ meta.a = param.value }",
        "{ apply first }",
        codes.MISPLACED_STATEMENT,
        "Apply stands in an action",
    ),
    (
        "verdict in action",
        "{ meta.a = param.value }",
        "{ reply }",
        codes.MISPLACED_STATEMENT,
        "Reply stands in an action",
    ),
    (
        "header field in action",
        "{ meta.a = param.value }",
        "{ meta.a = param.value if meta.a == 1 { ip.dst = 5 } }",
        codes.MISPLACED_STATEMENT,
        "the action sets ip.dst",
    ),
    (
        "rewrite in action",
        "{ meta.a = param.value }",
        "{ meta.a = param.value rewrite { ip.dst = 5 } }",
        codes.MISPLACED_STATEMENT,
        "Rewrite stands in an action",
    ),
    (
        "pop in action",
        "{ meta.a = param.value }",
        "{ meta.a = param.value pop ip }",
        codes.MISPLACED_STATEMENT,
        "Pop stands in an action",
    ),
    (
        "advance in control",
        "count dropped meta.a",
        "advance seen",
        codes.MISPLACED_STATEMENT,
        "Advance stands in a control",
    ),
    ("ingress port", "meta.a = param.value }", "meta.ingress_port = 5 }", codes.READ_ONLY, "set by the target alone"),
    (
        "covered field",
        "push { outer",
        "ip.ttl = 1 push { outer",
        codes.CHECKSUM_BROKEN,
        "ip.ttl is covered by a checksum",
    ),
    (
        "covered behind",
        "run change",
        "if valid(note) { note.text = 1 } run change",
        codes.CHECKSUM_BROKEN,
        "note.text is",
    ),
    (
        "checksum itself",
        "udp.dst_port = meta.a",
        "udp.checksum = meta.a",
        codes.CHECKSUM_BROKEN,
        "is a checksum itself",
    ),
    ("twice rewritten", "udp.dst_port = meta.a", "ip.dst = 6", codes.BAD_ARGUMENTS, "one field twice"),
    ("unknown table", "apply pick", "apply picked", codes.UNKNOWN_NAME, "there is no table 'picked'"),
    ("unknown control", "run lookup", "run look", codes.UNKNOWN_NAME, "there is no control 'look'"),
    ("unknown reason", "drop bad", "drop good", codes.UNKNOWN_NAME, "there is no drop reason 'good'"),
    ("unknown counter", "count dropped", "count drops", codes.UNKNOWN_NAME, "there is no counter 'drops'"),
    ("two applies", "apply pick", "apply pick apply first", codes.USED_TWICE, "table first is applied at 2 places"),
    (
        "two runs",
        "run lookup }",
        "run lookup } else { run lookup }",
        codes.USED_TWICE,
        "control lookup is run at 2 places",
    ),
    ("never applied", "apply pick", "", codes.UNUSED, "table pick is never applied"),
    ("never run", "run lookup", "", codes.UNUSED, "control lookup is never run"),
    ("recursion", "apply pick", "apply pick run lookup", codes.RECURSION, "control lookup runs itself"),
    ("learn elsewhere", "learn flow", "learn first", codes.UNKNOWN_NAME, "there is no learned table 'first'"),
    (
        "learned action",
        "learn flow known",
        "learn flow nothing",
        codes.BAD_ARGUMENTS,
        "no entries with action 'nothing'",
    ),
    ("arguments", "flow known(meta.a)", "flow known(meta.b)", codes.BAD_ARGUMENTS, "do not fit action known"),
    ("profile", "profile 1:8", "profile 7:8", codes.BAD_ARGUMENTS, "store memory has no profile 7"),
    ("port width", "forward meta.a", "forward meta.b", codes.WIDTH, "the port is 8 bits wide"),
    ("unknown field", "outer { type = 5:16 }", "outer { kind = 5:16 }", codes.UNKNOWN_NAME, "has no field 'kind'"),
    ("push order", "push { outer {", "push { vlan { } outer {", codes.BAD_PUSH, "are not in the order of a packet"),
    (
        "push of udp",
        "push { outer { type = 5:16 } }",
        "push { udp { } }",
        codes.BAD_PUSH,
        "checksum of udp is not given",
    ),
    ("push of echo", "push { outer { type = 5:16 } }", "push { echo { } }", codes.BAD_PUSH, "IP header in front"),
    (
        "push of valid",
        "push { outer { type = 5:16 } }",
        "push { ethernet { } }",
        codes.INVALID_HEADER,
        "ethernet is pushed",
    ),
    (
        "push apart",
        "push { outer { type = 5:16 } }",
        "push { outer { } vlan { } }",
        codes.NOT_CONTIGUOUS,
        "side by side",
    ),
    ("pop of invalid", "push { outer", "pop ethernet, vlan push { outer", codes.INVALID_HEADER, "vlan is popped where"),
    ("pop inside", "push { outer", "pop ip push { outer", codes.NOT_AT_FRONT, "ip may not be at the front"),
    ("pop vlan", "push { outer", "pop_vlan push { outer", codes.INVALID_HEADER, "the tag is taken where vlan"),
    (
        "push vlan",
        "apply pick",
        "apply pick push_vlan 1:12 reply",
        codes.INVALID_HEADER,
        "vlan is pushed where it may be valid",
    ),
    (
        "unguarded",
        "if valid(udp) {",
        "if valid(ip) {",
        codes.INVALID_HEADER,
        "udp.dst_port is used where udp may not be",
    ),
    (
        "& guards nothing",
        "if valid(udp) {",
        "if valid(udp) & (udp.src_port == 1) {",
        codes.INVALID_HEADER,
        "udp.src_port is",
    ),
    ("after a cut", "push { outer", "truncate ip 8 ip.src = 1 push { outer", codes.CHECKSUM_BROKEN, "ip.src"),
    (
        "cut off",
        "push { outer",
        "truncate ip 8 count dropped ip.src push { outer",
        codes.INVALID_HEADER,
        "ip.src is used",
    ),
    ("changed", "forward meta.a", "to_kernel", codes.MODIFIED_TO_KERNEL, "may have been changed reaches ToKernel"),
    (
        "changed clone",
        "forward meta.a",
        "clone 1 forward meta.a",
        codes.MODIFIED_CLONE,
        "may have been changed is cloned",
    ),
    ("changed at the end", "forward meta.a", "", codes.MODIFIED_TO_KERNEL, "reaches the end of the pipeline"),
    ("unreachable", "forward meta.a", "forward meta.a reply", codes.UNREACHABLE, "no path reaches this Reply"),
    (
        "learn after a hit",
        "flow { miss {",
        "flow { hit {",
        codes.NOT_MISSED,
        "table flow learns where no path has missed it",
    ),
    (
        "learn twice",
        "learn back known",
        "learn flow known(meta.a) profile 1:8 learn back known",
        codes.BAD_PAIR,
        "and then",
    ),
]


def test_the_small_pipeline_is_good() -> None:
    assert verify(from_text(GOOD)) == ()


def test_the_real_pipeline_is_good() -> None:
    assert check(pipeline()) is pipeline()


@pytest.mark.parametrize(("old", "new", "code", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_mistake(old: str, new: str, code: Code, message: str) -> None:
    assert old in GOOD
    found = verify(from_text(GOOD.replace(old, new, 1), path="small.ir"))
    assert code in {diagnostic.code for diagnostic in found}, [str(diagnostic) for diagnostic in found]
    assert any(message in d.message and d.code == code for d in found), [str(diagnostic) for diagnostic in found]


def test_every_code_has_a_row_and_a_line_in_the_documentation() -> None:
    declared = {code for code in vars(codes).values() if isinstance(code, Code)}
    elsewhere = {codes.SYNTAX, codes.MISSING_PART, codes.FOREIGN_PARAM}
    assert declared - {row[3] for row in ROWS} == elsewhere
    documented = set(re.findall(r"E05\d\d", PAGE.read_text(encoding="utf-8")))
    assert {code.id for code in declared} == documented


def test_what_text_cannot_say() -> None:
    good = from_text(GOOD)
    without_port = replace(good, metadata=tuple(f for f in good.metadata if f.name != "ingress_port"))
    assert [d.code for d in verify(without_port)] == [codes.MISSING_PART]
    target = MetaRef(name="a", width_bits=16)
    unknown = Assign(target=target, value=FieldRef(header="ip", name="dts", width_bits=16))
    foreign = Assign(target=target, value=ParamRef(name="value", width_bits=16))
    main = replace(good.controls[0], body=(unknown, foreign, *good.controls[0].body))
    found = verify(replace(good, controls=(main, *good.controls[1:])))
    assert [(d.code, d.message) for d in found] == [
        (codes.UNKNOWN_NAME, "there is no field of header ip 'dts'"),
        (codes.FOREIGN_PARAM, "there is no parameter 'value' here"),
    ]


def test_check_raises_with_all_mistakes() -> None:
    bad = GOOD.replace("if valid(ip) {", "if meta.a {").replace("forward meta.a", "forward meta.b")
    with pytest.raises(PipelineError) as refused:
        check(from_text(bad, path="small.ir"))
    assert [str(d) for d in refused.value.diagnostics] == [
        "small.ir:75:6: error[E0531]: the condition is 16 bits wide",
        "small.ir:92:11: error[E0531]: the port is 8 bits wide",
    ]
