"""YAML text to nodes that know where they stand.

Built from the parser's events rather than from PyYAML's node graph: depth and alias expansion are limited while
reading (libyaml's composer recurses in C without a limit), duplicate keys are seen, and scalars resolve as
Kubernetes resolves them (`compiler.policy.scalar`). Every mistake becomes a diagnostic; after a syntax error the rest
of the file is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol, cast

import yaml

from compiler.diagnostic import Related, Report
from compiler.policy import codes
from compiler.policy.scalar import Scalar, describe, resolve_plain, shortened
from compiler.span import InternalError, Span

MAX_DEPTH: Final = 100
MAX_ALIASED_NODES: Final = 100_000
"""Nodes that aliases may add to one file; more is a bomb, not a policy."""

_MERGE: Final = "<<"
_CORE: Final = "tag:yaml.org,2002:"


class _Mark(Protocol):
    """libyaml's mark: line and column from 0, column in characters."""

    line: int
    column: int


# Tuples rather than dataclasses, and spans on demand: 5,000 services are half a million nodes.
class ScalarNode(NamedTuple):
    value: Scalar
    path: str
    start: _Mark
    end: _Mark

    @property
    def span(self) -> Span:
        start, end = self.start, self.end
        return Span(
            path=self.path,
            line=start.line + 1,
            column=start.column + 1,
            end_line=end.line + 1,
            end_column=end.column + 1,
        )

    @property
    def size(self) -> int:
        return 1


class SequenceNode(NamedTuple):
    items: tuple[Node, ...]
    path: str
    start: _Mark
    size: int

    @property
    def span(self) -> Span:
        """A collection's span is where it starts: its end mark lies on the next key."""
        return Span(path=self.path, line=self.start.line + 1, column=self.start.column + 1)


class Entry(NamedTuple):
    """One `key: value` of a mapping."""

    value: Node
    key: ScalarNode

    @property
    def span(self) -> Span:
        return self.key.span


class MappingNode(NamedTuple):
    entries: dict[str, Entry]
    path: str
    start: _Mark
    size: int

    @property
    def span(self) -> Span:
        """Where it starts, as for a sequence."""
        return Span(path=self.path, line=self.start.line + 1, column=self.start.column + 1)


Node = ScalarNode | SequenceNode | MappingNode


class _StopReadingError(Exception):
    """The rest of the file makes no sense to read; the diagnostic is already in the report."""


