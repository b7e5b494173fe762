"""What a pipeline does with its headers, so that the C keeps only what somebody reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.ir.expressions import Expr, FieldRef, NetworkLength
from compiler.ir.headers import ACCEPT, Coverage, Field, HeaderType, State
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, Assign, Learn, PopVlan, Push, PushVlan, Rewrite, Seek, Statement, Truncate
from compiler.ir.walking import all_statements, expressions, read_by
from compiler.span import InternalError

VLAN, ETHERNET = "vlan", "ethernet"
LENGTH_FIELDS = {"ipv4": "total_length", "ipv6": "payload_length", "tcp": "data_offset"}
"""What `NetworkLength` reads."""
IP = ("ipv4", "ipv6")
"""Whose lengths say how much a CRC32c covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """`kept` are (header, field) pairs that the parser keeps; `positioned` the headers whose position is kept.

    `together` are the sets of headers that one parsed packet can have; `applied` and `sought` the tables that an Apply
    or a Seek asks, `learned` those that a Learn adds to, `renewed` those that one renews.
    """

    names: Names
    kept: frozenset[tuple[str, str]]
    positioned: frozenset[str]
    together: tuple[frozenset[str], ...]
    applied: frozenset[str]
    sought: frozenset[str]
    learned: frozenset[str]
    renewed: frozenset[str]

    def may_be_together(self, header: str, others: frozenset[str]) -> bool:
        """Whether a parsed packet can have the header besides all of the others."""
        return any(header in found and others <= found for found in self.together)

    def header_type(self, header: str) -> HeaderType:
        return self.names.header_types[header]

    def field(self, header: str, name: str) -> tuple[Field, int]:
        """A field and its offset in bits."""
        at = 0
        for field in self.header_type(header).fields:
            if field.name == name:
                return field, at
            at += field.width_bits
        raise InternalError(f"header {header} has no field {name}")

    def size(self, header: str) -> int:
        """Bytes of a header."""
        return self.header_type(header).width_bits // 8


def usage(pipeline: Pipeline) -> Usage:
    names = Names(pipeline)
    body = tuple(all_statements(pipeline))
    return Usage(
        names=names,
        kept=frozenset(_kept(pipeline, names, body)),
        positioned=frozenset(_positioned(names, body)),
        together=tuple(dict.fromkeys(frozenset(path) for path in _paths(names, pipeline.parser[0].name))),
        applied=frozenset(s.table for s in body if isinstance(s, Apply)),
        sought=frozenset(s.table for s in body if isinstance(s, Seek)),
        learned=frozenset(s.table for s in body if isinstance(s, Learn) and not s.renews),
        renewed=frozenset(s.table for s in body if isinstance(s, Learn) and s.renews),
    )


def _all_expressions(pipeline: Pipeline, body: tuple[Statement, ...]) -> Iterator[Expr]:
    for statement in body:
        for expr in read_by(statement):
            yield from expressions(expr)
    for table in pipeline.tables:
        for key in table.keys:
            yield from expressions(key.expr)
        for expr in table.selector.exprs if table.selector else ():
            yield from expressions(expr)


def _kept(pipeline: Pipeline, names: Names, body: tuple[Statement, ...]) -> Iterator[tuple[str, str]]:
    lengths = False
    for expr in _all_expressions(pipeline, body):
        lengths |= isinstance(expr, NetworkLength)
        if isinstance(expr, FieldRef):
            yield expr.header, expr.name
    if lengths:
        yield from LENGTH_FIELDS.items()
    for statement in body:
        if isinstance(statement, Rewrite):
            yield from ((change.target.header, change.target.name) for change in statement.changes)
            if any(_has_crc32c(names, change.target.header) for change in statement.changes):
                yield from (item for item in LENGTH_FIELDS.items() if item[0] in IP)
    for state in pipeline.parser:
        for select in state.select:
            for expr in expressions(select):
                if isinstance(expr, FieldRef) and expr.header != state.extract:
                    yield expr.header, expr.name


def _has_crc32c(names: Names, header: str) -> bool:
    checksum = names.header_types[header].checksum
    return checksum is not None and checksum.coverage is Coverage.CRC32C


def _positioned(names: Names, body: tuple[Statement, ...]) -> Iterator[str]:
    for statement in body:
        match statement:
            case Assign(target=FieldRef() as target):
                yield target.header
            case Rewrite(changes=changes):
                for header in (change.target.header for change in changes):
                    yield header
                    yield from names.headers[header].pseudo_of
                    yield from names.headers[header].covered_by
            case Truncate(header=header):
                yield header
            case PopVlan() | PushVlan():
                yield from (ETHERNET, VLAN)
            case Push():
                yield ETHERNET
            case _:
                pass


def _paths(names: Names, state_name: str) -> Iterator[tuple[str, ...]]:
    """The headers of each way through the parser."""
    if state_name == ACCEPT:
        yield ()
        return
    state: State = names.states[state_name]
    own = (state.extract,) if state.extract else ()
    for following in dict.fromkeys((*(case.next for case in state.cases), state.default)):
        for rest in _paths(names, following):
            yield (*own, *rest)
