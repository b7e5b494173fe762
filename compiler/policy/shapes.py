"""Parts of a file that differ in nothing but some words, read by what one of them says: thousands of services are.

The words are what stands between double quotes, and plain values of letters and digits. What is around them is a part's
*outline*. One part of an outline is read as any text is, and if each word turned out to be one value of its own, and no
key, then in any other part with that outline they are the same values: up to a word YAML's scanner has met the same
characters, and whatever the word is, it goes on behind it in the same way. So nothing is decided here that reading
would decide otherwise (tests/property/test_policy_memory.py); where there is doubt an outline has no shape.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, NamedTuple

from compiler.policy.division import Part
from compiler.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from compiler.policy.located import Located, PathPart
from compiler.policy.model import Model
from compiler.policy.scalar import resolve_plain
from compiler.span import Span

Outline = tuple[str, ...]
"""What is before, between and behind the words."""
Words = Sequence[str]
Path = tuple[PathPart, ...]
_WORD: Final = re.compile(
    r"""((?<=[ \[]")[ !#-\[\]-~]*(?="(?![ \t]*:))|(?:(?<=[:,-] )|(?<=\[))[0-9A-Za-z][0-9A-Za-z._/-]*(?=[\r\n,}\]]))"""
)
_NO_SHAPE: Final = re.compile(r"[!&*]|<<")
"""Tags, anchors, aliases and merges, or what may be."""


class _Mark(NamedTuple):
    """A place in any part of a shape: its column is `column` and the lengths of the words from `first` up to `last`."""

    line: int
    column: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Of an outline. Lines count from 0 at the part's first one."""

    model: type[Model]
    """It says itself, by literals, which kind it is of: that may be a word, too."""
    plain: Callable[[Words], Any]
    """Scalars, tuples and dicts, as of `node_to_plain`, from the words."""
    _example: Located[Any]
    _words: _Places
    _spans: dict[tuple[bool, Path], tuple[_Mark, _Mark | None]] = field(default_factory=lambda: {})

    def span(self, path: Path, part: Part, words: Words, *, is_key: bool) -> Span:
        """As `Located.at`, or `Located.key`, of a part with these words."""
        marks = self._spans.get((is_key, path))
        if marks is None:
            marks = self._spans[is_key, path] = self._marks(path, is_key=is_key)
        start, end = marks
        line, column = part.line + 1, _column(start, words)
        if end is None:
            return Span(path=part.path, line=line + start.line, column=column)
        end_line, end_column = line + end.line, _column(end, words)
        return Span(path=part.path, line=line + start.line, column=column, end_line=end_line, end_column=end_column)

    def _marks(self, path: Path, *, is_key: bool) -> tuple[_Mark, _Mark | None]:
        found = self._example.key(*path) if is_key else self._example.at(*path)
        start = self._words.mark(found.line, found.column)
        if found.end_line is None or found.end_column is None:
            return start, None
        return start, self._words.mark(found.end_line, found.end_column)


def _column(mark: _Mark, words: Words) -> int:
    first, last = mark.first, mark.last
    if first == last:
        return mark.column
    return mark.column + (len(words[first]) if last - first == 1 else sum(map(len, words[first:last])))


class Shaped(Located[Any]):
    """An object of which the words are known. Its nodes are read when they are asked for."""

    __slots__ = ("_read", "_shape", "_words")
    _shape: Shape
    _words: Words
    _read: Callable[[Part], MappingNode]

    def __init__(
        self, model: Model, part: Part, shape: Shape, words: Words, read: Callable[[Part], MappingNode]
    ) -> None:
        keep = object.__setattr__  # a dataclass that is frozen
        keep(self, "model", model)
        keep(self, "origin", part)
        keep(self, "known_name", "")
        keep(self, "known_service", "")
        keep(self, "_shape", shape)
        keep(self, "_words", words)
        keep(self, "_read", read)

    @property
    def node(self) -> MappingNode:  # pyright: ignore[reportIncompatibleVariableOverride]
        assert self.origin is not None
        return self._read(self.origin)

    def at(self, *path: PathPart) -> Span:
        assert self.origin is not None
        return self._shape.span(path, self.origin, self._words, is_key=False)

    def key(self, *path: PathPart) -> Span:
        assert self.origin is not None
        return self._shape.span(path, self.origin, self._words, is_key=True)


def outline_of(text: str) -> tuple[Outline, Words]:
    pieces = _WORD.split(text)
    return tuple(pieces[::2]), pieces[1::2]


def may_have_shape(outline: Outline) -> bool:
    return not any(map(_NO_SHAPE.search, outline))


def shape_of(part: Part, example: Located[Any], outline: Outline, words: Words) -> Shape | None:
    """`example` is what was read of a part that is one object. None where a word may be something else elsewhere."""
    places = _Places(part, outline, words)
    told = _Teller(places).told(example.node)
    if len(places.met) != len(words):
        return None
    plain = eval(f"lambda words: {told}", {"plain": resolve_plain})
    return Shape(example.kind, plain, example, places)


class _Places:
    """Where the words of a part are."""

    def __init__(self, part: Part, outline: Outline, words: Words) -> None:
        self._line = part.line + 1
        self._words = words
        self._quoted = [around.endswith('"') for around in outline]
        pieces = [piece for pair in zip(outline, words, strict=False) for piece in pair]
        ends = [*accumulate(map(len, pieces))]
        self._starts = ends[::2]
        self._ends = ends[1::2]
        self._begins = [0, *(found.end() for found in re.finditer("\n", part.text))]
        """Offsets of lines."""
        self.met: set[int] = set()
        """Words that were found to be values."""

    def mark(self, line: int, column: int) -> _Mark:
        """Of a place in the file, as a `Span` tells it."""
        begins = self._begins[line - self._line]
        first = bisect_left(self._starts, begins)
        last = max(first, bisect_right(self._ends, begins + column - 1))
        return _Mark(line - self._line, column - sum(map(len, self._words[first:last])), first, last)

    def word_at(self, node: ScalarNode) -> int | None:
        """The word that a value is, all of it and nothing else."""
        begins = self._begins[node.start.line + 1 - self._line]
        at = bisect_left(self._starts, begins + node.start.column)
        if at == len(self._words):
            return None
        around = int(self._quoted[at])
        start, end = begins + node.start.column + around, begins + node.end.column - around
        if node.end.line != node.start.line or (start, end) != (self._starts[at], self._ends[at]):
            return None
        word = self._words[at]
        value = word if around else resolve_plain(word)
        if type(value) is not type(node.value) or value != node.value:
            return None
        self.met.add(at)
        return at

    def is_quoted(self, word: int) -> bool:
        return self._quoted[word]


class _Teller:
    """Nodes as an expression of their words."""

    def __init__(self, places: _Places) -> None:
        self._places = places

    def told(self, node: Node) -> str:
        match node:
            case ScalarNode():
                return self._scalar(node)
            case SequenceNode():
                return "(" + "".join(f"{self.told(item)}, " for item in node.items) + ")"
            case MappingNode():
                inner = (f"{key!r}: {self.told(entry.value)}" for key, entry in node.entries.items())
                return "{" + ", ".join(inner) + "}"

    def _scalar(self, node: ScalarNode) -> str:
        at = self._places.word_at(node)
        if at is None:
            return _literal(node.value)
        return f"words[{at}]" if self._places.is_quoted(at) else f"plain(words[{at}])"


def _literal(value: Any) -> str:
    return f"float({str(value)!r})" if isinstance(value, float) else repr(value)