def node_to_plain(node: Node) -> Any:
    """Scalars, tuples and dicts, as the models validate them."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return tuple(map(node_to_plain, node.items))
        case MappingNode():
            return {key: node_to_plain(entry.value) for key, entry in node.entries.items()}


def read_documents(path: str, text: str, report: Report) -> list[Node]:
    """The documents of one file up to its first syntax error, empty ones left out."""
    builder = _Builder(path, text, report)
    documents: list[Node] = []
    try:
        for document in builder.documents():
            documents.append(document)
    except _StopReadingError:
        pass
    except yaml.MarkedYAMLError as error:
        report.add(codes.YAML_SYNTAX, _error_span(path, error), *_error_words(error))
    except yaml.YAMLError as error:
        report.add(codes.YAML_SYNTAX, Span(path=path, line=1), f"this is not YAML: {shortened(str(error))}")
    return [node for node in documents if not (isinstance(node, ScalarNode) and node.value is None)]


def _error_span(path: str, error: yaml.MarkedYAMLError) -> Span:
    mark: Any = error.problem_mark or error.context_mark
    if mark is None:
        return Span(path=path, line=1)
    return Span(path=path, line=mark.line + 1, column=mark.column + 1)


def _error_words(error: yaml.MarkedYAMLError) -> tuple[str]:
    problem = str(cast(Any, error).problem or "unreadable")
    context = str(cast(Any, error).context or "")
    if "cannot start any token" in problem:
        return ("a tab or reserved character cannot stand here: YAML indents with spaces, '@' and '`' need quotes",)
    return (f"this is not YAML: {problem}" + (f" ({context})" if context else ""),)


class _Builder:
    """Turns the events of one file into nodes."""

    def __init__(self, path: str, text: str, report: Report) -> None:
        self._path = path
        self._report = report
        loader: Any = yaml.CSafeLoader(text)
        self._dispose = loader.dispose
        # A plain loop over get_event would ask check_event as well: twice the calls for each of a million events.
        self._events: Iterator[Any] = iter(loader.get_event, None)
        """libyaml's; they raise yaml.YAMLError."""
        self._anchors: dict[str, Node] = {}
        self._aliased = 0

    def documents(self) -> Iterator[Node]:
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors = {}
                    yield self._node(next(self._events), 0)
        finally:
            self._dispose()

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        return Span(
            path=self._path,
            line=start.line + 1,
            column=start.column + 1,
            end_line=end.line + 1,
            end_column=end.column + 1,
        )

    def _start(self, event: Any) -> Span:
        """A collection's span is where it starts: its end mark lies on the next key."""
        return Span(path=self._path, line=event.start_mark.line + 1, column=event.start_mark.column + 1)

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._refuse(codes.TOO_DEEP, self._start(event), f"nested more than {MAX_DEPTH} levels deep")
        kind = cast("type[Any]", type(event))
        if kind is yaml.ScalarEvent:
            node: Node = self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            node = self._mapping(event, depth)
        elif kind is yaml.SequenceStartEvent:
            node = self._sequence(event, depth)
        elif kind is yaml.AliasEvent:
            return self._alias(event)
        else:
            raise InternalError(f"unexpected YAML event {event}")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _refuse(self, code: Any, span: Span, message: str, hint: str | None = None) -> None:
        self._report.add(code, span, message, hint=hint)
        raise _StopReadingError

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            message = f"alias '*{event.anchor}' has no anchor before it in this document, or contains itself"
            self._refuse(codes.YAML_SYNTAX, self._span(event), message)
            raise InternalError("unreachable")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            message = f"aliases repeat more than {MAX_ALIASED_NODES} values in this file"
            self._refuse(codes.TOO_LARGE, self._span(event), message)
        return node

    def _scalar(self, event: Any) -> ScalarNode:
        text: str = event.value
        if event.tag is None or event.tag == "!":
            plain = event.tag is None and event.implicit[0]
            value = resolve_plain(text) if plain else text
        else:
            value = self._tagged(event.tag, text, self._span(event))
        return ScalarNode(value, self._path, event.start_mark, event.end_mark)

    def _tagged(self, tag: str, text: str, span: Span) -> Scalar:
        if tag == _CORE + "str":
            return text
        value = resolve_plain(text) if text else None
        types: dict[str, tuple[type, ...]] = {
            "int": (int,),
            "float": (int, float),
            "bool": (bool,),
            "null": (type(None),),
        }
        wanted = types.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
        if wanted is None:
            self._report.add(
                codes.UNSUPPORTED_YAML,
                span,
                f"the tag '{shortened(tag)}' has no meaning in a policy",
                expected="no tag, or one of !!str, !!int, !!float, !!bool, !!null",
            )
        elif not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            self._report.add(codes.UNSUPPORTED_YAML, span, f"{describe(value)} does not fit its tag '{shortened(tag)}'")
        return value

    def _check_collection_tag(self, event: Any, core: str) -> None:
        if event.tag not in (None, "!", _CORE + core):
            self._report.add(
                codes.UNSUPPORTED_YAML,
                self._start(event),
                f"the tag '{shortened(event.tag)}' has no meaning in a policy",
            )

    def _sequence(self, start: Any, depth: int) -> SequenceNode:
        self._check_collection_tag(start, "seq")
        items: list[Node] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, depth + 1))
        return SequenceNode(tuple(items), self._path, start.start_mark, 1 + sum(item.size for item in items))

    def _mapping(self, start: Any, depth: int) -> MappingNode:
        self._check_collection_tag(start, "map")
        entries: dict[str, Entry] = {}
        merged: list[tuple[Node, Span]] = []
        size = 1
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == _MERGE and bool(event.implicit[0])
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            size += 1 + value.size
            if is_merge:
                merged.append((value, key.span))
            else:
                self._enter(entries, key, value)
        for value, span in merged:
            self._merge(entries, value, span)
        return MappingNode(entries, self._path, start.start_mark, size)

    def _enter(self, entries: dict[str, Entry], key: Node, value: Node) -> None:
        if not isinstance(key, ScalarNode) or not isinstance(key.value, str):
            words = describe(key.value) if isinstance(key, ScalarNode) else "a list or mapping"
            hint = "put the key in quotes" if isinstance(key, ScalarNode) else None
            self._report.add(
                codes.KEY_NOT_STRING, key.span, f"YAML reads this key as {words}", expected="a string", hint=hint
            )
        elif key.value in entries:
            first = Related(message="first written here", span=entries[key.value].span)
            self._report.add(
                codes.DUPLICATE_KEY, key.span, f"'{shortened(key.value)}' is written twice", related=(first,)
            )
        else:
            entries[key.value] = Entry(value, key)

    def _merge(self, entries: dict[str, Entry], value: Node, span: Span) -> None:
        """`<<: *anchor`: keys of the mapping itself win, then those of earlier merges."""
        sources = value.items if isinstance(value, SequenceNode) else (value,)
        for source in sources:
            if not isinstance(source, MappingNode):
                self._report.add(
                    codes.UNSUPPORTED_YAML, span, "'<<' merges mappings only", expected="an alias of a mapping"
                )
                continue
            for name, entry in source.entries.items():
                entries.setdefault(name, entry)
