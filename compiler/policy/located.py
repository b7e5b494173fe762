"""Validated objects together with the YAML nodes they came from, so that any field can be pointed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar, cast

from compiler.policy.division import Part
from compiler.policy.document import Entry, MappingNode, Node, ScalarNode, SequenceNode
from compiler.policy.model import Model
from compiler.span import Span

M = TypeVar("M", bound=Model)
PathPart = str | int


def find_entry(node: Node, name: str) -> Entry | None:
    return node.entries.get(name) if isinstance(node, MappingNode) else None


def locate(root: Node, path: tuple[PathPart, ...]) -> tuple[Node, Span]:
    """The deepest node on `path` that was written, and the best span for it.

    The span of a scalar is the scalar; of a mapping or list, the key that introduces it.
    """
    node, entry = root, None
    for part in path:
        match node:
            case MappingNode() if isinstance(part, str) and part in node.entries:
                entry = node.entries[part]
                node = entry.value
            case SequenceNode() if isinstance(part, int) and part < len(node.items):
                node, entry = node.items[part], None
            case _:
                break
    if entry is None or isinstance(node, ScalarNode):
        return node, _introduction(node)
    return node, entry.span


def _introduction(node: Node) -> Span:
    """Where a node without a key of its own starts: a block mapping at its first key."""
    if isinstance(node, MappingNode) and node.entries:
        first = next(iter(node.entries.values())).key
        if (first.start.line, first.start.column) == (node.start.line, node.start.column):
            return first.span
    return node.span


@dataclass(frozen=True, slots=True)
class Located(Generic[M]):
    """One object of a policy file."""

    model: M
    node: MappingNode
    origin: Part | None = None
    """The part of its file that it is all of, where one run remembers for another."""
    known_name: str = ""
    """What `object_name` would say, where that is known without its model; of a slice that of its service as well."""
    known_service: str = ""

    @property
    def kind(self) -> type[Model]:
        return type(self.model)

    def at(self, *path: PathPart) -> Span:
        """The value at `path` as files write it, or the nearest thing above it that was written."""
        return locate(self.node, path)[1]

    def key(self, *path: PathPart) -> Span:
        """The key at the end of `path`, else as `at`."""
        parent, span = locate(self.node, path[:-1])
        entry = find_entry(parent, cast(str, path[-1]))
        return span if entry is None else entry.span

    @property
    def span(self) -> Span:
        """The line that names the object."""
        return self.at("metadata", "name")


@dataclass(slots=True)
class Objects:
    """All objects of a run by model, in the order of files and lines."""

    _by_model: dict[type[Model], list[Any]] = field(default_factory=lambda: {})
    unreadable: set[tuple[str, str]] = field(default_factory=lambda: set())
    """(kind, name) of objects that were refused: a reference to one is no second mistake."""

    def add(self, located: Located[Any]) -> None:
        self._by_model.setdefault(located.kind, []).append(located)

    def of(self, model: type[M]) -> list[Located[M]]:
        return self._by_model.get(model, [])

    def __len__(self) -> int:
        return sum(map(len, self._by_model.values()))

    def __iter__(self) -> Iterator[Located[Any]]:
        return chain.from_iterable(self._by_model.values())
