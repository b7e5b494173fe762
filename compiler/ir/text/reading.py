"""Reads pipelines: declarations in any order, but each before what uses its widths (`to_text` prints them so)."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.ir.controller import PACKET_IN, PACKET_OUT, ControllerHeader, Digest
from compiler.ir.headers import Field, Header, HeaderType, State
from compiler.ir.nodes import Control, DropReason, Heat, Pipeline
from compiler.ir.tables import Action, Counter, Meter, Store, Table
from compiler.ir.text.declaration_reading import DeclarationReader
from compiler.ir.text.expression_reading import ExpressionReader
from compiler.ir.text.statement_reading import StatementReader
from compiler.ir.text.table_reading import TableReader
from compiler.ir.text.tokens import Cursor, TokenKind
from compiler.ir.translation import TranslatedType
from compiler.span import Span

_PARTS = (
    *("header_type", "header", "metadata", "state", "store", "action", "table", "counter", "drop_reason"),
    *("meter", "control", *filter(None, Heat), PACKET_IN, PACKET_OUT, "digest", "type"),
)


def from_text(text: str, *, path: str = "<pipeline>") -> Pipeline:
    """The pipeline of a text; spans name `path`. It is not verified. Raises `TextError` at the first mistake."""
    return _PipelineReader(Cursor(text, path)).read()


@dataclass(slots=True)
class _Parts:
    """What has been read so far."""

    header_types: list[HeaderType] = field(default_factory=lambda: [])
    headers: list[Header] = field(default_factory=lambda: [])
    metadata: list[Field] = field(default_factory=lambda: [])
    parser: list[State] = field(default_factory=lambda: [])
    stores: list[Store] = field(default_factory=lambda: [])
    actions: list[Action] = field(default_factory=lambda: [])
    tables: list[Table] = field(default_factory=lambda: [])
    counters: list[Counter] = field(default_factory=lambda: [])
    meters: list[Meter] = field(default_factory=lambda: [])
    drop_reasons: list[DropReason] = field(default_factory=lambda: [])
    controls: list[Control] = field(default_factory=lambda: [])
    digests: list[Digest] = field(default_factory=lambda: [])
    types: list[TranslatedType] = field(default_factory=lambda: [])
    packet_in: ControllerHeader | None = None
    packet_out: ControllerHeader | None = None


class _PipelineReader:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._expressions = ExpressionReader(cursor)
        statements = StatementReader(self._expressions)
        self._declarations = DeclarationReader(self._expressions)
        self._tables = TableReader(self._expressions, statements)
        self._parts = _Parts()

    def read(self) -> Pipeline:
        cursor = self._cursor
        doc = cursor.doc()
        cursor.take("pipeline")
        name = self._cursor.string("the pipeline's name")
        cursor.take("version")
        version = self._cursor.string("the pipeline's version")
        cursor.take("main")
        main = cursor.name("the main control")
        cursor.take("drops")
        drop_counter = cursor.name("the counter of drops")
        while cursor.token.kind is not TokenKind.END:
            self._read_part()
        parts = self._parts
        return Pipeline(
            name=name,
            version=version,
            header_types=tuple(parts.header_types),
            headers=tuple(parts.headers),
            metadata=tuple(parts.metadata),
            parser=tuple(parts.parser),
            actions=tuple(parts.actions),
            stores=tuple(parts.stores),
            tables=tuple(parts.tables),
            counters=tuple(parts.counters),
            drop_counter=drop_counter,
            drop_reasons=tuple(parts.drop_reasons),
            controls=tuple(parts.controls),
            main=main,
            meters=tuple(parts.meters),
            packet_in=parts.packet_in,
            packet_out=parts.packet_out,
            digests=tuple(parts.digests),
            types=tuple(parts.types),
            doc=doc,
        )

    def _read_part(self) -> None:
        cursor, parts = self._cursor, self._parts
        has_doc = cursor.token.kind is TokenKind.DOC
        doc, span = cursor.doc(), cursor.span()
        if has_doc and any(cursor.is_at(word) for word in ("header", "metadata", "type")):
            cursor.refuse(f"a {cursor.token.text} has no doc comment")
        heat = next((heat for heat in Heat if heat and cursor.take_if(heat)), Heat.COLD)
        if heat and not cursor.is_at("control"):
            cursor.expected("'control'")
        word = cursor.token.text
        if cursor.token.kind is not TokenKind.NAME or word not in _PARTS:
            cursor.expected(f"one of {', '.join(_PARTS)}")
        cursor.advance()
        match word:
            case "header_type":
                parts.header_types.append(self._declarations.header_type(doc))
            case "header":
                parts.headers.append(self._header(span))
            case "metadata":
                self._metadata()
            case "state":
                parts.parser.append(self._declarations.state(doc, span))
            case "store":
                parts.stores.append(self._tables.store(doc))
            case "action":
                parts.actions.append(self._tables.action(doc, span))
            case "table":
                parts.tables.append(self._tables.table(doc, span))
            case "counter":
                parts.counters.append(self._declarations.counter(doc))
            case "meter":
                parts.meters.append(self._declarations.meter(doc))
            case "digest":
                digest = self._declarations.digest(doc)
                self._expressions.digests[digest.name] = {f.name: f.width_bits for f in digest.fields}
                parts.digests.append(digest)
            case "type":
                parts.types.append(self._declarations.translated_type())
            case "packet_in":
                parts.packet_in = self._controller_header(PACKET_IN, parts.packet_in, doc, span)
                self._expressions.packet_in = {f.name: f.width_bits for f in parts.packet_in.fields}
            case "packet_out":
                parts.packet_out = self._controller_header(PACKET_OUT, parts.packet_out, doc, span)
            case "drop_reason":
                parts.drop_reasons.append(self._declarations.drop_reason(doc))
            case _:
                parts.controls.append(self._tables.control(doc, span, heat=heat))

    def _header(self, span: Span) -> Header:
        """A header, whose fields can be read from now on."""
        header = self._declarations.header()
        types = {header_type.name: header_type for header_type in self._parts.header_types}
        if header.type not in types:
            self._cursor.refuse_unknown("header type", header.type, types, span)
        self._expressions.fields[header.name] = {f.name: f.width_bits for f in types[header.type].fields}
        return header

    def _controller_header(
        self, keyword: str, before: ControllerHeader | None, doc: str, span: Span
    ) -> ControllerHeader:
        if before is not None:
            self._cursor.refuse(f"the pipeline has a {keyword} already", span=span)
        return self._declarations.controller_header(doc)

    def _metadata(self) -> None:
        found = self._declarations.fields_in_braces()
        self._parts.metadata += found
        self._expressions.metadata.update({f.name: f.width_bits for f in found})
