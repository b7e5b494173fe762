"""Fields on the wire as C: reading them behind a pointer to their header, writing them, summing what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.ir.expressions import Const, Expr
from compiler.ir.headers import HeaderType
from compiler.printers.ebpf.expressions import WORD_BITS, atom, c, number, passed
from compiler.span import InternalError

WORD = 16
_SPANS = (8, 16, 24, 32, 48, 64, 128)


def read_into(target: str, pointer: str, offset_bits: int, width: int) -> str:
    """The statement that reads a field into a variable."""
    if width > WORD_BITS:
        return f"read_u{width}(&{target}, {plus(pointer, offset_bits // 8)});"
    return f"{target} = {read(pointer, offset_bits, width)};"


def read(pointer: str, offset_bits: int, width: int) -> str:
    """The field at an offset from the pointer."""
    first = offset_bits // 8 * 8
    span = _span(offset_bits + width - first)
    text = f"read_u{span}({plus(pointer, first // 8)})"
    right = first + span - offset_bits - width
    if right:
        text = f"{text} >> {right}"
    if offset_bits > first:
        text = f"{atom(text)} & {number((1 << width) - 1, width)}"
    return text


def _span(bits: int) -> int:
    found = next((span for span in _SPANS if bits <= span), 0)
    if not found:
        raise InternalError(f"a field that reaches over {bits} bits cannot be read at once")
    return found


def plus(pointer: str, count: int) -> str:
    return f"{pointer} + {count}" if count else pointer


def write(pointer: str, offset_bits: int, width: int, value: str) -> str:
    """The statement that sets a field of whole bytes."""
    if offset_bits % 8 or width not in _SPANS:
        raise InternalError(f"the eBPF target sets fields of whole bytes, not {width} bits at bit {offset_bits}")
    return f"write_u{width}({plus(pointer, offset_bits // 8)}, {passed(value, width)});"


def changed(offset_bits: int, width: int, old: str, new: str) -> str:
    """What the change of a field adds to the sum of its 16-bit words."""
    place = offset_bits % WORD
    if place + width <= WORD:
        shift = WORD - place - width
        if shift:
            old, new = f"{atom(old)} << {shift}", f"{atom(new)} << {shift}"
        return f"changed_u16({old}, {new})"
    if place or width not in _SPANS or width % WORD:
        raise InternalError(f"a checksum cannot follow {width} bits at bit {offset_bits}")
    return f"changed_u{width}({passed(old, width)}, {passed(new, width)})"


def write_header(pointer: str, at: int, header: HeaderType, values: Mapping[str, Expr]) -> tuple[str, ...]:
    """Statements that write a whole header at byte `at`; fields without a value are 0."""
    lines: list[str] = []
    group: list[tuple[int, Expr]] = []
    start, width = 8 * at, 0
    for field in header.fields:
        value = values.get(field.name, Const(value=0, width_bits=field.width_bits))
        group.append((field.width_bits, value))
        width += field.width_bits
        if width % 8 == 0:
            lines.append(write(pointer, start, width, _joined(group, width)))
            start, width = start + width, 0
            group.clear()
    return tuple(lines)


def _joined(group: Sequence[tuple[int, Expr]], width: int) -> str:
    """Fields side by side; constants are put together."""
    constant, found = 0, list[str]()
    left = width
    for field_width, value in group:
        left -= field_width
        if isinstance(value, Const):
            constant |= value.value << left
        else:
            found.append(f"{atom(c(value))} << {left}" if left else c(value))
    if constant or not found:
        found.append(number(constant, width))
    return " | ".join(found)
