"""Resolved services as plain data, as JSON takes it, and back.

Places are told by the part of a file that they are in, so a service that has been moved has its new places. Networks
and workloads are told by their names: they are those of the set that a service is put into. Of each object only the
fields are told that have not their default, so a field more needs nothing here unless it holds a type that is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final, cast

from compiler.policy.distribution import Hints
from compiler.policy.division import Part
from compiler.policy.policyset import (
    Algorithm,
    Backend,
    Health,
    Network,
    Protocol,
    Service,
    ServicePort,
    SourceRange,
    Steering,
    TrafficPolicy,
    Workload,
)
from compiler.span import Span

_RECORDS: Final[dict[str, type[Any]]] = {
    record.__name__: record for record in (Service, ServicePort, Backend, Hints, SourceRange, Steering)
}
_WORDS: Final[dict[str, type[StrEnum]]] = {word.__name__: word for word in (Algorithm, Health, Protocol, TrafficPolicy)}
_ADDRESSES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (IPv4Address, IPv6Address)}
_PREFIXES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (IPv4Network, IPv6Network)}


class NotPlainError(Exception):
    """A service with something that is not told here: it has to be resolved each time."""


def encoded(service: Service, parts: Sequence[Part]) -> list[Any]:
    """`parts` are those that it was resolved from. Raises NotPlainError."""
    return _Encoder(parts).record(service)


class _Encoder:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [(part.path, part.line, part.line + part.text.count("\n") + 1) for part in parts]

    def record(self, value: Any) -> list[Any]:
        told: dict[str, Any] = {}
        for one in fields(value):
            found = getattr(value, one.name)
            if not _is_default(one, found):
                told[one.name] = self._value(found)
        return ["record", type(value).__name__, told]

    def _value(self, value: Any) -> Any:
        kind = cast("type[Any]", type(value))
        name = kind.__name__
        if value is None or kind in (bool, int, str):
            return value
        if kind is Span:
            return self._span(value)
        if kind is tuple:
            return ["tuple", *map(self._value, value)]
        if kind is frozenset:
            return ["set", *sorted(map(self._value, value))]
        if kind is Network:
            return ["network", value.name]
        if kind is Workload:
            return ["workload", value.key]
        if _ADDRESSES.get(name) is kind:
            return [name, int(value)]
        if _PREFIXES.get(name) is kind:
            return [name, int(value.network_address), value.prefixlen]
        if _WORDS.get(name) is kind:
            return ["word", name, str(value)]
        if _RECORDS.get(name) is kind:
            return self.record(value)
        raise NotPlainError(name)

    def _span(self, span: Span) -> list[Any]:
        line = span.line - 1
        for number, (path, first, behind) in enumerate(self._parts):
            if span.path == path and first <= line < behind:
                end = None if span.end_line is None else span.end_line - first
                return ["span", number, span.line - first, span.column, end, span.end_column]
        raise NotPlainError("a span elsewhere")


def _is_default(one: Field[Any], value: Any) -> bool:
    return one.default is not MISSING and type(value) is type(one.default) and value == one.default


def decoded(
    plain: list[Any], parts: Sequence[Part], networks: Mapping[str, Network], workloads: Mapping[str, Workload]
) -> Service:
    """`parts` are those that it is of now, as many as it was encoded with."""
    return _Decoder(parts, networks, workloads).value(plain)


class _Decoder:
    def __init__(
        self, parts: Sequence[Part], networks: Mapping[str, Network], workloads: Mapping[str, Workload]
    ) -> None:
        self._parts = parts
        self._networks, self._workloads = networks, workloads
        self._readers: dict[str, Callable[[list[Any]], Any]] = {
            "record": self._record,
            "span": self._span,
            "tuple": lambda plain: tuple([self.value(found) for found in plain[1:]]),
            "set": lambda plain: frozenset([self.value(found) for found in plain[1:]]),
            "network": lambda plain: self._networks[plain[1]],
            "workload": lambda plain: self._workloads[plain[1]],
            "word": lambda plain: _WORDS[plain[1]](plain[2]),
            **{name: lambda plain, kind=kind: kind(plain[1]) for name, kind in _ADDRESSES.items()},
            **{name: lambda plain, kind=kind: kind((plain[1], plain[2])) for name, kind in _PREFIXES.items()},
        }

    def value(self, plain: Any) -> Any:
        return self._readers[plain[0]](plain) if isinstance(plain, list) else plain  # pyright: ignore[reportUnknownArgumentType]

    def _record(self, plain: list[Any]) -> Any:
        value = self.value
        return _RECORDS[plain[1]](**{name: value(found) for name, found in plain[2].items()})

    def _span(self, plain: list[Any]) -> Span:
        number: int = plain[1]
        part = self._parts[number]
        end = None if plain[4] is None else plain[4] + part.line
        return Span(path=part.path, line=plain[2] + part.line, column=plain[3], end_line=end, end_column=plain[5])
