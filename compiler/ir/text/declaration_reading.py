"""Reads header types, headers, packet metadata, states, counters and drop reasons; the keyword has been taken."""

from __future__ import annotations

from compiler.ir.controller import ControllerField, ControllerHeader, Digest, DigestField
from compiler.ir.headers import ACCEPT, Case, Checksum, Coverage, Field, Header, HeaderType, Match, State
from compiler.ir.nodes import DropReason
from compiler.ir.tables import Counter, DirectMeter, Meter, MeterType, MeterUnit
from compiler.ir.text.expression_reading import ExpressionReader
from compiler.ir.translation import TranslatedType
from compiler.span import Span

_COVERAGES = {coverage.value: coverage for coverage in Coverage}
_METER_UNITS = {unit.value: unit for unit in MeterUnit}
_METER_TYPES = {kind.value: kind for kind in MeterType}


class DeclarationReader:
    def __init__(self, expressions: ExpressionReader) -> None:
        self._expressions = expressions
        self._cursor = expressions.cursor

    def fields_in_braces(self) -> list[Field]:
        self._cursor.take("{")
        found: list[Field] = []
        while not self._cursor.take_if("}"):
            found.append(self._field())
        return found

    def header_type(self, doc: str) -> HeaderType:
        cursor = self._cursor
        name = cursor.name("a header type")
        cursor.take("{")
        fields: list[Field] = []
        checksum: Checksum | None = None
        pseudo: tuple[str, ...] = ()
        while not cursor.take_if("}"):
            if cursor.following.text == ":":
                fields.append(self._field())
            elif cursor.take_if("checksum"):
                checksum = self._checksum()
            elif cursor.take_if("pseudo"):
                pseudo = cursor.names()
            else:
                cursor.expected("a field, 'checksum' or 'pseudo'")
        return HeaderType(name=name, fields=tuple(fields), checksum=checksum, pseudo_fields=pseudo, doc=doc)

    def header(self) -> Header:
        cursor = self._cursor
        name = cursor.name("a header")
        cursor.take(":")
        header_type = cursor.name("a header type")
        covered_by = cursor.names() if cursor.take_if("covered_by") else ()
        pseudo_of = cursor.names() if cursor.take_if("pseudo_of") else ()
        return Header(name=name, type=header_type, covered_by=covered_by, pseudo_of=pseudo_of)

    def translated_type(self) -> TranslatedType:
        """`name: width [ports] string|width "uri"`."""
        cursor = self._cursor
        name = cursor.name("a type")
        cursor.take(":")
        width = cursor.number("a width")
        is_port = cursor.take_if("ports")
        sdn_bits = None if cursor.take_if("string") else cursor.number("'string' or a width")
        uri = cursor.string("a URI")
        return TranslatedType(name=name, width_bits=width, sdn_bits=sdn_bits, uri=uri, is_port=is_port)

    def type_name(self) -> str:
        """Behind a key, a parameter or a field; "" without one."""
        return self._cursor.name("a type") if self._cursor.take_if("type") else ""

    def digest(self, doc: str) -> Digest:
        number = self._cursor.number("an id")
        name = self._cursor.name("a digest")
        self._cursor.take("{")
        fields: list[DigestField] = []
        while not self._cursor.take_if("}"):
            field = self._field()
            fields.append(DigestField(name=field.name, width_bits=field.width_bits, type=self.type_name()))
        return Digest(name=name, id=number, fields=tuple(fields), doc=doc)

    def controller_header(self, doc: str) -> ControllerHeader:
        """The metadata of packet-ins or packet-outs."""
        number = self._cursor.number("an id")
        self._cursor.take("{")
        fields: list[ControllerField] = []
        while not self._cursor.take_if("}"):
            field_id = self._cursor.number("a field's id")
            field = self._field()
            made = ControllerField(name=field.name, id=field_id, width_bits=field.width_bits, type=self.type_name())
            fields.append(made)
        return ControllerHeader(id=number, fields=tuple(fields), doc=doc)

    def state(self, doc: str, span: Span) -> State:
        cursor = self._cursor
        name = cursor.name("a parser state")
        cursor.take("{")
        extract = cursor.name("a header") if cursor.take_if("extract") else None
        select = self._expressions.read_bare_list() if cursor.take_if("select") else ()
        cases: list[Case] = []
        while cursor.take_if("case"):
            cases.append(self._case())
        default = ACCEPT
        if cursor.take_if("default"):
            cursor.take("->")
            default = cursor.name("a parser state")
        cursor.take("}")
        return State(name=name, extract=extract, select=select, cases=tuple(cases), default=default, doc=doc, span=span)

    def counter(self, doc: str) -> Counter:
        number = self._cursor.number("an id")
        name = self._cursor.name("a counter")
        self._cursor.take("size")
        return Counter(name=name, id=number, size=self._cursor.number("a size"), doc=doc)

    def meter(self, doc: str) -> Meter:
        number = self._cursor.number("an id")
        name = self._cursor.name("a meter")
        self._cursor.take("size")
        size = self._cursor.number("a size")
        unit, kind = self._meter_kind()
        return Meter(name=name, id=number, size=size, unit=unit, type=kind, doc=doc)

    def direct_meter(self) -> DirectMeter:
        number = self._cursor.number("an id")
        unit, kind = self._meter_kind()
        return DirectMeter(id=number, unit=unit, type=kind)

    def _meter_kind(self) -> tuple[MeterUnit, MeterType]:
        """What it counts, and how it tells colours where that is not RFC 2698."""
        cursor = self._cursor
        span, unit = cursor.span(), cursor.name("packets or bytes")
        if unit not in _METER_UNITS:
            cursor.refuse_unknown("unit", unit, _METER_UNITS, span)
        kind = next((kind for word, kind in _METER_TYPES.items() if cursor.take_if(word)), None)
        return _METER_UNITS[unit], kind or MeterType.TWO_RATE_THREE_COLOR

    def drop_reason(self, doc: str) -> DropReason:
        number = self._cursor.number("an id")
        return DropReason(name=self._cursor.name("a drop reason"), id=number, doc=doc)

    def _field(self) -> Field:
        name = self._cursor.name("a field")
        self._cursor.take(":")
        return Field(name=name, width_bits=self._cursor.number("a width"))

    def _checksum(self) -> Checksum:
        cursor = self._cursor
        name = cursor.name("a field")
        cursor.take("over")
        span, word = cursor.span(), cursor.name()
        if word not in _COVERAGES:
            cursor.refuse_unknown("coverage", word, _COVERAGES, span)
        return Checksum(field=name, coverage=_COVERAGES[word], zero_is_none=cursor.take_if("or_none"))

    def _case(self) -> Case:
        matches = [self._match()]
        while self._cursor.take_if(","):
            matches.append(self._match())
        self._cursor.take("->")
        return Case(matches=tuple(matches), next=self._cursor.name("a parser state"))

    def _match(self) -> Match:
        if self._cursor.take_if("_"):
            return Match(value=0, mask=0)
        value = self._cursor.number("a value or '_'")
        return Match(value=value, mask=self._cursor.number("a mask") if self._cursor.take_if("&&&") else None)
