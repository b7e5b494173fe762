"""The parts of a pipeline by name: what references in the IR lead to.

Made once a pipeline; the verifier says what is wrong with names, so here an unknown one is an `InternalError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from compiler.ir.controller import Digest
from compiler.ir.headers import Field, Header, HeaderType, State
from compiler.ir.nodes import Control, DropReason, Pipeline
from compiler.ir.tables import Action, Counter, Meter, Selector, Store, Table
from compiler.span import InternalError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


class _Index(dict[str, _T]):
    """A dictionary whose missing names are mistakes of ours."""

    def __missing__(self, name: str) -> _T:
        raise InternalError(f"the pipeline has no part named '{name}'")


def _index(parts: Iterable[_T]) -> _Index[_T]:
    return _Index({part.name: part for part in parts})


@dataclass(frozen=True, eq=False)
class Names:
    """Dictionaries over one pipeline."""

    pipeline: Pipeline

    @cached_property
    def actions(self) -> Mapping[str, Action]:
        return _index(self.pipeline.actions)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        return _index(self.pipeline.tables)

    @cached_property
    def stores(self) -> Mapping[str, Store]:
        return _index(self.pipeline.stores)

    @cached_property
    def counters(self) -> Mapping[str, Counter]:
        return _index(self.pipeline.counters)

    @cached_property
    def meters(self) -> Mapping[str, Meter]:
        return _index(self.pipeline.meters)

    @cached_property
    def controls(self) -> Mapping[str, Control]:
        return _index(self.pipeline.controls)

    @cached_property
    def states(self) -> Mapping[str, State]:
        return _index(self.pipeline.parser)

    @cached_property
    def drop_reasons(self) -> Mapping[str, DropReason]:
        return _index(self.pipeline.drop_reasons)

    @cached_property
    def headers(self) -> Mapping[str, Header]:
        return _index(self.pipeline.headers)

    @cached_property
    def header_types(self) -> Mapping[str, HeaderType]:
        """The type of each header, by the header's name."""
        types = _index(self.pipeline.header_types)
        return _TypeIndex({header.name: types[header.type] for header in self.pipeline.headers})

    @cached_property
    def metadata(self) -> Mapping[str, Field]:
        return _index(self.pipeline.metadata)

    @cached_property
    def digests(self) -> Mapping[str, Digest]:
        return _index(self.pipeline.digests)

    @cached_property
    def packet_in(self) -> tuple[str, ...]:
        """The fields of a packet-in, none without packet-ins."""
        return self.pipeline.packet_in.names if self.pipeline.packet_in is not None else ()

    @cached_property
    def selectors(self) -> Mapping[str, Selector]:
        return _index(table.selector for table in self.pipeline.tables if table.selector is not None)

    @cached_property
    def selector_tables(self) -> Mapping[str, Table]:
        """The table of each selector, by the selector's name."""
        return _TableIndex({t.selector.name: t for t in self.pipeline.tables if t.selector is not None})

    @cached_property
    def header_order(self) -> Mapping[str, int]:
        """The place of each header in a packet."""
        return {header.name: place for place, header in enumerate(self.pipeline.headers)}


class _TypeIndex(_Index[HeaderType]):
    pass


class _TableIndex(_Index[Table]):
    pass
