"""Expressions, row by row: conditions, numbers, casts."""

from __future__ import annotations

import pytest

from compiler.ir.expressions import (
    Binary,
    Concat,
    Const,
    Expr,
    Extend,
    Hash,
    NetworkLength,
    Not,
    Now,
    Operator,
    Peek,
    Random,
    Slice,
)
from compiler.pipeline.notation import all_of, any_of, eq, field, gt, meta, ne, negate, param, valid
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4 import pna, v1model
from compiler.printers.p4.expressions import ExpressionPrinter
from compiler.printers.p4.identifiers import identifiers
from compiler.printers.p4.refusals import UnprintableError
from compiler.span import InternalError


def printer(profile: str = "v1model") -> ExpressionPrinter:
    program = v1model.program(portable_pipeline()) if profile == "v1model" else pna.program(portable_pipeline())
    return program.expression_printer(program.ids.top.copy())


def _const(value: int, width: int) -> Const:
    return Const(value=value, width_bits=width)


CONDITIONS: tuple[tuple[Expr, str], ...] = (
    (valid("ipv4"), "hdr.ipv4.isValid()"),
    (negate(valid("ipv4")), "!hdr.ipv4.isValid()"),
    (meta("decided"), "meta.decided == 1"),
    (negate(meta("decided")), "!(meta.decided == 1)"),
    (eq(meta("leg"), 2), "meta.leg == 2"),
    (ne(meta("network"), 0x1234), "meta.network != 0x1234"),
    (
        all_of(valid("tcp"), meta("decided"), eq(meta("leg"), 1)),
        "hdr.tcp.isValid() && meta.decided == 1 && meta.leg == 1",
    ),
    (
        all_of(any_of(valid("tcp"), valid("udp")), valid("ipv4")),
        "(hdr.tcp.isValid() || hdr.udp.isValid()) && hdr.ipv4.isValid()",
    ),
    (
        all_of(valid("ipv4"), all_of(valid("tcp"), valid("udp"))),
        "hdr.ipv4.isValid() && (hdr.tcp.isValid() && hdr.udp.isValid())",
    ),
    (negate(any_of(valid("tcp"), valid("udp"))), "!(hdr.tcp.isValid() || hdr.udp.isValid())"),
    (
        gt(NetworkLength(), meta("mtu")),
        "(hdr.ipv4.isValid() ? hdr.ipv4.total_length : hdr.ipv6.payload_length + 40) > meta.mtu",
    ),
    (_const(1, 1), "true"),
)

VALUES: tuple[tuple[Expr, str], ...] = (
    (_const(255, 8), "255"),
    (_const(256, 12), "0x100"),
    (_const(0x0800, 16), "0x0800"),
    (field("ethernet.type"), "hdr.ethernet.type"),
    (meta("error"), "meta.error_"),
    (valid("tcp"), "(bit<1>)hdr.tcp.isValid()"),
    (eq(meta("leg"), 2), "(bit<1>)(meta.leg == 2)"),
    (all_of(valid("tcp"), valid("udp")), "(bit<1>)(hdr.tcp.isValid() && hdr.udp.isValid())"),
    (Binary(operator=Operator.SHL, left=meta("mtu"), right=_const(3, 8)), "meta.mtu << 3"),
    (Binary(operator=Operator.AND, left=meta("leg"), right=meta("protocol")), "meta.leg & meta.protocol"),
    (Not(operand=Binary(operator=Operator.ADD, left=meta("mtu"), right=_const(1, 16))), "~(meta.mtu + 1)"),
    (Slice(operand=meta("mtu"), high=7, low=0), "meta.mtu[7:0]"),
    (Concat(parts=(_const(0, 16), meta("mtu"))), "16w0 ++ meta.mtu"),
    (Extend(operand=meta("leg"), width_bits=16), "(bit<16>)meta.leg"),
    (Extend(operand=_const(3, 4), width_bits=16), "(bit<16>)4w3"),
)


@pytest.mark.parametrize(("expr", "text"), CONDITIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_conditions(expr: Expr, text: str) -> None:
    assert printer().condition(expr) == text


@pytest.mark.parametrize(("expr", "text"), VALUES, ids=lambda value: value if isinstance(value, str) else "")
def test_values(expr: Expr, text: str) -> None:
    assert printer().value(expr) == text


def test_v1model_hashes_before_the_statement() -> None:
    expressions = printer()
    assert expressions.value(Hash(inputs=(meta("mtu"), _const(1, 8)), width_bits=14)) == "hashed"
    assert expressions.prelude == [
        "bit<14> hashed;",
        "hash(hashed, HashAlgorithm.crc32, 14w0, { meta.mtu, 8w1 }, 64w0x0000000000004000);",
    ]


def test_v1model_draws_before_the_statement() -> None:
    expressions = printer()
    assert expressions.value(Random(width_bits=8)) == "drawn"
    assert expressions.prelude == ["bit<8> drawn;", "random(drawn, 8w0, 8w255);"]


@pytest.mark.parametrize(
    "microseconds", [0, 999, 1000, 1_999_999, (1 << 48) - 1, (1 << 48) - 1 - 616, 999 * 10**9 + 999]
)
def test_v1model_divides_by_a_thousand_exactly(microseconds: int) -> None:
    text = printer().value(Now())
    assert text == "(bit<64>)(((bit<128>)standard.ingress_global_timestamp * 1152921504606847) >> 60)"
    assert microseconds * 1152921504606847 >> 60 == microseconds // 1000


def test_v1model_refuses_a_wider_hash() -> None:
    with pytest.raises(UnprintableError, match="v1model cannot say it: a hash of 33 bits"):
        printer().value(Hash(inputs=(meta("mtu"),), width_bits=33))


def test_pna_hashes_and_draws_by_instances() -> None:
    expressions = printer("PNA")
    assert expressions.value(Hash(inputs=(meta("mtu"),), width_bits=14)) == "hashed.get_hash({ meta.mtu })"
    assert expressions.value(Random(width_bits=8)) == "drawn.read()"
    assert expressions.instances == {
        "hashed": "Hash<bit<14>>(PNA_HashAlgorithm_t.TARGET_DEFAULT) hashed;",
        "drawn": "Random<bit<8>>(8w0, 8w255) drawn;",
    }


def test_pna_has_no_milliseconds() -> None:
    with pytest.raises(UnprintableError, match="leaves the unit of its timestamp to the target"):
        printer("PNA").value(Now())


def test_a_peek_stands_in_the_parser_alone() -> None:
    with pytest.raises(InternalError, match="outside of the parser"):
        printer().value(Peek(offset_bits=0, width_bits=8))


def test_parameters_are_those_of_the_action() -> None:
    expressions = v1model.program(portable_pipeline()).expression_printer(
        identifiers(portable_pipeline()).top.copy(), "via"
    )
    assert expressions.value(param("nexthop", 16)) == "nexthop"
