"""Resolved services as plain data, as JSON takes it, and back.

Places are told by the part of a file that they are in, so a service that has been moved has its new places. Networks
and workloads are told by their names: they are those of the set that a service is put into. Of each object only the
fields are told that have not their default, so a field more needs nothing here unless it holds a type that is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, ClassVar, Final, cast

from compiler.policy.distribution import Hints
from compiler.policy.division import Part
from compiler.policy.policyset import (
    Algorithm,
    Backend,
    Health,
    Network,
    Protocol,
    ServerReturn,
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
_WORDS: Final[dict[str, type[StrEnum]]] = {
    word.__name__: word for word in (Algorithm, Health, Protocol, ServerReturn, TrafficPolicy)
}
_ADDRESSES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (IPv4Address, IPv6Address)}
_PREFIXES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (IPv4Network, IPv6Network)}

_PLAIN: Final = frozenset({type(None), bool, int, str})
_FIELDS: Final = {record: [(one.name, one.default) for one in fields(record)] for record in _RECORDS.values()}
"""With defaults: MISSING, which nothing is, where there is none."""


class NotPlainError(Exception):
    """A service with something that is not told here: it has to be resolved each time."""


def encoded(service: Service, parts: Sequence[Part]) -> list[Any]:
    """`parts` are those that it was resolved from. Raises NotPlainError."""
    return _Encoder(parts).record(service)


class _Encoder:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [(part.path, part.line, part.line + part.text.count("\n") + 1) for part in parts]

    def value(self, value: Any) -> Any:
        kind = cast("type[Any]", type(value))
        if kind in _PLAIN:
            return value
        teller = self.tellers.get(kind)
        if teller is None:
            raise NotPlainError(kind.__name__)
        return teller(self, value)

    def record(self, value: Any) -> list[Any]:
        told: dict[str, Any] = {}
        kind = cast("type[Any]", type(value))
        for name, default in _FIELDS[kind]:
            found = getattr(value, name)
            if found is not default and (type(found) is not type(default) or found != default):
                told[name] = found if type(found) in _PLAIN else self.value(found)
        return ["record", kind.__name__, told]

    def _span(self, span: Span) -> list[Any]:
        line = span.line - 1
        for number, (path, first, behind) in enumerate(self._parts):
            if span.path == path and first <= line < behind:
                end = None if span.end_line is None else span.end_line - first
                return ["span", number, span.line - first, span.column, end, span.end_column]
        raise NotPlainError("a span elsewhere")

    def _tuple(self, values: tuple[Any, ...]) -> list[Any]:
        return ["tuple", *map(self.value, values)]

    def _set(self, values: frozenset[Any]) -> list[Any]:
        return ["set", *sorted(map(self.value, values))]

    def _network(self, network: Network) -> list[Any]:
        return ["network", network.name]

    def _workload(self, workload: Workload) -> list[Any]:
        return ["workload", workload.key]

    def _address(self, address: Any) -> list[Any]:
        return [type(address).__name__, int(address)]

    def _prefix(self, prefix: Any) -> list[Any]:
        return [type(prefix).__name__, int(prefix.network_address), prefix.prefixlen]

    def _word(self, word: StrEnum) -> list[Any]:
        return ["word", type(word).__name__, word.value]

    tellers: ClassVar[dict[type[Any], Callable[[_Encoder, Any], list[Any]]]] = {
        Span: _span,
        tuple: _tuple,
        frozenset: _set,
        Network: _network,
        Workload: _workload,
        **dict.fromkeys(_ADDRESSES.values(), _address),
        **dict.fromkeys(_PREFIXES.values(), _prefix),
        **dict.fromkeys(_WORDS.values(), _word),
        **dict.fromkeys(_RECORDS.values(), record),
    }


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

    def value(self, plain: Any) -> Any:
        return self.readers[plain[0]](self, plain) if isinstance(plain, list) else plain  # pyright: ignore[reportUnknownArgumentType]

    def _record(self, plain: list[Any]) -> Any:
        value = self.value
        given = {name: value(found) if isinstance(found, list) else found for name, found in plain[2].items()}
        return _RECORDS[plain[1]](**given)

    def _span(self, plain: list[Any]) -> Span:
        number: int = plain[1]
        part = self._parts[number]
        end = None if plain[4] is None else plain[4] + part.line
        return Span(path=part.path, line=plain[2] + part.line, column=plain[3], end_line=end, end_column=plain[5])

    def _tuple(self, plain: list[Any]) -> tuple[Any, ...]:
        value = self.value
        return tuple([value(found) for found in plain[1:]])

    def _set(self, plain: list[Any]) -> frozenset[Any]:
        return frozenset(self._tuple(plain))

    def _network(self, plain: list[Any]) -> Network:
        return self._networks[plain[1]]

    def _workload(self, plain: list[Any]) -> Workload:
        return self._workloads[plain[1]]

    def _word(self, plain: list[Any]) -> StrEnum:
        return _WORDS[plain[1]](plain[2])

    def _address(self, plain: list[Any]) -> Any:
        return _ADDRESSES[plain[0]](plain[1])

    def _prefix(self, plain: list[Any]) -> Any:
        return _PREFIXES[plain[0]]((plain[1], plain[2]))

    readers: ClassVar[dict[str, Callable[[_Decoder, list[Any]], Any]]] = {
        "record": _record,
        "span": _span,
        "tuple": _tuple,
        "set": _set,
        "network": _network,
        "workload": _workload,
        "word": _word,
        **dict.fromkeys(_ADDRESSES, _address),
        **dict.fromkeys(_PREFIXES, _prefix),
    }
