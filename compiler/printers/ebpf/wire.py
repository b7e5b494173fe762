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
    """The statement that sets a field; one that shares bytes with others leaves those as they are."""
    place = plus(pointer, offset_bits // 8)
    if offset_bits % 8 == 0 and width in _SPANS:
        return f"write_u{width}({place}, {passed(value, width)});"
    first = offset_bits // 8 * 8
    span = _span(offset_bits + width - first)
    right = first + span - offset_bits - width
    if span > WORD_BITS:
        raise InternalError(f"the eBPF target sets no {width} bits at bit {offset_bits}")
    others = number((1 << span) - 1 ^ ((1 << width) - 1 << right), span)
    shifted = f"{atom(value)} << {right}" if right else atom(value)
    return f"write_u{span}({place}, (read_u{span}({place}) & {others}) | {shifted});"


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


def side_by_side(items: Sequence[tuple[int, Expr | str]]) -> tuple[str, ...]:
    """Fields of (width, value) one after the other, in words of 64 bits, the first field in the highest bits.

    A value is an expression, or the C of a number of at most 64 bits.
    """
    total = sum(width for width, _ in items)
    found: list[list[str]] = [[] for _ in range(-(-total // WORD_BITS))]
    constants = [0] * len(found)
    at = 0
    for width, value in items:
        if width > WORD_BITS:
            raise InternalError("the eBPF target pushes fields of 64 bits at most")
        left = width
        while left:
            place, used = divmod(at, WORD_BITS)
            take = min(left, WORD_BITS - used)
            shift = WORD_BITS - used - take
            if isinstance(value, Const):
                constants[place] |= (value.value >> (left - take) & (1 << take) - 1) << shift
            else:
                found[place].append(_placed(value if isinstance(value, str) else c(value), left - take, shift))
            left, at = left - take, at + take
    return tuple(" | ".join([*texts, *_constant(known, texts)]) for texts, known in zip(found, constants, strict=True))


def _placed(text: str, low: int, shift: int) -> str:
    """The bits of a number from `low` on, at their place in a word; what is above the word falls off."""
    shifted = f"(u64){atom(text)}" if not low else f"((u64){atom(text)} >> {low})"
    return f"{shifted} << {shift}" if shift else shifted


def _constant(value: int, others: Sequence[str]) -> tuple[str, ...]:
    return (number(value, WORD_BITS),) if value or not others else ()


def sum_of_header(header: HeaderType, values: Mapping[str, Expr]) -> str:
    """The sum of a header's 16-bit words, told from its values; fields without a value are 0."""
    known, at = 0, 0
    found: list[str] = []
    for field in header.fields:
        width, value = field.width_bits, values.get(field.name)
        shift = WORD - at % WORD - width if at % WORD + width <= WORD else 0
        if isinstance(value, Const):
            known += _sum_of_words(value.value << shift)
        elif value is not None:
            if at % WORD + width > WORD and (at % WORD or width != 2 * WORD):
                raise InternalError(f"a checksum cannot be told from {width} bits at bit {at}")
            found.append(f"((u64){atom(c(value))} << {shift})" if shift else c(value))
        at += width
    # The first number is wide, so that no carry is lost.
    return " + ".join([f"{known:#x}ull", *found])


def _sum_of_words(value: int) -> int:
    total = 0
    while value:
        total, value = total + (value & 0xFFFF), value >> WORD
    return total


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
