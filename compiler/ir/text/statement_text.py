"""Statements as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from compiler.ir.expressions import Expr
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Clone,
    Count,
    Drop,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Multicast,
    Pop,
    PopVlan,
    Punt,
    Push,
    PushVlan,
    Reply,
    Rewrite,
    Run,
    Seek,
    SendDigest,
    Statement,
    ToKernel,
    Truncate,
)
from compiler.ir.text.expression_text import expression_text, list_text

INDENT = "  "
MAX_LINE = 110


def block_lines(statements: Iterable[Statement]) -> Iterator[str]:
    """The lines of a block's inside, one level in."""
    for statement in statements:
        for line in statement_lines(statement):
            yield INDENT + line


def inside_lines(opening: str, inside: list[str]) -> Iterator[str]:
    """`opening { inside }`, on one line where it fits."""
    line = f"{opening} {{ {'  '.join(inside)} }}" if inside else f"{opening} {{ }}"
    if len(line) <= MAX_LINE:
        yield line
        return
    yield f"{opening} {{"
    yield from (INDENT + part for part in inside)
    yield "}"


def statement_lines(statement: Statement) -> Iterator[str]:
    match statement:
        case If():
            yield from _if_lines(statement, "if")
        case Apply():
            yield from _apply_lines(statement)
        case Rewrite(changes=changes):
            texts = [f"{expression_text(c.target)} = {expression_text(c.value, c.target.width_bits)}" for c in changes]
            yield from inside_lines("rewrite", texts)
        case Push():
            yield "push {"
            yield from (INDENT + line for line in _push_lines(statement))
            yield "}"
        case Learn(table=table, action=action, arguments=arguments, profile=profile, on_full=on_full):
            word, counted = "renew" if statement.renews else "learn", " counted" if statement.counted else ""
            line = f"{word} {table} {action}({list_text(arguments)}) profile {expression_text(profile)}{counted}"
            if not on_full:
                yield line
                return
            yield f"{line} full {{"
            yield from block_lines(on_full)
            yield "}"
        case Seek(table=table, target=target, first=first, tries=tries):
            line = f"seek {table} into {expression_text(target)} from {first} tries {tries}"
            for word, body in (("other", statement.on_other), ("none", statement.on_none)):
                if body:
                    yield f"{line} {word} {{"
                    yield from block_lines(body)
                    line = "}"
            yield line
        case SendDigest(digest=digest, values=values):
            yield from inside_lines(f"digest {digest}", _value_texts(values))
        case Punt(values=values, full=full):
            yield from inside_lines(f"punt full {full}", _value_texts(values))
        case Multicast(group=group, unknown=unknown, values=values, not_back=not_back):
            opening = f"multicast {expression_text(group)}{' not_back' if not_back else ''} unknown {unknown}"
            yield from inside_lines(opening, _value_texts(values)) if values else (opening,)
        case Clone(session=session, values=values):
            opening = f"clone {expression_text(session)}"
            yield from inside_lines(opening, _value_texts(values)) if values else (opening,)
        case _:
            yield _line(statement)


def _value_texts(values: tuple[tuple[str, Expr], ...]) -> list[str]:
    return [f"{name} = {expression_text(value)}" for name, value in values]


def _if_lines(statement: If, keyword: str) -> Iterator[str]:
    yield f"{keyword} {expression_text(statement.condition, 1)} {{"
    yield from block_lines(statement.then)
    match statement.otherwise:
        case ():
            yield "}"
        case (If() as other,):
            yield from _if_lines(other, "} else if")
        case _:
            yield "} else {"
            yield from block_lines(statement.otherwise)
            yield "}"


def _apply_lines(statement: Apply) -> Iterator[str]:
    line = f"apply {statement.table}"
    if statement.rarely is not None:
        line += f" rarely {expression_text(statement.rarely)}"
    if not statement.on_hit and not statement.on_miss:
        yield line
        return
    yield f"{line} {{"
    for keyword, statements in (("hit", statement.on_hit), ("miss", statement.on_miss)):
        if statements:
            yield f"{INDENT}{keyword} {{"
            yield from (INDENT + line for line in block_lines(statements))
            yield f"{INDENT}}}"
    yield "}"


def _push_lines(statement: Push) -> Iterator[str]:
    for pushed in statement.headers:
        texts = [f"{name} = {expression_text(value)}" for name, value in pushed.values]
        yield from inside_lines(pushed.header, texts)


def _line(
    statement: Assign
    | Run
    | Pop
    | PushVlan
    | PopVlan
    | Truncate
    | Advance
    | Count
    | Execute
    | ExecuteDirect
    | Forward
    | Reply
    | ToKernel
    | Drop,
) -> str:
    match statement:
        case Assign(target=target, value=value):
            return f"{expression_text(target)} = {expression_text(value, target.width_bits)}"
        case Run(control=control):
            return f"run {control}"
        case Pop(headers=headers):
            return f"pop {', '.join(headers)}"
        case PushVlan(vlan_id=vlan_id):
            return f"push_vlan {expression_text(vlan_id)}"
        case PopVlan():
            return "pop_vlan"
        case Truncate(header=header, keep_bytes=keep_bytes):
            return f"truncate {header} {keep_bytes}"
        case Advance(event=event):
            return f"advance {event}"
        case Count(counter=counter, index=index):
            return f"count {counter} {expression_text(index)}"
        case Execute(meter=meter, index=index, target=target):
            return f"execute {meter} {expression_text(index)} into {expression_text(target)}"
        case ExecuteDirect(target=target):
            return f"execute_direct into {expression_text(target)}"
        case Forward(port=port):
            return f"forward {expression_text(port)}"
        case Reply():
            return "reply"
        case ToKernel():
            return "to_kernel"
        case Drop(reason=reason):
            return f"drop {reason}"
        case _:
            assert_never(statement)
