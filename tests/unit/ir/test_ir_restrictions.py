"""The language of restrictions: what it takes, what it means, and what it says of a text that is none."""

from __future__ import annotations

import pytest

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.ir.expressions import MetaRef
from compiler.ir.restriction_parsing import RestrictionError, action_restriction, restriction
from compiler.ir.tables import Action, Key, MatchKind, Param, Table

KINDS = {
    "vrf": (MatchKind.EXACT, 16),
    "ttl": (MatchKind.TERNARY, 8),
    "dst": (MatchKind.LPM, 32),
    "port": (MatchKind.RANGE, 16),
    "mac": (MatchKind.OPTIONAL, 48),
    "hdr.big": (MatchKind.EXACT, 128),
}
KEYS = tuple(
    Key(name=name, id=number, expr=MetaRef(name="m", width_bits=width), match=kind)
    for number, (name, (kind, width)) in enumerate(KINDS.items(), 1)
)
TABLE = Table(name="acl", id=1, keys=KEYS, actions=(), default_action="", size=8)
MATCHES: tuple[MatchValue, ...] = (
    Exact(value=5),
    Ternary(value=3, mask=0x0F),
    Lpm(value=0x0A000000, prefix_len=8),
    Range(low=80, high=90),
    Optional(value=0x020000000001),
    Exact(value=1 << 100),
)


def holds(text: str) -> bool:
    return restriction(text, TABLE).violation(MATCHES, 7) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "vrf == 5",
        "vrf::value == 0x5 && vrf != 0b110 && vrf < 0o7",
        "!(vrf == 4)",
        "!false",
        "vrf == 4 || vrf == 5",
        "false && false || true",
        "true || false && false",
        "false -> false -> false",
        "vrf == 5 -> ttl::mask == 15",
        "vrf == 4 -> false",
        "vrf != 4;  // said\n ttl::value == 3;",
        "ttl::mask != 0 && ttl != 3",
        "dst::value == ipv4('10.0.0.0') && dst::prefix_length >= 8",
        "dst != ipv4('10.0.0.0')",
        "port::low <= port::high && port != 80",
        "mac == mac('02:00:00:00:00:01') && mac::mask == 0xffffffffffff",
        "hdr.big == ipv6('0:10::')",
        "::priority == 7 && ::priority > -1",
        "vrf == vrf && 5 == vrf",
    ],
)
def test_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("vrf != 5", "'vrf != 5', where vrf::value = 0x5"),
        ("vrf == 5; ttl::mask == 255", "'ttl::mask == 255', where ttl::mask = 0xf"),
        ("vrf == 5 && ::priority < 7 && false", "'::priority < 7', where ::priority = 0x7"),
        ("vrf == 4 || ttl  == 3", "'vrf == 4 || ttl == 3', where vrf::value = 0x5, ttl::value = 0x3, ttl::mask = 0xf"),
        ("false", "'false'"),
        ("vrf == 5 -> !(port::high == 90)",
         "'vrf == 5 -> !(port::high == 90)', where vrf::value = 0x5, port::high = 0x5a"),
        ("true -> true -> false", "'true -> true -> false'"),
    ],
)  # fmt: skip
def test_says_which_part_is_violated(text: str, violation: str) -> None:
    assert str(restriction(text, TABLE).violation(MATCHES, 7)) == violation


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("vrf = 5", 1, 5, "'=' begins no word"),
        ("vrf == ", 1, 8, "expected a key or a number, found the end"),
        ("vrf", 1, 4, "expected a comparison, found the end"),
        ("vrf == 5 vrf == 6", 1, 10, "expected ';', found 'vrf'"),
        ("(vrf == 5", 1, 10, "expected ')', found the end"),
        ("true;\n  ttx == 5", 2, 3,
         "table acl has no key 'ttx', only vrf, ttl, dst, port, mac, hdr.big"),
        ("vrf::mask == 1", 1, 1, "key vrf is matched exact: it has no 'mask', only value"),
        ("dst::mask == 1", 1, 1, "key dst is matched lpm: it has no 'mask', only value, prefix_length"),
        ("ttl < 3", 1, 5, "'<' compares numbers, and a key of several parts is none"),
        ("ttl == mac", 1, 5, "two keys that are not of one kind and width are compared"),
        ("ttl == vrf", 1, 5, "a key of several parts is compared with a number that is not written here"),
        ("::age == 1", 1, 1, "entries have no attribute '::age', only ::priority"),
        ("vrf == -ttl", 1, 8, "'-' stands before a number"),
        ("vrf == mac('02:00')", 1, 8, "'02:00' is no MAC address"),
    ],
)  # fmt: skip
def test_says_where_a_text_is_wrong(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(RestrictionError) as refused:
        restriction(text, TABLE)
    assert (refused.value.line, refused.value.column, str(refused.value)) == (line, column, message)


ACTION = Action(
    name="send", id=1, params=(Param(name="port", id=1, width_bits=9), Param(name="tag", id=2, width_bits=12))
)


def test_of_an_action() -> None:
    read = action_restriction("port != 0 && port < 509; tag::value == 7 -> port == 1", ACTION)
    assert read.violation_by(ActionCall(action="send", arguments=(1, 7))) is None
    assert read.violation_by(ActionCall(action="send", arguments=(2, 6))) is None
    assert (
        str(read.violation_by(ActionCall(action="send", arguments=(509, 0))))
        == "'port < 509', where port::value = 0x1fd"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prt == 1", "action send has no parameter 'prt', only port, tag"),
        ("port::mask == 1", "parameter port: it has no 'mask', only value"),
        ("::priority == 1", "calls of action send have no priority"),
        ("::age == 1", "calls have no attribute '::age', only ::priority"),
        ("port == ", "expected a parameter or a number, found the end"),
    ],
)
def test_says_what_is_wrong_about_an_action(text: str, message: str) -> None:
    with pytest.raises(RestrictionError) as refused:
        action_restriction(text, ACTION)
    assert str(refused.value) == message


def test_a_table_without_priorities_has_no_priority() -> None:
    plain = Table(name="plain", id=1, keys=KEYS[:1], actions=(), default_action="", size=8)
    with pytest.raises(RestrictionError) as refused:
        restriction("::priority > 1", plain)
    assert str(refused.value) == "entries of table plain have no priority"
