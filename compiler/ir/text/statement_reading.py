"""Reads statements; the first word says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from compiler.ir.expressions import Expr, FieldRef, MetaRef, ParamRef
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Change,
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
    PushedHeader,
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
from compiler.ir.text.expression_reading import ExpressionReader
from compiler.span import Span

REPLICATION_BITS = 16
"""Of the id of a multicast group or of a clone session."""


class StatementReader:
    def __init__(self, expressions: ExpressionReader) -> None:
        self._expressions = expressions
        self._cursor = expressions.cursor

    def read_block(self) -> tuple[Statement, ...]:
        """Statements in braces."""
        self._cursor.take("{")
        found: list[Statement] = []
        with self._cursor.nested():
            while not self._cursor.take_if("}"):
                found.append(self._statement())
        return tuple(found)

    def _statement(self) -> Statement:
        cursor, span = self._cursor, self._cursor.span()
        if cursor.following.text == ".":
            return self._assign(span)
        read = self._readers.get(cursor.token.text)
        if read is None:
            cursor.expected("a statement")
        cursor.advance()
        return read(self, span)

    def _assign(self, span: Span) -> Assign:
        target = self._expressions.read_field()
        if isinstance(target, ParamRef):
            self._cursor.refuse("a parameter cannot be set", span=span)
        self._cursor.take("=")
        return Assign(target=target, value=self._expressions.read(target.width_bits), span=span)

    def _if(self, span: Span) -> If:
        condition = self._expressions.read(1)
        then = self.read_block()
        otherwise: tuple[Statement, ...] = ()
        if self._cursor.following.text != "." and self._cursor.take_if("else"):
            inner = self._cursor.span()
            with self._cursor.nested():
                otherwise = (self._if(inner),) if self._cursor.take_if("if") else self.read_block()
        return If(condition=condition, then=then, otherwise=otherwise, span=span)

    def _apply(self, span: Span) -> Apply:
        table = self._cursor.name("a table")
        rarely = self._expressions.read(1) if self._cursor.take_if("rarely") else None
        on_hit: tuple[Statement, ...] = ()
        on_miss: tuple[Statement, ...] = ()
        if self._cursor.take_if("{"):
            on_hit = self.read_block() if self._cursor.take_if("hit") else ()
            on_miss = self.read_block() if self._cursor.take_if("miss") else ()
            self._cursor.take("}")
        return Apply(table=table, on_hit=on_hit, on_miss=on_miss, rarely=rarely, span=span)

    def _rewrite(self, span: Span) -> Rewrite:
        self._cursor.take("{")
        changes: list[Change] = []
        while not self._cursor.take_if("}"):
            place = self._cursor.span()
            target = self._expressions.read_field()
            if not isinstance(target, FieldRef):
                self._cursor.refuse("only fields of headers can be rewritten", span=place)
            self._cursor.take("=")
            changes.append(Change(target=target, value=self._expressions.read(target.width_bits)))
        return Rewrite(changes=tuple(changes), span=span)

    def _push(self, span: Span) -> Push:
        self._cursor.take("{")
        pushed: list[PushedHeader] = []
        while not self._cursor.take_if("}"):
            pushed.append(self._pushed())
        return Push(headers=tuple(pushed), span=span)

    def _begins(self, word: str) -> bool:
        """Take the word if a block follows it; it may be a header's name otherwise."""
        return self._cursor.following.text == "{" and self._cursor.take_if(word)

    def _pushed(self) -> PushedHeader:
        header = self._cursor.name("a header")
        return PushedHeader(header=header, values=self._values(self._expressions.fields.get(header, {})))

    def _values(self, widths: Mapping[str, int]) -> tuple[tuple[str, Expr], ...]:
        """Fields and what they get, in braces."""
        self._cursor.take("{")
        values: list[tuple[str, Expr]] = []
        while not self._cursor.take_if("}"):
            name = self._cursor.name("a field")
            self._cursor.take("=")
            values.append((name, self._expressions.read(widths.get(name))))
        return tuple(values)

    def _truncate(self, span: Span) -> Truncate:
        header = self._cursor.name("a header")
        return Truncate(header=header, keep_bytes=self._cursor.number("a number of bytes"), span=span)

    def _learn(self, span: Span) -> Learn:
        table, action = self._cursor.name("a table"), self._cursor.name("an action")
        arguments = self._expressions.read_list()
        self._cursor.take("profile")
        profile = self._expressions.read()
        counted = self._cursor.take_if("counted")
        on_full = self.read_block() if self._begins("full") else ()
        return Learn(
            table=table,
            action=action,
            arguments=arguments,
            profile=profile,
            on_full=on_full,
            counted=counted,
            span=span,
        )

    def _seek(self, span: Span) -> Seek:
        table, target = self._cursor.name("a table"), self._into()
        self._cursor.take("from")
        first = self._cursor.number("the least value")
        self._cursor.take("tries")
        tries = self._cursor.number("a number of tries")
        on_other = self.read_block() if self._begins("other") else ()
        on_none = self.read_block() if self._begins("none") else ()
        return Seek(table=table, target=target, first=first, tries=tries, on_other=on_other, on_none=on_none, span=span)

    def _digest(self, span: Span) -> SendDigest:
        name = self._cursor.name("a digest")
        widths = self._expressions.digests.get(name, {})
        return SendDigest(digest=name, values=self._values(widths), span=span)

    def _punt(self, span: Span) -> Punt:
        self._cursor.take("full")
        full = self._cursor.name("a drop reason")
        return Punt(values=self._values(self._expressions.packet_in), full=full, span=span)

    def _multicast(self, span: Span) -> Multicast:
        group = self._expressions.read(REPLICATION_BITS)
        not_back = self._cursor.take_if("not_back")
        self._cursor.take("unknown")
        unknown = self._cursor.name("a drop reason")
        return Multicast(group=group, unknown=unknown, values=self._said(), not_back=not_back, span=span)

    def _clone(self, span: Span) -> Clone:
        session = self._expressions.read(REPLICATION_BITS)
        return Clone(session=session, values=self._said(), span=span)

    def _said(self) -> tuple[tuple[str, Expr], ...]:
        """What copies say to controllers, if anything follows."""
        return self._values(self._expressions.packet_in) if self._cursor.token.text == "{" else ()

    def _count(self, span: Span) -> Count:
        counter = self._cursor.name("a counter")
        return Count(counter=counter, index=self._expressions.read(), span=span)

    def _execute(self, span: Span) -> Execute:
        meter, index = self._cursor.name("a meter"), self._expressions.read()
        return Execute(meter=meter, index=index, target=self._into(), span=span)

    def _into(self) -> MetaRef:
        """The metadata that gets a value."""
        self._cursor.take("into")
        place = self._cursor.span()
        target = self._expressions.read_field()
        if not isinstance(target, MetaRef):
            self._cursor.refuse("a value goes into metadata", span=place)
        return target

    _readers: ClassVar[Mapping[str, Callable[[Any, Span], Statement]]] = {
        "if": _if,
        "apply": _apply,
        "run": lambda self, span: Run(control=self._cursor.name("a control"), span=span),
        "rewrite": _rewrite,
        "push": _push,
        "pop": lambda self, span: Pop(headers=self._cursor.names(), span=span),
        "push_vlan": lambda self, span: PushVlan(vlan_id=self._expressions.read(), span=span),
        "pop_vlan": lambda _, span: PopVlan(span=span),
        "truncate": _truncate,
        "learn": _learn,
        "renew": lambda self, span: replace(self._learn(span), renews=True),
        "seek": _seek,
        "advance": lambda self, span: Advance(event=self._cursor.name("an event"), span=span),
        "count": _count,
        "execute": _execute,
        "execute_direct": lambda self, span: ExecuteDirect(target=self._into(), span=span),
        "forward": lambda self, span: Forward(port=self._expressions.read(), span=span),
        "reply": lambda _, span: Reply(span=span),
        "to_kernel": lambda _, span: ToKernel(span=span),
        "punt": _punt,
        "multicast": _multicast,
        "clone": _clone,
        "digest": _digest,
        "drop": lambda self, span: Drop(reason=self._cursor.name("a drop reason"), span=span),
    }
    """By the first word. They refer to no reader: one that has read is freed at once, and all its tokens."""
