"""Reads stores, actions, tables and controls; the keyword has been taken."""

from __future__ import annotations

from compiler.ir.nodes import Control, Heat
from compiler.ir.tables import (
    Action,
    ActionRef,
    Fewest,
    Key,
    MatchKind,
    Param,
    Profile,
    Reference,
    Selector,
    Store,
    Table,
    Transition,
    Turns,
)
from compiler.ir.text.declaration_reading import DeclarationReader
from compiler.ir.text.entry_text import read_arguments, read_entries
from compiler.ir.text.expression_reading import ExpressionReader
from compiler.ir.text.statement_reading import StatementReader
from compiler.span import Span

_MATCH_KINDS = {kind.value: kind for kind in MatchKind}


class TableReader:
    def __init__(self, expressions: ExpressionReader, statements: StatementReader) -> None:
        self._expressions = expressions
        self._statements = statements
        self._declarations = DeclarationReader(expressions)
        self._cursor = expressions.cursor

    def store(self, doc: str) -> Store:
        cursor = self._cursor
        name = cursor.name("a store")
        cursor.take("{")
        cursor.take("size")
        size = cursor.number("a number of slots")
        cursor.take("ways")
        ways = cursor.number("a number of ways")
        profiles: list[Profile] = []
        while cursor.take_if("profile"):
            profiles.append(self._profile())
        events = cursor.names() if cursor.take_if("events") else ()
        transitions: list[Transition] = []
        while cursor.take_if("on"):
            transitions.append(self._transition())
        cursor.take("}")
        return Store(
            name=name,
            size=size,
            ways=ways,
            profiles=tuple(profiles),
            events=events,
            transitions=tuple(transitions),
            doc=doc,
        )

    def _transition(self) -> Transition:
        """`current event [beside other] -> next[, other_next]`."""
        cursor = self._cursor
        current, event = cursor.name("a profile"), cursor.name("an event")
        other = cursor.name("a profile") if cursor.take_if("beside") else ""
        cursor.take("->")
        following = cursor.name("a profile")
        other_next = cursor.name("a profile") if cursor.take_if(",") else ""
        return Transition(current=current, event=event, next=following, other=other, other_next=other_next)

    def action(self, doc: str, span: Span) -> Action:
        cursor = self._cursor
        number = cursor.number("an id")
        name = cursor.name("an action")
        params: list[Param] = []
        cursor.take("(")
        while not cursor.take_if(")"):
            if params:
                cursor.take(",")
            params.append(self._param())
        restriction = cursor.string("a restriction") if cursor.take_if("restriction") else ""
        self._expressions.params = {param.name: param.width_bits for param in params}
        body = self._statements.read_block()
        self._expressions.params = {}
        return Action(
            name=name, id=number, params=tuple(params), body=body, restriction=restriction, doc=doc, span=span
        )

    def control(self, doc: str, span: Span, *, heat: Heat) -> Control:
        name = self._cursor.name("a control")
        tables: list[str] = []
        if self._cursor.take_if("idle_without"):
            tables.append(self._cursor.name("a table"))
            while self._cursor.take_if(","):
                tables.append(self._cursor.name("a table"))
        body = self._statements.read_block()
        return Control(
            name=name,
            body=body,
            heat=heat,
            idle_without=tuple(tables),
            doc=doc,
            span=span,
        )

    def table(self, doc: str, span: Span) -> Table:
        cursor = self._cursor
        number = cursor.number("an id")
        name = cursor.name("a table")
        cursor.take("{")
        keys: list[Key] = []
        while cursor.take_if("key"):
            keys.append(self._key())
        actions: list[ActionRef] = []
        while cursor.take_if("action"):
            actions.append(self._action_ref())
        cursor.take("default")
        default = cursor.name("an action")
        default_arguments = read_arguments(cursor)
        is_modifiable = cursor.take_if("modifiable")
        cursor.take("size")
        size = cursor.number("a number of entries")
        counter_id = cursor.number("an id") if cursor.take_if("counter") else None
        meter = self._declarations.direct_meter() if cursor.take_if("meter") else None
        idle_timeout = cursor.take_if("idle_timeout")
        selector = self._selector() if cursor.take_if("selector") else None
        store = cursor.name("a store") if cursor.take_if("store") else None
        restriction = cursor.string("a restriction") if cursor.take_if("restriction") else ""
        all_const = cursor.take_if("const")
        has_entries = cursor.is_at("entries") or all_const
        if has_entries:
            cursor.take("entries")
        entries = read_entries(cursor, tuple(keys), all_const=all_const) if has_entries else ()
        cursor.take("}")
        return Table(
            name=name,
            id=number,
            keys=tuple(keys),
            actions=tuple(actions),
            default_action=default,
            size=size,
            counter_id=counter_id,
            meter=meter,
            idle_timeout=idle_timeout,
            selector=selector,
            store=store,
            default_arguments=default_arguments,
            has_const_default=not is_modifiable,
            entries=entries,
            has_const_entries=all_const,
            restriction=restriction,
            doc=doc,
            span=span,
        )

    def _profile(self) -> Profile:
        cursor = self._cursor
        number = cursor.number("an id")
        name = cursor.name("a profile")
        cursor.take(":")
        cursor.take("timeout_ms")
        timeout_ms = cursor.number("milliseconds")
        cursor.take("rank")
        rank = cursor.number("a rank")
        return Profile(name=name, id=number, timeout_ms=timeout_ms, rank=rank, is_over=cursor.take_if("over"))

    def _param(self) -> Param:
        number = self._cursor.number("an id")
        name = self._cursor.name("a parameter")
        self._cursor.take(":")
        width = self._cursor.number("a width")
        form, type_name, references = self._format(), self._declarations.type_name(), self._references()
        return Param(name=name, id=number, width_bits=width, format=form, type=type_name, refers_to=references)

    def _format(self) -> str:
        return self._cursor.name("a format") if self._cursor.take_if("as") else ""

    def _key(self) -> Key:
        cursor = self._cursor
        number = cursor.number("an id")
        name = cursor.name("a key")
        cursor.take(":")
        span, kind = cursor.span(), cursor.name("how it matches")
        if kind not in _MATCH_KINDS:
            cursor.refuse_unknown("match kind", kind, _MATCH_KINDS, span)
        cursor.take("(")
        expr = self._expressions.read()
        cursor.take(")")
        return Key(
            name=name,
            id=number,
            expr=expr,
            match=_MATCH_KINDS[kind],
            format=self._format(),
            type=self._declarations.type_name(),
            refers_to=self._references(),
        )

    def _references(self) -> tuple[Reference, ...]:
        """`refers_to(table, field)`, any number of times; what is in no table has a name with `::`."""
        cursor = self._cursor
        found: list[Reference] = []
        while cursor.take_if("refers_to"):
            cursor.take("(")
            table = cursor.name("a table")
            while cursor.take_if(":"):
                cursor.take(":")
                table += f"::{cursor.name('a table')}"
            cursor.take(",")
            found.append(Reference(table=table, field=cursor.name("a key")))
            cursor.take(")")
        return tuple(found)

    def _action_ref(self) -> ActionRef:
        name = self._cursor.name("an action")
        in_entries = self._cursor.take_if("in_entries")
        return ActionRef(name=name, in_entries=in_entries, as_default=self._cursor.take_if("as_default"))

    def _selector(self) -> Selector:
        cursor = self._cursor
        number = cursor.number("an id")
        name = cursor.name("a selector")
        cursor.take("size")
        size = cursor.number("a number of members")
        cursor.take("max_group_size")
        max_group_size = cursor.number("a number of members")
        cursor.take("hash")
        inputs = self._expressions.read_list()
        turns = self._turns() if cursor.take_if("turns") else None
        fewest = self._fewest() if cursor.take_if("fewest") else None
        return Selector(
            name=name,
            id=number,
            size=size,
            max_group_size=max_group_size,
            inputs=inputs,
            turns=turns,
            fewest=fewest,
        )

    def _fewest(self) -> Fewest:
        store = self._cursor.name("a store")
        self._cursor.take("if")
        return Fewest(asked=self._expressions.read(1), store=store)

    def _turns(self) -> Turns:
        cursor = self._cursor
        cell = self._expressions.read()
        cursor.take("if")
        return Turns(asked=self._expressions.read(1), cell=cell)
