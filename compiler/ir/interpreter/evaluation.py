"""The value of an expression for one packet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from compiler.ir.expressions import (
    Binary,
    Concat,
    Const,
    Expr,
    Extend,
    FieldRef,
    Hash,
    IsValid,
    MetaRef,
    NetworkLength,
    Not,
    Now,
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
    width_bits,
)
from compiler.ir.hashing import mix64
from compiler.ir.interpreter.packet import Packet
from compiler.span import InternalError

_NOW_MASK = (1 << 64) - 1


@dataclass(slots=True)
class Scope:
    """What expressions read: a packet, its metadata, the arguments of the action that runs, the target's inputs."""

    packet: Packet
    metadata: dict[str, int]
    now_ms: int
    random: Callable[[int], int]
    hash_seed: int
    arguments: Mapping[str, int] = field(default_factory=lambda: {})
    now_ns: int = 0
    """The same moment as `now_ms`, as meters have it."""


def evaluate(expr: Expr, scope: Scope) -> int:
    """0 <= value < 2**width. `Peek` reads at the parser's cursor and may raise `TooShortError`."""
    match expr:
        case Const(value=value):
            return value
        case FieldRef(header=header, name=name):
            return scope.packet.read(header, name)
        case MetaRef(name=name):
            return scope.metadata[name]
        case ParamRef(name=name):
            return scope.arguments[name]
        case Not(operand=operand):
            return evaluate(operand, scope) ^ _mask(width_bits(operand))
        case Binary():
            return _binary(expr, scope)
        case Slice(operand=operand, low=low):
            return evaluate(operand, scope) >> low & _mask(width_bits(expr))
        case Concat(parts=parts):
            value = 0
            for part in parts:
                value = value << width_bits(part) | evaluate(part, scope)
            return value
        case Extend(operand=operand):
            return evaluate(operand, scope)
        case IsValid(header=header):
            return int(scope.packet.is_valid(header))
        case Hash(inputs=inputs, width_bits=width):
            return digest(inputs, scope) & _mask(width)
        case Now():
            return scope.now_ms & _NOW_MASK
        case Random(width_bits=width):
            return scope.random(width) & _mask(width)
        case NetworkLength():
            return _network_length(scope.packet)
        case Peek(offset_bits=offset, width_bits=width):
            return scope.packet.peek(offset, width)
        case _:
            assert_never(expr)


def digest(inputs: tuple[Expr, ...], scope: Scope) -> int:
    """`mix64` over the inputs, all 64 bits."""
    return mix64(scope.hash_seed, [(evaluate(part, scope), width_bits(part)) for part in inputs])


def _mask(width: int) -> int:
    return (1 << width) - 1


def _binary(expr: Binary, scope: Scope) -> int:
    left, right = evaluate(expr.left, scope), evaluate(expr.right, scope)
    mask = _mask(width_bits(expr.left))
    match expr.operator:
        case Operator.ADD:
            return left + right & mask
        case Operator.SUB:
            return left - right & mask
        case Operator.AND:
            return left & right
        case Operator.OR:
            return left | right
        case Operator.XOR:
            return left ^ right
        case Operator.SHL:
            return left << right & mask
        case Operator.SHR:
            return left >> right
        case _:
            return int(_compare(expr.operator, left, right))


def _compare(operator: Operator, left: int, right: int) -> bool:
    match operator:
        case Operator.EQ:
            return left == right
        case Operator.NE:
            return left != right
        case Operator.LT:
            return left < right
        case Operator.LE:
            return left <= right
        case Operator.GT:
            return left > right
        case Operator.GE:
            return left >= right
        case _:
            raise InternalError(f"{operator} is not a comparison")


def _network_length(packet: Packet) -> int:
    is_ipv4 = packet.is_valid("ipv4")
    if packet.segment_bytes and packet.is_valid("tcp"):
        return (20 if is_ipv4 else 40) + 4 * packet.read("tcp", "data_offset") + packet.segment_bytes & 0xFFFF
    if packet.segment_bytes and packet.is_valid("udp"):
        return (20 if is_ipv4 else 40) + 8 + packet.segment_bytes & 0xFFFF
    if packet.segment_bytes and packet.is_valid("sctp"):
        return 0
    if is_ipv4:
        return packet.read("ipv4", "total_length")
    return packet.read("ipv6", "payload_length") + 40 & 0xFFFF


def network_payload(packet: Packet) -> int:
    """Bytes behind the IP header, as that says."""
    if packet.is_valid("ipv4"):
        return packet.read("ipv4", "total_length") - 20 & 0xFFFF
    return packet.read("ipv6", "payload_length")
